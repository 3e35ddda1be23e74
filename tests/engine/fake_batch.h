/* fake_batch.h - a batch device made of the CPU's kernels, for tests of the engine's logic.
 *
 * It keeps what kernels/batch.h promises and no more: work is done as late as the contract allows,
 * when somebody waits for it, so a buffer that is overwritten too early shows as wrong embeddings;
 * and it asserts what callers must keep: rows and samples inside the buffers, a slot in one segment
 * of a call, a state begun before it is used. */
#ifndef ATTUNE_TESTS_ENGINE_FAKE_BATCH_H
#define ATTUNE_TESTS_ENGINE_FAKE_BATCH_H

#include "kernels/batch.h"

/* How the fake behaves; set before it is used. */
typedef struct fake_batch {
    int devices;            /* how many there are */
    size_t memory;          /* bytes each has free */
    uint64_t fail_after;    /* frames after which the device is lost; 0: never */
    int refuse_opens;       /* opens that fail for want of memory before one succeeds */
    uint32_t largest_batch; /* frames of the largest batch seen */
    uint64_t frames;        /* seen */
    int opens;              /* contexts opened */
} fake_batch;

extern fake_batch fake;

/* The table; its devices are called "fake". */
const attune_batch_kernels *fake_batch_kernels(void);

#endif
