/* store_format.h - the file's datasets and root attributes, as tables that the writer and the
 * reader share.
 *
 * Strings of tracks are of variable length; root attributes are strings of fixed length, because
 * HDF5 then keeps them in checksummed metadata (variable ones lie in its global heap, which it
 * reads without checks). */
#ifndef ATTUNE_SRC_STORE_FORMAT_H
#define ATTUNE_SRC_STORE_FORMAT_H

#include "attune/store.h"

#include <hdf5.h>

#define ATTUNE_FORMAT_NAME "attune-embeddings"
#define ATTUNE_FORMAT_VERSION 1

/* Rows in a chunk of a full-sized file; also the rows that are written and read at a time. */
#define ATTUNE_BLOCK_ROWS 4096

typedef enum attune_column {
    ATTUNE_COLUMN_EMBEDDING,
    ATTUNE_COLUMN_PATH,
    ATTUNE_COLUMN_STATUS,
    ATTUNE_COLUMN_ERROR,
    ATTUNE_COLUMN_DURATION,
    ATTUNE_COLUMN_FRAMES,
    ATTUNE_COLUMN_SIZE,
    ATTUNE_COLUMN_MTIME,
    ATTUNE_COLUMN_CHECKSUM,
    ATTUNE_COLUMN_TRACK_ID, /* from here on labels, which not every file has */
    ATTUNE_COLUMN_GENRE_TOP,
    ATTUNE_COLUMN_ARTIST_ID,
    ATTUNE_COLUMN_ALBUM_ID,
    ATTUNE_COLUMN_SPLIT,
    ATTUNE_COLUMN_DESCRIPTORS, /* no label, and not in every file either */
    ATTUNE_COLUMN_COUNT
} attune_column;

/* The dataset's name, "embedding". */
const char *attune_column_name(attune_column column);

/* Whether it is one of labels. */
bool attune_column_is_label(attune_column column);

/* Whether not every file has it. HDF5 keeps checksums of its chunks: a row's own is of the rest. */
bool attune_column_is_optional(attune_column column);

/* Numbers of a row in it: E, 23, or 1 in a dataset of rank 1. */
int attune_column_width(attune_column column, int embedding);
int attune_column_rank(attune_column column);

/* The attributes of /descriptors: names of the columns, one a line, and how they are scaled.
 * Without the first the dataset is a user's own. */
#define ATTUNE_DESCRIPTORS_COLUMNS "columns"
#define ATTUNE_DESCRIPTORS_SCALING "scaling"
extern const char attune_descriptors_scaling[];

/* The column's type in the file and in memory, to be closed; negative on failure. */
hid_t attune_column_file_type(attune_column column);
hid_t attune_column_memory_type(attune_column column);

/* One block of rows by columns; the embeddings lie elsewhere. */
typedef struct attune_block {
    const char *path[ATTUNE_BLOCK_ROWS];
    const char *error[ATTUNE_BLOCK_ROWS];
    double duration[ATTUNE_BLOCK_ROWS];
    uint64_t size[ATTUNE_BLOCK_ROWS];
    int64_t mtime_ns[ATTUNE_BLOCK_ROWS];
    uint64_t checksum[ATTUNE_BLOCK_ROWS];
    uint32_t frames[ATTUNE_BLOCK_ROWS];
    uint8_t status[ATTUNE_BLOCK_ROWS];
    int32_t track_id[ATTUNE_BLOCK_ROWS];
    int32_t artist_id[ATTUNE_BLOCK_ROWS];
    int32_t album_id[ATTUNE_BLOCK_ROWS];
    uint8_t split[ATTUNE_BLOCK_ROWS];
    char genre_top[ATTUNE_BLOCK_ROWS][ATTUNE_GENRE_SIZE];
    float descriptors[ATTUNE_BLOCK_ROWS][ATTUNE_DESCRIPTORS];
} attune_block;

typedef enum attune_attribute_kind {
    ATTUNE_ATTRIBUTE_STRING,
    ATTUNE_ATTRIBUTE_INTEGER,
    ATTUNE_ATTRIBUTE_REAL
} attune_attribute_kind;

/* A root attribute and where attune_store_attributes keeps it. */
typedef struct attune_attribute {
    const char *name;
    attune_attribute_kind kind;
    size_t offset;
} attune_attribute;

#define ATTUNE_ATTRIBUTE_COUNT 14
extern const attune_attribute attune_attributes[ATTUNE_ATTRIBUTE_COUNT];

/* Nothing more can be appended or committed. */
void attune_store_writer_fail(attune_store_writer *writer);

#endif
