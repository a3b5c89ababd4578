/*
 * The folder of a `snapshot` source: which snapshot is the newest, and its items (spec: features.md A14; docs/formats/snapshots.md).
 *
 * A snapshot is a file, or a folder right below the path with all that is in it, of plain items; or a full export, by its manifests, at any depth.
 * Its time: exportTime, else the newest modification time among its files. Hidden names are passed over, so a writer renames what is complete.
 * A snapshot must be whole: one bad record, a damaged file, a wrong checksum or count refuse it (DATA), since what cannot be read would
 * look like removed.
 * Threads: one at a time.
 */
#ifndef TRIB_INGEST_SNAPSHOTS_H
#define TRIB_INGEST_SNAPSHOTS_H

#include "ingest/ingest.h"

struct trib_snapshots;
/* o->source: the path's store. env and o [borrow]. */
struct trib_snapshots *trib_snapshots_new(const struct trib_env *env, const struct trib_ingest_opts *o);
void trib_snapshots_free(struct trib_snapshots *s);
/* Lists. *ret_name NULL: there is none; else the newest's [borrow], its time, and a mark that differs when its files do. */
TRIB_CHECKED int trib_snapshots_newest(struct trib_snapshots *s, const char **ret_name, int64_t *ret_time_us,
                                       uint64_t *ret_mark, struct trib_err *err);
/* Its items, one after the other, from the first file: *ret n 0 at the end. Views live until the next call. */
TRIB_CHECKED int trib_snapshots_open(struct trib_snapshots *s, struct trib_err *err);
TRIB_CHECKED int trib_snapshots_item(struct trib_snapshots *s, struct trib_view *ret, struct trib_err *err);

#endif
