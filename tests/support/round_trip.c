/* Round trips; see round_trip.h. */
#include "support/round_trip.h"

#include <jansson.h>
#include <stdlib.h>

#include "support/item_same.h"

enum { MAX_TEXT = 1 << 24, CHUNK_ROWS = 64, MAX_ROUNDS = 8 };

struct trip {
    const struct test_trip *t;
    struct trib_type now;
    struct trib_decoder *d;
    struct trib_chunk chunk;
    struct trib_buf rescued, text;
    char **rescued_of; /* by item; NULL: broken */
};

static char *why(const char *what, struct trib_view item, struct trib_view got, struct trib_view rescued)
{
    return trib_asprintf("%s\n  was     %.*s\n  is      %.*s\n  rescued %.*s", what, (int)item.n, item.p, (int)got.n,
                         got.p, (int)rescued.n, rescued.p);
}

static const struct trib_field *field_of(const struct trib_type *t, const char *attr)
{
    for (size_t i = 0; i < t->n_fields; i++) {
        const char *name = trib_field_meta(&t->fields[i], "dynamodb.name");
        if (strcmp(name != NULL ? name : t->fields[i].name, attr) == 0) {
            return &t->fields[i];
        }
    }
    return NULL;
}

/* A reader that lays rescued data over the columns meets no contradiction: a rescued scalar's column is null. */
static bool overlay_is_clean(const json_t *rescued, const struct trib_type *t, const struct trib_vec *cols,
                             uint64_t row)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)rescued, name, value)
    {
        const struct trib_field *f = field_of(t, name);
        const char *type = json_object_iter_key(json_object_iter(value));
        if (f == NULL || trib_vec_is_null(&cols[f - t->fields], row)) {
            continue;
        }
        const struct trib_vec *v = &cols[f - t->fields];
        const char *column = trib_field_meta(f, "dynamodb.type");
        if (column == NULL || strcmp(type, column) != 0) {
            return false;
        }
        if (strcmp(type, "M") == 0 && f->type.id == TRIB_T_STRUCT) {
            if (!overlay_is_clean(json_object_get(value, "M"), &f->type, v->children, row)) {
                return false;
            }
        } else if (strcmp(type, "L") != 0) {
            return false;
        }
    }
    return true;
}

/* A null struct's members are null too: the engine wants it. */
static bool nulls_are_deep(const struct trib_vec *v, uint64_t row, bool above)
{
    bool null = trib_vec_is_null(v, row);
    if (above && !null) {
        return false;
    }
    for (size_t i = 0; v->type->id == TRIB_T_STRUCT && i < v->n_children; i++) {
        if (!nulls_are_deep(&v->children[i], row, null)) {
            return false;
        }
    }
    if (!null && v->type->id == TRIB_T_ARRAY) {
        struct trib_list l = ((const struct trib_list *)v->data)[row];
        if (l.offset + l.length > v->child_used) {
            return false;
        }
        for (uint64_t i = 0; i < l.length; i++) {
            if (!nulls_are_deep(&v->children[0], l.offset + i, false)) {
                return false;
            }
        }
    }
    return true;
}

static char *check_rescued(const struct trip *r, struct trib_view item, uint64_t row)
{
    struct trib_view rescued = trib_buf_view(&r->rescued);
    for (size_t i = 0; i < r->chunk.n_cols; i++) {
        if (!nulls_are_deep(&r->chunk.cols[i], row, false)) {
            return why("a null row holds values, or a list ends behind its elements", item,
                       trib_view_of(r->now.fields[i].name), rescued);
        }
    }
    if (rescued.n == 0) {
        return NULL;
    }
    struct trib_buf canonical;
    struct trib_err err = {0};
    trib_buf_init(&canonical, MAX_TEXT);
    int rc = trib_item_canonical(rescued, false, &canonical, &err);
    bool same = rc == 0 && trib_view_eq(trib_buf_view(&canonical), rescued);
    trib_buf_free(&canonical);
    if (!same) {
        return why("rescued text is not canonical", item, trib_view_of(rc != 0 ? err.msg : ""), rescued);
    }
    json_error_t e;
    json_t *j = json_loadb(rescued.p, rescued.n, JSON_ALLOW_NUL, &e);
    bool clean = j == NULL || overlay_is_clean(j, &r->now, r->chunk.cols, row); /* a name may hold NUL */
    json_decref(j);
    return clean ? NULL : why("a value is in its column and rescued", item, (struct trib_view){"", 0}, rescued);
}

static bool has_nul_name(struct trib_view item) { return memmem(item.p, item.n, "\\u0000", 6) != NULL; }

static char *check_back(struct trip *r, struct trib_view item, uint64_t row, struct trib_digest want)
{
    struct trib_err err = {0};
    struct trib_digest got;
    trib_buf_clear(&r->text);
    if (trib_encode_item(&r->now, r->chunk.cols, row, trib_buf_view(&r->rescued), &r->text, &err) != 0) {
        return why(err.msg, item, trib_buf_view(&r->text), trib_buf_view(&r->rescued));
    }
    if (trib_item_digest(trib_buf_view(&r->text), false, &got, &err) != 0 || got.lo != want.lo || got.hi != want.hi) {
        return why("another digest", item, trib_buf_view(&r->text), trib_buf_view(&r->rescued));
    }
    char *differs = test_item_differs(item, r->t->twice, trib_buf_view(&r->text));
    if (differs != NULL && has_nul_name(item)) { /* the independent comparison cannot read such names */
        free(differs);
        return NULL;
    }
    char *told = differs == NULL ? NULL : why(differs, item, trib_buf_view(&r->text), trib_buf_view(&r->rescued));
    free(differs);
    return told;
}

static char *decode_one(struct trip *r, size_t i)
{
    struct trib_view item = r->t->items[i];
    uint64_t row = i % CHUNK_ROWS;
    struct trib_item_result result;
    struct trib_err err = {0}, other = {0};
    struct trib_digest want;
    unsigned flags = TRIB_DECODE_DIGEST | (r->t->twice ? TRIB_DECODE_BASE64_TWICE : 0);
    if (row == 0) {
        trib_chunk_clear(&r->chunk);
    }
    int rc = trib_decode_item(r->d, item, flags, r->chunk.cols, row, &r->chunk.arena, &r->rescued, &result, &err);
    int digested = trib_item_digest(item, r->t->twice, &want, &other);
    free(r->rescued_of[i]);
    r->rescued_of[i] = NULL;
    if (rc != 0) {
        if (!r->t->may_break || rc != TRIB_E_DATA) {
            return why(err.msg, item, trib_view_of("nothing"), trib_view_of(""));
        }
        static const char empty[] = "{}"; /* the row is written again */
        int again = trib_decode_item(r->d, TRIB_VIEW_LIT(empty), 0, r->chunk.cols, row, &r->chunk.arena, &r->rescued,
                                     &result, &err);
        trib_buf_clear(&r->text);
        again = again != 0 ? again
                           : trib_encode_item(&r->now, r->chunk.cols, row, (struct trib_view){NULL, 0}, &r->text, &err);
        return again != 0 || strcmp(r->text.p, "{}") != 0
                   ? why("a row written again keeps what was there", item, trib_buf_view(&r->text), trib_view_of(""))
                   : NULL;
    }
    if (digested != 0) {
        return why(other.msg, item, trib_view_of("decoded, but has no digest"), trib_buf_view(&r->rescued));
    }
    if (result.digest.lo != want.lo || result.digest.hi != want.hi) {
        return why("the decoder's digest is another one", item, trib_view_of(""), trib_buf_view(&r->rescued));
    }
    if (result.rescued != (r->rescued.n > 0)) {
        return why("rescued, or not?", item, trib_view_of(""), trib_buf_view(&r->rescued));
    }
    r->rescued_of[i] = trib_strndup(r->rescued.n > 0 ? r->rescued.p : "", r->rescued.n);
    char *told = check_rescued(r, item, row);
    return told != NULL ? told : check_back(r, item, row, want);
}

static char *decode_all(struct trip *r)
{
    char *told = NULL;
    for (size_t i = 0; i < r->t->n && told == NULL; i++) {
        told = decode_one(r, i);
    }
    return told;
}

static void open_schema(struct trip *r, const struct trib_type *type)
{
    trib_type_copy(&r->now, type);
    r->d = trib_decoder_new(&r->now, &r->t->o);
    trib_chunk_init_heap(&r->chunk, &r->now, CHUNK_ROWS);
}

static void close_schema(struct trip *r)
{
    trib_decoder_free(r->d);
    trib_chunk_free_heap(&r->chunk);
    trib_type_free(&r->now);
}

static void describe(const struct trib_type *t, struct trib_buf *to)
{
    trib_type_sql(t, to);
    for (size_t i = 0; i < t->n_fields; i++) {
        for (size_t k = 0; k < t->fields[i].n_meta; k++) {
            trib_buf_addf(to, " %s.%s=%s", t->fields[i].name, t->fields[i].meta[k].key, t->fields[i].meta[k].value);
        }
        if (t->fields[i].type.n_fields > 0) {
            trib_buf_adds(to, " (");
            describe(&t->fields[i].type, to);
            trib_buf_addc(to, ')');
        }
    }
}

static bool meta_same(const struct trib_type *a, const struct trib_type *b)
{
    for (size_t i = 0; i < a->n_fields; i++) {
        const struct trib_field *x = &a->fields[i], *y = &b->fields[i];
        if (x->n_meta != y->n_meta || !meta_same(&x->type, &y->type)) {
            return false;
        }
        for (size_t k = 0; k < x->n_meta; k++) {
            const char *v = trib_field_meta(y, x->meta[k].key);
            if (v == NULL || strcmp(v, x->meta[k].value) != 0) {
                return false;
            }
        }
    }
    return true;
}

static bool identical(const struct trib_type *a, const struct trib_type *b)
{
    return trib_type_same(a, b) && meta_same(a, b);
}

static char *evolve(const struct trip *r, const struct trib_type *from, const struct trib_infer *in,
                    struct trib_type *ret)
{
    struct trib_evolved e;
    struct trib_err err = {0};
    if (trib_schema_evolve(from, in, &r->t->o, r->t->silver, &e, &err) != 0) {
        return trib_asprintf("evolve: %s", err.msg);
    }
    bool changed = from->n_fields != e.type.n_fields || !identical(from, &e.type);
    free(e.new_fields);
    *ret = e.type;
    return changed == e.changed ? NULL : trib_asprintf("evolve says changed: %d, but it is %d", e.changed, changed);
}

static char *learn(const struct trip *r, const struct trib_type *from, size_t n, struct trib_type *ret)
{
    struct trib_infer *in = trib_infer_new(), *half = trib_infer_new();
    struct trib_err err = {0};
    char *told = NULL;
    for (size_t i = 0; i < n && told == NULL; i++) { /* in two parts, merged */
        bool broken = from->n_fields > 0 && r->rescued_of[i] == NULL;
        if (!broken && trib_infer_item(i < n / 2 ? in : half, r->t->items[i], r->t->twice, &err) != 0 &&
            !r->t->may_break) {
            told = why(err.msg, r->t->items[i], trib_view_of("not inferred"), trib_view_of(""));
        }
    }
    trib_infer_merge(in, half);
    told = told != NULL ? told : evolve(r, from, in, ret);
    trib_infer_free(in);
    trib_infer_free(half);
    return told;
}

/* The next schema from what the decoder met; it must be the one that the items themselves give. */
static char *follow(const struct trip *r, struct trib_type *ret)
{
    struct trib_infer *in = trib_infer_new();
    trib_decoder_infer(r->d, in);
    char *told = evolve(r, &r->now, in, ret);
    trib_infer_free(in);
    if (told != NULL) {
        return told;
    }
    struct trib_type whole = {0};
    told = r->now.n_fields == 0 ? NULL : learn(r, &r->now, r->t->n, &whole);
    if (told == NULL && r->now.n_fields > 0 && !identical(ret, &whole)) {
        struct trib_buf a;
        trib_buf_init(&a, MAX_TEXT);
        describe(ret, &a);
        trib_buf_adds(&a, "\n  items: ");
        describe(&whole, &a);
        told = trib_asprintf("the decoder tells another schema than the items\n  decoder: %s", a.p);
        trib_buf_free(&a);
    }
    trib_type_free(&whole);
    if (told != NULL) {
        trib_type_free(ret);
    }
    return told;
}

/* Under a schema that the decoder calls equal for these items, everything lies where it lay. */
static char *compare_rescued(const struct trip *r, char **before)
{
    for (size_t i = 0; i < r->t->n; i++) {
        bool same = before[i] == NULL ? r->rescued_of[i] == NULL
                                      : r->rescued_of[i] != NULL && strcmp(before[i], r->rescued_of[i]) == 0;
        if (!same) {
            return why("not outdated, but another text is rescued", r->t->items[i], trib_view_of(before[i]),
                       trib_view_of(r->rescued_of[i]));
        }
    }
    return NULL;
}

static char *rounds(struct trip *r)
{
    char *told = decode_all(r);
    for (int round = 0; told == NULL; round++) {
        struct trib_type next;
        told = follow(r, &next);
        if (told != NULL) {
            break;
        }
        bool outdated = trib_decoder_outdated(r->d, &next), same = identical(&next, &r->now);
        if (same || round == MAX_ROUNDS) {
            trib_type_free(&next);
            return outdated ? trib_strdup("outdated under its own schema")
                   : same   ? NULL
                            : trib_strdup("the schema does not settle");
        }
        close_schema(r);
        open_schema(r, &next);
        trib_type_free(&next);
        char **before = trib_calloc(r->t->n, sizeof *before);
        for (size_t i = 0; i < r->t->n; i++) {
            before[i] = r->rescued_of[i] == NULL ? NULL : trib_strdup(r->rescued_of[i]);
        }
        told = decode_all(r);
        told = told == NULL && !outdated ? compare_rescued(r, before) : told;
        for (size_t i = 0; i < r->t->n; i++) {
            free(before[i]);
        }
        free(before);
    }
    return told;
}

char *test_round_trip(const struct test_trip *t)
{
    struct trip r = {.t = t, .rescued_of = trib_calloc(t->n, sizeof(char *))};
    trib_buf_init(&r.rescued, MAX_TEXT);
    trib_buf_init(&r.text, MAX_TEXT);
    const struct trib_type none = trib_type_simple(TRIB_T_STRUCT);
    struct trib_type first = {0};
    char *told = learn(&r, &none, t->learn, &first);
    if (told == NULL) {
        open_schema(&r, &first);
        told = rounds(&r);
        close_schema(&r);
    }
    trib_type_free(&first);
    for (size_t i = 0; i < t->n; i++) {
        free(r.rescued_of[i]);
    }
    free(r.rescued_of);
    trib_buf_free(&r.rescued);
    trib_buf_free(&r.text);
    return told;
}
