/*
 * Rows of one item schema → rows of another, exactly, as SQL expressions.
 *
 * Columns that mean the same in both are moved as they are (and bigint cast where the target is decimal(38,18)). A row that
 * needs more (something rescued that may have a column now, a value whose column the target lacks) goes the exact way: encoded
 * to DynamoDB JSON and decoded again by two functions of ours. Both ways give the same row; the first is faster.
 * Threads: built and used by one thread; the functions run on the engine's.
 */
#ifndef TRIB_MERGE_CONVERT_H
#define TRIB_MERGE_CONVERT_H

#include "engine/engine.h"
#include "schema/decode.h"

struct trib_convert;

/* Registers the functions under a prefix that must be unique in the engine. Types and options are copied. */
TRIB_CHECKED int trib_convert_new(struct trib_conn *c, const char *prefix, const struct trib_type *from,
                                  const struct trib_type *to, const struct trib_schema_opts *o,
                                  struct trib_convert **ret, struct trib_err *err);
void trib_convert_free(struct trib_convert *v);
/* true when v converts exactly from and to these; NULL does not. What is kept across steps is asked before each use. */
bool trib_convert_is(const struct trib_convert *v, const struct trib_type *from, const struct trib_type *to);

enum trib_convert_what {
    TRIB_CONVERT_WHOLE,   /* the whole item */
    TRIB_CONVERT_REWRITE, /* the same; rescued text is known to stay as it is (the target only gained columns) */
    TRIB_CONVERT_SOME     /* the fields of `to` alone: its "_rescued_data" is not to be used */
};
/* STRUCT(the fields of `to`…, "_rescued_data" VARCHAR) from a struct expression and its rescued text. */
void trib_convert_sql(const struct trib_convert *v, const char *item, const char *rescued, enum trib_convert_what what,
                      struct trib_buf *sql);
/* The exact item as DynamoDB JSON text; NULL where both are NULL. */
void trib_convert_text_sql(const struct trib_convert *v, const char *item, const char *rescued, struct trib_buf *sql);

/* The fields of a table's schema that come from attributes, as an item struct. [out] trib_type_free */
void trib_item_fields(const struct trib_type *table, struct trib_type *ret);

/* Registers digest(text VARCHAR) → VARCHAR: 32 hex digits of trib_item_digest; NULL for NULL. Once per engine. */
TRIB_CHECKED int trib_register_digest(struct trib_conn *c, const char *name, struct trib_err *err);

#endif
