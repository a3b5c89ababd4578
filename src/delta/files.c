/*
 * The data files of one commit: written to the scratch folder, moved into the table under a new name, and deleted again where
 * the commit surely did not happen.
 *
 * Never decides about a commit, never touches a file that a log may name. Threads: one a set of files.
 * A crash leaves files that no log names; vacuum takes them. What is in the scratch folder dies with it.
 */
#include <stdlib.h>

#include "delta/internal.h"

/* Hive's escapes, as Spark writes them: some readers take partition values from the folders' names, not from the log. */
static void add_escaped(struct trib_buf *to, const char *s)
{
    for (const char *p = s; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == 0x7F || strchr("\"#%'*/:=?\\{[]^", c) != NULL) {
            trib_buf_addf(to, "%%%02X", c);
        } else {
            trib_buf_addc(to, *p);
        }
    }
}

/* "d=2026-01-01/s=x/". A name that no file system takes puts the file into the table's root, which the protocol allows. */
static void partition_folder(struct trib_buf *to, const struct trib_kv *partition, size_t n)
{
    enum { MAX_NAME = 255 };
    for (size_t i = 0; i < n; i++) {
        size_t before = to->n;
        bool null = partition[i].value == NULL || *partition[i].value == '\0';
        add_escaped(to, partition[i].key);
        trib_buf_addc(to, '=');
        add_escaped(to, null ? "__HIVE_DEFAULT_PARTITION__" : partition[i].value);
        if (to->n - before > MAX_NAME || to->overflow) {
            trib_buf_clear(to);
            return;
        }
        trib_buf_addc(to, '/');
    }
}

int trib_delta_add_file(const struct trib_delta *t, const struct trib_parquet_file *f, const struct trib_kv *partition,
                        size_t n_partition, struct trib_add *ret, struct trib_err *err)
{
    char uuid[37];
    trib_rng_uuid(t->rng, uuid);
    TRIB_CLEANUP(trib_buf_free) struct trib_buf path;
    trib_buf_init(&path, 4096);
    trib_buf_adds(&path, "");
    partition_folder(&path, partition, n_partition);
    trib_buf_addf(&path, "part-%s.parquet", uuid);
    TRIB_CLEANUP(trib_cleanup_free) char *key = trib_delta_file_key(t, path.p);
    TRIB_TRY(trib_store_put_file(t->store, key, f->path, err));
    *ret = (struct trib_add){
        .path = trib_buf_take(&path),
        .size = f->bytes,
        .mtime_ms = trib_now_us(t->clock) / 1000,
        .data_change = true,
        .n_partition = n_partition,
        .partition = trib_kvs_copy(partition, n_partition),
        .stats = f->stats_json == NULL ? NULL : trib_strdup(f->stats_json),
        .rows = f->rows,
        .version = -1,
    };
    return 0;
}

void trib_delta_abandon(const struct trib_delta *t, const struct trib_add *adds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        TRIB_CLEANUP(trib_cleanup_free) char *key = trib_delta_file_key(t, adds[i].path);
        struct trib_err err;
        if (trib_store_remove(t->store, key, &err) != 0) {
            continue; /* what stays is named by no log: vacuum takes it */
        }
    }
}

/* ---- sets ---- */

int trib_delta_files_move(const struct trib_delta *t, struct trib_parquet_file *written, size_t n,
                          const struct trib_kv *partition, size_t n_partition, struct trib_delta_files *io,
                          struct trib_err *err)
{
    TRIB_GROW(io->adds, io->cap, io->n + n);
    for (size_t i = 0; i < n; i++) {
        if (written[i].path != NULL && written[i].rows > 0) {
            TRIB_TRY(trib_delta_add_file(t, &written[i], partition, n_partition, &io->adds[io->n], err));
            io->rows += written[i].rows;
            io->n++;
        }
    }
    return 0;
}

static char *scratch_name(const struct trib_delta *t, const char *suffix)
{
    char uuid[37];
    trib_rng_uuid(t->rng, uuid);
    return trib_asprintf("%s/data-%s%s", t->scratch, uuid, suffix);
}

int trib_delta_files_write(const struct trib_delta *t, const struct trib_type *row, trib_fill_fn fill, void *ctx,
                           const struct trib_parquet_opts *o, const struct trib_kv *partition, size_t n_partition,
                           struct trib_delta_files *io, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *path = scratch_name(t, ".parquet");
    struct trib_parquet_file written = {0};
    TRIB_TRY(trib_parquet_write(t->conn, row, fill, ctx, path, o, &written, err));
    int rc = trib_delta_files_move(t, &written, 1, partition, n_partition, io, err);
    trib_parquet_file_drop(&written);
    return rc;
}

int trib_delta_files_query(const struct trib_delta *t, const char *select, const struct trib_parquet_opts *o,
                           struct trib_delta_files *io, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *prefix = scratch_name(t, "");
    struct trib_parquet_file *written = NULL;
    size_t n = 0;
    TRIB_TRY(trib_parquet_write_query(t->conn, select, prefix, o, &written, &n, err));
    int rc = trib_delta_files_move(t, written, n, NULL, 0, io, err);
    for (size_t i = 0; i < n; i++) {
        trib_parquet_file_drop(&written[i]);
    }
    free(written);
    return rc;
}

void trib_delta_files_end(const struct trib_delta *t, struct trib_delta_files *io, int rc, const struct trib_err *err)
{
    bool surely_not = rc != 0 && err != NULL && !err->ambiguous;
    if (surely_not) {
        trib_delta_abandon(t, io->adds, io->n);
    }
    for (size_t i = 0; i < io->n; i++) {
        trib_add_free(&io->adds[i]);
    }
    free(io->adds);
    *io = (struct trib_delta_files){0};
}
