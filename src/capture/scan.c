/*
 * A snapshot by parallel scan (spec: dynamodb.md, Scan; merge.md, "Bootstrap, then follow").
 *
 * Owns <landing>/_snapshots/NNNN/: pages as objects nobody reads before the seal, and one document of progress a segment, which
 * names the segment's objects and where its scan goes on. Objects first, then the document: a crash leaves objects that no document
 * names, which the seal does not name either. Resume keys belong to (segment, total segments), so the total is the one the
 * scan began with, whatever the configuration says now.
 * Reads are strongly consistent; the scan as a whole is no picture of one moment, which is why the stream is landed past its end.
 * Threads: one at a time. Memory: BUFFER_BYTES over all segments, and a page each.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "capture/own.h"
#include "dynamodb/item.h"
#include "dynamodb/json.h"

enum {
    SEGMENTS = 4,
    SEGMENTS_MAX = 1000,
    DEPTH = 128,
    PAGE_MAX = 64 << 20,
    BUFFER_BYTES = 64 << 20,
    OBJECT_MIN = 1 << 20,
    DOC_MAX = 16 << 20,
};
#define VERSION 1

struct segment {
    char *key; /* LastEvaluatedKey as DynamoDB wrote it, of everything in lines too; NULL: from the beginning */
    bool done;
    struct trib_buf lines; /* read, not in an object yet */
    int64_t lines_items, lines_us;
    size_t n_files, cap_files;
    struct trib_landing_file *files;
    int64_t due_us;
    unsigned failures;
};

struct trib_scan {
    const struct trib_env *env;
    const struct trib_capture_opts *o;
    struct trib_landing *landing;
    unsigned epoch;
    bool loaded;
    unsigned n;
    struct segment *segments;
    int64_t begin_us, end_us;
    double tokens; /* read capacity units that may be used now */
    double rate;   /* a second; 0: as fast as DynamoDB lets */
    int64_t tokens_us;
    struct trib_landing_file *all; /* of a scan that is done */
    size_t n_all;
};

struct trib_scan *trib_scan_new(const struct trib_env *env, const struct trib_capture_opts *o, struct trib_landing *l,
                                unsigned epoch)
{
    struct trib_scan *s = trib_calloc(1, sizeof *s);
    *s = (struct trib_scan){.env = env, .o = o, .landing = l, .epoch = epoch, .rate = o->rate};
    return s;
}

static void segments_free(struct trib_scan *s)
{
    for (unsigned i = 0; i < s->n; i++) {
        struct segment *g = &s->segments[i];
        for (size_t k = 0; k < g->n_files; k++) {
            free(g->files[k].key);
        }
        free(g->files);
        free(g->key);
        trib_buf_free(&g->lines);
    }
    free(s->segments);
    s->segments = NULL;
    s->n = 0;
}

void trib_scan_free(struct trib_scan *s)
{
    if (s != NULL) {
        segments_free(s);
        free(s->all);
        free(s);
    }
}

/* ---- progress ----------------------------------------------------------------------------------------------------- */

static char *progress_key(const struct trib_scan *s, unsigned segment)
{
    return trib_asprintf("%s/_snapshots/%04x/_progress/%04u.json", s->landing->root, s->epoch, segment);
}

static int save(struct trib_scan *s, unsigned at, struct trib_err *err)
{
    struct segment *g = &s->segments[at];
    json_t *files = json_array();
    for (size_t i = 0; i < g->n_files; i++) {
        (void)json_array_append_new(
            files, json_pack("{s:s, s:I, s:I, s:I}", "key", g->files[i].key, "items", (json_int_t)g->files[i].items,
                             "bytes", (json_int_t)g->files[i].bytes, "time_us", (json_int_t)g->files[i].time_us));
    }
    json_t *doc = json_pack("{s:i, s:i, s:b, s:I, s:I, s:o, s:o}", "version", VERSION, "segments", (int)s->n, "done",
                            (int)g->done, "begin_us", (json_int_t)s->begin_us, "end_us", (json_int_t)s->end_us, "files",
                            files, "last_key", g->key == NULL ? json_null() : json_string(g->key));
    char *text = json_dumps(doc, JSON_COMPACT);
    json_decref(doc);
    TRIB_CLEANUP(trib_cleanup_free) char *key = progress_key(s, at);
    int rc = trib_store_put(s->landing->lake, key, trib_view_of(text), false, err);
    free(text);
    return rc;
}

static void load_segment(struct trib_scan *s, struct segment *g, const json_t *doc)
{
    const char *key = json_string_value(json_object_get(doc, "last_key"));
    g->key = key == NULL ? NULL : trib_strdup(key);
    g->done = json_is_true(json_object_get(doc, "done"));
    int64_t begin = (int64_t)json_integer_value(json_object_get(doc, "begin_us"));
    int64_t end = (int64_t)json_integer_value(json_object_get(doc, "end_us"));
    s->begin_us = begin != 0 && begin < s->begin_us ? begin : s->begin_us;
    s->end_us = end > s->end_us ? end : s->end_us;
    const json_t *files = json_object_get(doc, "files");
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *f = json_array_get(files, i);
        const char *name = json_string_value(json_object_get(f, "key"));
        if (name != NULL) {
            TRIB_GROW(g->files, g->cap_files, g->n_files + 1);
            g->files[g->n_files++] =
                (struct trib_landing_file){.key = trib_strdup(name),
                                           .items = (int64_t)json_integer_value(json_object_get(f, "items")),
                                           .bytes = (int64_t)json_integer_value(json_object_get(f, "bytes")),
                                           .time_us = (int64_t)json_integer_value(json_object_get(f, "time_us"))};
        }
    }
}

/* A segment's document, NULL when there is none. */
static int read_progress(struct trib_scan *s, unsigned at, json_t **ret, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *key = progress_key(s, at);
    struct trib_buf text;
    struct trib_err own = {0};
    trib_buf_init(&text, DOC_MAX);
    int rc = trib_store_get(s->landing->lake, key, 0, -1, &text, &own);
    *ret = NULL;
    if (rc == 0) {
        *ret = json_loadb(text.p, text.n, 0, NULL);
        json_int_t version = json_integer_value(json_object_get(*ret, "version"));
        json_int_t n = json_integer_value(json_object_get(*ret, "segments"));
        if (version != VERSION || n < 1 || n > SEGMENTS_MAX) {
            json_decref(*ret);
            *ret = NULL;
            rc = trib_err_set(&own, TRIB_E_UNSUPPORTED,
                              "%s: a scan's progress that this version does not know: finish it with the version "
                              "that began it, or remove the folder _progress to scan again",
                              key);
        }
    }
    trib_buf_free(&text);
    if (rc != 0 && rc != TRIB_E_NOT_FOUND) {
        *err = own;
        return rc;
    }
    return 0;
}

static void begin(struct trib_scan *s, unsigned n, int64_t now_us)
{
    s->n = n;
    s->segments = trib_calloc(n, sizeof *s->segments);
    s->begin_us = now_us;
    for (unsigned i = 0; i < n; i++) {
        trib_buf_init(&s->segments[i].lines, (size_t)BUFFER_BYTES + PAGE_MAX);
    }
}

static int load(struct trib_scan *s, int64_t now_us, struct trib_err *err)
{
    json_t *first;
    TRIB_TRY(read_progress(s, 0, &first, err));
    unsigned n = s->o->segments == 0 ? SEGMENTS : s->o->segments < SEGMENTS_MAX ? s->o->segments : SEGMENTS_MAX;
    bool again = first != NULL;
    if (again) {
        n = (unsigned)json_integer_value(json_object_get(first, "segments"));
    }
    json_decref(first);
    segments_free(s);
    begin(s, n, now_us);
    int rc = 0;
    for (unsigned i = 0; i < n && rc == 0; i++) {
        json_t *doc = NULL;
        rc = again ? read_progress(s, i, &doc, err) : save(s, i, err);
        if (rc == 0 && doc != NULL) {
            load_segment(s, &s->segments[i], doc);
        }
        json_decref(doc);
    }
    s->loaded = rc == 0;
    s->tokens_us = now_us;
    return rc;
}

/* ---- pages -------------------------------------------------------------------------------------------------------- */

/* The segment's lines become an object, and its document names it. */
static int put_object(struct trib_scan *s, unsigned at, struct trib_err *err)
{
    struct segment *g = &s->segments[at];
    if (g->lines.n > 0) {
        char uuid[37];
        trib_rng_uuid(s->env->rng, uuid);
        char *name = trib_asprintf("_snapshots/%04x/%04u-%06zu-%.8s.json.zst", s->epoch, at, g->n_files, uuid);
        TRIB_CLEANUP(trib_cleanup_free) char *key = trib_asprintf("%s/%s", s->landing->root, name);
        struct trib_buf packed;
        trib_buf_init(&packed, (size_t)1 << 30);
        int rc = trib_zstd(trib_buf_view(&g->lines), &packed, err);
        if (rc == 0) {
            rc = trib_store_put(s->landing->lake, key, trib_buf_view(&packed), true, err);
        }
        int64_t bytes = (int64_t)packed.n;
        trib_buf_free(&packed);
        if (rc != 0) {
            free(name);
            return rc;
        }
        TRIB_GROW(g->files, g->cap_files, g->n_files + 1);
        g->files[g->n_files++] = (struct trib_landing_file){name, g->lines_items, bytes, g->lines_us};
        trib_buf_clear(&g->lines);
        g->lines_items = 0;
    }
    return save(s, at, err);
}

static void page_body(const struct trib_scan *s, unsigned at, struct trib_buf *to)
{
    const struct segment *g = &s->segments[at];
    trib_buf_adds(to, "{\"TableName\":");
    trib_json_string(to, trib_view_of(s->o->table));
    trib_buf_addf(to,
                  ",\"Segment\":%u,\"TotalSegments\":%u,\"ConsistentRead\":true,\"ReturnConsumedCapacity\":\"TOTAL\"",
                  at, s->n);
    if (g->key != NULL) {
        trib_buf_addf(to, ",\"ExclusiveStartKey\":%s", g->key);
    }
    trib_buf_addc(to, '}');
}

static int took_page(struct trib_scan *s, unsigned at, struct trib_view reply, int64_t now_us, int64_t *ret_items,
                     struct trib_err *err)
{
    struct segment *g = &s->segments[at];
    struct trib_json j = trib_json_of(trib_reply_value(reply, "Items"));
    struct trib_view item;
    if (!trib_json_take(&j, '[')) {
        return trib_err_set(err, TRIB_E_UNAVAILABLE, "table %s: Scan answered without Items", s->o->table);
    }
    if (g->lines.n == 0) {
        g->lines_us = now_us;
    }
    while (trib_json_ws(&j) && *j.p == '{' && trib_json_skip(&j, DEPTH, &item)) {
        trib_buf_adds(&g->lines, "{\"Item\":");
        trib_buf_add(&g->lines, item.p, item.n);
        trib_buf_adds(&g->lines, "}\n");
        g->lines_items++;
        ++*ret_items;
        if (!trib_json_take(&j, ',')) {
            break;
        }
    }
    if (!trib_json_take(&j, ']')) {
        return trib_err_set(err, TRIB_E_UNAVAILABLE, "table %s: Scan answered with Items that cannot be read",
                            s->o->table);
    }
    TRIB_TRY(trib_buf_check(&g->lines, "pages of a scan", err));
    struct trib_view consumed = trib_reply_value(trib_reply_value(reply, "ConsumedCapacity"), "CapacityUnits");
    TRIB_CLEANUP(trib_cleanup_free)
    char *units = trib_strndup(consumed.n == 0 ? "0" : consumed.p, consumed.n == 0 ? 1 : consumed.n);
    s->tokens -= strtod(units, NULL);
    struct trib_view key = trib_reply_value(reply, "LastEvaluatedKey");
    free(g->key);
    g->key = key.n == 0 ? NULL : trib_strndup(key.p, key.n);
    g->done = key.n == 0;
    g->failures = 0;
    s->end_us = now_us > s->end_us ? now_us : s->end_us;
    size_t full = BUFFER_BYTES / s->n;
    return g->done || g->lines.n >= (full > OBJECT_MIN ? full : OBJECT_MIN) ? put_object(s, at, err) : 0;
}

static bool throttled(const struct trib_err *e)
{
    return strcmp(e->service_code, "ProvisionedThroughputExceededException") == 0 ||
           strcmp(e->service_code, "ThrottlingException") == 0 || strcmp(e->service_code, "RequestLimitExceeded") == 0;
}

/* A page failed: waits and tries again, or fails for good. A throttle halves the rate, which the next pages give back slowly. */
static int failed(struct trib_scan *s, struct segment *g, const struct trib_err *why, int64_t now_us,
                  struct trib_err *err)
{
    if (!why->retriable && !throttled(why)) {
        *err = *why;
        return (int)why->code;
    }
    static const struct trib_retry retry = {UINT32_MAX, 200000, 20000000};
    g->due_us = now_us + trib_retry_wait_us(&retry, ++g->failures, -1, s->env->rng);
    return 0;
}

static void refill(struct trib_scan *s, int64_t now_us)
{
    if (s->rate > 0) {
        s->tokens += s->rate * (double)(now_us - s->tokens_us) / 1e6;
        s->tokens = s->tokens < s->rate ? s->tokens : s->rate; /* a second's worth at most */
    }
    s->tokens_us = now_us;
}

static bool all_done(const struct trib_scan *s)
{
    for (unsigned i = 0; i < s->n; i++) {
        if (!s->segments[i].done) {
            return false;
        }
    }
    return true;
}

int trib_scan_step(struct trib_scan *s, int64_t now_us, int64_t *ret_items, bool *ret_done, struct trib_err *err)
{
    *ret_items = 0;
    if (!s->loaded) {
        TRIB_TRY(load(s, now_us, err));
    }
    refill(s, now_us);
    struct trib_aws_call *calls = trib_calloc(s->n, sizeof *calls);
    struct trib_buf *bodies = trib_calloc(s->n, sizeof *bodies);
    unsigned *at = trib_calloc(s->n, sizeof *at), n = 0;
    for (unsigned i = 0; i < s->n && (s->rate <= 0 || s->tokens > 0); i++) {
        if (s->segments[i].done || s->segments[i].due_us > now_us) {
            continue;
        }
        trib_buf_init(&bodies[n], (size_t)1 << 20);
        page_body(s, i, &bodies[n]);
        calls[n] = (struct trib_aws_call){.service = "dynamodb",
                                          .target = "DynamoDB_20120810.Scan",
                                          .body = trib_buf_view(&bodies[n]),
                                          .max_body_bytes = PAGE_MAX,
                                          .retry = {1, 0, 0}};
        at[n++] = i;
    }
    struct trib_err ignored = {0};
    int rc = 0;
    if (n > 0 && trib_aws_calls(s->o->aws, calls, n, &ignored) != 0) {
        rc = 0; /* each call has its own error */
    }
    for (unsigned i = 0; i < n; i++) {
        struct segment *g = &s->segments[at[i]];
        if (rc == 0) {
            rc = calls[i].err.code != TRIB_OK
                     ? failed(s, g, &calls[i].err, now_us, err)
                     : took_page(s, at[i], trib_buf_view(&calls[i].response.body), now_us, ret_items, err);
        }
        trib_http_response_free(&calls[i].response);
        trib_buf_free(&bodies[i]);
    }
    free(calls);
    free(bodies);
    free(at);
    *ret_done = rc == 0 && all_done(s);
    return rc;
}

int64_t trib_scan_due_us(const struct trib_scan *s)
{
    int64_t due = INT64_MAX;
    for (unsigned i = 0; i < s->n; i++) {
        if (!s->segments[i].done && s->segments[i].due_us < due) {
            due = s->segments[i].due_us;
        }
    }
    if (!s->loaded) {
        return 0;
    }
    int64_t tokens = s->rate > 0 && s->tokens <= 0 ? s->tokens_us + (int64_t)((1 - s->tokens) / s->rate * 1e6) : 0;
    return due == INT64_MAX || due > tokens ? due : tokens;
}

void trib_scan_result(struct trib_scan *s, int64_t *ret_begin_us, int64_t *ret_end_us,
                      const struct trib_landing_file **ret_files, size_t *ret_n)
{
    size_t cap = 0;
    s->n_all = 0;
    free(s->all);
    s->all = NULL;
    for (unsigned i = 0; i < s->n; i++) {
        TRIB_GROW(s->all, cap, s->n_all + s->segments[i].n_files + 1);
        for (size_t k = 0; k < s->segments[i].n_files; k++) {
            s->all[s->n_all++] = s->segments[i].files[k];
        }
    }
    *ret_begin_us = s->begin_us;
    *ret_end_us = s->end_us;
    *ret_files = s->all;
    *ret_n = s->n_all;
}
