/*
 * The pipeline: tables → stages (pipeline.h). Owns the stages and the sources' stores; holds no position of its own.
 * A stage's failure is kept for its table only; the rest goes on. Runs on the caller's thread.
 */
#include <stdlib.h>

#include "merge/gone.h"
#include "pipeline/own.h"
#include "pipeline/remote.h"

#include "ingest/source.h"

enum { TRIES = 8 };

static bool wanted(const char *name, const char *const *tables, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(tables[i], name) == 0) {
            return true;
        }
    }
    return n == 0;
}

/* schema.max_columns is Silver's. Bronze has more, so that `status` can name what Silver leaves out, but not any number: whoever
 * writes attributes of ever new names must not bring ingest to a stand. */
enum { BRONZE_MORE_COLUMNS = 8000 };

static struct trib_schema_opts schema_opts(const struct trib_pipeline_table *t)
{
    const struct trib_cfg_table *c = t->cfg;
    return (struct trib_schema_opts){.evolution = c->evolution,
                                     .numbers = c->numbers,
                                     .infer = c->infer,
                                     .hints = c->hints,
                                     .n_hints = c->n_hints,
                                     .keys = t->keys,
                                     .n_keys = t->opts.n_keys};
}

static void add_target(struct trib_pipeline *p, struct trib_pipeline_table *t, const struct trib_cfg_silver *s,
                       bool history)
{
    struct trib_pipeline_target *g = &t->targets[t->n_targets++];
    g->name = history ? trib_asprintf("%s_history", s->table) : trib_strdup(s->table);
    g->label = trib_asprintf("%s/%s", s->domain, g->name);
    g->opts = (struct trib_merge_opts){.pipeline = p->config->pipeline,
                                       .table = t->cfg->name,
                                       .domain = s->domain,
                                       .silver = g->name,
                                       .history = history,
                                       .keys = t->keys,
                                       .n_keys = t->opts.n_keys,
                                       .schema = schema_opts(t),
                                       .where = s->where,
                                       .hard_deletes = s->hard_deletes,
                                       .sequence_attribute = s->sequence,
                                       .updated_at = s->updated_at,
                                       .is_deleted = s->is_deleted,
                                       .late_after_us = t->cfg->late_after_us,
                                       .late = t->cfg->late,
                                       .file_bytes = (uint64_t)128 << 20};
    g->opts.schema.max_columns = t->cfg->max_columns;
}

static void plan_table(struct trib_pipeline *p, struct trib_pipeline_table *t, const struct trib_cfg_table *c)
{
    t->cfg = c;
    t->keys[0] = c->partition.name;
    t->keys[1] = c->sort.name;
    t->opts = (struct trib_ingest_opts){.pipeline = p->config->pipeline,
                                        .table = c->name,
                                        .type = c->source_type,
                                        .keys = t->keys,
                                        .n_keys = c->sort.name != NULL ? 2 : 1,
                                        .key_types = {c->partition.type, c->sort.type},
                                        .batch_files = p->config->batch_files,
                                        .batch_bytes = p->config->batch_bytes};
    t->opts.schema = schema_opts(t);
    t->opts.schema.max_columns = c->max_columns + BRONZE_MORE_COLUMNS;
    t->opts.dms = (struct trib_dms_opts){.columns = (const char *const *)c->dms.columns,
                                         .n_columns = c->dms.n_columns,
                                         .timestamp = c->dms.timestamp,
                                         .delimiter = c->dms.delimiter,
                                         .null_value = c->dms.null_value};
    t->targets = trib_calloc(c->n_silver * 2, sizeof *t->targets);
    for (size_t i = 0; i < c->n_silver; i++) {
        add_target(p, t, &c->silver[i], false);
        if (c->silver[i].scd2) {
            add_target(p, t, &c->silver[i], true);
        }
    }
}

static int plan_marts(struct trib_pipeline *p, struct trib_err *err)
{
    const struct trib_config *c = p->config;
    trib_catalog_make(c, &p->catalog, &p->n_catalog);
    p->marts = trib_calloc(c->n_gold, sizeof *p->marts);
    for (size_t i = 0; i < c->n_gold; i++) {
        struct trib_pipeline_mart *m = &p->marts[p->n_marts++];
        struct trib_buf text;
        trib_buf_init(&text, (size_t)16 << 20);
        int rc = p->env->fs->read(p->env->fs->ctx, c->gold[i].sql_path, 0, -1, &text, err);
        if (rc != 0) {
            trib_buf_free(&text);
            (void)trib_err_wrap(err, "%s:%zu: gold %s/%s", c->file, c->gold[i].line, c->gold[i].subject,
                                c->gold[i].name);
            if (err != NULL) {
                err->code = TRIB_E_CONFIG;
            }
            return TRIB_E_CONFIG;
        }
        m->sql = trib_buf_take(&text);
        m->opts = (struct trib_mart_opts){.pipeline = c->pipeline,
                                          .subject = c->gold[i].subject,
                                          .name = c->gold[i].name,
                                          .sql = m->sql,
                                          .sql_file = c->gold[i].sql_path,
                                          .tables = p->catalog,
                                          .n_tables = p->n_catalog};
    }
    return 0;
}

int trib_pipeline_new(const struct trib_env *env, const struct trib_aws_host *host, const struct trib_config *config,
                      const char *const *tables, size_t n_tables, const struct trib_observer *observer,
                      struct trib_pipeline **ret, struct trib_err *err)
{
    struct trib_pipeline *p = trib_calloc(1, sizeof *p);
    p->env = env;
    p->host = host;
    p->config = config;
    p->observer = observer;
    p->tables = trib_calloc(config->n_tables, sizeof *p->tables);
    for (size_t i = 0; i < config->n_tables; i++) {
        if (wanted(config->tables[i].name, tables, n_tables)) {
            plan_table(p, &p->tables[p->n_tables++], &config->tables[i]);
        }
    }
    int rc = plan_marts(p, err);
    if (rc != 0) {
        trib_pipeline_free(p);
        return rc;
    }
    *ret = p;
    return 0;
}

void trib_pipeline_free(struct trib_pipeline *p)
{
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; i < p->n_tables; i++) {
        struct trib_pipeline_table *t = &p->tables[i];
        for (size_t k = 0; k < t->n_targets; k++) {
            trib_merge_free(t->targets[k].merge);
            free(t->targets[k].name);
            free(t->targets[k].label);
        }
        free(t->targets);
        trib_ingest_free(t->ingest);
        trib_capture_free(t->capture);
        trib_landing_free(t->landing);
        trib_pipeline_compare_free(t->compare);
        trib_aws_free(t->aws);
        if (t->source != NULL) {
            trib_store_free(t->source);
        }
    }
    for (size_t i = 0; i < p->n_marts; i++) {
        trib_mart_free(p->marts[i].mart);
        free(p->marts[i].sql);
    }
    free(p->tables);
    free(p->marts);
    trib_catalog_free(p->catalog, p->n_catalog);
    free(p);
}

void trib_pipeline_tell(struct trib_pipeline *p, const char *stage, const char *table, const char *target,
                        const struct trib_step *step, const struct trib_err *err)
{
    if (err != NULL && p->first.code == TRIB_OK) {
        p->first = *err;
    }
    if (p->observer != NULL && p->observer->stepped != NULL) {
        p->observer->stepped(p->observer->ctx, stage, table, target, step, err);
    }
}

bool trib_pipeline_stopping(const struct trib_pipeline *p)
{
    return p->env->stop_asked != NULL && p->env->stop_asked(p->env->stop_ctx);
}

static int step_ingest(void *s, int64_t now, struct trib_step *ret, struct trib_err *err)
{
    return trib_ingest_step(s, now, ret, err);
}
static int step_merge(void *s, int64_t now, struct trib_step *ret, struct trib_err *err)
{
    return trib_merge_step(s, now, ret, err);
}
static int step_mart(void *s, int64_t now, struct trib_step *ret, struct trib_err *err)
{
    return trib_mart_step(s, now, ret, err);
}

typedef int (*step_fn)(void *stage, int64_t now_us, struct trib_step *ret, struct trib_err *err);

/* Steps one stage until it has nothing to do. A lost race is computed again; who loses too often says so (75). Asked to stop, ingest
 * takes nothing more; what Bronze holds still goes through to Silver and Gold, one step a stage. */
static int drain(struct trib_pipeline *p, void *stage, step_fn step_once, const char *what, const char *table,
                 const char *target, bool *io_worked)
{
    for (int tries = 0; step_once != step_ingest || !trib_pipeline_stopping(p);) {
        struct trib_step step = {0};
        struct trib_err err = {0};
        int rc = step_once(stage, trib_now_us(p->env->clock), &step, &err);
        trib_store_release(p->env->remote); /* a step holds no path beyond its end */
        if (rc == TRIB_E_CONFLICT && ++tries < TRIES) {
            continue;
        }
        if (rc != 0 || step.worked) {
            trib_pipeline_tell(p, what, table, target, &step, rc != 0 ? &err : NULL);
            *io_worked |= rc == 0;
        }
        if (rc != 0 || !step.worked || trib_pipeline_stopping(p)) {
            return rc;
        }
        tries = 0;
    }
    return 0;
}

int trib_pipeline_source(struct trib_pipeline *p, struct trib_pipeline_table *t, struct trib_err *err)
{
    if (t->source == NULL && t->cfg->capture.on) {
        TRIB_CLEANUP(trib_cleanup_free) char *folder = trib_path_landing(t->cfg->name);
        t->source = trib_store_below(p->env->lake, folder);
        t->landing = trib_landing_new(p->env->lake, t->cfg->name);
        t->opts.landing = t->landing;
    } else if (t->source == NULL && t->cfg->source_type == TRIB_SOURCE_SNAPSHOT) {
        TRIB_TRY(trib_pipeline_compare_open(p, t, err));
    } else if (t->source == NULL) {
        TRIB_TRY(trib_source_open(p->env->fs, trib_remote_for(p->env->remote, &t->cfg->aws), t->cfg->source_path,
                                  &t->source, err));
    }
    t->opts.source = t->source;
    return 0;
}

static void ingest_table(struct trib_pipeline *p, struct trib_pipeline_table *t)
{
    struct trib_err err = {0};
    int rc = trib_pipeline_source(p, t, &err);
    if (rc == 0 && t->ingest == NULL) {
        rc = trib_ingest_new(p->env, &t->opts, &t->ingest, &err);
    }
    if (rc != 0) {
        trib_pipeline_tell(p, "ingest", t->cfg->name, NULL, NULL, &err);
        return;
    }
    bool worked = false;
    (void)drain(p, t->ingest, step_ingest, "ingest", t->cfg->name, NULL, &worked); /* told */
}

/* Keys that a full snapshot lacks, once its rows are merged everywhere: more for Bronze. */
static bool tell_gone(struct trib_pipeline *p, struct trib_pipeline_table *t)
{
    if (t->landing == NULL) {
        return false;
    }
    const struct trib_merge_opts **targets = trib_calloc(t->n_targets, sizeof *targets);
    size_t n = 0;
    for (size_t k = 0; k < t->n_targets; k++) {
        if (!t->targets[k].opts.history) {
            targets[n++] = &t->targets[k].opts;
        }
    }
    struct trib_err err = {0};
    bool worked = false;
    int rc = trib_merge_gone(p->env, targets, n, t->landing, &worked, &err);
    trib_store_release(p->env->remote);
    free(targets);
    if (rc != 0) {
        trib_pipeline_tell(p, "merge", t->cfg->name, NULL, NULL, &err);
    }
    return rc == 0 && worked;
}

static void merge_table(struct trib_pipeline *p, struct trib_pipeline_table *t)
{
    for (size_t k = 0; k < t->n_targets; k++) {
        struct trib_pipeline_target *g = &t->targets[k];
        struct trib_err err = {0};
        if (g->merge == NULL && trib_merge_new(p->env, &g->opts, &g->merge, &err) != 0) {
            trib_pipeline_tell(p, "merge", t->cfg->name, g->label, NULL, &err);
            continue;
        }
        bool worked = false;
        (void)drain(p, g->merge, step_merge, "merge", t->cfg->name, g->label, &worked);
    }
}

/* Once through all of them; a mart that failed is not tried again in this drain. True when one committed. */
static bool marts_pass(struct trib_pipeline *p, bool *failed)
{
    bool worked = false;
    for (size_t i = 0; i < p->n_marts; i++) {
        struct trib_pipeline_mart *m = &p->marts[i];
        if (failed[i]) {
            continue;
        }
        struct trib_err e = {0};
        if (m->mart == NULL && trib_mart_new(p->env, &m->opts, &m->mart, &e) != 0) {
            trib_pipeline_tell(p, "marts", m->opts.name, NULL, NULL, &e);
            failed[i] = true;
            continue;
        }
        failed[i] = drain(p, m->mart, step_mart, "marts", m->opts.name, NULL, &worked) != 0;
    }
    return worked;
}

/* A mart may read one that stands below it: as many passes as there are marts bring all up to date in any order. */
static void drain_marts(struct trib_pipeline *p)
{
    bool *failed = trib_calloc(p->n_marts + 1, sizeof *failed);
    for (size_t pass = 0; pass < p->n_marts && marts_pass(p, failed) && !trib_pipeline_stopping(p); pass++) {
    }
    free(failed);
}

int trib_pipeline_drain(struct trib_pipeline *p, unsigned stages, struct trib_err *err)
{
    for (size_t i = 0; i < p->n_tables; i++) {
        if ((stages & TRIB_RUN_INGEST) != 0) {
            ingest_table(p, &p->tables[i]);
        }
        if ((stages & TRIB_RUN_MERGE) != 0) {
            merge_table(p, &p->tables[i]);
            if ((stages & TRIB_RUN_INGEST) != 0 &&
                (tell_gone(p, &p->tables[i]) || trib_pipeline_compare(p, &p->tables[i]))) {
                ingest_table(p, &p->tables[i]);
                merge_table(p, &p->tables[i]);
            }
        }
    }
    if ((stages & TRIB_RUN_MARTS) != 0) {
        drain_marts(p);
    }
    if (p->first.code != TRIB_OK && err != NULL) {
        *err = p->first;
    }
    int rc = (int)p->first.code;
    trib_err_clear(&p->first);
    return rc;
}

struct catalog {
    struct trib_catalog_table *t;
    size_t n, cap;
};

static void catalog_add(struct catalog *c, const char *schema, char *name, char *path)
{
    TRIB_GROW(c->t, c->cap, c->n + 1);
    c->t[c->n++] = (struct trib_catalog_table){schema, name, path};
}

/* Where two domains share a table name, SQL says "domain/table". */
static bool shared_name(const struct trib_config *c, const char *table)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n_tables; i++) {
        for (size_t k = 0; k < c->tables[i].n_silver; k++) {
            n += strcmp(c->tables[i].silver[k].table, table) == 0;
        }
    }
    return n > 1;
}

static bool shared_mart(const struct trib_config *c, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n_gold; i++) {
        n += strcmp(c->gold[i].name, name) == 0;
    }
    return n > 1;
}

void trib_catalog_make(const struct trib_config *config, struct trib_catalog_table **ret, size_t *ret_n)
{
    struct catalog c = {0};
    for (size_t i = 0; i < config->n_tables; i++) {
        const struct trib_cfg_table *t = &config->tables[i];
        catalog_add(&c, "bronze", trib_strdup(t->name), trib_path_bronze(t->name));
        catalog_add(&c, "quarantine", trib_strdup(t->name), trib_path_quarantine(t->name));
        for (size_t k = 0; k < t->n_silver; k++) {
            const struct trib_cfg_silver *s = &t->silver[k];
            bool shared = shared_name(config, s->table);
            for (int h = 0; h <= (s->scd2 ? 1 : 0); h++) {
                char *name = trib_asprintf("%s%s", s->table, h ? "_history" : "");
                char *path = trib_path_silver(s->domain, name);
                catalog_add(&c, "silver", shared ? trib_asprintf("%s/%s", s->domain, name) : trib_strdup(name), path);
                free(name);
            }
        }
    }
    for (size_t i = 0; i < config->n_gold; i++) {
        const struct trib_cfg_mart *g = &config->gold[i];
        catalog_add(&c, "gold",
                    shared_mart(config, g->name) ? trib_asprintf("%s/%s", g->subject, g->name) : trib_strdup(g->name),
                    trib_path_gold(g->subject, g->name));
    }
    *ret = c.t;
    *ret_n = c.n;
}

void trib_catalog_free(struct trib_catalog_table *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free((void *)(uintptr_t)t[i].name);
        free((void *)(uintptr_t)t[i].path);
    }
    free(t);
}
