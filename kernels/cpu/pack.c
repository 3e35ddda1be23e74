/* pack.c - a model's parameters in the order in which the CPU kernels read them. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/fixed.h"
#include "kernels/cpu/simd.h"
#include "model/parameters.h"
#include "status/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

float *attune_cpu_allocate(size_t count)
{
    size_t bytes = (count * sizeof(float) + 63) / 64 * 64;
    float *memory = aligned_alloc(64, bytes ? bytes : 64);
    if (memory) {
        memset(memory, 0, bytes);
    }
    return memory;
}

/* Hands out pieces of the arena, or only counts when there is none yet: packing runs twice, first
 * to learn the size. Every piece starts on a cache line. */
typedef struct packer {
    float *base;
    size_t used;
} packer;

static float *take(packer *p, size_t count)
{
    float *piece = p->base ? p->base + p->used : NULL;
    p->used += (count + 15) / 16 * 16;
    return piece;
}

static const float *copy(packer *p, const float *from, size_t count)
{
    float *to = take(p, count);
    if (to && from) {
        memcpy(to, from, count * sizeof(float));
    }
    return to;
}

/* Panels of the (K, J) matrix whose element (k, j) stands at from[j * K + k]. */
static const float *panels(packer *p, const float *from, int J, int K, int panel)
{
    const size_t columns = (size_t)((J + panel - 1) / panel * panel);
    float *to = take(p, columns * (size_t)K);
    for (int j = 0; to && j < J; j++) {
        for (int k = 0; k < K; k++) {
            to[(size_t)(j / panel * panel) * K + (size_t)k * panel + j % panel] =
                from[(size_t)j * K + k];
        }
    }
    return to;
}

/* What a word of 1 in row j of a (J, K) matrix is worth, so that neither a weight nor a sum of
 * products with states overflows. */
static float fixed_unit(const float *row, int K)
{
    double sum = 0, largest = 1e-30;
    for (int k = 0; k < K; k++) {
        sum += fabs((double)row[k]);
        largest = fmax(largest, fabs((double)row[k]));
    }
    /* rounding may add half a unit to each weight */
    const double room = 0x1p31 - 1 - (double)ATTUNE_FIXED_STATE * (K / 2 + 1);
    return (float)(fmax(largest / 32767, sum * (double)ATTUNE_FIXED_STATE / room) * 1.000001);
}

/* The (K, J) matrix whose element (k, j) stands at from[j * K + k], in fixed point; in f32, that is
 * empty, if its shape is not for that or a weight would be rounded to worse than 2^-13. */
static attune_fixed_matrix fixed(packer *p, attune_fixed_product *product, const float *from,
                                 const float *bias, int J, int K)
{
    enum {
        P = ATTUNE_FIXED_PANEL,
        INPUTS_MAX = 256 /* of 1,024, rounding moved an embedding by 7e-4 */
    };
    attune_fixed_matrix m = {.product = product, .K = K, .J = J, .bias = bias};
    if (!product || J % (2 * P) != 0 || K > INPUTS_MAX) {
        return (attune_fixed_matrix){0};
    }
    float *unit = take(p, (size_t)J);
    int32_t *weight = (int32_t *)(void *)take(p, (size_t)J * K / 2);
    for (int j = 0; j < J; j++) {
        const float *row = from + (size_t)j * K, u = fixed_unit(row, K);
        if (!(u <= 0x1p-12f)) {
            return (attune_fixed_matrix){0};
        }
        for (int k = 0; weight && k < K; k += 2) {
            const long low = lrintf(row[k] / u), high = lrintf(row[k + 1] / u);
            weight[(size_t)(j / P * P) * K / 2 + k / 2 * P + j % P] =
                (int32_t)((uint32_t)high << 16 | ((uint32_t)low & 0xffff));
        }
        if (unit) {
            unit[j] = u / ATTUNE_FIXED_STATE;
        }
    }
    m.weight = weight;
    m.unit = unit;
    return m;
}

/* As copy, times a scale. */
static const float *copy_scaled(packer *p, const float *from, size_t count, float scale)
{
    float *to = take(p, count);
    for (size_t i = 0; to && i < count; i++) {
        to[i] = from[i] * scale;
    }
    return to;
}

/* The bias of the 32 to 64 product where pairs of products are made by sums, see attune_by_sums;
 * NULL if a weight is too large for that. */
static const float *sums_bias(packer *p, const float *weight, const float *bias)
{
    enum { C1 = 32, C2 = 64 };
    float *to = take(p, C2);
    for (int o = 0; o < C2; o++) {
        const float *row = weight + (size_t)o * C1;
        double b = (double)(bias[o] * ATTUNE_GELU_SCALE);
        for (int c = 0; c < C1; c += 2) {
            if (!(fabsf(row[c]) < ATTUNE_SUMS_MAX && fabsf(row[c + 1]) < ATTUNE_SUMS_MAX)) {
                return NULL;
            }
            b -= attune_by_sums(c / 2) ? (double)row[c] * (double)row[c + 1] : 0;
        }
        if (to) {
            to[o] = (float)b;
        }
    }
    return to;
}

/* NULL if attune_curves_fit says so. */
static const attune_curves *curves(packer *p, const float *scale, const float *bias)
{
    attune_curves *to = (attune_curves *)(void *)take(p, sizeof(*to) / sizeof(float));
    return to && attune_curves_fit(to, scale, bias) ? to : NULL;
}

/* GELU follows every convolution and wants its argument, and gives its value, times a scale: so the
 * first convolution is scaled, and all biases; the features are scaled back. */
static void pack_tiny(packer *p, attune_cpu_weights *w, const attune_parameters *m,
                      attune_cpu_layout layout)
{
    enum { C1 = 32, C2 = 64, OUTPUTS = 4 };
    const float scale = gelu_scale(layout.quick);
    w->quick = layout.quick;
    for (int k = 0; k < 5; k++) {
        w->conv0[k] = m->conv_weight[0][k] * scale;
    }
    w->conv0_bias = m->conv_bias[0][0] * scale;
    w->point1 = copy(p, m->conv_weight[1], C1);
    w->point1_bias = copy_scaled(p, m->conv_bias[1], C1, scale);
    w->curves = layout.curves ? curves(p, w->point1, w->point1_bias) : NULL;
    w->depth2 = copy(p, m->conv_weight[2], C1 * 5);
    w->depth2_bias = copy_scaled(p, m->conv_bias[2], C1, scale);
    w->point3 = panels(p, m->conv_weight[3], C2, C1, OUTPUTS);
    w->point3_bias = copy_scaled(p, m->conv_bias[3], C2, scale);
    w->point3_sums_bias = layout.adders ? sums_bias(p, m->conv_weight[3], m->conv_bias[3]) : NULL;
}

static void pack_baseline(packer *p, attune_cpu_weights *w, const attune_parameters *m)
{
    enum { C1 = 64, K1 = 7, C2 = 128, K2 = 5 };
    w->conv1 = panels(p, m->conv_weight[0], C1, K1, ATTUNE_MATMUL_PANEL);
    w->conv1_bias = copy(p, m->conv_bias[0], C1);
    /* (out, in, tap) to rows in the order of the window in memory: (tap, in) */
    float *to = take(p, (size_t)C2 * C1 * K2);
    const int P = ATTUNE_MATMUL_PANEL;
    for (int j = 0; to && j < C2; j++) {
        for (int c = 0; c < C1; c++) {
            for (int k = 0; k < K2; k++) {
                to[(size_t)(j / P * P) * C1 * K2 + (size_t)(k * C1 + c) * P + j % P] =
                    m->conv_weight[1][(j * C1 + c) * K2 + k];
            }
        }
    }
    w->conv2 = to;
    w->conv2_bias = copy(p, m->conv_bias[1], C2);
}

static void pack_gru(packer *p, attune_cpu_gru *g, const attune_gru_parameters *m, int I, int H,
                     attune_cpu_layout layout, bool is_first)
{
    const int matvec_panel = layout.matvec_panel;
    g->inputs = I;
    g->input = panels(p, m->weight_input, 3 * H, I, ATTUNE_MATMUL_PANEL);
    g->hidden = panels(p, m->weight_hidden, 3 * H, H, matvec_panel);
    float *input_bias = take(p, attune_panels(3 * (size_t)H));
    float *hidden_bias = take(p, 3 * (size_t)H + (size_t)matvec_panel);
    for (int j = 0; input_bias && j < 3 * H; j++) {
        const int early = j < 2 * H; /* r and z: the two biases only ever meet as a sum */
        input_bias[j] = m->bias_input[j] + (early ? m->bias_hidden[j] : 0.0f);
        hidden_bias[j] = early ? 0.0f : m->bias_hidden[j];
    }
    g->input_bias = input_bias;
    g->hidden_bias = hidden_bias;
    g->fixed_hidden = fixed(p, layout.product, m->weight_hidden, hidden_bias, 3 * H, H);
    g->fixed_input = fixed(p, is_first ? NULL : layout.product, m->weight_input, input_bias, 3 * H,
                           I); /* the first layer's inputs are no states */
}

static void pack(packer *p, attune_cpu_weights *w, const attune_parameters *m,
                 attune_cpu_layout layout)
{
    const attune_network *n = &w->network;
    if (n->architecture == ATTUNE_ARCHITECTURE_TINY) {
        pack_tiny(p, w, m, layout);
    } else {
        pack_baseline(p, w, m);
    }
    for (int l = 0; l < n->layers; l++) {
        pack_gru(p, &w->gru[l], &m->gru[l], l == 0 ? n->features : n->hidden, n->hidden, layout,
                 l == 0);
    }
    if (n->pooling == ATTUNE_POOLING_ATTENTION) {
        const size_t A = attune_panels((size_t)n->attention), used = (size_t)n->attention;
        w->attention = panels(p, m->attention_weight, n->attention, n->hidden, ATTUNE_MATMUL_PANEL);
        float *bias = take(p, A), *score = take(p, A);
        if (bias && score) {
            memcpy(bias, m->attention_bias, used * sizeof(float));
            memcpy(score, m->score_weight, used * sizeof(float));
        }
        w->attention_bias = bias;
        w->fixed_attention =
            fixed(p, layout.product, m->attention_weight, bias, n->attention, n->hidden);
        w->score = score;
        w->score_bias = m->score_bias[0];
    }
    w->project1 = copy(p, m->project1_weight, (size_t)n->projection * n->hidden);
    w->project1_bias = copy(p, m->project1_bias, (size_t)n->projection);
    w->project2 = copy(p, m->project2_weight, (size_t)n->embedding * n->projection);
    w->project2_bias = copy(p, m->project2_bias, (size_t)n->embedding);
}

attune_status attune_cpu_pack(attune_cpu_weights *weights, const attune_model *model,
                              attune_cpu_layout layout)
{
    packer p = {0};
    weights->network = *attune_model_network(model);
    pack(&p, weights, attune_model_parameters(model), layout);
    weights->arena = attune_cpu_allocate(p.used);
    if (!weights->arena) {
        return attune_fail_memory("the network's weights", p.used * sizeof(float));
    }
    p = (packer){.base = weights->arena};
    pack(&p, weights, attune_model_parameters(model), layout);
    return ATTUNE_OK;
}
