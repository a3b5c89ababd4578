/* Inside the landing's bookkeeping: landing.c (the model), landing_doc.c (its JSON), landing_io.c (the store). */
#ifndef TRIB_STAGE_LANDING_OWN_H
#define TRIB_STAGE_LANDING_OWN_H

#include "stage/landing.h"

enum { TRIB_LANDING_VERSION = 1, TRIB_LANDING_DOC_MAX = 64 << 20 };

/* [out] free() */
char *trib_landing_path(const struct trib_landing *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Documents: text ← struct, struct ← text. `key` is for messages. UNSUPPORTED for a newer version, DATA for what is no such document. */
void trib_landing_epoch_write(const struct trib_landing_epoch *e, struct trib_buf *to);
TRIB_CHECKED int trib_landing_epoch_read(struct trib_view text, const char *key, struct trib_landing_epoch *ret,
                                         struct trib_err *err);
void trib_landing_shard_write(const struct trib_landing_shard *s, struct trib_buf *to);
TRIB_CHECKED int trib_landing_shard_read(struct trib_view text, const char *key, struct trib_landing_shard *ret,
                                         struct trib_err *err);
void trib_landing_end_write(const char *last, struct trib_buf *to);
TRIB_CHECKED int trib_landing_end_read(struct trib_view text, const char *key, char ret_last[TRIB_POSITION_DIGITS + 1],
                                       struct trib_err *err);
void trib_landing_snapshot_write(const struct trib_landing_snapshot *s, struct trib_buf *to);
TRIB_CHECKED int trib_landing_snapshot_read(struct trib_view text, const char *key, struct trib_landing_snapshot *ret,
                                            struct trib_err *err);
/* The hint: of open shards. Those that l does not know are left out. */
void trib_landing_positions_write(const struct trib_landing *l, int64_t now_us, struct trib_buf *to);
TRIB_CHECKED int trib_landing_positions_read(struct trib_view text, const char *key, struct trib_landing *l,
                                             int64_t *ret_written_us, struct trib_err *err);

/* Where a shard stands, or belongs. */
size_t trib_landing_place(const struct trib_landing *l, const char *stream, const char *shard, bool *ret_found);
void trib_landing_epoch_free(struct trib_landing_epoch *e);
/* Sorts the marks and sets the label: what trib_landing_epoch_of looks for, for each record. */
void trib_landing_epoch_ready(struct trib_landing_epoch *e);
void trib_landing_shard_free(struct trib_landing_shard *s);
void trib_landing_snapshot_free(struct trib_landing_snapshot *s);
void trib_landing_epoch_copy(const struct trib_landing_epoch *e, struct trib_landing_epoch *ret);
void trib_landing_shard_copy(const struct trib_landing_shard *s, struct trib_landing_shard *ret);
void trib_landing_snapshot_copy(const struct trib_landing_snapshot *s, struct trib_landing_snapshot *ret);

#endif
