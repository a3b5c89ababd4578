/*
 * Columns plus rescued text → the exact item (decode.h). Rescued data is laid over the columns: where it names an attribute or a map
 * member, it wins.
 */
#include <stdlib.h>

#include "dynamodb/json.h"
#include "schema/own.h"
#include "schema/scalar.h"

struct over { /* rescued members of one map, parsed lazily */
    struct trib_view name_raw, value;
    bool used;
};

static void base64(struct trib_view v, struct trib_buf *to)
{
    char *p = trib_buf_reserve(to, trib_base64_size(v.n));
    if (p != NULL) {
        trib_base64_encode(v, p);
        to->n += trib_base64_size(v.n);
        to->p[to->n] = '\0';
    }
}

static int encode_value(const char *type_text, const char *element, const struct trib_type *t, const struct trib_vec *v,
                        uint64_t row, struct trib_view over, struct trib_buf *to, struct trib_err *err);
static int encode_members(const struct trib_type *t, const struct trib_vec *cols, uint64_t row,
                          struct trib_view rescued, struct trib_buf *to, struct trib_err *err);

static void encode_scalar(enum trib_attr_type attr, const struct trib_type *t, const struct trib_vec *v, uint64_t row,
                          struct trib_buf *to)
{
    if (attr == TRIB_A_BOOL) {
        trib_scalar_format(t, v, row, to);
        return;
    }
    struct trib_view text = {NULL, 0};
    if (t->id == TRIB_T_STRING || t->id == TRIB_T_BINARY) {
        text = trib_str_view(&((const struct trib_str *)v->data)[row]);
    }
    if (attr == TRIB_A_B && t->id == TRIB_T_BINARY) {
        trib_buf_addc(to, '"');
        base64(text, to);
        trib_buf_addc(to, '"');
    } else if (t->id == TRIB_T_STRING) {
        trib_json_string(to, text);
    } else {
        trib_buf_addc(to, '"');
        trib_scalar_format(t, v, row, to);
        trib_buf_addc(to, '"');
    }
}

static int encode_elements(enum trib_attr_type attr, const char *element, const struct trib_type *t,
                           const struct trib_vec *v, uint64_t row, struct trib_buf *to, struct trib_err *err)
{
    struct trib_list l = ((const struct trib_list *)v->data)[row];
    const struct trib_vec *c = &v->children[0];
    const struct trib_type *et = &t->fields[0].type;
    static const enum trib_attr_type of[] = {TRIB_A_S, TRIB_A_N, TRIB_A_B};
    trib_buf_addc(to, '[');
    for (uint64_t i = 0; i < l.length; i++) {
        uint64_t at = l.offset + i;
        trib_buf_adds(to, i > 0 ? "," : "");
        if (attr != TRIB_A_L) {
            encode_scalar(of[attr - TRIB_A_SS], et, c, at, to);
        } else if (trib_vec_is_null(c, at)) {
            trib_buf_adds(to, "{\"NULL\":true}");
        } else if (element == NULL || strcmp(element, "json") == 0) {
            trib_scalar_format(et, c, at, to);
        } else if (strncmp(element, "L<", 2) == 0) {
            char *inner = trib_strndup(element + 2, strlen(element) - 3);
            int rc = encode_value("L", inner, et, c, at, (struct trib_view){NULL, 0}, to, err);
            free(inner);
            TRIB_TRY(rc);
        } else {
            TRIB_TRY(encode_value(element, NULL, et, c, at, (struct trib_view){NULL, 0}, to, err));
        }
    }
    trib_buf_addc(to, ']');
    return 0;
}

/* `{"T":…}`. over: rescued value of the same attribute, which wins; a rescued M is laid over the struct. */
static int encode_value(const char *type_text, const char *element, const struct trib_type *t, const struct trib_vec *v,
                        uint64_t row, struct trib_view over, struct trib_buf *to, struct trib_err *err)
{
    enum trib_attr_type attr = TRIB_A_S;
    (void)trib_attr_type_parse(trib_view_of(type_text), &attr);
    struct trib_view over_members = {NULL, 0};
    if (over.p != NULL) {
        struct trib_json j = trib_json_of(over);
        enum trib_attr_type o;
        if (!(attr == TRIB_A_M && t->id == TRIB_T_STRUCT && trib_typed_open(&j, &o) && o == TRIB_A_M &&
              trib_json_skip(&j, TRIB_ITEM_DEPTH * 4, &over_members))) {
            trib_buf_add(to, over.p, over.n);
            return 0;
        }
    }
    trib_buf_addf(to, "{\"%s\":", type_text);
    if (attr == TRIB_A_M && t->id == TRIB_T_STRUCT) {
        TRIB_TRY(encode_members(t, v->children, row, over_members, to, err));
    } else if (t->id == TRIB_T_ARRAY) {
        TRIB_TRY(encode_elements(attr, element, t, v, row, to, err));
    } else if (t->id == TRIB_T_STRING && attr != TRIB_A_S && attr != TRIB_A_N && attr != TRIB_A_B) {
        trib_scalar_format(t, v, row, to); /* infer: false keeps DynamoDB JSON */
    } else {
        encode_scalar(attr, t, v, row, to);
    }
    trib_buf_addc(to, '}');
    return 0;
}

/* Members of a rescued object. [out] free() */
static int parse_over(struct trib_view rescued, struct over **ret, size_t *ret_n, struct trib_err *err)
{
    *ret = NULL;
    *ret_n = 0;
    if (rescued.p == NULL || rescued.n == 0) {
        return 0;
    }
    struct trib_json j = trib_json_of(rescued);
    size_t cap = 0;
    bool ok = trib_json_take(&j, '{');
    if (ok && trib_json_take(&j, '}')) {
        return 0;
    }
    do {
        TRIB_GROW(*ret, cap, *ret_n + 1);
        struct over *o = &(*ret)[*ret_n];
        bool escaped;
        o->used = false;
        ok = ok && trib_json_text(&j, &o->name_raw, &escaped) && trib_json_take(&j, ':') &&
             trib_json_skip(&j, TRIB_ITEM_DEPTH * 4, &o->value);
        (*ret_n)++;
    } while (ok && trib_json_take(&j, ','));
    if (!ok) {
        free(*ret);
        *ret = NULL;
        *ret_n = 0;
        return trib_err_set(err, TRIB_E_DATA, "rescued data is not a JSON object: %.*s",
                            (int)(rescued.n > 200 ? 200 : rescued.n), rescued.p);
    }
    return 0;
}

static bool name_is(struct trib_view raw, const char *name)
{
    if (memchr(raw.p, '\\', raw.n) == NULL) {
        return trib_view_is(raw, name);
    }
    char *text = trib_malloc(raw.n + 1);
    ssize_t n = trib_json_unescape(raw, text);
    bool same = n >= 0 && trib_view_is((struct trib_view){text, (size_t)n}, name);
    free(text);
    return same;
}

static int encode_members(const struct trib_type *t, const struct trib_vec *cols, uint64_t row,
                          struct trib_view rescued, struct trib_buf *to, struct trib_err *err)
{
    struct over *over;
    size_t n_over, written = 0;
    TRIB_TRY(parse_over(rescued, &over, &n_over, err));
    int rc = 0;
    trib_buf_addc(to, '{');
    for (size_t i = 0; i < t->n_fields && rc == 0; i++) {
        const struct trib_field *f = &t->fields[i];
        const char *type = trib_field_meta(f, "dynamodb.type"), *name = trib_field_attr_name(f);
        struct trib_view value = {NULL, 0};
        for (size_t k = 0; k < n_over && value.p == NULL; k++) {
            if (!over[k].used && name_is(over[k].name_raw, name)) {
                over[k].used = true;
                value = over[k].value;
            }
        }
        bool null = trib_vec_is_null(&cols[i], row);
        if (type == NULL || (null && value.p == NULL)) {
            continue;
        }
        trib_buf_adds(to, written++ > 0 ? "," : "");
        trib_json_string(to, trib_view_of(name));
        trib_buf_addc(to, ':');
        if (null) {
            trib_buf_add(to, value.p, value.n);
        } else {
            rc = encode_value(type, trib_field_meta(f, "dynamodb.element"), &f->type, &cols[i], row, value, to, err);
        }
    }
    for (size_t k = 0; k < n_over && rc == 0; k++) {
        if (!over[k].used) {
            trib_buf_addf(to, "%s\"%.*s\":", written++ > 0 ? "," : "", (int)over[k].name_raw.n, over[k].name_raw.p);
            trib_buf_add(to, over[k].value.p, over[k].value.n);
        }
    }
    trib_buf_addc(to, '}');
    free(over);
    return rc;
}

int trib_encode_item(const struct trib_type *item, const struct trib_vec *cols, uint64_t row, struct trib_view rescued,
                     struct trib_buf *text, struct trib_err *err)
{
    return encode_members(item, cols, row, rescued, text, err);
}
