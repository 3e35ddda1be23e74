/* codec.c - a way through an encoder and a decoder of libavcodec. */
#include "audio/codec.h"

#include "audio/log.h"
#include "status/error.h"

#include <libavcodec/avcodec.h>
#include <libavutil/channel_layout.h>
#include <stdbool.h>
#include <string.h>

typedef struct pass {
    AVCodecContext *encoder, *decoder;
    AVPacket *packet;
    AVFrame *in, *out;
    const char *name;
    float *samples; /* (count): read ahead of what is written */
    size_t count, read, written;
    size_t delay; /* samples still to drop before the first */
} pass;

static const struct {
    const char *name, *encoder;
    enum AVCodecID id;
} codecs[ATTUNE_CODEC_COUNT] = {
    [ATTUNE_CODEC_MP3] = {"MP3", "libmp3lame", AV_CODEC_ID_MP3},
    [ATTUNE_CODEC_AAC] = {"AAC", "aac", AV_CODEC_ID_AAC},
};

attune_status attune_codec_check(attune_codec codec)
{
    return codec == ATTUNE_CODEC_NONE || (avcodec_find_encoder_by_name(codecs[codec].encoder) &&
                                          avcodec_find_decoder(codecs[codec].id))
               ? ATTUNE_OK
               : attune_fail(ATTUNE_ECONFIG, "FFmpeg was built without an encoder of %s (%s)",
                             codecs[codec].name, codecs[codec].encoder);
}

static attune_status fail(const pass *p, const char *what, int code)
{
    return code == AVERROR(ENOMEM)
               ? attune_fail(ATTUNE_ENOMEM, "out of memory for %s", p->name)
               : attune_fail(ATTUNE_EINTERNAL, "%s: %s: %s", p->name, what, av_err2str(code));
}

/* ---- open and close ---- */

static void pass_close(pass *p)
{
    avcodec_free_context(&p->encoder);
    avcodec_free_context(&p->decoder);
    av_packet_free(&p->packet);
    av_frame_free(&p->in);
    av_frame_free(&p->out);
}

static int open_encoder(pass *p, const AVCodec *codec, int sample_rate, int bit_rate)
{
    AVCodecContext *e = p->encoder;
    e->ch_layout = (AVChannelLayout)AV_CHANNEL_LAYOUT_MONO;
    e->sample_rate = sample_rate;
    e->sample_fmt = AV_SAMPLE_FMT_FLTP;
    e->time_base = (AVRational){1, sample_rate};
    e->bit_rate = bit_rate;
    e->thread_count = 1;
    e->flags |= AV_CODEC_FLAG_BITEXACT;
    return avcodec_open2(e, codec, NULL);
}

/* The decoder of what the encoder writes, which tells it its configuration. */
static int open_decoder(pass *p, const AVCodec *codec)
{
    AVCodecParameters *parameters = avcodec_parameters_alloc();
    int code =
        parameters ? avcodec_parameters_from_context(parameters, p->encoder) : AVERROR(ENOMEM);
    code = code < 0 ? code : avcodec_parameters_to_context(p->decoder, parameters);
    avcodec_parameters_free(&parameters);
    p->decoder->thread_count = 1;
    p->decoder->request_sample_fmt = AV_SAMPLE_FMT_FLTP;
    p->decoder->flags2 |= AV_CODEC_FLAG2_SKIP_MANUAL; /* some drop the delay, others leave it */
    return code < 0 ? code : avcodec_open2(p->decoder, codec, NULL);
}

static int open_frame(pass *p)
{
    p->in->format = p->encoder->sample_fmt;
    p->in->nb_samples = p->encoder->frame_size;
    p->in->sample_rate = p->encoder->sample_rate;
    p->in->pts = 0;
    p->in->ch_layout = (AVChannelLayout)AV_CHANNEL_LAYOUT_MONO;
    return av_frame_get_buffer(p->in, 0);
}

static attune_status pass_open(pass *p, attune_codec codec, int sample_rate, int bit_rate)
{
    const AVCodec *encoder = avcodec_find_encoder_by_name(codecs[codec].encoder),
                  *decoder = avcodec_find_decoder(codecs[codec].id);
    p->encoder = avcodec_alloc_context3(encoder);
    p->decoder = avcodec_alloc_context3(decoder);
    p->packet = av_packet_alloc();
    p->in = av_frame_alloc();
    p->out = av_frame_alloc();
    if (!p->encoder || !p->decoder || !p->packet || !p->in || !p->out) {
        return fail(p, "opening it", AVERROR(ENOMEM));
    }
    int code = open_encoder(p, encoder, sample_rate, bit_rate);
    code = code < 0 ? code : open_decoder(p, decoder);
    code = code < 0 ? code : open_frame(p);
    p->delay = code < 0 ? 0 : (size_t)p->encoder->initial_padding;
    return code < 0 ? fail(p, "opening it", code) : ATTUNE_OK;
}

/* ---- the way through ---- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Takes what the decoder has ready. What is written was read long before: the encoder holds at
 * least the delay back. */
static int take_samples(pass *p)
{
    int code = 0;
    while ((code = avcodec_receive_frame(p->decoder, p->out)) >= 0) {
        if (p->out->format != AV_SAMPLE_FMT_FLTP || p->out->ch_layout.nb_channels != 1) {
            return AVERROR_BUG;
        }
        const size_t have = (size_t)p->out->nb_samples, dropped = least(p->delay, have),
                     kept = least(have - dropped, p->count - p->written);
        memcpy(p->samples + p->written, (const float *)p->out->data[0] + dropped,
               kept * sizeof(*p->samples));
        p->delay -= dropped;
        p->written += kept;
    }
    return code == AVERROR(EAGAIN) || code == AVERROR_EOF ? 0 : code;
}

/* Decodes what the encoder has ready. */
static int take_packets(pass *p)
{
    int code = 0;
    while ((code = avcodec_receive_packet(p->encoder, p->packet)) >= 0) {
        code = avcodec_send_packet(p->decoder, p->packet);
        av_packet_unref(p->packet);
        code = code < 0 ? code : take_samples(p);
        if (code < 0) {
            return code;
        }
    }
    return code == AVERROR(EAGAIN) || code == AVERROR_EOF ? 0 : code;
}

/* Gives the encoder its next frame; behind the last sample are zeros. */
static int give_frame(pass *p)
{
    const size_t size = (size_t)p->in->nb_samples, kept = least(size, p->count - p->read);
    int code = av_frame_make_writable(p->in);
    if (code < 0) {
        return code;
    }
    float *to = (float *)p->in->data[0];
    memcpy(to, p->samples + p->read, kept * sizeof(*to));
    memset(to + kept, 0, (size - kept) * sizeof(*to));
    p->read += kept;
    code = avcodec_send_frame(p->encoder, p->in);
    p->in->pts += p->in->nb_samples;
    return code;
}

attune_status attune_codec_pass(float *samples, size_t count, int sample_rate, attune_codec codec,
                                int bit_rate)
{
    attune_status status = attune_codec_check(codec);
    if (status || codec == ATTUNE_CODEC_NONE) {
        return status;
    }
    pass p = {.name = codecs[codec].name, .samples = samples, .count = count};
    attune_audio_log said = {0};
    attune_audio_log_enter(&said);
    status = pass_open(&p, codec, sample_rate, bit_rate);
    /* Frames of zeros behind the last push everything out. */
    int code = 0;
    for (int behind = 0; !status && code >= 0 && p.written < count && behind < 8;) {
        behind += p.read == count;
        code = give_frame(&p);
        code = code < 0 ? code : take_packets(&p);
    }
    if (!status && (code < 0 || p.written < count)) {
        status = fail(&p, "coding", code < 0 ? code : AVERROR_BUG);
    }
    pass_close(&p);
    attune_audio_log_leave();
    return status;
}
