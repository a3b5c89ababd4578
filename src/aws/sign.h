/*
 * Signature Version 4 (AWS General Reference, "Create a signed AWS API request"). Pure.
 */
#ifndef TRIB_AWS_SIGN_H
#define TRIB_AWS_SIGN_H

#include "aws/aws.h"

struct trib_sign {
    const char *method;
    const char *host;
    const char *path;                       /* as it stands in the URL (encoded); "" is "/" */
    const char *query;                      /* canonical: encoded, sorted, "" without */
    const struct trib_http_header *headers; /* all to be signed, but host; any order and case */
    size_t n_headers;
    const char *body_sha256;      /* lower-case hex or UNSIGNED-PAYLOAD */
    const char *region, *service; /* signing name: "dynamodb" for streams too */
    bool s3;                      /* the path is not encoded twice, and not normalised */
    int64_t now_us;
};
/* x-amz-date, x-amz-security-token and x-amz-content-sha256 are signed when they stand in headers; the caller adds them. [out]
 * free(): the value of Authorization. ret_canonical (may be NULL): the canonical request, for tests. */
char *trib_sign_v4(const struct trib_sign *s, const struct trib_aws_credentials *c, char **ret_canonical);

/* Percent-encodes all but A-Z a-z 0-9 - . _ ~ (and '/' where keep_slash), upper-case hex. */
void trib_uri_encode(struct trib_view text, bool keep_slash, struct trib_buf *to);
/* Decoded names and values, encoded and sorted: the query of the URL and of the signature. [out] free() */
char *trib_canonical_query(const struct trib_http_header *query, size_t n);
void trib_sha256_hex(struct trib_view data, char to[65]);
/* bytes from offset; fewer are there: DATA. */
TRIB_CHECKED int trib_sha256_hex_part(const struct trib_fs *fs, const char *path, int64_t offset, int64_t bytes,
                                      char to[65], struct trib_err *err);
TRIB_CHECKED int trib_sha256_hex_file(const struct trib_fs *fs, const char *path, char to[65], struct trib_err *err);
/* "20261124T173631Z" */
void trib_amz_date(int64_t us, char to[17]);

#endif
