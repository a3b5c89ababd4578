/* Rows of delimited text; see csv.h. Owns one buffer with the row at hand and what was read behind it. */
#include "ingest/csv.h"

#include <stdio.h>
#include <stdlib.h>

enum { READ_BYTES = 256 << 10, LEAST_LIMIT = 64 << 10 };

enum where { AT_FIELD, IN_PLAIN, IN_QUOTES, BEHIND_QUOTE };

struct trib_csv {
    trib_read_fn read;
    void *ctx;
    char delimiter;
    size_t limit; /* of a row that goes over lines: halved whenever it was reached, so that no input costs its square */
    size_t longest;
    char *bytes;
    size_t n, cap;
    size_t at;      /* the row at hand begins here */
    size_t scanned; /* looked at so far, from the beginning */
    enum where state;
    size_t line_end; /* the first line's end within the row; SIZE_MAX: none yet */
    int64_t base;    /* stream offset of bytes[0] */
    bool begun, ended;
    struct trib_err failed;
    char *text; /* of the fields */
    size_t text_cap;
    struct trib_csv_field *fields;
    size_t n_fields, cap_fields;
    char why[128];
};

struct trib_csv *trib_csv_new(trib_read_fn read, void *ctx, char delimiter, size_t limit)
{
    struct trib_csv *c = trib_calloc(1, sizeof *c);
    *c = (struct trib_csv){
        .read = read, .ctx = ctx, .delimiter = delimiter, .limit = limit, .longest = limit, .line_end = SIZE_MAX};
    return c;
}

void trib_csv_free(struct trib_csv *c)
{
    if (c == NULL) {
        return;
    }
    free(c->bytes);
    free(c->text);
    free(c->fields);
    free(c);
}

int64_t trib_csv_offset(const struct trib_csv *c) { return c->base + (int64_t)c->at; }

struct trib_view trib_csv_rest(const struct trib_csv *c)
{
    return c->n > c->at ? (struct trib_view){c->bytes + c->at, c->n - c->at} : (struct trib_view){NULL, 0};
}

/* More bytes behind what is there; c->ended or c->failed when there are none. */
static void more(struct trib_csv *c)
{
    if (c->at > 0) {
        memmove(c->bytes, c->bytes + c->at, c->n - c->at);
        c->base += (int64_t)c->at;
        c->n -= c->at;
        c->scanned -= c->at;
        c->line_end -= c->line_end == SIZE_MAX ? 0 : c->at;
        c->at = 0;
    }
    if (c->cap - c->n < READ_BYTES) {
        c->cap = c->n + READ_BYTES > 2 * c->cap ? c->n + READ_BYTES : 2 * c->cap;
        c->bytes = trib_realloc(c->bytes, c->cap);
    }
    int64_t got = c->read(c->ctx, c->bytes + c->n, READ_BYTES, &c->failed);
    if (got > 0) {
        c->n += (size_t)got;
    } else if (got == 0) {
        c->ended = true;
    }
}

/* One byte further; true at the row's end. */
static bool step(struct trib_csv *c, char b)
{
    bool quotes = c->state == IN_QUOTES;
    if (b == '\n') {
        c->line_end = c->line_end == SIZE_MAX ? c->scanned : c->line_end;
        return !quotes;
    }
    if (quotes) {
        c->state = b == '"' ? BEHIND_QUOTE : IN_QUOTES;
    } else if (b == c->delimiter) {
        c->state = AT_FIELD;
    } else if (b == '"' && c->state != IN_PLAIN) { /* opens a field, or doubles the quote before it */
        c->state = IN_QUOTES;
    } else if (c->state != BEHIND_QUOTE || b != '\r') {
        c->state = IN_PLAIN;
    }
    return false;
}

/* Looks on until the row ends: true, c->scanned at its end. False: more bytes are needed. */
static bool scan(struct trib_csv *c)
{
    while (c->scanned < c->n) {
        if (c->state == IN_QUOTES) { /* long texts go fast */
            const char *from = c->bytes + c->scanned, *quote = memchr(from, '"', c->n - c->scanned);
            size_t plain = quote == NULL ? c->n - c->scanned : (size_t)(quote - from);
            const char *line = c->line_end == SIZE_MAX ? memchr(from, '\n', plain) : NULL;
            if (line != NULL) {
                c->line_end = (size_t)(line - c->bytes);
            }
            c->scanned += plain;
            if (quote == NULL) {
                return false;
            }
        }
        if (step(c, c->bytes[c->scanned])) {
            return true;
        }
        c->scanned++;
    }
    return false;
}

/* The row ends before `end`; the next begins behind the line's end, where there is one. */
static void cut(struct trib_csv *c, size_t end, struct trib_csv_row *ret)
{
    *ret = (struct trib_csv_row){.offset = trib_csv_offset(c), .raw = {c->bytes + c->at, end - c->at}};
    if (ret->raw.n > 0 && ret->raw.p[ret->raw.n - 1] == '\r') {
        ret->raw.n--;
    }
    c->at = end < c->n ? end + 1 : end;
    c->scanned = c->at;
    c->state = AT_FIELD;
    c->line_end = SIZE_MAX;
}

static void add_field(struct trib_csv *c, const char *p, size_t n, bool quoted)
{
    TRIB_GROW(c->fields, c->cap_fields, c->n_fields + 1);
    c->fields[c->n_fields++] = (struct trib_csv_field){{p, n}, quoted};
}

/* The row's fields; false: text behind a closing quote. */
static bool split(struct trib_csv *c, struct trib_view raw)
{
    if (c->text_cap < raw.n + 1) {
        free(c->text);
        c->text_cap = 2 * raw.n + 256;
        c->text = trib_malloc(c->text_cap);
    }
    char *to = c->text;
    const char *p = raw.p, *end = raw.p + raw.n;
    c->n_fields = 0;
    for (;;) {
        const char *start = to;
        bool quoted = p < end && *p == '"';
        if (quoted) {
            for (p++; p < end && (*p != '"' || (p + 1 < end && p[1] == '"')); p++) {
                p += *p == '"';
                *to++ = *p;
            }
            p++; /* the closing one */
            if (p > end || (p < end && *p != c->delimiter)) {
                return false;
            }
        } else {
            const char *stop = p == end ? NULL : memchr(p, c->delimiter, (size_t)(end - p));
            size_t n = (size_t)((stop == NULL ? end : stop) - p);
            memcpy(to, p, n);
            to += n;
            p += n;
        }
        add_field(c, start, (size_t)(to - start), quoted);
        if (p >= end) {
            return true;
        }
        p++;
    }
}

static void broken(struct trib_csv *c, struct trib_csv_row *ret, const char *why)
{
    ret->broken = why;
    ret->fields = NULL;
    ret->n = 0;
    c->n_fields = 0;
}

/* A row that cannot be: its first line is bad, and reading goes on at the next. */
static void give_up(struct trib_csv *c, struct trib_csv_row *ret)
{
    bool quotes = c->state == IN_QUOTES, far = c->scanned - c->at > LEAST_LIMIT;
    cut(c, c->line_end != SIZE_MAX ? c->line_end : c->n, ret);
    if (quotes && far && c->limit > LEAST_LIMIT) {
        c->limit /= 2;
    }
    (void)snprintf(c->why, sizeof c->why,
                   quotes ? "a quoted field is never closed" : "the row is longer than %zu bytes", c->longest);
    broken(c, ret, c->why);
}

/* Behind a row that was too long: its rest, up to the line's end. */
static void skip_line(struct trib_csv *c)
{
    for (;;) {
        const char *line = c->n > c->at ? memchr(c->bytes + c->at, '\n', c->n - c->at) : NULL;
        if (line != NULL) {
            c->at = (size_t)(line - c->bytes) + 1;
            c->scanned = c->at;
            return;
        }
        c->at = c->scanned = c->n;
        more(c);
        if (c->ended || c->failed.code != TRIB_OK) {
            return;
        }
    }
}

static bool is_too_long(const struct trib_csv *c)
{
    size_t n = c->scanned - c->at;
    return n >= c->longest || (c->state == IN_QUOTES && c->line_end != SIZE_MAX && n >= c->limit);
}

/* true: *ret is a row. */
static bool next_row(struct trib_csv *c, struct trib_csv_row *ret)
{
    for (;;) {
        if (scan(c)) {
            cut(c, c->scanned, ret);
            return true;
        }
        if (is_too_long(c)) {
            bool lost = c->line_end == SIZE_MAX;
            give_up(c, ret);
            c->begun = !lost; /* its bytes stay where they are until the next call, which passes over the rest */
            return true;
        }
        if (c->failed.code != TRIB_OK) {
            return false;
        }
        if (c->ended) {
            if (c->n == c->at) {
                return false;
            }
            if (c->state == IN_QUOTES) {
                give_up(c, ret);
            } else {
                cut(c, c->n, ret);
            }
            return true;
        }
        more(c);
    }
}

int trib_csv_next(struct trib_csv *c, struct trib_csv_row *ret, bool *ret_end, struct trib_err *err)
{
    *ret_end = false;
    for (;;) {
        if (!c->begun) {
            bool first = c->base == 0 && c->n == 0 && c->at == 0;
            while (first && c->n < 3 && !c->ended && c->failed.code == TRIB_OK) {
                more(c);
            }
            if (first && c->n >= 3 && memcmp(c->bytes, "\xEF\xBB\xBF", 3) == 0) {
                c->at = c->scanned = 3;
            } else if (!first) {
                skip_line(c);
            }
            c->begun = true;
        }
        if (!next_row(c, ret)) {
            break;
        }
        if (ret->broken != NULL) {
            return 0;
        }
        if (ret->raw.n == 0) {
            continue;
        }
        if (!split(c, ret->raw)) {
            broken(c, ret, "there is text behind a closing quote");
            return 0;
        }
        ret->fields = c->fields;
        ret->n = c->n_fields;
        return 0;
    }
    if (c->failed.code != TRIB_OK) {
        *err = c->failed;
        return (int)err->code;
    }
    *ret_end = true;
    return 0;
}
