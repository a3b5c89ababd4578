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
    struct trib_engine *engine;
    const struct trib_clock *clock; /* for commit timestamps only */
    const struct trib_rng *rng;
    const struct trib_log *log;
    const char *scratch;            /* local folder that dies with the process */
    unsigned workers;
    uint64_t memory_bytes;          /* budget outside the engine */
    bool (*stop_asked)(void *ctx);  /* drain: finish or abandon the batch at the next safe place; may be NULL */
    void *stop_ctx;
};

/* What one step did. */
struct trib_step {
    bool worked;       /* committed something, or there is more to do at once */
    int64_t due_us;    /* when to call again; INT64_MAX: only after the stage before it worked */
    int64_t rows_in, rows_out, bytes_in, files_in;
    int64_t quarantined, rescued, late, duplicates, ties;
    int64_t version;   /* committed version of the stage's table, -1 */
};

/* Paths in the lake (interface.md, Lake layout). [out] free(). Path components from data are escaped (percent). */
char *trib_path_bronze(const char *table);
char *trib_path_files(const char *table);      /* bronze/_files/<table> */
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

/* Commits rows to the quarantine table, once per (_ingest_file, _offset, _reason): on a conflict it recomputes without what stands there. */
struct trib_quarantine_row {
    const char *file;          /* _ingest_file */
    int64_t offset;            /* _offset, -1: null */
    const char *reason;
    const char *expectation;   /* NULL */
    struct trib_view raw;      /* _raw: at most the first MiB is kept */
    /* Bronze's columns as far as the record could be read; NULL or n 0: null */
    const char *op, *origin, *event_id, *sequence;
    int64_t event_ts_us;       /* -1: null */
    struct trib_view item_json, old_json; /* raw DynamoDB JSON, decoded with the table's item schema; misfits rescued */
    bool base64_twice;
};
TRIB_CHECKED int trib_quarantine_commit(const struct trib_env *env, const char *pipeline, const char *table, const struct trib_quarantine_row *rows, size_t n,
                                        int64_t now_us, int64_t *ret_committed, struct trib_err *err);

#endif
