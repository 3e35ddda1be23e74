/* chroma_filter.c - spectra to chromas in a hundred tunings. With sixteen nodes weights are within
 * 5e-6, where the largest are 1. */
#include "descriptors/chroma_filter.h"

#include "descriptors/descriptors.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

enum { NODES = 16 };

/* A weight in every node, by pitch class and bin; what the compiler makes registers of. */
typedef float attune_nodes __attribute__((vector_size(NODES * sizeof(float))));
static attune_nodes table[ATTUNE_PITCHES][ATTUNE_CHROMA_BINS];
static float interpolation[NODES][ATTUNE_TUNINGS];

/* Wider registers compute the same sums: each lane is one of its own. Which, is chosen when the
 * program is loaded, before ThreadSanitizer is ready for it. */
#ifdef __has_feature
#define ATTUNE_THREAD_SANITIZER __has_feature(thread_sanitizer)
#elif defined(__SANITIZE_THREAD__)
#define ATTUNE_THREAD_SANITIZER 1
#else
#define ATTUNE_THREAD_SANITIZER 0
#endif
#if defined(__x86_64__) && !ATTUNE_THREAD_SANITIZER
#define ATTUNE_WIDE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define ATTUNE_WIDE
#endif

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
    return 0.5 * (low + high) +
           0.5 * (high - low) * cos(3.14159265358979323846 * (i + 0.5) / NODES);
}

static void make_tables(void)
{
    for (int i = 0; i < NODES; i++) {
        for (int bin = 0; bin < ATTUNE_CHROMA_BINS; bin++) {
            double weights[ATTUNE_PITCHES];
            weigh_bin(weights, bin, node(i));
            for (int c = 0; c < ATTUNE_PITCHES; c++) {
                table[c][bin][i] = (float)weights[c];
            }
        }
    }
    for (int t = 0; t < ATTUNE_TUNINGS; t++) { /* Lagrange's polynomials */
        for (int i = 0; i < NODES; i++) {
            double product = 1;
            for (int k = 0; k < NODES; k++) {
                product *= k == i ? 1 : (attune_tuning_of(t) - node(k)) / (node(i) - node(k));
            }
            interpolation[i][t] = (float)product;
        }
    }
}

void attune_chroma_filter_prepare(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_tables);
}

/* Four spectra at a time, because the table is larger than a cache. */
ATTUNE_WIDE static void fold_pitch(attune_nodes *out, const float *power, int pitch)
{
    const attune_nodes *weights = table[pitch];
    const float *p0 = power, *p1 = p0 + ATTUNE_CHROMA_BINS;
    const float *p2 = p1 + ATTUNE_CHROMA_BINS, *p3 = p2 + ATTUNE_CHROMA_BINS;
    attune_nodes sum0 = {0}, sum1 = {0}, sum2 = {0}, sum3 = {0};
    for (int bin = 0; bin < ATTUNE_CHROMA_BINS; bin++) {
        sum0 += p0[bin] * weights[bin];
        sum1 += p1[bin] * weights[bin];
        sum2 += p2[bin] * weights[bin];
        sum3 += p3[bin] * weights[bin];
    }
    out[0] = sum0;
    out[1] = sum1;
    out[2] = sum2;
    out[3] = sum3;
}

void attune_chroma_fold(attune_chromas *chromas, const float *power)
{
    attune_nodes folded[ATTUNE_CHROMA_FOLD];
    for (int c = 0; c < ATTUNE_PITCHES; c++) {
        fold_pitch(folded, power, c);
        for (int f = 0; f < ATTUNE_CHROMA_FOLD; f++) {
            float *chroma = chromas[f][c];
            memset(chroma, 0, sizeof(chromas[f][c]));
            for (int i = 0; i < NODES; i++) {
                for (int t = 0; t < ATTUNE_TUNINGS; t++) {
                    chroma[t] += interpolation[i][t] * folded[f][i];
                }
            }
        }
    }
}
