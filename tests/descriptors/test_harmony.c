/* test_harmony.c - the way from spectra to harmonies: librosa's filter bank and tuning, and tones
 * whose intervals are known. */
#include "csv/csv.h"
#include "descriptors/chroma.h"
#include "descriptors/descriptors.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

static const double pi = 3.14159265358979323846;

Test(harmony, weights_are_those_of_librosa)
{
    double *weights = malloc(sizeof(double) * ATTUNE_CHROMA_BINS * ATTUNE_PITCHES);
    attune_csv *csv = NULL;
    attune_csv_row row;
    int rows = 0;
    cr_assert_eq(attune_csv_open(&csv, GOLDENS "/chroma_filter.csv"), ATTUNE_OK);
    cr_assert_eq(attune_csv_next(csv, &row), ATTUNE_OK);
    for (; attune_csv_next(csv, &row) == ATTUNE_OK && row.count > 0; rows++) {
        const int bin = atoi(row.fields[1]);
        attune_chroma_weights(weights, strtod(row.fields[0], NULL));
        for (int c = 0; c < ATTUNE_PITCHES; c++) {
            const double wanted = strtod(row.fields[2 + c], NULL);
            const double got = weights[bin * ATTUNE_PITCHES + c];
            cr_assert(fabs(got - wanted) <= 1e-8, "tuning %s, bin %d, pitch %d: %.9g, not %.9g",
                      row.fields[0], bin, c, got, wanted);
        }
    }
    cr_assert_eq(rows, 4 * 14);
    attune_csv_close(csv);
    free(weights);
}

/* One bin at a time through the interpolation. */
Test(harmony, chromas_in_every_tuning_are_interpolated)
{
    static float power[ATTUNE_CHROMA_FOLD][ATTUNE_CHROMA_BINS];
    static attune_chromas chromas[ATTUNE_CHROMA_FOLD];
    static double weights[ATTUNE_TUNINGS][ATTUNE_CHROMA_BINS * ATTUNE_PITCHES];
    double worst = 0;
    attune_chroma_filter_prepare();
    for (int t = 0; t < ATTUNE_TUNINGS; t++) {
        attune_chroma_weights(weights[t], attune_tuning_of(t));
    }
    for (int bin = 0; bin < ATTUNE_CHROMA_BINS; bin += bin < 64 ? 1 : 61) {
        power[1][bin] = 1;
        attune_chroma_fold(chromas, power[0]);
        power[1][bin] = 0;
        for (int t = 0; t < ATTUNE_TUNINGS; t++) {
            for (int c = 0; c < ATTUNE_PITCHES; c++) {
                const double got = (double)chromas[1][c][t];
                const double off = fabs(got - weights[t][bin * ATTUNE_PITCHES + c]);
                worst = off > worst ? off : worst;
                cr_assert_eq(chromas[0][c][t], 0);
            }
        }
    }
    cr_assert_leq(worst, 5e-6, "%g", worst);
}

/* Two seconds of tones (count) of these notes above C, each with a harmonic. */
static float *tones(const int *notes, int count, double tuning)
{
    const int samples = 2 * ATTUNE_DESCRIPTORS_RATE;
    float *signal = calloc((size_t)samples, sizeof(*signal));
    for (int n = 0; n < count; n++) {
        const double hertz = 440 * pow(2, (notes[n] + 60 - 69 + tuning) / 12);
        for (int i = 0; i < samples; i++) {
            const double angle = 2 * pi * hertz * i / ATTUNE_DESCRIPTORS_RATE;
            signal[i] += (float)(0.2 * sin(angle) + 0.05 * sin(2 * angle));
        }
    }
    return signal;
}

static void describe(float out[ATTUNE_DESCRIPTORS], const int *notes, int count, double tuning)
{
    float *signal = tones(notes, count, tuning);
    attune_descriptors *d = NULL;
    cr_assert_eq(attune_descriptors_create(&d, ATTUNE_DESCRIPTORS_RATE), ATTUNE_OK);
    cr_assert_eq(attune_descriptors_begin(d), ATTUNE_OK);
    cr_assert_eq(attune_descriptors_push(d, signal, 2 * ATTUNE_DESCRIPTORS_RATE), ATTUNE_OK);
    cr_assert(attune_descriptors_finish(d, out));
    attune_descriptors_free(d);
    free(signal);
}

/* bliss's tests: the interval that sounds is above 0.9, all others below 0. */
Test(harmony, intervals_are_heard_in_any_tuning)
{
    for (int steps = 1; steps < 12; steps++) {
        float got[ATTUNE_DESCRIPTORS];
        const int sounding = ATTUNE_DESCRIPTOR_MINOR_SECOND + (steps <= 6 ? steps : 12 - steps) - 1;
        describe(got, (const int[]){0, steps}, 2, steps % 3 * 0.31);
        for (int i = ATTUNE_DESCRIPTOR_MINOR_SECOND; i <= ATTUNE_DESCRIPTOR_TRITONE; i++) {
            cr_assert(i == sounding ? got[i] > 0.9f : got[i] < 0, "%d semitones: %s is %g", steps,
                      attune_descriptor_name((attune_descriptor)i), (double)got[i]);
        }
    }
}

/* And of triads: above 0.8. */
Test(harmony, triads_are_heard_on_any_note)
{
    static const int triads[4][2] = {{4, 7}, {3, 7}, {3, 6}, {4, 8}};
    for (int k = 0; k < 8; k++) {
        const int sounding = ATTUNE_DESCRIPTOR_MAJOR + k % 4, root = k / 4 * 2;
        const int notes[] = {root, root + triads[k % 4][0], root + triads[k % 4][1]};
        float got[ATTUNE_DESCRIPTORS];
        describe(got, notes, 3, 0);
        for (int i = ATTUNE_DESCRIPTOR_MAJOR; i <= ATTUNE_DESCRIPTOR_AUGMENTED; i++) {
            cr_assert(i == sounding ? got[i] > 0.8f : got[i] < 0, "triad %d: %s is %g", k,
                      attune_descriptor_name((attune_descriptor)i), (double)got[i]);
        }
    }
}

/* Two thirds of the peaks are in tune; the others are 0.3 off, and the louder half of all of them.
 * And no peak at all. */
Test(harmony, louder_half_of_the_peaks_decides_on_the_tuning)
{
    static attune_tuning tuning;
    static float magnitudes[ATTUNE_CHROMA_BINS];
    const double bin_hertz = (double)ATTUNE_DESCRIPTORS_RATE / ATTUNE_CHROMA_WINDOW;
    attune_tuning_take(&tuning, magnitudes);
    cr_assert_float_eq(attune_tuning_of(attune_tuning_finish(&tuning)), 0, 1e-12);
    for (int note = 0; note < 30; note++) {
        const double off = note % 3 ? 0 : 0.3, level = note % 3 ? 1 + 0.05 * note : 4;
        const double bin = 440 * pow(2, (note - 9 + off) / 12) / bin_hertz;
        for (int i = (int)bin - 2; i < (int)bin + 4; i++) { /* a parabola, its top at the tone */
            magnitudes[i] = (float)fmax(level * (1 - (i - bin) * (i - bin) / 6), 0);
        }
    }
    attune_tuning_take(&tuning, magnitudes);
    cr_assert_geq(tuning.peaks, 25);
    cr_assert_float_eq(attune_tuning_of(attune_tuning_finish(&tuning)), 0.3, 0.0101);
}
