/* test_train_frontend.c - the front end in training mode against double precision, and that against
 * differences of its own features. */
#include "kernels/cpu/train_frontend.h"

#include "tests/reference/train_reference.h"
#include "tests/support/support.h"
#include "tests/support/train_problem.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Frames of one tile of positions, of a few, of many; fewer frames than a run of them takes, as
 * many and one more, two runs and a rest. */
static const train_shape shapes[] = {
    {ATTUNE_ARCHITECTURE_TINY, 256, 256, 1, 1},     {ATTUNE_ARCHITECTURE_TINY, 256, 256, 35, 1},
    {ATTUNE_ARCHITECTURE_TINY, 768, 768, 5, 1},     {ATTUNE_ARCHITECTURE_TINY, 2048, 2048, 3, 1},
    {ATTUNE_ARCHITECTURE_TINY, 16384, 16384, 1, 1}, {ATTUNE_ARCHITECTURE_GRU, 256, 256, 1, 1},
    {ATTUNE_ARCHITECTURE_GRU, 256, 256, 17, 1},     {ATTUNE_ARCHITECTURE_GRU, 768, 768, 2, 1},
};

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
static train_answer solve(const train_problem *p, const char *isa, int threads, bool frozen,
                          int times)
{
    const attune_trainable *t = &p->trainable;
    const int C = t->network.features, F = p->F;
    const attune_train_frontend *frontend = find(isa, t->network.architecture);
    train_answer a = train_answer_make(p);
    attune_team *team = NULL;
    void *context = NULL;
    cr_assert_eq(attune_team_open(&team, threads), ATTUNE_OK);
    /* room for more than there are */
    cr_assert_eq(frontend->open(&context, t, F + 2, TRAIN_GROUPS + 1, frozen, team), ATTUNE_OK);
    for (int i = 0; i < times; i++) {
        train_answer_reset(&a, p);
        for (int g = 0; g < TRAIN_GROUPS; g++) {
            frontend->forward(context, a.features + (size_t)g * F * C, a.statistics, p->parameters,
                              p->frames + (size_t)g * F, F, g);
        }
        for (int g = 0; g < TRAIN_GROUPS && !frozen; g++) {
            frontend->backward(context, a.gradients, p->feature_gradients + (size_t)g * F * C,
                               p->parameters, p->frames + (size_t)g * F, F, g);
        }
    }
    frontend->close(context);
    attune_team_close(team);
    return a;
}

static void check_against_reference(const train_problem *p, const char *isa, bool frozen)
{
    train_answer a = solve(p, isa, 1, frozen, 1);
    train_answer_check(&a, p, isa, frozen);
    train_answer_free(&a);
}

static void check_isa(const char *isa)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        train_problem p = train_problem_make(shapes[i]);
        check_against_reference(&p, isa, false);
        if (shapes[i].frame_size == 768) {
            check_against_reference(&p, isa, true);
        }
        train_problem_free(&p);
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
    static const train_shape some[] = {{ATTUNE_ARCHITECTURE_TINY, 256, 256, 53, 1},
                                       {ATTUNE_ARCHITECTURE_GRU, 256, 256, 37, 1}};
    for (int i = 0; i < 4; i++) {
        train_problem p = train_problem_make(some[i / 2]);
        const bool frozen = i % 2;
        train_answer a = solve(&p, isa, 1, frozen, 1);
        for (int threads = 1; threads <= 3; threads++) {
            train_answer b = solve(&p, isa, threads, frozen, 2);
            train_answer_check_same(&a, &b, &p);
            train_answer_free(&b);
        }
        if (frozen) {
            cr_assert_eq(
                memcmp(a.statistics, p.statistics, p.trainable.statistic_count * sizeof(float)), 0);
        }
        train_answer_free(&a);
        train_problem_free(&p);
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
static double loss(const train_problem *p, const double *parameters,
                   const double *feature_gradients, double *gradients)
{
    const attune_trainable *t = &p->trainable;
    const int count = p->F * t->network.features;
    double *features = train_doubles(NULL, (size_t)count),
           *statistics = train_doubles(p->statistics, t->statistic_count);
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
    train_problem p = train_problem_make((train_shape){architecture, 256, 256, 2, 1});
    const attune_trainable *t = &p.trainable;
    const double step = 1e-5;
    double *parameters = train_doubles(p.parameters, t->parameter_count),
           *gradients = train_doubles(NULL, t->parameter_count),
           *feature_gradients =
               train_doubles(p.feature_gradients, (size_t)p.F * t->network.features);
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
    train_problem_free(&p);
}

Test(train_frontend, reference_of_tiny_matches_its_differences)
{
    check_differences(ATTUNE_ARCHITECTURE_TINY);
}

Test(train_frontend, reference_of_gru_matches_its_differences)
{
    check_differences(ATTUNE_ARCHITECTURE_GRU);
}
