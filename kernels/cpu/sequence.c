/* sequence.c - the stage after the front end: tracks' features through GRU, pooling and projection.
 *
 * Up to ATTUNE_LANES tracks go in step, so that what is read for one step of one (gru.c) is read
 * for all. Longest first; when a track ends, the next takes its lane. They advance together in
 * chunks of ROWS rows over all lanes, lane by lane in memory: (B, T, ...).
 *
 * Nothing grows with a track: GRU states, and for the pooling a running softmax in double (the
 * largest score so far, the sum of exponentials and the weighted sum of states, rescaled when a
 * larger score comes). Steps are taken one by one, so the result does not depend on the chunks. The
 * projection runs once a track, in double. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/fixed.h"
#include "kernels/cpu/simd.h"
#include "status/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 64 };

/* What is kept of a track. */
typedef struct track {
    float *h;       /* (layers, H): GRU states */
    double *pooled; /* (H): the weighted sum of the last layer's states */
    double weight;  /* the sum of weights */
    double largest; /* the largest attention score */
    uint64_t steps;
} track;

struct attune_cpu_sequence {
    const attune_cpu_weights *weights;
    track tracks[ATTUNE_SLOTS];
    float *arena;
    float *states[2];      /* (ROWS, the wider of C and H): a layer's inputs and outputs by turns */
    float *gates;          /* (ROWS, panels(3H)) */
    float *product;        /* (ATTUNE_LANES, 3H padded): one step's recurrent product */
    float *attention;      /* (ROWS, panels(A)) */
    float scores[ROWS];    /* attention scores of a chunk */
    double *inner, *outer; /* (P), (E): the projection's */
};

/* A track on its way: what is left of its segment. */
typedef struct lane {
    track *track;
    const float *features;
    uint32_t left;
} lane;

static size_t round_up(size_t count)
{
    return (count + 15) / 16 * 16;
}

attune_status ATTUNE_KERNEL(attune_sequence_open)(attune_cpu_sequence **out,
                                                  const attune_cpu_weights *weights)
{
    const attune_network *n = &weights->network;
    const size_t H = (size_t)n->hidden, C = (size_t)n->features,
                 states = round_up((C > H ? C : H) * ROWS), gates = attune_panels(3 * H) * ROWS,
                 product = (3 * H + 256) * ATTUNE_LANES,
                 attention = attune_panels((size_t)n->attention) * ROWS,
                 h = round_up(H * (size_t)n->layers),
                 total = 2 * states + gates + product + attention + h * ATTUNE_SLOTS,
                 doubles = H * ATTUNE_SLOTS + (size_t)n->projection + (size_t)n->embedding;
    attune_cpu_sequence *s = *out = calloc(1, sizeof(*s));
    float *at = attune_cpu_allocate(total);
    double *pooled = calloc(doubles, sizeof(double));
    if (!s || !at || !pooled) {
        free(s);
        free(at);
        free(pooled);
        *out = NULL;
        return attune_fail_memory("the network's scratch", total * sizeof(float));
    }
    s->weights = weights;
    s->arena = s->states[0] = at;
    s->states[1] = at += states;
    s->gates = at += states;
    s->product = at += gates;
    s->attention = at += product;
    at += attention;
    for (uint32_t i = 0; i < ATTUNE_SLOTS; i++) {
        s->tracks[i].h = at + i * h;
        s->tracks[i].pooled = pooled + i * H;
    }
    s->inner = pooled + H * ATTUNE_SLOTS;
    s->outer = s->inner + n->projection;
    return ATTUNE_OK;
}

void ATTUNE_KERNEL(attune_sequence_close)(attune_cpu_sequence *s)
{
    if (s) {
        free(s->arena);
        free(s->tracks[0].pooled);
        free(s);
    }
}

void ATTUNE_KERNEL(attune_sequence_begin)(attune_cpu_sequence *s, uint32_t slot)
{
    const attune_network *n = &s->weights->network;
    track *t = &s->tracks[slot];
    memset(t->h, 0, sizeof(float) * (size_t)n->layers * (size_t)n->hidden);
    memset(t->pooled, 0, sizeof(double) * (size_t)n->hidden);
    t->weight = 0;
    t->largest = -INFINITY;
    t->steps = 0;
}

/* Adds `weight` times a state to the pooled sum. */
static void pool(track *to, const float *h, double weight, int H)
{
    for (int i = 0; i < H; i++) {
        to->pooled[i] += weight * (double)h[i];
    }
    to->weight += weight;
}

static void pool_attention(track *to, const float *h, const float *scores, int T, int H)
{
    for (int t = 0; t < T; t++) {
        const double score = (double)scores[t];
        if (score > to->largest) {
            const double rescale = exp(to->largest - score);
            for (int i = 0; i < H; i++) {
                to->pooled[i] *= rescale;
            }
            to->weight *= rescale;
            to->largest = score;
        }
        pool(to, h + (size_t)t * H, exp(score - to->largest), H);
    }
}

/* Adds the last layer's states h (B, T, H) to what the tracks have pooled. */
static void pool_chunk(attune_cpu_sequence *s, const lane *lanes, const float *h, int B, int T)
{
    const attune_network *n = &s->weights->network;
    const int H = n->hidden;
    if (n->pooling == ATTUNE_POOLING_ATTENTION) {
        ATTUNE_KERNEL(attune_attention)(s->scores, h, s->weights, s->attention, B * T);
    }
    for (int b = 0; b < B; b++) {
        const float *states = h + (size_t)b * T * H;
        if (n->pooling == ATTUNE_POOLING_ATTENTION) {
            pool_attention(lanes[b].track, states, s->scores + b * T, T, H);
        } else if (n->pooling == ATTUNE_POOLING_MEAN) {
            for (int t = 0; t < T; t++) {
                pool(lanes[b].track, states + (size_t)t * H, 1.0, H);
            }
        }
    }
}

/* The next T steps of B tracks. */
static void run_chunk(attune_cpu_sequence *s, lane *lanes, int B, int T)
{
    const attune_network *n = &s->weights->network;
    const int H = n->hidden;
    const size_t C = (size_t)n->features;
    float *in = s->states[0], *out = s->states[1], *h[ATTUNE_LANES];
    for (int b = 0; b < B; b++) {
        memcpy(in + (size_t)b * T * C, lanes[b].features, (size_t)T * C * sizeof(float));
        lanes[b].features += (size_t)T * C;
        lanes[b].left -= (uint32_t)T;
        lanes[b].track->steps += (uint32_t)T;
    }
    for (int l = 0; l < n->layers; l++) {
        const attune_cpu_gru *layer = &s->weights->gru[l];
        for (int b = 0; b < B; b++) {
            h[b] = lanes[b].track->h + (size_t)l * H;
        }
        if (layer->fixed_input.product) {
            attune_fixed_rows(s->gates, attune_panels(3 * (size_t)H), in, (size_t)H,
                              &layer->fixed_input, B * T);
        } else {
            ATTUNE_KERNEL(attune_matmul)
            (s->gates, in, (size_t)layer->inputs, layer->input, layer->input_bias, B * T,
             layer->inputs, 3 * H);
        }
        ATTUNE_KERNEL(attune_gru)(out, h, s->gates, layer, s->product, B, T, H);
        float *swap = in;
        in = out;
        out = swap;
    }
    pool_chunk(s, lanes, in, B, T);
}

/* Segments, longest first. */
static void by_length(const attune_segment **sorted, const attune_segment *segments, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = i;
        for (; at > 0 && sorted[at - 1]->count < segments[i].count; at--) {
            sorted[at] = sorted[at - 1];
        }
        sorted[at] = &segments[i];
    }
}

void ATTUNE_KERNEL(attune_sequence_run)(attune_cpu_sequence *s, const float *features,
                                        const attune_segment *segments, uint32_t count)
{
    const attune_segment *sorted[ATTUNE_SLOTS];
    lane lanes[ATTUNE_LANES];
    uint32_t next = 0;
    int B = 0;
    by_length(sorted, segments, count);
    for (;;) {
        while (B < ATTUNE_LANES && next < count) {
            const attune_segment *segment = sorted[next++];
            lanes[B++] = (lane){
                .track = &s->tracks[segment->slot],
                .features = features + (size_t)segment->first * s->weights->network.features,
                .left = segment->count,
            };
        }
        if (B == 0) {
            return;
        }
        uint32_t T = ROWS / (uint32_t)B;
        for (int b = 0; b < B; b++) {
            T = lanes[b].left < T ? lanes[b].left : T;
        }
        run_chunk(s, lanes, B, (int)T);
        for (int b = B - 1; b >= 0; b--) {
            if (lanes[b].left == 0) {
                lanes[b] = lanes[--B];
            }
        }
    }
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

attune_status ATTUNE_KERNEL(attune_sequence_finish)(attune_cpu_sequence *s, float *embedding,
                                                    uint32_t slot)
{
    const attune_cpu_weights *w = s->weights;
    const attune_network *n = &w->network;
    track *t = &s->tracks[slot];
    const float *last = t->h + (size_t)(n->layers - 1) * n->hidden;
    if (t->steps == 0) {
        return attune_fail(ATTUNE_EINVAL, "an embedding needs at least one frame");
    }
    for (int i = 0; i < n->hidden; i++) {
        t->pooled[i] =
            n->pooling == ATTUNE_POOLING_LAST ? (double)last[i] : t->pooled[i] / t->weight;
    }
    linear(s->inner, t->pooled, w->project1, w->project1_bias, n->projection, n->hidden);
    for (int i = 0; i < n->projection; i++) {
        const double x = s->inner[i];
        s->inner[i] = n->architecture == ATTUNE_ARCHITECTURE_TINY ? x * 0.5 * erfc(-x * M_SQRT1_2)
                                                                  : fmax(x, 0.0);
    }
    linear(s->outer, s->inner, w->project2, w->project2_bias, n->embedding, n->projection);
    double square = 0;
    for (int i = 0; i < n->embedding; i++) {
        square += s->outer[i] * s->outer[i];
    }
    const double norm = fmax(sqrt(square), 1e-12);
    for (int i = 0; i < n->embedding; i++) {
        embedding[i] = (float)(s->outer[i] / norm);
    }
    return ATTUNE_OK;
}
