/*
 * DynamoDB's expressions, as far as tests need them: conditions (comparisons, BETWEEN, AND, OR, NOT, attribute_exists,
 * attribute_not_exists, begins_with) and updates (SET with values, paths, if_not_exists, + and -; REMOVE; ADD of numbers) over top-level
 * attributes. What is not modelled is refused, as a syntax error is. Pure.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "fakeaws/own.h"

struct expr {
    json_t *request, *item; /* item NULL: there is none */
    const char *at;
    char token[300];
    char *bad;
};

static void next(struct expr *e)
{
    e->at += strspn(e->at, " \t\n");
    size_t n = 0;
    if (isalnum((unsigned char)*e->at) || *e->at == '#' || *e->at == ':' || *e->at == '_') {
        n = 1;
        while (isalnum((unsigned char)e->at[n]) || e->at[n] == '_') {
            n++;
        }
    } else if (*e->at != '\0') {
        n = (*e->at == '<' && (e->at[1] == '>' || e->at[1] == '=')) || (*e->at == '>' && e->at[1] == '=') ? 2 : 1;
    }
    n = n < sizeof e->token ? n : sizeof e->token - 1;
    memcpy(e->token, e->at, n);
    e->token[n] = '\0';
    e->at += n;
}

static void fail(struct expr *e, const char *what)
{
    if (e->bad == NULL) {
        e->bad = trib_asprintf("%s; token: \"%s\"", what, e->token);
    }
}

static bool is(const struct expr *e, const char *word) { return strcasecmp(e->token, word) == 0; }
static bool accept(struct expr *e, const char *word)
{
    bool yes = is(e, word);
    if (yes) {
        next(e);
    }
    return yes;
}
static void expect(struct expr *e, const char *word)
{
    if (!accept(e, word)) {
        fail(e, "Syntax error");
    }
}

/* The attribute that the token names; its name. */
static const char *name_of(struct expr *e)
{
    const char *name = e->token;
    if (*name == '#') {
        name = fk_str(json_object_get(e->request, "ExpressionAttributeNames"), name);
        if (name == NULL) {
            fail(e, "An expression attribute name used in the document path is not defined");
        }
    } else if (!isalpha((unsigned char)*name) && *name != '_') {
        fail(e, "Syntax error");
    }
    return name == NULL ? "" : name;
}

/* A value or an attribute; NULL: the attribute is not there. */
static json_t *operand(struct expr *e)
{
    json_t *v;
    if (*e->token == ':') {
        v = json_object_get(json_object_get(e->request, "ExpressionAttributeValues"), e->token);
        size_t size;
        json_t *wrap = json_object();
        (void)json_object_set(wrap, "v", v);
        char *bad = v == NULL ? NULL : fk_item_check(wrap, &size);
        json_decref(wrap);
        if (v == NULL || bad != NULL) {
            fail(e, v == NULL ? "An expression attribute value used in expression is not defined" : bad);
        }
        free(bad);
    } else {
        v = json_object_get(e->item, name_of(e));
    }
    next(e);
    return v;
}

static bool comparable(json_t *a, json_t *b)
{
    json_t *x = NULL, *y = NULL;
    const char *p = a == NULL ? NULL : fk_type(a, &x), *q = b == NULL ? NULL : fk_type(b, &y);
    return p != NULL && q != NULL && strcmp(p, q) == 0;
}

static bool begins(json_t *a, json_t *b)
{
    const char *s = fk_str(a, "S"), *p = fk_str(b, "S");
    return s != NULL && p != NULL && strncmp(s, p, strlen(p)) == 0;
}

static bool either(struct expr *e);

static bool function(struct expr *e, bool *ret)
{
    bool exists = is(e, "attribute_exists"), not_exists = is(e, "attribute_not_exists"), prefix = is(e, "begins_with");
    if (!exists && !not_exists && !prefix) {
        return false;
    }
    next(e);
    expect(e, "(");
    json_t *a = operand(e);
    if (prefix) {
        expect(e, ",");
        *ret = begins(a, operand(e));
    } else {
        *ret = (a != NULL) == exists;
    }
    expect(e, ")");
    return true;
}

static bool compare(struct expr *e)
{
    bool yes = false;
    if (accept(e, "(")) {
        yes = either(e);
        expect(e, ")");
        return yes;
    }
    if (function(e, &yes)) {
        return yes;
    }
    json_t *a = operand(e);
    char op[4];
    (void)snprintf(op, sizeof op, "%.3s", e->token);
    if (accept(e, "BETWEEN")) {
        json_t *lo = operand(e);
        expect(e, "AND");
        json_t *hi = operand(e);
        return comparable(a, lo) && comparable(a, hi) && fk_value_cmp(a, lo) >= 0 && fk_value_cmp(a, hi) <= 0;
    }
    if (strcmp(op, "=") != 0 && strcmp(op, "<>") != 0 && strcmp(op, "<") != 0 && strcmp(op, "<=") != 0 &&
        strcmp(op, ">") != 0 && strcmp(op, ">=") != 0) {
        fail(e, "Syntax error");
        return false;
    }
    next(e);
    json_t *b = operand(e);
    if (!comparable(a, b)) {
        return strcmp(op, "<>") == 0;
    }
    int d = fk_value_cmp(a, b);
    return strcmp(op, "=") == 0    ? d == 0
           : strcmp(op, "<>") == 0 ? d != 0
           : strcmp(op, "<") == 0  ? d < 0
           : strcmp(op, "<=") == 0 ? d <= 0
           : strcmp(op, ">") == 0  ? d > 0
                                   : d >= 0;
}

static bool negated(struct expr *e)
{
    bool no = false;
    while (accept(e, "NOT")) {
        no = !no;
    }
    bool yes = compare(e);
    return no ? !yes : yes;
}

static bool both(struct expr *e)
{
    bool yes = negated(e);
    while (e->bad == NULL && accept(e, "AND")) {
        bool more = negated(e);
        yes = yes && more;
    }
    return yes;
}

static bool either(struct expr *e)
{
    bool yes = both(e);
    while (e->bad == NULL && accept(e, "OR")) {
        bool more = both(e);
        yes = yes || more;
    }
    return yes;
}

bool fk_condition(json_t *request, const char *text, json_t *item, char **ret_bad)
{
    struct expr e = {.request = request, .item = item, .at = text};
    next(&e);
    bool yes = either(&e);
    if (*e.token != '\0') {
        fail(&e, "Syntax error");
    }
    *ret_bad = e.bad;
    return e.bad == NULL && yes;
}

/* ---- updates ----------------------------------------------------------------------------------------------------- */
/* Sums of whole numbers and of short decimals: what counters and clocks need. */
static json_t *sum(struct expr *e, json_t *a, json_t *b, bool minus)
{
    const char *x = fk_str(a, "N"), *y = fk_str(b, "N");
    if (x == NULL || y == NULL || strpbrk(x, ".eE") != NULL || strpbrk(y, ".eE") != NULL || strlen(x) > 18 ||
        strlen(y) > 18) {
        fail(e, "An operand in the update expression has an incorrect data type");
        return NULL;
    }
    long long m = strtoll(x, NULL, 10), n = strtoll(y, NULL, 10);
    char *text = trib_asprintf("%lld", minus ? m - n : m + n);
    json_t *v = json_pack("{s:s}", "N", text);
    free(text);
    return v;
}

/* [out] */
static json_t *one_value(struct expr *e)
{
    if (accept(e, "if_not_exists")) {
        expect(e, "(");
        json_t *a = operand(e);
        expect(e, ",");
        json_t *b = operand(e);
        expect(e, ")");
        return json_deep_copy(a != NULL ? a : b);
    }
    json_t *v = operand(e);
    if (v == NULL) {
        fail(e, "The provided expression refers to an attribute that does not exist in the item");
    }
    return json_deep_copy(v);
}

static void set_one(struct expr *e, json_t *item)
{
    char *name = trib_strdup(name_of(e));
    next(e);
    expect(e, "=");
    json_t *v = one_value(e);
    if (e->bad == NULL && (is(e, "+") || is(e, "-"))) {
        bool minus = is(e, "-");
        next(e);
        json_t *b = one_value(e), *total = e->bad == NULL ? sum(e, v, b, minus) : NULL;
        json_decref(b);
        json_decref(v);
        v = total;
    }
    if (e->bad == NULL) {
        (void)json_object_set(item, name, v);
    }
    json_decref(v);
    free(name);
}

static void add_one(struct expr *e, json_t *item)
{
    char *name = trib_strdup(name_of(e));
    next(e);
    json_t *b = operand(e), *a = json_object_get(e->item, name);
    json_t *v = e->bad != NULL ? NULL : a == NULL ? json_deep_copy(b) : sum(e, a, b, false);
    if (e->bad == NULL) {
        (void)json_object_set(item, name, v);
    }
    json_decref(v);
    free(name);
}

char *fk_update(json_t *request, const char *text, json_t *old, json_t *item)
{
    struct expr e = {.request = request, .item = old, .at = text};
    next(&e);
    while (*e.token != '\0' && e.bad == NULL) {
        int clause = is(&e, "SET") ? 1 : is(&e, "REMOVE") ? 2 : is(&e, "ADD") ? 3 : 0;
        if (clause == 0) {
            fail(&e, "Syntax error");
            break;
        }
        next(&e);
        do {
            if (clause == 1) {
                set_one(&e, item);
            } else if (clause == 3) {
                add_one(&e, item);
            } else {
                (void)json_object_del(item, name_of(&e));
                next(&e);
            }
        } while (e.bad == NULL && accept(&e, ","));
    }
    char *bad = e.bad == NULL ? NULL : trib_asprintf("Invalid UpdateExpression: %s", e.bad);
    free(e.bad);
    return bad;
}
