/* What `dms` and `snapshot` sources say beside their path → struct trib_config. Part of config_bind.c's pass. */
#include <stdlib.h>
#include <string.h>

#include "pipeline/config_own.h"

static bool occurs(const struct trib_cfg_dms *d, const char *name)
{
    for (size_t i = 0; i < d->n_columns; i++) {
        if (strcmp(d->columns[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void bind_columns(struct trib_cfg_work *w, const struct trib_yaml *list, struct trib_cfg_table *t)
{
    struct trib_cfg_dms *d = &t->dms;
    if (list == NULL || list->kind != TRIB_YAML_LIST) {
        return;
    }
    d->columns = trib_calloc(list->n + 1, sizeof *d->columns);
    for (size_t i = 0; i < list->n; i++) {
        const struct trib_yaml *y = list->values[i];
        if (y->kind != TRIB_YAML_SCALAR || trib_yaml_null(y)) {
            continue; /* config_check.c said it */
        }
        if (y->text[0] == '\0' || occurs(d, y->text)) {
            trib_problem_at(w->problems, y, "`source.columns`: %s stands there twice, or is empty",
                            trib_yaml_show(y, w->arena));
        }
        d->columns[d->n_columns++] = trib_strdup(y->text);
    }
    if (d->n_columns == 0) {
        trib_problem_at(w->problems, list,
                        "`source.columns` is empty: leave it out where the files name their columns");
        return;
    }
    const char *const keys[] = {t->partition.name, t->sort.name};
    for (size_t k = 0; k < 2; k++) {
        if (keys[k] != NULL && !occurs(d, keys[k])) {
            trib_problem_at(w->problems, list, "`source.columns` lacks `%s`, which `key` names", keys[k]);
        }
    }
}

void trib_config_bind_dms(struct trib_cfg_work *w, const struct trib_yaml *source, struct trib_cfg_table *t)
{
    struct trib_cfg_dms *d = &t->dms;
    d->timestamp = trib_bind_copy(source, "tables.source.timestamp");
    d->null_value = trib_bind_copy(source, "tables.source.null_value");
    TRIB_CLEANUP(trib_cleanup_free) char *delimiter = trib_bind_copy(source, "tables.source.delimiter");
    bool tab = strcmp(delimiter, "\\t") == 0;
    d->delimiter = tab ? '\t' : delimiter[0];
    if ((!tab && strlen(delimiter) != 1) || d->delimiter == '"' || d->delimiter == '\n' || d->delimiter == '\r') {
        trib_problem_at(w->problems, trib_yaml_get(source, "delimiter"),
                        "`source.delimiter`: one character is needed, or \\t; a quote cannot be one");
        d->delimiter = ',';
    }
    bind_columns(w, trib_yaml_get(source, "columns"), t);
    const char *const keys[] = {t->partition.name, t->sort.name};
    for (size_t k = 0; k < 2 && d->timestamp != NULL; k++) {
        if (keys[k] != NULL && strcmp(keys[k], d->timestamp) == 0) {
            trib_problem_at(w->problems, trib_yaml_get(source, "timestamp"),
                            "`source.timestamp`: `%s` is a key; the column that DMS adds is needed", d->timestamp);
        }
    }
}

void trib_config_bind_snapshot(const struct trib_yaml *source, struct trib_cfg_table *t)
{
    t->snapshot = (struct trib_cfg_snapshot){.max_removed = trib_bind_number(source, "tables.source.max_removed"),
                                             .accept = trib_bind_copy(source, "tables.source.accept")};
}

void trib_config_check_snapshot(struct trib_cfg_work *w, const struct trib_yaml *at, const struct trib_cfg_table *t)
{
    bool whole = false;
    for (size_t i = 0; i < t->n_silver; i++) {
        whole |= t->silver[i].where == NULL;
    }
    if (!whole) {
        trib_problem_at(
            w->problems, at,
            "a `snapshot` is compared with Silver, so it needs one target that holds every item: one without `where`");
    }
}

void trib_config_free_files(struct trib_cfg_table *t)
{
    for (size_t i = 0; i < t->dms.n_columns; i++) {
        free(t->dms.columns[i]);
    }
    free(t->dms.columns);
    free(t->dms.timestamp);
    free(t->dms.null_value);
    free(t->snapshot.accept);
}
