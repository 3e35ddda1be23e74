/* export_ann.c - ann-benchmarks' layout: queries taken out at random, all else to search among, and
 * the exact answers.
 *
 * Two passes over the output: the first gathers the queries, the second writes the others and
 * searches among them as they pass. So what is held is one block, the queries and their neighbours.
 * Which rows are queries is drawn anew, and alike, in each pass: no list of them is needed. */
#include "store/export.h"

#include "status/error.h"
#include "status/machine.h"
#include "store/blocks.h"
#include "store/h5_file.h"
#include "store/neighbours.h"
#include "store/new_file.h"
#include "store/rows.h"
#include "store/store_format.h"

#include <stdlib.h>
#include <string.h>

enum { QUERIES_DEFAULT = 10000, NEAREST_DEFAULT = 100 };

typedef struct attune_ann {
    attune_store *store;
    attune_new_file target;
    attune_h5_file file;
    hid_t train;    /* dataset; -1: none */
    uint64_t count; /* rows with an embedding */
    uint64_t queries;
    uint32_t nearest;
    size_t width;
    attune_rows *rows; /* the block of the output */
    float *block;      /* (ATTUNE_BLOCK_ROWS, E): of those that are wanted */
    float *embeddings; /* (Q, E): the queries' */
    uint64_t written;  /* rows of train */
    attune_neighbours *neighbours;
} attune_ann;

/* Draws `wanted` of `left` rows, each as likely as any other. */
typedef struct attune_draw {
    uint64_t state, wanted, left;
} attune_draw;

static bool draw(attune_draw *d)
{
    d->state = d->state * 6364136223846793005u + 1442695040888963407u;
    const bool drawn = (d->state >> 32) % d->left-- < d->wanted;
    d->wanted -= drawn;
    return drawn;
}

/* ---- passes over the output ---- */

/* Takes the embeddings of the rows that are wanted, queries or not, into the block. */
static attune_status pick_rows(attune_ann *ann, attune_draw *d, size_t *count, bool queries)
{
    size_t kept = 0;
    for (size_t i = 0; i < attune_rows_count(ann->rows); i++) {
        const attune_row row = attune_rows_get(ann->rows, i);
        if (!attune_track_has_embedding(row.status)) {
            continue;
        }
        const attune_status status = attune_row_check(&row, (int)ann->width);
        if (status != ATTUNE_OK) {
            return status;
        }
        if (draw(d) == queries) {
            memcpy(ann->block + kept++ * ann->width, row.embedding, ann->width * sizeof(float));
        }
    }
    *count = kept;
    return ATTUNE_OK;
}

/* Hands all queries, or all other rows, to `take`, in blocks. */
static attune_status pass(attune_ann *ann, bool queries,
                          attune_status (*take)(attune_ann *ann, size_t count))
{
    attune_draw d = {.state = 1, .wanted = ann->queries, .left = ann->count};
    attune_status status = ATTUNE_OK;
    for (uint64_t next = 0; status == ATTUNE_OK && next < attune_store_count(ann->store);) {
        size_t count = 0;
        status = attune_store_next(ann->store, &next, ann->rows);
        if (status == ATTUNE_OK) {
            status = pick_rows(ann, &d, &count, queries);
        }
        if (status == ATTUNE_OK && count > 0) {
            status = take(ann, count);
        }
    }
    return status;
}

static attune_status take_queries(attune_ann *ann, size_t count)
{
    memcpy(ann->embeddings + ann->written * ann->width, ann->block,
           count * ann->width * sizeof(float));
    ann->written += count;
    return ATTUNE_OK;
}

/* ---- HDF5 ---- */

/* Asked after every step: a failed write is the file driver's to know. */
static attune_status check_file(const attune_ann *ann, bool done)
{
    return done && !ann->file.error
               ? ATTUNE_OK
               : attune_h5_fail(ATTUNE_EIO, &ann->file, ann->target.path, "cannot write");
}

/* A dataset (rows, columns), with `values` in it unless they are NULL. It stays open if `keep` is
 * not NULL. */
static attune_status write_dataset(attune_ann *ann, const char *name, hid_t file_type,
                                   hid_t memory_type, uint64_t rows, uint64_t columns,
                                   const void *values, hid_t *keep)
{
    const hsize_t extent[2] = {rows, columns};
    hid_t space = H5Screate_simple(2, extent, NULL), list = H5Pcreate(H5P_DATASET_CREATE);
    hid_t dataset = -1;
    bool done = space >= 0 && list >= 0 && H5Pset_obj_track_times(list, false) >= 0;
    if (done) {
        dataset = H5Dcreate2(ann->file.id, name, file_type, space, H5P_DEFAULT, list, H5P_DEFAULT);
        done = dataset >= 0 && (!values || H5Dwrite(dataset, memory_type, H5S_ALL, H5S_ALL,
                                                    H5P_DEFAULT, values) >= 0);
    }
    if (!done) {
        attune_h5_note(&ann->file);
    }
    if (dataset >= 0 && keep && done) {
        *keep = dataset;
    } else if (dataset >= 0) {
        H5Dclose(dataset);
    }
    if (list >= 0) {
        H5Pclose(list);
    }
    if (space >= 0) {
        H5Sclose(space);
    }
    return check_file(ann, done);
}

/* Writes a block of train and searches in it. */
static attune_status take_others(attune_ann *ann, size_t count)
{
    const hsize_t start[2] = {ann->written, 0}, extent[2] = {count, ann->width};
    hid_t file_space = H5Dget_space(ann->train), memory_space = H5Screate_simple(2, extent, NULL);
    const bool done =
        file_space >= 0 && memory_space >= 0 &&
        H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, extent, NULL) >= 0 &&
        H5Dwrite(ann->train, H5T_NATIVE_FLOAT, memory_space, file_space, H5P_DEFAULT, ann->block) >=
            0;
    if (!done) {
        attune_h5_note(&ann->file);
    }
    if (file_space >= 0) {
        H5Sclose(file_space);
    }
    if (memory_space >= 0) {
        H5Sclose(memory_space);
    }
    ann->written += count;
    attune_status status = check_file(ann, done);
    return status == ATTUNE_OK ? attune_neighbours_offer(ann->neighbours, ann->block, count)
                               : status;
}

/* An attribute of the root, of variable length: h5py then gives text and not bytes. */
static attune_status write_attribute(attune_ann *ann, const char *name, const char *value)
{
    hid_t attribute = -1, space = H5Screate(H5S_SCALAR), type = H5Tcopy(H5T_C_S1);
    const bool done =
        space >= 0 && type >= 0 && H5Tset_size(type, H5T_VARIABLE) >= 0 &&
        H5Tset_cset(type, H5T_CSET_UTF8) >= 0 &&
        (attribute = H5Acreate2(ann->file.id, name, type, space, H5P_DEFAULT, H5P_DEFAULT)) >= 0 &&
        H5Awrite(attribute, type, &value) >= 0;
    if (!done) {
        attune_h5_note(&ann->file);
    }
    if (attribute >= 0) {
        H5Aclose(attribute);
    }
    if (type >= 0) {
        H5Tclose(type);
    }
    if (space >= 0) {
        H5Sclose(space);
    }
    return check_file(ann, done);
}

static attune_status write_answers(attune_ann *ann)
{
    const size_t size = ann->queries * ann->nearest;
    int32_t *indices = calloc(size, sizeof(*indices));
    float *distances = calloc(size, sizeof(*distances));
    attune_status status = indices && distances
                               ? ATTUNE_OK
                               : attune_fail_memory("neighbours", size * sizeof(*distances));
    for (uint64_t q = 0; status == ATTUNE_OK && q < ann->queries; q++) {
        uint32_t count = 0;
        const attune_near *near = attune_neighbours_of(ann->neighbours, q, &count);
        for (uint32_t i = 0; i < count; i++) {
            indices[q * ann->nearest + i] = (int32_t)near[i].row;
            distances[q * ann->nearest + i] = (float)near[i].distance;
        }
    }
    if (status == ATTUNE_OK) {
        status = write_dataset(ann, "neighbors", H5T_STD_I32LE, H5T_NATIVE_INT32, ann->queries,
                               ann->nearest, indices, NULL);
    }
    if (status == ATTUNE_OK) {
        status = write_dataset(ann, "distances", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, ann->queries,
                               ann->nearest, distances, NULL);
    }
    free(indices);
    free(distances);
    return status;
}

static attune_status write_file(attune_ann *ann, int threads)
{
    attune_status status = pass(ann, true, take_queries);
    ann->written = 0;
    if (status == ATTUNE_OK) {
        status = attune_neighbours_create(&ann->neighbours, ann->embeddings, ann->queries,
                                          (int)ann->width, ann->nearest, threads);
    }
    if (status == ATTUNE_OK) {
        status = write_attribute(ann, "distance", "angular");
    }
    if (status == ATTUNE_OK) {
        status = write_attribute(ann, "point_type", "float");
    }
    if (status == ATTUNE_OK) {
        status = write_dataset(ann, "test", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, ann->queries,
                               ann->width, ann->embeddings, NULL);
    }
    if (status == ATTUNE_OK) {
        status = write_dataset(ann, "train", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT,
                               ann->count - ann->queries, ann->width, NULL, &ann->train);
    }
    if (status == ATTUNE_OK) {
        status = pass(ann, false, take_others);
    }
    return status == ATTUNE_OK ? write_answers(ann) : status;
}

/* ---- the whole ---- */

/* Settles how many queries and neighbours there are, and makes room for them. */
static attune_status prepare(attune_ann *ann, const attune_export_options *options)
{
    if (ann->count < 2 || ann->count > INT32_MAX) {
        return attune_fail(ATTUNE_EDATA,
                           "ann-benchmarks' layout needs 2 to %d rows with an embedding, and here "
                           "are %llu",
                           INT32_MAX, (unsigned long long)ann->count);
    }
    const uint64_t tenth = (ann->count + 9) / 10;
    ann->queries = options->queries          ? options->queries
                   : tenth < QUERIES_DEFAULT ? tenth
                                             : QUERIES_DEFAULT;
    if (ann->queries >= ann->count) {
        return attune_fail(ATTUNE_EINVAL,
                           "%llu queries of %llu rows with an embedding: none is left to find",
                           (unsigned long long)ann->queries, (unsigned long long)ann->count);
    }
    const uint64_t others = ann->count - ann->queries;
    ann->nearest = options->nearest ? options->nearest : NEAREST_DEFAULT;
    ann->nearest = ann->nearest > others ? (uint32_t)others : ann->nearest;
    attune_status status = attune_rows_create(&ann->rows, (int)ann->width);
    if (status != ATTUNE_OK) {
        return status;
    }
    ann->block = malloc(ATTUNE_BLOCK_ROWS * ann->width * sizeof(float));
    ann->embeddings = calloc(ann->queries, ann->width * sizeof(float));
    if (!ann->block || !ann->embeddings) {
        return attune_fail_memory("embeddings", ann->queries * ann->width * sizeof(float));
    }
    return ATTUNE_OK;
}

attune_status attune_export_ann(const char *path, attune_store *store,
                                const attune_export_options *options, attune_export_counts *counts)
{
    attune_ann ann = {
        .store = store,
        .target = ATTUNE_NEW_FILE_CLOSED,
        .file = ATTUNE_H5_FILE_CLOSED,
        .train = -1,
        .count = counts->rows,
        .width = (size_t)attune_store_attributes_of(store)->embedding,
    };
    attune_h5_printing printing = attune_h5_quiet();
    attune_status status = attune_new_file_open_other(&ann.target, path, options->replace);
    ann.file.fd = ann.target.fd;
    if (status == ATTUNE_OK) {
        status = check_file(&ann, attune_h5_create(&ann.file));
    }
    if (status == ATTUNE_OK) {
        status = prepare(&ann, options);
    }
    if (status == ATTUNE_OK) {
        status = write_file(&ann, options->threads > 0 ? options->threads : attune_processors());
    }
    if (ann.train >= 0) {
        H5Dclose(ann.train);
    }
    const bool closed = attune_h5_close(&ann.file);
    if (status == ATTUNE_OK) {
        status = check_file(&ann, closed);
    }
    if (status == ATTUNE_OK) {
        status = attune_new_file_publish(&ann.target);
    }
    attune_new_file_close(&ann.target);
    attune_neighbours_free(ann.neighbours);
    attune_rows_free(ann.rows);
    free(ann.block);
    free(ann.embeddings);
    attune_h5_restore(printing, status);
    counts->queries = ann.queries;
    counts->nearest = ann.nearest;
    return status;
}
