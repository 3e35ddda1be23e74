/* checkpoint.h - a network in training, in HDF5: what is learnt, and what it takes to go on.
 *
 * The file: root attributes `format` ("attune-checkpoint"), `format_version`, `attune_version`,
 * `network` (JSON) and each number of the network; groups /parameters and /statistics, and
 * /moment1 and /moment2 (AdamW's) where training is to go on, each with one f32 dataset a tensor
 * under its name in PyTorch's state dictionary; and the group /state, whose attributes are named
 * scalars and texts: epoch, step, best metric, random state, configuration, whatever the trainer
 * needs. Nothing is rounded: what is read is what was written, bit for bit. Every dataset has a
 * Fletcher-32 checksum, all else HDF5's own, so that damage is found and not believed. */
#ifndef ATTUNE_SRC_STORE_CHECKPOINT_H
#define ATTUNE_SRC_STORE_CHECKPOINT_H

#include "model/trainable.h"

#define ATTUNE_CHECKPOINT_FORMAT_NAME "attune-checkpoint"
#define ATTUNE_CHECKPOINT_FORMAT_VERSION 1

typedef enum attune_checkpoint_kind {
    ATTUNE_CHECKPOINT_REAL,
    ATTUNE_CHECKPOINT_INTEGER,
    ATTUNE_CHECKPOINT_TEXT
} attune_checkpoint_kind;

typedef struct attune_checkpoint_value {
    char *name;
    attune_checkpoint_kind kind;
    double real;
    uint64_t integer;
    char *text; /* no NUL inside; any bytes, UTF-8 by intention */
} attune_checkpoint_value;

typedef struct attune_checkpoint {
    attune_trainable trainable;
    float *parameters;        /* (trainable.parameter_count) */
    float *statistics;        /* (trainable.statistic_count) */
    float *moment1, *moment2; /* (trainable.parameter_count) each; both NULL: for embedding alone */
    attune_checkpoint_value *values;
    size_t value_count;
    char *path;   /* that it was read from; "" */
    float *arena; /* the arrays above, as create and read make them */
} attune_checkpoint;

/* A checkpoint of zeros and no values, with or without moments; the arrays are the caller's to
 * fill, and its own to train in if it likes. On failure *out is NULL. */
attune_status attune_checkpoint_create(attune_checkpoint **out, const attune_network *network,
                                       bool with_moments);
void attune_checkpoint_close(attune_checkpoint *checkpoint); /* NULL-safe */

/* Sets a value of that name, or replaces it. Names are 1 to 63 bytes. */
attune_status attune_checkpoint_set_real(attune_checkpoint *checkpoint, const char *name,
                                         double real);
attune_status attune_checkpoint_set_integer(attune_checkpoint *checkpoint, const char *name,
                                            uint64_t integer);
attune_status attune_checkpoint_set_text(attune_checkpoint *checkpoint, const char *name,
                                         const char *text);

/* ATTUNE_EDATA, naming the file and the value, where there is none of that kind. A text is borrowed
 * from the checkpoint. */
attune_status attune_checkpoint_get_real(double *out, const attune_checkpoint *checkpoint,
                                         const char *name);
attune_status attune_checkpoint_get_integer(uint64_t *out, const attune_checkpoint *checkpoint,
                                            const char *name);
attune_status attune_checkpoint_get_text(const char **out, const attune_checkpoint *checkpoint,
                                         const char *name);

/* Writes `path` whole or not at all; it replaces a checkpoint and nothing else (ATTUNE_ECREATE).
 * Only reads `checkpoint`: a copy of the struct with moment1 = moment2 = NULL writes one for
 * embedding alone, and one whose arrays are the caller's own is as good. */
attune_status attune_checkpoint_write(const char *path, const attune_checkpoint *checkpoint);

/* Every tensor's name and shape is checked, and that what embeds is finite. Not there:
 * ATTUNE_ENOINPUT; no checkpoint, damaged, of another version: ATTUNE_EDATA with one line that says
 * which. On failure *out is NULL. */
attune_status attune_checkpoint_read(attune_checkpoint **out, const char *path);

#endif
