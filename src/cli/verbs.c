/* The verbs, in the order of help. Each has a file of its own; add yours here. */
#include <string.h>

#include "cli/verbs.h"

static const struct trib_verb *const verbs[] = {
    &trib_verb_init,     &trib_verb_validate,    &trib_verb_run,     &trib_verb_capture,
    &trib_verb_ingest,   &trib_verb_merge,       &trib_verb_marts,   &trib_verb_status,
    &trib_verb_verify,   &trib_verb_query,       &trib_verb_history, &trib_verb_schema,
    &trib_verb_simulate, &trib_verb_completions, &trib_verb_help,    &trib_verb_docs,
};

const char *const trib_verbs_later[] = {
    "plan",     "doctor", "backfill", "top",      "quarantine", "pause",    "resume",   "resync",
    "optimize", "vacuum", "forget",   "handover", "index",      "generate", "register", NULL,
};

const struct trib_verb *const *trib_verbs_table(size_t *ret_n)
{
    *ret_n = sizeof verbs / sizeof verbs[0];
    return verbs;
}

const struct trib_verb *trib_verb_find(const char *name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verbs[i]->name, name) == 0) {
            return verbs[i];
        }
    }
    return NULL;
}
