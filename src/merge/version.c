/*
 * The order of changes by a version of the user's own (silver.sequence; merge.md, The order of changes; docs/decisions/0010).
 *
 * Owns the extra columns of ev: txt (the stream's own sequence), ver (the version that a record carries, encoded; NULL: none) and
 * low (an incremental export's OldImage, which is older than what was removed). seq = epoch, version, txt.
 *
 * Invariants:
 *  1. An upsert without a version is no event: it goes to quarantine when its batch is merged, and is left out ever after.
 *  2. A delete without one takes the version of the newest record of its key that has one, in the stream's order, up to itself and in its
 *     own epoch; none: the lowest of the epoch. So its rank depends on what Bronze holds of the key, not on when it came, and not
 *     on Silver's state.
 *  3. Where a batch holds such a delete, or a record that could move an older one, the key is folded again from all of Bronze.
 *
 * Runs on the step's thread, its functions on the engine's. Nothing here is durable but the quarantine's commit.
 */
#include <stdlib.h>

#include "dynamodb/change.h"
#include "dynamodb/json.h"
#include "merge/own.h"

enum { VERSION_MAX = 2 << 20, NESTING = 128 }; /* an escape takes three bytes; an item has at most 400 KB */

enum from { FROM_ITEM, FROM_NUMBER, FROM_TEXT };

struct source {
    enum from from;
    struct trib_view attribute;
    char *name;
};

struct trib_version {
    char *attribute;
    struct source of[3]; /* by enum from */
};

/* A JSON string without its quotes → its text in *text [clears it]. */
static bool plain(struct trib_view raw, bool escaped, struct trib_buf *text)
{
    trib_buf_clear(text);
    if (!escaped) {
        trib_buf_add(text, raw.n == 0 ? "" : raw.p, raw.n);
        return true;
    }
    ssize_t n = trib_json_unescape(raw, trib_buf_reserve(text, raw.n));
    text->n = n < 0 ? 0 : (size_t)n;
    return n >= 0;
}

/* The attribute of an item in DynamoDB JSON: true when it is there as S or N; its payload in *text. */
static bool find(struct trib_view item, struct trib_view attribute, enum trib_attr_type *ret, struct trib_buf *text)
{
    struct trib_json j = trib_json_of(item);
    struct trib_view raw;
    bool escaped;
    if (!trib_json_take(&j, '{')) {
        return false;
    }
    while (trib_json_text(&j, &raw, &escaped) && trib_json_take(&j, ':')) {
        if (plain(raw, escaped, text) && text->n == attribute.n && memcmp(text->p, attribute.p, attribute.n) == 0) {
            return trib_typed_open(&j, ret) && (*ret == TRIB_A_S || *ret == TRIB_A_N) &&
                   trib_json_text(&j, &raw, &escaped) && plain(raw, escaped, text);
        }
        if (!trib_json_skip(&j, NESTING, NULL) || !trib_json_take(&j, ',')) {
            return false;
        }
    }
    return false;
}

static int version_call(void *ctx, void *state, const struct trib_vec *args, size_t n, struct trib_vec *out,
                        struct trib_arena *arena, struct trib_err *err)
{
    const struct source *s = ctx;
    struct trib_buf text, version;
    trib_buf_init(&text, VERSION_MAX);
    trib_buf_init(&version, VERSION_MAX);
    int rc = 0;
    (void)state;
    for (size_t i = 0; i < n && rc == 0; i++) {
        enum trib_attr_type type = s->from == FROM_NUMBER ? TRIB_A_N : TRIB_A_S;
        bool there = !trib_vec_is_null(&args[0], i);
        struct trib_view value =
            there ? trib_str_view(&((const struct trib_str *)args[0].data)[i]) : (struct trib_view){NULL, 0};
        if (there && s->from == FROM_ITEM) {
            there = find(value, s->attribute, &type, &text);
            value = trib_buf_view(&text);
        }
        trib_buf_clear(&version);
        if (!there || !trib_sequence_version(type, value, &version)) {
            trib_vec_null(out, i);
            continue;
        }
        rc = trib_buf_check(&version, "version", err);
        const char *p = rc == 0 ? trib_arena_strndup(arena, version.p, version.n) : "";
        ((struct trib_str *)out->data)[i] = trib_str_make(p, rc == 0 ? version.n : 0);
    }
    trib_buf_free(&text);
    trib_buf_free(&version);
    return rc;
}

int trib_version_new(struct trib_conn *c, const char *prefix, const char *attribute, struct trib_version **ret,
                     struct trib_err *err)
{
    static const struct trib_type text = {.id = TRIB_T_STRING};
    static const char *const suffix[] = {"item", "number", "text"};
    struct trib_version *v = trib_calloc(1, sizeof *v);
    v->attribute = trib_strdup(attribute);
    struct trib_type args = trib_type_simple(TRIB_T_STRUCT);
    (void)trib_type_add(&args, "text", trib_type_simple(TRIB_T_STRING));
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++) {
        v->of[i] = (struct source){(enum from)i, trib_view_of(v->attribute), trib_asprintf("%s_%s", prefix, suffix[i])};
        struct trib_function f = {
            .name = v->of[i].name, .args = &args, .result = &text, .call = version_call, .ctx = &v->of[i]};
        rc = trib_function_register(c, &f, err);
    }
    trib_type_free(&args);
    if (rc != 0) {
        trib_version_free(v);
        return rc;
    }
    *ret = v;
    return 0;
}

void trib_version_free(struct trib_version *v)
{
    if (v == NULL) {
        return;
    }
    for (int i = 0; i < 3; i++) {
        free(v->of[i].name);
    }
    free(v->attribute);
    free(v);
}

/* The version that an image carries, or NULL. Plain columns are read as they are; what was rescued wins over its column. */
static void version_sql(const struct merge_run *r, const char *item, const char *rescued, struct trib_buf *sql)
{
    const struct trib_version *v = r->m->version;
    const struct trib_field *f = trib_item_find(r->b_item, v->attribute);
    const char *type = f == NULL ? "" : trib_field_meta(f, "dynamodb.type");
    bool number = type != NULL && strcmp(type, "N") == 0, text = type != NULL && strcmp(type, "S") == 0;
    bool direct = f == NULL || ((number || text) && f->type.id == TRIB_T_STRING) ||
                  (number && (f->type.id == TRIB_T_LONG || f->type.id == TRIB_T_DECIMAL));
    struct trib_buf name;
    trib_buf_init(&name, 1 << 20);
    trib_json_string(&name, trib_view_of(v->attribute));
    trib_buf_adds(&name, ":");
    trib_buf_adds(sql, "CASE WHEN ");
    if (!direct) {
        trib_buf_addf(sql, "(%s).", item);
        trib_sql_ident(sql, f->name);
        trib_buf_adds(sql, " IS NOT NULL OR ");
    }
    trib_buf_addf(sql, "contains(%s, ", rescued);
    trib_sql_literal(sql, trib_buf_view(&name));
    trib_buf_addf(sql, ") THEN %s(", v->of[FROM_ITEM].name);
    trib_convert_text_sql(r->m->in, item, rescued, sql);
    trib_buf_adds(sql, ")");
    if (direct && f != NULL) {
        trib_buf_addf(sql, " ELSE %s(CAST((%s).", v->of[number ? FROM_NUMBER : FROM_TEXT].name, item);
        trib_sql_ident(sql, f->name);
        trib_buf_adds(sql, " AS VARCHAR))");
    }
    trib_buf_adds(sql, " END");
    trib_buf_free(&name);
}

void trib_merge_version_columns(const struct merge_run *r, struct trib_buf *sql)
{
    trib_buf_adds(sql, "_sequence AS txt, ");
    /* What a delete removed; an incremental export's OldImage precedes its window, and is a lower bound only. */
    struct trib_buf old;
    trib_buf_init(&old, TRIB_SQL_MAX);
    if (r->b_old) {
        version_sql(r, "old_record", "_rescued_old_data", &old);
    } else {
        trib_buf_adds(&old, "CAST(NULL AS VARCHAR)");
    }
    trib_buf_adds(sql, "CASE WHEN op <> 'REMOVE' AND (up OR v IS NOT NULL) THEN v WHEN _origin <> 'export' THEN ");
    trib_buf_addf(sql, "%s END AS ver, CASE WHEN NOT up AND _origin = 'export' THEN %s END AS low, ", old.p, old.p);
    trib_buf_adds(sql, "substr(_sequence, 1, 5) || ver || '-' || _sequence AS seq, ");
    trib_buf_free(&old);
}

void trib_merge_version_of_new(const struct merge_run *r, struct trib_buf *sql)
{
    trib_buf_adds(sql, "CASE WHEN op <> 'REMOVE' THEN ");
    version_sql(r, "record", "_rescued_data", sql);
    trib_buf_adds(sql, " END AS v, ");
}

void trib_merge_sequence_of_new(const struct merge_run *r, struct trib_buf *sql)
{
    if (r->m->version == NULL) {
        trib_buf_adds(sql, "_sequence");
        return;
    }
    trib_buf_adds(sql, "substr(_sequence, 1, 5) || ");
    version_sql(r, "b.record", "b._rescued_data", sql);
    trib_buf_adds(sql, " || '-' || _sequence");
}

int trib_merge_unversioned(struct merge_run *r, bool batch, struct trib_err *err)
{
    if (r->m->version == NULL) {
        return 0;
    }
    struct trib_conn *c = r->m->conn;
    int64_t n = 0;
    if (batch) {
        TRIB_TRY(
            trib_exec(c, "CREATE OR REPLACE TEMP TABLE rejected AS SELECT f, p FROM ev WHERE up AND ver IS NULL", err));
        TRIB_TRY(trib_query_i64(c, "SELECT count(*) FROM rejected", 0, &n, err));
    }
    if (n > 0) {
        char *why = trib_asprintf("has no attribute \"%s\" of type S or N, which orders the records (silver.sequence)",
                                  r->m->version->attribute);
        int rc = trib_merge_quarantine(r, "no version", why, err);
        free(why);
        TRIB_TRY(rc);
    }
    return batch && n == 0 ? 0 : trib_exec(c, "DELETE FROM ev WHERE up AND ver IS NULL", err);
}

int trib_merge_unversioned_before(struct merge_run *r, struct trib_err *err)
{
    struct trib_buf sql;
    trib_buf_init(&sql, TRIB_SQL_MAX);
    trib_buf_adds(&sql, "CREATE OR REPLACE TEMP TABLE open_before AS SELECT max(txt) AS txt FROM (SELECT ");
    trib_merge_event_sql(r, &sql);
    trib_buf_adds(&sql, " FROM (");
    int rc = trib_merge_bronze_select(r, r->n_batch, r->n_files, &sql, err);
    trib_buf_adds(&sql, ")) WHERE NOT up AND ver IS NULL");
    if (rc == 0) {
        rc = trib_exec_buf(r->m->conn, &sql, err);
    }
    trib_buf_free(&sql);
    return rc;
}

/* What Silver's row remembers of records that Bronze has no more: their texts and versions. */
static void silver_parts(const struct merge_run *r, const char *keys, struct trib_buf *sql)
{
    static const char *const part[] = {"s_seq", "s_del"};
    for (size_t i = 0; i < 2; i++) {
        trib_buf_addf(sql,
                      " UNION ALL SELECT %s, right(%s, %d) AS txt, nullif(substr(%s, 6, length(%s) - %d), '') AS ver, "
                      "false AS open FROM sv SEMI JOIN opens USING (%s) WHERE %s IS NOT NULL AND NOT EXISTS "
                      "(SELECT 1 FROM ev WHERE ev.txt = right(%s, %d) AND ",
                      keys, part[i], TRIB_SEQUENCE_LEN, part[i], part[i], TRIB_SEQUENCE_LEN + 6, keys, part[i], part[i],
                      TRIB_SEQUENCE_LEN);
        trib_merge_key_match(r, "ev", "sv", sql);
        trib_buf_adds(sql, ")");
    }
}

int trib_merge_ranks(struct merge_run *r, bool silver, struct trib_err *err)
{
    struct trib_conn *c = r->m->conn;
    int64_t n = 0;
    if (r->m->version == NULL) {
        return 0;
    }
    struct trib_buf keys, sql;
    trib_buf_init(&keys, 256);
    trib_buf_init(&sql, 16384);
    trib_merge_key_list(r, "", &keys);
    int rc = trib_execf(c, err, "CREATE OR REPLACE TEMP TABLE opens AS SELECT DISTINCT %s FROM ev WHERE ver IS NULL",
                        keys.p);
    if (rc == 0) {
        rc = trib_query_i64(c, "SELECT count(*) FROM opens", 0, &n, err);
    }
    if (rc == 0 && n > 0) {
        const char *k = keys.p;
        trib_buf_addf(
            &sql,
            "CREATE OR REPLACE TEMP TABLE ranks AS WITH e AS (SELECT %s, txt, ver, ver IS NULL AS open FROM ev "
            "SEMI JOIN opens USING (%s)",
            k, k);
        if (silver) {
            silver_parts(r, k, &sql);
        }
        trib_buf_addf(
            &sql,
            "), g AS (SELECT %s, txt, max(ver) AS ver, bool_or(open) AS open FROM e GROUP BY ALL) "
            "SELECT * FROM (SELECT %s, txt, open, last_value(ver IGNORE NULLS) OVER (PARTITION BY %s, "
            "substr(txt, 1, 4) ORDER BY txt ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS ver FROM g) "
            "WHERE open; UPDATE ev SET seq = substr(ev.txt, 1, 5) || coalesce(greatest(ranks.ver, ev.low), '') "
            "|| '-' || ev.txt FROM ranks WHERE ev.ver IS NULL AND ev.txt = ranks.txt AND ",
            k, k, k);
        trib_merge_key_match(r, "ev", "ranks", &sql);
        rc = trib_exec_buf(c, &sql, err);
    }
    trib_buf_free(&sql);
    trib_buf_free(&keys);
    return rc;
}
