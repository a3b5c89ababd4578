/* The engine: statements, results, sources and functions over every type. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "engine/token.h"

static struct trib_engine *engine;
static struct trib_conn *conn;

static int setup(void **state)
{
    (void)state;
    struct trib_err err = {0};
    struct trib_engine_opts o = {.limit_bytes = 256 << 20, .threads = 2, .scratch = "/tmp"};
    if (trib_engine_open(&o, &engine, &err) != 0 || trib_conn_open(engine, &conn, &err) != 0) {
        (void)fprintf(stderr, "%s\n", err.msg);
        return -1;
    }
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    trib_conn_close(conn);
    trib_engine_close(engine);
    return 0;
}

static int64_t ask(const char *sql)
{
    struct trib_err err = {0};
    int64_t ret = -1;
    int rc = trib_query_i64(conn, sql, -2, &ret, &err);
    if (rc != 0) {
        fail_msg("%s: %s", sql, err.msg);
    }
    return ret;
}

static void test_settings(void **state)
{
    (void)state;
    struct trib_err err = {0};
    assert_int_equal(ask("SELECT (current_setting('TimeZone') = 'UTC')::BIGINT"), 1);
    assert_int_equal(
        ask("SELECT count(*) FROM duckdb_settings() WHERE name LIKE 'auto%_known_extensions' AND value = 'false'"), 2);
    assert_int_equal(ask("SELECT (strftime(TIMESTAMPTZ '2026-01-01 12:00:00+03', '%H') = '09')::BIGINT"), 1);
    assert_int_not_equal(trib_exec(conn, "INSTALL httpfs", &err), 0);
    assert_int_not_equal(trib_exec(conn, "SELECT * FROM 'http://127.0.0.1:1/x.parquet'", &err), 0);
    trib_err_clear(&err);
    struct trib_conn *other;
    assert_int_equal(trib_conn_open(engine, &other, &err), 0);
    int64_t ok = 0;
    assert_int_equal(trib_query_i64(other, "SELECT (current_setting('TimeZone') = 'UTC')::BIGINT", 0, &ok, &err), 0);
    assert_int_equal(ok, 1);
    trib_conn_close(other);
}

static void test_errors(void **state)
{
    (void)state;
    struct trib_err err = {0};
    assert_int_equal(trib_exec(conn, "SELECT nope", &err), TRIB_E_DATA);
    assert_non_null(strstr(err.msg, "nope"));
    assert_int_equal(trib_exec(conn, "SELECT * FROM read_parquet('/tmp/trib-not-there.parquet')", &err), TRIB_E_IO);
    struct trib_result *r;
    assert_int_equal(trib_query(conn, "SELEC 1", &r, &err), TRIB_E_DATA);
    assert_int_equal(trib_query(conn, "SELECT 1; SELECT 2", &r, &err), TRIB_E_DATA);
    assert_int_equal(trib_query(conn, "", &r, &err), TRIB_E_DATA);
    int64_t v = 7;
    assert_int_equal(trib_query_i64(conn, "SELECT 'x'", 0, &v, &err), TRIB_E_INTERNAL);
    assert_int_equal(v, 7);
    /* One that comes while chunks stream. */
    assert_int_equal(
        trib_query(conn,
                   "SELECT CASE WHEN i < 500000 THEN i ELSE error('late')::BIGINT END AS x FROM range(1000000) t(i)",
                   &r, &err),
        0);
    const struct trib_chunk *c;
    int rc;
    uint64_t rows = 0;
    trib_err_clear(&err);
    while ((rc = trib_result_next(r, &c, &err)) == 0 && c->rows > 0) {
        rows += c->rows;
    }
    assert_int_equal(rc, TRIB_E_DATA);
    assert_non_null(strstr(err.msg, "late"));
    assert_true(rows < 1000000);
    trib_result_free(r);
    assert_int_equal(ask("SELECT 1::BIGINT"), 1);
}

static void test_memory_limit(void **state)
{
    (void)state;
    struct trib_err err = {0};
    struct trib_engine *small;
    struct trib_conn *c;
    struct trib_engine_opts o = {.limit_bytes = 16 << 20, .threads = 1, .scratch = NULL};
    assert_int_equal(trib_engine_open(&o, &small, &err), 0);
    assert_int_equal(trib_conn_open(small, &c, &err), 0);
    assert_int_equal(trib_exec(c, "CREATE TABLE t AS SELECT i, hash(i) h FROM range(10000000) t(i)", &err),
                     TRIB_E_LIMIT);
    assert_non_null(strstr(err.msg, "memory"));
    trib_conn_close(c);
    trib_engine_close(small);
}

/* Interrupts until the statement is over: one that comes too early is lost. */
struct interrupter {
    int done;
};
static void *interrupt_often(void *arg)
{
    struct interrupter *i = arg;
    while (!__atomic_load_n(&i->done, __ATOMIC_ACQUIRE)) {
        trib_conn_interrupt(conn);
        (void)usleep(2000);
    }
    return NULL;
}

static void test_interrupt(void **state)
{
    (void)state;
    struct trib_err err = {0};
    struct interrupter i = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, interrupt_often, &i), 0);
    int rc =
        trib_exec(conn, "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range + b.range = -1", &err);
    __atomic_store_n(&i.done, 1, __ATOMIC_RELEASE);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(rc, TRIB_E_CANCELLED);
    assert_int_equal(ask("SELECT 1::BIGINT"), 1);
}

static void test_query_i64(void **state)
{
    (void)state;
    assert_int_equal(ask("SELECT 42::BIGINT;"), 42);
    assert_int_equal(ask("SELECT NULL::BIGINT"), -2);
    assert_int_equal(ask("SELECT 1::BIGINT WHERE false"), -2);
    assert_int_equal(ask("SELECT count(*) FROM range(100000)"), 100000);
}

static char *type_text(const struct trib_type *t)
{
    struct trib_buf b;
    trib_buf_init(&b, 1 << 20);
    trib_type_sql(t, &b);
    return trib_buf_take(&b);
}

static void test_types(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *want;
    } cases[] = {
        {"1::BIGINT", "BIGINT"},
        {"1::TINYINT", "TINYINT"},
        {"1::UTINYINT", "SMALLINT"},
        {"1::USMALLINT", "INTEGER"},
        {"1::UINTEGER", "BIGINT"},
        {"1::UBIGINT", "DECIMAL(20,0)"},
        {"1::HUGEINT", "DECIMAL(38,0)"},
        {"sum(1::BIGINT)", "DECIMAL(38,0)"},
        {"1::UHUGEINT", "VARCHAR"},
        {"NULL", "INTEGER"},
        {"[]", "INTEGER[]"},
        {"uuid()", "VARCHAR"},
        {"INTERVAL 1 DAY", "VARCHAR"},
        {"TIME '10:00'", "VARCHAR"},
        {"'a'::ENUM('a','b')", "VARCHAR"},
        {"DATE '2020-01-01'", "DATE"},
        {"now()", "TIMESTAMP WITH TIME ZONE"},
        {"TIMESTAMP '2020-01-01'", "TIMESTAMP"},
        {"TIMESTAMP_MS '2020-01-01'", "TIMESTAMP"},
        {"TIMESTAMP_NS '2020-01-01'", "VARCHAR"},
        {"'x'::BLOB", "BLOB"},
        {"1.25::DECIMAL(9,2)", "DECIMAL(9,2)"},
        {"[1::HUGEINT]", "DECIMAL(38,0)[]"},
        {"array_value(1, 2)", "INTEGER[]"},
        {"{'a': 1::UBIGINT, 'b \"c': [uuid()]}", "STRUCT(\"a\" DECIMAL(20,0), \"b \"\"c\" VARCHAR[])"},
        {"MAP{'k': 1::HUGEINT}", "MAP(VARCHAR, DECIMAL(38,0))"},
        {"'[1]'::JSON", "VARCHAR"},
        {"'101'::BIT", "VARCHAR"},
        {"union_value(a := 1)", "VARCHAR"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct trib_err err = {0};
        char *sql = trib_asprintf("SELECT %s AS \"x y\" -- comment\n;", cases[i].sql);
        struct trib_result *r;
        if (trib_query(conn, sql, &r, &err) != 0) {
            fail_msg("%s: %s", sql, err.msg);
        }
        const struct trib_type *t = trib_result_type(r);
        assert_int_equal(t->n_fields, 1);
        assert_string_equal(t->fields[0].name, "x y");
        char *got = type_text(&t->fields[0].type);
        assert_string_equal(got, cases[i].want);
        free(got);
        const struct trib_chunk *c;
        if (trib_result_next(r, &c, &err) != 0) {
            fail_msg("%s: %s", sql, err.msg);
        }
        assert_int_equal(c->rows, 1);
        trib_result_free(r);
        free(sql);
    }
}

/* Names twice, and statements that are no plain SELECT. */
static void test_odd_queries(void **state)
{
    (void)state;
    static const char *const sqls[] = {
        "SELECT 1 AS a, 2 AS a, sum(1) AS a",
        "DESCRIBE SELECT 1",
        "SHOW TABLES",
        "SUMMARIZE SELECT 1 AS a",
        "EXPLAIN SELECT 1",
        "PIVOT (SELECT i % 2 AS k, i::HUGEINT AS i FROM range(4) t(i)) ON k USING sum(i)",
        "FROM (PIVOT (SELECT i % 2 AS k, i FROM range(4) t(i)) ON k USING sum(i));",
        "FROM range(3)",
        "VALUES (1), (2)",
        "WITH x AS (SELECT 1::HUGEINT AS a) SELECT * FROM x ORDER BY a LIMIT 1",
    };
    for (size_t i = 0; i < sizeof sqls / sizeof sqls[0]; i++) {
        struct trib_err err = {0};
        struct trib_result *r;
        if (trib_query(conn, sqls[i], &r, &err) != 0) {
            fail_msg("%s: %s", sqls[i], err.msg);
        }
        const struct trib_chunk *c;
        int rc;
        while ((rc = trib_result_next(r, &c, &err)) == 0 && c->rows > 0) {
        }
        assert_int_equal(rc, 0);
        trib_result_free(r);
    }
}

static void test_reads(void **state)
{
    (void)state;
    static const char *const good[] = {
        "SELECT 1;",          "WITH x AS (SELECT 1) FROM x", "((SELECT 1) UNION (SELECT 2))",
        "EXPLAIN SELECT 1",   "EXPLAIN ANALYZE SELECT 1",    "DESCRIBE SELECT 1",
        "SUMMARIZE SELECT 1", "/* x */ VALUES (1) -- y"};
    static const char *const bad[] = {"COPY (SELECT 1) TO '/tmp/trib-x.csv'",
                                      "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/trib-x.csv'",
                                      "ATTACH '/tmp/trib-x.db'",
                                      "INSTALL httpfs",
                                      "LOAD httpfs",
                                      "CREATE TABLE t (a INT)",
                                      "DROP VIEW v",
                                      "SET threads = 1",
                                      "PRAGMA database_list",
                                      "CALL duckdb_functions()",
                                      "SELECT 1; SELECT 2",
                                      "",
                                      ";",
                                      "-- nothing",
                                      "EXPORT DATABASE '/tmp/trib-x'",
                                      "SELECT ?",
                                      "WITH x AS (SELECT 1 AS a) INSERT INTO reads_t FROM x",
                                      "EXPLAIN ANALYZE (COPY (SELECT 1) TO '/tmp/trib-x.csv')",
                                      "USE temp",
                                      "VACUUM",
                                      "BEGIN",
                                      "SELECT $1"};
    struct trib_err err = {0};
    assert_int_equal(trib_exec(conn, "CREATE TEMP TABLE reads_t (a INT)", &err), 0);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        trib_err_clear(&err);
        int rc = trib_query_reads(conn, good[i], &err);
        assert_string_equal(err.msg, "");
        assert_int_equal(rc, 0);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (trib_query_reads(conn, bad[i], &err) != TRIB_E_USAGE) {
            fail_msg("%s: %s", bad[i], err.msg);
        }
    }
    assert_int_equal(trib_query_reads(conn, "SELECT nope", &err), TRIB_E_DATA);
}

/* Vectors inside a struct or list may be constants or dictionaries inside the engine: views must be flat. */
static void test_nested_views(void **state)
{
    (void)state;
    struct trib_err err = {0};
    struct trib_result *r;
    assert_int_equal(
        trib_query(
            conn,
            "SELECT {'i': i, 'c': 5::BIGINT, 'n': NULL::BIGINT, 's': {'d': s}} AS x, [i, NULL, i + 1] AS l, MAP{s: i} AS m, i "
            "FROM (SELECT i, 'a string of some length ' || (i % 3) AS s FROM range(20000) t(i)) WHERE i % 7 = 3 ORDER BY i",
            &r, &err),
        0);
    const struct trib_chunk *c;
    int64_t want = 3;
    for (;;) {
        assert_int_equal(trib_result_next(r, &c, &err), 0);
        if (c->rows == 0) {
            break;
        }
        const struct trib_vec *x = &c->cols[0], *l = &c->cols[1], *m = &c->cols[2];
        for (size_t row = 0; row < c->rows; row++, want += 7) {
            assert_int_equal(((const int64_t *)x->children[0].data)[row], want);
            assert_int_equal(((const int64_t *)x->children[1].data)[row], 5);
            assert_true(trib_vec_is_null(&x->children[2], row));
            char text[64];
            (void)snprintf(text, sizeof text, "a string of some length %d", (int)(want % 3));
            const struct trib_str *s = &((const struct trib_str *)x->children[3].children[0].data)[row];
            assert_true(trib_view_is(trib_str_view(s), text));
            struct trib_list e = ((const struct trib_list *)l->data)[row];
            assert_int_equal(e.length, 3);
            assert_int_equal(((const int64_t *)l->children[0].data)[e.offset], want);
            assert_true(trib_vec_is_null(&l->children[0], e.offset + 1));
            assert_int_equal(((const int64_t *)l->children[0].data)[e.offset + 2], want + 1);
            e = ((const struct trib_list *)m->data)[row];
            assert_int_equal(e.length, 1);
            s = &((const struct trib_str *)m->children[0].children[0].data)[e.offset];
            assert_true(trib_view_is(trib_str_view(s), text));
            assert_int_equal(((const int64_t *)m->children[0].children[1].data)[e.offset], want);
        }
    }
    assert_true(want >= 20000);
    trib_result_free(r);
}

/* Everything at once: each type, nulls, lists of structs of lists, maps, growth. Row i is a function of i. */
struct feed {
    int64_t at, end;
    int fail_at;
    size_t chunk_rows;
};

static struct trib_type feed_type(void)
{
    struct trib_type row = trib_type_simple(TRIB_T_STRUCT);
    static const enum trib_type_id ids[] = {TRIB_T_STRING, TRIB_T_BYTE,  TRIB_T_SHORT,     TRIB_T_INT,
                                            TRIB_T_LONG,   TRIB_T_FLOAT, TRIB_T_DOUBLE,    TRIB_T_BOOLEAN,
                                            TRIB_T_BINARY, TRIB_T_DATE,  TRIB_T_TIMESTAMP, TRIB_T_TIMESTAMP_NTZ};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "c%zu", i);
        trib_type_add(&row, name, trib_type_simple(ids[i]));
    }
    trib_type_add(&row, "d4", trib_type_decimal(4, 2));
    trib_type_add(&row, "d9", trib_type_decimal(9, 2));
    trib_type_add(&row, "d18", trib_type_decimal(18, 2));
    trib_type_add(&row, "d38", trib_type_decimal(38, 18));
    struct trib_type inner = trib_type_simple(TRIB_T_STRUCT);
    trib_type_add(&inner, "s", trib_type_simple(TRIB_T_STRING));
    struct trib_type ints = trib_type_simple(TRIB_T_ARRAY);
    trib_type_add(&ints, "element", trib_type_simple(TRIB_T_LONG));
    trib_type_add(&inner, "l", ints);
    struct trib_type list = trib_type_simple(TRIB_T_ARRAY);
    trib_type_add(&list, "element", inner);
    trib_type_add(&row, "list", list);
    struct trib_type map = trib_type_simple(TRIB_T_MAP);
    trib_type_add(&map, "key", trib_type_simple(TRIB_T_STRING));
    trib_type_add(&map, "value", trib_type_simple(TRIB_T_DOUBLE));
    trib_type_add(&row, "map", map);
    struct trib_type st = trib_type_simple(TRIB_T_STRUCT);
    trib_type_add(&st, "a", trib_type_simple(TRIB_T_LONG));
    struct trib_type st2 = trib_type_simple(TRIB_T_STRUCT);
    trib_type_add(&st2, "b", trib_type_simple(TRIB_T_STRING));
    trib_type_add(&st, "in", st2);
    trib_type_add(&row, "st", st);
    return row;
}

static struct trib_str text_of(struct trib_arena *a, const char *what, int64_t i)
{
    char buf[64];
    int n = snprintf(buf, sizeof buf, "%s %lld", what, (long long)i);
    if (n <= 12) {
        return trib_str_make(buf, (size_t)n);
    }
    return trib_str_make(trib_arena_strndup(a, buf, (size_t)n), (size_t)n);
}

static void feed_scalars(struct trib_chunk *c, size_t r, int64_t i)
{
    struct trib_vec *v = c->cols;
    ((struct trib_str *)v[0].data)[r] = text_of(&c->arena, i % 2 ? "short" : "a rather long text", i);
    ((int8_t *)v[1].data)[r] = (int8_t)(i % 100);
    ((int16_t *)v[2].data)[r] = (int16_t)(i % 30000);
    ((int32_t *)v[3].data)[r] = (int32_t)i;
    ((int64_t *)v[4].data)[r] = i * 1000000007;
    ((float *)v[5].data)[r] = (float)i / 2;
    ((double *)v[6].data)[r] = (double)i / 4;
    ((uint8_t *)v[7].data)[r] = i % 3 == 0;
    ((struct trib_str *)v[8].data)[r] = trib_str_make("\0\1\xFF", 3);
    ((int32_t *)v[9].data)[r] = (int32_t)i;
    ((int64_t *)v[10].data)[r] = i * 1000000;
    ((int64_t *)v[11].data)[r] = -i * 1000000;
    ((int16_t *)v[12].data)[r] = (int16_t)(i % 10000);
    ((int32_t *)v[13].data)[r] = (int32_t)i;
    ((int64_t *)v[14].data)[r] = i * 100;
    ((struct trib_i128 *)v[15].data)[r] = (struct trib_i128){(uint64_t)-i, i == 0 ? 0 : -1};
}

static void feed_nested(struct trib_chunk *c, size_t r, int64_t i)
{
    struct trib_vec *list = &c->cols[16], *map = &c->cols[17], *st = &c->cols[18];
    if (i % 11 == 5) {
        trib_vec_null(list, r);
        trib_vec_null(map, r);
        trib_vec_null(st, r);
        return;
    }
    uint64_t n = (uint64_t)(i % 7);
    trib_vec_room(list, n);
    ((struct trib_list *)list->data)[r] = (struct trib_list){list->child_used, n};
    for (uint64_t k = 0; k < n; k++) {
        uint64_t at = list->child_used++;
        struct trib_vec *el = &list->children[0];
        if (k == 3) {
            trib_vec_null(el, at);
            continue;
        }
        ((struct trib_str *)el->children[0].data)[at] = text_of(&c->arena, "an element of a list", i);
        struct trib_vec *ints = &el->children[1];
        trib_vec_room(ints, k);
        ((struct trib_list *)ints->data)[at] = (struct trib_list){ints->child_used, k};
        for (uint64_t j = 0; j < k; j++) {
            uint64_t q = ints->child_used++;
            if (j == 2) {
                trib_vec_null(&ints->children[0], q);
            } else {
                ((int64_t *)ints->children[0].data)[q] = i + (int64_t)j;
            }
        }
    }
    trib_vec_room(map, 2);
    ((struct trib_list *)map->data)[r] = (struct trib_list){map->child_used, 2};
    for (int k = 0; k < 2; k++) {
        uint64_t at = map->child_used++;
        struct trib_vec *entry = &map->children[0];
        ((struct trib_str *)entry->children[0].data)[at] = text_of(&c->arena, k == 0 ? "k" : "l", i);
        if (k == 1) {
            trib_vec_null(&entry->children[1], at);
        } else {
            ((double *)entry->children[1].data)[at] = (double)i;
        }
    }
    ((int64_t *)st->children[0].data)[r] = i;
    if (i % 2) {
        trib_vec_null(&st->children[1], r);
    } else {
        ((struct trib_str *)st->children[1].children[0].data)[r] = text_of(&c->arena, "inside", i);
    }
}

static int feed_fill(void *ctx, struct trib_chunk *c, struct trib_err *err)
{
    struct feed *f = ctx;
    if (f->fail_at > 0 && f->at >= f->fail_at) {
        int rc = trib_err_set(err, TRIB_E_UNAVAILABLE, "the producer's own words: 100%% \"quoted\"");
        err->retriable = true;
        (void)snprintf(err->service_code, sizeof err->service_code, "Odd");
        return rc;
    }
    assert_true(c->capacity >= 2048);
    size_t max = f->chunk_rows == 0 ? c->capacity : f->chunk_rows;
    for (; c->rows < max && f->at < f->end; c->rows++, f->at++) {
        if (f->at % 13 == 12) {
            for (size_t k = 0; k < c->n_cols; k++) {
                trib_vec_null(&c->cols[k], c->rows);
            }
            continue;
        }
        feed_scalars(c, c->rows, f->at);
        feed_nested(c, c->rows, f->at);
    }
    return 0;
}

/* The same rows by SQL. */
#define FEED_SQL                                                                                                                                  \
    "SELECT CASE WHEN z THEN NULL ELSE (CASE WHEN i%2=1 THEN 'short ' ELSE 'a rather long text ' END) || i END AS c0,"                            \
    " CASE WHEN z THEN NULL ELSE (i%100)::TINYINT END AS c1, CASE WHEN z THEN NULL ELSE (i%30000)::SMALLINT END AS c2,"                           \
    " CASE WHEN z THEN NULL ELSE i::INTEGER END AS c3, CASE WHEN z THEN NULL ELSE i*1000000007 END AS c4,"                                        \
    " CASE WHEN z THEN NULL ELSE (i::FLOAT/2)::FLOAT END AS c5, CASE WHEN z THEN NULL ELSE i::DOUBLE/4 END AS c6,"                                \
    " CASE WHEN z THEN NULL ELSE i%3=0 END AS c7, CASE WHEN z THEN NULL ELSE '\\x00\\x01\\xFF'::BLOB END AS c8,"                                  \
    " CASE WHEN z THEN NULL ELSE DATE '1970-01-01' + i::INTEGER END AS c9, CASE WHEN z THEN NULL ELSE to_timestamp(i) END AS c10,"                \
    " CASE WHEN z THEN NULL ELSE make_timestamp(-i*1000000) END AS c11,"                                                                          \
    " CASE WHEN z THEN NULL ELSE ((i%10000)::DECIMAL(18,2)/100)::DECIMAL(4,2) END AS d4,"                                                         \
    " CASE WHEN z THEN NULL ELSE (i::DECIMAL(18,2)/100)::DECIMAL(9,2) END AS d9, CASE WHEN z THEN NULL ELSE i::DECIMAL(18,2) END AS d18,"         \
    " CASE WHEN z THEN NULL ELSE ('-0.' || lpad(i::VARCHAR, 18, '0'))::DECIMAL(38,18) END AS d38,"                                                \
    " CASE WHEN z OR i%11=5 THEN NULL ELSE list_transform(range(i%7), lambda k: CASE WHEN k=3 THEN NULL ELSE {'s': 'an element of a list ' || i," \
    "   'l': list_transform(range(k), lambda j: CASE WHEN j=2 THEN NULL ELSE i+j END)} END) END AS list,"                                         \
    " CASE WHEN z OR i%11=5 THEN NULL ELSE MAP{'k ' || i: i::DOUBLE, 'l ' || i: NULL} END AS map,"                                                \
    " CASE WHEN z OR i%11=5 THEN NULL ELSE {'a': i, 'in': CASE WHEN i%2=1 THEN NULL ELSE {'b': 'inside ' || i} END} END AS st"                    \
    " FROM (SELECT i, i%13=12 AS z FROM range(10000) t(i))"

static void test_source(void **state)
{
    (void)state;
    struct trib_err err = {0};
    struct trib_type row = feed_type();
    static const size_t sizes[] = {0, 1, 7, 2048, 1000};
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        struct feed f = {.end = 10000, .chunk_rows = sizes[k]};
        assert_int_equal(trib_source_register(conn, "feed", &row, feed_fill, &f, &err), 0);
        int rc = trib_exec(conn, "CREATE OR REPLACE TEMP TABLE got AS SELECT * FROM feed()", &err);
        assert_string_equal(err.msg, "");
        assert_int_equal(rc, 0);
        assert_int_equal(f.at, 10000);
        assert_int_equal(ask("SELECT count(*) FROM got"), 10000);
        assert_int_equal(ask("SELECT count(*) FROM (FROM got EXCEPT ALL (" FEED_SQL "))"), 0);
        assert_int_equal(ask("SELECT count(*) FROM ((" FEED_SQL ") EXCEPT ALL FROM got)"), 0);
    }
    trib_type_free(&row);
}

static void test_source_errors(void **state)
{
    (void)state;
    struct trib_err err = {0};
    struct trib_type row = feed_type();
    struct feed f = {.end = 10000, .fail_at = 5000};
    assert_int_equal(trib_source_register(conn, "feed", &row, feed_fill, &f, &err), 0);
    assert_int_equal(trib_exec(conn, "SELECT count(*) FROM feed()", &err), TRIB_E_UNAVAILABLE);
    assert_string_equal(err.msg, "the producer's own words: 100% \"quoted\"");
    assert_string_equal(err.service_code, "Odd");
    assert_true(err.retriable);
    /* And through a stream. */
    f = (struct feed){.end = 100000, .fail_at = 50000};
    struct trib_result *r;
    trib_err_clear(&err);
    int rc = trib_query(conn, "SELECT * FROM feed()", &r, &err);
    const struct trib_chunk *c;
    if (rc == 0) {
        while ((rc = trib_result_next(r, &c, &err)) == 0 && c->rows > 0) {
        }
        trib_result_free(r);
    }
    assert_int_equal(rc, TRIB_E_UNAVAILABLE);
    /* The next statement is not haunted by it. */
    trib_err_clear(&err);
    assert_int_equal(trib_exec(conn, "SELECT nope", &err), TRIB_E_DATA);
    f = (struct feed){.end = 0};
    assert_int_equal(ask("SELECT count(*) FROM feed()"), 0);
    /* Another connection does not see it. */
    struct trib_conn *other;
    assert_int_equal(trib_conn_open(engine, &other, &err), 0);
    assert_int_equal(trib_exec(other, "SELECT count(*) FROM feed()", &err), TRIB_E_DATA);
    trib_conn_close(other);
    assert_int_equal(trib_exec(conn, "SELECT * FROM trib_source(123456)", &err), TRIB_E_DATA);
    struct trib_type empty = trib_type_simple(TRIB_T_STRUCT);
    trib_type_add(&empty, "e", trib_type_simple(TRIB_T_STRUCT));
    assert_int_equal(trib_source_register(conn, "feed", &empty, feed_fill, &f, &err), TRIB_E_UNSUPPORTED);
    trib_type_free(&empty);
    trib_type_free(&row);
}

/* text, times → a list of structs: the text repeated, and its length; a null text gives a null list. */
struct repeat {
    int calls;
    int64_t factor;
};
static void *repeat_state(void *ctx) { return trib_calloc(1, (size_t)((struct repeat *)ctx)->factor); }
static int repeat_call(void *ctx, void *state, const struct trib_vec *args, size_t n, struct trib_vec *out,
                       struct trib_arena *arena, struct trib_err *err)
{
    struct repeat *rep = ctx;
    assert_non_null(state);
    __atomic_add_fetch(&rep->calls, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i < n; i++) {
        if (trib_vec_is_null(&args[0], i)) {
            trib_vec_null(out, i);
            continue;
        }
        struct trib_view text = trib_str_view(&((const struct trib_str *)args[0].data)[i]);
        uint64_t times = (uint64_t)(((const int64_t *)args[1].data)[i] * rep->factor);
        if (times > 1000) {
            return trib_err_set(err, TRIB_E_LIMIT, "too many times");
        }
        trib_vec_room(out, times);
        ((struct trib_list *)out->data)[i] = (struct trib_list){out->child_used, times};
        char *copy = trib_arena_strndup(arena, text.p, text.n);
        for (uint64_t k = 0; k < times; k++) {
            uint64_t at = out->child_used++;
            ((struct trib_str *)out->children[0].children[0].data)[at] =
                k == 0 && text.n > 12 ? ((const struct trib_str *)args[0].data)[i] : trib_str_make(copy, text.n);
            ((int64_t *)out->children[0].children[1].data)[at] = (int64_t)text.n;
        }
    }
    return 0;
}

static void test_function(void **state)
{
    (void)state;
    struct trib_err err = {0};
    struct trib_type args = trib_type_simple(TRIB_T_STRUCT), el = trib_type_simple(TRIB_T_STRUCT),
                     res = trib_type_simple(TRIB_T_ARRAY);
    trib_type_add(&args, "text", trib_type_simple(TRIB_T_STRING));
    trib_type_add(&args, "times", trib_type_simple(TRIB_T_LONG));
    trib_type_add(&el, "text", trib_type_simple(TRIB_T_STRING));
    trib_type_add(&el, "n", trib_type_simple(TRIB_T_LONG));
    trib_type_add(&res, "element", el);
    struct repeat once = {.factor = 1}, twice = {.factor = 2};
    struct trib_function f = {.name = "rep",
                              .args = &args,
                              .result = &res,
                              .call = repeat_call,
                              .ctx = &once,
                              .make_state = repeat_state,
                              .free_state = free};
    assert_int_equal(trib_function_register(conn, &f, &err), 0);
    struct trib_conn *other;
    assert_int_equal(trib_conn_open(engine, &other, &err), 0);
    f.ctx = &twice;
    assert_int_equal(trib_function_register(other, &f, &err), 0);
    const char *sql =
        "SELECT sum(len(rep(t, n)))::BIGINT FROM (SELECT 'a text beyond twelve' AS t, i % 5 AS n FROM range(100000) t(i))";
    assert_int_equal(ask(sql), 200000);
    int64_t v = 0;
    assert_int_equal(trib_query_i64(other, sql, 0, &v, &err), 0);
    assert_int_equal(v, 400000);
    trib_conn_close(other);
    assert_int_equal(
        ask("SELECT count(*) FROM (SELECT unnest(rep(t, n), recursive := true) FROM (SELECT CASE WHEN i % 3 = 0 THEN NULL ELSE 'text number ' || i END AS t, "
            "i % 5 AS n, i FROM range(30000) t(i))) u(text, n) WHERE length(text) = n AND text LIKE 'text number %'"),
        40000);
    assert_int_equal(ask("SELECT len(rep('x', 3))"), 3);
    assert_int_equal(ask("SELECT len(rep(NULL, 3))"), -2);
    assert_int_equal(trib_exec(conn, "SELECT rep('x', i) FROM range(2000) t(i)", &err), TRIB_E_LIMIT);
    assert_string_equal(err.msg, "too many times");
    /* In place of the one before, and after it. */
    f.ctx = &twice;
    assert_int_equal(trib_function_register(conn, &f, &err), 0);
    assert_int_equal(ask("SELECT len(rep('x', 3))"), 6);
    trib_type_free(&args);
    trib_type_free(&res);
}

static void test_tokens(void **state)
{
    (void)state;
    struct trib_view sql = TRIB_VIEW_LIT(
        "SELECT 'a''b;' /* ; /* ; */ */, \"x\"\"y\", $$;$$ , $q$ ' $q$, E'\\';', 1.5e-3 -- ;\n, delta(v := 2) ; ; -- end;");
    size_t n = 0;
    size_t end = trib_sql_trim(sql, &n);
    assert_int_equal(n, 1);
    assert_int_equal(sql.p[end - 1], ')');
    static const enum trib_token_kind kinds[] = {
        TRIB_TOKEN_WORD,  TRIB_TOKEN_STRING, TRIB_TOKEN_PUNCT, TRIB_TOKEN_QUOTED, TRIB_TOKEN_PUNCT, TRIB_TOKEN_STRING,
        TRIB_TOKEN_PUNCT, TRIB_TOKEN_STRING, TRIB_TOKEN_PUNCT, TRIB_TOKEN_STRING, TRIB_TOKEN_PUNCT, TRIB_TOKEN_NUMBER};
    size_t pos = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct trib_token t = trib_token_next(sql, &pos);
        assert_int_equal(t.kind, kinds[i]);
        struct trib_buf b;
        trib_buf_init(&b, 100);
        if (i == 1 || i == 3 || i == 5) {
            assert_true(trib_token_text(sql, t, &b));
            assert_string_equal(b.p, i == 1 ? "a'b;" : i == 3 ? "x\"y" : ";");
        }
        trib_buf_free(&b);
    }
    /* Unterminated things end with the text. */
    static const char *const open[] = {"'abc", "\"abc", "$$abc", "/* abc", "-- abc", "E'\\",
                                       "$a",   "'",     "/*/",   "1e",     "$"};
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++) {
        struct trib_view v = trib_view_of(open[i]);
        pos = 0;
        int guard = 0;
        while (trib_token_next(v, &pos).kind != TRIB_TOKEN_END) {
            assert_true(++guard < 10);
        }
    }
    (void)trib_sql_trim(TRIB_VIEW_LIT("a; b"), &n);
    assert_int_equal(n, 2);
    assert_int_equal(trib_sql_trim(TRIB_VIEW_LIT(" ;; -- x"), &n), 0);
    assert_int_equal(n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),    cmocka_unit_test(test_errors),        cmocka_unit_test(test_memory_limit),
        cmocka_unit_test(test_interrupt),   cmocka_unit_test(test_query_i64),     cmocka_unit_test(test_types),
        cmocka_unit_test(test_odd_queries), cmocka_unit_test(test_reads),         cmocka_unit_test(test_nested_views),
        cmocka_unit_test(test_source),      cmocka_unit_test(test_source_errors), cmocka_unit_test(test_function),
        cmocka_unit_test(test_tokens),
    };
    return cmocka_run_group_tests_name("engine", tests, setup, teardown);
}
