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

static void add_named(struct trib_type *to, const struct trib_inode *m, struct trib_field *typed,
                      const struct trib_schema_opts *o, bool top);

/* DuckDB's Parquet reader (1.5.6) does a list's work twice for each list around it: 31 levels take an hour a row group. Below
 * this many, lists and sets stay text. */
enum { MAX_LISTS = 8 };

/* The type of a column for what was seen, inside so many lists: false when nothing seen has a type. Fills type and metadata of a
 * fresh field. */
static bool decide(const struct trib_inode *in, const struct trib_schema_opts *o, unsigned lists, struct trib_field *f);

static bool decide_map(const struct trib_inode *in, const struct trib_schema_opts *o, unsigned lists,
                       struct trib_type *ret)
{
    *ret = trib_type_simple(TRIB_T_STRUCT);
    for (size_t i = 0; i < in->n_members; i++) {
        struct trib_field f = {0};
        if (decide(in->members[i], o, lists, &f)) {
            add_named(ret, in->members[i], &f, o, false);
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

/* lists: around this one. */
static bool decide_list(const struct trib_inode *in, const struct trib_schema_opts *o, unsigned lists,
                        struct trib_field *f)
{
    const struct trib_inode *e = in->element;
    unsigned kinds = 0;
    for (int t = 0; e != NULL && t < TRIB_A_COUNT; t++) {
        kinds += t != TRIB_A_NULL && e->count[t] > 0;
    }
    if (kinds == 0) {
        return false;
    }
    struct trib_field element = {0};
    char *text;
    if (kinds > 1 || (lists + 1 >= MAX_LISTS && holds_lists(e))) {
        element.type = trib_type_simple(TRIB_T_STRING);
        text = trib_strdup("json");
    } else {
        if (!decide(e, o, lists + 1, &element)) {
            return false;
        }
        text = element_text(&element);
    }
    f->type = trib_type_simple(TRIB_T_ARRAY);
    struct trib_field *to = trib_type_add(&f->type, "element", element.type);
    (void)to;
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
    if (lists >= MAX_LISTS && (t == TRIB_A_L || t == TRIB_A_SS || t == TRIB_A_NS || t == TRIB_A_BS)) {
        return false;
    }
    switch (t) {
    case TRIB_A_S: f->type = trib_type_simple(TRIB_T_STRING); return true;
    case TRIB_A_N: f->type = number_type(in, o); return true;
    case TRIB_A_B: f->type = trib_type_simple(TRIB_T_BINARY); return true;
    case TRIB_A_BOOL: f->type = trib_type_simple(TRIB_T_BOOLEAN); return true;
    case TRIB_A_M:
        if (decide_map(in, o, lists, &f->type)) {
            return true;
        }
        f->type = trib_type_simple(TRIB_T_STRING);
        return false;
    case TRIB_A_L: return decide_list(in, o, lists, f);
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

static bool decide(const struct trib_inode *in, const struct trib_schema_opts *o, unsigned lists, struct trib_field *f)
{
    bool tried[TRIB_A_COUNT] = {false};
    for (;;) { /* the most frequent type that makes a column; ties by the order of the types */
        int best = -1;
        for (int t = 0; t < TRIB_A_COUNT; t++) {
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

static void add_named(struct trib_type *to, const struct trib_inode *m, struct trib_field *typed,
                      const struct trib_schema_opts *o, bool top)
{
    (void)add_field(to, m->name, typed, o, top);
}

size_t trib_type_leaves(const struct trib_type *t);
size_t trib_type_leaves(const struct trib_type *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n_fields; i++) {
        n += trib_type_leaves(&t->fields[i].type);
    }
    return t->n_fields == 0 ? 1 : n;
}

struct grow {
    const struct trib_schema_opts *o;
    bool silver, may_add;
    struct trib_evolved *ret;
    struct trib_buf names;
    size_t leaves;
    unsigned lists; /* around the place at hand */
};

static bool hinted(const struct trib_schema_opts *o, const char *path)
{
    for (size_t i = 0; i < o->n_hints; i++) {
        if (strcmp(o->hints[i].path, path) == 0) {
            return true;
        }
    }
    return false;
}

static void widen_leaf(struct grow *g, struct trib_type *t, const struct trib_inode *in, const char *path)
{
    bool auto_numbers = g->o->infer && g->o->numbers == TRIB_NUMBERS_AUTO;
    if (g->silver && g->o->evolution == TRIB_EVOLVE_WIDEN && auto_numbers && t->id == TRIB_T_LONG && in->n_dec > 0 &&
        !hinted(g->o, path)) {
        *t = trib_type_decimal(38, 18);
        g->ret->widened = g->ret->changed = true;
    }
}

static void grow_struct(struct grow *g, struct trib_type *t, const struct trib_inode *in, const char *path, bool top);

static void grow_type(struct grow *g, struct trib_type *t, enum trib_attr_type attr, const struct trib_inode *in,
                      const char *path)
{
    if (in->count[attr] == 0) {
        return;
    }
    if (attr == TRIB_A_N) {
        widen_leaf(g, t, in, path);
    } else if (attr == TRIB_A_NS && t->id == TRIB_T_ARRAY) {
        widen_leaf(g, &t->fields[0].type, in, path);
    } else if (attr == TRIB_A_M && t->id == TRIB_T_STRUCT) {
        grow_struct(g, t, in, path, false);
    }
}

static void grow_elements(struct grow *g, struct trib_field *f, const struct trib_inode *in, const char *path)
{
    struct trib_type *t = &f->type;
    const char *element = trib_field_meta(f, "dynamodb.element");
    while (element != NULL && t->id == TRIB_T_ARRAY && in != NULL && in->element != NULL) {
        char *below = trib_asprintf("%s.element", path);
        enum trib_attr_type attr = TRIB_A_L;
        t = &t->fields[0].type;
        in = in->element;
        g->lists++;
        if (strncmp(element, "L<", 2) != 0) {
            if (strcmp(element, "json") != 0 && trib_attr_type_parse(trib_view_of(element), &attr)) {
                grow_type(g, t, attr, in, below);
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

static void grow_list(struct grow *g, struct trib_field *f, const struct trib_inode *in, const char *path)
{
    unsigned lists = g->lists;
    grow_elements(g, f, in, path);
    g->lists = lists;
}

static void new_field(struct grow *g, struct trib_type *t, const struct trib_inode *m, const char *path, bool top)
{
    struct trib_field f = {0};
    if (!decide(m, g->o, g->lists, &f)) {
        return;
    }
    trib_schema_hint_new(&f, path, g->o);
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

static void grow_struct(struct grow *g, struct trib_type *t, const struct trib_inode *in, const char *path, bool top)
{
    for (size_t i = 0; i < in->n_members; i++) {
        const struct trib_inode *m = in->members[i];
        char *below = path[0] == '\0' ? trib_strdup(m->name) : trib_asprintf("%s.%s", path, m->name);
        struct trib_field *f = trib_item_find(t, m->name);
        if (f == NULL) {
            new_field(g, t, m, below, top);
        } else if (trib_field_attr(f) == TRIB_A_L) {
            grow_list(g, f, m, below);
        } else {
            grow_type(g, &f->type, trib_field_attr(f), m, below);
        }
        free(below);
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

static int declare_hints(struct grow *g, struct trib_type *t, struct trib_err *err);

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
    copy_item(&out.type, current);
    bool fresh = current->n_fields == 0;
    struct grow g = {.o = o,
                     .silver = silver,
                     .ret = &out,
                     .may_add = fresh || o->evolution == TRIB_EVOLVE_WIDEN || o->evolution == TRIB_EVOLVE_ADD};
    trib_buf_init(&g.names, 1 << 20);
    g.leaves = fresh ? 0 : trib_type_leaves(current);
    add_keys(&g, &out.type, in);
    int rc = declare_hints(&g, &out.type, err);
    if (rc == 0) {
        grow_struct(&g, &out.type, &in->root, "", true);
    }
    if (rc == 0 && o->evolution == TRIB_EVOLVE_FAIL && !g.may_add && g.names.n > 0) {
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

/* Hints declare columns in advance: top-level attributes and members of maps that are declared or learnt. */
static int declare_hints(struct grow *g, struct trib_type *t, struct trib_err *err)
{
    for (size_t i = 0; i < g->o->n_hints; i++) {
        const struct trib_hint *h = &g->o->hints[i];
        if (strchr(h->path, '.') != NULL || trib_item_find(t, h->path) != NULL) {
            continue;
        }
        struct trib_field f = {0};
        TRIB_TRY(trib_hint_parse(h->type, &f.type, err));
        bool text = f.type.id == TRIB_T_STRING || f.type.id == TRIB_T_DATE || f.type.id == TRIB_T_TIMESTAMP ||
                    f.type.id == TRIB_T_TIMESTAMP_NTZ;
        trib_field_set_meta(&f, "dynamodb.type",
                            text                          ? "S"
                            : f.type.id == TRIB_T_BOOLEAN ? "BOOL"
                            : f.type.id == TRIB_T_BINARY  ? "B"
                            : f.type.id == TRIB_T_STRUCT  ? "M"
                            : f.type.id == TRIB_T_ARRAY   ? "L"
                                                          : "N");
        (void)add_field(t, h->path, &f, g->o, true);
        g->leaves++;
        g->ret->changed = true;
    }
    return 0;
}

int trib_hint_parse(const char *text, struct trib_type *ret, struct trib_err *err)
{
    static const struct {
        const char *name;
        enum trib_type_id id;
    } simple[] = {{"string", TRIB_T_STRING},       {"bigint", TRIB_T_LONG},
                  {"long", TRIB_T_LONG},           {"int", TRIB_T_INT},
                  {"integer", TRIB_T_INT},         {"smallint", TRIB_T_SHORT},
                  {"tinyint", TRIB_T_BYTE},        {"double", TRIB_T_DOUBLE},
                  {"float", TRIB_T_FLOAT},         {"boolean", TRIB_T_BOOLEAN},
                  {"binary", TRIB_T_BINARY},       {"date", TRIB_T_DATE},
                  {"timestamp", TRIB_T_TIMESTAMP}, {"timestamp_ntz", TRIB_T_TIMESTAMP_NTZ}};
    for (size_t i = 0; i < sizeof simple / sizeof simple[0]; i++) {
        if (strcasecmp(text, simple[i].name) == 0) {
            *ret = trib_type_simple(simple[i].id);
            return 0;
        }
    }
    unsigned p = 0, s = 0;
    int used = 0;
    if (sscanf(text, "decimal ( %u , %u )%n", &p, &s, &used) == 2 && used > 0 && text[used] == '\0' && p >= 1 &&
        p <= 38 && s <= p) {
        *ret = trib_type_decimal(p, s);
        return 0;
    }
    return trib_err_set(
        err, TRIB_E_CONFIG,
        "hint type '%s' is not one of string, bigint, int, smallint, tinyint, double, float, decimal(p,s), boolean, binary, date, timestamp",
        text);
}
