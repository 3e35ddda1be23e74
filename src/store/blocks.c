/* blocks.c - the next rows, and their statuses. */
#include "store/blocks.h"

#include "store/store_format.h"

/* How many rows the block from `next` on has. */
static uint64_t block_from(const attune_store *store, uint64_t next)
{
    const uint64_t left = attune_store_count(store) - next;
    return left < ATTUNE_BLOCK_ROWS ? left : ATTUNE_BLOCK_ROWS;
}

attune_status attune_store_next(attune_store *store, uint64_t *next, attune_rows *rows)
{
    const uint64_t count = block_from(store, *next);
    attune_rows_clear(rows);
    const attune_status status = attune_store_read(store, *next, count, rows);
    *next += count;
    return status;
}

attune_status attune_store_count_statuses(attune_store *store,
                                          uint64_t counts[ATTUNE_TRACK_STATUS_COUNT])
{
    uint8_t statuses[ATTUNE_BLOCK_ROWS];
    attune_status status = ATTUNE_OK;
    for (uint64_t next = 0; status == ATTUNE_OK && next < attune_store_count(store);) {
        const uint64_t count = block_from(store, next);
        status = attune_store_read_statuses(store, next, count, statuses);
        for (uint64_t i = 0; status == ATTUNE_OK && i < count; i++) {
            counts[statuses[i]]++;
        }
        next += count;
    }
    return status;
}
