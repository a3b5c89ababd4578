/*
 * See differ.h. Owns a connection with its temporary tables:
 *   src (k, d, item, w0…)   the source's items: key, digest, text (of keys read again), which targets want it
 *   sv (k, d, item)         one target's rows
 *   diff (t, k, kind, moving) what differs, target by target
 *   want (k)                the only keys that count, once there are some
 *   moved (k)               those of them whose item was another when it was read last
 * Numbers of a key are written by value, so that equal keys are equal texts. A crash leaves nothing.
 */
#include "merge/differ.h"

#include <stdio.h>
#include <stdlib.h>

#include "dynamodb/json.h"
#include "merge/own.h"

enum {
    DEPTH = 128,
    ITEM_MAX = 64 << 20,
    CHUNK_BYTES = 4 << 20, /* of texts in one chunk of a source */
    ASK = 4000,            /* keys at once */
    DIGEST = 32,           /* hexadecimal digits */
};

/* A target as it is now, and the functions that read its rows: verify_row(item, rescued) → digest and key, verify_text → the item. */
struct side {
    const struct trib_merge_opts *o;
    struct trib_delta delta;
    struct trib_snapshot s;
    struct trib_type item, args;
    char *row_fn, *text_fn;
    struct trib_where *where;
};

struct trib_differ {
    const struct trib_env *env;
    struct trib_conn *conn;
    size_t n;
    struct side *sides;
    unsigned serial; /* names of functions live as long as the engine */
    bool only_wanted, keep_items, has_source;
};

/* ---- one item ----------------------------------------------------------------------------------------------------- */

/* {"pk":{"S":"…"},"sk":{"N":"1"}}: the key of an item. */
static int key_text(const struct trib_merge_opts *o, struct trib_view item, struct trib_buf *to, struct trib_err *err)
{
    trib_buf_addc(to, '{');
    for (size_t i = 0; i < o->n_keys; i++) {
        struct trib_json j = trib_json_of(item);
        struct trib_view name, value = {0};
        bool escaped, found = false;
        for (bool more = trib_json_take(&j, '{'); more && !found; more = !found && trib_json_take(&j, ',')) {
            if (!trib_json_text(&j, &name, &escaped) || !trib_json_take(&j, ':') ||
                !trib_json_skip(&j, DEPTH, &value)) {
                break;
            }
            char *plain = trib_malloc(name.n + 1);
            ssize_t n = trib_json_unescape(name, plain);
            found = n >= 0 && trib_view_is((struct trib_view){plain, (size_t)n}, o->keys[i]);
            free(plain);
        }
        if (!found) {
            return trib_err_set(err, TRIB_E_DATA, "an item without its key attribute %s", o->keys[i]);
        }
        trib_buf_adds(to, i > 0 ? "," : "");
        trib_json_string(to, trib_view_of(o->keys[i]));
        trib_buf_addc(to, ':');
        struct trib_json v = trib_json_of(value);
        enum trib_attr_type type;
        struct trib_view digits;
        struct trib_number number;
        if (trib_typed_open(&v, &type) && type == TRIB_A_N && trib_json_text(&v, &digits, &escaped) &&
            trib_number_parse(digits, &number)) {
            trib_buf_adds(to, "{\"N\":\"");
            trib_number_text(&number, to);
            trib_buf_adds(to, "\"}");
        } else {
            TRIB_TRY(trib_value_canonical(value, false, to, err));
        }
    }
    trib_buf_addc(to, '}');
    return trib_buf_check(to, "key", err);
}

static int digest_hex(struct trib_view item, char to[DIGEST + 1], struct trib_err *err)
{
    struct trib_digest d;
    TRIB_TRY(trib_item_digest(item, false, &d, err));
    (void)snprintf(to, DIGEST + 1, "%016llx%016llx", (unsigned long long)d.hi, (unsigned long long)d.lo);
    return 0;
}

/* ---- Silver's rows ------------------------------------------------------------------------------------------------ */

static void put_text(struct trib_vec *out, size_t row, struct trib_arena *arena, struct trib_view text)
{
    const char *copy = trib_arena_strndup(arena, text.p, text.n);
    ((struct trib_str *)out->data)[row] = trib_str_make(copy, text.n);
}

static int silver_call(struct side *s, bool text_wanted, const struct trib_vec *args, size_t n, struct trib_vec *out,
                       struct trib_arena *arena, struct trib_err *err)
{
    struct trib_buf item, key;
    char hex[DIGEST + 1];
    trib_buf_init(&item, ITEM_MAX);
    trib_buf_init(&key, ITEM_MAX);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct trib_view rescued = {0};
        if (!trib_vec_is_null(&args[1], i)) {
            rescued = trib_str_view(&((const struct trib_str *)args[1].data)[i]);
        }
        trib_buf_clear(&item);
        trib_buf_clear(&key);
        rc = trib_encode_item(&s->item, args[0].children, i, rescued, &item, err);
        rc = rc != 0 ? rc : trib_buf_check(&item, "item", err);
        if (rc == 0 && text_wanted) {
            rc = trib_item_canonical(trib_buf_view(&item), false, &key, err);
        } else if (rc == 0 && (rc = digest_hex(trib_buf_view(&item), hex, err)) == 0) {
            trib_buf_add(&key, hex, DIGEST);
            rc = key_text(s->o, trib_buf_view(&item), &key, err);
        }
        if (rc == 0) {
            put_text(out, i, arena, trib_buf_view(&key));
        }
    }
    trib_buf_free(&item);
    trib_buf_free(&key);
    return rc == 0 ? 0 : trib_err_wrap(err, "silver %s/%s", s->o->domain, s->o->silver);
}

static int row_call(void *ctx, void *state, const struct trib_vec *args, size_t n, struct trib_vec *out,
                    struct trib_arena *arena, struct trib_err *err)
{
    (void)state;
    return silver_call(ctx, false, args, n, out, arena, err);
}
static int text_call(void *ctx, void *state, const struct trib_vec *args, size_t n, struct trib_vec *out,
                     struct trib_arena *arena, struct trib_err *err)
{
    (void)state;
    return silver_call(ctx, true, args, n, out, arena, err);
}

static void close_side(struct side *s)
{
    trib_snapshot_free(&s->s);
    s->s = (struct trib_snapshot){.version = -1};
    trib_type_free(&s->item);
    trib_type_free(&s->args);
    s->item = s->args = (struct trib_type){0};
    free(s->row_fn);
    free(s->text_fn);
    s->row_fn = s->text_fn = NULL;
}

/* Loads the target as it is now. version -1: there is none yet, which is no row. */
static int open_side(struct trib_differ *d, struct side *s, struct trib_err *err)
{
    static const struct trib_type text = {.id = TRIB_T_STRING};
    close_side(s);
    TRIB_TRY(trib_delta_load(&s->delta, -1, &s->s, err));
    if (s->s.version < 0) {
        return 0;
    }
    trib_item_fields(&s->s.schema, &s->item);
    for (size_t i = 0; i < s->o->n_keys; i++) {
        if (trib_item_find(&s->item, s->o->keys[i]) == NULL) {
            return trib_err_set(err, TRIB_E_DATA, "silver %s/%s has no column for the key %s", s->o->domain,
                                s->o->silver, s->o->keys[i]);
        }
    }
    s->args = trib_type_simple(TRIB_T_STRUCT);
    struct trib_type item;
    trib_type_copy(&item, &s->item);
    (void)trib_type_add(&s->args, "item", item);
    (void)trib_type_add(&s->args, "rescued", trib_type_simple(TRIB_T_STRING));
    d->serial++;
    s->row_fn = trib_asprintf("verify_row_%p_%u", (void *)d, d->serial);
    s->text_fn = trib_asprintf("verify_text_%p_%u", (void *)d, d->serial);
    struct trib_function row = {.name = s->row_fn, .args = &s->args, .result = &text, .call = row_call, .ctx = s};
    struct trib_function all = {.name = s->text_fn, .args = &s->args, .result = &text, .call = text_call, .ctx = s};
    TRIB_TRY(trib_function_register(d->conn, &row, err));
    return trib_function_register(d->conn, &all, err);
}

/* SELECT x[, the row's struct s and its rescued text r] FROM the target's live rows; x: digest and key. */
static int silver_rows(const struct side *s, bool with_row, struct trib_buf *sql, struct trib_err *err)
{
    trib_buf_addf(sql, "SELECT %s(", s->row_fn);
    trib_sql_pack(&s->item, sql);
    trib_buf_adds(sql, ", CAST(_rescued_data AS VARCHAR)) AS x");
    if (with_row) {
        trib_buf_adds(sql, ", ");
        trib_sql_pack(&s->item, sql);
        trib_buf_adds(sql, " AS s, CAST(_rescued_data AS VARCHAR) AS r");
    }
    trib_buf_adds(sql, " FROM (");
    TRIB_TRY(trib_delta_select(&s->delta, &s->s, s->s.adds, s->s.n_adds, false, sql, err));
    trib_buf_adds(sql, ")");
    if (!s->o->hard_deletes) {
        trib_buf_adds(sql, " WHERE NOT coalesce(");
        trib_sql_ident(sql, s->o->is_deleted);
        trib_buf_adds(sql, ", false)");
    }
    return trib_buf_check(sql, "statement", err);
}

/* sv: the target's rows, or those of the wanted keys. */
static int fill_sv(struct trib_differ *d, const struct side *s, struct trib_err *err)
{
    struct trib_buf sql;
    trib_buf_init(&sql, TRIB_SQL_MAX);
    int rc = 0;
    trib_buf_adds(&sql, "CREATE OR REPLACE TEMP TABLE sv AS ");
    if (s->s.version < 0) {
        trib_buf_adds(&sql, "SELECT '' AS k, '' AS d, '' AS item WHERE false");
    } else {
        trib_buf_addf(&sql, "SELECT substr(x, %d) AS k, substr(x, 1, %d) AS d, ", DIGEST + 1, DIGEST);
        if (d->keep_items) { /* texts are made behind the join */
            trib_buf_addf(&sql, "%s(s, r) AS item FROM (", s->text_fn);
        } else {
            trib_buf_adds(&sql, "CAST(NULL AS VARCHAR) AS item FROM (");
        }
        rc = silver_rows(s, d->keep_items, &sql, err);
        trib_buf_adds(&sql, ")");
        if (d->only_wanted) {
            trib_buf_addf(&sql, " q SEMI JOIN want ON substr(x, %d) = want.k", DIGEST + 1);
        }
    }
    if (rc == 0 && (rc = trib_buf_check(&sql, "statement", err)) == 0) {
        rc = trib_exec(d->conn, sql.p, err);
    }
    trib_buf_free(&sql);
    return rc;
}

/* ---- the source --------------------------------------------------------------------------------------------------- */

struct pull {
    struct trib_differ *d;
    trib_item_fn next;
    void *ctx;
    bool texts; /* for `where`, or to keep */
    int64_t items;
    struct trib_buf key;
};

static void put_str(struct trib_chunk *c, size_t col, struct trib_view v)
{
    put_text(&c->cols[col], c->rows, &c->arena, v);
}

static int pull_fill(void *ctx, struct trib_chunk *c, struct trib_err *err)
{
    struct pull *p = ctx;
    size_t bytes = 0;
    while (c->rows < c->capacity && bytes < CHUNK_BYTES) {
        struct trib_view item;
        TRIB_TRY(p->next(p->ctx, &item, err));
        if (item.n == 0) {
            break;
        }
        char hex[DIGEST + 1];
        trib_buf_clear(&p->key);
        TRIB_TRY(key_text(p->d->sides[0].o, item, &p->key, err));
        TRIB_TRY(digest_hex(item, hex, err));
        put_str(c, 0, trib_buf_view(&p->key));
        put_str(c, 1, (struct trib_view){hex, DIGEST});
        if (p->texts) {
            struct trib_buf text;
            trib_buf_init(&text, ITEM_MAX);
            int rc = trib_item_canonical(item, false, &text, err);
            put_str(c, 2, trib_buf_view(&text));
            bytes += text.n;
            trib_buf_free(&text);
            TRIB_TRY(rc);
        } else {
            trib_vec_null(&c->cols[2], c->rows);
        }
        bytes += p->key.n + DIGEST;
        c->rows++;
        p->items++;
    }
    return 0;
}

/* A struct of nothing but NULLs: all of the item is in its rescued text. One member more than any item has keeps the conversion
 * from moving columns. */
static int compile_where(struct trib_differ *d, struct side *s, struct trib_buf *sql, struct trib_err *err)
{
    struct trib_delta bronze = trib_env_delta(d->env, d->conn, trib_path_bronze(s->o->table));
    struct trib_snapshot b = {.version = -1};
    struct trib_type item = trib_type_simple(TRIB_T_STRUCT);
    int rc = trib_delta_load(&bronze, -1, &b, err);
    const struct trib_type *learnt = rc != 0 || b.version < 0 ? NULL : trib_bronze_item(&b.schema);
    if (learnt != NULL) {
        trib_type_free(&item);
        trib_type_copy(&item, learnt);
    }
    struct trib_field *own = trib_type_add(&item, "_verify_nothing", trib_type_simple(TRIB_T_STRING));
    trib_field_set_meta(own, "dynamodb.type", "S");
    trib_field_set_meta(own, "dynamodb.name", "\x01\x02 nothing of an item \x03");
    trib_where_free(s->where);
    s->where = NULL;
    d->serial++;
    char *prefix = trib_asprintf("verify_where_%p_%u", (void *)d, d->serial);
    if (rc == 0) {
        rc = trib_where_new(d->conn, prefix, s->o->where, &item, &s->o->schema, &s->where, err);
    }
    free(prefix);
    if (rc == 0) {
        struct trib_buf nothing;
        trib_buf_init(&nothing, TRIB_SQL_MAX);
        trib_buf_adds(&nothing, "struct_pack(");
        for (size_t i = 0; i < item.n_fields; i++) {
            trib_buf_adds(&nothing, i > 0 ? ", " : "");
            trib_sql_ident(&nothing, item.fields[i].name);
            trib_buf_adds(&nothing, " := CAST(NULL AS ");
            trib_type_sql(&item.fields[i].type, &nothing);
            trib_buf_addc(&nothing, ')');
        }
        trib_buf_addc(&nothing, ')');
        trib_where_sql(s->where, nothing.p, "item", sql);
        trib_buf_free(&nothing);
    }
    trib_type_free(&item);
    trib_snapshot_free(&b);
    free(bronze.path);
    return rc;
}

/* The SELECT that makes src of what the source gives. */
static int source_select(struct trib_differ *d, struct trib_buf *sql, struct trib_err *err)
{
    trib_buf_addf(sql, "SELECT k, d, %s AS item", d->keep_items ? "item" : "CAST(NULL AS VARCHAR)");
    for (size_t t = 0; t < d->n; t++) {
        trib_buf_adds(sql, ", ");
        if (d->sides[t].o->where == NULL) {
            trib_buf_adds(sql, "true");
        } else {
            TRIB_TRY(compile_where(d, &d->sides[t], sql, err));
        }
        trib_buf_addf(sql, " AS w%zu", t);
    }
    trib_buf_adds(sql, " FROM verify_source()");
    return trib_buf_check(sql, "statement", err);
}

static int pull_into(struct trib_differ *d, const char *into, const char *select, trib_item_fn next, void *ctx,
                     int64_t *ret_items, struct trib_err *err)
{
    struct pull p = {.d = d, .next = next, .ctx = ctx, .texts = d->keep_items};
    struct trib_type row = trib_type_simple(TRIB_T_STRUCT);
    static const char *const names[] = {"k", "d", "item"};
    for (size_t i = 0; i < 3; i++) {
        (void)trib_type_add(&row, names[i], trib_type_simple(TRIB_T_STRING));
    }
    for (size_t t = 0; t < d->n; t++) {
        p.texts = p.texts || d->sides[t].o->where != NULL;
    }
    trib_buf_init(&p.key, ITEM_MAX);
    int rc = trib_source_register(d->conn, "verify_source", &row, pull_fill, &p, err);
    if (rc == 0) {
        struct trib_buf sql;
        trib_buf_init(&sql, TRIB_SQL_MAX);
        trib_buf_addf(&sql, "%s %s", into, select);
        rc = trib_exec(d->conn, sql.p, err);
        trib_buf_free(&sql);
    }
    trib_buf_free(&p.key);
    trib_type_free(&row);
    *ret_items = p.items;
    return rc;
}

int trib_differ_source(struct trib_differ *d, trib_item_fn next, void *ctx, int64_t *ret_items, struct trib_err *err)
{
    struct trib_buf sql;
    trib_buf_init(&sql, TRIB_SQL_MAX);
    d->only_wanted = d->keep_items = false;
    int rc = source_select(d, &sql, err);
    if (rc == 0) {
        rc = pull_into(d, "CREATE OR REPLACE TEMP TABLE src AS", sql.p, next, ctx, ret_items, err);
        d->has_source = rc == 0;
    }
    trib_buf_free(&sql);
    return rc;
}

int trib_differ_sample(struct trib_differ *d, trib_item_fn next, void *ctx, size_t n, int64_t *ret_keys,
                       struct trib_err *err)
{
    int64_t items;
    d->only_wanted = d->keep_items = false;
    TRIB_TRY(
        pull_into(d, "CREATE OR REPLACE TEMP TABLE found AS", "SELECT k FROM verify_source()", next, ctx, &items, err));
    TRIB_TRY(
        trib_execf(d->conn, err,
                   "CREATE OR REPLACE TEMP TABLE diff AS SELECT CAST(0 AS BIGINT) AS t, k, '' AS kind, false AS moving "
                   "FROM (SELECT k FROM found USING SAMPLE reservoir(%zu ROWS))",
                   n));
    for (size_t t = 0; t < d->n; t++) {
        TRIB_TRY(open_side(d, &d->sides[t], err));
        if (d->sides[t].s.version < 0) {
            continue;
        }
        struct trib_buf sql;
        trib_buf_init(&sql, TRIB_SQL_MAX);
        trib_buf_addf(&sql, "INSERT INTO diff SELECT %zu, substr(x, %d), '', false FROM (SELECT * FROM (", t,
                      DIGEST + 1);
        int rc = silver_rows(&d->sides[t], false, &sql, err);
        trib_buf_addf(&sql, ") USING SAMPLE reservoir(%zu ROWS))", n);
        if (rc == 0) {
            rc = trib_exec(d->conn, sql.p, err);
        }
        trib_buf_free(&sql);
        TRIB_TRY(rc);
    }
    return trib_query_i64(d->conn, "SELECT count(DISTINCT k) FROM diff", 0, ret_keys, err);
}

/* Keys [from, from + ASK) of want, asked for. */
static int ask_some(struct trib_differ *d, int64_t from, trib_keys_fn ask, void *ctx, size_t *ret_n,
                    struct trib_err *err)
{
    char sql[128];
    (void)snprintf(sql, sizeof sql, "SELECT k FROM want WHERE rowid >= %lld AND rowid < %lld", (long long)from,
                   (long long)from + ASK);
    struct trib_result *r;
    TRIB_TRY(trib_query(d->conn, sql, &r, err));
    struct trib_arena arena;
    struct trib_view *keys = trib_calloc(ASK, sizeof *keys);
    size_t n = 0;
    int rc;
    trib_arena_init(&arena);
    for (const struct trib_chunk *c; (rc = trib_result_next(r, &c, err)) == 0 && c->rows > 0;) {
        for (uint64_t i = 0; i < c->rows && n < ASK; i++) {
            struct trib_view k = trib_str_view(&((const struct trib_str *)c->cols[0].data)[i]);
            keys[n++] = (struct trib_view){trib_arena_strndup(&arena, k.p, k.n), k.n};
        }
    }
    trib_result_free(r);
    if (rc == 0 && n > 0) {
        rc = ask(ctx, keys, n, err);
    }
    trib_arena_free(&arena);
    free(keys);
    *ret_n = n;
    return rc;
}

int trib_differ_again(struct trib_differ *d, trib_keys_fn ask, trib_item_fn next, void *ctx, struct trib_err *err)
{
    d->only_wanted = d->keep_items = true;
    TRIB_TRY(trib_exec(d->conn, "CREATE OR REPLACE TEMP TABLE want AS SELECT DISTINCT k FROM diff", err));
    TRIB_TRY(trib_exec(d->conn,
                       d->has_source
                           ? "CREATE OR REPLACE TEMP TABLE last AS SELECT k, d FROM src SEMI JOIN want USING (k)"
                           : "CREATE OR REPLACE TEMP TABLE last AS SELECT '' AS k, '' AS d WHERE false",
                       err));
    d->has_source = true;
    struct trib_buf sql, empty;
    trib_buf_init(&sql, TRIB_SQL_MAX);
    trib_buf_init(&empty, 1 << 20);
    int rc = source_select(d, &sql, err);
    trib_buf_adds(&empty, "CREATE OR REPLACE TEMP TABLE src AS SELECT '' AS k, '' AS d, '' AS item");
    for (size_t t = 0; t < d->n; t++) {
        trib_buf_addf(&empty, ", true AS w%zu", t);
    }
    trib_buf_adds(&empty, " WHERE false");
    rc = rc != 0 ? rc : trib_exec(d->conn, empty.p, err);
    for (int64_t from = 0; rc == 0; from += ASK) {
        size_t n;
        int64_t items;
        rc = ask_some(d, from, ask, ctx, &n, err);
        if (rc != 0 || n == 0) {
            break;
        }
        rc = pull_into(d, "INSERT INTO src", sql.p, next, ctx, &items, err);
    }
    if (rc == 0) {
        rc =
            trib_exec(d->conn,
                      "CREATE OR REPLACE TEMP TABLE moved AS SELECT k FROM want LEFT JOIN src USING (k) LEFT JOIN last "
                      "USING (k) WHERE src.d IS DISTINCT FROM last.d",
                      err);
    }
    trib_buf_free(&sql);
    trib_buf_free(&empty);
    return rc;
}

/* ---- the comparison ----------------------------------------------------------------------------------------------- */

static int compare_side(struct trib_differ *d, size_t t, int64_t *io_rows, struct trib_err *err)
{
    int64_t rows = 0;
    TRIB_TRY(open_side(d, &d->sides[t], err));
    TRIB_TRY(fill_sv(d, &d->sides[t], err));
    TRIB_TRY(trib_query_i64(d->conn, "SELECT count(*) FROM sv", 0, &rows, err));
    *io_rows += rows;
    TRIB_TRY(trib_execf(
        d->conn, err,
        "INSERT INTO diff SELECT %zu, coalesce(a.k, b.k), CASE WHEN b.k IS NULL THEN 'missing' WHEN a.k IS NULL THEN 'extra' "
        "ELSE 'different' END, false FROM (SELECT k, d FROM src WHERE w%zu) a FULL JOIN sv b ON a.k = b.k "
        "WHERE a.d IS DISTINCT FROM b.d",
        t, t));
    /* A key that stands there twice, both rows right. */
    TRIB_TRY(
        trib_execf(d->conn, err,
                   "INSERT INTO diff SELECT %zu, k, 'extra', false FROM (SELECT k FROM sv GROUP BY k HAVING count(*) "
                   "> 1) ANTI JOIN (SELECT k FROM diff WHERE t = %zu) USING (k)",
                   t, t));
    if (!d->keep_items) {
        return 0;
    }
    TRIB_TRY(trib_execf(d->conn, err, "UPDATE diff SET moving = true WHERE t = %zu AND k IN (SELECT k FROM moved)", t));
    return trib_execf(
        d->conn, err,
        "INSERT INTO shown SELECT diff.*, s.item, sv.item FROM (SELECT DISTINCT t, k, kind FROM diff WHERE t = %zu AND NOT "
        "moving) diff LEFT JOIN (SELECT k, item FROM src WHERE w%zu) s ON s.k = diff.k LEFT JOIN sv ON sv.k = diff.k",
        t, t);
}

int trib_differ_compare(struct trib_differ *d, int64_t *ret_rows, int64_t *ret_differ, int64_t *ret_moving,
                        struct trib_err *err)
{
    *ret_rows = 0;
    TRIB_TRY(
        trib_exec(d->conn,
                  "CREATE OR REPLACE TEMP TABLE diff (t BIGINT, k VARCHAR, kind VARCHAR, moving BOOLEAN); CREATE OR "
                  "REPLACE TEMP TABLE shown (t BIGINT, k VARCHAR, kind VARCHAR, source VARCHAR, silver VARCHAR)",
                  err));
    for (size_t t = 0; t < d->n; t++) {
        TRIB_TRY(compare_side(d, t, ret_rows, err));
    }
    TRIB_TRY(trib_query_i64(d->conn, "SELECT count(*) FROM (SELECT DISTINCT t, k FROM diff WHERE NOT moving)", 0,
                            ret_differ, err));
    return trib_query_i64(d->conn, "SELECT count(*) FROM (SELECT DISTINCT t, k FROM diff WHERE moving)", 0, ret_moving,
                          err);
}

const struct trib_type *trib_differ_type(void)
{
    static struct trib_field fields[] = {{.name = (char *)"kind", .type = {.id = TRIB_T_STRING}, .nullable = true},
                                         {.name = (char *)"table", .type = {.id = TRIB_T_STRING}, .nullable = true},
                                         {.name = (char *)"target", .type = {.id = TRIB_T_STRING}, .nullable = true},
                                         {.name = (char *)"key", .type = {.id = TRIB_T_STRING}, .nullable = true},
                                         {.name = (char *)"source", .type = {.id = TRIB_T_STRING}, .nullable = true},
                                         {.name = (char *)"silver", .type = {.id = TRIB_T_STRING}, .nullable = true}};
    static const struct trib_type row = {.id = TRIB_T_STRUCT, .n_fields = 6, .fields = fields};
    return &row;
}

int trib_differ_rows(struct trib_differ *d, trib_rows_fn fn, void *ctx, struct trib_err *err)
{
    struct trib_buf sql;
    trib_buf_init(&sql, 1 << 20);
    trib_buf_adds(&sql, "SELECT kind, ");
    trib_sql_literal(&sql, trib_view_of(d->sides[0].o->table));
    trib_buf_adds(&sql, " AS \"table\", CASE t");
    for (size_t t = 0; t < d->n; t++) {
        TRIB_CLEANUP(trib_cleanup_free)
        char *label = trib_asprintf("%s/%s", d->sides[t].o->domain, d->sides[t].o->silver);
        trib_buf_addf(&sql, " WHEN %zu THEN ", t);
        trib_sql_literal(&sql, trib_view_of(label));
    }
    trib_buf_adds(&sql, " END AS target, k AS key, source, silver FROM shown ORDER BY t, k, kind, silver");
    struct trib_result *r;
    int rc = trib_query(d->conn, sql.p, &r, err);
    trib_buf_free(&sql);
    TRIB_TRY(rc);
    for (const struct trib_chunk *c; (rc = trib_result_next(r, &c, err)) == 0 && c->rows > 0;) {
        fn(ctx, c);
    }
    trib_result_free(r);
    return rc;
}

int trib_differ_new(const struct trib_env *env, const struct trib_merge_opts *const *targets, size_t n,
                    struct trib_differ **ret, struct trib_err *err)
{
    struct trib_differ *d = trib_calloc(1, sizeof *d);
    d->env = env;
    int rc = trib_conn_open(env->engine, &d->conn, err);
    if (rc != 0) {
        free(d);
        return rc;
    }
    d->n = n;
    d->sides = trib_calloc(n, sizeof *d->sides);
    for (size_t t = 0; t < n; t++) {
        d->sides[t] = (struct side){.o = targets[t], .s = {.version = -1}};
        d->sides[t].delta = trib_env_delta(env, d->conn, trib_path_silver(targets[t]->domain, targets[t]->silver));
    }
    *ret = d;
    return 0;
}

void trib_differ_free(struct trib_differ *d)
{
    if (d == NULL) {
        return;
    }
    trib_conn_close(d->conn);
    for (size_t t = 0; t < d->n; t++) {
        close_side(&d->sides[t]);
        trib_where_free(d->sides[t].where);
        free(d->sides[t].delta.path);
    }
    free(d->sides);
    free(d);
}
