/* Names that any engine may take for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/fold.h"

static void case_alone_is_no_difference(void **state)
{
    (void)state;
    static const char *const same[][2] = {{"", ""},
                                          {"a", "A"},
                                          {"aB_1", "Ab_1"},
                                          {"é", "É"},
                                          {"straße", "STRAẞE"},
                                          {"ключ", "КЛЮЧ"},
                                          {"σίσυφος", "ΣΊΣΥΦΟΣ"},
                                          {"K", "\u212a"},
                                          {"İ", "i\u0307"},
                                          {"İx", "ix"},
                                          {"ı", "I"},
                                          {"ſ", "S"},
                                          {"µ", "μ"},
                                          {"ǅ", "ǆ"},
                                          {"\U00010400", "\U00010428"},
                                          {"\u13a0", "\uab70"},
                                          {"\u1e9e", "ß"},
                                          {"\U0001e921", "\U0001e943"}};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        if (!trib_fold_same(same[i][0], same[i][1]) || !trib_fold_same(same[i][1], same[i][0])) {
            fail_msg("%s and %s are told apart", same[i][0], same[i][1]);
        }
    }
}

static void other_names_stay_apart(void **state)
{
    (void)state;
    static const char *const other[][2] = {{"a", "b"},    {"a", "aa"},          {"a", ""},      {"é", "e\u0301"},
                                           {"ss", "ß"},   {"[", "{"},           {"@", "`"},     {"😀", "😁"},
                                           {"\xff", "ÿ"}, {"\xc3", "\xc3\xa9"}, {"日本", "日"}, {"\xe2\x82", "\u20ac"},
                                           {"×", "÷"}};
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        if (trib_fold_same(other[i][0], other[i][1]) || trib_fold_same(other[i][1], other[i][0])) {
            fail_msg("%s and %s are taken for one", other[i][0], other[i][1]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(case_alone_is_no_difference),
                                       cmocka_unit_test(other_names_stay_apart)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
