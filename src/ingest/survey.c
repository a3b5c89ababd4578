/*
 * What the source holds beside Bronze (ingest.h, trib_ingest_survey): waiting files, and taken ones that were written again.
 *
 * Nobody remembers the times of taken files across processes. But a file that was modified after the commit that took it, by the
 * times of the file and of Bronze's data file, was certainly written again: that much the lake and the source tell any process.
 * Never writes. Threads: one.
 */
#include <stdlib.h>

#include "ingest/discover.h"
#include "ingest/settings.h"
#include "stage/hmap.h"

struct survey {
    struct trib_hmap times; /* taken file → its modification time, ms; 0: before its commit */
    int64_t since_ms;       /* only what was modified later can have changed */
    char *name;             /* second listing: the first that changed */
};

static int note_time(void *ctx, const struct trib_object *o)
{
    struct survey *s = ctx;
    if (o->mtime_us / 1000 > s->since_ms) {
        trib_hmap_put(&s->times, trib_hkey_of(trib_view_of(o->key)), (uint64_t)(o->mtime_us / 1000), NULL);
    }
    return 0;
}

static int find_name(void *ctx, const struct trib_object *o)
{
    struct survey *s = ctx;
    const uint64_t *t = trib_hmap_get(&s->times, trib_hkey_of(trib_view_of(o->key)));
    if (t == NULL || *t == 0) {
        return 0;
    }
    s->name = trib_strdup(o->key);
    return 1;
}

/* Forgets the files that a commit of this table took after they were modified. */
static int forget_unchanged(struct survey *s, const struct trib_delta *d, const struct trib_snapshot *t,
                            int64_t *io_left, struct trib_err *err)
{
    if (t->version < 0 || t->n_adds == 0 || *io_left == 0) {
        return 0;
    }
    TRIB_CLEANUP(trib_buf_free) struct trib_buf sql;
    trib_buf_init(&sql, (size_t)256 << 20);
    trib_buf_adds(&sql, "SELECT DISTINCT \"_ingest_file\", \"_file\" FROM (");
    TRIB_TRY(trib_delta_select(d, t, t->adds, t->n_adds, true, &sql, err));
    trib_buf_adds(&sql, ") WHERE \"_ingest_file\" IS NOT NULL");
    TRIB_TRY(trib_buf_check(&sql, "query for the times of the taken files", err));
    struct trib_result *r = NULL;
    TRIB_TRY(trib_query(d->conn, sql.p, &r, err));
    const struct trib_chunk *chunk = NULL;
    int rc;
    while ((rc = trib_result_next(r, &chunk, err)) == 0 && chunk->rows > 0) {
        const struct trib_str *names = chunk->cols[0].data;
        const int64_t *files = chunk->cols[1].data;
        for (size_t i = 0; i < chunk->rows; i++) {
            uint64_t *time = trib_hmap_get(&s->times, trib_hkey_of(trib_str_view(&names[i])));
            if (time != NULL && *time != 0 && (int64_t)*time <= t->adds[files[i]].mtime_ms) {
                *time = 0;
                --*io_left;
            }
        }
    }
    trib_result_free(r);
    return rc;
}

static int changed_files(struct survey *s, const struct trib_env *env, struct trib_conn *conn,
                         const struct trib_ingest_opts *o, const struct trib_snapshot *bronze, int64_t *ret,
                         struct trib_err *err)
{
    int64_t left = (int64_t)s->times.n;
    struct trib_delta d = trib_env_delta(env, conn, trib_path_bronze(o->table));
    int rc = forget_unchanged(s, &d, bronze, &left, err);
    free(d.path);
    if (rc == 0 && left > 0) { /* or it left no row, and stands there */
        struct trib_snapshot files = {.version = -1};
        d = trib_env_delta(env, conn, trib_path_files(o->table));
        rc = trib_delta_load(&d, -1, &files, err);
        if (rc == 0) {
            rc = forget_unchanged(s, &d, &files, &left, err);
        }
        trib_snapshot_free(&files);
        free(d.path);
    }
    *ret = left;
    return rc;
}

int trib_ingest_survey(const struct trib_env *env, struct trib_conn *conn, const struct trib_ingest_opts *o,
                       const struct trib_snapshot *bronze, struct trib_ingest_survey *ret, struct trib_err *err)
{
    struct trib_ingest_survey out = {.oldest_us = -1};
    struct survey s = {.since_ms = bronze->version < 0 ? INT64_MAX : bronze->created_ms};
    struct trib_taken *taken = trib_taken_new(env, o->table);
    struct trib_discover *d = trib_discover_new(env, o);
    int rc = trib_taken_refresh(taken, conn, bronze, err);
    if (rc == 0) {
        rc = trib_discover_survey(d, taken, note_time, &s, &out.pending, &out.oldest_us, &out.refused, err);
    }
    if (rc == 0 && s.times.n > 0) {
        rc = changed_files(&s, env, conn, o, bronze, &out.changed, err);
    }
    if (rc == 0 && out.changed > 0) {
        int64_t pending, oldest_us;
        struct trib_err refused;
        rc = trib_discover_survey(d, taken, find_name, &s, &pending, &oldest_us, &refused, err);
        out.changed_name = s.name;
        s.name = NULL;
    }
    trib_discover_free(d);
    trib_taken_free(taken);
    trib_hmap_free(&s.times);
    if (rc != 0) {
        free(out.changed_name);
        free(s.name);
        return rc;
    }
    *ret = out;
    return 0;
}
