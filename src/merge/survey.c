/*
 * Why values stay in a target's _rescued_data (merge.h, trib_merge_survey): what its schema would gain without the limit of columns,
 * and which columns would widen, told by the schemas and by the rescued texts themselves.
 * Reads only. Threads: one.
 */
#include <stdlib.h>

#include "merge/own.h"

enum { MAX_TEXTS = 1000000 };

/* Paths where `with` has a field that `without` lacks (added), or a leaf of another type. */
static void differences(const struct trib_type *with, const struct trib_type *without, const char *path, bool added,
                        struct trib_buf *to)
{
    if (with->id == TRIB_T_ARRAY && without->id == TRIB_T_ARRAY) {
        TRIB_CLEANUP(trib_cleanup_free) char *below = trib_asprintf("%s.element", path);
        differences(&with->fields[0].type, &without->fields[0].type, below, added, to);
        return;
    }
    if (with->id != TRIB_T_STRUCT || without->id != TRIB_T_STRUCT) {
        if (!added && with->id != without->id) {
            trib_buf_addf(to, "%s%s", to->n > 0 ? ", " : "", path);
        }
        return;
    }
    for (size_t i = 0; i < with->n_fields; i++) {
        const char *name = trib_field_attribute(&with->fields[i]);
        if (name == NULL) {
            continue;
        }
        TRIB_CLEANUP(trib_cleanup_free)
        char *below = *path == '\0' ? trib_strdup(name) : trib_asprintf("%s.%s", path, name);
        const struct trib_field *f = trib_item_find(without, name);
        if (f != NULL) {
            differences(&with->fields[i].type, &f->type, below, added, to);
        } else if (added) {
            trib_buf_addf(to, "%s%s", to->n > 0 ? ", " : "", below);
        }
    }
}

static char *names_of(const struct trib_type *with, const struct trib_type *without, bool added)
{
    struct trib_buf b;
    trib_buf_init(&b, 1 << 20);
    differences(with, without, "", added, &b);
    if (b.n == 0 || b.overflow) {
        trib_buf_free(&b);
        return NULL;
    }
    return trib_buf_take(&b);
}

/* What the rescued texts of Silver's rows tell. numbers: only those that may hold one. */
static int infer_rescued(const struct trib_env *env, struct trib_conn *conn, const struct trib_merge_opts *o,
                         const struct trib_snapshot *silver, bool numbers, struct trib_infer *in, struct trib_err *err)
{
    struct trib_delta d = trib_env_delta(env, conn, trib_path_silver(o->domain, o->silver));
    struct trib_buf sql;
    trib_buf_init(&sql, TRIB_SQL_MAX);
    trib_buf_adds(&sql, "SELECT _rescued_data FROM (");
    int rc = trib_delta_select(&d, silver, silver->adds, silver->n_adds, false, &sql, err);
    trib_buf_addf(&sql, ") WHERE _rescued_data IS NOT NULL%s LIMIT %d",
                  numbers ? " AND contains(_rescued_data, '\"N')" : "", MAX_TEXTS);
    if (rc == 0) {
        rc = trib_buf_check(&sql, "statement", err);
    }
    if (rc == 0) {
        rc = trib_merge_infer_query(conn, sql.p, in, err);
    }
    trib_buf_free(&sql);
    free(d.path);
    return rc;
}

static bool has_long(const struct trib_type *t)
{
    bool found = t->id == TRIB_T_LONG;
    for (size_t i = 0; i < t->n_fields && !found; i++) {
        found = has_long(&t->fields[i].type);
    }
    return found;
}

/* The schema after these rescued texts under other settings than the target's. */
static int would_be(const struct trib_type *item, const struct trib_infer *in, const struct trib_schema_opts *o,
                    struct trib_type *ret, struct trib_err *err)
{
    struct trib_evolved e = {0};
    TRIB_TRY(trib_schema_evolve(item, in, o, true, &e, err));
    free(e.new_fields);
    *ret = e.type;
    return 0;
}

static int misfits(const struct trib_env *env, struct trib_conn *conn, const struct trib_merge_opts *o,
                   const struct trib_snapshot *silver, const struct trib_type *item, char **ret, struct trib_err *err)
{
    struct trib_infer *in = trib_infer_new();
    struct trib_type widened = {0};
    struct trib_schema_opts so = o->schema;
    so.evolution = TRIB_EVOLVE_WIDEN;
    so.max_columns = 1; /* widened columns only, no new ones */
    int rc = infer_rescued(env, conn, o, silver, true, in, err);
    if (rc == 0) {
        rc = would_be(item, in, &so, &widened, err);
    }
    if (rc == 0) {
        *ret = names_of(&widened, item, false);
        trib_type_free(&widened);
    }
    trib_infer_free(in);
    return rc;
}

/* Bronze's attributes that the limit keeps out; with `where`, only those that rows of this target have. */
static int over_limit(const struct trib_env *env, struct trib_conn *conn, const struct trib_merge_opts *o,
                      const struct trib_type *bronze, const struct trib_snapshot *silver, const struct trib_type *item,
                      char **ret, struct trib_err *err)
{
    struct trib_evolved within = {0}, without = {0};
    struct trib_schema_opts so = o->schema;
    TRIB_TRY(trib_schema_adopt(item, bronze, &so, &within, err));
    size_t n = within.over_limit;
    so.max_columns = 0;
    int rc = trib_schema_adopt(item, bronze, &so, &without, err);
    if (rc == 0 && n > 0 && o->where == NULL) {
        *ret = names_of(&without.type, &within.type, true);
    } else if (rc == 0 && n > 0) {
        struct trib_infer *in = trib_infer_new();
        struct trib_type grown = {0};
        so.evolution = TRIB_EVOLVE_ADD;
        rc = infer_rescued(env, conn, o, silver, false, in, err);
        if (rc == 0) {
            rc = would_be(item, in, &so, &grown, err);
        }
        if (rc == 0) {
            *ret = names_of(&grown, item, true);
            trib_type_free(&grown);
        }
        trib_infer_free(in);
    }
    trib_type_free(&within.type);
    trib_type_free(&without.type);
    free(within.new_fields);
    free(without.new_fields);
    return rc;
}

int trib_merge_survey(const struct trib_env *env, struct trib_conn *conn, const struct trib_merge_opts *o,
                      const struct trib_snapshot *bronze, const struct trib_snapshot *silver,
                      struct trib_merge_survey *ret, struct trib_err *err)
{
    struct trib_merge_survey out = {0};
    const struct trib_type *b_item = bronze->version < 0 ? NULL : trib_bronze_item(&bronze->schema);
    if (silver->version < 0 || b_item == NULL) {
        *ret = out;
        return 0;
    }
    struct trib_type item;
    trib_item_fields(&silver->schema, &item);
    int rc = o->schema.max_columns == 0 ? 0 : over_limit(env, conn, o, b_item, silver, &item, &out.over_limit, err);
    bool widens =
        o->schema.evolution == TRIB_EVOLVE_WIDEN || o->schema.numbers != TRIB_NUMBERS_AUTO || !o->schema.infer;
    if (rc == 0 && !widens && has_long(&item)) {
        rc = misfits(env, conn, o, silver, &item, &out.numbers, err);
    }
    trib_type_free(&item);
    if (rc != 0) {
        free(out.over_limit);
        return rc;
    }
    *ret = out;
    return 0;
}
