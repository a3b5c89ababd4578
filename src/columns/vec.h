/*
 * Column vectors: what the decoder fills and the Parquet writer drains.
 *
 * The memory is the engine's (DuckDB's vectors): this is a view over it whose layout is DuckDB's flat vector layout,
 * so that nothing is copied, and so that layers below the engine need not know DuckDB. A Parquet writer of our own reads
 * the same views.
 *
 *   type                      data element
 *   STRING, BINARY            struct trib_str (16 bytes)
 *   BYTE SHORT INT LONG       int8_t int16_t int32_t int64_t
 *   FLOAT DOUBLE              float, double
 *   DECIMAL(p,s)              unscaled: int16_t p<=4, int32_t p<=9, int64_t p<=18, else struct trib_i128
 *   BOOLEAN                   uint8_t 0 or 1
 *   DATE                      int32_t days since the epoch
 *   TIMESTAMP, _NTZ           int64_t µs since the epoch
 *   STRUCT                    none; children: one a member, same row numbers
 *   ARRAY                     struct trib_list; children[0]: the elements
 *   MAP                       struct trib_list; children[0] is a STRUCT of key and value
 *
 * Validity: bit i of word i/64 set = row i is not null. For vectors to be written the mask is always there, all set to
 * valid at first; a writer must clear the bit of a null row. A null STRUCT row needs its children's bits cleared too
 * (DuckDB wants it; trib_vec_null does it). For vectors to be read the mask may be NULL: nothing is null.
 *
 * Strings: up to 12 bytes are inlined; longer ones point to memory that must live until the chunk was consumed
 * (trib_chunk.arena, or the input text itself where the caller keeps it).
 */
#ifndef TRIB_COLUMNS_VEC_H
#define TRIB_COLUMNS_VEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "columns/type.h"

struct trib_str {
    union {
        struct {
            uint32_t len;
            char prefix[4];
            const char *ptr;
        } far;
        struct {
            uint32_t len;
            char bytes[12]; /* len <= 12; unused bytes zero */
        } near;
    } u;
};
_Static_assert(sizeof(struct trib_str) == 16, "layout of duckdb_string_t");

struct trib_i128 {
    uint64_t lower;
    int64_t upper;
};

struct trib_list {
    uint64_t offset, length;
};

struct trib_vec {
    const struct trib_type *type; /* [borrow] */
    void *data;
    uint64_t *validity; /* see above */
    struct trib_vec *children;
    size_t n_children;
    /* ARRAY and MAP, for writing: elements used so far and room in children[0]. trib_vec_room grows it. */
    uint64_t child_used, child_cap;
    /* Makes room for at least cap elements and refreshes data, validity and children of the subtree below. */
    void (*grow)(struct trib_vec *list, uint64_t cap);
    void *owner; /* the engine's vector */
};

struct trib_chunk {
    struct trib_vec *cols;
    size_t n_cols;
    size_t rows;             /* set by the producer; 0 ends the stream */
    size_t capacity;         /* rows that fit */
    struct trib_arena arena; /* for strings; reset by the consumer before the next fill */
};

static inline struct trib_str trib_str_make(const char *p, size_t n)
{
    struct trib_str s;
    s.u.near.len = (uint32_t)n;
    if (n <= sizeof s.u.near.bytes) {
        memset(s.u.near.bytes, 0, sizeof s.u.near.bytes);
        memcpy(s.u.near.bytes, p, n);
    } else {
        memcpy(s.u.far.prefix, p, sizeof s.u.far.prefix);
        s.u.far.ptr = p;
    }
    return s;
}
/* [borrow] points into *s for short strings. */
static inline struct trib_view trib_str_view(const struct trib_str *s)
{
    uint32_t n = s->u.near.len;
    return (struct trib_view){n <= sizeof s->u.near.bytes ? s->u.near.bytes : s->u.far.ptr, n};
}

static inline bool trib_vec_is_null(const struct trib_vec *v, uint64_t row)
{
    return v->validity != NULL && (v->validity[row >> 6] >> (row & 63) & 1) == 0;
}
static inline void trib_vec_set_valid(struct trib_vec *v, uint64_t row)
{
    v->validity[row >> 6] |= UINT64_C(1) << (row & 63);
}
/* Marks the row null, members of a STRUCT too; an ARRAY's entry becomes {child_used, 0}. */
void trib_vec_null(struct trib_vec *v, uint64_t row);
/* Room for n more elements behind child_used; pointers below may move. */
static inline void trib_vec_room(struct trib_vec *list, uint64_t n)
{
    if (list->child_used + n > list->child_cap) {
        uint64_t cap = list->child_cap * 2;
        list->grow(list, cap < list->child_used + n ? list->child_used + n : cap);
    }
}

/* Plain heap vectors for tests and for code without an engine: same layout, freed with trib_chunk_free_heap. */
void trib_chunk_init_heap(struct trib_chunk *c, const struct trib_type *row_struct, size_t capacity);
void trib_chunk_clear(struct trib_chunk *c); /* rows 0, everything valid, lists empty, arena reset */
void trib_chunk_free_heap(struct trib_chunk *c);
size_t trib_type_width(const struct trib_type *t); /* bytes of one data element; 0 for STRUCT */

#endif
