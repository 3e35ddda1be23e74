/* loader.c - two batches: one that the caller has, one that is being filled.
 *
 * A clip's augmentation is drawn from a generator of its own, by seed, epoch, step and place in the
 * batch, so neither the number of threads nor their order is seen in it. */
#include "train/loader.h"

#include "model/random.h"
#include "status/error.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct batch {
    attune_sample *samples; /* (most) */
    float *pcm;             /* (most, S) */
    const float **clips;    /* (most) */
    int B;
    int64_t epoch, step;
    int next, done; /* clips taken, and filled */
    attune_status status;
    char error[512];
} batch;

struct attune_loader {
    attune_sampler *sampler;
    attune_clip_cache *cache;
    attune_augment_options augment;
    size_t S, source_most;
    uint64_t seed;
    batch batches[2];
    int filling; /* which of the two */
    bool closing;
    pthread_mutex_t lock;
    pthread_cond_t work, filled;
    int started;
    pthread_t threads[];
};

/* ---- one clip ---- */

static attune_status fill_clip(attune_loader *l, const batch *b, int i, float *source,
                               float *scratch)
{
    const attune_sample *sample = &b->samples[i];
    attune_random random = attune_random_of(attune_random_of(l->seed, (uint64_t)b->epoch).state,
                                            (uint64_t)b->step << 20 | (uint64_t)i);
    attune_augmentation augmentation;
    attune_augment_draw(&augmentation, &l->augment, &random);
    const size_t count = attune_augment_source(&augmentation, l->S);
    attune_status status =
        attune_clip_cache_read(l->cache, source, sample->track, sample->start, count);
    if (!status) {
        status =
            attune_augment_apply(b->pcm + (size_t)i * l->S, source, scratch, l->S, &augmentation);
    }
    return status;
}

/* Draws what stands in a batch: with the lock held, when nobody fills. */
static void begin(attune_loader *l, batch *b, int64_t epoch, int64_t step)
{
    if (step == attune_sampler_steps(l->sampler)) {
        step = 0;
        epoch++;
    }
    b->epoch = epoch;
    b->step = step;
    b->B = attune_sampler_batch(l->sampler, b->samples, epoch, step);
    b->next = b->done = 0;
    b->status = ATTUNE_OK;
    pthread_cond_broadcast(&l->work);
}

static void *loader_main(void *argument)
{
    attune_loader *l = argument;
    float *source = malloc((l->source_most + attune_augment_scratch(l->S)) * sizeof(*source));
    pthread_mutex_lock(&l->lock);
    for (;;) {
        batch *b = &l->batches[l->filling];
        if (l->closing) {
            break;
        }
        if (b->next == b->B) {
            pthread_cond_wait(&l->work, &l->lock);
            continue;
        }
        const int i = b->next++;
        pthread_mutex_unlock(&l->lock);
        attune_status status = source ? fill_clip(l, b, i, source, source + l->source_most)
                                      : attune_fail_memory("a clip", l->source_most);
        pthread_mutex_lock(&l->lock);
        if (status && !b->status) {
            b->status = status;
            snprintf(b->error, sizeof(b->error), "%s", attune_last_error());
        }
        if (++b->done == b->B) {
            pthread_cond_signal(&l->filled);
        }
    }
    pthread_mutex_unlock(&l->lock);
    free(source);
    return NULL;
}

/* ---- opening ---- */

static attune_status allocate(attune_loader *l)
{
    const size_t most = (size_t)attune_sampler_most(l->sampler);
    for (int i = 0; i < 2; i++) {
        batch *b = &l->batches[i];
        b->samples = calloc(most, sizeof(*b->samples));
        b->pcm = malloc(most * l->S * sizeof(*b->pcm));
        b->clips = calloc(most, sizeof(*b->clips));
        if (!b->samples || !b->pcm || !b->clips) {
            return attune_fail_memory("a batch", most * l->S * sizeof(*b->pcm));
        }
        for (size_t k = 0; k < most; k++) {
            b->clips[k] = b->pcm + k * l->S;
        }
    }
    return ATTUNE_OK;
}

attune_status attune_loader_open(attune_loader **out, attune_sampler *sampler,
                                 attune_clip_cache *cache, const attune_augment_options *augment,
                                 size_t S, uint64_t seed, int threads, int64_t epoch, int64_t step)
{
    attune_loader *l = calloc(1, sizeof(*l) + (size_t)threads * sizeof(l->threads[0]));
    *out = NULL;
    if (!l) {
        return attune_fail_memory("a loader", sizeof(*l));
    }
    l->sampler = sampler;
    l->cache = cache;
    l->augment = *augment;
    l->S = S;
    l->source_most = attune_augment_source_max(augment, S);
    l->seed = seed;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->filled, NULL);
    attune_status status = allocate(l);
    if (!status) {
        begin(l, &l->batches[0], epoch, step);
    }
    for (; !status && l->started < threads; l->started++) {
        if (pthread_create(&l->threads[l->started], NULL, loader_main, l) != 0) {
            status = attune_fail(ATTUNE_ENOMEM, "cannot start a thread that reads clips");
            break;
        }
    }
    if (status) {
        attune_loader_close(l);
        return status;
    }
    *out = l;
    return ATTUNE_OK;
}

void attune_loader_close(attune_loader *l)
{
    if (!l) {
        return;
    }
    pthread_mutex_lock(&l->lock);
    l->closing = true;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    for (int i = 0; i < l->started; i++) {
        pthread_join(l->threads[i], NULL);
    }
    for (int i = 0; i < 2; i++) {
        free(l->batches[i].samples);
        free(l->batches[i].pcm);
        free(l->batches[i].clips);
    }
    pthread_cond_destroy(&l->filled);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

int attune_loader_most(const attune_loader *l)
{
    return attune_sampler_most(l->sampler);
}

attune_status attune_loader_next(attune_loader *l, attune_loaded *out)
{
    pthread_mutex_lock(&l->lock);
    batch *b = &l->batches[l->filling];
    while (b->done < b->B) {
        pthread_cond_wait(&l->filled, &l->lock);
    }
    attune_status status = b->status ? attune_fail(b->status, "%s", b->error) : ATTUNE_OK;
    if (!status) { /* the other batch was the caller's until now */
        l->filling = !l->filling;
        begin(l, &l->batches[l->filling], b->epoch, b->step + 1);
    }
    *out = (attune_loaded){.samples = b->samples, .clips = b->clips, .B = b->B};
    pthread_mutex_unlock(&l->lock);
    return status;
}
