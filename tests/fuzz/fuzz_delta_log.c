/*
 * Commits of a Delta log: any bytes are actions or an error. What parses is replayed, and its schemas survive being written
 * and read again.
 */
#include <stdint.h>
#include <stdlib.h>

#include "delta/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
    if (!good) {
        abort();
    }
}

static void check_schema(const char *json)
{
    struct trib_type once, twice;
    struct trib_err err;
    struct trib_buf first, second;
    if (trib_delta_schema_parse(trib_view_of(json), &once, &err) != 0) {
        return;
    }
    trib_buf_init(&first, SIZE_MAX / 2);
    trib_buf_init(&second, SIZE_MAX / 2);
    trib_delta_schema_json(&once, &first);
    must(trib_delta_schema_parse(trib_buf_view(&first), &twice, &err) == 0);
    trib_delta_schema_json(&twice, &second);
    must(trib_view_eq(trib_buf_view(&first), trib_buf_view(&second)));
    trib_buf_free(&first);
    trib_buf_free(&second);
    trib_type_free(&once);
    trib_type_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trib_actions a = {0};
    struct trib_err err;
    int rc = trib_actions_parse((struct trib_view){(const char *)data, size}, "commit", &a, &err);
    must(rc == 0 || rc == TRIB_E_DATA);
    for (size_t i = 0; rc == 0 && i < a.n; i++) {
        if (a.p[i].kind == TRIB_ACTION_METADATA) {
            check_schema(a.p[i].u.metadata.schema_json);
        }
    }
    if (rc == 0) {
        struct trib_log_state *state = trib_log_state_new();
        struct trib_snapshot s = {.version = 0}, again = {.version = 0};
        for (size_t i = 0; i < a.n; i++) {
            trib_log_state_apply(state, &a.p[i], 0);
        }
        trib_log_state_give(state, &s);
        size_t live = s.n_adds, dead = s.n_removes;
        trib_log_state_take(state, &s); /* a refresh with nothing new changes nothing */
        trib_log_state_give(state, &again);
        must(again.n_adds == live && again.n_removes == dead);
        trib_log_state_free(state);
        trib_snapshot_free(&s);
        trib_snapshot_free(&again);
    }
    trib_actions_free(&a);
    /* The same bytes as a schema of their own. */
    char *text = trib_strndup((const char *)data, size);
    check_schema(text);
    free(text);
    return 0;
}
