/* principal.h - principal axes: where rows differ most.
 *
 * Axes are those of the covariance matrix, by variance, each turned so that its largest component
 * is positive. */
#ifndef ATTUNE_SRC_MAP_PRINCIPAL_H
#define ATTUNE_SRC_MAP_PRINCIPAL_H

#include "attune/status.h"
#include "kernels/cpu/team.h"

#include <stdint.h>

typedef struct attune_principal {
    uint32_t E;
    double *mean;     /* (E) */
    double *axes;     /* (E, E): row q is the axis of the q-th largest variance, of length 1 */
    double *variance; /* (E), divided by the number of rows */
} attune_principal;

/* Of vectors (n, E), n at least 1. On failure there is nothing to close. */
attune_status attune_principal_open(attune_principal *out, const float *vectors, uint32_t n,
                                    uint32_t E, attune_team *team);
void attune_principal_close(attune_principal *principal); /* NULL-safe; also of {0} */

/* A row's coordinate on axis q. */
double attune_principal_coordinate(const attune_principal *principal, const float *row, uint32_t q);

#endif
