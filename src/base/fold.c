/* See fold.h. Pure; any thread; no locale. */
#include "base/fold.h"

#include <stddef.h>

#include "base/fold_table.h"

enum { I_WITH_DOT = 0x130, DOT_ABOVE = 0x307 };

/* The next code point and its end; a byte that begins none is itself, out of the way of letters. */
static uint32_t next(const unsigned char **p)
{
    const unsigned char *s = *p;
    unsigned n = s[0] < 0xC2 ? 1 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : s[0] < 0xF5 ? 4 : 1;
    uint32_t c = n == 1 ? s[0] : s[0] & (0x7FU >> n);
    for (unsigned i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80) {
            n = 1;
            break;
        }
        c = c << 6 | (s[i] & 0x3F);
    }
    *p = s + n;
    return n == 1 && s[0] >= 0x80 ? 0x110000U + s[0] : c;
}

static uint32_t fold(uint32_t c)
{
    if (c < 0x80) {
        return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
    }
    size_t low = 0, high = sizeof trib_fold_ranges / sizeof trib_fold_ranges[0];
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (trib_fold_ranges[middle].last < c) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == sizeof trib_fold_ranges / sizeof trib_fold_ranges[0]) {
        return c;
    }
    const struct trib_fold_range *r = &trib_fold_ranges[low];
    return c >= r->first && (c - r->first) % r->step == 0 ? (uint32_t)((int64_t)c + r->delta) : c;
}

/* I with a dot is i in one engine, i and a combining dot in another: all three are one here. */
static uint32_t folded(const unsigned char **p)
{
    uint32_t c = next(p);
    c = c == I_WITH_DOT ? 'i' : fold(c);
    while (c == 'i') {
        const unsigned char *q = *p;
        if (*q == '\0' || next(&q) != DOT_ABOVE) {
            break;
        }
        *p = q;
    }
    return c;
}

bool trib_fold_same(const char *a, const char *b)
{
    const unsigned char *p = (const unsigned char *)a, *q = (const unsigned char *)b;
    while (*p != '\0' && *q != '\0') {
        if (*p < 0x80 && *q < 0x80) { /* nearly every name: a new column is told apart from all others */
            uint32_t c = fold(*p);
            if (c != fold(*q)) {
                return false;
            }
            if (c != 'i') {
                p++;
                q++;
                continue;
            }
        }
        if (folded(&p) != folded(&q)) {
            return false;
        }
    }
    return *p == *q;
}
