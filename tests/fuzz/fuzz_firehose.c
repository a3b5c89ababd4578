/* Rows of Firehose's Parquet: any bytes. A row that is valid JSON gives valid JSON; a refused one gives nothing. */
#include <stdint.h>
#include <stdlib.h>

#include "dynamodb/json.h"
#include "ingest/firehose.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trib_view row = {(const char *)data, size};
    struct trib_buf to;
    trib_buf_init(&to, (size_t)16 << 20);
    trib_buf_adds(&to, "kept");
    bool given = trib_firehose_record(row, &to);
    struct trib_json j = trib_json_of(row);
    bool whole = trib_json_skip(&j, 100, NULL);
    if (!given && to.n != 4) {
        abort();
    }
    struct trib_json k = {to.p + 4, to.p + to.n};
    if (given && whole && !trib_json_skip(&k, 400, NULL)) {
        abort();
    }
    trib_buf_free(&to);
    return 0;
}
