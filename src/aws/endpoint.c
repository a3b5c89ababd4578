/*
 * Where a service is: by partition, region, dual-stack and FIPS, or as the configuration says (AWS SDKs and Tools
 * Reference Guide, "Service-specific endpoints", "Dual-stack and FIPS endpoints"). Pure; any thread.
 */
#include <stdlib.h>
#include <string.h>

#include "aws/chain.h"

static const struct trib_aws_service services[] = {
    {"dynamodb", "dynamodb", "DYNAMODB", "1.0"},
    {"streams.dynamodb", "dynamodb", "DYNAMODB_STREAMS", "1.0"},
    {"kinesis", "kinesis", "KINESIS", "1.1"},
    {"s3", "s3", "S3", NULL},
    {"sqs", "sqs", "SQS", "1.0"},
    {"ssm", "ssm", "SSM", "1.1"},
    {"sts", "sts", "STS", NULL},
    {"monitoring", "monitoring", "CLOUDWATCH", "1.0"},
    {"portal.sso", "awsssoportal", "SSO", NULL},
    {"oidc", "sso-oauth", "SSO_OIDC", NULL},
};
static const struct trib_aws_service unknown = {"", "", "", "1.1"};

struct partition {
    const char *region_prefix, *suffix, *dual_suffix;
};
static const struct partition partitions[] = {
    {"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
    {"eusc-", "amazonaws.eu", "api.amazonwebservices.eu"},
    {"us-iso-", "c2s.ic.gov", "api.aws.ic.gov"},
    {"us-isob-", "sc2s.sgov.gov", "api.aws.scloud"},
    {"eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},
    {"us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"},
    {"", "amazonaws.com", "api.aws"}, /* GovCloud too */
};

const struct trib_aws_service *trib_aws_service(const char *prefix)
{
    for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
        if (strcmp(services[i].prefix, prefix) == 0) {
            return &services[i];
        }
    }
    return &unknown;
}

static const struct partition *partition_of(const char *region)
{
    const struct partition *p = partitions;
    while (strncmp(region, p->region_prefix, strlen(p->region_prefix)) != 0) {
        p++;
    }
    return p;
}

/* https://HOST of AWS. Names differ by service: "s3.dualstack", "streams-dynamodb", "portal.sso-fips". */
static char *aws_endpoint(const struct trib_aws *a, const char *service, const char *region)
{
    const struct partition *p = partition_of(region);
    bool s3 = strcmp(service, "s3") == 0, streams = strcmp(service, "streams.dynamodb") == 0;
    /* In GovCloud the plain names are FIPS endpoints, and the only ones. */
    bool fips = a->fips && (s3 || a->dual_stack || strncmp(region, "us-gov-", 7) != 0);
    if (s3) {
        return trib_asprintf("https://s3%s%s.%s.%s", fips ? "-fips" : "", a->dual_stack ? ".dualstack" : "", region,
                             p->suffix);
    }
    const char *name = streams && a->dual_stack ? "streams-dynamodb" : service;
    return trib_asprintf("https://%s%s.%s.%s", name, fips ? "-fips" : "", region,
                         a->dual_stack ? p->dual_suffix : p->suffix);
}

static char *lower(const char *s)
{
    char *to = trib_strdup(s);
    for (char *c = to; *c != '\0'; c++) {
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
    }
    return to;
}

/* What somebody set, the most particular first; NULL. */
static const char *set_endpoint(const struct trib_aws *a, const struct trib_aws_service *s)
{
    if (a->endpoint_url != NULL) {
        return a->endpoint_url;
    }
    const char *ignore = trib_aws_env(a, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
    if (ignore != NULL && strcmp(ignore, "true") == 0) {
        return NULL;
    }
    TRIB_CLEANUP(trib_cleanup_free) char *variable = trib_asprintf("AWS_ENDPOINT_URL_%s", s->setting);
    TRIB_CLEANUP(trib_cleanup_free) char *key = lower(s->setting);
    const char *url = *s->setting == '\0' ? NULL : trib_aws_env(a, variable);
    url = url != NULL ? url : trib_aws_env(a, "AWS_ENDPOINT_URL");
    const char *section = trib_profiles_get(a->profiles, a->profile, "services");
    if (url == NULL && section != NULL && *s->setting != '\0') {
        url = trib_profiles_section(a->profiles, "services", section, key, "endpoint_url");
    }
    return url != NULL ? url : trib_profiles_get(a->profiles, a->profile, "endpoint_url");
}

char *trib_aws_endpoint(const struct trib_aws *a, const char *service)
{
    return trib_aws_endpoint_in(a, service, a->region);
}

bool trib_aws_endpoint_own(const struct trib_aws *a, const char *service)
{
    return set_endpoint(a, trib_aws_service(service)) == NULL;
}

char *trib_aws_endpoint_in(const struct trib_aws *a, const char *service, const char *region)
{
    const char *set = set_endpoint(a, trib_aws_service(service));
    if (set == NULL) {
        return aws_endpoint(a, service, region);
    }
    size_t n = strlen(set);
    while (n > 0 && set[n - 1] == '/') {
        n--;
    }
    return trib_strndup(set, n);
}

/* http(s)://host[:port][/path]: no user, no query, nothing that would have to be encoded. */
int trib_aws_check_url(const char *url, const char *what, struct trib_err *err)
{
    const char *host = url == NULL                        ? "h"
                       : strncmp(url, "http://", 7) == 0  ? url + 7
                       : strncmp(url, "https://", 8) == 0 ? url + 8
                                                          : "";
    bool fine = *host != '\0' && *host != '/' && strpbrk(host, "@?# \t\r\n\\") == NULL;
    return fine ? 0 : trib_err_set(err, TRIB_E_CONFIG, "%s is no URL like http://host:port or https://host/path", what);
}
