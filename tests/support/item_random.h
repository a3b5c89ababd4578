/*
 * Random DynamoDB items that resemble each other: an attribute has a usual kind, and at times another; values are nasty;
 * spelling (blanks, escapes, order) varies. Everything comes from a seed.
 */
#ifndef TRIB_TESTS_ITEM_RANDOM_H
#define TRIB_TESTS_ITEM_RANDOM_H

#include <stdbool.h>

#include "base/env.h"
#include "base/mem.h"

struct test_items {
    struct trib_seeded rng;
    uint64_t world;   /* decides the usual kinds */
    unsigned strange; /* percent of values of another kind than usual */
    bool plain;       /* compact, no needless escapes, attributes in one order: as AWS writes */
    bool twice;       /* binary is base64 twice */
};
void test_items_init(struct test_items *t, uint64_t seed);
/* Appends one item; the key attribute pk is always there, an S. */
void test_item_random(struct test_items *t, struct trib_buf *to);

#endif
