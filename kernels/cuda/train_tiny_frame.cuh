/* train_tiny_frame.cuh - one frame of AudioEmbeddingTiny's front end in training mode: what the
 * passes of train_frontend_tiny.cu, whose head says how a block shares a frame, are made of. CPU
 * twin: kernels/cpu/train_tiny_frame.c */
#ifndef ATTUNE_KERNELS_CUDA_TRAIN_TINY_FRAME_CUH
#define ATTUNE_KERNELS_CUDA_TRAIN_TINY_FRAME_CUH

#include "kernels/cuda/train_tiny.cuh"

namespace
{

enum {
    WARPS = 4,
    THREADS = WARPS * WARP,
    STEP = 16, /* positions of y3 that a warp takes at a time; N/4 is a multiple of WARPS·STEP */
};

/* What the passes over a group's frames share; passed by value. */
struct tiny_pass {
    train_frames x;
    tiny_group *g;
    const float *w1, *w2, *w3, *w4; /* (5), (32), (32, 5), (64, 32) */
    const float *feature_gradients;
    double *sums; /* (F, as many as the pass makes) */
    float *features;
    float *kept; /* (F, KEPT): E as outer_at has it, and Σ s */
    float *dz3;  /* (F, N/4, 32) */
    float *u;    /* (F, N/2) */
};

/* ---- scalars ---- */

/* GELU beside its derivative Φ(x) + x·φ(x), the latter to 3e-6. */
__device__ __forceinline__ float gelu_slope(float x, float &slope)
{
    const float a = fminf(fabsf(x), 5.8f), density = 0.39894228f * expf(-0.5f * a * a);
    const float tail = gelu_tail(a), below = fmaf(-a, density, tail);
    slope = x < 0.0f ? below : 1.0f - below;
    return fmaf(-a, tail, larger(x, 0.0f));
}

/* ---- sums of a block ---- */

__device__ __forceinline__ int warp_of(void)
{
    return threadIdx.x / WARP;
}

__device__ __forceinline__ int lane_of(void)
{
    return threadIdx.x % WARP;
}

/* total (COUNT, 32) = every warp's values, added in the warps' order. */
template <int COUNT>
__device__ __forceinline__ void add_warps(float *total, const float values[COUNT])
{
    for (int w = 0; w < WARPS; w++) {
        if (warp_of() == w) {
#pragma unroll
            for (int i = 0; i < COUNT; i++) {
                float &to = total[i * WARP + lane_of()];
                to = w == 0 ? values[i] : to + values[i];
            }
        }
        __syncthreads();
    }
}

/* The frame's row of sums (count) = total. */
__device__ __forceinline__ void put_sums(double *sums, const float *total, int count)
{
    for (int i = threadIdx.x; i < count; i += THREADS) {
        sums[static_cast<size_t>(blockIdx.x) * count + i] = total[i];
    }
}

/* total (COUNT) = the sums over all threads. */
template <int COUNT>
__device__ __forceinline__ void add_threads(float total[COUNT], const float values[COUNT])
{
    __shared__ float part[WARPS][COUNT];
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
        float sum = values[i];
        for (int other = WARP / 2; other > 0; other /= 2) {
            sum += __shfl_xor_sync(ATTUNE_ALL_LANES, sum, other);
        }
        if (lane_of() == 0) {
            part[warp_of()][i] = sum;
        }
    }
    __syncthreads();
    if (threadIdx.x < COUNT) {
        float sum = 0;
        for (int w = 0; w < WARPS; w++) {
            sum += part[w][threadIdx.x];
        }
        total[threadIdx.x] = sum;
    }
    __syncthreads();
}

/* ---- layers 1 and 2 ---- */

struct first_layer {
    const float *x; /* the frame */
    int N;
    float w[TAPS], a, b;
};

__device__ __forceinline__ first_layer first_of(const tiny_pass &p)
{
    first_layer l = {frame_at(p.x, blockIdx.x), p.x.N, {}, p.g->a1, p.g->b1};
    for (int k = 0; k < TAPS; k++) {
        l.w[k] = p.w1[k];
    }
    return l;
}

/* Sample k of the window of position q; outside the frame they are 0. */
__device__ __forceinline__ float sample_at(const first_layer &l, int q, int k)
{
    const int i = 2 * q - 2 + k;
    return static_cast<unsigned>(i) < static_cast<unsigned>(l.N) ? l.x[i] : 0.0f;
}

__device__ __forceinline__ float y1_at(const first_layer &l, int q)
{
    float sum = 0;
    for (int k = 0; k < TAPS; k++) {
        sum = fmaf(l.w[k], sample_at(l, q, k), sum);
    }
    return sum;
}

/* The warp's part of g1 (32) in shared memory: positions q and on, 0 where there is none. */
__device__ __forceinline__ void load_g1(float *g1, const first_layer &l, int q)
{
    const int at = q + lane_of();
    __syncwarp(); /* the last part has been read */
    g1[lane_of()] = static_cast<unsigned>(at) < static_cast<unsigned>(l.N / 2)
                        ? gelu(fmaf(l.a, y1_at(l, at), l.b))
                        : 0.0f;
    __syncwarp();
}

/* ---- layer 3: one channel along a warp's positions ---- */

struct third_layer {
    int first, end, length; /* positions of the warp; of the frame */
    float w[TAPS], a2, b2;
    float window[3]; /* g2 at 2i − 2, 2i − 1 and 2i, i being the next position */
};

__device__ __forceinline__ third_layer third_of(const tiny_pass &p)
{
    const int length = p.x.N / 4, share = length / WARPS, first = warp_of() * share;
    third_layer l = {first, first + share, length, {}, p.g->a2[lane_of()], p.g->b2[lane_of()], {}};
    for (int k = 0; k < TAPS; k++) {
        l.w[k] = p.w3[lane_of() * TAPS + k];
    }
    return l;
}

/* The window at the warp's first position. */
__device__ __forceinline__ void begin(third_layer &l, float *g1, const first_layer &first)
{
    const int q = 2 * l.first - 2;
    load_g1(g1, first, q);
    for (int k = 0; k < 3; k++) {
        l.window[k] = q + k >= 0 ? gelu(fmaf(l.a2, g1[k], l.b2)) : 0.0f;
    }
}

/* y3 of the window and the two values behind it. */
__device__ __forceinline__ float convolve(const third_layer &l, float behind, float last)
{
    float sum = l.w[0] * l.window[0];
    sum = fmaf(l.w[1], l.window[1], sum);
    sum = fmaf(l.w[2], l.window[2], sum);
    sum = fmaf(l.w[3], behind, sum);
    return fmaf(l.w[4], last, sum);
}

/* y3 at position i, from g1 at 2i + 1 and 2i + 2; the window moves on. */
__device__ __forceinline__ float next(third_layer &l, const float *g1, int i)
{
    const float behind = gelu(fmaf(l.a2, g1[0], l.b2)),
                last = i + 1 == l.length ? 0.0f : gelu(fmaf(l.a2, g1[1], l.b2)); /* padding */
    const float y = convolve(l, behind, last);
    l.window[0] = l.window[2];
    l.window[1] = behind;
    l.window[2] = last;
    return y;
}

/* ---- layer 4 ---- */

typedef float4 third_tile[STEP][C1 / 4]; /* g3 of a warp's step */

/* w4, by input; the rows padded, so that lanes may read along a column too. */
struct mix_weights {
    float by_input[C1][C2 + 1];
};

__device__ __forceinline__ void load_mix(mix_weights &to, const float *w4)
{
    for (int i = threadIdx.x; i < OUTER; i += THREADS) {
        to.by_input[i % C1][i / C1] = w4[i];
    }
    __syncthreads();
}

/* y4 of channels lane and lane + 32 at a step's positions. */
__device__ __forceinline__ void mix(float y[STEP][2], const third_tile &g3, const mix_weights &w)
{
#pragma unroll
    for (int t = 0; t < STEP; t++) {
        y[t][0] = y[t][1] = 0.0f;
    }
#pragma unroll 1
    for (int c = 0; c < C1; c += 4) {
        float weight[4][2];
        for (int i = 0; i < 8; i++) {
            weight[i / 2][i % 2] = w.by_input[c + i / 2][i % 2 * WARP + lane_of()];
        }
#pragma unroll
        for (int t = 0; t < STEP; t++) {
            const float4 g = g3[t][c / 4];
#pragma unroll
            for (int h = 0; h < 2; h++) {
                y[t][h] = fmaf(weight[0][h], g.x, y[t][h]);
                y[t][h] = fmaf(weight[1][h], g.y, y[t][h]);
                y[t][h] = fmaf(weight[2][h], g.z, y[t][h]);
                y[t][h] = fmaf(weight[3][h], g.w, y[t][h]);
            }
        }
    }
}

/* sum (32) += x · row (32) */
__device__ __forceinline__ void add_outer(float sum[C1], float x, const float4 row[C1 / 4])
{
#pragma unroll
    for (int c = 0; c < C1 / 4; c++) {
        const float4 v = row[c];
        sum[4 * c] = fmaf(x, v.x, sum[4 * c]);
        sum[4 * c + 1] = fmaf(x, v.y, sum[4 * c + 1]);
        sum[4 * c + 2] = fmaf(x, v.z, sum[4 * c + 2]);
        sum[4 * c + 3] = fmaf(x, v.w, sum[4 * c + 3]);
    }
}

/* ---- back through layer 4 ---- */

/* From y4 of a step, dy4 into the warp's rows. */
struct fourth_back {
    float a[2], b[2], gain[2], constant[2], slope[2];
};

__device__ __forceinline__ fourth_back fourth_back_of(const tiny_pass &p)
{
    fourth_back l;
    for (int h = 0; h < 2; h++) {
        const int d = h * WARP + lane_of();
        l.a[h] = p.g->a4[d];
        l.b[h] = p.g->b4[d];
        l.gain[h] = p.g->gain4[d] * p.feature_gradients[static_cast<size_t>(blockIdx.x) * C2 + d] /
                    static_cast<float>(p.x.N / 4);
        l.constant[h] = p.g->constant4[d];
        l.slope[h] = p.g->slope4[d];
    }
    return l;
}

__device__ __forceinline__ float dy4_of(const fourth_back &l, int h, float y)
{
    float slope;
    gelu_slope(fmaf(l.a[h], y, l.b[h]), slope);
    return fmaf(-l.slope[h], y, fmaf(l.gain[h], slope, -l.constant[h]));
}

/* The gradients of g3 at a step's positions: dy4 · w4. */
__device__ __forceinline__ void mix_back(float dg3[STEP], const float4 dy4[STEP][C2 / 4],
                                         const mix_weights &w)
{
#pragma unroll
    for (int t = 0; t < STEP; t++) {
        dg3[t] = 0.0f;
    }
#pragma unroll 1
    for (int d = 0; d < C2; d += 4) {
        const float *weight = &w.by_input[lane_of()][d];
#pragma unroll
        for (int t = 0; t < STEP; t++) {
            const float4 v = dy4[t][d / 4];
            dg3[t] = fmaf(weight[0], v.x, dg3[t]);
            dg3[t] = fmaf(weight[1], v.y, dg3[t]);
            dg3[t] = fmaf(weight[2], v.z, dg3[t]);
            dg3[t] = fmaf(weight[3], v.w, dg3[t]);
        }
    }
}

/* ---- back through layers 3 and 2 ---- */

/* One channel on its way back through layers 3 and 2, along the warp's positions. At position i the
 * windows are of g1, g2 and GELU's derivative at z2 at 2i − 2, 2i − 1 and 2i; dy3 is known at i − 1
 * and i − 2. */
struct third_back {
    float gain, constant, slope; /* of dy3 */
    float g1[3], slope2[3];
    float here, before;   /* dy3 at i − 1, i − 2 */
    const float *dz3;     /* the frame's, of this channel */
    float sums[TAPS + 2]; /* of dw3, dz2 and dz2·(g1 − mean) */
};

/* dy3 of y3 at position i; 0 beside the frame. */
__device__ __forceinline__ float dy3_at(const third_back &b, const third_layer &l, int i, float y3)
{
    return static_cast<unsigned>(i) < static_cast<unsigned>(l.length)
               ? fmaf(-b.slope, y3, fmaf(b.gain, b.dz3[i * C1], b.constant))
               : 0.0f;
}

/* The windows at the warp's first position, and dy3 before it. */
__device__ __forceinline__ void begin_back(third_back &b, third_layer &l, float *g1,
                                           const first_layer &first)
{
    const int q = 2 * l.first - 4;
    float g2[TAPS], slope[TAPS];
    load_g1(g1, first, q);
    for (int k = 0; k < TAPS; k++) {
        g2[k] = gelu_slope(fmaf(l.a2, g1[k], l.b2), slope[k]);
        g2[k] = q + k >= 0 ? g2[k] : 0.0f;
    }
    for (int k = 0; k < 3; k++) {
        l.window[k] = g2[k];
    }
    b.here = dy3_at(b, l, l.first - 1, convolve(l, g2[3], g2[4]));
    for (int k = 0; k < 3; k++) {
        l.window[k] = g2[k + 2];
        b.g1[k] = g1[k + 2];
        b.slope2[k] = slope[k + 2];
    }
}

/* Position i: the gradient of w3, where `own`; then dz2 at 2i − 2 and 2i − 1. */
__device__ __forceinline__ void next_back(float dz2[2], third_back &b, third_layer &l,
                                          const float *g1, int i, bool own)
{
    float slope[2], g2[2];
    for (int k = 0; k < 2; k++) {
        g2[k] = gelu_slope(fmaf(l.a2, g1[k], l.b2), slope[k]);
    }
    g2[1] = i + 1 == l.length ? 0.0f : g2[1]; /* padding */
    const float d = dy3_at(b, l, i, convolve(l, g2[0], g2[1]));
    const float window[TAPS] = {l.window[0], l.window[1], l.window[2], g2[0], g2[1]};
    for (int k = 0; k < TAPS; k++) {
        b.sums[k] = fmaf(own ? d : 0.0f, window[k], b.sums[k]);
    }
    dz2[0] = fmaf(l.w[4], b.before, fmaf(l.w[2], b.here, l.w[0] * d)) * b.slope2[0];
    dz2[1] = fmaf(l.w[3], b.here, l.w[1] * d) * b.slope2[1];
    b.before = b.here;
    b.here = d;
    for (int k = 0; k < 3; k++) {
        l.window[k] = window[k + 2];
    }
    b.slope2[0] = b.slope2[2];
    b.slope2[1] = slope[0];
    b.slope2[2] = slope[1];
}

} // namespace

#endif
