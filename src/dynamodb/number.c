/*
 * DynamoDB's numbers, exact: up to 38 significant decimal digits, no doubles on the way.
 *
 * Owns the grammar of N and its conversions (integer, decimal, double, canonical text, order). Never touches the locale:
 * strtod sees digits and an exponent only, never a radix character. Pure; any thread; nothing to leave behind.
 */
#include <stdio.h>
#include <stdlib.h>

#include "dynamodb/item.h"

enum {
    MAX_DIGITS = 38,
    MAX_ADJUSTED = 125,  /* 9.99…e125 */
    MIN_ADJUSTED = -130, /* 1e-130 */
    MAX_PLAIN = 38,      /* canonical text is plain while neither side of the point is longer */
    EXPONENT_CAP = 1 << 28,
};

__extension__ typedef unsigned __int128 u128;

static inline bool is_digit(char c) { return (unsigned char)(c - '0') < 10; }

/* The part behind e or E; *p stands behind that letter. Huge exponents saturate: they are out of range, or multiply zero. */
static bool parse_exponent(const char **p, const char *end, int64_t *ret)
{
    const char *s = *p;
    bool negative = false;
    if (s < end && (*s == '+' || *s == '-')) {
        negative = *s == '-';
        s++;
    }
    if (s == end) {
        return false;
    }
    int64_t e = 0;
    for (; s < end && is_digit(*s); s++) {
        e = e < EXPONENT_CAP ? e * 10 + (*s - '0') : e;
    }
    *ret = negative ? -e : e;
    *p = s;
    return true;
}

bool trib_number_parse(struct trib_view text, struct trib_number *ret)
{
    struct trib_number n = {0};
    if (text.n == 0) {
        return false; /* an empty view may be NULL */
    }
    const char *p = text.p, *end = text.p + text.n;
    if (*p == '-' || *p == '+') {
        n.negative = *p == '-';
        p++;
    }
    /* zeros: those seen since the last significant digit; they count once another one follows */
    size_t zeros = 0, places = 0, seen = 0;
    bool point = false;
    for (; p < end; p++) {
        if (is_digit(*p)) {
            seen++;
            places += point;
            if (*p == '0') {
                zeros += n.n_digits > 0;
                continue;
            }
            if (zeros + 1 > (size_t)(MAX_DIGITS - n.n_digits)) {
                return false;
            }
            memset(n.digits + n.n_digits, '0', zeros);
            n.digits[n.n_digits + zeros] = *p;
            n.n_digits = (uint8_t)(n.n_digits + zeros + 1);
            zeros = 0;
        } else if (*p == '.' && !point) {
            point = true;
        } else {
            break;
        }
    }
    int64_t e = 0;
    if (seen == 0) {
        return false;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (!parse_exponent(&p, end, &e)) {
            return false;
        }
    }
    if (p != end) {
        return false;
    }
    if (n.n_digits == 0) {
        *ret = (struct trib_number){0};
        return true;
    }
    e += (int64_t)zeros - (int64_t)places;
    int64_t adjusted = e + n.n_digits - 1;
    if (adjusted > MAX_ADJUSTED || adjusted < MIN_ADJUSTED) {
        return false;
    }
    n.exponent = (int32_t)e;
    *ret = n;
    return true;
}

/* digits * 10^shift; the caller knows that the product has at most 38 digits. */
static u128 unscaled(const struct trib_number *n, int32_t shift)
{
    u128 v = 0;
    for (unsigned i = 0; i < n->n_digits; i++) {
        v = v * 10 + (unsigned)(n->digits[i] - '0');
    }
    for (; shift > 0; shift--) {
        v *= 10;
    }
    return v;
}

bool trib_number_to_i64(const struct trib_number *n, int64_t *ret)
{
    if (n->n_digits == 0) {
        *ret = 0;
        return true;
    }
    if (n->exponent < 0 || n->exponent + n->n_digits > 19) {
        return false;
    }
    u128 v = unscaled(n, n->exponent);
    u128 most = (u128)INT64_MAX + (n->negative ? 1 : 0);
    if (v > most) {
        return false;
    }
    *ret = n->negative ? (int64_t)(0 - (uint64_t)v) : (int64_t)v;
    return true;
}

bool trib_number_to_decimal(const struct trib_number *n, unsigned precision, unsigned scale, uint64_t *ret_lo,
                            int64_t *ret_hi)
{
    u128 v = 0;
    if (n->n_digits > 0) {
        int32_t shift = n->exponent + (int32_t)scale;
        if (shift < 0 || shift + n->n_digits > (int32_t)precision || precision > MAX_DIGITS) {
            return false;
        }
        v = unscaled(n, shift);
        v = n->negative ? 0 - v : v;
    }
    *ret_lo = (uint64_t)v;
    *ret_hi = (int64_t)(uint64_t)(v >> 64);
    return true;
}

/* Correctly rounded. The text has no radix character, so the locale has no say. */
static double round_to_double(const struct trib_number *n)
{
    char text[MAX_DIGITS + 16];
    (void)snprintf(text, sizeof text, "%s%.*se%d", n->negative ? "-" : "", (int)n->n_digits, n->digits,
                   (int)n->exponent);
    return strtod(text, NULL);
}

/* The significant digits of v at this precision, correctly rounded, as a number. */
static void digits_of(double v, int precision, struct trib_number *ret)
{
    char text[64], plain[64];
    (void)snprintf(text, sizeof text, "%.*e", precision - 1, v);
    /* drops the radix character, whatever it is in this locale, and makes up for it in the exponent */
    size_t n = 0;
    const char *p = text;
    for (; *p != '\0' && *p != 'e'; p++) {
        if (is_digit(*p) || *p == '-') {
            plain[n++] = *p;
        }
    }
    long e = strtol(*p == 'e' ? p + 1 : p, NULL, 10) - (precision - 1);
    (void)snprintf(plain + n, sizeof plain - n, "e%ld", e);
    if (!trib_number_parse(trib_view_of(plain), ret)) {
        *ret = (struct trib_number){0};
    }
}

/* The neighbour of n with one more unit in its last place of `precision` digits. */
static void next_up(const struct trib_number *n, int precision, struct trib_number *ret)
{
    struct trib_number up = *n;
    memset(up.digits + up.n_digits, '0', (size_t)precision - up.n_digits);
    up.exponent -= precision - up.n_digits;
    int i = precision - 1;
    for (; i >= 0 && up.digits[i] == '9'; i--) {
        up.digits[i] = '0';
    }
    if (i >= 0) {
        up.digits[i]++;
    } else {
        up.digits[0] = '1';
        up.exponent++;
    }
    up.n_digits = (uint8_t)precision;
    while (up.n_digits > 0 && up.digits[up.n_digits - 1] == '0') {
        up.n_digits--;
        up.exponent++;
    }
    *ret = up;
}

/*
 * The shortest decimal that rounds to v; of several, the one nearest to v. The nearest decimal of a precision is it,
 * but for powers of two: the gap below them is half as wide, so that the nearest may fall out below where the next
 * one above still rounds to v (2^-44 is 5.684341886080802e-14).
 */
static void shortest(double v, struct trib_number *ret)
{
    for (int precision = 15; precision <= 17; precision++) {
        struct trib_number near, up;
        digits_of(v, precision, &near);
        if (round_to_double(&near) == v) {
            *ret = near;
            return;
        }
        next_up(&near, precision, &up);
        if (round_to_double(&up) == v) {
            *ret = up;
            return;
        }
    }
    digits_of(v, 17, ret);
}

bool trib_number_of_double(double v, struct trib_number *ret)
{
    if (v == 0) {
        *ret = (struct trib_number){0};
        return true;
    }
    shortest(v, ret);
    return ret->n_digits > 0;
}

bool trib_number_to_double(const struct trib_number *n, double *ret)
{
    static const double POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (n->n_digits > 17) {
        return false; /* no double needs more */
    }
    double v;
    if (n->n_digits <= 15 && n->exponent >= -22 && n->exponent <= 22) {
        /* both operands are exact, so the result is correctly rounded (Clinger) */
        uint64_t digits = (uint64_t)unscaled(n, 0);
        v = n->exponent < 0 ? (double)digits / POWERS[-n->exponent] : (double)digits * POWERS[n->exponent];
        v = n->negative ? -v : v;
    } else {
        v = round_to_double(n);
    }
    if (n->n_digits > 15) { /* any 15 digits survive the way through a double, more need a look */
        struct trib_number back;
        shortest(v, &back);
        if (trib_number_cmp(&back, n) != 0) {
            return false;
        }
    }
    *ret = v;
    return true;
}

void trib_number_text(const struct trib_number *n, struct trib_buf *to)
{
    char text[2 * MAX_PLAIN + 8];
    char *p = text;
    int digits = n->n_digits, before = digits + n->exponent; /* digits before the point; may be negative */
    if (digits == 0) {
        trib_buf_addc(to, '0');
        return;
    }
    if (n->negative) {
        *p++ = '-';
    }
    if (n->exponent >= 0 && before <= MAX_PLAIN) {
        memcpy(p, n->digits, (size_t)digits);
        memset(p + digits, '0', (size_t)n->exponent);
        p += before;
    } else if (n->exponent < 0 && -n->exponent <= MAX_PLAIN && before <= 0) {
        *p++ = '0';
        *p++ = '.';
        memset(p, '0', (size_t)-before);
        p += -before;
        memcpy(p, n->digits, (size_t)digits);
        p += digits;
    } else if (n->exponent < 0 && -n->exponent <= MAX_PLAIN) {
        memcpy(p, n->digits, (size_t)before);
        p += before;
        *p++ = '.';
        memcpy(p, n->digits + before, (size_t)(digits - before));
        p += digits - before;
    } else {
        *p++ = n->digits[0];
        if (digits > 1) {
            *p++ = '.';
            memcpy(p, n->digits + 1, (size_t)digits - 1);
            p += digits - 1;
        }
        p += snprintf(p, (size_t)(text + sizeof text - p), "E%+d", before - 1);
    }
    trib_buf_add(to, text, (size_t)(p - text));
}

static int cmp_magnitude(const struct trib_number *a, const struct trib_number *b)
{
    if (a->n_digits == 0 || b->n_digits == 0) {
        return (a->n_digits > 0) - (b->n_digits > 0);
    }
    int32_t x = a->exponent + a->n_digits, y = b->exponent + b->n_digits;
    if (x != y) {
        return x < y ? -1 : 1;
    }
    /* no trailing zeros: a longer run of digits with an equal head is larger */
    return trib_view_cmp((struct trib_view){a->digits, a->n_digits}, (struct trib_view){b->digits, b->n_digits});
}

int trib_number_cmp(const struct trib_number *a, const struct trib_number *b)
{
    if (a->negative != b->negative) {
        return a->negative ? -1 : 1;
    }
    int c = cmp_magnitude(a, b);
    c = (c > 0) - (c < 0);
    return a->negative ? -c : c;
}
