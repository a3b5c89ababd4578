/*
 * Random items, random schemas: columns plus rescued data give every item back, exactly, whatever was learnt from which items
 * under which settings. TRIB_SEEDS says how many worlds (default 300), TRIB_SEED the first.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/item_random.h"
#include "support/round_trip.h"

static const struct trib_hint hint_pool[] = {
    {"name", "string"},     {"qty", "int"},         {"qty", "string"},          {"price", "decimal(18,2)"}, {"price", "double"},      {"price", "float"},
    {"a.b", "string"},      {"a.b", "timestamp"},   {"b.element", "string"},    {"b.element", "bigint"},    {"x", "date"},            {"x", "timestamp"},
    {"x", "boolean"},       {"x", "binary"},        {"A", "smallint"},          {"a.name", "tinyint"},      {"M", "array<string>"},   {"M", "array<decimal(10,1)>"},
    {"N", "struct<a:string,b:bigint>"},             {"N.qty", "decimal(38,0)"}, {"S.element.a", "string"},  {"é", "string"},          {"with space", "double"},
    {"M", "map<string,string>"},                    {"a.value", "bigint"},      {"late", "string"},         {"A.x.y", "bigint"},      {"b", "array<struct<a:string>>"},
};
enum { N_HINTS = sizeof hint_pool / sizeof hint_pool[0] };

static long from_environment(const char *name, long otherwise)
{
    const char *v = getenv(name);
    return v == NULL ? otherwise : strtol(v, NULL, 10);
}

static void world(uint64_t seed)
{
    static const char *const reserved[] = {"_sequence", "_rescued_data", "_updated_at"};
    static const char *const keys[] = {"pk"};
    struct test_items g;
    test_items_init(&g, seed);
    struct trib_view items[48];
    struct trib_buf texts[48];
    struct test_trip t = {.items = items, .n = 1 + trib_seeded_below(&g.rng, 40)};
    g.twice = t.twice = trib_seeded_below(&g.rng, 4) == 0;
    g.strange = (unsigned)trib_seeded_below(&g.rng, 30);
    for (size_t i = 0; i < t.n; i++) {
        trib_buf_init(&texts[i], 1 << 20);
        test_item_random(&g, &texts[i]);
        /* exactly as long as it is, so that the sanitizer sees a read past the end */
        char *exact = trib_malloc(texts[i].n);
        memcpy(exact, texts[i].p, texts[i].n);
        items[i] = (struct trib_view){exact, texts[i].n};
        trib_buf_free(&texts[i]);
    }
    struct trib_hint hints[6];
    t.learn = trib_seeded_below(&g.rng, t.n + 1);
    t.silver = trib_seeded_below(&g.rng, 2) == 0;
    t.o = (struct trib_schema_opts){.infer = trib_seeded_below(&g.rng, 6) != 0,
                                    .evolution = (enum trib_evolution)trib_seeded_below(&g.rng, 3),
                                    .numbers = trib_seeded_below(&g.rng, 2) == 0 ? TRIB_NUMBERS_AUTO : (enum trib_numbers)trib_seeded_below(&g.rng, 4),
                                    .reserved = reserved,
                                    .n_reserved = t.silver ? 3 : 0,
                                    .keys = keys,
                                    .n_keys = 1,
                                    .max_columns = trib_seeded_below(&g.rng, 4) == 0 ? 5 + trib_seeded_below(&g.rng, 30) : 0};
    if (trib_seeded_below(&g.rng, 3) == 0) {
        t.o.hints = hints;
        for (size_t n = 1 + trib_seeded_below(&g.rng, 5); n > 0; n--) {
            struct trib_hint h = hint_pool[trib_seeded_below(&g.rng, N_HINTS)];
            bool there = false;
            for (size_t i = 0; i < t.o.n_hints; i++) {
                there = there || strcmp(hints[i].path, h.path) == 0;
            }
            if (!there) {
                hints[t.o.n_hints++] = h;
            }
        }
    }
    char *told = test_round_trip(&t);
    if (told != NULL) {
        for (size_t i = 0; i < t.o.n_hints; i++) {
            print_error("hint %s: %s\n", hints[i].path, hints[i].type);
        }
        print_error("TRIB_SEED=%llu TRIB_SEEDS=1 (infer %d, numbers %d, evolution %d, silver %d, twice %d, max_columns %zu): %s\n", (unsigned long long)seed,
                    t.o.infer, (int)t.o.numbers, (int)t.o.evolution, t.silver, t.twice, t.o.max_columns, told);
        fail();
    }
    for (size_t i = 0; i < t.n; i++) {
        free((char *)(uintptr_t)items[i].p);
    }
}

static void worlds(void **state)
{
    (void)state;
    uint64_t first = (uint64_t)from_environment("TRIB_SEED", 1), n = (uint64_t)from_environment("TRIB_SEEDS", 300);
    for (uint64_t seed = first; seed < first + n; seed++) {
        world(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(worlds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
