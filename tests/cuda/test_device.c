/* test_device.c - a real CUDA device behind the batch table: against the double-precision network
 * and the CPU, and the same bits in any company. Not yet run on a GPU. */
#include "kernels/kernels.h"
#include "tests/cuda/driver.h"
#include "tests/reference/reference.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require_device(void)
{
    driver_kernels = attune_kernels_cuda();
    require_cuda_device();
}

enum { FRAMES = 70 };

/* Embeddings have length 1, so errors are absolute. 1e-5 and 5e-4 are what the precisions promise.
 */
static void check_shape(int index)
{
    const attune_network n = reference_shape(index);
    attune_model *model = reference_model(&n, 100 + (uint64_t)index);
    const size_t samples = (size_t)(FRAMES - 1) * (size_t)n.hop_size + (size_t)n.frame_size;
    float *pcm = driver_noise(samples, 7);
    double *expected = malloc((size_t)n.embedding * sizeof(double));
    float *got = malloc((size_t)n.embedding * sizeof(float));
    float *again = malloc((size_t)n.embedding * sizeof(float));
    cr_assert(expected && got && again);
    reference_embed(expected, model, pcm, samples);
    for (int p = 0; p < 2; p++) {
        const attune_precision precision = p ? ATTUNE_PRECISION_FAST : ATTUNE_PRECISION_EXACT;
        static const uint32_t batches[] = {FRAMES, 1, 7, 33};
        const driver_track t = {pcm, samples};
        driver d;
        driver_open(&d, model, precision, FRAMES, FRAMES, 4);
        driver_embed(&d, got, &t, 1);
        const double error = driver_worst(got, expected, n.embedding);
        printf("shape %d %s: %.3g\n", index, p ? "fast" : "exact", error);
        cr_assert(error < (p ? 5e-4 : 1e-5), "shape %d %s: %g", index, p ? "fast" : "exact", error);
        driver_close(&d);
        for (size_t b = 0; b < sizeof(batches) / sizeof(batches[0]);
             b++) { /* the same bits however cut */
            driver_open(&d, model, precision, batches[b], b % 2 ? 40 : 90, 4);
            driver_embed(&d, again, &t, 1);
            cr_assert_eq(memcmp(got, again, (size_t)n.embedding * sizeof(float)), 0,
                         "shape %d in batches of %u", index, batches[b]);
            driver_close(&d);
        }
    }
    attune_model_close(model);
    free(pcm);
    free(expected);
    free(got);
    free(again);
}

Test(device, shapes_match_reference)
{
    require_device();
    for (int i = 0; i < REFERENCE_SHAPES; i++) {
        check_shape(i);
    }
}

/* Every kernel once and little work: what gpu_check.sh runs under compute-sanitizer. */
Test(device, little_of_everything)
{
    require_device();
    static const int shapes[] = {0, 4, 5, 7, 10, 11};
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        const attune_network n = reference_shape(shapes[i]);
        attune_model *model = reference_model(&n, 1);
        float *pcm = driver_noise(8 * (size_t)n.frame_size, 7);
        float *got = malloc(3 * (size_t)n.embedding * sizeof(float));
        cr_assert_not_null(got);
        for (int p = 0; p < 2; p++) {
            const driver_track tracks[3] = {{pcm, 8 * (size_t)n.frame_size},
                                            {pcm, 3 * (size_t)n.frame_size},
                                            {pcm, (size_t)n.frame_size}};
            driver d;
            driver_open(&d, model, p ? ATTUNE_PRECISION_FAST : ATTUNE_PRECISION_EXACT, 5, 7, 3);
            driver_embed(&d, got, tracks, 3);
            for (int e = 0; e < 3 * n.embedding; e++) {
                cr_assert(isfinite(got[e]));
            }
            driver_close(&d);
        }
        attune_model_close(model);
        free(pcm);
        free(got);
    }
}

enum { E = 32, SECOND = 22050 };

/* The published shape and long tracks against the CPU, which is within 1e-6 of the reference. */
Test(device, long_tracks_match_cpu)
{
    require_device();
    static const size_t seconds[] = {1, 30, 240, 1200};
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 3);
    float *pcm = driver_noise(seconds[3] * SECOND, 5), got[4 * E], expected[E], features[64 * 64];
    const attune_kernels *cpu = NULL;
    void *context = NULL;
    driver_track tracks[4];
    driver d;
    driver_check(attune_kernels_cpu(&cpu));
    driver_check(cpu->open(&context, model, ATTUNE_PRECISION_EXACT));
    for (int i = 0; i < 4; i++) {
        tracks[i] = (driver_track){pcm, seconds[i] * SECOND};
    }
    driver_open(&d, model, ATTUNE_PRECISION_EXACT, 1000, 3000, 8);
    driver_embed(&d, got, tracks, 4);
    for (int i = 0; i < 4; i++) {
        double wide[E];
        const int F = (int)attune_network_frames(&n, tracks[i].samples);
        cpu->begin(context, 0);
        for (int f = 0; f < F; f += 64) {
            const int count = F - f < 64 ? F - f : 64;
            driver_check(cpu->frontend(context, features, pcm + (size_t)f * 2048, count));
            const attune_segment all = {.count = (uint32_t)count};
            driver_check(cpu->sequence(context, features, &all, 1));
        }
        driver_check(cpu->finish(context, expected, 0));
        for (int e = 0; e < E; e++) {
            wide[e] = (double)expected[e];
        }
        const double error = driver_worst(got + (size_t)i * E, wide, E);
        printf("%d frames: %.3g\n", F, error);
        cr_assert(error < 1e-5, "%d frames: %g", F, error);
    }
    cpu->close(context);
    driver_close(&d);
    attune_model_close(model);
    free(pcm);
}

/* One track alone and among 1, 100 and 5,000 others of all lengths, first, last and in the middle.
 */
static void check_company(attune_precision precision)
{
    enum { OTHERS = 5000, POOL = 1 << 23 };
    static const uint32_t others[] = {0, 1, 100, OTHERS};
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 3);
    float *pool = driver_noise(POOL, 11), alone[E];
    float *embeddings = malloc((OTHERS + 1) * E * sizeof(float));
    driver_track *tracks = malloc((OTHERS + 1) * sizeof(*tracks));
    cr_assert(embeddings && tracks);
    const driver_track target = {pool + 12345, 30 * SECOND};
    driver d;
    driver_open(&d, model, precision, 2048, 16384, OTHERS + 1);
    driver_embed(&d, alone, &target, 1);
    for (size_t c = 0; c < sizeof(others) / sizeof(others[0]); c++) {
        const uint32_t places[] = {0, others[c], others[c] / 2};
        for (int place = 0; place < 3; place++) {
            uint64_t seed = c * 3 + (uint64_t)place;
            for (uint32_t i = 0; i <= others[c]; i++) { /* 0.1 to 4 s, now and then a minute */
                const uint64_t bits = random_bits(&seed);
                const size_t samples = bits % 100 == 0 ? 60 * SECOND : 2205 + bits % (4 * SECOND);
                tracks[i] = (driver_track){pool + (bits >> 32) % (POOL - 60 * SECOND), samples};
            }
            tracks[places[place]] = target;
            driver_embed(&d, embeddings, tracks, others[c] + 1);
            cr_assert_eq(memcmp(alone, embeddings + (size_t)places[place] * E, sizeof(alone)), 0,
                         "among %u others, at %u", others[c], places[place]);
        }
    }
    driver_close(&d);
    attune_model_close(model);
    free(pool);
    free(embeddings);
    free(tracks);
}

Test(device, same_bits_in_any_company)
{
    require_device();
    check_company(ATTUNE_PRECISION_EXACT);
    check_company(ATTUNE_PRECISION_FAST);
}

Test(device, memory_is_bounded)
{
    require_device();
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 3);
    attune_batch_options options = {.pcm_samples = 1u << 20,
                                    .pcm_frames = 512,
                                    .feature_rows = UINT32_MAX,
                                    .segments = 1u << 20,
                                    .slots = 1u << 20};
    void *context = NULL;
    size_t before = 0, during = 0, after = 0;
    cr_assert_eq(driver_kernels->open(&context, model, &options), ATTUNE_ENOMEM);
    cr_assert_null(context);
    printf("%s\n", attune_last_error());
    options.feature_rows = 1u << 16;
    options.segments = options.slots = 4096;
    driver_check(driver_kernels->open(&context, model, &options)); /* loads what CUDA loads once */
    driver_kernels->close(context);
    driver_check(driver_kernels->memory_free(0, &before));
    driver_check(driver_kernels->open(&context, model, &options));
    driver_check(driver_kernels->memory_free(0, &during));
    driver_kernels->close(context);
    driver_check(driver_kernels->memory_free(0, &after));
    const size_t needed = driver_kernels->memory_needed(&n, &options);
    printf("needed %zu, taken %zu, not given back %zu\n", needed, before - during, before - after);
    cr_assert_leq(before - during,
                  needed + ((size_t)8 << 20));        /* streams and events take a little */
    cr_assert_leq(before, after + ((size_t)8 << 20)); /* others may have given some back */
    attune_model_close(model);
}

typedef struct thread_work {
    const attune_model *model;
    const driver_track *tracks;
    float embeddings[64 * E];
    int ordinal;
} thread_work;

static void *run_thread(void *argument)
{
    thread_work *w = argument;
    driver d;
    driver_open(&d, w->model, ATTUNE_PRECISION_EXACT, 256, 1024, 64);
    for (int i = 0; i < 5; i++) {
        driver_embed(&d, w->embeddings, w->tracks, 64);
    }
    cr_assert_gt(driver_kernels->busy_seconds(d.context), 0);
    driver_close(&d);
    return NULL;
}

Test(device, several_contexts)
{
    require_device();
    enum { THREADS = 3 };
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 3);
    float *pcm = driver_noise(10 * SECOND, 9);
    static thread_work work[THREADS];
    driver_track tracks[64];
    pthread_t threads[THREADS];
    for (size_t i = 0; i < 64; i++) {
        tracks[i] = (driver_track){pcm, 2048 + i * 3000};
    }
    for (int t = 0; t < THREADS; t++) {
        work[t] = (thread_work){.model = model, .tracks = tracks};
        cr_assert_eq(pthread_create(&threads[t], NULL, run_thread, &work[t]), 0);
    }
    for (int t = 0; t < THREADS; t++) {
        pthread_join(threads[t], NULL);
        cr_assert_eq(memcmp(work[0].embeddings, work[t].embeddings, sizeof(work[0].embeddings)), 0);
    }
    attune_model_close(model);
    free(pcm);
}
