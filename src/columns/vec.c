#include "columns/vec.h"

#include <stdlib.h>

size_t trib_type_width(const struct trib_type *t)
{
    switch (t->id) {
    case TRIB_T_STRING:
    case TRIB_T_BINARY: return sizeof(struct trib_str);
    case TRIB_T_BYTE:
    case TRIB_T_BOOLEAN: return 1;
    case TRIB_T_SHORT: return 2;
    case TRIB_T_INT:
    case TRIB_T_FLOAT:
    case TRIB_T_DATE: return 4;
    case TRIB_T_LONG:
    case TRIB_T_DOUBLE:
    case TRIB_T_TIMESTAMP:
    case TRIB_T_TIMESTAMP_NTZ: return 8;
    case TRIB_T_DECIMAL: return t->precision <= 4 ? 2 : t->precision <= 9 ? 4 : t->precision <= 18 ? 8 : 16;
    case TRIB_T_ARRAY:
    case TRIB_T_MAP: return sizeof(struct trib_list);
    case TRIB_T_STRUCT: return 0;
    }
    return 0;
}

void trib_vec_null(struct trib_vec *v, uint64_t row)
{
    v->validity[row >> 6] &= ~(UINT64_C(1) << (row & 63));
    if (v->type->id == TRIB_T_STRUCT) {
        for (size_t i = 0; i < v->n_children; i++) {
            trib_vec_null(&v->children[i], row);
        }
    } else if (v->type->id == TRIB_T_ARRAY || v->type->id == TRIB_T_MAP) {
        ((struct trib_list *)v->data)[row] = (struct trib_list){v->child_used, 0};
    }
}

static void heap_resize(struct trib_vec *v, uint64_t old, uint64_t cap)
{
    size_t width = trib_type_width(v->type);
    if (width > 0) {
        v->data = trib_realloc(v->data, width * cap);
        memset((char *)v->data + width * old, 0, width * (cap - old));
    }
    size_t was = (old + 63) / 64, words = (cap + 63) / 64;
    v->validity = trib_realloc(v->validity, words * 8);
    memset(v->validity + was, 0xFF, (words - was) * 8);
    if (v->type->id == TRIB_T_STRUCT) {
        for (size_t i = 0; i < v->n_children; i++) {
            heap_resize(&v->children[i], old, cap);
        }
    }
}

static void heap_grow(struct trib_vec *list, uint64_t cap)
{
    heap_resize(&list->children[0], list->child_cap, cap);
    list->child_cap = cap;
}

static const struct trib_type *map_entry_type(void)
{
    static const struct trib_type entry = {.id = TRIB_T_STRUCT};
    return &entry;
}

static void heap_init(struct trib_vec *v, const struct trib_type *t, uint64_t cap)
{
    *v = (struct trib_vec){.type = t};
    if (t->id == TRIB_T_STRUCT) {
        v->n_children = t->n_fields;
        v->children = trib_calloc(t->n_fields, sizeof *v->children);
        for (size_t i = 0; i < t->n_fields; i++) {
            heap_init(&v->children[i], &t->fields[i].type, 0);
        }
    } else if (t->id == TRIB_T_ARRAY) {
        v->n_children = 1;
        v->children = trib_calloc(1, sizeof *v->children);
        heap_init(&v->children[0], &t->fields[0].type, 0);
        v->grow = heap_grow;
        heap_grow(v, 64);
    } else if (t->id == TRIB_T_MAP) {
        v->n_children = 1;
        v->children = trib_calloc(1, sizeof *v->children);
        struct trib_vec *e = &v->children[0];
        *e = (struct trib_vec){.type = map_entry_type(), .n_children = 2, .children = trib_calloc(2, sizeof *e)};
        heap_init(&e->children[0], &t->fields[0].type, 0);
        heap_init(&e->children[1], &t->fields[1].type, 0);
        v->grow = heap_grow;
        heap_grow(v, 64);
    }
    heap_resize(v, 0, cap);
}

void trib_chunk_init_heap(struct trib_chunk *c, const struct trib_type *row, size_t capacity)
{
    *c = (struct trib_chunk){.n_cols = row->n_fields, .capacity = capacity};
    c->cols = trib_calloc(row->n_fields, sizeof *c->cols);
    for (size_t i = 0; i < row->n_fields; i++) {
        heap_init(&c->cols[i], &row->fields[i].type, capacity);
    }
    trib_arena_init(&c->arena);
}

static void heap_clear(struct trib_vec *v, uint64_t cap)
{
    memset(v->validity, 0xFF, (cap + 63) / 64 * 8);
    for (size_t i = 0; i < v->n_children; i++) {
        heap_clear(&v->children[i], v->type->id == TRIB_T_STRUCT ? cap : v->child_cap);
    }
    v->child_used = 0;
}

void trib_chunk_clear(struct trib_chunk *c)
{
    for (size_t i = 0; i < c->n_cols; i++) {
        heap_clear(&c->cols[i], c->capacity);
    }
    c->rows = 0;
    trib_arena_reset(&c->arena);
}

static void heap_free(struct trib_vec *v)
{
    for (size_t i = 0; i < v->n_children; i++) {
        heap_free(&v->children[i]);
    }
    free(v->children);
    free(v->data);
    free(v->validity);
}

void trib_chunk_free_heap(struct trib_chunk *c)
{
    for (size_t i = 0; i < c->n_cols; i++) {
        heap_free(&c->cols[i]);
    }
    free(c->cols);
    trib_arena_free(&c->arena);
}
