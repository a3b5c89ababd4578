/*
 * Marks: a set of rows of files, one bit a row, that a query asks as a function of (file, position).
 *
 * A join would hash what it names, a hundred bytes a row and more, and spill the wide side with it; 50 M rows are 6 MB here.
 * Filled by one thread between queries, read by the engine's threads in one. Nothing on disk.
 */
#include <stdlib.h>

#include "merge/own.h"

struct file_marks {
    uint8_t *bits;
    size_t n, cap; /* bytes */
};

struct trib_marks {
    char *name;
    struct file_marks *files;
    size_t n_files, cap_files;
};

static int is_marked(void *ctx, void *state, const struct trib_vec *args, size_t n, struct trib_vec *out,
                     struct trib_arena *arena, struct trib_err *err)
{
    const struct trib_marks *m = ctx;
    const int64_t *file = args[0].data, *pos = args[1].data;
    (void)state;
    (void)arena;
    (void)err;
    for (size_t i = 0; i < n; i++) {
        bool hit = false;
        if (!trib_vec_is_null(&args[0], i) && !trib_vec_is_null(&args[1], i) && file[i] >= 0 && pos[i] >= 0 &&
            (uint64_t)file[i] < m->n_files) {
            const struct file_marks *f = &m->files[file[i]];
            uint64_t byte = (uint64_t)pos[i] >> 3;
            hit = byte < f->n && (f->bits[byte] >> (pos[i] & 7) & 1) != 0;
        }
        trib_vec_set_valid(out, i);
        ((uint8_t *)out->data)[i] = hit;
    }
    return 0;
}

int trib_marks_new(struct trib_conn *c, char *name, struct trib_marks **ret, struct trib_err *err)
{
    static const struct trib_type result = {.id = TRIB_T_BOOLEAN};
    struct trib_marks *m = trib_calloc(1, sizeof *m);
    m->name = name;
    struct trib_type args = trib_type_simple(TRIB_T_STRUCT);
    (void)trib_type_add(&args, "file", trib_type_simple(TRIB_T_LONG));
    (void)trib_type_add(&args, "pos", trib_type_simple(TRIB_T_LONG));
    struct trib_function f = {.name = m->name, .args = &args, .result = &result, .call = is_marked, .ctx = m};
    int rc = trib_function_register(c, &f, err);
    trib_type_free(&args);
    if (rc != 0) {
        trib_marks_free(m);
        return rc;
    }
    *ret = m;
    return 0;
}

void trib_marks_clear(struct trib_marks *m)
{
    for (size_t i = 0; i < m->n_files; i++) {
        free(m->files[i].bits);
    }
    m->n_files = 0;
}

void trib_marks_free(struct trib_marks *m)
{
    if (m == NULL) {
        return;
    }
    trib_marks_clear(m);
    free(m->files);
    free(m->name);
    free(m);
}

static void mark(struct trib_marks *m, size_t file, uint64_t pos)
{
    TRIB_GROW(m->files, m->cap_files, file + 1);
    while (m->n_files <= file) {
        m->files[m->n_files++] = (struct file_marks){0};
    }
    struct file_marks *f = &m->files[file];
    size_t byte = (size_t)(pos >> 3);
    if (byte >= f->n) {
        TRIB_GROW(f->bits, f->cap, byte + 1);
        memset(f->bits + f->n, 0, byte + 1 - f->n);
        f->n = byte + 1;
    }
    f->bits[byte] = (uint8_t)(f->bits[byte] | 1U << (pos & 7));
}

int trib_marks_fill(struct trib_marks *m, struct trib_conn *c, const char *sql, int64_t *io_n, struct trib_err *err)
{
    struct trib_result *res = NULL;
    const struct trib_chunk *chunk;
    int rc = trib_query(c, sql, &res, err);
    while (rc == 0 && (rc = trib_result_next(res, &chunk, err)) == 0 && chunk->rows > 0) {
        const int64_t *file = chunk->cols[0].data, *pos = chunk->cols[1].data;
        for (size_t i = 0; i < chunk->rows; i++) {
            mark(m, (size_t)file[i], (uint64_t)pos[i]);
        }
        *io_n += (int64_t)chunk->rows;
    }
    trib_result_free(res);
    return rc;
}

const char *trib_marks_name(const struct trib_marks *m) { return m->name; }

size_t *trib_marks_files(const struct trib_marks *m, size_t *ret_n)
{
    size_t *index = trib_calloc(m->n_files + 1, sizeof *index);
    *ret_n = 0;
    for (size_t i = 0; i < m->n_files; i++) {
        if (m->files[i].n > 0) {
            index[(*ret_n)++] = i;
        }
    }
    return index;
}
