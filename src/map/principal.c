/* principal.c - the covariance matrix in double, and its eigenvectors by Jacobi's rotations. */
#include "map/principal.h"

#include "status/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECES = 16 }; /* whatever the number of threads, so that sums are the same */

typedef struct sums {
    const float *vectors;
    uint32_t n, E;
    const double *mean;
    double *partial; /* (PIECES, E, E), upper triangles */
} sums;

static void add_products(void *data, int piece, int thread)
{
    const sums *s = data;
    const size_t E = s->E, first = (size_t)s->n * (size_t)piece / PIECES,
                 end = (size_t)s->n * ((size_t)piece + 1) / PIECES;
    double *to = s->partial + (size_t)piece * E * E, centred[E];
    (void)thread;
    for (size_t i = first; i < end; i++) {
        for (size_t e = 0; e < E; e++) {
            centred[e] = (double)s->vectors[i * E + e] - s->mean[e];
        }
        for (size_t a = 0; a < E; a++) {
            for (size_t b = a; b < E; b++) {
                to[a * E + b] += centred[a] * centred[b];
            }
        }
    }
}

static attune_status covariance(double *out, double *mean, const float *vectors, uint32_t n,
                                uint32_t E, attune_team *team)
{
    const size_t square = (size_t)E * E;
    sums s = {.vectors = vectors, .n = n, .E = E, .mean = mean};
    s.partial = calloc(PIECES * square, sizeof(*s.partial));
    if (!s.partial) {
        return attune_fail_memory("a covariance matrix", PIECES * square * sizeof(*s.partial));
    }
    for (size_t i = 0; i < (size_t)n * E; i++) {
        mean[i % E] += (double)vectors[i];
    }
    for (size_t e = 0; e < E; e++) {
        mean[e] /= n;
    }
    attune_team_run(team, add_products, &s, PIECES);
    for (size_t a = 0; a < E; a++) {
        for (size_t b = a; b < E; b++) {
            double sum = 0;
            for (size_t p = 0; p < PIECES; p++) {
                sum += s.partial[p * square + a * E + b];
            }
            out[a * E + b] = out[b * E + a] = sum / n;
        }
    }
    free(s.partial);
    return ATTUNE_OK;
}

/* Makes element (p, q) of the symmetric matrix a (E, E) zero, and turns rows p and q of v along. */
static void rotate(double *a, double *v, size_t E, size_t p, size_t q)
{
    const double theta = (a[q * E + q] - a[p * E + p]) / (2 * a[p * E + q]),
                 t = copysign(1, theta) / (fabs(theta) + sqrt(theta * theta + 1)),
                 c = 1 / sqrt(t * t + 1), s = t * c;
    for (size_t k = 0; k < E; k++) {
        const double x = a[k * E + p], y = a[k * E + q];
        a[k * E + p] = c * x - s * y;
        a[k * E + q] = s * x + c * y;
    }
    for (size_t k = 0; k < E; k++) {
        const double x = a[p * E + k], y = a[q * E + k];
        a[p * E + k] = c * x - s * y;
        a[q * E + k] = s * x + c * y;
        const double m = v[p * E + k], n = v[q * E + k];
        v[p * E + k] = c * m - s * n;
        v[q * E + k] = s * m + c * n;
    }
}

/* Leaves eigenvalues on the diagonal of a, and their vectors in the rows of v. */
static void jacobi(double *a, double *v, size_t E)
{
    enum { SWEEPS = 60 }; /* a dozen are enough */
    double trace = 0;
    for (size_t e = 0; e < E; e++) {
        v[e * E + e] = 1;
        trace += a[e * E + e];
    }
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        double off = 0;
        for (size_t p = 0; p < E; p++) {
            for (size_t q = p + 1; q < E; q++) {
                off += fabs(a[p * E + q]);
                if (fabs(a[p * E + q]) > 1e-18 * trace) {
                    rotate(a, v, E, p, q);
                }
            }
        }
        if (off <= 1e-15 * trace) {
            break;
        }
    }
}

/* Copies the axes by variance, each turned the same way on every machine. */
static void sort_axes(attune_principal *p, const double *a, const double *v)
{
    const size_t E = p->E;
    for (size_t q = 0; q < E; q++) {
        size_t rank = 0, largest = 0;
        for (size_t other = 0; other < E; other++) {
            const double x = a[other * E + other], own = a[q * E + q];
            rank += x > own || (x == own && other < q);
            largest = fabs(v[q * E + other]) > fabs(v[q * E + largest]) ? other : largest;
        }
        const double sign = v[q * E + largest] < 0 ? -1 : 1;
        p->variance[rank] = fmax(0, a[q * E + q]);
        for (size_t e = 0; e < E; e++) {
            p->axes[rank * E + e] = sign * v[q * E + e];
        }
    }
}

attune_status attune_principal_open(attune_principal *out, const float *vectors, uint32_t n,
                                    uint32_t E, attune_team *team)
{
    const size_t square = (size_t)E * E;
    *out = (attune_principal){.E = E};
    out->mean = calloc(E, sizeof(double));
    out->axes = calloc(square, sizeof(double));
    out->variance = calloc(E, sizeof(double));
    double *a = calloc(square, sizeof(*a)), *v = calloc(square, sizeof(*v));
    attune_status status = out->mean && out->axes && out->variance && a && v
                               ? covariance(a, out->mean, vectors, n, E, team)
                               : attune_fail_memory("principal axes", 3 * square * sizeof(*a));
    if (status == ATTUNE_OK) {
        jacobi(a, v, E);
        sort_axes(out, a, v);
    } else {
        attune_principal_close(out);
    }
    free(v);
    free(a);
    return status;
}

void attune_principal_close(attune_principal *principal)
{
    if (principal) {
        free(principal->mean);
        free(principal->axes);
        free(principal->variance);
        *principal = (attune_principal){0};
    }
}

double attune_principal_coordinate(const attune_principal *principal, const float *row, uint32_t q)
{
    const double *axis = principal->axes + (size_t)q * principal->E;
    double sum = 0;
    for (uint32_t e = 0; e < principal->E; e++) {
        sum += axis[e] * ((double)row[e] - principal->mean[e]);
    }
    return sum;
}
