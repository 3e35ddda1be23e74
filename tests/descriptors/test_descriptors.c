/* test_descriptors.c - all of a track's descriptors: those of librosa
 * (tools/make_descriptor_goldens.py) but for the tempo, and what bliss's own tests expect of
 * extremes; the same however a track comes. */
#include "descriptors/descriptors.h"

#include "csv/csv.h"
#include "descriptors/tuning.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RATE = ATTUNE_DESCRIPTORS_RATE, MOST = 60000 };

/* The signal of the goldens. */
static float *make_signal(void)
{
    static const int chords[6][3] = {{48, 4, 7}, {53, 4, 7}, {57, 3, 7},
                                     {59, 3, 6}, {60, 4, 8}, {55, 5, 7}};
    const double pi = 3.14159265358979323846;
    float *signal = malloc(MOST * sizeof(*signal));
    uint64_t state = 5;
    for (int i = 0; i < MOST; i++) {
        const double t = (double)i / RATE, since = (double)(i % 11025) / RATE;
        const int *chord = chords[i / 11025 % 6];
        double x = 0.3 * exp(-40 * since) * (double)random_uniform(&state);
        for (int note = 0; note < 3; note++) {
            const int pitch = chord[0] + (note ? chord[note] : 0);
            const double hertz = 440 * pow(2, (pitch - 69 + 0.23) / 12);
            for (int harmonic = 1; harmonic < 5; harmonic++) {
                x += 0.1 / harmonic * exp(-3 * since) * sin(2 * pi * harmonic * hertz * t);
            }
        }
        signal[i] = (float)x;
    }
    return signal;
}

/* A track that comes in pieces of `piece` samples, one more each time if that is asked for. */
static bool describe(attune_descriptors *d, float out[ATTUNE_DESCRIPTORS], const float *samples,
                     size_t count, size_t piece, bool growing)
{
    cr_assert_eq(attune_descriptors_begin(d), ATTUNE_OK);
    for (size_t at = 0; at < count; at += piece, piece += growing) {
        const size_t taken = count - at < piece ? count - at : piece;
        cr_assert_eq(attune_descriptors_push(d, samples + at, taken), ATTUNE_OK);
        if (growing && piece > count) {
            break;
        }
    }
    return attune_descriptors_finish(d, out);
}

static attune_descriptors *create(void)
{
    attune_descriptors *d = NULL;
    assert_ok(attune_descriptors_create(&d, RATE));
    return d;
}

static int descriptor_of(const char *name)
{
    int i = 0;
    while (i < ATTUNE_DESCRIPTORS &&
           strcmp(attune_descriptor_name((attune_descriptor)i), name) != 0) {
        i++;
    }
    return i;
}

/* Ours are in f32 from the FFT on: levels and spectra agree to 1e-5 (measured: 8e-6), and chromas,
 * whose exponent has a factor of 15, to 2e-5 (2e-6). */
Test(descriptors, are_those_of_librosa)
{
    float *signal = make_signal(), got[ATTUNE_DESCRIPTORS];
    attune_descriptors *d = create();
    attune_csv *csv = NULL;
    attune_csv_row row;
    int compared = 0;
    double worst[2] = {0};
    cr_assert_eq(attune_csv_open(&csv, GOLDENS "/descriptors.csv"), ATTUNE_OK);
    cr_assert_eq(attune_csv_next(csv, &row), ATTUNE_OK);
    while (attune_csv_next(csv, &row) == ATTUNE_OK && row.count > 0) {
        const int i = descriptor_of(row.fields[1]);
        if (i == ATTUNE_DESCRIPTORS) {
            continue; /* the tuning, of the other test */
        }
        cr_assert(describe(d, got, signal, (size_t)atol(row.fields[0]), 1000, false));
        const double off = fabs((double)got[i] - strtod(row.fields[2], NULL));
        const bool chroma = i >= ATTUNE_DESCRIPTOR_MINOR_SECOND;
        worst[chroma] = off > worst[chroma] ? off : worst[chroma];
        cr_assert_leq(off, chroma ? 2e-5 : 1e-5, "%s: %.9g, not %s", row.fields[1], (double)got[i],
                      row.fields[2]);
        compared++;
    }
    cr_log_info("off by %.2g, chroma by %.2g\n", worst[0], worst[1]);
    cr_assert_eq(compared, 2 * (ATTUNE_DESCRIPTORS - 1));
    attune_csv_close(csv);
    attune_descriptors_free(d);
    free(signal);
}

Test(descriptors, do_not_depend_on_how_a_track_comes_and_what_came_before)
{
    float *signal = make_signal();
    float whole[ATTUNE_DESCRIPTORS], again[ATTUNE_DESCRIPTORS];
    attune_descriptors *d = create(), *other = create();
    cr_assert(describe(d, whole, signal, MOST, MOST, false));
    cr_assert_not(describe(d, again, signal, 8191, 64, false)); /* left under way, and short */
    for (int i = 0; i < ATTUNE_DESCRIPTORS; i++) {
        cr_assert(isnan(again[i]));
    }
    cr_assert(describe(d, again, signal, MOST, 1, true));
    cr_assert_arr_eq(whole, again, sizeof(whole));
    cr_assert(describe(other, again, signal, MOST, 12345, false));
    cr_assert_arr_eq(whole, again, sizeof(whole));
    cr_assert(describe(other, again, signal, ATTUNE_DESCRIPTORS_SHORTEST, 100, false));
    attune_descriptors_free(d);
    attune_descriptors_free(other);
    free(signal);
}

/* What bliss's tests say of silence, of ones, and of -1 and 1 by turns. */
Test(descriptors, extremes_are_those_of_bliss)
{
    enum { COUNT = 16384 };
    static float samples[COUNT];
    float got[ATTUNE_DESCRIPTORS];
    attune_descriptors *d = create();
    cr_assert(describe(d, got, samples, COUNT, 1024, false));
    for (int i = 0; i <= ATTUNE_DESCRIPTOR_LOUDNESS_DEVIATION; i++) {
        cr_assert_eq(got[i], -1, "%s of silence: %g", attune_descriptor_name((attune_descriptor)i),
                     (double)got[i]);
    }
    for (int i = 0; i < ATTUNE_DESCRIPTORS; i++) {
        cr_assert(got[i] >= -1 && got[i] <= 1);
    }
    for (int i = 0; i < COUNT; i++) {
        samples[i] = i % 2 ? 1 : -1;
    }
    cr_assert(describe(d, got, samples, COUNT, 1024, false));
    cr_assert_float_eq(got[ATTUNE_DESCRIPTOR_CROSSINGS], 2.0 * (COUNT - 1) / COUNT - 1, 1e-7);
    cr_assert_eq(got[ATTUNE_DESCRIPTOR_LOUDNESS_MEAN], 1);
    cr_assert_eq(got[ATTUNE_DESCRIPTOR_LOUDNESS_DEVIATION], -1);
    cr_assert_gt(got[ATTUNE_DESCRIPTOR_ROLLOFF_MEAN], 0.99);
    attune_descriptors_free(d);
}

Test(descriptors, of_what_is_no_audio_there_are_none)
{
    static const float bad[] = {2e6f, -2e6f, INFINITY, NAN};
    float *signal = make_signal(), got[ATTUNE_DESCRIPTORS];
    attune_descriptors *d = create();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const float kept = signal[30000];
        signal[30000] = bad[i];
        cr_assert_not(describe(d, got, signal, MOST, 4096, false), "%g", (double)bad[i]);
        cr_assert(isnan(got[ATTUNE_DESCRIPTOR_TEMPO]) && isnan(got[ATTUNE_DESCRIPTOR_TRIADS]));
        signal[30000] = kept;
    }
    cr_assert(describe(d, got, signal, MOST, 4096, false));
    attune_descriptors_free(d);
    cr_assert_eq(attune_descriptors_create(&d, 44100), ATTUNE_ECONFIG);
    cr_assert_null(d);
    free(signal);
}
