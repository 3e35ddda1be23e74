/* augment_time.c - speed by a windowed sinc, tempo by WSOLA (Verhelst and Roelands, 1993). */
#include "train/augment_time.h"

#include <math.h>

/* ---- speed ---- */

enum {
    ZEROS = 16,   /* of the sinc on each side */
    LANES = 8,    /* sums made side by side */
    PHASES = 256, /* between two samples of the source, others lie on lines between these */
    TAPS_MAX = 4 * ZEROS
};

typedef struct interpolator {
    int taps;                         /* a multiple of LANES */
    float bank[PHASES + 1][TAPS_MAX]; /* (phases, taps) */
} interpolator;

size_t attune_speed_source(float ratio, size_t count)
{
    return ratio == 1 ? count : (size_t)ceil((double)count * (double)ratio) + 1;
}

/* The modified Bessel function I0, by its series. */
static double bessel(double x)
{
    double sum = 1, term = 1;
    for (int k = 1; term > sum * 1e-12; k++) {
        term *= x * x / (4.0 * k * k);
        sum += term;
    }
    return sum;
}

/* A sinc that cuts where the slower of the two rates ends, in Kaiser's window of 70 dB. */
static void design(interpolator *p, double ratio)
{
    const double widest = ratio > 1 ? ratio : 1, cut = 0.95 / widest, beta = 7;
    const int half = (int)ceil(ZEROS * widest / (LANES / 2)) * (LANES / 2);
    p->taps = 2 * half;
    for (int phase = 0; phase <= PHASES; phase++) {
        double sum = 0;
        for (int t = 0; t < p->taps; t++) {
            const double x = t - (half - 1) - (double)phase / PHASES, edge = x / half;
            const double sinc = x == 0 ? cut : sin(M_PI * cut * x) / (M_PI * x);
            const double window = edge * edge < 1 ? bessel(beta * sqrt(1 - edge * edge)) : 0;
            p->bank[phase][t] = (float)(sinc * window);
            sum += sinc * window;
        }
        for (int t = 0; t < p->taps; t++) {
            p->bank[phase][t] = (float)((double)p->bank[phase][t] / sum); /* gain 1 at 0 Hz */
        }
    }
}

/* The sum of `from` (taps) by weights between two phases. */
static float dot(const interpolator *p, const float *from, int phase, float between)
{
    const float *low = p->bank[phase], *high = p->bank[phase + 1];
    float sums[LANES] = {0}, sum = 0;
    for (int t = 0; t < p->taps; t += LANES) {
        for (int i = 0; i < LANES; i++) {
            sums[i] += from[t + i] * (low[t + i] + between * (high[t + i] - low[t + i]));
        }
    }
    for (int i = 0; i < LANES; i++) {
        sum += sums[i];
    }
    return sum;
}

void attune_speed(float *out, const float *source, size_t count, float ratio)
{
    const ptrdiff_t there = (ptrdiff_t)attune_speed_source(ratio, count);
    interpolator p;
    design(&p, (double)ratio);
    for (size_t i = 0; i < count; i++) {
        const double at = (double)i * (double)ratio, place = (at - floor(at)) * PHASES;
        const int phase = (int)place;
        const ptrdiff_t first = (ptrdiff_t)at - (p.taps / 2 - 1);
        const float between = (float)(place - phase);
        if (first >= 0 && first + p.taps <= there) {
            out[i] = dot(&p, source + first, phase, between);
            continue;
        }
        float edge[TAPS_MAX] = {0};
        for (int t = 0; t < p.taps; t++) {
            edge[t] = first + t >= 0 && first + t < there ? source[first + t] : 0;
        }
        out[i] = dot(&p, edge, phase, between);
    }
}

/* ---- tempo ---- */

/* Blocks of 23 ms: each goes over from where the last segment would continue to the segment, within
 * 12 ms of where the tempo has come to, that is most like it there. */
enum { BLOCK = 512, SEARCH = 256, STRIDE = 2 };

size_t attune_tempo_source(float ratio, size_t count)
{
    return ratio == 1 ? count
                      : (size_t)ceil((double)count * (double)ratio) + 2 * BLOCK + 2 * SEARCH;
}

/* The place from `first` to first + 2 · SEARCH whose block correlates best with `wanted`, by every
 * STRIDEth sample. The middle one, where all are alike. */
static size_t find_like(const float *source, size_t first, const float *wanted)
{
    float sums[2 * SEARCH + 1] = {0};
    for (size_t i = 0; i < BLOCK; i += STRIDE) {
        for (size_t c = 0; c <= 2 * SEARCH; c++) {
            sums[c] += wanted[i] * source[first + c + i];
        }
    }
    double energy = 0, best = -INFINITY;
    size_t found = SEARCH;
    for (size_t i = 0; i < BLOCK; i++) {
        energy += (double)source[first + i] * (double)source[first + i];
    }
    for (size_t c = 0; c <= 2 * SEARCH; c++) {
        const double likeness = (double)sums[c] / sqrt(energy + 1e-9);
        if (likeness > best || (likeness == best && c == SEARCH)) {
            best = likeness;
            found = c;
        }
        const double leaves = (double)source[first + c], enters = (double)source[first + c + BLOCK];
        energy = fmax(0, energy + enters * enters - leaves * leaves);
    }
    return first + found;
}

void attune_tempo(float *out, const float *source, size_t count, float ratio)
{
    float ramp[BLOCK];
    size_t segment = 0;
    for (int i = 0; i < BLOCK; i++) {
        ramp[i] = 0.5f - 0.5f * cosf((float)M_PI * ((float)i + 0.5f) / BLOCK);
    }
    for (size_t start = 0; start < count; start += BLOCK) {
        const size_t left = count - start, part = left < BLOCK ? left : BLOCK;
        const size_t due = (size_t)((double)start * (double)ratio);
        const float *continued = source + segment + (start > 0 ? BLOCK : 0);
        segment = start > 0 ? find_like(source, due > SEARCH ? due - SEARCH : 0, continued) : 0;
        for (size_t i = 0; i < part; i++) {
            out[start + i] = continued[i] + ramp[i] * (source[segment + i] - continued[i]);
        }
    }
}
