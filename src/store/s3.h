/*
 * s3://bucket/prefix as a store (store.h; spec: delta.md, "Commit on S3 and locally"). Put-if-absent is If-None-Match: *, an unknown outcome
 * is resolved by reading back; large objects by multipart; ranged gets; SSE per prefix; a bounded cache of downloads for
 * the engine. An endpoint_url is addressed path-style, AWS virtual-hosted where the bucket's name allows it.
 */
#ifndef TRIB_STORE_S3_H
#define TRIB_STORE_S3_H

#include "aws/aws.h"
#include "store/store.h"

struct trib_s3_sse {
    const char *prefix; /* "raw/", "bronze/", … ; "" all */
    const char *sse;    /* "kms", "s3", NULL: the bucket's default */
    const char *kms_key;
};
struct trib_s3_opts {
    struct trib_aws *aws; /* [borrow] */
    const char *url;      /* s3://bucket/prefix */
    const struct trib_s3_sse *sse;
    size_t n_sse;
    const char *cache;   /* local folder for downloads; made when missing */
    int64_t cache_bytes; /* bound of it, 0: 1 GiB; files in use are never evicted */
    unsigned parallel;   /* parts of one transfer side by side; 0: 8 */
    int64_t part_bytes;  /* 0: 8 MiB */
    const struct trib_fs *fs;
    const struct trib_rng *rng;
};
TRIB_CHECKED int trib_store_open_s3(const struct trib_s3_opts *o, struct trib_store **ret, struct trib_err *err);

#endif
