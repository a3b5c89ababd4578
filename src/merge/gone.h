/*
 * What a full snapshot lacks (spec: merge.md, Epochs, 5): keys that live in a target with an older epoch are gone from the
 * source, and nothing will say so. They are told to Bronze as deletes in one landed object, <landing>/_snapshots/NNNN/gone.json,
 * put if absent, which ingest takes like the snapshot's pages; so Bronze alone still determines Silver.
 * Threads: one.
 */
#ifndef TRIB_MERGE_GONE_H
#define TRIB_MERGE_GONE_H

#include "merge/merge.h"
#include "stage/landing.h"

/*
 * Looks at the newest full snapshot, once every target has merged all of Bronze with it. targets: all but those of history.
 * *ret_worked: the object was written, ingest has something new.
 */
TRIB_CHECKED int trib_merge_gone(const struct trib_env *env, const struct trib_merge_opts *const *targets, size_t n,
                                 struct trib_landing *l, bool *ret_worked, struct trib_err *err);

#endif
