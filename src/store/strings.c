/* strings.c - bounds-checked reading of HDF5's variable-length strings. The format is in strings.h.
 */
#include "store/strings.h"

#include "status/io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REFERENCE_SIZE 16
#define HEADER_SIZE 16 /* of a heap, and of an object in it */
#define CHUNK_ROWS_MAX (1u << 20)
/* A heap is as large as its one text when that is long, else at most 64 KiB. */
#define HEAP_SIZE_MAX (2u * ATTUNE_TEXT_MAX)

static const char *const out_of_memory = "out of memory";
static const char *const damaged = "a text is damaged; make the file again or restore a copy";

static uint64_t decode(const unsigned char *bytes, int count)
{
    uint64_t value = 0;
    for (int i = count - 1; i >= 0; i--) {
        value = value << 8 | bytes[i];
    }
    return value;
}

bool attune_string_column_open(attune_string_column *column, hid_t dataset, const char **problem)
{
    hsize_t chunk = 0;
    hid_t list = H5Dget_create_plist(dataset);
    *column = (attune_string_column){.dataset = dataset, .chunk = UINT64_MAX};
    bool plain = list >= 0 && H5Pget_layout(list) == H5D_CHUNKED && H5Pget_nfilters(list) == 0 &&
                 H5Pget_chunk(list, 1, &chunk) == 1 && chunk >= 1 && chunk <= CHUNK_ROWS_MAX;
    if (list >= 0) {
        H5Pclose(list);
    }
    if (!plain) {
        *problem = "is stored otherwise than attune does; undo with h5repack -f NONE -l CHUNK=4096";
        return false;
    }
    column->chunk_rows = chunk;
    column->references = malloc(chunk * REFERENCE_SIZE);
    if (!column->references) {
        *problem = out_of_memory;
    }
    return column->references != NULL;
}

void attune_string_column_close(attune_string_column *column)
{
    free(column->references);
    column->references = NULL;
}

/* Reads the references of a chunk, as they lie in the file. */
static bool load_chunk(attune_string_column *column, uint64_t chunk)
{
    if (column->chunk == chunk) {
        return true;
    }
    column->chunk = UINT64_MAX;
    const hsize_t start = chunk * column->chunk_rows;
    const size_t size = column->chunk_rows * REFERENCE_SIZE;
    hsize_t stored = 0;
    uint32_t filters = 0;
    if (H5Dget_chunk_storage_size(column->dataset, &start, &stored) < 0 || stored != size ||
        H5Dread_chunk(column->dataset, H5P_DEFAULT, &start, &filters, column->references) < 0) {
        return false;
    }
    column->chunk = chunk;
    return true;
}

/* Reads exactly `size` bytes; a file that ends before is damaged. */
static bool read_bytes(attune_h5_file *file, void *out, size_t size, uint64_t address)
{
    const ssize_t got = attune_read_at(file->fd, out, size, address);
    if (got < 0 && !file->error) {
        file->error = errno;
    }
    return got == (ssize_t)size;
}

/* Fills the table of objects of a heap of `size` bytes; room for size / 16 of them is there. */
static bool index_objects(attune_heap *heap, size_t size)
{
    size_t at = HEADER_SIZE;
    while (size - at >= HEADER_SIZE) {
        uint64_t index = decode(heap->bytes + at, 2), length = decode(heap->bytes + at + 8, 8);
        uint64_t room = size - at;
        if (index == 0) { /* free space; its length counts the header */
            if (length < HEADER_SIZE || length > room) {
                return false;
            }
            at += length;
            continue;
        }
        if (length > room - HEADER_SIZE || index >= heap->object_count) {
            return false;
        }
        heap->objects[index] = (attune_heap_object){(uint32_t)(at + HEADER_SIZE), (uint32_t)length};
        uint64_t padded = HEADER_SIZE + ((length + 7) & ~(uint64_t)7);
        at += padded < room ? padded : room;
    }
    return true;
}

static void free_heap(attune_heap *heap)
{
    free(heap->bytes);
    free(heap->objects);
    *heap = (attune_heap){0};
}

static bool load_heap(attune_heap *heap, attune_h5_file *file, uint64_t address,
                      const char **problem)
{
    unsigned char header[HEADER_SIZE];
    free_heap(heap);
    *problem = damaged;
    if (address > INT64_MAX - HEAP_SIZE_MAX || !read_bytes(file, header, sizeof(header), address) ||
        memcmp(header, "GCOL\1", 5) != 0) {
        return false;
    }
    uint64_t size = decode(header + 8, 8);
    if (size < HEADER_SIZE || size > HEAP_SIZE_MAX) {
        return false;
    }
    heap->bytes = malloc(size);
    heap->object_count = size / HEADER_SIZE + 1;
    heap->objects = calloc(heap->object_count, sizeof(*heap->objects));
    if (!heap->bytes || !heap->objects) {
        *problem = out_of_memory;
        free_heap(heap);
        return false;
    }
    if (!read_bytes(file, heap->bytes, size, address) || !index_objects(heap, size)) {
        free_heap(heap);
        return false;
    }
    heap->address = address;
    return true;
}

/* The heap at `address`, read if it is none of the last ones; the one unused for longest makes
 * room. */
static const attune_heap *find_heap(attune_heaps *heaps, attune_h5_file *file, uint64_t address,
                                    const char **problem)
{
    attune_heap *heap = &heaps->heaps[0];
    for (int i = 0; i < ATTUNE_HEAP_COUNT && heap->address != address; i++) {
        attune_heap *other = &heaps->heaps[i];
        if (other->address == address || other->used < heap->used) {
            heap = other;
        }
    }
    if (heap->address != address && !load_heap(heap, file, address, problem)) {
        return NULL;
    }
    heap->used = ++heaps->clock;
    return heap;
}

bool attune_string_column_get(attune_text *out, attune_string_column *column, attune_heaps *heaps,
                              attune_h5_file *file, uint64_t row, const char **problem)
{
    *problem = damaged;
    if (!load_chunk(column, row / column->chunk_rows)) {
        return false;
    }
    const unsigned char *reference =
        column->references + (row % column->chunk_rows) * REFERENCE_SIZE;
    uint64_t length = decode(reference, 4), address = decode(reference + 4, 8);
    uint64_t index = decode(reference + 12, 4);
    *out = (attune_text){"", 0};
    if (length == 0) {
        return true;
    }
    if (address == 0 || length > ATTUNE_TEXT_MAX) {
        return false;
    }
    const attune_heap *heap = find_heap(heaps, file, address, problem);
    if (!heap) {
        return false;
    }
    if (index >= heap->object_count || heap->objects[index].offset == 0 ||
        heap->objects[index].length != length) {
        return false;
    }
    *out = (attune_text){(const char *)heap->bytes + heap->objects[index].offset, length};
    return memchr(out->bytes, '\0', length) == NULL;
}

void attune_heaps_free(attune_heaps *heaps)
{
    for (int i = 0; i < ATTUNE_HEAP_COUNT; i++) {
        free_heap(&heaps->heaps[i]);
    }
}
