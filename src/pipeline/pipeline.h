/*
 * The wiring: a config's tables as stages, stepped in order. One bad table never blocks the others.
 * A pass is a sequence of steps; it never sleeps. The daemon's loop (cli/run.c) calls passes under the trigger.
 */
#ifndef TRIB_PIPELINE_PIPELINE_H
#define TRIB_PIPELINE_PIPELINE_H

#include "aws/aws.h"
#include "marts/marts.h"
#include "pipeline/config.h"

enum { TRIB_RUN_INGEST = 1, TRIB_RUN_MERGE = 2, TRIB_RUN_MARTS = 4, TRIB_RUN_CAPTURE = 8, TRIB_RUN_ALL = 15 };

/* Told of every step that did something or failed (err set). stage: "capture", "ingest", "merge", "marts"; table: the DynamoDB table, or the mart;
 * target: "domain/table" for merge, else NULL. */
struct trib_observer {
    void (*stepped)(void *ctx, const char *stage, const char *table, const char *target, const struct trib_step *step,
                    const struct trib_err *err);
    void *ctx;
};

struct trib_pipeline;
/* tables: names to work on, n 0: all. config, env, host and observer are borrowed. host: how AWS is reached; NULL where the config
 * captures nothing. */
TRIB_CHECKED int trib_pipeline_new(const struct trib_env *env, const struct trib_aws_host *host,
                                   const struct trib_config *config, const char *const *tables, size_t n_tables,
                                   const struct trib_observer *observer, struct trib_pipeline **ret,
                                   struct trib_err *err);
void trib_pipeline_free(struct trib_pipeline *p);
bool trib_pipeline_captures(const struct trib_pipeline *p);
/*
 * Capture: a step of every table that is due. Returns when the next one is; INT64_MAX: never (once: everything written before the
 * first call is landed, or failed). A failure is told, and counts as trib_pipeline_drain's. In a daemon it is tried again, later and later.
 */
int64_t trib_pipeline_capture(struct trib_pipeline *p, bool once);
/* Once more with `once`: everything written before the next call of trib_pipeline_capture. */
void trib_pipeline_capture_again(struct trib_pipeline *p);
/* Lands what is read and not landed yet. */
void trib_pipeline_flush(struct trib_pipeline *p);
/* Drains every stage asked for: ingest until nothing is new, then merge, then marts. Conflicts are tried again a few times.
 * Asked to stop, it takes no new files and carries on what Bronze holds. Returns 0, or the first failure in config order, capture's before it included (all
 * were told to the observer); everything that could be done was done. */
TRIB_CHECKED int trib_pipeline_drain(struct trib_pipeline *p, unsigned stages, struct trib_err *err);

/*
 * Silver against the table in DynamoDB, row by row (interface.md, `verify`), of a pipeline of one table that is captured; any other source
 * is UNSUPPORTED. The table is read, then the pipeline is drained and the two are compared. Keys that differ may have changed in between:
 * they are read again, the pipeline is drained again, up to five times; what still differs does, unless its item was another one each time. Memory does not grow with the table.
 */
struct trib_verify_opts {
    size_t sample;                                 /* keys; 0: all */
    int (*drain)(void *ctx, struct trib_err *err); /* everything written before this call goes through to Silver */
    void (*read)(void *ctx, int64_t items);        /* read so far */
    void (*rows)(void *ctx,
                 const struct trib_chunk *rows); /* what differs, columns as trib_differ_type (merge/differ.h) */
    void *ctx;
};
struct trib_verified {
    int64_t items;  /* of the table, or keys of the sample */
    int64_t rows;   /* Silver's that they were compared with, of all targets */
    int64_t differ; /* keys, target by target */
    int64_t moving; /* keys that changed again each time between being read and being compared */
    unsigned again; /* how often keys were read again */
};
TRIB_CHECKED int trib_pipeline_verify(struct trib_pipeline *p, const struct trib_verify_opts *o,
                                      struct trib_verified *ret, struct trib_err *err);

/*
 * What stands in the lake, and what is still to be done: a line per table and layer, from the lake alone (and from the source, where it
 * can be listed from here). Nothing is written, and no stage need run. A table that cannot be read has a line too (UNKNOWN) and hides no
 * other; the first such failure is what is returned, behind all lines.
 */
enum trib_state_kind {
    TRIB_STATE_NEW,       /* there is no table yet */
    TRIB_STATE_CAUGHT_UP, /* nothing is left to take */
    TRIB_STATE_BEHIND,    /* something is */
    TRIB_STATE_UNKNOWN,   /* that cannot be told from here; the note says why */
    TRIB_STATE_LOOK,      /* rows that somebody should look at */
};
struct trib_state {
    const char *table;  /* DynamoDB name; NULL for Gold */
    const char *layer;  /* "bronze", "silver", "quarantine", "gold" */
    const char *target; /* "domain/table", "subject/mart"; NULL for Bronze and quarantine */
    enum trib_state_kind kind;
    int64_t rows, version, committed_us; /* -1: none, or unknown */
    int64_t merged;                      /* Silver: the Bronze version that it holds, -1 */
    int64_t pending;                     /* files, Bronze versions or inputs to take; -1: unknown */
    int64_t lag_us;                      /* age of the oldest of them, 0 without any; -1: unknown */
    const char *note;                    /* NULL: nothing to say */
};
typedef void (*trib_state_fn)(void *ctx, const struct trib_state *s);
TRIB_CHECKED int trib_pipeline_state(struct trib_pipeline *p, int64_t now_us, trib_state_fn fn, void *ctx,
                                     struct trib_err *err);

/* All tables that SQL may name, by config (schemas bronze, silver, gold, quarantine). [out] trib_catalog_free */
void trib_catalog_make(const struct trib_config *config, struct trib_catalog_table **ret, size_t *ret_n);
void trib_catalog_free(struct trib_catalog_table *t, size_t n);

#endif
