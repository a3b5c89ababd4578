/*
 * See look.h. Owns the pages that were read and not given out, and the keys that are still to be read. Waits by net->sleep_us only:
 * under `rate`, and where DynamoDB left keys unread.
 */
#include "capture/look.h"

#include <stdio.h>
#include <stdlib.h>

#include "capture/own.h"
#include "dynamodb/item.h"
#include "dynamodb/json.h"

enum {
    SEGMENTS = 4,
    SEGMENTS_MAX = 64, /* side by side */
    TOTAL_MAX = 1000000,
    PAGE_MAX = 64 << 20,
    DEPTH = 128,
    BATCH = 100,      /* keys of one BatchGetItem */
    BATCHES = 4,      /* side by side */
    SAMPLE_PAGE = 50, /* items of one random page, about */
};

struct part {
    unsigned segment;
    char *key; /* LastEvaluatedKey as DynamoDB wrote it */
    bool done;
};

struct trib_look {
    struct trib_look_opts o;
    unsigned total;
    size_t limit; /* of a page, 0: none */
    bool one_page;
    struct part *parts;
    size_t n_parts;
    char **keys; /* to be read, the last first */
    size_t n_keys, cap_keys;
    unsigned fruitless;
    struct trib_buf pages[SEGMENTS_MAX]; /* lists of items, the last first */
    size_t n_pages;
    struct trib_json at; /* in the last page */
};

struct trib_look *trib_look_new(const struct trib_look_opts *o)
{
    struct trib_look *l = trib_calloc(1, sizeof *l);
    l->o = *o;
    return l;
}

static void clear(struct trib_look *l)
{
    for (size_t i = 0; i < l->n_parts; i++) {
        free(l->parts[i].key);
    }
    free(l->parts);
    for (size_t i = 0; i < l->n_keys; i++) {
        free(l->keys[i]);
    }
    free(l->keys);
    for (size_t i = 0; i < l->n_pages; i++) {
        trib_buf_free(&l->pages[i]);
    }
    *l = (struct trib_look){.o = l->o};
}

void trib_look_free(struct trib_look *l)
{
    if (l != NULL) {
        clear(l);
        free(l);
    }
}

void trib_look_scan(struct trib_look *l)
{
    clear(l);
    l->total = l->o.segments == 0 ? SEGMENTS : l->o.segments < TOTAL_MAX ? l->o.segments : TOTAL_MAX;
    l->n_parts = l->total;
    l->parts = trib_calloc(l->n_parts, sizeof *l->parts);
    for (unsigned i = 0; i < l->total; i++) {
        l->parts[i].segment = i;
    }
}

void trib_look_keys(struct trib_look *l, const struct trib_view *keys, size_t n)
{
    clear(l);
    l->keys = trib_calloc(n + 1, sizeof *l->keys);
    l->cap_keys = n + 1;
    for (size_t i = n; i > 0; i--) {
        l->keys[l->n_keys++] = trib_strndup(keys[i - 1].p, keys[i - 1].n);
    }
}

int trib_look_random(struct trib_look *l, size_t n, struct trib_err *err)
{
    clear(l);
    struct trib_table_info info;
    TRIB_TRY(trib_table_describe(l->o.aws, l->o.table, &info, err));
    int64_t total = info.items / SAMPLE_PAGE;
    trib_table_info_free(&info);
    l->total = (unsigned)(total < 1 ? 1 : total > TOTAL_MAX ? TOTAL_MAX : total);
    size_t wanted = n / SAMPLE_PAGE + 1;
    l->limit = SAMPLE_PAGE;
    l->one_page = true;
    l->n_parts = wanted < l->total ? wanted : l->total;
    l->parts = trib_calloc(l->n_parts, sizeof *l->parts);
    /* One of each of as many runs of segments: no segment twice. */
    for (size_t i = 0; i < l->n_parts; i++) {
        uint64_t from = (uint64_t)l->total * i / l->n_parts, to = (uint64_t)l->total * (i + 1) / l->n_parts;
        l->parts[i].segment = (unsigned)(from + trib_rng_u64(l->o.rng) % (to - from));
    }
    return 0;
}

/* ---- calls -------------------------------------------------------------------------------------------------------- */

struct ask {
    struct trib_aws_call call;
    struct trib_buf body;
    struct part *part;        /* a page of a scan */
    size_t first_key, n_keys; /* or a batch */
};

static void scan_body(const struct trib_look *l, const struct part *p, struct trib_buf *to)
{
    trib_buf_adds(to, "{\"TableName\":");
    trib_json_string(to, trib_view_of(l->o.table));
    trib_buf_addf(to,
                  ",\"Segment\":%u,\"TotalSegments\":%u,\"ConsistentRead\":true,\"ReturnConsumedCapacity\":\"TOTAL\"",
                  p->segment, l->total);
    if (l->limit > 0) {
        trib_buf_addf(to, ",\"Limit\":%zu", l->limit);
    }
    if (p->key != NULL) {
        trib_buf_addf(to, ",\"ExclusiveStartKey\":%s", p->key);
    }
    trib_buf_addc(to, '}');
}

static void keys_body(const struct trib_look *l, size_t first, size_t n, struct trib_buf *to)
{
    trib_buf_adds(to, "{\"RequestItems\":{");
    trib_json_string(to, trib_view_of(l->o.table));
    trib_buf_adds(to, ":{\"ConsistentRead\":true,\"Keys\":[");
    for (size_t i = 0; i < n; i++) {
        trib_buf_addf(to, "%s%s", i > 0 ? "," : "", l->keys[first + i]);
    }
    trib_buf_adds(to, "]}},\"ReturnConsumedCapacity\":\"TOTAL\"}");
}

static void add_call(struct ask *a, const char *target)
{
    a->call = (struct trib_aws_call){.service = "dynamodb",
                                     .target = target,
                                     .body = trib_buf_view(&a->body),
                                     .max_body_bytes = PAGE_MAX,
                                     .retry = {12, 100000, 20000000}};
}

/* What is to be read next, side by side. */
static size_t plan(struct trib_look *l, struct ask *asks)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n_parts && n < SEGMENTS_MAX; i++) {
        if (!l->parts[i].done) {
            asks[n] = (struct ask){.part = &l->parts[i]};
            trib_buf_init(&asks[n].body, (size_t)1 << 20);
            scan_body(l, asks[n].part, &asks[n].body);
            add_call(&asks[n], "DynamoDB_20120810.Scan");
            n++;
        }
    }
    for (size_t left = l->n_keys; left > 0 && n < BATCHES; n++) {
        size_t take = left < BATCH ? left : BATCH;
        left -= take;
        asks[n] = (struct ask){.first_key = left, .n_keys = take};
        trib_buf_init(&asks[n].body, (size_t)4 << 20);
        keys_body(l, left, take, &asks[n].body);
        add_call(&asks[n], "DynamoDB_20120810.BatchGetItem");
    }
    return n;
}

static int keep_page(struct trib_look *l, struct trib_view list, struct trib_err *err)
{
    if (list.n == 0 || *list.p != '[') {
        return trib_err_set(err, TRIB_E_UNAVAILABLE, "table %s: DynamoDB answered without items", l->o.table);
    }
    struct trib_buf *b = &l->pages[l->n_pages++];
    trib_buf_init(b, PAGE_MAX);
    trib_buf_add(b, list.p, list.n);
    return trib_buf_check(b, "a page of the table", err);
}

static int took_scan(struct trib_look *l, struct part *p, struct trib_view reply, struct trib_err *err)
{
    struct trib_view key = trib_reply_value(reply, "LastEvaluatedKey");
    free(p->key);
    p->key = key.n == 0 ? NULL : trib_strndup(key.p, key.n);
    p->done = key.n == 0 || l->one_page;
    return keep_page(l, trib_reply_value(reply, "Items"), err);
}

/* Keys that DynamoDB left for later. */
static int unprocessed(struct trib_view keys, char **to, size_t room, size_t *ret_n)
{
    struct trib_json j = trib_json_of(keys);
    struct trib_view key;
    *ret_n = 0;
    if (keys.n == 0) {
        return 0;
    }
    if (!trib_json_take(&j, '[')) {
        return -1;
    }
    while (trib_json_ws(&j) && *j.p == '{' && trib_json_skip(&j, DEPTH, &key) && *ret_n < room) {
        to[(*ret_n)++] = trib_strndup(key.p, key.n);
        if (!trib_json_take(&j, ',')) {
            break;
        }
    }
    return trib_json_take(&j, ']') ? 0 : -1;
}

/* The member of an object, whatever its name: one table was asked for. */
static struct trib_view only_member(struct trib_view object)
{
    struct trib_json j = trib_json_of(object);
    struct trib_view key, value = {0};
    bool escaped;
    if (object.n == 0 || !trib_json_take(&j, '{') || !trib_json_text(&j, &key, &escaped) || !trib_json_take(&j, ':') ||
        !trib_json_skip(&j, DEPTH, &value)) {
        return (struct trib_view){0};
    }
    return value;
}

/* Batches are taken off the end of the keys, the last batch first, so that what is left over goes back to the end. */
static int took_keys(struct trib_look *l, const struct ask *a, struct trib_view reply, char **later, size_t *io_later,
                     struct trib_err *err)
{
    struct trib_view list = only_member(trib_reply_value(reply, "Responses"));
    struct trib_view left = trib_reply_value(only_member(trib_reply_value(reply, "UnprocessedKeys")), "Keys");
    size_t n;
    int rc = unprocessed(left, later + *io_later, a->n_keys, &n);
    *io_later += n;
    if (rc != 0) {
        return trib_err_set(err, TRIB_E_UNAVAILABLE, "table %s: BatchGetItem answered with keys that cannot be read",
                            l->o.table);
    }
    return list.n == 0 ? 0 : keep_page(l, list, err);
}

static double consumed(const struct ask *a, struct trib_view reply)
{
    struct trib_view c = trib_reply_value(reply, "ConsumedCapacity"), one = {0};
    if (a->part == NULL && c.n > 0) { /* a list of one */
        struct trib_json j = trib_json_of(c);
        c = trib_json_take(&j, '[') && trib_json_ws(&j) && trib_json_skip(&j, DEPTH, &one) ? one
                                                                                           : (struct trib_view){0};
    }
    struct trib_view units = trib_reply_value(c, "CapacityUnits");
    TRIB_CLEANUP(trib_cleanup_free)
    char *text = trib_strndup(units.n == 0 ? "0" : units.p, units.n == 0 ? 1 : units.n);
    return strtod(text, NULL);
}

static int took_all(struct trib_look *l, struct ask *asks, size_t n, struct trib_err *err)
{
    char *later[BATCH * BATCHES];
    size_t n_later = 0, n_asked = 0;
    double units = 0;
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct trib_view reply = trib_buf_view(&asks[i].call.response.body);
        if (asks[i].call.err.code != TRIB_OK) {
            *err = asks[i].call.err;
            rc = trib_err_wrap(err, "table %s", l->o.table);
            break;
        }
        units += consumed(&asks[i], reply);
        n_asked += asks[i].n_keys;
        rc = asks[i].part != NULL ? took_scan(l, asks[i].part, reply, err)
                                  : took_keys(l, &asks[i], reply, later, &n_later, err);
    }
    for (size_t i = 0; i < n_asked && rc == 0; i++) {
        free(l->keys[--l->n_keys]);
    }
    for (size_t i = 0; i < n_later; i++) {
        if (rc == 0) {
            l->keys[l->n_keys++] = later[i]; /* never more than were taken off */
        } else {
            free(later[i]);
        }
    }
    int64_t wait = l->o.rate > 0 ? (int64_t)(units / l->o.rate * 1e6) : 0;
    if (rc == 0 && n_asked > 0 && n_later > 0) {
        l->fruitless = n_later == n_asked ? l->fruitless + 1 : 0;
        wait += INT64_C(50000) << (l->fruitless < 8 ? l->fruitless : 8);
        if (l->fruitless > 30) {
            rc = trib_err_set(
                err, TRIB_E_UNAVAILABLE,
                "table %s: DynamoDB leaves every key of BatchGetItem unread: its read capacity is used up", l->o.table);
        }
    }
    if (rc == 0 && wait > 0) {
        l->o.net->sleep_us(l->o.net->ctx, wait);
    }
    return rc;
}

/* Reads until there is a page, or nothing is left to read. */
static int fetch(struct trib_look *l, struct trib_err *err)
{
    if (l->o.stop_asked != NULL && l->o.stop_asked(l->o.stop_ctx)) {
        return trib_err_set(err, TRIB_E_CANCELLED, "table %s: stopped while reading it", l->o.table);
    }
    struct ask *asks = trib_calloc(SEGMENTS_MAX, sizeof *asks);
    struct trib_aws_call *calls = trib_calloc(SEGMENTS_MAX, sizeof *calls);
    size_t n = plan(l, asks);
    for (size_t i = 0; i < n; i++) {
        calls[i] = asks[i].call;
    }
    struct trib_err first = {0};
    if (n > 0 && trib_aws_calls(l->o.aws, calls, n, &first) != 0) {
        trib_err_clear(&first); /* each call has its own */
    }
    for (size_t i = 0; i < n; i++) {
        asks[i].call = calls[i];
    }
    int rc = took_all(l, asks, n, err);
    for (size_t i = 0; i < n; i++) {
        trib_http_response_free(&asks[i].call.response);
        trib_buf_free(&asks[i].body);
    }
    free(asks);
    free(calls);
    return rc;
}

static bool more_to_read(const struct trib_look *l)
{
    for (size_t i = 0; i < l->n_parts; i++) {
        if (!l->parts[i].done) {
            return true;
        }
    }
    return l->n_keys > 0;
}

int trib_look_next(struct trib_look *l, struct trib_view *ret_item, struct trib_err *err)
{
    for (;;) {
        if (l->at.p != NULL) {
            if (trib_json_ws(&l->at) && *l->at.p == '{' && trib_json_skip(&l->at, DEPTH, ret_item)) {
                (void)trib_json_take(&l->at, ',');
                return 0;
            }
            bool whole = trib_json_take(&l->at, ']');
            l->at = (struct trib_json){0};
            trib_buf_free(&l->pages[--l->n_pages]);
            if (!whole) {
                return trib_err_set(err, TRIB_E_UNAVAILABLE,
                                    "table %s: DynamoDB answered with items that cannot be read", l->o.table);
            }
        }
        if (l->n_pages == 0) {
            if (!more_to_read(l)) {
                *ret_item = (struct trib_view){0};
                return 0;
            }
            TRIB_TRY(fetch(l, err));
        }
        if (l->n_pages > 0) {
            l->at = trib_json_of(trib_buf_view(&l->pages[l->n_pages - 1]));
            (void)trib_json_take(&l->at, '[');
        }
    }
}
