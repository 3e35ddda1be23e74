/* kmeans.c - rows are assigned in pieces and summed by cluster, each cluster in the order of its
 * rows. */
#include "map/kmeans.h"

#include "model/random.h"
#include "status/error.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 512, STEPS = 300 };

typedef struct work {
    const float *vectors;
    uint32_t n, E, K;
    attune_team *team;
    double *centres;   /* (K, E) */
    int32_t *cluster;  /* (n) */
    double *distance;  /* (n): squared, to the nearest centre */
    double *candidate; /* (n): the same if a seed were added */
    const float *seed; /* that seed */
    uint32_t *order;   /* (n): rows by cluster */
    uint32_t *first;   /* (K + 1) */
    bool *moved;       /* by piece */
} work;

static int pieces_of(uint32_t n)
{
    return (int)((n + PIECE - 1) / PIECE);
}

/* ---- seeds ---- */

static void try_seed(void *data, int piece, int thread)
{
    const work *w = data;
    const size_t E = w->E, first = (size_t)piece * PIECE,
                 end = first + PIECE < w->n ? first + PIECE : w->n;
    (void)thread;
    for (size_t i = first; i < end; i++) {
        double square = 0;
        for (size_t e = 0; e < E; e++) {
            const double d = (double)w->vectors[i * E + e] - (double)w->seed[e];
            square += d * d;
        }
        w->candidate[i] = square < w->distance[i] ? square : w->distance[i];
    }
}

/* Distances if row `row` were a seed, to w->candidate; their sum comes back. */
static double with_seed(work *w, uint32_t row)
{
    double sum = 0;
    w->seed = w->vectors + (size_t)row * w->E;
    attune_team_run(w->team, try_seed, w, pieces_of(w->n));
    for (uint32_t i = 0; i < w->n; i++) {
        sum += w->candidate[i];
    }
    return sum;
}

/* A row, drawn by its squared distance from the seeds there are; any where all lie on them. */
static uint32_t draw_row(const work *w, double sum, attune_random *random)
{
    double at = attune_random_uniform(random) * sum;
    uint32_t last = attune_random_below(random, w->n);
    for (uint32_t i = 0; i < w->n && sum > 0; i++) {
        if (w->distance[i] > 0) {
            last = i;
            at -= w->distance[i];
            if (at < 0) {
                break;
            }
        }
    }
    return last;
}

static void take_seed(work *w, uint32_t k, uint32_t row)
{
    for (size_t e = 0; e < w->E; e++) {
        w->centres[(size_t)k * w->E + e] = (double)w->vectors[(size_t)row * w->E + e];
    }
    double *const other = w->distance;
    w->distance = w->candidate;
    w->candidate = other;
}

/* Of a few rows drawn, the one that leaves the least distance (Arthur and Vassilvitskii 2007). */
static void choose_seeds(work *w, attune_random *random)
{
    const int tries = 2 + (int)log((double)w->K);
    for (uint32_t i = 0; i < w->n; i++) {
        w->distance[i] = INFINITY;
    }
    double sum = with_seed(w, attune_random_below(random, w->n));
    take_seed(w, 0, (uint32_t)((size_t)(w->seed - w->vectors) / w->E));
    for (uint32_t k = 1; k < w->K; k++) {
        uint32_t best = 0;
        double least = INFINITY;
        for (int t = 0; t < tries; t++) {
            const uint32_t row = draw_row(w, sum, random);
            const double left = with_seed(w, row);
            best = left < least ? row : best;
            least = left < least ? left : least;
        }
        sum = with_seed(w, best);
        take_seed(w, k, best);
    }
}

/* ---- Lloyd's steps ---- */

static void assign(void *data, int piece, int thread)
{
    const work *w = data;
    const size_t E = w->E, first = (size_t)piece * PIECE,
                 end = first + PIECE < w->n ? first + PIECE : w->n;
    bool moved = false;
    (void)thread;
    for (size_t i = first; i < end; i++) {
        double least = INFINITY;
        int32_t nearest = 0;
        for (uint32_t k = 0; k < w->K; k++) {
            const double *centre = w->centres + (size_t)k * E;
            double square = 0;
            for (size_t e = 0; e < E; e++) {
                const double d = (double)w->vectors[i * E + e] - centre[e];
                square += d * d;
            }
            nearest = square < least ? (int32_t)k : nearest;
            least = square < least ? square : least;
        }
        moved = moved || w->cluster[i] != nearest;
        w->cluster[i] = nearest;
        w->distance[i] = least;
    }
    w->moved[piece] = moved;
}

static void average(void *data, int piece, int thread)
{
    const work *w = data;
    const size_t E = w->E;
    const uint32_t first = w->first[piece], end = w->first[piece + 1];
    double *centre = w->centres + (size_t)piece * E;
    (void)thread;
    if (first == end) {
        return;
    }
    memset(centre, 0, E * sizeof(*centre));
    for (uint32_t at = first; at < end; at++) {
        for (size_t e = 0; e < E; e++) {
            centre[e] += (double)w->vectors[w->order[at] * E + e];
        }
    }
    for (size_t e = 0; e < E; e++) {
        centre[e] /= end - first;
    }
}

static void sort_rows(work *w)
{
    memset(w->first, 0, ((size_t)w->K + 1) * sizeof(*w->first));
    for (uint32_t i = 0; i < w->n; i++) {
        w->first[w->cluster[i] + 1]++;
    }
    for (uint32_t k = 0; k < w->K; k++) {
        w->first[k + 1] += w->first[k];
    }
    for (uint32_t i = 0; i < w->n; i++) {
        w->order[w->first[w->cluster[i]]++] = i;
    }
    for (uint32_t k = w->K; k > 0; k--) {
        w->first[k] = w->first[k - 1];
    }
    w->first[0] = 0;
}

/* Assigns all rows; whether one has moved. */
static bool assign_all(work *w)
{
    bool moved = false;
    attune_team_run(w->team, assign, w, pieces_of(w->n));
    for (int i = 0; i < pieces_of(w->n); i++) {
        moved = moved || w->moved[i];
    }
    return moved;
}

static double descend(work *w)
{
    double inertia = 0;
    memset(w->cluster, -1, w->n * sizeof(*w->cluster));
    for (int step = 0; assign_all(w) && step < STEPS; step++) {
        sort_rows(w);
        attune_team_run(w->team, average, w, (int)w->K);
    }
    for (uint32_t i = 0; i < w->n; i++) {
        inertia += w->distance[i];
    }
    return inertia;
}

static void search(attune_kmeans *out, work *w, int starts, uint64_t seed)
{
    out->inertia = INFINITY;
    for (int s = 0; s < (w->K > 1 ? starts : 1); s++) {
        attune_random random = attune_random_of(seed, (uint64_t)s);
        choose_seeds(w, &random);
        const double inertia = descend(w);
        if (inertia < out->inertia) {
            out->inertia = inertia;
            memcpy(out->cluster, w->cluster, w->n * sizeof(*out->cluster));
            memcpy(out->centres, w->centres, (size_t)w->K * w->E * sizeof(*out->centres));
        }
    }
}

attune_status attune_kmeans_open(attune_kmeans *out, const float *vectors, uint32_t n, uint32_t E,
                                 uint32_t K, int starts, uint64_t seed, attune_team *team)
{
    work w = {.vectors = vectors, .n = n, .E = E, .K = K, .team = team};
    *out = (attune_kmeans){.K = K, .E = E};
    out->cluster = malloc(n * sizeof(*out->cluster));
    out->centres = malloc((size_t)K * E * sizeof(*out->centres));
    w.centres = malloc((size_t)K * E * sizeof(*w.centres));
    w.cluster = malloc(n * sizeof(*w.cluster));
    w.distance = malloc(n * sizeof(*w.distance));
    w.candidate = malloc(n * sizeof(*w.candidate));
    w.order = malloc(n * sizeof(*w.order));
    w.first = malloc(((size_t)K + 1) * sizeof(*w.first));
    w.moved = malloc((size_t)pieces_of(n) * sizeof(*w.moved));
    attune_status status = ATTUNE_OK;
    if (!out->cluster || !out->centres || !w.centres || !w.cluster || !w.distance || !w.candidate ||
        !w.order || !w.first || !w.moved) {
        status = attune_fail_memory("clusters", n * 32ULL + K * 16ULL * E);
        attune_kmeans_close(out);
    } else {
        search(out, &w, starts, seed);
    }
    free(w.moved);
    free(w.first);
    free(w.order);
    free(w.candidate);
    free(w.distance);
    free(w.cluster);
    free(w.centres);
    return status;
}

void attune_kmeans_close(attune_kmeans *kmeans)
{
    if (kmeans) {
        free(kmeans->cluster);
        free(kmeans->centres);
        *kmeans = (attune_kmeans){0};
    }
}
