/*
 * The real file system, and the one protocol by which a file becomes visible and durable.
 *
 * Never: replaces a file by writing into it. Threads: any.
 * A crash leaves nothing, the whole file, or a temporary whose name begins with '.' (which every listing skips).
 */
#include "os/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPY_BYTES = 1 << 20 };

static int open_retry(const char *path, int flags, mode_t mode)
{
    int fd;
    do {
        fd = open(path, flags | O_CLOEXEC, mode);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

/* A failed close after writing may be the report of a failed write (NFS, quotas). */
static int close_written(int fd, const char *path, struct trib_err *err)
{
    return close(fd) != 0 && errno != EINTR ? trib_err_errno(err, errno, "closing %s", path) : 0;
}

static int write_all(int fd, const char *path, const char *p, size_t n, struct trib_err *err)
{
    while (n > 0) {
        ssize_t k = write(fd, p, n < (size_t)1 << 30 ? n : (size_t)1 << 30);
        if (k < 0) {
            if (errno == EINTR) {
                continue;
            }
            return trib_err_errno(err, errno, "writing %s", path);
        }
        p += k;
        n -= (size_t)k;
    }
    return 0;
}

static int real_write(void *ctx, const char *path, struct trib_view data, struct trib_err *err)
{
    (void)ctx;
    int fd = open_retry(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0) {
        return trib_err_errno(err, errno, "creating %s", path);
    }
    int rc = write_all(fd, path, data.p, data.n, err);
    if (rc != 0) {
        (void)close(fd);
        return rc;
    }
    return close_written(fd, path, err);
}

static int copy_loop(int in, int out, const char *from, const char *to, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *block = trib_malloc(COPY_BYTES);
    for (;;) {
        ssize_t k = read(in, block, COPY_BYTES);
        if (k < 0 && errno == EINTR) {
            continue;
        }
        if (k < 0) {
            return trib_err_errno(err, errno, "reading %s", from);
        }
        if (k == 0) {
            return 0;
        }
        TRIB_TRY(write_all(out, to, block, (size_t)k, err));
    }
}

static int real_copy(void *ctx, const char *from, const char *to, struct trib_err *err)
{
    (void)ctx;
    int in = open_retry(from, O_RDONLY, 0);
    if (in < 0) {
        return trib_err_errno(err, errno, "opening %s", from);
    }
    int out = open_retry(to, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (out < 0) {
        int rc = trib_err_errno(err, errno, "creating %s", to);
        (void)close(in);
        return rc;
    }
    int rc = copy_loop(in, out, from, to, err);
    (void)close(in);
    if (rc != 0) {
        (void)close(out);
        return rc;
    }
    return close_written(out, to, err);
}

/* After a failed fsync the kernel may have dropped the dirty pages: a second fsync would lie. Stopping is safe by design:
 * what was not acknowledged is done again by the next life. */
static _Noreturn void sync_failed(const char *path, int errnum)
{
    (void)fprintf(stderr,
                  "tributary: fsync of %s failed: %s; stopping, since what reached the disk is unknown. "
                  "Check the disk, then start again: nothing acknowledged is lost.\n",
                  path, strerror(errnum));
    _exit(trib_code_exit(TRIB_E_IO));
}

static int sync_fd(const char *path, int flags, struct trib_err *err)
{
    int fd = open_retry(path, flags, 0);
    if (fd < 0) {
        return trib_err_errno(err, errno, "opening %s to sync it", path);
    }
    int rc;
    do {
        rc = fsync(fd);
    } while (rc != 0 && errno == EINTR);
    int errnum = rc == 0 ? 0 : errno;
    (void)close(fd);
    /* Some network file systems cannot sync a directory: they order names themselves. */
    if (errnum == 0 || ((flags & O_DIRECTORY) != 0 && (errnum == EINVAL || errnum == ENOTSUP))) {
        return 0;
    }
    if ((flags & O_DIRECTORY) == 0 && (errnum == ENOSPC || errnum == EDQUOT)) {
        return trib_err_errno(err, errnum, "syncing %s", path);
    }
    sync_failed(path, errnum);
}

static int real_sync(void *ctx, const char *path, struct trib_err *err)
{
    (void)ctx;
    return sync_fd(path, O_RDONLY, err);
}

static int real_sync_dir(void *ctx, const char *path, struct trib_err *err)
{
    (void)ctx;
    return sync_fd(path, O_RDONLY | O_DIRECTORY, err);
}

static int real_link(void *ctx, const char *from, const char *to, struct trib_err *err)
{
    (void)ctx;
    if (linkat(AT_FDCWD, from, AT_FDCWD, to, 0) == 0) {
        return 0;
    }
    int errnum = errno;
    if (errnum == EPERM || errnum == ENOTSUP || errnum == ENOSYS || errnum == EMLINK) {
        if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
            return 0;
        }
        errnum = errno == EEXIST ? EEXIST : errnum;
    }
    return trib_err_errno(err, errnum, "linking %s as %s", from, to);
}

static int real_rename(void *ctx, const char *from, const char *to, struct trib_err *err)
{
    (void)ctx;
    return rename(from, to) == 0 ? 0 : trib_err_errno(err, errno, "renaming %s to %s", from, to);
}

static int real_unlink(void *ctx, const char *path, struct trib_err *err)
{
    (void)ctx;
    return unlink(path) == 0 ? 0 : trib_err_errno(err, errno, "removing %s", path);
}

static int real_mkdir(void *ctx, const char *path, struct trib_err *err)
{
    (void)ctx;
    return mkdir(path, 0777) == 0 ? 0 : trib_err_errno(err, errno, "creating the folder %s", path);
}

static int real_stat(void *ctx, const char *path, struct trib_fs_stat *ret, struct trib_err *err)
{
    (void)ctx;
    struct stat st;
    if (stat(path, &st) != 0) {
        /* A file where a folder was expected: for the caller the path is not there. */
        return trib_err_errno(err, errno == ENOTDIR ? ENOENT : errno, "looking at %s", path);
    }
    *ret = (struct trib_fs_stat){
        .size = st.st_size,
        .mtime_us = (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000,
        .is_dir = S_ISDIR(st.st_mode),
        .is_special = !S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode),
    };
    return 0;
}

static int read_loop(int fd, const char *path, int64_t offset, int64_t n, struct trib_buf *to, struct trib_err *err)
{
    while (n != 0) {
        size_t want = n < 0 || n > COPY_BYTES ? COPY_BYTES : (size_t)n;
        char *p = trib_buf_reserve(to, want);
        char byte; /* at the buffer's maximum: is there really more? */
        if (p == NULL && n < 0 && to->max > to->n) {
            want = to->max - to->n;
            to->overflow = 0;
            p = trib_buf_reserve(to, want);
        } else if (p == NULL && n < 0) {
            want = 1;
        } else if (p == NULL) {
            return trib_buf_check(to, path, err);
        }
        ssize_t k = pread(fd, p == NULL ? &byte : p, want, offset);
        if (k < 0 && errno == EINTR) {
            continue;
        }
        if (k < 0) {
            return trib_err_errno(err, errno, "reading %s", path);
        }
        if (k == 0) {
            break;
        }
        if (p == NULL) {
            return trib_buf_check(to, path, err);
        }
        to->n += (size_t)k;
        to->p[to->n] = '\0';
        offset += k;
        n -= n < 0 ? 0 : k;
    }
    to->overflow = 0;
    return 0;
}

static int real_read(void *ctx, const char *path, int64_t offset, int64_t n, struct trib_buf *to, struct trib_err *err)
{
    (void)ctx;
    if (offset < 0) {
        return trib_err_set(err, TRIB_E_USAGE, "reading %s: negative offset", path);
    }
    int fd = open_retry(path, O_RDONLY, 0);
    if (fd < 0) {
        return trib_err_errno(err, errno == ENOTDIR ? ENOENT : errno, "opening %s", path);
    }
    size_t before = to->n;
    int rc = read_loop(fd, path, offset, n, to, err);
    (void)close(fd);
    if (rc != 0) {
        to->n = before;
    }
    return rc;
}

static bool entry_is_dir(DIR *d, const struct dirent *e)
{
    if (e->d_type == DT_DIR) {
        return true;
    }
    if (e->d_type != DT_LNK && e->d_type != DT_UNKNOWN) {
        return false;
    }
    struct stat st;
    return fstatat(dirfd(d), e->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

static int real_list(void *ctx, const char *path,
                     int (*fn)(void *fn_ctx, const char *name, bool is_dir, struct trib_err *err), void *fn_ctx,
                     struct trib_err *err)
{
    (void)ctx;
    DIR *d = opendir(path);
    if (d == NULL) {
        return trib_err_errno(err, errno == ENOTDIR ? ENOENT : errno, "listing %s", path);
    }
    int rc = 0;
    while (rc == 0) {
        errno = 0;
        const struct dirent *e = readdir(d);
        if (e == NULL) {
            rc = errno == 0 ? 0 : trib_err_errno(err, errno, "listing %s", path);
            break;
        }
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            rc = fn(fn_ctx, e->d_name, entry_is_dir(d, e), err);
        }
    }
    (void)closedir(d);
    return rc;
}

static void real_touch(void *ctx, const char *path)
{
    (void)ctx;
    (void)utimensat(AT_FDCWD, path, NULL, 0);
}

const struct trib_fs trib_fs_real = {
    .write = real_write,
    .copy = real_copy,
    .sync = real_sync,
    .sync_dir = real_sync_dir,
    .link = real_link,
    .rename = real_rename,
    .unlink = real_unlink,
    .mkdir = real_mkdir,
    .stat = real_stat,
    .read = real_read,
    .list = real_list,
    .touch = real_touch,
};

char *trib_fs_parent(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') {
        n--;
    }
    while (n > 0 && path[n - 1] != '/') {
        n--;
    }
    while (n > 1 && path[n - 1] == '/') {
        n--;
    }
    return n == 0 ? trib_strdup(".") : trib_strndup(path, n);
}

int trib_fs_mkdirs(const struct trib_fs *fs, const char *path, struct trib_err *err)
{
    struct trib_fs_stat st;
    struct trib_err local;
    int rc = fs->stat(fs->ctx, path, &st, &local);
    if (rc == 0) {
        return st.is_dir ? 0 : trib_err_set(err, TRIB_E_IO, "%s is a file, a folder is needed there", path);
    }
    if (rc != TRIB_E_NOT_FOUND) {
        if (err != NULL) {
            *err = local;
        }
        return rc;
    }
    TRIB_CLEANUP(trib_cleanup_free) char *parent = trib_fs_parent(path);
    if (strcmp(parent, path) == 0) {
        return trib_err_set(err, TRIB_E_IO, "%s is not there", path);
    }
    TRIB_TRY(trib_fs_mkdirs(fs, parent, err));
    rc = fs->mkdir(fs->ctx, path, &local);
    if (rc != 0 && rc != TRIB_E_EXISTS) {
        if (err != NULL) {
            *err = local;
        }
        return rc;
    }
    /* A racing maker may not have synced it yet: sync in both cases. */
    return fs->sync_dir(fs->ctx, parent, err);
}

/* ".<name>.<unique>.tmp" beside path: same folder, same file system. [out] free(). */
static char *temporary_for(const char *path, const char *parent, const char *unique)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    /* A name may have 255 bytes: the end of a long one is enough to recognise it. */
    size_t n = strlen(name);
    name += n > 150 ? n - 150 : 0;
    while (((unsigned char)*name & 0xC0) == 0x80) {
        name++;
    }
    return trib_asprintf("%s/.%s.%s.tmp", parent, name, unique);
}

/* The temporary is synced: give it its name for good. */
static int publish_temporary(const struct trib_fs *fs, const char *temporary, const char *path, const char *parent,
                             bool replace, struct trib_err *err)
{
    int rc = replace ? fs->rename(fs->ctx, temporary, path, err) : fs->link(fs->ctx, temporary, path, err);
    struct trib_err ignored;
    if (rc != 0 || !replace) {
        (void)fs->unlink(fs->ctx, temporary, &ignored);
    }
    if (rc != 0) {
        return rc;
    }
    rc = fs->sync_dir(fs->ctx, parent, err);
    if (rc != 0 && err != NULL) {
        err->ambiguous = true; /* visible, perhaps not durable */
    }
    return rc;
}

int trib_fs_publish(const struct trib_fs *fs, const char *path, struct trib_view data, bool replace, const char *unique,
                    struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *parent = trib_fs_parent(path);
    TRIB_CLEANUP(trib_cleanup_free) char *temporary = temporary_for(path, parent, unique);
    int rc = fs->write(fs->ctx, temporary, data, err);
    if (rc == 0) {
        rc = fs->sync(fs->ctx, temporary, err);
    }
    if (rc != 0) {
        struct trib_err ignored;
        (void)fs->unlink(fs->ctx, temporary, &ignored);
        return rc;
    }
    return publish_temporary(fs, temporary, path, parent, replace, err);
}

int trib_fs_publish_file(const struct trib_fs *fs, const char *path, const char *from, const char *unique,
                         struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *parent = trib_fs_parent(path);
    TRIB_TRY(fs->sync(fs->ctx, from, err));
    struct trib_err local;
    int rc = fs->link(fs->ctx, from, path, &local);
    if (rc == 0) {
        (void)fs->unlink(fs->ctx, from, &local);
        rc = fs->sync_dir(fs->ctx, parent, err);
        if (rc != 0 && err != NULL) {
            err->ambiguous = true;
        }
        return rc;
    }
    if (rc == TRIB_E_EXISTS || rc == TRIB_E_NOT_FOUND) {
        if (err != NULL) {
            *err = local;
        }
        return rc;
    }
    /* Another file system (a scratch folder in memory, say): copy, then publish the copy. */
    TRIB_CLEANUP(trib_cleanup_free) char *temporary = temporary_for(path, parent, unique);
    rc = fs->copy(fs->ctx, from, temporary, err);
    if (rc == 0) {
        rc = fs->sync(fs->ctx, temporary, err);
    }
    if (rc != 0) {
        (void)fs->unlink(fs->ctx, temporary, &local);
        return rc;
    }
    TRIB_TRY(publish_temporary(fs, temporary, path, parent, false, err));
    (void)fs->unlink(fs->ctx, from, &local);
    return 0;
}
