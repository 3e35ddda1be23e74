/* track.h - one row of the output: what became of one audio file. */
#ifndef ATTUNE_TRACK_H
#define ATTUNE_TRACK_H

#include "attune/status.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, value, text): what became of a file. The values are those of the output's `/status` enum.
 *   ok             embedded
 *   partial        embedded; what could not be read or decoded was left out, `error` says what
 *   silent         embedded; no sample's magnitude reached 2^-15
 *   too_short      embedded; shorter than one frame, zero-padded to one
 *   no_audio       the file opened and has no audio stream
 *   empty          zero bytes, or an audio stream without a single sample
 *   cannot_open    not readable, not a regular file, or of no format that FFmpeg knows
 *   cannot_decode  no decoder, or no packet could be decoded
 *   nonfinite      decoded samples hold NaN or infinity
 *   timeout        decoding fell behind its time limit */
#define ATTUNE_TRACK_STATUSES(X)                                                                   \
    X(ATTUNE_TRACK_OK, 0, "ok")                                                                    \
    X(ATTUNE_TRACK_PARTIAL, 1, "partial")                                                          \
    X(ATTUNE_TRACK_SILENT, 2, "silent")                                                            \
    X(ATTUNE_TRACK_TOO_SHORT, 3, "too_short")                                                      \
    X(ATTUNE_TRACK_NO_AUDIO, 4, "no_audio")                                                        \
    X(ATTUNE_TRACK_EMPTY, 5, "empty")                                                              \
    X(ATTUNE_TRACK_CANNOT_OPEN, 6, "cannot_open")                                                  \
    X(ATTUNE_TRACK_CANNOT_DECODE, 7, "cannot_decode")                                              \
    X(ATTUNE_TRACK_NONFINITE, 8, "nonfinite")                                                      \
    X(ATTUNE_TRACK_TIMEOUT, 9, "timeout")

typedef enum attune_track_status {
#define ATTUNE_X(name, value, text) name = value,
    ATTUNE_TRACK_STATUSES(ATTUNE_X)
#undef ATTUNE_X
        ATTUNE_TRACK_STATUS_COUNT = 10
} attune_track_status;

/* What became of one file, without its embedding. */
typedef struct attune_track {
    attune_track_status status;
    uint32_t frames;  /* embedded */
    double duration;  /* seconds embedded */
    uint64_t size;    /* bytes of the file when it was read */
    int64_t mtime_ns; /* its modification time then, ns since 1970 */
    char error[512];  /* one line, "" when there is nothing to say */
} attune_track;

/* The status' name as in the output ("too_short"); "unknown" for a value that is none. */
ATTUNE_API const char *attune_track_status_name(attune_track_status status);

/* True for the statuses whose row carries an embedding: ok, partial, silent, too_short. */
ATTUNE_API bool attune_track_has_embedding(attune_track_status status);

#ifdef __cplusplus
}
#endif
#endif
