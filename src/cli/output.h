/*
 * Results on stdout: rows as a table, JSON, JSON lines or CSV (spec: interface.md, Verbs, `query`). For every verb that has rows.
 *
 * JSON: numbers with all their digits; BINARY base64; TIMESTAMP ISO-8601 with Z, TIMESTAMP_NTZ without; STRUCT an object, ARRAY an array,
 * MAP an array of {key, value}; NaN and infinities as strings. Cells of a table and of CSV are the same without the quotes of strings;
 * CSV: RFC 4180 with LF, null is nothing and the empty string is "".
 * Memory: one row, but for the first thousand rows of a table, which its columns' widths are taken from.
 */
#ifndef TRIB_CLI_OUTPUT_H
#define TRIB_CLI_OUTPUT_H

#include <stdio.h>

#include "cli/cli.h"
#include "columns/vec.h"

struct trib_output_writer;
/* row: STRUCT of the columns [borrow]. max_cell: longest cell of a table in characters, 0: any. */
struct trib_output_writer *trib_output_open(FILE *to, enum trib_output format, const struct trib_type *row,
                                            size_t max_cell);
/* How a table spells null, instead of NULL: for verbs whose columns are no data. text: [borrow] */
void trib_output_null(struct trib_output_writer *w, const char *text);
void trib_output_rows(struct trib_output_writer *w, const struct trib_chunk *chunk);
/* Ends the document (brackets, number of rows) and frees the writer. After a failure: trib_output_abandon, which ends nothing. */
void trib_output_close(struct trib_output_writer *w);
void trib_output_abandon(struct trib_output_writer *w);

/* One value as JSON; `null` when it is null. */
void trib_output_json(struct trib_buf *to, const struct trib_vec *v, uint64_t row);

#endif
