/* audio.c - any audio file as mono f32 samples, streamed: the public functions.
 *
 * Samples go straight into the caller's buffer when it has room for all that a frame can give, and
 * otherwise wait in `pending`, which grows to the largest frame and no further. */
#include "attune/audio.h"

#include "audio/decode.h"
#include "kernels/kernels.h"
#include "status/error.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void attune_audio_options_default(attune_audio_options *options)
{
    *options = (attune_audio_options){.sample_rate = 22050, .timeout_seconds = 60};
}

attune_status attune_audio_check_options(const attune_audio_options *options)
{
    if (options->sample_rate < 1000 || options->sample_rate > 768000) {
        return attune_fail(ATTUNE_EINVAL, "sample rate %d Hz is not within 1000 to 768000",
                           options->sample_rate);
    }
    /* 1e9 s times the rate is exact in a double and far within 64 bits. */
    if (!(options->clip_start >= 0 && options->clip_start <= 1e9) ||
        !(options->clip_seconds >= 0 && options->clip_seconds <= 1e9)) {
        return attune_fail(ATTUNE_EINVAL, "clip of %g s from %g s: both must be 0 to 1e9",
                           options->clip_seconds, options->clip_start);
    }
    if (!(options->timeout_seconds >= 0)) {
        return attune_fail(ATTUNE_EINVAL, "timeout %g s is negative", options->timeout_seconds);
    }
    return ATTUNE_OK;
}

static void set_clip(attune_audio *audio, const attune_audio_options *options)
{
    audio->clip_start = (uint64_t)llround(options->clip_start * options->sample_rate);
    audio->clip_end = UINT64_MAX;
    if (options->clip_seconds > 0) {
        int64_t length = llround(options->clip_seconds * options->sample_rate);
        audio->clip_end = audio->clip_start + (uint64_t)(length > 0 ? length : 1);
    }
}

static void enter(attune_audio *audio)
{
    attune_audio_log_enter(&audio->source.log);
    attune_audio_clock_enter(&audio->source.clock);
}

static void leave(attune_audio *audio)
{
    attune_audio_clock_leave(&audio->source.clock);
    attune_audio_log_leave();
}

static attune_audio *allocate(const attune_audio_options *options, attune_audio_result *result)
{
    attune_audio *audio = calloc(1, sizeof(*audio));
    if (!audio) {
        return NULL;
    }
    audio->result = result;
    audio->sample_rate = audio->resampler.rate_out = options->sample_rate;
    audio->source.clock.timeout_seconds = options->timeout_seconds;
    audio->source.file.descriptor = -1;
    audio->packet = av_packet_alloc();
    audio->frame = av_frame_alloc();
    if (!audio->packet || !audio->frame) {
        attune_audio_close(audio);
        return NULL;
    }
    set_clip(audio, options);
    return audio;
}

attune_status attune_audio_open(attune_audio **out, const char *path,
                                const attune_audio_options *options, attune_audio_result *result)
{
    assert(out && path && result);
    const attune_audio_place place = attune_audio_place_of(path);
    return attune_audio_open_at(out, &place, options, result);
}

attune_status attune_audio_open_at(attune_audio **out, const attune_audio_place *place,
                                   const attune_audio_options *options, attune_audio_result *result)
{
    attune_audio_options defaults;
    *out = NULL;
    memset(result, 0, sizeof(*result));
    if (!options) {
        attune_audio_options_default(&defaults);
        options = &defaults;
    }
    attune_status status = attune_audio_check_options(options);
    if (status != ATTUNE_OK) {
        return status;
    }
    const attune_kernels *kernels = NULL;
    status = options->fast_resampling ? attune_kernels_cpu(&kernels) : ATTUNE_OK;
    if (status != ATTUNE_OK) {
        return status;
    }
    attune_audio *audio = allocate(options, result);
    if (!audio) {
        return attune_fail(ATTUNE_ENOMEM, "%s: out of memory for decoding it", place->path);
    }
    audio->resampler.fast = kernels ? kernels->resampling : NULL;
    enter(audio);
    status = attune_audio_source_open(&audio->source, place, result);
    leave(audio);
    if (status != ATTUNE_OK || result->status != ATTUNE_TRACK_OK) {
        attune_audio_close(audio);
    } else {
        *out = audio;
    }
    return status;
}

void attune_audio_close(attune_audio *audio)
{
    if (!audio) {
        return;
    }
    attune_audio_log_enter(&audio->source.log);
    attune_resampler_close(&audio->resampler);
    av_frame_free(&audio->frame);
    av_packet_free(&audio->packet);
    attune_audio_source_close(&audio->source);
    attune_audio_log_leave();
    free(audio->pending);
    free(audio);
}

static size_t take_pending(attune_audio *audio, float *samples, size_t room)
{
    size_t left = audio->pending_count - audio->pending_read;
    size_t count = left < room ? left : room;
    if (count > 0) {
        memcpy(samples, audio->pending + audio->pending_read, count * sizeof(*samples));
        audio->pending_read += count;
    }
    return count;
}

static bool has_ended(const attune_audio *audio)
{
    return audio->phase == ATTUNE_AUDIO_END && audio->pending_read == audio->pending_count;
}

/* Samples that wait, or if there are none, those of the next step. */
static attune_status step(attune_audio *audio, float *samples, size_t *count, size_t room)
{
    *count = take_pending(audio, samples, room);
    return *count > 0 ? ATTUNE_OK : attune_audio_advance(audio, samples, count, room);
}

/* How many of `count` new samples count: none of a file that has failed. */
static size_t deliver(attune_audio *audio, attune_status status, size_t count)
{
    const attune_track_status so_far = audio->result->status;
    if (status != ATTUNE_OK || (so_far != ATTUNE_TRACK_OK && so_far != ATTUNE_TRACK_SILENT &&
                                so_far != ATTUNE_TRACK_PARTIAL)) {
        return 0;
    }
    audio->result->samples += count;
    return count;
}

attune_status attune_audio_read(attune_audio *audio, float *samples, size_t capacity, size_t *count)
{
    attune_status status = ATTUNE_OK;
    size_t filled = 0;
    assert(audio && samples && count);
    *count = 0;
    if (capacity == 0) {
        return attune_fail(ATTUNE_EINVAL, "no room for samples");
    }
    enter(audio);
    while (status == ATTUNE_OK && filled < capacity && !has_ended(audio)) {
        size_t got = 0;
        status = step(audio, samples + filled, &got, capacity - filled);
        filled += got;
    }
    leave(audio);
    *count = deliver(audio, status, filled);
    return status;
}

attune_status attune_audio_step(attune_audio *audio, float *samples, size_t *count, size_t room,
                                bool *ended)
{
    enter(audio);
    const attune_status status = step(audio, samples, count, room);
    leave(audio);
    *count = deliver(audio, status, *count);
    *ended = has_ended(audio);
    return status;
}

bool attune_audio_probe(const char *path)
{
    assert(path);
    const attune_audio_place place = attune_audio_place_of(path);
    return attune_audio_probe_at(&place);
}

bool attune_audio_probe_at(const attune_audio_place *place)
{
    attune_audio_options options;
    attune_audio_source source = {.file = {.descriptor = -1}};
    attune_audio_options_default(&options);
    source.clock.timeout_seconds = options.timeout_seconds;
    attune_audio_log_enter(&source.log);
    attune_audio_clock_enter(&source.clock);
    bool found = attune_audio_source_probe(&source, place);
    attune_audio_source_close(&source);
    attune_audio_log_leave();
    return found;
}

static char versions[96];

static void write_versions(void)
{
    unsigned format = avformat_version(), codec = avcodec_version(),
             resample = swresample_version();
    snprintf(versions, sizeof(versions),
             "libavformat %u.%u.%u, libavcodec %u.%u.%u, libswresample %u.%u.%u",
             AV_VERSION_MAJOR(format), AV_VERSION_MINOR(format), AV_VERSION_MICRO(format),
             AV_VERSION_MAJOR(codec), AV_VERSION_MINOR(codec), AV_VERSION_MICRO(codec),
             AV_VERSION_MAJOR(resample), AV_VERSION_MINOR(resample), AV_VERSION_MICRO(resample));
}

const char *attune_audio_versions(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, write_versions);
    return versions;
}
