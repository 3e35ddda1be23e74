/* space.h - an embedding to be evaluated: vectors with names, whoever made them.
 *
 * Files are known by their content and name:
 * - an output of attune: rows without a vector are left out; /track_id and what goes with it are
 *   kept;
 * - .npy: (n, E) of f32 or f64, with a text file of n ids or paths, one a line;
 * - .csv: id or path, then the components. With a header, ids or paths are in the column path, id
 *   or track_id, or in the first; components in those called e0, e1, ... or embedding_0, ..., or in
 *   all others. A header may be of numbers, 0, 1, 2, ... or 1, 2, 3, ...
 * Rows with a component that is not finite are left out and counted. */
#ifndef ATTUNE_SRC_EVAL_SPACE_H
#define ATTUNE_SRC_EVAL_SPACE_H

#include "attune/store.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct attune_space {
    char *title;           /* what it is called in tables */
    float *vectors;        /* (n, E) */
    char **names;          /* (n) */
    uint32_t *rows;        /* (n): their numbers in the file, from 1, with those left out */
    char *root;            /* of an output of attune: what names without a / before are below */
    attune_labels *labels; /* (n), or NULL where the file has none */
    uint32_t n, E, capacity;
    uint32_t left_out; /* rows of the file that have no vector */
} attune_space;

/* Which of a file's vectors. */
typedef enum attune_space_kind {
    ATTUNE_SPACE_EMBEDDING,
    ATTUNE_SPACE_DESCRIPTORS, /* only an output of attune has them, made with --descriptors */
    ATTUNE_SPACE_KINDS
} attune_space_kind;

/* ids: for .npy, NULL: the same name with .txt. ATTUNE_EDATA for what cannot be read, and for a
 * file without one vector of the kind. On failure there is nothing to free. */
attune_status attune_space_read(attune_space *out, const char *path, const char *ids,
                                attune_space_kind kind);
void attune_space_free(attune_space *space); /* NULL-safe; also of {0} */

/* What file `i` of several is called in tables: its name, or its whole path where another has the
 * same name; one of `paths`, or a part of it. */
const char *attune_file_title(const char *const *paths, uint32_t count, uint32_t i);
/* Calls a space of a kind after its file. */
attune_status attune_space_retitle(attune_space *space, const char *file, attune_space_kind kind);

/* Keeps rows (count), each once, in that order. */
attune_status attune_space_select(attune_space *space, const uint32_t *rows, uint32_t count);

/* Divides rows by their lengths: nearest by distance is then nearest by cosine. */
void attune_space_normalise(attune_space *space);

/* As many random vectors of length 1, the same for the same n and E. No names. */
attune_status attune_space_random(attune_space *out, uint32_t n, uint32_t E);

/* For readers: appends a row, or counts it as left out where the vector is not finite. */
attune_status attune_space_add(attune_space *space, const char *name, const float *vector,
                               const attune_labels *labels);

/* Of src/eval/space_text.c. */
attune_status attune_space_read_npy(attune_space *space, const char *path, const char *ids);
attune_status attune_space_read_csv(attune_space *space, const char *path);

#endif
