/* AudioEmbeddingGRU's features: N samples of a frame in, 128 numbers out. CPU twin:
 * kernels/cpu/frontend_gru.c
 *
 *   x (N) -> conv k7 s2 p3, 1 to 64 -> ReLU -> max of pairs -> m (N/4, 64)
 *         -> conv k5 s2 p2, 64 to 128 -> ReLU -> mean over the N/8 positions
 *
 * The baseline network is for comparison: plain f32, no effort beyond that. One block per frame,
 * which streams along the positions in tiles of 16: the rows of m that a tile needs go to shared
 * memory, then thread o sums output o of all 16 positions, so that a weight is loaded once for 16
 * uses.
 *
 * Bound, N = 2,048: 11.0 M multiply-adds a frame, 132 · 128 of them a cycle at 1.755 GHz: 2.7 M
 * frames/s, 70 hours of audio a second. Weights (164 KB) come from L2 and L1 16 times a frame, 2.6
 * MB: at 5.5 TB/s from L2 alone, 2.1 M frames/s.
 * Measured: not yet run on a GPU; proven in emulation only (tests/emulate). */
#include "kernels/cuda/frontend_gru.cuh"

namespace
{

/* m at `row` for one channel; rows outside the frame are the second convolution's padding. */
template <typename Sample>
__device__ float first_block(const Sample *x, const float weight[K1], float bias, float scale,
                             int row, int N)
{
    if (row < 0 || row >= N / 4) {
        return 0.0f;
    }
    float even = bias, odd = bias;
    for (int k = 0; k < K1 + 2; k++) {
        const int i = 4 * row - 3 + k;
        const float sample = i >= 0 && i < N ? scale * static_cast<float>(x[i]) : 0.0f;
        if (k < K1) {
            even = fmaf(weight[k], sample, even);
        }
        if (k >= 2) {
            odd = fmaf(weight[k - 2], sample, odd);
        }
    }
    return larger(larger(even, odd), 0.0f);
}

template <typename Sample>
__global__ void __launch_bounds__(C2)
    frontend_gru(float *__restrict__ features, const Sample *__restrict__ pcm,
                 const uint32_t *__restrict__ start, const float *__restrict__ conv1,
                 const float *__restrict__ conv1_bias, const float *__restrict__ conv2,
                 const float *__restrict__ conv2_bias, float scale, int N)
{
    __shared__ float4 m[ROWS][C1 / 4];
    const int output = threadIdx.x, channel = threadIdx.x % C1;
    const Sample *x = pcm + start[blockIdx.x];
    float weight[K1], total = 0;
    for (int k = 0; k < K1; k++) {
        weight[k] = conv1[k * C1 + channel];
    }
    for (int position = 0; position < N / 8; position += TILE) {
        for (int row = threadIdx.x / C1; row < ROWS; row += C2 / C1) {
            reinterpret_cast<float *>(m[row])[channel] =
                first_block(x, weight, conv1_bias[channel], scale, 2 * position - K2 / 2 + row, N);
        }
        __syncthreads();
        float sum[TILE], part = 0;
        convolve(sum, m, conv2 + output, conv2_bias[output]);
        for (int p = 0; p < TILE; p++) {
            part += larger(sum[p], 0.0f);
        }
        total += part;
        __syncthreads(); /* before the next tile's rows */
    }
    features[static_cast<size_t>(blockIdx.x) * C2 + output] = total / static_cast<float>(N / 8);
}

template <typename Sample>
int launch(attune_cuda_stream *stream, float *features, const void *pcm, const uint32_t *start,
           const attune_cuda_weights *w, float scale, uint32_t F)
{
    ATTUNE_LAUNCH(frontend_gru<Sample>, F, C2, stream, features, static_cast<const Sample *>(pcm),
                  start, w->conv1, w->conv1_bias, w->conv2, w->conv2_bias, scale,
                  w->network.frame_size);
    return cudaGetLastError();
}

} // namespace

extern "C" int attune_cuda_frontend_gru(attune_cuda_stream *stream, float *features,
                                        const void *pcm, const uint32_t *start,
                                        const attune_cuda_weights *weights, attune_pcm format,
                                        uint32_t F)
{
    return format == ATTUNE_PCM_Q14
               ? launch<int16_t>(stream, features, pcm, start, weights, 1.0f / 16384.0f, F)
               : launch<float>(stream, features, pcm, start, weights, 1.0f, F);
}
