/* train_memory.c - a hash table of features, with linear probing, at most half full. */
#include "kernels/cpu/train_memory.h"

#include "status/error.h"

#include <stdint.h>
#include <stdlib.h>
#include <xxhash.h>

typedef struct heard {
    XXH128_hash_t clip;
    float *features; /* NULL: a free slot */
} heard;

struct attune_train_memory {
    heard *slots;
    size_t size, used; /* size: a power of two */
    size_t limit, bytes;
    XXH128_hash_t front_end;
};

enum { FIRST_SIZE = 1024 };

attune_status attune_train_memory_open(attune_train_memory **out, size_t limit)
{
    attune_train_memory *m = calloc(1, sizeof(*m));
    heard *slots = calloc(FIRST_SIZE, sizeof(*slots));
    *out = NULL;
    if (!m || !slots) {
        free(m);
        free(slots);
        return attune_fail_memory("training's features", sizeof(*m) + FIRST_SIZE * sizeof(*slots));
    }
    *m = (attune_train_memory){.slots = slots, .size = FIRST_SIZE, .limit = limit};
    *out = m;
    return ATTUNE_OK;
}

static void forget(attune_train_memory *m)
{
    for (size_t i = 0; i < m->size; i++) {
        free(m->slots[i].features);
        m->slots[i].features = NULL;
    }
    m->used = m->bytes = 0;
}

void attune_train_memory_close(attune_train_memory *memory)
{
    if (memory) {
        forget(memory);
        free(memory->slots);
        free(memory);
    }
}

void attune_train_memory_of(attune_train_memory *memory, const attune_trainable *trainable,
                            const float *parameters, const float *statistics)
{
    size_t count = 0; /* the front end's parameters are the first */
    for (int i = 0; i < trainable->tensor_count && trainable->tensors[i].front_end; i++) {
        count += trainable->tensors[i].count;
    }
    XXH128_hash_t hash = XXH3_128bits(statistics, trainable->statistic_count * sizeof(*statistics));
    hash = XXH3_128bits_withSeed(parameters, count * sizeof(*parameters), hash.low64 ^ hash.high64);
    if (!XXH128_isEqual(hash, memory->front_end)) {
        forget(memory);
        memory->front_end = hash;
    }
}

/* The slot that has a clip, or the one that it would take. */
static heard *find(heard *slots, size_t size, XXH128_hash_t clip)
{
    size_t i = clip.low64 & (size - 1);
    while (slots[i].features && !XXH128_isEqual(slots[i].clip, clip)) {
        i = (i + 1) & (size - 1);
    }
    return &slots[i];
}

static bool grow(attune_train_memory *m)
{
    heard *slots = calloc(2 * m->size, sizeof(*slots));
    if (!slots) {
        return false;
    }
    for (size_t i = 0; i < m->size; i++) {
        if (m->slots[i].features) {
            *find(slots, 2 * m->size, m->slots[i].clip) = m->slots[i];
        }
    }
    free(m->slots);
    m->slots = slots;
    m->size *= 2;
    return true;
}

float *attune_train_memory_place(attune_train_memory *memory, bool *known, const float *clip,
                                 size_t samples, size_t count)
{
    const XXH128_hash_t hash = XXH3_128bits(clip, samples * sizeof(*clip));
    const size_t bytes = count * sizeof(float);
    heard *slot = find(memory->slots, memory->size, hash);
    *known = slot->features;
    if (*known) {
        return slot->features;
    }
    if (bytes > memory->limit - memory->bytes) {
        return NULL;
    }
    if (2 * (memory->used + 1) > memory->size) {
        if (!grow(memory)) {
            return NULL;
        }
        slot = find(memory->slots, memory->size, hash);
    }
    float *features = malloc(bytes);
    if (!features) {
        return NULL;
    }
    *slot = (heard){.clip = hash, .features = features};
    memory->used++;
    memory->bytes += bytes;
    return features;
}
