/* level.c - zero crossings, and loudness over windows of 1,024 samples. */
#include "descriptors/level.h"

enum { WINDOW = 1024 };

void attune_level_push(attune_level *level, const float *samples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const bool above = samples[i] > 0;
        level->crossings += level->samples > 0 && above != level->above;
        level->above = above;
        level->energy += (double)samples[i] * (double)samples[i];
        if (++level->samples % WINDOW == 0) {
            attune_moments_add(&level->energies, level->energy / WINDOW);
            level->energy = 0;
        }
    }
}

static double decibels(double energy)
{
    return 10 * log10(energy > 1e-9 ? energy : 1e-9);
}

void attune_level_finish(attune_level *level, double *crossings, double *mean, double *deviation)
{
    const uint64_t rest = level->samples % WINDOW;
    if (rest > 0) {
        attune_moments_add(&level->energies, level->energy / (double)rest);
    }
    *crossings = level->samples ? (double)level->crossings / (double)level->samples : 0;
    *mean = decibels(level->energies.mean);
    *deviation = decibels(attune_moments_deviation(&level->energies));
}
