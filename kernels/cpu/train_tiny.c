/* train_tiny.c - where the scratch of AudioEmbeddingTiny's training passes stands. */
#include "kernels/cpu/train_tiny.h"

enum { T = TINY_T, C1 = TINY_C1, ROWS2 = 2 * T + 3 + 2 * TINY_EXTRA };

/* Returns the floats that a tile takes; without scratch, only that. */
static size_t lay_out(attune_tiny_tile *tile, float *scratch, int N)
{
    const size_t half = (size_t)N / 2 + 2 * ATTUNE_PAD;
    const struct {
        float **place;
        size_t count, before;
    } places[] = {
        {&tile->even, half, ATTUNE_PAD},
        {&tile->odd, half, ATTUNE_PAD},
        {&tile->y1, half, 0},
        {&tile->g1, half, 0},
        {&tile->g2, ROWS2 * C1, 0},
        {&tile->slope2, ROWS2 * C1, 0},
        {&tile->window, 3 * C1, 0},
        {&tile->y3, T * C1, 0},
        {&tile->g3, T * C1, 0},
        {&tile->slope3, T * C1, 0},
        {&tile->y4, T * TINY_C2, 0},
        {&tile->dg3, T * C1, 0},
        {&tile->dy3, (T + 2 + TINY_EXTRA) * C1, 0},
        {&tile->sums, (C1 + 1) * C1, 0},
    };
    size_t used = 0;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (scratch) {
            *places[i].place = scratch + used + places[i].before;
        }
        used += places[i].count;
    }
    return used;
}

attune_tiny_tile attune_tiny_tile_at(float *scratch, int N)
{
    attune_tiny_tile tile;
    lay_out(&tile, scratch, N);
    return tile;
}

size_t attune_tiny_tile_size(int N)
{
    attune_tiny_tile tile;
    return lay_out(&tile, NULL, N);
}
