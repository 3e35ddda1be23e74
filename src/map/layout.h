/* layout.h - rows as points of a plane, near each other where the rows are.
 *
 * The first two principal axes give the large picture; from there t-SNE (van der Maaten and Hinton
 * 2008) arranges the points so that neighbours stay together. The same vectors, options and seed
 * give the same bits with any number of threads, on machines of the same instruction set. */
#ifndef ATTUNE_SRC_MAP_LAYOUT_H
#define ATTUNE_SRC_MAP_LAYOUT_H

#include "map/affinity.h"
#include "map/repulsion.h"

typedef struct attune_layout_options {
    double perplexity;   /* neighbours that count; taken as (n - 1) / 3 where there are fewer */
    uint32_t iterations; /* of t-SNE; 0: the principal axes alone */
    uint64_t seed;       /* of the jitter that tells equal rows apart */
    void (*progress)(void *user, uint32_t iteration); /* NULL: none */
    void *user;
} attune_layout_options;

/* The perplexity that n rows allow. */
double attune_layout_perplexity(uint32_t n, const attune_layout_options *options);

/* Neighbours of each row that t-SNE asks for; at most n - 1. */
uint32_t attune_layout_neighbours(uint32_t n, const attune_layout_options *options);

/* positions (n, 2). lists (n, K): the nearest rows, of which there are attune_layout_neighbours at
 * least. divergence: the Kullback-Leibler divergence of the result, 0 without t-SNE. */
attune_status attune_layout_find(float *positions, double *divergence, const attune_pairs *pairs,
                                 const uint32_t *lists, uint32_t K,
                                 const attune_layout_options *options);

/* The descent's gradient, divided by 4: out (n, 2). The attraction is multiplied by `exaggeration`.
 * *weight is the sum that attune_repulsion_find gives. */
attune_status attune_layout_gradient(float *out, double *weight, const attune_affinity *affinity,
                                     attune_repulsion *repulsion, const float *positions,
                                     float exaggeration);

#endif
