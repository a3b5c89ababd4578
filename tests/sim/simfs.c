/*
 * The simulated disk: the real file system beneath, and a shared list of what was not synced. When the power fails, by seed, each
 * unsynced name is kept or undone (an unsynced folder goes with all that it holds) and each unsynced file is kept, cut, emptied or
 * overwritten with garbage. A kill loses nothing at once; what it left unsynced stays on the list.
 *
 * Two lives at once take turns: at every call, reads too, a life waits until all are at a call, and the seed says who goes on. What
 * they do between calls is private (memory, scratch), so the order of calls is all there is to their interleaving.
 *
 * Never syncs for real. Held copies (hard links) live in <root>/hold. Threads: any; one mutex a process.
 * A crash leaves: that is what it is for.
 */
#include "sim/simfs.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum kind { MADE, GONE, MOVED, FOLDER };
enum state { OUT, RUNNING, WAITING };
enum { MAX = 8192, PATH = 400 };
struct name {
    enum kind kind;
    char path[PATH], from[PATH];  /* from: of a move */
    char held[PATH], under[PATH]; /* what the name stood for; what a move replaced ("" none) */
};
struct data {
    ino_t inode;
    bool dirty;
    char held[PATH];
};
struct sim_disk {
    char root[PATH], scratch[PATH], hold[PATH];
    struct sim_faults faults;
    struct trib_seeded rng;
    uint64_t trace;
    size_t n_names, n_files;
    long n_held, calls, crash_at;
    enum sim_end end;
    bool down; /* the power has failed */
    /* Turns. */
    int n_lives, last;
    uint64_t stay;         /* one in so many calls hands over; 0: at the change points only */
    long turns, change[2]; /* all calls of the lives, those at which the other one takes over */
    char arrives_from[PATH], arrives_to[PATH];
    long arrives_at; /* 0: nothing, or it is there */
    pthread_mutex_t gate;
    sem_t turn[SIM_LIVES];
    enum state state[SIM_LIVES];
    struct name names[MAX];
    struct data files[MAX];
};
static struct sim_disk *disk;
static int me;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void text(char to[PATH], const char *from) { must(snprintf(to, PATH, "%s", from) < PATH); }

/* --- what is not synced ------------------------------------------------------------------------------------------- */

static void hold(const char *path, char to[PATH])
{
    must(snprintf(to, PATH, "%s/%ld", disk->hold, disk->n_held++) < PATH);
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
    for (size_t i = disk->n_files; i-- > 0;) {
        if (disk->files[i].inode == st.st_ino) {
            return &disk->files[i];
        }
    }
    must(disk->n_files < MAX);
    struct data *d = &disk->files[disk->n_files++];
    d->inode = st.st_ino;
    d->dirty = false;
    hold(path, d->held); /* keeps the inode's number from being used again, too */
    return d;
}

static void set_dirty(const char *path, bool dirty)
{
    struct data *d = find(path);
    if (d != NULL) {
        d->dirty = dirty;
    }
}

/* A file that others wrote (the engine, in scratch) and nobody synced gets a name: its data is not durable. */
static void came_in(const char *path)
{
    size_t known = disk->n_files;
    struct data *d = find(path);
    if (d != NULL && disk->n_files > known) {
        d->dirty = true;
    }
}

static bool in_scratch(const char *path) { return strncmp(path, disk->scratch, strlen(disk->scratch)) == 0; }

/* NULL: in scratch, which is not kept over a crash anyway. */
static struct name *note(enum kind kind, const char *path, const char *from)
{
    if (in_scratch(path)) {
        return NULL;
    }
    must(disk->n_names < MAX);
    struct name *n = &disk->names[disk->n_names++];
    n->kind = kind;
    text(n->path, path);
    text(n->from, from == NULL ? "" : from);
    n->held[0] = n->under[0] = '\0';
    return n;
}

static void names_synced(const char *folder)
{
    size_t kept = 0, len = strlen(folder);
    for (size_t i = 0; i < disk->n_names; i++) {
        const char *path = disk->names[i].path, *slash = strrchr(path, '/');
        if (slash != NULL && (size_t)(slash - path) == len && strncmp(path, folder, len) == 0) {
            continue;
        }
        if (kept != i) {
            disk->names[kept] = disk->names[i];
        }
        kept++;
    }
    disk->n_names = kept;
}

/* --- loss ----------------------------------------------------------------------------------------------------------- */

/* A name that is taken, or whose folder is gone, stays as it is. */
static void put_back(const char *held, const char *path)
{
    must(link(held, path) == 0 || errno == EEXIST || errno == ENOENT);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    (void)remove(path);
    return 0;
}

static void undo(const struct name *n)
{
    switch (n->kind) {
    case MADE: (void)unlink(n->path); break;
    case FOLDER:
        (void)nftw(n->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        break; /* synced or not, what is below has no way to it */
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
    uint64_t size = (uint64_t)st.st_size, how = trib_seeded_below(&disk->rng, 4);
    if (how == 1) {
        must(truncate(d->held, 0) == 0);
    } else if (how == 2 && size > 0) {
        must(truncate(d->held, (off_t)trib_seeded_below(&disk->rng, size)) == 0);
    } else if (how == 3 && size > 0) {
        int fd = open(d->held, O_WRONLY | O_CLOEXEC);
        uint64_t garbage = trib_seeded_next(&disk->rng);
        must(fd >= 0 && pwrite(fd, &garbage, size < sizeof garbage ? size : sizeof garbage, 0) > 0);
        (void)close(fd);
    }
}

/* What is on the disk afterwards is there for good. */
static void lose(void)
{
    uint64_t mood = trib_seeded_below(&disk->rng, 3); /* all lost, all kept, each by itself */
    for (size_t i = disk->n_names; i-- > 0;) {
        if (mood == 0 || (mood == 2 && trib_seeded_below(&disk->rng, 2) == 0)) {
            undo(&disk->names[i]);
        }
    }
    for (size_t i = 0; i < disk->n_files; i++) {
        if (disk->files[i].dirty) {
            tear(&disk->files[i]);
        }
        if (disk->files[i].held[0] != '\0') {
            (void)unlink(disk->files[i].held);
        }
    }
    for (size_t i = 0; i < disk->n_names; i++) {
        (void)unlink(disk->names[i].held);
        (void)unlink(disk->names[i].under);
    }
    disk->n_names = disk->n_files = 0;
}

void sim_disk_power_loss(struct sim_disk *d)
{
    disk = d;
    lose();
}

/* --- turns ---------------------------------------------------------------------------------------------------------- */

/* With the gate held: when no life runs, one of those that wait goes on. */
static void choose(struct sim_disk *d)
{
    int waiting[SIM_LIVES], n = 0;
    for (int i = 0; i < d->n_lives; i++) {
        if (d->state[i] == RUNNING) {
            return;
        }
        if (d->state[i] == WAITING) {
            waiting[n++] = i;
        }
    }
    if (n == 0) {
        return;
    }
    int next = waiting[0];
    if (n > 1) {
        bool over = d->stay > 0 ? trib_seeded_below(&d->rng, d->stay) == 0
                                : d->turns == d->change[0] || d->turns == d->change[1];
        next = over ? 1 - d->last : d->last;
    }
    d->last = next;
    d->state[next] = RUNNING;
    must(sem_post(&d->turn[next]) == 0);
}

static void take_turn(void)
{
    if (disk->n_lives < 2) {
        return;
    }
    (void)pthread_mutex_lock(&disk->gate);
    disk->state[me] = WAITING;
    choose(disk);
    (void)pthread_mutex_unlock(&disk->gate);
    while (sem_wait(&disk->turn[me]) != 0) {
        must(errno == EINTR);
    }
    if (disk->down) {
        _exit(SIM_CRASHED);
    }
}

void sim_disk_left(struct sim_disk *d, int who)
{
    (void)pthread_mutex_lock(&d->gate);
    d->state[who] = OUT;
    choose(d);
    (void)pthread_mutex_unlock(&d->gate);
}

/* --- the calls ------------------------------------------------------------------------------------------------------ */

/* Paths without what differs between runs of one seed: the world's folder, scratch, random parts of temporaries. */
static void trace(char what, const char *path)
{
    size_t n = strlen(path), skip = strncmp(path, disk->root, strlen(disk->root)) == 0 ? strlen(disk->root) : 0;
    if (in_scratch(path)) {
        n = skip;
    } else if (n > 36 && strcmp(path + n - 4, ".tmp") == 0) {
        n -= 36;
    }
    disk->trace = (disk->trace ^ (uint64_t)(unsigned char)what ^ ((uint64_t)me << 8)) * 0x100000001b3;
    for (size_t i = skip; i < n; i++) {
        disk->trace = (disk->trace ^ (unsigned char)path[i]) * 0x100000001b3;
    }
    if (getenv("SIM_TRACE") != NULL) {
        (void)fprintf(stderr, "# %d %c %.*s\n", me, what, (int)(n - skip), path + skip);
    }
}

/* Before a call that only reads. The mutex is held. */
static void look(char what, const char *path)
{
    take_turn();
    trace(what, path);
    if (++disk->turns == disk->arrives_at) {
        must(rename(disk->arrives_from, disk->arrives_to) == 0);
        disk->arrives_at = 0;
    }
}

/* Before a call that changes: at the chosen one, what was planned. The mutex is held. */
static int step(char what, const char *path, struct trib_err *err)
{
    look(what, path);
    if (++disk->calls != disk->crash_at) {
        return 0;
    }
    if (disk->end == SIM_FAIL && what != 'd') { /* a folder that cannot be synced ends the process (os/fs.h) */
        return trib_err_errno(err, what == 'u' ? EIO : ENOSPC, "simulated, %s", path);
    }
    if (disk->end == SIM_POWER) {
        disk->down = true;
        lose();
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
    LOCKED(rc = step('w', path, err); bool existed = access(path, F_OK) == 0;
           rc = rc != 0 ? rc : trib_fs_real.write(trib_fs_real.ctx, path, data, err);
           if (rc == 0) wrote(path, existed));
    return rc;
}
static int s_copy(void *ctx, const char *from, const char *to, struct trib_err *err)
{
    (void)ctx;
    int rc;
    LOCKED(rc = step('c', to, err); bool existed = access(to, F_OK) == 0;
           rc = rc != 0 ? rc : trib_fs_real.copy(trib_fs_real.ctx, from, to, err); if (rc == 0) wrote(to, existed));
    return rc;
}
static int there(const char *path, struct trib_err *err)
{
    return access(path, F_OK) == 0 ? 0 : trib_err_errno(err, errno, "opening %s to sync it", path);
}
static int s_sync(void *ctx, const char *path, struct trib_err *err)
{
    (void)ctx;
    int rc;
    LOCKED(rc = step('s', path, err); rc = rc != 0 ? rc : there(path, err); if (rc == 0) {
        if (disk->faults.no_sync) {
            came_in(path);
        } else {
            set_dirty(path, false);
        }
    });
    return rc;
}
static int s_sync_dir(void *ctx, const char *path, struct trib_err *err)
{
    (void)ctx;
    int rc;
    LOCKED(rc = step('d', path, err); rc = rc != 0 ? rc : there(path, err);
           if (rc == 0 && !disk->faults.no_sync_dir) names_synced(path));
    return rc;
}
static int s_link(void *ctx, const char *from, const char *to, struct trib_err *err)
{
    (void)ctx;
    int rc;
    LOCKED(rc = step('l', to, err); came_in(from);
           rc = rc != 0 ? rc : trib_fs_real.link(trib_fs_real.ctx, from, to, err);
           if (rc == 0)(void) note(MADE, to, NULL));
    return rc;
}
static int s_rename(void *ctx, const char *from, const char *to, struct trib_err *err)
{
    (void)ctx;
    int rc;
    char held[PATH], under[PATH];
    LOCKED(rc = step('r', to, err); came_in(from); hold(from, held); hold(to, under);
           rc = rc != 0 ? rc : trib_fs_real.rename(trib_fs_real.ctx, from, to, err);
           struct name *n = rc == 0 ? note(MOVED, to, from) : NULL; if (n != NULL) {
               text(n->held, held);
               text(n->under, under);
           });
    return rc;
}
static int s_unlink(void *ctx, const char *path, struct trib_err *err)
{
    (void)ctx;
    int rc;
    char held[PATH] = "";
    LOCKED(rc = step('u', path, err); if (!in_scratch(path)) hold(path, held);
           rc = rc != 0 ? rc : trib_fs_real.unlink(trib_fs_real.ctx, path, err);
           struct name *n = rc == 0 ? note(GONE, path, NULL) : NULL; if (n != NULL) text(n->held, held));
    return rc;
}
static int s_mkdir(void *ctx, const char *path, struct trib_err *err)
{
    (void)ctx;
    int rc;
    LOCKED(rc = step('m', path, err); rc = rc != 0 ? rc : trib_fs_real.mkdir(trib_fs_real.ctx, path, err);
           if (rc == 0)(void) note(FOLDER, path, NULL));
    return rc;
}
static int s_stat(void *ctx, const char *path, struct trib_fs_stat *ret, struct trib_err *err)
{
    (void)ctx;
    int rc;
    LOCKED(look('?', path); rc = trib_fs_real.stat(trib_fs_real.ctx, path, ret, err));
    return rc;
}
static int s_read(void *ctx, const char *path, int64_t offset, int64_t n, struct trib_buf *to, struct trib_err *err)
{
    (void)ctx;
    int rc;
    LOCKED(look('<', path); rc = trib_fs_real.read(trib_fs_real.ctx, path, offset, n, to, err));
    return rc;
}
static int s_list(void *ctx, const char *path,
                  int (*fn)(void *fn_ctx, const char *name, bool is_dir, struct trib_err *err), void *fn_ctx,
                  struct trib_err *err)
{
    (void)ctx;
    LOCKED(look('*', path)); /* fn may call back */
    return trib_fs_real.list(trib_fs_real.ctx, path, fn, fn_ctx, err);
}

/* --- the world's side ------------------------------------------------------------------------------------------------ */

struct sim_disk *sim_disk_new(void)
{
    struct sim_disk *d = mmap(NULL, sizeof *d, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(d != MAP_FAILED);
    pthread_mutexattr_t shared;
    (void)pthread_mutexattr_init(&shared);
    (void)pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    must(pthread_mutex_init(&d->gate, &shared) == 0);
    for (int i = 0; i < SIM_LIVES; i++) {
        must(sem_init(&d->turn[i], 1, 0) == 0);
    }
    return d;
}

void sim_disk_reset(struct sim_disk *d, const char *root, uint64_t seed, struct sim_faults faults)
{
    text(d->root, root);
    must(snprintf(d->scratch, PATH, "%.300s/tributary-scratch-", root) < PATH);
    must(snprintf(d->hold, PATH, "%.300s/hold", root) < PATH);
    d->faults = faults;
    d->trace = 0xcbf29ce484222325;
    d->n_names = d->n_files = 0;
    d->n_held = 0;
    trib_seeded_init(&d->rng, seed);
}

void sim_disk_start(struct sim_disk *d, int n_lives, uint64_t seed, long crash_at, enum sim_end end)
{
    trib_seeded_init(&d->rng, seed);
    d->n_lives = n_lives;
    d->last = 0;
    /* Half of the pairs from a zip to long runs, half at one or two points: one life stands still while the other does all. */
    d->stay = trib_seeded_below(&d->rng, 2) == 0 ? 0 : (uint64_t)2 << (trib_seeded_below(&d->rng, 3) * 2);
    d->change[0] = (long)trib_seeded_below(&d->rng, 250);
    d->change[1] = d->change[0] + (long)trib_seeded_below(&d->rng, 500);
    d->calls = d->turns = d->arrives_at = 0;
    d->crash_at = crash_at;
    d->end = end;
    d->down = false;
    for (int i = 0; i < SIM_LIVES; i++) {
        d->state[i] = i < n_lives ? RUNNING : OUT;
        while (sem_trywait(&d->turn[i]) == 0) {
        }
    }
}

void sim_disk_arrives(struct sim_disk *d, const char *from, const char *to, long at)
{
    text(d->arrives_from, from);
    text(d->arrives_to, to);
    d->arrives_at = at;
}
bool sim_disk_arrived(const struct sim_disk *d) { return d->arrives_at == 0; }

long sim_disk_calls(const struct sim_disk *d) { return d->calls; }
uint64_t sim_disk_trace(const struct sim_disk *d) { return d->trace; }

const struct trib_fs *sim_fs(struct sim_disk *d, int who)
{
    static struct trib_fs fs;
    disk = d;
    me = who;
    fs = (struct trib_fs){.write = s_write,
                          .copy = s_copy,
                          .sync = s_sync,
                          .sync_dir = s_sync_dir,
                          .link = s_link,
                          .rename = s_rename,
                          .unlink = s_unlink,
                          .mkdir = s_mkdir,
                          .stat = s_stat,
                          .read = s_read,
                          .list = s_list};
    return &fs;
}
