/* spread.c - a median of too many numbers to keep: a sample says where it lies to within a
 * hundredth of them; then all are counted, and only those between are looked at closer. */
#include "eval/spread.h"

#include "eval/pairs.h"
#include "model/random.h"
#include "status/error.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { ALL = 2048, SAMPLE = 1 << 18, BINS = 1 << 16 };

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Rows divided by their lengths, those of zeros left out; their number comes back. */
static uint32_t make_unit(float *unit, const float *vectors, uint32_t n, uint32_t E)
{
    uint32_t count = 0;
    for (size_t i = 0; i < n; i++) {
        const float *row = vectors + i * E;
        double square = 0;
        for (size_t e = 0; e < E; e++) {
            square += (double)row[e] * (double)row[e];
        }
        for (size_t e = 0; e < E && square > 0; e++) {
            unit[(size_t)count * E + e] = (float)((double)row[e] / sqrt(square));
        }
        count += square > 0;
    }
    return count;
}

static double cosine(const float *a, const float *b, uint32_t E)
{
    double dot = 0, squares[2] = {0, 0};
    for (uint32_t e = 0; e < E; e++) {
        dot += (double)a[e] * (double)b[e];
        squares[0] += (double)a[e] * (double)a[e];
        squares[1] += (double)b[e] * (double)b[e];
    }
    return dot / sqrt(squares[0] * squares[1]);
}

static attune_status median_of_few(double *out, const float *unit, uint32_t n, uint32_t E)
{
    const size_t pairs = (size_t)n * (n - 1) / 2;
    double *values = malloc(pairs * sizeof(*values));
    size_t count = 0;
    if (!values) {
        return attune_fail_memory("cosines", pairs * sizeof(*values));
    }
    for (size_t a = 0; a < n; a++) {
        for (size_t b = 0; b < a; b++) {
            values[count++] = cosine(unit + a * E, unit + b * E, E);
        }
    }
    qsort(values, pairs, sizeof(*values), by_value);
    *out = (values[(pairs - 1) / 2] + values[pairs / 2]) / 2;
    free(values);
    return ATTUNE_OK;
}

/* ---- many ---- */

typedef struct counting {
    const attune_pairs *pairs;
    double low, high; /* of cosines; what is between goes to the bins */
    uint64_t *beyond; /* by thread: cosines above `high` */
    uint64_t *bins;   /* by thread: (BINS) */
    uint32_t *near;   /* by thread: (block) */
} counting;

static attune_status begin(void *data, uint32_t query, uint32_t slot)
{
    (void)data;
    (void)query;
    (void)slot;
    return ATTUNE_OK;
}

static void take(void *data, uint32_t query, uint32_t slot, const float *values, uint32_t first,
                 uint32_t count)
{
    counting *c = data;
    const size_t thread = slot / ATTUNE_PAIRS_SLOTS;
    const attune_pairs *p = c->pairs;
    uint32_t *near = c->near + thread * ATTUNE_PAIRS_BLOCK;
    uint64_t *bins = c->bins + thread * BINS;
    float last[ATTUNE_PAIRS_BLOCK];
    if (first >= query) {
        return; /* each pair once */
    }
    uint32_t padded = attune_pairs_padded(count);
    if (first + count > query) {
        count = query - first;
        padded = attune_pairs_padded(count);
        memcpy(last, values, count * sizeof(*last));
        for (uint32_t i = count; i < padded; i++) {
            last[i] = -INFINITY;
        }
        values = last;
    }
    const float low = (float)attune_pairs_nearness(p, query, 2 - 2 * c->low),
                high = (float)attune_pairs_nearness(p, query, 2 - 2 * c->high);
    const uint32_t found = p->search->between(near, &c->beyond[thread], values, low, high, padded);
    const double square = p->square[query], scale = p->scale * p->scale;
    for (uint32_t i = 0; i < found; i++) {
        const double value = 1 - (square - 2 * (double)values[near[i]]) * scale / 2,
                     bin = (value - c->low) / (c->high - c->low) * BINS;
        bins[(size_t)fmin(fmax(bin, 0), BINS - 1)]++;
    }
}

static void end(void *data, uint32_t query, uint32_t slot)
{
    (void)data;
    (void)query;
    (void)slot;
}

/* Where the sample's median lies, `width` shares of the sample to either side. */
static void bracket(counting *c, double *sample, double width)
{
    const double from = fmax(0.5 - width, 0), to = fmin(0.5 + width, 1);
    c->low = from > 0 ? sample[(size_t)(from * (SAMPLE - 1))] : -1;
    c->high = to < 1 ? sample[(size_t)(to * (SAMPLE - 1))] : 1;
    c->low -= 1e-6; /* more than f32 is wrong by, and a width where all are equal */
    c->high += 1e-6;
}

static attune_status count_pairs(double *out, counting *c, bool *found)
{
    const attune_pairs *p = c->pairs;
    const attune_pairs_visitor visitor = {
        .data = c, .below = true, .begin = begin, .take = take, .end = end};
    const size_t threads = (size_t)attune_team_threads(p->team);
    const uint64_t all = (uint64_t)p->n * (p->n - 1) / 2;
    uint64_t above = 0, inside = 0, rank = 0;
    memset(c->beyond, 0, threads * sizeof(*c->beyond));
    memset(c->bins, 0, threads * BINS * sizeof(*c->bins));
    const attune_status status = attune_pairs_visit(p, NULL, p->n, &visitor);
    for (size_t t = 0; t < threads; t++) {
        above += c->beyond[t];
        for (size_t i = 0; i < BINS; i++) {
            c->bins[i] += t > 0 ? c->bins[t * BINS + i] : 0;
        }
    }
    for (size_t i = 0; i < BINS; i++) {
        inside += c->bins[i];
    }
    *found = above < all / 2 && above + inside >= all - all / 2;
    rank = *found ? all / 2 - above : 0; /* of the median, from the top */
    for (size_t i = BINS; i-- > 0 && *found;) {
        if (c->bins[i] > rank) {
            const double into = 1 - ((double)rank + 0.5) / (double)c->bins[i];
            *out = c->low + ((double)i + into) * (c->high - c->low) / BINS;
            break;
        }
        rank -= c->bins[i];
    }
    return status;
}

static attune_status median_of_many(double *out, const float *unit, uint32_t n, uint32_t E,
                                    attune_team *team)
{
    const size_t threads = (size_t)attune_team_threads(team);
    attune_pairs pairs = {0};
    counting c = {.pairs = &pairs};
    attune_random random = attune_random_of(1, n);
    double *sample = malloc(SAMPLE * sizeof(*sample));
    c.beyond = malloc(threads * sizeof(*c.beyond));
    c.bins = malloc(threads * BINS * sizeof(*c.bins));
    c.near = malloc(threads * ATTUNE_PAIRS_BLOCK * sizeof(*c.near));
    attune_status status = sample && c.beyond && c.bins && c.near
                               ? attune_pairs_open(&pairs, unit, n, E, team)
                               : attune_fail_memory("cosines", threads * BINS * 8);
    for (size_t i = 0; status == ATTUNE_OK && i < SAMPLE; i++) {
        const size_t a = attune_random_below(&random, n), b = attune_random_below(&random, n - 1);
        sample[i] = cosine(unit + a * E, unit + (b < a ? b : b + 1) * E, E);
    }
    if (status == ATTUNE_OK) {
        qsort(sample, SAMPLE, sizeof(*sample), by_value);
    }
    bool found = false;
    for (double width = 4 * 0.5 / sqrt(SAMPLE); status == ATTUNE_OK && !found; width *= 8) {
        bracket(&c, sample, width);
        status = count_pairs(out, &c, &found);
        found |= width > 1;
    }
    attune_pairs_close(&pairs);
    free(c.near);
    free(c.bins);
    free(c.beyond);
    free(sample);
    return status;
}

attune_status attune_spread_cosine(double *out, const float *vectors, uint32_t n, uint32_t E,
                                   attune_team *team)
{
    float *unit = malloc(((size_t)n * E + 1) * sizeof(*unit));
    *out = NAN;
    if (!unit) {
        return attune_fail_memory("embeddings", (unsigned long long)n * E * sizeof(*unit));
    }
    attune_status status = ATTUNE_OK;
    const uint32_t count = make_unit(unit, vectors, n, E);
    if (count > ALL) {
        status = median_of_many(out, unit, count, E, team);
    } else if (count > 1) {
        status = median_of_few(out, unit, count, E);
    }
    free(unit);
    return status;
}
