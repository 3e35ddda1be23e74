/* bench_peak.h - the rates of one instruction set on this machine, one thread. */
#ifndef ATTUNE_BENCH_PEAK_H
#define ATTUNE_BENCH_PEAK_H

typedef struct bench_peak {
    const char *isa;
    double (*fma)(void);  /* multiply-adds per second, from registers */
    double (*gelu)(void); /* exact GELUs per second, in and out of L1 */
} bench_peak;

extern const bench_peak bench_peak_baseline, bench_peak_avx2, bench_peak_avx512,
    bench_peak_avx512amd;

#endif
