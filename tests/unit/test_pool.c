/* os/pool: tasks run once each, failures are those of the lowest task, one worker means this thread. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/pool.h"

enum { N = 1000 };
static atomic_int runs[N];

static int count(void *ctx, size_t task, struct trib_err *err)
{
    (void)ctx, (void)err;
    atomic_fetch_add(&runs[task], 1);
    return 0;
}

static void test_each_once(void **state)
{
    (void)state;
    struct trib_err err;
    for (unsigned workers = 0; workers <= 9; workers += 3) {
        for (size_t i = 0; i < N; i++) {
            atomic_store(&runs[i], 0);
        }
        assert_int_equal(trib_pool_run(workers, N, count, NULL, &err), 0);
        for (size_t i = 0; i < N; i++) {
            assert_int_equal(atomic_load(&runs[i]), 1);
        }
    }
    assert_int_equal(trib_pool_run(4, 0, count, NULL, &err), 0);
}

static int fail_from_10(void *ctx, size_t task, struct trib_err *err)
{
    atomic_int *started = ctx;
    atomic_fetch_add(started, 1);
    return task >= 10 ? trib_err_set(err, TRIB_E_DATA, "task %zu", task) : 0;
}

static void test_lowest_failure(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 8; workers *= 2) {
        struct trib_err err;
        atomic_int started = 0;
        assert_int_equal(trib_pool_run(workers, N, fail_from_10, &started, &err), TRIB_E_DATA);
        assert_string_equal(err.msg, "task 10");
        assert_true(atomic_load(&started) < 11 + (int)workers);
        assert_int_equal(trib_pool_run(workers, N, fail_from_10, &started, NULL), TRIB_E_DATA);
    }
}

static int same_thread(void *ctx, size_t task, struct trib_err *err)
{
    size_t *next = ctx;
    assert_int_equal(task, (*next)++);
    (void)err;
    return 0;
}

static void test_one_worker_in_order(void **state)
{
    (void)state;
    struct trib_err err;
    size_t next = 0;
    assert_int_equal(trib_pool_run(1, N, same_thread, &next, &err), 0);
    assert_int_equal(next, N);
}

static void test_cpu_count(void **state)
{
    (void)state;
    assert_in_range(trib_cpu_count(), 1, 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_once), cmocka_unit_test(test_lowest_failure),
                                       cmocka_unit_test(test_one_worker_in_order), cmocka_unit_test(test_cpu_count)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
