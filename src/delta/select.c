/*
 * SQL that reads a snapshot: the files' Parquet through trib_parquet_select, with partition values as literals, columns renamed
 * from their physical names where they are mapped, and rows that deletion vectors name left out.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "delta/internal.h"

/* --- partition values: raw strings of the log → SQL literals ------------------------------------------------------ */

static const char *value_of(const struct trib_add *a, const char *column)
{
    for (size_t i = 0; i < a->n_partition; i++) {
        if (strcmp(a->partition[i].key, column) == 0) {
            const char *v = a->partition[i].value;
            return v == NULL || *v == '\0' ? NULL : v; /* the empty string is null, whatever the type */
        }
    }
    return NULL;
}

/* [out] free(); NULL: null. */
static char *literal(const struct trib_type *type, const char *value)
{
    if (value == NULL) {
        return NULL;
    }
    TRIB_CLEANUP(trib_buf_free) struct trib_buf b;
    trib_buf_init(&b, (size_t)64 << 20);
    if (type->id == TRIB_T_BINARY) {
        trib_buf_adds(&b, "encode(");
        trib_sql_literal(&b, trib_view_of(value));
        trib_buf_addc(&b, ')');
    } else {
        trib_buf_adds(&b, "CAST(");
        trib_sql_literal(&b, trib_view_of(value));
        trib_buf_adds(&b, " AS ");
        trib_type_sql(type, &b);
        trib_buf_addc(&b, ')');
    }
    return trib_buf_take(&b);
}

/* --- column mapping ---------------------------------------------------------------------------------------------- */

static const char PHYSICAL[] = "delta.columnMapping.physicalName";

static const char *physical_name(const struct trib_field *f)
{
    const char *name = trib_field_meta(f, PHYSICAL);
    return name == NULL ? f->name : name;
}

/* "(1, 'col-…'), …" of the fields below; the separator goes in front. */
static void field_ids(const struct trib_type *t, struct trib_buf *to)
{
    for (size_t i = 0; i < t->n_fields; i++) {
        const struct trib_field *f = &t->fields[i];
        const char *id = trib_field_meta(f, "delta.columnMapping.id");
        if (id != NULL && id[strspn(id, "0123456789")] == '\0' && strlen(id) < 10) {
            trib_buf_addf(to, "%s(%s, ", to->n > 0 ? ", " : "", id);
            trib_sql_literal(to, trib_view_of(physical_name(f)));
            trib_buf_addc(to, ')');
        }
        field_ids(&f->type, to);
    }
}

/*
 * Mode 'id' finds a column by its Parquet field id. Writers give it its physical name too, and by that we read; a file
 * where the two disagree (converted from another format, say) would be read wrongly: refused.
 */
static int check_field_ids(const struct trib_delta *t, const struct trib_type *schema,
                           const struct trib_parquet_input *files, size_t n, struct trib_err *err)
{
    TRIB_CLEANUP(trib_buf_free) struct trib_buf ids, sql;
    trib_buf_init(&ids, (size_t)64 << 20);
    trib_buf_init(&sql, (size_t)256 << 20);
    field_ids(schema, &ids);
    for (size_t i = 0; ids.n > 0 && i < n; i++) {
        trib_buf_adds(&sql, i > 0 ? ", " : "SELECT count(*) FROM parquet_schema([");
        trib_sql_literal(&sql, trib_view_of(files[i].path));
    }
    if (sql.n == 0) {
        return 0;
    }
    trib_buf_addf(&sql, "]) p JOIN (VALUES %s) v(id, name) ON p.field_id = v.id WHERE p.name <> v.name", ids.p);
    int64_t wrong = 0;
    TRIB_TRY(trib_buf_check(&sql, "the SQL that checks field ids", err));
    TRIB_TRY(trib_query_i64(t->conn, sql.p, 0, &wrong, err));
    return wrong == 0
               ? 0
               : trib_err_set(err, TRIB_E_UNSUPPORTED,
                              "reader feature 'columnMapping' in mode 'id' is not supported for files whose columns "
                              "do not carry their physical names");
}

/* The same tree under physical names; array elements, keys and values keep theirs. */
static void to_physical(struct trib_type *t)
{
    for (size_t i = 0; i < t->n_fields; i++) {
        struct trib_field *f = &t->fields[i];
        if (t->id == TRIB_T_STRUCT) {
            char *name = trib_strdup(physical_name(f));
            free(f->name);
            f->name = name;
        }
        to_physical(&f->type);
    }
}

static bool renamed_below(const struct trib_type *t)
{
    for (size_t i = 0; i < t->n_fields; i++) {
        const struct trib_field *f = &t->fields[i];
        if ((t->id == TRIB_T_STRUCT && strcmp(physical_name(f), f->name) != 0) || renamed_below(&f->type)) {
            return true;
        }
    }
    return false;
}

/* An expression of the logical type from one (SQL text) of the physical type. */
static void rename_value(const struct trib_type *t, const char *from, int depth, struct trib_buf *to)
{
    if (!renamed_below(t)) {
        trib_buf_adds(to, from);
        return;
    }
    char var[16];
    (void)snprintf(var, sizeof var, "x%d", depth);
    if (t->id == TRIB_T_ARRAY) {
        trib_buf_addf(to, "list_transform(%s, lambda %s: ", from, var);
        rename_value(&t->fields[0].type, var, depth + 1, to);
        trib_buf_addc(to, ')');
    } else if (t->id == TRIB_T_MAP) {
        TRIB_CLEANUP(trib_cleanup_free) char *key = trib_asprintf("%s.\"key\"", var);
        TRIB_CLEANUP(trib_cleanup_free) char *value = trib_asprintf("%s.\"value\"", var);
        /* map_from_entries makes an empty map of a null one */
        trib_buf_addf(
            to,
            "CASE WHEN %s IS NULL THEN NULL ELSE map_from_entries(list_transform(map_entries(%s), lambda %s: {'key': ",
            from, from, var);
        rename_value(&t->fields[0].type, key, depth + 1, to);
        trib_buf_adds(to, ", 'value': ");
        rename_value(&t->fields[1].type, value, depth + 1, to);
        trib_buf_adds(to, "})) END");
    } else {
        trib_buf_addf(to, "CASE WHEN %s IS NULL THEN NULL ELSE struct_pack(", from);
        for (size_t i = 0; i < t->n_fields; i++) {
            const struct trib_field *f = &t->fields[i];
            TRIB_CLEANUP(trib_buf_free) struct trib_buf member;
            trib_buf_init(&member, to->max);
            trib_buf_addf(&member, "%s.", from);
            trib_sql_ident(&member, physical_name(f));
            trib_buf_adds(to, i > 0 ? ", " : "");
            trib_sql_ident(to, f->name);
            trib_buf_adds(to, " := ");
            rename_value(&f->type, member.p, depth + 1, to);
        }
        trib_buf_adds(to, ") END");
    }
}

static void rename_columns(const struct trib_type *schema, const char *inner, bool with_position, struct trib_buf *to)
{
    trib_buf_adds(to, "SELECT ");
    for (size_t i = 0; i < schema->n_fields; i++) {
        const struct trib_field *f = &schema->fields[i];
        TRIB_CLEANUP(trib_buf_free) struct trib_buf column;
        trib_buf_init(&column, to->max);
        trib_sql_ident(&column, physical_name(f));
        trib_buf_adds(to, i > 0 ? ", " : "");
        rename_value(&f->type, column.p, 0, to);
        trib_buf_adds(to, " AS ");
        trib_sql_ident(to, f->name);
    }
    trib_buf_adds(to, with_position ? ", \"_file\", \"_pos\" FROM (" : " FROM (");
    trib_buf_adds(to, inner);
    trib_buf_addc(to, ')');
}

/* --- deletion vectors -------------------------------------------------------------------------------------------- */

struct vectors {
    const struct trib_delta *t;
    const struct trib_add *adds;
    size_t n, next; /* next file whose vector is to be loaded */
    int64_t file;
    uint64_t *rows;
    size_t n_rows, at;
};

static int fill_vectors(void *ctx, struct trib_chunk *chunk, struct trib_err *err)
{
    struct vectors *v = ctx;
    int64_t *files = chunk->cols[0].data, *rows = chunk->cols[1].data;
    chunk->rows = 0;
    while (chunk->rows < chunk->capacity) {
        if (v->at < v->n_rows) {
            files[chunk->rows] = v->file;
            rows[chunk->rows++] = (int64_t)v->rows[v->at++];
            continue;
        }
        while (v->next < v->n && v->adds[v->next].dv == NULL) {
            v->next++;
        }
        if (v->next == v->n) {
            break;
        }
        free(v->rows);
        v->rows = NULL;
        v->n_rows = v->at = 0;
        v->file = (int64_t)v->next;
        int rc = trib_dv_load(v->t, v->adds[v->next].dv, &v->rows, &v->n_rows, err);
        if (rc != 0) {
            return trib_err_wrap(err, "the deletion vector of %s", v->adds[v->next].path);
        }
        v->next++;
    }
    return 0;
}

static struct trib_type vectors_type(void)
{
    struct trib_type row = trib_type_simple(TRIB_T_STRUCT);
    (void)trib_type_add(&row, "f", trib_type_simple(TRIB_T_LONG));
    (void)trib_type_add(&row, "p", trib_type_simple(TRIB_T_LONG));
    return row;
}

/* The positions go into a Parquet file in the scratch folder, so that the SQL can be run at any time, any number of times. */
static int write_vectors(const struct trib_delta *t, const struct trib_add *adds, size_t n, char **ret_path,
                         struct trib_err *err)
{
    if (t->scratch == NULL) {
        return trib_err_set(err, TRIB_E_INTERNAL, "reading deletion vectors needs a scratch folder");
    }
    char uuid[37];
    trib_rng_uuid(t->rng, uuid);
    TRIB_CLEANUP(trib_cleanup_free) char *path = trib_asprintf("%s/vectors-%s.parquet", t->scratch, uuid);
    struct trib_type row = vectors_type();
    struct vectors v = {.t = t, .adds = adds, .n = n};
    struct trib_parquet_file file = {0};
    struct trib_parquet_opts opts = {.compression = TRIB_ZSTD};
    int rc = trib_parquet_write(t->conn, &row, fill_vectors, &v, path, &opts, &file, err);
    free(v.rows);
    trib_type_free(&row);
    TRIB_TRY(rc);
    *ret_path = file.path == NULL ? NULL : trib_strdup(file.path);
    trib_parquet_file_free(&file);
    return 0;
}

static int leave_out(const struct trib_delta *t, const char *inner, const char *vectors_path, bool with_position,
                     struct trib_buf *to, struct trib_err *err)
{
    TRIB_CLEANUP(trib_buf_free) struct trib_buf vectors;
    trib_buf_init(&vectors, to->max);
    struct trib_parquet_input file = {.path = vectors_path};
    struct trib_type row = vectors_type();
    int rc = trib_parquet_select(t->conn, &row, &file, 1, NULL, 0, false, &vectors, err);
    trib_type_free(&row);
    TRIB_TRY(rc);
    trib_buf_addf(
        to,
        "SELECT * %sFROM (%s) b WHERE NOT EXISTS (SELECT 1 FROM (%s) v WHERE v.f = b.\"_file\" AND v.p = b.\"_pos\")",
        with_position ? "" : "EXCLUDE (\"_file\", \"_pos\") ", inner, vectors.p);
    return 0;
}

/* --- the whole --------------------------------------------------------------------------------------------------- */

struct inputs {
    struct trib_parquet_input *files;
    const char ***values; /* one array a file */
    size_t n, n_values;
};

static void inputs_free(struct inputs *in)
{
    for (size_t i = 0; i < in->n; i++) {
        free((char *)(uintptr_t)in->files[i].path);
        for (size_t k = 0; in->values[i] != NULL && k < in->n_values; k++) {
            free((char *)(uintptr_t)in->values[i][k]);
        }
        free(in->values[i]);
    }
    free(in->files);
    free(in->values);
}

static int make_inputs(const struct trib_delta *t, const struct trib_snapshot *s, const struct trib_type *physical,
                       char *const *columns, const struct trib_add *adds, size_t n, struct inputs *in,
                       struct trib_err *err)
{
    in->files = trib_calloc(n, sizeof *in->files);
    in->values = trib_calloc(n, sizeof *in->values);
    in->n = n;
    in->n_values = s->n_partition_columns;
    for (size_t i = 0; i < n; i++) {
        char *path = NULL;
        TRIB_TRY(trib_delta_file_local(t, adds[i].path, &path, err));
        in->files[i].path = path;
        if (in->n_values == 0) {
            continue;
        }
        in->values[i] = trib_calloc(in->n_values, sizeof *in->values[i]);
        for (size_t k = 0; k < in->n_values; k++) {
            const struct trib_field *f = trib_type_find(physical, columns[k]);
            in->values[i][k] = literal(&f->type, value_of(&adds[i], columns[k]));
        }
        in->files[i].partition_values = in->values[i];
    }
    return 0;
}

/* Partition columns under their physical names. [out] NULL-terminated. */
static int partition_columns(const struct trib_snapshot *s, bool mapped, char ***ret, struct trib_err *err)
{
    char **p = trib_calloc(s->n_partition_columns + 1, sizeof *p);
    for (size_t i = 0; i < s->n_partition_columns; i++) {
        const struct trib_field *f = trib_type_find(&s->schema, s->partition_columns[i]);
        if (f == NULL || f->type.n_fields > 0) {
            trib_texts_free(p);
            return trib_err_set(err, TRIB_E_DATA, "the partition column %s is %s", s->partition_columns[i],
                                f == NULL ? "not in the schema" : "of a nested type");
        }
        p[i] = trib_strdup(mapped ? physical_name(f) : f->name);
    }
    *ret = p;
    return 0;
}

static bool any_vector(const struct trib_add *adds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (adds[i].dv != NULL) {
            return true;
        }
    }
    return false;
}

/* In order: rows of the files, rows left out, columns renamed. */
static int build(const struct trib_delta *t, const struct trib_snapshot *s, const struct trib_type *physical,
                 char *const *columns, const struct trib_add *adds, size_t n, bool with_position, struct trib_buf *sql,
                 struct trib_err *err)
{
    TRIB_CLEANUP(inputs_free) struct inputs in = {0};
    TRIB_TRY(make_inputs(t, s, physical, columns, adds, n, &in, err));
    if (trib_delta_mapping(s) == TRIB_MAPPING_ID) {
        TRIB_TRY(check_field_ids(t, &s->schema, in.files, n, err));
    }
    TRIB_CLEANUP(trib_cleanup_free) char *vectors = NULL;
    if (any_vector(adds, n)) {
        TRIB_TRY(write_vectors(t, adds, n, &vectors, err));
    }
    TRIB_CLEANUP(trib_buf_free) struct trib_buf rows, kept, all;
    trib_buf_init(&rows, sql->max);
    trib_buf_init(&kept, sql->max);
    trib_buf_init(&all, sql->max);
    TRIB_TRY(trib_parquet_select(t->conn, physical, in.files, n, (const char *const *)columns, s->n_partition_columns,
                                 with_position || vectors != NULL, &rows, err));
    const char *text = rows.p;
    if (vectors != NULL) {
        TRIB_TRY(leave_out(t, text, vectors, with_position, &kept, err));
        text = kept.p;
    }
    if (trib_delta_mapping(s) != TRIB_MAPPING_NONE && renamed_below(&s->schema)) {
        rename_columns(&s->schema, text, with_position, &all);
        text = all.p;
    }
    TRIB_TRY(trib_buf_check(&kept, "the SQL that reads a table", err));
    TRIB_TRY(trib_buf_check(&all, "the SQL that reads a table", err));
    trib_buf_adds(sql, text);
    return trib_buf_check(sql, "the SQL that reads a table", err);
}

int trib_delta_select(const struct trib_delta *t, const struct trib_snapshot *s, const struct trib_add *adds, size_t n,
                      bool with_position, struct trib_buf *sql, struct trib_err *err)
{
    bool mapped = trib_delta_mapping(s) != TRIB_MAPPING_NONE;
    struct trib_type physical;
    char **columns = NULL;
    trib_type_copy(&physical, &s->schema);
    if (mapped) {
        to_physical(&physical);
    }
    /* Whoever reads the table needs vectors for all of its columns. */
    int rc = t->conn == NULL ? 0 : trib_conn_room(t->conn, trib_type_leaves(&s->schema), err);
    if (rc == 0) {
        rc = partition_columns(s, mapped, &columns, err);
    }
    if (rc == 0) {
        rc = build(t, s, &physical, columns, adds, n, with_position, sql, err);
    }
    trib_texts_free(columns);
    trib_type_free(&physical);
    if (rc != 0) {
        TRIB_CLEANUP(trib_cleanup_free) char *name = trib_delta_name(t);
        return trib_err_wrap(err, "reading %s", name);
    }
    return 0;
}
