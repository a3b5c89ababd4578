/* A misbehaving HTTP server (loop_server.h). Its connection threads end when their client leaves; stop waits for all. */
#include "support/loop_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

struct connection {
    struct loop_server *server;
    int fd;
    unsigned number;
    struct trib_buf in; /* read, not yet used */
};

static atomic_int alive;

static bool fill(struct connection *c)
{
    char *room = trib_buf_reserve(&c->in, 65536);
    ssize_t n = room == NULL ? -1 : recv(c->fd, room, 65536, 0);
    if (n <= 0) {
        return false;
    }
    c->in.n += (size_t)n;
    c->in.p[c->in.n] = '\0';
    return true;
}

static bool put(struct connection *c, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(c->fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        p += sent;
        n -= (size_t)sent;
    }
    return true;
}

static bool puts_all(struct connection *c, const char *text) { return put(c, text, strlen(text)); }

static bool answer(struct connection *c, int status, const char *body, size_t n)
{
    char head[200];
    (void)snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nX-Test:  Two  words \r\n\r\n", status,
                   n);
    return puts_all(c, head) && put(c, body, n);
}

/* The head and the body of the next request are at the front of `in`; false: the client is gone. */
static bool next_request(struct connection *c, size_t *head, size_t *body)
{
    const char *end;
    while (c->in.n == 0 || (end = strstr(c->in.p, "\r\n\r\n")) == NULL) {
        if (!fill(c)) {
            return false;
        }
        if (c->in.p[0] == 0x16) { /* somebody speaks TLS */
            (void)puts_all(c, "HTTP/1.1 400 X\r\n\r\n");
            return false;
        }
    }
    *head = (size_t)(end - c->in.p) + 4;
    const char *length = strcasestr(c->in.p, "\r\ncontent-length:");
    *body = length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0;
    while (c->in.n < *head + *body) {
        if (!fill(c)) {
            return false;
        }
    }
    return true;
}

static void wait_for_leave(struct connection *c)
{
    while (fill(c)) {
        trib_buf_clear(&c->in);
    }
}

static bool many_headers(struct connection *c)
{
    if (!puts_all(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n")) {
        return false;
    }
    for (int i = 0; i < 1000; i++) {
        char line[64];
        (void)snprintf(line, sizeof line, "x-h%d: %d\r\n", i, i);
        if (!puts_all(c, line)) {
            return false;
        }
    }
    return puts_all(c, "\r\nok");
}

static bool big(struct connection *c, size_t n)
{
    char *text = malloc(n + 1);
    memset(text, 'x', n);
    bool ok = answer(c, 200, text, n);
    free(text);
    return ok;
}

static void reset(struct connection *c)
{
    struct linger now = {1, 0};
    (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

/* false: close. */
static bool serve(struct connection *c, const char *path, bool head_only, size_t head, size_t body)
{
    char number[16];
    (void)snprintf(number, sizeof number, "%u", c->number);
    if (head_only) {
        return puts_all(c, "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n");
    }
    if (strcmp(path, "/echo") == 0) {
        return answer(c, 200, c->in.p, head + body);
    }
    if (strcmp(path, "/conn") == 0) {
        return answer(c, 200, number, strlen(number));
    }
    if (strncmp(path, "/big/", 5) == 0) {
        return big(c, strtoul(path + 5, NULL, 10));
    }
    if (strncmp(path, "/status/", 8) == 0) {
        return answer(c, (int)strtol(path + 8, NULL, 10), "why", 3);
    }
    if (strcmp(path, "/last") == 0) {
        (void)answer(c, 200, number, strlen(number));
        return false;
    }
    if (strcmp(path, "/reset") == 0) {
        reset(c);
        return false;
    }
    if (strcmp(path, "/many-headers") == 0) {
        return many_headers(c);
    }
    static const struct {
        const char *path, *text;
        bool keep, wait;
    } raw[] = {
        {"/ok", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true, false},
        {"/created", "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", true, false},
        {"/nocontent", "HTTP/1.1 204 No Content\r\n\r\n", true, false},
        {"/chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", true,
         false},
        {"/continue", "HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true,
         false},
        {"/cut", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789", false, false},
        {"/cut-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nabc", false, false},
        {"/garbage", "SSH-2.0-no\r\nnot http at all\r\n\r\n", false, false},
        {"/stall", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n01234", false, true},
        {"/silent", "", false, true},
        {"/close", "", false, false},
    };
    for (size_t i = 0; i < sizeof raw / sizeof *raw; i++) {
        if (strcmp(path, raw[i].path) == 0) {
            bool ok = puts_all(c, raw[i].text);
            if (raw[i].wait) {
                wait_for_leave(c);
            }
            return ok && raw[i].keep;
        }
    }
    return answer(c, 404, "no such path", 12);
}

static void *on_connection(void *ctx)
{
    struct connection *c = ctx;
    size_t head, body;
    while (next_request(c, &head, &body)) {
        char method[16], path[256];
        (void)atomic_fetch_add(&c->server->requests, 1);
        bool fine = sscanf(c->in.p, "%15s %255s", method, path) == 2;
        if (!fine || !serve(c, path, strcmp(method, "HEAD") == 0, head, body)) {
            break;
        }
        size_t used = head + body;
        memmove(c->in.p, c->in.p + used, c->in.n - used + 1);
        c->in.n -= used;
    }
    (void)close(c->fd);
    trib_buf_free(&c->in);
    free(c);
    (void)atomic_fetch_sub(&alive, 1);
    return NULL;
}

static void *on_listen(void *ctx)
{
    struct loop_server *s = ctx;
    int fd;
    while ((fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        struct connection *c = trib_calloc(1, sizeof *c);
        *c = (struct connection){.server = s, .fd = fd, .number = atomic_fetch_add(&s->connections, 1) + 1};
        trib_buf_init(&c->in, 64 << 20);
        (void)atomic_fetch_add(&alive, 1);
        pthread_t t;
        if (pthread_create(&t, NULL, on_connection, c) != 0) {
            abort();
        }
        (void)pthread_detach(t);
    }
    return NULL;
}

void loop_server_start(struct loop_server *s)
{
    *s = (struct loop_server){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof at;
    assert_int_equal(bind(s->fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(s->fd, 64), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&at, &n), 0);
    s->port = ntohs(at.sin_port);
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, on_listen, s), 0);
    s->thread = t;
}

void loop_server_stop(struct loop_server *s)
{
    (void)shutdown(s->fd, SHUT_RDWR);
    (void)pthread_join(s->thread, NULL);
    (void)close(s->fd);
    while (atomic_load(&alive) > 0) { /* the client has closed its connections */
        (void)usleep(1000);
    }
}

char *loop_url(const struct loop_server *s, const char *path)
{
    return trib_asprintf("http://127.0.0.1:%u%s", s->port, path);
}
