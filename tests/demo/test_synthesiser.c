/* test_synthesiser.c - music that is the same every time, in tune, and unlike other music. */
#include "demo/instrument.h"
#include "demo/synthesiser.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RATE = 22050, COUNT = 6 * RATE };

static float *synthesise(int style, uint32_t artist, uint32_t album, uint32_t number, uint64_t seed)
{
    const attune_demo_track track = {seed, style, artist, album, number};
    float *samples = malloc(COUNT * sizeof(*samples));
    cr_assert_not_null(samples);
    memset(samples, 0xff, COUNT * sizeof(*samples)); /* NaN: everything is written */
    cr_assert_eq(attune_demo_synthesise(samples, COUNT, RATE, &track), ATTUNE_OK);
    return samples;
}

Test(synthesiser, same_seed_same_bits)
{
    for (int style = 0; style < ATTUNE_DEMO_STYLES; style++) {
        float *one = synthesise(style, 1, 2, 3, 4), *two = synthesise(style, 1, 2, 3, 4);
        cr_assert_eq(memcmp(one, two, COUNT * sizeof(*one)), 0, "style %d", style);
        /* what is heard first does not depend on how much is */
        const attune_demo_track track = {4, style, 1, 2, 3};
        cr_assert_eq(attune_demo_synthesise(two, 0, RATE, &track), ATTUNE_OK);
        double power = 0;
        for (int i = 0; i < COUNT; i++) {
            cr_assert(fabsf(one[i]) <= 1, "style %d, sample %d: %g", style, i, (double)one[i]);
            power += (double)one[i] * (double)one[i];
        }
        cr_assert_gt(sqrt(power / COUNT), 0.01, "style %d is silent", style);
        free(one);
        free(two);
    }
}

Test(synthesiser, everything_that_is_told_apart_differs)
{
    float *made[6] = {synthesise(0, 1, 2, 3, 4), synthesise(1, 1, 2, 3, 4),
                      synthesise(0, 2, 2, 3, 4), synthesise(0, 1, 3, 3, 4),
                      synthesise(0, 1, 2, 4, 4), synthesise(0, 1, 2, 3, 5)};
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < i; j++) {
            cr_assert_neq(memcmp(made[i], made[j], COUNT * sizeof(float)), 0, "%d and %d", i, j);
        }
    }
    for (int i = 0; i < 6; i++) {
        free(made[i]);
    }
    for (int style = 1; style < ATTUNE_DEMO_STYLES; style++) {
        cr_assert_lt(strcmp(attune_demo_style_name(style - 1), attune_demo_style_name(style)), 0);
    }
}

/* How much of `samples` is a sine of `frequency`: 1 for it alone. */
static double share_of(const float *samples, int count, double frequency)
{
    double real = 0, imaginary = 0, power = 0;
    for (int i = 0; i < count; i++) {
        const double x = (double)samples[i], turn = 6.283185307179586 * frequency * i / RATE;
        real += x * cos(turn);
        imaginary += x * sin(turn);
        power += x * x;
    }
    return 2 * (real * real + imaginary * imaginary) / (count * power);
}

/* Every kind of wave has its power at multiples of the note, and not a semitone beside it. */
Test(synthesiser, notes_are_in_tune)
{
    static const attune_wave waves[] = {ATTUNE_WAVE_SAW, ATTUNE_WAVE_SQUARE, ATTUNE_WAVE_ORGAN,
                                        ATTUNE_WAVE_FM,  ATTUNE_WAVE_BREATH, ATTUNE_WAVE_PLUCK};
    static const int pitches[] = {36, 52, 69, 81};
    for (size_t w = 0; w < sizeof(waves) / sizeof(*waves); w++) {
        for (size_t p = 0; p < sizeof(pitches) / sizeof(*pitches); p++) {
            const attune_instrument instrument = {waves[w], .decay = 5, .sustain = 1,
                                                  .bright = 0.5f, .ratio = 1};
            float samples[RATE] = {0};
            attune_bus bus = {samples, RATE, RATE, {1}};
            attune_play_note(&bus, &instrument, 0, 2, pitches[p], 0.5f);
            const double note = 440 * exp2((pitches[p] - 69) / 12.0);
            double in_tune = 0, beside = 0;
            for (int harmonic = 1; harmonic <= 4; harmonic++) {
                in_tune += share_of(samples, RATE, harmonic * note);
                beside += share_of(samples, RATE, harmonic * note * exp2(1 / 12.0));
            }
            cr_assert(in_tune > 0.02 && beside < 0.05 * in_tune,
                      "wave %zu, pitch %d: %g in tune, %g a semitone off", w, pitches[p], in_tune,
                      beside);
        }
    }
}

/* Notes and strokes before the beginning and beyond the end, and of no length. */
Test(synthesiser, stays_within_its_samples)
{
    float samples[1002] = {0};
    attune_bus bus = {samples + 1, 1000, RATE, {1}};
    const attune_drum drum = {50, 5, 1, 0.1f, 0.5f, 0.1f, 1000};
    for (int wave = ATTUNE_WAVE_SAW; wave <= ATTUNE_WAVE_PLUCK; wave++) {
        const attune_instrument instrument = {(attune_wave)wave, 0, .decay = 1, .bright = 1};
        float high[100] = {0}, silence[100] = {0};
        attune_bus too_high = {high, 100, RATE, {1}};
        attune_play_note(&too_high, &instrument, 0, 1, 120, 1); /* 8.4 kHz */
        cr_assert_eq(memcmp(high, silence, sizeof(high)), 0, "wave %d", wave);
        for (int start = -1; start <= 1; start++) {
            for (int pitch = -40; pitch <= 160; pitch += 20) {
                attune_play_note(&bus, &instrument, start * 0.04, 0, pitch, 1);
                attune_play_note(&bus, &instrument, start * 0.04, 1e3, pitch, 1);
            }
            attune_play_drum(&bus, &drum, start * 0.04, 1);
        }
    }
    for (int i = 0; i < 1002; i++) {
        cr_assert(isfinite(samples[i]), "sample %d", i - 1);
    }
    cr_assert(samples[0] == 0 && samples[1001] == 0);
}
