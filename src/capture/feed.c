/*
 * The shards of one stream: which there are, in which order they may be read, and reading them (spec: dynamodb.md, Streams API,
 * Kinesis; merge.md, Epochs, "Bootstrap, then follow"). How the service is asked stands in streams.c and kinesis.c.
 *
 * Invariants:
 *  1. A shard is read only when its parents' ends are durable, or they were trimmed before we ever saw the stream.
 *  2. A child's generation is above its parents'. A shard whose parent cannot be known gets one above all there are, and an
 *     epoch is opened before its first record.
 *  3. A read begins behind what is landed or piled, or at TRIM_HORIZON; never at LATEST. What was read before is left out by its number.
 *  4. Empty is not the end: a shard has ended when a reply has no NextShardIterator, and its end is durable only once every record
 *     before is landed, or kept below _errors/.
 *  5. Records that were trimmed before we read them are a gap: an epoch is opened before anything behind it is read. Where the service does
 *     not tell, age does: up to when a shard is read (covered) and landed (its document's read_us) against what the stream keeps.
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
#include "dynamodb/item.h"

enum {
    READS_MAX = 64,      /* side by side, whatever the protocol says */
    PAGE_MAX = 64 << 20, /* a reply: 1 MB of records by AWS's count, more as text */
    QUIET_PAGES = 3,     /* empty pages in a row that mean quiet … */
    REFUSED_MAX = 10,    /* looks in a row that may fail before it is told */
    LISTINGS = 4,        /* tries to find a parent that a listing left out */
    LOOKS = 5,           /* and to find out what a refused call means */
    ERRORS_MAX = 96 << 20,
};
#define NEARLY_US        (2 * TRIB_SECOND_US) /* behind by less: as good as at the end */
#define IDLE_MAX_US      (5 * TRIB_SECOND_US)
#define DISCOVER_US      (30 * TRIB_SECOND_US)
#define DISCOVER_SOON_US (2 * TRIB_SECOND_US)
#define SAVE_MOVED_US    (10 * TRIB_SECOND_US)
#define SAVE_QUIET_US    (300 * TRIB_SECOND_US)
#define DISCOVER_PAGE_US (250000) /* 10 DescribeStream calls a second are allowed; there may be two of us, and others */
#define SLACK_US         TRIB_HOUR_US /* of the retention, for clocks and the way here */

struct shard {
    char *id;
    char *iterator;
    int64_t iterator_us;
    bool horizon;                        /* nothing of it was read, or what comes next is gone: from TRIM_HORIZON */
    char upto[TRIB_POSITION_DIGITS + 1]; /* newest number read: landed, piled, or left out; "": none */
    bool at_end;
    int64_t due_us;
    bool old;                      /* not read for longer than the stream keeps records */
    unsigned empty;                /* empty pages in a row … */
    int64_t empty_us[QUIET_PAGES]; /* … the times of the newest of them, page n at n % QUIET_PAGES … */
    int64_t empty_since_us;        /* … and of the first */
    int64_t newest_us;             /* creation time of the newest record read */
    int64_t read_us;               /* newest page */
    int64_t covered_us;            /* everything that came before this is read */
    unsigned looks;                /* refused calls in a row; the next listing tells whether it is still there */
    struct trib_pile pile;
};

struct trib_feed {
    const struct trib_env *env;
    const struct trib_capture_opts *o;
    struct trib_landing *landing;
    struct trib_stream stream;
    int64_t retention_us; /* what is safe to count on; by the newest listing */
    bool replaced;
    uint64_t foreign, foreign_told; /* records of other tables */
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

static int live_order(const void *id, const void *feed, size_t i)
{
    return strcmp(((const struct trib_feed *)feed)->shards[i]->id, id);
}

static void add_live(struct trib_feed *f, const struct trib_landing_shard *doc)
{
    bool found;
    size_t at = trib_place(f->n, live_order, doc->shard, f, &found);
    if (found) {
        return;
    }
    TRIB_GROW(f->shards, f->cap, f->n + 1);
    memmove(&f->shards[at + 1], &f->shards[at], (f->n - at) * sizeof *f->shards);
    f->n++;
    struct shard *s = trib_calloc(1, sizeof *s);
    *s = (struct shard){.id = trib_strdup(doc->shard), .horizon = *doc->last == '\0'};
    memcpy(s->upto, doc->last, sizeof s->upto);
    trib_pile_init(&s->pile);
    f->shards[at] = s;
}

/* Of every shard that is documented and not ended, by whomever: another process that found it may be gone tomorrow. */
static void add_all_live(struct trib_feed *f)
{
    for (size_t i = 0; i < f->landing->n_shards; i++) {
        const struct trib_landing_shard *s = &f->landing->shards[i];
        if (!s->ended && strcmp(s->stream, f->stream.label) == 0) {
            add_live(f, s);
        }
    }
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
                                struct trib_stream *stream)
{
    struct trib_feed *f = trib_calloc(1, sizeof *f);
    *f = (struct trib_feed){
        .env = env, .o = o, .landing = l, .stream = *stream, .retention_us = 24 * TRIB_HOUR_US - SLACK_US};
    *stream = (struct trib_stream){0};
    add_all_live(f);
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
    trib_stream_free(&f->stream);
    free(f);
}

static struct trib_landing_shard *doc_of(const struct trib_feed *f, const char *id)
{
    return trib_landing_find(f->landing, f->stream.label, id);
}

bool trib_feed_replaced(const struct trib_feed *f) { return f->replaced; }

const char *trib_feed_label(const struct trib_feed *f) { return f->stream.label; }

struct trib_landing_mark *trib_feed_marks(const struct trib_landing *l, const char *label, size_t *ret_n)
{
    struct trib_landing_mark *m = trib_calloc(l->n_shards + 1, sizeof *m);
    size_t n = 0;
    for (size_t i = 0; i < l->n_shards; i++) {
        const struct trib_landing_shard *doc = &l->shards[i];
        if (strcmp(doc->stream, label) == 0) {
            m[n] = (struct trib_landing_mark){.stream = doc->stream, .shard = doc->shard};
            memcpy(m[n++].last, doc->last, sizeof doc->last);
        }
    }
    *ret_n = n;
    return m;
}

/* Up to when everything of a shard is here: what came later and is trimmed is lost. What an epoch's snapshot holds is not. */
static int64_t safe_up_to(const struct trib_feed *f, const struct trib_landing_shard *doc, const struct shard *s)
{
    const struct trib_landing *l = f->landing;
    int64_t us = l->epochs[l->n_epochs - 1].opened_us;
    us = doc->found_us > us ? doc->found_us : us;
    us = doc->read_us > us ? doc->read_us : us;
    return s != NULL && s->covered_us > us ? s->covered_us : us;
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
    /* An epoch of this stream above one of its successor would put its snapshot above what is captured from that. */
    if (strcmp(l->epochs[l->n_epochs - 1].label, f->stream.label) != 0) {
        f->replaced = true;
        return 0;
    }
    TRIB_CLEANUP(trib_cleanup_free) char *reason = trib_asprintf("gap: shard %s: %s", shard, why);
    size_t n;
    struct trib_landing_mark *marks = trib_feed_marks(l, f->stream.label, &n);
    const struct trib_landing_epoch *newest = &l->epochs[l->n_epochs - 1];
    const struct trib_landing_epoch e = {.number = newest->number + 1,
                                         .opened_us = now_us,
                                         .reason = reason,
                                         .since_us = f->stream.protocol->by_time ? now_us + TRIB_SKEW_US : 0,
                                         .stream_arn = f->stream.pin,
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

static int by_shard_id(const void *id, const void *one)
{
    return strcmp(id, ((const struct trib_found_shard *)one)->id);
}

static const struct trib_found_shard *found_one(const struct trib_found *found, const char *id)
{
    return found->n == 0 ? NULL : bsearch(id, found->shards, found->n, sizeof *found->shards, by_shard_id);
}

static uint32_t highest_generation(const struct trib_feed *f)
{
    uint32_t g = 0;
    for (size_t i = 0; i < f->landing->n_shards; i++) {
        const struct trib_landing_shard *s = &f->landing->shards[i];
        g = strcmp(s->stream, f->stream.label) == 0 && s->generation > g ? s->generation : g;
    }
    return g;
}

/* The newest epoch of this stream: another process may have opened one of the stream that came after, which this one's records are not of. */
static unsigned own_epoch(const struct trib_feed *f)
{
    const struct trib_landing *l = f->landing;
    size_t i = l->n_epochs;
    while (i > 1 && strcmp(l->epochs[i - 1].label, f->stream.label) != 0) {
        i--;
    }
    return l->epochs[i - 1].number;
}

static int add_shard(struct trib_feed *f, const struct trib_found_shard *found, uint32_t generation, int64_t now_us,
                     struct trib_err *err)
{
    const struct trib_landing_shard s = {.stream = f->stream.label,
                                         .shard = found->id,
                                         .parent = found->parent,
                                         .adjacent = found->adjacent,
                                         .generation = generation,
                                         .epoch = own_epoch(f),
                                         .found_us = now_us};
    int rc = trib_landing_add_shard(f->landing, &s, err);
    if (rc == TRIB_E_EXISTS) {
        rc = trib_landing_refresh(f->landing, err);
    }
    return rc;
}

static const struct trib_landing_shard *parent_doc(const struct trib_feed *f, const char *id)
{
    return id == NULL ? NULL : doc_of(f, id);
}

/* A child that is listed for the first time though its parents ended long ago: nobody looked since, and its first records may be trimmed. */
static bool is_late(const struct trib_feed *f, const struct trib_landing_shard *parent, int64_t now_us)
{
    if (parent == NULL || !parent->ended) {
        return false;
    }
    int64_t looked = f->looked_us > 0 ? f->looked_us : f->landing->hint_us, safe = safe_up_to(f, parent, NULL);
    return now_us - (looked > safe ? looked : safe) > f->retention_us;
}

/* Shards whose parents are documented, until there are none left: listings come in any order. */
static int add_descendants(struct trib_feed *f, const struct trib_found *found, int64_t now_us, struct trib_err *err)
{
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < found->n; i++) {
            const struct trib_found_shard *s = &found->shards[i];
            const struct trib_landing_shard *a = parent_doc(f, s->parent), *b = parent_doc(f, s->adjacent);
            bool whole = (a != NULL || s->parent == NULL) && (b != NULL || s->adjacent == NULL);
            if (!whole || (a == NULL && b == NULL) || doc_of(f, s->id) != NULL) {
                continue;
            }
            if (is_late(f, a, now_us) || is_late(f, b, now_us)) {
                TRIB_TRY(open_gap(f, now_us, s->id, "it was found too late to know its first records", err));
            }
            a = parent_doc(f, s->parent),
            b = parent_doc(f, s->adjacent); /* what another process wrote may have moved them */
            uint32_t above = a == NULL ? 0 : a->generation;
            above = b != NULL && b->generation > above ? b->generation : above;
            TRIB_TRY(add_shard(f, s, above + 1, now_us, err));
            more = true;
        }
    }
    return 0;
}

/* A parent that is neither documented nor listed. */
static bool is_nowhere(const struct trib_feed *f, const struct trib_found *found, const char *id)
{
    return id != NULL && doc_of(f, id) == NULL && found_one(found, id) == NULL;
}

/* Of a parent that is documented, or will be in this pass. */
static bool is_child(const struct trib_feed *f, const struct trib_found *found, const struct trib_found_shard *s)
{
    return (s->parent != NULL || s->adjacent != NULL) && !is_nowhere(f, found, s->parent) &&
           !is_nowhere(f, found, s->adjacent);
}

/* Those that have a parent nobody documented, or none: roots. At the first look they are what is left of the stream; later they are a
 * gap, once a few listings have agreed that the parent is nowhere. */
static int add_roots(struct trib_feed *f, const struct trib_found *found, bool first, int64_t now_us, bool *ret_again,
                     struct trib_err *err)
{
    uint32_t above = highest_generation(f) + 1;
    bool opened = false, missing = false;
    for (size_t i = 0; i < found->n; i++) {
        const struct trib_found_shard *s = &found->shards[i];
        if (doc_of(f, s->id) != NULL || is_child(f, found, s)) {
            continue;
        }
        if ((s->parent != NULL || s->adjacent != NULL) && f->missing < LISTINGS) {
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

/* A shard that we still read and that is listed no more, its end unseen: expired with what we did not read. */
static int check_gone(struct trib_feed *f, const struct trib_found *found, int64_t now_us, struct trib_err *err)
{
    for (size_t i = 0; i < f->n;) {
        struct shard *s = f->shards[i];
        const struct trib_landing_shard *doc = doc_of(f, s->id);
        bool old = s->looks > 0 || now_us - safe_up_to(f, doc, s) > f->retention_us;
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
    int rc = f->stream.protocol->list(f->o->aws, &f->stream, &found, &why);
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
    if (found.replaced) {
        f->replaced = true;
        trib_found_free(&found);
        return 0;
    }
    f->retention_us = found.retention_us - SLACK_US;
    add_all_live(f);
    bool first = highest_generation(f) == 0, again = false; /* none of its shards is documented yet */
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
    add_all_live(f);
    f->replaced |= rc == 0 && found.closed && !again && f->n == 0;
    trib_found_free(&found);
    f->looked_us = again ? f->looked_us : now_us;
    f->discover_us = now_us + (again || f->ended_us > f->looked_us - DISCOVER_US ? DISCOVER_SOON_US : DISCOVER_US);
    return rc;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static bool is_read(const struct trib_feed *f, const char *parent)
{
    const struct trib_landing_shard *doc = parent_doc(f, parent);
    return doc == NULL || doc->ended;
}

static bool may_read(const struct trib_feed *f, const struct shard *s)
{
    const struct trib_landing_shard *doc = doc_of(f, s->id);
    return !s->at_end && is_read(f, doc->parent) && is_read(f, doc->adjacent);
}

static void back_off(struct shard *s, int64_t now_us, int64_t wait_us) { s->due_us = now_us + wait_us; }

static void lose_iterator(struct shard *s)
{
    free(s->iterator);
    s->iterator = NULL;
}

static void iterator_body(const struct trib_feed *f, const struct shard *s, struct trib_buf *to)
{
    const char *last = s->upto + strspn(s->upto, "0");
    f->stream.protocol->iterator_body(&f->stream, s->id, s->horizon ? NULL : *last == '\0' ? "0" : last, to);
}

/* A look out of turn. */
static int64_t soon(const struct trib_feed *f, int64_t now_us) { return now_us > f->pace_us ? now_us : f->pace_us; }

/* A call about a shard failed: 0 when it is dealt with (try again later, a gap), else the failure. */
static int failed(struct trib_feed *f, struct shard *s, const struct trib_err *why, int64_t now_us,
                  struct trib_err *err)
{
    switch (f->stream.protocol->trouble(why)) {
    case TRIB_TROUBLE_ITERATOR:
        lose_iterator(s);
        back_off(s, now_us, 0);
        return 0;
    case TRIB_TROUBLE_TRIMMED:
        lose_iterator(s);
        TRIB_TRY(open_gap(f, now_us, s->id, "records were trimmed before they were read", err));
        s->horizon = true; /* what is landed stays out by its numbers */
        return 0;
    case TRIB_TROUBLE_GONE:
        lose_iterator(s);
        TRIB_TRY(open_gap(f, now_us, s->id, "it is gone, its end was not read", err));
        s->at_end = true;
        return 0;
    case TRIB_TROUBLE_LATER: back_off(s, now_us, TRIB_SECOND_US); return 0;
    case TRIB_TROUBLE_LOOK:
        lose_iterator(s);
        back_off(s, now_us, TRIB_SECOND_US);
        f->discover_us = soon(f, now_us);
        if (s->looks++ < LOOKS) {
            return 0;
        }
        break;
    case TRIB_TROUBLE_FATAL: break;
    }
    *err = *why;
    return (int)why->code;
}

struct taking {
    struct trib_feed *f;
    struct shard *s;
    int64_t now_us;
    int64_t records, all;
    struct trib_buf bad; /* a line each */
    char first_bad[TRIB_POSITION_DIGITS + 1], last_bad[TRIB_POSITION_DIGITS + 1];
};

static void take_bad(struct taking *t, const struct trib_shard_record *r)
{
    memcpy(t->bad.n == 0 ? t->first_bad : t->last_bad, r->digits, sizeof r->digits);
    memcpy(t->last_bad, r->digits, sizeof r->digits);
    trib_buf_adds(&t->bad, "{\"reason\":");
    trib_json_string(&t->bad, trib_view_of(r->reason));
    trib_buf_adds(&t->bad, ",\"record\":");
    size_t at = t->bad.n;
    trib_buf_add(&t->bad, r->text.p, r->text.n);
    for (; at < t->bad.n; at++) {
        t->bad.p[at] = t->bad.p[at] == '\n' || t->bad.p[at] == '\r' ? ' ' : t->bad.p[at];
    }
    trib_buf_adds(&t->bad, "}\n");
}

/* One record of a page onto the pile, unless it was read before. */
static int take_record(void *ctx, const struct trib_shard_record *r, struct trib_err *err)
{
    struct taking *t = ctx;
    struct shard *s = t->s;
    if (strcmp(r->digits, s->upto) <= 0) {
        return 0;
    }
    t->all++;
    memcpy(s->upto, r->digits, sizeof s->upto);
    s->horizon = false;
    switch (r->is) {
    case TRIB_RECORD_CHANGE: break;
    case TRIB_RECORD_FOREIGN: t->f->foreign++; return 0;
    case TRIB_RECORD_BAD: take_bad(t, r); return trib_buf_check(&t->bad, "records that cannot be read", err);
    }
    trib_pile_add(&s->pile, r->text, r->digits, r->time_us, t->now_us);
    s->newest_us = r->time_us > s->newest_us ? r->time_us : s->newest_us;
    t->records++;
    return trib_buf_check(&s->pile.lines, "records of a shard that are not landed yet", err);
}

/* What could not be read is kept before anything behind it is landed. */
static int keep_bad(struct taking *t, struct trib_err *err)
{
    if (t->bad.n == 0) {
        return 0;
    }
    trib_logkv(t->f->env->log, TRIB_LOG_WARN, "records that cannot be read are kept below _errors/ of the landing",
               "table", t->f->o->table, "shard", t->s->id, "first", t->first_bad, "last", t->last_bad, NULL);
    return trib_land_errors(t->f->landing, doc_of(t->f, t->s->id), t->first_bad, t->last_bad, trib_buf_view(&t->bad),
                            err);
}

/* Everything before is landed: by the document, a crash or not. */
static void note_covered(struct trib_feed *f, const struct shard *s)
{
    struct trib_landing_shard *doc = doc_of(f, s->id);
    doc->read_us = s->covered_us > doc->read_us ? s->covered_us : doc->read_us;
}

/* When to read again. A page that held records of others only is empty to us, but no reason to slow down. */
static void pace(const struct trib_feed *f, struct shard *s, const struct taking *t, int64_t behind_us, size_t bytes)
{
    const struct trib_feed_protocol *p = f->stream.protocol;
    bool empty = t->records == 0 && behind_us <= NEARLY_US;
    if (empty) {
        s->empty_since_us = s->empty == 0 ? t->now_us : s->empty_since_us;
        s->empty_us[s->empty++ % QUIET_PAGES] = t->now_us;
    } else {
        s->empty = 0;
    }
    int64_t wait = p->busy_us;
    if (p->bytes_a_second > 0) {
        int64_t by_bytes = (int64_t)bytes / 4 * 3 * TRIB_SECOND_US / p->bytes_a_second;
        wait = by_bytes > wait ? by_bytes : wait;
    }
    if (empty && t->all == 0 && behind_us == 0) {
        int64_t most = f->o->once ? TRIB_SECOND_US : IDLE_MAX_US, idle = p->busy_us << (s->empty < 8 ? s->empty : 8);
        wait = idle < most ? idle : most;
    }
    s->due_us = t->now_us + wait;
}

static int took_page(struct trib_feed *f, struct shard *s, struct trib_view reply, int64_t now_us, int64_t *ret_records,
                     struct trib_err *err)
{
    const struct trib_feed_protocol *p = f->stream.protocol;
    struct taking t = {.f = f, .s = s, .now_us = now_us};
    trib_buf_init(&t.bad, ERRORS_MAX);
    int rc = p->records(&f->stream, f->o->table, s->id, reply, take_record, &t, err);
    if (rc == 0) {
        rc = keep_bad(&t, err);
    }
    trib_buf_free(&t.bad);
    TRIB_TRY(rc);
    *ret_records += t.records;
    lose_iterator(s);
    s->iterator = trib_reply_text(reply, "NextShardIterator");
    s->iterator_us = s->read_us = f->read_us = now_us;
    s->looks = 0;
    int64_t behind = p->behind_us(reply), covered = now_us - behind;
    s->covered_us = covered > s->covered_us ? covered : s->covered_us;
    if (s->pile.n == 0) {
        note_covered(f, s);
    }
    if (s->iterator == NULL) {
        s->at_end = true;
        f->ended_us = now_us;
        f->discover_us = soon(f, now_us); /* its children */
    }
    pace(f, s, &t, behind, reply.n);
    return 0;
}

/* As many shards as may be read side by side, of those that are due, from where the last turn ended. */
static size_t pick(struct trib_feed *f, int64_t now_us, struct shard *to[READS_MAX])
{
    size_t n = 0, next = f->turn, most = f->stream.protocol->reads;
    most = most < READS_MAX ? most : READS_MAX;
    for (size_t i = 0; i < f->n && n < most; i++) {
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
    if (s->iterator != NULL && now_us - s->iterator_us > f->stream.protocol->iterator_us) {
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
    const struct trib_feed_protocol *p = f->stream.protocol;
    *c = (struct trib_aws_call){.service = p->service,
                                .target = begin ? p->iterator_target : p->records_target,
                                .body = trib_buf_view(body),
                                .max_body_bytes = PAGE_MAX,
                                .retry = {1, 0, 0}};
}

/* A shard that nobody read for a day may have lost records without telling, and where the service never tells, so may one that is read
 * too slowly. One epoch serves all of them. */
static int check_age(struct trib_feed *f, const struct shard *s, int64_t now_us, struct trib_err *err)
{
    if (now_us - safe_up_to(f, doc_of(f, s->id), s) <= f->retention_us) {
        return 0;
    }
    for (size_t i = 0; i < f->n; i++) {
        const struct shard *each = f->shards[i];
        f->shards[i]->old = now_us - safe_up_to(f, doc_of(f, each->id), each) > f->retention_us;
    }
    TRIB_TRY(open_gap(f, now_us, s->id, "it was not read for longer than the stream keeps records", err));
    for (size_t i = 0; i < f->n; i++) {
        if (f->shards[i]->old) {
            lose_iterator(f->shards[i]); /* of a process that stood still for a day */
            f->shards[i]->horizon = true;
            f->shards[i]->old = false;
        }
    }
    return 0;
}

int trib_feed_read(struct trib_feed *f, int64_t now_us, int64_t *ret_records, struct trib_err *err)
{
    struct shard *s[READS_MAX];
    size_t n = pick(f, now_us, s);
    for (size_t i = 0; i < n; i++) {
        TRIB_TRY(check_age(f, s[i], now_us, err));
    }
    struct trib_aws_call *calls = trib_calloc(READS_MAX, sizeof *calls);
    struct trib_buf *bodies = trib_calloc(READS_MAX, sizeof *bodies);
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
        f->moved = true;
    }
    if (lost) { /* behind the other's end */
        memcpy(s->upto, doc->last, sizeof s->upto);
        s->horizon = false;
        lose_iterator(s);
        s->at_end = false;
        s->due_us = 0;
        s->empty = 0; /* nor is it known to be quiet, or read up to some time */
        s->newest_us = s->covered_us = 0;
        return 0;
    }
    note_covered(f, s);
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

/* The newest pages were empty, all of them read after `us`, and over long enough since then. */
static bool quiet_since(const struct trib_feed *f, const struct shard *s, int64_t us)
{
    int64_t from = s->empty_since_us > us ? s->empty_since_us : us;
    return s->empty >= QUIET_PAGES && s->empty_us[s->empty % QUIET_PAGES] >= us &&
           s->read_us - from >= f->stream.protocol->quiet_us;
}

bool trib_feed_caught_up(const struct trib_feed *f, int64_t us)
{
    if (f->looked_us == 0 || f->looked_us < us || f->looked_us < f->ended_us || f->missing > 0) {
        return false;
    }
    for (size_t i = 0; i < f->n; i++) {
        const struct shard *s = f->shards[i];
        if (!s->at_end && !quiet_since(f, s, us) && s->newest_us <= us + f->stream.protocol->disorder_us) {
            return false;
        }
        if (s->at_end) {
            return false; /* its end is still to be written, and its children to be found */
        }
    }
    return true;
}
