/*
 * A fake AWS for tests (spec: testing.md, "scripted services"; dynamodb.md): DynamoDB, DynamoDB Streams, Kinesis, S3, SQS, SSM, STS
 * over one model, deterministic from a seed and a scripted clock. It does what emulators do not: shard splits and lineage,
 * trims, lies of DescribeStream, expired iterators, limits, exports; it verifies signatures (by code of its own), payload hashes
 * and required headers, and refuses what AWS refuses with AWS's codes and shapes.
 *
 * Two fronts: trib_fakeaws_net() in this process, and the program fakeaws_server on loopback (trib_fakeaws_handle).
 * The writer's truth is asked by trib_fakeaws_item and trib_fakeaws_each: the state of every key at every time.
 * Never touches the network or a file, but for body_path and to_path of a request. Threads: any, one lock inside.
 * Names given to it that do not exist are bugs of the test: it aborts with a message.
 */
#ifndef TRIB_FAKEAWS_H
#define TRIB_FAKEAWS_H

#include "net/http.h"

/* Long-lived credentials that are always there. */
#define TRIB_FAKEAWS_KEY_ID "AKIAFAKEAWSEXAMPLE00"
#define TRIB_FAKEAWS_SECRET "fake/secret+that/opens/nothing/at/all/01"

struct trib_fakeaws_opts {
    uint64_t seed;
    int64_t now_us;      /* 0: 2026-01-01T00:00:00Z */
    const char *region;  /* NULL: eu-west-1 */
    const char *account; /* NULL: 123456789012 */
    int64_t latency_us;  /* scripted time that a request takes; 0: 3 ms; -1: none */
    bool real_clock;     /* the system's, plus what trib_fakeaws_advance added */
    bool no_limits;      /* requests and bytes a second, readers of a shard: not counted (benchmarks) */
    bool no_auth;        /* signatures are not looked at */
};
struct trib_fakeaws;
struct trib_fakeaws *trib_fakeaws_new(const struct trib_fakeaws_opts *o); /* [out] trib_fakeaws_free */
void trib_fakeaws_free(struct trib_fakeaws *f);
/* The front in this process; its sleep_us moves the scripted clock. [borrow] */
const struct trib_net *trib_fakeaws_net(struct trib_fakeaws *f);
struct trib_clock trib_fakeaws_clock(struct trib_fakeaws *f); /* [borrow] */
int64_t trib_fakeaws_now_us(struct trib_fakeaws *f);
/* Time passes: shards rotate (every 4 h), records are trimmed (24 h), iterators and credentials expire, exports end. */
void trib_fakeaws_advance(struct trib_fakeaws *f, int64_t us);

/* ---- who may call ------------------------------------------------------------------------------------------------ */
/* Further credentials; token NULL: long-lived. Given again: replaced. */
void trib_fakeaws_credential(struct trib_fakeaws *f, const char *key_id, const char *secret, const char *token,
                             int64_t expires_us);
/* An IAM action is denied to everybody ("dynamodb:Scan", "s3:PutObject"), or allowed again. */
void trib_fakeaws_deny(struct trib_fakeaws *f, const char *action, bool denied);

/* ---- tables ------------------------------------------------------------------------------------------------------ */
struct trib_fakeaws_index {
    const char *name, *hash, *range; /* range NULL: none */
    char hash_type, range_type;      /* 'S', 'N', 'B' */
};
struct trib_fakeaws_table {
    const char *name, *hash, *range;
    char hash_type, range_type; /* 0: 'S' */
    const char *view;           /* NULL: no stream; "NEW_AND_OLD_IMAGES", … */
    unsigned shards;            /* of the stream at the start; 0: 1 */
    bool pitr;
    const char *ttl;     /* attribute (seconds); items past it go when trib_fakeaws_expire_due is called */
    double rcu;          /* provisioned read capacity units a second; 0: on demand, never throttled */
    const char *kinesis; /* name of a Kinesis stream that gets the changes, or NULL */
    bool kinesis_microsecond;
    const struct trib_fakeaws_index *indexes; /* global, all attributes projected */
    size_t n_indexes;
    bool forget; /* keep the newest state of each key only: no truth by time, no exports of the past (benchmarks) */
};
void trib_fakeaws_create_table(struct trib_fakeaws *f, const struct trib_fakeaws_table *t);
void trib_fakeaws_delete_table(struct trib_fakeaws *f, const char *table); /* its stream stays readable for 24 h */
void trib_fakeaws_pitr(struct trib_fakeaws *f, const char *table, bool on);

/* The writer. item and key are DynamoDB JSON, {"pk":{"S":"a"},…}. Returns the time of the write (µs, never twice the same);
 * -1 when nothing changed: such a write emits nothing. */
int64_t trib_fakeaws_put(struct trib_fakeaws *f, const char *table, const char *item);
int64_t trib_fakeaws_delete(struct trib_fakeaws *f, const char *table, const char *key);
int64_t trib_fakeaws_delete_ttl(struct trib_fakeaws *f, const char *table, const char *key); /* as TTL does it */
size_t trib_fakeaws_expire_due(struct trib_fakeaws *f, const char *table); /* all whose TTL has passed: how many */

/* The truth: the item at this time (INT64_MAX: now), canonical DynamoDB JSON, or NULL. [out] free() */
char *trib_fakeaws_item(struct trib_fakeaws *f, const char *table, const char *key, int64_t at_us);
/* Every item that lives at this time, in no promised order. The lock is held: visit must not call the fake. */
size_t trib_fakeaws_each(struct trib_fakeaws *f, const char *table, int64_t at_us,
                         void (*visit)(void *ctx, const char *key, const char *item), void *ctx);

/* ---- streams ----------------------------------------------------------------------------------------------------- */
char *trib_fakeaws_stream_arn(struct trib_fakeaws *f,
                              const char *table); /* the newest; NULL: never one. [out] free() */
void trib_fakeaws_stream_off(struct trib_fakeaws *f, const char *table);
void trib_fakeaws_stream_on(struct trib_fakeaws *f, const char *table, const char *view); /* a new ARN */
/* Closes an open shard (which: 0 …, in the order of their ids) and opens `into` children: 1 rotates, 2 splits. */
void trib_fakeaws_split(struct trib_fakeaws *f, const char *table, size_t which, unsigned into);
size_t trib_fakeaws_open_shards(struct trib_fakeaws *f, const char *table);
/* Drops records older than this from the newest stream before their 24 h are over, and closed shards without any left. */
void trib_fakeaws_trim(struct trib_fakeaws *f, const char *table, int64_t before_us);
void trib_fakeaws_rotate_every(struct trib_fakeaws *f, int64_t us); /* default 4 h; 0: never */

/* ---- exports: of tables with PITR, into the fake's S3 -------------------------------------------------------------- */
/* take_us: how long one takes, -1: 1 to 10 minutes by the seed (the default); skew_us: AWS's clock is ahead of ours by this;
 * failing: that many end FAILED. */
void trib_fakeaws_exports(struct trib_fakeaws *f, int64_t take_us, int64_t skew_us, unsigned failing);

/* ---- Kinesis: create the stream, then a table that names it ------------------------------------------------------------ */
void trib_fakeaws_kinesis(struct trib_fakeaws *f, const char *stream, unsigned shards,
                          int64_t retention_us); /* 0: 24 h */
/* Gone with all it holds; a stream made under its name later has the same ARN, names of shards, and another creation time. */
void trib_fakeaws_kinesis_delete(struct trib_fakeaws *f, const char *stream);
/* Somebody else puts these bytes into it; place: its hash, of 64 bits. */
void trib_fakeaws_kinesis_put(struct trib_fakeaws *f, const char *stream, uint64_t place, const char *data);
/* which: 0 …, of the open shards in the order of their hash keys. A merge joins it with the next one. */
void trib_fakeaws_kinesis_split(struct trib_fakeaws *f, const char *stream, size_t which);
void trib_fakeaws_kinesis_merge(struct trib_fakeaws *f, const char *stream, size_t which);
size_t trib_fakeaws_kinesis_open(struct trib_fakeaws *f, const char *stream);
uint64_t trib_fakeaws_kinesis_dropped(struct trib_fakeaws *f, const char *stream); /* FailedToReplicateRecordCount */
/* From now on the table's changes carry microseconds, or milliseconds: it may change on a live stream. */
void trib_fakeaws_kinesis_precision(struct trib_fakeaws *f, const char *table, bool microsecond);

/* ---- SQS, SSM, STS ----------------------------------------------------------------------------------------------- */
void trib_fakeaws_queue(struct trib_fakeaws *f, const char *queue);
void trib_fakeaws_queue_send(struct trib_fakeaws *f, const char *queue, const char *body);
size_t trib_fakeaws_queue_count(struct trib_fakeaws *f, const char *queue); /* messages, those in flight too */
/* Objects made in the bucket from now on are told to the queue as S3 events. */
void trib_fakeaws_bucket_events(struct trib_fakeaws *f, const char *bucket, const char *queue);
void trib_fakeaws_parameter(struct trib_fakeaws *f, const char *name, const char *value);
/* May be assumed; external_id NULL: none asked for; web_token: by AssumeRoleWithWebIdentity with this token. */
void trib_fakeaws_role(struct trib_fakeaws *f, const char *arn, const char *external_id, const char *web_token);

/* ---- S3 ---------------------------------------------------------------------------------------------------------- */
void trib_fakeaws_bucket(struct trib_fakeaws *f, const char *bucket, const char *region); /* region NULL: the fake's */
void trib_fakeaws_object_put(struct trib_fakeaws *f, const char *bucket, const char *key, struct trib_view bytes);
void trib_fakeaws_object_delete(struct trib_fakeaws *f, const char *bucket, const char *key);
void trib_fakeaws_bucket_versioning(struct trib_fakeaws *f, const char *bucket, bool on); /* what it tells, no more */
/* false: not there. ret may be NULL. [out] trib_buf_free */
bool trib_fakeaws_object_get(struct trib_fakeaws *f, const char *bucket, const char *key, struct trib_buf *ret);
size_t trib_fakeaws_object_count(struct trib_fakeaws *f, const char *bucket, const char *prefix);

/* ---- faults ------------------------------------------------------------------------------------------------------ */
enum trib_fakeaws_fault {
    TRIB_FAKEAWS_OK,
    TRIB_FAKEAWS_THROTTLE,   /* the service's own code for it */
    TRIB_FAKEAWS_500,        /* InternalServerError; nothing was done */
    TRIB_FAKEAWS_503,        /* ServiceUnavailable, SlowDown; nothing was done */
    TRIB_FAKEAWS_RESET,      /* the connection breaks, nothing was done */
    TRIB_FAKEAWS_LOST,       /* done, and the reply is lost */
    TRIB_FAKEAWS_500_DONE,   /* done, and the reply is a 500 */
    TRIB_FAKEAWS_TRUNCATED,  /* done, the reply's body is cut short */
    TRIB_FAKEAWS_SLOW,       /* done, after slow_us */
    TRIB_FAKEAWS_EXPIRED,    /* ExpiredToken; nothing was done */
    TRIB_FAKEAWS_NO_CONNECT, /* refused: surely nothing was done */
};
/* Probabilities of each, per request; all zero (the default): none. */
struct trib_fakeaws_chaos {
    double throttle, e500, e503, reset, lost, e500_done, truncated, slow, expired;
    double describe_lies; /* per DescribeStream: children or a closed leaf's end missing, a page cut short */
    double empty_page;    /* per GetRecords with records to give: an empty page first */
    double short_page;    /* per GetRecords and Scan: a few records at most, though there are more */
    double extra_page;    /* per end of a shard: one more iterator, that gives an empty page */
    double kinesis_twice, kinesis_reorder, kinesis_drop; /* per change sent to Kinesis */
    double s3_conflict;                                  /* per conditional write: 409, nothing done */
    double rotate, split;                                /* per write: a random open shard of the stream */
    int64_t slow_us;                                     /* 0: 20 s */
};
void trib_fakeaws_chaos(struct trib_fakeaws *f, const struct trib_fakeaws_chaos *c);
/* Exactly one fault: at the nth (1: the next) request of this operation ("dynamodb.Scan", "streams.GetRecords",
 * "s3.PutObject", … ; NULL: of any). Several may be planted. */
void trib_fakeaws_plant(struct trib_fakeaws *f, const char *operation, unsigned nth, enum trib_fakeaws_fault fault);
/* Requests so far of an operation (NULL: of all), those with faults too. */
uint64_t trib_fakeaws_requests(struct trib_fakeaws *f, const char *operation);
uint64_t trib_fakeaws_faults(struct trib_fakeaws *f); /* that chaos or a plan made */

/* ---- for a front of its own -------------------------------------------------------------------------------------- */
/* What happened on the wire: after reply_bytes of the body the connection breaks (-1: never; 0 with status 0: at once). */
struct trib_fakeaws_wire {
    int64_t cut_at, delay_us;
    bool refused;
};
/* One request; the body is in request->body. The response is filled as if it came whole. */
void trib_fakeaws_handle(struct trib_fakeaws *f, const struct trib_http_request *request,
                         struct trib_http_response *response, struct trib_fakeaws_wire *ret_wire);

#endif
