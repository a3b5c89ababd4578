/* net/curl.c against a server on loopback that cuts, resets, stalls and lies; TLS with a certificate of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/http.h"
#include "os/fs.h"
#include "os/os.h"
#include "support/loop_server.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static struct loop_server server;
static struct trib_net *net;
static char *dir;
static pid_t tls_pid; /* the TLS server, 0 without */

static int setup(void **state)
{
    (void)state;
    struct trib_err err;
    loop_server_start(&server);
    net = trib_net_curl_new(0);
    return trib_scratch_make(NULL, &dir, &err);
}

static int teardown(void **state)
{
    (void)state;
    if (tls_pid > 0) {
        (void)kill(tls_pid, SIGKILL);
        (void)waitpid(tls_pid, NULL, 0);
    }
    trib_net_curl_free(net);
    loop_server_stop(&server);
    trib_scratch_remove(dir);
    free(dir);
    return 0;
}

static struct trib_http_response get(const char *path)
{
    char *url = loop_url(&server, path);
    struct trib_http_request q = {.method = "GET", .url = url, .total_us = 60000000};
    struct trib_http_response r = {0};
    trib_net_perform(net, &q, &r, 1);
    free(url);
    return r;
}

static void want_body(struct trib_http_response *r, int status, const char *body)
{
    if (r->status == 0) {
        fail_msg("%s", r->err.msg);
    }
    assert_int_equal(r->err.code, TRIB_OK);
    assert_int_equal(r->status, status);
    assert_string_equal(r->body.n == 0 ? "" : r->body.p, body);
    trib_http_response_free(r);
}

static void want_failure(struct trib_http_response *r, enum trib_code code, const char *text, bool retriable,
                         bool ambiguous)
{
    assert_int_equal(r->status, 0);
    assert_int_equal(r->err.code, code);
    if (strstr(r->err.msg, text) == NULL) {
        fail_msg("'%s' is not in: %s", text, r->err.msg);
    }
    assert_int_equal(r->err.retriable, retriable);
    assert_int_equal(r->err.ambiguous, ambiguous);
    trib_http_response_free(r);
}

static void test_answers(void **state)
{
    (void)state;
    struct trib_http_response r = get("/ok");
    assert_int_equal(r.body_bytes, 5);
    want_body(&r, 200, "hello");
    r = get("/created");
    want_body(&r, 201, "");
    r = get("/nocontent");
    want_body(&r, 204, "");
    r = get("/chunked");
    want_body(&r, 200, "abcde");
    r = get("/status/503");
    assert_string_equal(trib_http_header_get(&r, "x-test"), "Two  words");
    assert_null(trib_http_header_get(&r, "x-other"));
    want_body(&r, 503, "why");
    r = get("/status/301"); /* followed by nobody */
    want_body(&r, 301, "why");
    r = get("/continue");
    assert_null(trib_http_header_get(&r, "x-early"));
    want_body(&r, 200, "ok");
    r = get("/many-headers"); /* bounded, and no harm */
    assert_int_equal(r.n_headers, 256);
    want_body(&r, 200, "ok");
}

static void test_requests(void **state)
{
    (void)state;
    static const struct {
        const char *method, *body;
        bool has_length;
    } cases[] = {{"GET", "", false},   {"POST", "a=b", true}, {"POST", "", true},
                 {"PUT", "xyz", true}, {"PUT", "", true},     {"DELETE", "", true}};
    char *url = loop_url(&server, "/echo"), *odd = loop_url(&server, "/a/../%7Eb//c?x=%20&y");
    const struct trib_http_header headers[] = {
        {"X-Amz-Date", "20150830T123600Z"}, {"X-Empty", ""}, {"Authorization", "AWS4 x=y, z"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct trib_http_request q = {.method = cases[i].method,
                                      .url = url,
                                      .headers = headers,
                                      .n_headers = 3,
                                      .body = trib_view_of(cases[i].body)};
        struct trib_http_response r = {0};
        trib_net_perform(net, &q, &r, 1);
        assert_int_equal(r.status, 200);
        char *line = trib_asprintf("%s /echo HTTP/1.1\r\n", cases[i].method),
             *length = trib_asprintf("\r\nContent-Length: %zu\r\n", strlen(cases[i].body));
        assert_memory_equal(r.body.p, line, strlen(line));
        assert_non_null(strstr(r.body.p, "\r\nX-Amz-Date: 20150830T123600Z\r\n"));
        assert_non_null(strstr(r.body.p, "\r\nX-Empty:\r\n"));
        assert_non_null(strstr(r.body.p, "\r\nAuthorization: AWS4 x=y, z\r\n"));
        assert_non_null(strstr(r.body.p, "\r\nUser-Agent: tributary/"));
        assert_null(strcasestr(r.body.p, "\r\nExpect:"));
        assert_null(strcasestr(r.body.p, "\r\nTransfer-Encoding:"));
        assert_null(strcasestr(r.body.p, "\r\nContent-Type:"));
        assert_int_equal(strcasestr(r.body.p, length) != NULL, cases[i].has_length);
        assert_string_equal(strstr(r.body.p, "\r\n\r\n") + 4, cases[i].body);
        free(line);
        free(length);
        trib_http_response_free(&r);
    }
    /* The URL goes out byte for byte. */
    struct trib_http_request q = {.method = "HEAD", .url = odd};
    struct trib_http_response r = {0};
    trib_net_perform(net, &q, &r, 1);
    assert_string_equal(trib_http_header_get(&r, "content-length"), "12345");
    want_body(&r, 200, "");
    const struct trib_http_header injected = {"X-A", "b\r\nX-C: d"};
    q = (struct trib_http_request){.method = "GET", .url = url, .headers = &injected, .n_headers = 1};
    trib_net_perform(net, &q, &r, 1);
    want_failure(&r, TRIB_E_USAGE, "a line break in the header X-A", false, false);
    free(url);
    free(odd);
}

static void test_broken(void **state)
{
    (void)state;
    static const struct {
        const char *path, *text;
    } cases[] = {
        {"/cut", "broke"}, {"/cut-chunk", "broke"}, {"/close", "broke"}, {"/reset", "broke"}, {"/garbage", "broke"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct trib_http_response r = get(cases[i].path);
        char *text = trib_asprintf("the connection to 127.0.0.1:%u %s", server.port, cases[i].text);
        want_failure(&r, TRIB_E_UNAVAILABLE, text, true, true);
        free(text);
    }
}

static void test_timeouts(void **state)
{
    (void)state;
    static const char *const paths[] = {"/silent", "/stall"};
    for (size_t i = 0; i < COUNT(paths); i++) {
        char *url = loop_url(&server, paths[i]);
        struct trib_http_request total = {.method = "GET", .url = url, .total_us = 50000};
        struct trib_http_request idle = {.method = "GET", .url = url, .idle_us = 1};
        struct trib_http_response r = {0};
        trib_net_perform(net, &total, &r, 1);
        assert_string_equal(r.err.service_code, "RequestTimeout");
        want_failure(&r, TRIB_E_UNAVAILABLE, "no answer from 127.0.0.1:", true, true);
        if (i == 1) { /* seconds long, as libcurl measures it */
            trib_net_perform(net, &idle, &r, 1);
            want_failure(&r, TRIB_E_UNAVAILABLE, "no answer from 127.0.0.1:", true, true);
        }
        free(url);
    }
}

static void one(const char *url, enum trib_code code, const char *text, bool retriable)
{
    struct trib_http_request q = {.method = "GET", .url = url, .connect_us = 2000000, .total_us = 5000000};
    struct trib_http_response r = {0};
    trib_net_perform(net, &q, &r, 1);
    want_failure(&r, code, text, retriable, false);
}

static void test_unreachable(void **state)
{
    (void)state;
    struct loop_server gone;
    loop_server_start(&gone);
    loop_server_stop(&gone);
    char *url = loop_url(&gone, "/secret-path?secret-query");
    one(url, TRIB_E_UNAVAILABLE, "cannot connect to 127.0.0.1:", true);
    free(url);
    one("http://no-such-host.invalid/x", TRIB_E_UNAVAILABLE, "no address for no-such-host.invalid (", true);
    one("http://user:pass@no-such-host.invalid/x", TRIB_E_UNAVAILABLE, "no address for no-such-host.invalid (", true);
    one("ftp://127.0.0.1/x", TRIB_E_CONFIG, "not a URL of http or https", false);
    one("http://", TRIB_E_CONFIG, "not a URL of http or https", false);
    one("file:///etc/passwd", TRIB_E_CONFIG, "not a URL of http or https", false);
    struct trib_http_request q = {.method = "GET", .url = "http://no-such-host.invalid/secret-path?q"};
    struct trib_http_response r = {0};
    trib_net_perform(net, &q, &r, 1);
    assert_null(strstr(r.err.msg, "secret-path"));
    trib_http_response_free(&r);
}

static void test_bodies(void **state)
{
    (void)state;
    struct trib_http_response r = get("/big/5000000");
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body.n, 5000000);
    trib_http_response_free(&r);
    char *url = loop_url(&server, "/big/1001");
    struct trib_http_request q = {.method = "GET", .url = url, .max_body_bytes = 1000};
    trib_net_perform(net, &q, &r, 1);
    want_failure(&r, TRIB_E_LIMIT, "longer than 1000 bytes", false, true);
    q.max_body_bytes = 1001;
    trib_net_perform(net, &q, &r, 1);
    assert_int_equal(r.body.n, 1001);
    trib_http_response_free(&r);
    free(url);
}

static void want_file(const char *path, int64_t size)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, size);
}

static void test_files(void **state)
{
    (void)state;
    struct trib_err err;
    struct trib_http_response r = {0};
    char *path = trib_asprintf("%s/body", dir), *missing = trib_asprintf("%s/no/such/folder", dir);
    char *big = loop_url(&server, "/big/3000000"), *none = loop_url(&server, "/created"),
         *bad = loop_url(&server, "/status/404"), *echo = loop_url(&server, "/echo"), *cut = loop_url(&server, "/cut");
    struct trib_http_request q = {.method = "GET", .url = big, .to_path = path};
    trib_net_perform(net, &q, &r, 1);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body_bytes, 3000000);
    assert_int_equal(r.body.n, 0);
    trib_http_response_free(&r);
    want_file(path, 3000000);
    q.url = none; /* nothing is a file too, in the place of the old one */
    trib_net_perform(net, &q, &r, 1);
    want_body(&r, 201, "");
    want_file(path, 0);
    q.url = bad; /* an error's body is none of the file's */
    trib_net_perform(net, &q, &r, 1);
    want_body(&r, 404, "why");
    want_file(path, 0);
    q.url = cut;
    trib_net_perform(net, &q, &r, 1);
    want_failure(&r, TRIB_E_UNAVAILABLE, "broke", true, true);
    q.url = big;
    q.to_path = missing;
    trib_net_perform(net, &q, &r, 1);
    want_failure(&r, TRIB_E_NOT_FOUND, missing, false, true);
    /* Sending a part of a file. */
    assert_int_equal(trib_fs_real.write(trib_fs_real.ctx, path, TRIB_VIEW_LIT("0123456789"), &err), 0);
    q = (struct trib_http_request){.method = "PUT", .url = echo, .body_path = path, .body_offset = 3, .body_bytes = 4};
    trib_net_perform(net, &q, &r, 1);
    assert_int_equal(r.status, 200);
    assert_string_equal(strstr(r.body.p, "\r\n\r\n") + 4, "3456");
    trib_http_response_free(&r);
    q.body_bytes = 8; /* shorter than promised */
    trib_net_perform(net, &q, &r, 1);
    want_failure(&r, TRIB_E_IO, path, false, true);
    q.body_path = missing;
    trib_net_perform(net, &q, &r, 1);
    want_failure(&r, TRIB_E_NOT_FOUND, missing, false, false);
    free(path), free(missing), free(big), free(none), free(bad), free(echo), free(cut);
}

static void test_connections(void **state)
{
    (void)state;
    struct trib_net *own = trib_net_curl_new(3), *before = net;
    net = own;
    unsigned first = atomic_load(&server.connections) + 1;
    char *number = trib_asprintf("%u", first), *next = trib_asprintf("%u", first + 1);
    for (int i = 0; i < 3; i++) { /* one connection, kept */
        struct trib_http_response r = get("/conn");
        want_body(&r, 200, number);
    }
    struct trib_http_response r = get("/last"); /* it is closed behind our back: a new one, without an error */
    want_body(&r, 200, number);
    r = get("/conn");
    want_body(&r, 200, next);
    /* 40 side by side over three connections; the failing ones fail alone. */
    enum { N = 40 };
    char *urls[N];
    struct trib_http_request q[N] = {0};
    struct trib_http_response rs[N] = {0};
    for (size_t i = 0; i < N; i++) {
        urls[i] = loop_url(&server, i % 10 == 9 ? "/reset" : i % 2 == 0 ? "/ok" : "/big/100000");
        q[i] = (struct trib_http_request){.method = "GET", .url = urls[i], .connect_us = 2000000};
    }
    trib_net_perform(net, q, rs, N);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(rs[i].status, i % 10 == 9 ? 0 : 200);
        if (i % 10 != 9) {
            assert_int_equal(rs[i].body.n, i % 2 == 0 ? 5 : 100000);
        }
        trib_http_response_free(&rs[i]);
        free(urls[i]);
    }
    assert_true(atomic_load(&server.connections) < first + 20); /* a reset kills those that libcurl tries it on */
    trib_net_perform(net, NULL, NULL, 0);
    net = before;
    trib_net_curl_free(own);
    free(number);
    free(next);
}

static void *hammer(void *ctx)
{
    size_t *good = ctx;
    for (int i = 0; i < 50; i++) {
        struct trib_http_response r = get("/ok");
        *good += r.status == 200 && r.body.n == 5;
        trib_http_response_free(&r);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t t[4];
    size_t good[4] = {0};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&t[i], NULL, hammer, &good[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        (void)pthread_join(t[i], NULL);
        assert_int_equal(good[i], 50);
    }
}

/* ---- TLS ---------------------------------------------------------------------------------------------------------- */

/* One TLS server by Python for a certificate that nobody knows; prints its port. */
static const char tls_server[] =
    "import socket,ssl,sys\n"
    "c=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain(sys.argv[1],sys.argv[2])\n"
    "s=socket.create_server(('127.0.0.1',0)); print(s.getsockname()[1],flush=True)\n"
    "while True:\n"
    "  k,_=s.accept()\n"
    "  try:\n"
    "    t=c.wrap_socket(k,server_side=True); t.recv(65536)\n"
    "    t.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\nConnection: close\\r\\n\\r\\ntls'); t.unwrap(); t.close()\n"
    "  except Exception: k.close()\n";

static void test_tls(void **state)
{
    (void)state;
    char *key = trib_asprintf("%s/key.pem", dir), *cert = trib_asprintf("%s/cert.pem", dir);
    char *make = trib_asprintf(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout %s -out %s "
        "-subj /CN=test -addext subjectAltName=IP:127.0.0.1 2>/dev/null",
        key, cert);
    assert_int_equal(system(make), 0);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    tls_pid = fork();
    if (tls_pid == 0) {
        (void)dup2(ends[1], 1);
        (void)close(ends[0]);
        (void)execlp("python3", "python3", "-c", tls_server, cert, key, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    FILE *out = fdopen(ends[0], "r");
    unsigned port = 0;
    assert_int_equal(fscanf(out, "%u", &port), 1);
    char *url = trib_asprintf("https://127.0.0.1:%u/x", port), *other = trib_asprintf("https://localhost:%u/x", port),
         *plain = trib_asprintf("https://127.0.0.1:%u/ok", server.port);
    one(url, TRIB_E_UNAVAILABLE, "TLS with 127.0.0.1:", false); /* nobody vouches for it */
    struct trib_http_request q = {.method = "GET", .url = url, .ca_bundle = cert};
    struct trib_http_response r = {0};
    trib_net_perform(net, &q, &r, 1);
    want_body(&r, 200, "tls");
    q.url = other; /* the right certificate, for another name */
    trib_net_perform(net, &q, &r, 1);
    want_failure(&r, TRIB_E_UNAVAILABLE, "AWS_CA_BUNDLE", false, false);
    q.ca_bundle = key; /* no certificate in it */
    q.url = url;
    trib_net_perform(net, &q, &r, 1);
    want_failure(&r, TRIB_E_UNAVAILABLE, "TLS with 127.0.0.1:", false, false);
    one(plain, TRIB_E_UNAVAILABLE, "TLS with 127.0.0.1:", true); /* no TLS there */
    (void)fclose(out);
    free(key), free(cert), free(make), free(url), free(other), free(plain);
}

/* ---- repeats ------------------------------------------------------------------------------------------------------ */

static void test_retry(void **state)
{
    (void)state;
    struct trib_seeded seeded;
    trib_seeded_init(&seeded, 1);
    struct trib_rng rng = trib_seeded_rng(&seeded);
    const struct trib_retry r = {5, 100000, 1000000};
    int64_t most[8] = {0};
    for (int i = 0; i < 2000; i++) {
        for (unsigned attempt = 1; attempt < 8; attempt++) {
            int64_t w = trib_retry_wait_us(&r, attempt, -1, &rng), ceiling = 100000LL << (attempt - 1);
            ceiling = ceiling < 1000000 ? ceiling : 1000000;
            assert_true(w >= 0 && w <= ceiling);
            most[attempt] = w > most[attempt] ? w : most[attempt];
        }
    }
    for (unsigned attempt = 1; attempt < 8; attempt++) { /* full jitter: up to the ceiling, and not above */
        int64_t ceiling = 100000LL << (attempt - 1);
        assert_true(most[attempt] > (ceiling < 1000000 ? ceiling : 1000000) * 9 / 10);
    }
    assert_int_equal(trib_retry_wait_us(&r, 1, 7000000, &rng), 7000000);
    assert_int_equal(trib_retry_wait_us(&(struct trib_retry){1, 0, 0}, 1, -1, &rng), 0);
    struct trib_retry_bucket b = {TRIB_RETRY_TOKENS};
    int taken = 0;
    while (trib_retry_take(&b, false)) {
        taken++;
    }
    assert_int_equal(taken, 100);
    for (int i = 0; i < 9; i++) {
        trib_retry_success(&b);
    }
    assert_false(trib_retry_take(&b, true));
    assert_true(trib_retry_take(&b, false));
    for (int i = 0; i < 1000; i++) {
        trib_retry_success(&b);
    }
    assert_true(b.tokens == TRIB_RETRY_TOKENS);
}

static void test_sleep(void **state)
{
    (void)state;
    int64_t before = trib_now_us(&trib_clock_real);
    net->sleep_us(net->ctx, 2000);
    assert_true(trib_now_us(&trib_clock_real) - before >= 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),  cmocka_unit_test(test_requests),    cmocka_unit_test(test_broken),
        cmocka_unit_test(test_timeouts), cmocka_unit_test(test_unreachable), cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_files),    cmocka_unit_test(test_connections), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_tls),      cmocka_unit_test(test_retry),       cmocka_unit_test(test_sleep),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
