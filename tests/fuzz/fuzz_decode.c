/*
 * The decoder, with inference, evolution and the way back: lines of any bytes as items, under any options. What decodes comes back
 * exactly from columns and rescued text (support/round_trip); what does not is DATA for every part of the program alike.
 * The first byte chooses numbers, inference, evolution, layers of base64; the second hints, and how many lines the first schema is learnt from.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/round_trip.h"

enum { MAX_ITEMS = 70 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    static const char *const keys[] = {"pk"};
    static const enum trib_evolution evolutions[] = {TRIB_EVOLVE_WIDEN, TRIB_EVOLVE_ADD, TRIB_EVOLVE_RESCUE,
                                                     TRIB_EVOLVE_NONE};
    static const struct trib_hint hints[] = {
        {"n", "decimal(18,2)"},  {"x", "string"},    {"m", "struct<a:date,b:int,c:array<double>>"},
        {"l.element", "bigint"}, {"s", "timestamp"}, {"lm", "array<struct<q:smallint,`w w`:string>>"},
        {"ss.element", "date"},  {"e.f.g", "float"}, {"b", "binary"},
    };
    unsigned how = data[0];
    struct trib_view items[MAX_ITEMS];
    size_t n = 0;
    const char *p = (const char *)data + 2, *end = (const char *)data + size;
    while (p < end && n < MAX_ITEMS) {
        const char *cut = memchr(p, '\n', (size_t)(end - p));
        cut = cut == NULL ? end : cut;
        items[n++] = (struct trib_view){p, (size_t)(cut - p)};
        p = cut + (cut < end);
    }
    const struct test_trip t = {
        .items = items,
        .n = n,
        .learn = (data[1] >> 1) % (n + 1),
        .twice = (how & 1) != 0,
        .silver = (how & 2) != 0,
        .may_break = true,
        .o = {.infer = (how & 4) == 0,
              .numbers = (enum trib_numbers)(how >> 3 & 3),
              .evolution = evolutions[how >> 5 & 3],
              .hints = hints,
              .n_hints = (data[1] & 1) == 0 ? 0 : sizeof hints / sizeof *hints,
              .keys = keys,
              .n_keys = how >> 7,
              .max_columns = data[1] > 200 ? data[1] - 199u : 0},
    };
    char *told = test_round_trip(&t);
    if (told != NULL) {
        (void)fprintf(stderr, "%s\n", told);
        abort();
    }
    return 0;
}
