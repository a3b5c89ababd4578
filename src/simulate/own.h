/* What the files of `simulate` share. */
#ifndef TRIB_SIMULATE_OWN_H
#define TRIB_SIMULATE_OWN_H

#include "base/mem.h"
#include "simulate/simulate.h"

/* ---- out.c: gzip files that appear whole ---- */

struct trib_sim_file;
TRIB_CHECKED int trib_sim_file_open(const char *path, struct trib_sim_file **ret, struct trib_err *err);
/* Writes the lines and clears them. */
TRIB_CHECKED int trib_sim_file_flush(struct trib_sim_file *f, struct trib_buf *lines, struct trib_err *err);
int64_t trib_sim_file_raw(const struct trib_sim_file *f); /* bytes before compression so far */
/* Writes what is left, syncs, renames, frees and counts it. On failure *io is NULL once the file is lost; else it is still the
 * caller's. md5: base64 of the MD5 of the stored bytes. */
TRIB_CHECKED int trib_sim_file_finish(struct trib_sim_file **io, struct trib_buf *lines, struct trib_sim_result *count,
                                      char ret_md5[25], struct trib_err *err);
void trib_sim_file_abandon(struct trib_sim_file *f); /* NULL is fine */
/* A small file, whole. */
TRIB_CHECKED int trib_sim_put(const char *path, struct trib_view data, struct trib_err *err);
TRIB_CHECKED int trib_sim_mkdirs(const char *path, struct trib_err *err);
/* EXISTS when the folder is there and not empty. */
TRIB_CHECKED int trib_sim_folder_empty(const char *path, struct trib_err *err);
void trib_sim_base64(struct trib_buf *to, const unsigned char *p, size_t n);

/* ---- shop.c: items as pure functions of seed, number and a few bytes of state ---- */

enum trib_sim_life {
    TRIB_SIM_BASE,
    TRIB_SIM_LIVE,
    TRIB_SIM_GONE,
    TRIB_SIM_FUTURE
}; /* BASE: as the export has it, live */
enum trib_sim_status {
    TRIB_SIM_AS_MADE, /* what the number says */
    TRIB_SIM_CART,
    TRIB_SIM_PLACED,
    TRIB_SIM_PAID,
    TRIB_SIM_PACKED,
    TRIB_SIM_SHIPPED,
    TRIB_SIM_DELIVERED,
    TRIB_SIM_RETURNED,
    TRIB_SIM_CANCELLED,
};

/* How an order or a customer differs from the way it was made. */
struct trib_sim_state {
    uint8_t life;     /* enum trib_sim_life */
    uint8_t status;   /* orders: enum trib_sim_status; customers: loyalty tier, 0 none */
    uint8_t cents;    /* orders: 0 … 99 */
    uint8_t flags;    /* TRIB_SIM_… below */
    uint16_t version; /* changes so far */
    uint16_t minute;  /* created, minutes after the start (orders that the export does not have) */
};
_Static_assert(sizeof(struct trib_sim_state) == 8, "simulate.h promises 8 bytes");
enum {
    TRIB_SIM_ON_REQUEST = 1, /* price is a string */
    TRIB_SIM_NO_NOTE = 2,    /* note is NULL (customers: phone) */
    TRIB_SIM_GIFT = 4,       /* gift is the other way round (customers: newsletter) */
    TRIB_SIM_RULED = 8,      /* belongs to the fixed cast: no random change touches it */
};

struct trib_sim_shop {
    uint64_t seed;
    int64_t base_orders, base_customers; /* of the export */
    int64_t start_us;                    /* of the changes */
    int64_t item_bytes;
    bool cast; /* the first orders have the fixed roles below, and the last ones were placed during the export */
};
/* Orders with a fixed role in the demo; each shows one thing. */
enum trib_sim_role {
    TRIB_SIM_WIDENED,
    TRIB_SIM_RESCUED,
    TRIB_SIM_LATE_LOST,
    TRIB_SIM_LATE_WON,
    TRIB_SIM_EXPIRED,
    TRIB_SIM_REMOVED,
    TRIB_SIM_ROLES
};
#define TRIB_SIM_OVERLAP          5                  /* orders that the export and the stream both have */
#define TRIB_SIM_EXPORT_BEFORE_US INT64_C(300000000) /* the export's time, before the first change */
void trib_sim_shop_init(struct trib_sim_shop *s, const struct trib_sim_opts *o, int64_t start_us);

/* 8 customers and their 32 orders make a block of the export. */
enum { TRIB_SIM_BLOCK_CUSTOMERS = 8, TRIB_SIM_BLOCK_ORDERS = 32 };
int64_t trib_sim_slot_customer(int64_t block, int64_t slot); /* 0 … 7 */
int64_t trib_sim_order_customer(const struct trib_sim_shop *s, int64_t order);
enum trib_sim_status trib_sim_order_status(const struct trib_sim_shop *s, int64_t order,
                                           const struct trib_sim_state *st);
int64_t trib_sim_order_created_s(const struct trib_sim_shop *s, int64_t order, const struct trib_sim_state *st);
int64_t trib_sim_order_cents(const struct trib_sim_shop *s, int64_t order,
                             const struct trib_sim_state *st); /* price; 0 on request */
/* The item's attributes, {"pk":…}, appended. */
void trib_sim_order_json(const struct trib_sim_shop *s, int64_t order, const struct trib_sim_state *st,
                         struct trib_buf *to);
void trib_sim_customer_json(const struct trib_sim_shop *s, int64_t customer, const struct trib_sim_state *st,
                            struct trib_buf *to);
void trib_sim_order_keys(const struct trib_sim_shop *s, int64_t order, struct trib_buf *to);
void trib_sim_customer_keys(int64_t customer, struct trib_buf *to);
void trib_sim_order_sk(int64_t order, struct trib_buf *to);
void trib_sim_customer_pk(int64_t customer, struct trib_buf *to);
/* 2026-11-02T10:00:00Z; with millis 2026-11-02T10:00:00.000Z */
void trib_sim_iso(struct trib_buf *to, int64_t us, bool millis);
void trib_sim_uint(struct trib_buf *to, uint64_t v, unsigned least_digits);

/* ---- truth.c: what the table holds, kept up to date change by change ---- */

struct trib_sim_day {
    int64_t day, orders, cents;
};
struct trib_sim_truth {
    struct trib_sim_day *days; /* by day since the epoch, dense from first_day */
    size_t n_days, cap_days;
    int64_t first_day;
    int64_t live[2], gone[2]; /* orders, customers */
    int64_t by_op[3];         /* records delivered: INSERT, MODIFY, REMOVE */
    int64_t redelivered, late, ttl, corrupt;
};
/* Adds (sign 1) or takes away (-1) an order's part of the revenue. */
void trib_sim_truth_order(struct trib_sim_truth *t, const struct trib_sim_shop *s, int64_t order,
                          const struct trib_sim_state *st, int sign);
void trib_sim_truth_json(const struct trib_sim_truth *t, struct trib_buf *to); /* members, without braces */
void trib_sim_truth_free(struct trib_sim_truth *t);

/* ---- the run, shared by export.c and stream.c ---- */

struct trib_sim {
    const struct trib_sim_opts *o;
    struct trib_sim_shop shop;
    struct trib_sim_truth truth;
    struct trib_sim_result result;
    struct trib_buf stories; /* JSON of the fixed cast */
    char *export_id;
    int64_t export_files;
};
#define TRIB_SIM_BUF_MAX ((size_t)64 << 20)

TRIB_CHECKED int trib_sim_export(struct trib_sim *m, struct trib_err *err);
TRIB_CHECKED int trib_sim_stream(struct trib_sim *m, struct trib_err *err);
TRIB_CHECKED int trib_sim_stopped(const struct trib_sim *m, struct trib_err *err); /* CANCELLED when asked to stop */

#endif
