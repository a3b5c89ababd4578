/*
 * Bad records on their way to the quarantine table, in a scratch file.
 *
 * Owns the file, which is unlinked as soon as it is open: it dies with the process, and a crash leaves nothing behind.
 * What it holds is worth nothing before the commit, so nothing is synced. Plain stdio, not the file system's vtable, for
 * the same reason as the engine's spill files: scratch is no part of what a crash is tested against.
 * Threads: one at a time.
 */
#include "stage/spool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { N_TEXTS = 9 };
#define RAW_MAX ((size_t)1 << 20)
#define NO_TEXT UINT32_MAX

struct trib_spool {
    char *scratch;
    FILE *file;
    size_t rows;
    uint64_t bytes;
    bool has_old;
    char *last_file, *min_file, *max_file;
    struct trib_hmap files; /* names seen */
    struct trib_hkey *names;
    size_t n_names, cap_names;
};

struct record_head {
    int64_t offset, event_ts_us;
    uint32_t lengths[N_TEXTS]; /* NO_TEXT: null */
    uint32_t base64_twice;
};

struct trib_spool *trib_spool_new(const char *scratch)
{
    struct trib_spool *s = trib_calloc(1, sizeof *s);
    s->scratch = trib_strdup(scratch);
    return s;
}

void trib_spool_free(struct trib_spool *s)
{
    if (s == NULL) {
        return;
    }
    if (s->file != NULL) {
        (void)fclose(s->file);
    }
    free(s->scratch);
    free(s->last_file);
    free(s->min_file);
    free(s->max_file);
    free(s->names);
    trib_hmap_free(&s->files);
    free(s);
}

size_t trib_spool_rows(const struct trib_spool *s) { return s->rows; }
uint64_t trib_spool_bytes(const struct trib_spool *s) { return s->bytes; }
bool trib_spool_has_old(const struct trib_spool *s) { return s->has_old; }

static int open_scratch(struct trib_spool *s, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *path = trib_asprintf("%s/quarantine-XXXXXX", s->scratch);
    int fd = mkstemp(path);
    if (fd < 0) {
        return trib_err_errno(err, errno, "cannot make a scratch file in %s", s->scratch);
    }
    (void)unlink(path);
    s->file = fdopen(fd, "w+b");
    if (s->file == NULL) {
        int errnum = errno;
        (void)close(fd);
        return trib_err_errno(err, errnum, "cannot open a scratch file in %s", s->scratch);
    }
    return 0;
}

static void note_file(struct trib_spool *s, const char *name)
{
    if (s->last_file != NULL && strcmp(s->last_file, name) == 0) {
        return;
    }
    free(s->last_file);
    s->last_file = trib_strdup(name);
    bool fresh;
    struct trib_hkey key = trib_hkey_of(trib_view_of(name));
    trib_hmap_put(&s->files, key, 0, &fresh);
    if (fresh) {
        TRIB_GROW(s->names, s->cap_names, s->n_names + 1);
        s->names[s->n_names++] = key;
    }
    if (s->min_file == NULL || strcmp(name, s->min_file) < 0) {
        free(s->min_file);
        s->min_file = trib_strdup(name);
    }
    if (s->max_file == NULL || strcmp(name, s->max_file) > 0) {
        free(s->max_file);
        s->max_file = trib_strdup(name);
    }
}

static struct trib_view text_or_null(const char *text) { return trib_view_of(text); }

int trib_spool_add(struct trib_spool *s, const struct trib_quarantine_row *row, struct trib_err *err)
{
    if (s->file == NULL) {
        TRIB_TRY(open_scratch(s, err));
    }
    struct trib_view texts[N_TEXTS] = {
        text_or_null(row->file), text_or_null(row->reason), text_or_null(row->expectation), row->raw,
        text_or_null(row->op),   text_or_null(row->origin), text_or_null(row->event_id),    text_or_null(row->sequence),
        row->item_json,
    };
    struct trib_view old = row->old_json;
    if (texts[3].n > RAW_MAX) {
        texts[3].n = RAW_MAX;
    }
    struct record_head head = {
        .offset = row->offset, .event_ts_us = row->event_ts_us, .base64_twice = row->base64_twice};
    uint64_t bytes = sizeof head + sizeof(uint32_t) + old.n;
    for (size_t i = 0; i < N_TEXTS; i++) {
        head.lengths[i] = texts[i].p == NULL ? NO_TEXT : (uint32_t)texts[i].n;
        bytes += texts[i].n;
    }
    uint32_t old_n = (uint32_t)old.n;
    bool ok = fwrite(&head, sizeof head, 1, s->file) == 1 && fwrite(&old_n, sizeof old_n, 1, s->file) == 1;
    for (size_t i = 0; i < N_TEXTS && ok; i++) {
        ok = texts[i].n == 0 || fwrite(texts[i].p, texts[i].n, 1, s->file) == 1;
    }
    ok = ok && (old.n == 0 || fwrite(old.p, old.n, 1, s->file) == 1);
    if (!ok) {
        return trib_err_errno(err, errno, "cannot write a scratch file in %s (is the disk full?)", s->scratch);
    }
    note_file(s, row->file);
    s->has_old |= old.n > 0;
    s->rows++;
    s->bytes += bytes;
    return 0;
}

void trib_spool_files(const struct trib_spool *s, struct trib_hmap *to, const char **io_min, const char **io_max)
{
    for (size_t i = 0; i < s->n_names; i++) {
        trib_hmap_put(to, s->names[i], 0, NULL);
    }
    if (s->min_file != NULL && (*io_min == NULL || strcmp(s->min_file, *io_min) < 0)) {
        *io_min = s->min_file;
    }
    if (s->max_file != NULL && (*io_max == NULL || strcmp(s->max_file, *io_max) > 0)) {
        *io_max = s->max_file;
    }
}

int trib_spool_rewind(struct trib_spool *s, struct trib_err *err)
{
    if (s->file != NULL && (fflush(s->file) != 0 || fseek(s->file, 0, SEEK_SET) != 0)) {
        return trib_err_errno(err, errno, "cannot read back a scratch file in %s (is the disk full?)", s->scratch);
    }
    return 0;
}

static int read_exact(struct trib_spool *s, void *to, size_t n, struct trib_err *err)
{
    if (n > 0 && fread(to, n, 1, s->file) != 1) {
        return trib_err_set(err, TRIB_E_IO, "cannot read back a scratch file in %s: it ends too early", s->scratch);
    }
    return 0;
}

int trib_spool_next(struct trib_spool *s, struct trib_arena *arena, struct trib_quarantine_row *ret, bool *ret_more,
                    struct trib_err *err)
{
    struct record_head head;
    uint32_t old_n;
    if (s->file == NULL || fread(&head, sizeof head, 1, s->file) != 1) {
        if (s->file != NULL && ferror(s->file)) {
            return trib_err_errno(err, errno, "cannot read back a scratch file in %s", s->scratch);
        }
        *ret_more = false;
        return 0;
    }
    TRIB_TRY(read_exact(s, &old_n, sizeof old_n, err));
    struct trib_view texts[N_TEXTS];
    for (size_t i = 0; i < N_TEXTS; i++) {
        texts[i] = (struct trib_view){NULL, 0};
        if (head.lengths[i] != NO_TEXT) {
            char *p = trib_arena_alloc(arena, (size_t)head.lengths[i] + 1);
            TRIB_TRY(read_exact(s, p, head.lengths[i], err));
            p[head.lengths[i]] = '\0';
            texts[i] = (struct trib_view){p, head.lengths[i]};
        }
    }
    char *old = trib_arena_alloc(arena, (size_t)old_n + 1);
    TRIB_TRY(read_exact(s, old, old_n, err));
    *ret = (struct trib_quarantine_row){
        .file = texts[0].p,
        .offset = head.offset,
        .reason = texts[1].p,
        .expectation = texts[2].p,
        .raw = texts[3],
        .op = texts[4].p,
        .origin = texts[5].p,
        .event_id = texts[6].p,
        .sequence = texts[7].p,
        .event_ts_us = head.event_ts_us,
        .item_json = texts[8],
        .old_json = {old, old_n},
        .base64_twice = head.base64_twice != 0,
    };
    *ret_more = true;
    return 0;
}
