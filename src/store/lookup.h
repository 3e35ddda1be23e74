/* lookup.h - which rows of an output have these paths. */
#ifndef ATTUNE_SRC_STORE_LOOKUP_H
#define ATTUNE_SRC_STORE_LOOKUP_H

#include "attune/store.h"

#define ATTUNE_LOOKUP_NONE UINT64_MAX

/* A track that may go by one name or, if no row does, by another. */
typedef struct attune_lookup_names {
    const char *names[2]; /* the second may be NULL */
    uint64_t rows[2];     /* out: the first row of each; ATTUNE_LOOKUP_NONE if there is none */
} attune_lookup_names;

/* Fills in the rows of `count` tracks. Rows that are not sorted by path are gone through only where
 * a track has been found by neither name. */
attune_status attune_lookup(attune_lookup_names *tracks, size_t count, attune_store *store);

#endif
