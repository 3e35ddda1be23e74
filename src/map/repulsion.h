/* repulsion.h - what all points of a plane do to each of them in t-SNE, in time that grows with n.
 *
 * The sums over all pairs are convolutions of the points with smooth kernels, 1 / (1 + d²) and
 * (y_i - y_j) / (1 + d²)². So points are spread to a grid of nodes at most half a unit apart, with
 * cubic interpolation, the grid is convolved by way of Fourier transforms, and each point reads its
 * sums from it by the same interpolation (Linderman et al. 2019 do so with boxes of their own
 * nodes; nodes that neighbours share are as exact with half as many). Spacings are powers of two,
 * so that the kernels' transforms are seldom made anew. Memory: at most 120 MB, whatever n. */
#ifndef ATTUNE_SRC_MAP_REPULSION_H
#define ATTUNE_SRC_MAP_REPULSION_H

#include "map/fourier.h"

typedef struct attune_repulsion {
    uint32_t n;
    attune_team *team; /* borrowed */
    attune_fourier fourier;
    double spacing;              /* of the nodes */
    attune_plane first, second;  /* the charge, its transform and the forces, in turn */
    attune_plane force_spectrum; /* of the kernel of x plus i times that of y */
    float *weight_spectrum;      /* (M, M): of the even kernel, real */
    uint32_t *order;             /* (n): points by strips of the grid */
    uint32_t *strips;            /* where each begins in `order`, and the end */
    double *sums;                /* (M): by row of the spectrum */
} attune_repulsion;

/* For n points. On failure there is nothing to close. */
attune_status attune_repulsion_open(attune_repulsion *out, uint32_t n, attune_team *team);
void attune_repulsion_close(attune_repulsion *repulsion); /* NULL-safe; also of {0} */

/* force (n, 2): of each point the sum over the others of (y_i - y_j) / (1 + d²)². *weight: the sum
 * over pairs, both ways round, of 1 / (1 + d²). Of positions (n, 2), finite. */
attune_status attune_repulsion_find(attune_repulsion *repulsion, float *force, double *weight,
                                    const float *positions);

#endif
