/*
 * Envelopes: one whole, valid JSON value → a change record, several of them, or a reason why not (reader.h; dynamodb.md). The
 * images are spans; schema/decode checks them. Pure.
 */
#include <stdio.h>
#include <stdlib.h>

#include "dynamodb/item.h"
#include "dynamodb/reader.h"

enum { STREAMS_DIGITS = 40, KINESIS_DIGITS = 64 };

static enum trib_envelope bad_record(struct trib_bad *bad, const char *reason)
{
    (void)snprintf(bad->reason, sizeof bad->reason, "%s", reason);
    return TRIB_ENVELOPE_BAD;
}

struct member {
    struct trib_view name, value;
};

/* The next member of an object; the cursor stands behind '{' or ','. Values are valid already. */
static bool next_member(struct trib_json *j, struct member *m)
{
    bool escaped;
    if (!trib_json_text(j, &m->name, &escaped) || !trib_json_take(j, ':') || !trib_json_skip(j, 512, &m->value)) {
        return false;
    }
    (void)trib_json_take(j, ',');
    return true;
}

static struct trib_view find(struct trib_view object, const char *name)
{
    struct trib_json j = trib_json_of(object);
    struct member m;
    if (!trib_json_take(&j, '{')) {
        return (struct trib_view){NULL, 0};
    }
    while (next_member(&j, &m)) {
        if (trib_view_is(m.name, name)) {
            return m.value;
        }
    }
    return (struct trib_view){NULL, 0};
}

static bool is_object(struct trib_view v) { return v.n > 0 && v.p[0] == '{'; }
static bool is_array(struct trib_view v) { return v.n > 0 && v.p[0] == '['; }

/* The text of a JSON string without escapes; n 0 otherwise. */
static struct trib_view plain(struct trib_view v)
{
    if (v.n < 2 || v.p[0] != '"' || memchr(v.p, '\\', v.n) != NULL) {
        return (struct trib_view){NULL, 0};
    }
    return (struct trib_view){v.p + 1, v.n - 2};
}

/* A decimal number of seconds, ms or µs → µs, without a double. */
static bool time_us(struct trib_view text, int scale, int64_t *ret)
{
    if (text.n > 1 && text.p[0] == '"') {
        text = plain(text);
    }
    struct trib_number n;
    int64_t us;
    if (!trib_number_parse(text, &n)) {
        return false;
    }
    n.exponent += scale;
    if (n.exponent < 0) { /* below a microsecond: cut off */
        int drop = -n.exponent;
        n.n_digits = n.n_digits > drop ? (uint8_t)(n.n_digits - drop) : 0;
        n.exponent = 0;
    }
    if (!trib_number_to_i64(&n, &us) || us < 0) {
        return false;
    }
    *ret = us;
    return true;
}

static bool service_delete(struct trib_view identity)
{
    struct trib_view type = plain(find(identity, "type")), who = plain(find(identity, "principalId"));
    type = type.n > 0 ? type : plain(find(identity, "Type"));
    who = who.n > 0 ? who : plain(find(identity, "PrincipalId"));
    return trib_view_is(type, "Service") && trib_view_is(who, "dynamodb.amazonaws.com");
}

/* Digits, at most this many, without leading zeros. */
static bool sequence_number(struct trib_view v, size_t most, struct trib_view *ret)
{
    struct trib_view d = plain(v);
    if (d.n == 0) {
        d = v;
    }
    while (d.n > 1 && d.p[0] == '0') {
        d.p++;
        d.n--;
    }
    for (size_t i = 0; i < d.n; i++) {
        if (d.p[i] < '0' || d.p[i] > '9') {
            return false;
        }
    }
    if (d.n < 1 || d.n > most) {
        return false;
    }
    *ret = d;
    return true;
}

struct envelope {
    struct trib_view event_name, event_id, dynamodb, identity, format, table, source_arn, number, item, items, records,
        metadata, keys, new_image, old_image, put, del, requests;
    size_t n;
};

static void collect(struct trib_view value, struct envelope *e)
{
    static const struct {
        const char *name;
        size_t at;
    } known[] = {{"eventName", offsetof(struct envelope, event_name)},
                 {"eventID", offsetof(struct envelope, event_id)},
                 {"dynamodb", offsetof(struct envelope, dynamodb)},
                 {"userIdentity", offsetof(struct envelope, identity)},
                 {"recordFormat", offsetof(struct envelope, format)},
                 {"tableName", offsetof(struct envelope, table)},
                 {"eventSourceARN", offsetof(struct envelope, source_arn)},
                 {TRIB_KINESIS_NUMBER, offsetof(struct envelope, number)},
                 {"Item", offsetof(struct envelope, item)},
                 {"Items", offsetof(struct envelope, items)},
                 {"Records", offsetof(struct envelope, records)},
                 {"Metadata", offsetof(struct envelope, metadata)},
                 {"Keys", offsetof(struct envelope, keys)},
                 {"NewImage", offsetof(struct envelope, new_image)},
                 {"OldImage", offsetof(struct envelope, old_image)},
                 {"PutRequest", offsetof(struct envelope, put)},
                 {"DeleteRequest", offsetof(struct envelope, del)},
                 {"RequestItems", offsetof(struct envelope, requests)}};
    struct trib_json j = trib_json_of(value);
    struct member m;
    *e = (struct envelope){0};
    (void)trib_json_take(&j, '{');
    while (next_member(&j, &m)) {
        e->n++;
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            if (trib_view_is(m.name, known[i].name)) {
                memcpy((char *)e + known[i].at, &m.value, sizeof m.value);
                break;
            }
        }
    }
}

static bool parse_op(struct trib_view name, enum trib_op *ret)
{
    static const char *const names[] = {"INSERT", "MODIFY", "REMOVE"};
    for (int i = 0; i < 3; i++) {
        if (trib_view_is(name, names[i])) {
            *ret = (enum trib_op)i;
            return true;
        }
    }
    return false;
}

/* NAME of arn:…:table/NAME/stream/LABEL; n 0 for another text. */
static struct trib_view table_of_arn(struct trib_view arn)
{
    static const char before[] = ":table/";
    const char *p = arn.n == 0 ? NULL : memmem(arn.p, arn.n, before, sizeof before - 1);
    if (p == NULL) {
        return (struct trib_view){NULL, 0};
    }
    p += sizeof before - 1;
    size_t n = (size_t)(arn.p + arn.n - p);
    const char *slash = memchr(p, '/', n);
    return (struct trib_view){p, slash == NULL ? n : (size_t)(slash - p)};
}

/* One stream or folder may carry several tables, whose keys look alike: merged into one, they would overwrite each other. */
static bool of_another_table(const struct envelope *e, const char *table, struct trib_bad *bad)
{
    struct trib_view named = e->table.n > 0 ? e->table : e->source_arn;
    if (table == NULL || named.n < 2 || named.p[0] != '"') {
        return false;
    }
    char *text = trib_malloc(named.n + 1); /* unescaped: some writers put "\/" */
    ssize_t n = trib_json_unescape((struct trib_view){named.p + 1, named.n - 2}, text);
    struct trib_view name = {text, n > 0 ? (size_t)n : 0};
    if (e->table.n == 0) {
        name = table_of_arn(name);
    }
    bool other = name.n > 0 && !trib_view_is(name, table);
    if (other) {
        (void)snprintf(
            bad->reason, sizeof bad->reason,
            "the record belongs to the DynamoDB table %.*s, not to %.80s: give each table a folder of its own",
            (int)(name.n < 80 ? name.n : 80), name.p, table);
    }
    free(text);
    return other;
}

static enum trib_envelope stream_record(const struct envelope *e, const char *table, struct trib_change *c,
                                        struct trib_bad *bad)
{
    if (of_another_table(e, table, bad)) {
        return TRIB_ENVELOPE_BAD;
    }
    struct envelope d;
    collect(e->dynamodb, &d);
    struct trib_view number = find(e->dynamodb, "SequenceNumber"),
                     time = find(e->dynamodb, "ApproximateCreationDateTime");
    bool kinesis = e->format.n > 0 || (e->table.n > 0 && number.n == 0);
    *c = (struct trib_change){.kind = kinesis ? TRIB_KIND_KINESIS : TRIB_KIND_STREAMS,
                              .keys = d.keys,
                              .new_image = d.new_image,
                              .old_image = d.old_image,
                              .event_id = plain(e->event_id),
                              .time_us = -1,
                              .base64_twice = kinesis,
                              .ttl = is_object(e->identity) && service_delete(e->identity)};
    if (!parse_op(plain(e->event_name), &c->op)) {
        return bad_record(bad, "eventName is not INSERT, MODIFY or REMOVE");
    }
    if (!is_object(c->keys)) {
        return bad_record(bad, "the record has no Keys");
    }
    if (c->op != TRIB_OP_REMOVE && !is_object(c->new_image)) {
        return bad_record(bad,
                          "the record has no NewImage: the stream's view type must be NEW_IMAGE or NEW_AND_OLD_IMAGES");
    }
    if (c->op == TRIB_OP_REMOVE) {
        c->new_image = (struct trib_view){NULL, 0};
    }
    if (!is_object(c->old_image)) {
        c->old_image = (struct trib_view){NULL, 0};
    }
    if (kinesis) { /* a foreign one is nothing to us */
        c->table = plain(e->table);
        (void)sequence_number(e->number, KINESIS_DIGITS, &c->sequence_number);
    } else if (!sequence_number(number, STREAMS_DIGITS, &c->sequence_number)) {
        return bad_record(bad, "SequenceNumber is missing, or not 1 to 40 digits");
    }
    struct trib_view precision = plain(find(e->dynamodb, "ApproximateCreationDateTimePrecision"));
    int scale = !kinesis ? 6 : trib_view_is(precision, "MICROSECOND") ? 0 : 3;
    if (!time_us(time, scale, &c->time_us)) {
        return bad_record(bad, "ApproximateCreationDateTime is missing, or not a number");
    }
    return TRIB_ENVELOPE_CHANGE;
}

static enum trib_envelope incremental(const struct envelope *e, struct trib_change *c, struct trib_bad *bad)
{
    *c = (struct trib_change){.kind = TRIB_KIND_INCREMENTAL_EXPORT,
                              .keys = e->keys,
                              .new_image = e->new_image,
                              .old_image = e->old_image,
                              .time_us = -1};
    if (!time_us(plain(find(find(e->metadata, "WriteTimestampMicros"), "N")), 0, &c->time_us)) {
        return bad_record(bad, "Metadata.WriteTimestampMicros is missing, or not a number");
    }
    if (!is_object(c->keys)) {
        return bad_record(bad, "the record has no Keys");
    }
    c->op = !is_object(c->new_image) ? TRIB_OP_REMOVE : is_object(c->old_image) ? TRIB_OP_MODIFY : TRIB_OP_INSERT;
    return TRIB_ENVELOPE_CHANGE;
}

static enum trib_envelope item(struct trib_view image, const struct trib_reader_opts *o, struct trib_change *c)
{
    *c = (struct trib_change){.kind = o->kind == TRIB_KIND_FULL_EXPORT ? TRIB_KIND_FULL_EXPORT : TRIB_KIND_ITEM,
                              .op = TRIB_OP_INSERT,
                              .new_image = image,
                              .time_us = -1};
    return TRIB_ENVELOPE_CHANGE;
}

/* Every value is an object with exactly one DynamoDB type. */
static bool is_item(struct trib_view value)
{
    struct trib_json j = trib_json_of(value);
    struct member m, tag;
    bool any = false;
    (void)trib_json_take(&j, '{');
    while (next_member(&j, &m)) {
        enum trib_attr_type type;
        struct trib_json in = trib_json_of(m.value);
        if (!trib_json_take(&in, '{') || !next_member(&in, &tag) || !trib_attr_type_parse(tag.name, &type) ||
            !trib_json_take(&in, '}')) {
            return false;
        }
        any = true;
    }
    return any;
}

static enum trib_envelope write_request(const struct envelope *e, const struct trib_reader_opts *o,
                                        struct trib_change *c, struct trib_bad *bad)
{
    struct trib_view image = find(e->put, "Item"), key = find(e->del, "Key");
    if (is_object(image)) {
        return item(image, o, c);
    }
    if (!is_object(key)) {
        return bad_record(bad, "a write request is neither PutRequest with Item nor DeleteRequest with Key");
    }
    *c = (struct trib_change){.kind = TRIB_KIND_ITEM, .op = TRIB_OP_REMOVE, .keys = key, .time_us = -1};
    return TRIB_ENVELOPE_CHANGE;
}

static enum trib_envelope open_array(struct trib_container *c, struct trib_view array, bool bare, bool requests)
{
    *c = (struct trib_container){.active = true, .bare = bare, .requests = requests, .at = trib_json_of(array)};
    (void)trib_json_take(&c->at, '[');
    return TRIB_ENVELOPE_CONTAINER;
}

/* {"Table":[{"PutRequest":…}]}: this table's requests. With one table in the file its name need not match. */
static bool batch_write(struct trib_container *c, struct trib_view value, const struct trib_reader_opts *o)
{
    struct trib_json j = trib_json_of(value);
    struct member m;
    struct trib_view mine = {NULL, 0}, only = {NULL, 0};
    size_t n = 0;
    (void)trib_json_take(&j, '{');
    while (next_member(&j, &m)) {
        struct trib_json in = trib_json_of(m.value);
        struct trib_view first;
        if (!is_array(m.value) || !trib_json_take(&in, '[') || !trib_json_skip(&in, 512, &first) ||
            (!is_object(find(first, "PutRequest")) && !is_object(find(first, "DeleteRequest")))) {
            return false;
        }
        n++;
        only = m.value;
        if (o->table != NULL && trib_view_is(m.name, o->table)) {
            mine = m.value;
        }
    }
    if (n == 0) {
        return false;
    }
    if (mine.p == NULL && n == 1 && o->table == NULL) {
        mine = only;
    }
    static const char none[] = "[]";
    (void)open_array(c, mine.p != NULL ? mine : TRIB_VIEW_LIT(none), false, true);
    return true;
}

static enum trib_envelope one(struct trib_view value, const struct trib_reader_opts *o, struct trib_container *c,
                              struct trib_change *change, struct trib_bad *bad)
{
    if (!is_object(value)) {
        return bad_record(bad, "JSON, but not a DynamoDB record: an object is expected");
    }
    struct envelope e;
    collect(value, &e);
    if (is_item(value)) { /* first: an item's attributes may be called anything, "dynamodb" too */
        return item(value, o, change);
    }
    if (is_object(e.dynamodb) && e.event_name.n > 0) {
        return stream_record(&e, o->table, change, bad);
    }
    if (is_object(e.metadata) && is_object(find(e.metadata, "WriteTimestampMicros"))) {
        return incremental(&e, change, bad);
    }
    if (is_object(e.put) || is_object(e.del)) {
        return write_request(&e, o, change, bad);
    }
    if (is_object(e.item) && is_item(e.item)) {
        return item(e.item, o, change);
    }
    if (c != NULL && is_array(e.records)) {
        return open_array(c, e.records, false, false);
    }
    if (c != NULL && is_array(e.items)) {
        return open_array(c, e.items, true, false);
    }
    if (c != NULL && is_object(e.requests) && batch_write(c, e.requests, o)) {
        return TRIB_ENVELOPE_CONTAINER;
    }
    if (c != NULL && e.n > 0 && batch_write(c, value, o)) {
        return TRIB_ENVELOPE_CONTAINER;
    }
    return bad_record(bad, "JSON, but not DynamoDB's: no change record, export line or item with typed values");
}

enum trib_envelope trib_envelope_open(struct trib_container *c, struct trib_view value,
                                      const struct trib_reader_opts *o, struct trib_change *change,
                                      struct trib_bad *bad)
{
    if (!trib_utf8_valid(value)) {
        return bad_record(bad, "invalid UTF-8");
    }
    return one(value, o, c, change, bad);
}

bool trib_change_of(struct trib_view text, unsigned depth, struct trib_change *ret, struct trib_bad *ret_bad)
{
    static const struct trib_reader_opts none = {.kind = TRIB_KIND_AUTO};
    struct trib_json j = trib_json_of(text);
    struct trib_view value;
    *ret_bad = (struct trib_bad){0};
    if (text.n == 0 || !trib_json_ws(&j) || !trib_json_skip(&j, depth, &value) || trib_json_ws(&j)) {
        (void)bad_record(ret_bad, "not one whole JSON value");
        return false;
    }
    return trib_envelope_open(NULL, value, &none, ret, ret_bad) == TRIB_ENVELOPE_CHANGE;
}

enum trib_envelope trib_container_next(struct trib_container *c, const struct trib_reader_opts *o,
                                       struct trib_change *change, struct trib_bad *bad)
{
    struct trib_view value;
    if (!trib_json_ws(&c->at) || *c->at.p == ']' || !trib_json_skip(&c->at, 512, &value)) {
        return TRIB_ENVELOPE_NONE;
    }
    (void)trib_json_take(&c->at, ',');
    c->last = value;
    return one(value, o, NULL, change, bad);
}
