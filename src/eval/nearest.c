/* nearest.c - a heap of the nearest for each query. Values in f32 that are farther than its worst
 * by more than the margin are passed over; the others are computed again in double. */
#include "eval/nearest.h"

#include "status/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct attune_nearest_slot {
    attune_near *heap; /* (K), by squared distance */
    uint32_t count;
    float limit; /* values below are too far */
    double sum;  /* of distances */
} slot;

static void offer(const attune_nearest *s, slot *to, uint32_t query, uint32_t row)
{
    const attune_near new = {.distance = attune_pairs_squared(s->pairs, query, row), .row = row};
    attune_heap_offer(to->heap, &to->count, s->K, new);
    if (to->count == s->K) {
        to->limit = (float)(attune_pairs_nearness(s->pairs, query, to->heap[0].distance) -
                            2 * s->pairs->margin);
    }
}

static attune_status begin(void *data, uint32_t query, uint32_t slot_number)
{
    attune_nearest *s = data;
    (void)query;
    s->slots[slot_number] =
        (slot){.heap = s->heaps + (size_t)slot_number * s->K, .limit = -INFINITY};
    return ATTUNE_OK;
}

/* Adds the distances of a block, those of near rows exactly: f32 has lost them. */
static void add_distances(const attune_nearest *s, slot *to, uint32_t *near, uint32_t query,
                          const float *values, uint32_t first, uint32_t count)
{
    const attune_pairs *p = s->pairs;
    const uint32_t whole = count / ATTUNE_SEARCH_BLOCK * ATTUNE_SEARCH_BLOCK;
    const float square = (float)p->square[query];
    double sum = p->search->distances(values, square, whole);
    for (uint32_t i = whole; i < count; i++) {
        const float squared = square - 2 * values[i];
        sum += (double)sqrtf(squared > 0 ? squared : 0);
    }
    const uint32_t found =
        p->search->above(near, values, square / 2 - 0.005f, attune_pairs_padded(count));
    for (uint32_t i = 0; i < found; i++) {
        const float squared = square - 2 * values[near[i]];
        sum += sqrt(attune_pairs_squared(p, query, first + near[i])) / p->scale -
               (double)sqrtf(squared > 0 ? squared : 0);
    }
    to->sum += sum;
}

static void take(void *data, uint32_t query, uint32_t slot_number, const float *values,
                 uint32_t first, uint32_t count)
{
    attune_nearest *s = data;
    slot *to = &s->slots[slot_number];
    uint32_t *near = s->near + (size_t)slot_number / ATTUNE_PAIRS_SLOTS * ATTUNE_PAIRS_BLOCK;
    if (s->place[query] == ATTUNE_NO_ROW) {
        return;
    }
    if (s->means) {
        add_distances(s, to, near, query, values, first, count);
    }
    /* In pieces, so that the limit rises while the block is looked at. */
    for (uint32_t from = 0; from < count; from += 4 * ATTUNE_SEARCH_BLOCK) {
        const uint32_t rest = attune_pairs_padded(count - from),
                       size = rest < 4 * ATTUNE_SEARCH_BLOCK ? rest : 4 * ATTUNE_SEARCH_BLOCK,
                       found = s->pairs->search->above(near, values + from, to->limit, size);
        for (uint32_t i = 0; i < found; i++) {
            const uint32_t at = from + near[i], row = first + at;
            if (at < count && row != query && values[at] > to->limit &&
                (!s->among || s->among[row])) {
                offer(s, to, query, row);
            }
        }
    }
}

static void end(void *data, uint32_t query, uint32_t slot_number)
{
    attune_nearest *s = data;
    slot *from = &s->slots[slot_number];
    const size_t at = s->place[query];
    if (at == ATTUNE_NO_ROW) {
        return;
    }
    if (s->means) {
        s->means[at] = s->pairs->n > 1 ? from->sum * s->pairs->scale / (s->pairs->n - 1) : NAN;
    }
    for (uint32_t i = from->count; i < s->K; i++) {
        s->lists[at * s->K + i] = ATTUNE_NO_ROW;
    }
    attune_heap_sort(from->heap, from->count);
    for (uint32_t i = 0; i < from->count; i++) {
        s->lists[at * s->K + i] = (uint32_t)from->heap[i].row;
    }
}

attune_status attune_nearest_open(attune_nearest *out, const attune_pairs *pairs,
                                  const uint32_t *queries, uint32_t count, uint32_t K,
                                  const bool *among, bool means)
{
    const size_t slots = attune_pairs_slots(pairs), n = pairs->n;
    attune_nearest *s = out;
    *s = (attune_nearest){.pairs = pairs, .among = among, .K = K, .count = count};
    s->lists = malloc(((size_t)count * K + 1) * sizeof(*s->lists));
    s->means = means ? malloc(((size_t)count + 1) * sizeof(*s->means)) : NULL;
    s->place = malloc((n + 1) * sizeof(*s->place));
    s->slots = calloc(slots, sizeof(*s->slots));
    s->heaps = malloc(slots * K * sizeof(*s->heaps));
    s->near = malloc(slots / ATTUNE_PAIRS_SLOTS * ATTUNE_PAIRS_BLOCK * sizeof(*s->near));
    if (!s->lists || (means && !s->means) || !s->place || !s->slots || !s->heaps || !s->near) {
        attune_nearest_close(s);
        return attune_fail_memory("neighbours", (unsigned long long)count * K * sizeof(uint32_t));
    }
    memset(s->place, 0xff, n * sizeof(*s->place));
    for (uint32_t i = 0; i < count; i++) {
        s->place[queries ? queries[i] : i] = i;
    }
    return ATTUNE_OK;
}

void attune_nearest_close(attune_nearest *nearest)
{
    if (nearest) {
        free(nearest->lists);
        free(nearest->means);
        free(nearest->place);
        free(nearest->slots);
        free(nearest->heaps);
        free(nearest->near);
        *nearest = (attune_nearest){0};
    }
}

attune_pairs_visitor attune_nearest_visitor(attune_nearest *nearest)
{
    return (attune_pairs_visitor){.data = nearest, .begin = begin, .take = take, .end = end};
}

attune_status attune_nearest_find(uint32_t *lists, const attune_pairs *pairs, uint32_t K)
{
    attune_nearest nearest;
    attune_status status = attune_nearest_open(&nearest, pairs, NULL, pairs->n, K, NULL, false);
    if (status == ATTUNE_OK) {
        const attune_pairs_visitor visitor = attune_nearest_visitor(&nearest);
        status = attune_pairs_visit(pairs, &visitor, 1);
    }
    if (status == ATTUNE_OK) {
        memcpy(lists, nearest.lists, (size_t)pairs->n * K * sizeof(*lists));
    }
    attune_nearest_close(&nearest);
    return status;
}
