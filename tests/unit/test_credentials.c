/* aws: every provider of credentials over a scripted network and files of the test's own; refresh, expiry, no secret told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "aws/json.h"
#include "os/os.h"
#include "support/scripted_net.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define ANSWER(wants, status, body)                   \
    {                                                 \
        wants, status, NULL, body, NULL, false, false \
    }
#define SILENCE(wants)                                 \
    {                                                  \
        wants, 0, NULL, NULL, "no route", false, false \
    }
#define STS(action, id, until)                                                         \
    "<" action "Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><" action \
    "Result><Credentials><AccessKeyId>" id "</AccessKeyId><SecretAccessKey>S3CRET-" id \
    "</SecretAccessKey><SessionToken>T0KEN-" id "</SessionToken><Expiration>" until    \
    "</Expiration></Credentials></" action "Result></" action "Response>"

static char *dir;

static int setup(void **state)
{
    (void)state;
    struct trib_err err;
    return trib_scratch_make(NULL, &dir, &err);
}

static int teardown(void **state)
{
    (void)state;
    trib_scratch_remove(dir);
    free(dir);
    return 0;
}

/* A file in the test's folder. [out] free(): its path */
static char *file(const char *name, const char *text)
{
    struct trib_err err;
    char *path = trib_asprintf("%s/%s", dir, name), *parent = trib_fs_parent(path);
    assert_int_equal(trib_fs_mkdirs(&trib_fs_real, parent, &err), 0);
    assert_int_equal(trib_fs_real.write(trib_fs_real.ctx, path, trib_view_of(text), &err), 0);
    free(parent);
    return path;
}

/* A session and the files of its profiles. */
struct world {
    struct scripted s;
    struct trib_aws *a;
    char *config, *credentials;
    const char *environment[32];
    struct trib_err err;
};

static void begin(struct world *w, const char *config, const char *credentials, const char *const *environment,
                  const struct scripted_answer *answers, size_t n)
{
    *w = (struct world){0};
    w->config = file("config", config);
    w->credentials = file("credentials", credentials);
    size_t at = 0;
    const char *const own[] = {"AWS_CONFIG_FILE", w->config,  "AWS_SHARED_CREDENTIALS_FILE",
                               w->credentials,    "HOME",     dir,
                               "AWS_REGION",      "eu-west-1"};
    for (size_t i = 0; i < COUNT(own); i++) {
        w->environment[at++] = own[i];
    }
    for (; environment != NULL && *environment != NULL; environment++) {
        w->environment[at++] = *environment;
    }
    scripted_init(&w->s, w->environment, answers, n);
}

static int open_session(struct world *w, const struct trib_aws_opts *o)
{
    return trib_aws_new(&w->s.host, o == NULL ? &(struct trib_aws_opts){0} : o, &w->a, &w->err);
}

/* Also looks for secrets where none may be. */
static void end(struct world *w)
{
    const char *const texts[] = {w->err.msg, w->s.logged.p == NULL ? "" : w->s.logged.p};
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_null(strstr(texts[i], "S3CRET"));
        assert_null(strstr(texts[i], "T0KEN"));
    }
    trib_aws_free(w->a);
    scripted_done(&w->s);
    free(w->config);
    free(w->credentials);
}

static void want(struct world *w, const char *id, const char *secret, const char *token, const char *provider)
{
    struct trib_aws_credentials c;
    if (trib_aws_credentials(w->a, &c, &w->err) != 0) {
        fail_msg("%s", w->err.msg);
    }
    assert_string_equal(c.key_id, id);
    assert_string_equal(c.secret, secret);
    if (token == NULL) {
        assert_null(c.token);
    } else {
        assert_string_equal(c.token, token);
    }
    assert_string_equal(c.provider, provider);
    trib_aws_credentials_free(&c);
    assert_null(c.key_id);
}

static void want_error(struct world *w, enum trib_code code, const char *text)
{
    struct trib_aws_credentials c;
    assert_int_equal(trib_aws_credentials(w->a, &c, &w->err), code);
    if (strstr(w->err.msg, text) == NULL) {
        fail_msg("'%s' is not in: %s", text, w->err.msg);
    }
}

/* One profile, no answers of a network. */
static void bad_profile(const char *config, enum trib_code code, const char *text)
{
    struct world w;
    const char *const env[] = {"AWS_PROFILE", "p", "AWS_EC2_METADATA_DISABLED", "true", NULL};
    begin(&w, config, "", env, NULL, 0);
    assert_int_equal(open_session(&w, NULL), 0);
    want_error(&w, code, text);
    end(&w);
}

/* ---- keys --------------------------------------------------------------------------------------------------------- */

static void test_environment(void **state)
{
    (void)state;
    struct world w;
    const char *const env[] = {
        "AWS_ACCESS_KEY_ID", "AKENV", "AWS_SECRET_ACCESS_KEY", "S3CRET", "AWS_SESSION_TOKEN", "T0KEN", NULL};
    begin(&w, "", "[default]\naws_access_key_id=no\naws_secret_access_key=no\n", env, NULL, 0);
    assert_int_equal(open_session(&w, NULL), 0);
    want(&w, "AKENV", "S3CRET", "T0KEN", "the environment");
    end(&w);
    const char *const half[] = {"AWS_ACCESS_KEY_ID", "AKENV", "AWS_SECRET_ACCESS_KEY", "", NULL};
    begin(&w, "", "", half, NULL, 0);
    assert_int_equal(open_session(&w, NULL), 0);
    want_error(&w, TRIB_E_CONFIG, "AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY");
    end(&w);
}

static void test_profile_keys(void **state)
{
    (void)state;
    struct world w;
    static const char config[] = "# a comment\n; another\n[default]\nregion = us-east-1\n\n"
                                 "[profile shop]\r\naws_access_key_id = OLD\r\nregion=eu-central-1 # here\r\n"
                                 "[plugins]\nanything goes here\n[shop]\naws_access_key_id = IGNORED\n";
    static const char credentials[] = "[shop]\nAWS_ACCESS_KEY_ID = AKSHOP\n  aws_secret_access_key = no\n"
                                      "aws_secret_access_key = S3CRET/+=\naws_session_token=T0KEN\n";
    const char *const env[] = {"AWS_REGION", "", NULL};
    begin(&w, config, credentials, env, NULL, 0);
    w.environment[7] = ""; /* no AWS_REGION: the profile's */
    assert_int_equal(open_session(&w, &(struct trib_aws_opts){.profile = "shop"}), 0);
    assert_string_equal(trib_aws_region(w.a), "eu-central-1");
    want(&w, "AKSHOP", "S3CRET/+=", "T0KEN", "profile shop");
    end(&w);
    /* A profile of the configuration goes before the environment's keys; AWS_PROFILE does not. */
    const char *const both[] = {
        "AWS_ACCESS_KEY_ID", "AKENV", "AWS_SECRET_ACCESS_KEY", "x", "AWS_PROFILE", "shop", NULL};
    begin(&w, config, credentials, both, NULL, 0);
    assert_int_equal(open_session(&w, &(struct trib_aws_opts){.profile = "shop"}), 0);
    want(&w, "AKSHOP", "S3CRET/+=", "T0KEN", "profile shop");
    end(&w);
    begin(&w, config, credentials, both, NULL, 0);
    assert_int_equal(open_session(&w, NULL), 0);
    want(&w, "AKENV", "x", NULL, "the environment");
    end(&w);
    begin(&w, config, credentials, NULL, NULL, 0);
    assert_int_equal(open_session(&w, &(struct trib_aws_opts){.profile = "shpo"}), TRIB_E_CONFIG);
    assert_non_null(strstr(w.err.msg, "no AWS profile shpo in "));
    assert_non_null(strstr(w.err.msg, "did you mean shop?: aws.profile names it"));
    end(&w);
}

static void test_bad_profiles(void **state)
{
    (void)state;
    bad_profile("[profile p]\naws_access_key_id=A\n", TRIB_E_CONFIG, "no aws_secret_access_key");
    bad_profile("[profile p]\nregion=x\n", TRIB_E_CONFIG,
                "profile p has no credentials; no container endpoint; instance metadata is off");
    bad_profile("[profile p]\nrole_arn=R\n", TRIB_E_CONFIG, "no source_profile, credential_source");
    bad_profile("[profile p]\nrole_arn=R\nsource_profile=q\n", TRIB_E_CONFIG, "there is no source_profile q");
    bad_profile("[profile p]\nrole_arn=R\nsource_profile=p\n", TRIB_E_CONFIG, "source_profile p has no credentials");
    bad_profile("[profile p]\nrole_arn=R\nsource_profile=q\n[profile q]\nrole_arn=R\nsource_profile=p\n", TRIB_E_CONFIG,
                "leads back to it");
    bad_profile("[profile p]\nrole_arn=R\nsource_profile=q\ncredential_source=Environment\n", TRIB_E_CONFIG,
                "keep one");
    bad_profile("[profile p]\nrole_arn=R\ncredential_source=Moon\n", TRIB_E_CONFIG, "'Moon' is none of Environment");
    bad_profile("[profile p]\nrole_arn=R\ncredential_source=Environment\n", TRIB_E_CONFIG,
                "credential_source of profile p: no AWS_ACCESS_KEY_ID");
    bad_profile("[profile p]\nrole_arn=R\nsource_profile=p\nmfa_serial=M\n", TRIB_E_UNSUPPORTED, "mfa_serial");
    bad_profile("[profile p]\nrole_arn=R\nsource_profile=p\nduration_seconds=5\n", TRIB_E_CONFIG, "900 to 43200");
    bad_profile("[profile p]\nlogin_session=x\n", TRIB_E_UNSUPPORTED, "export-credentials --profile p");
    bad_profile("[profile p]\nsso_session=x\nsso_account_id=1\nsso_role_name=r\n", TRIB_E_CONFIG,
                "sso-session x lacks sso_start_url");
    bad_profile("[profile p]\nsso_start_url=u\nsso_region=a/b\nsso_account_id=1\nsso_role_name=r\n", TRIB_E_CONFIG,
                "'a/b' is no region");
    bad_profile("[profile p]\nsso_start_url=u\nsso_region=eu-west-1\nsso_account_id=1\nsso_role_name=r\n",
                TRIB_E_CONFIG, "run `aws sso login --profile p`");
    bad_profile("[profile p]\nrole_arn=R\nweb_identity_token_file=/nowhere/token\n", TRIB_E_CONFIG,
                "no web identity token in /nowhere/token");
    struct world w;
    const char *const broken[] = {"[profile p\n", "[profile p]\nnonsense\n", "[profile p]\nregion = \033[31m\n"};
    for (size_t i = 0; i < COUNT(broken); i++) {
        begin(&w, broken[i], "", NULL, NULL, 0);
        assert_int_equal(open_session(&w, NULL), TRIB_E_CONFIG);
        assert_non_null(strstr(w.err.msg, i == 0 ? "config line 1: " : "config line 2: "));
        end(&w);
    }
    /* A circle of nine. */
    struct trib_buf b;
    trib_buf_init(&b, 10000);
    trib_buf_adds(&b, "[profile p]\nrole_arn=R\nsource_profile=q0\n");
    for (int i = 0; i < 12; i++) {
        trib_buf_addf(&b, "[profile q%d]\nrole_arn=R\nsource_profile=q%d\n", i, i + 1);
    }
    trib_buf_adds(&b, "[profile q12]\nregion=x\n");
    bad_profile(b.p, TRIB_E_LIMIT, "more than 8 profiles");
    trib_buf_free(&b);
}

static void test_process(void **state)
{
    (void)state;
    struct world w;
    char *script = file("keys.sh", "echo '{\"Version\":1,\"AccessKeyId\":\"AKPROC\",\"SecretAccessKey\":\"S3CRET\",'\n"
                                   "echo '\"SessionToken\":\"T0KEN\",\"Expiration\":\"2015-08-30T13:36:00+00:00\"}'\n");
    char *config = trib_asprintf(
        "[profile p]\ncredential_process = sh '%s'\n[profile bad]\ncredential_process = echo S3CRET; exit 3\n"
        "[profile odd]\ncredential_process = echo S3CRET\n",
        script);
    begin(&w, config, "", NULL, NULL, 0);
    assert_int_equal(open_session(&w, &(struct trib_aws_opts){.profile = "p"}), 0);
    want(&w, "AKPROC", "S3CRET", "T0KEN", "credential_process of profile p");
    end(&w);
    begin(&w, config, "", NULL, NULL, 0);
    assert_int_equal(open_session(&w, &(struct trib_aws_opts){.profile = "bad"}), 0);
    want_error(&w, TRIB_E_UNAVAILABLE,
               "credential_process of profile bad: run it by hand to see why: it ended with status 3");
    end(&w);
    begin(&w, config, "", NULL, NULL, 0);
    assert_int_equal(open_session(&w, &(struct trib_aws_opts){.profile = "odd"}), 0);
    want_error(&w, TRIB_E_DATA, "no JSON object");
    end(&w);
    free(config);
    free(script);
}

/* ---- roles -------------------------------------------------------------------------------------------------------- */

static void test_assume_role(void **state)
{
    (void)state;
    const struct scripted_answer answers[] = {
        ANSWER("POST https://sts.eu-west-1.amazonaws.com/\n", 200, STS("AssumeRole", "ASIA1", "2015-08-30T13:36:00Z")),
        ANSWER("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Ftop&RoleSessionName=me&ExternalId=e%20x&DurationSeconds=900",
               200, STS("AssumeRole", "ASIA2", "2015-08-30T13:36:00Z")),
        ANSWER("RoleArn=arn%3Aaws%3Aiam%3A%3A2%3Arole%2Ftable&RoleSessionName=tributary&ExternalId=x42", 200,
               STS("AssumeRole", "ASIA3", "2015-08-30T13:36:00Z")),
    };
    struct world w;
    begin(
        &w,
        "[profile top]\nrole_arn = arn:aws:iam::1:role/top\nsource_profile = middle\nexternal_id = e x\nrole_session_name = me\n"
        "duration_seconds = 900\n[profile middle]\nrole_arn = arn:aws:iam::1:role/middle\nsource_profile = middle\n",
        "[middle]\naws_access_key_id = AKBASE\naws_secret_access_key = S3CRET\n", NULL, answers, COUNT(answers));
    assert_int_equal(open_session(&w, &(struct trib_aws_opts){.profile = "top",
                                                              .role_arn = "arn:aws:iam::2:role/table",
                                                              .external_id = "x42"}),
                     0);
    want(
        &w, "ASIA3", "S3CRET-ASIA3", "T0KEN-ASIA3",
        "role arn:aws:iam::2:role/table (assumed with role arn:aws:iam::1:role/top (assumed with role arn:aws:iam::1:role/middle (assumed with profile middle)))");
    for (size_t i = 0; i < 3; i++) {
        static const char *const by[] = {"Credential=AKBASE/", "Credential=ASIA1/", "Credential=ASIA2/"};
        static const char *const tokens[] = {NULL, "T0KEN-ASIA1", "T0KEN-ASIA2"};
        char *auth = scripted_header(&w.s, i, "Authorization"),
             *token = scripted_header(&w.s, i, "x-amz-security-token");
        assert_non_null(strstr(auth, by[i]));
        assert_true(tokens[i] == NULL ? token == NULL : strcmp(token, tokens[i]) == 0);
        free(auth);
        free(token);
    }
    end(&w);
}

static void test_role_refused(void **state)
{
    (void)state;
    const struct scripted_answer answers[] = {ANSWER(
        "Action=AssumeRole&", 403,
        "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: arn:aws:iam::1:user/me is not "
        "authorized to perform: sts:AssumeRole on resource: R</Message></Error><RequestId>req-1</RequestId></ErrorResponse>")};
    struct world w;
    const char *const env[] = {"AWS_ACCESS_KEY_ID", "AKENV", "AWS_SECRET_ACCESS_KEY", "S3CRET", NULL};
    begin(&w, "", "", env, answers, 1);
    assert_int_equal(open_session(&w, &(struct trib_aws_opts){.role_arn = "R"}), 0);
    want_error(&w, TRIB_E_CONFIG,
               "assuming the role R: sts:AssumeRole: AccessDenied: User: arn:aws:iam::1:user/me is not authorized");
    assert_non_null(strstr(w.err.msg, "trust policy"));
    assert_string_equal(w.err.service_code, "AccessDenied");
    assert_string_equal(w.err.request_id, "req-1");
    end(&w);
}

static void test_web_identity(void **state)
{
    (void)state;
    const struct scripted_answer answers[] = {ANSWER(
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=R&RoleSessionName=pod&WebIdentityToken=T0KEN-web%2B",
        200, STS("AssumeRoleWithWebIdentity", "ASIAW", "2015-08-30T13:36:00.5Z"))};
    char *token = file("token", "T0KEN-web+\n");
    const char *const env[] = {
        "AWS_WEB_IDENTITY_TOKEN_FILE", token, "AWS_ROLE_ARN", "R", "AWS_ROLE_SESSION_NAME", "pod", NULL};
    struct world w;
    begin(&w, "", "", env, answers, 1);
    assert_int_equal(open_session(&w, NULL), 0);
    want(&w, "ASIAW", "S3CRET-ASIAW", "T0KEN-ASIAW", "role R (web identity)");
    assert_null(scripted_header(&w.s, 0, "Authorization"));
    end(&w);
    const struct scripted_answer expired[] = {ANSWER(
        "WebIdentityToken", 400,
        "<ErrorResponse><Error><Code>ExpiredTokenException</Code><Message>Token expired</Message></Error></ErrorResponse>")};
    begin(&w, "", "", env, expired, 1);
    assert_int_equal(open_session(&w, NULL), 0);
    want_error(&w, TRIB_E_UNAVAILABLE, "check that the token is renewed");
    assert_true(w.err.retriable);
    end(&w);
    const char *const no_role[] = {"AWS_WEB_IDENTITY_TOKEN_FILE", token, NULL};
    begin(&w, "", "", no_role, NULL, 0);
    assert_int_equal(open_session(&w, NULL), 0);
    want_error(&w, TRIB_E_CONFIG, "without AWS_ROLE_ARN");
    end(&w);
    char *config = trib_asprintf("[profile p]\nrole_arn=R\nweb_identity_token_file=%s\nrole_session_name=pod\n", token);
    begin(&w, config, "", NULL, answers, 1);
    assert_int_equal(open_session(&w, &(struct trib_aws_opts){.profile = "p"}), 0);
    want(&w, "ASIAW", "S3CRET-ASIAW", "T0KEN-ASIAW", "role R (web identity)");
    end(&w);
    free(config);
    free(token);
}

/* ---- SSO ---------------------------------------------------------------------------------------------------------- */

static void test_sso(void **state)
{
    (void)state;
    /* sha1("corp"), sha1("https://corp.awsapps.com/start") */
    static const char by_session[] = ".aws/sso/cache/"
                                     "ee0bfd2552fbd840c02cc48b6e823320543c450f"
                                     ".json",
                      by_url[] = ".aws/sso/cache/"
                                 "a51746d4aa793ae07b25e90c3a5db96fc7832bd7"
                                 ".json";
    static const char cached[] = "{\"accessToken\":\"T0KEN-sso\",\"expiresAt\":\"2015-08-30T13:00:00Z\"}";
    static const char config[] =
        "[profile new]\nsso_session = corp\nsso_account_id = 111122223333\nsso_role_name = Read Only\n"
        "[sso-session corp]\nsso_region = us-west-2\nsso_start_url = https://corp.awsapps.com/start\n"
        "[profile old]\nsso_region = us-west-2\nsso_start_url = https://corp.awsapps.com/start\nsso_account_id = 111122223333\nsso_role_name = Read Only\n";
    const struct scripted_answer answers[] = {ANSWER(
        "GET https://portal.sso.us-west-2.amazonaws.com/federation/credentials?account_id=111122223333&role_name=Read%20Only\nx-amz-sso_bearer_token: T0KEN-sso\n",
        200,
        "{\"roleCredentials\":{\"accessKeyId\":\"ASIAS\",\"secretAccessKey\":\"S3CRET\",\"sessionToken\":\"T0KEN\",\"expiration\":1440941760000}}")};
    static const char *const profiles[] = {"new", "old"}, *const providers[] = {"SSO profile new", "SSO profile old"};
    for (size_t i = 0; i < 2; i++) {
        free(file(i == 0 ? by_session : by_url, cached));
        struct world w;
        begin(&w, config, "", NULL, answers, 1);
        assert_int_equal(open_session(&w, &(struct trib_aws_opts){.profile = profiles[i]}), 0);
        want(&w, "ASIAS", "S3CRET", "T0KEN", providers[i]);
        end(&w);
        const struct scripted_answer refused[] = {
            ANSWER(NULL, 401, "{\"message\":\"Session token not found or invalid\"}")};
        begin(&w, config, "", NULL, refused, 1);
        assert_int_equal(open_session(&w, &(struct trib_aws_opts){.profile = profiles[i]}), 0);
        want_error(&w, TRIB_E_CONFIG, "no longer valid: run `aws sso login --profile");
        end(&w);
        begin(&w, config, "", NULL, NULL, 0);
        assert_int_equal(open_session(&w, &(struct trib_aws_opts){.profile = profiles[i]}), 0);
        w.s.now_us += INT64_C(1440000000); /* the sign-in has ended at 13:00 */
        want_error(&w, TRIB_E_CONFIG, "ended at 2015-08-30T13:00:00Z: run `aws sso login --profile");
        end(&w);
    }
}

/* ---- the machine's ------------------------------------------------------------------------------------------------ */

#define DOCUMENT(id, until)                       \
    "{\"Code\":\"Success\",\"AccessKeyId\":\"" id \
    "\",\"SecretAccessKey\":\"S3CRET\",\"Token\":\"T0KEN\",\"Expiration\":\"" until "\"}"

static void test_container(void **state)
{
    (void)state;
    const struct scripted_answer ecs[] = {
        ANSWER("GET http://169.254.170.2/v2/credentials/abc?id=1\nAccept: application/json\n\n", 200,
               DOCUMENT("ASIAC", "2015-08-30T18:36:00Z"))};
    const char *const relative[] = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/abc?id=1", NULL};
    struct world w;
    begin(&w, "", "", relative, ecs, 1);
    assert_int_equal(open_session(&w, NULL), 0);
    want(&w, "ASIAC", "S3CRET", "T0KEN", "the container");
    end(&w);
    char *token = file("pod-token", "T0KEN-pod\n");
    const struct scripted_answer eks[] = {
        ANSWER("GET http://169.254.170.23/v1/credentials\nAccept: application/json\nAuthorization: T0KEN-pod\n", 200,
               DOCUMENT("ASIAE", "2015-08-30T18:36:00Z"))};
    const char *const full[] = {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials",
                                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token, NULL};
    begin(&w, "", "", full, eks, 1);
    assert_int_equal(open_session(&w, NULL), 0);
    want(&w, "ASIAE", "S3CRET", "T0KEN", "the container");
    end(&w);
    free(token);
    const struct scripted_answer failing[] = {ANSWER(NULL, 500, ""), ANSWER(NULL, 500, ""), ANSWER(NULL, 500, "")};
    begin(&w, "", "", relative, failing, 3);
    assert_int_equal(open_session(&w, NULL), 0);
    want_error(&w, TRIB_E_UNAVAILABLE, "the container's credentials: ");
    end(&w);
    const struct scripted_answer nothing[] = {ANSWER(NULL, 404, "")};
    begin(&w, "", "", relative, nothing, 1);
    assert_int_equal(open_session(&w, NULL), 0);
    want_error(&w, TRIB_E_CONFIG, "the container's credentials: ");
    end(&w);
    char *split = file("split", "a\nb");
    const char *const injected[] = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x",
                                    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", split, NULL};
    begin(&w, "", "", injected, NULL, 0);
    assert_int_equal(open_session(&w, NULL), 0);
    want_error(&w, TRIB_E_CONFIG, "line break");
    end(&w);
    free(split);
}

static void test_container_hosts(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool allowed;
    } cases[] = {{"http://127.0.0.1:51679/x", true},
                 {"http://127.9.9.9/", true},
                 {"http://localhost/x", true},
                 {"http://[::1]:80/x", true},
                 {"http://169.254.170.2/x", true},
                 {"http://169.254.170.23/x", true},
                 {"http://[fd00:ec2::23]/x", true},
                 {"https://example.com/x", true},
                 {"http://example.com/x", false},
                 {"http://127.0.0.1.example.com/", false},
                 {"http://127.0.0.1@example.com/", false},
                 {"http://169.254.169.254/x", false},
                 {"http://[::1", false},
                 {"http://[::1]x/", false},
                 {"https://a@b/", false},
                 {"ftp://127.0.0.1/", false},
                 {"http://10.0.0.1/", false},
                 {"http:///x", false},
                 {"http://localhost.evil/", false},
                 {"https://", false}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct scripted_answer answer[] = {ANSWER(cases[i].url, 200, DOCUMENT("ASIAC", "2015-08-30T18:36:00Z"))};
        const char *const env[] = {"AWS_CONTAINER_CREDENTIALS_FULL_URI", cases[i].url, NULL};
        struct world w;
        begin(&w, "", "", env, answer, cases[i].allowed ? 1 : 0);
        assert_int_equal(open_session(&w, NULL), 0);
        if (cases[i].allowed) {
            want(&w, "ASIAC", "S3CRET", "T0KEN", "the container");
        } else {
            want_error(&w, TRIB_E_CONFIG, "only https, or http to this machine");
        }
        end(&w);
    }
}

#define IMDS_TOKEN                                                                                            \
    ANSWER("PUT http://169.254.169.254/latest/api/token\nx-aws-ec2-metadata-token-ttl-seconds: 21600\n", 200, \
           "T0KEN-imds")

static void test_imds(void **state)
{
    (void)state;
    const struct scripted_answer answers[] = {
        IMDS_TOKEN,
        ANSWER("GET http://169.254.169.254/latest/meta-data/placement/region\nx-aws-ec2-metadata-token: T0KEN-imds\n",
               200, "ap-south-1"),
        IMDS_TOKEN,
        ANSWER(
            "GET http://169.254.169.254/latest/meta-data/iam/security-credentials/\nx-aws-ec2-metadata-token: T0KEN-imds\n",
            200, "the role\nanother\n"),
        ANSWER("GET http://169.254.169.254/latest/meta-data/iam/security-credentials/the%20role\n", 200,
               DOCUMENT("ASIAI", "2015-08-30T18:36:00Z")),
    };
    struct world w;
    begin(&w, "", "", NULL, answers, COUNT(answers));
    w.environment[7] = "";
    assert_int_equal(open_session(&w, NULL), 0);
    assert_string_equal(trib_aws_region(w.a), "ap-south-1");
    want(&w, "ASIAI", "S3CRET", "T0KEN", "role the role of this EC2 instance");
    end(&w);
}

static void test_imds_absent(void **state)
{
    (void)state;
    struct world w;
    const struct scripted_answer silent[] = {SILENCE("PUT http://169.254.169.254"), SILENCE("PUT ")};
    begin(&w, "", "", NULL, silent, 2);
    assert_int_equal(open_session(&w, NULL), 0);
    want_error(&w, TRIB_E_CONFIG,
               "no AWS credentials (no AWS_ACCESS_KEY_ID; no AWS_WEB_IDENTITY_TOKEN_FILE; no profile default in ");
    assert_non_null(strstr(w.err.msg, "no instance metadata at http://169.254.169.254"));
    assert_non_null(strstr(w.err.msg, "aws configure"));
    end(&w);
    const struct scripted_answer off[] = {ANSWER(NULL, 403, "")};
    begin(&w, "", "", NULL, off, 1);
    assert_int_equal(open_session(&w, NULL), 0);
    want_error(&w, TRIB_E_CONFIG, "switched off (status 403)");
    end(&w);
    const struct scripted_answer no_role[] = {IMDS_TOKEN, ANSWER(NULL, 404, "")};
    begin(&w, "", "", NULL, no_role, 2);
    assert_int_equal(open_session(&w, NULL), 0);
    want_error(&w, TRIB_E_CONFIG, "this EC2 instance has no role");
    end(&w);
    const char *const six[] = {"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6", NULL};
    const struct scripted_answer silent6[] = {SILENCE("PUT http://[fd00:ec2::254]/latest/api/token"), SILENCE(NULL)};
    begin(&w, "", "", six, silent6, 2);
    assert_int_equal(open_session(&w, NULL), 0);
    want_error(&w, TRIB_E_CONFIG, "no instance metadata at http://[fd00:ec2::254]");
    end(&w);
    /* No region anywhere, and nobody to ask. */
    const char *const disabled[] = {"AWS_EC2_METADATA_DISABLED", "TRUE", NULL};
    begin(&w, "", "", disabled, NULL, 0);
    w.environment[7] = "";
    assert_int_equal(open_session(&w, NULL), TRIB_E_CONFIG);
    assert_non_null(strstr(w.err.msg, "no AWS region: set aws.region"));
    end(&w);
}

/* A service that cannot renew gives what it has; AWS takes it, so do we. */
static void test_imds_outlives(void **state)
{
    (void)state;
    const struct scripted_answer answers[] = {IMDS_TOKEN, ANSWER(NULL, 200, "r"),
                                              ANSWER(NULL, 200, DOCUMENT("ASIAI", "2015-08-30T12:00:00Z"))};
    struct world w;
    begin(&w, "", "", NULL, answers, COUNT(answers));
    assert_int_equal(open_session(&w, NULL), 0);
    want(&w, "ASIAI", "S3CRET", "T0KEN", "role r of this EC2 instance");
    want(&w, "ASIAI", "S3CRET", "T0KEN", "role r of this EC2 instance");
    assert_non_null(strstr(w.s.logged.p, "have expired, they are used on"));
    end(&w);
}

/* ---- refresh ------------------------------------------------------------------------------------------------------ */

static const char *const container_env[] = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/c", NULL};
#define GIVES(id, until) ANSWER("GET http://169.254.170.2/c", 200, DOCUMENT(id, until))

static void test_refresh(void **state)
{
    (void)state;
    const struct scripted_answer first[] = {GIVES("ASIA1", "2015-08-30T13:36:00Z")};
    struct world w;
    begin(&w, "", "", container_env, first, 1);
    assert_int_equal(open_session(&w, NULL), 0);
    want(&w, "ASIA1", "S3CRET", "T0KEN", "the container");
    w.s.now_us += INT64_C(54) * 60000000; /* six minutes before the end: good */
    want(&w, "ASIA1", "S3CRET", "T0KEN", "the container");
    w.s.now_us += INT64_C(61) * 1000000; /* less than five: renewed, but nobody answers; the old ones still work */
    const struct scripted_answer failing[] = {ANSWER(NULL, 500, ""), ANSWER(NULL, 500, ""), ANSWER(NULL, 500, "")};
    scripted_more(&w.s, failing, 3);
    want(&w, "ASIA1", "S3CRET", "T0KEN", "the container");
    assert_non_null(strstr(w.s.logged.p, "could not be renewed yet"));
    scripted_more(&w.s, NULL, 0); /* not again within a minute */
    w.s.now_us += INT64_C(50) * 1000000;
    want(&w, "ASIA1", "S3CRET", "T0KEN", "the container");
    const struct scripted_answer second[] = {GIVES("ASIA2", "2015-08-30T14:36:00Z")};
    scripted_more(&w.s, second, 1);
    w.s.now_us += INT64_C(11) * 1000000;
    want(&w, "ASIA2", "S3CRET", "T0KEN", "the container");
    /* A service says that they have ended: asked anew though they look good. */
    const struct scripted_answer third[] = {GIVES("ASIA3", "2015-08-30T15:36:00Z")};
    scripted_more(&w.s, third, 1);
    trib_aws_credentials_expired(w.a);
    want(&w, "ASIA3", "S3CRET", "T0KEN", "the container");
    /* Past the end, and no new ones: an error. */
    w.s.now_us += INT64_C(5) * 3600000000;
    scripted_more(&w.s, failing, 3);
    want_error(&w, TRIB_E_UNAVAILABLE, "the container's credentials: ");
    const struct scripted_answer dead[] = {GIVES("ASIA4", "2015-08-30T15:36:00Z")};
    scripted_more(&w.s, dead, 1);
    want_error(&w, TRIB_E_UNAVAILABLE, "have expired already");
    end(&w);
}

#define SCAN \
    ((struct trib_aws_call){.service = "dynamodb", .target = "DynamoDB_20120810.Scan", .body = TRIB_VIEW_LIT("{}")})
#define EXPIRED(code)                                                                    \
    {                                                                                    \
        "X-Amz-Target: DynamoDB", 400, "x-amzn-requestid: R1",                           \
            "{\"__type\":\"com.amazon.coral.service#" code                               \
            "\",\"message\":\"The security token included in the request is expired\"}", \
            NULL, false, false                                                           \
    }

static void test_expired_token(void **state)
{
    (void)state;
    const struct scripted_answer answers[] = {
        GIVES("ASIA1", "2015-08-30T18:36:00Z"), EXPIRED("ExpiredTokenException"),
        EXPIRED("ExpiredTokenException"),       GIVES("ASIA2", "2015-08-30T18:36:00Z"),
        ANSWER("Credential=ASIA2/", 200, "{}"), ANSWER("Credential=ASIA2/", 200, "{}")};
    struct world w;
    begin(&w, "", "", container_env, answers, COUNT(answers));
    assert_int_equal(open_session(&w, NULL), 0);
    struct trib_aws_call calls[] = {SCAN, SCAN}; /* two of them cost one renewal */
    calls[1].retry.attempts = 1;                 /* and no try */
    assert_int_equal(trib_aws_calls(w.a, calls, 2, &w.err), 0);
    assert_int_equal(calls[1].tries, 2);
    trib_http_response_free(&calls[0].response);
    trib_http_response_free(&calls[1].response);
    /* New ones that are refused too: told, not tried for ever. */
    const struct scripted_answer more[] = {EXPIRED("ExpiredTokenException"), GIVES("ASIA3", "2015-08-30T18:36:00Z"),
                                           EXPIRED("ExpiredTokenException")};
    scripted_more(&w.s, more, 3);
    struct trib_aws_call c = SCAN;
    assert_int_equal(trib_aws_call(w.a, &c, &w.err), TRIB_E_UNAVAILABLE);
    assert_string_equal(w.err.service_code, "ExpiredTokenException");
    assert_string_equal(w.err.request_id, "R1");
    assert_non_null(strstr(
        w.err.msg,
        "dynamodb:Scan: ExpiredTokenException: The security token included in the request is expired: the credentials come from the container"));
    assert_true(w.err.retriable);
    trib_http_response_free(&c.response);
    end(&w);
}

/* ---- threads ------------------------------------------------------------------------------------------------------ */

struct busy {
    struct world w;
    atomic_int inside, fetches, most, failures;
    char why[400]; /* of one of the failures: cmocka's asserts are for the main thread */
};

static void busy_perform(void *ctx, const struct trib_http_request *requests, struct trib_http_response *responses,
                         size_t n)
{
    struct busy *b = ctx;
    for (size_t i = 0; i < n; i++) {
        responses[i].status = 200;
        trib_buf_init(&responses[i].body, 1 << 20);
        if (strstr(requests[i].url, "169.254.170.2") == NULL) {
            trib_buf_adds(&responses[i].body, "{}");
            continue;
        }
        int inside = atomic_fetch_add(&b->inside, 1) + 1;
        atomic_store(&b->most, inside > atomic_load(&b->most) ? inside : atomic_load(&b->most));
        (void)sched_yield();
        trib_buf_adds(&responses[i].body, DOCUMENT("ASIAT", "2015-08-30T18:36:00Z"));
        (void)atomic_fetch_add(&b->fetches, 1);
        (void)atomic_fetch_sub(&b->inside, 1);
    }
}

static void busy_failed(struct busy *b, const char *what, const struct trib_err *err)
{
    if (atomic_fetch_add(&b->failures, 1) == 0) {
        (void)snprintf(b->why, sizeof b->why, "%s: %.300s", what, err->msg);
    }
}

static void *busy_thread(void *ctx)
{
    struct busy *b = ctx;
    for (int i = 0; i < 200; i++) {
        struct trib_aws_credentials c = {0};
        struct trib_err err;
        struct trib_aws_call call = SCAN;
        err = (struct trib_err){0};
        if (trib_aws_credentials(b->w.a, &c, &err) != 0 || strcmp(c.secret, "S3CRET") != 0) {
            busy_failed(b, "credentials", &err);
        }
        trib_aws_credentials_free(&c);
        if (trib_aws_call(b->w.a, &call, &err) != 0) {
            busy_failed(b, "call", &err);
        }
        trib_http_response_free(&call.response);
        if (i % 20 == 0) {
            trib_aws_credentials_expired(b->w.a);
        }
    }
    return NULL;
}

/* Several threads share a session: one at a time asks the provider, nobody gets half of anything. */
static void test_threads(void **state)
{
    (void)state;
    static struct busy b;
    begin(&b.w, "", "", container_env, NULL, 0);
    b.w.s.log.level = TRIB_LOG_ERROR;
    b.w.s.net = (struct trib_net){&b, busy_perform, NULL};
    assert_int_equal(open_session(&b.w, NULL), 0);
    pthread_t t[4];
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&t[i], NULL, busy_thread, &b), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        (void)pthread_join(t[i], NULL);
    }
    if (atomic_load(&b.failures) > 0) {
        fail_msg("%d failures; %s", atomic_load(&b.failures), b.why);
    }
    assert_int_equal(atomic_load(&b.most), 1);
    assert_true(atomic_load(&b.fetches) >= 2 && atomic_load(&b.fetches) <= 41);
    end(&b.w);
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
    } good[] = {{"2015-08-30T12:36:00Z", INT64_C(1440938160000000)},
                {"2015-08-30T12:36:00UTC", INT64_C(1440938160000000)},
                {"2015-08-30T12:36:00.25Z", INT64_C(1440938160250000)},
                {"2015-08-30T12:36:00.1234567Z", INT64_C(1440938160123456)},
                {"2015-08-30T14:36:00+02:00", INT64_C(1440938160000000)},
                {"2015-08-30T07:06:00-05:30", INT64_C(1440938160000000)}};
    static const char *const bad[] = {
        "", "2015-08-30", "2015-08-30T12:36:00", "2015-08-30T12:36:00Zx", "2015-08-30T12:36:00+2", "soon", NULL};
    int64_t us;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_true(trib_aws_time_us(good[i].text, &us));
        assert_int_equal(us, good[i].us);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(trib_aws_time_us(bad[i], &us));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment),   cmocka_unit_test(test_profile_keys),
        cmocka_unit_test(test_bad_profiles),  cmocka_unit_test(test_process),
        cmocka_unit_test(test_assume_role),   cmocka_unit_test(test_role_refused),
        cmocka_unit_test(test_web_identity),  cmocka_unit_test(test_sso),
        cmocka_unit_test(test_container),     cmocka_unit_test(test_container_hosts),
        cmocka_unit_test(test_imds),          cmocka_unit_test(test_imds_absent),
        cmocka_unit_test(test_imds_outlives), cmocka_unit_test(test_refresh),
        cmocka_unit_test(test_expired_token), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_times),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
