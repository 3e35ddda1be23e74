/* test_clusters.c - k-means and mixtures against scikit-learn (tools/make_map_goldens.py), and the
 * gap statistic on rows of known groups. */
#include "map/clusters.h"

#include "csv/csv.h"
#include "map/gap.h"
#include "map/kmeans.h"
#include "map/mixture.h"
#include "map/principal.h"
#include "tests/store/store_support.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 240, E = 4 };

static float points[N * E];
static attune_team *team;

static void prepare(int threads)
{
    attune_csv *csv = NULL;
    attune_csv_row row;
    assert_ok(attune_team_open(&team, threads));
    assert_ok(attune_csv_open(&csv, GOLDENS "/points.csv"));
    for (int i = 0; i < N; i++) {
        assert_ok(attune_csv_next(csv, &row));
        cr_assert_eq(row.count, E);
        for (int e = 0; e < E; e++) {
            points[i * E + e] = strtof(row.fields[e], NULL);
        }
    }
    attune_csv_close(csv);
}

static double expected(const char *format, int number)
{
    char name[40];
    double value = NAN;
    attune_csv *csv = NULL;
    attune_csv_row row;
    snprintf(name, sizeof(name), "%s_%d", format, number);
    assert_ok(attune_csv_open(&csv, GOLDENS "/expected.csv"));
    while (attune_csv_next(csv, &row) == ATTUNE_OK && row.count == 2) {
        value = strcmp(row.fields[0], name) == 0 ? strtod(row.fields[1], NULL) : value;
    }
    attune_csv_close(csv);
    cr_assert(!isnan(value), "%s is not in expected.csv", name);
    return value;
}

Test(clusters, kmeans)
{
    static const uint32_t numbers[] = {1, 2, 3, 5, 8};
    prepare(2);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        attune_kmeans k;
        const double due = expected("inertia", (int)numbers[i]);
        assert_ok(attune_kmeans_open(&k, points, N, E, numbers[i], ATTUNE_KMEANS_STARTS, 1, team));
        /* scikit-learn's is the best of 50 starts; of many clusters ours is one near it. */
        cr_assert(k.inertia > due * (1 - 1e-6) &&
                      k.inertia < due * (numbers[i] < 8 ? 1 + 1e-6 : 1.03),
                  "K = %u: %.9g, not %.9g", numbers[i], k.inertia, due);
        double sum = 0;
        for (int row = 0; row < N; row++) {
            for (int e = 0; e < E; e++) {
                sum += pow((double)points[row * E + e] - k.centres[k.cluster[row] * E + e], 2);
            }
        }
        cr_assert_float_eq(sum, k.inertia, 1e-9 * sum);
        attune_kmeans_close(&k);
    }
    attune_team_close(team);
}

Test(clusters, mixtures)
{
    prepare(2);
    for (int full = 0; full < 2; full++) {
        for (uint32_t K = 1; K <= 3; K++) {
            attune_kmeans k;
            attune_mixture m;
            const double due = expected(full ? "full" : "diag", (int)K);
            assert_ok(attune_kmeans_open(&k, points, N, E, K, ATTUNE_KMEANS_STARTS, 1, team));
            assert_ok(attune_mixture_open(&m, points, N, E, K, full, k.cluster, team));
            /* Steps end at 1e-3, scikit-learn's here at 1e-6. */
            cr_assert(fabs(m.likelihood - due) < 0.02, "%s, K = %u: %.6f, not %.6f",
                      full ? "full" : "diagonal", K, m.likelihood, due);
            cr_assert(K > 1 || fabs(m.likelihood - due) < 1e-6);
            double weights = 0;
            for (uint32_t c = 0; c < K; c++) {
                weights += m.weights[c];
            }
            cr_assert_float_eq(weights, 1, 1e-9);
            attune_mixture_close(&m);
            attune_kmeans_close(&k);
        }
    }
    attune_team_close(team);
}

Test(clusters, principal_variances)
{
    attune_principal p;
    prepare(1);
    assert_ok(attune_principal_open(&p, points, N, E, team));
    for (int e = 0; e < E; e++) {
        cr_assert_float_eq(p.variance[e], expected("variance", e), 1e-9);
    }
    attune_principal_close(&p);
    attune_team_close(team);
}

/* Groups at the corners of a simplex, in more dimensions than there are groups. */
Test(clusters, gap_finds_how_many)
{
    enum { ROWS = 300, WIDE = 6 };
    float rows[ROWS * WIDE];
    static const uint32_t truths[] = {1, 2, 3, 5};
    assert_ok(attune_team_open(&team, 2));
    for (size_t t = 0; t < sizeof(truths) / sizeof(*truths); t++) {
        uint64_t state = t + 1;
        uint32_t K = 0;
        double gaps[ATTUNE_GAP_MOST], errors[ATTUNE_GAP_MOST];
        for (uint32_t i = 0; i < ROWS * WIDE; i++) { /* nearly normal */
            rows[i] = random_uniform(&state) + random_uniform(&state) + random_uniform(&state);
            rows[i] += i % WIDE == i / WIDE % truths[t] && truths[t] > 1 ? 12 : 0;
        }
        assert_ok(attune_gap_find(&K, gaps, errors, rows, ROWS, WIDE, 1, team));
        cr_assert_eq(K, truths[t], "%u clusters, not %u", K, truths[t]);
        cr_assert(gaps[K - 1] >= gaps[K] - errors[K] && errors[K] > 0 && isnan(gaps[K + 1]));
    }
    attune_team_close(team);
}

Test(clusters, gap_draws_of_many_rows)
{
    enum { ROWS = 6000, WIDE = 2 };
    static float rows[ROWS * WIDE];
    uint64_t state = 1;
    uint32_t K = 0;
    assert_ok(attune_team_open(&team, 2));
    for (uint32_t i = 0; i < ROWS * WIDE; i++) {
        const uint32_t group = i / WIDE % 3; /* at the corners of a triangle */
        rows[i] = random_uniform(&state) + (group == i % WIDE + 1 ? 10 : 0);
    }
    assert_ok(attune_gap_find(&K, NULL, NULL, rows, ROWS, WIDE, 1, team));
    cr_assert_eq(K, 3, "%u clusters", K);
    attune_team_close(team);
}

Test(clusters, are_the_same_with_any_number_of_threads)
{
    attune_clusters one, other;
    const attune_clusters_options kinds[] = {
        {.K = 0, .seed = 3}, {.K = 7, .seed = 3}, {.K = 4, .mixture = true, .seed = 3}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        prepare(1);
        assert_ok(attune_clusters_open(&one, points, N, E, &kinds[i], team));
        attune_team_close(team);
        assert_ok(attune_team_open(&team, 3));
        assert_ok(attune_clusters_open(&other, points, N, E, &kinds[i], team));
        cr_assert_eq(memcmp(one.cluster, other.cluster, sizeof(*one.cluster) * N), 0);
        uint32_t sizes[8] = {0};
        for (int row = 0; row < N; row++) {
            sizes[one.cluster[row]]++;
        }
        for (uint32_t k = 1; k < one.K; k++) {
            cr_assert(sizes[k] > 0 && sizes[k] <= sizes[k - 1], "not by size");
        }
        attune_clusters_close(&one);
        attune_clusters_close(&other);
        attune_team_close(team);
    }
}

/* Rows that are all equal, fewer different rows than clusters, one row. */
Test(clusters, of_rows_that_have_none)
{
    const attune_clusters_options automatic = {.seed = 1}, five = {.K = 5, .seed = 1},
                                  mixed = {.K = 5, .mixture = true, .seed = 1};
    attune_clusters c;
    float rows[20 * E];
    assert_ok(attune_team_open(&team, 2));
    for (int i = 0; i < 20 * E; i++) {
        rows[i] = 0.1f;
    }
    assert_ok(attune_clusters_open(&c, rows, 20, E, &automatic, team));
    cr_assert_eq(c.K, 1);
    attune_clusters_close(&c);
    assert_ok(attune_clusters_open(&c, rows, 1, E, &automatic, team));
    cr_assert_eq(c.K, 1);
    attune_clusters_close(&c);
    rows[0] = 1;
    rows[1 * E] = 2;
    assert_ok(attune_clusters_open(&c, rows, 20, E, &five, team));
    cr_assert_eq(c.K, 3);
    attune_clusters_close(&c);
    assert_ok(attune_clusters_open(&c, rows, 20, E, &mixed, team));
    cr_assert(c.K >= 1 && c.K <= 3);
    attune_clusters_close(&c);
    assert_fails(attune_clusters_open(&c, rows, 4, E, &five, team), ATTUNE_EINVAL,
                 "5 clusters of 4 tracks");
    attune_team_close(team);
}
