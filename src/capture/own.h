/*
 * Inside capture: feed.c (shards, lineage, reading), land.c (buffers → objects), scan.c (the snapshot by scan),
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

struct trib_found_shard {
    char *id, *parent; /* parent NULL: none named */
    bool closed;
};
struct trib_found {
    struct trib_found_shard *shards; /* in order of ids */
    size_t n, cap;
    char *view;   /* stream view type */
    char *status; /* ENABLED, DISABLED, … */
    int pages;    /* calls that it took */
};
/* All pages of DescribeStream. NOT_FOUND: the stream is gone. */
TRIB_CHECKED int trib_stream_describe(struct trib_aws *aws, const char *arn, struct trib_found *ret,
                                      struct trib_err *err);
void trib_found_free(struct trib_found *f);

/* One member of a reply's top level as text (strings unescaped), NULL when it is absent or null. [out] free() */
char *trib_reply_text(struct trib_view reply, const char *name);
/* The member's value as it stands; n 0: absent. Nothing else of the reply is looked at. */
struct trib_view trib_reply_value(struct trib_view reply, const char *name);

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
TRIB_CHECKED int trib_zstd(struct trib_view data, struct trib_buf *to, struct trib_err *err);

/* ---- feed.c: the shards of one stream ----------------------------------------------------------------------------- */

struct trib_feed;
struct trib_feed *trib_feed_new(const struct trib_env *env, const struct trib_capture_opts *o, struct trib_landing *l,
                                const char *arn);
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
/* Where each shard of the stream stands now, ended ones too (landing.h: one that is not named was found later); the caller frees the array, the texts are borrowed from the landing. */
struct trib_landing_mark *trib_feed_marks(const struct trib_feed *f, size_t *ret_n);

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
