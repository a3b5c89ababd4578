/* See keycheck.h. */
#include "ingest/keycheck.h"

#include <stdio.h>
#include <stdlib.h>

#include "dynamodb/json.h"

enum { DEPTH = 256 };

static const struct trib_field *key_field(const struct trib_type *schema, const char *attribute)
{
    for (size_t i = 0; schema != NULL && i < schema->n_fields; i++) {
        const struct trib_field *f = &schema->fields[i];
        const char *name = trib_field_meta(f, "dynamodb.name");
        if (trib_field_meta(f, "dynamodb.type") != NULL && strcmp(name != NULL ? name : f->name, attribute) == 0) {
            return f;
        }
    }
    return NULL;
}

/* The member of an object, by its unescaped name. */
static bool member(struct trib_view object, const char *name, struct trib_view *ret)
{
    struct trib_json j = trib_json_of(object);
    if (!trib_json_take(&j, '{') || trib_json_take(&j, '}')) {
        return false;
    }
    do {
        struct trib_view raw, value;
        bool escaped;
        if (!trib_json_text(&j, &raw, &escaped) || !trib_json_take(&j, ':') || !trib_json_skip(&j, DEPTH, &value)) {
            return false;
        }
        bool same = !escaped && trib_view_is(raw, name);
        if (escaped) {
            char *text = trib_malloc(raw.n + 1);
            ssize_t n = trib_json_unescape(raw, text);
            same = n >= 0 && trib_view_is((struct trib_view){text, (size_t)n}, name);
            free(text);
        }
        if (same) {
            *ret = value;
            return true;
        }
    } while (trib_json_take(&j, ','));
    return false;
}

/* A number in a bigint column: does it fit, or will Silver's column grow to hold it? */
static bool number_usable(struct trib_view text, const struct trib_field *f, const struct trib_schema_opts *o,
                          const char *attribute)
{
    struct trib_number n;
    int64_t whole, hi;
    uint64_t lo;
    if (!trib_number_parse(text, &n)) {
        return false;
    }
    if (f->type.id == TRIB_T_LONG) {
        return trib_number_to_i64(&n, &whole) || (o->evolution == TRIB_EVOLVE_WIDEN && !trib_hinted(o, attribute) &&
                                                  trib_number_to_decimal(&n, 38, 18, &lo, &hi));
    }
    return f->type.id == TRIB_T_DECIMAL && trib_number_to_decimal(&n, f->type.precision, f->type.scale, &lo, &hi);
}

static bool usable(struct trib_view item, const struct trib_type *schema, const struct trib_schema_opts *o,
                   const char *attribute, char why[256])
{
    struct trib_view value, text;
    const struct trib_field *f = key_field(schema, attribute);
    if (!member(item, attribute, &value)) {
        (void)snprintf(why, 256, "the key attribute %.120s is missing", attribute);
        return false;
    }
    if (member(value, "NULL", &text) || f == NULL) {
        (void)snprintf(why, 256, "the key attribute %.120s is NULL, or of a type that no key has", attribute);
        return false;
    }
    const char *type = trib_field_meta(f, "dynamodb.type");
    if (!member(value, type, &text)) {
        int n = value.n < 60 ? (int)value.n : 60;
        (void)snprintf(why, 256, "the key attribute %.120s is %.*s, but the key column holds type %s", attribute, n,
                       value.p, type);
        return false;
    }
    if (strcmp(type, "N") != 0) {
        (void)snprintf(why, 256, "the value of the key attribute %.120s does not fit its column", attribute);
        return false;
    }
    struct trib_view digits = text.n >= 2 ? (struct trib_view){text.p + 1, text.n - 2} : text;
    if (!number_usable(digits, f, o, attribute)) {
        (void)snprintf(why, 256, "the key attribute %.120s is the number %.*s, which does not fit the key column",
                       attribute, (int)(digits.n < 60 ? digits.n : 60), digits.p);
        return false;
    }
    return true;
}

bool trib_key_usable(struct trib_view item, const struct trib_type *schema, const struct trib_schema_opts *o,
                     const struct trib_vec *cols, uint64_t row, char why[256])
{
    for (size_t i = 0; i < o->n_keys; i++) {
        const struct trib_field *f = key_field(schema, o->keys[i]);
        bool placed = f != NULL && !trib_vec_is_null(&cols[f - schema->fields], row);
        if (!placed && !usable(item, schema, o, o->keys[i], why)) {
            return false;
        }
    }
    return true;
}
