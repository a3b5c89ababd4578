/*
 * What the source table holds after all changes, and what was delivered: an answer that owes nothing to the pipeline, so that
 * the demo and the tests can compare. Kept up to date change by change; no pass over the items. Threads: one.
 */
#include <stdlib.h>

#include "simulate/own.h"

static bool counts(enum trib_sim_status s)
{
    return s != TRIB_SIM_CART && s != TRIB_SIM_CANCELLED && s != TRIB_SIM_RETURNED;
}

static struct trib_sim_day *day_of(struct trib_sim_truth *t, int64_t day)
{
    if (t->n_days == 0) {
        t->first_day = day;
    }
    size_t before = day < t->first_day ? (size_t)(t->first_day - day) : 0;
    size_t need = before > 0 ? t->n_days + before : (size_t)(day - t->first_day) + 1;
    if (need > t->n_days) {
        TRIB_GROW(t->days, t->cap_days, need);
        memmove(t->days + before, t->days, t->n_days * sizeof *t->days);
        t->first_day -= (int64_t)before;
        for (size_t i = 0; i < need; i++) {
            if (i < before || i >= before + t->n_days) {
                t->days[i] = (struct trib_sim_day){.day = t->first_day + (int64_t)i};
            }
        }
        t->n_days = need;
    }
    return &t->days[day - t->first_day];
}

void trib_sim_truth_order(struct trib_sim_truth *t, const struct trib_sim_shop *s, int64_t order,
                          const struct trib_sim_state *st, int sign)
{
    if (!counts(trib_sim_order_status(s, order, st))) {
        return;
    }
    struct trib_sim_day *d = day_of(t, trib_sim_order_created_s(s, order, st) / 86400);
    d->orders += sign;
    d->cents += sign * trib_sim_order_cents(s, order, st);
}

void trib_sim_truth_json(const struct trib_sim_truth *t, struct trib_buf *to)
{
    static const char *const kinds[] = {"orders", "customers"}, *const ops[] = {"INSERT", "MODIFY", "REMOVE"};
    for (int i = 0; i < 2; i++) {
        trib_buf_addf(to, "\"%s\":{\"live\":%lld,\"deleted\":%lld},\n", kinds[i], (long long)t->live[i],
                      (long long)t->gone[i]);
    }
    trib_buf_adds(to, "\"records\":{");
    for (int i = 0; i < 3; i++) {
        trib_buf_addf(to, "\"%s\":%lld,", ops[i], (long long)t->by_op[i]);
    }
    trib_buf_addf(to, "\"redelivered\":%lld,\"late\":%lld,\"ttl\":%lld,\"corrupt\":%lld},\n\"revenue_by_day\":[",
                  (long long)t->redelivered, (long long)t->late, (long long)t->ttl, (long long)t->corrupt);
    bool first = true;
    for (size_t i = 0; i < t->n_days; i++) {
        if (t->days[i].orders != 0) {
            trib_buf_adds(to, first ? "\n {\"day\":\"" : ",\n {\"day\":\"");
            trib_sim_iso(to, t->days[i].day * INT64_C(86400000000), false);
            to->n -= sizeof "T00:00:00Z" - 1;
            trib_buf_addf(to, "\",\"orders\":%lld,\"revenue\":\"%lld.%02lld\"}", (long long)t->days[i].orders,
                          (long long)(t->days[i].cents / 100), (long long)(t->days[i].cents % 100));
            first = false;
        }
    }
    trib_buf_adds(to, "]");
}

void trib_sim_truth_free(struct trib_sim_truth *t)
{
    free(t->days);
    *t = (struct trib_sim_truth){0};
}
