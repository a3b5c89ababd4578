/* Covers src/dynamodb/number.c and src/dynamodb/sequence.c: known answers, edges, order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/env.h"
#include "dynamodb/change.h"
#include "dynamodb/item.h"

#define NINES38  "99999999999999999999999999999999999999"
#define COUNT(a) (sizeof(a) / sizeof *(a))

static struct trib_number number(const char *text)
{
    struct trib_number n;
    if (!trib_number_parse(trib_view_of(text), &n)) {
        fail_msg("does not parse: %s", text);
    }
    return n;
}

static char *text_of(const struct trib_number *n)
{
    struct trib_buf b;
    trib_buf_init(&b, 1000);
    trib_number_text(n, &b);
    return trib_buf_take(&b);
}

static void canonical_text(void **state)
{
    (void)state;
    static const char *const CASES[][2] = {
        {"0", "0"},
        {"-0", "0"},
        {"+0", "0"},
        {"0.000", "0"},
        {"0e999999999999999999999", "0"},
        {"-0E-5", "0"},
        {"00", "0"},
        {"1", "1"},
        {"+1", "1"},
        {"-1", "-1"},
        {"1.0", "1"},
        {"01", "1"},
        {"1e0", "1"},
        {"1E+0", "1"},
        {"10", "10"},
        {"1E2", "100"},
        {"1e+2", "100"},
        {"100e-2", "1"},
        {".5", "0.5"},
        {"5.", "5"},
        {"0.10", "0.1"},
        {"-12.340", "-12.34"},
        {"00012.5", "12.5"},
        {"1000.0001", "1000.0001"},
        {"0.00001", "0.00001"},
        {"9223372036854775808", "9223372036854775808"},
        {NINES38, NINES38},
        {"-" NINES38, "-" NINES38},
        {NINES38 "0", "9.9999999999999999999999999999999999999E+38"},
        {"1e37", "10000000000000000000000000000000000000"},
        {"1e38", "1E+38"},
        {"12e37", "1.2E+38"},
        {"1e-38", "0.00000000000000000000000000000000000001"},
        {"1e-39", "1E-39"},
        {"1.5e-38", "1.5E-38"},
        {"1E125", "1E+125"},
        {"9.9999999999999999999999999999999999999E+125", "9.9999999999999999999999999999999999999E+125"},
        {"1E-130", "1E-130"},
        {"-1e-130", "-1E-130"},
        {"123456789.123456789", "123456789.123456789"},
        {"0.0000000000000000000000000000000000000000000000000000000000001e61", "1"},
        {"1000000000000000000000000000000000000000000000000000000000000e-60", "1"},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct trib_number n = number(CASES[i][0]);
        TRIB_CLEANUP(trib_cleanup_free) char *t = text_of(&n);
        assert_string_equal(t, CASES[i][1]);
        struct trib_number again = number(t);
        assert_int_equal(trib_number_cmp(&n, &again), 0);
        if (n.n_digits > 0) {
            assert_true(n.digits[0] != '0' && n.digits[n.n_digits - 1] != '0');
        }
    }
}

static void rejected(void **state)
{
    (void)state;
    static const char *const CASES[] = {
        "",
        "-",
        "+",
        ".",
        "-.",
        "e5",
        "1e",
        "1e+",
        "1e-",
        "--1",
        "+-1",
        "1..0",
        "1.0.0",
        "1e5.0",
        "1e5e5",
        " 1",
        "1 ",
        "1,0",
        "0x1",
        "NaN",
        "Infinity",
        "-inf",
        "1_000",
        "1f",
        "\xd9\xa1",
        "1e126",
        "10e125",
        "1e-131",
        "0.1e-130",
        "9" NINES38,
        "1." NINES38,
        "-1" NINES38,
        "1e99999999999999999999",
        "1e-99999999999999999999",
        "1e9223372036854775807",
        "1e-9223372036854775808",
        "1e4294967296",
        "100000000000000000000000000000000000000000000001",
        "1.00000000000000000000000000000000000000000000000001",
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct trib_number n = {.n_digits = 77};
        if (trib_number_parse(trib_view_of(CASES[i]), &n)) {
            fail_msg("accepted: %s", CASES[i]);
        }
        assert_int_equal(n.n_digits, 77); /* untouched */
    }
    struct trib_number n;
    assert_false(trib_number_parse((struct trib_view){"1\0002", 3}, &n));
    assert_false(trib_number_parse((struct trib_view){NULL, 0}, &n));
    /* a megabyte of zeros around one digit is still a number */
    char *big = trib_malloc(2000002);
    memset(big, '0', 2000002);
    big[1000000] = '7';
    big[1000001] = '.';
    assert_true(trib_number_parse((struct trib_view){big, 2000002}, &n));
    assert_int_equal(n.n_digits, 1);
    assert_int_equal(n.exponent, 0);
    free(big);
}

static void to_i64(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool fits;
        int64_t v;
    } CASES[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"1.0", true, 1},
        {"1e2", true, 100},
        {"-42", true, -42},
        {"0.5", false, 0},
        {"9223372036854775807", true, INT64_MAX},
        {"9223372036854775808", false, 0},
        {"-9223372036854775808", true, INT64_MIN},
        {"-9223372036854775809", false, 0},
        {"1e18", true, 1000000000000000000},
        {"1e19", false, 0},
        {"1e125", false, 0},
        {"9999999999999999999", false, 0},
        {"1e-1", false, 0},
        {"922337203685477580.7e1", true, INT64_MAX},
        {NINES38, false, 0},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct trib_number n = number(CASES[i].text);
        int64_t v = -77;
        assert_int_equal(trib_number_to_i64(&n, &v), CASES[i].fits);
        assert_true(v == (CASES[i].fits ? CASES[i].v : -77));
    }
}

static void to_decimal(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned p, s;
        bool fits;
        int64_t hi;
        uint64_t lo;
    } CASES[] = {
        {"0", 38, 18, true, 0, 0},
        {"1", 38, 18, true, 0, 1000000000000000000u},
        {"-1", 38, 18, true, -1, 0xf21f494c589c0000u},
        {"0.000000000000000001", 38, 18, true, 0, 1},
        {"0.0000000000000000001", 38, 18, false, 0, 0},
        {"99999999999999999999", 38, 18, true, 0x4b3b4ca85a86c479, 0xfba96b8c589c0000u},
        {"100000000000000000000", 38, 18, false, 0, 0},
        {"12.34", 4, 2, true, 0, 1234},
        {"123.4", 4, 2, false, 0, 0},
        {"12.345", 5, 2, false, 0, 0},
        {"-99.99", 4, 2, true, -1, (uint64_t)-9999},
        {NINES38, 38, 0, true, 0x4b3b4ca85a86c47a, 0x098a223fffffffffu},
        {"-" NINES38, 38, 0, true, ~0x4b3b4ca85a86c47a, 0xf675ddc000000001u},
        {"1e37", 38, 0, true, 0x785ee10d5da46d9, 0x00f436a000000000u},
        {"1e38", 38, 0, false, 0, 0},
        {"1E125", 38, 0, false, 0, 0},
        {"1E-130", 38, 38, false, 0, 0},
        {"1", 1, 1, false, 0, 0},
        {"0.1", 1, 1, true, 0, 1},
        {"1", 39, 0, false, 0, 0},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct trib_number n = number(CASES[i].text);
        uint64_t lo = 77;
        int64_t hi = 77;
        if (trib_number_to_decimal(&n, CASES[i].p, CASES[i].s, &lo, &hi) != CASES[i].fits) {
            fail_msg("decimal(%u,%u) of %s", CASES[i].p, CASES[i].s, CASES[i].text);
        }
        if (CASES[i].fits) {
            assert_true(lo == CASES[i].lo && hi == CASES[i].hi);
        } else {
            assert_true(lo == 77 && hi == 77);
        }
    }
}

static void to_double(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool fits;
        double v;
    } CASES[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"1", true, 1},
        {"0.1", true, 0.1},
        {"-3.14", true, -3.14},
        {"1E125", true, 1e125},
        {"1E-130", true, 1e-130},
        {"0.30000000000000004", true, 0.30000000000000004},
        {"0.3000000000000000", true, 0.3},
        {"0.30000000000000003", false, 0},
        {"9007199254740992", true, 9007199254740992.0},
        {"9007199254740993", false, 0},
        {"9007199254740994", true, 9007199254740994.0},
        {"123456789012345678", false, 0},
        {"12345678901234568", true, 12345678901234568.0},
        {"123456789012345680", true, 123456789012345680.0},
        {"1.7976931348623157E+100", true, 1.7976931348623157E+100},
        {"5.684341886080802e-14", true, 0x1p-44},
        {"5.6843418860808015e-14", false, 0},
        {"5.684341886080801e-14", true, 5.684341886080801e-14},
        {NINES38, false, 0},
        {"9.9999999999999999999999999999999999999E+125", false, 0},
        {"999999999999999e22", true, 999999999999999e22},
        {"999999999999999e23", true, 999999999999999e23},
        {"123456789012345e-22", true, 123456789012345e-22},
        {"9.5367431640625e-7", true, 0x1p-20},
        {"2.2250738585072013e-100", true, 2.2250738585072013e-100},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct trib_number n = number(CASES[i].text);
        double v = 77;
        if (trib_number_to_double(&n, &v) != CASES[i].fits) {
            fail_msg("double of %s", CASES[i].text);
        }
        assert_true(v == (CASES[i].fits ? CASES[i].v : 77));
    }
    double zero = 1;
    struct trib_number n = number("-0");
    assert_true(trib_number_to_double(&n, &zero));
    assert_false(__builtin_signbit(zero));
}

static void of_double(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *text; /* NULL: no N can be it */
    } CASES[] = {
        {0, "0"},
        {-0.0, "0"},
        {0.1, "0.1"},
        {-2.5e-7, "-0.00000025"},
        {1e22, "10000000000000000000000"},
        {5.684341886080802e-14, "0.00000000000005684341886080802"}, /* 2^-44: "%.17g" has it one digit longer */
        {1e125, "1E+125"},
        {1e126, "9.999999999999999E+125"}, /* its shortest text is no N */
        {2e126, NULL},
        {1e-131, NULL},
        {__builtin_inf(), NULL},
        {__builtin_nan(""), NULL},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct trib_number n;
        assert_int_equal(trib_number_of_double(CASES[i].v, &n), CASES[i].text != NULL);
        if (CASES[i].text != NULL) {
            char *got = text_of(&n);
            assert_string_equal(got, CASES[i].text);
            free(got);
        }
    }
}

/* Every double's shortest text must come back, and one digit off must not. */
static void doubles_round_trip(void **state)
{
    (void)state;
    struct trib_seeded rng;
    trib_seeded_init(&rng, 7);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = trib_seeded_next(&rng);
        /* binary exponents -430 … 414: within 1e-130 … 1e125; every fourth is a power of two */
        bits = (bits & 0x800fffffffffffffu) | ((uint64_t)(1023 - 430 + trib_seeded_below(&rng, 844)) << 52);
        bits &= i % 4 == 0 ? 0xfff0000000000000u : ~UINT64_C(0);
        double v, back = 0;
        memcpy(&v, &bits, sizeof v);
        char text[64], longer[64];
        int precision = 15;
        do { /* powers of two have a shorter text at times: then this one is not it, which the library must see */
            (void)snprintf(text, sizeof text, "%.*e", precision - 1, v);
        } while (strtod(text, NULL) != v && ++precision < 18);
        struct trib_number n = number(text);
        bool fits = trib_number_to_double(&n, &back);
        if (fits) {
            assert_true(back == v);
        } else {
            assert_true((bits & 0xfffffffffffffu) == 0); /* powers of two only */
        }
        (void)snprintf(longer, sizeof longer, "%.16e", v);
        struct trib_number m = number(longer);
        if (trib_number_to_double(&m, &back) && trib_number_cmp(&m, &n) != 0) {
            fail_msg("both %s and %s are the text of one double", text, longer);
        }
    }
}

static const char *const ORDERED[] = {
    "-9.9999999999999999999999999999999999999E+125",
    "-1E125",
    "-" NINES38,
    "-1000",
    "-100.5",
    "-100",
    "-99.99",
    "-12",
    "-11",
    "-10.5",
    "-10",
    "-1.5",
    "-1.25",
    "-1.2",
    "-1.1",
    "-1",
    "-0.5",
    "-0.11",
    "-0.1",
    "-1E-129",
    "-1.1E-130",
    "-1E-130",
    "0",
    "1E-130",
    "1.1E-130",
    "1E-129",
    "0.1",
    "0.11",
    "0.5",
    "1",
    "1.1",
    "1.2",
    "1.25",
    "1.5",
    "9",
    "10",
    "10.5",
    "11",
    "12",
    "99.99",
    "100",
    "100.5",
    "1000",
    "9007199254740992",
    "9007199254740993",
    NINES38,
    "1E125",
    "9.9999999999999999999999999999999999999E+125",
};

static void order(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ORDERED); i++) {
        for (size_t j = 0; j < COUNT(ORDERED); j++) {
            struct trib_number a = number(ORDERED[i]), b = number(ORDERED[j]);
            assert_int_equal(trib_number_cmp(&a, &b), (i > j) - (i < j));
        }
    }
}

static void sequences(void **state)
{
    (void)state;
    char to[TRIB_SEQUENCE_LEN + 1];
    struct trib_err err;
    assert_int_equal(trib_sequence_format(to, 1, 0xABCD, trib_view_of("300000000000000499659"), &err), 0);
    assert_string_equal(to, "0001-0000abcd-0000000000000000000300000000000000499659");
    assert_int_equal(
        trib_sequence_format(to, 0xffff, UINT32_MAX, trib_view_of("9999999999999999999999999999999999999999"), &err),
        0);
    assert_string_equal(to, "ffff-ffffffff-9999999999999999999999999999999999999999");
    assert_int_equal(
        trib_sequence_format(to, 0, 0, trib_view_of("00000000000000000000000000000000000000000000000000007"), &err), 0);
    assert_string_equal(to, "0000-00000000-0000000000000000000000000000000000000007");
    assert_int_equal(trib_sequence_format(to, 0, 0, trib_view_of("10000000000000000000000000000000000000000"), &err),
                     TRIB_E_DATA);
    assert_int_equal(trib_sequence_format(to, 0, 0, trib_view_of(""), &err), TRIB_E_DATA);
    assert_int_equal(trib_sequence_format(to, 0, 0, trib_view_of("12x"), &err), TRIB_E_DATA);
    assert_int_equal(trib_sequence_format(to, 0x10000, 0, trib_view_of("1"), &err), TRIB_E_LIMIT);
    assert_string_equal(to, "0000-00000000-0000000000000000000000000000000000000007"); /* untouched */
    trib_sequence_format_us(to, 1, 0, 1719039879869591);
    assert_string_equal(to, "0001-00000000-0000000000000000000000001719039879869591");
    trib_sequence_format_us(to, 1, 1, INT64_MAX);
    assert_string_equal(to, "0001-00000001-0000000000000000000009223372036854775807");
    trib_sequence_format_us(to, 1, 1, -5);
    assert_string_equal(to, "0001-00000001-0000000000000000000000000000000000000000");
}

static const char SEQ[] = "0001-00000001-0000000000000000000000001719039879869591";

static char *user(enum trib_attr_type type, struct trib_view value, const char *sequence)
{
    struct trib_buf b;
    trib_buf_init(&b, 4096);
    trib_buf_adds(&b, "0001-");
    assert_true(trib_sequence_version(type, value, &b));
    trib_buf_addf(&b, "-%s", sequence);
    return trib_buf_take(&b);
}

static void user_sequences(void **state)
{
    (void)state;
    static const struct {
        enum trib_attr_type type;
        const char *value, *want;
    } CASES[] = {
        {TRIB_A_N, "0", "n1"},
        {TRIB_A_N, "-0.0", "n1"},
        {TRIB_A_N, "1", "n21301"},
        {TRIB_A_N, "1.00", "n21301"},
        {TRIB_A_N, "12", "n213112"},
        {TRIB_A_N, "0.5", "n21295"},
        {TRIB_A_N, "-1", "n08698~"},
        {TRIB_A_N, "-12", "n086887~"},
        {TRIB_A_N, "1e125", "n22551"},
        {TRIB_A_N, "1e-130", "n20001"},
        {TRIB_A_S, "", "s"},
        {TRIB_A_S, "2024-05-01", "s2024.2d05.2d01"},
        {TRIB_A_S, "a.b/c é", "sa.2eb/c.20é"},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        TRIB_CLEANUP(trib_cleanup_free) char *got = user(CASES[i].type, trib_view_of(CASES[i].value), SEQ);
        TRIB_CLEANUP(trib_cleanup_free) char *want = trib_asprintf("0001-%s-%s", CASES[i].want, SEQ);
        assert_string_equal(got, want);
    }
    struct trib_buf b;
    struct trib_err err;
    trib_buf_init(&b, 4096);
    assert_false(trib_sequence_version(TRIB_A_N, trib_view_of("x"), &b));
    assert_false(trib_sequence_version(TRIB_A_BOOL, trib_view_of("true"), &b));
    assert_false(trib_sequence_version(TRIB_A_B, trib_view_of("AA=="), &b));
    assert_int_equal(b.n, 0);
    trib_buf_free(&b);
    trib_buf_init(&b, 8); /* the buffer's own limit is told, not ignored */
    assert_true(trib_sequence_version(TRIB_A_S, trib_view_of("a long version that does not fit"), &b));
    assert_int_equal(trib_buf_check(&b, "version", &err), TRIB_E_LIMIT);
    trib_buf_free(&b);
}

/* The user's version decides before the stream's text does, whatever that is. */
static void user_sequences_order(void **state)
{
    (void)state;
    static const struct trib_view TEXTS[] = {
        {"", 0},
        {"\0", 1},
        {"\0\0", 2},
        {"\0a", 2},
        {"\x01", 1},
        {" ", 1},
        {"!", 1},
        {",", 1},
        {"-", 1},
        {"--", 2},
        {"-a", 2},
        {".", 1},
        {"..", 2},
        {".2d", 3},
        {"/", 1},
        {"0", 1},
        {"00", 2},
        {"2024-01-01", 10},
        {"2024-01-01T00", 13},
        {"2024-01-02", 10},
        {"a", 1},
        {"a\0", 2},
        {"a\0b", 3},
        {"a-", 2},
        {"a-b", 3},
        {"aa", 2},
        {"~", 1},
        {"\x7f", 1},
        {"\xc2\x80", 2},
        {"\xc3\xa9", 2},
        {"\xf0\x9f\x98\x80", 4},
    };
    enum { NUMBERS = COUNT(ORDERED), ALL = NUMBERS + COUNT(TEXTS) };
    static const char LATE[] = "0001-ffffffff-9999999999999999999999999999999999999999";
    for (size_t i = 0; i < ALL; i++) {
        for (size_t j = 0; j < ALL; j++) {
            TRIB_CLEANUP(trib_cleanup_free)
            char *a =
                i < NUMBERS ? user(TRIB_A_N, trib_view_of(ORDERED[i]), LATE) : user(TRIB_A_S, TEXTS[i - NUMBERS], LATE);
            TRIB_CLEANUP(trib_cleanup_free)
            char *b =
                j < NUMBERS ? user(TRIB_A_N, trib_view_of(ORDERED[j]), SEQ) : user(TRIB_A_S, TEXTS[j - NUMBERS], SEQ);
            int c = strcmp(a, b);
            if ((c > 0) - (c < 0) != (i >= j ? 1 : -1)) {
                fail_msg("order of %s and %s", a, b);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_text),
        cmocka_unit_test(rejected),
        cmocka_unit_test(to_i64),
        cmocka_unit_test(to_decimal),
        cmocka_unit_test(to_double),
        cmocka_unit_test(of_double),
        cmocka_unit_test(doubles_round_trip),
        cmocka_unit_test(order),
        cmocka_unit_test(sequences),
        cmocka_unit_test(user_sequences),
        cmocka_unit_test(user_sequences_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
