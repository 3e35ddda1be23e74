/* fourier.h - discrete Fourier transforms of planes, (M, M) in two arrays: real and imaginary
 * parts.
 *
 * A plane is transformed along its columns, 16 side by side, and comes out transposed; so two
 * passes transform both ways and leave it as it lay. What is known to be zero is not read, and what
 * nobody wants is not written: of a padded plane that is half of the work. */
#ifndef ATTUNE_SRC_MAP_FOURIER_H
#define ATTUNE_SRC_MAP_FOURIER_H

#include "attune/status.h"
#include "kernels/cpu/team.h"

#include <stdint.h>

typedef struct attune_fourier {
    uint32_t M;
    attune_team *team; /* borrowed */
    float *cosine;     /* (M): of 2 pi i / M */
    float *sine;       /* (M) */
    float *scratch;    /* by thread: two complex panels (M, 16) */
} attune_fourier;

typedef struct attune_plane {
    float *re, *im; /* (M, M) */
} attune_plane;

/* M a power of two from 16. On failure there is nothing to close. */
attune_status attune_fourier_open(attune_fourier *out, uint32_t M, attune_team *team);
void attune_fourier_close(attune_fourier *fourier); /* NULL-safe; also of {0} */

/* out[c][k] = sum over r < rows of in[r][c] exp(-2 pi i r k / M), for c < columns and k < keep;
 * columns are rounded up to 16. in.im may be NULL: zeros. The inverse, without the division
 * by M, is the same with re and im exchanged in both. `out` is not `in`. */
void attune_fourier_pass(const attune_fourier *fourier, attune_plane out, attune_plane in,
                         uint32_t rows, uint32_t columns, uint32_t keep);

#endif
