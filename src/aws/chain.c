/* The order in which credentials are looked for (chain.h; AWS SDKs and Tools Reference Guide, "Standardized credential
 * providers"). */
#include "aws/chain.h"

#include <stdlib.h>

static const char *env_of(const struct trib_aws *a, const char *name)
{
    const char *v = a->host.getenv(a->host.getenv_ctx, name);
    return v == NULL || *v == '\0' ? NULL : v;
}

static int from_environment(struct trib_aws *a, struct trib_aws_credentials *ret, struct trib_err *err)
{
    const char *id = env_of(a, "AWS_ACCESS_KEY_ID"), *secret = env_of(a, "AWS_SECRET_ACCESS_KEY");
    if (id == NULL && secret == NULL) {
        return trib_err_set(err, TRIB_E_NOT_FOUND, "no AWS_ACCESS_KEY_ID");
    }
    if (id == NULL || secret == NULL) {
        return trib_err_set(err, TRIB_E_CONFIG, "%s is set without %s: set both or none",
                            id != NULL ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
                            id != NULL ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
    }
    *ret = trib_aws_credentials_make(id, secret, env_of(a, "AWS_SESSION_TOKEN"), INT64_MAX, "environment");
    return 0;
}

int trib_aws_chain(struct trib_aws *a, struct trib_aws_credentials *ret, struct trib_err *err)
{
    return from_environment(a, ret, err);
}

char *trib_aws_imds_region(struct trib_aws *a)
{
    (void)a;
    return NULL;
}
