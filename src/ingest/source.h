/*
 * A source as a store (spec: interface.md, `source`; dynamodb.md, Exports).
 *
 * Where `path` is an export's own folder, …/AWSDynamoDB/<id>, the data of an incremental export lies beside it, in
 * …/AWSDynamoDB/data, which exports share. Such a store reads the keys "../data/<name>" too: no listing shows them, only a
 * manifest names them, and nothing else above the root can be reached. Those names stand in `_ingest_file`: they are
 * relative to `path`, as all are. Every other source is a plain store.
 */
#ifndef TRIB_INGEST_SOURCE_H
#define TRIB_INGEST_SOURCE_H

#include "store/store.h"

#define TRIB_SOURCE_BESIDE "../data/" /* how such keys begin */

struct trib_fs;
/* path: a folder's path or URL; remote: as in trib_store_open_with. [out] trib_store_free. */
TRIB_CHECKED int trib_source_open(const struct trib_fs *fs, const struct trib_store_remote *remote, const char *path,
                                  struct trib_store **ret, struct trib_err *err);

/* What lies above the source's root, as keys of exports are written: "AWSDynamoDB/" where the root is that folder,
 * "AWSDynamoDB/<id>/" where it is an export's own folder, else "". url: a store's. [out] free(). */
char *trib_source_above(const char *url);

#endif
