/* test_train_whole.c - the CUDA device that trains, whole, without a device: its host side and the
 * kernels' own source in emulation, under the stand-in runtime, beside PyTorch and the CPU; what it
 * refuses, and what it says when CUDA fails. Few frames, for emulation is slow. */
#include "kernels/cuda/train_sequence.h"
#include "tests/cuda/stand_in.h"
#include "tests/cuda/train_driver.h"
#include "tests/support/support.h"
#include "tests/train/golden.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TINY ATTUNE_ARCHITECTURE_TINY
#define GRU ATTUNE_ARCHITECTURE_GRU

static const attune_training_kernels *begin(void)
{
    stand_in_reset(1);
    machine.is_eager = true;
    return attune_training_cuda();
}

Test(train_whole, gradients_are_pytorchs, .timeout = 280)
{
    golden_check_gradients(begin(), false);
    cr_assert_eq(machine.live, 0);
}

/* What the goldens have not: H = 128, for which there are other kernels, and large frames. */
Test(train_whole, batches_are_the_cpus, .timeout = 280)
{
    const train_case cases[] = {
        {train_network(TINY, ATTUNE_POOLING_ATTENTION, 2048, 2048, 128, 2), 6, 3, 2, 0.1f, false},
        {train_network(GRU, ATTUNE_POOLING_LAST, 256, 256, 128, 1), 4, 2, 3, 0.5f, false},
        {train_network(GRU, ATTUNE_POOLING_MEAN, 256, 128, 48, 3), 3, 1, 2, 0.1f, true},
        {train_network(TINY, ATTUNE_POOLING_LAST, 256, 256, 16, 1), 1, 1, 1, 0, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        train_compare(begin(), &cases[i]);
    }
    cr_assert_eq(machine.live, 0);
}

/* ---- failures: the smallest batch that there is ---- */

enum { N = 256, E = 8 };

typedef struct smallest {
    attune_trainable trainable;
    attune_training_options options;
    float *parameters, *gradients, *statistics;
    float samples[2 * N], embeddings[2 * E];
    const float *clips[2];
    char text[512]; /* of the first failure */
} smallest;

static smallest *make_smallest(void)
{
    smallest *s = calloc(1, sizeof(*s));
    cr_assert_not_null(s);
    const attune_network n = train_network(GRU, ATTUNE_POOLING_LAST, N, N, 16, 1);
    cr_assert_eq(attune_trainable_layout(&s->trainable, &n), ATTUNE_OK);
    s->options = (attune_training_options){.threads = 1, .clips = 2, .samples = N};
    s->parameters = calloc(s->trainable.parameter_count, sizeof(float));
    s->gradients = calloc(s->trainable.parameter_count, sizeof(float));
    s->statistics = calloc(s->trainable.statistic_count, sizeof(float));
    cr_assert(s->parameters && s->gradients && s->statistics);
    attune_trainable_initialise(s->parameters, s->statistics, &s->trainable, 1);
    uint64_t seed = 1;
    random_fill(&seed, s->samples, 2 * N, 1.0f);
    s->clips[0] = s->samples;
    s->clips[1] = s->samples + N;
    return s;
}

static void free_smallest(smallest *s)
{
    free(s->parameters);
    free(s->gradients);
    free(s->statistics);
    free(s);
}

/* Notes a failure, and that it is one for good. */
static attune_status note(smallest *s, const attune_training_kernels *kernels, void *context,
                          const attune_training_batch *batch, attune_status status)
{
    snprintf(s->text, sizeof(s->text), "%s", attune_last_error());
    cr_assert_neq(kernels->forward(context, s->embeddings, s->statistics, s->parameters, batch),
                  ATTUNE_OK);
    cr_assert(strstr(attune_last_error(), "CUDA"), "%s", attune_last_error());
    return status;
}

/* Opens, trains a step in two groups, goes forward in one, closes; the first failure. */
static attune_status use(smallest *s, const attune_training_kernels *kernels)
{
    attune_training_batch batch = {.clips = s->clips, .B = 2, .samples = N, .groups = 2};
    void *context = NULL;
    attune_status status = kernels->open(&context, &s->trainable, &s->options);
    if (status) {
        cr_assert_null(context);
        snprintf(s->text, sizeof(s->text), "%s", attune_last_error());
        return status;
    }
    status = kernels->forward(context, s->embeddings, s->statistics, s->parameters, &batch);
    if (!status) {
        status = kernels->backward(context, s->gradients, s->embeddings, s->parameters, &batch);
    }
    if (!status) {
        batch.groups = 1;
        status = kernels->forward(context, s->embeddings, s->statistics, s->parameters, &batch);
    }
    status = status ? note(s, kernels, context, &batch, status) : status;
    kernels->close(context);
    return status;
}

/* Every CUDA call in turn: a status, a message with CUDA in it, nothing left behind. */
Test(train_whole, every_failure_is_told, .timeout = 280)
{
    smallest *s = make_smallest();
    const attune_training_kernels *kernels = begin();
    assert_ok(use(s, kernels));
    cr_assert_eq(machine.live, 0);
    long failed = 0;
    for (attune_status status = ATTUNE_EIO; status != ATTUNE_OK; failed++) {
        begin();
        machine.fail_at = failed + 1;
        machine.failure = cudaErrorECCUncorrectable;
        status = use(s, kernels);
        cr_assert(!status || strstr(s->text, "CUDA"), "%s", s->text);
        cr_assert_eq(machine.live, 0, "call %ld leaves something", failed + 1);
    }
    cr_assert_gt(failed, 40); /* the first that does not matter is one of closing's */
    free_smallest(s);
}

/* Device memory that holds all but a bit of what is wanted. */
Test(train_whole, too_little_memory_is_told, .timeout = 120)
{
    smallest *s = make_smallest();
    const attune_training_kernels *kernels = begin();
    cr_assert_eq(use(s, kernels), ATTUNE_OK);
    const size_t peak = machine.peak;
    for (size_t i = 1; i <= 5; i++) {
        begin();
        machine.memory = i == 5 ? 0 : peak - peak / 4 * (i - 1) - 1;
        cr_assert_eq(use(s, kernels), ATTUNE_ENOMEM);
        cr_assert(strstr(s->text, "lower --batch or --seconds"), "%s", s->text);
        cr_assert_eq(machine.live, 0);
        printf("%s\n", s->text);
    }
    free_smallest(s);
}

Test(train_whole, batches_that_do_not_fit_are_refused)
{
    smallest *s = make_smallest();
    const attune_training_kernels *kernels = begin();
    void *context = NULL;
    cr_assert_eq(kernels->open(&context, &s->trainable, &s->options), ATTUNE_OK);
    const attune_training_batch good = {.clips = s->clips, .B = 2, .samples = N, .groups = 2};
    attune_training_batch bad[6] = {good, good, good, good, good, good};
    bad[0].B = 3;
    bad[1].B = 0;
    bad[2].groups = 3;
    bad[3].groups = 0;
    bad[4].samples = N - 1;
    bad[5].samples = N + 1;
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(
            kernels->forward(context, s->embeddings, s->statistics, s->parameters, &bad[i]),
            ATTUNE_EINVAL, "%d", i);
        cr_assert_eq(
            kernels->backward(context, s->gradients, s->embeddings, s->parameters, &bad[i]),
            ATTUNE_EINVAL, "%d", i);
    }
    cr_assert_eq(kernels->backward(context, s->gradients, s->embeddings, s->parameters, &good),
                 ATTUNE_EINVAL); /* nothing has gone forward */
    kernels->close(context);
    kernels->close(NULL);
    s->options.ordinal = 1;
    cr_assert_eq(kernels->open(&context, &s->trainable, &s->options), ATTUNE_ENODEVICE);
    cr_assert_null(context);
    s->options.ordinal = 0;
    s->options.clips = 1 << 30;
    s->options.samples = 4 * N;
    cr_assert_eq(kernels->open(&context, &s->trainable, &s->options), ATTUNE_EINVAL);
    cr_assert_eq(machine.live, 0);
    free_smallest(s);
}
