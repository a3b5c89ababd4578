/*
 * `tributary status`: the state of every table and target, read from the lake alone: the daemon may be down. Lag is what a stage has
 * not taken yet of the stage before it; positions are the versions that the logs hold.
 */
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "cli/verbs.h"

enum { N_COLUMNS = 9 };

struct status {
    struct trib_env *env;
    struct trib_conn *conn;
    const struct trib_config *config;
    struct trib_type row;
    struct trib_chunk chunk;
    struct trib_output_writer *writer;
};

static void columns(struct trib_type *row)
{
    static const struct {
        const char *name;
        enum trib_type_id type;
    } all[N_COLUMNS] = {{"table", TRIB_T_STRING}, {"layer", TRIB_T_STRING},        {"target", TRIB_T_STRING},
                        {"state", TRIB_T_STRING}, {"rows", TRIB_T_LONG},           {"version", TRIB_T_LONG},
                        {"merged", TRIB_T_LONG},  {"committed", TRIB_T_TIMESTAMP}, {"note", TRIB_T_STRING}};
    *row = trib_type_simple(TRIB_T_STRUCT);
    for (size_t i = 0; i < N_COLUMNS; i++) {
        (void)trib_type_add(row, all[i].name, trib_type_simple(all[i].type));
    }
}

static void put_text(struct status *s, size_t col, const char *text)
{
    struct trib_vec *v = &s->chunk.cols[col];
    if (text == NULL) {
        trib_vec_null(v, 0);
        return;
    }
    size_t n = strlen(text);
    ((struct trib_str *)v->data)[0] = trib_str_make(trib_arena_strndup(&s->chunk.arena, text, n), n);
    trib_vec_set_valid(v, 0);
}

static void put_number(struct status *s, size_t col, int64_t x)
{
    ((int64_t *)s->chunk.cols[col].data)[0] = x;
    trib_vec_set_valid(&s->chunk.cols[col], 0);
    if (x < 0) {
        trib_vec_null(&s->chunk.cols[col], 0);
    }
}

static int64_t count_rows(const struct trib_snapshot *t)
{
    int64_t rows = 0;
    for (size_t i = 0; i < t->n_adds; i++) {
        if (t->adds[i].rows < 0) {
            return -1;
        }
        rows += t->adds[i].rows;
    }
    return rows;
}

static void emit(struct status *s, const char *table, const char *layer, const char *target, const char *state,
                 const struct trib_snapshot *t, int64_t merged, const char *note)
{
    trib_chunk_clear(&s->chunk);
    put_text(s, 0, table);
    put_text(s, 1, layer);
    put_text(s, 2, target);
    put_text(s, 3, state);
    bool there = t != NULL && t->version >= 0;
    put_number(s, 4, there ? count_rows(t) : -1);
    put_number(s, 5, there ? t->version : -1);
    put_number(s, 6, merged);
    put_number(s, 7, there ? t->timestamp_ms * 1000 : -1);
    put_text(s, 8, note);
    s->chunk.rows = 1;
    trib_output_rows(s->writer, &s->chunk);
}

static int load(struct status *s, char *path, struct trib_snapshot *ret, struct trib_err *err)
{
    struct trib_delta d = trib_env_delta(s->env, s->conn, path);
    int rc = trib_delta_load(&d, -1, ret, err);
    free(path);
    return rc;
}

/* Attributes whose bigint column misfits some number: which hint would cure it (interface.md, `add`), is told by the rescued data. */
static int silver_line(struct status *s, const struct trib_cfg_table *t, const char *domain, const char *name,
                       const struct trib_snapshot *bronze, struct trib_err *err)
{
    struct trib_snapshot silver = {.version = -1};
    TRIB_TRY(load(s, trib_path_silver(domain, name), &silver, err));
    char *app = trib_app_silver(s->config->pipeline, domain, name), *target = trib_asprintf("%s/%s", domain, name);
    int64_t merged = silver.version < 0 ? -1 : trib_snapshot_txn(&silver, app);
    char *note = NULL;
    if (bronze->version > merged) {
        note = trib_asprintf("%lld Bronze version%s to merge", (long long)(bronze->version - merged),
                             bronze->version - merged == 1 ? "" : "s");
    }
    emit(s, t->name, "silver", target,
         silver.version < 0 ? "new"
         : note != NULL     ? "behind"
                            : "caught up",
         &silver, merged, note);
    free(note);
    free(app);
    free(target);
    trib_snapshot_free(&silver);
    return 0;
}

static int table_lines(struct status *s, const struct trib_cfg_table *t, struct trib_err *err)
{
    struct trib_snapshot bronze = {.version = -1}, quarantine = {.version = -1};
    TRIB_TRY(load(s, trib_path_bronze(t->name), &bronze, err));
    emit(s, t->name, "bronze", NULL, bronze.version < 0 ? "new" : "running", &bronze, -1, NULL);
    int rc = 0;
    for (size_t k = 0; k < t->n_silver && rc == 0; k++) {
        rc = silver_line(s, t, t->silver[k].domain, t->silver[k].table, &bronze, err);
        if (rc == 0 && t->silver[k].scd2) {
            char *name = trib_asprintf("%s_history", t->silver[k].table);
            rc = silver_line(s, t, t->silver[k].domain, name, &bronze, err);
            free(name);
        }
    }
    if (rc == 0) {
        rc = load(s, trib_path_quarantine(t->name), &quarantine, err);
    }
    if (rc == 0 && quarantine.version >= 0) {
        emit(s, t->name, "quarantine", NULL, "look", &quarantine, -1,
             "SELECT _ingest_file, _offset, _reason FROM quarantine.\"…\"");
    }
    trib_snapshot_free(&bronze);
    trib_snapshot_free(&quarantine);
    return rc;
}

static int status_run(struct trib_cli *cli, struct trib_err *err)
{
    struct status s = {0};
    TRIB_TRY(trib_cli_config(cli, &s.config, err));
    TRIB_TRY(trib_cli_env(cli, s.config, true, &s.env, err));
    s.env->reads_only = true;
    TRIB_TRY(trib_conn_open(s.env->engine, &s.conn, err));
    columns(&s.row);
    trib_chunk_init_heap(&s.chunk, &s.row, 1);
    s.writer = trib_output_open(cli->out, cli->flags.output, &s.row, cli->terminal_out ? 60 : 0);
    int rc = 0;
    for (size_t i = 0; i < s.config->n_tables && rc == 0; i++) {
        if (trib_cli_table_wanted(cli, s.config->tables[i].name)) {
            rc = table_lines(&s, &s.config->tables[i], err);
        }
    }
    for (size_t i = 0; i < s.config->n_gold && rc == 0 && cli->flags.n_tables == 0; i++) {
        struct trib_snapshot gold = {.version = -1};
        rc = load(&s, trib_path_gold(s.config->gold[i].subject, s.config->gold[i].name), &gold, err);
        if (rc == 0) {
            char *target = trib_asprintf("%s/%s", s.config->gold[i].subject, s.config->gold[i].name);
            emit(&s, NULL, "gold", target, gold.version < 0 ? "new" : "running", &gold, -1, NULL);
            free(target);
        }
        trib_snapshot_free(&gold);
    }
    if (rc == 0) {
        trib_output_close(s.writer);
    } else {
        trib_output_abandon(s.writer);
    }
    trib_chunk_free_heap(&s.chunk);
    trib_type_free(&s.row);
    trib_conn_close(s.conn);
    return rc;
}

const struct trib_verb trib_verb_status = {
    .name = "status",
    .summary = "state of every table and stage, from the lake alone",
    .text =
        "Rows, versions and positions of every layer, and what a target has still to merge. Nothing needs to run for it.",
    .examples = "tributary status # all tables\ntributary status --output jsonl --table Orders # for a script",
    .run = status_run,
};
