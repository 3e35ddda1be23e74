/* tempo.c - aubio's beat tracker with bliss's settings: spectral flux over 512 samples, every 256.
 *
 * The tracker takes the first 256 samples of a window, and its gate of silence looks at all. */
#include "descriptors/tempo.h"

#include "descriptors/descriptors.h"
#include "status/error.h"

#include <math.h>
#include <stdlib.h>

enum { WINDOW = 512, HOP = 256 };

attune_status attune_tempo_create(attune_tempo *tempo)
{
    const attune_status status = attune_slide_create(&tempo->slide, WINDOW, HOP);
    tempo->window = new_fvec(WINDOW);
    tempo->beat = new_fvec(2);
    return status != ATTUNE_OK || (tempo->window && tempo->beat)
               ? status
               : attune_fail_memory("a beat tracker", WINDOW * sizeof(float));
}

static void drop_tracker(attune_tempo *tempo)
{
    if (tempo->tracker) {
        del_aubio_tempo(tempo->tracker);
        tempo->tracker = NULL;
    }
}

void attune_tempo_free(attune_tempo *tempo)
{
    drop_tracker(tempo);
    attune_slide_free(&tempo->slide);
    if (tempo->window) {
        del_fvec(tempo->window);
    }
    if (tempo->beat) {
        del_fvec(tempo->beat);
    }
    free(tempo->tempi);
}

attune_status attune_tempo_begin(attune_tempo *tempo)
{
    drop_tracker(tempo); /* it cannot be made as it was */
    attune_slide_begin(&tempo->slide, 0);
    tempo->count = 0;
    tempo->tracker = new_aubio_tempo("specflux", WINDOW, HOP, ATTUNE_DESCRIPTORS_RATE);
    return tempo->tracker ? ATTUNE_OK : attune_fail_memory("a beat tracker", 0);
}

static attune_status note_tempo(attune_tempo *tempo, float bpm)
{
    if (tempo->count == tempo->capacity) {
        const size_t capacity = tempo->capacity ? 2 * tempo->capacity : 1024;
        float *tempi = realloc(tempo->tempi, capacity * sizeof(*tempi));
        if (!tempi) {
            return attune_fail_memory("beats", capacity * sizeof(*tempi));
        }
        tempo->tempi = tempi;
        tempo->capacity = capacity;
    }
    tempo->tempi[tempo->count++] = isfinite(bpm) ? bpm : 0;
    return ATTUNE_OK;
}

attune_status attune_tempo_push(attune_tempo *tempo, const float *samples, size_t count)
{
    attune_status status = ATTUNE_OK;
    while (status == ATTUNE_OK && attune_slide_take(&tempo->slide, &samples, &count)) {
        for (int i = 0; i < WINDOW; i++) {
            tempo->window->data[i] = tempo->slide.samples[i];
        }
        aubio_tempo_do(tempo->tracker, tempo->window, tempo->beat);
        if (tempo->beat->data[0] > 0) {
            status = note_tempo(tempo, (float)aubio_tempo_get_bpm(tempo->tracker));
        }
        attune_slide_next(&tempo->slide);
    }
    return status;
}

static int compare(const void *left, const void *right)
{
    const float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

double attune_tempo_finish(attune_tempo *tempo)
{
    const size_t count = tempo->count;
    drop_tracker(tempo);
    if (count == 0) {
        return 0;
    }
    qsort(tempo->tempi, count, sizeof(*tempo->tempi), compare);
    return 0.5 * ((double)tempo->tempi[(count - 1) / 2] + (double)tempo->tempi[count / 2]);
}
