/* vectors.h - a vector for each song, from an output of embeddings or by a model. */
#ifndef ATTUNE_SRC_JUDGE_VECTORS_H
#define ATTUNE_SRC_JUDGE_VECTORS_H

#include "attune/model.h"
#include "judge/sources.h"

/* out (songs, *E), malloc'ed; a song without a vector has NaN, and *missing counts these. From
 * embeddings of any kind that attune eval reads (src/eval/space.h), by names; ATTUNE_EDATA when no
 * song is among them. */
attune_status attune_vectors_read(float **out, uint32_t *E, uint32_t *missing,
                                  const attune_names *songs, const char *path);

/* By embedding whole songs, with a thread for each processor. `stop` is asked now and then, and may
 * be NULL; ATTUNE_ESTOPPED when it says so. */
attune_status attune_vectors_embed(float **out, uint32_t *E, uint32_t *missing, uint32_t songs,
                                   const attune_sources *sources, const attune_model *model,
                                   bool (*stop)(void));

#endif
