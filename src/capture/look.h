/*
 * Reading a live table for a comparison (`verify`): all of it by a parallel scan, exactly these keys, or a few random pages. Every read
 * is strongly consistent. Writes nothing anywhere; a crash leaves nothing.
 * Threads: one at a time. Memory: a page of every segment.
 */
#ifndef TRIB_CAPTURE_LOOK_H
#define TRIB_CAPTURE_LOOK_H

#include "aws/aws.h"

struct trib_look_opts {
    struct trib_aws *aws;       /* [borrow] */
    const struct trib_net *net; /* for waits [borrow] */
    const struct trib_rng *rng;
    const char *table;
    unsigned segments;             /* 0: 4 */
    double rate;                   /* read capacity units a second; 0: as fast as DynamoDB lets */
    bool (*stop_asked)(void *ctx); /* NULL: never */
    void *stop_ctx;
};
struct trib_look;
struct trib_look *trib_look_new(const struct trib_look_opts *o);
void trib_look_free(struct trib_look *l);

/* What trib_look_next gives from here on: every item of the table; */
void trib_look_scan(struct trib_look *l);
/* the items of these keys, each the text {"pk":{"S":"…"}}, copied; those that the table lacks are left out; */
void trib_look_keys(struct trib_look *l, const struct trib_view *keys, size_t n);
/* about n items of random places of the table. */
TRIB_CHECKED int trib_look_random(struct trib_look *l, size_t n, struct trib_err *err);

/* The next item, raw DynamoDB JSON, valid until the next call; *ret_item.n 0: that was all. */
TRIB_CHECKED int trib_look_next(struct trib_look *l, struct trib_view *ret_item, struct trib_err *err);

#endif
