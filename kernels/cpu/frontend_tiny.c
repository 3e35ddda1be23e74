/* frontend_tiny.c - AudioEmbeddingTiny's features: N samples of a frame in, 64 numbers out.
 *
 *   x (N) -> depthwise k5 s2 -> GELU -> g (N/2)
 *     for each of 32 channels: scale g -> GELU -> depthwise k5 s2 -> GELU -> d (32, N/4)
 *       -> 32 to 64 -> GELU -> mean over the N/4 positions
 *
 * Strides of 2 would cost a shuffle for every load. The frame is therefore split once into its four
 * phases x[4j], x[4j+1], x[4j+2], x[4j+3]; g then comes out as its even and its odd half, and every
 * later load is of consecutive floats. A channel's 2N bytes stay in L1 between its two
 * convolutions; nothing leaves L2.
 *
 * Floor per frame of N = 2,048: 1.17 M multiply-adds and 82,944 GELUs of 15 more each. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <string.h>

enum { C1 = 32, C2 = 64, PAD = ATTUNE_PAD, OUTPUTS = 8 };

/* Rows of N/4 floats with PAD zeros before and after. Without the padding the rows of d would stand
 * 2 KB apart, and a tile of 32 of them would fall into so few sets of L1 that it did not stay
 * there. */
static size_t row_stride(int N)
{
    return (size_t)N / 4 + 2 * PAD;
}

size_t ATTUNE_KERNEL(attune_frontend_tiny_scratch)(const attune_network *network)
{
    /* four phases, two halves of g, two halves of a channel, d, and a vector per output */
    return row_stride(network->frame_size) * (8 + C1) + C2 * W;
}

static void split_phases(float *phase[4], const float *x, int quarter)
{
    for (int j = 0; j < quarter; j++) {
        for (int p = 0; p < 4; p++) {
            phase[p][j] = x[4 * j + p];
        }
    }
}

/* Block 1's depthwise convolution and its GELU: even and odd outputs. */
static void first_convolution(float *even, float *odd, float *const phase[4], const float weight[5],
                              float bias, int quarter)
{
    const vf w0 = broadcast(weight[0]), w1 = broadcast(weight[1]), w2 = broadcast(weight[2]),
             w3 = broadcast(weight[3]), w4 = broadcast(weight[4]), b = broadcast(bias);
    for (int j = 0; j < quarter; j += W) {
        vf p0 = load(phase[0] + j), p1 = load(phase[1] + j), p2 = load(phase[2] + j),
           p3 = load(phase[3] + j);
        vf e = fma_v(w0, load(phase[2] + j - 1), b);
        e = fma_v(w1, load(phase[3] + j - 1), e);
        e = fma_v(w2, p0, e);
        e = fma_v(w3, p1, e);
        e = fma_v(w4, p2, e);
        store(even + j, gelu_v(e));
        vf o = fma_v(w0, p0, b);
        o = fma_v(w1, p1, o);
        o = fma_v(w2, p2, o);
        o = fma_v(w3, p3, o);
        o = fma_v(w4, load(phase[0] + j + 1), o);
        store(odd + j, gelu_v(o));
    }
}

/* out = gelu(scale · in + bias) */
static void scale_gelu(float *out, const float *in, float scale, float bias, int count)
{
    const vf s = broadcast(scale), b = broadcast(bias);
    for (int j = 0; j < count; j += 2 * W) {
        vf u = gelu_v(fma_v(s, load(in + j), b));
        vf v = gelu_v(fma_v(s, load(in + j + W), b));
        store(out + j, u);
        store(out + j + W, v);
    }
}

/* Block 2's depthwise convolution of one channel, given as halves, and its GELU. */
static void second_convolution(float *out, const float *even, const float *odd,
                               const float weight[5], float bias, int quarter)
{
    const vf w0 = broadcast(weight[0]), w1 = broadcast(weight[1]), w2 = broadcast(weight[2]),
             w3 = broadcast(weight[3]), w4 = broadcast(weight[4]), b = broadcast(bias);
    for (int j = 0; j < quarter; j += W) {
        vf s = fma_v(w0, load(even + j - 1), b);
        s = fma_v(w1, load(odd + j - 1), s);
        s = fma_v(w2, load(even + j), s);
        s = fma_v(w3, load(odd + j), s);
        s = fma_v(w4, load(even + j + 1), s);
        store(out + j, gelu_v(s));
    }
}

/* Adds gelu(w · d + bias) of V vectors of positions to the sums of `outputs` outputs. d has 32
 * rows, `stride` floats apart. */
static inline __attribute__((always_inline)) void mix_tile(float *sums, const float *d,
                                                           size_t stride, const float *weight,
                                                           const float *bias, int V, int outputs)
{
    vf acc[OUTPUTS][2];
    for (int o = 0; o < outputs; o++) {
        for (int v = 0; v < V; v++) {
            acc[o][v] = broadcast(bias[o]);
        }
    }
    for (int c = 0; c < C1; c++) {
        vf x[2];
        for (int v = 0; v < V; v++) {
            x[v] = load(d + c * stride + v * W);
        }
        for (int o = 0; o < outputs; o++) {
            vf w = broadcast(weight[c * OUTPUTS + o]);
            for (int v = 0; v < V; v++) {
                acc[o][v] = fma_v(w, x[v], acc[o][v]);
            }
        }
    }
    for (int o = 0; o < outputs; o++) {
        vf s = load(sums + o * W);
        for (int v = 0; v < V; v++) {
            s += gelu_v(acc[o][v]);
        }
        store(sums + o * W, s);
    }
}

/* The 32 to 64 product, GELU and the mean. 16 registers hold half the outputs of the 32 that
 * AVX-512 has. */
static void mix_and_mean(float *features, float *sums, const float *d,
                         const attune_cpu_weights *weights, int quarter)
{
    enum { V = 2, STEP = W == 16 ? OUTPUTS : OUTPUTS / 2 };
    memset(sums, 0, sizeof(float) * C2 * W);
    for (int j = 0; j < quarter; j += V * W) {
        for (int o = 0; o < C2; o += STEP) {
            mix_tile(sums + o * W, d + j, row_stride(4 * quarter),
                     weights->point3 + (o / OUTPUTS) * C1 * OUTPUTS + o % OUTPUTS,
                     weights->point3_bias + o, V, STEP);
        }
    }
    for (int o = 0; o < C2; o++) {
        features[o] = sum_v(load(sums + o * W)) / (float)quarter;
    }
}

void ATTUNE_KERNEL(attune_frontend_tiny)(float *features, const float *pcm,
                                         const attune_cpu_weights *weights, float *scratch, int F)
{
    const int N = weights->network.frame_size, quarter = N / 4;
    float *row[8]; /* phases 0 to 3, g even and odd, channel even and odd */
    for (int i = 0; i < 8; i++) {
        row[i] = scratch + i * row_stride(N) + PAD;
        memset(row[i] - PAD, 0, PAD * sizeof(float));
        memset(row[i] + quarter, 0, PAD * sizeof(float));
    }
    float *d = scratch + 8 * row_stride(N), *sums = d + C1 * row_stride(N);
    for (int f = 0; f < F; f++) {
        split_phases(row, pcm + (size_t)f * weights->network.hop_size, quarter);
        first_convolution(row[4], row[5], row, weights->conv0, weights->conv0_bias, quarter);
        for (int c = 0; c < C1; c++) {
            const float scale = weights->point1[c], bias = weights->point1_bias[c];
            scale_gelu(row[6], row[4], scale, bias, quarter);
            scale_gelu(row[7], row[5], scale, bias, quarter);
            second_convolution(d + c * row_stride(N), row[6], row[7], weights->depth2 + 5 * c,
                               weights->depth2_bias[c], quarter);
        }
        mix_and_mean(features + (size_t)f * C2, sums, d, weights, quarter);
    }
}
