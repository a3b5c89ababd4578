/* aws: calls over a scripted network: signing, repeats, the clock, errors; endpoints and regions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
