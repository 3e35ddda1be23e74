/* pool.h - the tracks that triplets are drawn from, ordered so that those of one group, a top
 * genre, an artist or an album, stand together: whether inside or outside a group, any draws take
 * one number. */
#ifndef ATTUNE_SRC_FMA_POOL_H
#define ATTUNE_SRC_FMA_POOL_H

#include "fma/generate.h"
#include "model/random.h"

/* {0} is empty. */
typedef struct attune_fma_pool {
    const attune_fma_track **tracks; /* (count), by group and then by id */
    uint32_t *group;                 /* (count): which group it is in, from 0 */
    uint32_t *start;                 /* (groups + 1): where the groups begin */
    uint32_t count, groups;
} attune_fma_pool;

/* A pool for each part. ATTUNE_EINVAL if there is no track at all. To be freed. */
attune_status attune_fma_pools_make(attune_fma_pool pools[ATTUNE_PART_COUNT], const attune_fma *fma,
                                    const attune_fma_generate_options *options);
void attune_fma_pool_free(attune_fma_pool *pool);

uint32_t attune_fma_group_size(const attune_fma_pool *pool, uint32_t group);

/* The place of a track other than that at `place`, of its group or of no group but its. There must
 * be one. */
uint32_t attune_fma_draw_inside(const attune_fma_pool *pool, attune_random *random, uint32_t place);
uint32_t attune_fma_draw_outside(const attune_fma_pool *pool, attune_random *random,
                                 uint32_t place);

#endif
