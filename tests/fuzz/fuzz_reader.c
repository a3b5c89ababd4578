/*
 * The record reader: any bytes, in any pieces. The first byte says how (below), the second the size of the pieces.
 * What must hold: it ends, records come in order and lie where they say, views live as long as promised, and neither pieces nor a
 * megabyte of blanks before nor a second look at a line changes what is found.
 */
#include <stdint.h>
#include <stdlib.h>

#include "dynamodb/change.h"

enum { KINDS = 7, HOLD = 8, DAMAGED = 16, TIGHT = 32, PADDED = 64, PAD = (1 << 20) - 7, MAX_TEXT = 64 << 20 };

struct feed {
    const uint8_t *p;
    size_t n, at, piece, pad;
    bool damaged;
};

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static int64_t feed(void *ctx, char *to, size_t n, struct trib_err *err)
{
    struct feed *f = ctx;
    must(n > 0);
    if (f->pad > 0) {
        size_t m = f->pad < n ? f->pad : n;
        memset(to, ' ', m);
        f->pad -= m;
        return (int64_t)m;
    }
    size_t m = f->n - f->at < f->piece ? f->n - f->at : f->piece;
    m = m < n ? m : n;
    if (m == 0 && f->damaged) {
        return -trib_err_set(err, TRIB_E_DATA, "damaged");
    }
    if (m > 0) {
        memcpy(to, f->p + f->at, m);
    }
    f->at += m;
    return (int64_t)m;
}

struct kept {
    struct trib_view view, copy;
};

struct run {
    const uint8_t *p;
    size_t n, pad;
    bool hold;
    struct trib_buf told;
    struct kept *kept;
    size_t n_kept, cap_kept;
    int64_t last; /* offset */
};

static void tell_view(struct run *r, const char *name, struct trib_view v)
{
    trib_buf_addf(&r->told, " %s=", name);
    trib_buf_add(&r->told, v.p, v.n);
    if (r->hold && v.n > 0) {
        TRIB_GROW(r->kept, r->cap_kept, r->n_kept + 1);
        r->kept[r->n_kept++] = (struct kept){v, {trib_strndup(v.p, v.n), v.n}};
    }
}

/* The record's bytes are the object's. */
static void check_place(struct run *r, int64_t offset, struct trib_view raw)
{
    int64_t at = offset - (int64_t)r->pad;
    must(offset >= r->last);
    must(at >= 0 && (size_t)at + raw.n <= r->n);
    must(raw.n == 0 || memcmp(raw.p, r->p + at, raw.n) == 0);
    r->last = offset;
    trib_buf_addf(&r->told, "\n%lld+%zu", (long long)at, raw.n);
}

/* Once an image does not decode, the reader is asked to look again: then what is there comes in its place. */
static bool looked_again(struct run *r, struct trib_reader *reader, const struct trib_change *c)
{
    struct trib_digest d;
    struct trib_err err;
    if (c->new_image.n == 0 || trib_item_digest(c->new_image, c->base64_twice, &d, &err) == 0 ||
        !trib_reader_again(reader)) {
        return false;
    }
    must(!trib_reader_again(reader)); /* once */
    r->last = c->offset;
    return true;
}

static void on_change(struct run *r, const struct trib_change *c)
{
    check_place(r, c->offset, c->raw);
    must(c->length >= (int64_t)c->raw.n && c->raw.n > 0 && c->kind != TRIB_KIND_AUTO);
    must(c->kind != TRIB_KIND_STREAMS || c->sequence_number.n <= 40);
    trib_buf_addf(&r->told, " %d %d %lld %d %d", (int)c->kind, (int)c->op, (long long)c->time_us, c->ttl,
                  c->base64_twice);
    tell_view(r, "keys", c->keys);
    tell_view(r, "new", c->new_image);
    tell_view(r, "old", c->old_image);
    tell_view(r, "id", c->event_id);
    tell_view(r, "seq", c->sequence_number);
}

static void run(struct run *r, struct trib_reader_opts o, size_t piece, bool damaged)
{
    struct feed f = {r->p, r->n, 0, piece, r->pad, damaged};
    struct trib_reader *reader = trib_reader_new(&o, feed, &f);
    trib_buf_init(&r->told, MAX_TEXT);
    for (size_t steps = 0;; steps++) {
        must(steps <= 2 * r->n + 2);
        enum trib_reader_result result;
        struct trib_change c = {0};
        struct trib_bad bad = {0};
        struct trib_err err = {0};
        int rc = trib_reader_next(reader, &result, &c, &bad, &err);
        if (rc != 0) {
            must(damaged && rc == TRIB_E_DATA);
            damaged = false; /* told once */
            trib_buf_addf(&r->told, "\ndamaged %lld", (long long)trib_reader_offset(reader) - (long long)r->pad);
        } else if (result == TRIB_READ_END) {
            break;
        } else if (result == TRIB_READ_BAD) {
            must(bad.reason[0] != '\0' && memchr(bad.reason, '\n', strlen(bad.reason)) == NULL);
            check_place(r, bad.offset, bad.raw);
            trib_buf_addf(&r->told, " %s", bad.reason);
        } else if (!looked_again(r, reader, &c)) {
            on_change(r, &c);
        }
    }
    must(!damaged);
    for (size_t i = 0; i < r->n_kept; i++) {
        must(memcmp(r->kept[i].view.p, r->kept[i].copy.p, r->kept[i].copy.n) == 0);
        free((char *)(uintptr_t)r->kept[i].copy.p);
    }
    free(r->kept);
    trib_reader_free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    unsigned how = data[0];
    size_t piece = data[1] == 0 ? 1 : data[1];
    struct trib_reader_opts o = {
        .kind = (enum trib_record_kind)((how & KINDS) % (TRIB_KIND_ITEM + 1)), .table = "T", .hold = (how & HOLD) != 0};
    if ((how & TIGHT) != 0) {
        o.limits = (struct trib_record_limits){.line_bytes = 64, .depth = 6};
    }
    bool damaged = (how & DAMAGED) != 0;
    const uint8_t *p = data + 2;
    size_t n = size - 2;
    struct run whole = {.p = p, .n = n, .hold = o.hold};
    struct run pieces = {.p = p, .n = n, .hold = o.hold};
    run(&whole, o, n + 1, damaged);
    run(&pieces, o, piece, damaged);
    /* Where a line is too long depends on how much of it had come. */
    must((how & TIGHT) != 0 || trib_view_eq(trib_buf_view(&whole.told), trib_buf_view(&pieces.told)));
    bool bom = n > 0 && p[0] == 0xEF;
    if ((how & PADDED) != 0 && (data[1] & 3) == 0 && !bom) { /* dear: at times only */
        struct run padded = {.p = p, .n = n, .hold = o.hold, .pad = PAD};
        run(&padded, o, n + 1, damaged);
        must((how & TIGHT) != 0 || trib_view_eq(trib_buf_view(&whole.told), trib_buf_view(&padded.told)));
        trib_buf_free(&padded.told);
    }
    trib_buf_free(&whole.told);
    trib_buf_free(&pieces.told);
    return 0;
}
