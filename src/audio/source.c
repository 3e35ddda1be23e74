/* source.c - an audio file's container and the decoder of the stream that the ffmpeg command would
 * take.
 *
 * Every choice here follows the command, so that the samples are the same: the format is probed
 * from content and name, all streams but one are discarded, unspecified channels are taken as the
 * usual ones for their number. One decoder thread per file: many files are decoded side by side. */
#include "audio/source.h"

#include "audio/length.h"
#include "status/error.h"

#include <errno.h>
#include <libavutil/channel_layout.h>
#include <stdio.h>
#include <string.h>

/* Formats whose content names other files or addresses, or is a program to run. */
static const char *const playlists[] = {
    "hls",  "dash", "webm_dash_manifest", "concat",     "sdp", "rtp",
    "rtsp", "imf",  "avisynth",           "vapoursynth"};

void attune_audio_source_reason(const attune_audio_source *source, char reason[384], int code)
{
    char words[96] = "";
    if (av_strerror(code, words, sizeof(words)) < 0) {
        snprintf(words, sizeof(words), "error %d", code);
    }
    const char *said = source->log.text;
    snprintf(reason, 384, "%s%s%s", words, said[0] ? ": " : "", said);
}

void attune_audio_source_fail(attune_audio_source *source, attune_audio_result *result,
                              attune_track_status status, int code, const char *what)
{
    char text[sizeof(result->error)];
    char reason[384] = "";
    if (source->clock.expired && source->clock.decoded_seconds > ATTUNE_AUDIO_ENDLESS_SECONDS) {
        result->status = ATTUNE_TRACK_TIMEOUT;
        snprintf(result->error, sizeof(result->error), "still playing after %d hours",
                 ATTUNE_AUDIO_ENDLESS_SECONDS / 3600);
        return;
    }
    if (source->clock.expired) {
        result->status = ATTUNE_TRACK_TIMEOUT;
        snprintf(result->error, sizeof(result->error),
                 "decoding took more than %g s longer than what it had decoded, %.3f s",
                 source->clock.timeout_seconds, source->clock.decoded_seconds);
        return;
    }
    if (code < 0) {
        attune_audio_source_reason(source, reason, code);
    }
    snprintf(text, sizeof(text), "%s%s%s", what, reason[0] ? ": " : "", reason);
    result->status = status;
    attune_one_line(result->error, sizeof(result->error), text);
}

static int is_late(void *opaque)
{
    return attune_audio_clock_check(opaque);
}

/* libav's hook for opening further files. A file of an archive must not make us read others. */
static int refuse_open(AVFormatContext *format, AVIOContext **io, const char *url, int flags,
                       AVDictionary **options)
{
    (void)flags;
    (void)options;
    *io = NULL;
    av_log(format, AV_LOG_ERROR, "wants another file, which is not opened: %s", url);
    return AVERROR(EPERM);
}

/* Pictures are known by their names alone; their demuxer would then open the file by itself. */
static bool is_picture(const AVInputFormat *format)
{
    return strcmp(format->name, "image2") == 0;
}

static bool is_playlist(const AVInputFormat *format)
{
    for (size_t i = 0; i < sizeof(playlists) / sizeof(playlists[0]); i++) {
        if (strcmp(format->name, playlists[i]) == 0) {
            return true;
        }
    }
    return (format->flags & AVFMT_NOFILE) && !is_picture(format);
}

/* Finds out the format. Returns its probe score or an AVERROR. */
static int probe_format(attune_audio_source *source, const char *path, const AVInputFormat **input)
{
    source->format->pb = source->file.io;
    source->format->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_NONBLOCK;
    source->format->interrupt_callback = (AVIOInterruptCB){is_late, &source->clock};
    source->format->io_open = refuse_open;
    return av_probe_input_buffer2(source->file.io, input, path, source->format, 0,
                                  (unsigned)source->format->format_probesize);
}

/* Reads the container's head. Returns an AVERROR; nothing in it counts as no failure here. */
static int open_format(attune_audio_source *source, const char *path, const AVInputFormat *input)
{
    AVDictionary *options = NULL;
    /* The whitelist catches the demuxers that open files past refuse_open. */
    int code = av_dict_set(&options, "protocol_whitelist", "none", 0);
    if (code >= 0) {
        code = av_dict_set(&options, "scan_all_pmts", "1", 0); /* as the command does */
    }
    if (code >= 0) {
        code = avformat_open_input(&source->format, path, input, &options);
    }
    av_dict_free(&options);
    /* What was said of tags and the like: no audio is lost by them. */
    attune_audio_log_clear_demuxer(&source->log);
    if (code >= 0) {
        source->declared_bytes = attune_audio_declared_bytes(source->format);
        int info = avformat_find_stream_info(source->format, NULL);
        if (strcmp(source->format->iformat->name, "flv") == 0) {
            attune_audio_log_clear_demuxer(&source->log); /* its tags are a packet */
        }
        /* The command goes on with what streams it has. */
        code = source->format->nb_streams == 0 ? info : 0;
    }
    return code;
}

static bool has_audio(const AVFormatContext *format)
{
    for (unsigned i = 0; i < format->nb_streams; i++) {
        if (format->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_AUDIO) {
            return true;
        }
    }
    return false;
}

/* The command's choice: streams of which packets were seen first, then those marked as default,
 * then the one with most channels; the first among equals. -1 when none counts. */
static int choose_stream(const AVFormatContext *format)
{
    int best = -1, best_score = 0;
    for (unsigned i = 0; i < format->nb_streams; i++) {
        const AVStream *stream = format->streams[i];
        int score = stream->codecpar->ch_layout.nb_channels;
        if (stream->codecpar->codec_type != AVMEDIA_TYPE_AUDIO) {
            continue;
        }
        score += stream->event_flags & AVSTREAM_EVENT_FLAG_NEW_PACKETS ? 100000000 : 0;
        score += stream->disposition & AV_DISPOSITION_DEFAULT ? 5000000 : 0;
        if (score > best_score) {
            best_score = score;
            best = (int)i;
        }
    }
    return best;
}

static int open_decoder(attune_audio_source *source, const AVStream *stream, const AVCodec *codec)
{
    source->decoder = avcodec_alloc_context3(codec);
    if (!source->decoder) {
        return AVERROR(ENOMEM);
    }
    int code = avcodec_parameters_to_context(source->decoder, stream->codecpar);
    if (code < 0) {
        return code;
    }
    AVChannelLayout *channels = &source->decoder->ch_layout;
    if (channels->order == AV_CHANNEL_ORDER_UNSPEC) {
        av_channel_layout_default(channels, channels->nb_channels);
    }
    /* For the timestamps of frames whose encoder delay or padding has been trimmed. */
    source->decoder->pkt_timebase = stream->time_base;
    source->decoder->thread_count = 1;
    /* Only where a wrong checksum changes no sample. MP3 is left out: sound files have wrong ones.
     */
    source->has_checksums = codec->id == AV_CODEC_ID_FLAC || codec->id == AV_CODEC_ID_TTA;
    if (source->has_checksums) {
        source->decoder->err_recognition |= AV_EF_CRCCHECK;
    }
    return avcodec_open2(source->decoder, codec, NULL);
}

/* The decoder of the stream that counts; result->status tells when there is none. */
static void start_stream(attune_audio_source *source, attune_audio_result *result)
{
    AVFormatContext *format = source->format;
    char what[128];
    if (!has_audio(format)) {
        snprintf(what, sizeof(what), "no audio stream (format %.64s)", format->iformat->name);
        attune_audio_source_fail(source, result, ATTUNE_TRACK_NO_AUDIO, 0, what);
        return;
    }
    source->stream_index = choose_stream(format);
    if (source->stream_index < 0) {
        attune_audio_source_fail(source, result, ATTUNE_TRACK_CANNOT_DECODE, AVERROR_INVALIDDATA,
                                 "no packet in the audio stream");
        return;
    }
    for (unsigned i = 0; i < format->nb_streams; i++) {
        format->streams[i]->discard = AVDISCARD_ALL;
    }
    AVStream *stream = format->streams[source->stream_index];
    stream->discard = AVDISCARD_NONE;
    const AVCodec *codec = avcodec_find_decoder(stream->codecpar->codec_id);
    snprintf(what, sizeof(what), "no decoder for codec %.64s",
             avcodec_get_name(stream->codecpar->codec_id));
    if (!codec) {
        attune_audio_source_fail(source, result, ATTUNE_TRACK_CANNOT_DECODE, 0, what);
        return;
    }
    int code = open_decoder(source, stream, codec);
    if (code < 0) {
        snprintf(what, sizeof(what), "the decoder %.64s cannot start", codec->name);
        attune_audio_source_fail(source, result, ATTUNE_TRACK_CANNOT_DECODE, code, what);
    }
}

/* True when there is something to read; result->status tells when not. */
static bool open_file(attune_audio_source *source, const attune_audio_place *place,
                      attune_audio_result *result)
{
    char reason[192];
    const char *why = attune_audio_file_open(&source->file, place, &source->clock, reason);
    result->size = source->file.size;
    result->mtime_ns = source->file.mtime_ns;
    if (why) {
        attune_audio_source_fail(source, result, ATTUNE_TRACK_CANNOT_OPEN, 0, why);
    } else if (result->size == 0) {
        attune_audio_source_fail(source, result, ATTUNE_TRACK_EMPTY, 0, "zero bytes");
    }
    return !why && result->size > 0;
}

/* Opens the container; result->status tells when that cannot be. */
static void open_container(attune_audio_source *source, const char *path,
                           attune_audio_result *result)
{
    const AVInputFormat *input = NULL;
    char what[128];
    int code = probe_format(source, path, &input);
    if (code < 0) {
        attune_audio_source_fail(source, result, ATTUNE_TRACK_CANNOT_OPEN, code,
                                 "not a format that FFmpeg knows");
        return;
    }
    if (is_picture(input)) {
        attune_audio_source_fail(source, result, ATTUNE_TRACK_NO_AUDIO, 0,
                                 "no audio stream (a picture, by its name)");
        return;
    }
    if (is_playlist(input)) {
        snprintf(what, sizeof(what),
                 "is a playlist (%.32s); the files that it names are not opened", input->name);
        attune_audio_source_fail(source, result, ATTUNE_TRACK_CANNOT_OPEN, 0, what);
        return;
    }
    /* Running out of memory in here is the file's fault: a damaged one asks for absurd amounts. */
    code = open_format(source, path, input);
    if (code < 0) {
        snprintf(what, sizeof(what), "looks like %.64s but cannot be read", input->name);
        attune_audio_source_fail(source, result, ATTUNE_TRACK_CANNOT_OPEN, code, what);
    }
}

attune_status attune_audio_source_open(attune_audio_source *source, const attune_audio_place *place,
                                       attune_audio_result *result)
{
    attune_audio_log_clear(&source->log);
    if (!open_file(source, place, result)) {
        return ATTUNE_OK;
    }
    source->format = avformat_alloc_context();
    if (!source->format || !attune_audio_file_start(&source->file)) {
        return attune_fail(ATTUNE_ENOMEM, "%s: out of memory for reading it", place->path);
    }
    open_container(source, place->path, result);
    if (result->status == ATTUNE_TRACK_OK) {
        start_stream(source, result);
    }
    return ATTUNE_OK;
}

bool attune_audio_source_probe(attune_audio_source *source, const attune_audio_place *place)
{
    const char *path = place->path;
    char reason[192];
    const AVInputFormat *input = NULL;
    attune_audio_log_clear(&source->log);
    if (attune_audio_file_open(&source->file, place, &source->clock, reason) ||
        source->file.size == 0 || !attune_audio_file_start(&source->file)) {
        return false;
    }
    source->format = avformat_alloc_context();
    if (!source->format) {
        return false;
    }
    /* A lower score says "it might be": text and random bytes get it as MP3. */
    if (probe_format(source, path, &input) <= AVPROBE_SCORE_RETRY || is_playlist(input) ||
        is_picture(input) || open_format(source, path, input) < 0) {
        return false;
    }
    int index = choose_stream(source->format);
    return index >= 0 && source->format->streams[index]->codecpar->sample_rate > 0 &&
           avcodec_find_decoder(source->format->streams[index]->codecpar->codec_id);
}

void attune_audio_source_close(attune_audio_source *source)
{
    avcodec_free_context(&source->decoder);
    avformat_close_input(&source->format);
    attune_audio_file_close(&source->file);
}
