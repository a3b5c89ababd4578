/* Errors, buffers and arenas at their limits, generators with known answers, log lines, nearest names. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/env.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/near.h"

static void test_err_set(void **state)
{
    (void)state;
    struct trib_err err = {.ambiguous = true, .service_code = "Old"};
    assert_int_equal(trib_err_set(&err, TRIB_E_CONFLICT, "%s %d", "version", 7), TRIB_E_CONFLICT);
    assert_string_equal(err.msg, "version 7");
    assert_true(err.retriable);
    assert_false(err.ambiguous);
    assert_string_equal(err.service_code, "");
    assert_int_equal(trib_err_set(&err, TRIB_E_DATA, "x"), TRIB_E_DATA);
    assert_false(err.retriable);
    assert_int_equal(trib_err_set(NULL, TRIB_E_IO, "nobody listens"), TRIB_E_IO);
    trib_err_clear(&err);
    assert_int_equal(err.code, TRIB_OK);
    assert_string_equal(err.msg, "");
    trib_err_clear(NULL);
}

/* Every length around the end of the message, with sequences of 1 to 4 bytes: never half a character. */
static void test_err_cut(void **state)
{
    (void)state;
    static const char *const letters[] = {"a", "é", "€", "😀"};
    for (size_t l = 0; l < 4; l++) {
        size_t width = strlen(letters[l]);
        for (size_t pad = 0; pad < 4; pad++) {
            struct trib_buf b;
            trib_buf_init(&b, 4096);
            for (size_t i = 0; i < pad; i++) {
                trib_buf_addc(&b, 'x');
            }
            while (b.n < 1200) {
                trib_buf_adds(&b, letters[l]);
            }
            struct trib_err err;
            (void)trib_err_set(&err, TRIB_E_DATA, "%s", b.p);
            size_t n = strlen(err.msg);
            assert_int_equal((n - pad) % width, 0);
            assert_true(n < sizeof err.msg && n + 5 >= sizeof err.msg); /* a whole letter at most is lost */
            assert_memory_equal(err.msg, b.p, n);
            trib_buf_free(&b);
        }
    }
}

static void test_err_errno(void **state)
{
    (void)state;
    struct trib_err err;
    assert_int_equal(trib_err_errno(&err, ENOENT, "open %s", "f"), TRIB_E_NOT_FOUND);
    assert_string_equal(err.msg, "open f: No such file or directory");
    assert_int_equal(trib_err_errno(&err, EEXIST, "f"), TRIB_E_EXISTS);
    assert_int_equal(trib_err_errno(&err, ENOSPC, "write f"), TRIB_E_IO);
    assert_string_equal(err.msg, "write f: No space left on device");
    assert_int_equal(trib_err_errno(NULL, EIO, "f"), TRIB_E_IO);
}

static void test_err_wrap(void **state)
{
    (void)state;
    struct trib_err err;
    (void)trib_err_set(&err, TRIB_E_LIMIT, "too long");
    assert_int_equal(trib_err_wrap(&err, "line %d", 3), TRIB_E_LIMIT);
    assert_string_equal(err.msg, "line 3: too long");
    for (int i = 0; i < 200; i++) {
        assert_int_equal(trib_err_wrap(&err, "again and again"), TRIB_E_LIMIT);
    }
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    assert_memory_equal(err.msg, "again and again: again", 22);
}

static void test_codes(void **state)
{
    (void)state;
    /* The contract: interface.md, Exit codes. */
    assert_int_equal(trib_code_exit(TRIB_OK), 0);
    assert_int_equal(trib_code_exit(TRIB_E_USAGE), 64);
    assert_int_equal(trib_code_exit(TRIB_E_DATA), 65);
    assert_int_equal(trib_code_exit(TRIB_E_UNAVAILABLE), 69);
    assert_int_equal(trib_code_exit(TRIB_E_INTERNAL), 70);
    assert_int_equal(trib_code_exit(TRIB_E_IO), 74);
    assert_int_equal(trib_code_exit(TRIB_E_AGAIN), 75);
    assert_int_equal(trib_code_exit(TRIB_E_CONFIG), 78);
    assert_int_equal(trib_code_exit((enum trib_code)999), 70);
    assert_string_equal(trib_code_name(TRIB_E_NOT_FOUND), "NOT_FOUND");
    assert_string_equal(trib_code_name((enum trib_code)999), "UNKNOWN");
    assert_string_equal(trib_code_text(TRIB_E_CONFIG), "configuration error");
}

static void test_views(void **state)
{
    (void)state;
    struct trib_view empty = {NULL, 0}, a = TRIB_VIEW_LIT("a"), ab = TRIB_VIEW_LIT("ab"), high = TRIB_VIEW_LIT("\xff");
    assert_true(trib_view_eq(empty, trib_view_of("")));
    assert_true(trib_view_eq(empty, trib_view_of(NULL)));
    assert_false(trib_view_eq(a, ab));
    assert_true(trib_view_is(ab, "ab"));
    assert_true(trib_view_cmp(empty, empty) == 0);
    assert_true(trib_view_cmp(empty, a) < 0);
    assert_true(trib_view_cmp(ab, a) > 0);
    assert_true(trib_view_cmp(a, ab) < 0);
    assert_true(trib_view_cmp(high, ab) > 0); /* bytes are unsigned */
    assert_true(trib_view_cmp(TRIB_VIEW_LIT("a\0b"), TRIB_VIEW_LIT("a\0c")) < 0);
}

static void test_buf_limit(void **state)
{
    (void)state;
    struct trib_buf b;
    struct trib_err err = {0};
    trib_buf_init(&b, 10);
    trib_buf_adds(&b, "12345");
    trib_buf_addf(&b, "%d", 67890);
    assert_int_equal(b.n, 10);
    assert_int_equal(trib_buf_check(&b, "name", &err), 0);
    trib_buf_addc(&b, '!');
    assert_int_equal(b.n, 10);
    assert_string_equal(b.p, "1234567890");
    assert_int_equal(trib_buf_check(&b, "name", &err), TRIB_E_LIMIT);
    assert_non_null(strstr(err.msg, "name"));
    assert_non_null(strstr(err.msg, "10"));
    trib_buf_clear(&b);
    assert_string_equal(b.p, "");
    trib_buf_addf(&b, "%s", "12345678901");
    assert_int_equal(b.n, 0);
    assert_int_equal(trib_buf_check(&b, "name", &err), TRIB_E_LIMIT);
    assert_null(trib_buf_reserve(&b, SIZE_MAX));
    trib_buf_free(&b);
}

static void test_buf_grow(void **state)
{
    (void)state;
    struct trib_buf b;
    trib_buf_init(&b, 1 << 20);
    for (int i = 0; i < 100000; i++) {
        trib_buf_add(&b, "\0x", 2);
    }
    assert_int_equal(b.n, 200000);
    assert_int_equal(b.p[199998], 0);
    assert_int_equal(b.p[199999], 'x');
    assert_int_equal(b.p[200000], 0);
    char *text = trib_buf_take(&b);
    assert_int_equal(text[1], 'x');
    free(text);
    assert_int_equal(b.n, 0);
    text = trib_buf_take(&b); /* nothing was added: an empty text all the same */
    assert_string_equal(text, "");
    free(text);
    trib_buf_free(&b);
}

static void test_arena(void **state)
{
    (void)state;
    struct trib_arena a;
    trib_arena_init(&a);
    for (int round = 0; round < 3; round++) {
        char *kept[300];
        for (size_t i = 0; i < 300; i++) {
            size_t n = (i * 7919) % 5000 + (i == 150 ? 3000000 : 0);
            kept[i] = trib_arena_alloc(&a, n + 1);
            assert_int_equal((uintptr_t)kept[i] % 16, 0);
            memset(kept[i], (int)(i % 251), n + 1);
        }
        for (size_t i = 0; i < 300; i++) {
            size_t n = (i * 7919) % 5000;
            assert_int_equal((unsigned char)kept[i][0], i % 251);
            assert_int_equal((unsigned char)kept[i][n], i % 251);
        }
        char *s = trib_arena_strndup(&a, "abcdef", 3);
        assert_string_equal(s, "abc");
        assert_true(a.used_bytes > 3000000);
        trib_arena_reset(&a);
        assert_int_equal(a.used_bytes, 0);
    }
    trib_arena_free(&a);
    trib_arena_free(&a);
}

static void test_texts(void **state)
{
    (void)state;
    TRIB_CLEANUP(trib_cleanup_free) char *a = trib_strndup("abcdef", 3);
    TRIB_CLEANUP(trib_cleanup_free) char *b = trib_asprintf("%s-%05d", a, 42);
    TRIB_CLEANUP(trib_cleanup_free) char *c = trib_strdup("");
    assert_string_equal(b, "abc-00042");
    assert_string_equal(c, "");
    int *v = NULL;
    size_t cap = 0;
    for (size_t i = 0; i < 1000; i++) {
        TRIB_GROW(v, cap, i + 1);
        v[i] = (int)i;
    }
    assert_true(cap >= 1000);
    assert_int_equal(v[999], 999);
    free(v);
}

static void test_seeded(void **state)
{
    (void)state;
    struct trib_seeded s, again;
    trib_seeded_init(&s, 0);
    /* xoshiro256** whose state is splitmix64's first four values, as its authors publish both. */
    assert_true(trib_seeded_next(&s) == UINT64_C(0x99EC5F36CB75F2B4));
    uint64_t counts[10] = {0};
    trib_seeded_init(&s, 42);
    trib_seeded_init(&again, 42);
    for (int i = 0; i < 100000; i++) {
        uint64_t n = trib_seeded_below(&s, 10);
        assert_true(n < 10 && n == trib_seeded_below(&again, 10));
        counts[n]++;
    }
    for (size_t i = 0; i < 10; i++) {
        assert_in_range(counts[i], 9500, 10500);
    }
    for (int i = 0; i < 1000; i++) {
        double u = trib_seeded_unit(&s);
        assert_true(u >= 0.0 && u < 1.0);
        assert_true(trib_seeded_below(&s, 1) == 0);
    }
}

static void test_uuid(void **state)
{
    (void)state;
    struct trib_seeded s;
    trib_seeded_init(&s, 9);
    struct trib_rng rng = trib_seeded_rng(&s);
    char one[37], two[37];
    trib_rng_uuid(&rng, one);
    trib_rng_uuid(&rng, two);
    assert_int_equal(strlen(one), 36);
    assert_string_not_equal(one, two);
    assert_int_equal(one[14], '4');
    assert_non_null(strchr("89ab", one[19]));
    for (int i = 0; i < 36; i++) {
        assert_true(strchr(i == 8 || i == 13 || i == 18 || i == 23 ? "-" : "0123456789abcdef", one[i]) != NULL);
    }
}

struct seen {
    int lines;
    char text[256];
};

static void see(void *ctx, enum trib_log_level level, const char *event, const char *const *kv)
{
    struct seen *seen = ctx;
    seen->lines++;
    int n = snprintf(seen->text, sizeof seen->text, "%d %s", (int)level, event);
    for (; kv[0] != NULL; kv += 2) {
        n += snprintf(seen->text + n, sizeof seen->text - (size_t)n, " %s=%s", kv[0], kv[1]);
    }
}

static void test_log(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct trib_log log = {see, &seen, TRIB_LOG_INFO};
    trib_logkv(&log, TRIB_LOG_INFO, "done", "rows", "5", "table", "T", NULL);
    assert_string_equal(seen.text, "2 done rows=5 table=T");
    trib_logkv(&log, TRIB_LOG_DEBUG, "hidden", NULL);
    trib_logkv(NULL, TRIB_LOG_ERROR, "nobody", NULL);
    assert_int_equal(seen.lines, 1);
    trib_logkv(&log, TRIB_LOG_ERROR, "bare", NULL);
    assert_string_equal(seen.text, "0 bare");
}

static void test_near(void **state)
{
    (void)state;
    assert_int_equal(trib_edit_distance("", ""), 0);
    assert_int_equal(trib_edit_distance("abc", ""), 3);
    assert_int_equal(trib_edit_distance("kitten", "sitting"), 3);
    assert_int_equal(trib_edit_distance("merge", "mereg"), 1);
    assert_int_equal(trib_edit_distance("MERGE", "merge"), 0);
    static const char *const names[] = {"ingest", "merge", "marts"};
    assert_string_equal(trib_nearest("megre", names, 3), "merge");
    assert_string_equal(trib_nearest("ing", names, 3), "ingest");
    assert_null(trib_nearest("zzzzzz", names, 3));
    assert_null(trib_nearest("merge", names, 0));
    char longer[500];
    memset(longer, 'm', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_null(trib_nearest(longer, names, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_err_set),   cmocka_unit_test(test_err_cut),  cmocka_unit_test(test_err_errno),
        cmocka_unit_test(test_err_wrap),  cmocka_unit_test(test_codes),    cmocka_unit_test(test_views),
        cmocka_unit_test(test_buf_limit), cmocka_unit_test(test_buf_grow), cmocka_unit_test(test_arena),
        cmocka_unit_test(test_texts),     cmocka_unit_test(test_seeded),   cmocka_unit_test(test_uuid),
        cmocka_unit_test(test_log),       cmocka_unit_test(test_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
