/*
 * The embedded SQL engine (DuckDB): SQL, sort, spill, Parquet reading; table functions and scalar functions of ours.
 * Nothing above this layer includes duckdb.h.
 *
 * Memory: limit_bytes is DuckDB's own limit; beyond it it spills to the scratch folder. Nothing is written elsewhere. What it does
 * not count (its Parquet writer's pages, vectors in flight, freed memory that is not given back yet) measured up to 90 MiB.
 * Settings: UTC, no extensions loaded from anywhere, no access to the network. preserve_insertion_order is off: rows keep their order
 * where there is an ORDER BY and where they come from one source of ours.
 * Threads: an engine may be used by several threads, each with a connection of its own (trib_conn).
 */
#ifndef TRIB_ENGINE_ENGINE_H
#define TRIB_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "columns/type.h"
#include "columns/vec.h"

struct trib_engine;
struct trib_engine_opts {
    uint64_t limit_bytes; /* 0: 512 MiB */
    unsigned threads;     /* DuckDB's; 1: the calling thread does the work */
    const char *scratch;  /* folder for spill; must exist */
};
TRIB_CHECKED int trib_engine_open(const struct trib_engine_opts *o, struct trib_engine **ret, struct trib_err *err);
void trib_engine_close(struct trib_engine *e);
/* What a running query of the engine may hold per thread, about. */
uint64_t trib_engine_thread_bytes(const struct trib_engine *e);
const char *trib_engine_version(void);

struct trib_conn;
TRIB_CHECKED int trib_conn_open(struct trib_engine *e, struct trib_conn **ret, struct trib_err *err);
void trib_conn_close(struct trib_conn *c);
struct trib_engine *trib_conn_engine(const struct trib_conn *c); /* [borrow] */
/*
 * Makes room for rows of so many leaf columns: a column takes its vectors and buffers however few rows there are, so a wide table
 * would never fit a small limit. Raises DuckDB's limit where it is below what such rows take, and never lowers it; what is not
 * touched costs no memory.
 */
TRIB_CHECKED int trib_conn_room(struct trib_conn *c, size_t leaves, struct trib_err *err);
/* The engine's queries on one thread, or on as many as it was opened with: for a query that must hold less. Other connections' too. */
TRIB_CHECKED int trib_conn_one_thread(struct trib_conn *c, bool one, struct trib_err *err);
/* Stops a running statement from another thread or a signal's consequence. */
void trib_conn_interrupt(struct trib_conn *c);

/* Runs one or more statements, drops the results. SQL errors are DATA with the engine's text; memory and I/O are told apart. */
TRIB_CHECKED int trib_exec(struct trib_conn *c, const char *sql, struct trib_err *err);
/* A statement that was put together; LIMIT when it outgrew its buffer: one that was cut never runs. */
TRIB_CHECKED int trib_exec_buf(struct trib_conn *c, const struct trib_buf *sql, struct trib_err *err);
TRIB_CHECKED int trib_execf(struct trib_conn *c, struct trib_err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A running query: chunks stream, bounded memory. */
struct trib_result;
TRIB_CHECKED int trib_query(struct trib_conn *c, const char *sql, struct trib_result **ret, struct trib_err *err);
const struct trib_type *trib_result_type(
    const struct trib_result *
        r); /* STRUCT of the columns, names as in the query [borrow]; types that our tree lacks are cast as trib_query_type says */
/* The next chunk; ret->rows 0 at the end. Views are valid until the next call. */
TRIB_CHECKED int trib_result_next(struct trib_result *r, const struct trib_chunk **ret, struct trib_err *err);
void trib_result_free(struct trib_result *r);
/* The columns' types without running it; *ret_sql (may be NULL; [out] free()): the same query as one statement without semicolon,
 * with columns of types that our tree lacks cast to the nearest (HUGEINT, which sum(BIGINT) gives, to DECIMAL(38,0); else STRING). */
TRIB_CHECKED int trib_query_type(struct trib_conn *c, const char *sql, struct trib_type *ret, char **ret_sql,
                                 struct trib_err *err);
/* 0 when sql is one statement that only reads, and binds; USAGE when it is several, writes, or has parameters; else the engine's error. */
TRIB_CHECKED int trib_query_reads(struct trib_conn *c, const char *sql, struct trib_err *err);
/* What can be told of that from the text alone. */
TRIB_CHECKED int trib_query_begins(const char *sql, struct trib_err *err);
/* Conveniences over one row: the single BIGINT of a query; NULL gives `otherwise`. */
TRIB_CHECKED int trib_query_i64(struct trib_conn *c, const char *sql, int64_t otherwise, int64_t *ret,
                                struct trib_err *err);

/*
 * A source: a table function that pulls chunks from C. fill gets an empty chunk (all valid) and sets chunk->rows; 0 ends
 * it. fill runs on a thread of the query, one at a time. Registered under `name`, for this connection, in place of an earlier one: SELECT * FROM name().
 * ctx must outlive the queries that use it. A fill that fails ends the query with its error, given back unchanged.
 */
typedef int (*trib_fill_fn)(void *ctx, struct trib_chunk *chunk, struct trib_err *err);
TRIB_CHECKED int trib_source_register(struct trib_conn *c, const char *name, const struct trib_type *row,
                                      trib_fill_fn fill, void *ctx, struct trib_err *err);

/*
 * A scalar function, for this connection, in place of an earlier one of that name: args and the result as vectors; n rows. NULL arguments are passed on, not short-cut. The function must write
 * every row of out. Strings may point into *arena or into the arguments (they are copied by the engine). May run on several threads at once: state
 * that is not read-only needs per-thread copies (make_state, called once per thread of a query; NULL: none).
 */
struct trib_function {
    const char *name;
    const struct trib_type *args; /* STRUCT: one field an argument */
    const struct trib_type *result;
    int (*call)(void *ctx, void *state, const struct trib_vec *args, size_t n, struct trib_vec *out,
                struct trib_arena *arena, struct trib_err *err);
    void *ctx;
    void *(*make_state)(void *ctx);
    void (*free_state)(void *state);
};
TRIB_CHECKED int trib_function_register(struct trib_conn *c, const struct trib_function *f, struct trib_err *err);

#endif
