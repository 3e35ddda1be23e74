/* sources.h - where the songs of threes are: below a folder, as training finds them, or in the rows
 * of an output of attune, relative to its root. */
#ifndef ATTUNE_SRC_JUDGE_SOURCES_H
#define ATTUNE_SRC_JUDGE_SOURCES_H

#include "audio/place.h"
#include "judge/threes.h"

typedef struct attune_sources attune_sources;

typedef struct attune_sources_options {
    const char *audio;    /* a folder, or OUT.h5 */
    const char *manifest; /* of a folder's tracks; may be NULL */
    bool skip_missing;    /* songs without a file are no failure */
} attune_sources_options;

/* Finds a file for each of `songs`. ATTUNE_ENOINPUT, with the first ten names, when some have none,
 * unless those are to be skipped; when all are missing, in any case. On failure *out is NULL. */
attune_status attune_sources_open(attune_sources **out, const attune_names *songs,
                                  const attune_sources_options *options);
void attune_sources_close(attune_sources *sources); /* NULL-safe */

/* ATTUNE_EDATA, with the line, when two names of a three are one file. `path` is the threes'. */
attune_status attune_sources_check(const attune_sources *sources, const attune_threes *threes,
                                   const char *path);

/* The place of song `song`; its path is NULL when it is missing. */
attune_audio_place attune_sources_place(const attune_sources *sources, uint32_t song);
uint32_t attune_sources_missing(const attune_sources *sources);

#endif
