/*
 * The fake AWS on loopback: fakeaws_server [--port N] [--seed N] [--scripted] [--no-auth] [--no-limits]
 *
 * Prints "listening on N" once it accepts. All services share the port; POST /_fake/<verb> drives it (control.c). Its clock is the
 * system's, plus what /_fake/advance added; --scripted: time stands still but for advance. Faults happen on the wire: resets, bodies
 * cut short, slow replies. One thread a connection. Ends with its parent. Never listens on another address than 127.0.0.1.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fakeaws/control.h"

enum { HEAD_MAX = 1 << 16, HEADERS_MAX = 64, BODY_MAX = 1 << 30, STEP = 1 << 16 };
static struct trib_fakeaws *fake;

struct connection {
    int fd;
    struct trib_buf in; /* received, not used yet */
};

/* false: the end, or an error. */
static bool receive(struct connection *c)
{
    char *at = trib_buf_reserve(&c->in, STEP);
    ssize_t n = at == NULL ? -1 : recv(c->fd, at, STEP, 0);
    if (n <= 0) {
        return false;
    }
    c->in.n += (size_t)n;
    c->in.p[c->in.n] = '\0';
    return true;
}

static bool send_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
        if (k <= 0) {
            return false;
        }
        p += k;
        n -= (size_t)k;
    }
    return true;
}

static void use(struct connection *c, size_t n)
{
    memmove(c->in.p, c->in.p + n, c->in.n - n);
    c->in.n -= n;
    c->in.p[c->in.n] = '\0';
}

/* An abrupt end: the peer sees a reset, not a close. */
static void reset(int fd)
{
    struct linger l = {1, 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
}

struct incoming {
    char *head; /* the whole head, cut into texts */
    char *method, *target;
    const char *host;
    struct trib_http_header headers[HEADERS_MAX];
    size_t n;
    int64_t length;
    bool expect, close;
};

/* false: not HTTP, or too much. */
static bool parse(struct incoming *q)
{
    char *line, *rest = q->head, *save = NULL;
    line = strsep(&rest, "\n");
    q->method = strtok_r(line, " ", &save);
    q->target = strtok_r(NULL, " ", &save);
    while (rest != NULL && (line = strsep(&rest, "\n")) != NULL) {
        line[strcspn(line, "\r")] = '\0';
        char *colon = strchr(line, ':');
        if (*line == '\0') {
            break;
        }
        if (colon == NULL || q->n == HEADERS_MAX) {
            return false;
        }
        *colon = '\0';
        const char *value = colon + 1 + strspn(colon + 1, " \t");
        if (strcasecmp(line, "host") == 0) {
            q->host = value;
        } else {
            q->headers[q->n++] = (struct trib_http_header){line, value};
        }
        q->length = strcasecmp(line, "content-length") == 0 ? strtoll(value, NULL, 10) : q->length;
        q->expect = q->expect || (strcasecmp(line, "expect") == 0 && strcasecmp(value, "100-continue") == 0);
        q->close = q->close || (strcasecmp(line, "connection") == 0 && strcasecmp(value, "close") == 0);
        if (strcasecmp(line, "transfer-encoding") == 0) {
            return false;
        }
    }
    return q->method != NULL && q->target != NULL && q->host != NULL && q->length >= 0 && q->length < BODY_MAX;
}

/* false: the connection ends. */
static bool reply(const struct connection *c, const struct incoming *q, const struct trib_http_response *r,
                  const struct trib_fakeaws_wire *w)
{
    struct trib_buf head;
    bool told = trib_http_header_get(r, "content-length") != NULL;
    if (w->delay_us > 0) {
        (void)usleep((useconds_t)w->delay_us);
    }
    if (w->refused || (w->cut_at >= 0 && r->status == 0)) {
        reset(c->fd);
        return false;
    }
    trib_buf_init(&head, BODY_MAX);
    trib_buf_addf(&head, "HTTP/1.1 %d Fake\r\n", r->status);
    for (size_t i = 0; i < r->n_headers; i++) {
        trib_buf_addf(&head, "%s: %s\r\n", r->headers[i].name, r->headers[i].value);
    }
    if (!told && r->status != 204 && r->status != 304) {
        trib_buf_addf(&head, "content-length: %zu\r\n", r->body.n);
    }
    trib_buf_adds(&head, "\r\n");
    bool good = send_all(c->fd, head.p, head.n);
    size_t n = w->cut_at >= 0 ? (size_t)w->cut_at : r->body.n;
    bool body = strcmp(q->method, "HEAD") != 0 && r->status != 204 && r->status != 304;
    good = good && (!body || send_all(c->fd, r->body.p, n)) && w->cut_at < 0 && !q->close;
    trib_buf_free(&head);
    return good;
}

static bool answer(const struct connection *c, const struct incoming *q, struct trib_view body)
{
    struct trib_http_response r = {0};
    struct trib_fakeaws_wire w = {-1, 0, false};
    if (strncmp(q->target, "/_fake/", 7) == 0) {
        char *verb = trib_strndup(q->target + 7, strcspn(q->target + 7, "?"));
        const char *query = strchr(q->target, '?');
        trib_buf_init(&r.body, BODY_MAX);
        trib_buf_adds(&r.body, "");
        r.status = trib_fakeaws_control(fake, verb, query == NULL ? "" : query + 1, body, &r.body);
        free(verb);
    } else {
        char *url = trib_asprintf("http://%s%s", q->host, q->target);
        struct trib_http_request request = {
            .method = q->method, .url = url, .headers = q->headers, .n_headers = q->n, .body = body};
        trib_fakeaws_handle(fake, &request, &r, &w);
        free(url);
    }
    bool good = reply(c, q, &r, &w);
    trib_http_response_free(&r);
    return good;
}

/* One request; false: the connection ends. */
static bool one(struct connection *c)
{
    const char *end = NULL;
    while (c->in.n == 0 || (end = strstr(c->in.p, "\r\n\r\n")) == NULL) {
        if (c->in.n > HEAD_MAX || !receive(c)) {
            return false;
        }
    }
    size_t n = (size_t)(end - c->in.p) + 4;
    struct incoming q = {.head = trib_strndup(c->in.p, n)};
    use(c, n);
    bool good = parse(&q);
    if (!good) {
        static const char no[] = "HTTP/1.1 400 Fake\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        (void)send_all(c->fd, no, sizeof no - 1);
    }
    if (good && q.expect) {
        static const char go[] = "HTTP/1.1 100 Continue\r\n\r\n";
        good = send_all(c->fd, go, sizeof go - 1);
    }
    while (good && c->in.n < (size_t)q.length) {
        good = receive(c);
    }
    good = good && answer(c, &q, (struct trib_view){c->in.p, (size_t)q.length});
    if (good) {
        use(c, (size_t)q.length);
    }
    free(q.head);
    return good;
}

static void *serve(void *ctx)
{
    struct connection c = {.fd = (int)(intptr_t)ctx};
    trib_buf_init(&c.in, (size_t)BODY_MAX + HEAD_MAX + STEP);
    trib_buf_adds(&c.in, "");
    while (one(&c)) {
    }
    (void)close(c.fd);
    trib_buf_free(&c.in);
    return NULL;
}

static int listen_on(long port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof a;
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 128) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &n) != 0) {
        (void)fprintf(stderr, "fakeaws_server: 127.0.0.1:%ld: %s\n", port, strerror(errno));
        return -1;
    }
    (void)printf("listening on %u\n", ntohs(a.sin_port));
    (void)fflush(stdout);
    return fd;
}

int main(int argc, char **argv)
{
    struct trib_fakeaws_opts o = {.seed = 1, .latency_us = -1, .real_clock = true};
    long port = 0;
    for (int i = 1; i < argc; i++) {
        bool value = i + 1 < argc;
        if (strcmp(argv[i], "--port") == 0 && value) {
            port = strtol(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--seed") == 0 && value) {
            o.seed = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--scripted") == 0) {
            o.real_clock = false;
        } else if (strcmp(argv[i], "--no-auth") == 0) {
            o.no_auth = true;
        } else if (strcmp(argv[i], "--no-limits") == 0) {
            o.no_limits = true;
        } else {
            (void)fprintf(stderr,
                          "usage: fakeaws_server [--port N] [--seed N] [--scripted] [--no-auth] [--no-limits]\n");
            return 64;
        }
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    fake = trib_fakeaws_new(&o);
    int fd = listen_on(port), yes = 1;
    while (fd >= 0) {
        int c = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        pthread_t t;
        if (c < 0) {
            continue;
        }
        (void)setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        if (pthread_create(&t, NULL, serve, (void *)(intptr_t)c) == 0) {
            (void)pthread_detach(t);
        } else {
            (void)close(c);
        }
    }
    return 74;
}
