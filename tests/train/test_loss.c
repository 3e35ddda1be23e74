/* Every loss: its value against a plain formula written here, its gradient against differences of
 * the loss itself. */
#include "train/loss.h"

#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TRIPLET, HARD, SEMIHARD, CONTRAST, FAMILIES, DISTIL, REGRESS, KINDS };

struct shape {
    int kind, n, E;
};

static double run(const struct shape *s, attune_loss_value *value, float *gradients,
                  const float *embeddings, const float *teacher)
{
    int32_t labels[64], families[64];
    attune_loss_value unused;
    value = value ? value : &unused;
    for (int i = 0; i < s->n; i++) { /* pairs; the last row is alone, and row 0 has no label */
        labels[i] = i == 0 ? -1 : i / 2;
        families[i] = i % 5 == 0 ? -1 : i / 6;
    }
    memset(gradients, 0, sizeof(float) * s->n * s->E);
    switch (s->kind) {
    case TRIPLET:
        attune_loss_triplet(value, gradients, embeddings, s->n / 3, s->E, 0.2, 1);
        break;
    case HARD:
    case SEMIHARD:
        cr_assert_eq(attune_loss_mined(
                         value, gradients, embeddings, labels, s->n, s->E,
                         s->kind == HARD ? ATTUNE_MINING_HARD : ATTUNE_MINING_SEMIHARD, 0.2, 1),
                     ATTUNE_OK);
        break;
    case CONTRAST:
    case FAMILIES:
        cr_assert_eq(attune_loss_contrast(value, gradients, embeddings, labels,
                                          s->kind == FAMILIES ? families : NULL, s->n, s->E, 0.1,
                                          1),
                     ATTUNE_OK);
        break;
    case REGRESS:
        attune_loss_regress(value, gradients, embeddings, teacher, s->n, s->E, 1);
        break;
    default:
        cr_assert_eq(
            attune_loss_distil(value, gradients, embeddings, teacher, s->n, s->E, s->E + 3, 1),
            ATTUNE_OK);
    }
    return value->loss;
}

/* Rows of length 1; the last teacher's row is missing, to either loss that has a teacher. */
static void make(float *embeddings, float *teacher, const struct shape *s)
{
    uint64_t seed = (uint64_t)(s->kind * 1000 + s->n * 10 + s->E);
    random_fill(&seed, embeddings, (size_t)s->n * s->E, 1);
    random_fill(&seed, teacher, (size_t)s->n * (s->E + 3), 1);
    for (int i = 0; i < s->n; i++) {
        double length = 0;
        for (int j = 0; j < s->E; j++) {
            length += embeddings[i * s->E + j] * embeddings[i * s->E + j];
        }
        for (int j = 0; j < s->E; j++) {
            embeddings[i * s->E + j] /= (float)sqrt(length);
        }
    }
    memset(teacher + (s->n - 1) * (s->E + 3), 0, sizeof(float) * (s->E + 3));
    memset(teacher + (s->n - 1) * s->E, 0, sizeof(float) * s->E);
}

ParameterizedTestParameters(loss, gradient_is_the_slope)
{
    static struct shape shapes[] = {
        {TRIPLET, 3, 4},   {TRIPLET, 18, 32},  {HARD, 9, 4},     {HARD, 17, 32},
        {SEMIHARD, 9, 4},  {SEMIHARD, 17, 32}, {CONTRAST, 9, 4}, {CONTRAST, 24, 32},
        {FAMILIES, 13, 4}, {FAMILIES, 24, 32}, {DISTIL, 5, 4},   {DISTIL, 17, 32},
        {REGRESS, 5, 4},   {REGRESS, 17, 32},
    };
    return cr_make_param_array(struct shape, shapes, sizeof(shapes) / sizeof(shapes[0]));
}

ParameterizedTest(struct shape *s, loss, gradient_is_the_slope)
{
    enum { MOST = 64 * 40 };
    static float x[MOST], teacher[MOST], gradients[MOST], unused[MOST];
    make(x, teacher, s);
    run(s, NULL, gradients, x, teacher);
    double worst = 0, largest = 0;
    for (int i = 0; i < s->n * s->E; i++) {
        const float kept = x[i], step = 1e-4f;
        x[i] = kept + step;
        const float above = x[i];
        double up = run(s, NULL, unused, x, teacher);
        x[i] = kept - step;
        double slope = (up - run(s, NULL, unused, x, teacher)) / ((double)above - x[i]);
        x[i] = kept;
        worst = fmax(worst, fabs(slope - gradients[i]));
        largest = fmax(largest, fabs(slope));
    }
    /* Differences of order step²; a hinge or a mined triplet that changes within the step would
     * show as more, so the seeds are such that none does. */
    cr_assert_gt(largest, 0);
    cr_assert_leq(worst / largest, 2e-3, "kind %d: %g of %g", s->kind, worst, largest);
}

Test(loss, regression_is_by_hand)
{
    /* Of three rows the last has no teacher. |e - t|²: 0 and 0.4; to the other's 2 and 0.8. */
    const float e[] = {1, 0, 0.6f, 0.8f, 0, 1}, t[] = {1, 0, 0, 1, 0, 0};
    const float expected[] = {0, 0, 0.6f, -0.2f, 0, 0};
    float gradients[6] = {0};
    attune_loss_value value;
    attune_loss_regress(&value, gradients, e, t, 3, 2, 2);
    cr_assert_eq(value.counted, 2);
    cr_assert_float_eq(value.loss, (0 + 0.4) / 4, 1e-6);
    cr_assert_float_eq(value.positive, (0 + sqrt(0.4)) / 2, 1e-6);
    cr_assert_float_eq(value.negative, (sqrt(2) + sqrt(0.8)) / 2, 1e-6);
    cr_assert_float_eq(value.correct, 2, 1e-6);
    for (int i = 0; i < 6; i++) {
        cr_assert_float_eq(gradients[i], expected[i], 1e-6, "%d: %g", i, gradients[i]);
    }
}

Test(loss, triplet_is_pytorchs)
{
    /* torch.nn.functional.pairwise_distance and relu(0.2 + dp - dn).mean(), torch 2: two triplets
     * by hand: d(a, p) = |0.6 + 1e-6, 1e-6|, ... */
    const float rows[6][2] = {{1, 0}, {0, 1}, {0.4f, 0}, {0, 0.5f}, {1, 0.3f}, {0, 0.1f}};
    float gradients[12] = {0};
    attune_loss_value value;
    attune_loss_triplet(&value, gradients, &rows[0][0], 2, 2, 0.2, 1);
    /* triplet 0: dp = 0.6, dn = 0.3: loss 0.5; triplet 1: dp = 0.5, dn = 0.9: loss 0 */
    cr_assert_float_eq(value.loss, 0.25, 1e-5);
    cr_assert_float_eq(value.correct, 1, 0);
    cr_assert_eq(value.counted, 2);
    cr_assert_float_eq(value.positive, 0.55, 1e-5);
    cr_assert_float_eq(value.negative, 0.6, 1e-5);
    for (int i = 0; i < 2; i++) { /* of the satisfied triplet: nothing */
        cr_assert_eq(gradients[2 + i], 0);
        cr_assert_eq(gradients[6 + i], 0);
        cr_assert_eq(gradients[10 + i], 0);
    }
}

Test(loss, hard_takes_the_farthest_positive_and_the_nearest_negative)
{
    const float x[5] = {0, 1, 3, 2, 10}; /* on a line */
    const int32_t labels[5] = {0, 0, 0, 1, -1};
    float gradients[5] = {0};
    attune_loss_value value;
    cr_assert_eq(attune_loss_mined(&value, gradients, x, labels, 5, 1, ATTUNE_MINING_HARD, 0.5, 1),
                 ATTUNE_OK);
    /* anchors 0: 3 against 2; 1: 2 against 1; 2: 3 against 1 */
    cr_assert_eq(value.counted, 3);
    cr_assert_float_eq(value.loss, (0.5 + 1 + 0.5 + 1 + 0.5 + 2) / 3, 1e-4);
    cr_assert_float_eq(value.correct, 0, 0);
}

Test(loss, semihard_takes_the_nearest_negative_beyond_the_positive)
{
    const float x[5] = {0, 1, 0.5f, 1.25f, 9};
    const int32_t labels[5] = {0, 0, 1, 1, 1};
    float gradients[5] = {0};
    attune_loss_value value;
    cr_assert_eq(
        attune_loss_mined(&value, gradients, x, labels, 5, 1, ATTUNE_MINING_SEMIHARD, 0.5, 1),
        ATTUNE_OK);
    /* 0 -> 1: 1 against 1.25: 0.25; 1 -> 0: 1 against 8: 0; 2 -> 3: 0.75 against none farther but
     * the farthest 0.5 ... by hand: */
    double want = 0.25 + 0 + (0.5 + 0.75 - 0.5) + (0.5 + 8.5 - 0.5) + (0.5 + 0.75 - 1.25) +
                  (0.5 + 7.75 - 1.25) + (0.5 + 8.5 - 9) + (0.5 + 7.75 - 8);
    cr_assert_eq(value.counted, 8);
    cr_assert_float_eq(value.loss, want / 8, 1e-4, "%g, not %g", value.loss, want / 8);
}

Test(loss, contrast_of_nothing_to_contrast_is_zero)
{
    const float x[4] = {1, 0, 0, 1};
    const int32_t labels[2] = {0, 1};
    float gradients[4] = {0};
    attune_loss_value value;
    cr_assert_eq(attune_loss_contrast(&value, gradients, x, labels, NULL, 2, 2, 0.1, 1), ATTUNE_OK);
    cr_assert_eq(value.loss, 0);
    cr_assert_eq(value.counted, 0);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(gradients[i], 0);
    }
}

Test(loss, contrast_is_the_softmax_of_the_positive)
{
    const float x[6] = {1, 0, 0.8f, 0.6f, 0, 1};
    const int32_t labels[3] = {0, 0, -1};
    float gradients[6] = {0};
    attune_loss_value value;
    cr_assert_eq(attune_loss_contrast(&value, gradients, x, labels, NULL, 3, 2, 0.5, 1), ATTUNE_OK);
    const double own = exp(0.8 / 0.5);
    cr_assert_float_eq(value.loss,
                       (-log(own / (own + exp(0))) - log(own / (own + exp(0.6 / 0.5)))) / 2, 1e-6);
    cr_assert_float_eq(value.correct, 2, 0);
}
