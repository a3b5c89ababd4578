/*
 * Values as text (see format.h). Pure; any thread.
 */
#include "columns/format.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

__extension__ typedef unsigned __int128 u128;

/* The length of the UTF-8 sequence at p, 0 when it is none (overlong, surrogate, beyond U+10FFFF, cut). */
static size_t utf8_len(const unsigned char *p, size_t n)
{
    if (p[0] < 0x80) {
        return 1;
    }
    size_t len = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0xC2 || p[0] > 0xF4 || n < len) {
        return 0;
    }
    unsigned low = 0x80, high = 0xBF;
    if (p[0] == 0xE0) {
        low = 0xA0;
    } else if (p[0] == 0xED) {
        high = 0x9F;
    } else if (p[0] == 0xF0) {
        low = 0x90;
    } else if (p[0] == 0xF4) {
        high = 0x8F;
    }
    if (p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return len;
}

static void json_escape(struct trib_buf *to, unsigned char c)
{
    static const char letters[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    if (c == '"' || c == '\\') {
        trib_buf_addc(to, '\\');
        trib_buf_addc(to, (char)c);
    } else if (c < sizeof letters && letters[c] != 0) {
        trib_buf_addc(to, '\\');
        trib_buf_addc(to, letters[c]);
    } else {
        trib_buf_addf(to, "\\u%04X", c);
    }
}

void trib_format_json_string(struct trib_buf *to, struct trib_view text)
{
    const unsigned char *p = (const unsigned char *)text.p;
    size_t from = 0, i = 0;
    trib_buf_addc(to, '"');
    if (text.n == 0) {
        trib_buf_addc(to, '"');
        return;
    }
    while (i < text.n) {
        unsigned char c = p[i];
        size_t len = c < 0x80 ? 1 : utf8_len(p + i, text.n - i);
        if (len > 0 && c >= 0x20 && c != '"' && c != '\\' && c != 0x7F) {
            i += len;
            continue;
        }
        trib_buf_add(to, text.p + from, i - from);
        if (len == 0) {
            trib_buf_adds(to, "\xEF\xBF\xBD");
        } else {
            json_escape(to, c);
        }
        from = ++i;
    }
    trib_buf_add(to, text.p + from, text.n - from);
    trib_buf_addc(to, '"');
}

void trib_format_base64(struct trib_buf *to, struct trib_view bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = (bytes.n + 2) / 3 * 4;
    char *out = trib_buf_reserve(to, n);
    if (out == NULL) {
        return;
    }
    const unsigned char *p = (const unsigned char *)bytes.p;
    for (size_t i = 0; i < bytes.n; i += 3, out += 4) {
        size_t left = bytes.n - i;
        uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0);
        out[0] = digits[v >> 18];
        out[1] = digits[v >> 12 & 63];
        out[2] = left > 1 ? digits[v >> 6 & 63] : '=';
        out[3] = left > 2 ? digits[v & 63] : '=';
    }
    to->n += n;
    to->p[to->n] = '\0';
}

void trib_format_decimal(struct trib_buf *to, struct trib_i128 unscaled, unsigned scale)
{
    bool negative = unscaled.upper < 0;
    u128 v = (u128)(uint64_t)unscaled.upper << 64 | unscaled.lower;
    if (negative) {
        v = ~v + 1;
    }
    char digits[80];
    size_t n = 0;
    while (v > 0 || n <= scale) {
        digits[n++] = (char)('0' + (int)(v % 10));
        v /= 10;
    }
    if (negative) {
        trib_buf_addc(to, '-');
    }
    while (n > 0) {
        if (n == scale) {
            trib_buf_addc(to, '.');
        }
        trib_buf_addc(to, digits[--n]);
    }
}

int64_t trib_days_from_civil(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

void trib_format_date(struct trib_buf *to, int64_t days)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int64_t day = doy - (153 * mp + 2) / 5 + 1;
    int64_t month = mp < 10 ? mp + 3 : mp - 9;
    int64_t year = yoe + era * 400 + (month <= 2);
    const char *sign = year < 0 ? "-" : year > 9999 ? "+" : "";
    trib_buf_addf(to, "%s%04lld-%02lld-%02lld", sign, (long long)(year < 0 ? -year : year), (long long)month,
                  (long long)day);
}

void trib_format_timestamp(struct trib_buf *to, int64_t us, int fraction_digits)
{
    const int64_t day_us = INT64_C(86400000000);
    int64_t days = us / day_us, rest = us % day_us;
    if (rest < 0) {
        days--;
        rest += day_us;
    }
    trib_format_date(to, days);
    int64_t s = rest / 1000000, fraction = rest % 1000000;
    trib_buf_addf(to, "T%02d:%02d:%02d", (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
    int digits = fraction_digits;
    if (digits < 0) {
        digits = fraction == 0 ? 0 : fraction % 1000 == 0 ? 3 : 6; /* what every parser takes */
    }
    if (digits > 0) {
        char text[8];
        (void)snprintf(text, sizeof text, "%06d", (int)fraction);
        trib_buf_addc(to, '.');
        trib_buf_add(to, text, (size_t)(digits > 6 ? 6 : digits));
    }
}

/* A number that looks whole keeps a point, so that readers which infer types see a double. */
static void add_floating(struct trib_buf *to, const char *text)
{
    trib_buf_adds(to, text);
    if (strpbrk(text, ".e") == NULL) {
        trib_buf_adds(to, ".0");
    }
}

void trib_format_double(struct trib_buf *to, double v)
{
    char text[40];
    if (fabs(v) < 1e15 && v == (double)(int64_t)v) {
        (void)snprintf(text, sizeof text, "%s%lld", signbit(v) && v == 0 ? "-" : "", (long long)v);
        add_floating(to, text);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) {
            break;
        }
    }
    add_floating(to, text);
}

void trib_format_float(struct trib_buf *to, float v)
{
    char text[40];
    for (int digits = 6; digits <= 9; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, (double)v);
        if (strtof(text, NULL) == v) {
            break;
        }
    }
    add_floating(to, text);
}
