/*
 * The capture stage of one table, on DynamoDB Streams or Kinesis; see capture.h.
 *
 * The order of a step, and what a crash after each line leaves:
 *   1. epoch and shards: documents, put if absent                       what it says is true, whoever goes on
 *   2. reads into piles                                                 nothing
 *   3. piles become objects                                             records that the next run finds landed
 *   4. pages of the snapshot                                            objects that nobody reads before the seal
 *   5. the seal, once everything up to the snapshot's end is landed     the whole snapshot
 * An epoch is open before the first record behind a gap is read (feed.c), and its snapshot begins after the margin; so what
 * was captured before loses to the snapshot, and what is captured after it wins.
 * Threads: one at a time.
 */
#include "capture/capture.h"

#include <stdlib.h>

#include "capture/own.h"

#define MARGIN_US  (5 * 60 * TRIB_SECOND_US)
#define REFRESH_US (30 * TRIB_SECOND_US)

struct trib_capture {
    const struct trib_env *env;
    struct trib_capture_opts o;
    struct trib_landing *landing;
    struct trib_feed *feed;
    struct trib_scan *scan; /* of scan_epoch, while it is the newest and has no seal */
    unsigned scan_epoch;
    bool scan_done;
    int64_t start_us;   /* of the first step */
    int64_t refresh_us; /* when to look for what others wrote */
    bool done;
};

int trib_capture_new(const struct trib_env *env, const struct trib_capture_opts *o, struct trib_capture **ret,
                     struct trib_err *err)
{
    (void)err;
    struct trib_capture *c = trib_calloc(1, sizeof *c);
    c->env = env;
    c->o = *o;
    c->o.buffer_bytes = o->buffer_bytes > 0 ? o->buffer_bytes : INT64_C(64) << 20;
    c->o.buffer_interval_us = o->buffer_interval_us > 0 ? o->buffer_interval_us : 60 * TRIB_SECOND_US;
    c->o.margin_us = o->margin_us > 0 ? o->margin_us : MARGIN_US;
    c->landing = trib_landing_new(env->lake, o->table);
    *ret = c;
    return 0;
}

void trib_capture_free(struct trib_capture *c)
{
    if (c != NULL) {
        trib_feed_free(c->feed);
        trib_scan_free(c->scan);
        trib_landing_free(c->landing);
        free(c);
    }
}

/* ---- opening ------------------------------------------------------------------------------------------------------ */

static bool same(const char *a, const char *b) { return a == NULL || b == NULL || strcmp(a, b) == 0; }

/* Labels of DynamoDB Streams are their creation times. A description may lag behind what another process saw. */
static bool is_older(const struct trib_stream *s, const struct trib_landing_epoch *newest)
{
    return !s->protocol->by_time && newest->stream_arn != NULL && strstr(newest->stream_arn, ":dynamodb:") != NULL &&
           strcmp(s->label, newest->label) < 0;
}

/* The epoch that what is captured now belongs to: the first, or a further one when the stream or the table is another. */
static int open_epoch(struct trib_capture *c, const struct trib_table_info *t, const struct trib_stream *s,
                      int64_t now_us, struct trib_err *err)
{
    const struct trib_landing *l = c->landing;
    const struct trib_landing_epoch *newest = l->n_epochs == 0 ? NULL : &l->epochs[l->n_epochs - 1];
    const char *reason = newest == NULL                      ? "bootstrap"
                         : !same(newest->table_id, t->id)    ? "the table was deleted and made again"
                         : !same(newest->stream_arn, s->pin) ? "a new stream: the one before was turned off"
                                                             : NULL;
    if (reason == NULL) {
        return 0;
    }
    if (newest != NULL && same(newest->table_id, t->id) && is_older(s, newest)) {
        return trib_err_set(
            err, TRIB_E_UNAVAILABLE,
            "table %s: its stream is said to be %s, and the newer %s was captured already; this is tried "
            "again. If source.stream names the older one, take it out of the config",
            c->o.table, s->pin, newest->stream_arn);
    }
    /* Of Kinesis the first epoch begins where every record before is surely in its snapshot; a further one where every record that was
     * captured before is surely older. */
    int64_t since_us = newest == NULL ? now_us - TRIB_SKEW_US : now_us + TRIB_SKEW_US;
    size_t n; /* the same Kinesis stream may go on with another table */
    struct trib_landing_mark *marks = trib_feed_marks(l, s->label, &n);
    const struct trib_landing_epoch e = {.number = (unsigned)l->n_epochs + 1,
                                         .opened_us = now_us,
                                         .reason = (char *)(uintptr_t)reason,
                                         .since_us = s->protocol->by_time ? since_us : 0,
                                         .stream_arn = s->pin,
                                         .table_id = t->id,
                                         .snapshot = c->o.bootstrap != TRIB_BOOTSTRAP_NONE,
                                         .n_marks = n,
                                         .marks = marks};
    int rc = trib_landing_open_epoch(c->landing, &e, err);
    free(marks);
    if (rc == TRIB_E_EXISTS) { /* another process was first, perhaps with a gap of the stream before: look again */
        TRIB_TRY(trib_landing_refresh(c->landing, err));
        TRIB_TRY(trib_landing_load_positions(c->landing, trib_landed_end, c->env->lake, err));
        return open_epoch(c, t, s, now_us, err);
    }
    if (rc == 0 && newest != NULL) {
        trib_logkv(c->env->log, TRIB_LOG_WARN, "a new epoch: the table is read again", "table", c->o.table, "why",
                   reason, NULL);
    }
    return rc;
}

static int open_feed(struct trib_capture *c, int64_t now_us, struct trib_err *err)
{
    struct trib_table_info t;
    TRIB_TRY(trib_table_describe(c->o.aws, c->o.table, &t, err));
    struct trib_stream s = {0};
    const struct trib_feed_protocol *p = c->o.kinesis != NULL ? &trib_protocol_kinesis : &trib_protocol_streams;
    int rc = p->open(&c->o, &t, &s, err);
    if (rc == 0) {
        rc = trib_landing_refresh(c->landing, err);
    }
    if (rc == 0) {
        rc = trib_landing_load_positions(c->landing, trib_landed_end, c->env->lake, err);
    }
    if (rc == 0) {
        rc = open_epoch(c, &t, &s, now_us, err);
    }
    if (rc == 0) {
        c->feed = trib_feed_new(c->env, &c->o, c->landing, &s);
        c->refresh_us = now_us + REFRESH_US;
    }
    trib_stream_free(&s);
    trib_table_info_free(&t);
    return rc;
}

/* ---- the snapshot ------------------------------------------------------------------------------------------------- */

/* The newest epoch, when its snapshot is still to be taken; a snapshot replaces those of the epochs before. */
static const struct trib_landing_epoch *pending(const struct trib_capture *c)
{
    const struct trib_landing *l = c->landing;
    const struct trib_landing_epoch *e = l->n_epochs == 0 ? NULL : &l->epochs[l->n_epochs - 1];
    return e != NULL && e->snapshot && trib_landing_snapshot_of(l, e->number) == NULL ? e : NULL;
}

static void drop_scan(struct trib_capture *c)
{
    trib_scan_free(c->scan);
    c->scan = NULL;
    c->scan_done = false;
}

static int seal(struct trib_capture *c, int64_t now_us, struct trib_step *ret, struct trib_err *err)
{
    int64_t begin_us, end_us, records, bytes;
    const struct trib_landing_file *files;
    size_t n;
    trib_scan_result(c->scan, &begin_us, &end_us, &files, &n);
    int64_t sealable_us = end_us + (c->o.once ? 0 : c->o.margin_us);
    if (!trib_feed_caught_up(c->feed, sealable_us)) {
        return 0;
    }
    TRIB_TRY(trib_feed_land(c->feed, now_us, true, &records, &bytes, err));
    if (!trib_feed_caught_up(c->feed,
                             sealable_us)) { /* a landing race was lost: what lies behind it is to be read again */
        return 0;
    }
    struct trib_landing_snapshot s = {.epoch = c->scan_epoch,
                                      .origin = TRIB_ORIGIN_SCAN,
                                      .full = true,
                                      .time_us = begin_us,
                                      .n_files = n,
                                      .files = (struct trib_landing_file *)(uintptr_t)files};
    s.frontier = trib_landing_frontier(c->landing, &s.n_frontier);
    int rc = trib_landing_seal(c->landing, &s, err);
    free(s.frontier);
    if (rc == TRIB_E_EXISTS) {
        rc = trib_landing_refresh(c->landing, err);
    }
    if (rc == 0) {
        ret->worked = true;
        ret->rows_out += records;
        drop_scan(c);
    }
    return rc;
}

/* When it may begin. An epoch that begins at a time waits for that in any case: what was written before must be in it. */
static int64_t snapshot_us(const struct trib_capture *c, const struct trib_landing_epoch *e)
{
    int64_t margin = c->o.once ? 0 : e->opened_us + c->o.margin_us;
    int64_t since = e->since_us > 0 ? e->since_us + TRIB_SKEW_US : 0;
    return margin > since ? margin : since;
}

static int step_snapshot(struct trib_capture *c, int64_t now_us, struct trib_step *ret, struct trib_err *err)
{
    const struct trib_landing_epoch *e = pending(c);
    /* A further gap, or another process that opened an epoch or sealed this one: what was scanned is of no more use. */
    if (c->scan != NULL && (e == NULL || e->number != c->scan_epoch)) {
        drop_scan(c);
    }
    if (e == NULL || now_us < snapshot_us(c, e)) {
        return 0;
    }
    if (c->scan == NULL) {
        c->scan = trib_scan_new(c->env, &c->o, c->landing, e->number);
        c->scan_epoch = e->number;
        c->scan_done = false;
    }
    if (!c->scan_done) {
        int64_t items = 0;
        TRIB_TRY(trib_scan_step(c->scan, now_us, &items, &c->scan_done, err));
        ret->rows_in += items;
        ret->rows_out += items;
        ret->worked |= items > 0 || c->scan_done;
    }
    return c->scan_done ? seal(c, now_us, ret, err) : 0;
}

/* ---- the step ----------------------------------------------------------------------------------------------------- */

static bool is_done(const struct trib_capture *c)
{
    return pending(c) == NULL && trib_feed_caught_up(c->feed, c->start_us);
}

static int64_t due(const struct trib_capture *c)
{
    int64_t at = trib_feed_due_us(c->feed);
    const struct trib_landing_epoch *e = pending(c);
    if (e != NULL && !c->scan_done) {
        int64_t snapshot = c->scan != NULL ? trib_scan_due_us(c->scan) : snapshot_us(c, e);
        at = snapshot < at ? snapshot : at;
    }
    return at;
}

/* Not so once another process captures a newer stream: a snapshot of its epoch must not be sealed by what this stream was read up to. */
static bool is_newest(const struct trib_capture *c)
{
    const struct trib_landing_epoch *e = &c->landing->epochs[c->landing->n_epochs - 1];
    return strcmp(e->label, trib_feed_label(c->feed)) == 0;
}

int trib_capture_step(struct trib_capture *c, int64_t now_us, struct trib_step *ret, struct trib_err *err)
{
    *ret = (struct trib_step){.due_us = now_us, .version = -1};
    c->start_us = c->start_us == 0 ? now_us : c->start_us;
    if (c->feed == NULL) {
        TRIB_TRY(open_feed(c, now_us, err));
        ret->worked = true;
    }
    if (now_us >= c->refresh_us) {
        TRIB_TRY(trib_landing_refresh(c->landing, err));
        c->refresh_us = now_us + REFRESH_US;
    }
    int64_t read = 0, landed = 0, bytes = 0;
    TRIB_TRY(trib_feed_discover(c->feed, now_us, false, err));
    if (trib_feed_replaced(c->feed) ||
        !is_newest(c)) { /* opened anew, with an epoch of its own where that is not open */
        TRIB_TRY(trib_capture_flush(c, now_us, ret, err));
        trib_feed_free(c->feed);
        c->feed = NULL;
        drop_scan(c);
        ret->worked = true;
        return 0;
    }
    TRIB_TRY(trib_feed_read(c->feed, now_us, &read, err));
    TRIB_TRY(trib_feed_land(c->feed, now_us, false, &landed, &bytes, err));
    ret->rows_in = read;
    ret->rows_out = landed;
    ret->bytes_in = bytes;
    ret->worked |= read > 0 || landed > 0;
    TRIB_TRY(step_snapshot(c, now_us, ret, err));
    if (c->o.once && is_done(c)) {
        TRIB_TRY(trib_capture_flush(c, now_us, ret, err));
        c->done = true;
        ret->due_us = INT64_MAX;
        return 0;
    }
    ret->due_us = due(c);
    return 0;
}

int trib_capture_flush(struct trib_capture *c, int64_t now_us, struct trib_step *ret, struct trib_err *err)
{
    int64_t records = 0, bytes = 0;
    if (c->feed != NULL) {
        TRIB_TRY(trib_feed_land(c->feed, now_us, true, &records, &bytes, err));
    }
    ret->rows_out += records;
    ret->bytes_in += bytes;
    ret->worked |= records > 0;
    return 0;
}

bool trib_capture_done(const struct trib_capture *c) { return c->done; }
