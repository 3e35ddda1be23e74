/* export.h - the embeddings of an output in the formats of other programs. */
#ifndef ATTUNE_EXPORT_H
#define ATTUNE_EXPORT_H

#include "attune/store.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum attune_export_format {
    /* numpy's: (rows, E) f32. */
    ATTUNE_EXPORT_NPY,
    /* A line of names, then a line a row: path, status, error, duration, frames, size, mtime_ns, in
     * outputs with labels track_id, genre_top, artist_id, album_id, split, and the embedding's E
     * numbers, in enough digits to give the same f32 again. Texts are quoted as RFC 4180 says, and
     * are the output's bytes whatever their encoding; lines end with LF. */
    ATTUNE_EXPORT_CSV,
    /* ann-benchmarks' HDF5: `train` (T, E) f32, `test` (Q, E) f32 and, exactly, the K rows of train
     * nearest to each of test: `neighbors` (Q, K) i32, `distances` (Q, K) f32, which are 1 -
     * cosine; root attributes `distance` ("angular") and `point_type` ("float"). */
    ATTUNE_EXPORT_ANN_BENCHMARKS
} attune_export_format;

typedef struct attune_export_options {
    attune_export_format format;
    bool all;         /* npy, csv: rows without an embedding too, as NaN, so that row i is row i */
    bool replace;     /* a file that is there, unless it is an attune output */
    uint64_t queries; /* ann: Q; chosen at random, always the same; 0: a tenth, at most 10,000 */
    uint32_t nearest; /* ann: K, at most T; 0: 100 */
    int threads;      /* ann: 0: one per processor this process may use */
} attune_export_options;

/* What an export holds. */
typedef struct attune_export_counts {
    uint64_t rows;     /* in the file; in `train` and `test` together */
    uint64_t left_out; /* without an embedding */
    uint64_t queries;  /* Q */
    uint32_t nearest;  /* K */
} attune_export_counts;

/* Writes `path`, which takes its name only when it is complete; "-" is standard output (npy and
 * csv). Memory does not grow with the rows. `counts` may be NULL. ATTUNE_ECREATE when `path` is
 * there and may not be replaced; ATTUNE_EDATA when ann-benchmarks' layout is asked for and there
 * are fewer than two rows. */
ATTUNE_API attune_status attune_export(const char *path, attune_store *store,
                                       const attune_export_options *options,
                                       attune_export_counts *counts);

#ifdef __cplusplus
}
#endif
#endif
