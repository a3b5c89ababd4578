/*
 * `simulate`: a small shop as AWS would deliver it, for demos, tests and load (spec: interface.md, Verbs; dynamodb.md).
 *
 * One DynamoDB table `shop` in single-table design: pk CUSTOMER#…, sk PROFILE (customers) or ORDER#… (orders), attribute `type`.
 *
 *   DIR/AWSDynamoDB/<export id>/manifest-summary.json, manifest-files.json, data/….json.gz   a finished full export; one data file is empty
 *   DIR/ingest_date=YYYY/MM/DD/HH/shop-1-….json.gz                                            Streams records, one a line, a folder an hour
 *   DIR/_truth.json                                                                           what the table holds at the end (docs/formats/simulate.md)
 *
 * The stream has redelivered records, late ones, TTL deletes, an attribute that first appears on the way, prices that meet their
 * first cents, a value of the wrong type, and one corrupt record.
 * The same options give the same bytes (without `live`). Files are written under a name that begins with '.', synced, and renamed.
 * Memory: 8 bytes an item when there are changes; otherwise it does not depend on the number of items.
 * Threads: one. A crash leaves whole files, and at most one temporary file; _truth.json comes last.
 */
#ifndef TRIB_SIMULATE_SIMULATE_H
#define TRIB_SIMULATE_SIMULATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"

struct trib_sim_opts {
    const char *out; /* a folder that is missing or empty */
    uint64_t seed;
    int64_t items;                  /* in the export: four orders for each customer */
    int64_t changes;                /* of the table after the export; the records are a few more (redelivered ones) */
    int64_t rate;                   /* changes a second, by their own time; 0: spread over three hours */
    int64_t item_bytes;             /* orders are padded to about this size; 0: as they are */
    bool live;                      /* deliver in real time, at `rate`, with the times of the wall clock */
    const struct trib_clock *clock; /* live only */
    void (*sleep_until)(void *ctx, int64_t us);                                                /* live only */
    void (*progress)(void *ctx, const char *what, int64_t done, int64_t total, int64_t bytes); /* may be NULL */
    bool (*stop_asked)(void *ctx); /* may be NULL: CANCELLED, what is complete stays */
    void *ctx;                     /* of the three */
};

#define TRIB_SIM_ITEMS_DEFAULT   1000
#define TRIB_SIM_CHANGES_DEFAULT 600
#define TRIB_SIM_ITEM_BYTES_MAX  400000 /* DynamoDB's limit is 400 KB */

struct trib_sim_result {
    int64_t items, customers, orders; /* of the export */
    int64_t records;                  /* good change records, redelivered ones too */
    int64_t files;
    int64_t raw_bytes, stored_bytes; /* before and after compression */
};

TRIB_CHECKED int trib_simulate(const struct trib_sim_opts *o, struct trib_sim_result *ret, struct trib_err *err);

#endif
