/* test_training.c - the CPU as a device that trains: what it refuses, which instruction set it
 * takes, and what it remembers. What it computes is tests/train/test_golden.c's. */
#include "kernels/training.h"

#include "kernels/cpu/train_memory.h"

#include "tests/reference/reference.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { B = 6, SAMPLES = 5000 };

static void *open_network(const attune_training_kernels *kernels, attune_trainable *trainable,
                          attune_architecture architecture, bool frozen)
{
    const attune_network network = reference_network(architecture);
    const attune_training_options options = {
        .threads = 2, .clips = B, .samples = SAMPLES, .frozen_front_end = frozen};
    void *context = NULL;
    cr_assert_eq(attune_trainable_layout(trainable, &network), ATTUNE_OK);
    assert_ok(kernels->open(&context, trainable, &options));
    return context;
}

Test(training, batches_that_do_not_fit_are_refused)
{
    const attune_training_kernels *kernels = attune_training_cpu_named("baseline");
    attune_trainable trainable;
    void *context = open_network(kernels, &trainable, ATTUNE_ARCHITECTURE_TINY, false);
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

/* Batches of a frozen front end, one after another: new clips, the same, others, one twice, known
 * ones between new ones and more in one run than a group has, shorter ones; and at the sixth
 * another front end. */
static const struct {
    int clips[B], B, groups;
    size_t samples;
} heard[] = {
    {{0, 1, 2, 3, 4, 5}, 6, 3, SAMPLES},
    {{0, 1, 2, 3, 4, 5}, 6, 1, SAMPLES},
    {{5, 6, 0, 7, 7, 1}, 6, 2, SAMPLES},
    {{8, 9, 10, 11, 12, 7}, 6, 6, SAMPLES},
    {{0, 1, 2}, 3, 3, 2048},
    {{0, 1, 2, 3, 8, 13}, 6, 2, SAMPLES},
    {{13, 1, 2, 0, 8, 3}, 6, 3, SAMPLES},
};

static void check_memory(attune_architecture architecture)
{
    const attune_training_kernels *kernels = attune_training_cpu_named("baseline");
    attune_trainable t;
    void *context = open_network(kernels, &t, architecture, true);
    const size_t E = (size_t)t.network.embedding;
    float *clips = malloc(14 * SAMPLES * sizeof(float)),
          *parameters = malloc((t.parameter_count + t.statistic_count) * sizeof(float)),
          *statistics = parameters + t.parameter_count,
          *embeddings = malloc(2 * B * E * sizeof(float));
    cr_assert(clips && parameters && embeddings);
    uint64_t state = 1;
    for (int i = 0; i < 14 * SAMPLES; i++) {
        clips[i] = (float)(attune_random_mix(state++) >> 40) * 0x1p-23f - 1.0f;
    }
    attune_trainable_initialise(parameters, statistics, &t, 1);
    for (size_t i = 0; i < sizeof(heard) / sizeof(heard[0]); i++) {
        const float *of[B];
        for (int b = 0; b < heard[i].B; b++) {
            of[b] = clips + (size_t)heard[i].clips[b] * SAMPLES;
        }
        if (i == 5) {
            statistics[0] += 0.5f;
        }
        const attune_training_batch batch = {
            .clips = of, .B = heard[i].B, .samples = heard[i].samples, .groups = heard[i].groups};
        attune_trainable other;
        void *fresh = open_network(kernels, &other, architecture, true);
        const size_t bytes = (size_t)heard[i].B * E * sizeof(float);
        assert_ok(kernels->forward(context, embeddings, statistics, parameters, &batch));
        assert_ok(kernels->forward(fresh, embeddings + B * E, statistics, parameters, &batch));
        cr_assert_eq(memcmp(embeddings, embeddings + B * E, bytes), 0, "batch %zu", i);
        kernels->close(fresh);
    }
    kernels->close(context);
    free(clips);
    free(parameters);
    free(embeddings);
}

Test(training, remembering_clips_changes_no_bit)
{
    check_memory(ATTUNE_ARCHITECTURE_TINY);
    check_memory(ATTUNE_ARCHITECTURE_GRU);
}

/* 3,000 clips, which make the table grow, of which 2,000 have room. */
Test(training, memory_keeps_what_it_has_room_for)
{
    enum { CLIPS = 3000, ROOM = 2000, COUNT = 3 };
    attune_train_memory *memory = NULL;
    assert_ok(attune_train_memory_open(&memory, ROOM * COUNT * sizeof(float)));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < CLIPS; i++) {
            const float clip[2] = {(float)i, 0};
            bool known = false;
            float *place = attune_train_memory_place(memory, &known, clip, 2, COUNT);
            cr_assert_eq(known, round > 0 && i < ROOM, "clip %d, round %d", i, round);
            cr_assert_eq(place != NULL, i < ROOM);
            for (int k = 0; place && k < COUNT; k++) {
                cr_assert(!known || place[k] == (float)(i + k));
                place[k] = (float)(i + k);
            }
        }
    }
    attune_train_memory_close(memory);
    attune_train_memory_close(NULL);
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
