/* marts: positions under two processes; what a mart says is in the demo, the readers' tests and the simulation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "marts/marts.h"
#include "table.h"

static const struct trib_catalog_table catalog[] = {{"silver", "t", "silver/d/t"}};
static const struct trib_mart_opts opts = {.pipeline = "p",
                                           .subject = "g",
                                           .name = "m",
                                           .sql = "SELECT count(*) AS n FROM silver.t",
                                           .sql_file = "m.sql",
                                           .tables = catalog,
                                           .n_tables = 1};

static struct trib_env env_of(struct trib_store *lake)
{
    return (struct trib_env){.lake = lake,
                             .fs = &trib_fs_real,
                             .engine = engine,
                             .clock = &test_clock,
                             .rng = &rng,
                             .scratch = dir,
                             .workers = 1};
}

/* One more row in Silver. */
static void append(void)
{
    static unsigned serial;
    struct trib_type schema = trib_type_simple(TRIB_T_STRUCT);
    trib_type_add(&schema, "a", trib_type_simple(TRIB_T_LONG));
    struct trib_protocol protocol = {.reader = 1, .writer = 2};
    struct trib_delta t = table("silver/d/t");
    struct trib_parquet_file *files = NULL;
    size_t n = 0;
    struct trib_err err;
    struct trib_snapshot s = {.version = -1};
    struct trib_add add;
    char *prefix = trib_asprintf("%s/row%u", dir, serial++);
    assert_int_equal(trib_delta_load(&t, -1, &s, &err), 0);
    assert_int_equal(trib_parquet_write_query(conn, "SELECT 1::BIGINT AS a", prefix, &(struct trib_parquet_opts){0},
                                              &files, &n, &err),
                     0);
    assert_int_equal(n, 1);
    assert_int_equal(trib_delta_add_file(&t, &files[0], NULL, 0, &add, &err), 0);
    struct trib_commit c = {.read_version = s.version,
                            .operation = "WRITE",
                            .new_metadata = s.version < 0,
                            .schema = &schema,
                            .protocol = s.version < 0 ? &protocol : NULL,
                            .adds = &add,
                            .n_adds = 1};
    assert_int_equal(trib_delta_commit(&t, &s, &c, &err), 0);
    trib_add_free(&add);
    trib_parquet_file_free(&files[0]);
    free(files);
    free(prefix);
    trib_snapshot_free(&s);
    trib_type_free(&schema);
}

static int step_once(struct trib_store *lake, bool *ret_worked)
{
    struct trib_env env = env_of(lake);
    struct trib_mart *m;
    struct trib_step step;
    struct trib_err err = {0};
    assert_int_equal(trib_mart_new(&env, &opts, &m, &err), 0);
    int rc = trib_mart_step(m, now_us, &step, &err);
    *ret_worked = step.worked;
    trib_mart_free(m);
    return rc;
}

/* The rows of Silver that the mart's newest version was made from: by its position, -1 when there is none. */
static int64_t position(void)
{
    struct trib_delta t = table("gold/g/m");
    struct trib_snapshot s = {.version = -1};
    struct trib_err err;
    assert_int_equal(trib_delta_load(&t, -1, &s, &err), 0);
    int64_t v = trib_snapshot_txn(&s, "tributary.p.gold.g/m.silver.t");
    trib_snapshot_free(&s);
    return v;
}

static bool armed;

/* While this process reads Silver's log, another one brings Silver and the mart forward. */
static int list_then_other(void *ctx, const char *path,
                           int (*fn)(void *fn_ctx, const char *name, bool is_dir, struct trib_err *err), void *fn_ctx,
                           struct trib_err *err)
{
    int rc = trib_fs_real.list(ctx, path, fn, fn_ctx, err);
    if (armed && strstr(path, "silver/d/t/_delta_log") != NULL) {
        armed = false;
        append();
        bool worked;
        assert_int_equal(step_once(store, &worked), 0);
        assert_true(worked);
    }
    return rc;
}

static void test_never_back(void **state)
{
    (void)state;
    struct trib_fs fs = trib_fs_real;
    fs.list = list_then_other;
    struct trib_store *slow;
    struct trib_err err;
    bool worked;
    assert_int_equal(trib_store_open_file(&fs, dir, &slow, &err), 0);
    assert_int_equal(step_once(slow, &worked), 0); /* no Silver yet: waits */
    assert_false(worked);
    assert_int_equal(position(), -1);
    for (int64_t version = 1; version < 6; version += 2) { /* without and with a version of the mart before */
        append();
        armed = true;
        assert_int_equal(step_once(slow, &worked), TRIB_E_CONFLICT);
        assert_false(armed);
        assert_int_equal(position(), version);
        assert_int_equal(step_once(slow, &worked), 0); /* current already */
        assert_false(worked);
    }
    trib_store_free(slow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_never_back)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
