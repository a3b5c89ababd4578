/*
 * What must hold between lives: every log is whole from version 0 on, no position in it ever goes back, and each table's rows are
 * the model's, as multisets. Never: repairs or writes anything. Threads: one.
 */
#include "sim/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* --- logs ----------------------------------------------------------------------------------------------------------- */

enum { MAX_APPS = 16 };
struct positions {
    char apps[MAX_APPS][200];
    int64_t versions[MAX_APPS];
    size_t n;
};

static int advance(struct positions *p, const char *app, size_t len, int64_t version, const char *file,
                   struct trib_err *err)
{
    size_t i = 0;
    while (i < p->n && (strncmp(p->apps[i], app, len) != 0 || p->apps[i][len] != '\0')) {
        i++;
    }
    if (i == p->n) {
        if (p->n == MAX_APPS || len >= sizeof p->apps[0]) {
            abort();
        }
        memcpy(p->apps[i], app, len);
        p->apps[i][len] = '\0';
        p->n++;
    } else if (version < p->versions[i]) {
        return trib_err_set(err, TRIB_E_DATA, "%s: the position of %s goes back from %" PRId64 " to %" PRId64, file,
                            p->apps[i], p->versions[i], version);
    }
    p->versions[i] = version;
    return 0;
}

/* Nothing is cleaned up here: every version is there. */
static int check_log(const struct trib_env *env, const char *path, int64_t newest, struct trib_err *err)
{
    struct positions p = {.n = 0};
    for (int64_t v = 0; v <= newest; v++) {
        TRIB_CLEANUP(trib_cleanup_free) char *key = trib_asprintf("%s/_delta_log/%020" PRId64 ".json", path, v);
        TRIB_CLEANUP(trib_buf_free) struct trib_buf text;
        trib_buf_init(&text, 1 << 24);
        TRIB_TRY(trib_store_get(env->lake, key, 0, -1, &text, err));
        static const char begin[] = "{\"txn\":{\"appId\":\"", middle[] = "\",\"version\":";
        for (const char *at = text.p; (at = strstr(at, begin)) != NULL;) {
            const char *app = at + sizeof begin - 1, *end = strstr(app, middle);
            if (end == NULL) {
                return trib_err_set(err, TRIB_E_DATA, "%s: a txn of another form than expected", key);
            }
            at = end + sizeof middle - 1;
            TRIB_TRY(advance(&p, app, (size_t)(end - app), strtoll(at, NULL, 10), key, err));
        }
    }
    return 0;
}

/* --- rows ----------------------------------------------------------------------------------------------------------- */

/* The first rows that differ, as text. */
static int tell_difference(struct trib_conn *conn, const char *path, const char *difference, struct trib_err *err)
{
    TRIB_CLEANUP(trib_buf_free) struct trib_buf sql;
    trib_buf_init(&sql, 1 << 22);
    trib_buf_addf(&sql, "SELECT string_agg(CAST(d AS VARCHAR), '; ') FROM (SELECT d FROM (%s) d LIMIT 6)", difference);
    struct trib_result *res = NULL;
    const struct trib_chunk *chunk;
    TRIB_TRY(trib_query(conn, sql.p, &res, err));
    int rc = trib_result_next(res, &chunk, err);
    if (rc == 0) {
        struct trib_view text = chunk->rows == 0 ? trib_view_of("?") : trib_str_view(chunk->cols[0].data);
        rc = trib_err_set(err, TRIB_E_DATA, "%s differs from the model: %.*s", path, (int)text.n, text.p);
    }
    trib_result_free(res);
    return rc;
}

static int compare(const struct trib_env *env, struct trib_conn *conn, const struct world_table *w,
                   struct trib_err *err)
{
    struct trib_snapshot s = {.version = -1};
    struct trib_delta t = trib_env_delta(env, conn, trib_strdup(w->path));
    TRIB_TRY(trib_delta_load(&t, -1, &s, err));
    if (s.version < 0) {
        return w->n == 0 ? 0 : trib_err_set(err, TRIB_E_DATA, "%s is not there, %zu rows are missing", w->path, w->n);
    }
    TRIB_TRY(check_log(env, w->path, s.version, err));
    TRIB_CLEANUP(trib_buf_free) struct trib_buf rows, sql;
    trib_buf_init(&rows, 1 << 20);
    trib_buf_init(&sql, 1 << 22);
    TRIB_TRY(trib_delta_select(&t, &s, s.adds, s.n_adds, false, &rows, err));
    trib_buf_addf(&sql, "WITH t AS (%s), a AS (SELECT %s FROM t), b AS (", rows.p, w->select);
    if (w->n > 0) {
        trib_buf_addf(&sql, "FROM (VALUES %s) ", w->want.p);
    } else {
        trib_buf_adds(&sql, "FROM a WHERE false");
    }
    trib_buf_adds(&sql, ") SELECT 'too much' AS what, * FROM (FROM a EXCEPT ALL FROM b) UNION ALL "
                        "SELECT 'missing', * FROM (FROM b EXCEPT ALL FROM a)");
    TRIB_CLEANUP(trib_cleanup_free) char *count = trib_asprintf("SELECT count(*) FROM (%s)", sql.p);
    int64_t n = 0;
    TRIB_TRY(trib_query_i64(conn, count, 0, &n, err));
    return n == 0 ? 0 : tell_difference(conn, w->path, sql.p, err);
}

int sim_check(const struct trib_env *env, const struct world *w, struct trib_err *err)
{
    struct trib_conn *conn;
    TRIB_TRY(trib_conn_open(env->engine, &conn, err));
    struct world_table tables[WORLD_TABLES];
    size_t n = world_tables(w, tables);
    int rc = 0;
    for (size_t i = 0; i < n; i++) {
        rc = rc != 0 ? rc : compare(env, conn, &tables[i], err);
        trib_buf_free(&tables[i].want);
    }
    return rc;
}
