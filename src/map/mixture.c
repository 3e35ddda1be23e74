/* mixture.c - densities come from Cholesky factors, in logarithms; rows are weighed in pieces, and
 * each cluster sums its own. */
#include "map/mixture.h"

#include "status/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 512, STEPS = 100 };

typedef struct work {
    attune_mixture *out;
    const float *vectors;
    uint32_t n;
    attune_team *team;
    double *share;   /* (n, K): of a row that is each cluster's */
    double *inverse; /* as the covariances: the Cholesky factor, and where it is full its inverse */
    double *constant; /* (K): logarithm of the weight and of what normalises the density */
    double *parts;    /* by piece: sums of the rows' log-likelihoods */
} work;

static int pieces_of(uint32_t n)
{
    return (int)((n + PIECE - 1) / PIECE);
}

static size_t size_of(const attune_mixture *m)
{
    return m->full ? (size_t)m->E * m->E : m->E;
}

/* ---- maximisation: a cluster from its shares of the rows ---- */

static void add_covariance(double *to, const double *d, double share, size_t E, bool full)
{
    for (size_t a = 0; a < E; a++) {
        const double x = share * d[a];
        if (!full) {
            to[a] += x * d[a];
            continue;
        }
        for (size_t b = 0; b <= a; b++) {
            to[a * E + b] += x * d[b];
        }
    }
}

static void maximise(void *data, int piece, int thread)
{
    const work *w = data;
    const attune_mixture *m = w->out;
    const size_t E = m->E, K = m->K, k = (size_t)piece, size = size_of(m);
    double *mean = m->means + k * E, *covariance = m->covariances + k * size, d[E];
    double sum = 10 * 2.220446049250313e-16; /* an empty cluster divides by it */
    (void)thread;
    memset(mean, 0, E * sizeof(*mean));
    memset(covariance, 0, size * sizeof(*covariance));
    for (size_t i = 0; i < w->n; i++) {
        const double share = w->share[i * K + k];
        sum += share;
        for (size_t e = 0; e < E; e++) {
            mean[e] += share * (double)w->vectors[i * E + e];
        }
    }
    for (size_t e = 0; e < E; e++) {
        mean[e] /= sum;
    }
    for (size_t i = 0; i < w->n; i++) {
        const double share = w->share[i * K + k];
        if (share > 1e-300) {
            for (size_t e = 0; e < E; e++) {
                d[e] = (double)w->vectors[i * E + e] - mean[e];
            }
            add_covariance(covariance, d, share, E, m->full);
        }
    }
    for (size_t a = 0; a < E; a++) {
        for (size_t b = 0; m->full && b <= a; b++) {
            covariance[a * E + b] /= sum;
            covariance[b * E + a] = covariance[a * E + b];
        }
        double *variance = m->full ? &covariance[a * E + a] : &covariance[a];
        *variance = *variance / (m->full ? 1 : sum) + ATTUNE_MIXTURE_LEAST;
    }
    m->weights[k] = sum / w->n;
}

/* ---- expectation: shares from the clusters ---- */

/* The Cholesky factor L of a (E, E), lower; false unless a is positive definite. */
static bool factorise(double *L, const double *a, size_t E)
{
    for (size_t i = 0; i < E; i++) {
        for (size_t j = 0; j <= i; j++) {
            double sum = a[i * E + j];
            for (size_t k = 0; k < j; k++) {
                sum -= L[i * E + k] * L[j * E + k];
            }
            if (i == j && !(sum > 0)) {
                return false;
            }
            L[i * E + j] = i == j ? sqrt(sum) : sum / L[j * E + j];
        }
    }
    return true;
}

/* L to its inverse, in place: column by column, downwards. */
static void invert(double *L, size_t E)
{
    for (size_t j = 0; j < E; j++) {
        L[j * E + j] = 1 / L[j * E + j];
        for (size_t i = j + 1; i < E; i++) {
            double sum = 0;
            for (size_t k = j; k < i; k++) {
                sum += L[i * E + k] * L[k * E + j];
            }
            L[i * E + j] = -sum / L[i * E + i];
        }
    }
}

static attune_status prepare(work *w)
{
    const attune_mixture *m = w->out;
    const size_t E = m->E, size = size_of(m);
    for (size_t k = 0; k < m->K; k++) {
        const double *covariance = m->covariances + k * size;
        double *inverse = w->inverse + k * size, half = 0; /* of the determinant's logarithm */
        memset(inverse, 0, size * sizeof(*inverse));
        if (m->full && !factorise(inverse, covariance, E)) {
            return attune_fail(ATTUNE_EDATA,
                               "the covariances of cluster %zu of %u cannot be inverted; use fewer "
                               "clusters, or --covariance diagonal",
                               k + 1, m->K);
        }
        for (size_t e = 0; e < E; e++) {
            half += m->full ? log(inverse[e * E + e]) : log(covariance[e]) / 2;
        }
        if (m->full) {
            invert(inverse, E);
        }
        for (size_t e = 0; !m->full && e < E; e++) {
            inverse[e] = 1 / sqrt(covariance[e]);
        }
        w->constant[k] =
            log(m->weights[k]) - half - (double)E / 2 * log(2 * 3.14159265358979323846);
    }
    return ATTUNE_OK;
}

/* The squared length of L^-1 d. */
static double squared(const double *inverse, const double *d, size_t E, bool full)
{
    double square = 0;
    for (size_t a = 0; a < E; a++) {
        double x = full ? 0 : inverse[a] * d[a];
        for (size_t b = 0; full && b <= a; b++) {
            x += inverse[a * E + b] * d[b];
        }
        square += x * x;
    }
    return square;
}

static void expect(void *data, int piece, int thread)
{
    const work *w = data;
    const attune_mixture *m = w->out;
    const size_t E = m->E, K = m->K, size = size_of(m), first = (size_t)piece * PIECE,
                 end = first + PIECE < w->n ? first + PIECE : w->n;
    double sum = 0, d[E];
    (void)thread;
    for (size_t i = first; i < end; i++) {
        double *share = w->share + i * K, most = -INFINITY, all = 0;
        int32_t best = 0;
        for (size_t k = 0; k < K; k++) {
            for (size_t e = 0; e < E; e++) {
                d[e] = (double)w->vectors[i * E + e] - m->means[k * E + e];
            }
            share[k] = w->constant[k] - squared(w->inverse + k * size, d, E, m->full) / 2;
            best = share[k] > most ? (int32_t)k : best;
            most = share[k] > most ? share[k] : most;
        }
        for (size_t k = 0; k < K; k++) { /* the largest is 1: the sum neither overflows nor is 0 */
            share[k] = exp(share[k] - most);
            all += share[k];
        }
        for (size_t k = 0; k < K; k++) {
            share[k] /= all;
        }
        m->cluster[i] = best;
        sum += most + log(all);
    }
    w->parts[piece] = sum;
}

static attune_status iterate(work *w)
{
    attune_mixture *m = w->out;
    double before = -INFINITY;
    for (int step = 0; step <= STEPS; step++) {
        attune_team_run(w->team, maximise, w, (int)m->K);
        const attune_status status = prepare(w);
        if (status != ATTUNE_OK) {
            return status;
        }
        attune_team_run(w->team, expect, w, pieces_of(w->n));
        m->likelihood = 0;
        for (int i = 0; i < pieces_of(w->n); i++) {
            m->likelihood += w->parts[i] / w->n;
        }
        if (fabs(m->likelihood - before) < 1e-3) {
            break;
        }
        before = m->likelihood;
    }
    return ATTUNE_OK;
}

attune_status attune_mixture_open(attune_mixture *out, const float *vectors, uint32_t n, uint32_t E,
                                  uint32_t K, bool full, const int32_t *cluster, attune_team *team)
{
    *out = (attune_mixture){.K = K, .E = E, .full = full};
    const size_t size = K * size_of(out);
    work w = {.out = out, .vectors = vectors, .n = n, .team = team};
    out->cluster = malloc(n * sizeof(*out->cluster));
    out->weights = malloc(K * sizeof(*out->weights));
    out->means = malloc((size_t)K * E * sizeof(*out->means));
    out->covariances = malloc(size * sizeof(*out->covariances));
    w.share = calloc((size_t)n * K, sizeof(*w.share));
    w.inverse = malloc(size * sizeof(*w.inverse));
    w.constant = malloc(K * sizeof(*w.constant));
    w.parts = malloc((size_t)pieces_of(n) * sizeof(*w.parts));
    attune_status status = ATTUNE_OK;
    if (!out->cluster || !out->weights || !out->means || !out->covariances || !w.share ||
        !w.inverse || !w.constant || !w.parts) {
        status = attune_fail_memory("a mixture", 8ULL * n * K + 16ULL * size);
    }
    for (size_t i = 0; status == ATTUNE_OK && i < n; i++) {
        w.share[i * K + (size_t)cluster[i]] = 1;
    }
    if (status == ATTUNE_OK) {
        status = iterate(&w);
    }
    free(w.parts);
    free(w.constant);
    free(w.inverse);
    free(w.share);
    if (status != ATTUNE_OK) {
        attune_mixture_close(out);
    }
    return status;
}

void attune_mixture_close(attune_mixture *mixture)
{
    if (mixture) {
        free(mixture->cluster);
        free(mixture->weights);
        free(mixture->means);
        free(mixture->covariances);
        *mixture = (attune_mixture){0};
    }
}
