/*
 * The record reader (change.h): bytes in pieces → JSON values → change records (envelope.c).
 *
 * Invariants:
 *  1. [start, …) of the current block is the record being read; everything before was handed out or skipped.
 *  2. `newline` is the offset of the first newline at or behind `at`, or the point up to which there is none: no byte is
 *     searched twice.
 *  3. A value that is not whole yet is tried again only after the buffered text has doubled: linear time.
 *  4. A broken value costs its own line only; what may follow on later lines is read.
 */
#include "dynamodb/reader.h"

#include <stdio.h>
#include <stdlib.h>

enum { BLOCK = 1 << 20, RAW_MAX = 1 << 20 };

struct block {
    struct block *next;
    size_t cap, n;
    char data[];
};

struct trib_reader {
    struct trib_reader_opts o;
    trib_read_fn read;
    void *ctx;
    struct block *cur, *held;
    int64_t base;    /* offset of cur->data[0] in the object */
    size_t at;       /* in cur */
    size_t searched; /* no newline in [at, searched) */
    bool eof, pretty, array, good_before;
    int failed;               /* code of a read that failed, told once everything before it was handed out */
    int64_t cut_at;           /* the record that the failure cut off, -1: none; it is not told on its own */
    struct trib_view cut_raw; /* its bytes, where they are at hand */
    size_t mended;            /* where the bytes end that a mended page's block has from the object; 0: not mended */
    struct trib_err failure;
    enum trib_record_kind kind;
    struct trib_container c;
    size_t c_start; /* of the container's value */
    struct trib_view raw;
    bool unseen; /* the last change was handed out without a look inside */
    size_t unseen_at;
};

struct trib_reader *trib_reader_new(const struct trib_reader_opts *o, trib_read_fn read, void *ctx)
{
    struct trib_reader *r = trib_calloc(1, sizeof *r);
    r->o = *o;
    if (r->o.limits.line_bytes == 0) {
        r->o.limits = TRIB_RECORD_LIMITS_DEFAULT;
    }
    r->kind = o->kind;
    r->cut_at = -1;
    r->read = read;
    r->ctx = ctx;
    return r;
}

static void free_blocks(struct block *b)
{
    while (b != NULL) {
        struct block *next = b->next;
        free(b);
        b = next;
    }
}

void trib_reader_free(struct trib_reader *r)
{
    if (r != NULL) {
        free_blocks(r->held);
        free(r->cur);
        free(r);
    }
}

void trib_reader_release(struct trib_reader *r)
{
    free_blocks(r->held);
    r->held = NULL;
}

int64_t trib_reader_offset(const struct trib_reader *r)
{
    return r->cut_at >= 0 ? r->cut_at : r->base + (int64_t)r->at;
}
struct trib_view trib_reader_raw(const struct trib_reader *r) { return r->raw; }

/* More bytes behind what is buffered from `at`. What was handed out may live in the block: with hold it stays. */
static bool more(struct trib_reader *r)
{
    if (r->eof) {
        return false;
    }
    size_t tail = r->cur == NULL ? 0 : r->cur->n - r->at;
    if (r->cur == NULL || r->cur->n == r->cur->cap) {
        size_t cap = tail * 2 > BLOCK ? tail * 2 : BLOCK;
        struct block *b = trib_malloc(sizeof *b + cap);
        b->cap = cap;
        b->n = tail;
        b->next = NULL;
        if (r->cur != NULL) {
            memcpy(b->data, r->cur->data + r->at, tail);
            if (r->o.hold) {
                r->cur->next = r->held;
                r->held = r->cur;
            } else {
                free(r->cur);
            }
        }
        r->base += (int64_t)r->at;
        r->searched = r->searched > r->at ? r->searched - r->at : 0;
        r->at = 0;
        r->cur = b;
    }
    int64_t n = r->read(r->ctx, r->cur->data + r->cur->n, r->cur->cap - r->cur->n, &r->failure);
    if (n <= 0) {
        r->eof = true;
        r->failed = (int)-n;
        return false;
    }
    r->cur->n += (size_t)n;
    return true;
}

/* The end of the line that begins at `at`: true with the newline's place, false when none is buffered. */
static bool newline(struct trib_reader *r, size_t *ret)
{
    size_t from = r->searched > r->at ? r->searched : r->at;
    const char *p = r->cur->n > from ? memchr(r->cur->data + from, '\n', r->cur->n - from) : NULL;
    r->searched = p == NULL ? r->cur->n : (size_t)(p - r->cur->data);
    *ret = r->searched;
    return p != NULL;
}

static bool blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

/* Stands at the first byte of a value; false at the end. */
static bool seek_value(struct trib_reader *r)
{
    for (;;) {
        bool more_first = false; /* a byte order mark may begin */
        while (r->cur != NULL && r->at < r->cur->n && !more_first) {
            char c = r->cur->data[r->at];
            bool first = r->base + (int64_t)r->at == 0;
            if (first && r->cur->n < 3 && !r->eof) {
                more_first = true;
            } else if (first && r->cur->n >= 3 && memcmp(r->cur->data, "\xEF\xBB\xBF", 3) == 0) {
                r->at += 3;
            } else if (blank(c) || (r->array && (c == ',' || c == ']'))) {
                r->at++;
            } else if (c == '[' && !r->array && !r->good_before) {
                r->array = true;
                r->at++;
            } else {
                return true;
            }
        }
        if (!more(r) && !more_first) {
            return false;
        }
    }
}

static void set_bad(struct trib_reader *r, size_t from, size_t to, const char *reason, struct trib_bad *bad)
{
    size_t n = to - from;
    *bad =
        (struct trib_bad){.offset = r->base + (int64_t)from, .raw = {r->cur->data + from, n > RAW_MAX ? RAW_MAX : n}};
    (void)snprintf(bad->reason, sizeof bad->reason, "%s", reason);
    r->raw = bad->raw;
}

/* A value that never gets whole: its line is bad. A line that is longer than the limit is skipped to its end, its beginning kept. */
static void bad_line(struct trib_reader *r, const char *reason, struct trib_bad *bad)
{
    size_t end;
    bool found;
    while (!(found = newline(r, &end)) && r->cur->n - r->at <= r->o.limits.line_bytes && more(r)) {
    }
    if (found || r->eof) {
        end = found ? end : r->cur->n;
        set_bad(r, r->at, end, reason, bad);
        r->at = end;
        return;
    }
    size_t start = r->at;
    struct trib_bad b;
    set_bad(r, start, r->cur->n, "the line is longer than the limit", &b);
    char *keep = trib_malloc(b.raw.n);
    memcpy(keep, b.raw.p, b.raw.n);
    do { /* what was looked at can go; what comes is looked at before it goes */
        r->at = r->cur->n;
    } while (more(r) && !newline(r, &end));
    r->at = r->eof ? r->cur->n : end;
    struct block *k = trib_malloc(sizeof *k + b.raw.n);
    memcpy(k->data, keep, b.raw.n);
    k->cap = k->n = b.raw.n;
    k->next = r->held; /* lives until the release, or the next one */
    r->held = k;
    free(keep);
    b.raw.p = k->data;
    r->raw = b.raw;
    *bad = b;
}

/* Records follow each other without newline and one is broken: goes on at the next `}{"`. */
static bool resync(struct trib_reader *r, struct trib_bad *bad)
{
    const char *p = r->cur->data + r->at + 1, *end = r->cur->data + r->cur->n;
    while (end - p >= 3 && (p = memmem(p, (size_t)(end - p), "}{\"", 3)) != NULL) {
        struct trib_json j = {p + 1, end};
        if (trib_json_skip(&j, r->o.limits.depth, NULL)) {
            set_bad(r, r->at, (size_t)(p + 1 - r->cur->data), "not valid JSON", bad);
            r->at = (size_t)(p + 1 - r->cur->data);
            return true;
        }
        p++;
    }
    return false;
}

enum got { GOT_VALUE, GOT_BAD, GOT_MENDED };

/*
 * A failure cut off a page ({"Records":[…): its whole elements are as good as lines. The value at `at` is replaced by one
 * that ends behind the last of them; the failure is told where the next one begins. False when it is no page, or none is whole.
 */
static bool mend(struct trib_reader *r)
{
    struct trib_json j = {r->cur->data + r->at, r->cur->data + r->cur->n};
    struct trib_view name;
    bool escaped;
    const char *whole = NULL;
    if (!trib_json_take(&j, '{') || !trib_json_ws(&j) || *j.p != '"' || !trib_json_text(&j, &name, &escaped) ||
        !trib_json_take(&j, ':') || !trib_json_take(&j, '[')) {
        return false;
    }
    const char *cut = j.p;
    while (trib_json_skip(&j, r->o.limits.depth, NULL)) {
        whole = cut = j.p;
        if (!trib_json_take(&j, ',')) {
            break;
        }
        (void)trib_json_ws(&j);
        cut = j.p;
    }
    if (whole == NULL) {
        return false;
    }
    r->cut_at = r->base + (cut - r->cur->data);
    size_t n = (size_t)(whole - (r->cur->data + r->at));
    struct block *b = trib_malloc(sizeof *b + n + 2);
    memcpy(b->data, r->cur->data + r->at, n);
    memcpy(b->data + n, "]}", 2);
    b->cap = b->n = n + 2;
    b->next = NULL;
    r->mended = n;
    r->cur->next = r->held;
    r->held = r->cur;
    r->cur = b;
    r->base += (int64_t)r->at;
    r->at = r->searched = 0;
    return true;
}

/* The value at `at`: *ret_end behind it, or *bad. */
static enum got whole_value(struct trib_reader *r, size_t *ret_end, struct trib_bad *bad)
{
    size_t tried = 0, end = 0;
    for (;;) {
        bool line = newline(r, &end);
        size_t limit = line && !r->pretty ? end : r->cur->n, n = limit - r->at;
        if (line || r->eof || n >= tried * 2) {
            struct trib_json j = {r->cur->data + r->at, r->cur->data + limit};
            tried = n == 0 ? 1 : n;
            if (trib_json_skip(&j, r->o.limits.depth, NULL)) {
                *ret_end = (size_t)(j.p - r->cur->data);
                return GOT_VALUE;
            }
            if (line && !r->pretty && !r->good_before) {
                r->pretty = true; /* perhaps one value over many lines; found out once an object */
                tried = 0;
                continue;
            }
            if (line && !r->pretty) {
                break;
            }
        }
        if (r->cur->n - r->at > r->o.limits.line_bytes || !more(r)) {
            if (r->eof && tried < r->cur->n - r->at) {
                tried = 0;
                if (r->cur->n - r->at <= r->o.limits.line_bytes) {
                    struct trib_json j = {r->cur->data + r->at, r->cur->data + r->cur->n};
                    if (trib_json_skip(&j, r->o.limits.depth, NULL)) {
                        *ret_end = (size_t)(j.p - r->cur->data);
                        return GOT_VALUE;
                    }
                }
            }
            break;
        }
    }
    if (r->failed != 0 && r->cut_at < 0 && mend(r)) {
        return GOT_MENDED;
    }
    r->pretty = false;
    r->good_before = true; /* no second search for a value over many lines */
    size_t stop;
    if (!newline(r, &stop) && r->eof && resync(r, bad)) {
        return GOT_BAD;
    }
    bad_line(r, "not valid JSON, cut off, or nested too deep", bad);
    return GOT_BAD;
}

/* {"Item":{…}} up to the end of its line, without a look inside: the decoder checks every byte of it. */
static bool export_line(struct trib_reader *r, struct trib_change *change)
{
    static const char head[] = "{\"Item\":{";
    size_t end;
    while (r->cur->n - r->at < sizeof head - 1 || (!newline(r, &end) && r->cur->n - r->at <= r->o.limits.line_bytes)) {
        if (!more(r)) {
            break;
        }
    }
    if (r->cur->n - r->at < sizeof head + 1 || memcmp(r->cur->data + r->at, head, sizeof head - 1) != 0) {
        return false;
    }
    if (!newline(r, &end)) {
        if (!r->eof || r->failed != 0) { /* what a failure cut off is looked at */
            return false;
        }
        end = r->cur->n;
    }
    size_t last = end;
    while (last > r->at && blank(r->cur->data[last - 1])) {
        last--;
    }
    if (last - r->at < sizeof head + 1 || r->cur->data[last - 1] != '}' || r->cur->data[last - 2] != '}') {
        return false;
    }
    const char *p = r->cur->data + r->at;
    *change = (struct trib_change){.kind = r->kind == TRIB_KIND_AUTO ? TRIB_KIND_ITEM : r->kind,
                                   .op = TRIB_OP_INSERT,
                                   .new_image = {p + 8, last - r->at - 9},
                                   .time_us = -1,
                                   .offset = r->base + (int64_t)r->at,
                                   .length = (int64_t)(last - r->at)};
    size_t n = last - r->at;
    change->raw = (struct trib_view){p, n > RAW_MAX ? RAW_MAX : n};
    r->raw = change->raw;
    r->unseen = true;
    r->unseen_at = r->at;
    r->at = last;
    return true;
}

bool trib_reader_again(struct trib_reader *r)
{
    if (!r->unseen) {
        return false;
    }
    r->unseen = false;
    struct trib_json j = {r->cur->data + r->unseen_at, r->cur->data + r->at};
    bool one = !trib_json_skip(&j, r->o.limits.depth, NULL) || j.p == r->cur->data + r->at;
    if (one) {
        return false;
    }
    r->at = r->unseen_at;
    r->good_before = true;
    r->kind = r->kind == TRIB_KIND_ITEM ? TRIB_KIND_AUTO : r->kind;
    r->unseen_at = SIZE_MAX; /* looked at from now on */
    return true;
}

/* The next record of a page; false when there is none (any more). */
static bool next_element(struct trib_reader *r, enum trib_reader_result *ret_result, struct trib_change *change,
                         struct trib_bad *bad)
{
    enum trib_envelope e = r->c.active ? trib_container_next(&r->c, &r->o, change, bad) : TRIB_ENVELOPE_NONE;
    if (e == TRIB_ENVELOPE_NONE) {
        r->c.active = false;
        return false;
    }
    struct trib_view raw = r->c.last;
    int64_t offset = r->base + (int64_t)r->c_start + (raw.p - (r->cur->data + r->c_start)), length = (int64_t)raw.n;
    raw.n = raw.n > RAW_MAX ? RAW_MAX : raw.n;
    r->raw = raw;
    if (e == TRIB_ENVELOPE_CHANGE) {
        change->offset = offset;
        change->length = length;
        change->raw = raw;
        r->kind = change->kind;
    } else {
        bad->offset = offset;
        bad->raw = raw;
    }
    *ret_result = e == TRIB_ENVELOPE_CHANGE ? TRIB_READ_CHANGE : TRIB_READ_BAD;
    return true;
}

/* Everything before it was handed out. */
static int tell_failure(struct trib_reader *r, struct trib_err *err)
{
    int rc = r->failed;
    r->failed = 0;
    r->raw = r->cut_raw;
    if (err != NULL) {
        *err = r->failure;
    }
    return rc;
}

int trib_reader_next(struct trib_reader *r, enum trib_reader_result *ret_result, struct trib_change *change,
                     struct trib_bad *bad, struct trib_err *err)
{
    for (;;) {
        bool look = r->unseen_at == SIZE_MAX;
        r->unseen = false;
        if (next_element(r, ret_result, change, bad)) {
            return 0;
        }
        if (!seek_value(r)) {
            if (r->failed != 0) {
                return tell_failure(r, err);
            }
            *ret_result = TRIB_READ_END;
            return 0;
        }
        if (!look && !r->pretty && export_line(r, change)) {
            r->good_before = true;
            *ret_result = TRIB_READ_CHANGE;
            return 0;
        }
        r->unseen_at = 0;
        size_t end;
        enum got got = whole_value(r, &end, bad);
        if (got == GOT_MENDED) {
            r->unseen_at = SIZE_MAX;
            continue;
        }
        if (got == GOT_BAD) {
            if (r->failed != 0 && r->at >= r->cur->n) {
                r->cut_at = bad->offset;
                r->cut_raw = bad->raw;
                continue;
            }
            *ret_result = TRIB_READ_BAD;
            return 0;
        }
        r->good_before = true;
        struct trib_view value = {r->cur->data + r->at, end - r->at};
        r->c_start = r->at;
        size_t start = r->at;
        r->at = end;
        /* Something else on the same line than a record that follows: the line is not what it seems. */
        enum trib_envelope e = trib_envelope_open(&r->c, value, &r->o, change, bad);
        if (e == TRIB_ENVELOPE_CONTAINER) {
            continue;
        }
        if (e == TRIB_ENVELOPE_BAD) {
            char reason[sizeof bad->reason];
            memcpy(reason, bad->reason, sizeof reason);
            set_bad(r, start, r->mended > 0 && r->mended < end ? r->mended : end, reason, bad);
            *ret_result = TRIB_READ_BAD;
            return 0;
        }
        change->offset = r->base + (int64_t)start;
        change->length = (int64_t)value.n;
        value.n = value.n > RAW_MAX ? RAW_MAX : value.n;
        change->raw = r->raw = value;
        r->kind = change->kind;
        *ret_result = TRIB_READ_CHANGE;
        return 0;
    }
}
