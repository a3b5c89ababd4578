/*
 * The shop's items as pure functions of the seed, the item's number and its state, so that millions of them need no memory and
 * an old image can be made again at any time. Texts in the tables are JSON already (escaped).
 * Never reads a clock; no files. Threads: any.
 */
#include "simulate/own.h"

#define ADD(to, literal) trib_buf_add((to), (literal), sizeof(literal) - 1)
#define PICK(table, r)   ((table)[(r) % (sizeof(table) / sizeof((table)[0]))])

/* Some order often, one not at all. */
static const uint8_t slot_owner[TRIB_SIM_BLOCK_ORDERS] = {
    1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
};

static const char *const first_names[] = {
    "Anna", "Zoë",   "Łukasz", "Søren", "María",  "Jürgen", "Nour",  "Ivan",  "Chloé", "Yuki", "Ayşe", "Dmitri",
    "Siân", "Tomáš", "Eva",    "Noah",  "さくら", "Олена",  "Amina", "Björn", "Lía",   "Ola",  "Ravi", "Mei",
};
static const char *const last_names[] = {
    "Schmidt", "O'Neill",  "Nowak",  "García",    "Müller",       "Rossi",  "Kowalczyk", "Ångström",
    "Dvořák",  "Le Goff",  "Tanaka", "Öztürk",    "van der Berg", "Novák",  "Silva",     "Papadopoulou",
    "山田",    "Шевченко", "Haddad", "Lindqvist", "Brontë",       "Nguyễn",
};
static const struct {
    const char *city, *country, *zip, *lat, *lon;
} cities[] = {
    {"Berlin", "DE", "10115", "52.52", "13.405"},       {"München", "DE", "80331", "48.137", "11.575"},
    {"Kraków", "PL", "31-001", "50.0614", "19.9366"},   {"Lisboa", "PT", "1100-148", "38.7223", "-9.1393"},
    {"Zürich", "CH", "8001", "47.3769", "8.5417"},      {"Paris", "FR", "75001", "48.8566", "2.3522"},
    {"København", "DK", "1050", "55.6761", "12.5683"},  {"Αθήνα", "GR", "105 57", "37.9838", "23.7275"},
    {"Dublin", "IE", "D02 X285", "53.3498", "-6.2603"}, {"Reykjavík", "IS", "101", "64.1466", "-21.9426"},
    {"Málaga", "ES", "29001", "36.7213", "-4.4214"},    {"Praha", "CZ", "110 00", "50.0755", "14.4378"},
};
static const char *const streets[] = {"Hauptstraße", "Rue de l'Église", "ul. Długa",   "Calle Mayor",
                                      "Main Street", "Via Roma",        "Östra gatan", "Na Příkopě"};
static const struct {
    const char *sku, *title;
    unsigned euros, grams;
} products[] = {
    {"MUG-01", "Mug, stoneware", 14, 380},     {"MUG-02", "Mug \\\"Monday\\\"", 16, 390},
    {"TEA-01", "Sencha 茶, 100 g", 12, 110},   {"TEA-02", "Earl Grey, 250 g", 9, 270},
    {"KTL-01", "Kettle, copper", 89, 1450},    {"POT-01", "Teapot, cast iron", 74, 1980},
    {"TRY-01", "Tray, walnut", 38, 900},       {"CUP-06", "Cups, set of six", 54, 1320},
    {"SPN-01", "Spoon, olive wood", 7, 45},    {"TWL-02", "Tea towel, linen", 11, 120},
    {"HNY-01", "Honey, lime blossom", 8, 620}, {"BSC-01", "Biscuits, café crème", 6, 240},
    {"SCL-01", "Scale, 0.1 g", 45, 510},       {"TMR-01", "Timer, hourglass", 19, 210},
    {"GRN-01", "Grinder, hand", 69, 860},      {"FLT-40", "Filters, 40 pieces", 5, 90},
    {"BOX-01", "Gift box, small", 4, 150},     {"BOX-02", "Gift box, large", 6, 260},
    {"JAR-01", "Jar, airtight ½ l", 13, 430},  {"MTC-01", "Matcha whisk 茶筅", 22, 60},
    {"BRD-01", "Board, oak", 33, 1100},        {"LMP-01", "Lamp, paper", 60, 700},
    {"CND-03", "Candles, three", 15, 480},     {"APR-01", "Apron, blue", 29, 310},
};
static const char *const notes[] = {
    "Please ring twice",
    "Bitte beim Nachbarn abgeben – danke!",
    "午後に配達してください",
    "🎁 gift wrap, please",
    "say \\\"hi\\\" to Ana\\nand thanks",
    "C:\\\\temp is not a street",
    "Zweiter Hof,\\tlinks",
    "Leave at the door ☂",
    "по возможности утром",
    "naïve café, 2nd floor",
};
static const char *const tags[] = {"new", "vip", "repeat", "fragile", "promo-autumn", "géant", "b2b"};
static const char *const languages[] = {"de", "en", "fr", "pl", "ja", "uk", "es"};
static const char *const words[] = {"tea",    "kettle", "morning", "copper", "harvest", "leaf",   "water", "steam",
                                    "autumn", "walnut", "grün",    "茶",     "cup",     "garden", "slow",  "rain"};
static const char *const tiers[] = {"bronze", "silver", "gold"};
static const char *const status_texts[] = {"",        "cart",      "placed",   "paid",     "packed",
                                           "shipped", "delivered", "returned", "cancelled"};

/* One generator an item; kind keeps orders and customers apart. */
static struct trib_seeded item_rng(const struct trib_sim_shop *s, uint64_t kind, int64_t number)
{
    struct trib_seeded r;
    trib_seeded_init(&r, (s->seed + 1) * 0xD1342543DE82EF95ULL + ((uint64_t)number * 2 + kind) * 0x2545F4914F6CDD1DULL);
    return r;
}

void trib_sim_shop_init(struct trib_sim_shop *s, const struct trib_sim_opts *o, int64_t start_us)
{
    int64_t customers = (o->items + 4) / 5;
    *s = (struct trib_sim_shop){.seed = o->seed,
                                .base_customers = customers,
                                .base_orders = o->items - customers,
                                .start_us = start_us,
                                .item_bytes = o->item_bytes,
                                .cast = o->items >= 50 && o->changes >= 100};
}

void trib_sim_uint(struct trib_buf *to, uint64_t v, unsigned least_digits)
{
    char t[20];
    size_t n = 0;
    do {
        t[sizeof t - ++n] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0 || (n < least_digits && n < sizeof t));
    trib_buf_add(to, t + sizeof t - n, n);
}

/* Civil date from days since the epoch (Howard Hinnant's algorithm). */
static void civil(int64_t days, int64_t *y, unsigned *m, unsigned *d)
{
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
    unsigned doe = (unsigned)(z - era * 146097), yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    *d = doy - (153 * mp + 2) / 5 + 1;
    *m = mp < 10 ? mp + 3 : mp - 9;
    *y = (int64_t)yoe + era * 400 + (*m <= 2);
}

void trib_sim_iso(struct trib_buf *to, int64_t us, bool millis)
{
    int64_t y, s = us / 1000000, day = s / 86400, in_day = s % 86400;
    unsigned m, d;
    civil(day, &y, &m, &d);
    trib_sim_uint(to, (uint64_t)y, 4);
    trib_buf_addc(to, '-');
    trib_sim_uint(to, m, 2);
    trib_buf_addc(to, '-');
    trib_sim_uint(to, d, 2);
    trib_buf_addc(to, 'T');
    trib_sim_uint(to, (uint64_t)(in_day / 3600), 2);
    trib_buf_addc(to, ':');
    trib_sim_uint(to, (uint64_t)(in_day / 60 % 60), 2);
    trib_buf_addc(to, ':');
    trib_sim_uint(to, (uint64_t)(in_day % 60), 2);
    if (millis) {
        trib_buf_addc(to, '.');
        trib_sim_uint(to, (uint64_t)(us % 1000000 / 1000), 3);
    }
    trib_buf_addc(to, 'Z');
}

int64_t trib_sim_slot_customer(int64_t block, int64_t slot)
{
    return (slot_owner[slot] + block) % TRIB_SIM_BLOCK_CUSTOMERS;
}

int64_t trib_sim_order_customer(const struct trib_sim_shop *s, int64_t order)
{
    if (order >= s->base_orders) {
        struct trib_seeded r = item_rng(s, 0, order);
        return (int64_t)trib_seeded_below(&r, (uint64_t)s->base_customers);
    }
    int64_t block = order / TRIB_SIM_BLOCK_ORDERS;
    int64_t c = block * TRIB_SIM_BLOCK_CUSTOMERS + trib_sim_slot_customer(block, order % TRIB_SIM_BLOCK_ORDERS);
    return c < s->base_customers ? c : c % s->base_customers;
}

/* What is fixed when an order is made, in the order in which it is drawn. */
struct order_made {
    enum trib_sim_status status;
    int64_t created_s;
    unsigned n_lines;
    struct {
        unsigned product, qty;
    } lines[4];
    unsigned euros;
    uint64_t looks;         /* bits for what is there and what it says */
    struct trib_seeded rng; /* for the rest */
};

enum { LAMP = 21 };

static void order_cast(const struct trib_sim_shop *s, int64_t order, struct order_made *m)
{
    static const enum trib_sim_status role_status[TRIB_SIM_ROLES] = {
        [TRIB_SIM_WIDENED] = TRIB_SIM_PAID,     [TRIB_SIM_RESCUED] = TRIB_SIM_PLACED,
        [TRIB_SIM_LATE_LOST] = TRIB_SIM_PLACED, [TRIB_SIM_LATE_WON] = TRIB_SIM_SHIPPED,
        [TRIB_SIM_EXPIRED] = TRIB_SIM_CART,     [TRIB_SIM_REMOVED] = TRIB_SIM_DELIVERED,
    };
    if (order < TRIB_SIM_ROLES) {
        m->status = role_status[order];
    }
    if (order == TRIB_SIM_WIDENED) {
        m->n_lines = 1;
        m->lines[0].product = LAMP;
        m->lines[0].qty = 1;
        m->euros = products[LAMP].euros;
    }
    int64_t from_end = s->base_orders - order;
    if (from_end <= TRIB_SIM_OVERLAP && from_end > 0) {
        m->status = TRIB_SIM_PLACED;
        m->created_s = (s->start_us - TRIB_SIM_EXPORT_BEFORE_US) / 1000000 - from_end * 10;
    }
}

static void order_make(const struct trib_sim_shop *s, int64_t order, struct order_made *m)
{
    struct trib_seeded r = item_rng(s, 0, order);
    (void)trib_seeded_next(&r); /* the customer of a new order */
    uint64_t x = trib_seeded_below(&r, 100);
    m->status = x < 5    ? TRIB_SIM_CART
                : x < 9  ? TRIB_SIM_PLACED
                : x < 16 ? TRIB_SIM_PAID
                : x < 20 ? TRIB_SIM_PACKED
                : x < 34 ? TRIB_SIM_SHIPPED
                : x < 92 ? TRIB_SIM_DELIVERED
                : x < 96 ? TRIB_SIM_RETURNED
                         : TRIB_SIM_CANCELLED;
    m->created_s = s->start_us / 1000000 - 3600 - (int64_t)trib_seeded_below(&r, 30 * 86400);
    x = trib_seeded_next(&r);
    m->n_lines = 1 + (unsigned)(x & 3);
    m->euros = 0;
    for (unsigned i = 0; i < m->n_lines; i++) {
        x = trib_seeded_next(&r);
        m->lines[i].product = (unsigned)(x % (sizeof products / sizeof products[0]));
        m->lines[i].qty = 1 + (unsigned)(x >> 32) % 3;
        m->euros += products[m->lines[i].product].euros * m->lines[i].qty;
    }
    m->looks = trib_seeded_next(&r);
    m->rng = r;
    if (s->cast) {
        order_cast(s, order, m);
    }
}

enum trib_sim_status trib_sim_order_status(const struct trib_sim_shop *s, int64_t order,
                                           const struct trib_sim_state *st)
{
    if (st->status != TRIB_SIM_AS_MADE) {
        return (enum trib_sim_status)st->status;
    }
    struct order_made m;
    order_make(s, order, &m);
    return m.status;
}

static int64_t created_s(const struct trib_sim_shop *s, int64_t order, const struct order_made *m,
                         const struct trib_sim_state *st)
{
    return order < s->base_orders ? m->created_s : s->start_us / 1000000 + st->minute * INT64_C(60);
}

int64_t trib_sim_order_created_s(const struct trib_sim_shop *s, int64_t order, const struct trib_sim_state *st)
{
    struct order_made m;
    order_make(s, order, &m);
    return created_s(s, order, &m, st);
}

/* 60 → 60.00, with 90 cents 59.90: the shop went from whole euros to prices that end in cents. */
static int64_t cents_of(const struct order_made *m, const struct trib_sim_state *st)
{
    if ((st->flags & TRIB_SIM_ON_REQUEST) != 0) {
        return 0;
    }
    return (int64_t)m->euros * 100 - (st->cents == 0 ? 0 : 100 - st->cents);
}

int64_t trib_sim_order_cents(const struct trib_sim_shop *s, int64_t order, const struct trib_sim_state *st)
{
    struct order_made m;
    order_make(s, order, &m);
    return cents_of(&m, st);
}

void trib_sim_customer_pk(int64_t customer, struct trib_buf *to)
{
    ADD(to, "CUSTOMER#");
    trib_sim_uint(to, (uint64_t)customer, 6);
}

void trib_sim_order_sk(int64_t order, struct trib_buf *to)
{
    ADD(to, "ORDER#");
    trib_sim_uint(to, (uint64_t)order, 7);
}

static void keys(struct trib_buf *to, int64_t customer, int64_t order)
{
    ADD(to, "\"pk\":{\"S\":\"");
    trib_sim_customer_pk(customer, to);
    if (order < 0) {
        ADD(to, "\"},\"sk\":{\"S\":\"PROFILE\"}");
        return;
    }
    ADD(to, "\"},\"sk\":{\"S\":\"");
    trib_sim_order_sk(order, to);
    ADD(to, "\"}");
}

void trib_sim_order_keys(const struct trib_sim_shop *s, int64_t order, struct trib_buf *to)
{
    trib_buf_addc(to, '{');
    keys(to, trib_sim_order_customer(s, order), order);
    trib_buf_addc(to, '}');
}

void trib_sim_customer_keys(int64_t customer, struct trib_buf *to)
{
    trib_buf_addc(to, '{');
    keys(to, customer, -1);
    trib_buf_addc(to, '}');
}

static void string_attr(struct trib_buf *to, const char *name, const char *json_text)
{
    ADD(to, ",\"");
    trib_buf_adds(to, name);
    ADD(to, "\":{\"S\":\"");
    trib_buf_adds(to, json_text);
    ADD(to, "\"}");
}

/* DynamoDB drops trailing zeros: 59.90 is 59.9. */
static void price_attr(struct trib_buf *to, int64_t cents)
{
    ADD(to, ",\"price\":{\"N\":\"");
    trib_sim_uint(to, (uint64_t)(cents / 100), 1);
    if (cents % 100 != 0) {
        trib_buf_addc(to, '.');
        trib_sim_uint(to, (uint64_t)(cents % 10 == 0 ? cents % 100 / 10 : cents % 100), cents % 10 == 0 ? 1 : 2);
    }
    ADD(to, "\"}");
}

static void full_name(struct trib_buf *to, uint64_t looks)
{
    trib_buf_adds(to, PICK(first_names, looks >> 8));
    trib_buf_addc(to, ' ');
    trib_buf_adds(to, PICK(last_names, looks >> 16));
}

/* The members of an address; looks decides. */
static void address(struct trib_buf *to, uint64_t looks)
{
    size_t c = (looks >> 24) % (sizeof cities / sizeof cities[0]);
    ADD(to, "{\"M\":{\"name\":{\"S\":\"");
    full_name(to, looks);
    ADD(to, "\"},\"street\":{\"S\":\"");
    trib_buf_adds(to, PICK(streets, looks >> 32));
    trib_buf_addc(to, ' ');
    trib_sim_uint(to, (looks >> 40) % 180 + 1, 1);
    ADD(to, "\"},\"zip\":{\"S\":\"");
    trib_buf_adds(to, cities[c].zip);
    ADD(to, "\"},\"city\":{\"S\":\"");
    trib_buf_adds(to, cities[c].city);
    ADD(to, "\"},\"country\":{\"S\":\"");
    trib_buf_adds(to, cities[c].country);
    ADD(to, "\"},\"geo\":{\"M\":{\"lat\":{\"N\":\"");
    trib_buf_adds(to, cities[c].lat);
    ADD(to, "\"},\"lon\":{\"N\":\"");
    trib_buf_adds(to, cities[c].lon);
    ADD(to, "\"}}}}}");
}

static void binary(struct trib_buf *to, struct trib_seeded *r, size_t n)
{
    unsigned char b[24];
    uint64_t x[3] = {trib_seeded_next(r), trib_seeded_next(r), trib_seeded_next(r)};
    memcpy(b, x, sizeof b);
    trib_buf_addc(to, '"');
    trib_sim_base64(to, b, n);
    trib_buf_addc(to, '"');
}

/* A set of distinct texts: neighbours in the table. */
static void string_set(struct trib_buf *to, const char *name, const char *const *table, size_t n_table, uint64_t looks)
{
    ADD(to, ",\"");
    trib_buf_adds(to, name);
    ADD(to, "\":{\"SS\":[");
    size_t n = 1 + looks % 3;
    for (size_t i = 0; i < n; i++) {
        trib_buf_adds(to, i == 0 ? "\"" : ",\"");
        trib_buf_adds(to, table[((looks >> 4) + i) % n_table]);
        trib_buf_addc(to, '"');
    }
    ADD(to, "]}");
}

static void order_lines(struct trib_buf *to, const struct order_made *m)
{
    ADD(to, ",\"lines\":{\"L\":[");
    for (unsigned i = 0; i < m->n_lines; i++) {
        trib_buf_adds(to, i == 0 ? "" : ",");
        ADD(to, "{\"M\":{\"sku\":{\"S\":\"");
        trib_buf_adds(to, products[m->lines[i].product].sku);
        ADD(to, "\"},\"title\":{\"S\":\"");
        trib_buf_adds(to, products[m->lines[i].product].title);
        ADD(to, "\"},\"qty\":{\"N\":\"");
        trib_sim_uint(to, m->lines[i].qty, 1);
        ADD(to, "\"}}}");
    }
    ADD(to, "]}");
}

/* Attributes that only some orders have: sets, binaries, a number of 38 digits, a note or NULL. */
static void order_extras(struct trib_buf *to, struct order_made *m, const struct trib_sim_state *st)
{
    uint64_t l = m->looks;
    if ((l & 3) == 0) {
        string_set(to, "tags", tags, sizeof tags / sizeof tags[0], l >> 2);
    }
    if ((l >> 6 & 3) == 0) { /* one parcel a line; a set: each weight once */
        ADD(to, ",\"parcel_grams\":{\"NS\":[\"");
        trib_sim_uint(to, products[m->lines[0].product].grams, 1);
        if (m->n_lines > 1 && m->lines[1].product != m->lines[0].product) {
            ADD(to, "\",\"");
            trib_sim_uint(to, products[m->lines[1].product].grams, 1);
        }
        ADD(to, "\"]}");
    }
    if ((l >> 8 & 3) == 0) {
        ADD(to, ",\"label\":{\"B\":");
        binary(to, &m->rng, 16 + (l >> 10) % 9);
        trib_buf_addc(to, '}');
    }
    if ((l >> 12 & 15) == 0) {
        ADD(to, ",\"scans\":{\"BS\":[");
        binary(to, &m->rng, 6);
        trib_buf_addc(to, ',');
        binary(to, &m->rng, 9);
        ADD(to, "]}");
    }
    if ((l >> 16 & 31) == 0) {
        ADD(to, ",\"customs_no\":{\"N\":\"");
        trib_sim_uint(to, 1000000000000000000U + trib_seeded_below(&m->rng, 8999999999999999999U), 19);
        trib_sim_uint(to, 1 + trib_seeded_below(&m->rng, 999999999999999999U) * 10, 19);
        ADD(to, "\"}");
    }
    if ((st->flags & TRIB_SIM_NO_NOTE) != 0) {
        ADD(to, ",\"note\":{\"NULL\":true}");
    } else if ((l >> 21 & 3) == 0) {
        string_attr(to, "note", PICK(notes, l >> 23));
    }
}

static void pad(struct trib_buf *to, size_t start, int64_t item_bytes, struct trib_seeded *r)
{
    static const char head[] = ",\"document\":{\"S\":\"";
    size_t want = (size_t)item_bytes, used = to->n - start + sizeof head - 1 + 4; /* and "}} */
    if (used >= want) {
        return;
    }
    ADD(to, head);
    while (to->n - start + 20 < want) {
        uint64_t x = trib_seeded_next(r);
        trib_buf_adds(to, PICK(words, x));
        trib_buf_addc(to, ' ');
        trib_sim_uint(to, (x >> 32) % 1000, 1);
        trib_buf_addc(to, ' ');
    }
    ADD(to, "\"}");
}

void trib_sim_order_json(const struct trib_sim_shop *s, int64_t order, const struct trib_sim_state *st,
                         struct trib_buf *to)
{
    struct order_made m;
    order_make(s, order, &m);
    size_t start = to->n;
    enum trib_sim_status status = st->status == TRIB_SIM_AS_MADE ? m.status : (enum trib_sim_status)st->status;
    int64_t created = created_s(s, order, &m, st);
    trib_buf_addc(to, '{');
    keys(to, trib_sim_order_customer(s, order), order);
    ADD(to, ",\"type\":{\"S\":\"order\"},\"status\":{\"S\":\"");
    trib_buf_adds(to, status_texts[status]);
    ADD(to, "\"},\"created_at\":{\"S\":\"");
    trib_sim_iso(to, created * 1000000, false);
    ADD(to, "\"}");
    if ((st->flags & TRIB_SIM_ON_REQUEST) != 0) {
        string_attr(to, "price", "on request");
    } else {
        price_attr(to, cents_of(&m, st));
    }
    ADD(to, ",\"currency\":{\"S\":\"EUR\"},\"version\":{\"N\":\"");
    trib_sim_uint(to, st->version + 1U, 1);
    ADD(to, "\"},\"gift\":{\"BOOL\":");
    trib_buf_adds(to, ((m.looks >> 40 & 7) == 0) != ((st->flags & TRIB_SIM_GIFT) != 0) ? "true}" : "false}");
    order_lines(to, &m);
    ADD(to, ",\"shipping\":");
    address(to, m.looks);
    order_extras(to, &m, st);
    if (status ==
        TRIB_SIM_CART) { /* the TTL attribute, epoch seconds. DynamoDB deletes some time after it, so an export has expired ones */
        ADD(to, ",\"expires_at\":{\"N\":\"");
        trib_sim_uint(to,
                      (uint64_t)(order < s->base_orders ? s->start_us / 1000000 - 1 - (int64_t)(m.looks >> 43 & 4095)
                                                        : created + 1800),
                      1);
        ADD(to, "\"}");
    }
    if (s->item_bytes > 0) {
        pad(to, start, s->item_bytes, &m.rng);
    }
    trib_buf_addc(to, '}');
}

void trib_sim_customer_json(const struct trib_sim_shop *s, int64_t customer, const struct trib_sim_state *st,
                            struct trib_buf *to)
{
    struct trib_seeded r = item_rng(s, 1, customer);
    uint64_t l = trib_seeded_next(&r), x = trib_seeded_next(&r);
    trib_buf_addc(to, '{');
    keys(to, customer, -1);
    ADD(to, ",\"type\":{\"S\":\"customer\"},\"name\":{\"S\":\"");
    full_name(to, l);
    ADD(to, "\"},\"email\":{\"S\":\"c");
    trib_sim_uint(to, (uint64_t)customer, 6);
    ADD(to, "@example.com\"},\"version\":{\"N\":\"");
    trib_sim_uint(to, st->version + 1U, 1);
    ADD(to, "\"},\"rating\":{\"N\":\"");
    trib_sim_uint(to, 1 + x % 4, 1);
    trib_buf_addc(to, '.');
    trib_sim_uint(to, 1 + (x >> 8) % 9, 1);
    ADD(to, "\"},\"newsletter\":{\"BOOL\":");
    trib_buf_adds(to, ((x >> 12 & 1) != 0) != ((st->flags & TRIB_SIM_GIFT) != 0) ? "true}" : "false}");
    if ((st->flags & TRIB_SIM_NO_NOTE) != 0 || (x >> 13 & 7) == 0) {
        ADD(to, ",\"phone\":{\"NULL\":true}");
    } else {
        ADD(to, ",\"phone\":{\"S\":\"+49 30 ");
        trib_sim_uint(to, (x >> 16) % 10000000, 7);
        ADD(to, "\"}");
    }
    ADD(to, ",\"address\":");
    address(to, l);
    string_set(to, "languages", languages, sizeof languages / sizeof languages[0], x >> 40);
    ADD(to, ",\"favourites\":{\"L\":[");
    for (uint64_t i = 0, n = x >> 46 & 3; i < n; i++) {
        trib_buf_adds(to, i == 0 ? "{\"S\":\"" : ",{\"S\":\"");
        trib_buf_adds(to, PICK(products, (x >> 48) + i).sku);
        ADD(to, "\"}");
    }
    ADD(to, "]}");
    if (st->status != 0) {
        string_attr(to, "loyalty_tier", tiers[st->status - 1]);
    }
    trib_buf_addc(to, '}');
}
