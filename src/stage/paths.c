/*
 * Where things lie in the lake, and what the stages are called in the tables' transaction identifiers (spec: interface.md,
 * Lake layout; merge.md, Positions). Pure text. Threads: any.
 */
#include <string.h>

#include "stage/stage.h"

static bool safe_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
}

/* A path component from data. DynamoDB's table names pass unchanged; anything that a store, a glob or a shell could read
 * otherwise is percent-escaped, and "." and ".." are no components. */
static void add_component(struct trib_buf *to, const char *name)
{
    bool dots = name[strspn(name, ".")] == '\0';
    for (const char *p = name; *p != '\0'; p++) {
        if (safe_char(*p) && !(dots && *p == '.')) {
            trib_buf_addc(to, *p);
        } else {
            trib_buf_addf(to, "%%%02X", (unsigned char)*p);
        }
    }
    if (*name == '\0') {
        trib_buf_adds(to, "%00");
    }
}

static char *path_of(const char *folder, const char *first, const char *second)
{
    struct trib_buf b;
    trib_buf_init(&b, (size_t)1 << 20);
    trib_buf_adds(&b, folder);
    trib_buf_addc(&b, '/');
    add_component(&b, first);
    if (second != NULL) {
        trib_buf_addc(&b, '/');
        add_component(&b, second);
    }
    return trib_buf_take(&b);
}

char *trib_path_bronze(const char *table) { return path_of("bronze/dynamodb", table, NULL); }
char *trib_path_files(const char *table) { return path_of("bronze/_files", table, NULL); }
char *trib_path_silver(const char *domain, const char *table) { return path_of("silver", domain, table); }
char *trib_path_gold(const char *subject, const char *mart) { return path_of("gold", subject, mart); }
char *trib_path_quarantine(const char *table) { return path_of("quarantine/dynamodb", table, NULL); }
char *trib_path_landing(const char *table) { return path_of("raw/dynamodb", table, NULL); }

struct trib_delta trib_env_delta(const struct trib_env *env, struct trib_conn *conn, char *path)
{
    return (struct trib_delta){.store = env->lake,
                               .path = path,
                               .conn = conn,
                               .clock = env->clock,
                               .rng = env->rng,
                               .scratch = env->scratch,
                               .settle = !env->reads_only};
}

char *trib_app_bronze(const char *pipeline, const char *table)
{
    return trib_asprintf("tributary.%s.%s", pipeline, table);
}

char *trib_app_silver(const char *pipeline, const char *domain, const char *table)
{
    return trib_asprintf("tributary.%s.%s/%s", pipeline, domain, table);
}

int32_t trib_utc_days(int64_t us)
{
    const int64_t day = INT64_C(86400) * 1000000;
    return (int32_t)(us >= 0 ? us / day : -((-us + day - 1) / day));
}

/* Days to a civil date by eras of 400 years; the year begins in March, so that the leap day comes last. */
void trib_utc_date(int64_t us, char to[11])
{
    int64_t z = (int64_t)trib_utc_days(us) + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    unsigned day = (unsigned)(doy - (153 * mp + 2) / 5 + 1) % 100;
    unsigned month = (unsigned)(mp < 10 ? mp + 3 : mp - 9) % 100;
    unsigned year = (unsigned)(yoe + era * 400 + (month <= 2)) % 10000;
    char text[16] = {(char)('0' + year / 1000),
                     (char)('0' + year / 100 % 10),
                     (char)('0' + year / 10 % 10),
                     (char)('0' + year % 10),
                     '-',
                     (char)('0' + month / 10),
                     (char)('0' + month % 10),
                     '-',
                     (char)('0' + day / 10),
                     (char)('0' + day % 10),
                     '\0'};
    memcpy(to, text, 11);
}
