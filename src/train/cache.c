/* cache.c - which clips are lacking, and their decoding on a team of threads. */
#include "train/cache.h"

#include "attune/audio.h"
#include "audio/decode.h"
#include "engine/engine_buffer.h"
#include "kernels/cpu/team.h"
#include "status/error.h"
#include "status/machine.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SAMPLE_RATE = 22050 };

struct attune_clip_cache {
    attune_clip_file *file;
    size_t count;
    size_t *slots;                 /* (count), or ATTUNE_NO_SLOT */
    attune_track_status *statuses; /* (count) */
};

void attune_clip_cache_options_default(attune_clip_cache_options *options)
{
    *options = (attune_clip_cache_options){.clip_seconds = 15, .format = ATTUNE_CLIP_INT16};
}

size_t attune_clip_cache_samples(const attune_clip_cache *cache, size_t track)
{
    const size_t slot = cache->slots[track];
    return slot == ATTUNE_NO_SLOT ? 0 : attune_clip_file_get(cache->file, slot).samples;
}

attune_status attune_clip_cache_read(attune_clip_cache *cache, float *out, size_t track,
                                     size_t start, size_t count)
{
    if (cache->slots[track] == ATTUNE_NO_SLOT) {
        return attune_fail(ATTUNE_EINVAL, "track %zu has no clip: %s", track,
                           attune_track_status_name(cache->statuses[track]));
    }
    return attune_clip_file_read(cache->file, out, cache->slots[track], start, count);
}

void attune_clip_cache_close(attune_clip_cache *cache)
{
    if (cache) {
        attune_clip_file_close(cache->file);
        free(cache->slots);
        free(cache->statuses);
        free(cache);
    }
}

/* ---- decoding what is lacking ---- */

/* A filling under way. */
typedef struct filling {
    attune_clip_cache *cache;
    const attune_audio_place *places;
    const attune_clip_cache_options *options;
    attune_audio_options audio;
    size_t samples;  /* S */
    size_t *lacking; /* (progress.tracks): the tracks to decode */
    size_t *fresh;   /* (progress.tracks): their slots */
    float **buffers; /* (threads): S samples each */
    atomic_bool ended;
    pthread_mutex_t mutex; /* of what follows, of the callbacks, and of the file's notes */
    attune_clip_cache_progress progress;
    attune_status status; /* the first failure */
    char error[1024];     /* its message, of another thread */
    time_t committed;     /* when, in seconds */
} filling;

/* Ends the filling with the calling thread's failure; the first counts. */
static void fail(filling *f, attune_status status)
{
    if (status != ATTUNE_OK && f->status == ATTUNE_OK) {
        f->status = status;
        snprintf(f->error, sizeof(f->error), "%s", attune_last_error());
        atomic_store(&f->ended, true);
    }
}

static void report(filling *f)
{
    const attune_clip_cache_options *o = f->options;
    if (o->on_progress && o->on_progress(o->user, &f->progress)) {
        fail(f, attune_fail(ATTUNE_ESTOPPED,
                            "stopped with %zu of %zu clips decoded; run again to go on",
                            f->progress.decoded, f->progress.tracks));
    }
}

/* Decodes the clip of a track into `samples` (S). */
static attune_status decode(attune_audio_result *result, float *samples, const filling *f,
                            size_t track)
{
    attune_audio *audio = NULL;
    float behind = 0;
    size_t filled = 0, count = 1;
    attune_status status = attune_audio_open_at(&audio, &f->places[track], &f->audio, result);
    /* The result is final when there is nothing more to read. */
    while (status == ATTUNE_OK && audio && count > 0) {
        const size_t room = f->samples - filled;
        status = attune_audio_read(audio, room > 0 ? samples + filled : &behind,
                                   room > 0 ? room : 1, &count);
        filled += room > 0 ? count : 0;
    }
    attune_audio_close(audio);
    if (status == ATTUNE_OK && attune_track_has_embedding(result->status)) {
        if (result->peak > ATTUNE_PEAK_MAX) {
            result->status = ATTUNE_TRACK_NONFINITE;
            snprintf(result->error, sizeof(result->error), "samples reach %g: no audio",
                     (double)result->peak);
        } else if (filled == 0) {
            result->status = ATTUNE_TRACK_EMPTY;
            snprintf(result->error, sizeof(result->error), "ends before the clip begins");
        }
    }
    result->samples = filled;
    return status;
}

/* Notes a decoded track, under the mutex. */
static void take(filling *f, size_t track, size_t slot, const attune_audio_result *result,
                 uint64_t checksum)
{
    attune_clip_cache *cache = f->cache;
    const attune_clip clip = {
        .size = result->size,
        .mtime_ns = result->mtime_ns,
        .checksum = checksum,
        .samples = (uint32_t)result->samples,
        .status = result->status,
    };
    const bool good = attune_track_has_embedding(result->status);
    cache->statuses[track] = result->status;
    if (good) {
        fail(f, attune_clip_file_note(cache->file, slot, f->places[track].path, &clip));
        cache->slots[track] = slot;
    }
    f->progress.decoded++;
    f->progress.failed += !good;
    if (result->status != ATTUNE_TRACK_OK && f->options->on_track) {
        f->options->on_track(f->options->user, track, result->status, result->error);
    }
    if ((time_t)attune_seconds() - f->committed >= 2) {
        fail(f, attune_clip_file_commit(cache->file));
        f->committed = (time_t)attune_seconds();
    }
    report(f);
}

static void fill_one(void *data, int piece, int thread)
{
    filling *f = data;
    const size_t track = f->lacking[piece], slot = f->fresh[piece];
    attune_audio_result result = {0};
    uint64_t checksum = 0;
    if (atomic_load(&f->ended)) {
        return;
    }
    attune_status status = decode(&result, f->buffers[thread], f, track);
    if (status == ATTUNE_OK && attune_track_has_embedding(result.status)) {
        status = attune_clip_file_write(f->cache->file, &checksum, f->buffers[thread], slot,
                                        result.samples);
    }
    pthread_mutex_lock(&f->mutex);
    if (status == ATTUNE_OK) {
        take(f, track, slot, &result, checksum);
    } else {
        fail(f, status);
    }
    pthread_mutex_unlock(&f->mutex);
}

static int threads_for(const filling *f)
{
    const int threads = f->options->threads > 0 ? f->options->threads : attune_processors();
    return (size_t)threads > f->progress.tracks ? (int)f->progress.tracks : threads;
}

static attune_status run_team(filling *f)
{
    const int threads = threads_for(f);
    attune_team *team = NULL;
    f->buffers = calloc((size_t)threads, sizeof(*f->buffers));
    attune_status status = f->buffers ? ATTUNE_OK : attune_fail_memory("clips", sizeof(float *));
    for (int i = 0; status == ATTUNE_OK && i < threads; i++) {
        f->buffers[i] = malloc(f->samples * sizeof(float));
        status =
            f->buffers[i] ? ATTUNE_OK : attune_fail_memory("a clip", f->samples * sizeof(float));
    }
    if (status == ATTUNE_OK) {
        status = attune_team_open(&team, threads);
    }
    if (status == ATTUNE_OK) {
        attune_team_run(team, fill_one, f, (int)f->progress.tracks);
    }
    attune_team_close(team);
    for (int i = 0; f->buffers && i < threads; i++) {
        free(f->buffers[i]);
    }
    free(f->buffers);
    return status;
}

/* Decodes the lacking tracks. `dropped` are the slots of older clips of theirs. */
static attune_status fill(filling *f, const size_t *dropped)
{
    attune_clip_file *file = f->cache->file;
    attune_status status = attune_clip_file_reserve(file, dropped, f->progress.tracks);
    for (size_t i = 0; status == ATTUNE_OK && i < f->progress.tracks; i++) {
        f->fresh[i] = attune_clip_file_take(file);
    }
    if (status != ATTUNE_OK) {
        return status;
    }
    f->committed = (time_t)attune_seconds();
    pthread_mutex_init(&f->mutex, NULL);
    report(f);
    status = run_team(f);
    /* Whatever else has failed, what is decoded is kept. */
    const attune_status committed = attune_clip_file_commit(file);
    pthread_mutex_destroy(&f->mutex);
    if (f->status != ATTUNE_OK) {
        return attune_fail(f->status, "%s", f->error);
    }
    return status == ATTUNE_OK ? committed : status;
}

/* ---- opening ---- */

static attune_status check_options(attune_clip_layout *layout,
                                   const attune_clip_cache_options *options)
{
    if (!(options->clip_start >= 0 && options->clip_start <= 1e6) ||
        !(options->clip_seconds > 0 && options->clip_seconds <= 3600)) {
        return attune_fail(ATTUNE_EINVAL,
                           "clips of %g s from %g s on: they have at most 3600 s, and more than 0",
                           options->clip_seconds, options->clip_start);
    }
    const long long samples = llround(options->clip_seconds * SAMPLE_RATE);
    *layout = (attune_clip_layout){
        .format = options->format,
        .sample_rate = SAMPLE_RATE,
        .clip_start = options->clip_start,
        .clip_seconds = options->clip_seconds,
        .samples = samples > 0 ? (size_t)samples : 1,
    };
    return ATTUNE_OK;
}

/* Opens the file, when no process is writing it any more. */
static attune_status open_file(attune_clip_cache *cache, const char *path,
                               const attune_clip_layout *layout,
                               const attune_clip_cache_options *options)
{
    const attune_clip_cache_progress waiting = {.waiting = true};
    const struct timespec tenth = {.tv_nsec = 100000000};
    for (;;) {
        const attune_status status = attune_clip_file_open(&cache->file, path, layout);
        if (status != ATTUNE_ESTOPPED ||
            (options->on_progress && options->on_progress(options->user, &waiting))) {
            return status;
        }
        nanosleep(&tenth, NULL);
    }
}

/* Finds what is there and as it was; the rest is lacking. */
static void find_clips(filling *f, size_t *dropped)
{
    attune_clip_cache *cache = f->cache;
    for (size_t i = 0; i < cache->count; i++) {
        const size_t slot = attune_clip_file_find(cache->file, f->places[i].path);
        uint64_t size = 0;
        int64_t mtime_ns = 0;
        cache->slots[i] = slot;
        if (slot != ATTUNE_NO_SLOT) {
            const attune_clip clip = attune_clip_file_get(cache->file, slot);
            cache->statuses[i] = clip.status;
            /* What is not there now may be on a disk that is not. */
            if (f->places[i].failure || !attune_audio_place_look(&f->places[i], &size, &mtime_ns) ||
                (clip.size == size && clip.mtime_ns == mtime_ns)) {
                f->progress.kept++;
                continue;
            }
        }
        cache->slots[i] = ATTUNE_NO_SLOT;
        dropped[f->progress.tracks] = slot;
        f->lacking[f->progress.tracks++] = i;
    }
}

static attune_status fill_lacking(filling *f)
{
    const size_t size = (f->cache->count + 1) * sizeof(size_t);
    size_t *dropped = malloc(size);
    attune_status status = ATTUNE_OK;
    f->lacking = malloc(size);
    f->fresh = malloc(size);
    if (dropped && f->lacking && f->fresh) {
        find_clips(f, dropped);
        status = f->progress.tracks > 0 ? fill(f, dropped) : ATTUNE_OK;
    } else {
        status = attune_fail_memory("clips", size);
    }
    free(dropped);
    free(f->lacking);
    free(f->fresh);
    return status;
}

attune_status attune_clip_cache_open(attune_clip_cache **out, const char *path,
                                     const attune_audio_place *places, size_t count,
                                     const attune_clip_cache_options *options)
{
    attune_clip_layout layout;
    attune_clip_cache *cache = *out = NULL;
    attune_status status = check_options(&layout, options);
    if (status != ATTUNE_OK) {
        return status;
    }
    cache = calloc(1, sizeof(*cache));
    if (!cache) {
        return attune_fail_memory("a cache", sizeof(*cache));
    }
    filling f = {.cache = cache, .places = places, .options = options, .samples = layout.samples};
    attune_audio_options_default(&f.audio);
    f.audio.clip_start = layout.clip_start;
    f.audio.clip_seconds = layout.clip_seconds;
    f.audio.fast_resampling = layout.format == ATTUNE_CLIP_INT16;
    cache->count = count;
    cache->slots = malloc((count + 1) * sizeof(*cache->slots));
    cache->statuses = calloc(count + 1, sizeof(*cache->statuses));
    if (count >= INT32_MAX || !cache->slots || !cache->statuses) {
        status = attune_fail_memory("clips", count * sizeof(*cache->slots));
    }
    if (status == ATTUNE_OK) {
        status = open_file(cache, path, &layout, options);
    }
    if (status == ATTUNE_OK) {
        status = fill_lacking(&f);
    }
    if (status != ATTUNE_OK) {
        attune_clip_cache_close(cache);
        return status;
    }
    attune_clip_file_share(cache->file);
    *out = cache;
    return ATTUNE_OK;
}
