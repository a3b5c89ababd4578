/* One group of a batch: the loop from records to rows. For batch.c only. */
#ifndef TRIB_INGEST_GROUP_H
#define TRIB_INGEST_GROUP_H

#include "ingest/batch.h"
#include "schema/decode.h"
#include "stage/input.h"
#include "stage/parts.h"

struct trib_group {
    const struct trib_batch_opts *b;
    size_t first, n;                /* files of the source batch */
    struct trib_file_result *files; /* of the whole batch; this group writes its own only */
    /* Set for a round. */
    const struct trib_type *item; /* schema to decode under [borrow] */
    bool with_old;
    uint64_t width; /* a row's bytes, an estimate; 0: unknown */
    /* Results of a round. */
    struct trib_decoder *decoder;
    struct trib_parquet_file *parquet;
    size_t n_parquet, cap_parquet;
    struct trib_spool *spool;
    bool saw_old;                      /* an old image came, and there is no column for it */
    size_t streams_file, kinesis_file; /* SIZE_MAX: none */
    size_t culprit;                    /* file of the batch whose count is wrong */
    int64_t rows, bad, decoded_bytes;
};
/* Decodes the group's files under its item schema and writes them. */
TRIB_CHECKED int trib_group_decode(struct trib_group *g, struct trib_err *err);
void trib_group_clear(struct trib_group *g); /* results of a round; scratch files are removed */

/* Adds up to about max_bytes of decoded records of a file to an inference; counts them. Damage ends it without an error. */
TRIB_CHECKED int trib_group_sample(const struct trib_batch_opts *b, size_t file, int64_t max_bytes,
                                   struct trib_infer *to, bool *io_old, uint64_t *ret_rows, uint64_t *ret_bytes,
                                   struct trib_err *err);

#endif
