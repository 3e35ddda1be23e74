/* AudioEmbeddingTiny's features: N samples of a frame in, 64 numbers out. CPU twin:
 * kernels/cpu/frontend_tiny.c
 *
 *   x (N) -> depthwise k5 s2 -> GELU -> g (N/2)
 *     for each of 32 channels: scale g -> GELU -> depthwise k5 s2 -> GELU -> d (32, N/4)
 *       -> 32 to 64 -> GELU -> mean over the N/4 positions
 *
 * One warp per frame and nothing but PCM and features in memory. Lane 4·g + t takes channels
 * {2t, 2t+1} + {0, 8, 16, 24} at the positions of the g-th eighth of the frame, two a step: these
 * are the very values that an mma.m16n8k16 wants from that lane as its left-hand side (a tile's 16
 * rows need not be neighbours, since their mean is taken), so the product's operands never leave
 * registers. Along its eighth a lane carries three values a channel, the window's overlap. The four
 * lanes of a group make one value of g each and shuffle them.
 *
 * exact: both sides of the product are split into two halves, high·high + high·low + low·high.
 * fast: one product of halves, and GELU by tanh.approx.
 *
 * Bound, N = 2,048: instructions of a warp for a frame, counted in the machine code for sm_90: 32
 * steps of 1,468 (exact) or 802 (fast), 48,200 and 26,600 with what stands before and behind them.
 * Of a step 1,053 and 486 are the GELUs of 81 values a lane, at 13 and 6 (fast: 81 in the
 * special-function unit at 8 cycles each, 648: below the issue slots still); 48 and 16 are mma. One
 * a cycle on 132 multiprocessors of 4 schedulers at 1.755 GHz: 19.2 and 34.8 M frames/s, which is
 * 496 and 898 hours of audio a second; memory would allow 25,000, and a 55 GB/s bus 173 (f32) and
 * 346 (Q14).
 *
 * Measured: not yet run on a GPU; proven in emulation only (tests/emulate).
 * Dropped on paper: lane = channel, which needs a transpose through shared memory before the
 * product; x·rcp(1 + ex2(..)), 16 cycles of the special-function unit for each GELU and 3e-6. */
#include "kernels/cuda/device.cuh"

namespace
{

enum {
    WARPS = 4,    /* frames in a block */
    CHANNELS = 8, /* of the 32, in a lane */
    TILES = 8,    /* of 8 outputs each */
    OUTPUTS = 64,
    GROUPS = 8,
    LANES = 4, /* in a group */
    TAPS = 5,
};

/* Passed by value: constant memory. */
struct tiny_weights {
    float conv0[TAPS], conv0_bias;
    const float4 *depth; /* (8 channels, 2, 4 lanes): scale, bias, w0 w1 | w2 w3 w4, bias */
    const uint4 *mix_high, *mix_low; /* (8 tiles, 32 lanes) */
    const float *mix_bias;           /* (64) */
};

template <bool EXACT> struct shared_weights {
    float4 depth[CHANNELS * 2 * LANES];
    uint4 mix[EXACT ? 2 : 1][TILES * WARP];
    float mix_bias[OUTPUTS];
};

/* Fast: to 3e-4. The constants lie between the textbook's, which are best near 0, and those of the
 * least largest error; of three tracks' embeddings they left the largest error smallest. One degree
 * more would need a clamp too, two issue slots of then eight. */
template <bool EXACT> __device__ __forceinline__ float activate(float x)
{
    if (EXACT) {
        return gelu(x);
    }
    const float y = x * fmaf(x * x, 0.0353f, 0.7986f), half = 0.5f * x;
    return fmaf(half, tanh_approximate(y), half);
}

template <bool EXACT>
__device__ __forceinline__ void load_weights(shared_weights<EXACT> &to, const tiny_weights &w)
{
    for (int i = threadIdx.x; i < TILES * WARP; i += WARPS * WARP) {
        to.mix[0][i] = w.mix_high[i];
        if (EXACT) {
            to.mix[EXACT ? 1 : 0][i] = w.mix_low[i];
        }
    }
    for (int i = threadIdx.x; i < CHANNELS * 2 * LANES; i += WARPS * WARP) {
        to.depth[i] = w.depth[i];
    }
    for (int i = threadIdx.x; i < OUTPUTS; i += WARPS * WARP) {
        to.mix_bias[i] = w.mix_bias[i];
    }
}

/* The window of g[at] in samples; outside the frame they are 0. */
template <typename Sample>
__device__ __forceinline__ void load_window(float window[TAPS], const Sample *x, int at, int N)
{
    for (int k = 0; k < TAPS; k++) {
        const int i = 2 * at - 2 + k;
        window[k] =
            static_cast<unsigned>(i) < static_cast<unsigned>(N) ? static_cast<float>(x[i]) : 0.0f;
    }
}

/* Four consecutive values of g, of which lane t of a group makes the t-th. */
template <bool EXACT>
__device__ __forceinline__ void first_block(float g[LANES], const float window[TAPS],
                                            const tiny_weights &w, int lane)
{
    float sum = w.conv0_bias;
    for (int k = 0; k < TAPS; k++) {
        sum = fmaf(w.conv0[k], window[k], sum);
    }
    const float mine = activate<EXACT>(sum);
    for (int k = 0; k < LANES; k++) {
        g[k] = __shfl_sync(ATTUNE_ALL_LANES, mine, lane / LANES * LANES + k);
    }
}

/* Two outputs of a channel's second block. carry: its inputs at 2q-2, 2q-1, 2q; g: the four behind.
 * `edge`: the last of them lies behind the frame. */
template <bool EXACT>
__device__ __forceinline__ void second_block(float out[2], float carry[3], const float g[4],
                                             const float4 &a, const float4 &b, bool edge)
{
    float u[4];
    for (int k = 0; k < 4; k++) {
        u[k] = activate<EXACT>(fmaf(a.x, g[k], a.y));
    }
    u[3] = edge ? 0.0f : u[3];
    const float first =
        fmaf(b.z, u[1],
             fmaf(b.y, u[0], fmaf(b.x, carry[2], fmaf(a.w, carry[1], fmaf(a.z, carry[0], b.w)))));
    const float second = fmaf(
        b.z, u[3], fmaf(b.y, u[2], fmaf(b.x, u[1], fmaf(a.w, u[0], fmaf(a.z, carry[2], b.w)))));
    for (int k = 0; k < 3; k++) {
        carry[k] = u[k + 1];
    }
    out[0] = activate<EXACT>(first);
    out[1] = activate<EXACT>(second);
}

/* What pack_halves could not hold of the two. */
__device__ __forceinline__ uint32_t pack_rest(uint32_t packed, float first, float second)
{
    const float2 held = unpack_halves(packed);
    return pack_halves(first - held.x, second - held.y);
}

/* The 32 to 64 product of 16 positions, GELU, and their sums. */
template <bool EXACT>
__device__ __forceinline__ void mix(float sums[TILES][2], const uint32_t high[2][4],
                                    const uint32_t low[2][4], const shared_weights<EXACT> &w,
                                    int lane)
{
#pragma unroll
    for (int tile = 0; tile < TILES; tile++) {
        const float left = w.mix_bias[8 * tile + 2 * (lane % LANES)],
                    right = w.mix_bias[8 * tile + 2 * (lane % LANES) + 1];
        float d[4] = {left, right, left, right};
        const uint4 upper = w.mix[0][tile * WARP + lane];
        if (EXACT) { /* the small ones first */
            const uint4 lower = w.mix[EXACT ? 1 : 0][tile * WARP + lane];
            multiply_16x8x16(d, low[0], upper.x, upper.y);
            multiply_16x8x16(d, low[1], upper.z, upper.w);
            multiply_16x8x16(d, high[0], lower.x, lower.y);
            multiply_16x8x16(d, high[1], lower.z, lower.w);
        }
        multiply_16x8x16(d, high[0], upper.x, upper.y);
        multiply_16x8x16(d, high[1], upper.z, upper.w);
        sums[tile][0] += activate<EXACT>(d[0]) + activate<EXACT>(d[2]);
        sums[tile][1] += activate<EXACT>(d[1]) + activate<EXACT>(d[3]);
    }
}

/* What lies before a group's first position; before the frame's it is the convolution's padding. */
template <bool EXACT>
__device__ __forceinline__ void begin_group(float carry[CHANNELS][3], const float g[4],
                                            const shared_weights<EXACT> &w, int lane)
{
#pragma unroll
    for (int m = 0; m < CHANNELS; m++) {
        const float4 a = w.depth[m * 2 * LANES + lane % LANES];
        for (int k = 0; k < 3; k++) {
            const float u = activate<EXACT>(fmaf(a.x, g[k + 1], a.y));
            carry[m][k] = lane < LANES && k < 2 ? 0.0f : u;
        }
    }
}

/* Both blocks' second half at two positions of each group. */
template <bool EXACT>
__device__ __forceinline__ void step(float sums[TILES][2], float carry[CHANNELS][3],
                                     const float g[4], const shared_weights<EXACT> &w, int lane,
                                     bool edge)
{
    uint32_t high[2][4], low[2][4];
#pragma unroll
    for (int pair = 0; pair < CHANNELS / 2; pair++) {
        float out[2][2];
        for (int c = 0; c < 2; c++) {
            const int m = 2 * pair + c;
            const float4 a = w.depth[m * 2 * LANES + lane % LANES],
                         b = w.depth[(m * 2 + 1) * LANES + lane % LANES];
            second_block<EXACT>(out[c], carry[m], g, a, b, edge);
        }
        for (int row = 0; row < 2; row++) {
            const uint32_t packed = pack_halves(out[0][row], out[1][row]);
            high[pair / 2][pair % 2 * 2 + row] = packed;
            low[pair / 2][pair % 2 * 2 + row] =
                EXACT ? pack_rest(packed, out[0][row], out[1][row]) : 0;
        }
    }
    mix<EXACT>(sums, high, low, w, lane);
}

/* Adds up the groups, always in the same pairs, and divides by the N/4 positions. */
__device__ __forceinline__ void store_means(float *features, float sums[TILES][2], int N, int lane)
{
    float mine[2] = {}; /* each group of lanes stores the outputs of one tile */
#pragma unroll
    for (int tile = 0; tile < TILES; tile++) {
        for (int k = 0; k < 2; k++) {
            float sum = sums[tile][k];
            for (int other = LANES; other < WARP; other *= 2) {
                sum += __shfl_xor_sync(ATTUNE_ALL_LANES, sum, other);
            }
            mine[k] = lane / LANES == tile ? sum : mine[k];
        }
    }
    for (int k = 0; k < 2; k++) {
        features[2 * lane + k] = mine[k] / static_cast<float>(N / 4);
    }
}

template <typename Sample, bool EXACT>
__global__ void __launch_bounds__(WARPS *WARP)
    frontend_tiny(float *__restrict__ features, const Sample *__restrict__ pcm,
                  const uint32_t *__restrict__ start, const tiny_weights w, int N, uint32_t F)
{
    __shared__ shared_weights<EXACT> shared;
    load_weights<EXACT>(shared, w);
    __syncthreads();
    const uint32_t f = blockIdx.x * WARPS + threadIdx.x / WARP;
    if (f >= F) {
        return;
    }
    const int lane = threadIdx.x % WARP, group = lane / LANES, steps = N / 64;
    const Sample *x = pcm + start[f];
    const int base = group * (N / 16) + lane % LANES + 1; /* of g: this lane's in step 0 */
    float window[TAPS], g[LANES], carry[CHANNELS][3], sums[TILES][2] = {};
    load_window(window, x, base - LANES, N);
    first_block<EXACT>(g, window, w, lane);
    begin_group<EXACT>(carry, g, shared, lane);
    load_window(window, x, base, N);
    for (int i = 0; i < steps; i++) {
        first_block<EXACT>(g, window, w, lane);
        load_window(window, x, base + (i + 1) * LANES, N); /* a step ahead of its use */
        step<EXACT>(sums, carry, g, shared, lane, group == GROUPS - 1 && i == steps - 1);
        __syncwarp(); /* keeps the weights in shared memory: hoisted, they would not fit registers
                       */
    }
    store_means(features + static_cast<size_t>(f) * OUTPUTS, sums, N, lane);
}

template <typename Sample>
int launch(attune_cuda_stream *stream, float *features, const void *pcm, const uint32_t *start,
           const tiny_weights &w, attune_precision precision, int N, uint32_t F)
{
    const auto kernel = precision == ATTUNE_PRECISION_EXACT ? frontend_tiny<Sample, true>
                                                            : frontend_tiny<Sample, false>;
    ATTUNE_LAUNCH(kernel, (F - 1) / WARPS + 1, WARPS * WARP, stream, features,
                  static_cast<const Sample *>(pcm), start, w, N, F);
    return cudaGetLastError();
}

} // namespace

extern "C" int attune_cuda_frontend(attune_cuda_stream *stream, float *features, const void *pcm,
                                    const uint32_t *start, const attune_cuda_weights *weights,
                                    attune_pcm format, attune_precision precision, uint32_t F)
{
    if (weights->network.architecture != ATTUNE_ARCHITECTURE_TINY) {
        return attune_cuda_frontend_gru(stream, features, pcm, start, weights, format, F);
    }
    /* 2^-14 times a weight is exact, so Q14 samples cost no multiplication. */
    const float scale = format == ATTUNE_PCM_Q14 ? 1.0f / 16384.0f : 1.0f;
    tiny_weights w = {};
    for (int k = 0; k < TAPS; k++) {
        w.conv0[k] = weights->conv0[k] * scale;
    }
    w.conv0_bias = weights->conv0_bias;
    w.depth = reinterpret_cast<const float4 *>(weights->depth);
    w.mix_high = reinterpret_cast<const uint4 *>(weights->mix_high);
    w.mix_low = reinterpret_cast<const uint4 *>(weights->mix_low);
    w.mix_bias = weights->mix_bias;
    const int N = weights->network.frame_size;
    return format == ATTUNE_PCM_Q14
               ? launch<int16_t>(stream, features, pcm, start, w, precision, N, F)
               : launch<float>(stream, features, pcm, start, w, precision, N, F);
}
