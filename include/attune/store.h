/* store.h - embeddings in HDF5: rows in memory, a file written atomically, a file read.
 *
 * The file's layout: one dataset a column, row i of every dataset the same track (README, "The
 * output file"). A writer writes to a temporary name beside the target, and commit fsyncs, renames
 * and fsyncs the folder: the target is either the old file or the whole new one. A handle is not
 * thread-safe; two threads may use two handles if HDF5 is built thread-safe, as Debian's is. A
 * process with a limit on file size should ignore SIGXFSZ, to get ATTUNE_EIO and not the signal. */
#ifndef ATTUNE_STORE_H
#define ATTUNE_STORE_H

#include "attune/status.h"
#include "attune/track.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Which part of FMA's official split a track is in. The values are those of the output's `/split`
 * enum; X(name, value, text). */
#define ATTUNE_FMA_SPLITS(X)                                                                       \
    X(ATTUNE_FMA_NO_SPLIT, 0, "none")                                                              \
    X(ATTUNE_FMA_TRAINING, 1, "training")                                                          \
    X(ATTUNE_FMA_VALIDATION, 2, "validation")                                                      \
    X(ATTUNE_FMA_TEST, 3, "test")

typedef enum attune_fma_split {
#define ATTUNE_X(name, value, text) name = value,
    ATTUNE_FMA_SPLITS(ATTUNE_X)
#undef ATTUNE_X
        ATTUNE_FMA_SPLIT_COUNT = 4
} attune_fma_split;

#define ATTUNE_GENRE_SIZE 32

/* What FMA's metadata say of a track. */
typedef struct attune_labels {
    int32_t track_id;            /* -1: the file is no track of FMA, and the rest is empty */
    int32_t artist_id, album_id; /* -1: not known */
    attune_fma_split split;
    char genre_top[ATTUNE_GENRE_SIZE]; /* its title; "" where the track has none, or several */
} attune_labels;

ATTUNE_API const char *attune_fma_split_name(attune_fma_split split); /* "training" */
ATTUNE_API bool attune_labels_equal(const attune_labels *a, const attune_labels *b);

#define ATTUNE_NO_LABELS ((attune_labels){.track_id = -1, .artist_id = -1, .album_id = -1})

/* The descriptors of a track that embed --descriptors adds, in their order; what they are and how
 * they are scaled is in README, "Descriptors". X(name, text). */
#define ATTUNE_DESCRIPTOR_NAMES(X)                                                                 \
    X(TEMPO, "tempo")                                                                              \
    X(CROSSINGS, "zero_crossings")                                                                 \
    X(CENTROID_MEAN, "centroid_mean")                                                              \
    X(CENTROID_DEVIATION, "centroid_deviation")                                                    \
    X(ROLLOFF_MEAN, "rolloff_mean")                                                                \
    X(ROLLOFF_DEVIATION, "rolloff_deviation")                                                      \
    X(FLATNESS_MEAN, "flatness_mean")                                                              \
    X(FLATNESS_DEVIATION, "flatness_deviation")                                                    \
    X(LOUDNESS_MEAN, "loudness_mean")                                                              \
    X(LOUDNESS_DEVIATION, "loudness_deviation")                                                    \
    X(MINOR_SECOND, "minor_second")                                                                \
    X(MAJOR_SECOND, "major_second")                                                                \
    X(MINOR_THIRD, "minor_third")                                                                  \
    X(MAJOR_THIRD, "major_third")                                                                  \
    X(FOURTH, "fourth")                                                                            \
    X(TRITONE, "tritone")                                                                          \
    X(MAJOR, "major")                                                                              \
    X(MINOR, "minor")                                                                              \
    X(DIMINISHED, "diminished")                                                                    \
    X(AUGMENTED, "augmented")                                                                      \
    X(INTERVALS, "intervals")                                                                      \
    X(TRIADS, "triads")                                                                            \
    X(TRIADS_OF_INTERVALS, "triads_of_intervals")

typedef enum attune_descriptor {
#define ATTUNE_X(name, text) ATTUNE_DESCRIPTOR_##name,
    ATTUNE_DESCRIPTOR_NAMES(ATTUNE_X)
#undef ATTUNE_X
        ATTUNE_DESCRIPTORS
} attune_descriptor;

ATTUNE_API const char *attune_descriptor_name(attune_descriptor descriptor); /* "tempo" */

/* One track. As input its pointers are borrowed for the call; as output they are valid until the
 * rows they came from change. */
typedef struct attune_row {
    const char *path; /* raw bytes, relative to the root when under it */
    attune_track_status status;
    const char *error; /* one line; "" when there is none */
    double duration;   /* seconds embedded */
    uint32_t frames;   /* frames embedded */
    uint64_t size;     /* bytes of the file when read */
    int64_t mtime_ns;
    const float *embedding;      /* (E); NULL means a row of NaN */
    const float *descriptors;    /* (ATTUNE_DESCRIPTORS); NULL: there are none, NaN in a file */
    const attune_labels *labels; /* as input NULL means ATTUNE_NO_LABELS; as output never NULL */
} attune_row;

/* A growing batch of rows of one embedding width. Owns copies of everything. */
typedef struct attune_rows attune_rows;

/* 1 <= embedding <= 4096. */
ATTUNE_API attune_status attune_rows_create(attune_rows **out, int embedding);
ATTUNE_API void attune_rows_free(attune_rows *rows); /* NULL-safe */
/* `row` must not point into `rows` itself. Texts may have up to 1 MiB each. On failure nothing is
 * added. */
ATTUNE_API attune_status attune_rows_append(attune_rows *rows, const attune_row *row);
ATTUNE_API size_t attune_rows_count(const attune_rows *rows);
/* Row `index` < count, in the present order. */
ATTUNE_API attune_row attune_rows_get(const attune_rows *rows, size_t index);
/* Orders by path, bytewise (strcmp); rows of the same path stay, in their order. */
ATTUNE_API attune_status attune_rows_sort(attune_rows *rows);
ATTUNE_API void attune_rows_clear(attune_rows *rows); /* keeps the memory */

/* The root attributes of a file. Strings are borrowed by the writer for attune_store_create, and
 * belong to the store when read. NULL strings are written as "". */
typedef struct attune_store_attributes {
    const char *model_sha256;
    const char *model_name;
    const char *network; /* JSON */
    const char *device;
    const char *precision;
    const char *root;
    const char *command;
    const char *libav;
    const char *attune_version;
    const char *created; /* ISO 8601 UTC */
    int sample_rate;
    int frame_size;
    int embedding; /* E */
    bool labels;   /* the file has columns of labels: not an attribute, but which datasets it has */
    bool descriptors; /* nor is this one: it has descriptors */
    double clip_start;
    double clip_seconds; /* 0: to the end */
} attune_store_attributes;

typedef struct attune_store_writer attune_store_writer;

/* Starts a file that will stand at `path`. ATTUNE_ECREATE when the folder is missing or not
 * writable, when `path` is a folder, or when a file stands there that is no attune output (ours to
 * replace is only ours). */
ATTUNE_API attune_status attune_store_create(attune_store_writer **out, const char *path,
                                             const attune_store_attributes *attributes);
/* Appends all rows, in their order. After a failure, a full disk say, nothing more can be appended
 * or committed. The file's bytes do not depend on how its rows are divided among calls. */
ATTUNE_API attune_status attune_store_append(attune_store_writer *writer, const attune_rows *rows);

/* From here on, rows get the labels that `label` says of their paths and not their own. Of no
 * effect on a file without columns of labels. */
ATTUNE_API void attune_store_label(attune_store_writer *writer,
                                   void (*label)(void *user, attune_labels *out, const char *path),
                                   void *user);

/* What to do with rows of the same path. */
typedef enum attune_merge_duplicates {
    ATTUNE_MERGE_REFUSE, /* ATTUNE_EDATA, naming the path and the files */
    ATTUNE_MERGE_LAST    /* the one from the last input in the list stays, and its last there */
} attune_merge_duplicates;

/* Appends the rows of `count` outputs, each sorted by path, as one sequence sorted by path. `keep`
 * may be NULL; it is asked for each row that would be written. Of the attributes only the
 * embedding's width is looked at. Inputs may be more than a process may hold open, and memory does
 * not grow with their rows. An input that is not sorted is ATTUNE_EDATA. Does not commit; after a
 * failure the writer must be closed without. */
ATTUNE_API attune_status attune_store_merge(attune_store_writer *writer, const char *const *inputs,
                                            size_t count, attune_merge_duplicates duplicates,
                                            bool (*keep)(void *user, const attune_row *row),
                                            void *user);
/* Makes the file durable under its name. The writer must still be closed, whatever happened. */
ATTUNE_API attune_status attune_store_commit(attune_store_writer *writer);
/* Frees; removes the temporary file if it was not committed. NULL-safe. */
ATTUNE_API void attune_store_writer_close(attune_store_writer *writer);

typedef struct attune_store attune_store;

/* Opens an output for reading. A file that is not there: ATTUNE_ENOINPUT; not HDF5, not ours, of
 * another format version, or with columns of unequal length or wrong type: ATTUNE_EDATA. */
ATTUNE_API attune_status attune_store_open(attune_store **out, const char *path);
ATTUNE_API void attune_store_close(attune_store *store); /* NULL-safe */
ATTUNE_API uint64_t attune_store_count(const attune_store *store);
ATTUNE_API const attune_store_attributes *attune_store_attributes_of(const attune_store *store);
/* Appends rows [first, first + count) to `rows`; on failure `rows` is as before. A range that is
 * not in the file: ATTUNE_EINVAL; a damaged file: ATTUNE_EDATA. */
ATTUNE_API attune_status attune_store_read(attune_store *store, uint64_t first, uint64_t count,
                                           attune_rows *rows);
/* One column of rows [first, first + count): (count, E) f32, and (count) status values. */
ATTUNE_API attune_status attune_store_read_embeddings(attune_store *store, uint64_t first,
                                                      uint64_t count, float *embeddings);
ATTUNE_API attune_status attune_store_read_statuses(attune_store *store, uint64_t first,
                                                    uint64_t count, uint8_t *statuses);

/* "HDF5 1.10.8": the version in use. */
ATTUNE_API const char *attune_store_versions(void);

#ifdef __cplusplus
}
#endif
#endif
