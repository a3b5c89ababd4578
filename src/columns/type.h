/*
 * Column types: one tree for the Delta schema, Parquet, the engine and the decoder.
 *
 * Field metadata keeps Delta's key → value pairs; values are strings, or raw JSON when raw_json is set (other writers
 * put numbers and objects there, and we must give them back unchanged).
 * Ownership: a struct trib_type owns its fields; copy with trib_type_copy, free with trib_type_free.
 * Threads: read-only use from many threads is fine.
 */
#ifndef TRIB_COLUMNS_TYPE_H
#define TRIB_COLUMNS_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

enum trib_type_id {
    TRIB_T_STRING,
    TRIB_T_BYTE,
    TRIB_T_SHORT,
    TRIB_T_INT,
    TRIB_T_LONG,
    TRIB_T_FLOAT,
    TRIB_T_DOUBLE,
    TRIB_T_DECIMAL, /* precision 1..38, scale 0..precision */
    TRIB_T_BOOLEAN,
    TRIB_T_BINARY,
    TRIB_T_DATE,
    TRIB_T_TIMESTAMP,     /* µs, UTC */
    TRIB_T_TIMESTAMP_NTZ, /* µs, local */
    TRIB_T_STRUCT,        /* fields: the members */
    TRIB_T_ARRAY,         /* fields[0]: "element" */
    TRIB_T_MAP,           /* fields[0] "key", fields[1] "value" */
};

struct trib_meta {
    char *key;
    char *value;
    bool raw_json; /* value is JSON text (number, object, …), not a string */
};

struct trib_type {
    enum trib_type_id id;
    uint8_t precision, scale; /* DECIMAL only */
    size_t n_fields;
    struct trib_field *fields;
};

struct trib_field {
    char *name;
    struct trib_type type;
    bool nullable;
    size_t n_meta;
    struct trib_meta *meta;
};

struct trib_type trib_type_simple(enum trib_type_id id);
struct trib_type trib_type_decimal(unsigned precision, unsigned scale);
void trib_type_copy(struct trib_type *to, const struct trib_type *from); /* to: overwritten */
void trib_type_free(struct trib_type *t);
void trib_field_free(struct trib_field *f);
void trib_field_copy(struct trib_field *to, const struct trib_field *from);
/* Appends a nullable field to a STRUCT (or the element to an ARRAY); takes the type. Returns the new field [borrow],
 * valid until the next append. */
struct trib_field *trib_type_add(struct trib_type *t, const char *name, struct trib_type type);
/* Appends a copy of a field, name and metadata included. */
struct trib_field *trib_type_add_copy(struct trib_type *t, const struct trib_field *f);
struct trib_field *trib_type_find(const struct trib_type *t, const char *name); /* exact; NULL */
bool trib_type_same(const struct trib_type *a,
                    const struct trib_type *b); /* types, names, order; not metadata or nullability */

const char *trib_field_meta(const struct trib_field *f, const char *key);           /* NULL when absent [borrow] */
void trib_field_set_meta(struct trib_field *f, const char *key, const char *value); /* replaces; NULL removes */

/* DuckDB's spelling, e.g. STRUCT("a" BIGINT, "b" VARCHAR[]); names quoted. TIMESTAMP is TIMESTAMP WITH TIME ZONE. */
void trib_type_sql(const struct trib_type *t, struct trib_buf *to);
/* Appends an SQL identifier, quoted; a literal, quoted. */
void trib_sql_ident(struct trib_buf *to, const char *name);
void trib_sql_literal(struct trib_buf *to, struct trib_view text);

/* Columns that hold values: what a Parquet file has of them. */
size_t trib_type_leaves(const struct trib_type *t);

#endif
