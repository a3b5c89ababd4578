/*
 * Running statements; chunks of queries stream, so that memory does not grow with the result.
 *
 * Owns one prepared statement and one chunk at a time; the views handed out point into that chunk.
 * Threads: those of its connection. Nothing on disk.
 */
#include <stdlib.h>
#include <time.h>

#include "engine/internal.h"
#include "engine/token.h"

struct trib_result {
    struct trib_conn *conn; /* [borrow] */
    duckdb_prepared_statement stmt;
    duckdb_result res;
    bool running;
    duckdb_data_chunk at;
    struct trib_type type;
    struct trib_chunk chunk;
};

/* With several threads, DuckDB's own loop spins while another thread works on the only task, and burns as much as that one.
 * This one sleeps: at most a millisecond, so that short statements do not wait. */
static void rest(unsigned *idle)
{
    struct timespec t = {.tv_nsec = *idle < 20 ? 50000 : 1000000};
    (*idle)++;
    (void)nanosleep(&t, NULL);
}

int trib_engine_execute(struct trib_conn *c, duckdb_prepared_statement stmt, bool streaming, duckdb_result *ret,
                        struct trib_err *err)
{
    duckdb_pending_result pending;
    duckdb_state made =
        streaming ? duckdb_pending_prepared_streaming(stmt, &pending) : duckdb_pending_prepared(stmt, &pending);
    unsigned idle = 0;
    int rc = 0;
    duckdb_pending_state state = made == DuckDBSuccess ? DUCKDB_PENDING_RESULT_NOT_READY : DUCKDB_PENDING_ERROR;
    while (state == DUCKDB_PENDING_RESULT_NOT_READY || state == DUCKDB_PENDING_NO_TASKS_AVAILABLE) {
        state = duckdb_pending_execute_task(pending);
        if (state == DUCKDB_PENDING_NO_TASKS_AVAILABLE) {
            rest(&idle);
        } else {
            idle = 0;
        }
    }
    if (state == DUCKDB_PENDING_ERROR) {
        rc = trib_conn_fail(c, duckdb_pending_error(pending), err);
    } else if (duckdb_execute_pending(pending, ret) != DuckDBSuccess) {
        rc = trib_conn_fail(c, duckdb_result_error(ret), err);
        duckdb_destroy_result(ret);
    }
    duckdb_destroy_pending(&pending);
    return rc;
}

/* Runs all statements but the last, which is prepared; all of them when ret is NULL. */
static int run_statements(struct trib_conn *c, duckdb_extracted_statements all, idx_t n, duckdb_prepared_statement *ret,
                          struct trib_err *err)
{
    for (idx_t i = 0; i < n; i++) {
        duckdb_prepared_statement stmt;
        int rc = 0;
        if (duckdb_prepare_extracted_statement(c->con, all, i, &stmt) != DuckDBSuccess) {
            rc = trib_conn_fail(c, duckdb_prepare_error(stmt), err);
        } else if (i + 1 == n && ret != NULL) {
            *ret = stmt;
            return 0;
        } else {
            duckdb_result r;
            rc = trib_engine_execute(c, stmt, false, &r, err);
            if (rc == 0) {
                duckdb_destroy_result(&r);
            }
        }
        duckdb_destroy_prepare(&stmt);
        TRIB_TRY(rc);
    }
    return ret == NULL ? 0 : trib_err_set(err, TRIB_E_DATA, "the SQL text has no statement");
}

static int extract(struct trib_conn *c, const char *sql, duckdb_prepared_statement *ret, struct trib_err *err)
{
    trib_conn_unpend(c);
    duckdb_extracted_statements all;
    idx_t n = duckdb_extract_statements(c->con, sql, &all);
    const char *text = n == 0 ? duckdb_extract_statements_error(all) : NULL;
    int rc = text != NULL ? trib_conn_fail(c, text, err) : run_statements(c, all, n, ret, err);
    duckdb_destroy_extracted(&all);
    return rc;
}

int trib_exec(struct trib_conn *c, const char *sql, struct trib_err *err) { return extract(c, sql, NULL, err); }

static int prepare(struct trib_conn *c, const char *sql, duckdb_prepared_statement *ret, struct trib_err *err)
{
    size_t statements;
    (void)trib_sql_trim(trib_view_of(sql), &statements);
    if (statements > 1) {
        return trib_err_set(err, TRIB_E_DATA, "the SQL text has %zu statements, one is wanted", statements);
    }
    /* DuckDB turns some single statements (PIVOT) into several. */
    return extract(c, sql, ret, err);
}

static void stmt_type(duckdb_prepared_statement stmt, struct trib_type *ret, bool *ret_cast)
{
    *ret = trib_type_simple(TRIB_T_STRUCT);
    *ret_cast = false;
    for (idx_t i = 0; i < duckdb_prepared_statement_column_count(stmt); i++) {
        duckdb_logical_type t = duckdb_prepared_statement_column_logical_type(stmt, i);
        const char *name = duckdb_prepared_statement_column_name(stmt, i);
        struct trib_type ours;
        trib_engine_type(t, &ours, ret_cast);
        trib_type_add(ret, name, ours);
        duckdb_free((void *)(uintptr_t)name);
        duckdb_destroy_logical_type(&t);
    }
}

/* The query with every column cast to the type that we give it. */
static char *cast_query(const char *sql, const struct trib_type *type)
{
    struct trib_view text = trib_view_of(sql);
    text.n = trib_sql_trim(text, NULL);
    struct trib_buf b;
    trib_buf_init(&b, SIZE_MAX / 2);
    trib_buf_adds(&b, "SELECT ");
    for (size_t i = 0; i < type->n_fields; i++) {
        trib_buf_addf(&b, "%sCAST(c%zu AS ", i > 0 ? ", " : "", i);
        trib_type_sql(&type->fields[i].type, &b);
        trib_buf_adds(&b, ") AS ");
        trib_sql_ident(&b, type->fields[i].name);
    }
    trib_buf_adds(&b, " FROM (");
    trib_buf_add(&b, text.p, text.n);
    trib_buf_adds(&b, "\n) AS t(");
    for (size_t i = 0; i < type->n_fields; i++) {
        trib_buf_addf(&b, "%sc%zu", i > 0 ? ", " : "", i);
    }
    trib_buf_addc(&b, ')');
    return trib_buf_take(&b);
}

/* Prepares sql so that its columns have types of ours; *ret_sql (may be NULL) is the text that does it. */
static int prepare_typed(struct trib_conn *c, const char *sql, duckdb_prepared_statement *ret,
                         struct trib_type *ret_type, char **ret_sql, struct trib_err *err)
{
    duckdb_prepared_statement stmt;
    TRIB_TRY(prepare(c, sql, &stmt, err));
    struct trib_type type;
    bool cast;
    stmt_type(stmt, &type, &cast);
    char *text = NULL;
    if (cast && duckdb_prepared_statement_type(stmt) != DUCKDB_STATEMENT_TYPE_SELECT) {
        /* COPY's counts are UBIGINT, and COPY cannot stand inside a SELECT. */
        cast = false;
        for (size_t i = 0; i < type.n_fields; i++) {
            if (duckdb_prepared_statement_column_type(stmt, i) == DUCKDB_TYPE_UBIGINT) {
                type.fields[i].type = trib_type_simple(TRIB_T_LONG);
            }
        }
    }
    if (cast) {
        duckdb_destroy_prepare(&stmt);
        text = cast_query(sql, &type);
        int rc = prepare(c, text, &stmt, err);
        if (rc != 0) {
            free(text);
            trib_type_free(&type);
            return rc;
        }
    }
    if (ret_sql != NULL) {
        if (text == NULL) {
            text = trib_strndup(sql, trib_sql_trim(trib_view_of(sql), NULL));
        }
        *ret_sql = text;
    } else {
        free(text);
    }
    *ret_type = type;
    *ret = stmt;
    return 0;
}

int trib_query_type(struct trib_conn *c, const char *sql, struct trib_type *ret, char **ret_sql, struct trib_err *err)
{
    duckdb_prepared_statement stmt;
    TRIB_TRY(prepare_typed(c, sql, &stmt, ret, ret_sql, err));
    duckdb_destroy_prepare(&stmt);
    return 0;
}

/* Statements that only read; the engine's own kind decides afterwards (WITH … INSERT). */
static bool begins_as_reader(struct trib_view sql)
{
    static const char *const words[] = {"SELECT", "WITH", "FROM",      "VALUES", "TABLE",  "DESCRIBE",
                                        "DESC",   "SHOW", "SUMMARIZE", "PIVOT",  "UNPIVOT"};
    size_t pos = 0;
    struct trib_token t = trib_token_next(sql, &pos);
    if (trib_token_is(sql, t, "EXPLAIN")) {
        t = trib_token_next(sql, &pos);
        if (trib_token_is(sql, t, "ANALYZE")) {
            t = trib_token_next(sql, &pos);
        }
    }
    while (trib_token_punct(sql, t, "(")) {
        t = trib_token_next(sql, &pos);
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (trib_token_is(sql, t, words[i])) {
            return true;
        }
    }
    return false;
}

int trib_query_begins(const char *sql, struct trib_err *err)
{
    struct trib_view text = trib_view_of(sql);
    size_t statements;
    size_t end = trib_sql_trim(text, &statements);
    if (statements != 1) {
        return trib_err_set(err, TRIB_E_USAGE, "the SQL text has %zu statements, one is wanted", statements);
    }
    if (!begins_as_reader(text)) {
        return trib_err_set(
            err, TRIB_E_USAGE,
            "only a statement that reads may run here (SELECT, WITH, FROM, VALUES, SHOW TABLES, DESCRIBE, SUMMARIZE, EXPLAIN): %.*s",
            (int)(end > 80 ? 80 : end), sql);
    }
    return 0;
}

int trib_query_reads(struct trib_conn *c, const char *sql, struct trib_err *err)
{
    TRIB_TRY(trib_query_begins(sql, err));
    duckdb_prepared_statement stmt;
    TRIB_TRY(prepare(c, sql, &stmt, err));
    duckdb_statement_type kind = duckdb_prepared_statement_type(stmt);
    idx_t parameters = duckdb_nparams(stmt);
    duckdb_destroy_prepare(&stmt);
    if (kind != DUCKDB_STATEMENT_TYPE_SELECT && kind != DUCKDB_STATEMENT_TYPE_EXPLAIN) {
        return trib_err_set(err, TRIB_E_USAGE, "only a statement that reads may run here");
    }
    if (parameters > 0) {
        return trib_err_set(err, TRIB_E_USAGE, "the SQL text has parameters (? or $1), which cannot be given here");
    }
    return 0;
}

int trib_query(struct trib_conn *c, const char *sql, struct trib_result **ret, struct trib_err *err)
{
    struct trib_result *r = trib_calloc(1, sizeof *r);
    r->conn = c;
    int rc = prepare_typed(c, sql, &r->stmt, &r->type, NULL, err);
    if (rc != 0) {
        free(r);
        return rc;
    }
    rc = trib_engine_execute(c, r->stmt, true, &r->res, err);
    r->running = rc == 0;
    if (rc != 0) {
        trib_result_free(r);
        return rc;
    }
    r->chunk.n_cols = r->type.n_fields;
    r->chunk.cols = trib_calloc(r->type.n_fields + 1, sizeof *r->chunk.cols);
    for (size_t i = 0; i < r->chunk.n_cols; i++) {
        trib_engine_vec_init(&r->chunk.cols[i], &r->type.fields[i].type);
    }
    *ret = r;
    return 0;
}

const struct trib_type *trib_result_type(const struct trib_result *r) { return &r->type; }

int trib_result_next(struct trib_result *r, const struct trib_chunk **ret, struct trib_err *err)
{
    duckdb_destroy_data_chunk(&r->at);
    r->chunk.rows = 0;
    r->at = duckdb_fetch_chunk(r->res);
    if (r->at == NULL) {
        const char *text = duckdb_result_error(&r->res);
        if (text != NULL && text[0] != '\0') {
            return trib_conn_fail(r->conn, text, err);
        }
        *ret = &r->chunk;
        return 0;
    }
    r->chunk.rows = duckdb_data_chunk_get_size(r->at);
    r->chunk.capacity = r->chunk.rows;
    for (size_t i = 0; i < r->chunk.n_cols; i++) {
        trib_engine_vec_view(&r->chunk.cols[i], duckdb_data_chunk_get_vector(r->at, i));
    }
    *ret = &r->chunk;
    return 0;
}

void trib_result_free(struct trib_result *r)
{
    if (r == NULL) {
        return;
    }
    for (size_t i = 0; r->chunk.cols != NULL && i < r->chunk.n_cols; i++) {
        trib_engine_vec_free(&r->chunk.cols[i]);
    }
    free(r->chunk.cols);
    duckdb_destroy_data_chunk(&r->at);
    if (r->running) {
        duckdb_destroy_result(&r->res);
    }
    duckdb_destroy_prepare(&r->stmt);
    trib_type_free(&r->type);
    free(r);
}

int trib_query_i64(struct trib_conn *c, const char *sql, int64_t otherwise, int64_t *ret, struct trib_err *err)
{
    struct trib_result *r;
    TRIB_TRY(trib_query(c, sql, &r, err));
    const struct trib_chunk *chunk;
    int rc = trib_result_next(r, &chunk, err);
    if (rc == 0 && (r->type.n_fields != 1 || r->type.fields[0].type.id != TRIB_T_LONG)) {
        rc = trib_err_set(err, TRIB_E_INTERNAL, "the query must give one BIGINT: %.200s", sql);
    }
    if (rc == 0) {
        *ret = chunk->rows == 0 || trib_vec_is_null(&chunk->cols[0], 0) ? otherwise
                                                                        : ((const int64_t *)chunk->cols[0].data)[0];
    }
    trib_result_free(r);
    return rc;
}
