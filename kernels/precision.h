/* precision.h - how exact a device computes. */
#ifndef ATTUNE_KERNELS_PRECISION_H
#define ATTUNE_KERNELS_PRECISION_H

typedef enum attune_precision {
    ATTUNE_PRECISION_EXACT, /* f32 throughout, or what is as good */
    ATTUNE_PRECISION_FAST,  /* embeddings within 5e-4 */
} attune_precision;

#endif
