/* schema: hints by path, on columns that are made and on those that are there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schema/schema.h"

static const char *const keys[] = {"pk"};

/* The schema after this item, from none or from `before` [take]. [out] */
static struct trib_type after(struct trib_type *before, const char *json, const struct trib_hint *hints, size_t n)
{
    const struct trib_type none = trib_type_simple(TRIB_T_STRUCT);
    const struct trib_schema_opts o = {.infer = true, .keys = keys, .n_keys = 1, .hints = hints, .n_hints = n};
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

static void test_new_columns_members_and_elements(void **state)
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
    is(&t, "address", "STRUCT(\"zip\" VARCHAR, \"since\" DATE, \"ok\" BOOLEAN)");
    is(&t, "price", "DECIMAL(18,2)");
    is(&t, "prices", "DOUBLE[]");
    is(&t, "lines", "STRUCT(\"q\" INTEGER)[]");
    is(&t, "matrix", "BIGINT[][]"); /* not below lists of lists */
    is(&t, "mixed", "VARCHAR[]");   /* texts of any values */
    is(&t, "flags", "BOOLEAN[]");   /* hints are for S and N */
    is(&t, "sizes", "DECIMAL(5,1)[]");
    trib_type_free(&t);
}

/* A member that comes later has its hint; what is there keeps its type. */
static void test_later_members(void **state)
{
    (void)state;
    static const struct trib_hint hints[] = {{"m.a", "string"}, {"m.b", "double"}};
    struct trib_type t = after(NULL, "{\"pk\":{\"S\":\"a\"},\"m\":{\"M\":{\"a\":{\"N\":\"1\"}}}}", NULL, 0);
    is(&t, "m", "STRUCT(\"a\" BIGINT)");
    t = after(&t, "{\"pk\":{\"S\":\"a\"},\"m\":{\"M\":{\"a\":{\"N\":\"1\"},\"b\":{\"N\":\"1\"}}}}", hints, 2);
    is(&t, "m", "STRUCT(\"a\" BIGINT, \"b\" DOUBLE)");
    trib_type_free(&t);
}

static void test_a_decimal_takes_the_place_of_bigint(void **state)
{
    (void)state;
    static const struct trib_hint hints[] = {{"p", "decimal(38,18)"},       {"m.a", "decimal(18,2)"},
                                             {"l.element", "decimal(5,1)"}, {"q", "string"},
                                             {"s", "decimal(5,1)"},         {"pk", "decimal(38,0)"}};
    const struct trib_schema_opts o = {.infer = true, .keys = keys, .n_keys = 1, .hints = hints, .n_hints = 6};
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
        cmocka_unit_test(test_new_columns_members_and_elements),
        cmocka_unit_test(test_later_members),
        cmocka_unit_test(test_a_decimal_takes_the_place_of_bigint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
