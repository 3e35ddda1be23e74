/* test_neighbours.c - the nearest rows are those that sorting all distances in double gives. */
#include "store/neighbours.h"

#include "tests/store/store_support.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct near_case {
    size_t queries, rows, block;
    int embedding;
    uint32_t nearest;
    int threads;
    int kind; /* 0: all over, 1: close together, 2: many the same, 3: of many lengths, some zero */
} near_case;

typedef struct near_row {
    double distance;
    size_t index;
} near_row;

static int compare(const void *left, const void *right)
{
    const near_row *a = left, *b = right;
    return a->distance != b->distance ? (a->distance > b->distance ? 1 : -1)
                                      : (a->index > b->index) - (a->index < b->index);
}

static void fill(float *out, size_t count, const near_case *c, uint64_t seed)
{
    const size_t width = (size_t)c->embedding;
    uint64_t state = seed;
    for (size_t i = 0; i < count; i++) {
        float *row = out + i * width;
        random_fill(&state, row, width, c->kind == 1 ? 1e-5f : 1.0f);
        if (c->kind == 1) {
            row[0] += 1.0f;
        } else if (c->kind == 2) {
            for (size_t e = 0; e < width; e++) {
                row[e] = e == i % 3 ? 1.0f : 0.0f;
            }
        } else if (c->kind == 3) {
            const float scale = i % 7 == 0 ? 0.0f : ldexpf(1.0f, (int)(i % 40) - 20);
            for (size_t e = 0; e < width; e++) {
                row[e] *= scale;
            }
        }
    }
}

static double dot(const float *a, const float *b, int width)
{
    double sum = 0;
    for (int i = 0; i < width; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

static double distance(const float *a, const float *b, int width)
{
    const double aa = dot(a, a, width), bb = dot(b, b, width);
    return 1 - dot(a, b, width) / ((aa > 0 ? sqrt(aa) : 1) * (bb > 0 ? sqrt(bb) : 1));
}

static void check(const near_case *c)
{
    const size_t width = (size_t)c->embedding;
    float *queries = calloc(c->queries, width * sizeof(float));
    float *rows = calloc(c->rows, width * sizeof(float));
    near_row *all = calloc(c->rows, sizeof(*all));
    attune_neighbours *neighbours = NULL;
    cr_assert(queries && rows && all);
    fill(queries, c->queries, c, 1);
    fill(rows, c->rows, c, 2);
    assert_ok(attune_neighbours_create(&neighbours, queries, c->queries, c->embedding, c->nearest,
                                       c->threads));
    for (size_t i = 0; i < c->rows; i += c->block) {
        assert_ok(attune_neighbours_offer(neighbours, rows + i * width,
                                          c->rows - i < c->block ? c->rows - i : c->block));
    }
    for (size_t q = 0; q < c->queries; q++) {
        for (size_t i = 0; i < c->rows; i++) {
            all[i] = (near_row){distance(queries + q * width, rows + i * width, c->embedding), i};
        }
        qsort(all, c->rows, sizeof(*all), compare);
        uint32_t count = 0;
        const attune_near *near = attune_neighbours_of(neighbours, q, &count);
        cr_assert_eq(count, c->nearest);
        for (uint32_t k = 0; k < c->nearest; k++) {
            cr_assert_eq(near[k].row, all[k].index,
                         "%zu rows, kind %d, query %zu: neighbour %u is row %llu at %.9g, not %zu "
                         "at %.9g",
                         c->rows, c->kind, q, k, (unsigned long long)near[k].row, near[k].distance,
                         all[k].index, all[k].distance);
            cr_assert_eq(near[k].distance, all[k].distance);
        }
    }
    attune_neighbours_free(neighbours);
    free(queries);
    free(rows);
    free(all);
}

Test(neighbours, are_those_of_sorting_all_distances)
{
    static const near_case shapes[] = {
        {1, 1, 1, 1, 1, 1, 0},        {1, 100, 7, 32, 100, 1, 0},     {31, 500, 500, 32, 10, 2, 0},
        {32, 500, 100, 3, 1, 1, 0},   {33, 2000, 300, 32, 100, 3, 0}, {100, 1000, 64, 5, 20, 9, 0},
        {65, 300, 300, 129, 7, 2, 0},
    };
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
        for (int kind = 0; kind < 4; kind++) {
            near_case c = shapes[i];
            c.kind = kind;
            check(&c);
        }
    }
}
