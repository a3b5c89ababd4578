/* What a SQL text may name: catalogue tables, delta(), versions and times; what it may not do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "marts/marts.h"

static char folder[] = "/tmp/trib-test-scope-XXXXXX";
static struct trib_engine *engine;
static struct trib_conn *conn;
static struct trib_seeded seeded;
static struct trib_rng rng;
static int64_t now = INT64_C(1767225600000000); /* 2026-01-01 */
static int64_t clock_now(void *ctx)
{
    (void)ctx;
    return now;
}
static const struct trib_clock test_clock = {clock_now, NULL};
static struct trib_env env;

static const struct trib_catalog_table tables[] = {
    {"bronze", "Orders", "bronze/dynamodb/Orders"}, {"bronze", "orders", "bronze/dynamodb/orders"},
    {"silver", "orders", "silver/sales/orders"},    {"silver", "customers", "silver/sales/customers"},
    {"silver", "crm/people", "silver/crm/people"},  {"silver", "empty", "silver/sales/empty"},
    {"gold", "by_day", "gold/sales/by_day"},        {"quarantine", "Orders", "quarantine/dynamodb/Orders"},
};

/* Adds a version to the table at path: the rows of a SELECT, added to those before. */
static void commit(const char *path, const char *select)
{
    struct trib_err err = {0};
    struct trib_delta t = trib_env_delta(&env, conn, trib_strdup(path));
    struct trib_snapshot s = {.version = -1};
    assert_int_equal(trib_delta_load(&t, -1, &s, &err), 0);
    struct trib_parquet_opts o = {0};
    struct trib_parquet_file *f = NULL;
    size_t n = 0;
    char *prefix = trib_asprintf("%s/scratch", folder);
    assert_int_equal(trib_parquet_write_query(conn, select, prefix, &o, &f, &n, &err), 0);
    assert_int_equal(n, 1);
    struct trib_type schema;
    assert_int_equal(trib_query_type(conn, select, &schema, NULL, &err), 0);
    struct trib_add add = {0};
    assert_int_equal(trib_delta_add_file(&t, &f[0], NULL, 0, &add, &err), 0);
    struct trib_protocol protocol = {.reader = 1, .writer = 2};
    struct trib_commit c = {.read_version = s.version,
                            .operation = "WRITE",
                            .new_metadata = s.version < 0,
                            .schema = &schema,
                            .protocol = s.version < 0 ? &protocol : NULL,
                            .adds = &add,
                            .n_adds = 1};
    int rc = trib_delta_commit(&t, &s, &c, &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(rc, 0);
    now += INT64_C(3600000000);
    trib_add_free(&add);
    trib_type_free(&schema);
    trib_parquet_file_free(&f[0]);
    free(f);
    free(prefix);
    trib_snapshot_free(&s);
    free(t.path);
}

static int setup(void **state)
{
    (void)state;
    struct trib_err err = {0};
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    char *lake = trib_asprintf("%s/the lake", folder);
    struct trib_engine_opts o = {.threads = 2, .scratch = folder};
    trib_seeded_init(&seeded, 1);
    rng = trib_seeded_rng(&seeded);
    env = (struct trib_env){.fs = &trib_fs_real, .clock = &test_clock, .rng = &rng, .scratch = folder, .workers = 1};
    int rc = trib_store_open(env.fs, lake, &env.lake, &err);
    rc = rc != 0 ? rc : trib_engine_open(&o, &engine, &err);
    env.engine = engine;
    rc = rc != 0 ? rc : trib_conn_open(engine, &conn, &err);
    free(lake);
    if (rc != 0) {
        return -1;
    }
    commit("silver/sales/orders", "SELECT i AS id, i * 1.5::DECIMAL(9,2) AS amount FROM range(10) t(i)"); /* 00:00 */
    commit("silver/sales/orders",
           "SELECT 100 + i AS id, i * 1.5::DECIMAL(9,2) AS amount FROM range(5) t(i)");          /* 01:00 */
    commit("silver/sales/customers", "SELECT i AS id, 'name ' || i AS name FROM range(3) t(i)"); /* 02:00 */
    commit("silver/crm/people", "SELECT 1 AS id");
    commit("bronze/dynamodb/Orders", "SELECT 'INSERT' AS op, {'a': 1} AS record");
    commit("bronze/dynamodb/orders", "SELECT 'REMOVE' AS op");
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    trib_conn_close(conn);
    trib_engine_close(engine);
    trib_store_free(env.lake);
    char *rm = trib_asprintf("rm -rf %s", folder);
    int rc = system(rm);
    free(rm);
    return rc;
}

struct answer {
    int code;
    int64_t value; /* of the query's single BIGINT */
    size_t n_inputs;
    struct trib_sql_input inputs[4];
    char msg[1024];
};

static struct answer run_at(const char *sql, int64_t version, int64_t us)
{
    struct trib_err err = {0};
    struct trib_sql_scope scope = {.env = &env,
                                   .conn = conn,
                                   .tables = tables,
                                   .n_tables = sizeof tables / sizeof tables[0],
                                   .at_version = version,
                                   .at_us = us};
    char *text = NULL;
    struct trib_sql_input *inputs = NULL;
    struct answer a = {.value = -1};
    /* $L stands for the lake's folder. */
    struct trib_buf b;
    trib_buf_init(&b, 100000);
    for (const char *p = sql; *p != '\0'; p++) {
        if (p[0] == '$' && p[1] == 'L') {
            trib_buf_addf(&b, "%s/the lake", folder);
            p++;
        } else {
            trib_buf_addc(&b, *p);
        }
    }
    a.code = trib_sql_bind(&scope, b.p == NULL ? "" : b.p, &text, &inputs, &a.n_inputs, &err);
    if (a.code == 0) {
        for (size_t i = 0; i < a.n_inputs && i < 4; i++) {
            a.inputs[i] = inputs[i];
        }
        a.code = trib_query_i64(conn, text, -2, &a.value, &err);
    }
    (void)snprintf(a.msg, sizeof a.msg, "%s", err.msg);
    free(text);
    free(inputs);
    trib_buf_free(&b);
    return a;
}

static void check(const char *sql, int64_t want)
{
    struct answer a = run_at(sql, -1, -1);
    if (a.code != 0 || a.value != want) {
        fail_msg("%s: %d %s, value %lld", sql, a.code, a.msg, (long long)a.value);
    }
}

static void test_tables(void **state)
{
    (void)state;
    check("SELECT count(*) FROM silver.orders", 15);
    check("SELECT count(*) FROM silver.orders; -- the end", 15);
    check("select COUNT(*) from SILVER.\"Orders\" -- found without case where one is meant", 15);
    check("SELECT count(*) FROM silver.orders AS o JOIN silver.customers c USING (id)", 3);
    check("SELECT count(*) FROM silver . /* hm */ orders, silver.customers", 45);
    check("SELECT count(*) FROM silver.\"crm/people\"", 1);
    check("SELECT count(*) FROM bronze.\"Orders\" WHERE op = 'INSERT' AND record.a = 1", 1);
    check("SELECT count(*) FROM bronze.orders WHERE op = 'REMOVE'", 1);
    check(
        "WITH o AS (SELECT * FROM silver.orders) SELECT count(*) FROM o WHERE id IN (SELECT id FROM silver.customers)",
        3);
    check("SELECT count(silver.orders.id) FROM silver.orders", 15);
    check("SELECT count(*) FROM (SELECT 'FROM silver.nope' AS t, \"silver.nope\" FROM (SELECT 1 AS \"silver.nope\"))",
          1);
    check("SELECT count(*) FROM (SELECT silver.x FROM (SELECT 1 AS x) AS silver)", 1);
    check("SELECT count(*) FROM (SELECT t.silver.orders FROM (SELECT {'orders': 1} AS silver) t)", 1);
    check("SELECT 7::BIGINT", 7);
    check("FROM silver.orders SELECT count(*)", 15);
    struct answer a = run_at("SELECT count(*) FROM silver.orders a, silver.orders b, silver.customers", -1, -1);
    assert_int_equal(a.code, 0);
    assert_int_equal(a.value, 15 * 15 * 3);
    assert_int_equal(a.n_inputs, 2);
    assert_int_equal(a.inputs[0].table, 2);
    assert_int_equal(a.inputs[0].version, 1);
    assert_int_equal(a.inputs[1].table, 3);
    assert_int_equal(a.inputs[1].version, 0);
    a = run_at("SELECT count(*) FROM (SELECT t.silver.orders FROM (SELECT {'orders': 1} AS silver) t)", -1, -1);
    assert_int_equal(a.n_inputs, 0);
}

static void test_delta(void **state)
{
    (void)state;
    check("SELECT count(*) FROM delta('$L/silver/sales/orders')", 15);
    check("SELECT count(*) FROM delta('file://$L/silver/sales/orders')", 15);
    check("SELECT count(*) FROM delta($q$$L/silver/sales/orders$q$) AS d WHERE d.id > 100", 4);
    check("SELECT count(delta.id) FROM DELTA ( '$L/silver/sales/orders' , Version := 0 )", 10);
    check("SELECT count(*) FROM delta('$L/silver/sales/orders', version => 1) d(x, y) WHERE x >= 100", 5);
    check(
        "SELECT (SELECT count(*) FROM delta('$L/silver/sales/orders')) - (SELECT count(*) FROM delta('$L/silver/sales/orders', version := 0))",
        5);
    check("SELECT count(*) FROM silver.orders JOIN delta('$L/silver/sales/customers') c ON c.id = orders.id", 3);
    check("SELECT count(*) FROM (SELECT 'delta(''x'')' AS delta)", 1);
    check("SELECT count(*) FROM (SELECT delta FROM (SELECT 1 AS delta))", 1);
    check("SELECT count(*) FROM (DESCRIBE FROM delta('$L/silver/sales/orders'))", 2);
    struct answer a = run_at("SELECT count(*) FROM delta('$L/silver/sales/orders')", -1, -1);
    assert_int_equal(a.n_inputs, 0);
    /* Relative to the working directory, with a quote in the name. */
    commit("silver/it's", "SELECT 1 AS a");
    char cwd[4096];
    assert_non_null(getcwd(cwd, sizeof cwd));
    assert_int_equal(chdir(folder), 0);
    check("SELECT count(*) FROM delta('the lake/silver/it''s')", 1);
    check("SELECT count(*) FROM delta('./the lake/silver/it''s/')", 1);
    assert_int_equal(chdir(cwd), 0);
}

static void test_time_travel(void **state)
{
    (void)state;
    const int64_t start = INT64_C(1767225600000000), hour = INT64_C(3600000000);
    assert_int_equal(run_at("SELECT count(*) FROM silver.orders", 0, -1).value, 10);
    assert_int_equal(run_at("SELECT count(*) FROM silver.orders a, silver.orders b", 0, -1).value, 100);
    assert_int_equal(run_at("SELECT count(*) FROM delta('$L/silver/sales/orders')", 0, -1).value, 10);
    assert_int_equal(run_at("SELECT count(*) FROM silver.orders", 7, -1).code, TRIB_E_NOT_FOUND);
    assert_int_equal(run_at("SELECT count(*) FROM silver.orders, silver.customers", 0, -1).code, TRIB_E_USAGE);
    assert_int_equal(run_at("SELECT count(*) FROM silver.orders, delta('$L/silver/sales/customers')", 0, -1).code,
                     TRIB_E_USAGE);
    assert_int_equal(run_at("SELECT 1", 0, -1).code, TRIB_E_USAGE);
    assert_int_equal(run_at("SELECT count(*) FROM delta('$L/silver/sales/orders', version := 1)", 0, -1).code,
                     TRIB_E_USAGE);
    assert_int_equal(run_at("SELECT count(*) FROM silver.orders", -1, start).value, 10);
    assert_int_equal(run_at("SELECT count(*) FROM silver.orders", -1, start + hour - 1).value, 10);
    assert_int_equal(run_at("SELECT count(*) FROM silver.orders", -1, start + hour).value, 15);
    assert_int_equal(run_at("SELECT count(*) FROM silver.orders, silver.customers", -1, start + 2 * hour).value, 45);
    assert_int_equal(run_at("SELECT count(*) FROM silver.orders, silver.customers", -1, start + hour).code,
                     TRIB_E_NOT_FOUND);
    assert_int_equal(run_at("SELECT count(*) FROM silver.orders", -1, start - 1).code, TRIB_E_NOT_FOUND);
    /* delta's own version stays. */
    assert_int_equal(run_at("SELECT count(*) FROM delta('$L/silver/sales/orders', version := 1)", -1, start).value, 15);
}

static void refused(const char *sql, int code, const char *text)
{
    struct answer a = run_at(sql, -1, -1);
    if (a.code != code || strstr(a.msg, text) == NULL) {
        fail_msg("%s: %d %s", sql, a.code, a.msg);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    refused("SELECT * FROM silver.ordrs", TRIB_E_USAGE, "there is no table silver.ordrs; try: silver.orders");
    refused("SELECT * FROM silver.orders, silver.customer c", TRIB_E_USAGE, "try: silver.customers");
    refused("SELECT * FROM bronze.\"Ordes\"", TRIB_E_USAGE, "try: bronze.\"Orders\"");
    refused("SELECT * FROM bronze.ORDERS", TRIB_E_USAGE, "there is no table bronze.ORDERS");
    refused("SELECT * FROM customers", TRIB_E_USAGE, "there is no table customers; try: silver.customers");
    refused("SELECT * FROM xyzzy", TRIB_E_USAGE, "silver.\"crm/people\"");
    refused("SELECT * FROM silver.empty", TRIB_E_NOT_FOUND, "no rows yet");
    refused("SELECT * FROM delta('$L/silver/none')", TRIB_E_NOT_FOUND, "no Delta table");
    refused("SELECT * FROM delta('$L/silver/sales/orders', version := 9)", TRIB_E_NOT_FOUND, "9");
    refused("SELECT * FROM delta('s3://bucket/x')", TRIB_E_UNSUPPORTED, "s3");
    refused("SELECT * FROM delta('')", TRIB_E_USAGE, "delta()");
    refused("SELECT * FROM delta('x', versoin := 1)", TRIB_E_USAGE, "delta()");
    refused("SELECT * FROM delta('x', version := -1)", TRIB_E_USAGE, "delta()");
    refused("SELECT * FROM delta('x', version := 99999999999999999999)", TRIB_E_USAGE, "delta()");
    refused("SELECT * FROM delta('x'", TRIB_E_USAGE, "delta()");
    refused("SELECT * FROM delta(E'x')", TRIB_E_USAGE, "delta()");
    refused("SELECT * FROM bronze.\"Orders\", bronze.orders", TRIB_E_USAGE, "case");
    refused("SELECT nope FROM silver.orders", TRIB_E_USAGE, "nope");
    refused("SELECT FROM WHERE", TRIB_E_USAGE, "syntax");
    refused("", TRIB_E_USAGE, "0 statements");
    refused("COPY silver.orders TO '/tmp/trib-x'", TRIB_E_USAGE, "only a statement that reads");
    refused("DROP VIEW silver.orders", TRIB_E_USAGE, "only a statement that reads");
    refused("INSERT INTO silver.orders VALUES (1)", TRIB_E_USAGE, "only a statement that reads");
    refused("SELECT 1; DELETE FROM silver.orders", TRIB_E_USAGE, "2 statements");
    refused("WITH x AS (SELECT 1 AS a, 2.0 AS b) INSERT INTO silver.orders FROM x", TRIB_E_USAGE, "");
    refused("SELECT * FROM enable_logging(storage='file', storage_path='/tmp/trib-x')", TRIB_E_USAGE, "writes files");
    refused("SELECT * FROM system.main.\"Enable_Logging\"()", TRIB_E_USAGE, "writes files");
    /* Without a catalogue. */
    struct trib_err err = {0};
    struct trib_sql_scope scope = {.env = &env, .conn = conn, .at_version = -1, .at_us = -1};
    char *text;
    struct trib_sql_input *inputs;
    size_t n;
    assert_int_equal(trib_sql_bind(&scope, "SELECT * FROM nothing_like_it", &text, &inputs, &n, &err), TRIB_E_USAGE);
    assert_non_null(strstr(err.msg, "delta('PATH')"));
}

static int count_object(void *ctx, const struct trib_object *o, struct trib_err *err)
{
    (void)err;
    int64_t *sum = ctx;
    *sum += o->size + 1 + (int64_t)strlen(o->key);
    return 0;
}

static int64_t lake_sum(void)
{
    struct trib_err err = {0};
    int64_t sum = 0;
    assert_int_equal(trib_store_list(env.lake, "", NULL, true, count_object, &sum, &err), 0);
    return sum;
}

/* Whatever the text: an answer or an error, and the lake as it was. */
static void test_random_texts(void **state)
{
    (void)state;
    static const char *const words[] = {"SELECT",
                                        "*",
                                        "FROM",
                                        "silver",
                                        ".",
                                        "orders",
                                        "bronze",
                                        "\"Orders\"",
                                        "delta",
                                        "(",
                                        ")",
                                        "'$L/silver/sales/orders'",
                                        ",",
                                        "version",
                                        ":=",
                                        "0",
                                        "1",
                                        "WHERE",
                                        "id",
                                        "=",
                                        "COPY",
                                        "TO",
                                        "'/tmp/trib-scope-x'",
                                        "WITH",
                                        "x",
                                        "AS",
                                        ";",
                                        "--",
                                        "/*",
                                        "*/",
                                        "'",
                                        "\"",
                                        "$$",
                                        "$q$",
                                        "E'",
                                        "\\",
                                        "INSERT",
                                        "INTO",
                                        "DELETE",
                                        "EXPLAIN",
                                        "ANALYZE",
                                        "DROP",
                                        "VIEW",
                                        "\n",
                                        "gold",
                                        "count(*)",
                                        "\xC3",
                                        "\xFF",
                                        "UNION"};
    static const char *const starts[] = {"SELECT * FROM ", "SELECT count(*) FROM silver.orders ", "WITH x AS (",
                                         "EXPLAIN ANALYZE ", ""};
    struct trib_seeded r;
    trib_seeded_init(&r, 20260101);
    int64_t before = lake_sum();
    int good = 0;
    for (int i = 0; i < 3000; i++) {
        struct trib_buf b;
        trib_buf_init(&b, 10000);
        trib_buf_adds(&b, starts[trib_seeded_below(&r, sizeof starts / sizeof starts[0])]);
        for (uint64_t n = trib_seeded_below(&r, 9); n > 0; n--) {
            trib_buf_adds(&b, words[trib_seeded_below(&r, sizeof words / sizeof words[0])]);
            trib_buf_adds(&b, trib_seeded_below(&r, 4) == 0 ? "" : " ");
        }
        struct answer a = run_at(b.p, -1, -1);
        good += a.code == 0;
        assert_true(a.code == 0 || a.msg[0] != '\0');
        trib_buf_free(&b);
    }
    assert_true(good > 50);
    assert_int_equal(lake_sum(), before);
    assert_int_not_equal(access("/tmp/trib-scope-x", F_OK), 0);
    check("SELECT count(*) FROM silver.orders", 15);
}

static void test_names_tables(void **state)
{
    (void)state;
    assert_true(trib_sql_names_tables("SELECT * FROM Silver . x"));
    assert_true(trib_sql_names_tables("SELECT * FROM \"gold\".x"));
    assert_false(trib_sql_names_tables("SELECT 'silver.x' FROM delta('silver.x') -- gold.x"));
    assert_false(trib_sql_names_tables("SELECT silver FROM x"));
    assert_false(trib_sql_names_tables(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),   cmocka_unit_test(test_delta),        cmocka_unit_test(test_time_travel),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_random_texts), cmocka_unit_test(test_names_tables),
    };
    return cmocka_run_group_tests_name("sql_scope", tests, setup, teardown);
}
