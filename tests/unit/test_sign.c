/* aws/sign: AWS's published cases of Signature Version 4, and the pieces it is made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "aws/sign.h"
#include "os/os.h"

#include "sigv4_cases.h"

static const int64_t EXAMPLE_US = INT64_C(1440938160000000); /* 2015-08-30T12:36:00Z */
static char id[] = "AKIDEXAMPLE", secret[] = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

static size_t count(const struct trib_http_header *h, size_t max)
{
    size_t n = 0;
    while (n < max && h[n].name != NULL) {
        n++;
    }
    return n;
}

static void check_case(const struct sigv4_case *c)
{
    char hash[65];
    trib_sha256_hex(trib_view_of(c->body), hash);
    struct trib_http_header headers[12];
    size_t n = count(c->headers, 8);
    memcpy(headers, c->headers, sizeof c->headers);
    headers[n++] = (struct trib_http_header){"X-Amz-Date", "20150830T123600Z"};
    if (c->body_header) {
        headers[n++] = (struct trib_http_header){"x-amz-content-sha256", hash};
    }
    if (c->token != NULL) {
        headers[n++] = (struct trib_http_header){"X-Amz-Security-Token", c->token};
    }
    char *query = trib_canonical_query(c->query, count(c->query, 4));
    struct trib_buf path;
    trib_buf_init(&path, 1000);
    if (c->as_is) {
        trib_uri_encode(trib_view_of(c->path), true, &path);
    } else {
        trib_buf_adds(&path, c->path);
    }
    struct trib_sign s = {.method = c->method,
                          .host = "example.amazonaws.com",
                          .path = path.p,
                          .query = query,
                          .headers = headers,
                          .n_headers = n,
                          .body_sha256 = hash,
                          .region = "us-east-1",
                          .service = "service",
                          .s3 = c->as_is,
                          .now_us = EXAMPLE_US};
    char *canonical,
        *value = trib_sign_v4(&s, &(struct trib_aws_credentials){.key_id = id, .secret = secret}, &canonical);
    const char *got = strstr(value, "Signature=") + 10;
    if (strcmp(got, c->signature) != 0) {
        fail_msg("%s: %s instead of %s; canonical request:\n%s", c->name, got, c->signature, canonical);
    }
    free(canonical);
    free(value);
    free(query);
    trib_buf_free(&path);
}

static void test_published_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sigv4_cases / sizeof *sigv4_cases; i++) {
        check_case(&sigv4_cases[i]);
    }
}

/* Amazon S3 API reference, "Authenticating requests: using the Authorization header": GET Object with a range, PUT Object. */
static void test_s3_examples(void **state)
{
    (void)state;
    char key[] = "AKIAIOSFODNN7EXAMPLE", s3_secret[] = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    struct trib_aws_credentials c = {.key_id = key, .secret = s3_secret};
    static const char empty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    static const char body[] = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    struct trib_http_header get[] = {
        {"Range", "bytes=0-9"}, {"x-amz-content-sha256", empty}, {"x-amz-date", "20130524T000000Z"}};
    struct trib_http_header put[] = {{"Date", "Fri, 24 May 2013 00:00:00 GMT"},
                                     {"x-amz-date", "20130524T000000Z"},
                                     {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
                                     {"x-amz-content-sha256", body}};
    struct trib_sign s = {.method = "GET",
                          .host = "examplebucket.s3.amazonaws.com",
                          .path = "/test.txt",
                          .query = "",
                          .headers = get,
                          .n_headers = 3,
                          .body_sha256 = empty,
                          .region = "us-east-1",
                          .service = "s3",
                          .s3 = true,
                          .now_us = INT64_C(1369353600000000)};
    char *value = trib_sign_v4(&s, &c, NULL);
    assert_string_equal(value, "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
                               "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
                               "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    free(value);
    s.method = "PUT";
    s.path = "/test%24file.text";
    s.headers = put;
    s.n_headers = 4;
    s.body_sha256 = body;
    value = trib_sign_v4(&s, &c, NULL);
    assert_non_null(strstr(value, "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"));
    free(value);
}

static void test_encoding(void **state)
{
    (void)state;
    struct trib_buf b;
    trib_buf_init(&b, 100);
    trib_uri_encode(TRIB_VIEW_LIT("aZ9-._~ /+=%\x80"), true, &b);
    assert_string_equal(b.p, "aZ9-._~%20/%2B%3D%25%80");
    trib_buf_clear(&b);
    trib_uri_encode(TRIB_VIEW_LIT("a/b"), false, &b);
    assert_string_equal(b.p, "a%2Fb");
    trib_buf_free(&b);
    /* Sorted by the encoded name, then by the value; a name that begins another one goes first. */
    const struct trib_http_header q[] = {{"prefix", "a b"}, {"list-type", "2"}, {"a", "2"}, {"a", "10"}, {"a-b", NULL}};
    char *query = trib_canonical_query(q, 5);
    assert_string_equal(query, "a=10&a=2&a-b=&list-type=2&prefix=a%20b");
    free(query);
    query = trib_canonical_query(NULL, 0);
    assert_string_equal(query, "");
    free(query);
    char date[17];
    trib_amz_date(INT64_C(1795541791999999), date);
    assert_string_equal(date, "20261124T173631Z");
}

static void test_file_hash(void **state)
{
    (void)state;
    char *dir, hash[65], all[65];
    struct trib_err err;
    assert_int_equal(trib_scratch_make(NULL, &dir, &err), 0);
    char *path = trib_asprintf("%s/f", dir);
    size_t n = (size_t)2 << 20;
    char *data = trib_malloc(n + 3);
    memset(data, 'x', n);
    memcpy(data + n, "abc", 3);
    assert_int_equal(trib_fs_real.write(trib_fs_real.ctx, path, (struct trib_view){data, n + 3}, &err), 0);
    assert_int_equal(trib_sha256_hex_part(&trib_fs_real, path, (int64_t)n, 3, hash, &err), 0);
    assert_string_equal(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(trib_sha256_hex_part(&trib_fs_real, path, 0, 0, hash, &err), 0);
    assert_string_equal(hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_int_equal(trib_sha256_hex_file(&trib_fs_real, path, hash, &err), 0);
    trib_sha256_hex((struct trib_view){data, n + 3}, all);
    assert_string_equal(hash, all);
    assert_int_equal(trib_sha256_hex_part(&trib_fs_real, path, (int64_t)n, 4, hash, &err), TRIB_E_DATA);
    assert_int_equal(trib_sha256_hex_file(&trib_fs_real, "/nowhere/at/all", hash, &err), TRIB_E_NOT_FOUND);
    free(data);
    free(path);
    trib_scratch_remove(dir);
    free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_cases),
        cmocka_unit_test(test_s3_examples),
        cmocka_unit_test(test_encoding),
        cmocka_unit_test(test_file_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
