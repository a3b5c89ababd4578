/* Names of attribute types, operations and origins, as they stand in data and in tables. Pure; any thread. */
#include "dynamodb/change.h"
#include "dynamodb/item.h"

static const char *const ATTR_TYPES[] = {
    [TRIB_A_S] = "S", [TRIB_A_N] = "N", [TRIB_A_B] = "B",   [TRIB_A_BOOL] = "BOOL", [TRIB_A_NULL] = "NULL",
    [TRIB_A_M] = "M", [TRIB_A_L] = "L", [TRIB_A_SS] = "SS", [TRIB_A_NS] = "NS",     [TRIB_A_BS] = "BS",
};

const char *trib_attr_type_text(enum trib_attr_type t) { return ATTR_TYPES[t]; }

bool trib_attr_type_parse(struct trib_view v, enum trib_attr_type *ret)
{
    for (unsigned i = 0; i < sizeof ATTR_TYPES / sizeof *ATTR_TYPES; i++) {
        if (trib_view_is(v, ATTR_TYPES[i])) {
            *ret = (enum trib_attr_type)i;
            return true;
        }
    }
    return false;
}

const char *trib_op_text(enum trib_op op)
{
    static const char *const TEXT[] = {[TRIB_OP_INSERT] = "INSERT", [TRIB_OP_MODIFY] = "MODIFY", [TRIB_OP_REMOVE] = "REMOVE"};
    return TEXT[op];
}

const char *trib_origin_text(enum trib_origin o)
{
    static const char *const TEXT[] = {
        [TRIB_ORIGIN_STREAM] = "stream", [TRIB_ORIGIN_KINESIS] = "kinesis", [TRIB_ORIGIN_EXPORT] = "export",
        [TRIB_ORIGIN_SCAN] = "scan",     [TRIB_ORIGIN_POLL] = "poll",       [TRIB_ORIGIN_DMS] = "dms",
        [TRIB_ORIGIN_SNAPSHOT] = "snapshot",
    };
    return TEXT[o];
}
