/* gru.c - the recurrent half of a GRU layer: T steps, one after the other, of a few tracks at once.
 *
 *   r = σ(x_r + W_hr h)   z = σ(x_z + W_hz h)   n = tanh(x_n + r ∘ (W_hn h + b_hn))
 *   h' = (1 − z) ∘ n + z ∘ h
 *
 * with x the inputs' share and all other biases, made by one matrix product over many steps. Each
 * step reads the whole (H, 3H) matrix from L2 (192 KB at H = 128). For one track that is all the
 * time it takes; four tracks in step share it and run at the rate of multiply-adds. A sum runs over
 * k upwards from the bias in every case, so its bits do not depend on the tracks beside it.
 *
 * The product of one step and track at H = 128, ns on a Zen 4 whose multiply-adds alone take 835 in
 * 16 and in 8 lanes a vector, 1,930 in 4:
 *
 *   tracks in step       1      2      3      4
 *   AVX-512           1710   1000   1005    840
 *   AVX2              1715   1050    930    855
 *   baseline          2390   2410   2430   2450 */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

enum {
    P = W == 16 ? 128 : 48,
    /* Vectors of a panel that a tile holds the sums of, for 1 to 4 tracks: enough to hide the
     * multiply-add's latency, and no more than the registers take. */
    V1 = W == 4 ? 12 : P / W,
    V2 = W == 16 ? 8 : 6,
    V3 = W == 16 ? 8 : 3,
    V4 = W == 16 ? 4 : 3,
};

int ATTUNE_KERNEL(attune_gru_panel)(void)
{
    return P;
}

/* out (B, stride) = bias + h · w for V vectors of columns of a panel. */
static inline __attribute__((always_inline)) void tile(float *out, size_t stride, float *const *h,
                                                       const float *w, const float *bias, int B,
                                                       int V, int H)
{
    vf sum[ATTUNE_LANES][P / W];
    for (int b = 0; b < B; b++) {
        for (int v = 0; v < V; v++) {
            sum[b][v] = load(bias + v * W);
        }
    }
    for (int k = 0; k < H; k++) {
        vf column[P / W];
        for (int v = 0; v < V; v++) {
            column[v] = load(w + (size_t)k * P + v * W);
        }
        for (int b = 0; b < B; b++) {
            vf x = broadcast(h[b][k]);
            for (int v = 0; v < V; v++) {
                sum[b][v] = fma_v(x, column[v], sum[b][v]);
            }
        }
    }
    for (int b = 0; b < B; b++) {
        for (int v = 0; v < V; v++) {
            store(out + b * stride + v * W, sum[b][v]);
        }
    }
}

/* out (B, stride): 3H rounded up to panels, = bias + h · w */
static void recurrent_product(float *out, size_t stride, float *const *h,
                              const attune_cpu_gru *layer, int B, int H)
{
    const int V = B == 1 ? V1 : B == 2 ? V2 : B == 3 ? V3 : V4;
    for (int j = 0; j < 3 * H; j += V * W) {
        const float *w = layer->hidden + (size_t)(j / P * P) * H + j % P,
                    *bias = layer->hidden_bias + j;
        switch (B) {
        case 1:
            tile(out + j, stride, h, w, bias, 1, V1, H);
            break;
        case 2:
            tile(out + j, stride, h, w, bias, 2, V2, H);
            break;
        case 3:
            tile(out + j, stride, h, w, bias, 3, V3, H);
            break;
        default:
            tile(out + j, stride, h, w, bias, 4, V4, H);
        }
    }
}

/* One track's next state from the inputs' share x of its gates and the states' share y. */
static void step(float *out, float *h, const float *x, const float *y, int H)
{
    for (int i = 0; i < H; i += W) {
        vf r = sigmoid_v(load(x + i) + load(y + i));
        vf z = sigmoid_v(load(x + H + i) + load(y + H + i));
        vf n = tanh_v(fma_v(r, load(y + 2 * H + i), load(x + 2 * H + i)));
        vf next = fma_v(z, load(h + i) - n, n);
        store(h + i, next);
        store(out + i, next);
    }
}

void ATTUNE_KERNEL(attune_gru)(float *out, float *const *h, const float *gates,
                               const attune_cpu_gru *layer, float *scratch, int B, int T, int H)
{
    const size_t gates_stride = attune_panels(3 * (size_t)H), stride = 3 * (size_t)H + 256;
    for (int t = 0; t < T; t++) {
        if (layer->fixed_hidden.product) {
            const float *const *rows = (const float *const *)h;
            layer->fixed_hidden.product(scratch, stride, rows, &layer->fixed_hidden, B);
        } else {
            recurrent_product(scratch, stride, h, layer, B, H);
        }
        for (int b = 0; b < B; b++) {
            const size_t row = (size_t)b * T + t;
            step(out + row * H, h[b], gates + row * gates_stride, scratch + b * stride, H);
        }
    }
}
