/* A lock between processes of one machine: flock on a file. It goes with the process, however that ends. */
#ifndef TRIB_OS_LOCK_H
#define TRIB_OS_LOCK_H

#include "base/err.h"

struct trib_lock {
    int fd; /* -1: not held */
};
/* Never waits: AGAIN, with the holder's pid in the message, when another process (or another struct here) holds it. The
 * file is created when missing and stays behind. */
TRIB_CHECKED int trib_lock_take(const char *path, struct trib_lock *ret, struct trib_err *err);
void trib_lock_release(struct trib_lock *l);

#endif
