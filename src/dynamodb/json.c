/* JSON scanning primitives (json.h). Pure, no state. */
#include "dynamodb/json.h"

bool trib_json_span_rest(struct trib_json *j, const char *start, struct trib_view *ret_raw, bool *ret_escaped,
                         unsigned *high)
{
    const char *p = j->p;
    bool escaped = false;
    while (p < j->end) {
        if (j->end - p >= 16) {
            unsigned m = trib_json_stops16(p, high);
            p += m == 0 ? 16 : __builtin_ctz(m);
            if (m == 0) {
                continue;
            }
        } else {
            unsigned b = (unsigned char)*p;
            *high |= b & 0x80u;
            if (b > 0x1F && b != '"' && b != '\\') {
                p++;
                continue;
            }
        }
        if (*p == '"') {
            *ret_raw = (struct trib_view){start, (size_t)(p - start)};
            *ret_escaped = escaped;
            j->p = p + 1;
            return true;
        }
        if (*p != '\\' || j->end - p < 2) {
            break;
        }
        escaped = true;
        *high |= (unsigned char)p[1] & 0x80u;
        p += 2;
    }
    j->p = p;
    return false;
}

static int hex4(const char *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        int c = (unsigned char)p[i], d = c >= '0' && c <= '9'   ? c - '0'
                                         : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                                : -1;
        if (d < 0) {
            return -1;
        }
        v = v << 4 | d;
    }
    return v;
}

static char *put_utf8(char *o, uint32_t c)
{
    if (c < 0x80) {
        *o++ = (char)c;
    } else if (c < 0x800) {
        *o++ = (char)(0xC0 | c >> 6);
        *o++ = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *o++ = (char)(0xE0 | c >> 12);
        *o++ = (char)(0x80 | (c >> 6 & 0x3F));
        *o++ = (char)(0x80 | (c & 0x3F));
    } else {
        *o++ = (char)(0xF0 | c >> 18);
        *o++ = (char)(0x80 | (c >> 12 & 0x3F));
        *o++ = (char)(0x80 | (c >> 6 & 0x3F));
        *o++ = (char)(0x80 | (c & 0x3F));
    }
    return o;
}

/* One \uXXXX (or pair); p behind the 'u'. NULL: wrong. */
static const char *unicode_escape(const char *p, const char *end, char **o)
{
    int hi = end - p >= 4 ? hex4(p) : -1;
    if (hi < 0 || (hi >= 0xDC00 && hi <= 0xDFFF)) {
        return NULL;
    }
    p += 4;
    uint32_t c = (uint32_t)hi;
    if (hi >= 0xD800 && hi <= 0xDBFF) {
        int lo = end - p >= 6 && p[0] == '\\' && p[1] == 'u' ? hex4(p + 2) : -1;
        if (lo < 0xDC00 || lo > 0xDFFF) {
            return NULL;
        }
        c = 0x10000 + (((uint32_t)hi - 0xD800) << 10) + ((uint32_t)lo - 0xDC00);
        p += 6;
    }
    *o = put_utf8(*o, c);
    return p;
}

ssize_t trib_json_unescape(struct trib_view raw, char *to)
{
    const char *p = raw.p, *end = raw.p + raw.n;
    char *o = to;
    while (p < end) {
        const char *stop = memchr(p, '\\', (size_t)(end - p));
        size_t n = (size_t)((stop == NULL ? end : stop) - p);
        memmove(o, p, n);
        o += n;
        if (stop == NULL) {
            break;
        }
        if (end - stop < 2) {
            return -1;
        }
        p = stop + 2;
        switch (stop[1]) {
        case '"': *o++ = '"'; break;
        case '\\': *o++ = '\\'; break;
        case '/': *o++ = '/'; break;
        case 'b': *o++ = '\b'; break;
        case 'f': *o++ = '\f'; break;
        case 'n': *o++ = '\n'; break;
        case 'r': *o++ = '\r'; break;
        case 't': *o++ = '\t'; break;
        case 'u':
            p = unicode_escape(p, end, &o);
            if (p == NULL) {
                return -1;
            }
            break;
        default: return -1;
        }
    }
    return o - to;
}

static bool skip_number(struct trib_json *j)
{
    const char *p = j->p, *start;
    p += p < j->end && *p == '-';
    start = p;
    while (p < j->end && *p >= '0' && *p <= '9') {
        p++;
    }
    if (p == start || (*start == '0' && p - start > 1)) {
        return false;
    }
    if (p < j->end && *p == '.') {
        start = ++p;
        while (p < j->end && *p >= '0' && *p <= '9') {
            p++;
        }
        if (p == start) {
            return false;
        }
    }
    if (p < j->end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < j->end && (*p == '+' || *p == '-');
        start = p;
        while (p < j->end && *p >= '0' && *p <= '9') {
            p++;
        }
        if (p == start) {
            return false;
        }
    }
    j->p = p;
    return true;
}

static bool literal(struct trib_json *j, const char *text, size_t n)
{
    if ((size_t)(j->end - j->p) < n || memcmp(j->p, text, n) != 0) {
        return false;
    }
    j->p += n;
    return true;
}

bool trib_json_bool(struct trib_json *j, bool *ret)
{
    if (!trib_json_ws(j)) {
        return false;
    }
    if (literal(j, "true", 4)) {
        *ret = true;
        return true;
    }
    *ret = false;
    return literal(j, "false", 5);
}

static bool skip_scalar(struct trib_json *j)
{
    struct trib_view raw;
    bool escaped;
    switch (*j->p) {
    case '"': return trib_json_text(j, &raw, &escaped);
    case 't': return literal(j, "true", 4);
    case 'f': return literal(j, "false", 5);
    case 'n': return literal(j, "null", 4);
    default: return skip_number(j);
    }
}

enum { MAX_DEPTH = 512 };

/* After a value: closes what ends here, reads `,` and the next member's name. false: wrong. *open: levels still open. */
static bool after_value(struct trib_json *j, const uint64_t *is_object, unsigned *open)
{
    struct trib_view raw;
    bool escaped;
    while (*open > 0) {
        unsigned top = *open - 1;
        bool object = (is_object[top >> 6] >> (top & 63) & 1) != 0;
        if (trib_json_take(j, ',')) {
            return !object || (trib_json_text(j, &raw, &escaped) && trib_json_take(j, ':'));
        }
        if (!trib_json_take(j, object ? '}' : ']')) {
            return false;
        }
        *open = top;
    }
    return true;
}

bool trib_json_skip(struct trib_json *j, unsigned depth, struct trib_view *ret_span)
{
    uint64_t is_object[MAX_DEPTH / 64];
    unsigned open = 0;
    struct trib_view raw;
    bool escaped;
    if (!trib_json_ws(j)) {
        return false;
    }
    const char *start = j->p;
    if (depth > MAX_DEPTH) {
        depth = MAX_DEPTH;
    }
    do {
        if (!trib_json_ws(j)) {
            return false;
        }
        bool object = *j->p == '{';
        if (object || *j->p == '[') {
            if (open == depth) {
                return false;
            }
            j->p++;
            if (trib_json_take(j, object ? '}' : ']')) { /* empty */
                if (!after_value(j, is_object, &open)) {
                    return false;
                }
                continue;
            }
            uint64_t bit = UINT64_C(1) << (open & 63);
            is_object[open >> 6] = (open & 63) == 0 ? (object ? bit : 0)
                                   : object         ? is_object[open >> 6] | bit
                                                    : is_object[open >> 6] & ~bit;
            open++;
            if (object && !(trib_json_text(j, &raw, &escaped) && trib_json_take(j, ':'))) {
                return false;
            }
            continue;
        }
        if (!skip_scalar(j) || !after_value(j, is_object, &open)) {
            return false;
        }
    } while (open > 0);
    if (ret_span != NULL) {
        *ret_span = (struct trib_view){start, (size_t)(j->p - start)};
    }
    return true;
}

bool trib_utf8_valid(struct trib_view v)
{
    const unsigned char *p = (const unsigned char *)v.p, *end = p + v.n;
    while (p < end) {
        if (end - p >= 16) {
            uint64_t w[2];
            memcpy(w, p, sizeof w);
            if (((w[0] | w[1]) & UINT64_C(0x8080808080808080)) == 0) {
                p += 16;
                continue;
            }
        }
        unsigned c = *p;
        if (c < 0x80) {
            p++;
            continue;
        }
        unsigned n = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
        if (c < 0xC2 || c > 0xF4 || (size_t)(end - p) <= n) {
            return false;
        }
        unsigned lo = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80, hi = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
        if (p[1] < lo || p[1] > hi) {
            return false;
        }
        for (unsigned i = 2; i <= n; i++) {
            if ((p[i] & 0xC0) != 0x80) {
                return false;
            }
        }
        p += n + 1;
    }
    return true;
}

#define R16(x) x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x
/* Value of a base64 digit, 64 for every other byte. */
static const unsigned char sextets[256] = {
    R16(64), R16(64), /* control characters */
    64,      64,      64,      64,      64,      64,      64,      64, 64, 64, 64, 62, 64, 64, 64, 63, /* + / */
    52,      53,      54,      55,      56,      57,      58,      59, 60, 61, 64, 64, 64, 64, 64, 64, /* digits */
    64,      0,       1,       2,       3,       4,       5,       6,  7,  8,  9,  10, 11, 12, 13, 14, /* capitals */
    15,      16,      17,      18,      19,      20,      21,      22, 23, 24, 25, 64, 64, 64, 64, 64, 64,
    26,      27,      28,      29,      30,      31,      32,      33, 34, 35, 36, 37, 38, 39, 40, /* small letters */
    41,      42,      43,      44,      45,      46,      47,      48, 49, 50, 51, 64, 64, 64, 64, 64, R16(64),
    R16(64), R16(64), R16(64), R16(64), R16(64), R16(64), R16(64),
};

/* The last four digits, where padding may be. Bytes written, or -1. */
static ssize_t decode_last(const unsigned char *p, char *to)
{
    unsigned pad = p[3] != '=' ? 0 : p[2] == '=' ? 2 : 1;
    unsigned a = sextets[p[0]], b = sextets[p[1]], c = pad == 2 ? 0 : sextets[p[2]], d = pad > 0 ? 0 : sextets[p[3]];
    if (((a | b | c | d) & 64) != 0 || (pad == 2 && (b & 15) != 0) || (pad == 1 && (c & 3) != 0)) {
        return -1;
    }
    to[0] = (char)(a << 2 | b >> 4);
    if (pad < 2) {
        to[1] = (char)(b << 4 | c >> 2);
    }
    if (pad < 1) {
        to[2] = (char)(c << 6 | d);
    }
    return 3 - (ssize_t)pad;
}

ssize_t trib_base64_decode(struct trib_view v, char *to)
{
    if (v.n % 4 != 0) {
        return -1;
    }
    if (v.n == 0) {
        return 0;
    }
    const unsigned char *p = (const unsigned char *)v.p, *last = p + v.n - 4;
    char *o = to;
    for (; p < last; p += 4) {
        unsigned a = sextets[p[0]], b = sextets[p[1]], c = sextets[p[2]], d = sextets[p[3]];
        if (((a | b | c | d) & 64) != 0) {
            return -1;
        }
        *o++ = (char)(a << 2 | b >> 4);
        *o++ = (char)(b << 4 | c >> 2);
        *o++ = (char)(c << 6 | d);
    }
    ssize_t n = decode_last(p, o);
    return n < 0 ? -1 : o - to + n;
}

void trib_base64_encode(struct trib_view v, char *to)
{
    static const char abc[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)v.p;
    for (size_t i = 0; i < v.n; i += 3) {
        size_t n = v.n - i < 3 ? v.n - i : 3;
        uint32_t x = (uint32_t)p[i] << 16 | (n > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (n > 2 ? p[i + 2] : 0);
        *to++ = abc[x >> 18];
        *to++ = abc[x >> 12 & 63];
        *to++ = n > 1 ? abc[x >> 6 & 63] : '=';
        *to++ = n > 2 ? abc[x & 63] : '=';
    }
}
