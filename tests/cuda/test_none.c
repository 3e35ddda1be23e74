/* test_none.c - a machine or a build without CUDA says so, and nothing is opened. */
#include "kernels/batch.h"
#include "kernels/training.h"

#include "tests/reference/reference.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <string.h>

Test(none, says_why)
{
    const attune_batch_kernels *kernels = attune_kernels_cuda();
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    const attune_batch_options options = {
        .pcm_samples = 4096, .pcm_frames = 2, .feature_rows = 2, .segments = 1, .slots = 1};
    cr_assert_str_eq(kernels->device, "cuda");
    if (kernels->count() > 0) {
        skip_test("there is a CUDA device");
    }
    cr_assert(strstr(attune_last_error(), "CUDA"), "%s", attune_last_error());
    attune_model *model = reference_model(&n, 1);
    void *context = &model;
    cr_assert_eq(kernels->open(&context, model, &options), ATTUNE_ENODEVICE);
    cr_assert_null(context);
    cr_assert(strstr(attune_last_error(), "CUDA"), "%s", attune_last_error());
    size_t bytes = 1;
    cr_assert_eq(kernels->memory_free(0, &bytes), ATTUNE_ENODEVICE);
    cr_assert_eq(bytes, 0);
    kernels->close(NULL);
    attune_model_close(model);

    const attune_training_kernels *training = attune_training_cuda();
    const attune_training_options one = {.threads = 1, .clips = 1, .samples = 2048};
    attune_trainable trainable;
    context = &trainable;
    cr_assert_str_eq(training->device, "cuda");
    cr_assert_eq(attune_trainable_layout(&trainable, &n), ATTUNE_OK);
    cr_assert_eq(training->open(&context, &trainable, &one), ATTUNE_ENODEVICE);
    cr_assert_null(context);
    cr_assert(strstr(attune_last_error(), "CUDA"), "%s", attune_last_error());
    training->close(NULL);
}
