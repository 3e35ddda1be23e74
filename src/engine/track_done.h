/* track_done.h - how a track that was ended comes back from a device that works on several. */
#ifndef ATTUNE_SRC_ENGINE_TRACK_DONE_H
#define ATTUNE_SRC_ENGINE_TRACK_DONE_H

#include "attune/status.h"

#include <stdint.h>

/* Called once for every track that was ended: with the embedding (E) and its frames, or with a
 * status other than ATTUNE_OK, its message in attune_last_error(). It must not call what called it.
 */
typedef void (*attune_track_done)(void *user, attune_status status, const float *embedding,
                                  uint64_t frames);

#endif
