/*
 * `tributary history TABLE`: the commits of a table, newest first, from its Delta log alone.
 */
#include <stdlib.h>
#include <strings.h>

#include "base/near.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "pipeline/pipeline.h"

enum { CELL_ON_TERMINAL = 60 };

/* Columns: table, version, timestamp, operation, files added, files removed; with -v engine, parameters, metrics. */
static struct trib_type row_type(bool verbose)
{
    struct trib_type t = trib_type_simple(TRIB_T_STRUCT);
    trib_type_add(&t, "table", trib_type_simple(TRIB_T_STRING));
    trib_type_add(&t, "version", trib_type_simple(TRIB_T_LONG));
    trib_type_add(&t, "timestamp", trib_type_simple(TRIB_T_TIMESTAMP));
    trib_type_add(&t, "operation", trib_type_simple(TRIB_T_STRING));
    trib_type_add(&t, "files_added", trib_type_simple(TRIB_T_LONG));
    trib_type_add(&t, "files_removed", trib_type_simple(TRIB_T_LONG));
    if (verbose) {
        trib_type_add(&t, "engine", trib_type_simple(TRIB_T_STRING));
        trib_type_add(&t, "parameters", trib_type_simple(TRIB_T_STRING));
        trib_type_add(&t, "metrics", trib_type_simple(TRIB_T_STRING));
    }
    return t;
}

struct printer {
    struct trib_cli *cli;
    const struct trib_env *env;
    struct trib_conn *conn;
    struct trib_output_writer *out;
    struct trib_chunk chunk; /* of one row */
    size_t tables;           /* with a log */
};

static void put_text(struct printer *p, size_t col, const char *s)
{
    struct trib_vec *v = &p->chunk.cols[col];
    if (s == NULL || s[0] == '\0') {
        trib_vec_null(v, 0);
    } else {
        ((struct trib_str *)v->data)[0] = trib_str_make(s, strlen(s));
    }
}

static void put_number(struct printer *p, size_t col, int64_t n) { ((int64_t *)p->chunk.cols[col].data)[0] = n; }

static void print_commit(struct printer *p, const char *label, const struct trib_commit_info *i)
{
    trib_chunk_clear(&p->chunk);
    put_text(p, 0, label);
    put_number(p, 1, i->version);
    put_number(p, 2, i->timestamp_ms * 1000);
    put_text(p, 3, i->operation);
    put_number(p, 4, (int64_t)i->n_adds);
    put_number(p, 5, (int64_t)i->n_removes);
    if (p->chunk.n_cols > 6) {
        put_text(p, 6, i->engine);
        put_text(p, 7, i->params_json);
        put_text(p, 8, i->metrics_json);
    }
    p->chunk.rows = 1;
    trib_output_rows(p->out, &p->chunk);
}

static int print_table(struct printer *p, const char *label, struct trib_store *store, const char *path,
                       struct trib_err *err)
{
    struct trib_delta t = {.store = store,
                           .path = trib_strdup(path),
                           .conn = p->conn,
                           .clock = p->env->clock,
                           .rng = p->env->rng,
                           .scratch = p->env->scratch};
    struct trib_commit_info *infos = NULL;
    size_t n = 0;
    int64_t limit = p->cli->flags.limit;
    int rc = trib_delta_history(&t, limit < 0 ? SIZE_MAX : (size_t)limit, &infos, &n, err);
    free(t.path);
    TRIB_TRY(rc);
    for (size_t i = 0; i < n; i++) {
        print_commit(p, label, &infos[i]);
    }
    p->tables += n > 0;
    trib_commit_info_free(infos, n);
    return 0;
}

/* TABLE names a table of the catalogue: schema.name, a DynamoDB table (its bronze), or a name that is in any layer. */
static bool meant(const struct trib_catalog_table *t, const char *text)
{
    size_t n = strlen(t->schema);
    if (strncasecmp(text, t->schema, n) == 0 && text[n] == '.') {
        const char *name = text + n + 1;
        size_t len = strlen(name);
        if (len >= 2 && name[0] == '"' && name[len - 1] == '"') {
            return strlen(t->name) == len - 2 && strncmp(t->name, name + 1, len - 2) == 0;
        }
        return strcmp(t->name, name) == 0;
    }
    return strcmp(t->name, text) == 0;
}

static int no_such_table(const struct trib_catalog_table *tables, size_t n, const char *text, struct trib_err *err)
{
    const char **names = trib_calloc(2 * n + 1, sizeof *names);
    char **made = trib_calloc(n + 1, sizeof *made);
    for (size_t i = 0; i < n; i++) {
        made[i] = trib_asprintf("%s.%s", tables[i].schema, tables[i].name);
        names[2 * i] = tables[i].name;
        names[2 * i + 1] = made[i];
    }
    const char *near = trib_nearest(text, names, 2 * n);
    int rc;
    if (near != NULL) {
        rc = trib_err_set(err, TRIB_E_USAGE, "there is no table %s; try: tributary history %s", text, near);
    } else if (strchr(text, '/') != NULL) {
        rc = trib_err_set(err, TRIB_E_USAGE, "there is no table %s; try: tributary history ./%s, if it is a folder",
                          text, text);
    } else {
        rc = trib_err_set(err, TRIB_E_USAGE, "there is no table %s; try: `tributary query \"SHOW TABLES\"` lists them",
                          text);
    }
    for (size_t i = 0; i < n; i++) {
        free(made[i]);
    }
    free(made);
    free(names);
    return rc;
}

static int print_catalogued(struct printer *p, const struct trib_config *config, const char *text, struct trib_err *err)
{
    struct trib_catalog_table *tables = NULL;
    size_t n = 0, found = 0;
    int rc = 0;
    trib_catalog_make(config, &tables, &n);
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (meant(&tables[i], text)) {
            char *label = trib_asprintf("%s.%s", tables[i].schema, tables[i].name);
            rc = print_table(p, label, p->env->lake, tables[i].path, err);
            free(label);
            found++;
        }
    }
    if (rc == 0 && found == 0) {
        rc = no_such_table(tables, n, text, err);
    } else if (rc == 0 && p->tables == 0) {
        rc = trib_err_set(err, TRIB_E_NOT_FOUND, "table %s has no commits yet; try: `tributary run --once`", text);
    }
    trib_catalog_free(tables, n);
    return rc;
}

static int print_path(struct printer *p, const char *path, struct trib_err *err)
{
    struct trib_store *store = NULL;
    TRIB_TRY(trib_store_open_with(p->env->fs, p->env->remote, path, &store, err));
    int rc = print_table(p, path, store, "", err);
    trib_store_free(store);
    if (rc == 0 && p->tables == 0) {
        rc = trib_err_set(err, TRIB_E_NOT_FOUND, "%s holds no Delta table; try: give the folder that holds _delta_log",
                          path);
    }
    return rc;
}

static int history_run(struct trib_cli *cli, struct trib_err *err)
{
    const char *text = cli->args[0];
    if (cli->flags.limit == 0) {
        return trib_err_set(err, TRIB_E_USAGE, "--limit: `0` is not a number from 1 on");
    }
    bool path = strstr(text, "://") != NULL || text[0] == '/' || text[0] == '.';
    const struct trib_config *config = NULL;
    if (!path) {
        TRIB_TRY(trib_cli_config(cli, &config, err));
    }
    struct trib_env *env;
    TRIB_TRY(trib_cli_env(cli, config, true, &env, err));
    env->reads_only = true;
    struct printer p = {.cli = cli, .env = env};
    TRIB_TRY(trib_conn_open(env->engine, &p.conn, err));
    struct trib_type row = row_type(cli->flags.verbose || cli->flags.output != TRIB_OUTPUT_TABLE);
    trib_chunk_init_heap(&p.chunk, &row, 1);
    p.out = trib_output_open(cli->out, cli->flags.output, &row, cli->terminal_out ? CELL_ON_TERMINAL : 0);
    trib_output_null(p.out, "");
    int rc = path ? print_path(&p, text, err) : print_catalogued(&p, config, text, err);
    if (rc == 0) {
        trib_output_close(p.out);
    } else {
        trib_output_abandon(p.out);
    }
    trib_chunk_free_heap(&p.chunk);
    trib_type_free(&row);
    trib_conn_close(p.conn);
    return rc;
}

const struct trib_verb trib_verb_history = {
    .name = "history",
    .args = "TABLE",
    .min_args = 1,
    .max_args = 1,
    .summary = "commits of a table, the newest first",
    .text =
        "TABLE is a table as SQL names it (silver.orders, bronze.Orders), a name alone (all tables of that name, Bronze and quarantine for a DynamoDB "
        "table), or the folder of any Delta table (it begins with / or .). The table form leaves out engine, parameters and metrics; -v or another --output has them.",
    .flags = "limit",
    .examples =
        "tributary history silver.orders # commits of Silver\ntributary history Orders --limit 5 --output jsonl # the last five of each table of that name",
    .run = history_run,
};
