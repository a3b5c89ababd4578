/* JSON primitives: known answers, every cut of the input, bad input. Views are exact heap copies, so that a read past the
 * end is found by the sanitizers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dynamodb/json.h"

/* An exact copy without a byte to spare. */
static struct trib_view exact(const char *p, size_t n)
{
    char *q = trib_malloc(n);
    if (n > 0) {
        memcpy(q, p, n);
    }
    return (struct trib_view){q, n};
}
static void drop(struct trib_view v) { free((char *)(uintptr_t)v.p); }

static bool skips(const char *text, size_t n, unsigned depth, size_t *used)
{
    struct trib_view v = exact(text, n);
    struct trib_json c = trib_json_of(v);
    bool ok = trib_json_skip(&c, depth, NULL);
    *used = (size_t)(c.p - v.p);
    drop(v);
    return ok;
}

static void spans(void **state)
{
    (void)state;
    for (size_t n = 0; n < 70; n++) {
        for (size_t at = 0; at <= n; at++) { /* an escape at every place, or none (at == n) */
            char text[160];
            memset(text, 'x', n);
            if (at + 1 < n) {
                text[at] = '\\';
                text[at + 1] = '"';
            }
            text[n] = '"';
            text[n + 1] = '}';
            struct trib_view v = exact(text, n + 2);
            struct trib_json c = trib_json_of(v);
            struct trib_view got;
            bool escapes;
            unsigned high = 0;
            assert_true(trib_json_span(&c, &got, &escapes, &high));
            assert_int_equal(got.n, n);
            assert_int_equal(escapes, at + 1 < n);
            assert_int_equal(c.p - v.p, (ptrdiff_t)n + 1);
            assert_int_equal(high, 0);
            drop(v);
            v = exact(text, n); /* the closing quote cut off */
            c = trib_json_of(v);
            assert_false(trib_json_span(&c, &got, &escapes, &high));
            drop(v);
        }
    }
    const char *const bad[] = {"a\x01\"", "0123456789abcdef\n\"", "0123456789\t0123456789\"", "abc\\", "\\"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct trib_view v = exact(bad[i], strlen(bad[i]));
        struct trib_json c = trib_json_of(v);
        struct trib_view got;
        bool escapes;
        unsigned high = 0;
        assert_false(trib_json_span(&c, &got, &escapes, &high));
        drop(v);
    }
    const char *const beyond[] = {"é\"", "0123456789abcdef0é123456789abcdef\"", "a\\é\""};
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++) {
        struct trib_json c = trib_json_of(trib_view_of(beyond[i]));
        struct trib_view got;
        bool escapes;
        unsigned high = 0;
        assert_true(trib_json_span(&c, &got, &escapes, &high));
        assert_int_not_equal(high, 0);
    }
}

static void unescapes(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *want;
        int n;
    } cases[] = {
        {"", "", 0},
        {"plain", "plain", 5},
        {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t", 8},
        {"\\u0041\\u00e9\\u20AC", "A\xC3\xA9\xE2\x82\xAC", 6},
        {"\\ud83d\\ude00", "\xF0\x9F\x98\x80", 4},
        {"a\\u0000b", "a\0b", 3},
        {"\\udbff\\udfff", "\xF4\x8F\xBF\xBF", 4},
        {"\\ud83d", NULL, -1},
        {"\\ude00", NULL, -1},
        {"\\ud83dx", NULL, -1},
        {"\\ud83d\\u0041", NULL, -1},
        {"\\ud83d\\ud83d", NULL, -1},
        {"\\u12", NULL, -1},
        {"\\u12g4", NULL, -1},
        {"\\x", NULL, -1},
        {"\\", NULL, -1},
        {"\\U0041", NULL, -1},
        {"\\ud83d\\ude0", NULL, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct trib_view v = exact(cases[i].raw, strlen(cases[i].raw));
        char *to = trib_malloc(v.n);
        assert_int_equal(trib_json_unescape(v, to), cases[i].n);
        if (cases[i].n > 0) {
            assert_memory_equal(to, cases[i].want, (size_t)cases[i].n);
        }
        free(to);
        drop(v);
    }
}

static void values(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{}",
        "[]",
        "null",
        "true",
        "false",
        "0",
        "-0",
        "12",
        "-1.5e+10",
        "1E5",
        "1e-2",
        "0.5",
        "\"\"",
        "\"a\\u0041\"",
        "{\"a\":{\"b\":[1,2,{\"c\":null}]},\"d\":[]}",
        " { \"a\" : [ 1 , 2 ] , \"b\" : { } } ",
        "[[[[]]],{}]",
        "[\"0123456789abcdef0123\"]",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        size_t used, n = strlen(good[i]);
        assert_true(skips(good[i], n, 100, &used));
        for (size_t cut = 0; cut < n;
             cut++) { /* no cut is read past, and only cuts of numbers or of trailing space are whole */
            bool ok = skips(good[i], cut, 100, &used);
            if (ok) {
                assert_true(strchr("0123456789 ", good[i][cut]) != NULL || strchr(".eE", good[i][cut]) != NULL ||
                            good[i][cut] == ' ');
            }
        }
    }
    static const char *const bad[] = {
        "",         " ",          "{",     "}",    "[",   "]",         "{]",    "[}",    "{\"a\"}",
        "{\"a\":}", "{\"a\":1,}", "[1,]",  "[,1]", "{,}", "{\"a\" 1}", "{a:1}", "tru",   "nul",
        "-",        ".5",         "1.",    "1e",   "1e+", "\"",        "\"\\",  "[1 2]", "{\"a\":1 \"b\":2}",
        "+1",       "'a'",        "{1:2}", "\x01", "01",  "-01",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        size_t used;
        assert_false(skips(bad[i], strlen(bad[i]), 100, &used));
    }
    struct trib_json c = trib_json_of(TRIB_VIEW_LIT("  {\"a\": 1} ,"));
    struct trib_view raw;
    assert_true(trib_json_skip(&c, 1, &raw));
    assert_true(trib_view_is(raw, "{\"a\": 1}"));
}

static void depth(void **state)
{
    (void)state;
    char deep[5000];
    for (size_t n = 1; n <= 2000; n += n < 140 ? 1 : 93) {
        for (size_t i = 0; i < n; i++) {
            deep[i] = '[';
            deep[n + i] = ']';
        }
        size_t used;
        assert_int_equal(skips(deep, 2 * n, 100, &used), n <= 100);
        assert_int_equal(skips(deep, 2 * n, 100000, &used), n <= 512); /* its own limit */
    }
    /* alternating kinds across a word of the stack */
    size_t n = 0;
    for (int i = 0; i < 80; i++) {
        memcpy(deep + n, i % 3 == 0 ? "[" : "{\"k\":", i % 3 == 0 ? 1 : 5);
        n += i % 3 == 0 ? 1 : 5;
    }
    deep[n++] = '1';
    for (int i = 79; i >= 0; i--) {
        deep[n++] = i % 3 == 0 ? ']' : '}';
    }
    size_t used;
    assert_true(skips(deep, n, 80, &used));
    assert_int_equal(used, n);
    assert_false(skips(deep, n, 79, &used));
}

static void utf8(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "ascii",
                                       "é",
                                       "€",
                                       "😀",
                                       "\xC2\x80",
                                       "\xDF\xBF",
                                       "\xE0\xA0\x80",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80",
                                       "\xEF\xBF\xBF",
                                       "\xF0\x90\x80\x80",
                                       "\xF4\x8F\xBF\xBF"};
    static const char *const bad[] = {"\x80",
                                      "\xBF",
                                      "\xC0\x80",
                                      "\xC1\xBF",
                                      "\xC2",
                                      "\xC2\x41",
                                      "\xE0\x9F\x80",
                                      "\xE2\x82",
                                      "\xED\xA0\x80",
                                      "\xED\xBF\xBF",
                                      "\xF0\x8F\x80\x80",
                                      "\xF0\x9F\x98",
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80",
                                      "\xFF",
                                      "\xFE"};
    for (size_t pad = 0; pad < 70; pad++) {
        char text[100];
        for (int which = 0; which < 2; which++) {
            size_t count = which == 0 ? sizeof good / sizeof *good : sizeof bad / sizeof *bad;
            for (size_t i = 0; i < count; i++) {
                const char *s = which == 0 ? good[i] : bad[i];
                memset(text, 'a', pad);
                memcpy(text + pad, s, strlen(s));
                struct trib_view v = exact(text, pad + strlen(s));
                assert_int_equal(trib_utf8_valid(v), which == 0);
                drop(v);
            }
        }
    }
}

static void base64(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *text;
    } known[] = {/* RFC 4648 */
                 {"", ""},
                 {"f", "Zg=="},
                 {"fo", "Zm8="},
                 {"foo", "Zm9v"},
                 {"foob", "Zm9vYg=="},
                 {"fooba", "Zm9vYmE="},
                 {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char to[32];
        trib_base64_encode(trib_view_of(known[i].bytes), to);
        assert_int_equal(trib_base64_size(strlen(known[i].bytes)), strlen(known[i].text));
        assert_memory_equal(to, known[i].text, strlen(known[i].text));
        assert_int_equal(trib_base64_decode(trib_view_of(known[i].text), to), strlen(known[i].bytes));
        assert_memory_equal(to, known[i].bytes, strlen(known[i].bytes));
    }
    for (size_t n = 0; n < 300; n++) { /* all byte values, exact buffers, in place */
        char bytes[300], *text = trib_malloc(trib_base64_size(n));
        for (size_t i = 0; i < n; i++) {
            bytes[i] = (char)(i * 7 + n);
        }
        size_t k = trib_base64_size(n);
        trib_base64_encode((struct trib_view){bytes, n}, text);
        assert_int_equal(trib_base64_decode((struct trib_view){text, k}, text), n);
        assert_memory_equal(text, bytes, n);
        free(text);
    }
    static const char *const bad[] = {"Z",    "Zg",   "Zg=",  "Zg==Zg==", "Zh==",   "Zm9=", "Zm9",          "====",
                                      "Z===", "=g==", "Zg=a", "Z-_=",     "Zm9v\n", "Zm 9", "Zm9vYg==Zm9v", "é==="};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char to[32];
        assert_int_equal(trib_base64_decode(trib_view_of(bad[i]), to), -1);
    }
}

static void takes(void **state)
{
    (void)state;
    struct trib_json c = trib_json_of(TRIB_VIEW_LIT(" \t\r\n{ x"));
    assert_false(trib_json_take(&c, '['));
    assert_true(trib_json_take(&c, '{'));
    assert_true(trib_json_ws(&c));
    assert_int_equal(*c.p, 'x');
    c.p++;
    assert_false(trib_json_ws(&c));
    assert_false(trib_json_take(&c, '}'));
    c = trib_json_of((struct trib_view){NULL, 0});
    assert_false(trib_json_ws(&c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans), cmocka_unit_test(unescapes), cmocka_unit_test(values), cmocka_unit_test(depth),
        cmocka_unit_test(utf8),  cmocka_unit_test(base64),    cmocka_unit_test(takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
