/* One finished export and the proof that its files are what its manifest says (spec: dynamodb.md, Exports). For discover.c. */
#ifndef TRIB_INGEST_EXPORT_H
#define TRIB_INGEST_EXPORT_H

#include "ingest/discover.h"
#include "ingest/manifest.h"

/* key: of manifest-summary.json in the source; full_key: the same with what lies above the source's root; above: that part. */
struct trib_export *trib_export_new(const struct trib_env *env, const struct trib_ingest_opts *o, const char *key,
                                    const char *full_key, const char *above);
void trib_export_free(struct trib_export *e);
const char *trib_export_key(const struct trib_export *e); /* [borrow] */
void trib_export_seen(struct trib_export *e, int64_t size, int64_t mtime_us);
void trib_export_unseen(struct trib_export *e);
bool trib_export_is_seen(const struct trib_export *e);

/* Reads the manifests when they are new. *ret_ready is false while manifest-files.json is not there. DATA, UNSUPPORTED: see manifest.h. */
TRIB_CHECKED int trib_export_load(struct trib_export *e, bool *ret_ready, struct trib_err *err);
size_t trib_export_files(const struct trib_export *e);
/* ret->key is borrowed; size and mtime_us are unknown (0) until it is verified. */
void trib_export_file(struct trib_export *e, size_t i, struct trib_source_file *ret);

/* Verifies that every file that is not taken is there and has its checksum; remembered, so that only the first call costs.
 * DATA names the file, what was expected and what was found. CANCELLED when a stop was asked for. */
TRIB_CHECKED int trib_export_verify(struct trib_export *e, const struct trib_taken *taken, struct trib_err *err);
void trib_export_stat(const struct trib_export *e, size_t i, int64_t *ret_size, int64_t *ret_mtime_us);
/* What was found wrong later; verify fails with it from now on, until the file changes. */
void trib_export_refuse(struct trib_export *e, size_t i, const struct trib_err *why);

#endif
