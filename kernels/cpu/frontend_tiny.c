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
 * Floor per frame of N = 2,048: 1.17 M multiply-adds and 82,944 GELUs of 8 more each. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <string.h>

enum {
    C1 = 32,
    C2 = 64,
    PAD = ATTUNE_PAD,
    OUTPUTS = 4,         /* of a tile of the 32 to 64 product, by */
    V = W == 16 ? 4 : 2, /* vectors of positions: half of the registers hold the sums */
};

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
        vf o = fma_v(w0, p0, b);
        o = fma_v(w1, p1, o);
        o = fma_v(w2, p2, o);
        o = fma_v(w3, p3, o);
        o = fma_v(w4, load(phase[0] + j + 1), o);
        vf both[2] = {e, o};
        gelu_n(both, 2);
        store(even + j, both[0]);
        store(odd + j, both[1]);
    }
}

/* out = gelu(scale · in + bias) */
static void scale_gelu(float *out, const float *in, float scale, float bias, int count)
{
    const vf s = broadcast(scale), b = broadcast(bias);
    for (int j = 0; j < count; j += TOGETHER * W) {
        vf x[TOGETHER];
        ATTUNE_EACH(i, TOGETHER, x[i] = fma_v(s, load(in + j + i * W), b))
        gelu_n(x, TOGETHER);
        ATTUNE_EACH(i, TOGETHER, store(out + j + i * W, x[i]))
    }
}

/* Block 2's depthwise convolution of one channel, given as halves, and its GELU. Returns the larger
 * of `most` and what was written, by lane. */
static vf second_convolution(float *out, const float *even, const float *odd, const float weight[5],
                             float bias, int quarter, vf most)
{
    const vf w0 = broadcast(weight[0]), w1 = broadcast(weight[1]), w2 = broadcast(weight[2]),
             w3 = broadcast(weight[3]), w4 = broadcast(weight[4]), b = broadcast(bias);
    for (int j = 0; j < quarter; j += TOGETHER * W) {
        const float *e = even + j, *o = odd + j;
        vf x[TOGETHER];
        ATTUNE_EACH(i, TOGETHER, x[i] = fma_v(w0, load(e + i * W - 1), b))
        ATTUNE_EACH(i, TOGETHER, x[i] = fma_v(w1, load(o + i * W - 1), x[i]))
        ATTUNE_EACH(i, TOGETHER, x[i] = fma_v(w2, load(e + i * W), x[i]))
        ATTUNE_EACH(i, TOGETHER, x[i] = fma_v(w3, load(o + i * W), x[i]))
        ATTUNE_EACH(i, TOGETHER, x[i] = fma_v(w4, load(e + i * W + 1), x[i]))
        gelu_n(x, TOGETHER);
        ATTUNE_EACH(i, TOGETHER, store(out + j + i * W, x[i]))
        if (ATTUNE_ADDERS) {
            ATTUNE_EACH(i, TOGETHER, most = max_v(most, x[i]))
        }
    }
    return most;
}

/* Adds the products of channel c to OUTPUTS outputs by V vectors of positions. */
static inline __attribute__((always_inline)) void mix_one(vf *acc, const float *d, size_t stride,
                                                          const float *weight, int c)
{
    vf x[V];
    ATTUNE_EACH(v, V, x[v] = load(d + c * stride + v * W))
    ATTUNE_EACH(o, OUTPUTS, const vf w = spread(weight + c * OUTPUTS + o);
                ATTUNE_EACH(v, V, acc[o * V + v] = fma_v(w, x[v], acc[o * V + v])))
}

/* Adds the products of channels c and c + 1, by sums. */
static inline __attribute__((always_inline)) void mix_two(vf *acc, const float *d, size_t stride,
                                                          const float *weight, int c)
{
    const float *a = weight + (size_t)c * OUTPUTS, *b = a + OUTPUTS;
    vf x[V], y[V];
    ATTUNE_EACH(v, V, x[v] = load(d + c * stride + v * W))
    ATTUNE_EACH(v, V, y[v] = load(d + (c + 1) * stride + v * W))
    ATTUNE_EACH(i, OUTPUTS * V,
                acc[i] = fma_v(x[i % V] + spread(b + i / V), y[i % V] + spread(a + i / V), acc[i]))
}

/* Adds gelu(w · d + bias) of V vectors of positions to the sums of OUTPUTS outputs. d has 32 rows,
 * `stride` floats apart; `shared` are the sums of x·y of the pairs that are made by sums. */
static inline __attribute__((always_inline)) void mix_tile(float *sums, const float *d,
                                                           size_t stride, const float *weight,
                                                           const float *bias, const vf shared[V],
                                                           bool by_sums)
{
    vf acc[OUTPUTS * V];
    ATTUNE_EACH(i, OUTPUTS * V, acc[i] = broadcast(bias[i / V]) - shared[i % V])
    for (int c = 0; by_sums && c < C1 - 2; c += 6) {
        mix_two(acc, d, stride, weight, c);
        mix_two(acc, d, stride, weight, c + 2);
        mix_one(acc, d, stride, weight, c + 4);
        mix_one(acc, d, stride, weight, c + 5);
    }
    for (int c = by_sums ? C1 - 2 : 0; c < C1; c++) {
        mix_one(acc, d, stride, weight, c);
    }
    ATTUNE_EACH(i, OUTPUTS * V / TOGETHER, gelu_n(acc + i * TOGETHER, TOGETHER))
    ATTUNE_EACH(o, OUTPUTS, vf s = load(sums + o * W);
                ATTUNE_EACH(v, V, s += acc[o * V + v]) store(sums + o * W, s))
}

/* The 32 to 64 product, GELU and the mean. */
static inline __attribute__((always_inline)) void mix_and_mean(float *features, float *sums,
                                                               const float *d,
                                                               const attune_cpu_weights *weights,
                                                               int quarter, bool by_sums)
{
    const float *bias = by_sums ? weights->point3_sums_bias : weights->point3_bias;
    const size_t stride = row_stride(4 * quarter);
    memset(sums, 0, sizeof(float) * C2 * W);
    for (int j = 0; j < quarter; j += V * W) {
        vf shared[V] = {0};
        for (int pair = 0; by_sums && pair < C1 / 2; pair++) {
            const float *x = d + 2 * pair * stride + j, *y = x + stride;
            if (attune_by_sums(pair)) {
                ATTUNE_EACH(v, V, shared[v] = fma_v(load(x + v * W), load(y + v * W), shared[v]))
            }
        }
        for (int o = 0; o < C2; o += OUTPUTS) {
            mix_tile(sums + o * W, d + j, stride, weights->point3 + o * C1, bias + o, shared,
                     by_sums);
        }
    }
    for (int o = 0; o < C2; o++) {
        features[o] = sum_v(load(sums + o * W)) / (ATTUNE_GELU_SCALE * (float)quarter);
    }
}

/* False also where a lane is NaN. */
static inline bool is_below(vf a, float limit)
{
    bool all = true;
    for (int i = 0; i < W; i++) {
        all &= a[i] < limit;
    }
    return all;
}

/* Asks for the c-th of C1 shares of the next frame's samples, which came from a decoder and may be
 * far away. It may end behind the samples: a prefetch of what is not there does nothing. */
static void prefetch_share(const float *next, int c, int N)
{
    for (int i = c * (N / C1); i < (c + 1) * (N / C1); i += 64 / (int)sizeof(float)) {
        __builtin_prefetch(next + i);
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
        vf most = broadcast(0.0f);
        for (int c = 0; c < C1; c++) {
            prefetch_share(pcm + ((size_t)f + 1) * weights->network.hop_size, c, N);
            const float scale = weights->point1[c], bias = weights->point1_bias[c];
            scale_gelu(row[6], row[4], scale, bias, quarter);
            scale_gelu(row[7], row[5], scale, bias, quarter);
            most =
                second_convolution(d + c * row_stride(N), row[6], row[7], weights->depth2 + 5 * c,
                                   weights->depth2_bias[c], quarter, most);
        }
        if (ATTUNE_ADDERS && weights->point3_sums_bias && is_below(most, ATTUNE_SUMS_MAX)) {
            mix_and_mean(features + (size_t)f * C2, sums, d, weights, quarter, true);
        } else {
            mix_and_mean(features + (size_t)f * C2, sums, d, weights, quarter, false);
        }
    }
}
