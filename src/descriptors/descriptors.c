/* descriptors.c - the 23 descriptors of a track, from their parts. */
#include "descriptors/descriptors.h"

#include "descriptors/chroma.h"
#include "descriptors/level.h"
#include "descriptors/tempo.h"
#include "descriptors/timbre.h"
#include "status/error.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

/* aubio multiplies sums of squares in f32, and is not made for what is not finite. */
#define LOUDEST 1e6f

struct attune_descriptors {
    attune_level level;
    attune_timbre timbre;
    attune_tempo tempo;
    attune_chroma chroma;
    bool too_loud;
};

/* What aubio says of itself would else go to stdout, among data. */
static void say_nothing(sint_t level, const char_t *message, void *data)
{
    (void)level;
    (void)message;
    (void)data;
}

static void quiet_aubio(void)
{
    aubio_log_set_function(say_nothing, NULL);
}

attune_status attune_descriptors_create(attune_descriptors **out, int sample_rate)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    *out = NULL;
    if (sample_rate != ATTUNE_DESCRIPTORS_RATE) {
        return attune_fail(ATTUNE_ECONFIG,
                           "descriptors are of audio at %d Hz, and the model's is at %d Hz",
                           ATTUNE_DESCRIPTORS_RATE, sample_rate);
    }
    pthread_once(&once, quiet_aubio);
    attune_descriptors *d = calloc(1, sizeof(*d));
    if (!d) {
        return attune_fail_memory("descriptors", sizeof(*d));
    }
    attune_status status = attune_timbre_create(&d->timbre);
    if (status == ATTUNE_OK) {
        status = attune_tempo_create(&d->tempo);
    }
    if (status == ATTUNE_OK) {
        status = attune_chroma_create(&d->chroma);
    }
    if (status != ATTUNE_OK) {
        attune_descriptors_free(d);
        return status;
    }
    *out = d;
    return ATTUNE_OK;
}

void attune_descriptors_free(attune_descriptors *descriptors)
{
    if (descriptors) {
        attune_timbre_free(&descriptors->timbre);
        attune_tempo_free(&descriptors->tempo);
        attune_chroma_free(&descriptors->chroma);
        free(descriptors);
    }
}

attune_status attune_descriptors_begin(attune_descriptors *descriptors)
{
    descriptors->level = (attune_level){0};
    descriptors->too_loud = false;
    attune_timbre_begin(&descriptors->timbre);
    attune_chroma_begin(&descriptors->chroma);
    return attune_tempo_begin(&descriptors->tempo);
}

attune_status attune_descriptors_push(attune_descriptors *descriptors, const float *samples,
                                      size_t count)
{
    for (size_t i = 0; i < count && !descriptors->too_loud; i++) {
        descriptors->too_loud = !(fabsf(samples[i]) <= LOUDEST);
    }
    if (descriptors->too_loud) {
        return ATTUNE_OK;
    }
    attune_level_push(&descriptors->level, samples, count);
    attune_timbre_push(&descriptors->timbre, samples, count);
    attune_chroma_push(&descriptors->chroma, samples, count);
    return attune_tempo_push(&descriptors->tempo, samples, count);
}

/* From [low, high] to [-1, 1]. */
static float scaled(double value, double low, double high)
{
    return (float)(2 * (value - low) / (high - low) - 1);
}

bool attune_descriptors_finish(attune_descriptors *descriptors, float out[ATTUNE_DESCRIPTORS])
{
    const attune_timbre *timbre = &descriptors->timbre;
    double crossings, loudness, deviation, tempo = attune_tempo_finish(&descriptors->tempo);
    double harmonies[ATTUNE_HARMONIES], chroma[ATTUNE_CHROMA_DESCRIPTORS];
    if (descriptors->too_loud || descriptors->level.samples < ATTUNE_DESCRIPTORS_SHORTEST) {
        for (int i = 0; i < ATTUNE_DESCRIPTORS; i++) {
            out[i] = NAN;
        }
        return false;
    }
    attune_level_finish(&descriptors->level, &crossings, &loudness, &deviation);
    attune_chroma_finish(&descriptors->chroma, harmonies);
    attune_chroma_describe(chroma, harmonies);
    const double nyquist = ATTUNE_TIMBRE_WINDOW / 2; /* in bins */
    out[ATTUNE_DESCRIPTOR_TEMPO] = scaled(tempo, 0, 206);
    out[ATTUNE_DESCRIPTOR_CROSSINGS] = scaled(crossings, 0, 1);
    out[ATTUNE_DESCRIPTOR_CENTROID_MEAN] = scaled(timbre->centroid.mean, 0, nyquist);
    out[ATTUNE_DESCRIPTOR_CENTROID_DEVIATION] =
        scaled(attune_moments_deviation(&timbre->centroid), 0, nyquist);
    out[ATTUNE_DESCRIPTOR_ROLLOFF_MEAN] = scaled(timbre->rolloff.mean, 0, nyquist);
    out[ATTUNE_DESCRIPTOR_ROLLOFF_DEVIATION] =
        scaled(attune_moments_deviation(&timbre->rolloff), 0, nyquist);
    out[ATTUNE_DESCRIPTOR_FLATNESS_MEAN] = scaled(timbre->flatness.mean, 0, 1);
    out[ATTUNE_DESCRIPTOR_FLATNESS_DEVIATION] =
        scaled(attune_moments_deviation(&timbre->flatness), 0, 1);
    out[ATTUNE_DESCRIPTOR_LOUDNESS_MEAN] = scaled(loudness, -90, 0);
    out[ATTUNE_DESCRIPTOR_LOUDNESS_DEVIATION] = scaled(deviation, -90, 0);
    for (int i = 0; i < ATTUNE_CHROMA_DESCRIPTORS; i++) {
        out[ATTUNE_DESCRIPTOR_MINOR_SECOND + i] = (float)chroma[i];
    }
    return true;
}
