/*
 * Every flag of every verb, declared once. The parser, help, the man page, the command reference and the completions are made
 * from this table; the environment twin of a flag is TRIBUTARY_<FLAG>.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

#define AT(field) offsetof(struct trib_flags, field)

static const struct trib_flag flags[] = {
    {"config", 'c', TRIB_FLAG_TEXT, "FILE", NULL,
     "the configuration; else ./tributary.yaml, $XDG_CONFIG_HOME/tributary/tributary.yaml, /etc/tributary/tributary.yaml",
     AT(config), 0, true, NULL},
    {"table", 0, TRIB_FLAG_LIST, "NAME", NULL,
     "only this DynamoDB table; may be given several times (in the variable: separated by commas)", AT(tables), 0, true,
     NULL},
    {"output", 0, TRIB_FLAG_CHOICE, "table|json|jsonl|csv", "table", "form of the results on stdout", AT(output),
     AT(output_given), true, NULL},
    {"progress", 0, TRIB_FLAG_CHOICE, "auto|plain|json|none", "auto",
     "progress on stderr; auto: bars on a terminal, plain lines otherwise", AT(progress), 0, true, NULL},
    {"log-format", 0, TRIB_FLAG_CHOICE, "text|json", "text", "form of the log on stderr", AT(log_format), 0, true,
     NULL},
    {"verbose", 'v', TRIB_FLAG_BOOL, NULL, NULL, "more detail in the log and in the results", AT(verbose), 0, true,
     NULL},
    {"help", 'h', TRIB_FLAG_BOOL, NULL, NULL, "show help, also for a verb, and exit", AT(help), 0, true, NULL},
    {"version", 'V', TRIB_FLAG_BOOL, NULL, NULL, "show the version and those of the libraries inside, and exit",
     AT(version), 0, true, NULL},
    {"once", 0, TRIB_FLAG_BOOL, NULL, NULL,
     "take everything that is there, then exit (availableNow), whatever the trigger", AT(once), 0, false, NULL},
    {"at", 0, TRIB_FLAG_TEXT, "VERSION|TIMESTAMP", NULL,
     "the state as of a version (of one table) or of a time (of all tables)", AT(at), 0, false, NULL},
    {"limit", 0, TRIB_FLAG_COUNT, "N", NULL, "at most N of them, the newest first", AT(limit), 0, false, NULL},
    {"out", 0, TRIB_FLAG_TEXT, "DIR", NULL, "the folder to write into", AT(out), 0, false, NULL},
    {"seed", 0, TRIB_FLAG_COUNT, "N", "1", "the same seed gives the same data", AT(seed), 0, false, NULL},
    {"items", 0, TRIB_FLAG_COUNT, "N", "1000", "items in the export", AT(items), 0, false, NULL},
    {"changes", 0, TRIB_FLAG_COUNT, "N", "600", "changes after the export", AT(changes), 0, false, NULL},
    {"rate", 0, TRIB_FLAG_COUNT, "N", NULL,
     "changes a second, by their own time; else they are spread over three hours", AT(rate), 0, false, NULL},
    {"item-bytes", 0, TRIB_FLAG_COUNT, "N", NULL, "pad orders to about N bytes each, at most 400000", AT(item_bytes), 0,
     false, NULL},
    {"live", 0, TRIB_FLAG_BOOL, NULL, NULL, "deliver the changes in real time, at --rate, under the wall clock's time",
     AT(live), 0, false, NULL},
    {"force", 0, TRIB_FLAG_BOOL, NULL, NULL, "overwrite a file that exists", AT(force), 0, false, NULL},
    {"json", 0, TRIB_FLAG_BOOL, NULL, NULL, "as JSON Schema (2020-12), for editors", AT(json), 0, false, NULL},
    {"sample", 0, TRIB_FLAG_COUNT, "N", NULL, "compare about N random keys only", AT(sample), 0, false, NULL},
    /* Of the contract, not here yet: refused by name instead of "unknown". */
    {"online", 0, TRIB_FLAG_BOOL, NULL, NULL, NULL, 0, 0, false, "checks against AWS"},
    {"dry-run", 0, TRIB_FLAG_BOOL, NULL, NULL, NULL, 0, 0, false, "upkeep"},
    {"repair", 0, TRIB_FLAG_BOOL, NULL, NULL, NULL, 0, 0, false, "`verify --repair`"},
    {"key", 0, TRIB_FLAG_TEXT, "K", NULL, NULL, 0, 0, false, "`forget`"},
    {"to", 0, TRIB_FLAG_TEXT, "ENGINE", NULL, NULL, 0, 0, false, "`handover`"},
};

const struct trib_flag *trib_flags_table(size_t *ret_n)
{
    *ret_n = sizeof flags / sizeof flags[0];
    return flags;
}

const struct trib_flag *trib_flag_find(const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (strlen(flags[i].name) == n && memcmp(flags[i].name, name, n) == 0) {
            return &flags[i];
        }
    }
    return NULL;
}

bool trib_verb_takes(const struct trib_verb *v, const struct trib_flag *f)
{
    if (f->later != NULL) {
        return false;
    }
    if (f->common) {
        return true;
    }
    size_t n = strlen(f->name);
    for (const char *p = v == NULL ? NULL : v->flags; p != NULL && *p != '\0';) {
        size_t k = strcspn(p, " ");
        if (k == n && memcmp(p, f->name, n) == 0) {
            return true;
        }
        p += k + (p[k] == ' ');
    }
    return false;
}

char *trib_flag_variable(const struct trib_flag *f)
{
    char *s = trib_asprintf("TRIBUTARY_%s", f->name);
    for (char *p = s + strlen("TRIBUTARY_"); *p != '\0'; p++) {
        *p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
    }
    return s;
}
