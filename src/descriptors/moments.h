/* moments.h - mean and standard deviation of numbers as they come (Welford's recurrence). */
#ifndef ATTUNE_SRC_DESCRIPTORS_MOMENTS_H
#define ATTUNE_SRC_DESCRIPTORS_MOMENTS_H

#include <math.h>
#include <stdint.h>

typedef struct attune_moments {
    uint64_t count;
    double mean, squares; /* sum of squared distances from the mean */
} attune_moments;

static inline void attune_moments_add(attune_moments *moments, double value)
{
    const double distance = value - moments->mean;
    moments->mean += distance / (double)++moments->count;
    moments->squares += distance * (value - moments->mean);
}

/* Of all numbers, not of a sample of them. */
static inline double attune_moments_deviation(const attune_moments *moments)
{
    return moments->count ? sqrt(moments->squares / (double)moments->count) : 0;
}

#endif
