/*
 * The log: one line an event on stderr, key=value text or JSON. A line is assembled first and written in one piece, so that threads
 * do not mix. Values that the config took from ${env:} or ${file:} are redacted here, once, whoever logged them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/own.h"
#include "dynamodb/json.h"
#include "os/os.h"

enum { LINE_MAX_BYTES = 1 << 20 };

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void trib_log_time(struct trib_buf *to, int64_t now_us)
{
    time_t seconds = (time_t)(now_us / 1000000);
    struct tm tm;
    if (gmtime_r(&seconds, &tm) == NULL) {
        tm = (struct tm){.tm_mday = 1, .tm_year = 70};
    }
    trib_buf_addf(to, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                  tm.tm_min, tm.tm_sec, (int)(now_us / 1000 % 1000));
}

/* One letter; a byte that is none (names of files may be anything) as the replacement letter. Returns its bytes. */
static size_t add_letter(struct trib_buf *to, const unsigned char *p)
{
    size_t n = *p < 0xC0 ? 1 : *p < 0xE0 ? 2 : *p < 0xF0 ? 3 : 4;
    struct trib_view letter = {(const char *)p, strnlen((const char *)p, n)};
    if (trib_utf8_valid(letter)) {
        trib_buf_add(to, letter.p, letter.n);
        return letter.n;
    }
    trib_buf_adds(to, "\\ufffd");
    return 1;
}

void trib_log_json_string(struct trib_buf *to, const char *s)
{
    trib_buf_addc(to, '"');
    for (const unsigned char *p = (const unsigned char *)s; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\') {
            trib_buf_addc(to, '\\');
            trib_buf_addc(to, (char)*p);
        } else if (*p < 0x20) {
            trib_buf_addf(to, "\\u%04x", *p);
        } else {
            p += add_letter(to, p) - 1;
        }
    }
    trib_buf_addc(to, '"');
}

/* Bare when it is one word, else quoted. */
static void text_value(struct trib_buf *to, const char *s)
{
    static const char special[] = " \t\r\n\"=\\";
    bool bare = s[0] != '\0' && strpbrk(s, special) == NULL && trib_utf8_valid(trib_view_of(s));
    for (const unsigned char *p = (const unsigned char *)s; bare && *p != '\0'; p++) {
        bare = *p >= 0x20 && *p != 0x7F;
    }
    if (bare) {
        trib_buf_adds(to, s);
    } else {
        trib_log_json_string(to, s);
    }
}

void trib_stderr_write(struct trib_cli *cli, struct trib_buf *text)
{
    if (cli->own->config != NULL) {
        trib_config_redact(cli->own->config, text);
    }
    const char *p = text->p;
    size_t n = text->n;
    while (n > 0) {
        ssize_t k = write(STDERR_FILENO, p, n);
        if (k < 0 && errno != EINTR) {
            return; /* nowhere to say it */
        }
        if (k > 0) {
            p += k;
            n -= (size_t)k;
        }
    }
}

/* kv with redacted values: before quoting, which would hide a value that needs it. [out] */
static char *redacted(const struct trib_cli *cli, const char *value)
{
    struct trib_buf b;
    trib_buf_init(&b, LINE_MAX_BYTES);
    trib_buf_adds(&b, value);
    if (cli->own->config != NULL) {
        trib_config_redact(cli->own->config, &b);
    }
    return trib_buf_take(&b);
}

static void log_text(struct trib_cli *cli, struct trib_buf *b, enum trib_log_level level, const char *event,
                     const char *const *kv)
{
    static const char *const colours[] = {"\033[31m", "\033[33m", "", "\033[2m"};
    trib_log_time(b, trib_now_us(&trib_clock_real));
    trib_buf_addf(b, " %s%s%s %s", cli->colour ? colours[level] : "", level_names[level],
                  cli->colour && colours[level][0] != '\0' ? "\033[0m" : "", event);
    for (size_t i = 0; kv[i] != NULL; i += 2) {
        trib_buf_addf(b, " %s=", kv[i]);
        char *value = redacted(cli, kv[i + 1]);
        text_value(b, value);
        free(value);
    }
}

static void log_json(struct trib_cli *cli, struct trib_buf *b, enum trib_log_level level, const char *event,
                     const char *const *kv)
{
    trib_buf_adds(b, "{\"ts\":\"");
    trib_log_time(b, trib_now_us(&trib_clock_real));
    trib_buf_addf(b, "\",\"level\":\"%s\",\"event\":", level_names[level]);
    trib_log_json_string(b, event);
    for (size_t i = 0; kv[i] != NULL; i += 2) {
        trib_buf_addc(b, ',');
        trib_log_json_string(b, kv[i]);
        trib_buf_addc(b, ':');
        char *value = redacted(cli, kv[i + 1]);
        trib_log_json_string(b, value);
        free(value);
    }
    trib_buf_addc(b, '}');
}

static void log_write(void *ctx, enum trib_log_level level, const char *event, const char *const *kv)
{
    struct trib_cli *cli = ctx;
    struct trib_buf b;
    trib_buf_init(&b, LINE_MAX_BYTES);
    (void)pthread_mutex_lock(&cli->own->lock);
    if (cli->flags.log_format == TRIB_LOG_FORMAT_JSON) {
        log_json(cli, &b, level, event, kv);
    } else {
        log_text(cli, &b, level, event, kv);
    }
    trib_buf_addc(&b, '\n');
    trib_progress_clear(cli);
    trib_stderr_write(cli, &b);
    (void)pthread_mutex_unlock(&cli->own->lock);
    trib_buf_free(&b);
}

void trib_log_start(struct trib_cli *cli)
{
    cli->log = (struct trib_log){log_write, cli, cli->flags.verbose ? TRIB_LOG_DEBUG : TRIB_LOG_INFO};
}
