/*
 * `tributary query "SQL"`: one statement that reads, over the lake's tables and any Delta table (marts/sql_scope.c binds the names).
 * Needs a config only when the text names a table of the lake. Rows stream: memory does not grow with the result.
 */
#include <stdlib.h>

#include "cli/output.h"
#include "cli/verbs.h"
#include "pipeline/pipeline.h"

enum { CELL_ON_TERMINAL = 60 };

/* --at: digits are a version, anything else a time (UTC where it names no zone). */
static int parse_at(const char *at, struct trib_conn *conn, struct trib_sql_scope *scope, struct trib_err *err)
{
    if (at == NULL) {
        return 0;
    }
    size_t n = strspn(at, "0123456789");
    if (n > 0 && at[n] == '\0') {
        if (n > 18) {
            return trib_err_set(err, TRIB_E_USAGE, "--at: %s is no version of a table", at);
        }
        scope->at_version = strtoll(at, NULL, 10);
        return 0;
    }
    struct trib_buf sql;
    trib_buf_init(&sql, (size_t)1 << 20);
    trib_buf_adds(&sql, "SELECT epoch_us(CAST(");
    trib_sql_literal(&sql, trib_view_of(at));
    trib_buf_adds(&sql, " AS TIMESTAMPTZ))");
    int64_t us = -1;
    int rc = trib_query_i64(conn, sql.p, -1, &us, err);
    trib_buf_free(&sql);
    if (rc != 0) {
        return trib_err_set(
            err, TRIB_E_USAGE,
            "--at: '%s' is neither a version nor a timestamp; try: --at 7, --at 2026-01-31, --at 2026-01-31T10:00:00Z",
            at);
    }
    scope->at_us = us < 0 ? 0 : us;
    return 0;
}

static int print_rows(struct trib_cli *cli, struct trib_conn *conn, const char *sql, struct trib_err *err)
{
    struct trib_result *r;
    TRIB_TRY(trib_query(conn, sql, &r, err));
    struct trib_output_writer *w =
        trib_output_open(cli->out, cli->flags.output, trib_result_type(r), cli->terminal_out ? CELL_ON_TERMINAL : 0);
    const struct trib_chunk *c = NULL;
    int rc;
    while ((rc = trib_result_next(r, &c, err)) == 0 && c->rows > 0 && !trib_cli_out_closed(cli)) {
        trib_output_rows(w, c);
    }
    if (rc == 0) {
        trib_output_close(w);
    } else {
        trib_output_abandon(w);
    }
    trib_result_free(r);
    return rc;
}

static int bind_and_print(struct trib_cli *cli, struct trib_sql_scope *scope, const char *text, struct trib_err *err)
{
    char *sql = NULL;
    struct trib_sql_input *inputs = NULL;
    size_t n = 0;
    TRIB_TRY(parse_at(cli->flags.at, scope->conn, scope, err));
    int rc = trib_sql_bind(scope, text, &sql, &inputs, &n, err);
    if (rc == TRIB_E_NOT_FOUND) {
        trib_cli_try(cli, "`tributary history TABLE` lists the versions and their times");
    }
    TRIB_TRY(rc);
    free(inputs);
    /* Whatever changes settings stays out of reach of the text. */
    rc = trib_exec(scope->conn, "SET lock_configuration = true", err);
    if (rc == 0) {
        rc = print_rows(cli, scope->conn, sql, err);
        if (rc == TRIB_E_DATA) {
            trib_cli_try(cli, "another statement: TRY_CAST gives NULL where a value does not fit the type");
        }
    }
    free(sql);
    return rc;
}

/* SHOW TABLES: the names as a query spells them, those without rows too. [out] */
static char *names_sql(const struct trib_catalog_table *tables, size_t n)
{
    struct trib_buf sql, name;
    trib_buf_init(&sql, SIZE_MAX / 2);
    trib_buf_init(&name, SIZE_MAX / 2);
    trib_buf_adds(&sql, "SELECT name FROM (VALUES ");
    for (size_t i = 0; i < n; i++) {
        trib_buf_clear(&name);
        trib_sql_table_name(&name, &tables[i]);
        trib_buf_adds(&sql, i > 0 ? ", (" : "(");
        trib_sql_literal(&sql, trib_buf_view(&name));
        trib_buf_addc(&sql, ')');
    }
    trib_buf_adds(&sql, ") AS t(name)");
    trib_buf_free(&name);
    return trib_buf_take(&sql);
}

static int query_run(struct trib_cli *cli, struct trib_err *err)
{
    const struct trib_config *config = NULL;
    TRIB_TRY(trib_query_begins(cli->args[0], err));
    if (trib_sql_names_tables(cli->args[0]) || trib_sql_shows_tables(cli->args[0])) {
        TRIB_TRY(trib_cli_config(cli, &config, err));
    }
    struct trib_env *env;
    TRIB_TRY(trib_cli_env(cli, config, true, &env, err));
    env->reads_only = true;
    struct trib_catalog_table *tables = NULL;
    size_t n = 0;
    if (config != NULL) {
        trib_catalog_make(config, &tables, &n);
    }
    char *names = trib_sql_shows_tables(cli->args[0]) ? names_sql(tables, n) : NULL;
    struct trib_sql_scope scope = {.env = env, .tables = tables, .n_tables = n, .at_version = -1, .at_us = -1};
    int rc = trib_conn_open(env->engine, &scope.conn, err);
    if (rc == 0) {
        rc = bind_and_print(cli, &scope, names != NULL ? names : cli->args[0], err);
        trib_conn_close(scope.conn);
    }
    free(names);
    trib_catalog_free(tables, n);
    return rc;
}

const struct trib_verb trib_verb_query = {
    .name = "query",
    .args = "\"SQL\"",
    .min_args = 1,
    .max_args = 1,
    .summary = "SQL over bronze.*, silver.*, gold.*, quarantine.* and any Delta table",
    .text =
        "One statement that reads, in DuckDB's dialect. Tables: bronze.\"<DynamoDB name>\", quarantine.\"<DynamoDB name>\", silver.<table>, "
        "silver.<table>_history, gold.<name>; SHOW TABLES lists them; where two domains share a table name, silver.\"<domain>/<table>\". delta('PATH') is any Delta table, "
        "delta('PATH', version := N) one of its versions; a query that names no other table needs no configuration.\n\n"
        "--at VERSION reads one table as of a version (exit 64 when the query reads several), --at TIMESTAMP all tables as of a time.\n\n"
        "In JSON, BIGINT and DECIMAL are numbers with all their digits, BINARY is base64, TIMESTAMP ISO 8601 with Z (instants only), STRUCT an object, "
        "ARRAY an array, MAP an array of {key, value}; NaN and infinities are strings.",
    .flags = "at",
    .examples =
        "tributary query \"SELECT count(*) FROM silver.orders\" # rows of a table\n"
        "tributary query --output jsonl --at 2026-01-31T10:00:00Z \"SELECT * FROM silver.orders WHERE pk = 'O#1'\" # a row as it was\n"
        "tributary query \"SELECT * FROM delta('./lake/bronze/dynamodb/Orders') LIMIT 5\" # any Delta table, no configuration",
    .run = query_run,
};
