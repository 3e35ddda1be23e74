/* heap.h - the nearest of many rows: a heap of limited size, the farthest first. */
#ifndef ATTUNE_SRC_STORE_HEAP_H
#define ATTUNE_SRC_STORE_HEAP_H

#include <stdbool.h>
#include <stdint.h>

typedef struct attune_near {
    double distance; /* any number that is larger the farther the row is */
    uint64_t row;
} attune_near;

/* Rows of the same distance come in the order of their numbers. */
bool attune_near_is_farther(attune_near a, attune_near b);

/* Takes `new` if the heap (capacity >= 1, *size of them in use) has room or a farther row, which
 * then goes. */
void attune_heap_offer(attune_near *heap, uint32_t *size, uint32_t capacity, attune_near new);

/* Nearest first; a heap no longer. */
void attune_heap_sort(attune_near *heap, uint32_t size);

#endif
