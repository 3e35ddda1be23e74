/* test_train_sequence.c - the sequence stage in training mode against its double-precision
 * reference, and that against its own slopes. */
#include "kernels/cpu/train_sequence.h"
#include "kernels/kernels.h"

#include "tests/support/sequence_problem.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the reference ---- */

/* The sum of embeddings times their gradients, of which the reference gives the gradient. */
static double value(sequence_problem *b)
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
static void check_slope(sequence_problem *b, double *at, const double *gradient, size_t count,
                        const char *name)
{
    const double step = 1e-5;
    double *there = calloc(count, sizeof(double)), *direction = calloc(count, sizeof(double)),
           expected = 0, scale = 1e-3;
    uint64_t seed = count;
    cr_assert(there && direction);
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
    for (int i = 0; i < SEQUENCE_SMALL; i++) {
        sequence_problem b = sequence_problem_of(sequence_small[i], 10 + (uint64_t)i);
        sequence_problem_solve(&b);
        for (int k = 0; k < b.trainable.tensor_count; k++) {
            const attune_tensor *t = &b.trainable.tensors[k];
            if (!t->front_end) {
                check_slope(&b, b.p + t->offset, b.dp + t->offset, t->count, t->name);
            }
        }
        check_slope(&b, b.x, b.dx, b.features, "features");
        sequence_problem_free(&b);
    }
}

/* ---- the kernels ---- */

/* In a context that has room for more and has seen a longer batch, unless `tight`. */
static sequence_result run_kernels(const attune_train_sequence_kernels *kernels,
                                   const sequence_problem *b, int threads, bool tight)
{
    const int B = b->shape.B, T = b->shape.T;
    const attune_train_dropout dropout = {b->dropout.seed, b->dropout.layers, b->dropout.head};
    sequence_result r = sequence_result_of(b);
    float *p = sequence_floats(b->p, b->trainable.parameter_count),
          *x = sequence_floats(b->x, b->features), *g = sequence_floats(b->g, b->embeddings);
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

static void check_shape(const attune_train_sequence_kernels *kernels, sequence_shape s,
                        uint64_t seed)
{
    sequence_problem b = sequence_problem_of(s, seed);
    sequence_problem_solve(&b);
    for (int tight = 0; tight < 2; tight++) {
        sequence_result r = run_kernels(kernels, &b, 1 + tight, tight);
        sequence_result_check(&b, &r, false);
        sequence_result_free(&r);
    }
    sequence_problem_free(&b);
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
            for (int k = 0; k < SEQUENCE_SMALL; k++) {
                check_shape(sets[i].kernels, sequence_small[k], 30 + (uint64_t)k);
            }
            for (int k = 0; k < SEQUENCE_LARGE; k++) {
                check_shape(sets[i].kernels, sequence_large[k], 50 + (uint64_t)k);
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
        for (int k = 0; attune_kernels_cpu_named(sets[i].name) && k < SEQUENCE_SMALL + 2; k++) {
            sequence_problem b = sequence_problem_of(
                k < SEQUENCE_SMALL ? sequence_small[k] : sequence_large[k - SEQUENCE_SMALL], 70);
            sequence_result one = run_kernels(sets[i].kernels, &b, 1, true);
            for (int n = 0; n < 3; n++) {
                sequence_result many = run_kernels(sets[i].kernels, &b, threads[n], n % 2);
                cr_assert_eq(memcmp(one.embedding, many.embedding, b.embeddings * 4), 0);
                cr_assert_eq(memcmp(one.dx, many.dx, b.features * 4), 0);
                cr_assert_eq(memcmp(one.dp, many.dp, b.trainable.parameter_count * 4), 0,
                             "%s shape %d, %d threads", sets[i].name, k, threads[n]);
                sequence_result_free(&many);
            }
            sequence_result_free(&one);
            sequence_problem_free(&b);
        }
    }
}

/* An embedding of nothing but zeros: the norm is clamped, and gradients are finite. */
Test(train_sequence, zero_outputs_have_gradients)
{
    sequence_problem b = sequence_problem_of(sequence_small[0], 90);
    const attune_trainable *t = &b.trainable;
    memset(b.p + t->project2_weight, 0, sizeof(double) * (t->parameter_count - t->project2_weight));
    sequence_problem_solve(&b);
    for (int i = 0; i < SETS; i++) {
        if (attune_kernels_cpu_named(sets[i].name)) {
            sequence_result r = run_kernels(sets[i].kernels, &b, 1, true);
            sequence_result_check(&b, &r, false);
            sequence_result_free(&r);
        }
    }
    sequence_problem_free(&b);
}
