#include "base/mem.h"
#include <malloc.h>

#include <stdio.h>
#include <stdlib.h>

void trib_mem_few_heaps(void)
{
#ifdef M_ARENA_MAX
    (void)mallopt(M_ARENA_MAX, 2);
#endif
}

static _Noreturn void out_of_memory(size_t n)
{
    (void)fprintf(stderr, "tributary: out of memory (%zu bytes)\n", n);
    abort();
}

void *trib_malloc(size_t n)
{
    void *p = malloc(n == 0 ? 1 : n);
    if (p == NULL) {
        out_of_memory(n);
    }
    return p;
}

void *trib_calloc(size_t n, size_t size)
{
    void *p = calloc(n == 0 ? 1 : n, size == 0 ? 1 : size);
    if (p == NULL) {
        out_of_memory(n);
    }
    return p;
}

void *trib_realloc(void *p, size_t n)
{
    void *q = realloc(p, n == 0 ? 1 : n);
    if (q == NULL) {
        out_of_memory(n);
    }
    return q;
}

char *trib_strndup(const char *s, size_t n)
{
    char *p = trib_malloc(n + 1);
    if (n > 0) {
        memcpy(p, s, n);
    }
    p[n] = '\0';
    return p;
}

char *trib_strdup(const char *s) { return trib_strndup(s, strlen(s)); }

char *trib_asprintf(const char *fmt, ...)
{
    va_list ap;
    char *p = NULL;
    va_start(ap, fmt);
    int n = vasprintf(&p, fmt, ap);
    va_end(ap);
    if (n < 0 || p == NULL) {
        out_of_memory(0);
    }
    return p;
}

int trib_view_cmp(struct trib_view a, struct trib_view b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n == 0 ? 0 : memcmp(a.p, b.p, n);
    return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

void trib_buf_init(struct trib_buf *b, size_t max_bytes) { *b = (struct trib_buf){.max = max_bytes}; }

void trib_buf_free(struct trib_buf *b)
{
    free(b->p);
    b->p = NULL;
    b->n = b->cap = 0;
}

char *trib_buf_reserve(struct trib_buf *b, size_t n)
{
    if (n > b->max || b->n > b->max - n) {
        b->overflow = 1;
        return NULL;
    }
    if (b->n + n + 1 > b->cap) {
        size_t cap = b->cap == 0 ? 64 : b->cap * 2;
        if (cap < b->n + n + 1) {
            cap = b->n + n + 1;
        }
        b->p = trib_realloc(b->p, cap);
        b->cap = cap;
    }
    return b->p + b->n;
}

void trib_buf_add(struct trib_buf *b, const void *p, size_t n)
{
    char *to = trib_buf_reserve(b, n);
    if (to == NULL) {
        return;
    }
    if (n > 0) {
        memcpy(to, p, n);
    }
    b->n += n;
    b->p[b->n] = '\0';
}

void trib_buf_addc(struct trib_buf *b, char c) { trib_buf_add(b, &c, 1); }
void trib_buf_adds(struct trib_buf *b, const char *s) { trib_buf_add(b, s, strlen(s)); }

void trib_buf_addf(struct trib_buf *b, const char *fmt, ...)
{
    va_list ap, ap2;
    va_start(ap, fmt);
    va_copy(ap2, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n >= 0) {
        char *to = trib_buf_reserve(b, (size_t)n);
        if (to != NULL) {
            (void)vsnprintf(to, (size_t)n + 1, fmt, ap2);
            b->n += (size_t)n;
        }
    }
    va_end(ap2);
}

char *trib_buf_take(struct trib_buf *b)
{
    char *p = b->p != NULL ? b->p : trib_strdup("");
    size_t max = b->max;
    *b = (struct trib_buf){.max = max};
    return p;
}

int trib_buf_check(const struct trib_buf *b, const char *what, struct trib_err *err)
{
    return b->overflow ? trib_err_set(err, TRIB_E_LIMIT, "%s: longer than %zu bytes", what, b->max) : 0;
}

void trib_cleanup_free(void *pp)
{
    void *p;
    memcpy(&p, pp, sizeof p);
    free(p);
}

struct trib_arena_block {
    struct trib_arena_block *next;
    size_t size, used;
    _Alignas(16) char data[];
};

#define ARENA_BLOCK ((size_t)64 << 10)

void trib_arena_init(struct trib_arena *a) { *a = (struct trib_arena){0}; }

void trib_arena_reset(struct trib_arena *a)
{
    if (a->head == NULL) {
        return;
    }
    struct trib_arena_block *b = a->head->next;
    while (b != NULL) {
        struct trib_arena_block *next = b->next;
        free(b);
        b = next;
    }
    a->head->next = NULL;
    a->head->used = 0;
    a->used_bytes = 0;
}

void trib_arena_free(struct trib_arena *a)
{
    trib_arena_reset(a);
    free(a->head);
    a->head = NULL;
}

void *trib_arena_alloc(struct trib_arena *a, size_t n)
{
    n = (n + 15) & ~(size_t)15;
    struct trib_arena_block *b = a->head;
    if (b == NULL || b->size - b->used < n) {
        size_t size = n > ARENA_BLOCK ? n : ARENA_BLOCK;
        b = trib_malloc(sizeof *b + size);
        b->size = size;
        b->used = 0;
        b->next = a->head;
        a->head = b;
    }
    void *p = b->data + b->used;
    b->used += n;
    a->used_bytes += n;
    return p;
}

char *trib_arena_strndup(struct trib_arena *a, const char *s, size_t n)
{
    char *p = trib_arena_alloc(a, n + 1);
    if (n > 0) {
        memcpy(p, s, n);
    }
    p[n] = '\0';
    return p;
}

size_t trib_place(size_t n, int (*order)(const void *key, const void *of, size_t i), const void *key, const void *of,
                  bool *ret_found)
{
    size_t low = 0, high = n;
    *ret_found = false;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int d = order(key, of, mid);
        if (d == 0) {
            *ret_found = true;
            return mid;
        }
        if (d < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}
