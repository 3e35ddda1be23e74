/* devices.h - the device a user names: "auto", "cpu", "cuda", "cuda:1", "cuda:0,cuda:2". */
#ifndef ATTUNE_SRC_ENGINE_DEVICES_H
#define ATTUNE_SRC_ENGINE_DEVICES_H

#include "attune/engine.h"
#include "engine/batch_engine.h"

enum { ATTUNE_DEVICES_MAX = 16 };

/* The batch devices that a name means, count 0 for the CPU. */
typedef struct attune_devices {
    const attune_batch_kernels *kernels;
    int ordinals[ATTUNE_DEVICES_MAX];
    int count;
} attune_devices;

/* "auto" is every device of `kernels` if there is one, else the CPU; "cuda" (the kind's name) is
 * every one, and ATTUNE_ENODEVICE if there is none; "cuda:1" and lists of such are those,
 * ATTUNE_ENODEVICE if one is not there. Never another device than the one asked for. */
attune_status attune_devices_parse(attune_devices *out, const char *name,
                                   const attune_batch_kernels *kernels);

/* "exact" or "fast"; ATTUNE_EINVAL for any other. */
attune_status attune_precision_parse(attune_precision *out, const char *name);

#endif
