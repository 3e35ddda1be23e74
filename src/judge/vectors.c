/* vectors.c - names to rows of embeddings, or songs through an engine a thread. */
#include "judge/vectors.h"

#include "engine/embed_file.h"
#include "eval/space.h"
#include "status/error.h"
#include "status/machine.h"
#include "train/tracks.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static attune_status allocate(float **out, uint32_t songs, uint32_t E)
{
    const size_t count = (size_t)songs * E;
    *out = malloc(count * sizeof(**out));
    for (size_t i = 0; *out && i < count; i++) {
        (*out)[i] = NAN;
    }
    return *out ? ATTUNE_OK : attune_fail_memory("vectors", count * sizeof(**out));
}

static attune_status match(float *out, uint32_t *missing, const attune_names *songs,
                           const attune_space *space, const char *path)
{
    attune_tracks *tracks = NULL;
    attune_status status = attune_tracks_open_rows(&tracks, space->names, space->rows, space->n);
    *missing = 0;
    for (uint32_t i = 0; status == ATTUNE_OK && i < songs->count; i++) {
        uint32_t row = ATTUNE_NO_TRACK;
        status = attune_tracks_find(&row, tracks, songs->texts[i]);
        if (status == ATTUNE_OK && row != ATTUNE_NO_TRACK) {
            memcpy(out + (size_t)i * space->E, space->vectors + (size_t)row * space->E,
                   space->E * sizeof(*out));
        }
        *missing += row == ATTUNE_NO_TRACK;
    }
    attune_tracks_close(tracks);
    if (status == ATTUNE_OK && *missing == songs->count) {
        status = attune_fail(ATTUNE_EDATA, "%s: has none of the %u songs, such as %.60s", path,
                             songs->count, songs->texts[0]);
    }
    return status;
}

attune_status attune_vectors_read(float **out, uint32_t *E, uint32_t *missing,
                                  const attune_names *songs, const char *path)
{
    attune_space space = {0};
    *out = NULL;
    attune_status status = attune_space_read(&space, path, NULL, ATTUNE_SPACE_EMBEDDING);
    if (status == ATTUNE_OK) {
        attune_space_normalise(&space);
        *E = space.E;
        status = allocate(out, songs->count, space.E);
    }
    if (status == ATTUNE_OK) {
        status = match(*out, missing, songs, &space, path);
    }
    attune_space_free(&space);
    if (status != ATTUNE_OK) {
        free(*out);
        *out = NULL;
    }
    return status;
}

/* ---- by a model ---- */

/* What the threads share. */
typedef struct embedding {
    float *out;
    uint32_t E, songs;
    const attune_sources *sources;
    const attune_model *model;
    bool (*stop)(void);
    atomic_uint next, missing;
    atomic_bool failed;
} embedding;

typedef struct worker {
    pthread_t thread;
    embedding *shared;
    attune_status status;
    char error[512];
} worker;

/* One song's vector; a fault of its file leaves NaN. */
static attune_status embed_song(embedding *shared, attune_engine *engine, uint32_t song)
{
    const attune_audio_place place = attune_sources_place(shared->sources, song);
    float *vector = shared->out + (size_t)song * shared->E;
    attune_track track = {.status = ATTUNE_TRACK_CANNOT_OPEN};
    attune_status status = ATTUNE_OK;
    if (place.path) {
        status = attune_engine_embed_place(engine, &place, NULL, &track, vector);
    }
    shared->missing += status == ATTUNE_OK && !attune_track_has_embedding(track.status);
    return status;
}

static void *work(void *user)
{
    worker *w = user;
    embedding *shared = w->shared;
    attune_engine *engine = NULL;
    w->status = attune_engine_open(&engine, shared->model, NULL);
    while (w->status == ATTUNE_OK && !shared->failed) {
        const uint32_t song = shared->next++;
        if (song >= shared->songs) {
            break;
        }
        w->status = shared->stop && shared->stop()
                        ? attune_fail(ATTUNE_ESTOPPED, "stopped while embedding songs")
                        : embed_song(shared, engine, song);
    }
    attune_engine_close(engine);
    if (w->status != ATTUNE_OK) {
        shared->failed = true;
        strncpy(w->error, attune_last_error(), sizeof(w->error) - 1);
    }
    return NULL;
}

static attune_status embed_all(embedding *shared)
{
    enum { THREADS_MAX = 256 };
    worker workers[THREADS_MAX];
    const int processors = attune_processors();
    const int wanted = processors < THREADS_MAX ? processors : THREADS_MAX;
    attune_status status = ATTUNE_OK;
    int started = 0;
    for (; started < wanted; started++) {
        workers[started] = (worker){.shared = shared};
        if (pthread_create(&workers[started].thread, NULL, work, &workers[started]) != 0) {
            break;
        }
    }
    for (int i = 0; i < started; i++) {
        pthread_join(workers[i].thread, NULL);
        if (workers[i].status != ATTUNE_OK && status == ATTUNE_OK) {
            status = attune_fail(workers[i].status, "%s", workers[i].error);
        }
    }
    return started > 0 ? status : attune_fail(ATTUNE_EIO, "no thread could be started");
}

attune_status attune_vectors_embed(float **out, uint32_t *E, uint32_t *missing, uint32_t songs,
                                   const attune_sources *sources, const attune_model *model,
                                   bool (*stop)(void))
{
    *E = (uint32_t)attune_model_network(model)->embedding;
    attune_status status = allocate(out, songs, *E);
    embedding shared = {
        .out = *out, .E = *E, .songs = songs, .sources = sources, .model = model, .stop = stop};
    if (status == ATTUNE_OK) {
        status = embed_all(&shared);
    }
    *missing = shared.missing;
    if (status != ATTUNE_OK) {
        free(*out);
        *out = NULL;
    }
    return status;
}
