/*
 * Kinesis Data Streams that get a table's changes (spec: dynamodb.md, Kinesis). Shards split and merge; the records are DynamoDB's:
 * duplicates, reordering, changes that never arrive (chaos). A sequence number that is trimmed is no error here: reading goes on at
 * the horizon, silently, as Kinesis does it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fakeaws/own.h"

enum { PAGE_RECORDS = 10000, PAGE_BYTES = 10 << 20, RATE_BYTES = 2 << 20, SHARDS_MAX = 10000, RECORD_MAX = 8 << 20 };
static const int64_t ITERATOR_US = 300 * SECOND;

struct shard {
    struct fk_shard s; /* id, parent, lo, hi, numbers, records; limits */
    char *adjacent;    /* the other parent of a merge */
};
struct fk_kinesis {
    char *name, *arn;
    int64_t retention_us, created_us;
    struct shard **shards; /* in the order of their making: never removed before they are empty and old */
    size_t n, cap;
    unsigned next_id;
    uint64_t dropped;
    char *held; /* chaos: a record that arrives after the next one */
    uint64_t held_place;
    int64_t held_us;
};

/* 56 digits, as Kinesis has them. */
static void seq_text(fk_u128 v, char to[64])
{
    char digits[48];
    fk_seq_text(v, digits);
    size_t n = strlen(digits);
    (void)snprintf(to, 64, "4966%0*d%s", (int)(52 - n), 0, digits);
}

static bool seq_parse(const char *text, fk_u128 *ret)
{
    if (text == NULL || strlen(text) != 56 || strspn(text, "0123456789") != 56 || strncmp(text, "4966", 4) != 0) {
        return false;
    }
    fk_u128 v = 0;
    for (const char *c = text + 4; *c != '\0'; c++) {
        v = v * 10 + (unsigned)(*c - '0');
    }
    *ret = v;
    return true;
}

static struct fk_kinesis *find(const struct trib_fakeaws *f, const char *name)
{
    for (size_t i = 0; name != NULL && i < f->n_kinesis; i++) {
        if (strcmp(f->kinesis[i]->name, name) == 0 || strcmp(f->kinesis[i]->arn, name) == 0) {
            return f->kinesis[i];
        }
    }
    return NULL;
}

static struct fk_kinesis *get(const struct trib_fakeaws *f, const char *name)
{
    struct fk_kinesis *k = find(f, name);
    if (k == NULL) {
        fk_bug("no Kinesis stream %s", name);
    }
    return k;
}

static struct shard *shard_new(struct trib_fakeaws *f, struct fk_kinesis *k, uint64_t lo, uint64_t hi,
                               const struct shard *parent, const struct shard *adjacent)
{
    struct shard *h = trib_calloc(1, sizeof *h);
    h->s.id = trib_asprintf("shardId-%012u", k->next_id++);
    h->s.parent = parent == NULL ? NULL : trib_strdup(parent->s.id);
    h->adjacent = adjacent == NULL ? NULL : trib_strdup(adjacent->s.id);
    h->s.lo = lo;
    h->s.hi = hi;
    h->s.start = fk_next_sequence(f);
    h->s.opened_us = f->now_us;
    TRIB_GROW(k->shards, k->cap, k->n + 1);
    k->shards[k->n++] = h;
    return h;
}

/* The which-th open one by its hash keys, or NULL. */
static struct shard *open_shard(const struct fk_kinesis *k, size_t which)
{
    uint64_t from = 0;
    for (;;) {
        struct shard *best = NULL;
        for (size_t i = 0; i < k->n; i++) {
            struct shard *h = k->shards[i];
            if (!h->s.closed && h->s.lo >= from && (best == NULL || h->s.lo < best->s.lo)) {
                best = h;
            }
        }
        if (best == NULL || which-- == 0) {
            return best;
        }
        if (best->s.hi == UINT64_MAX) {
            return NULL;
        }
        from = best->s.hi + 1;
    }
}

static void close_shard(struct trib_fakeaws *f, struct shard *h)
{
    h->s.closed = true;
    h->s.closed_us = f->now_us;
    h->s.end = fk_next_sequence(f);
}

static void shard_free(struct shard *h)
{
    for (size_t i = 0; i < h->s.n; i++) {
        free(h->s.records[i].text);
    }
    free(h->s.records);
    free(h->s.id);
    free(h->s.parent);
    free(h->adjacent);
    free(h);
}

void fk_kinesis_free(struct fk_kinesis *k)
{
    for (size_t i = 0; i < k->n; i++) {
        shard_free(k->shards[i]);
    }
    free(k->shards);
    free(k->held);
    free(k->name);
    free(k->arn);
    free(k);
}

/* ---- what DynamoDB sends ----------------------------------------------------------------------------------------- */
static json_t *twice(json_t *value);

static json_t *one_more(json_t *text)
{
    char *b = fk_base64(json_string_value(text), json_string_length(text));
    json_t *v = json_string(b);
    free(b);
    return v;
}

/* Every attribute of an M. */
static json_t *twice_all(json_t *image)
{
    json_t *o = json_object(), *v;
    const char *name;
    json_object_foreach(image, name, v) { (void)json_object_set_new(o, name, twice(v)); }
    return o;
}

/* Binary values are base64 of base64 in these records. */
static json_t *twice(json_t *value)
{
    json_t *v = NULL, *each, *o;
    const char *type = fk_type(value, &v);
    size_t i;
    if (strcmp(type, "B") == 0) {
        return json_pack("{s:o}", "B", one_more(v));
    }
    if (strcmp(type, "BS") == 0 || strcmp(type, "L") == 0) {
        o = json_array();
        json_array_foreach(v, i, each) { (void)json_array_append_new(o, *type == 'B' ? one_more(each) : twice(each)); }
        return json_pack("{s:o}", type, o);
    }
    return strcmp(type, "M") == 0 ? json_pack("{s:o}", type, twice_all(v)) : json_incref(value);
}

static void add_image(struct trib_buf *b, const char *name, const char *image)
{
    if (image == NULL) {
        return;
    }
    trib_buf_addf(b, ",\"%s\":", name);
    if (strstr(image, "\"B\":") == NULL && strstr(image, "\"BS\":") == NULL) {
        trib_buf_adds(b, image);
        return;
    }
    json_t *v = json_loads(image, JSON_ALLOW_NUL, NULL), *w = twice_all(v);
    char *text = json_dumps(w, JSON_COMPACT);
    trib_buf_adds(b, text);
    free(text);
    json_decref(w);
    json_decref(v);
}

static void append(struct trib_fakeaws *f, struct fk_kinesis *k, uint64_t place, const char *data)
{
    for (size_t i = 0; i < k->n; i++) {
        struct fk_shard *h = &k->shards[i]->s;
        if (h->closed || place < h->lo || place > h->hi) {
            continue;
        }
        char seq[64];
        struct trib_buf b;
        fk_u128 v = fk_next_sequence(f);
        seq_text(v, seq);
        char *text = fk_base64(data, strlen(data));
        trib_buf_init(&b, RECORD_MAX);
        trib_buf_addf(&b, "{\"SequenceNumber\":\"%s\",\"ApproximateArrivalTimestamp\":", seq);
        fk_time(&b, f->now_us);
        trib_buf_adds(&b, ",\"Data\":\"");
        trib_buf_adds(&b, text);
        trib_buf_addf(&b, "\",\"PartitionKey\":\"%016llX\"}", (unsigned long long)place);
        free(text);
        TRIB_GROW(h->records, h->cap, h->n + 1);
        size_t n = b.n;
        h->records[h->n++] = (struct fk_record){v, f->now_us, trib_buf_take(&b), n};
        return;
    }
    fk_bug("no open shard of %s for %llx", k->name, (unsigned long long)place);
}

static void flush_held(struct trib_fakeaws *f, struct fk_kinesis *k)
{
    if (k->held != NULL) {
        append(f, k, k->held_place, k->held);
        free(k->held);
        k->held = NULL;
    }
}

void fk_kinesis_write(struct trib_fakeaws *f, struct fk_table *t, const struct fk_item *i, const struct fk_version *was,
                      const struct fk_version *is, bool ttl)
{
    struct fk_kinesis *k = t->kinesis == NULL ? NULL : find(f, t->kinesis);
    if (k == NULL) {
        return;
    }
    if (fk_chance(f, f->chaos.kinesis_drop)) {
        k->dropped++;
        return;
    }
    struct trib_buf b;
    char id[37];
    fk_uuid(f, id);
    trib_buf_init(&b, RECORD_MAX);
    trib_buf_addf(&b,
                  "{\"awsRegion\":\"%s\",\"eventID\":\"%s\",\"eventName\":\"%s\",\"userIdentity\":%s,\"recordFormat\":"
                  "\"application/json\",\"tableName\":\"%s\",\"dynamodb\":{\"ApproximateCreationDateTime\":%lld",
                  f->region, id,
                  was->image == NULL  ? "INSERT"
                  : is->image == NULL ? "REMOVE"
                                      : "MODIFY",
                  ttl ? "{\"type\":\"Service\",\"principalId\":\"dynamodb.amazonaws.com\"}" : "null", t->name,
                  (long long)(t->kinesis_microsecond ? is->time_us : is->time_us / 1000));
    add_image(&b, "Keys", i->keys_json);
    add_image(&b, "NewImage", is->image);
    add_image(&b, "OldImage", was->image);
    trib_buf_addf(&b, ",\"SizeBytes\":%zu%s},\"eventSource\":\"aws:dynamodb\"}", is->size + was->size + 1,
                  t->kinesis_microsecond ? ",\"ApproximateCreationDateTimePrecision\":\"MICROSECOND\"" : "");
    if (k->held == NULL && fk_chance(f, f->chaos.kinesis_reorder)) {
        k->held = trib_strdup(b.p);
        k->held_place = i->place;
        k->held_us = f->now_us;
    } else {
        append(f, k, i->place, b.p);
        flush_held(f, k);
    }
    if (k->held == NULL && fk_chance(f, f->chaos.kinesis_twice)) {
        append(f, k, i->place, b.p);
    }
    trib_buf_free(&b);
}

void fk_kinesis_tick(struct trib_fakeaws *f)
{
    for (size_t i = 0; i < f->n_kinesis; i++) {
        struct fk_kinesis *k = f->kinesis[i];
        int64_t before = f->now_us - k->retention_us;
        size_t kept = 0;
        if (k->held != NULL && k->held_us < f->now_us - 2 * SECOND) {
            flush_held(f, k);
        }
        for (size_t j = 0; j < k->n; j++) {
            struct shard *h = k->shards[j];
            while (h->s.trimmed < h->s.n && h->s.records[h->s.trimmed].time_us < before) {
                free(h->s.records[h->s.trimmed].text);
                h->s.records[h->s.trimmed++].text = NULL;
            }
            if (h->s.closed && h->s.closed_us < before) {
                shard_free(h);
            } else {
                k->shards[kept++] = h;
            }
        }
        k->n = kept;
    }
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */
static struct fk_kinesis *stream_of(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r)
{
    const char *name = fk_str(q->json, "StreamName"), *arn = fk_str(q->json, "StreamARN");
    struct fk_kinesis *k = find(f, arn != NULL ? arn : name);
    if (name == NULL && arn == NULL) {
        fk_error(f, q, r, 400, "InvalidArgumentException", "Either StreamName or StreamARN must be given");
    } else if (k == NULL) {
        fk_error(f, q, r, 400, "ResourceNotFoundException", "Stream %s under account %s not found.",
                 arn != NULL ? arn : name, f->account);
    }
    return k;
}

/* 128 bits in decimal: a place fills the upper half. */
static void hash_key(uint64_t place, bool end, char to[48])
{
    fk_seq_text(((fk_u128)place << 64) | (end ? UINT64_MAX : 0), to);
}

static void shard_text(const struct shard *h, struct trib_buf *b)
{
    char lo[48], hi[48], start[64], end[64];
    hash_key(h->s.lo, false, lo);
    hash_key(h->s.hi, true, hi);
    seq_text(h->s.start, start);
    seq_text(h->s.end, end);
    trib_buf_addf(b, "{\"ShardId\":\"%s\"", h->s.id);
    if (h->s.parent != NULL) {
        trib_buf_addf(b, ",\"ParentShardId\":\"%s\"", h->s.parent);
    }
    if (h->adjacent != NULL) {
        trib_buf_addf(b, ",\"AdjacentParentShardId\":\"%s\"", h->adjacent);
    }
    trib_buf_addf(b,
                  ",\"HashKeyRange\":{\"StartingHashKey\":\"%s\",\"EndingHashKey\":\"%s\"},\"SequenceNumberRange\":{"
                  "\"StartingSequenceNumber\":\"%s\"",
                  lo, hi, start);
    if (h->s.closed) {
        trib_buf_addf(b, ",\"EndingSequenceNumber\":\"%s\"", end);
    }
    trib_buf_adds(b, "}}");
}

static bool passes(const struct fk_req *q, const struct shard *h)
{
    json_t *filter = json_object_get(q->json, "ShardFilter");
    const char *type = fk_str(filter, "Type"), *id = fk_str(filter, "ShardId");
    int64_t at = (int64_t)(json_number_value(json_object_get(filter, "Timestamp")) * 1e6);
    if (type == NULL || strcmp(type, "FROM_TRIM_HORIZON") == 0) {
        return true;
    }
    if (strcmp(type, "AT_LATEST") == 0) {
        return !h->s.closed;
    }
    if (strcmp(type, "AFTER_SHARD_ID") == 0) {
        return id != NULL && strcmp(h->s.id, id) > 0;
    }
    if (strcmp(type, "AT_TIMESTAMP") == 0) {
        return h->s.opened_us <= at && (!h->s.closed || h->s.closed_us > at);
    }
    return strcmp(type, "AT_TRIM_HORIZON") == 0 || !h->s.closed || h->s.closed_us >= at; /* FROM_TIMESTAMP */
}

static void list_shards(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    const char *token = fk_str(q->json, "NextToken"), *start = fk_str(q->json, "ExclusiveStartShardId");
    int64_t max = fk_int(q->json, "MaxResults", SHARDS_MAX), n = 0;
    struct fk_kinesis *k = NULL;
    char name[160] = "", after[64] = "";
    long long given = 0;
    if (token != NULL && (fk_str(q->json, "StreamName") != NULL || start != NULL)) {
        fk_error(f, q, r, 400, "InvalidArgumentException", "NextToken and StreamName cannot be provided together.");
        return;
    }
    if (token != NULL) {
        struct trib_buf b;
        trib_buf_init(&b, 512);
        bool good = fk_base64_decode(trib_view_of(token), &b) && b.n > 0 &&
                    sscanf(b.p, "%159s %63s %lld", name, after, &given) == 3;
        trib_buf_free(&b);
        k = good ? find(f, name) : NULL;
        start = after;
        if (k == NULL || given < f->now_us - 300 * SECOND) {
            fk_error(f, q, r, 400, k == NULL ? "InvalidArgumentException" : "ExpiredNextTokenException",
                     "The NextToken is not valid any more");
            return;
        }
    } else if ((k = stream_of(f, q, r)) == NULL) {
        return;
    }
    struct trib_buf *b = fk_body(r);
    const char *last = NULL;
    bool more = false;
    trib_buf_adds(b, "{\"Shards\":[");
    for (size_t i = 0; i < k->n && !more; i++) {
        const struct shard *h = k->shards[i];
        if ((start != NULL && strcmp(h->s.id, start) <= 0) || !passes(q, h)) {
            continue;
        }
        more = n == max;
        if (!more) {
            trib_buf_adds(b, n++ > 0 ? "," : "");
            shard_text(h, b);
            last = h->s.id;
        }
    }
    trib_buf_addc(b, ']');
    if (more) {
        char *plain = trib_asprintf("%s %s %lld", k->name, last, (long long)f->now_us);
        char *text = fk_base64(plain, strlen(plain));
        trib_buf_addf(b, ",\"NextToken\":\"%s\"", text);
        free(text);
        free(plain);
    }
    trib_buf_addc(b, '}');
}

static void iterator_text(const struct trib_fakeaws *f, const struct fk_kinesis *k, const struct shard *h,
                          fk_u128 after, struct trib_buf *b)
{
    char seq[48];
    fk_seq_text(after, seq);
    char *plain = trib_asprintf("%s %s %s %lld", k->name, h->s.id, seq, (long long)f->now_us);
    char *sealed = trib_asprintf("%s %08x", plain, (unsigned)fk_hash(plain, strlen(plain), 13));
    char *text = fk_base64(sealed, strlen(sealed));
    trib_buf_adds(b, text);
    free(text);
    free(sealed);
    free(plain);
}

static struct shard *shard_of(const struct fk_kinesis *k, const char *id)
{
    for (size_t i = 0; id != NULL && i < k->n; i++) {
        if (strcmp(k->shards[i]->s.id, id) == 0) {
            return k->shards[i];
        }
    }
    return NULL;
}

static fk_u128 horizon(const struct fk_shard *h)
{
    return h->trimmed == 0 ? h->start - 1 : h->records[h->trimmed - 1].seq;
}

/* false: no such place */
static bool place_of(const struct fk_req *q, const struct fk_shard *h, fk_u128 *ret)
{
    const char *type = fk_str(q->json, "ShardIteratorType");
    fk_u128 v;
    if (type == NULL) {
        return false;
    }
    if (strcmp(type, "TRIM_HORIZON") == 0) {
        *ret = horizon(h);
        return true;
    }
    if (strcmp(type, "LATEST") == 0) {
        *ret = h->closed ? h->end : h->n == 0 ? h->start : h->records[h->n - 1].seq;
        return true;
    }
    if (strcmp(type, "AT_TIMESTAMP") == 0) {
        double at = json_number_value(json_object_get(q->json, "Timestamp"));
        *ret = horizon(h);
        for (size_t i = h->trimmed; i < h->n && h->records[i].time_us < (int64_t)(at * 1e6); i++) {
            *ret = h->records[i].seq;
        }
        return at > 0;
    }
    bool at = strcmp(type, "AT_SEQUENCE_NUMBER") == 0;
    if ((!at && strcmp(type, "AFTER_SEQUENCE_NUMBER") != 0) ||
        !seq_parse(fk_str(q->json, "StartingSequenceNumber"), &v) || v < h->start || (h->closed && v > h->end)) {
        return false;
    }
    *ret = at ? v - 1 : v;
    return true;
}

static void get_shard_iterator(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    struct fk_kinesis *k = stream_of(f, q, r);
    const char *id = fk_str(q->json, "ShardId");
    fk_u128 after;
    if (k == NULL) {
        return;
    }
    struct shard *h = shard_of(k, id);
    if (h == NULL) {
        fk_error(f, q, r, 400, "ResourceNotFoundException", "Shard %s in stream %s under account %s does not exist",
                 id == NULL ? "null" : id, k->name, f->account);
    } else if (!place_of(q, &h->s, &after)) {
        fk_error(f, q, r, 400, "InvalidArgumentException",
                 "StartingSequenceNumber or ShardIteratorType used in GetShardIterator on shard %s in stream %s under "
                 "account %s is invalid.",
                 id, k->name, f->account);
    } else {
        trib_buf_adds(fk_body(r), "{\"ShardIterator\":\"");
        iterator_text(f, k, h, after, fk_body(r));
        trib_buf_adds(fk_body(r), "\"}");
    }
}

static bool iterator_parse(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r, struct fk_kinesis **ret_k,
                           struct shard **ret, fk_u128 *ret_after)
{
    const char *text = fk_str(q->json, "ShardIterator");
    struct trib_buf b;
    char name[160], id[64], seq[48];
    long long given;
    unsigned seal;
    trib_buf_init(&b, 1024);
    bool good = text != NULL && fk_base64_decode(trib_view_of(text), &b) && b.n > 9 &&
                sscanf(b.p, "%159s %63s %47s %lld %8x", name, id, seq, &given, &seal) == 5 &&
                seal == (unsigned)fk_hash(b.p, b.n - 9, 13);
    trib_buf_free(&b);
    *ret_k = good ? find(f, name) : NULL;
    *ret = *ret_k == NULL ? NULL : shard_of(*ret_k, id);
    if (!good || *ret_k == NULL) {
        fk_error(f, q, r, 400, "InvalidArgumentException", "Invalid ShardIterator.");
    } else if (given < f->now_us - ITERATOR_US) {
        fk_error(f, q, r, 400, "ExpiredIteratorException",
                 "Iterator expired. The iterator was created at time %lld while right now it is %lld which is further "
                 "in the future than the tolerated delay of 300000 milliseconds.",
                 given / 1000, (long long)(f->now_us / 1000));
        good = false;
    } else if (*ret == NULL) {
        fk_error(f, q, r, 400, "ResourceNotFoundException", "Shard %s in stream %s does not exist", id, name);
    }
    if (!good || *ret == NULL) {
        return false;
    }
    fk_u128 v = 0;
    for (const char *c = seq; *c != '\0'; c++) {
        v = v * 10 + (unsigned)(*c - '0');
    }
    *ret_after = v;
    return true;
}

/* 5 reads and 2 MiB a second; what was over the second's bytes is paid by the seconds behind it. */
static bool over(const struct trib_fakeaws *f, const struct fk_shard *h)
{
    unsigned reads = 0;
    for (size_t i = 0; i < READS_KEPT && i < h->reads && !f->no_limits; i++) {
        int64_t ago = f->now_us - h->read_us[i];
        reads += ago < SECOND ? 1 : 0;
        if (ago < (int64_t)(h->read_bytes[i] / RATE_BYTES) * SECOND) {
            return true;
        }
    }
    return reads >= 5;
}

static void children_text(const struct fk_kinesis *k, const struct shard *h, struct trib_buf *b)
{
    unsigned n = 0;
    trib_buf_adds(b, ",\"ChildShards\":[");
    for (size_t i = 0; i < k->n; i++) {
        const struct shard *c = k->shards[i];
        char lo[48], hi[48];
        bool first = c->s.parent != NULL && strcmp(c->s.parent, h->s.id) == 0;
        bool second = c->adjacent != NULL && strcmp(c->adjacent, h->s.id) == 0;
        if (!first && !second) {
            continue;
        }
        hash_key(c->s.lo, false, lo);
        hash_key(c->s.hi, true, hi);
        trib_buf_addf(b, "%s{\"ShardId\":\"%s\",\"ParentShards\":[\"%s\"", n++ > 0 ? "," : "", c->s.id, c->s.parent);
        if (c->adjacent != NULL) {
            trib_buf_addf(b, ",\"%s\"", c->adjacent);
        }
        trib_buf_addf(b, "],\"HashKeyRange\":{\"StartingHashKey\":\"%s\",\"EndingHashKey\":\"%s\"}}", lo, hi);
    }
    trib_buf_addc(b, ']');
}

static void get_records(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    struct fk_kinesis *k;
    struct shard *shard;
    fk_u128 after;
    int64_t limit = fk_int(q->json, "Limit", PAGE_RECORDS);
    if (limit < 1 || limit > PAGE_RECORDS) {
        fk_error(f, q, r, 400, "InvalidArgumentException", "Limit must be between 1 and 10000");
        return;
    }
    if (!iterator_parse(f, q, r, &k, &shard, &after)) {
        return;
    }
    struct fk_shard *h = &shard->s;
    if (over(f, h)) {
        fk_error(f, q, r, 400, "ProvisionedThroughputExceededException",
                 "Rate exceeded for shard %s in stream %s under account %s.", h->id, k->name, f->account);
        return;
    }
    struct trib_buf *b = fk_body(r);
    size_t i = h->trimmed, bytes = 0;
    while (i < h->n && h->records[i].seq <= after) {
        i++;
    }
    bool empty = i < h->n && fk_chance(f, f->chaos.empty_page);
    trib_buf_adds(b, "{\"Records\":[");
    for (int64_t n = 0; n < limit && i < h->n && !empty; n++, i++) {
        if (n > 0 && bytes + h->records[i].n > PAGE_BYTES) {
            break;
        }
        trib_buf_adds(b, n > 0 ? "," : "");
        trib_buf_add(b, h->records[i].text, h->records[i].n);
        bytes += h->records[i].n;
        after = h->records[i].seq;
    }
    size_t at = h->reads++ % READS_KEPT;
    h->read_us[at] = f->now_us;
    h->read_bytes[at] = bytes;
    int64_t behind = i < h->n ? f->now_us - h->records[i].time_us : 0;
    trib_buf_addf(b, "],\"MillisBehindLatest\":%lld,\"NextShardIterator\":", (long long)(behind / 1000));
    if (h->closed && i == h->n) {
        trib_buf_adds(b, "null");
        children_text(k, shard, b);
    } else {
        trib_buf_addc(b, '"');
        iterator_text(f, k, shard, after, b);
        trib_buf_addc(b, '"');
    }
    trib_buf_addc(b, '}');
}

static void describe_stream_summary(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    struct fk_kinesis *k = stream_of(f, q, r);
    if (k == NULL) {
        return;
    }
    size_t open = 0;
    while (open_shard(k, open) != NULL) {
        open++;
    }
    trib_buf_addf(
        fk_body(r),
        "{\"StreamDescriptionSummary\":{\"StreamName\":\"%s\",\"StreamARN\":\"%s\",\"StreamStatus\":\"ACTIVE\","
        "\"StreamModeDetails\":{\"StreamMode\":\"PROVISIONED\"},\"RetentionPeriodHours\":%lld,"
        "\"StreamCreationTimestamp\":",
        k->name, k->arn, (long long)(k->retention_us / HOUR));
    fk_time(fk_body(r), k->created_us);
    trib_buf_addf(
        fk_body(r),
        ",\"EnhancedMonitoring\":[{\"ShardLevelMetrics\":[]}],\"EncryptionType\":\"NONE\",\"OpenShardCount\":%zu,"
        "\"ConsumerCount\":0}}",
        open);
}

void fk_kinesis_answer(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    static const struct {
        const char *name;
        void (*run)(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r);
    } all[] = {{"ListShards", list_shards},
               {"GetShardIterator", get_shard_iterator},
               {"GetRecords", get_records},
               {"DescribeStreamSummary", describe_stream_summary}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (strcmp(all[i].name, q->target) == 0) {
            char *action = trib_asprintf("kinesis:%s", q->target);
            if (fk_allowed(f, q, r, action, "stream")) {
                all[i].run(f, q, r);
            }
            free(action);
            return;
        }
    }
    fk_error(f, q, r, 400, "UnknownOperationException", "%s", "");
}

/* ---- what a test asks for ---------------------------------------------------------------------------------------- */
void trib_fakeaws_kinesis(struct trib_fakeaws *f, const char *stream, unsigned shards, int64_t retention_us)
{
    fk_lock(f);
    struct fk_kinesis *k = trib_calloc(1, sizeof *k);
    k->name = trib_strdup(stream);
    k->arn = trib_asprintf("arn:aws:kinesis:%s:%s:stream/%s", f->region, f->account, stream);
    k->retention_us = retention_us == 0 ? 24 * HOUR : retention_us;
    k->created_us = f->now_us;
    uint64_t step = UINT64_MAX / shards;
    for (unsigned i = 0; i < shards; i++) {
        (void)shard_new(f, k, i * step + (i > 0 ? 1 : 0), i + 1 == shards ? UINT64_MAX : (i + 1) * step, NULL, NULL);
    }
    TRIB_GROW(f->kinesis, f->kinesis_cap, f->n_kinesis + 1);
    f->kinesis[f->n_kinesis++] = k;
    fk_unlock(f);
}

void trib_fakeaws_kinesis_delete(struct trib_fakeaws *f, const char *stream)
{
    fk_lock(f);
    struct fk_kinesis *k = get(f, stream);
    size_t at = 0;
    while (f->kinesis[at] != k) {
        at++;
    }
    memmove(&f->kinesis[at], &f->kinesis[at + 1], (f->n_kinesis - at - 1) * sizeof *f->kinesis);
    f->n_kinesis--;
    fk_kinesis_free(k);
    fk_unlock(f);
}

void trib_fakeaws_kinesis_put(struct trib_fakeaws *f, const char *stream, uint64_t place, const char *data)
{
    fk_lock(f);
    append(f, get(f, stream), place, data);
    fk_unlock(f);
}

void trib_fakeaws_kinesis_split(struct trib_fakeaws *f, const char *stream, size_t which)
{
    fk_lock(f);
    struct fk_kinesis *k = get(f, stream);
    struct shard *h = open_shard(k, which);
    if (h == NULL) {
        fk_bug("stream %s has no open shard %zu", stream, which);
    }
    uint64_t mid = h->s.lo + (h->s.hi - h->s.lo) / 2;
    close_shard(f, h);
    (void)shard_new(f, k, h->s.lo, mid, h, NULL);
    (void)shard_new(f, k, mid + 1, h->s.hi, h, NULL);
    fk_unlock(f);
}

void trib_fakeaws_kinesis_merge(struct trib_fakeaws *f, const char *stream, size_t which)
{
    fk_lock(f);
    struct fk_kinesis *k = get(f, stream);
    struct shard *a = open_shard(k, which), *b = open_shard(k, which + 1);
    if (a == NULL || b == NULL) {
        fk_bug("stream %s has no open shards %zu and %zu", stream, which, which + 1);
    }
    close_shard(f, a);
    close_shard(f, b);
    (void)shard_new(f, k, a->s.lo, b->s.hi, a, b);
    fk_unlock(f);
}

size_t trib_fakeaws_kinesis_open(struct trib_fakeaws *f, const char *stream)
{
    fk_lock(f);
    size_t n = 0;
    while (open_shard(get(f, stream), n) != NULL) {
        n++;
    }
    fk_unlock(f);
    return n;
}

uint64_t trib_fakeaws_kinesis_dropped(struct trib_fakeaws *f, const char *stream)
{
    fk_lock(f);
    uint64_t n = get(f, stream)->dropped;
    fk_unlock(f);
    return n;
}

void trib_fakeaws_kinesis_precision(struct trib_fakeaws *f, const char *table, bool microsecond)
{
    fk_lock(f);
    fk_table_get(f, table)->kinesis_microsecond = microsecond;
    fk_unlock(f);
}
