/* os/fs, os/lock, scratch: the real file system and the protocol that makes a file durable. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/fs.h"
#include "os/lock.h"
#include "os/os.h"

static char *dir;
static char *at(const char *name) { return trib_asprintf("%s/%s", dir, name); }

static int setup(void **state)
{
    (void)state;
    struct trib_err err;
    return trib_scratch_make(NULL, &dir, &err);
}

static int teardown(void **state)
{
    (void)state;
    trib_scratch_remove(dir);
    int rc = access(dir, F_OK) == 0;
    free(dir);
    return rc;
}

static char *slurp(const char *path)
{
    struct trib_buf b;
    struct trib_err err;
    trib_buf_init(&b, 1 << 20);
    if (trib_fs_real.read(NULL, path, 0, -1, &b, &err) != 0) {
        trib_buf_free(&b);
        return NULL;
    }
    return trib_buf_take(&b);
}

static int count_name(void *ctx, const char *name, bool is_dir, struct trib_err *err)
{
    (void)is_dir, (void)err;
    *(size_t *)ctx += name[0] != '.' || strcmp(name, ".lock") != 0;
    return 0;
}

static size_t count(const char *path)
{
    size_t n = 0;
    struct trib_err err;
    assert_int_equal(trib_fs_real.list(NULL, path, count_name, &n, &err), 0);
    return n;
}

static void test_publish(void **state)
{
    (void)state;
    struct trib_err err;
    char *folder = at("p"), *path = at("p/a.json");
    assert_int_equal(trib_fs_mkdirs(&trib_fs_real, folder, &err), 0);
    assert_int_equal(trib_fs_publish(&trib_fs_real, path, TRIB_VIEW_LIT("one"), false, "u1", &err), 0);
    assert_int_equal(trib_fs_publish(&trib_fs_real, path, TRIB_VIEW_LIT("two"), false, "u2", &err), TRIB_E_EXISTS);
    char *text = slurp(path);
    assert_string_equal(text, "one");
    free(text);
    assert_int_equal(trib_fs_publish(&trib_fs_real, path, TRIB_VIEW_LIT("three"), true, "u3", &err), 0);
    text = slurp(path);
    assert_string_equal(text, "three");
    free(text);
    assert_int_equal(count(folder), 1); /* no temporaries stay */
    free(folder);
    free(path);
}

static void test_publish_file(void **state)
{
    (void)state;
    struct trib_err err;
    char *folder = at("pf"), *from = at("pf-from"), *path = at("pf/b");
    assert_int_equal(trib_fs_mkdirs(&trib_fs_real, folder, &err), 0);
    assert_int_equal(trib_fs_real.write(NULL, from, TRIB_VIEW_LIT("data"), &err), 0);
    assert_int_equal(trib_fs_publish_file(&trib_fs_real, path, from, "u", &err), 0);
    assert_int_not_equal(access(from, F_OK), 0);
    char *text = slurp(path);
    assert_string_equal(text, "data");
    free(text);
    assert_int_equal(trib_fs_real.write(NULL, from, TRIB_VIEW_LIT("other"), &err), 0);
    assert_int_equal(trib_fs_publish_file(&trib_fs_real, path, from, "u", &err), TRIB_E_EXISTS);
    assert_int_equal(access(from, F_OK), 0); /* still the caller's */
    char *gone = at("pf-gone");
    assert_int_equal(trib_fs_publish_file(&trib_fs_real, path, gone, "u", &err), TRIB_E_NOT_FOUND);
    free(gone);
    free(folder);
    free(from);
    free(path);
}

/* A link across file systems: the copying way gives the same result. */
static int no_link(void *ctx, const char *from, const char *to, struct trib_err *err)
{
    static int calls;
    (void)ctx;
    return calls++ == 0 ? trib_err_set(err, TRIB_E_IO, "cross-device") : trib_fs_real.link(NULL, from, to, err);
}

static void test_publish_file_copies(void **state)
{
    (void)state;
    struct trib_err err;
    struct trib_fs fs = trib_fs_real;
    fs.link = no_link;
    char *folder = at("pc"), *from = at("pc-from"), *path = at("pc/b");
    assert_int_equal(trib_fs_mkdirs(&fs, folder, &err), 0);
    assert_int_equal(fs.write(NULL, from, TRIB_VIEW_LIT("data"), &err), 0);
    assert_int_equal(trib_fs_publish_file(&fs, path, from, "u", &err), 0);
    assert_int_not_equal(access(from, F_OK), 0);
    char *text = slurp(path);
    assert_string_equal(text, "data");
    assert_int_equal(count(folder), 1);
    free(text);
    free(folder);
    free(from);
    free(path);
}

static int fail_sync(void *ctx, const char *path, struct trib_err *err)
{
    (void)ctx;
    return trib_err_set(err, TRIB_E_IO, "%s: no space", path);
}

static void test_failures_leave_nothing(void **state)
{
    (void)state;
    struct trib_err err;
    struct trib_fs fs = trib_fs_real;
    char *folder = at("f"), *path = at("f/c");
    assert_int_equal(trib_fs_mkdirs(&fs, folder, &err), 0);
    fs.sync = fail_sync;
    assert_int_equal(trib_fs_publish(&fs, path, TRIB_VIEW_LIT("x"), false, "u", &err), TRIB_E_IO);
    assert_false(err.ambiguous);
    assert_int_equal(count(folder), 0);
    fs = trib_fs_real;
    fs.sync_dir = fail_sync; /* the name is visible, its durability unknown */
    assert_int_equal(trib_fs_publish(&fs, path, TRIB_VIEW_LIT("x"), false, "u", &err), TRIB_E_IO);
    assert_true(err.ambiguous);
    free(folder);
    free(path);
}

static void test_mkdirs(void **state)
{
    (void)state;
    struct trib_err err;
    char *deep = at("m/a/b/c"), *file = at("m/a/b/c/file"), *below = at("m/a/b/c/file/x");
    assert_int_equal(trib_fs_mkdirs(&trib_fs_real, deep, &err), 0);
    assert_int_equal(trib_fs_mkdirs(&trib_fs_real, deep, &err), 0);
    assert_int_equal(trib_fs_real.write(NULL, file, TRIB_VIEW_LIT(""), &err), 0);
    assert_int_equal(trib_fs_mkdirs(&trib_fs_real, file, &err), TRIB_E_IO);
    assert_non_null(strstr(err.msg, "is a file"));
    assert_int_not_equal(trib_fs_mkdirs(&trib_fs_real, below, &err), 0);
    struct trib_fs_stat st;
    assert_int_equal(trib_fs_real.stat(NULL, below, &st, &err), TRIB_E_NOT_FOUND);
    free(deep);
    free(file);
    free(below);
}

static void test_parent(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"/a/b", "/a"}, {"/a", "/"},    {"/", "/"},
                                           {"a", "."},     {"a/b//", "a"}, {"a//b", "a"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *p = trib_fs_parent(cases[i][0]);
        assert_string_equal(p, cases[i][1]);
        free(p);
    }
}

static void test_read_limits(void **state)
{
    (void)state;
    struct trib_err err;
    char *path = at("r");
    assert_int_equal(trib_fs_real.write(NULL, path, TRIB_VIEW_LIT("0123456789"), &err), 0);
    struct trib_buf b;
    trib_buf_init(&b, 10);
    assert_int_equal(trib_fs_real.read(NULL, path, 0, -1, &b, &err), 0); /* exactly the maximum */
    assert_int_equal(b.n, 10);
    trib_buf_free(&b);
    trib_buf_init(&b, 9);
    assert_int_equal(trib_fs_real.read(NULL, path, 0, -1, &b, &err), TRIB_E_LIMIT);
    assert_int_equal(b.n, 0);
    assert_int_equal(trib_fs_real.read(NULL, path, 8, 5, &b, &err), 0); /* fewer at the end */
    assert_string_equal(b.p, "89");
    trib_buf_clear(&b);
    assert_int_equal(trib_fs_real.read(NULL, path, 50, -1, &b, &err), 0);
    assert_int_equal(b.n, 0);
    assert_int_equal(trib_fs_real.read(NULL, path, -1, 1, &b, &err), TRIB_E_USAGE);
    assert_int_not_equal(trib_fs_real.read(NULL, dir, 0, -1, &b, &err), 0); /* a folder */
    trib_buf_free(&b);
    free(path);
}

static void test_lock(void **state)
{
    (void)state;
    struct trib_err err;
    struct trib_lock a, b;
    char *path = at("lock");
    assert_int_equal(trib_lock_take(path, &a, &err), 0);
    assert_int_equal(trib_lock_take(path, &b, &err), TRIB_E_AGAIN);
    char pid[32];
    (void)snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    assert_non_null(strstr(err.msg, pid));
    trib_lock_release(&a);
    trib_lock_release(&a);
    assert_int_equal(trib_lock_take(path, &b, &err), 0);
    trib_lock_release(&b);
    free(path);
}

static void test_scratch(void **state)
{
    (void)state;
    struct trib_err err;
    char *base = at("s"), *live, *dead = at("s/tributary-scratch-abcdef"),
         *lock = at("s/tributary-scratch-abcdef/.lock"), *next;
    assert_int_equal(trib_fs_mkdirs(&trib_fs_real, dead, &err), 0);
    assert_int_equal(trib_fs_real.write(NULL, lock, TRIB_VIEW_LIT(""), &err), 0);
    assert_int_equal(trib_scratch_make(base, &live, &err), 0);
    assert_int_not_equal(access(dead, F_OK), 0); /* its owner was gone: swept */
    struct stat st;
    assert_int_equal(stat(live, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(trib_scratch_make(base, &next, &err), 0);
    assert_int_equal(access(live, F_OK), 0); /* in use: left alone */
    trib_scratch_remove(live);
    trib_scratch_remove(next);
    assert_int_not_equal(access(live, F_OK), 0);
    char *missing = at("s/none/at/all"), *none;
    assert_int_equal(trib_scratch_make(missing, &none, &err), TRIB_E_NOT_FOUND);
    free(base), free(live), free(dead), free(lock), free(next), free(missing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_publish),
        cmocka_unit_test(test_publish_file),
        cmocka_unit_test(test_publish_file_copies),
        cmocka_unit_test(test_failures_leave_nothing),
        cmocka_unit_test(test_mkdirs),
        cmocka_unit_test(test_parent),
        cmocka_unit_test(test_read_limits),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_scratch),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
