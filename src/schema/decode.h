/*
 * The hot path: raw DynamoDB JSON → column vectors, one pass, no document tree (spec: performance.md, "What mattered").
 *
 * A decoder is compiled once from an item schema. For each item it fills one row of the item's vectors; what has no
 * column or does not fit exactly is appended, canonical, to the rescued text. A decoder remembers the attribute order of
 * the item before. Strings without escapes are not copied: vectors point into the input, which must live until the
 * chunk was consumed; unescaped ones go to the arena.
 * An invalid item (broken JSON, bad UTF-8, bad number, bad base64, too deep) fails with DATA; the row may then be
 * written again (nothing of it counts).
 * Threads: one decoder per thread.
 */
#ifndef TRIB_SCHEMA_DECODE_H
#define TRIB_SCHEMA_DECODE_H

#include "schema/schema.h"

struct trib_decoder;

/* item: the schema [borrow], must outlive the decoder. */
struct trib_decoder *trib_decoder_new(const struct trib_type *item, const struct trib_schema_opts *o);
void trib_decoder_free(struct trib_decoder *d);

enum { TRIB_DECODE_BASE64_TWICE = 1, TRIB_DECODE_DIGEST = 2 };

struct trib_item_result {
    bool rescued;              /* something was appended to the rescued text */
    struct trib_digest digest; /* with TRIB_DECODE_DIGEST: equals trib_item_digest */
    bool key_misfit;           /* a key attribute is missing, null, or does not fit its column */
    char key_reason[160];      /* then: why */
};
/*
 * Decodes one item into row `row` of cols (one vector a field of the schema, in order). rescued: cleared first; left
 * empty when nothing was rescued. arena: for unescaped text.
 */
TRIB_CHECKED int trib_decode_item(struct trib_decoder *d, struct trib_view json, unsigned flags, struct trib_vec *cols,
                                  uint64_t row, struct trib_arena *arena, struct trib_buf *rescued,
                                  struct trib_item_result *ret, struct trib_err *err);
/* Nulls the row. */
void trib_decode_null(struct trib_decoder *d, struct trib_vec *cols, uint64_t row);

/* What the items decoded so far tell about the schema: surprises (attributes without a column, misfits) were inferred
 * as they came; values that fitted are counted per column and added here. Equals trib_infer_item over the same items
 * as far as trib_schema_evolve can tell. */
void trib_decoder_infer(const struct trib_decoder *d, struct trib_infer *to);
/* true when decoding the same items under `next` could place a value elsewhere: then the caller decodes again. */
bool trib_decoder_outdated(const struct trib_decoder *d, const struct trib_type *next);
/* Values that were rescued because of their type, by column; for `status`. */
uint64_t trib_decoder_rescued(const struct trib_decoder *d);

/*
 * The way back: one row of vectors plus rescued text → the exact item as canonical DynamoDB JSON text (attributes in
 * schema order, then rescued ones; not sorted). Sets and lists by dynamodb.type. `text` is appended to.
 */
TRIB_CHECKED int trib_encode_item(const struct trib_type *item, const struct trib_vec *cols, uint64_t row,
                                  struct trib_view rescued, struct trib_buf *text, struct trib_err *err);

#endif
