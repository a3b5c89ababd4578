#include "os/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIES = 10 };

/* The file that we locked is still the one of that name: who sweeps up dead locks may have removed it in between. */
static bool is_there(int fd, const char *path)
{
    struct stat own, there;
    return fstat(fd, &own) == 0 && stat(path, &there) == 0 && own.st_ino == there.st_ino && own.st_dev == there.st_dev;
}

static int refused(int fd, int errnum, const char *path, struct trib_err *err)
{
    char pid[32];
    ssize_t n = errnum == EWOULDBLOCK ? pread(fd, pid, sizeof pid - 1, 0) : 0;
    pid[n > 0 ? n : 0] = '\0';
    (void)close(fd);
    if (errnum != EWOULDBLOCK) {
        return trib_err_errno(err, errnum, "locking %s", path);
    }
    return trib_err_set(err, TRIB_E_AGAIN, "%s is locked by process %ld: wait for it, or stop it", path,
                        strtol(pid, NULL, 10));
}

int trib_lock_take(const char *path, struct trib_lock *ret, struct trib_err *err)
{
    for (int i = 0; i < TRIES; i++) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0) {
            return trib_err_errno(err, errno, "opening the lock file %s", path);
        }
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            return refused(fd, errno, path, err);
        }
        if (!is_there(fd, path)) {
            (void)close(fd);
            continue;
        }
        /* The pid is for people only: a failure to write it does no harm. */
        char pid[32];
        int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
        if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)n, 0) != n) {
            errno = 0;
        }
        ret->fd = fd;
        return 0;
    }
    return trib_err_set(err, TRIB_E_AGAIN, "%s is removed again and again while it is to be locked", path);
}

void trib_lock_release(struct trib_lock *l)
{
    if (l->fd >= 0) {
        (void)close(l->fd);
        l->fd = -1;
    }
}
