/* leaks.c - marks which tracks each part has. */
#include "fma/leaks.h"

#include "status/error.h"

#include <stdlib.h>
#include <string.h>

attune_status attune_leaks_find(attune_leaks *out,
                                const attune_triplet *const triplets[ATTUNE_PART_COUNT],
                                const uint32_t count[ATTUNE_PART_COUNT], uint32_t tracks)
{
    bool *trained = calloc((size_t)tracks + 1, sizeof(*trained));
    bool *here = calloc((size_t)tracks + 1, sizeof(*here));
    *out = (attune_leaks){0};
    for (int p = 0; trained && here && p < ATTUNE_PART_COUNT; p++) {
        bool *mark = p == ATTUNE_PART_TRAIN ? trained : here;
        memset(here, 0, tracks * sizeof(*here));
        out->triplets[p] = count[p];
        for (uint32_t i = 0; i < count[p]; i++) {
            const attune_triplet *t = &triplets[p][i];
            const uint32_t three[3] = {t->anchor, t->positive, t->negative};
            bool seen = p == ATTUNE_PART_TRAIN;
            for (int k = 0; k < 3; k++) {
                out->tracks[p] += !mark[three[k]];
                mark[three[k]] = true;
                seen |= trained[three[k]];
            }
            out->without_seen[p] += !seen;
        }
        for (uint32_t i = 0; i < tracks; i++) {
            out->seen[p] += mark[i] && trained[i];
        }
    }
    const bool whole = trained && here;
    free(trained);
    free(here);
    return whole ? ATTUNE_OK : attune_fail_memory("tracks", tracks);
}
