/* train_tiny_frame.c - see train_tiny.h: one frame, tile by tile. */
#include "kernels/cpu/train_simd.h"
#include "kernels/cpu/train_tiny.h"

enum {
    C1 = TINY_C1,
    C2 = TINY_C2,
    TAPS = TINY_TAPS,
    T = TINY_T,
    V = 2,                /* vectors of channels in step: with two positions, as many as TOGETHER */
    BLOCK = V * W,        /* channels */
    MIXED = W * TOGETHER, /* floats that one gelu_n takes */
};

/* gelu_n of n vectors, n any multiple of 2; slopes only where wanted. */
static inline __attribute__((always_inline)) void gelu_all(vf *x, vf *slope, int n, bool slopes)
{
    const int step = n < TOGETHER ? n : TOGETHER;
    for (int i = 0; i < n; i += step) {
        if (slopes) {
            gelu_slope_n(x + i, slope + i, step);
        } else {
            gelu_n(x + i, step, false);
        }
    }
}

/* ---- layers 1 and 2 ---- */

void ATTUNE_KERNEL(attune_tiny_first)(const attune_tiny_tile *tile, const attune_tiny_layers *p,
                                      const float *x, int N)
{
    float *even = tile->even, *odd = tile->odd;
    for (int i = 0; i < N / 2; i++) {
        even[i] = x[2 * i];
        odd[i] = x[2 * i + 1];
    }
    for (int i = 0; i < N / 2; i += W) {
        vf y = broadcast(p->w1[0]) * load(even + i - 1);
        y = fma_v(broadcast(p->w1[1]), load(odd + i - 1), y);
        y = fma_v(broadcast(p->w1[2]), load(even + i), y);
        y = fma_v(broadcast(p->w1[3]), load(odd + i), y);
        y = fma_v(broadcast(p->w1[4]), load(even + i + 1), y);
        store(tile->y1 + i, y);
    }
}

void ATTUNE_KERNEL(attune_tiny_moments)(double *sums, const float *y, int count)
{
    vf sum[4] = {{0}}, around[4] = {{0}};
    for (int i = 0; i < count; i += 4 * W) {
        ATTUNE_EACH(v, 4, sum[v] += load(y + i + v * W))
    }
    const float mean = sum_v((sum[0] + sum[1]) + (sum[2] + sum[3])) / (float)count;
    for (int i = 0; i < count; i += 4 * W) {
        ATTUNE_EACH(v, 4, const vf d = load(y + i + v * W) - broadcast(mean);
                    around[v] = fma_v(d, d, around[v]))
    }
    const double m = (double)mean;
    sums[0] += count * m;
    sums[1] += (double)sum_v((around[0] + around[1]) + (around[2] + around[3])) + count * m * m;
}

void ATTUNE_KERNEL(attune_tiny_gelu1)(float *g1, const float *y1, const attune_tiny_layers *p,
                                      int count)
{
    for (int i = 0; i < count; i += MIXED) {
        vf x[TOGETHER];
        ATTUNE_EACH(v, TOGETHER,
                    x[v] = fma_v(broadcast(p->a1), load(y1 + i + v * W), broadcast(p->b1)))
        gelu_n(x, TOGETHER, false);
        ATTUNE_EACH(v, TOGETHER, store(g1 + i + v * W, x[v]))
    }
}

/* ---- layer 3 ---- */

/* The rows of g2 before a frame's first tile: two of padding and position 0. */
static inline __attribute__((always_inline)) void begin_block(const attune_tiny_tile *tile,
                                                              const attune_tiny_layers *p,
                                                              const float *g1, int c, bool keep)
{
    float *g2 = (keep ? tile->g2 : tile->window) + c;
    vf x[V], slope[V];
    ATTUNE_EACH(v, V, x[v] = fma_v(load(p->a2 + c + v * W), spread(g1), load(p->b2 + c + v * W)))
    gelu_all(x, slope, V, keep);
    for (int r = 0; r < 2; r++) {
        ATTUNE_EACH(v, V, store(g2 + r * C1 + v * W, broadcast(0.0f)))
        if (keep) {
            ATTUNE_EACH(v, V, store(tile->slope2 + r * C1 + c + v * W, broadcast(0.0f)))
        }
    }
    ATTUNE_EACH(v, V, store(g2 + 2 * C1 + v * W, x[v]))
    if (keep) {
        ATTUNE_EACH(v, V, store(tile->slope2 + 2 * C1 + c + v * W, slope[v]))
    }
}

/* The tile's y3 of the block of channels at c, with the window of five rows of g2 in registers: a
 * step down makes two rows anew. */
static inline __attribute__((always_inline)) void convolve_block(const attune_tiny_tile *tile,
                                                                 const attune_tiny_layers *p,
                                                                 const float *g1, int first, int L,
                                                                 int c, bool keep)
{
    float *begin = (keep ? tile->g2 : tile->window) + c;
    vf a[V], b[V], window[3 * V];
    ATTUNE_EACH(v, V, a[v] = load(p->a2 + c + v * W); b[v] = load(p->b2 + c + v * W))
    ATTUNE_EACH(i, 3 * V, window[i] = load(begin + i / V * C1 + i % V * W))
    for (int t = 0; t < T; t++) {
        const float *g = g1 + 2 * (first + t) + 1;
        vf x[2 * V], slope[2 * V], y[V];
        ATTUNE_EACH(i, 2 * V, x[i] = fma_v(a[i % V], spread(g + i / V), b[i % V]))
        gelu_all(x, slope, 2 * V, keep);
        if (first + t + 1 == L) { /* the second row is padding */
            ATTUNE_EACH(v, V, x[V + v] = slope[V + v] = broadcast(0.0f))
        }
        const float *w = p->w3_k[0] + c;
        ATTUNE_EACH(v, V, y[v] = load(w + v * W) * window[v])
        ATTUNE_EACH(v, V, y[v] = fma_v(load(w + C1 + v * W), window[V + v], y[v]))
        ATTUNE_EACH(v, V, y[v] = fma_v(load(w + 2 * C1 + v * W), window[2 * V + v], y[v]))
        ATTUNE_EACH(v, V, y[v] = fma_v(load(w + 3 * C1 + v * W), x[v], y[v]))
        ATTUNE_EACH(v, V, y[v] = fma_v(load(w + 4 * C1 + v * W), x[V + v], y[v]))
        ATTUNE_EACH(v, V, store(tile->y3 + t * C1 + c + v * W, y[v]))
        if (keep) {
            const int row = (2 * t + 3) * C1 + c;
            ATTUNE_EACH(i, 2 * V, store(tile->g2 + row + i / V * C1 + i % V * W, x[i]))
            ATTUNE_EACH(i, 2 * V, store(tile->slope2 + row + i / V * C1 + i % V * W, slope[i]))
        }
        ATTUNE_EACH(v, V, window[v] = window[2 * V + v])
        ATTUNE_EACH(i, 2 * V, window[V + i] = x[i])
    }
    if (!keep) {
        ATTUNE_EACH(i, 3 * V, store(begin + i / V * C1 + i % V * W, window[i]))
    }
}

void ATTUNE_KERNEL(attune_tiny_y3)(const attune_tiny_tile *tile, const attune_tiny_layers *p,
                                   const float *g1, int first, int L, bool keep)
{
    for (int c = 0; c < C1; c += BLOCK) {
        if (keep) {
            if (first == 0) {
                begin_block(tile, p, g1, c, true);
            }
            convolve_block(tile, p, g1, first, L, c, true);
        } else {
            if (first == 0) {
                begin_block(tile, p, g1, c, false);
            }
            convolve_block(tile, p, g1, first, L, c, false);
        }
    }
}

static inline __attribute__((always_inline)) void activate(const attune_tiny_tile *tile,
                                                           const attune_tiny_layers *p, bool keep)
{
    for (int i = 0; i < T * C1; i += MIXED) {
        vf x[TOGETHER], slope[TOGETHER];
        ATTUNE_EACH(v, TOGETHER, const int c = (i + v * W) % C1;
                    x[v] = fma_v(load(p->a3 + c), load(tile->y3 + i + v * W), load(p->b3 + c)))
        gelu_all(x, slope, TOGETHER, keep);
        ATTUNE_EACH(v, TOGETHER,
                    store(tile->g3 + i + v * W, x[v] - load(p->mean3 + (i + v * W) % C1)))
        if (keep) {
            ATTUNE_EACH(v, TOGETHER, store(tile->slope3 + i + v * W, slope[v]))
        }
    }
}

void ATTUNE_KERNEL(attune_tiny_g3)(const attune_tiny_tile *tile, const attune_tiny_layers *p,
                                   bool keep)
{
    if (keep) {
        activate(tile, p, true);
    } else {
        activate(tile, p, false);
    }
}

/* ---- layer 4 ---- */

void ATTUNE_KERNEL(attune_tiny_y4)(const attune_tiny_tile *tile, const attune_tiny_layers *p)
{
    ATTUNE_KERNEL(attune_matmul)(tile->y4, tile->g3, C1, p->w4_k, p->zero, T, C1, C2);
}

static inline __attribute__((always_inline)) void sum_g4(const attune_tiny_tile *tile,
                                                         const attune_tiny_layers *p, float *sums,
                                                         float *slopes, int c, bool keep)
{
    vf a[TOGETHER], b[TOGETHER], sum[TOGETHER], slope_sum[TOGETHER] = {{0}};
    ATTUNE_EACH(v, TOGETHER, a[v] = load(p->a4 + c + v * W); b[v] = load(p->b4 + c + v * W);
                sum[v] = load(sums + c + v * W))
    if (keep) {
        ATTUNE_EACH(v, TOGETHER, slope_sum[v] = load(slopes + c + v * W))
    }
    for (int t = 0; t < T; t++) {
        float *y = tile->y4 + t * C2 + c;
        vf x[TOGETHER], slope[TOGETHER];
        ATTUNE_EACH(v, TOGETHER, x[v] = fma_v(a[v], load(y + v * W), b[v]))
        gelu_all(x, slope, TOGETHER, keep);
        ATTUNE_EACH(v, TOGETHER, sum[v] += x[v])
        if (keep) {
            ATTUNE_EACH(v, TOGETHER, slope_sum[v] += slope[v]; store(y + v * W, slope[v]))
        }
    }
    ATTUNE_EACH(v, TOGETHER, store(sums + c + v * W, sum[v]))
    if (keep) {
        ATTUNE_EACH(v, TOGETHER, store(slopes + c + v * W, slope_sum[v]))
    }
}

void ATTUNE_KERNEL(attune_tiny_g4)(const attune_tiny_tile *tile, const attune_tiny_layers *p,
                                   float *sums, float *slopes)
{
    for (int c = 0; c < C2; c += MIXED) {
        if (slopes) {
            sum_g4(tile, p, sums, slopes, c, true);
        } else {
            sum_g4(tile, p, sums, slopes, c, false);
        }
    }
}

void ATTUNE_KERNEL(attune_tiny_dy4)(const attune_tiny_tile *tile, const attune_tiny_layers *p,
                                    const float a[C2], const float b[C2], const float c[C2])
{
    for (int i = 0; i < C2; i += MIXED) {
        for (int t = 0; t < T; t++) {
            float *row = tile->y4 + t * C2 + i;
            vf y[TOGETHER], x[TOGETHER], slope[TOGETHER];
            ATTUNE_EACH(v, TOGETHER, y[v] = load(row + v * W);
                        x[v] = fma_v(load(p->a4 + i + v * W), y[v], load(p->b4 + i + v * W)))
            gelu_slope_n(x, slope, TOGETHER);
            ATTUNE_EACH(v, TOGETHER,
                        const vf d = fma_v(load(a + i + v * W), slope[v], -load(b + i + v * W));
                        store(row + v * W, fma_v(-load(c + i + v * W), y[v], d)))
        }
    }
}

/* ---- back through layer 3 ---- */

void ATTUNE_KERNEL(attune_tiny_dz3)(float *dz3, const attune_tiny_tile *tile,
                                    const attune_tiny_layers *p, const float mean[C1], float *sums)
{
    ATTUNE_KERNEL(attune_matmul)(tile->dg3, tile->y4, C2, p->w4, p->zero, T, C2, C1);
    for (int c = 0; c < C1; c += BLOCK) {
        vf m[V], sum[V], product[V];
        ATTUNE_EACH(v, V, m[v] = load(mean + c + v * W); sum[v] = load(sums + c + v * W);
                    product[v] = load(sums + C1 + c + v * W))
        for (int t = 0; t < T; t++) {
            const int at = t * C1 + c;
            ATTUNE_EACH(
                v, V, const vf d = load(tile->dg3 + at + v * W) * load(tile->slope3 + at + v * W);
                sum[v] += d; product[v] = fma_v(d, load(tile->y3 + at + v * W) - m[v], product[v]);
                store(dz3 + at + v * W, d))
        }
        ATTUNE_EACH(v, V, store(sums + c + v * W, sum[v]); store(sums + C1 + c + v * W, product[v]))
    }
}

void ATTUNE_KERNEL(attune_tiny_dy3)(const attune_tiny_tile *tile, const float *dz3,
                                    const float a[C1], const float b[C1], const float c[C1],
                                    float *sums)
{
    for (int i = 0; i < C1; i += BLOCK) {
        vf dw[TAPS * V];
        ATTUNE_EACH(k, TAPS * V, dw[k] = load(sums + k / V * C1 + i + k % V * W))
        for (int t = 0; t < T; t++) {
            const float *g2 = tile->g2 + 2 * t * C1 + i;
            vf d[V];
            ATTUNE_EACH(v, V, const int at = t * C1 + i + v * W;
                        d[v] = fma_v(load(a + i + v * W), load(dz3 + at), load(b + i + v * W));
                        d[v] = fma_v(-load(c + i + v * W), load(tile->y3 + at), d[v]);
                        store(tile->dy3 + at + 2 * C1, d[v]))
            ATTUNE_EACH(k, TAPS * V,
                        dw[k] = fma_v(d[k % V], load(g2 + k / V * C1 + k % V * W), dw[k]))
        }
        ATTUNE_EACH(k, TAPS * V, store(sums + k / V * C1 + i + k % V * W, dw[k]))
    }
}

/* The gradients by z2 of one vector of channels at a position's two rows: the transposed
 * convolution by GELU's derivative. `row` counts from the tile's first. */
static inline __attribute__((always_inline)) void
back_rows(vf dz2[2], const attune_tiny_tile *tile, const attune_tiny_layers *p, int row, int c)
{
    const float *d = tile->dy3 + row * C1 + c, *w = p->w3[0] + c,
                *slope = tile->slope2 + 2 * row * C1 + c;
    const vf before = load(d), here = load(d + C1), behind = load(d + 2 * C1);
    vf even = load(w + 4 * C1) * before;
    even = fma_v(load(w + 2 * C1), here, even);
    even = fma_v(load(w), behind, even);
    const vf odd = fma_v(load(w + C1), behind, load(w + 3 * C1) * here);
    dz2[0] = even * load(slope);
    dz2[1] = odd * load(slope + C1);
}

void ATTUNE_KERNEL(attune_tiny_dz2)(float *u, const attune_tiny_tile *tile,
                                    const attune_tiny_layers *p, const float weight[C1],
                                    const float *g1, float mean, int first, int count, float *sums)
{
    const float *g = g1 + 2 * (first - 1);
    vf sum[C1 / W], product[C1 / W];
    ATTUNE_EACH(v, C1 / W, sum[v] = load(sums + v * W); product[v] = load(sums + C1 + v * W))
    for (int row = 0; row < count; row += W / 2) {
        vf all[W];
        for (int r = 0; r < W; r += 2) {
            const vf g_even = spread(g + 2 * row + r) - broadcast(mean),
                     g_odd = spread(g + 2 * row + r + 1) - broadcast(mean);
            all[r] = all[r + 1] = broadcast(0.0f);
            ATTUNE_EACH(v, C1 / W, vf dz2[2]; back_rows(dz2, tile, p, row + r / 2, v * W);
                        sum[v] += dz2[0] + dz2[1]; product[v] = fma_v(dz2[0], g_even, product[v]);
                        product[v] = fma_v(dz2[1], g_odd, product[v]);
                        all[r] = fma_v(load(weight + v * W), dz2[0], all[r]);
                        all[r + 1] = fma_v(load(weight + v * W), dz2[1], all[r + 1]))
        }
        store(u + 2 * (first + row), sums_v(all));
    }
    ATTUNE_EACH(v, C1 / W, store(sums + v * W, sum[v]); store(sums + C1 + v * W, product[v]))
}

/* ---- back through layer 1 ---- */

void ATTUNE_KERNEL(attune_tiny_dw1)(double *sums, const attune_tiny_tile *tile,
                                    const attune_tiny_layers *p, const float *u, float b, float c,
                                    float mean, int count)
{
    vf sum[2 + 3 * TAPS] = {{0}};
    for (int i = 0; i < count; i += W) {
        const float *even = tile->even + i, *odd = tile->odd + i;
        const vf x[TAPS] = {load(even - 1), load(odd - 1), load(even), load(odd), load(even + 1)};
        const vf y = load(tile->y1 + i), around = y - broadcast(mean);
        vf g = fma_v(broadcast(p->a1), y, broadcast(p->b1)), slope;
        gelu_slope_n(&g, &slope, 1);
        const vf dz1 = fma_v(broadcast(-c), g, load(u + i) - broadcast(b)) * slope;
        sum[0] += dz1;
        sum[1] = fma_v(dz1, around, sum[1]);
        ATTUNE_EACH(t, TAPS, sum[2 + t] = fma_v(dz1, x[t], sum[2 + t]);
                    sum[2 + TAPS + t] = fma_v(around, x[t], sum[2 + TAPS + t]);
                    sum[2 + 2 * TAPS + t] += x[t])
    }
    for (int i = 0; i < 2 + 3 * TAPS; i++) {
        sums[i] += (double)sum_v(sum[i]);
    }
}
