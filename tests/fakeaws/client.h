/* Plain requests to the fake AWS, signed by the project's own signer: for tests of the fake and for tests that need one. */
#ifndef TRIB_FAKEAWS_CLIENT_H
#define TRIB_FAKEAWS_CLIENT_H

#include <jansson.h>

#include "fakeaws/fakeaws.h"

struct trib_fakeaws_call {
    const char *method, *url; /* method NULL: POST */
    const char *target;       /* X-Amz-Target, or NULL */
    const char *version;      /* of application/x-amz-json-…; NULL: 1.0 */
    const char *service;      /* signing name */
    const char *headers[8];   /* name, value, … */
    struct trib_view body;
    /* to sign wrongly */
    const char *key_id, *secret, *token, *region;
    int64_t skew_us;
    bool unsigned_at_all;
};
/* [out] trib_http_response_free */
void trib_fakeaws_send(struct trib_fakeaws *f, const struct trib_fakeaws_call *c, struct trib_http_response *ret);
/* A JSON service: "dynamodb.Scan", "streams.GetRecords", "kinesis.…", "ssm.…", "sqs.…". The reply's object [out] json_decref (NULL
 * without one); *ret_status: 0 when the connection broke. */
json_t *trib_fakeaws_json(struct trib_fakeaws *f, const char *operation, const char *body, int *ret_status);
/* S3, path-style; path "/bucket/key" encoded. [out] */
void trib_fakeaws_s3(struct trib_fakeaws *f, const char *method, const char *path_and_query, struct trib_view body,
                     const char *header, const char *value, struct trib_http_response *ret);

#endif
