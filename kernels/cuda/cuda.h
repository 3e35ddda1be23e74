/* cuda.h - the CUDA kernels' weights, slots, scratch and contracts, for C, C++ and CUDA; private to
 * kernels/cuda.
 *
 * Every launcher queues its kernels on `stream` and returns a cudaError_t as int: 0, or why it
 * could not be queued. None allocates, copies or waits. Extents (F, rows, count) are at least 1.
 * Pointers are to device memory unless "host" is said; all of them come from cudaMalloc, or stand
 * on a multiple of 128 bytes behind such a pointer, except where a contract says otherwise. Padding
 * and rows that no segment names may hold anything.
 *
 * The same track must give the same bits in any company. So each sum below has one order that
 * depends on neither the extents of a call nor an element's place in it, and the .cu files are
 * compiled with -fmad=false: multiply-adds are fused where the source says fmaf() and nowhere else.
 */
#ifndef ATTUNE_KERNELS_CUDA_CUDA_H
#define ATTUNE_KERNELS_CUDA_CUDA_H

#ifdef __cplusplus
extern "C" {
#endif

#include "kernels/batch.h"

#include <stddef.h>
#include <stdint.h>

typedef struct CUstream_st attune_cuda_stream; /* cudaStream_t is attune_cuda_stream * */

enum {
    ATTUNE_CUDA_TILE = 64, /* right-hand sides of matrix products have whole tiles of columns */
    ATTUNE_CUDA_ALIGN =
        128 /* bytes: where every array of the blob, a slot and the scratch starts */
};

/* J rounded up to whole tiles: the row stride of a right-hand side. */
static inline size_t attune_cuda_tiles(size_t J)
{
    return (J + ATTUNE_CUDA_TILE - 1) / ATTUNE_CUDA_TILE * ATTUNE_CUDA_TILE;
}

/* One GRU layer; I inputs, H hidden, gates r, z, n beside each other. */
typedef struct attune_cuda_gru {
    int inputs;
    const float *input;       /* (I, tiles(3H)), zero-padded */
    const float *input_bias;  /* (tiles(3H)): b_i, and b_h added for r and z */
    const float *hidden;      /* (H, 3H): row k is what h[k] adds to all gates */
    const float *hidden_bias; /* (3H): 0 for r and z, b_hn */
} attune_cuda_gru;

/* A model's weights: this struct lives on the host and is passed by value to kernels; the arrays
 * behind its pointers are one blob in device memory. */
typedef struct attune_cuda_weights {
    attune_network network;
    /* AudioEmbeddingTiny */
    float conv0[5], conv0_bias;
    const float *depth;                 /* (8, 2, 4, 4): see frontend_tiny.cu */
    const uint32_t *mix_high, *mix_low; /* (8, 32, 4) pairs of halves: see frontend_tiny.cu */
    const float *mix_bias;              /* (64) */
    /* AudioEmbeddingGRU */
    const float *conv1, *conv1_bias; /* (7, 64), (64) */
    const float *conv2, *conv2_bias; /* (5, 64, 128), (128) */
    attune_cuda_gru gru[8];
    const float *attention, *attention_bias; /* (H, tiles(A)), (tiles(A)), zero-padded */
    const float *score;                      /* (tiles(A)), zero-padded */
    float score_bias;
    const float *project1, *project1_bias; /* (P, H), (P) */
    const float *project2, *project2_bias; /* (E, P), (E) */
} attune_cuda_weights;

/* Bytes of a network's blob. */
size_t attune_cuda_weights_bytes(const attune_network *network);

/* Writes the blob to `blob` in host memory (attune_cuda_weights_bytes of it) and fills in `weights`
 * with pointers as they will be once the blob has been copied to `base` in device memory. */
void attune_cuda_pack(attune_cuda_weights *weights, void *blob, const void *base,
                      const attune_model *model);

/* Bytes of one slot, which holds a track's state. Slots stand one behind the other: slot s starts
 * attune_cuda_slot_bytes * s behind the first. As floats: GRU states (layers, H), pooled sum (H)
 * and what it lost to rounding (H), largest score, sum of weights and what it lost, padding. */
size_t attune_cuda_slot_bytes(const attune_network *network);

/* Bytes of scratch for sequence calls on a feature buffer of `rows` rows: gates (rows, 3H), states
 * (rows, H), scores (rows). One call at a time may use it. */
size_t attune_cuda_scratch_bytes(const attune_network *network, uint32_t rows);

/* rows (F, C) of the feature buffer = front end of F frames; frame f is samples
 * [start[f], start[f] + N) of pcm, which is float or int16_t according to `format`. `pcm` needs the
 * alignment of a sample only, `features` is the first of the rows and needs that of a float,
 * `start` is (F). Tracks should be embedded with one format and one precision throughout. */
int attune_cuda_frontend(attune_cuda_stream *stream, float *features, const void *pcm,
                         const uint32_t *start, const attune_cuda_weights *weights /* host */,
                         attune_pcm format, attune_precision precision, uint32_t F);

/* Forgets what `count` slots held. slot_list is (count). */
int attune_cuda_begin(attune_cuda_stream *stream, void *slots, const uint32_t *slot_list,
                      const attune_cuda_weights *weights /* host */, uint32_t count);

/* Moves the states of the segments' slots on: all layers and the pooling. `features` is row 0 of
 * the feature buffer, and every segment lies within rows [first, first + rows) of it. `segments` is
 * (count), device memory, best sorted by falling count; no slot stands there twice. `scratch` is
 * for all first + rows rows. `multiprocessors` (of the device) sets how many tracks share a block;
 * results do not depend on it. */
int attune_cuda_sequence(attune_cuda_stream *stream, void *slots, void *scratch,
                         const float *features, const attune_segment *segments,
                         const attune_cuda_weights *weights /* host */, uint32_t first,
                         uint32_t rows, uint32_t count, int multiprocessors);

/* embeddings (count, E) of slots that have seen at least one frame. slot_list is (count). */
int attune_cuda_head(attune_cuda_stream *stream, float *embeddings, const void *slots,
                     const uint32_t *slot_list, const attune_cuda_weights *weights /* host */,
                     uint32_t count);

/* attune_cuda_frontend for AudioEmbeddingGRU, which it calls; always f32. */
int attune_cuda_frontend_gru(attune_cuda_stream *stream, float *features, const void *pcm,
                             const uint32_t *start, const attune_cuda_weights *weights /* host */,
                             attune_pcm format, uint32_t F);

/* What attune_cuda_sequence is made of, for tests and benchmarks. */

/* gates (rows, 3H) = bias + in (rows, I) · W of one layer. `gates` and `in` point to the first of
 * the rows. */
int attune_cuda_input_products(attune_cuda_stream *stream, float *gates, const float *in,
                               const attune_cuda_gru *layer /* host */, int H, uint32_t rows);

/* states (rows of H) of one layer from gates, both from row 0; layer l's state in the slots moves
 * on. */
int attune_cuda_gru_layer(attune_cuda_stream *stream, float *states, void *slots,
                          const float *gates, const attune_segment *segments,
                          const attune_cuda_weights *weights /* host */, int layer, uint32_t count,
                          int multiprocessors);

/* scores of `rows` rows of the top layer's states: w·tanh(W h + b) + c. Both point to the first. */
int attune_cuda_scores(attune_cuda_stream *stream, float *scores, const float *states,
                       const attune_cuda_weights *weights /* host */, uint32_t rows);

/* Adds the segments' states to the slots' pooled sums; both from row 0. Pooling "last" has none. */
int attune_cuda_pool(attune_cuda_stream *stream, void *slots, const float *scores,
                     const float *states, const attune_segment *segments,
                     const attune_cuda_weights *weights /* host */, uint32_t count);

#ifdef __cplusplus
}
#endif
#endif
