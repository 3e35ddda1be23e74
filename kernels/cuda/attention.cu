/* Pooling: attention scores, then a softmax over time that runs on while a track does; or the mean.
 * CPU twins: kernels/cpu/attention.c, kernels/cpu/device.c
 *
 * Scores are a matrix product whose tiles end in tanh and a product with w: no row depends on
 * another. The softmax takes a segment's rows one by one, in order, so it does not matter how a
 * track was cut: one block per segment, a thread per hidden unit. It keeps the largest score so far
 * and rescales its sums when a larger one comes. Sums are pairs of floats, the second what the
 * first lost to rounding: 400,000 frames of a ten-hour track added to one float would lose three
 * digits.
 *
 * Bound, H = A = 128: scores 16,500 multiply-adds and 128 tanh a frame, at half of the 29.6 T/s
 * that 132 multiprocessors of 128 lanes at 1.755 GHz can: 900 M frames/s. Softmax: reads 516 bytes
 * a row, 9 G rows/s of 4.8 TB/s; but one row waits for the one before, about 60 cycles: 35 ns a row
 * for a track alone, a tenth of the GRU's step.
 *
 * Measured: not yet run on a GPU; proven in emulation only (tests/emulate). */
#include "kernels/cuda/product.cuh"
#include "kernels/cuda/slot.cuh"

namespace
{

enum { POOL_THREADS = 128 };

__global__ void __launch_bounds__(PRODUCT_THREADS)
    attention_scores(float *__restrict__ scores, const float *__restrict__ h,
                     const float *__restrict__ weight, const float *__restrict__ bias,
                     const float *__restrict__ score, float score_bias, int H, int stride,
                     uint32_t rows)
{
    __shared__ product_memory memory;
    const size_t row = static_cast<size_t>(blockIdx.x) * PRODUCT_TILE;
    float part[PRODUCT_EACH] = {};
    for (int column = 0; column < stride; column += PRODUCT_TILE) {
        float sum[PRODUCT_EACH][PRODUCT_EACH];
        product_begin(sum, bias, column);
        product_tile(sum, memory, h, weight, row, rows, column, H, stride);
        for (int c = 0; c < PRODUCT_EACH; c++) { /* beyond A both factors are 0 */
            const float w = score[column + product_column() + c];
            for (int r = 0; r < PRODUCT_EACH; r++) {
                part[r] = fmaf(w, tangent(sum[r][c]), part[r]);
            }
        }
    }
    for (int r = 0; r < PRODUCT_EACH; r++) { /* 16 neighbouring lanes share a row */
        for (int other = PRODUCT_ACROSS / 2; other > 0; other /= 2) {
            part[r] += __shfl_xor_sync(ATTUNE_ALL_LANES, part[r], other);
        }
        if (product_column() == 0 && row + product_row() + r < rows) {
            scores[row + product_row() + r] = part[r] + score_bias;
        }
    }
}

/* A sum and what it lost to rounding. */
struct long_sum {
    float high, low;
};

/* Knuth's two-sum: high + x exactly, as the rounded sum and its error. */
__device__ __forceinline__ void add(long_sum &sum, float x)
{
    const float high = sum.high + x, part = high - sum.high;
    sum.low += (sum.high - (high - part)) + (x - part);
    sum.high = high;
}

__device__ __forceinline__ void rescale(long_sum &sum, float factor)
{
    const float high = sum.high * factor;
    sum.low = fmaf(sum.low, factor, fmaf(sum.high, factor, -high));
    sum.high = high;
}

struct softmax_state {
    float largest;
    long_sum weight;
};

template <bool ATTENTION>
__device__ __forceinline__ void add_row(softmax_state &state, long_sum &pooled, float score,
                                        float h)
{
    float weight = 1.0f;
    if (ATTENTION) {
        if (score > state.largest) {
            const float factor = expf(state.largest - score); /* 0 for the first row */
            rescale(pooled, factor);
            rescale(state.weight, factor);
            state.largest = score;
        }
        weight = expf(score - state.largest);
    }
    add(state.weight, weight);
    add(pooled, weight * h);
}

template <bool ATTENTION>
__global__ void __launch_bounds__(POOL_THREADS)
    pool(float *slots, const float *__restrict__ scores, const float *__restrict__ states,
         const attune_segment *__restrict__ segments, slot_layout layout)
{
    const attune_segment segment = segments[blockIdx.x];
    float *pooled = slots + slot_pooled(layout, segment.slot),
          *scalars = slots + slot_scalars(layout, segment.slot);
    const softmax_state before = {scalars[0], {scalars[1], scalars[2]}};
    softmax_state after = before;
    /* More than one round for large H only; the scalars' course is the same in all of them. */
    for (int first = 0; first < layout.H; first += POOL_THREADS) {
        const int unit = first + static_cast<int>(threadIdx.x);
        const bool mine = unit < layout.H;
        const float *h = states + static_cast<size_t>(segment.first) * layout.H + unit;
        long_sum sum = {mine ? pooled[unit] : 0.0f, mine ? pooled[layout.H + unit] : 0.0f};
        after = before;
#pragma unroll 4
        for (uint32_t t = 0; t < segment.count; t++) {
            const float score = ATTENTION ? scores[static_cast<size_t>(segment.first) + t] : 0.0f;
            add_row<ATTENTION>(after, sum, score,
                               mine ? h[static_cast<size_t>(t) * layout.H] : 0.0f);
        }
        if (mine) {
            pooled[unit] = sum.high;
            pooled[layout.H + unit] = sum.low;
        }
    }
    __syncthreads(); /* all have read the scalars */
    if (threadIdx.x == 0) {
        scalars[0] = after.largest;
        scalars[1] = after.weight.high;
        scalars[2] = after.weight.low;
    }
}

} // namespace

extern "C" int attune_cuda_scores(attune_cuda_stream *stream, float *scores, const float *states,
                                  const attune_cuda_weights *weights, uint32_t rows)
{
    const int stride =
        static_cast<int>(attune_cuda_tiles(static_cast<size_t>(weights->network.attention)));
    ATTUNE_LAUNCH(attention_scores, (rows - 1) / PRODUCT_TILE + 1, PRODUCT_THREADS, stream, scores,
                  states, weights->attention, weights->attention_bias, weights->score,
                  weights->score_bias, weights->network.hidden, stride, rows);
    return cudaGetLastError();
}

extern "C" int attune_cuda_pool(attune_cuda_stream *stream, void *slots, const float *scores,
                                const float *states, const attune_segment *segments,
                                const attune_cuda_weights *weights, uint32_t count)
{
    const attune_pooling pooling = weights->network.pooling;
    if (pooling == ATTUNE_POOLING_LAST) {
        return cudaSuccess;
    }
    const auto kernel = pooling == ATTUNE_POOLING_ATTENTION ? pool<true> : pool<false>;
    ATTUNE_LAUNCH(kernel, count, POOL_THREADS, stream, static_cast<float *>(slots), scores, states,
                  segments, layout_of(weights->network));
    return cudaGetLastError();
}
