/* test_train_frontend.c - the front end in training mode against double precision, and that against
 * differences of its own features. */
#include "kernels/cpu/train_frontend.h"

#include "tests/reference/reference.h"
#include "tests/reference/train_reference.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUPS = 2 };

typedef struct shape {
    attune_architecture architecture;
    int frame_size, F;
} shape;

/* Frames of one tile of positions, of a few, of many; fewer frames than a run of them takes, as
 * many and one more, two runs and a rest. */
static const shape shapes[] = {
    {ATTUNE_ARCHITECTURE_TINY, 256, 1},   {ATTUNE_ARCHITECTURE_TINY, 256, 35},
    {ATTUNE_ARCHITECTURE_TINY, 768, 5},   {ATTUNE_ARCHITECTURE_TINY, 2048, 3},
    {ATTUNE_ARCHITECTURE_TINY, 16384, 1}, {ATTUNE_ARCHITECTURE_GRU, 256, 1},
    {ATTUNE_ARCHITECTURE_GRU, 256, 17},   {ATTUNE_ARCHITECTURE_GRU, 768, 2},
};

/* A network, its parameters and GROUPS groups of F frames. */
typedef struct problem {
    attune_trainable trainable;
    int F;
    float *parameters, *statistics;
    float *feature_gradients; /* (GROUPS, F, C) */
    const float **frames;     /* (GROUPS, F) */
    float *samples;
} problem;

static float *floats(size_t count)
{
    float *p = calloc(count, sizeof(float));
    cr_assert_not_null(p);
    return p;
}

static double *doubles(const float *from, size_t count)
{
    double *p = calloc(count, sizeof(double));
    cr_assert_not_null(p);
    for (size_t i = 0; from && i < count; i++) {
        p[i] = (double)from[i];
    }
    return p;
}

/* Tones and noise of many levels; the last frame of many is silence. Behind every frame
 * stands NaN. */
static void fill_frames(problem *p, uint64_t *seed)
{
    const int N = p->trainable.network.frame_size, all = GROUPS * p->F;
    p->samples = floats((size_t)all * (N + 16));
    p->frames = calloc((size_t)all, sizeof(*p->frames));
    cr_assert_not_null(p->frames);
    for (int f = 0; f < all; f++) {
        float *x = p->samples + (size_t)f * (N + 16);
        const double level = p->F > 2 && f == all - 1 ? 0 : 0.6 + 0.4 * sin(f),
                     pitch = 0.02 * (f + 2);
        for (int i = 0; i < N + 16; i++) {
            const double tone = sin(pitch * i) + 0.3 * (double)random_uniform(seed);
            x[i] = i < N ? (float)(level * tone) : NAN;
        }
        p->frames[f] = x;
    }
}

static problem make_problem(shape s)
{
    uint64_t seed = 11;
    attune_network n = reference_network(s.architecture);
    problem p = {.F = s.F};
    n.frame_size = n.hop_size = s.frame_size;
    cr_assert_eq(attune_trainable_layout(&p.trainable, &n), ATTUNE_OK);
    const attune_trainable *t = &p.trainable;
    p.parameters = floats(t->parameter_count);
    p.statistics = floats(t->statistic_count);
    p.feature_gradients = floats((size_t)GROUPS * s.F * n.features);
    attune_trainable_initialise(p.parameters, p.statistics, t, 5);
    for (int i = 0; i < t->conv_count; i++) {
        const attune_trainable_conv *conv = &t->conv[i];
        random_fill(&seed, p.parameters + conv->shift, (size_t)conv->outputs, 0.7f);
        random_fill(&seed, p.statistics + conv->mean, (size_t)conv->outputs, 0.3f);
        for (int c = 0; c < conv->outputs; c++) {
            p.parameters[conv->scale + c] += 0.5f * random_uniform(&seed);
            p.statistics[conv->variance + c] += 0.5f * random_uniform(&seed);
        }
    }
    random_fill(&seed, p.feature_gradients, (size_t)GROUPS * s.F * n.features, 1.0f);
    fill_frames(&p, &seed);
    return p;
}

static void free_problem(problem *p)
{
    free(p->parameters);
    free(p->statistics);
    free(p->feature_gradients);
    free(p->frames);
    free(p->samples);
}

/* What a front end makes of a problem. */
typedef struct answer {
    float *features, *statistics, *gradients;
} answer;

static void free_answer(answer *a)
{
    free(a->features);
    free(a->statistics);
    free(a->gradients);
}

static const attune_train_frontend *find(const char *isa, attune_architecture architecture)
{
    const bool tiny = architecture == ATTUNE_ARCHITECTURE_TINY;
    if (!attune_kernels_cpu_named(isa)) {
        skip_test("this machine has not the instruction set");
    }
#if defined(__x86_64__)
    if (strcmp(isa, "avx512") == 0) {
        return tiny ? &attune_train_frontend_tiny_avx512 : &attune_train_frontend_gru_avx512;
    }
    if (strcmp(isa, "avx2") == 0) {
        return tiny ? &attune_train_frontend_tiny_avx2 : &attune_train_frontend_gru_avx2;
    }
#endif
    return tiny ? &attune_train_frontend_tiny_baseline : &attune_train_frontend_gru_baseline;
}

/* Forward for all groups, then backward, `times` times in the same context; the last one's. */
static answer solve(const problem *p, const char *isa, int threads, bool frozen, int times)
{
    const attune_trainable *t = &p->trainable;
    const int C = t->network.features, F = p->F;
    const attune_train_frontend *frontend = find(isa, t->network.architecture);
    answer a = {floats((size_t)GROUPS * F * C), floats(t->statistic_count),
                floats(t->parameter_count)};
    attune_team *team = NULL;
    void *context = NULL;
    cr_assert_eq(attune_team_open(&team, threads), ATTUNE_OK);
    /* room for more than there are */
    cr_assert_eq(frontend->open(&context, t, F + 2, GROUPS + 1, frozen, team), ATTUNE_OK);
    for (int i = 0; i < times; i++) {
        memcpy(a.statistics, p->statistics, t->statistic_count * sizeof(float));
        memset(a.gradients, 0, t->parameter_count * sizeof(float));
        for (int g = 0; g < GROUPS; g++) {
            frontend->forward(context, a.features + (size_t)g * F * C, a.statistics, p->parameters,
                              p->frames + (size_t)g * F, F, g);
        }
        for (int g = 0; g < GROUPS && !frozen; g++) {
            frontend->backward(context, a.gradients, p->feature_gradients + (size_t)g * F * C,
                               p->parameters, p->frames + (size_t)g * F, F, g);
        }
    }
    frontend->close(context);
    attune_team_close(team);
    return a;
}

/* Relative to the tensor's largest. The gradient of a bias before a batch normalisation is 0: hence
 * the least scale. */
static double worst_of(const char *name, const float *got, const double *expected, size_t count)
{
    double error = 0, scale = 1e-7;
    for (size_t i = 0; i < count; i++) {
        const double e = fabs((double)got[i] - expected[i]);
        error = e <= error ? error : e; /* a NaN stays */
        scale = fmax(scale, fabs(expected[i]));
    }
    printf("  %s: %.2g of %.3g\n", name, error, scale);
    return error / scale;
}

static void check_against_reference(const problem *p, const char *isa, bool frozen)
{
    const attune_trainable *t = &p->trainable;
    const int C = t->network.features, F = p->F;
    double *parameters = doubles(p->parameters, t->parameter_count),
           *statistics = doubles(p->statistics, t->statistic_count),
           *gradients = doubles(NULL, t->parameter_count),
           *feature_gradients = doubles(p->feature_gradients, (size_t)GROUPS * F * C),
           *features = doubles(NULL, (size_t)GROUPS * F * C);
    for (int g = 0; g < GROUPS; g++) {
        const size_t at = (size_t)g * F * C;
        reference_train_frontend(features + at, frozen ? NULL : gradients, statistics, t,
                                 parameters, p->frames + (size_t)g * F, F, frozen,
                                 feature_gradients + at);
    }
    printf("%s, frames of %d, %d of them%s\n", isa, t->network.frame_size, F,
           frozen ? ", frozen" : "");
    answer a = solve(p, isa, 1, frozen, 1);
    cr_assert_lt(worst_of("features", a.features, features, (size_t)GROUPS * F * C), 1e-5);
    for (int i = 0; i < t->running_count; i++) {
        const size_t at = t->running[i].offset;
        cr_assert_lt(
            worst_of(t->running[i].name, a.statistics + at, statistics + at, t->running[i].count),
            1e-5);
    }
    for (int i = 0; i < t->tensor_count; i++) {
        const size_t at = t->tensors[i].offset;
        if (t->tensors[i].front_end) {
            cr_expect_lt(
                worst_of(t->tensors[i].name, a.gradients + at, gradients + at, t->tensors[i].count),
                1e-4);
        }
    }
    free_answer(&a);
    free(parameters);
    free(statistics);
    free(gradients);
    free(feature_gradients);
    free(features);
}

static void check_isa(const char *isa)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        problem p = make_problem(shapes[i]);
        check_against_reference(&p, isa, false);
        if (shapes[i].frame_size == 768) {
            check_against_reference(&p, isa, true);
        }
        free_problem(&p);
    }
}

Test(train_frontend, baseline_matches_reference)
{
    check_isa("baseline");
}

Test(train_frontend, avx2_matches_reference)
{
    check_isa("avx2");
}

Test(train_frontend, avx512_matches_reference)
{
    check_isa("avx512");
}

/* A context that has done the work before, with other numbers of threads, has the same bits. */
static void check_threads(const char *isa)
{
    static const shape some[] = {{ATTUNE_ARCHITECTURE_TINY, 256, 53},
                                 {ATTUNE_ARCHITECTURE_GRU, 256, 37}};
    for (int i = 0; i < 4; i++) {
        problem p = make_problem(some[i / 2]);
        const bool frozen = i % 2;
        const attune_trainable *t = &p.trainable;
        answer a = solve(&p, isa, 1, frozen, 1);
        for (int threads = 1; threads <= 3; threads++) {
            answer b = solve(&p, isa, threads, frozen, 2);
            cr_assert_eq(memcmp(a.features, b.features,
                                (size_t)GROUPS * p.F * t->network.features * sizeof(float)),
                         0);
            cr_assert_eq(memcmp(a.statistics, b.statistics, t->statistic_count * sizeof(float)), 0);
            cr_assert_eq(memcmp(a.gradients, b.gradients, t->parameter_count * sizeof(float)), 0);
            free_answer(&b);
        }
        if (frozen) {
            cr_assert_eq(memcmp(a.statistics, p.statistics, t->statistic_count * sizeof(float)), 0);
        }
        free_answer(&a);
        free_problem(&p);
    }
}

Test(train_frontend, baseline_bits_do_not_depend_on_threads)
{
    check_threads("baseline");
}

Test(train_frontend, avx2_bits_do_not_depend_on_threads)
{
    check_threads("avx2");
}

Test(train_frontend, avx512_bits_do_not_depend_on_threads)
{
    check_threads("avx512");
}

/* Σ features · feature_gradients of the first group. */
static double loss(const problem *p, const double *parameters, const double *feature_gradients,
                   double *gradients)
{
    const attune_trainable *t = &p->trainable;
    const int count = p->F * t->network.features;
    double *features = doubles(NULL, (size_t)count),
           *statistics = doubles(p->statistics, t->statistic_count);
    reference_train_frontend(features, gradients, statistics, t, parameters, p->frames, p->F, false,
                             feature_gradients);
    double sum = 0;
    for (int i = 0; i < count; i++) {
        sum += features[i] * feature_gradients[i];
    }
    free(features);
    free(statistics);
    return sum;
}

/* A step of 1e-5 leaves 1e-10 of curvature and 1e-11 of rounding. */
static void check_differences(attune_architecture architecture)
{
    problem p = make_problem((shape){architecture, 256, 2});
    const attune_trainable *t = &p.trainable;
    const double step = 1e-5;
    double *parameters = doubles(p.parameters, t->parameter_count),
           *gradients = doubles(NULL, t->parameter_count),
           *feature_gradients = doubles(p.feature_gradients, (size_t)p.F * t->network.features);
    loss(&p, parameters, feature_gradients, gradients);
    for (int i = 0; i < t->tensor_count && t->tensors[i].front_end; i++) {
        const attune_tensor *tensor = &t->tensors[i];
        const size_t stride = tensor->count / 4 ? tensor->count / 4 : 1;
        for (size_t j = tensor->offset; j < tensor->offset + tensor->count; j += stride) {
            const double kept = parameters[j];
            parameters[j] = kept + step;
            const double above = loss(&p, parameters, feature_gradients, NULL);
            parameters[j] = kept - step;
            const double below = loss(&p, parameters, feature_gradients, NULL);
            parameters[j] = kept;
            const double difference = (above - below) / (2 * step);
            printf("%s: %.8g, by differences %.8g\n", tensor->name, gradients[j], difference);
            cr_expect_lt(fabs(gradients[j] - difference), 1e-7 * fmax(1, fabs(difference)));
        }
    }
    free(parameters);
    free(gradients);
    free(feature_gradients);
    free_problem(&p);
}

Test(train_frontend, reference_of_tiny_matches_its_differences)
{
    check_differences(ATTUNE_ARCHITECTURE_TINY);
}

Test(train_frontend, reference_of_gru_matches_its_differences)
{
    check_differences(ATTUNE_ARCHITECTURE_GRU);
}
