/* chroma_filter.c - spectra to chromas in a hundred tunings. With sixteen nodes weights are within 5e-6,
 * where the largest are 1. */
#include "descriptors/chroma_filter.h"

#include "descriptors/descriptors.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

enum { NODES = 16, FOLDED = NODES * ATTUNE_PITCHES };

static float table[ATTUNE_CHROMA_BINS][FOLDED];
static float interpolation[ATTUNE_TUNINGS][NODES];

static const double octave_centre = 5, octave_width = 2; /* above 27.5 Hz: where weights are most */

/* Semitones of a bin above 27.5 Hz. The lowest has none, and stands below the next. */
static double semitones(int bin, double tuning)
{
    const double hertz = (double)ATTUNE_DESCRIPTORS_RATE / ATTUNE_CHROMA_WINDOW * (bin ? bin : 1);
    const double above = 12 * log2(hertz / 27.5) - tuning;
    return bin ? above : above - 18;
}

static void weigh_bin(double weights[ATTUNE_PITCHES], int bin, double tuning)
{
    const double position = semitones(bin, tuning);
    const double step = semitones(bin + 1, tuning) - position, width = step > 1 ? step : 1;
    const double octave = (position / 12 - octave_centre) / octave_width;
    double squares = 0;
    for (int a = 0; a < ATTUNE_PITCHES; a++) { /* from A upwards */
        const double off = fmod(position - a + 126, 12) - 6;
        const double weight = exp(-2 * (off / width) * (off / width));
        weights[(a + 9) % ATTUNE_PITCHES] = weight;
        squares += weight * weight;
    }
    const double scale = exp(-0.5 * octave * octave) / sqrt(squares);
    for (int c = 0; c < ATTUNE_PITCHES; c++) {
        weights[c] *= scale;
    }
}

void attune_chroma_weights(double *weights, double tuning)
{
    for (int bin = 0; bin < ATTUNE_CHROMA_BINS; bin++) {
        weigh_bin(weights + (size_t)bin * ATTUNE_PITCHES, bin, tuning);
    }
}

/* Chebyshev's nodes in the range of tunings. */
static double node(int i)
{
    const double low = attune_tuning_of(0), high = attune_tuning_of(ATTUNE_TUNINGS - 1);
    return 0.5 * (low + high) + 0.5 * (high - low) * cos(3.14159265358979323846 * (i + 0.5) / NODES);
}

static void make_tables(void)
{
    for (int i = 0; i < NODES; i++) {
        for (int bin = 0; bin < ATTUNE_CHROMA_BINS; bin++) {
            double weights[ATTUNE_PITCHES];
            weigh_bin(weights, bin, node(i));
            for (int c = 0; c < ATTUNE_PITCHES; c++) {
                table[bin][i * ATTUNE_PITCHES + c] = (float)weights[c];
            }
        }
    }
    for (int t = 0; t < ATTUNE_TUNINGS; t++) { /* Lagrange's polynomials */
        for (int i = 0; i < NODES; i++) {
            double product = 1;
            for (int k = 0; k < NODES; k++) {
                product *= k == i ? 1 : (attune_tuning_of(t) - node(k)) / (node(i) - node(k));
            }
            interpolation[t][i] = (float)product;
        }
    }
}

void attune_chroma_filter_prepare(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_tables);
}

/* Some spectra at a time, because the table is larger than a cache. */
void attune_chroma_fold(attune_chromas *chromas, const float *power, int count)
{
    float folded[ATTUNE_CHROMA_FOLD][FOLDED] = {0};
    for (int bin = 0; bin < ATTUNE_CHROMA_BINS; bin++) {
        for (int f = 0; f < count; f++) {
            const float energy = power[f * ATTUNE_CHROMA_BINS + bin];
            for (int i = 0; i < FOLDED; i++) {
                folded[f][i] += energy * table[bin][i];
            }
        }
    }
    memset(chromas, 0, (size_t)count * sizeof(*chromas));
    for (int f = 0; f < count; f++) {
        for (int t = 0; t < ATTUNE_TUNINGS; t++) {
            for (int i = 0; i < FOLDED; i++) {
                chromas[f][i % ATTUNE_PITCHES][t] +=
                    interpolation[t][i / ATTUNE_PITCHES] * folded[f][i];
            }
        }
    }
}
