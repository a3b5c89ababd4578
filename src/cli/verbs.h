/* One declaration a verb; its file defines it, verbs.c lists it. */
#ifndef TRIB_CLI_VERBS_H
#define TRIB_CLI_VERBS_H

#include "cli/cli.h"

extern const struct trib_verb trib_verb_init;
extern const struct trib_verb trib_verb_validate;
extern const struct trib_verb trib_verb_query;
extern const struct trib_verb trib_verb_history;
extern const struct trib_verb trib_verb_schema;
extern const struct trib_verb trib_verb_run;
extern const struct trib_verb trib_verb_capture;
extern const struct trib_verb trib_verb_ingest;
extern const struct trib_verb trib_verb_merge;
extern const struct trib_verb trib_verb_marts;
extern const struct trib_verb trib_verb_status;
extern const struct trib_verb trib_verb_verify;
extern const struct trib_verb trib_verb_simulate;
extern const struct trib_verb trib_verb_completions;
extern const struct trib_verb trib_verb_help;
extern const struct trib_verb trib_verb_docs;

/* run.c: everything that was written before now is landed, or its table has failed. */
struct trib_pipeline;
void trib_cli_capture_once(struct trib_pipeline *p);

#endif
