/* A network of the test's own: answers come from a script, requests are kept as text. One thread. */
#ifndef TRIB_TEST_SCRIPTED_NET_H
#define TRIB_TEST_SCRIPTED_NET_H

#include "aws/aws.h"

struct scripted_answer {
    const char *wants;   /* must stand in the request's text, or the test fails; NULL: anything */
    int status;          /* 0: no answer; code says which */
    const char *headers; /* "name: value\n…" */
    const char *body;
    const char *failure; /* status 0: text of the error */
    bool timeout, final; /* of a failure */
};
enum { SCRIPT_MAX = 64 };
struct scripted {
    struct trib_net net;
    struct trib_clock clock;
    struct trib_seeded random;
    struct trib_rng rng;
    struct trib_log log;
    struct trib_buf logged;
    struct trib_aws_host host;
    const char *const *environment; /* name, value, …, NULL */
    const struct scripted_answer *answers;
    size_t n_answers, next;
    char *requests[SCRIPT_MAX]; /* "GET http://h/path\nname: value\n…\n\nbody" */
    size_t n_requests;
    int64_t now_us, slept_us, skew_us; /* skew: added to now by clock */
    unsigned sleeps;
};
void scripted_init(struct scripted *s, const char *const *environment, const struct scripted_answer *answers, size_t n);
/* All answers were asked for. Frees what it holds. */
void scripted_done(struct scripted *s);
/* The next answers; those before were all used. */
void scripted_more(struct scripted *s, const struct scripted_answer *answers, size_t n);
/* The value of a request's header [out] free(); NULL. */
char *scripted_header(const struct scripted *s, size_t request, const char *name);

#endif
