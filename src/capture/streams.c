/*
 * DynamoDB Streams behind feed.c (spec: dynamodb.md, Streams API). Owns nothing, remembers nothing. Threads: any.
 *
 * DescribeStream lies: what a listing leaves out may come with the next. A trimmed position and a shard that is gone are told by name.
 */
#include <stdlib.h>

#include "capture/own.h"
#include "dynamodb/change.h"
#include "dynamodb/item.h"

enum { BODY_MAX = 1 << 20, PAGES_MAX = 100000, PAGE_MAX = 64 << 20 };

static int open_stream(const struct trib_capture_opts *o, const struct trib_table_info *t, struct trib_stream *ret,
                       struct trib_err *err)
{
    if (o->stream_arn == NULL && (!t->stream_on || t->stream_arn == NULL)) {
        return trib_err_set(
            err, TRIB_E_CONFIG,
            "table %s: its stream is off. Turn it on: aws dynamodb update-table --table-name %s --stream-specification "
            "StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES",
            o->table, o->table);
    }
    if (o->stream_arn == NULL && t->view != NULL && strcmp(t->view, "NEW_IMAGE") != 0 &&
        strcmp(t->view, "NEW_AND_OLD_IMAGES") != 0) {
        return trib_err_set(
            err, TRIB_E_CONFIG,
            "table %s: its stream is %s, whose records lack the new image. Turn it off, then on again with "
            "StreamViewType=NEW_AND_OLD_IMAGES (a new stream: Tributary takes a new snapshot then)",
            o->table, t->view);
    }
    const char *arn = o->stream_arn != NULL ? o->stream_arn : t->stream_arn;
    *ret = (struct trib_stream){.protocol = &trib_protocol_streams,
                                .arn = trib_strdup(arn),
                                .pin = trib_strdup(arn),
                                .label = trib_landing_label_of(arn)};
    return 0;
}

static int list_page(struct trib_aws *aws, const char *arn, char **io_after, struct trib_found *f, struct trib_err *err)
{
    struct trib_buf body, reply;
    trib_buf_init(&body, BODY_MAX);
    trib_buf_adds(&body, "{\"StreamArn\":");
    trib_json_string(&body, trib_view_of(arn));
    if (*io_after != NULL) {
        trib_buf_adds(&body, ",\"ExclusiveStartShardId\":");
        trib_json_string(&body, trib_view_of(*io_after));
    }
    trib_buf_addc(&body, '}');
    int rc = trib_capture_call(aws, "streams.dynamodb", "DynamoDBStreams_20120810.DescribeStream", &body, &reply, err);
    trib_buf_free(&body);
    if (rc != 0) {
        return trib_err_wrap(err, "stream %s", arn);
    }
    struct trib_view d = trib_reply_value(trib_buf_view(&reply), "StreamDescription");
    TRIB_CLEANUP(trib_cleanup_free) char *status = trib_reply_text(d, "StreamStatus");
    f->closed = status != NULL && strcmp(status, "DISABLED") == 0;
    rc = trib_reply_each(trib_reply_value(d, "Shards"), trib_found_each, f, err);
    free(*io_after);
    *io_after = trib_reply_text(d, "LastEvaluatedShardId");
    trib_buf_free(&reply);
    return rc;
}

static int list(struct trib_aws *aws, const struct trib_stream *s, struct trib_found *ret, struct trib_err *err)
{
    struct trib_found f = {.retention_us = 24 * TRIB_HOUR_US};
    TRIB_CLEANUP(trib_cleanup_free) char *after = NULL;
    for (int page = 0; page < PAGES_MAX; page++) {
        int rc = list_page(aws, s->arn, &after, &f, err);
        f.pages++;
        if (rc != 0) {
            trib_found_free(&f);
            return rc;
        }
        if (after == NULL) {
            break;
        }
    }
    trib_found_sort(&f);
    *ret = f;
    return 0;
}

static void iterator_body(const struct trib_stream *s, const char *shard, const char *after, struct trib_buf *to)
{
    trib_buf_adds(to, "{\"StreamArn\":");
    trib_json_string(to, trib_view_of(s->arn));
    trib_iterator_place(shard, after, "SequenceNumber", to);
}

static enum trib_trouble trouble(const struct trib_err *why)
{
    static const struct trib_trouble_code known[] = {{"ExpiredIteratorException", TRIB_TROUBLE_ITERATOR},
                                                     {"TrimmedDataAccessException", TRIB_TROUBLE_TRIMMED},
                                                     {"ResourceNotFoundException", TRIB_TROUBLE_GONE},
                                                     {"LimitExceededException", TRIB_TROUBLE_LATER},
                                                     {"ProvisionedThroughputExceededException", TRIB_TROUBLE_LATER}};
    return trib_trouble_of(why, known, sizeof known / sizeof known[0]);
}

/* ---- records ------------------------------------------------------------------------------------------------------ */

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

static int one_record(const struct trib_reader *r, const struct trib_change *c, const char *arn, const char *shard,
                      trib_shard_record_fn fn, void *ctx, struct trib_err *err)
{
    struct trib_shard_record one = {
        .is = TRIB_RECORD_CHANGE, .text = trib_reader_raw(r), .time_us = c->time_us, .reason = ""};
    if (c->kind != TRIB_KIND_STREAMS || !trib_landing_digits(c->sequence_number, one.digits)) {
        return trib_err_set(err, TRIB_E_DATA,
                            "shard %s of %s: a record without a sequence number: nothing behind it is read", shard,
                            arn);
    }
    return fn(ctx, &one, err);
}

/* A record that cannot be read has no number, so nothing can go on behind it: told, as a whole. */
static int records(const struct trib_stream *s, const char *table, const char *shard, struct trib_view reply,
                   trib_shard_record_fn fn, void *ctx, struct trib_err *err)
{
    (void)table; /* a stream is of one table */
    struct trib_view array = trib_reply_value(reply, "Records");
    if (array.n <= 2) {
        return 0;
    }
    struct page page = {array.p, array.n};
    const struct trib_reader_opts o = {.kind = TRIB_KIND_AUTO, .limits = {PAGE_MAX, 128}};
    struct trib_reader *r = trib_reader_new(&o, page_read, &page);
    int rc = 0;
    while (rc == 0) {
        enum trib_reader_result got;
        struct trib_change c;
        struct trib_bad bad;
        rc = trib_reader_next(r, &got, &c, &bad, err);
        if (rc != 0 || got == TRIB_READ_END) {
            break;
        }
        rc = got == TRIB_READ_CHANGE
                 ? one_record(r, &c, s->arn, shard, fn, ctx, err)
                 : trib_err_set(err, TRIB_E_DATA,
                                "shard %s of %s: a record that cannot be read (%s): nothing behind it is read", shard,
                                s->arn, bad.reason);
    }
    trib_reader_free(r);
    return rc;
}

static int64_t behind_us(struct trib_view reply)
{
    (void)reply;
    return 0; /* not told; a trimmed position is */
}

const struct trib_feed_protocol trib_protocol_streams = {
    .service = "streams.dynamodb",
    .iterator_target = "DynamoDBStreams_20120810.GetShardIterator",
    .records_target = "DynamoDBStreams_20120810.GetRecords",
    .reads = 64,
    .busy_us = TRIB_SECOND_US / 5, /* five reads a second of one shard */
    .iterator_us = 14 * 60 * TRIB_SECOND_US,
    .quiet_us = 2 * TRIB_SECOND_US,
    .disorder_us = TRIB_SECOND_US,
    .open = open_stream,
    .list = list,
    .iterator_body = iterator_body,
    .trouble = trouble,
    .records = records,
    .behind_us = behind_us,
};
