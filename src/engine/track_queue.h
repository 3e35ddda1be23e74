/* track_queue.h - features of a few tracks, so that they take the sequence stage together.
 *
 * Tracks come one after the other: a track's features are written behind those of the tracks before
 * it. When all slots of the context or all rows are taken, every track's frames go through the
 * sequence stage at once, and tracks that have ended are done; one that has not goes on with its
 * state. So memory does not depend on a track's length, and no track waits for more than
 * ATTUNE_QUEUE_ROWS frames after it.
 *
 * One thread at a time, that of the context. */
#ifndef ATTUNE_SRC_ENGINE_TRACK_QUEUE_H
#define ATTUNE_SRC_ENGINE_TRACK_QUEUE_H

#include "engine/track_done.h"
#include "kernels/kernels.h"

enum { ATTUNE_QUEUE_ROWS = 8192 }; /* frames held: 12 minutes of audio, 2 MiB */

typedef struct attune_track_queue attune_track_queue;

/* The context must outlive the queue. On failure *out is NULL. */
attune_status attune_track_queue_open(attune_track_queue **out, const attune_kernels *kernels,
                                      void *context, const attune_network *network);
/* Tracks that are not done are forgotten. NULL-safe. */
void attune_track_queue_close(attune_track_queue *queue);

/* A new track; the present one is forgotten if it has not ended. */
void attune_track_queue_begin(attune_track_queue *queue);
/* Where the present track's next F <= ATTUNE_FRAMES_PER_CALL rows of features (F, C) may be
 * written, and that they have been. */
attune_status attune_track_queue_space(attune_track_queue *queue, float **rows, int F);
void attune_track_queue_advance(attune_track_queue *queue, int F);
/* The present track, which has frames, is complete: `done` is called, from here or from any later
 * call on the queue, at the latest from flush. A new track begins. */
void attune_track_queue_end(attune_track_queue *queue, attune_track_done done, void *user);
/* Tracks that have ended are done. */
void attune_track_queue_flush(attune_track_queue *queue);

#endif
