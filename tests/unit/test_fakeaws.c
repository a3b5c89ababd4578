/* The fake AWS answers as AWS documents: signatures, items, Scan, Streams, S3. Requests are signed by src/aws/sign.c. */
#include "unit/fakeaws.h"

/* ---- signatures -------------------------------------------------------------------------------------------------- */
static void code_of(const struct trib_fakeaws_call *c, int status, const char *code)
{
    struct trib_http_response r;
    trib_fakeaws_send(f, c, &r);
    if (r.status != status || strstr(r.body.p, code) == NULL) {
        print_message("%d %s\n", r.status, r.body.p);
    }
    assert_int_equal(r.status, status);
    assert_non_null(strstr(r.body.p, code));
    trib_http_response_free(&r);
}

static void signatures(void **state)
{
    (void)state;
    struct trib_fakeaws_call c = {.url = "https://dynamodb.eu-west-1.amazonaws.com/",
                                  .target = "DynamoDB_20120810.ListTables",
                                  .service = "dynamodb",
                                  .body = TRIB_VIEW_LIT("{}")},
                             d = c;
    code_of(&c, 200, "orders");
    d.secret = "wrong";
    code_of(&d, 400, "InvalidSignatureException");
    d = c;
    d.key_id = "AKIANOBODY";
    code_of(&d, 400, "UnrecognizedClientException");
    d = c;
    d.unsigned_at_all = true;
    code_of(&d, 400, "MissingAuthenticationTokenException");
    d = c;
    d.region = "us-east-1";
    code_of(&d, 400, "InvalidSignatureException");
    d = c;
    d.service = "kinesis";
    code_of(&d, 400, "InvalidSignatureException");
    d = c;
    d.skew_us = -301 * INT64_C(1000000);
    code_of(&d, 400, "Signature expired");
    d.skew_us = -299 * INT64_C(1000000);
    code_of(&d, 200, "orders");
    trib_fakeaws_credential(f, "ASIATEMP", "other", "token1", trib_fakeaws_now_us(f) + 60000000);
    d = c;
    d.key_id = "ASIATEMP";
    d.secret = "other";
    code_of(&d, 400, "UnrecognizedClientException"); /* without its token */
    d.token = "token1";
    code_of(&d, 200, "orders");
    trib_fakeaws_advance(f, 61000000);
    code_of(&d, 400, "ExpiredTokenException");
}

static void signatures_s3(void **state)
{
    (void)state;
    struct trib_fakeaws_call c = {.method = "PUT",
                                  .url = "https://lake.s3.eu-west-1.amazonaws.com/a%20b/%C3%BC%2B?x=1",
                                  .service = "s3",
                                  .body = TRIB_VIEW_LIT("hello")},
                             d = c;
    code_of(&c, 200, "");
    assert_true(trib_fakeaws_object_get(f, "lake", "a b/ü+", NULL));
    d.secret = "wrong";
    code_of(&d, 403, "SignatureDoesNotMatch");
    d = c;
    d.skew_us = 901 * INT64_C(1000000);
    code_of(&d, 403, "RequestTimeTooSkewed");
    d = c;
    d.region = "us-east-1";
    code_of(&d, 400, "AuthorizationHeaderMalformed");
    d = c;
    d.unsigned_at_all = true;
    code_of(&d, 403, "AccessDenied");
    d = c;
    d.url = "https://nothing.s3.eu-west-1.amazonaws.com/x";
    code_of(&d, 404, "NoSuchBucket");
}

/* ---- items ------------------------------------------------------------------------------------------------------- */
static void items(void **state)
{
    (void)state;
    json_decref(good("dynamodb.PutItem",
                     "{\"TableName\":\"orders\",\"Item\":{\"pk\":{\"S\":\"a\"},\"n\":{\"N\":\"1.0\"},"
                     "\"v\":{\"N\":\"+1.50e2\"},\"s\":{\"SS\":[\"b\",\"a\"]}}}"));
    json_t *v = good("dynamodb.GetItem", "{\"TableName\":\"orders\",\"Key\":{\"pk\":{\"S\":\"a\"},\"n\":{\"N\":\"1\"}},"
                                         "\"ConsistentRead\":true}");
    json_t *item = json_object_get(v, "Item");
    assert_string_equal(text(json_object_get(item, "n"), "N"), "1");
    assert_string_equal(text(json_object_get(item, "v"), "N"), "150");
    assert_string_equal(json_string_value(json_array_get(json_object_get(json_object_get(item, "s"), "SS"), 0)), "a");
    json_decref(v);
    bad("dynamodb.PutItem", "{\"TableName\":\"orders\",\"Item\":{\"pk\":{\"S\":\"a\"}}}", "ValidationException");
    bad("dynamodb.PutItem", "{\"TableName\":\"orders\",\"Item\":{\"pk\":{\"S\":\"\"},\"n\":{\"N\":\"1\"}}}",
        "ValidationException");
    bad("dynamodb.PutItem", "{\"TableName\":\"no\",\"Item\":{\"pk\":{\"S\":\"a\"}}}", "ResourceNotFoundException");
    bad("dynamodb.PutItem",
        "{\"TableName\":\"orders\",\"Item\":{\"pk\":{\"S\":\"a\"},\"n\":{\"N\":\"1\"},\"x\":{\"SS\":[\"a\",\"a\"]}}}",
        "ValidationException");
    bad("dynamodb.PutItem",
        "{\"TableName\":\"orders\",\"Item\":{\"pk\":{\"S\":\"a\"},\"n\":{\"N\":\"1\"}},"
        "\"ConditionExpression\":\"attribute_not_exists(pk)\"}",
        "ConditionalCheckFailedException");
    v = good("dynamodb.UpdateItem",
             "{\"TableName\":\"orders\",\"Key\":{\"pk\":{\"S\":\"a\"},\"n\":{\"N\":\"1\"}},\"UpdateExpression\":"
             "\"SET #v = v + :one REMOVE s\",\"ConditionExpression\":\"v BETWEEN :one AND :two\",\"ReturnValues\":"
             "\"ALL_NEW\",\"ExpressionAttributeNames\":{\"#v\":\"v\"},\"ExpressionAttributeValues\":{\":one\":{\"N\":"
             "\"1\"},\":two\":{\"N\":\"200\"}}}");
    item = json_object_get(v, "Attributes");
    assert_string_equal(text(json_object_get(item, "v"), "N"), "151");
    assert_null(json_object_get(item, "s"));
    json_decref(v);
    char *truth = trib_fakeaws_item(f, "orders", "{\"pk\":{\"S\":\"a\"},\"n\":{\"N\":\"1.00\"}}", INT64_MAX);
    assert_non_null(strstr(truth, "151"));
    free(truth);
}

static void batches(void **state)
{
    (void)state;
    json_decref(
        good("dynamodb.BatchWriteItem",
             "{\"RequestItems\":{\"orders\":[{\"PutRequest\":{\"Item\":{\"pk\":{\"S\":\"a\"},\"n\":{\"N\":\"1\"}}}},"
             "{\"DeleteRequest\":{\"Key\":{\"pk\":{\"S\":\"a\"},\"n\":{\"N\":\"2\"}}}}]}}"));
    bad("dynamodb.BatchWriteItem",
        "{\"RequestItems\":{\"orders\":[{\"PutRequest\":{\"Item\":{\"pk\":{\"S\":\"b\"},\"n\":{\"N\":\"1\"}}}},"
        "{\"DeleteRequest\":{\"Key\":{\"pk\":{\"S\":\"b\"},\"n\":{\"N\":\"1.0\"}}}}]}}",
        "ValidationException");
    assert_int_equal(trib_fakeaws_each(f, "orders", INT64_MAX, NULL, NULL), 1); /* nothing of the bad one */
}

static void put(int i, int n, const char *value)
{
    char *item = trib_asprintf("{\"pk\":{\"S\":\"k%d\"},\"n\":{\"N\":\"%d\"},\"v\":{\"S\":\"%s\"}}", i, n, value);
    (void)trib_fakeaws_put(f, "orders", item);
    free(item);
}

/* Every item once, in whichever segments and pages. */
static void scan(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        put(i / 3, i % 3, "x");
    }
    for (int total = 1; total <= 7; total += 3) {
        json_t *seen = json_object();
        int pages = 0;
        for (int segment = 0; segment < total; segment++) {
            char *start = trib_strdup("");
            while (start != NULL) {
                char *body = trib_asprintf("{\"TableName\":\"orders\",\"Segment\":%d,\"TotalSegments\":%d,\"Limit\":7,"
                                           "\"ReturnConsumedCapacity\":\"TOTAL\",\"ConsistentRead\":true%s}",
                                           segment, total, start);
                json_t *v = good("dynamodb.Scan", body), *each, *last = json_object_get(v, "LastEvaluatedKey");
                size_t i;
                json_array_foreach(json_object_get(v, "Items"), i, each)
                {
                    char *key = json_dumps(each, JSON_COMPACT);
                    assert_null(json_object_get(seen, key));
                    (void)json_object_set_new(seen, key, json_true());
                    free(key);
                }
                assert_true(json_real_value(json_object_get(json_object_get(v, "ConsumedCapacity"), "CapacityUnits")) ==
                            1.0);
                free(start);
                free(body);
                char *key = last == NULL ? NULL : json_dumps(last, JSON_COMPACT);
                start = key == NULL ? NULL : trib_asprintf(",\"ExclusiveStartKey\":%s", key);
                free(key);
                json_decref(v);
                pages++;
            }
        }
        assert_int_equal(json_object_size(seen), 300);
        assert_true(pages >= 300 / 7);
        json_decref(seen);
    }
    bad("dynamodb.Scan", "{\"TableName\":\"orders\",\"Segment\":4,\"TotalSegments\":4}", "ValidationException");
    bad("dynamodb.Scan", "{\"TableName\":\"orders\",\"Segment\":0}", "ValidationException");
}

/* ---- streams ----------------------------------------------------------------------------------------------------- */
static char *iterator(const char *shard, const char *type, const char *sequence)
{
    char *arn = trib_fakeaws_stream_arn(f, "orders");
    char *body = trib_asprintf("{\"StreamArn\":\"%s\",\"ShardId\":\"%s\",\"ShardIteratorType\":\"%s\"%s%s%s}", arn,
                               shard, type, sequence == NULL ? "" : ",\"SequenceNumber\":\"",
                               sequence == NULL ? "" : sequence, sequence == NULL ? "" : "\"");
    json_t *v = good("streams.GetShardIterator", body);
    char *ret = trib_strdup(text(v, "ShardIterator"));
    json_decref(v);
    free(body);
    free(arn);
    return ret;
}

static json_t *records(char **it)
{
    char *body = trib_asprintf("{\"ShardIterator\":\"%s\"}", *it);
    json_t *v = good("streams.GetRecords", body);
    free(*it);
    *it = text(v, "NextShardIterator") == NULL ? NULL : trib_strdup(text(v, "NextShardIterator"));
    free(body);
    trib_fakeaws_advance(f, 250000);
    return v;
}

static json_t *shards(void)
{
    char *arn = trib_fakeaws_stream_arn(f, "orders"), *body = trib_asprintf("{\"StreamArn\":\"%s\"}", arn);
    json_t *v = good("streams.DescribeStream", body);
    json_t *ret = json_incref(json_object_get(json_object_get(v, "StreamDescription"), "Shards"));
    json_decref(v);
    free(body);
    free(arn);
    return ret;
}

static void stream_of_one_shard(void **state)
{
    (void)state;
    json_t *all = shards();
    const char *shard = text(json_array_get(all, 0), "ShardId");
    assert_int_equal(json_array_size(all), 1);
    char *it = iterator(shard, "TRIM_HORIZON", NULL);
    json_t *v = records(&it);
    assert_int_equal(json_array_size(json_object_get(v, "Records")), 0);
    assert_non_null(it); /* empty is not the end */
    json_decref(v);
    put(1, 1, "x");
    put(1, 1, "x"); /* changes nothing: no record */
    put(1, 1, "y");
    (void)trib_fakeaws_delete_ttl(f, "orders", "{\"pk\":{\"S\":\"k1\"},\"n\":{\"N\":\"1\"}}");
    v = records(&it);
    json_t *r = json_object_get(v, "Records"), *d = json_object_get(json_array_get(r, 1), "dynamodb");
    assert_int_equal(json_array_size(r), 3);
    assert_string_equal(text(json_array_get(r, 0), "eventName"), "INSERT");
    assert_string_equal(text(json_array_get(r, 1), "eventName"), "MODIFY");
    assert_string_equal(text(json_array_get(r, 2), "eventName"), "REMOVE");
    assert_null(json_object_get(json_array_get(r, 1), "userIdentity"));
    assert_string_equal(text(json_object_get(json_array_get(r, 2), "userIdentity"), "PrincipalId"),
                        "dynamodb.amazonaws.com");
    assert_string_equal(text(json_object_get(json_object_get(d, "OldImage"), "v"), "S"), "x");
    assert_string_equal(text(json_object_get(json_object_get(d, "NewImage"), "v"), "S"), "y");
    char *again = iterator(shard, "AFTER_SEQUENCE_NUMBER", text(d, "SequenceNumber"));
    json_t *w = records(&again);
    assert_int_equal(json_array_size(json_object_get(w, "Records")), 1);
    json_decref(w);
    json_decref(v);
    free(again);
    free(it);
    json_decref(all);
}

/* ---- S3 ---------------------------------------------------------------------------------------------------------- */
static void s3(const char *method, const char *path, const char *body, const char *header, const char *value,
               int status, const char *has)
{
    struct trib_http_response r;
    trib_fakeaws_s3(f, method, path, trib_view_of(body), header, value, &r);
    if (r.status != status || strstr(r.body.p, has) == NULL) {
        print_message("%s %s: %d %s\n", method, path, r.status, r.body.p);
    }
    assert_int_equal(r.status, status);
    assert_non_null(strstr(r.body.p, has));
    trib_http_response_free(&r);
}

static void objects(void **state)
{
    (void)state;
    s3("PUT", "/lake/a", "hello", "if-none-match", "*", 200, "");
    s3("PUT", "/lake/a", "again", "if-none-match", "*", 412, "PreconditionFailed");
    s3("GET", "/lake/a", "", NULL, NULL, 200, "hello");
    s3("GET", "/lake/a", "", "range", "bytes=1-2", 206, "el");
    s3("GET", "/lake/a", "", "range", "bytes=-2", 206, "lo");
    s3("GET", "/lake/a", "", "range", "bytes=9-", 416, "InvalidRange");
    s3("GET", "/lake/b", "", NULL, NULL, 404, "NoSuchKey");
    s3("HEAD", "/lake/b", "", NULL, NULL, 404, "");
    s3("PUT", "/lake/c", "x", "x-amz-checksum-crc32c", "AAAAAA==", 400, "BadDigest");
    s3("PUT", "/lake/c", "123456789", "x-amz-checksum-crc32c", "4waSgw==", 200, "");
    s3("PUT", "/lake/c", "123456789", "x-amz-checksum-crc64nvme", "rosUhgp5mIg=", 200, "");
    s3("DELETE", "/lake/b", "", NULL, NULL, 204, "");
    s3("DELETE", "/lake/a", "", NULL, NULL, 204, "");
    s3("GET", "/lake/a", "", NULL, NULL, 404, "NoSuchKey");
}

static void lists(void **state)
{
    (void)state;
    static const char *const keys[] = {"d/1", "d/2", "d/e/1", "d/e/2", "d f/ü&", "z"};
    for (size_t i = 0; i < 6; i++) {
        trib_fakeaws_object_put(f, "lake", keys[i], TRIB_VIEW_LIT("x"));
    }
    s3("GET", "/lake?list-type=2", "", NULL, NULL, 200, "<KeyCount>6</KeyCount>");
    s3("GET", "/lake?delimiter=%2F&list-type=2&prefix=d%2F", "", NULL, NULL, 200,
       "<CommonPrefixes><Prefix>d/e/</Prefix></CommonPrefixes>");
    s3("GET", "/lake?delimiter=%2F&list-type=2&prefix=d%2F", "", NULL, NULL, 200, "<KeyCount>3</KeyCount>");
    s3("GET", "/lake?encoding-type=url&list-type=2&prefix=d%20f", "", NULL, NULL, 200, "<Key>d+f/%C3%BC%26</Key>");
    s3("GET", "/lake?list-type=2&prefix=d%20f", "", NULL, NULL, 200, "<Key>d f/ü&amp;</Key>");
    s3("GET", "/lake?list-type=2&start-after=d%2Fe%2F1", "", NULL, NULL, 200, "<KeyCount>2</KeyCount>");
    /* page by page, with folders: each once */
    char *path = trib_strdup("/lake?delimiter=%2F&list-type=2&max-keys=1");
    size_t n = 0;
    while (path != NULL) {
        struct trib_http_response r;
        trib_fakeaws_s3(f, "GET", path, (struct trib_view){0}, NULL, NULL, &r);
        assert_int_equal(r.status, 200);
        assert_non_null(strstr(r.body.p, "<KeyCount>1</KeyCount>"));
        n++;
        const char *at = strstr(r.body.p, "<NextContinuationToken>"),
                   *to = strstr(r.body.p, "</NextContinuationToken>");
        free(path);
        path = NULL;
        if (at != NULL) {
            struct trib_buf b;
            trib_buf_init(&b, 4096);
            for (at += strlen("<NextContinuationToken>"); at < to; at++) {
                trib_buf_adds(&b, *at == '=' ? "%3D" : *at == '+' ? "%2B" : *at == '/' ? "%2F" : "");
                if (strchr("=+/", *at) == NULL) {
                    trib_buf_addc(&b, *at);
                }
            }
            path = trib_asprintf("/lake?continuation-token=%s&delimiter=%%2F&list-type=2&max-keys=1", b.p);
            trib_buf_free(&b);
        }
        trib_http_response_free(&r);
    }
    assert_int_equal(n, 3); /* "d f/", "d/", "z" */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(signatures, begin, end),
        cmocka_unit_test_setup_teardown(signatures_s3, begin, end),
        cmocka_unit_test_setup_teardown(items, begin, end),
        cmocka_unit_test_setup_teardown(batches, begin, end),
        cmocka_unit_test_setup_teardown(scan, begin, end),
        cmocka_unit_test_setup_teardown(stream_of_one_shard, begin, end),
        cmocka_unit_test_setup_teardown(objects, begin, end),
        cmocka_unit_test_setup_teardown(lists, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
