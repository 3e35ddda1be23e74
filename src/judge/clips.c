/* clips.c - slots, one a song, in a ring with the one used last first. */
#include "judge/clips.h"

#include "audio/excerpt.h"
#include "status/error.h"
#include "status/machine.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef enum slot_state { SLOT_EMPTY, SLOT_BUSY, SLOT_READY, SLOT_BAD } slot_state;

typedef struct slot {
    attune_clips *clips;
    attune_clip_wav *wav; /* when it is ready */
    slot_state state;
    uint32_t held;
    struct slot *newer, *older; /* of those that are ready; NULL otherwise */
    char *error;                /* of one that is bad */
    double tried;               /* when that was found, in attune_seconds */
} slot;

struct attune_clips {
    const attune_sources *sources;
    attune_clips_options options;
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* a slot is no more busy */
    slot *slots;            /* (songs) */
    uint32_t songs;
    slot ring;   /* its head: ring.older is the newest */
    size_t used; /* bytes of all that are ready */
    int cutting; /* threads that decode, at most as many as there are processors */
};

attune_status attune_clips_create(attune_clips **out, const attune_sources *sources, uint32_t songs,
                                  const attune_clips_options *options)
{
    attune_clips *clips = *out = calloc(1, sizeof(*clips));
    slot *slots = calloc(songs, sizeof(*slots));
    if (!clips || !slots) {
        free(clips);
        free(slots);
        *out = NULL;
        return attune_fail_memory("clips", songs * sizeof(*slots));
    }
    *clips =
        (attune_clips){.sources = sources, .options = *options, .slots = slots, .songs = songs};
    for (uint32_t i = 0; i < songs; i++) {
        slots[i].clips = clips;
    }
    pthread_mutex_init(&clips->mutex, NULL);
    pthread_cond_init(&clips->changed, NULL);
    clips->ring.newer = clips->ring.older = &clips->ring;
    return ATTUNE_OK;
}

static void free_wav(attune_clip_wav *wav)
{
    if (wav) {
        free(wav->bytes);
        free(wav);
    }
}

void attune_clips_free(attune_clips *clips)
{
    if (clips) {
        for (uint32_t i = 0; i < clips->songs; i++) {
            free_wav(clips->slots[i].wav);
            free(clips->slots[i].error);
        }
        pthread_cond_destroy(&clips->changed);
        pthread_mutex_destroy(&clips->mutex);
        free(clips->slots);
        free(clips);
    }
}

/* ---- a clip ---- */

static void put32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

enum { WAV_HEAD = 44 };

static void write_head(uint8_t head[WAV_HEAD], uint32_t bytes)
{
    const uint32_t frame = 2 * ATTUNE_EXCERPT_CHANNELS;
    memcpy(head, "RIFF....WAVEfmt ", 16);
    put32(head + 4, bytes + WAV_HEAD - 8);
    put32(head + 16, 16);
    put32(head + 20, 1 | ATTUNE_EXCERPT_CHANNELS << 16); /* PCM, channels */
    put32(head + 24, ATTUNE_EXCERPT_RATE);
    put32(head + 28, ATTUNE_EXCERPT_RATE * frame);
    put32(head + 32, frame | 16 << 16); /* bytes a frame, bits a sample */
    memcpy(head + 36, "data", 4);
    put32(head + 40, bytes);
}

static void find_peaks(uint8_t peaks[ATTUNE_CLIP_PEAKS], const attune_excerpt *e)
{
    for (size_t p = 0; p < ATTUNE_CLIP_PEAKS; p++) {
        const size_t begin = e->frames * p / ATTUNE_CLIP_PEAKS * ATTUNE_EXCERPT_CHANNELS;
        const size_t end = e->frames * (p + 1) / ATTUNE_CLIP_PEAKS * ATTUNE_EXCERPT_CHANNELS;
        int largest = 0;
        for (size_t i = begin; i < end; i++) {
            const int magnitude = abs(e->samples[i]);
            largest = magnitude > largest ? magnitude : largest;
        }
        peaks[p] = (uint8_t)(largest * 255 / 32768);
    }
}

static attune_clip_wav *make_wav(const attune_excerpt *e)
{
    const size_t bytes = e->frames * ATTUNE_EXCERPT_CHANNELS * sizeof(*e->samples);
    attune_clip_wav *wav = calloc(1, sizeof(*wav));
    uint8_t *text = wav ? malloc(WAV_HEAD + bytes) : NULL;
    if (!text) {
        free(wav);
        return NULL;
    }
    write_head(text, (uint32_t)bytes);
    for (size_t i = 0; i < bytes / 2; i++) { /* little endian, whatever we are */
        text[WAV_HEAD + 2 * i] = (uint8_t)((uint16_t)e->samples[i] & 0xff);
        text[WAV_HEAD + 2 * i + 1] = (uint8_t)((uint16_t)e->samples[i] >> 8);
    }
    *wav = (attune_clip_wav){.bytes = text,
                             .size = WAV_HEAD + bytes,
                             .seconds = (double)e->frames / ATTUNE_EXCERPT_RATE};
    find_peaks(wav->peaks, e);
    return wav;
}

static attune_status cut(attune_clip_wav **out, const attune_clips *clips, uint32_t song)
{
    const attune_audio_place place = attune_sources_place(clips->sources, song);
    attune_excerpt excerpt = {0};
    attune_audio_result result;
    *out = NULL;
    if (!place.path) {
        return attune_fail(ATTUNE_EDATA, "a song without a file");
    }
    attune_status status = attune_excerpt_read(&excerpt, &place, clips->options.start,
                                               clips->options.seconds, &result);
    if (status == ATTUNE_OK && excerpt.frames == 0) {
        status = attune_fail(ATTUNE_EDATA, "%s: %s: %s", place.path,
                             attune_track_status_name(result.status), result.error);
    }
    if (status == ATTUNE_OK) {
        *out = make_wav(&excerpt);
        status = *out ? ATTUNE_OK : attune_fail_memory("a clip", excerpt.frames * 4);
    }
    free(excerpt.samples);
    return status;
}

/* ---- the cache; the caller holds the mutex ---- */

static void unlink_slot(slot *s)
{
    if (s->newer) {
        s->newer->older = s->older;
        s->older->newer = s->newer;
        s->newer = s->older = NULL;
    }
}

static void use(attune_clips *clips, slot *s)
{
    unlink_slot(s);
    s->newer = &clips->ring;
    s->older = clips->ring.older;
    s->older->newer = s;
    clips->ring.older = s;
}

/* Drops the oldest that nobody holds while there is too much. */
static void shrink(attune_clips *clips)
{
    slot *next = NULL;
    for (slot *s = clips->ring.newer; s != &clips->ring && clips->used > clips->options.bytes;
         s = next) {
        next = s->newer;
        if (s->held == 0) {
            clips->used -= s->wav->size;
            unlink_slot(s);
            free_wav(s->wav);
            s->wav = NULL;
            s->state = SLOT_EMPTY;
        }
    }
}

/* Cuts the clip of a slot, without the mutex meanwhile. */
static attune_status fill(attune_clips *clips, slot *s, uint32_t song)
{
    attune_clip_wav *wav = NULL;
    s->state = SLOT_BUSY;
    while (clips->cutting >= attune_processors()) {
        pthread_cond_wait(&clips->changed, &clips->mutex);
    }
    clips->cutting++;
    pthread_mutex_unlock(&clips->mutex);
    const attune_status status = cut(&wav, clips, song);
    pthread_mutex_lock(&clips->mutex);
    clips->cutting--;
    s->state = status == ATTUNE_OK ? SLOT_READY : status == ATTUNE_EDATA ? SLOT_BAD : SLOT_EMPTY;
    if (wav) {
        wav->slot = s;
        s->wav = wav;
        clips->used += wav->size;
    }
    if (s->state == SLOT_BAD) {
        free(s->error);
        s->error = strdup(attune_last_error());
        s->tried = attune_seconds();
    }
    pthread_cond_broadcast(&clips->changed);
    return status;
}

attune_status attune_clips_hold(const attune_clip_wav **out, attune_clips *clips, uint32_t song)
{
    slot *s = &clips->slots[song];
    attune_status status = ATTUNE_OK;
    *out = NULL;
    pthread_mutex_lock(&clips->mutex);
    while (s->state == SLOT_BUSY) {
        pthread_cond_wait(&clips->changed, &clips->mutex);
    }
    if (s->state == SLOT_EMPTY ||
        (s->state == SLOT_BAD && attune_seconds() - s->tried >= ATTUNE_CLIP_BAD_SECONDS)) {
        status = fill(clips, s, song);
    }
    if (s->state == SLOT_BAD) {
        status = attune_fail(ATTUNE_EDATA, "%s", s->error ? s->error : "cannot be decoded");
    }
    if (s->state == SLOT_READY) {
        s->held++;
        *out = s->wav;
        use(clips, s);
        shrink(clips);
    }
    pthread_mutex_unlock(&clips->mutex);
    return status;
}

void attune_clips_release(const attune_clip_wav *clip)
{
    slot *s = clip->slot;
    attune_clips *clips = s->clips;
    pthread_mutex_lock(&clips->mutex);
    s->held--;
    shrink(clips);
    pthread_mutex_unlock(&clips->mutex);
}
