/*
 * The ingest stage of one table; see ingest.h.
 *
 * Owns the commits to <lake>/bronze/dynamodb/<table>. Everything it remembers between steps is a cache. One thread.
 *
 * A step, and what a crash after each line leaves behind:
 *   1. refresh: Bronze's snapshot, the set of taken files               nothing
 *   2. discover: the next batch                                         nothing
 *   3. decode: Parquet files and spools in the scratch folder           nothing (scratch dies)
 *   4. commit quarantine rows                                           rows that the next run finds standing there
 *   5. commit names of files without rows to `_files`                   those files are taken, which is right
 *   6. move the Parquet files into the table                            files that no log names
 *   7. commit Bronze, version read + 1 (fence: txn)                     the whole batch
 * On a conflict at 7 the snapshot is refreshed. Where the other commit took none of our files and changed neither schema
 * nor properties, 7 is done again; else the files are removed and the step begins at 1. So a file is in Bronze once.
 */
#include "ingest/ingest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ingest/batch.h"
#include "ingest/settings.h"

enum { MAX_ATTEMPTS = 16 };

struct trib_ingest {
    const struct trib_env *env;
    struct trib_ingest_opts o; /* a copy, with the schema options of Bronze */
    struct trib_conn *conn;
    struct trib_delta delta;
    struct trib_snapshot snapshot;
    bool loaded;
    struct trib_taken *taken;
    struct trib_discover *discover;
};

int trib_ingest_new(const struct trib_env *env, const struct trib_ingest_opts *o, struct trib_ingest **ret,
                    struct trib_err *err)
{
    struct trib_conn *conn;
    TRIB_TRY(trib_conn_open(env->engine, &conn, err));
    struct trib_ingest *in = trib_calloc(1, sizeof *in);
    in->env = env;
    in->o = *o;
    in->o.schema.keys = o->keys;
    in->o.schema.n_keys = o->n_keys;
    in->o.schema.key_types[0] = o->key_types[0];
    in->o.schema.key_types[1] = o->key_types[1];
    in->o.schema.reserved = NULL;
    in->o.schema.n_reserved = 0;
    in->conn = conn;
    in->delta = trib_env_delta(env, conn, trib_path_bronze(o->table));
    in->snapshot.version = -1;
    in->taken = trib_taken_new(env, o->table);
    in->discover = trib_discover_new(env, &in->o);
    *ret = in;
    return 0;
}

void trib_ingest_free(struct trib_ingest *in)
{
    if (in == NULL) {
        return;
    }
    trib_discover_free(in->discover);
    trib_taken_free(in->taken);
    if (in->loaded) {
        trib_snapshot_free(&in->snapshot);
    }
    free(in->delta.path);
    trib_conn_close(in->conn);
    free(in);
}

static int refresh(struct trib_ingest *in, struct trib_err *err)
{
    if (in->loaded) {
        TRIB_TRY(trib_delta_refresh(&in->delta, &in->snapshot, err));
    } else {
        TRIB_TRY(trib_delta_load(&in->delta, -1, &in->snapshot, err));
        in->loaded = true;
    }
    TRIB_TRY(trib_settings_check(&in->o, &in->snapshot, err));
    return trib_taken_refresh(in->taken, in->conn, &in->snapshot, err);
}

/* Streams and Kinesis records cannot be ordered among each other. *ret_kind: what this batch brings, or NULL. */
static int check_kinds(const struct trib_ingest *in, const struct trib_source_batch *source, const struct trib_batch *b,
                       const char **ret_kind, struct trib_err *err)
{
    static const char remedy[] =
        "records of DynamoDB Streams and of Kinesis cannot be ordered among each other: keep one kind in this source";
    if (b->streams_file != SIZE_MAX && b->kinesis_file != SIZE_MAX) {
        return trib_err_set(err, TRIB_E_DATA, "table %s: %s holds Streams records and %s Kinesis records; %s",
                            in->o.table, source->files[b->streams_file].key, source->files[b->kinesis_file].key,
                            remedy);
    }
    const char *kind = b->streams_file != SIZE_MAX ? "streams" : b->kinesis_file != SIZE_MAX ? "kinesis" : NULL;
    const char *stored =
        in->snapshot.version < 0 ? NULL : trib_snapshot_property(&in->snapshot, "tributary.stream_kind");
    if (kind != NULL && stored != NULL && strcmp(kind, stored) != 0) {
        size_t file = b->streams_file != SIZE_MAX ? b->streams_file : b->kinesis_file;
        return trib_err_set(err, TRIB_E_DATA, "table %s: %s holds %s records, but Bronze has %s records already; %s",
                            in->o.table, source->files[file].key, kind, stored, remedy);
    }
    *ret_kind = kind;
    return 0;
}

/* Bad records, then names of files that leave no row in Bronze. */
static int commit_side_tables(struct trib_ingest *in, const struct trib_source_batch *source,
                              const struct trib_batch *b, int64_t now_us, int64_t *ret_quarantined,
                              struct trib_err *err)
{
    const struct trib_quarantine_opts q = {
        .pipeline = in->o.pipeline, .table = in->o.table, .item = &b->item, .schema = &in->o.schema};
    TRIB_TRY(trib_quarantine_commit_spools(in->env, &q, b->spools, b->n_spools, now_us, ret_quarantined, err));
    const char **names = trib_calloc(source->n, sizeof *names), **reasons = trib_calloc(source->n, sizeof *reasons);
    size_t n = 0;
    for (size_t i = 0; i < source->n; i++) {
        if (b->files[i].rows == 0) {
            names[n] = source->files[i].key;
            reasons[n++] = b->files[i].bad == 0 ? "empty" : "bad";
        }
    }
    int rc = trib_files_commit(in->env, in->conn, in->o.pipeline, in->o.table, names, reasons, n, now_us, err);
    free(names);
    free(reasons);
    return rc;
}

/* ---- the commit --------------------------------------------------------------------------------------------------- */

struct pending {
    struct trib_delta_files files;
    struct trib_type schema;
    struct trib_properties properties;
    const char *kind;
};

/* What Bronze holds once this batch is in. */
struct held {
    const struct trib_taken *taken;
    const struct trib_source_batch *source;
};

static bool is_held(void *ctx, const char *key)
{
    const struct held *h = ctx;
    for (size_t i = 0; i < h->source->n; i++) {
        if (strcmp(h->source->files[i].key, key) == 0) {
            return true;
        }
    }
    return trib_taken_has(h->taken, trib_view_of(key));
}

/* NULL: no landing. [out] free() */
static char *epochs_after(const struct trib_ingest *in, const struct trib_source_batch *source)
{
    struct held h = {in->taken, source};
    return in->o.landing == NULL ? NULL : trib_settings_epochs(in->o.landing, is_held, &h);
}

static int prepare(struct trib_ingest *in, const struct trib_source_batch *source, struct trib_batch *b,
                   const char *kind, int64_t now_us, struct pending *p, struct trib_err *err)
{
    struct trib_type own;
    trib_bronze_schema(&b->item, b->with_old, &own);
    if (in->snapshot.version >= 0) {
        trib_schema_grow(&in->snapshot.schema, &own, &p->schema);
        trib_type_free(&own);
    } else {
        p->schema = own;
    }
    p->kind = kind;
    TRIB_CLEANUP(trib_cleanup_free) char *epochs = epochs_after(in, source);
    trib_settings_properties(&in->o, &in->snapshot, &p->schema, kind, epochs, &p->properties);
    char date[11];
    trib_utc_date(now_us, date);
    const struct trib_kv partition = {(char *)"ingest_date", date};
    return trib_delta_files_move(&in->delta, b->parquet, b->n_parquet, &partition, 1, &p->files, err);
}

static void pending_free(struct pending *p)
{
    trib_type_free(&p->schema);
    trib_properties_free(&p->properties);
}

static int commit_once(struct trib_ingest *in, const struct trib_source_batch *source, const struct trib_batch *b,
                       const struct pending *p, struct trib_err *err)
{
    const struct trib_snapshot *s = &in->snapshot;
    TRIB_CLEANUP(trib_cleanup_free) char *app = trib_app_bronze(in->o.pipeline, in->o.table);
    TRIB_CLEANUP(trib_cleanup_free) char *rows = trib_asprintf("%" PRId64, b->rows);
    TRIB_CLEANUP(trib_cleanup_free) char *bad = trib_asprintf("%" PRId64, b->bad);
    TRIB_CLEANUP(trib_cleanup_free) char *files = trib_asprintf("%zu", source->n);
    TRIB_CLEANUP(trib_cleanup_free) char *added = trib_asprintf("%zu", p->files.n);
    int64_t size = 0;
    for (size_t i = 0; i < p->files.n; i++) {
        size += p->files.adds[i].size;
    }
    TRIB_CLEANUP(trib_cleanup_free) char *bytes = trib_asprintf("%" PRId64, size);
    const struct trib_txn txn = {.app_id = app, .version = s->version + 1, .last_updated_ms = -1};
    const char *const partition[] = {"ingest_date"};
    const struct trib_kv params[] = {{(char *)"mode", (char *)"Append"},
                                     {(char *)"partitionBy", (char *)"[\"ingest_date\"]"}};
    const struct trib_kv metrics[] = {{(char *)"numFiles", added},
                                      {(char *)"numOutputRows", rows},
                                      {(char *)"numOutputBytes", bytes},
                                      {(char *)"numSourceFiles", files},
                                      {(char *)"numQuarantined", bad}};
    const struct trib_protocol protocol = {.reader = 1, .writer = 2};
    const struct trib_commit c = {
        .read_version = s->version,
        .operation = "WRITE",
        .params = params,
        .n_params = 2,
        .metrics = metrics,
        .n_metrics = 5,
        .blind_append = false,
        .txn = &txn,
        .n_txn = 1,
        .new_metadata =
            s->version < 0 || b->item_changed || p->properties.changed || !trib_type_same(&s->schema, &p->schema),
        .schema = &p->schema,
        .partition_columns = partition,
        .n_partition_columns = 1,
        .properties = p->properties.kv,
        .n_properties = p->properties.n,
        .protocol = s->version < 0 ? &protocol : NULL,
        .adds = p->files.adds,
        .n_adds = p->files.n,
    };
    return trib_delta_commit(&in->delta, s, &c, err);
}

static bool same_properties(const struct trib_snapshot *s, const struct trib_kv *kv, size_t n)
{
    if (s->n_properties != n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const char *value = trib_snapshot_property(s, kv[i].key);
        if (value == NULL || kv[i].value == NULL || strcmp(value, kv[i].value) != 0) {
            return false;
        }
    }
    return true;
}

/* After a conflict: may the same files be committed over what is there now? */
static int may_rebase(struct trib_ingest *in, const struct trib_source_batch *source, bool *ret, struct trib_err *err)
{
    struct trib_type schema;
    bool was = in->snapshot.version >= 0;
    if (was) {
        trib_type_copy(&schema, &in->snapshot.schema);
    }
    size_t n = was ? in->snapshot.n_properties : 0;
    struct trib_properties old = {.kv = trib_calloc(n + 1, sizeof(struct trib_kv)), .n = n};
    for (size_t i = 0; i < n; i++) {
        const struct trib_kv *kv = &in->snapshot.properties[i];
        old.kv[i] = (struct trib_kv){trib_strdup(kv->key), kv->value == NULL ? NULL : trib_strdup(kv->value)};
    }
    int rc = refresh(in, err);
    bool same =
        rc == 0 && was && trib_type_same(&schema, &in->snapshot.schema) && same_properties(&in->snapshot, old.kv, n);
    for (size_t i = 0; same && i < source->n; i++) {
        same = !trib_taken_has(in->taken, trib_view_of(source->files[i].key));
    }
    if (was) {
        trib_type_free(&schema);
    }
    trib_properties_free(&old);
    *ret = same;
    return rc;
}

/* CONFLICT: another writer changed what the batch rests on; nothing of it is left, the caller begins again. */
static int commit_bronze(struct trib_ingest *in, const struct trib_source_batch *source, struct trib_batch *b,
                         const char *kind, int64_t now_us, struct trib_err *err)
{
    struct pending p = {0};
    struct trib_err own = {0};
    int rc = prepare(in, source, b, kind, now_us, &p, &own);
    for (int attempt = 0; rc == 0; attempt++) {
        rc = commit_once(in, source, b, &p, &own);
        if (rc != TRIB_E_CONFLICT || attempt == MAX_ATTEMPTS) {
            break;
        }
        bool again = false;
        struct trib_err later = {0};
        int rc2 = may_rebase(in, source, &again, &later);
        if (rc2 != 0) {
            rc = rc2;
            own = later;
        } else if (again) {
            rc = 0;
        }
    }
    trib_delta_files_end(&in->delta, &p.files, rc, &own);
    pending_free(&p);
    if (rc != 0) {
        *err = own;
    }
    return rc;
}

/* ---- the step ----------------------------------------------------------------------------------------------------- */

static void note_taken(struct trib_ingest *in, const struct trib_source_batch *source)
{
    for (size_t i = 0; i < source->n; i++) {
        struct trib_view name = trib_view_of(source->files[i].key);
        trib_taken_add(in->taken, name);
        (void)trib_taken_changed(in->taken, name, source->files[i].size, source->files[i].mtime_us);
    }
}

static void checkpoint(struct trib_ingest *in)
{
    struct trib_err err;
    if (trib_delta_refresh(&in->delta, &in->snapshot, &err) != 0 ||
        trib_delta_maybe_checkpoint(&in->delta, &in->snapshot, &err) != 0) {
        trib_logkv(in->env->log, TRIB_LOG_WARN, "checkpoint failed; the commit stands", "path", in->delta.path, "error",
                   err.msg, NULL);
    }
}

static void log_news(const struct trib_ingest *in, const struct trib_batch *b)
{
    if (b->item_changed && b->new_fields != NULL && *b->new_fields != '\0') {
        trib_logkv(in->env->log, TRIB_LOG_DEBUG, "new fields", "table", in->o.table, "fields", b->new_fields, NULL);
    }
}

/* Commits a decoded batch. CONFLICT: begin again. */
static int commit_batch(struct trib_ingest *in, const struct trib_source_batch *source, struct trib_batch *b,
                        int64_t now_us, struct trib_step *ret, struct trib_err *err)
{
    const char *kind = NULL;
    int64_t quarantined = 0, version = -1;
    TRIB_TRY(check_kinds(in, source, b, &kind, err));
    TRIB_TRY(commit_side_tables(in, source, b, now_us, &quarantined, err));
    if (b->rows > 0) {
        TRIB_TRY(commit_bronze(in, source, b, kind, now_us, err));
        version = in->snapshot.version + 1;
        trib_taken_covers(in->taken, version);
        log_news(in, b);
        checkpoint(in);
    }
    note_taken(in, source);
    *ret = (struct trib_step){
        .worked = true,
        .due_us = now_us,
        .rows_in = b->rows + b->bad,
        .rows_out = b->rows,
        .bytes_in = source->bytes,
        .files_in = (int64_t)source->n,
        .quarantined = quarantined,
        .rescued = b->rescued,
        .version = version,
    };
    return 0;
}

/*
 * Landed objects are written under names that would be used again if they vanished (stage/landing.h). A file is taken by its name,
 * so what Bronze is to hold must be durable in the landing first, whoever wrote it.
 */
static int settle_landed(const struct trib_ingest *in, const struct trib_source_batch *source, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *before = trib_strdup("");
    bool landed = in->o.landing != NULL || in->o.type == TRIB_SOURCE_SNAPSHOT;
    for (size_t i = 0; landed && i < source->n; i++) {
        const char *key = source->files[i].key, *slash = strrchr(key, '/');
        char *folder = trib_strndup(key, slash == NULL ? 0 : (size_t)(slash + 1 - key));
        int rc = strcmp(folder, before) == 0 ? 0 : trib_store_settle(in->o.source, folder, key, err);
        free(before);
        before = folder;
        TRIB_TRY(rc);
    }
    return 0;
}

/* Nothing is new, but what the epochs are has changed: a snapshot without items is complete with its seal. */
static int tell_epochs(struct trib_ingest *in, int64_t now_us, struct trib_step *ret, struct trib_err *err)
{
    const struct trib_source_batch none = {0};
    TRIB_CLEANUP(trib_cleanup_free) char *epochs = in->snapshot.version < 0 ? NULL : epochs_after(in, &none);
    const char *stored = epochs == NULL ? NULL : trib_snapshot_property(&in->snapshot, TRIB_EPOCHS_PROPERTY);
    if (epochs == NULL || (stored != NULL && strcmp(stored, epochs) == 0)) {
        return 0;
    }
    struct trib_batch b = {.with_old = trib_type_find(&in->snapshot.schema, "old_record") != NULL};
    trib_type_copy(&b.item, trib_bronze_item(&in->snapshot.schema));
    int rc = commit_bronze(in, &none, &b, NULL, now_us, err);
    trib_type_free(&b.item);
    if (rc == 0) {
        *ret = (struct trib_step){.worked = true, .due_us = now_us, .version = in->snapshot.version + 1};
    }
    return rc;
}

/* One attempt. *ret_again: begin again (CONFLICT, or an export was refused and the rest goes on). */
static int attempt(struct trib_ingest *in, int64_t now_us, struct trib_step *ret, bool *ret_again, struct trib_err *err)
{
    TRIB_TRY(refresh(in, err));
    struct trib_source_batch source = {0};
    TRIB_TRY(trib_discover_next(in->discover, in->taken, &source, err));
    if (source.n == 0) {
        *ret = (struct trib_step){.due_us = now_us + 1000000, .version = -1};
        return tell_epochs(in, now_us, ret, err);
    }
    const struct trib_batch_opts bo = {
        .env = in->env,
        .o = &in->o,
        .source = &source,
        .item = in->snapshot.version < 0 ? NULL : trib_bronze_item(&in->snapshot.schema),
        .with_old = in->snapshot.version >= 0 && trib_type_find(&in->snapshot.schema, "old_record") != NULL,
        .now_us = now_us,
    };
    struct trib_batch b = {0};
    size_t culprit = SIZE_MAX;
    int rc = settle_landed(in, &source, err);
    if (rc == 0) {
        rc = trib_batch_decode(&bo, &b, &culprit, err);
    }
    if (rc == TRIB_E_DATA && culprit != SIZE_MAX) {
        trib_discover_refuse(in->discover, &source.files[culprit], err);
        *ret_again = true;
        rc = 0;
    } else if (rc == 0) {
        rc = commit_batch(in, &source, &b, now_us, ret, err);
        trib_batch_free(&b);
    }
    if (rc != 0 || *ret_again) {
        trib_discover_restart(in->discover);
    }
    trib_source_batch_free(&source);
    return rc;
}

int trib_ingest_step(struct trib_ingest *in, int64_t now_us, struct trib_step *ret, struct trib_err *err)
{
    struct trib_err own = {0};
    int conflicts = 0;
    for (;;) {
        bool again = false;
        int rc = attempt(in, now_us, ret, &again, &own);
        if (rc == TRIB_E_CANCELLED && in->env->stop_asked != NULL && in->env->stop_asked(in->env->stop_ctx)) {
            *ret = (struct trib_step){.due_us = now_us, .version = -1}; /* nothing was begun that must be finished */
            return 0;
        }
        if (rc == TRIB_E_CONFLICT && conflicts++ < MAX_ATTEMPTS) {
            continue;
        }
        if (rc == TRIB_E_CONFLICT) {
            return trib_err_set(err, TRIB_E_AGAIN, "table %s: another writer of Bronze was first %d times; run again",
                                in->o.table, conflicts);
        }
        if (rc == 0 && again) {
            continue;
        }
        if (rc != 0) {
            *err = own;
        }
        return rc;
    }
}
