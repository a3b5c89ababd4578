/* `tributary simulate --out DIR`: a realistic shop, export and change records, by seed. The work is in src/simulate. */
#include "simulate/simulate.h"
#include "cli/verbs.h"
#include "os/os.h"

static void sleep_until(void *ctx, int64_t us)
{
    (void)ctx;
    trib_os_sleep_until(us);
}

static bool stop_asked(void *ctx)
{
    (void)ctx;
    return trib_signals_stop_asked();
}

static void show_progress(void *ctx, const char *what, int64_t done, int64_t total, int64_t bytes)
{
    struct trib_progress p = {
        .stage = what, .table = "shop", .done = done, .total = total, .unit = "items", .rows = -1, .bytes = bytes};
    if (what[0] == 'c') {
        p.unit = "changes";
    }
    trib_cli_progress(ctx, &p);
}

static double mib(int64_t bytes) { return (double)bytes / 1048576.0; }

static void print_result(struct trib_cli *cli, const struct trib_sim_result *r, double seconds)
{
    const char *out = cli->flags.out;
    long long items = r->items, customers = r->customers, orders = r->orders, records = r->records, files = r->files,
              raw = r->raw_bytes, stored = r->stored_bytes;
    double rate = seconds > 0 ? mib(r->raw_bytes) / seconds : 0;
    switch (cli->flags.output) {
    case TRIB_OUTPUT_TABLE:
        (void)fprintf(cli->out,
                      "folder   %s\nexport   %lld items: %lld customers, %lld orders\nstream   %lld records\n", out,
                      items, customers, orders, records);
        (void)fprintf(cli->out, "files    %lld: %.1f MiB of JSON, %.1f MiB stored\ntook     %.1f s, %.0f MiB/s\n",
                      files, mib(r->raw_bytes), mib(r->stored_bytes), seconds, rate);
        (void)fprintf(cli->out, "truth    %s/_truth.json: what the table holds at the end\n", out);
        break;
    case TRIB_OUTPUT_CSV:
        (void)fprintf(
            cli->out,
            "items,customers,orders,records,files,raw_bytes,stored_bytes,seconds\n%lld,%lld,%lld,%lld,%lld,%lld,%lld,%.3f\n",
            items, customers, orders, records, files, raw, stored, seconds);
        break;
    case TRIB_OUTPUT_JSON:
    case TRIB_OUTPUT_JSONL:
        (void)fprintf(
            cli->out,
            "{\"items\":%lld,\"customers\":%lld,\"orders\":%lld,\"records\":%lld,\"files\":%lld,\"raw_bytes\":%lld,\"stored_bytes\":%lld,\"seconds\":%.3f}\n",
            items, customers, orders, records, files, raw, stored, seconds);
        break;
    }
}

static int64_t or_default(int64_t given, int64_t otherwise) { return given < 0 ? otherwise : given; }

static int simulate_run(struct trib_cli *cli, struct trib_err *err)
{
    const struct trib_flags *f = &cli->flags;
    if (f->out == NULL) {
        return trib_err_set(err, TRIB_E_USAGE, "`simulate` needs --out DIR, a folder that is missing or empty");
    }
    if (f->rate == 0) {
        return trib_err_set(
            err, TRIB_E_USAGE,
            "--rate: 0 changes a second would never end; leave it out to spread the changes over three hours");
    }
    trib_signals_install();
    struct trib_sim_opts o = {
        .out = f->out,
        .seed = (uint64_t)or_default(f->seed, 1),
        .items = or_default(f->items, TRIB_SIM_ITEMS_DEFAULT),
        .changes = or_default(f->changes, TRIB_SIM_CHANGES_DEFAULT),
        .rate = or_default(f->rate, 0),
        .item_bytes = or_default(f->item_bytes, 0),
        .live = f->live,
        .clock = &trib_clock_real,
        .sleep_until = sleep_until,
        .progress = show_progress,
        .stop_asked = stop_asked,
        .ctx = cli,
    };
    struct trib_sim_result r;
    int64_t start_us = trib_now_us(&trib_clock_real);
    int rc = trib_simulate(&o, &r, err);
    if (rc == TRIB_E_EXISTS || rc == TRIB_E_CANCELLED) {
        trib_cli_try(cli, "%s",
                     rc == TRIB_E_EXISTS ? "another folder: --out DIR" : "the same command with another --out");
    }
    TRIB_TRY(rc);
    print_result(cli, &r, (double)(trib_now_us(&trib_clock_real) - start_us) / 1e6);
    return 0;
}

const struct trib_verb trib_verb_simulate = {
    .name = "simulate",
    .summary = "write a realistic shop, export and change records, for demos and load",
    .text =
        "Writes one DynamoDB table, `shop`, as AWS would deliver it: customers and orders in one table (pk, sk, type), a finished full export "
        "below DIR/AWSDynamoDB, and Streams records, gzipped, a folder an hour, below DIR/ingest_date=…. A `files` source takes DIR as it is.\n\n"
        "The records hold what real ones do: redelivered and late ones, deletes by TTL, an attribute that first appears on the way, prices that "
        "meet their first cents, a value of the wrong type, and one corrupt record. DIR/_truth.json says what the table holds at the end.\n\n"
        "The same flags give the same bytes. With --live the records come in real time, --rate a second, a file a second. Memory does not grow "
        "with --items, but for 8 bytes an item when there are changes.",
    .flags = "out seed items changes rate item-bytes live",
    .examples = "tributary simulate --out ./in # a small shop: 1000 items, 600 changes\n"
                "tributary simulate --out ./big --items 5000000 --changes 0 # an export of 3 GB\n"
                "tributary simulate --out ./wide --items 2000 --item-bytes 400000 # items of 400 KB\n"
                "tributary simulate --out ./live --changes 60000 --rate 1000 --live # a minute of load, as it happens",
    .run = simulate_run,
};
