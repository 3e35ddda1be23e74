/* blocks.h - all rows of an output, a block at a time. */
#ifndef ATTUNE_SRC_STORE_BLOCKS_H
#define ATTUNE_SRC_STORE_BLOCKS_H

#include "attune/store.h"

/* Reads the rows from *next on, 4,096 at most, in place of those in `rows`; *next becomes the row
 * behind them. On failure `rows` is empty. */
attune_status attune_store_next(attune_store *store, uint64_t *next, attune_rows *rows);

/* Adds the rows of each status to counts. */
attune_status attune_store_count_statuses(attune_store *store,
                                          uint64_t counts[ATTUNE_TRACK_STATUS_COUNT]);

#endif
