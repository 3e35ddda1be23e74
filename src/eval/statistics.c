/* statistics.c - intervals in closed form, by resampling, and an exact test. */
#include "eval/statistics.h"

#include "model/random.h"
#include "status/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 2000 };

attune_interval attune_wilson(double correct, double count)
{
    const double z = 1.959963984540054, share = correct / count;
    const double centre = share + z * z / (2 * count), below = 1 + z * z / count;
    const double half = z * sqrt(share * (1 - share) / count + z * z / (4 * count * count));
    return count > 0 ? (attune_interval){fmax(0, (centre - half) / below),
                                         fmin(1, (centre + half) / below)}
                     : ATTUNE_NO_INTERVAL;
}

typedef struct cluster {
    uint32_t name;
    uint32_t count;
    double sum;
} cluster;

static int by_name(const void *a, const void *b)
{
    const cluster *x = a, *y = b;
    return x->name < y->name ? -1 : x->name > y->name;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Clusters by name upwards; their number comes back. */
static uint32_t make_clusters(cluster *out, const double *scores, const uint32_t *clusters,
                              uint32_t count)
{
    uint32_t kept = 0, merged = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!isnan(scores[i])) {
            out[kept++] = (cluster){clusters ? clusters[i] : i, 1, scores[i]};
        }
    }
    if (clusters) {
        qsort(out, kept, sizeof(*out), by_name);
    }
    for (uint32_t i = 0; i < kept; i++) {
        if (merged > 0 && out[merged - 1].name == out[i].name) {
            out[merged - 1].count++;
            out[merged - 1].sum += out[i].sum;
        } else {
            out[merged++] = out[i];
        }
    }
    return merged;
}

/* Linear between the two nearest of sorted values. */
static double percentile(const double *values, double share)
{
    const double at = share * (SAMPLES - 1);
    const size_t below = (size_t)at;
    return values[below] + (at - (double)below) * (values[below + 1] - values[below]);
}

attune_status attune_bootstrap(attune_interval *out, const double *scores, const uint32_t *clusters,
                               uint32_t count)
{
    cluster *all = malloc(((size_t)count + 1) * sizeof(*all));
    double *means = malloc(SAMPLES * sizeof(*means));
    attune_random random = {.state = 1};
    *out = ATTUNE_NO_INTERVAL;
    if (!all || !means) {
        free(all);
        free(means);
        return attune_fail_memory("a bootstrap", (unsigned long long)count * sizeof(*all));
    }
    const uint32_t n = make_clusters(all, scores, clusters, count);
    for (int s = 0; s < SAMPLES && n > 0; s++) {
        double sum = 0, drawn = 0;
        for (uint32_t i = 0; i < n; i++) {
            const cluster *c = &all[attune_random_below(&random, n)];
            sum += c->sum;
            drawn += c->count;
        }
        means[s] = sum / drawn;
    }
    if (n > 0) {
        qsort(means, SAMPLES, sizeof(*means), by_value);
        *out = (attune_interval){percentile(means, 0.025), percentile(means, 0.975)};
    }
    free(means);
    free(all);
    return ATTUNE_OK;
}

double attune_mcnemar(uint64_t first, uint64_t second)
{
    const double n = (double)(first + second);
    const uint64_t less = first < second ? first : second;
    double sum = 0;
    for (uint64_t i = 0; i <= less; i++) { /* from the largest term down to where they vanish */
        const double k = (double)(less - i);
        const double term = exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) - n * log(2));
        sum += term;
        if (term < sum * 1e-17) {
            break;
        }
    }
    return fmin(1, 2 * sum);
}
