/* Inside of the S3 store: s3.c (reading, lists), s3_put.c (writing), s3_cache.c (copies). Nobody else includes it. */
#ifndef TRIB_STORE_S3_OWN_H
#define TRIB_STORE_S3_OWN_H

#include "os/fs.h"
#include "store/s3.h"

struct trib_s3 {
    struct trib_store base;
    struct trib_aws *aws;
    const struct trib_fs *fs;
    const struct trib_rng *rng;
    struct trib_s3_cache *cache;
    char *bucket, *root; /* root: "" or "prefix/" */
    bool virtual_host;
    unsigned parallel;
    int64_t part_bytes;
    struct trib_s3_sse *sse; /* own copies */
    size_t n_sse;
};

/* A call for a key below the root; key NULL: for the bucket. Its path is [out] in *ret_path, free() it after the call. */
struct trib_aws_call trib_s3_call(const struct trib_s3 *s, const char *method, const char *key, char **ret_path);
/* What AWS said of a key, for the user: the object's URL before it, a missing bucket told from a missing object. Returns the code. */
int trib_s3_explain(const struct trib_s3 *s, const char *key, struct trib_err *err);
TRIB_CHECKED int trib_s3_check_key(const char *key, struct trib_err *err);

#define TRIB_S3_TOKEN "x-amz-meta-tributary-write" /* says which write made an object */
struct trib_s3_head {
    int64_t size, mtime_us;
    char etag[128];
    char token[40]; /* "": it has none */
};
TRIB_CHECKED int trib_s3_head(struct trib_s3 *s, const char *key, struct trib_s3_head *ret, struct trib_err *err);
/* Whole, to a local file that is created or truncated; CONFLICT when the object is another one than `of` by now. */
TRIB_CHECKED int trib_s3_download(struct trib_s3 *s, const char *key, const struct trib_s3_head *of, const char *path,
                                  struct trib_err *err);
/* base64 of the big-endian CRC-32, as x-amz-checksum-crc32 has it. */
void trib_s3_crc(uint32_t crc, char to[9]);
TRIB_CHECKED int trib_s3_crc_file(const struct trib_fs *fs, const char *path, int64_t offset, int64_t bytes, char to[9],
                                  struct trib_err *err);

/* s3_put.c */
TRIB_CHECKED int trib_s3_put(struct trib_store *base, const char *key, struct trib_view data, bool if_absent,
                             struct trib_err *err);
TRIB_CHECKED int trib_s3_put_file(struct trib_store *base, const char *key, const char *local_path,
                                  struct trib_err *err);

/* s3_cache.c */
TRIB_CHECKED int trib_s3_local(struct trib_store *base, const char *key, char **ret_path, struct trib_err *err);

#endif
