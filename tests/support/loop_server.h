/* An HTTP server on 127.0.0.1 that misbehaves as its paths say; a thread for each connection. */
#ifndef TRIB_TEST_LOOP_SERVER_H
#define TRIB_TEST_LOOP_SERVER_H

#include <stdatomic.h>
#include <stddef.h>

/*
 * /ok            hello; /created 201 without a body; /conn the number of the connection, from 1
 * /echo          the request as it came: line, headers, empty line, body
 * /big/N         N bytes 'x'; /chunked two pieces; /continue 100 before the answer; /nocontent 204
 * /status/N      that status and a body
 * /cut           100 bytes promised, 10 sent; /cut-chunk a chunk cut short; /close closed without an answer
 * /reset         the connection is reset; /garbage no HTTP; /silent nothing, ever; /stall half an answer, then nothing
 * /last          answers as if it kept the connection, and closes it
 * /many-headers  1,000 of them
 */
struct loop_server {
    int fd;
    unsigned port;
    atomic_uint connections, requests;
    unsigned long thread;
};
void loop_server_start(struct loop_server *s);
void loop_server_stop(struct loop_server *s);
/* "http://127.0.0.1:PORT/path" [out] free() */
char *loop_url(const struct loop_server *s, const char *path);

#endif
