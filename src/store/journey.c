/* journey.c - points of the way, and their rows: one pass finds for each point as many rows as
 * there are points, so that one is left whatever the others took. */
#include "store/journey.h"

#include "status/error.h"
#include "status/machine.h"
#include "store/neighbours.h"
#include "store/ranking.h"
#include "store/store_format.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* out (points, E), from `a` to `b`, each of about the length of the two. */
static attune_status fill_points(float *out, const float *a, const float *b, uint32_t points,
                                 int embedding)
{
    double apart = 0, together = 0;
    for (int e = 0; e < embedding; e++) {
        apart += pow((double)a[e] - (double)b[e], 2);
        together += pow((double)a[e] + (double)b[e], 2);
    }
    const double angle = 2 * atan2(sqrt(apart), sqrt(together)); /* exact for small ones too */
    if (together < 1e-10) {
        return attune_fail(ATTUNE_EDATA, "the two tracks lie opposite to one another: no way is "
                                         "shorter than another; go by a third");
    }
    for (uint32_t p = 0; p < points; p++) {
        const double part = (double)p / (points - 1);
        const bool close = angle < 1e-6; /* a straight line then */
        const double of_a = close ? 1 - part : sin((1 - part) * angle) / sin(angle);
        const double of_b = close ? part : sin(part * angle) / sin(angle);
        for (int e = 0; e < embedding; e++) {
            out[p * (size_t)embedding + (size_t)e] =
                (float)(of_a * (double)a[e] + of_b * (double)b[e]);
        }
    }
    return ATTUNE_OK;
}

static attune_status offer_rows(attune_neighbours *neighbours, attune_store *store, int embedding)
{
    const size_t size = ATTUNE_BLOCK_ROWS * (size_t)embedding * sizeof(float);
    const uint64_t total = attune_store_count(store);
    float *block = malloc(size);
    attune_status status = block ? ATTUNE_OK : attune_fail_memory("embeddings", size);
    for (uint64_t first = 0; status == ATTUNE_OK && first < total; first += ATTUNE_BLOCK_ROWS) {
        const uint64_t left = total - first;
        const uint64_t rows = left < ATTUNE_BLOCK_ROWS ? left : ATTUNE_BLOCK_ROWS;
        status = attune_store_read_embeddings(store, first, rows, block);
        if (status == ATTUNE_OK) {
            status = attune_neighbours_offer(neighbours, block, rows);
        }
    }
    free(block);
    return status;
}

static bool is_taken(const attune_near *steps, uint32_t count, uint64_t row)
{
    for (uint32_t i = 0; i < count; i++) {
        if (steps[i].row == row) {
            return true;
        }
    }
    return false;
}

/* The rows of all points, in their order. */
static void take_rows(attune_near *steps, uint32_t *count, attune_neighbours *neighbours,
                      attune_journey_end from, attune_journey_end to, uint32_t points,
                      uint64_t rows, int embedding)
{
    *count = 0;
    for (uint32_t p = 0; p < points; p++) {
        const attune_journey_end *end = p == 0 ? &from : p == points - 1 ? &to : NULL;
        uint32_t near_count = 0;
        const attune_near *near = attune_neighbours_of(neighbours, p, &near_count);
        if (end && end->row < rows) {
            const double square = attune_dot(end->embedding, end->embedding, embedding);
            steps[(*count)++] = (attune_near){.distance = -square, .row = end->row};
            continue;
        }
        for (uint32_t i = 0; i < near_count; i++) {
            const uint64_t row = near[i].row;
            if (row != from.row && row != to.row && !is_taken(steps, *count, row)) {
                steps[(*count)++] = (attune_near){.distance = near[i].distance - 1, .row = row};
                break;
            }
        }
    }
}

attune_status attune_journey(attune_near *steps, uint32_t *count, attune_store *store,
                             attune_journey_end from, attune_journey_end to, uint32_t points)
{
    const int embedding = attune_store_attributes_of(store)->embedding;
    const size_t size = points * (size_t)embedding * sizeof(float);
    attune_neighbours *neighbours = NULL;
    assert(from.row != to.row || from.row >= attune_store_count(store));
    float *vectors = malloc(size);
    attune_status status =
        vectors ? fill_points(vectors, from.embedding, to.embedding, points, embedding)
                : attune_fail_memory("a way", size);
    if (status == ATTUNE_OK) {
        status = attune_neighbours_create(&neighbours, vectors, points, embedding, points,
                                          attune_processors());
    }
    if (status == ATTUNE_OK) {
        status = offer_rows(neighbours, store, embedding);
    }
    if (status == ATTUNE_OK) {
        take_rows(steps, count, neighbours, from, to, points, attune_store_count(store), embedding);
    }
    attune_neighbours_free(neighbours);
    free(vectors);
    return status;
}
