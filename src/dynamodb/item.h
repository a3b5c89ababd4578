/*
 * Items as raw DynamoDB JSON: canonical text, digests, keys (spec: interface.md Columns; merge.md; docs/formats/item.md).
 * Pure. Threads: any, no state.
 */
#ifndef TRIB_DYNAMODB_ITEM_H
#define TRIB_DYNAMODB_ITEM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

enum trib_attr_type { /* order is a format: metadata and digests use it */
                      TRIB_A_S,
                      TRIB_A_N,
                      TRIB_A_B,
                      TRIB_A_BOOL,
                      TRIB_A_NULL,
                      TRIB_A_M,
                      TRIB_A_L,
                      TRIB_A_SS,
                      TRIB_A_NS,
                      TRIB_A_BS,
};
const char *trib_attr_type_text(enum trib_attr_type t); /* "S", … */
bool trib_attr_type_parse(struct trib_view v, enum trib_attr_type *ret);

/* A number, exact. digits: up to 38 significant decimal digits without leading or trailing zeros ("" for 0);
 * value = (negative ? -1 : 1) * digits * 10^exponent. */
struct trib_number {
    bool negative;
    uint8_t n_digits;
    char digits[38];
    int32_t exponent;
};
/* Accepts what DynamoDB accepts: sign, digits, point, exponent, surrounding zeros; at most 38 significant digits,
 * magnitude 1e-130 … 9.99…e125 (and zero; -0 is 0). No spaces, no NaN, no infinities. false otherwise. */
bool trib_number_parse(struct trib_view text, struct trib_number *ret);
bool trib_number_to_i64(const struct trib_number *n, int64_t *ret); /* exact or false */
/* Unscaled value at this precision and scale, exact or false. hi:lo two's complement. */
bool trib_number_to_decimal(const struct trib_number *n, unsigned precision, unsigned scale, uint64_t *ret_lo,
                            int64_t *ret_hi);
/* true when the shortest text that gives the double back is the same number. Never -0.0. */
bool trib_number_to_double(const struct trib_number *n, double *ret);
/* The way back: the shortest decimal that gives the double back, of several the nearest. false: NaN, infinite, out of range. */
bool trib_number_of_double(double v, struct trib_number *ret);
/* Canonical text: plain while it has at most 38 digits before and 38 behind the point, else d.ddE+x; no surplus zeros.
 * Equal numbers give equal text (docs/formats/item.md). */
void trib_number_text(const struct trib_number *n, struct trib_buf *to);
int trib_number_cmp(const struct trib_number *a, const struct trib_number *b);

/* 128-bit digest by value of an item: numbers by value, sets without order, M without order, binary by bytes. */
struct trib_digest {
    uint64_t lo, hi;
};
struct trib_digest trib_digest_mix(struct trib_digest a, struct trib_digest b); /* order matters */
/* The parts that it is made of, for a decoder that has the values at hand. */
struct trib_digest trib_digest_name(struct trib_view name);
struct trib_digest trib_digest_bytes(enum trib_attr_type type, struct trib_view v); /* S: text; B: decoded bytes */
struct trib_digest trib_digest_bool(enum trib_attr_type type, bool b);              /* BOOL, NULL */
bool trib_digest_number(struct trib_view text, struct trib_digest *ret);            /* false: not a number */
struct trib_digest trib_digest_parsed(const struct trib_number *n);
void trib_digest_add(struct trib_digest *sum, struct trib_digest d); /* order does not matter */
struct trib_digest trib_digest_close(enum trib_attr_type type,
                                     struct trib_digest sum); /* M: added; sets: added; L: mixed */
/* Of one typed value, raw, at most `depth` levels deep. */
TRIB_CHECKED int trib_value_digest(struct trib_view json, bool base64_twice, unsigned depth, struct trib_digest *ret,
                                   struct trib_err *err);
/* json: the attributes object, raw (any spacing, any escapes). DATA when it is not valid DynamoDB JSON. */
TRIB_CHECKED int trib_item_digest(struct trib_view json, bool base64_twice, struct trib_digest *ret,
                                  struct trib_err *err);

/* Canonical text of an item or of a value, as `_rescued_data` wants it: compact, top-level attributes sorted by UTF-8
 * bytes, nested in source order, minimal escapes, base64 once. DATA when an attribute or a map's member occurs twice. */
TRIB_CHECKED int trib_item_canonical(struct trib_view json, bool base64_twice, struct trib_buf *to,
                                     struct trib_err *err);
TRIB_CHECKED int trib_value_canonical(struct trib_view json, bool base64_twice, struct trib_buf *to,
                                      struct trib_err *err);
/* members: `"name":{…},…` of canonical text. DATA when a name occurs twice. */
TRIB_CHECKED int trib_members_unique(struct trib_view members, struct trib_err *err);
/* Appends a JSON string with quotes: nothing escaped but " \ and control characters (\b \t \n \f \r, else \u00XX). */
void trib_json_string(struct trib_buf *to, struct trib_view text);

/* Canonical key text for hashing: attributes in the order given, N by value, B by bytes. DATA when one is missing, NULL,
 * or not S, N, B. */
TRIB_CHECKED int trib_key_canonical(struct trib_view json, bool base64_twice, const char *const *names, size_t n,
                                    struct trib_buf *to, struct trib_err *err);

#endif
