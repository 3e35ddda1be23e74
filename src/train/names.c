/* names.c - texts to numbers, by open addressing. */
#include "train/names.h"

#include "status/error.h"
#include "status/hash.h"

#include <stdlib.h>
#include <string.h>

/* The slot of `text`, or the empty one where it belongs. */
static uint32_t slot_of(const attune_names *names, const char *text)
{
    const uint64_t hash = attune_hash(ATTUNE_HASH_BEGIN, text, strlen(text));
    uint32_t slot = (uint32_t)(hash >> 32) & (names->slot_count - 1);
    while (names->slots[slot] && strcmp(names->texts[names->slots[slot] - 1], text) != 0) {
        slot = (slot + 1) & (names->slot_count - 1);
    }
    return slot;
}

/* Twice the room for texts, and two slots to each. */
static attune_status grow(attune_names *names)
{
    const uint32_t capacity = names->capacity ? names->capacity * 2 : 64;
    const uint32_t slot_count = capacity * 2;
    if (capacity > UINT32_MAX / 8) {
        return attune_fail_memory("names", (unsigned long long)capacity * sizeof(char *));
    }
    char **texts = realloc(names->texts, capacity * sizeof(*texts));
    names->texts = texts ? texts : names->texts;
    uint32_t *slots = calloc(slot_count, sizeof(*slots));
    if (!texts || !slots) {
        free(slots);
        return attune_fail_memory("names", slot_count * sizeof(*slots));
    }
    free(names->slots);
    names->slots = slots;
    names->slot_count = slot_count;
    names->capacity = capacity;
    for (uint32_t i = 0; i < names->count; i++) {
        names->slots[slot_of(names, names->texts[i])] = i + 1;
    }
    return ATTUNE_OK;
}

attune_status attune_names_add(uint32_t *out, attune_names *names, const char *text)
{
    if (names->count == names->capacity) {
        const attune_status status = grow(names);
        if (status != ATTUNE_OK) {
            return status;
        }
    }
    uint32_t *slot = &names->slots[slot_of(names, text)];
    if (*slot == 0) {
        char *copy = strdup(text);
        if (!copy) {
            return attune_fail_memory("a name", strlen(text));
        }
        names->texts[names->count++] = copy;
        *slot = names->count;
    }
    *out = *slot - 1;
    return ATTUNE_OK;
}

uint32_t attune_names_find(const attune_names *names, const char *text)
{
    return names->count > 0 ? names->slots[slot_of(names, text)] - 1 : ATTUNE_NO_NAME;
}

void attune_names_free(attune_names *names)
{
    for (uint32_t i = 0; i < names->count; i++) {
        free(names->texts[i]);
    }
    free(names->texts);
    free(names->slots);
    *names = (attune_names){0};
}
