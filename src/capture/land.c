/*
 * Piles of records → objects of the landing (stage/landing.h).
 *
 * Invariants:
 *  1. A shard's objects follow each other without a gap and without an overlap: a pile begins behind the shard's position, and
 *     only the object that won its name moves the position.
 *  2. The name depends on the pile's first record alone, so two processes that land from one position race for one name.
 *  3. The position in memory is what the store holds, never more. A crash loses piles; they are read again.
 * Threads: one at a time.
 */
#include <stdlib.h>
#include <zstd.h>

#include "capture/own.h"
#include "dynamodb/change.h"
#include "stage/input.h"

enum { ZSTD_LEVEL = 1 };

void trib_pile_init(struct trib_pile *p)
{
    *p = (struct trib_pile){0};
    trib_buf_init(&p->lines, TRIB_PILE_MAX_BYTES);
}

void trib_pile_free(struct trib_pile *p) { trib_buf_free(&p->lines); }

void trib_pile_clear(struct trib_pile *p)
{
    trib_buf_free(&p->lines); /* an idle shard holds no memory */
    trib_pile_init(p);
}

void trib_pile_add(struct trib_pile *p, struct trib_view record, const char *digits, int64_t time_us, int64_t now_us)
{
    if (p->n == 0) {
        memcpy(p->first, digits, sizeof p->first);
        p->since_us = now_us;
        p->first_time_us = time_us >= 0 ? time_us : now_us;
    }
    char *to = trib_buf_reserve(&p->lines, record.n + 1);
    if (to == NULL) {
        return; /* beyond the maximum: the caller lands long before that */
    }
    for (size_t i = 0; i < record.n; i++) {
        to[i] = record.p[i] == '\n' || record.p[i] == '\r' ? ' ' : record.p[i]; /* inside a string they are escaped */
    }
    to[record.n] = '\n';
    p->lines.n += record.n + 1;
    memcpy(p->last, digits, sizeof p->last);
    p->n++;
}

int trib_zstd(struct trib_view data, struct trib_buf *to, struct trib_err *err)
{
    char *room = trib_buf_reserve(to, ZSTD_compressBound(data.n));
    if (room == NULL) {
        return trib_buf_check(to, "a compressed object", err);
    }
    size_t n = ZSTD_compress(room, ZSTD_compressBound(data.n), data.p, data.n, ZSTD_LEVEL);
    if (ZSTD_isError(n)) {
        return trib_err_set(err, TRIB_E_INTERNAL, "zstd: %s", ZSTD_getErrorName(n));
    }
    to->n += n;
    return 0;
}

int trib_landed_end(void *ctx, const char *lake_key, char ret_last[TRIB_POSITION_DIGITS + 1], struct trib_err *err)
{
    struct trib_input *in = trib_input_open(ctx, lake_key);
    const struct trib_reader_opts o = {.kind = TRIB_KIND_AUTO};
    struct trib_reader *r = trib_reader_new(&o, trib_input_read, in);
    enum trib_reader_result got = TRIB_READ_CHANGE;
    struct trib_change change;
    struct trib_bad bad;
    char last[TRIB_POSITION_DIGITS + 1] = "";
    int rc = 0;
    while (rc == 0 && got != TRIB_READ_END) {
        rc = trib_reader_next(r, &got, &change, &bad, err);
        if (rc == 0 && got == TRIB_READ_CHANGE && change.sequence_number.n > 0 &&
            !trib_landing_digits(change.sequence_number, last)) {
            got = TRIB_READ_BAD;
        }
        if (rc == 0 && got == TRIB_READ_BAD) {
            rc = trib_err_set(err, TRIB_E_DATA, "a record without a sequence number");
        }
    }
    if (rc == 0 && *last == '\0') {
        rc = trib_err_set(err, TRIB_E_DATA, "no record");
    }
    trib_reader_free(r);
    trib_input_free(in);
    if (rc != 0) {
        return trib_err_wrap(err, "%s: this landed object cannot be read", lake_key);
    }
    memcpy(ret_last, last, sizeof last);
    return 0;
}

/* The name is taken: by another process, or by our own try whose answer was lost. What stands there counts, once it is durable:
 * its writer may have died before it saw to that. */
static int adopt(struct trib_landing *l, struct trib_landing_shard *s, const char *key, bool *ret_same,
                 const struct trib_pile *p, struct trib_err *err)
{
    char last[TRIB_POSITION_DIGITS + 1];
    TRIB_CLEANUP(trib_cleanup_free) char *folder = trib_strndup(key, (size_t)(strrchr(key, '/') + 1 - key));
    TRIB_TRY(trib_store_settle(l->lake, folder, key, err));
    TRIB_TRY(trib_landed_end(l->lake, key, last, err));
    *ret_same = strcmp(last, p->last) == 0;
    memcpy(s->last, last, sizeof last);
    return 0;
}

int trib_land_errors(struct trib_landing *l, const struct trib_landing_shard *s, const char *first, const char *last,
                     struct trib_view lines, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free)
    char *key = trib_asprintf("%s/_errors/%s.%s.%s.%s.jsonl", l->root, s->stream, s->shard, first, last);
    int rc = trib_store_put(l->lake, key, lines, true, err);
    return rc == TRIB_E_EXISTS ? 0 : rc;
}

int trib_land(struct trib_landing *l, struct trib_landing_shard *s, struct trib_pile *p, bool *ret_lost,
              struct trib_err *err)
{
    *ret_lost = false;
    if (p->n == 0) {
        return 0;
    }
    TRIB_CLEANUP(trib_cleanup_free)
    char *name = trib_landing_object(p->first_time_us, -1, s->stream, s->shard, p->first, "json.zst");
    TRIB_CLEANUP(trib_cleanup_free) char *key = trib_asprintf("%s/%s", l->root, name);
    struct trib_buf packed;
    trib_buf_init(&packed, (size_t)TRIB_PILE_MAX_BYTES * 2);
    int rc = trib_zstd(trib_buf_view(&p->lines), &packed, err);
    if (rc == 0) {
        rc = trib_store_put(l->lake, key, trib_buf_view(&packed), true, err);
    }
    trib_buf_free(&packed);
    bool same = true;
    if (rc == TRIB_E_EXISTS) {
        rc = adopt(l, s, key, &same, p, err);
    } else if (rc == 0) {
        memcpy(s->last, p->last, sizeof s->last);
    }
    if (rc == 0) {
        *ret_lost = !same;
        trib_pile_clear(p);
    }
    return rc;
}
