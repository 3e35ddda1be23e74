/* tuning.c - peaks, and how far they are from semitones. */
#include "descriptors/tuning.h"

#include "descriptors/descriptors.h"

#include <math.h>
#include <string.h>

static const double bin_hertz = (double)ATTUNE_DESCRIPTORS_RATE / ATTUNE_CHROMA_WINDOW;

/* 2^-32 and below is step 0; 2^32 and above the last. */
static int step_of(float magnitude)
{
    uint32_t bits;
    memcpy(&bits, &magnitude, sizeof(bits));
    const int step = (int)(bits >> 17) - (127 - 32) * 64;
    return step < 0 ? 0 : step < ATTUNE_TUNING_STEPS ? step : ATTUNE_TUNING_STEPS - 1;
}

static void take_peak(attune_tuning *tuning, double hertz, double magnitude)
{
    const double position = 12 * log2(hertz / 27.5);
    double off = position - floor(position);
    off = off >= 0.5 ? off - 1 : off;
    int index = (int)((off + 0.5) * ATTUNE_TUNINGS);
    index = index < ATTUNE_TUNINGS ? index : ATTUNE_TUNINGS - 1;
    tuning->counts[step_of((float)magnitude)][index]++;
    tuning->peaks++;
}

void attune_tuning_take(attune_tuning *tuning, const float *magnitudes)
{
    const int first = (int)ceil(150 / bin_hertz), end = (int)ceil(4000 / bin_hertz);
    float largest = 0;
    for (int i = 0; i < ATTUNE_CHROMA_BINS; i++) {
        largest = magnitudes[i] > largest ? magnitudes[i] : largest;
    }
    for (int i = first; i < end; i++) {
        const double before = (double)magnitudes[i - 1], after = (double)magnitudes[i + 1];
        const double here = (double)magnitudes[i], slope = 0.5 * (after - before);
        if (here > 0.1 * (double)largest && before < here && after <= here) {
            const double shift = slope / (2 * here - after - before); /* of the parabola's top */
            take_peak(tuning, (i + shift) * bin_hertz, here + 0.5 * slope * shift);
        }
    }
}

int attune_tuning_finish(const attune_tuning *tuning)
{
    uint64_t louder = 0, counts[ATTUNE_TUNINGS] = {0};
    int best = 0;
    for (int step = ATTUNE_TUNING_STEPS - 1; step >= 0 && 2 * louder < tuning->peaks; step--) {
        for (int i = 0; i < ATTUNE_TUNINGS; i++) {
            counts[i] += tuning->counts[step][i];
            louder += tuning->counts[step][i];
        }
    }
    for (int i = 1; i < ATTUNE_TUNINGS; i++) {
        best = counts[i] > counts[best] ? i : best;
    }
    return tuning->peaks ? best : ATTUNE_TUNINGS / 2;
}
