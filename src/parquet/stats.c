/*
 * Delta's statistics (spec: delta.md, Stats): numRecords, minValues, maxValues, nullCount, tightBounds.
 *
 * The rule above all: a bound may be loose, never wrong. Whatever cannot be told for sure is left out.
 * Pure; any thread.
 */
#include "parquet/stats.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "columns/format.h"

enum { STRING_UNITS = 32, DEFAULT_LEAVES = 32 };

enum part { PART_MIN, PART_MAX, PART_NULLS };

static int leaf_cmp(const void *a, const void *b)
{
    const struct trib_leaf_stats *x = a, *y = b;
    return trib_view_cmp(x->path, y->path);
}

static bool all_digits(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isdigit((unsigned char)p[i])) {
            return false;
        }
    }
    return n > 0;
}

static int64_t number(const char *p, size_t n)
{
    int64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        v = v * 10 + (p[i] - '0');
    }
    return v;
}

/* YYYY-MM-DD; other spellings (years beyond 9999, BC, infinity) are not taken. */
static bool is_date(struct trib_view t)
{
    return t.n == 10 && t.p[4] == '-' && t.p[7] == '-' && all_digits(t.p, 4) && all_digits(t.p + 5, 2) &&
           all_digits(t.p + 8, 2);
}

/* "YYYY-MM-DD HH:MM:SS[.ffffff][+00]" */
static bool parse_timestamp(struct trib_view t, int64_t *ret_us)
{
    if (t.n > 3 && memcmp(t.p + t.n - 3, "+00", 3) == 0) {
        t.n -= 3;
    }
    if (t.n < 19 || !is_date((struct trib_view){t.p, 10}) || t.p[10] != ' ' || t.p[13] != ':' || t.p[16] != ':' ||
        !all_digits(t.p + 11, 2) || !all_digits(t.p + 14, 2) || !all_digits(t.p + 17, 2)) {
        return false;
    }
    int64_t us = 0;
    if (t.n > 19) {
        if (t.p[19] != '.' || t.n > 26 || !all_digits(t.p + 20, t.n - 20)) {
            return false;
        }
        us = number(t.p + 20, t.n - 20);
        for (size_t i = t.n; i < 26; i++) {
            us *= 10;
        }
    }
    int64_t days = trib_days_from_civil(number(t.p, 4), (unsigned)number(t.p + 5, 2), (unsigned)number(t.p + 8, 2));
    int64_t seconds = days * 86400 + number(t.p + 11, 2) * 3600 + number(t.p + 14, 2) * 60 + number(t.p + 17, 2);
    *ret_us = seconds * 1000000 + us;
    return true;
}

static bool add_timestamp(struct trib_buf *to, struct trib_view text, enum part part, bool instant)
{
    int64_t us;
    if (!parse_timestamp(text, &us)) {
        return false;
    }
    int64_t rest = us % 1000;
    if (rest != 0) {
        us -= rest < 0 ? rest + 1000 : rest; /* floor */
        us += part == PART_MAX ? 1000 : 0;   /* ceiling */
    }
    if (us >= trib_days_from_civil(10000, 1, 1) * INT64_C(86400000000)) {
        return false;
    }
    trib_buf_addc(to, '"');
    trib_format_timestamp(to, us, 3);
    trib_buf_adds(to, instant ? "Z\"" : "\"");
    return true;
}

/* JSON has no NaN, infinities, "+1", ".5": the engine's text of a number must be one of JSON. */
static bool is_json_number(struct trib_view t)
{
    size_t i = t.n > 0 && t.p[0] == '-' ? 1 : 0;
    size_t from = i;
    while (i < t.n && isdigit((unsigned char)t.p[i])) {
        i++;
    }
    if (i == from || (t.p[from] == '0' && i - from > 1)) {
        return false;
    }
    if (i < t.n && t.p[i] == '.') {
        from = ++i;
        while (i < t.n && isdigit((unsigned char)t.p[i])) {
            i++;
        }
        if (i == from) {
            return false;
        }
    }
    if (i < t.n && t.p[i] == 'e') {
        i += i + 1 < t.n && (t.p[i + 1] == '+' || t.p[i + 1] == '-') ? 2 : 1;
        from = i;
        while (i < t.n && isdigit((unsigned char)t.p[i])) {
            i++;
        }
        if (i == from) {
            return false;
        }
    }
    return i == t.n;
}

/* Bytes of the longest prefix of at most STRING_UNITS UTF-16 units. */
static size_t prefix_bytes(struct trib_view s)
{
    size_t units = 0, i = 0;
    while (i < s.n) {
        unsigned char c = (unsigned char)s.p[i];
        size_t len = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
        units += len == 4 ? 2 : 1;
        if (units > STRING_UNITS || i + len > s.n) {
            return i;
        }
        i += len;
    }
    return i;
}

static bool add_string(struct trib_buf *to, struct trib_view s, enum part part)
{
    size_t n = prefix_bytes(s);
    if (n == s.n || part == PART_MIN) {
        trib_format_json_string(to, (struct trib_view){s.p, n});
        return true;
    }
    /* What is appended must not sort before what was cut off. */
    const char *tail = (unsigned char)s.p[n] < 0x7F ? "\x7F" : "\xF4\x8F\xBF\xBF";
    if (s.n - n >= 4 && memcmp(s.p + n, "\xF4\x8F\xBF\xBF", 4) == 0) {
        return false;
    }
    char cut[STRING_UNITS * 4 + 8];
    memcpy(cut, s.p, n);
    memcpy(cut + n, tail, strlen(tail));
    trib_format_json_string(to, (struct trib_view){cut, n + strlen(tail)});
    return true;
}

static bool add_bound(struct trib_buf *to, const struct trib_type *t, const struct trib_leaf_stats *s, enum part part)
{
    if (!s->has_min || !s->has_max || s->has_nan) {
        return false;
    }
    struct trib_view text = part == PART_MIN ? s->min : s->max;
    switch (t->id) {
    case TRIB_T_STRING: return add_string(to, text, part);
    case TRIB_T_TIMESTAMP: return add_timestamp(to, text, part, true);
    case TRIB_T_TIMESTAMP_NTZ: return add_timestamp(to, text, part, false);
    case TRIB_T_DATE:
        if (!is_date(text)) {
            return false;
        }
        trib_format_json_string(to, text);
        return true;
    case TRIB_T_BOOLEAN:
    case TRIB_T_BINARY:
    case TRIB_T_STRUCT:
    case TRIB_T_ARRAY:
    case TRIB_T_MAP: return false;
    default:
        if (!is_json_number(text)) {
            return false;
        }
        trib_buf_add(to, text.p, text.n);
        return true;
    }
}

bool trib_parquet_has_floats(const struct trib_type *t)
{
    bool found = t->id == TRIB_T_FLOAT || t->id == TRIB_T_DOUBLE;
    for (size_t i = 0; t->id == TRIB_T_STRUCT && i < t->n_fields && !found; i++) {
        found = trib_parquet_has_floats(&t->fields[i].type);
    }
    return found;
}

struct walk {
    struct trib_leaf_stats *leaves;
    size_t n;
    const struct trib_parquet_opts *o;
    struct trib_buf path;   /* "a"."b" */
    struct trib_buf dotted; /* a.b */
    size_t seen;            /* leaves that may have statistics, for the first 32 */
    size_t leaf;            /* of the file */
    const bool *unbounded;
    enum part part;
};

static bool wanted(const struct walk *w)
{
    if (w->o->stats == NULL) {
        return w->seen <= DEFAULT_LEAVES;
    }
    for (size_t i = 0; i < w->o->n_stats; i++) {
        size_t n = strlen(w->o->stats[i]);
        if (w->dotted.n >= n && memcmp(w->dotted.p, w->o->stats[i], n) == 0 &&
            (w->dotted.n == n || w->dotted.p[n] == '.')) {
            return true;
        }
    }
    return false;
}

static bool add_leaf(struct walk *w, const struct trib_type *t, struct trib_buf *to)
{
    size_t leaf = w->leaf;
    w->leaf += trib_type_leaves(t);
    w->seen++;
    if (!wanted(w)) {
        return false;
    }
    struct trib_leaf_stats key = {.path = trib_buf_view(&w->path)};
    const struct trib_leaf_stats *s = bsearch(&key, w->leaves, w->n, sizeof key, leaf_cmp);
    if (s == NULL) {
        return false;
    }
    if (w->part != PART_NULLS) {
        return (w->unbounded == NULL || !w->unbounded[leaf]) && add_bound(to, t, s, w->part);
    }
    if (!s->has_null_count || !all_digits(s->null_count.p, s->null_count.n)) {
        return false;
    }
    trib_buf_add(to, s->null_count.p, s->null_count.n);
    return true;
}

/* Members as an object; false (and nothing added) when none had anything to say. */
static bool add_members(struct walk *w, const struct trib_type *t, struct trib_buf *to)
{
    size_t path_n = w->path.n, dotted_n = w->dotted.n, start = to->n;
    bool any = false;
    for (size_t i = 0; i < t->n_fields; i++) {
        const struct trib_field *f = &t->fields[i];
        size_t before = to->n;
        if (path_n > 0) {
            trib_buf_addc(&w->path, '.');
            trib_buf_addc(&w->dotted, '.');
        }
        trib_sql_ident(&w->path, f->name);
        trib_buf_adds(&w->dotted, f->name);
        trib_buf_addc(to, any ? ',' : '{');
        trib_format_json_string(to, trib_view_of(f->name));
        trib_buf_addc(to, ':');
        bool added = f->type.id == TRIB_T_STRUCT ? add_members(w, &f->type, to) : add_leaf(w, &f->type, to);
        if (!added) {
            to->n = before;
        }
        any |= added;
        w->path.n = path_n;
        w->dotted.n = dotted_n;
    }
    if (!any) {
        to->n = start;
        return false;
    }
    trib_buf_addc(to, '}');
    return true;
}

char *trib_parquet_stats_json(const struct trib_type *row, int64_t rows, struct trib_leaf_stats *leaves, size_t n,
                              const bool *unbounded, const struct trib_parquet_opts *o)
{
    static const char *const names[] = {[PART_MIN] = "minValues", [PART_MAX] = "maxValues", [PART_NULLS] = "nullCount"};
    struct walk w = {.leaves = leaves, .n = n, .unbounded = unbounded, .o = o};
    struct trib_buf b;
    trib_buf_init(&b, SIZE_MAX / 2);
    trib_buf_init(&w.path, SIZE_MAX / 2);
    trib_buf_init(&w.dotted, SIZE_MAX / 2);
    if (n > 0) {
        qsort(leaves, n, sizeof *leaves, leaf_cmp);
    }
    trib_buf_addf(&b, "{\"numRecords\":%lld", (long long)rows);
    for (int part = PART_MIN; part <= PART_NULLS; part++) {
        w.part = (enum part)part;
        w.seen = 0;
        w.leaf = 0;
        trib_buf_addf(&b, ",\"%s\":", names[part]);
        if (!add_members(&w, row, &b)) {
            trib_buf_adds(&b, "{}");
        }
    }
    trib_buf_adds(&b, ",\"tightBounds\":true}");
    trib_buf_free(&w.path);
    trib_buf_free(&w.dotted);
    return trib_buf_take(&b);
}
