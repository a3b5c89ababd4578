/*
 * Rows of DMS files → changes; see dms.h. Owns the layout of the file at hand and the texts of what was handed out. Never writes.
 *
 *   name → full load or changes, and the file's place
 *   first row → layout: a header line, or the configured columns, with or without Op
 *   row → op, place in the order, attributes as DynamoDB JSON
 */
#include "ingest/dms.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "columns/format.h"
#include "dynamodb/json.h"
#include "ingest/dms_own.h"

enum { JSON_MAX = 256 << 20, ROW_BYTES = 64 << 20, RAW_MAX = 1 << 20, KEYS_MAX = 2 };

struct trib_dms {
    const struct trib_ingest_opts *o;
    const char *key;
    struct trib_input *in;
    struct trib_csv *csv; /* NULL: Parquet */
    struct trib_dms_parquet *parquet;
    bool hold;
    bool named, full, told; /* told: that the name says nothing */
    int64_t place;
    bool laid_out;
    struct trib_dms_layout layout; /* CSV's own */
    const struct trib_dms_layout *l;
    struct trib_arena arena;
    struct trib_buf json, scratch;
    int64_t row; /* the next one's number */
    int64_t decoded;
    struct trib_view raw;
};

/* ---- names and times ---------------------------------------------------------------------------------------------- */

static bool number_of(const char *p, size_t n, unsigned base, int64_t *ret)
{
    int64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned d = p[i] >= '0' && p[i] <= '9'   ? (unsigned)(p[i] - '0')
                     : p[i] >= 'A' && p[i] <= 'F' ? (unsigned)(p[i] - 'A' + 10)
                     : p[i] >= 'a' && p[i] <= 'f' ? (unsigned)(p[i] - 'a' + 10)
                                                  : 99;
        if (d >= base || n > 12) {
            return false;
        }
        v = v * base + d;
    }
    *ret = v;
    return n > 0;
}

/* Parts of a time, checked; µs. */
static bool time_of(const char *date, unsigned gap, const char *clock, unsigned step, int64_t *ret_us)
{
    int64_t y, m, d, h, min, s;
    if (!number_of(date, 4, 10, &y) || !number_of(date + 4 + gap, 2, 10, &m) ||
        !number_of(date + 6 + (size_t)2 * gap, 2, 10, &d) || !number_of(clock, 2, 10, &h) ||
        !number_of(clock + 2 + step, 2, 10, &min) || !number_of(clock + 4 + (size_t)2 * step, 2, 10, &s)) {
        return false;
    }
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    if (y < 1970 || m < 1 || m > 12 || d < 1 || d > days[m - 1] + (m == 2 && leap) || h > 23 || min > 59 || s > 60) {
        return false;
    }
    int64_t day = trib_days_from_civil(y, (unsigned)m, (unsigned)d);
    *ret_us = ((day * 24 + h) * 3600 + min * 60 + s) * 1000000;
    return true;
}

/* Up to six digits of a fraction, as µs. */
static bool fraction(const char *p, size_t n, int64_t *ret_us)
{
    int64_t us = 0;
    if (n > 9 || (n > 0 && !number_of(p, n, 10, &us))) {
        return false;
    }
    for (; n < 6; n++) {
        us *= 10;
    }
    for (; n > 6; n--) {
        us /= 10;
    }
    *ret_us = us;
    return true;
}

bool trib_dms_time(struct trib_view t, int64_t *ret_us)
{
    int64_t us, part = 0;
    if (t.n > 0 && t.p[t.n - 1] == 'Z') {
        t.n--;
    }
    if (t.n < 19 || t.p[4] != '-' || t.p[7] != '-' || (t.p[10] != ' ' && t.p[10] != 'T') || t.p[13] != ':' ||
        t.p[16] != ':' || !time_of(t.p, 1, t.p + 11, 1, &us) ||
        (t.n > 19 && (t.p[19] != '.' || t.n == 20 || !fraction(t.p + 20, t.n - 20, &part)))) {
        return false;
    }
    *ret_us = us + part;
    return true;
}

bool trib_dms_name(const char *key, bool *ret_full, int64_t *ret_place)
{
    const char *slash = strrchr(key, '/'), *name = slash == NULL ? key : slash + 1;
    size_t n = strcspn(name, ".");
    int64_t us, part;
    if (n > 4 && n <= 12 && strncmp(name, "LOAD", 4) == 0 && number_of(name + 4, n - 4, 16, ret_place)) {
        *ret_full = true;
        return true;
    }
    if (n < 15 || name[8] != '-' || !time_of(name, 0, name + 9, 0, &us) || !fraction(name + 15, n - 15, &part)) {
        return false;
    }
    *ret_full = false;
    *ret_place = (us + part) / 1000;
    return true;
}

/* ---- columns ------------------------------------------------------------------------------------------------------ */

/* The type that a hint gives a top-level attribute; false: none. */
static bool hinted(const struct trib_schema_opts *s, struct trib_view name, enum trib_type_id *ret)
{
    for (size_t i = 0; i < s->n_hints; i++) {
        const char *path = s->hints[i].path;
        size_t n = strlen(path);
        bool ticks = n > 2 && path[0] == '`' && path[n - 1] == '`';
        struct trib_view is = ticks ? (struct trib_view){path + 1, n - 2} : (struct trib_view){path, n};
        struct trib_type t;
        struct trib_err ignored;
        if (trib_view_eq(is, name) && trib_hint_parse(s->hints[i].type, &t, &ignored) == 0) {
            *ret = t.id;
            trib_type_free(&t);
            return true;
        }
    }
    return false;
}

static enum trib_dms_form form_of_key(const char *type, enum trib_dms_form native, bool csv)
{
    switch (type == NULL ? '\0' : type[0]) {
    case 'N': return TRIB_DMS_NUMBER;
    case 'B': return csv ? TRIB_DMS_HEX : native;
    case 'S': return native == TRIB_DMS_NUMBER || native == TRIB_DMS_BOOL ? TRIB_DMS_TEXT : native;
    default: return native;
    }
}

static enum trib_dms_form form_of_hint(enum trib_type_id id, enum trib_dms_form native, bool csv)
{
    bool text = native == TRIB_DMS_TEXT, time = text || native == TRIB_DMS_INSTANT || native == TRIB_DMS_LOCAL;
    switch (id) {
    case TRIB_T_TIMESTAMP: return time ? TRIB_DMS_INSTANT : native;
    case TRIB_T_TIMESTAMP_NTZ: return time ? TRIB_DMS_LOCAL : native;
    case TRIB_T_BYTE:
    case TRIB_T_SHORT:
    case TRIB_T_INT:
    case TRIB_T_LONG:
    case TRIB_T_FLOAT:
    case TRIB_T_DOUBLE:
    case TRIB_T_DECIMAL: return text && csv ? TRIB_DMS_NUMBER : native;
    case TRIB_T_BOOLEAN: return text && csv ? TRIB_DMS_BOOL : native;
    case TRIB_T_BINARY: return text && csv ? TRIB_DMS_HEX : native;
    default: return native;
    }
}

void trib_dms_column(const struct trib_ingest_opts *o, struct trib_view name, bool first, enum trib_dms_form native,
                     bool csv, struct trib_dms_column *ret)
{
    struct trib_buf label;
    trib_buf_init(&label, 1 << 20);
    trib_format_json_string(&label, name);
    *ret = (struct trib_dms_column){.form = native, .key = -1, .label = trib_buf_take(&label)};
    if (first && trib_view_is(name, "Op")) {
        ret->role = TRIB_DMS_OP;
        return;
    }
    if (o->dms.timestamp != NULL && trib_view_is(name, o->dms.timestamp)) {
        ret->role = TRIB_DMS_TIME;
        return;
    }
    for (size_t k = 0; k < o->n_keys; k++) {
        if (trib_view_is(name, o->keys[k])) {
            ret->key = (int)k;
            ret->form = form_of_key(o->key_types[k], native, csv);
            return;
        }
    }
    enum trib_type_id id;
    if (hinted(&o->schema, name, &id)) {
        ret->form = form_of_hint(id, native, csv);
    }
}

void trib_dms_layout_free(struct trib_dms_layout *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->columns[i].label);
    }
    free(l->columns);
    *l = (struct trib_dms_layout){0};
}

int trib_dms_layout_check(const struct trib_ingest_opts *o, const char *key, const struct trib_dms_layout *l,
                          const char *remedy, struct trib_err *err)
{
    bool time = o->dms.timestamp == NULL;
    bool keys[KEYS_MAX] = {false, false};
    for (size_t i = 0; i < l->n; i++) {
        time |= l->columns[i].role == TRIB_DMS_TIME;
        for (size_t k = 0; k < o->n_keys; k++) {
            keys[k] |= l->columns[i].key == (int)k;
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(l->columns[i].label, l->columns[j].label) == 0) {
                return trib_err_set(err, TRIB_E_CONFIG, "%s: two columns are called %s", key, l->columns[i].label);
            }
        }
    }
    for (size_t k = 0; k < o->n_keys; k++) {
        if (!keys[k]) {
            return trib_err_set(err, TRIB_E_CONFIG, "%s: there is no column `%s`, which `key` names; %s", key,
                                o->keys[k], remedy);
        }
    }
    if (!time) {
        return trib_err_set(err, TRIB_E_CONFIG, "%s: there is no column `%s`, which `source.timestamp` names; %s", key,
                            o->dms.timestamp, remedy);
    }
    return 0;
}

static void add_column(struct trib_dms *d, struct trib_view name)
{
    struct trib_dms_layout *l = &d->layout;
    l->columns = trib_realloc(l->columns, (l->n + 1) * sizeof *l->columns);
    trib_dms_column(d->o, name, l->n == 0, TRIB_DMS_TEXT, true, &l->columns[l->n]);
    l->n++;
}

static bool is_configured(const struct trib_dms_opts *o, struct trib_view name)
{
    bool found = o->timestamp != NULL && trib_view_is(name, o->timestamp);
    for (size_t i = 0; i < o->n_columns && !found; i++) {
        found = trib_view_is(name, o->columns[i]);
    }
    return found;
}

/* The line names columns: always where none are configured, else where it names the configured ones and nothing else. */
static bool is_header(const struct trib_dms *d, const struct trib_csv_row *r)
{
    const struct trib_dms_opts *o = &d->o->dms;
    size_t first = (size_t)trib_view_is(r->fields[0].text, "Op");
    bool names = o->n_columns == 0 || r->n > first;
    for (size_t i = first; i < r->n && names && o->n_columns > 0; i++) {
        names = is_configured(o, r->fields[i].text);
    }
    return names;
}

/* From the configured columns and the first row's number of fields; false: it fits neither form. */
static bool lay_out(struct trib_dms *d, size_t n)
{
    const struct trib_dms_opts *o = &d->o->dms;
    bool listed = false;
    for (size_t i = 0; i < o->n_columns && o->timestamp != NULL; i++) {
        listed |= strcmp(o->columns[i], o->timestamp) == 0;
    }
    bool time = o->timestamp != NULL && !listed;
    size_t least = o->n_columns + time;
    if (n != least && n != least + 1) {
        return false;
    }
    if (n > least) {
        add_column(d, TRIB_VIEW_LIT("Op"));
    }
    if (time) {
        add_column(d, trib_view_of(o->timestamp));
    }
    for (size_t i = 0; i < o->n_columns; i++) {
        add_column(d, trib_view_of(o->columns[i]));
    }
    return true;
}

/* ---- rows --------------------------------------------------------------------------------------------------------- */

static bool one_of(struct trib_view t, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (t.n == strlen(words[i]) && strncasecmp(t.p, words[i], t.n) == 0) {
            return true;
        }
    }
    return false;
}

/* Hex digits in pairs, perhaps behind 0x. */
static bool bytes_of(struct trib_view t, struct trib_buf *to)
{
    if (t.n >= 2 && t.p[0] == '0' && (t.p[1] == 'x' || t.p[1] == 'X')) {
        t.p += 2;
        t.n -= 2;
    }
    if (t.n % 2 != 0) {
        return false;
    }
    for (size_t i = 0; i < t.n; i += 2) {
        int64_t v;
        if (!number_of(t.p + i, 2, 16, &v)) {
            return false;
        }
        trib_buf_addc(to, (char)v);
    }
    return true;
}

/* A time as a hint of timestamp takes it: T, no zeros at the end, Z where it is an instant. False: it is no time. */
static bool time_text(struct trib_view t, bool instant, struct trib_buf *to)
{
    int64_t us;
    if (!trib_dms_time(t, &us) || t.n > 26 + (size_t)(t.p[t.n - 1] == 'Z')) { /* a seventh digit would not come back */
        return false;
    }
    trib_format_timestamp(to, us, 6);
    while (to->n > 0 && to->p[to->n - 1] == '0') {
        to->n--;
    }
    to->n -= to->n > 0 && to->p[to->n - 1] == '.';
    trib_buf_adds(to, instant ? "Z" : "");
    return true;
}

/* Appends the typed value; what is not of its form stays text, so that nothing of it is lost. */
static void add_value(struct trib_dms *d, enum trib_dms_form form, struct trib_view t)
{
    static const char *const yes[] = {"true", "t", "1"}, *const no[] = {"false", "f", "0"};
    struct trib_buf *to = &d->json, *s = &d->scratch;
    struct trib_number number;
    trib_buf_clear(s);
    switch (form) {
    case TRIB_DMS_NUMBER:
        if (trib_number_parse(t, &number)) {
            trib_buf_adds(to, "{\"N\":\"");
            trib_buf_add(to, t.p, t.n);
            trib_buf_adds(to, "\"}");
            return;
        }
        break;
    case TRIB_DMS_BOOL:
        if (one_of(t, yes, 3) || one_of(t, no, 3)) {
            trib_buf_adds(to, one_of(t, yes, 3) ? "{\"BOOL\":true}" : "{\"BOOL\":false}");
            return;
        }
        break;
    case TRIB_DMS_HEX:
        if (bytes_of(t, s)) {
            trib_buf_adds(to, "{\"B\":\"");
            trib_format_base64(to, trib_buf_view(s));
            trib_buf_adds(to, "\"}");
            return;
        }
        break;
    case TRIB_DMS_BASE64:
        trib_buf_adds(to, "{\"B\":\"");
        trib_buf_add(to, t.p, t.n);
        trib_buf_adds(to, "\"}");
        return;
    case TRIB_DMS_INSTANT:
    case TRIB_DMS_LOCAL:
        if (time_text(t, form == TRIB_DMS_INSTANT, s)) {
            t = trib_buf_view(s);
        }
        break;
    case TRIB_DMS_TEXT: break;
    }
    trib_buf_adds(to, "{\"S\":");
    trib_format_json_string(to, t);
    trib_buf_addc(to, '}');
}

static bool is_null(const struct trib_dms *d, const struct trib_csv_field *f)
{
    return d->csv == NULL ? f->text.p == NULL : !f->quoted && trib_view_is(f->text, d->o->dms.null_value);
}

/* The attributes as a JSON object, in the arena; all of them, or the keys. n 0: it is too long. */
static struct trib_view item_of(struct trib_dms *d, const struct trib_csv_field *fields, bool keys)
{
    struct trib_buf *to = &d->json;
    trib_buf_clear(to);
    trib_buf_addc(to, '{');
    for (size_t i = 0; i < d->l->n; i++) {
        const struct trib_dms_column *c = &d->l->columns[i];
        if (c->role != TRIB_DMS_ATTRIBUTE || (keys && c->key < 0) || is_null(d, &fields[i])) {
            continue;
        }
        if (to->n > 1) {
            trib_buf_addc(to, ',');
        }
        trib_buf_adds(to, c->label);
        trib_buf_addc(to, ':');
        add_value(d, c->form, fields[i].text);
    }
    trib_buf_addc(to, '}');
    if (to->overflow || d->scratch.overflow) {
        return (struct trib_view){NULL, 0};
    }
    return (struct trib_view){trib_arena_strndup(&d->arena, to->p, to->n), to->n};
}

/* NULL, or why it is none. */
static const char *op_of(struct trib_view t, enum trib_op *ret)
{
    static const char letters[] = "IUD";
    const char *at = t.n == 1 && t.p[0] != '\0' ? strchr(letters, t.p[0]) : NULL;
    if (at == NULL) {
        return "Op is not I, U or D";
    }
    *ret = (enum trib_op)(at - letters);
    return NULL;
}

/* Its place: 17 digits of the commit time in µs (the file's own, where changes have none), 14 of the file's place, 9 of the row. */
static const char *place_row(struct trib_dms *d, int64_t row, int64_t time_us, struct trib_change *c)
{
    if (row > 999999999) {
        return "the file has more than 999,999,999 rows, which the order of changes cannot hold";
    }
    char digits[64];
    c->time_us = time_us >= 0 || d->full ? time_us : d->place * 1000;
    int n = snprintf(digits, sizeof digits, "%017lld%014lld%09lld", c->time_us < 0 ? 0LL : (long long)c->time_us,
                     (long long)d->place, (long long)row);
    c->sequence_number = (struct trib_view){trib_arena_strndup(&d->arena, digits, (size_t)n), (size_t)n};
    c->state = d->full;
    return NULL;
}

/* NULL: *c is filled. Else why the row is bad. */
static const char *change_of(struct trib_dms *d, const struct trib_csv_field *fields, int64_t row,
                             struct trib_change *c)
{
    int64_t time_us = -1;
    *c = (struct trib_change){.kind = TRIB_KIND_DMS, .op = TRIB_OP_INSERT, .time_us = -1};
    for (size_t i = 0; i < d->l->n; i++) {
        enum trib_dms_role role = d->l->columns[i].role;
        const char *why = NULL;
        if (role == TRIB_DMS_OP) {
            why = op_of(fields[i].text, &c->op);
        } else if (role == TRIB_DMS_TIME && !trib_dms_time(fields[i].text, &time_us) &&
                   (!d->full || !is_null(d, &fields[i]))) {
            why = "the commit time is no yyyy-MM-dd HH:mm:ss.SSSSSS";
        }
        if (why != NULL) {
            return why;
        }
    }
    bool remove = c->op == TRIB_OP_REMOVE;
    struct trib_view item = item_of(d, fields, remove);
    if (item.n == 0) {
        return "the row is longer than 256 MiB as an item";
    }
    *(remove ? &c->keys : &c->new_image) = item;
    return place_row(d, row, time_us, c);
}

static struct trib_view first_bytes(struct trib_view raw)
{
    return (struct trib_view){raw.p, raw.n < RAW_MAX ? raw.n : RAW_MAX};
}

static enum trib_reader_result bad_row(struct trib_bad *bad, int64_t offset, struct trib_view raw, const char *why)
{
    bad->offset = offset;
    bad->raw = first_bytes(raw);
    (void)snprintf(bad->reason, sizeof bad->reason, "%s", why);
    return TRIB_READ_BAD;
}

static int set_out(struct trib_dms *d, const struct trib_csv_row *r, bool *ret_header, struct trib_err *err)
{
    static const char no_header[] =
        "the first line is taken for the columns' names: let DMS write them (AddColumnName), or list them in `source.columns`";
    static const char configured[] = "list the table's columns in `source.columns` as the files have them";
    *ret_header = is_header(d, r);
    for (size_t i = 0; *ret_header && i < r->n; i++) {
        add_column(d, r->fields[i].text);
    }
    d->laid_out = *ret_header || lay_out(d, r->n);
    d->l = &d->layout;
    return d->laid_out
               ? trib_dms_layout_check(d->o, d->key, &d->layout, d->o->dms.n_columns == 0 ? no_header : configured, err)
               : 0;
}

static int next_csv(struct trib_dms *d, enum trib_reader_result *ret_result, struct trib_change *c,
                    struct trib_bad *bad, struct trib_err *err)
{
    for (;;) {
        struct trib_csv_row r;
        bool end;
        TRIB_TRY(trib_csv_next(d->csv, &r, &end, err));
        if (end) {
            *ret_result = TRIB_READ_END;
            return 0;
        }
        if (r.broken == NULL && !d->laid_out) {
            bool header;
            TRIB_TRY(set_out(d, &r, &header, err));
            if (header) {
                continue;
            }
        }
        int64_t row = d->row++;
        const char *why = r.broken != NULL          ? r.broken
                          : !d->laid_out            ? "the row has another number of fields than `source.columns`"
                          : r.n != d->l->n          ? "the row has another number of fields than the file has columns"
                          : !trib_utf8_valid(r.raw) ? "invalid UTF-8"
                                                    : change_of(d, r.fields, row, c);
        if (why != NULL) {
            *ret_result = bad_row(bad, r.offset, r.raw, why);
            return 0;
        }
        c->offset = r.offset;
        c->length = (int64_t)r.raw.n;
        c->raw = first_bytes(r.raw);
        *ret_result = TRIB_READ_CHANGE;
        return 0;
    }
}

static int next_parquet(struct trib_dms *d, enum trib_reader_result *ret_result, struct trib_change *c,
                        struct trib_bad *bad, struct trib_err *err)
{
    const struct trib_csv_field *fields;
    int64_t row;
    bool end;
    TRIB_TRY(trib_dms_parquet_next(d->parquet, &d->l, &fields, &row, &end, err));
    if (end) {
        *ret_result = TRIB_READ_END;
        return 0;
    }
    d->row = row + 1;
    const char *why = change_of(d, fields, row, c);
    d->decoded += (int64_t)d->json.n;
    if (why != NULL) {
        *ret_result = bad_row(bad, row, trib_buf_view(&d->json), why);
        return 0;
    }
    c->offset = row;
    c->length = (int64_t)d->json.n;
    c->raw = first_bytes(trib_buf_view(&d->json));
    *ret_result = TRIB_READ_CHANGE;
    return 0;
}

int trib_dms_next(struct trib_dms *d, enum trib_reader_result *ret_result, struct trib_change *ret_change,
                  struct trib_bad *ret_bad, struct trib_err *err)
{
    if (!d->hold) {
        trib_arena_reset(&d->arena);
    }
    if (!d->named) {
        *ret_result = d->told
                          ? TRIB_READ_END
                          : bad_row(ret_bad, 0, (struct trib_view){NULL, 0},
                                    "the file's name is none of DMS's (LOAD00000001.csv, 20260131-100000123.csv): its "
                                    "place in the order of changes is unknown");
        d->told = true;
        return 0;
    }
    return d->csv != NULL ? next_csv(d, ret_result, ret_change, ret_bad, err)
                          : next_parquet(d, ret_result, ret_change, ret_bad, err);
}

/* ---- the file ----------------------------------------------------------------------------------------------------- */

struct trib_dms *trib_dms_open(const struct trib_ingest_opts *o, struct trib_engine *engine, const char *key,
                               struct trib_input *in, bool hold)
{
    struct trib_dms *d = trib_calloc(1, sizeof *d);
    *d = (struct trib_dms){.o = o, .key = key, .in = in, .hold = hold};
    d->named = trib_dms_name(key, &d->full, &d->place);
    trib_arena_init(&d->arena);
    trib_buf_init(&d->json, JSON_MAX);
    trib_buf_init(&d->scratch, JSON_MAX);
    if (trib_input_codec(in) == TRIB_CODEC_PARQUET) {
        d->parquet = trib_dms_parquet_open(o, engine, key);
    } else {
        size_t limit = o->limits.line_bytes > 0 ? o->limits.line_bytes : ROW_BYTES;
        d->csv = trib_csv_new(trib_input_read, in, o->dms.delimiter, limit);
    }
    return d;
}

void trib_dms_free(struct trib_dms *d)
{
    if (d == NULL) {
        return;
    }
    trib_csv_free(d->csv);
    trib_dms_parquet_free(d->parquet);
    trib_dms_layout_free(&d->layout);
    trib_arena_free(&d->arena);
    trib_buf_free(&d->json);
    trib_buf_free(&d->scratch);
    free(d);
}

void trib_dms_release(struct trib_dms *d) { trib_arena_reset(&d->arena); }

struct trib_view trib_dms_raw(const struct trib_dms *d)
{
    return d->csv != NULL ? first_bytes(trib_csv_rest(d->csv)) : (struct trib_view){NULL, 0};
}

int64_t trib_dms_offset(const struct trib_dms *d) { return d->csv != NULL ? trib_csv_offset(d->csv) : d->row; }

int64_t trib_dms_decoded(const struct trib_dms *d) { return d->csv != NULL ? trib_input_decoded(d->in) : d->decoded; }

int64_t trib_dms_consumed(const struct trib_dms *d) { return d->csv != NULL ? trib_csv_offset(d->csv) : d->decoded; }
