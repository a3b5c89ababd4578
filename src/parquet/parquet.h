/*
 * Parquet: chunks in; file, row count and statistics out. Rows by SQL back (spec: delta.md, Parquet, Stats).
 * DuckDB's COPY does it for now; a writer of our own replaces this folder's inside. Nothing outside may know of COPY.
 *
 * Files: data page v1, zstd level 1 (or as asked), TIMESTAMP as INT64 micros adjusted to UTC, decimals fixed-length, dictionary
 * where it pays. Rows stay in the order given.
 */
#ifndef TRIB_PARQUET_PARQUET_H
#define TRIB_PARQUET_PARQUET_H

#include "engine/engine.h"

enum trib_compression { TRIB_ZSTD, TRIB_SNAPPY, TRIB_UNCOMPRESSED };

struct trib_parquet_opts {
    enum trib_compression compression;
    size_t row_group_rows; /* 0: 122,880; less for wide rows: the caller knows their width */
    uint64_t file_bytes; /* start a new file beyond about this size; 0: one file. Only for SQL sources without order */
    uint64_t *
        group_bytes; /* may be NULL: of rows in memory in a row group, 0 until known; kept by the caller from query to query,
                            * and less once a query of wide rows did not get by with the engine's memory */
    const char *const *stats; /* top-level columns whose statistics are wanted; NULL: the first 32 */
    size_t n_stats;
};

/* One written file, local until the caller moves it into the store. */
struct trib_parquet_file {
    char *path; /* [out] */
    int64_t rows, bytes;
    char *stats_json; /* Delta's stats: numRecords, minValues, maxValues, nullCount, tightBounds. [out] */
};
void trib_parquet_file_free(struct trib_parquet_file *f);
/* Deletes the local file too, where it was not moved away. */
void trib_parquet_file_drop(struct trib_parquet_file *f);

/* Writes what fill gives (see trib_source_register) as one file at path. rows 0: no file is written (ret->path NULL). */
TRIB_CHECKED int trib_parquet_write(struct trib_conn *c, const struct trib_type *row, trib_fill_fn fill, void *ctx,
                                    const char *path, const struct trib_parquet_opts *o, struct trib_parquet_file *ret,
                                    struct trib_err *err);
/* Writes the rows of a SELECT; file names are made by adding -0.parquet, -1.parquet … to path_prefix. A query that needs more memory than
 * the engine has runs again with smaller row groups before that is an error: it must not have effects of its own. */
TRIB_CHECKED int trib_parquet_write_query(struct trib_conn *c, const char *select, const char *path_prefix,
                                          const struct trib_parquet_opts *o, struct trib_parquet_file **ret,
                                          size_t *ret_n, struct trib_err *err);

/*
 * SQL text that reads these files as rows of exactly `row` (columns a file lacks are null, nested members too, types cast), plus,
 * when with_position is set, "_file" (index into paths, BIGINT) and "_pos" (row in the file, BIGINT). n 0: no rows of that type.
 * Pushdown of filters and of unused columns works through it.
 */
struct trib_parquet_input {
    const char *path;
    const char *const *partition_values; /* one a partition column, SQL literal text or NULL for null; may be NULL */
};
TRIB_CHECKED int trib_parquet_select(struct trib_conn *c, const struct trib_type *row,
                                     const struct trib_parquet_input *files, size_t n,
                                     const char *const *partition_columns, size_t n_partition_columns,
                                     bool with_position, struct trib_buf *sql, struct trib_err *err);

#endif
