/*
 * What all stages share. A stage is a state machine: step(now) does a bounded piece of work, commits it, and says when it
 * is due next. It never sleeps, never reads the clock, never spawns (spec: architecture.md, "A deterministic core");
 * parallelism lives inside a step only, on trib_pool_run.
 */
#ifndef TRIB_STAGE_STAGE_H
#define TRIB_STAGE_STAGE_H

#include "base/env.h"
#include "delta/delta.h"
#include "engine/engine.h"
#include "os/fs.h"
#include "schema/schema.h"
#include "store/store.h"

struct trib_env {
    const struct trib_fs *fs;
    struct trib_store *lake;
    const struct trib_store_remote *remote; /* stores elsewhere; NULL: local ones only */
    struct trib_engine *engine;
    const struct trib_clock *clock; /* for commit timestamps only */
    const struct trib_rng *rng;
    const struct trib_log *log;
    const char *scratch; /* local folder that dies with the process */
    unsigned workers;
    uint64_t memory_bytes;         /* budget of the whole process, the engine too */
    bool reads_only;               /* nothing durable is built upon what is read (query, status) */
    bool (*stop_asked)(void *ctx); /* drain: finish or abandon the batch at the next safe place; may be NULL */
    void *stop_ctx;
};

/* What one step did. */
struct trib_step {
    bool worked;    /* committed something, or there is more to do at once */
    int64_t due_us; /* when to call again; INT64_MAX: only after the stage before it worked */
    int64_t rows_in, rows_out, bytes_in, files_in;
    int64_t quarantined, rescued, late, duplicates, ties;
    int64_t version; /* committed version of the stage's table, -1 */
};

/* Paths in the lake (interface.md, Lake layout). [out] free(). Path components from data are escaped (percent). */
char *trib_path_bronze(const char *table);
char *trib_path_files(const char *table); /* bronze/_files/<table> */
char *trib_path_silver(const char *domain, const char *table);
char *trib_path_gold(const char *subject, const char *mart);
char *trib_path_quarantine(const char *table);
char *trib_path_landing(const char *table);

/* A Delta handle over env's parts for the table at path [take]. */
struct trib_delta trib_env_delta(const struct trib_env *env, struct trib_conn *conn, char *path);

/* appIds (merge.md, Positions). [out] free(). */
char *trib_app_bronze(const char *pipeline, const char *table);
char *trib_app_silver(const char *pipeline, const char *domain, const char *table);

/* Bronze's schema around an item struct: op, record, old_record (when with_old), _origin, … (interface.md, Columns). [out] */
void trib_bronze_schema(const struct trib_type *item, bool with_old, struct trib_type *ret);
/* Quarantine: the same plus _reason, _expectation, _offset, _raw, _quarantined_ts. */
void trib_quarantine_schema(const struct trib_type *item, bool with_old, struct trib_type *ret);
/* The item struct inside a Bronze schema; NULL before the first record. [borrow] */
const struct trib_type *trib_bronze_item(const struct trib_type *bronze);
/* `wanted` laid over a table's current schema: its columns keep their places (foreign ones too), new ones go last. [out] */
void trib_schema_grow(const struct trib_type *current, const struct trib_type *wanted, struct trib_type *ret);
/* true when a file of type `file` may stand in a table of type `table`: each of its columns is there, with the same type. */
bool trib_type_fits(const struct trib_type *file, const struct trib_type *table);

/*
 * Quarantine (interface.md, Bad input): rows are collected in spools on scratch files, so that a million bad records of a
 * megabyte each cost no memory, and committed in one go, once per (_ingest_file, _offset, _reason): what stands there
 * already is left out, and on a conflict that is found out again. The table is partitioned by ingest_date like Bronze.
 */
struct trib_quarantine_row {
    const char *file; /* _ingest_file */
    int64_t offset;   /* _offset, -1: null */
    const char *reason;
    const char *expectation; /* NULL */
    struct trib_view raw;    /* _raw: at most the first MiB is kept */
    /* Bronze's columns as far as the record could be read; NULL or n 0: null */
    const char *op, *origin, *event_id, *sequence;
    int64_t event_ts_us; /* -1: null */
    struct trib_view item_json,
        old_json; /* raw DynamoDB JSON, decoded with the table's item schema; misfits rescued, invalid ones null */
    bool base64_twice;
};
/* One spool belongs to one thread at a time. Its scratch file is made with the first row and has no name any more:
 * nothing is left behind by a crash. */
struct trib_spool;
struct trib_spool *trib_spool_new(const char *scratch);
void trib_spool_free(struct trib_spool *s);
TRIB_CHECKED int trib_spool_add(struct trib_spool *s, const struct trib_quarantine_row *row, struct trib_err *err);
size_t trib_spool_rows(const struct trib_spool *s);

struct trib_quarantine_opts {
    const char *pipeline, *table;
    const struct trib_type *item; /* the item schema to read images with; NULL: Bronze's, as it is now */
    const struct trib_schema_opts
        *schema; /* NULL: defaults; keys are ignored here, since a bad key is what many rows are about */
};
/* ret_committed: rows that were new. Nothing to commit is no commit. */
TRIB_CHECKED int trib_quarantine_commit_spools(const struct trib_env *env, const struct trib_quarantine_opts *o,
                                               struct trib_spool *const *spools, size_t n, int64_t now_us,
                                               int64_t *ret_committed, struct trib_err *err);

/*
 * Taken files (merge.md, Positions): the names in Bronze's _ingest_file and in the `_files` table. A cache over both, kept
 * across steps and brought up to date by reading one column of the files that new commits added.
 * Threads: one at a time.
 */
struct trib_taken;
struct trib_taken *trib_taken_new(const struct trib_env *env, const char *table);
void trib_taken_free(struct trib_taken *t);
/* bronze: the snapshot up to which Bronze's names are wanted [borrow]. */
TRIB_CHECKED int trib_taken_refresh(struct trib_taken *t, struct trib_conn *conn, const struct trib_snapshot *bronze,
                                    struct trib_err *err);
bool trib_taken_has(const struct trib_taken *t, struct trib_view name);
/* A taken file is seen with this size and time: true when it was seen otherwise before (told once). */
bool trib_taken_changed(struct trib_taken *t, struct trib_view name, int64_t size, int64_t mtime_us);
size_t trib_taken_count(const struct trib_taken *t);
/* Adds the names of a commit of our own at bronze_version, so that it need not be read back. */
void trib_taken_add(struct trib_taken *t, struct trib_view name);
void trib_taken_covers(struct trib_taken *t, int64_t bronze_version);
/* Commits names to `_files`; those that stand there already are left out. reason: "empty", "bad", "expired", one a name. */
TRIB_CHECKED int trib_files_commit(const struct trib_env *env, struct trib_conn *conn, const char *pipeline,
                                   const char *table, const char *const *names, const char *const *reasons, size_t n,
                                   int64_t now_us, struct trib_err *err);

/* The UTC date of a time as "2026-01-31" and as days since the epoch. */
void trib_utc_date(int64_t us, char to[11]);
int32_t trib_utc_days(int64_t us);

#endif
