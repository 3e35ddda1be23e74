/* test_codec.c - what codecs leave of samples: nearly all at a high rate, less at a low one, each
 * in its place. */
#include "audio/codec.h"

#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { RATE = 22050, MOST = 40000 };

static const struct {
    const char *name;
    attune_codec codec;
} codecs[] = {{"MP3", ATTUNE_CODEC_MP3}, {"AAC", ATTUNE_CODEC_AAC}};

static void need_codec(attune_codec codec)
{
    if (attune_codec_check(codec) != ATTUNE_OK) {
        skip_test(attune_last_error());
    }
}

/* Three tones that come and go, and a little noise. */
static void fill(float *samples, size_t count)
{
    uint64_t random = 3;
    random_fill(&random, samples, count, 0.01f);
    for (size_t i = 0; i < count; i++) {
        const double t = (double)i / RATE, swell = 0.5 - 0.5 * cos(2 * M_PI * 3 * t);
        samples[i] +=
            (float)(0.3 * swell * sin(2 * M_PI * 440 * t) +
                    0.2 * (1 - swell) * sin(2 * M_PI * 1310 * t) + 0.1 * sin(2 * M_PI * 91 * t));
    }
}

/* dB of the samples over what `made` differs by, when it is moved by `shift`. */
static double likeness(const float *samples, const float *made, size_t count, int shift)
{
    double signal = 0, error = 0;
    for (size_t i = 2000; i + 2000 < count; i++) {
        const double x = (double)samples[i], d = x - (double)made[(int)i + shift];
        signal += x * x;
        error += d * d;
    }
    return 10 * log10(signal / error);
}

Test(codec, samples_stay_in_their_place)
{
    static float samples[MOST], high[MOST], low[MOST], again[MOST];
    fill(samples, MOST);
    for (size_t c = 0; c < sizeof(codecs) / sizeof(*codecs); c++) {
        need_codec(codecs[c].codec);
        memcpy(high, samples, sizeof(samples));
        memcpy(low, samples, sizeof(samples));
        memcpy(again, samples, sizeof(samples));
        cr_assert_eq(attune_codec_pass(high, MOST, RATE, codecs[c].codec, 96000), ATTUNE_OK);
        cr_assert_eq(attune_codec_pass(low, MOST, RATE, codecs[c].codec, 24000), ATTUNE_OK);
        cr_assert_eq(attune_codec_pass(again, MOST, RATE, codecs[c].codec, 24000), ATTUNE_OK);
        cr_assert_arr_eq(low, again, sizeof(low), "%s: other bits", codecs[c].name);
        const double here = likeness(samples, high, MOST, 0);
        cr_assert(here > 20, "%s: %.1f dB", codecs[c].name, here);
        cr_assert(likeness(samples, low, MOST, 0) < here - 3, "%s: no worse at 24 kbit/s",
                  codecs[c].name);
        for (int shift = -3; shift <= 3; shift++) {
            cr_assert(shift == 0 || likeness(samples, high, MOST, shift) < here - 6,
                      "%s: moved by %d", codecs[c].name, shift);
        }
    }
}

Test(codec, clips_of_any_length)
{
    static const size_t counts[] = {1, 2, 575, 576, 577, 1023, 1025, 2048, 5000};
    float samples[5001];
    for (size_t c = 0; c < sizeof(codecs) / sizeof(*codecs); c++) {
        need_codec(codecs[c].codec);
        for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
            fill(samples, counts[i]);
            samples[counts[i]] = 77;
            cr_assert_eq(attune_codec_pass(samples, counts[i], RATE, codecs[c].codec, 48000),
                         ATTUNE_OK, "%s of %zu samples: %s", codecs[c].name, counts[i],
                         attune_last_error());
            cr_assert_eq(samples[counts[i]], 77.0f);
            for (size_t k = 0; k < counts[i]; k++) {
                cr_assert(fabsf(samples[k]) < 2, "%s: sample %zu is %g", codecs[c].name, k,
                          (double)samples[k]);
            }
        }
    }
}
