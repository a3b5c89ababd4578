/* Payloads of deletion vectors: the first two bytes are the cardinality, the rest is the payload. Ascending rows, or an error. */
#include <stdint.h>
#include <stdlib.h>

#include "delta/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    uint64_t *rows;
    size_t n;
    struct trib_err err;
    int64_t cardinality = data[0] | data[1] << 8;
    int rc = trib_dv_parse((struct trib_view){(const char *)data + 2, size - 2}, cardinality, &rows, &n, &err);
    if (rc != 0) {
        return rc == TRIB_E_DATA ? 0 : (abort(), 0);
    }
    if (n != (size_t)cardinality) {
        abort();
    }
    for (size_t i = 1; i < n; i++) {
        if (rows[i - 1] > rows[i]) {
            abort();
        }
    }
    free(rows);
    return 0;
}
