/*
 * One object of the source as a stream of decoded bytes: plain, gzip or zstd (spec: interface.md, `files`, Bad input).
 *
 * The content decides, not the name: neither DynamoDB JSON nor Parquet can begin with gzip's or zstd's magic bytes, so a
 * plain file named .gz is read as plain, and a compressed one without the ending is decompressed. Several gzip members or
 * zstd frames in a row are one stream; zeros behind the last gzip member are padding (as gzip has it), anything else there is damage.
 *
 * A truncated or damaged stream gives every byte before the damage, then DATA. What was good does not depend on the
 * library: where ISA-L finds damage, zlib reads the object again and has the last word.
 * Memory: one window of the store's bytes, and the decompressor's own (zstd: 128 MiB at most, as its default has it).
 * Threads: one at a time.
 */
#ifndef TRIB_STAGE_INPUT_H
#define TRIB_STAGE_INPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "store/store.h"

enum trib_codec {
    TRIB_CODEC_PLAIN,
    TRIB_CODEC_GZIP,
    TRIB_CODEC_ZSTD,
    TRIB_CODEC_PARQUET /* read by rows.h, not here */
};

struct trib_input;
/* store and key [borrow] until it is freed. Nothing is read yet. */
struct trib_input *trib_input_open(struct trib_store *store, const char *key);
void trib_input_free(struct trib_input *in);
/* A trib_read_fn (dynamodb/change.h): bytes put into `to`, 0 at the end, -code with *err filled. ctx: the input. */
int64_t trib_input_read(void *ctx, char *to, size_t n, struct trib_err *err);
int64_t trib_input_stored(const struct trib_input *in);  /* stored bytes read so far */
int64_t trib_input_decoded(const struct trib_input *in); /* decoded bytes given so far */
/* Reads the first bytes, so that the codec is known; the first read does it otherwise. */
TRIB_CHECKED int trib_input_begin(struct trib_input *in, struct trib_err *err);
enum trib_codec trib_input_codec(const struct trib_input *in);

/* A stream that grows beyond this ratio (and beyond the floor) is a decompression bomb: DATA. No real export or change
 * file comes near it: DynamoDB JSON shrinks 5 to 30 times, a file of one record repeated some 300 times. */
enum { TRIB_INPUT_MAX_RATIO = 1000 };
#define TRIB_INPUT_RATIO_FLOOR_BYTES ((int64_t)64 << 20)

#endif
