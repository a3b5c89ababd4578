/* A command of the user's (run.h). Leaves no process behind but one that left its group. Threads: any. */
#include "os/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 4096 };

static int64_t monotonic_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* 0 or an errno. */
static int start(const char *command, int out, pid_t *ret)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none;
    (void)sigemptyset(&none);
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawnattr_init(&attr);
    (void)posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    (void)posix_spawn_file_actions_adddup2(&files, out, 1);
    (void)posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    (void)posix_spawnattr_setsigmask(&attr, &none);
    (void)posix_spawnattr_setpgroup(&attr, 0);
    (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    char *const argv[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", (char *)(uintptr_t)command, NULL};
    int rc = posix_spawn(ret, "/bin/sh", &files, &attr, argv, environ);
    (void)posix_spawnattr_destroy(&attr);
    (void)posix_spawn_file_actions_destroy(&files);
    return rc;
}

/* Until the end of its output: true; false when the time is over or the output too long. */
static bool drain(int fd, int64_t until_us, struct trib_buf *to)
{
    for (;;) {
        int64_t left = until_us - monotonic_us();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int n = left <= 0 ? 0 : poll(&p, 1, (int)(left / 1000) + 1);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        char *room = trib_buf_reserve(to, PIECE);
        if (n <= 0 || room == NULL) {
            return false;
        }
        ssize_t got = read(fd, room, PIECE);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got == 0;
        }
        to->n += (size_t)got;
        to->p[to->n] = '\0';
    }
}

/* Its exit status; -1 when it was killed, or cannot be known. A closed output is no end: it may go on until the time is over. */
static int wait_for(pid_t pid, int64_t until_us)
{
    for (;;) {
        int status = 0;
        pid_t got = waitpid(pid, &status, WNOHANG);
        if (got == pid) {
            return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        }
        if (got < 0 && errno != EINTR) {
            return -1;
        }
        if (monotonic_us() >= until_us) {
            (void)kill(-pid, SIGKILL);
            while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
            }
            return -1;
        }
        (void)poll(NULL, 0, 1);
    }
}

int trib_os_run(const char *command, int64_t timeout_us, struct trib_buf *to, struct trib_err *err)
{
    int ends[2];
    pid_t pid = 0;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return trib_err_errno(err, errno, "a pipe to a command");
    }
    int64_t until = monotonic_us() + timeout_us;
    int rc = start(command, ends[1], &pid);
    (void)close(ends[1]);
    if (rc != 0) {
        (void)close(ends[0]);
        return trib_err_errno(err, rc, "running /bin/sh");
    }
    bool whole = drain(ends[0], until, to);
    (void)close(ends[0]);
    int status = wait_for(pid, whole ? until : monotonic_us());
    if (!whole) {
        return to->overflow != 0 ? trib_err_set(err, TRIB_E_LIMIT, "its output is longer than %zu bytes", to->max)
                                 : trib_err_set(err, TRIB_E_UNAVAILABLE, "it did not end within %lld s",
                                                (long long)(timeout_us / 1000000));
    }
    if (status != 0) {
        return status < 0 ? trib_err_set(err, TRIB_E_UNAVAILABLE, "it was killed or did not end")
                          : trib_err_set(err, TRIB_E_UNAVAILABLE, "it ended with status %d", status);
    }
    return 0;
}
