/*
 * Which files of the source come next (spec: interface.md, `files`; databricks.md, Auto Loader; dynamodb.md, Exports).
 *
 * Owns the list of what was found and not taken yet, and the manifests of exports. A listing serves several batches: it is
 * done again when what it found is used up, and only a whole listing that finds nothing says that nothing is new.
 *
 * Plain objects: everything below the root, in byte order of the paths, except hidden names (. and _), Firehose's error folders
 * (processing-failed/, format-conversion-failed/) and everything below an export's folder.
 * Exports: by manifest only. An export is finished when manifest-summary.json and manifest-files.json are there. Before its first file
 * is handed out, the checksum of every file of it that is not taken yet is verified. An export that fails is left out, whole, and
 * told when nothing else is left to do, so that it holds up nothing else.
 * The landing: objects of shards first; the files of a sealed snapshot once no object below its frontier is left.
 * Threads: one at a time; checksums run on the pool. A crash loses nothing but work.
 */
#ifndef TRIB_INGEST_DISCOVER_H
#define TRIB_INGEST_DISCOVER_H

#include "ingest/ingest.h"

struct trib_export; /* one export */

struct trib_source_file {
    char *key; /* in the source's store, and `_ingest_file` */
    int64_t size, mtime_us;
    struct trib_export *export; /* NULL: a plain object [borrow] */
    size_t index;               /* in the export's manifest */
    bool incremental;           /* of an export */
    int64_t export_time_us;     /* of an export: exportTime, or the window's end */
    int64_t items;              /* itemCount of the manifest; -1 for plain objects */
    unsigned epoch;             /* of a snapshot in the landing; 0: another file */
    enum trib_origin origin;    /* of a snapshot in the landing */
};
struct trib_source_batch {
    struct trib_source_file *files;
    size_t n, cap;
    int64_t bytes; /* stored */
};
void trib_source_batch_free(struct trib_source_batch *b);

struct trib_discover;
struct trib_discover *trib_discover_new(const struct trib_env *env, const struct trib_ingest_opts *o);
void trib_discover_free(struct trib_discover *d);
/*
 * The next batch: at most o->batch_files files and o->batch_bytes stored bytes, the first reached wins, one file is always taken.
 * n 0: nothing is new. Fails with DATA when nothing is new but for exports that were refused, and then tells why the first was;
 * NOT_FOUND when the source is an export and there is none.
 */
TRIB_CHECKED int trib_discover_next(struct trib_discover *d, struct trib_taken *taken, struct trib_source_batch *ret,
                                    struct trib_err *err);
/* Lists everything once, hands out nothing: files that are not taken, the oldest time among them (-1: none known), and what is wrong
 * with an export. seen, may be NULL: told of every file that is taken; not 0 ends the listing. */
typedef int (*trib_seen_fn)(void *ctx, const struct trib_object *o);
TRIB_CHECKED int trib_discover_survey(struct trib_discover *d, struct trib_taken *taken, trib_seen_fn seen, void *ctx,
                                      int64_t *ret_pending, int64_t *ret_oldest_us, struct trib_err *ret_refused,
                                      struct trib_err *err);
/* Forgets what was listed: the next call lists again. */
void trib_discover_restart(struct trib_discover *d);
/* The export that holds this file is refused from now on (until the file changes), for this reason. */
void trib_discover_refuse(struct trib_discover *d, const struct trib_source_file *f, const struct trib_err *why);

#endif
