/*
 * Progress on stderr: a bar on a terminal, plain lines elsewhere, JSON lines for programs. Rate-limited here, so that stages may
 * report as often as they like. Never writes to stdout.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/own.h"
#include "os/os.h"

enum { BAR_CELLS = 24, LINE_BYTES = 4096 };
#define BAR_EVERY_US   ((int64_t)100000)
#define PLAIN_EVERY_US ((int64_t)5000000)

struct trib_progress_state {
    enum trib_progress_mode mode; /* AUTO: bars */
    bool drawn;                   /* a bar stands on the last line */
    int64_t last_us;              /* of the last line */
    int64_t start_us;
};

static struct trib_progress_state *state_of(struct trib_cli *cli)
{
    struct trib_progress_state *s = cli->own->progress;
    if (s == NULL) {
        s = cli->own->progress = trib_calloc(1, sizeof *s);
        s->mode = cli->flags.progress;
        const char *term = getenv("TERM");
        if (s->mode == TRIB_PROGRESS_AUTO && (!isatty(STDERR_FILENO) || term == NULL || strcmp(term, "dumb") == 0)) {
            s->mode = TRIB_PROGRESS_PLAIN;
        }
        s->start_us = trib_now_us(&trib_clock_real);
        s->last_us = s->start_us - (s->mode == TRIB_PROGRESS_AUTO ? BAR_EVERY_US : 0);
    }
    return s;
}

void trib_progress_clear(struct trib_cli *cli)
{
    struct trib_progress_state *s = cli->own->progress;
    if (s != NULL && s->drawn) {
        static const char clear[] = "\r\033[K";
        s->drawn = write(STDERR_FILENO, clear, sizeof clear - 1) < 0;
    }
}

static void add_bytes(struct trib_buf *b, int64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double v = (double)bytes;
    size_t u = 0;
    while (v >= 1024 && u < 4) {
        v /= 1024;
        u++;
    }
    trib_buf_addf(b, u == 0 ? "%.0f %s" : "%.1f %s", v, units[u]);
}

static void add_counts(struct trib_buf *b, const struct trib_progress *p)
{
    if (p->done >= 0 && p->unit != NULL) {
        trib_buf_addf(b, p->total >= 0 ? " %lld/%lld %s" : " %lld", (long long)p->done, (long long)p->total, p->unit);
        if (p->total < 0) {
            trib_buf_addf(b, " %s", p->unit);
        }
    }
    if (p->rows >= 0) {
        trib_buf_addf(b, ", %lld rows", (long long)p->rows);
    }
    if (p->bytes >= 0) {
        trib_buf_adds(b, ", ");
        add_bytes(b, p->bytes);
    }
    if (p->note != NULL) {
        trib_buf_addf(b, " (%s)", p->note);
    }
}

static void draw_bar(struct trib_cli *cli, struct trib_buf *b, const struct trib_progress *p, bool done)
{
    trib_buf_addf(b, "%-7s %-20s ", p->stage, p->table);
    if (p->total > 0) {
        int64_t cells = p->done >= p->total ? BAR_CELLS : p->done * BAR_CELLS / p->total;
        trib_buf_adds(b, cli->colour ? "\033[36m" : "");
        for (int64_t i = 0; i < BAR_CELLS; i++) {
            trib_buf_adds(b, i < cells ? "━" : cli->colour ? "\033[2m─" : "─");
        }
        trib_buf_adds(b, cli->colour ? "\033[0m" : "");
    }
    add_counts(b, p);
    if (done) {
        trib_buf_addc(b, '\n');
    }
}

static void plain_line(struct trib_buf *b, const struct trib_progress *p, int64_t now_us, int64_t start_us)
{
    trib_buf_addf(b, "[%6.1fs] %s %s", (double)(now_us - start_us) / 1e6, p->stage, p->table);
    add_counts(b, p);
    trib_buf_addc(b, '\n');
}

static void json_line(struct trib_buf *b, const struct trib_progress *p, bool done, int64_t now_us)
{
    trib_buf_adds(b, "{\"ts\":\"");
    trib_log_time(b, now_us);
    trib_buf_adds(b, "\",\"progress\":");
    trib_log_json_string(b, p->stage);
    trib_buf_adds(b, ",\"table\":");
    trib_log_json_string(b, p->table);
    trib_buf_addf(b, ",\"done\":%lld,\"total\":", (long long)p->done);
    trib_buf_addf(b, p->total >= 0 ? "%lld" : "null", (long long)p->total);
    trib_buf_adds(b, ",\"unit\":");
    trib_log_json_string(b, p->unit != NULL ? p->unit : "");
    if (p->rows >= 0) {
        trib_buf_addf(b, ",\"rows\":%lld", (long long)p->rows);
    }
    if (p->bytes >= 0) {
        trib_buf_addf(b, ",\"bytes\":%lld", (long long)p->bytes);
    }
    if (p->note != NULL) {
        trib_buf_adds(b, ",\"note\":");
        trib_log_json_string(b, p->note);
    }
    trib_buf_addf(b, ",\"finished\":%s}\n", done ? "true" : "false");
}

static void show(struct trib_cli *cli, const struct trib_progress *p, bool done)
{
    (void)pthread_mutex_lock(&cli->own->lock);
    struct trib_progress_state *s = state_of(cli);
    int64_t now = trib_now_us(&trib_clock_real);
    int64_t every = s->mode == TRIB_PROGRESS_AUTO ? BAR_EVERY_US : PLAIN_EVERY_US;
    if (s->mode != TRIB_PROGRESS_NONE && (done || now - s->last_us >= every || now < s->last_us)) {
        struct trib_buf b;
        trib_buf_init(&b, LINE_BYTES);
        trib_progress_clear(cli);
        if (s->mode == TRIB_PROGRESS_JSON) {
            json_line(&b, p, done, now);
        } else if (s->mode == TRIB_PROGRESS_PLAIN) {
            plain_line(&b, p, now, s->start_us);
        } else {
            draw_bar(cli, &b, p, done);
            s->drawn = !done;
        }
        trib_stderr_write(cli, &b);
        trib_buf_free(&b);
        s->last_us = now;
    }
    (void)pthread_mutex_unlock(&cli->own->lock);
}

void trib_cli_progress(struct trib_cli *cli, const struct trib_progress *p) { show(cli, p, false); }
void trib_cli_progress_done(struct trib_cli *cli, const struct trib_progress *p) { show(cli, p, true); }

void trib_progress_end(struct trib_cli *cli)
{
    trib_progress_clear(cli);
    free(cli->own->progress);
    cli->own->progress = NULL;
}
