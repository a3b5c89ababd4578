/*
 * DynamoDB's answers: items, Scan, what describes a table (spec: dynamodb.md, Scan). A read that does not ask for consistency
 * may see the state of up to a second ago, as AWS promises no more.
 */
#include <stdlib.h>

#include "fakeaws/own.h"

enum { KEY_MAX = 1 << 16 };

struct fk_table *fk_table_of(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r)
{
    const char *name = fk_str(q->json, "TableName");
    struct fk_table *t = fk_table_find(f, name);
    if (name == NULL) {
        fk_error(f, q, r, 400, "ValidationException",
                 "1 validation error detected: Value null at 'tableName' failed to satisfy constraint: Member must not "
                 "be null");
    } else if (t == NULL) {
        fk_error(f, q, r, 400, "ResourceNotFoundException", "Requested resource not found%s%s",
                 strncmp(q->target, "Describe", 8) == 0 ? ": Table: " : "",
                 strncmp(q->target, "Describe", 8) == 0 ? name : "");
    }
    return t;
}

static void invalid(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r, char *text)
{
    bool form = strcmp(text, "SERIALIZATION") == 0;
    fk_error(f, q, r, 400, form ? "SerializationException" : "ValidationException", "%s",
             form ? "Unexpected value type in payload" : text);
    free(text);
}

static int64_t read_time(struct trib_fakeaws *f, const struct fk_req *q, const struct fk_table *t)
{
    bool consistent = json_is_true(json_object_get(q->json, "ConsistentRead"));
    return consistent || t->forget ? INT64_MAX : f->now_us - (int64_t)trib_seeded_below(&f->rng, SECOND);
}

/* The key of the request, as canonical text. false: the error is in r. */
static bool key_of(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r, const struct fk_table *t,
                   json_t *from, bool exact, json_t **ret)
{
    char *bad = from == NULL ? trib_strdup("Value null at 'key' failed to satisfy constraint: Member must not be null")
                             : fk_key(t, from, exact, ret);
    if (bad != NULL) {
        invalid(f, q, r, bad);
        return false;
    }
    return true;
}

static const struct fk_item *item_of(const struct fk_table *t, json_t *keys)
{
    struct trib_buf text;
    uint64_t place;
    trib_buf_init(&text, KEY_MAX);
    fk_key_text(t, keys, &text, &place);
    const struct fk_item *i = fk_item_find(t, text.p, text.n);
    trib_buf_free(&text);
    return i;
}

/* A table with provisioned capacity refuses once a second's units are spent. */
bool fk_spent(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r, struct fk_table *t)
{
    if (f->now_us - t->spent_us >= SECOND) {
        t->spent_us = f->now_us;
        t->spent = 0;
    }
    if (t->rcu > 0 && t->spent >= t->rcu && !f->no_limits) {
        fk_error(f, q, r, 400, "ProvisionedThroughputExceededException",
                 "The level of configured provisioned throughput for the table was exceeded. Consider increasing your "
                 "provisioning level with the UpdateTable API.");
        return true;
    }
    return false;
}

void fk_capacity(const struct fk_req *q, struct fk_table *t, double units, struct trib_buf *b)
{
    const char *want = fk_str(q->json, "ReturnConsumedCapacity");
    t->spent += units;
    if (want != NULL && strcmp(want, "NONE") != 0) {
        trib_buf_addf(b, ",\"ConsumedCapacity\":{\"TableName\":\"%s\",\"CapacityUnits\":%.1f", t->name, units);
        if (strcmp(want, "INDEXES") == 0) {
            trib_buf_addf(b, ",\"Table\":{\"CapacityUnits\":%.1f}", units);
        }
        trib_buf_addc(b, '}');
    }
}

double fk_read_units(size_t bytes, bool consistent)
{
    double blocks = (double)((bytes + 4095) / 4096);
    return (blocks < 1 ? 1 : blocks) * (consistent ? 1.0 : 0.5);
}

/* ---- items ------------------------------------------------------------------------------------------------------- */
static void get_item(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    struct fk_table *t = fk_table_of(f, q, r);
    json_t *keys = NULL;
    if (t == NULL || fk_spent(f, q, r, t) || !key_of(f, q, r, t, json_object_get(q->json, "Key"), true, &keys)) {
        return;
    }
    const struct fk_item *i = item_of(t, keys);
    const struct fk_version *v = i == NULL ? NULL : fk_at(i, read_time(f, q, t));
    struct trib_buf *b = fk_body(r);
    trib_buf_adds(b, "{");
    if (v != NULL && v->image != NULL) {
        trib_buf_adds(b, "\"Item\":");
        trib_buf_add(b, v->image, v->n);
    } else {
        v = NULL;
    }
    struct trib_buf c;
    trib_buf_init(&c, KEY_MAX);
    trib_buf_adds(&c, "");
    fk_capacity(q, t, fk_read_units(v == NULL ? 0 : v->size, json_is_true(json_object_get(q->json, "ConsistentRead"))),
                &c);
    trib_buf_adds(b, v == NULL && c.n > 0 ? c.p + 1 : c.p);
    trib_buf_free(&c);
    trib_buf_addc(b, '}');
    json_decref(keys);
}

/* The condition of a write holds. false: the error is in r. */
static bool condition_holds(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, json_t *old)
{
    const char *text = fk_str(q->json, "ConditionExpression");
    char *bad = NULL;
    bool holds = text == NULL || fk_condition(q->json, text, old, &bad);
    if (bad != NULL) {
        char *told = trib_asprintf("Invalid ConditionExpression: %s", bad);
        free(bad);
        invalid(f, q, r, told);
        return false;
    }
    if (!holds) {
        fk_error(f, q, r, 400, "ConditionalCheckFailedException", "The conditional request failed");
    }
    return holds;
}

static json_t *current(const struct fk_table *t, json_t *keys)
{
    const struct fk_item *i = item_of(t, keys);
    const struct fk_version *v = i == NULL ? NULL : fk_at(i, INT64_MAX);
    return v == NULL || v->image == NULL ? NULL : json_loads(v->image, JSON_ALLOW_NUL, NULL);
}

static void put_item(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    struct fk_table *t = fk_table_of(f, q, r);
    json_t *item = json_object_get(q->json, "Item"), *keys = NULL;
    if (t == NULL || !key_of(f, q, r, t, item, false, &keys)) {
        return;
    }
    json_t *old = current(t, keys);
    if (condition_holds(f, q, r, old)) {
        (void)fk_write(f, t, keys, item, false);
        trib_buf_adds(fk_body(r), "{}");
    }
    json_decref(old);
    json_decref(keys);
}

static void delete_item(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    struct fk_table *t = fk_table_of(f, q, r);
    json_t *keys = NULL;
    if (t == NULL || !key_of(f, q, r, t, json_object_get(q->json, "Key"), true, &keys)) {
        return;
    }
    json_t *old = current(t, keys);
    if (condition_holds(f, q, r, old)) {
        (void)fk_write(f, t, keys, NULL, false);
        trib_buf_adds(fk_body(r), "{}");
    }
    json_decref(old);
    json_decref(keys);
}

static void update_item(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    struct fk_table *t = fk_table_of(f, q, r);
    json_t *keys = NULL, *again = NULL;
    if (t == NULL || !key_of(f, q, r, t, json_object_get(q->json, "Key"), true, &keys)) {
        return;
    }
    json_t *old = current(t, keys), *item = old == NULL ? json_deep_copy(keys) : json_deep_copy(old);
    const char *text = fk_str(q->json, "UpdateExpression");
    if (condition_holds(f, q, r, old)) {
        char *bad = text == NULL ? NULL : fk_update(q->json, text, old, item);
        if (bad == NULL && (bad = fk_key(t, item, false, &again)) == NULL && !json_equal(again, keys)) {
            bad = trib_strdup("One or more parameter values were invalid: Cannot update attribute. This attribute is "
                              "part of the key");
        }
        if (bad != NULL) {
            invalid(f, q, r, bad);
        } else {
            (void)fk_write(f, t, keys, item, false);
            const char *want = fk_str(q->json, "ReturnValues");
            char *image = json_dumps(item, JSON_COMPACT);
            if (want != NULL && strcmp(want, "ALL_NEW") == 0) {
                trib_buf_adds(fk_body(r), "{\"Attributes\":");
                trib_buf_adds(fk_body(r), image);
            } else {
                trib_buf_addc(fk_body(r), '{');
            }
            trib_buf_addc(fk_body(r), '}');
            free(image);
        }
    }
    json_decref(again);
    json_decref(item);
    json_decref(old);
    json_decref(keys);
}

/* One request of a batch; apply false: only looked at. */
static char *batch_one(struct trib_fakeaws *f, struct fk_table *t, json_t *one, bool apply, json_t **ret_keys)
{
    json_t *item = json_object_get(json_object_get(one, "PutRequest"), "Item");
    json_t *key = json_object_get(json_object_get(one, "DeleteRequest"), "Key"), *keys = NULL;
    if ((item == NULL) == (key == NULL)) {
        return trib_strdup("Supplied AttributeValue has more than one datatypes set or none");
    }
    char *bad = fk_key(t, item == NULL ? key : item, item == NULL, &keys);
    if (bad == NULL && apply) {
        (void)fk_write(f, t, keys, item, false);
    }
    *ret_keys = keys;
    return bad;
}

static void batch_write_item(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    json_t *all = json_object_get(q->json, "RequestItems"), *list, *one, *keys = NULL;
    const char *name;
    size_t i, n = 0;
    json_object_foreach(all, name, list) { n += json_array_size(list); }
    if (n < 1 || n > 25) {
        invalid(f, q, r,
                trib_strdup("1 validation error detected: Value at 'requestItems' failed to satisfy constraint: Map "
                            "value must satisfy constraint: [Member must have length less than or equal to 25, Member "
                            "must have length greater than or equal to 1]"));
        return;
    }
    for (int apply = 0; apply < 2; apply++) { /* all are looked at before one is written */
        json_t *seen = json_object();
        char *bad = NULL;
        bool missing = false;
        json_object_foreach(all, name, list)
        {
            struct fk_table *t = fk_table_find(f, name);
            missing = missing || t == NULL;
            for (i = 0; !missing && bad == NULL && i < json_array_size(list); i++) {
                one = json_array_get(list, i);
                bad = batch_one(f, t, one, apply == 1, &keys);
                char *text = bad == NULL ? json_dumps(keys, JSON_COMPACT) : NULL;
                char *place = text == NULL ? NULL : trib_asprintf("%s %s", name, text);
                if (place != NULL && json_object_get(seen, place) != NULL) {
                    bad = trib_strdup("Provided list of item keys contains duplicates");
                } else if (place != NULL) {
                    (void)json_object_set_new(seen, place, json_true());
                }
                free(place);
                free(text);
                json_decref(keys);
                keys = NULL;
            }
        }
        json_decref(seen);
        if (missing || bad != NULL) {
            if (missing) {
                free(bad);
                fk_error(f, q, r, 400, "ResourceNotFoundException", "Requested resource not found");
            } else {
                invalid(f, q, r, bad);
            }
            return;
        }
    }
    trib_buf_adds(fk_body(r), "{\"UnprocessedItems\":{}}");
}

/* ---- BatchGetItem ------------------------------------------------------------------------------------------------ */
enum { BATCH_KEYS = 100, BATCH_BYTES = 16 << 20 };

/* The items of one table's keys; what no longer fits into the answer is left over. */
static bool batch_read(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, struct fk_table *t, json_t *ask,
                       json_t *left)
{
    bool consistent = json_is_true(json_object_get(ask, "ConsistentRead"));
    json_t *list = json_object_get(ask, "Keys"), *one, *seen = json_object();
    struct trib_buf *b = fk_body(r);
    size_t i, n = 0;
    double units = 0;
    bool fine = true;
    json_array_foreach(list, i, one)
    {
        json_t *keys = NULL;
        char *text = json_dumps(one, JSON_COMPACT | JSON_SORT_KEYS);
        bool twice = json_object_get(seen, text) != NULL;
        (void)json_object_set_new(seen, text, json_true());
        free(text);
        if (twice) {
            invalid(f, q, r, trib_strdup("Provided list of item keys contains duplicates"));
        }
        fine = !twice && key_of(f, q, r, t, one, true, &keys);
        if (!fine) {
            break;
        }
        const struct fk_item *item = item_of(t, keys);
        const struct fk_version *v = item == NULL ? NULL : fk_at(item, consistent ? INT64_MAX : read_time(f, q, t));
        json_decref(keys);
        if (v != NULL && v->image != NULL && b->n + v->n > BATCH_BYTES) {
            (void)json_array_append(left, one);
            continue;
        }
        units += fk_read_units(v == NULL ? 0 : v->size, consistent);
        if (v != NULL && v->image != NULL) {
            trib_buf_adds(b, n++ > 0 ? "," : "");
            trib_buf_add(b, v->image, v->n);
        }
    }
    t->spent += units;
    json_decref(seen);
    return fine;
}

/* One table a request is enough here. */
static void batch_get_item(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    json_t *all = json_object_get(q->json, "RequestItems");
    void *first = json_object_iter(all);
    json_t *ask = first == NULL ? NULL : json_object_iter_value(first);
    size_t n = json_array_size(json_object_get(ask, "Keys"));
    if (json_object_size(all) != 1 || n < 1 || n > BATCH_KEYS) {
        invalid(f, q, r,
                trib_strdup(n > BATCH_KEYS ? "Too many items requested for the BatchGetItem call"
                                           : "1 validation error detected: Value at 'requestItems' failed to satisfy "
                                             "constraint: Member must have length greater than or equal to 1"));
        return;
    }
    struct fk_table *t = fk_table_find(f, json_object_iter_key(first));
    if (t == NULL) {
        fk_error(f, q, r, 400, "ResourceNotFoundException", "Requested resource not found");
        return;
    }
    json_t *left = json_array();
    if (!fk_spent(f, q, r, t)) {
        trib_buf_addf(fk_body(r), "{\"Responses\":{\"%s\":[", t->name);
        if (batch_read(f, q, r, t, ask, left)) {
            struct trib_buf *b = fk_body(r);
            trib_buf_adds(b, "]},\"UnprocessedKeys\":{");
            if (json_array_size(left) > 0) {
                char *text = json_dumps(left, JSON_COMPACT);
                trib_buf_addf(b, "\"%s\":{\"ConsistentRead\":true,\"Keys\":%s}", t->name, text);
                free(text);
            }
            trib_buf_adds(b, "}}");
        }
    }
    json_decref(left);
}

/* ---- Scan -------------------------------------------------------------------------------------------------------- */
static uint64_t segment_of(const struct fk_item *i, uint64_t total)
{
    return (uint64_t)(((fk_u128)i->place * total) >> 64);
}

struct scan {
    int64_t segment, total, limit;
    size_t from; /* place in the table's order */
};

static bool scan_start(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r, struct fk_table *t,
                       struct scan *s)
{
    json_t *start = json_object_get(q->json, "ExclusiveStartKey"), *keys = NULL;
    if (start == NULL) {
        return true;
    }
    if (!key_of(f, q, r, t, start, true, &keys)) {
        return false;
    }
    struct trib_buf key;
    uint64_t place;
    trib_buf_init(&key, KEY_MAX);
    fk_key_text(t, keys, &key, &place);
    json_t *range = t->range == NULL ? NULL : json_object_get(keys, t->range);
    size_t lo = 0, hi = t->n_order;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (fk_place_cmp(t->order[mid], place, range, key.p, key.n) <= 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    s->from = lo;
    trib_buf_free(&key);
    json_decref(keys);
    if ((int64_t)(((fk_u128)place * (uint64_t)s->total) >> 64) != s->segment) {
        fk_error(f, q, r, 400, "ValidationException",
                 "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with "
                 "correct Segment. TotalSegments: %lld Segment: %lld",
                 (long long)s->total, (long long)s->segment);
        return false;
    }
    return true;
}

static bool scan_opts(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r, struct scan *s)
{
    bool has = json_object_get(q->json, "Segment") != NULL, all = json_object_get(q->json, "TotalSegments") != NULL;
    *s = (struct scan){fk_int(q->json, "Segment", 0), fk_int(q->json, "TotalSegments", 1),
                       fk_int(q->json, "Limit", INT64_MAX), 0};
    const char *bad =
        has != all ? "The Segment and TotalSegments parameters must be given together"
        : s->total < 1 || s->total > 1000000
            ? "1 validation error detected: Value at 'totalSegments' failed to satisfy constraint: Member "
              "must have value between 1 and 1000000"
        : s->segment < 0 || s->segment >= s->total
            ? "The Segment parameter is zero-based and must be less than parameter TotalSegments"
        : s->limit < 1 ? "1 validation error detected: Value at 'limit' failed to satisfy constraint: Member must "
                         "have value greater than or equal to 1"
        : json_object_get(q->json, "FilterExpression") != NULL ||
                json_object_get(q->json, "ProjectionExpression") != NULL ||
                json_object_get(q->json, "IndexName") != NULL
            ? "the fake does not model filters, projections and indexes of a Scan"
            : NULL;
    if (bad != NULL) {
        fk_error(f, q, r, 400, "ValidationException", "%s", bad);
    }
    return bad == NULL;
}

static void scan(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    struct fk_table *t = fk_table_of(f, q, r);
    struct scan s;
    if (t == NULL || !scan_opts(f, q, r, &s) || fk_spent(f, q, r, t)) {
        return;
    }
    fk_order(t);
    if (!scan_start(f, q, r, t, &s)) {
        return;
    }
    bool consistent = json_is_true(json_object_get(q->json, "ConsistentRead"));
    if (fk_chance(f, f->chaos.short_page)) {
        int64_t few = 1 + (int64_t)trib_seeded_below(&f->chaos_rng, SHORT_PAGE);
        s.limit = few < s.limit ? few : s.limit;
    }
    int64_t at = read_time(f, q, t), n = 0;
    struct trib_buf *b = fk_body(r);
    const struct fk_item *last = NULL;
    size_t bytes = 0;
    bool more = false;
    trib_buf_adds(b, "{\"Items\":[");
    for (size_t i = s.from; i < t->n_order; i++) {
        const struct fk_item *item = t->order[i];
        const struct fk_version *v = fk_at(item, at);
        int64_t segment = (int64_t)segment_of(item, (uint64_t)s.total);
        if (segment != s.segment || v == NULL || v->image == NULL) {
            if (segment > s.segment) {
                break;
            }
            continue;
        }
        trib_buf_adds(b, n++ > 0 ? "," : "");
        trib_buf_add(b, v->image, v->n);
        bytes += v->size;
        last = item;
        if (bytes >= SCAN_BYTES || n == s.limit) { /* told also when nothing follows */
            more = true;
            break;
        }
    }
    trib_buf_addf(b, "],\"Count\":%lld,\"ScannedCount\":%lld", (long long)n, (long long)n);
    if (more) {
        trib_buf_adds(b, ",\"LastEvaluatedKey\":");
        trib_buf_adds(b, last->keys_json);
    }
    fk_capacity(q, t, fk_read_units(bytes, consistent), b);
    trib_buf_addc(b, '}');
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */
static void add_schema(struct trib_buf *b, const char *hash, const char *range)
{
    trib_buf_addf(b, "\"KeySchema\":[{\"AttributeName\":\"%s\",\"KeyType\":\"HASH\"}", hash);
    if (range != NULL) {
        trib_buf_addf(b, ",{\"AttributeName\":\"%s\",\"KeyType\":\"RANGE\"}", range);
    }
    trib_buf_addc(b, ']');
}

static void add_attribute(struct trib_buf *b, const char *name, char type, json_t *seen)
{
    if (name != NULL && json_object_get(seen, name) == NULL) {
        trib_buf_addf(b, "%s{\"AttributeName\":\"%s\",\"AttributeType\":\"%c\"}", json_object_size(seen) > 0 ? "," : "",
                      name, type);
        (void)json_object_set_new(seen, name, json_true());
    }
}

static void describe_table(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    struct fk_table *t = fk_table_of(f, q, r);
    if (t == NULL) {
        return;
    }
    struct trib_buf *b = fk_body(r);
    json_t *seen = json_object();
    size_t bytes = 0;
    for (size_t i = 0; i < t->n_order; i++) {
        const struct fk_version *v = fk_at(t->order[i], INT64_MAX);
        bytes += v == NULL || v->image == NULL ? 0 : v->size;
    }
    trib_buf_adds(b, "{\"Table\":{\"AttributeDefinitions\":[");
    add_attribute(b, t->hash, t->hash_type, seen);
    add_attribute(b, t->range, t->range_type, seen);
    for (size_t i = 0; i < t->n_indexes; i++) {
        add_attribute(b, t->indexes[i].hash, t->indexes[i].hash_type, seen);
        add_attribute(b, t->indexes[i].range, t->indexes[i].range_type, seen);
    }
    json_decref(seen);
    trib_buf_addf(b, "],\"TableName\":\"%s\",", t->name);
    add_schema(b, t->hash, t->range);
    trib_buf_adds(b, ",\"TableStatus\":\"ACTIVE\",\"CreationDateTime\":");
    fk_time(b, t->created_us);
    trib_buf_addf(b,
                  ",\"ProvisionedThroughput\":{\"NumberOfDecreasesToday\":0,\"ReadCapacityUnits\":%.0f,"
                  "\"WriteCapacityUnits\":%.0f},\"TableSizeBytes\":%zu,\"ItemCount\":%zu,\"TableArn\":\"%s\","
                  "\"TableId\":\"%s\"",
                  t->rcu, t->rcu, bytes, t->n_live, t->arn, t->id);
    if (t->rcu == 0) {
        trib_buf_adds(b, ",\"BillingModeSummary\":{\"BillingMode\":\"PAY_PER_REQUEST\"}");
    }
    for (size_t i = 0; i < t->n_indexes; i++) {
        trib_buf_addf(b, "%s{\"IndexName\":\"%s\",", i == 0 ? ",\"GlobalSecondaryIndexes\":[" : ",",
                      t->indexes[i].name);
        add_schema(b, t->indexes[i].hash, t->indexes[i].range);
        trib_buf_addf(b, ",\"Projection\":{\"ProjectionType\":\"ALL\"},\"IndexStatus\":\"ACTIVE\"}%s",
                      i + 1 == t->n_indexes ? "]" : "");
    }
    if (t->stream != NULL && t->stream->disabled_us == 0) {
        trib_buf_addf(b, ",\"StreamSpecification\":{\"StreamEnabled\":true,\"StreamViewType\":\"%s\"}",
                      t->stream->view);
    }
    if (t->stream != NULL && !t->stream->gone) {
        trib_buf_addf(b, ",\"LatestStreamLabel\":\"%s\",\"LatestStreamArn\":\"%s\"", t->stream->label, t->stream->arn);
    }
    trib_buf_adds(b, ",\"DeletionProtectionEnabled\":false}}");
}

static void list_tables(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    const char *start = fk_str(q->json, "ExclusiveStartTableName"), *last = NULL;
    int64_t limit = fk_int(q->json, "Limit", 100), n = 0;
    struct trib_buf *b = fk_body(r);
    trib_buf_adds(b, "{\"TableNames\":[");
    for (;;) { /* by name */
        const char *next = NULL;
        for (size_t i = 0; i < f->n_tables; i++) {
            const char *name = f->tables[i]->name, *after = last == NULL ? start : last;
            if (!f->tables[i]->deleted && (after == NULL || strcmp(name, after) > 0) &&
                (next == NULL || strcmp(name, next) < 0)) {
                next = name;
            }
        }
        if (next == NULL || n == limit) {
            trib_buf_addc(b, ']');
            if (next != NULL) {
                trib_buf_addf(b, ",\"LastEvaluatedTableName\":\"%s\"", last);
            }
            break;
        }
        trib_buf_addf(b, "%s\"%s\"", n++ > 0 ? "," : "", next);
        last = next;
    }
    trib_buf_addc(b, '}');
}

static void describe_continuous_backups(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    struct fk_table *t = fk_table_find(f, fk_str(q->json, "TableName"));
    if (t == NULL) {
        fk_error(f, q, r, 400, "TableNotFoundException", "Table not found: %s", fk_str(q->json, "TableName"));
        return;
    }
    struct trib_buf *b = fk_body(r);
    trib_buf_addf(b,
                  "{\"ContinuousBackupsDescription\":{\"ContinuousBackupsStatus\":\"ENABLED\","
                  "\"PointInTimeRecoveryDescription\":{\"PointInTimeRecoveryStatus\":\"%s\"",
                  t->pitr_since_us != 0 ? "ENABLED" : "DISABLED");
    if (t->pitr_since_us != 0) {
        int64_t latest = fk_latest(f, t);
        trib_buf_adds(b, ",\"RecoveryPeriodInDays\":35,\"EarliestRestorableDateTime\":");
        fk_time(b, fk_earliest(f, t));
        trib_buf_adds(b, ",\"LatestRestorableDateTime\":");
        fk_time(b, latest);
    }
    trib_buf_adds(b, "}}}");
}

static void describe_time_to_live(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    struct fk_table *t = fk_table_of(f, q, r);
    if (t != NULL && t->ttl != NULL) {
        trib_buf_addf(fk_body(r),
                      "{\"TimeToLiveDescription\":{\"TimeToLiveStatus\":\"ENABLED\",\"AttributeName\":\"%s\"}}",
                      t->ttl);
    } else if (t != NULL) {
        trib_buf_adds(fk_body(r), "{\"TimeToLiveDescription\":{\"TimeToLiveStatus\":\"DISABLED\"}}");
    }
}

static void describe_kinesis(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    struct fk_table *t = fk_table_of(f, q, r);
    if (t == NULL) {
        return;
    }
    trib_buf_addf(fk_body(r), "{\"TableName\":\"%s\",\"KinesisDataStreamDestinations\":[", t->name);
    if (t->kinesis != NULL) {
        trib_buf_addf(fk_body(r),
                      "{\"StreamArn\":\"arn:aws:kinesis:%s:%s:stream/%s\",\"DestinationStatus\":\"ACTIVE\","
                      "\"ApproximateCreationDateTimePrecision\":\"%s\"}",
                      f->region, f->account, t->kinesis, t->kinesis_microsecond ? "MICROSECOND" : "MILLISECOND");
    }
    trib_buf_adds(fk_body(r), "]}");
}

int64_t fk_earliest(const struct trib_fakeaws *f, const struct fk_table *t)
{
    int64_t oldest = f->now_us - 35 * 24 * HOUR;
    return t->pitr_since_us > oldest ? t->pitr_since_us : oldest;
}

/* About five minutes behind now. */
int64_t fk_latest(const struct trib_fakeaws *f, const struct fk_table *t)
{
    int64_t at = f->now_us - 300 * SECOND;
    return at > t->pitr_since_us ? at : t->pitr_since_us;
}

void fk_dynamodb(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    static const struct {
        const char *name;
        void (*run)(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r);
    } all[] = {
        {"GetItem", get_item},
        {"PutItem", put_item},
        {"DeleteItem", delete_item},
        {"UpdateItem", update_item},
        {"BatchWriteItem", batch_write_item},
        {"BatchGetItem", batch_get_item},
        {"Scan", scan},
        {"DescribeTable", describe_table},
        {"ListTables", list_tables},
        {"Query", fk_query},
        {"ExportTableToPointInTime", fk_export_start},
        {"DescribeExport", fk_export_describe},
        {"ListExports", fk_export_list},
        {"DescribeKinesisStreamingDestination", describe_kinesis},
        {"DescribeContinuousBackups", describe_continuous_backups},
        {"DescribeTimeToLive", describe_time_to_live},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (strcmp(all[i].name, q->target) == 0) {
            const char *name = fk_str(q->json, "TableName");
            char *action = trib_asprintf("dynamodb:%s", q->target);
            char *arn =
                trib_asprintf("arn:aws:dynamodb:%s:%s:table/%s", f->region, f->account, name == NULL ? "*" : name);
            if (fk_allowed(f, q, r, action, arn)) {
                all[i].run(f, q, r);
            }
            free(arn);
            free(action);
            return;
        }
    }
    fk_error(f, q, r, 400, "UnknownOperationException", "%s", "");
}
