/* precision.h - how exact a device computes. */
#ifndef ATTUNE_KERNELS_PRECISION_H
#define ATTUNE_KERNELS_PRECISION_H

typedef enum attune_precision {
    ATTUNE_PRECISION_EXACT, /* f32 throughout, or what is as good */
    /* Embeddings within 5e-4. On a CPU fixed point with AVX-512, else f32 with a quicker GELU in
     * AudioEmbeddingTiny; as exact for a model that leads too far off with it. */
    ATTUNE_PRECISION_FAST,
} attune_precision;

#endif
