/* What Bronze remembers of the config that made it, in its properties (spec: interface.md, Changed settings). */
#ifndef TRIB_INGEST_SETTINGS_H
#define TRIB_INGEST_SETTINGS_H

#include "ingest/ingest.h"

/*
 *   tributary.pipeline     the pipeline's name
 *   tributary.keys         JSON array of the key attributes
 *   tributary.numbers      auto, decimal, double, string
 *   tributary.infer        true, false
 *   tributary.epochs       JSON array: number, reason, snapshot (none, pending, complete); `files` and `export` sources stay in epoch 1
 *   tributary.stream_kind  streams or kinesis, once such records came
 * CONFIG with the remedy when what stands there differs from the config. What does not stand there (another writer made the table) passes.
 */
TRIB_CHECKED int trib_settings_check(const struct trib_ingest_opts *o, const struct trib_snapshot *s,
                                     struct trib_err *err);

struct trib_properties {
    struct trib_kv *kv;
    size_t n, cap;
    bool changed; /* differs from the snapshot's */
};
/* The snapshot's properties with ours set. stream_kind, epochs: NULL leaves them. schema: Bronze's, for the columns that have statistics. */
void trib_settings_properties(const struct trib_ingest_opts *o, const struct trib_snapshot *s,
                              const struct trib_type *schema, const char *stream_kind, const char *epochs,
                              struct trib_properties *ret);
/* tributary.epochs of a landing; has: whether a file is in Bronze, or will be with this commit. [out] free() */
char *trib_settings_epochs(const struct trib_landing *l, bool (*has)(void *ctx, const char *key), void *ctx);
void trib_properties_free(struct trib_properties *p);

#endif
