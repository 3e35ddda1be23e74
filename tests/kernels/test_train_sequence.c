/* test_train_sequence.c - the sequence stage in training mode against its double-precision
 * reference, and that against its own slopes. */
#include "kernels/cpu/train_sequence.h"
#include "kernels/kernels.h"

#include "tests/reference/train_sequence_reference.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A network, a batch of it and what drops. */
typedef struct shape {
    attune_architecture architecture;
    attune_pooling pooling;
    int hidden, layers, attention, projection, embedding, B, T;
    float layer_drop, head_drop;
} shape;

#define TINY ATTUNE_ARCHITECTURE_TINY
#define GRU ATTUNE_ARCHITECTURE_GRU
#define ATTENTION ATTUNE_POOLING_ATTENTION
#define MEAN ATTUNE_POOLING_MEAN
#define LAST ATTUNE_POOLING_LAST

static const shape small[] = {
    {TINY, ATTENTION, 16, 2, 16, 24, 8, 5, 7, 0, 0},
    {TINY, ATTENTION, 32, 3, 33, 7, 5, 3, 5, 0.25f, 0.5f},
    {TINY, MEAN, 16, 2, 0, 33, 16, 13, 4, 0.1f, 0},
    {TINY, LAST, 48, 1, 0, 16, 3, 2, 9, 0, 0.1f},
    {TINY, ATTENTION, 16, 1, 1, 1, 1, 1, 1, 0, 0},
    {TINY, ATTENTION, 16, 8, 20, 16, 4, 2, 3, 0.2f, 0.2f},
    {GRU, LAST, 16, 2, 0, 16, 8, 7, 6, 0.1f, 0.3f},
    {GRU, ATTENTION, 32, 2, 8, 40, 33, 4, 1, 0, 0.1f},
};
enum { SMALL = sizeof(small) / sizeof(small[0]) };

static const shape large[] = {
    {TINY, ATTENTION, 128, 2, 128, 128, 32, 14, 40, 0.1f, 0.1f},
    {TINY, MEAN, 80, 2, 0, 128, 128, 25, 33, 0, 0},
    {GRU, LAST, 128, 2, 0, 128, 32, 9, 60, 0.1f, 0.1f},
    {TINY, ATTENTION, 256, 1, 100, 64, 16, 3, 200, 0, 0},
};
enum { LARGE = sizeof(large) / sizeof(large[0]) };

/* All that goes in and comes out, in double. */
typedef struct batch {
    attune_trainable trainable;
    shape shape;
    reference_dropout dropout;
    size_t embeddings, features; /* floats */
    double *p, *x, *g;           /* parameters, features, gradients by the embeddings */
    double *embedding, *dp, *dx; /* the reference's */
} batch;

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

static batch batch_of(shape s, uint64_t seed)
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
    batch b = {.shape = s, .dropout = {seed, s.layer_drop, s.head_drop}};
    cr_assert_eq(attune_trainable_layout(&b.trainable, &network), ATTUNE_OK, "%s",
                 attune_last_error());
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

static void batch_free(batch *b)
{
    double *all[] = {b->p, b->x, b->g, b->embedding, b->dp, b->dx};
    for (int i = 0; i < 6; i++) {
        free(all[i]);
    }
}

static void run_reference(batch *b)
{
    reference_train_sequence(b->embedding, b->dp, b->dx, &b->trainable, b->p, b->x, b->g,
                             b->shape.B, b->shape.T, b->dropout);
}

/* ---- the reference ---- */

/* The sum of embeddings times their gradients, of which the reference gives the gradient. */
static double value(batch *b)
{
    double sum = 0;
    reference_train_sequence(b->embedding, NULL, NULL, &b->trainable, b->p, b->x, NULL, b->shape.B,
                             b->shape.T, b->dropout);
    for (size_t i = 0; i < b->embeddings; i++) {
        sum += b->embedding[i] * b->g[i];
    }
    return sum;
}

/* The slope of value() along a random direction in `at` (count) beside the gradient's: 1e-8 of it
 * is what differences of 1e-5 leave of double precision. */
static void check_slope(batch *b, double *at, const double *gradient, size_t count,
                        const char *name)
{
    const double step = 1e-5;
    double *there = allocate(count), *direction = allocate(count), expected = 0, scale = 1e-3;
    uint64_t seed = count;
    memcpy(there, at, sizeof(double) * count);
    for (size_t i = 0; i < count; i++) {
        direction[i] = (double)random_uniform(&seed);
        expected += gradient[i] * direction[i];
        scale = fmax(scale, fabs(gradient[i]));
    }
    double end[2];
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < count; i++) {
            at[i] = there[i] + (k ? -step : step) * direction[i];
        }
        end[k] = value(b);
    }
    memcpy(at, there, sizeof(double) * count);
    const double slope = (end[0] - end[1]) / (2 * step);
    cr_assert_lt(fabs(slope - expected), 1e-6 * scale * sqrt((double)count), "%s: %.9g, not %.9g",
                 name, expected, slope);
    free(there);
    free(direction);
}

Test(train_sequence, reference_is_the_slope)
{
    for (int i = 0; i < SMALL; i++) {
        batch b = batch_of(small[i], 10 + (uint64_t)i);
        run_reference(&b);
        for (int k = 0; k < b.trainable.tensor_count; k++) {
            const attune_tensor *t = &b.trainable.tensors[k];
            if (!t->front_end) {
                check_slope(&b, b.p + t->offset, b.dp + t->offset, t->count, t->name);
            }
        }
        check_slope(&b, b.x, b.dx, b.features, "features");
        batch_free(&b);
    }
}

/* ---- the kernels ---- */

/* The kernels' results, each with NaN behind it: gradients, feature gradients, embeddings. */
typedef struct result {
    float *dp, *dx, *embedding;
} result;

static float *floats(const double *from, size_t count)
{
    float *out = malloc((count + 64) * sizeof(float));
    cr_assert_not_null(out);
    for (size_t i = 0; i < count + 64; i++) {
        out[i] = from && i < count ? (float)from[i] : NAN;
    }
    return out;
}

static void result_free(result *r)
{
    free(r->dp);
    free(r->dx);
    free(r->embedding);
}

/* In a context that has room for more and has seen a longer batch, unless `tight`. */
static result run_kernels(const attune_train_sequence_kernels *kernels, const batch *b, int threads,
                          bool tight)
{
    const int B = b->shape.B, T = b->shape.T;
    const attune_train_dropout dropout = {b->dropout.seed, b->dropout.layers, b->dropout.head};
    result r = {floats(NULL, b->trainable.parameter_count), floats(NULL, b->features),
                floats(NULL, b->embeddings)};
    float *p = floats(b->p, b->trainable.parameter_count), *x = floats(b->x, b->features),
          *g = floats(b->g, b->embeddings);
    attune_team *team = NULL;
    attune_train_sequence *s = NULL;
    cr_assert_eq(attune_team_open(&team, threads), ATTUNE_OK);
    cr_assert_eq(kernels->open(&s, &b->trainable, B + !tight, T + !tight, team), ATTUNE_OK);
    if (!tight && b->features >= 2 * (size_t)b->trainable.network.features) {
        const bool long_clip = T % 2 == 0 && B > 1;
        kernels->forward(s, r.embedding, x, p, long_clip ? B / 2 : 1, long_clip ? T + 1 : T,
                         &dropout);
        kernels->backward(s, r.dp, r.dx, g, p);
    }
    kernels->forward(s, r.embedding, x, p, B, T, &dropout);
    kernels->backward(s, r.dp, tight ? NULL : r.dx, g, p);
    if (tight) { /* again, as backward leaves what forward made as it was */
        kernels->backward(s, r.dp, r.dx, g, p);
    }
    kernels->close(s);
    attune_team_close(team);
    free(p);
    free(x);
    free(g);
    return r;
}

/* Differences relative to the tensor's largest: 1e-4, sums of floats being good to some 1e-6; and
 * no element beside the tensor is written. */
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

static void check_result(const batch *b, const result *r)
{
    check("embedding", r->embedding, b->embedding, b->embeddings);
    check("features", r->dx, b->dx, b->features);
    for (int i = 0; i < b->trainable.tensor_count; i++) {
        const attune_tensor *t = &b->trainable.tensors[i];
        for (size_t k = 0; t->front_end && k < t->count; k++) {
            cr_assert(isnan(r->dp[t->offset + k]), "%s was written", t->name);
        }
        if (!t->front_end) {
            check(t->name, r->dp + t->offset, b->dp + t->offset, t->count);
        }
    }
    cr_assert(isnan(r->dp[b->trainable.parameter_count]));
    cr_assert(isnan(r->dx[b->features]));
    cr_assert(isnan(r->embedding[b->embeddings]));
}

static void check_shape(const attune_train_sequence_kernels *kernels, shape s, uint64_t seed)
{
    batch b = batch_of(s, seed);
    run_reference(&b);
    for (int tight = 0; tight < 2; tight++) {
        result r = run_kernels(kernels, &b, 1 + tight, tight);
        check_result(&b, &r);
        result_free(&r);
    }
    batch_free(&b);
}

static const struct {
    const char *name;
    const attune_train_sequence_kernels *kernels;
} sets[] = {
    {"baseline", &attune_train_sequence_kernels_baseline},
#ifdef __x86_64__
    {"avx2", &attune_train_sequence_kernels_avx2},
    {"avx512", &attune_train_sequence_kernels_avx512},
#endif
};
enum { SETS = sizeof(sets) / sizeof(sets[0]) };

static void check_set(const char *name)
{
    for (int i = 0; i < SETS; i++) {
        if (strcmp(sets[i].name, name) == 0 && attune_kernels_cpu_named(name)) {
            for (int k = 0; k < SMALL; k++) {
                check_shape(sets[i].kernels, small[k], 30 + (uint64_t)k);
            }
            for (int k = 0; k < LARGE; k++) {
                check_shape(sets[i].kernels, large[k], 50 + (uint64_t)k);
            }
            return;
        }
    }
    skip_test("this machine has not the instruction set");
}

Test(train_sequence, baseline_matches_reference)
{
    check_set("baseline");
}

Test(train_sequence, avx2_matches_reference)
{
    check_set("avx2");
}

Test(train_sequence, avx512_matches_reference)
{
    check_set("avx512");
}

Test(train_sequence, threads_change_no_bit)
{
    static const int threads[] = {2, 3, 8};
    for (int i = 0; i < SETS; i++) {
        for (int k = 0; attune_kernels_cpu_named(sets[i].name) && k < SMALL + 2; k++) {
            batch b = batch_of(k < SMALL ? small[k] : large[k - SMALL], 70);
            result one = run_kernels(sets[i].kernels, &b, 1, true);
            for (int n = 0; n < 3; n++) {
                result many = run_kernels(sets[i].kernels, &b, threads[n], n % 2);
                cr_assert_eq(memcmp(one.embedding, many.embedding, b.embeddings * 4), 0);
                cr_assert_eq(memcmp(one.dx, many.dx, b.features * 4), 0);
                cr_assert_eq(memcmp(one.dp, many.dp, b.trainable.parameter_count * 4), 0,
                             "%s shape %d, %d threads", sets[i].name, k, threads[n]);
                result_free(&many);
            }
            result_free(&one);
            batch_free(&b);
        }
    }
}

/* An embedding of nothing but zeros: the norm is clamped, and gradients are finite. */
Test(train_sequence, zero_outputs_have_gradients)
{
    batch b = batch_of(small[0], 90);
    const attune_trainable *t = &b.trainable;
    memset(b.p + t->project2_weight, 0, sizeof(double) * (t->parameter_count - t->project2_weight));
    run_reference(&b);
    for (int i = 0; i < SETS; i++) {
        if (attune_kernels_cpu_named(sets[i].name)) {
            result r = run_kernels(sets[i].kernels, &b, 1, true);
            check_result(&b, &r);
            result_free(&r);
        }
    }
    batch_free(&b);
}
