/* heap.c - a binary heap in an array. */
#include "store/heap.h"

#include <stdlib.h>

bool attune_near_is_farther(attune_near a, attune_near b)
{
    return a.distance != b.distance ? a.distance > b.distance : a.row > b.row;
}

/* Puts `new` in the place of the heap's first and restores the order. */
static void sift_down(attune_near *heap, uint32_t size, attune_near new)
{
    uint32_t at = 0;
    for (uint64_t child = 1; child < size; child = 2 * (uint64_t)at + 1) {
        if (child + 1 < size && attune_near_is_farther(heap[child + 1], heap[child])) {
            child++;
        }
        if (!attune_near_is_farther(heap[child], new)) {
            break;
        }
        heap[at] = heap[child];
        at = (uint32_t)child;
    }
    heap[at] = new;
}

static void sift_up(attune_near *heap, uint32_t at, attune_near new)
{
    for (; at > 0 && attune_near_is_farther(new, heap[(at - 1) / 2]); at = (at - 1) / 2) {
        heap[at] = heap[(at - 1) / 2];
    }
    heap[at] = new;
}

void attune_heap_offer(attune_near *heap, uint32_t *size, uint32_t capacity, attune_near new)
{
    if (*size < capacity) {
        sift_up(heap, (*size)++, new);
    } else if (attune_near_is_farther(heap[0], new)) {
        sift_down(heap, capacity, new);
    }
}

static int compare(const void *left, const void *right)
{
    const attune_near *a = left, *b = right;
    return attune_near_is_farther(*a, *b) - attune_near_is_farther(*b, *a);
}

void attune_heap_sort(attune_near *heap, uint32_t size)
{
    qsort(heap, size, sizeof(*heap), compare);
}
