/* resample.h - decoded frames of any format as mono f32 at one rate.
 *
 * Does what the ffmpeg command's filter graph does for `-ac 1 -ar RATE -f f32le`: one libswresample
 * context with default options, made anew whenever the frames' format, rate or channels change. The
 * old one's last samples (a few tens) are then lost, because the command loses them too. Functions
 * return an AVERROR. */
#ifndef ATTUNE_SRC_AUDIO_RESAMPLE_H
#define ATTUNE_SRC_AUDIO_RESAMPLE_H

#include <libavutil/frame.h>
#include <libswresample/swresample.h>

typedef struct attune_resampler {
    SwrContext *context;         /* NULL before the first frame */
    AVChannelLayout channels_in; /* as the last frame had them */
    int format_in;               /* AVSampleFormat */
    int rate_in;                 /* Hz */
    int rate_out;                /* Hz */
} attune_resampler;

/* Gets ready for `frame`. AVERROR(ERANGE) when its sample rate cannot be real; the next frame may
 * be good. */
int attune_resampler_prepare(attune_resampler *resampler, const AVFrame *frame);

/* How many samples the next convert of `frame` (NULL: the flush) can give at most. */
int attune_resampler_bound(attune_resampler *resampler, const AVFrame *frame);

/* Converts `frame`, or with NULL flushes; returns how many samples it wrote to `out`, at most
 * `room`. A flush is repeated until it gives 0. */
int attune_resampler_convert(attune_resampler *resampler, float *out, int room,
                             const AVFrame *frame);

void attune_resampler_close(attune_resampler *resampler);

#endif
