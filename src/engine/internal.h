/*
 * What the files of src/engine share. Nothing outside this folder includes it or duckdb.h.
 */
#ifndef TRIB_ENGINE_INTERNAL_H
#define TRIB_ENGINE_INTERNAL_H

#include <duckdb.h>
#include <pthread.h>

#include "engine/engine.h"

struct trib_source {
    struct trib_conn *conn; /* [borrow] */
    int64_t id;
    char *name;
    struct trib_type row;
    trib_fill_fn fill;
    void *ctx;
    struct trib_source *next; /* in the engine's list */
};

/* One scalar function of the engine's catalogue, whatever connection uses it: functions cannot be dropped there, so one
 * is made for each (name, signature) and finds its implementation by connection. */
struct trib_signature {
    struct trib_engine *engine; /* [borrow] */
    char *name;                 /* as the caller knows it */
    char *sql_name;             /* in the catalogue */
    struct trib_type args, result;
    struct trib_signature *next;
};

/* A connection's implementation. */
struct trib_impl {
    struct trib_conn *conn;           /* [borrow] */
    const struct trib_signature *sig; /* [borrow] */
    struct trib_function f;           /* name, args and result point into sig */
    struct trib_impl *next;
};

struct trib_engine {
    duckdb_database db;
    uint64_t limit_bytes, room_bytes; /* as opened; what wide rows raised it to (under lock) */
    unsigned threads;
    pthread_mutex_t lock; /* the lists below */
    struct trib_source *sources;
    struct trib_signature *signatures;
    struct trib_conn *conns;
    int64_t next_id;
};

struct trib_conn {
    struct trib_engine *engine; /* [borrow] */
    duckdb_connection con;
    idx_t id;
    struct trib_impl *impls; /* under engine->lock */
    struct trib_conn *next;
    pthread_mutex_t lock;    /* pending: callbacks may run on several threads */
    struct trib_err pending; /* of a callback of ours, to be given back unchanged */
};

/* Types. */
duckdb_logical_type trib_engine_logical(const struct trib_type *t); /* destroy it */
/* Our type for one of DuckDB's. ret_cast is set when values must be cast to it in SQL first. */
void trib_engine_type(duckdb_logical_type t, struct trib_type *ret, bool *ret_cast);

/* Vectors. init makes the tree of views; open points it at a vector to be written; close sets list sizes;
 * view points it at a vector to be read. */
void trib_engine_vec_init(struct trib_vec *v, const struct trib_type *t);
void trib_engine_vec_free(struct trib_vec *v);
void trib_engine_vec_open(struct trib_vec *v, duckdb_vector vector);
void trib_engine_vec_close(struct trib_vec *v);
void trib_engine_vec_view(struct trib_vec *v, duckdb_vector vector);

/* Errors: a callback leaves its own in the connection; a failed statement takes it, or turns the engine's text into ours. */
void trib_conn_pend(struct trib_conn *c, const struct trib_err *e);
void trib_conn_unpend(struct trib_conn *c);
int trib_conn_fail(struct trib_conn *c, const char *text, struct trib_err *err);

/* Runs a prepared statement to its result (the first chunk, when it streams), without spinning. */
int trib_engine_execute(struct trib_conn *c, duckdb_prepared_statement stmt, bool streaming, duckdb_result *ret,
                        struct trib_err *err);

int trib_engine_register_source_function(struct trib_engine *e, duckdb_connection con, struct trib_err *err);
void trib_engine_drop_sources(struct trib_conn *c);
void trib_engine_drop_impls(struct trib_conn *c);

#endif
