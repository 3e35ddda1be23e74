/* audio.h - any audio file as mono f32 samples, streamed.
 *
 * The samples are, bit for bit, those of `ffmpeg -i FILE -ac 1 -ar RATE -f f32le -` of the same
 * FFmpeg version: the audio stream it would choose, its downmix (not the mean: 0.7071 (L+R) for
 * stereo), its resampler, encoder delay and padding trimmed as it does. Peaks may exceed 1. Memory
 * does not grow with the file's length. With options.fast_resampling they differ by rounding.
 *
 * Of damaged files the samples are those of `ffmpeg -threads 1 -i ...`: with more decoder threads,
 * the default, the command itself loses good FLAC frames next to bad ones. Two things differ on
 * purpose: frames with a sample rate outside 1 kHz to 8 MHz count as damaged, and a playlist is not
 * followed.
 *
 * A fault of the file is no failure of the program: it ends in attune_audio_result.status, and the
 * functions still return ATTUNE_OK. They fail (ATTUNE_ENOMEM, ATTUNE_EINVAL) only when the program
 * cannot go on. An attune_audio belongs to one thread at a time; several may be used by several
 * threads. libav's log callback is ours, and it may allocate 512 MiB at once, in the whole process.
 */
#ifndef ATTUNE_AUDIO_H
#define ATTUNE_AUDIO_H

#include "attune/status.h"
#include "attune/track.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct attune_audio attune_audio;

typedef struct attune_audio_options {
    int sample_rate;        /* Hz of the output, 1000 to 768000; 22050 */
    double clip_start;      /* seconds of output to drop first, to the nearest sample; 0 */
    double clip_seconds;    /* seconds of output at most, likewise; 0 means to the end */
    double timeout_seconds; /* see attune_audio_options_default; 0 means no limit */
    /* Resample 44.1 and 48 kHz and their multiples, in mono and stereo, to 22,050 Hz by a filter of
     * our own: the same samples to about 1e-6, no longer bit for bit, in less time. Everything else
     * is as without it. Engines and jobs set it themselves, true in precision fast; false */
    bool fast_resampling;
} attune_audio_options;

/* 22,050 Hz, whole file, timeout 60 s. The time limit works against hangs, not against long files:
 * decoding may take `timeout_seconds` plus the duration of what it has decoded so far, so any file
 * that decodes at least as fast as it plays is safe, and a decoder that stands still is given up
 * after a minute. Only time spent inside this module counts. A file that still
 * plays after 100 hours is given up as well. */
ATTUNE_API void attune_audio_options_default(attune_audio_options *options);

/* What became of the file so far; final once attune_audio_read has returned no samples. The status
 * is never ATTUNE_TRACK_TOO_SHORT: frames are not known here. PARTIAL takes precedence over SILENT;
 * it also says that reading had to stop before the file's end. */
typedef struct attune_audio_result {
    attune_track_status status;
    uint64_t samples;         /* output samples delivered */
    uint64_t damaged_packets; /* not decodable and skipped, or (FLAC, TTA) of a wrong checksum */
    double duration;          /* seconds decoded up to the clip's end, those before it included */
    uint64_t size;            /* file size in bytes when opened */
    int64_t mtime_ns;         /* its modification time, ns since 1970, when opened */
    float peak;               /* largest magnitude of a delivered sample */
    char error[512];          /* one line: what failed and what FFmpeg said; "" if nothing did */
} attune_audio_result;

/* Opens `path` (raw bytes; only regular files are opened, so a FIFO cannot block), or an entry of a
 * zip or tar archive ("a.zip/b.mp3"), which is then looked up in it. `result` is the
 * caller's; it must outlive *out and is written by every call. When the file cannot be used, *out
 * is NULL, the return is ATTUNE_OK and result->status says why. `options` may be NULL for the
 * defaults. */
ATTUNE_API attune_status attune_audio_open(attune_audio **out, const char *path,
                                           const attune_audio_options *options,
                                           attune_audio_result *result);

/* Reads up to `capacity` samples; *count is 0 only at the end (or on a failure of the file: see
 * result->status). Blocks for I/O. */
ATTUNE_API attune_status attune_audio_read(attune_audio *audio, float *samples, size_t capacity,
                                           size_t *count);

/* NULL-safe. */
ATTUNE_API void attune_audio_close(attune_audio *audio);

/* True if the content of `path` is a container that FFmpeg knows with an audio stream in it that is
 * not a mere picture or text. Opens the file and reads its beginning. Never fails: what cannot be
 * read is false. */
ATTUNE_API bool attune_audio_probe(const char *path);

/* "libavformat 59.27.100, libavcodec 59.37.100, libswresample 4.7.100": the versions in use. */
ATTUNE_API const char *attune_audio_versions(void);

#ifdef __cplusplus
}
#endif
#endif
