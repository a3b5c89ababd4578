/*
 * Canonical text, digests and keys of items (item.h; docs/formats/item.md). Pure: no state, any thread. Every function checks
 * what it reads: a value is an object with exactly one DynamoDB type, numbers and base64 are right.
 */
#include "dynamodb/item.h"

#define XXH_INLINE_ALL /* short inputs, many of them */
#include <stdlib.h>
#include <xxhash.h>

#include "dynamodb/json.h"

enum { DEPTH = 128, TEXT_MAX = 64 << 20 };

static int bad(struct trib_err *err, const char *what)
{
    return trib_err_set(err, TRIB_E_DATA, "not DynamoDB JSON: %s", what);
}

void trib_json_string(struct trib_buf *to, struct trib_view text)
{
    static const char hex[] = "0123456789ABCDEF";
    trib_buf_addc(to, '"');
    size_t from = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c > 0x1F && c != '"' && c != '\\') {
            continue;
        }
        trib_buf_add(to, text.p + from, i - from);
        from = i + 1;
        const char *at = c == '"'    ? "\\\""
                         : c == '\\' ? "\\\\"
                         : c == '\b' ? "\\b"
                         : c == '\t' ? "\\t"
                         : c == '\n' ? "\\n"
                         : c == '\f' ? "\\f"
                         : c == '\r' ? "\\r"
                                     : NULL;
        if (at != NULL) {
            trib_buf_adds(to, at);
        } else {
            char u[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
            trib_buf_add(to, u, sizeof u);
        }
    }
    trib_buf_add(to, text.p + from, text.n - from);
    trib_buf_addc(to, '"');
}

/* A string of the input, unescaped. Without escapes it points into the input; else into *own, which the caller frees. */
static bool text_of(struct trib_json *j, struct trib_view *ret, char **own)
{
    bool escaped;
    *own = NULL;
    if (!trib_json_text(j, ret, &escaped)) {
        return false;
    }
    if (escaped) {
        *own = trib_malloc(ret->n + 1);
        ssize_t n = trib_json_unescape(*ret, *own);
        if (n < 0) {
            free(*own);
            *own = NULL;
            return false;
        }
        *ret = (struct trib_view){*own, (size_t)n};
    }
    return true;
}

/* Decoded bytes of a base64 string. [out] free(). */
static bool binary_of(struct trib_json *j, bool twice, struct trib_view *ret, char **own)
{
    if (!text_of(j, ret, own)) {
        return false;
    }
    for (int layer = 0; layer < (twice ? 2 : 1); layer++) {
        char *to = trib_malloc(ret->n / 4 * 3 + 3);
        ssize_t n = trib_base64_decode(*ret, to);
        free(*own);
        *own = to;
        if (n < 0) {
            free(to);
            *own = NULL;
            return false;
        }
        *ret = (struct trib_view){to, (size_t)n};
    }
    return true;
}

/* ---- canonical text -------------------------------------------------------------------------------------------------- */

static int canonical_value(struct trib_json *j, bool twice, unsigned depth, struct trib_buf *to, struct trib_err *err);

static int canonical_scalar(struct trib_json *j, enum trib_attr_type type, bool twice, struct trib_buf *to,
                            struct trib_err *err)
{
    struct trib_view v;
    char *own = NULL;
    bool b;
    struct trib_number n;
    switch (type) {
    case TRIB_A_BOOL:
    case TRIB_A_NULL:
        if (!trib_json_bool(j, &b) || (type == TRIB_A_NULL && !b)) {
            return bad(err, type == TRIB_A_NULL ? "NULL must be true" : "BOOL must be true or false");
        }
        trib_buf_adds(to, b ? "true" : "false");
        return 0;
    case TRIB_A_B:
    case TRIB_A_BS:
        if (!binary_of(j, twice, &v, &own)) {
            return bad(err, "base64");
        }
        trib_buf_addc(to, '"');
        char *at = trib_buf_reserve(to, trib_base64_size(v.n));
        if (at != NULL) {
            trib_base64_encode(v, at);
            to->n += trib_base64_size(v.n);
        }
        trib_buf_addc(to, '"');
        break;
    default:
        if (!text_of(j, &v, &own) || ((type == TRIB_A_N || type == TRIB_A_NS) && !trib_number_parse(v, &n))) {
            free(own);
            return bad(err, type == TRIB_A_N || type == TRIB_A_NS ? "a number" : "a string");
        }
        trib_json_string(to, v);
        break;
    }
    free(own);
    return 0;
}

/* Names of a map's members, as canonical text has them. An item that has one twice is none: readers of JSON differ in what it says. */
struct names {
    struct name {
        size_t at, n;
    } * p;
    size_t n, cap;
};

static int by_bytes(const void *a, const void *b, void *text)
{
    const struct name *x = a, *y = b;
    return trib_view_cmp((struct trib_view){(const char *)text + x->at, x->n},
                         (struct trib_view){(const char *)text + y->at, y->n});
}

static int check_unique(struct names *names, char *text, struct trib_err *err)
{
    if (names->n > 1) {
        qsort_r(names->p, names->n, sizeof *names->p, by_bytes, text);
    }
    for (size_t i = 1; i < names->n; i++) {
        if (by_bytes(&names->p[i - 1], &names->p[i], text) == 0) {
            return bad(err, "an attribute occurs twice");
        }
    }
    return 0;
}

static void add_name(struct names *names, size_t at, size_t n)
{
    TRIB_GROW(names->p, names->cap, names->n + 1);
    names->p[names->n++] = (struct name){at, n};
}

int trib_members_unique(struct trib_view members, struct trib_err *err)
{
    struct trib_json j = trib_json_of(members);
    struct names names = {0};
    struct trib_view raw;
    bool escaped;
    int rc = 0;
    do {
        if (!trib_json_text(&j, &raw, &escaped) || !trib_json_take(&j, ':') || !trib_json_skip(&j, DEPTH * 4, NULL)) {
            rc = bad(err, "members of a map");
            break;
        }
        add_name(&names, (size_t)(raw.p - members.p), raw.n);
    } while (trib_json_take(&j, ','));
    rc = rc != 0 ? rc : check_unique(&names, (char *)(uintptr_t)members.p, err);
    free(names.p);
    return rc;
}

static int canonical_members(struct trib_json *j, bool twice, unsigned depth, struct names *names, struct trib_buf *to,
                             struct trib_err *err)
{
    trib_buf_addc(to, '{');
    if (!trib_json_take(j, '{')) {
        return bad(err, "a map");
    }
    if (trib_json_take(j, '}')) {
        trib_buf_addc(to, '}');
        return 0;
    }
    do {
        struct trib_view name;
        char *own;
        if (!text_of(j, &name, &own) || !trib_json_take(j, ':')) {
            return bad(err, "an attribute's name");
        }
        trib_buf_adds(to, names->n == 0 ? "" : ",");
        size_t at = to->n;
        trib_json_string(to, name);
        add_name(names, at, to->n - at);
        free(own);
        trib_buf_addc(to, ':');
        TRIB_TRY(canonical_value(j, twice, depth, to, err));
    } while (trib_json_take(j, ','));
    trib_buf_addc(to, '}');
    TRIB_TRY(trib_buf_check(to, "canonical text", err)); /* else names would lie outside of it */
    TRIB_TRY(check_unique(names, to->p, err));
    return trib_json_take(j, '}') ? 0 : bad(err, "a map does not end");
}

static int canonical_map(struct trib_json *j, bool twice, unsigned depth, struct trib_buf *to, struct trib_err *err)
{
    struct names names = {0};
    int rc = canonical_members(j, twice, depth, &names, to, err);
    free(names.p);
    return rc;
}

static int canonical_list(struct trib_json *j, enum trib_attr_type type, bool twice, unsigned depth,
                          struct trib_buf *to, struct trib_err *err)
{
    trib_buf_addc(to, '[');
    if (!trib_json_take(j, '[')) {
        return bad(err, "a list");
    }
    if (!trib_json_take(j, ']')) {
        bool first = true;
        do {
            trib_buf_adds(to, first ? "" : ",");
            first = false;
            TRIB_TRY(type == TRIB_A_L ? canonical_value(j, twice, depth, to, err)
                                      : canonical_scalar(j, type, twice, to, err));
        } while (trib_json_take(j, ','));
        if (!trib_json_take(j, ']')) {
            return bad(err, "a list does not end");
        }
    }
    trib_buf_addc(to, ']');
    return 0;
}

static int canonical_value(struct trib_json *j, bool twice, unsigned depth, struct trib_buf *to, struct trib_err *err)
{
    enum trib_attr_type type;
    if (depth == 0) {
        return bad(err, "nested too deep");
    }
    if (!trib_typed_open(j, &type)) {
        return bad(err, "a value is not an object with one DynamoDB type");
    }
    trib_buf_addf(to, "{\"%s\":", trib_attr_type_text(type));
    switch (type) {
    case TRIB_A_M: TRIB_TRY(canonical_map(j, twice, depth - 1, to, err)); break;
    case TRIB_A_L:
    case TRIB_A_SS:
    case TRIB_A_NS:
    case TRIB_A_BS: TRIB_TRY(canonical_list(j, type, twice, depth - 1, to, err)); break;
    default: TRIB_TRY(canonical_scalar(j, type, twice, to, err)); break;
    }
    trib_buf_addc(to, '}');
    return trib_json_take(j, '}') ? 0 : bad(err, "a value does not end");
}

int trib_value_canonical(struct trib_view json, bool twice, struct trib_buf *to, struct trib_err *err)
{
    struct trib_json j = trib_json_of(json);
    TRIB_TRY(canonical_value(&j, twice, DEPTH, to, err));
    return trib_json_ws(&j) ? bad(err, "something follows the value") : trib_buf_check(to, "canonical text", err);
}

struct member {
    struct trib_view name;
    char *own;
    size_t at, n; /* canonical "name":value in the text */
};

static int by_name(const void *a, const void *b)
{
    return trib_view_cmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

static int split_item(struct trib_json *j, bool twice, struct trib_buf *text, struct member **m, size_t *n,
                      struct trib_err *err)
{
    size_t cap = 0;
    if (!trib_json_take(j, '{')) {
        return bad(err, "an item is an object");
    }
    if (trib_json_take(j, '}')) {
        return 0;
    }
    do {
        TRIB_GROW(*m, cap, *n + 1);
        struct member *e = &(*m)[*n];
        if (!text_of(j, &e->name, &e->own)) {
            return bad(err, "an attribute's name");
        }
        (*n)++;
        e->at = text->n;
        if (!trib_json_take(j, ':')) {
            return bad(err, "a colon");
        }
        trib_json_string(text, e->name);
        trib_buf_addc(text, ':');
        TRIB_TRY(canonical_value(j, twice, DEPTH, text, err));
        e->n = text->n - e->at;
    } while (trib_json_take(j, ','));
    return trib_json_take(j, '}') && !trib_json_ws(j) ? 0 : bad(err, "an item does not end");
}

int trib_item_canonical(struct trib_view json, bool twice, struct trib_buf *to, struct trib_err *err)
{
    struct trib_json j = trib_json_of(json);
    struct trib_buf text;
    trib_buf_init(&text, TEXT_MAX);
    struct member *m = NULL;
    size_t n = 0;
    int rc = split_item(&j, twice, &text, &m, &n, err);
    if (rc == 0) {
        if (n > 1) {
            qsort(m, n, sizeof *m, by_name);
        }
        trib_buf_addc(to, '{');
        for (size_t i = 0; i < n; i++) {
            rc = i > 0 && by_name(&m[i - 1], &m[i]) == 0 ? bad(err, "an attribute occurs twice") : rc;
            trib_buf_adds(to, i > 0 ? "," : "");
            trib_buf_add(to, text.p + m[i].at, m[i].n);
        }
        trib_buf_addc(to, '}');
        rc = rc != 0 ? rc : trib_buf_check(to, "canonical text", err);
    }
    for (size_t i = 0; i < n; i++) {
        free(m[i].own);
    }
    free(m);
    trib_buf_free(&text);
    return rc;
}

/* ---- digests --------------------------------------------------------------------------------------------------------- */

static struct trib_digest hash(const void *p, size_t n, uint64_t seed)
{
    XXH128_hash_t h = XXH3_128bits_withSeed(p, n, seed);
    return (struct trib_digest){h.low64, h.high64};
}

struct trib_digest trib_digest_mix(struct trib_digest a, struct trib_digest b)
{
    uint64_t w[4] = {a.lo, a.hi, b.lo, b.hi};
    return hash(w, sizeof w, 0x54524942);
}

void trib_digest_add(struct trib_digest *sum, struct trib_digest d)
{
    sum->lo += d.lo;
    sum->hi += d.hi;
}

struct trib_digest trib_digest_name(struct trib_view name) { return hash(name.p, name.n, 64); }

struct trib_digest trib_digest_bytes(enum trib_attr_type type, struct trib_view v)
{
    return hash(v.p, v.n, (uint64_t)type);
}

struct trib_digest trib_digest_bool(enum trib_attr_type type, bool b) { return hash(b ? "1" : "0", 1, (uint64_t)type); }

struct trib_digest trib_digest_close(enum trib_attr_type type, struct trib_digest sum)
{
    return hash(&sum, sizeof sum, (uint64_t)type);
}

/* Digits of a small integer without anything that its canonical text would lack. */
static bool plain_integer(struct trib_view v)
{
    if (v.n == 0 || v.n > 9 || v.p[0] < '1' || v.p[0] > '9') {
        return false;
    }
    for (size_t i = 1; i < v.n; i++) {
        if (v.p[i] < '0' || v.p[i] > '9') {
            return false;
        }
    }
    return true;
}

struct trib_digest trib_digest_parsed(const struct trib_number *n)
{
    char room[256];
    struct trib_buf t = {.p = room, .cap = sizeof room, .max = sizeof room - 1};
    trib_number_text(n, &t);
    return hash(t.p, t.n, (uint64_t)TRIB_A_N);
}

bool trib_digest_number(struct trib_view text, struct trib_digest *ret)
{
    if (plain_integer(text)) { /* canonical as it stands */
        *ret = hash(text.p, text.n, (uint64_t)TRIB_A_N);
        return true;
    }
    struct trib_number n;
    if (!trib_number_parse(text, &n)) {
        return false;
    }
    *ret = trib_digest_parsed(&n);
    return true;
}

static int digest_value(struct trib_json *j, bool twice, unsigned depth, struct trib_digest *ret, struct trib_err *err);

static int digest_scalar(struct trib_json *j, enum trib_attr_type type, bool twice, struct trib_digest *ret,
                         struct trib_err *err)
{
    struct trib_view v;
    char *own = NULL;
    bool b;
    if (type == TRIB_A_BOOL || type == TRIB_A_NULL) {
        if (!trib_json_bool(j, &b)) {
            return bad(err, "true or false");
        }
        *ret = trib_digest_bool(type, b);
        return 0;
    }
    if (type == TRIB_A_B || type == TRIB_A_BS) {
        if (!binary_of(j, twice, &v, &own)) {
            return bad(err, "base64");
        }
        *ret = trib_digest_bytes(TRIB_A_B, v);
    } else if (!text_of(j, &v, &own)) {
        return bad(err, "a string");
    } else if (type == TRIB_A_N || type == TRIB_A_NS) {
        if (!trib_digest_number(v, ret)) {
            free(own);
            return bad(err, "a number");
        }
    } else {
        *ret = trib_digest_bytes(TRIB_A_S, v);
    }
    free(own);
    return 0;
}

static int digest_map(struct trib_json *j, bool twice, unsigned depth, struct trib_digest *ret, struct trib_err *err)
{
    struct trib_digest sum = {0, 0};
    if (!trib_json_take(j, '{')) {
        return bad(err, "a map");
    }
    if (!trib_json_take(j, '}')) {
        do {
            struct trib_view name;
            char *own;
            if (!text_of(j, &name, &own)) {
                return bad(err, "an attribute's name");
            }
            struct trib_digest n = trib_digest_name(name), v;
            free(own);
            if (!trib_json_take(j, ':')) {
                return bad(err, "a colon");
            }
            TRIB_TRY(digest_value(j, twice, depth, &v, err));
            trib_digest_add(&sum, trib_digest_mix(n, v));
        } while (trib_json_take(j, ','));
        if (!trib_json_take(j, '}')) {
            return bad(err, "a map does not end");
        }
    }
    *ret = trib_digest_close(TRIB_A_M, sum);
    return 0;
}

static int digest_list(struct trib_json *j, enum trib_attr_type type, bool twice, unsigned depth,
                       struct trib_digest *ret, struct trib_err *err)
{
    struct trib_digest sum = {0, 0}, e;
    if (!trib_json_take(j, '[')) {
        return bad(err, "a list");
    }
    if (!trib_json_take(j, ']')) {
        do {
            if (type == TRIB_A_L) {
                TRIB_TRY(digest_value(j, twice, depth, &e, err));
                sum = trib_digest_mix(sum, e);
            } else {
                TRIB_TRY(digest_scalar(j, type, twice, &e, err));
                trib_digest_add(&sum, e);
            }
        } while (trib_json_take(j, ','));
        if (!trib_json_take(j, ']')) {
            return bad(err, "a list does not end");
        }
    }
    *ret = trib_digest_close(type, sum);
    return 0;
}

static int digest_value(struct trib_json *j, bool twice, unsigned depth, struct trib_digest *ret, struct trib_err *err)
{
    enum trib_attr_type type;
    if (depth == 0) {
        return bad(err, "nested too deep");
    }
    if (!trib_typed_open(j, &type)) {
        return bad(err, "a value is not an object with one DynamoDB type");
    }
    switch (type) {
    case TRIB_A_M: TRIB_TRY(digest_map(j, twice, depth - 1, ret, err)); break;
    case TRIB_A_L:
    case TRIB_A_SS:
    case TRIB_A_NS:
    case TRIB_A_BS: TRIB_TRY(digest_list(j, type, twice, depth - 1, ret, err)); break;
    default: TRIB_TRY(digest_scalar(j, type, twice, ret, err)); break;
    }
    return trib_json_take(j, '}') ? 0 : bad(err, "a value does not end");
}

int trib_value_digest(struct trib_view json, bool twice, unsigned depth, struct trib_digest *ret, struct trib_err *err)
{
    struct trib_json j = trib_json_of(json);
    struct trib_digest d;
    TRIB_TRY(digest_value(&j, twice, depth, &d, err));
    if (trib_json_ws(&j)) {
        return bad(err, "something follows the value");
    }
    *ret = d;
    return 0;
}

int trib_item_digest(struct trib_view json, bool twice, struct trib_digest *ret, struct trib_err *err)
{
    struct trib_json j = trib_json_of(json);
    struct trib_digest d;
    TRIB_TRY(digest_map(&j, twice, DEPTH, &d, err));
    if (trib_json_ws(&j)) {
        return bad(err, "something follows the item");
    }
    *ret = d;
    return 0;
}

/* ---- keys ------------------------------------------------------------------------------------------------------------ */

static int key_value(struct trib_view value, bool twice, struct trib_buf *to, const char *name, struct trib_err *err)
{
    struct trib_json j = trib_json_of(value);
    enum trib_attr_type type;
    struct trib_view v;
    struct trib_number n;
    char *own = NULL;
    if (!trib_typed_open(&j, &type) || (type != TRIB_A_S && type != TRIB_A_N && type != TRIB_A_B)) {
        return trib_err_set(err, TRIB_E_DATA, "key attribute %s is not a string, number or binary", name);
    }
    bool ok = type == TRIB_A_B ? binary_of(&j, twice, &v, &own) : text_of(&j, &v, &own);
    ok = ok && (type != TRIB_A_N || trib_number_parse(v, &n));
    if (!ok) {
        free(own);
        return trib_err_set(err, TRIB_E_DATA, "key attribute %s cannot be read", name);
    }
    struct trib_buf text;
    trib_buf_init(&text, TEXT_MAX);
    if (type == TRIB_A_N) {
        trib_number_text(&n, &text);
    } else {
        trib_buf_add(&text, v.p, v.n);
    }
    trib_buf_addf(to, "%s%zu:", trib_attr_type_text(type), text.n);
    trib_buf_add(to, text.p, text.n);
    trib_buf_free(&text);
    free(own);
    return trib_buf_check(to, "key", err);
}

int trib_key_canonical(struct trib_view json, bool twice, const char *const *names, size_t n, struct trib_buf *to,
                       struct trib_err *err)
{
    for (size_t i = 0; i < n; i++) {
        struct trib_json j = trib_json_of(json);
        bool found = false, ok = trib_json_take(&j, '{');
        while (ok && !found) {
            struct trib_view name, value;
            char *own;
            if (!text_of(&j, &name, &own)) {
                break;
            }
            found = trib_view_is(name, names[i]);
            free(own);
            ok = trib_json_take(&j, ':') && trib_json_skip(&j, DEPTH, &value);
            if (ok && found) {
                TRIB_TRY(key_value(value, twice, to, names[i], err));
            }
            ok = ok && trib_json_take(&j, ',');
        }
        if (!found) {
            return trib_err_set(err, TRIB_E_DATA, "key attribute %s is missing", names[i]);
        }
    }
    return 0;
}
