/* AudioEmbeddingGRU's front end in training mode, forward and backward. CPU twin:
 * kernels/cpu/train_frontend_gru.c
 *
 *   x (N) -> conv k7 s2 p3, 1 to 64 -> y1 (N/2, 64) -> ReLU -> max of pairs -> m (N/4, 64)
 *         -> conv k5 s2 p2, 64 to 128 -> y2 (N/8, 128) -> ReLU -> mean
 *
 * Forward: 1 the moments of y1   2 y2, kept for the group, and its moments   3 the features, and
 * for every frame what backward's sums over dz2 are made of. Backward: y2 anew, and dy2 in its
 * place; from it dw2, a block for each tap and run of frames; and dm, dz1 and the sums for layer 1,
 * a block a frame. The biases stand before batch normalisations, which take them away again: their
 * gradients are 0. The baseline network is for comparison: plain f32, no effort beyond that.
 *
 * Bound, N = 2,048: 47 M multiply-adds a frame: both convolutions forward, anew, and twice on the
 * way back; 132 · 128 of them a cycle at 1.755 GHz: 630,000 frames/s, a step of 36 clips of 15 s in
 * 9.2 ms.
 * Measured: not yet run on a GPU; proven in emulation only (tests/emulate). */
#include "kernels/cuda/frontend_gru.cuh"
#include "kernels/cuda/train_frontend.cuh"

namespace
{

enum {
    MAPS = C2 * C1,       /* weights of a tap */
    WEIGHTS2 = K2 * MAPS, /* of the second convolution */
    PARTS = 4,            /* of a frame's positions: threads of one channel of layer 1 */
    THREADS = PARTS * C1,
    RUNS =
        26, /* of frames, at most, for dw2: with 5 taps, as many blocks as an H200 runs at once */
    DEEP = 32,     /* positions of dw2's products in shared memory */
    KEPT = 2 * C2, /* of a frame: Σ s and Σ s·(y2 − mean), s the derivative of ReLU */
    FIRST = (2 + 3 * K1) * C1, /* sums of layer 1 */
};

/* What is known of a group once its passes have been made. */
struct gru_group {
    float a1[C1], b1[C1], mean1[C1]; /* z1 = a1·y1 + b1 */
    float a2[C2], b2[C2], mean2[C2];
    train_norm norm1[C1], norm2[C2];
    float gain2[C2], constant2[C2], slope2[C2]; /* dy2 = gain·dz2 − constant − slope·(y2 − mean) */
};

/* Passed by value. */
struct gru_pass {
    train_frames x;
    attune_trainable_conv conv[2];
    gru_group *g;
    const float *parameters, *feature_gradients;
    float *statistics, *gradients, *features;
    double *sums; /* of the pass's frames or runs; of all */
    const double *total;
    float *kept;         /* (F, KEPT) */
    float *y2;           /* (F, N/8, 128), of one group; on the way back dy2 */
    float *w2, *w2_back; /* (5, 64, 128), (5, 128, 64) */
};

/* ---- layer 1 ---- */

struct first_layer {
    const float *x; /* the frame */
    int N;
    float w[K1], bias, a, b;
};

/* Of channel c. */
__device__ __forceinline__ first_layer first_of(const gru_pass &p, int frame, int c)
{
    first_layer l = {frame_at(p.x, frame), p.x.N,     {}, p.parameters[p.conv[0].bias + c],
                     p.g->a1[c],           p.g->b1[c]};
    for (int k = 0; k < K1; k++) {
        l.w[k] = p.parameters[p.conv[0].weight + c * K1 + k];
    }
    return l;
}

/* Sample k of the window of position i; outside the frame they are 0. */
__device__ __forceinline__ float sample_at(const first_layer &l, int i, int k)
{
    const int at = 2 * i - K1 / 2 + k;
    return static_cast<unsigned>(at) < static_cast<unsigned>(l.N) ? l.x[at] : 0.0f;
}

__device__ __forceinline__ float y1_at(const first_layer &l, int i)
{
    float sum = l.bias;
    for (int k = 0; k < K1; k++) {
        sum = fmaf(l.w[k], sample_at(l, i, k), sum);
    }
    return sum;
}

/* m at `row`; rows outside the frame are the second convolution's padding. */
__device__ __forceinline__ float m_at(const first_layer &l, int row)
{
    if (static_cast<unsigned>(row) >= static_cast<unsigned>(l.N / 4)) {
        return 0.0f;
    }
    const float z0 = fmaf(l.a, y1_at(l, 2 * row), l.b), z1 = fmaf(l.a, y1_at(l, 2 * row + 1), l.b);
    return larger(larger(z0, z1), 0.0f);
}

/* total (COUNT, 64) = the parts' values, added in their order. */
template <int COUNT>
__device__ __forceinline__ void add_parts(float *total, const float values[COUNT])
{
    const int part = threadIdx.x / C1, c = threadIdx.x % C1;
    for (int w = 0; w < PARTS; w++) {
        if (part == w) {
#pragma unroll
            for (int i = 0; i < COUNT; i++) {
                float &to = total[i * C1 + c];
                to = w == 0 ? values[i] : to + values[i];
            }
        }
        __syncthreads();
    }
}

/* sums (2, 64): the moments of y1. */
__global__ void __launch_bounds__(THREADS) first_moments(gru_pass p)
{
    __shared__ float total[2 * C1];
    const int part = threadIdx.x / C1, c = threadIdx.x % C1;
    const first_layer l = first_of(p, blockIdx.x, c);
    const float pivot = y1_at(l, l.N / 4);
    float sums[2] = {};
    for (int i = part; i < l.N / 2; i += PARTS) {
        const float d = y1_at(l, i) - pivot;
        sums[0] += d;
        sums[1] = fmaf(d, d, sums[1]);
    }
    add_parts<2>(total, sums);
    if (part == 0) {
        double moments[2];
        unpivot(moments, pivot, total[c], total[C1 + c], l.N / 2);
        p.sums[static_cast<size_t>(blockIdx.x) * 2 * C1 + c] = moments[0];
        p.sums[static_cast<size_t>(blockIdx.x) * 2 * C1 + C1 + c] = moments[1];
    }
}

/* ---- layer 2 ---- */

/* Both arrangements of its weights, which parameters hold as (128, 64, 5). */
__global__ void __launch_bounds__(THREADS) arrange(gru_pass p)
{
    const int i = blockIdx.x * THREADS + threadIdx.x, k = i % K2, c = i / K2 % C1, d = i / K2 / C1;
    const float w = p.parameters[p.conv[1].weight + i];
    p.w2[(k * C1 + c) * C2 + d] = w;
    p.w2_back[(k * C2 + d) * C1 + c] = w;
}

enum {
    MOMENTS,  /* y2, and sums (2, 128): its moments */
    FEATURES, /* of a frozen front end */
    BACKWARD, /* dy2 */
};

template <int PASS> __global__ void __launch_bounds__(C2) second(gru_pass p)
{
    __shared__ float4 m[ROWS][C1 / 4];
    const int output = threadIdx.x, c = threadIdx.x % C1, L = p.x.N / 8;
    const first_layer first = first_of(p, blockIdx.x, c);
    const float bias = p.parameters[p.conv[1].bias + output], a = p.g->a2[output],
                b = p.g->b2[output], mean = p.g->mean2[output], slope = p.g->slope2[output],
                constant = p.g->constant2[output];
    const float gain =
        PASS == BACKWARD ? p.g->gain2[output] *
                               p.feature_gradients[static_cast<size_t>(blockIdx.x) * C2 + output] /
                               static_cast<float>(L)
                         : 0.0f;
    float *out = p.y2 + static_cast<size_t>(blockIdx.x) * L * C2 + output;
    float pivot = 0, sum = 0, squares = 0;
    for (int tile = 0; tile < L; tile += TILE) {
        float y2[TILE];
        for (int row = threadIdx.x / C1; row < ROWS; row += C2 / C1) {
            reinterpret_cast<float *>(m[row])[c] = m_at(first, 2 * tile - K2 / 2 + row);
        }
        __syncthreads();
        convolve(y2, m, p.w2 + output, bias);
        float part = 0;
        pivot = tile == 0 ? y2[0] : pivot;
#pragma unroll
        for (int i = 0; i < TILE; i++) {
            const float y = y2[i], z = fmaf(a, y, b);
            if (PASS == MOMENTS) {
                out[(tile + i) * C2] = y;
                part += y - pivot;
                squares = fmaf(y - pivot, y - pivot, squares);
            } else if (PASS == FEATURES) {
                part += larger(z, 0.0f);
            } else {
                out[(tile + i) * C2] = fmaf(-slope, y - mean, (z > 0.0f ? gain : 0.0f) - constant);
            }
        }
        sum += part;
        __syncthreads(); /* before the next tile's rows */
    }
    if (PASS == MOMENTS) {
        double moments[2];
        unpivot(moments, pivot, sum, squares, L);
        p.sums[static_cast<size_t>(blockIdx.x) * 2 * C2 + output] = moments[0];
        p.sums[static_cast<size_t>(blockIdx.x) * 2 * C2 + C2 + output] = moments[1];
    } else if (PASS == FEATURES) {
        p.features[static_cast<size_t>(blockIdx.x) * C2 + output] = sum / static_cast<float>(L);
    }
}

/* The features of a frame from its y2, and what backward needs. */
__global__ void __launch_bounds__(C2) second_features(gru_pass p)
{
    const int d = threadIdx.x, L = p.x.N / 8;
    const float *y2 = p.y2 + static_cast<size_t>(blockIdx.x) * L * C2 + d;
    const float a = p.g->a2[d], b = p.g->b2[d], mean = p.g->mean2[d];
    float sum = 0, count = 0, around = 0;
    for (int tile = 0; tile < L; tile += TILE) {
        float part = 0; /* shorter sums round less */
        for (int i = tile; i < tile + TILE; i++) {
            const float y = y2[i * C2], z = fmaf(a, y, b);
            part += larger(z, 0.0f);
            count += z > 0.0f ? 1.0f : 0.0f;
            around += z > 0.0f ? y - mean : 0.0f;
        }
        sum += part;
    }
    p.features[static_cast<size_t>(blockIdx.x) * C2 + d] = sum / static_cast<float>(L);
    p.kept[static_cast<size_t>(blockIdx.x) * KEPT + d] = count;
    p.kept[static_cast<size_t>(blockIdx.x) * KEPT + C2 + d] = around;
}

/* ---- backward ---- */

/* out (chunks, KEPT): the sums over a chunk of frames of what is kept, weighed by the gradients of
 * ReLU's outputs: over dz2, and over dz2·(y2 − mean). */
__global__ void __launch_bounds__(SUM_THREADS) weigh(double *out, gru_pass p)
{
    const int i = blockIdx.x * SUM_THREADS + threadIdx.x, first = blockIdx.y * CHUNK;
    double sum = 0;
    for (int f = first; f < first + CHUNK && f < p.x.F; f++) {
        const double gradient = p.feature_gradients[static_cast<size_t>(f) * C2 + i % C2];
        sum += gradient * p.kept[static_cast<size_t>(f) * KEPT + i];
    }
    out[static_cast<size_t>(blockIdx.y) * KEPT + i] = sum / (p.x.N / 8);
}

/* sums (runs, 5, 128, 64): of dy2·m by tap blockIdx.x, over the frames of run blockIdx.y. */
__global__ void __launch_bounds__(THREADS) second_weights(gru_pass p)
{
    __shared__ float4 dy2[DEEP][C2 / 4], m[DEEP][C1 / 4];
    const int tap = blockIdx.x, L = p.x.N / 8, c = threadIdx.x % C1;
    const int row = threadIdx.x / 16, column = threadIdx.x % 16; /* 8 outputs by 4 channels */
    double total[8][4] = {};
    for (int f = blockIdx.y; f < p.x.F; f += gridDim.y) {
        const first_layer first = first_of(p, f, c);
        const float4 *from =
            reinterpret_cast<const float4 *>(p.y2 + static_cast<size_t>(f) * L * C2);
        float sum[8][4] = {};
        for (int tile = 0; tile < L; tile += DEEP) {
            for (int i = threadIdx.x; i < DEEP * C2 / 4; i += THREADS) {
                dy2[i / (C2 / 4)][i % (C2 / 4)] = from[tile * (C2 / 4) + i];
            }
            for (int i = threadIdx.x / C1; i < DEEP; i += PARTS) {
                reinterpret_cast<float *>(m[i])[c] = m_at(first, 2 * (tile + i) + tap - K2 / 2);
            }
            __syncthreads();
            for (int i = 0; i < DEEP; i++) {
                const float4 d0 = dy2[i][2 * row], d1 = dy2[i][2 * row + 1], v = m[i][column];
                const float d[8] = {d0.x, d0.y, d0.z, d0.w, d1.x, d1.y, d1.z, d1.w},
                            x[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
                for (int j = 0; j < 32; j++) {
                    sum[j / 4][j % 4] = fmaf(d[j / 4], x[j % 4], sum[j / 4][j % 4]);
                }
            }
            __syncthreads();
        }
#pragma unroll
        for (int j = 0; j < 32; j++) {
            total[j / 4][j % 4] += sum[j / 4][j % 4];
        }
    }
    double *out = p.sums + (static_cast<size_t>(blockIdx.y) * K2 + tap) * MAPS;
#pragma unroll
    for (int j = 0; j < 32; j++) {
        out[(8 * row + j / 4) * C1 + 4 * column + j % 4] = total[j / 4][j % 4];
    }
}

/* The gradients of m of channel c at rows 2j and 2j + 1, j = first to first + 3 of the tile, whose
 * dy2 stands in shared memory from the position before it on. Row 2j is read by taps 4, 2, 0 of
 * positions j − 1, j, j + 1; row 2j + 1 by taps 3 and 1 of j and j + 1. */
__device__ __forceinline__ void convolve_back(float dm[8], const float4 dy2[TILE + 2][C2 / 4],
                                              const float *__restrict__ w2_back, int first, int c)
{
#pragma unroll
    for (int i = 0; i < 8; i++) {
        dm[i] = 0.0f;
    }
#pragma unroll 1
    for (int d = 0; d < C2; d += 4) {
        float v[6][4];
#pragma unroll
        for (int i = 0; i < 6; i++) {
            const float4 x = dy2[first + i][d / 4];
            v[i][0] = x.x;
            v[i][1] = x.y;
            v[i][2] = x.z;
            v[i][3] = x.w;
        }
#pragma unroll
        for (int e = 0; e < 4; e++) {
            float w[K2];
#pragma unroll
            for (int k = 0; k < K2; k++) {
                w[k] = w2_back[(k * C2 + d + e) * C1 + c];
            }
#pragma unroll
            for (int j = 0; j < 4; j++) {
                dm[2 * j] = fmaf(w[4], v[j][e], dm[2 * j]);
                dm[2 * j] = fmaf(w[2], v[j + 1][e], dm[2 * j]);
                dm[2 * j] = fmaf(w[0], v[j + 2][e], dm[2 * j]);
                dm[2 * j + 1] = fmaf(w[3], v[j + 1][e], dm[2 * j + 1]);
                dm[2 * j + 1] = fmaf(w[1], v[j + 2][e], dm[2 * j + 1]);
            }
        }
    }
}

/* Through the maximum (of equal ones, the first) and ReLU at a row of m, into the sums of layer 1:
 * over dz1, dz1·(y1 − mean), and by tap over dz1·x, (y1 − mean)·x and x. */
__device__ __forceinline__ void add_row(float sums[FIRST / C1], const first_layer &l, float mean,
                                        int row, float dm)
{
    const float y[2] = {y1_at(l, 2 * row), y1_at(l, 2 * row + 1)},
                z[2] = {fmaf(l.a, y[0], l.b), fmaf(l.a, y[1], l.b)};
    const int largest = z[1] > z[0];
#pragma unroll
    for (int h = 0; h < 2; h++) {
        const float dz1 = largest == h && z[h] > 0.0f ? dm : 0.0f, around = y[h] - mean;
        sums[0] += dz1;
        sums[1] = fmaf(dz1, around, sums[1]);
#pragma unroll
        for (int k = 0; k < K1; k++) {
            const float x = sample_at(l, 2 * row + h, k);
            sums[2 + k] = fmaf(dz1, x, sums[2 + k]);
            sums[2 + K1 + k] = fmaf(around, x, sums[2 + K1 + k]);
            sums[2 + 2 * K1 + k] += x;
        }
    }
}

/* sums (2 + 21, 64) of layer 1. */
__global__ void __launch_bounds__(THREADS) first_backward(gru_pass p)
{
    __shared__ float4 dy2[TILE + 2][C2 / 4];
    __shared__ float total[FIRST];
    const int part = threadIdx.x / C1, c = threadIdx.x % C1, L = p.x.N / 8;
    const first_layer l = first_of(p, blockIdx.x, c);
    const float mean = p.g->mean1[c];
    const float4 *from =
        reinterpret_cast<const float4 *>(p.y2 + static_cast<size_t>(blockIdx.x) * L * C2);
    float sums[FIRST / C1] = {};
    for (int tile = 0; tile < L; tile += TILE) {
        for (int i = threadIdx.x; i < (TILE + 2) * C2 / 4; i += THREADS) {
            const int at = tile - 1 + i / (C2 / 4);
            dy2[i / (C2 / 4)][i % (C2 / 4)] = static_cast<unsigned>(at) < static_cast<unsigned>(L)
                                                  ? from[at * (C2 / 4) + i % (C2 / 4)]
                                                  : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        }
        __syncthreads();
        float dm[8];
        convolve_back(dm, dy2, p.w2_back, 4 * part, c);
#pragma unroll
        for (int i = 0; i < 8; i++) {
            add_row(sums, l, mean, 2 * (tile + 4 * part) + i, dm[i]);
        }
        __syncthreads();
    }
    add_parts<FIRST / C1>(total, sums);
    for (int i = threadIdx.x; i < FIRST; i += THREADS) {
        p.sums[static_cast<size_t>(blockIdx.x) * FIRST + i] = total[i];
    }
}

/* ---- between the passes ---- */

/* A layer's normalisation from the sums (2, channels) over `count` values of y and their squares;
 * by the running statistics where there are none. A thread is a channel. */
__global__ void normalise(gru_pass p, int layer, double count)
{
    const int c = threadIdx.x, C = blockDim.x;
    train_norm norm;
    if (count > 0) {
        const double mean = p.total[c] / count, variance = p.total[C + c] / count - mean * mean;
        norm = norm_batch(p.conv[layer], c, p.parameters, p.statistics, mean, variance, count);
    } else {
        norm = norm_frozen(p.conv[layer], c, p.parameters, p.statistics);
    }
    (layer == 0 ? p.g->norm1 : p.g->norm2)[c] = norm;
    (layer == 0 ? p.g->mean1 : p.g->mean2)[c] = static_cast<float>(norm.mean);
    resolve((layer == 0 ? p.g->a1 : p.g->a2)[c], (layer == 0 ? p.g->b1 : p.g->b2)[c], norm,
            norm.mean);
}

/* From the sums (KEPT) of weigh. */
__global__ void denormalise2(gru_pass p)
{
    const int d = threadIdx.x;
    const train_norm &norm = p.g->norm2[d];
    const train_denorm back = denorm_of(norm, p.total[d], p.total[C2 + d]);
    add_norm_gradients(p.gradients, norm, p.conv[1], d, p.total[d], p.total[C2 + d]);
    p.g->gain2[d] = static_cast<float>(back.gain);
    p.g->constant2[d] = static_cast<float>(back.constant);
    p.g->slope2[d] = static_cast<float>(back.slope);
}

/* Adds the gradient of w2 from its sums (5, 128, 64). */
__global__ void __launch_bounds__(THREADS) add_weights(gru_pass p)
{
    const int i = blockIdx.x * THREADS + threadIdx.x, k = i % K2, c = i / K2 % C1, d = i / K2 / C1;
    p.gradients[p.conv[1].weight + i] += static_cast<float>(p.total[(k * C2 + d) * C1 + c]);
}

/* Adds layer 1's gradients from the sums of first_backward. */
__global__ void denormalise1(gru_pass p)
{
    const int c = threadIdx.x;
    const train_norm &norm = p.g->norm1[c];
    const double sum = p.total[c], product = p.total[C1 + c];
    const double *dz1_x = p.total + 2 * C1, *y1_x = dz1_x + K1 * C1, *x = y1_x + K1 * C1;
    const train_denorm back = denorm_of(norm, sum, product);
    add_norm_gradients(p.gradients, norm, p.conv[0], c, sum, product);
    for (int k = 0; k < K1; k++) {
        const int i = k * C1 + c;
        p.gradients[p.conv[0].weight + c * K1 + k] +=
            static_cast<float>(back.gain * dz1_x[i] - back.constant * x[i] - back.slope * y1_x[i]);
    }
}

/* ---- the passes in their order ---- */

struct gru_memory {
    gru_group *groups;
    float *kept, *y2, *w2, *w2_back; /* kept: all groups' */
    train_sums frames, runs;
    size_t bytes;
};

gru_memory lay_out(const attune_cuda_train_frontend *f)
{
    train_memory memory = {static_cast<char *>(f->memory), 0};
    const size_t F = f->frozen ? 0 : f->frames, N = f->trainable->network.frame_size;
    const int frames = static_cast<int>(F);
    gru_memory m = {};
    m.groups = take<gru_group>(memory, f->groups);
    m.kept = take<float>(memory, F * f->groups * KEPT);
    m.y2 = take<float>(memory, F * (N / 8) * C2);
    m.w2 = take<float>(memory, WEIGHTS2);
    m.w2_back = take<float>(memory, WEIGHTS2);
    m.frames = take_sums(memory, frames, FIRST, frames, KEPT);
    m.runs = take_sums(memory, frames < RUNS ? frames : RUNS, WEIGHTS2, 0, 0);
    m.bytes = memory.used;
    return m;
}

gru_pass pass_of(const attune_cuda_train_frontend *f, const gru_memory &m, const float *parameters,
                 const attune_cuda_clips *clips, int group)
{
    gru_pass p = {};
    p.x = train_frames_of(f, clips);
    memcpy(p.conv, f->trainable->conv, sizeof(p.conv));
    p.g = m.groups + group;
    p.parameters = parameters;
    p.sums = m.frames.rows;
    p.total = m.frames.total;
    p.kept = m.kept + (f->frozen ? 0 : static_cast<size_t>(group) * f->frames * KEPT);
    p.y2 = m.y2;
    p.w2 = m.w2;
    p.w2_back = m.w2_back;
    return p;
}

} // namespace

extern "C" size_t attune_cuda_train_frontend_gru_bytes(const attune_cuda_train_frontend *frontend)
{
    attune_cuda_train_frontend empty = *frontend;
    empty.memory = nullptr;
    return lay_out(&empty).bytes;
}

extern "C" int attune_cuda_train_frontend_gru_forward(attune_cuda_stream *stream, float *features,
                                                      float *statistics,
                                                      const attune_cuda_train_frontend *frontend,
                                                      const float *parameters,
                                                      const attune_cuda_clips *clips, int group)
{
    const gru_memory m = lay_out(frontend);
    gru_pass p = pass_of(frontend, m, parameters, clips, group);
    const int F = p.x.F;
    const double n1 = static_cast<double>(F) * p.x.N / 2;
    p.features = features;
    p.statistics = statistics;
    ATTUNE_LAUNCH(arrange, WEIGHTS2 / THREADS, THREADS, stream, p);
    if (frontend->frozen) {
        ATTUNE_LAUNCH(normalise, 1, C1, stream, p, 0, 0.0);
        ATTUNE_LAUNCH(normalise, 1, C2, stream, p, 1, 0.0);
        ATTUNE_LAUNCH(second<FEATURES>, F, C2, stream, p);
        return cudaGetLastError();
    }
    ATTUNE_LAUNCH(first_moments, F, THREADS, stream, p);
    sum_all(stream, m.frames, F, 2 * C1);
    ATTUNE_LAUNCH(normalise, 1, C1, stream, p, 0, n1);
    ATTUNE_LAUNCH(second<MOMENTS>, F, C2, stream, p);
    sum_all(stream, m.frames, F, 2 * C2);
    ATTUNE_LAUNCH(normalise, 1, C2, stream, p, 1, n1 / 4);
    ATTUNE_LAUNCH(second_features, F, C2, stream, p);
    return cudaGetLastError();
}

extern "C" int attune_cuda_train_frontend_gru_backward(attune_cuda_stream *stream, float *gradients,
                                                       const attune_cuda_train_frontend *frontend,
                                                       const float *feature_gradients,
                                                       const float *parameters,
                                                       const attune_cuda_clips *clips, int group)
{
    const gru_memory m = lay_out(frontend);
    gru_pass p = pass_of(frontend, m, parameters, clips, group);
    const int F = p.x.F, runs = F < RUNS ? F : RUNS;
    p.feature_gradients = feature_gradients;
    p.gradients = gradients;
    ATTUNE_LAUNCH(arrange, WEIGHTS2 / THREADS, THREADS, stream, p);
    ATTUNE_LAUNCH(weigh, dim3(KEPT / SUM_THREADS, chunks_of(F)), SUM_THREADS, stream,
                  m.frames.chunks, p);
    sum_chunks(stream, m.frames, F, KEPT);
    ATTUNE_LAUNCH(denormalise2, 1, C2, stream, p);
    ATTUNE_LAUNCH(second<BACKWARD>, F, C2, stream, p);
    ATTUNE_LAUNCH(first_backward, F, THREADS, stream, p);
    sum_all(stream, m.frames, F, FIRST);
    ATTUNE_LAUNCH(denormalise1, 1, C1, stream, p);
    p.sums = m.runs.rows;
    p.total = m.runs.total;
    ATTUNE_LAUNCH(second_weights, dim3(K2, runs), THREADS, stream, p);
    sum_all(stream, m.runs, runs, WEIGHTS2);
    ATTUNE_LAUNCH(add_weights, WEIGHTS2 / THREADS, THREADS, stream, p);
    return cudaGetLastError();
}
