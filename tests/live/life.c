/* See life.h. Threads: one a process. A crash leaves nothing: the world's folder is removed with the world. */
#include "live/life.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/os.h"

enum { YIELD_ONE_IN = 8, MESSAGE_MAX = 1 << 28 };

struct life {
    const struct life_setup *s;
    bool busy, dead;
    /* In its own process, or in this one. */
    struct trib_env env;
    struct trib_aws_host host;
    struct trib_net net;
    struct trib_fs fs;
    const struct trib_fs *below;
    struct trib_clock clock;
    struct trib_seeded seeded;
    struct trib_rng rng;
    struct trib_log log;
    struct trib_observer observer;
    struct trib_pipeline *pipeline;
    long fuse;
    bool limited;
    int64_t left;
    struct life_answer *answer;
    /* The process. */
    pid_t pid;
    int fd;
};

bool life_busy(const struct life *l) { return l->busy; }

/* ---- what every life has ------------------------------------------------------------------------------------------- */

static const char *variable(void *ctx, const char *name)
{
    (void)ctx;
    return strcmp(name, "AWS_ACCESS_KEY_ID") == 0       ? TRIB_FAKEAWS_KEY_ID
           : strcmp(name, "AWS_SECRET_ACCESS_KEY") == 0 ? TRIB_FAKEAWS_SECRET
                                                        : NULL;
}

static void on_log(void *ctx, enum trib_log_level level, const char *event, const char *const *kv)
{
    const struct life *l = ctx;
    if (!l->s->tell || level > TRIB_LOG_INFO) {
        return;
    }
    (void)printf("#   %s", event);
    for (; *kv != NULL; kv += 2) {
        (void)printf(" %s=%s", kv[0], kv[1]);
    }
    (void)printf("\n");
    (void)fflush(stdout);
}

static void stepped(void *ctx, const char *stage, const char *table, const char *target, const struct trib_step *s,
                    const struct trib_err *err)
{
    struct life *l = ctx;
    (void)table, (void)target;
    if (l->s->tell) {
        (void)printf("#   %" PRId64 " %s: %" PRId64 " rows%s%s\n", trib_now_us(&l->clock) / 1000, stage,
                     s == NULL ? -1 : s->rows_out, err == NULL ? "" : ": ", err == NULL ? "" : err->msg);
        (void)fflush(stdout);
    }
    if (err != NULL && l->answer != NULL && l->answer->told[0] == '\0') {
        (void)snprintf(l->answer->told, sizeof l->answer->told, "%.20s: %.1000s", stage, err->msg);
    }
    l->left -= err == NULL && strcmp(stage, "ingest") == 0;
}

static bool stop_asked(void *ctx)
{
    const struct life *l = ctx;
    return l->limited && l->left <= 0;
}

static int open_life(struct life *l, const struct trib_net *net, struct trib_clock clock, uint64_t seed,
                     struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *lake = trib_asprintf("%s/lake", l->s->root);
    char *scratch;
    trib_seeded_init(&l->seeded, seed);
    l->rng = trib_seeded_rng(&l->seeded);
    l->clock = clock;
    l->log = (struct trib_log){on_log, l, TRIB_LOG_DEBUG};
    l->observer = (struct trib_observer){stepped, l};
    l->host = (struct trib_aws_host){
        .net = net, .fs = &l->fs, .clock = &l->clock, .rng = &l->rng, .log = &l->log, .getenv = variable};
    TRIB_TRY(trib_scratch_make(l->s->root, &scratch, err));
    l->env = (struct trib_env){.fs = &l->fs,
                               .engine = l->s->engine,
                               .clock = &l->clock,
                               .rng = &l->rng,
                               .log = &l->log,
                               .scratch = scratch,
                               .workers = 1,
                               .memory_bytes = 64 << 20,
                               .stop_asked = stop_asked,
                               .stop_ctx = l};
    TRIB_TRY(trib_store_open_file(&l->fs, lake, &l->env.lake, err));
    if (l->s->disk != NULL) {
        const struct trib_engine_opts o = {.limit_bytes = 128 << 20, .threads = 1, .scratch = scratch};
        TRIB_TRY(trib_engine_open(&o, &l->env.engine, err));
    }
    return trib_pipeline_new(&l->env, &l->host, l->s->config, NULL, 0, &l->observer, &l->pipeline, err);
}

static int silver(struct life *l, struct trib_buf *to, struct trib_err *err)
{
    struct trib_conn *c;
    TRIB_TRY(trib_conn_open(l->env.engine, &c, err));
    struct trib_delta d = trib_env_delta(&l->env, c, trib_path_silver("d", "orders"));
    struct trib_snapshot s;
    int rc = trib_delta_load(&d, -1, &s, err);
    if (rc == 0 && s.version >= 0) {
        struct trib_buf sql;
        trib_buf_init(&sql, 1 << 20);
        trib_buf_adds(&sql, "SELECT '{\"pk\":{\"S\":\"' || pk || '\"},\"v\":{\"N\":\"' || v || '\"}}' FROM (");
        rc = trib_delta_select(&d, &s, s.adds, s.n_adds, false, &sql, err);
        trib_buf_adds(&sql, ") WHERE NOT _is_deleted");
        struct trib_result *r = NULL;
        rc = rc == 0 ? trib_query(c, sql.p, &r, err) : rc;
        const struct trib_chunk *chunk;
        while (rc == 0 && (rc = trib_result_next(r, &chunk, err)) == 0 && chunk->rows > 0) {
            const struct trib_str *v = chunk->cols[0].data;
            for (uint64_t i = 0; i < chunk->rows; i++) {
                struct trib_view t = trib_str_view(&v[i]);
                trib_buf_add(to, t.p, t.n);
                trib_buf_addc(to, '\n');
            }
        }
        if (r != NULL) {
            trib_result_free(r);
        }
        trib_buf_free(&sql);
    }
    trib_snapshot_free(&s);
    free(d.path);
    trib_conn_close(c);
    return rc;
}

/* The command itself. */
static void obey(struct life *l, enum life_command what, int64_t n, struct life_answer *ret)
{
    struct trib_err err = {0};
    int rc = 0;
    l->answer = ret;
    l->limited = what == LIFE_PASS && n > 0;
    l->left = n;
    switch (what) {
    case LIFE_FOLLOW:
    case LIFE_ONCE: ret->due_us = trib_pipeline_capture(l->pipeline, what == LIFE_ONCE); break;
    case LIFE_PASS: rc = trib_pipeline_drain(l->pipeline, TRIB_RUN_INGEST | TRIB_RUN_MERGE, &err); break;
    case LIFE_FLUSH: trib_pipeline_flush(l->pipeline); break;
    case LIFE_LOOK: rc = silver(l, &ret->lines, &err); break;
    }
    if (rc != 0 && ret->told[0] == '\0') {
        (void)snprintf(ret->told, sizeof ret->told, "%s", err.msg);
    }
    l->limited = false;
    l->answer = NULL;
}

/* ---- in this process ------------------------------------------------------------------------------------------------ */

static void near_perform(void *ctx, const struct trib_http_request *requests, struct trib_http_response *responses,
                         size_t n)
{
    struct life *l = ctx;
    l->s->between(l->s->ctx, l, true);
    trib_net_perform(trib_fakeaws_net(l->s->aws), requests, responses, n);
}

static void near_sleep(void *ctx, int64_t us)
{
    const struct trib_net *net = trib_fakeaws_net(((struct life *)ctx)->s->aws);
    net->sleep_us(net->ctx, us);
}

/* Before a call that changes. Where the life burns out, nothing that it tries comes true any more. */
static int gate(struct life *l, const char *path, struct trib_err *err)
{
    if (!l->dead) {
        l->s->between(l->s->ctx, l, false);
        l->dead = l->fuse > 0 && --l->fuse == 0;
    }
    return l->dead ? trib_err_errno(err, EIO, "simulated, %s", path) : 0;
}

static int n_write(void *ctx, const char *path, struct trib_view data, struct trib_err *err)
{
    TRIB_TRY(gate(ctx, path, err));
    return trib_fs_real.write(trib_fs_real.ctx, path, data, err);
}
static int n_copy(void *ctx, const char *from, const char *to, struct trib_err *err)
{
    TRIB_TRY(gate(ctx, to, err));
    return trib_fs_real.copy(trib_fs_real.ctx, from, to, err);
}
static int n_sync(void *ctx, const char *path, struct trib_err *err) { return gate(ctx, path, err); }
static int n_link(void *ctx, const char *from, const char *to, struct trib_err *err)
{
    TRIB_TRY(gate(ctx, to, err));
    return trib_fs_real.link(trib_fs_real.ctx, from, to, err);
}
static int n_rename(void *ctx, const char *from, const char *to, struct trib_err *err)
{
    TRIB_TRY(gate(ctx, to, err));
    return trib_fs_real.rename(trib_fs_real.ctx, from, to, err);
}
static int n_unlink(void *ctx, const char *path, struct trib_err *err)
{
    TRIB_TRY(gate(ctx, path, err));
    return trib_fs_real.unlink(trib_fs_real.ctx, path, err);
}
static int n_mkdir(void *ctx, const char *path, struct trib_err *err)
{
    TRIB_TRY(gate(ctx, path, err));
    return trib_fs_real.mkdir(trib_fs_real.ctx, path, err);
}

static void live_near(struct life *l, uint64_t seed, long fuse)
{
    l->fuse = fuse;
    l->net = (struct trib_net){l, near_perform, near_sleep};
    l->fs = trib_fs_real;
    l->fs.ctx = l;
    l->fs.write = n_write;
    l->fs.copy = n_copy;
    l->fs.sync = n_sync; /* not for real: nobody cuts the power here */
    l->fs.sync_dir = n_sync;
    l->fs.link = n_link;
    l->fs.rename = n_rename;
    l->fs.unlink = n_unlink;
    l->fs.mkdir = n_mkdir;
    struct trib_err err = {0};
    if (open_life(l, &l->net, trib_fakeaws_clock(l->s->aws), seed, &err) != 0) {
        (void)fprintf(stderr, "a life cannot begin: %s\n", err.msg);
        abort();
    }
}

/* ---- messages between two processes of one program -------------------------------------------------------------------- */

static bool all(int fd, void *p, size_t n, bool out)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = out ? send(fd, (char *)p + done, n - done, MSG_NOSIGNAL) : recv(fd, (char *)p + done, n - done, 0);
        if (k <= 0 && !(k < 0 && errno == EINTR)) {
            return false;
        }
        done += k > 0 ? (size_t)k : 0;
    }
    return true;
}

static bool tell(int fd, char kind, struct trib_buf *b)
{
    struct {
        uint64_t kind, n;
    } head = {(uint64_t)(unsigned char)kind, b == NULL ? 0 : b->n};
    bool good = all(fd, &head, sizeof head, true) && (b == NULL || all(fd, b->p, b->n, true));
    if (b != NULL) {
        trib_buf_free(b);
    }
    return good;
}

/* '\0': the other side is gone. */
static char hear(int fd, struct trib_buf *b)
{
    struct {
        uint64_t kind, n;
    } head;
    trib_buf_init(b, MESSAGE_MAX);
    if (!all(fd, &head, sizeof head, false)) {
        return '\0';
    }
    char *to = trib_buf_reserve(b, head.n + 1);
    if (to == NULL || !all(fd, to, head.n, false)) {
        trib_buf_free(b);
        return '\0';
    }
    b->n = head.n;
    return (char)head.kind;
}

static void put(struct trib_buf *b, const void *p, size_t n)
{
    uint64_t size = n;
    trib_buf_add(b, (const char *)&size, sizeof size);
    trib_buf_add(b, p, n);
}
static void put_text(struct trib_buf *b, const char *s) { put(b, s, strlen(s) + 1); }
static void put_number(struct trib_buf *b, int64_t v) { put(b, &v, sizeof v); }

/* What a buffer holds, in turn; both sides are this program, so it is there. */
static struct trib_view take(const struct trib_buf *b, size_t *at)
{
    uint64_t n;
    memcpy(&n, b->p + *at, sizeof n);
    struct trib_view v = {b->p + *at + sizeof n, n};
    *at += sizeof n + n;
    return v;
}
static int64_t take_number(const struct trib_buf *b, size_t *at)
{
    int64_t v;
    memcpy(&v, take(b, at).p, sizeof v);
    return v;
}

/* ---- in its own process ----------------------------------------------------------------------------------------------- */

static void ask(struct life *l, char kind, struct trib_buf *question, struct trib_buf *ret)
{
    if (!tell(l->fd, kind, question) || hear(l->fd, ret) == '\0') {
        _exit(SIM_CRASHED);
    }
}

static void far_perform(void *ctx, const struct trib_http_request *requests, struct trib_http_response *responses,
                        size_t n)
{
    struct trib_buf b, reply;
    trib_buf_init(&b, MESSAGE_MAX);
    put_number(&b, (int64_t)n);
    for (size_t i = 0; i < n; i++) {
        const struct trib_http_request *q = &requests[i];
        put_text(&b, q->method);
        put_text(&b, q->url);
        put(&b, q->body.p, q->body.n);
        put_number(&b, (int64_t)q->max_body_bytes);
        put_number(&b, (int64_t)q->n_headers);
        for (size_t k = 0; k < q->n_headers; k++) {
            put_text(&b, q->headers[k].name);
            put_text(&b, q->headers[k].value);
        }
    }
    ask(ctx, 'N', &b, &reply);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        struct trib_http_response *r = &responses[i];
        r->status = (int)take_number(&reply, &at);
        r->body_bytes = take_number(&reply, &at);
        memcpy(&r->err, take(&reply, &at).p, sizeof r->err);
        struct trib_view body = take(&reply, &at);
        trib_buf_init(&r->body, body.n + 1);
        trib_buf_add(&r->body, body.p, body.n);
        r->n_headers = (size_t)take_number(&reply, &at);
        r->headers = trib_calloc(r->n_headers + 1, sizeof *r->headers);
        for (size_t k = 0; k < r->n_headers; k++) {
            r->headers[k].name = trib_strdup(take(&reply, &at).p);
            r->headers[k].value = trib_strdup(take(&reply, &at).p);
        }
    }
    trib_buf_free(&reply);
}

static void far_sleep(void *ctx, int64_t us)
{
    struct trib_buf b, reply;
    trib_buf_init(&b, MESSAGE_MAX);
    put_number(&b, us);
    ask(ctx, 'S', &b, &reply);
    trib_buf_free(&reply);
}

static int64_t far_now(void *ctx) { return *((const struct life *)ctx)->s->now_us; }

/* Now and then the others may go on. */
static void yield_turn(struct life *l)
{
    struct trib_buf b;
    if (trib_seeded_below(&l->seeded, YIELD_ONE_IN) == 0) {
        ask(l, 'Y', NULL, &b);
        trib_buf_free(&b);
    }
}

static int f_write(void *ctx, const char *path, struct trib_view data, struct trib_err *err)
{
    yield_turn(ctx);
    return ((struct life *)ctx)->below->write(NULL, path, data, err);
}
static int f_link(void *ctx, const char *from, const char *to, struct trib_err *err)
{
    yield_turn(ctx);
    return ((struct life *)ctx)->below->link(NULL, from, to, err);
}
static int f_sync_dir(void *ctx, const char *path, struct trib_err *err)
{
    yield_turn(ctx);
    return ((struct life *)ctx)->below->sync_dir(NULL, path, err);
}

static _Noreturn void live_far(struct life *l, uint64_t seed)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct trib_err err = {0};
    l->below = sim_fs(l->s->disk, 0);
    l->fs = *l->below;
    l->fs.ctx = l;
    l->fs.write = f_write;
    l->fs.link = f_link;
    l->fs.sync_dir = f_sync_dir;
    l->net = (struct trib_net){l, far_perform, far_sleep};
    if (open_life(l, &l->net, (struct trib_clock){far_now, l}, seed, &err) != 0) {
        (void)fprintf(stderr, "a life cannot begin: %s\n", err.msg);
        _exit(1);
    }
    struct trib_buf b;
    while (hear(l->fd, &b) == 'C') {
        size_t at = 0;
        enum life_command what = (enum life_command)take_number(&b, &at);
        int64_t n = take_number(&b, &at);
        trib_buf_free(&b);
        struct life_answer a = {0};
        trib_buf_init(&a.lines, MESSAGE_MAX);
        obey(l, what, n, &a);
        struct trib_buf to;
        trib_buf_init(&to, MESSAGE_MAX);
        put_number(&to, a.due_us);
        put_text(&to, a.told);
        put(&to, a.lines.p, a.lines.n);
        trib_buf_free(&a.lines);
        if (!tell(l->fd, 'D', &to)) {
            break;
        }
    }
    _exit(SIM_CRASHED);
}

/* Requests of a life, answered by the fake. */
static void serve(struct life *l, const struct trib_buf *b)
{
    size_t at = 0, n = (size_t)take_number(b, &at);
    struct trib_http_request *q = trib_calloc(n + 1, sizeof *q);
    struct trib_http_response *r = trib_calloc(n + 1, sizeof *r);
    for (size_t i = 0; i < n; i++) {
        q[i].method = take(b, &at).p;
        q[i].url = take(b, &at).p;
        q[i].body = take(b, &at);
        q[i].max_body_bytes = (size_t)take_number(b, &at);
        q[i].n_headers = (size_t)take_number(b, &at);
        struct trib_http_header *h = trib_calloc(q[i].n_headers + 1, sizeof *h);
        for (size_t k = 0; k < q[i].n_headers; k++) {
            h[k].name = take(b, &at).p;
            h[k].value = take(b, &at).p;
        }
        q[i].headers = h;
    }
    trib_net_perform(trib_fakeaws_net(l->s->aws), q, r, n);
    struct trib_buf to;
    trib_buf_init(&to, MESSAGE_MAX);
    for (size_t i = 0; i < n; i++) {
        put_number(&to, r[i].status);
        put_number(&to, r[i].body_bytes);
        put(&to, &r[i].err, sizeof r[i].err);
        put(&to, r[i].body.p, r[i].body.n);
        put_number(&to, (int64_t)r[i].n_headers);
        for (size_t k = 0; k < r[i].n_headers; k++) {
            put_text(&to, r[i].headers[k].name);
            put_text(&to, r[i].headers[k].value);
        }
        trib_http_response_free(&r[i]);
        free((void *)(uintptr_t)q[i].headers);
    }
    free(q);
    free(r);
    *l->s->now_us = trib_fakeaws_now_us(l->s->aws);
    (void)tell(l->fd, 'A', &to);
}

static bool do_far(struct life *l, enum life_command what, int64_t n, struct life_answer *ret)
{
    struct trib_buf b;
    trib_buf_init(&b, MESSAGE_MAX);
    put_number(&b, what);
    put_number(&b, n);
    *l->s->now_us = trib_fakeaws_now_us(l->s->aws);
    (void)tell(l->fd, 'C', &b);
    for (;;) {
        char kind = hear(l->fd, &b);
        size_t at = 0;
        if (kind == '\0') {
            l->dead = true;
            return false;
        }
        if (kind == 'D') {
            ret->due_us = take_number(&b, &at);
            (void)snprintf(ret->told, sizeof ret->told, "%s", take(&b, &at).p);
            struct trib_view lines = take(&b, &at);
            trib_buf_add(&ret->lines, lines.p, lines.n);
            trib_buf_free(&b);
            return true;
        }
        if (kind == 'S') {
            const struct trib_net *net = trib_fakeaws_net(l->s->aws);
            net->sleep_us(net->ctx, take_number(&b, &at));
        } else {
            l->s->between(l->s->ctx, l, kind == 'N');
        }
        if (kind == 'N') {
            serve(l, &b);
        } else {
            *l->s->now_us = trib_fakeaws_now_us(l->s->aws);
            (void)tell(l->fd, 'A', NULL);
        }
        trib_buf_free(&b);
    }
}

/* ---- both -------------------------------------------------------------------------------------------------------------- */

static void live_apart(struct life *l, uint64_t seed)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        abort();
    }
    (void)fflush(NULL);
    l->pid = fork();
    if (l->pid < 0) {
        abort();
    }
    l->fd = ends[l->pid == 0];
    (void)close(ends[l->pid != 0]);
    if (l->pid == 0) {
        live_far(l, seed);
    }
}

struct life *life_start(const struct life_setup *s, uint64_t seed, long fuse)
{
    struct life *l = trib_calloc(1, sizeof *l);
    l->s = s;
    if (s->disk != NULL) {
        live_apart(l, seed);
    } else {
        live_near(l, seed, fuse);
    }
    return l;
}

void life_kill(struct life *l) { (void)kill(l->pid, SIGKILL); }

void life_end(struct life *l)
{
    if (l == NULL) {
        return;
    }
    if (l->pid > 0) {
        (void)kill(l->pid, SIGKILL);
        (void)waitpid(l->pid, NULL, 0);
        (void)close(l->fd);
    } else {
        l->dead = true; /* what is tidied up now happens in no world */
        trib_pipeline_free(l->pipeline);
        trib_store_free(l->env.lake);
        trib_scratch_remove(l->env.scratch);
        free((void *)(uintptr_t)l->env.scratch);
    }
    free(l);
}

bool life_do(struct life *l, enum life_command what, int64_t n, struct life_answer *ret)
{
    *ret = (struct life_answer){0};
    trib_buf_init(&ret->lines, MESSAGE_MAX);
    l->busy = true;
    if (l->pid > 0) {
        (void)do_far(l, what, n, ret);
    } else {
        obey(l, what, n, ret);
    }
    l->busy = false;
    return !l->dead;
}
