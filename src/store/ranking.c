/* ranking.c - pages of the ranking. The mean of a row's cosines with the queries is its product
 * with the queries' mean, so any number of queries by the mean costs as much as one. */
#include "store/ranking.h"

#include "status/error.h"
#include "store/store_format.h"

#include <math.h>
#include <stdlib.h>

/* A pass over the rows. */
typedef struct ranking_pass {
    const attune_ranking *ranking;
    const attune_near *after;
    attune_near *page;
    uint32_t *count, capacity;
    double *vectors; /* (vector_count, E): the queries' mean, or the queries */
    size_t vector_count;
    int embedding;
} ranking_pass;

double attune_dot(const float *a, const float *b, int embedding)
{
    double sum = 0;
    for (int e = 0; e < embedding; e++) {
        sum += (double)a[e] * (double)b[e];
    }
    return sum;
}

static void fill_vectors(ranking_pass *pass)
{
    const attune_ranking *r = pass->ranking;
    const size_t width = (size_t)pass->embedding;
    for (size_t i = 0; i < pass->vector_count * width; i++) {
        double sum = 0;
        size_t terms = 0;
        for (size_t q = i / width; q < r->count; q += pass->vector_count) {
            sum += (double)r->queries[q * width + i % width];
            terms++;
        }
        pass->vectors[i] = sum / (double)terms;
    }
}

/* NaN for a row without a vector. */
static double nearness(const ranking_pass *pass, const float *row)
{
    double most = NAN;
    for (size_t v = 0; v < pass->vector_count; v++) {
        const double *vector = pass->vectors + v * (size_t)pass->embedding;
        double sum = 0;
        for (int e = 0; e < pass->embedding; e++) {
            sum += vector[e] * (double)row[e];
        }
        most = fmax(most, sum); /* of a NaN and a number the number */
    }
    return most;
}

static bool is_query(const attune_ranking *r, uint64_t row)
{
    for (size_t q = 0; q < r->count; q++) {
        if (r->rows[q] == row) {
            return true;
        }
    }
    return false;
}

static void offer_row(ranking_pass *pass, uint64_t row, const float *embedding)
{
    const attune_near new = {.distance = -nearness(pass, embedding), .row = row};
    const bool full = *pass->count == pass->capacity;
    if (isnan(new.distance) || (full && attune_near_is_farther(new, pass->page[0])) ||
        (pass->after && !attune_near_is_farther(new, *pass->after)) ||
        is_query(pass->ranking, row)) {
        return;
    }
    attune_heap_offer(pass->page, pass->count, pass->capacity, new);
}

static attune_status pass_over(ranking_pass *pass, float *block)
{
    attune_store *store = pass->ranking->store;
    const uint64_t total = attune_store_count(store);
    attune_status status = ATTUNE_OK;
    for (uint64_t first = 0; status == ATTUNE_OK && first < total; first += ATTUNE_BLOCK_ROWS) {
        const uint64_t left = total - first;
        const uint64_t rows = left < ATTUNE_BLOCK_ROWS ? left : ATTUNE_BLOCK_ROWS;
        status = attune_store_read_embeddings(store, first, rows, block);
        for (uint64_t i = 0; status == ATTUNE_OK && i < rows; i++) {
            offer_row(pass, first + i, block + i * (size_t)pass->embedding);
        }
    }
    return status;
}

attune_status attune_ranking_page(attune_near *page, uint32_t *count, const attune_ranking *ranking,
                                  const attune_near *after, uint32_t capacity)
{
    const int embedding = attune_store_attributes_of(ranking->store)->embedding;
    const size_t width = (size_t)embedding;
    ranking_pass pass = {
        .ranking = ranking,
        .after = after,
        .page = page,
        .count = count,
        .capacity = capacity,
        .vector_count = ranking->by == ATTUNE_BY_ANY ? ranking->count : 1,
        .embedding = embedding,
    };
    float *block = malloc(ATTUNE_BLOCK_ROWS * width * sizeof(float));
    pass.vectors = calloc(pass.vector_count, width * sizeof(double));
    attune_status status = ATTUNE_OK;
    *count = 0;
    if (!block || !pass.vectors) {
        status = attune_fail_memory("embeddings", ATTUNE_BLOCK_ROWS * width * sizeof(float));
    } else {
        fill_vectors(&pass);
        status = pass_over(&pass, block);
        attune_heap_sort(page, *count);
    }
    free(block);
    free(pass.vectors);
    return status;
}
