/*
 * Errors. One caller-owned struct, no allocation on failure (as nanoarrow does it).
 *
 * Every function that can fail returns int: 0, or the enum trib_code also stored in *err, and fills *err.
 * Outputs are untouched on failure, and the caller still owns what it passed in.
 * Codes, exit status and the generic text come from one list (spec: interface.md, Exit codes).
 * Threads: a struct trib_err belongs to one thread at a time.
 */
#ifndef TRIB_BASE_ERR_H
#define TRIB_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>

/*     name          exit  text                                    */
#define TRIB_CODES(X)                                      \
    X(USAGE, 64, "usage error")                            \
    X(DATA, 65, "bad data")                                \
    X(LIMIT, 65, "a limit was exceeded")                   \
    X(UNAVAILABLE, 69, "service unavailable")              \
    X(UNSUPPORTED, 69, "not supported")                    \
    X(INTERNAL, 70, "internal error")                      \
    X(IO, 74, "input/output error")                        \
    X(NOT_FOUND, 74, "not found")                          \
    X(EXISTS, 74, "exists already")                        \
    X(CONFLICT, 75, "another writer was first, try again") \
    X(AGAIN, 75, "try again")                              \
    X(CANCELLED, 75, "stopped")                            \
    X(CONFIG, 78, "configuration error")

enum trib_code {
    TRIB_OK = 0,
#define X(name, exit_status, text) TRIB_E_##name,
    TRIB_CODES(X)
#undef X
};

struct trib_err {
    enum trib_code code;
    bool retriable;        /* the same call may succeed later */
    bool ambiguous;        /* a write may have happened */
    char msg[1024];        /* what happened, where, what to do next; cut at a UTF-8 boundary when longer */
    char service_code[64]; /* a service's own error code, or "" */
    char request_id[80];   /* a service's request id, or "" */
};

#define TRIB_CHECKED __attribute__((warn_unused_result))

/* Sets *err and returns code, so that `return trib_err_set(err, TRIB_E_IO, "…")` reads well. err may be NULL. */
int trib_err_set(struct trib_err *err, enum trib_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int trib_err_setv(struct trib_err *err, enum trib_code code, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));
/* Appends strerror(errnum) and maps the errno to a code (ENOENT NOT_FOUND, EEXIST EXISTS, else IO). */
int trib_err_errno(struct trib_err *err, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "text: " before the message; returns err->code. */
int trib_err_wrap(struct trib_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void trib_err_clear(struct trib_err *err);

int trib_code_exit(enum trib_code code);         /* process exit status; 0 for TRIB_OK */
const char *trib_code_name(enum trib_code code); /* "IO", … */
const char *trib_code_text(enum trib_code code);

/* Evaluates a checked call and returns from the enclosing function when it failed. */
#define TRIB_TRY(call)             \
    do {                           \
        int trib_try_rc_ = (call); \
        if (trib_try_rc_ != 0) {   \
            return trib_try_rc_;   \
        }                          \
    } while (0)

#endif
