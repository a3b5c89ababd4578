/*
 * The merge stage: one step brings one Silver target from the Bronze version it has merged to the newest one.
 *
 *   load Bronze and Silver → schema (schema.c) → narrow events (events.c) → fold or runs (fold.c, history.c)
 *   → new files and the commit (write.c)
 *
 * State between steps is a cache only (converters). A crash anywhere leaves Silver at a whole version, position and data
 * together. Runs on the caller's thread.
 */
#include "merge/merge.h"

#include <stdio.h>
#include <stdlib.h>

#include "merge/own.h"
#include "stage/landing.h"

static void reserve(struct trib_merge *m)
{
    const char *names[8];
    enum trib_type_id types[8];
    size_t n = trib_merge_own_columns(m, names, types);
    static const char *const more[] = {"_rescued_data", "_file", "_pos"};
    m->reserved = trib_calloc(n + 3, sizeof *m->reserved);
    for (size_t i = 0; i < n; i++) {
        m->reserved[m->n_reserved++] = names[i];
    }
    for (size_t i = 0; i < 3; i++) {
        m->reserved[m->n_reserved++] = more[i];
    }
    m->o.schema.reserved = m->reserved;
    m->o.schema.n_reserved = m->n_reserved;
}

int trib_merge_new(const struct trib_env *env, const struct trib_merge_opts *o, struct trib_merge **ret,
                   struct trib_err *err)
{
    struct trib_merge *m = trib_calloc(1, sizeof *m);
    m->env = env;
    m->o = *o;
    reserve(m);
    m->app = trib_app_silver(o->pipeline, o->domain, o->silver);
    m->bronze_path = trib_path_bronze(o->table);
    m->silver_path = trib_path_silver(o->domain, o->silver);
    int rc = trib_conn_open(env->engine, &m->conn, err);
    if (rc == 0) {
        m->bronze = trib_env_delta(env, m->conn, m->bronze_path);
        m->silver = trib_env_delta(env, m->conn, m->silver_path);
        m->digest_fn = trib_asprintf("trib_%p_digest", (void *)m);
        rc = trib_register_digest(m->conn, m->digest_fn, err);
    }
    if (rc == 0) {
        rc = trib_marks_new(m->conn, trib_asprintf("trib_%p_won", (void *)m), &m->won, err);
    }
    if (rc == 0) {
        rc = trib_marks_new(m->conn, trib_asprintf("trib_%p_gone", (void *)m), &m->gone, err);
    }
    if (rc == 0 && o->sequence_attribute != NULL) {
        char *prefix = trib_asprintf("trib_%p_version", (void *)m);
        rc = trib_version_new(m->conn, prefix, o->sequence_attribute, &m->version, err);
        free(prefix);
    }
    if (rc != 0) {
        trib_merge_free(m);
        return rc;
    }
    *ret = m;
    return 0;
}

void trib_merge_free(struct trib_merge *m)
{
    if (m == NULL) {
        return;
    }
    trib_conn_close(m->conn);
    trib_convert_free(m->in);
    trib_convert_free(m->rewrite);
    trib_where_free(m->where);
    trib_marks_free(m->won);
    trib_marks_free(m->gone);
    trib_version_free(m->version);
    free(m->app);
    free(m->bronze_path);
    free(m->silver_path);
    free(m->reserved);
    free(m->digest_fn);
    free(m);
}

/* Bronze files to merge, and all live ones behind them. */
static int choose_files(struct merge_run *r, struct trib_err *err)
{
    struct trib_merge *m = r->m;
    int rc = r->from < 0 ? TRIB_E_NOT_FOUND
                         : trib_delta_changes(&m->bronze, r->from, r->b.version, &r->batch, &r->n_batch, err);
    r->files = trib_calloc(r->b.n_adds * 2 + 1, sizeof *r->files);
    if (rc == TRIB_E_NOT_FOUND) { /* a new target, or one behind the cleaned log */
        trib_err_clear(err);
        rc = 0;
        r->from = -1;
        for (size_t i = 0; i < r->b.n_adds; i++) {
            r->files[r->n_files++] = &r->b.adds[i];
        }
        r->n_batch = r->n_files;
        return 0;
    }
    if (rc != 0) {
        return rc;
    }
    free(r->files);
    r->files = trib_calloc(r->b.n_adds + r->n_batch + 1, sizeof *r->files);
    for (size_t i = 0; i < r->n_batch; i++) {
        r->files[r->n_files++] = &r->batch[i];
    }
    for (size_t i = 0; i < r->b.n_adds; i++) {
        bool in_batch = false;
        for (size_t k = 0; k < r->n_batch && !in_batch; k++) {
            in_batch = strcmp(r->batch[k].path, r->b.adds[i].path) == 0;
        }
        if (!in_batch) {
            r->files[r->n_files++] = &r->b.adds[i];
        }
    }
    return 0;
}

int trib_merge_is_through(const struct trib_merge_opts *o, const struct trib_delta *bronze,
                          const struct trib_snapshot *b, const struct trib_snapshot *silver, bool *ret,
                          struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *app = trib_app_silver(o->pipeline, o->domain, o->silver);
    int64_t from = trib_snapshot_txn(silver, app);
    *ret = b->version < 0 ? silver->version < 0 : silver->version >= 0 && from >= b->version;
    if (*ret || b->version < 0 || silver->version < 0 || from < 0) {
        return 0;
    }
    struct trib_add *adds = NULL;
    size_t n = 0;
    int rc = trib_delta_changes(bronze, from, b->version, &adds, &n, err);
    *ret = rc == 0 && n == 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        trib_add_free(&adds[i]);
    }
    free(adds);
    if (rc == TRIB_E_NOT_FOUND) { /* behind the cleaned log: it begins anew */
        trib_err_clear(err);
        rc = 0;
    }
    return rc;
}

static int run(struct merge_run *r, struct trib_step *ret, struct trib_err *err)
{
    struct trib_merge *m = r->m;
    TRIB_TRY(trib_delta_load(&m->bronze, -1, &r->b, err));
    if (r->b.version < 0) {
        return 0;
    }
    TRIB_TRY(trib_delta_load(&m->silver, -1, &r->s, err));
    TRIB_TRY(trib_merge_check_settings(r, err));
    if (r->s.version < 0 && trib_epochs_wait(trib_snapshot_property(&r->b, TRIB_EPOCHS_PROPERTY))) {
        return 0; /* a new table is published whole */
    }
    r->from = trib_snapshot_txn(&r->s, m->app);
    if (r->from >= r->b.version) {
        return 0;
    }
    TRIB_TRY(choose_files(r, err));
    r->b_item = trib_bronze_item(&r->b.schema);
    if (r->n_batch == 0 || r->b_item == NULL || r->b_item->n_fields == 0) {
        return 0;
    }
    r->b_old = trib_type_find(&r->b.schema, "old_record") != NULL;
    TRIB_TRY(trib_merge_schema(r, err));
    TRIB_TRY(trib_merge_events(r, NULL, err));
    TRIB_TRY(trib_merge_late(r, err));
    bool changed = false;
    TRIB_TRY(m->o.history ? trib_merge_history(r, &changed, err) : trib_merge_fold(r, &changed, err));
    /* What led to outcome is not needed any more; it may be most of what the engine holds. */
    TRIB_TRY(trib_exec(
        m->conn,
        "DROP TABLE IF EXISTS ev; DROP TABLE IF EXISTS sv; DROP TABLE IF EXISTS several; DROP TABLE IF EXISTS rest; "
        "DROP TABLE IF EXISTS multi; DROP TABLE IF EXISTS fold; DROP TABLE IF EXISTS runs; DROP TABLE IF EXISTS n",
        err));
    return trib_merge_write(r, changed, ret, err);
}

int trib_merge_step(struct trib_merge *m, int64_t now_us, struct trib_step *ret, struct trib_err *err)
{
    *ret = (struct trib_step){.due_us = INT64_MAX, .version = -1};
    struct merge_run r = {.m = m, .from = -1, .now_us = now_us};
    r.s.version = r.b.version = -1;
    int rc = run(&r, ret, err);
    trib_marks_clear(m->won);
    trib_marks_clear(m->gone);
    for (size_t i = 0; r.batch != NULL && i < r.n_batch; i++) {
        trib_add_free(&r.batch[i]);
    }
    free(r.batch);
    free(r.files);
    trib_snapshot_free(&r.b);
    trib_snapshot_free(&r.s);
    trib_type_free(&r.item);
    trib_type_free(&r.new_item);
    trib_type_free(&r.schema);
    ret->late = r.late;
    ret->quarantined = r.quarantined;
    if (rc != 0) {
        (void)trib_err_wrap(err, "merge %s into silver %s/%s", m->o.table, m->o.domain, m->o.silver);
    }
    return rc;
}
