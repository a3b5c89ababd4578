/*
 * The transport over libcurl's multi interface (http.h).
 *
 * Owns a pool of multi handles, each with its cache of connections; a batch borrows one for as long as it runs, so several
 * threads never share one. Never retries, follows no redirect, keeps no cookies, verifies TLS always.
 * A crash leaves half a download in a file of the caller's.
 */
#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "net/http.h"
#include "os/os.h"

enum { DEFAULT_CONNECTIONS = 32, HEADERS_MAX = 256, HEADER_BYTES_MAX = 16384 };

/* ---- the library -------------------------------------------------------------------------------------------------- */

/* libcurl is opened when the first connection is wanted: what works on files only needs neither it nor the dozens of
 * libraries behind it, and none of their symbols meets those that are linked in here. The names are fixed since 7.66. */
#define CURL_FUNCTIONS(X)  \
    X(easy_init)           \
    X(easy_cleanup)        \
    X(easy_getinfo)        \
    X(easy_setopt)         \
    X(easy_strerror)       \
    X(slist_append)        \
    X(slist_free_all)      \
    X(multi_init)          \
    X(multi_cleanup)       \
    X(multi_setopt)        \
    X(multi_add_handle)    \
    X(multi_remove_handle) \
    X(multi_perform)       \
    X(multi_poll)          \
    X(multi_info_read)     \
    X(global_init)

static struct {
#define X(name) __typeof__(&curl_##name) name;
    CURL_FUNCTIONS(X)
#undef X
    const char *missing; /* why there is none, or NULL */
} api;

static void open_library(void)
{
    void *lib = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (lib == NULL) {
        api.missing = "libcurl.so.4 cannot be opened";
        return;
    }
#define X(name)                                              \
    *(void **)(void *)&api.name = dlsym(lib, "curl_" #name); \
    api.missing = api.name == NULL ? "libcurl.so.4 has no curl_" #name : api.missing;
    CURL_FUNCTIONS(X)
#undef X
    if (api.missing == NULL && api.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        api.missing = "libcurl cannot be initialised";
    }
}
static pthread_once_t once = PTHREAD_ONCE_INIT;

struct net_curl {
    struct trib_net net;
    unsigned max_connections;
    pthread_mutex_t lock;
    CURLM **idle; /* multi handles that no batch uses */
    size_t n_idle, cap_idle;
};

struct transfer {
    const struct trib_http_request *request;
    struct trib_http_response *response;
    CURL *easy;
    struct curl_slist *headers;
    char text[CURL_ERROR_SIZE];
    FILE *upload, *download;
    int64_t upload_left;
    size_t sent;       /* of body */
    bool too_long;     /* the body passed max_body_bytes */
    bool local_failed; /* a local file could not be read or written */
    int local_errno;
};

/* ---- callbacks ---------------------------------------------------------------------------------------------------- */

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    size_t bytes = size * n;
    long status = 0;
    (void)api.easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    t->response->body_bytes += (int64_t)bytes;
    if (t->request->to_path != NULL && status >= 200 && status < 300) {
        if (t->download == NULL) {
            t->download = fopen(t->request->to_path, "we");
        }
        if (t->download == NULL || fwrite(p, 1, bytes, t->download) != bytes) {
            t->local_failed = true;
            t->local_errno = errno;
            return 0;
        }
        return bytes;
    }
    trib_buf_add(&t->response->body, p, bytes);
    t->too_long = t->response->body.overflow != 0;
    return t->too_long ? 0 : bytes;
}

/* One line of the head; a status line begins a new head (100 Continue before the real one). */
static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    struct trib_http_response *r = t->response;
    size_t bytes = size * n;
    if (bytes > 5 && memcmp(p, "HTTP/", 5) == 0) {
        for (size_t i = 0; i < r->n_headers; i++) {
            free((void *)(uintptr_t)r->headers[i].name);
            free((void *)(uintptr_t)r->headers[i].value);
        }
        r->n_headers = 0;
        return bytes;
    }
    const char *colon = memchr(p, ':', bytes);
    if (colon == NULL || bytes > HEADER_BYTES_MAX || r->n_headers == HEADERS_MAX) {
        return bytes;
    }
    const char *value = colon + 1, *end = p + bytes;
    while (value < end && (*value == ' ' || *value == '\t')) {
        value++;
    }
    while (end > value && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' ')) {
        end--;
    }
    char *name = trib_strndup(p, (size_t)(colon - p));
    for (char *c = name; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z') {
            *c = (char)(*c - 'A' + 'a');
        }
    }
    if (r->headers == NULL) {
        r->headers = trib_calloc(HEADERS_MAX, sizeof *r->headers);
    }
    r->headers[r->n_headers++] = (struct trib_http_header){name, trib_strndup(value, (size_t)(end - value))};
    return bytes;
}

static size_t on_upload(char *to, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    size_t room = size * n;
    if (t->upload != NULL) {
        size_t want = t->upload_left < (int64_t)room ? (size_t)t->upload_left : room;
        size_t got = fread(to, 1, want, t->upload);
        if (got < want) {
            t->local_failed = true;
            t->local_errno = ferror(t->upload) ? errno : EIO;
            return CURL_READFUNC_ABORT;
        }
        t->upload_left -= (int64_t)got;
        return got;
    }
    size_t left = t->request->body.n - t->sent, bytes = left < room ? left : room;
    memcpy(to, t->request->body.p + t->sent, bytes);
    t->sent += bytes;
    return bytes;
}

/* libcurl sends the body again when a kept connection turned out to be dead. */
static int on_seek(void *ctx, curl_off_t offset, int origin)
{
    struct transfer *t = ctx;
    if (origin != SEEK_SET) {
        return CURL_SEEKFUNC_CANTSEEK;
    }
    if (t->upload != NULL) {
        t->upload_left = t->request->body_bytes - (int64_t)offset;
        return fseeko(t->upload, (off_t)(t->request->body_offset + offset), SEEK_SET) == 0 ? CURL_SEEKFUNC_OK
                                                                                           : CURL_SEEKFUNC_FAIL;
    }
    t->sent = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* ---- one transfer ------------------------------------------------------------------------------------------------- */

static long ms_or(int64_t us, long otherwise_ms) { return us > 0 ? (long)(us / 1000) + 1 : otherwise_ms; }

static void set_body(struct transfer *t)
{
    const struct trib_http_request *q = t->request;
    bool has = q->body.n > 0 || q->body_path != NULL;
    if (strcmp(q->method, "HEAD") == 0) {
        (void)api.easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
    } else if (strcmp(q->method, "GET") == 0 && !has) {
        (void)api.easy_setopt(t->easy, CURLOPT_HTTPGET, 1L);
    } else {
        curl_off_t bytes = q->body_path != NULL ? q->body_bytes : (curl_off_t)q->body.n;
        (void)api.easy_setopt(t->easy, CURLOPT_UPLOAD, 1L);
        (void)api.easy_setopt(t->easy, CURLOPT_INFILESIZE_LARGE, bytes);
        (void)api.easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, q->method);
    }
}

/* "host:port" of a URL, for messages: no path, no query, no credentials. */
static struct trib_view url_host(const char *url)
{
    const char *p = strstr(url, "://");
    p = p == NULL ? url : p + 3;
    size_t n = strcspn(p, "/?#");
    for (size_t i = n; i > 0; i--) {
        if (p[i - 1] == '@') {
            return (struct trib_view){p + i, n - i};
        }
    }
    return (struct trib_view){p, n};
}

/* false: a local file could not be opened, or a header is not one (err is set). */
static bool transfer_begin(struct transfer *t)
{
    const struct trib_http_request *q = t->request;
    if (strncasecmp(q->url, "http://", 7) != 0 && strncasecmp(q->url, "https://", 8) != 0) {
        struct trib_view host = url_host(q->url);
        return trib_err_set(&t->response->err, TRIB_E_CONFIG, "not a URL of http or https: %.*s",
                            (int)(host.n < 200 ? host.n : 200), host.p) == 0;
    }
    t->easy = api.easy_init();
    if (t->easy == NULL) {
        (void)trib_err_set(&t->response->err, TRIB_E_INTERNAL, "libcurl gave no handle");
        return false;
    }
    if (q->body_path != NULL) {
        t->upload = fopen(q->body_path, "re");
        t->upload_left = q->body_bytes;
        if (t->upload == NULL || fseeko(t->upload, (off_t)q->body_offset, SEEK_SET) != 0) {
            (void)trib_err_errno(&t->response->err, errno, "reading %s to send it", q->body_path);
            return false;
        }
    }
    for (size_t i = 0; i < q->n_headers; i++) {
        TRIB_CLEANUP(trib_cleanup_free)
        char *line =
            trib_asprintf(*q->headers[i].value == '\0' ? "%s;" : "%s: %s", q->headers[i].name, q->headers[i].value);
        if (strpbrk(line, "\r\n") != NULL) {
            (void)trib_err_set(&t->response->err, TRIB_E_USAGE, "a line break in the header %s", q->headers[i].name);
            return false;
        }
        t->headers = api.slist_append(t->headers, line);
    }
    t->headers = api.slist_append(t->headers, "Expect:");
    t->headers = api.slist_append(t->headers, "Transfer-Encoding:");
    trib_buf_init(&t->response->body, q->max_body_bytes == 0 ? (size_t)16 << 20 : q->max_body_bytes);
    CURL *e = t->easy;
    (void)api.easy_setopt(e, CURLOPT_URL, q->url);
    (void)api.easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)api.easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    (void)api.easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    (void)api.easy_setopt(e, CURLOPT_HTTPHEADER, t->headers);
    (void)api.easy_setopt(e, CURLOPT_USERAGENT, "tributary/" TRIB_VERSION);
    (void)api.easy_setopt(e, CURLOPT_ERRORBUFFER, t->text);
    (void)api.easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    (void)api.easy_setopt(e, CURLOPT_WRITEDATA, t);
    (void)api.easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    (void)api.easy_setopt(e, CURLOPT_HEADERDATA, t);
    (void)api.easy_setopt(e, CURLOPT_READFUNCTION, on_upload);
    (void)api.easy_setopt(e, CURLOPT_READDATA, t);
    (void)api.easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
    (void)api.easy_setopt(e, CURLOPT_SEEKDATA, t);
    (void)api.easy_setopt(e, CURLOPT_PRIVATE, t);
    (void)api.easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)api.easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, ms_or(q->connect_us, 5000));
    (void)api.easy_setopt(e, CURLOPT_TIMEOUT_MS, ms_or(q->total_us, 300000));
    (void)api.easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)api.easy_setopt(e, CURLOPT_LOW_SPEED_TIME, ms_or(q->idle_us, 30000) / 1000 + 1);
    (void)api.easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (q->ca_bundle != NULL) {
        (void)api.easy_setopt(e, CURLOPT_CAINFO, q->ca_bundle);
    }
    if (q->direct) {
        (void)api.easy_setopt(e, CURLOPT_NOPROXY, "*");
    }
    set_body(t);
    return true;
}

/* A failed handshake (CURLE_SSL_CONNECT_ERROR) may be a reset, so it is worth another try; a certificate is not. */
static bool is_certificate(CURLcode c)
{
    return c == CURLE_PEER_FAILED_VERIFICATION || c == CURLE_SSL_CACERT_BADFILE || c == CURLE_SSL_CERTPROBLEM ||
           c == CURLE_SSL_CIPHER || c == CURLE_SSL_ISSUER_ERROR || c == CURLE_SSL_INVALIDCERTSTATUS ||
           c == CURLE_SSL_PINNEDPUBKEYNOTMATCH;
}

static void set_failure(struct transfer *t, CURLcode code)
{
    struct trib_err *err = &t->response->err;
    struct trib_view host = url_host(t->request->url);
    const char *why = *t->text != '\0' ? t->text : api.easy_strerror(code);
    int n = (int)(host.n < 200 ? host.n : 200);
    long sent = 0; /* bytes of the head: the server may have seen the request */
    (void)api.easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &sent);
    if (t->too_long) {
        (void)trib_err_set(err, TRIB_E_LIMIT, "%.*s: the answer is longer than %zu bytes", n, host.p,
                           t->response->body.max);
    } else if (t->local_failed) {
        (void)trib_err_errno(err, t->local_errno, "%s",
                             t->request->to_path != NULL ? t->request->to_path : t->request->body_path);
    } else if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY) {
        (void)trib_err_set(err, TRIB_E_UNAVAILABLE,
                           "no address for %.*s (%s): check the region, endpoint_url and this machine's DNS", n, host.p,
                           why);
    } else if (code == CURLE_COULDNT_CONNECT) {
        (void)trib_err_set(err, TRIB_E_UNAVAILABLE,
                           "cannot connect to %.*s (%s): check endpoint_url, the network and its firewall", n, host.p,
                           why);
    } else if (is_certificate(code) || code == CURLE_SSL_CONNECT_ERROR) {
        (void)trib_err_set(
            err, TRIB_E_UNAVAILABLE,
            "TLS with %.*s failed (%s): check the endpoint's name, this machine's clock and its CA certificates "
            "(AWS_CA_BUNDLE names others)",
            n, host.p, why);
        err->retriable = !is_certificate(code);
    } else if (code == CURLE_OPERATION_TIMEDOUT) {
        (void)trib_err_set(err, TRIB_E_UNAVAILABLE, "no answer from %.*s in time (%s)", n, host.p, why);
        (void)snprintf(err->service_code, sizeof err->service_code, "RequestTimeout");
    } else if (code == CURLE_URL_MALFORMAT || (code == CURLE_UNSUPPORTED_PROTOCOL && sent == 0)) {
        (void)trib_err_set(err, TRIB_E_CONFIG, "not a URL of http or https: %.*s (%s)", n, host.p, why);
    } else {
        (void)trib_err_set(err, TRIB_E_UNAVAILABLE, "the connection to %.*s broke (%s)", n, host.p, why);
    }
    err->ambiguous = sent > 0;
}

static void transfer_end(struct transfer *t, CURLcode code)
{
    long status = 0;
    (void)api.easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    if (t->download != NULL && fclose(t->download) != 0 && code == CURLE_OK) {
        t->local_failed = true;
        t->local_errno = errno;
        code = CURLE_WRITE_ERROR;
    } else if (t->download == NULL && code == CURLE_OK && t->request->to_path != NULL && status >= 200 &&
               status < 300) {
        FILE *empty = fopen(t->request->to_path, "we"); /* a body of no bytes is a file too */
        if (empty == NULL || fclose(empty) != 0) {
            t->local_failed = true;
            t->local_errno = errno;
            code = CURLE_WRITE_ERROR;
        }
    }
    t->download = NULL;
    if (code == CURLE_OK && status > 0) {
        t->response->status = (int)status;
    } else {
        set_failure(t, code);
    }
}

static void transfer_free(struct transfer *t)
{
    if (t->upload != NULL) {
        (void)fclose(t->upload);
    }
    if (t->download != NULL) {
        (void)fclose(t->download);
    }
    api.slist_free_all(t->headers);
    api.easy_cleanup(t->easy);
    t->upload = t->download = NULL;
    t->headers = NULL;
    t->easy = NULL;
}

/* ---- a batch ------------------------------------------------------------------------------------------------------ */

static CURLM *borrow_multi(struct net_curl *nc)
{
    CURLM *m = NULL;
    (void)pthread_mutex_lock(&nc->lock);
    if (nc->n_idle > 0) {
        m = nc->idle[--nc->n_idle];
    }
    (void)pthread_mutex_unlock(&nc->lock);
    if (m == NULL) {
        m = api.multi_init();
        (void)api.multi_setopt(m, CURLMOPT_MAXCONNECTS, (long)nc->max_connections);
        (void)api.multi_setopt(m, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    }
    return m;
}

static void return_multi(struct net_curl *nc, CURLM *m)
{
    (void)pthread_mutex_lock(&nc->lock);
    TRIB_GROW(nc->idle, nc->cap_idle, nc->n_idle + 1);
    nc->idle[nc->n_idle++] = m;
    (void)pthread_mutex_unlock(&nc->lock);
}

struct batch {
    CURLM *m;
    struct transfer *transfers;
    size_t n, next, running;
};

/* No more at once than there may be connections: a transfer that waits for one would use up its time to connect. */
static void start_some(struct batch *b, size_t max)
{
    for (; b->next < b->n && b->running < max; b->next++) {
        struct transfer *t = &b->transfers[b->next];
        if (!transfer_begin(t)) {
            transfer_free(t);
        } else if (api.multi_add_handle(b->m, t->easy) != CURLM_OK) {
            set_failure(t, CURLE_FAILED_INIT);
            transfer_free(t);
        } else {
            b->running++;
        }
    }
}

static void collect(struct batch *b)
{
    int left;
    const CURLMsg *msg;
    while ((msg = api.multi_info_read(b->m, &left)) != NULL) {
        if (msg->msg == CURLMSG_DONE) {
            CURL *easy = msg->easy_handle;
            CURLcode code = msg->data.result;
            struct transfer *t = NULL;
            (void)api.easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
            transfer_end(t, code);
            (void)api.multi_remove_handle(b->m, easy);
            transfer_free(t);
            b->running--;
        }
    }
}

/* Out of memory, or a bug: what is not done fails, and the multi handle is not used again. */
static void give_up(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        struct transfer *t = &b->transfers[i];
        if (t->response->status == 0 && t->response->err.code == TRIB_OK) {
            (void)trib_err_set(&t->response->err, TRIB_E_INTERNAL, "libcurl failed");
            t->response->err.ambiguous = true;
        }
        if (t->easy != NULL) {
            (void)api.multi_remove_handle(b->m, t->easy);
            transfer_free(t);
        }
    }
    (void)api.multi_cleanup(b->m);
}

static void curl_perform(void *ctx, const struct trib_http_request *requests, struct trib_http_response *responses,
                         size_t n)
{
    struct net_curl *nc = ctx;
    (void)pthread_once(&once, open_library);
    for (size_t i = 0; i < n && api.missing != NULL; i++) {
        (void)trib_err_set(&responses[i].err, TRIB_E_UNSUPPORTED,
                           "%s: install libcurl 7.66 or newer (Debian: libcurl4)", api.missing);
    }
    if (api.missing != NULL || n == 0) {
        return;
    }
    struct batch b = {borrow_multi(nc), trib_calloc(n + 1, sizeof *b.transfers), n, 0, 0};
    for (size_t i = 0; i < n; i++) {
        b.transfers[i].request = &requests[i];
        b.transfers[i].response = &responses[i];
    }
    CURLMcode rc = CURLM_OK;
    for (;;) {
        start_some(&b, nc->max_connections);
        if (b.running == 0) {
            break;
        }
        int running;
        rc = api.multi_perform(b.m, &running);
        size_t before = b.running;
        collect(&b);
        if (rc == CURLM_OK && b.running == before) {
            rc = api.multi_poll(b.m, NULL, 0, 1000, NULL);
        }
        if (rc != CURLM_OK) {
            break;
        }
    }
    if (rc == CURLM_OK) {
        return_multi(nc, b.m);
    } else {
        give_up(&b);
    }
    free(b.transfers);
}

static void curl_sleep(void *ctx, int64_t us)
{
    (void)ctx;
    trib_os_sleep_until(trib_now_us(&trib_clock_real) + us);
}

struct trib_net *trib_net_curl_new(unsigned max_connections)
{
    struct net_curl *nc = trib_calloc(1, sizeof *nc);
    nc->max_connections = max_connections == 0 ? DEFAULT_CONNECTIONS : max_connections;
    (void)pthread_mutex_init(&nc->lock, NULL);
    nc->net = (struct trib_net){nc, curl_perform, curl_sleep};
    return &nc->net;
}

void trib_net_curl_free(struct trib_net *net)
{
    if (net == NULL) {
        return;
    }
    struct net_curl *nc = net->ctx;
    for (size_t i = 0; i < nc->n_idle; i++) {
        (void)api.multi_cleanup(nc->idle[i]);
    }
    free(nc->idle);
    (void)pthread_mutex_destroy(&nc->lock);
    free(nc);
}
