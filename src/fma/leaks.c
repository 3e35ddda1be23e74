/* leaks.c - marks which tracks each part has. */
#include "fma/leaks.h"

#include "status/error.h"

#include <stdlib.h>

void attune_leaks_mark(bool *trained, const attune_triplet *triplet)
{
    const uint32_t three[3] = {triplet->anchor, triplet->positive, triplet->negative};
    for (int k = 0; k < 3; k++) {
        if (three[k] != ATTUNE_NO_TRACK) {
            trained[three[k]] = true;
        }
    }
}

bool attune_leaks_has_seen(const bool *trained, const attune_triplet *triplet)
{
    return trained[triplet->anchor] || trained[triplet->positive] || trained[triplet->negative];
}

attune_status attune_leaks_count(attune_leaks *out, int part, const bool *trained, uint32_t tracks,
                                 const attune_triplet *triplets, uint32_t count)
{
    bool *here = calloc((size_t)tracks + 1, sizeof(*here));
    if (!here) {
        return attune_fail_memory("tracks", tracks);
    }
    out->triplets[part] = count;
    out->tracks[part] = out->seen[part] = out->without_seen[part] = 0;
    for (uint32_t i = 0; i < count; i++) {
        attune_leaks_mark(here, &triplets[i]);
        out->without_seen[part] += !attune_leaks_has_seen(trained, &triplets[i]);
    }
    for (uint32_t i = 0; i < tracks; i++) {
        out->tracks[part] += here[i];
        out->seen[part] += here[i] && trained[i];
    }
    free(here);
    return ATTUNE_OK;
}

attune_status attune_leaks_find(attune_leaks *out,
                                const attune_triplet *const triplets[ATTUNE_PART_COUNT],
                                const uint32_t count[ATTUNE_PART_COUNT], uint32_t tracks)
{
    bool *trained = calloc((size_t)tracks + 1, sizeof(*trained));
    attune_status status = trained ? ATTUNE_OK : attune_fail_memory("tracks", tracks);
    *out = (attune_leaks){0};
    for (uint32_t i = 0; trained && i < count[ATTUNE_PART_TRAIN]; i++) {
        attune_leaks_mark(trained, &triplets[ATTUNE_PART_TRAIN][i]);
    }
    for (int p = 0; status == ATTUNE_OK && p < ATTUNE_PART_COUNT; p++) {
        status = attune_leaks_count(out, p, trained, tracks, triplets[p], count[p]);
    }
    free(trained);
    return status;
}
