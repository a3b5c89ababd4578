/* The fake's exports, Query, uploads in parts, SQS, SSM, STS. */
#include <zlib.h>

#include "unit/fakeaws.h"

static const char ARN[] = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders";
static const int64_t S = 1000000;

static void put(int i, const char *value)
{
    char *item = trib_asprintf("{\"pk\":{\"S\":\"k%d\"},\"n\":{\"N\":\"%d\"},\"v\":{\"S\":\"%s\"}}", i, i, value);
    (void)trib_fakeaws_put(f, "orders", item);
    free(item);
}
static void delete (int i)
{
    char *key = trib_asprintf("{\"pk\":{\"S\":\"k%d\"},\"n\":{\"N\":\"%d\"}}", i, i);
    (void)trib_fakeaws_delete(f, "orders", key);
    free(key);
}

static char *seconds(int64_t us) { return trib_asprintf("%lld.%03d", (long long)(us / S), (int)(us % S / 1000)); }

static char *window(int64_t from, int64_t to, const char *more)
{
    char *a = seconds(from), *b = seconds(to);
    char *body = trib_asprintf("{\"TableArn\":\"%s\",\"S3Bucket\":\"lake\",\"S3Prefix\":\"x\",\"ExportType\":"
                               "\"INCREMENTAL_EXPORT\",\"IncrementalExportSpecification\":{\"ExportFromTime\":%s,"
                               "\"ExportToTime\":%s}%s}",
                               ARN, a, b, more);
    free(a);
    free(b);
    return body;
}

static json_t *object(const char *key, bool gzip)
{
    struct trib_buf b;
    assert_true(trib_fakeaws_object_get(f, "lake", key, &b));
    json_t *lines = json_array();
    char *plain = trib_calloc(1, 1 << 20);
    if (gzip) {
        z_stream z = {.next_in = (unsigned char *)b.p,
                      .avail_in = (unsigned)b.n,
                      .next_out = (unsigned char *)plain,
                      .avail_out = 1 << 20};
        assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
        assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
        (void)inflateEnd(&z);
    } else {
        memcpy(plain, b.p, b.n);
    }
    char *save = NULL;
    for (char *line = strtok_r(plain, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
        json_t *v = json_loads(line, 0, NULL);
        assert_non_null(v);
        (void)json_array_append_new(lines, v);
    }
    free(plain);
    trib_buf_free(&b);
    return lines;
}

/* What a completed export holds, and its summary. [out] both */
static json_t *contents(const char *arn, json_t **ret_summary)
{
    char *body = trib_asprintf("{\"ExportArn\":\"%s\"}", arn);
    json_t *v = good("dynamodb.DescribeExport", body), *d = json_object_get(v, "ExportDescription");
    assert_string_equal(text(d, "ExportStatus"), "COMPLETED");
    json_t *s = object(text(d, "ExportManifest"), false), *summary = json_incref(json_array_get(s, 0));
    json_t *files = object(text(summary, "manifestFilesS3Key"), false), *file, *all = json_array();
    size_t i;
    json_array_foreach(files, i, file)
    {
        json_t *lines = object(text(file, "dataFileS3Key"), true);
        assert_int_equal(json_array_size(lines), json_integer_value(json_object_get(file, "itemCount")));
        (void)json_array_extend(all, lines);
        json_decref(lines);
    }
    assert_int_equal(json_array_size(all), json_integer_value(json_object_get(summary, "itemCount")));
    json_decref(files);
    json_decref(s);
    json_decref(v);
    free(body);
    *ret_summary = summary;
    return all;
}

static void full_export(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++) {
        put(i, "then");
    }
    delete (3);
    trib_fakeaws_advance(f, 1000); /* its time has milliseconds */
    char *body = trib_asprintf("{\"TableArn\":\"%s\",\"S3Bucket\":\"lake\",\"ClientToken\":\"t\"}", ARN);
    json_t *v = good("dynamodb.ExportTableToPointInTime", body), *d = json_object_get(v, "ExportDescription");
    char *arn = trib_strdup(text(d, "ExportArn"));
    assert_string_equal(text(d, "ExportStatus"), "IN_PROGRESS");
    put(1, "later");                                                 /* not in it */
    json_t *again = good("dynamodb.ExportTableToPointInTime", body); /* the token: the same export */
    assert_string_equal(text(json_object_get(again, "ExportDescription"), "ExportArn"), arn);
    json_decref(again);
    char *other =
        trib_asprintf("{\"TableArn\":\"%s\",\"S3Bucket\":\"lake\",\"S3Prefix\":\"y\",\"ClientToken\":\"t\"}", ARN);
    bad("dynamodb.ExportTableToPointInTime", other, "ExportConflictException");
    assert_int_equal(trib_fakeaws_object_count(f, "lake", ""), 0);
    trib_fakeaws_advance(f, 600 * S);
    json_t *summary, *all = contents(arn, &summary), *line;
    size_t i;
    assert_int_equal(json_array_size(all), 29);
    json_array_foreach(all, i, line)
    {
        assert_string_equal(text(json_object_get(json_object_get(line, "Item"), "v"), "S"), "then");
    }
    assert_string_equal(text(summary, "tableArn"), ARN);
    json_decref(summary);
    json_decref(all);
    json_decref(v);
    free(other);
    free(arn);
    free(body);
}

static void incremental_export(void **state)
{
    (void)state;
    put(1, "old");
    put(2, "old");
    put(3, "old");
    trib_fakeaws_advance(f, 3600 * S);
    int64_t from = trib_fakeaws_now_us(f) / 1000 * 1000;
    trib_fakeaws_advance(f, 60 * S);
    put(1, "mid");
    put(1, "new"); /* one net record */
    delete (2);
    put(4, "short");
    delete (4); /* came and went: nothing */
    put(5, "born");
    trib_fakeaws_advance(f, 900 * S);
    int64_t to = trib_fakeaws_now_us(f) / 1000 * 1000;
    put(3, "behind the window");
    char *body = window(from, to, "");
    bad("dynamodb.ExportTableToPointInTime", body, "InvalidExportTimeException"); /* cannot end now */
    trib_fakeaws_advance(f, 400 * S);
    char *narrow = window(from, from + 899 * S, ""), *early = window(from - 7200 * S, to, "");
    bad("dynamodb.ExportTableToPointInTime", narrow, "ValidationException");
    bad("dynamodb.ExportTableToPointInTime", early, "InvalidExportTimeException");
    trib_fakeaws_exports(f, 0, 0, 0);
    json_t *v = good("dynamodb.ExportTableToPointInTime", body), *summary, *line;
    json_t *all = contents(text(json_object_get(v, "ExportDescription"), "ExportArn"), &summary);
    size_t i;
    int seen = 0;
    json_array_foreach(all, i, line)
    {
        const char *key = text(json_object_get(json_object_get(line, "Keys"), "pk"), "S");
        const char *is = text(json_object_get(json_object_get(line, "NewImage"), "v"), "S");
        const char *was = text(json_object_get(json_object_get(line, "OldImage"), "v"), "S");
        seen += strcmp(key, "k1") == 0 && strcmp(is, "new") == 0 && strcmp(was, "old") == 0;
        seen += strcmp(key, "k2") == 0 && is == NULL && strcmp(was, "old") == 0;
        seen += strcmp(key, "k5") == 0 && strcmp(is, "born") == 0 && was == NULL;
    }
    assert_int_equal(json_array_size(all), 3);
    assert_int_equal(seen, 3);
    assert_string_equal(text(summary, "exportType"), "INCREMENTAL_EXPORT");
    assert_int_equal(trib_fakeaws_object_count(f, "lake", "x/AWSDynamoDB/data/") > 0, 1); /* shared */
    trib_fakeaws_exports(f, 0, 0, 1);
    json_t *failed = good("dynamodb.ExportTableToPointInTime", body);
    json_decref(failed);
    failed = good("dynamodb.ListExports", "{\"MaxResults\":1}");
    assert_string_equal(text(json_array_get(json_object_get(failed, "ExportSummaries"), 0), "ExportStatus"), "FAILED");
    assert_non_null(text(failed, "NextToken"));
    json_decref(failed);
    trib_fakeaws_pitr(f, "orders", false);
    bad("dynamodb.ExportTableToPointInTime", body, "PointInTimeRecoveryUnavailableException");
    json_decref(summary);
    json_decref(all);
    json_decref(v);
    free(body);
    free(narrow);
    free(early);
}

static void query(void **state)
{
    (void)state;
    struct trib_fakeaws_index x = {"by", "g", "t", 'S', 'N'};
    trib_fakeaws_create_table(f,
                              &(struct trib_fakeaws_table){.name = "q", .hash = "pk", .indexes = &x, .n_indexes = 1});
    for (int i = 0; i < 20; i++) {
        char *item = trib_asprintf("{\"pk\":{\"S\":\"k%d\"},\"g\":{\"S\":\"%s\"},\"t\":{\"N\":\"%d\"}}", i,
                                   i % 2 == 0 ? "a" : "b", i / 4);
        (void)trib_fakeaws_put(f, "q", item);
        free(item);
    }
    (void)trib_fakeaws_put(f, "q", "{\"pk\":{\"S\":\"none\"},\"g\":{\"S\":\"a\"},\"t\":{\"S\":\"4\"}}"); /* not in it */
    size_t n = 0, pages = 0;
    char *start = trib_strdup("");
    double last = -1;
    while (start != NULL) {
        char *body = trib_asprintf("{\"TableName\":\"q\",\"IndexName\":\"by\",\"Limit\":3,\"KeyConditionExpression\":"
                                   "\"g = :g AND t >= :t\",\"ExpressionAttributeValues\":{\":g\":{\"S\":\"a\"},\":t\":{"
                                   "\"N\":\"1\"}}%s}",
                                   start);
        json_t *v = good("dynamodb.Query", body), *each, *from = json_object_get(v, "LastEvaluatedKey");
        size_t i;
        json_array_foreach(json_object_get(v, "Items"), i, each)
        {
            double t = atof(text(json_object_get(each, "t"), "N"));
            assert_true(t >= last);
            last = t;
        }
        n += i;
        pages++;
        free(start);
        free(body);
        char *key = from == NULL ? NULL : json_dumps(from, 0);
        start = key == NULL ? NULL : trib_asprintf(",\"ExclusiveStartKey\":%s", key);
        free(key);
        json_decref(v);
    }
    assert_int_equal(n, 8);
    assert_int_equal(pages, 3);
    bad("dynamodb.Query",
        "{\"TableName\":\"q\",\"IndexName\":\"by\",\"KeyConditionExpression\":\"t >= :t\",\"ExpressionAttributeValues\":{"
        "\":t\":{\"N\":\"0\"}}}",
        "ValidationException");
    bad("dynamodb.Query", "{\"TableName\":\"q\",\"IndexName\":\"no\",\"KeyConditionExpression\":\"g = :g\"}",
        "ValidationException");
}

/* ---- S3 ---------------------------------------------------------------------------------------------------------- */
static char *s3(const char *method, const char *path, const char *body, const char *header, const char *value,
                int status)
{
    struct trib_http_response r;
    trib_fakeaws_s3(f, method, path, trib_view_of(body), header, value, &r);
    if (r.status != status) {
        print_message("%s %s: %d %s\n", method, path, r.status, r.body.p);
    }
    assert_int_equal(r.status, status);
    const char *etag = trib_http_header_get(&r, "etag");
    char *ret = trib_strdup(r.body.n > 0 ? r.body.p : etag == NULL ? "" : etag);
    trib_http_response_free(&r);
    return ret;
}

static void parts(void **state)
{
    (void)state;
    char *made = s3("POST", "/lake/big?uploads=", "", NULL, NULL, 200), *id = strstr(made, "<UploadId>") + 10;
    *strchr(id, '<') = '\0';
    size_t n = 5 << 20;
    char *bytes = trib_malloc(n + 1);
    memset(bytes, 'x', n);
    bytes[n] = '\0';
    char *path1 = trib_asprintf("/lake/big?partNumber=1&uploadId=%s", id);
    char *path2 = trib_asprintf("/lake/big?partNumber=2&uploadId=%s", id);
    char *done = trib_asprintf("/lake/big?uploadId=%s", id);
    char *one = s3("PUT", path1, "small", NULL, NULL, 200), *two = s3("PUT", path2, "end", NULL, NULL, 200);
    static const char form[] = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%s</ETag></Part><Part>"
                               "<PartNumber>2</PartNumber><ETag>%s</ETag></Part></CompleteMultipartUpload>";
    char *list = trib_asprintf(form, one, two);
    char *reply = s3("POST", done, list, NULL, NULL, 400);
    assert_non_null(strstr(reply, "EntityTooSmall"));
    free(reply);
    free(one);
    free(list);
    one = s3("PUT", path1, bytes, NULL, NULL, 200);
    list = trib_asprintf(form, two, one);
    reply = s3("POST", done, list, NULL, NULL, 400);
    assert_non_null(strstr(reply, "InvalidPart"));
    free(reply);
    free(list);
    list = trib_asprintf(form, one, two);
    trib_fakeaws_object_put(f, "lake", "big", TRIB_VIEW_LIT("there"));
    free(s3("POST", done, list, "if-none-match", "*", 412));
    trib_fakeaws_object_delete(f, "lake", "big");
    reply = s3("POST", done, list, "if-none-match", "*", 200);
    assert_non_null(strstr(reply, "-2&quot;</ETag>"));
    struct trib_buf b;
    assert_true(trib_fakeaws_object_get(f, "lake", "big", &b));
    assert_int_equal(b.n, n + 3);
    trib_buf_free(&b);
    free(reply);
    free(s3("DELETE", done, "", NULL, NULL, 404));
    free(list);
    free(one);
    free(two);
    free(path1);
    free(path2);
    free(done);
    free(bytes);
    free(made);
}

static void deletes(void **state)
{
    (void)state;
    trib_fakeaws_object_put(f, "lake", "a&b", TRIB_VIEW_LIT("1"));
    trib_fakeaws_object_put(f, "lake", "c", TRIB_VIEW_LIT("2"));
    static const char body[] = "<Delete><Object><Key>a&amp;b</Key></Object><Object><Key>none</Key></Object></Delete>";
    free(s3("POST", "/lake?delete=", body, NULL, NULL, 400));
    free(s3("POST", "/lake?delete=", body, "content-md5", "AAAAAAAAAAAAAAAAAAAAAA==", 400));
    free(s3("POST", "/lake?delete=", body, "content-md5", "mMhwt693RtHDJx+o6JeZjQ==", 200));
    assert_int_equal(trib_fakeaws_object_count(f, "lake", ""), 1);
    free(s3("PUT", "/lake/k", "x", "x-amz-server-side-encryption", "nonsense", 400));
    trib_fakeaws_deny(f, "kms:GenerateDataKey", true);
    free(s3("PUT", "/lake/k", "x", "x-amz-server-side-encryption", "aws:kms", 403));
    trib_fakeaws_deny(f, "s3:ListBucket", true); /* who may not list is not told what is missing */
    free(s3("GET", "/lake/none", "", NULL, NULL, 403));
}

/* ---- the small services ------------------------------------------------------------------------------------------ */
static void queues(void **state)
{
    (void)state;
    trib_fakeaws_queue(f, "q");
    trib_fakeaws_bucket_events(f, "lake", "q");
    free(s3("PUT", "/lake/a%20b", "x", NULL, NULL, 200));
    static const char receive[] = "{\"QueueUrl\":\"https://sqs.eu-west-1.amazonaws.com/123456789012/q\","
                                  "\"MaxNumberOfMessages\":10,\"WaitTimeSeconds\":20}";
    json_t *v = good("sqs.ReceiveMessage", receive), *m = json_array_get(json_object_get(v, "Messages"), 0);
    assert_non_null(strstr(text(m, "Body"), "\"key\":\"a+b\""));
    int64_t before = trib_fakeaws_now_us(f);
    json_t *none = good("sqs.ReceiveMessage", receive); /* waits */
    assert_int_equal(json_array_size(json_object_get(none, "Messages")), 0);
    assert_true(trib_fakeaws_now_us(f) - before >= 20 * S);
    json_decref(none);
    trib_fakeaws_advance(f, 11 * S); /* visible again */
    none = good("sqs.ReceiveMessage", receive);
    assert_int_equal(json_array_size(json_object_get(none, "Messages")), 1);
    char *body = trib_asprintf("{\"QueueUrl\":\"q\",\"Entries\":[{\"Id\":\"1\",\"ReceiptHandle\":\"%s\"}]}",
                               text(json_array_get(json_object_get(none, "Messages"), 0), "ReceiptHandle"));
    json_decref(good("sqs.DeleteMessageBatch", body));
    assert_int_equal(trib_fakeaws_queue_count(f, "q"), 0);
    bad("sqs.ReceiveMessage", "{\"QueueUrl\":\"no\"}", "QueueDoesNotExist");
    json_decref(none);
    json_decref(v);
    free(body);
}

static void parameters(void **state)
{
    (void)state;
    bad("ssm.GetParameter", "{\"Name\":\"/w\"}", "ParameterNotFound");
    json_decref(good("ssm.PutParameter", "{\"Name\":\"/w\",\"Value\":\"1\",\"Type\":\"String\"}"));
    bad("ssm.PutParameter", "{\"Name\":\"/w\",\"Value\":\"2\",\"Type\":\"String\"}", "ParameterAlreadyExists");
    json_decref(good("ssm.PutParameter", "{\"Name\":\"/w\",\"Value\":\"2\",\"Overwrite\":true}"));
    json_t *v = good("ssm.GetParameter", "{\"Name\":\"/w\"}");
    assert_string_equal(text(json_object_get(v, "Parameter"), "Value"), "2");
    json_decref(v);
}

/* The text of an element. [out] */
static char *element(const char *xml, const char *name)
{
    char *open = trib_asprintf("<%s>", name), *at = strstr(xml, open);
    assert_non_null(at);
    at += strlen(open);
    char *ret = trib_strndup(at, strcspn(at, "<"));
    free(open);
    return ret;
}

static void roles(void **state)
{
    (void)state;
    trib_fakeaws_role(f, "arn:aws:iam::1:role/r", "xid", NULL);
    struct trib_fakeaws_call c = {.url = "https://sts.eu-west-1.amazonaws.com/",
                                  .service = "sts",
                                  .headers = {"content-type", "application/x-www-form-urlencoded"},
                                  .body =
                                      TRIB_VIEW_LIT("Action=AssumeRole&ExternalId=xid&RoleArn=arn%3Aaws%3Aiam%3A%3A1%"
                                                    "3Arole%2Fr&RoleSessionName=tributary&Version=2011-06-15")};
    struct trib_http_response r;
    trib_fakeaws_send(f, &c, &r);
    assert_int_equal(r.status, 200);
    char *id = element(r.body.p, "AccessKeyId"), *secret = element(r.body.p, "SecretAccessKey"),
         *token = element(r.body.p, "SessionToken");
    trib_http_response_free(&r);
    struct trib_fakeaws_call d = {.url = "https://dynamodb.eu-west-1.amazonaws.com/",
                                  .target = "DynamoDB_20120810.ListTables",
                                  .service = "dynamodb",
                                  .key_id = id,
                                  .secret = secret,
                                  .token = token,
                                  .body = TRIB_VIEW_LIT("{}")};
    trib_fakeaws_send(f, &d, &r);
    assert_int_equal(r.status, 200);
    trib_http_response_free(&r);
    trib_fakeaws_advance(f, 3601 * S);
    trib_fakeaws_send(f, &d, &r);
    assert_int_equal(r.status, 400);
    assert_non_null(strstr(r.body.p, "ExpiredTokenException"));
    trib_http_response_free(&r);
    c.body = TRIB_VIEW_LIT("Action=AssumeRole&ExternalId=other&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&"
                           "RoleSessionName=tributary&Version=2011-06-15");
    trib_fakeaws_send(f, &c, &r);
    assert_int_equal(r.status, 403);
    assert_non_null(strstr(r.body.p, "<Code>AccessDenied</Code>"));
    trib_http_response_free(&r);
    free(id);
    free(secret);
    free(token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(full_export, begin, end),
        cmocka_unit_test_setup_teardown(incremental_export, begin, end),
        cmocka_unit_test_setup_teardown(query, begin, end),
        cmocka_unit_test_setup_teardown(parts, begin, end),
        cmocka_unit_test_setup_teardown(deletes, begin, end),
        cmocka_unit_test_setup_teardown(queues, begin, end),
        cmocka_unit_test_setup_teardown(parameters, begin, end),
        cmocka_unit_test_setup_teardown(roles, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
