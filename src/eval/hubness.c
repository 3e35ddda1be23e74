/* hubness.c - hubs, and Mutual Proximity, which takes rows nearer that are near to one another and
 * so breaks hubs up.
 *
 * A row of a query's K best has a proximity of at least that of the K nearest rows' worst, and P(X
 * > d) alone is no smaller: so it lies within a distance that is known beforehand, and only the
 * rows within it are looked at. */
#include "eval/nearest.h"
#include "status/error.h"

#include <math.h>
#include <stdlib.h>

attune_status attune_hubness_measure(attune_hubness *out, const uint32_t *lists, uint32_t n,
                                     uint32_t K)
{
    uint32_t *counts = calloc((size_t)n + 1, sizeof(*counts));
    double mean = 0, square = 0, cube = 0;
    *out = (attune_hubness){.skew = NAN, .orphans = NAN};
    if (!counts) {
        return attune_fail_memory("hubs", (unsigned long long)n * sizeof(*counts));
    }
    for (size_t i = 0; i < (size_t)n * K; i++) {
        if (lists[i] != ATTUNE_NO_ROW) {
            counts[lists[i]]++;
            mean += 1.0 / n;
        }
    }
    uint32_t orphans = 0;
    for (uint32_t i = 0; i < n; i++) {
        const double difference = counts[i] - mean;
        square += difference * difference / n;
        cube += difference * difference * difference / n;
        orphans += counts[i] == 0;
        out->largest = counts[i] > out->largest ? counts[i] : out->largest;
    }
    if (n > 0) {
        out->skew = square > 0 ? cube / (square * sqrt(square)) : 0;
        out->orphans = (double)orphans / n;
    }
    free(counts);
    return ATTUNE_OK;
}

/* ---- Mutual Proximity ---- */

typedef struct candidate {
    double proximity;
    uint32_t row;
} candidate;

typedef struct slot {
    candidate *best; /* (K), the worst last */
    uint32_t count;
    float limit; /* of nearness */
} slot;

typedef struct proximity {
    const attune_pairs *pairs;
    const attune_nearest *nearest;
    double *deviations; /* (n) */
    uint32_t K;
    slot *slots;
    candidate *best; /* (slots, K) */
    uint32_t *near;  /* by thread: (block) */
    uint32_t *out;
} proximity;

/* P(X > d) of a row's distances X. */
static double beyond(const proximity *p, uint32_t row, double distance)
{
    const double away = distance - p->nearest->means[row];
    if (!(p->deviations[row] > 0)) {
        return away < 0 ? 1 : away > 0 ? 0 : 0.5;
    }
    return erfc(away / p->deviations[row] / sqrt(2)) / 2;
}

static double proximity_of(const proximity *p, uint32_t a, uint32_t b)
{
    const double distance = sqrt(attune_pairs_squared(p->pairs, a, b));
    return beyond(p, a, distance) * beyond(p, b, distance);
}

static bool better(candidate a, candidate b)
{
    return a.proximity != b.proximity ? a.proximity > b.proximity : a.row < b.row;
}

static void insert(const proximity *p, slot *s, candidate new)
{
    if (s->count == p->K && !better(new, s->best[s->count - 1])) {
        return;
    }
    uint32_t at = s->count < p->K ? s->count++ : s->count - 1;
    for (; at > 0 && better(new, s->best[at - 1]); at--) {
        s->best[at] = s->best[at - 1];
    }
    s->best[at] = new;
}

/* The largest distance of a row whose P(X > d) is at least `least`, or a little more. */
static double farthest(const proximity *p, uint32_t row, double least)
{
    double low = -40, high = 40; /* in deviations */
    for (int i = 0; i < 60; i++) {
        const double middle = (low + high) / 2;
        if (erfc(middle / sqrt(2)) / 2 >= least) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return p->nearest->means[row] + p->deviations[row] * (high + 1e-6);
}

static attune_status begin(void *data, uint32_t query, uint32_t slot_number)
{
    proximity *p = data;
    slot *s = &p->slots[slot_number];
    *s = (slot){.best = p->best + (size_t)slot_number * p->K, .limit = -INFINITY};
    const uint32_t *list = p->nearest->lists + (size_t)query * p->K;
    for (uint32_t i = 0; i < p->K && list[i] != ATTUNE_NO_ROW; i++) {
        insert(p, s, (candidate){proximity_of(p, query, list[i]), list[i]});
    }
    if (s->count == p->K && p->deviations[query] > 0) {
        const double distance = farthest(p, query, s->best[s->count - 1].proximity);
        s->limit = distance > 0
                       ? (float)(attune_pairs_nearness(p->pairs, query, distance * distance) -
                                 2 * p->pairs->margin)
                       : -INFINITY;
    }
    s->count = 0; /* they come again with the others */
    return ATTUNE_OK;
}

static void take(void *data, uint32_t query, uint32_t slot_number, const float *values,
                 uint32_t first, uint32_t count)
{
    proximity *p = data;
    slot *s = &p->slots[slot_number];
    uint32_t *near = p->near + (size_t)slot_number / ATTUNE_PAIRS_SLOTS * ATTUNE_PAIRS_BLOCK;
    const uint32_t found =
        p->pairs->search->above(near, values, s->limit, attune_pairs_padded(count));
    for (uint32_t i = 0; i < found; i++) {
        if (near[i] < count && first + near[i] != query) {
            const uint32_t row = first + near[i];
            insert(p, s, (candidate){proximity_of(p, query, row), row});
        }
    }
}

static void end(void *data, uint32_t query, uint32_t slot_number)
{
    proximity *p = data;
    const slot *s = &p->slots[slot_number];
    for (uint32_t i = 0; i < p->K; i++) {
        p->out[(size_t)query * p->K + i] = i < s->count ? s->best[i].row : ATTUNE_NO_ROW;
    }
}

/* Deviations of each row's distances, from sums of squares, which need no pairs: Σ_b |a - b|² is
 * n |a|² + Σ|b|² - 2 a · Σb, and the moved rows' sum is 0. */
static void measure_deviations(proximity *p)
{
    const uint32_t n = p->pairs->n;
    const double scale = p->pairs->scale;
    double squares = 0;
    for (uint32_t i = 0; i < n; i++) {
        squares += p->pairs->square[i];
    }
    for (uint32_t i = 0; i < n; i++) {
        const double all = (n * p->pairs->square[i] + squares) * scale * scale,
                     variance = all / (n - 1.0) - p->nearest->means[i] * p->nearest->means[i];
        p->deviations[i] = variance > 0 ? sqrt(variance) : 0;
    }
}

attune_status attune_mutual_proximity(uint32_t *out, const attune_nearest *nearest)
{
    const attune_pairs *pairs = nearest->pairs;
    const size_t n = pairs->n, slots = attune_pairs_slots(pairs), K = nearest->K;
    proximity p = {.pairs = pairs, .nearest = nearest, .K = nearest->K, .out = out};
    const attune_pairs_visitor visitor = {.data = &p, .begin = begin, .take = take, .end = end};
    p.slots = calloc(slots, sizeof(*p.slots));
    p.best = malloc((slots * K + 1) * sizeof(*p.best));
    p.near = malloc(slots / ATTUNE_PAIRS_SLOTS * ATTUNE_PAIRS_BLOCK * sizeof(*p.near));
    p.deviations = calloc(n + 1, sizeof(*p.deviations));
    attune_status status = ATTUNE_OK;
    if (!p.slots || !p.best || !p.near || !p.deviations) {
        status = attune_fail_memory("Mutual Proximity", n * 8 + slots * K * sizeof(*p.best));
    } else {
        measure_deviations(&p);
        status = attune_pairs_visit(pairs, &visitor, 1);
    }
    free(p.deviations);
    free(p.near);
    free(p.best);
    free(p.slots);
    return status;
}
