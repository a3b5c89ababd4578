/*
 * Object store behind a vtable: file://, s3:// (s3.h) and the simulation's plug in here (spec: architecture.md, delta.md).
 *
 * Keys are '/'-separated UTF-8 paths relative to the store's root, without leading slash, never containing "." or ".."
 * components. All writes are durable when they return 0 (local: data, name and directory synced). Objects are immutable
 * once visible: nothing ever sees half an object.
 * Threads: a store may be used from several threads at once.
 */
#ifndef TRIB_STORE_STORE_H
#define TRIB_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

struct trib_object {
    const char *key;  /* [borrow] until the callback returns */
    int64_t size;     /* stored bytes */
    int64_t mtime_us; /* modification time, µs */
};
/* Return non-zero to stop the listing (the code is passed on). */
typedef int (*trib_list_fn)(void *ctx, const struct trib_object *o, struct trib_err *err);

struct trib_store;
struct trib_store_ops {
    /* All objects below prefix ("" or "a/b/"), recursively, in byte order of their keys, keys after `after` only (may be
     * NULL). Components that begin with `.` or `_` are skipped unless all is set. A missing prefix lists nothing. */
    int (*list)(struct trib_store *s, const char *prefix, const char *after, bool all, trib_list_fn fn, void *ctx,
                struct trib_err *err);
    int (*head)(struct trib_store *s, const char *key, int64_t *ret_size, int64_t *ret_mtime_us, struct trib_err *err);
    /* n bytes from offset; fewer at the end of the object. Appends to *to. n = -1: all. */
    int (*get)(struct trib_store *s, const char *key, int64_t offset, int64_t n, struct trib_buf *to,
               struct trib_err *err);
    /* Writes the whole object; if_absent: EXISTS when there is one already (never replaced). ambiguous is set in *err when
     * the outcome is unknown. */
    int (*put)(struct trib_store *s, const char *key, struct trib_view data, bool if_absent, struct trib_err *err);
    /* Moves a local file in as an object (the file is gone afterwards); fails with EXISTS when there is one. */
    int (*put_file)(struct trib_store *s, const char *key, const char *local_path, struct trib_err *err);
    int (*remove)(struct trib_store *s, const char *key, struct trib_err *err); /* a missing one is no error */
    /* A path by which the engine can read the object; for remote stores a copy that stays until trib_store_release. [out] free(). */
    int (*local)(struct trib_store *s, const char *key, char **ret_path, struct trib_err *err);
    /* Makes durable which objects a folder (prefix, as for list) holds now, also those of a writer that died before it could see to it.
     * mark: what was seen there; the same mark again costs nothing. NULL: every store's object is durable once it is visible. */
    int (*settle)(struct trib_store *s, const char *prefix, const char *mark, struct trib_err *err);
    void (*free)(struct trib_store *s);
};
struct trib_store {
    const struct trib_store_ops *ops;
    char *url; /* for messages: "file:///lake", "s3://bucket/prefix" */
};

/* A folder of the local file system. Created on the first write, not before. root: any path. [out] trib_store_free. */
struct trib_fs;
TRIB_CHECKED int trib_store_open_file(const struct trib_fs *fs, const char *root, struct trib_store **ret,
                                      struct trib_err *err);
/* By URL: a plain path or file://; other schemes are refused by name. */
TRIB_CHECKED int trib_store_open(const struct trib_fs *fs, const char *url, struct trib_store **ret,
                                 struct trib_err *err);
/* How stores elsewhere are reached: those who call it need not know how. */
struct trib_store_remote {
    /* s3://bucket/prefix */
    int (*open)(void *ctx, const char *url, struct trib_store **ret, struct trib_err *err);
    /* No path that a remote store's local() gave before is read any more. */
    void (*release)(void *ctx);
    void *ctx;
};
/* remote NULL: as trib_store_open. */
TRIB_CHECKED int trib_store_open_with(const struct trib_fs *fs, const struct trib_store_remote *remote, const char *url,
                                      struct trib_store **ret, struct trib_err *err);
static inline void trib_store_release(const struct trib_store_remote *remote)
{
    if (remote != NULL) {
        remote->release(remote->ctx);
    }
}
/* A folder of another store [borrow] as a store of its own: keys are relative to it. [out] trib_store_free */
struct trib_store *trib_store_below(struct trib_store *s, const char *folder);
void trib_store_free(struct trib_store *s);

/* Callers use these; they only dispatch. */
TRIB_CHECKED int trib_store_list(struct trib_store *s, const char *prefix, const char *after, bool all, trib_list_fn fn,
                                 void *ctx, struct trib_err *err);
TRIB_CHECKED int trib_store_head(struct trib_store *s, const char *key, int64_t *ret_size, int64_t *ret_mtime_us,
                                 struct trib_err *err);
TRIB_CHECKED int trib_store_get(struct trib_store *s, const char *key, int64_t offset, int64_t n, struct trib_buf *to,
                                struct trib_err *err);
TRIB_CHECKED int trib_store_put(struct trib_store *s, const char *key, struct trib_view data, bool if_absent,
                                struct trib_err *err);
TRIB_CHECKED int trib_store_put_file(struct trib_store *s, const char *key, const char *local_path,
                                     struct trib_err *err);
TRIB_CHECKED int trib_store_remove(struct trib_store *s, const char *key, struct trib_err *err);
TRIB_CHECKED int trib_store_settle(struct trib_store *s, const char *prefix, const char *mark, struct trib_err *err);
TRIB_CHECKED int trib_store_local(struct trib_store *s, const char *key, char **ret_path, struct trib_err *err);

#endif
