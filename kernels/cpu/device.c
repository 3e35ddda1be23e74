/* device.c - the CPU as a device: one track through both stages, in chunks of frames.
 *
 * Nothing grows with the track: GRU states, and for the pooling a running softmax in double (the
 * largest score so far, the sum of exponentials and the weighted sum of states, rescaled when a
 * larger score comes). Steps are taken one by one, so the result does not depend on the chunks. The
 * projection runs once a track, in double. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"
#include "status/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { T_MAX = ATTUNE_FRAMES_PER_CALL };

typedef struct cpu_context {
    attune_cpu_weights weights;
    float *arena;
    float *frontend;       /* the front end's scratch */
    float *gates;          /* (T_MAX, panels(3H)) */
    float *states[2];      /* (T_MAX, H): a layer's inputs and outputs by turns */
    float *product;        /* 3H padded, one step's recurrent product */
    float *attention;      /* (T_MAX, panels(A)) */
    float *h;              /* (layers, H) */
    float scores[T_MAX];   /* attention scores of a chunk */
    double *pooled;        /* (H): the weighted sum of states */
    double weight;         /* the sum of weights */
    double largest;        /* the largest score */
    double *inner, *outer; /* (P), (E): the projection's */
    unsigned long long steps;
} cpu_context;

static void cpu_close(void *context)
{
    cpu_context *c = context;
    if (c) {
        free(c->weights.arena);
        free(c->arena);
        free(c->pooled);
        free(c);
    }
}

static size_t round_up(size_t count)
{
    return (count + 15) / 16 * 16;
}

static attune_status allocate_scratch(cpu_context *c)
{
    const attune_network *n = &c->weights.network;
    const size_t H = (size_t)n->hidden, gates = attune_panels(3 * H) * T_MAX,
                 states = round_up(H * T_MAX), product = 3 * H + 256,
                 attention = attune_panels((size_t)n->attention) * T_MAX, h = H * (size_t)n->layers,
                 front = round_up(n->architecture == ATTUNE_ARCHITECTURE_TINY
                                      ? ATTUNE_KERNEL(attune_frontend_tiny_scratch)(n)
                                      : ATTUNE_KERNEL(attune_frontend_gru_scratch)(n));
    const size_t total = front + gates + 2 * states + product + attention + h;
    float *at = c->arena = attune_cpu_allocate(total);
    const size_t doubles = H + (size_t)n->projection + (size_t)n->embedding;
    c->pooled = calloc(doubles, sizeof(double));
    if (!c->arena || !c->pooled) {
        return attune_fail_memory("the network's scratch", total * sizeof(float));
    }
    c->inner = c->pooled + H;
    c->outer = c->inner + n->projection;
    c->frontend = at;
    c->gates = at += front;
    c->states[0] = at += gates;
    c->states[1] = at += states;
    c->product = at += states;
    c->attention = at += product;
    c->h = at + attention;
    return ATTUNE_OK;
}

static void cpu_begin(void *context)
{
    cpu_context *c = context;
    const attune_network *n = &c->weights.network;
    memset(c->h, 0, sizeof(float) * (size_t)n->layers * (size_t)n->hidden);
    memset(c->pooled, 0, sizeof(double) * (size_t)n->hidden);
    c->weight = 0;
    c->largest = -INFINITY;
    c->steps = 0;
}

static attune_status cpu_open(void **context, const attune_model *model)
{
    *context = NULL;
    cpu_context *c = calloc(1, sizeof(*c));
    if (!c) {
        return attune_fail_memory("a CPU device", sizeof(*c));
    }
    attune_status status = attune_cpu_pack(&c->weights, model, ATTUNE_KERNEL(attune_gru_panel)());
    if (status == ATTUNE_OK) {
        status = allocate_scratch(c);
    }
    if (status != ATTUNE_OK) {
        cpu_close(c);
        return status;
    }
    cpu_begin(c);
    *context = c;
    return ATTUNE_OK;
}

static attune_status cpu_frontend(void *context, float *features, const float *pcm, int F)
{
    cpu_context *c = context;
    if (c->weights.network.architecture == ATTUNE_ARCHITECTURE_TINY) {
        ATTUNE_KERNEL(attune_frontend_tiny)(features, pcm, &c->weights, c->frontend, F);
    } else {
        ATTUNE_KERNEL(attune_frontend_gru)(features, pcm, &c->weights, c->frontend, F);
    }
    return ATTUNE_OK;
}

/* Adds `weight` times a state to the pooled sum. */
static void pool(cpu_context *c, const float *h, double weight)
{
    const int H = c->weights.network.hidden;
    for (int i = 0; i < H; i++) {
        c->pooled[i] += weight * (double)h[i];
    }
    c->weight += weight;
}

static void pool_attention(cpu_context *c, const float *h, int T)
{
    const int H = c->weights.network.hidden;
    ATTUNE_KERNEL(attune_attention)(c->scores, h, &c->weights, c->attention, T);
    for (int t = 0; t < T; t++) {
        const double score = (double)c->scores[t];
        if (score > c->largest) {
            const double rescale = exp(c->largest - score);
            for (int i = 0; i < H; i++) {
                c->pooled[i] *= rescale;
            }
            c->weight *= rescale;
            c->largest = score;
        }
        pool(c, h + (size_t)t * H, exp(score - c->largest));
    }
}

static attune_status cpu_sequence(void *context, const float *features, int F)
{
    cpu_context *c = context;
    const attune_network *n = &c->weights.network;
    const int H = n->hidden;
    const float *in = features;
    for (int l = 0; l < n->layers; l++) {
        const attune_cpu_gru *layer = &c->weights.gru[l];
        float *out = c->states[l % 2];
        ATTUNE_KERNEL(attune_matmul)
        (c->gates, in, (size_t)layer->inputs, layer->input, layer->input_bias, F, layer->inputs,
         3 * H);
        ATTUNE_KERNEL(attune_gru)
        (out, c->h + (size_t)l * H, c->gates, layer, c->product, F, H);
        in = out;
    }
    c->steps += (unsigned)F;
    if (n->pooling == ATTUNE_POOLING_ATTENTION) {
        pool_attention(c, in, F);
    } else if (n->pooling == ATTUNE_POOLING_MEAN) {
        for (int t = 0; t < F; t++) {
            pool(c, in + (size_t)t * H, 1.0);
        }
    }
    return ATTUNE_OK;
}

/* out (J) = weight (J, K) · in (K) + bias */
static void linear(double *out, const double *in, const float *weight, const float *bias, int J,
                   int K)
{
    for (int j = 0; j < J; j++) {
        double sum = (double)bias[j];
        for (int k = 0; k < K; k++) {
            sum += (double)weight[(size_t)j * K + k] * in[k];
        }
        out[j] = sum;
    }
}

static attune_status cpu_finish(void *context, float *embedding)
{
    cpu_context *c = context;
    const attune_cpu_weights *w = &c->weights;
    const attune_network *n = &w->network;
    const float *last = c->h + (size_t)(n->layers - 1) * n->hidden;
    if (c->steps == 0) {
        return attune_fail(ATTUNE_EINVAL, "an embedding needs at least one frame");
    }
    for (int i = 0; i < n->hidden; i++) {
        c->pooled[i] =
            n->pooling == ATTUNE_POOLING_LAST ? (double)last[i] : c->pooled[i] / c->weight;
    }
    linear(c->inner, c->pooled, w->project1, w->project1_bias, n->projection, n->hidden);
    for (int i = 0; i < n->projection; i++) {
        const double x = c->inner[i];
        c->inner[i] = n->architecture == ATTUNE_ARCHITECTURE_TINY ? x * 0.5 * erfc(-x * M_SQRT1_2)
                                                                  : fmax(x, 0.0);
    }
    linear(c->outer, c->inner, w->project2, w->project2_bias, n->embedding, n->projection);
    double square = 0;
    for (int i = 0; i < n->embedding; i++) {
        square += c->outer[i] * c->outer[i];
    }
    const double norm = fmax(sqrt(square), 1e-12);
    for (int i = 0; i < n->embedding; i++) {
        embedding[i] = (float)(c->outer[i] / norm);
    }
    return ATTUNE_OK;
}

#define ATTUNE_TEXT_(x) #x
#define ATTUNE_TEXT(x) ATTUNE_TEXT_(x)

const attune_kernels ATTUNE_KERNEL(attune_kernels) = {
    .device = "cpu",
    .detail = ATTUNE_TEXT(ATTUNE_ISA),
    .resampling = &ATTUNE_KERNEL(attune_resampling),
    .open = cpu_open,
    .close = cpu_close,
    .frontend = cpu_frontend,
    .begin = cpu_begin,
    .sequence = cpu_sequence,
    .finish = cpu_finish,
};
