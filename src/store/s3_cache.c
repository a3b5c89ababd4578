/*
 * Copies of S3's objects for what reads by path (s3.h).
 *
 * Names in the folder: copy-<hash> is a copy that anybody may use (hash: of URL, ETag and size); use-<process>-<n> is the same file
 * for one process, by a second link, and use-<process>.lock is locked as long as that process lives.
 *
 * Invariants:
 *  1. A copy-… is whole and synced before it has that name, and never written again.
 *  2. Eviction takes copy-… names alone; what somebody reads stays, by its other name.
 *  3. A use-… name goes when its owner releases it, or when its lock is found free.
 * A crash leaves use-… names, which the next process removes. Threads: any, one lock around the list of what was given.
 */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/sign.h"
#include "os/lock.h"
#include "os/os.h"
#include "store/s3_own.h"

enum { TRIES = 4, NAME = 32, SCAN_SHARE = 16 };
static const int64_t DEFAULT_BYTES = (int64_t)1 << 30;

struct given {
    char *url, *path;
};

struct trib_s3_cache {
    const struct trib_fs *fs;
    char *folder;
    int64_t bytes;
    pthread_mutex_t lock; /* all below */
    bool open;
    char name[NAME + 1]; /* of this process */
    struct trib_lock alive;
    uint64_t serial;
    int64_t added; /* bytes since the folder was looked through; INT64_MAX: never */
    struct given *given;
    size_t n_given, cap_given;
};

struct trib_s3_cache *trib_s3_cache_new(const struct trib_fs *fs, const char *folder, int64_t bytes)
{
    struct trib_s3_cache *c = trib_calloc(1, sizeof *c);
    c->fs = fs;
    c->folder = trib_strdup(folder);
    c->bytes = bytes > 0 ? bytes : DEFAULT_BYTES;
    c->alive.fd = -1;
    c->added = INT64_MAX;
    (void)pthread_mutex_init(&c->lock, NULL);
    return c;
}

static void drop(const struct trib_s3_cache *c, const char *path)
{
    struct trib_err ignored;
    (void)c->fs->unlink(c->fs->ctx, path, &ignored);
}

void trib_s3_cache_release(struct trib_s3_cache *c)
{
    (void)pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->n_given; i++) {
        drop(c, c->given[i].path);
        free(c->given[i].path);
        free(c->given[i].url);
    }
    c->n_given = 0;
    (void)pthread_mutex_unlock(&c->lock);
}

static char *lock_path(const struct trib_s3_cache *c, const char *name)
{
    return trib_asprintf("%s/use-%.*s.lock", c->folder, NAME, name);
}

void trib_s3_cache_free(struct trib_s3_cache *c)
{
    if (c == NULL) {
        return;
    }
    trib_s3_cache_release(c);
    if (c->open) {
        TRIB_CLEANUP(trib_cleanup_free) char *path = lock_path(c, c->name);
        drop(c, path);
        trib_lock_release(&c->alive);
    }
    free(c->given);
    free(c->folder);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

/* ---- the folder --------------------------------------------------------------------------------------------------- */

struct entry {
    char *path;
    int64_t size, mtime_us;
};
struct entries {
    const struct trib_s3_cache *c;
    const char *begins;
    struct entry *p;
    size_t n, cap;
    int64_t bytes;
};

static int collect(void *ctx, const char *name, bool is_dir, struct trib_err *err)
{
    (void)err;
    struct entries *e = ctx;
    if (!is_dir && strncmp(name, e->begins, strlen(e->begins)) == 0) {
        TRIB_GROW(e->p, e->cap, e->n + 1);
        e->p[e->n++] = (struct entry){.path = trib_asprintf("%s/%s", e->c->folder, name)};
    }
    return 0;
}

static void entries_free(struct entries *e)
{
    for (size_t i = 0; i < e->n; i++) {
        free(e->p[i].path);
    }
    free(e->p);
}

static int by_age(const void *a, const void *b)
{
    int64_t x = ((const struct entry *)a)->mtime_us, y = ((const struct entry *)b)->mtime_us;
    return x < y ? -1 : x > y ? 1 : 0;
}

/* Takes the oldest copies away until `keep` bytes are left. What cannot be seen or taken is somebody else's doing: the next look
 * sees to it. */
static void evict(const struct trib_s3_cache *c, int64_t keep)
{
    TRIB_CLEANUP(entries_free) struct entries e = {.c = c, .begins = "copy-"};
    struct trib_err ignored;
    if (c->fs->list(c->fs->ctx, c->folder, collect, &e, &ignored) != 0) {
        return;
    }
    for (size_t i = 0; i < e.n; i++) {
        struct trib_fs_stat st = {0};
        if (c->fs->stat(c->fs->ctx, e.p[i].path, &st, &ignored) == 0) {
            e.p[i].size = st.size;
            e.p[i].mtime_us = st.mtime_us;
            e.bytes += st.size;
        }
    }
    if (e.n > 0) {
        qsort(e.p, e.n, sizeof *e.p, by_age);
    }
    for (size_t i = 0; i < e.n && e.bytes > keep; i++) {
        drop(c, e.p[i].path);
        e.bytes -= e.p[i].size;
    }
}

/* Removes what processes left that are no more. */
static void sweep(const struct trib_s3_cache *c)
{
    TRIB_CLEANUP(entries_free) struct entries e = {.c = c, .begins = "use-"};
    struct trib_err ignored;
    if (c->fs->list(c->fs->ctx, c->folder, collect, &e, &ignored) != 0) {
        return;
    }
    size_t at = strlen(c->folder) + 5; /* behind "/use-" */
    for (size_t i = 0; i < e.n; i++) {
        const char *path = e.p[i].path;
        if (strlen(path + at) <= NAME || strncmp(path + at, c->name, NAME) == 0) {
            continue;
        }
        TRIB_CLEANUP(trib_cleanup_free) char *of = lock_path(c, path + at);
        struct trib_lock theirs;
        if (trib_lock_take(of, &theirs, &ignored) == 0) {
            drop(c, path);
            drop(c, of);
            trib_lock_release(&theirs);
        }
    }
}

/* With the lock held. The lock is there before any name that it stands for; whoever sweeps meanwhile may hold it for a moment. */
static int open_folder(struct trib_s3_cache *c, struct trib_err *err)
{
    if (c->open) {
        return 0;
    }
    TRIB_TRY(trib_fs_mkdirs(c->fs, c->folder, err));
    int rc = TRIB_E_AGAIN;
    for (int i = 0; i < TRIES && rc == TRIB_E_AGAIN; i++) {
        (void)snprintf(c->name, sizeof c->name, "%016llx%016llx", (unsigned long long)trib_rng_u64(&trib_rng_real),
                       (unsigned long long)trib_rng_u64(&trib_rng_real));
        TRIB_CLEANUP(trib_cleanup_free) char *path = lock_path(c, c->name);
        rc = trib_lock_take(path, &c->alive, err);
    }
    c->open = rc == 0;
    if (rc == 0) {
        sweep(c);
    }
    return rc;
}

/* ---- copies ------------------------------------------------------------------------------------------------------- */

static char *copy_path(const struct trib_s3_cache *c, const char *url, const struct trib_s3_head *h)
{
    TRIB_CLEANUP(trib_cleanup_free) char *id = trib_asprintf("%s\n%s\n%lld", url, h->etag, (long long)h->size);
    char sha[65];
    trib_sha256_hex(trib_view_of(id), sha);
    return trib_asprintf("%s/copy-%.40s", c->folder, sha);
}

/* A name of our own for a copy that is there. NOT_FOUND: it is not, or not whole. */
static int take_copy(struct trib_s3_cache *c, const char *copy, int64_t size, const char *own, struct trib_err *err)
{
    struct trib_fs_stat st;
    TRIB_TRY(c->fs->stat(c->fs->ctx, copy, &st, err));
    if (st.size != size) {
        drop(c, copy);
        return trib_err_set(err, TRIB_E_NOT_FOUND, "%s is not whole", copy);
    }
    if (c->fs->touch != NULL) {
        c->fs->touch(c->fs->ctx, copy);
    }
    return c->fs->link(c->fs->ctx, copy, own, err);
}

/* To our own name first; then everybody may have it. */
static int fetch(struct trib_s3 *s, const char *key, const struct trib_s3_head *h, const char *copy, const char *own,
                 struct trib_err *err)
{
    struct trib_s3_cache *c = s->cache;
    int rc = trib_s3_download(s, key, h, own, err);
    if (rc == TRIB_E_IO) { /* a full disk, perhaps: what nobody reads can go */
        evict(c, 0);
        rc = trib_s3_download(s, key, h, own, err);
    }
    if (rc != 0) {
        drop(c, own);
        return rc;
    }
    struct trib_err ignored;
    if (c->fs->sync(c->fs->ctx, own, &ignored) == 0) {
        (void)c->fs->link(c->fs->ctx, own, copy, &ignored); /* another process may have been first */
    }
    (void)pthread_mutex_lock(&c->lock);
    bool look = c->added > c->bytes / SCAN_SHARE;
    c->added = look ? h->size : c->added + h->size;
    (void)pthread_mutex_unlock(&c->lock);
    if (look) {
        evict(c, c->bytes);
    }
    return 0;
}

/* The path that was given for it before and is not released. [out] */
static char *find_given(struct trib_s3_cache *c, const char *url)
{
    for (size_t i = 0; i < c->n_given; i++) {
        if (strcmp(c->given[i].url, url) == 0) {
            return trib_strdup(c->given[i].path);
        }
    }
    return NULL;
}

/* Remembers it, or drops it where another thread was first. [out] the path to give */
static char *give(struct trib_s3_cache *c, const char *url, char *own)
{
    (void)pthread_mutex_lock(&c->lock);
    char *before = find_given(c, url);
    if (before == NULL) {
        TRIB_GROW(c->given, c->cap_given, c->n_given + 1);
        c->given[c->n_given++] = (struct given){trib_strdup(url), trib_strdup(own)};
    }
    (void)pthread_mutex_unlock(&c->lock);
    if (before == NULL) {
        return own;
    }
    drop(c, own);
    free(own);
    return before;
}

static int copy_in(struct trib_s3 *s, const char *key, const char *url, const char *own, struct trib_err *err)
{
    int rc = TRIB_E_CONFLICT;
    for (int i = 0; i < TRIES && rc == TRIB_E_CONFLICT; i++) {
        struct trib_s3_head h;
        struct trib_err missing;
        TRIB_TRY(trib_s3_head(s, key, &h, err));
        TRIB_CLEANUP(trib_cleanup_free) char *copy = copy_path(s->cache, url, &h);
        rc = take_copy(s->cache, copy, h.size, own, &missing);
        if (rc != 0) {
            rc = fetch(s, key, &h, copy, own, err);
        }
    }
    return rc;
}

int trib_s3_local(struct trib_store *base, const char *key, char **ret_path, struct trib_err *err)
{
    struct trib_s3 *s = (struct trib_s3 *)base;
    struct trib_s3_cache *c = s->cache;
    struct trib_err local = {0};
    err = err != NULL ? err : &local;
    TRIB_TRY(trib_s3_check_key(key, err));
    if (c == NULL) {
        return trib_err_set(err, TRIB_E_UNSUPPORTED, "%s/%s: there is no folder for copies of objects", base->url, key);
    }
    TRIB_CLEANUP(trib_cleanup_free) char *url = trib_asprintf("%s/%s", base->url, key);
    (void)pthread_mutex_lock(&c->lock);
    int rc = open_folder(c, err);
    char *path = rc == 0 ? find_given(c, url) : NULL;
    uint64_t serial = c->serial++;
    (void)pthread_mutex_unlock(&c->lock);
    if (rc != 0) {
        return rc;
    }
    if (path == NULL) {
        char *own = trib_asprintf("%s/use-%s-%llu", c->folder, c->name, (unsigned long long)serial);
        rc = copy_in(s, key, url, own, err);
        if (rc != 0) {
            free(own);
            return rc;
        }
        path = give(c, url, own);
    }
    *ret_path = path;
    return 0;
}
