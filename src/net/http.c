/* What does not depend on the transport: headers of responses, the arithmetic of retries. Pure. */
#include "net/http.h"

#include <stdlib.h>

void trib_http_response_free(struct trib_http_response *r)
{
    for (size_t i = 0; i < r->n_headers; i++) {
        free((void *)(uintptr_t)r->headers[i].name);
        free((void *)(uintptr_t)r->headers[i].value);
    }
    free(r->headers);
    trib_buf_free(&r->body);
    *r = (struct trib_http_response){0};
}

const char *trib_http_header_get(const struct trib_http_response *r, const char *lower_name)
{
    for (size_t i = 0; i < r->n_headers; i++) {
        if (strcmp(r->headers[i].name, lower_name) == 0) {
            return r->headers[i].value;
        }
    }
    return NULL;
}

int64_t trib_retry_wait_us(const struct trib_retry *r, unsigned attempt, int64_t retry_after_us,
                           const struct trib_rng *rng)
{
    int64_t ceiling = r->base_us;
    for (unsigned i = 1; i < attempt && ceiling < r->cap_us; i++) {
        ceiling *= 2;
    }
    ceiling = ceiling < r->cap_us ? ceiling : r->cap_us;
    int64_t wait = ceiling <= 0 ? 0 : (int64_t)(trib_rng_u64(rng) % (uint64_t)(ceiling + 1));
    return wait > retry_after_us ? wait : retry_after_us;
}

bool trib_retry_take(struct trib_retry_bucket *b, bool timed_out)
{
    double price = timed_out ? 10 : 5;
    if (b->tokens < price) {
        return false;
    }
    b->tokens -= price;
    return true;
}

void trib_retry_success(struct trib_retry_bucket *b)
{
    b->tokens = b->tokens + 1 < TRIB_RETRY_TOKENS ? b->tokens + 1 : TRIB_RETRY_TOKENS;
}
