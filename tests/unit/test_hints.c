/* Hints by path: types and paths, columns of members and elements, which of DynamoDB's types they take, what fits and what is rescued. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "schema/decode.h"
#include "support/round_trip.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const char *const keys_pk[] = {"pk"};

static void types(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"string", "VARCHAR"},
        {" BIGINT ", "BIGINT"},
        {"Decimal( 18 , 2 )", "DECIMAL(18,2)"},
        {"decimal(38,38)", "DECIMAL(38,38)"},
        {"array<string>", "VARCHAR[]"},
        {"array< array<date> >", "DATE[][]"},
        {"struct<zip:string>", "STRUCT(\"zip\" VARCHAR)"},
        {"STRUCT< zip : string , `a.b:c` : struct<x:int>, l:array<decimal(3,1)>>",
         "STRUCT(\"zip\" VARCHAR, \"a.b:c\" STRUCT(\"x\" INTEGER), \"l\" DECIMAL(3,1)[])"},
        {"", NULL},
        {"varchar", NULL},
        {"decimal", NULL},
        {"decimal(0,0)", NULL},
        {"decimal(39,1)", NULL},
        {"decimal(5,6)", NULL},
        {"decimal(018,2)", NULL},
        {"decimal(18,2) x", NULL},
        {"array", NULL},
        {"array<>", NULL},
        {"array<string", NULL},
        {"array<string>>", NULL},
        {"array<string,int>", NULL},
        {"struct<>", NULL},
        {"struct<zip>", NULL},
        {"struct<:string>", NULL},
        {"struct<a:int,a:int>", NULL},
        {"struct<a:int,>", NULL},
        {"struct<`a:int>", NULL},
        {"map<string,int>", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct trib_type t;
        struct trib_err err;
        int rc = trib_hint_parse(cases[i][0], &t, &err);
        if (cases[i][1] == NULL) {
            assert_int_equal(rc, TRIB_E_CONFIG);
            assert_non_null(strstr(err.msg, cases[i][0]));
            continue;
        }
        assert_int_equal(rc, 0);
        struct trib_buf b;
        trib_buf_init(&b, 4096);
        trib_type_sql(&t, &b);
        assert_string_equal(b.p, cases[i][1]);
        trib_buf_free(&b);
        trib_type_free(&t);
    }
    char *deep = trib_malloc(6 * 40 + 8), *p = deep;
    for (int i = 0; i < 40; i++, p += 6) {
        memcpy(p, "array<", 6);
    }
    memcpy(p, "int", 4);
    struct trib_type t;
    struct trib_err err;
    assert_int_equal(trib_hint_parse(deep, &t, &err), TRIB_E_CONFIG);
    free(deep);
}

static void paths(void **state)
{
    (void)state;
    static const struct {
        struct trib_hint hints[2];
        const char *says; /* NULL: good */
    } cases[] = {
        {{{"a", "int"}, {"b.c", "int"}}, NULL},
        {{{"a.b", "int"}, {"a.c", "int"}}, NULL},
        {{{"a", "struct<b:int>"}, {"a.c", "int"}}, NULL},
        {{{"`a.b`", "int"}, {"a.b", "int"}}, NULL},
        {{{"a.`element`", "int"}, {"a.b", "int"}}, NULL},
        {{{"element", "int"}, {"b", "int"}}, NULL},
        {{{"a", "int"}, {"a.b", "int"}}, "the hint 'a.b' contradicts"},
        {{{"a.b", "int"}, {"a", "int"}}, "the hint 'a' contradicts"},
        {{{"a", "array<int>"}, {"a.b", "int"}}, "contradicts"},
        {{{"a.b", "int"}, {"a.element", "int"}}, "contradicts"},
        {{{"a", "array<int>"}, {"a.element", "string"}}, "contradicts"},
        {{{"a", "struct<b:int>"}, {"a.b", "int"}}, "contradicts"},
        {{{"", "int"}, {"b", "int"}}, "'' is no path"},
        {{{"a.", "int"}, {"b", "int"}}, "'a.' is no path"},
        {{{".a", "int"}, {"b", "int"}}, "no path"},
        {{{"a..b", "int"}, {"b", "int"}}, "no path"},
        {{{"`a", "int"}, {"b", "int"}}, "no path"},
        {{{"`a`b", "int"}, {"b", "int"}}, "no path"},
        {{{"b", "int"}, {"a", "text"}}, "hint type 'text'"},
        {{{"a", "array<array<array<array<array<array<array<array<int>>>>>>>>"}, {"b", "int"}}, NULL},
        {{{"a", "array<array<array<array<array<array<array<array<int>>>>>>>>"},
          {"b.element", "array<array<array<array<array<array<array<array<int>>>>>>>>"}},
         "the hint 'b.element' has more than 8 lists"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct trib_err err = {0};
        int rc = trib_hints_check(cases[i].hints, 2, &err);
        assert_int_equal(rc, cases[i].says == NULL ? 0 : TRIB_E_CONFIG);
        if (cases[i].says != NULL && strstr(err.msg, cases[i].says) == NULL) {
            fail_msg("'%s', not: %s", cases[i].says, err.msg);
        }
    }
}

/* The schema that items and hints give, as text. [out] trib_evolved */
static struct trib_evolved learnt(const struct trib_type *from, const char *item, const struct trib_schema_opts *o)
{
    const struct trib_type none = trib_type_simple(TRIB_T_STRUCT);
    struct trib_infer *in = trib_infer_new();
    struct trib_evolved e;
    struct trib_err err = {0};
    if (item != NULL && trib_infer_item(in, trib_view_of(item), false, &err) != 0) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(trib_schema_evolve(from == NULL ? &none : from, in, o, false, &e, &err), 0);
    trib_infer_free(in);
    return e;
}

static void drop(struct trib_evolved *e)
{
    trib_type_free(&e->type);
    free(e->new_fields);
}

static void is_type(const struct trib_evolved *e, const char *sql)
{
    struct trib_buf b;
    trib_buf_init(&b, 4096);
    trib_type_sql(&e->type, &b);
    assert_string_equal(b.p, sql);
    trib_buf_free(&b);
}

static void is_attr(const struct trib_type *t, const char *attr, const char *dynamodb_type)
{
    const struct trib_field *f = trib_item_find(t, attr);
    assert_non_null(f);
    assert_string_equal(trib_field_meta(f, "dynamodb.type"), dynamodb_type);
}

/* Decodes one item; gives "columns back in full | rescued". */
static void decodes(const struct trib_type *t, const struct trib_schema_opts *o, const char *item, const char *rescued)
{
    struct trib_chunk chunk;
    struct trib_buf got;
    struct trib_item_result result;
    struct trib_err err;
    trib_buf_init(&got, 1 << 16);
    trib_chunk_init_heap(&chunk, t, 1);
    struct trib_decoder *d = trib_decoder_new(t, o);
    assert_int_equal(trib_decode_item(d, trib_view_of(item), 0, chunk.cols, 0, &chunk.arena, &got, &result, &err), 0);
    assert_string_equal(got.n == 0 ? "" : got.p, rescued);
    trib_decoder_free(d);
    trib_chunk_free_heap(&chunk);
    trib_buf_free(&got);
    const struct trib_view v = trib_view_of(item);
    const struct test_trip trip = {.items = &v, .n = 1, .learn = 1, .o = *o};
    char *told = test_round_trip(&trip);
    if (told != NULL) {
        fail_msg("%s", told);
    }
}

static void nested(void **state)
{
    (void)state;
    static const struct trib_hint hints[] = {{"amount", "decimal(18,2)"},
                                             {"address.zip", "string"},
                                             {"address.since", "date"},
                                             {"tags.element", "date"},
                                             {"lines", "array<struct<sku:string,qty:smallint>>"}};
    const struct trib_schema_opts o = {.infer = true, .hints = hints, .n_hints = COUNT(hints)};
    struct trib_evolved e = learnt(
        NULL,
        "{\"amount\":{\"N\":\"1\"},\"address\":{\"M\":{\"zip\":{\"N\":\"8005\"},\"city\":{\"S\":\"Z\"}}},\"tags\":{\"SS\":[\"2024-01-01\"]},"
        "\"lines\":{\"L\":[{\"M\":{\"sku\":{\"S\":\"a\"},\"note\":{\"S\":\"n\"}}}]},\"free\":{\"N\":\"1\"}}",
        &o);
    is_type(
        &e,
        "STRUCT(\"amount\" DECIMAL(18,2), \"address\" STRUCT(\"zip\" VARCHAR, \"city\" VARCHAR, \"since\" DATE), \"tags\" DATE[], "
        "\"lines\" STRUCT(\"sku\" VARCHAR, \"note\" VARCHAR, \"qty\" SMALLINT)[], \"free\" BIGINT)");
    is_attr(&e.type, "amount", "N");
    is_attr(&trib_item_find(&e.type, "address")->type, "zip", "N");
    is_attr(&trib_item_find(&e.type, "address")->type, "since", "S");
    is_attr(&e.type, "tags", "SS");
    is_attr(&e.type, "lines", "L");
    decodes(&e.type, &o, "{\"amount\":{\"N\":\"12.50\"},\"address\":{\"M\":{\"zip\":{\"N\":\"08005\"}}}}", "");
    decodes(&e.type, &o, "{\"amount\":{\"N\":\"12.505\"}}", "{\"amount\":{\"N\":\"12.505\"}}");
    decodes(&e.type, &o, "{\"address\":{\"M\":{\"since\":{\"S\":\"2024-02-29\"},\"zip\":{\"N\":\"1.0\"}}}}", "");
    decodes(&e.type, &o, "{\"address\":{\"M\":{\"since\":{\"S\":\"2023-02-29\"},\"zip\":{\"S\":\"x\"}}}}",
            "{\"address\":{\"M\":{\"since\":{\"S\":\"2023-02-29\"},\"zip\":{\"S\":\"x\"}}}}");
    decodes(&e.type, &o, "{\"tags\":{\"SS\":[\"2024-01-02\",\"2024-01-01\"]}}", "");
    decodes(&e.type, &o, "{\"tags\":{\"SS\":[\"2024-01-02\",\"soon\"]}}",
            "{\"tags\":{\"SS\":[\"2024-01-02\",\"soon\"]}}");
    decodes(&e.type, &o, "{\"lines\":{\"L\":[{\"M\":{\"qty\":{\"N\":\"32767\"}}}]}}", "");
    decodes(&e.type, &o, "{\"lines\":{\"L\":[{\"M\":{\"qty\":{\"N\":\"32768\"}}}]}}",
            "{\"lines\":{\"L\":[{\"M\":{\"qty\":{\"N\":\"32768\"}}}]}}");
    drop(&e);
}

/* Nobody has seen them: they are there all the same, with the likeliest of DynamoDB's types. */
static void declared(void **state)
{
    (void)state;
    static const struct trib_hint hints[] = {
        {"a.b.c", "timestamp"},  {"n", "double"},  {"l", "array<array<int>>"}, {"`x.y`", "binary"},
        {"t.element", "string"}, {"pk", "string"}, {"flag", "boolean"}};
    static const char *const keys[] = {"pk"};
    struct trib_schema_opts o = {.infer = true, .hints = hints, .n_hints = COUNT(hints), .keys = keys, .n_keys = 1};
    struct trib_evolved e = learnt(NULL, "{\"pk\":{\"N\":\"1\"}}", &o);
    is_type(&e, "STRUCT(\"pk\" BIGINT, \"a\" STRUCT(\"b\" STRUCT(\"c\" TIMESTAMP WITH TIME ZONE)), \"n\" DOUBLE, "
                "\"l\" INTEGER[][], \"x.y\" BLOB, \"t\" VARCHAR[], \"flag\" BOOLEAN)");
    is_attr(&e.type, "n", "N");
    is_attr(&e.type, "t", "L");
    assert_string_equal(trib_field_meta(trib_item_find(&e.type, "l"), "dynamodb.element"), "L<N>");
    decodes(&e.type, &o,
            "{\"pk\":{\"N\":\"2\"},\"l\":{\"L\":[{\"L\":[{\"N\":\"1\"}]},{\"NULL\":true}]},\"x.y\":{\"B\":\"AA==\"}}",
            "");
    struct trib_evolved again = learnt(&e.type, "{\"a\":{\"M\":{\"b\":{\"M\":{\"d\":{\"S\":\"x\"}}}}}}", &o);
    is_type(
        &again,
        "STRUCT(\"pk\" BIGINT, \"a\" STRUCT(\"b\" STRUCT(\"c\" TIMESTAMP WITH TIME ZONE, \"d\" VARCHAR)), \"n\" DOUBLE, "
        "\"l\" INTEGER[][], \"x.y\" BLOB, \"t\" VARCHAR[], \"flag\" BOOLEAN)");
    drop(&again);
    /* a hint that comes later adds what is not there, at any depth, also where the schema is frozen, and changes nothing that is */
    static const struct trib_hint late[] = {{"a.b.c", "date"}, {"a.b.e", "date"}, {"n", "string"}};
    o.hints = late;
    o.n_hints = COUNT(late);
    o.evolution = TRIB_EVOLVE_RESCUE;
    again = learnt(&e.type, NULL, &o);
    assert_true(again.changed);
    is_type(
        &again,
        "STRUCT(\"pk\" BIGINT, \"a\" STRUCT(\"b\" STRUCT(\"c\" TIMESTAMP WITH TIME ZONE, \"e\" DATE)), \"n\" DOUBLE, "
        "\"l\" INTEGER[][], \"x.y\" BLOB, \"t\" VARCHAR[], \"flag\" BOOLEAN)");
    drop(&e);
    e = learnt(&again.type, NULL, &o);
    assert_false(e.changed);
    drop(&again);
    drop(&e);
}

/* What a target takes from Bronze: hinted parts, where they are as hinted. */
static void adopted(void **state)
{
    (void)state;
    static const struct trib_hint hints[] = {
        {"address.zip", "string"}, {"n", "double"}, {"l.element.q", "int"}, {"gone", "int"}};
    struct trib_schema_opts o = {.infer = true};
    struct trib_evolved e = learnt(
        NULL,
        "{\"address\":{\"M\":{\"zip\":{\"S\":\"1\"},\"city\":{\"S\":\"Z\"}}},\"n\":{\"N\":\"1\"},\"l\":{\"L\":[{\"M\":{\"q\":{\"N\":\"1\"}}}]}}",
        &o);
    struct trib_type got;
    struct trib_err err;
    o.hints = hints;
    o.n_hints = COUNT(hints);
    assert_int_equal(trib_schema_hinted(&e.type, &o, &got, &err), 0);
    struct trib_evolved shown = {.type = got};
    is_type(&shown, "STRUCT(\"address\" STRUCT(\"zip\" VARCHAR))"); /* n is bigint, q too */
    trib_type_free(&got);
    o.hints_adopted = true;
    struct trib_evolved silver = learnt(NULL, "{\"n\":{\"N\":\"1\"}}", &o);
    is_type(&silver, "STRUCT(\"n\" DOUBLE)"); /* no column for what was not seen */
    drop(&silver);
    drop(&e);
}

/* The schema after this item, from none or from `before` [take]. [out] */
static struct trib_type after(struct trib_type *before, const char *json, const struct trib_hint *hints, size_t n)
{
    const struct trib_type none = trib_type_simple(TRIB_T_STRUCT);
    const struct trib_schema_opts o = {.infer = true, .keys = keys_pk, .n_keys = 1, .hints = hints, .n_hints = n};
    struct trib_infer *in = trib_infer_new();
    struct trib_err err = {0};
    struct trib_evolved e = {0};
    assert_int_equal(trib_infer_item(in, trib_view_of(json), false, &err), 0);
    assert_int_equal(trib_schema_evolve(before != NULL ? before : &none, in, &o, false, &e, &err), 0);
    trib_infer_free(in);
    free(e.new_fields);
    if (before != NULL) {
        trib_type_free(before);
    }
    return e.type;
}

static void is(const struct trib_type *t, const char *attribute, const char *sql)
{
    const struct trib_field *f = trib_item_find(t, attribute);
    assert_non_null(f);
    struct trib_buf b;
    trib_buf_init(&b, 4096);
    trib_type_sql(&f->type, &b);
    assert_string_equal(b.p, sql);
    trib_buf_free(&b);
}

static void new_columns_members_and_elements(void **state)
{
    (void)state;
    static const struct trib_hint hints[] = {{"address.zip", "string"},   {"address.since", "date"},
                                             {"price", "decimal(18,2)"},  {"prices.element", "double"},
                                             {"lines.element.q", "int"},  {"matrix.element.element", "double"},
                                             {"mixed.element", "bigint"}, {"flags.element", "bigint"},
                                             {"address.gone", "bigint"},  {"sizes.element", "decimal(5,1)"}};
    struct trib_type t = after(
        NULL,
        "{\"pk\":{\"S\":\"a\"},\"address\":{\"M\":{\"zip\":{\"N\":\"5\"},\"since\":{\"S\":\"2026-01-02\"},\"ok\":{\"BOOL\":true}}},"
        "\"price\":{\"N\":\"1\"},\"prices\":{\"L\":[{\"N\":\"1\"}]},\"lines\":{\"L\":[{\"M\":{\"q\":{\"N\":\"1\"}}}]},"
        "\"matrix\":{\"L\":[{\"L\":[{\"N\":\"1\"}]}]},\"mixed\":{\"L\":[{\"N\":\"1\"},{\"S\":\"a\"}]},\"flags\":{\"L\":[{\"BOOL\":true}]},"
        "\"sizes\":{\"NS\":[\"1\"]}}",
        hints, sizeof hints / sizeof *hints);
    is(&t, "address", "STRUCT(\"zip\" VARCHAR, \"since\" DATE, \"ok\" BOOLEAN, \"gone\" BIGINT)");
    is(&t, "price", "DECIMAL(18,2)");
    is(&t, "prices", "DOUBLE[]");
    is(&t, "lines", "STRUCT(\"q\" INTEGER)[]");
    is(&t, "matrix", "DOUBLE[][]");
    is(&t, "mixed", "BIGINT[]"); /* what has another type is rescued */
    is(&t, "flags", "BIGINT[]");
    is(&t, "sizes", "DECIMAL(5,1)[]");
    trib_type_free(&t);
}

/* A member that comes later has its hint; what is there keeps its type. */
static void later_members(void **state)
{
    (void)state;
    static const struct trib_hint hints[] = {{"m.a", "string"}, {"m.b", "double"}};
    struct trib_type t = after(NULL, "{\"pk\":{\"S\":\"a\"},\"m\":{\"M\":{\"a\":{\"N\":\"1\"}}}}", NULL, 0);
    is(&t, "m", "STRUCT(\"a\" BIGINT)");
    t = after(&t, "{\"pk\":{\"S\":\"a\"},\"m\":{\"M\":{\"a\":{\"N\":\"1\"},\"b\":{\"N\":\"1\"}}}}", hints, 2);
    is(&t, "m", "STRUCT(\"a\" BIGINT, \"b\" DOUBLE)");
    trib_type_free(&t);
}

static void a_decimal_takes_the_place_of_bigint(void **state)
{
    (void)state;
    static const struct trib_hint hints[] = {{"p", "decimal(38,18)"},       {"m.a", "decimal(18,2)"},
                                             {"l.element", "decimal(5,1)"}, {"q", "string"},
                                             {"s", "decimal(5,1)"},         {"pk", "decimal(38,0)"}};
    const struct trib_schema_opts o = {.infer = true, .keys = keys_pk, .n_keys = 1, .hints = hints, .n_hints = 6};
    struct trib_type t =
        after(NULL,
              "{\"pk\":{\"N\":\"1\"},\"p\":{\"N\":\"1\"},\"m\":{\"M\":{\"a\":{\"N\":\"1\"},\"b\":{\"N\":\"1\"}}},"
              "\"l\":{\"L\":[{\"N\":\"1\"}]},\"q\":{\"N\":\"1\"},\"s\":{\"S\":\"x\"}}",
              NULL, 0);
    assert_true(trib_schema_apply_hints(&t, &o));
    is(&t, "p", "DECIMAL(38,18)");
    is(&t, "m", "STRUCT(\"a\" DECIMAL(18,2), \"b\" BIGINT)");
    is(&t, "l", "DECIMAL(5,1)[]");
    is(&t, "q", "BIGINT");  /* only decimals hold all that was there */
    is(&t, "s", "VARCHAR"); /* and only of numbers */
    is(&t, "pk", "BIGINT"); /* a key keeps its type */
    assert_false(trib_schema_apply_hints(&t, &o));
    trib_type_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types),         cmocka_unit_test(paths),
        cmocka_unit_test(nested),        cmocka_unit_test(declared),
        cmocka_unit_test(adopted),       cmocka_unit_test(new_columns_members_and_elements),
        cmocka_unit_test(later_members), cmocka_unit_test(a_decimal_takes_the_place_of_bigint)};
    return cmocka_run_group_tests_name("hints", tests, NULL, NULL);
}
