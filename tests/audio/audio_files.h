/* audio_files.h - audio files made with the ffmpeg command, and what it decodes them to. */
#ifndef ATTUNE_TESTS_AUDIO_FILES_H
#define ATTUNE_TESTS_AUDIO_FILES_H

#include "attune/audio.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct decoded {
    float *samples; /* malloc'ed, (count,) */
    size_t count;
    attune_audio_result result;
} decoded;

/* Skips the test when there is no ffmpeg command. */
void need_ffmpeg(void);

/* Makes a file of `samples` samples of noise and sweeps, different in each channel, with the
 * encoder options
 * ("-c:a flac"). False when this FFmpeg has no such encoder, or it does not take such audio. */
bool make_audio(const char *path, int rate, int channels, int samples, const char *encoder);

/* Decodes a file in reads of `chunk` samples. Asserts that no call fails. */
decoded decode(const char *path, const attune_audio_options *options, size_t chunk);

/* Asserts that a file decodes to what `ffmpeg INPUT_OPTIONS -i path -ac 1 -ar rate -f f32le` gives,
 * sample for sample, and returns how many samples that is. Names the file and the first sample that
 * differs. */
size_t assert_equals_command(const char *path, const char *input_options, int rate);

/* Joins files byte by byte. */
void join_files(const char *out, const char *const *parts, size_t count);

#endif
