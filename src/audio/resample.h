/* resample.h - decoded frames of any format as mono f32 at one rate.
 *
 * Does what the ffmpeg command's filter graph does for `-ac 1 -ar RATE -f f32le`: one libswresample
 * context with default options, or where `fast` is set and the frames allow it a polyphase filter
 * that does the same but for rounding, made anew whenever the frames' format, rate or channels
 * change. The old one's last samples (a few tens) are then lost, because the command loses them
 * too. Functions return an AVERROR. */
#ifndef ATTUNE_SRC_AUDIO_RESAMPLE_H
#define ATTUNE_SRC_AUDIO_RESAMPLE_H

#include "audio/polyphase.h"

#include <libavutil/frame.h>
#include <libswresample/swresample.h>

typedef struct attune_resampler {
    const attune_resampling *fast; /* to use where they can be; may be NULL */
    attune_polyphase polyphase;    /* in use when its filter is not NULL, and context when not */
    SwrContext *context;           /* both NULL before the first frame */
    AVChannelLayout channels_in;   /* as the last frame had them */
    int format_in;                 /* AVSampleFormat */
    int rate_in;                   /* Hz */
    int rate_out;                  /* Hz */
    bool replaced;                 /* other frames follow, the samples held are being given */
} attune_resampler;

/* Gets ready for `frame`; 0 when it is. Above 0 when the frames before it were others, of which
 * samples may still be held: they are to be converted with NULL, and then this called again.
 * AVERROR(ERANGE) when its sample rate cannot be real; the next frame may be good. */
int attune_resampler_prepare(attune_resampler *resampler, const AVFrame *frame);

/* How many samples the next convert of `frame` (NULL: a flush) can give at most. */
int attune_resampler_bound(attune_resampler *resampler, const AVFrame *frame);

/* Converts `frame`, or with NULL flushes; returns how many samples it wrote to `out`, at most
 * `room`. A flush is repeated until it gives 0. */
int attune_resampler_convert(attune_resampler *resampler, float *out, int room,
                             const AVFrame *frame);

/* True once a frame has been taken, and there is something to flush. */
bool attune_resampler_is_open(const attune_resampler *resampler);

void attune_resampler_close(attune_resampler *resampler);

#endif
