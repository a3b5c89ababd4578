/*
 * See diff.h.
 *
 *   snapshot → (key, digest, item)      live rows of Silver → (key, digest, key as JSON)
 *   full join by key → what is new, differs, is missing → the threshold → lines, by key
 * The digest is trib_item_digest, which goes by value: neither layout, spelling of numbers nor order in a set counts.
 */
#include "merge/diff.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dynamodb/json.h"
#include "merge/own.h"
#include "stage/parts.h"

enum { KEY_TEXT_MAX = 1 << 20 };

struct diffing {
    const struct trib_env *env;
    const struct trib_diff_opts *o;
    struct trib_conn *conn;
    struct trib_delta bronze, silver;
    struct trib_snapshot b, s;
    struct trib_convert *convert;
    char *id;      /* makes names of functions unique: they live as long as the engine */
    int64_t items; /* of the snapshot */
    char *digest_fn, *key_fn, *json_fn, *source;
    struct trib_type row, args, text;
};

/* ---- functions ---------------------------------------------------------------------------------------------------- */

static struct trib_view text_at(const struct trib_vec *v, size_t row)
{
    return trib_str_view(&((const struct trib_str *)v->data)[row]);
}

/* The key attributes of an item as JSON, in the order of the config. */
static int key_json(struct trib_view item, const struct trib_merge_opts *o, struct trib_buf *to, struct trib_err *err)
{
    trib_buf_addc(to, '{');
    for (size_t k = 0; k < o->n_keys; k++) {
        struct trib_json j = trib_json_of(item);
        struct trib_view name, value;
        bool escaped, found = false;
        struct trib_buf quoted;
        trib_buf_init(&quoted, KEY_TEXT_MAX);
        trib_json_string(&quoted, trib_view_of(o->keys[k]));
        (void)trib_json_take(&j, '{');
        while (!found && trib_json_text(&j, &name, &escaped) && trib_json_take(&j, ':') &&
               trib_json_skip(&j, 512, &value)) {
            found = name.n + 2 == quoted.n && memcmp(name.p, quoted.p + 1, name.n) == 0; /* both are canonical */
            (void)trib_json_take(&j, ',');
        }
        if (found) {
            trib_buf_adds(to, k > 0 ? "," : "");
            trib_buf_add(to, quoted.p, quoted.n);
            trib_buf_addc(to, ':');
            trib_buf_add(to, value.p, value.n);
        }
        trib_buf_free(&quoted);
        if (!found) {
            return trib_err_set(err, TRIB_E_DATA, "an item has no key attribute `%s`", o->keys[k]);
        }
    }
    trib_buf_addc(to, '}');
    return trib_buf_check(to, "a key", err);
}

static int call(const struct trib_merge_opts *o, bool json, const struct trib_vec *args, size_t n, struct trib_vec *out,
                struct trib_arena *arena, struct trib_err *err)
{
    struct trib_buf to;
    trib_buf_init(&to, KEY_TEXT_MAX);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (trib_vec_is_null(&args[0], i)) {
            trib_vec_null(out, i);
            continue;
        }
        trib_buf_clear(&to);
        rc = json ? key_json(text_at(&args[0], i), o, &to, err)
                  : trib_key_canonical(text_at(&args[0], i), false, o->keys, o->n_keys, &to, err);
        if (rc == 0) {
            ((struct trib_str *)out->data)[i] = trib_str_make(trib_arena_strndup(arena, to.p, to.n), to.n);
        }
    }
    trib_buf_free(&to);
    return rc;
}

static int call_key(void *ctx, void *state, const struct trib_vec *args, size_t n, struct trib_vec *out,
                    struct trib_arena *arena, struct trib_err *err)
{
    (void)state;
    return call(ctx, false, args, n, out, arena, err);
}

static int call_json(void *ctx, void *state, const struct trib_vec *args, size_t n, struct trib_vec *out,
                     struct trib_arena *arena, struct trib_err *err)
{
    (void)state;
    return call(ctx, true, args, n, out, arena, err);
}

/* Rows of the source: the snapshot's items. */
static int fill(void *ctx, struct trib_chunk *chunk, struct trib_err *err)
{
    struct diffing *d = ctx;
    size_t bytes = 0;
    while (chunk->rows < chunk->capacity && bytes < TRIB_PART_CHUNK_BYTES) {
        struct trib_view item;
        TRIB_TRY(d->o->next(d->o->ctx, &item, err));
        if (item.n == 0) {
            break;
        }
        ((struct trib_str *)chunk->cols[0].data)[chunk->rows++] =
            trib_str_make(trib_arena_strndup(&chunk->arena, item.p, item.n), item.n);
        bytes += item.n;
        d->items++;
    }
    return 0;
}

static int register_all(struct diffing *d, struct trib_err *err)
{
    char uuid[37];
    trib_rng_uuid(d->env->rng, uuid);
    for (char *p = uuid; *p != '\0'; p++) {
        *p = *p == '-' ? '_' : *p;
    }
    d->id = trib_asprintf("trib_diff_%s", uuid);
    d->digest_fn = trib_asprintf("%s_digest", d->id);
    d->key_fn = trib_asprintf("%s_key", d->id);
    d->json_fn = trib_asprintf("%s_json", d->id);
    d->source = trib_asprintf("%s_items", d->id);
    d->text = trib_type_simple(TRIB_T_STRING);
    d->args = trib_type_simple(TRIB_T_STRUCT);
    d->row = trib_type_simple(TRIB_T_STRUCT);
    (void)trib_type_add(&d->args, "t", trib_type_simple(TRIB_T_STRING));
    (void)trib_type_add(&d->row, "t", trib_type_simple(TRIB_T_STRING));
    TRIB_TRY(trib_register_digest(d->conn, d->digest_fn, err));
    const struct trib_function key = {.name = d->key_fn,
                                      .args = &d->args,
                                      .result = &d->text,
                                      .call = call_key,
                                      .ctx = (void *)(uintptr_t)d->o->target};
    struct trib_function json = key;
    json.name = d->json_fn;
    json.call = call_json;
    TRIB_TRY(trib_function_register(d->conn, &key, err));
    TRIB_TRY(trib_function_register(d->conn, &json, err));
    return trib_source_register(d->conn, d->source, &d->row, fill, d, err);
}

/* ---- the two sides ------------------------------------------------------------------------------------------------ */

/* Silver has merged all of Bronze, and Bronze holds what it must. */
static int is_ready(struct diffing *d, bool *ret, struct trib_err *err)
{
    const struct trib_merge_opts *t = d->o->target;
    TRIB_TRY(trib_merge_is_through(t, &d->bronze, &d->b, &d->s, ret, err));
    if (!*ret || d->o->waits_for == NULL) {
        return 0;
    }
    struct trib_taken *taken = trib_taken_new(d->env, t->table);
    int rc = trib_taken_refresh(taken, d->conn, &d->b, err);
    *ret = rc == 0 && trib_taken_has(taken, trib_view_of(d->o->waits_for));
    trib_taken_free(taken);
    return rc;
}

/* SELECT of the live rows' items as text t. */
static int live_sql(struct diffing *d, struct trib_buf *sql, struct trib_err *err)
{
    const struct trib_merge_opts *t = d->o->target;
    if (d->s.version < 0) {
        trib_buf_adds(sql, "SELECT CAST(NULL AS VARCHAR) AS t WHERE false");
        return 0;
    }
    struct trib_type item;
    trib_item_fields(&d->s.schema, &item);
    int rc = trib_convert_new(d->conn, d->id, &item, &item, &t->schema, &d->convert, err);
    struct trib_buf row;
    trib_buf_init(&row, TRIB_SQL_MAX);
    trib_buf_adds(&row, "struct_pack(");
    for (size_t i = 0; i < item.n_fields; i++) {
        trib_buf_adds(&row, i > 0 ? ", " : "");
        trib_sql_ident(&row, item.fields[i].name);
        trib_buf_adds(&row, " := ");
        trib_sql_ident(&row, item.fields[i].name);
    }
    trib_buf_addc(&row, ')');
    trib_type_free(&item);
    if (rc == 0) {
        trib_buf_adds(sql, "SELECT ");
        trib_convert_text_sql(d->convert, row.p, "_rescued_data", sql);
        trib_buf_adds(sql, " AS t FROM (");
        rc = trib_delta_select(&d->silver, &d->s, d->s.adds, d->s.n_adds, false, sql, err);
        trib_buf_addc(sql, ')');
        if (!t->hard_deletes) {
            trib_buf_adds(sql, " WHERE NOT ");
            trib_sql_ident(sql, t->is_deleted);
        }
    }
    trib_buf_free(&row);
    return rc;
}

/* Table d (op, k, kj, t): what differs. Table v: the live rows. */
static int compare(struct diffing *d, struct trib_err *err)
{
    struct trib_buf sql;
    trib_buf_init(&sql, TRIB_SQL_MAX);
    trib_buf_addf(&sql, "CREATE OR REPLACE TEMP TABLE v AS SELECT %s(t) AS k, %s(t) AS d, %s(t) AS kj FROM (",
                  d->key_fn, d->digest_fn, d->json_fn);
    int rc = live_sql(d, &sql, err);
    trib_buf_addc(&sql, ')');
    if (rc == 0) {
        rc = trib_buf_check(&sql, "statement", err);
    }
    if (rc == 0) {
        rc = trib_exec(d->conn, sql.p, err);
    }
    trib_buf_free(&sql);
    TRIB_TRY(rc);
    return trib_execf(
        d->conn, err,
        "CREATE OR REPLACE TEMP TABLE d AS SELECT CASE WHEN n.k IS NULL THEN 'REMOVE' WHEN v.k IS NULL THEN 'INSERT' ELSE "
        "'MODIFY' END AS op, coalesce(v.k, n.k) AS k, coalesce(v.kj, n.kj) AS kj, n.t AS t FROM (SELECT %s(t) AS k, %s(t) AS d, %s(t) AS kj, t FROM %s()) n "
        "FULL OUTER JOIN v ON n.k = v.k WHERE n.k IS NULL OR v.k IS NULL OR n.d <> v.d",
        d->key_fn, d->digest_fn, d->json_fn, d->source);
}

static int counts(struct diffing *d, struct trib_diff *ret, struct trib_err *err)
{
    TRIB_TRY(trib_query_i64(d->conn, "SELECT count(*) FROM v", 0, &ret->live, err));
    TRIB_TRY(trib_query_i64(d->conn, "SELECT count(*) FROM d WHERE op = 'INSERT'", 0, &ret->added, err));
    TRIB_TRY(trib_query_i64(d->conn, "SELECT count(*) FROM d WHERE op = 'MODIFY'", 0, &ret->changed, err));
    TRIB_TRY(trib_query_i64(d->conn, "SELECT count(*) FROM d WHERE op = 'REMOVE'", 0, &ret->removed, err));
    /* Every live key that is not removed is in the snapshot, and every new one; what it has beyond is there twice. */
    int64_t fresh = 0;
    TRIB_TRY(trib_query_i64(d->conn, "SELECT count(DISTINCT k) FROM d WHERE op = 'INSERT'", 0, &fresh, err));
    int64_t twice = d->items - (ret->live - ret->removed + fresh);
    if (twice > 0) {
        return trib_err_set(err, TRIB_E_DATA,
                            "the snapshot %s has %" PRId64
                            " items whose key another one has: nothing of it is taken; take a new "
                            "one, or check `key`",
                            d->o->name, twice);
    }
    return 0;
}

/* A truncated or empty snapshot must not empty the table. */
static int check_removed(const struct trib_diff_opts *o, const struct trib_diff *r, struct trib_err *err)
{
    if (o->accepted || r->removed == 0 ||
        (r->removed <= r->live / 100 * o->max_removed + r->live % 100 * o->max_removed / 100 && r->removed < r->live)) {
        return 0;
    }
    return trib_err_set(
        err, TRIB_E_DATA,
        "the snapshot %s lacks %" PRId64 " of the %" PRId64
        " items that are live, more than `source.max_removed` allows (%" PRId64
        " %%): nothing of it is taken; if it is complete, set `source.accept: \"%s\"`, else put a complete one there",
        o->name, r->removed, r->live, o->max_removed, o->name);
}

/* ---- lines -------------------------------------------------------------------------------------------------------- */

static int write_line(FILE *f, int64_t time_us, struct trib_view op, struct trib_view key, struct trib_view item)
{
    bool good = fprintf(f, "{\"dynamodb\":{\"ApproximateCreationDateTime\":%" PRId64 ".%06" PRId64 ",\"Keys\":",
                        time_us / 1000000, time_us % 1000000) > 0 &&
                fwrite(key.p, 1, key.n, f) == key.n &&
                (item.n == 0 || (fputs(",\"NewImage\":", f) != EOF && fwrite(item.p, 1, item.n, f) == item.n)) &&
                fprintf(f, ",\"SequenceNumber\":\"0\"},\"eventName\":\"%.*s\"}\n", (int)op.n, op.p) > 0;
    return good ? 0 : -1;
}

static int write_lines(struct diffing *d, struct trib_err *err)
{
    struct trib_result *r;
    TRIB_TRY(trib_query(d->conn, "SELECT op, kj, t FROM d ORDER BY kj", &r, err));
    FILE *f = fopen(d->o->path, "we");
    int rc = f == NULL ? trib_err_errno(err, errno, "writing %s", d->o->path) : 0;
    while (rc == 0) {
        const struct trib_chunk *c;
        rc = trib_result_next(r, &c, err);
        if (rc != 0 || c->rows == 0) {
            break;
        }
        for (size_t i = 0; i < c->rows && rc == 0; i++) {
            struct trib_view item =
                trib_vec_is_null(&c->cols[2], i) ? (struct trib_view){NULL, 0} : text_at(&c->cols[2], i);
            if (write_line(f, d->o->time_us, text_at(&c->cols[0], i), text_at(&c->cols[1], i), item) != 0) {
                rc = trib_err_errno(err, errno, "writing %s", d->o->path);
            }
        }
    }
    if (f != NULL && fclose(f) != 0 && rc == 0) {
        rc = trib_err_errno(err, errno, "writing %s", d->o->path);
    }
    trib_result_free(r);
    return rc;
}

/* ---- all of it ---------------------------------------------------------------------------------------------------- */

static int run(struct diffing *d, struct trib_diff *ret, struct trib_err *err)
{
    TRIB_TRY(trib_delta_load(&d->bronze, -1, &d->b, err));
    TRIB_TRY(trib_delta_load(&d->silver, -1, &d->s, err));
    TRIB_TRY(is_ready(d, &ret->ready, err));
    if (!ret->ready) {
        return 0;
    }
    TRIB_TRY(register_all(d, err));
    TRIB_TRY(compare(d, err));
    TRIB_TRY(counts(d, ret, err));
    TRIB_TRY(check_removed(d->o, ret, err));
    return write_lines(d, err);
}

int trib_merge_diff(const struct trib_env *env, const struct trib_diff_opts *o, struct trib_diff *ret,
                    struct trib_err *err)
{
    *ret = (struct trib_diff){0};
    struct diffing d = {.env = env, .o = o, .b.version = -1, .s.version = -1};
    TRIB_TRY(trib_conn_open(env->engine, &d.conn, err));
    d.bronze = trib_env_delta(env, d.conn, trib_path_bronze(o->target->table));
    d.silver = trib_env_delta(env, d.conn, trib_path_silver(o->target->domain, o->target->silver));
    int rc = run(&d, ret, err);
    trib_snapshot_free(&d.b);
    trib_snapshot_free(&d.s);
    free(d.bronze.path);
    free(d.silver.path);
    trib_conn_close(d.conn);
    trib_convert_free(d.convert);
    trib_type_free(&d.row);
    trib_type_free(&d.args);
    trib_type_free(&d.text);
    free(d.id);
    free(d.digest_fn);
    free(d.key_fn);
    free(d.json_fn);
    free(d.source);
    return rc;
}
