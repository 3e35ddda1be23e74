/* gap.c - k goes upwards and ends where the gap does: of few clusters it is soon known. */
#include "map/gap.h"

#include "map/kmeans.h"
#include "map/principal.h"
#include "model/random.h"
#include "status/error.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef struct sampling {
    const float *vectors; /* (n, E): all rows or those drawn */
    float *drawn;         /* owns them, or NULL */
    float *references;    /* (ATTUNE_GAP_REFERENCES, n, E) */
    uint32_t n, E;
    uint64_t seed;
    double nothing; /* what rounding makes of an inertia of 0 is less */
    attune_team *team;
} sampling;

/* Rows without putting them back, in one pass: each has its due chance. */
static attune_status draw_rows(sampling *s, const float *vectors, uint32_t n)
{
    s->vectors = vectors;
    s->n = n < ATTUNE_GAP_ROWS ? n : ATTUNE_GAP_ROWS;
    if (n <= ATTUNE_GAP_ROWS) {
        return ATTUNE_OK;
    }
    s->vectors = s->drawn = malloc((size_t)s->n * s->E * sizeof(float));
    if (!s->drawn) {
        return attune_fail_memory("a sample of rows", (size_t)s->n * s->E * sizeof(float));
    }
    attune_random random = attune_random_of(s->seed, n);
    uint32_t taken = 0;
    for (uint32_t i = 0; i < n && taken < s->n; i++) {
        if (attune_random_below(&random, n - i) < s->n - taken) {
            memcpy(s->drawn + (size_t)taken++ * s->E, vectors + (size_t)i * s->E,
                   s->E * sizeof(float));
        }
    }
    return ATTUNE_OK;
}

/* Uniform rows over the box that holds all rows, seen along the principal axes. */
static void fill_reference(float *out, const sampling *s, const attune_principal *p,
                           const double *low, const double *high, attune_random *random)
{
    const size_t E = s->E;
    for (size_t i = 0; i < s->n; i++) {
        double row[E];
        memcpy(row, p->mean, E * sizeof(*row));
        for (size_t q = 0; q < E; q++) {
            const double x = low[q] + attune_random_uniform(random) * (high[q] - low[q]);
            for (size_t e = 0; e < E; e++) {
                row[e] += x * p->axes[q * E + e];
            }
        }
        for (size_t e = 0; e < E; e++) {
            out[i * E + e] = (float)row[e];
        }
    }
}

static attune_status make_references(sampling *s)
{
    const size_t E = s->E, size = (size_t)s->n * E;
    attune_principal p = {0};
    double *low = malloc(E * sizeof(*low)), *high = malloc(E * sizeof(*high));
    s->references = malloc(ATTUNE_GAP_REFERENCES * size * sizeof(float));
    attune_status status =
        low && high && s->references
            ? attune_principal_open(&p, s->vectors, s->n, s->E, s->team)
            : attune_fail_memory("uniform rows", ATTUNE_GAP_REFERENCES * size * sizeof(float));
    for (uint32_t q = 0; status == ATTUNE_OK && q < E; q++) {
        low[q] = INFINITY;
        high[q] = -INFINITY;
        for (size_t i = 0; i < s->n; i++) {
            const double x = attune_principal_coordinate(&p, s->vectors + i * E, q);
            low[q] = fmin(low[q], x);
            high[q] = fmax(high[q], x);
        }
    }
    for (uint32_t b = 0; status == ATTUNE_OK && b < ATTUNE_GAP_REFERENCES; b++) {
        attune_random random = attune_random_of(s->seed + 1, b);
        fill_reference(s->references + b * size, s, &p, low, high, &random);
    }
    attune_principal_close(&p);
    free(high);
    free(low);
    return status;
}

static attune_status log_inertia(double *out, const sampling *s, const float *vectors, uint32_t k)
{
    attune_kmeans kmeans;
    const attune_status status =
        attune_kmeans_open(&kmeans, vectors, s->n, s->E, k, ATTUNE_GAP_STARTS, s->seed, s->team);
    if (status == ATTUNE_OK) {
        *out = kmeans.inertia > s->nothing ? log(kmeans.inertia) : -INFINITY;
        attune_kmeans_close(&kmeans);
    }
    return status;
}

static attune_status measure(double *gap, double *error, const sampling *s, uint32_t k)
{
    double own = 0, references[ATTUNE_GAP_REFERENCES] = {0}, mean = 0, square = 0;
    attune_status status = log_inertia(&own, s, s->vectors, k);
    for (uint32_t b = 0; status == ATTUNE_OK && b < ATTUNE_GAP_REFERENCES; b++) {
        status = log_inertia(&references[b], s, s->references + (size_t)b * s->n * s->E, k);
        mean += references[b] / ATTUNE_GAP_REFERENCES;
    }
    for (uint32_t b = 0; b < ATTUNE_GAP_REFERENCES; b++) {
        square += (references[b] - mean) * (references[b] - mean) / ATTUNE_GAP_REFERENCES;
    }
    *gap = isinf(own) ? INFINITY : mean - own;
    *error = sqrt(square * (1 + 1.0 / ATTUNE_GAP_REFERENCES));
    return status;
}

static attune_status climb(uint32_t *K, double *gaps, double *errors, const sampling *s)
{
    const uint32_t most = s->n < ATTUNE_GAP_MOST ? s->n : ATTUNE_GAP_MOST;
    attune_status status = ATTUNE_OK;
    for (uint32_t k = 1; k <= most && status == ATTUNE_OK; k++) {
        status = measure(&gaps[k - 1], &errors[k - 1], s, k);
        *K = k;
        /* Rows without any distance have an infinite gap: more clusters do not help. */
        if (status == ATTUNE_OK && k > 1 &&
            (gaps[k - 2] == INFINITY || gaps[k - 2] >= gaps[k - 1] - errors[k - 1])) {
            *K = k - 1;
            break;
        }
    }
    return status;
}

attune_status attune_gap_find(uint32_t *K, double *gaps, double *errors, const float *vectors,
                              uint32_t n, uint32_t E, uint64_t seed, attune_team *team)
{
    double own_gaps[ATTUNE_GAP_MOST], own_errors[ATTUNE_GAP_MOST];
    sampling s = {.E = E, .seed = seed, .team = team};
    gaps = gaps ? gaps : own_gaps;
    errors = errors ? errors : own_errors;
    for (int k = 0; k < ATTUNE_GAP_MOST; k++) {
        gaps[k] = errors[k] = NAN;
    }
    *K = 1;
    attune_status status = draw_rows(&s, vectors, n);
    for (size_t i = 0; status == ATTUNE_OK && i < (size_t)s.n * E; i++) {
        s.nothing += 1e-14 * (double)s.vectors[i] * (double)s.vectors[i];
    }
    if (status == ATTUNE_OK) {
        status = make_references(&s);
    }
    if (status == ATTUNE_OK) {
        status = climb(K, gaps, errors, &s);
    }
    free(s.references);
    free(s.drawn);
    return status;
}
