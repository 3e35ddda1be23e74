/* train_problem.c - see train_problem.h. */
#include "tests/support/train_problem.h"

#include "tests/reference/reference.h"
#include "tests/reference/train_reference.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BEHIND = 16 /* samples, fewer than a hop */ };

static float *floats(size_t count)
{
    float *p = calloc(count, sizeof(float));
    cr_assert_not_null(p);
    return p;
}

double *train_doubles(const float *from, size_t count)
{
    double *p = calloc(count, sizeof(double));
    cr_assert_not_null(p);
    for (size_t i = 0; from && i < count; i++) {
        p[i] = (double)from[i];
    }
    return p;
}

static void fill_clips(train_problem *p, uint64_t *seed)
{
    const attune_network *n = &p->trainable.network;
    const int clips = TRAIN_GROUPS * p->clips, N = n->frame_size;
    const size_t used = (size_t)N + (size_t)(p->T - 1) * n->hop_size;
    p->S = used + BEHIND;
    p->samples = floats((size_t)clips * p->S);
    p->frames = calloc((size_t)clips * p->T, sizeof(*p->frames));
    cr_assert_not_null(p->frames);
    for (int c = 0; c < clips; c++) {
        float *x = p->samples + (size_t)c * p->S;
        const double level = p->clips > 2 && c == clips - 1 ? 0 : 0.6 + 0.4 * sin(c),
                     pitch = 0.02 * (c + 2);
        for (size_t i = 0; i < p->S; i++) {
            const double swell = p->T > 1 ? 1 + 0.5 * sin((double)i / N) : 1,
                         tone = sin(pitch * (double)i) + 0.3 * (double)random_uniform(seed);
            x[i] = i < used ? (float)(level * swell * tone) : NAN;
        }
        for (int t = 0; t < p->T; t++) {
            p->frames[c * p->T + t] = x + (size_t)t * n->hop_size;
        }
    }
}

train_problem train_problem_make(train_shape s)
{
    uint64_t seed = 11;
    attune_network n = reference_network(s.architecture);
    train_problem p = {.clips = s.clips, .T = s.T, .F = s.clips * s.T};
    n.frame_size = s.frame_size;
    n.hop_size = s.hop_size;
    cr_assert_eq(attune_trainable_layout(&p.trainable, &n), ATTUNE_OK);
    const attune_trainable *t = &p.trainable;
    p.parameters = floats(t->parameter_count);
    p.statistics = floats(t->statistic_count);
    p.feature_gradients = floats((size_t)TRAIN_GROUPS * p.F * n.features);
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
    random_fill(&seed, p.feature_gradients, (size_t)TRAIN_GROUPS * p.F * n.features, 1.0f);
    fill_clips(&p, &seed);
    return p;
}

void train_problem_free(train_problem *p)
{
    free(p->parameters);
    free(p->statistics);
    free(p->feature_gradients);
    free(p->samples);
    free(p->frames);
}

train_answer train_answer_make(const train_problem *p)
{
    const attune_trainable *t = &p->trainable;
    train_answer a = {floats((size_t)TRAIN_GROUPS * p->F * t->network.features),
                      floats(t->statistic_count), floats(t->parameter_count)};
    train_answer_reset(&a, p);
    return a;
}

void train_answer_reset(train_answer *a, const train_problem *p)
{
    memcpy(a->statistics, p->statistics, p->trainable.statistic_count * sizeof(float));
    memset(a->gradients, 0, p->trainable.parameter_count * sizeof(float));
}

void train_answer_free(train_answer *a)
{
    free(a->features);
    free(a->statistics);
    free(a->gradients);
}

/* Relative to the tensor's largest. The gradient of a bias before a batch normalisation is 0, and
 * rounding makes up to 1e-9 of it in the reference: hence the least scale. */
static double worst_of(const char *name, const float *got, const double *expected, size_t count)
{
    double error = 0, scale = 1e-5;
    for (size_t i = 0; i < count; i++) {
        const double e = fabs((double)got[i] - expected[i]);
        error = e <= error ? error : e; /* a NaN stays */
        scale = fmax(scale, fabs(expected[i]));
    }
    printf("  %s: %.2g of %.3g\n", name, error, scale);
    return error / scale;
}

void train_answer_check(const train_answer *a, const train_problem *p, const char *device,
                        bool frozen)
{
    const attune_trainable *t = &p->trainable;
    const size_t group = (size_t)p->F * t->network.features;
    double *parameters = train_doubles(p->parameters, t->parameter_count),
           *statistics = train_doubles(p->statistics, t->statistic_count),
           *gradients = train_doubles(NULL, t->parameter_count),
           *feature_gradients = train_doubles(p->feature_gradients, TRAIN_GROUPS * group),
           *features = train_doubles(NULL, TRAIN_GROUPS * group);
    for (int g = 0; g < TRAIN_GROUPS; g++) {
        reference_train_frontend(features + g * group, frozen ? NULL : gradients, statistics, t,
                                 parameters, p->frames + (size_t)g * p->F, p->F, frozen,
                                 feature_gradients + g * group);
    }
    printf("%s, frames of %d, %d clips of %d%s\n", device, t->network.frame_size, p->clips, p->T,
           frozen ? ", frozen" : "");
    cr_assert_lt(worst_of("features", a->features, features, TRAIN_GROUPS * group), 1e-5);
    for (int i = 0; i < t->running_count; i++) {
        const size_t at = t->running[i].offset;
        cr_assert_lt(
            worst_of(t->running[i].name, a->statistics + at, statistics + at, t->running[i].count),
            1e-5);
    }
    for (int i = 0; i < t->tensor_count; i++) {
        const size_t at = t->tensors[i].offset;
        if (t->tensors[i].front_end) {
            cr_expect_lt(worst_of(t->tensors[i].name, a->gradients + at, gradients + at,
                                  t->tensors[i].count),
                         1e-4);
        }
    }
    free(parameters);
    free(statistics);
    free(gradients);
    free(feature_gradients);
    free(features);
}

void train_answer_check_same(const train_answer *a, const train_answer *b, const train_problem *p)
{
    const attune_trainable *t = &p->trainable;
    const size_t features = (size_t)TRAIN_GROUPS * p->F * t->network.features;
    cr_assert_eq(memcmp(a->features, b->features, features * sizeof(float)), 0);
    cr_assert_eq(memcmp(a->statistics, b->statistics, t->statistic_count * sizeof(float)), 0);
    cr_assert_eq(memcmp(a->gradients, b->gradients, t->parameter_count * sizeof(float)), 0);
}
