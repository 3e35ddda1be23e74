/* bench_peak.c - what one instruction set can do at best: the floor under the network's arithmetic.
 */
#include "bench/bench_peak.h"

#include "bench/bench.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"
#include "status/machine.h"

enum { REPEATS = 7 };

/* Twelve independent chains of multiply-adds, more than latency times throughput on any machine we
 * know. */
static double peak_fma(void)
{
    enum { CHAINS = 12, STEPS = 200000 };
    double best = 0;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        vf sum[CHAINS];
        for (int c = 0; c < CHAINS; c++) {
            sum[c] = broadcast((float)c);
        }
        const vf a = broadcast(0.999f), b = broadcast(1e-3f);
        const double start = attune_seconds();
        for (int i = 0; i < STEPS; i++) {
            for (int c = 0; c < CHAINS; c++) {
                sum[c] = fma_v(sum[c], a, b);
            }
        }
        const double seconds = attune_seconds() - start;
        vf all = broadcast(0);
        for (int c = 0; c < CHAINS; c++) {
            all += sum[c];
        }
        volatile float sink = sum_v(all);
        (void)sink;
        const double rate = (double)STEPS * CHAINS * W / seconds;
        best = rate > best ? rate : best;
    }
    return best;
}

static double peak_gelu(void)
{
    enum { COUNT = 1024, STEPS = 2000 };
    static float in[COUNT], out[COUNT];
    double best = 0;
    for (int i = 0; i < COUNT; i++) {
        in[i] = (float)i / COUNT * 8 - 4;
    }
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        const double start = attune_seconds();
        for (int s = 0; s < STEPS; s++) {
            for (int i = 0; i < COUNT; i += TOGETHER * W) {
                vf x[TOGETHER];
                ATTUNE_EACH(v, TOGETHER, x[v] = load(in + i + v * W))
                gelu_n(x, TOGETHER, false);
                ATTUNE_EACH(v, TOGETHER, store(out + i + v * W, x[v]))
            }
            __asm__ volatile("" : : "r"(out) : "memory");
        }
        const double rate = (double)STEPS * COUNT / (attune_seconds() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

#define ATTUNE_TEXT_(x) #x
#define ATTUNE_TEXT(x) ATTUNE_TEXT_(x)

const bench_peak ATTUNE_KERNEL(bench_peak) = {
    .isa = ATTUNE_TEXT(ATTUNE_ISA), .fma = peak_fma, .gelu = peak_gelu};
