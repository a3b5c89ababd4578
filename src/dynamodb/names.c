/* Names of attribute types, operations and origins, as they stand in data and in tables. Pure; any thread. */
#include "dynamodb/change.h"
#include "dynamodb/item.h"
#include "dynamodb/json.h"

static const char *const ATTR_TYPES[] = {
    [TRIB_A_S] = "S", [TRIB_A_N] = "N", [TRIB_A_B] = "B",   [TRIB_A_BOOL] = "BOOL", [TRIB_A_NULL] = "NULL",
    [TRIB_A_M] = "M", [TRIB_A_L] = "L", [TRIB_A_SS] = "SS", [TRIB_A_NS] = "NS",     [TRIB_A_BS] = "BS",
};

const char *trib_attr_type_text(enum trib_attr_type t) { return ATTR_TYPES[t]; }

bool trib_attr_type_parse(struct trib_view v, enum trib_attr_type *ret)
{
    switch (v.n) { /* once for every value of every record */
    case 1:
        switch (v.p[0]) {
        case 'S': *ret = TRIB_A_S; return true;
        case 'N': *ret = TRIB_A_N; return true;
        case 'B': *ret = TRIB_A_B; return true;
        case 'M': *ret = TRIB_A_M; return true;
        case 'L': *ret = TRIB_A_L; return true;
        default: return false;
        }
    case 2:
        *ret = v.p[0] == 'S' ? TRIB_A_SS : v.p[0] == 'N' ? TRIB_A_NS : TRIB_A_BS;
        return v.p[1] == 'S' && (v.p[0] == 'S' || v.p[0] == 'N' || v.p[0] == 'B');
    case 4:
        *ret = v.p[0] == 'B' ? TRIB_A_BOOL : TRIB_A_NULL;
        return memcmp(v.p, "BOOL", 4) == 0 || memcmp(v.p, "NULL", 4) == 0;
    default: return false;
    }
}

bool trib_typed_open(struct trib_json *j, enum trib_attr_type *ret)
{
    const char *p = j->p;
    if (j->end - p >= 6 && p[0] == '{' && p[1] == '"') { /* compact text, as AWS writes it */
        size_t n = p[3] == '"' ? 1 : p[4] == '"' ? 2 : 0;
        if (n > 0 && p[3 + n] == ':' && trib_attr_type_parse((struct trib_view){p + 2, n}, ret)) {
            j->p = p + n + 4;
            return true;
        }
    }
    struct trib_view tag;
    bool escaped;
    return trib_json_take(j, '{') && trib_json_text(j, &tag, &escaped) && !escaped && trib_attr_type_parse(tag, ret) &&
           trib_json_take(j, ':');
}

const char *trib_op_text(enum trib_op op)
{
    static const char *const TEXT[] = {
        [TRIB_OP_INSERT] = "INSERT", [TRIB_OP_MODIFY] = "MODIFY", [TRIB_OP_REMOVE] = "REMOVE"};
    return TEXT[op];
}

const char *trib_origin_text(enum trib_origin o)
{
    static const char *const TEXT[] = {
        [TRIB_ORIGIN_STREAM] = "stream",     [TRIB_ORIGIN_KINESIS] = "kinesis", [TRIB_ORIGIN_EXPORT] = "export",
        [TRIB_ORIGIN_SCAN] = "scan",         [TRIB_ORIGIN_POLL] = "poll",       [TRIB_ORIGIN_DMS] = "dms",
        [TRIB_ORIGIN_SNAPSHOT] = "snapshot",
    };
    return TEXT[o];
}
