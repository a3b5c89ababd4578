/*
 * Evolution: the schema after a batch (schema.h, interface.md Columns). Pure functions over trees; deterministic.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <xxhash.h>

#include "base/fold.h"
#include "schema/own.h"

enum trib_attr_type trib_field_attr(const struct trib_field *f)
{
    enum trib_attr_type t = TRIB_A_S;
    const char *m = trib_field_meta(f, "dynamodb.type");
    if (m != NULL) {
        (void)trib_attr_type_parse(trib_view_of(m), &t);
    }
    return t;
}

const char *trib_field_attr_name(const struct trib_field *f)
{
    const char *n = trib_field_meta(f, "dynamodb.name");
    return n != NULL ? n : f->name;
}

const char *trib_field_attribute(const struct trib_field *f)
{
    return trib_field_meta(f, "dynamodb.type") == NULL ? NULL : trib_field_attr_name(f);
}

struct trib_field *trib_item_find(const struct trib_type *item, const char *attribute)
{
    for (size_t i = 0; i < item->n_fields; i++) {
        const char *a = trib_field_attribute(&item->fields[i]);
        if (a != NULL && strcmp(a, attribute) == 0) {
            return &item->fields[i];
        }
    }
    return NULL;
}

static struct trib_type number_type(const struct trib_inode *in, const struct trib_schema_opts *o)
{
    switch (o->numbers) {
    case TRIB_NUMBERS_DOUBLE: return trib_type_simple(TRIB_T_DOUBLE);
    case TRIB_NUMBERS_STRING: return trib_type_simple(TRIB_T_STRING);
    case TRIB_NUMBERS_DECIMAL: return trib_type_decimal(38, 18);
    case TRIB_NUMBERS_AUTO: break;
    }
    return in->n_dec == 0 && in->n_int > 0 ? trib_type_simple(TRIB_T_LONG) : trib_type_decimal(38, 18);
}

static struct trib_field *add_field(struct trib_type *to, const char *attr, struct trib_field *typed,
                                    const struct trib_schema_opts *o, bool top);
/* The column for what was seen and hinted, inside so many lists; false when there is none: nothing seen has a type. */
static bool decide(const struct trib_inode *in, const struct trib_hints *h, const struct trib_schema_opts *o,
                   unsigned lists, struct trib_field *f);

static const struct trib_inode *find_inode(const struct trib_inode *in, const char *name)
{
    for (size_t i = 0; in != NULL && i < in->n_members; i++) {
        if (strcmp(in->members[i]->name, name) == 0) {
            return in->members[i];
        }
    }
    return NULL;
}

/* Members as they were seen, then those that are only hinted. */
static bool decide_map(const struct trib_inode *in, const struct trib_hints *h, const struct trib_schema_opts *o,
                       unsigned lists, struct trib_type *ret)
{
    *ret = trib_type_simple(TRIB_T_STRUCT);
    for (size_t i = 0; in != NULL && i < in->n_members; i++) {
        struct trib_field f = {0};
        if (decide(in->members[i], trib_hints_member(h, in->members[i]->name), o, lists, &f)) {
            (void)add_field(ret, in->members[i]->name, &f, o, false);
        }
    }
    for (size_t i = 0; h != NULL && i < h->n_members; i++) {
        struct trib_field f = {0};
        if (trib_item_find(ret, h->members[i].name) == NULL && decide(NULL, &h->members[i], o, lists, &f)) {
            (void)add_field(ret, h->members[i].name, &f, o, false);
        }
    }
    return ret->n_fields > 0;
}

/* dynamodb.element of a list whose elements have this field. [out] */
static char *element_text(const struct trib_field *e)
{
    enum trib_attr_type t = trib_field_attr(e);
    const char *inner = trib_field_meta(e, "dynamodb.element");
    return t == TRIB_A_L ? trib_asprintf("L<%s>", inner != NULL ? inner : "json") : trib_strdup(trib_attr_type_text(t));
}

static bool holds_lists(const struct trib_inode *in)
{
    bool found = in->count[TRIB_A_L] + in->count[TRIB_A_SS] + in->count[TRIB_A_NS] + in->count[TRIB_A_BS] > 0;
    for (size_t i = 0; i < in->n_members && !found; i++) {
        found = holds_lists(in->members[i]);
    }
    return found;
}

/* lists: around this one. Elements of several types are text, but for hinted ones. */
static bool decide_list(const struct trib_inode *in, const struct trib_hints *h, const struct trib_schema_opts *o,
                        unsigned lists, struct trib_field *f)
{
    const struct trib_inode *e = in == NULL ? NULL : in->element;
    unsigned kinds = 0;
    for (int t = 0; e != NULL && t < TRIB_A_COUNT; t++) {
        kinds += t != TRIB_A_NULL && e->count[t] > 0;
    }
    if (kinds == 0 && h == NULL) {
        return false;
    }
    struct trib_field element = {0};
    char *text;
    if (h == NULL && (kinds > 1 || (lists + 1 >= TRIB_ITEM_LISTS && holds_lists(e)))) {
        element.type = trib_type_simple(TRIB_T_STRING);
        text = trib_strdup("json");
    } else {
        if (!decide(e, h, o, lists + 1, &element)) {
            return false;
        }
        text = element_text(&element);
    }
    f->type = trib_type_simple(TRIB_T_ARRAY);
    (void)trib_type_add(&f->type, "element", element.type);
    trib_field_set_meta(f, "dynamodb.element", text);
    for (size_t i = 0; i < element.n_meta; i++) {
        free(element.meta[i].key);
        free(element.meta[i].value);
    }
    free(element.meta);
    free(text);
    return true;
}

static bool decide_as(const struct trib_inode *in, enum trib_attr_type t, const struct trib_schema_opts *o,
                      unsigned lists, struct trib_field *f)
{
    if (!o->infer) {
        f->type = trib_type_simple(TRIB_T_STRING);
        return true;
    }
    if (lists >= TRIB_ITEM_LISTS && (t == TRIB_A_L || t == TRIB_A_SS || t == TRIB_A_NS || t == TRIB_A_BS)) {
        return false;
    }
    switch (t) {
    case TRIB_A_S: f->type = trib_type_simple(TRIB_T_STRING); return true;
    case TRIB_A_N: f->type = number_type(in, o); return true;
    case TRIB_A_B: f->type = trib_type_simple(TRIB_T_BINARY); return true;
    case TRIB_A_BOOL: f->type = trib_type_simple(TRIB_T_BOOLEAN); return true;
    case TRIB_A_M:
        if (decide_map(in, NULL, o, lists, &f->type)) {
            return true;
        }
        f->type = trib_type_simple(TRIB_T_STRING);
        return false;
    case TRIB_A_L: return decide_list(in, NULL, o, lists, f);
    case TRIB_A_SS:
    case TRIB_A_NS:
    case TRIB_A_BS:
        f->type = trib_type_simple(TRIB_T_ARRAY);
        (void)trib_type_add(&f->type, "element",
                            t == TRIB_A_SS   ? trib_type_simple(TRIB_T_STRING)
                            : t == TRIB_A_BS ? trib_type_simple(TRIB_T_BINARY)
                                             : number_type(in, o));
        return true;
    case TRIB_A_NULL: return false;
    }
    return false;
}

/* The types of DynamoDB's whose values a column of this type may hold, the likeliest first; TRIB_A_NULL ends them. */
static const enum trib_attr_type *holds(const struct trib_type *t)
{
    static const enum trib_attr_type text[] = {TRIB_A_S, TRIB_A_N, TRIB_A_NULL},
                                     numbers[] = {TRIB_A_N, TRIB_A_S, TRIB_A_NULL}, times[] = {TRIB_A_S, TRIB_A_NULL},
                                     truth[] = {TRIB_A_BOOL, TRIB_A_NULL}, bytes[] = {TRIB_A_B, TRIB_A_NULL};
    switch (t->id) {
    case TRIB_T_STRING: return text;
    case TRIB_T_DATE:
    case TRIB_T_TIMESTAMP:
    case TRIB_T_TIMESTAMP_NTZ: return times;
    case TRIB_T_BOOLEAN: return truth;
    case TRIB_T_BINARY: return bytes;
    default: return numbers;
    }
}

static enum trib_attr_type most_seen(const struct trib_inode *in, const enum trib_attr_type *of)
{
    enum trib_attr_type best = *of;
    for (; in != NULL && *of != TRIB_A_NULL; of++) {
        best = in->count[*of] > in->count[best] ? *of : best;
    }
    return best;
}

/* A list, or a set where sets were seen more often and the hinted element fits theirs. */
static void decide_hinted_list(const struct trib_inode *in, const struct trib_hints *element,
                               const struct trib_schema_opts *o, unsigned lists, struct trib_field *f)
{
    static const enum trib_attr_type sets[] = {[TRIB_A_S] = TRIB_A_SS, [TRIB_A_N] = TRIB_A_NS, [TRIB_A_B] = TRIB_A_BS};
    enum trib_attr_type possible[4] = {TRIB_A_L, TRIB_A_NULL};
    const enum trib_attr_type *scalars = element->leaf ? holds(&element->type) : NULL;
    for (size_t n = 1; scalars != NULL && *scalars != TRIB_A_NULL; scalars++) {
        if (*scalars <= TRIB_A_B) {
            possible[n++] = sets[*scalars];
            possible[n] = TRIB_A_NULL;
        }
    }
    enum trib_attr_type attr = most_seen(in, possible);
    if (attr == TRIB_A_L) {
        (void)decide_list(in, element, o, lists, f);
    } else {
        f->type = trib_type_simple(TRIB_T_ARRAY);
        (void)trib_type_add(&f->type, "element", element->type);
    }
    trib_field_set_meta(f, "dynamodb.type", trib_attr_type_text(attr));
}

/* A hinted column: its type is given; what was seen says which of DynamoDB's types it takes. Always a column. */
static void decide_hinted(const struct trib_inode *in, const struct trib_hints *h, const struct trib_schema_opts *o,
                          unsigned lists, struct trib_field *f)
{
    if (h->element != NULL) {
        decide_hinted_list(in, h->element, o, lists, f);
    } else if (h->leaf) {
        f->type = h->type;
        trib_field_set_meta(f, "dynamodb.type", trib_attr_type_text(most_seen(in, holds(&h->type))));
    } else {
        (void)decide_map(in, h, o, lists, &f->type);
        trib_field_set_meta(f, "dynamodb.type", trib_attr_type_text(TRIB_A_M));
    }
}

static bool decide(const struct trib_inode *in, const struct trib_hints *h, const struct trib_schema_opts *o,
                   unsigned lists, struct trib_field *f)
{
    if (h != NULL) {
        decide_hinted(in, h, o, lists, f);
        return true;
    }
    bool tried[TRIB_A_COUNT] = {false};
    for (;;) { /* the most frequent type that makes a column; ties by the order of the types */
        int best = -1;
        for (int t = 0; in != NULL && t < TRIB_A_COUNT; t++) {
            if (t != TRIB_A_NULL && !tried[t] && in->count[t] > 0 && (best < 0 || in->count[t] > in->count[best])) {
                best = t;
            }
        }
        if (best < 0) {
            return false;
        }
        tried[best] = true;
        if (decide_as(in, (enum trib_attr_type)best, o, lists, f)) {
            trib_field_set_meta(f, "dynamodb.type", trib_attr_type_text((enum trib_attr_type)best));
            return true;
        }
    }
}

static bool name_taken(const struct trib_type *t, const char *name, const struct trib_schema_opts *o, bool top)
{
    for (size_t i = 0; i < t->n_fields; i++) {
        if (trib_fold_same(t->fields[i].name, name)) {
            return true;
        }
    }
    for (size_t i = 0; top && i < o->n_reserved; i++) {
        if (trib_fold_same(o->reserved[i], name)) {
            return true;
        }
    }
    return false;
}

/* The column's name for an attribute: sanitised, and told apart regardless of case. [out] */
static char *column_name(const struct trib_type *t, const char *attr, const struct trib_schema_opts *o, bool top)
{
    char *name = trib_strdup(attr[0] == '\0' ? "_" : attr);
    for (char *p = name; *p != '\0'; p++) {
        if (strchr(" ,;{}()\n\t=", *p) != NULL || (unsigned char)*p < 0x20 || *p == 0x7F) {
            *p = '_';
        }
    }
    for (uint64_t seed = 0; name_taken(t, name, o, top); seed++) {
        char *next = trib_asprintf("%s_%08x", name, (unsigned)XXH3_64bits_withSeed(attr, strlen(attr), seed));
        free(name);
        name = next;
    }
    return name;
}

/* Takes typed's type and metadata. */
static struct trib_field *add_field(struct trib_type *to, const char *attr, struct trib_field *typed,
                                    const struct trib_schema_opts *o, bool top)
{
    char *name = column_name(to, attr, o, top);
    struct trib_field *f = trib_type_add(to, name, typed->type);
    f->meta = typed->meta;
    f->n_meta = typed->n_meta;
    if (strcmp(name, attr) != 0) {
        trib_field_set_meta(f, "dynamodb.name", attr);
    }
    free(name);
    return f;
}

struct grow {
    const struct trib_schema_opts *o;
    bool silver, may_add;
    struct trib_evolved *ret;
    struct trib_buf names;
    size_t leaves;
    unsigned lists; /* around the place at hand */
};

static void widen_leaf(struct grow *g, struct trib_type *t, const struct trib_inode *in, const struct trib_hints *h)
{
    bool auto_numbers = g->o->infer && g->o->numbers == TRIB_NUMBERS_AUTO;
    if (g->silver && g->o->evolution == TRIB_EVOLVE_WIDEN && auto_numbers && t->id == TRIB_T_LONG && in->n_dec > 0 &&
        h == NULL) {
        *t = trib_type_decimal(38, 18);
        g->ret->widened = g->ret->changed = true;
    }
}

static void grow_struct(struct grow *g, struct trib_type *t, const struct trib_inode *in, const struct trib_hints *h,
                        const char *path, bool top);

static const struct trib_hints *hinted_element(const struct trib_hints *h) { return h == NULL ? NULL : h->element; }

static void grow_type(struct grow *g, struct trib_type *t, enum trib_attr_type attr, const struct trib_inode *in,
                      const struct trib_hints *h, const char *path)
{
    if (in->count[attr] == 0) {
        return;
    }
    if (attr == TRIB_A_N) {
        widen_leaf(g, t, in, h);
    } else if (attr == TRIB_A_NS && t->id == TRIB_T_ARRAY) {
        widen_leaf(g, &t->fields[0].type, in, hinted_element(h));
    } else if (attr == TRIB_A_M && t->id == TRIB_T_STRUCT) {
        grow_struct(g, t, in, h, path, false);
    }
}

static void grow_elements(struct grow *g, struct trib_field *f, const struct trib_inode *in, const struct trib_hints *h,
                          const char *path)
{
    struct trib_type *t = &f->type;
    const char *element = trib_field_meta(f, "dynamodb.element");
    while (element != NULL && t->id == TRIB_T_ARRAY && in != NULL && in->element != NULL) {
        char *below = trib_asprintf("%s.element", path);
        enum trib_attr_type attr = TRIB_A_L;
        t = &t->fields[0].type;
        in = in->element;
        h = hinted_element(h);
        g->lists++;
        if (strncmp(element, "L<", 2) != 0) {
            if (strcmp(element, "json") != 0 && trib_attr_type_parse(trib_view_of(element), &attr)) {
                grow_type(g, t, attr, in, h, below);
            }
            free(below);
            return;
        }
        free(below);
        element += 2;
        /* "L<S>": the inner text without the closing bracket */
        size_t n = strcspn(element, ">");
        static _Thread_local char inner[32];
        if (n >= sizeof inner || strchr(element, '<') != NULL) {
            return; /* deeper lists keep their type */
        }
        memcpy(inner, element, n);
        inner[n] = '\0';
        element = inner;
    }
}

static void grow_list(struct grow *g, struct trib_field *f, const struct trib_inode *in, const struct trib_hints *h,
                      const char *path)
{
    unsigned lists = g->lists;
    grow_elements(g, f, in, h, path);
    g->lists = lists;
}

static bool is_key(const struct trib_schema_opts *o, const char *attr)
{
    for (size_t k = 0; k < o->n_keys; k++) {
        if (strcmp(o->keys[k], attr) == 0) {
            return true;
        }
    }
    return false;
}

static void new_field(struct grow *g, struct trib_type *t, const struct trib_inode *m, const struct trib_hints *h,
                      const char *path, bool top)
{
    struct trib_field f = {0};
    if (!decide(m, h, g->o, g->lists, &f)) {
        return;
    }
    size_t leaves = trib_type_leaves(&f.type);
    bool fits = g->o->max_columns == 0 || g->leaves + leaves <= g->o->max_columns;
    if (!fits || !g->may_add) {
        g->ret->over_limit += !fits;
        if (!g->may_add) {
            trib_buf_addf(&g->names, "%s%s", g->names.n > 0 ? ", " : "", path);
        }
        trib_field_free(&f);
        return;
    }
    g->leaves += leaves;
    g->ret->added += leaves;
    g->ret->changed = true;
    trib_buf_addf(&g->names, "%s%s", g->names.n > 0 ? ", " : "", path);
    (void)add_field(t, m->name, &f, g->o, top);
}

static void grow_struct(struct grow *g, struct trib_type *t, const struct trib_inode *in, const struct trib_hints *h,
                        const char *path, bool top)
{
    for (size_t i = 0; i < in->n_members; i++) {
        const struct trib_inode *m = in->members[i];
        const struct trib_hints *hm = trib_hints_member(h, m->name);
        char *below = path[0] == '\0' ? trib_strdup(m->name) : trib_asprintf("%s.%s", path, m->name);
        struct trib_field *f = trib_item_find(t, m->name);
        if (f == NULL) {
            new_field(g, t, m, top && is_key(g->o, m->name) ? NULL : hm, below, top);
        } else if (trib_field_attr(f) == TRIB_A_L) {
            grow_list(g, f, m, hm, below);
        } else {
            grow_type(g, &f->type, trib_field_attr(f), m, hm, below);
        }
        free(below);
    }
}

/* Hinted columns that are not there yet, seen or not, at every depth. Keys have types of their own. */
static void declare(struct grow *g, struct trib_type *t, const struct trib_hints *h, const struct trib_inode *in,
                    bool top)
{
    for (size_t i = 0; i < h->n_members; i++) {
        const struct trib_hints *hm = &h->members[i];
        const struct trib_inode *m = find_inode(in, hm->name);
        struct trib_field *f = trib_item_find(t, hm->name);
        if (f == NULL && !(top && is_key(g->o, hm->name))) {
            struct trib_field fresh = {0};
            decide_hinted(m, hm, g->o, g->lists, &fresh);
            g->leaves += trib_type_leaves(&fresh.type);
            g->ret->changed = true;
            (void)add_field(t, hm->name, &fresh, g->o, top);
        } else if (f != NULL) {
            struct trib_type *at = &f->type;
            unsigned lists = g->lists;
            for (; hm->element != NULL && at->id == TRIB_T_ARRAY; hm = hm->element, g->lists++) {
                at = &at->fields[0].type;
                m = m == NULL ? NULL : m->element;
            }
            if (at->id == TRIB_T_STRUCT) {
                declare(g, at, hm, m, false);
            }
            g->lists = lists;
        }
    }
}

/* A key attribute has its column whatever the majority says. */
static void add_keys(struct grow *g, struct trib_type *t, const struct trib_infer *in)
{
    for (size_t k = 0; k < g->o->n_keys; k++) {
        if (trib_item_find(t, g->o->keys[k]) != NULL) {
            continue;
        }
        const struct trib_inode *m = NULL;
        for (size_t i = 0; i < in->root.n_members && m == NULL; i++) {
            m = strcmp(in->root.members[i]->name, g->o->keys[k]) == 0 ? in->root.members[i] : NULL;
        }
        enum trib_attr_type type = TRIB_A_S;
        bool declared = g->o->key_types[k] != NULL && trib_attr_type_parse(trib_view_of(g->o->key_types[k]), &type);
        if (!declared && m == NULL) {
            continue;
        }
        if (!declared && m != NULL) {
            type = m->count[TRIB_A_N] > m->count[TRIB_A_S] ? TRIB_A_N : TRIB_A_S;
            type = m->count[TRIB_A_B] > m->count[type] ? TRIB_A_B : type;
        }
        struct trib_field f = {0};
        static const struct trib_inode ints = {.n_int = 1};
        const struct trib_inode *numbers = m != NULL && m->n_int + m->n_dec > 0 ? m : &ints;
        struct trib_schema_opts exact = *g->o;
        exact.numbers = exact.numbers == TRIB_NUMBERS_DOUBLE ? TRIB_NUMBERS_AUTO : exact.numbers;
        (void)decide_as(numbers, type, &exact, 0, &f);
        trib_field_set_meta(&f, "dynamodb.type", trib_attr_type_text(type));
        g->leaves++;
        g->ret->changed = true;
        (void)add_field(t, g->o->keys[k], &f, g->o, true);
    }
}

static void copy_item(struct trib_type *to, const struct trib_type *from)
{
    if (from->n_fields > 0) {
        trib_type_copy(to, from);
    } else {
        *to = trib_type_simple(TRIB_T_STRUCT);
    }
}

int trib_schema_evolve(const struct trib_type *current, const struct trib_infer *in, const struct trib_schema_opts *o,
                       bool silver, struct trib_evolved *ret, struct trib_err *err)
{
    struct trib_evolved out = {0};
    struct trib_hints hints;
    TRIB_TRY(trib_hints_build(o->hints, o->n_hints, &hints, err));
    copy_item(&out.type, current);
    bool fresh = current->n_fields == 0;
    struct grow g = {.o = o,
                     .silver = silver,
                     .ret = &out,
                     .may_add = fresh || o->evolution == TRIB_EVOLVE_WIDEN || o->evolution == TRIB_EVOLVE_ADD};
    trib_buf_init(&g.names, 1 << 20);
    g.leaves = fresh ? 0 : trib_type_leaves(current);
    add_keys(&g, &out.type, in);
    if (!o->hints_adopted) {
        declare(&g, &out.type, &hints, &in->root, true);
    }
    grow_struct(&g, &out.type, &in->root, &hints, "", true);
    trib_hints_free(&hints);
    int rc = 0;
    if (o->evolution == TRIB_EVOLVE_FAIL && !g.may_add && g.names.n > 0) {
        rc = trib_err_set(err, TRIB_E_DATA, "new fields with schema.evolution: fail: %s", g.names.p);
    }
    out.new_fields = trib_buf_take(&g.names);
    trib_buf_free(&g.names);
    if (rc != 0) {
        trib_type_free(&out.type);
        free(out.new_fields);
        return rc;
    }
    *ret = out;
    return 0;
}

static void adopt_struct(struct grow *g, struct trib_type *t, const struct trib_type *from, bool top)
{
    for (size_t i = 0; i < from->n_fields; i++) {
        const struct trib_field *b = &from->fields[i];
        struct trib_field *f = trib_item_find(t, trib_field_attr_name(b));
        if (f != NULL) {
            struct trib_type *mine = &f->type;
            const struct trib_type *theirs = &b->type;
            while (mine->id == TRIB_T_ARRAY && theirs->id == TRIB_T_ARRAY) {
                mine = &mine->fields[0].type;
                theirs = &theirs->fields[0].type;
            }
            if (mine->id == TRIB_T_STRUCT && theirs->id == TRIB_T_STRUCT) {
                adopt_struct(g, mine, theirs, false);
            }
            continue;
        }
        size_t leaves = trib_type_leaves(&b->type);
        if (g->o->max_columns > 0 && g->leaves + leaves > g->o->max_columns) {
            g->ret->over_limit++;
            continue;
        }
        struct trib_field copy;
        trib_field_copy(&copy, b);
        free(copy.name);
        char *attr = trib_strdup(trib_field_attr_name(b));
        trib_field_set_meta(&copy, "dynamodb.name", NULL);
        (void)add_field(t, attr, &copy, g->o, top);
        free(attr);
        g->leaves += leaves;
        g->ret->added += leaves;
        g->ret->changed = true;
    }
}

int trib_schema_adopt(const struct trib_type *current, const struct trib_type *bronze, const struct trib_schema_opts *o,
                      struct trib_evolved *ret, struct trib_err *err)
{
    (void)err;
    struct trib_evolved out = {0};
    copy_item(&out.type, current);
    struct grow g = {.o = o, .ret = &out, .silver = true, .may_add = true};
    g.leaves = current->n_fields == 0 ? 0 : trib_type_leaves(current);
    for (size_t k = 0; k < o->n_keys; k++) { /* keys first, so that no limit leaves them out */
        const struct trib_field *key = trib_item_find(bronze, o->keys[k]);
        if (key != NULL && trib_item_find(&out.type, o->keys[k]) == NULL) {
            struct trib_field copy;
            trib_field_copy(&copy, key);
            free(copy.name);
            trib_field_set_meta(&copy, "dynamodb.name", NULL);
            (void)add_field(&out.type, o->keys[k], &copy, o, true);
            g.leaves++;
            out.changed = true;
        }
    }
    adopt_struct(&g, &out.type, bronze, true);
    out.new_fields = trib_strdup("");
    *ret = out;
    return 0;
}

static bool hinted_type(const struct trib_type *from, const struct trib_hints *h, struct trib_type *ret);

static bool hinted_members(const struct trib_type *from, const struct trib_hints *h, struct trib_type *ret)
{
    *ret = trib_type_simple(TRIB_T_STRUCT);
    for (size_t i = 0; i < h->n_members; i++) {
        const struct trib_field *f = trib_item_find(from, h->members[i].name);
        struct trib_type type;
        if (f != NULL && hinted_type(&f->type, &h->members[i], &type)) {
            struct trib_field *to = trib_type_add_copy(ret, f);
            trib_type_free(&to->type);
            to->type = type;
        }
    }
    return ret->n_fields > 0;
}

/* The part of a type that hints asked for; false: nothing of it is as they want it. */
static bool hinted_type(const struct trib_type *from, const struct trib_hints *h, struct trib_type *ret)
{
    struct trib_type element;
    if (h->leaf) {
        if (!trib_type_same(from, &h->type)) {
            return false;
        }
        trib_type_copy(ret, from);
        return true;
    }
    if (h->element != NULL) {
        if (from->id != TRIB_T_ARRAY || !hinted_type(&from->fields[0].type, h->element, &element)) {
            return false;
        }
        *ret = trib_type_simple(TRIB_T_ARRAY);
        (void)trib_type_add(ret, from->fields[0].name, element);
        return true;
    }
    return from->id == TRIB_T_STRUCT && hinted_members(from, h, ret);
}

int trib_schema_hinted(const struct trib_type *bronze, const struct trib_schema_opts *o, struct trib_type *ret,
                       struct trib_err *err)
{
    struct trib_hints hints;
    TRIB_TRY(trib_hints_build(o->hints, o->n_hints, &hints, err));
    (void)hinted_members(bronze, &hints, ret);
    trib_hints_free(&hints);
    return 0;
}
