/*
 * What stands in the lake and what is still to be done (pipeline.h, trib_pipeline_state). Reads the logs, and data only where a
 * question needs it: names of taken files, rescued data. Writes nothing. Runs on the caller's thread.
 */
#include <stdlib.h>

#include "pipeline/own.h"

enum { LAG_COMMITS = 200, NOTE_MAX = 1 << 16 };

struct survey {
    struct trib_pipeline *p;
    struct trib_conn *conn;
    int64_t now_us;
    trib_state_fn fn;
    void *ctx;
    struct trib_err failed; /* the first table that could not be read */
};

/* Live rows; -1 where a writer left no statistics. */
static int64_t live_rows(const struct trib_snapshot *t)
{
    int64_t rows = 0;
    for (size_t i = 0; i < t->n_adds; i++) {
        if (t->adds[i].rows < 0) {
            return -1;
        }
        rows += t->adds[i].rows - (t->adds[i].dv != NULL ? t->adds[i].dv->cardinality : 0);
    }
    return rows;
}

static struct trib_state state_of(const char *table, const char *layer, const char *target,
                                  const struct trib_snapshot *t)
{
    bool there = t->version >= 0;
    return (struct trib_state){.table = table,
                               .layer = layer,
                               .target = target,
                               .kind = there ? TRIB_STATE_CAUGHT_UP : TRIB_STATE_NEW,
                               .rows = there ? live_rows(t) : -1,
                               .version = there ? t->version : -1,
                               .committed_us = there ? t->timestamp_ms * 1000 : -1,
                               .merged = -1,
                               .pending = -1,
                               .lag_us = -1};
}

static void emit(const struct survey *s, struct trib_state *line, struct trib_buf *note)
{
    line->note = note->n > 0 && !note->overflow ? note->p : NULL;
    s->fn(s->ctx, line);
    trib_buf_free(note);
}

/* A table that cannot be read is a line too, and the others have theirs. The first failure is kept for the end. */
static void unreadable(struct survey *s, const char *table, const char *layer, const char *target,
                       const struct trib_err *err)
{
    struct trib_state line = state_of(table, layer, target, &(struct trib_snapshot){.version = -1});
    struct trib_buf note;
    trib_buf_init(&note, NOTE_MAX);
    line.kind = TRIB_STATE_UNKNOWN;
    trib_buf_addf(&note, "cannot be read: %s", err->msg);
    emit(s, &line, &note);
    if (s->failed.code == TRIB_OK) {
        s->failed = *err;
    }
}

/* For the next remark. */
static struct trib_buf *also(struct trib_buf *note)
{
    trib_buf_adds(note, note->n > 0 ? "; " : "");
    return note;
}

static struct trib_delta delta_at(const struct survey *s, char *path)
{
    return trib_env_delta(s->p->env, s->conn, path);
}

static int load(const struct survey *s, char *path, struct trib_snapshot *ret, struct trib_err *err)
{
    struct trib_delta d = delta_at(s, path);
    int rc = trib_delta_load(&d, -1, ret, err);
    free(path);
    return rc;
}

static int64_t lag(const struct survey *s, int64_t since_us)
{
    return since_us < 0 ? -1 : s->now_us > since_us ? s->now_us - since_us : 0;
}

/* ---- Bronze: the source beside it ---- */

/* How far capture is, by what stands in the landing: the newest epoch, open shards, when they were read last. */
static int live_state(const struct survey *s, const struct trib_pipeline_table *t, struct trib_buf *note,
                      struct trib_err *err)
{
    static const int64_t day_us = INT64_C(86400) * 1000000;
    struct trib_landing *l = t->landing;
    int64_t written_us;
    TRIB_TRY(trib_landing_refresh(l, err));
    TRIB_TRY(trib_landing_read_hint(l, &written_us, err));
    if (l->n_epochs == 0) {
        trib_buf_adds(also(note), "not captured yet");
        return 0;
    }
    const struct trib_landing_epoch *e = &l->epochs[l->n_epochs - 1];
    if (e->snapshot && trib_landing_snapshot_of(l, e->number) == NULL) {
        trib_buf_addf(also(note), "epoch %u (%s) waits for its snapshot", e->number,
                      e->reason == NULL ? "?" : e->reason);
    } else if (e->number > 1) {
        trib_buf_addf(also(note), "epoch %u (%s)", e->number, e->reason == NULL ? "?" : e->reason);
    }
    size_t open = 0;
    int64_t oldest_us = INT64_MAX;
    for (size_t i = 0; i < l->n_shards; i++) {
        const struct trib_landing_shard *shard = &l->shards[i];
        if (!shard->ended) {
            int64_t seen_us = shard->read_us > shard->found_us ? shard->read_us : shard->found_us;
            open++;
            oldest_us = seen_us < oldest_us ? seen_us : oldest_us;
        }
    }
    if (open > 0) {
        int64_t ago_us = s->now_us > oldest_us ? s->now_us - oldest_us : 0, left_us = day_us - ago_us;
        trib_buf_addf(also(note),
                      "%zu open shard%s, read %lld s ago at the latest, %.1f h until the stream drops what is not read",
                      open, open == 1 ? "" : "s", (long long)(ago_us / 1000000),
                      left_us > 0 ? (double)left_us / 3600e6 : 0.0);
    }
    return 0;
}

static void source_state(const struct survey *s, struct trib_pipeline_table *t, const struct trib_snapshot *bronze,
                         struct trib_state *line, struct trib_buf *note)
{
    const struct trib_env *env = s->p->env;
    struct trib_ingest_survey source = {0};
    struct trib_fs_stat st;
    struct trib_err err = {0};
    int rc = t->cfg->capture.on ? 0 : env->fs->stat(env->fs->ctx, t->cfg->source_path, &st, &err);
    if (rc == 0) {
        rc = trib_pipeline_source(s->p, t, &err);
    }
    if (rc == 0 && t->cfg->capture.on) {
        rc = live_state(s, t, note, &err);
    }
    if (rc == 0) {
        rc = trib_ingest_survey(env, s->conn, &t->opts, bronze, &source, &err);
    }
    if (rc != 0) {
        line->kind = bronze->version < 0 ? TRIB_STATE_NEW : TRIB_STATE_UNKNOWN;
        trib_buf_addf(also(note), "the source cannot be listed from here: %s", err.msg);
        return;
    }
    line->pending = source.pending;
    line->lag_us = source.pending == 0 ? 0 : lag(s, source.oldest_us);
    if (source.pending > 0) {
        line->kind = bronze->version < 0 ? TRIB_STATE_NEW : TRIB_STATE_BEHIND;
        trib_buf_addf(also(note), "%lld file%s to take", (long long)source.pending, source.pending == 1 ? "" : "s");
    }
    if (source.refused.code != TRIB_OK) {
        trib_buf_addf(also(note), "%s%s",
                      source.refused.code == TRIB_E_NOT_FOUND ? "" : "an export is refused: ", source.refused.msg);
    }
    if (source.changed > 0) {
        trib_buf_addf(
            also(note),
            "%lld file%s changed after %s taken, and what changed is not ingested, write changes to a new file: %s%s",
            (long long)source.changed, source.changed == 1 ? "" : "s", source.changed == 1 ? "it was" : "they were",
            source.changed_name != NULL ? source.changed_name : "?", source.changed > 1 ? ", …" : "");
    }
    free(source.changed_name);
}

/* ---- Silver ---- */

/* When the oldest Bronze version that is not merged was committed; -1: not known. */
static int first_unmerged(const struct survey *s, const char *table, int64_t merged, int64_t behind, int64_t *ret_us,
                          struct trib_err *err)
{
    struct trib_delta d = delta_at(s, trib_path_bronze(table));
    struct trib_commit_info *commits = NULL;
    size_t n = 0;
    int rc = trib_delta_history(&d, (size_t)(behind < LAG_COMMITS ? behind : LAG_COMMITS), &commits, &n, err);
    *ret_us = -1;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (commits[i].version > merged && (*ret_us < 0 || commits[i].timestamp_ms * 1000 < *ret_us)) {
            *ret_us = commits[i].timestamp_ms * 1000;
        }
    }
    if (rc == 0) {
        trib_commit_info_free(commits, n);
    }
    free(d.path);
    return rc;
}

/* "a, b, c" → {a: "decimal(38,18)", …}, as it goes into the config. */
static void say_cure(struct trib_buf *note, const char *names)
{
    enum { SHOWN = 5 };
    struct trib_buf hints;
    trib_buf_init(&hints, NOTE_MAX);
    size_t n = 0;
    for (const char *at = names; at != NULL && *at != '\0'; n++) {
        const char *end = strstr(at, ", ");
        size_t len = end == NULL ? strlen(at) : (size_t)(end - at);
        if (n < SHOWN) {
            trib_buf_addf(&hints, "%s\"%.*s\": \"decimal(38,18)\"", n > 0 ? ", " : "", (int)len, at);
        }
        at = end == NULL ? NULL : end + 2;
    }
    trib_buf_addf(also(note), "numbers that are no bigint stay rescued; it is cured by schema.hints: {%s}%s", hints.p,
                  n > SHOWN ? " and more like it" : "");
    trib_buf_free(&hints);
}

static int rescued_state(const struct survey *s, const struct trib_pipeline_target *g,
                         const struct trib_snapshot *bronze, const struct trib_snapshot *silver, struct trib_buf *note,
                         struct trib_err *err)
{
    struct trib_merge_survey found = {0};
    TRIB_TRY(trib_merge_survey(s->p->env, s->conn, &g->opts, bronze, silver, &found, err));
    if (found.over_limit != NULL) {
        trib_buf_addf(also(note), "beyond schema.max_columns (%zu) these stay rescued: %.400s",
                      g->opts.schema.max_columns, found.over_limit);
    }
    if (found.numbers != NULL) {
        say_cure(note, found.numbers);
    }
    free(found.over_limit);
    free(found.numbers);
    return 0;
}

static int silver_line(const struct survey *s, const struct trib_pipeline_table *t,
                       const struct trib_pipeline_target *g, const struct trib_snapshot *bronze, struct trib_err *err)
{
    struct trib_snapshot silver = {.version = -1};
    struct trib_buf note;
    trib_buf_init(&note, NOTE_MAX);
    TRIB_TRY(load(s, trib_path_silver(g->opts.domain, g->opts.silver), &silver, err));
    TRIB_CLEANUP(trib_cleanup_free)
    char *app = trib_app_silver(s->p->config->pipeline, g->opts.domain, g->opts.silver);
    struct trib_state line = state_of(t->cfg->name, "silver", g->label, &silver);
    line.merged = silver.version < 0 ? -1 : trib_snapshot_txn(&silver, app);
    line.pending = bronze->version - line.merged;
    line.lag_us = 0;
    int rc = 0;
    if (line.pending > 0) {
        int64_t since_us;
        line.kind = silver.version < 0 ? TRIB_STATE_NEW : TRIB_STATE_BEHIND;
        trib_buf_addf(also(&note), "%lld Bronze version%s to merge", (long long)line.pending,
                      line.pending == 1 ? "" : "s");
        rc = first_unmerged(s, t->cfg->name, line.merged, line.pending, &since_us, err);
        line.lag_us = rc == 0 ? lag(s, since_us) : -1;
    }
    if (rc == 0) {
        rc = rescued_state(s, g, bronze, &silver, &note, err);
    }
    if (line.pending == 0 && line.rows == 0 && g->opts.where != NULL && live_rows(bronze) > 0) {
        trib_buf_addf(also(&note), "no item satisfies `where`: %s", g->opts.where);
    }
    if (rc == 0) {
        emit(s, &line, &note);
    } else {
        trib_buf_free(&note);
    }
    trib_snapshot_free(&silver);
    return rc;
}

/* ---- a table, a mart ---- */

static void table_lines(struct survey *s, struct trib_pipeline_table *t)
{
    const char *table = t->cfg->name;
    struct trib_snapshot bronze = {.version = -1}, quarantine = {.version = -1};
    struct trib_buf note;
    trib_buf_init(&note, NOTE_MAX);
    struct trib_err err = {0};
    if (load(s, trib_path_bronze(table), &bronze, &err) != 0) {
        unreadable(s, table, "bronze", NULL, &err);
        return;
    }
    struct trib_state line = state_of(table, "bronze", NULL, &bronze);
    source_state(s, t, &bronze, &line, &note);
    emit(s, &line, &note);
    for (size_t k = 0; k < t->n_targets; k++) {
        if (silver_line(s, t, &t->targets[k], &bronze, &err) != 0) {
            unreadable(s, table, "silver", t->targets[k].label, &err);
        }
    }
    if (load(s, trib_path_quarantine(table), &quarantine, &err) != 0) {
        unreadable(s, table, "quarantine", NULL, &err);
    } else if (quarantine.version >= 0) {
        line = state_of(table, "quarantine", NULL, &quarantine);
        if (line.rows != 0) {
            line.kind = TRIB_STATE_LOOK;
            trib_buf_adds(&note, "SELECT _ingest_file, _offset, _reason FROM quarantine.");
            trib_sql_ident(&note, table);
        }
        emit(s, &line, &note);
    }
    trib_snapshot_free(&bronze);
    trib_snapshot_free(&quarantine);
}

static void mart_line(struct survey *s, struct trib_pipeline_mart *m)
{
    struct trib_snapshot gold = {.version = -1};
    struct trib_buf note;
    trib_buf_init(&note, NOTE_MAX);
    struct trib_err why = {0};
    TRIB_CLEANUP(trib_cleanup_free) char *target = trib_asprintf("%s/%s", m->opts.subject, m->opts.name);
    if (load(s, trib_path_gold(m->opts.subject, m->opts.name), &gold, &why) != 0) {
        unreadable(s, NULL, "gold", target, &why);
        return;
    }
    struct trib_state line = state_of(NULL, "gold", target, &gold);
    size_t newer = 0;
    int rc = m->mart != NULL ? 0 : trib_mart_new(s->p->env, &m->opts, &m->mart, &why);
    if (rc == 0) {
        rc = trib_mart_survey(m->mart, &gold, &newer, &why);
    }
    if (rc != 0) { /* of this mart alone */
        line.kind = gold.version < 0 ? TRIB_STATE_NEW : TRIB_STATE_UNKNOWN;
        /* The engine's messages have a drawing of the place below. */
        trib_buf_addf(also(&note), "%s%.*s", rc == TRIB_E_NOT_FOUND ? "waits for an input: " : "",
                      (int)strcspn(why.msg, "\n"), why.msg);
    } else {
        line.pending = (int64_t)newer;
        line.lag_us = newer == 0 ? 0 : -1;
        if (newer > 0) {
            line.kind = gold.version < 0 ? TRIB_STATE_NEW : TRIB_STATE_BEHIND;
            trib_buf_addf(also(&note), "%zu input%s changed since", newer, newer == 1 ? "" : "s");
        }
    }
    emit(s, &line, &note);
    trib_snapshot_free(&gold);
}

int trib_pipeline_state(struct trib_pipeline *p, int64_t now_us, trib_state_fn fn, void *ctx, struct trib_err *err)
{
    struct survey s = {.p = p, .now_us = now_us, .fn = fn, .ctx = ctx};
    TRIB_TRY(trib_conn_open(p->env->engine, &s.conn, err));
    for (size_t i = 0; i < p->n_tables; i++) {
        table_lines(&s, &p->tables[i]);
    }
    for (size_t i = 0; i < p->n_marts; i++) {
        mart_line(&s, &p->marts[i]);
    }
    trib_conn_close(s.conn);
    if (s.failed.code != TRIB_OK) {
        *err = s.failed;
    }
    return (int)s.failed.code;
}
