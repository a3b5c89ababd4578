/*
 * stdout as a stream that remembers why a write failed: a reader that went away (`| head`) ends the output quietly, a full disk
 * is an error. Owns descriptor 1 while the program runs.
 */
#include <errno.h>
#include <unistd.h>

#include "cli/own.h"

static ssize_t out_write(void *cookie, const char *p, size_t n)
{
    struct trib_cli *cli = cookie;
    size_t done = 0;
    while (done < n) {
        ssize_t k = write(STDOUT_FILENO, p + done, n - done);
        if (k >= 0) {
            done += (size_t)k;
        } else if (errno != EINTR) {
            if (cli->own->out_errno == 0) {
                cli->own->out_errno = errno;
            }
            return done == 0 ? -1 : (ssize_t)done;
        }
    }
    return (ssize_t)n;
}

FILE *trib_out_open(struct trib_cli *cli)
{
    FILE *f = fopencookie(cli, "w", (cookie_io_functions_t){.write = out_write});
    if (f != NULL) {
        (void)setvbuf(f, NULL, _IOFBF, (size_t)64 << 10);
    }
    return f;
}

bool trib_cli_out_closed(const struct trib_cli *cli) { return cli->own->out_errno == EPIPE; }

int trib_out_finish(struct trib_cli *cli, struct trib_err *err)
{
    int rc = 0;
    if (cli->out == NULL) {
        return 0;
    }
    (void)fclose(cli->out);
    cli->out = NULL;
    if (cli->own->out_errno != 0 && cli->own->out_errno != EPIPE) {
        rc = trib_err_errno(err, cli->own->out_errno, "cannot write the results to stdout");
        if (err->code != TRIB_E_IO) {
            err->code = TRIB_E_IO;
            rc = TRIB_E_IO;
        }
    }
    return rc;
}
