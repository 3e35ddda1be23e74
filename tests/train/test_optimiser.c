/* AdamW and the schedules against PyTorch's documented steps, written out plainly. */
#include "train/optimiser.h"

#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>

Test(optimiser, adamw_follows_the_paper)
{
    enum { N = 7, STEPS = 20, FIRST = 2 };
    float parameters[N], gradients[N], m[N] = {0}, v[N] = {0};
    double p[N], mean[N] = {0}, square[N] = {0};
    uint64_t seed = 3;
    random_fill(&seed, parameters, N, 1);
    for (int i = 0; i < N; i++) {
        p[i] = parameters[i];
    }
    attune_adamw adamw = {
        .rate = 1e-2, .weight_decay = 0.1, .moment1 = m, .moment2 = v, .count = N};
    for (int t = 1; t <= STEPS; t++) {
        random_fill(&seed, gradients, N, t % 3 ? 1 : 1e-4f);
        attune_adamw_step(&adamw, parameters, gradients, FIRST);
        for (int i = FIRST; i < N; i++) { /* Loshchilov and Hutter, algorithm 2 */
            p[i] -= 1e-2 * 0.1 * p[i];
            mean[i] = 0.9 * mean[i] + 0.1 * gradients[i];
            square[i] = 0.999 * square[i] + 0.001 * gradients[i] * gradients[i];
            p[i] -= 1e-2 * (mean[i] / (1 - pow(0.9, t))) /
                    (sqrt(square[i] / (1 - pow(0.999, t))) + 1e-8);
        }
    }
    for (int i = 0; i < N; i++) {
        cr_assert_float_eq(parameters[i], p[i], 2e-6, "%d: %g, not %g", i, parameters[i], p[i]);
    }
    cr_assert_eq(adamw.steps, STEPS);
}

Test(optimiser, clipping_keeps_the_direction)
{
    float gradients[3] = {3, 0, 4};
    const double norm = attune_gradient_norm(gradients, 3);
    cr_assert_float_eq(norm, 5, 1e-12);
    attune_gradient_clip(gradients, 3, norm, 10);
    cr_assert_eq(gradients[2], 4);
    attune_gradient_clip(gradients, 3, norm, 1);
    cr_assert_float_eq(gradients[0], 0.6, 1e-6);
    cr_assert_float_eq(gradients[2], 0.8, 1e-6);
}

Test(optimiser, plateau_lowers_after_its_patience)
{
    attune_plateau plateau = {.factor = 0.5, .patience = 2, .best = INFINITY};
    const double losses[] = {1, 0.9, 0.9, 0.89995, 0.95, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8};
    const double want[] = {1, 1, 1, 1, 0.5, 1, 1, 1, 0.5, 1, 1};
    for (int i = 0; i < 11; i++) {
        cr_assert_eq(attune_plateau_step(&plateau, losses[i]), want[i], "epoch %d", i);
    }
}

Test(optimiser, best_counts_the_epochs_since)
{
    attune_best best = {.value = -INFINITY, .epoch = -1};
    cr_assert(attune_best_step(&best, 0.5, 0));
    cr_assert_not(attune_best_step(&best, 0.5, 1));
    cr_assert_not(attune_best_step(&best, 0.4, 2));
    cr_assert_eq(best.bad, 2);
    cr_assert(attune_best_step(&best, 0.6, 3));
    cr_assert_eq(best.bad, 0);
    cr_assert_eq(best.epoch, 3);
}
