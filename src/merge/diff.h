/*
 * A snapshot of the source compared with Silver (spec: features.md A14; merge.md, Epochs, 5): what differs, as change records.
 *
 * Items are compared by value, whole: columns and rescued data of a live row against the snapshot's item. Both sides go through the engine, so
 * memory is bounded whatever their size. Nothing is committed here; a crash leaves a scratch file.
 * Threads: one; the functions run on the engine's.
 */
#ifndef TRIB_MERGE_DIFF_H
#define TRIB_MERGE_DIFF_H

#include "merge/merge.h"

struct trib_diff_opts {
    const struct trib_merge_opts *target; /* one without `where` and no history: it holds every item */
    /* The snapshot's items as canonical text, one a call; n 0 at the end. */
    int (*next)(void *ctx, struct trib_view *ret, struct trib_err *err);
    void *ctx;
    const char *name;      /* of the snapshot, for messages */
    int64_t time_us;       /* its own: the time of every record */
    int64_t max_removed;   /* percent of the live keys that it may lack; beyond, DATA with the remedy */
    bool accepted;         /* it may lack any number */
    const char *waits_for; /* an object that Bronze must hold first; NULL: none */
    const char *path;      /* the file to write: records in Streams' form, one a line */
};
struct trib_diff {
    bool ready; /* false: Bronze or Silver lag behind, nothing was done */
    int64_t live, added, changed, removed;
};
TRIB_CHECKED int trib_merge_diff(const struct trib_env *env, const struct trib_diff_opts *o, struct trib_diff *ret,
                                 struct trib_err *err);

#endif
