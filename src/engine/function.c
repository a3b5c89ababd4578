/*
 * Scalar functions of ours.
 *
 * DuckDB's catalogue of functions is one for all connections and only grows, but each connection wants its own
 * implementation under one name, again and again. So a catalogue function is made once for each (name, signature); it
 * finds the implementation by the connection's id, and a macro in the connection's temporary schema gives it its name.
 * Threads: lists under the engine's lock; calls run on several threads, each with its own state. Nothing on disk.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "engine/internal.h"

/* What one thread of a query keeps. */
struct call_state {
    struct trib_impl impl; /* a copy: the connection may register anew while an old plan lives */
    void *state;
    struct trib_vec *args;
    struct trib_vec out;
    struct trib_arena arena;
};

static void call_state_free(void *p)
{
    struct call_state *s = p;
    if (s->impl.f.free_state != NULL && s->state != NULL) {
        s->impl.f.free_state(s->state);
    }
    for (size_t i = 0; i < s->impl.sig->args.n_fields; i++) {
        trib_engine_vec_free(&s->args[i]);
    }
    free(s->args);
    trib_engine_vec_free(&s->out);
    trib_arena_free(&s->arena);
    free(s);
}

static bool find_impl(const struct trib_signature *sig, idx_t conn_id, struct trib_impl *ret)
{
    struct trib_engine *e = sig->engine;
    bool found = false;
    (void)pthread_mutex_lock(&e->lock);
    for (struct trib_conn *c = e->conns; c != NULL && !found; c = c->next) {
        for (struct trib_impl *i = c->impls; c->id == conn_id && i != NULL && !found; i = i->next) {
            if (i->sig == sig) {
                *ret = *i;
                found = true;
            }
        }
    }
    (void)pthread_mutex_unlock(&e->lock);
    return found;
}

static void function_init(duckdb_init_info info)
{
    const struct trib_signature *sig = duckdb_scalar_function_init_get_extra_info(info);
    duckdb_client_context context;
    duckdb_scalar_function_init_get_client_context(info, &context);
    idx_t id = duckdb_client_context_get_connection_id(context);
    duckdb_destroy_client_context(&context);
    struct trib_impl impl;
    if (!find_impl(sig, id, &impl)) {
        duckdb_scalar_function_init_set_error(info, "this connection did not register the function");
        return;
    }
    struct call_state *s = trib_calloc(1, sizeof *s);
    s->impl = impl;
    s->args = trib_calloc(sig->args.n_fields + 1, sizeof *s->args);
    for (size_t i = 0; i < sig->args.n_fields; i++) {
        trib_engine_vec_init(&s->args[i], &sig->args.fields[i].type);
    }
    trib_engine_vec_init(&s->out, &sig->result);
    trib_arena_init(&s->arena);
    s->state = impl.f.make_state == NULL ? NULL : impl.f.make_state(impl.f.ctx);
    duckdb_scalar_function_init_set_state(info, s, call_state_free);
}

/* Strings that the function left in the arena or in the arguments move into the vector's own memory. */
static void own_strings(struct trib_vec *v, uint64_t n)
{
    if (v->type->id == TRIB_T_STRING || v->type->id == TRIB_T_BINARY) {
        const struct trib_str *s = v->data;
        for (uint64_t i = 0; i < n; i++) {
            if (!trib_vec_is_null(v, i) && s[i].u.near.len > sizeof s[i].u.near.bytes) {
                duckdb_unsafe_vector_assign_string_element_len(v->owner, i, s[i].u.far.ptr, s[i].u.far.len);
            }
        }
    } else if (v->type->id == TRIB_T_STRUCT) {
        for (size_t i = 0; i < v->n_children; i++) {
            own_strings(&v->children[i], n);
        }
    } else if (v->n_children > 0) {
        own_strings(&v->children[0], v->child_used);
    }
}

static void function_call(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
    struct call_state *s = duckdb_scalar_function_get_state(info);
    size_t n = duckdb_data_chunk_get_size(input);
    for (size_t i = 0; i < s->impl.sig->args.n_fields; i++) {
        trib_engine_vec_view(&s->args[i], duckdb_data_chunk_get_vector(input, i));
    }
    trib_engine_vec_open(&s->out, output);
    trib_arena_reset(&s->arena);
    struct trib_err err = {0};
    if (s->impl.f.call(s->impl.f.ctx, s->state, s->args, n, &s->out, &s->arena, &err) != 0) {
        trib_conn_pend(s->impl.conn, &err);
        duckdb_scalar_function_set_error(info, err.msg);
        return;
    }
    own_strings(&s->out, n);
    trib_engine_vec_close(&s->out);
}

static int make_function(struct trib_conn *c, struct trib_signature *sig, struct trib_err *err)
{
    duckdb_scalar_function f = duckdb_create_scalar_function();
    duckdb_scalar_function_set_name(f, sig->sql_name);
    for (size_t i = 0; i < sig->args.n_fields; i++) {
        duckdb_logical_type t = trib_engine_logical(&sig->args.fields[i].type);
        duckdb_scalar_function_add_parameter(f, t);
        duckdb_destroy_logical_type(&t);
    }
    duckdb_logical_type t = trib_engine_logical(&sig->result);
    duckdb_scalar_function_set_return_type(f, t);
    duckdb_destroy_logical_type(&t);
    duckdb_scalar_function_set_special_handling(f); /* NULL arguments are the function's business */
    duckdb_scalar_function_set_extra_info(f, sig, NULL);
    duckdb_scalar_function_set_init(f, function_init);
    duckdb_scalar_function_set_function(f, function_call);
    duckdb_state state = duckdb_register_scalar_function(c->con, f);
    duckdb_destroy_scalar_function(&f);
    return state == DuckDBSuccess
               ? 0
               : trib_err_set(err, TRIB_E_INTERNAL, "the SQL engine refused the function '%s'", sig->name);
}

static int signature(struct trib_conn *c, const struct trib_function *f, struct trib_signature **ret,
                     struct trib_err *err)
{
    struct trib_engine *e = c->engine;
    (void)pthread_mutex_lock(&e->lock);
    struct trib_signature *s = e->signatures;
    while (s != NULL && !(strcmp(s->name, f->name) == 0 && trib_type_same(&s->args, f->args) &&
                          trib_type_same(&s->result, f->result))) {
        s = s->next;
    }
    int64_t id = s == NULL ? ++e->next_id : 0;
    (void)pthread_mutex_unlock(&e->lock);
    if (s != NULL) {
        *ret = s;
        return 0;
    }
    s = trib_calloc(1, sizeof *s);
    s->engine = e;
    s->name = trib_strdup(f->name);
    s->sql_name = trib_asprintf("%s__%" PRId64, f->name, id);
    trib_type_copy(&s->args, f->args);
    trib_type_copy(&s->result, f->result);
    /* A result that was dropped half read leaves its transaction open until the next statement, which rolls it back, and the
     * function with it: end it first. */
    int rc = trib_exec(c, "SELECT 1", err);
    if (rc == 0) {
        rc = make_function(c, s, err);
    }
    /* Kept even then: the catalogue may hold a pointer to it. */
    (void)pthread_mutex_lock(&e->lock);
    s->next = e->signatures;
    e->signatures = s;
    (void)pthread_mutex_unlock(&e->lock);
    if (rc == 0) {
        *ret = s;
    }
    return rc;
}

static int name_function(struct trib_conn *c, const struct trib_signature *sig, struct trib_err *err)
{
    struct trib_buf b;
    trib_buf_init(&b, 1 << 16);
    trib_buf_adds(&b, "CREATE OR REPLACE TEMP MACRO ");
    trib_sql_ident(&b, sig->name);
    trib_buf_addc(&b, '(');
    for (size_t i = 0; i < sig->args.n_fields; i++) {
        trib_buf_addf(&b, "%sa%zu", i > 0 ? ", " : "", i);
    }
    trib_buf_adds(&b, ") AS ");
    trib_sql_ident(&b, sig->sql_name);
    trib_buf_addc(&b, '(');
    for (size_t i = 0; i < sig->args.n_fields; i++) {
        trib_buf_addf(&b, "%sa%zu", i > 0 ? ", " : "", i);
    }
    trib_buf_addc(&b, ')');
    int rc = trib_buf_check(&b, "the name of a function", err);
    if (rc == 0) {
        rc = trib_exec(c, b.p, err);
    }
    trib_buf_free(&b);
    return rc;
}

int trib_function_register(struct trib_conn *c, const struct trib_function *f, struct trib_err *err)
{
    struct trib_signature *sig;
    TRIB_TRY(signature(c, f, &sig, err));
    TRIB_TRY(name_function(c, sig, err));
    struct trib_engine *e = c->engine;
    (void)pthread_mutex_lock(&e->lock);
    struct trib_impl *i = c->impls;
    while (i != NULL && i->sig != sig) {
        i = i->next;
    }
    if (i == NULL) {
        i = trib_calloc(1, sizeof *i);
        i->next = c->impls;
        c->impls = i;
    }
    i->conn = c;
    i->sig = sig;
    i->f = *f;
    i->f.name = sig->name;
    i->f.args = &sig->args;
    i->f.result = &sig->result;
    (void)pthread_mutex_unlock(&e->lock);
    return 0;
}

void trib_engine_drop_impls(struct trib_conn *c)
{
    while (c->impls != NULL) {
        struct trib_impl *i = c->impls;
        c->impls = i->next;
        free(i);
    }
}
