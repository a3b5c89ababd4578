/* Parameter Store (ssm.h). */
#include "aws/ssm.h"

#include "aws/json.h"

int trib_ssm_get_parameter(struct trib_aws *a, const char *name, char **ret_value, int64_t *ret_version,
                           struct trib_err *err)
{
    json_t *request = json_pack("{s:s, s:b}", "Name", name, "WithDecryption", 1), *answer = NULL;
    int rc = request == NULL ? trib_err_set(err, TRIB_E_CONFIG, "its name is not UTF-8")
                             : trib_aws_json(a, "ssm", "AmazonSSM.GetParameter", request, &answer, err);
    json_decref(request);
    if (rc == 0) {
        const char *value = trib_aws_json_string(answer, "Parameter.Value");
        if (value == NULL) {
            rc = trib_err_set(err, TRIB_E_DATA, "ssm: the answer for %s has no value", name);
        } else {
            *ret_value = trib_strdup(value);
            *ret_version = (int64_t)json_integer_value(trib_aws_json_at(answer, "Parameter.Version"));
        }
    }
    json_decref(answer);
    return rc == 0 ? 0 : trib_err_wrap(err, "parameter %s", name);
}

int trib_ssm_put_parameter(struct trib_aws *a, const char *name, const char *value, bool overwrite,
                           struct trib_err *err)
{
    json_t *request = json_pack("{s:s, s:s, s:s, s:b}", "Name", name, "Value", value, "Type", "String", "Overwrite",
                                overwrite ? 1 : 0);
    json_t *answer = NULL;
    int rc = request == NULL ? trib_err_set(err, TRIB_E_CONFIG, "its name or value is not UTF-8")
                             : trib_aws_json(a, "ssm", "AmazonSSM.PutParameter", request, &answer, err);
    json_decref(request);
    json_decref(answer);
    return rc == 0 ? 0 : trib_err_wrap(err, "parameter %s", name);
}
