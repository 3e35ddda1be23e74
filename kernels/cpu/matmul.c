/* matmul.c - bias + a · b for a right-hand side in panels of 32 columns.
 *
 * A tile of R rows by one panel stays in registers while k runs: R is 8 with 32 vector registers of
 * 16 floats, 3 with 16 of 8, 1 with 16 of 4. Rows left over go by fours, twos and ones; an
 * element's sum runs over k upwards from the bias in every case, so its bits do not depend on the
 * tile it fell into. Long products go by blocks of DEPTH steps of k and BLOCK rows, so that what a
 * tile reads comes from L2; between blocks, sums wait in the result. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

enum {
    P = ATTUNE_MATMUL_PANEL,
    V = P / W, /* vectors in a panel */
    ROWS = W == 16  ? 8
           : W == 8 ? 3
                    : 1, /* rows in a tile */
    DEPTH = 512,
    BLOCK = 96,
};

/* Where a tile's sums begin: at one row for all (stride 0) or at one each. */
typedef struct beginning {
    const float *at;
    size_t stride;
} beginning;

static inline __attribute__((always_inline)) void tile(float *out, size_t out_stride,
                                                       beginning from, attune_left a,
                                                       const float *b, size_t b_row, int rows,
                                                       int K)
{
    vf sum[ROWS][V];
    for (int r = 0; r < rows; r++) {
        for (int v = 0; v < V; v++) {
            sum[r][v] = load(from.at + r * from.stride + v * W);
        }
    }
    for (int k = 0; k < K; k++) {
        vf column[V];
        for (int v = 0; v < V; v++) {
            column[v] = load(b + k * b_row + v * W);
        }
        for (int r = 0; r < rows; r++) {
            vf x = broadcast(a.at[r * a.row + k * a.column]);
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

/* M rows of one panel. */
static inline __attribute__((always_inline)) void panel(float *out, size_t out_stride,
                                                        beginning from, attune_left a,
                                                        const float *b, size_t b_row, int M, int K)
{
    int m = 0;
#define ATTUNE_TILES(R)                                                                            \
    for (; m + (R) <= M; m += (R)) {                                                               \
        const beginning here = {from.at + m * from.stride, from.stride};                           \
        const attune_left rows = {a.at + m * a.row, a.row, a.column};                              \
        tile(out + m * out_stride, out_stride, here, rows, b, b_row, (R), K);                      \
    }
    ATTUNE_TILES(ROWS)
    if (ROWS > 4) {
        ATTUNE_TILES(ROWS > 4 ? 4 : 1)
    }
    if (ROWS > 2) {
        ATTUNE_TILES(ROWS > 2 ? 2 : 1)
    }
    if (ROWS > 1) {
        ATTUNE_TILES(1)
    }
#undef ATTUNE_TILES
}

/* The same with what the compiler may take for constant. */
static void panel_of(float *out, size_t out_stride, beginning from, attune_left a, const float *b,
                     size_t b_row, int M, int K)
{
    if (a.column == 1 && b_row == P) {
        panel(out, out_stride, from, (attune_left){a.at, a.row, 1}, b, P, M, K);
    } else if (a.column == 1) {
        panel(out, out_stride, from, (attune_left){a.at, a.row, 1}, b, b_row, M, K);
    } else {
        panel(out, out_stride, from, (attune_left){a.at, 1, a.column}, b, b_row, M, K);
    }
}

/* The last panel, of fewer columns than P: through rows of whole panels. */
static void narrow_panel(float *out, size_t out_stride, beginning from, attune_left a,
                         const float *b, size_t b_row, int M, int K, int columns)
{
    float block[BLOCK * P] = {0};
    for (int m = 0; m < M; m++) {
        memcpy(block + m * P, from.at + m * from.stride, sizeof(float) * (size_t)columns);
    }
    panel_of(block, P, (beginning){block, P}, a, b, b_row, M, K);
    for (int m = 0; m < M; m++) {
        memcpy(out + m * out_stride, block + m * P, sizeof(float) * (size_t)columns);
    }
}

void ATTUNE_KERNEL(attune_product)(float *out, size_t out_stride, attune_left a, attune_right b,
                                   const float *bias, int M, int K, int J)
{
    static const float zeros[P];
    for (int k = 0; k < K; k += DEPTH) {
        const int depth = K - k < DEPTH ? K - k : DEPTH;
        for (int m = 0; m < M; m += BLOCK) {
            const int rows = M - m < BLOCK ? M - m : BLOCK;
            const attune_left block = {a.at + m * a.row + k * a.column, a.row, a.column};
            float *to = out + m * out_stride;
            for (int j = 0; j < J; j += P) {
                const beginning from = k      ? (beginning){to + j, out_stride}
                                       : bias ? (beginning){bias + j, 0}
                                              : (beginning){zeros, 0};
                const float *columns = b.at + (size_t)(j / P) * b.panel + k * b.row;
                if (j + P <= J) {
                    panel_of(to + j, out_stride, from, block, columns, b.row, rows, depth);
                } else {
                    narrow_panel(to + j, out_stride, from, block, columns, b.row, rows, depth,
                                 J - j);
                }
            }
        }
    }
}

void ATTUNE_KERNEL(attune_matmul)(float *out, const float *a, size_t a_stride, const float *w,
                                  const float *bias, int M, int K, int J)
{
    const size_t out_stride = attune_panels((size_t)J);
    ATTUNE_KERNEL(attune_product)
    (out, out_stride, (attune_left){a, a_stride, 1}, (attune_right){w, P, (size_t)K * P}, bias, M,
     K, (int)out_stride);
}
