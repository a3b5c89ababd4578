/* See diffs.h. A crash leaves a whole document or none; an object that no document names is nobody's. */
#include "stage/diffs.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

enum { VERSION = 1, DOC_MAX = 1 << 20 };

static char *key_of(size_t number) { return trib_asprintf("_diffs/%08zu.json", number); }

static int parse(struct trib_view text, const char *key, struct trib_diff_doc *ret, struct trib_err *err)
{
    json_error_t why;
    json_t *doc = json_loadb(text.p == NULL ? "" : text.p, text.n, JSON_REJECT_DUPLICATES, &why);
    const char *snapshot = json_string_value(json_object_get(doc, "snapshot"));
    const char *object = json_string_value(json_object_get(doc, "object"));
    const json_t *time = json_object_get(doc, "time_us"), *version = json_object_get(doc, "version");
    int rc = 0;
    if (json_integer_value(version) > VERSION) {
        rc = trib_err_set(err, TRIB_E_UNSUPPORTED,
                          "%s has format version %" JSON_INTEGER_FORMAT
                          ", this program knows %d: use the version of Tributary that wrote it, or a newer one",
                          key, json_integer_value(version), VERSION);
    } else if (snapshot == NULL || object == NULL || !json_is_integer(time) || json_integer_value(version) < 1) {
        rc = trib_err_set(err, TRIB_E_DATA, "%s: not the JSON that Tributary writes there", key);
    } else {
        *ret = (struct trib_diff_doc){.snapshot = trib_strdup(snapshot),
                                      .object = trib_strdup(object),
                                      .time_us = (int64_t)json_integer_value(time)};
    }
    json_decref(doc);
    return rc;
}

int trib_diffs_refresh(struct trib_store *landing, struct trib_diffs *d, struct trib_err *err)
{
    for (;;) {
        TRIB_CLEANUP(trib_cleanup_free) char *key = key_of(d->n + 1);
        struct trib_buf text;
        trib_buf_init(&text, DOC_MAX);
        struct trib_err own = {0};
        struct trib_diff_doc doc;
        int rc = trib_store_get(landing, key, 0, -1, &text, &own);
        bool end = rc == TRIB_E_NOT_FOUND;
        if (rc == 0) {
            rc = parse(trib_buf_view(&text), key, &doc, &own);
        }
        trib_buf_free(&text);
        if (end) {
            return 0;
        }
        if (rc != 0) {
            *err = own;
            return rc;
        }
        TRIB_GROW(d->docs, d->cap, d->n + 1);
        d->docs[d->n++] = doc;
    }
}

int trib_diffs_add(struct trib_store *landing, struct trib_diffs *d, const struct trib_diff_doc *doc,
                   struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *key = key_of(d->n + 1);
    json_t *json = json_pack("{s:i,s:s,s:I,s:s}", "version", VERSION, "snapshot", doc->snapshot, "time_us",
                             (json_int_t)doc->time_us, "object", doc->object);
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(json);
    int rc = text == NULL ? trib_err_set(err, TRIB_E_INTERNAL, "%s cannot be written as JSON", key)
                          : trib_store_put(landing, key, trib_view_of(text), true, err);
    free(text);
    return rc;
}

void trib_diffs_free(struct trib_diffs *d)
{
    for (size_t i = 0; i < d->n; i++) {
        free(d->docs[i].snapshot);
        free(d->docs[i].object);
    }
    free(d->docs);
    *d = (struct trib_diffs){0};
}
