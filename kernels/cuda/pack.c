/* pack.c - a model's parameters in the order in which the CUDA kernels read them: one blob in host
 * memory, to be copied to the device at once. Plain C, so that it is tested without a device. */
#include "kernels/cuda/cuda.h"
#include "model/parameters.h"

#include <string.h>

/* Hands out pieces of the blob, or only counts while there is none. */
typedef struct packer {
    char *blob;       /* host; NULL to count */
    const char *base; /* the blob's address in device memory */
    size_t used;      /* bytes */
} packer;

/* Room for `count` 4-byte elements, zeroed; *device is where they will be. NULL while counting. */
static void *take(packer *p, const void **device, size_t count)
{
    char *piece = p->blob ? p->blob + p->used : NULL;
    const size_t bytes =
        (4 * count + ATTUNE_CUDA_ALIGN - 1) / ATTUNE_CUDA_ALIGN * ATTUNE_CUDA_ALIGN;
    *device = p->base ? p->base + p->used : NULL;
    if (piece) {
        memset(piece, 0, bytes);
    }
    p->used += bytes;
    return piece;
}

static float *take_floats(packer *p, const float **device, size_t count)
{
    const void *at = NULL;
    float *piece = take(p, &at, count);
    *device = at;
    return piece;
}

static void copy(packer *p, const float **device, const float *from, size_t count)
{
    float *to = take_floats(p, device, count);
    if (to && count) {
        memcpy(to, from, count * sizeof(float));
    }
}

/* to (K, stride) = the transpose of from (J, K), zero-padded. */
static void transpose(packer *p, const float **device, const float *from, size_t J, size_t K,
                      size_t stride)
{
    float *to = take_floats(p, device, K * stride);
    for (size_t j = 0; to && j < J; j++) {
        for (size_t k = 0; k < K; k++) {
            to[k * stride + j] = from[j * K + k];
        }
    }
}

/* The nearest half, ties to even, as its bits; beyond 65504 infinity. */
static uint32_t half_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    const uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude >= 0x47800000) { /* 65536 and more, and NaN */
        return sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00);
    }
    if (magnitude < 0x38800000) {                            /* below 2^-14: a multiple of 2^-24 */
        const float scaled = (x < 0 ? -x : x) * 16777216.0f; /* at most 1024: exact */
        const uint32_t whole = (uint32_t)scaled;
        const float rest = scaled - (float)whole;
        return sign | (whole + (rest > 0.5f || (rest == 0.5f && whole % 2)));
    }
    const uint32_t rebased = magnitude - 0x38000000, tie = rebased >> 13 & 1;
    return sign | (rebased + 0xfff + tie) >> 13;
}

static float half_value(uint32_t half)
{
    const uint32_t exponent = half >> 10 & 31, fraction = half & 1023;
    float value = (float)(exponent ? fraction + 1024 : fraction);
    for (uint32_t e = exponent ? exponent : 1; e < 25; e++) {
        value *= 0.5f;
    }
    for (uint32_t e = 25; e < exponent; e++) {
        value *= 2.0f;
    }
    return half & 0x8000 ? -value : value;
}

/* The 32 to 64 product's weights as the B operands of mma.m16n8k16, one 16-byte word a lane and a
 * tile of 8 outputs: what the first half cannot hold goes to a second one. */
static void pack_mix(packer *p, attune_cuda_weights *w, const float *from)
{
    enum { TILES = 8, LANES = 32, WORDS = 4, INPUTS = 32 };
    const void *high_at = NULL, *low_at = NULL;
    uint32_t *high = take(p, &high_at, (size_t)TILES * LANES * WORDS);
    uint32_t *low = take(p, &low_at, (size_t)TILES * LANES * WORDS);
    for (int i = 0; high && low && i < TILES * LANES * WORDS; i++) {
        const int word = i % WORDS, lane = i / WORDS % LANES, tile = i / WORDS / LANES;
        const int output = 8 * tile + lane / 4, input = 8 * word + 2 * (lane % 4);
        for (int k = 0; k < 2; k++) {
            const float weight = from[output * INPUTS + input + k];
            const uint32_t bits = half_bits(weight);
            high[i] |= bits << 16 * k;
            low[i] |= half_bits(weight - half_value(bits)) << 16 * k;
        }
    }
    w->mix_high = high_at;
    w->mix_low = low_at;
}

static void pack_tiny(packer *p, attune_cuda_weights *w, const attune_parameters *m)
{
    enum { C1 = 32, C2 = 64, K = 5, LANES = 4, EACH = 8 };
    float *depth = take_floats(p, &w->depth, C1 * EACH);
    for (int i = 0; depth && i < C1; i++) { /* lane i % 4 of four takes its i / 4th channel */
        const int lane = i % LANES, nth = i / LANES;
        const int channel = 8 * (nth / 2) + 2 * lane + nth % 2;
        const float *taps = m->conv_weight[2] + (size_t)K * channel;
        const float each[EACH] = {m->conv_weight[1][channel],
                                  m->conv_bias[1][channel],
                                  taps[0],
                                  taps[1],
                                  taps[2],
                                  taps[3],
                                  taps[4],
                                  m->conv_bias[2][channel]};
        for (int e = 0; e < EACH; e++) {
            depth[((nth * 2 + e / 4) * LANES + lane) * 4 + e % 4] = each[e];
        }
    }
    pack_mix(p, w, m->conv_weight[3]);
    copy(p, &w->mix_bias, m->conv_bias[3], C2);
    if (p->blob) {
        memcpy(w->conv0, m->conv_weight[0], sizeof(w->conv0));
        w->conv0_bias = m->conv_bias[0][0];
    }
}

static void pack_baseline(packer *p, attune_cuda_weights *w, const attune_parameters *m)
{
    enum { C1 = 64, K1 = 7, C2 = 128, K2 = 5 };
    transpose(p, &w->conv1, m->conv_weight[0], C1, K1, C1);
    copy(p, &w->conv1_bias, m->conv_bias[0], C1);
    float *to = take_floats(p, &w->conv2, (size_t)K2 * C1 * C2);
    for (size_t i = 0; to && i < (size_t)C2 * C1 * K2; i++) { /* (out, in, tap) to (tap, in, out) */
        const size_t tap = i % K2, in = i / K2 % C1, out = i / K2 / C1;
        to[(tap * C1 + in) * C2 + out] = m->conv_weight[1][i];
    }
    copy(p, &w->conv2_bias, m->conv_bias[1], C2);
}

static void pack_gru(packer *p, attune_cuda_gru *g, const attune_gru_parameters *m, size_t I,
                     size_t H)
{
    g->inputs = (int)I;
    transpose(p, &g->input, m->weight_input, 3 * H, I, attune_cuda_tiles(3 * H));
    transpose(p, &g->hidden, m->weight_hidden, 3 * H, H, 3 * H);
    float *input_bias = take_floats(p, &g->input_bias, attune_cuda_tiles(3 * H));
    float *hidden_bias = take_floats(p, &g->hidden_bias, 3 * H);
    for (size_t j = 0; input_bias && hidden_bias && j < 3 * H; j++) {
        const int early = j < 2 * H; /* r and z: the two biases only ever meet as a sum */
        input_bias[j] = m->bias_input[j] + (early ? m->bias_hidden[j] : 0.0f);
        hidden_bias[j] = early ? 0.0f : m->bias_hidden[j];
    }
}

static void pack(packer *p, attune_cuda_weights *w, const attune_parameters *m)
{
    const attune_network *n = &w->network;
    const size_t H = (size_t)n->hidden, P = (size_t)n->projection, E = (size_t)n->embedding;
    if (n->architecture == ATTUNE_ARCHITECTURE_TINY) {
        pack_tiny(p, w, m);
    } else {
        pack_baseline(p, w, m);
    }
    for (int l = 0; l < n->layers; l++) {
        pack_gru(p, &w->gru[l], &m->gru[l], l == 0 ? (size_t)n->features : H, H);
    }
    if (n->pooling == ATTUNE_POOLING_ATTENTION) {
        const size_t A = (size_t)n->attention, tiles = attune_cuda_tiles(A);
        transpose(p, &w->attention, m->attention_weight, A, H, tiles);
        transpose(p, &w->attention_bias, m->attention_bias, A, 1, tiles);
        transpose(p, &w->score, m->score_weight, A, 1, tiles);
        w->score_bias = p->blob ? m->score_bias[0] : 0.0f;
    }
    copy(p, &w->project1, m->project1_weight, P * H);
    copy(p, &w->project1_bias, m->project1_bias, P);
    copy(p, &w->project2, m->project2_weight, E * P);
    copy(p, &w->project2_bias, m->project2_bias, E);
}

size_t attune_cuda_weights_bytes(const attune_network *network)
{
    const attune_parameters none = {0};
    attune_cuda_weights weights = {.network = *network};
    packer p = {0};
    pack(&p, &weights, &none);
    return p.used;
}

void attune_cuda_pack(attune_cuda_weights *weights, void *blob, const void *base,
                      const attune_model *model)
{
    packer p = {.blob = blob, .base = base};
    *weights = (attune_cuda_weights){.network = *attune_model_network(model)};
    pack(&p, weights, attune_model_parameters(model));
}

static size_t aligned(size_t floats)
{
    return (4 * floats + ATTUNE_CUDA_ALIGN - 1) / ATTUNE_CUDA_ALIGN * ATTUNE_CUDA_ALIGN;
}

size_t attune_cuda_slot_bytes(const attune_network *network)
{
    return aligned(((size_t)network->layers + 2) * (size_t)network->hidden + 3);
}

size_t attune_cuda_scratch_bytes(const attune_network *network, uint32_t rows)
{
    const size_t H = (size_t)network->hidden;
    return aligned(3 * H * rows) + aligned(H * rows) + aligned(rows);
}
