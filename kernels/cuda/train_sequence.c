/* train_sequence.c - the sequence stage in training mode on a CUDA device: memory, and the order of
 * its parts. Proven in emulation (tests/emulate); not yet run on a GPU. */
#include "kernels/cuda/train_sequence.h"

/* ---- memory ---- */

/* Hands out pieces of the memory, or only counts where there is none. */
static float *take(char *memory, size_t *used, size_t floats)
{
    float *piece = memory ? (float *)(void *)(memory + *used) : NULL;
    *used +=
        (floats * sizeof(float) + ATTUNE_CUDA_ALIGN - 1) / ATTUNE_CUDA_ALIGN * ATTUNE_CUDA_ALIGN;
    return piece;
}

static size_t place(attune_cuda_train_sequence *s, char *memory, size_t B, size_t T)
{
    const attune_network *n = &s->trainable->network;
    const size_t R = B * T, H = (size_t)n->hidden, A = (size_t)n->attention,
                 inner = B * (size_t)n->projection, outer = B * (size_t)n->embedding;
    size_t used = 0;
    for (int l = 0; l < n->layers; l++) {
        attune_cuda_train_layer *layer = &s->layers[l];
        layer->I = l == 0 ? n->features : n->hidden;
        layer->gates = take(memory, &used, R * 4 * H);
        layer->h = take(memory, &used, R * H);
        layer->dropped = l + 1 < n->layers ? take(memory, &used, R * H) : NULL;
    }
    s->gate_gradients = take(memory, &used, R * 4 * H);
    s->state_gradients = take(memory, &used, R * H);
    s->turned = take(memory, &used, 3 * H * H);
    s->parts = take(memory, &used, ATTUNE_CUDA_TRAIN_PARTS);
    if (A > 0) {
        s->attended = take(memory, &used, R * A);
        s->attended_gradient = take(memory, &used, R * A);
        s->weight = take(memory, &used, R);
        s->score_gradient = take(memory, &used, R);
    }
    s->pooled = take(memory, &used, B * H);
    s->pooled_gradient = take(memory, &used, B * H);
    s->inner = take(memory, &used, inner);
    s->active = take(memory, &used, inner);
    s->inner_gradient = take(memory, &used, inner);
    s->outer = take(memory, &used, outer);
    s->outer_gradient = take(memory, &used, outer);
    return used;
}

size_t attune_cuda_train_sequence_bytes(const attune_trainable *trainable, int B, int T)
{
    attune_cuda_train_sequence s = {.trainable = trainable};
    return place(&s, NULL, (size_t)B, (size_t)T);
}

void attune_cuda_train_sequence_place(attune_cuda_train_sequence *s, void *memory,
                                      const attune_trainable *trainable, int B, int T,
                                      int multiprocessors)
{
    *s = (attune_cuda_train_sequence){.trainable = trainable, .multiprocessors = multiprocessors};
    place(s, memory, (size_t)B, (size_t)T);
}

/* ---- forward ---- */

/* out (R, J) = in (R, K) · weight (J, K)ᵀ + bias */
static int apply(attune_cuda_stream *stream, float *out, size_t out_row, const float *in,
                 const float *weight, const float *bias, int R, int J, int K)
{
    const attune_cuda_train_product p = {.out = out,
                                         .left = in,
                                         .right = weight,
                                         .out_row = out_row,
                                         .left_row = (size_t)K,
                                         .right_row = (size_t)K,
                                         .M = R,
                                         .N = J,
                                         .K = K};
    return attune_cuda_train_apply(stream, &p, bias);
}

static int layer_forward(attune_cuda_stream *stream, attune_cuda_train_sequence *s, int l,
                         const float *parameters)
{
    const attune_trainable_gru *at = &s->trainable->gru[l];
    const attune_cuda_train_layer *layer = &s->layers[l];
    const int H = s->trainable->network.hidden, R = s->B * s->T;
    int error = apply(stream, layer->gates, 4 * (size_t)H, layer->x, parameters + at->weight_input,
                      parameters + at->bias_input, R, 3 * H, layer->I);
    error = error ? error
                  : attune_cuda_train_steps(
                        stream, layer->h, layer->gates, s->turned, parameters + at->weight_hidden,
                        parameters + at->bias_hidden, s->B, s->T, H, s->multiprocessors);
    if (l + 1 == s->trainable->network.layers) {
        return error;
    }
    const bool drops = s->dropout.layers > 0;
    s->layers[l + 1].x = drops ? layer->dropped : layer->h;
    return error || !drops
               ? error
               : attune_cuda_train_drop(stream, layer->dropped, layer->h, s->dropout.seed, l,
                                        s->dropout.layers, (size_t)R * (size_t)H);
}

int attune_cuda_train_sequence_forward(attune_cuda_stream *stream, attune_cuda_train_sequence *s,
                                       float *embeddings, const float *features,
                                       const float *parameters, int B, int T,
                                       const attune_cuda_train_dropout *dropout)
{
    const attune_trainable *t = s->trainable;
    const attune_network *n = &t->network;
    int error = 0;
    s->B = B;
    s->T = T;
    s->dropout = *dropout;
    s->layers[0].x = features;
    for (int l = 0; l < n->layers && !error; l++) {
        error = layer_forward(stream, s, l, parameters);
    }
    if (!error && n->pooling == ATTUNE_POOLING_ATTENTION) {
        error = apply(stream, s->attended, (size_t)n->attention, s->layers[n->layers - 1].h,
                      parameters + t->attention_weight, parameters + t->attention_bias, B * T,
                      n->attention, n->hidden);
        error = error ? error : attune_cuda_train_score(stream, s, parameters);
    }
    error = error ? error : attune_cuda_train_pool(stream, s);
    return error ? error : attune_cuda_train_head(stream, s, embeddings, parameters);
}

/* ---- backward ---- */

/* A gradient of weights: out (J, K) = by_out (R, J)ᵀ · in (R, K). */
static int gather(attune_cuda_stream *stream, const attune_cuda_train_sequence *s, float *out,
                  const float *by_out, size_t by_out_row, const float *in, int R, int J, int K,
                  int steps)
{
    const attune_cuda_train_product p = {.out = out,
                                         .left = by_out,
                                         .right = in,
                                         .out_row = (size_t)K,
                                         .left_row = by_out_row,
                                         .right_row = (size_t)K,
                                         .M = J,
                                         .N = K,
                                         .K = R};
    return attune_cuda_train_gather(stream, &p, steps, s->parts);
}

/* out (R, K) = by_out (R, J) · weight (J, K), or added to it. */
static int apply_back(attune_cuda_stream *stream, float *out, const float *by_out,
                      size_t by_out_row, const float *weight, int R, int J, int K, bool adds)
{
    const attune_cuda_train_product p = {.out = out,
                                         .left = by_out,
                                         .right = weight,
                                         .out_row = (size_t)K,
                                         .left_row = by_out_row,
                                         .right_row = (size_t)K,
                                         .M = R,
                                         .N = K,
                                         .K = J};
    return attune_cuda_train_apply_back(stream, &p, adds);
}

/* The head's and the attention's gradients, and state_gradients of the last layer. */
static int head_backward(attune_cuda_stream *stream, const attune_cuda_train_sequence *s,
                         float *gradients, const float *embedding_gradients,
                         const float *parameters)
{
    const attune_trainable *t = s->trainable;
    const attune_network *n = &t->network;
    const int H = n->hidden, P = n->projection, E = n->embedding, A = n->attention, B = s->B,
              R = B * s->T;
    int error = attune_cuda_train_head_back(stream, s, embedding_gradients, parameters);
    error = error ? error
                  : gather(stream, s, gradients + t->project2_weight, s->outer_gradient, (size_t)E,
                           s->active, B, E, P, 0);
    error = error ? error
                  : attune_cuda_train_sum_rows(stream, gradients + t->project2_bias,
                                               s->outer_gradient, (size_t)E, B, E, s->parts);
    error = error ? error
                  : gather(stream, s, gradients + t->project1_weight, s->inner_gradient, (size_t)P,
                           s->pooled, B, P, H, 0);
    error = error ? error
                  : attune_cuda_train_sum_rows(stream, gradients + t->project1_bias,
                                               s->inner_gradient, (size_t)P, B, P, s->parts);
    error = error ? error : attune_cuda_train_pool_back(stream, s, parameters);
    if (error || n->pooling != ATTUNE_POOLING_ATTENTION) {
        return error;
    }
    /* The score's bias has none: a softmax does not see what all scores have in common. */
    error = gather(stream, s, gradients + t->score_weight, s->score_gradient, 1, s->attended, R, 1,
                   A, 0);
    error = error ? error
                  : gather(stream, s, gradients + t->attention_weight, s->attended_gradient,
                           (size_t)A, s->layers[n->layers - 1].h, R, A, H, 0);
    error = error ? error
                  : attune_cuda_train_sum_rows(stream, gradients + t->attention_bias,
                                               s->attended_gradient, (size_t)A, R, A, s->parts);
    return error ? error
                 : apply_back(stream, s->state_gradients, s->attended_gradient, (size_t)A,
                              parameters + t->attention_weight, R, A, H, true);
}

/* Layer l's gradients; its outputs' become those of its inputs, which are state_gradients of the
 * layer below, or for the first layer feature_gradients where not NULL. */
static int layer_backward(attune_cuda_stream *stream, const attune_cuda_train_sequence *s,
                          float *gradients, float *feature_gradients, int l,
                          const float *parameters)
{
    const attune_trainable_gru *at = &s->trainable->gru[l];
    const attune_cuda_train_layer *layer = &s->layers[l];
    const int H = s->trainable->network.hidden, I = layer->I, R = s->B * s->T;
    const size_t G = 4 * (size_t)H;
    const float *by_gates = s->gate_gradients, *by_q = by_gates + 3 * H;
    float *hidden = gradients + at->weight_hidden, *bias = gradients + at->bias_hidden;
    int error = attune_cuda_train_steps_back(stream, s->gate_gradients, s->state_gradients,
                                             layer->gates, layer->h, parameters + at->weight_hidden,
                                             s->B, s->T, H, s->multiprocessors);
    error = error ? error
                  : gather(stream, s, gradients + at->weight_input, by_gates, G, layer->x, R, 3 * H,
                           I, 0);
    error = error ? error
                  : attune_cuda_train_sum_rows(stream, gradients + at->bias_input, by_gates, G, R,
                                               3 * H, s->parts);
    error = error ? error : gather(stream, s, hidden, by_gates, G, layer->h, R, 2 * H, H, s->T);
    error = error ? error
                  : gather(stream, s, hidden + 2 * (size_t)H * (size_t)H, by_q, G, layer->h, R, H,
                           H, s->T);
    error =
        error ? error : attune_cuda_train_sum_rows(stream, bias, by_gates, G, R, 2 * H, s->parts);
    error =
        error ? error : attune_cuda_train_sum_rows(stream, bias + 2 * H, by_q, G, R, H, s->parts);
    float *by_input = l == 0 ? feature_gradients : s->state_gradients;
    if (error || !by_input) {
        return error;
    }
    error = apply_back(stream, by_input, by_gates, G, parameters + at->weight_input, R, 3 * H, I,
                       false);
    return error || l == 0 || s->dropout.layers <= 0
               ? error
               : attune_cuda_train_drop(stream, by_input, by_input, s->dropout.seed, l - 1,
                                        s->dropout.layers, (size_t)R * (size_t)H);
}

int attune_cuda_train_sequence_backward(attune_cuda_stream *stream, attune_cuda_train_sequence *s,
                                        float *gradients, float *feature_gradients,
                                        const float *embedding_gradients, const float *parameters)
{
    int error = head_backward(stream, s, gradients, embedding_gradients, parameters);
    for (int l = s->trainable->network.layers - 1; l >= 0 && !error; l--) {
        error = layer_backward(stream, s, gradients, feature_gradients, l, parameters);
    }
    return error;
}
