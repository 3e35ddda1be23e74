/* ranks.c - relatives, bins, and the few rows that have to be looked at. The idea is in ranks.h. */
#include "eval/ranks.h"

#include "status/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Relatives up to which comparing with each is cheaper than bins are. */
enum { FEW = 48 };

enum { COPIES = ATTUNE_SEARCH_COPIES, CLOSE = ATTUNE_SEARCH_CLOSE, MOST = ATTUNE_SEARCH_MOST };

static int by_distance(const void *a, const void *b)
{
    const attune_relative *x = a, *y = b;
    if (x->squared != y->squared) {
        return x->squared < y->squared ? -1 : 1;
    }
    return x->row < y->row ? -1 : x->row > y->row;
}

static attune_status reserve(attune_ranks *r, uint32_t count)
{
    if (count <= r->capacity && r->relatives) {
        return ATTUNE_OK;
    }
    attune_ranks_free(r);
    r->relatives = malloc(((size_t)count + 1) * sizeof(*r->relatives));
    r->nearness = malloc(((size_t)count + 1) * sizeof(*r->nearness));
    r->counts = malloc(((size_t)count + 1) * COPIES * sizeof(*r->counts));
    r->capacity = count;
    return r->relatives && r->nearness && r->counts
               ? ATTUNE_OK
               : attune_fail_memory("ranks", (unsigned long long)count * sizeof(*r->relatives));
}

/* True if two rows share a label of one of the first columns. */
static bool share(const attune_kinship *k, uint32_t columns, uint32_t a, uint32_t b)
{
    for (uint32_t c = 0; c < columns; c++) {
        if (k->labels[c][a] >= 0 && k->labels[c][a] == k->labels[c][b]) {
            return true;
        }
    }
    return false;
}

/* Places of the bins, from the farthest to the nearest. A bin that relatives are close to has the
 * number of those that are nearer than any of its rows. */
static void fill_bins(attune_ranks *r, float margin)
{
    const float lowest = r->nearness[r->count - 1] - 2 * margin,
                highest = r->nearness[0] + 2 * margin;
    attune_search_bins *bins = &r->bins;
    r->nearness[r->count] = -INFINITY;
    bins->steps = r->nearness;
    bins->margin = margin;
    bins->lowest = lowest;
    bins->scale = (ATTUNE_SEARCH_PLACES - 1) / (highest - lowest);
    int32_t bin = 0;
    for (uint32_t i = r->count; i-- > 0;) {
        const int32_t from = attune_search_bin(bins, r->nearness[i] - margin),
                      to = attune_search_bin(bins, r->nearness[i] + margin);
        for (; bin < from; bin++) {
            bins->place[bin] = (uint16_t)(i + 1 < MOST ? i + 1 : CLOSE + MOST);
        }
        for (int32_t at = from; at <= to; at++) {
            bins->place[at] = (uint16_t)(CLOSE + (i < MOST ? i : MOST));
        }
        bin = to >= bin ? to + 1 : bin;
    }
    for (; bin < ATTUNE_SEARCH_PLACES; bin++) {
        bins->place[bin] = 0;
    }
}

attune_status attune_ranks_begin(attune_ranks *ranks, const attune_kinship *kinship, uint32_t query)
{
    attune_ranks *r = ranks;
    uint32_t most = 0;
    for (uint32_t c = 0; c < kinship->columns; c++) {
        most += attune_groups_size(&kinship->groups[c], kinship->labels[c][query]);
    }
    r->count = 0;
    const attune_status status = reserve(r, most);
    for (uint32_t c = 0; status == ATTUNE_OK && c < kinship->columns; c++) {
        const attune_groups *g = &kinship->groups[c];
        const int32_t label = kinship->labels[c][query];
        for (uint32_t i = 0; i < attune_groups_size(g, label); i++) {
            const uint32_t row = g->rows[g->start[label] + i];
            if (row != query && !share(kinship, c, query, row)) {
                r->relatives[r->count++] = (attune_relative){
                    .squared = attune_pairs_squared(kinship->pairs, query, row), .row = row};
            }
        }
    }
    if (status != ATTUNE_OK || r->count == 0) {
        return status;
    }
    qsort(r->relatives, r->count, sizeof(*r->relatives), by_distance);
    for (uint32_t i = 0; i < r->count; i++) {
        r->nearness[i] =
            (float)attune_pairs_nearness(kinship->pairs, query, r->relatives[i].squared);
    }
    memset(r->counts, 0, ((size_t)r->count + 1) * COPIES * sizeof(*r->counts));
    r->few = r->count <= FEW;
    if (!r->few) {
        fill_bins(r, (float)kinship->pairs->margin);
    }
    return ATTUNE_OK;
}

/* The first relative from `low` on that is not nearer beyond doubt: mostly the next or the one
 * after it. */
static uint32_t first_doubtful(const attune_ranks *r, uint32_t low, float value, float margin)
{
    uint32_t step = 1, high = low;
    while (high < r->count && r->nearness[high] > value + margin) {
        low = high + 1;
        high += step;
        step *= 2;
    }
    high = high < r->count ? high : r->count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (r->nearness[middle] > value + margin) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Where a row stands by its exact distance. */
static attune_standing exact_standing(const attune_ranks *r, double squared, uint32_t row)
{
    uint32_t low = 0, high = r->count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (r->relatives[middle].squared < squared) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    attune_standing out = {.place = low, .nearer = low};
    for (uint32_t i = low; i < r->count && r->relatives[i].squared == squared; i++) {
        out.place += r->relatives[i].row < row;
        out.ties++;
    }
    return out;
}

bool attune_ranks_stand(attune_standing *out, const attune_ranks *ranks,
                        const attune_kinship *kinship, uint32_t query, uint32_t row, float value)
{
    const float margin = (float)kinship->pairs->margin;
    const uint32_t at =
        ranks->few ? CLOSE : attune_search_place(&ranks->bins, value); /* close to the first */
    if (row == query) {
        return false;
    }
    *out = (attune_standing){.place = at, .nearer = at};
    if (at >= CLOSE) {
        const uint32_t start = at == CLOSE + MOST ? 0 : at - CLOSE,
                       low = first_doubtful(ranks, start, value, margin);
        *out = (attune_standing){.place = low, .nearer = low};
        if (low < ranks->count && ranks->nearness[low] >= value - margin) {
            if (share(kinship, kinship->columns, query, row)) { /* relatives are always in doubt */
                return false;
            }
            *out = exact_standing(ranks, attune_pairs_squared(kinship->pairs, query, row), row);
        }
    }
    return true;
}

/* Counts a row above the relatives behind its place, or none, where it was counted above those
 * that it is beyond. */
static void count_again(attune_ranks *r, uint32_t place, float value, float margin)
{
    for (uint32_t i = 0; i < r->count; i++) {
        r->counts[i] += (uint32_t)(i >= place) - (uint32_t)(value > r->nearness[i] + margin);
    }
}

static void take_few(attune_ranks *r, uint32_t *close, const attune_kinship *kinship,
                     uint32_t query, const float *values, uint32_t first, uint32_t count)
{
    const float margin = (float)kinship->pairs->margin;
    const uint32_t found = kinship->pairs->search->beyond(
        r->counts, close, r->nearness, margin, r->count, values, attune_pairs_padded(count));
    bool own = query >= first && query < first + count;
    attune_standing s;
    for (uint32_t i = 0; i < found; i++) {
        const uint32_t at = close[i];
        const bool counts = attune_ranks_stand(&s, r, kinship, query, first + at, values[at]);
        count_again(r, counts ? s.place : r->count, values[at], margin);
        own = own && first + at != query;
    }
    if (own) {
        count_again(r, r->count, values[query - first], margin);
    }
}

void attune_ranks_take(attune_ranks *ranks, uint32_t *close, const attune_kinship *kinship,
                       uint32_t query, const float *values, uint32_t first, uint32_t count)
{
    attune_ranks *r = ranks;
    const uint32_t padded = attune_pairs_padded(count);
    if (r->few) {
        take_few(r, close, kinship, query, values, first, count);
        return;
    }
    const uint32_t found = kinship->pairs->search->place(r->counts, (size_t)r->count + 1, close,
                                                         &r->bins, values, padded);
    attune_standing s;
    for (uint32_t i = 0; i < found; i++) {
        const uint32_t at = close[i];
        if (at < count && attune_ranks_stand(&s, r, kinship, query, first + at, values[at])) {
            r->counts[s.place]++;
        }
    }
    /* What fills up the last block, and the query itself, have been counted, unless they are close.
     */
    const uint32_t last = attune_search_place(&r->bins, -INFINITY);
    if (last < CLOSE) {
        r->counts[last] -= padded - count;
    }
    if (query >= first && query < first + count) {
        const uint32_t own = attune_search_place(&r->bins, values[query - first]);
        if (own < CLOSE) {
            r->counts[own]--;
        }
    }
}

void attune_ranks_end(attune_ranks *ranks)
{
    const size_t stride = (size_t)ranks->count + 1;
    uint32_t before = 0;
    for (uint32_t i = 0; i < ranks->count; i++) {
        if (ranks->few) {
            ranks->relatives[i].rank = ranks->counts[i] + i;
            continue;
        }
        for (size_t c = 0; c < COPIES; c++) {
            before += ranks->counts[c * stride + i];
        }
        ranks->relatives[i].rank = before + i;
    }
}

void attune_ranks_free(attune_ranks *ranks)
{
    if (ranks) {
        free(ranks->relatives);
        free(ranks->nearness);
        free(ranks->counts);
        ranks->relatives = NULL;
        ranks->nearness = NULL;
        ranks->counts = NULL;
        ranks->count = ranks->capacity = 0;
    }
}
