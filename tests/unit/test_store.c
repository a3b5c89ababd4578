/* store: file:// by its contract: order of listings, put-if-absent among racing processes, syncs, bad keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/fs.h"
#include "os/os.h"
#include "store/store.h"

static char *dir;

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
    free(dir);
    return 0;
}

static struct trib_store *open_at(const char *name)
{
    struct trib_err err;
    struct trib_store *s;
    char *path = trib_asprintf("%s/%s", dir, name);
    assert_int_equal(trib_store_open_file(&trib_fs_real, path, &s, &err), 0);
    free(path);
    return s;
}

static void put(struct trib_store *s, const char *key, const char *text)
{
    struct trib_err err;
    assert_int_equal(trib_store_put(s, key, trib_view_of(text), true, &err), 0);
}

static int append_key(void *ctx, const struct trib_object *o, struct trib_err *err)
{
    (void)err;
    trib_buf_adds(ctx, o->key);
    trib_buf_addc(ctx, ' ');
    return 0;
}

static char *list(struct trib_store *s, const char *prefix, const char *after, bool all)
{
    struct trib_err err;
    struct trib_buf b;
    trib_buf_init(&b, 1 << 20);
    assert_int_equal(trib_store_list(s, prefix, after, all, append_key, &b, &err), 0);
    return trib_buf_take(&b);
}

static void expect_list(struct trib_store *s, const char *prefix, const char *after, bool all, const char *keys)
{
    char *found = list(s, prefix, after, all);
    assert_string_equal(found, keys);
    free(found);
}

static void test_list(void **state)
{
    (void)state;
    struct trib_store *s = open_at("list");
    expect_list(s, "", NULL, true, ""); /* no folder yet */
    /* Byte order of whole keys: '-' and '.' sort before '/', '0' behind it. */
    static const char *const keys[] = {"a/x",    "a-b",    "a.b",    "a0",  "a/b/c",
                                       "_log/1", "b/.tmp", "b/_x/y", "b/z", "\xC3\xA4"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        put(s, keys[i], "x");
    }
    expect_list(s, "", NULL, false, "a-b a.b a/b/c a/x a0 b/z \xC3\xA4 ");
    expect_list(s, "", NULL, true, "_log/1 a-b a.b a/b/c a/x a0 b/.tmp b/_x/y b/z \xC3\xA4 ");
    expect_list(s, "a/", NULL, true, "a/b/c a/x ");
    expect_list(s, "_log/", NULL, false, "_log/1 "); /* asked for by name */
    expect_list(s, "", "a/b/c", false, "a/x a0 b/z \xC3\xA4 ");
    expect_list(s, "", "a/b", false, "a/b/c a/x a0 b/z \xC3\xA4 ");
    expect_list(s, "", "a/zzz", false, "a0 b/z \xC3\xA4 ");
    expect_list(s, "", "zz", false, "\xC3\xA4 ");
    expect_list(s, "none/", NULL, true, "");
    expect_list(s, "a0/", NULL, true, ""); /* an object, no folder */
    struct trib_err err;
    assert_int_equal(trib_store_list(s, "a", NULL, true, append_key, NULL, &err), TRIB_E_USAGE);
    trib_store_free(s);
}

static int stop_at_second(void *ctx, const struct trib_object *o, struct trib_err *err)
{
    assert_true(o->size == 1 && o->mtime_us > 0);
    return ++*(int *)ctx == 2 ? trib_err_set(err, TRIB_E_CANCELLED, "enough") : 0;
}

static void test_list_stops(void **state)
{
    (void)state;
    struct trib_store *s = open_at("stop");
    put(s, "1", "x");
    put(s, "2", "x");
    put(s, "3", "x");
    int n = 0;
    struct trib_err err;
    assert_int_equal(trib_store_list(s, "", NULL, true, stop_at_second, &n, &err), TRIB_E_CANCELLED);
    assert_int_equal(n, 2);
    trib_store_free(s);
}

static void test_symlink_loop(void **state)
{
    (void)state;
    struct trib_store *s = open_at("loop");
    put(s, "d/x", "x");
    char *link = trib_asprintf("%s/loop/d/up", dir);
    assert_int_equal(symlink("..", link), 0);
    struct trib_err err;
    struct trib_buf b;
    trib_buf_init(&b, 1 << 20);
    int rc = trib_store_list(s, "", NULL, true, append_key, &b, &err); /* an end, whatever it is */
    assert_true(rc == TRIB_E_LIMIT || rc == TRIB_E_IO);
    trib_buf_free(&b);
    free(link);
    trib_store_free(s);
}

static void test_objects(void **state)
{
    (void)state;
    struct trib_store *s = open_at("objects");
    struct trib_err err;
    struct trib_buf b;
    trib_buf_init(&b, 100);
    int64_t size, mtime;
    assert_int_equal(trib_store_get(s, "k", 0, -1, &b, &err), TRIB_E_NOT_FOUND);
    assert_int_equal(trib_store_head(s, "k", &size, &mtime, &err), TRIB_E_NOT_FOUND);
    assert_int_equal(trib_store_remove(s, "k", &err), 0);
    put(s, "k", "hello");
    assert_int_equal(trib_store_put(s, "k", TRIB_VIEW_LIT("other"), true, &err), TRIB_E_EXISTS);
    assert_int_equal(trib_store_head(s, "k", &size, &mtime, &err), 0);
    assert_int_equal(size, 5);
    assert_int_equal(trib_store_get(s, "k", 1, 3, &b, &err), 0);
    assert_string_equal(b.p, "ell");
    assert_int_equal(trib_store_put(s, "k", TRIB_VIEW_LIT("other"), false, &err), 0);
    trib_buf_clear(&b);
    assert_int_equal(trib_store_get(s, "k", 0, -1, &b, &err), 0);
    assert_string_equal(b.p, "other");
    assert_int_equal(trib_store_remove(s, "k", &err), 0);
    assert_int_equal(trib_store_head(s, "k", &size, NULL, &err), TRIB_E_NOT_FOUND);
    put(s, "folder/x", "x");
    assert_int_equal(trib_store_head(s, "folder", &size, NULL, &err), TRIB_E_NOT_FOUND);
    put(s, "empty", "");
    assert_int_equal(trib_store_head(s, "empty", &size, NULL, &err), 0);
    assert_int_equal(size, 0);
    trib_buf_free(&b);
    trib_store_free(s);
}

static void test_put_file(void **state)
{
    (void)state;
    struct trib_store *s = open_at("move");
    struct trib_err err;
    char *from = trib_asprintf("%s/moved", dir), *local;
    assert_int_equal(trib_fs_real.write(NULL, from, TRIB_VIEW_LIT("data"), &err), 0);
    assert_int_equal(trib_store_put_file(s, "a/b/c", from, &err), 0);
    assert_int_not_equal(access(from, F_OK), 0);
    assert_int_equal(trib_store_local(s, "a/b/c", &local, &err), 0);
    assert_int_equal(access(local, R_OK), 0);
    assert_int_equal(trib_store_put_file(s, "a/b/d", from, &err), TRIB_E_NOT_FOUND);
    free(local);
    free(from);
    trib_store_free(s);
}

static void test_bad_keys(void **state)
{
    (void)state;
    struct trib_store *s = open_at("bad");
    struct trib_err err;
    static const char *const keys[] = {"", "/a", "a//b", "a/", "../a", "a/..", "a/./b", "."};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        assert_int_equal(trib_store_put(s, keys[i], TRIB_VIEW_LIT("x"), true, &err), TRIB_E_USAGE);
    }
    put(s, "a..b/...", "x"); /* odd, but fine */
    trib_store_free(s);
}

static void test_open(void **state)
{
    (void)state;
    struct trib_err err;
    struct trib_store *s;
    assert_int_equal(trib_store_open(&trib_fs_real, "s3://bucket/x", &s, &err), TRIB_E_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "s3://"));
    assert_int_equal(trib_store_open(&trib_fs_real, "file://host/x", &s, &err), TRIB_E_CONFIG);
    assert_int_equal(trib_store_open(&trib_fs_real, "", &s, &err), TRIB_E_CONFIG);
    assert_int_equal(trib_store_open(&trib_fs_real, "file:///a%20b/", &s, &err), 0);
    assert_string_equal(s->url, "file:///a b");
    trib_store_free(s);
    assert_int_equal(trib_store_open(&trib_fs_real, "rel/a%20b", &s, &err), 0);
    assert_string_equal(s->url, "file://rel/a%20b");
    trib_store_free(s);
}

/* Eight processes race for each of 50 keys: one winner each, and what stands there is the winner's, whole. */
static void race(struct trib_store *s, int me, int fd)
{
    for (int i = 0; i < 50; i++) {
        struct trib_err err;
        char key[32], text[4097];
        (void)snprintf(key, sizeof key, "k/%d", i);
        memset(text, 'a' + me, sizeof text - 1);
        text[sizeof text - 1] = '\0';
        unsigned char won[2] = {(unsigned char)i, (unsigned char)('a' + me)};
        int rc = trib_store_put(s, key, trib_view_of(text), true, &err);
        if ((rc != 0 && rc != TRIB_E_EXISTS) || (rc == 0 && write(fd, won, 2) != 2)) {
            _exit(1);
        }
    }
    _exit(0);
}

static void test_race(void **state)
{
    (void)state;
    enum { RACERS = 8, KEYS = 50 };
    int fds[2];
    pid_t pids[RACERS];
    assert_int_equal(pipe(fds), 0);
    for (int i = 0; i < RACERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            race(open_at("race"), i, fds[1]);
        }
    }
    (void)close(fds[1]);
    for (int i = 0; i < RACERS; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    unsigned char winner[KEYS] = {0}, won[2];
    int n = 0;
    for (; read(fds[0], won, 2) == 2; n++) {
        assert_true(won[0] < KEYS);
        assert_int_equal(winner[won[0]], 0);
        winner[won[0]] = won[1];
    }
    assert_int_equal(n, KEYS);
    (void)close(fds[0]);
    struct trib_store *s = open_at("race");
    for (int i = 0; i < KEYS; i++) {
        struct trib_err err;
        struct trib_buf b;
        char key[32];
        trib_buf_init(&b, 1 << 20);
        (void)snprintf(key, sizeof key, "k/%d", i);
        assert_int_equal(trib_store_get(s, key, 0, -1, &b, &err), 0);
        assert_int_equal(b.n, 4096);
        assert_int_equal(strspn(b.p, (char[]){(char)winner[i], '\0'}), 4096);
        trib_buf_free(&b);
    }
    char *keys = list(s, "k/", NULL, true); /* no temporaries */
    assert_null(strstr(keys, ".tmp"));
    free(keys);
    trib_store_free(s);
}

/* Every name on the way to a new object is synced before the put returns, also of folders that were there before. */
struct synced {
    char *paths[64];
    size_t n;
};
static struct synced synced;

static int record_sync_dir(void *ctx, const char *path, struct trib_err *err)
{
    if (synced.n < 64) {
        synced.paths[synced.n++] = trib_strdup(path);
    }
    return trib_fs_real.sync_dir(ctx, path, err);
}

static bool was_synced(const char *name)
{
    char *path = trib_asprintf("%s%s", dir, name);
    bool found = false;
    for (size_t i = 0; i < synced.n; i++) {
        found = found || strcmp(synced.paths[i], path) == 0;
    }
    free(path);
    return found;
}

static void forget_syncs(void)
{
    while (synced.n > 0) {
        free(synced.paths[--synced.n]);
    }
}

static void test_syncs(void **state)
{
    (void)state;
    struct trib_fs fs = trib_fs_real;
    fs.sync_dir = record_sync_dir;
    struct trib_err err;
    for (int life = 0; life < 2; life++) { /* the second finds the folders, perhaps never synced by the first */
        struct trib_store *s;
        char *path = trib_asprintf("%s/sync", dir), key[16];
        (void)snprintf(key, sizeof key, "a/b/%d", life);
        assert_int_equal(trib_store_open_file(&fs, path, &s, &err), 0);
        assert_int_equal(trib_store_put(s, key, TRIB_VIEW_LIT("x"), true, &err), 0);
        assert_true(was_synced("") && was_synced("/sync") && was_synced("/sync/a") && was_synced("/sync/a/b"));
        forget_syncs();
        assert_int_equal(trib_store_put(s, "a/b/more", TRIB_VIEW_LIT("x"), false, &err), 0);
        assert_true(was_synced("/sync/a/b") && synced.n == 1);
        forget_syncs();
        trib_store_free(s);
        free(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),    cmocka_unit_test(test_list_stops), cmocka_unit_test(test_symlink_loop),
        cmocka_unit_test(test_objects), cmocka_unit_test(test_put_file),   cmocka_unit_test(test_bad_keys),
        cmocka_unit_test(test_open),    cmocka_unit_test(test_race),       cmocka_unit_test(test_syncs),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
