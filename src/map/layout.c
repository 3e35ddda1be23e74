/* layout.c - gradient descent with momentum and gains, as t-SNE's authors do it. The step is n / 12
 * times the gradient, which no attraction of the exaggerated first phase can overshoot (Belkina et
 * al. 2019). */
#include "map/layout.h"

#include "map/principal.h"
#include "model/random.h"
#include "status/error.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 512 };

#define EXAGGERATION                                                                               \
    12.0f          /* of the attraction, in the first third of the iterations, 250 at most */
#define START 1e-4 /* deviation of the points to begin with */

/* ---- gradient ---- */

typedef struct attraction {
    const attune_affinity *affinity;
    const float *positions; /* (n, 2) */
    float *gradient;        /* (n, 2): the repulsion, then all */
    float exaggeration;
    float share; /* 1 / sum of the weights */
} attraction;

static void attract_piece(void *data, int piece, int thread)
{
    const attraction *d = data;
    const attune_affinity *a = d->affinity;
    const float *y = d->positions;
    const uint32_t first = (uint32_t)piece * PIECE,
                   end = a->n - first < PIECE ? a->n : first + PIECE;
    (void)thread;
    for (uint32_t i = first; i < end; i++) {
        const float xi = y[2 * (size_t)i], yi = y[2 * (size_t)i + 1];
        float fx = 0, fy = 0;
        for (uint64_t k = a->first[i]; k < a->first[i + 1]; k++) {
            const size_t j = a->column[k];
            const float dx = xi - y[2 * j], dy = yi - y[2 * j + 1],
                        w = a->value[k] / (1 + dx * dx + dy * dy);
            fx += w * dx;
            fy += w * dy;
        }
        float *g = d->gradient + 2 * (size_t)i;
        g[0] = d->exaggeration * fx - d->share * g[0];
        g[1] = d->exaggeration * fy - d->share * g[1];
    }
}

static int pieces_of(uint32_t n)
{
    return (int)((n + PIECE - 1) / PIECE);
}

attune_status attune_layout_gradient(float *out, double *weight, const attune_affinity *affinity,
                                     attune_repulsion *repulsion, const float *positions,
                                     float exaggeration)
{
    const attune_status status = attune_repulsion_find(repulsion, out, weight, positions);
    if (status == ATTUNE_OK) {
        attraction a = {.affinity = affinity,
                        .positions = positions,
                        .gradient = out,
                        .exaggeration = exaggeration,
                        .share = *weight > 0 ? (float)(1 / *weight) : 0};
        attune_team_run(repulsion->team, attract_piece, &a, pieces_of(affinity->n));
    }
    return status;
}

/* ---- steps ---- */

typedef struct descent {
    const attune_affinity *affinity;
    float *positions, *gradient, *step, *gain; /* (n, 2) each */
    float momentum, rate;
    double log_weight; /* of the sum of weights */
    double *parts;     /* by piece */
} descent;

static void move_piece(void *data, int piece, int thread)
{
    descent *d = data;
    const size_t n = d->affinity->n, first = 2 * (size_t)piece * PIECE,
                 end = first + 2 * PIECE < 2 * n ? first + 2 * PIECE : 2 * n;
    (void)thread;
    for (size_t i = first; i < end; i++) {
        const bool onwards = (d->gradient[i] > 0) != (d->step[i] > 0);
        const float gain = onwards ? d->gain[i] + 0.2f : d->gain[i] * 0.8f;
        d->gain[i] = gain > 0.01f ? gain : 0.01f;
        d->step[i] = d->momentum * d->step[i] - d->rate * d->gain[i] * d->gradient[i];
        d->positions[i] += d->step[i];
    }
}

static void centre(float *positions, uint32_t n)
{
    double sum[2] = {0, 0};
    for (size_t i = 0; i < 2 * (size_t)n; i++) {
        sum[i % 2] += (double)positions[i];
    }
    for (size_t i = 0; i < 2 * (size_t)n; i++) {
        positions[i] -= (float)(sum[i % 2] / n);
    }
}

static void diverge_piece(void *data, int piece, int thread)
{
    const descent *d = data;
    const attune_affinity *a = d->affinity;
    const uint32_t first = (uint32_t)piece * PIECE,
                   end = a->n - first < PIECE ? a->n : first + PIECE;
    double sum = 0;
    (void)thread;
    for (uint32_t i = first; i < end; i++) {
        for (uint64_t k = a->first[i]; k < a->first[i + 1]; k++) {
            const float *x = d->positions + 2 * (size_t)i,
                        *y = d->positions + 2 * (size_t)a->column[k];
            const double p = (double)a->value[k], dx = (double)x[0] - (double)y[0],
                         dy = (double)x[1] - (double)y[1];
            sum += p > 0 ? p * (log(p) + log1p(dx * dx + dy * dy) + d->log_weight) : 0;
        }
    }
    d->parts[piece] = sum;
}

static attune_status descend(descent *d, attune_repulsion *repulsion,
                             const attune_layout_options *options)
{
    const uint32_t n = d->affinity->n, third = options->iterations / 3,
                   early = third < 250 ? third : 250;
    double weight = 0;
    attune_status status = ATTUNE_OK;
    for (uint32_t i = 0; i < options->iterations && status == ATTUNE_OK; i++) {
        d->momentum = i < early ? 0.5f : 0.8f;
        status = attune_layout_gradient(d->gradient, &weight, d->affinity, repulsion, d->positions,
                                        i < early ? EXAGGERATION : 1.0f);
        if (status == ATTUNE_OK) {
            attune_team_run(repulsion->team, move_piece, d, pieces_of(n));
            centre(d->positions, n);
        }
        if (options->progress) {
            options->progress(options->user, i + 1);
        }
    }
    return status;
}

static attune_status measure(double *divergence, descent *d, attune_repulsion *repulsion)
{
    double weight = 0;
    attune_status status = attune_repulsion_find(repulsion, d->gradient, &weight, d->positions);
    if (status == ATTUNE_OK) {
        d->log_weight = weight > 0 ? log(weight) : 0;
        attune_team_run(repulsion->team, diverge_piece, d, pieces_of(d->affinity->n));
        *divergence = 0;
        for (int i = 0; i < pieces_of(d->affinity->n); i++) {
            *divergence += d->parts[i];
        }
    }
    return status;
}

/* Turns what has no direction of its own so that it is widest from left to right, as windows are.
 */
static void turn(float *positions, uint32_t n)
{
    double xx = 0, xy = 0, yy = 0;
    for (size_t i = 0; i < n; i++) {
        const double x = (double)positions[2 * i], y = (double)positions[2 * i + 1];
        xx += x * x;
        xy += x * y;
        yy += y * y;
    }
    const double angle = atan2(2 * xy, xx - yy) / 2, c = cos(angle), s = sin(angle);
    for (size_t i = 0; i < n; i++) {
        const double x = (double)positions[2 * i], y = (double)positions[2 * i + 1];
        positions[2 * i] = (float)(c * x + s * y);
        positions[2 * i + 1] = (float)(c * y - s * x);
    }
}

static attune_status arrange(float *positions, double *divergence, const attune_affinity *affinity,
                             attune_team *team, const attune_layout_options *options)
{
    const size_t n = affinity->n;
    attune_repulsion repulsion = {0};
    descent d = {.affinity = affinity, .positions = positions, .rate = (float)n / 12};
    d.gradient = calloc(2 * n, sizeof(float));
    d.step = calloc(2 * n, sizeof(float));
    d.gain = malloc(2 * n * sizeof(float));
    d.parts = calloc((size_t)pieces_of(affinity->n), sizeof(*d.parts));
    attune_status status = d.gradient && d.step && d.gain && d.parts
                               ? attune_repulsion_open(&repulsion, affinity->n, team)
                               : attune_fail_memory("a layout", 6 * n * sizeof(float));
    for (size_t i = 0; i < 2 * n && status == ATTUNE_OK; i++) {
        d.gain[i] = 1;
    }
    if (status == ATTUNE_OK) {
        status = descend(&d, &repulsion, options);
    }
    if (status == ATTUNE_OK) {
        status = measure(divergence, &d, &repulsion);
        turn(positions, affinity->n);
    }
    attune_repulsion_close(&repulsion);
    free(d.parts);
    free(d.gain);
    free(d.step);
    free(d.gradient);
    return status;
}

/* ---- the beginning ---- */

typedef struct projection {
    const attune_pairs *pairs;
    const attune_principal *principal;
    float *positions;
} projection;

static void project_piece(void *data, int piece, int thread)
{
    const projection *p = data;
    const uint32_t n = p->pairs->n, E = p->pairs->E, first = (uint32_t)piece * PIECE,
                   end = n - first < PIECE ? n : first + PIECE;
    (void)thread;
    for (uint32_t i = first; i < end; i++) {
        for (uint32_t q = 0; q < 2; q++) {
            p->positions[2 * (size_t)i + q] =
                q < E ? (float)attune_principal_coordinate(p->principal,
                                                           p->pairs->vectors + (size_t)i * E, q)
                      : 0;
        }
    }
}

static attune_status project(float *positions, const attune_pairs *pairs)
{
    attune_principal principal;
    const attune_status status =
        attune_principal_open(&principal, pairs->vectors, pairs->n, pairs->E, pairs->team);
    if (status == ATTUNE_OK) {
        projection p = {.pairs = pairs, .principal = &principal, .positions = positions};
        attune_team_run(pairs->team, project_piece, &p, pieces_of(pairs->n));
        attune_principal_close(&principal);
    }
    return status;
}

/* Small enough that all points begin near each other, and no two at one place. */
static void shrink(float *positions, uint32_t n, uint64_t seed)
{
    double square = 0;
    for (size_t i = 0; i < 2 * (size_t)n; i += 2) {
        square += (double)positions[i] * (double)positions[i];
    }
    const double scale = square > 0 ? START / sqrt(square / n) : 0;
    attune_random random = attune_random_of(seed, n);
    for (size_t i = 0; i < 2 * (size_t)n; i++) {
        const double jitter = START / 100 * (2 * attune_random_uniform(&random) - 1);
        positions[i] = (float)((double)positions[i] * scale + jitter);
    }
}

double attune_layout_perplexity(uint32_t n, const attune_layout_options *options)
{
    return fmax(1, fmin(options->perplexity, (n - 1) / 3.0));
}

uint32_t attune_layout_neighbours(uint32_t n, const attune_layout_options *options)
{
    const uint32_t wanted =
        options->iterations ? (uint32_t)ceil(3 * attune_layout_perplexity(n, options)) : 0;
    return wanted < n - 1 ? wanted : n - 1;
}

attune_status attune_layout_find(float *positions, double *divergence, const attune_pairs *pairs,
                                 const uint32_t *lists, uint32_t K,
                                 const attune_layout_options *options)
{
    const uint32_t wanted = attune_layout_neighbours(pairs->n, options);
    *divergence = 0;
    attune_status status = project(positions, pairs);
    if (status != ATTUNE_OK || wanted < 2) {
        return status;
    }
    attune_affinity affinity;
    uint32_t *nearest = NULL; /* the lists without what is not wanted */
    if (K > wanted) {
        nearest = malloc((size_t)pairs->n * wanted * sizeof(*nearest));
        if (!nearest) {
            return attune_fail_memory("neighbours", (size_t)pairs->n * wanted * sizeof(*nearest));
        }
        for (size_t i = 0; i < pairs->n; i++) {
            memcpy(nearest + i * wanted, lists + i * K, wanted * sizeof(*nearest));
        }
    }
    shrink(positions, pairs->n, options->seed);
    status = attune_affinity_open(&affinity, pairs, nearest ? nearest : lists, wanted,
                                  attune_layout_perplexity(pairs->n, options));
    free(nearest);
    if (status == ATTUNE_OK) {
        status = arrange(positions, divergence, &affinity, pairs->team, options);
        attune_affinity_close(&affinity);
    }
    return status;
}
