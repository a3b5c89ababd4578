/*
 * Reading Parquet: SQL text over DuckDB's read_parquet.
 *
 * The files' own schemas do not matter: read_parquet is told the wanted one (schema = MAP …, by name), fills in nulls for
 * what a file lacks, members of structs too, and casts. Inside, columns are called c0, c1, … so that no attribute's name
 * meets read_parquet's virtual columns (file_index, file_row_number).
 * Pure text; any thread.
 */
#include <stdlib.h>

#include "parquet/parquet.h"

/* A path as a pattern that stands for itself only: were it given as it is, a missing file would match others. In a pattern
 * a backslash parts folders, whatever one does; such a path is given as it is, which DuckDB tries first. */
static void add_path(struct trib_buf *sql, const char *path)
{
    struct trib_buf b;
    trib_buf_init(&b, SIZE_MAX / 2);
    bool escape = strchr(path, '\\') == NULL;
    if (path[0] == '~') {
        trib_buf_adds(&b, "./");
    }
    for (const char *p = path; *p != '\0'; p++) {
        bool special = *p == '*' || *p == '?' || *p == '[';
        trib_buf_addf(&b, special && escape ? "[%c]" : "%c", *p);
    }
    trib_sql_literal(sql, trib_buf_view(&b));
    trib_buf_free(&b);
}

static void add_type_literal(struct trib_buf *sql, const struct trib_type *t)
{
    struct trib_buf b;
    trib_buf_init(&b, SIZE_MAX / 2);
    trib_type_sql(t, &b);
    trib_sql_literal(sql, trib_buf_view(&b));
    trib_buf_free(&b);
}

static void add_no_rows(struct trib_buf *sql, const struct trib_type *row, bool with_position)
{
    trib_buf_adds(sql, "SELECT ");
    for (size_t i = 0; i < row->n_fields; i++) {
        trib_buf_adds(sql, i > 0 ? ", CAST(NULL AS " : "CAST(NULL AS ");
        trib_type_sql(&row->fields[i].type, sql);
        trib_buf_adds(sql, ") AS ");
        trib_sql_ident(sql, row->fields[i].name);
    }
    if (with_position) {
        trib_buf_adds(sql, ", CAST(NULL AS BIGINT) AS \"_file\", CAST(NULL AS BIGINT) AS \"_pos\"");
    }
    trib_buf_adds(sql, " WHERE false");
}

static size_t partition_index(const char *name, const char *const *columns, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(columns[i], name) == 0) {
            return i;
        }
    }
    return n;
}

/* A partition column: its value by the file's index, a plain constant when all files agree (it then prunes). */
static void add_partition(struct trib_buf *sql, const struct trib_type *t, const struct trib_parquet_input *files,
                          size_t n, size_t k)
{
    bool same = true;
    for (size_t i = 1; i < n && same; i++) {
        const char *a = files[0].partition_values[k], *b = files[i].partition_values[k];
        same = a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
    }
    trib_buf_adds(sql, "CAST(");
    trib_buf_adds(sql, same ? "" : "([");
    for (size_t i = 0; i < (same ? 1 : n); i++) {
        const char *v = files[i].partition_values[k];
        trib_buf_adds(sql, i > 0 ? ", " : "");
        trib_buf_adds(sql, v == NULL ? "NULL" : v);
    }
    trib_buf_adds(sql, same ? "" : "])[CAST(file_index AS BIGINT) + 1]");
    trib_buf_adds(sql, " AS ");
    trib_type_sql(t, sql);
    trib_buf_addc(sql, ')');
}

static void add_schema(struct trib_buf *sql, const struct trib_type *row, const char *const *partition_columns,
                       size_t n_partition_columns)
{
    const char *separator = "";
    trib_buf_adds(sql, "MAP {");
    for (size_t i = 0; i < row->n_fields; i++) {
        const struct trib_field *f = &row->fields[i];
        if (partition_index(f->name, partition_columns, n_partition_columns) < n_partition_columns) {
            continue;
        }
        trib_buf_adds(sql, separator);
        trib_sql_literal(sql, trib_view_of(f->name));
        trib_buf_addf(sql, ": {'name': 'c%zu', 'type': ", i);
        add_type_literal(sql, &f->type);
        trib_buf_adds(sql, ", 'default_value': NULL}");
        separator = ", ";
    }
    trib_buf_adds(sql, "}");
}

static int check(const struct trib_type *row, const struct trib_parquet_input *files, size_t n,
                 size_t n_partition_columns, struct trib_err *err)
{
    if (row->n_fields <= n_partition_columns) {
        return trib_err_set(err, TRIB_E_UNSUPPORTED, "a table without columns of its own cannot be read");
    }
    for (size_t i = 0; i < n && n_partition_columns > 0; i++) {
        if (files[i].partition_values == NULL) {
            return trib_err_set(err, TRIB_E_INTERNAL, "%s: no partition values were given", files[i].path);
        }
    }
    return 0;
}

int trib_parquet_select(struct trib_conn *c, const struct trib_type *row, const struct trib_parquet_input *files,
                        size_t n, const char *const *partition_columns, size_t n_partition_columns, bool with_position,
                        struct trib_buf *sql, struct trib_err *err)
{
    (void)c;
    TRIB_TRY(check(row, files, n, n_partition_columns, err));
    if (n == 0) {
        add_no_rows(sql, row, with_position);
        return trib_buf_check(sql, "a query over files", err);
    }
    trib_buf_adds(sql, "SELECT ");
    for (size_t i = 0; i < row->n_fields; i++) {
        const struct trib_field *f = &row->fields[i];
        size_t k = partition_index(f->name, partition_columns, n_partition_columns);
        trib_buf_adds(sql, i > 0 ? ", " : "");
        if (k < n_partition_columns) {
            add_partition(sql, &f->type, files, n, k);
        } else {
            trib_buf_addf(sql, "c%zu", i);
        }
        trib_buf_adds(sql, " AS ");
        trib_sql_ident(sql, f->name);
    }
    if (with_position) {
        trib_buf_adds(sql, ", CAST(file_index AS BIGINT) AS \"_file\", CAST(file_row_number AS BIGINT) AS \"_pos\"");
    }
    trib_buf_adds(sql, " FROM read_parquet([");
    for (size_t i = 0; i < n; i++) {
        trib_buf_adds(sql, i > 0 ? ", " : "");
        add_path(sql, files[i].path);
    }
    trib_buf_adds(sql, "], hive_partitioning = false, schema = ");
    add_schema(sql, row, partition_columns, n_partition_columns);
    trib_buf_addc(sql, ')');
    return trib_buf_check(sql, "a query over files", err);
}
