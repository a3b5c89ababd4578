/* Keys of single items, off the fast path (spec: interface.md, Bad input; Columns). Pure. Threads: any. */
#ifndef TRIB_INGEST_KEYCHECK_H
#define TRIB_INGEST_KEYCHECK_H

#include <stdbool.h>

#include "schema/schema.h"

/*
 * cols, row: the item's columns as the decoder left them; a key column that is not null there is fine.
 * Whether an item whose key the decoder could not place may stand in Bronze all the same: each key attribute is there and
 * fits its column, or is a number that Silver's column will be widened for (`evolution: widen`, a bigint column, decimal(38,18)); Bronze keeps
 * its types, so the number is in the rescued data. Otherwise false, and why.
 */
bool trib_key_usable(struct trib_view item, const struct trib_type *schema, const struct trib_schema_opts *o,
                     const struct trib_vec *cols, uint64_t row, char why[256]);

#endif
