/* Attribute values as DynamoDB checks and keeps them (spec: dynamodb.md, Attribute values). Pure. */
#include <stdlib.h>

#include "fakeaws/own.h"

enum { DEPTH_MAX = 32, TEXT_MAX = 1 << 22 };

const char *fk_type(json_t *value, json_t **ret)
{
    void *it = json_object_iter(value);
    if (it == NULL || json_object_size(value) != 1) {
        return NULL;
    }
    *ret = json_object_iter_value(it);
    return json_object_iter_key(it);
}

static struct trib_view text_of(json_t *s) { return (struct trib_view){json_string_value(s), json_string_length(s)}; }

/* Plain decimal notation, as DynamoDB returns numbers. NULL: out of range or no number. */
static char *number_text(struct trib_view text)
{
    struct trib_number n;
    if (!trib_number_parse(text, &n)) {
        return NULL;
    }
    struct trib_buf b;
    trib_buf_init(&b, TEXT_MAX);
    if (n.n_digits == 0) {
        trib_buf_addc(&b, '0');
        return trib_buf_take(&b);
    }
    trib_buf_adds(&b, n.negative ? "-" : "");
    int point = (int)n.n_digits + n.exponent; /* digits before the point */
    if (point <= 0) {
        trib_buf_adds(&b, "0.");
        for (int i = point; i < 0; i++) {
            trib_buf_addc(&b, '0');
        }
    }
    for (int i = 0; i < (int)n.n_digits; i++) {
        if (i == point && i > 0) {
            trib_buf_addc(&b, '.');
        }
        trib_buf_addc(&b, n.digits[i]);
    }
    for (int i = (int)n.n_digits; i < point; i++) {
        trib_buf_addc(&b, '0');
    }
    return trib_buf_take(&b);
}

/* Sets v (a string inside its container) to its normal form. false: bad. */
static char *scalar(char type, json_t *v, size_t *size)
{
    if (!json_is_string(v)) {
        return trib_strdup("SERIALIZATION");
    }
    if (type == 'N') {
        char *text = number_text(text_of(v));
        if (text == NULL) {
            return trib_strdup("The parameter cannot be converted to a numeric value");
        }
        (void)json_string_set(v, text);
        *size += strlen(text) / 2 + 2;
        free(text);
    } else if (type == 'B') {
        struct trib_buf b;
        trib_buf_init(&b, TEXT_MAX);
        bool good = fk_base64_decode(text_of(v), &b);
        if (good) {
            char *again = fk_base64(b.n == 0 ? "" : b.p, b.n);
            (void)json_string_set(v, again);
            free(again);
            *size += b.n;
        }
        trib_buf_free(&b);
        return good ? NULL : trib_strdup("SERIALIZATION");
    } else {
        *size += json_string_length(v);
    }
    return NULL;
}

static int by_value(const void *a, const void *b, void *type)
{
    json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    json_t *p = json_object(), *q = json_object();
    (void)json_object_set(p, type, x);
    (void)json_object_set(q, type, y);
    int d = fk_value_cmp(p, q);
    json_decref(p);
    json_decref(q);
    return d;
}

static char *set(const char *type, json_t *v, size_t *size)
{
    size_t n = json_array_size(v);
    if (!json_is_array(v)) {
        return trib_strdup("SERIALIZATION");
    }
    if (n == 0) {
        return trib_strdup("One or more parameter values were invalid: An string set  may not be empty");
    }
    char one[2] = {type[0], '\0'};
    json_t **all = trib_calloc(n, sizeof *all);
    char *bad = NULL;
    for (size_t i = 0; i < n && bad == NULL; i++) {
        bad = scalar(one[0], json_array_get(v, i), size);
    }
    for (size_t i = 0; i < n && bad == NULL; i++) {
        all[i] = json_incref(json_array_get(v, i));
    }
    if (bad == NULL) {
        qsort_r(all, n, sizeof *all, by_value, one);
        (void)json_array_clear(v);
        for (size_t i = 0; i < n; i++) {
            if (i > 0 && json_equal(all[i], all[i - 1]) && bad == NULL) {
                bad = trib_strdup("One or more parameter values were invalid: Input collection contains duplicates.");
            }
            (void)json_array_append_new(v, all[i]);
        }
    }
    free(all);
    return bad;
}

static char *check(json_t *value, unsigned depth, size_t *size)
{
    json_t *v = NULL, *each;
    const char *type = json_is_object(value) ? fk_type(value, &v) : NULL, *name;
    size_t i;
    char *bad = NULL;
    if (type == NULL) {
        return trib_strdup(json_is_object(value)
                               ? "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
                               : "SERIALIZATION");
    }
    if (depth > DEPTH_MAX) {
        return trib_strdup("Nesting Levels have exceeded supported limits");
    }
    if (strcmp(type, "S") == 0 || strcmp(type, "N") == 0 || strcmp(type, "B") == 0) {
        return scalar(*type, v, size);
    }
    if (strcmp(type, "SS") == 0 || strcmp(type, "NS") == 0 || strcmp(type, "BS") == 0) {
        return set(type, v, size);
    }
    if (strcmp(type, "BOOL") == 0 || strcmp(type, "NULL") == 0) {
        *size += 1;
        return !json_is_boolean(v) ? trib_strdup("SERIALIZATION")
               : *type == 'N' && !json_is_true(v)
                   ? trib_strdup("One or more parameter values were invalid: Null attribute value types must have the "
                                 "value of true")
                   : NULL;
    }
    *size += 3;
    if (strcmp(type, "L") == 0 && json_is_array(v)) {
        json_array_foreach(v, i, each)
        {
            *size += 1;
            if (bad == NULL) {
                bad = check(each, depth + 1, size);
            }
        }
        return bad;
    }
    if (strcmp(type, "M") == 0 && json_is_object(v)) {
        json_object_foreach(v, name, each)
        {
            *size += strlen(name) + 1;
            if (bad == NULL) {
                bad = check(each, depth + 1, size);
            }
        }
        return bad;
    }
    return trib_strdup("SERIALIZATION");
}

char *fk_item_check(json_t *item, size_t *ret_size)
{
    const char *name;
    json_t *value;
    size_t size = 0;
    if (!json_is_object(item)) {
        return trib_strdup("SERIALIZATION");
    }
    json_object_foreach(item, name, value)
    {
        size += strlen(name);
        char *bad = check(value, 0, &size);
        if (bad != NULL) {
            return bad;
        }
    }
    *ret_size = size;
    return size > ITEM_BYTES ? trib_strdup("Item size has exceeded the maximum allowed size") : NULL;
}

static char *key_part(json_t *item, const char *name, char type, bool exact, size_t max, json_t *keys)
{
    json_t *v = json_object_get(item, name), *inner = NULL;
    if (v == NULL) {
        return exact ? trib_strdup("The provided key element does not match the schema")
                     : trib_asprintf("One or more parameter values were invalid: Missing the key %s in the item", name);
    }
    const char *is = fk_type(v, &inner);
    if (is == NULL || is[0] != type || is[1] != '\0') {
        return exact ? trib_strdup("The provided key element does not match the schema")
                     : trib_asprintf("One or more parameter values were invalid: Type mismatch for key %s expected: %c "
                                     "actual: %s",
                                     name, type, is == NULL ? "?" : is);
    }
    if (type != 'N' && json_string_length(inner) == 0) {
        return trib_asprintf("One or more parameter values are not valid. The AttributeValue for a key attribute "
                             "cannot contain an empty %s value. Key: %s",
                             type == 'S' ? "string" : "binary", name);
    }
    if (type != 'N' && json_string_length(inner) * (type == 'B' ? 3 : 4) / 4 > max) {
        return trib_asprintf("One or more parameter values were invalid: Size of %s has exceeded the maximum size "
                             "limit of %zu bytes",
                             max == 2048 ? "hashkey" : "rangekey", max);
    }
    (void)json_object_set(keys, name, v);
    return NULL;
}

char *fk_key(const struct fk_table *t, json_t *item, bool exact, json_t **ret)
{
    size_t size;
    char *bad = fk_item_check(item, &size);
    if (bad == NULL && exact && json_object_size(item) != (t->range == NULL ? 1U : 2U)) {
        bad = trib_strdup("The provided key element does not match the schema");
    }
    json_t *keys = json_object();
    if (bad == NULL) {
        bad = key_part(item, t->hash, t->hash_type, exact, 2048, keys);
    }
    if (bad == NULL && t->range != NULL) {
        bad = key_part(item, t->range, t->range_type, exact, 1024, keys);
    }
    if (bad != NULL) {
        json_decref(keys);
        return bad;
    }
    *ret = keys;
    return NULL;
}

void fk_key_text(const struct fk_table *t, json_t *keys, struct trib_buf *to, uint64_t *ret_place)
{
    json_t *v = NULL;
    (void)fk_type(json_object_get(keys, t->hash), &v);
    trib_buf_addf(to, "%c%zu:", t->hash_type, json_string_length(v));
    trib_buf_add(to, json_string_value(v), json_string_length(v));
    *ret_place = fk_hash(to->p, to->n, 7);
    if (t->range != NULL) {
        (void)fk_type(json_object_get(keys, t->range), &v);
        trib_buf_addc(to, t->range_type);
        trib_buf_add(to, json_string_value(v), json_string_length(v));
    }
}

int fk_value_cmp(json_t *a, json_t *b)
{
    json_t *x = NULL, *y = NULL;
    const char *p = fk_type(a, &x), *q = fk_type(b, &y);
    if (p == NULL || q == NULL || strcmp(p, q) != 0) {
        return p == NULL ? -1 : q == NULL ? 1 : strcmp(p, q);
    }
    if (*p == 'N' && p[1] == '\0') {
        struct trib_number m, n;
        bool good = trib_number_parse(text_of(x), &m) && trib_number_parse(text_of(y), &n);
        return good ? trib_number_cmp(&m, &n) : 0;
    }
    if (*p == 'B' && p[1] == '\0') {
        struct trib_buf m, n;
        trib_buf_init(&m, TEXT_MAX);
        trib_buf_init(&n, TEXT_MAX);
        (void)fk_base64_decode(text_of(x), &m);
        (void)fk_base64_decode(text_of(y), &n);
        int d = trib_view_cmp(trib_buf_view(&m), trib_buf_view(&n));
        trib_buf_free(&m);
        trib_buf_free(&n);
        return d;
    }
    if (*p == 'S' && p[1] == '\0') {
        return trib_view_cmp(text_of(x), text_of(y));
    }
    return json_equal(a, b) ? 0 : 1;
}
