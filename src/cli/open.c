/*
 * The outside world of a verb: real files, clock, random numbers; scratch, lake and engine when they are asked for first, closed after
 * the verb. Nothing here is opened by `--help` or `validate`.
 *
 * A crash leaves a scratch folder behind, which the next process removes.
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "aws/aws.h"
#include "cli/own.h"
#include "os/fs.h"
#include "os/os.h"
#include "os/pool.h"
#include "pipeline/remote.h"

struct trib_cli_opened {
    struct trib_env env;
    char *scratch;
    struct trib_net *net; /* once it was asked for */
    struct trib_aws_host host;
    struct trib_remote *remote;
};

static bool stop_asked(void *ctx)
{
    (void)ctx;
    return trib_signals_stop_asked();
}

static void close_all(struct trib_cli *cli)
{
    struct trib_cli_opened *o = cli->own->opened;
    cli->own->opened = NULL;
    cli->own->close = NULL;
    if (o->env.engine != NULL) {
        trib_engine_close(o->env.engine);
    }
    trib_store_free(o->env.lake);
    trib_remote_free(o->remote);
    trib_net_curl_free(o->net);
    trib_scratch_remove(o->scratch);
    free(o->scratch);
    free(o);
}

/* The state folder, made private when it is new; NULL when it cannot be had: scratch goes to $TMPDIR then (the state is a cache). */
static const char *state_folder(const struct trib_config *config)
{
    struct trib_err ignored;
    struct trib_fs_stat st;
    if (config == NULL || config->state == NULL) {
        return NULL;
    }
    if (trib_fs_real.stat(trib_fs_real.ctx, config->state, &st, &ignored) == 0) {
        return st.is_dir ? config->state : NULL;
    }
    if (trib_fs_mkdirs(&trib_fs_real, config->state, &ignored) != 0) {
        return NULL;
    }
    (void)chmod(config->state, 0700);
    return config->state;
}

static int open_scratch(struct trib_cli_opened *o, const struct trib_config *config, struct trib_err *err)
{
    const char *state = state_folder(config);
    if (state != NULL && trib_scratch_make(state, &o->scratch, err) == 0) {
        return 0;
    }
    return trib_scratch_make(NULL, &o->scratch, err);
}

/*
 * The budget `memory` is the whole process's. The engine counts its own and spills beyond its limit, five eighths; the rest is
 * for what it does not count, and for ours. A thread of the engine or of ours works in about 128 MiB of the budget.
 */
#define THREAD_BYTES (UINT64_C(128) << 20)

static uint64_t engine_limit(uint64_t memory) { return memory / 8 * 5; }

static unsigned workers_within(uint64_t memory, unsigned wanted)
{
    uint64_t most = memory / THREAD_BYTES;
    return most == 0 ? 1 : most < wanted ? (unsigned)most : wanted;
}

static int open_base(struct trib_cli *cli, const struct trib_config *config, struct trib_err *err)
{
    struct trib_cli_opened *o = trib_calloc(1, sizeof *o);
    cli->own->opened = o;
    cli->own->close = close_all;
    TRIB_TRY(open_scratch(o, config, err));
    o->env = (struct trib_env){
        .fs = &trib_fs_real,
        .clock = &trib_clock_real,
        .rng = &trib_rng_real,
        .log = &cli->log,
        .scratch = o->scratch,
        .workers = trib_cpu_count(),
        .memory_bytes = (uint64_t)256 << 20,
        .stop_asked = stop_asked,
    };
    return 0;
}

/* Copies of objects on S3 stay in the state folder for the next process, where there is one. */
static const struct trib_store_remote *open_remote(struct trib_cli *cli, const struct trib_config *config)
{
    struct trib_cli_opened *o = cli->own->opened;
    const char *state = state_folder(config);
    TRIB_CLEANUP(trib_cleanup_free) char *copies = trib_asprintf("%s/s3", state != NULL ? state : o->scratch);
    o->remote = trib_remote_new(trib_cli_aws_host(cli), config, copies);
    return trib_remote_top(o->remote);
}

int trib_cli_env(struct trib_cli *cli, const struct trib_config *config_or_null, bool engine, struct trib_env **ret,
                 struct trib_err *err)
{
    if (cli->own->opened == NULL) {
        int rc = open_base(cli, config_or_null, err);
        if (rc != 0) {
            close_all(cli);
            return rc;
        }
    }
    struct trib_env *env = &cli->own->opened->env;
    if (env->remote == NULL) {
        env->remote = open_remote(cli, config_or_null);
    }
    if (config_or_null != NULL) { /* a reloaded config may give others */
        env->memory_bytes = config_or_null->memory_bytes;
        env->workers = workers_within(env->memory_bytes,
                                      config_or_null->workers != 0 ? config_or_null->workers : trib_cpu_count());
    }
    if (env->lake == NULL && config_or_null != NULL) {
        TRIB_TRY(trib_store_open_with(env->fs, env->remote, config_or_null->lake, &env->lake, err));
    }
    if (env->engine == NULL && engine) {
        struct trib_engine_opts o = {.threads = env->workers, .scratch = env->scratch};
        if (config_or_null != NULL) {
            o.limit_bytes = engine_limit(env->memory_bytes);
        }
        TRIB_TRY(trib_engine_open(&o, &env->engine, err));
    }
    *ret = env;
    return 0;
}

static const char *variable(void *ctx, const char *name)
{
    (void)ctx;
    return getenv(name);
}

const struct trib_aws_host *trib_cli_aws_host(struct trib_cli *cli)
{
    struct trib_cli_opened *o = cli->own->opened;
    if (o->net == NULL) {
        o->net = trib_net_curl_new(0);
        o->host = (struct trib_aws_host){.net = o->net,
                                         .fs = o->env.fs,
                                         .clock = o->env.clock,
                                         .rng = o->env.rng,
                                         .log = o->env.log,
                                         .getenv = variable};
    }
    return &o->host;
}
