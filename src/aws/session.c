/*
 * A session (aws.h): its settings, found once, and its credentials, kept and refreshed.
 *
 * Credentials are asked for by one thread at a time; while old ones are good, the others go on with them. Copies leave only
 * into mappings that no core dump holds. A crash leaves nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/mman.h>

#include "aws/chain.h"
#include "aws/own.h"

enum { REFRESH_US = 300000000, RETRY_US = 60000000, FETCHES = 3 };

/* ---- secrets ------------------------------------------------------------------------------------------------------ */

/* Stands before key_id in the mapping. */
struct secret_head {
    size_t bytes;
};

struct trib_aws_credentials trib_aws_credentials_make(const char *key_id, const char *secret, const char *token,
                                                      int64_t expires_us, const char *provider)
{
    token = token != NULL && *token == '\0' ? NULL : token;
    size_t k = strlen(key_id) + 1, s = strlen(secret) + 1, t = token == NULL ? 0 : strlen(token) + 1;
    size_t p = strlen(provider) + 1, bytes = sizeof(struct secret_head) + k + s + t + p;
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) {
        (void)trib_malloc(SIZE_MAX / 2); /* ends the process, as any allocation that fails */
        abort();
    }
    (void)madvise(map, bytes, MADV_DONTDUMP);
    *(struct secret_head *)map = (struct secret_head){bytes};
    struct trib_aws_credentials c = {.expires_us = expires_us};
    c.key_id = memcpy((char *)map + sizeof(struct secret_head), key_id, k);
    c.secret = memcpy(c.key_id + k, secret, s);
    c.token = t == 0 ? NULL : memcpy(c.secret + s, token, t);
    c.provider = memcpy(c.secret + s + t, provider, p);
    return c;
}

void trib_aws_credentials_free(struct trib_aws_credentials *c)
{
    if (c->key_id != NULL) {
        char *map = c->key_id - sizeof(struct secret_head);
        size_t bytes = ((struct secret_head *)(void *)map)->bytes;
        explicit_bzero(map, bytes);
        (void)munmap(map, bytes);
    }
    *c = (struct trib_aws_credentials){0};
}

void trib_aws_wipe(char *secret)
{
    if (secret != NULL) {
        explicit_bzero(secret, strlen(secret));
        free(secret);
    }
}

void trib_aws_wipe_buf(struct trib_buf *b)
{
    if (b->p != NULL) {
        explicit_bzero(b->p, b->cap);
    }
    trib_buf_free(b);
}

void trib_aws_wipe_response(struct trib_http_response *r)
{
    if (r->body.p != NULL) {
        explicit_bzero(r->body.p, r->body.cap);
    }
    trib_http_response_free(r);
}

/* ---- settings ----------------------------------------------------------------------------------------------------- */

/* The variable, else the profile's key. */
static const char *setting(const struct trib_aws *a, const char *variable, const char *key)
{
    const char *v = trib_aws_env(a, variable);
    return v != NULL ? v : trib_profiles_get(a->profiles, a->profile, key);
}

static bool is_true(const char *v) { return v != NULL && strcasecmp(v, "true") == 0; }

static char *dup_or_null(const char *s) { return s == NULL || *s == '\0' ? NULL : trib_strdup(s); }

/* It becomes part of host names. */
static bool is_region(const char *s)
{
    size_t n = strlen(s);
    return n > 0 && n <= 40 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n && *s != '-' && s[n - 1] != '-';
}

static int find_profile(struct trib_aws *a, const struct trib_aws_opts *o, struct trib_err *err)
{
    const char *named = o->profile != NULL && *o->profile != '\0' ? o->profile : NULL;
    const char *from_env = trib_aws_env(a, "AWS_PROFILE");
    from_env = from_env != NULL ? from_env : trib_aws_env(a, "AWS_DEFAULT_PROFILE");
    a->profile_asked = named != NULL;
    a->profile = trib_strdup(named != NULL ? named : from_env != NULL ? from_env : "default");
    if (strcmp(a->profile, "default") == 0 || trib_profiles_has(a->profiles, a->profile)) {
        return 0;
    }
    const char *near = trib_profiles_near(a->profiles, a->profile);
    return trib_err_set(err, TRIB_E_CONFIG, "no AWS profile %s in %s or %s%s%s%s: %s names it", a->profile,
                        trib_profiles_config_path(a->profiles), trib_profiles_credentials_path(a->profiles),
                        near == NULL ? "" : ", did you mean ", near == NULL ? "" : near, near == NULL ? "" : "?",
                        named != NULL ? "aws.profile" : "AWS_PROFILE");
}

static int find_region(struct trib_aws *a, const struct trib_aws_opts *o, struct trib_err *err)
{
    const char *r = o->region != NULL && *o->region != '\0' ? o->region : NULL;
    r = r != NULL ? r : trib_aws_env(a, "AWS_REGION");
    r = r != NULL ? r : trib_aws_env(a, "AWS_DEFAULT_REGION");
    r = r != NULL ? r : trib_profiles_get(a->profiles, a->profile, "region");
    a->region = r != NULL ? trib_strdup(r) : trib_aws_imds_region(a);
    if (a->region == NULL) {
        return trib_err_set(err, TRIB_E_CONFIG,
                            "no AWS region: set aws.region in the configuration, AWS_REGION, or region in profile %s",
                            a->profile);
    }
    if (!is_region(a->region)) {
        return trib_err_set(err, TRIB_E_CONFIG, "not an AWS region: '%.60s'; one looks like eu-west-1", a->region);
    }
    return 0;
}

static int settle(struct trib_aws *a, const struct trib_aws_opts *o, struct trib_err *err)
{
    TRIB_TRY(trib_profiles_load(&a->host, &a->profiles, err));
    TRIB_TRY(find_profile(a, o, err));
    TRIB_TRY(trib_aws_check_url(o->endpoint_url, "aws.endpoint_url", err));
    a->endpoint_url = dup_or_null(o->endpoint_url);
    a->role_arn = dup_or_null(o->role_arn);
    a->external_id = dup_or_null(o->external_id);
    a->session_name = trib_strdup(o->session_name == NULL ? "tributary" : o->session_name);
    a->ca_bundle = dup_or_null(setting(a, "AWS_CA_BUNDLE", "ca_bundle"));
    a->dual_stack = is_true(setting(a, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint"));
    a->fips = is_true(setting(a, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint"));
    const char *attempts = setting(a, "AWS_MAX_ATTEMPTS", "max_attempts");
    long n = attempts == NULL ? 0 : strtol(attempts, NULL, 10);
    a->attempts = n < 0 || n > 100 ? 0 : (unsigned)n;
    return find_region(a, o, err);
}

int trib_aws_new(const struct trib_aws_host *host, const struct trib_aws_opts *opts, struct trib_aws **ret,
                 struct trib_err *err)
{
    struct trib_aws *a = trib_calloc(1, sizeof *a);
    a->host = *host;
    a->bucket.tokens = TRIB_RETRY_TOKENS;
    (void)pthread_mutex_init(&a->fetching, NULL);
    (void)pthread_mutex_init(&a->lock, NULL);
    int rc = settle(a, opts, err);
    if (rc != 0) {
        trib_aws_free(a);
        return rc;
    }
    *ret = a;
    return 0;
}

void trib_aws_free(struct trib_aws *a)
{
    if (a == NULL) {
        return;
    }
    trib_aws_credentials_free(&a->have);
    trib_profiles_free(a->profiles);
    free(a->region);
    free(a->profile);
    free(a->endpoint_url);
    free(a->role_arn);
    free(a->external_id);
    free(a->session_name);
    free(a->ca_bundle);
    (void)pthread_mutex_destroy(&a->fetching);
    (void)pthread_mutex_destroy(&a->lock);
    free(a);
}

const char *trib_aws_region(const struct trib_aws *a) { return a->region; }

/* ---- time --------------------------------------------------------------------------------------------------------- */

int64_t trib_aws_skew_us(const struct trib_aws *a)
{
    struct trib_aws *m = (struct trib_aws *)(uintptr_t)a; /* the lock only */
    (void)pthread_mutex_lock(&m->lock);
    int64_t skew = a->skew_us;
    (void)pthread_mutex_unlock(&m->lock);
    return skew;
}

int64_t trib_aws_now_us(const struct trib_aws *a) { return trib_now_us(a->host.clock) + trib_aws_skew_us(a); }

/* ---- credentials -------------------------------------------------------------------------------------------------- */

static struct trib_aws_credentials copy_of(const struct trib_aws_credentials *c)
{
    return trib_aws_credentials_make(c->key_id, c->secret, c->token, c->expires_us, c->provider);
}

/* Under the lock. good: can be sent now; fresh: need not be renewed yet. */
static void look(const struct trib_aws *a, int64_t now_us, bool *good, bool *fresh)
{
    *good = a->generation > 0 && !a->stale && a->have.expires_us > now_us;
    *fresh = *good && now_us < a->refresh_us;
}

static bool is_stale(struct trib_aws *a)
{
    (void)pthread_mutex_lock(&a->lock);
    bool stale = a->stale;
    (void)pthread_mutex_unlock(&a->lock);
    return stale;
}

static bool take(struct trib_aws *a, bool only_fresh, struct trib_aws_credentials *ret, unsigned *ret_generation)
{
    int64_t now = trib_aws_now_us(a);
    bool good, fresh;
    (void)pthread_mutex_lock(&a->lock);
    look(a, now, &good, &fresh);
    bool ok = only_fresh ? fresh : good;
    if (ok) {
        *ret = copy_of(&a->have);
        *ret_generation = a->generation;
    }
    (void)pthread_mutex_unlock(&a->lock);
    return ok;
}

/* Five minutes before the end; half of what is left where that is over already. */
static int64_t refresh_at(int64_t expires_us, int64_t now_us)
{
    if (expires_us == INT64_MAX) {
        return INT64_MAX;
    }
    int64_t left = expires_us - now_us;
    return left > 2 * (int64_t)REFRESH_US ? expires_us - REFRESH_US : now_us + left / 2;
}

/* Holding `fetching`. A failure while the old ones are still good is put off for a minute. */
static int fetch(struct trib_aws *a, struct trib_err *err)
{
    struct trib_aws_credentials c = {0};
    struct trib_err why;
    int rc = trib_aws_chain(a, &c, &why);
    int64_t now = trib_aws_now_us(a);
    (void)pthread_mutex_lock(&a->lock);
    bool good, fresh;
    look(a, now, &good, &fresh);
    if (rc == 0) {
        trib_aws_credentials_free(&a->have);
        a->have = c;
        a->generation++;
        a->stale = false;
        a->refresh_us = refresh_at(c.expires_us, now);
    } else if (good) {
        a->refresh_us = now + RETRY_US;
    }
    (void)pthread_mutex_unlock(&a->lock);
    if (rc == 0 || good) {
        trib_logkv(a->host.log, rc == 0 ? TRIB_LOG_DEBUG : TRIB_LOG_WARN,
                   rc == 0 ? "AWS credentials" : "AWS credentials could not be renewed yet", "from",
                   rc == 0 ? c.provider : "", "error", rc == 0 ? "" : why.msg, NULL);
        return 0;
    }
    if (err != NULL) {
        *err = why;
    }
    return rc;
}

int trib_aws_credentials_get(struct trib_aws *a, struct trib_aws_credentials *ret, unsigned *ret_generation,
                             struct trib_err *err)
{
    if (take(a, true, ret, ret_generation)) {
        return 0;
    }
    if (pthread_mutex_trylock(&a->fetching) != 0) {
        if (take(a, false, ret, ret_generation)) {
            return 0; /* somebody renews them */
        }
        (void)pthread_mutex_lock(&a->fetching);
    }
    int rc = 0;
    if (!take(a, true, ret, ret_generation)) { /* nobody did in the meantime */
        bool taken = false, again = true;
        /* Another thread may call them expired, of those before, between the two lines: then they are asked for again. */
        for (int i = 0; rc == 0 && !taken && again && i < FETCHES; i++) {
            rc = fetch(a, err);
            taken = rc == 0 && take(a, false, ret, ret_generation);
            again = is_stale(a);
        }
        if (rc == 0 && !taken) {
            rc = trib_err_set(err, TRIB_E_UNAVAILABLE,
                              "the AWS credentials from %s have expired already: renew them there", a->have.provider);
        }
    }
    (void)pthread_mutex_unlock(&a->fetching);
    return rc;
}

int trib_aws_credentials(struct trib_aws *a, struct trib_aws_credentials *ret, struct trib_err *err)
{
    unsigned generation;
    return trib_aws_credentials_get(a, ret, &generation, err);
}

void trib_aws_credentials_expire(struct trib_aws *a, unsigned generation)
{
    (void)pthread_mutex_lock(&a->lock);
    if (generation == a->generation) {
        a->stale = true;
    }
    (void)pthread_mutex_unlock(&a->lock);
}

void trib_aws_credentials_expired(struct trib_aws *a)
{
    (void)pthread_mutex_lock(&a->lock);
    a->stale = true;
    (void)pthread_mutex_unlock(&a->lock);
}
