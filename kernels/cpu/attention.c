/* attention.c - the scores of attention pooling: w · tanh(W h_t + b) + c for T states.
 *
 * One matrix product for all T, then a row's tanh and its product with w. The softmax over a
 * track's scores is sequence.c's: it runs on while the track does. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/fixed.h"
#include "kernels/cpu/simd.h"

void ATTUNE_KERNEL(attune_attention)(float *scores, const float *h,
                                     const attune_cpu_weights *weights, float *scratch, int T)
{
    const int A = weights->network.attention, H = weights->network.hidden;
    const size_t stride = attune_panels((size_t)A);
    if (weights->fixed_attention.product) {
        attune_fixed_rows(scratch, stride, h, (size_t)H, &weights->fixed_attention, T);
    } else {
        ATTUNE_KERNEL(attune_matmul)
        (scratch, h, (size_t)H, weights->attention, weights->attention_bias, T, H, A);
    }
    for (int t = 0; t < T; t++) {
        vf sum = broadcast(0.0f);
        for (size_t i = 0; i < stride; i += W) { /* beyond A both factors are 0 */
            sum = fma_v(load(weights->score + i), tanh_v(load(scratch + t * stride + i)), sum);
        }
        scores[t] = sum_v(sum) + weights->score_bias;
    }
}
