/* train_memory.c - a hash table of features, with linear probing, at most half full. */
#include "kernels/cpu/train_memory.h"

#include "model/random.h"
#include "status/error.h"
#include "status/hash.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 4 };

/* A hash of 256 bits: every fourth word of 64 bits goes into the same lane, one-to-one. Clips are
 * long: status/hash.h, byte by byte, would take longer than to copy what is remembered. */
typedef struct key {
    uint64_t lane[LANES];
} key;

typedef struct heard {
    key clip;
    float *features; /* NULL: a free slot */
} heard;

struct attune_train_memory {
    heard *slots;
    size_t size, used; /* size: a power of two */
    size_t limit, bytes;
    uint64_t front_end; /* its hash */
};

enum { FIRST_SIZE = 1024 };

static void add(key *to, const uint64_t words[LANES])
{
    for (int i = 0; i < LANES; i++) {
        const uint64_t x = (to->lane[i] ^ words[i]) * ATTUNE_RANDOM_STEP;
        to->lane[i] = x ^ x >> 32;
    }
}

static key key_of(const float *numbers, size_t count)
{
    enum { STEP = LANES * sizeof(uint64_t) / sizeof(float) };
    key to = {{count, 1, 2, 3}};
    uint64_t words[LANES];
    size_t i = 0;
    for (; i + STEP <= count; i += STEP) {
        memcpy(words, numbers + i, sizeof(words));
        add(&to, words);
    }
    memset(words, 0, sizeof(words));
    memcpy(words, numbers + i, (count - i) * sizeof(float));
    add(&to, words);
    return to;
}

static bool same(key a, key b)
{
    return memcmp(&a, &b, sizeof(a)) == 0;
}

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
    uint64_t hash = ATTUNE_HASH_BEGIN;
    hash = attune_hash(hash, parameters, attune_trainable_front_end(trainable) * sizeof(float));
    hash = attune_hash(hash, statistics, trainable->statistic_count * sizeof(float));
    if (hash != memory->front_end) {
        forget(memory);
        memory->front_end = hash;
    }
}

/* The slot that has a clip, or the one that it would take. */
static heard *find(heard *slots, size_t size, key clip)
{
    size_t i = (size_t)clip.lane[0] & (size - 1);
    while (slots[i].features && !same(slots[i].clip, clip)) {
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
    const key hash = key_of(clip, samples);
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
