/* Reads manifests; see manifest.h. Owns nothing but what it returns; never touches the store. */
#include "ingest/manifest.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static const char root_name[] = "AWSDynamoDB/";

const char *trib_export_tail(const char *key)
{
    const char *tail = NULL;
    for (const char *p = key; (p = strstr(p, root_name)) != NULL; p++) {
        if (p == key || p[-1] == '/') {
            tail = p + sizeof root_name - 1;
        }
    }
    return tail;
}

static bool digits(const char **p, int n, int *ret)
{
    int value = 0;
    for (int i = 0; i < n; i++) {
        if ((*p)[i] < '0' || (*p)[i] > '9') {
            return false;
        }
        value = value * 10 + ((*p)[i] - '0');
    }
    *p += n;
    *ret = value;
    return true;
}

static bool skip(const char **p, char c)
{
    if (**p != c) {
        return false;
    }
    (*p)++;
    return true;
}

static int64_t days_of(int year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t era = y / 400, yoe = y - era * 400;
    int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

bool trib_iso_time(const char *text, int64_t *ret_us)
{
    int year, month, day, hour, minute, second;
    const char *p = text;
    if (!digits(&p, 4, &year) || !skip(&p, '-') || !digits(&p, 2, &month) || !skip(&p, '-') || !digits(&p, 2, &day) ||
        !skip(&p, 'T') || !digits(&p, 2, &hour) || !skip(&p, ':') || !digits(&p, 2, &minute) || !skip(&p, ':') ||
        !digits(&p, 2, &second)) {
        return false;
    }
    int64_t us = 0, unit = 100000;
    if (*p == '.') {
        for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10) {
            us += (*p - '0') * unit;
        }
    }
    if (strcmp(p, "Z") != 0 || year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 ||
        minute > 59 || second > 60) {
        return false;
    }
    *ret_us = ((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60 * 1000000 + (int64_t)second * 1000000 + us;
    return true;
}

static const char *text_at(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s != NULL ? s : "";
}

static int time_at(const json_t *o, const char *name, int64_t *ret, const char *where, struct trib_err *err)
{
    const char *text = text_at(o, name);
    if (!trib_iso_time(text, ret)) {
        return trib_err_set(err, TRIB_E_DATA, "%s: %s is \"%s\", not a time such as 2024-05-14T11:14:20.608Z", where,
                            name, text);
    }
    return 0;
}

/* No absolute keys, no empty, "." or ".." components: a manifest must not lead out of its export. */
static bool plain_key(const char *key)
{
    for (const char *p = key;;) {
        size_t n = strcspn(p, "/");
        if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.')) {
            return false;
        }
        if (p[n] == '\0') {
            return true;
        }
        p += n + 1;
    }
}

static int reroot(const char *s3_key, const char *summary_key, const char *id, const char *where, char **ret,
                  struct trib_err *err)
{
    const char *tail = trib_export_tail(s3_key);
    if (tail == NULL || !plain_key(tail)) {
        return trib_err_set(err, TRIB_E_DATA, "%s: dataFileS3Key \"%s\" names no file below AWSDynamoDB/", where,
                            s3_key);
    }
    const char *own = trib_export_tail(summary_key);
    if (own != NULL) {
        *ret = trib_asprintf("%.*s%s", (int)(own - summary_key), summary_key, tail);
        return 0;
    }
    const char *slash = strrchr(summary_key, '/');
    int folder = slash == NULL ? 0 : (int)(slash - summary_key + 1);
    size_t n = strlen(id);
    if (n > 0 && strncmp(tail, id, n) == 0 && tail[n] == '/') {
        tail += n + 1;
    }
    *ret = trib_asprintf("%.*s%s", folder, summary_key, tail);
    return 0;
}

static int base64_md5(const char *text, unsigned char to[16])
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (strlen(text) != 24 || strcmp(text + 22, "==") != 0) {
        return -1;
    }
    unsigned bits = 0, have = 0;
    size_t n = 0;
    for (int i = 0; i < 22; i++) {
        const char *at = strchr(alphabet, text[i]);
        if (at == NULL) {
            return -1;
        }
        bits = (bits << 6 | (unsigned)(at - alphabet)) & 0xFFFFFF;
        have += 6;
        if (have >= 8) {
            have -= 8;
            to[n++] = (unsigned char)(bits >> have);
        }
    }
    return 0;
}

static int parse_file(const json_t *o, const char *summary_key, const struct trib_manifest *m, const char *where,
                      struct trib_manifest_file *ret, struct trib_err *err)
{
    const char *key = text_at(o, "dataFileS3Key");
    const json_t *items = json_object_get(o, "itemCount");
    if (*key == '\0') {
        return trib_err_set(err, TRIB_E_DATA, "%s: an entry without dataFileS3Key", where);
    }
    if (!json_is_integer(items) || json_integer_value(items) < 0) {
        return trib_err_set(err, TRIB_E_DATA, "%s: the entry of %s has no itemCount", where, key);
    }
    struct trib_manifest_file f = {.items = json_integer_value(items)};
    if (base64_md5(text_at(o, "md5Checksum"), f.md5) != 0) {
        return trib_err_set(err, TRIB_E_DATA, "%s: the entry of %s has no md5Checksum that is the base64 of an MD5",
                            where, key);
    }
    TRIB_TRY(reroot(key, summary_key, m->id, where, &f.key, err));
    *ret = f;
    return 0;
}

/* One object after the other, on lines or not. */
static int parse_files(struct trib_view text, const char *summary_key, const char *where, struct trib_manifest *m,
                       struct trib_err *err)
{
    size_t cap = 0;
    for (size_t at = 0;;) {
        at += strspn(text.p + at, " \t\r\n");
        if (at >= text.n) {
            return 0;
        }
        json_error_t je;
        json_t *o = json_loadb(text.p + at, text.n - at, JSON_DISABLE_EOF_CHECK, &je);
        if (!json_is_object(o)) {
            json_decref(o);
            return trib_err_set(err, TRIB_E_DATA, "%s: no JSON object at byte %zu (%s)", where, at,
                                o == NULL ? je.text : "another value");
        }
        at += (size_t)je.position;
        TRIB_GROW(m->files, cap, m->n_files + 1);
        int rc = parse_file(o, summary_key, m, where, &m->files[m->n_files], err);
        json_decref(o);
        TRIB_TRY(rc);
        m->n_files++;
    }
}

static char *id_of(const json_t *o)
{
    const char *tail = trib_export_tail(text_at(o, "manifestFilesS3Key"));
    if (tail != NULL) {
        return trib_strndup(tail, strcspn(tail, "/"));
    }
    const char *arn = strstr(text_at(o, "exportArn"), "/export/");
    return trib_strdup(arn != NULL ? arn + strlen("/export/") : "");
}

static int parse_summary(const json_t *o, const char *where, struct trib_manifest *m, struct trib_err *err)
{
    const char *format = text_at(o, "outputFormat"), *type = text_at(o, "exportType");
    m->id = id_of(o);
    const char *arn = strstr(text_at(o, "tableArn"), ":table/");
    m->table = arn == NULL ? trib_strdup("") : trib_strndup(arn + 7, strcspn(arn + 7, "/"));
    if (strcmp(format, "ION") == 0) {
        return trib_err_set(err, TRIB_E_UNSUPPORTED,
                            "%s: the export's output format is ION; export again with DYNAMODB_JSON", where);
    }
    if (*format != '\0' && strcmp(format, "DYNAMODB_JSON") != 0) {
        return trib_err_set(err, TRIB_E_UNSUPPORTED, "%s: unknown output format \"%s\"; export with DYNAMODB_JSON",
                            where, format);
    }
    if (*type != '\0' && strcmp(type, "FULL_EXPORT") != 0 && strcmp(type, "INCREMENTAL_EXPORT") != 0) {
        return trib_err_set(err, TRIB_E_UNSUPPORTED, "%s: unknown export type \"%s\"", where, type);
    }
    m->incremental =
        strcmp(type, "INCREMENTAL_EXPORT") == 0 || (*type == '\0' && json_object_get(o, "exportFromTime") != NULL);
    if (m->incremental) {
        TRIB_TRY(time_at(o, "exportFromTime", &m->from_us, where, err));
        return time_at(o, "exportToTime", &m->time_us, where, err);
    }
    return time_at(o, "exportTime", &m->time_us, where, err);
}

static int parse(const json_t *o, struct trib_view files, const char *summary_key, struct trib_manifest *m,
                 struct trib_err *err)
{
    TRIB_TRY(parse_summary(o, summary_key, m, err));
    const char *slash = strrchr(summary_key, '/');
    TRIB_CLEANUP(trib_cleanup_free)
    char *files_key =
        trib_asprintf("%.*smanifest-files.json", slash == NULL ? 0 : (int)(slash - summary_key + 1), summary_key);
    TRIB_TRY(parse_files(files, summary_key, files_key, m, err));
    int64_t items = 0;
    for (size_t i = 0; i < m->n_files; i++) {
        items += m->files[i].items;
    }
    const json_t *total = json_object_get(o, "itemCount");
    if (json_is_integer(total) && json_integer_value(total) != items) {
        return trib_err_set(
            err, TRIB_E_DATA,
            "%s: itemCount is %lld, but the files of manifest-files.json have %lld together: a part of it is missing",
            summary_key, (long long)json_integer_value(total), (long long)items);
    }
    return 0;
}

int trib_manifest_parse(struct trib_view summary, struct trib_view files, const char *summary_key,
                        struct trib_manifest *ret, struct trib_err *err)
{
    json_error_t je;
    json_t *o = json_loadb(summary.p == NULL ? "" : summary.p, summary.n, 0, &je);
    if (!json_is_object(o)) {
        int rc = trib_err_set(err, TRIB_E_DATA, "%s: no JSON object (line %d: %s)", summary_key, je.line,
                              o == NULL ? je.text : "another value");
        json_decref(o);
        return rc;
    }
    struct trib_manifest m = {0};
    TRIB_CLEANUP(trib_cleanup_free) char *text = trib_strndup(files.p == NULL ? "" : files.p, files.n); /* terminated */
    int rc = parse(o, (struct trib_view){text, files.n}, summary_key, &m, err);
    json_decref(o);
    if (rc != 0) {
        trib_manifest_free(&m);
        return rc;
    }
    *ret = m;
    return 0;
}

void trib_manifest_free(struct trib_manifest *m)
{
    for (size_t i = 0; i < m->n_files; i++) {
        free(m->files[i].key);
    }
    free(m->files);
    free(m->id);
    free(m->table);
    *m = (struct trib_manifest){0};
}
