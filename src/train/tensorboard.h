/* tensorboard.h - TensorBoard's event files: scalars by step.
 *
 * A file is a sequence of records: the length of an event (u64), the checksum of those 8 bytes
 * (u32), the event as protobuf, the checksum of that (u32), all little-endian. The checksum is
 * CRC-32C, rotated by 15 bits and offset by a constant, since the data may hold checksums itself.
 *
 * The messages are our own few lines of protobuf, generated into this folder: they share nothing
 * with ONNX's, which are src/model's. */
#ifndef ATTUNE_SRC_TRAIN_TENSORBOARD_H
#define ATTUNE_SRC_TRAIN_TENSORBOARD_H

#include "attune/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum { ATTUNE_EVENTS_NAME = 256 };

/* The name of the file in `folder`: the last that is there, or a new one of this time and host. */
void attune_events_name(char out[ATTUNE_EVENTS_NAME], const char *folder);

/* Appends the event that begins a file. False: see errno. */
bool attune_events_begin(FILE *file, double wall_time);

/* Appends `count` scalars of one step. */
bool attune_events_write(FILE *file, double wall_time, int64_t step, const char *const *tags,
                         const double *values, int count);

/* Reads `file` from its beginning. *end is where the event of `last_step` with a tag that begins
 * with `last_tag` ends. A file may have none but of later steps, and then *end is before them. A
 * record up to there that is damaged or lost, or no event: ATTUNE_EDATA; but before step 1 nothing
 * is asked for. */
attune_status attune_events_measure(FILE *file, const char *path, int64_t last_step,
                                    const char *last_tag, off_t *end);

#endif
