/*
 * What DynamoDB says about a table, how replies are looked into, lists of shards. Owns nothing, remembers nothing.
 * Threads: any. Replies are scanned, not made into documents: a page of records can be a megabyte.
 */
#include <stdlib.h>

#include "capture/own.h"
#include "dynamodb/item.h"
#include "dynamodb/json.h"

enum { DEPTH = 128, BODY_MAX = 1 << 20 };

/* ---- JSON --------------------------------------------------------------------------------------------------------- */

struct trib_view trib_reply_value(struct trib_view reply, const char *name)
{
    struct trib_json j = trib_json_of(reply);
    if (!trib_json_take(&j, '{')) {
        return (struct trib_view){0};
    }
    do {
        struct trib_view key, value;
        bool escaped;
        if (!trib_json_text(&j, &key, &escaped) || !trib_json_take(&j, ':') || !trib_json_skip(&j, DEPTH, &value)) {
            return (struct trib_view){0};
        }
        if (!escaped && trib_view_is(key, name)) {
            return value;
        }
    } while (trib_json_take(&j, ','));
    return (struct trib_view){0};
}

static char *text_of(struct trib_view value)
{
    struct trib_json j = trib_json_of(value);
    struct trib_view raw;
    bool escaped;
    if (value.n == 0 || *value.p != '"' || !trib_json_text(&j, &raw, &escaped)) {
        return NULL;
    }
    char *to = trib_malloc(raw.n + 1);
    ssize_t n = (ssize_t)raw.n;
    if (escaped) {
        n = trib_json_unescape(raw, to);
    } else {
        memcpy(to, raw.p, raw.n);
    }
    if (n < 0) {
        free(to);
        return NULL;
    }
    to[n] = '\0';
    return to;
}

char *trib_reply_text(struct trib_view reply, const char *name) { return text_of(trib_reply_value(reply, name)); }

int trib_reply_each(struct trib_view array, int (*fn)(void *ctx, struct trib_view object, struct trib_err *err),
                    void *ctx, struct trib_err *err)
{
    struct trib_json j = trib_json_of(array);
    struct trib_view one;
    if (array.n == 0 || !trib_json_take(&j, '[')) {
        return 0;
    }
    while (trib_json_ws(&j) && *j.p == '{' && trib_json_skip(&j, DEPTH, &one)) {
        TRIB_TRY(fn(ctx, one, err));
        if (!trib_json_take(&j, ',')) {
            break;
        }
    }
    return 0;
}

int64_t trib_reply_number(struct trib_view reply, const char *name)
{
    struct trib_view v = trib_reply_value(reply, name);
    TRIB_CLEANUP(trib_cleanup_free) char *text = trib_strndup(v.n == 0 ? "" : v.p, v.n);
    return strtoll(text, NULL, 10);
}

/* ---- the table ---------------------------------------------------------------------------------------------------- */

int trib_capture_call(struct trib_aws *aws, const char *service, const char *target, const struct trib_buf *body,
                      struct trib_buf *ret, struct trib_err *err)
{
    /* Pages of a listing follow each other faster than they are allowed to: tries enough to wait for the next second. */
    struct trib_aws_call c = {
        .service = service, .target = target, .body = trib_buf_view(body), .retry = {10, 100000, 2000000}};
    int rc = trib_aws_call(aws, &c, err);
    if (rc == 0) {
        *ret = c.response.body;
        c.response.body = (struct trib_buf){0};
    }
    trib_http_response_free(&c.response);
    return rc;
}

void trib_table_info_free(struct trib_table_info *t)
{
    free(t->arn);
    free(t->id);
    free(t->stream_arn);
    free(t->view);
    *t = (struct trib_table_info){0};
}

int trib_table_describe(struct trib_aws *aws, const char *table, struct trib_table_info *ret, struct trib_err *err)
{
    struct trib_buf body, reply;
    trib_buf_init(&body, BODY_MAX);
    trib_buf_adds(&body, "{\"TableName\":");
    trib_json_string(&body, trib_view_of(table));
    trib_buf_addc(&body, '}');
    int rc = trib_capture_call(aws, "dynamodb", "DynamoDB_20120810.DescribeTable", &body, &reply, err);
    trib_buf_free(&body);
    if (rc != 0) {
        return trib_err_wrap(err, "table %s", table);
    }
    struct trib_view t = trib_reply_value(trib_buf_view(&reply), "Table");
    struct trib_view stream = trib_reply_value(t, "StreamSpecification");
    struct trib_table_info info = {.arn = trib_reply_text(t, "TableArn"),
                                   .id = trib_reply_text(t, "TableId"),
                                   .stream_arn = trib_reply_text(t, "LatestStreamArn"),
                                   .stream_on = trib_view_is(trib_reply_value(stream, "StreamEnabled"), "true"),
                                   .view = trib_reply_text(stream, "StreamViewType"),
                                   .items = trib_reply_number(t, "ItemCount"),
                                   .bytes = trib_reply_number(t, "TableSizeBytes")};
    trib_buf_free(&reply);
    if (info.arn == NULL) {
        trib_table_info_free(&info);
        return trib_err_set(err, TRIB_E_UNAVAILABLE, "table %s: DescribeTable answered without a TableArn", table);
    }
    *ret = info;
    return 0;
}

/* ---- shards -------------------------------------------------------------------------------------------------------- */

void trib_stream_free(struct trib_stream *s)
{
    free(s->arn);
    free(s->pin);
    free(s->label);
    *s = (struct trib_stream){0};
}

static void shard_free(struct trib_found_shard *s)
{
    free(s->id);
    free(s->parent);
    free(s->adjacent);
}

void trib_found_free(struct trib_found *f)
{
    for (size_t i = 0; i < f->n; i++) {
        shard_free(&f->shards[i]);
    }
    free(f->shards);
    *f = (struct trib_found){0};
}

static void found_add(struct trib_found *f, const struct trib_found_shard *s)
{
    TRIB_GROW(f->shards, f->cap, f->n + 1);
    f->shards[f->n++] = *s;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct trib_found_shard *)a)->id, ((const struct trib_found_shard *)b)->id);
}

void trib_found_sort(struct trib_found *f)
{
    if (f->n < 2) {
        return;
    }
    qsort(f->shards, f->n, sizeof *f->shards, by_id);
    size_t kept = 1;
    for (size_t i = 1; i < f->n; i++) {
        if (strcmp(f->shards[i].id, f->shards[kept - 1].id) == 0) {
            shard_free(&f->shards[i]);
        } else {
            f->shards[kept++] = f->shards[i];
        }
    }
    f->n = kept;
}

int trib_found_each(void *ctx, struct trib_view one, struct trib_err *err)
{
    (void)err;
    struct trib_found_shard s = {.id = trib_reply_text(one, "ShardId"),
                                 .parent = trib_reply_text(one, "ParentShardId"),
                                 .adjacent = trib_reply_text(one, "AdjacentParentShardId")};
    if (s.id != NULL) {
        found_add(ctx, &s);
    } else {
        shard_free(&s);
    }
    return 0;
}

/* ---- what both services say alike --------------------------------------------------------------------------------- */

void trib_iterator_place(const char *shard, const char *after, const char *number_name, struct trib_buf *to)
{
    trib_buf_adds(to, ",\"ShardId\":");
    trib_json_string(to, trib_view_of(shard));
    if (after == NULL) {
        trib_buf_adds(to, ",\"ShardIteratorType\":\"TRIM_HORIZON\"}");
    } else {
        trib_buf_addf(to, ",\"ShardIteratorType\":\"AFTER_SEQUENCE_NUMBER\",\"%s\":\"%s\"}", number_name, after);
    }
}

enum trib_trouble trib_trouble_of(const struct trib_err *why, const struct trib_trouble_code *known, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(why->service_code, known[i].code) == 0) {
            return known[i].means;
        }
    }
    return why->retriable ? TRIB_TROUBLE_LATER : TRIB_TROUBLE_FATAL;
}
