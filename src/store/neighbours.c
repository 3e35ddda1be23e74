/* neighbours.c - exact nearest neighbours. The idea is in neighbours.h.
 *
 * Queries lie in tiles of 32: (Q / 32, E, 32) f32, each divided by its length, the last tile filled
 * up with zeros. A thread takes every n-th tile, so that no two share a query. */
#include "store/neighbours.h"

#include "status/error.h"

#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { TILE = 32, THREADS_MAX = 256 };

struct attune_neighbours {
    const float *queries; /* (Q, E) */
    size_t count, tiles;
    int embedding, threads;
    uint32_t nearest;   /* K */
    float margin;       /* more than a cosine in f32 can be wrong by */
    float *tiled;       /* (tiles, E, TILE) */
    float *limits;      /* (tiles, TILE): cosines below are too far */
    double *lengths;    /* (Q) */
    attune_near *heaps; /* (Q, K) */
    uint32_t *sizes;    /* (Q) */
    uint64_t offered;
    const float *rows; /* the block at hand (row_count, E), and its rows divided by their lengths */
    float *unit;
    double *row_lengths;
    size_t row_count, row_capacity;
};

static double length_of(const float *vector, int width)
{
    double sum = 0;
    for (int i = 0; i < width; i++) {
        sum += (double)vector[i] * (double)vector[i];
    }
    return sum > 0 ? sqrt(sum) : 1; /* a vector of zeros is at distance 1 from all */
}

static void fill_tiles(attune_neighbours *n)
{
    const size_t width = (size_t)n->embedding;
    for (size_t q = 0; q < n->tiles * TILE; q++) {
        const bool real = q < n->count;
        float *column = n->tiled + q / TILE * width * TILE + q % TILE;
        n->limits[q] = real ? -INFINITY : INFINITY;
        if (real) {
            n->lengths[q] = length_of(n->queries + q * width, n->embedding);
        }
        for (size_t e = 0; e < width; e++) {
            column[e * TILE] =
                real ? (float)((double)n->queries[q * width + e] / n->lengths[q]) : 0;
        }
    }
}

attune_status attune_neighbours_create(attune_neighbours **out, const float *queries, size_t count,
                                       int embedding, uint32_t nearest, int threads)
{
    attune_neighbours *n = *out = calloc(1, sizeof(*n));
    if (!n) {
        return attune_fail_memory("neighbours", sizeof(*n));
    }
    const size_t tiles = (count + TILE - 1) / TILE, width = (size_t)embedding;
    n->queries = queries;
    n->count = count;
    n->tiles = tiles;
    n->embedding = embedding;
    n->nearest = nearest;
    n->threads = (size_t)threads > tiles ? (int)tiles : threads;
    n->threads = n->threads > THREADS_MAX ? THREADS_MAX : n->threads;
    /* Each of E products and sums of a dot product of unit vectors is off by 2^-24 at most, and so
     * are the vectors themselves; this is four times all that. */
    n->margin = 0x1p-22f * (float)(embedding + 4);
    n->tiled = calloc(tiles * TILE, width * sizeof(float));
    n->limits = calloc(tiles * TILE, sizeof(float));
    n->lengths = calloc(tiles * TILE, sizeof(double));
    n->heaps = calloc(count, nearest * sizeof(*n->heaps));
    n->sizes = calloc(count, sizeof(*n->sizes));
    if (!n->tiled || !n->limits || !n->lengths || !n->heaps || !n->sizes) {
        attune_neighbours_free(n);
        *out = NULL;
        return attune_fail_memory("neighbours",
                                  (unsigned long long)count * nearest * sizeof(*n->heaps));
    }
    fill_tiles(n);
    return ATTUNE_OK;
}

void attune_neighbours_free(attune_neighbours *neighbours)
{
    if (neighbours) {
        free(neighbours->tiled);
        free(neighbours->limits);
        free(neighbours->lengths);
        free(neighbours->heaps);
        free(neighbours->sizes);
        free(neighbours->unit);
        free(neighbours->row_lengths);
        free(neighbours);
    }
}

/* Looks at a row that may be near enough. */
static void offer(attune_neighbours *n, size_t query, size_t row)
{
    const size_t width = (size_t)n->embedding;
    const float *a = n->queries + query * width, *b = n->rows + row * width;
    attune_near *heap = n->heaps + query * n->nearest;
    double dot = 0;
    for (size_t e = 0; e < width; e++) {
        dot += (double)a[e] * (double)b[e];
    }
    const attune_near new = {.distance = 1 - dot / (n->lengths[query] * n->row_lengths[row]),
                             .row = n->offered + row};
    attune_heap_offer(heap, &n->sizes[query], n->nearest, new);
    if (n->sizes[query] == n->nearest) {
        n->limits[query] = (float)(1 - heap[0].distance) - n->margin;
    }
}

/* cosines (TILE) = tile (E, TILE) transposed, times a row (E). */
static void multiply(float *restrict cosines, const float *restrict tile, const float *restrict row,
                     int width)
{
    float sums[TILE] = {0};
    for (int e = 0; e < width; e++) {
        for (int i = 0; i < TILE; i++) {
            sums[i] += tile[e * TILE + i] * row[e];
        }
    }
    memcpy(cosines, sums, sizeof(sums));
}

static void search_tile(attune_neighbours *n, size_t tile)
{
    const size_t width = (size_t)n->embedding;
    const float *queries = n->tiled + tile * width * TILE, *limits = n->limits + tile * TILE;
    float cosines[TILE];
    for (size_t row = 0; row < n->row_count; row++) {
        int near = 0;
        multiply(cosines, queries, n->unit + row * width, n->embedding);
        for (int i = 0; i < TILE; i++) {
            near |= cosines[i] > limits[i];
        }
        for (int i = 0; near && i < TILE; i++) {
            if (cosines[i] > limits[i]) {
                offer(n, tile * TILE + (size_t)i, row);
            }
        }
    }
}

typedef struct searcher {
    attune_neighbours *neighbours;
    size_t first; /* its first tile */
    pthread_t thread;
    bool started;
} searcher;

static void *search(void *argument)
{
    const searcher *s = argument;
    for (size_t t = s->first; t < s->neighbours->tiles; t += (size_t)s->neighbours->threads) {
        search_tile(s->neighbours, t);
    }
    return NULL;
}

attune_status attune_neighbours_offer(attune_neighbours *neighbours, const float *rows,
                                      size_t count)
{
    attune_neighbours *n = neighbours;
    const size_t width = (size_t)n->embedding;
    searcher searchers[THREADS_MAX];
    if (count > n->row_capacity) {
        free(n->unit);
        free(n->row_lengths);
        n->unit = malloc(count * width * sizeof(float));
        n->row_lengths = malloc(count * sizeof(double));
        n->row_capacity = n->unit && n->row_lengths ? count : 0;
        if (n->row_capacity == 0) {
            return attune_fail_memory("rows", count * width * sizeof(float));
        }
    }
    n->rows = rows;
    n->row_count = count;
    for (size_t i = 0; i < count; i++) {
        n->row_lengths[i] = length_of(rows + i * width, n->embedding);
        for (size_t e = 0; e < width; e++) {
            n->unit[i * width + e] = (float)((double)rows[i * width + e] / n->row_lengths[i]);
        }
    }
    for (int t = 0; t < n->threads; t++) {
        searchers[t] = (searcher){.neighbours = n, .first = (size_t)t};
        searchers[t].started =
            t > 0 && pthread_create(&searchers[t].thread, NULL, search, &searchers[t]) == 0;
    }
    for (int t = 0; t < n->threads; t++) {
        if (searchers[t].started) {
            pthread_join(searchers[t].thread, NULL);
        } else { /* the first share, and what no thread could be had for */
            search(&searchers[t]);
        }
    }
    n->offered += count;
    return ATTUNE_OK;
}

const attune_near *attune_neighbours_of(attune_neighbours *neighbours, size_t query,
                                        uint32_t *count)
{
    attune_near *heap = neighbours->heaps + query * neighbours->nearest;
    *count = neighbours->sizes[query];
    attune_heap_sort(heap, *count);
    return heap;
}
