/* Items compared by value; see item_same.h. */
#include "support/item_same.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* "-12.50E3" → "-125e2": sign, digits without zeros at either end, exponent of the last digit. */
static char *normal_number(const char *s)
{
    char *digits = trib_calloc(strlen(s) + 1, 1);
    size_t n = 0;
    long exponent = 0;
    bool negative = *s == '-', point = false;
    s += *s == '-' || *s == '+';
    for (; *s != '\0' && *s != 'e' && *s != 'E'; s++) {
        if (*s == '.') {
            point = true;
            continue;
        }
        exponent -= point;
        if (n > 0 || *s != '0') {
            digits[n++] = *s;
        }
    }
    exponent += *s == '\0' ? 0 : strtol(s + 1, NULL, 10);
    while (n > 0 && digits[n - 1] == '0') {
        n--;
        exponent++;
    }
    digits[n] = '\0';
    char *text = n == 0 ? trib_strdup("0") : trib_asprintf("%s%se%ld", negative ? "-" : "", digits, exponent);
    free(digits);
    return text;
}

/* Base64 decoded by hand: the texts come from the program or from the tests, both well formed. */
static char *bytes_of(const char *text, size_t n, size_t *ret_n)
{
    static const char abc[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *to = trib_malloc(n + 1);
    unsigned bits = 0, have = 0;
    size_t used = 0;
    for (size_t i = 0; i < n && text[i] != '='; i++) {
        const char *at = strchr(abc, text[i]);
        bits = bits << 6 | (unsigned)(at == NULL ? 0 : at - abc);
        have += 6;
        if (have >= 8) {
            have -= 8;
            to[used++] = (char)(bits >> have);
        }
    }
    to[used] = '\0';
    *ret_n = used;
    return to;
}

/* A scalar as bytes whose equality is the values'. */
static char *scalar_key(const char *type, const json_t *v, bool twice, size_t *ret_n)
{
    if (!json_is_string(v)) {
        char *text = trib_strdup(json_is_true(v) ? "true" : json_is_false(v) ? "false" : "?");
        *ret_n = strlen(text);
        return text;
    }
    const char *s = json_string_value(v);
    size_t n = json_string_length(v);
    if (type[0] == 'N') {
        char *text = normal_number(s);
        *ret_n = strlen(text);
        return text;
    }
    if (type[0] != 'B') {
        *ret_n = n;
        char *text = trib_malloc(n + 1);
        memcpy(text, s, n);
        text[n] = '\0';
        return text;
    }
    char *bytes = bytes_of(s, n, ret_n);
    if (twice) {
        char *inner = bytes_of(bytes, *ret_n, ret_n);
        free(bytes);
        return inner;
    }
    return bytes;
}

static char *map_differs(const json_t *a, bool twice, const json_t *b);

static bool same_scalar(const char *type, const json_t *a, bool twice, const json_t *b)
{
    size_t n, m;
    char *x = scalar_key(type, a, twice, &n), *y = scalar_key(type, b, false, &m);
    bool same = json_typeof(a) == json_typeof(b) && n == m && memcmp(x, y, n) == 0;
    free(x);
    free(y);
    return same;
}

/* Each element of a finds a partner in b that is not taken. */
static bool same_set(const char *type, const json_t *a, bool twice, const json_t *b)
{
    size_t n = json_array_size(a);
    if (n != json_array_size(b)) {
        return false;
    }
    bool *taken = trib_calloc(n, sizeof *taken), same = true;
    for (size_t i = 0; i < n && same; i++) {
        same = false;
        for (size_t k = 0; k < n && !same; k++) {
            if (!taken[k] && same_scalar(type, json_array_get(a, i), twice, json_array_get(b, k))) {
                taken[k] = same = true;
            }
        }
    }
    free(taken);
    return same;
}

static char *value_differs(const char *path, const json_t *a, bool twice, const json_t *b)
{
    const char *t = json_object_iter_key(json_object_iter((json_t *)(uintptr_t)a));
    const char *u = json_object_iter_key(json_object_iter((json_t *)(uintptr_t)b));
    if (t == NULL || u == NULL || json_object_size(a) != 1 || json_object_size(b) != 1 || strcmp(t, u) != 0) {
        return trib_asprintf("%s: type %s became %s", path, t == NULL ? "?" : t, u == NULL ? "?" : u);
    }
    const json_t *x = json_object_get(a, t), *y = json_object_get(b, t);
    if (strcmp(t, "M") == 0) {
        return map_differs(x, twice, y);
    }
    if (strcmp(t, "L") == 0) {
        if (json_array_size(x) != json_array_size(y)) {
            return trib_asprintf("%s: a list of %zu became one of %zu", path, json_array_size(x), json_array_size(y));
        }
        for (size_t i = 0; i < json_array_size(x); i++) {
            char *why = value_differs(path, json_array_get(x, i), twice, json_array_get(y, i));
            if (why != NULL) {
                return why;
            }
        }
        return NULL;
    }
    if (strlen(t) == 2 && t[1] == 'S') {
        const char scalar[2] = {t[0], '\0'};
        return same_set(scalar, x, twice, y) ? NULL : trib_asprintf("%s: another set", path);
    }
    return same_scalar(t, x, twice, y) ? NULL : trib_asprintf("%s: another value of type %s", path, t);
}

/* Names may hold NUL: jansson's iteration by length, never by C string. */
static char *map_differs(const json_t *a, bool twice, const json_t *b)
{
    if (!json_is_object(a) || !json_is_object(b)) {
        return trib_strdup("a map is no object");
    }
    if (json_object_size(a) != json_object_size(b)) {
        return trib_asprintf("%zu attributes became %zu", json_object_size(a), json_object_size(b));
    }
    for (void *it = json_object_iter((json_t *)(uintptr_t)a); it != NULL;
         it = json_object_iter_next((json_t *)(uintptr_t)a, it)) {
        const char *name = json_object_iter_key(it);
        const json_t *y = json_object_get(b, name);
        char *why =
            y == NULL ? trib_asprintf("%s is lost", name) : value_differs(name, json_object_iter_value(it), twice, y);
        if (why != NULL) {
            return why;
        }
    }
    return NULL;
}

char *test_item_differs(struct trib_view a, bool a_twice, struct trib_view b)
{
    json_error_t e;
    json_t *x = json_loadb(a.p, a.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);
    if (x == NULL) {
        return trib_asprintf("the item cannot be read: %s", e.text);
    }
    json_t *y = json_loadb(b.p, b.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);
    char *why = y == NULL ? trib_asprintf("what came back cannot be read: %s", e.text) : map_differs(x, a_twice, y);
    json_decref(x);
    json_decref(y);
    return why;
}
