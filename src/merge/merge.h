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

/* What stays in _rescued_data of a target for a reason that its settings could cure: for `status`. [out] free(), NULL: nothing.
 * Names are paths as hints have them, separated by ", ". At most a million rows with rescued data are looked at. */
struct trib_merge_survey {
    char *over_limit; /* attributes that max_columns leaves no room for */
    char *numbers;    /* bigint columns that some numbers do not fit, which do fit decimal(38,18) */
};
TRIB_CHECKED int trib_merge_survey(const struct trib_env *env, struct trib_conn *conn, const struct trib_merge_opts *o,
                                   const struct trib_snapshot *bronze, const struct trib_snapshot *silver,
                                   struct trib_merge_survey *ret, struct trib_err *err);

#endif
