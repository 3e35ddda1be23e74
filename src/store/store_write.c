/* store_write.c - an output file, written block by block and published atomically.
 *
 * Rows are gathered into blocks of 4,096, which are the chunks of the file: each is written once,
 * whole, and nothing but one block is held. The datasets are created with the first block. A file
 * of fewer rows therefore knows its size by then and gets one chunk of exactly that many rows, so
 * that 35 rows take some kilobytes and not a chunk of 4,096; and the file's bytes do not depend on
 * how the rows were handed over. */
#include "status/error.h"
#include "store/h5_attribute.h"
#include "store/new_file.h"
#include "store/rows.h"
#include "store/store_format.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct attune_store_writer {
    attune_new_file target;
    attune_h5_file file;
    hid_t datasets[ATTUNE_COLUMN_COUNT]; /* -1 until the first block */
    uint64_t count;                      /* rows written */
    attune_rows *rows;                   /* those of the next block */
    attune_block *block;                 /* the same by columns, for HDF5 */
    int embedding;                       /* E */
    bool finished;                       /* committed or failed: nothing more can be written */
    bool columns[ATTUNE_COLUMN_COUNT];   /* whether the file has it */
    void (*label)(void *user, attune_labels *out, const char *path); /* NULL: as rows say */
    void *label_user;
};

static attune_status fail_write(attune_store_writer *writer)
{
    writer->finished = true;
    return attune_h5_fail(ATTUNE_EIO, &writer->file, writer->target.path, "cannot write");
}

static bool write_attributes(attune_h5_file *file, const attune_store_attributes *attributes)
{
    const int version = ATTUNE_FORMAT_VERSION;
    bool written = attune_h5_write_text(file, file->id, "format", ATTUNE_FORMAT_NAME) &&
                   attune_h5_write_number(file, file->id, "format_version", H5T_STD_I32LE,
                                          H5T_NATIVE_INT, &version);
    for (int i = 0; written && i < ATTUNE_ATTRIBUTE_COUNT; i++) {
        const attune_attribute *attribute = &attune_attributes[i];
        const void *value = (const char *)attributes + attribute->offset;
        if (attribute->kind == ATTUNE_ATTRIBUTE_STRING) {
            const char *text = *(const char *const *)value;
            written = attune_h5_write_text(file, file->id, attribute->name, text ? text : "");
        } else if (attribute->kind == ATTUNE_ATTRIBUTE_INTEGER) {
            written = attune_h5_write_number(file, file->id, attribute->name, H5T_STD_I32LE,
                                             H5T_NATIVE_INT, value);
        } else {
            written = attune_h5_write_number(file, file->id, attribute->name, H5T_IEEE_F64LE,
                                             H5T_NATIVE_DOUBLE, value);
        }
    }
    return written;
}

attune_status attune_store_create(attune_store_writer **out, const char *path,
                                  const attune_store_attributes *attributes)
{
    *out = NULL;
    attune_h5_printing printing = attune_h5_quiet();
    attune_store_writer *writer = calloc(1, sizeof(*writer));
    attune_status status = ATTUNE_OK;
    if (!writer) {
        status = attune_fail_memory("a file being written", sizeof(*writer));
        goto done;
    }
    writer->target = ATTUNE_NEW_FILE_CLOSED;
    writer->file = ATTUNE_H5_FILE_CLOSED;
    writer->embedding = attributes->embedding;
    for (int i = 0; i < ATTUNE_COLUMN_COUNT; i++) {
        const attune_column column = (attune_column)i;
        writer->datasets[i] = -1;
        writer->columns[i] = attune_column_is_label(column)        ? attributes->labels
                             : column == ATTUNE_COLUMN_DESCRIPTORS ? attributes->descriptors
                                                                   : true;
    }
    if ((status = attune_rows_create(&writer->rows, attributes->embedding)) != ATTUNE_OK ||
        (status = attune_new_file_open(&writer->target, path)) != ATTUNE_OK) {
        goto done;
    }
    writer->block = malloc(sizeof(*writer->block));
    if (!writer->block) {
        status = attune_fail_memory("a block of rows", sizeof(*writer->block));
        goto done;
    }
    writer->file.fd = writer->target.fd;
    if (!attune_h5_create(&writer->file) || !write_attributes(&writer->file, attributes) ||
        writer->file.error) {
        status = fail_write(writer);
    }
done:
    if (status != ATTUNE_OK) {
        attune_store_writer_close(writer);
        writer = NULL;
    }
    attune_h5_restore(printing, status);
    *out = writer;
    return status;
}

/* Creates the column's dataset, empty, in chunks of `chunk_rows`. */
static hid_t create_dataset(attune_store_writer *writer, attune_column column, hsize_t chunk_rows)
{
    const int rank = attune_column_rank(column);
    const hsize_t width = (hsize_t)attune_column_width(column, writer->embedding);
    const hsize_t start[2] = {0, width}, limit[2] = {H5S_UNLIMITED, width};
    const hsize_t chunk[2] = {chunk_rows, width};
    hid_t dataset = -1;
    hid_t space = H5Screate_simple(rank, start, limit);
    hid_t list = H5Pcreate(H5P_DATASET_CREATE), access = H5Pcreate(H5P_DATASET_ACCESS);
    hid_t type = attune_column_file_type(column);
    /* No cache of chunks: each is written once, and a full disk is noticed with the block and not
     * later. */
    if (space >= 0 && list >= 0 && access >= 0 && type >= 0 &&
        H5Pset_chunk(list, rank, chunk) >= 0 && H5Pset_alloc_time(list, H5D_ALLOC_TIME_INCR) >= 0 &&
        (!attune_column_is_optional(column) || H5Pset_fletcher32(list) >= 0) &&
        H5Pset_obj_track_times(list, false) >= 0 && H5Pset_chunk_cache(access, 1, 0, 1.0) >= 0) {
        dataset = H5Dcreate2(writer->file.id, attune_column_name(column), type, space, H5P_DEFAULT,
                             list, access);
    }
    if (dataset < 0) {
        attune_h5_note(&writer->file);
    }
    if (space >= 0) {
        H5Sclose(space);
    }
    if (list >= 0) {
        H5Pclose(list);
    }
    if (access >= 0) {
        H5Pclose(access);
    }
    if (type >= 0) {
        H5Tclose(type);
    }
    return dataset;
}

/* Says at the dataset what its columns are. */
static bool explain_descriptors(attune_store_writer *writer)
{
    char names[1024] = "";
    for (int i = 0; i < ATTUNE_DESCRIPTORS; i++) {
        strcat(strcat(names, i ? "\n" : ""), attune_descriptor_name((attune_descriptor)i));
    }
    const hid_t dataset = writer->datasets[ATTUNE_COLUMN_DESCRIPTORS];
    return attune_h5_write_text(&writer->file, dataset, ATTUNE_DESCRIPTORS_COLUMNS, names) &&
           attune_h5_write_text(&writer->file, dataset, ATTUNE_DESCRIPTORS_SCALING,
                                attune_descriptors_scaling);
}

static bool create_datasets(attune_store_writer *writer, size_t block_rows)
{
    for (int i = 0; i < ATTUNE_COLUMN_COUNT; i++) {
        hsize_t chunk_rows = block_rows ? block_rows : ATTUNE_BLOCK_ROWS;
        if (writer->columns[i]) {
            writer->datasets[i] = create_dataset(writer, (attune_column)i, chunk_rows);
        }
        if (writer->columns[i] && writer->datasets[i] < 0) {
            return false;
        }
    }
    return !writer->columns[ATTUNE_COLUMN_DESCRIPTORS] || explain_descriptors(writer);
}

/* Appends `rows` values of the column to its dataset. */
static bool write_column(attune_store_writer *writer, attune_column column, size_t rows,
                         const void *values)
{
    const int rank = attune_column_rank(column);
    const hsize_t width = (hsize_t)attune_column_width(column, writer->embedding);
    const hsize_t extent[2] = {writer->count + rows, width};
    const hsize_t start[2] = {writer->count, 0}, count[2] = {rows, width};
    hid_t dataset = writer->datasets[column];
    hid_t file_space = -1, memory_space = -1, type = -1;
    bool written = H5Dset_extent(dataset, extent) >= 0 &&
                   (file_space = H5Dget_space(dataset)) >= 0 &&
                   (memory_space = H5Screate_simple(rank, count, NULL)) >= 0 &&
                   (type = attune_column_memory_type(column)) >= 0 &&
                   H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
                   H5Dwrite(dataset, type, memory_space, file_space, H5P_DEFAULT, values) >= 0;
    if (!written) {
        attune_h5_note(&writer->file);
    }
    if (file_space >= 0) {
        H5Sclose(file_space);
    }
    if (memory_space >= 0) {
        H5Sclose(memory_space);
    }
    if (type >= 0) {
        H5Tclose(type);
    }
    return written;
}

/* Fills in the labels of row `i` of the block. */
static void fill_labels(attune_store_writer *writer, size_t i)
{
    attune_block *block = writer->block;
    const attune_record *record = &writer->rows->records[i];
    attune_labels labels = record->labels;
    if (writer->label) {
        labels = ATTUNE_NO_LABELS;
        writer->label(writer->label_user, &labels, writer->rows->text + record->path);
    }
    block->track_id[i] = labels.track_id;
    block->artist_id[i] = labels.artist_id;
    block->album_id[i] = labels.album_id;
    block->split[i] = (uint8_t)labels.split;
    strncpy(block->genre_top[i], labels.genre_top, ATTUNE_GENRE_SIZE); /* zeros behind it */
}

/* Writes the gathered rows, fewer than a block's only at the end of the file, and empties them. */
static attune_status write_block(attune_store_writer *writer)
{
    attune_block *block = writer->block;
    const attune_rows *rows = writer->rows;
    const size_t count = rows->count;
    if (writer->count == 0 && !create_datasets(writer, count)) {
        return fail_write(writer);
    }
    for (size_t i = 0; i < count; i++) {
        const attune_record *record = &rows->records[i];
        block->path[i] = rows->text + record->path;
        block->error[i] = rows->text + record->error;
        block->duration[i] = record->duration;
        block->size[i] = record->size;
        block->mtime_ns[i] = record->mtime_ns;
        block->frames[i] = record->frames;
        block->status[i] = record->status;
        const attune_row row = attune_rows_get(rows, i);
        block->checksum[i] = attune_row_checksum(&row, writer->embedding);
        for (int k = 0; writer->columns[ATTUNE_COLUMN_DESCRIPTORS] && k < ATTUNE_DESCRIPTORS; k++) {
            block->descriptors[i][k] = row.descriptors ? row.descriptors[k] : NAN;
        }
        fill_labels(writer, i);
    }
    const void *const values[ATTUNE_COLUMN_COUNT] = {
        [ATTUNE_COLUMN_EMBEDDING] = rows->embeddings,
        [ATTUNE_COLUMN_PATH] = block->path,
        [ATTUNE_COLUMN_STATUS] = block->status,
        [ATTUNE_COLUMN_ERROR] = block->error,
        [ATTUNE_COLUMN_DURATION] = block->duration,
        [ATTUNE_COLUMN_FRAMES] = block->frames,
        [ATTUNE_COLUMN_SIZE] = block->size,
        [ATTUNE_COLUMN_MTIME] = block->mtime_ns,
        [ATTUNE_COLUMN_CHECKSUM] = block->checksum,
        [ATTUNE_COLUMN_TRACK_ID] = block->track_id,
        [ATTUNE_COLUMN_GENRE_TOP] = block->genre_top,
        [ATTUNE_COLUMN_ARTIST_ID] = block->artist_id,
        [ATTUNE_COLUMN_ALBUM_ID] = block->album_id,
        [ATTUNE_COLUMN_SPLIT] = block->split,
        [ATTUNE_COLUMN_DESCRIPTORS] = block->descriptors,
    };
    for (int i = 0; count && i < ATTUNE_COLUMN_COUNT; i++) {
        if (!writer->columns[i]) {
            continue;
        }
        if (!write_column(writer, (attune_column)i, count, values[i]) || writer->file.error) {
            return fail_write(writer);
        }
    }
    writer->count += count;
    attune_rows_clear(writer->rows);
    return ATTUNE_OK;
}

void attune_store_writer_fail(attune_store_writer *writer)
{
    writer->finished = true;
}

void attune_store_label(attune_store_writer *writer,
                        void (*label)(void *user, attune_labels *out, const char *path), void *user)
{
    writer->label = label;
    writer->label_user = user;
}

attune_status attune_store_append(attune_store_writer *writer, const attune_rows *rows)
{
    if (writer->finished) {
        return attune_fail(ATTUNE_EINVAL, "%s: cannot write: it is committed or has failed",
                           writer->target.path);
    }
    if (rows->embedding != writer->embedding) {
        writer->finished = true;
        return attune_fail(ATTUNE_EINVAL, "%s: rows with embeddings of %d numbers in a file of %d",
                           writer->target.path, rows->embedding, writer->embedding);
    }
    attune_h5_printing printing = attune_h5_quiet();
    attune_status status = ATTUNE_OK;
    for (size_t i = 0; status == ATTUNE_OK && i < rows->count; i++) {
        const attune_row row = attune_rows_get(rows, i);
        status = attune_rows_append(writer->rows, &row);
        if (status == ATTUNE_OK && writer->rows->count == ATTUNE_BLOCK_ROWS) {
            status = write_block(writer);
        }
    }
    if (status != ATTUNE_OK) {
        writer->finished = true; /* part of the rows may be in: the file must not be committed */
    }
    attune_h5_restore(printing, status);
    return status;
}

/* Closes what HDF5 holds of the file. */
static bool close_hdf5(attune_store_writer *writer)
{
    bool closed = true;
    for (int i = 0; i < ATTUNE_COLUMN_COUNT; i++) {
        if (writer->datasets[i] >= 0) {
            closed = H5Dclose(writer->datasets[i]) >= 0 && closed;
            writer->datasets[i] = -1;
        }
    }
    return attune_h5_close(&writer->file) && closed;
}

attune_status attune_store_commit(attune_store_writer *writer)
{
    if (writer->finished) {
        return attune_fail(ATTUNE_EINVAL, "%s: cannot commit: it is committed or has failed",
                           writer->target.path);
    }
    attune_h5_printing printing = attune_h5_quiet();
    attune_status status = ATTUNE_OK;
    if (writer->count == 0 || writer->rows->count > 0) {
        status = write_block(writer);
    }
    writer->finished = true;
    if (status == ATTUNE_OK && (!close_hdf5(writer) || writer->file.error)) {
        status = fail_write(writer);
    }
    if (status == ATTUNE_OK) {
        status = attune_new_file_publish(&writer->target);
    }
    attune_h5_restore(printing, status);
    return status;
}

void attune_store_writer_close(attune_store_writer *writer)
{
    if (!writer) {
        return;
    }
    attune_h5_printing printing = attune_h5_quiet();
    close_hdf5(writer);
    attune_new_file_close(&writer->target);
    attune_rows_free(writer->rows);
    free(writer->block);
    free(writer);
    attune_h5_restore(printing, ATTUNE_OK);
}
