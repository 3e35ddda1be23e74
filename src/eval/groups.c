/* groups.c - a counting sort. */
#include "eval/groups.h"

#include "status/error.h"

#include <stdlib.h>

attune_status attune_groups_make(attune_groups *groups, const int32_t *labels, uint32_t n)
{
    *groups = (attune_groups){0};
    groups->start = calloc((size_t)n + 2, sizeof(*groups->start));
    groups->rows = malloc(((size_t)n + 1) * sizeof(*groups->rows));
    if (!groups->start || !groups->rows) {
        attune_groups_free(groups);
        return attune_fail_memory("labels", (unsigned long long)n * 8);
    }
    uint32_t *end = groups->start + 1; /* shifted, so that filling leaves the starts */
    for (uint32_t i = 0; i < n; i++) {
        if (labels[i] >= (int32_t)n) {
            attune_groups_free(groups);
            return attune_fail(ATTUNE_EINVAL, "label %d of row %u: labels are below %u", labels[i],
                               i, n);
        }
        if (labels[i] >= 0) {
            end[labels[i]]++;
        }
    }
    uint32_t total = 0;
    for (uint32_t l = 0; l < n; l++) {
        const uint32_t size = end[l];
        groups->labels += size > 0;
        groups->largest = size > groups->largest ? size : groups->largest;
        end[l] = total;
        total += size;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (labels[i] >= 0) {
            groups->rows[end[labels[i]]++] = i;
        }
    }
    return ATTUNE_OK;
}

void attune_groups_free(attune_groups *groups)
{
    if (groups) {
        free(groups->start);
        free(groups->rows);
        *groups = (attune_groups){0};
    }
}
