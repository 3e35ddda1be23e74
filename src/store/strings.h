/* strings.h - reads the variable-length strings of a dataset without HDF5's own code for them.
 *
 * A string in a chunk is a reference of 16 bytes: length u32, address u64 of a heap, index u32 of
 * an object in it. A heap is "GCOL", version 1, three bytes, size u64, then objects: index u16,
 * uses u16, four bytes, length u64, the bytes, padded to 8; the object 0 is the free space (HDF5
 * File Format Specification, III.E). These are the only structures of our files without a checksum,
 * and HDF5 up to 1.14 believes every length and index in them: one flipped bit and it writes past
 * its buffers, or never returns. Here each is checked. */
#ifndef ATTUNE_SRC_STORE_STRINGS_H
#define ATTUNE_SRC_STORE_STRINGS_H

#include "store/h5_file.h"
#include "store/rows.h"

#define ATTUNE_HEAP_COUNT                                                                          \
    32 /* HDF5 fills up to 16 heaps in turn, so that many are needed at a time */

typedef struct attune_heap_object {
    uint32_t offset; /* in the heap's bytes; 0: no such object */
    uint32_t length;
} attune_heap_object;

typedef struct attune_heap {
    uint64_t address; /* 0: empty slot */
    uint64_t used;    /* when it was last asked for */
    unsigned char *bytes;
    attune_heap_object *objects; /* by index */
    size_t object_count;
} attune_heap;

/* A dataset of strings and the references of one of its chunks. */
typedef struct attune_string_column {
    hid_t dataset; /* borrowed */
    uint64_t chunk_rows;
    uint64_t chunk;            /* the chunk that is loaded; UINT64_MAX: none */
    unsigned char *references; /* (chunk_rows, 16) bytes */
} attune_string_column;

/* The heaps that were read last. All zero is a valid empty state. */
typedef struct attune_heaps {
    attune_heap heaps[ATTUNE_HEAP_COUNT];
    uint64_t clock;
} attune_heaps;

/* Prepares to read `dataset`. False, with `*problem` set, if it is not stored as attune stores it.
 */
bool attune_string_column_open(attune_string_column *column, hid_t dataset, const char **problem);
void attune_string_column_close(attune_string_column *column);

/* The string of one row. Its bytes are valid until sixteen more strings are asked for. False, with
 * `*problem` set, if the file is damaged; `file->error` tells a failed read from damage. */
bool attune_string_column_get(attune_text *out, attune_string_column *column, attune_heaps *heaps,
                              attune_h5_file *file, uint64_t row, const char **problem);

void attune_heaps_free(attune_heaps *heaps);

#endif
