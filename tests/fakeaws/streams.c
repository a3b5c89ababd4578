/*
 * DynamoDB Streams' answers (spec: dynamodb.md, Streams API). An iterator is a text that holds all of its state: shard, the
 * number after which it reads, when it was given out, and the chain that it belongs to (one GetShardIterator and what
 * followed): chains tell readers apart.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fakeaws/own.h"

enum { PAGE_RECORDS = 1000, PAGE_BYTES = 1 << 20, PAGE_SHARDS = 100, ITERATOR_MAX = 2048, RATE_BYTES = 2 << 20 };
static const int64_t ITERATOR_US = 900 * SECOND;

struct place {
    struct fk_stream *stream;
    struct fk_shard *shard;
    fk_u128 after;
    int64_t given_us;
    uint64_t chain;
};

static struct fk_stream *stream_find(struct trib_fakeaws *f, const char *arn)
{
    for (size_t i = 0; arn != NULL && i < f->n_streams; i++) {
        if (strcmp(f->streams[i]->arn, arn) == 0 && !f->streams[i]->gone) {
            return f->streams[i];
        }
    }
    return NULL;
}

static struct fk_shard *shard_find(const struct fk_stream *s, const char *id)
{
    for (size_t i = 0; id != NULL && i < s->n; i++) {
        if (strcmp(s->shards[i]->id, id) == 0) {
            return s->shards[i];
        }
    }
    return NULL;
}

/* ---- ListStreams, DescribeStream --------------------------------------------------------------------------------- */
static void list_streams(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    const char *table = fk_str(q->json, "TableName"), *start = fk_str(q->json, "ExclusiveStartStreamArn"), *last = NULL;
    int64_t limit = fk_int(q->json, "Limit", 100), n = 0;
    struct trib_buf *b = fk_body(r);
    if (limit < 1) {
        fk_error(f, q, r, 400, "ValidationException",
                 "1 validation error detected: Value '%lld' at 'limit' failed to satisfy constraint: Member must have "
                 "value greater than or equal to 1",
                 (long long)limit);
        return;
    }
    limit = limit > 100 ? 100 : limit;
    bool more = false, begun = start == NULL;
    trib_buf_adds(b, "{\"Streams\":[");
    for (size_t i = 0; i < f->n_streams; i++) {
        const struct fk_stream *s = f->streams[i];
        bool fits = begun && !s->gone && (table == NULL || strcmp(table, s->table) == 0);
        begun = begun || strcmp(s->arn, start) == 0;
        if (fits && n == limit) {
            more = true;
        } else if (fits) {
            trib_buf_addf(b, "%s{\"StreamArn\":\"%s\",\"TableName\":\"%s\",\"StreamLabel\":\"%s\"}", n++ > 0 ? "," : "",
                          s->arn, s->table, s->label);
            last = s->arn;
        }
    }
    trib_buf_addc(b, ']');
    if (more) {
        trib_buf_addf(b, ",\"LastEvaluatedStreamArn\":\"%s\"", last);
    }
    trib_buf_addc(b, '}');
}

static bool has_children(const struct fk_stream *s, const struct fk_shard *h)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->shards[i]->parent != NULL && strcmp(s->shards[i]->parent, h->id) == 0) {
            return true;
        }
    }
    return false;
}

static void shard_text(struct trib_buf *b, const struct fk_shard *h, bool hide_end)
{
    char start[48], end[48];
    fk_seq_text(h->start, start);
    fk_seq_text(h->end, end);
    trib_buf_addf(b, "{\"ShardId\":\"%s\",\"SequenceNumberRange\":{\"StartingSequenceNumber\":\"%s\"", h->id, start);
    if (h->closed && !hide_end) {
        trib_buf_addf(b, ",\"EndingSequenceNumber\":\"%s\"", end);
    }
    trib_buf_addc(b, '}');
    if (h->parent != NULL) {
        trib_buf_addf(b, ",\"ParentShardId\":\"%s\"", h->parent);
    }
    trib_buf_addc(b, '}');
}

/* The page; lies (chaos): young shards left out (so a closed leaf has no children), an end hidden (so an open parent has
 * children), a page cut short. What was left out is there in a later call. */
static void shards_text(struct trib_fakeaws *f, const struct fk_stream *s, const char *start, const char *parent,
                        int64_t limit, struct trib_buf *b)
{
    bool lies = fk_chance(f, f->chaos.describe_lies);
    const char *last = NULL;
    int64_t n = 0;
    bool more = false;
    if (lies && limit > 1 && trib_seeded_below(&f->chaos_rng, 3) == 0) {
        limit = 1 + (int64_t)trib_seeded_below(&f->chaos_rng, 3);
    }
    trib_buf_adds(b, "\"Shards\":[");
    for (size_t i = 0; i < s->n; i++) {
        const struct fk_shard *h = s->shards[i];
        bool child = h->parent != NULL;
        if ((start != NULL && strcmp(h->id, start) <= 0) ||
            (parent != NULL && (!child || strcmp(h->parent, parent) != 0))) {
            continue;
        }
        if (n == limit) {
            more = true;
            break;
        }
        uint64_t lie = lies ? trib_seeded_below(&f->chaos_rng, 6) : 6;
        last = h->id;
        if (lie == 0 && child && !has_children(s, h)) {
            continue;
        }
        trib_buf_adds(b, n++ > 0 ? "," : "");
        shard_text(b, h, lie == 1 && h->closed && has_children(s, h));
    }
    trib_buf_addc(b, ']');
    if ((more || (lies && trib_seeded_below(&f->chaos_rng, 4) == 0)) && last != NULL) {
        trib_buf_addf(b, ",\"LastEvaluatedShardId\":\"%s\"", last);
    }
}

static void describe_stream(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    const char *arn = fk_str(q->json, "StreamArn");
    struct fk_stream *s = stream_find(f, arn);
    int64_t limit = fk_int(q->json, "Limit", PAGE_SHARDS);
    json_t *filter = json_object_get(q->json, "ShardFilter");
    const char *parent = fk_str(filter, "ShardId");
    if (s == NULL) {
        fk_error(f, q, r, 400, "ResourceNotFoundException", "Requested resource not found: Stream: %s not found",
                 arn == NULL ? "null" : arn);
    } else if (limit < 1 || (filter != NULL && (parent == NULL || fk_str(filter, "Type") == NULL ||
                                                strcmp(fk_str(filter, "Type"), "CHILD_SHARDS") != 0))) {
        fk_error(f, q, r, 400, "ValidationException",
                 "1 validation error detected: Value at '%s' failed to satisfy constraint",
                 limit < 1 ? "limit" : "shardFilter");
    } else if (fk_limited(f, s->described_us, &s->describes, 10)) {
        fk_error(f, q, r, 400, "ThrottlingException", "Rate exceeded");
    } else {
        struct trib_buf *b = fk_body(r);
        trib_buf_addf(b,
                      "{\"StreamDescription\":{\"StreamArn\":\"%s\",\"StreamLabel\":\"%s\",\"StreamStatus\":\"%s\","
                      "\"StreamViewType\":\"%s\",\"CreationRequestDateTime\":",
                      s->arn, s->label, s->disabled_us == 0 ? "ENABLED" : "DISABLED", s->view);
        fk_time(b, s->created_us);
        trib_buf_addf(b, ",\"TableName\":\"%s\",\"KeySchema\":%s,", s->table, s->key_schema);
        shards_text(f, s, fk_str(q->json, "ExclusiveStartShardId"), parent, limit > PAGE_SHARDS ? PAGE_SHARDS : limit,
                    b);
        trib_buf_adds(b, "}}");
    }
}

/* ---- iterators --------------------------------------------------------------------------------------------------- */
static void iterator_text(const struct place *p, struct trib_buf *b)
{
    char after[48];
    fk_seq_text(p->after, after);
    char *plain =
        trib_asprintf("%s %s %lld %llu", p->shard->id, after, (long long)p->given_us, (unsigned long long)p->chain);
    char *sealed = trib_asprintf("%s %08x", plain, (unsigned)fk_hash(plain, strlen(plain), 11));
    char *text = fk_base64(sealed, strlen(sealed));
    trib_buf_addf(b, "%s|1|%s", p->stream->arn, text);
    free(text);
    free(sealed);
    free(plain);
}

/* false: the error is in r. */
static bool iterator_parse(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r, const char *text,
                           struct place *ret)
{
    const char *bar = text == NULL ? NULL : strstr(text, "|1|");
    struct trib_buf b;
    trib_buf_init(&b, ITERATOR_MAX);
    char shard[80] = "", after[48] = "";
    long long given = 0;
    unsigned long long chain = 0;
    unsigned seal = 0;
    bool good = bar != NULL && fk_base64_decode(trib_view_of(bar + 3), &b) && b.n > 9 &&
                sscanf(b.p, "%79s %47s %lld %llu %8x", shard, after, &given, &chain, &seal) == 5 &&
                seal == (unsigned)fk_hash(b.p, b.n - 9, 11);
    trib_buf_free(&b);
    if (!good) {
        fk_error(f, q, r, 400, "ValidationException", "Invalid ShardIterator");
        return false;
    }
    fk_u128 v = 0;
    for (const char *c = after; *c != '\0'; c++) {
        v = v * 10 + (unsigned)(*c - '0');
    }
    char *arn = trib_strndup(text, (size_t)(bar - text));
    struct fk_stream *s = stream_find(f, arn);
    free(arn);
    *ret = (struct place){s, s == NULL ? NULL : shard_find(s, shard), v, given, chain};
    if (given < f->now_us - ITERATOR_US) {
        fk_error(f, q, r, 400, "ExpiredIteratorException",
                 "Iterator expired. The iterator was created at time %lld while right now it is %lld which is further "
                 "in the future than the tolerated delay of 900000 milliseconds.",
                 given / 1000, (long long)(f->now_us / 1000));
        return false;
    }
    if (ret->shard == NULL) {
        fk_error(f, q, r, 400, s == NULL ? "ResourceNotFoundException" : "TrimmedDataAccessException",
                 s == NULL ? "Requested resource not found: Stream not found"
                           : "The operation attempted to read past the oldest stream record in a shard.");
        return false;
    }
    return true;
}

/* The newest number that is gone, or the shard's start. */
static fk_u128 horizon(const struct fk_shard *h)
{
    return h->trimmed == 0 ? h->start - 1 : h->records[h->trimmed - 1].seq;
}
static fk_u128 newest(const struct fk_shard *h) { return h->n == 0 ? h->start : h->records[h->n - 1].seq; }

static fk_u128 at_time(const struct fk_shard *h, int64_t us)
{
    fk_u128 after = horizon(h);
    for (size_t i = h->trimmed; i < h->n && h->records[i].time_us < us; i++) {
        after = h->records[i].seq;
    }
    return after;
}

static const char *place_of(const struct fk_shard *h, const struct fk_req *q, fk_u128 *ret)
{
    const char *type = fk_str(q->json, "ShardIteratorType");
    if (type == NULL) {
        return "ValidationException";
    }
    if (strcmp(type, "TRIM_HORIZON") == 0) {
        *ret = horizon(h);
        return NULL;
    }
    if (strcmp(type, "LATEST") == 0) {
        *ret = h->closed ? h->end : newest(h);
        return NULL;
    }
    if (strcmp(type, "AT_TIMESTAMP") == 0 && json_is_number(json_object_get(q->json, "Timestamp"))) {
        *ret = at_time(h, (int64_t)(json_number_value(json_object_get(q->json, "Timestamp")) * 1e6));
        return NULL;
    }
    bool at = strcmp(type, "AT_SEQUENCE_NUMBER") == 0, behind = strcmp(type, "AFTER_SEQUENCE_NUMBER") == 0;
    fk_u128 v;
    if ((!at && !behind) || !fk_seq_parse(fk_str(q->json, "SequenceNumber"), &v)) {
        return "ValidationException";
    }
    if (v < h->start || (h->trimmed > 0 && v <= horizon(h))) {
        return "TrimmedDataAccessException";
    }
    if (v > (h->closed ? h->end : newest(h))) {
        return "ValidationException";
    }
    *ret = at ? v - 1 : v;
    return NULL;
}

static void get_shard_iterator(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    const char *arn = fk_str(q->json, "StreamArn"), *id = fk_str(q->json, "ShardId");
    struct fk_stream *s = stream_find(f, arn);
    struct fk_shard *h = s == NULL ? NULL : shard_find(s, id);
    fk_u128 after = 0;
    if (h == NULL) {
        fk_error(f, q, r, 400, "ResourceNotFoundException", "Requested resource not found: %s: %s not found",
                 s == NULL ? "Stream" : "Shard", s == NULL ? (arn == NULL ? "null" : arn) : (id == NULL ? "null" : id));
        return;
    }
    const char *bad = place_of(h, q, &after);
    if (bad != NULL) {
        fk_error(f, q, r, 400, bad, "%s",
                 *bad == 'V'
                     ? "Invalid SequenceNumber or ShardIteratorType"
                     : "The operation attempted to read past the oldest stream record in a shard. This was "
                       "caused by requesting a shard iterator with a sequence number older than the trim point");
        return;
    }
    struct place p = {s, h, after, f->now_us, f->serial++};
    struct trib_buf *b = fk_body(r);
    trib_buf_adds(b, "{\"ShardIterator\":\"");
    iterator_text(&p, b);
    trib_buf_adds(b, "\"}");
}

/* ---- GetRecords -------------------------------------------------------------------------------------------------- */
/* 5 reads and 2 MB a second, two readers: NULL, or the error's code. */
static const char *over(const struct trib_fakeaws *f, const struct place *p)
{
    const struct fk_shard *h = p->shard;
    unsigned reads = 0, others = 0;
    size_t bytes = 0;
    uint64_t seen[READS_KEPT];
    for (size_t i = 0; i < READS_KEPT && i < h->reads && !f->no_limits; i++) {
        if (h->read_us[i] <= f->now_us - SECOND) {
            continue;
        }
        reads++;
        bytes += h->read_bytes[i];
        bool known = h->reader[i] == p->chain;
        for (unsigned k = 0; k < others && !known; k++) {
            known = seen[k] == h->reader[i];
        }
        if (!known) {
            seen[others++] = h->reader[i];
        }
    }
    return others >= 2 ? "LimitExceededException" : reads >= 5 || bytes >= RATE_BYTES ? "ThrottlingException" : NULL;
}

static void count_read(const struct trib_fakeaws *f, const struct place *p, size_t bytes)
{
    struct fk_shard *h = p->shard;
    size_t at = h->reads++ % READS_KEPT;
    h->read_us[at] = f->now_us;
    h->reader[at] = p->chain;
    h->read_bytes[at] = bytes;
}

static size_t first_after(const struct fk_shard *h, fk_u128 after)
{
    size_t lo = h->trimmed, hi = h->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (h->records[mid].seq <= after) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static void get_records(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    struct place p;
    int64_t limit = fk_int(q->json, "Limit", PAGE_RECORDS);
    if (limit < 1 || limit > PAGE_RECORDS) {
        fk_error(f, q, r, 400, limit < 1 ? "ValidationException" : "LimitExceededException",
                 "Limit must be between 1 and 1000");
        return;
    }
    if (!iterator_parse(f, q, r, fk_str(q->json, "ShardIterator"), &p)) {
        return;
    }
    const char *slow = over(f, &p);
    if (slow != NULL) {
        fk_error(f, q, r, 400, slow, "Rate exceeded for shard %s", p.shard->id);
        return;
    }
    if (p.shard->trimmed > 0 && p.after < horizon(p.shard)) {
        fk_error(f, q, r, 400, "TrimmedDataAccessException",
                 "The operation attempted to read past the oldest stream record in a shard.");
        return;
    }
    struct trib_buf *b = fk_body(r);
    size_t i = first_after(p.shard, p.after), bytes = 0;
    bool empty = i < p.shard->n && fk_chance(f, f->chaos.empty_page);
    if (fk_chance(f, f->chaos.short_page)) {
        int64_t few = 1 + (int64_t)trib_seeded_below(&f->chaos_rng, SHORT_PAGE);
        limit = few < limit ? few : limit;
    }
    trib_buf_adds(b, "{\"Records\":[");
    for (int64_t n = 0; n < limit && i < p.shard->n && !empty; n++, i++) {
        const struct fk_record *x = &p.shard->records[i];
        if (n > 0 && bytes + x->n > PAGE_BYTES) {
            break;
        }
        trib_buf_adds(b, n > 0 ? "," : "");
        trib_buf_add(b, x->text, x->n);
        bytes += x->n;
        p.after = x->seq;
    }
    trib_buf_addc(b, ']');
    count_read(f, &p, bytes);
    bool end = p.shard->closed && i == p.shard->n;
    if (!end || (bytes > 0 && fk_chance(f, f->chaos.extra_page))) {
        p.given_us = f->now_us;
        trib_buf_adds(b, ",\"NextShardIterator\":\"");
        iterator_text(&p, b);
        trib_buf_addc(b, '"');
    }
    trib_buf_addc(b, '}');
}

void fk_streams(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    static const struct {
        const char *name;
        void (*run)(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r);
    } all[] = {{"ListStreams", list_streams},
               {"DescribeStream", describe_stream},
               {"GetShardIterator", get_shard_iterator},
               {"GetRecords", get_records}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (strcmp(all[i].name, q->target) == 0) {
            char *action = trib_asprintf("dynamodb:%s", q->target);
            if (fk_allowed(f, q, r, action, "stream")) {
                all[i].run(f, q, r);
            }
            free(action);
            return;
        }
    }
    fk_error(f, q, r, 400, "UnknownOperationException", "%s", "");
}
