/* train_tiny.cuh - AudioEmbeddingTiny's batch normalisations between the passes of
 * train_frontend_tiny.cu, in double. CPU twin: kernels/cpu/train_tiny.c
 *
 * A kernel of a few threads turns a pass's sums into what the next passes need, and adds to
 * statistics or gradients: a thread is a channel; where a channel is a block, its threads are the
 * channel's inputs. */
#ifndef ATTUNE_KERNELS_CUDA_TRAIN_TINY_CUH
#define ATTUNE_KERNELS_CUDA_TRAIN_TINY_CUH

#include "kernels/cuda/train_frontend.cuh"

namespace
{

enum {
    C1 = 32, /* channels: the lanes of a warp */
    C2 = 64,
    TAPS = 5,
    OUTER = C2 * C1,
    KEPT = OUTER + C2,         /* of a frame, for backward */
    COVARIANCE = C1 + C1 * C1, /* sums: of g3 less its pivot, and of its products */
    DEPTH3 = (TAPS + 2) * C1,  /* sums: the gradient of w3, and those over dz2 */
    FIRST = 2 + 3 * TAPS,      /* sums of layer 1 */
};

/* Where (d, c) of a (64, 32) stands in OUTER: so that lanes d stand beside each other. */
__device__ __forceinline__ int outer_at(int d, int c)
{
    return (d / WARP * C1 + c) * WARP + d % WARP;
}

/* What is known of a group once its passes have been made, in their order. */
struct tiny_group {
    float a1, b1;                                /* z1 = a1·y1 + b1 */
    float a2[C1], b2[C1];                        /* z2 = a2·g1 + b2 */
    float a3[C1], b3[C1], pivot3[C1], mean3[C1]; /* z3 = a3·y3 + b3; a value of g3; its mean */
    float a4[C2], b4[C2];                        /* z4 = a4·(y4 less its mean) + b4 */
    train_norm norm1, norm2[C1], norm3[C1], norm4[C2];
    double mean1, variance1;                    /* of g1 */
    double covariance3[C1 * C1];                /* of g3 */
    float gain4[C2], constant4[C2], slope4[C2]; /* dy4 = gain·dz4 − constant − slope·(y4 less..) */
    float gain3[C1], constant3[C1], slope3[C1]; /* dy3 = gain·dz3 + constant − slope·y3 */
    float constant1, slope1;                    /* dg1 = u − constant − slope·g1 */
};

/* Passed by value. */
struct tiny_between {
    attune_trainable_conv conv[4];
    tiny_group *g;
    const float *parameters;
    float *statistics, *gradients;
    const double *sums;
    double count; /* values that the sums are of */
};

/* Σ over the block's C1 threads, in their order, the same in all. */
__device__ __forceinline__ double sum_channels(double x)
{
    __shared__ double all[C1];
    __syncthreads();
    all[threadIdx.x] = x;
    __syncthreads();
    double sum = 0;
    for (int c = 0; c < C1; c++) {
        sum += all[c];
    }
    return sum;
}

/* ---- forward ---- */

/* sums (2): over y1 and its square */
__global__ void normalise1(tiny_between b)
{
    const double mean = b.sums[0] / b.count, variance = b.sums[1] / b.count - mean * mean;
    b.g->norm1 = norm_batch(b.conv[0], 0, b.parameters, b.statistics, mean, variance, b.count);
    resolve(b.g->a1, b.g->b1, b.g->norm1, mean);
}

/* Of g1, where the normalisation is of w·g1. */
__device__ __forceinline__ void resolve2(tiny_between &b, int c)
{
    const train_norm &norm = b.g->norm2[c];
    resolve(b.g->a2[c], b.g->b2[c], norm, norm.mean);
    b.g->a2[c] = static_cast<float>(norm.gain * b.parameters[b.conv[1].weight + c]);
}

/* sums (2): over g1 and its square */
__global__ void normalise2(tiny_between b)
{
    const int c = threadIdx.x;
    const double w = b.parameters[b.conv[1].weight + c], mean = b.sums[0] / b.count,
                 variance = b.sums[1] / b.count - mean * mean;
    b.g->norm2[c] =
        norm_batch(b.conv[1], c, b.parameters, b.statistics, w * mean, w * w * variance, b.count);
    resolve2(b, c);
    if (c == 0) {
        b.g->mean1 = mean;
        b.g->variance1 = variance;
    }
}

/* sums (2, 32): over y3 and its square */
__global__ void normalise3(tiny_between b)
{
    const int c = threadIdx.x;
    const double mean = b.sums[c] / b.count, variance = b.sums[C1 + c] / b.count - mean * mean;
    b.g->norm3[c] = norm_batch(b.conv[2], c, b.parameters, b.statistics, mean, variance, b.count);
    resolve(b.g->a3[c], b.g->b3[c], b.g->norm3[c], mean);
}

/* sums (1 + 32, 32): over g3 less its pivot, and its products; block d: y4's statistics are those
 * that its weights make of g3's mean and covariance. */
__global__ void normalise4(tiny_between b)
{
    const int d = blockIdx.x, c = threadIdx.x;
    const float *w = b.parameters + b.conv[3].weight + d * C1;
    const double mean3 = b.g->pivot3[c] + b.sums[c] / b.count;
    double sum = 0;
    for (int e = 0; e < C1; e++) {
        const double covariance =
            (b.sums[C1 + c * C1 + e] - b.sums[c] * b.sums[e] / b.count) / b.count;
        sum += covariance * w[e];
        if (d == 0) {
            b.g->covariance3[c * C1 + e] = covariance;
        }
    }
    const double mean = sum_channels(w[c] * mean3), variance = sum_channels(w[c] * sum);
    if (d == 0) {
        b.g->mean3[c] = static_cast<float>(mean3);
    }
    if (c == 0) {
        b.g->norm4[d] =
            norm_batch(b.conv[3], d, b.parameters, b.statistics, mean, variance, b.count);
        resolve(b.g->a4[d], b.g->b4[d], b.g->norm4[d], 0);
    }
}

/* All layers, by the running statistics. */
__global__ void freeze(tiny_between b)
{
    const int d = threadIdx.x;
    tiny_group *g = b.g;
    if (d == 0) {
        g->norm1 = norm_frozen(b.conv[0], 0, b.parameters, b.statistics);
        resolve(g->a1, g->b1, g->norm1, g->norm1.mean);
    }
    if (d < C1) {
        g->norm2[d] = norm_frozen(b.conv[1], d, b.parameters, b.statistics);
        g->norm3[d] = norm_frozen(b.conv[2], d, b.parameters, b.statistics);
        resolve2(b, d);
        resolve(g->a3[d], g->b3[d], g->norm3[d], g->norm3[d].mean);
        g->mean3[d] = 0;
    }
    g->norm4[d] = norm_frozen(b.conv[3], d, b.parameters, b.statistics);
    resolve(g->a4[d], g->b4[d], g->norm4[d], g->norm4[d].mean);
}

/* ---- backward ---- */

/* Of layer 4 and w4, from sums (KEPT) over dz4·(g3 less its mean) and over dz4; block d. */
__global__ void denormalise4(tiny_between b)
{
    const int d = blockIdx.x, c = threadIdx.x;
    const float *w = b.parameters + b.conv[3].weight + d * C1;
    const double outer = b.sums[outer_at(d, c)], sum = b.sums[OUTER + d];
    const double product = sum_channels(w[c] * outer); /* Σ dz4·(y4 − mean) */
    const train_norm &norm = b.g->norm4[d];
    const train_denorm back = denorm_of(norm, sum, product);
    double around = 0; /* the covariance of y4 and g3 */
    for (int e = 0; e < C1; e++) {
        around += w[e] * b.g->covariance3[e * C1 + c];
    }
    b.gradients[b.conv[3].weight + d * C1 + c] +=
        static_cast<float>(back.gain * outer - back.slope * norm.count * around);
    if (c == 0) {
        add_norm_gradients(b.gradients, norm, b.conv[3], d, sum, product);
        b.g->gain4[d] = static_cast<float>(back.gain);
        b.g->constant4[d] = static_cast<float>(back.constant);
        b.g->slope4[d] = static_cast<float>(back.slope);
    }
}

/* Of layer 3's normalisation, from sums (2, 32) over dz3 and dz3·(y3 − mean). */
__global__ void denormalise3(tiny_between b)
{
    const int c = threadIdx.x;
    const train_norm &norm = b.g->norm3[c];
    const double sum = b.sums[c], product = b.sums[C1 + c];
    const train_denorm back = denorm_of(norm, sum, product);
    add_norm_gradients(b.gradients, norm, b.conv[2], c, sum, product);
    b.g->gain3[c] = static_cast<float>(back.gain);
    b.g->constant3[c] = static_cast<float>(back.slope * norm.mean - back.constant);
    b.g->slope3[c] = static_cast<float>(back.slope);
}

/* Of layer 2 and w3, from sums (5 + 2, 32): the latter's gradient, over dz2 and over dz2·(g1 −
 * mean). */
__global__ void denormalise2(tiny_between b)
{
    const int c = threadIdx.x;
    const train_norm &norm = b.g->norm2[c];
    const double w = b.parameters[b.conv[1].weight + c], sum = b.sums[TAPS * C1 + c],
                 product = b.sums[(TAPS + 1) * C1 + c];
    const train_denorm back = denorm_of(norm, sum, w * product);
    add_norm_gradients(b.gradients, norm, b.conv[1], c, sum, w * product);
    b.gradients[b.conv[1].weight + c] +=
        static_cast<float>(back.gain * product - back.slope * norm.count * w * b.g->variance1);
    for (int k = 0; k < TAPS; k++) {
        b.gradients[b.conv[2].weight + c * TAPS + k] += static_cast<float>(b.sums[k * C1 + c]);
    }
    const double constant = sum_channels(w * (back.constant - back.slope * w * b.g->mean1)),
                 slope = sum_channels(w * w * back.slope);
    if (c == 0) {
        b.g->constant1 = static_cast<float>(constant);
        b.g->slope1 = static_cast<float>(slope);
    }
}

/* Of layer 1, from sums (2 + 15) over dz1, dz1·(y1 − mean), and by tap over dz1·x, (y1 − mean)·x
 * and x; thread k is a tap. */
__global__ void denormalise1(tiny_between b)
{
    const int k = threadIdx.x;
    const train_norm &norm = b.g->norm1;
    const train_denorm back = denorm_of(norm, b.sums[0], b.sums[1]);
    const double *dz1_x = b.sums + 2, *y1_x = dz1_x + TAPS, *x = y1_x + TAPS;
    b.gradients[b.conv[0].weight + k] +=
        static_cast<float>(back.gain * dz1_x[k] - back.constant * x[k] - back.slope * y1_x[k]);
    if (k == 0) {
        add_norm_gradients(b.gradients, norm, b.conv[0], 0, b.sums[0], b.sums[1]);
    }
}

} // namespace

#endif
