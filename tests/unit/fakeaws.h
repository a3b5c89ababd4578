/* What tests of the fake AWS share: one with a table and a bucket in it, calls that are to succeed or to fail. */
#ifndef TRIB_UNIT_FAKEAWS_H
#define TRIB_UNIT_FAKEAWS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fakeaws/client.h"

static struct trib_fakeaws *f;

static inline const char *text(json_t *v, const char *name)
{
    return json_string_value(name == NULL ? v : json_object_get(v, name));
}

static inline int begin(void **state)
{
    (void)state;
    f = trib_fakeaws_new(&(struct trib_fakeaws_opts){.seed = 1});
    trib_fakeaws_create_table(f, &(struct trib_fakeaws_table){.name = "orders",
                                                              .hash = "pk",
                                                              .range = "n",
                                                              .range_type = 'N',
                                                              .view = "NEW_AND_OLD_IMAGES",
                                                              .pitr = true});
    trib_fakeaws_bucket(f, "lake", NULL);
    return 0;
}
static inline int end(void **state)
{
    (void)state;
    trib_fakeaws_free(f);
    return 0;
}

/* It succeeds: the reply. [out] json_decref */
static inline json_t *good(const char *operation, const char *body)
{
    int status;
    json_t *v = trib_fakeaws_json(f, operation, body, &status);
    if (status != 200) {
        print_message("%s %s: %d %s\n", operation, body, status, text(json_object_get(v, "message"), NULL));
    }
    assert_int_equal(status, 200);
    assert_non_null(v);
    return v;
}

/* It fails with this code (behind the '#'). */
static inline void bad(const char *operation, const char *body, const char *code)
{
    int status;
    json_t *v = trib_fakeaws_json(f, operation, body, &status);
    const char *type = json_string_value(json_object_get(v, "__type")),
               *hash = type == NULL ? NULL : strrchr(type, '#');
    assert_true(status >= 400);
    assert_string_equal(hash == NULL ? type : hash + 1, code);
    json_decref(v);
}

#endif
