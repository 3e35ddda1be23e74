/* audio_files.c - audio files made with the ffmpeg command, and what it decodes them to. */
#include "tests/audio/audio_files.h"

#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void need_ffmpeg(void)
{
    if (run_command("command -v ffmpeg >/dev/null") != 0) {
        skip_test("there is no ffmpeg command to compare with");
    }
}

static const char *layout_of(int channels)
{
    static const char *const names[] = {"",    "mono", "stereo", "3.0", "quad",
                                        "5.0", "5.1",  "6.1",    "7.1"};
    cr_assert(channels >= 1 && channels <= 8);
    return names[channels];
}

bool make_audio(const char *path, int rate, int channels, int samples, const char *encoder)
{
    char expressions[1024] = "";
    size_t length = 0;
    for (int c = 0; c < channels; c++) {
        length += (size_t)snprintf(expressions + length, sizeof(expressions) - length,
                                   "%s0.%d*sin(%d*t*(1+t))+0.2*random(%d)-0.1", c ? "|" : "",
                                   3 + c % 5, 900 + 700 * c, c);
    }
    int failure = run_command("ffmpeg -nostdin -v quiet -y -f lavfi -i "
                              "\"aevalsrc='%s':s=%d:c=%s,atrim=end_sample=%d\" -strict -2 %s '%s'",
                              expressions, rate, layout_of(channels), samples, encoder, path);
    struct stat status;
    return failure == 0 && stat(path, &status) == 0 && status.st_size > 0;
}

decoded decode(const char *path, const attune_audio_options *options, size_t chunk)
{
    decoded out = {0};
    attune_audio *audio = NULL;
    size_t capacity = 0, got = 0;
    cr_assert_eq(attune_audio_open(&audio, path, options, &out.result), ATTUNE_OK, "%s: %s", path,
                 attune_last_error());
    while (audio) {
        if (capacity - out.count < chunk) {
            capacity = 2 * capacity + chunk;
            out.samples = realloc(out.samples, capacity * sizeof(float));
            cr_assert_not_null(out.samples);
        }
        cr_assert_eq(attune_audio_read(audio, out.samples + out.count, chunk, &got), ATTUNE_OK,
                     "%s: %s", path, attune_last_error());
        cr_assert_leq(got, chunk);
        if (got == 0) {
            break;
        }
        out.count += got;
    }
    if (audio) {
        cr_assert_eq(attune_audio_read(audio, out.samples, 1, &got), ATTUNE_OK);
        cr_assert_eq(got, 0, "%s: samples after the end", path);
    }
    cr_assert_eq(out.result.samples, out.count);
    attune_audio_close(audio);
    return out;
}

size_t assert_equals_command(const char *path, const char *input_options, int rate)
{
    attune_audio_options options;
    attune_audio_options_default(&options);
    options.sample_rate = rate;
    char *raw = temporary_path("reference.f32");
    size_t size = 0;
    /* A file that the command cannot read leaves nothing. */
    run_command(
        "rm -f '%s'; : > '%s'; ffmpeg -nostdin -v quiet %s -i '%s' -ac 1 -ar %d -f f32le -y '%s'",
        raw, raw, input_options, path, rate, raw);
    char *bytes = read_file(raw, &size);
    size_t expected = size / sizeof(float);
    decoded got = decode(path, &options, 50000);
    size_t common = got.count < expected ? got.count : expected;
    for (size_t i = 0; i < common; i++) {
        float reference;
        memcpy(&reference, bytes + i * sizeof(float), sizeof(float));
        cr_assert(memcmp(&got.samples[i], &reference, sizeof(float)) == 0,
                  "%s: sample %zu of %zu is %.9g, the command's is %.9g", path, i, expected,
                  (double)got.samples[i], (double)reference);
    }
    cr_assert_eq(got.count, expected, "%s: %zu samples, the command's are %zu (%s: %s)", path,
                 got.count, expected, attune_track_status_name(got.result.status),
                 got.result.error);
    free(bytes);
    free(raw);
    free(got.samples);
    return expected;
}

void join_files(const char *out, const char *const *parts, size_t count)
{
    char *all = NULL;
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        size_t size = 0;
        char *bytes = read_file(parts[i], &size);
        all = realloc(all, length + size);
        cr_assert_not_null(all);
        memcpy(all + length, bytes, size);
        length += size;
        free(bytes);
    }
    write_file(out, all, length);
    free(all);
}
