/*
 * Query, on a table or on a global index. An index is not kept: every call looks at all items, which is enough for tests. Items that
 * lack an index's attributes, or have them with another type, are not in it.
 */
#include <stdlib.h>

#include "fakeaws/own.h"

struct hit {
    const struct fk_item *item;
    const struct fk_version *v;
    json_t *image;
};
struct query {
    const char *hash, *range;
    char hash_type, range_type;
    bool backwards;
};

/* qsort_r's, over the range key, then the table's own order. */
static int by_range(const void *a, const void *b, void *ctx)
{
    const struct hit *x = a, *y = b;
    const struct query *k = ctx;
    int d =
        k->range == NULL ? 0 : fk_value_cmp(json_object_get(x->image, k->range), json_object_get(y->image, k->range));
    d = d != 0 ? d : fk_item_cmp(x->item, y->item);
    return k->backwards ? -d : d;
}

static bool has(json_t *image, const char *name, char type)
{
    json_t *inner = NULL;
    const char *is = name == NULL ? NULL : fk_type(json_object_get(image, name), &inner);
    return name == NULL || (is != NULL && is[0] == type && is[1] == '\0');
}

/* The keys that a page ends with: the index's and the table's. [out] */
static json_t *keys_of(const struct fk_table *t, const struct query *k, json_t *image)
{
    json_t *o = json_object();
    const char *const names[] = {k->hash, k->range, t->hash, t->range};
    for (size_t i = 0; i < 4; i++) {
        if (names[i] != NULL) {
            (void)json_object_set(o, names[i], json_object_get(image, names[i]));
        }
    }
    return o;
}

static bool plan(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r, const struct fk_table *t,
                 struct query *k)
{
    const char *index = fk_str(q->json, "IndexName");
    json_t *forward = json_object_get(q->json, "ScanIndexForward");
    *k = (struct query){t->hash, t->range, t->hash_type, t->range_type, json_is_false(forward)};
    for (size_t i = 0; index != NULL && i < t->n_indexes; i++) {
        const struct fk_index *x = &t->indexes[i];
        if (strcmp(x->name, index) == 0) {
            *k = (struct query){x->hash, x->range, x->hash_type, x->range_type, json_is_false(forward)};
            if (!json_is_true(json_object_get(q->json, "ConsistentRead"))) {
                return true;
            }
            fk_error(f, q, r, 400, "ValidationException",
                     "Consistent reads are not supported on global secondary indexes");
            return false;
        }
    }
    if (index != NULL) {
        fk_error(f, q, r, 400, "ValidationException", "The table does not have the specified index: %s", index);
    }
    return index == NULL;
}

/* All that the key condition takes, in order; false: the error is in r. */
static bool collect(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r, struct fk_table *t,
                    struct query *k, struct hit **ret, size_t *ret_n)
{
    const char *text = fk_str(q->json, "KeyConditionExpression");
    struct hit *all = trib_calloc(t->n_order + 1, sizeof *all);
    size_t n = 0;
    char *bad =
        text == NULL ? trib_strdup("Either the KeyConditions or KeyConditionExpression parameter must be given") : NULL;
    for (size_t i = 0; i < t->n_order && bad == NULL; i++) {
        const struct fk_version *v = fk_at(t->order[i], INT64_MAX);
        json_t *image = v == NULL || v->image == NULL ? NULL : json_loads(v->image, JSON_ALLOW_NUL, NULL);
        if (image != NULL && has(image, k->hash, k->hash_type) && has(image, k->range, k->range_type) &&
            fk_condition(q->json, text, image, &bad)) {
            all[n++] = (struct hit){t->order[i], v, json_incref(image)};
        }
        json_decref(image);
        if (bad == NULL && n > 1 &&
            !json_equal(json_object_get(all[0].image, k->hash), json_object_get(all[n - 1].image, k->hash))) {
            bad = trib_strdup("Query key condition not supported");
        }
    }
    *ret = all;
    *ret_n = n;
    qsort_r(all, n, sizeof *all, by_range, k);
    if (bad != NULL) {
        fk_error(f, q, r, 400, "ValidationException", "%s", bad);
        free(bad);
        return false;
    }
    return true;
}

/* The place behind ExclusiveStartKey. */
static size_t start_of(const struct fk_req *q, const struct fk_table *t, const struct query *k, const struct hit *all,
                       size_t n)
{
    json_t *start = json_object_get(q->json, "ExclusiveStartKey"), *keys = NULL, *own = json_object();
    size_t size, i = 0;
    if (start != NULL) {
        free(fk_item_check(start, &size));
        (void)json_object_set(own, t->hash, json_object_get(start, t->hash));
        if (t->range != NULL) {
            (void)json_object_set(own, t->range, json_object_get(start, t->range));
        }
        char *bad = fk_key(t, own, true, &keys);
        if (bad == NULL) {
            struct trib_buf text;
            struct fk_item item = {0};
            trib_buf_init(&text, 1 << 16);
            fk_key_text(t, keys, &text, &item.place);
            item.key = text.p;
            item.key_n = text.n;
            item.range = t->range == NULL ? NULL : json_object_get(keys, t->range);
            struct hit at = {&item, NULL, start};
            while (i < n && by_range(&all[i], &at, (void *)(uintptr_t)k) <= 0) {
                i++;
            }
            trib_buf_free(&text);
        }
        free(bad);
    }
    json_decref(keys);
    json_decref(own);
    return i;
}

static void page(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, struct fk_table *t, const struct query *k,
                 const struct hit *all, size_t n, char **ret_bad)
{
    const char *filter = fk_str(q->json, "FilterExpression");
    int64_t limit = fk_int(q->json, "Limit", INT64_MAX), seen = 0, count = 0;
    if (fk_chance(f, f->chaos.short_page)) {
        int64_t few = 1 + (int64_t)trib_seeded_below(&f->chaos_rng, SHORT_PAGE);
        limit = few < limit ? few : limit;
    }
    struct trib_buf *b = fk_body(r);
    size_t bytes = 0;
    trib_buf_adds(b, "{\"Items\":[");
    size_t i = start_of(q, t, k, all, n);
    for (; i < n && seen < limit && bytes < SCAN_BYTES && *ret_bad == NULL; i++, seen++) {
        bytes += all[i].v->size;
        if (filter == NULL || fk_condition(q->json, filter, all[i].image, ret_bad)) {
            trib_buf_adds(b, count++ > 0 ? "," : "");
            trib_buf_add(b, all[i].v->image, all[i].v->n);
        }
    }
    trib_buf_addf(b, "],\"Count\":%lld,\"ScannedCount\":%lld", (long long)count, (long long)seen);
    if (seen > 0 && (seen == limit || bytes >= SCAN_BYTES)) {
        json_t *last = keys_of(t, k, all[i - 1].image);
        char *text = json_dumps(last, JSON_COMPACT);
        trib_buf_adds(b, ",\"LastEvaluatedKey\":");
        trib_buf_adds(b, text);
        free(text);
        json_decref(last);
    }
    fk_capacity(q, t, fk_read_units(bytes, json_is_true(json_object_get(q->json, "ConsistentRead"))), b);
    trib_buf_addc(b, '}');
}

void fk_query(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    struct fk_table *t = fk_table_of(f, q, r);
    struct query k;
    struct hit *all = NULL;
    size_t n = 0;
    if (t == NULL || fk_spent(f, q, r, t) || !plan(f, q, r, t, &k)) {
        return;
    }
    if (collect(f, q, r, t, &k, &all, &n)) {
        char *bad = NULL;
        page(f, q, r, t, &k, all, n, &bad);
        if (bad != NULL) {
            fk_error(f, q, r, 400, "ValidationException", "Invalid FilterExpression: %s", bad);
            free(bad);
        }
    }
    for (size_t i = 0; i < n; i++) {
        json_decref(all[i].image);
    }
    free(all);
}
