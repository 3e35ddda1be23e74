/* matmul.c - bias + a · w for a right-hand side in panels of 32 columns.
 *
 * A tile of R rows by one panel stays in registers while k runs: R is 8 with 32 vector registers of
 * 16 floats, 3 with 16 of 8, 1 with 16 of 4. Rows left over go one by one; an element's sum runs
 * over k upwards from the bias in every case, so its bits do not depend on the tile it fell into.
 */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

enum {
    P = ATTUNE_MATMUL_PANEL,
    V = P / W, /* vectors in a panel */
    ROWS = W == 16  ? 8
           : W == 8 ? 3
                    : 1, /* rows in a tile */
};

static inline __attribute__((always_inline)) void tile(float *out, size_t out_stride,
                                                       const float *a, size_t a_stride,
                                                       const float *w, const float *bias, int rows,
                                                       int K)
{
    vf sum[ROWS][V];
    for (int r = 0; r < rows; r++) {
        for (int v = 0; v < V; v++) {
            sum[r][v] = load(bias + v * W);
        }
    }
    for (int k = 0; k < K; k++) {
        vf column[V];
        for (int v = 0; v < V; v++) {
            column[v] = load(w + (size_t)k * P + v * W);
        }
        for (int r = 0; r < rows; r++) {
            vf x = broadcast(a[r * a_stride + k]);
            for (int v = 0; v < V; v++) {
                sum[r][v] = fma_v(x, column[v], sum[r][v]);
            }
        }
    }
    for (int r = 0; r < rows; r++) {
        for (int v = 0; v < V; v++) {
            store(out + r * out_stride + v * W, sum[r][v]);
        }
    }
}

void ATTUNE_KERNEL(attune_matmul)(float *out, const float *a, size_t a_stride, const float *w,
                                  const float *bias, int M, int K, int J)
{
    const size_t out_stride = attune_panels((size_t)J);
    for (size_t j = 0; j < out_stride; j += P) {
        int m = 0;
        for (; m + ROWS <= M; m += ROWS) {
            tile(out + m * out_stride + j, out_stride, a + m * a_stride, a_stride, w + j * K,
                 bias + j, ROWS, K);
        }
        for (; m < M; m++) {
            tile(out + m * out_stride + j, out_stride, a + m * a_stride, a_stride, w + j * K,
                 bias + j, 1, K);
        }
    }
}
