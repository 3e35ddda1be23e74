/* train_memory.h - what a frozen front end said of the clips that it has heard.
 *
 * A clip is known by its samples (a hash of 256 bits), so one that an augmentation has changed is
 * another clip, and whatever hands out clips need not know of this. Features are kept up to a
 * limit; those of clips that come later are computed each time. */
#ifndef ATTUNE_KERNELS_CPU_TRAIN_MEMORY_H
#define ATTUNE_KERNELS_CPU_TRAIN_MEMORY_H

#include "model/trainable.h"

typedef struct attune_train_memory attune_train_memory;

/* Keeps at most `limit` bytes of features. ATTUNE_ENOMEM, and *out is NULL. */
attune_status attune_train_memory_open(attune_train_memory **out, size_t limit);
void attune_train_memory_close(attune_train_memory *memory); /* NULL-safe */

/* Says whose features these are; forgets all if that is not the front end of the last time. */
void attune_train_memory_of(attune_train_memory *memory, const attune_trainable *trainable,
                            const float *parameters, const float *statistics);

/* The place of a clip's `count` features: *known if they are there, else for the caller to fill.
 * NULL for an unknown clip that there is no room for. The same clip has the same count. */
float *attune_train_memory_place(attune_train_memory *memory, bool *known, const float *clip,
                                 size_t samples, size_t count);

#endif
