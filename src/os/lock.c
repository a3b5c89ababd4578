#include "os/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

int trib_lock_take(const char *path, struct trib_lock *ret, struct trib_err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        return trib_err_errno(err, errno, "opening the lock file %s", path);
    }
    char pid[32];
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int errnum = errno;
        ssize_t n = errnum == EWOULDBLOCK ? pread(fd, pid, sizeof pid - 1, 0) : 0;
        pid[n > 0 ? n : 0] = '\0';
        (void)close(fd);
        if (errnum != EWOULDBLOCK) {
            return trib_err_errno(err, errnum, "locking %s", path);
        }
        return trib_err_set(err, TRIB_E_AGAIN, "%s is locked by process %ld: wait for it, or stop it", path,
                            strtol(pid, NULL, 10));
    }
    /* The pid is for people only: a failure to write it does no harm. */
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)n, 0) != n) {
        errno = 0;
    }
    ret->fd = fd;
    return 0;
}

void trib_lock_release(struct trib_lock *l)
{
    if (l->fd >= 0) {
        (void)close(l->fd);
        l->fd = -1;
    }
}
