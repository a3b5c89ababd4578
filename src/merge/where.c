/*
 * `where` over the decoded item (merge.md, Several Silver tables): attributes are given to the expression with the type that
 * it uses them as: text beside text, DECIMAL(38,18) (else DOUBLE) beside numbers. An attribute that is not there, or
 * has another type, is NULL. Only where the expression does not tell a type (x IS NOT NULL) the learnt one is taken, its numbers
 * as DECIMAL(38,18) too, so that what fits the column of the day decides nothing. A hinted attribute has its hint's type always.
 *
 * The expression becomes a macro of the attributes that it names; the attributes come from a conversion to an item schema
 * that holds just them, so they are read exactly, rescued or not. Errors while evaluating are NULL: not satisfied.
 */
#include <jansson.h>
#include <stdlib.h>

#include "merge/own.h"

struct trib_where {
    char *macro;
    struct trib_convert *exact, *text; /* numbers as DECIMAL(38,18), and as text for the DOUBLE fallback */
    struct trib_type exact_type, text_type;
    bool numbers;
};

enum use { USE_ANY, USE_S, USE_N, USE_BOOL };

struct walk {
    struct trib_type *type; /* the item schema that grows */
    const struct trib_type *item;
    const struct trib_type *hinted; /* what of item is as hints want it */
};

/* On numbers that become DOUBLE where they misfit their decimal; no name of an attribute's metadata in tables. */
static const char EXACT[] = "where.exact";

static enum use literal_use(json_t *node)
{
    const char *cls = json_string_value(json_object_get(node, "class"));
    if (cls == NULL || strcmp(cls, "CONSTANT") != 0) {
        return USE_ANY;
    }
    const char *id = json_string_value(json_object_get(json_object_get(json_object_get(node, "value"), "type"), "id"));
    if (id == NULL || strcmp(id, "NULL") == 0) {
        return USE_ANY;
    }
    return strcmp(id, "VARCHAR") == 0 ? USE_S : strcmp(id, "BOOLEAN") == 0 ? USE_BOOL : USE_N;
}

static bool one_of(const char *name, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (strcmp(name, *names) == 0) {
            return true;
        }
    }
    return false;
}

static enum use function_use(const char *name)
{
    static const char *const arithmetic[] = {"+", "-",   "*",     "/",     "%",    "//", "**",
                                             "^", "abs", "round", "floor", "ceil", NULL};
    static const char *const text[] = {
        "~~",          "!~~",       "~~*",      "!~~*",   "||",      "lower",          "upper",
        "starts_with", "ends_with", "contains", "prefix", "suffix",  "regexp_matches", "substring",
        "substr",      "trim",      "strlen",   "length", "replace", "split_part",     NULL};
    return name == NULL ? USE_ANY : one_of(name, arithmetic) ? USE_N : one_of(name, text) ? USE_S : USE_ANY;
}

static bool is_exact(const struct trib_field *f) { return trib_field_meta(f, EXACT) != NULL; }

/* bigint is what was learnt so far: the next number may be none. */
static void widen_numbers(struct trib_type *t)
{
    for (size_t i = 0; i < t->n_fields; i++) {
        if (t->fields[i].type.id == TRIB_T_LONG) {
            t->fields[i].type = trib_type_decimal(38, 18);
        } else {
            widen_numbers(&t->fields[i].type);
        }
    }
}

static void set_leaf(struct trib_field *f, enum use use, const struct trib_field *learnt, bool hinted)
{
    const char *learnt_as = learnt == NULL ? NULL : trib_field_meta(learnt, "dynamodb.type");
    if (use == USE_ANY && !hinted && learnt_as != NULL && strcmp(learnt_as, "N") == 0) {
        use = USE_N;
    }
    trib_type_free(&f->type);
    trib_field_set_meta(f, EXACT, NULL);
    if (learnt != NULL && (hinted || use == USE_ANY)) {
        trib_type_copy(&f->type, &learnt->type);
        if (!hinted) {
            widen_numbers(&f->type);
        }
        trib_field_set_meta(f, "dynamodb.type", learnt_as);
        trib_field_set_meta(f, "dynamodb.element", trib_field_meta(learnt, "dynamodb.element"));
        return;
    }
    f->type =
        use == USE_N ? trib_type_decimal(38, 18) : trib_type_simple(use == USE_BOOL ? TRIB_T_BOOLEAN : TRIB_T_STRING);
    trib_field_set_meta(f, "dynamodb.type", use == USE_N ? "N" : use == USE_BOOL ? "BOOL" : "S");
    trib_field_set_meta(f, EXACT, use == USE_N ? "yes" : NULL);
}

static void column(struct walk *w, json_t *node, enum use use)
{
    json_t *names = json_object_get(node, "column_names");
    struct trib_type *at = w->type;
    const struct trib_type *learnt_at = w->item, *hinted_at = w->hinted;
    size_t n = json_array_size(names);
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        const struct trib_field *learnt = learnt_at == NULL ? NULL : trib_item_find(learnt_at, name);
        const struct trib_field *hinted = hinted_at == NULL ? NULL : trib_item_find(hinted_at, name);
        struct trib_field *f = trib_type_find(at, name);
        bool leaf = i + 1 == n;
        if (f == NULL) {
            f = trib_type_add(at, name, trib_type_simple(TRIB_T_STRUCT));
            if (leaf) {
                set_leaf(f, use, learnt, hinted != NULL);
            } else {
                trib_field_set_meta(f, "dynamodb.type", "M");
            }
        } else if (leaf && use != USE_ANY && f->type.id != TRIB_T_STRUCT) {
            set_leaf(f, use, learnt, hinted != NULL);
        }
        if (f->type.id != TRIB_T_STRUCT) {
            return;
        }
        at = &f->type;
        learnt_at = learnt != NULL && learnt->type.id == TRIB_T_STRUCT ? &learnt->type : NULL;
        hinted_at = hinted != NULL && hinted->type.id == TRIB_T_STRUCT ? &hinted->type : NULL;
    }
}

static void walk_node(struct walk *w, json_t *node, enum use use);

/* Every node below this one; column references directly below take `use`. */
static void walk_children(struct walk *w, json_t *node, enum use use)
{
    const char *key;
    json_t *child;
    json_object_foreach(node, key, child)
    {
        if (json_is_object(child)) {
            walk_node(w, child, use);
        } else if (json_is_array(child)) {
            size_t i;
            json_t *e;
            json_array_foreach(child, i, e) { walk_node(w, e, use); }
        }
    }
}

static enum use siblings_use(json_t *node)
{
    static const char *const sides[] = {"left", "right", "input", "lower", "upper"};
    for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
        enum use u = literal_use(json_object_get(node, sides[i]));
        if (u != USE_ANY) {
            return u;
        }
    }
    size_t i;
    json_t *e;
    json_array_foreach(json_object_get(node, "children"), i, e)
    {
        enum use u = literal_use(e);
        if (u != USE_ANY) {
            return u;
        }
    }
    return USE_ANY;
}

static void walk_node(struct walk *w, json_t *node, enum use use)
{
    const char *cls = json_string_value(json_object_get(node, "class"));
    if (cls != NULL && strcmp(cls, "COLUMN_REF") == 0) {
        column(w, node, use);
        return;
    }
    enum use below = USE_ANY;
    if (cls != NULL && strcmp(cls, "FUNCTION") == 0) {
        below = function_use(json_string_value(json_object_get(node, "function_name")));
    } else if (cls != NULL && strcmp(cls, "CONJUNCTION") == 0) {
        below = USE_BOOL;
    }
    if (below == USE_ANY && cls != NULL && strcmp(cls, "CAST") != 0) {
        below = siblings_use(node);
    }
    walk_children(w, node, below);
}

static int parse(struct trib_conn *c, const char *expr, json_t **ret, struct trib_err *err)
{
    struct trib_buf select, sql;
    trib_buf_init(&select, 1 << 20);
    trib_buf_init(&sql, 1 << 21);
    trib_buf_addf(&select, "SELECT (%s)", expr);
    trib_buf_adds(&sql, "SELECT json_serialize_sql(");
    trib_sql_literal(&sql, trib_buf_view(&select));
    trib_buf_adds(&sql, ")");
    struct trib_result *res = NULL;
    const struct trib_chunk *chunk = NULL;
    int rc = trib_query(c, sql.p, &res, err);
    if (rc == 0 && (rc = trib_result_next(res, &chunk, err)) == 0) {
        struct trib_view text = trib_str_view(&((const struct trib_str *)chunk->cols[0].data)[0]);
        *ret = json_loadb(text.p, text.n, JSON_DECODE_INT_AS_REAL, NULL);
        if (*ret == NULL || json_is_true(json_object_get(*ret, "error")) ||
            json_array_size(json_object_get(*ret, "statements")) != 1) {
            const char *why = json_string_value(json_object_get(*ret, "error_message"));
            rc = trib_err_set(err, TRIB_E_CONFIG, "where: %s is not an SQL expression: %s", expr,
                              why != NULL ? why : "cannot be parsed");
            json_decref(*ret);
            *ret = NULL;
        }
    }
    trib_result_free(res);
    trib_buf_free(&select);
    trib_buf_free(&sql);
    return rc;
}

static void numbers_as_text(struct trib_type *t, bool *found)
{
    for (size_t i = 0; i < t->n_fields; i++) {
        if (is_exact(&t->fields[i])) {
            t->fields[i].type = trib_type_simple(TRIB_T_STRING);
            *found = true;
        } else {
            numbers_as_text(&t->fields[i].type, found);
        }
    }
}

static int make_macro(struct trib_conn *c, const struct trib_where *w, const char *expr, struct trib_err *err)
{
    struct trib_buf sql;
    trib_buf_init(&sql, 1 << 20);
    trib_buf_addf(&sql, "CREATE OR REPLACE TEMP MACRO %s(", w->macro);
    for (size_t i = 0; i < w->exact_type.n_fields; i++) {
        trib_buf_adds(&sql, i > 0 ? ", " : "");
        trib_sql_ident(&sql, w->exact_type.fields[i].name);
    }
    trib_buf_addf(&sql, ") AS (TRY(CAST((%s) AS BOOLEAN)))", expr);
    int rc = trib_exec_buf(c, &sql, err);
    trib_buf_free(&sql);
    return rc;
}

int trib_where_new(struct trib_conn *c, const char *prefix, const char *expr, const struct trib_type *item,
                   const struct trib_schema_opts *o, struct trib_where **ret, struct trib_err *err)
{
    json_t *tree = NULL;
    struct trib_type hinted;
    TRIB_TRY(parse(c, expr, &tree, err));
    int rc = trib_schema_hinted(item, o, &hinted, err);
    if (rc != 0) {
        json_decref(tree);
        return rc;
    }
    struct trib_where *w = trib_calloc(1, sizeof *w);
    w->exact_type = trib_type_simple(TRIB_T_STRUCT);
    struct walk walk = {.type = &w->exact_type, .item = item, .hinted = &hinted};
    json_t *list =
        json_object_get(json_object_get(json_array_get(json_object_get(tree, "statements"), 0), "node"), "select_list");
    walk_node(&walk, json_array_get(list, 0), USE_BOOL);
    json_decref(tree);
    trib_type_free(&hinted);
    trib_type_copy(&w->text_type, &w->exact_type);
    numbers_as_text(&w->text_type, &w->numbers);
    w->macro = trib_asprintf("%s_is", prefix);

    struct trib_schema_opts plain = *o;
    plain.keys = NULL;
    plain.n_keys = 0;
    plain.hints = NULL;
    plain.n_hints = 0;
    plain.max_columns = 0;
    char *exact = trib_asprintf("%s_x", prefix), *text = trib_asprintf("%s_t", prefix);
    rc = trib_convert_new(c, exact, item, &w->exact_type, &plain, &w->exact, err);
    if (rc == 0 && w->numbers) {
        rc = trib_convert_new(c, text, item, &w->text_type, &plain, &w->text, err);
    }
    free(exact);
    free(text);
    if (rc == 0) {
        rc = make_macro(c, w, expr, err);
    }
    if (rc != 0) {
        trib_where_free(w);
        return rc;
    }
    *ret = w;
    return 0;
}

void trib_where_free(struct trib_where *w)
{
    if (w == NULL) {
        return;
    }
    free(w->macro);
    trib_convert_free(w->exact);
    trib_convert_free(w->text);
    trib_type_free(&w->exact_type);
    trib_type_free(&w->text_type);
    free(w);
}

bool trib_where_is(const struct trib_where *w, const struct trib_type *item)
{
    return w != NULL && trib_convert_is(w->exact, item, &w->exact_type);
}

static void arguments(const struct trib_where *w, struct trib_view exact, struct trib_view text, bool doubles,
                      struct trib_buf *sql)
{
    trib_buf_addf(sql, "%s(", w->macro);
    for (size_t i = 0; i < w->exact_type.n_fields; i++) {
        const struct trib_field *f = &w->exact_type.fields[i];
        bool as_double = doubles && is_exact(f);
        struct trib_view from = as_double ? text : exact;
        trib_buf_adds(sql, i > 0 ? ", " : "");
        trib_buf_addf(sql, "%s(%.*s).", as_double ? "TRY_CAST(" : "", (int)from.n, from.p);
        trib_sql_ident(sql, f->name);
        trib_buf_adds(sql, as_double ? " AS DOUBLE)" : "");
    }
    trib_buf_adds(sql, ")");
}

void trib_where_sql(const struct trib_where *w, const char *item, const char *rescued, struct trib_buf *sql)
{
    struct trib_buf exact, text;
    trib_buf_init(&exact, TRIB_SQL_MAX);
    trib_buf_init(&text, TRIB_SQL_MAX);
    trib_convert_sql(w->exact, item, rescued, TRIB_CONVERT_SOME, &exact);
    trib_buf_adds(sql, "coalesce(");
    if (w->numbers) {
        trib_convert_sql(w->text, item, rescued, TRIB_CONVERT_SOME, &text);
        trib_buf_adds(sql, "CASE WHEN true");
        for (size_t i = 0; i < w->exact_type.n_fields; i++) {
            if (is_exact(&w->exact_type.fields[i])) {
                for (int k = 0; k < 2; k++) {
                    trib_buf_addf(sql, "%s(%s).", k == 0 ? " AND ((" : " OR (", k == 0 ? exact.p : text.p);
                    trib_sql_ident(sql, w->exact_type.fields[i].name);
                    trib_buf_adds(sql, k == 0 ? ") IS NOT NULL" : ") IS NULL)");
                }
            }
        }
        trib_buf_adds(sql, " THEN ");
        arguments(w, trib_buf_view(&exact), trib_buf_view(&text), false, sql);
        trib_buf_adds(sql, " ELSE ");
        arguments(w, trib_buf_view(&exact), trib_buf_view(&text), true, sql);
        trib_buf_adds(sql, " END");
    } else {
        arguments(w, trib_buf_view(&exact), trib_buf_view(&text), false, sql);
    }
    trib_buf_adds(sql, ", false)");
    trib_buf_free(&exact);
    trib_buf_free(&text);
}
