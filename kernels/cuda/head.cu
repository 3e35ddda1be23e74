/* A track's start and end: slots emptied; slots to embeddings. CPU twin: kernels/cpu/device.c
 *
 *   pooled (H) or last state -> P -> GELU (tiny) or ReLU (GRU) -> E -> divided by its norm
 *
 * One block per slot, a warp per output: its lanes read a row of weights side by side and add up in
 * one fixed tree.
 *
 * Bound, H = P = 128, E = 32: 82 KB of weights from L2 a slot, at 5.5 TB/s: 67 M tracks/s; in
 * practice two waits for L2 and a launch, about 10 µs for up to 1,000 tracks. A track comes once in
 * thousands of frames.
 * Measured: not yet run on a GPU; proven in emulation only (tests/emulate). */
#include "kernels/cuda/project.cuh"
#include "kernels/cuda/slot.cuh"

namespace
{

enum { THREADS = PROJECT_THREADS, WIDTH_MAX = 1024 /* of H, P and E */ };

/* What the track has come to (H). */
__device__ void load_track(float *out, const float *slots, const slot_layout &layout, uint32_t slot,
                           bool last)
{
    const float *state = slots + slot_state(layout, slot, layout.layers - 1),
                *pooled = slots + slot_pooled(layout, slot),
                *scalars = slots + slot_scalars(layout, slot);
    for (int i = threadIdx.x; i < layout.H; i += THREADS) {
        out[i] = last ? state[i] : (pooled[i] + pooled[layout.H + i]) / (scalars[1] + scalars[2]);
    }
    __syncthreads();
}

__global__ void __launch_bounds__(THREADS)
    head(float *__restrict__ embeddings, const float *__restrict__ slots,
         const uint32_t *__restrict__ slot_list, const attune_cuda_weights w, slot_layout layout)
{
    __shared__ float track[WIDTH_MAX], inner[WIDTH_MAX], outer[WIDTH_MAX];
    const attune_network &n = w.network;
    load_track(track, slots, layout, slot_list[blockIdx.x], n.pooling == ATTUNE_POOLING_LAST);
    project(inner, track, w.project1, w.project1_bias, n.projection, n.hidden);
    for (int i = threadIdx.x; i < n.projection; i += THREADS) {
        const float x = inner[i];
        inner[i] = n.architecture == ATTUNE_ARCHITECTURE_TINY ? 0.5f * x * erfcf(-0.707106781f * x)
                                                              : larger(x, 0.0f);
    }
    __syncthreads();
    project(outer, inner, w.project2, w.project2_bias, n.embedding, n.projection);
    float square = 0; /* by every warp for itself */
    for (int i = threadIdx.x % WARP; i < n.embedding; i += WARP) {
        square = fmaf(outer[i], outer[i], square);
    }
    const float norm = fmaxf(sqrtf(sum_lanes(square)), 1e-12f);
    for (int i = threadIdx.x; i < n.embedding; i += THREADS) {
        embeddings[static_cast<size_t>(blockIdx.x) * n.embedding + i] = outer[i] / norm;
    }
}

__global__ void __launch_bounds__(THREADS)
    begin(float *slots, const uint32_t *__restrict__ slot_list, slot_layout layout)
{
    const uint32_t slot = slot_list[blockIdx.x];
    float *to = slots + slot_state(layout, slot, 0);
    const int used = (layout.layers + 2) * layout.H + 3;
    for (int i = threadIdx.x; i < used; i += THREADS) {
        to[i] = i == used - 3 ? -INFINITY : 0.0f; /* the largest score of none */
    }
}

} // namespace

extern "C" int attune_cuda_begin(attune_cuda_stream *stream, void *slots, const uint32_t *slot_list,
                                 const attune_cuda_weights *weights, uint32_t count)
{
    ATTUNE_LAUNCH(begin, count, THREADS, stream, static_cast<float *>(slots), slot_list,
                  layout_of(weights->network));
    return cudaGetLastError();
}

extern "C" int attune_cuda_head(attune_cuda_stream *stream, float *embeddings, const void *slots,
                                const uint32_t *slot_list, const attune_cuda_weights *weights,
                                uint32_t count)
{
    ATTUNE_LAUNCH(head, count, THREADS, stream, embeddings, static_cast<const float *>(slots),
                  slot_list, *weights, layout_of(weights->network));
    return cudaGetLastError();
}
