/*
 * Merge: Bronze → one Silver target (spec: merge.md). SCD type 1, or type 2 into <table>_history; strategies behind one interface.
 *
 * Position: Silver's txn = the Bronze version merged. One step merges the whole Bronze versions that are new.
 */
#ifndef TRIB_MERGE_MERGE_H
#define TRIB_MERGE_MERGE_H

#include "stage/stage.h"

enum trib_late { TRIB_LATE_COUNT, TRIB_LATE_QUARANTINE };

struct trib_merge_opts {
    const char *pipeline;
    const char *table;           /* DynamoDB name */
    const char *domain, *silver; /* target; the history target has silver = "<table>_history" */
    bool history;                /* SCD type 2 */
    const char *const *keys;
    size_t n_keys;
    struct trib_schema_opts schema; /* reserved names are filled in by the stage */
    const char *where;              /* NULL */
    bool hard_deletes;
    const char *sequence_attribute;      /* NULL: stream order */
    const char *updated_at, *is_deleted; /* column names */
    int64_t late_after_us;               /* 0: off */
    enum trib_late late;
    uint64_t file_bytes; /* target size of Silver's files */
};

struct trib_merge;
TRIB_CHECKED int trib_merge_new(const struct trib_env *env, const struct trib_merge_opts *o, struct trib_merge **ret,
                                struct trib_err *err);
void trib_merge_free(struct trib_merge *m);
TRIB_CHECKED int trib_merge_step(struct trib_merge *m, int64_t now_us, struct trib_step *ret, struct trib_err *err);

#endif
