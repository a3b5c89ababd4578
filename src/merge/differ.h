/*
 * Items of a source against Silver's rows, by key and by value (`verify`). An item's digest stands for it; the engine joins
 * and spills, so memory does not grow with the table. A target with `where` holds the items that satisfy it; a row that
 * is deleted is no row. Reads only.
 *
 * Order: source, then compare; then, as often as wanted, the differing keys' items again and compare again: only those keys count.
 * Threads: one.
 */
#ifndef TRIB_MERGE_DIFFER_H
#define TRIB_MERGE_DIFFER_H

#include "merge/merge.h"

/* The next item, raw DynamoDB JSON, valid until the next call; n 0: that was all. */
typedef int (*trib_item_fn)(void *ctx, struct trib_view *ret_item, struct trib_err *err);
/* Keys, each {"pk":{"S":"…"}}: their items are what trib_item_fn gives next. */
typedef int (*trib_keys_fn)(void *ctx, const struct trib_view *keys, size_t n, struct trib_err *err);
typedef void (*trib_rows_fn)(void *ctx, const struct trib_chunk *rows);

struct trib_differ;
/* targets: without those of history; at least one. env and targets are borrowed. */
TRIB_CHECKED int trib_differ_new(const struct trib_env *env, const struct trib_merge_opts *const *targets, size_t n,
                                 struct trib_differ **ret, struct trib_err *err);
void trib_differ_free(struct trib_differ *d);

/* The source: all of its items, *ret_items of them. */
TRIB_CHECKED int trib_differ_source(struct trib_differ *d, trib_item_fn next, void *ctx, int64_t *ret_items,
                                    struct trib_err *err);
/* Instead: only these items' keys and n random ones of Silver's are looked at; goes on with trib_differ_again. */
TRIB_CHECKED int trib_differ_sample(struct trib_differ *d, trib_item_fn next, void *ctx, size_t n, int64_t *ret_keys,
                                    struct trib_err *err);
/* The items of the keys that differ, read again. */
TRIB_CHECKED int trib_differ_again(struct trib_differ *d, trib_keys_fn ask, trib_item_fn next, void *ctx,
                                   struct trib_err *err);
/*
 * Compares with Silver as it is now. *ret_rows: Silver's rows that were looked at; *ret_differ: keys that differ, target by target, although
 * their items were the same when they were read before and after the last comparison; *ret_moving: those that were not, so
 * that Silver may have been right each time.
 */
TRIB_CHECKED int trib_differ_compare(struct trib_differ *d, int64_t *ret_rows, int64_t *ret_differ, int64_t *ret_moving,
                                     struct trib_err *err);

/* What differs, after trib_differ_again: by target and key, columns as trib_differ_type says. */
const struct trib_type *trib_differ_type(void);
TRIB_CHECKED int trib_differ_rows(struct trib_differ *d, trib_rows_fn fn, void *ctx, struct trib_err *err);

#endif
