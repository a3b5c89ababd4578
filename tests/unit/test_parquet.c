/* Parquet: what is written comes back in order and by name; statistics with known answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "columns/format.h"
#include "parquet/parquet.h"
#include "parquet/stats.h"

static struct trib_engine *engine;
static struct trib_conn *conn;
static char folder[] = "/tmp/trib-test-parquet-XXXXXX";

static int setup(void **state)
{
    (void)state;
    struct trib_err err = {0};
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    struct trib_engine_opts o = {.limit_bytes = 256 << 20, .threads = 2, .scratch = folder};
    return trib_engine_open(&o, &engine, &err) != 0 || trib_conn_open(engine, &conn, &err) != 0 ? -1 : 0;
}
static int teardown(void **state)
{
    (void)state;
    trib_conn_close(conn);
    trib_engine_close(engine);
    char *rm = trib_asprintf("rm -rf %s", folder);
    int rc = system(rm);
    free(rm);
    return rc;
}

static char *in_folder(const char *name) { return trib_asprintf("%s/%s", folder, name); }

static int64_t ask(const char *sql)
{
    struct trib_err err = {0};
    int64_t ret = -1;
    if (trib_query_i64(conn, sql, -2, &ret, &err) != 0) {
        fail_msg("%s: %s", sql, err.msg);
    }
    return ret;
}
static int64_t askf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int64_t askf(const char *fmt, ...)
{
    char *sql = NULL;
    va_list ap;
    va_start(ap, fmt);
    assert_true(vasprintf(&sql, fmt, ap) >= 0);
    va_end(ap);
    int64_t ret = ask(sql);
    free(sql);
    return ret;
}

struct rows {
    int64_t at, end, fail_at;
    size_t chunk_rows;
    const char *text;
    size_t text_n;
};

static int fill(void *ctx, struct trib_chunk *c, struct trib_err *err)
{
    struct rows *r = ctx;
    for (; r->at < r->end && c->rows < r->chunk_rows; c->rows++, r->at++) {
        if (r->fail_at > 0 && r->at >= r->fail_at) {
            return trib_err_set(err, TRIB_E_CANCELLED, "stopped by the test");
        }
        ((int64_t *)c->cols[0].data)[c->rows] = r->at;
        ((struct trib_str *)c->cols[1].data)[c->rows] = trib_str_make(r->text, r->text_n);
        if (r->at % 5 == 4) {
            trib_vec_null(&c->cols[1], c->rows);
        }
    }
    return 0;
}

static struct trib_type two_columns(void)
{
    struct trib_type t = trib_type_simple(TRIB_T_STRUCT);
    trib_type_add(&t, "n", trib_type_simple(TRIB_T_LONG));
    trib_type_add(&t, "text \"x\"", trib_type_simple(TRIB_T_STRING));
    return t;
}

static void test_write(void **state)
{
    (void)state;
    struct trib_err err = {0};
    struct trib_type row = two_columns();
    struct rows r = {.end = 300000, .chunk_rows = 2000, .text = "some text of the row", .text_n = 20};
    struct trib_parquet_opts o = {0};
    struct trib_parquet_file f = {0};
    char *path = in_folder("it's one.parquet");
    int rc = trib_parquet_write(conn, &row, fill, &r, path, &o, &f, &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(rc, 0);
    assert_string_equal(f.path, path);
    assert_int_equal(f.rows, 300000);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(f.bytes, st.st_size);
    assert_string_equal(f.stats_json,
                        "{\"numRecords\":300000,\"minValues\":{\"n\":0,\"text \\\"x\\\"\":\"some text of the row\"},"
                        "\"maxValues\":{\"n\":299999,\"text \\\"x\\\"\":\"some text of the row\"},"
                        "\"nullCount\":{\"n\":0,\"text \\\"x\\\"\":60000},\"tightBounds\":true}");
    char *sql_path = in_folder("it''s one.parquet");
    assert_int_equal(askf("SELECT count(*) FROM read_parquet('%s') WHERE n <> file_row_number", sql_path), 0);
    assert_int_equal(askf("SELECT max(row_group_num_rows) FROM parquet_metadata('%s')", sql_path) / 10000, 12);
    assert_int_equal(askf("SELECT count(*) FROM parquet_metadata('%s') WHERE compression <> 'ZSTD'", sql_path), 0);
    free(sql_path);
    free(path);
    trib_parquet_file_free(&f);
    trib_type_free(&row);
}

static void test_write_nothing(void **state)
{
    (void)state;
    struct trib_err err = {0};
    struct trib_type row = two_columns();
    struct rows r = {.end = 0, .chunk_rows = 10, .text = "", .text_n = 0};
    struct trib_parquet_opts o = {.compression = TRIB_SNAPPY};
    struct trib_parquet_file f = {.rows = 77};
    char *path = in_folder("none.parquet");
    assert_int_equal(trib_parquet_write(conn, &row, fill, &r, path, &o, &f, &err), 0);
    assert_null(f.path);
    assert_int_equal(f.rows, 0);
    assert_int_not_equal(access(path, F_OK), 0);
    /* A producer that fails leaves nothing, and its words. */
    r = (struct rows){.end = 1000000, .fail_at = 500000, .chunk_rows = 1000, .text = "x", .text_n = 1};
    f.rows = 77;
    assert_int_equal(trib_parquet_write(conn, &row, fill, &r, path, &o, &f, &err), TRIB_E_CANCELLED);
    assert_string_equal(err.msg, "stopped by the test");
    assert_int_equal(f.rows, 77);
    assert_int_not_equal(access(path, F_OK), 0);
    /* A folder that is not there. */
    r = (struct rows){.end = 10, .chunk_rows = 10, .text = "x", .text_n = 1};
    assert_int_equal(trib_parquet_write(conn, &row, fill, &r, "/tmp/trib-no-such-folder/x.parquet", &o, &f, &err),
                     TRIB_E_IO);
    free(path);
    trib_type_free(&row);
}

/* 400 KB values: row groups are bounded by bytes, and reading them back gives small chunks. */
static void test_wide_rows(void **state)
{
    (void)state;
    struct trib_err err = {0};
    struct trib_type row = two_columns();
    size_t n = 400000;
    char *text = trib_malloc(n);
    uint64_t x = 1;
    for (size_t i = 0; i < n; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        text[i] = (char)('a' + (x >> 60));
    }
    struct rows r = {.end = 1000, .chunk_rows = 16, .text = text, .text_n = n};
    struct trib_parquet_opts o = {0};
    struct trib_parquet_file f = {0};
    char *path = in_folder("wide.parquet");
    assert_int_equal(trib_parquet_write(conn, &row, fill, &r, path, &o, &f, &err), 0);
    assert_int_equal(f.rows, 1000);
    assert_true(askf("SELECT max(row_group_num_rows) FROM parquet_metadata('%s')", path) <= 400);
    assert_non_null(strstr(f.stats_json, "\"nullCount\":{\"n\":0,\"text \\\"x\\\"\":200}"));
    struct trib_result *res;
    char *sql = trib_asprintf("SELECT * FROM read_parquet('%s')", path);
    assert_int_equal(trib_query(conn, sql, &res, &err), 0);
    const struct trib_chunk *c;
    int64_t rows = 0;
    for (;;) {
        assert_int_equal(trib_result_next(res, &c, &err), 0);
        if (c->rows == 0) {
            break;
        }
        rows += (int64_t)c->rows;
    }
    assert_int_equal(rows, 1000);
    trib_result_free(res);
    free(sql);
    free(text);
    free(path);
    trib_parquet_file_free(&f);
    trib_type_free(&row);
}

static void test_write_query(void **state)
{
    (void)state;
    struct trib_err err = {0};
    struct trib_parquet_opts o = {.row_group_rows = 10000};
    struct trib_parquet_file *f;
    size_t n;
    char *prefix = in_folder("q");
    assert_int_equal(trib_parquet_write_query(
                         conn,
                         "SELECT i, sum(i) OVER () AS s, uuid() u FROM range(1000) t(i) ORDER BY i DESC -- end\n;",
                         prefix, &o, &f, &n, &err),
                     0);
    assert_int_equal(n, 1);
    assert_int_equal(f[0].rows, 1000);
    assert_non_null(strstr(f[0].stats_json, "\"minValues\":{\"i\":0,\"s\":499500,\"u\":\""));
    assert_int_equal(askf("SELECT count(*) FROM read_parquet('%s-0.parquet') WHERE i <> 999 - file_row_number", prefix),
                     0);
    assert_int_equal(
        askf(
            "SELECT count(*) FROM (DESCRIBE FROM read_parquet('%s-0.parquet')) WHERE column_type IN ('BIGINT', 'DECIMAL(38,0)', 'VARCHAR')",
            prefix),
        3);
    trib_parquet_file_free(&f[0]);
    free(f);
    assert_int_equal(trib_parquet_write_query(conn, "SELECT 1 AS a WHERE false", prefix, &o, &f, &n, &err), 0);
    assert_int_equal(n, 0);
    free(f);
    /* Several files. */
    o.file_bytes = 1 << 20;
    assert_int_equal(trib_parquet_write_query(conn,
                                              "SELECT i, hash(i) AS h, md5(i::VARCHAR) AS m FROM range(300000) t(i)",
                                              prefix, &o, &f, &n, &err),
                     0);
    assert_true(n > 2);
    int64_t rows = 0;
    for (size_t i = 0; i < n; i++) {
        char *want = trib_asprintf("%s-%zu.parquet", prefix, i);
        assert_string_equal(f[i].path, want);
        rows += f[i].rows;
        assert_int_equal(askf("SELECT count(*) FROM read_parquet('%s')", want), f[i].rows);
        assert_int_equal(askf("SELECT min(i) FROM read_parquet('%s')", want),
                         strtoll(strstr(f[i].stats_json, "\"i\":") + 4, NULL, 10));
        free(want);
        trib_parquet_file_free(&f[i]);
    }
    assert_int_equal(rows, 300000);
    free(f);
    char *parts = trib_asprintf("%s.parts", prefix);
    assert_int_not_equal(access(parts, F_OK), 0);
    free(parts);
    assert_int_equal(trib_parquet_write_query(conn, "SELECT nope", prefix, &o, &f, &n, &err), TRIB_E_DATA);
    assert_int_equal(trib_parquet_write_query(
                         conn,
                         "SELECT CASE WHEN i > 200000 THEN error('late') ELSE 'a' END AS x, i FROM range(300000) t(i)",
                         prefix, &o, &f, &n, &err),
                     TRIB_E_DATA);
    assert_non_null(strstr(err.msg, "late"));
    free(prefix);
}

/* Wide rows in an engine with little memory: the row groups become as small as it takes, and that is remembered. */
static void test_write_query_within(void **state)
{
    (void)state;
    struct trib_err err = {0};
    struct trib_engine *small;
    struct trib_conn *c;
    struct trib_engine_opts eo = {.limit_bytes = 64 << 20, .threads = 1, .scratch = folder};
    assert_int_equal(trib_engine_open(&eo, &small, &err), 0);
    assert_int_equal(trib_conn_open(small, &c, &err), 0);
    uint64_t bytes = 512 << 20;
    struct trib_parquet_opts o = {.group_bytes = &bytes, .file_bytes = 1 << 30};
    struct trib_parquet_file *f;
    size_t n;
    char *prefix = in_folder("within");
    static char text[200000];
    memset(text, 'x', sizeof text);
    struct trib_type row = two_columns();
    struct rows r = {.end = 400, .chunk_rows = 10, .text = text, .text_n = sizeof text};
    struct trib_parquet_file source = {0};
    char *path = trib_asprintf("%s.source", prefix);
    const struct trib_parquet_opts so = {.row_group_rows = 10};
    assert_int_equal(trib_parquet_write(conn, &row, fill, &r, path, &so, &source, &err), 0);
    trib_parquet_file_free(&source);
    trib_type_free(&row);
    free(path);
    char *sql = trib_asprintf("SELECT n, \"text \"\"x\"\"\" || n AS t FROM read_parquet('%s.source')", prefix);
    int rc = trib_parquet_write_query(c, sql, prefix, &o, &f, &n, &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(rc, 0);
    assert_true(bytes < 512 << 20);
    int64_t rows = 0;
    for (size_t i = 0; i < n; i++) {
        rows += f[i].rows;
        trib_parquet_file_drop(&f[i]);
    }
    assert_int_equal(rows, 400);
    free(f);
    free(sql);
    free(prefix);
    trib_conn_close(c);
    trib_engine_close(small);
}

/* The statistics of one row's file. */
static void check_stats(const char *select, const char *const *stats, size_t n_stats, const char *want)
{
    struct trib_err err = {0};
    struct trib_parquet_opts o = {.stats = stats, .n_stats = n_stats};
    struct trib_parquet_file *f;
    size_t n;
    char *prefix = in_folder("stats");
    if (trib_parquet_write_query(conn, select, prefix, &o, &f, &n, &err) != 0) {
        fail_msg("%s: %s", select, err.msg);
    }
    assert_int_equal(n, 1);
    assert_string_equal(f[0].stats_json, want);
    assert_int_equal(askf("SELECT json_valid($t$%s$t$)::BIGINT", f[0].stats_json), 1);
    trib_parquet_file_free(&f[0]);
    free(f);
    free(prefix);
}
#define STATS(n, mins, maxs, nulls)                                                                  \
    "{\"numRecords\":" #n ",\"minValues\":{" mins "},\"maxValues\":{" maxs "},\"nullCount\":{" nulls \
    "},\"tightBounds\":true}"

static void test_stats(void **state)
{
    (void)state;
    check_stats(
        "SELECT unnest([TIMESTAMPTZ '2026-01-01 00:00:00.123456Z', TIMESTAMPTZ '2026-01-01 10:00:00.999001Z']) AS t",
        NULL, 0, STATS(2, "\"t\":\"2026-01-01T00:00:00.123Z\"", "\"t\":\"2026-01-01T10:00:01.000Z\"", "\"t\":0"));
    check_stats("SELECT unnest([TIMESTAMP '1899-12-31 23:59:59.999999', NULL]) AS t", NULL, 0,
                STATS(2, "\"t\":\"1899-12-31T23:59:59.999\"", "\"t\":\"1900-01-01T00:00:00.000\"", "\"t\":1"));
    check_stats("SELECT unnest([TIMESTAMPTZ 'infinity', '1969-12-31 23:59:59.9999Z']) AS t", NULL, 0,
                STATS(2, "\"t\":\"1969-12-31T23:59:59.999Z\"", "", "\"t\":0"));
    check_stats("SELECT DATE '0001-01-01' AS d, DATE 'infinity' AS i, true AS b, 'x'::BLOB AS bin", NULL, 0,
                STATS(1, "\"d\":\"0001-01-01\"", "\"d\":\"0001-01-01\"", "\"d\":0,\"i\":0,\"b\":0,\"bin\":0"));
    check_stats(
        "SELECT unnest([1.5::DOUBLE, -2e300]) AS f, unnest(['nan'::DOUBLE, 1]) AS n, unnest(['inf'::FLOAT, 1]) AS i, unnest([0.1::FLOAT, 2]) AS g",
        NULL, 0,
        STATS(2, "\"f\":-2e+300,\"i\":1.0,\"g\":0.1", "\"f\":1.5,\"g\":2.0", "\"f\":0,\"n\":0,\"i\":0,\"g\":0"));
    check_stats(
        "SELECT unnest([-0.01::DECIMAL(38,18), 12345678901234567890.123456789012345678]) AS d, 127::TINYINT AS b, -9223372036854775808 AS l",
        NULL, 0,
        STATS(2, "\"d\":-0.010000000000000000,\"b\":127,\"l\":-9223372036854775808",
              "\"d\":12345678901234567890.123456789012345678,\"b\":127,\"l\":-9223372036854775808",
              "\"d\":0,\"b\":0,\"l\":0"));
    check_stats(
        "SELECT {'a': 1, 'b': {'c': 'x\"y', 'd.e': NULL::INTEGER}} AS s, [1] AS l, MAP{'k': 1} AS m, NULL::VARCHAR AS n, {'q': [1]} AS only_list",
        NULL, 0,
        STATS(1, "\"s\":{\"a\":1,\"b\":{\"c\":\"x\\\"y\"}}", "\"s\":{\"a\":1,\"b\":{\"c\":\"x\\\"y\"}}",
              "\"s\":{\"a\":0,\"b\":{\"c\":0,\"d.e\":1}},\"n\":1"));
    static const char *const two[] = {"z", "s.b"};
    check_stats("SELECT 1 AS a, 2 AS z, {'a': 1, 'b': 2, 'bb': 3} AS s", two, 2,
                STATS(1, "\"z\":2,\"s\":{\"b\":2}", "\"z\":2,\"s\":{\"b\":2}", "\"z\":0,\"s\":{\"b\":0}"));
    check_stats("SELECT 1 AS a", two, 0, STATS(1, "", "", ""));
}

/* NaN anywhere, in whatever row group: no bounds, since NaN is the greatest to some readers. */
static void test_stats_nan(void **state)
{
    (void)state;
    static const char *const conditions[] = {"i = 0", "i = 3000", "i = 5999", "i < 2048", "i > 4096", "i % 7 = 0"};
    for (size_t i = 0; i < sizeof conditions / sizeof conditions[0]; i++) {
        struct trib_err err = {0};
        struct trib_parquet_opts o = {.row_group_rows = 2048};
        struct trib_parquet_file *f;
        size_t n;
        char *prefix = in_folder("nan");
        char *sql = trib_asprintf(
            "SELECT [1] AS l, {'f': CASE WHEN %s THEN 'nan'::DOUBLE ELSE i END, 'g': i::FLOAT} AS s, CASE WHEN %s THEN 'nan'::FLOAT END AS h, "
            "MAP{'a': 1} AS m, i AS n FROM range(6000) t(i)",
            conditions[i], conditions[i]);
        assert_int_equal(trib_parquet_write_query(conn, sql, prefix, &o, &f, &n, &err), 0);
        assert_int_equal(n, 1);
        assert_non_null(strstr(
            f[0].stats_json,
            "\"minValues\":{\"s\":{\"g\":0.0},\"n\":0},\"maxValues\":{\"s\":{\"g\":5999.0},\"n\":5999},\"nullCount\":{\"s\":{\"f\":0,\"g\":0},"));
        trib_parquet_file_free(&f[0]);
        free(f);
        free(sql);
        free(prefix);
    }
}

static void test_stats_strings(void **state)
{
    (void)state;
    /* 32 units stay; the 33rd is cut. */
    check_stats("SELECT repeat('a', 32) AS s", NULL, 0,
                STATS(1, "\"s\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", "\"s\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
                      "\"s\":0"));
    check_stats("SELECT repeat('a', 33) AS s", NULL, 0,
                STATS(1, "\"s\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
                      "\"s\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\\u007F\"", "\"s\":0"));
    check_stats("SELECT repeat('a', 32) || '\xC3\xA9' AS s", NULL, 0,
                STATS(1, "\"s\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
                      "\"s\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xF4\x8F\xBF\xBF\"", "\"s\":0"));
    /* Never inside a surrogate pair: 31 letters and an emoji are 33 units. */
    check_stats("SELECT repeat('a', 31) || '\xF0\x9F\x98\x80' AS s", NULL, 0,
                STATS(1, "\"s\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
                      "\"s\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xF4\x8F\xBF\xBF\"", "\"s\":0"));
    /* Beyond U+10FFFF there is nothing to append. */
    check_stats("SELECT repeat('a', 32) || chr(1114111) AS s", NULL, 0,
                STATS(1, "\"s\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", "", "\"s\":0"));
    check_stats(
        "SELECT '' AS s, chr(10) || chr(1) || '\\' AS t", NULL, 0,
        STATS(1, "\"s\":\"\",\"t\":\"\\n\\u0001\\\\\"", "\"s\":\"\",\"t\":\"\\n\\u0001\\\\\"", "\"s\":0,\"t\":0"));
}

static void test_stats_first_32(void **state)
{
    (void)state;
    struct trib_buf sql, part;
    trib_buf_init(&sql, 1 << 16);
    trib_buf_init(&part, 1 << 16);
    trib_buf_adds(&sql, "SELECT {'x': 1, 'y': 2} AS s");
    trib_buf_adds(&part, "\"s\":{\"x\":0,\"y\":0}");
    for (int i = 0; i < 40; i++) {
        trib_buf_addf(&sql, ", %d AS c%d", i, i);
        if (i < 30) {
            trib_buf_addf(&part, ",\"c%d\":0", i);
        }
    }
    struct trib_err err = {0};
    struct trib_parquet_opts o = {0};
    struct trib_parquet_file *f;
    size_t n;
    char *prefix = in_folder("s32");
    assert_int_equal(trib_parquet_write_query(conn, sql.p, prefix, &o, &f, &n, &err), 0);
    char *want = trib_asprintf("\"nullCount\":{%s},", part.p);
    assert_non_null(strstr(f[0].stats_json, want));
    free(want);
    trib_parquet_file_free(&f[0]);
    free(f);
    free(prefix);
    trib_buf_free(&sql);
    trib_buf_free(&part);
}

/* Names that are hard for SQL and for patterns, a column that a file lacks, one of another type, members. */
static void test_select(void **state)
{
    (void)state;
    struct trib_err err = {0};
    char *one = in_folder("a=1/we[i]rd*? '{x}\\ %20.parquet"), *two = in_folder("a=1/b=2/back\\slash.parquet"),
         *dir = in_folder("a=1"), *dir2 = in_folder("a=1/b=2");
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(mkdir(dir2, 0700), 0);
    struct trib_buf b;
    trib_buf_init(&b, 1 << 20);
    trib_buf_adds(
        &b,
        "COPY (SELECT 1 AS \"a \"\"q\"\"\", {'x': 5::INTEGER, 'n': {'p': 1}} AS s, [{'u': 1}] AS l, 3 AS file_index, 'pos' AS \"_pos2\") TO ");
    trib_sql_literal(&b, trib_view_of(one));
    trib_buf_adds(
        &b,
        " (FORMAT parquet); COPY (SELECT 'x' || i AS t, {'n': {'q': 'v'}} AS s, [{'w': 'l', 'u': 2}] AS l, 1.5::DOUBLE AS d FROM range(3) t(i)) TO ");
    trib_sql_literal(&b, trib_view_of(two));
    trib_buf_adds(&b, " (FORMAT parquet)");
    assert_int_equal(trib_exec(conn, b.p, &err), 0);
    struct trib_type row = trib_type_simple(TRIB_T_STRUCT), s = trib_type_simple(TRIB_T_STRUCT),
                     in = trib_type_simple(TRIB_T_STRUCT), l = trib_type_simple(TRIB_T_ARRAY),
                     el = trib_type_simple(TRIB_T_STRUCT);
    trib_type_add(&row, "day", trib_type_simple(TRIB_T_DATE));
    trib_type_add(&row, "a \"q\"", trib_type_simple(TRIB_T_LONG));
    trib_type_add(&row, "t", trib_type_simple(TRIB_T_STRING));
    trib_type_add(&in, "q", trib_type_simple(TRIB_T_STRING));
    trib_type_add(&in, "p", trib_type_decimal(38, 18));
    trib_type_add(&s, "n", in);
    trib_type_add(&s, "x", trib_type_simple(TRIB_T_LONG));
    trib_type_add(&row, "s", s);
    trib_type_add(&el, "u", trib_type_simple(TRIB_T_LONG));
    trib_type_add(&el, "w", trib_type_simple(TRIB_T_STRING));
    trib_type_add(&l, "element", el);
    trib_type_add(&row, "l", l);
    trib_type_add(&row, "file_index", trib_type_simple(TRIB_T_LONG));
    trib_type_add(&row, "nobody", trib_type_simple(TRIB_T_TIMESTAMP));
    trib_type_add(&row, "p'2", trib_type_simple(TRIB_T_STRING));
    const char *v1[] = {"'2026-01-01'", "'it''s'"}, *v2[] = {"'2026-01-02'", NULL};
    struct trib_parquet_input files[] = {{one, v1}, {two, v2}};
    const char *partitions[] = {"day", "p'2"};
    trib_buf_clear(&b);
    trib_buf_adds(&b, "CREATE OR REPLACE TEMP VIEW v AS ");
    assert_int_equal(trib_parquet_select(conn, &row, files, 2, partitions, 2, true, &b, &err), 0);
    int rc = trib_exec(conn, b.p, &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(rc, 0);
    assert_int_equal(ask("SELECT count(*) FROM v"), 4);
    assert_int_equal(
        ask("SELECT count(*) FROM v WHERE day = '2026-01-01' AND \"a \"\"q\"\"\" = 1 AND s.n.p = 1 AND s.n.q IS NULL AND s.x = 5 AND l = [{'u': 1, 'w': NULL}]"
            " AND file_index = 3 AND nobody IS NULL AND t IS NULL AND \"p'2\" = 'it''s' AND _file = 0 AND _pos = 0"),
        1);
    assert_int_equal(
        ask("SELECT count(*) FROM v WHERE day = '2026-01-02' AND t = 'x' || _pos AND s = {'n': {'q': 'v', 'p': NULL}, 'x': NULL} AND l[1].w = 'l'"
            " AND \"p'2\" IS NULL AND file_index IS NULL AND _file = 1"),
        3);
    assert_int_equal(ask("SELECT count(*) FROM v WHERE _file = 1 AND _pos = 2 AND t = 'x2'"), 1);
    assert_int_equal(ask("SELECT count(*) FROM (DESCRIBE v)"), 10);
    /* No files: the same type, no rows. */
    trib_buf_clear(&b);
    trib_buf_adds(&b, "CREATE OR REPLACE TEMP VIEW w AS ");
    assert_int_equal(trib_parquet_select(conn, &row, NULL, 0, partitions, 2, true, &b, &err), 0);
    assert_int_equal(trib_exec(conn, b.p, &err), 0);
    assert_int_equal(ask("SELECT count(*) FROM w"), 0);
    assert_int_equal(
        ask("SELECT count(*) FROM (SELECT column_name, column_type FROM (DESCRIBE v) EXCEPT SELECT column_name, column_type FROM (DESCRIBE w))"),
        0);
    /* One partition value for all prunes; a file that is gone is an I/O error. */
    struct trib_parquet_input gone[] = {{"/tmp/trib-gone.parquet", v1}};
    trib_buf_clear(&b);
    assert_int_equal(trib_parquet_select(conn, &row, gone, 1, partitions, 2, false, &b, &err), 0);
    assert_int_equal(trib_exec(conn, b.p, &err), TRIB_E_IO);
    trib_buf_free(&b);
    trib_type_free(&row);
    free(one);
    free(two);
    free(dir);
    free(dir2);
}

static void check_text(struct trib_buf *b, const char *want)
{
    assert_string_equal(b->p, want);
    trib_buf_clear(b);
}

static void test_format(void **state)
{
    (void)state;
    struct trib_buf b;
    trib_buf_init(&b, 1000);
    trib_format_json_string(&b, TRIB_VIEW_LIT("a\"\\\b\t\n\f\r\x1f/\xC3\xA9\xED\xA0\x80\xF0\x9F\x98\x80\xFF"));
    check_text(
        &b,
        "\"a\\\"\\\\\\b\\t\\n\\f\\r\\u001F/\xC3\xA9\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xF0\x9F\x98\x80\xEF\xBF\xBD\"");
    trib_format_json_string(&b, (struct trib_view){NULL, 0});
    check_text(&b, "\"\"");
    static const char *const base64[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    for (size_t i = 0; i < 7; i++) {
        trib_buf_adds(&b, "");
        trib_format_base64(&b, (struct trib_view){"foobar", i});
        check_text(&b, base64[i]);
    }
    trib_format_decimal(&b, (struct trib_i128){(uint64_t)-5, -1}, 2);
    check_text(&b, "-0.05");
    trib_format_decimal(&b, (struct trib_i128){0, 0}, 0);
    check_text(&b, "0");
    trib_format_decimal(&b, (struct trib_i128){0, 0}, 3);
    check_text(&b, "0.000");
    trib_format_decimal(&b, (struct trib_i128){0x098a223fffffffff, 0x4b3b4ca85a86c47a}, 18); /* 10^38 - 1 */
    check_text(&b, "99999999999999999999.999999999999999999");
    trib_format_decimal(&b, (struct trib_i128){0, INT64_MIN}, 0);
    check_text(&b, "-170141183460469231731687303715884105728");
    trib_format_date(&b, 0);
    check_text(&b, "1970-01-01");
    trib_format_date(&b, trib_days_from_civil(2024, 2, 29));
    check_text(&b, "2024-02-29");
    trib_format_date(&b, trib_days_from_civil(-44, 3, 15));
    check_text(&b, "-0044-03-15");
    trib_format_date(&b, trib_days_from_civil(12026, 12, 31));
    check_text(&b, "+12026-12-31");
    for (int64_t d = -1000000; d < 1000000; d += 997) {
        trib_format_date(&b, d);
        long long y;
        unsigned m, day;
        assert_int_equal(sscanf(b.p, "%lld-%u-%u", &y, &m, &day), 3);
        assert_int_equal(trib_days_from_civil(y, m, day), d);
        trib_buf_clear(&b);
    }
    trib_format_timestamp(&b, -1, -1);
    check_text(&b, "1969-12-31T23:59:59.999999");
    trib_format_timestamp(&b, 1767225600000000, -1);
    check_text(&b, "2026-01-01T00:00:00");
    trib_format_timestamp(&b, 1767225600120000, -1);
    check_text(&b, "2026-01-01T00:00:00.120");
    trib_format_timestamp(&b, 1767225600120000, 3);
    check_text(&b, "2026-01-01T00:00:00.120");
    static const struct {
        double v;
        const char *want;
    } doubles[] = {{0, "0.0"},
                   {-0.0, "-0.0"},
                   {1, "1.0"},
                   {0.1, "0.1"},
                   {1e100, "1e+100"},
                   {-123456789012.5, "-123456789012.5"},
                   {0.30000000000000004, "0.30000000000000004"},
                   {5e-324, "4.94065645841247e-324"},
                   {1e15, "1e+15"},
                   {123456789012345678.0, "1.2345678901234568e+17"}};
    for (size_t i = 0; i < sizeof doubles / sizeof doubles[0]; i++) {
        trib_format_double(&b, doubles[i].v);
        assert_true(strtod(b.p, NULL) == doubles[i].v);
        check_text(&b, doubles[i].want);
    }
    trib_format_float(&b, 0.1f);
    check_text(&b, "0.1");
    trib_format_float(&b, 16777216.0f);
    check_text(&b, "16777216.0");
    trib_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),        cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_nothing), cmocka_unit_test(test_wide_rows),
        cmocka_unit_test(test_write_query),   cmocka_unit_test(test_write_query_within),
        cmocka_unit_test(test_stats),         cmocka_unit_test(test_stats_nan),
        cmocka_unit_test(test_stats_strings), cmocka_unit_test(test_stats_first_32),
        cmocka_unit_test(test_select),
    };
    return cmocka_run_group_tests_name("parquet", tests, setup, teardown);
}
