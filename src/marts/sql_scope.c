/*
 * What a SQL text may name: tables of the lake as bronze.*, silver.*, gold.*, quarantine.*, any Delta table as delta('PATH').
 *
 * Each table that the text names becomes a view over the files of one version, so that filters and unused columns are pushed into
 * Parquet; nothing else of the lake is opened. delta('PATH') becomes the name of such a view, called delta in a schema of its own.
 * Never writes to the lake: the text must be one statement that reads.
 * Threads: one at a time on an engine (the views are the engine's). Nothing on disk.
 */
#include <stdlib.h>
#include <strings.h>

#include "base/near.h"
#include "engine/token.h"
#include "marts/marts.h"

enum { SQL_MAX = 64 << 20 };

static const char *const schemas[] = {"bronze", "silver", "gold", "quarantine"};

/* A table that the text names, once however often. */
struct ref {
    size_t table;    /* in the catalogue; SIZE_MAX: delta() */
    char *url;       /* of delta() */
    int64_t version; /* that delta() asks for, -1 */
    int64_t bound;   /* version read */
};

/* Text to be replaced by the view of a ref. */
struct edit {
    size_t from, to, ref;
};

struct binding {
    const struct trib_sql_scope *scope;
    struct trib_view sql;
    struct ref *refs;
    size_t n_refs, cap_refs;
    struct edit *edits;
    size_t n_edits, cap_edits;
    char *unknown; /* the first "schema.name" that is not in the catalogue */
};

static void binding_free(struct binding *b)
{
    for (size_t i = 0; i < b->n_refs; i++) {
        free(b->refs[i].url);
    }
    free(b->refs);
    free(b->edits);
    free(b->unknown);
}

static char *token_name(struct trib_view sql, struct trib_token t)
{
    struct trib_buf b;
    trib_buf_init(&b, SIZE_MAX / 2);
    trib_buf_adds(&b, "");
    if ((t.kind != TRIB_TOKEN_WORD && t.kind != TRIB_TOKEN_QUOTED) || !trib_token_text(sql, t, &b)) {
        trib_buf_free(&b);
        return NULL;
    }
    return trib_buf_take(&b);
}

static const char *schema_of(struct trib_view sql, struct trib_token t)
{
    char *name = token_name(sql, t);
    const char *ret = NULL;
    for (size_t i = 0; name != NULL && i < sizeof schemas / sizeof schemas[0]; i++) {
        if (strcasecmp(name, schemas[i]) == 0) {
            ret = schemas[i];
        }
    }
    free(name);
    return ret;
}

/* Exactly, else without case when only one is meant; DynamoDB's names differ by case. */
static size_t find_table(const struct trib_sql_scope *s, const char *schema, const char *name)
{
    size_t found = SIZE_MAX, n = 0;
    for (size_t i = 0; i < s->n_tables; i++) {
        if (strcmp(s->tables[i].schema, schema) != 0 || strcasecmp(s->tables[i].name, name) != 0) {
            continue;
        }
        if (strcmp(s->tables[i].name, name) == 0) {
            return i;
        }
        found = i;
        n++;
    }
    return n == 1 ? found : SIZE_MAX;
}

static size_t add_ref(struct binding *b, size_t table, const char *url, int64_t version)
{
    for (size_t i = 0; i < b->n_refs; i++) {
        const struct ref *r = &b->refs[i];
        if (r->table == table && r->version == version && (url == NULL || strcmp(r->url, url) == 0)) {
            return i;
        }
    }
    TRIB_GROW(b->refs, b->cap_refs, b->n_refs + 1);
    b->refs[b->n_refs] =
        (struct ref){.table = table, .url = url == NULL ? NULL : trib_strdup(url), .version = version, .bound = -1};
    return b->n_refs++;
}

/* Views are found without case: two tables that differ by it only cannot stand in one text. */
static int check_case(const struct binding *b, size_t table, struct trib_err *err)
{
    const struct trib_catalog_table *t = &b->scope->tables[table];
    for (size_t i = 0; i < b->n_refs; i++) {
        if (b->refs[i].table == table || b->refs[i].table == SIZE_MAX) {
            continue;
        }
        const struct trib_catalog_table *o = &b->scope->tables[b->refs[i].table];
        if (strcmp(o->schema, t->schema) == 0 && strcasecmp(o->name, t->name) == 0) {
            return trib_err_set(err, TRIB_E_USAGE,
                                "%s.\"%s\" and %s.\"%s\" differ in case only and cannot be used in one query",
                                t->schema, t->name, o->schema, o->name);
        }
    }
    return 0;
}

/* SCHEMA . NAME; pos is behind SCHEMA, and moved only when it is one. */
static int scan_name(struct binding *b, const char *schema, size_t *pos, struct trib_err *err)
{
    size_t at = *pos;
    struct trib_token dot = trib_token_next(b->sql, &at);
    if (!trib_token_punct(b->sql, dot, ".")) {
        return 0;
    }
    char *name = token_name(b->sql, trib_token_next(b->sql, &at));
    if (name == NULL) {
        return 0;
    }
    size_t table = find_table(b->scope, schema, name);
    int rc = 0;
    if (table != SIZE_MAX) {
        rc = check_case(b, table, err);
        (void)add_ref(b, table, NULL, -1);
    } else if (b->unknown == NULL) {
        b->unknown = trib_asprintf("%s.%s", schema, name);
    }
    free(name);
    *pos = at;
    return rc;
}

static bool parse_version(struct trib_view digits, int64_t *ret)
{
    int64_t v = 0;
    for (size_t i = 0; i < digits.n; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9' || v > (INT64_MAX - 9) / 10) {
            return false;
        }
        v = v * 10 + (digits.p[i] - '0');
    }
    *ret = v;
    return digits.n > 0;
}

/* What follows the path: `)`, or `, version := N )`. */
static bool scan_version(struct trib_view sql, size_t *pos, int64_t *ret_version)
{
    struct trib_token t = trib_token_next(sql, pos);
    *ret_version = -1;
    if (trib_token_punct(sql, t, ")")) {
        return true;
    }
    if (!trib_token_punct(sql, t, ",") || !trib_token_is(sql, trib_token_next(sql, pos), "version")) {
        return false;
    }
    t = trib_token_next(sql, pos);
    if (trib_token_punct(sql, t, "=")) { /* => */
        t = trib_token_next(sql, pos);
        if (!trib_token_punct(sql, t, ">")) {
            return false;
        }
    } else if (!trib_token_punct(sql, t, ":=")) {
        return false;
    }
    t = trib_token_next(sql, pos);
    return t.kind == TRIB_TOKEN_NUMBER && parse_version(trib_token_view(sql, t), ret_version) &&
           trib_token_punct(sql, trib_token_next(sql, pos), ")");
}

/* delta ( 'PATH' …; pos is behind the word, and moved only when it is one. */
static int scan_delta(struct binding *b, size_t from, size_t *pos, struct trib_err *err)
{
    size_t at = *pos;
    if (!trib_token_punct(b->sql, trib_token_next(b->sql, &at), "(")) {
        return 0;
    }
    struct trib_token path = trib_token_next(b->sql, &at);
    if (path.kind != TRIB_TOKEN_STRING) {
        return 0;
    }
    struct trib_buf url;
    trib_buf_init(&url, SQL_MAX);
    trib_buf_adds(&url, "");
    int64_t version;
    int rc = 0;
    if (!trib_token_text(b->sql, path, &url) || url.n == 0 || !scan_version(b->sql, &at, &version)) {
        rc = trib_err_set(
            err, TRIB_E_USAGE,
            "delta() takes a path and a version, as in delta('PATH') or delta('PATH', version := 3); found: %.*s",
            (int)(at - from > 200 ? 200 : at - from), b->sql.p + from);
    } else {
        TRIB_GROW(b->edits, b->cap_edits, b->n_edits + 1);
        b->edits[b->n_edits++] = (struct edit){from, at, add_ref(b, SIZE_MAX, url.p, version)};
        *pos = at;
    }
    trib_buf_free(&url);
    return rc;
}

/* The one table function of the engine that writes files. */
static int check_function(const struct binding *b, struct trib_token t, struct trib_err *err)
{
    char *name = token_name(b->sql, t);
    bool bad = name != NULL && strcasecmp(name, "enable_logging") == 0;
    free(name);
    return bad ? trib_err_set(err, TRIB_E_USAGE, "enable_logging() writes files and may not run here") : 0;
}

static int scan(struct binding *b, struct trib_err *err)
{
    size_t pos = 0;
    bool after_dot = false;
    for (;;) {
        struct trib_token t = trib_token_next(b->sql, &pos);
        if (t.kind == TRIB_TOKEN_END) {
            return 0;
        }
        bool dot = after_dot;
        after_dot = trib_token_punct(b->sql, t, ".");
        TRIB_TRY(check_function(b, t, err));
        if (dot) {
            continue;
        }
        const char *schema = schema_of(b->sql, t);
        if (schema != NULL) {
            TRIB_TRY(scan_name(b, schema, &pos, err));
        } else if (trib_token_is(b->sql, t, "delta")) {
            TRIB_TRY(scan_delta(b, t.from, &pos, err));
        }
    }
}

bool trib_sql_names_tables(const char *sql)
{
    struct trib_view v = trib_view_of(sql);
    size_t pos = 0;
    for (;;) {
        struct trib_token t = trib_token_next(v, &pos);
        size_t at = pos;
        if (t.kind == TRIB_TOKEN_END) {
            return false;
        }
        if (schema_of(v, t) != NULL && trib_token_punct(v, trib_token_next(v, &at), ".")) {
            return true;
        }
    }
}

bool trib_sql_shows_tables(const char *sql)
{
    struct trib_view v = {sql, trib_sql_trim(trib_view_of(sql), NULL)};
    size_t pos = 0;
    if (!trib_token_is(v, trib_token_next(v, &pos), "SHOW")) {
        return false;
    }
    struct trib_token t = trib_token_next(v, &pos);
    t = trib_token_is(v, t, "ALL") ? trib_token_next(v, &pos) : t;
    return trib_token_is(v, t, "TABLES") && trib_token_next(v, &pos).kind == TRIB_TOKEN_END;
}

/* ---- views ---- */

static void view_name(const struct binding *b, size_t ref, struct trib_buf *to)
{
    const struct ref *r = &b->refs[ref];
    if (r->table == SIZE_MAX) {
        trib_buf_addf(to, "delta_%zu.delta", ref);
    } else {
        trib_buf_adds(to, b->scope->tables[r->table].schema);
        trib_buf_addc(to, '.');
        trib_sql_ident(to, b->scope->tables[r->table].name);
    }
}

static int pick_version(const struct binding *b, const struct ref *r, const struct trib_delta *t, int64_t *ret,
                        struct trib_err *err)
{
    const struct trib_sql_scope *s = b->scope;
    if (r->version >= 0) {
        *ret = r->version;
    } else if (s->at_version >= 0) {
        *ret = s->at_version;
    } else if (s->at_us >= 0) {
        return trib_delta_version_at(t, s->at_us, ret, err);
    } else {
        *ret = -1;
    }
    return 0;
}

static int make_view(struct binding *b, size_t ref, const struct trib_delta *t, const char *label, struct trib_err *err)
{
    struct ref *r = &b->refs[ref];
    int64_t version;
    TRIB_TRY(pick_version(b, r, t, &version, err));
    struct trib_snapshot s = {.version = -1};
    TRIB_TRY(trib_delta_load(t, version, &s, err));
    int rc = 0;
    struct trib_buf sql;
    trib_buf_init(&sql, SQL_MAX);
    if (s.version < 0) {
        rc = r->table == SIZE_MAX
                 ? trib_err_set(err, TRIB_E_NOT_FOUND,
                                "there is no Delta table; try: give the folder that holds _delta_log")
                 : trib_err_set(err, TRIB_E_NOT_FOUND,
                                "it has no rows yet; try: `tributary run --once`, then the query again");
    } else {
        if (r->table == SIZE_MAX) {
            trib_buf_addf(&sql, "CREATE SCHEMA IF NOT EXISTS delta_%zu; ", ref);
        }
        trib_buf_adds(&sql, "CREATE OR REPLACE VIEW ");
        view_name(b, ref, &sql);
        trib_buf_adds(&sql, " AS ");
        rc = trib_delta_select(t, &s, s.adds, s.n_adds, false, &sql, err);
    }
    if (rc == 0) {
        rc = trib_buf_check(&sql, label, err);
    }
    if (rc == 0) {
        rc = trib_exec(b->scope->conn, sql.p, err);
    }
    if (rc == 0) {
        r->bound = s.version;
    }
    trib_buf_free(&sql);
    trib_snapshot_free(&s);
    return rc;
}

static int bind_catalogued(struct binding *b, size_t ref, struct trib_err *err)
{
    const struct trib_catalog_table *c = &b->scope->tables[b->refs[ref].table];
    struct trib_delta t = trib_env_delta(b->scope->env, b->scope->conn, trib_strdup(c->path));
    int rc = make_view(b, ref, &t, c->name, err);
    free(t.path);
    return rc == 0 ? 0 : trib_err_wrap(err, "%s.\"%s\"", c->schema, c->name);
}

static int bind_path(struct binding *b, size_t ref, struct trib_err *err)
{
    const struct trib_env *env = b->scope->env;
    struct trib_store *store = NULL;
    TRIB_TRY(trib_store_open_with(env->fs, env->remote, b->refs[ref].url, &store, err));
    char root[] = "";
    struct trib_delta t = {.store = store,
                           .path = root,
                           .conn = b->scope->conn,
                           .clock = env->clock,
                           .rng = env->rng,
                           .scratch = env->scratch};
    int rc = make_view(b, ref, &t, b->refs[ref].url, err);
    trib_store_free(store);
    return rc == 0 ? 0 : trib_err_wrap(err, "delta('%s')", b->refs[ref].url);
}

static int bind_refs(struct binding *b, struct trib_err *err)
{
    const struct trib_sql_scope *s = b->scope;
    if (s->at_version >= 0) {
        if (b->n_refs != 1) {
            return trib_err_set(
                err, TRIB_E_USAGE,
                "a version is that of one table, and the query reads %zu; try: a timestamp applies to all tables, "
                "delta('PATH', version := N) to one",
                b->n_refs);
        }
        if (b->refs[0].version >= 0) {
            return trib_err_set(err, TRIB_E_USAGE, "the query gives delta() a version already");
        }
    }
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++) {
        /* Views of an earlier text must not answer for this one. */
        TRIB_TRY(
            trib_execf(s->conn, err, "DROP SCHEMA IF EXISTS %s CASCADE; CREATE SCHEMA %s", schemas[i], schemas[i]));
    }
    for (size_t i = 0; i < b->n_refs; i++) {
        TRIB_TRY(b->refs[i].table == SIZE_MAX ? bind_path(b, i, err) : bind_catalogued(b, i, err));
    }
    return 0;
}

static char *edited(const struct binding *b)
{
    struct trib_buf to;
    trib_buf_init(&to, SIZE_MAX / 2);
    trib_buf_adds(&to, "");
    size_t from = 0, end = trib_sql_trim(b->sql, NULL);
    for (size_t i = 0; i < b->n_edits; i++) {
        trib_buf_add(&to, b->sql.p + from, b->edits[i].from - from);
        view_name(b, b->edits[i].ref, &to);
        from = b->edits[i].to;
    }
    trib_buf_add(&to, b->sql.p + from, end > from ? end - from : 0);
    return trib_buf_take(&to);
}

/* ---- a text that does not bind ---- */

void trib_sql_table_name(struct trib_buf *to, const struct trib_catalog_table *t)
{
    bool plain = t->name[strspn(t->name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0' &&
                 (t->name[0] < '0' || t->name[0] > '9');
    trib_buf_addf(to, "%s.", t->schema);
    if (plain) {
        trib_buf_adds(to, t->name);
    } else {
        trib_sql_ident(to, t->name);
    }
}

/* The catalogue's table nearest to a name with or without schema; SIZE_MAX. */
static size_t nearest_table(const struct trib_sql_scope *s, const char *name)
{
    bool qualified = strchr(name, '.') != NULL;
    const char **names = trib_calloc(s->n_tables + 1, sizeof *names);
    char **made = trib_calloc(s->n_tables + 1, sizeof *made);
    for (size_t i = 0; i < s->n_tables; i++) {
        made[i] =
            qualified ? trib_asprintf("%s.%s", s->tables[i].schema, s->tables[i].name) : trib_strdup(s->tables[i].name);
        names[i] = made[i];
    }
    const char *near = trib_nearest(name, names, s->n_tables);
    size_t ret = SIZE_MAX;
    for (size_t i = 0; i < s->n_tables; i++) {
        if (near == names[i]) {
            ret = i;
        }
    }
    for (size_t i = 0; i < s->n_tables; i++) {
        free(made[i]);
    }
    free(made);
    free(names);
    return ret;
}

static int no_such_table(const struct trib_sql_scope *s, const char *name, struct trib_err *err)
{
    struct trib_buf b;
    trib_buf_init(&b, 4096);
    size_t near = nearest_table(s, name);
    if (near != SIZE_MAX) {
        trib_buf_adds(&b, "; try: ");
        trib_sql_table_name(&b, &s->tables[near]);
    } else if (s->n_tables == 0) {
        trib_buf_adds(
            &b,
            "; try: tables of the lake are named bronze.\"NAME\", silver.NAME, gold.NAME; delta('PATH') reads any Delta table");
    } else {
        trib_buf_adds(&b, "; try one of: ");
        for (size_t i = 0; i < s->n_tables && b.n < 400; i++) {
            trib_buf_adds(&b, i > 0 ? ", " : "");
            trib_sql_table_name(&b, &s->tables[i]);
        }
    }
    int rc = trib_err_set(err, TRIB_E_USAGE, "there is no table %s%s", name, b.p);
    trib_buf_free(&b);
    return rc;
}

/* The engine's words about the text itself are about usage; that a table is missing is said with the nearest one. */
static int explain(const struct binding *b, struct trib_err *err)
{
    static const char missing[] = "Table with name ";
    if (err->code != TRIB_E_DATA) {
        return (int)err->code;
    }
    const char *at = strstr(err->msg, missing);
    if (at != NULL) {
        at += strlen(missing);
        const char *end = strstr(at, " does not exist");
        char *name = trib_strndup(at, end == NULL ? 0 : (size_t)(end - at));
        size_t n = strlen(name), u = b->unknown == NULL ? 0 : strlen(b->unknown);
        bool same = u > n && n > 0 && strcasecmp(b->unknown + u - n, name) == 0 && b->unknown[u - n - 1] == '.';
        int rc = n > 0 ? no_such_table(b->scope, same ? b->unknown : name, err) : 0;
        free(name);
        if (rc != 0) {
            return rc;
        }
    }
    err->code = TRIB_E_USAGE;
    return TRIB_E_USAGE;
}

int trib_sql_bind(const struct trib_sql_scope *scope, const char *sql, char **ret_sql,
                  struct trib_sql_input **ret_inputs, size_t *ret_n, struct trib_err *err)
{
    struct trib_err local = {0};
    if (err == NULL) {
        err = &local;
    }
    struct binding b = {.scope = scope, .sql = trib_view_of(sql)};
    char *text = NULL;
    int rc = trib_query_begins(sql, err);
    if (rc == 0) {
        rc = scan(&b, err);
    }
    if (rc == 0) {
        rc = bind_refs(&b, err);
    }
    if (rc == 0) {
        text = edited(&b);
        rc = trib_query_reads(scope->conn, text, err);
        if (rc != 0) {
            rc = explain(&b, err);
        }
    }
    if (rc == 0) {
        struct trib_sql_input *inputs = trib_calloc(b.n_refs + 1, sizeof *inputs);
        size_t n = 0;
        for (size_t i = 0; i < b.n_refs; i++) {
            if (b.refs[i].table != SIZE_MAX) {
                inputs[n++] = (struct trib_sql_input){b.refs[i].table, b.refs[i].bound};
            }
        }
        *ret_sql = text;
        *ret_inputs = inputs;
        *ret_n = n;
    } else {
        free(text);
    }
    binding_free(&b);
    return rc;
}
