/* Decoder and encoder: columns plus rescued data give every item back, whatever schema was learnt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "schema/decode.h"

static const struct trib_schema_opts plain = {.infer = true, .evolution = TRIB_EVOLVE_ADD};

static const char *const items[] = {
    "{\"pk\":{\"S\":\"a\"}}",
    "{\"pk\":{\"S\":\"b\"},\"n\":{\"N\":\"1\"},\"x\":{\"NULL\":true},\"e\":{\"M\":{}},\"l\":{\"L\":[]}}",
    "{\"pk\":{\"S\":\"c\"},\"n\":{\"N\":\"1.50\"},\"x\":{\"S\":\"\\u0041\\ud83d\\ude00\"},\"e\":{\"M\":{\"a\":{\"N\":\"5\"}}}}",
    "{\"pk\":{\"S\":\"d\"},\"n\":{\"S\":\"unknown\"},\"e\":{\"M\":{\"a\":{\"S\":\"x\"},\"b\":{\"NULL\":true},\"c\":{\"M\":{\"d\":{\"BOOL\":false}}}}}}",
    "{\"pk\":{\"S\":\"e\"},\"n\":{\"N\":\"99999999999999999999999999999999999999\"},\"l\":{\"L\":[{\"S\":\"a\"},{\"NULL\":true},{\"S\":\"\"}]}}",
    "{\"pk\":{\"S\":\"f\"},\"l\":{\"L\":[{\"N\":\"1\"}]},\"ss\":{\"SS\":[\"z\",\"a\"]},\"ns\":{\"NS\":[\"10\",\"9\"]},\"bs\":{\"BS\":[\"/w==\",\"AA==\"]}}",
    "{\"pk\":{\"S\":\"g\"},\"lm\":{\"L\":[{\"M\":{\"q\":{\"N\":\"1\"},\"w\":{\"S\":\"t\"}}},{\"M\":{}},{\"M\":{\"q\":{\"NULL\":true}}}]}}",
    "{\"pk\":{\"S\":\"h\"},\"lm\":{\"L\":[{\"M\":{\"q\":{\"S\":\"no\"}}}]},\"ll\":{\"L\":[{\"L\":[{\"N\":\"1\"}]},{\"L\":[]}]}}",
    "{\"pk\":{\"S\":\"i\"},\"mixed\":{\"L\":[{\"S\":\"a\"},{\"N\":\"1E2\"},{\"M\":{\"k\":{\"B\":\"AAE=\"}}}]},\"Pk\":{\"S\":\"case\"},\"a b\":{\"BOOL\":true}}",
    "{\"pk\":{\"S\":\"j\"},\"nul\":{\"S\":\"a\\u0000b\"},\"q\\\"uote\":{\"S\":\"x\"},\"ns\":{\"NS\":[\"1.5\"]},\"big\":{\"N\":\"1E-130\"}}",
};
enum { N_ITEMS = sizeof items / sizeof items[0] };

/* Learns from items [from, to), then every item must come back. */
static void round_trip(size_t from, size_t to, const struct trib_schema_opts *o)
{
    struct trib_err err = {0};
    struct trib_infer *in = trib_infer_new();
    for (size_t i = from; i < to; i++) {
        assert_int_equal(trib_infer_item(in, trib_view_of(items[i]), false, &err), 0);
    }
    struct trib_type none = {.id = TRIB_T_STRUCT};
    struct trib_evolved e;
    assert_int_equal(trib_schema_evolve(&none, in, o, false, &e, &err), 0);
    trib_infer_free(in);
    struct trib_chunk chunk;
    trib_chunk_init_heap(&chunk, &e.type, 64);
    struct trib_decoder *d = trib_decoder_new(&e.type, o);
    struct trib_buf rescued, text;
    trib_buf_init(&rescued, 1 << 20);
    trib_buf_init(&text, 1 << 20);
    for (size_t i = 0; i < N_ITEMS; i++) {
        struct trib_item_result result;
        int rc = trib_decode_item(d, trib_view_of(items[i]), 0, chunk.cols, i, &chunk.arena, &rescued, &result, &err);
        if (rc != 0) {
            fail_msg("item %zu: %s", i, err.msg);
        }
        trib_buf_clear(&text);
        assert_int_equal(trib_encode_item(&e.type, chunk.cols, i, trib_buf_view(&rescued), &text, &err), 0);
        struct trib_digest a, b;
        assert_int_equal(trib_item_digest(trib_view_of(items[i]), false, &a, &err), 0);
        if (trib_item_digest(trib_buf_view(&text), false, &b, &err) != 0 || a.lo != b.lo || a.hi != b.hi) {
            fail_msg("item %zu\n  was     %s\n  is      %s\n  rescued %s", i, items[i], text.p,
                     rescued.n > 0 ? rescued.p : "");
        }
    }
    trib_buf_free(&rescued);
    trib_buf_free(&text);
    trib_decoder_free(d);
    trib_chunk_free_heap(&chunk);
    trib_type_free(&e.type);
    free(e.new_fields);
}

static void items_come_back(void **state)
{
    (void)state;
    for (size_t from = 0; from < N_ITEMS; from++) {
        for (size_t to = from; to <= N_ITEMS; to++) {
            round_trip(from, to, &plain);
        }
    }
}

static void items_come_back_as_text(void **state)
{
    (void)state;
    struct trib_schema_opts text = plain;
    text.infer = false;
    round_trip(0, N_ITEMS, &text);
    struct trib_schema_opts doubles = plain;
    doubles.numbers = TRIB_NUMBERS_DOUBLE;
    round_trip(0, N_ITEMS, &doubles);
    doubles.numbers = TRIB_NUMBERS_STRING;
    round_trip(0, N_ITEMS, &doubles);
}

static void broken_items_are_data_errors(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "{",
                                      "{}x",
                                      "[]",
                                      "{\"a\":1}",
                                      "{\"a\":{\"S\":1}}",
                                      "{\"a\":{\"S\":\"x\"}",
                                      "{\"a\":{\"N\":\"1x\"}}",
                                      "{\"a\":{\"B\":\"*\"}}",
                                      "{\"a\":{\"S\":\"\\ud800\"}}",
                                      "{\"a\":{\"S\":\"\xff\"}}",
                                      "{\"a\":{\"X\":\"\"}}",
                                      "{\"a\":{\"S\":\"x\",\"N\":\"1\"}}",
                                      "{\"new\":{\"S\":\"x\"},\"pk\":{\"S\":1}}",
                                      "{\"new\":{\"M\":{\"x\":{\"N\":\"1\"}}},\"pk\":{\"S\":\"a\"",
                                      "{\"pk\":{\"S\":\"a\"},\"pk\":{\"S\":\"b\"}}"};
    struct trib_err err = {0};
    struct trib_type t = trib_type_simple(TRIB_T_STRUCT);
    trib_field_set_meta(trib_type_add(&t, "pk", trib_type_simple(TRIB_T_STRING)), "dynamodb.type", "S");
    struct trib_chunk chunk;
    trib_chunk_init_heap(&chunk, &t, 4);
    struct trib_decoder *d = trib_decoder_new(&t, &plain);
    struct trib_buf rescued;
    trib_buf_init(&rescued, 1 << 20);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct trib_item_result r;
        if (trib_decode_item(d, trib_view_of(bad[i]), 0, chunk.cols, 0, &chunk.arena, &rescued, &r, &err) !=
            TRIB_E_DATA) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
    struct trib_infer *told = trib_infer_new(); /* what was read of them before they broke says nothing */
    trib_decoder_infer(d, told);
    struct trib_evolved e;
    assert_int_equal(trib_schema_evolve(&t, told, &plain, false, &e, &err), 0);
    assert_false(e.changed);
    trib_type_free(&e.type);
    free(e.new_fields);
    trib_infer_free(told);
    trib_buf_free(&rescued);
    trib_decoder_free(d);
    trib_chunk_free_heap(&chunk);
    trib_type_free(&t);
}

static void rescued_text_is_canonical(void **state)
{
    (void)state;
    struct trib_err err = {0};
    struct trib_infer *in = trib_infer_new();
    struct trib_type none = {.id = TRIB_T_STRUCT};
    struct trib_evolved e;
    assert_int_equal(
        trib_infer_item(in, trib_view_of("{\"m\":{\"M\":{\"zip\":{\"S\":\"x\"}}},\"age\":{\"N\":\"1\"}}"), false, &err),
        0);
    assert_int_equal(trib_schema_evolve(&none, in, &plain, false, &e, &err), 0);
    struct trib_chunk chunk;
    trib_chunk_init_heap(&chunk, &e.type, 4);
    struct trib_decoder *d = trib_decoder_new(&e.type, &plain);
    struct trib_buf rescued;
    trib_buf_init(&rescued, 1 << 20);
    struct trib_item_result r;
    const char *item =
        "{ \"z\" : {\"NULL\": true}, \"m\":{\"M\":{\"zip\":{\"N\":\"5\"}}}, \"age\":{\"S\":\"u\\u00e9\\u001f\"} }";
    assert_int_equal(trib_decode_item(d, trib_view_of(item), 0, chunk.cols, 0, &chunk.arena, &rescued, &r, &err), 0);
    assert_string_equal(
        rescued.p,
        "{\"age\":{\"S\":\"u\xc3\xa9\\u001F\"},\"m\":{\"M\":{\"zip\":{\"N\":\"5\"}}},\"z\":{\"NULL\":true}}");
    assert_true(r.rescued);
    trib_buf_free(&rescued);
    trib_decoder_free(d);
    trib_chunk_free_heap(&chunk);
    trib_type_free(&e.type);
    free(e.new_fields);
    trib_infer_free(in);
}

/* A list below eight others stays text: a reader's work doubles with each. Every value comes back. */
static void lists_nest_only_so_deep(void **state)
{
    (void)state;
    struct trib_err err = {0};
    struct trib_buf item, back, rescued;
    trib_buf_init(&item, 1 << 20);
    trib_buf_init(&back, 1 << 20);
    trib_buf_init(&rescued, 1 << 20);
    for (int with_maps = 0; with_maps < 2; with_maps++) {
        trib_buf_clear(&item);
        trib_buf_adds(&item, "{\"pk\":{\"S\":\"a\"},\"l\":");
        for (int i = 0; i < 31; i++) {
            trib_buf_adds(&item, with_maps && i % 3 == 1 ? "{\"M\":{\"m\":" : "{\"L\":[");
        }
        trib_buf_adds(&item, "{\"N\":\"1\"}");
        for (int i = 30; i >= 0; i--) {
            trib_buf_adds(&item, with_maps && i % 3 == 1 ? "}}" : "]}");
        }
        trib_buf_adds(&item, "}");
        struct trib_infer *in = trib_infer_new();
        assert_int_equal(trib_infer_item(in, trib_buf_view(&item), false, &err), 0);
        struct trib_type none = {.id = TRIB_T_STRUCT};
        struct trib_evolved e;
        assert_int_equal(trib_schema_evolve(&none, in, &plain, false, &e, &err), 0);
        trib_infer_free(in);
        const struct trib_type *t = &e.type.fields[1].type;
        int lists = 0;
        for (; t->n_fields > 0; t = &t->fields[0].type) {
            lists += t->id == TRIB_T_ARRAY;
        }
        assert_int_equal(lists, 8);
        assert_int_equal(t->id, TRIB_T_STRING);
        struct trib_chunk chunk;
        trib_chunk_init_heap(&chunk, &e.type, 4);
        struct trib_decoder *d = trib_decoder_new(&e.type, &plain);
        struct trib_item_result r;
        assert_int_equal(trib_decode_item(d, trib_buf_view(&item), 0, chunk.cols, 0, &chunk.arena, &rescued, &r, &err),
                         0);
        assert_false(r.rescued);
        trib_buf_clear(&back);
        assert_int_equal(trib_encode_item(&e.type, chunk.cols, 0, trib_buf_view(&rescued), &back, &err), 0);
        assert_string_equal(back.p, item.p);
        trib_decoder_free(d);
        trib_chunk_free_heap(&chunk);
        trib_type_free(&e.type);
        free(e.new_fields);
    }
    trib_buf_free(&item);
    trib_buf_free(&back);
    trib_buf_free(&rescued);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(items_come_back), cmocka_unit_test(items_come_back_as_text),
                                       cmocka_unit_test(broken_items_are_data_errors),
                                       cmocka_unit_test(rescued_text_is_canonical),
                                       cmocka_unit_test(lists_nest_only_so_deep)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
