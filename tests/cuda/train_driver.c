/* train_driver.c - whole networks on a CUDA device that trains, beside the CPU. */
#include "tests/cuda/train_driver.h"

#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

attune_network train_network(attune_architecture architecture, attune_pooling pooling, int frame,
                             int hop, int hidden, int layers)
{
    return (attune_network){
        .architecture = architecture,
        .pooling = pooling,
        .sample_rate = 22050,
        .frame_size = frame,
        .hop_size = hop,
        .features = architecture == ATTUNE_ARCHITECTURE_TINY ? 64 : 128,
        .hidden = hidden,
        .layers = layers,
        .attention = pooling == ATTUNE_POOLING_ATTENTION ? hidden : 0,
        .projection = hidden,
        .embedding = 8,
    };
}

/* A trainable, clips, and what a device made of them in two batches. */
typedef struct work {
    attune_trainable trainable;
    train_case c;
    size_t S;
    float *parameters, *samples, *embedding_gradients;
    const float **clips;
} work;

typedef struct answer {
    float *embeddings, *statistics, *gradients; /* of both batches, one behind the other */
} answer;

static float *floats(size_t count)
{
    float *memory = malloc(count * sizeof(float));
    cr_assert_not_null(memory);
    memset(memory, 0xff, count * sizeof(float));
    return memory;
}

/* Noise whose level changes from clip to clip and within each. */
static void fill_clips(work *w, uint64_t *seed)
{
    for (int b = 0; b < w->c.B; b++) {
        float *clip = w->samples + (size_t)b * w->S;
        random_fill(seed, clip, w->S, 0.1f + 0.2f * (float)b);
        for (size_t i = 0; i < w->S; i++) {
            clip[i] *= (float)(1 + 0.7 * sin((double)i / 400.0));
        }
        w->clips[b] = clip;
    }
}

static work work_of(const train_case *c)
{
    work w = {.c = *c};
    uint64_t seed = 7;
    assert_ok(attune_trainable_layout(&w.trainable, &c->network));
    w.S = (size_t)((c->T - 1) * c->network.hop_size + c->network.frame_size) + 3;
    w.parameters = floats(w.trainable.parameter_count);
    w.samples = floats((size_t)c->B * w.S);
    w.embedding_gradients = floats((size_t)c->B * c->network.embedding);
    w.clips = malloc((size_t)c->B * sizeof(*w.clips));
    cr_assert_not_null(w.clips);
    fill_clips(&w, &seed);
    random_fill(&seed, w.embedding_gradients, (size_t)c->B * c->network.embedding, 1.0f);
    return w;
}

static void work_free(work *w)
{
    free(w->parameters);
    free(w->samples);
    free(w->embedding_gradients);
    free(w->clips);
}

static void answer_free(answer *a)
{
    free(a->embeddings);
    free(a->statistics);
    free(a->gradients);
}

/* The first batch is all; the second has a group less or a third of the clips, in one group, and
 * clips of a step less where there are two. */
static attune_training_batch batch_of(const work *w, int which)
{
    attune_training_batch batch = {
        .clips = w->clips, .B = w->c.B, .samples = w->S, .groups = w->c.groups, .seed = 5};
    if (which == 1) {
        batch.B = w->c.B > 2 ? w->c.B - w->c.B / 3 : w->c.B;
        batch.groups = 1;
        batch.seed = 6;
        batch.samples -= w->c.T > 1 ? (size_t)w->c.network.hop_size : 0;
    }
    return batch;
}

static answer run(const work *w, const attune_training_kernels *kernels, bool roomy)
{
    const attune_trainable *t = &w->trainable;
    const size_t E = (size_t)w->c.B * w->c.network.embedding;
    const attune_training_options options = {.threads = 1,
                                             .clips = w->c.B + 2 * roomy,
                                             .samples = w->S + 999 * roomy,
                                             .frozen_front_end = w->c.frozen,
                                             .dropout_layers = w->c.dropout,
                                             .dropout_head = w->c.dropout};
    answer a = {floats(2 * E), floats(2 * t->statistic_count), floats(2 * t->parameter_count)};
    void *context = NULL;
    assert_ok(kernels->open(&context, t, &options));
    cr_assert(*kernels->name(context));
    attune_trainable_initialise(w->parameters, a.statistics, t, 3);
    for (int which = 0; which < 2; which++) {
        const attune_training_batch batch = batch_of(w, which);
        float *statistics = a.statistics + (size_t)which * t->statistic_count;
        if (which == 1) {
            memcpy(statistics, a.statistics, t->statistic_count * sizeof(float));
        }
        assert_ok(kernels->forward(context, a.embeddings + (size_t)which * E, statistics,
                                   w->parameters, &batch));
        assert_ok(kernels->backward(context, a.gradients + (size_t)which * t->parameter_count,
                                    w->embedding_gradients, w->parameters, &batch));
    }
    kernels->close(context);
    return a;
}

/* Within `bound` of the largest; gradients that ought to be 0 are what rounding makes of them. */
static void check(const char *name, int which, const float *got, const float *expected,
                  size_t count, double bound)
{
    double largest = 0, worst = 0;
    for (size_t i = 0; i < count; i++) {
        const double error = fabs((double)got[i] - (double)expected[i]);
        largest = fmax(largest, fabs((double)expected[i]));
        worst = !(error <= worst) ? error : worst;
    }
    if (!(worst <= 0.1 * bound * largest)) {
        printf("batch %d, %s: %.3g of %.3g\n", which, name, worst, largest);
    }
    cr_assert(worst <= fmax(bound * largest, 3e-7), "batch %d, %s: %.3g of %.3g", which, name,
              worst, largest);
}

static void check_batch(const work *w, int which, const answer *got, const answer *expected)
{
    const attune_trainable *t = &w->trainable;
    const size_t E = (size_t)w->c.B * w->c.network.embedding,
                 s = (size_t)which * t->statistic_count, p = (size_t)which * t->parameter_count;
    check("embeddings", which, got->embeddings + which * E, expected->embeddings + which * E,
          (size_t)batch_of(w, which).B * w->c.network.embedding, 1e-5);
    for (int i = 0; i < t->running_count; i++) {
        const attune_tensor *at = &t->running[i];
        check(at->name, which, got->statistics + s + at->offset,
              expected->statistics + s + at->offset, at->count, 1e-5);
    }
    for (int i = 0; i < t->tensor_count; i++) {
        const attune_tensor *at = &t->tensors[i];
        check(at->name, which, got->gradients + p + at->offset,
              expected->gradients + p + at->offset, at->count, 1e-4);
    }
}

void train_compare(const attune_training_kernels *kernels, const train_case *c)
{
    const attune_training_kernels *cpu = NULL;
    cr_assert_eq(attune_training_cpu(&cpu), ATTUNE_OK);
    work w = work_of(c);
    answer expected = run(&w, cpu, false), got = run(&w, kernels, false),
           again = run(&w, kernels, true);
    for (int which = 0; which < 2; which++) {
        check_batch(&w, which, &got, &expected);
    }
    const attune_trainable *t = &w.trainable;
    cr_assert_eq(memcmp(got.embeddings, again.embeddings,
                        2 * sizeof(float) * (size_t)c->B * c->network.embedding),
                 0);
    cr_assert_eq(memcmp(got.statistics, again.statistics, 2 * sizeof(float) * t->statistic_count),
                 0);
    cr_assert_eq(memcmp(got.gradients, again.gradients, 2 * sizeof(float) * t->parameter_count), 0);
    answer_free(&expected);
    answer_free(&got);
    answer_free(&again);
    work_free(&w);
}
