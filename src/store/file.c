/*
 * file://: a folder as a store.
 *
 * Owns the mapping of keys to paths and the durability of folders. Never replaces an object unless asked, never shows
 * half of one (os/fs.h, trib_fs_publish). Threads: any; the set of synced folders has a lock.
 * A crash leaves at most temporaries that begin with '.', which no listing shows, and empty folders.
 */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "os/fs.h"
#include "os/os.h"
#include "store/store.h"

enum { MAX_DEPTH = 100, MAX_SYNCED = 4096 };

struct file_store {
    struct trib_store base;
    const struct trib_fs *fs;
    char *root;
    pthread_mutex_t lock; /* the set below */
    /* Folders whose names this process has synced into their parents. A folder that is there may have been made by a
     * process that died before its sync, so that it could vanish with our acknowledged objects. */
    char **synced;
    size_t n_synced, cap_synced;
    /* Folders that were settled, and what was seen in them then. */
    struct settled {
        char *prefix, *mark;
    } * settled;
    size_t n_settled, cap_settled;
};

static struct file_store *self(struct trib_store *s) { return (struct file_store *)s; }

static int check_key(const char *key, bool folder, struct trib_err *err)
{
    const char *p = key;
    while (*p != '\0') {
        size_t n = strcspn(p, "/");
        if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.')) {
            return trib_err_set(err, TRIB_E_USAGE,
                                "\"%s\" is no key of a store: empty, \".\" and \"..\" components are not allowed", key);
        }
        p += n;
        if (*p == '/') {
            p++;
            if (*p == '\0' && !folder) {
                return trib_err_set(err, TRIB_E_USAGE, "\"%s\" is no key of a store: it ends in a slash", key);
            }
        }
    }
    if (!folder && *key == '\0') {
        return trib_err_set(err, TRIB_E_USAGE, "an empty key names no object");
    }
    if (folder && *key != '\0' && p[-1] != '/') {
        return trib_err_set(err, TRIB_E_USAGE, "the prefix \"%s\" of a listing must end in a slash", key);
    }
    return 0;
}

static char *path_of(const struct file_store *s, const char *key)
{
    size_t n = strlen(s->root);
    return trib_asprintf("%s%s%s", s->root, n > 0 && s->root[n - 1] == '/' ? "" : "/", key);
}

/* Random each time: a number drawn once would be shared by forked processes, which then write into each other's file. */
static char *unique_name(void)
{
    return trib_asprintf("%016llx%016llx", (unsigned long long)trib_rng_u64(&trib_rng_real),
                         (unsigned long long)trib_rng_u64(&trib_rng_real));
}

/* --- listing ----------------------------------------------------------------------------------------------------- */

struct entry {
    char *name; /* folders end in '/': so plain byte order of names is byte order of keys */
};
struct entries {
    struct entry *p;
    size_t n, cap;
    bool all;
};

static int collect(void *ctx, const char *name, bool is_dir, struct trib_err *err)
{
    (void)err;
    struct entries *e = ctx;
    if (!e->all && (name[0] == '.' || name[0] == '_')) {
        return 0;
    }
    TRIB_GROW(e->p, e->cap, e->n + 1);
    e->p[e->n++] = (struct entry){trib_asprintf("%s%s", name, is_dir ? "/" : "")};
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static void entries_free(struct entries *e)
{
    for (size_t i = 0; i < e->n; i++) {
        free(e->p[i].name);
    }
    free(e->p);
}

struct listing {
    struct file_store *s;
    const char *after;
    bool all;
    trib_list_fn fn;
    void *ctx;
};

static int list_folder(const struct listing *l, const char *prefix, int depth, struct trib_err *err);

static int list_entry(const struct listing *l, const char *key, int depth, struct trib_err *err)
{
    size_t n = strlen(key);
    if (key[n - 1] == '/') {
        /* All keys below are smaller than `after`? */
        if (l->after != NULL && strncmp(key, l->after, n) < 0) {
            return 0;
        }
        return list_folder(l, key, depth + 1, err);
    }
    if (l->after != NULL && strcmp(key, l->after) <= 0) {
        return 0;
    }
    TRIB_CLEANUP(trib_cleanup_free) char *path = path_of(l->s, key);
    struct trib_fs_stat st;
    struct trib_err local;
    int rc = l->s->fs->stat(l->s->fs->ctx, path, &st, &local);
    if (rc == TRIB_E_NOT_FOUND) {
        return 0; /* gone since the folder was read */
    }
    if (rc != 0) {
        *err = local;
        return rc;
    }
    struct trib_object o = {.key = key, .size = st.size, .mtime_us = st.mtime_us};
    return st.is_dir || st.is_special ? 0 : l->fn(l->ctx, &o, err); /* a pipe would be waited for */
}

static int list_folder(const struct listing *l, const char *prefix, int depth, struct trib_err *err)
{
    if (depth > MAX_DEPTH) {
        return trib_err_set(err, TRIB_E_LIMIT,
                            "%s/%s: folders are nested more than %d deep (a symbolic link to a parent?)", l->s->root,
                            prefix, MAX_DEPTH);
    }
    TRIB_CLEANUP(trib_cleanup_free) char *path = path_of(l->s, prefix);
    TRIB_CLEANUP(entries_free) struct entries e = {.all = l->all};
    struct trib_err local;
    int rc = l->s->fs->list(l->s->fs->ctx, path, collect, &e, &local);
    if (rc == TRIB_E_NOT_FOUND) {
        return 0;
    }
    if (rc != 0) {
        *err = local;
        return rc;
    }
    if (e.n > 0) {
        qsort(e.p, e.n, sizeof *e.p, by_name);
    }
    for (size_t i = 0; i < e.n; i++) {
        TRIB_CLEANUP(trib_cleanup_free) char *key = trib_asprintf("%s%s", prefix, e.p[i].name);
        TRIB_TRY(list_entry(l, key, depth, err));
    }
    return 0;
}

static int file_list(struct trib_store *base, const char *prefix, const char *after, bool all, trib_list_fn fn,
                     void *ctx, struct trib_err *err)
{
    struct trib_err local = {0};
    struct trib_err *to = err != NULL ? err : &local;
    TRIB_TRY(check_key(prefix, true, to));
    struct listing l = {.s = self(base), .after = after, .all = all, .fn = fn, .ctx = ctx};
    return list_folder(&l, prefix, 0, to);
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

static int file_head(struct trib_store *base, const char *key, int64_t *ret_size, int64_t *ret_mtime_us,
                     struct trib_err *err)
{
    struct file_store *s = self(base);
    TRIB_TRY(check_key(key, false, err));
    TRIB_CLEANUP(trib_cleanup_free) char *path = path_of(s, key);
    struct trib_fs_stat st;
    TRIB_TRY(s->fs->stat(s->fs->ctx, path, &st, err));
    if (st.is_dir) {
        return trib_err_set(err, TRIB_E_NOT_FOUND, "%s is a folder, not an object", path);
    }
    if (ret_size != NULL) {
        *ret_size = st.size;
    }
    if (ret_mtime_us != NULL) {
        *ret_mtime_us = st.mtime_us;
    }
    return 0;
}

static int file_get(struct trib_store *base, const char *key, int64_t offset, int64_t n, struct trib_buf *to,
                    struct trib_err *err)
{
    struct file_store *s = self(base);
    TRIB_TRY(check_key(key, false, err));
    TRIB_CLEANUP(trib_cleanup_free) char *path = path_of(s, key);
    return s->fs->read(s->fs->ctx, path, offset, n, to, err);
}

static int file_local(struct trib_store *base, const char *key, char **ret_path, struct trib_err *err)
{
    TRIB_TRY(check_key(key, false, err));
    *ret_path = path_of(self(base), key);
    return 0;
}

/* --- writing ----------------------------------------------------------------------------------------------------- */

static bool is_synced(struct file_store *s, const char *folder, bool remember)
{
    (void)pthread_mutex_lock(&s->lock);
    bool found = false;
    for (size_t i = s->n_synced; !found && i-- > 0;) {
        found = strcmp(s->synced[i], folder) == 0;
    }
    if (!found && remember) {
        if (s->n_synced == MAX_SYNCED) {
            while (s->n_synced > 0) {
                free(s->synced[--s->n_synced]);
            }
        }
        TRIB_GROW(s->synced, s->cap_synced, s->n_synced + 1);
        s->synced[s->n_synced++] = trib_strdup(folder);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return found;
}

/* The folder that will hold the object: there, and its name durable up to and including the root's. */
static int ensure_folder(struct file_store *s, const char *key, struct trib_err *err)
{
    const char *slash = strrchr(key, '/');
    TRIB_CLEANUP(trib_cleanup_free) char *folder = trib_strndup(key, slash == NULL ? 0 : (size_t)(slash - key));
    TRIB_CLEANUP(trib_cleanup_free) char *path = *folder == '\0' ? trib_strdup(s->root) : path_of(s, folder);
    /* Also when it was synced before: somebody may have deleted it since. */
    TRIB_TRY(trib_fs_mkdirs(s->fs, path, err));
    if (is_synced(s, folder, false)) {
        return 0;
    }
    for (size_t n = strlen(folder);;) {
        /* Sync the folder above: it holds the name of folder[0..n). */
        size_t up = n;
        while (up > 0 && folder[up - 1] != '/') {
            up--;
        }
        TRIB_CLEANUP(trib_cleanup_free) char *part = trib_strndup(folder, up > 0 ? up - 1 : 0);
        TRIB_CLEANUP(trib_cleanup_free)
        char *above = n == 0 ? trib_fs_parent(s->root) : *part == '\0' ? trib_strdup(s->root) : path_of(s, part);
        TRIB_TRY(s->fs->sync_dir(s->fs->ctx, above, err));
        if (n == 0) {
            break;
        }
        n = up > 0 ? up - 1 : 0;
    }
    (void)is_synced(s, folder, true);
    return 0;
}

static int file_put(struct trib_store *base, const char *key, struct trib_view data, bool if_absent,
                    struct trib_err *err)
{
    struct file_store *s = self(base);
    TRIB_TRY(check_key(key, false, err));
    TRIB_TRY(ensure_folder(s, key, err));
    TRIB_CLEANUP(trib_cleanup_free) char *path = path_of(s, key);
    TRIB_CLEANUP(trib_cleanup_free) char *unique = unique_name();
    return trib_fs_publish(s->fs, path, data, !if_absent, unique, err);
}

static int file_put_file(struct trib_store *base, const char *key, const char *local_path, struct trib_err *err)
{
    struct file_store *s = self(base);
    TRIB_TRY(check_key(key, false, err));
    TRIB_TRY(ensure_folder(s, key, err));
    TRIB_CLEANUP(trib_cleanup_free) char *path = path_of(s, key);
    TRIB_CLEANUP(trib_cleanup_free) char *unique = unique_name();
    return trib_fs_publish_file(s->fs, path, local_path, unique, err);
}

static int file_remove(struct trib_store *base, const char *key, struct trib_err *err)
{
    struct file_store *s = self(base);
    TRIB_TRY(check_key(key, false, err));
    TRIB_CLEANUP(trib_cleanup_free) char *path = path_of(s, key);
    struct trib_err local;
    int rc = s->fs->unlink(s->fs->ctx, path, &local);
    if (rc != 0 && rc != TRIB_E_NOT_FOUND && err != NULL) {
        *err = local;
    }
    return rc == TRIB_E_NOT_FOUND ? 0 : rc;
}

/* Its entry, NULL where there is none. With the lock held. */
static struct settled *find_settled(struct file_store *s, const char *prefix)
{
    for (size_t i = 0; i < s->n_settled; i++) {
        if (strcmp(s->settled[i].prefix, prefix) == 0) {
            return &s->settled[i];
        }
    }
    return NULL;
}

static int file_settle(struct trib_store *base, const char *prefix, const char *mark, struct trib_err *err)
{
    struct file_store *s = self(base);
    TRIB_TRY(check_key(prefix, true, err));
    (void)pthread_mutex_lock(&s->lock);
    const struct settled *before = find_settled(s, prefix);
    bool same = before != NULL && strcmp(before->mark, mark) == 0;
    (void)pthread_mutex_unlock(&s->lock);
    if (same) {
        return 0;
    }
    TRIB_CLEANUP(trib_cleanup_free) char *path = path_of(s, prefix);
    size_t n = strlen(path);
    path[n > 1 && path[n - 1] == '/' ? n - 1 : n] = '\0';
    TRIB_TRY(s->fs->sync_dir(s->fs->ctx, path, err));
    (void)pthread_mutex_lock(&s->lock);
    struct settled *e = find_settled(s, prefix);
    if (e == NULL) {
        TRIB_GROW(s->settled, s->cap_settled, s->n_settled + 1);
        e = &s->settled[s->n_settled++];
        *e = (struct settled){.prefix = trib_strdup(prefix)};
    }
    free(e->mark);
    e->mark = trib_strdup(mark);
    (void)pthread_mutex_unlock(&s->lock);
    return 0;
}

static void file_free(struct trib_store *base)
{
    struct file_store *s = self(base);
    for (size_t i = 0; i < s->n_synced; i++) {
        free(s->synced[i]);
    }
    free(s->synced);
    for (size_t i = 0; i < s->n_settled; i++) {
        free(s->settled[i].prefix);
        free(s->settled[i].mark);
    }
    free(s->settled);
    (void)pthread_mutex_destroy(&s->lock);
    free(s->root);
    free(s->base.url);
    free(s);
}

static const struct trib_store_ops file_ops = {
    .list = file_list,
    .head = file_head,
    .get = file_get,
    .put = file_put,
    .put_file = file_put_file,
    .remove = file_remove,
    .local = file_local,
    .settle = file_settle,
    .free = file_free,
};

int trib_store_open_file(const struct trib_fs *fs, const char *root, struct trib_store **ret, struct trib_err *err)
{
    assert(fs != NULL && root != NULL);
    if (*root == '\0') {
        return trib_err_set(err, TRIB_E_CONFIG, "the path of the store is empty");
    }
    struct file_store *s = trib_calloc(1, sizeof *s);
    s->base.ops = &file_ops;
    s->fs = fs;
    size_t n = strlen(root);
    while (n > 1 && root[n - 1] == '/') {
        n--;
    }
    s->root = trib_strndup(root, n);
    s->base.url = trib_asprintf("file://%s", s->root);
    (void)pthread_mutex_init(&s->lock, NULL);
    *ret = &s->base;
    return 0;
}
