/* resample.c - decoded frames of any format as mono f32 at one rate. */
#include "audio/resample.h"

#include <errno.h>
#include <libavutil/channel_layout.h>
#include <libavutil/log.h>
#include <libavutil/samplefmt.h>

/* libswresample's own flush gives half a filter, a few tens of samples; more than this comes in
 * pieces. */
enum { FLUSH_SAMPLES = 4096 };

/* Hz. Beyond are damaged headers: a resampler down from gigahertz takes gigabytes, and one second
 * of samples up from 1 Hz becomes hours. DSD comes as up to 5.6 MHz. */
enum { RATE_IN_MIN = 1000, RATE_IN_MAX = 8000000 };

bool attune_resampler_is_open(const attune_resampler *resampler)
{
    return resampler->context || resampler->polyphase.filter;
}

static bool is_same(const attune_resampler *resampler, const AVFrame *frame)
{
    return attune_resampler_is_open(resampler) && resampler->format_in == frame->format &&
           resampler->rate_in == frame->sample_rate &&
           av_channel_layout_compare(&resampler->channels_in, &frame->ch_layout) == 0;
}

static int open_context(attune_resampler *resampler, const AVFrame *frame)
{
    AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO;
    int code =
        swr_alloc_set_opts2(&resampler->context, &mono, AV_SAMPLE_FMT_FLT, resampler->rate_out,
                            &resampler->channels_in, frame->format, frame->sample_rate, 0, NULL);
    return code < 0 ? code : swr_init(resampler->context);
}

int attune_resampler_prepare(attune_resampler *resampler, const AVFrame *frame)
{
    if (is_same(resampler, frame)) {
        return 0;
    }
    if (frame->sample_rate < RATE_IN_MIN || frame->sample_rate > RATE_IN_MAX) {
        av_log(NULL, AV_LOG_ERROR, "sample rate %d Hz", frame->sample_rate);
        return AVERROR(ERANGE);
    }
    if (resampler->polyphase.filter && !resampler->replaced) {
        resampler->replaced = true;
        return 1;
    }
    attune_resampler_close(resampler);
    int code = av_channel_layout_copy(&resampler->channels_in, &frame->ch_layout);
    if (code >= 0 && resampler->fast) {
        code = attune_polyphase_start(&resampler->polyphase, resampler->fast, frame,
                                      resampler->rate_out);
    }
    if (code >= 0 && !resampler->polyphase.filter) {
        code = open_context(resampler, frame);
    }
    if (code < 0) {
        attune_resampler_close(resampler);
        return code;
    }
    resampler->format_in = frame->format;
    resampler->rate_in = frame->sample_rate;
    return 0;
}

int attune_resampler_bound(attune_resampler *resampler, const AVFrame *frame)
{
    if (resampler->polyphase.filter) {
        return (int)attune_polyphase_bound(&resampler->polyphase,
                                           frame ? (size_t)frame->nb_samples : 0);
    }
    return frame ? swr_get_out_samples(resampler->context, frame->nb_samples) : FLUSH_SAMPLES;
}

int attune_resampler_convert(attune_resampler *resampler, float *out, int room,
                             const AVFrame *frame)
{
    attune_polyphase *polyphase = &resampler->polyphase;
    if (polyphase->filter) {
        return (int)(frame ? attune_polyphase_convert(polyphase, out, frame)
                           : attune_polyphase_finish(polyphase, out, !resampler->replaced));
    }
    uint8_t *planes[1] = {(uint8_t *)out};
    const uint8_t **in = frame ? (const uint8_t **)frame->extended_data : NULL;
    return swr_convert(resampler->context, planes, room, in, frame ? frame->nb_samples : 0);
}

void attune_resampler_close(attune_resampler *resampler)
{
    attune_polyphase_close(&resampler->polyphase);
    swr_free(&resampler->context);
    av_channel_layout_uninit(&resampler->channels_in);
    resampler->replaced = false;
}
