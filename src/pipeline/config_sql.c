/*
 * The SQL of a config: conditions must parse, marts must be one SELECT over tables that there are. For `validate`, which
 * alone opens the engine for it. Reads the SQL files, writes nothing.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/near.h"
#include "engine/engine.h"
#include "engine/token.h"
#include "os/fs.h"
#include "pipeline/config_own.h"
#include "pipeline/pipeline.h"

enum { SQL_MAX = 1 << 20 };

struct sql_check {
    const struct trib_config *config;
    struct trib_conn *conn;
    struct trib_buf *report;
    struct trib_catalog_table *catalog;
    size_t n_catalog;
    bool *reads; /* n_gold × n_gold: mart a reads mart b */
    size_t mart; /* that is looked at */
};

/* The statements as the engine's parser sees them; {"error":true,…} when it does not. [out] json_decref */
static int parse_sql(struct trib_conn *conn, struct trib_view sql, json_t **ret, struct trib_err *err)
{
    struct trib_buf q;
    trib_buf_init(&q, (size_t)4 * SQL_MAX);
    trib_buf_adds(&q, "SELECT json_serialize_sql(");
    trib_sql_literal(&q, sql);
    trib_buf_adds(&q, ")");
    struct trib_result *res = NULL;
    const struct trib_chunk *chunk = NULL;
    int rc = trib_buf_check(&q, "SQL", err);
    if (rc == 0) {
        rc = trib_query(conn, q.p, &res, err);
    }
    if (rc == 0 && (rc = trib_result_next(res, &chunk, err)) == 0) {
        struct trib_view text = trib_str_view(&((const struct trib_str *)chunk->cols[0].data)[0]);
        *ret = json_loadb(text.p, text.n, JSON_DECODE_INT_AS_REAL, NULL); /* positions may be 2^64-1 */
        if (*ret == NULL) {
            rc = trib_err_set(err, TRIB_E_INTERNAL, "the engine's parser gave no answer");
        }
    }
    trib_result_free(res);
    trib_buf_free(&q);
    return rc;
}

/* Why it does not parse; NULL when it does. *ret_at: the character, -1 unknown. [borrow] */
static const char *parse_error(const json_t *parsed, long *ret_at)
{
    const char *type = json_string_value(json_object_get(parsed, "error_type")),
               *at = json_string_value(json_object_get(parsed, "position"));
    *ret_at = at != NULL ? strtol(at, NULL, 10) : -1;
    if (!json_is_true(json_object_get(parsed, "error")) || (type != NULL && strcmp(type, "not implemented") == 0)) {
        return NULL; /* not implemented: SQL that has no such form, PIVOT for one; the mart itself will tell */
    }
    const char *why = json_string_value(json_object_get(parsed, "error_message"));
    return why != NULL ? why : "cannot be parsed";
}

/* A message of the parser on one line. */
static void add_message(struct trib_buf *to, const char *text)
{
    for (; *text != '\0'; text++) {
        trib_buf_addc(to, *text == '\n' || *text == '\r' ? ' ' : *text);
    }
    trib_buf_addc(to, '\n');
}

/* FILE:LINE:COLUMN of a place in a text. The engine counts bytes in its tree, and characters in its syntax errors. */
static void add_at(struct sql_check *s, const char *file, struct trib_view text, long at, bool characters)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; at > 0 && i < text.n; i++) {
        bool begins = ((unsigned char)text.p[i] & 0xC0) != 0x80;
        at -= !characters || begins;
        column = text.p[i] == '\n' ? 1 : column + begins;
        line += text.p[i] == '\n';
    }
    trib_buf_addf(s->report, "%s:%zu:%zu: ", file, line, column);
}

static int check_where(struct sql_check *s, const struct trib_cfg_silver *silver, struct trib_err *err)
{
    char *sql = trib_asprintf("SELECT 1 WHERE (%s\n)", silver->where);
    json_t *parsed = NULL;
    long at;
    int rc = parse_sql(s->conn, trib_view_of(sql), &parsed, err);
    const char *why = rc == 0 ? parse_error(parsed, &at) : NULL;
    if (why != NULL) {
        trib_buf_addf(s->report, "%s:%zu:%zu: `silver.where` is no SQL condition: ", s->config->file,
                      silver->where_line, silver->where_column);
        static const char ours[] = "\n)\""; /* the end of the text at fault is that of the brackets around it */
        const char *end = strstr(why, ours);
        TRIB_CLEANUP(trib_cleanup_free)
        char *message =
            end == NULL ? trib_strdup(why) : trib_asprintf("%.*s\"%s", (int)(end - why), why, end + sizeof ours - 1);
        add_message(s->report, message);
    }
    json_decref(parsed);
    free(sql);
    return rc;
}

static bool in_catalog(const struct sql_check *s, const char *schema, const char *name)
{
    for (size_t i = 0; i < s->n_catalog; i++) {
        if (strcasecmp(s->catalog[i].schema, schema) == 0 && strcasecmp(s->catalog[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void unknown_table(struct sql_check *s, const char *file, struct trib_view text, const json_t *node,
                          const char *schema, const char *name)
{
    const char **names = trib_malloc((s->n_catalog + 1) * sizeof *names);
    size_t n = 0;
    for (size_t i = 0; i < s->n_catalog; i++) {
        if (strcasecmp(s->catalog[i].schema, schema) == 0) {
            names[n++] = s->catalog[i].name;
        }
    }
    const char *near = trib_nearest(name, names, n);
    const json_t *where = json_object_get(node, "query_location");
    add_at(s, file, text, json_is_number(where) && json_number_value(where) < 1e9 ? (long)json_number_value(where) : 0,
           false);
    trib_buf_addf(s->report,
                  near != NULL ? "there is no table %s.%s; did you mean %s.%s?\n" : "there is no table %s.%s\n", schema,
                  name, schema, near);
    free(names);
}

/* The mart at hand reads another: the catalogue has them in their order, behind all other tables. */
static void note_input(struct sql_check *s, const char *name)
{
    size_t gold = 0;
    for (size_t i = 0; i < s->n_catalog; i++) {
        if (strcmp(s->catalog[i].schema, "gold") == 0) {
            if (strcasecmp(s->catalog[i].name, name) == 0 && s->reads != NULL) {
                s->reads[s->mart * s->config->n_gold + gold] = true;
            }
            gold++;
        }
    }
}

/* Marts that wait for each other would wait for ever. */
static void check_circles(struct sql_check *s)
{
    size_t n = s->config->n_gold;
    for (size_t via = 0; via < n; via++) { /* whatever is reached over others is read too */
        for (size_t a = 0; a < n; a++) {
            for (size_t b = 0; b < n && s->reads[a * n + via]; b++) {
                s->reads[a * n + b] = s->reads[a * n + b] || s->reads[via * n + b];
            }
        }
    }
    for (size_t a = 0; a < n; a++) {
        if (s->reads[a * n + a]) {
            const struct trib_cfg_mart *m = &s->config->gold[a];
            trib_buf_addf(s->report, "%s:%zu:%zu: gold %s/%s reads itself, directly or through other marts\n",
                          s->config->file, m->line, m->column, m->subject, m->name);
        }
    }
}

/* Tables named with one of our schemas, anywhere in the tree. */
static void walk(struct sql_check *s, const char *file, struct trib_view text, json_t *node, unsigned depth)
{
    static const char *const schemas[] = {"bronze", "silver", "gold", "quarantine"};
    if (depth > 1000) {
        return;
    }
    const char *type = json_string_value(json_object_get(node, "type"));
    const char *schema = json_string_value(json_object_get(node, "schema_name")),
               *name = json_string_value(json_object_get(node, "table_name"));
    for (size_t i = 0; type != NULL && strcmp(type, "BASE_TABLE") == 0 && schema != NULL && name != NULL && i < 4;
         i++) {
        if (strcasecmp(schema, schemas[i]) == 0 && !in_catalog(s, schema, name)) {
            unknown_table(s, file, text, node, schema, name);
        }
        if (strcasecmp(schema, "gold") == 0) {
            note_input(s, name);
        }
    }
    size_t i;
    json_t *child;
    const char *key;
    if (json_is_object(node)) {
        json_object_foreach(node, key, child) { walk(s, file, text, child, depth + 1); }
    }
    json_array_foreach(node, i, child) { walk(s, file, text, child, depth + 1); }
}

static int check_mart(struct sql_check *s, const struct trib_cfg_mart *mart, struct trib_err *err)
{
    struct trib_buf text;
    trib_buf_init(&text, SQL_MAX);
    json_t *parsed = NULL;
    int rc = trib_fs_real.read(trib_fs_real.ctx, mart->sql_path, 0, -1, &text, err);
    if (rc != 0) {
        trib_buf_addf(s->report, "%s:%zu:%zu: `gold.sql`: %s\n", s->config->file, mart->line, mart->column, err->msg);
        trib_buf_free(&text);
        return 0;
    }
    size_t statements = 0;
    struct trib_view sql = trib_buf_view(&text);
    sql.n = trib_sql_trim(sql, &statements);
    if (statements != 1) {
        trib_buf_addf(s->report, "%s:1:1: one SELECT is needed, here are %zu statements\n", mart->sql_path, statements);
    } else if ((rc = parse_sql(s->conn, sql, &parsed, err)) == 0) {
        long at;
        const char *why = parse_error(parsed, &at);
        if (why != NULL) {
            add_at(s, mart->sql_path, sql, at, true);
            add_message(s->report, why);
        } else {
            walk(s, mart->sql_path, sql, parsed, 0);
        }
    }
    json_decref(parsed);
    trib_buf_free(&text);
    return rc;
}

bool trib_config_has_sql(const struct trib_config *c)
{
    for (size_t i = 0; i < c->n_tables; i++) {
        for (size_t k = 0; k < c->tables[i].n_silver; k++) {
            if (c->tables[i].silver[k].where != NULL) {
                return true;
            }
        }
    }
    return c->n_gold > 0;
}

int trib_config_check_sql(const struct trib_config *c, struct trib_conn *conn, char **ret_report, struct trib_err *err)
{
    struct trib_buf report;
    trib_buf_init(&report, (size_t)8 << 20);
    struct sql_check s = {.config = c, .conn = conn, .report = &report};
    trib_catalog_make(c, &s.catalog, &s.n_catalog);
    int rc = 0;
    for (size_t i = 0; i < c->n_tables && rc == 0; i++) {
        for (size_t k = 0; k < c->tables[i].n_silver && rc == 0; k++) {
            rc = c->tables[i].silver[k].where != NULL ? check_where(&s, &c->tables[i].silver[k], err) : 0;
        }
    }
    s.reads = trib_calloc(c->n_gold * c->n_gold + 1, sizeof *s.reads);
    for (size_t i = 0; i < c->n_gold && rc == 0; i++) {
        s.mart = i;
        rc = check_mart(&s, &c->gold[i], err);
    }
    if (rc == 0) {
        check_circles(&s);
    }
    free(s.reads);
    trib_catalog_free(s.catalog, s.n_catalog);
    if (rc == 0 && report.n > 0) {
        trib_config_redact(c, &report);
        rc = trib_err_set(err, TRIB_E_CONFIG, "%.*s", (int)strcspn(report.p, "\n"), report.p);
        *ret_report = trib_buf_take(&report);
    }
    trib_buf_free(&report);
    return rc;
}
