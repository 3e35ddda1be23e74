/* retrieval.c - one row of distances at a time: O(n² (E + log n)) time, O(n) memory but for the
 * cosines' median, which keeps a histogram. */
#include "eval/retrieval.h"

#include "status/error.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum { COSINE_BINS = 1 << 16 }; /* of the median: it is right to 3e-5 */

typedef struct neighbour {
    double distance;
    uint32_t row;
} neighbour;

/* What all anchors share. */
typedef struct measure {
    const float *embeddings;
    const int32_t *labels;
    uint32_t n, E;
    uint32_t *size;        /* rows of each label */
    uint32_t label_count;  /* labels with a row */
    neighbour *neighbours; /* (n) */
    double *closer;        /* by label: its rows that the walk has passed */
    double *accuracy;      /* by label: sum over its anchors and positives */
    uint64_t *cosines;     /* (COSINE_BINS) */
    attune_retrieval *out;
} measure;

static int by_distance(const void *a, const void *b)
{
    const neighbour *x = a, *y = b;
    if (x->distance != y->distance) {
        return x->distance < y->distance ? -1 : 1;
    }
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Distances from row a to all others, nearest first; counts the cosines of pairs once. */
static void rank(measure *m, uint32_t a)
{
    const float *anchor = m->embeddings + (size_t)a * m->E;
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->n; i++) {
        const float *row = m->embeddings + (size_t)i * m->E;
        double squares = 0, dot = 0, lengths[2] = {0, 0};
        if (i == a) {
            continue;
        }
        for (uint32_t j = 0; j < m->E; j++) {
            const double x = anchor[j], y = row[j];
            squares += (x - y) * (x - y);
            dot += x * y;
            lengths[0] += x * x;
            lengths[1] += y * y;
        }
        m->neighbours[count++] = (neighbour){sqrt(squares), i};
        const double length = sqrt(lengths[0] * lengths[1]);
        if (i < a && length > 0) {
            const double cosine = fmin(1, fmax(-1, dot / length));
            m->cosines[(size_t)((cosine + 1) / 2 * (COSINE_BINS - 1))]++;
        }
    }
    qsort(m->neighbours, count, sizeof(*m->neighbours), by_distance);
}

/* Adds the anchor's chance over the labels' negatives, for its positives that lie at neighbours
 * [from, to), all at one distance: `closer` are the rows before them. */
static void count_tie(measure *m, int32_t own, uint32_t from, uint32_t to)
{
    uint32_t positives = 0;
    for (uint32_t i = from; i < to; i++) {
        positives += m->labels[m->neighbours[i].row] == own;
    }
    if (positives > 0) {
        /* Σ over other labels of the share of their rows that is farther, or half as near. The rows
         * at this distance have not been passed: count them as half passed while we look. */
        for (uint32_t i = from; i < to; i++) {
            const int32_t label = m->labels[m->neighbours[i].row];
            if (label >= 0) {
                m->closer[label] += 0.5;
            }
        }
        double farther = 0;
        for (uint32_t label = 0; label < m->n; label++) {
            if (m->size[label] > 0 && (int32_t)label != own) {
                farther += 1 - m->closer[label] / m->size[label];
            }
        }
        m->accuracy[own] += positives * farther / (m->label_count - 1);
        for (uint32_t i = from; i < to; i++) {
            const int32_t label = m->labels[m->neighbours[i].row];
            if (label >= 0) {
                m->closer[label] -= 0.5;
            }
        }
    }
    for (uint32_t i = from; i < to; i++) {
        const int32_t label = m->labels[m->neighbours[i].row];
        if (label >= 0) {
            m->closer[label] += 1;
        }
    }
}

static void measure_triplets(measure *m, int32_t own)
{
    for (uint32_t label = 0; label < m->n; label++) {
        m->closer[label] = 0;
    }
    for (uint32_t from = 0, to; from + 1 < m->n; from = to) {
        for (to = from + 1;
             to + 1 < m->n && m->neighbours[to].distance == m->neighbours[from].distance; to++) {
        }
        count_tie(m, own, from, to);
    }
}

static void measure_precision(measure *m, int32_t own)
{
    const uint32_t positives = m->size[own] - 1;
    uint32_t found = 0;
    double average = 0;
    for (uint32_t i = 0; i + 1 < m->n; i++) {
        const bool is_own = m->labels[m->neighbours[i].row] == own;
        found += is_own;
        average += is_own ? (double)found / (i + 1) : 0;
        if (i == 0) {
            m->out->precision_1 += is_own;
        }
        if (i + 1 == positives) {
            m->out->r_precision += (double)found / positives;
        }
    }
    m->out->map += average / positives;
}

static double median(const uint64_t *histogram)
{
    uint64_t all = 0, below = 0;
    for (int i = 0; i < COSINE_BINS; i++) {
        all += histogram[i];
    }
    for (int i = 0; i < COSINE_BINS; i++) {
        below += histogram[i];
        if (2 * below >= all && all > 0) {
            return 2 * (i + 0.5) / (COSINE_BINS - 1) - 1;
        }
    }
    return NAN;
}

/* Sums to means. */
static void finish(measure *m)
{
    attune_retrieval *out = m->out;
    double accuracy = 0, labels = 0;
    for (uint32_t label = 0; label < m->n; label++) {
        if (m->size[label] > 1) {
            accuracy += m->accuracy[label] / ((double)m->size[label] * (m->size[label] - 1));
            labels++;
        }
    }
    out->triplet_accuracy = m->label_count > 1 && labels > 0 ? accuracy / labels : NAN;
    out->map /= out->anchors;
    out->precision_1 /= out->anchors;
    out->r_precision /= out->anchors;
    out->median_cosine = median(m->cosines);
}

attune_status attune_retrieval_measure(attune_retrieval *out, const float *embeddings,
                                       const int32_t *labels, uint32_t n, uint32_t E)
{
    measure m = {.embeddings = embeddings, .labels = labels, .n = n, .E = E, .out = out};
    attune_status status = ATTUNE_OK;
    *out = (attune_retrieval){0};
    m.size = calloc(n + 1, sizeof(*m.size));
    m.neighbours = calloc(n + 1, sizeof(*m.neighbours));
    m.closer = calloc(n + 1, sizeof(*m.closer));
    m.accuracy = calloc(n + 1, sizeof(*m.accuracy));
    m.cosines = calloc(COSINE_BINS, sizeof(*m.cosines));
    if (!m.size || !m.neighbours || !m.closer || !m.accuracy || !m.cosines) {
        status = attune_fail_memory("an evaluation", (unsigned long long)n * 40);
        goto done;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (labels[i] >= (int32_t)n) {
            status = attune_fail(ATTUNE_EINVAL, "label %d of row %u: labels are below %u",
                                 labels[i], i, n);
            goto done;
        }
        if (labels[i] >= 0 && m.size[labels[i]]++ == 0) {
            m.label_count++;
        }
    }
    for (uint32_t a = 0; a < n; a++) {
        rank(&m, a);
        if (labels[a] >= 0 && m.size[labels[a]] > 1) {
            out->anchors++;
            measure_precision(&m, labels[a]);
            if (m.label_count > 1) {
                measure_triplets(&m, labels[a]);
            }
        }
    }
    finish(&m);
done:
    free(m.cosines);
    free(m.accuracy);
    free(m.closer);
    free(m.neighbours);
    free(m.size);
    return status;
}
