/*
 * Manifests of DynamoDB exports to S3 (spec: dynamodb.md, Exports): what a finished export says about itself.
 * Pure: text in, structure out. Threads: any.
 *
 * Manifests name keys of a bucket. They are re-rooted at the last AWSDynamoDB/: the part behind it is laid under the same
 * folder of the manifest's own key, so that an export can be copied anywhere as a whole. Where the manifest itself does not
 * lie below an AWSDynamoDB/ (its folder was copied alone), the export's own folder is the root.
 */
#ifndef TRIB_INGEST_MANIFEST_H
#define TRIB_INGEST_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

struct trib_manifest_file {
    char *key;             /* re-rooted */
    int64_t items;         /* itemCount */
    unsigned char md5[16]; /* of the stored bytes */
};
struct trib_manifest {
    bool incremental;
    char *id;        /* "01715685260608-c488b4e1" */
    char *table;     /* DynamoDB table that was exported; "" when the manifest does not tell */
    int64_t time_us; /* full: exportTime, the moment that it shows; incremental: exportToTime */
    int64_t from_us; /* incremental: exportFromTime */
    size_t n_files;
    struct trib_manifest_file *files;
};
/*
 * summary_key: where manifest-summary.json lies. UNSUPPORTED for output in Ion, by name. DATA with the place for anything that is no
 * manifest, for a file without checksum or count, for counts that do not add up, for keys that leave the export.
 */
TRIB_CHECKED int trib_manifest_parse(struct trib_view summary, struct trib_view files, const char *summary_key,
                                     struct trib_manifest *ret, struct trib_err *err);
void trib_manifest_free(struct trib_manifest *m);

/* "2024-05-14T11:14:20.608Z" → µs; false when it is no such time. */
bool trib_iso_time(const char *text, int64_t *ret_us);
/* The place behind the last "AWSDynamoDB/" component of a key; NULL when there is none. [borrow] */
const char *trib_export_tail(const char *key);

#endif
