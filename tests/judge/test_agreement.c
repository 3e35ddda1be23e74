/* Fleiss' kappa: examples that are published, and all pairs of raters one by one. */
#include "judge/agreement.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>

/* Ten subjects, fourteen raters, five categories; kappa is 0.210. */
Test(agreement, textbook)
{
    static const uint32_t votes[10][5] = {
        {0, 0, 0, 0, 14}, {0, 2, 6, 4, 2}, {0, 0, 3, 5, 6}, {0, 3, 9, 2, 0}, {2, 2, 8, 1, 1},
        {7, 7, 0, 0, 0},  {3, 2, 6, 3, 0}, {2, 5, 3, 2, 2}, {6, 5, 2, 1, 0}, {0, 2, 2, 3, 7}};
    size_t used = 0;
    const double kappa = attune_fleiss_kappa(&used, votes[0], 10, 5);
    cr_assert_float_eq(kappa, 0.210, 0.0005, "%.6f", kappa);
    cr_assert_eq(used, 10);
}

/* By the definition: the chance that two raters of a subject agree, beyond that of two votes. */
static double by_pairs(const uint32_t (*votes)[3], int subjects)
{
    double agree = 0, of[3] = {0}, all = 0;
    int used = 0;
    for (int i = 0; i < subjects; i++) {
        int raters[64], n = 0, same = 0;
        for (int k = 0; k < 3; k++) {
            for (uint32_t v = 0; v < votes[i][k]; v++) {
                raters[n++] = k;
            }
        }
        if (n < 2) {
            continue;
        }
        for (int a = 0; a < n; a++) {
            of[raters[a]]++;
            all++;
            for (int b = 0; b < n; b++) {
                same += a != b && raters[a] == raters[b];
            }
        }
        agree += (double)same / (n * (n - 1));
        used++;
    }
    const double chance = (of[0] * of[0] + of[1] * of[1] + of[2] * of[2]) / (all * all);
    return (agree / used - chance) / (1 - chance);
}

Test(agreement, by_pairs)
{
    enum { SUBJECTS = 40 };
    uint64_t seed = 4;
    for (int trial = 0; trial < 200; trial++) {
        uint32_t votes[SUBJECTS][3];
        for (int i = 0; i < SUBJECTS; i++) {
            for (int k = 0; k < 3; k++) { /* some subjects have one vote or none */
                votes[i][k] = random_bits(&seed) % 2 ? 0 : (uint32_t)(random_bits(&seed) % 6);
            }
        }
        const double got = attune_fleiss_kappa(NULL, votes[0], SUBJECTS, 3);
        cr_assert_float_eq(got, by_pairs((const uint32_t(*)[3])votes, SUBJECTS), 1e-12);
    }
}

Test(agreement, edges)
{
    static const uint32_t one[2][3] = {{1, 0, 0}, {0, 0, 1}}, same[2][3] = {{3, 0, 0}, {2, 0, 0}},
                          perfect[2][3] = {{3, 0, 0}, {0, 2, 0}}, split[1][3] = {{1, 1, 0}};
    size_t used = 9;
    cr_assert(isnan(attune_fleiss_kappa(&used, one[0], 2, 3)) && used == 0);
    cr_assert(isnan(attune_fleiss_kappa(&used, same[0], 2, 3)) && used == 2);
    cr_assert_float_eq(attune_fleiss_kappa(&used, perfect[0], 2, 3), 1, 1e-12);
    cr_assert_float_eq(attune_fleiss_kappa(&used, split[0], 1, 3), -1, 1e-12);
    cr_assert(isnan(attune_fleiss_kappa(&used, one[0], 0, 3)) && used == 0);
}
