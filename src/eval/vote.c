/* vote.c - k nearest neighbours, counted. */
#include "eval/vote.h"

#include "eval/nearest.h"
#include "status/error.h"

#include <stdlib.h>
#include <string.h>

attune_status attune_vote(int32_t *predicted, const uint32_t *lists, uint32_t count, uint32_t K,
                          uint32_t k, const int32_t *labels, int32_t classes)
{
    uint32_t *votes = malloc(((size_t)classes + 1) * sizeof(*votes));
    if (!votes) {
        return attune_fail_memory("votes", (unsigned long long)classes * sizeof(*votes));
    }
    for (uint32_t q = 0; q < count; q++) {
        const uint32_t *list = lists + (size_t)q * K;
        memset(votes, 0, (size_t)classes * sizeof(*votes));
        predicted[q] = -1;
        for (uint32_t i = 0; i < k && i < K && list[i] != ATTUNE_NO_ROW; i++) {
            votes[labels[list[i]]]++;
        }
        for (int32_t c = 0; c < classes; c++) {
            if (votes[c] > (predicted[q] < 0 ? 0 : votes[predicted[q]])) {
                predicted[q] = c;
            }
        }
    }
    free(votes);
    return ATTUNE_OK;
}
