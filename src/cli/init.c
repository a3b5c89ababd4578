/* `tributary init [DIR]`: writes a commented starter config. Never overwrites one unless told to. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/verbs.h"
#include "os/fs.h"

static int write_all(int fd, struct trib_view text, const char *path, struct trib_err *err)
{
    for (size_t done = 0; done < text.n;) {
        ssize_t k = write(fd, text.p + done, text.n - done);
        if (k < 0 && errno != EINTR) {
            return trib_err_errno(err, errno, "cannot write %s", path);
        }
        done += k > 0 ? (size_t)k : 0;
    }
    return fsync(fd) == 0 ? 0 : trib_err_errno(err, errno, "cannot write %s", path);
}

static int write_file(const char *path, struct trib_view text, bool replace, struct trib_err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (replace ? O_TRUNC : O_EXCL), 0666);
    if (fd < 0 && errno == EEXIST) {
        return trib_err_set(err, TRIB_E_USAGE, "%s exists already; try: --force to overwrite it, or another folder",
                            path);
    }
    if (fd < 0) {
        return trib_err_errno(err, errno, "cannot create %s", path);
    }
    int rc = write_all(fd, text, path, err);
    (void)close(fd);
    return rc;
}

static int init_run(struct trib_cli *cli, struct trib_err *err)
{
    const char *dir = cli->n_args > 0 ? cli->args[0] : ".";
    if (strcmp(dir, ".") != 0) {
        TRIB_TRY(trib_fs_mkdirs(&trib_fs_real, dir, err));
    }
    bool slash = dir[0] != '\0' && dir[strlen(dir) - 1] == '/';
    char *path = strcmp(dir, ".") == 0 ? trib_strdup("tributary.yaml")
                                       : trib_asprintf("%s%stributary.yaml", dir, slash ? "" : "/");
    struct trib_buf text;
    trib_buf_init(&text, (size_t)1 << 20);
    trib_config_starter(&text);
    int rc = write_file(path, trib_buf_view(&text), cli->flags.force, err);
    if (rc == 0) {
        bool here = strcmp(dir, ".") == 0; /* where it is found without -c */
        (void)fprintf(cli->out, "wrote %s\nnext: edit it, then `tributary validate%s%s`\n", path, here ? "" : " -c ",
                      here ? "" : path);
    }
    trib_buf_free(&text);
    free(path);
    return rc;
}

const struct trib_verb trib_verb_init = {
    .name = "init",
    .args = "[DIR]",
    .max_args = 1,
    .summary = "write a commented starter config",
    .text =
        "Writes DIR/tributary.yaml (the current folder without DIR). It is valid as it stands, names every key that is used most, and says what each is for.",
    .flags = "force",
    .examples = "tributary init # write ./tributary.yaml\ntributary init shop # write shop/tributary.yaml",
    .run = init_run,
};
