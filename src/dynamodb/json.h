/*
 * JSON scanning primitives: a cursor over bytes, nothing allocated, nothing copied (spec: performance.md).
 *
 * They check the grammar where they pass (control characters, escapes, numbers, literals), not UTF-8: that is checked in bulk,
 * once for a whole record. No byte at or beyond `end` is read. Pure; threads: any.
 */
#ifndef TRIB_DYNAMODB_JSON_H
#define TRIB_DYNAMODB_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/mem.h"
#include "dynamodb/item.h"

struct trib_json {
    const char *p, *end;
};
static inline struct trib_json trib_json_of(struct trib_view v) { return (struct trib_json){v.p, v.p + v.n}; }

/* Skips blanks; true when a byte is left. */
static inline bool trib_json_ws(struct trib_json *j)
{
    while (j->p < j->end && (*j->p == ' ' || *j->p == '\n' || *j->p == '\t' || *j->p == '\r')) {
        j->p++;
    }
    return j->p < j->end;
}
/* Skips blanks and exactly this byte; false (and not moved beyond the blanks) when another comes. */
static inline bool trib_json_take(struct trib_json *j, char c)
{
    if (j->p < j->end && *j->p == c) { /* the usual case: compact text */
        j->p++;
        return true;
    }
    if (trib_json_ws(j) && *j->p == c) {
        j->p++;
        return true;
    }
    return false;
}
/* Bit i: byte i of the 16 at p is a quote, a backslash or a control character. *high: not 0 once a byte above 0x7F was met. */
static inline unsigned trib_json_stops16(const char *p, unsigned *high)
{
#ifdef __SSE2__
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i m = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1F)), x);
    m = _mm_or_si128(m, _mm_cmpeq_epi8(x, _mm_set1_epi8('"')));
    m = _mm_or_si128(m, _mm_cmpeq_epi8(x, _mm_set1_epi8('\\')));
    *high |= (unsigned)_mm_movemask_epi8(x);
    return (unsigned)_mm_movemask_epi8(m);
#else
    unsigned m = 0;
    for (unsigned i = 0; i < 16; i++) {
        unsigned b = (unsigned char)p[i];
        m |= (unsigned)(b <= 0x1F || b == '"' || b == '\\') << i;
        *high |= b & 0x80u;
    }
    return m;
#endif
}
/* The rest of trib_json_span from `start` on: near the end of the text, or with escapes. */
bool trib_json_span_rest(struct trib_json *j, const char *start, struct trib_view *ret_raw, bool *ret_escaped,
                         unsigned *high);
/*
 * A string whose opening quote is behind the cursor; the closing one is skipped. *high collects whether a byte above 0x7F was
 * scanned: a text all of whose strings were scanned without one is ASCII, and needs no trib_utf8_valid.
 */
static inline bool trib_json_span(struct trib_json *j, struct trib_view *ret_raw, bool *ret_escaped, unsigned *high)
{
    const char *start = j->p;
    while (j->end - j->p >= 16) {
        unsigned m = trib_json_stops16(j->p, high);
        if (m == 0) {
            j->p += 16;
            continue;
        }
        j->p += __builtin_ctz(m);
        if (*j->p != '"') {
            break;
        }
        *ret_raw = (struct trib_view){start, (size_t)(j->p - start)};
        *ret_escaped = false;
        j->p++;
        return true;
    }
    return trib_json_span_rest(j, start, ret_raw, ret_escaped, high);
}
/* A string; the cursor stands at its opening quote (blanks are skipped). raw: between the quotes. */
static inline bool trib_json_text(struct trib_json *j, struct trib_view *ret_raw, bool *ret_escaped)
{
    unsigned high = 0;
    return trib_json_take(j, '"') && trib_json_span(j, ret_raw, ret_escaped, &high);
}
/* Bytes written to `to` (room for raw.n), or -1: a wrong escape or a lone surrogate. */
ssize_t trib_json_unescape(struct trib_view raw, char *to);
/* Any value, at most `depth` levels deep; *ret_span (may be NULL) without surrounding blanks. */
bool trib_json_skip(struct trib_json *j, unsigned depth, struct trib_view *ret_span);
/* true, false: the literal. Returns false when neither comes. */
bool trib_json_bool(struct trib_json *j, bool *ret);

/* Reads `{"T":` of a typed value; the cursor then stands at the payload. */
bool trib_typed_open(struct trib_json *j, enum trib_attr_type *ret);

/* No overlong forms, surrogates, or values above U+10FFFF. */
bool trib_utf8_valid(struct trib_view v);

/* Standard alphabet, padded, no blanks, unused bits zero. Bytes written (room for n/4*3), or -1. */
ssize_t trib_base64_decode(struct trib_view v, char *to);
static inline size_t trib_base64_size(size_t n) { return (n + 2) / 3 * 4; }
void trib_base64_encode(struct trib_view v, char *to); /* trib_base64_size bytes, no NUL */

#endif
