/*
 * Numbers: up to three texts, one a line, behind two bytes that give a precision and a scale. Each text that is accepted comes back
 * from every form that takes it, and no form refuses what it could hold; order, encoding and equality of texts agree.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "dynamodb/change.h"
#include "schema/scalar.h"

enum { MAX_TEXTS = 3, MAX_TEXT = 1 << 16 };

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* Spelt from the parts alone: nothing of the program's own formatting. */
static char *spelt(const struct trib_number *n)
{
    return trib_asprintf("%s%.*se%d", n->negative ? "-" : "", n->n_digits == 0 ? 1 : (int)n->n_digits,
                         n->n_digits == 0 ? "0" : n->digits, (int)n->exponent);
}

static bool same(const struct trib_number *a, struct trib_view text)
{
    struct trib_number b;
    return trib_number_parse(text, &b) && trib_number_cmp(a, &b) == 0;
}

static void check_parts(const struct trib_number *n)
{
    must(n->n_digits <= 38);
    must(n->n_digits > 0 || (!n->negative && n->exponent == 0));
    for (unsigned i = 0; i < n->n_digits; i++) {
        must(n->digits[i] >= '0' && n->digits[i] <= '9');
    }
    must(n->n_digits == 0 || (n->digits[0] != '0' && n->digits[n->n_digits - 1] != '0'));
    int adjusted = n->exponent + n->n_digits - 1;
    must(n->n_digits == 0 || (adjusted >= -130 && adjusted <= 125));
    char *text = spelt(n);
    must(same(n, trib_view_of(text)));
    free(text);
}

/* Through a column of this type and back to text. */
static bool through(const struct trib_type *t, struct trib_view text, const struct trib_number *n, struct trib_buf *to)
{
    struct trib_type row = trib_type_simple(TRIB_T_STRUCT);
    struct trib_chunk chunk;
    (void)trib_type_add(&row, "x", *t);
    trib_chunk_init_heap(&chunk, &row, 1);
    bool fits = trib_scalar_number(t, text, n, &chunk.cols[0], 0);
    trib_buf_clear(to);
    if (fits) {
        trib_scalar_format(t, &chunk.cols[0], 0, to);
        must(same(n, trib_buf_view(to)));
    }
    trib_chunk_free_heap(&chunk);
    trib_type_free(&row);
    return fits;
}

static void check_columns(struct trib_view text, const struct trib_number *n, unsigned precision, unsigned scale)
{
    static const struct {
        enum trib_type_id id;
        int bits;
    } ints[] = {{TRIB_T_LONG, 64}, {TRIB_T_INT, 32}, {TRIB_T_SHORT, 16}, {TRIB_T_BYTE, 8}};
    struct trib_buf b;
    trib_buf_init(&b, MAX_TEXT);
    bool whole = n->exponent >= 0;
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        const struct trib_type t = trib_type_simple(ints[i].id);
        bool fits = through(&t, text, n, &b);
        struct trib_number least, most;
        uint64_t top = UINT64_C(1) << (ints[i].bits - 1);
        char low[32], high[32];
        (void)snprintf(low, sizeof low, "-%llu", (unsigned long long)top);
        (void)snprintf(high, sizeof high, "%llu", (unsigned long long)(top - 1));
        must(trib_number_parse(trib_view_of(low), &least) && trib_number_parse(trib_view_of(high), &most));
        must(fits == (whole && trib_number_cmp(n, &least) >= 0 && trib_number_cmp(n, &most) <= 0));
    }
    const struct trib_type decimal = trib_type_decimal(precision, scale);
    int before = n->exponent + n->n_digits, behind = -n->exponent;
    must(through(&decimal, text, n, &b) ==
         (n->n_digits == 0 || (behind <= (int)scale && before <= (int)(precision - scale))));
    const struct trib_type real = trib_type_simple(TRIB_T_DOUBLE), small = trib_type_simple(TRIB_T_FLOAT);
    bool fits = through(&real, text, n, &b);
    char shortest[40], *spelling = spelt(n);
    double d = strtod(spelling, NULL);
    free(spelling);
    for (int p = 1; p <= 17; p++) {
        (void)snprintf(shortest, sizeof shortest, "%.*g", p, d);
        if (strtod(shortest, NULL) == d) {
            break;
        }
    }
    must(!same(n, trib_view_of(shortest)) || fits);
    must(!fits || n->n_digits <= 17);
    must(!through(&small, text, n, &b) || fits);
    trib_buf_free(&b);
}

static int sign(int c) { return (c > 0) - (c < 0); }

static char *text_of(void (*format)(const struct trib_number *, struct trib_buf *), const struct trib_number *n)
{
    struct trib_buf b;
    trib_buf_init(&b, MAX_TEXT);
    format(n, &b);
    return trib_buf_take(&b);
}

static void version(const struct trib_number *n, struct trib_buf *to)
{
    char *text = text_of(trib_number_text, n);
    must(trib_sequence_version(TRIB_A_N, trib_view_of(text), to));
    free(text);
}

static void check_order(const struct trib_number *a, const struct trib_number *b)
{
    int c = sign(trib_number_cmp(a, b));
    must(c == -sign(trib_number_cmp(b, a)));
    char *x = text_of(trib_number_text, a), *y = text_of(trib_number_text, b);
    must((strcmp(x, y) == 0) == (c == 0));
    free(x);
    free(y);
    /* The encoding for `_sequence`, with what follows it there. */
    x = text_of(version, a);
    y = text_of(version, b);
    char *s = trib_asprintf("%s-0001", x), *t = trib_asprintf("%s-0001", y);
    must(sign(strcmp(s, t)) == c);
    must(strpbrk(x, "- .") == NULL);
    free(s);
    free(t);
    free(x);
    free(y);
    char *u = spelt(a), *v = spelt(b);
    double p = strtod(u, NULL), q = strtod(v, NULL);
    must(!(p < q) || c < 0);
    must(!(p > q) || c > 0);
    free(u);
    free(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    unsigned precision = data[0] % 38 + 1, scale = data[1] % (precision + 1);
    struct trib_number numbers[MAX_TEXTS];
    size_t n = 0;
    const char *p = (const char *)data + 2, *end = (const char *)data + size;
    for (int i = 0; i < MAX_TEXTS && p < end; i++) {
        const char *cut = memchr(p, '\n', (size_t)(end - p));
        cut = cut == NULL ? end : cut;
        struct trib_view text = {p, (size_t)(cut - p)};
        p = cut + (cut < end);
        if (!trib_number_parse(text, &numbers[n])) {
            continue;
        }
        check_parts(&numbers[n]);
        char *canonical = text_of(trib_number_text, &numbers[n]);
        must(same(&numbers[n], trib_view_of(canonical)) && strlen(canonical) <= 80);
        free(canonical);
        check_columns(text, &numbers[n], precision, scale);
        n++;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < n; k++) {
            check_order(&numbers[i], &numbers[k]);
        }
    }
    must(n < 3 || trib_number_cmp(&numbers[0], &numbers[1]) > 0 || trib_number_cmp(&numbers[1], &numbers[2]) > 0 ||
         trib_number_cmp(&numbers[0], &numbers[2]) <= 0);
    return 0;
}
