/* Documents of the JSON services (json.h), over jansson. Any thread. */
#include "aws/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int trib_aws_json_parse(struct trib_view body, const char *what, json_t **ret, struct trib_err *err)
{
    json_error_t why;
    json_t *j = json_loadb(body.n == 0 ? "" : body.p, body.n, JSON_ALLOW_NUL, &why);
    if (!json_is_object(j)) {
        json_decref(j);
        return trib_err_set(err, TRIB_E_DATA, "%s: the answer is no JSON object (%zu bytes)", what, body.n);
    }
    *ret = j;
    return 0;
}

char *trib_aws_json_text(const json_t *j)
{
    char *s = json_dumps(j, JSON_COMPACT);
    return s != NULL ? s : trib_strdup("{}");
}

int trib_aws_json(struct trib_aws *a, const char *service, const char *target, const json_t *request, json_t **ret,
                  struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *text = request == NULL ? trib_strdup("{}") : trib_aws_json_text(request);
    struct trib_aws_call c = {.service = service, .target = target, .body = trib_view_of(text)};
    int rc = trib_aws_call(a, &c, err);
    if (rc == 0) {
        rc = trib_aws_json_parse(trib_buf_view(&c.response.body), target, ret, err);
    }
    trib_http_response_free(&c.response);
    return rc;
}

json_t *trib_aws_json_at(const json_t *j, const char *path)
{
    json_t *at = (json_t *)(uintptr_t)j;
    while (at != NULL && *path != '\0') {
        size_t n = strcspn(path, ".");
        char *name = trib_strndup(path, n);
        at = json_object_get(at, name);
        free(name);
        path += n + (path[n] == '.');
    }
    return at;
}

const char *trib_aws_json_string(const json_t *j, const char *path)
{
    return json_string_value(trib_aws_json_at(j, path));
}

static void wipe(json_t *j)
{
    const char *key;
    json_t *v;
    size_t i;
    if (json_is_string(j)) {
        explicit_bzero((void *)(uintptr_t)json_string_value(j), json_string_length(j));
    }
    json_object_foreach(j, key, v) { wipe(v); }
    json_array_foreach(j, i, v) { wipe(v); }
}

void trib_aws_json_wipe(json_t *j)
{
    wipe(j);
    json_decref(j);
}

bool trib_aws_time_us(const char *text, int64_t *ret_us)
{
    struct tm tm = {0};
    const char *p = text == NULL ? NULL : strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (p == NULL) {
        return false;
    }
    int64_t us = (int64_t)timegm(&tm) * 1000000, unit = 100000;
    if (*p == '.') {
        for (p++; *p >= '0' && *p <= '9'; p++) {
            us += unit * (*p - '0');
            unit /= 10;
        }
    }
    int hours = 0, minutes = 0, used = 0;
    char sign[2];
    if (strcmp(p, "Z") == 0 || strcmp(p, "UTC") == 0) {
        *ret_us = us;
        return true;
    }
    if (sscanf(p, "%1[+-]%2d:%2d%n", sign, &hours, &minutes, &used) != 3 || p[used] != '\0') {
        return false;
    }
    int64_t offset = ((int64_t)hours * 60 + minutes) * 60000000;
    *ret_us = *p == '-' ? us + offset : us - offset;
    return true;
}
