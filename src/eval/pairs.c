/* pairs.c - blocks of queries by rows: both, and their products, stay in a core's cache.
 */
#include "eval/pairs.h"

#include "kernels/kernels.h"
#include "status/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PANEL = ATTUNE_SEARCH_PANEL };

/* Moves and scales the rows. */
static void move_rows(attune_pairs *p, double *mean)
{
    const size_t n = p->n, E = p->E;
    double longest = 0;
    for (size_t i = 0; i < n * E; i++) {
        mean[i % E] += (double)p->vectors[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        double square = 0;
        for (size_t e = 0; e < E; e++) {
            const double x = (double)p->vectors[i * E + e] - mean[e];
            square += x * x;
        }
        longest = fmax(longest, square);
    }
    p->scale = longest > 0 ? sqrt(longest) : 1;
    for (size_t i = 0; i < n; i++) {
        for (size_t e = 0; e < E; e++) {
            const double x = ((double)p->vectors[i * E + e] - mean[e]) / p->scale;
            p->rows[i * E + e] = (float)x;
            p->square[i] += x * x;
        }
    }
}

static void fill_panels(attune_pairs *p, size_t padded)
{
    const size_t E = p->E;
    for (size_t i = 0; i < padded; i++) {
        float *column = p->panels + i / PANEL * PANEL * E + i % PANEL;
        p->bias[i] = i < p->n ? (float)(-p->square[i] / 2) : -INFINITY;
        for (size_t e = 0; e < E; e++) {
            column[e * PANEL] = i < p->n ? p->rows[i * E + e] : 0;
        }
    }
}

attune_status attune_pairs_open(attune_pairs *pairs, const float *vectors, uint32_t n, uint32_t E,
                                attune_team *team)
{
    const attune_kernels *kernels = NULL;
    const size_t padded = attune_pairs_padded(n);
    *pairs = (attune_pairs){.vectors = vectors, .n = n, .E = E, .team = team};
    attune_status status = attune_kernels_cpu(&kernels);
    if (status != ATTUNE_OK) {
        return status;
    }
    pairs->search = kernels->search;
    /* Each of E products and sums is off by 2^-24 of numbers up to 1 at most, and so are the moved
     * rows; this is twice all that. */
    pairs->margin = 0x1p-22 * ((double)E + 8);
    double *mean = calloc((size_t)E + 1, sizeof(*mean));
    pairs->rows = malloc(((size_t)n * E + 1) * sizeof(float));
    pairs->square = calloc((size_t)n + 1, sizeof(double));
    pairs->panels = aligned_alloc(64, (padded * E + PANEL) * sizeof(float));
    pairs->bias = aligned_alloc(64, (padded + PANEL) * sizeof(float));
    if (!mean || !pairs->rows || !pairs->square || !pairs->panels || !pairs->bias) {
        status = attune_fail_memory("embeddings", (padded + n) * E * sizeof(float));
        attune_pairs_close(pairs);
    } else {
        move_rows(pairs, mean);
        fill_panels(pairs, padded);
    }
    free(mean);
    return status;
}

void attune_pairs_close(attune_pairs *pairs)
{
    if (pairs) {
        free(pairs->rows);
        free(pairs->panels);
        free(pairs->bias);
        free(pairs->square);
        *pairs = (attune_pairs){0};
    }
}

double attune_pairs_squared(const attune_pairs *pairs, uint32_t a, uint32_t b)
{
    enum { LANES = 8 };
    const size_t E = pairs->E, whole = E / LANES * LANES;
    const float *x = pairs->vectors + a * E, *y = pairs->vectors + b * E;
    double sums[LANES] = {0}, sum = 0;
    for (size_t e = 0; e < whole; e += LANES) {
        for (size_t i = 0; i < LANES; i++) {
            const double difference = (double)x[e + i] - (double)y[e + i];
            sums[i] += difference * difference;
        }
    }
    for (size_t e = whole; e < E; e++) {
        const double difference = (double)x[e] - (double)y[e];
        sums[e - whole] += difference * difference;
    }
    for (int i = 0; i < LANES; i++) {
        sum += sums[i];
    }
    return sum;
}

uint32_t attune_pairs_slots(const attune_pairs *pairs)
{
    return (uint32_t)attune_team_threads(pairs->team) * ATTUNE_PAIRS_SLOTS;
}

typedef struct visit {
    const attune_pairs *pairs;
    const attune_pairs_visitor *visitors;
    uint32_t count;
    float *scratch;        /* by thread: (slots, block) of values */
    attune_status *status; /* by piece */
} visit;

/* Rows from the first that the visitors want to see for queries before `last`. */
static uint32_t wanted(const visit *v, uint32_t last)
{
    for (uint32_t i = 0; i < v->count; i++) {
        if (!v->visitors[i].below) {
            return v->pairs->n;
        }
    }
    return last;
}

static attune_status begin_piece(const visit *v, uint32_t first, uint32_t last, uint32_t slot)
{
    attune_status status = ATTUNE_OK;
    for (uint32_t query = first; query < last; query++) {
        for (uint32_t i = 0; i < v->count && status == ATTUNE_OK; i++) {
            const attune_pairs_visitor *to = &v->visitors[i];
            status = to->begin ? to->begin(to->data, query, slot + query - first) : ATTUNE_OK;
        }
    }
    return status;
}

static void end_piece(const visit *v, uint32_t first, uint32_t last, uint32_t slot)
{
    for (uint32_t query = first; query < last; query++) {
        for (uint32_t i = 0; i < v->count; i++) {
            const attune_pairs_visitor *to = &v->visitors[i];
            if (to->end) {
                to->end(to->data, query, slot + query - first);
            }
        }
    }
}

static void visit_piece(void *data, int piece, int thread)
{
    const visit *v = data;
    const attune_pairs *p = v->pairs;
    const uint32_t first = (uint32_t)piece * ATTUNE_PAIRS_SLOTS, rest = p->n - first,
                   M = rest < ATTUNE_PAIRS_SLOTS ? rest : ATTUNE_PAIRS_SLOTS, last = first + M,
                   slot = (uint32_t)thread * ATTUNE_PAIRS_SLOTS, end = wanted(v, last);
    float *values = v->scratch + (size_t)slot * ATTUNE_PAIRS_BLOCK;
    v->status[piece] = begin_piece(v, first, last, slot);
    if (v->status[piece] != ATTUNE_OK) {
        return;
    }
    for (uint32_t b = 0; b < end; b += ATTUNE_PAIRS_BLOCK) {
        const uint32_t count = p->n - b < ATTUNE_PAIRS_BLOCK ? p->n - b : ATTUNE_PAIRS_BLOCK,
                       padded = attune_pairs_padded(count);
        p->search->product(values, p->rows + (size_t)first * p->E, p->panels + (size_t)b * p->E,
                           p->bias + b, (int)M, (int)p->E, (int)padded);
        for (uint32_t m = 0; m < M; m++) {
            for (uint32_t i = 0; i < v->count; i++) {
                v->visitors[i].take(v->visitors[i].data, first + m, slot + m,
                                    values + (size_t)m * padded, b, count);
            }
        }
    }
    end_piece(v, first, last, slot);
}

attune_status attune_pairs_visit(const attune_pairs *pairs, const attune_pairs_visitor *visitors,
                                 uint32_t count)
{
    const uint32_t pieces = (pairs->n + ATTUNE_PAIRS_SLOTS - 1) / ATTUNE_PAIRS_SLOTS;
    visit v = {.pairs = pairs, .visitors = visitors, .count = count};
    attune_status status = ATTUNE_OK;
    const size_t size = (size_t)attune_pairs_slots(pairs) * ATTUNE_PAIRS_BLOCK * sizeof(float);
    v.scratch = malloc(size);
    v.status = calloc((size_t)pieces + 1, sizeof(*v.status));
    if (!v.scratch || !v.status) {
        status = attune_fail_memory("a search", size);
    } else {
        attune_team_run(pairs->team, visit_piece, &v, (int)pieces);
    }
    for (uint32_t i = 0; i < pieces && status == ATTUNE_OK; i++) {
        if (v.status[i] != ATTUNE_OK) { /* its text is in another thread */
            status = attune_fail(v.status[i], "a search ran out of memory");
        }
    }
    free(v.status);
    free(v.scratch);
    return status;
}
