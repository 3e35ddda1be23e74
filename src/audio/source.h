/* source.h - an audio file's container and the decoder of the stream that the ffmpeg command would
 * take. */
#ifndef ATTUNE_SRC_AUDIO_SOURCE_H
#define ATTUNE_SRC_AUDIO_SOURCE_H

#include "attune/audio.h"
#include "audio/clock.h"
#include "audio/file.h"
#include "audio/log.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

typedef struct attune_audio_source {
    attune_audio_file file;
    attune_audio_clock clock; /* clock and log are entered by the caller around every call */
    attune_audio_log log;
    AVFormatContext *format;
    AVCodecContext *decoder;
    int stream_index;
    int64_t declared_bytes; /* of samples, by the header: see length.h */
    bool has_checksums;     /* the decoder checks them, and logs an error for a frame that it gives
                               anyway */
} attune_audio_source;

/* Opens file, container and decoder. When the file cannot be used, result->status and result->error
 * say why and the return is ATTUNE_OK all the same. `source` can be closed either way and must not
 * move. */
attune_status attune_audio_source_open(attune_audio_source *source, const attune_audio_place *place,
                                       attune_audio_result *result);

/* Sets result->status and, as one line, result->error: "<what>: <code in words>: <what libav
 * logged>". A clock that has expired turns it into a timeout. */
void attune_audio_source_fail(attune_audio_source *source, attune_audio_result *result,
                              attune_track_status status, int code, const char *what);

/* "<code in words>: <what libav logged>". */
void attune_audio_source_reason(const attune_audio_source *source, char reason[384], int code);

/* True if at `place` there is a container with an audio stream that has a decoder. */
bool attune_audio_source_probe(attune_audio_source *source, const attune_audio_place *place);

void attune_audio_source_close(attune_audio_source *source);

#endif
