/* test_default.c - a model compiled into a program: this one holds a small model of the fuzzer's
 * corpus in place of the library's. */
#include "tests/model/networks.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(default_model, is_the_file_that_was_compiled_in)
{
    attune_model *built_in = NULL, *file = NULL;
    cr_assert(attune_model_has_default());
    assert_ok(attune_model_open_default(&built_in));
    cr_assert_eq(attune_model_open(&file, ATTUNE_DEFAULT_MODEL), ATTUNE_OK);
    check_network(attune_model_network(built_in), attune_model_network(file), "built in", "");
    check_parameters(built_in, file, false, "built in", "");
    cr_assert_str_eq(attune_model_sha256(built_in), attune_model_sha256(file));
    cr_assert_str_eq(attune_model_name(built_in), "model", "its metadata has no name");
    attune_model_close(built_in);
    attune_model_close(file);
}

/* A model without a file is called what its metadata says. */
Test(default_model, the_name_is_in_the_metadata)
{
    attune_model *model = random_model(find_network("tiny"), 1), *read = NULL;
    static const char *const names[][2] = {
        {"attune-tiny-1", "attune-tiny-1"}, {"", "model"}, {"../a b/attune", "attune"}};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const attune_onnx_options options = {.name = names[i][0]};
        void *bytes = NULL;
        size_t size = 0;
        cr_assert_eq(attune_model_write_onnx(&bytes, &size, model, &options), ATTUNE_OK);
        assert_ok(attune_model_parse(&read, bytes, size, NULL));
        cr_assert_str_eq(attune_model_name(read), names[i][1]);
        attune_model_close(read);
        cr_assert_eq(attune_model_parse(&read, bytes, size, "x/given"), ATTUNE_OK);
        cr_assert_str_eq(attune_model_name(read), "given");
        attune_model_close(read);
        free(bytes);
    }
    attune_model_close(model);
    cr_assert_eq(attune_model_parse(&read, "x", 1, NULL), ATTUNE_EDATA);
    cr_assert(strstr(attune_last_error(), "model: "), "%s", attune_last_error());
}
