/* Retrieval figures against the definitions, counted triplet by triplet and rank by rank. */
#include "eval/retrieval.h"
#include "eval/spread.h"

#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>

struct shape {
    int n, E, labels;
    int ties; /* components are rounded, so that distances are equal */
};

static double distance(const float *x, int a, int b, int E)
{
    double sum = 0;
    for (int j = 0; j < E; j++) {
        sum += ((double)x[a * E + j] - x[b * E + j]) * ((double)x[a * E + j] - x[b * E + j]);
    }
    return sqrt(sum);
}

/* The chance by the drawing that the header describes, every draw counted. */
static double accuracy(const float *x, const int32_t *labels, const struct shape *s)
{
    double all = 0, drawn = 0;
    for (int c = 0; c < s->labels; c++) {
        double chance = 0, pairs = 0;
        for (int a = 0; a < s->n; a++) {
            for (int p = 0; p < s->n; p++) {
                if (a == p || labels[a] != c || labels[p] != c) {
                    continue;
                }
                double others = 0, sum = 0;
                for (int o = 0; o < s->labels; o++) {
                    double rows = 0, farther = 0;
                    for (int q = 0; q < s->n && o != c; q++) {
                        if (labels[q] == o) {
                            double near = distance(x, a, p, s->E), far = distance(x, a, q, s->E);
                            rows++;
                            farther += near < far ? 1 : near == far ? 0.5 : 0;
                        }
                    }
                    if (rows > 0) {
                        others++;
                        sum += farther / rows;
                    }
                }
                chance += sum / others;
                pairs++;
            }
        }
        if (pairs > 0) {
            all += chance / pairs;
            drawn++;
        }
    }
    return all / drawn;
}

/* How many rows come before row b, seen from a. */
static int before(const float *x, int a, int b, const struct shape *s)
{
    int count = 0;
    for (int i = 0; i < s->n; i++) {
        double d = distance(x, a, i, s->E), own = distance(x, a, b, s->E);
        count += i != a && (d < own || (d == own && i < b));
    }
    return count;
}

static attune_status measure(attune_retrieval_result *out, const float *x, const int32_t *labels,
                             uint32_t n, uint32_t E)
{
    const attune_relation relation = {.labels = labels, .triplets = true};
    attune_team *team = NULL;
    attune_pairs pairs;
    cr_assert_eq(attune_team_open(&team, 2), ATTUNE_OK);
    cr_assert_eq(attune_pairs_open(&pairs, x, n, E, team), ATTUNE_OK);
    const attune_status status = attune_retrieval_measure(out, NULL, &pairs, &relation);
    attune_pairs_close(&pairs);
    attune_team_close(team);
    return status;
}

ParameterizedTestParameters(retrieval, equals_its_definition)
{
    static struct shape shapes[] = {{2, 1, 1, 0},  {5, 2, 2, 0},   {40, 8, 5, 0},
                                    {40, 2, 3, 1}, {31, 3, 10, 1}, {60, 32, 7, 0}};
    return cr_make_param_array(struct shape, shapes, sizeof(shapes) / sizeof(shapes[0]));
}

ParameterizedTest(struct shape *s, retrieval, equals_its_definition)
{
    float x[64 * 32];
    int32_t labels[64];
    uint64_t seed = (uint64_t)(s->n + s->labels);
    random_fill(&seed, x, (size_t)s->n * s->E, 2);
    for (int i = 0; i < s->n * s->E && s->ties; i++) {
        x[i] = roundf(x[i]);
    }
    for (int i = 0; i < s->n; i++) {
        labels[i] = i % 7 == 6 ? -1 : (int32_t)(random_bits(&seed) % (unsigned)s->labels);
    }
    labels[0] = labels[1] = 0;
    attune_retrieval_result result;
    cr_assert_eq(measure(&result, x, labels, (uint32_t)s->n, (uint32_t)s->E), ATTUNE_OK);
    const attune_retrieval got = result.all;
    double map = 0, first = 0, r = 0, anchors = 0;
    for (int a = 0; a < s->n; a++) {
        double positives = 0, average = 0, near = 0;
        for (int p = 0; p < s->n; p++) {
            positives += p != a && labels[a] >= 0 && labels[p] == labels[a];
        }
        for (int p = 0; p < s->n && positives > 0; p++) {
            if (p == a || labels[p] != labels[a]) {
                continue;
            }
            int rank = before(x, a, p, s), found = 1;
            for (int q = 0; q < s->n; q++) {
                found += q != a && q != p && labels[q] == labels[a] && before(x, a, q, s) < rank;
            }
            average += (double)found / (rank + 1) / positives;
            first += rank == 0;
            near += rank < positives;
        }
        anchors += positives > 0;
        map += average;
        r += positives > 0 ? near / positives : 0;
    }
    cr_assert_eq(got.anchors, (uint32_t)anchors);
    cr_assert_float_eq(got.map, map / anchors, 1e-12);
    cr_assert_float_eq(got.precision_1, first / anchors, 1e-12);
    cr_assert_float_eq(got.r_precision, r / anchors, 1e-12);
    const double chance = accuracy(x, labels, s);
    cr_assert_eq(isnan(result.triplet_accuracy), isnan(chance));
    cr_assert(isnan(chance) || fabs(result.triplet_accuracy - chance) < 1e-12, "%g, not %g",
              result.triplet_accuracy, chance);
}

Test(retrieval, refuses_a_label_beyond_the_rows)
{
    const float x[2] = {0, 1};
    const int32_t labels[2] = {0, 2};
    attune_retrieval_result got;
    cr_assert_eq(measure(&got, x, labels, 2, 1), ATTUNE_EINVAL);
}

Test(retrieval, finds_a_collapsed_space)
{
    const float x[8] = {1, 0.01f, 1, 0.02f, 1, 0.03f, 1, 0.04f};
    attune_team *team = NULL;
    attune_pairs pairs;
    double cosine = 0;
    cr_assert_eq(attune_team_open(&team, 1), ATTUNE_OK);
    cr_assert_eq(attune_pairs_open(&pairs, x, 4, 2, team), ATTUNE_OK);
    cr_assert_eq(attune_spread_cosine(&cosine, &pairs), ATTUNE_OK);
    cr_assert_gt(cosine, 0.999);
    attune_pairs_close(&pairs);
    attune_team_close(team);
}
