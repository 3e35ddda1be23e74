/* chroma.c - chromas of windows of 8,192 samples, one every 2,205, and what is in them.
 *
 * Windows are centred: the first and the last hang over the track by half, where it is mirrored. */
#include "descriptors/chroma.h"

#include "status/error.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { HOP = 2205, EDGE = ATTUNE_CHROMA_EDGE, BINS = ATTUNE_CHROMA_BINS };

attune_status attune_chroma_create(attune_chroma *chroma)
{
    attune_chroma_filter_prepare();
    const attune_status status = attune_slide_create(&chroma->slide, ATTUNE_CHROMA_WINDOW, HOP);
    return status == ATTUNE_OK ? attune_spectrum_create(&chroma->spectrum, ATTUNE_CHROMA_WINDOW)
                               : status;
}

void attune_chroma_free(attune_chroma *chroma)
{
    attune_slide_free(&chroma->slide);
    attune_spectrum_free(chroma->spectrum);
}

void attune_chroma_begin(attune_chroma *chroma)
{
    attune_slide_begin(&chroma->slide, 0);
    memset(&chroma->tuning, 0, sizeof(chroma->tuning));
    memset(chroma->sums, 0, sizeof(chroma->sums));
    chroma->samples = chroma->windows = 0;
    chroma->waiting = 0;
}

static void fold(attune_chroma *chroma)
{
    if (chroma->waiting > 0) {
        attune_chroma_fold(chroma->chromas, chroma->power); /* those that are left over, too */
    }
    for (int i = 0; i < chroma->waiting; i++) {
        attune_chroma_add(chroma->sums, chroma->chromas[i]);
    }
    chroma->waiting = 0;
}

static void take_window(attune_chroma *chroma)
{
    float *power = chroma->power + chroma->waiting * BINS, largest = 0;
    attune_spectrum_of(chroma->spectrum, chroma->slide.samples, power);
    attune_tuning_take(&chroma->tuning, power);
    for (int i = 0; i < BINS; i++) {
        largest = power[i] > largest ? power[i] : largest;
    }
    const float scale = largest > 0 ? 1 / largest : 0; /* a chroma has no level, its squares do */
    for (int i = 0; i < BINS; i++) {
        power[i] = scale * power[i] * (scale * power[i]);
    }
    chroma->windows++;
    if (++chroma->waiting == ATTUNE_CHROMA_FOLD) {
        fold(chroma);
    }
}

static void slide(attune_chroma *chroma, const float *samples, size_t count)
{
    while (attune_slide_take(&chroma->slide, &samples, &count)) {
        take_window(chroma);
        attune_slide_next(&chroma->slide);
    }
}

void attune_chroma_push(attune_chroma *chroma, const float *samples, size_t count)
{
    if (chroma->samples < EDGE) {
        const size_t wanted = EDGE - chroma->samples, taken = count < wanted ? count : wanted;
        memcpy(chroma->edge + chroma->samples, samples, taken * sizeof(*samples));
        chroma->samples += taken;
        samples += taken;
        count -= taken;
        if (chroma->samples < EDGE) {
            return;
        }
        for (int i = EDGE - 1; i > 0; i--) {
            slide(chroma, &chroma->edge[i], 1);
        }
        slide(chroma, chroma->edge, EDGE);
    }
    chroma->samples += count;
    slide(chroma, samples, count);
}

void attune_chroma_finish(attune_chroma *chroma, double harmonies[ATTUNE_HARMONIES])
{
    assert(chroma->samples >= ATTUNE_CHROMA_WINDOW);
    /* There are as many windows as hops that begin in the track. Of the last one to come more
     * samples are still there than are mirrored. */
    const uint64_t windows = (chroma->samples + HOP - 1) / HOP;
    memcpy(chroma->edge, chroma->slide.samples + chroma->slide.filled - EDGE, sizeof(chroma->edge));
    for (int i = EDGE - 2; i >= 0 && chroma->windows < windows; i--) {
        slide(chroma, &chroma->edge[i], 1);
    }
    fold(chroma);
    const int tuning = attune_tuning_finish(&chroma->tuning);
    for (int i = 0; i < ATTUNE_HARMONIES; i++) {
        harmonies[i] = chroma->sums[i][tuning] / (double)chroma->windows;
    }
}

/* Divides each tuning's chroma by its sum, if that is more than 0. */
static void normalise(attune_chromas chromas)
{
    float sums[ATTUNE_TUNINGS] = {0};
    for (int c = 0; c < ATTUNE_PITCHES; c++) {
        for (int t = 0; t < ATTUNE_TUNINGS; t++) {
            sums[t] += chromas[c][t];
        }
    }
    for (int t = 0; t < ATTUNE_TUNINGS; t++) {
        sums[t] = sums[t] > 0 ? 1 / sums[t] : 0;
    }
    for (int c = 0; c < ATTUNE_PITCHES; c++) {
        for (int t = 0; t < ATTUNE_TUNINGS; t++) {
            chromas[c][t] *= sums[t];
        }
    }
}

void attune_chroma_add(double sums[ATTUNE_HARMONIES][ATTUNE_TUNINGS], attune_chromas chromas)
{
    static const int triads[][2] = {{4, 7}, {3, 7}, {3, 6}, {4, 8}};
    normalise(chromas);
    for (int c = 0; c < ATTUNE_PITCHES; c++) {
        for (int t = 0; t < ATTUNE_TUNINGS; t++) {
            chromas[c][t] = expf(15 * chromas[c][t]);
        }
    }
    normalise(chromas);
    for (int i = 0; i < ATTUNE_HARMONIES; i++) {
        const bool dyad = i < ATTUNE_INTERVALS;
        float products[ATTUNE_TUNINGS] = {0};
        for (int c = 0; c < ATTUNE_PITCHES; c++) {
            const float *root = chromas[c];
            const float *second =
                chromas[(c + (dyad ? i + 1 : triads[i - ATTUNE_INTERVALS][0])) % ATTUNE_PITCHES];
            const float *third =
                dyad ? NULL : chromas[(c + triads[i - ATTUNE_INTERVALS][1]) % ATTUNE_PITCHES];
            for (int t = 0; t < ATTUNE_TUNINGS; t++) {
                products[t] += root[t] * second[t] * (third ? third[t] : 1);
            }
        }
        for (int t = 0; t < ATTUNE_TUNINGS; t++) {
            sums[i][t] += (double)products[t];
        }
    }
}

/* Scales a vector to length 1 and its parts from [0, 1] to [-1, 1]; returns its length. */
static double describe_vector(double *out, const double *parts, int count)
{
    double squares = 0;
    for (int i = 0; i < count; i++) {
        squares += parts[i] * parts[i];
    }
    const double length = sqrt(squares);
    for (int i = 0; i < count; i++) {
        out[i] = 2 * (length > 0 ? parts[i] / length : parts[i]) - 1;
    }
    return length;
}

void attune_chroma_describe(double out[ATTUNE_CHROMA_DESCRIPTORS],
                            const double harmonies[ATTUNE_HARMONIES])
{
    /* Lengths that music hardly exceeds; far below what is possible. */
    const double most_dyads = 0.25, most_triads = 0.025;
    const double dyads = describe_vector(out, harmonies, ATTUNE_INTERVALS);
    const double triads = describe_vector(out + ATTUNE_INTERVALS, harmonies + ATTUNE_INTERVALS,
                                          ATTUNE_HARMONIES - ATTUNE_INTERVALS);
    out[10] = fmin(2 * dyads / most_dyads - 1, 1);
    out[11] = fmin(2 * triads / most_triads - 1, 1);
    out[12] = 4 / 3.14159265358979323846 * atan2(20 * triads, dyads + 1e-12) - 1;
}
