/*
 * The shards of one DynamoDB stream: which there are, in which order they may be read, and reading them
 * (spec: dynamodb.md, Streams API; merge.md, Epochs, "Bootstrap, then follow").
 *
 * Invariants:
 *  1. A shard is read only when its parent's end is durable, or the parent was trimmed before we ever saw the stream.
 *  2. A child's generation is above its parent's. A shard whose parent cannot be known gets one above all there are, and an
 *     epoch is opened before its first record.
 *  3. A read begins behind what is landed or piled, or at TRIM_HORIZON; never at LATEST. What was read before is left out by its number.
 *  4. Empty is not the end: a shard has ended when a reply has no NextShardIterator, and its end is durable only once every record
 *     before is landed.
 *  5. Records that were trimmed before we read them are a gap: an epoch is opened before anything behind it is read.
 *
 *   found ──parent ended──▶ open ──no iterator──▶ at_end ──landed──▶ ended (in the landing)
 *                            │ trimmed, gone: open_epoch (gap), then TRIM_HORIZON, or ended
 *
 * Threads: one at a time. Memory: a few hundred bytes a shard, and its pile.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "capture/own.h"
#include "dynamodb/change.h"
#include "dynamodb/item.h"

enum {
    READS = 64,          /* side by side */
    PAGE_MAX = 64 << 20, /* a reply: 1 MB of records by AWS's count, more as text */
    QUIET_PAGES = 3,     /* empty pages in a row that mean quiet … */
    REFUSED_MAX = 10,    /* looks in a row that may fail before it is told */
    LISTINGS = 4,        /* tries to find a parent that a listing left out */
};
#define QUIET_US         (2 * TRIB_SECOND_US) /* … over this long */
#define BUSY_US          (200000)             /* five reads a second of one shard */
#define IDLE_MAX_US      (5 * TRIB_SECOND_US)
#define DISCOVER_US      (30 * TRIB_SECOND_US)
#define DISCOVER_SOON_US (2 * TRIB_SECOND_US)
#define SAVE_MOVED_US    (10 * TRIB_SECOND_US)
#define SAVE_QUIET_US    (300 * TRIB_SECOND_US)
#define DISCOVER_PAGE_US (250000) /* 10 DescribeStream calls a second are allowed; there may be two of us, and others */
#define ITERATOR_US      (14 * 60 * TRIB_SECOND_US) /* good for 15 minutes */
#define RETENTION_US     (23 * TRIB_HOUR_US)        /* 24 hours; one for clocks and the way here */

struct shard {
    char *id;
    char *iterator;
    int64_t iterator_us;
    bool horizon; /* nothing of it is landed or piled: from TRIM_HORIZON */
    bool at_end;
    int64_t due_us;
    unsigned empty;                /* empty pages in a row … */
    int64_t empty_us[QUIET_PAGES]; /* … the times of the newest of them, page n at n % QUIET_PAGES */
    int64_t newest_us;             /* creation time of the newest record read */
    struct trib_pile pile;
};

struct trib_feed {
    const struct trib_env *env;
    const struct trib_capture_opts *o;
    struct trib_landing *landing;
    char *arn, *label;
    struct shard *
        *shards; /* those that are not ended, in order of ids; each stays where it is until its end is durable */
    size_t n, cap;
    int64_t discover_us; /* when to look again */
    int64_t looked_us;   /* when it was looked at last */
    int64_t pace_us;     /* no look before: a page costs a call */
    int64_t ended_us;    /* when a shard ended last */
    unsigned refused;    /* looks in a row that failed */
    unsigned missing;    /* listings in a row with a parent that is in none */
    size_t turn;         /* where reading goes on: no shard starves */
    int64_t saved_us;    /* the hint */
    int64_t read_us;     /* newest successful read */
    bool moved;          /* a position moved since */
};

static char *label_of(const char *arn)
{
    struct trib_buf b;
    trib_buf_init(&b, 1 << 16);
    trib_landing_label(arn, &b);
    return trib_buf_take(&b);
}

static struct shard *add_live(struct trib_feed *f, const char *id)
{
    size_t at = 0;
    while (at < f->n && strcmp(f->shards[at]->id, id) < 0) {
        at++;
    }
    if (at < f->n && strcmp(f->shards[at]->id, id) == 0) {
        return f->shards[at];
    }
    TRIB_GROW(f->shards, f->cap, f->n + 1);
    memmove(&f->shards[at + 1], &f->shards[at], (f->n - at) * sizeof *f->shards);
    f->n++;
    struct shard *s = trib_calloc(1, sizeof *s);
    *s = (struct shard){.id = trib_strdup(id), .horizon = true};
    trib_pile_init(&s->pile);
    f->shards[at] = s;
    return s;
}

static void shard_free(struct shard *s)
{
    free(s->id);
    free(s->iterator);
    trib_pile_free(&s->pile);
    free(s);
}

static void drop_live(struct trib_feed *f, struct shard *s)
{
    size_t at = 0;
    while (f->shards[at] != s) {
        at++;
    }
    shard_free(s);
    memmove(&f->shards[at], &f->shards[at + 1], (f->n - at - 1) * sizeof *f->shards);
    f->n--;
}

struct trib_feed *trib_feed_new(const struct trib_env *env, const struct trib_capture_opts *o, struct trib_landing *l,
                                const char *arn)
{
    struct trib_feed *f = trib_calloc(1, sizeof *f);
    *f = (struct trib_feed){.env = env, .o = o, .landing = l, .arn = trib_strdup(arn), .label = label_of(arn)};
    for (size_t i = 0; i < l->n_shards; i++) {
        const struct trib_landing_shard *s = &l->shards[i];
        if (!s->ended && strcmp(s->stream, f->label) == 0) {
            add_live(f, s->shard)->horizon = *s->last == '\0';
        }
    }
    return f;
}

void trib_feed_free(struct trib_feed *f)
{
    if (f == NULL) {
        return;
    }
    for (size_t i = 0; i < f->n; i++) {
        shard_free(f->shards[i]);
    }
    free(f->shards);
    free(f->arn);
    free(f->label);
    free(f);
}

static struct trib_landing_shard *doc_of(const struct trib_feed *f, const char *id)
{
    return trib_landing_find(f->landing, f->label, id);
}

/* Newest number read: piled, else landed. */
static const char *read_up_to(const struct trib_feed *f, const struct shard *s)
{
    return s->pile.n > 0 ? s->pile.last : doc_of(f, s->id)->last;
}

struct trib_landing_mark *trib_feed_marks(const struct trib_feed *f, size_t *ret_n)
{
    const struct trib_landing *l = f->landing;
    struct trib_landing_mark *m = trib_calloc(l->n_shards + 1, sizeof *m);
    size_t n = 0;
    for (size_t i = 0; i < l->n_shards; i++) {
        const struct trib_landing_shard *doc = &l->shards[i];
        if (strcmp(doc->stream, f->label) == 0) {
            m[n] = (struct trib_landing_mark){.stream = doc->stream, .shard = doc->shard};
            memcpy(m[n++].last, doc->last, sizeof doc->last);
        }
    }
    *ret_n = n;
    return m;
}

/* ---- gaps --------------------------------------------------------------------------------------------------------- */

/* Before anything behind the gap is read. What is piled belongs before it, so it is landed first. */
static int open_gap(struct trib_feed *f, int64_t now_us, const char *shard, const char *why, struct trib_err *err)
{
    int64_t records, bytes;
    TRIB_TRY(trib_feed_land(f, now_us, true, &records, &bytes, err));
    /* What another process documented and landed meanwhile is before the gap too. */
    TRIB_TRY(trib_landing_refresh(f->landing, err));
    TRIB_TRY(trib_landing_load_positions(f->landing, trib_landed_end, f->env->lake, err));
    const struct trib_landing *l = f->landing;
    TRIB_CLEANUP(trib_cleanup_free) char *reason = trib_asprintf("gap: shard %s: %s", shard, why);
    size_t n;
    struct trib_landing_mark *marks = trib_feed_marks(f, &n);
    const struct trib_landing_epoch *newest = &l->epochs[l->n_epochs - 1];
    const struct trib_landing_epoch e = {.number = newest->number + 1,
                                         .opened_us = now_us,
                                         .reason = reason,
                                         .stream_arn = f->arn,
                                         .table_id = newest->table_id,
                                         .snapshot = f->o->bootstrap != TRIB_BOOTSTRAP_NONE,
                                         .n_marks = n,
                                         .marks = marks};
    int rc = trib_landing_open_epoch(f->landing, &e, err);
    free(marks);
    if (rc == TRIB_E_EXISTS) { /* another process saw it first; its marks hold */
        rc = trib_landing_refresh(f->landing, err);
    }
    trib_logkv(f->env->log, TRIB_LOG_WARN, "a gap in the stream: records are lost to it; a new snapshot will repair it",
               "table", f->o->table, "shard", shard, "why", why, NULL);
    return rc;
}

/* ---- discovery ---------------------------------------------------------------------------------------------------- */

static const struct trib_found_shard *found_one(const struct trib_found *found, const char *id)
{
    size_t low = 0, high = found->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int d = strcmp(found->shards[mid].id, id);
        if (d == 0) {
            return &found->shards[mid];
        }
        if (d < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return NULL;
}

static uint32_t highest_generation(const struct trib_feed *f)
{
    uint32_t g = 0;
    for (size_t i = 0; i < f->landing->n_shards; i++) {
        const struct trib_landing_shard *s = &f->landing->shards[i];
        g = strcmp(s->stream, f->label) == 0 && s->generation > g ? s->generation : g;
    }
    return g;
}

static int add_shard(struct trib_feed *f, const struct trib_found_shard *found, uint32_t generation, int64_t now_us,
                     struct trib_err *err)
{
    const struct trib_landing *l = f->landing;
    const struct trib_landing_shard s = {.stream = f->label,
                                         .shard = found->id,
                                         .parent = found->parent,
                                         .generation = generation,
                                         .epoch = l->epochs[l->n_epochs - 1].number,
                                         .found_us = now_us};
    int rc = trib_landing_add_shard(f->landing, &s, err);
    if (rc == TRIB_E_EXISTS) {
        rc = trib_landing_refresh(f->landing, err);
    }
    if (rc == 0 && !doc_of(f, found->id)->ended) {
        add_live(f, found->id);
    }
    return rc;
}

/* Shards whose parents are documented, until there are none left: listings come in any order. */
static int add_descendants(struct trib_feed *f, const struct trib_found *found, int64_t now_us, struct trib_err *err)
{
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < found->n; i++) {
            const struct trib_found_shard *s = &found->shards[i];
            const struct trib_landing_shard *parent = s->parent == NULL ? NULL : doc_of(f, s->parent);
            if (parent != NULL && doc_of(f, s->id) == NULL) {
                TRIB_TRY(add_shard(f, s, parent->generation + 1, now_us, err));
                more = true;
            }
        }
    }
    return 0;
}

static bool first_look(const struct trib_feed *f)
{
    for (size_t i = 0; i < f->landing->n_shards; i++) {
        if (strcmp(f->landing->shards[i].stream, f->label) == 0) {
            return false;
        }
    }
    return true;
}

/* Those that have no documented parent: roots. At the first look they are what is left of the stream; later they are a gap, once
 * a few listings have agreed that the parent is nowhere. */
static int add_roots(struct trib_feed *f, const struct trib_found *found, bool first, int64_t now_us, bool *ret_again,
                     struct trib_err *err)
{
    uint32_t above = highest_generation(f) + 1;
    bool opened = false, missing = false;
    for (size_t i = 0; i < found->n; i++) {
        const struct trib_found_shard *s = &found->shards[i];
        if (doc_of(f, s->id) != NULL || (s->parent != NULL && found_one(found, s->parent) != NULL)) {
            continue;
        }
        if (s->parent != NULL && f->missing < LISTINGS) {
            missing = true; /* a listing may leave a parent out: look again before it counts as trimmed */
            continue;
        }
        if (!first && !opened) {
            TRIB_TRY(open_gap(f, now_us, s->id, "its parent was never seen", err));
            opened = true;
        }
        TRIB_TRY(add_shard(f, s, first ? 1 : above, now_us, err));
    }
    f->missing = missing ? f->missing + 1 : 0;
    *ret_again = missing;
    return 0;
}

/* Shards that another process documented: it may be gone tomorrow, so they are read here too. */
static void adopt_documented(struct trib_feed *f)
{
    for (size_t i = 0; i < f->landing->n_shards; i++) {
        const struct trib_landing_shard *s = &f->landing->shards[i];
        size_t before = f->n;
        if (!s->ended && strcmp(s->stream, f->label) == 0) {
            struct shard *live = add_live(f, s->shard);
            live->horizon = f->n > before ? *s->last == '\0' : live->horizon;
        }
    }
}

/* A shard that we still read and that is listed no more, its end unseen: expired with what we did not read. */
static int check_gone(struct trib_feed *f, const struct trib_found *found, int64_t now_us, struct trib_err *err)
{
    for (size_t i = 0; i < f->n;) {
        struct shard *s = f->shards[i];
        const struct trib_landing_shard *doc = doc_of(f, s->id);
        bool old = now_us - (doc->read_us > doc->found_us ? doc->read_us : doc->found_us) > RETENTION_US;
        if (s->at_end || found_one(found, s->id) != NULL || !old) {
            i++;
            continue;
        }
        TRIB_TRY(open_gap(f, now_us, s->id, "it expired before it was read to its end", err));
        s->at_end = true;
        i = 0;
    }
    return 0;
}

int trib_feed_discover(struct trib_feed *f, int64_t now_us, bool force, struct trib_err *err)
{
    if (!force && now_us < f->discover_us) {
        return 0;
    }
    struct trib_found found;
    struct trib_err why = {0};
    int rc = trib_stream_describe(f->o->aws, f->arn, &found, &why);
    if (rc != 0 && why.retriable && ++f->refused < REFUSED_MAX) { /* what is known can be read meanwhile */
        f->discover_us = now_us + (DISCOVER_SOON_US << (f->refused < 4 ? f->refused : 4));
        return 0;
    }
    if (rc != 0) {
        *err = why;
        return rc;
    }
    f->refused = 0;
    f->pace_us = now_us + (int64_t)found.pages * DISCOVER_PAGE_US;
    adopt_documented(f);
    bool first = first_look(f), again = false;
    rc = add_descendants(f, &found, now_us, err);
    if (rc == 0) {
        rc = add_roots(f, &found, first, now_us, &again, err);
    }
    if (rc == 0) {
        rc = add_descendants(f, &found, now_us, err);
    }
    if (rc == 0) {
        rc = check_gone(f, &found, now_us, err);
    }
    trib_found_free(&found);
    f->looked_us = again ? f->looked_us : now_us;
    f->discover_us = now_us + (again || f->ended_us > f->looked_us - DISCOVER_US ? DISCOVER_SOON_US : DISCOVER_US);
    return rc;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static bool may_read(const struct trib_feed *f, const struct shard *s)
{
    const struct trib_landing_shard *doc = doc_of(f, s->id);
    const struct trib_landing_shard *parent = doc->parent == NULL ? NULL : doc_of(f, doc->parent);
    return !s->at_end && (parent == NULL || parent->ended);
}

static void back_off(struct shard *s, int64_t now_us, int64_t wait_us) { s->due_us = now_us + wait_us; }

static void lose_iterator(struct shard *s)
{
    free(s->iterator);
    s->iterator = NULL;
}

static void iterator_body(const struct trib_feed *f, const struct shard *s, struct trib_buf *to)
{
    trib_buf_adds(to, "{\"StreamArn\":");
    trib_json_string(to, trib_view_of(f->arn));
    trib_buf_adds(to, ",\"ShardId\":");
    trib_json_string(to, trib_view_of(s->id));
    if (s->horizon && s->pile.n == 0) {
        trib_buf_adds(to, ",\"ShardIteratorType\":\"TRIM_HORIZON\"}");
        return;
    }
    const char *last = read_up_to(f, s);
    last += strspn(last, "0");
    trib_buf_addf(to, ",\"ShardIteratorType\":\"AFTER_SEQUENCE_NUMBER\",\"SequenceNumber\":\"%s\"}",
                  *last == '\0' ? "0" : last);
}

static bool is(const struct trib_err *e, const char *code) { return strcmp(e->service_code, code) == 0; }

/* A call about a shard failed: 0 when it is dealt with (try again later, a gap), else the failure. */
static int failed(struct trib_feed *f, struct shard *s, const struct trib_err *why, int64_t now_us,
                  struct trib_err *err)
{
    if (is(why, "ExpiredIteratorException")) {
        lose_iterator(s);
        back_off(s, now_us, 0);
        return 0;
    }
    if (is(why, "TrimmedDataAccessException")) {
        lose_iterator(s);
        TRIB_TRY(open_gap(f, now_us, s->id, "records were trimmed before they were read", err));
        s->horizon = true; /* what is landed stays out by its numbers */
        return 0;
    }
    if (is(why, "ResourceNotFoundException")) {
        lose_iterator(s);
        TRIB_TRY(open_gap(f, now_us, s->id, "it is gone, its end was not read", err));
        s->at_end = true;
        return 0;
    }
    if (why->retriable || is(why, "LimitExceededException") || is(why, "ProvisionedThroughputExceededException")) {
        back_off(s, now_us, TRIB_SECOND_US);
        return 0;
    }
    *err = *why;
    return (int)why->code;
}

struct page {
    const char *p;
    size_t n;
};

static int64_t page_read(void *ctx, char *to, size_t n, struct trib_err *err)
{
    struct page *page = ctx;
    (void)err;
    n = n < page->n ? n : page->n;
    memcpy(to, page->p, n);
    page->p += n;
    page->n -= n;
    return (int64_t)n;
}

/* One record of a page onto the pile, unless it was read before. */
static int pile_record(struct trib_feed *f, struct shard *s, const struct trib_reader *r, const struct trib_change *c,
                       int64_t now_us, int64_t *ret_records, struct trib_err *err)
{
    char digits[TRIB_POSITION_DIGITS + 1];
    if (c->kind != TRIB_KIND_STREAMS || !trib_landing_digits(c->sequence_number, digits)) {
        return trib_err_set(err, TRIB_E_DATA,
                            "shard %s of %s: a record without a sequence number: nothing behind it is read", s->id,
                            f->arn);
    }
    if (strcmp(digits, read_up_to(f, s)) <= 0) {
        return 0;
    }
    trib_pile_add(&s->pile, trib_reader_raw(r), digits, c->time_us, now_us);
    s->newest_us = c->time_us > s->newest_us ? c->time_us : s->newest_us;
    ++*ret_records;
    return trib_buf_check(&s->pile.lines, "records of a shard that are not landed yet", err);
}

static int pile_page(struct trib_feed *f, struct shard *s, struct trib_view reply, int64_t now_us, int64_t *ret_records,
                     struct trib_err *err)
{
    struct trib_view records = trib_reply_value(reply, "Records");
    if (records.n <= 2) {
        return 0;
    }
    struct page page = {records.p, records.n};
    const struct trib_reader_opts o = {.kind = TRIB_KIND_AUTO, .limits = {PAGE_MAX, 128}};
    struct trib_reader *r = trib_reader_new(&o, page_read, &page);
    int rc = 0;
    for (;;) {
        enum trib_reader_result got;
        struct trib_change c;
        struct trib_bad bad;
        rc = trib_reader_next(r, &got, &c, &bad, err);
        if (rc != 0 || got == TRIB_READ_END) {
            break;
        }
        rc = got == TRIB_READ_CHANGE
                 ? pile_record(f, s, r, &c, now_us, ret_records, err)
                 : trib_err_set(err, TRIB_E_DATA,
                                "shard %s of %s: a record that cannot be read (%s): nothing behind it is read", s->id,
                                f->arn, bad.reason);
        if (rc != 0) {
            break;
        }
    }
    trib_reader_free(r);
    return rc;
}

static int took_page(struct trib_feed *f, struct shard *s, struct trib_view reply, int64_t now_us, int64_t *ret_records,
                     struct trib_err *err)
{
    int64_t records = 0;
    TRIB_TRY(pile_page(f, s, reply, now_us, &records, err));
    *ret_records += records;
    lose_iterator(s);
    s->iterator = trib_reply_text(reply, "NextShardIterator");
    s->iterator_us = now_us;
    doc_of(f, s->id)->read_us = f->read_us = now_us;
    if (s->iterator == NULL) {
        s->at_end = true;
        f->ended_us = now_us;
        f->discover_us = now_us > f->pace_us ? now_us : f->pace_us; /* its children */
    }
    if (records > 0) {
        s->empty = 0;
        s->due_us = now_us + BUSY_US;
        return 0;
    }
    s->empty_us[s->empty++ % QUIET_PAGES] = now_us;
    int64_t wait = BUSY_US << (s->empty < 8 ? s->empty : 8);
    s->due_us =
        now_us + (f->o->once || wait < IDLE_MAX_US ? (f->o->once && wait > TRIB_SECOND_US ? TRIB_SECOND_US : wait)
                                                   : IDLE_MAX_US);
    return 0;
}

/* Up to READS shards that are due, from where the last turn ended. */
static size_t pick(struct trib_feed *f, int64_t now_us, struct shard *to[READS])
{
    size_t n = 0, next = f->turn;
    for (size_t i = 0; i < f->n && n < READS; i++) {
        size_t at = (f->turn + i) % f->n;
        struct shard *s = f->shards[at];
        if (s->due_us <= now_us && may_read(f, s)) {
            to[n++] = s;
            next = at + 1;
        }
    }
    f->turn = next;
    return n;
}

static void prepare(const struct trib_feed *f, struct shard *s, int64_t now_us, struct trib_aws_call *c,
                    struct trib_buf *body)
{
    if (s->iterator != NULL && now_us - s->iterator_us > ITERATOR_US) {
        lose_iterator(s);
    }
    trib_buf_init(body, (size_t)1 << 20);
    bool begin = s->iterator == NULL;
    if (begin) {
        iterator_body(f, s, body);
    } else {
        trib_buf_adds(body, "{\"ShardIterator\":");
        trib_json_string(body, trib_view_of(s->iterator));
        trib_buf_addc(body, '}');
    }
    *c = (struct trib_aws_call){.service = "streams.dynamodb",
                                .target = begin ? "DynamoDBStreams_20120810.GetShardIterator"
                                                : "DynamoDBStreams_20120810.GetRecords",
                                .body = trib_buf_view(body),
                                .max_body_bytes = PAGE_MAX,
                                .retry = {1, 0, 0}};
}

static bool is_old(const struct trib_feed *f, const struct shard *s, int64_t now_us)
{
    const struct trib_landing_shard *doc = doc_of(f, s->id);
    int64_t seen = doc->read_us > doc->found_us ? doc->read_us : doc->found_us;
    return now_us - seen > RETENTION_US;
}

/* A shard that nobody read for a day may have lost records without telling. One epoch serves all of them. */
static int check_age(struct trib_feed *f, const struct shard *s, int64_t now_us, struct trib_err *err)
{
    if (!is_old(f, s, now_us)) {
        return 0;
    }
    TRIB_TRY(open_gap(f, now_us, s->id, "it was not read for longer than the stream keeps records", err));
    for (size_t i = 0; i < f->n; i++) {
        if (is_old(f, f->shards[i], now_us)) {
            lose_iterator(f->shards[i]); /* of a process that stood still for a day */
            f->shards[i]->horizon = true;
            doc_of(f, f->shards[i]->id)->read_us = now_us;
        }
    }
    return 0;
}

int trib_feed_read(struct trib_feed *f, int64_t now_us, int64_t *ret_records, struct trib_err *err)
{
    struct shard *s[READS];
    size_t n = pick(f, now_us, s);
    for (size_t i = 0; i < n; i++) {
        TRIB_TRY(check_age(f, s[i], now_us, err));
    }
    struct trib_aws_call *calls = trib_calloc(READS, sizeof *calls);
    struct trib_buf *bodies = trib_calloc(READS, sizeof *bodies);
    for (size_t i = 0; i < n; i++) {
        prepare(f, s[i], now_us, &calls[i], &bodies[i]);
    }
    struct trib_err first = {0};
    int rc = 0;
    if (n > 0 && trib_aws_calls(f->o->aws, calls, n, &first) != 0) {
        rc = 0; /* each call has its own error */
    }
    for (size_t i = 0; i < n; i++) {
        struct trib_view reply = trib_buf_view(&calls[i].response.body);
        int one = 0;
        if (calls[i].err.code != TRIB_OK) {
            one = failed(f, s[i], &calls[i].err, now_us, err);
        } else if (s[i]->iterator == NULL) {
            s[i]->iterator = trib_reply_text(reply, "ShardIterator");
            s[i]->iterator_us = now_us;
            back_off(s[i], now_us, s[i]->iterator == NULL ? TRIB_SECOND_US : 0);
        } else {
            one = took_page(f, s[i], reply, now_us, ret_records, err);
        }
        rc = rc == 0 ? one : rc;
        trib_http_response_free(&calls[i].response);
        trib_buf_free(&bodies[i]);
    }
    free(calls);
    free(bodies);
    return rc;
}

/* ---- landing ------------------------------------------------------------------------------------------------------ */

static int land_one(struct trib_feed *f, struct shard *s, int64_t *ret_records, int64_t *ret_bytes,
                    struct trib_err *err)
{
    struct trib_landing_shard *doc = doc_of(f, s->id);
    int64_t records = (int64_t)s->pile.n, bytes = (int64_t)s->pile.lines.n;
    bool lost = false;
    TRIB_TRY(trib_land(f->landing, doc, &s->pile, &lost, err));
    if (records > 0) {
        s->horizon = false;
        f->moved = true;
    }
    if (lost) { /* behind the other's end */
        lose_iterator(s);
        s->at_end = false;
        s->due_us = 0;
        return 0;
    }
    *ret_records += records;
    *ret_bytes += bytes;
    return 0;
}

/* The end of a shard becomes durable; the caller's turn through the shards begins again. */
static int end_one(struct trib_feed *f, struct shard *s, struct trib_err *err)
{
    struct trib_landing_shard *doc = doc_of(f, s->id);
    int rc = trib_landing_end_shard(f->landing, doc, err);
    if (rc == TRIB_E_EXISTS) {
        rc = trib_landing_refresh(f->landing, err);
    }
    if (rc == 0) {
        drop_live(f, s);
        f->moved = true;
    }
    return rc;
}

int trib_feed_land(struct trib_feed *f, int64_t now_us, bool all, int64_t *ret_records, int64_t *ret_bytes,
                   struct trib_err *err)
{
    *ret_records = *ret_bytes = 0;
    int64_t total = 0;
    for (size_t i = 0; i < f->n; i++) {
        total += (int64_t)f->shards[i]->pile.lines.n;
    }
    all |= total >= f->o->buffer_bytes;
    for (size_t i = 0; i < f->n; i++) {
        struct shard *s = f->shards[i];
        bool due = s->pile.n > 0 && (all || s->at_end || now_us - s->pile.since_us >= f->o->buffer_interval_us);
        if (due) {
            TRIB_TRY(land_one(f, s, ret_records, ret_bytes, err));
        }
        if (s->at_end && s->pile.n == 0) {
            TRIB_TRY(end_one(f, s, err));
            i--;
        }
    }
    /* The hint also says when a quiet shard was read: a position that nobody looked at for a day is a gap. */
    int64_t since = now_us - f->saved_us;
    bool read_since = f->read_us > f->saved_us;
    if ((f->moved && (all || since > SAVE_MOVED_US)) || (read_since && (all || since > SAVE_QUIET_US))) {
        TRIB_TRY(trib_landing_save_positions(f->landing, now_us, err));
        f->saved_us = now_us;
        f->moved = false;
    }
    return 0;
}

/* ---- when --------------------------------------------------------------------------------------------------------- */

int64_t trib_feed_due_us(const struct trib_feed *f)
{
    int64_t due = f->discover_us;
    for (size_t i = 0; i < f->n; i++) {
        const struct shard *s = f->shards[i];
        if (may_read(f, s)) {
            due = s->due_us < due ? s->due_us : due;
        }
        if (s->pile.n > 0) {
            int64_t land = s->at_end ? 0 : s->pile.since_us + f->o->buffer_interval_us;
            due = land < due ? land : due;
        }
    }
    return due;
}

/* The newest pages were empty, all of them read after `us`, over long enough. */
static bool quiet_since(const struct trib_feed *f, const struct shard *s, int64_t us)
{
    int64_t from = s->empty_us[s->empty % QUIET_PAGES]; /* of the oldest that counts */
    return s->empty >= QUIET_PAGES && from >= us && doc_of(f, s->id)->read_us - from >= QUIET_US;
}

bool trib_feed_caught_up(const struct trib_feed *f, int64_t us)
{
    if (f->looked_us == 0 || f->looked_us < us || f->looked_us < f->ended_us || f->missing > 0) {
        return false;
    }
    for (size_t i = 0; i < f->n; i++) {
        const struct shard *s = f->shards[i];
        if (!s->at_end && !quiet_since(f, s, us) && s->newest_us <= us + TRIB_SECOND_US) {
            return false;
        }
        if (s->at_end) {
            return false; /* its end is still to be written, and its children to be found */
        }
    }
    return true;
}
