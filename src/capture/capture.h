/*
 * Capture: a live source → objects in the landing (spec: merge.md, Epochs, Bootstrap; dynamodb.md; interface.md).
 *
 * A state machine: step(now) issues what is due (reads of many shards side by side, a page of each segment of a scan, a look at an export),
 * lands what its buffers hold when size or interval ask for it, and says when it is due next. Nothing is acknowledged: a
 * position is what the landing holds. A crash loses buffers only, which are read again.
 */
#ifndef TRIB_CAPTURE_CAPTURE_H
#define TRIB_CAPTURE_CAPTURE_H

#include "aws/aws.h"
#include "stage/landing.h"

enum trib_bootstrap { TRIB_BOOTSTRAP_SCAN, TRIB_BOOTSTRAP_EXPORT, TRIB_BOOTSTRAP_NONE };

struct trib_capture_opts {
    const char *pipeline, *table;
    struct trib_aws *aws;   /* [borrow] */
    const char *stream_arn; /* pinned; NULL: the table's own */
    const char *kinesis;    /* name or ARN of a Kinesis stream, which is captured instead; NULL: DynamoDB Streams */
    enum trib_bootstrap bootstrap;
    const char *bucket, *prefix; /* of exports */
    const char *const *keys;
    size_t n_keys;
    int64_t buffer_bytes, buffer_interval_us;
    unsigned buckets;  /* 0: none */
    unsigned segments; /* of a scan; 0: 4 */
    double rate;       /* read capacity units a second; 0: half of what is there */
    int64_t margin_us; /* between opening and snapshot; merge.md: 5 min */
    bool once;         /* drain: caught up with the first step's time, then done */
};

struct trib_capture_shard_status {
    const char *shard;
    int64_t lag_us;      /* -1 unknown */
    int64_t headroom_us; /* until what is not read yet is trimmed */
};
struct trib_capture;
TRIB_CHECKED int trib_capture_new(const struct trib_env *env, const struct trib_capture_opts *o,
                                  struct trib_capture **ret, struct trib_err *err);
void trib_capture_free(struct trib_capture *c);
/*
 * worked: landed something, or more is due at once. due_us: when something is due next, INT64_MAX when all is done (once).
 * Errors: the service's, with the remedy; a throttle is no error, it moves due_us.
 */
TRIB_CHECKED int trib_capture_step(struct trib_capture *c, int64_t now_us, struct trib_step *ret, struct trib_err *err);
/* Lands every buffer now (drain, SIGTERM). */
TRIB_CHECKED int trib_capture_flush(struct trib_capture *c, int64_t now_us, struct trib_step *ret,
                                    struct trib_err *err);
/* once: everything up to the first step's time is landed, and the bootstrap, where one is needed, is sealed. */
bool trib_capture_done(const struct trib_capture *c);

#endif
