/* bench_cpu.c - the network on one thread of the CPU, beside the machine's own limit.
 *
 *   bench_cpu [MODEL.onnx]     (without: $ATTUNE_MODEL, else random parameters)
 *
 * Prints, for every instruction set of this machine: the rates of multiply-adds and exact GELUs,
 * the floor they put under 30 s of audio in precision exact, and in both precisions the medians of
 * the two stages, the sequence stage also for several tracks at once, per track, as a job takes
 * them; "all" is with eight. All are measured by turns in one run, so the ratios hold although a
 * machine's speed drifts. */
#include "bench/bench.h"
#include "bench/bench_peak.h"
#include "kernels/kernels.h"
#include "status/machine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SECONDS = 30, REPEATS = 31, GROUPS = 4 };

static const uint32_t groups[GROUPS] = {1, 2, 4, 8}; /* tracks at once */

/* Multiply-adds and GELUs of one frame with its share of GRU and attention. */
static void work_per_frame(const attune_network *n, double *products, double *gelus)
{
    const double N = n->frame_size, H = n->hidden;
    if (n->architecture == ATTUNE_ARCHITECTURE_TINY) {
        *gelus = N / 2 + 32 * N / 2 + 32 * N / 4 + 64 * N / 4;
        *products = 5 * N / 2 + 32 * N / 2 + 5 * 32 * N / 4 + 32 * 64 * N / 4;
    } else {
        *gelus = 0;
        *products = 7 * 64 * N / 2 + 5 * 64 * 128 * N / 8;
    }
    for (int l = 0; l < n->layers; l++) {
        *products += 3 * H * (H + (l == 0 ? n->features : H));
    }
    *products += (double)n->attention * (H + 1);
}

enum { EXACT, FAST, PRECISIONS };

/* Medians to be. */
typedef struct timing {
    double front[REPEATS], sequence[GROUPS][REPEATS], all[REPEATS];
} timing;

/* Seconds of the front end for F frames. */
static double measure_frontend(const attune_kernels *kernels, void *context,
                               const attune_network *n, const float *pcm, float *features, int F)
{
    const int chunk = ATTUNE_FRAMES_PER_CALL;
    const double start = attune_seconds();
    for (int f = 0; f < F; f += chunk) {
        kernels->frontend(context, features + (size_t)f * n->features,
                          pcm + (size_t)f * n->frame_size, F - f < chunk ? F - f : chunk);
    }
    return attune_seconds() - start;
}

/* Seconds per track of the sequence stage for `count` tracks of F frames. */
static double measure_sequence(const attune_kernels *kernels, void *context, const float *features,
                               uint32_t count, int F)
{
    attune_segment segments[ATTUNE_SLOTS];
    float embedding[1024];
    const double start = attune_seconds();
    for (uint32_t i = 0; i < count; i++) {
        segments[i] = (attune_segment){.slot = i, .count = (uint32_t)F};
        kernels->begin(context, i);
    }
    kernels->sequence(context, features, segments, count);
    for (uint32_t i = 0; i < count; i++) {
        kernels->finish(context, embedding, i);
    }
    return (attune_seconds() - start) / count;
}

static void print_timing(timing *t, double floor_ms)
{
    const double f = 1e3 * bench_median(t->front, REPEATS);
    double s = 0;
    printf(" %9.2f", f);
    for (int g = 0; g < GROUPS; g++) {
        s = 1e3 * bench_median(t->sequence[g], REPEATS);
        printf(" %9.2f", s);
    }
    printf(" %9.2f %8.2f", f + s, (f + s) / floor_ms);
}

static int measure(const attune_kernels *kernels, const attune_model *model, double fma_rate,
                   double gelu_rate)
{
    const attune_network *n = attune_model_network(model);
    const int F = SECONDS * n->sample_rate / n->frame_size;
    float *pcm = malloc(sizeof(float) * (size_t)F * n->frame_size);
    float *features = malloc(sizeof(float) * (size_t)F * n->features);
    void *context[PRECISIONS] = {NULL, NULL};
    int code = 1;
    if (!pcm || !features ||
        kernels->open(&context[EXACT], model, ATTUNE_PRECISION_EXACT) != ATTUNE_OK ||
        kernels->open(&context[FAST], model, ATTUNE_PRECISION_FAST) != ATTUNE_OK) {
        fprintf(stderr, "bench_cpu: %s\n", attune_last_error());
        goto done;
    }
    for (int i = 0; i < F * n->frame_size; i++) {
        pcm[i] = (float)(0.3 * sin(i * 0.05) + 0.2 * sin(i * 0.31 + 1) * sin(i * 1e-4));
    }
    static timing timings[PRECISIONS];
    double ratio[REPEATS];
    for (int r = 0; r < REPEATS; r++) {
        for (int p = 0; p < PRECISIONS; p++) {
            timing *t = &timings[p];
            t->front[r] = measure_frontend(kernels, context[p], n, pcm, features, F);
            for (int g = 0; g < GROUPS; g++) {
                t->sequence[g][r] = measure_sequence(kernels, context[p], features, groups[g], F);
            }
            t->all[r] = t->front[r] + t->sequence[GROUPS - 1][r];
        }
        ratio[r] = timings[EXACT].all[r] / timings[FAST].all[r];
    }
    double products = 0, gelus = 0;
    work_per_frame(n, &products, &gelus);
    const double floor_ms = 1e3 * F * (products / fma_rate + gelus / gelu_rate);
    for (int p = 0; p < PRECISIONS; p++) {
        printf("%-11s%-6s %8.1f %8.2f %9.2f", kernels->detail, p == EXACT ? "exact" : "fast",
               2e-9 * fma_rate, 1e-9 * gelu_rate, floor_ms);
        print_timing(&timings[p], floor_ms);
        if (p == FAST) {
            printf("  %.2f times as fast", bench_median(ratio, REPEATS));
        }
        printf("\n");
    }
    code = 0;
done:
    for (int p = 0; p < PRECISIONS; p++) {
        kernels->close(context[p]);
    }
    free(pcm);
    free(features);
    return code;
}

int main(int argc, char **argv)
{
    const bench_peak *const sets[] = {
        &bench_peak_baseline,
#ifdef ATTUNE_HAVE_avx512
        &bench_peak_avx2,
        &bench_peak_avx512,
        &bench_peak_avx512amd,
#endif
    };
    const char *path = argc > 1 ? argv[1] : getenv("ATTUNE_MODEL");
    attune_model *model = bench_model(path);
    int code = 0;
    printf("one thread, %d s of audio, medians of %d\n", SECONDS, REPEATS);
    printf("%-17s %8s %8s %9s %9s %9s %9s %9s %9s %9s %8s\n", "", "GFLOP/s", "GGELU/s", "floor ms",
           "frontend", "sequence", "2 tracks", "4 tracks", "8 tracks", "all ms", "/ floor");
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        const attune_kernels *kernels = attune_kernels_cpu_named(sets[i]->isa);
        if (kernels) {
            code |= measure(kernels, model, sets[i]->fma(), sets[i]->gelu());
        }
    }
    attune_model_close(model);
    return code;
}
