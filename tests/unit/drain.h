/* Ingest of table T from the source folder of a test's lake, until nothing is new. Include after cmocka.h. */
#ifndef TRIB_TEST_DRAIN_H
#define TRIB_TEST_DRAIN_H

#include "ingest/ingest.h"
#include "lake.h"

static inline struct trib_ingest_opts options(struct lake *l)
{
    static const char *const keys_pk[] = {"pk"};
    return (struct trib_ingest_opts){.pipeline = "p",
                                     .table = "T",
                                     .type = TRIB_SOURCE_FILES,
                                     .source = l->source,
                                     .keys = keys_pk,
                                     .n_keys = 1,
                                     .schema = {.infer = true}};
}

/* Steps of a fresh process until nothing is new or a step fails; returns the code and the number of commits. */
static inline int drain(struct lake *l, const struct trib_ingest_opts *o, int *ret_steps, struct trib_step *ret_sum,
                        struct trib_err *err)
{
    struct trib_ingest *in;
    struct trib_step sum = {.version = -1}, s;
    int steps = 0, rc;
    ok(trib_ingest_new(&l->env, o, &in, err), err);
    while ((rc = trib_ingest_step(in, l->now_us, &s, err)) == 0 && s.worked) {
        steps++;
        sum.rows_in += s.rows_in;
        sum.rows_out += s.rows_out;
        sum.files_in += s.files_in;
        sum.quarantined += s.quarantined;
        sum.rescued += s.rescued;
        sum.version = s.version >= 0 ? s.version : sum.version;
        assert_true(steps < 1000);
    }
    trib_ingest_free(in);
    if (ret_steps != NULL) {
        *ret_steps = steps;
    }
    if (ret_sum != NULL) {
        *ret_sum = sum;
    }
    return rc;
}

static inline struct trib_step drained(struct lake *l, const struct trib_ingest_opts *o)
{
    struct trib_err err = {0};
    struct trib_step sum;
    ok(drain(l, o, NULL, &sum, &err), &err);
    return sum;
}

static inline void drain_fails(struct lake *l, const struct trib_ingest_opts *o, int code, const char *says)
{
    struct trib_err err = {0};
    int rc = drain(l, o, NULL, NULL, &err);
    if (rc != code || strstr(err.msg, says) == NULL) {
        fail_msg("expected %s with \"%s\", got %s: %s", trib_code_name((enum trib_code)code), says,
                 trib_code_name((enum trib_code)rc), err.msg);
    }
}

#endif
