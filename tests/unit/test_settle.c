/* delta, store, stage: a commit that is seen is durable before anything is built upon it (docs/decisions/0008). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "stage/stage.h"
#include "table.h"

static int syncs, fail_syncs;

/* Counts syncs of the table's log folder. */
static int count_sync_dir(void *ctx, const char *path, struct trib_err *err)
{
    size_t n = strlen(path);
    if (n > 11 && strcmp(path + n - 11, "/_delta_log") == 0) {
        syncs++;
        if (fail_syncs > 0) {
            fail_syncs--;
            return trib_err_set(err, TRIB_E_IO, "syncing %s: the disk is gone", path);
        }
    }
    return trib_fs_real.sync_dir(ctx, path, err);
}

static void commit(struct trib_delta *t, const struct trib_snapshot *s)
{
    struct trib_type schema = trib_type_simple(TRIB_T_STRUCT);
    trib_type_add(&schema, "a", trib_type_simple(TRIB_T_LONG));
    struct trib_protocol protocol = {.reader = 1, .writer = 2};
    struct trib_commit c = {.read_version = s->version,
                            .operation = "WRITE",
                            .new_metadata = s->version < 0,
                            .schema = &schema,
                            .protocol = s->version < 0 ? &protocol : NULL};
    struct trib_err err;
    assert_int_equal(trib_delta_commit(t, s, &c, &err), 0);
    trib_type_free(&schema);
}

static void test_load(void **state)
{
    (void)state;
    struct trib_fs fs = trib_fs_real;
    fs.sync_dir = count_sync_dir;
    struct trib_store *counting;
    struct trib_err err;
    struct trib_snapshot s = {.version = -1};
    assert_int_equal(trib_store_open_file(&fs, dir, &counting, &err), 0);
    struct trib_delta other = table("t"), t = other;
    t.store = counting;
    t.settle = true;
    assert_int_equal(trib_delta_load(&t, -1, &s, &err), 0);
    assert_int_equal(syncs, 0); /* no table, no folder */
    commit(&other, &s);
    assert_int_equal(trib_delta_load(&t, -1, &s, &err), 0);
    assert_int_equal(syncs, 1);
    assert_int_equal(trib_delta_refresh(&t, &s, &err), 0);
    assert_int_equal(syncs, 1); /* nothing new since */
    commit(&other, &s);
    fail_syncs = 1;
    assert_int_equal(trib_delta_refresh(&t, &s, &err), TRIB_E_IO);
    assert_int_equal(s.version, 0);
    assert_int_equal(trib_delta_refresh(&t, &s, &err), 0); /* a failure is not remembered as done */
    assert_int_equal(s.version, 1);
    assert_int_equal(syncs, 3);
    commit(&other, &s);
    t.settle = false;
    assert_int_equal(trib_delta_refresh(&t, &s, &err), 0);
    assert_int_equal(s.version, 2);
    assert_int_equal(syncs, 3); /* who only reads does not sync */
    trib_snapshot_free(&s);
    trib_store_free(counting);
}

static void test_stages(void **state)
{
    (void)state;
    struct trib_env env = {.lake = store};
    assert_true(trib_env_delta(&env, conn, NULL).settle);
    env.reads_only = true;
    assert_false(trib_env_delta(&env, conn, NULL).settle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_load), cmocka_unit_test(test_stages)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
