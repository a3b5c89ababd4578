/*
 * The local file system behind a vtable, so that the simulation can lose or tear what was not synced and count every
 * write (spec: architecture.md, "A deterministic core").
 *
 * Each function is one system-level step; durability is the caller's protocol, written once in trib_fs_publish.
 * Threads: any.
 */
#ifndef TRIB_OS_FS_H
#define TRIB_OS_FS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

struct trib_fs_stat {
    int64_t size, mtime_us;
    bool is_dir;
    bool is_special; /* neither file nor folder: a pipe, a socket, a device */
};
struct trib_fs {
    void *ctx;
    /* Creates or truncates and writes everything; not yet durable. */
    int (*write)(void *ctx, const char *path, struct trib_view data, struct trib_err *err);
    /* Creates or truncates `to` with the bytes of `from`; not yet durable. */
    int (*copy)(void *ctx, const char *from, const char *to, struct trib_err *err);
    /* File data. A full disk is an error; any other failed fsync ends the process (what is on the disk is unknown then). */
    int (*sync)(void *ctx, const char *path, struct trib_err *err);
    int (*sync_dir)(void *ctx, const char *path, struct trib_err *err); /* names in a directory */
    /* EXISTS when `to` is there. Where the file system has no links, `from` is renamed instead (and is gone). */
    int (*link)(void *ctx, const char *from, const char *to, struct trib_err *err);
    int (*rename)(void *ctx, const char *from, const char *to, struct trib_err *err); /* replaces */
    int (*unlink)(void *ctx, const char *path, struct trib_err *err);
    int (*mkdir)(void *ctx, const char *path, struct trib_err *err); /* one level, 0777 & umask; EXISTS */
    int (*stat)(void *ctx, const char *path, struct trib_fs_stat *ret, struct trib_err *err);
    /* Reads n bytes from offset (-1: to the end), appends. */
    int (*read)(void *ctx, const char *path, int64_t offset, int64_t n, struct trib_buf *to, struct trib_err *err);
    /* Names in a directory, any order, without "." and "..". A non-zero result of fn stops and is passed on. */
    int (*list)(void *ctx, const char *path,
                int (*fn)(void *fn_ctx, const char *name, bool is_dir, struct trib_err *err), void *fn_ctx,
                struct trib_err *err);
    /* Its modification time becomes now; a failure is of no account. NULL where nobody asks for it. */
    void (*touch)(void *ctx, const char *path);
};
extern const struct trib_fs trib_fs_real;

/* The folder that holds path, by its text: "/a/b" → "/a", "a" → ".", "/" → "/". [out] free(). */
char *trib_fs_parent(const char *path);

/* mkdir -p; every new level synced into its parent. */
TRIB_CHECKED int trib_fs_mkdirs(const struct trib_fs *fs, const char *path, struct trib_err *err);
/*
 * Makes path appear whole and durable: write a temporary name beside it, sync, link (replace false: EXISTS when taken)
 * or rename, sync the directory. A crash leaves either nothing, the whole file, or a temporary that begins with '.'.
 */
TRIB_CHECKED int trib_fs_publish(const struct trib_fs *fs, const char *path, struct trib_view data, bool replace,
                                 const char *unique, struct trib_err *err);
/* The same for a file that exists already (moved in when on one file system, else copied): synced first. */
TRIB_CHECKED int trib_fs_publish_file(const struct trib_fs *fs, const char *path, const char *from, const char *unique,
                                      struct trib_err *err);

#endif
