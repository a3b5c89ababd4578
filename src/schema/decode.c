/*
 * The decoder: raw DynamoDB JSON → one row of vectors (decode.h).
 *
 * Invariants:
 *  1. A value is in its column exactly, or in the rescued text, or (lists whose oddity is a NULL member) in both; the rescued text
 *     wins. Nothing is dropped.
 *  2. Validity is written for every row and element, so a row may be written again, and elements of a list that turned out not
 *     to fit are simply overtaken: a list's entry is set last.
 *  3. A node's `seen` equals the current generation when its attribute occurred in the struct being read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "dynamodb/json.h"
#include "schema/own.h"
#include "schema/scalar.h"

struct node {
    const char *attr; /* attribute or member name [borrow] */
    size_t attr_len;
    enum trib_attr_type type; /* DynamoDB type that fits */
    const struct trib_type *col;
    bool as_text;       /* infer: false */
    bool json_elements; /* L whose elements are DynamoDB JSON text */
    bool key;
    struct node *children; /* members of M; [0] the element of L and sets */
    size_t n_children;
    uint32_t *slots;
    size_t n_slots;
    uint64_t seen, fits;
    struct trib_digest name; /* of attr */
};

struct piece { /* a rescued top-level attribute: canonical name and value in `scratch` */
    size_t name_at, name_n, value_at, value_n;
};

/* A value that tells something new about the schema. Kept until the item turned out to be whole: a broken one says nothing. */
struct surprise {
    size_t path_at, path_n;       /* names of the maps above, in `path` */
    struct trib_view name, value; /* live as long as the item and its arena */
};

struct trib_decoder {
    const struct trib_type *item;
    struct node root;
    uint64_t generation;
    struct trib_infer *surprises; /* of all items */
    struct surprise *fresh;       /* of this one */
    size_t n_fresh, cap_fresh;
    const char **path;
    size_t n_path, cap_path;
    uint64_t rescued;
    struct trib_buf scratch, text;
    struct piece *pieces;
    size_t n_pieces, cap_pieces;
    bool twice;
    bool digesting;
    unsigned depth;        /* maps and lists around the value being read */
    struct trib_digest dg; /* when digesting: of the value read last, unless it turned out to misfit */
    struct trib_arena *arena;
    struct trib_err *err;
};

enum fit { FIT, FIT_AND_RESCUE, MISFIT, BROKEN };
enum { DIGEST_DEPTH = TRIB_ITEM_DEPTH * 2 };

/* ---- the plan ------------------------------------------------------------------------------------------------------ */

static size_t slot_of(const struct node *n, struct trib_view name)
{
    size_t mask = n->n_slots - 1, i = (size_t)XXH3_64bits(name.p, name.n) & mask;
    while (n->slots[i] != 0) {
        const struct node *c = &n->children[n->slots[i] - 1];
        if (c->attr_len == name.n && memcmp(c->attr, name.p, name.n) == 0) {
            break;
        }
        i = (i + 1) & mask;
    }
    return i;
}

static void compile_struct(struct node *n, const struct trib_type *t, const struct trib_schema_opts *o, bool top);

static void compile_element(struct node *n, const struct trib_type *t, const char *element,
                            const struct trib_schema_opts *o)
{
    n->col = t;
    if (strncmp(element, "L<", 2) == 0) {
        char *inner = trib_strndup(element + 2, strlen(element) - 3);
        n->type = TRIB_A_L;
        n->json_elements = strcmp(inner, "json") == 0;
        n->n_children = 1;
        n->children = trib_calloc(1, sizeof *n->children);
        compile_element(n->children, &t->fields[0].type, inner, o);
        free(inner);
        return;
    }
    (void)trib_attr_type_parse(trib_view_of(element), &n->type);
    if (n->type == TRIB_A_M && t->id == TRIB_T_STRUCT) {
        compile_struct(n, t, o, false);
    } else if (n->type >= TRIB_A_SS) {
        static const enum trib_attr_type of[] = {TRIB_A_S, TRIB_A_N, TRIB_A_B};
        n->n_children = 1;
        n->children = trib_calloc(1, sizeof *n->children);
        n->children[0] = (struct node){.type = of[n->type - TRIB_A_SS], .col = &t->fields[0].type};
    }
}

static void compile_field(struct node *n, const struct trib_field *f, const struct trib_schema_opts *o)
{
    n->attr = trib_field_attr_name(f);
    n->attr_len = strlen(n->attr);
    n->name = trib_digest_name((struct trib_view){n->attr, n->attr_len});
    n->as_text = !o->infer && f->type.id == TRIB_T_STRING;
    const char *type = trib_attr_type_text(trib_field_attr(f)), *element = trib_field_meta(f, "dynamodb.element");
    n->type = trib_field_attr(f);
    n->col = &f->type;
    if (n->as_text) {
        return;
    }
    if (n->type == TRIB_A_L && f->type.id == TRIB_T_ARRAY) {
        const struct trib_type *e = &f->type.fields[0].type;
        n->json_elements = element == NULL || strcmp(element, "json") == 0;
        n->n_children = 1;
        n->children = trib_calloc(1, sizeof *n->children);
        compile_element(n->children, e, element == NULL ? "json" : element, o);
    } else {
        compile_element(n, &f->type, type, o);
    }
}

static void compile_struct(struct node *n, const struct trib_type *t, const struct trib_schema_opts *o, bool top)
{
    n->n_children = t->n_fields;
    n->children = trib_calloc(t->n_fields, sizeof *n->children);
    n->n_slots = 8;
    while (n->n_slots < t->n_fields * 2) {
        n->n_slots *= 2;
    }
    n->slots = trib_calloc(n->n_slots, sizeof *n->slots);
    for (size_t i = 0; i < t->n_fields; i++) {
        struct node *c = &n->children[i];
        compile_field(c, &t->fields[i], o);
        n->slots[slot_of(n, (struct trib_view){c->attr, c->attr_len})] = (uint32_t)i + 1;
        for (size_t k = 0; top && k < o->n_keys; k++) {
            c->key = c->key || strcmp(o->keys[k], c->attr) == 0;
        }
    }
}

struct trib_decoder *trib_decoder_new(const struct trib_type *item, const struct trib_schema_opts *o)
{
    struct trib_decoder *d = trib_calloc(1, sizeof *d);
    d->item = item;
    d->root.type = TRIB_A_M;
    compile_struct(&d->root, item, o, true);
    d->surprises = trib_infer_new();
    trib_buf_init(&d->scratch, (size_t)64 << 20);
    trib_buf_init(&d->text, (size_t)64 << 20);
    return d;
}

static void free_node(struct node *n)
{
    for (size_t i = 0; i < n->n_children; i++) {
        free_node(&n->children[i]);
    }
    free(n->children);
    free(n->slots);
}

void trib_decoder_free(struct trib_decoder *d)
{
    if (d != NULL) {
        free_node(&d->root);
        trib_infer_free(d->surprises);
        trib_buf_free(&d->scratch);
        trib_buf_free(&d->text);
        free(d->pieces);
        free(d->fresh);
        free(d->path);
        free(d);
    }
}

/* ---- values -------------------------------------------------------------------------------------------------------- */

static enum fit broken(struct trib_decoder *d, const char *what)
{
    (void)trib_err_set(d->err, TRIB_E_DATA, "not DynamoDB JSON: %s", what);
    return BROKEN;
}

/* A JSON string's text: the input itself, or unescaped into the arena. */
static bool text_of(struct trib_decoder *d, struct trib_json *j, struct trib_view *ret)
{
    bool escaped;
    if (!trib_json_text(j, ret, &escaped)) {
        return false;
    }
    if (escaped) {
        char *to = trib_arena_alloc(d->arena, ret->n + 1);
        ssize_t n = trib_json_unescape(*ret, to);
        if (n < 0) {
            return false;
        }
        *ret = (struct trib_view){to, (size_t)n};
    }
    return true;
}

static bool binary_of(struct trib_decoder *d, struct trib_json *j, struct trib_view *ret)
{
    struct trib_view v;
    if (!text_of(d, j, &v)) {
        return false;
    }
    for (int layer = 0; layer < (d->twice ? 2 : 1); layer++) {
        char *to = trib_arena_alloc(d->arena, v.n / 4 * 3 + 3);
        ssize_t n = trib_base64_decode(v, to);
        if (n < 0) {
            return false;
        }
        v = (struct trib_view){to, (size_t)n};
    }
    *ret = v;
    return true;
}

/* At most 18 digits with nothing else: most numbers there are. */
static bool short_integer(struct trib_view text, int64_t *ret)
{
    int64_t x = 0;
    if (text.n == 0 || text.n > 18) {
        return false;
    }
    for (size_t i = 0; i < text.n; i++) {
        unsigned c = (unsigned)(unsigned char)text.p[i] - '0';
        if (c > 9) {
            return false;
        }
        x = x * 10 + (int64_t)c;
    }
    *ret = x;
    return true;
}

static enum fit put_number(struct trib_decoder *d, const struct trib_type *col, struct trib_json *j, struct trib_vec *v,
                           uint64_t row)
{
    struct trib_view raw;
    struct trib_number n;
    if (!text_of(d, j, &raw)) {
        return broken(d, "a number");
    }
    if (col->id == TRIB_T_LONG && short_integer(raw, &((int64_t *)v->data)[row])) {
        return d->digesting && !trib_digest_number(raw, &d->dg) ? broken(d, "a number") : FIT;
    }
    if (!trib_number_parse(raw, &n)) {
        return broken(d, "a number");
    }
    if (d->digesting) {
        d->dg = trib_digest_parsed(&n);
    }
    return trib_scalar_number(col, raw, &n, v, row) ? FIT : MISFIT;
}

static enum fit put_text(struct trib_decoder *d, const struct trib_type *col, struct trib_json *j, struct trib_vec *v,
                         uint64_t row)
{
    struct trib_view text;
    if (!text_of(d, j, &text)) {
        return broken(d, "a string");
    }
    if (d->digesting) {
        d->dg = trib_digest_bytes(TRIB_A_S, text);
    }
    return trib_scalar_text(col, text, v, row) ? FIT : MISFIT;
}

static enum fit put_binary(struct trib_decoder *d, const struct trib_type *col, struct trib_json *j, struct trib_vec *v,
                           uint64_t row)
{
    struct trib_view b;
    if (!binary_of(d, j, &b)) {
        return broken(d, "base64");
    }
    if (d->digesting) {
        d->dg = trib_digest_bytes(TRIB_A_B, b);
    }
    if (col->id != TRIB_T_BINARY) {
        return MISFIT;
    }
    ((struct trib_str *)v->data)[row] = trib_str_make(b.p, b.n);
    return FIT;
}

static enum fit put_bool(struct trib_decoder *d, const struct trib_type *col, struct trib_json *j, struct trib_vec *v,
                         uint64_t row)
{
    bool b;
    if (!trib_json_bool(j, &b)) {
        return broken(d, "true or false");
    }
    if (d->digesting) {
        d->dg = trib_digest_bool(TRIB_A_BOOL, b);
    }
    if (col->id != TRIB_T_BOOLEAN) {
        return MISFIT;
    }
    ((uint8_t *)v->data)[row] = b;
    return FIT;
}

static enum fit put_value(struct trib_decoder *d, struct node *n, struct trib_json *j, struct trib_vec *v, uint64_t row,
                          struct trib_buf *rescue);

/* For values that are not read here but taken as a whole. */
static bool digest_span(struct trib_decoder *d, struct trib_view value)
{
    return !d->digesting || trib_value_digest(value, d->twice, DIGEST_DEPTH - d->depth, &d->dg, d->err) == 0;
}
static enum fit put_members(struct trib_decoder *d, struct node *n, struct trib_json *j, struct trib_vec *cols,
                            uint64_t row, struct trib_buf *rescue, bool in_list);

static int by_text(const void *a, const void *b)
{
    struct trib_view x = trib_str_view(a), y = trib_str_view(b);
    return trib_view_cmp(x, y);
}

/* Sets are sorted; the element's own type says how. */
static void sort_set(const struct trib_type *t, struct trib_vec *v, uint64_t from, uint64_t n)
{
    if (n > 1) {
        size_t width = trib_type_width(t);
        int (*cmp)(const void *, const void *) =
            t->id == TRIB_T_STRING || t->id == TRIB_T_BINARY ? by_text : trib_scalar_compare(t);
        qsort((char *)v->data + from * width, n, width, cmp);
    }
}

static enum fit put_set(struct trib_decoder *d, struct node *n, struct trib_json *j, struct trib_vec *v, uint64_t row)
{
    struct node *e = &n->children[0];
    uint64_t from = v->child_used;
    enum fit fit = FIT;
    struct trib_digest sum = {0, 0};
    if (!trib_json_take(j, '[')) {
        return broken(d, "a set");
    }
    if (!trib_json_take(j, ']')) {
        do {
            trib_vec_room(v, 1);
            struct trib_vec *c = &v->children[0];
            uint64_t at = v->child_used;
            enum fit one = n->type == TRIB_A_SS   ? put_text(d, e->col, j, c, at)
                           : n->type == TRIB_A_NS ? put_number(d, e->col, j, c, at)
                                                  : put_binary(d, e->col, j, c, at);
            if (one == BROKEN) {
                v->child_used = from;
                return BROKEN;
            }
            trib_vec_set_valid(c, at);
            v->child_used++;
            trib_digest_add(&sum, d->dg);
            fit = one == MISFIT ? MISFIT : fit;
        } while (trib_json_take(j, ','));
        if (!trib_json_take(j, ']')) {
            v->child_used = from;
            return broken(d, "a set does not end");
        }
    }
    if (fit == MISFIT) {
        v->child_used = from;
        return MISFIT;
    }
    if (d->digesting) {
        d->dg = trib_digest_close(n->type, sum);
    }
    uint64_t count = v->child_used - from;
    sort_set(e->col, &v->children[0], from, count);
    ((struct trib_list *)v->data)[row] = (struct trib_list){from, count};
    return FIT;
}

/* One element: NULL is a null element; another type, or a misfit below, is a misfit of the whole list. */
static enum fit put_element(struct trib_decoder *d, struct node *n, struct trib_json *j, struct trib_vec *list)
{
    trib_vec_room(list, 1);
    struct trib_vec *c = &list->children[0];
    uint64_t at = list->child_used;
    struct node *e = &n->children[0];
    struct trib_json peek = *j;
    enum trib_attr_type type;
    if (!trib_typed_open(&peek, &type)) {
        return broken(d, "an element");
    }
    if (type == TRIB_A_NULL) {
        bool b;
        if (!trib_json_bool(&peek, &b) || !trib_json_take(&peek, '}')) {
            return broken(d, "a NULL");
        }
        if (d->digesting) {
            d->dg = trib_digest_bool(TRIB_A_NULL, b);
        }
        *j = peek;
        trib_vec_null(c, at);
        list->child_used++;
        return FIT;
    }
    if (n->json_elements) {
        struct trib_view span;
        if (!trib_json_skip(j, TRIB_ITEM_DEPTH, &span)) {
            return broken(d, "an element");
        }
        trib_buf_clear(&d->text);
        if (trib_value_canonical(span, d->twice, &d->text, d->err) != 0 || !digest_span(d, span)) {
            return BROKEN;
        }
        char *copy = trib_arena_strndup(d->arena, d->text.p, d->text.n);
        ((struct trib_str *)c->data)[at] = trib_str_make(copy, d->text.n);
        trib_vec_set_valid(c, at);
        list->child_used++;
        return FIT;
    }
    enum fit fit = put_value(d, e, j, c, at, NULL);
    if (fit == FIT || fit == FIT_AND_RESCUE) {
        list->child_used++;
    }
    return fit;
}

static enum fit put_list(struct trib_decoder *d, struct node *n, struct trib_json *j, struct trib_vec *v, uint64_t row)
{
    uint64_t from = v->child_used;
    enum fit fit = FIT;
    struct trib_digest sum = {0, 0};
    if (!trib_json_take(j, '[')) {
        return broken(d, "a list");
    }
    if (!trib_json_take(j, ']')) {
        do {
            enum fit one = put_element(d, n, j, v);
            if (one == BROKEN || one == MISFIT) {
                v->child_used = from;
                if (one == BROKEN) {
                    return BROKEN;
                }
                return MISFIT; /* the caller skips the value as a whole */
            }
            if (d->digesting) {
                sum = trib_digest_mix(sum, d->dg);
            }
            fit = one == FIT_AND_RESCUE ? FIT_AND_RESCUE : fit;
        } while (trib_json_take(j, ','));
        if (!trib_json_take(j, ']')) {
            v->child_used = from;
            return broken(d, "a list does not end");
        }
    }
    if (d->digesting) {
        d->dg = trib_digest_close(TRIB_A_L, sum);
    }
    ((struct trib_list *)v->data)[row] = (struct trib_list){from, v->child_used - from};
    return fit;
}

/* infer: false */
static enum fit put_as_text(struct trib_decoder *d, enum trib_attr_type type, struct trib_json *j, struct trib_vec *v,
                            uint64_t row)
{
    struct trib_view text, span;
    if (type == TRIB_A_S || type == TRIB_A_N) {
        struct trib_number n;
        if (!text_of(d, j, &text) || (type == TRIB_A_N && !trib_number_parse(text, &n))) {
            return broken(d, "a string or number");
        }
        if (d->digesting && (type == TRIB_A_S || !trib_digest_number(text, &d->dg))) {
            d->dg = trib_digest_bytes(TRIB_A_S, text);
        }
    } else {
        if (!trib_json_skip(j, TRIB_ITEM_DEPTH, &span)) {
            return broken(d, "a value");
        }
        char *whole = trib_arena_alloc(d->arena, span.n + 16);
        int n = snprintf(whole, 16, "{\"%s\":", trib_attr_type_text(type));
        memcpy(whole + n, span.p, span.n);
        whole[(size_t)n + span.n] = '}';
        trib_buf_clear(&d->text);
        struct trib_view value = {whole, (size_t)n + span.n + 1};
        if (trib_value_canonical(value, d->twice, &d->text, d->err) != 0 || !digest_span(d, value)) {
            return BROKEN;
        }
        size_t skip = (size_t)n, end = d->text.n - 1;
        if (type == TRIB_A_B) { /* without the quotes */
            skip++;
            end--;
        }
        text = (struct trib_view){trib_arena_strndup(d->arena, d->text.p + skip, end - skip), end - skip};
    }
    ((struct trib_str *)v->data)[row] = trib_str_make(text.p, text.n);
    return FIT;
}

static enum fit put_payload(struct trib_decoder *d, struct node *n, enum trib_attr_type type, struct trib_json *j,
                            struct trib_vec *v, uint64_t row, struct trib_buf *rescue)
{
    if (n->as_text) {
        return put_as_text(d, type, j, v, row);
    }
    switch (type) {
    case TRIB_A_S: return put_text(d, n->col, j, v, row);
    case TRIB_A_N: return put_number(d, n->col, j, v, row);
    case TRIB_A_B: return put_binary(d, n->col, j, v, row);
    case TRIB_A_BOOL: return put_bool(d, n->col, j, v, row);
    case TRIB_A_M:
        return n->col->id == TRIB_T_STRUCT ? put_members(d, n, j, v->children, row, rescue, rescue == NULL) : MISFIT;
    case TRIB_A_L: return n->n_children > 0 ? put_list(d, n, j, v, row) : MISFIT;
    case TRIB_A_SS:
    case TRIB_A_NS:
    case TRIB_A_BS: return n->n_children > 0 ? put_set(d, n, j, v, row) : MISFIT;
    case TRIB_A_NULL: return MISFIT;
    }
    return MISFIT;
}

/*
 * One typed value into its column. rescue: where the rescued parts of a map go (members only, `"name":{…},…`); NULL inside lists.
 * MISFIT leaves the row null and the cursor anywhere: the caller, who knows the value's start, skips it.
 */
static enum fit put_value(struct trib_decoder *d, struct node *n, struct trib_json *j, struct trib_vec *v, uint64_t row,
                          struct trib_buf *rescue)
{
    enum trib_attr_type type;
    if (!trib_typed_open(j, &type)) {
        return broken(d, "a value is not an object with one DynamoDB type");
    }
    if (d->depth == DIGEST_DEPTH) {
        return broken(d, "nested too deep");
    }
    bool nests = n->type == TRIB_A_M || n->type == TRIB_A_L;
    d->depth += nests;
    enum fit fit = type == n->type ? put_payload(d, n, type, j, v, row, rescue) : MISFIT;
    d->depth -= nests;
    if (fit == BROKEN) {
        return BROKEN;
    }
    if (fit == MISFIT) {
        trib_vec_null(v, row);
        return MISFIT;
    }
    if (!trib_json_take(j, '}')) {
        return broken(d, "a value does not end");
    }
    trib_vec_set_valid(v, row);
    n->fits++;
    return fit;
}

/* ---- structs -------------------------------------------------------------------------------------------------------- */

static bool is_null_value(struct trib_json j)
{
    enum trib_attr_type type;
    return trib_typed_open(&j, &type) && type == TRIB_A_NULL;
}

/* The map being read, and those above it; decoding is depth first on one thread. */
struct place {
    const struct place *up;
    const char *attr;
};
static _Thread_local const struct place *where_now;

static void note_surprise(struct trib_decoder *d, struct trib_view name, struct trib_view value)
{
    struct surprise s = {.path_at = d->n_path, .name = name, .value = value};
    for (const struct place *p = where_now; p != NULL; p = p->up) {
        s.path_n++;
    }
    TRIB_GROW(d->path, d->cap_path, d->n_path + s.path_n);
    d->n_path += s.path_n;
    size_t at = d->n_path;
    for (const struct place *p = where_now; p != NULL; p = p->up) {
        d->path[--at] = p->attr;
    }
    TRIB_GROW(d->fresh, d->cap_fresh, d->n_fresh + 1);
    d->fresh[d->n_fresh++] = s;
}

/* The item is whole: what was new in it counts. */
static int infer_surprises(struct trib_decoder *d, struct trib_err *err)
{
    for (size_t i = 0; i < d->n_fresh; i++) {
        const struct surprise *s = &d->fresh[i];
        struct trib_inode *in = &d->surprises->root;
        for (size_t k = 0; k < s->path_n; k++) {
            in = trib_inode_member(in, trib_view_of(d->path[s->path_at + k]));
            in->count[TRIB_A_M] += in->count[TRIB_A_M] == 0;
        }
        struct trib_json j = trib_json_of(s->value);
        TRIB_TRY(trib_inode_value(trib_inode_member(in, s->name), &j, TRIB_ITEM_DEPTH, err));
    }
    return 0;
}

/* The whole value, canonical, as a member of the rescued text; and, where it is a surprise, what it says about the schema. */
static enum fit rescue_value(struct trib_decoder *d, struct trib_view name, struct trib_json *j, struct trib_buf *to,
                             bool surprise)
{
    struct trib_view span;
    if (!trib_json_skip(j, TRIB_ITEM_DEPTH * 2, &span)) {
        return broken(d, "a value, or its nesting");
    }
    trib_buf_adds(to, to->n > 0 ? "," : "");
    trib_json_string(to, name);
    trib_buf_addc(to, ':');
    if (trib_value_canonical(span, d->twice, to, d->err) != 0 || !digest_span(d, span)) {
        return BROKEN;
    }
    if (surprise) {
        note_surprise(d, name, span);
    }
    return to->overflow ? broken(d, "too much to rescue") : MISFIT;
}

static enum fit put_member(struct trib_decoder *d, struct node *c, size_t at, struct trib_view name,
                           struct trib_json *j, struct trib_vec *cols, uint64_t row, struct trib_buf *rescue,
                           bool in_list)
{
    struct trib_json start = *j;
    if (c == NULL) {
        if (in_list) { /* a member without a column: only NULL is tolerated */
            if (!is_null_value(start)) {
                return MISFIT;
            }
            return trib_json_skip(j, 2, NULL) ? FIT_AND_RESCUE : broken(d, "a NULL");
        }
        return rescue_value(d, name, j, rescue, true);
    }
    struct trib_vec *v = &cols[at];
    if (in_list) {
        if (is_null_value(start)) {
            trib_vec_null(v, row);
            return trib_json_skip(j, 2, NULL) ? FIT_AND_RESCUE : broken(d, "a NULL");
        }
        return put_value(d, c, j, v, row, NULL);
    }
    if (c->type == TRIB_A_M && c->col->id == TRIB_T_STRUCT && !c->as_text) {
        struct trib_buf inner;
        trib_buf_init(&inner, (size_t)64 << 20);
        struct place here = {where_now, c->attr};
        where_now = &here;
        enum fit fit = put_value(d, c, j, v, row, &inner);
        where_now = here.up;
        if (fit != BROKEN && fit != MISFIT && inner.n > 0 && trib_members_unique(trib_buf_view(&inner), d->err) != 0) {
            fit = BROKEN;
        } else if (fit != BROKEN && fit != MISFIT && inner.n > 0) {
            trib_buf_adds(rescue, rescue->n > 0 ? "," : "");
            trib_json_string(rescue, name);
            trib_buf_adds(rescue, ":{\"M\":{");
            trib_buf_add(rescue, inner.p, inner.n);
            trib_buf_adds(rescue, "}}");
            fit = FIT_AND_RESCUE;
        }
        trib_buf_free(&inner);
        if (fit != MISFIT) {
            return fit;
        }
    } else {
        enum fit fit = put_value(d, c, j, v, row, NULL);
        if (fit == FIT || fit == BROKEN) {
            return fit;
        }
        if (fit == FIT_AND_RESCUE) {
            *j = start;
            fit = rescue_value(d, name, j, rescue, false);
            return fit == BROKEN ? BROKEN : FIT_AND_RESCUE;
        }
    }
    *j = start;
    return rescue_value(d, name, j, rescue, true);
}

/* The members of one map (or the item): cols has one vector a child. in_list: a misfit ends it. */
static enum fit put_members(struct trib_decoder *d, struct node *n, struct trib_json *j, struct trib_vec *cols,
                            uint64_t row, struct trib_buf *rescue, bool in_list)
{
    uint64_t mine = ++d->generation;
    size_t found = 0, next = 0;
    enum fit result = FIT;
    struct trib_digest sum = {0, 0};
    if (!trib_json_take(j, '{')) {
        return broken(d, "a map");
    }
    if (!trib_json_take(j, '}')) {
        do {
            struct trib_view name;
            if (!text_of(d, j, &name) || !trib_json_take(j, ':')) {
                return broken(d, "an attribute's name");
            }
            struct node *c = NULL;
            if (next < n->n_children && n->children[next].attr_len == name.n &&
                memcmp(n->children[next].attr, name.p, name.n) == 0) {
                c = &n->children[next];
            } else {
                size_t slot = slot_of(n, name);
                c = n->slots[slot] != 0 ? &n->children[n->slots[slot] - 1] : NULL;
            }
            size_t at = c != NULL ? (size_t)(c - n->children) : 0;
            next = c != NULL ? at + 1 : next;
            found += c != NULL;
            if (c != NULL && c->seen == mine) {
                return broken(d, "an attribute occurs twice");
            }
            enum fit fit = put_member(d, c, at, name, j, cols, row, rescue, in_list);
            if (c != NULL) {
                c->seen = mine;
            }
            if (fit == BROKEN || (in_list && fit == MISFIT)) {
                return fit;
            }
            d->rescued += fit == MISFIT;
            if (d->digesting) {
                trib_digest_add(&sum, trib_digest_mix(c != NULL ? c->name : trib_digest_name(name), d->dg));
            }
            result = fit == FIT ? result : FIT_AND_RESCUE;
        } while (trib_json_take(j, ','));
        if (!trib_json_take(j, '}')) {
            return broken(d, "a map does not end");
        }
    }
    for (size_t i = 0; found < n->n_children && i < n->n_children; i++) {
        if (n->children[i].seen != mine) {
            trib_vec_null(&cols[i], row);
        }
    }
    if (d->digesting) {
        d->dg = trib_digest_close(TRIB_A_M, sum);
    }
    /* What was rescued from a map is in `rescue`; the map itself is fine. */
    return in_list ? result : FIT;
}

/* ---- the item ------------------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b, void *ctx)
{
    const struct piece *x = a, *y = b;
    const char *base = ctx;
    return trib_view_cmp((struct trib_view){base + x->name_at, x->name_n},
                         (struct trib_view){base + y->name_at, y->name_n});
}

/* scratch holds `"name":value,…` in source order; sorted by the names' bytes (as text, not as written). */
static int sort_rescued(struct trib_decoder *d, struct trib_buf *to, struct trib_err *err)
{
    struct trib_buf names;
    trib_buf_init(&names, (size_t)64 << 20);
    struct trib_json j = {d->scratch.p, d->scratch.p + d->scratch.n};
    d->n_pieces = 0;
    do {
        struct trib_view raw, value;
        bool escaped;
        const char *start = j.p;
        if (!trib_json_text(&j, &raw, &escaped) || !trib_json_take(&j, ':') ||
            !trib_json_skip(&j, TRIB_ITEM_DEPTH * 4, &value)) {
            trib_buf_free(&names);
            return trib_err_set(err, TRIB_E_INTERNAL, "rescued text cannot be read back");
        }
        TRIB_GROW(d->pieces, d->cap_pieces, d->n_pieces + 1);
        char *text = trib_buf_reserve(&names, raw.n);
        ssize_t n = text == NULL ? 0 : trib_json_unescape(raw, text);
        d->pieces[d->n_pieces++] =
            (struct piece){names.n, (size_t)n, (size_t)(start - d->scratch.p), (size_t)(j.p - start)};
        names.n += (size_t)n;
    } while (trib_json_take(&j, ','));
    qsort_r(d->pieces, d->n_pieces, sizeof *d->pieces, by_name, names.p);
    for (size_t i = 1; i < d->n_pieces; i++) {
        if (by_name(&d->pieces[i - 1], &d->pieces[i], names.p) == 0) {
            trib_buf_free(&names);
            return trib_err_set(err, TRIB_E_DATA, "an attribute occurs twice");
        }
    }
    trib_buf_addc(to, '{');
    for (size_t i = 0; i < d->n_pieces; i++) {
        trib_buf_adds(to, i > 0 ? "," : "");
        trib_buf_add(to, d->scratch.p + d->pieces[i].value_at, d->pieces[i].value_n);
    }
    trib_buf_addc(to, '}');
    trib_buf_free(&names);
    return trib_buf_check(to, "rescued data", err);
}

static void check_keys(struct trib_decoder *d, const struct trib_vec *cols, uint64_t row, struct trib_item_result *ret)
{
    for (size_t i = 0; i < d->root.n_children; i++) {
        const struct node *c = &d->root.children[i];
        if (c->key && trib_vec_is_null(&cols[i], row) && !ret->key_misfit) {
            ret->key_misfit = true;
            (void)snprintf(ret->key_reason, sizeof ret->key_reason,
                           "key attribute %.80s is missing, NULL or does not fit its column", c->attr);
        }
    }
}

int trib_decode_item(struct trib_decoder *d, struct trib_view json, unsigned flags, struct trib_vec *cols, uint64_t row,
                     struct trib_arena *arena, struct trib_buf *rescued, struct trib_item_result *ret,
                     struct trib_err *err)
{
    trib_buf_clear(rescued);
    trib_buf_clear(&d->scratch);
    d->n_fresh = d->n_path = 0;
    d->twice = (flags & TRIB_DECODE_BASE64_TWICE) != 0;
    d->digesting = (flags & TRIB_DECODE_DIGEST) != 0;
    d->depth = 0;
    d->arena = arena;
    d->err = err;
    struct trib_item_result result = {0};
    if (!trib_utf8_valid(json)) {
        return trib_err_set(err, TRIB_E_DATA, "invalid UTF-8");
    }
    where_now = NULL;
    struct trib_json j = trib_json_of(json);
    enum fit fit = put_members(d, &d->root, &j, cols, row, &d->scratch, false);
    where_now = NULL;
    if (fit == BROKEN || trib_json_ws(&j)) {
        return fit == BROKEN ? (int)TRIB_E_DATA : trib_err_set(err, TRIB_E_DATA, "something follows the item");
    }
    if (d->scratch.n > 0) {
        TRIB_TRY(sort_rescued(d, rescued, err));
        result.rescued = true;
    }
    TRIB_TRY(infer_surprises(d, err));
    check_keys(d, cols, row, &result);
    result.digest = d->digesting ? d->dg : (struct trib_digest){0, 0};
    *ret = result;
    return 0;
}

void trib_decode_null(struct trib_decoder *d, struct trib_vec *cols, uint64_t row)
{
    for (size_t i = 0; i < d->root.n_children; i++) {
        trib_vec_null(&cols[i], row);
    }
}

/* ---- what it tells about the schema ---------------------------------------------------------------------------------- */

static void add_fits(const struct node *n, struct trib_inode *in)
{
    in->count[n->type] += n->fits;
    const struct trib_type *t = n->col;
    if (n->type == TRIB_A_NS && n->n_children > 0) {
        t = n->children[0].col;
    }
    if (n->type == TRIB_A_N || n->type == TRIB_A_NS) {
        *(t->id == TRIB_T_LONG ? &in->n_int : t->id == TRIB_T_DECIMAL ? &in->n_dec : &in->n_other) += n->fits;
    }
    if (n->type == TRIB_A_M) {
        for (size_t i = 0; i < n->n_children; i++) {
            if (n->children[i].fits > 0) {
                add_fits(&n->children[i], trib_inode_member(in, trib_view_of(n->children[i].attr)));
            }
        }
    } else if (n->type == TRIB_A_L && n->n_children > 0 && n->json_elements && n->fits > 0) {
        struct trib_inode *e = trib_inode_element(in); /* mixed: it stays mixed */
        e->count[TRIB_A_S]++;
        e->count[TRIB_A_N]++;
    } else if (n->type == TRIB_A_L && n->n_children > 0 && n->children[0].fits > 0) {
        add_fits(&n->children[0], trib_inode_element(in));
    }
}

void trib_decoder_infer(const struct trib_decoder *d, struct trib_infer *to)
{
    for (size_t i = 0; i < d->root.n_children; i++) {
        const struct node *c = &d->root.children[i];
        if (c->fits > 0) {
            add_fits(c, trib_inode_member(&to->root, trib_view_of(c->attr)));
        }
    }
    trib_infer_merge(to, d->surprises);
}

static bool differs(const struct trib_type *now, const struct trib_type *next, const char *attr)
{
    const struct trib_field *a = trib_item_find(now, attr), *b = trib_item_find(next, attr);
    if (a == NULL || b == NULL) {
        return a != b;
    }
    const char *x = trib_field_meta(a, "dynamodb.element"), *y = trib_field_meta(b, "dynamodb.element");
    return trib_field_attr(a) != trib_field_attr(b) || !trib_type_same(&a->type, &b->type) ||
           (x == NULL ? y != NULL : y == NULL || strcmp(x, y) != 0);
}

bool trib_decoder_outdated(const struct trib_decoder *d, const struct trib_type *next)
{
    for (size_t i = 0; i < d->root.n_children; i++) {
        if (d->root.children[i].fits > 0 && differs(d->item, next, d->root.children[i].attr)) {
            return true;
        }
    }
    for (size_t i = 0; i < d->surprises->root.n_members; i++) {
        if (differs(d->item, next, d->surprises->root.members[i]->name)) {
            return true;
        }
    }
    return false;
}

uint64_t trib_decoder_rescued(const struct trib_decoder *d) { return d->rescued; }
