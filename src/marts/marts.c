/*
 * Marts: SQL over silver.* and gold.* → one Gold table, written whole when an input changed.
 *
 * Invariants:
 *  1. The versions read are committed with the rows: one txn per input, so a mart that is current commits nothing.
 *  2. A commit replaces all files; a crash before it leaves the old rows.
 *  3. A mart whose inputs are not there yet waits.
 *  4. The mart's own version is read before its inputs: they are never older than what it was made from, and whoever commits in between
 *     makes ours a conflict. So two processes never bring an older state back.
 */
#include "marts/marts.h"

#include <stdio.h>
#include <stdlib.h>

struct trib_mart {
    const struct trib_env *env;
    struct trib_mart_opts o;
    struct trib_conn *conn;
    char *path;
    struct trib_delta gold;
};

int trib_mart_new(const struct trib_env *env, const struct trib_mart_opts *o, struct trib_mart **ret,
                  struct trib_err *err)
{
    struct trib_mart *m = trib_calloc(1, sizeof *m);
    m->env = env;
    m->o = *o;
    m->path = trib_path_gold(o->subject, o->name);
    int rc = trib_conn_open(env->engine, &m->conn, err);
    if (rc != 0) {
        trib_mart_free(m);
        return rc;
    }
    m->gold = trib_env_delta(env, m->conn, m->path);
    *ret = m;
    return 0;
}

void trib_mart_free(struct trib_mart *m)
{
    if (m != NULL) {
        trib_conn_close(m->conn);
        free(m->path);
        free(m);
    }
}

static char *app_id(const struct trib_mart *m, const struct trib_catalog_table *input)
{
    return trib_asprintf("tributary.%s.gold.%s/%s.%s.%s", m->o.pipeline, m->o.subject, m->o.name, input->schema,
                         input->name);
}

static int commit(struct trib_mart *m, const struct trib_snapshot *s, const struct trib_type *type,
                  const struct trib_txn *txns, size_t n_txns, const struct trib_delta_files *files,
                  struct trib_err *err)
{
    struct trib_kv property = {(char *)(uintptr_t) "tributary.pipeline", (char *)(uintptr_t)m->o.pipeline};
    struct trib_kv mode = {(char *)(uintptr_t) "mode", (char *)(uintptr_t) "Overwrite"};
    struct trib_protocol protocol = {.reader = 1, .writer = 2};
    bool fresh = s->version < 0;
    struct trib_commit c = {.read_version = s->version,
                            .operation = "WRITE",
                            .params = &mode,
                            .n_params = 1,
                            .txn = txns,
                            .n_txn = n_txns,
                            .new_metadata = fresh || !trib_type_same(&s->schema, type),
                            .schema = type,
                            .properties = fresh ? &property : s->properties,
                            .n_properties = fresh ? 1 : s->n_properties,
                            .protocol = fresh ? &protocol : NULL,
                            .adds = files->adds,
                            .n_adds = files->n,
                            .removes = s->adds,
                            .n_removes = s->n_adds,
                            .data_change = true};
    return trib_delta_commit(&m->gold, s, &c, err);
}

static int refresh(struct trib_mart *m, const struct trib_snapshot *s, const char *sql, const struct trib_txn *txns,
                   size_t n_txns, struct trib_step *ret, struct trib_err *err)
{
    struct trib_type type = {0};
    char *typed = NULL; /* with every column cast to a type that Delta has */
    struct trib_delta_files files = {0};
    const struct trib_parquet_opts o = {0};
    int rc = trib_query_type(m->conn, sql, &type, &typed, err);
    if (rc == 0) {
        rc = trib_delta_files_query(&m->gold, typed, &o, &files, err);
    }
    if (rc == 0) {
        rc = commit(m, s, &type, txns, n_txns, &files, err);
    }
    int64_t rows = files.rows;
    trib_delta_files_end(&m->gold, &files, rc, err);
    trib_type_free(&type);
    free(typed);
    if (rc == 0) {
        ret->worked = true;
        ret->rows_out = rows;
        ret->version = s->version + 1;
    }
    return rc;
}

/* The text bound to the newest versions of its inputs, and those versions as positions. NOT_FOUND: an input has no rows yet. */
struct bound {
    char *sql;
    struct trib_txn *txns;
    size_t n;
};

static void bound_free(struct bound *b)
{
    for (size_t i = 0; i < b->n; i++) {
        free(b->txns[i].app_id);
    }
    free(b->txns);
    free(b->sql);
}

static int bind(struct trib_mart *m, struct bound *ret, struct trib_err *err)
{
    const struct trib_sql_scope scope = {.env = m->env,
                                         .conn = m->conn,
                                         .tables = m->o.tables,
                                         .n_tables = m->o.n_tables,
                                         .at_version = -1,
                                         .at_us = -1};
    struct trib_sql_input *inputs = NULL;
    struct bound b = {0};
    int rc = trib_sql_bind(&scope, m->o.sql, &b.sql, &inputs, &b.n, err);
    if (rc == TRIB_E_USAGE) { /* the text of the mart is configuration */
        rc = TRIB_E_CONFIG;
        if (err != NULL) {
            err->code = TRIB_E_CONFIG;
            if (strstr(err->msg, "; try: ") == NULL) {
                size_t n = strlen(err->msg);
                (void)snprintf(err->msg + n, sizeof err->msg - n,
                               "; try: correct the SQL; `tributary query` runs it too");
            }
        }
    }
    if (rc != 0) {
        return rc;
    }
    b.txns = trib_calloc(b.n + 1, sizeof *b.txns);
    for (size_t i = 0; i < b.n; i++) {
        b.txns[i] = (struct trib_txn){app_id(m, &m->o.tables[inputs[i].table]), inputs[i].version, 0};
    }
    free(inputs);
    *ret = b;
    return 0;
}

static size_t newer_inputs(const struct trib_snapshot *gold, const struct bound *b)
{
    size_t newer = 0;
    for (size_t i = 0; i < b->n; i++) {
        newer += trib_snapshot_txn(gold, b->txns[i].app_id) != b->txns[i].version;
    }
    return newer;
}

static int check_pipeline(const struct trib_mart *m, const struct trib_snapshot *s, struct trib_err *err)
{
    const char *was = s->version < 0 ? NULL : trib_snapshot_property(s, "tributary.pipeline");
    if (was == NULL || strcmp(was, m->o.pipeline) == 0) {
        return 0;
    }
    return trib_err_set(
        err, TRIB_E_CONFIG,
        "the table belongs to the pipeline %s, the config's is %s; try: name the pipeline %s again, or let `lake` be another place",
        was, m->o.pipeline, was);
}

int trib_mart_step(struct trib_mart *m, int64_t now_us, struct trib_step *ret, struct trib_err *err)
{
    (void)now_us;
    *ret = (struct trib_step){.due_us = INT64_MAX, .version = -1};
    struct trib_snapshot s = {.version = -1};
    struct bound b = {0};
    int rc = trib_delta_load(&m->gold, -1, &s, err);
    bool waits = false;
    if (rc == 0) {
        rc = check_pipeline(m, &s, err);
    }
    if (rc == 0) {
        rc = bind(m, &b, err);
        waits = rc == TRIB_E_NOT_FOUND;
    }
    if (waits) { /* an input that is configured and has no rows yet */
        trib_err_clear(err);
        trib_snapshot_free(&s);
        return 0;
    }
    if (rc == 0 && (s.version < 0 || newer_inputs(&s, &b) > 0)) {
        rc = refresh(m, &s, b.sql, b.txns, b.n, ret, err);
    }
    trib_snapshot_free(&s);
    bound_free(&b);
    if (rc != 0) {
        (void)trib_err_wrap(err, "gold %s/%s (%s)", m->o.subject, m->o.name, m->o.sql_file);
    }
    return rc;
}

int trib_mart_survey(struct trib_mart *m, const struct trib_snapshot *gold, size_t *ret_newer, struct trib_err *err)
{
    struct bound b = {0};
    TRIB_TRY(bind(m, &b, err));
    *ret_newer = newer_inputs(gold, &b);
    bound_free(&b);
    return 0;
}
