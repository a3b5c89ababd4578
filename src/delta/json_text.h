/*
 * JSON text: writing it, and walking it without building a tree, so that raw values (metadata of other writers, 40-digit
 * numbers) survive byte for byte. The log's actions themselves are parsed by jansson (action.c).
 */
#ifndef TRIB_DELTA_JSON_TEXT_H
#define TRIB_DELTA_JSON_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

/* Appends a JSON string with its quotes; escapes only what must be. */
void trib_jsontext_add_string(struct trib_buf *to, struct trib_view text);
/* "key":"value" and "key":number, with a comma before when the buffer does not end in an opening bracket. */
void trib_jsontext_add_key(struct trib_buf *to, const char *key);
void trib_jsontext_add_pair(struct trib_buf *to, const char *key, const char *value); /* NULL: null */
void trib_jsontext_add_int(struct trib_buf *to, const char *key, int64_t value);
void trib_jsontext_add_bool(struct trib_buf *to, const char *key, bool value);

/* A cursor over JSON text; failures name the byte offset. */
struct trib_jsontext {
    struct trib_view text;
    size_t at;
    int depth;
    const char *what; /* for messages */
};
/* The next value's first byte after white space, '\0' at the end. Nothing is consumed. */
char trib_jsontext_peek(struct trib_jsontext *j);
/* Consumes one character after white space, which must be c. */
TRIB_CHECKED int trib_jsontext_expect(struct trib_jsontext *j, char c, struct trib_err *err);
/* Consumes a value of any kind, checked; *ret is its text. */
TRIB_CHECKED int trib_jsontext_skip(struct trib_jsontext *j, struct trib_view *ret, struct trib_err *err);
/* Consumes a string, decoded into *to (cleared first). */
TRIB_CHECKED int trib_jsontext_string(struct trib_jsontext *j, struct trib_buf *to, struct trib_err *err);
/*
 * Objects and arrays: after trib_jsontext_open(j, '{'), call trib_jsontext_next until *more is false; it consumes the comma or the
 * closing bracket, and for an object the member's name (into *key) and the colon.
 */
TRIB_CHECKED int trib_jsontext_open(struct trib_jsontext *j, char bracket, struct trib_err *err);
TRIB_CHECKED int trib_jsontext_next(struct trib_jsontext *j, char bracket, bool *first, struct trib_buf *key,
                                    bool *more, struct trib_err *err);
/* Only white space is left. */
TRIB_CHECKED int trib_jsontext_end(struct trib_jsontext *j, struct trib_err *err);

#endif
