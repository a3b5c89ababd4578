/*
 * Memory: views, growable buffers, arenas.
 *
 * An allocation that fails ends the process with a message (docs/decisions/0001): all sizes are bounded by limits
 * of our own long before that, and a crash at any point is safe by design.
 * Threads: none of these objects is shared between threads without a lock of the caller's.
 */
#ifndef TRIB_BASE_MEM_H
#define TRIB_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

/* Bytes that somebody else owns; not terminated. */
struct trib_view {
    const char *p;
    size_t n;
};
#define TRIB_VIEW_LIT(s) ((struct trib_view){(s), sizeof(s) - 1})
static inline struct trib_view trib_view_of(const char *s) { return (struct trib_view){s, s == NULL ? 0 : strlen(s)}; }
static inline int trib_view_eq(struct trib_view a, struct trib_view b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline int trib_view_is(struct trib_view a, const char *s) { return trib_view_eq(a, trib_view_of(s)); }
int trib_view_cmp(struct trib_view a, struct trib_view b); /* by bytes, then length */

/* For a program, at its start: few heaps, so that what one thread freed serves the others. */
void trib_mem_few_heaps(void);

/* Never return NULL. */
void *trib_malloc(size_t n) __attribute__((malloc, returns_nonnull));
void *trib_calloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *trib_realloc(void *p, size_t n) __attribute__((returns_nonnull));
char *trib_strdup(const char *s) __attribute__((malloc, returns_nonnull));
char *trib_strndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
char *trib_asprintf(const char *fmt, ...) __attribute__((malloc, returns_nonnull, format(printf, 1, 2)));

/* Grows an array so that it holds at least `need` elements; *cap is updated. For vectors of structs. */
#define TRIB_GROW(ptr, cap, need)                                              \
    do {                                                                       \
        if ((size_t)(need) > (cap)) {                                          \
            size_t trib_grow_ = (cap) == 0 ? 8 : (cap)*2;                      \
            (cap) = trib_grow_ < (size_t)(need) ? (size_t)(need) : trib_grow_; \
            (ptr) = trib_realloc((ptr), (cap) * sizeof *(ptr));                \
        }                                                                      \
    } while (0)

/* A growable buffer with a mandatory maximum. Zero-initialise, then trib_buf_init; always NUL-terminated once used. */
struct trib_buf {
    char *p;
    size_t n, cap, max;
    int overflow; /* set when an append would have passed max; the append did nothing */
};
void trib_buf_init(struct trib_buf *b, size_t max_bytes);
void trib_buf_free(struct trib_buf *b);
static inline void trib_buf_clear(struct trib_buf *b)
{
    b->n = 0;
    b->overflow = 0;
    if (b->p != NULL)
        b->p[0] = '\0';
}
/* Room for n more bytes (plus NUL); NULL and overflow set when that passes max. Advance b->n yourself. */
char *trib_buf_reserve(struct trib_buf *b, size_t n);
void trib_buf_add(struct trib_buf *b, const void *p, size_t n);
void trib_buf_addc(struct trib_buf *b, char c);
void trib_buf_adds(struct trib_buf *b, const char *s);
void trib_buf_addf(struct trib_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline struct trib_view trib_buf_view(const struct trib_buf *b) { return (struct trib_view){b->p, b->n}; }
/* Hands over the NUL-terminated text; the buffer is empty again. [out] freed with free(). */
char *trib_buf_take(struct trib_buf *b);
/* LIMIT with "what: longer than N bytes" when the buffer overflowed, else 0. */
TRIB_CHECKED int trib_buf_check(const struct trib_buf *b, const char *what, struct trib_err *err);

#define TRIB_CLEANUP(fn) __attribute__((cleanup(fn)))
void trib_cleanup_free(void *pp); /* TRIB_CLEANUP(trib_cleanup_free) char *p */

/* A bump allocator: one per batch, reset once the batch is durable. Nothing long-lived points into it. */
struct trib_arena {
    struct trib_arena_block *head;
    size_t used_bytes;
};
void trib_arena_init(struct trib_arena *a);
void trib_arena_reset(struct trib_arena *a); /* keeps one block for reuse */
void trib_arena_free(struct trib_arena *a);
void *trib_arena_alloc(struct trib_arena *a, size_t n) __attribute__((returns_nonnull)); /* aligned to 16, not zeroed */
char *trib_arena_strndup(struct trib_arena *a, const char *s, size_t n) __attribute__((returns_nonnull));

/* Where a key stands among n sorted things, or belongs; order: how thing i of `of` compares with the key, as strcmp does. */
size_t trib_place(size_t n, int (*order)(const void *key, const void *of, size_t i), const void *key, const void *of,
                  bool *ret_found);

#endif
