/* Inside the fake AWS. Everything here is called with the lock held. See fakeaws.h. */
#ifndef TRIB_FAKEAWS_OWN_H
#define TRIB_FAKEAWS_OWN_H

#include <jansson.h>
#include <pthread.h>

#include "dynamodb/item.h"
#include "fakeaws/fakeaws.h"

#define SECOND INT64_C(1000000)
#define HOUR   (3600 * SECOND)
enum { BODY_MAX = 1 << 30, SCAN_BYTES = 1 << 20, ITEM_BYTES = 400 * 1024, SHORT_PAGE = 8 };

__extension__ typedef unsigned __int128 fk_u128;

/* ---- the model --------------------------------------------------------------------------------------------------- */
struct fk_version {
    int64_t time_us;
    char *image;    /* compact JSON; NULL: deleted */
    size_t n, size; /* bytes of text; as DynamoDB counts them */
};
struct fk_item {
    char *key; /* canonical, may hold NUL */
    size_t key_n;
    uint64_t hash, place; /* of the whole key; of the partition key: its place in the hash space */
    char *keys_json;
    json_t *range; /* the range key's value, {"N":"1"}, or NULL */
    struct fk_version *v;
    size_t n, cap;
};
struct fk_index {
    char *name, *hash, *range;
    char hash_type, range_type;
};
struct fk_record {
    fk_u128 seq;
    int64_t time_us;
    char *text;
    size_t n;
};
enum { READS_KEPT = 16 };
struct fk_shard {
    fk_u128
        next; /* sequence numbers grow within a shard; AWS promises nothing across shards, so each begins anywhere */
    char *id, *parent; /* parent NULL: a root */
    uint64_t lo, hi;   /* its part of the hash space, both included */
    fk_u128 start, end;
    bool closed;
    int64_t opened_us, closed_us, rotate_us;
    struct fk_record *records;
    size_t n, cap, trimmed; /* records[0 … trimmed) are gone, texts freed */
    /* limits: recent reads, whose chain of iterators, bytes */
    int64_t read_us[READS_KEPT];
    uint64_t reader[READS_KEPT];
    size_t read_bytes[READS_KEPT], reads;
};
struct fk_stream {
    char *arn, *label, *table, *view, *key_schema;
    int64_t created_us, disabled_us; /* 0: on */
    int64_t last_ms;                 /* of the newest shard's id: ids rise, so a child is listed behind its parent */
    int64_t due_us;                  /* nothing rotates or is trimmed before */
    bool gone;                       /* off for more than 24 h */
    struct fk_shard **shards;
    size_t n, cap;
    int64_t described_us[READS_KEPT];
    size_t describes;
};
struct fk_table {
    char *name, *id, *arn, *hash, *range, *ttl, *kinesis;
    char hash_type, range_type;
    bool forget, kinesis_microsecond, deleted;
    double rcu, spent;                           /* read units spent in the second that began at spent_us */
    int64_t spent_us, created_us, pitr_since_us; /* 0: off */
    struct fk_index *indexes;
    size_t n_indexes;
    struct fk_item **slots; /* open addressing */
    size_t n_slots, n_items, n_live;
    struct fk_item **order; /* by place, range key; [0, ordered) sorted, the rest new */
    size_t ordered, n_order, order_cap;
    struct fk_stream *stream; /* the newest, also when it is off; NULL: never one */
};
struct fk_object {
    char *key;
    char *bytes;
    size_t n;
    char etag[48];
    int64_t time_us;
    struct trib_http_header *meta; /* told again by GET and HEAD */
    size_t n_meta;
};
struct fk_part {
    unsigned number;
    char *bytes;
    size_t n;
    char md5[33];
};
struct fk_upload {
    char *id, *key;
    struct trib_http_header *meta;
    size_t n_meta;
    struct fk_part *parts;
    size_t n, cap;
    int64_t time_us;
};
struct fk_bucket {
    char *name, *region;
    struct fk_object **objects; /* by key, bytes */
    size_t n, cap;
    struct fk_upload *uploads;
    size_t n_uploads, uploads_cap;
    bool versioned; /* told only */
};
struct fk_credential {
    char *key_id, *secret, *token;
    int64_t expires_us;
};
struct fk_plan {
    char *operation;
    unsigned left;
    enum trib_fakeaws_fault fault;
};
struct fk_count {
    char *operation;
    uint64_t n;
};
struct fk_export;
struct fk_kinesis;
struct fk_more; /* queues, parameters, roles: services.c */

struct trib_fakeaws {
    pthread_mutex_t lock;
    struct trib_net net;
    struct trib_seeded rng, chaos_rng; /* the world; faults: so that one does not move the other */
    char *region, *account;
    int64_t now_us, ahead_us, latency_us, last_write_us, rotate_us;
    bool real_clock, no_limits, no_auth;
    fk_u128 sequence;
    uint64_t serial; /* shards, requests, uploads, iterators */
    struct fk_table **tables;
    size_t n_tables, tables_cap;
    struct fk_stream **streams;
    size_t n_streams, streams_cap;
    struct fk_bucket **buckets;
    size_t n_buckets, buckets_cap;
    struct fk_credential *credentials;
    size_t n_credentials, credentials_cap;
    char **denied;
    size_t n_denied, denied_cap;
    struct fk_plan *plans;
    size_t n_plans, plans_cap;
    struct fk_count *counts;
    size_t n_counts, counts_cap;
    uint64_t requests, faults;
    struct trib_fakeaws_chaos chaos;
    struct fk_export **exports;
    size_t n_exports, exports_cap;
    int64_t export_us, export_skew_us; /* export_us < 0: 1 to 10 min by the seed */
    unsigned exports_failing;
    struct fk_kinesis **kinesis;
    size_t n_kinesis, kinesis_cap;
    struct fk_more *more;
};

void fk_lock(struct trib_fakeaws *f); /* also lets time pass: fk_tick */
void fk_unlock(struct trib_fakeaws *f);
__attribute__((noreturn, format(printf, 1, 2))) void fk_bug(const char *fmt, ...);
bool fk_chance(struct trib_fakeaws *f, double p); /* of chaos */
uint64_t fk_hash(const void *p, size_t n, uint64_t seed);
void fk_uuid(struct trib_fakeaws *f, char to[37]);
void fk_hex(const unsigned char *p, size_t n, char *to);
char *fk_base64(const void *p, size_t n);                          /* [out] */
bool fk_base64_decode(struct trib_view text, struct trib_buf *to); /* strict */
void fk_md5(struct trib_view v, unsigned char to[16]);
void fk_sha256(struct trib_view v, unsigned char to[32]);
/* Seconds since the epoch as AWS writes them: 1.46480646E9. */
void fk_time(struct trib_buf *to, int64_t us);
void fk_http_date(int64_t us, char to[40]);
void fk_iso(int64_t us, bool millis, char to[32]); /* 2026-01-01T00:00:00.000Z */

/* model.c */
struct fk_table *fk_table_find(struct trib_fakeaws *f, const char *name_or_arn); /* NULL */
struct fk_table *fk_table_get(struct trib_fakeaws *f, const char *name);         /* or a bug */
struct fk_item *fk_item_find(const struct fk_table *t, const char *key, size_t n);
/* item NULL: delete. false: nothing changed. keys: of fk_key. Takes nothing. */
bool fk_write(struct trib_fakeaws *f, struct fk_table *t, json_t *keys, json_t *item, bool ttl);
const struct fk_version *fk_at(const struct fk_item *i, int64_t at_us); /* NULL or image NULL: not there */
void fk_order(struct fk_table *t);                                      /* order[] is sorted now */
int fk_item_cmp(const struct fk_item *a, const struct fk_item *b);
int fk_place_cmp(const struct fk_item *i, uint64_t place, json_t *range, const char *key, size_t key_n);
void fk_table_free(struct fk_table *t);

/* value.c: attribute values. Texts are AWS's messages. */
/* Checks and normalises in place (numbers, sets, base64): NULL or the message of a ValidationException [out]. */
char *fk_item_check(json_t *item, size_t *ret_size);
/* The table's key attributes of an item or a key (exact: and nothing else): NULL and [out] *ret {"pk":…}, or a message. */
char *fk_key(const struct fk_table *t, json_t *item, bool exact, json_t **ret);
/* The key as bytes, its partition key's place. */
void fk_key_text(const struct fk_table *t, json_t *keys, struct trib_buf *to, uint64_t *ret_place);
int fk_value_cmp(json_t *a, json_t *b); /* of one type S, N, B; by type else */
const char *fk_type(json_t *value, json_t **ret);

/* streams.c */
struct fk_stream *fk_stream_open(struct trib_fakeaws *f, struct fk_table *t, const char *view, unsigned shards);
void fk_stream_close(struct trib_fakeaws *f, struct fk_stream *s);
void fk_stream_write(struct trib_fakeaws *f, struct fk_table *t, const struct fk_item *i, const struct fk_version *was,
                     const struct fk_version *is, bool ttl);
void fk_stream_split(struct trib_fakeaws *f, struct fk_stream *s, struct fk_shard *shard, unsigned into, int64_t at_us);
void fk_stream_tick(struct trib_fakeaws *f, struct fk_stream *s);
void fk_stream_trim(struct fk_stream *s, int64_t before_us);
void fk_stream_free(struct fk_stream *s);
struct fk_shard *fk_shard_open(const struct fk_stream *s, size_t which); /* the which-th open one, or NULL */
fk_u128 fk_next_sequence(struct trib_fakeaws *f);
void fk_seq_text(fk_u128 v, char to[48]);
bool fk_seq_parse(const char *text, fk_u128 *ret);

/* ---- requests ---------------------------------------------------------------------------------------------------- */
struct fk_param {
    char *name, *value; /* decoded */
};
struct fk_req {
    const struct trib_http_request *http;
    char *host, *raw_path, *raw_query, *path; /* path: decoded */
    struct fk_param *params;
    size_t n_params;
    struct trib_view body;
    char *service, *region; /* of the credential's scope, "" unsigned */
    const char *target;     /* operation, behind the dot of X-Amz-Target */
    const struct fk_credential *who;
    char *operation; /* "dynamodb.Scan" */
    json_t *json;
    char *bucket, *key; /* S3 */
};
struct fk_res {
    struct trib_http_response *http;
    char request_id[40];
    int64_t wait_us; /* the reply takes this longer (long polling) */
};
const char *fk_header(const struct fk_req *q, const char *lower_name);
const char *fk_param(const struct fk_req *q, const char *name); /* NULL: absent */
void fk_set(struct fk_res *r, const char *name, const char *value);
void fk_setf(struct fk_res *r, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
struct trib_buf *fk_body(struct fk_res *r);
struct fk_param *fk_params(const char *query, size_t *ret_n); /* [out] fk_params_free */
void fk_params_free(struct fk_param *p, size_t n);
void fk_uri_decode(struct trib_view v, bool plus, struct trib_buf *to);
bool fk_limited(struct trib_fakeaws *f, int64_t *times, size_t *n, unsigned a_second); /* counts it when it is not */

/* An error of a service: JSON or XML as that service has it. */
void fk_error(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r, int status, const char *code,
              const char *fmt, ...) __attribute__((format(printf, 6, 7)));
void fk_fault(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r, enum trib_fakeaws_fault fault);
/* true: the action is allowed; else the error is in r. */
bool fk_allowed(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r, const char *action,
                const char *resource);
/* sigv4.c. true: good; else the error is in r. */
bool fk_verify(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r);

/* json bodies: a text, or NULL when absent */
const char *fk_str(const json_t *o, const char *name);
int64_t fk_int(const json_t *o, const char *name, int64_t absent);

/* expr.c. item NULL: there is none. *ret_bad [out]: a message, NULL when the text is good. */
bool fk_condition(json_t *request, const char *text, json_t *item, char **ret_bad);
char *fk_update(json_t *request, const char *text, json_t *old,
                json_t *item); /* changes item; a message [out] or NULL */

/* dynamodb.c */
bool fk_spent(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r, struct fk_table *t);
void fk_capacity(const struct fk_req *q, struct fk_table *t, double units, struct trib_buf *b);
double fk_read_units(size_t bytes, bool consistent);
int64_t fk_earliest(const struct trib_fakeaws *f, const struct fk_table *t); /* restorable */
int64_t fk_latest(const struct trib_fakeaws *f, const struct fk_table *t);

struct fk_table *fk_table_of(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r); /* or the error */
/* query.c, export.c */
void fk_query(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r);
void fk_export_start(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r);
void fk_export_describe(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r);
void fk_export_list(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r);
void fk_export_tick(struct trib_fakeaws *f);
void fk_export_free(struct fk_export *e);

void fk_dynamodb(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r);
void fk_streams(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r);
/* kinesis.c, services.c */
void fk_kinesis_write(struct trib_fakeaws *f, struct fk_table *t, const struct fk_item *i, const struct fk_version *was,
                      const struct fk_version *is, bool ttl);
void fk_kinesis_tick(struct trib_fakeaws *f);
void fk_kinesis_free(struct fk_kinesis *k);
void fk_kinesis_answer(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r);
void fk_more_free(struct fk_more *m);
void fk_sqs(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r);
void fk_ssm(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r);
void fk_sts(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r);
void fk_s3_url_key(struct trib_buf *b, const char *key); /* as lists and events encode it */

void fk_s3(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r);
const char *fk_s3_operation(const struct fk_req *q);
void fk_s3_route(struct trib_fakeaws *f, struct fk_req *q); /* bucket and key of the URL */
struct fk_bucket *fk_bucket_find(struct trib_fakeaws *f, const char *name);
void fk_object_put(struct trib_fakeaws *f, struct fk_bucket *b, const char *key, struct trib_view bytes);
struct fk_object *fk_object_find(const struct fk_bucket *b, const char *key, size_t *ret_place);
void fk_bucket_free(struct fk_bucket *b);
struct fk_object *fk_object_new(struct trib_fakeaws *f, struct fk_bucket *b, const char *key, struct trib_view bytes);
/* A new object is whole: who asked to be told of it is told (SQS). */
void fk_object_told(struct trib_fakeaws *f, const struct fk_bucket *b, const struct fk_object *o);
void fk_object_del(struct fk_bucket *b, const char *key);
struct trib_http_header *fk_meta_of(const struct fk_req *q, size_t *ret_n);
void fk_meta_free(struct trib_http_header *meta, size_t n);
void fk_tell_sse(struct fk_res *r, const struct trib_http_header *meta, size_t n);
bool fk_sse_good(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r);
bool fk_may_write(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r, const struct fk_bucket *b);
void fk_xml(struct trib_buf *b, const char *text); /* escaped */
/* s3_more.c */
bool fk_sums_good(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r);
void fk_upload_free(struct fk_upload *u);
void fk_s3_create_upload(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, struct fk_bucket *b);
void fk_s3_upload_part(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, struct fk_bucket *b);
void fk_s3_complete_upload(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, struct fk_bucket *b);
void fk_s3_abort_upload(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, struct fk_bucket *b);
void fk_s3_list_uploads(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, struct fk_bucket *b);
void fk_s3_delete_objects(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, struct fk_bucket *b);

#endif
