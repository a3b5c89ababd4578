/*
 * Schema of items: inference, evolution, names, hints (spec: interface.md, `schema:` and Columns; databricks.md).
 *
 * An item schema is a trib_type STRUCT whose fields carry the metadata dynamodb.type, dynamodb.element, dynamodb.name
 * (interface.md). The same tree is `record` in Bronze and the attribute columns of Silver, so it is stored in and loaded
 * from the Delta log alone.
 *
 * Inference is order-independent where it decides types (counts, majority; numbers: bigint, else decimal(38,18)), and
 * follows the order of appearance where it decides the order of new columns. Merging the inference of parts, in input
 * order, gives the inference of the whole.
 * Threads: an inference belongs to one thread; merge after joining.
 */
#ifndef TRIB_SCHEMA_SCHEMA_H
#define TRIB_SCHEMA_SCHEMA_H

#include <stdbool.h>

#include "base/mem.h"
#include "columns/type.h"
#include "columns/vec.h"
#include "dynamodb/item.h"

enum trib_evolution { TRIB_EVOLVE_WIDEN, TRIB_EVOLVE_ADD, TRIB_EVOLVE_RESCUE, TRIB_EVOLVE_FAIL, TRIB_EVOLVE_NONE };
enum trib_numbers { TRIB_NUMBERS_AUTO, TRIB_NUMBERS_DECIMAL, TRIB_NUMBERS_DOUBLE, TRIB_NUMBERS_STRING };

/*
 * A declared type. It decides the column of an attribute, a member or an element when that comes to be, and makes the column at once
 * where nobody has seen the attribute yet: hinted columns are always there, in Bronze and in every target. A column that
 * is there already keeps its type (but see trib_schema_apply_hints). Which of DynamoDB's types the column takes is learnt with its first batch (string: S or N;
 * numbers: N or S; lists: L or a set), the first named here where nothing was seen. Key attributes go by their keys' types.
 */
struct trib_hint {
    const char *path; /* "amount", "address.zip", "tags.element"; a name with a dot in backticks: "`a.b`.c" */
    const char *
        type; /* Spark's spelling: "decimal(18,2)", "string", "timestamp", "timestamp_ntz", "date", "double", "float", "bigint",
                       * "int", "smallint", "tinyint", "boolean", "binary", "array<string>", "struct<zip:string,…>" */
};

struct trib_schema_opts {
    enum trib_evolution evolution;
    enum trib_numbers numbers;
    bool infer; /* false: S and N as text, B as base64 text, everything else canonical JSON text */
    const struct trib_hint *hints;
    size_t n_hints;
    bool hints_adopted;          /* hinted columns come from Bronze (trib_schema_hinted): none is declared here */
    const char *const *reserved; /* top-level column names of our own that no attribute may take (any case) */
    size_t n_reserved;
    const char *const *keys; /* key attributes: always columns, never rescued; at most 2 */
    size_t n_keys;
    const char *key_types
        [2]; /* declared type of keys[i], "S", "N" or "B"; NULL: learnt. Decides the key column against any majority */
    size_t max_columns; /* leaf columns; attributes beyond are rescued; 0: no limit */
};
/* Parses a hint's type; CONFIG with the position when it is not a type. */
TRIB_CHECKED int trib_hint_parse(const char *text, struct trib_type *ret, struct trib_err *err);
/* CONFIG when one is no type or no path, or when two contradict each other. */
TRIB_CHECKED int trib_hints_check(const struct trib_hint *hints, size_t n, struct trib_err *err);
/* Is there a hint on this top-level attribute, or on something in it? */
bool trib_hinted(const struct trib_schema_opts *o, const char *attribute);

struct trib_infer;
struct trib_infer *trib_infer_new(void);
void trib_infer_free(struct trib_infer *in);
/* Adds one item (the attributes object). DATA when it is not valid DynamoDB JSON (nothing is added then). */
TRIB_CHECKED int trib_infer_item(struct trib_infer *in, struct trib_view json, bool base64_twice, struct trib_err *err);
void trib_infer_merge(struct trib_infer *to, const struct trib_infer *from); /* from comes after to */
bool trib_infer_empty(const struct trib_infer *in);

struct trib_evolved {
    struct trib_type type; /* [out] the new item struct; trib_type_free */
    bool changed;          /* differs from the current one */
    bool widened;          /* an existing leaf changed its type (WIDEN in Silver only) */
    size_t added;          /* new leaves */
    size_t over_limit;     /* attributes that max_columns left out */
    char *new_fields;      /* comma-separated names of what is new, for `fail` and logs; [out] free() */
};
/*
 * The schema after a batch. current: the table's item struct (n_fields 0 for a new table; hints may declare columns in
 * advance then). silver: widen changes types of bigint leaves; in Bronze (false) WIDEN acts as ADD.
 * evolution FAIL with new fields: DATA, the message names them.
 */
TRIB_CHECKED int trib_schema_evolve(const struct trib_type *current, const struct trib_infer *in,
                                    const struct trib_schema_opts *o, bool silver, struct trib_evolved *ret,
                                    struct trib_err *err);
/*
 * Silver's schema from Bronze's without looking at the rows: every attribute of `bronze` that `current` does not know
 * is added with Bronze's type under names of its own (reserved, max_columns as in o).
 */
TRIB_CHECKED int trib_schema_adopt(const struct trib_type *current, const struct trib_type *bronze,
                                   const struct trib_schema_opts *o, struct trib_evolved *ret, struct trib_err *err);

/* bigint leaves (keys apart) that a hint calls decimal(p,s) become it; true when one did. For Silver: its rows are written again. */
bool trib_schema_apply_hints(struct trib_type *item, const struct trib_schema_opts *o);
/*
 * What hints declared in Bronze, and nothing else of it, for a target that otherwise learns from rows of its own: so both take the
 * same of DynamoDB's types. [out] trib_type_free; an item struct, perhaps empty, for trib_schema_adopt.
 */
TRIB_CHECKED int trib_schema_hinted(const struct trib_type *bronze, const struct trib_schema_opts *o,
                                    struct trib_type *ret, struct trib_err *err);

/* The attribute or member that a field comes from (dynamodb.name, else the name); NULL for columns of our own. [borrow] */
const char *trib_field_attribute(const struct trib_field *f);
/* The field of an attribute or member; NULL. [borrow] */
struct trib_field *trib_item_find(const struct trib_type *item, const char *attribute);

#endif
