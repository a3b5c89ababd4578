/*
 * A Parquet object of the source as a stream of JSON lines, one a row, for the record reader (interface.md: `files`, "Parquet
 * that Firehose wrote"). Read by the engine, in chunks. Threads: one at a time; it has a connection of its own.
 */
#ifndef TRIB_INGEST_ROWS_H
#define TRIB_INGEST_ROWS_H

#include "engine/engine.h"
#include "store/store.h"

struct trib_rows;
/* Nothing is read yet. store, key [borrow]. */
struct trib_rows *trib_rows_open(struct trib_engine *engine, struct trib_store *store, const char *key);
void trib_rows_free(struct trib_rows *r);
/* A trib_read_fn. A file that is cut off or no Parquet: DATA. */
int64_t trib_rows_read(void *ctx, char *to, size_t n, struct trib_err *err);
int64_t trib_rows_decoded(const struct trib_rows *r); /* bytes of text given */
/* The number of the row (from 0) whose text covers this offset of the stream. */
int64_t trib_rows_number(const struct trib_rows *r, int64_t offset);
/* DATA for a Parquet file that is cut off: what ends with its magic bytes is whole. */
TRIB_CHECKED int trib_rows_check_end(struct trib_store *store, const char *key, struct trib_err *err);

#endif
