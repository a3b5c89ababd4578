/* A network of the test's own (scripted_net.h). */
#include "support/scripted_net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static char *text_of(const struct trib_http_request *q)
{
    struct trib_buf b;
    trib_buf_init(&b, 1 << 20);
    trib_buf_addf(&b, "%s %s\n", q->method, q->url);
    for (size_t i = 0; i < q->n_headers; i++) {
        trib_buf_addf(&b, "%s: %s\n", q->headers[i].name, q->headers[i].value);
    }
    trib_buf_addc(&b, '\n');
    trib_buf_add(&b, q->body.p, q->body.n);
    char *s = trib_buf_take(&b);
    trib_buf_free(&b);
    return s;
}

static void add_headers(struct trib_http_response *r, const char *text)
{
    r->headers = trib_calloc(16, sizeof *r->headers);
    while (text != NULL && *text != '\0') {
        size_t line = strcspn(text, "\n"), name = strcspn(text, ":");
        assert_true(r->n_headers < 16 && name < line);
        r->headers[r->n_headers++] =
            (struct trib_http_header){trib_strndup(text, name), trib_strndup(text + name + 2, line - name - 2)};
        text += line + (text[line] == '\n');
    }
}

static void perform(void *ctx, const struct trib_http_request *requests, struct trib_http_response *responses, size_t n)
{
    struct scripted *s = ctx;
    for (size_t i = 0; i < n; i++) {
        assert_true(s->n_requests < SCRIPT_MAX);
        char *text = s->requests[s->n_requests++] = text_of(&requests[i]);
        if (s->next == s->n_answers) {
            fail_msg("an unexpected request: %s", text);
        }
        const struct scripted_answer *a = &s->answers[s->next++];
        if (a->wants != NULL && strstr(text, a->wants) == NULL) {
            fail_msg("request %zu lacks '%s': %s", s->n_requests, a->wants, text);
        }
        trib_buf_init(&responses[i].body, 1 << 20);
        if (a->status == 0) {
            (void)trib_err_set(&responses[i].err, TRIB_E_UNAVAILABLE, "%s", a->failure);
            responses[i].err.retriable = !a->final;
            if (a->timeout) {
                (void)snprintf(responses[i].err.service_code, sizeof responses[i].err.service_code, "RequestTimeout");
            }
            continue;
        }
        responses[i].status = a->status;
        add_headers(&responses[i], a->headers);
        trib_buf_adds(&responses[i].body, a->body == NULL ? "" : a->body);
        responses[i].body_bytes = (int64_t)responses[i].body.n;
    }
}

static void sleep_us(void *ctx, int64_t us)
{
    struct scripted *s = ctx;
    assert_true(us >= 0);
    s->slept_us += us;
    s->now_us += us;
    s->sleeps++;
}

static int64_t now(void *ctx)
{
    struct scripted *s = ctx;
    return s->now_us + s->skew_us;
}

static const char *get(void *ctx, const char *name)
{
    struct scripted *s = ctx;
    for (const char *const *e = s->environment; e != NULL && *e != NULL; e += 2) {
        if (strcmp(e[0], name) == 0) {
            return e[1];
        }
    }
    return NULL;
}

static void write_log(void *ctx, enum trib_log_level level, const char *event, const char *const *kv)
{
    struct scripted *s = ctx;
    trib_buf_addf(&s->logged, "%d %s", (int)level, event);
    for (; *kv != NULL; kv++) {
        trib_buf_addf(&s->logged, " %s", *kv);
    }
    trib_buf_addc(&s->logged, '\n');
}

void scripted_init(struct scripted *s, const char *const *environment, const struct scripted_answer *answers, size_t n)
{
    *s = (struct scripted){.environment = environment, .answers = answers, .n_answers = n};
    s->now_us = INT64_C(1440938160000000); /* 2015-08-30T12:36:00Z, the time of AWS's examples */
    s->net = (struct trib_net){s, perform, sleep_us};
    s->clock = (struct trib_clock){now, s};
    trib_seeded_init(&s->random, 8);
    s->rng = trib_seeded_rng(&s->random);
    s->log = (struct trib_log){write_log, s, TRIB_LOG_DEBUG};
    trib_buf_init(&s->logged, 1 << 20);
    s->host = (struct trib_aws_host){&s->net, &trib_fs_real, &s->clock, &s->rng, &s->log, get, s};
}

void scripted_more(struct scripted *s, const struct scripted_answer *answers, size_t n)
{
    assert_int_equal(s->next, s->n_answers);
    s->answers = answers;
    s->n_answers = n;
    s->next = 0;
}

void scripted_done(struct scripted *s)
{
    assert_int_equal(s->next, s->n_answers);
    for (size_t i = 0; i < s->n_requests; i++) {
        free(s->requests[i]);
    }
    trib_buf_free(&s->logged);
}

char *scripted_header(const struct scripted *s, size_t request, const char *name)
{
    assert_true(request < s->n_requests);
    char *key = trib_asprintf("\n%s: ", name);
    const char *at = strstr(s->requests[request], key);
    size_t n = strlen(key);
    free(key);
    return at == NULL ? NULL : trib_strndup(at + n, strcspn(at + n, "\n"));
}
