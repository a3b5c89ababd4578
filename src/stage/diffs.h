/*
 * What a table's snapshots changed, in the order they were compared (docs/formats/snapshots.md): one small document each below
 * <landing>/_diffs/, put if absent under the next number, that names the landed object of its change records. The newest one's time is how
 * far snapshots were compared, so two processes cannot compare the same state twice. Threads: one at a time.
 */
#ifndef TRIB_STAGE_DIFFS_H
#define TRIB_STAGE_DIFFS_H

#include "stage/stage.h"

struct trib_diff_doc {
    char *snapshot;  /* its name in the source */
    int64_t time_us; /* its own time */
    char *object;    /* relative to the landing */
};
struct trib_diffs {
    size_t n, cap;
    struct trib_diff_doc *docs; /* by number, from 1 */
};
/* Reads those that are new; landing: the table's landing as a store. UNSUPPORTED for a newer format. */
TRIB_CHECKED int trib_diffs_refresh(struct trib_store *landing, struct trib_diffs *d, struct trib_err *err);
/* EXISTS when another process was first: refresh. */
TRIB_CHECKED int trib_diffs_add(struct trib_store *landing, struct trib_diffs *d, const struct trib_diff_doc *doc,
                                struct trib_err *err);
void trib_diffs_free(struct trib_diffs *d);

#endif
