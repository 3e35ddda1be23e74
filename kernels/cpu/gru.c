/* gru.c - the recurrent half of a GRU layer: T steps of one track, one after the other.
 *
 *   r = σ(x_r + W_hr h)   z = σ(x_z + W_hz h)   n = tanh(x_n + r ∘ (W_hn h + b_hn))
 *   h' = (1 − z) ∘ n + z ∘ h
 *
 * with x the inputs' share and all other biases, made by one matrix product over many steps. Each
 * step reads the whole (H, 3H) matrix from L2 (192 KB at H = 128), so it runs at L2's bandwidth;
 * eight vectors of sums in registers hide the multiply-add's latency. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

enum { ACCUMULATORS = 8, P = ACCUMULATORS * W };

int ATTUNE_KERNEL(attune_gru_panel)(void)
{
    return P;
}

/* out (3H, rounded up to panels) = bias + h · w */
static void recurrent_product(float *out, const float *h, const attune_cpu_gru *layer, int H)
{
    for (int j = 0; j < 3 * H; j += P) {
        const float *w = layer->hidden + (size_t)j * H;
        vf sum[ACCUMULATORS];
        for (int v = 0; v < ACCUMULATORS; v++) {
            sum[v] = load(layer->hidden_bias + j + v * W);
        }
        for (int k = 0; k < H; k++) {
            vf x = broadcast(h[k]);
            for (int v = 0; v < ACCUMULATORS; v++) {
                sum[v] = fma_v(x, load(w + (size_t)k * P + v * W), sum[v]);
            }
        }
        for (int v = 0; v < ACCUMULATORS; v++) {
            store(out + j + v * W, sum[v]);
        }
    }
}

void ATTUNE_KERNEL(attune_gru)(float *out, float *h, const float *gates,
                               const attune_cpu_gru *layer, float *scratch, int T, int H)
{
    const size_t gates_stride = attune_panels(3 * (size_t)H);
    for (int t = 0; t < T; t++) {
        const float *x = gates + t * gates_stride;
        recurrent_product(scratch, h, layer, H);
        for (int i = 0; i < H; i += W) {
            vf r = sigmoid_v(load(x + i) + load(scratch + i));
            vf z = sigmoid_v(load(x + H + i) + load(scratch + H + i));
            vf n = tanh_v(fma_v(r, load(scratch + 2 * H + i), load(x + 2 * H + i)));
            vf next = fma_v(z, load(h + i) - n, n);
            store(h + i, next);
            store(out + (size_t)t * H + i, next);
        }
    }
}
