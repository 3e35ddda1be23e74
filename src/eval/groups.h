/* groups.h - rows by label. */
#ifndef ATTUNE_SRC_EVAL_GROUPS_H
#define ATTUNE_SRC_EVAL_GROUPS_H

#include "attune/status.h"

#include <stdint.h>

typedef struct attune_groups {
    uint32_t *start; /* (n + 1): of label l the rows [start[l], start[l + 1]) */
    uint32_t *rows;  /* upwards */
    uint32_t labels; /* that have a row */
    uint32_t largest;
} attune_groups;

/* Of labels (n), 0 to n - 1 or -1: none. One beyond the rows is ATTUNE_EINVAL. On failure there is
 * nothing to free, and freeing is harmless. */
attune_status attune_groups_make(attune_groups *groups, const int32_t *labels, uint32_t n);
void attune_groups_free(attune_groups *groups); /* NULL-safe; also of {0} */

static inline uint32_t attune_groups_size(const attune_groups *groups, int32_t label)
{
    return label < 0 ? 0 : groups->start[label + 1] - groups->start[label];
}

#endif
