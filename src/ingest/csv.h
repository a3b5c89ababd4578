/*
 * Rows of delimited text (RFC 4180 with a delimiter of the caller's), fed in pieces (spec: interface.md, `dms`). Pure.
 *
 * A field may stand in double quotes, a doubled one inside stands for itself; only a quote that begins a field opens it. Rows end with \n or \r\n
 * outside of quotes; the last may lack it. Empty lines are passed over, as is a byte order mark.
 * Broken: a quote that is never closed (the row is then the line it begins in, and reading goes on at the next), text behind a
 * closing quote, a row that is too long.
 * Threads: one at a time.
 */
#ifndef TRIB_INGEST_CSV_H
#define TRIB_INGEST_CSV_H

#include "dynamodb/change.h"

struct trib_csv_field {
    struct trib_view text; /* without its quotes */
    bool quoted;
};
struct trib_csv_row {
    int64_t offset;       /* of its first byte in the stream */
    struct trib_view raw; /* its bytes, without the line's end */
    const char *broken;   /* NULL; else why, and there are no fields */
    const struct trib_csv_field *fields;
    size_t n;
};

struct trib_csv;
/* limit: longest row in bytes. */
struct trib_csv *trib_csv_new(trib_read_fn read, void *ctx, char delimiter, size_t limit);
void trib_csv_free(struct trib_csv *c);
/* The next row, valid until the next call; *ret_end at the end. Fails as the stream does, after the rows before. */
TRIB_CHECKED int trib_csv_next(struct trib_csv *c, struct trib_csv_row *ret, bool *ret_end, struct trib_err *err);
int64_t trib_csv_offset(const struct trib_csv *c);        /* where the next row begins */
struct trib_view trib_csv_rest(const struct trib_csv *c); /* after a failure: what was read of the row that it cut */

#endif
