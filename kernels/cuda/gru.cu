/* GRU layers: the inputs' products, then the recurrence of many tracks side by side. CPU twins:
 * kernels/cpu/matmul.c, kernels/cpu/gru.c
 *
 *   r = σ(x_r + W_hr h)   z = σ(x_z + W_hz h)
 *   n = tanh(x_n + r ∘ (W_hn h + b_hn))   h' = (1 − z) ∘ n + z ∘ h
 *
 * H = 128: one block of 384 threads takes S segments; thread j keeps column j of the recurrent
 * matrix in registers, the S states lie in shared memory and are read as broadcasts, so a step
 * touches global memory for the gates' input share and the new states only. Segments should be of
 * like length: a block runs until its longest has ended. Any other H: the matrix is read from L2 at
 * every step, each element once for 4 segments. Both sum over k upwards from the inputs' share.
 *
 * Our own and not cuDNN: its bits may depend on the batch's shape.
 *
 * Bound, H = 128: a step of S segments is 12 warps · S · (128 multiply-adds + 32 loads) over 4
 * schedulers, 480·S cycles, plus two barriers and the gates (about 150 + 60·S): S = 8 on 132
 * multiprocessors at 1.755 GHz: 410 M steps/s, which for two layers is 5,300 hours of audio a
 * second. A track alone: about 0.45 µs a step, 2.3 ms for 4 minutes. Products: 73,700 multiply-adds
 * a frame and two layers, at half of the 29.6 T/s that the multiprocessors can, 200 M frames/s,
 * 5,200 hours a second.
 * Measured: not yet run on a GPU; proven in emulation only (tests/emulate).
 * Dropped on paper: half-precision products on tensor cores, 2e-5 of error where speed is not
 * short. */
#include "kernels/cuda/gru.cuh"
#include "kernels/cuda/product.cuh"
#include "kernels/cuda/slot.cuh"

namespace
{

enum {
    GATES128 = 3 * H128,
    GENERIC_THREADS = 256,
    GENERIC_SEGMENTS = 4,
};

__global__ void __launch_bounds__(PRODUCT_THREADS)
    input_products(float *__restrict__ gates, const float *__restrict__ in,
                   const float *__restrict__ weight, const float *__restrict__ bias, int K, int J,
                   int stride, uint32_t rows)
{
    __shared__ product_memory memory;
    const size_t row = static_cast<size_t>(blockIdx.x) * PRODUCT_TILE;
    const int column = blockIdx.y * PRODUCT_TILE, mine = column + product_column();
    float sum[PRODUCT_EACH][PRODUCT_EACH];
    product_begin(sum, bias, column);
    product_tile(sum, memory, in, weight, row, rows, column, K, stride);
    for (int r = 0; r < PRODUCT_EACH; r++) {
        const size_t to = row + product_row() + r;
        if (to < rows && mine < J) { /* J is a multiple of 4 */
            *reinterpret_cast<float4 *>(gates + to * J + mine) =
                make_float4(sum[r][0], sum[r][1], sum[r][2], sum[r][3]);
        }
    }
}

/* The segments of one block. */
template <int S> struct shared_segments {
    attune_segment each[S]; /* count is 0 where there is none */
    uint32_t longest;
};

template <int S>
__device__ void load_segments(shared_segments<S> &to, const attune_segment *segments,
                              uint32_t count)
{
    if (threadIdx.x == 0) {
        to.longest = 0;
        for (int s = 0; s < S; s++) {
            const uint32_t at = blockIdx.x * S + s;
            to.each[s] = at < count ? segments[at] : attune_segment{0, 0, 0};
            to.longest = to.each[s].count > to.longest ? to.each[s].count : to.longest;
        }
    }
    __syncthreads();
}

/* n and the new state from r, z, the recurrent product and the inputs' share of n. */
__device__ __forceinline__ float next_state(float r, float z, float product, float input, float h)
{
    const float n = tangent(fmaf(r, product, input));
    return fmaf(z, h - n, n);
}

template <int S> struct shared_128 {
    shared_segments<S> segments;
    float4 h[S][H128 / 4];
    float4 input[2][S][GATES128 / 4]; /* this step's share of the gates and the next one's */
    float gate[S][GATES128];          /* r, z, and the recurrent product for n */
};

/* The slots' states to shared memory, or back. */
template <int S>
__device__ void exchange_states(shared_128<S> &shared, float *slots, const slot_layout &layout,
                                int layer, bool store)
{
    for (int i = threadIdx.x; i < S * H128; i += GATES128) {
        const attune_segment &segment = shared.segments.each[i / H128];
        float &h = reinterpret_cast<float *>(shared.h[i / H128])[i % H128];
        if (segment.count == 0) {
            h = 0.0f;
            continue;
        }
        float &state = slots[slot_state(layout, segment.slot, layer) + i % H128];
        if (store) {
            state = h;
        } else {
            h = state;
        }
    }
}

/* Starts to fetch step t's inputs' share of the gates. Behind a segment's end nothing comes, and
 * what is then made of what stands there is not used. */
template <int S>
__device__ __forceinline__ void fetch_inputs(shared_128<S> &shared, const float *gates, uint32_t t)
{
    constexpr int words = GATES128 / 4; /* of a segment */
#pragma unroll 1
    for (int i = threadIdx.x; i < S * words; i += GATES128) {
        const attune_segment &segment = shared.segments.each[i / words];
        if (t < segment.count) {
            const size_t row = static_cast<size_t>(segment.first) + t;
            copy_async(&shared.input[t % 2][i / words][i % words],
                       reinterpret_cast<const float4 *>(gates + row * GATES128) + i % words);
        }
    }
}

/* The gates of SIDE segments from `first` on: r, z, and for n the recurrent product alone. */
template <int S, int SIDE>
__device__ __forceinline__ void make_gates(shared_128<S> &shared, const float column[H128],
                                           float bias, uint32_t t, int first)
{
    const int j = threadIdx.x;
    float sum[SIDE];
#pragma unroll
    for (int s = 0; s < SIDE; s++) {
        const float *input = reinterpret_cast<float *>(shared.input[t % 2][first + s]);
        sum[s] = j < 2 * H128 ? input[j] : bias;
    }
    add_products<SIDE, H128 / 4>(sum, column, shared.h[first]);
#pragma unroll
    for (int s = 0; s < SIDE; s++) {
        shared.gate[first + s][j] = j < 2 * H128 ? sigmoid(sum[s]) : sum[s];
    }
}

/* New states after step t. Not unrolled: the column fills the registers. */
template <int S>
__device__ __forceinline__ void update_states(float *states, shared_128<S> &shared, uint32_t t)
{
#pragma unroll 1
    for (int i = threadIdx.x; i < S * H128; i += GATES128) {
        const int s = i / H128, unit = i % H128;
        const attune_segment &segment = shared.segments.each[s];
        if (t < segment.count) {
            const float input = reinterpret_cast<float *>(shared.input[t % 2][s])[2 * H128 + unit];
            const float *gate = shared.gate[s] + unit;
            float &h = reinterpret_cast<float *>(shared.h[s])[unit];
            h = next_state(gate[0], gate[H128], gate[2 * H128], input, h);
            states[(static_cast<size_t>(segment.first) + t) * H128 + unit] = h;
        }
    }
}

template <int S>
__global__ void __launch_bounds__(GATES128, 1)
    gru_128(float *__restrict__ states, float *slots, const float *__restrict__ gates,
            const attune_segment *__restrict__ segments, const float *__restrict__ hidden,
            const float *__restrict__ hidden_bias, slot_layout layout, int layer, uint32_t count)
{
    __shared__ shared_128<S> shared;
    const int j = threadIdx.x;
    constexpr int SIDE = S < 2 ? S : 2; /* four at a time spill */
    float column[H128];
    load_segments(shared.segments, segments, count);
    fetch_inputs(shared, gates, 0);
    exchange_states(shared, slots, layout, layer, false);
#pragma unroll
    for (int k = 0; k < H128; k++) {
        column[k] = hidden[k * GATES128 + j];
    }
    const float bias = hidden_bias[j];
    for (uint32_t t = 0; t < shared.segments.longest; t++) {
        wait_for_copies();
        __syncthreads(); /* h and the inputs are there, and the gates have been read */
        fetch_inputs(shared, gates, t + 1);
#pragma unroll 1
        for (int s = 0; s < S; s += SIDE) {
            make_gates<S, SIDE>(shared, column, bias, t, s);
        }
        __syncthreads(); /* the gates are there, and h has been read */
        update_states(states, shared, t);
    }
    __syncthreads();
    exchange_states(shared, slots, layout, layer, true);
}

struct shared_generic {
    shared_segments<GENERIC_SEGMENTS> segments;
    float h[2][GENERIC_SEGMENTS][H_MAX]; /* this step's and the next one's */
};

/* Step t of unit i for all segments of the block. */
__device__ __forceinline__ void generic_unit(shared_generic &shared, float *states,
                                             const float *gates, const float *hidden,
                                             const float *hidden_bias, uint32_t t, int i, int H)
{
    const float(*h)[H_MAX] = shared.h[t % 2];
    float sum[3][GENERIC_SEGMENTS], input[GENERIC_SEGMENTS];
    for (int s = 0; s < GENERIC_SEGMENTS; s++) {
        const attune_segment &segment = shared.segments.each[s];
        const float *x = gates + (static_cast<size_t>(segment.first) + t) * 3 * H + i;
        const bool runs = t < segment.count;
        sum[0][s] = runs ? x[0] : 0.0f;
        sum[1][s] = runs ? x[H] : 0.0f;
        input[s] = runs ? x[2 * H] : 0.0f;
        sum[2][s] = hidden_bias[2 * H + i];
    }
#pragma unroll 4
    for (int k = 0; k < H; k++) {
        for (int gate = 0; gate < 3; gate++) {
            const float w = hidden[(static_cast<size_t>(k) * 3 + gate) * H + i];
            for (int s = 0; s < GENERIC_SEGMENTS; s++) {
                sum[gate][s] = fmaf(w, h[s][k], sum[gate][s]);
            }
        }
    }
    for (int s = 0; s < GENERIC_SEGMENTS; s++) {
        const attune_segment &segment = shared.segments.each[s];
        float next = h[s][i];
        if (t < segment.count) {
            next = next_state(sigmoid(sum[0][s]), sigmoid(sum[1][s]), sum[2][s], input[s], next);
            states[(static_cast<size_t>(segment.first) + t) * H + i] = next;
        }
        shared.h[(t + 1) % 2][s][i] = next;
    }
}

__global__ void __launch_bounds__(GENERIC_THREADS)
    gru_generic(float *__restrict__ states, float *slots, const float *__restrict__ gates,
                const attune_segment *__restrict__ segments, const float *__restrict__ hidden,
                const float *__restrict__ hidden_bias, slot_layout layout, int layer,
                uint32_t count)
{
    __shared__ shared_generic shared;
    const int H = layout.H;
    load_segments(shared.segments, segments, count);
    const uint32_t longest = shared.segments.longest;
    for (int s = 0; s < GENERIC_SEGMENTS; s++) {
        const attune_segment &segment = shared.segments.each[s];
        const float *state = slots + slot_state(layout, segment.slot, layer);
        for (int i = threadIdx.x; i < H; i += GENERIC_THREADS) {
            shared.h[0][s][i] = segment.count ? state[i] : 0.0f;
        }
    }
    __syncthreads();
    for (uint32_t t = 0; t < longest; t++) {
        for (int i = threadIdx.x; i < H; i += GENERIC_THREADS) {
            generic_unit(shared, states, gates, hidden, hidden_bias, t, i, H);
        }
        __syncthreads();
    }
    for (int s = 0; s < GENERIC_SEGMENTS; s++) {
        const attune_segment &segment = shared.segments.each[s];
        float *state = slots + slot_state(layout, segment.slot, layer);
        for (int i = threadIdx.x; segment.count && i < H; i += GENERIC_THREADS) {
            state[i] = shared.h[longest % 2][s][i];
        }
    }
}

} // namespace

extern "C" int attune_cuda_input_products(attune_cuda_stream *stream, float *gates, const float *in,
                                          const attune_cuda_gru *layer, int H, uint32_t rows)
{
    const int stride = static_cast<int>(attune_cuda_tiles(3 * static_cast<size_t>(H)));
    const dim3 grid((rows - 1) / PRODUCT_TILE + 1, stride / PRODUCT_TILE);
    ATTUNE_LAUNCH(input_products, grid, PRODUCT_THREADS, stream, gates, in, layer->input,
                  layer->input_bias, layer->inputs, 3 * H, stride, rows);
    return cudaGetLastError();
}

extern "C" int attune_cuda_gru_layer(attune_cuda_stream *stream, float *states, void *slots,
                                     const float *gates, const attune_segment *segments,
                                     const attune_cuda_weights *weights, int layer, uint32_t count,
                                     int multiprocessors)
{
    const attune_cuda_gru &gru = weights->gru[layer];
    const slot_layout layout = layout_of(weights->network);
    /* As few segments to a block as keep every multiprocessor busy: a step's time grows with them.
     */
    const uint32_t each = (count - 1) / static_cast<uint32_t>(multiprocessors) + 1;
    auto kernel = gru_generic;
    uint32_t threads = GENERIC_THREADS, S = GENERIC_SEGMENTS;
    if (layout.H == H128) {
        kernel = each > 4 ? gru_128<8> : each > 2 ? gru_128<4> : each > 1 ? gru_128<2> : gru_128<1>;
        threads = GATES128;
        S = each > 4 ? 8 : each > 2 ? 4 : each > 1 ? 2 : 1;
    }
    ATTUNE_LAUNCH(kernel, (count - 1) / S + 1, threads, stream, states, static_cast<float *>(slots),
                  gates, segments, gru.hidden, gru.hidden_bias, layout, layer, count);
    return cudaGetLastError();
}

extern "C" int attune_cuda_sequence(attune_cuda_stream *stream, void *slots, void *scratch,
                                    const float *features, const attune_segment *segments,
                                    const attune_cuda_weights *weights, uint32_t first,
                                    uint32_t rows, uint32_t count, int multiprocessors)
{
    const attune_network &n = weights->network;
    const size_t H = static_cast<size_t>(n.hidden), end = static_cast<size_t>(first) + rows;
    float *gates = static_cast<float *>(scratch), *states = gates + align_floats(3 * H * end),
          *scores = states + align_floats(H * end);
    int error = cudaSuccess;
    for (int l = 0; l < n.layers && !error; l++) {
        const attune_cuda_gru &layer = weights->gru[l];
        const float *in = l == 0 ? features : states;
        error = attune_cuda_input_products(stream, gates + 3 * H * first,
                                           in + static_cast<size_t>(layer.inputs) * first, &layer,
                                           n.hidden, rows);
        if (!error) {
            error = attune_cuda_gru_layer(stream, states, slots, gates, segments, weights, l, count,
                                          multiprocessors);
        }
    }
    if (!error && n.pooling == ATTUNE_POOLING_ATTENTION) {
        error = attune_cuda_scores(stream, scores + first, states + H * first, weights, rows);
    }
    return error ? error
                 : attune_cuda_pool(stream, slots, scores, states, segments, weights, count);
}
