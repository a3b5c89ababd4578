#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* vsnprintf cuts at any byte; a cut inside a UTF-8 sequence would make logs invalid. */
static void trim_utf8(char *s, size_t size)
{
    size_t n = strlen(s);
    if (n + 1 < size) {
        return;
    }
    while (n > 0 && ((unsigned char)s[n - 1] & 0xC0) == 0x80) {
        n--;
    }
    if (n > 0 && (unsigned char)s[n - 1] >= 0xC0) {
        n--;
    }
    s[n] = '\0';
}

int trib_err_setv(struct trib_err *err, enum trib_code code, const char *fmt, va_list ap)
{
    if (err != NULL) {
        memset(err, 0, sizeof *err);
        err->code = code;
        err->retriable = code == TRIB_E_AGAIN || code == TRIB_E_CONFLICT || code == TRIB_E_UNAVAILABLE;
        (void)vsnprintf(err->msg, sizeof err->msg, fmt, ap);
        trim_utf8(err->msg, sizeof err->msg);
    }
    return (int)code;
}

int trib_err_set(struct trib_err *err, enum trib_code code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)trib_err_setv(err, code, fmt, ap);
    va_end(ap);
    return (int)code;
}

int trib_err_errno(struct trib_err *err, int errnum, const char *fmt, ...)
{
    enum trib_code code = errnum == ENOENT ? TRIB_E_NOT_FOUND : errnum == EEXIST ? TRIB_E_EXISTS : TRIB_E_IO;
    va_list ap;
    va_start(ap, fmt);
    (void)trib_err_setv(err, code, fmt, ap);
    va_end(ap);
    if (err != NULL) {
        size_t n = strlen(err->msg);
        char text[128];
        /* GNU strerror_r returns the text, thread safe. */
        const char *why = strerror_r(errnum, text, sizeof text);
        (void)snprintf(err->msg + n, sizeof err->msg - n, ": %s", why);
        trim_utf8(err->msg, sizeof err->msg);
    }
    return (int)code;
}

int trib_err_wrap(struct trib_err *err, const char *fmt, ...)
{
    if (err == NULL) {
        return (int)TRIB_E_INTERNAL;
    }
    char old[sizeof err->msg];
    memcpy(old, err->msg, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof err->msg) {
        (void)snprintf(err->msg + n, sizeof err->msg - (size_t)n, ": %s", old);
    }
    trim_utf8(err->msg, sizeof err->msg);
    return (int)err->code;
}

void trib_err_clear(struct trib_err *err)
{
    if (err != NULL) {
        memset(err, 0, sizeof *err);
    }
}

int trib_code_exit(enum trib_code code)
{
    switch (code) {
    case TRIB_OK: return 0;
#define X(name, exit_status, text) \
    case TRIB_E_##name: return exit_status;
        TRIB_CODES(X)
#undef X
    }
    return 70;
}

const char *trib_code_name(enum trib_code code)
{
    switch (code) {
    case TRIB_OK: return "OK";
#define X(name, exit_status, text) \
    case TRIB_E_##name: return #name;
        TRIB_CODES(X)
#undef X
    }
    return "UNKNOWN";
}

const char *trib_code_text(enum trib_code code)
{
    switch (code) {
    case TRIB_OK: return "done";
#define X(name, exit_status, text) \
    case TRIB_E_##name: return text;
        TRIB_CODES(X)
#undef X
    }
    return "unknown error";
}
