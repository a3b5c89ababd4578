/*
 * The simulated disk: the real file system beneath, and a list of what was not synced. At the chosen call the life ends:
 * by seed, each unsynced name is kept or undone and each unsynced file is kept, cut, emptied or overwritten with garbage.
 *
 * Never syncs for real: a life that ends without a crash loses nothing. Held copies (hard links) live in plan.hold.
 * Threads: any; one mutex. A crash leaves: that is what it is for.
 */
#include "sim/simfs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum kind { MADE, GONE, MOVED, FOLDER };
enum { MAX = 8192 };
struct name {
    enum kind kind;
    char *parent, *path, *from; /* from: of a move */
    char held[512], under[512]; /* what the name stood for; what a move replaced ("" none) */
};
struct data {
    ino_t inode;
    bool dirty;
    char held[512];
};
static struct sim_plan plan;
static struct trib_seeded rng;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct name *names[MAX];
static struct data files[MAX];
static size_t n_names, n_files;
static long calls, n_held;

static void hold(const char *path, char to[512])
{
    (void)snprintf(to, 512, "%s/%ld-%ld", plan.hold, (long)getpid(), n_held++);
    if (link(path, to) != 0) {
        to[0] = '\0';
    }
}

static struct data *find(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        return NULL;
    }
    for (size_t i = 0; i < n_files; i++) {
        if (files[i].inode == st.st_ino) {
            return &files[i];
        }
    }
    if (n_files == MAX) {
        abort();
    }
    files[n_files] = (struct data){.inode = st.st_ino};
    hold(path, files[n_files].held); /* keeps the inode's number from being used again, too */
    return &files[n_files++];
}

static void set_dirty(const char *path, bool dirty)
{
    struct data *d = find(path);
    if (d != NULL) {
        d->dirty = dirty;
    }
}

/* A file that others wrote (the engine, in scratch) and nobody synced in this life gets a name: its data is not durable. */
static void came_in(const char *path)
{
    size_t known = n_files;
    struct data *d = find(path);
    if (d != NULL && n_files > known) {
        d->dirty = true;
    }
}

static struct name *note(enum kind kind, const char *path, const char *from)
{
    if (n_names == MAX) {
        abort();
    }
    struct name *n = trib_calloc(1, sizeof *n);
    n->kind = kind;
    n->parent = trib_fs_parent(path);
    n->path = trib_strdup(path);
    n->from = from != NULL ? trib_strdup(from) : NULL;
    names[n_names++] = n;
    return n;
}

/* A name that is taken, or whose folder is gone, stays as it is. */
static void put_back(const char *held, const char *path)
{
    if (link(held, path) != 0 && errno != EEXIST && errno != ENOENT) {
        abort();
    }
}

static void cut(const char *path, off_t size)
{
    if (truncate(path, size) != 0) {
        abort();
    }
}

static void undo(const struct name *n)
{
    switch (n->kind) {
    case MADE: (void)unlink(n->path); break;
    case FOLDER: (void)rmdir(n->path); break; /* one that holds durable names stays */
    case GONE:
        if (n->held[0] != '\0') {
            put_back(n->held, n->path);
        }
        break;
    case MOVED:
        (void)unlink(n->path);
        if (n->under[0] != '\0') {
            put_back(n->under, n->path);
        }
        if (n->held[0] != '\0') {
            put_back(n->held, n->from);
        }
        break;
    }
}

static void tear(const struct data *d)
{
    struct stat st;
    if (d->held[0] == '\0' || stat(d->held, &st) != 0) {
        return;
    }
    uint64_t size = (uint64_t)st.st_size, how = trib_seeded_below(&rng, 4);
    if (how == 1) {
        cut(d->held, 0);
    } else if (how == 2 && size > 0) {
        cut(d->held, (off_t)trib_seeded_below(&rng, size));
    } else if (how == 3 && size > 0) {
        int fd = open(d->held, O_WRONLY | O_CLOEXEC);
        uint64_t garbage = trib_seeded_next(&rng);
        if (fd >= 0 && pwrite(fd, &garbage, size < sizeof garbage ? size : sizeof garbage, 0) < 0) {
            abort();
        }
        (void)close(fd);
    }
}

/* Counts; at the chosen call the machine stops. Called with the mutex held. */
static void step(void)
{
    if (++calls != plan.crash_at) {
        return;
    }
    uint64_t mood = trib_seeded_below(&rng, 3); /* all lost, all kept, each by itself */
    for (size_t i = n_names; i-- > 0;) {
        if (names[i] != NULL && (mood == 0 || (mood == 2 && trib_seeded_below(&rng, 2) == 0))) {
            undo(names[i]);
        }
    }
    for (size_t i = 0; i < n_files; i++) {
        if (files[i].dirty) {
            tear(&files[i]);
        }
    }
    _exit(SIM_CRASHED);
}

#define LOCKED(code)                        \
    do {                                    \
        (void)pthread_mutex_lock(&mutex);   \
        code;                               \
        (void)pthread_mutex_unlock(&mutex); \
    } while (0)

static void wrote(const char *path, bool existed)
{
    if (!existed) {
        (void)note(MADE, path, NULL);
    }
    set_dirty(path, true);
}

static int s_write(void *ctx, const char *path, struct trib_view data, struct trib_err *err)
{
    (void)ctx;
    int rc;
    LOCKED(step(); bool existed = access(path, F_OK) == 0; rc = trib_fs_real.write(trib_fs_real.ctx, path, data, err);
           if (rc == 0) wrote(path, existed));
    return rc;
}
static int s_copy(void *ctx, const char *from, const char *to, struct trib_err *err)
{
    (void)ctx;
    int rc;
    LOCKED(step(); bool existed = access(to, F_OK) == 0; rc = trib_fs_real.copy(trib_fs_real.ctx, from, to, err);
           if (rc == 0) wrote(to, existed));
    return rc;
}
static int s_sync(void *ctx, const char *path, struct trib_err *err)
{
    (void)ctx;
    (void)err;
    LOCKED(step(); set_dirty(path, plan.no_sync));
    return 0;
}
static int s_sync_dir(void *ctx, const char *path, struct trib_err *err)
{
    (void)ctx;
    (void)err;
    LOCKED(step(); for (size_t i = 0; i < n_names && !plan.no_sync_dir; i++) {
        if (names[i] != NULL && strcmp(names[i]->parent, path) == 0) {
            names[i] = NULL; /* the process is short: not freed */
        }
    });
    return 0;
}
static int s_link(void *ctx, const char *from, const char *to, struct trib_err *err)
{
    (void)ctx;
    int rc;
    LOCKED(step(); came_in(from); rc = trib_fs_real.link(trib_fs_real.ctx, from, to, err);
           if (rc == 0)(void) note(MADE, to, NULL));
    return rc;
}
static int s_rename(void *ctx, const char *from, const char *to, struct trib_err *err)
{
    (void)ctx;
    int rc;
    char held[512], under[512];
    LOCKED(step(); came_in(from); hold(from, held); hold(to, under);
           rc = trib_fs_real.rename(trib_fs_real.ctx, from, to, err); if (rc == 0) {
               struct name *n = note(MOVED, to, from);
               memcpy(n->held, held, sizeof held);
               memcpy(n->under, under, sizeof under);
           });
    return rc;
}
static int s_unlink(void *ctx, const char *path, struct trib_err *err)
{
    (void)ctx;
    int rc;
    char held[512];
    LOCKED(step(); hold(path, held); rc = trib_fs_real.unlink(trib_fs_real.ctx, path, err);
           if (rc == 0) memcpy(note(GONE, path, NULL)->held, held, sizeof held));
    return rc;
}
static int s_mkdir(void *ctx, const char *path, struct trib_err *err)
{
    (void)ctx;
    int rc;
    LOCKED(step(); rc = trib_fs_real.mkdir(trib_fs_real.ctx, path, err); if (rc == 0)(void) note(FOLDER, path, NULL));
    return rc;
}

const struct trib_fs *sim_fs(const struct sim_plan *p)
{
    static struct trib_fs fs;
    plan = *p;
    trib_seeded_init(&rng, p->seed);
    fs = trib_fs_real; /* what only reads is the real one's */
    fs.write = s_write;
    fs.copy = s_copy;
    fs.sync = s_sync;
    fs.sync_dir = s_sync_dir;
    fs.link = s_link;
    fs.rename = s_rename;
    fs.unlink = s_unlink;
    fs.mkdir = s_mkdir;
    return &fs;
}
