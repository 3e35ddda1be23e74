/* names.h - texts, each once, with numbers from 0 in the order in which they came. */
#ifndef ATTUNE_SRC_TRAIN_NAMES_H
#define ATTUNE_SRC_TRAIN_NAMES_H

#include "attune/status.h"

#include <stdint.h>

#define ATTUNE_NO_NAME UINT32_MAX

/* {0} is empty. */
typedef struct attune_names {
    char **texts; /* (count), each where it is until all are freed */
    uint32_t count, capacity;
    uint32_t *slots; /* (slot_count), a power of two, at most half full: number + 1, or 0 */
    uint32_t slot_count;
} attune_names;

/* *out = the number of `text`, which is added if it is new. */
attune_status attune_names_add(uint32_t *out, attune_names *names, const char *text);

/* ATTUNE_NO_NAME if it is not there. */
uint32_t attune_names_find(const attune_names *names, const char *text);

void attune_names_free(attune_names *names);

#endif
