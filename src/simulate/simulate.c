/* The run: checks the options, export, stream, truth. See simulate.h. */
#include <stdlib.h>

#include "simulate/own.h"

#define START_US  INT64_C(1793613600000000) /* 2026-11-02T10:00:00Z */
#define ITEMS_MAX INT64_C(4000000000)

int trib_sim_stopped(const struct trib_sim *m, struct trib_err *err)
{
    return m->o->stop_asked != NULL && m->o->stop_asked(m->o->ctx)
               ? trib_err_set(err, TRIB_E_CANCELLED, "stopped; %s is incomplete (it has no _truth.json), remove it",
                              m->o->out)
               : 0;
}

static int check(const struct trib_sim_opts *o, struct trib_err *err)
{
    if (o->items < 1 || o->items > ITEMS_MAX) {
        return trib_err_set(err, TRIB_E_USAGE, "items: %lld is not in 1 … %lld", (long long)o->items,
                            (long long)ITEMS_MAX);
    }
    if (o->changes < 0 || o->changes > ITEMS_MAX) {
        return trib_err_set(err, TRIB_E_USAGE, "changes: %lld is not in 0 … %lld", (long long)o->changes,
                            (long long)ITEMS_MAX);
    }
    if (o->item_bytes < 0 || o->item_bytes > TRIB_SIM_ITEM_BYTES_MAX) {
        return trib_err_set(err, TRIB_E_USAGE, "item bytes: %lld is not in 0 … %d", (long long)o->item_bytes,
                            TRIB_SIM_ITEM_BYTES_MAX);
    }
    if (o->rate < 0 || o->rate > 1000000) {
        return trib_err_set(err, TRIB_E_USAGE, "rate: %lld is not in 1 … 1000000 changes a second", (long long)o->rate);
    }
    if (o->live && o->rate == 0) {
        return trib_err_set(err, TRIB_E_USAGE, "live needs a rate, in changes a second");
    }
    return trib_sim_folder_empty(o->out, err);
}

static int put_truth(struct trib_sim *m, struct trib_err *err)
{
    struct trib_buf b;
    trib_buf_init(&b, TRIB_SIM_BUF_MAX);
    trib_buf_addf(
        &b,
        "{\"table\":\"shop\",\"seed\":%llu,\n\"export\":{\"id\":\"%s\",\"items\":%lld,\"orders\":%lld,\"customers\":%lld,\"data_files\":%lld},\n",
        (unsigned long long)m->o->seed, m->export_id, (long long)m->result.items, (long long)m->result.orders,
        (long long)m->result.customers, (long long)m->export_files);
    trib_sim_truth_json(&m->truth, &b);
    trib_buf_adds(&b, ",\n\"stories\":{");
    trib_buf_add(&b, m->stories.p, m->stories.n);
    trib_buf_adds(&b, "}}\n");
    TRIB_CLEANUP(trib_cleanup_free) char *path = trib_asprintf("%s/_truth.json", m->o->out);
    int rc = trib_buf_check(&b, "_truth.json", err);
    if (rc == 0) {
        rc = trib_sim_put(path, trib_buf_view(&b), err);
    }
    trib_buf_free(&b);
    return rc;
}

int trib_simulate(const struct trib_sim_opts *o, struct trib_sim_result *ret, struct trib_err *err)
{
    TRIB_TRY(check(o, err));
    struct trib_sim m = {.o = o};
    trib_sim_shop_init(&m.shop, o, o->live ? trib_now_us(o->clock) / 1000000 * 1000000 : START_US);
    trib_buf_init(&m.stories, TRIB_SIM_BUF_MAX);
    int rc = trib_sim_export(&m, err);
    if (rc == 0 && o->changes > 0) {
        rc = trib_sim_stream(&m, err);
    }
    if (rc == 0) {
        rc = put_truth(&m, err);
    }
    if (rc == 0) {
        *ret = m.result;
    }
    free(m.export_id);
    trib_buf_free(&m.stories);
    trib_sim_truth_free(&m.truth);
    return rc;
}
