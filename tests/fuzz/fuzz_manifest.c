/* Manifests of exports: any bytes. What is accepted names files below the export's root only, each with a count. */
#include <stdint.h>
#include <stdlib.h>

#include "ingest/manifest.h"

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const places[] = {"in/AWSDynamoDB/0171/manifest-summary.json", "copy/manifest-summary.json"};
    const char *text = (const char *)data, *cut = size == 0 ? NULL : memchr(text, '\n', size);
    size_t n = cut == NULL ? size : (size_t)(cut - text);
    struct trib_view summary = {text, n}, files = {text + n, size - n};
    for (size_t i = 0; i < 2; i++) {
        struct trib_manifest m = {0};
        struct trib_err err;
        if (trib_manifest_parse(summary, files, places[i], &m, &err) != 0) {
            must(m.n_files == 0 && err.msg[0] != '\0');
            continue;
        }
        for (size_t k = 0; k < m.n_files; k++) {
            must(strncmp(m.files[k].key, i == 0 ? "in/AWSDynamoDB/" : "copy/", i == 0 ? 15 : 5) == 0);
            must(strstr(m.files[k].key, "/../") == NULL && m.files[k].items >= 0);
        }
        trib_manifest_free(&m);
    }
    return 0;
}
