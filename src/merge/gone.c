/* See gone.h. Reads Silver and Bronze, writes one object. A crash leaves a scratch file, or the whole object. */
#include "merge/gone.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "merge/own.h"

/* One target as it is now. */
struct view {
    const struct trib_merge_opts *o;
    struct trib_delta delta;
    struct trib_snapshot s;
};

/* The newest snapshot that asks for this. NULL: none. */
static struct trib_landing_snapshot *newest_full(const struct trib_landing *l)
{
    struct trib_landing_snapshot *found = NULL;
    for (size_t i = 0; i < l->n_snapshots; i++) {
        struct trib_landing_snapshot *s = &l->snapshots[i];
        if (trib_landing_wants_gone(l, s) && (found == NULL || s->epoch > found->epoch)) {
            found = s;
        }
    }
    return found == NULL || found->gone ? NULL : found;
}

/* Whether Bronze holds the whole snapshot. */
static bool is_complete(const struct trib_snapshot *bronze, unsigned epoch)
{
    const char *epochs = trib_snapshot_property(bronze, TRIB_EPOCHS_PROPERTY);
    TRIB_CLEANUP(trib_cleanup_free) char *begin = trib_asprintf("{\"epoch\":%u,", epoch);
    const char *at = epochs == NULL ? NULL : strstr(epochs, begin), *end = at == NULL ? NULL : strchr(at, '}');
    const char *complete = at == NULL ? NULL : strstr(at, "\"snapshot\":\"complete\"");
    return complete != NULL && end != NULL && complete < end;
}

/* A key column as a DynamoDB value: {"S":"…"}. */
static void typed_key(const struct trib_field *f, struct trib_buf *sql)
{
    const char *type = trib_field_meta(f, "dynamodb.type");
    type = type == NULL ? "S" : type;
    trib_buf_addf(sql, "'{\"%s\":' || ", type);
    if (*type == 'B' && f->type.id == TRIB_T_BINARY) {
        trib_buf_adds(sql, "'\"' || base64(");
        trib_sql_ident(sql, f->name);
        trib_buf_adds(sql, ") || '\"'");
    } else {
        trib_buf_adds(sql, "CAST(to_json(CAST(");
        trib_sql_ident(sql, f->name);
        trib_buf_adds(sql, " AS VARCHAR)) AS VARCHAR)");
    }
    trib_buf_adds(sql, " || '}'");
}

/* One target's live keys of older epochs, each as the text of a key: {"pk":{"S":"…"}}. */
static int keys_query(const struct view *v, unsigned epoch, struct trib_buf *sql, struct trib_err *err)
{
    trib_buf_adds(sql, "SELECT '{' || ");
    for (size_t i = 0; i < v->o->n_keys; i++) {
        const struct trib_field *f = trib_item_find(&v->s.schema, v->o->keys[i]);
        if (f == NULL) {
            return trib_err_set(err, TRIB_E_DATA, "silver %s/%s has no column for the key %s", v->o->domain,
                                v->o->silver, v->o->keys[i]);
        }
        struct trib_buf name;
        trib_buf_init(&name, 1 << 20);
        trib_buf_adds(&name, i > 0 ? "," : "");
        trib_json_string(&name, trib_view_of(v->o->keys[i]));
        trib_buf_addc(&name, ':');
        trib_sql_literal(sql, trib_buf_view(&name));
        trib_buf_free(&name);
        trib_buf_adds(sql, " || ");
        typed_key(f, sql);
        trib_buf_adds(sql, " || ");
    }
    trib_buf_adds(sql, "'}' AS k FROM (");
    TRIB_TRY(trib_delta_select(&v->delta, &v->s, v->s.adds, v->s.n_adds, false, sql, err));
    trib_buf_addf(sql, ") WHERE _sequence < '%04x-' ", epoch);
    if (!v->o->hard_deletes) {
        trib_buf_adds(sql, "AND NOT ");
        trib_sql_ident(sql, v->o->is_deleted);
    }
    return trib_buf_check(sql, "statement", err);
}

static int write_line(FILE *f, const char *table, struct trib_view key)
{
    return fprintf(f, "{\"%s\":[{\"DeleteRequest\":{\"Key\":", table) < 0 || fwrite(key.p, 1, key.n, f) != key.n ||
                   fputs("}}]}\n", f) == EOF
               ? -1
               : 0;
}

/* The keys of a query, a delete a line. */
static int write_keys(struct trib_conn *c, const char *sql, const char *table, const char *path, struct trib_err *err)
{
    struct trib_result *r;
    TRIB_TRY(trib_query(c, sql, &r, err));
    FILE *f = fopen(path, "we");
    int rc = f == NULL ? trib_err_errno(err, errno, "writing %s", path) : 0;
    while (rc == 0) {
        const struct trib_chunk *chunk;
        rc = trib_result_next(r, &chunk, err);
        if (rc != 0 || chunk->rows == 0) {
            break;
        }
        const struct trib_str *keys = chunk->cols[0].data;
        for (uint64_t i = 0; i < chunk->rows && rc == 0; i++) {
            if (write_line(f, table, trib_str_view(&keys[i])) != 0) {
                rc = trib_err_errno(err, errno, "writing %s", path);
            }
        }
    }
    if (f != NULL && fclose(f) != 0 && rc == 0) {
        rc = trib_err_errno(err, errno, "writing %s", path);
    }
    trib_result_free(r);
    return rc;
}

static int put_gone(const struct trib_env *env, struct trib_conn *c, const struct view *v, size_t n,
                    struct trib_landing *l, struct trib_landing_snapshot *s, struct trib_err *err)
{
    struct trib_buf sql;
    trib_buf_init(&sql, TRIB_SQL_MAX);
    trib_buf_adds(&sql, "SELECT DISTINCT k FROM (");
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        trib_buf_adds(&sql, i > 0 ? " UNION ALL " : "");
        rc = keys_query(&v[i], s->epoch, &sql, err);
    }
    trib_buf_adds(&sql, ") ORDER BY k");
    char uuid[37];
    trib_rng_uuid(env->rng, uuid);
    TRIB_CLEANUP(trib_cleanup_free) char *path = trib_asprintf("%s/gone-%s", env->scratch, uuid);
    if (rc == 0) {
        rc = write_keys(c, sql.p, v[0].o->table, path, err);
    }
    trib_buf_free(&sql);
    TRIB_CLEANUP(trib_cleanup_free) char *key = trib_landing_gone_key(l, s->epoch);
    struct trib_err own = {0};
    if (rc == 0) {
        rc = trib_store_put_file(env->lake, key, path, &own);
        if (rc != 0 && rc != TRIB_E_EXISTS) {
            *err = own;
        }
    }
    (void)unlink(path);
    if (rc == TRIB_E_EXISTS) { /* another process was first, and saw the same */
        rc = 0;
    }
    s->gone = rc == 0;
    return rc;
}

int trib_merge_gone(const struct trib_env *env, const struct trib_merge_opts *const *targets, size_t n,
                    struct trib_landing *l, bool *ret_worked, struct trib_err *err)
{
    *ret_worked = false;
    struct trib_landing_snapshot *newest = newest_full(l);
    if (newest == NULL || n == 0) {
        return 0;
    }
    struct trib_conn *c;
    TRIB_TRY(trib_conn_open(env->engine, &c, err));
    struct trib_delta bronze = trib_env_delta(env, c, trib_path_bronze(targets[0]->table));
    struct trib_snapshot b = {.version = -1};
    int rc = trib_delta_load(&bronze, -1, &b, err);
    bool ready = rc == 0 && b.version >= 0 && is_complete(&b, newest->epoch);
    struct view *v = trib_calloc(n, sizeof *v);
    size_t loaded = 0;
    for (; rc == 0 && ready && loaded < n; loaded++) {
        v[loaded].o = targets[loaded];
        v[loaded].delta = trib_env_delta(env, c, trib_path_silver(targets[loaded]->domain, targets[loaded]->silver));
        v[loaded].s.version = -1;
        rc = trib_delta_load(&v[loaded].delta, -1, &v[loaded].s, err);
        if (rc == 0) {
            rc = trib_merge_is_through(v[loaded].o, &bronze, &b, &v[loaded].s, &ready, err);
        }
    }
    if (rc == 0 && ready) {
        rc = put_gone(env, c, v, n, l, newest, err);
        *ret_worked = rc == 0;
    }
    for (size_t i = 0; i < loaded; i++) {
        trib_snapshot_free(&v[i].s);
        free(v[i].delta.path);
    }
    free(v);
    trib_snapshot_free(&b);
    free(bronze.path);
    trib_conn_close(c);
    return rc;
}
