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
 * What is scaled from g and goes through GELU is 32 functions of one number: with vectors of 16
 * floats, quartics that are looked up by permutation (pack_curves.c), where g's interval is found
 * once for all of them. Permutations go to other ports than multiply-adds do, so a channel is made
 * while the one before is convolved.
 *
 * Floor per frame of N = 2,048: 1.17 M multiply-adds, 32,768 quartics of 4 more each and 50,176
 * GELUs of 8. Cycles on a Zen 4: 1,500 to g, 27,100 to d, 69,000. Dropped: a channel made before
 * the one before is convolved, 31,000 to d; the same by turns of four vectors each, 34,000. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <string.h>

enum {
    C1 = 32,
    C2 = 64,
    PAD = ATTUNE_PAD,
    OUTPUTS = 4,         /* of a tile of the 32 to 64 product, by */
    V = W == 16 ? 4 : 2, /* vectors of positions: half of the registers hold the sums */
    /* Rows of scratch before d, whose sums for the mean stand behind it: four phases of x, then in
     * even and odd positions g, a channel, the next one, and the intervals that g falls into. */
    G = 4,
    CHANNEL = 6,
    NEXT = 8,
    INTERVAL = 10,
    ROWS = 12,
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
    return row_stride(network->frame_size) * (ROWS + C1) + C2 * W;
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
ATTUNE_INLINE void first_convolution(float *even, float *odd, float *const phase[4],
                                     const float weight[5], float bias, int quarter, bool quick)
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
        gelu_n(both, 2, quick);
        store(even + j, both[0]);
        store(odd + j, both[1]);
    }
}

/* For curves: g becomes how far it is from its interval's middle, `interval` which one it is in. */
static void find_curves(float *g, float *interval, const attune_curves *curves, int count)
{
    for (int j = 0; j < count; j += W) {
        const vf x = load(g + j);
        vi i = {0};
        for (int step = ATTUNE_CURVES / 2; step > 0; step /= 2) {
            i = or_where_reached(i, x, permute(load(curves->knot + step), i), step);
        }
        store(g + j, x - permute(load(curves->middle), i));
        store(interval + j, (vf)i);
    }
}

/* A channel to be made by curves: its even and odd positions, and g's. */
typedef struct by_curves {
    float *const *out, *const *along, *const *interval;
    vf quartic[5];
} by_curves;

static inline by_curves open_curves(float *const *out, float *const *row,
                                    const attune_curves *curves, int c)
{
    const float(*quartic)[ATTUNE_CURVES] = curves->quartic[c];
    return (by_curves){
        out,
        row + G,
        row + INTERVAL,
        {load(quartic[0]), load(quartic[1]), load(quartic[2]), load(quartic[3]), load(quartic[4])}};
}

/* Vector i of a channel from position j on, by turns of even and odd ones, in CURVE_STEPS steps as
 * gelu_step's. */
enum { CURVE_STEPS = 5 };
ATTUNE_INLINE void curve_step(const by_curves *to, vf *x, vi *interval, vf *y, int j, int i,
                              int step)
{
    const int at = j + i / 2 * W;
    if (step == 0) {
        *x = load(to->along[i % 2] + at);
        *interval = (vi)load(to->interval[i % 2] + at);
        *y = permute(to->quartic[CURVE_STEPS - 1], *interval);
    } else if (step > 0 && step < CURVE_STEPS) {
        *y = fma_v(*y, *x, permute(to->quartic[CURVE_STEPS - 1 - step], *interval));
    }
    if (step == CURVE_STEPS - 1) {
        store(to->out[i % 2] + at, *y);
    }
}

static void follow_curves(const by_curves *to, int quarter)
{
    for (int j = 0; j < quarter; j += W) {
        vf x[2], y[2];
        vi interval[2];
        for (int step = 0; step < CURVE_STEPS; step++) {
            ATTUNE_EACH(i, 2, curve_step(to, x + i, interval + i, y + i, j, i, step))
        }
    }
}

/* out = gelu(scale · in + bias) */
ATTUNE_INLINE void scale_gelu(float *out, const float *in, float scale, float bias, int count,
                              bool quick)
{
    const vf s = broadcast(scale), b = broadcast(bias);
    for (int j = 0; j < count; j += TOGETHER * W) {
        vf x[TOGETHER];
        ATTUNE_EACH(i, TOGETHER, x[i] = fma_v(s, load(in + j + i * W), b))
        gelu_n(x, TOGETHER, quick);
        ATTUNE_EACH(i, TOGETHER, store(out + j + i * W, x[i]))
    }
}

/* x = the depthwise convolution of one vector of positions, in TAPS steps. */
enum { TAPS = 5 };
ATTUNE_INLINE void tap_step(vf *x, const float *even, const float *odd, const vf w[TAPS], vf bias,
                            int step)
{
    if (step < TAPS) {
        const float *in = (step % 2 ? odd : even) + step / 2 - 1;
        *x = fma_v(w[step], load(in), step == 0 ? bias : *x);
    }
}

/* Block 2's depthwise convolution of one channel, given as halves, and its GELU. Returns the larger
 * of `most` and what was written, by lane. Meanwhile `next` is made by curves, if there is one: its
 * permutations fill ports that the convolution leaves free. */
ATTUNE_INLINE vf second_convolution(float *out, float *const in[2], const float weight[TAPS],
                                    float bias, int quarter, vf most, const by_curves *next,
                                    bool quick)
{
    enum { N = 2, LATER = 2 };
    const vf w[TAPS] = {broadcast(weight[0]), broadcast(weight[1]), broadcast(weight[2]),
                        broadcast(weight[3]), broadcast(weight[4])},
             b = broadcast(bias);
    const int steps = TAPS + gelu_steps(quick);
    for (int j = 0; j < quarter; j += N * W) {
        vf x[N], gelu[3][N], along[2 * N], y[2 * N];
        vi interval[2 * N];
        _Pragma("GCC unroll 40") for (int t = 0; t < steps; t++)
        {
            if (next) {
                ATTUNE_EACH(
                    i, 2 * N,
                    curve_step(next, along + i, interval + i, y + i, j, i, t - LATER * (i + 1)))
            }
            ATTUNE_EACH(i, N, tap_step(x + i, in[0] + j + i * W, in[1] + j + i * W, w, b, t);
                        gelu_step(x + i, gelu[0] + i, gelu[1] + i, gelu[2] + i, t - TAPS, quick))
        }
        ATTUNE_EACH(i, N, store(out + j + i * W, x[i]))
        if (ATTUNE_ADDERS) {
            ATTUNE_EACH(i, N, most = max_v(most, x[i]))
        }
    }
    return most;
}

/* Asks for the c-th of C1 shares of the next frame's samples, which came from a decoder and may be
 * far away. It may end behind the samples: a prefetch of what is not there does nothing. */
static void prefetch_share(const float *next, int c, int N)
{
    for (int i = c * (N / C1); i < (c + 1) * (N / C1); i += 64 / (int)sizeof(float)) {
        __builtin_prefetch(next + i);
    }
}

/* Blocks 1 and 2 up to d, from g. Returns the largest of d, by lane. */
ATTUNE_INLINE vf make_channels(float *d, float *const *row, const attune_cpu_weights *weights,
                               const float *next_frame, int quarter, bool quick)
{
    const attune_curves *curves = W == 16 ? weights->curves : NULL;
    float *const *now = row + CHANNEL, *const *other = row + NEXT;
    vf most = broadcast(0.0f);
    if (curves) {
        find_curves(row[G], row[INTERVAL], curves, quarter);
        find_curves(row[G + 1], row[INTERVAL + 1], curves, quarter);
        const by_curves first = open_curves(now, row, curves, 0);
        follow_curves(&first, quarter);
    }
    for (int c = 0; c < C1; c++, d += row_stride(4 * quarter)) {
        prefetch_share(next_frame, c, 4 * quarter);
        const float *weight = weights->depth2 + TAPS * c, bias = weights->depth2_bias[c];
        if (curves && c + 1 < C1) {
            const by_curves next = open_curves(other, row, curves, c + 1);
            most = second_convolution(d, now, weight, bias, quarter, most, &next, quick);
            float *const *swap = now;
            now = other;
            other = swap;
        } else {
            for (int half = 0; half < 2 && !curves; half++) {
                scale_gelu(now[half], row[G + half], weights->point1[c], weights->point1_bias[c],
                           quarter, quick);
            }
            most = second_convolution(d, now, weight, bias, quarter, most, NULL, quick);
        }
    }
    return most;
}

/* Adds the products of channel c to OUTPUTS outputs by V vectors of positions. */
ATTUNE_INLINE void mix_one(vf *acc, const float *d, size_t stride, const float *weight, int c)
{
    vf x[V];
    ATTUNE_EACH(v, V, x[v] = load(d + c * stride + v * W))
    ATTUNE_EACH(o, OUTPUTS, const vf w = spread(weight + c * OUTPUTS + o);
                ATTUNE_EACH(v, V, acc[o * V + v] = fma_v(w, x[v], acc[o * V + v])))
}

/* Adds the products of channels c and c + 1, by sums, and by turns those of channel `other`: that
 * keeps adders and multipliers equally busy. */
ATTUNE_INLINE void mix_three(vf *acc, const float *d, size_t stride, const float *weight, int c,
                             int other)
{
    const float *a = weight + (size_t)c * OUTPUTS, *b = a + OUTPUTS, *w = weight + other * OUTPUTS;
    for (int v = 0; v < V; v++) {
        const vf x = load(d + c * stride + v * W), y = load(d + (c + 1) * stride + v * W),
                 z = load(d + other * stride + v * W);
        ATTUNE_EACH(o, OUTPUTS, vf *at = acc + o * V + v;
                    *at = fma_v(x + spread(b + o), y + spread(a + o), *at);
                    *at = fma_v(spread(w + o), z, *at))
    }
}

/* Adds gelu(w · d + bias) of V vectors of positions to the sums of OUTPUTS outputs. d has 32 rows,
 * `stride` floats apart; `shared` are the sums of x·y of the pairs that are made by sums. */
ATTUNE_INLINE void mix_tile(float *sums, const float *d, size_t stride, const float *weight,
                            const float *bias, const vf shared[V], bool by_sums, bool quick)
{
    vf acc[OUTPUTS * V];
    ATTUNE_EACH(i, OUTPUTS * V, acc[i] = broadcast(bias[i / V]) - shared[i % V])
    for (int c = 0; by_sums && c < C1 - 2; c += 6) {
        mix_three(acc, d, stride, weight, c, c + 4);
        mix_three(acc, d, stride, weight, c + 2, c + 5);
    }
    for (int c = by_sums ? C1 - 2 : 0; c < C1; c++) {
        mix_one(acc, d, stride, weight, c);
    }
    gelu_n(acc, OUTPUTS * V, quick);
    ATTUNE_EACH(o, OUTPUTS, vf s = load(sums + o * W);
                ATTUNE_EACH(v, V, s += acc[o * V + v]) store(sums + o * W, s))
}

/* The 32 to 64 product, GELU and the mean. */
ATTUNE_INLINE void mix_and_mean(float *features, float *sums, const float *d,
                                const attune_cpu_weights *weights, int quarter, bool by_sums,
                                bool quick)
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
                     by_sums, quick);
        }
    }
    for (int o = 0; o < C2; o++) {
        features[o] = sum_v(load(sums + o * W)) / (gelu_scale(quick) * (float)quarter);
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

ATTUNE_INLINE void run_frames(float *features, const float *pcm, const attune_cpu_weights *weights,
                              float *scratch, int F, bool quick)
{
    const int N = weights->network.frame_size, quarter = N / 4;
    float *row[ROWS];
    for (int i = 0; i < ROWS; i++) {
        row[i] = scratch + i * row_stride(N) + PAD;
        memset(row[i] - PAD, 0, PAD * sizeof(float));
        memset(row[i] + quarter, 0, PAD * sizeof(float));
    }
    float *d = scratch + ROWS * row_stride(N), *sums = d + C1 * row_stride(N);
    for (int f = 0; f < F; f++, features += C2, pcm += weights->network.hop_size) {
        split_phases(row, pcm, quarter);
        first_convolution(row[G], row[G + 1], row, weights->conv0, weights->conv0_bias, quarter,
                          quick);
        const vf most =
            make_channels(d, row, weights, pcm + weights->network.hop_size, quarter, quick);
        if (ATTUNE_ADDERS && weights->point3_sums_bias && is_below(most, ATTUNE_SUMS_MAX)) {
            mix_and_mean(features, sums, d, weights, quarter, true, quick);
        } else {
            mix_and_mean(features, sums, d, weights, quarter, false, quick);
        }
    }
}

void ATTUNE_KERNEL(attune_frontend_tiny)(float *features, const float *pcm,
                                         const attune_cpu_weights *weights, float *scratch, int F)
{
    if (W < 16 && weights->quick) { /* with 16, fixed point is quicker */
        run_frames(features, pcm, weights, scratch, F, true);
    } else {
        run_frames(features, pcm, weights, scratch, F, false);
    }
}
