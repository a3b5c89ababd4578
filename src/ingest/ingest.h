/*
 * Ingest: source files → Bronze, with Auto Loader's semantics (spec: databricks.md; merge.md, Positions; interface.md).
 *
 * Position: the names in Bronze's _ingest_file, plus <lake>/bronze/_files/<table>. One step takes one batch: lists, leaves
 * out what is taken, decodes, commits quarantine first, then Bronze (fence: txn = version read + 1). A crash anywhere
 * leaves either nothing or the whole batch; quarantine rows are committed once whatever happens.
 */
#ifndef TRIB_INGEST_INGEST_H
#define TRIB_INGEST_INGEST_H

#include "dynamodb/change.h"
#include "stage/landing.h"
#include "stage/stage.h"

/* LANDING: what capture landed; its bookkeeping says which epoch and generation a record has, and when a snapshot may be taken.
 * DMS: files of an AWS DMS S3 target. SNAPSHOT: what snapshots changed, landed by their comparison with Silver (stage/diffs.h); the store is the landing's. */
enum trib_source_type {
    TRIB_SOURCE_FILES,
    TRIB_SOURCE_EXPORT,
    TRIB_SOURCE_LANDING,
    TRIB_SOURCE_DMS,
    TRIB_SOURCE_SNAPSHOT
};

/* How DMS was told to write. */
struct trib_dms_opts {
    const char *const *columns; /* of CSV without a header line, in order, without Op; [borrow] */
    size_t n_columns;
    const char *timestamp;  /* the column of the commit time; NULL: none */
    char delimiter;         /* between the fields of CSV */
    const char *null_value; /* an unquoted field that is this is null */
};

struct trib_ingest_opts {
    const char *pipeline;
    const char *table; /* DynamoDB name */
    enum trib_source_type type;
    struct trib_store *source;    /* rooted at the source's path, opened by trib_source_open [borrow] */
    struct trib_landing *landing; /* LANDING: its bookkeeping, refreshed by discovery [borrow] */
    const char *const *keys;      /* partition, then sort */
    size_t n_keys;
    const char *key_types[2]; /* "S", "N", "B" or NULL: learnt */
    struct trib_schema_opts schema;
    int64_t batch_files, batch_bytes;
    struct trib_record_limits limits;
    struct trib_dms_opts dms;
};

struct trib_ingest;
/* opts and env are borrowed and must outlive it. */
TRIB_CHECKED int trib_ingest_new(const struct trib_env *env, const struct trib_ingest_opts *o, struct trib_ingest **ret,
                                 struct trib_err *err);
void trib_ingest_free(struct trib_ingest *in);
/* One batch. worked is false when nothing is new. DATA for what the contract says must fail (checksum, counts, two kinds
 * of streams in one table): nothing of it is committed. */
TRIB_CHECKED int trib_ingest_step(struct trib_ingest *in, int64_t now_us, struct trib_step *ret, struct trib_err *err);

/* What the source holds beside Bronze: for `status`. Writes nothing, remembers nothing. */
struct trib_ingest_survey {
    int64_t pending;    /* files that are not taken */
    int64_t oldest_us;  /* the oldest modification time among them, -1: unknown */
    int64_t changed;    /* taken files that were written again after the commit that took them */
    char *changed_name; /* one of those [out] free(); NULL */
    struct trib_err
        refused; /* the first export that is not what its manifests say, NOT_FOUND: none where one should be; checksums are not computed here */
};
/* Fails where the source cannot be listed from here. */
TRIB_CHECKED int trib_ingest_survey(const struct trib_env *env, struct trib_conn *conn,
                                    const struct trib_ingest_opts *o, const struct trib_snapshot *bronze,
                                    struct trib_ingest_survey *ret, struct trib_err *err);

#endif
