/* train_sequence_reference.c - the sequence stage in training mode in plain double precision. */
#include "tests/reference/train_sequence_reference.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What one clip leaves behind on its way forward. */
typedef struct clip_layer {
    double *x;             /* (T, I) */
    double *r, *z, *n, *q; /* (T, H); q = W_hn h + b_hn */
    double *h;             /* (T + 1, H), from 0 */
} clip_layer;

typedef struct clip {
    const attune_trainable *t;
    const double *p;
    int index, T;
    reference_dropout dropout;
    clip_layer layers[ATTUNE_LAYERS_MAX];
    double *u, *weight; /* (T, A), (T) */
    double *pooled, *inner, *active, *outer;
} clip;

static double *zeros(size_t count)
{
    double *memory = calloc(count ? count : 1, sizeof(double));
    cr_assert_not_null(memory);
    return memory;
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* out (J) = w (J, K) x (K) + bias (J) */
static void linear(double *out, const double *w, const double *bias, const double *x, int J, int K)
{
    for (int j = 0; j < J; j++) {
        out[j] = bias[j];
        for (int k = 0; k < K; k++) {
            out[j] += w[j * K + k] * x[k];
        }
    }
}

/* The same backward, from g (J) by out; dx may be NULL. */
static void linear_backward(double *dw, double *dbias, double *dx, const double *w, const double *x,
                            const double *g, int J, int K)
{
    for (int j = 0; j < J; j++) {
        dbias[j] += g[j];
        for (int k = 0; k < K; k++) {
            dw[j * K + k] += g[j] * x[k];
            if (dx) {
                dx[k] += g[j] * w[j * K + k];
            }
        }
    }
}

/* What dropout multiplies with. */
static double keep(const clip *c, int layer, uint64_t element)
{
    const float drop = layer == ATTUNE_LAYERS_MAX ? c->dropout.head : c->dropout.layers;
    return attune_dropout_keeps(c->dropout.seed, (uint32_t)layer, element, drop)
               ? 1 / (1 - (double)drop)
               : 0;
}

static double keep_state(const clip *c, int layer, int t, int i)
{
    const uint64_t H = (uint64_t)c->t->network.hidden;
    return keep(c, layer, ((uint64_t)c->index * (uint64_t)c->T + (uint64_t)t) * H + (uint64_t)i);
}

static double keep_head(const clip *c, int i)
{
    const uint64_t P = (uint64_t)c->t->network.projection;
    return keep(c, ATTUNE_LAYERS_MAX, (uint64_t)c->index * P + (uint64_t)i);
}

static double activation(const clip *c, double x)
{
    if (c->t->network.architecture == ATTUNE_ARCHITECTURE_TINY) {
        return 0.5 * x * (1 + erf(x / sqrt(2)));
    }
    return x > 0 ? x : 0;
}

static double activation_slope(const clip *c, double x)
{
    if (c->t->network.architecture == ATTUNE_ARCHITECTURE_TINY) {
        return 0.5 * (1 + erf(x / sqrt(2))) + x * exp(-x * x / 2) / sqrt(2 * M_PI);
    }
    return x > 0;
}

static int inputs(const clip *c, int l)
{
    return l == 0 ? c->t->network.features : c->t->network.hidden;
}

static void gru_forward(clip *c, int l)
{
    const int H = c->t->network.hidden, I = inputs(c, l);
    const attune_trainable_gru *at = &c->t->gru[l];
    clip_layer *k = &c->layers[l];
    double *a = zeros(3 * (size_t)H), *b = zeros(3 * (size_t)H);
    for (int t = 0; t < c->T; t++) {
        const double *h = k->h + t * H;
        linear(a, c->p + at->weight_input, c->p + at->bias_input, k->x + t * I, 3 * H, I);
        linear(b, c->p + at->weight_hidden, c->p + at->bias_hidden, h, 3 * H, H);
        for (int i = 0; i < H; i++) {
            const int s = t * H + i;
            k->r[s] = sigmoid(a[i] + b[i]);
            k->z[s] = sigmoid(a[H + i] + b[H + i]);
            k->q[s] = b[2 * H + i];
            k->n[s] = tanh(a[2 * H + i] + k->r[s] * k->q[s]);
            k->h[s + H] = (1 - k->z[s]) * k->n[s] + k->z[s] * h[i];
        }
    }
    free(a);
    free(b);
}

static void pool_forward(clip *c)
{
    const attune_network *n = &c->t->network;
    const int H = n->hidden, A = n->attention, T = c->T;
    const double *h = c->layers[n->layers - 1].h + H;
    double sum = 0;
    for (int t = 0; t < T; t++) {
        c->weight[t] = n->pooling == ATTUNE_POOLING_LAST ? t == T - 1 : 1;
        if (n->pooling == ATTUNE_POOLING_ATTENTION) {
            double *u = c->u + t * A, score = 0;
            linear(u, c->p + c->t->attention_weight, c->p + c->t->attention_bias, h + t * H, A, H);
            for (int a = 0; a < A; a++) {
                u[a] = tanh(u[a]);
            }
            linear(&score, c->p + c->t->score_weight, c->p + c->t->score_bias, u, 1, A);
            c->weight[t] = exp(score);
        }
        sum += c->weight[t];
    }
    for (int t = 0; t < T; t++) {
        c->weight[t] /= sum;
        for (int i = 0; i < H; i++) {
            c->pooled[i] += c->weight[t] * h[t * H + i];
        }
    }
}

static void head_forward(clip *c, double *embedding)
{
    const attune_trainable *t = c->t;
    const int P = t->network.projection, E = t->network.embedding;
    double square = 0;
    linear(c->inner, c->p + t->project1_weight, c->p + t->project1_bias, c->pooled, P,
           t->network.hidden);
    for (int i = 0; i < P; i++) {
        c->active[i] = activation(c, c->inner[i]) * keep_head(c, i);
    }
    linear(c->outer, c->p + t->project2_weight, c->p + t->project2_bias, c->active, E, P);
    for (int i = 0; i < E; i++) {
        square += c->outer[i] * c->outer[i];
    }
    for (int i = 0; i < E; i++) {
        embedding[i] = c->outer[i] / fmax(sqrt(square), 1e-12);
    }
}

/* From g (E) by the embedding to that by what was pooled (H). */
static void head_backward(clip *c, double *gradients, double *by_pooled, const double *g)
{
    const attune_trainable *t = c->t;
    const int P = t->network.projection, E = t->network.embedding;
    double *by_outer = zeros((size_t)E), *by_inner = zeros((size_t)P), square = 0, along = 0;
    for (int i = 0; i < E; i++) {
        square += c->outer[i] * c->outer[i];
        along += c->outer[i] * g[i];
    }
    for (int i = 0; i < E; i++) { /* clamped, the norm is a constant */
        by_outer[i] = sqrt(square) > 1e-12
                          ? g[i] / sqrt(square) - along * c->outer[i] / pow(square, 1.5)
                          : g[i] / 1e-12;
    }
    linear_backward(gradients + t->project2_weight, gradients + t->project2_bias, by_inner,
                    c->p + t->project2_weight, c->active, by_outer, E, P);
    for (int i = 0; i < P; i++) {
        by_inner[i] *= keep_head(c, i) * activation_slope(c, c->inner[i]);
    }
    linear_backward(gradients + t->project1_weight, gradients + t->project1_bias, by_pooled,
                    c->p + t->project1_weight, c->pooled, by_inner, P, t->network.hidden);
    free(by_outer);
    free(by_inner);
}

/* To the gradient by the last layer's states (T, H). */
static void pool_backward(clip *c, double *gradients, double *by_states, const double *by_pooled)
{
    const attune_trainable *t = c->t;
    const int H = t->network.hidden, A = t->network.attention;
    const double *h = c->layers[t->network.layers - 1].h + H;
    double mean = 0, *by_weight = zeros((size_t)c->T), *by_u = zeros((size_t)A);
    for (int s = 0; s < c->T; s++) {
        for (int i = 0; i < H; i++) {
            by_states[s * H + i] += c->weight[s] * by_pooled[i];
            by_weight[s] += h[s * H + i] * by_pooled[i];
        }
        mean += c->weight[s] * by_weight[s];
    }
    for (int s = 0; s < c->T && t->network.pooling == ATTUNE_POOLING_ATTENTION; s++) {
        const double by_score = c->weight[s] * (by_weight[s] - mean);
        const double *u = c->u + s * A;
        memset(by_u, 0, sizeof(double) * (size_t)A);
        linear_backward(gradients + t->score_weight, gradients + t->score_bias, by_u,
                        c->p + t->score_weight, u, &by_score, 1, A);
        for (int a = 0; a < A; a++) {
            by_u[a] *= 1 - u[a] * u[a];
        }
        linear_backward(gradients + t->attention_weight, gradients + t->attention_bias,
                        by_states + s * H, c->p + t->attention_weight, h + s * H, by_u, A, H);
    }
    free(by_weight);
    free(by_u);
}

/* From the gradient by a layer's states (T, H), which it changes, to that by its inputs (T, I). */
static void gru_backward(clip *c, double *gradients, double *by_inputs, double *by_states, int l)
{
    const int H = c->t->network.hidden, I = inputs(c, l);
    const attune_trainable_gru *at = &c->t->gru[l];
    const clip_layer *k = &c->layers[l];
    double *a = zeros(3 * (size_t)H), *b = zeros(3 * (size_t)H), *past = zeros((size_t)H);
    for (int t = c->T - 1; t >= 0; t--) {
        const double *h = k->h + t * H;
        for (int i = 0; i < H; i++) {
            const int s = t * H + i;
            const double g = by_states[s], r = k->r[s], z = k->z[s], n = k->n[s];
            const double by_n = g * (1 - z) * (1 - n * n);
            a[i] = b[i] = by_n * k->q[s] * r * (1 - r);
            a[H + i] = b[H + i] = g * (h[i] - n) * z * (1 - z);
            a[2 * H + i] = by_n;
            b[2 * H + i] = by_n * r;
            past[i] = g * z;
        }
        linear_backward(gradients + at->weight_input, gradients + at->bias_input, by_inputs + t * I,
                        c->p + at->weight_input, k->x + t * I, a, 3 * H, I);
        linear_backward(gradients + at->weight_hidden, gradients + at->bias_hidden, past,
                        c->p + at->weight_hidden, h, b, 3 * H, H);
        for (int i = 0; t > 0 && i < H; i++) {
            by_states[(t - 1) * H + i] += past[i];
        }
    }
    free(a);
    free(b);
    free(past);
}

static void clip_backward(clip *c, double *gradients, double *feature_gradients, const double *g)
{
    const attune_network *n = &c->t->network;
    const int H = n->hidden;
    double *by_pooled = zeros((size_t)H), *by_states = zeros((size_t)c->T * H);
    head_backward(c, gradients, by_pooled, g);
    pool_backward(c, gradients, by_states, by_pooled);
    for (int l = n->layers - 1; l > 0; l--) {
        double *below = zeros((size_t)c->T * H);
        gru_backward(c, gradients, below, by_states, l);
        for (int i = 0; i < c->T * H; i++) {
            below[i] *= keep_state(c, l - 1, i / H, i % H);
        }
        free(by_states);
        by_states = below;
    }
    gru_backward(c, gradients, feature_gradients, by_states, 0);
    free(by_pooled);
    free(by_states);
}

static void clip_forward(clip *c, double *embedding, const double *features)
{
    const attune_network *n = &c->t->network;
    const int H = n->hidden, T = c->T;
    for (int l = 0; l < n->layers; l++) {
        clip_layer *k = &c->layers[l];
        double **all[] = {&k->r, &k->z, &k->n, &k->q};
        for (int i = 0; i < 4; i++) {
            *all[i] = zeros((size_t)T * H);
        }
        k->h = zeros(((size_t)T + 1) * H);
        k->x = zeros((size_t)T * inputs(c, l));
        for (int i = 0; i < T * inputs(c, l); i++) {
            k->x[i] = l == 0 ? features[i]
                             : c->layers[l - 1].h[H + i] * keep_state(c, l - 1, i / H, i % H);
        }
        gru_forward(c, l);
    }
    c->u = zeros((size_t)T * n->attention);
    c->weight = zeros((size_t)T);
    c->pooled = zeros((size_t)H);
    c->inner = zeros((size_t)n->projection);
    c->active = zeros((size_t)n->projection);
    c->outer = zeros((size_t)n->embedding);
    pool_forward(c);
    head_forward(c, embedding);
}

static void clip_free(clip *c)
{
    for (int l = 0; l < c->t->network.layers; l++) {
        clip_layer *k = &c->layers[l];
        double *all[] = {k->x, k->r, k->z, k->n, k->q, k->h};
        for (int i = 0; i < 6; i++) {
            free(all[i]);
        }
    }
    double *all[] = {c->u, c->weight, c->pooled, c->inner, c->active, c->outer};
    for (int i = 0; i < 6; i++) {
        free(all[i]);
    }
}

void reference_train_sequence(double *embeddings, double *gradients, double *feature_gradients,
                              const attune_trainable *trainable, const double *parameters,
                              const double *features, const double *embedding_gradients, int B,
                              int T, reference_dropout dropout)
{
    const size_t E = (size_t)trainable->network.embedding,
                 frames = (size_t)T * trainable->network.features;
    for (int b = 0; b < B; b++) {
        clip c = {.t = trainable, .p = parameters, .index = b, .T = T, .dropout = dropout};
        clip_forward(&c, embeddings + b * E, features + b * frames);
        if (gradients) {
            clip_backward(&c, gradients, feature_gradients + b * frames,
                          embedding_gradients + b * E);
        }
        clip_free(&c);
    }
}
