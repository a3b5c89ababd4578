/*
 * s3://bucket/prefix as a store (store.h; spec: delta.md, "Commit on S3 and locally"). Put-if-absent is If-None-Match: *, an unknown outcome
 * is resolved by reading back; large objects by multipart; ranged gets; SSE per prefix; a bounded cache of downloads for
 * the engine. An endpoint_url is addressed path-style, AWS virtual-hosted where the bucket's name allows it.
 */
#ifndef TRIB_STORE_S3_H
#define TRIB_STORE_S3_H

#include "aws/aws.h"
#include "store/store.h"

/*
 * Copies of objects in a local folder, for what reads by path. One for a process; several processes may share the folder. A copy is
 * found again by bucket, key, ETag and size, the oldest go when there are more than `bytes` of them. What was given is linked under
 * a name of this process's own, so that nobody's eviction takes it away, until it is released here, or this process ends.
 * A crash leaves such links, which the next process to open the folder removes, and whole copies.
 * Threads: any.
 */
struct trib_s3_cache;
/* folder: made at the first copy. bytes: bound of what nobody uses; 0: 1 GiB. [out] trib_s3_cache_free */
struct trib_s3_cache *trib_s3_cache_new(const struct trib_fs *fs, const char *folder, int64_t bytes);
void trib_s3_cache_free(struct trib_s3_cache *c); /* releases everything */
/* No path that was given is read any more. */
void trib_s3_cache_release(struct trib_s3_cache *c);

struct trib_s3_sse {
    const char
        *prefix; /* of keys below the store's root: "raw/", "bronze/", …; "" all. The longest one that fits counts */
    const char *sse; /* "kms", "s3", NULL: the bucket's default */
    const char *kms_key;
};
struct trib_s3_opts {
    struct trib_aws *aws; /* [borrow] */
    const char *url;      /* s3://bucket/prefix */
    const struct trib_s3_sse *sse;
    size_t n_sse;
    struct trib_s3_cache *cache; /* [borrow]; NULL: nothing is given by path */
    unsigned parallel;           /* parts of one transfer side by side; 0: 8 */
    int64_t part_bytes;          /* of an upload or a download in parts; 0: 8 MiB */
    const struct trib_fs *fs;
    const struct trib_rng *rng; /* never the same numbers in two lives: they tell our writes from others' */
};
/* CONFIG for a URL that names no bucket. Nothing is asked of AWS yet. [out] trib_store_free */
TRIB_CHECKED int trib_store_open_s3(const struct trib_s3_opts *o, struct trib_store **ret, struct trib_err *err);

#endif
