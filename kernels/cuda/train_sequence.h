/* train_sequence.h - the sequence stage in training mode on a CUDA device: features of a batch of
 * clips to embeddings, and the gradients of both it and its parameters; private to kernels/cuda.
 * CPU twin: kernels/cpu/train_sequence.h
 *
 * Rows are steps, clip by clip: R = B T of them. All rows' products with the inputs are made at
 * once, and so are the weights' gradients; between them each layer's steps follow one another
 * (train_gru.cu). The rules of cuda.h hold: launchers queue and return; no sum's order depends on
 * the device or on anything but the extents. Parameters and gradients are the trainable's flat
 * arrays, whose tensors may stand on any float. */
#ifndef ATTUNE_KERNELS_CUDA_TRAIN_SEQUENCE_H
#define ATTUNE_KERNELS_CUDA_TRAIN_SEQUENCE_H

#include "kernels/cuda/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

#include "kernels/training.h"

/* What drops; see attune_dropout_keeps. */
typedef struct attune_cuda_train_dropout {
    uint64_t seed;
    float layers, head;
} attune_cuda_train_dropout;

/* One GRU layer, I inputs. */
typedef struct attune_cuda_train_layer {
    int I;
    const float *x; /* (R, I): the features, or the states below, or what dropout left of them */
    float *gates;   /* (R, 4H): r, z, n and q = W_hn h + b_hn */
    float *h;       /* (R, H) */
    float *dropped; /* (R, H); the top layer has none */
} attune_cuda_train_layer;

/* Lives on the host; what it points to, on the device. */
typedef struct attune_cuda_train_sequence {
    const attune_trainable *trainable;
    int multiprocessors; /* of the device; results do not depend on it */
    int B, T;            /* of the last forward */
    attune_cuda_train_dropout dropout;
    attune_cuda_train_layer layers[ATTUNE_LAYERS_MAX];
    /* Of the present layer: by the gates, each row r, z, n, q, and by the outputs. */
    float *gate_gradients;  /* (R, 4H) */
    float *state_gradients; /* (R, H) */
    float *turned;          /* (H, 3H): a recurrent matrix transposed */
    float *parts;           /* (ATTUNE_CUDA_TRAIN_PARTS): sums over some of the rows */

    float *attended, *attended_gradient;    /* (R, A): tanh(W h + b), and before the tanh */
    float *weight, *score_gradient;         /* (R): the softmax, and before it */
    float *pooled, *pooled_gradient;        /* (B, H) */
    float *inner, *active, *inner_gradient; /* (B, P): before and after activation, dropout */
    float *outer, *outer_gradient;          /* (B, E): before the norm */
} attune_cuda_train_sequence;

enum { ATTUNE_CUDA_TRAIN_PARTS = 1 << 20 };

/* Bytes for up to B clips of up to T steps, and the pieces of so much memory. `trainable` is
 * borrowed. */
size_t attune_cuda_train_sequence_bytes(const attune_trainable *trainable, int B, int T);
void attune_cuda_train_sequence_place(attune_cuda_train_sequence *s, void *memory,
                                      const attune_trainable *trainable, int B, int T,
                                      int multiprocessors);

/* embeddings (B, E) of features (B, T, C), which backward reads again. */
int attune_cuda_train_sequence_forward(attune_cuda_stream *stream, attune_cuda_train_sequence *s,
                                       float *embeddings, const float *features,
                                       const float *parameters, int B, int T,
                                       const attune_cuda_train_dropout *dropout);

/* Of the last forward: gradients of all parameters but the front end's, zeroed by the caller, and
 * of the features (B, T, C) where feature_gradients is not NULL. */
int attune_cuda_train_sequence_backward(attune_cuda_stream *stream, attune_cuda_train_sequence *s,
                                        float *gradients, float *feature_gradients,
                                        const float *embedding_gradients, const float *parameters);

/* ---- what it is made of: train_product.cu ---- */

/* out (M, N) of a product over K; each matrix's rows stand `..._row` floats apart. */
typedef struct attune_cuda_train_product {
    float *out;
    const float *left, *right;
    size_t out_row, left_row, right_row;
    int M, N, K;
} attune_cuda_train_product;

/* out = left (M, K) · right (N, K)ᵀ + bias (N) */
int attune_cuda_train_apply(attune_cuda_stream *stream,
                            const attune_cuda_train_product *p /* host */, const float *bias);
/* out = left (M, K) · right (K, N), added to what is there where `adds`. */
int attune_cuda_train_apply_back(attune_cuda_stream *stream,
                                 const attune_cuda_train_product *p /* host */, bool adds);
/* out = left (K, M)ᵀ · right (K, N), a gradient of weights; out's rows follow one another. With
 * `steps` other than 0, row k of right counts as the one before it, and as zeros where k is a
 * multiple of `steps`: the states before. Sums over up to some rows each come to `parts` first. */
int attune_cuda_train_gather(attune_cuda_stream *stream,
                             const attune_cuda_train_product *p /* host */, int steps,
                             float *parts);
/* out (N) = sum of K rows of `in`. */
int attune_cuda_train_sum_rows(attune_cuda_stream *stream, float *out, const float *in,
                               size_t in_row, int K, int N, float *parts);

/* ---- train_gru.cu ---- */

/* h and gates of one layer's steps; of gates (R, 4H) the first 3H of a row come as the inputs'
 * share. `turned` (H, 3H) is scratch. */
int attune_cuda_train_steps(attune_cuda_stream *stream, float *h, float *gates, float *turned,
                            const float *hidden, const float *hidden_bias, int B, int T, int H,
                            int multiprocessors);
/* gate_gradients, from the last step to the first. All but `hidden` stand on 16 bytes. */
int attune_cuda_train_steps_back(attune_cuda_stream *stream, float *gate_gradients,
                                 const float *state_gradients, const float *gates, const float *h,
                                 const float *hidden, int B, int T, int H, int multiprocessors);
/* out (count) = in with elements of layer `layer` dropped; may be in place. */
int attune_cuda_train_drop(attune_cuda_stream *stream, float *out, const float *in, uint64_t seed,
                           int layer, float drop, size_t count);

/* ---- train_head.cu: of the struct's last batch ---- */

/* `attended`, which comes before its tanh, and the scores into `weight`. */
int attune_cuda_train_score(attune_cuda_stream *stream, const attune_cuda_train_sequence *s,
                            const float *parameters);
/* The last layer's states, and the scores in `weight`, to `weight` and `pooled`. */
int attune_cuda_train_pool(attune_cuda_stream *stream, const attune_cuda_train_sequence *s);
/* pooled_gradient to score_gradient and attended_gradient, and to state_gradients what does not
 * come through the scores. */
int attune_cuda_train_pool_back(attune_cuda_stream *stream, const attune_cuda_train_sequence *s,
                                const float *parameters);
/* `pooled` to embeddings (B, E), and their gradients to pooled_gradient. */
int attune_cuda_train_head(attune_cuda_stream *stream, const attune_cuda_train_sequence *s,
                           float *embeddings, const float *parameters);
int attune_cuda_train_head_back(attune_cuda_stream *stream, const attune_cuda_train_sequence *s,
                                const float *embedding_gradients, const float *parameters);

#ifdef __cplusplus
}
#endif
#endif
