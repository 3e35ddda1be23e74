/* AudioEmbeddingTiny's front end in training mode, forward and backward: the passes. CPU twin:
 * kernels/cpu/train_frontend_tiny.c
 *
 *   x (N) -> depthwise k5 s2 -> y1 -> GELU -> g1 (N/2)
 *     -> scaled for 32 channels -> z2 -> GELU -> g2 (N/2, 32) -> depthwise k5 s2 -> y3 -> GELU
 *     -> g3 (N/4, 32) -> 32 to 64 -> y4 -> GELU -> g4 (N/4, 64) -> mean
 *
 * Forward; y2 = w2·g1 has the statistics of g1, and y4 = W4·g3 those that W4 makes of the mean and
 * the covariance of g3, so neither needs a pass of its own:
 *   1 the moments of y1   2 of g1   3 of y3   4 the covariance of g3
 *   5 the features; and, since they are means over positions, a position's gradient dz4 is that of
 *     its feature times GELU's derivative s: so E = Σ s·g3ᵀ and Σ s over the positions, kept for
 *     every frame, give backward all of its sums over dz4 without another pass.
 * Backward:
 *   1 dW4 of E   2 dz3, kept, and its sums   3 dw3, the sums over dz2, and u, kept, of which dg1 is
 *   made   4 dw1.
 * A frame keeps 8,448 bytes, and 34·N more while its group goes back; else activations are made
 * anew: g2 takes 14 ns a frame, by the count below, and to fetch it would take 32.
 *
 * A block is a frame, and each of its 4 warps takes a quarter of the positions, 16 at a time. Lane
 * is channel: so a depthwise window slides through registers, and g1 and the left-hand side of
 * products are read from shared memory by all lanes at once. What the warps have summed is added in
 * their order.
 *
 * Bound, N = 2,048, forward and backward of a frame: 170,000 GELUs of 13 issue slots and 116,000
 * with derivative of 28, 5.2 M multiply-adds: 10.7 M slots of a lane, 335,000 of a warp. One a
 * cycle on 132 multiprocessors of 4 schedulers at 1.755 GHz: 2.8 M frames/s, a step of 36 clips of
 * 15 s in 2.1 ms. Memory: about 220 KB a frame, at 4 TB/s 18 M frames/s.
 *
 * Measured: not yet run on a GPU; proven in emulation only (tests/emulate).
 */
#include "kernels/cuda/train_tiny.cuh"
#include "kernels/cuda/train_tiny_frame.cuh"

namespace
{

/* ---- forward ---- */

/* sums (2): the moments of y1, or of g1. */
template <bool ACTIVATED> __global__ void __launch_bounds__(THREADS) first_moments(tiny_pass p)
{
    __shared__ float total[2];
    const first_layer l = first_of(p);
    const auto value = [&](int q) {
        const float y = y1_at(l, q);
        return ACTIVATED ? gelu(fmaf(l.a, y, l.b)) : y;
    };
    const float pivot = value(l.N / 4);
    float sums[2] = {0.0f, 0.0f};
    for (int q = threadIdx.x; q < l.N / 2; q += THREADS) {
        const float d = value(q) - pivot;
        sums[0] += d;
        sums[1] = fmaf(d, d, sums[1]);
    }
    add_threads<2>(total, sums);
    if (threadIdx.x == 0) {
        unpivot(p.sums + 2 * static_cast<size_t>(blockIdx.x), pivot, total[0], total[1], l.N / 2);
    }
}

/* sums (2, 32): the moments of y3. */
__global__ void __launch_bounds__(THREADS) third_moments(tiny_pass p)
{
    __shared__ float g1[WARPS][WARP];
    __shared__ double moments[WARPS][2][C1];
    const first_layer first = first_of(p);
    third_layer l = third_of(p);
    float pivot = 0, sum = 0, squares = 0;
    begin(l, g1[warp_of()], first);
    for (int i = l.first; i < l.end; i += STEP) {
        load_g1(g1[warp_of()], first, 2 * i + 1);
        for (int t = 0; t < STEP; t++) {
            const float y = next(l, &g1[warp_of()][2 * t], i + t);
            pivot = i + t == l.first ? y : pivot;
            sum += y - pivot;
            squares = fmaf(y - pivot, y - pivot, squares);
        }
    }
    double own[2];
    unpivot(own, pivot, sum, squares, l.end - l.first);
    moments[warp_of()][0][lane_of()] = own[0];
    moments[warp_of()][1][lane_of()] = own[1];
    __syncthreads();
    if (threadIdx.x < 2 * C1) {
        double total = 0;
        for (int w = 0; w < WARPS; w++) {
            total += moments[w][warp_of()][lane_of()];
        }
        p.sums[static_cast<size_t>(blockIdx.x) * 2 * C1 + threadIdx.x] = total;
    }
}

/* Some g3 to count from, so that little is lost where all are alike: in the middle of the first
 * frame. One warp. */
__global__ void third_pivot(tiny_pass p)
{
    __shared__ float g1[WARP];
    const first_layer first = first_of(p);
    third_layer l = third_of(p);
    l.first = l.length / 2;
    begin(l, g1, first);
    load_g1(g1, first, 2 * l.first + 1);
    const float y = next(l, g1, l.first);
    p.g->pivot3[lane_of()] = gelu(fmaf(p.g->a3[lane_of()], y, p.g->b3[lane_of()]));
}

/* g3 less `mean` of a step, position i and on, into the warp's tile. */
__device__ __forceinline__ void load_third(third_tile &to, third_layer &l, float *g1,
                                           const first_layer &first, int i, float a3, float b3,
                                           float mean)
{
    load_g1(g1, first, 2 * i + 1);
    for (int t = 0; t < STEP; t++) {
        const float y = next(l, g1 + 2 * t, i + t);
        reinterpret_cast<float *>(to[t])[lane_of()] = gelu(fmaf(a3, y, b3)) - mean;
    }
    __syncwarp();
}

/* sums (1 + 32, 32): over g3 less its pivot, and over its products. */
__global__ void __launch_bounds__(THREADS) third_covariance(tiny_pass p)
{
    __shared__ float g1[WARPS][WARP], total[COVARIANCE];
    __shared__ third_tile tiles[WARPS];
    const first_layer first = first_of(p);
    third_layer l = third_of(p);
    third_tile &tile = tiles[warp_of()];
    const int c = lane_of();
    const float a3 = p.g->a3[c], b3 = p.g->b3[c], pivot = p.g->pivot3[c];
    float sums[1 + C1] = {};
    begin(l, g1[warp_of()], first);
    for (int i = l.first; i < l.end; i += STEP) {
        load_third(tile, l, g1[warp_of()], first, i, a3, b3, pivot);
        for (int t = 0; t < STEP; t++) {
            const float own = reinterpret_cast<const float *>(tile[t])[c];
            sums[0] += own;
            add_outer(sums + 1, own, tile[t]);
        }
    }
    add_warps<1 + C1>(total, sums);
    put_sums(p.sums, total, COVARIANCE);
}

/* The features of a frame, and where KEEP, what backward needs of it. */
template <bool KEEP> __global__ void __launch_bounds__(THREADS) fourth_features(tiny_pass p)
{
    __shared__ float g1[WARPS][WARP], total[KEPT];
    __shared__ third_tile tiles[WARPS];
    __shared__ mix_weights weights;
    const first_layer first = first_of(p);
    third_layer l = third_of(p);
    third_tile &tile = tiles[warp_of()];
    const int c = lane_of();
    const float a3 = p.g->a3[c], b3 = p.g->b3[c], mean3 = p.g->mean3[c];
    const float a4[2] = {p.g->a4[c], p.g->a4[c + WARP]}, b4[2] = {p.g->b4[c], p.g->b4[c + WARP]};
    float feature[2] = {}, kept[2 * C1 + 2] = {};
    load_mix(weights, p.w4);
    begin(l, g1[warp_of()], first);
    for (int i = l.first; i < l.end; i += STEP) {
        float y[STEP][2], part[2] = {}; /* of the feature: shorter sums round less */
        load_third(tile, l, g1[warp_of()], first, i, a3, b3, mean3);
        mix(y, tile, weights);
#pragma unroll
        for (int t = 0; t < STEP; t++) {
#pragma unroll
            for (int h = 0; h < 2; h++) {
                const float z = fmaf(a4[h], y[t][h], b4[h]);
                if (KEEP) {
                    float slope;
                    part[h] += gelu_slope(z, slope);
                    kept[2 * C1 + h] += slope;
                    add_outer(kept + h * C1, slope, tile[t]);
                } else {
                    part[h] += gelu(z);
                }
            }
        }
        feature[0] += part[0];
        feature[1] += part[1];
    }
    add_warps<2>(total, feature);
    if (threadIdx.x < C2) {
        p.features[static_cast<size_t>(blockIdx.x) * C2 + threadIdx.x] =
            total[threadIdx.x] / static_cast<float>(l.length);
    }
    if (KEEP) {
        __syncthreads();
        add_warps<2 * C1 + 2>(total, kept);
        for (int i = threadIdx.x; i < KEPT; i += THREADS) {
            p.kept[static_cast<size_t>(blockIdx.x) * KEPT + i] = total[i];
        }
    }
}

/* ---- backward ---- */

/* out (chunks, KEPT): the sums over a chunk of frames of what is kept, weighed by the gradients of
 * g4: over dz4·(g3 less its mean), and over dz4. */
__global__ void __launch_bounds__(SUM_THREADS) weigh(double *out, tiny_pass p)
{
    const int i = blockIdx.x * SUM_THREADS + threadIdx.x, first = blockIdx.y * CHUNK;
    const int d = i < OUTER ? i / (C1 * WARP) * WARP + i % WARP : i - OUTER;
    double sum = 0;
    for (int f = first; f < first + CHUNK && f < p.x.F; f++) {
        const double gradient = p.feature_gradients[static_cast<size_t>(f) * C2 + d];
        sum += gradient * p.kept[static_cast<size_t>(f) * KEPT + i];
    }
    out[static_cast<size_t>(blockIdx.y) * KEPT + i] = sum / (p.x.N / 4);
}

/* dz3, and sums (2, 32): of dz3 and of dz3·(y3 − mean). */
__global__ void __launch_bounds__(THREADS) fourth_backward(tiny_pass p)
{
    __shared__ float g1[WARPS][WARP], total[2 * C1];
    __shared__ third_tile tiles[WARPS];
    __shared__ float4 rows[WARPS][STEP][C2 / 4]; /* dy4 */
    __shared__ mix_weights weights;
    const first_layer first = first_of(p);
    third_layer l = third_of(p);
    third_tile &tile = tiles[warp_of()];
    const int c = lane_of();
    const float a3 = p.g->a3[c], b3 = p.g->b3[c], mean3 = p.g->mean3[c],
                mean = static_cast<float>(p.g->norm3[c].mean);
    const fourth_back fourth = fourth_back_of(p);
    float sums[2] = {};
    load_mix(weights, p.w4);
    begin(l, g1[warp_of()], first);
    for (int i = l.first; i < l.end; i += STEP) {
        float y3[STEP], slope[STEP], y[STEP][2];
        load_g1(g1[warp_of()], first, 2 * i + 1);
#pragma unroll
        for (int t = 0; t < STEP; t++) {
            y3[t] = next(l, &g1[warp_of()][2 * t], i + t);
            reinterpret_cast<float *>(tile[t])[c] =
                gelu_slope(fmaf(a3, y3[t], b3), slope[t]) - mean3;
        }
        __syncwarp();
        mix(y, tile, weights);
#pragma unroll
        for (int t = 0; t < STEP; t++) {
            float *row = reinterpret_cast<float *>(rows[warp_of()][t]);
            row[c] = dy4_of(fourth, 0, y[t][0]);
            row[c + WARP] = dy4_of(fourth, 1, y[t][1]);
        }
        __syncwarp();
        float dg3[STEP];
        mix_back(dg3, rows[warp_of()], weights);
        float *dz3 = p.dz3 + (static_cast<size_t>(blockIdx.x) * l.length + i) * C1 + c;
#pragma unroll
        for (int t = 0; t < STEP; t++) {
            const float d = dg3[t] * slope[t];
            dz3[t * C1] = d;
            sums[0] += d;
            sums[1] = fmaf(d, y3[t] - mean, sums[1]);
        }
    }
    add_warps<2>(total, sums);
    put_sums(p.sums, total, 2 * C1);
}

/* u, and sums (5 + 2, 32): the gradient of w3, and those of dz2 and of dz2·(g1 − mean). A warp sees
 * a position before its own and one behind, whose dy3 its own dz2 need. */
__global__ void __launch_bounds__(THREADS) third_backward(tiny_pass p)
{
    __shared__ float g1[WARPS][WARP], total[DEPTH3];
    __shared__ float rows[WARPS][2 * STEP][WARP + 1]; /* padded: read along the columns */
    const first_layer first = first_of(p);
    third_layer l = third_of(p);
    const int c = lane_of();
    const float weight = static_cast<float>(p.g->norm2[c].gain) * p.w2[c],
                mean = static_cast<float>(p.g->mean1);
    third_back b = {p.g->gain3[c],
                    p.g->constant3[c],
                    p.g->slope3[c],
                    {},
                    {},
                    0.0f,
                    0.0f,
                    p.dz3 + static_cast<size_t>(blockIdx.x) * l.length * C1 + c,
                    {}};
    float(&row)[2 * STEP][WARP + 1] = rows[warp_of()];
    begin_back(b, l, g1[warp_of()], first);
    for (int i = l.first; i <= l.end; i += STEP) {
        load_g1(g1[warp_of()], first, 2 * i + 1);
        for (int t = 0; t < STEP && i + t <= l.end; t++) {
            float dz2[2];
            const float *g = &g1[warp_of()][2 * t];
            next_back(dz2, b, l, g, i + t, i + t < l.end);
            for (int k = 0; k < 2; k++) {
                const float d = i + t > l.first ? dz2[k] : 0.0f;
                b.sums[TAPS] += d;
                b.sums[TAPS + 1] = fmaf(d, b.g1[k] - mean, b.sums[TAPS + 1]);
                row[2 * t + k][c] = weight * d;
            }
            b.g1[0] = b.g1[2];
            b.g1[1] = g[0];
            b.g1[2] = g[1];
        }
        __syncwarp();
        const int q = 2 * (i - 1) + c;
        if (q >= 2 * l.first && q < 2 * l.end) {
            float sum = 0;
            for (int k = 0; k < C1; k++) {
                sum += row[c][k];
            }
            p.u[static_cast<size_t>(blockIdx.x) * 2 * l.length + q] = sum;
        }
    }
    add_warps<TAPS + 2>(total, b.sums);
    put_sums(p.sums, total, DEPTH3);
}

/* With dg1 = u − constant − slope·g1, sums (2 + 15) over dz1, dz1·(y1 − mean), and by tap over
 * dz1·x, (y1 − mean)·x and x. */
__global__ void __launch_bounds__(THREADS) first_backward(tiny_pass p)
{
    __shared__ float total[FIRST];
    const first_layer l = first_of(p);
    const float *u = p.u + static_cast<size_t>(blockIdx.x) * (l.N / 2);
    const float constant = p.g->constant1, slope1 = p.g->slope1,
                mean = static_cast<float>(p.g->norm1.mean);
    float sums[FIRST] = {};
    for (int q = threadIdx.x; q < l.N / 2; q += THREADS) {
        const float y = y1_at(l, q), around = y - mean;
        float slope;
        const float g = gelu_slope(fmaf(l.a, y, l.b), slope),
                    dz1 = fmaf(-slope1, g, u[q] - constant) * slope;
        sums[0] += dz1;
        sums[1] = fmaf(dz1, around, sums[1]);
        for (int k = 0; k < TAPS; k++) {
            const float x = sample_at(l, q, k);
            sums[2 + k] = fmaf(dz1, x, sums[2 + k]);
            sums[2 + TAPS + k] = fmaf(around, x, sums[2 + TAPS + k]);
            sums[2 + 2 * TAPS + k] += x;
        }
    }
    add_threads<FIRST>(total, sums);
    put_sums(p.sums, total, FIRST);
}

/* ---- the passes in their order ---- */

struct tiny_memory {
    tiny_group *groups;
    float *kept, *dz3, *u; /* all groups'; of the group that goes back */
    train_sums sums;
    size_t bytes;
};

tiny_memory lay_out(const attune_cuda_train_frontend *f)
{
    train_memory memory = {static_cast<char *>(f->memory), 0};
    const size_t F = f->frames, N = f->trainable->network.frame_size, back = f->frozen ? 0 : F;
    tiny_memory m = {};
    m.groups = take<tiny_group>(memory, f->groups);
    m.kept = take<float>(memory, back * f->groups * KEPT);
    m.dz3 = take<float>(memory, back * (N / 4) * C1);
    m.u = take<float>(memory, back * (N / 2));
    m.sums = take_sums(memory, static_cast<int>(back), COVARIANCE, static_cast<int>(back), KEPT);
    m.bytes = memory.used;
    return m;
}

tiny_pass pass_of(const attune_cuda_train_frontend *f, const tiny_memory &m,
                  const float *parameters, const attune_cuda_clips *clips, int group)
{
    const attune_trainable_conv *conv = f->trainable->conv;
    tiny_pass p = {};
    p.x = train_frames_of(f, clips);
    p.g = m.groups + group;
    p.w1 = parameters + conv[0].weight;
    p.w2 = parameters + conv[1].weight;
    p.w3 = parameters + conv[2].weight;
    p.w4 = parameters + conv[3].weight;
    p.sums = m.sums.rows;
    p.kept = m.kept + (f->frozen ? 0 : static_cast<size_t>(group) * f->frames * KEPT);
    p.dz3 = m.dz3;
    p.u = m.u;
    return p;
}

tiny_between between_of(const attune_cuda_train_frontend *f, const tiny_memory &m,
                        const tiny_pass &p, const float *parameters)
{
    tiny_between b = {};
    memcpy(b.conv, f->trainable->conv, sizeof(b.conv));
    b.g = p.g;
    b.parameters = parameters;
    b.sums = m.sums.total;
    return b;
}

} // namespace

extern "C" size_t attune_cuda_train_frontend_bytes(const attune_cuda_train_frontend *frontend)
{
    if (frontend->trainable->network.architecture != ATTUNE_ARCHITECTURE_TINY) {
        return attune_cuda_train_frontend_gru_bytes(frontend);
    }
    attune_cuda_train_frontend empty = *frontend;
    empty.memory = nullptr;
    return lay_out(&empty).bytes;
}

extern "C" int attune_cuda_train_frontend_forward(attune_cuda_stream *stream, float *features,
                                                  float *statistics,
                                                  const attune_cuda_train_frontend *frontend,
                                                  const float *parameters,
                                                  const attune_cuda_clips *clips, int group)
{
    if (frontend->trainable->network.architecture != ATTUNE_ARCHITECTURE_TINY) {
        return attune_cuda_train_frontend_gru_forward(stream, features, statistics, frontend,
                                                      parameters, clips, group);
    }
    const tiny_memory m = lay_out(frontend);
    tiny_pass p = pass_of(frontend, m, parameters, clips, group);
    tiny_between b = between_of(frontend, m, p, parameters);
    const int F = p.x.F;
    const double n1 = static_cast<double>(F) * p.x.N / 2;
    p.features = features;
    b.statistics = statistics;
    if (frontend->frozen) {
        ATTUNE_LAUNCH(freeze, 1, C2, stream, b);
        ATTUNE_LAUNCH(fourth_features<false>, F, THREADS, stream, p);
        return cudaGetLastError();
    }
    b.count = n1;
    ATTUNE_LAUNCH(first_moments<false>, F, THREADS, stream, p);
    sum_all(stream, m.sums, F, 2);
    ATTUNE_LAUNCH(normalise1, 1, 1, stream, b);
    ATTUNE_LAUNCH(first_moments<true>, F, THREADS, stream, p);
    sum_all(stream, m.sums, F, 2);
    ATTUNE_LAUNCH(normalise2, 1, C1, stream, b);
    b.count = n1 / 2;
    ATTUNE_LAUNCH(third_moments, F, THREADS, stream, p);
    sum_all(stream, m.sums, F, 2 * C1);
    ATTUNE_LAUNCH(normalise3, 1, C1, stream, b);
    ATTUNE_LAUNCH(third_pivot, 1, WARP, stream, p);
    ATTUNE_LAUNCH(third_covariance, F, THREADS, stream, p);
    sum_all(stream, m.sums, F, COVARIANCE);
    ATTUNE_LAUNCH(normalise4, C2, C1, stream, b);
    ATTUNE_LAUNCH(fourth_features<true>, F, THREADS, stream, p);
    return cudaGetLastError();
}

extern "C" int attune_cuda_train_frontend_backward(attune_cuda_stream *stream, float *gradients,
                                                   const attune_cuda_train_frontend *frontend,
                                                   const float *feature_gradients,
                                                   const float *parameters,
                                                   const attune_cuda_clips *clips, int group)
{
    if (frontend->trainable->network.architecture != ATTUNE_ARCHITECTURE_TINY) {
        return attune_cuda_train_frontend_gru_backward(stream, gradients, frontend,
                                                       feature_gradients, parameters, clips, group);
    }
    const tiny_memory m = lay_out(frontend);
    tiny_pass p = pass_of(frontend, m, parameters, clips, group);
    tiny_between b = between_of(frontend, m, p, parameters);
    const int F = p.x.F;
    p.feature_gradients = feature_gradients;
    b.gradients = gradients;
    ATTUNE_LAUNCH(weigh, dim3(KEPT / SUM_THREADS, chunks_of(F)), SUM_THREADS, stream, m.sums.chunks,
                  p);
    sum_chunks(stream, m.sums, F, KEPT);
    ATTUNE_LAUNCH(denormalise4, C2, C1, stream, b);
    ATTUNE_LAUNCH(fourth_backward, F, THREADS, stream, p);
    sum_all(stream, m.sums, F, 2 * C1);
    ATTUNE_LAUNCH(denormalise3, 1, C1, stream, b);
    ATTUNE_LAUNCH(third_backward, F, THREADS, stream, p);
    sum_all(stream, m.sums, F, DEPTH3);
    ATTUNE_LAUNCH(denormalise2, 1, C1, stream, b);
    ATTUNE_LAUNCH(first_backward, F, THREADS, stream, p);
    sum_all(stream, m.sums, F, FIRST);
    ATTUNE_LAUNCH(denormalise1, 1, TAPS, stream, b);
    return cudaGetLastError();
}
