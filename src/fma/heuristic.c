/* heuristic.c - lists of genres have a handful of entries: they are compared one by one. */
#include "fma/heuristic.h"

/* How many numbers of one list are in the other; a list holds a number once. */
static int common(const int32_t *a, int32_t a_count, const int32_t *b, int32_t b_count)
{
    int count = 0;
    for (int32_t i = 0; i < a_count; i++) {
        for (int32_t k = 0; k < b_count; k++) {
            count += a[i] == b[k];
        }
    }
    return count;
}

static bool same_top(const attune_fma_track *a, const attune_fma_track *b)
{
    return a->genre_top != ATTUNE_FMA_NONE && a->genre_top == b->genre_top;
}

int attune_fma_compare(const attune_fma_track *anchor, const attune_fma_track *a,
                       const attune_fma_track *b)
{
    const attune_fma_track *const other[2] = {a, b};
    int top[2], given[2], all[2];
    for (int i = 0; i < 2; i++) {
        top[i] = same_top(anchor, other[i]);
        given[i] =
            common(anchor->genres, anchor->genre_count, other[i]->genres, other[i]->genre_count);
        all[i] = common(anchor->genres_all, anchor->genre_all_count, other[i]->genres_all,
                        other[i]->genre_all_count);
    }
    return top[0] != top[1]       ? top[0] - top[1]
           : given[0] != given[1] ? given[0] - given[1]
                                  : all[0] - all[1];
}

/* Steps between two genres: both climb to where they meet. */
static int steps_between(const attune_fma_genre *genres, int32_t a, int32_t b)
{
    int steps = 0;
    while (a != b) {
        int32_t *lower = genres[a].depth >= genres[b].depth ? &a : &b;
        if (genres[*lower].parent == ATTUNE_FMA_NONE) {
            return steps + 4; /* two top genres: up to the root and down again */
        }
        *lower = genres[*lower].parent;
        steps++;
    }
    return steps;
}

int attune_fma_steps(const attune_fma_genre *genres, const attune_fma_track *a,
                     const attune_fma_track *b)
{
    int least = ATTUNE_FMA_FAR;
    for (int32_t i = 0; i < a->genre_count; i++) {
        for (int32_t k = 0; k < b->genre_count; k++) {
            const int steps = steps_between(genres, a->genres[i], b->genres[k]);
            least = steps < least ? steps : least;
        }
    }
    return least;
}
