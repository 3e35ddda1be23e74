/* parts.h - OUT.h5.parts: what a job that is not finished has done, in committed files.
 *
 *   lock      held with flock by the one job or merge that may write OUT.h5
 *   0-17.h5   part 17, made by shard 0: a complete output, its rows sorted by path
 *   <mark>    an empty file that tells a later run something, see ATTUNE_MARK_
 *
 * Numbers grow over all shards, so of rows of the same path that in the part with the highest
 * number is the newest. A part is there whole or not at all; parts stay until the output that holds
 * their rows is durable. */
#ifndef ATTUNE_SRC_STORE_PARTS_H
#define ATTUNE_SRC_STORE_PARTS_H

#include "attune/store.h"

/* The job started over: an OUT.h5 that stands there is replaced and not added to. */
#define ATTUNE_MARK_FRESH "fresh"
/* A track that was embedded again on the CPU came out otherwise: the parts are not to be believed.
 */
#define ATTUNE_MARK_DOUBTED "doubted"

typedef struct attune_parts {
    char *output; /* the output's path, links followed */
    char *folder; /* "<output>.parts" */
    char **paths; /* (count) oldest first */
    size_t count;
    uint64_t next; /* number of the next part */
    int lock;      /* -1: only looked at */
} attune_parts;

/* Takes the lock, making the folder, and removes what killed runs left half written. ATTUNE_ECREATE
 * when `output` could not be created; ATTUNE_ESTOPPED when another job holds the lock. */
attune_status attune_parts_open(attune_parts **out, const char *output);

/* Lists what is there; changes nothing. */
attune_status attune_parts_look(attune_parts **out, const char *output);

/* Writes `rows`, sorted by path, as the next part. */
attune_status attune_parts_commit(attune_parts *parts, int shard,
                                  const attune_store_attributes *attributes,
                                  const attune_rows *rows);

/* Whether no job is unfinished: there is neither a part nor a mark. */
bool attune_parts_empty(const attune_parts *parts);

/* Leaves, or looks for, a mark. */
attune_status attune_parts_mark(attune_parts *parts, const char *mark);
bool attune_parts_marked(const attune_parts *parts, const char *mark);

/* Removes all, in such an order that what is left, should the machine stop meanwhile, is believed
 * no more than before: the mark "fresh", the parts from the oldest on, the mark "doubted". */
attune_status attune_parts_clear(attune_parts *parts);

/* Lets go of the lock; removes a folder that has neither parts nor marks. NULL-safe. */
void attune_parts_close(attune_parts *parts);

#endif
