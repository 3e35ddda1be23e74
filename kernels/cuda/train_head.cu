/* Behind the GRU in training mode: pooling over time, projection, length 1; and back. CPU twin:
 * kernels/cpu/train_head.c
 *
 * Scores take a warp a row, everything else a block a clip: sums over a clip's steps go upwards, a
 * thread per unit, sums over a row in a warp's fixed tree.
 *
 * Bound, H = A = 128: the states and what attends are read twice forward and twice back, 4 KB a row
 * in all: 36 clips of 161 rows are 24 MB, from L2 in 4 µs; a block a clip reads its 160 rows in
 * turn, some 20 µs. Launches count for as much.
 * Measured: not yet run on a GPU; proven in emulation only (tests/emulate). */
#include "kernels/cuda/project.cuh"
#include "kernels/cuda/train_sequence.h"

namespace
{

enum { THREADS = PROJECT_THREADS, WARPS = THREADS / WARP, WIDTH_MAX = 1024 /* of H, P and E */ };

/* ---- pooling ---- */

__global__ void __launch_bounds__(THREADS)
    score_rows(float *__restrict__ scores, float *__restrict__ attended,
               const float *__restrict__ score_weight, int R, int A)
{
    const int row = blockIdx.x * WARPS + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    float sum = 0;
    for (int a = lane; row < R && a < A; a += WARP) {
        float &u = attended[static_cast<size_t>(row) * A + a];
        u = tangent(u);
        sum = fmaf(score_weight[a], u, sum);
    }
    sum = sum_lanes(sum);
    if (row < R && lane == 0) {
        scores[row] = sum; /* the score's bias changes nothing */
    }
}

/* Sum over a block, the same in every thread. */
__device__ float sum_block(float x, float *scratch /* (WARPS) */)
{
    x = sum_lanes(x);
    if (threadIdx.x % WARP == 0) {
        scratch[threadIdx.x / WARP] = x;
    }
    __syncthreads();
    x = 0;
    for (int i = 0; i < WARPS; i++) {
        x += scratch[i];
    }
    __syncthreads();
    return x;
}

/* weight (T) = softmax of scores (T), in place. */
__device__ void softmax(float *weight, int T, float *scratch)
{
    float largest = -INFINITY, sum = 0;
    for (int t = threadIdx.x; t < T; t += THREADS) {
        largest = fmaxf(largest, weight[t]);
    }
    for (int other = WARP / 2; other > 0; other /= 2) {
        largest = fmaxf(largest, __shfl_xor_sync(ATTUNE_ALL_LANES, largest, other));
    }
    if (threadIdx.x % WARP == 0) {
        scratch[threadIdx.x / WARP] = largest;
    }
    __syncthreads();
    for (int i = 0; i < WARPS; i++) {
        largest = fmaxf(largest, scratch[i]);
    }
    __syncthreads();
    for (int t = threadIdx.x; t < T; t += THREADS) {
        sum += expf(weight[t] - largest);
    }
    sum = sum_block(sum, scratch);
    for (int t = threadIdx.x; t < T; t += THREADS) {
        weight[t] = expf(weight[t] - largest) / sum;
    }
    __syncthreads();
}

/* What step t counts for. */
__device__ __forceinline__ float weight_of(attune_pooling pooling, const float *weight, int t,
                                           int T)
{
    return pooling == ATTUNE_POOLING_ATTENTION ? weight[t]
           : pooling == ATTUNE_POOLING_MEAN    ? 1.0f / static_cast<float>(T)
           : t == T - 1                        ? 1.0f
                                               : 0.0f;
}

__global__ void __launch_bounds__(THREADS)
    pool(float *__restrict__ pooled, float *weights, const float *__restrict__ h,
         attune_pooling pooling, int T, int H)
{
    __shared__ float scratch[WARPS];
    const size_t row = static_cast<size_t>(blockIdx.x) * T;
    float *weight = weights + row;
    if (pooling == ATTUNE_POOLING_ATTENTION) {
        softmax(weight, T, scratch);
    }
    for (int i = threadIdx.x; i < H; i += THREADS) {
        float sum = 0;
#pragma unroll 4
        for (int t = pooling == ATTUNE_POOLING_LAST ? T - 1 : 0; t < T; t++) {
            sum = fmaf(weight_of(pooling, weight, t, T), h[(row + t) * H + i], sum);
        }
        pooled[static_cast<size_t>(blockIdx.x) * H + i] = sum;
    }
}

/* From g, the gradient by what a clip has pooled, those by its scores and before the tanh. */
__device__ void attend_back(float *by_score, float *attended_gradient, const float *weight,
                            const float *attended, const float *h, const float *score_weight,
                            const float *g, float *scratch, int T, int H, int A)
{
    const int lane = threadIdx.x % WARP;
    for (int t = threadIdx.x / WARP; t < T; t += WARPS) {
        float sum = 0;
        for (int i = lane; i < H; i += WARP) {
            sum = fmaf(g[i], h[static_cast<size_t>(t) * H + i], sum);
        }
        sum = sum_lanes(sum);
        if (lane == 0) {
            by_score[t] = sum;
        }
    }
    __syncthreads();
    float mean = 0;
    for (int t = threadIdx.x; t < T; t += THREADS) {
        mean = fmaf(weight[t], by_score[t], mean);
    }
    mean = sum_block(mean, scratch);
    for (int t = threadIdx.x; t < T; t += THREADS) {
        by_score[t] = weight[t] * (by_score[t] - mean);
    }
    __syncthreads();
    for (int t = threadIdx.x / WARP; t < T; t += WARPS) {
        for (int a = lane; a < A; a += WARP) {
            const size_t at = static_cast<size_t>(t) * A + a;
            const float u = attended[at];
            attended_gradient[at] = by_score[t] * score_weight[a] * (1.0f - u * u);
        }
    }
}

struct pool_back_call {
    float *state_gradients, *score_gradient, *attended_gradient;
    const float *pooled_gradient, *weight, *attended, *h, *score_weight;
    attune_pooling pooling;
    int T, H, A;
};

__global__ void __launch_bounds__(THREADS) pool_back(pool_back_call c)
{
    __shared__ float scratch[WARPS];
    const size_t row = static_cast<size_t>(blockIdx.x) * c.T;
    const float *g = c.pooled_gradient + static_cast<size_t>(blockIdx.x) * c.H;
    if (c.pooling == ATTUNE_POOLING_ATTENTION) {
        attend_back(c.score_gradient + row, c.attended_gradient + row * c.A, c.weight + row,
                    c.attended + row * c.A, c.h + row * c.H, c.score_weight, g, scratch, c.T, c.H,
                    c.A);
    }
    const float *weight = c.pooling == ATTUNE_POOLING_ATTENTION ? c.weight + row : nullptr;
    for (int i = threadIdx.x; i < c.H; i += THREADS) {
        for (int t = 0; t < c.T; t++) {
            c.state_gradients[(row + t) * c.H + i] = weight_of(c.pooling, weight, t, c.T) * g[i];
        }
    }
}

/* ---- projection and norm ---- */

__device__ __forceinline__ float activate(float x, bool gelu)
{
    return gelu ? 0.5f * x * erfcf(-0.707106781f * x) : larger(x, 0.0f);
}

__device__ __forceinline__ float activate_slope(float x, bool gelu)
{
    const float density = 0.398942280f; /* 1 / √(2π) */
    return gelu    ? fmaf(x * density, expf(-0.5f * x * x), 0.5f * erfcf(-0.707106781f * x))
           : x > 0 ? 1.0f
                   : 0.0f;
}

/* The projection of all clips: weights and where its numbers are kept. */
struct head_call {
    float *pooled, *pooled_gradient, *inner, *active, *inner_gradient, *outer, *outer_gradient;
    const float *project1, *project1_bias, *project2, *project2_bias;
    uint64_t seed;
    float drop;
    bool gelu;
    int H, P, E;
};

/* What dropout multiplies this clip's unit i with. */
__device__ __forceinline__ float head_scale(const head_call &c, int i)
{
    const uint64_t element =
        static_cast<uint64_t>(blockIdx.x) * static_cast<uint64_t>(c.P) + static_cast<uint64_t>(i);
    return attune_dropout_keeps(c.seed, ATTUNE_LAYERS_MAX, element, c.drop) ? 1.0f / (1.0f - c.drop)
                                                                            : 0.0f;
}

/* x · y over `count`, by every warp for itself. */
__device__ float dot(const float *x, const float *y, int count)
{
    float sum = 0;
    for (int i = threadIdx.x % WARP; i < count; i += WARP) {
        sum = fmaf(x[i], y[i], sum);
    }
    return sum_lanes(sum);
}

__global__ void __launch_bounds__(THREADS) head(float *__restrict__ embeddings, head_call c)
{
    __shared__ float inner[WIDTH_MAX], outer[WIDTH_MAX];
    const size_t clip = blockIdx.x;
    project(inner, c.pooled + clip * c.H, c.project1, c.project1_bias, c.P, c.H);
    for (int i = threadIdx.x; i < c.P; i += THREADS) {
        const float x = inner[i];
        c.inner[clip * c.P + i] = x;
        c.active[clip * c.P + i] = inner[i] = activate(x, c.gelu) * head_scale(c, i);
    }
    __syncthreads();
    project(outer, inner, c.project2, c.project2_bias, c.E, c.P);
    const float norm = fmaxf(sqrtf(dot(outer, outer, c.E)), 1e-12f);
    for (int i = threadIdx.x; i < c.E; i += THREADS) {
        c.outer[clip * c.E + i] = outer[i];
        embeddings[clip * c.E + i] = outer[i] / norm;
    }
}

/* out[j] = sum over k of weight (K, J) · in (K). */
__device__ __forceinline__ float project_back(const float *__restrict__ weight, const float *in,
                                              int j, int J, int K)
{
    float sum = 0;
#pragma unroll 4
    for (int k = 0; k < K; k++) {
        sum = fmaf(weight[static_cast<size_t>(k) * J + j], in[k], sum);
    }
    return sum;
}

__global__ void __launch_bounds__(THREADS)
    head_back(const float *__restrict__ embedding_gradients, head_call c)
{
    __shared__ float outer[WIDTH_MAX], inner[WIDTH_MAX];
    __shared__ double norm, along;
    const size_t clip = blockIdx.x;
    const float *g = embedding_gradients + clip * c.E, *x = c.outer + clip * c.E;
    if (threadIdx.x == 0) { /* in double: what is left of g is a small difference */
        double square = 0, product = 0;
        for (int i = 0; i < c.E; i++) {
            square += static_cast<double>(x[i]) * x[i];
            product += static_cast<double>(g[i]) * x[i];
        }
        norm = sqrt(square);
        along = norm > 1e-12 ? product / square : 0; /* a component that the norm takes away */
        norm = fmax(norm, 1e-12);
    }
    __syncthreads();
    for (int i = threadIdx.x; i < c.E; i += THREADS) {
        outer[i] = static_cast<float>((g[i] - along * x[i]) / norm);
        c.outer_gradient[clip * c.E + i] = outer[i];
    }
    __syncthreads();
    for (int i = threadIdx.x; i < c.P; i += THREADS) {
        c.inner_gradient[clip * c.P + i] = inner[i] =
            project_back(c.project2, outer, i, c.P, c.E) * head_scale(c, i) *
            activate_slope(c.inner[clip * c.P + i], c.gelu);
    }
    __syncthreads();
    for (int i = threadIdx.x; i < c.H; i += THREADS) {
        c.pooled_gradient[clip * c.H + i] = project_back(c.project1, inner, i, c.H, c.P);
    }
}

head_call call_of(const attune_cuda_train_sequence *s, const float *parameters)
{
    const attune_trainable *t = s->trainable;
    const attune_network &n = t->network;
    head_call c = {};
    c.pooled = s->pooled;
    c.pooled_gradient = s->pooled_gradient;
    c.inner = s->inner;
    c.active = s->active;
    c.inner_gradient = s->inner_gradient;
    c.outer = s->outer;
    c.outer_gradient = s->outer_gradient;
    c.project1 = parameters + t->project1_weight;
    c.project1_bias = parameters + t->project1_bias;
    c.project2 = parameters + t->project2_weight;
    c.project2_bias = parameters + t->project2_bias;
    c.seed = s->dropout.seed;
    c.drop = s->dropout.head;
    c.gelu = n.architecture == ATTUNE_ARCHITECTURE_TINY;
    c.H = n.hidden;
    c.P = n.projection;
    c.E = n.embedding;
    return c;
}

} // namespace

extern "C" int attune_cuda_train_score(attune_cuda_stream *stream,
                                       const attune_cuda_train_sequence *s, const float *parameters)
{
    const int R = s->B * s->T;
    ATTUNE_LAUNCH(score_rows, (R - 1) / WARPS + 1, THREADS, stream, s->weight, s->attended,
                  parameters + s->trainable->score_weight, R, s->trainable->network.attention);
    return cudaGetLastError();
}

extern "C" int attune_cuda_train_pool(attune_cuda_stream *stream,
                                      const attune_cuda_train_sequence *s)
{
    const attune_network &n = s->trainable->network;
    ATTUNE_LAUNCH(pool, s->B, THREADS, stream, s->pooled, s->weight, s->layers[n.layers - 1].h,
                  n.pooling, s->T, n.hidden);
    return cudaGetLastError();
}

extern "C" int attune_cuda_train_pool_back(attune_cuda_stream *stream,
                                           const attune_cuda_train_sequence *s,
                                           const float *parameters)
{
    const attune_network &n = s->trainable->network;
    pool_back_call c = {};
    c.state_gradients = s->state_gradients;
    c.score_gradient = s->score_gradient;
    c.attended_gradient = s->attended_gradient;
    c.pooled_gradient = s->pooled_gradient;
    c.weight = s->weight;
    c.attended = s->attended;
    c.h = s->layers[n.layers - 1].h;
    c.score_weight = parameters + s->trainable->score_weight;
    c.pooling = n.pooling;
    c.T = s->T;
    c.H = n.hidden;
    c.A = n.attention;
    ATTUNE_LAUNCH(pool_back, s->B, THREADS, stream, c);
    return cudaGetLastError();
}

extern "C" int attune_cuda_train_head(attune_cuda_stream *stream,
                                      const attune_cuda_train_sequence *s, float *embeddings,
                                      const float *parameters)
{
    ATTUNE_LAUNCH(head, s->B, THREADS, stream, embeddings, call_of(s, parameters));
    return cudaGetLastError();
}

extern "C" int attune_cuda_train_head_back(attune_cuda_stream *stream,
                                           const attune_cuda_train_sequence *s,
                                           const float *embedding_gradients,
                                           const float *parameters)
{
    ATTUNE_LAUNCH(head_back, s->B, THREADS, stream, embedding_gradients, call_of(s, parameters));
    return cudaGetLastError();
}
