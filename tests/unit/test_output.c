/* Results as a table, JSON, JSON lines and CSV: known answers for every type. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/output.h"
#include "engine/engine.h"

static struct trib_engine *engine;
static struct trib_conn *conn;

static int setup(void **state)
{
    (void)state;
    struct trib_err err = {0};
    struct trib_engine_opts o = {.threads = 1, .scratch = "/tmp"};
    return trib_engine_open(&o, &engine, &err) != 0 || trib_conn_open(engine, &conn, &err) != 0 ? -1 : 0;
}
static int teardown(void **state)
{
    (void)state;
    trib_conn_close(conn);
    trib_engine_close(engine);
    return 0;
}

static char *output(const char *sql, enum trib_output format, size_t max_cell)
{
    struct trib_err err = {0};
    struct trib_result *r;
    if (trib_query(conn, sql, &r, &err) != 0) {
        fail_msg("%s: %s", sql, err.msg);
    }
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    struct trib_output_writer *w = trib_output_open(f, format, trib_result_type(r), max_cell);
    const struct trib_chunk *c;
    for (;;) {
        assert_int_equal(trib_result_next(r, &c, &err), 0);
        if (c->rows == 0) {
            break;
        }
        trib_output_rows(w, c);
    }
    trib_output_close(w);
    (void)fclose(f);
    trib_result_free(r);
    return text;
}

static void check(const char *sql, enum trib_output format, const char *want)
{
    char *got = output(sql, format, 0);
    assert_string_equal(got, want);
    free(got);
}

static void test_jsonl_values(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *want;
    } cases[] = {
        {"9223372036854775807", "9223372036854775807"},
        {"(-9223372036854775808)::BIGINT", "-9223372036854775808"},
        {"1::TINYINT", "1"},
        {"18446744073709551615::UBIGINT", "18446744073709551615"},
        {"170141183460469231731687303715884105727::HUGEINT // 10", "17014118346046923173168730371588410572"},
        {"sum(9223372036854775807::BIGINT)", "9223372036854775807"},
        {"12345678901234567890.123456789012345678::DECIMAL(38,18)", "12345678901234567890.123456789012345678"},
        {"-0.05::DECIMAL(4,2)", "-0.05"},
        {"1.50::DECIMAL(9,2)", "1.50"},
        {"-123456789012.345::DECIMAL(18,3)", "-123456789012.345"},
        {"0.1::DOUBLE", "0.1"},
        {"1e300::DOUBLE", "1e+300"},
        {"0.1::FLOAT", "0.1"},
        {"'nan'::DOUBLE", "\"NaN\""},
        {"'inf'::DOUBLE", "\"Infinity\""},
        {"'-inf'::FLOAT", "\"-Infinity\""},
        {"true", "true"},
        {"NULL", "null"},
        {"'caf\xC3\xA9 \"q\" \\ ' || chr(10) || chr(1)", "\"caf\xC3\xA9 \\\"q\\\" \\\\ \\n\\u0001\""},
        {"''", "\"\""},
        {"'\\x00\\xFFa'::BLOB", "\"AP9h\""},
        {"''::BLOB", "\"\""},
        {"DATE '2026-02-28'", "\"2026-02-28\""},
        {"DATE 'infinity'", "\"Infinity\""},
        {"TIMESTAMPTZ '2026-01-01 12:00:00+03'", "\"2026-01-01T09:00:00Z\""},
        {"TIMESTAMPTZ '1969-12-31 23:59:59.5Z'", "\"1969-12-31T23:59:59.500Z\""},
        {"TIMESTAMPTZ '-infinity'", "\"-Infinity\""},
        {"TIMESTAMP '2026-01-01 12:00:00.123456'", "\"2026-01-01T12:00:00.123456\""},
        {"{'a': 1, 'b \"': {'c': NULL}}", "{\"a\":1,\"b \\\"\":{\"c\":null}}"},
        {"[1, NULL, 3]", "[1,null,3]"},
        {"[]", "[]"},
        {"[{'a': [DATE '2026-01-01']}, NULL]", "[{\"a\":[\"2026-01-01\"]},null]"},
        {"MAP{'k': 1, 'l': NULL}", "[{\"key\":\"k\",\"value\":1},{\"key\":\"l\",\"value\":null}]"},
        {"MAP{}", "[]"},
        {"'5f1a2b3c-0000-4000-8000-000000000000'::UUID", "\"5f1a2b3c-0000-4000-8000-000000000000\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *sql = trib_asprintf("SELECT %s AS x", cases[i].sql), *want = trib_asprintf("{\"x\":%s}\n", cases[i].want);
        check(sql, TRIB_OUTPUT_JSONL, want);
        free(sql);
        free(want);
    }
}

static void test_documents(void **state)
{
    (void)state;
    check("SELECT i FROM range(3) t(i) ORDER BY i", TRIB_OUTPUT_JSON, "[\n{\"i\":0},\n{\"i\":1},\n{\"i\":2}\n]\n");
    check("SELECT 1 AS i WHERE false", TRIB_OUTPUT_JSON, "[]\n");
    check("SELECT 1 AS i WHERE false", TRIB_OUTPUT_JSONL, "");
    check("SELECT 1 AS a, 2 AS a, 3 AS a_1, 4 AS a", TRIB_OUTPUT_JSONL, "{\"a\":1,\"a_2\":2,\"a_1\":3,\"a_3\":4}\n");
}

static void test_csv(void **state)
{
    (void)state;
    check(
        "SELECT 1 AS a, 'x,y' AS \"b,\"\"c\", NULL AS n, '' AS e, 'li' || chr(10) || 'ne' AS l, '\"' AS q, ' s' AS s, [1, 2] AS li, 'z' AS z",
        TRIB_OUTPUT_CSV, "a,\"b,\"\"c\",n,e,l,q,s,li,z\n1,\"x,y\",,\"\",\"li\nne\",\"\"\"\",\" s\",\"[1,2]\",z\n");
    check("SELECT 1 AS a WHERE false", TRIB_OUTPUT_CSV, "a\n");
    check("SELECT 'nan'::DOUBLE AS a, TIMESTAMPTZ '2026-01-01 00:00:00Z' AS t, 'x'::BLOB AS b", TRIB_OUTPUT_CSV,
          "a,t,b\nNaN,2026-01-01T00:00:00Z,eA==\n");
}

static void test_table(void **state)
{
    (void)state;
    check("SELECT * FROM (VALUES ('caf\xC3\xA9', 1), ('a' || chr(10) || 'b', 1000), (NULL, NULL)) t(name, n)",
          TRIB_OUTPUT_TABLE, "name     n\n----  ----\ncaf\xC3\xA9     1\na\\nb  1000\nNULL  NULL\n(3 rows)\n");
    check("SELECT 1 AS n WHERE false", TRIB_OUTPUT_TABLE, "n\n-\n(0 rows)\n");
    char *got = output("SELECT 'abcdefghij' AS a, 'abcde' AS b", TRIB_OUTPUT_TABLE, 5);
    assert_string_equal(got, "a      b\n-----  -----\nabcd\xE2\x80\xA6  abcde\n(1 row)\n");
    free(got);
    /* More rows than are held. */
    got = output("SELECT i AS n, 'row ' || i AS t FROM range(5000) t(i) ORDER BY i", TRIB_OUTPUT_TABLE, 0);
    assert_non_null(strstr(got, "\n999  row 999\n1000  row 1000\n"));
    assert_non_null(strstr(got, "\n4999  row 4999\n(5000 rows)\n"));
    free(got);
}

/* 400 KB values, and many rows, in little memory: only that nothing is cut. */
static void test_wide(void **state)
{
    (void)state;
    char *got = output("SELECT repeat('x', 400000) AS a FROM range(20)", TRIB_OUTPUT_JSONL, 0);
    assert_int_equal(strlen(got), 20 * (400000 + strlen("{\"a\":\"\"}\n")));
    free(got);
    got = output("SELECT repeat('x', 400000) AS a FROM range(20)", TRIB_OUTPUT_TABLE, 0);
    assert_non_null(strstr(got, "\n(20 rows)\n"));
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jsonl_values), cmocka_unit_test(test_documents), cmocka_unit_test(test_csv),
        cmocka_unit_test(test_table),        cmocka_unit_test(test_wide),
    };
    return cmocka_run_group_tests_name("output", tests, setup, teardown);
}
