/* test_layout.c - t-SNE's parts against their definitions, summed over all pairs in double. */
#include "map/layout.h"

#include "eval/nearest.h"
#include "map/principal.h"
#include "tests/store/store_support.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { E = 8 };

static attune_team *team_of(int threads)
{
    attune_team *team = NULL;
    assert_ok(attune_team_open(&team, threads));
    return team;
}

/* Rows of four groups. */
static float *make_vectors(uint32_t n)
{
    float *out = malloc((size_t)n * E * sizeof(*out));
    uint64_t state = 3;
    random_fill(&state, out, (size_t)n * E, 0.3f);
    for (uint32_t i = 0; i < n; i++) {
        out[i * E + i % 4] += 1;
    }
    return out;
}

/* A plane's transform by the definition, of a few elements. */
Test(layout, fourier)
{
    enum { M = 32, ROWS = 13, COLUMNS = 20 };
    attune_team *team = team_of(2);
    attune_fourier fourier;
    assert_ok(attune_fourier_open(&fourier, M, team));
    float planes[6][M * M];
    uint64_t state = 1;
    memset(planes, 0, sizeof(planes));
    for (int r = 0; r < M; r++) { /* what is not to be read is NaN */
        for (int c = 0; c < M; c++) {
            planes[0][r * M + c] = r < ROWS ? random_uniform(&state) : NAN;
            planes[1][r * M + c] = r < ROWS ? random_uniform(&state) : NAN;
        }
    }
    const attune_plane in = {planes[0], planes[1]}, half = {planes[2], planes[3]},
                       out = {planes[4], planes[5]};
    attune_fourier_pass(&fourier, half, in, ROWS, COLUMNS, M);
    attune_fourier_pass(&fourier, out, half, COLUMNS, M, M);
    for (int k = 0; k < M * M; k += 7) {
        double re = 0, im = 0;
        for (int r = 0; r < ROWS; r++) {
            for (int c = 0; c < COLUMNS; c++) {
                const double angle = -2 * 3.14159265358979323846 * (r * (k / M) + c * (k % M)) / M,
                             x = (double)in.re[r * M + c], y = (double)in.im[r * M + c];
                re += x * cos(angle) - y * sin(angle);
                im += x * sin(angle) + y * cos(angle);
            }
        }
        cr_assert(fabs(re - (double)out.re[k]) < 1e-4 && fabs(im - (double)out.im[k]) < 1e-4,
                  "%d: %g %g, not %g %g", k, (double)out.re[k], (double)out.im[k], re, im);
    }
    attune_fourier_close(&fourier);
    attune_team_close(team);
}

/* Forces of all pairs; the sum of weights comes back. */
static double all_pairs(double *force, const float *y, uint32_t n)
{
    double weight = 0;
    memset(force, 0, 2 * n * sizeof(*force));
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < n; j++) {
            const double dx = (double)y[2 * i] - (double)y[2 * j],
                         dy = (double)y[2 * i + 1] - (double)y[2 * j + 1],
                         w = 1 / (1 + dx * dx + dy * dy);
            force[2 * i] += dx * w * w;
            force[2 * i + 1] += dy * w * w;
            weight += i != j ? w : 0;
        }
    }
    return weight;
}

/* At every extent, also when the grid is made anew for a larger or a smaller one. */
Test(layout, repulsion)
{
    enum { N = 400 };
    static const struct {
        float extent;
        double force; /* what it may err by */
    } cases[] = {{1e-4f, 1e-6}, {0.5f, 3e-6}, {30, 0.02}, {100, 0.1}, {7, 2e-3}};
    attune_team *team = team_of(2);
    attune_repulsion repulsion;
    float y[2 * N], force[2 * N];
    double expected[2 * N];
    assert_ok(attune_repulsion_open(&repulsion, N, team));
    for (size_t e = 0; e < sizeof(cases) / sizeof(*cases); e++) {
        uint64_t state = e;
        double weight = 0, wrong = 0, all = 0;
        random_fill(&state, y, 2 * N, cases[e].extent / 2);
        assert_ok(attune_repulsion_find(&repulsion, force, &weight, y));
        const double due = all_pairs(expected, y, N);
        for (int i = 0; i < 2 * N; i++) {
            wrong += pow((double)force[i] - expected[i], 2);
            all += pow(expected[i], 2);
        }
        /* Measured: a third of each limit or less. Layouts of so few points extend over 30. */
        cr_assert(sqrt(wrong / all) < cases[e].force, "extent %g: forces err by %g",
                  (double)cases[e].extent, sqrt(wrong / all));
        cr_assert(fabs(weight - due) < cases[e].force * (N + due), "extent %g: weight %g, not %g",
                  (double)cases[e].extent, weight, due);
    }
    attune_repulsion_close(&repulsion);
    attune_team_close(team);
}

typedef struct problem {
    attune_team *team;
    attune_pairs pairs;
    float *vectors;
    uint32_t *lists, K;
    attune_affinity affinity;
} problem;

static problem open_problem(uint32_t n, double perplexity, int threads)
{
    problem p = {.team = team_of(threads), .vectors = make_vectors(n), .K = n < 100 ? n - 1 : 60};
    p.lists = malloc((size_t)n * p.K * sizeof(*p.lists));
    assert_ok(attune_pairs_open(&p.pairs, p.vectors, n, E, p.team));
    assert_ok(attune_nearest_find(p.lists, &p.pairs, p.K));
    assert_ok(attune_affinity_open(&p.affinity, &p.pairs, p.lists, p.K, perplexity));
    return p;
}

static void close_problem(problem *p)
{
    attune_affinity_close(&p->affinity);
    attune_pairs_close(&p->pairs);
    attune_team_close(p->team);
    free(p->lists);
    free(p->vectors);
}

/* Of all pairs: conditional probabilities have the perplexity, and P is their mean both ways round.
 */
Test(layout, affinities_are_symmetric_and_of_the_perplexity)
{
    enum { N = 60 };
    problem p = open_problem(N, 12, 2);
    const attune_affinity *a = &p.affinity;
    double matrix[N][N] = {{0}}, sum = 0;
    for (uint32_t i = 0; i < N; i++) {
        for (uint64_t k = a->first[i]; k < a->first[i + 1]; k++) {
            cr_assert(k == a->first[i] || a->column[k] > a->column[k - 1]);
            matrix[i][a->column[k]] = (double)a->value[k];
            sum += (double)a->value[k];
        }
    }
    cr_assert_float_eq(sum, 1, 1e-5);
    double expected[N][N] = {{0}};
    for (uint32_t i = 0; i < N; i++) {
        double low = 0, high = 1e6, w[N], entropy = 0;
        for (int step = 0; step < 200; step++) { /* bisection of the width, from the definition */
            const double beta = (low + high) / 2;
            double all = 0;
            entropy = 0;
            for (uint32_t j = 0; j < N; j++) {
                w[j] = i == j ? 0 : exp(-beta * attune_pairs_squared(&p.pairs, i, j));
                all += w[j];
            }
            for (uint32_t j = 0; j < N; j++) {
                w[j] /= all;
                entropy -= w[j] > 0 ? w[j] * log(w[j]) : 0;
            }
            if (entropy > log(12)) {
                low = beta;
            } else {
                high = beta;
            }
        }
        cr_assert_float_eq(entropy, log(12), 1e-6);
        for (uint32_t j = 0; j < N; j++) {
            expected[i][j] += w[j] / (2 * N);
            expected[j][i] += w[j] / (2 * N);
        }
    }
    for (uint32_t i = 0; i < N; i++) {
        for (uint32_t j = 0; j < N; j++) {
            cr_assert(fabs(matrix[i][j] - expected[i][j]) < 1e-7, "P of %u and %u: %g, not %g", i,
                      j, matrix[i][j], expected[i][j]);
        }
    }
    close_problem(&p);
}

/* The Kullback-Leibler divergence, by the definition. */
static double divergence_of(const attune_affinity *a, const double *y)
{
    double weight = 0, sum = 0;
    for (uint32_t i = 0; i < a->n; i++) {
        for (uint32_t j = 0; j < a->n; j++) {
            const double dx = y[2 * i] - y[2 * j], dy = y[2 * i + 1] - y[2 * j + 1];
            weight += i != j ? 1 / (1 + dx * dx + dy * dy) : 0;
        }
    }
    for (uint32_t i = 0; i < a->n; i++) {
        for (uint64_t k = a->first[i]; k < a->first[i + 1]; k++) {
            const uint32_t j = a->column[k];
            const double dx = y[2 * i] - y[2 * j], dy = y[2 * i + 1] - y[2 * j + 1],
                         p = (double)a->value[k];
            sum += p * (log(p) + log((1 + dx * dx + dy * dy) * weight));
        }
    }
    return sum;
}

Test(layout, gradient_is_that_of_the_divergence)
{
    enum { N = 60 };
    problem p = open_problem(N, 10, 2);
    attune_repulsion repulsion;
    float y[2 * N], gradient[2 * N];
    double at[2 * N], wrong = 0, all = 0, weight = 0;
    uint64_t state = 5;
    assert_ok(attune_repulsion_open(&repulsion, N, p.team));
    random_fill(&state, y, 2 * N, 4);
    assert_ok(attune_layout_gradient(gradient, &weight, &p.affinity, &repulsion, y, 1));
    for (int i = 0; i < 2 * N; i++) {
        at[i] = (double)y[i];
    }
    for (int i = 0; i < 2 * N; i++) {
        const double step = 1e-5, here = at[i];
        at[i] = here + step;
        const double above = divergence_of(&p.affinity, at);
        at[i] = here - step;
        const double due = (above - divergence_of(&p.affinity, at)) / (2 * step);
        at[i] = here;
        wrong += pow(4 * (double)gradient[i] - due, 2);
        all += due * due;
    }
    /* The grid's interpolation is all that there is between the two: measured 0.005. */
    cr_assert(sqrt(wrong / all) < 0.02, "the gradient errs by %g", sqrt(wrong / all));
    attune_repulsion_close(&repulsion);
    close_problem(&p);
}

static double lay_out(float *out, uint32_t n, int threads, uint64_t seed, uint32_t iterations)
{
    problem p = open_problem(n, 5, threads);
    const attune_layout_options options = {
        .perplexity = 15, .iterations = iterations, .seed = seed};
    double divergence = 0;
    assert_ok(attune_layout_find(out, &divergence, &p.pairs, p.lists, p.K, &options));
    close_problem(&p);
    return divergence;
}

Test(layout, is_the_same_with_any_number_of_threads)
{
    enum { N = 1100, ITERATIONS = 40 };
    static float one[2 * N], other[2 * N];
    const double divergence = lay_out(one, N, 1, 7, ITERATIONS);
    for (int threads = 2; threads <= 5; threads += 3) {
        cr_assert_eq(lay_out(other, N, threads, 7, ITERATIONS), divergence);
        cr_assert_eq(memcmp(one, other, sizeof(one)), 0, "%d threads draw another map", threads);
    }
    lay_out(other, N, 2, 8, ITERATIONS);
    cr_assert_neq(memcmp(one, other, sizeof(one)), 0, "the seed changes nothing");
}

/* The four groups of rows stay together: of a point's ten nearest, nine are of its own at least. */
Test(layout, keeps_groups_together)
{
    enum { N = 240 };
    float y[2 * N];
    const double divergence = lay_out(y, N, 2, 1, 500);
    uint32_t own = 0;
    for (uint32_t i = 0; i < N; i++) {
        bool taken[N] = {false};
        taken[i] = true;
        for (int k = 0; k < 10; k++) {
            uint32_t best = 0;
            double least = INFINITY;
            for (uint32_t j = 0; j < N; j++) {
                const double d = hypot((double)y[2 * i] - (double)y[2 * j],
                                       (double)y[2 * i + 1] - (double)y[2 * j + 1]);
                if (!taken[j] && d < least) {
                    least = d;
                    best = j;
                }
            }
            taken[best] = true;
            own += best % 4 == i % 4;
        }
    }
    cr_assert_gt(own, 9 * N, "%u of %d neighbours are of the same group", own, 10 * N);
    cr_assert(divergence > 0 && divergence < 1.2, "divergence %g", divergence);
}

Test(layout, is_widest_from_left_to_right)
{
    enum { N = 240 };
    float y[2 * N];
    double xx = 0, xy = 0, yy = 0;
    lay_out(y, N, 2, 1, 500);
    for (size_t i = 0; i < N; i++) {
        xx += (double)y[2 * i] * (double)y[2 * i];
        xy += (double)y[2 * i] * (double)y[2 * i + 1];
        yy += (double)y[2 * i + 1] * (double)y[2 * i + 1];
    }
    cr_assert_gt(xx, yy);
    cr_assert_lt(fabs(xy), 1e-4 * xx, "%g and %g", xy, xx);
}

/* From one row on, and rows that are all equal: numbers, and no two points at one place. */
Test(layout, few_rows_and_equal_ones)
{
    for (uint32_t n = 1; n <= 6; n++) {
        float y[12];
        attune_team *team = team_of(2);
        float *vectors = make_vectors(n);
        uint32_t lists[36];
        attune_pairs pairs;
        double divergence = 0;
        const attune_layout_options options = {.perplexity = 30, .iterations = 300, .seed = 1};
        for (uint32_t i = 0; i < n * E && n > 3; i++) {
            vectors[i] = 0.25f;
        }
        assert_ok(attune_pairs_open(&pairs, vectors, n, E, team));
        const uint32_t K = n - 1;
        cr_assert_leq(attune_layout_neighbours(n, &options), K);
        if (K > 0) {
            assert_ok(attune_nearest_find(lists, &pairs, K));
        }
        assert_ok(attune_layout_find(y, &divergence, &pairs, lists, K, &options));
        for (uint32_t i = 0; i < 2 * n; i++) {
            cr_assert(isfinite(y[i]) && fabsf(y[i]) < 1e4f, "%u rows: %g", n, (double)y[i]);
        }
        for (uint32_t i = 1; i < n; i++) {
            cr_assert(y[2 * i] != y[0] || y[2 * i + 1] != y[1], "%u rows: two at one place", n);
        }
        attune_pairs_close(&pairs);
        attune_team_close(team);
        free(vectors);
    }
}

/* Without t-SNE: coordinates on the axes, whose variances are the largest there are. */
Test(layout, principal_axes)
{
    enum { N = 300 };
    problem p = open_problem(N, 5, 2);
    attune_principal axes;
    assert_ok(attune_principal_open(&axes, p.vectors, N, E, p.team));
    for (int a = 0; a < E; a++) {
        double sum = 0, square = 0;
        for (uint32_t i = 0; i < N; i++) {
            const double x = attune_principal_coordinate(&axes, p.vectors + i * E, (uint32_t)a);
            sum += x;
            square += x * x;
        }
        cr_assert(fabs(sum) < 1e-9 && fabs(square / N - axes.variance[a]) < 1e-12);
        cr_assert(a == 0 || axes.variance[a] <= axes.variance[a - 1]);
        for (int b = 0; b < E; b++) {
            double product = 0, covariance = 0;
            for (int e = 0; e < E; e++) {
                product += axes.axes[a * E + e] * axes.axes[b * E + e];
            }
            for (uint32_t i = 0; i < N; i++) {
                covariance += attune_principal_coordinate(&axes, p.vectors + i * E, (uint32_t)a) *
                              attune_principal_coordinate(&axes, p.vectors + i * E, (uint32_t)b) /
                              N;
            }
            cr_assert(fabs(product - (a == b)) < 1e-12, "axes %d and %d: %g", a, b, product);
            cr_assert(a == b || fabs(covariance) < 1e-12, "axes %d and %d: %g", a, b, covariance);
        }
    }
    attune_principal again; /* to the last bit, with any number of threads */
    attune_team *more = team_of(5);
    assert_ok(attune_principal_open(&again, p.vectors, N, E, more));
    cr_assert_eq(memcmp(again.axes, axes.axes, E * E * sizeof(double)), 0);
    attune_principal_close(&again);
    attune_team_close(more);
    float y[2 * N];
    double divergence = 1;
    const attune_layout_options options = {.iterations = 0};
    assert_ok(attune_layout_find(y, &divergence, &p.pairs, p.lists, p.K, &options));
    cr_assert_float_eq((double)y[2 * 7 + 1],
                       attune_principal_coordinate(&axes, p.vectors + 7 * E, 1), 1e-6);
    cr_assert_eq(divergence, 0);
    attune_principal_close(&axes);
    close_problem(&p);
}
