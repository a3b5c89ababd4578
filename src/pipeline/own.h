/* Inside of the pipeline: a config's tables as stages. Nobody else includes this. */
#ifndef TRIB_PIPELINE_OWN_H
#define TRIB_PIPELINE_OWN_H

#include "capture/capture.h"
#include "ingest/ingest.h"
#include "merge/merge.h"
#include "pipeline/pipeline.h"

struct trib_pipeline_target {
    struct trib_merge_opts opts;
    struct trib_merge *merge;
    char *name, *label;
};

struct trib_pipeline_table {
    const struct trib_cfg_table *cfg;
    struct trib_store *source;
    struct trib_ingest_opts opts;
    struct trib_ingest *ingest;
    /* of a table that is captured */
    struct trib_aws *aws;
    struct trib_capture *capture;
    struct trib_landing *landing; /* ingest's own view */
    int64_t capture_due_us;
    unsigned capture_failures;             /* in a row */
    bool capture_over;                     /* once: done, or failed */
    struct trib_pipeline_compare *compare; /* of a `snapshot` source */
    const char *keys[2];
    size_t n_targets;
    struct trib_pipeline_target *targets;
};

struct trib_pipeline_mart {
    struct trib_mart_opts opts;
    struct trib_mart *mart;
    char *sql;
};

struct trib_pipeline {
    const struct trib_env *env;
    const struct trib_aws_host *host;
    const struct trib_config *config;
    const struct trib_observer *observer;
    size_t n_tables;
    struct trib_pipeline_table *tables;
    size_t n_marts;
    struct trib_pipeline_mart *marts;
    struct trib_catalog_table *catalog;
    size_t n_catalog;
    struct trib_err first; /* of this drain */
};

/* A step's outcome to the observer; the first failure counts. */
void trib_pipeline_tell(struct trib_pipeline *p, const char *stage, const char *table, const char *target,
                        const struct trib_step *step, const struct trib_err *err);
bool trib_pipeline_stopping(const struct trib_pipeline *p);
/* The session of a table that is captured, made once. */
TRIB_CHECKED int trib_pipeline_aws(struct trib_pipeline *p, struct trib_pipeline_table *t, struct trib_err *err);
/* Opens the table's source for its ingest options, once. */
TRIB_CHECKED int trib_pipeline_source(struct trib_pipeline *p, struct trib_pipeline_table *t, struct trib_err *err);

/* snapshot.c: sources that are compared with Silver. Opens the table's landing as its source. */
TRIB_CHECKED int trib_pipeline_compare_open(struct trib_pipeline *p, struct trib_pipeline_table *t,
                                            struct trib_err *err);
void trib_pipeline_compare_free(struct trib_pipeline_compare *c);
/* Compares the newest snapshot, once everything before it is merged. True: changes were landed, ingest has something new. */
bool trib_pipeline_compare(struct trib_pipeline *p, struct trib_pipeline_table *t);

#endif
