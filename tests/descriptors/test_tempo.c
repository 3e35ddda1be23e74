/* test_tempo.c - clicks of a known tempo, and the two that bliss's tests have. */
#include "descriptors/tempo.h"

#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

/* The tempo of `clicks` of `length` ones, each with silence before it, `period` samples together.
 */
static double tempo_of(int clicks, int period, int length)
{
    attune_tempo tempo = {0};
    float *samples = calloc((size_t)period, sizeof(*samples));
    for (int i = period - length; i < period; i++) {
        samples[i] = 1;
    }
    cr_assert_eq(attune_tempo_create(&tempo), ATTUNE_OK);
    cr_assert_eq(attune_tempo_begin(&tempo), ATTUNE_OK);
    for (int i = 0; i < clicks; i++) {
        cr_assert_eq(attune_tempo_push(&tempo, samples, (size_t)period), ATTUNE_OK);
    }
    const double bpm = attune_tempo_finish(&tempo);
    attune_tempo_free(&tempo);
    free(samples);
    return bpm;
}

/* aubio, whose windows are a forty-third of a beat, says 121.7 of 120, and 90.9 of 90. */
Test(tempo, clicks_are_counted)
{
    cr_assert_float_eq(tempo_of(60, 11025, 100), 120, 2);
    cr_assert_float_eq(tempo_of(60, 14700, 100), 90, 1);
    cr_assert_eq(tempo_of(4, 11025, 0), 0, "silence has a tempo");
}

/* bliss's tests expect -0.416853 and 0.86, each within 0.01, of 0 to 206 beats. */
Test(tempo, those_of_bliss)
{
    cr_assert_float_eq(2 * tempo_of(100, 22100, 100) / 206 - 1, -0.416853, 0.01);
    cr_assert_float_eq(2 * tempo_of(500, 7009, 20) / 206 - 1, 0.86, 0.01);
}

/* The tracker again, fed as bliss feeds it and not by way of our windows. */
Test(tempo, is_the_median_of_what_aubio_says_at_its_beats)
{
    enum { COUNT = 20 * 22050, MOST = 200 };
    float *samples = malloc(COUNT * sizeof(*samples));
    uint64_t state = 9;
    for (int i = 0; i < COUNT; i++) { /* noise bursts that slowly come faster */
        const double t = (double)i / 22050, beat = t * (1.6 + 0.02 * t);
        samples[i] = (float)(0.5 * exp(-12 * (beat - floor(beat)))) * random_uniform(&state);
    }
    aubio_tempo_t *tracker = new_aubio_tempo("default", 512, 256, 22050);
    fvec_t window = {.length = 512}, *beat = new_fvec(1);
    double beats[MOST];
    int count = 0;
    for (int at = 0; at + 512 <= COUNT; at += 256) {
        window.data = samples + at;
        aubio_tempo_do(tracker, &window, beat);
        if (beat->data[0] > 0 && count < MOST) { /* sorted as they come */
            const double bpm = (double)aubio_tempo_get_bpm(tracker);
            int place = count++;
            for (; place > 0 && beats[place - 1] > bpm; place--) {
                beats[place] = beats[place - 1];
            }
            beats[place] = bpm;
        }
    }
    del_aubio_tempo(tracker);
    del_fvec(beat);
    attune_tempo tempo = {0};
    cr_assert_eq(attune_tempo_create(&tempo), ATTUNE_OK);
    cr_assert_eq(attune_tempo_begin(&tempo), ATTUNE_OK);
    for (int at = 0; at < COUNT; at += 777) {
        cr_assert_eq(
            attune_tempo_push(&tempo, samples + at, (size_t)(COUNT - at < 777 ? COUNT - at : 777)),
            ATTUNE_OK);
    }
    cr_assert_gt(count, 10);
    cr_assert_lt(beats[0], beats[count - 1], "nothing to take a median of");
    const double wanted = 0.5 * (beats[(count - 1) / 2] + beats[count / 2]);
    cr_assert_eq(attune_tempo_finish(&tempo), wanted);
    attune_tempo_free(&tempo);
    free(samples);
}
