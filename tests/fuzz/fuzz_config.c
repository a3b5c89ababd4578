/*
 * The configuration's parser on any bytes. Beyond not crashing: a config that is accepted has what the rest of the program relies on, its
 * effective form is accepted too, and no substituted value shows in a report or in the effective form.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/config_own.h"

#define SECRET "quoth-the-raven"

static const char *variable(void *ctx, const char *name)
{
    (void)ctx;
    return strlen(name) % 2 == 0 ? SECRET : NULL;
}

static int read_file(void *ctx, const char *path, struct trib_buf *to, struct trib_err *err)
{
    (void)ctx;
    if (strlen(path) % 3 == 0) {
        return trib_err_set(err, TRIB_E_NOT_FOUND, "no file");
    }
    trib_buf_adds(to, SECRET "\n");
    return 0;
}

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check(const struct trib_config *c)
{
    must(c->pipeline != NULL && c->lake != NULL && c->state != NULL && c->n_tables > 0 && c->batch_files > 0 &&
         c->batch_bytes > 0);
    for (size_t i = 0; i < c->n_tables; i++) {
        const struct trib_cfg_table *t = &c->tables[i];
        must(t->name != NULL && t->partition.name != NULL && t->source_path != NULL && t->n_silver > 0 &&
             t->max_columns > 0);
        for (size_t k = 0; k < t->n_silver; k++) {
            must(trib_value_name(t->silver[k].domain) && trib_value_name(t->silver[k].table) &&
                 t->silver[k].updated_at != NULL);
        }
    }
    for (size_t i = 0; i < c->n_gold; i++) {
        must(trib_value_name(c->gold[i].subject) && trib_value_name(c->gold[i].name) && c->gold[i].sql_path != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct trib_config_world world = {variable, read_file, NULL, "/conf"};
    struct trib_view text = {(const char *)data, size};
    struct trib_config *c = NULL;
    char *report = NULL;
    struct trib_err err = {0};
    bool tells = memmem(data, size, SECRET, strlen(SECRET)) != NULL; /* the text itself may hold it */
    if (trib_config_parse_in(text, "f.yaml", &world, &c, &report, &err) != 0) {
        must(err.code == TRIB_E_CONFIG && report != NULL && strncmp(report, "f.yaml:", 7) == 0);
        must(tells || strstr(report, SECRET) == NULL);
        free(report);
        return 0;
    }
    check(c);
    struct trib_buf b;
    trib_buf_init(&b, (size_t)64 << 20);
    trib_config_effective(c, &b);
    must(tells || strstr(b.p, SECRET) == NULL);
    bool secrets = c->own->secrets.n > 0;
    trib_config_free(c);
    if (!secrets && b.n < TRIB_CONFIG_FILE_MAX) { /* with *** in their place values may no longer be good */
        must(trib_config_parse_in(trib_buf_view(&b), "f.yaml", &world, &c, NULL, &err) == 0);
        trib_config_free(c);
    }
    trib_buf_free(&b);
    return 0;
}
