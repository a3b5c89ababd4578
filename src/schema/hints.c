/*
 * Hints (schema.h): their types in Spark's spelling, their paths, and the tree that both make. Pure.
 *
 * `{address: "struct<zip:string>"}` and `{address.zip: string}` are the same tree. A node is one of three: a leaf with a scalar type,
 * a map with hinted members, a list or set with a hinted element.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "schema/own.h"

enum { HINT_DEPTH = 32 }; /* DynamoDB's own limit */

void trib_hints_free(struct trib_hints *h)
{
    if (h == NULL) {
        return;
    }
    for (size_t i = 0; i < h->n_members; i++) {
        trib_hints_free(&h->members[i]);
    }
    if (h->element != NULL) {
        trib_hints_free(h->element);
        free(h->element);
    }
    free(h->members);
    free(h->name);
    *h = (struct trib_hints){0};
}

const struct trib_hints *trib_hints_member(const struct trib_hints *h, const char *name)
{
    for (size_t i = 0; h != NULL && i < h->n_members; i++) {
        if (strcmp(h->members[i].name, name) == 0) {
            return &h->members[i];
        }
    }
    return NULL;
}

/* ---- types ---------------------------------------------------------------------------------------------------------- */

struct text {
    const char *whole, *p;
    struct trib_err *err;
};

static int not_a_type(const struct text *t)
{
    bool part = t->p > t->whole && t->p[0] != '\0'; /* else there is nothing to point at but the whole */
    return trib_err_set(
        t->err, TRIB_E_CONFIG,
        "hint type '%s' is not one of string, bigint, int, smallint, tinyint, double, float, decimal(p,s), boolean, binary, date, timestamp, timestamp_ntz, array<type>, struct<name:type,...>%s%.20s%s",
        t->whole, part ? " (at '" : "", part ? t->p : "", part ? "')" : "");
}

static void blanks(struct text *t) { t->p += strspn(t->p, " \t"); }

static bool take(struct text *t, char c)
{
    blanks(t);
    if (*t->p != c) {
        return false;
    }
    t->p++;
    blanks(t);
    return true;
}

static bool number(struct text *t, unsigned *ret)
{
    blanks(t);
    size_t n = strspn(t->p, "0123456789");
    if (n == 0 || n > 2) {
        return false;
    }
    *ret = (unsigned)strtoul(t->p, NULL, 10);
    t->p += n;
    return true;
}

static int decimal(struct text *t, struct trib_type *ret)
{
    unsigned p = 0, s = 0;
    if (!take(t, '(') || !number(t, &p) || !take(t, ',') || !number(t, &s) || !take(t, ')') || p < 1 || p > 38 ||
        s > p) {
        return not_a_type(t);
    }
    *ret = trib_type_decimal(p, s);
    return 0;
}

/* A name: up to one of `stops`, or in backticks, where a doubled one stands for itself. [out] free(); NULL when it is none */
static char *name(const char **p, const char *stops)
{
    struct trib_buf b;
    trib_buf_init(&b, (size_t)1 << 20);
    bool good;
    if (**p == '`') {
        for ((*p)++; **p != '\0' && (**p != '`' || (*p)[1] == '`'); (*p)++) {
            *p += **p == '`';
            trib_buf_addc(&b, **p);
        }
        good = **p == '`';
        *p += good;
    } else {
        size_t n = strcspn(*p, stops);
        good = n > 0;
        trib_buf_add(&b, *p, n);
        *p += n;
    }
    if (!good) {
        trib_buf_free(&b);
        return NULL;
    }
    trib_buf_adds(&b, "");
    return trib_buf_take(&b);
}

static int parse_type(struct text *t, unsigned depth, struct trib_type *ret);

static int parse_members(struct text *t, unsigned depth, struct trib_type *to)
{
    do {
        blanks(t);
        TRIB_CLEANUP(trib_cleanup_free) char *member = name(&t->p, ":,<>` \t");
        struct trib_type type;
        if (member == NULL || !take(t, ':')) {
            return not_a_type(t);
        }
        if (trib_type_find(to, member) != NULL) {
            return trib_err_set(t->err, TRIB_E_CONFIG, "hint type '%s' has the member %s twice", t->whole, member);
        }
        TRIB_TRY(parse_type(t, depth, &type));
        (void)trib_type_add(to, member, type);
    } while (take(t, ','));
    return take(t, '>') ? 0 : not_a_type(t);
}

static int parse_nested(struct text *t, bool list, unsigned depth, struct trib_type *ret)
{
    struct trib_type type = trib_type_simple(list ? TRIB_T_ARRAY : TRIB_T_STRUCT), element;
    int rc = depth == 0 || !take(t, '<') ? not_a_type(t) : 0;
    if (rc == 0 && list) {
        rc = parse_type(t, depth - 1, &element);
        if (rc == 0) {
            (void)trib_type_add(&type, "element", element);
            rc = take(t, '>') ? 0 : not_a_type(t);
        }
    } else if (rc == 0) {
        rc = parse_members(t, depth - 1, &type);
    }
    if (rc != 0) {
        trib_type_free(&type);
        return rc;
    }
    *ret = type;
    return 0;
}

static int parse_type(struct text *t, unsigned depth, struct trib_type *ret)
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
    blanks(t);
    const char *start = t->p;
    size_t n = 0;
    while (isalpha((unsigned char)start[n]) || start[n] == '_') {
        n++;
    }
    bool is_decimal = n == 7 && strncasecmp(start, "decimal", n) == 0;
    bool is_array = n == 5 && strncasecmp(start, "array", n) == 0;
    if (is_decimal || is_array || (n == 6 && strncasecmp(start, "struct", n) == 0)) {
        t->p += n;
        return is_decimal ? decimal(t, ret) : parse_nested(t, is_array, depth, ret);
    }
    for (size_t i = 0; i < sizeof simple / sizeof simple[0]; i++) {
        if (strlen(simple[i].name) == n && strncasecmp(start, simple[i].name, n) == 0) {
            t->p += n;
            blanks(t);
            *ret = trib_type_simple(simple[i].id);
            return 0;
        }
    }
    return not_a_type(t);
}

int trib_hint_parse(const char *text, struct trib_type *ret, struct trib_err *err)
{
    struct text t = {text, text, err};
    struct trib_type type;
    TRIB_TRY(parse_type(&t, HINT_DEPTH, &type));
    if (*t.p != '\0') {
        trib_type_free(&type);
        return not_a_type(&t);
    }
    *ret = type;
    return 0;
}

/* ---- the tree --------------------------------------------------------------------------------------------------------- */

static bool is_empty(const struct trib_hints *h) { return !h->leaf && h->n_members == 0 && h->element == NULL; }

/* NULL: the node is another kind already. */
static struct trib_hints *member_of(struct trib_hints *h, const char *attr)
{
    if (h->leaf || h->element != NULL) {
        return NULL;
    }
    struct trib_hints *found = (struct trib_hints *)(uintptr_t)trib_hints_member(h, attr);
    if (found == NULL) {
        TRIB_GROW(h->members, h->cap_members, h->n_members + 1);
        found = &h->members[h->n_members++];
        *found = (struct trib_hints){.name = trib_strdup(attr)};
    }
    return found;
}

static struct trib_hints *element_of(struct trib_hints *h)
{
    if (h->leaf || h->n_members > 0) {
        return NULL;
    }
    if (h->element == NULL) {
        h->element = trib_calloc(1, sizeof *h->element);
    }
    return h->element;
}

/* false: it contradicts what another hint said. */
static bool apply(struct trib_hints *h, const struct trib_type *t)
{
    if (h == NULL) {
        return false;
    }
    if (t->id == TRIB_T_ARRAY) {
        return apply(element_of(h), &t->fields[0].type);
    }
    bool good = true;
    for (size_t i = 0; t->id == TRIB_T_STRUCT && i < t->n_fields && good; i++) {
        good = apply(member_of(h, t->fields[i].name), &t->fields[i].type);
    }
    if (t->id == TRIB_T_STRUCT || !good) {
        return good;
    }
    if (!is_empty(h)) {
        return false;
    }
    h->leaf = true;
    h->type = *t; /* scalars own nothing */
    return true;
}

static int add(struct trib_hints *root, const struct trib_hint *hint, struct trib_err *err)
{
    struct trib_type type;
    TRIB_TRY(trib_hint_parse(hint->type, &type, err));
    struct trib_hints *at = root;
    const char *p = hint->path;
    bool good = *p != '\0';
    for (unsigned depth = 0; good && at != NULL; depth++) {
        bool plain = *p != '`';
        TRIB_CLEANUP(trib_cleanup_free) char *part = name(&p, ".`");
        good = part != NULL && depth < HINT_DEPTH && (*p == '\0' || (*p == '.' && p[1] != '\0'));
        if (good) {
            at = plain && depth > 0 && strcmp(part, "element") == 0 ? element_of(at) : member_of(at, part);
        }
        if (*p == '\0') {
            break;
        }
        p++;
    }
    int rc = 0;
    if (!good) {
        rc = trib_err_set(
            err, TRIB_E_CONFIG,
            "'%s' is no path of a hint: names joined by dots, `element` for what is in a list; a name with a dot stands in backticks",
            hint->path);
    } else if (!apply(at, &type)) {
        rc = trib_err_set(err, TRIB_E_CONFIG, "the hint '%s' contradicts another one for the same place", hint->path);
    }
    trib_type_free(&type);
    return rc;
}

static bool too_deep(const struct trib_hints *h, unsigned lists)
{
    bool found = lists > TRIB_ITEM_LISTS || (h->element != NULL && too_deep(h->element, lists + 1));
    for (size_t i = 0; i < h->n_members && !found; i++) {
        found = too_deep(&h->members[i], lists);
    }
    return found;
}

int trib_hints_build(const struct trib_hint *hints, size_t n, struct trib_hints *ret, struct trib_err *err)
{
    struct trib_hints root = {0};
    for (size_t i = 0; i < n; i++) {
        int rc = add(&root, &hints[i], err);
        if (rc == 0 && too_deep(&root, 0)) {
            rc = trib_err_set(err, TRIB_E_CONFIG, "the hint '%s' has more than %d lists in each other", hints[i].path,
                              (int)TRIB_ITEM_LISTS);
        }
        if (rc != 0) {
            trib_hints_free(&root);
            return rc;
        }
    }
    *ret = root;
    return 0;
}

int trib_hints_check(const struct trib_hint *hints, size_t n, struct trib_err *err)
{
    struct trib_hints root;
    TRIB_TRY(trib_hints_build(hints, n, &root, err));
    trib_hints_free(&root);
    return 0;
}

bool trib_hinted(const struct trib_schema_opts *o, const char *attribute)
{
    struct trib_hints root;
    struct trib_err err;
    if (trib_hints_build(o->hints, o->n_hints, &root, &err) != 0) {
        return false;
    }
    bool found = trib_hints_member(&root, attribute) != NULL;
    trib_hints_free(&root);
    return found;
}

/* ---- columns that are there ------------------------------------------------------------------------------------------- */

static bool apply_to_members(struct trib_type *t, const struct trib_hints *h, const struct trib_schema_opts *o,
                             bool top);

/* A bigint leaf that a hint calls a decimal becomes it, so that numbers with a fraction, rescued until then, have their column
 * (interface.md: new hints apply from then on); other types stay, their values stand in files. */
static bool apply_to(struct trib_type *t, const struct trib_hints *h, const struct trib_schema_opts *o)
{
    if (h->leaf && t->id == TRIB_T_LONG && h->type.id == TRIB_T_DECIMAL) {
        *t = h->type;
        return true;
    }
    if (h->element != NULL && t->id == TRIB_T_ARRAY) {
        return apply_to(&t->fields[0].type, h->element, o);
    }
    return t->id == TRIB_T_STRUCT && apply_to_members(t, h, o, false);
}

static bool apply_to_members(struct trib_type *t, const struct trib_hints *h, const struct trib_schema_opts *o,
                             bool top)
{
    bool changed = false;
    for (size_t i = 0; i < h->n_members; i++) {
        struct trib_field *f = trib_item_find(t, h->members[i].name);
        bool key = false;
        for (size_t k = 0; top && k < o->n_keys; k++) {
            key = key || strcmp(o->keys[k], h->members[i].name) == 0;
        }
        changed = (f != NULL && !key && apply_to(&f->type, &h->members[i], o)) || changed;
    }
    return changed;
}

bool trib_schema_apply_hints(struct trib_type *item, const struct trib_schema_opts *o)
{
    struct trib_hints root;
    struct trib_err ignored; /* the config was checked */
    if (o->n_hints == 0 || trib_hints_build(o->hints, o->n_hints, &root, &ignored) != 0) {
        return false;
    }
    bool changed = apply_to_members(item, &root, o, true);
    trib_hints_free(&root);
    return changed;
}
