/* The fake's change streams: lineage, trims, iterators, limits, a stream off and on, lies, Kinesis; a plain consumer under chaos. */
#include "unit/fakeaws.h"

static void put(int i, int n, const char *value)
{
    char *item = trib_asprintf("{\"pk\":{\"S\":\"k%d\"},\"n\":{\"N\":\"%d\"},\"v\":{\"S\":\"%s\"}}", i, n, value);
    (void)trib_fakeaws_put(f, "orders", item);
    free(item);
}

static char *iterator_body(const char *arn, const char *shard, const char *type, const char *sequence)
{
    return trib_asprintf("{\"StreamArn\":\"%s\",\"ShardId\":\"%s\",\"ShardIteratorType\":\"%s\"%s%s%s}", arn, shard,
                         type, sequence == NULL ? "" : ",\"SequenceNumber\":\"", sequence == NULL ? "" : sequence,
                         sequence == NULL ? "" : "\"");
}

/* The current stream's shards. [out] */
static json_t *shards(const char *arn, const char *more)
{
    char *body = trib_asprintf("{\"StreamArn\":\"%s\"%s}", arn, more);
    json_t *v = good("streams.DescribeStream", body);
    json_t *ret = json_incref(json_object_get(json_object_get(v, "StreamDescription"), "Shards"));
    json_decref(v);
    free(body);
    return ret;
}

static char *iterator(const char *arn, const char *shard, const char *type, const char *sequence)
{
    char *body = iterator_body(arn, shard, type, sequence);
    json_t *v = good("streams.GetShardIterator", body);
    char *ret = trib_asprintf("{\"ShardIterator\":\"%s\"}", text(v, "ShardIterator"));
    json_decref(v);
    free(body);
    return ret;
}

static void lineage(void **state)
{
    (void)state;
    char *arn = trib_fakeaws_stream_arn(f, "orders");
    for (int i = 0; i < 20; i++) {
        put(i, 0, "before");
    }
    trib_fakeaws_split(f, "orders", 0, 2);
    assert_int_equal(trib_fakeaws_open_shards(f, "orders"), 2);
    for (int i = 0; i < 20; i++) {
        put(i, 0, "after");
    }
    json_t *all = shards(arn, ""), *parent = json_array_get(all, 0),
           *range = json_object_get(parent, "SequenceNumberRange");
    assert_int_equal(json_array_size(all), 3);
    assert_non_null(text(range, "EndingSequenceNumber"));
    size_t records = 0;
    for (size_t i = 0; i < 3; i++) {
        json_t *h = json_array_get(all, i);
        char *it = iterator(arn, text(h, "ShardId"), "TRIM_HORIZON", NULL);
        json_t *v = good("streams.GetRecords", it);
        size_t n = json_array_size(json_object_get(v, "Records"));
        assert_true(i == 0 ? n == 20 : n > 0 && n < 20);
        assert_int_equal(text(v, "NextShardIterator") == NULL, i == 0); /* the end of a closed shard */
        if (i > 0) {
            assert_string_equal(text(h, "ParentShardId"), text(parent, "ShardId"));
        }
        records += n;
        json_decref(v);
        free(it);
    }
    assert_int_equal(records, 40);
    char *filter =
        trib_asprintf(",\"ShardFilter\":{\"Type\":\"CHILD_SHARDS\",\"ShardId\":\"%s\"}", text(parent, "ShardId"));
    json_t *children = shards(arn, filter);
    assert_int_equal(json_array_size(children), 2);
    json_decref(children);
    free(filter);
    /* page by page */
    char *from = trib_asprintf(",\"Limit\":1,\"ExclusiveStartShardId\":\"%s\"", text(parent, "ShardId"));
    json_t *one = shards(arn, from);
    assert_int_equal(json_array_size(one), 1);
    assert_string_equal(text(json_array_get(one, 0), "ShardId"), text(json_array_get(all, 1), "ShardId"));
    json_decref(one);
    free(from);
    json_decref(all);
    free(arn);
}

static void trims(void **state)
{
    (void)state;
    char *arn = trib_fakeaws_stream_arn(f, "orders");
    put(1, 1, "old");
    json_t *all = shards(arn, "");
    char *id = trib_strdup(text(json_array_get(all, 0), "ShardId")), *it = iterator(arn, id, "TRIM_HORIZON", NULL);
    json_t *v = good("streams.GetRecords", it);
    char *seq = trib_strdup(
        text(json_object_get(json_array_get(json_object_get(v, "Records"), 0), "dynamodb"), "SequenceNumber"));
    json_decref(v);
    trib_fakeaws_advance(f, 600 * INT64_C(1000000));
    json_decref(good("streams.GetRecords", it));
    trib_fakeaws_advance(f, 301 * INT64_C(1000000));
    bad("streams.GetRecords", it, "ExpiredIteratorException");
    put(1, 1, "new");
    char *early = iterator(arn, id, "TRIM_HORIZON", NULL);
    trib_fakeaws_trim(f, "orders", trib_fakeaws_now_us(f) - 100000);
    bad("streams.GetRecords", early, "TrimmedDataAccessException"); /* given out before, passed by the trim */
    char *body = iterator_body(arn, id, "AFTER_SEQUENCE_NUMBER", seq);
    bad("streams.GetShardIterator", body, "TrimmedDataAccessException");
    free(it);
    it = iterator(arn, id, "TRIM_HORIZON", NULL);
    v = good("streams.GetRecords", it);
    assert_int_equal(json_array_size(json_object_get(v, "Records")), 1);
    json_decref(v);
    /* thirty hours: rotated on the way, the first shard is gone */
    trib_fakeaws_advance(f, 30 * 3600 * INT64_C(1000000));
    free(body);
    body = iterator_body(arn, id, "TRIM_HORIZON", NULL);
    bad("streams.GetShardIterator", body, "ResourceNotFoundException");
    json_decref(all);
    all = shards(arn, "");
    assert_true(json_array_size(all) >= 6);
    assert_int_equal(trib_fakeaws_open_shards(f, "orders"), 1);
    assert_non_null(text(json_array_get(all, 0), "ParentShardId")); /* though the parent is gone */
    json_decref(all);
    free(body);
    free(early);
    free(seq);
    free(it);
    free(id);
    free(arn);
}

static void limits(void **state)
{
    (void)state;
    char *arn = trib_fakeaws_stream_arn(f, "orders");
    json_t *all = shards(arn, "");
    const char *id = text(json_array_get(all, 0), "ShardId");
    char *one = iterator(arn, id, "LATEST", NULL), *two = iterator(arn, id, "LATEST", NULL),
         *three = iterator(arn, id, "LATEST", NULL);
    for (int i = 0; i < 5; i++) {
        json_decref(good("streams.GetRecords", one));
    }
    bad("streams.GetRecords", one, "ThrottlingException");
    trib_fakeaws_advance(f, 1000000);
    json_decref(good("streams.GetRecords", one));
    json_decref(good("streams.GetRecords", two));
    bad("streams.GetRecords", three, "LimitExceededException"); /* a third reader */
    bad("streams.GetRecords", "{\"ShardIterator\":\"x\"}", "ValidationException");
    char *body = trib_asprintf("{\"StreamArn\":\"%s\"}", arn);
    trib_fakeaws_advance(f, 1000000);
    for (int i = 0; i < 10; i++) {
        json_decref(good("streams.DescribeStream", body));
    }
    bad("streams.DescribeStream", body, "ThrottlingException");
    /* 1,000 records a page, and about 1 MB */
    for (int i = 0; i < 1100; i++) {
        put(i, 7, "x");
    }
    trib_fakeaws_advance(f, 1000000);
    json_t *v = good("streams.GetRecords", one);
    assert_int_equal(json_array_size(json_object_get(v, "Records")), 1000);
    json_decref(v);
    free(body);
    json_decref(all);
    free(one);
    free(two);
    free(three);
    free(arn);
}

static void off_and_on(void **state)
{
    (void)state;
    char *arn = trib_fakeaws_stream_arn(f, "orders");
    put(1, 1, "a");
    trib_fakeaws_stream_off(f, "orders");
    put(1, 1, "unseen");
    json_t *all = shards(arn, "");
    char *it = iterator(arn, text(json_array_get(all, 0), "ShardId"), "TRIM_HORIZON", NULL);
    json_t *v = good("streams.GetRecords", it);
    assert_int_equal(json_array_size(all), 1); /* its leaf has no children */
    assert_int_equal(json_array_size(json_object_get(v, "Records")), 1);
    assert_null(text(v, "NextShardIterator"));
    json_decref(v);
    trib_fakeaws_stream_on(f, "orders", "NEW_IMAGE");
    char *young = trib_fakeaws_stream_arn(f, "orders");
    assert_string_not_equal(arn, young);
    v = good("streams.ListStreams", "{\"TableName\":\"orders\"}");
    assert_int_equal(json_array_size(json_object_get(v, "Streams")), 2);
    json_decref(v);
    /* a table made again: other id, other stream */
    v = good("dynamodb.DescribeTable", "{\"TableName\":\"orders\"}");
    char *table = trib_strdup(text(json_object_get(v, "Table"), "TableId"));
    assert_string_equal(text(json_object_get(v, "Table"), "LatestStreamArn"), young);
    json_decref(v);
    trib_fakeaws_delete_table(f, "orders");
    bad("dynamodb.DescribeTable", "{\"TableName\":\"orders\"}", "ResourceNotFoundException");
    json_decref(shards(young, ""));
    trib_fakeaws_create_table(f, &(struct trib_fakeaws_table){.name = "orders", .hash = "pk", .view = "NEW_IMAGE"});
    v = good("dynamodb.DescribeTable", "{\"TableName\":\"orders\"}");
    assert_string_not_equal(text(json_object_get(v, "Table"), "TableId"), table);
    json_decref(v);
    json_decref(all);
    free(table);
    free(it);
    free(young);
    free(arn);
}

/* ---- a plain consumer under chaos -------------------------------------------------------------------------------- */
struct consumer {
    json_t *done, *items; /* shards read to their end; key → image */
    char *arn;
};

/* Until it succeeds; NULL: a final error. */
static json_t *insist(const char *operation, const char *body)
{
    for (int i = 0; i < 200; i++) {
        int status;
        json_t *v = trib_fakeaws_json(f, operation, body, &status);
        const char *type = v == NULL ? NULL : text(v, "__type");
        if (status == 200 && v != NULL && type == NULL) {
            return v;
        }
        bool final = type != NULL &&
                     (strstr(type, "Expired") != NULL || strstr(type, "Validation") != NULL ||
                      strstr(type, "Trimmed") != NULL || strstr(type, "NotFound") != NULL) &&
                     strstr(type, "ExpiredToken") == NULL;
        json_decref(v);
        if (final) {
            return NULL;
        }
        trib_fakeaws_advance(f, 300000);
    }
    fail_msg("%s never succeeded", operation);
    return NULL;
}

static void apply(struct consumer *c, json_t *record)
{
    json_t *d = json_object_get(record, "dynamodb"), *image = json_object_get(d, "NewImage");
    char *key = json_dumps(json_object_get(d, "Keys"), JSON_COMPACT);
    if (image == NULL) {
        (void)json_object_del(c->items, key);
    } else {
        (void)json_object_set(c->items, key, image);
    }
    free(key);
}

/* One shard, from its start to its end or until an empty page of an open one; whole shards again: records are idempotent here. */
static void read_shard(struct consumer *c, const char *id)
{
    char *body = iterator_body(c->arn, id, "TRIM_HORIZON", NULL);
    json_t *v = insist("streams.GetShardIterator", body);
    assert_non_null(v);
    char *it = trib_strdup(text(v, "ShardIterator"));
    int empty = 0;
    json_decref(v);
    free(body);
    while (it != NULL && empty < 6) {
        body = trib_asprintf("{\"ShardIterator\":\"%s\"}", it);
        v = insist("streams.GetRecords", body);
        assert_non_null(v);
        json_t *r;
        size_t i;
        json_array_foreach(json_object_get(v, "Records"), i, r) { apply(c, r); }
        empty = i == 0 ? empty + 1 : 0;
        free(it);
        it = text(v, "NextShardIterator") == NULL ? NULL : trib_strdup(text(v, "NextShardIterator"));
        json_decref(v);
        free(body);
        trib_fakeaws_advance(f, 210000);
    }
    if (it == NULL) {
        (void)json_object_set_new(c->done, id, json_true());
    }
    free(it);
}

/* All shards that any page of some looks names: lies make one look not enough. */
static json_t *discover(struct consumer *c)
{
    json_t *all = json_object();
    for (int look = 0; look < 12; look++) {
        char *from = trib_strdup("");
        while (from != NULL) {
            char *body = trib_asprintf("{\"StreamArn\":\"%s\"%s}", c->arn, from);
            json_t *v = insist("streams.DescribeStream", body), *d = json_object_get(v, "StreamDescription"), *h;
            const char *last = text(d, "LastEvaluatedShardId");
            size_t i;
            json_array_foreach(json_object_get(d, "Shards"), i, h)
            {
                (void)json_object_set(all, text(h, "ShardId"), h);
            }
            free(from);
            from = last == NULL ? NULL : trib_asprintf(",\"ExclusiveStartShardId\":\"%s\"", last);
            free(body);
            json_decref(v);
            trib_fakeaws_advance(f, 110000);
        }
        free(from);
    }
    return all;
}

static size_t wrong;
static void check_item(void *ctx, const char *key, const char *item)
{
    struct consumer *c = ctx;
    json_t *v = json_loads(item, 0, NULL), *k = json_loads(key, 0, NULL);
    char *name = json_dumps(k, JSON_COMPACT);
    wrong += json_equal(json_object_get(c->items, name), v) ? 0 : 1;
    free(name);
    json_decref(k);
    json_decref(v);
}

static void consume_seed(uint64_t seed)
{
    struct trib_seeded rng;
    trib_seeded_init(&rng, seed);
    f = trib_fakeaws_new(&(struct trib_fakeaws_opts){.seed = seed});
    trib_fakeaws_create_table(f, &(struct trib_fakeaws_table){.name = "orders",
                                                              .hash = "pk",
                                                              .range = "n",
                                                              .range_type = 'N',
                                                              .view = "NEW_AND_OLD_IMAGES",
                                                              .shards = 2});
    trib_fakeaws_chaos(f, &(struct trib_fakeaws_chaos){.throttle = 0.05,
                                                       .e500 = 0.02,
                                                       .e503 = 0.02,
                                                       .reset = 0.02,
                                                       .lost = 0.02,
                                                       .e500_done = 0.02,
                                                       .truncated = 0.02,
                                                       .slow = 0.01,
                                                       .expired = 0.01,
                                                       .describe_lies = 0.3,
                                                       .empty_page = 0.2,
                                                       .extra_page = 0.3,
                                                       .rotate = 0.01,
                                                       .split = 0.01});
    for (int i = 0; i < 800; i++) {
        int k = (int)trib_seeded_below(&rng, 60);
        if (trib_seeded_below(&rng, 4) == 0) {
            char *key = trib_asprintf("{\"pk\":{\"S\":\"k%d\"},\"n\":{\"N\":\"1\"}}", k);
            (void)trib_fakeaws_delete(f, "orders", key);
            free(key);
        } else {
            char *v = trib_asprintf("v%d", i);
            put(k, 1, v);
            free(v);
        }
    }
    struct consumer c = {json_object(), json_object(), trib_fakeaws_stream_arn(f, "orders")};
    json_t *all = discover(&c), *h;
    const char *id;
    bool worked = true;
    json_t *read = json_object();
    while (worked) { /* parents first */
        worked = false;
        json_object_foreach(all, id, h)
        {
            const char *parent = text(h, "ParentShardId");
            if (json_object_get(read, id) == NULL && (parent == NULL || json_object_get(c.done, parent) != NULL)) {
                read_shard(&c, id);
                (void)json_object_set_new(read, id, json_true());
                worked = true;
            }
        }
    }
    assert_int_equal(json_object_size(read), json_object_size(all));
    assert_int_equal(json_object_size(all) - json_object_size(c.done), trib_fakeaws_open_shards(f, "orders"));
    wrong = 0;
    assert_int_equal(trib_fakeaws_each(f, "orders", INT64_MAX, check_item, &c), json_object_size(c.items));
    assert_int_equal(wrong, 0);
    assert_true(trib_fakeaws_faults(f) > 0);
    json_decref(read);
    json_decref(all);
    json_decref(c.done);
    json_decref(c.items);
    free(c.arn);
    trib_fakeaws_free(f);
}

static void plain_consumer(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        consume_seed(seed);
    }
}

/* ---- faults ------------------------------------------------------------------------------------------------------ */
static void faults(void **state)
{
    (void)state;
    int status;
    static const char item[] = "{\"TableName\":\"orders\",\"Item\":{\"pk\":{\"S\":\"a\"},\"n\":{\"N\":\"1\"}}}";
    trib_fakeaws_plant(f, "dynamodb.PutItem", 2, TRIB_FAKEAWS_LOST);
    json_decref(good("dynamodb.ListTables", "{}"));
    json_decref(good("dynamodb.PutItem", item));
    (void)trib_fakeaws_delete(f, "orders", "{\"pk\":{\"S\":\"a\"},\"n\":{\"N\":\"1\"}}");
    assert_null(trib_fakeaws_json(f, "dynamodb.PutItem", item, &status));
    assert_int_equal(status, 0);
    assert_int_equal(trib_fakeaws_each(f, "orders", INT64_MAX, NULL, NULL), 1); /* it took effect */
    trib_fakeaws_plant(f, NULL, 1, TRIB_FAKEAWS_RESET);
    (void)trib_fakeaws_delete(f, "orders", "{\"pk\":{\"S\":\"a\"},\"n\":{\"N\":\"1\"}}");
    assert_null(trib_fakeaws_json(f, "dynamodb.PutItem", item, &status));
    assert_int_equal(trib_fakeaws_each(f, "orders", INT64_MAX, NULL, NULL), 0); /* it did not */
    trib_fakeaws_plant(f, NULL, 1, TRIB_FAKEAWS_EXPIRED);
    bad("dynamodb.PutItem", item, "ExpiredTokenException");
    trib_fakeaws_plant(f, NULL, 1, TRIB_FAKEAWS_500);
    bad("dynamodb.PutItem", item, "InternalServerError");
    int64_t before = trib_fakeaws_now_us(f);
    trib_fakeaws_plant(f, NULL, 1, TRIB_FAKEAWS_SLOW);
    json_decref(good("dynamodb.PutItem", item));
    assert_true(trib_fakeaws_now_us(f) - before >= 20 * INT64_C(1000000));
    trib_fakeaws_deny(f, "dynamodb:PutItem", true);
    bad("dynamodb.PutItem", item, "AccessDeniedException");
    assert_int_equal(trib_fakeaws_requests(f, "dynamodb.PutItem"), 7);
}

/* ---- Kinesis ----------------------------------------------------------------------------------------------------- */
static json_t *kinesis_read(const char *shard)
{
    char *body =
        trib_asprintf("{\"StreamName\":\"changes\",\"ShardId\":\"%s\",\"ShardIteratorType\":\"TRIM_HORIZON\"}", shard);
    json_t *v = good("kinesis.GetShardIterator", body);
    free(body);
    body = trib_asprintf("{\"ShardIterator\":\"%s\"}", text(v, "ShardIterator"));
    json_decref(v);
    v = good("kinesis.GetRecords", body);
    free(body);
    return v;
}

static void kinesis(void **state)
{
    (void)state;
    trib_fakeaws_kinesis(f, "changes", 2, 0);
    trib_fakeaws_create_table(f, &(struct trib_fakeaws_table){.name = "k", .hash = "pk", .kinesis = "changes"});
    for (int i = 0; i < 40; i++) {
        char *item = trib_asprintf("{\"pk\":{\"S\":\"k%d\"},\"b\":{\"B\":\"AAE=\"}}", i);
        (void)trib_fakeaws_put(f, "k", item);
        free(item);
    }
    trib_fakeaws_kinesis_split(f, "changes", 0);
    trib_fakeaws_kinesis_merge(f, "changes", 1);
    assert_int_equal(trib_fakeaws_kinesis_open(f, "changes"), 2);
    json_t *v = good("kinesis.ListShards", "{\"StreamName\":\"changes\"}"), *all = json_object_get(v, "Shards"), *h;
    assert_int_equal(json_array_size(all), 5);
    h = json_array_get(all, 4);
    assert_string_equal(text(h, "ParentShardId"), "shardId-000000000003");
    assert_string_equal(text(h, "AdjacentParentShardId"), "shardId-000000000001");
    json_t *first = kinesis_read("shardId-000000000000"), *second = kinesis_read("shardId-000000000001"),
           *last = kinesis_read("shardId-000000000004");
    size_t n = json_array_size(json_object_get(first, "Records"));
    assert_int_equal(n + json_array_size(json_object_get(second, "Records")), 40);
    assert_true(json_is_null(json_object_get(first, "NextShardIterator")));
    assert_int_equal(json_array_size(json_object_get(first, "ChildShards")), 2);
    assert_int_equal(json_array_size(json_object_get(last, "Records")), 0);
    assert_non_null(text(last, "NextShardIterator"));
    assert_int_equal(json_integer_value(json_object_get(first, "MillisBehindLatest")), 0);
    assert_int_equal(strlen(text(json_array_get(json_object_get(first, "Records"), 0), "SequenceNumber")), 56);
    json_decref(first);
    json_decref(second);
    json_decref(last);
    json_decref(v);
    bad("kinesis.GetShardIterator",
        "{\"StreamName\":\"changes\",\"ShardId\":\"shardId-000000000000\",\"ShardIteratorType\":\"AT_SEQUENCE_NUMBER\","
        "\"StartingSequenceNumber\":\"1\"}",
        "InvalidArgumentException");
    bad("kinesis.ListShards", "{\"StreamName\":\"none\"}", "ResourceNotFoundException");
    trib_fakeaws_chaos(f, &(struct trib_fakeaws_chaos){.kinesis_drop = 1});
    (void)trib_fakeaws_put(f, "k", "{\"pk\":{\"S\":\"lost\"}}");
    assert_int_equal(trib_fakeaws_kinesis_dropped(f, "changes"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lineage, begin, end),
        cmocka_unit_test_setup_teardown(trims, begin, end),
        cmocka_unit_test_setup_teardown(limits, begin, end),
        cmocka_unit_test_setup_teardown(off_and_on, begin, end),
        cmocka_unit_test_setup_teardown(faults, begin, end),
        cmocka_unit_test_setup_teardown(kinesis, begin, end),
        cmocka_unit_test(plain_consumer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
