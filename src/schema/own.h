/* Inside of schema/. */
#ifndef TRIB_SCHEMA_OWN_H
#define TRIB_SCHEMA_OWN_H

#include "schema/decode.h"

enum { TRIB_A_COUNT = TRIB_A_BS + 1, TRIB_ITEM_DEPTH = 64 };

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

enum trib_attr_type trib_field_attr(const struct trib_field *f); /* of dynamodb.type; S when absent */
const char *trib_field_attr_name(const struct trib_field *f);

/* Types that hints give to a column that is made now, or to what is in it (hints.c). path: the field's own. */
void trib_schema_hint_new(struct trib_field *f, const char *path, const struct trib_schema_opts *o);

#endif
