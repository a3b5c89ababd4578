/* Random items; see item_random.h. */
#include "support/item_random.h"

#include <stdio.h>

#include "dynamodb/json.h"

static const char *const names[] = {
    "name",
    "qty",
    "price",
    "Name",
    "a",
    "A",
    "a.b",
    "b",
    "with space",
    "with_space",
    "semi;colon,{x}(y)=z",
    "q\"uo\\te",
    "tab\tnl\n",
    "\x01",
    "ünïcode😀",
    "É",
    "é",
    "_sequence",
    "_rescued_data",
    "S",
    "N",
    "M",
    "a_very_long_attribute_name_of_more_than_forty_bytes",
    "x",
};
enum { N_NAMES = sizeof names / sizeof names[0] };

static const char *const texts[] = {
    "",
    "plain",
    " lead",
    "naïve café",
    "日本語",
    "😀 𝄞",
    "quote \" inside",
    "back\\slash \\u0041 \\n",
    "tab\tnew\nline\r",
    "\x01\x1f\x7f",
    "{\"S\":\"x\"}",
    "null",
    "NaN",
    "2024-02-30",
    "2024-02-29",
    "1e5",
    "0123456789ab",
    "0123456789abc",
    "true",
    "2024-05-01T10:00:00Z",
    "2024-05-01T10:00:00.250Z",
    "12.50",
    "007",
    "-5",
    "9223372036854775808",
    "a text of forty bytes and a few more of them: é",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
};
enum { N_TEXTS = sizeof texts / sizeof texts[0] };

static const char *const numbers[] = {
    "0",
    "-0",
    "1",
    "1.0",
    "-1",
    "42",
    "007",
    "+5",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "99999999999999999999999999999999999999",
    "-12345678901234567890123456789012345678",
    "0.1",
    "3.14",
    "1E+125",
    "1E-130",
    "-9.9999999999999999999999999999999999999E+125",
    "1.23456789012345678901234567890123456789E-10",
    "0.30000000000000004",
    "9007199254740993",
    "123456789.123456789",
    "1E2",
    "100",
    "1e0",
    ".5",
    "5.",
    "12345678901234567890.123456789012345678",
    "99999999999999999999.999999999999999999",
    "0.000000000000000001",
    "0.0000000000000000001",
    "999999999999999999",
    "-00.10",
    "1714000000",
    "1714000000.5",
    "16777217",
    "0.1e1",
};
enum { N_NUMBERS = sizeof numbers / sizeof numbers[0] };

enum kind {
    S,
    INT,
    DEC,
    NUM,
    B,
    BOOL,
    NUL,
    M,
    L_S,
    L_N,
    L_M,
    L_L,
    L_MIXED,
    SS,
    NS,
    NSI,
    BS,
    EMPTY_M,
    EMPTY_L,
    L_BOOL,
    L_B,
    L_SS,
    N_KINDS
};

void test_items_init(struct test_items *t, uint64_t seed)
{
    *t = (struct test_items){.world = seed * 0x9E3779B97F4A7C15, .strange = 12};
    trib_seeded_init(&t->rng, seed);
    t->plain = trib_seeded_below(&t->rng, 2) == 0;
}

static uint64_t below(struct test_items *t, uint64_t n) { return trib_seeded_below(&t->rng, n); }
static bool chance(struct test_items *t, unsigned percent) { return below(t, 100) < percent; }

/* The usual kind of a path in this world. */
static enum kind usual(const struct test_items *t, uint64_t path)
{
    uint64_t h = (t->world ^ path) * 0xBF58476D1CE4E5B9;
    h ^= h >> 31;
    return (enum kind)(h % N_KINDS);
}

static void blank(struct test_items *t, struct trib_buf *to)
{
    static const char *const blanks[] = {" ", "  ", "\t", "\n", "\r\n"};
    if (!t->plain && chance(t, 15)) {
        trib_buf_adds(to, blanks[below(t, 5)]);
    }
}

/* A JSON string; at times with escapes that nobody needs. */
static void put_text(struct test_items *t, struct trib_view v, struct trib_buf *to)
{
    if (t->plain || !chance(t, 25)) {
        trib_json_string(to, v);
        return;
    }
    trib_buf_addc(to, '"');
    for (size_t i = 0; i < v.n; i++) {
        unsigned char c = (unsigned char)v.p[i];
        if (c < 0x80 && (c < 0x20 || c == '"' || c == '\\' || chance(t, 30))) {
            trib_buf_addf(to, chance(t, 50) ? "\\u%04x" : "\\u%04X", c);
        } else if (c == 0xF0 && v.n - i >= 4 && chance(t, 50)) {
            unsigned cp = (c & 7u) << 18 | ((unsigned char)v.p[i + 1] & 63u) << 12 |
                          ((unsigned char)v.p[i + 2] & 63u) << 6 | ((unsigned char)v.p[i + 3] & 63u);
            trib_buf_addf(to, "\\u%04x\\u%04x", 0xD800 + ((cp - 0x10000) >> 10), 0xDC00 + ((cp - 0x10000) & 0x3FF));
            i += 3;
        } else {
            trib_buf_addc(to, (char)c);
        }
    }
    trib_buf_addc(to, '"');
}

static void put_string(struct test_items *t, struct trib_buf *to)
{
    if (chance(t, 60)) {
        put_text(t, trib_view_of(texts[below(t, N_TEXTS)]), to);
        return;
    }
    char text[64];
    size_t n = below(t, 40);
    for (size_t i = 0; i < n; i++) {
        text[i] = (char)('a' + below(t, 26));
    }
    if (n > 2 && chance(t, 5)) {
        text[1] = '\0';
    }
    put_text(t, (struct trib_view){text, n}, to);
}

static void put_number(struct test_items *t, enum kind k, struct trib_buf *to)
{
    char text[64];
    uint64_t x = below(t, 1000000);
    if (k == INT || k == NSI) {
        (void)snprintf(text, sizeof text, "%s%llu", chance(t, 20) && x > 0 ? "-" : "", (unsigned long long)x);
    } else if (k == DEC || (k == NS && chance(t, 50))) {
        (void)snprintf(text, sizeof text, "%llu.%02llu", (unsigned long long)x, (unsigned long long)below(t, 100));
    } else {
        (void)snprintf(text, sizeof text, "%s", numbers[below(t, N_NUMBERS)]);
    }
    put_text(t, trib_view_of(text), to);
}

static void put_binary(struct test_items *t, struct trib_buf *to)
{
    char bytes[24], once[40], again[64];
    size_t n = below(t, 3) == 0 ? 0 : below(t, sizeof bytes);
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (char)below(t, 256);
    }
    size_t m = trib_base64_size(n);
    trib_base64_encode((struct trib_view){bytes, n}, once);
    struct trib_view v = {once, m};
    if (t->twice) {
        trib_base64_encode(v, again);
        v = (struct trib_view){again, trib_base64_size(m)};
    }
    put_text(t, v, to);
}

static void put_value(struct test_items *t, enum kind k, uint64_t path, unsigned depth, struct trib_buf *to);

static void put_map(struct test_items *t, uint64_t path, unsigned depth, bool top, struct trib_buf *to)
{
    trib_buf_addc(to, '{');
    size_t n = 0;
    if (top) {
        trib_buf_addf(to, "\"pk\":{\"S\":\"k%llu\"}", (unsigned long long)below(t, 1000));
        n++;
    }
    size_t first = t->plain ? 0 : below(t, N_NAMES);
    unsigned likely = top ? 45 : 15;
    for (size_t i = 0; i < N_NAMES; i++) {
        size_t at = (first + i) % N_NAMES;
        if (!chance(t, likely)) {
            continue;
        }
        trib_buf_adds(to, n++ > 0 ? "," : "");
        blank(t, to);
        put_text(t, trib_view_of(names[at]), to);
        blank(t, to);
        trib_buf_addc(to, ':');
        uint64_t below_path = path * 131 + at + 1;
        enum kind k = chance(t, t->strange) ? (enum kind)below(t, N_KINDS) : usual(t, below_path);
        put_value(t, k, below_path, depth, to);
        blank(t, to);
    }
    trib_buf_addc(to, '}');
}

static void put_list(struct test_items *t, enum kind k, uint64_t path, unsigned depth, struct trib_buf *to)
{
    trib_buf_addc(to, '[');
    for (size_t i = 0, n = below(t, 5); i < n; i++) {
        trib_buf_adds(to, i > 0 ? "," : "");
        blank(t, to);
        enum kind e = k == L_S      ? S
                      : k == L_N    ? INT
                      : k == L_M    ? M
                      : k == L_BOOL ? BOOL
                      : k == L_B    ? B
                      : k == L_SS   ? SS
                      : k == L_L    ? L_N
                                    : (enum kind)below(t, N_KINDS);
        e = chance(t, 6) ? NUL : chance(t, t->strange / 4) ? (enum kind)below(t, N_KINDS) : e;
        put_value(t, e, path * 131 + 77, depth, to);
        blank(t, to);
    }
    trib_buf_addc(to, ']');
}

/* Elements differ by construction: a running number is in each. */
static void put_set(struct test_items *t, enum kind k, struct trib_buf *to)
{
    trib_buf_addc(to, '[');
    uint64_t base = below(t, 50);
    for (size_t i = 0, n = 1 + below(t, 5); i < n; i++) {
        char text[64];
        trib_buf_adds(to, i > 0 ? "," : "");
        blank(t, to);
        uint64_t x = (base * 7 + i * 37) % 101;
        if (k == SS) {
            (void)snprintf(text, sizeof text, "%s%llu", i % 2 == 0 ? "é" : "a long element ", (unsigned long long)x);
        } else if (k == BS) {
            char byte = (char)x, once[8], again[16];
            trib_base64_encode((struct trib_view){&byte, 1}, once);
            trib_base64_encode((struct trib_view){once, 4}, again);
            (void)snprintf(text, sizeof text, "%.*s", t->twice ? 8 : 4, t->twice ? again : once);
        } else {
            (void)snprintf(text, sizeof text,
                           k == NSI || chance(t, 60) ? "%llu"
                           : chance(t, 50)           ? "-%llu.5"
                                                     : "%llu1E+30",
                           (unsigned long long)x);
        }
        put_text(t, trib_view_of(text), to);
    }
    trib_buf_addc(to, ']');
}

static void put_value(struct test_items *t, enum kind k, uint64_t path, unsigned depth, struct trib_buf *to)
{
    static const char *const types[N_KINDS] = {"S", "N", "N",  "N",  "B",  "BOOL", "NULL", "M", "L", "L", "L",
                                               "L", "L", "SS", "NS", "NS", "BS",   "M",    "L", "L", "L", "L"};
    if (depth == 0 && (k == M || (k >= L_S && k <= L_MIXED))) {
        k = S;
    }
    blank(t, to);
    trib_buf_addc(to, '{');
    blank(t, to);
    trib_buf_addf(to, "\"%s\"", types[k]);
    blank(t, to);
    trib_buf_addc(to, ':');
    blank(t, to);
    switch (k) {
    case S: put_string(t, to); break;
    case INT:
    case DEC:
    case NUM: put_number(t, k, to); break;
    case B: put_binary(t, to); break;
    case BOOL: trib_buf_adds(to, chance(t, 50) ? "true" : "false"); break;
    case NUL: trib_buf_adds(to, "true"); break;
    case M: put_map(t, path, depth - 1, false, to); break;
    case SS:
    case NS:
    case NSI:
    case BS: put_set(t, k, to); break;
    case EMPTY_M: trib_buf_adds(to, "{}"); break;
    case EMPTY_L: trib_buf_adds(to, "[]"); break;
    default: put_list(t, k, path, depth == 0 ? 0 : depth - 1, to); break;
    }
    blank(t, to);
    trib_buf_addc(to, '}');
}

void test_item_random(struct test_items *t, struct trib_buf *to) { put_map(t, 1, 4, true, to); }
