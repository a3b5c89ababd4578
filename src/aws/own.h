/* What the files of aws/ share; nobody else includes it. */
#ifndef TRIB_AWS_OWN_H
#define TRIB_AWS_OWN_H

#include <pthread.h>

#include "aws/aws.h"
#include "aws/profile.h"

struct trib_aws {
    struct trib_aws_host host;
    /* Fixed when made. */
    char *region, *profile, *endpoint_url, *role_arn, *external_id, *session_name, *ca_bundle;
    bool profile_asked; /* by the configuration: it goes before the environment's keys */
    bool dual_stack, fips;
    unsigned attempts;              /* of a call, AWS_MAX_ATTEMPTS; 0: the default */
    struct trib_profiles *profiles; /* as they were when made: settings, no credentials are taken from here */

    pthread_mutex_t fetching; /* one thread at a time asks the providers; taken before `lock` */
    pthread_mutex_t lock;     /* guards all below */
    struct trib_aws_credentials have;
    unsigned generation; /* of `have`; 0: none yet */
    bool stale;          /* a service called them expired */
    int64_t refresh_us;  /* when to ask for the next ones */
    int64_t skew_us;
    struct trib_retry_bucket bucket;
};

/* What the providers need of a session; made by trib_aws_new, or for one step of a chain of roles. */
int64_t trib_aws_now_us(const struct trib_aws *a); /* corrected by the skew */

/* session.c */
TRIB_CHECKED int trib_aws_credentials_get(struct trib_aws *a, struct trib_aws_credentials *ret,
                                          unsigned *ret_generation, struct trib_err *err);
void trib_aws_credentials_expire(struct trib_aws *a, unsigned generation); /* no-op when newer ones are there */
/* Keeps what trib_aws_credentials_make copied; wipes and frees a text. NULL is fine. */
void trib_aws_wipe(char *secret);
void trib_aws_wipe_buf(struct trib_buf *b);
void trib_aws_wipe_response(struct trib_http_response *r);

/* chain.c: asks the providers in their order. Called by one thread at a time. */
TRIB_CHECKED int trib_aws_chain(struct trib_aws *a, struct trib_aws_credentials *ret, struct trib_err *err);

/* endpoint.c */
struct trib_aws_service {
    const char *prefix;       /* of the endpoint's name */
    const char *signing;      /* name in the credential scope, and before the ':' of an action */
    const char *setting;      /* in AWS_ENDPOINT_URL_<SETTING>; in lower case in a profile's services section */
    const char *json_version; /* "1.0", "1.1"; NULL: no JSON */
};
const struct trib_aws_service *trib_aws_service(const char *prefix); /* never NULL */

char *trib_aws_endpoint_in(const struct trib_aws *a, const char *service, const char *region); /* [out] free() */

/* Of a URL that somebody set; NULL is fine. */
TRIB_CHECKED int trib_aws_check_url(const char *url, const char *what, struct trib_err *err);

/* call.c: calls with those credentials instead of the session's, unsigned where they are NULL. */
TRIB_CHECKED int trib_aws_calls_as(struct trib_aws *a, const struct trib_aws_credentials *as,
                                   struct trib_aws_call *calls, size_t n, struct trib_err *err);

/* answer.c: what a service's answer means. */
enum trib_aws_answer {
    TRIB_AWS_FINAL,     /* failed for good */
    TRIB_AWS_TRANSIENT, /* worth another try */
    TRIB_AWS_THROTTLED,
    TRIB_AWS_SKEWED,  /* the clock was wrong, perhaps */
    TRIB_AWS_EXPIRED, /* credentials */
};
/* r failed. Fills *err with code, service_code, request_id and a message that ends with what to do. provider: of the
 * credentials, or NULL. */
enum trib_aws_answer trib_aws_answer(const struct trib_aws *a, const struct trib_aws_call *c, const char *provider,
                                     struct trib_err *err);
bool trib_aws_error_in_success(const struct trib_aws_call *c);                 /* S3: 200 and an <Error> inside */
void trib_aws_call_name(const struct trib_aws_call *c, char *to, size_t size); /* "dynamodb:Scan" */

#endif
