/* train_gru.c - a GRU layer in training mode: forward, and back through time.
 *
 *   r = σ(a_r)   z = σ(a_z)   q = W_hn h + b_hn   n = tanh(a_n + r ∘ q)   h' = (1 − z) ∘ n + z ∘ h
 *
 * with a the inputs' share W_i x + b_i and, for r and z, the states'. Forward keeps r, z, n and q.
 * From g, the gradient by h':
 *
 *   by n's argument   n̄ = g ∘ (1 − z) ∘ (1 − n²)     q̄ = n̄ ∘ r
 *   by r's            r̄ = n̄ ∘ q ∘ r ∘ (1 − r)
 *   by z's            z̄ = g ∘ (h − n) ∘ z ∘ (1 − z)
 *   by h              g ∘ z + W_hᵀ (r̄, z̄, q̄)         by x   W_iᵀ (r̄, z̄, n̄)
 *
 * Each step waits for the one before (after) it; everything else is a product over many rows. */
#include "kernels/cpu/simd.h"
#include "kernels/cpu/train_sequence.h"

/* One clip's step: the inputs' share x of its gates becomes r, z, n, q; y is the states' share. */
static void step_forward(float *next, float *x, const float *h, const float *y, int H)
{
    for (int i = 0; i < H; i += W) {
        const vf q = load(y + 2 * H + i);
        const vf r = sigmoid_v(load(x + i) + load(y + i));
        const vf z = sigmoid_v(load(x + H + i) + load(y + H + i));
        const vf n = tanh_v(fma_v(r, q, load(x + 2 * H + i)));
        store(x + i, r);
        store(x + H + i, z);
        store(x + 2 * H + i, n);
        store(x + 3 * H + i, q);
        store(next + i, fma_v(z, load(h + i) - n, n));
    }
}

/* A row with each element dropped, or scaled so that its mean stays. */
static void drop(float *out, const float *in, const attune_train_dropout *dropout, int layer,
                 uint64_t element, int H)
{
    const float scale = 1.0f / (1.0f - dropout->layers);
    for (int i = 0; i < H; i++) {
        const bool keeps = attune_dropout_keeps(dropout->seed, (uint32_t)layer,
                                                element + (uint64_t)i, dropout->layers);
        out[i] = keeps ? in[i] * scale : 0.0f;
    }
}

/* Drops from the outputs of layer l, or from their gradients, row by row of one clip. */
static void drop_rows(float *out, const float *in, const attune_train_sequence *s, int l, int clip)
{
    const int H = s->trainable->network.hidden;
    for (int t = 1; t <= s->T; t++) {
        const size_t row = attune_train_row(s, clip) + (size_t)t;
        const uint64_t element = ((uint64_t)clip * (uint64_t)s->T + (uint64_t)t - 1) * (uint64_t)H;
        drop(out + row * H, in + row * H, &s->dropout, l, element, H);
    }
}

void ATTUNE_KERNEL(attune_train_gru_forward)(attune_train_sequence *s, float *step, int l,
                                             attune_train_set set)
{
    const int H = s->trainable->network.hidden;
    const attune_train_layer *layer = &s->layers[l];
    const attune_trainable_gru *at = &s->trainable->gru[l];
    const size_t first = attune_train_row(s, set.first), clip = (size_t)s->T + 1,
                 I = (size_t)layer->I, G = 4 * (size_t)H;
    ATTUNE_KERNEL(attune_product)
    (layer->gates + first * G, G, attune_upright(layer->x + first * I, I),
     attune_packed(layer->input, layer->I), s->parameters + at->bias_input, set.count * (s->T + 1),
     layer->I, 3 * H);
    for (int b = 0; b < set.count; b++) {
        memset(layer->h + (first + b * clip) * H, 0, sizeof(float) * (size_t)H);
    }
    for (int t = 1; t <= s->T; t++) {
        const float *before = layer->h + (first + (size_t)t - 1) * H;
        ATTUNE_KERNEL(attune_product)
        (step, 3 * (size_t)H, attune_upright(before, clip * H), attune_packed(layer->hidden, H),
         s->parameters + at->bias_hidden, set.count, H, 3 * H);
        for (int b = 0; b < set.count; b++) {
            const size_t row = first + b * clip + (size_t)t;
            step_forward(layer->h + row * H, layer->gates + row * G, layer->h + (row - 1) * H,
                         step + b * 3 * H, H);
        }
    }
    float *next = l + 1 < s->trainable->network.layers ? s->layers[l + 1].x : NULL;
    if (next && next != layer->h) {
        for (int b = 0; b < set.count; b++) {
            memset(next + (first + b * clip) * H, 0, sizeof(float) * (size_t)H);
            drop_rows(next, layer->h, s, l, set.first + b);
        }
    }
}

/* One clip's step: gradients by the gates, n r z q, from those by its next state, which are g and
 * what later steps left in `later`; leaves there what goes by h past the gates. */
static void step_backward(float *out, float *later, const float *g, const float *gates,
                          const float *h, int H)
{
    for (int i = 0; i < H; i += W) {
        const vf r = load(gates + i), z = load(gates + H + i), n = load(gates + 2 * H + i),
                 q = load(gates + 3 * H + i), by_next = load(g + i) + load(later + i);
        const vf by_n = by_next * (1.0f - z) * (1.0f - n * n);
        store(out + i, by_n);
        store(out + H + i, by_n * q * r * (1.0f - r));
        store(out + 2 * H + i, by_next * (load(h + i) - n) * z * (1.0f - z));
        store(out + 3 * H + i, by_n * r);
        store(later + i, by_next * z);
    }
}

static void add(float *to, const float *from, int count)
{
    for (int i = 0; i < count; i += W) {
        store(to + i, load(to + i) + load(from + i));
    }
}

/* state_gradients to gate_gradients, from the last step to the first. */
static void through_time(attune_train_sequence *s, float *step, const attune_train_layer *layer,
                         attune_train_set set)
{
    const int H = s->trainable->network.hidden;
    const size_t first = attune_train_row(s, set.first), clip = (size_t)s->T + 1, G = 4 * (size_t)H;
    float *later = step, *past = step + (size_t)ATTUNE_TRAIN_SET * H;
    memset(later, 0, sizeof(float) * (size_t)set.count * H);
    for (int t = s->T; t >= 1; t--) {
        for (int b = 0; b < set.count; b++) {
            const size_t row = first + b * clip + (size_t)t;
            step_backward(s->gate_gradients + row * G, later + b * H, s->state_gradients + row * H,
                          layer->gates + row * G, layer->h + (row - 1) * H, H);
        }
        ATTUNE_KERNEL(attune_product)
        (past, (size_t)H, attune_upright(s->gate_gradients + (first + (size_t)t) * G + H, clip * G),
         attune_packed(layer->hidden_back, 3 * H), NULL, set.count, 3 * H, H);
        add(later, past, set.count * H);
    }
    for (int b = 0; b < set.count; b++) {
        memset(s->gate_gradients + (first + b * clip) * G, 0, sizeof(float) * G);
    }
}

void ATTUNE_KERNEL(attune_train_gru_backward)(attune_train_sequence *s, float *feature_gradients,
                                              float *step, int l, attune_train_set set)
{
    const int H = s->trainable->network.hidden;
    const attune_train_layer *layer = &s->layers[l];
    const size_t G = 4 * (size_t)H, C = (size_t)s->trainable->network.features;
    through_time(s, step, layer, set);
    if (l == 0 && !feature_gradients) {
        return;
    }
    for (int b = set.first; b < set.first + set.count; b++) { /* no row 0: features have none */
        const size_t row = attune_train_row(s, b) + 1;
        float *out = l == 0 ? feature_gradients + (size_t)b * (size_t)s->T * C
                            : s->state_gradients + row * H;
        ATTUNE_KERNEL(attune_product)
        (out, (size_t)layer->I, attune_upright(s->gate_gradients + row * G, G),
         attune_packed(layer->input_back, 3 * H), NULL, s->T, 3 * H, layer->I);
        if (l > 0 && layer->x != s->layers[l - 1].h) {
            drop_rows(s->state_gradients, s->state_gradients, s, l - 1, b);
        }
    }
}

void ATTUNE_KERNEL(attune_train_gru_jobs)(attune_train_sequence *s, float *gradients, int l)
{
    const int H = s->trainable->network.hidden, rows = s->B * (s->T + 1);
    const attune_train_layer *layer = &s->layers[l];
    const attune_trainable_gru *at = &s->trainable->gru[l];
    const size_t G = 4 * (size_t)H, I = (size_t)layer->I;
    const float *n = s->gate_gradients, *r = n + H;
    const attune_left ones = {0};
    float *input = gradients + at->weight_input, *bias = gradients + at->bias_input;
    attune_train_add(s, gradients + at->weight_hidden, attune_transposed(r + G, G),
                     attune_standing(layer->h, (size_t)H), 3 * H, rows - 1, H);
    attune_train_add(s, input, attune_transposed(r, G), attune_standing(layer->x, I), 2 * H, rows,
                     layer->I);
    attune_train_add(s, input + 2 * H * I, attune_transposed(n, G), attune_standing(layer->x, I), H,
                     rows, layer->I);
    attune_train_add(s, bias, ones, attune_standing(r, G), 1, rows, 2 * H);
    attune_train_add(s, bias + 2 * H, ones, attune_standing(n, G), 1, rows, H);
    attune_train_add(s, gradients + at->bias_hidden, ones, attune_standing(r, G), 1, rows, 3 * H);
}
