/*
 * What must hold for any items under any schema: learn from some of them, decode all, and everything comes back; what the
 * decoder tells about the schema is what the items tell; under the schema that follows nothing is left to learn.
 */
#ifndef TRIB_TESTS_ROUND_TRIP_H
#define TRIB_TESTS_ROUND_TRIP_H

#include "schema/decode.h"

struct test_trip {
    const struct trib_view *items;
    size_t n;
    size_t learn; /* the first schema is learnt from the first so many of them */
    bool twice;   /* binary is base64 twice */
    bool silver;
    bool may_break; /* items need not be valid: then all parts must agree that they are not */
    struct trib_schema_opts o;
};
/* NULL, or what went wrong with the texts concerned. [out] free() */
char *test_round_trip(const struct test_trip *t);

#endif
