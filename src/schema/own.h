/* Inside of schema/. */
#ifndef TRIB_SCHEMA_OWN_H
#define TRIB_SCHEMA_OWN_H

#include "schema/decode.h"

enum { TRIB_A_COUNT = TRIB_A_BS + 1, TRIB_ITEM_DEPTH = 64 };
/* DuckDB's Parquet reader (1.5.6) does a list's work twice for each list around it: 31 levels take an hour a row group. Below
 * this many, lists and sets stay text. */
enum { TRIB_ITEM_LISTS = 8 };

/* What was seen of one attribute, member or element. */
struct trib_inode {
    char *name;                     /* attribute or member; NULL for elements and the root */
    uint64_t count[TRIB_A_COUNT];   /* values by type */
    uint64_t n_int, n_dec, n_other; /* numbers of N and NS: fit bigint; else fit decimal(38,18); neither */
    struct trib_inode **members;    /* of M, by appearance */
    size_t n_members, cap_members;
    uint32_t *slots; /* open addressing over members, index + 1; size is a power of two */
    size_t n_slots;
    struct trib_inode *element; /* of L */
};
struct trib_infer {
    struct trib_inode root;
};

struct trib_inode *trib_inode_member(struct trib_inode *in, struct trib_view name); /* found or made */
struct trib_inode *trib_inode_element(struct trib_inode *in);
/* Adds one typed value, `{"S":"x"}`, at the cursor. */
struct trib_json;
TRIB_CHECKED int trib_inode_value(struct trib_inode *in, struct trib_json *j, unsigned depth, struct trib_err *err);

/* Hints by place: a leaf has a type, a map has members, a list or set has an element. */
struct trib_hints {
    char *name; /* attribute or member; NULL for elements and the root */
    bool leaf;
    struct trib_type type;
    struct trib_hints *members;
    size_t n_members, cap_members;
    struct trib_hints *element;
};
/* [out] trib_hints_free */
TRIB_CHECKED int trib_hints_build(const struct trib_hint *hints, size_t n, struct trib_hints *ret,
                                  struct trib_err *err);
void trib_hints_free(struct trib_hints *h);
const struct trib_hints *trib_hints_member(const struct trib_hints *h, const char *name); /* NULL; h may be NULL */

enum trib_attr_type trib_field_attr(const struct trib_field *f); /* of dynamodb.type; S when absent */
const char *trib_field_attr_name(const struct trib_field *f);

#endif
