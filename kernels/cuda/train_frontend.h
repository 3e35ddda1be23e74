/* train_frontend.h - the front end in training mode on a CUDA device, forward and backward; private
 * to kernels/cuda. CPU twin: kernels/cpu/train_frontend.h
 *
 * As in cuda.h: launchers queue on `stream` and return a cudaError_t as int, and none allocates,
 * copies or waits. Batch normalisation takes the statistics of a group of clips, so a layer can
 * only be normalised when all frames of the group have reached it: every call is a row of passes
 * over the frames. Activations are made anew in every pass that needs them. Sums over frames are
 * made frame by frame into rows, and then over the rows in order: the same batch and parameters
 * give the same bits. */
#ifndef ATTUNE_KERNELS_CUDA_TRAIN_FRONTEND_H
#define ATTUNE_KERNELS_CUDA_TRAIN_FRONTEND_H

#include "kernels/cuda/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

#include "model/trainable.h"

/* The same for every call on one `memory`. */
typedef struct attune_cuda_train_frontend {
    const attune_trainable *trainable; /* host */
    int frames;                        /* F of one group at most */
    int groups;                        /* at most */
    bool frozen;                       /* running statistics, which stay; no backward */
    void *memory; /* attune_cuda_train_frontend_bytes; holds what backward needs of every group */
} attune_cuda_train_frontend;

/* One group's clips: samples (clips, S), finite, aligned as floats are; F = clips·T frames, frame i
 * being clip i / T from sample i % T · hop on. S is at least one frame. */
typedef struct attune_cuda_clips {
    const float *samples;
    size_t S;
    int clips, T;
} attune_cuda_clips;

/* Bytes of `memory`; all other fields are set. */
size_t attune_cuda_train_frontend_bytes(const attune_cuda_train_frontend *frontend /* host */);

/* features (F, C) of group `group`, normalised by its own statistics; `statistics` (all of the
 * trainable's) move on. `parameters` are all of the trainable's. `features` is aligned as floats
 * are. */
int attune_cuda_train_frontend_forward(attune_cuda_stream *stream, float *features,
                                       float *statistics,
                                       const attune_cuda_train_frontend *frontend /* host */,
                                       const float *parameters,
                                       const attune_cuda_clips *clips /* host */, int group);

/* Adds the group's gradients to `gradients` (all of the trainable's; only the front end's change),
 * from those by its features (F, C), with the parameters and clips of the group's last forward. Not
 * for a frozen front end. */
int attune_cuda_train_frontend_backward(attune_cuda_stream *stream, float *gradients,
                                        const attune_cuda_train_frontend *frontend /* host */,
                                        const float *feature_gradients, const float *parameters,
                                        const attune_cuda_clips *clips /* host */, int group);

/* The same for AudioEmbeddingGRU, which the three call. */
size_t attune_cuda_train_frontend_gru_bytes(const attune_cuda_train_frontend *frontend);
int attune_cuda_train_frontend_gru_forward(attune_cuda_stream *stream, float *features,
                                           float *statistics,
                                           const attune_cuda_train_frontend *frontend,
                                           const float *parameters, const attune_cuda_clips *clips,
                                           int group);
int attune_cuda_train_frontend_gru_backward(attune_cuda_stream *stream, float *gradients,
                                            const attune_cuda_train_frontend *frontend,
                                            const float *feature_gradients, const float *parameters,
                                            const attune_cuda_clips *clips, int group);

#ifdef __cplusplus
}
#endif
#endif
