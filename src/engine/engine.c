/*
 * Opening the engine, connections, statements, results.
 *
 * Owns the database handle and its connections. Never writes outside the scratch folder but where a COPY says.
 * Threads: an engine may be shared; a connection belongs to one thread at a time (trib_conn_interrupt may come from any).
 * A crash leaves files in the scratch folder only, which dies with the process anyway.
 */
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/internal.h"
#include "engine/token.h"

#define DEFAULT_LIMIT   (UINT64_C(512) << 20)
/* Of a leaf column in one thread's pipeline, from a file into a file: some ten vectors of 2,048 rows, and what is buffered. */
#define LEAF_BYTES      (UINT64_C(512) << 10)
#define ROOM_BASE_BYTES (UINT64_C(64) << 20)

static const char *const settings[][2] = {
    {"autoinstall_known_extensions", "false"},
    {"autoload_known_extensions", "false"},
    {"allow_community_extensions", "false"},
    {"allow_persistent_secrets", "false"},
    {"allocator_background_threads", "false"},
    /* Freed memory goes back to the system after each task; by default up to 128 MiB a thread stay. */
    {"allocator_flush_threshold", "1MB"},
    {"allocator_bulk_deallocation_flush_threshold", "4MB"},
    /* It keeps what was read of files in memory up to the limit; the page cache does that better. */
    {"enable_external_file_cache", "false"},
    /* Only explicit ORDER BY and single streams keep order: files can then be bounded by bytes. See parquet/. */
    {"preserve_insertion_order", "false"},
};

static uint64_t limit_of(const struct trib_engine_opts *o)
{
    return o->limit_bytes == 0 ? DEFAULT_LIMIT : o->limit_bytes;
}

static int configure(duckdb_config config, const struct trib_engine_opts *o, struct trib_err *err)
{
    char limit[32], threads[16];
    (void)snprintf(limit, sizeof limit, "%llu B", (unsigned long long)limit_of(o));
    (void)snprintf(threads, sizeof threads, "%u", o->threads == 0 ? 1 : o->threads);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (duckdb_set_config(config, settings[i][0], settings[i][1]) != DuckDBSuccess) {
            return trib_err_set(err, TRIB_E_INTERNAL, "the SQL engine refused the setting %s", settings[i][0]);
        }
    }
    bool bad = duckdb_set_config(config, "memory_limit", limit) != DuckDBSuccess;
    bad |= duckdb_set_config(config, "threads", threads) != DuckDBSuccess;
    bad |= duckdb_set_config(config, "temp_directory", o->scratch == NULL ? "" : o->scratch) != DuckDBSuccess;
    if (bad) {
        return trib_err_set(err, TRIB_E_INTERNAL,
                            "the SQL engine refused memory limit %s, threads %s or scratch folder '%s'", limit, threads,
                            o->scratch == NULL ? "" : o->scratch);
    }
    return 0;
}

static int engine_setup(struct trib_engine *e, struct trib_err *err)
{
    struct trib_conn *c;
    TRIB_TRY(trib_conn_open(e, &c, err));
    int rc = trib_exec(c, "SET GLOBAL TimeZone = 'UTC'; SET GLOBAL Calendar = 'gregorian'", err);
    if (rc == 0) {
        rc = trib_engine_register_source_function(e, c->con, err);
    }
    trib_conn_close(c);
    return rc;
}

int trib_engine_open(const struct trib_engine_opts *o, struct trib_engine **ret, struct trib_err *err)
{
    duckdb_config config;
    if (duckdb_create_config(&config) != DuckDBSuccess) {
        return trib_err_set(err, TRIB_E_INTERNAL, "the SQL engine gave no configuration object");
    }
    int rc = configure(config, o, err);
    if (rc != 0) {
        duckdb_destroy_config(&config);
        return rc;
    }
    struct trib_engine *e = trib_calloc(1, sizeof *e);
    e->limit_bytes = e->room_bytes = limit_of(o);
    e->threads = o->threads == 0 ? 1 : o->threads;
    char *text = NULL;
    if (duckdb_open_ext(NULL, &e->db, config, &text) != DuckDBSuccess) {
        rc = trib_err_set(err, TRIB_E_INTERNAL, "the SQL engine did not open: %s",
                          text == NULL ? "no reason given" : text);
        duckdb_free(text);
        duckdb_destroy_config(&config);
        free(e);
        return rc;
    }
    duckdb_destroy_config(&config);
    (void)pthread_mutex_init(&e->lock, NULL);
    rc = engine_setup(e, err);
    if (rc != 0) {
        trib_engine_close(e);
        return rc;
    }
    *ret = e;
    return 0;
}

void trib_engine_close(struct trib_engine *e)
{
    if (e == NULL) {
        return;
    }
    duckdb_close(&e->db);
    while (e->signatures != NULL) {
        struct trib_signature *s = e->signatures;
        e->signatures = s->next;
        trib_type_free(&s->args);
        trib_type_free(&s->result);
        free(s->name);
        free(s->sql_name);
        free(s);
    }
    (void)pthread_mutex_destroy(&e->lock);
    free(e);
}

uint64_t trib_engine_thread_bytes(const struct trib_engine *e) { return e->limit_bytes / e->threads; }

struct trib_engine *trib_conn_engine(const struct trib_conn *c) { return c->engine; }

int trib_conn_room(struct trib_conn *c, size_t leaves, struct trib_err *err)
{
    struct trib_engine *e = c->engine;
    uint64_t want = ROOM_BASE_BYTES + leaves * LEAF_BYTES * e->threads;
    int rc = 0;
    (void)pthread_mutex_lock(&e->lock);
    if (want > e->room_bytes) {
        char sql[80];
        duckdb_connection con; /* of its own: the caller's may have a result open */
        duckdb_result r;
        (void)snprintf(sql, sizeof sql, "SET GLOBAL memory_limit = '%llu B'", (unsigned long long)want);
        if (duckdb_connect(e->db, &con) != DuckDBSuccess) {
            rc = trib_err_set(err, TRIB_E_INTERNAL, "the SQL engine gave no connection");
        } else {
            rc = duckdb_query(con, sql, &r) == DuckDBSuccess ? 0 : trib_conn_fail(c, duckdb_result_error(&r), err);
            duckdb_destroy_result(&r);
            duckdb_disconnect(&con);
        }
        e->room_bytes = rc == 0 ? want : e->room_bytes;
    }
    (void)pthread_mutex_unlock(&e->lock);
    return rc;
}

int trib_conn_one_thread(struct trib_conn *c, bool one, struct trib_err *err)
{
    return c->engine->threads == 1 ? 0 : trib_execf(c, err, "SET GLOBAL threads = %u", one ? 1 : c->engine->threads);
}

const char *trib_engine_version(void) { return duckdb_library_version(); }

int trib_conn_open(struct trib_engine *e, struct trib_conn **ret, struct trib_err *err)
{
    struct trib_conn *c = trib_calloc(1, sizeof *c);
    c->engine = e;
    if (duckdb_connect(e->db, &c->con) != DuckDBSuccess) {
        free(c);
        return trib_err_set(err, TRIB_E_INTERNAL, "the SQL engine gave no connection");
    }
    duckdb_client_context context;
    duckdb_connection_get_client_context(c->con, &context);
    c->id = duckdb_client_context_get_connection_id(context);
    duckdb_destroy_client_context(&context);
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_mutex_lock(&e->lock);
    c->next = e->conns;
    e->conns = c;
    (void)pthread_mutex_unlock(&e->lock);
    *ret = c;
    return 0;
}

void trib_conn_close(struct trib_conn *c)
{
    if (c == NULL) {
        return;
    }
    duckdb_disconnect(&c->con);
    struct trib_engine *e = c->engine;
    (void)pthread_mutex_lock(&e->lock);
    for (struct trib_conn **at = &e->conns; *at != NULL; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    (void)pthread_mutex_unlock(&e->lock);
    trib_engine_drop_sources(c);
    trib_engine_drop_impls(c);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

void trib_conn_interrupt(struct trib_conn *c) { duckdb_interrupt(c->con); }

void trib_conn_pend(struct trib_conn *c, const struct trib_err *e)
{
    (void)pthread_mutex_lock(&c->lock);
    if (c->pending.code == TRIB_OK) {
        c->pending = *e;
    }
    (void)pthread_mutex_unlock(&c->lock);
}

void trib_conn_unpend(struct trib_conn *c)
{
    (void)pthread_mutex_lock(&c->lock);
    trib_err_clear(&c->pending);
    (void)pthread_mutex_unlock(&c->lock);
}

/* DuckDB's messages begin with the kind of error; a failed prepare gives the text alone, so the text decides. */
static enum trib_code code_of(const char *text)
{
    static const struct {
        const char *prefix;
        enum trib_code code;
    } kinds[] = {
        {"INTERRUPT Error", TRIB_E_CANCELLED}, {"Out of Memory Error", TRIB_E_LIMIT}, {"IO Error", TRIB_E_IO},
        {"INTERNAL Error", TRIB_E_INTERNAL},   {"FATAL Error", TRIB_E_INTERNAL},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strncmp(text, kinds[i].prefix, strlen(kinds[i].prefix)) == 0) {
            return kinds[i].code;
        }
    }
    return TRIB_E_DATA;
}

int trib_conn_fail(struct trib_conn *c, const char *text, struct trib_err *err)
{
    (void)pthread_mutex_lock(&c->lock);
    struct trib_err pending = c->pending;
    (void)pthread_mutex_unlock(&c->lock);
    if (pending.code != TRIB_OK) {
        if (err != NULL) {
            *err = pending;
        }
        return (int)pending.code;
    }
    if (text == NULL) {
        text = "the SQL engine gave no reason";
    }
    enum trib_code code = code_of(text);
    int rc = code == TRIB_E_LIMIT
                 ? trib_err_set(err, code, "the SQL engine needs more memory than it may use; raise `memory`: %s", text)
                 : trib_err_set(err, code, "%s", text);
    if (err != NULL && (code == TRIB_E_IO || code == TRIB_E_LIMIT)) {
        err->retriable = true;
    }
    return rc;
}

int trib_execf(struct trib_conn *c, struct trib_err *err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *sql = NULL;
    int n = vasprintf(&sql, fmt, ap);
    va_end(ap);
    if (n < 0) {
        return trib_err_set(err, TRIB_E_INTERNAL, "a statement could not be formatted");
    }
    int rc = trib_exec(c, sql, err);
    free(sql);
    return rc;
}

int trib_exec_buf(struct trib_conn *c, const struct trib_buf *sql, struct trib_err *err)
{
    TRIB_TRY(trib_buf_check(sql, "statement", err));
    return trib_exec(c, sql->p, err);
}
