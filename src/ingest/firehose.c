/* See firehose.h. One pass over the text, recursive as the values are, no tree. */
#include "ingest/firehose.h"

#include <stdlib.h>
#include <strings.h>

#include "dynamodb/json.h"

enum { DEPTH = 160 };

enum wrote { NOTHING, SOMETHING, BROKEN };

struct name {
    struct trib_view raw; /* as written, escapes and all */
    bool escaped;
};

typedef enum wrote (*put_fn)(struct trib_json *j, struct trib_buf *to, unsigned depth);
/* What a member of this name becomes: its name there, and how its value is written. */
struct member {
    const char *name;
    put_fn put;
};
/* The member for a name; name NULL: as it is. */
typedef struct member (*member_fn)(struct trib_view name);

static bool same_name(struct trib_view v, const char *s) { return v.n == strlen(s) && strncasecmp(v.p, s, v.n) == 0; }

static bool is_null(struct trib_json j) { return trib_json_ws(&j) && j.end - j.p >= 4 && memcmp(j.p, "null", 4) == 0; }

static enum wrote put_raw(struct trib_json *j, struct trib_buf *to, unsigned depth)
{
    (void)depth;
    struct trib_view span;
    if (!trib_json_skip(j, DEPTH, &span)) {
        return BROKEN;
    }
    trib_buf_add(to, span.p, span.n);
    return SOMETHING;
}

/* A string that holds the JSON text of an object: the text itself; any other string as it is. */
static enum wrote put_embedded(struct trib_json *j, struct trib_buf *to)
{
    struct trib_view raw;
    bool escaped;
    if (!trib_json_text(j, &raw, &escaped)) {
        return BROKEN;
    }
    size_t before = to->n;
    char *text = trib_buf_reserve(to, raw.n + 2);
    if (text == NULL) {
        return BROKEN;
    }
    ssize_t n = trib_json_unescape(raw, text);
    struct trib_json inner = {text, text + (n > 0 ? n : 0)};
    if (n > 0 && trib_json_ws(&inner) && *inner.p == '{' && trib_json_skip(&inner, DEPTH, NULL) &&
        !trib_json_ws(&inner)) {
        to->n = before + (size_t)n;
        return SOMETHING;
    }
    trib_buf_addc(to, '"');
    trib_buf_add(to, raw.p, raw.n);
    trib_buf_addc(to, '"');
    return n < 0 ? BROKEN : SOMETHING;
}

/* An object, its null members left out; NOTHING (and nothing written) when none is left and empty objects mean nothing. */
static enum wrote put_object(struct trib_json *j, struct trib_buf *to, unsigned depth, member_fn member,
                             bool may_be_empty)
{
    if (depth == 0) {
        return BROKEN;
    }
    if (trib_json_ws(j) && *j->p == '"') {
        return put_embedded(j, to);
    }
    if (!trib_json_take(j, '{')) {
        return put_raw(j, to, depth);
    }
    size_t begin = to->n, members = 0;
    trib_buf_addc(to, '{');
    if (!trib_json_take(j, '}')) {
        do {
            struct name name;
            if (!trib_json_text(j, &name.raw, &name.escaped) || !trib_json_take(j, ':')) {
                return BROKEN;
            }
            if (is_null(*j)) {
                (void)trib_json_skip(j, 1, NULL);
                continue;
            }
            size_t before = to->n;
            struct member m = member(name.raw);
            trib_buf_adds(to, members > 0 ? ",\"" : "\"");
            if (m.name != NULL) {
                trib_buf_adds(to, m.name);
            } else {
                trib_buf_add(to, name.raw.p, name.raw.n);
            }
            trib_buf_adds(to, "\":");
            enum wrote w = m.put(j, to, depth - 1);
            if (w == BROKEN) {
                return BROKEN;
            }
            members += w == SOMETHING;
            to->n = w == NOTHING ? before : to->n;
        } while (trib_json_take(j, ','));
        if (!trib_json_take(j, '}')) {
            return BROKEN;
        }
    }
    if (members == 0 && !may_be_empty) {
        to->n = begin;
        return NOTHING;
    }
    trib_buf_addc(to, '}');
    return SOMETHING;
}

static enum wrote put_list(struct trib_json *j, struct trib_buf *to, unsigned depth, put_fn element)
{
    if (depth == 0) {
        return BROKEN;
    }
    if (!trib_json_take(j, '[')) {
        return put_raw(j, to, depth);
    }
    trib_buf_addc(to, '[');
    if (!trib_json_take(j, ']')) {
        bool first = true;
        do {
            trib_buf_adds(to, first ? "" : ",");
            first = false;
            size_t before = to->n;
            enum wrote w = element(j, to, depth - 1);
            if (w == BROKEN) {
                return BROKEN;
            }
            if (w == NOTHING) {
                to->n = before;
                trib_buf_adds(to, "{}"); /* a value without a type: told as bad, not dropped */
            }
        } while (trib_json_take(j, ','));
        if (!trib_json_take(j, ']')) {
            return BROKEN;
        }
    }
    trib_buf_addc(to, ']');
    return SOMETHING;
}

/* ---- typed values ------------------------------------------------------------------------------------------------- */

/* N as text, whatever the schema made of it. */
static enum wrote put_number(struct trib_json *j, struct trib_buf *to, unsigned depth)
{
    bool number = trib_json_ws(j) && (*j->p == '-' || (*j->p >= '0' && *j->p <= '9'));
    trib_buf_adds(to, number ? "\"" : "");
    enum wrote w = put_raw(j, to, depth);
    trib_buf_adds(to, number ? "\"" : "");
    return w;
}

static enum wrote put_numbers(struct trib_json *j, struct trib_buf *to, unsigned depth)
{
    return put_list(j, to, depth, put_number);
}

/* BOOL and NULL as literals. */
static enum wrote put_literal(struct trib_json *j, struct trib_buf *to, unsigned depth)
{
    if (!trib_json_ws(j) || *j->p != '"') {
        return put_raw(j, to, depth);
    }
    struct trib_view raw;
    bool escaped;
    if (!trib_json_text(j, &raw, &escaped)) {
        return BROKEN;
    }
    trib_buf_adds(to, same_name(raw, "true") ? "true" : same_name(raw, "false") ? "false" : "null");
    return SOMETHING;
}

static enum wrote put_typed(struct trib_json *j, struct trib_buf *to, unsigned depth);
static enum wrote put_typed_list(struct trib_json *j, struct trib_buf *to, unsigned depth)
{
    return put_list(j, to, depth, put_typed);
}

static struct member attribute(struct trib_view name)
{
    (void)name;
    return (struct member){NULL, put_typed};
}

static enum wrote put_image(struct trib_json *j, struct trib_buf *to, unsigned depth)
{
    return put_object(j, to, depth, attribute, true);
}

static struct member by_name(struct trib_view name, const struct member *known, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (same_name(name, known[i].name)) {
            return known[i];
        }
    }
    return (struct member){NULL, put_raw};
}

static struct member tag(struct trib_view name)
{
    static const struct member known[] = {
        {"S", put_raw},   {"N", put_number},     {"B", put_raw},  {"BOOL", put_literal}, {"NULL", put_literal},
        {"M", put_image}, {"L", put_typed_list}, {"SS", put_raw}, {"NS", put_numbers},   {"BS", put_raw}};
    return by_name(name, known, sizeof known / sizeof *known);
}

static enum wrote put_typed(struct trib_json *j, struct trib_buf *to, unsigned depth)
{
    return put_object(j, to, depth, tag, false);
}

/* ---- the envelope ------------------------------------------------------------------------------------------------- */

static struct member identity_member(struct trib_view name)
{
    static const struct member known[] = {{"type", put_raw}, {"principalId", put_raw}};
    return by_name(name, known, 2);
}

static enum wrote put_identity(struct trib_json *j, struct trib_buf *to, unsigned depth)
{
    return put_object(j, to, depth, identity_member, false);
}

static struct member change_member(struct trib_view name)
{
    static const struct member known[] = {{"ApproximateCreationDateTime", put_raw},
                                          {"ApproximateCreationDateTimePrecision", put_raw},
                                          {"Keys", put_image},
                                          {"NewImage", put_image},
                                          {"OldImage", put_image},
                                          {"SequenceNumber", put_raw},
                                          {"SizeBytes", put_raw},
                                          {"StreamViewType", put_raw}};
    return by_name(name, known, sizeof known / sizeof *known);
}

static enum wrote put_change(struct trib_json *j, struct trib_buf *to, unsigned depth)
{
    return put_object(j, to, depth, change_member, true);
}

static struct member record_member(struct trib_view name)
{
    static const struct member known[] = {
        {"awsRegion", put_raw},    {"eventID", put_raw},     {"eventName", put_raw},
        {"eventVersion", put_raw}, {"eventSource", put_raw}, {"recordFormat", put_raw},
        {"tableName", put_raw},    {"dynamodb", put_change}, {"userIdentity", put_identity}};
    return by_name(name, known, sizeof known / sizeof *known);
}

bool trib_firehose_record(struct trib_view row, struct trib_buf *to)
{
    size_t before = to->n;
    struct trib_json j = trib_json_of(row);
    if (!trib_json_ws(&j) || *j.p != '{' || put_object(&j, to, DEPTH, record_member, true) != SOMETHING ||
        to->overflow) {
        to->n = before;
        return false;
    }
    return true;
}
