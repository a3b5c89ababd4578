/* delta: the data files of one commit, from the scratch folder into the table, and away again where no commit came. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "table.h"

static const struct trib_parquet_opts plain = {0};

static bool in_table(const struct trib_delta *t, const char *file)
{
    char *path = trib_asprintf("%s/%s/%s", dir, t->path, file);
    struct stat st;
    bool there = stat(path, &st) == 0;
    free(path);
    return there;
}

struct numbers {
    int64_t next, end;
};
static int fill(void *ctx, struct trib_chunk *chunk, struct trib_err *err)
{
    struct numbers *n = ctx;
    (void)err;
    chunk->rows = 0;
    while (n->next < n->end && chunk->rows < chunk->capacity) {
        ((int64_t *)chunk->cols[0].data)[chunk->rows++] = n->next++;
    }
    return 0;
}

static void two_files(const struct trib_delta *t, struct trib_delta_files *files)
{
    struct trib_err err = {0};
    assert_int_equal(trib_delta_files_query(t, "SELECT range AS id FROM range(7)", &plain, files, &err), 0);
    assert_int_equal(trib_delta_files_query(t, "SELECT range AS id FROM range(5)", &plain, files, &err), 0);
    assert_int_equal(files->n, 2);
    assert_int_equal(files->rows, 12);
}

static void test_written_files_stand_in_the_table(void **state)
{
    (void)state;
    struct trib_err err = {0};
    struct trib_delta t = table("written");
    struct trib_type row = trib_type_simple(TRIB_T_STRUCT);
    trib_type_add(&row, "id", trib_type_simple(TRIB_T_LONG));
    const struct trib_kv partition = {(char *)"d", (char *)"2026-01-31"};
    struct trib_delta_files files = {0};
    struct numbers numbers = {0, 3};
    assert_int_equal(trib_delta_files_write(&t, &row, fill, &numbers, &plain, &partition, 1, &files, &err), 0);
    assert_int_equal(trib_delta_files_write(&t, &row, fill, &numbers, &plain, &partition, 1, &files, &err), 0);
    assert_int_equal(files.n, 1); /* the second had no rows: no file */
    assert_int_equal(files.rows, 3);
    assert_int_equal(files.adds[0].rows, 3);
    assert_true(in_table(&t, files.adds[0].path));
    assert_memory_equal(files.adds[0].path, "d=2026-01-31/", 13);
    trib_delta_files_end(&t, &files, 0, &err);
    assert_int_equal(files.n, 0);
    trib_type_free(&row);
}

static void test_a_query_without_rows_leaves_no_file(void **state)
{
    (void)state;
    struct trib_err err = {0};
    struct trib_delta t = table("empty");
    struct trib_delta_files files = {0};
    assert_int_equal(trib_delta_files_query(&t, "SELECT 1 AS id WHERE false", &plain, &files, &err), 0);
    assert_int_equal(files.n, 0);
    assert_int_equal(files.rows, 0);
    trib_delta_files_end(&t, &files, 0, &err);
}

/* What became of the two files after an end with these. */
static void ends(const char *path, int rc, const struct trib_err *err, bool stay)
{
    struct trib_delta t = table(path);
    struct trib_delta_files files = {0};
    two_files(&t, &files);
    char *a = trib_strdup(files.adds[0].path), *b = trib_strdup(files.adds[1].path);
    trib_delta_files_end(&t, &files, rc, err);
    assert_int_equal(in_table(&t, a), stay);
    assert_int_equal(in_table(&t, b), stay);
    free(a);
    free(b);
}

static void test_only_a_sure_failure_deletes(void **state)
{
    (void)state;
    const struct trib_err sure = {.code = TRIB_E_CONFLICT}, unsure = {.code = TRIB_E_IO, .ambiguous = true};
    ends("ends/well", 0, &sure, true);
    ends("ends/sure", TRIB_E_CONFLICT, &sure, false);
    ends("ends/unsure", TRIB_E_IO, &unsure, true);
    ends("ends/unknown", TRIB_E_IO, NULL, true);
}

static void test_a_failure_keeps_what_was_moved_in_the_set(void **state)
{
    (void)state;
    struct trib_err err = {0};
    struct trib_delta t = table("failure");
    struct trib_delta_files files = {0};
    two_files(&t, &files);
    char *first = trib_strdup(files.adds[0].path);
    assert_int_not_equal(trib_delta_files_query(&t, "SELECT error('no more')", &plain, &files, &err), 0);
    assert_int_equal(files.n, 2);
    assert_true(in_table(&t, first));
    trib_delta_files_end(&t, &files, err.code, &err);
    assert_false(in_table(&t, first));
    free(first);
}

/* Nothing of it stays in the scratch folder, where a daemon would gather it. */
static void test_scratch_is_left_empty(void **state)
{
    (void)state;
    struct trib_err err = {0};
    struct trib_delta t = table("scratch");
    char *scratch = trib_asprintf("%s/scratch-of-it", dir);
    assert_int_equal(trib_fs_mkdirs(&trib_fs_real, scratch, &err), 0);
    t.scratch = scratch;
    struct trib_delta_files files = {0};
    two_files(&t, &files);
    assert_int_equal(rmdir(scratch), 0);
    assert_int_equal(trib_fs_mkdirs(&trib_fs_real, scratch, &err), 0);
    trib_delta_files_end(&t, &files, 0, &err);
    /* A file stands where the table's folder would be: what was written cannot be moved, and does not stay either. */
    assert_int_equal(trib_store_put(store, "blocked", trib_view_of("x"), true, &err), 0);
    t.path = (char *)(uintptr_t) "blocked/table";
    assert_int_not_equal(trib_delta_files_query(&t, "SELECT 1 AS id", &plain, &files, &err), 0);
    assert_int_equal(rmdir(scratch), 0);
    trib_delta_files_end(&t, &files, err.code, &err);
    free(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_files_stand_in_the_table),
        cmocka_unit_test(test_a_query_without_rows_leaves_no_file),
        cmocka_unit_test(test_only_a_sure_failure_deletes),
        cmocka_unit_test(test_a_failure_keeps_what_was_moved_in_the_set),
        cmocka_unit_test(test_scratch_is_left_empty),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
