/* decode.c - from packet to samples, one step at a time.
 *
 * packets -> decoder -> frames -> resampler -> clip -> the caller's buffer
 *
 * The order of calls is the ffmpeg command's, also where it matters only for damaged files: a
 * packet that fails is dropped and the next one read; an error of the demuxer ends the reading like
 * the end of the file. */
#include "audio/decode.h"

#include "audio/length.h"
#include "status/error.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A demuxer may say "try again" while it gets on, and a decoder may fail while it is drained; one
 * that does so this often does not get on. */
enum { RETRIES_MAX = 10000 };

/* Samples that one frame may become: 50 minutes. A frame is some milliseconds of audio, and of 500
 * MB only in a file made to fill memory. */
enum { FRAME_SAMPLES_MAX = 1 << 26 };

/* Ends the file with a failure status. */
static void fail(attune_audio *audio, attune_track_status status, int code, const char *what)
{
    attune_audio_source_fail(&audio->source, audio->result, status, code, what);
    audio->phase = ATTUNE_AUDIO_END;
    audio->pending_count = audio->pending_read = 0;
}

/* Appends, after "; " where text precedes: "3 <noun>s<verb>; first: <first>". */
static void append(char *text, size_t capacity, uint64_t count, const char *noun, const char *verb,
                   const char *first)
{
    size_t length = strlen(text);
    if (count > 0) {
        snprintf(text + length, capacity - length, "%s%" PRIu64 " %s%s%s%s: %s",
                 length > 0 ? "; " : "", count, noun, count == 1 ? "" : "s", verb,
                 count == 1 ? "" : "; first", first);
    }
}

/* "3 damaged packets skipped; first: ...; reading stopped at 1.234 s: ..." */
static void report_damage(attune_audio *audio)
{
    attune_audio_result *result = audio->result;
    char text[4 * sizeof(result->error)] = "";
    append(text, sizeof(text), audio->skipped, "damaged packet", " skipped", audio->damage);
    append(text, sizeof(text), audio->kept, "packet", " with a wrong checksum", audio->mismatch);
    append(text, sizeof(text), audio->passed, "error", " in the container",
           audio->source.log.demuxer_text);
    if (audio->stop[0]) {
        size_t length = strlen(text);
        snprintf(text + length, sizeof(text) - length, "%s%s", length > 0 ? "; " : "", audio->stop);
    }
    result->status = ATTUNE_TRACK_PARTIAL;
    result->damaged_packets = audio->skipped + audio->kept;
    attune_one_line(result->error, sizeof(result->error), text);
}

static void note_damage(attune_audio *audio, int code)
{
    if (audio->skipped++ == 0) {
        attune_audio_source_reason(&audio->source, audio->damage, code);
    }
    report_damage(audio);
}

/* Notes a frame whose checksum is wrong. The command uses such frames, and so do we. */
static void note_mismatch(attune_audio *audio)
{
    attune_audio_log *log = &audio->source.log;
    if (audio->source.has_checksums && log->level <= AV_LOG_ERROR) {
        if (audio->kept++ == 0) {
            snprintf(audio->mismatch, sizeof(audio->mismatch), "%s", log->text);
        }
        report_damage(audio);
        attune_audio_log_clear(log);
    }
}

/* Notes what the demuxer passed over on its way to a packet. */
static void note_passed(attune_audio *audio)
{
    if (audio->source.log.demuxer_errors > audio->passed) {
        audio->passed = audio->source.log.demuxer_errors;
        report_damage(audio);
    }
}

/* Notes that the rest of the file is not read, and why. */
static void note_stop(attune_audio *audio, int code, const char *what)
{
    char reason[384];
    attune_audio_source_reason(&audio->source, reason, code);
    snprintf(audio->stop, sizeof(audio->stop), "%s at %.3f s: %s", what,
             audio->source.clock.decoded_seconds, reason);
    report_damage(audio);
}

/* Notes that the file ends too early, which is no error to its demuxer. */
static void note_missing(attune_audio *audio)
{
    double decoded = audio->source.clock.decoded_seconds;
    double missing = attune_audio_missing_seconds(&audio->source);
    if (missing > 0) {
        snprintf(audio->stop, sizeof(audio->stop),
                 "the file ends at %.3f s, its header says %.3f s", decoded, decoded + missing);
        report_damage(audio);
    }
}

/* What could not be decoded of a file that is whole all the same was no audio. */
static void forgive(attune_audio *audio)
{
    if (audio->skipped > 0 && audio->kept == 0 && audio->passed == 0 && !audio->stop[0] &&
        attune_audio_is_whole(&audio->source)) {
        audio->result->status = ATTUNE_TRACK_OK;
        audio->result->damaged_packets = 0;
        audio->result->error[0] = '\0';
    }
}

/* The final status, when all samples have been made. */
static void finish(attune_audio *audio)
{
    attune_audio_result *result = audio->result;
    forgive(audio);
    bool damaged = result->status == ATTUNE_TRACK_PARTIAL;
    char text[sizeof(result->error)];
    audio->phase = ATTUNE_AUDIO_END;
    if (audio->position == 0 && damaged) {
        snprintf(text, sizeof(text), "nothing could be decoded: %.450s", result->error);
        fail(audio, ATTUNE_TRACK_CANNOT_DECODE, 0, text);
    } else if (audio->position == 0) {
        fail(audio, ATTUNE_TRACK_EMPTY, 0,
             audio->source.clock.decoded_seconds > 0
                 ? "too short to give a sample at the model's rate"
                 : "the audio stream holds no samples");
    } else if (audio->position <= audio->clip_start) {
        snprintf(text, sizeof(text),
                 "the clip starts at %.3f s, behind the file's end at %.3f s%s%.400s",
                 (double)audio->clip_start / audio->sample_rate, result->duration,
                 damaged ? "; " : "", result->error);
        fail(audio, ATTUNE_TRACK_EMPTY, 0, text);
    } else if (result->peak < 0x1p-15f && damaged) {
        size_t length = strlen(result->error);
        snprintf(result->error + length, sizeof(result->error) - length, "; the rest is silent");
    } else if (result->peak < 0x1p-15f) {
        result->status = ATTUNE_TRACK_SILENT;
    }
}

/* Keeps of `count` new samples those within the clip, moved to samples[0], and returns how many. */
static size_t clip(attune_audio *audio, float *samples, size_t count)
{
    uint64_t begin = audio->position;
    uint64_t end = begin + count;
    end = end < audio->clip_end ? end : audio->clip_end;
    audio->position = end;
    audio->result->duration = (double)end / audio->sample_rate;
    if (begin < audio->clip_start) {
        uint64_t skipped = (end < audio->clip_start ? end : audio->clip_start) - begin;
        begin += skipped;
        memmove(samples, samples + skipped, (size_t)(end - begin) * sizeof(*samples));
    }
    return (size_t)(end - begin);
}

/* Updates the peak; false if a sample is NaN or infinite. A float's magnitude orders like its bits
 * as an integer, and NaN and infinity come last, so that one integer maximum answers both (and
 * vectorises). */
static bool scan(attune_audio *audio, const float *samples, size_t count)
{
    int32_t largest = 0;
    for (size_t i = 0; i < count; i++) {
        int32_t bits;
        memcpy(&bits, &samples[i], sizeof(bits));
        bits &= 0x7fffffff;
        largest = bits > largest ? bits : largest;
    }
    float peak;
    memcpy(&peak, &largest, sizeof(peak));
    if (largest >= 0x7f800000) {
        return false;
    }
    audio->result->peak = peak > audio->result->peak ? peak : audio->result->peak;
    return true;
}

static attune_status reserve(attune_audio *audio, size_t capacity)
{
    if (capacity > audio->pending_capacity) {
        float *pending = realloc(audio->pending, capacity * sizeof(*pending));
        if (!pending) {
            return attune_fail_memory("a frame's samples", capacity * sizeof(*pending));
        }
        audio->pending = pending;
        audio->pending_capacity = capacity;
    }
    return ATTUNE_OK;
}

/* Converts `frame` (NULL: flushes) into samples[0..room) or, if that could be too small, into
 * `pending`. Ends the file when the clip is complete, or at the end of the flush. */
static attune_status convert(attune_audio *audio, float *samples, size_t *count, size_t room,
                             const AVFrame *frame)
{
    int bound = attune_resampler_bound(&audio->resampler, frame);
    bool direct = bound >= 0 && (size_t)bound <= room;
    *count = 0;
    if (bound > FRAME_SAMPLES_MAX) {
        char what[96];
        snprintf(what, sizeof(what), "a frame of %d samples at %d Hz",
                 frame ? frame->nb_samples : 0, frame ? frame->sample_rate : 0);
        fail(audio, ATTUNE_TRACK_CANNOT_DECODE, 0, what);
        return ATTUNE_OK;
    }
    if (!direct && bound >= 0) {
        attune_status status = reserve(audio, (size_t)bound);
        if (status != ATTUNE_OK) {
            return status;
        }
    }
    float *target = direct ? samples : audio->pending;
    int made =
        bound < 0 ? bound : attune_resampler_convert(&audio->resampler, target, bound, frame);
    if (made < 0) {
        fail(audio, ATTUNE_TRACK_CANNOT_DECODE, made, "resampling failed");
        return ATTUNE_OK;
    }
    size_t kept = clip(audio, target, (size_t)made);
    if (!scan(audio, target, kept)) {
        char what[96];
        snprintf(what, sizeof(what), "a sample before %.3f s is infinite or not a number",
                 audio->result->duration);
        fail(audio, ATTUNE_TRACK_NONFINITE, 0, what);
        return ATTUNE_OK;
    }
    if (direct) {
        *count = kept;
    } else {
        audio->pending_read = 0;
        audio->pending_count = kept;
    }
    if (audio->position >= audio->clip_end || (audio->phase == ATTUNE_AUDIO_FLUSH && made == 0)) {
        finish(audio);
    }
    return ATTUNE_OK;
}

static int read_packet(attune_audio *audio)
{
    const AVIOContext *io = audio->source.file.io;
    AVPacket *packet = audio->packet;
    int retries = 0;
    for (;;) {
        int code = av_read_frame(audio->source.format, packet);
        if (code == AVERROR(EAGAIN) && retries++ < RETRIES_MAX) {
            continue;
        }
        if (code == AVERROR_EOF && io->error < 0) {
            return io->error; /* most demuxers take a read error for the end of the file */
        }
        if (code < 0 || packet->stream_index == audio->source.stream_index) {
            return code;
        }
        av_packet_unref(packet); /* of a stream that appeared after the choice */
        if (attune_audio_clock_check(&audio->source.clock)) {
            return AVERROR_EXIT;
        }
    }
}

static void send_packet(attune_audio *audio)
{
    attune_audio_log_clear(&audio->source.log);
    int code = read_packet(audio);
    if (attune_audio_clock_check(&audio->source.clock)) {
        av_packet_unref(audio->packet);
        fail(audio, ATTUNE_TRACK_TIMEOUT, 0, "");
        return;
    }
    if (code < 0) {
        /* At a proper end nothing is logged; of a file cut short some demuxers say so. */
        if (code != AVERROR_EOF || audio->source.log.level <= AV_LOG_ERROR) {
            note_stop(audio, code, "reading stopped");
        } else {
            note_missing(audio);
        }
        audio->draining = true;
        avcodec_send_packet(audio->source.decoder, NULL);
        audio->phase = ATTUNE_AUDIO_RECEIVE;
        return;
    }
    note_passed(audio);
    attune_audio_log_clear(&audio->source.log); /* from here on it is the decoder who speaks */
    code = avcodec_send_packet(audio->source.decoder, audio->packet);
    av_packet_unref(audio->packet);
    if (code >= 0 || code == AVERROR_EOF) {
        audio->phase = ATTUNE_AUDIO_RECEIVE;
    } else {
        note_damage(audio, code);
    }
}

/* The command gives up on a file whose samples it cannot use: what came before stays. */
static void give_up(attune_audio *audio, int code)
{
    note_stop(audio, code, "decoding stopped");
    finish(audio);
}

/* Resamples audio->frame. When it is unlike the frames before, what is held of those comes first,
 * and the frame waits. */
static attune_status convert_frame(attune_audio *audio, float *samples, size_t *count, size_t room)
{
    int code = attune_resampler_prepare(&audio->resampler, audio->frame);
    attune_status status = ATTUNE_OK;
    if (code > 0) {
        audio->phase = ATTUNE_AUDIO_CONVERT;
        return convert(audio, samples, count, room, NULL);
    }
    audio->phase = ATTUNE_AUDIO_RECEIVE;
    if (code == AVERROR(ERANGE)) {
        note_damage(audio, code);
    } else if (code < 0) {
        give_up(audio, code);
    } else {
        const AVFrame *frame = audio->frame;
        audio->source.clock.decoded_seconds += (double)frame->nb_samples / frame->sample_rate;
        status = convert(audio, samples, count, room, frame);
    }
    av_frame_unref(audio->frame);
    return status;
}

static attune_status receive_frame(attune_audio *audio, float *samples, size_t *count, size_t room)
{
    AVCodecContext *decoder = audio->source.decoder;
    int code = avcodec_receive_frame(decoder, audio->frame);
    if (code == AVERROR_EOF) {
        if (!audio->draining) {
            note_stop(audio, code, "the decoder ended before the file");
        }
        audio->phase = ATTUNE_AUDIO_FLUSH;
        return ATTUNE_OK;
    }
    if (code < 0 && code != AVERROR(EAGAIN)) {
        note_damage(audio, code);
        if (!audio->draining) {
            audio->phase = ATTUNE_AUDIO_SEND;
        } else if (audio->drain_failures++ == RETRIES_MAX) {
            audio->phase = ATTUNE_AUDIO_FLUSH;
        }
        if (attune_audio_clock_check(&audio->source.clock)) {
            fail(audio, ATTUNE_TRACK_TIMEOUT, 0, "");
        }
        return ATTUNE_OK;
    }
    if (decoder->sample_rate <= 0) {
        give_up(audio, AVERROR_INVALIDDATA);
        return ATTUNE_OK;
    }
    if (code == AVERROR(EAGAIN)) {
        audio->phase = ATTUNE_AUDIO_SEND;
        return ATTUNE_OK;
    }
    note_mismatch(audio);
    return convert_frame(audio, samples, count, room);
}

attune_status attune_audio_advance(attune_audio *audio, float *samples, size_t *count, size_t room)
{
    *count = 0;
    switch (audio->phase) {
    case ATTUNE_AUDIO_SEND:
        send_packet(audio);
        break;
    case ATTUNE_AUDIO_RECEIVE:
        return receive_frame(audio, samples, count, room);
    case ATTUNE_AUDIO_CONVERT:
        return convert_frame(audio, samples, count, room);
    case ATTUNE_AUDIO_FLUSH:
        if (attune_resampler_is_open(&audio->resampler)) {
            return convert(audio, samples, count, room, NULL);
        }
        finish(audio);
        break;
    case ATTUNE_AUDIO_END:
        break;
    }
    return ATTUNE_OK;
}
