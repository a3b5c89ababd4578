/*
 * Kinesis Data Streams for DynamoDB behind feed.c (spec: dynamodb.md, Kinesis). Owns nothing, remembers nothing. Threads: any.
 *
 * What differs from DynamoDB Streams:
 *  - shards split and merge: a child may have two parents;
 *  - records come twice and out of order; their creation time orders them, their place in the shard only says what is read;
 *  - a trimmed position is no error: reading goes on at the horizon. feed.c finds that out by age: MillisBehindLatest tells up to
 *    when everything is read, RetentionPeriodHours what is still kept;
 *  - a stream may carry several tables, and whatever others put into it;
 *  - a stream made again has the same ARN and the same names of shards: its creation time tells it apart.
 * What is landed is the record as DynamoDB made it, with the Kinesis sequence number as one more member in front.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "capture/own.h"
#include "dynamodb/change.h"
#include "dynamodb/item.h"
#include "dynamodb/json.h"

enum {
    BODY_MAX = 1 << 20,
    PAGES_MAX = 100000,
    RECORD_MAX = 64 << 20, /* Kinesis takes 10 MiB at most */
    DEPTH = 128,
};

/* ---- the stream --------------------------------------------------------------------------------------------------- */

struct summary {
    char *arn, *made; /* made: creation time, ms since 1970 where it is a number */
    int64_t retention_us;
};

static void summary_free(struct summary *s)
{
    free(s->arn);
    free(s->made);
}

/* 1.76E9 and 1760000000.0 are one time. What is no number is taken as it stands. */
static char *creation(struct trib_view value)
{
    struct trib_number n;
    int64_t ms;
    if (trib_number_parse(value, &n)) {
        n.exponent += 3;
        for (; n.exponent < 0 && n.n_digits > 0; n.exponent++) {
            n.n_digits--; /* below a millisecond */
        }
        if (trib_number_to_i64(&n, &ms)) {
            return trib_asprintf("%" PRId64, ms);
        }
    }
    char *text = trib_strndup(value.n == 0 ? "" : value.p, value.n);
    for (char *c = text; *c != '\0'; c++) {
        *c = (*c >= '0' && *c <= '9') || (*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z') ? *c : '_';
    }
    return text;
}

static void name_stream(const char *stream, struct trib_buf *to)
{
    trib_buf_adds(to, strncmp(stream, "arn:", 4) == 0 ? "{\"StreamARN\":" : "{\"StreamName\":");
    trib_json_string(to, trib_view_of(stream));
}

static int describe(struct trib_aws *aws, const char *stream, struct summary *ret, struct trib_err *err)
{
    struct trib_buf body, reply;
    trib_buf_init(&body, BODY_MAX);
    name_stream(stream, &body);
    trib_buf_addc(&body, '}');
    int rc = trib_capture_call(aws, "kinesis", "Kinesis_20131202.DescribeStreamSummary", &body, &reply, err);
    trib_buf_free(&body);
    if (rc != 0) {
        return trib_err_wrap(err, "Kinesis stream %s", stream);
    }
    struct trib_view d = trib_reply_value(trib_buf_view(&reply), "StreamDescriptionSummary");
    int64_t hours = trib_reply_number(d, "RetentionPeriodHours");
    struct summary s = {.arn = trib_reply_text(d, "StreamARN"),
                        .made = creation(trib_reply_value(d, "StreamCreationTimestamp")),
                        .retention_us = (hours > 0 ? hours : 24) * TRIB_HOUR_US};
    trib_buf_free(&reply);
    if (s.arn == NULL || *s.made == '\0') {
        summary_free(&s);
        return trib_err_set(
            err, TRIB_E_UNAVAILABLE,
            "Kinesis stream %s: DescribeStreamSummary answered without a StreamARN or StreamCreationTimestamp", stream);
    }
    *ret = s;
    return 0;
}

/* "<arn>/<name>-<made>": what stands behind the last slash is the label (landing.h). */
static char *pin_of(const struct summary *s)
{
    const char *slash = strrchr(s->arn, '/');
    return trib_asprintf("%s/%s-%s", s->arn, slash == NULL ? s->arn : slash + 1, s->made);
}

static int open_stream(const struct trib_capture_opts *o, const struct trib_table_info *t, struct trib_stream *ret,
                       struct trib_err *err)
{
    (void)t;
    struct summary s;
    int rc = describe(o->aws, o->kinesis, &s, err);
    if (rc != 0) {
        return trib_err_wrap(err, "table %s", o->table);
    }
    *ret = (struct trib_stream){.protocol = &trib_protocol_kinesis, .arn = trib_strdup(s.arn), .pin = pin_of(&s)};
    ret->label = trib_landing_label_of(ret->pin);
    summary_free(&s);
    return 0;
}

/* ---- its shards --------------------------------------------------------------------------------------------------- */

static int list_page(struct trib_aws *aws, const char *arn, char **io_token, struct trib_found *f, struct trib_err *err)
{
    struct trib_buf body, reply;
    trib_buf_init(&body, BODY_MAX);
    if (*io_token == NULL) {
        name_stream(arn, &body);
    } else { /* the token names the stream, both together are refused */
        trib_buf_adds(&body, "{\"NextToken\":");
        trib_json_string(&body, trib_view_of(*io_token));
    }
    trib_buf_addc(&body, '}');
    int rc = trib_capture_call(aws, "kinesis", "Kinesis_20131202.ListShards", &body, &reply, err);
    trib_buf_free(&body);
    if (rc != 0) {
        return trib_err_wrap(err, "Kinesis stream %s", arn);
    }
    rc = trib_reply_each(trib_reply_value(trib_buf_view(&reply), "Shards"), trib_found_each, f, err);
    free(*io_token);
    *io_token = trib_reply_text(trib_buf_view(&reply), "NextToken");
    trib_buf_free(&reply);
    return rc;
}

/* The stream is looked at behind its shards: when it is still the pinned one then, the list is that one's. */
static int list(struct trib_aws *aws, const struct trib_stream *s, struct trib_found *ret, struct trib_err *err)
{
    struct trib_found f = {0};
    TRIB_CLEANUP(trib_cleanup_free) char *token = NULL;
    int rc = 0;
    for (int page = 0; page < PAGES_MAX && rc == 0; page++) {
        rc = list_page(aws, s->arn, &token, &f, err);
        f.pages++;
        if (token == NULL) {
            break;
        }
    }
    struct summary now;
    if (rc == 0) {
        rc = describe(aws, s->arn, &now, err);
    }
    if (rc != 0) {
        trib_found_free(&f);
        return rc;
    }
    TRIB_CLEANUP(trib_cleanup_free) char *pin = pin_of(&now);
    f.replaced = strcmp(pin, s->pin) != 0;
    f.retention_us = now.retention_us;
    summary_free(&now);
    trib_found_sort(&f);
    *ret = f;
    return 0;
}

static void iterator_body(const struct trib_stream *s, const char *shard, const char *after, struct trib_buf *to)
{
    name_stream(s->arn, to);
    trib_iterator_place(shard, after, "StartingSequenceNumber", to);
}

static enum trib_trouble trouble(const struct trib_err *why)
{
    static const struct trib_trouble_code known[] = {
        {"ExpiredIteratorException", TRIB_TROUBLE_ITERATOR},
        {"ProvisionedThroughputExceededException", TRIB_TROUBLE_LATER},
        {"LimitExceededException", TRIB_TROUBLE_LATER},
        {"KMSThrottlingException", TRIB_TROUBLE_LATER},
        /* a position, an iterator or a shard of a stream that was deleted, and maybe made again */
        {"InvalidArgumentException", TRIB_TROUBLE_LOOK},
        {"ResourceNotFoundException", TRIB_TROUBLE_LOOK}};
    return trib_trouble_of(why, known, sizeof known / sizeof known[0]);
}

/* ---- records ------------------------------------------------------------------------------------------------------ */

struct walk {
    const char *table, *shard, *arn;
    trib_shard_record_fn fn;
    void *ctx;
    struct trib_buf record, line;
};

static int bad(const struct walk *w, struct trib_shard_record *r, struct trib_view one, const char *reason,
               struct trib_err *err)
{
    r->is = TRIB_RECORD_BAD;
    r->text = one;
    r->reason = reason;
    return w->fn(w->ctx, r, err);
}

/* Data → w->record; false: no base64, or too long. */
static bool decode(struct walk *w, struct trib_view data)
{
    if (data.n < 2 || *data.p != '"' || memchr(data.p, '\\', data.n) != NULL) {
        return false;
    }
    trib_buf_clear(&w->record);
    char *to = trib_buf_reserve(&w->record, data.n / 4 * 3 + 4);
    ssize_t n = to == NULL ? -1 : trib_base64_decode((struct trib_view){data.p + 1, data.n - 2}, to);
    w->record.n = n < 0 ? 0 : (size_t)n;
    return n >= 0;
}

/* {"eventID":…} → {"kinesisSequenceNumber":"…","eventID":…} */
static struct trib_view line_of(struct walk *w, const char *number)
{
    size_t brace = strspn(w->record.p, " \n\r\t");
    trib_buf_clear(&w->line);
    trib_buf_addf(&w->line, "{\"" TRIB_KINESIS_NUMBER "\":\"%s\",", number);
    trib_buf_add(&w->line, w->record.p + brace + 1, w->record.n - brace - 1);
    return trib_buf_view(&w->line);
}

static int one_record(void *ctx, struct trib_view one, struct trib_err *err)
{
    struct walk *w = ctx;
    struct trib_shard_record r = {.is = TRIB_RECORD_CHANGE, .time_us = -1, .reason = ""};
    TRIB_CLEANUP(trib_cleanup_free) char *number = trib_reply_text(one, "SequenceNumber");
    if (number == NULL || !trib_landing_digits(trib_view_of(number), r.digits)) {
        return trib_err_set(err, TRIB_E_DATA,
                            "shard %s of %s: a record without a sequence number: nothing behind it is read", w->shard,
                            w->arn);
    }
    if (!decode(w, trib_reply_value(one, "Data"))) {
        return bad(w, &r, one, "its Data is not base64, or too long", err);
    }
    struct trib_change c;
    struct trib_bad why;
    if (!trib_change_of(trib_buf_view(&w->record), DEPTH, &c, &why)) {
        return bad(w, &r, one, why.reason, err);
    }
    if (c.kind != TRIB_KIND_KINESIS || c.table.n == 0) {
        return bad(w, &r, one, "not a record of Kinesis Data Streams for DynamoDB: no recordFormat, or no tableName",
                   err);
    }
    if (!trib_view_is(c.table, w->table)) {
        r.is = TRIB_RECORD_FOREIGN;
        return w->fn(w->ctx, &r, err);
    }
    r.time_us = c.time_us;
    r.text = line_of(w, number);
    TRIB_TRY(trib_buf_check(&w->line, "a record of a Kinesis stream", err));
    return w->fn(w->ctx, &r, err);
}

static int records(const struct trib_stream *s, const char *table, const char *shard, struct trib_view reply,
                   trib_shard_record_fn fn, void *ctx, struct trib_err *err)
{
    struct walk w = {.table = table, .shard = shard, .arn = s->arn, .fn = fn, .ctx = ctx};
    trib_buf_init(&w.record, RECORD_MAX);
    trib_buf_init(&w.line, RECORD_MAX);
    int rc = trib_reply_each(trib_reply_value(reply, "Records"), one_record, &w, err);
    trib_buf_free(&w.record);
    trib_buf_free(&w.line);
    return rc;
}

static int64_t behind_us(struct trib_view reply) { return trib_reply_number(reply, "MillisBehindLatest") * 1000; }

const struct trib_feed_protocol trib_protocol_kinesis = {
    .service = "kinesis",
    .iterator_target = "Kinesis_20131202.GetShardIterator",
    .records_target = "Kinesis_20131202.GetRecords",
    .reads = 8,                    /* a page holds up to 10 MiB, a third more as base64 */
    .busy_us = TRIB_SECOND_US / 4, /* five reads a second of one shard, for all who read it */
    .bytes_a_second = 2 << 20,
    .iterator_us = 4 * 60 * TRIB_SECOND_US,
    .quiet_us = 5 * TRIB_SECOND_US,
    .disorder_us = 10 * TRIB_SECOND_US,
    .by_time = true,
    .open = open_stream,
    .list = list,
    .iterator_body = iterator_body,
    .trouble = trouble,
    .records = records,
    .behind_us = behind_us,
};
