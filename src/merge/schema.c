/*
 * The target's schema after a batch: Bronze's attributes are adopted (a target with `where` looks at its own rows),
 * and bigint leaves widen where rescued numbers ask for it. Own columns follow the attributes of the first batch;
 * attributes that come later go last.
 */
#include <stdlib.h>

#include "merge/own.h"

size_t trib_merge_own_columns(const struct trib_merge *m, const char *names[8], enum trib_type_id types[8])
{
    size_t n = 0;
    names[n] = m->o.updated_at;
    types[n++] = TRIB_T_TIMESTAMP;
    if (!m->o.hard_deletes) {
        if (!m->o.history) {
            names[n] = m->o.is_deleted;
            types[n++] = TRIB_T_BOOLEAN;
        }
        names[n] = "_deleted_sequence";
        types[n++] = TRIB_T_STRING;
    }
    names[n] = "_sequence";
    types[n++] = TRIB_T_STRING;
    if (m->o.history) {
        names[n] = "__START_AT";
        types[n++] = TRIB_T_STRING;
        names[n] = "__END_AT";
        types[n++] = TRIB_T_STRING;
        names[n] = "_valid_from";
        types[n++] = TRIB_T_TIMESTAMP;
        names[n] = "_valid_to";
        types[n++] = TRIB_T_TIMESTAMP;
    }
    return n;
}

int trib_merge_infer_query(struct trib_conn *c, const char *sql, struct trib_infer *in, struct trib_err *err)
{
    struct trib_result *res = NULL;
    TRIB_TRY(trib_query(c, sql, &res, err));
    int rc;
    const struct trib_chunk *chunk;
    while ((rc = trib_result_next(res, &chunk, err)) == 0 && chunk->rows > 0) {
        for (size_t i = 0; i < chunk->rows && rc == 0; i++) {
            if (!trib_vec_is_null(&chunk->cols[0], i)) {
                rc = trib_infer_item(in, trib_str_view(&((const struct trib_str *)chunk->cols[0].data)[i]), false, err);
            }
        }
        if (rc != 0) {
            break;
        }
    }
    trib_result_free(res);
    return rc;
}

/* Texts that the schema must learn from: whole items of a target's own rows, or what Bronze rescued (for widening). */
static int learn(struct merge_run *r, bool whole, struct trib_infer *in, struct trib_err *err)
{
    struct trib_merge *m = r->m;
    struct trib_buf sql, from;
    trib_buf_init(&sql, TRIB_SQL_MAX);
    trib_buf_init(&from, TRIB_SQL_MAX);
    int rc = trib_merge_bronze_select(r, 0, r->n_batch, &from, err);
    for (int old = 0; rc == 0 && old < (r->b_old && !m->o.hard_deletes ? 2 : 1); old++) {
        const char *item = old ? "old_record" : "record", *rescued = old ? "_rescued_old_data" : "_rescued_data";
        trib_buf_clear(&sql);
        trib_buf_adds(&sql, "SELECT ");
        if (whole) {
            trib_convert_text_sql(m->in, item, rescued, &sql);
        } else {
            trib_buf_adds(&sql, rescued);
        }
        trib_buf_addf(&sql, " FROM (%s) WHERE op %s 'REMOVE'", from.p, old ? "=" : "<>");
        if (!whole) {
            trib_buf_addf(&sql, " AND contains(%s, '\"N')", rescued);
        }
        if (m->where != NULL) {
            trib_buf_adds(&sql, " AND ");
            trib_where_sql(m->where, item, rescued, &sql);
        }
        rc = trib_buf_check(&sql, "statement", err);
        if (rc == 0) {
            rc = trib_merge_infer_query(m->conn, sql.p, in, err);
        }
    }
    trib_buf_free(&sql);
    trib_buf_free(&from);
    return rc;
}

/* The whole schema: key columns first in a new table; in an old one its order stays and new attributes go last. */
static void assemble(struct merge_run *r)
{
    const struct trib_merge *m = r->m;
    r->schema = trib_type_simple(TRIB_T_STRUCT);
    for (int pass = 0; pass < 3; pass++) {
        if (pass == 1 && r->s.version < 0) {
            for (size_t i = 0; i < r->new_item.n_fields; i++) {
                struct trib_field *f = &r->new_item.fields[i];
                if (trib_type_find(&r->schema, f->name) == NULL) {
                    (void)trib_type_add_copy(&r->schema, f);
                }
            }
            const char *names[8];
            enum trib_type_id types[8];
            size_t n = trib_merge_own_columns(m, names, types);
            for (size_t i = 0; i < n; i++) {
                (void)trib_type_add(&r->schema, names[i], trib_type_simple(types[i]));
            }
            (void)trib_type_add(&r->schema, "_rescued_data", trib_type_simple(TRIB_T_STRING));
        } else if (pass == 0 && r->s.version < 0) {
            for (size_t k = 0; k < m->o.n_keys; k++) {
                const struct trib_field *f = trib_item_find(&r->new_item, m->o.keys[k]);
                (void)trib_type_add_copy(&r->schema, f);
            }
        } else if (pass == 0) {
            for (size_t i = 0; i < r->s.schema.n_fields; i++) {
                const struct trib_field *f = &r->s.schema.fields[i];
                const char *a = trib_field_attribute(f);
                const struct trib_field *now = a == NULL ? f : trib_item_find(&r->new_item, a);
                (void)trib_type_add_copy(&r->schema, now == NULL ? f : now);
            }
        } else if (pass == 2) {
            for (size_t i = 0; i < r->new_item.n_fields; i++) {
                const struct trib_field *f = &r->new_item.fields[i];
                if (trib_type_find(&r->schema, f->name) == NULL) {
                    (void)trib_type_add_copy(&r->schema, f);
                }
            }
        }
    }
}

/* Makes *slot a converter for these schemas, unless it is one. */
static int converter(struct trib_merge *m, struct trib_convert **slot, const char *what, const struct trib_type *from,
                     const struct trib_type *to, struct trib_err *err)
{
    if (trib_convert_is(*slot, from, to)) {
        return 0;
    }
    trib_convert_free(*slot);
    *slot = NULL;
    char *prefix = trib_asprintf("trib_%p_%s_%u", (void *)m, what, m->serial++);
    int rc = trib_convert_new(m->conn, prefix, from, to, &m->o.schema, slot, err);
    free(prefix);
    return rc;
}

static int compile(struct merge_run *r, struct trib_err *err)
{
    struct trib_merge *m = r->m;
    TRIB_TRY(converter(m, &m->in, "in", r->b_item, &r->new_item, err));
    if (m->o.where != NULL && !trib_where_is(m->where, r->b_item)) {
        trib_where_free(m->where);
        m->where = NULL;
        char *prefix = trib_asprintf("trib_%p_w_%u", (void *)m, m->serial++);
        int rc = trib_where_new(m->conn, prefix, m->o.where, r->b_item, &m->o.schema, &m->where, err);
        free(prefix);
        TRIB_TRY(rc);
    }
    return 0;
}

/* The key columns and what hints declared, as Bronze has them: a target without a row of its own yet has tombstones all the same. */
static int adopt_given(struct merge_run *r, struct trib_evolved *ret, struct trib_err *err)
{
    struct trib_type given = trib_type_simple(TRIB_T_STRUCT), hinted;
    for (size_t k = 0; k < r->m->o.n_keys; k++) {
        const struct trib_field *f = trib_item_find(r->b_item, r->m->o.keys[k]);
        if (f != NULL) {
            (void)trib_type_add_copy(&given, f);
        }
    }
    int rc = trib_schema_hinted(r->b_item, &r->m->o.schema, &hinted, err);
    if (rc == 0) {
        for (size_t i = 0; i < hinted.n_fields; i++) {
            const char *attribute = trib_field_attribute(&hinted.fields[i]);
            if (attribute != NULL && trib_item_find(&given, attribute) == NULL) {
                (void)trib_type_add_copy(&given, &hinted.fields[i]);
            }
        }
        trib_type_free(&hinted);
        rc = trib_schema_adopt(&r->item, &given, &r->m->o.schema, ret, err);
    }
    trib_type_free(&given);
    return rc;
}

int trib_merge_schema(struct merge_run *r, struct trib_err *err)
{
    struct trib_merge *m = r->m;
    struct trib_evolved grown = {0}, widened = {0};
    trib_item_fields(&r->s.schema, &r->item);
    struct trib_infer *in = trib_infer_new();
    int rc;
    if (m->o.where != NULL) {
        trib_type_copy(&r->new_item, &r->item);
        rc = compile(r, err);
        if (rc == 0) {
            rc = learn(r, true, in, err);
        }
        struct trib_evolved given = {0};
        if (rc == 0) {
            rc = adopt_given(r, &given, err);
        }
        if (rc == 0) {
            struct trib_schema_opts o = m->o.schema;
            o.hints_adopted = true;
            o.evolution = r->s.version < 0 && o.evolution != TRIB_EVOLVE_WIDEN ? TRIB_EVOLVE_ADD : o.evolution;
            rc = trib_schema_evolve(&given.type, in, &o, true, &grown, err);
            grown.changed = grown.changed || given.changed;
        }
        trib_type_free(&given.type);
        free(given.new_fields);
        trib_type_free(&r->new_item);
    } else {
        rc = trib_schema_adopt(&r->item, r->b_item, &m->o.schema, &grown, err);
        if (rc == 0 && m->o.schema.evolution == TRIB_EVOLVE_WIDEN) {
            rc = learn(r, false, in, err);
            if (rc == 0 && !trib_infer_empty(in)) {
                struct trib_schema_opts o = m->o.schema;
                o.hints_adopted = true;
                rc = trib_schema_evolve(&grown.type, in, &o, true, &widened, err);
            }
        }
    }
    trib_infer_free(in);
    if (rc == 0) {
        trib_type_copy(&r->new_item, widened.type.n_fields > 0 ? &widened.type : &grown.type);
        bool hinted = trib_schema_apply_hints(&r->new_item, &m->o.schema);
        r->widened = r->s.version >= 0 && (grown.widened || widened.widened || hinted);
        r->schema_changed = r->s.version < 0 || grown.changed || widened.changed || hinted;
        rc = compile(r, err);
    }
    trib_type_free(&grown.type);
    trib_type_free(&widened.type);
    free(grown.new_fields);
    free(widened.new_fields);
    for (size_t k = 0; rc == 0 && k < m->o.n_keys; k++) {
        if (trib_item_find(&r->new_item, m->o.keys[k]) == NULL) {
            rc = trib_err_set(err, TRIB_E_INTERNAL, "table %s: no column for the key attribute %s", m->o.table,
                              m->o.keys[k]);
        }
    }
    if (rc == 0) {
        assemble(r);
        /* Old rows are written again in touched files, and wherever a column widened. */
        if (r->s.version >= 0) {
            rc = converter(m, &m->rewrite, "re", &r->item, &r->new_item, err);
        }
    }
    return rc;
}
