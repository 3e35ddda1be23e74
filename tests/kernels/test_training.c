/* test_training.c - the CPU as a device that trains: what it refuses, and which instruction set it
 * takes. What it computes is tests/train/test_golden.c's. */
#include "kernels/training.h"

#include "tests/reference/reference.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { B = 6, SAMPLES = 5000 };

static void *open_tiny(const attune_training_kernels *kernels, attune_trainable *trainable)
{
    const attune_network network = reference_network(ATTUNE_ARCHITECTURE_TINY);
    const attune_training_options options = {.threads = 2, .clips = B, .samples = SAMPLES};
    void *context = NULL;
    cr_assert_eq(attune_trainable_layout(trainable, &network), ATTUNE_OK);
    assert_ok(kernels->open(&context, trainable, &options));
    return context;
}

Test(training, batches_that_do_not_fit_are_refused)
{
    const attune_training_kernels *kernels = attune_training_cpu_named("baseline");
    attune_trainable trainable;
    void *context = open_tiny(kernels, &trainable);
    float *memory = calloc(2 * trainable.parameter_count + SAMPLES + 1000, sizeof(float));
    cr_assert_not_null(memory);
    float *parameters = memory, *gradients = parameters + trainable.parameter_count,
          *statistics = gradients + trainable.parameter_count, *embeddings = statistics + 600;
    const float *clips[B + 1];
    for (int i = 0; i <= B; i++) {
        clips[i] = embeddings + 300;
    }
    attune_trainable_initialise(parameters, statistics, &trainable, 1);
    const attune_training_batch good = {.clips = clips, .B = 6, .samples = 4097, .groups = 3};
    attune_training_batch bad[6];
    for (int i = 0; i < 6; i++) {
        bad[i] = good;
    }
    bad[0].B = B + 1;
    bad[1].B = 0;
    bad[2].groups = 4;
    bad[3].groups = 0;
    bad[4].samples = 2047;
    bad[5].samples = SAMPLES + 1;
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(kernels->forward(context, embeddings, statistics, parameters, &bad[i]),
                     ATTUNE_EINVAL, "%d", i);
    }
    cr_assert_eq(kernels->backward(context, gradients, embeddings, parameters, &good),
                 ATTUNE_EINVAL); /* nothing has gone forward */
    cr_assert_eq(kernels->forward(context, embeddings, statistics, parameters, &good), ATTUNE_OK);
    attune_training_batch other = good;
    other.B = 3;
    cr_assert_eq(kernels->backward(context, gradients, embeddings, parameters, &other),
                 ATTUNE_EINVAL);
    cr_assert_eq(kernels->backward(context, gradients, embeddings, parameters, &good), ATTUNE_OK);
    kernels->close(context);
    kernels->close(NULL);
    free(memory);
}

Test(training, environment_chooses_the_instruction_set)
{
    const attune_training_kernels *kernels = NULL;
    setenv("ATTUNE_CPU", "baseline", 1);
    cr_assert_eq(attune_training_cpu(&kernels), ATTUNE_OK);
    cr_assert_str_eq(kernels->detail, "baseline");
    setenv("ATTUNE_CPU", "8086", 1);
    cr_assert_eq(attune_training_cpu(&kernels), ATTUNE_ECONFIG);
    cr_assert_null(kernels);
    unsetenv("ATTUNE_CPU");
    cr_assert_eq(attune_training_cpu(&kernels), ATTUNE_OK);
    cr_assert_not_null(kernels);
    cr_assert_eq(attune_training_cpu_named("avx512amd"), attune_training_cpu_named("avx512"));
    cr_assert_null(attune_training_cpu_named("8086"));
}
