/*
 * Our types and vectors ↔ DuckDB's.
 *
 * Owns nothing: the vectors belong to DuckDB's chunks. Never copies a value.
 * Threads: each tree of views belongs to one thread at a time. Nothing on disk.
 *
 * Traps heeded here: reserving room in a list vector moves its child's data, so all pointers below are fetched again;
 * a vector has no validity mask until it is asked to make one writable.
 */
#include <stdlib.h>

#include "engine/internal.h"

static const struct trib_type map_entry = {.id = TRIB_T_STRUCT};

static duckdb_logical_type logical_struct(const struct trib_type *t)
{
    duckdb_logical_type *types = trib_calloc(t->n_fields + 1, sizeof *types);
    const char **names = trib_calloc(t->n_fields + 1, sizeof *names);
    for (size_t i = 0; i < t->n_fields; i++) {
        types[i] = trib_engine_logical(&t->fields[i].type);
        names[i] = t->fields[i].name;
    }
    duckdb_logical_type ret = duckdb_create_struct_type(types, names, t->n_fields);
    for (size_t i = 0; i < t->n_fields; i++) {
        duckdb_destroy_logical_type(&types[i]);
    }
    free(types);
    free(names);
    return ret;
}

duckdb_logical_type trib_engine_logical(const struct trib_type *t)
{
    static const duckdb_type simple[] = {
        [TRIB_T_STRING] = DUCKDB_TYPE_VARCHAR,
        [TRIB_T_BYTE] = DUCKDB_TYPE_TINYINT,
        [TRIB_T_SHORT] = DUCKDB_TYPE_SMALLINT,
        [TRIB_T_INT] = DUCKDB_TYPE_INTEGER,
        [TRIB_T_LONG] = DUCKDB_TYPE_BIGINT,
        [TRIB_T_FLOAT] = DUCKDB_TYPE_FLOAT,
        [TRIB_T_DOUBLE] = DUCKDB_TYPE_DOUBLE,
        [TRIB_T_BOOLEAN] = DUCKDB_TYPE_BOOLEAN,
        [TRIB_T_BINARY] = DUCKDB_TYPE_BLOB,
        [TRIB_T_DATE] = DUCKDB_TYPE_DATE,
        [TRIB_T_TIMESTAMP] = DUCKDB_TYPE_TIMESTAMP_TZ,
        [TRIB_T_TIMESTAMP_NTZ] = DUCKDB_TYPE_TIMESTAMP,
    };
    switch (t->id) {
    case TRIB_T_DECIMAL: return duckdb_create_decimal_type(t->precision, t->scale);
    case TRIB_T_STRUCT: return logical_struct(t);
    case TRIB_T_ARRAY: {
        duckdb_logical_type child = trib_engine_logical(&t->fields[0].type);
        duckdb_logical_type ret = duckdb_create_list_type(child);
        duckdb_destroy_logical_type(&child);
        return ret;
    }
    case TRIB_T_MAP: {
        duckdb_logical_type key = trib_engine_logical(&t->fields[0].type);
        duckdb_logical_type value = trib_engine_logical(&t->fields[1].type);
        duckdb_logical_type ret = duckdb_create_map_type(key, value);
        duckdb_destroy_logical_type(&key);
        duckdb_destroy_logical_type(&value);
        return ret;
    }
    default: return duckdb_create_logical_type(simple[t->id]);
    }
}

static void add_member(struct trib_type *ret, const char *name, duckdb_logical_type member, bool *ret_cast)
{
    struct trib_type t;
    trib_engine_type(member, &t, ret_cast);
    trib_type_add(ret, name, t);
    duckdb_destroy_logical_type(&member);
}

static void type_nested(duckdb_logical_type t, duckdb_type id, struct trib_type *ret, bool *ret_cast)
{
    if (id == DUCKDB_TYPE_STRUCT) {
        *ret = trib_type_simple(TRIB_T_STRUCT);
        for (idx_t i = 0; i < duckdb_struct_type_child_count(t); i++) {
            char *name = duckdb_struct_type_child_name(t, i);
            add_member(ret, name, duckdb_struct_type_child_type(t, i), ret_cast);
            duckdb_free(name);
        }
    } else if (id == DUCKDB_TYPE_MAP) {
        *ret = trib_type_simple(TRIB_T_MAP);
        add_member(ret, "key", duckdb_map_type_key_type(t), ret_cast);
        add_member(ret, "value", duckdb_map_type_value_type(t), ret_cast);
        ret->fields[0].nullable = false;
    } else {
        *ret = trib_type_simple(TRIB_T_ARRAY);
        add_member(ret, "element",
                   id == DUCKDB_TYPE_LIST ? duckdb_list_type_child_type(t) : duckdb_array_type_child_type(t), ret_cast);
        *ret_cast |= id == DUCKDB_TYPE_ARRAY;
    }
}

void trib_engine_type(duckdb_logical_type t, struct trib_type *ret, bool *ret_cast)
{
    duckdb_type id = duckdb_get_type_id(t);
    switch (id) {
    case DUCKDB_TYPE_BOOLEAN: *ret = trib_type_simple(TRIB_T_BOOLEAN); return;
    case DUCKDB_TYPE_TINYINT: *ret = trib_type_simple(TRIB_T_BYTE); return;
    case DUCKDB_TYPE_SMALLINT: *ret = trib_type_simple(TRIB_T_SHORT); return;
    case DUCKDB_TYPE_INTEGER: *ret = trib_type_simple(TRIB_T_INT); return;
    case DUCKDB_TYPE_BIGINT: *ret = trib_type_simple(TRIB_T_LONG); return;
    case DUCKDB_TYPE_FLOAT: *ret = trib_type_simple(TRIB_T_FLOAT); return;
    case DUCKDB_TYPE_DOUBLE: *ret = trib_type_simple(TRIB_T_DOUBLE); return;
    case DUCKDB_TYPE_VARCHAR: *ret = trib_type_simple(TRIB_T_STRING); return;
    case DUCKDB_TYPE_BLOB: *ret = trib_type_simple(TRIB_T_BINARY); return;
    case DUCKDB_TYPE_DATE: *ret = trib_type_simple(TRIB_T_DATE); return;
    case DUCKDB_TYPE_TIMESTAMP: *ret = trib_type_simple(TRIB_T_TIMESTAMP_NTZ); return;
    case DUCKDB_TYPE_TIMESTAMP_TZ: *ret = trib_type_simple(TRIB_T_TIMESTAMP); return;
    case DUCKDB_TYPE_DECIMAL: *ret = trib_type_decimal(duckdb_decimal_width(t), duckdb_decimal_scale(t)); return;
    case DUCKDB_TYPE_STRUCT:
    case DUCKDB_TYPE_LIST:
    case DUCKDB_TYPE_ARRAY:
    case DUCKDB_TYPE_MAP: type_nested(t, id, ret, ret_cast); return;
    default: break;
    }
    *ret_cast = true;
    switch (id) {
    case DUCKDB_TYPE_UTINYINT: *ret = trib_type_simple(TRIB_T_SHORT); return;
    case DUCKDB_TYPE_USMALLINT: *ret = trib_type_simple(TRIB_T_INT); return;
    case DUCKDB_TYPE_UINTEGER: *ret = trib_type_simple(TRIB_T_LONG); return;
    case DUCKDB_TYPE_UBIGINT: *ret = trib_type_decimal(20, 0); return;
    case DUCKDB_TYPE_HUGEINT: *ret = trib_type_decimal(38, 0); return; /* what sum(BIGINT) gives */
    case DUCKDB_TYPE_TIMESTAMP_S:
    case DUCKDB_TYPE_TIMESTAMP_MS: *ret = trib_type_simple(TRIB_T_TIMESTAMP_NTZ); return;
    default: *ret = trib_type_simple(TRIB_T_STRING); return;
    }
}

void trib_engine_vec_init(struct trib_vec *v, const struct trib_type *t)
{
    *v = (struct trib_vec){.type = t};
    size_t n = t->id == TRIB_T_STRUCT ? t->n_fields : t->id == TRIB_T_ARRAY || t->id == TRIB_T_MAP ? 1 : 0;
    v->n_children = n;
    if (n == 0) {
        return;
    }
    v->children = trib_calloc(n, sizeof *v->children);
    if (t->id != TRIB_T_MAP) {
        for (size_t i = 0; i < n; i++) {
            trib_engine_vec_init(&v->children[i], &t->fields[i].type);
        }
        return;
    }
    struct trib_vec *entry = &v->children[0];
    *entry = (struct trib_vec){.type = &map_entry, .n_children = 2, .children = trib_calloc(2, sizeof *entry)};
    trib_engine_vec_init(&entry->children[0], &t->fields[0].type);
    trib_engine_vec_init(&entry->children[1], &t->fields[1].type);
}

void trib_engine_vec_free(struct trib_vec *v)
{
    for (size_t i = 0; i < v->n_children; i++) {
        trib_engine_vec_free(&v->children[i]);
    }
    free(v->children);
}

static bool is_list(const struct trib_vec *v) { return v->type->id == TRIB_T_ARRAY || v->type->id == TRIB_T_MAP; }

/* After a list grew, everything in its child may lie elsewhere. Lists below keep what they hold. */
static void refresh(struct trib_vec *v)
{
    duckdb_vector vector = v->owner;
    duckdb_vector_ensure_validity_writable(vector);
    v->validity = duckdb_vector_get_validity(vector);
    v->data = duckdb_vector_get_data(vector);
    if (v->type->id == TRIB_T_STRUCT) {
        for (size_t i = 0; i < v->n_children; i++) {
            refresh(&v->children[i]);
        }
    }
}

static void grow(struct trib_vec *list, uint64_t cap)
{
    /* An allocation that the engine cannot make throws through the caller's frames: DuckDB counts vectors of a running
     * query outside its limit, so this is the machine out of memory, which ends the process anyway (decision 0001). */
    (void)duckdb_list_vector_reserve(list->owner, cap);
    list->child_cap = cap;
    refresh(&list->children[0]);
}

void trib_engine_vec_open(struct trib_vec *v, duckdb_vector vector)
{
    v->owner = vector;
    duckdb_vector_ensure_validity_writable(vector);
    v->validity = duckdb_vector_get_validity(vector);
    v->data = duckdb_vector_get_data(vector);
    if (v->type->id == TRIB_T_STRUCT) {
        for (size_t i = 0; i < v->n_children; i++) {
            trib_engine_vec_open(&v->children[i], duckdb_struct_vector_get_child(vector, i));
        }
    } else if (is_list(v)) {
        /* About as much room as the chunk before needed, so that a steady stream does not grow again and again. */
        uint64_t want = v->child_used + v->child_used / 8;
        v->child_cap = want < 64 ? 64 : want;
        v->child_used = 0;
        v->grow = grow;
        (void)duckdb_list_vector_reserve(vector, v->child_cap);
        trib_engine_vec_open(&v->children[0], duckdb_list_vector_get_child(vector));
    }
}

void trib_engine_vec_close(struct trib_vec *v)
{
    if (is_list(v)) {
        (void)duckdb_list_vector_set_size(v->owner, v->child_used);
    }
    for (size_t i = 0; i < v->n_children; i++) {
        trib_engine_vec_close(&v->children[i]);
    }
}

void trib_engine_vec_view(struct trib_vec *v, duckdb_vector vector)
{
    v->owner = vector;
    v->validity = duckdb_vector_get_validity(vector);
    v->data = duckdb_vector_get_data(vector);
    if (v->type->id == TRIB_T_STRUCT) {
        for (size_t i = 0; i < v->n_children; i++) {
            trib_engine_vec_view(&v->children[i], duckdb_struct_vector_get_child(vector, i));
        }
    } else if (is_list(v)) {
        v->child_used = duckdb_list_vector_get_size(vector);
        v->child_cap = v->child_used;
        trib_engine_vec_view(&v->children[0], duckdb_list_vector_get_child(vector));
    }
}
