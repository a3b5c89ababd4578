#include "base/near.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { NEAR_MAX = 64 };

static int same(char a, char b) { return tolower((unsigned char)a) == tolower((unsigned char)b); }

static size_t min2(size_t a, size_t b) { return a < b ? a : b; }

size_t trib_edit_distance(const char *a, const char *b)
{
    size_t n = strnlen(a, NEAR_MAX), m = strnlen(b, NEAR_MAX);
    size_t rows[3][NEAR_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= m; j++) {
        last[j] = j;
    }
    for (size_t i = 1; i <= n; i++) {
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t d = last[j - 1] + (size_t)!same(a[i - 1], b[j - 1]);
            d = min2(d, min2(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1])) {
                d = min2(d, before[j - 2] + 1);
            }
            now[j] = d;
        }
        size_t *t = before;
        before = last;
        last = now;
        now = t;
    }
    return last[m];
}

const char *trib_nearest(const char *text, const char *const *names, size_t n)
{
    const char *best = NULL;
    size_t best_distance = 0, length = strnlen(text, NEAR_MAX); /* the distance is cut there too */
    for (size_t i = 0; i < n; i++) {
        size_t d = trib_edit_distance(text, names[i]);
        size_t other = strnlen(names[i], NEAR_MAX);
        size_t longer = length > other ? length : other, shorter = min2(length, other);
        int prefix = shorter >= 3 && strncasecmp(text, names[i], shorter) == 0;
        if (d > (longer + 1) / 3 && !prefix) {
            continue;
        }
        if (best == NULL || d < best_distance) {
            best = names[i];
            best_distance = d;
        }
    }
    return best;
}
