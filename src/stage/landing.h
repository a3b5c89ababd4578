/*
 * What stands beside the landed objects, and decides what each record is worth (spec: merge.md, "The order of changes",
 * Epochs, Bootstrap; docs/formats/landing.md). Written by capture with put-if-absent, read by capture and ingest; never
 * changed. Everything lives below trib_path_landing(table):
 *
 *   _epochs/NNNN.json              an epoch: number, time, reason, stream ARN, table id; for each shard of the stream known then, ended
 *                                  ones too, the last sequence number that belongs to the epochs before it ("" : none of it does)
 *   _shards/<stream>/<shard>.json       a shard as it was found: parent (of a merge: two), generation, epoch at discovery, time of discovery
 *   _shards/<stream>/<shard>.end.json   all its records are landed: the last sequence number ("" : it had none). A child begins after this
 *   _positions.json                a hint, replaced at will: per open shard the newest landed sequence number and the time of the last read. Nothing
 *                                  rests on it: what was landed after it is found by listing the hours since it was written, less 26
 *   ingest_date=YYYY/MM/DD/HH[/bucket=NN]/<stream>.<shard>.<first>.json.zst     records, one a line. The hour is that of the first
 *                                  record's creation time, so that two racers name one object alike; put-if-absent: the loser
 *                                  reads the winner's object and takes its end for its own
 *   _snapshots/NNNN/<part>.json.gz|zst  pages of a scan, or an export's files (by their own names), of epoch NNNN; not visible before
 *   _snapshots/NNNN/gone.json           keys that the full snapshot lacks, as deletes, a line each
 *   _snapshots/NNNN/manifest.json       the seal: kind, origin, time, the files, the frontier (per shard the sequence number that must be in
 *                                  Bronze before), full or not
 *
 * <stream> is the label of the stream (Streams: its ARN's creation time, escaped; Kinesis: name and creation time), <first> the first sequence number, 64 digits.
 * A record of shard s with number q belongs to the highest epoch that names s with a last number below q, or that is of s's stream and
 * does not name s (it was found later, perhaps by a process that had not seen the epoch), or to the one at s's discovery, whichever is
 * higher; of Kinesis to none that began (since_us) after its creation time. So nothing depends on who lands it and when.
 */
#ifndef TRIB_STAGE_LANDING_H
#define TRIB_STAGE_LANDING_H

#include "dynamodb/change.h"
#include "stage/stage.h"

/* Bronze's property that shows the epochs; ingest writes it. */
#define TRIB_EPOCHS_PROPERTY "tributary.epochs"
/* true while a snapshot is awaited and none is there yet: a table that nobody has read is published complete, or not at all. */
bool trib_epochs_wait(const char *property);

enum { TRIB_POSITION_DIGITS = 64 }; /* Streams: 21 to 40, Kinesis: 56 */

struct trib_landing_shard {
    char *stream, *shard; /* label and id */
    char *parent;         /* NULL: none, or trimmed already */
    char *adjacent;       /* the other parent of a merge (Kinesis); NULL: none */
    uint32_t generation;
    unsigned epoch; /* at discovery */
    int64_t found_us;
    bool ended;                          /* its end is durable */
    char last[TRIB_POSITION_DIGITS + 1]; /* newest landed, 64 digits; "" none */
    int64_t read_us;                     /* last successful read, by the hint; 0 unknown */
};
struct trib_landing_mark { /* in an epoch: records of this shard up to `last` belong to the epochs before */
    char *stream, *shard;
    char last[TRIB_POSITION_DIGITS + 1];
};
struct trib_landing_epoch {
    unsigned number;
    int64_t opened_us;
    char *reason, *stream_arn, *table_id;
    bool snapshot; /* one belongs to it: until it is in Bronze, the epoch is open */
    /* Kinesis, whose records come late, twice and out of order: one whose creation time is below this belongs to the epoch before, wherever
     * it stands in its shard. Whatever was written before is in this epoch's snapshot. 0: the place alone decides */
    int64_t since_us;
    size_t n_marks;
    struct trib_landing_mark *marks; /* of an epoch that a landing holds: in order of (stream, shard) */
    char *label;                     /* of its stream; set by the landing */
};
struct trib_landing_snapshot {
    unsigned epoch;
    enum trib_origin origin;
    bool full; /* false: an incremental export, what it does not name is untouched */
    bool sealed;
    bool gone;       /* full ones behind the first epoch: what it lacks is told too (merge/gone.h) */
    int64_t time_us; /* T of merge.md: the number of every record that carries no time of its own */
    size_t n_files;
    struct trib_landing_file {
        char *key;            /* relative to the landing */
        int64_t items, bytes; /* items -1: unknown */
        int64_t time_us;      /* of a scan's page: its read */
    } * files;
    size_t n_frontier;
    struct trib_landing_mark *frontier;
};

/* All of it, kept up to date by listing what is new. Threads: one at a time. */
struct trib_landing {
    struct trib_store *lake;
    char *root; /* trib_path_landing(table) */
    size_t n_epochs, cap_epochs;
    struct trib_landing_epoch *epochs; /* by number, from 1, no gaps */
    size_t n_shards, cap_shards;
    struct trib_landing_shard *shards;
    size_t n_snapshots, cap_snapshots;
    struct trib_landing_snapshot *snapshots; /* sealed ones */
    int64_t hint_us; /* when the hint was written that the positions were loaded from; 0: there was none */
};
struct trib_landing *trib_landing_new(struct trib_store *lake, const char *table);
void trib_landing_free(struct trib_landing *l);
/* Reads what other processes wrote since. A newer format version is refused by name (UNSUPPORTED). */
TRIB_CHECKED int trib_landing_refresh(struct trib_landing *l, struct trib_err *err);
struct trib_landing_shard *trib_landing_find(const struct trib_landing *l, const char *stream, const char *shard);

/* Put-if-absent; EXISTS when another was first (then refresh). The structs are copied in on success. */
TRIB_CHECKED int trib_landing_open_epoch(struct trib_landing *l, const struct trib_landing_epoch *e,
                                         struct trib_err *err);
TRIB_CHECKED int trib_landing_add_shard(struct trib_landing *l, const struct trib_landing_shard *s,
                                        struct trib_err *err);
TRIB_CHECKED int trib_landing_end_shard(struct trib_landing *l, struct trib_landing_shard *s, struct trib_err *err);
TRIB_CHECKED int trib_landing_seal(struct trib_landing *l, const struct trib_landing_snapshot *s, struct trib_err *err);
/* Where every shard stands, ended ones too: the frontier of a snapshot that is sealed now. The texts are borrowed from l. [out] free() */
struct trib_landing_mark *trib_landing_frontier(const struct trib_landing *l, size_t *ret_n);
/* The snapshot of an epoch, NULL when it has no seal. [borrow] until the next refresh or seal */
const struct trib_landing_snapshot *trib_landing_snapshot_of(const struct trib_landing *l, unsigned epoch);

/* <root>/_snapshots/NNNN/gone.json. [out] free() */
char *trib_landing_gone_key(const struct trib_landing *l, unsigned epoch);

/* The hint. */
TRIB_CHECKED int trib_landing_save_positions(struct trib_landing *l, int64_t now_us, struct trib_err *err);
/* Reads an object's end: the sequence number of its last record, 64 digits. */
typedef int (*trib_landing_end_fn)(void *ctx, const char *lake_key, char ret_last[TRIB_POSITION_DIGITS + 1],
                                   struct trib_err *err);
/* The hint alone: last and read_us of open shards, as they were at *ret_written_us; 0: there is none, or none that can be read. */
TRIB_CHECKED int trib_landing_read_hint(struct trib_landing *l, int64_t *ret_written_us, struct trib_err *err);
/* At the start: the hint, then the objects since. Fills last and read_us of every shard. */
TRIB_CHECKED int trib_landing_load_positions(struct trib_landing *l, trib_landing_end_fn end_of, void *ctx,
                                             struct trib_err *err);

/* "ingest_date=…/<stream>.<shard>.<first>.json.zst"; bucket -1: none. [out] free() */
char *trib_landing_object(int64_t first_record_us, int bucket, const char *stream, const char *shard, const char *first,
                          const char *extension);
/* Whether key (relative to the landing) is a stream's object, and which. Outputs [out] free(). */
bool trib_landing_parse(const char *key, char **ret_stream, char **ret_shard, char ret_first[TRIB_POSITION_DIGITS + 1]);
/* The epoch of a record; digits: 64. time_us: its creation time. 0, below the first: a record that the first epoch's snapshot beats. */
unsigned trib_landing_epoch_of(const struct trib_landing *l, const struct trib_landing_shard *s, const char *digits,
                               int64_t time_us);
/* Whether what this snapshot lacks must be told as deletes: records of an older epoch can stand before it. */
bool trib_landing_wants_gone(const struct trib_landing *l, const struct trib_landing_snapshot *s);
/* A stream's label, the last part of its ARN made fit for names: ".../stream/2015-05-11T21:21:33.291" → "2015-05-11T21_21_33.291". [out] free() */
char *trib_landing_label_of(const char *pin);
/* Decimal digits → 64 with leading zeros; false when it is no number or longer. */
bool trib_landing_digits(struct trib_view number, char to[TRIB_POSITION_DIGITS + 1]);

#endif
