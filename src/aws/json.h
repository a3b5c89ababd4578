/*
 * Calls of the JSON services (DynamoDB, Streams, Kinesis, SSM, SQS): a document in, a document out. Hot answers (records) are
 * not parsed here: use trib_aws_calls and read call.response.body.
 */
#ifndef TRIB_AWS_JSON_H
#define TRIB_AWS_JSON_H

#include <jansson.h>

#include "aws/aws.h"

/* Calls "DynamoDB_20120810.DescribeTable" of service. request [borrow], NULL: {}. [out] json_decref, an object. */
TRIB_CHECKED int trib_aws_json(struct trib_aws *a, const char *service, const char *target, const json_t *request,
                               json_t **ret, struct trib_err *err);
/* An answer's body as an object; DATA, naming `what`, when it is none. [out] json_decref */
TRIB_CHECKED int trib_aws_json_parse(struct trib_view body, const char *what, json_t **ret, struct trib_err *err);
/* One line, keys in the order they were set. [out] free() */
char *trib_aws_json_text(const json_t *j);
/* By a path of members, "Table.StreamSpecification.StreamEnabled"; NULL when it is not there [borrow]. */
json_t *trib_aws_json_at(const json_t *j, const char *path);
const char *trib_aws_json_string(const json_t *j, const char *path);
/* Overwrites all its strings, then lets go of it. For documents that hold secrets. */
void trib_aws_json_wipe(json_t *j);
/* AWS's times: "2026-11-24T17:36:31Z", with a fraction, an offset or " UTC"; false for anything else. */
bool trib_aws_time_us(const char *text, int64_t *ret_us);

#endif
