/* The products of training, in f32: what a layer makes of all rows of a batch, the gradients by its
 * inputs, and those by its weights. CPU twin: kernels/cpu/matmul.c
 *
 * Tiles of 64 by 64 as in product.cuh, but matrices may lie or stand, begin on any float and end
 * anywhere, as the flat parameters' do. A weight's gradient has few tiles and many thousand rows to
 * sum over: the rows are cut into as many parts as give the device some 256 blocks, and the parts
 * are added in order. How many follows from the extents alone, so the bits do not depend on the
 * device.
 *
 * Bound: 4 multiply-adds for each float from shared memory, so at best half of the multiply-adds
 * that the multiprocessors can, 14.8 T/s on 132 of 128 lanes at 1.755 GHz; the paper's step, 36
 * clips of 161 frames, has 3 G in its GRU layers and back: 0.2 ms of its time.
 * Measured: not yet run on a GPU; proven in emulation only (tests/emulate). */
#include "kernels/cuda/product.cuh"
#include "kernels/cuda/train_sequence.h"

namespace
{

enum {
    BLOCKS = ATTUNE_CUDA_TRAIN_PARTS / (PRODUCT_TILE * PRODUCT_TILE), /* that sum parts */
    PART_ROWS = 256, /* at least, of a part; but the last */
    SUM_PARTS = 64,  /* of a sum of rows, at most */
    SUM_WIDTH = 32,
    SUM_THREADS = 256,
};

static_assert(SUM_PARTS * 4096 <= ATTUNE_CUDA_TRAIN_PARTS, "sums of 4H columns fit the parts");

struct train_memory {
    float4 left[PRODUCT_DEPTH][PRODUCT_TILE / 4 + 1]; /* padded against bank conflicts */
    float4 right[PRODUCT_DEPTH][PRODUCT_TILE / 4 + 1];
};

/* A matrix whose lines are the product's rows or columns: line l, depth k is at[l · row + k] where
 * it lies, at[k · row + l] where it stands. */
template <bool STANDS> struct side {
    const float *at;
    size_t row;
    int lines, first; /* of the tile */
    int steps;        /* see attune_cuda_train_gather */
};

/* Depths from k on, up to `end`, of a tile's lines. Neighbouring threads read neighbouring floats.
 */
template <bool STANDS>
__device__ __forceinline__ void load_side(float4 (*to)[PRODUCT_TILE / 4 + 1],
                                          const side<STANDS> &from, int k, int end)
{
    for (int i = threadIdx.x; i < PRODUCT_TILE * PRODUCT_DEPTH; i += PRODUCT_THREADS) {
        const int line = STANDS ? i % PRODUCT_TILE : i / PRODUCT_DEPTH,
                  depth = STANDS ? i / PRODUCT_TILE : i % PRODUCT_DEPTH;
        const int l = from.first + line, d = k + depth, back = from.steps ? 1 : 0;
        float x = 0.0f;
        if (l < from.lines && d < end && (!back || d % from.steps != 0)) {
            x = STANDS ? from.at[static_cast<size_t>(d - back) * from.row + l]
                       : from.at[static_cast<size_t>(l) * from.row + d];
        }
        reinterpret_cast<float *>(to[depth])[line] = x;
    }
}

enum product_start { FROM_ZERO, FROM_BIAS, FROM_OUT };

/* Tile blockIdx.x of the product over part blockIdx.y of the depths. */
template <bool LEFT_STANDS, bool RIGHT_STANDS>
__global__ void __launch_bounds__(PRODUCT_THREADS, 2)
    product(attune_cuda_train_product p, const float *__restrict__ bias, product_start start,
            int steps, int part_depth)
{
    __shared__ train_memory memory;
    const int across = (p.N - 1) / PRODUCT_TILE + 1;
    const int row = blockIdx.x / across * PRODUCT_TILE, column = blockIdx.x % across * PRODUCT_TILE;
    const int from = blockIdx.y * part_depth,
              end = p.K - from < part_depth ? p.K : from + part_depth;
    const side<LEFT_STANDS> left = {p.left, p.left_row, p.M, row, 0};
    const side<RIGHT_STANDS> right = {p.right, p.right_row, p.N, column, steps};
    float *out = p.out + static_cast<size_t>(blockIdx.y) * p.M * p.out_row;
    float sum[PRODUCT_EACH][PRODUCT_EACH];
    for (int r = 0; r < PRODUCT_EACH; r++) {
        for (int c = 0; c < PRODUCT_EACH; c++) {
            const int m = row + product_row() + r, n = column + product_column() + c;
            const bool inside = m < p.M && n < p.N;
            sum[r][c] = !inside || start == FROM_ZERO ? 0.0f
                        : start == FROM_BIAS          ? bias[n]
                                                      : out[static_cast<size_t>(m) * p.out_row + n];
        }
    }
    for (int k = from; k < end; k += PRODUCT_DEPTH) {
        load_side(memory.left, left, k, end);
        load_side(memory.right, right, k, end);
        __syncthreads();
        product_multiply(sum, memory);
        __syncthreads();
    }
    for (int r = 0; r < PRODUCT_EACH; r++) {
        for (int c = 0; c < PRODUCT_EACH; c++) {
            const int m = row + product_row() + r, n = column + product_column() + c;
            if (m < p.M && n < p.N) {
                out[static_cast<size_t>(m) * p.out_row + n] = sum[r][c];
            }
        }
    }
}

/* out (count) = sum of `parts` (count each), in order. */
__global__ void __launch_bounds__(SUM_THREADS)
    add_parts(float *__restrict__ out, const float *__restrict__ part, int parts, int count)
{
    const int i = blockIdx.x * SUM_THREADS + threadIdx.x;
    if (i < count) {
        float sum = 0;
        for (int s = 0; s < parts; s++) {
            sum += part[static_cast<size_t>(s) * count + i];
        }
        out[i] = sum;
    }
}

/* Part blockIdx.y of the rows' sum, 32 columns a block: eight threads each take every eighth row.
 */
__global__ void __launch_bounds__(SUM_THREADS)
    sum_rows(float *__restrict__ out, const float *__restrict__ in, size_t in_row, int K, int N,
             int part_rows)
{
    __shared__ float sums[SUM_THREADS];
    const int n = blockIdx.x * SUM_WIDTH + threadIdx.x % SUM_WIDTH;
    const int from = blockIdx.y * part_rows, end = K - from < part_rows ? K : from + part_rows;
    float sum = 0;
    if (n < N) {
        for (int k = from + threadIdx.x / SUM_WIDTH; k < end; k += SUM_THREADS / SUM_WIDTH) {
            sum += in[static_cast<size_t>(k) * in_row + n];
        }
    }
    sums[threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x < SUM_WIDTH && n < N) {
        for (int i = 1; i < SUM_THREADS / SUM_WIDTH; i++) {
            sum += sums[threadIdx.x + i * SUM_WIDTH];
        }
        out[static_cast<size_t>(blockIdx.y) * N + n] = sum;
    }
}

/* x / y, rounded up. */
int divide_up(int x, int y)
{
    return (x - 1) / y + 1;
}

int tiles_of(const attune_cuda_train_product *p)
{
    return divide_up(p->M, PRODUCT_TILE) * divide_up(p->N, PRODUCT_TILE);
}

int add(attune_cuda_stream *stream, float *out, const float *parts, int count, int size)
{
    ATTUNE_LAUNCH(add_parts, divide_up(size, SUM_THREADS), SUM_THREADS, stream, out, parts, count,
                  size);
    return cudaGetLastError();
}

} // namespace

extern "C" int attune_cuda_train_apply(attune_cuda_stream *stream,
                                       const attune_cuda_train_product *p, const float *bias)
{
    const auto kernel = product<false, false>;
    ATTUNE_LAUNCH(kernel, tiles_of(p), PRODUCT_THREADS, stream, *p, bias, FROM_BIAS, 0, p->K);
    return cudaGetLastError();
}

extern "C" int attune_cuda_train_apply_back(attune_cuda_stream *stream,
                                            const attune_cuda_train_product *p, bool adds)
{
    const auto kernel = product<false, true>;
    ATTUNE_LAUNCH(kernel, tiles_of(p), PRODUCT_THREADS, stream, *p, nullptr,
                  adds ? FROM_OUT : FROM_ZERO, 0, p->K);
    return cudaGetLastError();
}

extern "C" int attune_cuda_train_gather(attune_cuda_stream *stream,
                                        const attune_cuda_train_product *p, int steps, float *parts)
{
    const auto kernel = product<true, true>;
    const int tiles = tiles_of(p), most = tiles < BLOCKS ? BLOCKS / tiles : 1,
              wanted = divide_up(p->K, PART_ROWS), count = wanted < most ? wanted : most,
              depth = divide_up(p->K, count), used = divide_up(p->K, depth);
    attune_cuda_train_product part = *p;
    part.out = used > 1 ? parts : p->out;
    part.out_row = static_cast<size_t>(p->N);
    ATTUNE_LAUNCH(kernel, dim3(tiles, used), PRODUCT_THREADS, stream, part, nullptr, FROM_ZERO,
                  steps, depth);
    const int error = cudaGetLastError();
    return error || used == 1 ? error : add(stream, p->out, parts, used, p->M * p->N);
}

extern "C" int attune_cuda_train_sum_rows(attune_cuda_stream *stream, float *out, const float *in,
                                          size_t in_row, int K, int N, float *parts)
{
    const int wanted = divide_up(K, PART_ROWS), count = wanted < SUM_PARTS ? wanted : SUM_PARTS,
              rows = divide_up(K, count), used = divide_up(K, rows);
    ATTUNE_LAUNCH(sum_rows, dim3(divide_up(N, SUM_WIDTH), used), SUM_THREADS, stream,
                  used > 1 ? parts : out, in, in_row, K, N, rows);
    const int error = cudaGetLastError();
    return error || used == 1 ? error : add(stream, out, parts, used, N);
}
