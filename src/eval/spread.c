/* spread.c - a median of too many numbers to keep: a sample says where it lies to within a
 * hundredth of them; then all are counted, and only those between are looked at closer. */
#include "eval/spread.h"

#include "eval/vector.h"
#include "model/random.h"
#include "status/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ALL = 2048, SAMPLE = 1 << 18, BINS = 1 << 16 };

static const double WIDTH =
    2.0 / 512; /* four deviations of a sample's median: 4 · 0.5 / sqrt(SAMPLE) */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Rows divided by their lengths, those of zeros left out; their number comes back. *are: they had
 * length 1, as near as f32 tells. */
static uint32_t make_unit(float *unit, bool *are, const attune_pairs *pairs)
{
    const size_t E = pairs->E;
    uint32_t count = 0;
    *are = true;
    for (size_t i = 0; i < pairs->n; i++) {
        const double square =
            attune_vector_unit(unit + count * E, pairs->vectors + i * E, pairs->E);
        *are &= fabs(square - 1) < 0x1p-21;
        count += square > 0;
    }
    return count;
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
            values[count++] = attune_vector_cosine(unit + a * E, unit + b * E, E);
        }
    }
    qsort(values, pairs, sizeof(*values), by_value);
    *out = (values[(pairs - 1) / 2] + values[pairs / 2]) / 2;
    free(values);
    return ATTUNE_OK;
}

/* ---- many ---- */

static void take(void *data, uint32_t query, uint32_t slot, const float *values, uint32_t first,
                 uint32_t count)
{
    attune_spread *c = data;
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

/* Where the sample's median lies, `width` shares of the sample to either side. */
static void bracket(attune_spread *s, double width)
{
    const size_t threads = (size_t)attune_team_threads(s->pairs->team);
    const double from = fmax(0.5 - width, 0), to = fmin(0.5 + width, 1);
    s->low = from > 0 ? s->sample[(size_t)(from * (SAMPLE - 1))] : -1;
    s->high = to < 1 ? s->sample[(size_t)(to * (SAMPLE - 1))] : 1;
    s->low -= 1e-6; /* more than f32 is wrong by, and a width where all are equal */
    s->high += 1e-6;
    memset(s->beyond, 0, threads * sizeof(*s->beyond));
    memset(s->bins, 0, threads * BINS * sizeof(*s->bins));
}

/* The median, if the bins hold it. */
static bool read_bins(double *out, attune_spread *s)
{
    const size_t threads = (size_t)attune_team_threads(s->pairs->team);
    const uint64_t all = (uint64_t)s->n * (s->n - 1) / 2;
    uint64_t above = 0, inside = 0;
    for (size_t t = 0; t < threads; t++) {
        above += s->beyond[t];
        for (size_t i = 0; i < BINS; i++) {
            s->bins[i] += t > 0 ? s->bins[t * BINS + i] : 0;
        }
    }
    for (size_t i = 0; i < BINS; i++) {
        inside += s->bins[i];
    }
    if (above >= all / 2 || above + inside < all - all / 2) {
        return false;
    }
    uint64_t rank = all / 2 - above; /* of the median, from the top */
    for (size_t i = BINS; i-- > 0;) {
        if (s->bins[i] > rank) {
            const double into = 1 - ((double)rank + 0.5) / (double)s->bins[i];
            *out = s->low + ((double)i + into) * (s->high - s->low) / BINS;
            return true;
        }
        rank -= s->bins[i];
    }
    return false;
}

static attune_status draw_sample(attune_spread *s)
{
    const size_t threads = (size_t)attune_team_threads(s->pairs->team), E = s->pairs->E;
    attune_random random = attune_random_of(1, s->n);
    s->sample = malloc(SAMPLE * sizeof(*s->sample));
    s->beyond = malloc(threads * sizeof(*s->beyond));
    s->bins = malloc(threads * BINS * sizeof(*s->bins));
    s->near = malloc(threads * ATTUNE_PAIRS_BLOCK * sizeof(*s->near));
    if (!s->sample || !s->beyond || !s->bins || !s->near) {
        return attune_fail_memory("cosines", threads * BINS * sizeof(*s->bins));
    }
    for (size_t i = 0; i < SAMPLE; i++) {
        const size_t a = attune_random_below(&random, s->n),
                     b = attune_random_below(&random, s->n - 1);
        s->sample[i] =
            attune_vector_cosine(s->unit + a * E, s->unit + (b < a ? b : b + 1) * E, s->pairs->E);
    }
    qsort(s->sample, SAMPLE, sizeof(*s->sample), by_value);
    bracket(s, WIDTH);
    return ATTUNE_OK;
}

attune_status attune_spread_open(attune_spread *out, const attune_pairs *pairs)
{
    attune_spread *s = out;
    bool are = false;
    *s = (attune_spread){.pairs = pairs};
    s->unit = malloc(((size_t)pairs->n * pairs->E + 1) * sizeof(*s->unit));
    if (!s->unit) {
        return attune_fail_memory("embeddings", (size_t)pairs->n * pairs->E * sizeof(*s->unit));
    }
    s->n = make_unit(s->unit, &are, pairs);
    if (s->n <= ALL) {
        return ATTUNE_OK;
    }
    s->visits = are;
    const attune_status status = draw_sample(s);
    if (status != ATTUNE_OK) {
        attune_spread_close(s);
    } else if (are) {
        free(s->unit);
        s->unit = NULL;
    }
    return status;
}

void attune_spread_close(attune_spread *spread)
{
    if (spread) {
        free(spread->unit);
        free(spread->sample);
        free(spread->beyond);
        free(spread->bins);
        free(spread->near);
        *spread = (attune_spread){0};
    }
}

attune_pairs_visitor attune_spread_visitor(attune_spread *spread)
{
    return (attune_pairs_visitor){.data = spread, .below = true, .take = take};
}

/* The median of many, by visits of its own, ever wider: only if the vectors are not of length 1, or
 * the sample was one in ten thousand. */
static attune_status search(double *out, attune_spread *s, double width)
{
    const attune_pairs *pairs = s->pairs;
    attune_pairs own = {0};
    attune_status status = ATTUNE_OK;
    if (!s->visits) {
        status = attune_pairs_open(&own, s->unit, s->n, pairs->E, pairs->team);
        s->pairs = &own;
    }
    const attune_pairs_visitor visitor = attune_spread_visitor(s);
    for (bool found = false; status == ATTUNE_OK && !found; width *= 8) {
        bracket(s, width);
        status = attune_pairs_visit(s->pairs, &visitor, 1);
        found = status == ATTUNE_OK && (read_bins(out, s) || width > 1);
    }
    s->pairs = pairs;
    attune_pairs_close(&own);
    return status;
}

attune_status attune_spread_finish(double *cosine, attune_spread *spread)
{
    attune_spread *s = spread;
    *cosine = NAN;
    if (s->n <= ALL) {
        return s->n > 1 ? median_of_few(cosine, s->unit, s->n, s->pairs->E) : ATTUNE_OK;
    }
    if (s->visits) {
        return read_bins(cosine, s) ? ATTUNE_OK : search(cosine, s, 8 * WIDTH);
    }
    return search(cosine, s, WIDTH);
}

attune_status attune_spread_cosine(double *out, const attune_pairs *pairs)
{
    attune_spread spread = {0};
    attune_status status = attune_spread_open(&spread, pairs);
    if (status == ATTUNE_OK && spread.visits) {
        const attune_pairs_visitor visitor = attune_spread_visitor(&spread);
        status = attune_pairs_visit(pairs, &visitor, 1);
    }
    status = status ? status : attune_spread_finish(out, &spread);
    attune_spread_close(&spread);
    return status;
}
