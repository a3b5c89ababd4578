/*
 * The changes after the export and the Streams records that tell of them: each change alters the state of one order or customer, and
 * its record holds the old and the new image, made again from the states. Most records are delivered at once; some are held back
 * (late), some are delivered twice (redelivered), one is also delivered cut in half (corrupt). The truth follows the changes,
 * not the deliveries.
 * Threads: one. A crash leaves whole files, and at most one temporary one.
 */
#include <stdio.h>
#include <stdlib.h>

#include "simulate/own.h"

enum { PENDING_MAX = 256, ORDER = 0, CUSTOMER = 1, INSERT = 0, MODIFY = 1, REMOVE = 2 };
#define FILE_BYTES    (INT64_C(64) << 20)
#define FLUSH_BYTES   ((size_t)256 << 10)
#define PENDING_BYTES ((size_t)16 << 20)
#define HOUR_US       INT64_C(3600000000)
#define SECOND_US     INT64_C(1000000)
#define SEQUENCE_LOW  UINT64_C(1000000000000000) /* 10^15 */

/* A line that is delivered once change `due` was made. */
struct pending {
    char *line;
    size_t n;
    int64_t due;
};

struct stream {
    struct trib_sim *m;
    struct trib_sim_state *states[2]; /* orders, customers */
    int64_t n[2];
    struct trib_seeded rng;
    uint64_t sequence_high, sequence_low;
    struct trib_sim_file *f;
    char *file_name;   /* relative to the folder */
    int64_t file_slot; /* hour of its folder; live: its second */
    struct trib_buf lines, line;
    struct pending pending[PENDING_MAX];
    size_t n_pending, pending_bytes;
    int64_t k, now_us; /* the change being made, and its time */
    int64_t first_us;
};

static int close_file(struct stream *x, struct trib_err *err)
{
    if (x->f == NULL) {
        return 0;
    }
    char md5[25];
    return trib_sim_file_finish(&x->f, &x->lines, &x->m->result, md5, err);
}

/* ingest_date=2026/11/02/10/shop-1-2026-11-02-10-00-00-<uuid>.json.gz, as Firehose names its objects */
static int open_file(struct stream *x, struct trib_err *err)
{
    char uuid[37];
    struct trib_rng r = trib_seeded_rng(&x->rng);
    trib_rng_uuid(&r, uuid);
    struct trib_buf b;
    trib_buf_init(&b, 256);
    trib_sim_iso(&b, x->now_us, false);
    TRIB_CLEANUP(trib_cleanup_free) char *t = trib_buf_take(&b);
    free(x->file_name);
    x->file_name = trib_asprintf("ingest_date=%.4s/%.2s/%.2s/%.2s/shop-1-%.4s-%.2s-%.2s-%.2s-%.2s-%.2s-%s.json.gz", t,
                                 t + 5, t + 8, t + 11, t, t + 5, t + 8, t + 11, t + 14, t + 17, uuid);
    TRIB_CLEANUP(trib_cleanup_free) char *path = trib_asprintf("%s/%s", x->m->o->out, x->file_name);
    x->file_slot = x->now_us / (x->m->o->live ? SECOND_US : HOUR_US);
    return trib_sim_file_open(path, &x->f, err);
}

static int deliver(struct stream *x, struct trib_view line, struct trib_err *err)
{
    if (x->f == NULL) {
        TRIB_TRY(open_file(x, err));
    }
    trib_buf_add(&x->lines, line.p, line.n);
    if (x->lines.n < FLUSH_BYTES) {
        return 0;
    }
    TRIB_TRY(trib_sim_file_flush(x->f, &x->lines, err));
    return trib_sim_file_raw(x->f) < FILE_BYTES ? 0 : close_file(x, err);
}

/* Keeps x->line for later; false when there is no room. */
static bool hold(struct stream *x, int64_t due)
{
    if (x->n_pending == PENDING_MAX || x->pending_bytes + x->line.n > PENDING_BYTES) {
        return false;
    }
    x->pending[x->n_pending++] = (struct pending){trib_strndup(x->line.p, x->line.n), x->line.n, due};
    x->pending_bytes += x->line.n;
    return true;
}

static int release_due(struct stream *x, int64_t k, struct trib_err *err)
{
    size_t kept = 0;
    int rc = 0;
    for (size_t i = 0; i < x->n_pending; i++) {
        struct pending *p = &x->pending[i];
        if (p->due > k || rc != 0) {
            x->pending[kept++] = *p;
            continue;
        }
        rc = deliver(x, (struct trib_view){p->line, p->n}, err);
        x->pending_bytes -= p->n;
        free(p->line);
    }
    x->n_pending = kept;
    return rc;
}

static void image(struct stream *x, int kind, int64_t number, const struct trib_sim_state *st)
{
    if (kind == ORDER) {
        trib_sim_order_json(&x->m->shop, number, st, &x->line);
    } else {
        trib_sim_customer_json(&x->m->shop, number, st, &x->line);
    }
}

/* The record of a change → x->line. old or new: NULL when there is none. */
static void record(struct stream *x, int kind, int64_t number, const struct trib_sim_state *old,
                   const struct trib_sim_state *new, bool ttl, int64_t at_us)
{
    static const char *const ops[] = {"INSERT", "MODIFY", "REMOVE"};
    int op = old == NULL ? INSERT : new == NULL ? REMOVE : MODIFY;
    struct trib_buf *b = &x->line;
    trib_buf_clear(b);
    uint64_t id[2] = {trib_seeded_next(&x->rng), trib_seeded_next(&x->rng)};
    trib_buf_addf(
        b,
        "{\"eventID\":\"%016llx%016llx\",\"eventName\":\"%s\",\"eventVersion\":\"1.1\",\"eventSource\":\"aws:dynamodb\",\"awsRegion\":\"eu-west-1\","
        "\"dynamodb\":{\"ApproximateCreationDateTime\":%lld,\"Keys\":",
        (unsigned long long)id[0], (unsigned long long)id[1], ops[op], (long long)(at_us / SECOND_US));
    if (kind == ORDER) {
        trib_sim_order_keys(&x->m->shop, number, b);
    } else {
        trib_sim_customer_keys(number, b);
    }
    size_t before = b->n;
    if (new != NULL) {
        trib_buf_adds(b, ",\"NewImage\":");
        image(x, kind, number, new);
    }
    if (old != NULL) {
        trib_buf_adds(b, ",\"OldImage\":");
        image(x, kind, number, old);
    }
    size_t size = b->n - before;
    x->sequence_low += 1 + trib_seeded_below(&x->rng, 1000);
    if (x->sequence_low >= SEQUENCE_LOW) {
        x->sequence_low -= SEQUENCE_LOW;
        x->sequence_high++;
    }
    trib_buf_addf(
        b,
        ",\"SequenceNumber\":\"%llu%015llu\",\"SizeBytes\":%zu,\"StreamViewType\":\"NEW_AND_OLD_IMAGES\"}%s,"
        "\"eventSourceARN\":\"arn:aws:dynamodb:eu-west-1:123456789012:table/shop/stream/2026-10-01T08:00:00.000\"}\n",
        (unsigned long long)x->sequence_high, (unsigned long long)x->sequence_low, size,
        ttl ? ",\"userIdentity\":{\"type\":\"Service\",\"principalId\":\"dynamodb.amazonaws.com\"}" : "");
    x->m->truth.by_op[op]++;
    x->m->truth.ttl += ttl;
    x->m->result.records++;
}

/* How a record is delivered. */
enum delivery { AS_USUAL, AT_ONCE, TWICE, ALSO_CUT };

static int send(struct stream *x, enum delivery how, int op, bool ttl, struct trib_err *err)
{
    struct trib_sim_truth *t = &x->m->truth;
    uint64_t luck = trib_seeded_below(&x->rng, 1000), later = trib_seeded_below(&x->rng, 20);
    if (how == AS_USUAL && luck < 5 && hold(x, x->k + 1 + x->m->o->changes / 8)) {
        t->late++;
        return 0;
    }
    if ((how == TWICE || (how == AS_USUAL && luck >= 990)) && hold(x, x->k + 1 + (int64_t)later)) {
        t->redelivered++;
        t->by_op[op]++;
        t->ttl += ttl;
        x->m->result.records++;
    }
    TRIB_TRY(deliver(x, trib_buf_view(&x->line), err));
    if (how != ALSO_CUT) {
        return 0;
    }
    x->line.n = x->line.n * 3 / 5; /* the writer died and began again */
    trib_buf_addc(&x->line, '\n');
    t->corrupt++;
    trib_buf_addf(&x->m->stories, ",\n \"corrupt\":{\"file\":\"%s\"}", x->file_name);
    return deliver(x, trib_buf_view(&x->line), err);
}

/* Makes the change old state → next (life GONE: a delete), keeps the truth, writes the record into x->line. */
static int make(struct stream *x, int kind, int64_t number, struct trib_sim_state next, bool ttl)
{
    struct trib_sim_state *st = &x->states[kind][number], was = *st;
    struct trib_sim_truth *t = &x->m->truth;
    bool is_new = was.life == TRIB_SIM_FUTURE, gone = next.life == TRIB_SIM_GONE;
    if (!gone) {
        next.life = TRIB_SIM_LIVE;
        next.version = is_new ? 0 : (uint16_t)(was.version + 1);
    }
    if (kind == ORDER && !is_new) {
        trib_sim_truth_order(t, &x->m->shop, number, &was, -1);
    }
    if (kind == ORDER && !gone) {
        trib_sim_truth_order(t, &x->m->shop, number, &next, 1);
    }
    t->live[kind] += is_new - gone;
    t->gone[kind] += gone;
    record(x, kind, number, is_new ? NULL : &was, gone ? NULL : &next, ttl, x->now_us);
    *st = next;
    return is_new ? INSERT : gone ? REMOVE : MODIFY;
}

static bool second_part(const struct stream *x) { return x->k >= x->m->o->changes / 3; }

static uint8_t some_cents(struct stream *x)
{
    static const uint8_t table[] = {90, 95, 50, 99};
    return table[trib_seeded_below(&x->rng, sizeof table)];
}

static int insert(struct stream *x, int kind, struct trib_err *err)
{
    struct trib_sim_state st = {0};
    int64_t number = x->n[kind]++;
    x->states[kind][number].life = TRIB_SIM_FUTURE;
    int64_t minute = (x->now_us - x->first_us) / (60 * SECOND_US);
    st.minute = (uint16_t)(minute < UINT16_MAX ? minute : UINT16_MAX);
    if (kind == ORDER) {
        st.status = trib_seeded_below(&x->rng, 10) == 0 ? TRIB_SIM_CART : TRIB_SIM_PLACED;
        st.cents = second_part(x) && trib_seeded_below(&x->rng, 2) == 0 ? some_cents(x) : 0;
    } else {
        st.status = second_part(x) ? (uint8_t)trib_seeded_below(&x->rng, 4) : 0;
    }
    return send(x, AS_USUAL, make(x, kind, number, st, false), false, err);
}

/* A live one that no role is reserved for; -1 after a few tries. */
static int64_t pick(struct stream *x, int kind)
{
    for (int i = 0; i < 8; i++) {
        int64_t number = (int64_t)trib_seeded_below(&x->rng, (uint64_t)x->n[kind]);
        const struct trib_sim_state *st = &x->states[kind][number];
        if (st->life != TRIB_SIM_GONE && (st->flags & TRIB_SIM_RULED) == 0) {
            return number;
        }
    }
    return -1;
}

static int change_customer(struct stream *x, struct trib_err *err)
{
    int64_t number = pick(x, CUSTOMER);
    if (number < 0) {
        return insert(x, CUSTOMER, err);
    }
    struct trib_sim_state st = x->states[CUSTOMER][number];
    uint64_t what = trib_seeded_below(&x->rng, 12);
    if (what == 0) {
        st.life = TRIB_SIM_GONE;
    } else if (what < 4) {
        st.flags ^= TRIB_SIM_NO_NOTE;
    } else if (what < 8 || !second_part(x)) {
        st.flags ^= TRIB_SIM_GIFT;
    } else {
        st.status = (uint8_t)(1 + trib_seeded_below(&x->rng, 3));
    }
    return send(x, AS_USUAL, make(x, CUSTOMER, number, st, false), false, err);
}

/* The next step in an order's life. Returns true for a delete by TTL. */
static bool advance(struct stream *x, int64_t number, struct trib_sim_state *st)
{
    uint64_t luck = trib_seeded_below(&x->rng, 10);
    enum trib_sim_status s = trib_sim_order_status(&x->m->shop, number, st), to = s;
    switch (s) {
    case TRIB_SIM_CART:
        if (luck < 5 && number < x->m->shop.base_orders) { /* its expires_at is past */
            st->life = TRIB_SIM_GONE;
            return true;
        }
        to = TRIB_SIM_PLACED;
        break;
    case TRIB_SIM_PLACED: to = luck < 9 ? TRIB_SIM_PAID : TRIB_SIM_CANCELLED; break;
    case TRIB_SIM_PAID: to = TRIB_SIM_PACKED; break;
    case TRIB_SIM_PACKED: to = TRIB_SIM_SHIPPED; break;
    case TRIB_SIM_SHIPPED: to = TRIB_SIM_DELIVERED; break;
    case TRIB_SIM_DELIVERED: to = luck < 1 ? TRIB_SIM_RETURNED : s; break;
    case TRIB_SIM_AS_MADE:
    case TRIB_SIM_RETURNED:
    case TRIB_SIM_CANCELLED: break;
    }
    st->status = (uint8_t)to;
    if (to == s) {
        st->flags ^= luck < 4 ? TRIB_SIM_NO_NOTE : TRIB_SIM_GIFT;
    }
    if (second_part(x) && st->cents == 0 && luck % 4 == 0) {
        st->cents = some_cents(x);
    }
    return false;
}

static int change_order(struct stream *x, bool remove, struct trib_err *err)
{
    int64_t number = pick(x, ORDER);
    if (number < 0) {
        return insert(x, ORDER, err);
    }
    struct trib_sim_state st = x->states[ORDER][number];
    bool ttl = false;
    if (remove) {
        st.life = TRIB_SIM_GONE;
    } else {
        ttl = advance(x, number, &st);
    }
    return send(x, AS_USUAL, make(x, ORDER, number, st, ttl), ttl, err);
}

static int random_change(struct stream *x, struct trib_err *err)
{
    uint64_t what = trib_seeded_below(&x->rng, 1000);
    if (what < 200) {
        return insert(x, ORDER, err);
    }
    if (what < 250) {
        return insert(x, CUSTOMER, err);
    }
    return what < 400 ? change_customer(x, err) : change_order(x, what < 440, err);
}

static void story(struct stream *x, const char *name, int64_t number, const char *more)
{
    struct trib_buf *b = &x->m->stories;
    trib_buf_addf(b, "%s\n \"%s\":{\"pk\":\"", b->n == 0 ? "" : ",", name);
    trib_sim_customer_pk(number < 0 ? 0 : trib_sim_order_customer(&x->m->shop, number), b);
    trib_buf_adds(b, "\",\"sk\":\"");
    if (number < 0) {
        trib_buf_adds(b, "PROFILE");
    } else {
        trib_sim_order_sk(number, b);
    }
    trib_buf_addf(b, "\"%s}", more);
}

/* One role's change; held until change `until` (0: delivered as `how` says). */
static int play(struct stream *x, int role, struct trib_sim_state st, bool ttl, enum delivery how, int64_t until,
                struct trib_err *err)
{
    int op = make(x, ORDER, role, st, ttl);
    if (until > 0 && hold(x, until)) {
        x->m->truth.late++;
        return 0;
    }
    return send(x, how, op, ttl, err);
}

/* The fixed cast, at fixed parts of the way (hundredths). false in *ret: this change is a random one. */
static int cast(struct stream *x, bool *ret, struct trib_err *err)
{
    int64_t n = x->m->o->changes;
    int percent = 0;
    while (percent < 100 && x->k != n * percent / 100) {
        percent++;
    }
    struct trib_sim_state *o = x->states[ORDER], st;
    *ret = true;
    switch (percent) {
    case 5:
        st = o[TRIB_SIM_RESCUED];
        st.flags |= TRIB_SIM_ON_REQUEST;
        story(x, "rescued", TRIB_SIM_RESCUED, ",\"value\":\"on request\"");
        return play(x, TRIB_SIM_RESCUED, st, false, AT_ONCE, 0, err);
    case 10: /* overtaken by the next one */
    case 15:
        st = o[TRIB_SIM_LATE_LOST];
        st.status = percent == 10 ? TRIB_SIM_PAID : TRIB_SIM_SHIPPED;
        if (percent == 10) {
            story(x, "late_lost", TRIB_SIM_LATE_LOST, ",\"late_status\":\"paid\",\"status\":\"shipped\"");
        }
        return play(x, TRIB_SIM_LATE_LOST, st, false, AT_ONCE, percent == 10 ? n * 80 / 100 : 0, err);
    case 25:
        st = o[TRIB_SIM_LATE_WON];
        st.status = TRIB_SIM_DELIVERED;
        story(x, "late_won", TRIB_SIM_LATE_WON, ",\"before\":\"shipped\",\"status\":\"delivered\"");
        return play(x, TRIB_SIM_LATE_WON, st, false, AT_ONCE, n * 85 / 100, err);
    case 40:
        st = o[TRIB_SIM_WIDENED];
        st.cents = 90;
        story(x, "widened", TRIB_SIM_WIDENED, ",\"before\":\"60\",\"after\":\"59.9\"");
        return play(x, TRIB_SIM_WIDENED, st, false, TWICE, 0, err);
    case 45:
        st = x->states[CUSTOMER][0];
        st.status = 3;
        story(x, "new_column", -1, ",\"value\":\"gold\"");
        return send(x, AT_ONCE, make(x, CUSTOMER, 0, st, false), false, err);
    case 50:
        st = o[TRIB_SIM_EXPIRED];
        st.life = TRIB_SIM_GONE;
        story(x, "expired", TRIB_SIM_EXPIRED, "");
        return play(x, TRIB_SIM_EXPIRED, st, true, AT_ONCE, 0, err);
    case 55:
        st = o[TRIB_SIM_REMOVED];
        st.life = TRIB_SIM_GONE;
        story(x, "removed", TRIB_SIM_REMOVED, "");
        return play(x, TRIB_SIM_REMOVED, st, false, ALSO_CUT, 0, err);
    default: *ret = false; return 0;
    }
}

/* Orders placed while the export was under way: the export has them, and the stream tells of them once more. */
static int overlap(struct stream *x, struct trib_err *err)
{
    for (int64_t i = TRIB_SIM_OVERLAP; i > 0; i--) {
        int64_t number = x->m->shop.base_orders - i;
        const struct trib_sim_state *st = &x->states[ORDER][number];
        record(x, ORDER, number, NULL, st, false, trib_sim_order_created_s(&x->m->shop, number, st) * SECOND_US);
        TRIB_TRY(deliver(x, trib_buf_view(&x->line), err));
    }
    return 0;
}

/* Sets the time of change k; live: waits for it. A file ends with its hour (live: with its second). */
static int tick(struct stream *x, struct trib_err *err)
{
    const struct trib_sim_opts *o = x->m->o;
    double step = o->rate > 0 ? 1e6 / (double)o->rate : 3.0 * (double)HOUR_US / (double)o->changes;
    int64_t due = x->first_us + (int64_t)((double)x->k * step);
    if (o->live) {
        int64_t now = trib_now_us(o->clock);
        if (due > now + 2000) {
            if (x->f != NULL && due / SECOND_US > x->file_slot) {
                TRIB_TRY(close_file(x, err)); /* readers need not wait for the next change */
            }
            o->sleep_until(o->ctx, due);
            now = trib_now_us(o->clock);
        }
        due = now > x->now_us ? now : x->now_us;
    }
    x->now_us = due;
    if (x->f != NULL && due / (o->live ? SECOND_US : HOUR_US) != x->file_slot) {
        TRIB_TRY(close_file(x, err));
    }
    return 0;
}

static int all_changes(struct stream *x, struct trib_err *err)
{
    const struct trib_sim_opts *o = x->m->o;
    for (x->k = 0; x->k < o->changes; x->k++) {
        TRIB_TRY(tick(x, err));
        if (x->k == 0 && x->m->shop.cast) {
            TRIB_TRY(overlap(x, err));
        }
        TRIB_TRY(release_due(x, x->k, err));
        bool done = false;
        if (x->m->shop.cast) {
            TRIB_TRY(cast(x, &done, err));
        }
        if (!done) {
            TRIB_TRY(random_change(x, err));
        }
        TRIB_TRY(trib_buf_check(&x->line, "a change record", err));
        if (x->k % 64 == 0) {
            TRIB_TRY(trib_sim_stopped(x->m, err));
            if (o->progress != NULL) {
                o->progress(o->ctx, "changes", x->k, o->changes,
                            x->m->result.raw_bytes + (x->f != NULL ? trib_sim_file_raw(x->f) : 0));
            }
        }
    }
    TRIB_TRY(release_due(x, INT64_MAX, err));
    return close_file(x, err);
}

int trib_sim_stream(struct trib_sim *m, struct trib_err *err)
{
    const struct trib_sim_opts *o = m->o;
    struct stream *x = trib_calloc(1, sizeof *x);
    x->m = m;
    x->n[ORDER] = m->shop.base_orders;
    x->n[CUSTOMER] = m->shop.base_customers;
    for (int kind = 0; kind < 2; kind++) { /* untouched pages of it cost nothing */
        x->states[kind] = trib_calloc((size_t)(x->n[kind] + o->changes), sizeof *x->states[kind]);
    }
    if (m->shop.cast) {
        for (int role = 0; role < TRIB_SIM_ROLES; role++) {
            x->states[ORDER][role].flags = TRIB_SIM_RULED;
        }
        x->states[CUSTOMER][0].flags = TRIB_SIM_RULED;
    }
    trib_seeded_init(&x->rng, o->seed ^ 0x73747265616DULL);
    /* Numbers grow from 21 to 22 digits on the way: whoever compares them as text is wrong. */
    x->sequence_high = 999999;
    x->sequence_low = SEQUENCE_LOW - 250 * (uint64_t)(o->changes < 1000000000 ? o->changes : 1000000000) - 1;
    x->first_us = o->live ? trib_now_us(o->clock) : m->shop.start_us;
    x->now_us = x->first_us;
    trib_buf_init(&x->lines, TRIB_SIM_BUF_MAX);
    trib_buf_init(&x->line, TRIB_SIM_BUF_MAX);
    int rc = all_changes(x, err);
    trib_sim_file_abandon(x->f);
    for (size_t i = 0; i < x->n_pending; i++) {
        free(x->pending[i].line);
    }
    free(x->states[ORDER]);
    free(x->states[CUSTOMER]);
    free(x->file_name);
    trib_buf_free(&x->lines);
    trib_buf_free(&x->line);
    free(x);
    return rc;
}
