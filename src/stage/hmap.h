/*
 * A set of names by their 128-bit hash, with one 64-bit value each: a million names in some 40 MB, whatever their length.
 * (Two names of one hash are less likely than a memory error by many orders of magnitude.) Threads: one at a time.
 */
#ifndef TRIB_STAGE_HMAP_H
#define TRIB_STAGE_HMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct trib_hkey {
    uint64_t lo, hi;
};
struct trib_hmap {
    struct trib_hslot *slots;
    size_t n, cap;
};
struct trib_hkey trib_hkey_of(struct trib_view name);
void trib_hmap_free(struct trib_hmap *m); /* empty afterwards, usable again */
/* The value of a key, NULL when it is not there; valid until the next put. [borrow] */
uint64_t *trib_hmap_get(const struct trib_hmap *m, struct trib_hkey key);
/* Adds the key with the value when it is not there; returns its value. *ret_new may be NULL. [borrow] */
uint64_t *trib_hmap_put(struct trib_hmap *m, struct trib_hkey key, uint64_t value, bool *ret_new);

#endif
