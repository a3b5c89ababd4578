/*
 * Inside capture: feed.c (shards, lineage, reading), streams.c and kinesis.c (the services they come from), land.c (buffers → objects), scan.c (the snapshot by scan),
 * table.c (calls about the table), capture.c (the stage). Nobody else includes this.
 */
#ifndef TRIB_CAPTURE_OWN_H
#define TRIB_CAPTURE_OWN_H

#include "capture/capture.h"

#define TRIB_SECOND_US ((int64_t)1000000)
#define TRIB_HOUR_US   (3600 * TRIB_SECOND_US)

/* ---- table.c: what DynamoDB says about the table and its stream --------------------------------------------------- */

struct trib_table_info {
    char *arn, *id;
    char *stream_arn; /* the newest stream, NULL: none was ever on */
    bool stream_on;
    char *view;           /* stream view type, "" without */
    int64_t items, bytes; /* by DynamoDB's count, six hours old at most */
};
TRIB_CHECKED int trib_table_describe(struct trib_aws *aws, const char *table, struct trib_table_info *ret,
                                     struct trib_err *err);
void trib_table_info_free(struct trib_table_info *t);

/* One call of a JSON service; its reply's body. [out] trib_buf_free on success only */
TRIB_CHECKED int trib_capture_call(struct trib_aws *aws, const char *service, const char *target,
                                   const struct trib_buf *body, struct trib_buf *ret, struct trib_err *err);

/* One member of a reply's top level as text (strings unescaped), NULL when it is absent or null. [out] free() */
char *trib_reply_text(struct trib_view reply, const char *name);
/* The member's value as it stands; n 0: absent. Nothing else of the reply is looked at. */
struct trib_view trib_reply_value(struct trib_view reply, const char *name);

/* An array's elements that are objects, in order; stops where fn does not return 0. */
TRIB_CHECKED int trib_reply_each(struct trib_view array,
                                 int (*fn)(void *ctx, struct trib_view object, struct trib_err *err), void *ctx,
                                 struct trib_err *err);
/* Whole number of a member; 0: absent, or none. */
int64_t trib_reply_number(struct trib_view reply, const char *name);

/* ---- protocols: what feed.c must know of a service (streams.c: DynamoDB Streams; kinesis.c) -------------------------- */

struct trib_stream {
    const struct trib_feed_protocol *protocol;
    char *arn;   /* for calls */
    char *pin;   /* this very stream, not one made again under its name: epochs name it */
    char *label; /* names its objects and documents */
};
void trib_stream_free(struct trib_stream *s);

struct trib_found_shard {
    char *id, *parent, *adjacent; /* parents NULL: none named; adjacent: the second of a merge */
};
struct trib_found {
    struct trib_found_shard *shards; /* in order of ids */
    size_t n, cap;
    int64_t retention_us; /* what was written is kept this long */
    int pages;            /* calls that it took */
    bool replaced;        /* another stream stands under this name now */
    bool closed;          /* nothing will be written to it any more: once all is read, look for its successor */
};
void trib_found_free(struct trib_found *f);
/* Adds an element of a listing; for trib_reply_each, ctx: the trib_found. */
int trib_found_each(void *ctx, struct trib_view one, struct trib_err *err);
/* In order, each once: pages of an inconsistent listing may overlap. */
void trib_found_sort(struct trib_found *f);

/* What an error of a call about a shard means. */
enum trib_trouble {
    TRIB_TROUBLE_FATAL,    /* told */
    TRIB_TROUBLE_LATER,    /* again in a while */
    TRIB_TROUBLE_ITERATOR, /* again with a new iterator */
    TRIB_TROUBLE_TRIMMED,  /* records are lost, reading goes on at the horizon */
    TRIB_TROUBLE_GONE,     /* so is the shard */
    TRIB_TROUBLE_LOOK,     /* the stream may be another now: look which shards there are, then again */
};

struct trib_trouble_code {
    const char *code; /* the service's */
    enum trib_trouble means;
};
/* By the service's code; else whether it may be tried again. */
enum trib_trouble trib_trouble_of(const struct trib_err *why, const struct trib_trouble_code *known, size_t n);
/* The end of a GetShardIterator request: which shard, and behind which number (NULL: from TRIM_HORIZON). */
void trib_iterator_place(const char *shard, const char *after, const char *number_name, struct trib_buf *to);

struct trib_shard_record {
    char digits[TRIB_POSITION_DIGITS + 1];
    enum trib_record_is {
        TRIB_RECORD_CHANGE,
        TRIB_RECORD_FOREIGN, /* of another table */
        TRIB_RECORD_BAD,     /* unreadable: kept below _errors/ with its reason */
    } is;
    struct trib_view text; /* of a change: the JSON object to land; else as the service gave it */
    int64_t time_us;
    const char *reason;
};
typedef int (*trib_shard_record_fn)(void *ctx, const struct trib_shard_record *r, struct trib_err *err);

struct trib_feed_protocol {
    const char *service, *iterator_target, *records_target;
    unsigned reads;         /* side by side: a page's size bounds it */
    int64_t busy_us;        /* between reads of one shard */
    int64_t bytes_a_second; /* of one shard; 0: not counted */
    int64_t iterator_us;    /* an iterator is good for */
    int64_t quiet_us;       /* empty pages over this long: nothing older is on its way */
    int64_t disorder_us;    /* a record may come this much after one that was written later */
    bool by_time;           /* the creation time orders changes, not the place: epochs begin at a time (since_us) */
    TRIB_CHECKED int (*open)(const struct trib_capture_opts *o, const struct trib_table_info *t,
                             struct trib_stream *ret, struct trib_err *err);
    /* All shards. NOT_FOUND: the stream is gone. */
    TRIB_CHECKED int (*list)(struct trib_aws *aws, const struct trib_stream *s, struct trib_found *ret,
                             struct trib_err *err);
    void (*iterator_body)(const struct trib_stream *s, const char *shard,
                          const char *after /* without zeros in front; NULL: from TRIM_HORIZON */, struct trib_buf *to);
    enum trib_trouble (*trouble)(const struct trib_err *why);
    /* Every record of a page, in order. */
    TRIB_CHECKED int (*records)(const struct trib_stream *s, const char *table, const char *shard,
                                struct trib_view reply, trib_shard_record_fn fn, void *ctx, struct trib_err *err);
    /* How far this page's end is behind the newest record; 0: all is read. */
    int64_t (*behind_us)(struct trib_view reply);
};
extern const struct trib_feed_protocol trib_protocol_streams, trib_protocol_kinesis;

/* Clocks differ by this at most: ours and those that stamp records (merge.md: AWS allows 1 min). */
#define TRIB_SKEW_US (60 * TRIB_SECOND_US)

/* ---- land.c: buffers → objects ------------------------------------------------------------------------------------ */

/* Records of one shard that are read and not landed. */
struct trib_pile {
    struct trib_buf lines; /* a record a line */
    size_t n;
    int64_t since_us;      /* when the first came; 0 while empty */
    int64_t first_time_us; /* creation time of the first record: names the hour */
    char first[TRIB_POSITION_DIGITS + 1], last[TRIB_POSITION_DIGITS + 1];
};
enum { TRIB_PILE_MAX_BYTES = 256 << 20 };
void trib_pile_init(struct trib_pile *p);
void trib_pile_free(struct trib_pile *p);
void trib_pile_clear(struct trib_pile *p);
/* record: one JSON object; line breaks between its tokens become spaces. */
void trib_pile_add(struct trib_pile *p, struct trib_view record, const char *digits, int64_t time_us, int64_t now_us);

/*
 * Lands a pile and moves the shard's position. *ret_lost: another process had landed from the same first record; the position is
 * its end now, and what the pile holds beyond it must be read again.
 */
TRIB_CHECKED int trib_land(struct trib_landing *l, struct trib_landing_shard *s, struct trib_pile *p, bool *ret_lost,
                           struct trib_err *err);
/* trib_landing_end_fn; ctx: the lake (struct trib_store). */
int trib_landed_end(void *ctx, const char *lake_key, char ret_last[TRIB_POSITION_DIGITS + 1], struct trib_err *err);
/* Records that cannot be read, a line each, of one page: _errors/<stream>.<shard>.<first>.<last>.jsonl. The name tells the content, so that
 * one that is there already is this one. */
TRIB_CHECKED int trib_land_errors(struct trib_landing *l, const struct trib_landing_shard *s, const char *first,
                                  const char *last, struct trib_view lines, struct trib_err *err);
TRIB_CHECKED int trib_zstd(struct trib_view data, struct trib_buf *to, struct trib_err *err);

/* ---- feed.c: the shards of one stream ----------------------------------------------------------------------------- */

struct trib_feed;
/* [take] stream */
struct trib_feed *trib_feed_new(const struct trib_env *env, const struct trib_capture_opts *o, struct trib_landing *l,
                                struct trib_stream *stream);
void trib_feed_free(struct trib_feed *f);
/* Looks which shards there are, where that is due or `now_or_never`. Shards that are new get their documents; a shard of unknown
 * ancestry, or one that is gone with records unread, opens an epoch. */
TRIB_CHECKED int trib_feed_discover(struct trib_feed *f, int64_t now_us, bool force, struct trib_err *err);
/* Reads what is due, side by side. *ret_records: read now. */
TRIB_CHECKED int trib_feed_read(struct trib_feed *f, int64_t now_us, int64_t *ret_records, struct trib_err *err);
/* Lands what size or interval ask for, or all. Ends of shards are written once everything before is landed. */
TRIB_CHECKED int trib_feed_land(struct trib_feed *f, int64_t now_us, bool all, int64_t *ret_records, int64_t *ret_bytes,
                                struct trib_err *err);
int64_t trib_feed_due_us(const struct trib_feed *f);
/* Everything written before `us` is read (not: landed): each open shard had empty pages for two seconds since then, or a
 * record written later; and the shards were looked at since the last one ended. */
bool trib_feed_caught_up(const struct trib_feed *f, int64_t us);
/* Another stream stands under this name: what is read is landed, then this feed is of no more use. */
bool trib_feed_replaced(const struct trib_feed *f);
const char *trib_feed_label(const struct trib_feed *f); /* of its stream. [borrow] */
/* Where each shard of a stream stands now, ended ones too (landing.h: one that is not named was found later); the caller frees the array, the texts
 * are borrowed from the landing. */
struct trib_landing_mark *trib_feed_marks(const struct trib_landing *l, const char *label, size_t *ret_n);

/* ---- scan.c: a snapshot by scan ----------------------------------------------------------------------------------- */

struct trib_scan;
struct trib_scan *trib_scan_new(const struct trib_env *env, const struct trib_capture_opts *o, struct trib_landing *l,
                                unsigned epoch);
void trib_scan_free(struct trib_scan *s);
/* A page of each segment that has one left; *ret_done once all pages are landed. */
TRIB_CHECKED int trib_scan_step(struct trib_scan *s, int64_t now_us, int64_t *ret_items, bool *ret_done,
                                struct trib_err *err);
int64_t trib_scan_due_us(const struct trib_scan *s);
/* Of a scan that is done: begin and end of its reads, its files. [borrow] */
void trib_scan_result(struct trib_scan *s, int64_t *ret_begin_us, int64_t *ret_end_us,
                      const struct trib_landing_file **ret_files, size_t *ret_n);

#endif
