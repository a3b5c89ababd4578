/*
 * Preloaded into the program under test: counts the calls that change the file system and ends the process with SIGKILL at the
 * KILL_AT-th, before or after it (KILL_WHEN=before|after). Without KILL_AT it only counts; at exit the count goes to
 * KILL_COUNT's file. Calls: open with O_CREAT, link, rename, unlink, mkdir, fsync, fdatasync and their *at twins.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static _Atomic long calls;

static void maybe(int after)
{
    const char *at = getenv("KILL_AT"), *when = getenv("KILL_WHEN");
    long n = after ? calls : ++calls;
    if (at != NULL && n == atol(at) && after == (when != NULL && strcmp(when, "after") == 0)) {
        (void)kill(getpid(), SIGKILL);
    }
}

__attribute__((destructor)) static void report(void)
{
    const char *path = getenv("KILL_COUNT");
    if (path != NULL) {
        FILE *f = fopen(path, "w");
        if (f != NULL) {
            (void)fprintf(f, "%ld\n", (long)calls);
            (void)fclose(f);
        }
    }
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRAP(name, params, args)  \
    int name params               \
    {                             \
        maybe(0);                 \
        int rc = REAL(name) args; \
        maybe(1);                 \
        return rc;                \
    }
WRAP(link, (const char *a, const char *b), (a, b))
WRAP(linkat, (int d, const char *a, int e, const char *b, int f), (d, a, e, b, f))
WRAP(rename, (const char *a, const char *b), (a, b))
WRAP(renameat, (int d, const char *a, int e, const char *b), (d, a, e, b))
WRAP(unlink, (const char *a), (a))
WRAP(unlinkat, (int d, const char *a, int f), (d, a, f))
WRAP(mkdir, (const char *a, mode_t m), (a, m))
WRAP(mkdirat, (int d, const char *a, mode_t m), (d, a, m))
WRAP(fsync, (int fd), (fd))
WRAP(fdatasync, (int fd), (fd))

#define OPEN(name, first, pass)                                   \
    int name(first const char *path, int flags, ...)              \
    {                                                             \
        va_list ap;                                               \
        va_start(ap, flags);                                      \
        mode_t mode = (flags & O_CREAT) ? va_arg(ap, mode_t) : 0; \
        va_end(ap);                                               \
        if (flags & O_CREAT)                                      \
            maybe(0);                                             \
        int rc = REAL(name)(pass path, flags, mode);              \
        if (flags & O_CREAT)                                      \
            maybe(1);                                             \
        return rc;                                                \
    }
#define NOTHING
OPEN(open, NOTHING, NOTHING)
OPEN(open64, NOTHING, NOTHING)
#define DIRFD int d,
#define PASS  d,
OPEN(openat, DIRFD, PASS)
OPEN(openat64, DIRFD, PASS)
