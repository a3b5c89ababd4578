/* Between the reader (bytes → values) and the envelope (values → changes). Nobody else includes this. */
#ifndef TRIB_DYNAMODB_READER_H
#define TRIB_DYNAMODB_READER_H

#include "dynamodb/change.h"
#include "dynamodb/json.h"

enum trib_envelope { TRIB_ENVELOPE_NONE, TRIB_ENVELOPE_CHANGE, TRIB_ENVELOPE_BAD, TRIB_ENVELOPE_CONTAINER };

/* A value that holds several records: the elements still to come. */
struct trib_container {
    bool active;
    bool bare;             /* elements are bare items: `scan` output */
    bool requests;         /* elements are write requests */
    struct trib_json at;   /* behind '[' or ',' */
    struct trib_view last; /* the element handed out last */
};

/* What a whole JSON value is: a change (filled but for offset, length, raw), several, or not DynamoDB's (bad->reason). */
enum trib_envelope trib_envelope_open(struct trib_container *c, struct trib_view value,
                                      const struct trib_reader_opts *o, struct trib_change *change,
                                      struct trib_bad *bad);
/* The next element; NONE at the end. */
enum trib_envelope trib_container_next(struct trib_container *c, const struct trib_reader_opts *o,
                                       struct trib_change *change, struct trib_bad *bad);

#endif
