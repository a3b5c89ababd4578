/*
 * Files of `simulate`: written under a name that begins with '.', synced, renamed, the folder synced. gzip by zlib, level 1,
 * without time or name in its header, so that equal data gives equal bytes. Nothing is ever overwritten silently: the folder
 * was empty. Threads: one a file. A crash leaves the temporary file, which every reader skips.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "simulate/own.h"

enum { OUT_BYTES = 256 << 10 };

struct trib_sim_file {
    int fd;
    char *path, *temporary;
    z_stream z;
    EVP_MD_CTX *md5;
    int64_t raw, stored;
    unsigned char out[OUT_BYTES];
};

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? trib_strdup(".") : trib_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static char *temporary_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    return trib_asprintf("%.*s.%s.tmp", (int)n, path, path + n);
}

int trib_sim_mkdirs(const char *path, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *p = trib_strdup(path);
    for (char *c = p + 1;; c++) {
        if (*c != '/' && *c != '\0') {
            continue;
        }
        char was = *c;
        *c = '\0';
        if (mkdir(p, 0777) != 0 && errno != EEXIST) {
            return trib_err_errno(err, errno, "cannot make the folder %s", p);
        }
        *c = was;
        if (was == '\0') {
            return 0;
        }
    }
}

int trib_sim_folder_empty(const char *path, struct trib_err *err)
{
    DIR *d = opendir(path);
    if (d == NULL) {
        return errno == ENOENT ? 0 : trib_err_errno(err, errno, "cannot read the folder %s", path);
    }
    const struct dirent *e;
    bool empty = true;
    while (empty && (e = readdir(d)) != NULL) {
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    }
    (void)closedir(d);
    return empty ? 0 : trib_err_set(err, TRIB_E_EXISTS, "%s is not empty, and nothing is ever overwritten", path);
}

static int write_all(int fd, const unsigned char *p, size_t n, const char *path, struct trib_err *err)
{
    while (n > 0) {
        ssize_t k = write(fd, p, n);
        if (k < 0 && errno != EINTR) {
            return trib_err_errno(err, errno, "cannot write %s", path);
        }
        if (k > 0) {
            p += k;
            n -= (size_t)k;
        }
    }
    return 0;
}

static int sync_folder(const char *path, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *folder = folder_of(path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
    if (fd < 0 || fsync(fd) != 0) {
        rc = trib_err_errno(err, errno, "cannot sync the folder %s", folder);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return rc;
}

static int open_temporary(const char *path, char **ret_temporary, int *ret_fd, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *folder = folder_of(path);
    TRIB_TRY(trib_sim_mkdirs(folder, err));
    char *temporary = temporary_of(path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        int rc = trib_err_errno(err, errno, "cannot write %s", temporary);
        free(temporary);
        return rc;
    }
    *ret_temporary = temporary;
    *ret_fd = fd;
    return 0;
}

/* Syncs and renames; closes fd in any case, and removes the temporary file on failure. */
static int publish(int fd, const char *temporary, const char *path, struct trib_err *err)
{
    int rc = 0;
    if (fsync(fd) != 0) {
        rc = trib_err_errno(err, errno, "cannot sync %s", temporary);
    }
    if (close(fd) != 0 && rc == 0) {
        rc = trib_err_errno(err, errno, "cannot close %s", temporary);
    }
    if (rc == 0 && rename(temporary, path) != 0) {
        rc = trib_err_errno(err, errno, "cannot rename %s to %s", temporary, path);
    }
    if (rc != 0) {
        (void)unlink(temporary);
        return rc;
    }
    return sync_folder(path, err);
}

int trib_sim_put(const char *path, struct trib_view data, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *temporary = NULL;
    int fd = -1;
    TRIB_TRY(open_temporary(path, &temporary, &fd, err));
    int rc = write_all(fd, (const unsigned char *)data.p, data.n, temporary, err);
    if (rc != 0) {
        (void)close(fd);
        (void)unlink(temporary);
        return rc;
    }
    return publish(fd, temporary, path, err);
}

int trib_sim_file_open(const char *path, struct trib_sim_file **ret, struct trib_err *err)
{
    struct trib_sim_file *f = trib_calloc(1, sizeof *f);
    int rc = open_temporary(path, &f->temporary, &f->fd, err);
    if (rc != 0) {
        free(f);
        return rc;
    }
    f->path = trib_strdup(path);
    f->md5 = EVP_MD_CTX_new();
    if (f->md5 == NULL || EVP_DigestInit_ex(f->md5, EVP_md5(), NULL) != 1 ||
        deflateInit2(&f->z, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK) {
        trib_sim_file_abandon(f);
        return trib_err_set(err, TRIB_E_INTERNAL,
                            "cannot start MD5 or gzip for %s; does the system forbid MD5 (FIPS mode)?", path);
    }
    *ret = f;
    return 0;
}

static int deflate_some(struct trib_sim_file *f, int flush, struct trib_err *err)
{
    do {
        f->z.next_out = f->out;
        f->z.avail_out = OUT_BYTES;
        if (deflate(&f->z, flush) == Z_STREAM_ERROR) {
            return trib_err_set(err, TRIB_E_INTERNAL, "gzip failed for %s", f->path);
        }
        size_t n = OUT_BYTES - f->z.avail_out;
        if (EVP_DigestUpdate(f->md5, f->out, n) != 1) {
            return trib_err_set(err, TRIB_E_INTERNAL, "MD5 failed for %s", f->path);
        }
        TRIB_TRY(write_all(f->fd, f->out, n, f->temporary, err));
        f->stored += (int64_t)n;
    } while (f->z.avail_out == 0);
    return 0;
}

int trib_sim_file_flush(struct trib_sim_file *f, struct trib_buf *lines, struct trib_err *err)
{
    TRIB_TRY(trib_buf_check(lines, f->path, err));
    f->z.next_in = (z_const Bytef *)(uintptr_t)lines->p;
    f->z.avail_in = (uInt)lines->n; /* at most TRIB_SIM_BUF_MAX */
    f->raw += (int64_t)lines->n;
    TRIB_TRY(deflate_some(f, Z_NO_FLUSH, err));
    trib_buf_clear(lines);
    return 0;
}

int64_t trib_sim_file_raw(const struct trib_sim_file *f) { return f->raw; }

static void release(struct trib_sim_file *f)
{
    (void)deflateEnd(&f->z);
    EVP_MD_CTX_free(f->md5);
    free(f->path);
    free(f->temporary);
    free(f);
}

void trib_sim_file_abandon(struct trib_sim_file *f)
{
    if (f != NULL) {
        (void)close(f->fd);
        (void)unlink(f->temporary);
        release(f);
    }
}

int trib_sim_file_finish(struct trib_sim_file **io, struct trib_buf *lines, struct trib_sim_result *count,
                         char ret_md5[25], struct trib_err *err)
{
    struct trib_sim_file *f = *io;
    TRIB_TRY(trib_sim_file_flush(f, lines, err));
    *io = NULL;
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    f->z.next_in = NULL;
    f->z.avail_in = 0;
    int rc = deflate_some(f, Z_FINISH, err);
    if (rc == 0 && EVP_DigestFinal_ex(f->md5, sum, &n) != 1) {
        rc = trib_err_set(err, TRIB_E_INTERNAL, "MD5 failed for %s", f->path);
    }
    if (rc != 0) {
        trib_sim_file_abandon(f);
        return rc;
    }
    rc = publish(f->fd, f->temporary, f->path, err);
    if (rc == 0) {
        struct trib_buf b;
        trib_buf_init(&b, 24);
        trib_sim_base64(&b, sum, n);
        (void)snprintf(ret_md5, 25, "%s", b.p);
        trib_buf_free(&b);
        count->raw_bytes += f->raw;
        count->stored_bytes += f->stored;
        count->files++;
    }
    release(f);
    return rc;
}

void trib_sim_base64(struct trib_buf *to, const unsigned char *p, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v =
            (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < n ? (uint32_t)p[i + 2] : 0);
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63], i + 1 < n ? digits[v >> 6 & 63] : '=',
                        i + 2 < n ? digits[v & 63] : '='};
        trib_buf_add(to, four, 4);
    }
}
