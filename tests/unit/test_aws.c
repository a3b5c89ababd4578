/* aws: calls over a scripted network: signing, repeats, the clock, errors; endpoints and regions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "aws/ssm.h"
#include "aws/sts.h"
#include "aws/xml.h"
#include "os/os.h"
#include "support/scripted_net.h"

static const char *const keys[] = {"AWS_ACCESS_KEY_ID",
                                   "AKIDEXAMPLE",
                                   "AWS_SECRET_ACCESS_KEY",
                                   "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                                   "AWS_REGION",
                                   "eu-west-1",
                                   NULL};

static struct trib_aws *session(struct scripted *s)
{
    struct trib_aws *a;
    struct trib_err err;
    assert_int_equal(trib_aws_new(&s->host, &(struct trib_aws_opts){0}, &a, &err), 0);
    return a;
}

#define SCAN \
    ((struct trib_aws_call){.service = "dynamodb", .target = "DynamoDB_20120810.Scan", .body = TRIB_VIEW_LIT("{}")})
#define COUNT(a) (sizeof(a) / sizeof *(a))

static void test_call(void **state)
{
    (void)state;
    const struct scripted_answer answers[] = {
        {"POST https://dynamodb.eu-west-1.amazonaws.com/\n", 200, NULL, "{\"Count\":0}", NULL, false, false}};
    struct scripted s;
    scripted_init(&s, keys, answers, COUNT(answers));
    struct trib_aws *a = session(&s);
    struct trib_aws_call c = SCAN;
    struct trib_err err;
    assert_int_equal(trib_aws_call(a, &c, &err), 0);
    assert_string_equal(c.response.body.p, "{\"Count\":0}");
    assert_int_equal(c.tries, 1);
    char *auth = scripted_header(&s, 0, "Authorization"), *date = scripted_header(&s, 0, "x-amz-date");
    assert_string_equal(date, "20150830T123600Z");
    assert_non_null(strstr(auth, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-west-1/dynamodb/aws4_request, "
                                 "SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature="));
    assert_null(strstr(s.logged.p == NULL ? "" : s.logged.p, "wJalr"));
    free(auth);
    free(date);
    trib_http_response_free(&c.response);
    trib_aws_free(a);
    scripted_done(&s);
}

/* ---- repeats ------------------------------------------------------------------------------------------------------ */

#define ANSWER(status, headers, body)                   \
    {                                                   \
        NULL, status, headers, body, NULL, false, false \
    }
#define JSON_ERROR(code) "{\"__type\":\"com.amazonaws.dynamodb.v20120810#" code "\",\"message\":\"m\"}"

/* One call of SCAN over answers: its result. */
static int scan(struct scripted *s, struct trib_aws **a, const struct scripted_answer *answers, size_t n,
                struct trib_aws_call *c, struct trib_err *err)
{
    scripted_init(s, keys, answers, n);
    *a = session(s);
    return trib_aws_call(*a, c, err);
}

static void end(struct scripted *s, struct trib_aws *a, struct trib_aws_call *c)
{
    assert_null(strstr(s->logged.p == NULL ? "" : s->logged.p, "wJalr"));
    trib_http_response_free(&c->response);
    trib_aws_free(a);
    scripted_done(s);
}

static void test_repeats(void **state)
{
    (void)state;
    const struct scripted_answer answers[] = {ANSWER(500, NULL, ""),
                                              ANSWER(400, NULL, JSON_ERROR("ProvisionedThroughputExceededException")),
                                              {NULL, 0, NULL, NULL, "reset", false, false},
                                              ANSWER(503, "retry-after: 7", ""),
                                              ANSWER(200, NULL, "{}")};
    struct scripted s;
    struct trib_aws *a;
    struct trib_err err;
    struct trib_aws_call c = SCAN;
    assert_int_equal(scan(&s, &a, answers, COUNT(answers), &c, &err), 0);
    assert_int_equal(c.tries, 5);
    assert_int_equal(c.err.code, TRIB_OK);
    assert_true(s.sleeps == 4 && s.slept_us >= 7000000 && s.slept_us < 7000000 + 100000 + 200000 + 400000);
    char *first = scripted_header(&s, 0, "x-amz-date"), *last = scripted_header(&s, 4, "x-amz-date");
    assert_string_not_equal(first, last); /* signed anew */
    free(first);
    free(last);
    end(&s, a, &c);
    /* All tries used up; a schedule of the caller's own; what cannot get better is not tried again. */
    static const struct {
        struct scripted_answer answer;
        unsigned attempts, tries;
        enum trib_code code;
        bool retriable, ambiguous;
    } cases[] = {{ANSWER(500, NULL, ""), 0, 5, TRIB_E_UNAVAILABLE, true, true},
                 {ANSWER(500, NULL, ""), 2, 2, TRIB_E_UNAVAILABLE, true, true},
                 {ANSWER(400, NULL, JSON_ERROR("ThrottlingException")), 1, 1, TRIB_E_UNAVAILABLE, true, false},
                 {ANSWER(400, NULL, JSON_ERROR("ValidationException")), 0, 1, TRIB_E_UNAVAILABLE, false, false},
                 {{NULL, 0, NULL, NULL, "bad certificate", false, true}, 0, 1, TRIB_E_UNAVAILABLE, false, false},
                 {ANSWER(400, NULL, JSON_ERROR("TrimmedDataAccessException")), 0, 1, TRIB_E_UNAVAILABLE, false, false}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct scripted_answer same[5];
        for (size_t k = 0; k < 5; k++) {
            same[k] = cases[i].answer;
        }
        c = SCAN;
        c.retry.attempts = cases[i].attempts;
        assert_int_equal(scan(&s, &a, same, cases[i].tries, &c, &err), cases[i].code);
        assert_int_equal(c.tries, cases[i].tries);
        assert_int_equal(err.retriable, cases[i].retriable);
        assert_int_equal(err.ambiguous, cases[i].ambiguous);
        assert_memory_equal(&err, &c.err, sizeof err);
        end(&s, a, &c);
    }
}

/* A service that is down for long is not hammered: the session's bucket empties, and fills by successes. */
static void test_bucket(void **state)
{
    (void)state;
    struct scripted s;
    struct trib_err err;
    struct trib_aws_call c = SCAN;
    struct scripted_answer down[SCRIPT_MAX];
    for (size_t i = 0; i < SCRIPT_MAX; i++) {
        down[i] = (struct scripted_answer){NULL, 0, NULL, NULL, "time-out", true, false};
    }
    scripted_init(&s, keys, down, 51); /* a try and 500/10 repeats */
    struct trib_aws *a = session(&s);
    c.retry = (struct trib_retry){100, 1, 1};
    assert_int_equal(trib_aws_call(a, &c, &err), TRIB_E_UNAVAILABLE);
    assert_non_null(strstr(err.msg, "too many calls failed lately"));
    assert_int_equal(c.tries, 51);
    scripted_more(&s, down, 1); /* first tries are free */
    assert_int_equal(trib_aws_call(a, &c, &err), TRIB_E_UNAVAILABLE);
    assert_int_equal(c.tries, 1);
    end(&s, a, &c);
}

static void test_side_by_side(void **state)
{
    (void)state;
    const struct scripted_answer answers[] = {ANSWER(200, NULL, "{\"a\":1}"),
                                              ANSWER(500, NULL, ""),
                                              ANSWER(400, NULL, JSON_ERROR("ResourceNotFoundException")),
                                              ANSWER(500, NULL, ""),
                                              ANSWER(200, NULL, "{\"b\":1}"),
                                              ANSWER(200, NULL, "{\"d\":1}")};
    struct scripted s;
    struct trib_err err;
    struct trib_aws_call c[] = {SCAN, SCAN, SCAN, SCAN};
    c[1].retry = c[3].retry = (struct trib_retry){3, 1000, 1000};
    scripted_init(&s, keys, answers, COUNT(answers));
    struct trib_aws *a = session(&s);
    assert_int_equal(trib_aws_calls(a, c, 4, &err), TRIB_E_NOT_FOUND);
    assert_int_equal(c[0].tries + c[1].tries + c[2].tries + c[3].tries, 6);
    assert_int_equal(c[2].err.code, TRIB_E_NOT_FOUND);
    assert_string_equal(err.service_code, "ResourceNotFoundException");
    assert_string_equal(c[0].response.body.p, "{\"a\":1}");
    assert_string_equal(c[1].response.body.p, "{\"b\":1}");
    assert_string_equal(c[3].response.body.p, "{\"d\":1}");
    assert_int_equal(trib_aws_calls(a, NULL, 0, &err), 0);
    for (size_t i = 1; i < 4; i++) {
        trib_http_response_free(&c[i].response);
    }
    end(&s, a, &c[0]);
}

/* ---- the clock ---------------------------------------------------------------------------------------------------- */

static void test_skew(void **state)
{
    (void)state;
    static const char *const bodies[] = {JSON_ERROR("InvalidSignatureException"), JSON_ERROR("RequestExpired"),
                                         "<Error><Code>RequestTimeTooSkewed</Code><Message>m</Message></Error>"};
    for (size_t i = 0; i < COUNT(bodies); i++) {
        const struct scripted_answer answers[] = {ANSWER(400, "date: Sun, 30 Aug 2015 12:36:02 GMT", bodies[i]),
                                                  ANSWER(400, "date: Sun, 30 Aug 2015 12:36:02 GMT", bodies[i]),
                                                  ANSWER(200, NULL, "{}"), ANSWER(200, NULL, "{}")};
        struct scripted s;
        struct trib_err err;
        struct trib_aws_call c[] = {SCAN, SCAN};
        c[0].retry.attempts = c[1].retry.attempts = 1; /* the correction costs no try */
        scripted_init(&s, keys, answers, COUNT(answers));
        s.skew_us = INT64_C(-7200000000);
        struct trib_aws *a = session(&s);
        assert_int_equal(trib_aws_calls(a, c, 2, &err), 0);
        assert_int_equal(trib_aws_skew_us(a), 7202000000);
        char *wrong = scripted_header(&s, 0, "x-amz-date"), *right = scripted_header(&s, 3, "x-amz-date");
        assert_string_equal(wrong, "20150830T103600Z");
        assert_string_equal(right, "20150830T123602Z");
        assert_non_null(strstr(s.logged.p, "clock is wrong"));
        free(wrong);
        free(right);
        trib_http_response_free(&c[1].response);
        end(&s, a, &c[0]);
    }
    /* The clock is right: the key is wrong. And a service that is never content is not asked for ever. */
    const struct scripted_answer right[] = {
        ANSWER(403, "date: Sun, 30 Aug 2015 12:36:02 GMT", JSON_ERROR("InvalidSignatureException"))};
    struct scripted s;
    struct trib_aws *a;
    struct trib_err err;
    struct trib_aws_call c = SCAN;
    assert_int_equal(scan(&s, &a, right, 1, &c, &err), TRIB_E_CONFIG);
    assert_non_null(strstr(err.msg, "secret and key id from the environment belong together"));
    end(&s, a, &c);
    const struct scripted_answer mad[] = {
        ANSWER(403, "date: Sun, 30 Aug 2015 15:36:02 GMT", JSON_ERROR("RequestExpired")),
        ANSWER(403, "date: Sun, 30 Aug 2015 23:36:02 GMT", JSON_ERROR("RequestExpired"))};
    c = SCAN;
    assert_int_equal(scan(&s, &a, mad, 2, &c, &err), TRIB_E_CONFIG);
    end(&s, a, &c);
}

/* ---- errors ------------------------------------------------------------------------------------------------------- */

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        struct scripted_answer answer;
        const char *code, *id, *text;
        enum trib_code rc;
    } cases[] = {
        {ANSWER(
             400, "x-amzn-requestid: ID1",
             "{\"__type\":\"com.amazon.coral.service#AccessDeniedException\",\"Message\":\"User: u is not authorized to perform: dynamodb:Scan on resource: t\"}"),
         "AccessDeniedException", "ID1",
         "dynamodb:Scan: AccessDeniedException: User: u is not authorized to perform: dynamodb:Scan on resource: t: allow dynamodb:Scan to the identity of the environment",
         TRIB_E_CONFIG},
        {ANSWER(
             400,
             "x-amzn-errortype: ResourceNotFoundException:http://internal.amazon.com/coral/x/\nx-amzn-requestid: ID2",
             "{\"message\":\"Requested resource not found: Table: t not found\"}"),
         "ResourceNotFoundException", "ID2",
         "Table: t not found: check the name, the account and the region, which is eu-west-1", TRIB_E_NOT_FOUND},
        {ANSWER(400, NULL, JSON_ERROR("ConditionalCheckFailedException")), "ConditionalCheckFailedException", "", "m",
         TRIB_E_CONFLICT},
        {ANSWER(400, NULL, "not json"), "BadRequest", "", "status 400 without an explanation", TRIB_E_UNAVAILABLE},
        {ANSWER(404, NULL, "{\"__type\":12,\"message\":[]}"), "NotFound", "", "status 404 without an explanation",
         TRIB_E_NOT_FOUND},
        {ANSWER(403, NULL, "<html><body>no</body>"), "AccessDenied", "", "status 403", TRIB_E_CONFIG},
        {ANSWER(418, NULL, "{\"__type\":\"T\\u001b[31m\",\"message\":\"two\\nlines\\u0007\"}"), "T", "", "two lines ",
         TRIB_E_UNAVAILABLE},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct scripted s;
        struct trib_aws *a;
        struct trib_err err;
        struct trib_aws_call c = SCAN;
        assert_int_equal(scan(&s, &a, &cases[i].answer, 1, &c, &err), cases[i].rc);
        assert_string_equal(err.service_code, cases[i].code);
        assert_string_equal(err.request_id, cases[i].id);
        if (strstr(err.msg, cases[i].text) == NULL) {
            fail_msg("'%s' is not in: %s", cases[i].text, err.msg);
        }
        assert_null(strchr(err.msg, 27));
        end(&s, a, &c);
    }
}

/* Keys that are not known may have been replaced in their file: looked up once more. */
static void test_unknown_key(void **state)
{
    (void)state;
    const struct scripted_answer answers[] = {ANSWER(400, NULL, JSON_ERROR("UnrecognizedClientException")),
                                              ANSWER(400, NULL, JSON_ERROR("UnrecognizedClientException"))};
    struct scripted s;
    struct trib_aws *a;
    struct trib_err err;
    struct trib_aws_call c = SCAN;
    assert_int_equal(scan(&s, &a, answers, 2, &c, &err), TRIB_E_CONFIG);
    assert_non_null(strstr(err.msg, "the keys come from the environment: check that they are active"));
    assert_false(err.retriable);
    end(&s, a, &c);
}

static bool takes_404(const struct trib_http_response *r) { return r->status == 404; }

static const struct {
    struct trib_aws_call call;
    const char *request;
    struct scripted_answer answer;
    enum trib_code rc;
    const char *text;
} s3_cases[] = {
    {{.service = "s3", .method = "GET", .host_bucket = "shop", .path = "/a b/ü+=%41.json"},
     "GET https://shop.s3.eu-west-1.amazonaws.com/a%20b/%C3%BC%2B%3D%2541.json\n",
     ANSWER(200, NULL, "x"),
     TRIB_OK,
     ""},
    {{.service = "s3", .method = "PUT", .path = "/shop/k", .body = {"hello", 5}},
     "PUT https://s3.eu-west-1.amazonaws.com/shop/k\nx-amz-content-sha256: 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\n",
     ANSWER(
         403, "x-amz-request-id: S3ID",
         "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied</Message><RequestId>B</RequestId></Error>"),
     TRIB_E_CONFIG,
     "s3:PutObject: AccessDenied: Access Denied: allow s3:PutObject on arn:aws:s3:::shop/k to the identity of the environment"},
    {{.service = "s3", .method = "HEAD", .host_bucket = "shop", .path = "/k"},
     "HEAD ",
     ANSWER(403, NULL, NULL),
     TRIB_E_CONFIG,
     "allow s3:GetObject on arn:aws:s3:::shop/k to the identity of the environment (without s3:ListBucket a missing object looks the same)"},
    {{.service = "s3", .method = "GET", .host_bucket = "shop", .path = "/"},
     "GET https://shop.s3",
     ANSWER(301, "x-amz-bucket-region: us-east-2", "<Error><Code>PermanentRedirect</Code><Message>m</Message></Error>"),
     TRIB_E_CONFIG,
     "the region was eu-west-1: set aws.region to us-east-2"},
    {{.service = "s3", .method = "GET", .host_bucket = "shop", .path = "/"},
     "GET https://shop.s3",
     ANSWER(400, NULL,
            "<Error><Code>AuthorizationHeaderMalformed</Code><Message>m</Message><Region>cn-north-1</Region></Error>"),
     TRIB_E_CONFIG,
     "set aws.region to cn-north-1"},
    {{.service = "s3", .method = "GET", .host_bucket = "shop", .path = "/"},
     "GET https://shop.s3",
     ANSWER(301, NULL, ""),
     TRIB_E_CONFIG,
     "it is not eu-west-1"},
    {{.service = "s3", .method = "GET", .host_bucket = "shop", .path = "/k"},
     "GET ",
     ANSWER(404, NULL, "<Error><Code>NoSuchBucket</Code><Message>m</Message></Error>"),
     TRIB_E_NOT_FOUND,
     "s3:GetObject: NoSuchBucket: m: check the name"},
    {{.service = "s3", .method = "GET", .host_bucket = "shop", .path = "/k", .is_final = takes_404},
     "GET ",
     ANSWER(404, NULL, ""),
     TRIB_OK,
     ""},
    {{.service = "s3", .method = "PUT", .host_bucket = "shop", .path = "/k"},
     "PUT ",
     ANSWER(412, NULL, "<Error><Code>PreconditionFailed</Code><Message>m</Message></Error>"),
     TRIB_E_EXISTS,
     "s3:PutObject: PreconditionFailed"},
    {{.service = "s3", .method = "POST", .host_bucket = "shop", .path = "/k", .retry = {1, 0, 0}},
     "POST ",
     ANSWER(200, NULL, "<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code><Message>m</Message></Error>"),
     TRIB_E_UNAVAILABLE,
     "InternalError"},
    {{.service = "s3", .method = "GET", .host_bucket = "shop", .path = "/k"},
     "GET ",
     ANSWER(200, NULL, "<Error>is data</Error>"),
     TRIB_OK,
     ""},
};

static void test_s3(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(s3_cases); i++) {
        struct scripted s;
        struct trib_aws *a;
        struct trib_err err = {0};
        struct trib_aws_call c = s3_cases[i].call;
        struct scripted_answer answer = s3_cases[i].answer;
        answer.wants = s3_cases[i].request;
        assert_int_equal(scan(&s, &a, &answer, 1, &c, &err), s3_cases[i].rc);
        if (strstr(err.msg, s3_cases[i].text) == NULL) {
            fail_msg("'%s' is not in: %s", s3_cases[i].text, err.msg);
        }
        end(&s, a, &c);
    }
}

static void test_checksum(void **state)
{
    (void)state;
    const struct scripted_answer answers[] = {ANSWER(200, "x-amz-crc32: 1", "{}"),
                                              ANSWER(200, "x-amz-crc32: 2745614147", "{}")};
    struct scripted s;
    struct trib_aws *a;
    struct trib_err err;
    struct trib_aws_call c = SCAN;
    assert_int_equal(scan(&s, &a, answers, 2, &c, &err), 0);
    assert_int_equal(c.tries, 2);
    end(&s, a, &c);
}

static void test_limits(void **state)
{
    (void)state;
    struct scripted s;
    struct trib_aws *a;
    struct trib_err err;
    char *path = trib_malloc(20000);
    memset(path, 'x', 19999);
    path[19999] = '\0';
    struct trib_aws_call c = {.service = "s3", .method = "GET", .path = path};
    assert_int_equal(scan(&s, &a, NULL, 0, &c, &err), TRIB_E_LIMIT);
    end(&s, a, &c);
    free(path);
    c = (struct trib_aws_call){
        .service = "s3", .method = "PUT", .path = "/b/k", .body_path = "/nowhere/at/all", .body_bytes = 1};
    assert_int_equal(scan(&s, &a, NULL, 0, &c, &err), TRIB_E_NOT_FOUND);
    end(&s, a, &c);
}

/* ---- endpoints ---------------------------------------------------------------------------------------------------- */

static void want_endpoint(const char *const *env, const char *url_opt, const char *service, const char *want)
{
    struct scripted s;
    struct trib_aws *a;
    struct trib_err err;
    scripted_init(&s, env, NULL, 0);
    assert_int_equal(trib_aws_new(&s.host, &(struct trib_aws_opts){.endpoint_url = url_opt}, &a, &err), 0);
    char *got = trib_aws_endpoint(a, service);
    assert_string_equal(got, want);
    free(got);
    trib_aws_free(a);
    scripted_done(&s);
}

static void test_endpoints(void **state)
{
    (void)state;
    static const struct {
        const char *region, *service, *plain, *dual, *fips, *both;
    } aws[] = {
        {"eu-west-1", "dynamodb", "dynamodb.eu-west-1.amazonaws.com", "dynamodb.eu-west-1.api.aws",
         "dynamodb-fips.eu-west-1.amazonaws.com", "dynamodb-fips.eu-west-1.api.aws"},
        {"us-east-1", "streams.dynamodb", "streams.dynamodb.us-east-1.amazonaws.com",
         "streams-dynamodb.us-east-1.api.aws", "streams.dynamodb-fips.us-east-1.amazonaws.com",
         "streams-dynamodb-fips.us-east-1.api.aws"},
        {"us-gov-west-1", "kinesis", "kinesis.us-gov-west-1.amazonaws.com", "kinesis.us-gov-west-1.api.aws",
         "kinesis.us-gov-west-1.amazonaws.com", "kinesis-fips.us-gov-west-1.api.aws"},
        {"us-gov-west-1", "s3", "s3.us-gov-west-1.amazonaws.com", "s3.dualstack.us-gov-west-1.amazonaws.com",
         "s3-fips.us-gov-west-1.amazonaws.com", "s3-fips.dualstack.us-gov-west-1.amazonaws.com"},
        {"cn-north-1", "s3", "s3.cn-north-1.amazonaws.com.cn", "s3.dualstack.cn-north-1.amazonaws.com.cn", NULL, NULL},
        {"cn-north-1", "sts", "sts.cn-north-1.amazonaws.com.cn", "sts.cn-north-1.api.amazonwebservices.com.cn", NULL,
         NULL},
        {"us-isob-east-1", "ssm", "ssm.us-isob-east-1.sc2s.sgov.gov", NULL, NULL, NULL},
        {"eu-west-1", "portal.sso", "portal.sso.eu-west-1.amazonaws.com", "portal.sso.eu-west-1.api.aws",
         "portal.sso-fips.eu-west-1.amazonaws.com", NULL},
        {"eu-west-1", "monitoring", "monitoring.eu-west-1.amazonaws.com", NULL,
         "monitoring-fips.eu-west-1.amazonaws.com", NULL}};
    for (size_t i = 0; i < COUNT(aws); i++) {
        const char *const wants[] = {aws[i].plain, aws[i].dual, aws[i].fips, aws[i].both};
        for (size_t k = 0; k < 4; k++) {
            const char *const env[] = {"AWS_REGION",
                                       aws[i].region,
                                       "AWS_USE_DUALSTACK_ENDPOINT",
                                       k % 2 == 1 ? "true" : "false",
                                       "AWS_USE_FIPS_ENDPOINT",
                                       k >= 2 ? "True" : "",
                                       NULL};
            char *want = trib_asprintf("https://%s", wants[k] == NULL ? "" : wants[k]);
            if (wants[k] != NULL) {
                want_endpoint(env, NULL, aws[i].service, want);
            }
            free(want);
        }
    }
    const char *const env[] = {"AWS_REGION",
                               "eu-west-1",
                               "AWS_ENDPOINT_URL",
                               "http://all:1/",
                               "AWS_ENDPOINT_URL_DYNAMODB_STREAMS",
                               "http://streams:2",
                               "AWS_ENDPOINT_URL_S3",
                               "",
                               NULL};
    want_endpoint(env, NULL, "s3", "http://all:1");
    want_endpoint(env, NULL, "streams.dynamodb", "http://streams:2");
    want_endpoint(env, "http://mine:3/base/", "streams.dynamodb", "http://mine:3/base");
    const char *const off[] = {
        "AWS_REGION", "eu-west-1", "AWS_ENDPOINT_URL", "http://all:1/", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
        "true",       NULL};
    want_endpoint(off, NULL, "s3", "https://s3.eu-west-1.amazonaws.com");
}

static void test_endpoint_of_profile(void **state)
{
    (void)state;
    struct trib_err err;
    char *dir;
    assert_int_equal(trib_scratch_make(NULL, &dir, &err), 0);
    char *config = trib_asprintf("%s/config", dir);
    assert_int_equal(
        trib_fs_real.write(
            trib_fs_real.ctx, config,
            TRIB_VIEW_LIT(
                "[default]\nservices = local\nendpoint_url = http://rest:9\nuse_fips_endpoint = true\n[services local]\ndynamodb =\n  endpoint_url = http://ddb:8000\ns3 = \n  endpoint_url = http://s3:9000\n"),
            &err),
        0);
    const char *const env[] = {"AWS_REGION", "eu-west-1", "AWS_CONFIG_FILE", config, NULL};
    want_endpoint(env, NULL, "dynamodb", "http://ddb:8000");
    want_endpoint(env, NULL, "s3", "http://s3:9000");
    want_endpoint(env, NULL, "sts", "http://rest:9");
    free(config);
    trib_scratch_remove(dir);
    free(dir);
}

static void test_bad_settings(void **state)
{
    (void)state;
    static const char *const urls[] = {"localhost:8000",     "ftp://x",     "http://",   "http:///x",
                                       "http://u:secret@h/", "http://h/?q", "http://h /"};
    struct scripted s;
    struct trib_aws *a = NULL;
    struct trib_err err;
    for (size_t i = 0; i < COUNT(urls); i++) {
        scripted_init(&s, keys, NULL, 0);
        assert_int_equal(trib_aws_new(&s.host, &(struct trib_aws_opts){.endpoint_url = urls[i]}, &a, &err),
                         TRIB_E_CONFIG);
        assert_non_null(strstr(err.msg, "aws.endpoint_url is no URL"));
        assert_null(strstr(err.msg, "secret"));
        scripted_done(&s);
        const char *const env[] = {
            "AWS_REGION", "eu-west-1", "AWS_ENDPOINT_URL", urls[i], "AWS_ACCESS_KEY_ID", "a", "AWS_SECRET_ACCESS_KEY",
            "b",          NULL};
        scripted_init(&s, env, NULL, 0);
        assert_int_equal(trib_aws_new(&s.host, &(struct trib_aws_opts){0}, &a, &err), 0);
        struct trib_aws_call c = SCAN;
        assert_int_equal(trib_aws_call(a, &c, &err), TRIB_E_CONFIG);
        assert_non_null(strstr(err.msg, "AWS_ENDPOINT_URL or endpoint_url sets it"));
        end(&s, a, &c);
    }
    static const char *const regions[] = {"eu west", "x.evil.com", "EU-WEST-1", "-a", "a/b", "a@b"};
    for (size_t i = 0; i < COUNT(regions); i++) {
        scripted_init(&s, keys, NULL, 0);
        assert_int_equal(trib_aws_new(&s.host, &(struct trib_aws_opts){.region = regions[i]}, &a, &err), TRIB_E_CONFIG);
        assert_non_null(strstr(err.msg, "not an AWS region"));
        scripted_done(&s);
    }
}

/* The port is signed where HTTP sends it, and left out where it does not. */
static void test_host(void **state)
{
    (void)state;
    static const char *const urls[] = {"http://127.0.0.1:8000", "http://127.0.0.1:80", "https://h:443", "https://h:80",
                                       "http://[::1]:9/base"};
    static const char *const wants[] = {"POST http://127.0.0.1:8000/\n", "POST http://127.0.0.1:80/\n",
                                        "POST https://h:443/\n", "POST https://h:80/\n", "POST http://[::1]:9/base/\n"};
    for (size_t i = 0; i < COUNT(urls); i++) {
        const struct scripted_answer answers[] = {{wants[i], 200, NULL, "{}", NULL, false, false}};
        struct scripted s;
        struct trib_aws *a;
        struct trib_err err;
        scripted_init(&s, keys, answers, 1);
        assert_int_equal(
            trib_aws_new(&s.host, &(struct trib_aws_opts){.endpoint_url = urls[i], .region = "us-east-1"}, &a, &err),
            0);
        struct trib_aws_call c = SCAN;
        assert_int_equal(trib_aws_call(a, &c, &err), 0);
        end(&s, a, &c);
    }
}

/* ---- typed calls -------------------------------------------------------------------------------------------------- */

static void test_identity(void **state)
{
    (void)state;
    const struct scripted_answer answers[] = {
        {"Action=GetCallerIdentity&Version=2011-06-15", 200, NULL,
         "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>arn:aws:iam::1:user/A&amp;B</Arn>"
         "<UserId>AIDA</UserId><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>",
         NULL, false, false},
        ANSWER(200, NULL, "<a/>"),
        ANSWER(200, NULL, "<a>"),
        ANSWER(403, NULL,
               "<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>m</Message></Error></ErrorResponse>"),
        ANSWER(403, NULL,
               "<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>m</Message></Error></ErrorResponse>")};
    struct scripted s;
    struct trib_err err;
    struct trib_sts_identity i;
    scripted_init(&s, keys, answers, COUNT(answers));
    struct trib_aws *a = session(&s);
    assert_int_equal(trib_sts_get_caller_identity(a, &i, &err), 0);
    assert_string_equal(i.account, "111122223333");
    assert_string_equal(i.arn, "arn:aws:iam::1:user/A&B");
    assert_string_equal(i.user_id, "AIDA");
    trib_sts_identity_free(&i);
    assert_int_equal(trib_sts_get_caller_identity(a, &i, &err), TRIB_E_DATA);
    assert_int_equal(trib_sts_get_caller_identity(a, &i, &err), TRIB_E_DATA);
    assert_int_equal(trib_sts_get_caller_identity(a, &i, &err), TRIB_E_CONFIG);
    assert_non_null(strstr(err.msg, "sts:GetCallerIdentity: InvalidClientTokenId"));
    trib_aws_free(a);
    scripted_done(&s);
}

static void test_parameters(void **state)
{
    (void)state;
    const struct scripted_answer answers[] = {
        {"X-Amz-Target: AmazonSSM.GetParameter\nContent-Type: application/x-amz-json-1.1\n", 200, NULL,
         "{\"Parameter\":{\"Name\":\"/p\",\"Value\":\"v\\u00fc\",\"Version\":3}}", NULL, false, false},
        ANSWER(400, NULL, "{\"__type\":\"ParameterNotFound\"}"),
        ANSWER(200, NULL, "{}"),
        ANSWER(200, NULL, "[1]"),
        {"{\"Name\":\"/p\",\"Value\":\"x\",\"Type\":\"String\",\"Overwrite\":false}", 400, NULL,
         "{\"__type\":\"ParameterAlreadyExists\",\"message\":\"m\"}", NULL, false, false},
        {"\"Overwrite\":true}", 200, NULL, "{\"Version\":4}", NULL, false, false}};
    struct scripted s;
    struct trib_err err;
    char *value = NULL;
    int64_t version = 0;
    scripted_init(&s, keys, answers, COUNT(answers));
    struct trib_aws *a = session(&s);
    assert_int_equal(trib_ssm_get_parameter(a, "/p", &value, &version, &err), 0);
    assert_string_equal(value, "v\xc3\xbc");
    assert_int_equal(version, 3);
    free(value);
    assert_int_equal(trib_ssm_get_parameter(a, "/p", &value, &version, &err), TRIB_E_NOT_FOUND);
    assert_string_equal(err.service_code, "ParameterNotFound");
    assert_int_equal(trib_ssm_get_parameter(a, "/p", &value, &version, &err), TRIB_E_DATA);
    assert_int_equal(trib_ssm_get_parameter(a, "/p", &value, &version, &err), TRIB_E_DATA);
    assert_int_equal(trib_ssm_get_parameter(a, "\xff", &value, &version, &err), TRIB_E_CONFIG);
    assert_int_equal(trib_ssm_put_parameter(a, "/p", "x", false, &err), TRIB_E_EXISTS);
    assert_int_equal(trib_ssm_put_parameter(a, "/p", "x", true, &err), 0);
    trib_aws_free(a);
    scripted_done(&s);
}

/* ---- XML ---------------------------------------------------------------------------------------------------------- */

static int xml(const char *text, struct trib_arena *arena, const struct trib_xml **root, struct trib_err *err)
{
    trib_arena_reset(arena);
    return trib_xml_parse(trib_view_of(text), arena, root, err);
}

static void test_xml(void **state)
{
    (void)state;
    struct trib_arena arena;
    trib_arena_init(&arena);
    const struct trib_xml *root = NULL;
    struct trib_err err;
    assert_int_equal(
        xml("<?xml version='1.0'?><s:List xmlns:s='u' a='b'>\n <Key>a &lt;&#x41;<![CDATA[<x>]]> b</Key>\n <Key/><Key> </Key><Other><Deep>1</Deep></Other></s:List>",
            &arena, &root, &err),
        0);
    assert_string_equal(root->name, "List");
    assert_string_equal(root->text, "");
    const struct trib_xml *k = trib_xml_child(root, "Key");
    assert_string_equal(k->text, "a <A<x> b");
    k = trib_xml_next(k);
    assert_string_equal(k->text, "");
    k = trib_xml_next(k);
    assert_string_equal(k->text, " ");
    assert_null(trib_xml_next(k));
    assert_string_equal(trib_xml_text(root, "Other/Deep"), "1");
    assert_null(trib_xml_text(root, "Other/Dee"));
    assert_null(trib_xml_text(root, "Other/Deep/x"));
    assert_null(trib_xml_text(NULL, "x"));
    static const char *const bad[] = {"", "<a>", "<a></b>", "x", "<a/><b/>", "<a>&nope;</a>", "<a>\xff</a>"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(xml(bad[i], &arena, &root, &err), TRIB_E_DATA);
    }
    assert_int_equal(xml("<!DOCTYPE a [<!ENTITY x \"yyyy\">]><a>&x;</a>", &arena, &root, &err), TRIB_E_LIMIT);
    assert_int_equal(xml("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>", &arena, &root, &err), TRIB_E_LIMIT);
    struct trib_buf deep;
    trib_buf_init(&deep, 1000);
    for (int i = 0; i < 33; i++) {
        trib_buf_adds(&deep, "<a>");
    }
    assert_int_equal(xml(deep.p, &arena, &root, &err), TRIB_E_LIMIT);
    trib_buf_free(&deep);
    trib_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call),         cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_bucket),       cmocka_unit_test(test_side_by_side),
        cmocka_unit_test(test_skew),         cmocka_unit_test(test_errors),
        cmocka_unit_test(test_unknown_key),  cmocka_unit_test(test_s3),
        cmocka_unit_test(test_checksum),     cmocka_unit_test(test_limits),
        cmocka_unit_test(test_endpoints),    cmocka_unit_test(test_endpoint_of_profile),
        cmocka_unit_test(test_bad_settings), cmocka_unit_test(test_host),
        cmocka_unit_test(test_identity),     cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_xml),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
