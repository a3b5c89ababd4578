/*
 * Conversion between item schemas (convert.h). Owns the functions' contexts; they must outlive the queries, so a converter
 * is freed only after its connection's statements are done. Nothing here writes anything durable.
 */
#include "merge/convert.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    ITEM_TEXT_MAX = 16 << 20, /* an item has at most 400 KB; its JSON text at most a few MB */
    /* In a branch of CASE the engine slices the whole struct once for each member that is taken out of it: the square of its
     * width (4,000 attributes: 28 s for 100 rows). Wider ones are decoded, every row of them. */
    MAX_BRANCH_FIELDS = 500
};

struct trib_convert {
    char *encode_name, *decode_name;
    struct trib_type from, to;
    struct trib_type encode_args, decode_args, decode_result;
    struct trib_schema_opts opts; /* hints, keys and reserved are borrowed from the stage's options */
};

void trib_item_fields(const struct trib_type *table, struct trib_type *ret)
{
    *ret = trib_type_simple(TRIB_T_STRUCT);
    for (size_t i = 0; i < table->n_fields; i++) {
        if (trib_field_attribute(&table->fields[i]) != NULL) {
            (void)trib_type_add_copy(ret, &table->fields[i]);
        }
    }
}

/* How a value of `from` gets into a column of `to`. */
enum fit { FIT_NO, FIT_SAME, FIT_WIDER };

static bool same_meta(const struct trib_field *a, const struct trib_field *b, const char *key)
{
    const char *x = trib_field_meta(a, key), *y = trib_field_meta(b, key);
    return x == NULL ? y == NULL : y != NULL && strcmp(x, y) == 0;
}

static enum fit fit_type(const struct trib_type *from, const struct trib_type *to);

/* Members are cast by name, so the column names must agree as well as the attributes. */
static enum fit fit_members(const struct trib_type *from, const struct trib_type *to)
{
    enum fit result = from->n_fields == to->n_fields ? FIT_SAME : FIT_WIDER;
    for (size_t i = 0; i < from->n_fields; i++) {
        const struct trib_field *f = &from->fields[i], *t = trib_type_find(to, f->name);
        if (t == NULL || !same_meta(f, t, "dynamodb.type") || !same_meta(f, t, "dynamodb.name") ||
            !same_meta(f, t, "dynamodb.element")) {
            return FIT_NO;
        }
        enum fit fit = fit_type(&f->type, &t->type);
        if (fit == FIT_NO) {
            return FIT_NO;
        }
        if (fit == FIT_WIDER) {
            result = FIT_WIDER;
        }
    }
    return result;
}

static enum fit fit_type(const struct trib_type *from, const struct trib_type *to)
{
    if (from->id == TRIB_T_LONG && to->id == TRIB_T_DECIMAL) {
        return to->precision == 38 && to->scale == 18 ? FIT_WIDER : FIT_NO;
    }
    if (from->id != to->id) {
        return FIT_NO;
    }
    switch (from->id) {
    case TRIB_T_DECIMAL: return from->precision == to->precision && from->scale == to->scale ? FIT_SAME : FIT_NO;
    case TRIB_T_STRUCT: return fit_members(from, to);
    case TRIB_T_ARRAY: return fit_type(&from->fields[0].type, &to->fields[0].type);
    default: return FIT_SAME;
    }
}

static enum fit fit_field(const struct trib_field *from, const struct trib_field *to)
{
    if (!same_meta(from, to, "dynamodb.type") || !same_meta(from, to, "dynamodb.element")) {
        return FIT_NO;
    }
    return fit_type(&from->type, &to->type);
}

static void write_text(struct trib_vec *out, size_t row, struct trib_arena *arena, struct trib_view text)
{
    const char *copy =
        text.n > sizeof((struct trib_str){0}).u.near.bytes ? trib_arena_strndup(arena, text.p, text.n) : text.p;
    ((struct trib_str *)out->data)[row] = trib_str_make(copy, text.n);
}

static struct trib_view read_text(const struct trib_vec *v, size_t row)
{
    return trib_vec_is_null(v, row) ? (struct trib_view){NULL, 0}
                                    : trib_str_view(&((const struct trib_str *)v->data)[row]);
}

static int encode_call(void *ctx, void *state, const struct trib_vec *args, size_t n, struct trib_vec *out,
                       struct trib_arena *arena, struct trib_err *err)
{
    struct trib_convert *v = ctx;
    (void)state;
    struct trib_buf text;
    trib_buf_init(&text, ITEM_TEXT_MAX);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        bool no_item = trib_vec_is_null(&args[0], i);
        struct trib_view rescued = read_text(&args[1], i);
        if (no_item && rescued.p == NULL) {
            trib_vec_null(out, i);
            continue;
        }
        trib_buf_clear(&text);
        rc = trib_encode_item(&v->from, args[0].children, i, rescued, &text, err);
        if (rc == 0) {
            rc = trib_buf_check(&text, "item", err);
        }
        if (rc == 0) {
            write_text(out, i, arena, trib_buf_view(&text));
        }
    }
    trib_buf_free(&text);
    return rc;
}

struct decode_state {
    struct trib_decoder *decoder;
    struct trib_buf rescued;
};

static void *decode_make_state(void *ctx)
{
    struct trib_convert *v = ctx;
    struct decode_state *s = trib_calloc(1, sizeof *s);
    s->decoder = trib_decoder_new(&v->to, &v->opts);
    trib_buf_init(&s->rescued, ITEM_TEXT_MAX);
    return s;
}

static void decode_free_state(void *state)
{
    struct decode_state *s = state;
    trib_decoder_free(s->decoder);
    trib_buf_free(&s->rescued);
    free(s);
}

static int decode_call(void *ctx, void *state, const struct trib_vec *args, size_t n, struct trib_vec *out,
                       struct trib_arena *arena, struct trib_err *err)
{
    struct trib_convert *v = ctx;
    struct decode_state *s = state;
    for (size_t i = 0; i < n; i++) {
        struct trib_view text = read_text(&args[0], i);
        if (text.p == NULL) {
            trib_vec_null(out, i);
            continue;
        }
        struct trib_item_result result;
        TRIB_TRY(trib_decode_item(s->decoder, text, 0, out->children, i, arena, &s->rescued, &result, err));
        struct trib_vec *rescued = &out->children[v->to.n_fields];
        if (s->rescued.n > 0) {
            write_text(rescued, i, arena, trib_buf_view(&s->rescued));
        } else {
            trib_vec_null(rescued, i);
        }
    }
    return 0;
}

int trib_convert_new(struct trib_conn *c, const char *prefix, const struct trib_type *from, const struct trib_type *to,
                     const struct trib_schema_opts *o, struct trib_convert **ret, struct trib_err *err)
{
    struct trib_convert *v = trib_calloc(1, sizeof *v);
    v->encode_name = trib_asprintf("%s_encode", prefix);
    v->decode_name = trib_asprintf("%s_decode", prefix);
    v->opts = *o;
    trib_type_copy(&v->from, from);
    trib_type_copy(&v->to, to);
    v->encode_args = trib_type_simple(TRIB_T_STRUCT);
    struct trib_type item;
    trib_type_copy(&item, from);
    (void)trib_type_add(&v->encode_args, "item", item);
    (void)trib_type_add(&v->encode_args, "rescued", trib_type_simple(TRIB_T_STRING));
    v->decode_args = trib_type_simple(TRIB_T_STRUCT);
    (void)trib_type_add(&v->decode_args, "text", trib_type_simple(TRIB_T_STRING));
    trib_type_copy(&v->decode_result, to);
    (void)trib_type_add(&v->decode_result, "_rescued_data", trib_type_simple(TRIB_T_STRING));

    static const struct trib_type text = {.id = TRIB_T_STRING};
    int rc = 0;
    if (from->n_fields > 0) {
        struct trib_function encode = {
            .name = v->encode_name, .args = &v->encode_args, .result = &text, .call = encode_call, .ctx = v};
        rc = trib_function_register(c, &encode, err);
    }
    struct trib_function decode = {.name = v->decode_name,
                                   .args = &v->decode_args,
                                   .result = &v->decode_result,
                                   .call = decode_call,
                                   .ctx = v,
                                   .make_state = decode_make_state,
                                   .free_state = decode_free_state};
    if (rc == 0) {
        rc = trib_function_register(c, &decode, err);
    }
    if (rc != 0) {
        trib_convert_free(v);
        return rc;
    }
    *ret = v;
    return 0;
}

void trib_convert_free(struct trib_convert *v)
{
    if (v == NULL) {
        return;
    }
    free(v->encode_name);
    free(v->decode_name);
    trib_type_free(&v->from);
    trib_type_free(&v->to);
    trib_type_free(&v->encode_args);
    trib_type_free(&v->decode_args);
    trib_type_free(&v->decode_result);
    free(v);
}

bool trib_convert_is(const struct trib_convert *v, const struct trib_type *from, const struct trib_type *to)
{
    return v != NULL && trib_type_same(&v->from, from) && trib_type_same(&v->to, to);
}

static void member_sql(struct trib_buf *sql, const char *item, const char *name)
{
    trib_buf_addf(sql, "(%s).", item);
    trib_sql_ident(sql, name);
}

void trib_convert_text_sql(const struct trib_convert *v, const char *item, const char *rescued, struct trib_buf *sql)
{
    trib_buf_addf(sql, "%s(%s, %s)", v->encode_name, item, rescued);
}

static void struct_sql(const struct trib_convert *v, const char *item, const char *rescued, struct trib_buf *sql)
{
    trib_buf_adds(sql, "struct_pack(");
    for (size_t i = 0; i < v->to.n_fields; i++) {
        const struct trib_field *t = &v->to.fields[i];
        const struct trib_field *f = trib_item_find(&v->from, trib_field_attribute(t));
        enum fit fit = f == NULL ? FIT_NO : fit_field(f, t);
        trib_sql_ident(sql, t->name);
        trib_buf_adds(sql, " := CAST(");
        if (fit == FIT_NO) {
            trib_buf_adds(sql, "NULL");
        } else {
            member_sql(sql, item, f->name);
        }
        trib_buf_adds(sql, " AS ");
        trib_type_sql(&t->type, sql);
        trib_buf_adds(sql, "), ");
    }
    trib_buf_addf(sql, "\"_rescued_data\" := CAST(%s AS VARCHAR))", rescued);
}

void trib_convert_sql(const struct trib_convert *v, const char *item, const char *rescued, enum trib_convert_what what,
                      struct trib_buf *sql)
{
    /* Fast where nothing rescued could find a column, and no column with a value lacks its counterpart. */
    bool same = v->from.n_fields == v->to.n_fields;
    struct trib_buf slow;
    trib_buf_init(&slow, (size_t)16 << 20);
    for (size_t i = 0; i < v->from.n_fields; i++) {
        const struct trib_field *f = &v->from.fields[i];
        const struct trib_field *t = trib_item_find(&v->to, trib_field_attribute(f));
        enum fit fit = t == NULL ? FIT_NO : fit_field(f, t);
        same = same && fit == FIT_SAME;
        if (fit == FIT_NO && (t != NULL || what != TRIB_CONVERT_SOME)) {
            trib_buf_adds(&slow, slow.n > 0 ? " OR " : "");
            member_sql(&slow, item, f->name);
            trib_buf_adds(&slow, " IS NOT NULL");
        }
    }
    if (!same && what != TRIB_CONVERT_REWRITE) {
        trib_buf_addf(&slow, "%s%s IS NOT NULL", slow.n > 0 ? " OR " : "", rescued);
    }
    if (slow.n == 0) {
        struct_sql(v, item, rescued, sql);
    } else if (v->from.n_fields > MAX_BRANCH_FIELDS && what != TRIB_CONVERT_SOME) {
        trib_buf_addf(sql, "%s(", v->decode_name);
        trib_convert_text_sql(v, item, rescued, sql);
        trib_buf_adds(sql, ")");
    } else {
        trib_buf_addf(sql, "CASE WHEN %s THEN %s(", slow.p, v->decode_name);
        trib_convert_text_sql(v, item, rescued, sql);
        trib_buf_adds(sql, ") ELSE ");
        struct_sql(v, item, rescued, sql);
        trib_buf_adds(sql, " END");
    }
    trib_buf_free(&slow);
}

static int digest_call(void *ctx, void *state, const struct trib_vec *args, size_t n, struct trib_vec *out,
                       struct trib_arena *arena, struct trib_err *err)
{
    (void)ctx;
    (void)state;
    for (size_t i = 0; i < n; i++) {
        struct trib_view text = read_text(&args[0], i);
        if (text.p == NULL) {
            trib_vec_null(out, i);
            continue;
        }
        struct trib_digest d;
        TRIB_TRY(trib_item_digest(text, false, &d, err));
        char hex[33];
        (void)snprintf(hex, sizeof hex, "%016llx%016llx", (unsigned long long)d.hi, (unsigned long long)d.lo);
        write_text(out, i, arena, (struct trib_view){hex, 32});
    }
    return 0;
}

int trib_register_digest(struct trib_conn *c, const char *name, struct trib_err *err)
{
    static const struct trib_type text = {.id = TRIB_T_STRING};
    struct trib_type args = trib_type_simple(TRIB_T_STRUCT);
    (void)trib_type_add(&args, "text", trib_type_simple(TRIB_T_STRING));
    struct trib_function f = {.name = name, .args = &args, .result = &text, .call = digest_call};
    int rc = trib_function_register(c, &f, err);
    trib_type_free(&args);
    return rc;
}
