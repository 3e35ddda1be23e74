/* train_head.c - behind the GRU in training mode: pooling over time, projection, length 1.
 *
 * What is done once a clip and unit (exponentials, the activation, the norm) is done in double. */
#include "kernels/cpu/simd.h"
#include "kernels/cpu/train_sequence.h"

#include <math.h>

static const float *top_states(const attune_train_sequence *s)
{
    return s->layers[s->trainable->network.layers - 1].h;
}

static float dot(const float *a, const float *b, int count)
{
    vf sum = broadcast(0.0f);
    for (int i = 0; i < count; i += W) {
        sum = fma_v(load(a + i), load(b + i), sum);
    }
    return sum_v(sum);
}

/* to += x · from */
static void add_scaled(float *to, float x, const float *from, int count)
{
    for (int i = 0; i < count; i += W) {
        store(to + i, fma_v(broadcast(x), load(from + i), load(to + i)));
    }
}

/* ---- pooling ---- */

/* weight (T) = softmax of scores (T), in place. */
static void softmax(float *weight, int T)
{
    double largest = -INFINITY, sum = 0;
    for (int t = 0; t < T; t++) {
        largest = fmax(largest, (double)weight[t]);
    }
    for (int t = 0; t < T; t++) {
        sum += exp((double)weight[t] - largest);
    }
    for (int t = 0; t < T; t++) {
        weight[t] = (float)(exp((double)weight[t] - largest) / sum);
    }
}

/* The weights of a set's steps by attention; row 0 has none. The score's bias changes nothing. */
static void attend(attune_train_sequence *s, attune_train_set set)
{
    const attune_trainable *p = s->trainable;
    const int H = p->network.hidden, rows = set.count * (s->T + 1);
    const size_t first = attune_train_row(s, set.first);
    ATTUNE_KERNEL(attune_product)
    (s->attended + first * s->A, s->A, attune_upright(top_states(s) + first * H, (size_t)H),
     attune_packed(s->attention, H), s->parameters + p->attention_bias, rows, H,
     p->network.attention);
    for (size_t row = first; row < first + (size_t)rows; row++) {
        float *a = s->attended + row * s->A;
        for (size_t i = 0; i < s->A; i += W) {
            store(a + i, tanh_v(load(a + i)));
        }
        s->weight[row] = dot(a, s->score, (int)s->A);
    }
    for (int b = set.first; b < set.first + set.count; b++) {
        softmax(s->weight + attune_train_row(s, b) + 1, s->T);
    }
}

void ATTUNE_KERNEL(attune_train_pool_forward)(attune_train_sequence *s, attune_train_set set)
{
    const attune_network *n = &s->trainable->network;
    const int H = n->hidden, T = s->T;
    if (n->pooling == ATTUNE_POOLING_ATTENTION) {
        attend(s, set);
    }
    for (int b = set.first; b < set.first + set.count; b++) {
        const size_t row = attune_train_row(s, b);
        const float *h = top_states(s) + row * H;
        float *pooled = s->pooled + (size_t)b * H;
        memset(pooled, 0, sizeof(float) * (size_t)H);
        for (int t = n->pooling == ATTUNE_POOLING_LAST ? T : 1; t <= T; t++) {
            const float weight = n->pooling == ATTUNE_POOLING_ATTENTION ? s->weight[row + (size_t)t]
                                 : n->pooling == ATTUNE_POOLING_MEAN    ? 1.0f / (float)T
                                                                        : 1.0f;
            add_scaled(pooled, weight, h + (size_t)t * H, H);
        }
    }
}

/* From the gradient g by what a clip has pooled to those before the tanh, and by the scores. */
static void attend_backward(attune_train_sequence *s, const float *g, int clip)
{
    const int H = s->trainable->network.hidden;
    const size_t row = attune_train_row(s, clip), A = s->A;
    const float *h = top_states(s) + row * H, *weight = s->weight + row;
    float *by_score = s->score_gradient + row;
    double mean = 0;
    for (int t = 1; t <= s->T; t++) {
        by_score[t] = dot(g, h + (size_t)t * H, H);
        mean += (double)weight[t] * (double)by_score[t];
    }
    by_score[0] = 0;
    memset(s->attended_gradient + row * A, 0, sizeof(float) * A);
    for (int t = 1; t <= s->T; t++) {
        by_score[t] = (float)((double)weight[t] * ((double)by_score[t] - mean));
        const size_t at = (row + (size_t)t) * A;
        for (size_t i = 0; i < A; i += W) {
            const vf u = load(s->attended + at + i);
            store(s->attended_gradient + at + i, by_score[t] * load(s->score + i) * (1.0f - u * u));
        }
    }
}

/* g, weighted, to the gradients by every step's state. */
static void spread_gradient(attune_train_sequence *s, const float *g, int clip)
{
    const attune_network *n = &s->trainable->network;
    const int H = n->hidden;
    const size_t row = attune_train_row(s, clip) + 1;
    float *out = s->state_gradients + row * H;
    if (n->pooling == ATTUNE_POOLING_ATTENTION) {
        attend_backward(s, g, clip);
        ATTUNE_KERNEL(attune_product)
        (out, (size_t)H, attune_upright(s->attended_gradient + row * s->A, s->A),
         attune_packed(s->attention_back, n->attention), NULL, s->T, n->attention, H);
    } else {
        memset(out, 0, sizeof(float) * (size_t)s->T * (size_t)H);
    }
    for (int t = n->pooling == ATTUNE_POOLING_LAST ? s->T - 1 : 0; t < s->T; t++) {
        const float weight = n->pooling == ATTUNE_POOLING_ATTENTION ? s->weight[row + (size_t)t]
                             : n->pooling == ATTUNE_POOLING_MEAN    ? 1.0f / (float)s->T
                                                                    : 1.0f;
        add_scaled(out + (size_t)t * H, weight, g, H);
    }
}

void ATTUNE_KERNEL(attune_train_pool_backward)(attune_train_sequence *s, attune_train_set set)
{
    for (int b = set.first; b < set.first + set.count; b++) {
        spread_gradient(s, s->pooled_gradient + (size_t)b * s->trainable->network.hidden, b);
    }
}

void ATTUNE_KERNEL(attune_train_pool_jobs)(attune_train_sequence *s, float *gradients)
{
    const attune_trainable *p = s->trainable;
    const int H = p->network.hidden, A = p->network.attention, rows = s->B * (s->T + 1);
    const attune_left ones = {0};
    if (p->network.pooling != ATTUNE_POOLING_ATTENTION) {
        return;
    }
    attune_train_add(s, gradients + p->attention_weight,
                     attune_transposed(s->attended_gradient, s->A),
                     attune_standing(top_states(s), (size_t)H), A, rows, H);
    attune_train_add(s, gradients + p->attention_bias, ones,
                     attune_standing(s->attended_gradient, s->A), 1, rows, A);
    attune_train_add(s, gradients + p->score_weight, attune_upright(s->score_gradient, 1),
                     attune_standing(s->attended, s->A), 1, rows, A);
    gradients[p->score_bias] = 0; /* a softmax does not see what all scores have in common */
}

/* ---- projection and norm ---- */

static double activate(double x, bool gelu)
{
    return gelu ? x * 0.5 * erfc(-x * M_SQRT1_2) : fmax(x, 0.0);
}

static double activate_slope(double x, bool gelu)
{
    static const double density = 0.39894228040143267794; /* 1 / √(2π) */
    return gelu ? 0.5 * erfc(-x * M_SQRT1_2) + x * density * exp(-0.5 * x * x) : x > 0;
}

/* What dropout multiplies element (clip, unit) of the head with. */
static double head_scale(const attune_train_sequence *s, int clip, int unit)
{
    const uint64_t P = (uint64_t)s->trainable->network.projection;
    const bool keeps = attune_dropout_keeps(s->dropout.seed, ATTUNE_LAYERS_MAX,
                                            (uint64_t)clip * P + (uint64_t)unit, s->dropout.head);
    return keeps ? 1.0 / (1.0 - (double)s->dropout.head) : 0.0;
}

static double length(const float *x, int count)
{
    double square = 0;
    for (int i = 0; i < count; i++) {
        square += (double)x[i] * (double)x[i];
    }
    return sqrt(square);
}

void ATTUNE_KERNEL(attune_train_head_forward)(attune_train_sequence *s, float *embeddings,
                                              attune_train_set set)
{
    const attune_trainable *p = s->trainable;
    const int H = p->network.hidden, P = p->network.projection, E = p->network.embedding;
    const bool gelu = p->network.architecture == ATTUNE_ARCHITECTURE_TINY;
    const size_t first = (size_t)set.first;
    ATTUNE_KERNEL(attune_product)
    (s->inner + first * P, (size_t)P, attune_upright(s->pooled + first * H, (size_t)H),
     attune_packed(s->project1, H), s->parameters + p->project1_bias, set.count, H, P);
    for (int b = set.first; b < set.first + set.count; b++) {
        for (int i = 0; i < P; i++) {
            const size_t at = (size_t)b * P + (size_t)i;
            s->active[at] = (float)(activate((double)s->inner[at], gelu) * head_scale(s, b, i));
        }
    }
    ATTUNE_KERNEL(attune_product)
    (s->outer + first * E, (size_t)E, attune_upright(s->active + first * P, (size_t)P),
     attune_packed(s->project2, P), s->parameters + p->project2_bias, set.count, P, E);
    for (int b = set.first; b < set.first + set.count; b++) {
        const float *outer = s->outer + (size_t)b * E;
        const double norm = fmax(length(outer, E), 1e-12);
        for (int i = 0; i < E; i++) {
            embeddings[(size_t)b * E + i] = (float)((double)outer[i] / norm);
        }
    }
}

/* Gradient by x from that by x / max(|x|, 1e-12). */
static void norm_backward(float *out, const float *g, const float *x, int E)
{
    const double norm = length(x, E);
    double along = 0; /* a component that the norm takes away */
    for (int i = 0; i < E; i++) {
        along += (double)g[i] * (double)x[i];
    }
    along = norm > 1e-12 ? along / (norm * norm) : 0;
    for (int i = 0; i < E; i++) {
        out[i] = (float)(((double)g[i] - along * (double)x[i]) / fmax(norm, 1e-12));
    }
}

void ATTUNE_KERNEL(attune_train_head_backward)(attune_train_sequence *s,
                                               const float *embedding_gradients,
                                               attune_train_set set)
{
    const attune_trainable *p = s->trainable;
    const int H = p->network.hidden, P = p->network.projection, E = p->network.embedding;
    const bool gelu = p->network.architecture == ATTUNE_ARCHITECTURE_TINY;
    const size_t first = (size_t)set.first;
    for (int b = set.first; b < set.first + set.count; b++) {
        const size_t at = (size_t)b * E;
        norm_backward(s->outer_gradient + at, embedding_gradients + at, s->outer + at, E);
    }
    ATTUNE_KERNEL(attune_product)
    (s->inner_gradient + first * P, (size_t)P,
     attune_upright(s->outer_gradient + first * E, (size_t)E), attune_packed(s->project2_back, E),
     NULL, set.count, E, P);
    for (int b = set.first; b < set.first + set.count; b++) {
        for (int i = 0; i < P; i++) {
            const size_t at = (size_t)b * P + (size_t)i;
            s->inner_gradient[at] = (float)((double)s->inner_gradient[at] * head_scale(s, b, i) *
                                            activate_slope((double)s->inner[at], gelu));
        }
    }
    ATTUNE_KERNEL(attune_product)
    (s->pooled_gradient + first * H, (size_t)H,
     attune_upright(s->inner_gradient + first * P, (size_t)P), attune_packed(s->project1_back, P),
     NULL, set.count, P, H);
}

void ATTUNE_KERNEL(attune_train_head_jobs)(attune_train_sequence *s, float *gradients)
{
    const attune_trainable *p = s->trainable;
    const int H = p->network.hidden, P = p->network.projection, E = p->network.embedding;
    const attune_left ones = {0};
    const attune_right inner = attune_standing(s->inner_gradient, (size_t)P),
                       outer = attune_standing(s->outer_gradient, (size_t)E);
    attune_train_add(s, gradients + p->project1_weight,
                     attune_transposed(s->inner_gradient, (size_t)P),
                     attune_standing(s->pooled, (size_t)H), P, s->B, H);
    attune_train_add(s, gradients + p->project1_bias, ones, inner, 1, s->B, P);
    attune_train_add(s, gradients + p->project2_weight,
                     attune_transposed(s->outer_gradient, (size_t)E),
                     attune_standing(s->active, (size_t)P), E, s->B, P);
    attune_train_add(s, gradients + p->project2_bias, ones, outer, 1, s->B, E);
}
