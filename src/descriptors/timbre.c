/* timbre.c - centroid, roll-off and flatness of a track's spectra.
 *
 * bliss hands aubio windows of 512 samples every 128, of which aubio takes the first 128 and looks
 * at the last 512 that it has taken. Hence the first windows begin before the track, in silence,
 * and the last ends 384 samples before its end: what slides here is both windows together. */
#include "descriptors/timbre.h"

enum { AHEAD = ATTUNE_TIMBRE_WINDOW - ATTUNE_TIMBRE_HOP };

attune_status attune_timbre_create(attune_timbre *timbre)
{
    const attune_status status =
        attune_slide_create(&timbre->slide, ATTUNE_TIMBRE_WINDOW + AHEAD, ATTUNE_TIMBRE_HOP);
    return status == ATTUNE_OK ? attune_spectrum_create(&timbre->spectrum, ATTUNE_TIMBRE_WINDOW)
                               : status;
}

void attune_timbre_free(attune_timbre *timbre)
{
    attune_slide_free(&timbre->slide);
    attune_spectrum_free(timbre->spectrum);
}

void attune_timbre_begin(attune_timbre *timbre)
{
    attune_slide_begin(&timbre->slide, AHEAD);
    timbre->centroid = timbre->rolloff = timbre->flatness = (attune_moments){0};
}

double attune_timbre_centroid(const float *magnitudes)
{
    double sum = 0, weighted = 0;
    for (int i = 0; i < ATTUNE_TIMBRE_BINS; i++) {
        sum += (double)magnitudes[i];
        weighted += i * (double)magnitudes[i];
    }
    return sum > 0 ? weighted / sum : 0;
}

double attune_timbre_rolloff(const float *magnitudes)
{
    double energy = 0, below = 0;
    int bin = 0;
    for (int i = 0; i < ATTUNE_TIMBRE_BINS; i++) {
        energy += (double)magnitudes[i] * (double)magnitudes[i];
    }
    while (below < 0.95 * energy && bin < ATTUNE_TIMBRE_BINS) {
        below += (double)magnitudes[bin] * (double)magnitudes[bin];
        bin++;
    }
    return bin;
}

double attune_timbre_flatness(const float *magnitudes)
{
    double sum = 0, logarithms = 0;
    for (int i = 0; i < ATTUNE_TIMBRE_BINS; i += 4) { /* a product of four stays in range */
        const double a = (double)magnitudes[i], b = (double)magnitudes[i + 1];
        const double c = (double)magnitudes[i + 2], d = (double)magnitudes[i + 3];
        const double product = a * b * (c * d);
        if (!(product > 0)) {
            return 0;
        }
        sum += a + b + (c + d);
        logarithms += log(product);
    }
    return exp(logarithms / ATTUNE_TIMBRE_BINS) / (sum / ATTUNE_TIMBRE_BINS);
}

void attune_timbre_push(attune_timbre *timbre, const float *samples, size_t count)
{
    float magnitudes[ATTUNE_TIMBRE_WINDOW / 2 + 1];
    while (attune_slide_take(&timbre->slide, &samples, &count)) {
        attune_spectrum_of(timbre->spectrum, timbre->slide.samples, magnitudes);
        magnitudes[ATTUNE_TIMBRE_BINS - 1] = magnitudes[ATTUNE_TIMBRE_BINS];
        attune_moments_add(&timbre->centroid, attune_timbre_centroid(magnitudes));
        attune_moments_add(&timbre->rolloff, attune_timbre_rolloff(magnitudes));
        attune_moments_add(&timbre->flatness, attune_timbre_flatness(magnitudes));
        attune_slide_next(&timbre->slide);
    }
}
