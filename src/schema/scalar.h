/* Scalars between DynamoDB text and typed columns, exact or refused (interface.md: "a hint fits when formatting it back …"). */
#ifndef TRIB_SCHEMA_SCALAR_H
#define TRIB_SCHEMA_SCALAR_H

#include "columns/vec.h"
#include "dynamodb/item.h"

/* N into a column; text is the number as it was written. false: does not fit. */
bool trib_scalar_number(const struct trib_type *col, struct trib_view text, const struct trib_number *n,
                        struct trib_vec *v, uint64_t row);
/* S into a column. The text must outlive the chunk. */
bool trib_scalar_text(const struct trib_type *col, struct trib_view text, struct trib_vec *v, uint64_t row);
/* A column's value as text: numbers plain and exact, dates and timestamps ISO. */
void trib_scalar_format(const struct trib_type *col, const struct trib_vec *v, uint64_t row, struct trib_buf *to);
/* Order of fixed-width values of a type, for qsort. */
int (*trib_scalar_compare(const struct trib_type *t))(const void *, const void *);

#endif
