/* bench_peak.h - the rates of one instruction set on this machine, one thread. */
#ifndef ATTUNE_BENCH_PEAK_H
#define ATTUNE_BENCH_PEAK_H

#define ATTUNE_BENCH_PEAK(isa)                                                                     \
    double bench_peak_fma_##isa(void);  /* multiply-adds per second, from registers */            \
    double bench_peak_gelu_##isa(void) /* exact GELUs per second, in and out of L1 */

ATTUNE_BENCH_PEAK(baseline);
ATTUNE_BENCH_PEAK(avx2);
ATTUNE_BENCH_PEAK(avx512);

double bench_now(void); /* seconds, monotonic */

#endif
