/*
 * Writing Parquet through DuckDB's COPY.
 *
 * Owns the files it writes until the caller takes them: whatever it wrote is unlinked when it fails.
 * Files are local and not synced: the store does that when they are moved in. A crash leaves files in the scratch folder.
 * Threads: those of the connection; fill runs on one thread of the query.
 *
 * Row groups are bounded by rows and by bytes of the rows in memory, so that wide rows neither exhaust this writer's
 * memory nor a reader's.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "parquet/parquet.h"
#include "parquet/stats.h"

enum {
    DEFAULT_GROUP_ROWS = 122880,
    GROUP_MIN_BYTES = 4 << 20,
    GROUP_MAX_BYTES = 32 << 20,
    GROUP_LEAST_BYTES = 1 << 20,
    SQL_MAX = 64 << 20
};
/* DuckDB sets a dictionary of 1 MiB aside for each column of text, filled or not: 500 columns are its whole memory. */
enum { DICTIONARY_MIN_BYTES = 8 << 10, DICTIONARY_MAX_BYTES = 1 << 20, ENTRY_BYTES = 32 };

void trib_parquet_file_free(struct trib_parquet_file *f)
{
    free(f->path);
    free(f->stats_json);
    *f = (struct trib_parquet_file){0};
}

void trib_parquet_file_drop(struct trib_parquet_file *f)
{
    if (f->path != NULL) {
        (void)unlink(f->path);
    }
    trib_parquet_file_free(f);
}

/* A row group stands in memory twice while it is written, beside what the query holds: a fifth of a thread's share. Larger ones are
 * spilled and read back (measured: three times the CPU). */
static uint64_t group_bytes(const struct trib_conn *c)
{
    uint64_t bytes = trib_engine_thread_bytes(trib_conn_engine(c)) / 5;
    return bytes < GROUP_MIN_BYTES ? GROUP_MIN_BYTES : bytes > GROUP_MAX_BYTES ? GROUP_MAX_BYTES : bytes;
}

static uint64_t bytes_of(const struct trib_conn *c, const struct trib_parquet_opts *o)
{
    return o->group_bytes != NULL && *o->group_bytes > 0 ? *o->group_bytes : group_bytes(c);
}

static void add_options(struct trib_buf *sql, const struct trib_conn *c, const struct trib_parquet_opts *o,
                        size_t leaves)
{
    static const char *const compression[] = {
        [TRIB_ZSTD] = "zstd, COMPRESSION_LEVEL 1", [TRIB_SNAPPY] = "snappy", [TRIB_UNCOMPRESSED] = "uncompressed"};
    size_t rows = o->row_group_rows == 0 ? (size_t)DEFAULT_GROUP_ROWS : o->row_group_rows;
    trib_buf_addf(
        sql,
        " (FORMAT parquet, PARQUET_VERSION v1, COMPRESSION %s, ROW_GROUP_SIZE %zu, ROW_GROUP_SIZE_BYTES %llu, "
        "RETURN_STATS, WRITE_EMPTY_FILE false",
        compression[o->compression], rows, (unsigned long long)bytes_of(c, o));
    if (o->file_bytes > 0) {
        trib_buf_addf(sql, ", FILE_SIZE_BYTES %llu", (unsigned long long)o->file_bytes);
    } else {
        trib_buf_adds(sql, ", USE_TMP_FILE false");
    }
    /* The table of a dictionary's entries is set aside too, for columns of every type: a hundredth of the rows measured best
     * (a fifth: the engine's whole memory, and larger files). */
    uint64_t bytes = trib_engine_thread_bytes(trib_conn_engine(c)) / 4 / (leaves == 0 ? 1 : leaves);
    if (bytes < DICTIONARY_MAX_BYTES) {
        bytes = bytes < DICTIONARY_MIN_BYTES ? DICTIONARY_MIN_BYTES : bytes;
        uint64_t entries = bytes / ENTRY_BYTES;
        trib_buf_addf(sql, ", STRING_DICTIONARY_PAGE_SIZE_LIMIT %llu, DICTIONARY_SIZE_LIMIT %llu",
                      (unsigned long long)bytes, (unsigned long long)(entries < rows / 100 ? entries : rows / 100));
    }
    trib_buf_addc(sql, ')');
}

static struct trib_view str_at(const struct trib_vec *v, uint64_t row)
{
    return trib_str_view(&((const struct trib_str *)v->data)[row]);
}

/* What COPY says of one file, kept beyond its result. */
struct copied {
    struct trib_leaf_stats *leaves;
    size_t n;
};

static struct trib_view keep(struct trib_arena *a, struct trib_view v)
{
    return (struct trib_view){trib_arena_strndup(a, v.p, v.n), v.n};
}

/* column_statistics: MAP(path → MAP(kind → text)) */
static struct copied stats_of(struct trib_arena *a, const struct trib_vec *map, uint64_t row)
{
    struct trib_list l = ((const struct trib_list *)map->data)[row];
    struct copied ret = {trib_calloc(l.length + 1, sizeof *ret.leaves), l.length};
    const struct trib_vec *paths = &map->children[0].children[0], *inner = &map->children[0].children[1];
    for (uint64_t i = 0; i < l.length; i++) {
        struct trib_leaf_stats *s = &ret.leaves[i];
        s->path = keep(a, str_at(paths, l.offset + i));
        struct trib_list kinds = ((const struct trib_list *)inner->data)[l.offset + i];
        const struct trib_vec *keys = &inner->children[0].children[0], *values = &inner->children[0].children[1];
        for (uint64_t k = kinds.offset; k < kinds.offset + kinds.length; k++) {
            struct trib_view key = str_at(keys, k), value = str_at(values, k);
            if (trib_vec_is_null(values, k)) {
                continue;
            }
            if (trib_view_is(key, "min")) {
                s->min = keep(a, value);
                s->has_min = true;
            } else if (trib_view_is(key, "max")) {
                s->max = keep(a, value);
                s->has_max = true;
            } else if (trib_view_is(key, "null_count")) {
                s->null_count = keep(a, value);
                s->has_null_count = true;
            } else if (trib_view_is(key, "has_nan")) {
                s->has_nan = !trib_view_is(value, "false");
            }
        }
    }
    return ret;
}

/*
 * Leaves with values but without bounds in one row group at least. COPY's has_nan tells of the last row group only (1.5.6), while
 * a row group with a NaN has no bounds, so the footer knows better.
 */
static int unbounded_leaves(struct trib_conn *c, const char *path, bool *ret, size_t n, struct trib_err *err)
{
    struct trib_buf sql;
    trib_buf_init(&sql, SQL_MAX);
    trib_buf_adds(&sql, "SELECT DISTINCT column_id::BIGINT FROM parquet_metadata(");
    trib_sql_literal(&sql, trib_view_of(path));
    trib_buf_adds(&sql, ") WHERE stats_min_value IS NULL AND coalesce(stats_null_count, 0) < num_values");
    struct trib_result *r = NULL;
    int rc = trib_query(c, sql.p, &r, err);
    const struct trib_chunk *chunk = NULL;
    while (rc == 0 && (rc = trib_result_next(r, &chunk, err)) == 0 && chunk->rows > 0) {
        for (size_t i = 0; i < chunk->rows; i++) {
            int64_t leaf = ((const int64_t *)chunk->cols[0].data)[i];
            if (leaf >= 0 && (size_t)leaf < n) {
                ret[leaf] = true;
            }
        }
    }
    trib_result_free(r);
    trib_buf_free(&sql);
    return rc;
}

static int file_stats(struct trib_conn *c, const struct trib_type *type, const struct copied *k,
                      const struct trib_parquet_opts *o, struct trib_parquet_file *f, struct trib_err *err)
{
    bool *unbounded = NULL;
    int rc = 0;
    if (trib_parquet_has_floats(type)) {
        size_t n = trib_type_leaves(type);
        unbounded = trib_calloc(n + 1, sizeof *unbounded);
        rc = unbounded_leaves(c, f->path, unbounded, n, err);
    }
    if (rc == 0) {
        f->stats_json = trib_parquet_stats_json(type, f->rows, k->leaves, k->n, unbounded, o);
    }
    free(unbounded);
    return rc;
}

struct files {
    struct trib_parquet_file *p;
    size_t n, cap;
};

static void files_drop(struct files *f)
{
    for (size_t i = 0; i < f->n; i++) {
        trib_parquet_file_drop(&f->p[i]);
    }
    free(f->p);
}

/* filename, count, file_size_bytes, footer_size_bytes, column_statistics, partition_keys */
static int take_files(struct trib_result *r, struct files *ret, struct copied **ret_stats, struct trib_arena *a,
                      struct trib_err *err)
{
    const struct trib_type *t = trib_result_type(r);
    size_t cap = 0;
    if (t->n_fields < 5 || t->fields[0].type.id != TRIB_T_STRING || t->fields[1].type.id != TRIB_T_LONG ||
        t->fields[2].type.id != TRIB_T_LONG || t->fields[4].type.id != TRIB_T_MAP) {
        return trib_err_set(err, TRIB_E_INTERNAL, "COPY returned other columns than expected");
    }
    for (;;) {
        const struct trib_chunk *c;
        TRIB_TRY(trib_result_next(r, &c, err));
        if (c->rows == 0) {
            return 0;
        }
        for (size_t i = 0; i < c->rows; i++) {
            TRIB_GROW(*ret_stats, cap, ret->n + 1);
            (*ret_stats)[ret->n] = stats_of(a, &c->cols[4], i);
            TRIB_GROW(ret->p, ret->cap, ret->n + 1);
            struct trib_parquet_file *f = &ret->p[ret->n++];
            struct trib_view name = str_at(&c->cols[0], i);
            *f = (struct trib_parquet_file){.path = trib_strndup(name.p, name.n)};
            f->rows = ((const int64_t *)c->cols[1].data)[i];
            f->bytes = ((const int64_t *)c->cols[2].data)[i];
        }
    }
}

static int copy_to(struct trib_conn *c, const char *select, const struct trib_type *type, const char *target,
                   const struct trib_parquet_opts *o, struct files *ret, struct trib_err *err)
{
    struct trib_buf sql;
    trib_buf_init(&sql, SQL_MAX);
    trib_buf_addf(&sql, "COPY (%s) TO ", select);
    trib_sql_literal(&sql, trib_view_of(target));
    add_options(&sql, c, o, trib_type_leaves(type));
    int rc = trib_buf_check(&sql, "the statement that writes a Parquet file", err);
    if (rc == 0) {
        rc = trib_conn_room(c, trib_type_leaves(type), err);
    }
    struct trib_result *r = NULL;
    struct copied *stats = NULL;
    struct trib_arena arena;
    trib_arena_init(&arena);
    if (rc == 0) {
        rc = trib_query(c, sql.p, &r, err);
    }
    if (rc == 0) {
        rc = take_files(r, ret, &stats, &arena, err);
        trib_result_free(r);
    }
    trib_buf_free(&sql);
    for (size_t i = 0; i < ret->n; i++) {
        if (rc == 0) {
            rc = file_stats(c, type, &stats[i], o, &ret->p[i], err);
        }
        free(stats[i].leaves);
    }
    free(stats);
    trib_arena_free(&arena);
    if (rc != 0) {
        files_drop(ret);
        *ret = (struct files){0};
    }
    return rc;
}

/* A target that DuckDB would take for a home folder. */
static char *plain_path(const char *path) { return path[0] == '~' ? trib_asprintf("./%s", path) : trib_strdup(path); }

int trib_parquet_write(struct trib_conn *c, const struct trib_type *row, trib_fill_fn fill, void *ctx, const char *path,
                       const struct trib_parquet_opts *o, struct trib_parquet_file *ret, struct trib_err *err)
{
    TRIB_TRY(trib_source_register(c, "trib_parquet_rows", row, fill, ctx, err));
    struct trib_parquet_opts one = *o;
    one.file_bytes = 0;
    struct files files = {0};
    char *target = plain_path(path);
    int rc = copy_to(c, "SELECT * FROM trib_parquet_rows()", row, target, &one, &files, err);
    if (rc != 0) {
        (void)unlink(target);
    } else if (files.n > 1) {
        files_drop(&files);
        rc = trib_err_set(err, TRIB_E_INTERNAL, "COPY wrote several files where one was asked for: %s", path);
    } else {
        *ret = files.n == 1 ? files.p[0] : (struct trib_parquet_file){0};
        if (files.n == 1) {
            free(ret->path);
            ret->path = trib_strdup(path);
        }
        free(files.p);
    }
    free(target);
    return rc;
}

/* Removes the folder of a COPY of several files with whatever is in it. */
static void remove_folder(const char *path)
{
    DIR *d = opendir(path);
    if (d == NULL) {
        return;
    }
    struct dirent *e;
    while ((e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            (void)unlinkat(dirfd(d), e->d_name, 0);
        }
    }
    (void)closedir(d);
    (void)rmdir(path);
}

static int name_files(struct files *f, const char *path_prefix, struct trib_err *err)
{
    for (size_t i = 0; i < f->n; i++) {
        char *name = trib_asprintf("%s-%zu.parquet", path_prefix, i);
        if (strcmp(f->p[i].path, name) != 0 && rename(f->p[i].path, name) != 0) {
            int rc = trib_err_errno(err, errno, "renaming %s to %s", f->p[i].path, name);
            free(name);
            return rc;
        }
        free(f->p[i].path);
        f->p[i].path = name;
    }
    return 0;
}

static void remove_target(const char *target, bool many)
{
    if (many) {
        remove_folder(target);
    } else {
        (void)unlink(target);
    }
}

/* The smallest row groups are written by one thread: what the query itself holds is then one thread's too. */
static int copy_once(struct trib_conn *c, const char *select, const struct trib_type *type, const char *target,
                     const struct trib_parquet_opts *o, struct files *ret, struct trib_err *err)
{
    bool alone = *o->group_bytes <= GROUP_LEAST_BYTES;
    struct trib_err later = {0};
    if (alone) {
        TRIB_TRY(trib_conn_one_thread(c, true, err));
    }
    int rc = copy_to(c, select, type, target, o, ret, err);
    if (alone && trib_conn_one_thread(c, false, &later) != 0 && rc == 0) {
        files_drop(ret);
        *ret = (struct files){0};
        *err = later;
        rc = (int)later.code;
    }
    return rc;
}

/* Row groups of wide rows take several times their size while they are written: again, with smaller ones, before that is an error. */
static int copy_within(struct trib_conn *c, const char *select, const struct trib_type *type, const char *target,
                       const struct trib_parquet_opts *o, struct files *ret, struct trib_err *err)
{
    struct trib_parquet_opts own = *o;
    uint64_t bytes = bytes_of(c, o);
    struct trib_err mine = {0};
    err = err == NULL ? &mine : err;
    own.group_bytes = &bytes;
    int rc = copy_once(c, select, type, target, &own, ret, err);
    while (rc == TRIB_E_LIMIT && bytes > GROUP_LEAST_BYTES) {
        remove_target(target, o->file_bytes > 0);
        trib_err_clear(err);
        bytes = bytes / 4 < GROUP_LEAST_BYTES ? GROUP_LEAST_BYTES : bytes / 4;
        rc = copy_once(c, select, type, target, &own, ret, err);
    }
    if (rc == 0 && o->group_bytes != NULL) {
        *o->group_bytes = bytes;
    }
    return rc;
}

int trib_parquet_write_query(struct trib_conn *c, const char *select, const char *path_prefix,
                             const struct trib_parquet_opts *o, struct trib_parquet_file **ret, size_t *ret_n,
                             struct trib_err *err)
{
    struct trib_type type;
    char *sql;
    TRIB_TRY(trib_query_type(c, select, &type, &sql, err));
    char *prefix = plain_path(path_prefix);
    bool many = o->file_bytes > 0;
    char *target = trib_asprintf(many ? "%s.parts" : "%s-0.parquet", prefix);
    struct files files = {0};
    int rc = copy_within(c, sql, &type, target, o, &files, err);
    if (rc == 0) {
        rc = name_files(&files, prefix, err);
    }
    if (rc != 0) {
        files_drop(&files);
        (void)unlink(target);
    } else {
        *ret = files.p;
        *ret_n = files.n;
    }
    if (many) {
        remove_folder(target);
    }
    free(target);
    free(prefix);
    free(sql);
    trib_type_free(&type);
    return rc;
}
