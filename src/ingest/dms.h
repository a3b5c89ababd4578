/*
 * Files of an AWS DMS S3 target → change records (spec: merge.md, order table; docs/formats/dms.md). CSV is read in pieces, Parquet by the engine.
 *
 * A file's name says what it is: LOAD<hex> a full load, yyyymmdd-hhmmssfff changes. Values become typed attributes: those of CSV are S unless a
 * hint or a declared key type says otherwise, those of Parquet go by their types. A null is an attribute that is not there.
 * A row that is broken is one bad record; so is, once, a file whose name tells no order.
 * Threads: one at a time; it has a connection of its own for Parquet.
 */
#ifndef TRIB_INGEST_DMS_H
#define TRIB_INGEST_DMS_H

#include "ingest/ingest.h"
#include "stage/input.h"

struct trib_dms;
/* o, engine, key, in [borrow]. in: the file's bytes, begun; its codec says whether it is Parquet. Nothing is read yet. hold: views of a change
 * stay valid until trib_dms_release, else until the next call. */
struct trib_dms *trib_dms_open(const struct trib_ingest_opts *o, struct trib_engine *engine, const char *key,
                               struct trib_input *in, bool hold);
void trib_dms_free(struct trib_dms *d);
/* As trib_reader_next; change->raw lives until the next call. DATA: damage. CONFIG: the columns cannot be told, with the remedy. */
TRIB_CHECKED int trib_dms_next(struct trib_dms *d, enum trib_reader_result *ret_result, struct trib_change *ret_change,
                               struct trib_bad *ret_bad, struct trib_err *err);
void trib_dms_release(struct trib_dms *d);
struct trib_view trib_dms_raw(const struct trib_dms *d); /* after damage: what was cut off */
int64_t trib_dms_offset(const struct trib_dms *d);       /* of the next record: a byte of CSV, a row of Parquet */
int64_t trib_dms_decoded(const struct trib_dms *d);      /* bytes of text so far, read ahead too */
int64_t trib_dms_consumed(const struct trib_dms *d);     /* those that the records so far took */

/* What a file's name says. full: a load, place is its counter; else place is its time in ms. False: neither. */
bool trib_dms_name(const char *key, bool *ret_full, int64_t *ret_place);
/* "2026-01-31 10:00:00.123456", T for the blank, fewer digits or none, a Z behind: µs, UTC. */
bool trib_dms_time(struct trib_view text, int64_t *ret_us);

#endif
