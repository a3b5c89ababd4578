/* Texts of the config → typed values. Pure. */
#include <ctype.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/config_keys.h"

bool trib_value_bool(const char *text, bool *ret)
{
    if (strcmp(text, "true") == 0 || strcmp(text, "True") == 0 || strcmp(text, "TRUE") == 0) {
        *ret = true;
        return true;
    }
    if (strcmp(text, "false") == 0 || strcmp(text, "False") == 0 || strcmp(text, "FALSE") == 0) {
        *ret = false;
        return true;
    }
    return false;
}

/* Digits (underscores between them are allowed) from 0 on; *rest points behind them. */
static bool digits(const char *text, int64_t *ret, const char **rest)
{
    int64_t v = 0;
    const char *p = text;
    if (!isdigit((unsigned char)*p)) {
        return false;
    }
    for (; isdigit((unsigned char)*p) || (*p == '_' && isdigit((unsigned char)p[1])); p++) {
        if (*p != '_' &&
            (__builtin_mul_overflow(v, (int64_t)10, &v) || __builtin_add_overflow(v, (int64_t)(*p - '0'), &v))) {
            return false;
        }
    }
    *ret = v;
    *rest = p;
    return true;
}

bool trib_value_count(const char *text, int64_t *ret)
{
    const char *rest;
    int64_t v;
    if (!digits(text, &v, &rest) || *rest != '\0') {
        return false;
    }
    *ret = v;
    return true;
}

struct unit {
    const char *name;
    int64_t factor;
};

static bool with_unit(const char *text, const struct unit *units, size_t n, int64_t *ret)
{
    const char *rest;
    int64_t v;
    if (!digits(text, &v, &rest)) {
        return false;
    }
    rest += rest[0] == ' ' && rest[1] != '\0';
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rest, units[i].name) == 0) {
            return !__builtin_mul_overflow(v, units[i].factor, ret);
        }
    }
    return false;
}

bool trib_value_size(const char *text, int64_t *ret_bytes)
{
    static const struct unit units[] = {
        {"", 1},
        {"B", 1},
        {"KiB", (int64_t)1 << 10},
        {"MiB", (int64_t)1 << 20},
        {"GiB", (int64_t)1 << 30},
        {"TiB", (int64_t)1 << 40},
    };
    int64_t v;
    if (!with_unit(text, units, sizeof units / sizeof units[0], &v)) {
        return false;
    }
    *ret_bytes = v;
    return true;
}

bool trib_value_duration(const char *text, int64_t *ret_us)
{
    static const struct unit units[] = {
        {"ms", 1000},
        {"s", 1000000},
        {"m", (int64_t)60 * 1000000},
        {"h", (int64_t)3600 * 1000000},
        {"d", (int64_t)86400 * 1000000},
    };
    int64_t v;
    if (!with_unit(text, units, sizeof units / sizeof units[0], &v)) {
        return false;
    }
    *ret_us = v;
    return true;
}

bool trib_value_name(const char *text)
{
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return n > 0 && text[n] == '\0' && n <= 200;
}

static bool matches(const char *pattern, const char *text)
{
    regex_t re;
    char *whole = trib_asprintf("^(%s)$", pattern);
    bool good = regcomp(&re, whole, REG_EXTENDED | REG_NOSUB) == 0;
    if (good) {
        good = regexec(&re, text, 0, NULL, 0) == 0;
        regfree(&re);
    }
    free(whole);
    return good;
}

static char *check_range(const struct trib_key *key, int64_t v, const char *shown)
{
    int64_t scale = key->form == TRIB_KEY_DURATION ? 1000 : 1;
    const char *unit = key->form == TRIB_KEY_DURATION ? "ms" : key->form == TRIB_KEY_SIZE ? " bytes" : "";
    if (v < key->min) {
        return trib_asprintf("%s is less than %lld%s", shown, (long long)(key->min / scale), unit);
    }
    if (key->max > 0 && v > key->max) {
        return trib_asprintf("%s is more than %lld%s", shown, (long long)(key->max / scale), unit);
    }
    return NULL;
}

static char *check_number(const struct trib_key *key, const char *text, const char *shown)
{
    int64_t v = 0;
    const char *more = key->choices != NULL ? key->choices : "";
    const char * or = key->choices != NULL ? ", nor one of " : "";
    switch (key->form) {
    case TRIB_KEY_COUNT:
        return trib_value_count(text, &v) ? check_range(key, v, shown)
                                          : trib_asprintf("%s is no whole number%s%s", shown, or, more);
    case TRIB_KEY_SIZE:
        return trib_value_size(text, &v)
                   ? check_range(key, v, shown)
                   : trib_asprintf("%s is no size: a whole number with KiB, MiB, GiB or TiB, such as 256MiB%s%s", shown,
                                   or, more);
    default:
        return trib_value_duration(text, &v)
                   ? check_range(key, v, shown)
                   : trib_asprintf("%s is no duration: a whole number with ms, s, m, h or d, such as 30s%s%s", shown,
                                   or, more);
    }
}

char *trib_value_check(const struct trib_key *key, const char *text, const char *shown)
{
    bool b;
    if (key->form != TRIB_KEY_CHOICE && trib_key_choice(key->choices, text) >= 0) {
        return NULL;
    }
    switch (key->form) {
    case TRIB_KEY_TEXT:
    case TRIB_KEY_TEXTS:
    case TRIB_KEY_DICT:
        if (text[0] == '\0') {
            return trib_strdup("the text is empty");
        }
        if (key->max > 0 && strlen(text) > (size_t)key->max) {
            return trib_asprintf("%s is longer than %lld bytes", shown, (long long)key->max);
        }
        return key->pattern == NULL || matches(key->pattern, text)
                   ? NULL
                   : trib_asprintf("%s is not of the form %s", shown, key->pattern);
    case TRIB_KEY_NAME:
        return trib_value_name(text)
                   ? NULL
                   : trib_asprintf("%s must be of lower-case letters, digits and underscores: [a-z0-9_]+", shown);
    case TRIB_KEY_PATH: return text[0] != '\0' ? NULL : trib_strdup("the path is empty");
    case TRIB_KEY_CHOICE:
        return trib_key_choice(key->choices, text) >= 0 ? NULL : trib_asprintf("%s is none of %s", shown, key->choices);
    case TRIB_KEY_BOOL: return trib_value_bool(text, &b) ? NULL : trib_asprintf("%s is neither true nor false", shown);
    case TRIB_KEY_COUNT:
    case TRIB_KEY_SIZE:
    case TRIB_KEY_DURATION: return check_number(key, text, shown);
    case TRIB_KEY_MAP:
    case TRIB_KEY_BLOCKS: break;
    }
    return trib_strdup("a block of keys is needed here");
}

bool trib_value_same(const struct trib_key *key, const char *a, const char *b)
{
    int64_t x, y;
    bool p, q;
    if (strcmp(a, b) == 0) {
        return true;
    }
    switch (key->form) {
    case TRIB_KEY_COUNT: return trib_value_count(a, &x) && trib_value_count(b, &y) && x == y;
    case TRIB_KEY_SIZE: return trib_value_size(a, &x) && trib_value_size(b, &y) && x == y;
    case TRIB_KEY_DURATION: return trib_value_duration(a, &x) && trib_value_duration(b, &y) && x == y;
    case TRIB_KEY_BOOL: return trib_value_bool(a, &p) && trib_value_bool(b, &q) && p == q;
    default: return false;
    }
}
