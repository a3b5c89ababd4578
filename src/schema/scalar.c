/* Scalars (scalar.h). Pure. */
#include "schema/scalar.h"

#include <stdio.h>
#include <stdlib.h>

static bool put_int(struct trib_vec *v, uint64_t row, enum trib_type_id id, int64_t x)
{
    switch (id) {
    case TRIB_T_LONG: ((int64_t *)v->data)[row] = x; return true;
    case TRIB_T_INT: ((int32_t *)v->data)[row] = (int32_t)x; return x >= INT32_MIN && x <= INT32_MAX;
    case TRIB_T_SHORT: ((int16_t *)v->data)[row] = (int16_t)x; return x >= INT16_MIN && x <= INT16_MAX;
    case TRIB_T_BYTE: ((int8_t *)v->data)[row] = (int8_t)x; return x >= INT8_MIN && x <= INT8_MAX;
    default: return false;
    }
}

static bool put_decimal(const struct trib_type *col, const struct trib_number *n, struct trib_vec *v, uint64_t row)
{
    struct trib_i128 x;
    if (!trib_number_to_decimal(n, col->precision, col->scale, &x.lower, &x.upper)) {
        return false;
    }
    switch (trib_type_width(col)) {
    case 2: ((int16_t *)v->data)[row] = (int16_t)x.lower; break;
    case 4: ((int32_t *)v->data)[row] = (int32_t)x.lower; break;
    case 8: ((int64_t *)v->data)[row] = (int64_t)x.lower; break;
    default: ((struct trib_i128 *)v->data)[row] = x; break;
    }
    return true;
}

bool trib_scalar_number(const struct trib_type *col, struct trib_view text, const struct trib_number *n,
                        struct trib_vec *v, uint64_t row)
{
    int64_t x;
    double d;
    switch (col->id) {
    case TRIB_T_STRING: ((struct trib_str *)v->data)[row] = trib_str_make(text.p, text.n); return true;
    case TRIB_T_LONG:
    case TRIB_T_INT:
    case TRIB_T_SHORT:
    case TRIB_T_BYTE: return trib_number_to_i64(n, &x) && put_int(v, row, col->id, x);
    case TRIB_T_DECIMAL: return put_decimal(col, n, v, row);
    case TRIB_T_DOUBLE:
        if (!trib_number_to_double(n, &d)) {
            return false;
        }
        ((double *)v->data)[row] = d;
        return true;
    case TRIB_T_FLOAT: {
        if (!trib_number_to_double(n, &d) || (double)(float)d != d) {
            return false;
        }
        ((float *)v->data)[row] = (float)d;
        return true;
    }
    default: return false;
    }
}

/* ---- dates: proleptic Gregorian ------------------------------------------------------------------------------------- */

static int64_t days_of(int64_t y, unsigned m, unsigned d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    unsigned yoe = (unsigned)(y - era * 400), doy = (153 * (m + (m > 2 ? (unsigned)-3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + (int64_t)(yoe * 365 + yoe / 4 - yoe / 100 + doy) - 719468;
}

static void date_of(int64_t days, int *y, unsigned *m, unsigned *d)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned doe = (unsigned)(days - era * 146097), yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    *d = doy - (153 * mp + 2) / 5 + 1;
    *m = mp < 10 ? mp + 3 : mp - 9;
    *y = (int)((int64_t)yoe + era * 400 + (*m <= 2));
}

static bool digits(const char *p, size_t n, unsigned *ret)
{
    unsigned v = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return false;
        }
        v = v * 10 + (unsigned)(p[i] - '0');
    }
    *ret = v;
    return true;
}

static bool parse_date(const char *p, int64_t *days)
{
    unsigned y, m, d;
    if (!digits(p, 4, &y) || p[4] != '-' || !digits(p + 5, 2, &m) || p[7] != '-' || !digits(p + 8, 2, &d) || m < 1 ||
        m > 12 || d < 1) {
        return false;
    }
    *days = days_of(y, m, d);
    int yy;
    unsigned mm, dd;
    date_of(*days, &yy, &mm, &dd);
    return (unsigned)yy == y && mm == m && dd == d;
}

static bool parse_timestamp(struct trib_view t, bool utc, int64_t *us)
{
    int64_t days;
    unsigned h, m, s;
    size_t n = t.n - (utc ? 1 : 0);
    if (t.n < 19 || (utc && (t.n < 20 || t.p[t.n - 1] != 'Z')) || !parse_date(t.p, &days) || t.p[10] != 'T' ||
        !digits(t.p + 11, 2, &h) || t.p[13] != ':' || !digits(t.p + 14, 2, &m) || t.p[16] != ':' ||
        !digits(t.p + 17, 2, &s) || h > 23 || m > 59 || s > 59) {
        return false;
    }
    unsigned frac = 0;
    if (n > 19) {
        if (t.p[19] != '.' || n > 26 || n == 20 || !digits(t.p + 20, n - 20, &frac)) {
            return false;
        }
        for (size_t i = n - 20; i < 6; i++) {
            frac *= 10;
        }
    }
    *us = ((days * 24 + h) * 60 + m) * 60000000 + (int64_t)s * 1000000 + frac;
    return true;
}

static void format_timestamp(int64_t us, bool utc, struct trib_buf *to)
{
    int64_t day = us / 86400000000, rest = us % 86400000000;
    if (rest < 0) {
        day--;
        rest += 86400000000;
    }
    int y;
    unsigned m, d;
    date_of(day, &y, &m, &d);
    unsigned s = (unsigned)(rest / 1000000), f = (unsigned)(rest % 1000000);
    trib_buf_addf(to, "%04d-%02u-%02uT%02u:%02u:%02u", y, m, d, s / 3600, s / 60 % 60, s % 60);
    if (f > 0) {
        char text[8];
        int n = snprintf(text, sizeof text, ".%06u", f);
        while (text[n - 1] == '0') {
            n--;
        }
        trib_buf_add(to, text, (size_t)n);
    }
    trib_buf_adds(to, utc ? "Z" : "");
}

static void format_i128(struct trib_i128 x, unsigned scale, struct trib_buf *to)
{
    __extension__ typedef unsigned __int128 u128;
    u128 v = (u128)(uint64_t)x.upper << 64 | x.lower;
    bool negative = x.upper < 0;
    if (negative) {
        v = -v;
    }
    char text[64];
    size_t at = sizeof text;
    unsigned n = 0;
    do {
        text[--at] = (char)('0' + (unsigned)(v % 10));
        v /= 10;
        n++;
        if (n == scale) {
            text[--at] = '.';
        }
    } while (v > 0 || n <= scale);
    trib_buf_adds(to, negative ? "-" : "");
    trib_buf_add(to, text + at, sizeof text - at);
}

static struct trib_i128 decimal_at(const struct trib_type *col, const struct trib_vec *v, uint64_t row)
{
    int64_t x;
    switch (trib_type_width(col)) {
    case 2: x = ((const int16_t *)v->data)[row]; break;
    case 4: x = ((const int32_t *)v->data)[row]; break;
    case 8: x = ((const int64_t *)v->data)[row]; break;
    default: return ((const struct trib_i128 *)v->data)[row];
    }
    return (struct trib_i128){(uint64_t)x, x < 0 ? -1 : 0};
}

/* As trib_scalar_number takes it: both know the same shortest decimal. What no N can be is spelt as C does. */
static void format_double(double d, struct trib_buf *to)
{
    struct trib_number n;
    if (trib_number_of_double(d, &n)) {
        trib_number_text(&n, to);
    } else {
        trib_buf_addf(to, "%.17g", d);
    }
}

void trib_scalar_format(const struct trib_type *col, const struct trib_vec *v, uint64_t row, struct trib_buf *to)
{
    switch (col->id) {
    case TRIB_T_STRING:
    case TRIB_T_BINARY: {
        struct trib_view t = trib_str_view(&((const struct trib_str *)v->data)[row]);
        trib_buf_add(to, t.p, t.n);
        break;
    }
    case TRIB_T_LONG: trib_buf_addf(to, "%lld", (long long)((const int64_t *)v->data)[row]); break;
    case TRIB_T_INT: trib_buf_addf(to, "%d", ((const int32_t *)v->data)[row]); break;
    case TRIB_T_SHORT: trib_buf_addf(to, "%d", ((const int16_t *)v->data)[row]); break;
    case TRIB_T_BYTE: trib_buf_addf(to, "%d", ((const int8_t *)v->data)[row]); break;
    case TRIB_T_DECIMAL: format_i128(decimal_at(col, v, row), col->scale, to); break;
    case TRIB_T_DOUBLE: format_double(((const double *)v->data)[row], to); break;
    case TRIB_T_FLOAT: format_double((double)((const float *)v->data)[row], to); break;
    case TRIB_T_BOOLEAN: trib_buf_adds(to, ((const uint8_t *)v->data)[row] ? "true" : "false"); break;
    case TRIB_T_DATE: {
        int y;
        unsigned m, d;
        date_of(((const int32_t *)v->data)[row], &y, &m, &d);
        trib_buf_addf(to, "%04d-%02u-%02u", y, m, d);
        break;
    }
    case TRIB_T_TIMESTAMP:
    case TRIB_T_TIMESTAMP_NTZ:
        format_timestamp(((const int64_t *)v->data)[row], col->id == TRIB_T_TIMESTAMP, to);
        break;
    case TRIB_T_STRUCT:
    case TRIB_T_ARRAY:
    case TRIB_T_MAP: break;
    }
}

bool trib_scalar_text(const struct trib_type *col, struct trib_view text, struct trib_vec *v, uint64_t row)
{
    if (col->id == TRIB_T_STRING) {
        ((struct trib_str *)v->data)[row] = trib_str_make(text.p, text.n);
        return true;
    }
    int64_t x;
    struct trib_number n;
    bool fits;
    if (col->id == TRIB_T_DATE) {
        fits = text.n == 10 && parse_date(text.p, &x);
        if (fits) {
            ((int32_t *)v->data)[row] = (int32_t)x;
        }
    } else if (col->id == TRIB_T_TIMESTAMP || col->id == TRIB_T_TIMESTAMP_NTZ) {
        fits = parse_timestamp(text, col->id == TRIB_T_TIMESTAMP, &x);
        if (fits) {
            ((int64_t *)v->data)[row] = x;
        }
    } else {
        fits = trib_number_parse(text, &n) && trib_scalar_number(col, text, &n, v, row);
    }
    if (!fits) {
        return false;
    }
    struct trib_buf back; /* it fits when formatting it back gives the same text */
    trib_buf_init(&back, 256);
    trib_scalar_format(col, v, row, &back);
    fits = trib_view_eq(trib_buf_view(&back), text);
    trib_buf_free(&back);
    return fits;
}

#define COMPARE(name, type)                       \
    static int name(const void *a, const void *b) \
    {                                             \
        type x, y;                                \
        memcpy(&x, a, sizeof x);                  \
        memcpy(&y, b, sizeof y);                  \
        return (x > y) - (x < y);                 \
    }
COMPARE(cmp_i64, int64_t)
COMPARE(cmp_i32, int32_t)
COMPARE(cmp_i16, int16_t)
COMPARE(cmp_i8, int8_t)
COMPARE(cmp_double, double)
COMPARE(cmp_float, float)

static int cmp_i128(const void *a, const void *b)
{
    const struct trib_i128 *x = a, *y = b;
    return x->upper != y->upper ? (x->upper > y->upper) - (x->upper < y->upper)
                                : (x->lower > y->lower) - (x->lower < y->lower);
}

int (*trib_scalar_compare(const struct trib_type *t))(const void *, const void *)
{
    if (t->id == TRIB_T_DOUBLE) {
        return cmp_double;
    }
    if (t->id == TRIB_T_FLOAT) {
        return cmp_float;
    }
    switch (trib_type_width(t)) {
    case 1: return cmp_i8;
    case 2: return cmp_i16;
    case 4: return cmp_i32;
    case 8: return cmp_i64;
    default: return cmp_i128;
    }
}
