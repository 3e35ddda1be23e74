/* agreement.c - J. L. Fleiss, Measuring nominal scale agreement among many raters, 1971. */
#include "judge/agreement.h"

#include <math.h>

/* Sum of a subject's votes; *pairs is the ordered pairs of raters who agree. */
static double count(double *pairs, const uint32_t *votes, size_t categories)
{
    double sum = 0;
    *pairs = 0;
    for (size_t k = 0; k < categories; k++) {
        sum += votes[k];
        *pairs += (double)votes[k] * ((double)votes[k] - 1);
    }
    return sum;
}

double attune_fleiss_kappa(size_t *used, const uint32_t *votes, size_t subjects, size_t categories)
{
    double agreement = 0, all = 0, chance = 0, pairs = 0;
    size_t counted = 0;
    for (size_t i = 0; i < subjects; i++) {
        const double n = count(&pairs, votes + i * categories, categories);
        if (n >= 2) {
            agreement += pairs / (n * (n - 1));
            all += n;
            counted++;
        }
    }
    for (size_t k = 0; k < categories; k++) {
        double of_category = 0;
        for (size_t i = 0; i < subjects; i++) {
            const uint32_t *subject = votes + i * categories;
            of_category += count(&pairs, subject, categories) >= 2 ? subject[k] : 0;
        }
        chance += of_category / all * (of_category / all);
    }
    if (used) {
        *used = counted;
    }
    return counted > 0 && chance < 1 ? (agreement / (double)counted - chance) / (1 - chance) : NAN;
}
