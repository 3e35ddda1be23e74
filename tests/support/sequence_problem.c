/* sequence_problem.c - batches for the sequence stage in training mode. */
#include "tests/support/sequence_problem.h"

#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TINY ATTUNE_ARCHITECTURE_TINY
#define GRU ATTUNE_ARCHITECTURE_GRU
#define ATTENTION ATTUNE_POOLING_ATTENTION
#define MEAN ATTUNE_POOLING_MEAN
#define LAST ATTUNE_POOLING_LAST

const sequence_shape sequence_small[SEQUENCE_SMALL] = {
    {TINY, ATTENTION, 16, 2, 16, 24, 8, 5, 7, 0, 0},
    {TINY, ATTENTION, 32, 3, 33, 7, 5, 3, 5, 0.25f, 0.5f},
    {TINY, MEAN, 16, 2, 0, 33, 16, 13, 4, 0.1f, 0},
    {TINY, LAST, 48, 1, 0, 16, 3, 2, 9, 0, 0.1f},
    {TINY, ATTENTION, 16, 1, 1, 1, 1, 1, 1, 0, 0},
    {TINY, ATTENTION, 16, 8, 20, 16, 4, 2, 3, 0.2f, 0.2f},
    {GRU, LAST, 16, 2, 0, 16, 8, 7, 6, 0.1f, 0.3f},
    {GRU, ATTENTION, 32, 2, 8, 40, 33, 4, 1, 0, 0.1f},
};
const sequence_shape sequence_large[SEQUENCE_LARGE] = {
    {TINY, ATTENTION, 128, 2, 128, 128, 32, 14, 40, 0.1f, 0.1f},
    {TINY, MEAN, 80, 2, 0, 128, 128, 25, 33, 0, 0},
    {GRU, LAST, 128, 2, 0, 128, 32, 9, 60, 0.1f, 0.1f},
    {TINY, ATTENTION, 256, 1, 100, 64, 16, 3, 200, 0, 0},
    {TINY, ATTENTION, 400, 2, 96, 300, 20, 5, 11, 0.1f, 0.1f},
};

static double *allocate(size_t count)
{
    double *memory = calloc(count, sizeof(double));
    cr_assert_not_null(memory);
    return memory;
}

/* Uniform values that floats hold, so that the kernels begin with the same. */
static void fill(double *out, size_t count, double bound, uint64_t *seed)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = (double)(float)(bound * (double)random_uniform(seed));
    }
}

sequence_problem sequence_problem_of(sequence_shape s, uint64_t seed)
{
    const attune_network network = {
        .architecture = s.architecture,
        .pooling = s.pooling,
        .sample_rate = 22050,
        .frame_size = 2048,
        .hop_size = 2048,
        .features = s.architecture == ATTUNE_ARCHITECTURE_TINY ? 64 : 128,
        .hidden = s.hidden,
        .layers = s.layers,
        .attention = s.attention,
        .projection = s.projection,
        .embedding = s.embedding,
    };
    sequence_problem b = {.shape = s, .dropout = {seed, s.layer_drop, s.head_drop}};
    assert_ok(attune_trainable_layout(&b.trainable, &network));
    b.embeddings = (size_t)s.B * s.embedding;
    b.features = (size_t)s.B * s.T * network.features;
    b.p = allocate(b.trainable.parameter_count);
    b.dp = allocate(b.trainable.parameter_count);
    b.x = allocate(b.features);
    b.dx = allocate(b.features);
    b.g = allocate(b.embeddings);
    b.embedding = allocate(b.embeddings);
    for (int i = 0; i < b.trainable.tensor_count; i++) {
        const attune_tensor *t = &b.trainable.tensors[i];
        const double fan_in = t->rank > 1 ? (double)t->count / t->shape[0] : 9;
        fill(b.p + t->offset, t->count, 1.7 / sqrt(fan_in), &seed);
    }
    fill(b.x, b.features, 1, &seed);
    fill(b.g, b.embeddings, 1, &seed);
    return b;
}

void sequence_problem_free(sequence_problem *b)
{
    double *all[] = {b->p, b->x, b->g, b->embedding, b->dp, b->dx};
    for (int i = 0; i < 6; i++) {
        free(all[i]);
    }
}

void sequence_problem_solve(sequence_problem *b)
{
    reference_train_sequence(b->embedding, b->dp, b->dx, &b->trainable, b->p, b->x, b->g,
                             b->shape.B, b->shape.T, b->dropout);
}

float *sequence_floats(const double *from, size_t count)
{
    float *out = malloc((count + 64) * sizeof(float));
    cr_assert_not_null(out);
    for (size_t i = 0; i < count + 64; i++) {
        out[i] = from && i < count ? (float)from[i] : NAN;
    }
    return out;
}

sequence_result sequence_result_of(const sequence_problem *b)
{
    return (sequence_result){sequence_floats(NULL, b->trainable.parameter_count),
                             sequence_floats(NULL, b->features),
                             sequence_floats(NULL, b->embeddings)};
}

void sequence_result_free(sequence_result *r)
{
    free(r->dp);
    free(r->dx);
    free(r->embedding);
}

/* Differences relative to the tensor's largest: 1e-4, sums of floats being good to some 1e-6. */
static void check(const char *name, const float *got, const double *expected, size_t count)
{
    double largest = 1e-6, worst = 0;
    for (size_t i = 0; i < count; i++) {
        const double error = fabs((double)got[i] - expected[i]);
        largest = fmax(largest, fabs(expected[i]));
        worst = !(error <= worst) ? error : worst;
    }
    if (!(worst <= 1e-5 * largest)) {
        printf("%s: %.3g of %.3g\n", name, worst, largest);
    }
    cr_assert(worst <= 1e-4 * largest, "%s: %.3g of %.3g", name, worst, largest);
}

void sequence_result_check(const sequence_problem *b, const sequence_result *r, bool zeroed)
{
    check("embedding", r->embedding, b->embedding, b->embeddings);
    check("features", r->dx, b->dx, b->features);
    for (int i = 0; i < b->trainable.tensor_count; i++) {
        const attune_tensor *t = &b->trainable.tensors[i];
        for (size_t k = 0; t->front_end && k < t->count; k++) {
            const float got = r->dp[t->offset + k];
            cr_assert(zeroed ? got == 0 : isnan(got), "%s was written", t->name);
        }
        if (!t->front_end) {
            check(t->name, r->dp + t->offset, b->dp + t->offset, t->count);
        }
    }
    cr_assert(isnan(r->dp[b->trainable.parameter_count]));
    cr_assert(isnan(r->dx[b->features]));
    cr_assert(isnan(r->embedding[b->embeddings]));
}
