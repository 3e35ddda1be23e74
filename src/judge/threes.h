/* threes.h - a file of threes to judge, in the format of human_triplets.csv, and of what was
 * judged.
 *
 * Columns song1, song2, song3, and anchor and positive, which are positions among them from 1 to 3,
 * or empty where nobody has judged. The two that sound most alike are anchor and positive. Other
 * columns are kept. */
#ifndef ATTUNE_SRC_JUDGE_THREES_H
#define ATTUNE_SRC_JUDGE_THREES_H

#include "attune/status.h"
#include "train/names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More than listeners ever judge; every row costs a byte for each listener. */
#define ATTUNE_THREES_MAX 100000

/* Two positions of 0 to 2, or -1 and -1: not judged. */
typedef struct attune_choice {
    int8_t anchor, positive;
} attune_choice;

#define ATTUNE_NO_CHOICE ((attune_choice){-1, -1})

/* The texts of a row of the file, each with its NUL. */
typedef struct attune_three_fields {
    char *texts;
    size_t count;
} attune_three_fields;

typedef struct attune_three {
    uint32_t song[3];    /* numbers of songs */
    attune_choice given; /* what the file says */
    size_t line;         /* where it stands there */
    attune_three_fields fields;
} attune_three;

typedef struct attune_threes {
    attune_three_fields head;
    size_t column[5];   /* of song1, song2, song3, anchor, positive */
    attune_names songs; /* ids or paths; spaces before them as in the first row */
    attune_names words; /* the same without */
    attune_three *rows; /* (count) */
    uint32_t count, capacity;
    uint32_t judged; /* rows of which the file says something */
} attune_threes;

/* ATTUNE_EDATA, with the line, for a file of another kind or a row that names a song twice. To be
 * freed; on failure there is nothing to free. */
attune_status attune_threes_read(attune_threes *out, const char *path);
void attune_threes_free(attune_threes *threes); /* NULL-safe; also of {0} */

/* A number for the three names of a row in their order, the same in another file, whatever spaces
 * are around them. */
uint64_t attune_threes_key(const attune_threes *threes, uint32_t row);

/* Writes all that was read with choices (count) in place of those in the file, as one whole. */
attune_status attune_threes_write(const char *path, const attune_threes *threes,
                                  const attune_choice *choices);

#endif
