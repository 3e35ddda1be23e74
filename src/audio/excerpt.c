/* excerpt.c - seek, decode, resample. What is promised is in excerpt.h. */
#include "audio/excerpt.h"

#include "audio/source.h"
#include "status/error.h"

#include <errno.h>
#include <libavutil/channel_layout.h>
#include <libswresample/swresample.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Decoders need some packets before the first good sample: the seek goes as far ahead. */
static const double run_up_seconds = 0.5;

/* Packets or frames in a row that may fail before a file is given up. */
enum { FAILURES_MAX = 1000 };

/* One excerpt while it is made. */
typedef struct cutter {
    attune_audio_source source;
    SwrContext *resampler; /* for frames like the last one */
    AVChannelLayout channels;
    int format, rate;
    AVPacket *packet;
    AVFrame *frame;
    attune_excerpt *out;
    size_t wanted;   /* frames in all */
    double start;    /* seconds from the file's first sample */
    double position; /* of the next frame, where that is known by counting */
    int failures;    /* in a row */
} cutter;

static void close_cutter(cutter *c)
{
    swr_free(&c->resampler);
    av_channel_layout_uninit(&c->channels);
    av_frame_free(&c->frame);
    av_packet_free(&c->packet);
    attune_audio_source_close(&c->source);
}

/* ---- samples ---- */

static int open_resampler(cutter *c, const AVFrame *frame)
{
    AVChannelLayout stereo = AV_CHANNEL_LAYOUT_STEREO;
    if (c->resampler && c->format == frame->format && c->rate == frame->sample_rate &&
        av_channel_layout_compare(&c->channels, &frame->ch_layout) == 0) {
        return 0;
    }
    swr_free(&c->resampler);
    c->format = frame->format;
    c->rate = frame->sample_rate;
    int code = av_channel_layout_copy(&c->channels, &frame->ch_layout);
    if (code >= 0) {
        code = swr_alloc_set_opts2(&c->resampler, &stereo, AV_SAMPLE_FMT_S16, ATTUNE_EXCERPT_RATE,
                                   &c->channels, c->format, c->rate, 0, NULL);
    }
    if (code >= 0 && c->channels.nb_channels == 1) { /* as loud as stereo with all in the middle */
        static const double both[ATTUNE_EXCERPT_CHANNELS] = {1, 1};
        code = swr_set_matrix(c->resampler, both, 1);
    }
    return code < 0 ? code : swr_init(c->resampler);
}

/* Converts samples behind the first `skipped` of a frame; NULL: what the resampler still holds. */
static int convert(cutter *c, const AVFrame *frame, int skipped)
{
    enum { PLANES_MAX = 64 };
    const uint8_t *planes[PLANES_MAX] = {NULL};
    const size_t room = c->wanted - c->out->frames;
    uint8_t *to = (uint8_t *)(c->out->samples + ATTUNE_EXCERPT_CHANNELS * c->out->frames);
    if (frame) {
        const int channels = frame->ch_layout.nb_channels;
        const bool planar = av_sample_fmt_is_planar(c->format);
        const int width = av_get_bytes_per_sample(c->format) * (planar ? 1 : channels);
        if (channels > PLANES_MAX) {
            return AVERROR(ERANGE);
        }
        for (int i = 0; i < (planar ? channels : 1); i++) {
            planes[i] = frame->extended_data[i] + (size_t)skipped * width;
        }
    }
    const int got = swr_convert(c->resampler, &to, (int)room, frame ? planes : NULL,
                                frame ? frame->nb_samples - skipped : 0);
    c->out->frames += got > 0 ? (size_t)got : 0;
    return got;
}

/* Where a frame begins, in seconds from the file's first sample. */
static double time_of(const cutter *c, const AVFrame *frame)
{
    const AVStream *stream = c->source.format->streams[c->source.stream_index];
    const int64_t first = stream->start_time == AV_NOPTS_VALUE ? 0 : stream->start_time;
    return frame->best_effort_timestamp == AV_NOPTS_VALUE
               ? c->position
               : (double)(frame->best_effort_timestamp - first) * av_q2d(stream->time_base);
}

/* Takes of a frame what belongs to the excerpt. */
static int take_frame(cutter *c)
{
    const AVFrame *frame = c->frame;
    if (frame->sample_rate < 1000 || frame->sample_rate > 8000000) { /* a damaged header */
        return AVERROR(ERANGE);
    }
    const double time = time_of(c, frame), late = (c->start - time) * frame->sample_rate;
    const int skipped = late <= 0                  ? 0
                        : late < frame->nb_samples ? (int)lround(late)
                                                   : frame->nb_samples;
    c->position = time + (double)frame->nb_samples / frame->sample_rate;
    c->source.clock.decoded_seconds += (double)frame->nb_samples / frame->sample_rate;
    if (skipped == frame->nb_samples) {
        return 0;
    }
    const int code = open_resampler(c, frame);
    return code < 0 ? code : convert(c, frame, skipped);
}

/* ---- packets ---- */

static void count(cutter *c, int code)
{
    c->failures = code < 0 ? c->failures + 1 : 0;
}

/* Takes all frames that the decoder has. */
static void receive(cutter *c)
{
    int code = 0;
    while (c->out->frames < c->wanted && c->failures < FAILURES_MAX &&
           (code = avcodec_receive_frame(c->source.decoder, c->frame)) != AVERROR(EAGAIN) &&
           code != AVERROR_EOF) {
        count(c, code < 0 ? code : take_frame(c));
        av_frame_unref(c->frame);
    }
}

/* Reads until the excerpt is whole, the file ends, or too much of it is damaged. */
static void read_packets(cutter *c)
{
    int code = 0;
    while (c->out->frames < c->wanted && c->failures < FAILURES_MAX && code != AVERROR_EOF) {
        code = av_read_frame(c->source.format, c->packet);
        if (attune_audio_clock_check(&c->source.clock)) {
            av_packet_unref(c->packet);
            return;
        }
        if (code < 0 && code != AVERROR(EAGAIN)) {
            break;
        }
        if (code >= 0 && c->packet->stream_index == c->source.stream_index) {
            count(c, avcodec_send_packet(c->source.decoder, c->packet));
            receive(c);
        } else if (code < 0) {
            count(c, code);
        }
        av_packet_unref(c->packet);
    }
    avcodec_send_packet(c->source.decoder, NULL);
    receive(c);
    if (c->resampler && c->out->frames < c->wanted) {
        convert(c, NULL, 0);
    }
}

/* Puts c->start where the excerpt begins, and reads on from shortly before. */
static void seek(cutter *c, double start, double seconds)
{
    AVFormatContext *format = c->source.format;
    const double first =
        format->start_time == AV_NOPTS_VALUE ? 0 : (double)format->start_time / AV_TIME_BASE;
    const double whole =
        format->duration == AV_NOPTS_VALUE ? 0 : (double)format->duration / AV_TIME_BASE;
    const double latest = whole > seconds ? whole - seconds : 0;
    c->start = start < 0 ? latest / 2 : start < latest ? start : latest;
    if (c->start > 2 * run_up_seconds) {
        const double target = (first + c->start - run_up_seconds) * AV_TIME_BASE;
        /* Where this fails, reading goes on from where it is, the beginning. */
        av_seek_frame(format, -1, (int64_t)target, AVSEEK_FLAG_BACKWARD);
    }
}

static attune_status cut(cutter *c, const attune_audio_place *place, double start, double seconds,
                         attune_audio_result *result)
{
    c->source.file.descriptor = -1;
    c->source.clock.timeout_seconds = 60;
    c->packet = av_packet_alloc();
    c->frame = av_frame_alloc();
    c->out->frames = 0;
    if (!c->packet || !c->frame) {
        return attune_fail_memory("decoding", sizeof(*c));
    }
    const attune_status status = attune_audio_source_open(&c->source, place, result);
    if (status != ATTUNE_OK || result->status != ATTUNE_TRACK_OK) {
        return status;
    }
    seek(c, start, seconds);
    read_packets(c);
    if (c->out->frames == 0) {
        attune_audio_source_fail(&c->source, result, ATTUNE_TRACK_CANNOT_DECODE, 0,
                                 "nothing could be decoded");
    }
    return ATTUNE_OK;
}

attune_status attune_excerpt_read(attune_excerpt *out, const attune_audio_place *place,
                                  double start, double seconds, attune_audio_result *result)
{
    const size_t wanted = (size_t)(seconds * ATTUNE_EXCERPT_RATE);
    attune_status status = ATTUNE_OK;
    *out = (attune_excerpt){
        .samples = malloc((wanted + 1) * ATTUNE_EXCERPT_CHANNELS * sizeof(*out->samples))};
    *result = (attune_audio_result){0};
    if (!out->samples) {
        return attune_fail_memory("an excerpt", wanted * sizeof(int32_t));
    }
    /* A second time from the beginning, where the container is wrong about the file's length. */
    for (int i = 0; i < 2 && status == ATTUNE_OK && out->frames == 0; i++) {
        cutter c = {.out = out, .wanted = wanted};
        *result = (attune_audio_result){0};
        attune_audio_log_enter(&c.source.log);
        attune_audio_clock_enter(&c.source.clock);
        status = cut(&c, place, i == 0 ? start : 0, seconds, result);
        attune_audio_clock_leave(&c.source.clock);
        close_cutter(&c);
        attune_audio_log_leave();
    }
    if (status != ATTUNE_OK || out->frames == 0) {
        free(out->samples);
        *out = (attune_excerpt){0};
    }
    return status;
}
