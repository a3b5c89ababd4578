/*
 * Inference: counts of what was seen, a tree of attributes, members and elements (schema.h). Order-independent where it decides
 * types; members keep the order of appearance. No threads of its own.
 */
#include <stdlib.h>
#include <xxhash.h>

#include "dynamodb/json.h"
#include "schema/own.h"

struct trib_infer *trib_infer_new(void) { return trib_calloc(1, sizeof(struct trib_infer)); }

static void clear(struct trib_inode *in)
{
    for (size_t i = 0; i < in->n_members; i++) {
        clear(in->members[i]);
        free(in->members[i]);
    }
    if (in->element != NULL) {
        clear(in->element);
        free(in->element);
    }
    free(in->members);
    free(in->slots);
    free(in->name);
}

void trib_infer_free(struct trib_infer *in)
{
    if (in != NULL) {
        clear(&in->root);
        free(in);
    }
}

bool trib_infer_empty(const struct trib_infer *in) { return in->root.n_members == 0; }

static size_t slot_of(const struct trib_inode *in, struct trib_view name)
{
    size_t mask = in->n_slots - 1, i = (size_t)XXH3_64bits(name.p, name.n) & mask;
    while (in->slots[i] != 0 && !trib_view_is(name, in->members[in->slots[i] - 1]->name)) {
        i = (i + 1) & mask;
    }
    return i;
}

static void rehash(struct trib_inode *in)
{
    free(in->slots);
    in->n_slots = in->n_slots == 0 ? 16 : in->n_slots * 2;
    in->slots = trib_calloc(in->n_slots, sizeof *in->slots);
    for (size_t i = 0; i < in->n_members; i++) {
        in->slots[slot_of(in, trib_view_of(in->members[i]->name))] = (uint32_t)i + 1;
    }
}

struct trib_inode *trib_inode_member(struct trib_inode *in, struct trib_view name)
{
    if ((in->n_members + 1) * 2 > in->n_slots) {
        rehash(in);
    }
    size_t at = slot_of(in, name);
    if (in->slots[at] == 0) {
        TRIB_GROW(in->members, in->cap_members, in->n_members + 1);
        struct trib_inode *m = trib_calloc(1, sizeof *m);
        m->name = trib_strndup(name.p, name.n);
        in->members[in->n_members++] = m;
        in->slots[at] = (uint32_t)in->n_members;
    }
    return in->members[in->slots[at] - 1];
}

struct trib_inode *trib_inode_element(struct trib_inode *in)
{
    if (in->element == NULL) {
        in->element = trib_calloc(1, sizeof *in->element);
    }
    return in->element;
}

static int bad(struct trib_err *err, const char *what)
{
    return trib_err_set(err, TRIB_E_DATA, "not DynamoDB JSON: %s", what);
}

static int number(struct trib_inode *in, struct trib_json *j, struct trib_err *err)
{
    struct trib_view raw;
    bool escaped;
    struct trib_number n;
    int64_t i;
    uint64_t lo;
    int64_t hi;
    if (!trib_json_text(j, &raw, &escaped)) {
        return bad(err, "a number");
    }
    char *copy = escaped ? trib_malloc(raw.n + 1) : NULL;
    if (escaped) {
        ssize_t m = trib_json_unescape(raw, copy);
        raw = (struct trib_view){copy, m < 0 ? 0 : (size_t)m};
    }
    bool parsed = trib_number_parse(raw, &n);
    free(copy);
    if (!parsed) {
        return bad(err, "a number");
    }
    if (trib_number_to_i64(&n, &i)) {
        in->n_int++;
    } else if (trib_number_to_decimal(&n, 38, 18, &lo, &hi)) {
        in->n_dec++;
    } else {
        in->n_other++;
    }
    return 0;
}

static int members(struct trib_inode *in, struct trib_json *j, unsigned depth, struct trib_err *err)
{
    if (!trib_json_take(j, '{')) {
        return bad(err, "a map is expected");
    }
    if (trib_json_take(j, '}')) {
        return 0;
    }
    do {
        struct trib_view raw;
        bool escaped;
        if (!trib_json_text(j, &raw, &escaped) || !trib_json_take(j, ':')) {
            return bad(err, "an attribute's name is expected");
        }
        char *copy = NULL;
        if (escaped) {
            copy = trib_malloc(raw.n + 1);
            ssize_t n = trib_json_unescape(raw, copy);
            if (n < 0) {
                free(copy);
                return bad(err, "an escape in a name");
            }
            raw = (struct trib_view){copy, (size_t)n};
        }
        struct trib_inode *m = trib_inode_member(in, raw);
        free(copy);
        TRIB_TRY(trib_inode_value(m, j, depth, err));
    } while (trib_json_take(j, ','));
    return trib_json_take(j, '}') ? 0 : bad(err, "a map does not end");
}

static int elements(struct trib_inode *in, struct trib_json *j, enum trib_attr_type type, unsigned depth,
                    struct trib_err *err)
{
    if (!trib_json_take(j, '[')) {
        return bad(err, "a list is expected");
    }
    if (trib_json_take(j, ']')) {
        return 0;
    }
    do {
        if (type == TRIB_A_L) {
            TRIB_TRY(trib_inode_value(trib_inode_element(in), j, depth, err));
        } else if (type == TRIB_A_NS) {
            TRIB_TRY(number(in, j, err));
        } else if (!trib_json_skip(j, 1, NULL)) {
            return bad(err, "an element of a set");
        }
    } while (trib_json_take(j, ','));
    return trib_json_take(j, ']') ? 0 : bad(err, "a list does not end");
}

int trib_inode_value(struct trib_inode *in, struct trib_json *j, unsigned depth, struct trib_err *err)
{
    enum trib_attr_type type;
    if (depth == 0) {
        return bad(err, "nested too deep");
    }
    if (!trib_typed_open(j, &type)) {
        return bad(err, "a value is not an object with one DynamoDB type");
    }
    in->count[type]++;
    switch (type) {
    case TRIB_A_N: TRIB_TRY(number(in, j, err)); break;
    case TRIB_A_M: TRIB_TRY(members(in, j, depth - 1, err)); break;
    case TRIB_A_L:
    case TRIB_A_SS:
    case TRIB_A_NS:
    case TRIB_A_BS: TRIB_TRY(elements(in, j, type, depth - 1, err)); break;
    case TRIB_A_S:
    case TRIB_A_B:
    case TRIB_A_BOOL:
    case TRIB_A_NULL:
        if (!trib_json_skip(j, 1, NULL)) {
            return bad(err, "a scalar");
        }
        break;
    }
    return trib_json_take(j, '}') ? 0 : bad(err, "a value does not end");
}

static void merge(struct trib_inode *to, const struct trib_inode *from)
{
    for (int i = 0; i < TRIB_A_COUNT; i++) {
        to->count[i] += from->count[i];
    }
    to->n_int += from->n_int;
    to->n_dec += from->n_dec;
    to->n_other += from->n_other;
    for (size_t i = 0; i < from->n_members; i++) {
        merge(trib_inode_member(to, trib_view_of(from->members[i]->name)), from->members[i]);
    }
    if (from->element != NULL) {
        merge(trib_inode_element(to), from->element);
    }
}

void trib_infer_merge(struct trib_infer *to, const struct trib_infer *from) { merge(&to->root, &from->root); }

int trib_infer_item(struct trib_infer *in, struct trib_view json, bool base64_twice, struct trib_err *err)
{
    (void)base64_twice; /* the layers of base64 do not change a type */
    /* Parsed into a tree of its own first: a broken item adds nothing. */
    struct trib_infer *one = trib_infer_new();
    struct trib_json j = trib_json_of(json);
    int rc = members(&one->root, &j, TRIB_ITEM_DEPTH, err);
    if (rc == 0 && trib_json_ws(&j)) {
        rc = bad(err, "something follows the item");
    }
    if (rc == 0) {
        trib_infer_merge(in, one);
    }
    trib_infer_free(one);
    return rc;
}
