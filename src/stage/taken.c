/*
 * Which files were taken (spec: merge.md, Positions; databricks.md, Hand-over), and the `_files` table.
 *
 * Owns <lake>/bronze/_files/<table>: names of files that left no row in Bronze, or whose rows are gone. What is in Bronze and there is
 * the truth; the set in memory is a cache of it, stamped with the versions that it covers. A name in the set may be
 * stale only in one direction: added by a commit of our own that is durable.
 * Threads: one at a time. A crash loses the cache only.
 */
#include <stdlib.h>

#include "stage/hmap.h"
#include "stage/stage.h"

enum { MAX_ATTEMPTS = 16 };

struct trib_taken {
    const struct trib_env *env;
    char *table;
    struct trib_hmap names;
    int64_t bronze_version; /* covered */
    char *bronze_id;        /* of the table that it was read from: a table made again starts over */
    struct trib_snapshot files;
    bool files_loaded;
    int64_t files_version;
};

struct trib_taken *trib_taken_new(const struct trib_env *env, const char *table)
{
    struct trib_taken *t = trib_calloc(1, sizeof *t);
    *t = (struct trib_taken){.env = env, .table = trib_strdup(table), .bronze_version = -1, .files_version = -1};
    return t;
}

static void forget(struct trib_taken *t)
{
    trib_hmap_free(&t->names);
    free(t->bronze_id);
    t->bronze_id = NULL;
    t->bronze_version = -1;
    t->files_version = -1;
}

void trib_taken_free(struct trib_taken *t)
{
    if (t != NULL) {
        forget(t);
        if (t->files_loaded) {
            trib_snapshot_free(&t->files);
        }
        free(t->table);
        free(t);
    }
}

bool trib_taken_has(const struct trib_taken *t, struct trib_view name)
{
    return trib_hmap_get(&t->names, trib_hkey_of(name)) != NULL;
}

bool trib_taken_changed(struct trib_taken *t, struct trib_view name, int64_t size, int64_t mtime_us)
{
    uint64_t *seen = trib_hmap_get(&t->names, trib_hkey_of(name));
    if (seen == NULL) {
        return false;
    }
    uint64_t now = (uint64_t)size * UINT64_C(0x9E3779B97F4A7C15) ^ (uint64_t)mtime_us;
    now = now == 0 ? 1 : now; /* 0: not seen yet */
    bool changed = *seen != 0 && *seen != now;
    *seen = now;
    return changed;
}

size_t trib_taken_count(const struct trib_taken *t) { return t->names.n; }
void trib_taken_add(struct trib_taken *t, struct trib_view name)
{
    trib_hmap_put(&t->names, trib_hkey_of(name), 0, NULL);
}
void trib_taken_covers(struct trib_taken *t, int64_t bronze_version) { t->bronze_version = bronze_version; }

/* Adds the distinct names in these files; reads one column. */
static int read_names(struct trib_hmap *to, const struct trib_delta *d, const struct trib_snapshot *s,
                      const struct trib_add *adds, size_t n, struct trib_err *err)
{
    if (n == 0) {
        return 0;
    }
    struct trib_buf inner, sql;
    trib_buf_init(&inner, (size_t)256 << 20);
    trib_buf_init(&sql, (size_t)256 << 20);
    struct trib_result *r = NULL;
    int rc = trib_delta_select(d, s, adds, n, false, &inner, err);
    if (rc == 0) {
        trib_buf_adds(&sql, "SELECT DISTINCT \"_ingest_file\" FROM (");
        trib_buf_add(&sql, inner.p, inner.n);
        trib_buf_adds(&sql, ") WHERE \"_ingest_file\" IS NOT NULL");
        rc = trib_buf_check(&sql, "query for the taken files", err);
    }
    if (rc == 0) {
        rc = trib_query(d->conn, sql.p, &r, err);
    }
    const struct trib_chunk *chunk = NULL;
    while (rc == 0 && (rc = trib_result_next(r, &chunk, err)) == 0 && chunk->rows > 0) {
        const struct trib_str *names = chunk->cols[0].data;
        for (size_t i = 0; i < chunk->rows; i++) {
            trib_hmap_put(to, trib_hkey_of(trib_str_view(&names[i])), 0, NULL);
        }
    }
    if (r != NULL) {
        trib_result_free(r);
    }
    trib_buf_free(&inner);
    trib_buf_free(&sql);
    return rc;
}

static void free_adds(struct trib_add *adds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        trib_add_free(&adds[i]);
    }
    free(adds);
}

/* What commits after `from` added; the whole snapshot when the log does not reach back that far. */
static int read_news(struct trib_hmap *to, const struct trib_delta *d, const struct trib_snapshot *s, int64_t from,
                     struct trib_err *err)
{
    if (from >= 0) {
        struct trib_add *adds = NULL;
        size_t n = 0;
        int rc = trib_delta_changes(d, from, s->version, &adds, &n, err);
        if (rc == 0) {
            rc = read_names(to, d, s, adds, n, err);
            free_adds(adds, n);
            return rc;
        }
        if (rc != TRIB_E_NOT_FOUND) {
            return rc;
        }
    }
    return read_names(to, d, s, s->adds, s->n_adds, err);
}

static int refresh_files(struct trib_taken *t, struct trib_conn *conn, struct trib_err *err)
{
    struct trib_delta d = trib_env_delta(t->env, conn, trib_path_files(t->table));
    int rc;
    if (t->files_loaded) {
        rc = trib_delta_refresh(&d, &t->files, err);
    } else {
        rc = trib_delta_load(&d, -1, &t->files, err);
        t->files_loaded = rc == 0;
    }
    if (rc == 0 && t->files.version > t->files_version) {
        rc = read_news(&t->names, &d, &t->files, t->files_version, err);
        if (rc == 0) {
            t->files_version = t->files.version;
        }
    }
    free(d.path);
    return rc;
}

int trib_taken_refresh(struct trib_taken *t, struct trib_conn *conn, const struct trib_snapshot *bronze,
                       struct trib_err *err)
{
    bool other = t->bronze_id != NULL && bronze->table_id != NULL && strcmp(t->bronze_id, bronze->table_id) != 0;
    if (other || bronze->version < t->bronze_version) {
        forget(t);
    }
    TRIB_TRY(refresh_files(t, conn, err));
    if (bronze->version > t->bronze_version) {
        struct trib_delta d = trib_env_delta(t->env, conn, trib_path_bronze(t->table));
        int rc = read_news(&t->names, &d, bronze, t->bronze_version, err);
        free(d.path);
        TRIB_TRY(rc);
        t->bronze_version = bronze->version;
    }
    if (t->bronze_id == NULL && bronze->table_id != NULL) {
        t->bronze_id = trib_strdup(bronze->table_id);
    }
    return 0;
}

/* ---- `_files` ---- */

struct names_writer {
    const char *const *names, *const *reasons;
    size_t n, at;
    const struct trib_hmap *present;
    int64_t now_us;
};

static int fill_names(void *ctx, struct trib_chunk *chunk, struct trib_err *err)
{
    (void)err;
    struct names_writer *w = ctx;
    chunk->rows = 0;
    for (; w->at < w->n && chunk->rows < chunk->capacity; w->at++) {
        struct trib_view name = trib_view_of(w->names[w->at]), reason = trib_view_of(w->reasons[w->at]);
        if (trib_hmap_get(w->present, trib_hkey_of(name)) == NULL) {
            ((struct trib_str *)chunk->cols[0].data)[chunk->rows] = trib_str_make(name.p, name.n);
            ((struct trib_str *)chunk->cols[1].data)[chunk->rows] = trib_str_make(reason.p, reason.n);
            ((int64_t *)chunk->cols[2].data)[chunk->rows] = w->now_us;
            chunk->rows++;
        }
    }
    return 0;
}

static int commit_names(const struct trib_delta *d, const struct trib_snapshot *s, const char *pipeline,
                        const char *table, struct names_writer *w, struct trib_err *err)
{
    struct trib_type schema = trib_type_simple(TRIB_T_STRUCT);
    trib_type_add(&schema, "_ingest_file", trib_type_simple(TRIB_T_STRING));
    trib_type_add(&schema, "_reason", trib_type_simple(TRIB_T_STRING));
    trib_type_add(&schema, "_ingest_ts", trib_type_simple(TRIB_T_TIMESTAMP));
    TRIB_CLEANUP(trib_cleanup_free) char *app = trib_app_bronze(pipeline, table);
    struct trib_delta_files files = {0};
    const struct trib_parquet_opts po = {.compression = TRIB_ZSTD};
    w->at = 0;
    int rc = trib_delta_files_write(d, &schema, fill_names, w, &po, NULL, 0, &files, err);
    if (rc == 0 && files.n > 0) {
        const struct trib_txn txn = {.app_id = app, .version = s->version + 1, .last_updated_ms = -1};
        const struct trib_protocol protocol = {.reader = 1, .writer = 2};
        const struct trib_kv params[] = {{(char *)"mode", (char *)"Append"}};
        const struct trib_kv properties[] = {{(char *)"delta.appendOnly", (char *)"true"},
                                             {(char *)"tributary.pipeline", (char *)pipeline}};
        const struct trib_commit c = {
            .read_version = s->version,
            .operation = "WRITE",
            .params = params,
            .n_params = 1,
            .blind_append = true,
            .txn = &txn,
            .n_txn = 1,
            .new_metadata = s->version < 0,
            .schema = &schema,
            .properties = properties,
            .n_properties = 2,
            .protocol = s->version < 0 ? &protocol : NULL,
            .adds = files.adds,
            .n_adds = files.n,
        };
        rc = trib_delta_commit(d, s, &c, err);
    }
    trib_delta_files_end(d, &files, rc, err);
    trib_type_free(&schema);
    return rc;
}

int trib_files_commit(const struct trib_env *env, struct trib_conn *conn, const char *pipeline, const char *table,
                      const char *const *names, const char *const *reasons, size_t n, int64_t now_us,
                      struct trib_err *err)
{
    if (n == 0) {
        return 0;
    }
    struct trib_delta d = trib_env_delta(env, conn, trib_path_files(table));
    struct trib_snapshot s = {.version = -1};
    struct trib_hmap present = {0};
    int rc = trib_delta_load(&d, -1, &s, err);
    bool loaded = rc == 0;
    int64_t covered = -1;
    for (int attempt = 0; rc == 0; attempt++) {
        if (s.version > covered) {
            rc = read_news(&present, &d, &s, covered, err);
            covered = s.version;
        }
        if (rc == 0) {
            struct names_writer w = {.names = names, .reasons = reasons, .n = n, .present = &present, .now_us = now_us};
            rc = commit_names(&d, &s, pipeline, table, &w, err);
        }
        if (rc != TRIB_E_CONFLICT) {
            break;
        }
        rc = attempt == MAX_ATTEMPTS
                 ? trib_err_set(err, TRIB_E_AGAIN, "another writer was first %d times; run again", attempt)
                 : trib_delta_refresh(&d, &s, err);
    }
    if (rc == 0) {
        struct trib_err later;
        if (trib_delta_refresh(&d, &s, &later) == 0 && trib_delta_maybe_checkpoint(&d, &s, &later) != 0) {
            trib_logkv(env->log, TRIB_LOG_WARN, "checkpoint failed", "path", d.path, "error", later.msg, NULL);
        }
    } else {
        rc = trib_err_wrap(err, "list of files without rows of table %s", table);
    }
    if (loaded) {
        trib_snapshot_free(&s);
    }
    trib_hmap_free(&present);
    free(d.path);
    return rc;
}
