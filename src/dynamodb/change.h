/*
 * From bytes to change records: the envelope of every record kind of `files` and `export`
 * (spec: dynamodb.md; interface.md, "files detects the record kind per object").
 *
 * The reader works on one decoded object (already decompressed) fed in pieces. It finds the records, one after the
 * other (one a line, or concatenated without delimiter, or inside {"Records":[…]}, {"Items":[…]}, {"T":[{PutRequest}]},
 * or a JSON array), and hands out views of the raw images; images are decoded by schema/decode.h. Pure: no files, no clock.
 *
 * A broken record is reported as a struct trib_bad and reading goes on at the next line (concatenated objects without
 * newline: at the next `}{` boundary that starts a record, else the rest of the line is one bad record).
 * Threads: one reader per thread.
 */
#ifndef TRIB_DYNAMODB_CHANGE_H
#define TRIB_DYNAMODB_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "dynamodb/item.h"

enum trib_op { TRIB_OP_INSERT, TRIB_OP_MODIFY, TRIB_OP_REMOVE };

/* What an object holds; AUTO detects it at the first record. */
enum trib_record_kind {
    TRIB_KIND_AUTO,
    TRIB_KIND_STREAMS,            /* Streams records, single or {"Records":[…]} pages */
    TRIB_KIND_KINESIS,            /* Kinesis-for-DynamoDB records, Firehose objects */
    TRIB_KIND_FULL_EXPORT,        /* {"Item":{…}} of an export (by manifest) */
    TRIB_KIND_INCREMENTAL_EXPORT, /* {"Metadata":{"WriteTimestampMicros"…},"Keys",…} */
    TRIB_KIND_ITEM,               /* plain items: {"Item":…}, bare items, scan output, batch-write requests */
    TRIB_KIND_DMS,                /* rows of an AWS DMS S3 target; not the reader's, ingest/dms.h makes them */
};

/* `_origin` (interface.md, Columns). */
enum trib_origin {
    TRIB_ORIGIN_STREAM,
    TRIB_ORIGIN_KINESIS,
    TRIB_ORIGIN_EXPORT,
    TRIB_ORIGIN_SCAN,
    TRIB_ORIGIN_POLL,
    TRIB_ORIGIN_DMS,
    TRIB_ORIGIN_SNAPSHOT,
};
const char *trib_origin_text(enum trib_origin o);
const char *trib_op_text(enum trib_op op);

/* One change record. Views point into the reader's buffers and are valid until the next trib_reader_next, with opts.hold
 * until trib_reader_release (so that decoded vectors may point into them without a copy). */
struct trib_change {
    enum trib_record_kind kind;
    enum trib_op op;
    struct trib_view keys; /* {"pk":{"S":…},…} raw JSON object; n == 0 when the record kind has none (exports, items) */
    struct trib_view new_image; /* raw JSON object of attributes; n == 0 for a REMOVE */
    struct trib_view old_image; /* n == 0 when absent */
    struct trib_view event_id;  /* decoded text, n == 0 when the record has none */
    struct trib_view
        sequence_number; /* STREAMS: decimal digits, 1 to 40, without leading zeros; DMS: 40. KINESIS: Kinesis's own, where
                                       * the landing kept it (docs/formats/landing.md): a place in a shard, no order of changes */
    struct trib_view table; /* KINESIS: tableName; n == 0 when absent */
    int64_t time_us;   /* ApproximateCreationDateTime or WriteTimestampMicros in µs; -1 when the record has none */
    bool state;        /* DMS: of a full load, a state of the world */
    bool ttl;          /* deleted by TTL: userIdentity Service dynamodb.amazonaws.com */
    bool base64_twice; /* Kinesis records: B and BS values carry two layers of base64 */
    int64_t offset;    /* of the record itself in the decoded object, bytes */
    int64_t length;    /* its bytes */
    struct trib_view
        raw; /* the record's bytes, at most the first MiB: for quarantine, when an image turns out to be bad */
};

struct trib_bad {
    int64_t offset;
    struct trib_view raw; /* at most the first MiB of the record's bytes */
    char reason[256];     /* for `_reason`: what is wrong, one line */
};

/* Limits (spec: operations.md, Security). */
struct trib_record_limits {
    size_t line_bytes; /* longest record; default 64 MiB: a page of 1,000 records fits, a runaway line does not */
    unsigned depth;    /* deepest nesting of one record; default 128 (DynamoDB allows 32 levels of values) */
};
#define TRIB_RECORD_LIMITS_DEFAULT ((struct trib_record_limits){(size_t)64 << 20, 128})

struct trib_reader_opts {
    enum trib_record_kind kind; /* AUTO, or what the caller knows (exports) */
    const char *table; /* [borrow] the DynamoDB table: of batch-write files that name several only its requests count,
                          and change records that name another one are bad; NULL: no such check */
    struct trib_record_limits limits; /* zero: defaults */
    bool hold;                        /* views stay valid until trib_reader_release, not only until the next call */
};

/*
 * One record that is whole already, with nothing around it but blanks; depth: deepest nesting. false: it is none, ret_bad->reason
 * says why. Views point into text; offset, length and raw are not set.
 */
TRIB_CHECKED bool trib_change_of(struct trib_view text, unsigned depth, struct trib_change *ret,
                                 struct trib_bad *ret_bad);

/* The member that the landing adds to a Kinesis record: Kinesis's sequence number, as text. */
#define TRIB_KINESIS_NUMBER "kinesisSequenceNumber"

/* Pull of decoded bytes: returns bytes put into `to` (at most n), 0 at the end, or -code with *err filled. A truncated or
 * damaged compressed stream gives what was good first, then -TRIB_E_DATA. */
typedef int64_t (*trib_read_fn)(void *ctx, char *to, size_t n, struct trib_err *err);

struct trib_reader;
struct trib_reader *trib_reader_new(const struct trib_reader_opts *o, trib_read_fn read, void *ctx); /* [out] */
void trib_reader_free(struct trib_reader *r);

enum trib_reader_result { TRIB_READ_CHANGE, TRIB_READ_BAD, TRIB_READ_END };
/* The next record. Returns 0 and sets *ret_result. Fails only when the input cannot be read (I/O) or is damaged (DATA):
 * then everything before the damage was handed out, and the caller quarantines the damage as one row: its offset is
 * trib_reader_offset, its bytes are trib_reader_raw (the record that was cut off; none when it broke between two). */
TRIB_CHECKED int trib_reader_next(struct trib_reader *r, enum trib_reader_result *ret_result,
                                  struct trib_change *ret_change, struct trib_bad *ret_bad, struct trib_err *err);
/*
 * The image of the change just handed out did not decode. Lines of exports are handed out unseen ({"Item":{ up to the end
 * of the line), so what the line holds is looked at now: true when it is something else than one item, e.g. two records
 * on one line; then forget this change, the next calls hand out what is there, in its place. False: it is one record
 * and broken inside; quarantine it with its offset and raw bytes.
 */
TRIB_CHECKED bool trib_reader_again(struct trib_reader *r);
/* All bytes of the record handed out last; lives as long as its views. */
struct trib_view trib_reader_raw(const struct trib_reader *r);
/* opts.hold: what was handed out so far is done with, its buffers are used again (all but the last record's). */
void trib_reader_release(struct trib_reader *r);
int64_t trib_reader_offset(const struct trib_reader *r); /* decoded bytes consumed */

/*
 * `_sequence` = EEEE-GGGGGGGG-N…N: hex epoch, hex generation, 40 digits (merge.md). 54 bytes plus NUL.
 * digits: 1 to 40 decimal digits.
 */
enum { TRIB_SEQUENCE_LEN = 4 + 1 + 8 + 1 + 40 };
TRIB_CHECKED int trib_sequence_format(char to[TRIB_SEQUENCE_LEN + 1], unsigned epoch, uint32_t generation,
                                      struct trib_view digits, struct trib_err *err);
void trib_sequence_format_us(char to[TRIB_SEQUENCE_LEN + 1], unsigned epoch, uint32_t generation,
                             int64_t us); /* us < 0: 0 */

/*
 * `silver.sequence: <attribute>`: EEEE-<version>-<the text above>, where <version> is the user's own S or N value encoded so
 * that bytes order as values do: numbers before texts, numbers by value, texts by their UTF-8 bytes, equal values equal
 * bytes (docs/formats/sequence.md). Bytes below '/' never occur in <version> but for its escapes, so '-' ends it in order.
 * Appends <version>. type S: value is the decoded text; N: the number's text. False, and nothing appended, where the value has no order:
 * another type, or no number.
 */
TRIB_CHECKED bool trib_sequence_version(enum trib_attr_type type, struct trib_view value, struct trib_buf *to);

#endif
