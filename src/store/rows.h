/* rows.h - what a batch of rows looks like to the store's own files.
 *
 * Arrays: one 96-byte record a row, the embeddings (count, E), descriptors (count, 23) from the
 * first row on that has some, and one block of text that the records point into by offset, so that
 * growing it moves nothing else. A row of E = 32 with a path of 60 bytes takes 96 + 128 + 61 = 285
 * bytes, and growth by half keeps the slack below that again by half. */
#ifndef ATTUNE_SRC_STORE_ROWS_H
#define ATTUNE_SRC_STORE_ROWS_H

#include "attune/store.h"

/* The widest embedding, and the longest path or error text in bytes. Both are far beyond use; they
 * keep every size below in range and let a reader tell a damaged length from a long text. */
#define ATTUNE_EMBEDDING_MAX 4096
#define ATTUNE_TEXT_MAX (1u << 20)

typedef struct attune_record {
    uint64_t path; /* offset into the text */
    uint64_t error;
    double duration;
    uint64_t size;
    int64_t mtime_ns;
    uint32_t frames;
    uint8_t status;
    attune_labels labels;
} attune_record;

struct attune_rows {
    int embedding; /* E */
    size_t count;
    size_t capacity; /* rows that records and embeddings have room for */
    attune_record *records;
    float *embeddings;  /* (capacity, E) */
    float *descriptors; /* (capacity, ATTUNE_DESCRIPTORS), NaN where there are none; or NULL */
    char *text;         /* NUL-terminated strings; offset 0 holds "" */
    size_t text_length;
    size_t text_capacity;
};

/* A string that need not be terminated. */
typedef struct attune_text {
    const char *bytes;
    size_t length;
} attune_text;

/* attune_rows_append for text without a terminator: `row->path` and `row->error` are not looked at.
 */
attune_status attune_rows_append_text(attune_rows *rows, const attune_row *row, attune_text path,
                                      attune_text error);

/* XXH3 of everything in a row, for the column /checksum: the numbers below as little-endian bytes,
 * then path, error and embedding, each seeded with the hash of what comes before it. */
uint64_t attune_row_checksum(const attune_row *row, int embedding);

/* ATTUNE_EDATA for a row of which the status says that it has an embedding, and that is not finite.
 */
attune_status attune_row_check(const attune_row *row, int embedding);

/* Drops the rows from `count` on and the text from `text_length` on: undoes appends. */
void attune_rows_truncate(attune_rows *rows, size_t count, size_t text_length);

#endif
