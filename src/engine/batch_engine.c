/* batch_engine.c - frames of many tracks packed into batches for one device.
 *
 *   decoder threads                    the engine's thread
 *   track buffer -> open batch         seal -> frontend -> sequence -> finish -> done()
 *                   (pinned PCM)       (the other batch is open meanwhile)
 *
 * A track gathers ATTUNE_FRAMES_PER_CALL frames in a buffer of its own, so that it takes the
 * engine's lock once in six seconds of audio. Within a batch its pieces may lie anywhere: frames
 * are ordered by track when the batch is sealed, through the list of their starts, and so a track
 * is one segment of consecutive rows. */
#include "engine/batch_engine.h"

#include "engine/condition.h"
#include "kernels/kernels.h"
#include "status/error.h"

#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLOTS = 4096,
    IDLE_NANOSECONDS = 5000000, /* how long a batch that is not full waits for more */
};

/* A run of consecutive frames of one track in a PCM buffer. */
typedef struct piece {
    uint32_t slot, order; /* the track's slot, and the how-manieth piece of the batch this is */
    uint32_t start;       /* sample of its first frame */
    uint32_t frames;
} piece;

typedef struct batch {
    void *pcm;
    uint32_t samples, frames; /* taken so far */
    uint32_t writers;         /* threads that are copying into it */
    piece *pieces;
    uint32_t piece_count;
    bool fresh[SLOTS];         /* slots whose track has begun since the batch before */
    attune_batch_track *ended; /* tracks whose last frame is in this batch or an earlier one */
} batch;

struct attune_batch_track {
    attune_batch_engine *engine;
    attune_batch_track *next; /* in a batch's list of ended tracks */
    float *samples;           /* (capacity) */
    size_t held;
    uint64_t total, frames;
    uint32_t slot;
    attune_track_done done;
    void *user;
};

struct attune_batch_engine {
    const attune_batch_kernels *kernels;
    void *context;
    attune_network network;
    attune_precision precision;
    attune_batch_options bounds;
    size_t capacity; /* samples of ATTUNE_FRAMES_PER_CALL frames */
    batch batches[2];
    uint32_t *starts;
    attune_segment *segments;
    uint32_t *slots;   /* of the tracks that begin or end with a batch */
    float *embeddings; /* (SLOTS, E) */
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex; /* guards all below, and the open batch */
    pthread_cond_t space;  /* a batch was opened, a slot freed, or the device failed */
    pthread_cond_t work;   /* the open batch has something, a writer is done, or closing */
    int open;              /* the batch that is being filled */
    bool closing, full;    /* full: a writer found no room */
    uint32_t free_slots[SLOTS], free_count;
    double busy;          /* seconds of computing, after the batch before */
    attune_status status; /* the device's first failure */
    char error[1024];
};

static attune_status engine_failure(attune_batch_engine *e)
{
    return attune_fail(e->status, "%s", e->error);
}

/* Notes a failure; called with the mutex held. */
static void note_failure(attune_batch_engine *e, attune_status status)
{
    if (status != ATTUNE_OK && e->status == ATTUNE_OK) {
        e->status = status;
        strcpy(e->error, attune_last_error()); /* as long as attune_last_error can be */
        pthread_cond_broadcast(&e->space);
    }
}

/* ---- tracks: any thread ---- */

attune_status attune_batch_track_begin(attune_batch_track **out, attune_batch_engine *e)
{
    *out = NULL;
    attune_batch_track *track = calloc(1, sizeof(*track));
    float *samples = malloc(e->capacity * sizeof(float));
    if (!track || !samples) {
        free(track);
        free(samples);
        return attune_fail_memory("a track's buffer", e->capacity * sizeof(float));
    }
    track->engine = e;
    track->samples = samples;
    pthread_mutex_lock(&e->mutex);
    while (e->free_count == 0 && e->status == ATTUNE_OK) {
        pthread_cond_wait(&e->space, &e->mutex);
    }
    attune_status status = e->status;
    if (status == ATTUNE_OK) {
        track->slot = e->free_slots[--e->free_count];
        e->batches[e->open].fresh[track->slot] = true;
    } else {
        status = engine_failure(e);
    }
    pthread_mutex_unlock(&e->mutex);
    if (status != ATTUNE_OK) {
        free(samples);
        free(track);
        return status;
    }
    *out = track;
    return ATTUNE_OK;
}

/* Room for `samples` samples and `frames` frames in the open batch; called with the mutex held, may
 * wait. */
static batch *reserve(attune_batch_engine *e, uint32_t samples, uint32_t frames)
{
    for (;;) {
        batch *b = &e->batches[e->open];
        if (e->status != ATTUNE_OK) {
            return NULL;
        }
        if (b->samples + samples <= e->bounds.pcm_samples &&
            b->frames + frames <= e->bounds.pcm_frames && b->piece_count < e->bounds.pcm_frames) {
            return b;
        }
        e->full = true;
        pthread_cond_signal(&e->work);
        pthread_cond_wait(&e->space, &e->mutex);
    }
}

static void copy_samples(const attune_batch_engine *e, void *pcm, uint32_t at, const float *from,
                         uint32_t count)
{
    if (e->precision == ATTUNE_PRECISION_EXACT) {
        memcpy((float *)pcm + at, from, count * sizeof(float));
        return;
    }
    int16_t *to = (int16_t *)pcm + at;
    for (uint32_t i = 0; i < count;
         i++) { /* Q14 holds [-2, 2): FFmpeg's downmix peaks at 1.41 and more */
        const float scaled = from[i] * 16384.0f;
        to[i] = (int16_t)lrintf(fminf(fmaxf(scaled, -32768.0f), 32767.0f));
    }
}

/* Moves the whole frames in a track's buffer into the open batch, and what is left to the buffer's
 * front. */
static attune_status emit_frames(attune_batch_track *track)
{
    attune_batch_engine *e = track->engine;
    const size_t N = (size_t)e->network.frame_size, hop = (size_t)e->network.hop_size;
    if (track->held < N) {
        return ATTUNE_OK;
    }
    const uint32_t F = (uint32_t)((track->held - N) / hop + 1);
    const uint32_t samples = (uint32_t)((F - 1) * hop + N);
    pthread_mutex_lock(&e->mutex);
    batch *b = reserve(e, samples, F);
    if (!b) {
        attune_status status = engine_failure(e);
        pthread_mutex_unlock(&e->mutex);
        return status;
    }
    const uint32_t start = b->samples;
    b->samples += samples;
    b->frames += F;
    b->pieces[b->piece_count] =
        (piece){.slot = track->slot, .order = b->piece_count, .start = start, .frames = F};
    b->piece_count++;
    b->writers++;
    pthread_mutex_unlock(&e->mutex);
    copy_samples(e, b->pcm, start, track->samples, samples);
    pthread_mutex_lock(&e->mutex);
    b->writers--;
    pthread_cond_signal(&e->work);
    pthread_mutex_unlock(&e->mutex);
    track->held -= F * hop;
    memmove(track->samples, track->samples + F * hop, track->held * sizeof(float));
    track->frames += F;
    return ATTUNE_OK;
}

float *attune_batch_track_space(attune_batch_track *track, size_t *count)
{
    *count = track->engine->capacity - track->held;
    return track->samples + track->held;
}

attune_status attune_batch_track_advance(attune_batch_track *track, size_t count)
{
    track->held += count;
    track->total += count;
    return track->held == track->engine->capacity ? emit_frames(track) : ATTUNE_OK;
}

static void free_track(attune_batch_track *track)
{
    free(track->samples);
    free(track);
}

/* Gives a track's slot back; called with the mutex held. */
static void release_slot(attune_batch_engine *e, uint32_t slot)
{
    e->free_slots[e->free_count++] = slot;
    pthread_cond_broadcast(&e->space);
}

void attune_batch_track_abandon(attune_batch_track *track)
{
    if (track) {
        /* Frames that it has in a batch will move its slot's state: the slot is free only after
         * them, so the track ends as any other, unheard. */
        if (track->frames > 0) {
            attune_batch_track_end(track, NULL, NULL);
            return;
        }
        attune_batch_engine *e = track->engine;
        pthread_mutex_lock(&e->mutex);
        release_slot(e, track->slot);
        pthread_mutex_unlock(&e->mutex);
        free_track(track);
    }
}

/* Tells a track's owner and frees it. */
static void deliver(attune_batch_track *track, attune_status status, const float *embedding)
{
    if (track->done) {
        track->done(track->user, status, embedding, track->frames);
    }
    free_track(track);
}

void attune_batch_track_end(attune_batch_track *track, attune_track_done done, void *user)
{
    attune_batch_engine *e = track->engine;
    const size_t N = (size_t)e->network.frame_size;
    attune_status status = ATTUNE_OK;
    track->done = done;
    track->user = user;
    if (track->total == 0) {
        status = attune_fail(ATTUNE_EINVAL, "a track without samples has no embedding");
    } else if (track->total < N) {
        memset(track->samples + track->held, 0, (N - track->held) * sizeof(float));
        track->held = N;
    }
    if (status == ATTUNE_OK && done) {
        status = emit_frames(track);
    }
    pthread_mutex_lock(&e->mutex);
    if (status == ATTUNE_OK && e->status != ATTUNE_OK) {
        status = engine_failure(e);
    }
    if (status == ATTUNE_OK) {
        track->next = e->batches[e->open].ended;
        e->batches[e->open].ended = track;
        pthread_cond_signal(&e->work);
    } else {
        release_slot(e, track->slot);
    }
    pthread_mutex_unlock(&e->mutex);
    if (status != ATTUNE_OK) {
        deliver(track, status, NULL);
    }
}

/* ---- batches: the engine's thread ---- */

static int compare_pieces(const void *a, const void *b)
{
    const piece *x = a, *y = b;
    return x->slot != y->slot ? (x->slot > y->slot) - (x->slot < y->slot)
                              : (x->order > y->order) - (x->order < y->order);
}

/* Frames by track in e->starts, a segment for each track in e->segments; returns how many. */
static uint32_t arrange(attune_batch_engine *e, batch *b)
{
    uint32_t row = 0, segments = 0;
    qsort(b->pieces, b->piece_count, sizeof(*b->pieces), compare_pieces);
    for (uint32_t p = 0; p < b->piece_count; p++) {
        const piece *run = &b->pieces[p];
        if (p == 0 || run->slot != b->pieces[p - 1].slot) {
            e->segments[segments++] = (attune_segment){.slot = run->slot, .first = row};
        }
        e->segments[segments - 1].count += run->frames;
        for (uint32_t f = 0; f < run->frames; f++) {
            e->starts[row++] = run->start + f * (uint32_t)e->network.hop_size;
        }
    }
    return segments;
}

static attune_status begin_tracks(attune_batch_engine *e, batch *b)
{
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        if (b->fresh[slot]) {
            e->slots[count++] = slot;
        }
    }
    memset(b->fresh, 0, sizeof(b->fresh));
    return count ? e->kernels->begin(e->context, e->slots, count) : ATTUNE_OK;
}

static attune_status send_batch(attune_batch_engine *e, int index)
{
    batch *b = &e->batches[index];
    attune_status status = begin_tracks(e, b);
    if (b->frames == 0 || status != ATTUNE_OK) {
        return status;
    }
    const uint32_t segments = arrange(e, b);
    status = e->kernels->wait_features(e->context, index);
    if (status == ATTUNE_OK) {
        status = e->kernels->frontend(e->context, index, e->starts, b->frames, index, 0);
    }
    if (status == ATTUNE_OK) {
        status = e->kernels->sequence(e->context, index, e->segments, segments);
    }
    return status;
}

/* Embeddings of the tracks that ended with a batch, to their owners. */
static void finish_tracks(attune_batch_engine *e, attune_batch_track *ended, attune_status status)
{
    uint32_t count = 0;
    for (attune_batch_track *t = ended; t; t = t->next) {
        e->slots[count++] = t->slot;
    }
    if (count > 0 && status == ATTUNE_OK) {
        status = e->kernels->finish(e->context, e->embeddings, e->slots, count);
    }
    pthread_mutex_lock(&e->mutex);
    note_failure(e, status);
    for (uint32_t i = 0; i < count; i++) {
        release_slot(e, e->slots[i]);
    }
    pthread_mutex_unlock(&e->mutex);
    for (uint32_t i = 0; ended; i++) {
        attune_batch_track *next = ended->next;
        deliver(ended, status, e->embeddings + (size_t)i * e->network.embedding);
        ended = next;
    }
}

/* Waits, with the mutex held, until the open batch is worth sending: full, or ended tracks or
 * frames wait in it and no more came for a while. */
static void wait_for_work(attune_batch_engine *e)
{
    for (;;) {
        const batch *b = &e->batches[e->open];
        const bool something = b->frames > 0 || b->ended;
        if (e->full || (e->closing && b->writers == 0)) {
            return;
        }
        const uint32_t frames = b->frames;
        if (!something) {
            pthread_cond_wait(&e->work, &e->mutex);
            continue;
        }
        if (attune_condition_wait(&e->work, &e->mutex, IDLE_NANOSECONDS) != 0 &&
            frames == e->batches[e->open].frames) {
            return;
        }
    }
}

static void *run_batches(void *argument)
{
    attune_batch_engine *e = argument;
    pthread_mutex_lock(&e->mutex);
    for (;;) {
        wait_for_work(e);
        const int index = e->open;
        batch *b = &e->batches[index], *other = &e->batches[1 - index];
        if (e->closing && b->frames == 0 && !b->ended) {
            break;
        }
        pthread_mutex_unlock(&e->mutex);
        attune_status status = e->kernels->wait_pcm(e->context, 1 - index);
        pthread_mutex_lock(&e->mutex);
        note_failure(e, status);
        other->samples = other->frames = other->piece_count = 0;
        e->open = 1 - index;
        e->full = false;
        pthread_cond_broadcast(&e->space);
        while (b->writers > 0) {
            pthread_cond_wait(&e->work, &e->mutex);
        }
        attune_batch_track *ended = b->ended;
        b->ended = NULL;
        status = e->status == ATTUNE_OK ? ATTUNE_OK : engine_failure(e);
        pthread_mutex_unlock(&e->mutex);
        if (status == ATTUNE_OK) {
            status = send_batch(e, index);
        }
        finish_tracks(e, ended, status);
        const double busy = e->kernels->busy_seconds(e->context);
        pthread_mutex_lock(&e->mutex);
        e->busy = busy;
    }
    pthread_mutex_unlock(&e->mutex);
    return NULL;
}

/* ---- opening and closing ---- */

/* Opens the device with batches of `frames` frames. */
static attune_status open_device(attune_batch_engine *e, const attune_model *model, uint32_t frames,
                                 int ordinal, size_t memory)
{
    const attune_network *n = &e->network;
    e->bounds = (attune_batch_options){
        .ordinal = ordinal,
        .precision = e->precision,
        .pcm_samples = frames * (uint32_t)n->frame_size,
        .pcm_frames = frames,
        .feature_rows = frames,
        .segments = frames < SLOTS ? frames : SLOTS,
        .slots = SLOTS,
    };
    const size_t needed = e->kernels->memory_needed(n, &e->bounds);
    if (needed > memory) {
        return attune_fail(
            ATTUNE_ENOMEM,
            "device %s:%d: %zu MiB are needed and %zu MiB allowed; raise --gpu-memory",
            e->kernels->device, ordinal, needed >> 20, memory >> 20);
    }
    return e->kernels->open(&e->context, model, &e->bounds);
}

static attune_status allocate_batches(attune_batch_engine *e)
{
    const size_t frames = e->bounds.pcm_frames;
    e->starts = malloc(frames * sizeof(*e->starts));
    e->segments = malloc(frames * sizeof(*e->segments));
    e->slots = malloc(SLOTS * sizeof(*e->slots));
    e->embeddings = malloc(SLOTS * sizeof(float) * (size_t)e->network.embedding);
    for (int i = 0; i < 2; i++) {
        e->batches[i].pcm = e->kernels->pcm(e->context, i);
        e->batches[i].pieces = malloc(frames * sizeof(piece));
    }
    if (!e->starts || !e->segments || !e->slots || !e->embeddings || !e->batches[0].pieces ||
        !e->batches[1].pieces) {
        return attune_fail_memory("batches", frames * 64);
    }
    return ATTUNE_OK;
}

attune_status attune_batch_engine_open(attune_batch_engine **out, const attune_model *model,
                                       const attune_batch_engine_options *options)
{
    *out = NULL;
    attune_batch_engine *e = calloc(1, sizeof(*e));
    if (!e) {
        return attune_fail_memory("an engine", sizeof(*e));
    }
    e->kernels = options->kernels;
    e->precision = options->precision;
    e->network = *attune_model_network(model);
    e->capacity =
        (size_t)(ATTUNE_FRAMES_PER_CALL - 1) * e->network.hop_size + e->network.frame_size;
    pthread_mutex_init(&e->mutex, NULL);
    attune_condition_init(&e->space);
    attune_condition_init(&e->work);
    while (e->free_count < SLOTS) {
        e->free_slots[e->free_count] = SLOTS - 1 - e->free_count;
        e->free_count++;
    }
    size_t memory = options->memory;
    attune_status status = ATTUNE_OK;
    if (memory == 0) {
        status = e->kernels->memory_free(options->ordinal, &memory);
        memory = memory / 10 * 8;
    }
    for (uint32_t frames = options->batch_frames; status == ATTUNE_OK; frames /= 2) {
        status = open_device(e, model, frames, options->ordinal, memory);
        if (status != ATTUNE_ENOMEM || frames / 2 < ATTUNE_FRAMES_PER_CALL) {
            break;
        }
        status = ATTUNE_OK;
    }
    if (status == ATTUNE_OK) {
        status = allocate_batches(e);
    }
    if (status == ATTUNE_OK && pthread_create(&e->thread, NULL, run_batches, e) != 0) {
        status = attune_fail(ATTUNE_ENOMEM, "cannot start a thread");
    }
    if (status != ATTUNE_OK) {
        attune_batch_engine_close(e);
        return status;
    }
    e->started = true;
    *out = e;
    return ATTUNE_OK;
}

void attune_batch_engine_close(attune_batch_engine *e)
{
    if (!e) {
        return;
    }
    if (e->started) {
        pthread_mutex_lock(&e->mutex);
        e->closing = true;
        pthread_cond_signal(&e->work);
        pthread_mutex_unlock(&e->mutex);
        pthread_join(e->thread, NULL);
    }
    e->kernels->close(e->context);
    for (int i = 0; i < 2; i++) {
        free(e->batches[i].pieces);
    }
    free(e->starts);
    free(e->segments);
    free(e->slots);
    free(e->embeddings);
    pthread_cond_destroy(&e->space);
    pthread_cond_destroy(&e->work);
    pthread_mutex_destroy(&e->mutex);
    free(e);
}

uint32_t attune_batch_engine_load(attune_batch_engine *e)
{
    pthread_mutex_lock(&e->mutex);
    const uint32_t load = SLOTS - e->free_count;
    pthread_mutex_unlock(&e->mutex);
    return load;
}

attune_precision attune_batch_engine_precision(const attune_batch_engine *e)
{
    return e->precision;
}

const char *attune_batch_engine_name(const attune_batch_engine *e)
{
    return e->kernels->name(e->context);
}

double attune_batch_engine_busy(attune_batch_engine *e)
{
    pthread_mutex_lock(&e->mutex); /* the context itself is the engine's thread's */
    const double busy = e->busy;
    pthread_mutex_unlock(&e->mutex);
    return busy;
}
