/* bench_cpu.c - the network on one thread of the CPU, beside the machine's own limit.
 *
 *   bench_cpu [MODEL.onnx]     (without: $ATTUNE_MODEL, else random parameters)
 *
 * Prints, for every instruction set of this machine: the rates of multiply-adds and exact GELUs,
 * the floor they put under 30 s of audio, and the medians of the two stages, the sequence stage
 * also for several tracks at once, per track, as a job takes them; "all" is with eight. All are
 * measured by turns in one run, so the ratios hold although a machine's speed drifts. */
#include "bench/bench.h"
#include "bench/bench_peak.h"
#include "kernels/kernels.h"

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

/* Seconds per track of the sequence stage for `count` tracks of F frames. */
static double measure_sequence(const attune_kernels *kernels, void *context, const float *features,
                               float *embedding, uint32_t count, int F)
{
    attune_segment segments[ATTUNE_SLOTS];
    const double start = bench_seconds();
    for (uint32_t i = 0; i < count; i++) {
        segments[i] = (attune_segment){.slot = i, .count = (uint32_t)F};
        kernels->begin(context, i);
    }
    kernels->sequence(context, features, segments, count);
    for (uint32_t i = 0; i < count; i++) {
        kernels->finish(context, embedding, i);
    }
    return (bench_seconds() - start) / count;
}

static int measure(const attune_kernels *kernels, const attune_model *model, double fma_rate,
                   double gelu_rate)
{
    const attune_network *n = attune_model_network(model);
    const int F = SECONDS * n->sample_rate / n->frame_size, chunk = ATTUNE_FRAMES_PER_CALL;
    float *pcm = malloc(sizeof(float) * (size_t)F * n->frame_size);
    float *features = malloc(sizeof(float) * (size_t)F * n->features);
    float *embedding = malloc(sizeof(float) * (size_t)n->embedding);
    void *context = NULL;
    int code = 1;
    if (!pcm || !features || !embedding || kernels->open(&context, model) != ATTUNE_OK) {
        fprintf(stderr, "bench_cpu: %s\n", attune_last_error());
        goto done;
    }
    for (int i = 0; i < F * n->frame_size; i++) {
        pcm[i] = (float)(0.3 * sin(i * 0.05) + 0.2 * sin(i * 0.31 + 1) * sin(i * 1e-4));
    }
    double front[REPEATS], sequence[GROUPS][REPEATS];
    for (int r = 0; r < REPEATS; r++) {
        const double start = bench_seconds();
        for (int f = 0; f < F; f += chunk) {
            kernels->frontend(context, features + (size_t)f * n->features,
                              pcm + (size_t)f * n->frame_size, F - f < chunk ? F - f : chunk);
        }
        front[r] = bench_seconds() - start;
        for (int g = 0; g < GROUPS; g++) {
            sequence[g][r] = measure_sequence(kernels, context, features, embedding, groups[g], F);
        }
    }
    double products = 0, gelus = 0;
    work_per_frame(n, &products, &gelus);
    const double floor_ms = 1e3 * F * (products / fma_rate + gelus / gelu_rate);
    const double f = 1e3 * bench_median(front, REPEATS);
    printf("%-9s %8.1f %8.2f %9.2f %9.2f", kernels->detail, 2e-9 * fma_rate, 1e-9 * gelu_rate,
           floor_ms, f);
    double s = 0;
    for (int g = 0; g < GROUPS; g++) {
        s = 1e3 * bench_median(sequence[g], REPEATS);
        printf(" %9.2f", s);
    }
    printf(" %9.2f %8.2f\n", f + s, (f + s) / floor_ms);
    code = 0;
done:
    kernels->close(context);
    free(pcm);
    free(features);
    free(embedding);
    return code;
}

int main(int argc, char **argv)
{
    const bench_peak *const sets[] = {
        &bench_peak_baseline,
#ifdef ATTUNE_HAVE_avx512
        &bench_peak_avx2,
        &bench_peak_avx512,
#endif
    };
    const char *path = argc > 1 ? argv[1] : getenv("ATTUNE_MODEL");
    attune_model *model = bench_model(path);
    int code = 0;
    printf("one thread, %d s of audio, medians of %d\n", SECONDS, REPEATS);
    printf("%-9s %8s %8s %9s %9s %9s %9s %9s %9s %9s %8s\n", "", "GFLOP/s", "GGELU/s", "floor ms",
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
