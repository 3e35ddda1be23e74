/* A GRU layer's steps in training mode, forward and back. CPU twin: kernels/cpu/train_gru.c, which
 * has the formulas.
 *
 * H = 128: a block of 384 threads takes S clips. Forward, thread j keeps row j of the recurrent
 * matrix in registers, as gru.cu does. Back, thread (p, k) keeps what unit k gives to the 128 gates
 * of kind p, r, z or n, sums over these, and the three sums meet in shared memory. So a step reads
 * from global memory only what is its own: the inputs' share, or gates, state and gradient, which
 * are fetched a step ahead. Any other H: the matrix is read from L2 at every step, each element
 * once for 2 clips; forward from a transposed copy, so that neighbouring threads read neighbouring
 * floats. Sums go over k upwards.
 *
 * Bound, H = 128: as gru.cu's, a step of S clips is 12 warps · S · (128 multiply-adds + 32 loads)
 * over 4 schedulers, 480·S cycles, and two barriers and the gates, about 200 + 60·S; back the same.
 * 36 clips, one a block, of 161 steps: two layers there and back 0.27 ms at 1.755 GHz.
 * Measured: not yet run on a GPU; proven in emulation only (tests/emulate). */
#include "kernels/cuda/gru.cuh"
#include "kernels/cuda/train_sequence.h"

namespace
{

enum {
    THREADS128 = 3 * H128,
    WORDS = H128 / 4, /* float4 of a state */
    CLIPS = 2,        /* of a block, for any other H */
    THREADS = 256,
    TURN = 32,
};

/* r, z, q and the inputs' share of n to gates and the next state. */
__device__ __forceinline__ float step(float *gates, float r, float z, float q, float input, float h,
                                      int H)
{
    const float n = tangent(fmaf(r, q, input));
    gates[0] = r;
    gates[H] = z;
    gates[2 * H] = n;
    gates[3 * H] = q;
    return fmaf(z, h - n, n);
}

/* Gradients by the gates of one unit. */
struct gate_gradient {
    float r, z, n, q, past; /* past: what goes by the state before past the gates */
};

__device__ __forceinline__ gate_gradient step_back(float r, float z, float n, float q, float h,
                                                   float by_next)
{
    const float by_n = by_next * (1.0f - z) * (1.0f - n * n);
    return {by_n * q * r * (1.0f - r), by_next * (h - n) * z * (1.0f - z), by_n, by_n * r,
            by_next * z};
}

/* ---- H = 128 ---- */

template <int S> struct shared_forward {
    float4 h[S][WORDS];
    float4 input[2][S][3 * WORDS]; /* this step's share of the gates and the next one's */
    float gate[S][THREADS128];     /* r, z, q */
};

/* Starts to fetch step t's inputs' share of the gates. */
template <int S>
__device__ __forceinline__ void fetch_inputs(shared_forward<S> &shared, const float *gates, int t,
                                             int B, int T)
{
#pragma unroll 1
    for (int i = threadIdx.x; i < S * 3 * WORDS; i += THREADS128) {
        const int s = i / (3 * WORDS), word = i % (3 * WORDS), clip = blockIdx.x * S + s;
        if (clip < B) {
            const size_t row = static_cast<size_t>(clip) * T + t;
            copy_async(&shared.input[t % 2][s][word],
                       reinterpret_cast<const float4 *>(gates + row * 4 * H128) + word);
        }
    }
}

/* r, z and q of SIDE clips from `first` on. */
template <int S, int SIDE>
__device__ __forceinline__ void make_gates(shared_forward<S> &shared, const float column[H128],
                                           float bias, int t, int first)
{
    const int j = threadIdx.x;
    float sum[SIDE];
#pragma unroll
    for (int s = 0; s < SIDE; s++) {
        sum[s] = bias;
    }
    add_products<SIDE, WORDS>(sum, column, shared.h[first]);
#pragma unroll
    for (int s = 0; s < SIDE; s++) {
        const float *input = reinterpret_cast<const float *>(shared.input[t % 2][first + s]);
        shared.gate[first + s][j] = j < 2 * H128 ? sigmoid(input[j] + sum[s]) : sum[s];
    }
}

/* The states after step t. */
template <int S>
__device__ __forceinline__ void update_states(shared_forward<S> &shared, float *h, float *gates,
                                              int t, int B, int T)
{
#pragma unroll 1
    for (int i = threadIdx.x; i < S * H128; i += THREADS128) {
        const int s = i / H128, unit = i % H128, clip = blockIdx.x * S + s;
        if (clip < B) {
            const size_t row = static_cast<size_t>(clip) * T + t;
            const float *gate = shared.gate[s] + unit;
            const float input =
                reinterpret_cast<const float *>(shared.input[t % 2][s])[2 * H128 + unit];
            float &state = reinterpret_cast<float *>(shared.h[s])[unit];
            state = step(gates + row * 4 * H128 + unit, gate[0], gate[H128], gate[2 * H128], input,
                         state, H128);
            h[row * H128 + unit] = state;
        }
    }
}

template <int S>
__global__ void __launch_bounds__(THREADS128, 1)
    forward_128(float *h, float *gates, const float *__restrict__ hidden,
                const float *__restrict__ hidden_bias, int B, int T)
{
    __shared__ shared_forward<S> shared;
    constexpr int SIDE = S < 2 ? S : 2; /* four at a time spill */
    const int j = threadIdx.x;
    float column[H128];
    fetch_inputs(shared, gates, 0, B, T);
    for (int i = j; i < S * H128; i += THREADS128) {
        reinterpret_cast<float *>(shared.h[i / H128])[i % H128] = 0.0f;
    }
#pragma unroll
    for (int k = 0; k < H128; k++) {
        column[k] = hidden[static_cast<size_t>(j) * H128 + k];
    }
    const float bias = hidden_bias[j];
    for (int t = 0; t < T; t++) {
        wait_for_copies();
        __syncthreads(); /* h and the inputs are there, and the gates have been read */
        if (t + 1 < T) {
            fetch_inputs(shared, gates, t + 1, B, T);
        }
#pragma unroll 1
        for (int s = 0; s < S; s += SIDE) {
            make_gates<S, SIDE>(shared, column, bias, t, s);
        }
        __syncthreads(); /* the gates are there, and h has been read */
        update_states(shared, h, gates, t, B, T);
    }
}

/* What a step back reads: four gates, the state before, the gradient by the state behind. */
template <int S> struct shared_back {
    float4 fetched[2][S][6 * WORDS];
    float4 gradient[S][3 * WORDS]; /* by r, z and q */
    float sum[S][THREADS128];      /* what came back through the three kinds of gates */
    float past[S][H128];           /* and past them */
};

template <int S>
__device__ __forceinline__ void fetch_step(shared_back<S> &shared, const float *gates,
                                           const float *h, const float *state_gradients, int t,
                                           int B, int T)
{
#pragma unroll 1
    for (int i = threadIdx.x; i < S * 6 * WORDS; i += THREADS128) {
        const int s = i / (6 * WORDS), word = i % (6 * WORDS), clip = blockIdx.x * S + s;
        const size_t row = static_cast<size_t>(clip) * T + t;
        const bool is_gate = word < 4 * WORDS, is_state = !is_gate && word < 5 * WORDS;
        if (clip < B && (t > 0 || !is_state)) {
            const float *from = is_gate    ? gates + row * 4 * H128
                                : is_state ? h + (row - 1) * H128
                                           : state_gradients + row * H128;
            const int at = is_gate ? word : word % WORDS;
            copy_async(&shared.fetched[t % 2][s][word],
                       reinterpret_cast<const float4 *>(from) + at);
        }
    }
}

/* The gradients by step t's gates. */
template <int S>
__device__ __forceinline__ void make_gradients(shared_back<S> &shared, float *gate_gradients, int t,
                                               int B, int T)
{
#pragma unroll 1
    for (int i = threadIdx.x; i < S * H128; i += THREADS128) {
        const int s = i / H128, unit = i % H128, clip = blockIdx.x * S + s;
        if (clip >= B) {
            continue;
        }
        const float *x = reinterpret_cast<const float *>(shared.fetched[t % 2][s]) + unit;
        const float *sum = shared.sum[s] + unit;
        const float later = shared.past[s][unit] + ((sum[0] + sum[H128]) + sum[2 * H128]);
        const gate_gradient g = step_back(x[0], x[H128], x[2 * H128], x[3 * H128],
                                          t > 0 ? x[4 * H128] : 0.0f, x[5 * H128] + later);
        float *out = gate_gradients + (static_cast<size_t>(clip) * T + t) * 4 * H128 + unit;
        out[0] = g.r;
        out[H128] = g.z;
        out[2 * H128] = g.n;
        out[3 * H128] = g.q;
        float *gradient = reinterpret_cast<float *>(shared.gradient[s]) + unit;
        gradient[0] = g.r;
        gradient[H128] = g.z;
        gradient[2 * H128] = g.q;
        shared.past[s][unit] = g.past;
    }
}

/* What goes from this thread's gates to its unit, of SIDE clips from `first` on. */
template <int S, int SIDE>
__device__ __forceinline__ void send_back(shared_back<S> &shared, const float column[H128],
                                          int first)
{
    const int kind = threadIdx.x / H128;
    float sum[SIDE];
#pragma unroll
    for (int s = 0; s < SIDE; s++) {
        sum[s] = 0.0f;
    }
    add_products<SIDE, 3 * WORDS>(sum, column, shared.gradient[first] + kind * WORDS);
#pragma unroll
    for (int s = 0; s < SIDE; s++) {
        shared.sum[first + s][threadIdx.x] = sum[s];
    }
}

template <int S>
__global__ void __launch_bounds__(THREADS128, 1)
    back_128(float *__restrict__ gate_gradients, const float *__restrict__ state_gradients,
             const float *__restrict__ gates, const float *__restrict__ h,
             const float *__restrict__ hidden, int B, int T)
{
    __shared__ shared_back<S> shared;
    constexpr int SIDE = S < 2 ? S : 2;
    const int kind = threadIdx.x / H128, unit = threadIdx.x % H128;
    float column[H128];
    fetch_step(shared, gates, h, state_gradients, T - 1, B, T);
    for (int s = 0; s < S; s++) {
        shared.sum[s][threadIdx.x] = 0.0f;
        if (kind == 0) {
            shared.past[s][unit] = 0.0f;
        }
    }
#pragma unroll
    for (int k = 0; k < H128; k++) {
        column[k] = hidden[static_cast<size_t>(kind * H128 + k) * H128 + unit];
    }
    for (int t = T - 1; t >= 0; t--) {
        wait_for_copies();
        __syncthreads(); /* the step's numbers and the sums are there, gradients have been read */
        if (t > 0) {
            fetch_step(shared, gates, h, state_gradients, t - 1, B, T);
        }
        make_gradients(shared, gate_gradients, t, B, T);
        __syncthreads(); /* the gradients are there, and the sums have been read */
#pragma unroll 1
        for (int s = 0; s < S; s += SIDE) {
            send_back<S, SIDE>(shared, column, s);
        }
    }
}

/* ---- any H ---- */

/* Unit i's gates and next state, of the clips from `first` on. */
__device__ __forceinline__ void generic_unit(float (*next)[H_MAX], const float (*before)[H_MAX],
                                             float *h, float *gates, const float *turned,
                                             const float *hidden_bias, int first, int t, int i,
                                             int B, int T, int H)
{
    float sum[3][CLIPS];
    for (int gate = 0; gate < 3; gate++) {
        for (int s = 0; s < CLIPS; s++) {
            sum[gate][s] = hidden_bias[gate * H + i];
        }
    }
#pragma unroll 4
    for (int k = 0; k < H; k++) {
        for (int gate = 0; gate < 3; gate++) {
            const float w = turned[(static_cast<size_t>(k) * 3 + gate) * H + i];
            for (int s = 0; s < CLIPS; s++) {
                sum[gate][s] = fmaf(w, before[s][k], sum[gate][s]);
            }
        }
    }
    for (int s = 0; s < CLIPS; s++) {
        if (first + s < B) {
            const size_t row = static_cast<size_t>(first + s) * T + t;
            float *x = gates + row * 4 * H + i;
            next[s][i] = step(x, sigmoid(x[0] + sum[0][s]), sigmoid(x[H] + sum[1][s]), sum[2][s],
                              x[2 * H], before[s][i], H);
            h[row * H + i] = next[s][i];
        }
    }
}

__global__ void __launch_bounds__(THREADS)
    forward_generic(float *h, float *gates, const float *__restrict__ turned,
                    const float *__restrict__ hidden_bias, int B, int T, int H)
{
    __shared__ float state[2][CLIPS][H_MAX]; /* this step's and the next one's */
    for (int i = threadIdx.x; i < CLIPS * H_MAX; i += THREADS) {
        state[0][i / H_MAX][i % H_MAX] = state[1][i / H_MAX][i % H_MAX] = 0.0f;
    }
    __syncthreads();
    for (int t = 0; t < T; t++) {
        for (int i = threadIdx.x; i < H; i += THREADS) {
            generic_unit(state[(t + 1) % 2], state[t % 2], h, gates, turned, hidden_bias,
                         blockIdx.x * CLIPS, t, i, B, T, H);
        }
        __syncthreads();
    }
}

__global__ void __launch_bounds__(THREADS)
    back_generic(float *__restrict__ gate_gradients, const float *__restrict__ state_gradients,
                 const float *__restrict__ gates, const float *__restrict__ h,
                 const float *__restrict__ hidden, int B, int T, int H)
{
    __shared__ float gradient[CLIPS][3 * H_MAX]; /* by r, z and q */
    __shared__ float later[CLIPS][H_MAX];        /* by the state, from the steps behind */
    for (int i = threadIdx.x; i < CLIPS * H_MAX; i += THREADS) {
        later[i / H_MAX][i % H_MAX] = 0.0f;
    }
    for (int i = threadIdx.x; i < CLIPS * 3 * H_MAX; i += THREADS) {
        gradient[i / (3 * H_MAX)][i % (3 * H_MAX)] = 0.0f;
    }
    __syncthreads();
    for (int t = T - 1; t >= 0; t--) {
        for (int i = threadIdx.x; i < CLIPS * H; i += THREADS) {
            const int s = i / H, unit = i % H, clip = blockIdx.x * CLIPS + s;
            if (clip < B) {
                const size_t row = static_cast<size_t>(clip) * T + t;
                const float *x = gates + row * 4 * H + unit;
                const gate_gradient g = step_back(x[0], x[H], x[2 * H], x[3 * H],
                                                  t > 0 ? h[(row - 1) * H + unit] : 0.0f,
                                                  state_gradients[row * H + unit] + later[s][unit]);
                float *out = gate_gradients + row * 4 * H + unit;
                out[0] = g.r;
                out[H] = g.z;
                out[2 * H] = g.n;
                out[3 * H] = g.q;
                gradient[s][unit] = g.r;
                gradient[s][H + unit] = g.z;
                gradient[s][2 * H + unit] = g.q;
                later[s][unit] = g.past;
            }
        }
        __syncthreads();
        for (int unit = threadIdx.x; unit < H; unit += THREADS) {
            float sum[CLIPS] = {};
#pragma unroll 4
            for (int j = 0; j < 3 * H; j++) {
                const float w = hidden[static_cast<size_t>(j) * H + unit];
                for (int s = 0; s < CLIPS; s++) {
                    sum[s] = fmaf(w, gradient[s][j], sum[s]);
                }
            }
            for (int s = 0; s < CLIPS; s++) {
                later[s][unit] += sum[s];
            }
        }
        __syncthreads();
    }
}

/* out (K, J) = in (J, K) */
__global__ void __launch_bounds__(THREADS)
    turn(float *__restrict__ out, const float *__restrict__ in, int J, int K)
{
    __shared__ float tile[TURN][TURN + 1];
    const int across = (K - 1) / TURN + 1, down = threadIdx.x / TURN, side = threadIdx.x % TURN;
    const int row = blockIdx.x / across * TURN, column = blockIdx.x % across * TURN;
    for (int i = down; i < TURN; i += THREADS / TURN) {
        if (row + i < J && column + side < K) {
            tile[i][side] = in[static_cast<size_t>(row + i) * K + column + side];
        }
    }
    __syncthreads();
    for (int i = down; i < TURN; i += THREADS / TURN) {
        if (column + i < K && row + side < J) {
            out[static_cast<size_t>(column + i) * J + row + side] = tile[side][i];
        }
    }
}

__global__ void __launch_bounds__(THREADS)
    drop_elements(float *out, const float *in, uint64_t seed, int layer, float drop, size_t count)
{
    const size_t i = static_cast<size_t>(blockIdx.x) * THREADS + threadIdx.x;
    if (i < count) {
        const bool keeps = attune_dropout_keeps(seed, static_cast<uint32_t>(layer), i, drop);
        out[i] = keeps ? in[i] * (1.0f / (1.0f - drop)) : 0.0f;
    }
}

/* As few clips to a block as keep every multiprocessor busy: a step's time grows with them. */
int clips_of_block(int B, int multiprocessors)
{
    const int each = (B - 1) / multiprocessors + 1;
    return each > 2 ? 4 : each > 1 ? 2 : 1;
}

} // namespace

extern "C" int attune_cuda_train_steps(attune_cuda_stream *stream, float *h, float *gates,
                                       float *turned, const float *hidden, const float *hidden_bias,
                                       int B, int T, int H, int multiprocessors)
{
    if (H == H128) {
        const int S = clips_of_block(B, multiprocessors);
        const auto kernel = S == 4 ? forward_128<4> : S == 2 ? forward_128<2> : forward_128<1>;
        ATTUNE_LAUNCH(kernel, (B - 1) / S + 1, THREADS128, stream, h, gates, hidden, hidden_bias, B,
                      T);
        return cudaGetLastError();
    }
    const int across = (H - 1) / TURN + 1, down = (3 * H - 1) / TURN + 1;
    ATTUNE_LAUNCH(turn, across * down, THREADS, stream, turned, hidden, 3 * H, H);
    const int error = cudaGetLastError();
    if (error) {
        return error;
    }
    ATTUNE_LAUNCH(forward_generic, (B - 1) / CLIPS + 1, THREADS, stream, h, gates, turned,
                  hidden_bias, B, T, H);
    return cudaGetLastError();
}

extern "C" int attune_cuda_train_steps_back(attune_cuda_stream *stream, float *gate_gradients,
                                            const float *state_gradients, const float *gates,
                                            const float *h, const float *hidden, int B, int T,
                                            int H, int multiprocessors)
{
    if (H == H128) {
        const int S = clips_of_block(B, multiprocessors);
        const auto kernel = S == 4 ? back_128<4> : S == 2 ? back_128<2> : back_128<1>;
        ATTUNE_LAUNCH(kernel, (B - 1) / S + 1, THREADS128, stream, gate_gradients, state_gradients,
                      gates, h, hidden, B, T);
        return cudaGetLastError();
    }
    ATTUNE_LAUNCH(back_generic, (B - 1) / CLIPS + 1, THREADS, stream, gate_gradients,
                  state_gradients, gates, h, hidden, B, T, H);
    return cudaGetLastError();
}

extern "C" int attune_cuda_train_drop(attune_cuda_stream *stream, float *out, const float *in,
                                      uint64_t seed, int layer, float drop, size_t count)
{
    const uint32_t blocks = static_cast<uint32_t>((count - 1) / THREADS + 1);
    ATTUNE_LAUNCH(drop_elements, blocks, THREADS, stream, out, in, seed, layer, drop, count);
    return cudaGetLastError();
}
