/* decode.c - any audio file as mono f32 samples with libav, whole, as a program that embeds would
 * write it: the decoder of the in-process peer in embed.py, which loads this file as a module.
 *
 * Shares nothing with src/audio on purpose: what is made faster there must not make the peer
 * faster. */
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswresample/swresample.h>
#include <stdlib.h>

typedef struct decoding {
    AVFormatContext *format;
    AVCodecContext *decoder;
    SwrContext *resampler;
    AVPacket *packet;
    AVFrame *frame;
    float *samples;
    size_t count, capacity;
} decoding;

int peer_decode(float **samples, size_t *count, const char *path, int rate);
void peer_free(float *samples);

static int open_decoder(decoding *d, const char *path, int *stream)
{
    const AVCodec *codec = NULL;
    int code = avformat_open_input(&d->format, path, NULL, NULL);
    if (code < 0 || (code = avformat_find_stream_info(d->format, NULL)) < 0 ||
        (code = av_find_best_stream(d->format, AVMEDIA_TYPE_AUDIO, -1, -1, &codec, 0)) < 0) {
        return code;
    }
    *stream = code;
    d->decoder = avcodec_alloc_context3(codec);
    d->packet = av_packet_alloc();
    d->frame = av_frame_alloc();
    if (!d->decoder || !d->packet || !d->frame) {
        return AVERROR(ENOMEM);
    }
    code = avcodec_parameters_to_context(d->decoder, d->format->streams[*stream]->codecpar);
    d->decoder->pkt_timebase = d->format->streams[*stream]->time_base;
    return code < 0 ? code : avcodec_open2(d->decoder, codec, NULL);
}

/* Appends a frame, or for NULL what the resampler still holds. */
static int append(decoding *d, const AVFrame *frame, int rate)
{
    if (!d->resampler) {
        AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO;
        AVFrame *f = d->frame;
        int code = swr_alloc_set_opts2(&d->resampler, &mono, AV_SAMPLE_FMT_FLT, rate, &f->ch_layout,
                                       f->format, f->sample_rate, 0, NULL);
        if (code < 0 || (code = swr_init(d->resampler)) < 0) {
            return code;
        }
    }
    const int room = swr_get_out_samples(d->resampler, frame ? frame->nb_samples : 0);
    if (room < 0) {
        return room;
    }
    if (d->count + room > d->capacity) {
        const size_t capacity = 2 * d->capacity + room;
        float *grown = realloc(d->samples, capacity * sizeof(float));
        if (!grown) {
            return AVERROR(ENOMEM);
        }
        d->samples = grown;
        d->capacity = capacity;
    }
    uint8_t *out = (uint8_t *)(d->samples + d->count);
    const int made =
        swr_convert(d->resampler, &out, room, frame ? (const uint8_t **)frame->extended_data : NULL,
                    frame ? frame->nb_samples : 0);
    d->count += made > 0 ? made : 0;
    return made;
}

/* Sends a packet, or for NULL the end, and appends the frames that come. */
static int decode(decoding *d, const AVPacket *packet, int rate)
{
    int code = avcodec_send_packet(d->decoder, packet);
    while (code >= 0 && (code = avcodec_receive_frame(d->decoder, d->frame)) >= 0) {
        code = append(d, d->frame, rate);
    }
    return code == AVERROR(EAGAIN) || code == AVERROR_EOF ? 0 : code;
}

/* Gives *count samples at `rate` Hz, to be freed with peer_free; below 0 is an AVERROR. */
int peer_decode(float **samples, size_t *count, const char *path, int rate)
{
    decoding d = {0};
    int stream = -1, code = open_decoder(&d, path, &stream);
    while (code >= 0 && (code = av_read_frame(d.format, d.packet)) >= 0) {
        code = d.packet->stream_index == stream ? decode(&d, d.packet, rate) : 0;
        av_packet_unref(d.packet);
    }
    if (code == AVERROR_EOF) {
        code = decode(&d, NULL, rate);
    }
    while (code >= 0 && d.resampler && (code = append(&d, NULL, rate)) > 0) {
    }
    swr_free(&d.resampler);
    av_frame_free(&d.frame);
    av_packet_free(&d.packet);
    avcodec_free_context(&d.decoder);
    avformat_close_input(&d.format);
    if (code < 0) {
        free(d.samples);
        return code;
    }
    *samples = d.samples;
    *count = d.count;
    return 0;
}

void peer_free(float *samples)
{
    free(samples);
}
