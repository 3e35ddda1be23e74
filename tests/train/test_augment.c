/* test_augment.c - each effect does to sines and clicks what its formula says, and nothing else. */
#include "train/augment.h"

#include "tests/support/support.h"
#include "tests/train/audio_tree.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT = 40000 };
#define RATE 22050.0

static const attune_augmentation neutral = {.tempo = 1, .speed = 1, .noise = INFINITY};

static float *room(size_t count)
{
    float *samples = malloc(count * sizeof(float));
    cr_assert_not_null(samples);
    return samples;
}

/* `a` applied to samples of a wave; malloc'ed. Behind what it may read, and where it writes, stands
 * NaN.
 */
static float *apply(const attune_augmentation *a, double (*wave)(double time, double frequency),
                    double frequency)
{
    const size_t needed = attune_augment_source(a, COUNT);
    float *source = room(needed + 64), *out = room(COUNT + 1), *again = room(COUNT);
    float *scratch = room(attune_augment_scratch(COUNT) + 1);
    for (size_t i = 0; i < needed; i++) {
        source[i] = (float)wave((double)i / RATE, frequency);
    }
    for (size_t i = 0; i < 64; i++) {
        source[needed + i] = NAN;
    }
    for (size_t i = 0; i <= attune_augment_scratch(COUNT); i++) {
        scratch[i] = NAN;
    }
    out[COUNT] = 77;
    scratch[attune_augment_scratch(COUNT)] = 77;
    cr_assert_eq(attune_augment_apply(out, source, scratch, COUNT, a), ATTUNE_OK);
    cr_assert_eq(out[COUNT], 77.0f);
    cr_assert_eq(scratch[attune_augment_scratch(COUNT)], 77.0f);
    for (size_t i = 0; i < COUNT; i++) {
        cr_assert(isfinite(out[i]), "sample %zu is %g", i, (double)out[i]);
    }
    cr_assert_eq(attune_augment_apply(again, source, scratch, COUNT, a), ATTUNE_OK);
    cr_assert_arr_eq(out, again, COUNT * sizeof(*out), "the same numbers give other samples");
    free(source);
    free(scratch);
    free(again);
    return out;
}

static double sine(double time, double frequency)
{
    return 0.5 * sin(2 * M_PI * frequency * time);
}

static double silence(double time, double frequency)
{
    (void)time;
    (void)frequency;
    return 0;
}

/* A sine whose loudness says where it is: it swells and ends with the second. */
static double swelling(double time, double frequency)
{
    return (time - floor(time)) * sine(time, frequency);
}

/* The amplitude of a frequency in samples first to last, by projection. */
static double amplitude(const float *samples, size_t first, size_t last, double frequency)
{
    double re = 0, im = 0;
    for (size_t i = first; i < last; i++) {
        const double angle = 2 * M_PI * frequency * (double)i / RATE;
        const double window = 1 - cos(2 * M_PI * (double)(i - first) / (double)(last - first));
        re += window * (double)samples[i] * cos(angle);
        im += window * (double)samples[i] * sin(angle);
    }
    return 2 * hypot(re, im) / (double)(last - first);
}

static double power(const float *samples, size_t first, size_t last)
{
    double sum = 0;
    for (size_t i = first; i < last; i++) {
        sum += (double)samples[i] * (double)samples[i];
    }
    return sum / (double)(last - first);
}

Test(augment, nothing_drawn_changes_nothing)
{
    const attune_augmentation a = neutral;
    cr_assert_eq(attune_augment_source(&a, COUNT), COUNT);
    float *out = apply(&a, sine, 440);
    for (size_t i = 0; i < COUNT; i++) {
        cr_assert_eq(out[i], (float)sine((double)i / RATE, 440));
    }
    free(out);
}

/* Sample i is the source's at i · speed: a sine is known there without any filter. */
Test(augment, speed_is_the_source_read_faster)
{
    static const float speeds[] = {0.5f, 0.9f, 0.97f, 1.0001f, 1.1f, 1.5f, 2};
    static const double frequencies[] = {55, 440, 3000};
    for (size_t s = 0; s < sizeof(speeds) / sizeof(*speeds); s++) {
        for (size_t f = 0; f < sizeof(frequencies) / sizeof(*frequencies); f++) {
            const attune_augmentation a = {.tempo = 1, .noise = INFINITY, .speed = speeds[s]};
            float *out = apply(&a, sine, frequencies[f]);
            double worst = 0;
            for (size_t i = 100; i + 100 < COUNT; i++) {
                const double want = sine((double)i * (double)speeds[s] / RATE, frequencies[f]);
                worst = fmax(worst, fabs((double)out[i] - want));
            }
            /* the window's ripple is -70 dB, of 0.5 */
            cr_assert(worst < 2e-4, "speed %g, %g Hz: %g", (double)speeds[s], frequencies[f],
                      worst);
            free(out);
        }
    }
}

/* What would be above half the rate is gone, and does not come back as something else. */
Test(augment, speed_does_not_alias)
{
    const attune_augmentation a = {.tempo = 1, .noise = INFINITY, .speed = 1.6f};
    float *out = apply(&a, sine, 8000); /* to 12,800 Hz, beyond 11,025 */
    cr_assert(sqrt(power(out, 100, COUNT - 100)) < 5e-4, "%g", sqrt(power(out, 100, COUNT - 100)));
    free(out);
}

Test(augment, tempo_keeps_the_pitch_and_moves_what_is_played)
{
    static const float tempos[] = {0.5f, 0.8f, 1.25f, 2};
    for (size_t t = 0; t < sizeof(tempos) / sizeof(*tempos); t++) {
        const double ratio = (double)tempos[t];
        const attune_augmentation a = {.speed = 1, .noise = INFINITY, .tempo = tempos[t]};
        float *out = apply(&a, sine, 440);
        const double kept = amplitude(out, 2000, COUNT - 2000, 440);
        const double moved = amplitude(out, 2000, COUNT - 2000, 440 * ratio);
        cr_assert(kept > 0.48 && moved < 0.02, "tempo %g: %g at 440 Hz, %g at %g Hz", ratio, kept,
                  moved, 440 * ratio);
        free(out);
        /* Loudness at i must be the source's at i · tempo, to within the search and a block. */
        out = apply(&a, swelling, 440);
        for (size_t i = 2000; i + 2000 < COUNT; i += 100) {
            const double time = (double)i * ratio / RATE;
            const double want = 0.5 * (time - floor(time));
            const double got = sqrt(2 * power(out, i - 200, i + 200));
            if (time - floor(time) > 0.1 && time - floor(time) < 0.9) {
                cr_assert(fabs(got - want) < 0.03, "tempo %g, %g s: %g, not %g", ratio, time, got,
                          want);
            }
        }
        free(out);
    }
}

Test(augment, tempo_and_speed_together_shift_the_pitch)
{
    const attune_augmentation a = {.noise = INFINITY, .tempo = 0.8f, .speed = 1.25f};
    float *out = apply(&a, sine, 1000);
    cr_assert(amplitude(out, 2000, COUNT - 2000, 1250) > 0.48);
    free(out);
    out = apply(&a, swelling, 1000);
    const double got = sqrt(2 * power(out, 10825, 11225)); /* half a second, where it was */
    cr_assert(fabs(got - 0.25) < 0.03, "%g", got);
    free(out);
}

/* A peak has its gain at its centre, a shelf far on its side, half of it in dB at its corner, and
 * none on the other side. */
Test(augment, equaliser_has_its_gains)
{
    static const struct {
        int band;
        double centre, frequency, share; /* of the gain in dB */
    } cases[] = {
        {0, 200, 10, 1},      {0, 200, 200, 0.5}, {0, 200, 8000, 0}, {1, 700, 700, 1},
        {1, 700, 8, 0},       {2, 3000, 3000, 1}, {2, 3000, 40, 0},  {3, 4000, 10900, 1},
        {3, 4000, 4000, 0.5}, {3, 4000, 30, 0},
    };
    for (size_t c = 0; c < sizeof(cases) / sizeof(*cases); c++) {
        for (double gain = -12; gain <= 12; gain += 8) {
            attune_augmentation a = neutral;
            a.band_gain[cases[c].band] = (float)gain;
            a.band_frequency[cases[c].band] = (float)cases[c].centre;
            float *out = apply(&a, sine, cases[c].frequency);
            /* Whole periods: projection is then exact however low the frequency. */
            const size_t last = 8000 + (size_t)lround(floor(30000 * cases[c].frequency / RATE) *
                                                      RATE / cases[c].frequency);
            const double got = 20 * log10(amplitude(out, 8000, last, cases[c].frequency) / 0.5);
            cr_assert(fabs(got - cases[c].share * gain) < 0.1,
                      "band %d at %g Hz: %g dB of %g dB at %g Hz", cases[c].band, cases[c].centre,
                      got, gain, cases[c].frequency);
            free(out);
        }
    }
}

Test(augment, noise_has_its_distance_from_the_signal)
{
    for (int pink = 0; pink < 2; pink++) {
        for (float snr = 0; snr <= 40; snr += 20) {
            const attune_augmentation a = {
                .tempo = 1, .speed = 1, .noise = snr, .pink = pink, .noise_seed = 5};
            float *out = apply(&a, sine, 441);
            for (size_t i = 0; i < COUNT; i++) {
                out[i] -= (float)sine((double)i / RATE, 441);
            }
            const double got = 10 * log10(0.125 / power(out, 0, COUNT));
            cr_assert(fabs(got - (double)snr) < 0.01, "%g dB, not %g", got, (double)snr);
            /* Over four octaves the power of an octave doubles four times in white noise, and stays
             * in pink: 54 frequencies of each of the two, the upper ones 16 times as far apart. */
            double low = 0, high = 0;
            for (double f = 300; snr == 0 && f < 600; f += RATE / 4000) {
                low += pow(amplitude(out, 0, COUNT, f), 2);
                high += 16 * pow(amplitude(out, 0, COUNT, 16 * f), 2);
            }
            const double octaves = 10 * log10(high / low);
            cr_assert(snr > 0 || fabs(octaves - (pink ? 0 : 12.04)) < 2.5,
                      "pink %d: %g dB over four octaves", pink, octaves);
            free(out);
        }
    }
    const attune_augmentation a = {.tempo = 1, .speed = 1, .noise = 10};
    float *out = apply(&a, silence, 0);
    cr_assert_eq(power(out, 0, COUNT), 0.0, "silence stays silent");
    free(out);
}

Test(augment, gain_multiplies)
{
    const attune_augmentation a = {.tempo = 1, .speed = 1, .noise = INFINITY, .gain = -6.0206f};
    float *out = apply(&a, sine, 441);
    cr_assert(fabs(power(out, 0, COUNT) - 0.03125) < 1e-6, "%g", power(out, 0, COUNT));
    free(out);
}

static const attune_augment_options all = {
    .tempo = {0.5f, 0.9f, 1.1f},
    .speed = {0.25f, 0.95f, 1.05f},
    .equaliser = {0.75f, -6, 6},
    .noise = {1, 20, 40},
    .gain = {0.1f, -6, 3},
};

Test(augment, drawing_keeps_ranges_and_probabilities)
{
    enum { DRAWS = 20000 };
    int tempo = 0, speed = 0, equaliser = 0, noise = 0, gain = 0, pink = 0;
    const size_t most = attune_augment_source_max(&all, 1000);
    for (uint64_t i = 0; i < DRAWS; i++) {
        attune_random random = attune_random_of(7, i), same = random;
        attune_augmentation a, b;
        attune_augment_draw(&a, &all, &random);
        attune_augment_draw(&b, &all, &same);
        cr_assert(a.tempo == b.tempo && a.noise_seed == b.noise_seed && a.gain == b.gain);
        cr_assert(a.tempo == 1 || (a.tempo >= 0.9f && a.tempo <= 1.1f));
        cr_assert(a.speed == 1 || (a.speed >= 0.95f && a.speed <= 1.05f));
        cr_assert(a.noise >= 20 && a.noise <= 40);
        cr_assert(a.gain == 0 || (a.gain >= -6 && a.gain <= 3));
        for (int k = 0; k < ATTUNE_EQUALISER_BANDS; k++) {
            cr_assert(fabsf(a.band_gain[k]) <= 6);
            cr_assert(a.band_frequency[k] >= 60 && a.band_frequency[k] <= 8000);
        }
        cr_assert(attune_augment_source(&a, 1000) <= most);
        tempo += a.tempo != 1;
        speed += a.speed != 1;
        equaliser += a.band_gain[0] != 0;
        noise += a.noise < INFINITY;
        gain += a.gain != 0;
        pink += a.pink;
    }
    /* five standard deviations of the widest, √(20000/4) · 5 */
    const double counted[] = {tempo, speed, equaliser, noise, gain, pink};
    const double expected[] = {0.5, 0.25, 0.75, 1, 0.1, 0.5};
    for (int k = 0; k < 6; k++) {
        cr_assert(fabs(counted[k] - expected[k] * DRAWS) < 354, "%d: %g", k, counted[k]);
    }
}

/* Switching one effect off leaves what is drawn for the others. */
Test(augment, effects_draw_their_own_numbers)
{
    attune_augment_options some = all;
    some.tempo.probability = some.equaliser.probability = 0;
    for (uint64_t i = 0; i < 100; i++) {
        attune_random random = attune_random_of(9, i), same = random;
        attune_augmentation a, b;
        attune_augment_draw(&a, &all, &random);
        attune_augment_draw(&b, &some, &same);
        cr_assert_eq(b.tempo, 1.0f);
        cr_assert_eq(b.band_gain[2], 0.0f);
        cr_assert(a.speed == b.speed && a.noise == b.noise && a.noise_seed == b.noise_seed &&
                  a.gain == b.gain && random.state == same.state);
    }
}

Test(augment, ranges_that_are_none_are_refused)
{
    static const struct {
        attune_augment_options options;
        const char *message; /* NULL: none */
    } cases[] = {
        {{.tempo = {0, 9, 1}}, NULL},
        {{.gain = {1, -60, 60}}, NULL},
        {{.speed = {1, 2, 2}}, NULL},
        {{.tempo = {1.5f, 0.9f, 1.1f}}, "tempo: the probability 1.5"},
        {{.speed = {-1, 0.9f, 1.1f}}, "speed: the probability -1"},
        {{.speed = {NAN, 0.9f, 1.1f}}, "speed: the probability nan"},
        {{.speed = {1, 1.1f, 0.9f}}, "speed: 1.1 to 0.9"},
        {{.tempo = {1, 0.4f, 1}}, "tempo: 0.4 to 1 is no range within 0.5 to 2"},
        {{.noise = {1, 20, NAN}}, "noise: 20 to nan"},
        {{.gain = {1, -100, 0}}, "gain: -100 to 0"},
        {{.equaliser = {1, 0, 100}}, "equaliser: 0 to 100"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const attune_status status = attune_augment_check(&cases[i].options);
        if (cases[i].message) {
            assert_refused(status, ATTUNE_EINVAL, cases[i].message);
        } else {
            assert_ok(status);
        }
    }
}

/* Louder than encoders take, and as at a lower level. */
Test(augment, codecs_keep_what_is_loud)
{
    static const attune_codec codecs[] = {ATTUNE_CODEC_MP3, ATTUNE_CODEC_AAC};
    for (int c = 0; c < 2; c++) {
        if (attune_codec_check(codecs[c]) != ATTUNE_OK) {
            skip_test(attune_last_error());
        }
        attune_augmentation a = neutral;
        a.codec = codecs[c];
        a.bit_rate = 96000;
        a.gain = 12;
        float *out = apply(&a, sine, 440);
        double signal = 0, error = 0;
        for (int i = 3000; i < COUNT - 3000; i++) {
            const double x = pow(10, 12.0 / 20) * sine(i / RATE, 440), d = x - (double)out[i];
            signal += x * x;
            error += d * d;
        }
        cr_assert(10 * log10(signal / error) > 20, "%.1f dB", 10 * log10(signal / error));
        free(out);
    }
}
