/*
 * A batch of files → Parquet files in the scratch folder, quarantine rows in spools (spec: interface.md; merge.md, order
 * table; docs/decisions/0005-optimistic-ingest.md).
 *
 * The files are cut into groups by their sizes, never by the number of workers, so that the result is the same on every machine; each
 * group becomes one Parquet file (more when it is large or its rows are wide) and runs on one worker with an engine connection and a
 * decoder of its own. All groups are decoded under a first schema; what they tell decides the final one, and groups
 * that would come out differently under it are decoded again.
 * Nothing is committed here. A crash leaves scratch files, which die with the folder.
 */
#ifndef TRIB_INGEST_BATCH_H
#define TRIB_INGEST_BATCH_H

#include "ingest/discover.h"

struct trib_file_result {
    int64_t rows; /* good records */
    int64_t bad;  /* quarantined ones, damage included */
};

struct trib_batch {
    struct trib_type item;             /* the item schema after this batch */
    bool with_old;                     /* Bronze has old_record after this batch */
    bool item_changed;                 /* item differs from the table's */
    char *new_fields;                  /* for the log; "" when there are none */
    struct trib_parquet_file *parquet; /* in the order of the files */
    size_t n_parquet;
    struct trib_spool **spools;
    size_t n_spools;
    struct trib_file_result *files;    /* one a file of the source batch */
    size_t streams_file, kinesis_file; /* the first file with records of that kind; SIZE_MAX: none */
    int64_t rows, bad, rescued, decoded_bytes;
};

struct trib_batch_opts {
    const struct trib_env *env;
    const struct trib_ingest_opts *o;
    const struct trib_source_batch *source;
    const struct trib_type *item; /* the table's item schema; NULL: none yet */
    bool with_old;                /* the table has old_record */
    int64_t now_us;               /* _ingest_ts of all rows */
};
/*
 * *ret_culprit: on DATA about one file of an export (its count), the index of that file; else SIZE_MAX.
 */
TRIB_CHECKED int trib_batch_decode(const struct trib_batch_opts *b, struct trib_batch *ret, size_t *ret_culprit,
                                   struct trib_err *err);
void trib_batch_free(struct trib_batch *b); /* removes scratch files that were not moved */

#endif
