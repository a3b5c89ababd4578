/* Signature Version 4, over OpenSSL's HMAC and SHA-256. Pure; any thread. Keys derived on the way are wiped. */
#include "aws/sign.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

enum { TEXT_MAX = 1 << 20, HASH = 32, CHUNK = 1 << 20 };
static const char ALGORITHM[] = "AWS4-HMAC-SHA256";

static void to_hex(const unsigned char *p, size_t n, char *to)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        to[2 * i] = digits[p[i] >> 4];
        to[2 * i + 1] = digits[p[i] & 15];
    }
    to[2 * n] = '\0';
}

void trib_sha256_hex(struct trib_view data, char to[65])
{
    unsigned char hash[HASH];
    unsigned int n = 0;
    (void)EVP_Digest(data.n == 0 ? "" : data.p, data.n, hash, &n, EVP_sha256(), NULL);
    to_hex(hash, HASH, to);
}

/* bytes -1: to the end. */
static int hash_file(const struct trib_fs *fs, const char *path, int64_t offset, int64_t bytes, EVP_MD_CTX *c,
                     struct trib_err *err)
{
    struct trib_buf piece;
    trib_buf_init(&piece, (size_t)CHUNK + 1);
    int rc = 0;
    int64_t left = bytes;
    for (int64_t at = offset; left != 0; at += (int64_t)piece.n) {
        trib_buf_clear(&piece);
        rc = fs->read(fs->ctx, path, at, left < 0 || left > CHUNK ? CHUNK : left, &piece, err);
        if (rc != 0 || piece.n == 0) {
            break;
        }
        (void)EVP_DigestUpdate(c, piece.p, piece.n);
        left -= left < 0 ? 0 : (int64_t)piece.n;
    }
    trib_buf_free(&piece);
    if (rc == 0 && left > 0) {
        rc = trib_err_set(err, TRIB_E_DATA, "%s is %lld bytes shorter than it was", path, (long long)left);
    }
    return rc;
}

static int hex_of_file(const struct trib_fs *fs, const char *path, int64_t offset, int64_t bytes, char to[65],
                       struct trib_err *err)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    (void)EVP_DigestInit_ex(c, EVP_sha256(), NULL);
    int rc = hash_file(fs, path, offset, bytes, c, err);
    unsigned char hash[HASH];
    unsigned int n = 0;
    (void)EVP_DigestFinal_ex(c, hash, &n);
    EVP_MD_CTX_free(c);
    if (rc == 0) {
        to_hex(hash, HASH, to);
    }
    return rc;
}

int trib_sha256_hex_part(const struct trib_fs *fs, const char *path, int64_t offset, int64_t bytes, char to[65],
                         struct trib_err *err)
{
    return hex_of_file(fs, path, offset, bytes, to, err);
}

int trib_sha256_hex_file(const struct trib_fs *fs, const char *path, char to[65], struct trib_err *err)
{
    return hex_of_file(fs, path, 0, -1, to, err);
}

void trib_uri_encode(struct trib_view text, bool keep_slash, struct trib_buf *to)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                     c == '.' || c == '_' || c == '~' || (keep_slash && c == '/');
        if (plain) {
            trib_buf_addc(to, (char)c);
        } else {
            trib_buf_addf(to, "%%%02X", c);
        }
    }
}

struct pair {
    char *name, *value;
};

static int by_name_value(const void *x, const void *y)
{
    const struct pair *a = x, *b = y;
    int d = strcmp(a->name, b->name);
    return d != 0 ? d : strcmp(a->value, b->value);
}

static char *encoded(const char *text)
{
    struct trib_buf b;
    trib_buf_init(&b, TEXT_MAX);
    trib_uri_encode(trib_view_of(text == NULL ? "" : text), false, &b);
    char *s = b.n == 0 ? trib_strdup("") : trib_buf_take(&b);
    trib_buf_free(&b);
    return s;
}

char *trib_canonical_query(const struct trib_http_header *query, size_t n)
{
    struct pair *p = trib_calloc(n + 1, sizeof *p);
    for (size_t i = 0; i < n; i++) {
        p[i] = (struct pair){encoded(query[i].name), encoded(query[i].value)};
    }
    qsort(p, n, sizeof *p, by_name_value);
    struct trib_buf b;
    trib_buf_init(&b, TEXT_MAX);
    for (size_t i = 0; i < n; i++) {
        trib_buf_addf(&b, "%s%s=%s", i == 0 ? "" : "&", p[i].name, p[i].value);
        free(p[i].name);
        free(p[i].value);
    }
    free(p);
    char *s = b.n == 0 ? trib_strdup("") : trib_buf_take(&b);
    trib_buf_free(&b);
    return s;
}

void trib_amz_date(int64_t us, char to[17])
{
    time_t s = (time_t)(us / 1000000);
    struct tm tm;
    (void)gmtime_r(&s, &tm);
    (void)strftime(to, 17, "%Y%m%dT%H%M%SZ", &tm);
}

struct header {
    char *name, *value; /* lower case; trimmed, spaces in a row are one */
    size_t place;
};

/* Those of one name stay in their order. */
static int by_name(const void *a, const void *b)
{
    const struct header *x = a, *y = b;
    int d = strcmp(x->name, y->name);
    return d != 0 ? d : (x->place > y->place) - (x->place < y->place);
}

static struct header header_of(const char *name, const char *value)
{
    struct header h = {trib_strdup(name), trib_malloc(strlen(value) + 1), 0};
    for (char *c = h.name; *c != '\0'; c++) {
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
    }
    char *to = h.value;
    for (const char *c = value; *c != '\0'; c++) {
        bool space = *c == ' ' || *c == '\t';
        if (!space) {
            *to++ = *c;
        } else if (to > h.value && to[-1] != ' ') {
            *to++ = ' ';
        }
    }
    while (to > h.value && to[-1] == ' ') {
        to--;
    }
    *to = '\0';
    return h;
}

/* "." and ".." and empty parts go, as RFC 3986 has it; a slash at the end stays. Not for S3. */
static void normalise(const char *path, struct trib_buf *to)
{
    size_t n = strlen(path);
    for (size_t at = 0; at < n;) {
        at += path[at] == '/';
        size_t len = strcspn(path + at, "/");
        if (len == 2 && memcmp(path + at, "..", 2) == 0) {
            while (to->n > 0 && to->p[--to->n] != '/') {
            }
        } else if (len > 0 && !(len == 1 && path[at] == '.')) {
            trib_buf_addc(to, '/');
            trib_buf_add(to, path + at, len);
        }
        at += len;
    }
    if (to->n == 0 || (n > 0 && path[n - 1] == '/')) {
        trib_buf_addc(to, '/');
    }
}

static void canonical_path(const struct trib_sign *s, struct trib_buf *to)
{
    if (s->s3) {
        trib_buf_adds(to, *s->path == '\0' ? "/" : s->path);
        return;
    }
    struct trib_buf plain;
    trib_buf_init(&plain, TEXT_MAX);
    normalise(s->path, &plain);
    trib_uri_encode(trib_buf_view(&plain), true, to);
    trib_buf_free(&plain);
}

/* The canonical request into *to, the list of signed headers into *names. */
static void canonical_request(const struct trib_sign *s, struct trib_buf *to, struct trib_buf *names)
{
    struct header *h = trib_calloc(s->n_headers + 1, sizeof *h);
    size_t n = s->n_headers + 1;
    for (size_t i = 0; i < s->n_headers; i++) {
        h[i] = header_of(s->headers[i].name, s->headers[i].value);
        h[i].place = i;
    }
    h[s->n_headers] = header_of("host", s->host);
    qsort(h, n, sizeof *h, by_name);
    trib_buf_addf(to, "%s\n", s->method);
    canonical_path(s, to);
    trib_buf_addf(to, "\n%s\n", s->query);
    for (size_t i = 0; i < n; i++) {
        bool more = i > 0 && strcmp(h[i - 1].name, h[i].name) == 0; /* of one name: joined in their order */
        if (more) {
            to->n--;
            trib_buf_addf(to, ",%s\n", h[i].value);
        } else {
            trib_buf_addf(to, "%s:%s\n", h[i].name, h[i].value);
            trib_buf_addf(names, "%s%s", names->n == 0 ? "" : ";", h[i].name);
        }
    }
    trib_buf_addf(to, "\n%s\n%s", names->p, s->body_sha256);
    for (size_t i = 0; i < n; i++) {
        free(h[i].name);
        free(h[i].value);
    }
    free(h);
}

static void hmac(const void *key, size_t key_n, struct trib_view text, unsigned char to[HASH])
{
    unsigned int n = HASH;
    (void)HMAC(EVP_sha256(), key, (int)key_n, (const unsigned char *)text.p, text.n, to, &n);
}

static void signature(const struct trib_sign *s, const struct trib_aws_credentials *c, const char *date,
                      struct trib_view text, char to[65])
{
    unsigned char key[HASH], next[HASH];
    char *first = trib_asprintf("AWS4%s", c->secret);
    hmac(first, strlen(first), (struct trib_view){date, 8}, key);
    explicit_bzero(first, strlen(first));
    free(first);
    const char *const parts[] = {s->region, s->service, "aws4_request"};
    for (size_t i = 0; i < 3; i++) {
        hmac(key, HASH, trib_view_of(parts[i]), next);
        memcpy(key, next, HASH);
    }
    hmac(key, HASH, text, next);
    to_hex(next, HASH, to);
    explicit_bzero(key, sizeof key);
    explicit_bzero(next, sizeof next);
}

char *trib_sign_v4(const struct trib_sign *s, const struct trib_aws_credentials *c, char **ret_canonical)
{
    struct trib_buf request, names, text;
    trib_buf_init(&request, TEXT_MAX);
    trib_buf_init(&names, TEXT_MAX);
    trib_buf_init(&text, TEXT_MAX);
    canonical_request(s, &request, &names);
    char date[17], hash[65], sig[65];
    trib_amz_date(s->now_us, date);
    trib_sha256_hex(trib_buf_view(&request), hash);
    trib_buf_addf(&text, "%s\n%s\n%.8s/%s/%s/aws4_request\n%s", ALGORITHM, date, date, s->region, s->service, hash);
    signature(s, c, date, trib_buf_view(&text), sig);
    char *value = trib_asprintf("%s Credential=%s/%.8s/%s/%s/aws4_request, SignedHeaders=%s, Signature=%s", ALGORITHM,
                                c->key_id, date, s->region, s->service, names.p, sig);
    if (ret_canonical != NULL) {
        *ret_canonical = trib_buf_take(&request);
    }
    trib_buf_free(&request);
    trib_buf_free(&names);
    trib_buf_free(&text);
    return value;
}
