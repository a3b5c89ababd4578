/* Open addressing with linear probing, at most three quarters full. An empty slot has the key 0, which is never stored. */
#include "stage/hmap.h"

#include <stdlib.h>
#include <xxhash.h>

struct trib_hslot {
    struct trib_hkey key;
    uint64_t value;
};

struct trib_hkey trib_hkey_of(struct trib_view name)
{
    XXH128_hash_t h = XXH3_128bits(name.p, name.n);
    struct trib_hkey key = {h.low64, h.high64};
    if (key.lo == 0 && key.hi == 0) {
        key.hi = 1;
    }
    return key;
}

void trib_hmap_free(struct trib_hmap *m)
{
    free(m->slots);
    *m = (struct trib_hmap){0};
}

static struct trib_hslot *find(const struct trib_hmap *m, struct trib_hkey key)
{
    size_t i = (size_t)key.lo & (m->cap - 1);
    for (;;) {
        struct trib_hslot *s = &m->slots[i];
        if ((s->key.lo == 0 && s->key.hi == 0) || (s->key.lo == key.lo && s->key.hi == key.hi)) {
            return s;
        }
        i = (i + 1) & (m->cap - 1);
    }
}

uint64_t *trib_hmap_get(const struct trib_hmap *m, struct trib_hkey key)
{
    if (m->n == 0) {
        return NULL;
    }
    struct trib_hslot *s = find(m, key);
    return s->key.lo == 0 && s->key.hi == 0 ? NULL : &s->value;
}

static void grow(struct trib_hmap *m)
{
    struct trib_hmap bigger = {.cap = m->cap == 0 ? 64 : m->cap * 2, .n = m->n};
    bigger.slots = trib_calloc(bigger.cap, sizeof *bigger.slots);
    for (size_t i = 0; i < m->cap; i++) {
        if (m->slots[i].key.lo != 0 || m->slots[i].key.hi != 0) {
            *find(&bigger, m->slots[i].key) = m->slots[i];
        }
    }
    free(m->slots);
    *m = bigger;
}

uint64_t *trib_hmap_put(struct trib_hmap *m, struct trib_hkey key, uint64_t value, bool *ret_new)
{
    if ((m->n + 1) * 4 > m->cap * 3) {
        grow(m);
    }
    struct trib_hslot *s = find(m, key);
    bool fresh = s->key.lo == 0 && s->key.hi == 0;
    if (fresh) {
        *s = (struct trib_hslot){key, value};
        m->n++;
    }
    if (ret_new != NULL) {
        *ret_new = fresh;
    }
    return &s->value;
}
