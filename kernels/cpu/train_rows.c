/* train_rows.c - sums over rows, which are positions of a frame; columns are channels. */
#include "kernels/cpu/simd.h"
#include "kernels/cpu/train_frontend.h"

enum {
    R8 = W == 16 ? 8 : 4, /* rows of the product in a tile, by */
    V = 2,                /* vectors: half of the registers hold the sums */
};

/* Σ(y − mean), or Σ(y − mean)², of W columns. */
static inline __attribute__((always_inline)) vf column_sum(const float *y, int R, int C, vf mean,
                                                           bool squared)
{
    vf sum[2] = {{0}};
    for (int r = 0; r < R; r += 2) {
        const vf a = load(y + (size_t)r * C) - mean, b = load(y + (size_t)(r + 1) * C) - mean;
        sum[0] = squared ? fma_v(a, a, sum[0]) : sum[0] + a;
        sum[1] = squared ? fma_v(b, b, sum[1]) : sum[1] + b;
    }
    return sum[0] + sum[1];
}

void ATTUNE_KERNEL(attune_rows_moments)(double *sums, double *squares, const float *y, int R, int C)
{
    for (int c = 0; c < C; c += W) {
        const vf mean = column_sum(y + c, R, C, broadcast(0.0f), false) / (float)R,
                 around = column_sum(y + c, R, C, mean, true);
        for (int i = 0; i < W; i++) {
            const double m = (double)mean[i];
            sums[c + i] += R * m;
            squares[c + i] += (double)around[i] + R * m * m;
        }
    }
}

static inline __attribute__((always_inline)) void tile(float *out, size_t out_stride,
                                                       const float *a, size_t a_stride,
                                                       const float *b, size_t b_stride, int K)
{
    vf sum[R8 * V];
    ATTUNE_EACH(i, R8 * V, sum[i] = load(out + i / V * out_stride + i % V * W))
    for (int k = 0; k < K; k++) {
        vf row[V];
        ATTUNE_EACH(v, V, row[v] = load(b + (size_t)k * b_stride + v * W))
        ATTUNE_EACH(r, R8, const vf x = spread(a + (size_t)k * a_stride + r);
                    ATTUNE_EACH(v, V, sum[r * V + v] = fma_v(x, row[v], sum[r * V + v])))
    }
    ATTUNE_EACH(i, R8 * V, store(out + i / V * out_stride + i % V * W, sum[i]))
}

void ATTUNE_KERNEL(attune_rows_product)(float *out, const float *a, size_t a_stride, const float *b,
                                        size_t b_stride, int M, int K, int J)
{
    for (int j = 0; j < J; j += V * W) {
        for (int m = 0; m < M; m += R8) {
            tile(out + (size_t)m * J + j, (size_t)J, a + m, a_stride, b + j, b_stride, K);
        }
    }
}
