/*
 * Sources: DuckDB pulls chunks from C.
 *
 * One table function, trib_source(id), is made for each engine, since functions cannot be dropped from its catalogue; a
 * source is an entry in a list and a macro of its connection's temporary schema that gives the entry a name.
 * Threads: the list is under the engine's lock; fill runs on one thread of a query at a time. Nothing on disk.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "engine/internal.h"

/* What one running scan keeps. */
struct scan {
    struct trib_source *source; /* [borrow] */
    struct trib_chunk chunk;
    bool ended;
};

static void scan_free(void *p)
{
    struct scan *s = p;
    for (size_t i = 0; i < s->chunk.n_cols; i++) {
        trib_engine_vec_free(&s->chunk.cols[i]);
    }
    free(s->chunk.cols);
    trib_arena_free(&s->chunk.arena);
    free(s);
}

static struct trib_source *find_source(struct trib_engine *e, int64_t id)
{
    (void)pthread_mutex_lock(&e->lock);
    struct trib_source *s = e->sources;
    while (s != NULL && s->id != id) {
        s = s->next;
    }
    (void)pthread_mutex_unlock(&e->lock);
    return s;
}

static void source_bind(duckdb_bind_info info)
{
    struct trib_engine *e = duckdb_bind_get_extra_info(info);
    duckdb_value v = duckdb_bind_get_parameter(info, 0);
    struct trib_source *s = find_source(e, duckdb_get_int64(v));
    duckdb_destroy_value(&v);
    if (s == NULL) {
        duckdb_bind_set_error(info, "there is no such source");
        return;
    }
    for (size_t i = 0; i < s->row.n_fields; i++) {
        duckdb_logical_type t = trib_engine_logical(&s->row.fields[i].type);
        duckdb_bind_add_result_column(info, s->row.fields[i].name, t);
        duckdb_destroy_logical_type(&t);
    }
    duckdb_bind_set_bind_data(info, s, NULL);
}

static void source_init(duckdb_init_info info)
{
    struct scan *s = trib_calloc(1, sizeof *s);
    s->source = duckdb_init_get_bind_data(info);
    s->chunk.n_cols = s->source->row.n_fields;
    s->chunk.cols = trib_calloc(s->chunk.n_cols + 1, sizeof *s->chunk.cols);
    for (size_t i = 0; i < s->chunk.n_cols; i++) {
        trib_engine_vec_init(&s->chunk.cols[i], &s->source->row.fields[i].type);
    }
    trib_arena_init(&s->chunk.arena);
    duckdb_init_set_max_threads(info, 1);
    duckdb_init_set_init_data(info, s, scan_free);
}

static void source_next(duckdb_function_info info, duckdb_data_chunk output)
{
    struct scan *s = duckdb_function_get_init_data(info);
    duckdb_data_chunk_set_size(output, 0);
    if (s->ended) {
        return;
    }
    /* What the chunk before pointed to was copied or written by now: a pipeline takes a chunk through before the next. */
    trib_arena_reset(&s->chunk.arena);
    s->chunk.rows = 0;
    s->chunk.capacity = duckdb_vector_size();
    for (size_t i = 0; i < s->chunk.n_cols; i++) {
        trib_engine_vec_open(&s->chunk.cols[i], duckdb_data_chunk_get_vector(output, i));
    }
    struct trib_err err = {0};
    if (s->source->fill(s->source->ctx, &s->chunk, &err) != 0) {
        s->ended = true;
        trib_conn_pend(s->source->conn, &err);
        duckdb_function_set_error(info, err.msg);
        return;
    }
    s->ended = s->chunk.rows == 0;
    for (size_t i = 0; i < s->chunk.n_cols; i++) {
        trib_engine_vec_close(&s->chunk.cols[i]);
    }
    duckdb_data_chunk_set_size(output, s->chunk.rows);
}

int trib_engine_register_source_function(struct trib_engine *e, duckdb_connection con, struct trib_err *err)
{
    duckdb_table_function f = duckdb_create_table_function();
    duckdb_logical_type id = duckdb_create_logical_type(DUCKDB_TYPE_BIGINT);
    duckdb_table_function_set_name(f, "trib_source");
    duckdb_table_function_add_parameter(f, id);
    duckdb_table_function_set_extra_info(f, e, NULL);
    duckdb_table_function_set_bind(f, source_bind);
    duckdb_table_function_set_init(f, source_init);
    duckdb_table_function_set_function(f, source_next);
    duckdb_state state = duckdb_register_table_function(con, f);
    duckdb_destroy_logical_type(&id);
    duckdb_destroy_table_function(&f);
    return state == DuckDBSuccess ? 0
                                  : trib_err_set(err, TRIB_E_INTERNAL, "the SQL engine refused the source function");
}

static void source_free(struct trib_source *s)
{
    trib_type_free(&s->row);
    free(s->name);
    free(s);
}

/* Takes the connection's sources out of the list: that of this name, or all. */
static void drop_sources(struct trib_conn *c, const char *name)
{
    struct trib_engine *e = c->engine;
    (void)pthread_mutex_lock(&e->lock);
    struct trib_source **at = &e->sources;
    while (*at != NULL) {
        struct trib_source *s = *at;
        if (s->conn == c && (name == NULL || strcmp(s->name, name) == 0)) {
            *at = s->next;
            source_free(s);
        } else {
            at = &s->next;
        }
    }
    (void)pthread_mutex_unlock(&e->lock);
}

void trib_engine_drop_sources(struct trib_conn *c) { drop_sources(c, NULL); }

/* DuckDB has no struct without members. */
static int check_type(const struct trib_type *t, const char *name, struct trib_err *err)
{
    if (t->id == TRIB_T_STRUCT && t->n_fields == 0) {
        return trib_err_set(err, TRIB_E_UNSUPPORTED, "column '%s': a struct without members cannot be stored", name);
    }
    for (size_t i = 0; i < t->n_fields; i++) {
        TRIB_TRY(check_type(&t->fields[i].type, t->fields[i].name, err));
    }
    return 0;
}

int trib_source_register(struct trib_conn *c, const char *name, const struct trib_type *row, trib_fill_fn fill,
                         void *ctx, struct trib_err *err)
{
    TRIB_TRY(check_type(row, name, err));
    drop_sources(c, name);
    struct trib_source *s = trib_calloc(1, sizeof *s);
    s->conn = c;
    s->name = trib_strdup(name);
    s->fill = fill;
    s->ctx = ctx;
    trib_type_copy(&s->row, row);
    struct trib_engine *e = c->engine;
    (void)pthread_mutex_lock(&e->lock);
    s->id = ++e->next_id;
    s->next = e->sources;
    e->sources = s;
    int64_t id = s->id;
    (void)pthread_mutex_unlock(&e->lock);
    struct trib_buf b;
    trib_buf_init(&b, 1 << 16);
    trib_buf_adds(&b, "CREATE OR REPLACE TEMP MACRO ");
    trib_sql_ident(&b, name);
    trib_buf_addf(&b, "() AS TABLE SELECT * FROM trib_source(%" PRId64 ")", id);
    int rc = trib_buf_check(&b, "the name of a source", err);
    if (rc == 0) {
        rc = trib_exec(c, b.p, err);
    }
    trib_buf_free(&b);
    if (rc != 0) {
        drop_sources(c, name);
    }
    return rc;
}
