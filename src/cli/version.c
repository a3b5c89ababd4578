/* `tributary --version`: the versions of what is inside. */
#include <jansson.h>
#include <openssl/crypto.h>
#include <xxhash.h>
#include <yaml.h>
#include <zlib.h>
#include <zstd.h>

#include "cli/cli.h"
#include "engine/engine.h"

void trib_cli_versions(struct trib_buf *to)
{
    int major, minor, patch;
    yaml_get_version(&major, &minor, &patch);
    unsigned xxh = XXH_versionNumber();
    trib_buf_addf(to, "tributary %s\n", TRIB_VERSION);
    trib_buf_addf(to, "  DuckDB   %s\n", trib_engine_version());
    trib_buf_addf(to, "  libyaml  %d.%d.%d\n", major, minor, patch);
    trib_buf_addf(to, "  jansson  %s\n", jansson_version_str());
    trib_buf_addf(to, "  zstd     %s\n", ZSTD_versionString());
    trib_buf_addf(to, "  zlib     %s\n", zlibVersion());
    trib_buf_addf(to, "  OpenSSL  %s\n", OpenSSL_version(OPENSSL_VERSION_STRING));
    trib_buf_addf(to, "  xxHash   %u.%u.%u\n", xxh / 10000, xxh / 100 % 100, xxh % 100);
}
