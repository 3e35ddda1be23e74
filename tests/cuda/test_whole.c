/* test_whole.c - the CUDA device whole, without a device: its host side, the packed weights and the
 * kernels' own source in emulation, under the stand-in runtime, against the double-precision
 * network. Few frames, for emulation is slow. */
#include "tests/cuda/driver.h"
#include "tests/cuda/stand_in.h"
#include "tests/reference/reference.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRACKS = 3, FRAMES = 7, E_MAX = 128 };

/* Three tracks at once; then one of them alone, cut elsewhere: the same bits. Embeddings have
 * length 1; f32 throughout is good for 1e-6, and 5e-4 is what `fast` promises. */
static void check_shape(int index, attune_precision precision)
{
    const attune_network n = reference_shape(index);
    const size_t N = (size_t)n.frame_size, hop = (size_t)n.hop_size;
    const double bound = precision == ATTUNE_PRECISION_EXACT ? 1e-6 : 5e-4;
    attune_model *model = reference_model(&n, 50 + (uint64_t)index);
    float *pcm = driver_noise(N + FRAMES * hop, 3), got[TRACKS * E_MAX], alone[E_MAX];
    double expected[E_MAX];
    const driver_track tracks[TRACKS] = {
        {pcm, N + 2 * hop}, {pcm + hop, N + (FRAMES - 2) * hop}, {pcm + 5, N}};
    driver d;
    driver_open(&d, model, precision, 4, 6, TRACKS);
    driver_embed(&d, got, tracks, TRACKS);
    driver_close(&d);
    for (int t = 0; t < TRACKS; t++) {
        reference_embed(expected, model, tracks[t].pcm, tracks[t].samples);
        const double error = driver_worst(got + t * n.embedding, expected, n.embedding);
        printf("shape %d %s track %d: %.3g\n", index, bound < 1e-4 ? "exact" : "fast", t, error);
        cr_assert(error < bound, "shape %d track %d: %g", index, t, error);
    }
    driver_open(&d, model, precision, 3, 20, 1);
    driver_embed(&d, alone, &tracks[1], 1);
    driver_close(&d);
    cr_assert_eq(memcmp(alone, got + n.embedding, (size_t)n.embedding * sizeof(float)), 0);
    cr_assert_eq(machine.live, 0);
    attune_model_close(model);
    free(pcm);
}

static void check_shapes(attune_precision precision)
{
    driver_kernels = attune_kernels_cuda();
    stand_in_reset(1);
    machine.is_eager = true;
    /* tests/emulate has them all; these differ in what passes between host and kernels */
    static const int shapes[] = {0, 3, 5, 6, 7, 10};
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        check_shape(shapes[i], precision);
    }
}

Test(whole, exact_matches_reference, .timeout = 240)
{
    check_shapes(ATTUNE_PRECISION_EXACT);
}

Test(whole, fast_matches_reference, .timeout = 240)
{
    check_shapes(ATTUNE_PRECISION_FAST);
}
