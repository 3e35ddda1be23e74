/* device.h - the device that trains, by the name a user gave it: "cpu", "cuda", "cuda:1". */
#ifndef ATTUNE_SRC_TRAIN_DEVICE_H
#define ATTUNE_SRC_TRAIN_DEVICE_H

#include "kernels/training.h"

/* Its table, and which of that table's devices it is: "cuda" is the first. ATTUNE_EINVAL for any
 * other name ("auto" too: a run goes on where it began), ATTUNE_ENODEVICE if it is not there. Never
 * another device than the one asked for. */
attune_status attune_train_device(const attune_training_kernels **kernels, int *ordinal,
                                  const char *name);

#endif
