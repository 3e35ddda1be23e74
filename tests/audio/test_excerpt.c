/* Excerpts of compressed files: a seek lands where reading from the beginning would have come to.
 */
#include "audio/excerpt.h"
#include "tests/audio/audio_files.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct excerpt_case {
    char name[16], encoder[64];
    int rate, channels, slack; /* frames by which a container's index may be wrong */
} excerpt_case;

ParameterizedTestParameters(excerpt, seeks)
{
    static excerpt_case cases[] = {
        {"x.wav", "-c:a pcm_s16le", 44100, 2, 0},
        {"x.flac", "-c:a flac", 44100, 2, 0},
        {"x.flac", "-c:a flac", 48000, 1, 1},
        {"x.mp3", "-c:a libmp3lame -b:a 128k", 44100, 2, 1152},
        {"x.ogg", "-c:a libvorbis", 44100, 2, 64},
        {"x.opus", "-c:a libopus", 48000, 2, 2},
        {"x.m4a", "-c:a aac", 44100, 2, 1024},
    };
    return cr_make_param_array(excerpt_case, cases, sizeof(cases) / sizeof(cases[0]));
}

static attune_excerpt read_part(const char *path, double start, double seconds)
{
    const attune_audio_place place = attune_audio_place_of(path);
    attune_audio_result result;
    attune_excerpt out;
    cr_assert_eq(attune_excerpt_read(&out, &place, start, seconds, &result), ATTUNE_OK);
    cr_assert(out.frames > 0, "%s: %s", path, result.error);
    return out;
}

/* Mean of the differences from `whole` at an offset, of full scale. */
static double difference(const attune_excerpt *part, const attune_excerpt *whole, long offset)
{
    double sum = 0;
    long count = 0;
    for (long k = 2000; k < (long)part->frames - 4000; k++) {
        if (offset + k >= 0 && offset + k < (long)whole->frames) {
            sum += abs(part->samples[2 * k] - whole->samples[2 * (offset + k)]);
            count++;
        }
    }
    return count > 1000 ? sum / (double)count / 32768 : INFINITY;
}

ParameterizedTest(excerpt_case *c, excerpt, seeks)
{
    char *path = temporary_path(c->name);
    need_ffmpeg();
    if (!make_audio(path, c->rate, c->channels, 10 * c->rate, c->encoder)) {
        free(path);
        skip_test("no such encoder");
    }
    attune_excerpt whole = read_part(path, 0, 60), part = read_part(path, 6, 2),
                   middle = read_part(path, -1, 2), last = read_part(path, 9.5, 2);
    cr_assert(labs((long)whole.frames - 441000) < 3000, "%zu frames", whole.frames);
    cr_assert(part.frames == 88200 && middle.frames == 88200, "%zu, %zu", part.frames,
              middle.frames);
    cr_assert(labs((long)last.frames - 88200) < 3000, "%zu frames at the end", last.frames);
    double best = INFINITY;
    for (int shift = -c->slack; shift <= c->slack; shift++) {
        best = fmin(best, difference(&part, &whole, 6 * 44100 + shift));
    }
    cr_assert(best < 0.01, "%s: off by %g", c->name, best);
    for (int shift = -c->slack; shift <= c->slack && c->channels == 1; shift++) {
        cr_assert_eq(part.samples[2 * 1000], part.samples[2 * 1000 + 1]);
    }
    free(whole.samples);
    free(part.samples);
    free(middle.samples);
    free(last.samples);
    free(path);
}

Test(excerpt, refuses)
{
    const attune_audio_place place = attune_audio_place_of("/no/such/file");
    attune_audio_result result;
    attune_excerpt out;
    cr_assert_eq(attune_excerpt_read(&out, &place, 0, 1, &result), ATTUNE_OK);
    cr_assert(out.frames == 0 && out.samples == NULL && result.status == ATTUNE_TRACK_CANNOT_OPEN &&
              result.error[0]);
}
