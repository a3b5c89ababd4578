/*
 * The Delta transaction log (spec: delta.md; source: PROTOCOL.md of delta-io/delta).
 *
 * A table is a folder of a store: <path>/_delta_log/%020d.json and data files. A commit is one object put if absent.
 * A crash at any point leaves either no commit (and data files that no log names) or the whole commit.
 * Threads: a snapshot is read-only after loading; loading and committing from one thread at a time.
 */
#ifndef TRIB_DELTA_DELTA_H
#define TRIB_DELTA_DELTA_H

#include "base/env.h"
#include "columns/type.h"
#include "parquet/parquet.h"
#include "store/store.h"

struct trib_kv {
    char *key, *value; /* value NULL: null */
};

/* A deletion vector as the log names it. A file's identity in the log is (path, vector). */
struct trib_dv {
    char storage;   /* 'u' file beside the table's, 'i' inline, 'p' absolute path */
    char *text;     /* pathOrInlineDv */
    int64_t offset; /* in the file; -1: none */
    int64_t size, cardinality;
};

/* One live or added data file. */
struct trib_add {
    char *
        path; /* decoded, relative to the table ("ingest_date=2026-01-01/part-….parquet"), or absolute as another writer left it */
    int64_t size, mtime_ms;
    bool data_change;
    size_t n_partition;
    struct trib_kv
        *partition;     /* raw strings, one a partition column (under its physical name where columns are mapped) */
    char *stats;        /* JSON text or NULL */
    int64_t rows;       /* numRecords, -1 when unknown */
    int64_t version;    /* of the commit that added it; -1 when only a checkpoint names it */
    struct trib_dv *dv; /* NULL: none */
    size_t n_tags;
    struct trib_kv *tags;
};
void trib_add_free(struct trib_add *a);

/* A tombstone: a file that is no longer live, kept for checkpoints and vacuum. */
struct trib_remove {
    struct trib_add file; /* partition, size (-1) and rows where the writer left them */
    int64_t deleted_ms;   /* 0 when absent */
};

struct trib_domain {
    char *domain, *configuration;
};

struct trib_txn {
    char *app_id;
    int64_t version, last_updated_ms; /* -1 when absent */
};

struct trib_protocol {
    int reader, writer;
    char **reader_features, **writer_features; /* NULL-terminated or NULL */
};

struct trib_snapshot {
    int64_t version;      /* -1: there is no table */
    int64_t timestamp_ms; /* of the newest commit (commitInfo, else the object's time) */
    struct trib_protocol protocol;
    char *table_id, *name, *description;
    int64_t created_ms;
    struct trib_type schema; /* STRUCT with metadata */
    size_t n_partition_columns;
    char **partition_columns;
    size_t n_properties;
    struct trib_kv *properties; /* metaData.configuration */
    size_t n_adds;
    struct trib_add *adds; /* live files, by path */
    size_t n_txns;
    struct trib_txn *txns;
    size_t n_removes;
    struct trib_remove *removes; /* tombstones, by path; those of before the newest checkpoint may be gone */
    size_t n_domains;
    struct trib_domain *domains;
    int64_t checkpoint_version; /* newest checkpoint used, -1 */
    int64_t checkpoint_bytes;   /* its size */
    int64_t commit_mtime_us;    /* of the newest commit's object, -1: tells a table made anew under the same path */
    int64_t log_bytes_since_checkpoint;
};

struct trib_delta {
    struct trib_store *store; /* [borrow] */
    char *path;               /* of the table in the store, no trailing slash; "" = the store's root */
    struct trib_conn *conn;   /* for checkpoints [borrow] */
    const struct trib_clock *clock;
    const struct trib_rng *rng;
    const char *scratch; /* for checkpoint files */
    /* Loading and refreshing first make durable the commits that they see: a commit can be visible before it is durable (its writer
     * is at it right now, or was killed), and what we commit on top must not outlive it. */
    bool settle;
};

/* version -1: the newest; else exactly that one (NOT_FOUND when it is not there any more). No table: ret->version is -1, no error.
 * UNSUPPORTED names the feature when the table cannot be read ("reader feature 'deletionVectors'"). */
TRIB_CHECKED int trib_delta_load(const struct trib_delta *t, int64_t version, struct trib_snapshot *ret,
                                 struct trib_err *err);
/* The version in force at a time (largest version whose timestamp is not later). NOT_FOUND before the first. */
TRIB_CHECKED int trib_delta_version_at(const struct trib_delta *t, int64_t us, int64_t *ret, struct trib_err *err);
/* Brings a loaded snapshot up to the newest version by reading only the commits in between. */
TRIB_CHECKED int trib_delta_refresh(const struct trib_delta *t, struct trib_snapshot *s, struct trib_err *err);
void trib_snapshot_free(struct trib_snapshot *s);
const char *trib_snapshot_property(const struct trib_snapshot *s, const char *key); /* [borrow] NULL */
int64_t trib_snapshot_txn(const struct trib_snapshot *s, const char *app_id);       /* -1 when absent */

/* Files added with dataChange in versions (from, to]. NOT_FOUND when the log was cleaned: start from a snapshot then. */
TRIB_CHECKED int trib_delta_changes(const struct trib_delta *t, int64_t from, int64_t to, struct trib_add **ret,
                                    size_t *ret_n, struct trib_err *err);

/* What a commit does. Pointers are borrowed. */
struct trib_commit {
    int64_t read_version;  /* the commit gets read_version + 1 */
    const char *operation; /* "WRITE", "MERGE", "CREATE TABLE", … */
    const struct trib_kv *params;
    size_t n_params; /* operationParameters */
    const struct trib_kv *metrics;
    size_t n_metrics; /* operationMetrics */
    bool blind_append;
    const struct trib_txn *txn; /* NULL: none; lastUpdated is filled in */
    size_t n_txn;
    /* metaData: written when new_metadata is set (always for version 0). */
    bool new_metadata;
    const struct trib_type *schema;
    const char *const *partition_columns;
    size_t n_partition_columns;
    const struct trib_kv *properties;
    size_t n_properties;
    const struct trib_protocol *protocol; /* version 0, or an upgrade; NULL: none */
    const struct trib_add *adds;
    size_t n_adds;
    const struct trib_add *removes;
    size_t n_removes; /* as the snapshot has them */
    bool data_change; /* of removes */
};
/*
 * Tries once to commit version read_version + 1. CONFLICT when another writer has that version (resolved by reading
 * back and comparing txnId after an ambiguous put): the caller refreshes, decides, and rebases or recomputes.
 * snapshot: what was read at read_version (table id and createdTime are kept from it; version -1 for a new table).
 */
TRIB_CHECKED int trib_delta_commit(const struct trib_delta *t, const struct trib_snapshot *snapshot,
                                   const struct trib_commit *c, struct trib_err *err);
/* Writes a classic checkpoint of the snapshot when the log has grown enough (delta.md); reads it back, then _last_checkpoint. */
TRIB_CHECKED int trib_delta_maybe_checkpoint(const struct trib_delta *t, const struct trib_snapshot *s,
                                             struct trib_err *err);
TRIB_CHECKED int trib_delta_checkpoint(const struct trib_delta *t, const struct trib_snapshot *s, struct trib_err *err);

/* Moves a written Parquet file into the table under a new name (part-<uuid>.parquet below the partition's folder) and
 * fills *ret for the commit. partition: one a partition column, or NULL. */
TRIB_CHECKED int trib_delta_add_file(const struct trib_delta *t, const struct trib_parquet_file *f,
                                     const struct trib_kv *partition, size_t n_partition, struct trib_add *ret,
                                     struct trib_err *err);
/* Deletes files that were added for a commit that did not happen. */
void trib_delta_abandon(const struct trib_delta *t, const struct trib_add *adds, size_t n);

/*
 * The data files of one commit while they are made; begins zeroed. On failure those that were moved before stay in it: every
 * path ends with trib_delta_files_end.
 */
struct trib_delta_files {
    struct trib_add *adds;
    size_t n, cap;
    int64_t rows;
};
/* Moves written files into the table, those without rows left out. The caller still drops `written`. */
TRIB_CHECKED int trib_delta_files_move(const struct trib_delta *t, struct trib_parquet_file *written, size_t n,
                                       const struct trib_kv *partition, size_t n_partition, struct trib_delta_files *io,
                                       struct trib_err *err);
/* One file of what fill gives, none when it gives no rows (trib_parquet_write). */
TRIB_CHECKED int trib_delta_files_write(const struct trib_delta *t, const struct trib_type *row, trib_fill_fn fill,
                                        void *ctx, const struct trib_parquet_opts *o, const struct trib_kv *partition,
                                        size_t n_partition, struct trib_delta_files *io, struct trib_err *err);
/* The rows of a SELECT, for a table without partitions (trib_parquet_write_query). */
TRIB_CHECKED int trib_delta_files_query(const struct trib_delta *t, const char *select,
                                        const struct trib_parquet_opts *o, struct trib_delta_files *io,
                                        struct trib_err *err);
/* After the commit, or instead of it: rc and err say how it went. Files are deleted only where it surely did not happen; an
 * ambiguous failure, and one without err, may have made them the table's. Frees the set. */
void trib_delta_files_end(const struct trib_delta *t, struct trib_delta_files *io, int rc, const struct trib_err *err);

/* SQL that reads the snapshot (or some of its files) as rows of its schema, partition columns included; see trib_parquet_select. */
TRIB_CHECKED int trib_delta_select(const struct trib_delta *t, const struct trib_snapshot *s,
                                   const struct trib_add *adds, size_t n, bool with_position, struct trib_buf *sql,
                                   struct trib_err *err);

/* One commit for `history`. */
struct trib_commit_info {
    int64_t version, timestamp_ms;
    char *operation, *engine, *params_json, *metrics_json;
    size_t n_adds, n_removes;
};
TRIB_CHECKED int trib_delta_history(const struct trib_delta *t, size_t limit, struct trib_commit_info **ret,
                                    size_t *ret_n, struct trib_err *err);
void trib_commit_info_free(struct trib_commit_info *i, size_t n);

/* Delta's schemaString ↔ our tree. */
void trib_delta_schema_json(const struct trib_type *schema, struct trib_buf *to);
TRIB_CHECKED int trib_delta_schema_parse(struct trib_view json, struct trib_type *ret, struct trib_err *err);

#endif
