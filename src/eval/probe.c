/* probe.c - logistic regression by L-BFGS (Nocedal 1980; Nocedal and Wright 2006, algorithm 7.4).
 *
 * Rows are divided into pieces, whose losses and gradients are summed in order: the result does not
 * depend on the threads. */
#include "eval/probe.h"

#include "status/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECES = 32, HISTORY = 10, ITERATIONS = 2000 };

static const double TOLERANCE = 1e-7; /* of the gradient's largest component, by row */

typedef struct problem {
    attune_probe *probe;
    const float *vectors;
    const int32_t *labels;
    const uint32_t *rows;
    uint32_t count;
    size_t size;           /* weights */
    const double *weights; /* at which loss and gradient are wanted */
    double *gradients;     /* (PIECES, size) */
    double *scratch;       /* by piece: a row's components and classes */
    double losses[PIECES];
    attune_team *team;
} problem;

/* Standardised components of a vector, 1 for the bias, and its scores. */
static void score(const attune_probe *p, double *x, double *scores, const double *weights,
                  const float *vector)
{
    const size_t C = p->classes;
    memset(scores, 0, C * sizeof(*scores));
    for (size_t e = 0; e <= p->E; e++) {
        x[e] = e < p->E ? ((double)vector[e] - p->mean[e]) * p->scale[e] : 1;
        for (size_t c = 0; c < C; c++) {
            scores[c] += x[e] * weights[e * C + c];
        }
    }
}

/* Scores to probabilities; the log of their sum of exponentials. */
static double normalise(double *scores, size_t C)
{
    double highest = scores[0], sum = 0;
    for (size_t c = 1; c < C; c++) {
        highest = fmax(highest, scores[c]);
    }
    for (size_t c = 0; c < C; c++) {
        scores[c] = exp(scores[c] - highest);
        sum += scores[c];
    }
    for (size_t c = 0; c < C; c++) {
        scores[c] /= sum;
    }
    return highest + log(sum);
}

static void add_piece(void *data, int piece, int thread)
{
    problem *p = data;
    const size_t C = p->probe->classes, E = p->probe->E;
    const uint32_t first = (uint32_t)((uint64_t)p->count * (unsigned)piece / PIECES),
                   last = (uint32_t)((uint64_t)p->count * ((unsigned)piece + 1) / PIECES);
    double *gradient = p->gradients + (size_t)piece * p->size,
           *x = p->scratch + (size_t)piece * (E + 1 + C), *scores = x + E + 1, loss = 0;
    (void)thread;
    memset(gradient, 0, p->size * sizeof(*gradient));
    for (uint32_t i = first; i < last; i++) {
        const uint32_t row = p->rows[i];
        const size_t label = (size_t)p->labels[row];
        score(p->probe, x, scores, p->weights, p->vectors + (size_t)row * E);
        const double own = scores[label];
        loss += normalise(scores, C) - own;
        scores[label] -= 1;
        for (size_t e = 0; e <= E; e++) {
            for (size_t c = 0; c < C; c++) {
                gradient[e * C + c] += x[e] * scores[c];
            }
        }
    }
    p->losses[piece] = loss;
}

/* The loss at `weights` and its gradient, both by row. */
static double evaluate(problem *p, double *gradient, const double *weights)
{
    const size_t free_from = p->size - p->probe->classes; /* biases are not held down */
    double loss = 0, squares = 0;
    p->weights = weights;
    attune_team_run(p->team, add_piece, p, PIECES);
    memset(gradient, 0, p->size * sizeof(*gradient));
    for (int piece = 0; piece < PIECES; piece++) {
        loss += p->losses[piece];
        for (size_t i = 0; i < p->size; i++) {
            gradient[i] += p->gradients[(size_t)piece * p->size + i];
        }
    }
    p->probe->loss = loss / p->count;
    for (size_t i = 0; i < p->size; i++) {
        if (i < free_from) {
            gradient[i] += weights[i];
            squares += weights[i] * weights[i];
        }
        gradient[i] /= p->count;
    }
    return (loss + squares / 2) / p->count;
}

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

static double largest(const double *a, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs(a[i]));
    }
    return most;
}

/* The last steps and what they did to the gradient. */
typedef struct history {
    double *steps, *changes; /* (HISTORY, size) */
    double products[HISTORY];
    int count, next;
} history;

/* direction = -H gradient, by the two loops. */
static void find_direction(double *direction, const history *h, const double *gradient, size_t n)
{
    double shares[HISTORY];
    for (size_t i = 0; i < n; i++) {
        direction[i] = -gradient[i];
    }
    for (int k = 1; k <= h->count; k++) {
        const int at = (h->next - k + 2 * HISTORY) % HISTORY;
        const double *step = h->steps + (size_t)at * n, *change = h->changes + (size_t)at * n;
        shares[at] = dot(step, direction, n) / h->products[at];
        for (size_t i = 0; i < n; i++) {
            direction[i] -= shares[at] * change[i];
        }
    }
    if (h->count > 0) {
        const int at = (h->next - 1 + HISTORY) % HISTORY;
        const double *change = h->changes + (size_t)at * n,
                     scale = h->products[at] / dot(change, change, n);
        for (size_t i = 0; i < n; i++) {
            direction[i] *= scale;
        }
    }
    for (int k = h->count; k >= 1; k--) {
        const int at = (h->next - k + 2 * HISTORY) % HISTORY;
        const double *step = h->steps + (size_t)at * n, *change = h->changes + (size_t)at * n;
        const double share = shares[at] - dot(change, direction, n) / h->products[at];
        for (size_t i = 0; i < n; i++) {
            direction[i] += share * step[i];
        }
    }
}

/* Notes a step, unless rounding has left nothing of its curvature. */
static void remember(history *h, const double *from, const double *to, const double *old,
                     const double *gradient, size_t n)
{
    double *step = h->steps + (size_t)h->next * n, *change = h->changes + (size_t)h->next * n;
    for (size_t i = 0; i < n; i++) {
        step[i] = to[i] - from[i];
        change[i] = gradient[i] - old[i];
    }
    h->products[h->next] = dot(step, change, n);
    if (h->products[h->next] > 1e-300) {
        h->next = (h->next + 1) % HISTORY;
        h->count += h->count < HISTORY;
    }
}

/* buffers: two of weights, two of gradients, a direction. */
static attune_status minimise(problem *p, history *h, double *buffers)
{
    const size_t n = p->size;
    double *w = p->probe->weights, *next = buffers, *gradient = next + n, *after = gradient + n,
           *direction = after + n;
    double loss = evaluate(p, gradient, w);
    for (int i = 0; i < ITERATIONS; i++) {
        if (largest(gradient, n) <= TOLERANCE) {
            return ATTUNE_OK;
        }
        p->probe->iterations = i + 1;
        find_direction(direction, h, gradient, n);
        const double slope = dot(direction, gradient, n);
        double length = h->count > 0 ? 1 : fmin(1, 1 / sqrt(dot(gradient, gradient, n))), got = 0;
        for (int tries = 0; tries < 40; tries++, length /= 2) {
            for (size_t k = 0; k < n; k++) {
                next[k] = w[k] + length * direction[k];
            }
            got = evaluate(p, after, next);
            if (got <= loss + 1e-4 * length * slope) {
                break;
            }
        }
        if (!(got <= loss)) {
            /* Rounding hides what is left to gain. */
            return largest(gradient, n) <= 100 * TOLERANCE
                       ? ATTUNE_OK
                       : attune_fail(ATTUNE_EINTERNAL, "the linear probe found no way down");
        }
        remember(h, w, next, gradient, after, n);
        memcpy(w, next, n * sizeof(*w));
        memcpy(gradient, after, n * sizeof(*gradient));
        loss = got;
    }
    return attune_fail(ATTUNE_EINTERNAL, "the linear probe did not converge in %d steps",
                       ITERATIONS);
}

/* Mean and 1 / deviation of each component over the training rows; a constant one counts as 0. */
static void standardise(attune_probe *probe, const float *vectors, const uint32_t *rows,
                        uint32_t count)
{
    const size_t E = probe->E;
    for (uint32_t i = 0; i < count; i++) {
        for (size_t e = 0; e < E; e++) {
            probe->mean[e] += (double)vectors[rows[i] * E + e] / count;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        for (size_t e = 0; e < E; e++) {
            const double x = (double)vectors[rows[i] * E + e] - probe->mean[e];
            probe->scale[e] += x * x / count;
        }
    }
    for (size_t e = 0; e < E; e++) {
        probe->scale[e] = probe->scale[e] > 0 ? 1 / sqrt(probe->scale[e]) : 0;
    }
}

attune_status attune_probe_fit(attune_probe *out, const float *vectors, uint32_t E,
                               const int32_t *labels, uint32_t classes, const uint32_t *rows,
                               uint32_t count, attune_team *team)
{
    const size_t size = ((size_t)E + 1) * classes;
    problem p = {.probe = out,
                 .vectors = vectors,
                 .labels = labels,
                 .rows = rows,
                 .count = count,
                 .size = size,
                 .team = team};
    history h = {0};
    *out = (attune_probe){.E = E, .classes = classes};
    out->mean = calloc((size_t)E + 1, sizeof(double));
    out->scale = calloc((size_t)E + 1, sizeof(double));
    out->weights = calloc(size, sizeof(double));
    p.gradients = malloc(PIECES * size * sizeof(double));
    p.scratch = malloc(PIECES * ((size_t)E + 1 + classes) * sizeof(double));
    h.steps = malloc(HISTORY * size * sizeof(double));
    h.changes = malloc(HISTORY * size * sizeof(double));
    double *buffers = malloc(4 * size * sizeof(double));
    attune_status status = ATTUNE_OK;
    if (!out->mean || !out->scale || !out->weights || !p.gradients || !p.scratch || !h.steps ||
        !h.changes || !buffers) {
        status = attune_fail_memory("a linear probe", (PIECES + 2 * HISTORY) * size * 8);
    } else {
        standardise(out, vectors, rows, count);
        status = minimise(&p, &h, buffers);
    }
    free(buffers);
    free(h.changes);
    free(h.steps);
    free(p.scratch);
    free(p.gradients);
    if (status != ATTUNE_OK) {
        attune_probe_free(out);
    }
    return status;
}

void attune_probe_free(attune_probe *probe)
{
    if (probe) {
        free(probe->mean);
        free(probe->scale);
        free(probe->weights);
        *probe = (attune_probe){0};
    }
}

int32_t attune_probe_label(const attune_probe *probe, const float *vector)
{
    const size_t C = probe->classes;
    double best = -INFINITY;
    int32_t label = 0;
    for (size_t c = 0; c < C; c++) {
        double sum = probe->weights[probe->E * C + c];
        for (size_t e = 0; e < probe->E; e++) {
            sum +=
                ((double)vector[e] - probe->mean[e]) * probe->scale[e] * probe->weights[e * C + c];
        }
        if (sum > best) {
            best = sum;
            label = (int32_t)c;
        }
    }
    return label;
}
