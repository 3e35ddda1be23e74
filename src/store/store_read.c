/* store_read.c - an output file, opened with every promise of the format checked, and read.
 *
 * A file that is not as the format says is refused with its name and the reason. Damage in HDF5's
 * metadata is found by its checksums, in the structure of strings by strings.c, and anything else
 * in a row by the row's own checksum, whenever whole rows are read. A file that other programs made
 * may go without the column of checksums. */
#include "status/error.h"
#include "store/h5_attribute.h"
#include "store/rows.h"
#include "store/store_format.h"
#include "store/strings.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct attune_store {
    attune_h5_file file;
    char *path;
    hid_t datasets[ATTUNE_COLUMN_COUNT];
    hid_t types[ATTUNE_COLUMN_COUNT]; /* in memory */
    uint64_t count;
    attune_store_attributes attributes; /* its strings are malloc'ed */
    bool checked;                       /* it has checksums */
    attune_string_column paths;
    attune_string_column errors;
    attune_heaps heaps;
};

static const char *const advice = "damaged or cut short; make it again or restore a copy";

static void close_space(hid_t space)
{
    if (space >= 0) {
        H5Sclose(space);
    }
}

/* Whether the root says that it is ours. */
static bool has_format(attune_h5_file *file)
{
    char *format = NULL;
    bool ours = attune_h5_read_text(file, file->id, "format", &format) &&
                strcmp(format, ATTUNE_FORMAT_NAME) == 0;
    free(format);
    return ours;
}

static attune_status open_file(attune_store *store)
{
    attune_status status = attune_h5_open_path(&store->file.fd, store->path, "an output of attune");
    if (status != ATTUNE_OK) {
        return status;
    }
    int version = 0;
    if (!attune_h5_open(&store->file)) {
        return attune_h5_fail(ATTUNE_EDATA, &store->file, store->path, advice);
    }
    if (!has_format(&store->file)) {
        return attune_fail(
            ATTUNE_EDATA,
            "%s: an HDF5 file, but not an attune output: no attribute 'format' = '%s'", store->path,
            ATTUNE_FORMAT_NAME);
    }
    if (!attune_h5_read_number(&store->file, store->file.id, "format_version", H5T_INTEGER,
                               H5T_NATIVE_INT, &version)) {
        return attune_h5_fail(ATTUNE_EDATA, &store->file, store->path,
                              "has no whole number 'format_version'");
    }
    if (version != ATTUNE_FORMAT_VERSION) {
        return attune_fail(ATTUNE_EDATA,
                           "%s: of format version %d, and attune %s reads version %d; "
                           "use the attune that wrote it",
                           store->path, version, attune_version(), ATTUNE_FORMAT_VERSION);
    }
    return ATTUNE_OK;
}

static attune_status read_attributes(attune_store *store)
{
    for (int i = 0; i < ATTUNE_ATTRIBUTE_COUNT; i++) {
        const attune_attribute *attribute = &attune_attributes[i];
        void *value = (char *)&store->attributes + attribute->offset;
        bool read = false;
        if (attribute->kind == ATTUNE_ATTRIBUTE_STRING) {
            char *text = NULL;
            read = attune_h5_read_text(&store->file, store->file.id, attribute->name, &text);
            *(const char **)value = text;
        } else if (attribute->kind == ATTUNE_ATTRIBUTE_INTEGER) {
            read = attune_h5_read_number(&store->file, store->file.id, attribute->name, H5T_INTEGER,
                                         H5T_NATIVE_INT, value);
        } else {
            read = attune_h5_read_number(&store->file, store->file.id, attribute->name, H5T_FLOAT,
                                         H5T_NATIVE_DOUBLE, value);
        }
        if (!read) {
            return attune_fail(
                store->file.error ? ATTUNE_EIO : ATTUNE_EDATA,
                "%s: its attribute '%s' is missing or not a %s: %s", store->path, attribute->name,
                attribute->kind == ATTUNE_ATTRIBUTE_STRING ? "string of fixed length" : "number",
                store->file.error ? strerror(store->file.error) : advice);
        }
    }
    return ATTUNE_OK;
}

/* True if the dataset has the column's type, as text compares or exactly. */
static bool has_type(hid_t dataset, attune_column column)
{
    hid_t type = H5Dget_type(dataset), expected = attune_column_file_type(column);
    bool equal = type >= 0 && expected >= 0;
    if (equal && (column == ATTUNE_COLUMN_PATH || column == ATTUNE_COLUMN_ERROR)) {
        equal = H5Tis_variable_str(type) > 0; /* ASCII and UTF-8 are the same bytes to us */
    } else if (equal) {
        equal = H5Tequal(type, expected) > 0;
    }
    if (type >= 0) {
        H5Tclose(type);
    }
    if (expected >= 0) {
        H5Tclose(expected);
    }
    return equal;
}

/* Right behind the HDF5 function that failed. */
static attune_status fail_column(attune_store *store, attune_column column)
{
    char what[100];
    attune_h5_note(&store->file);
    snprintf(what, sizeof(what), "cannot open its dataset /%s", attune_column_name(column));
    return attune_h5_fail(ATTUNE_EDATA, &store->file, store->path, what);
}

static attune_status open_column(attune_store *store, attune_column column)
{
    const char *name = attune_column_name(column);
    const int rank = attune_column_rank(column);
    hsize_t extent[2] = {0, 0};
    store->types[column] = attune_column_memory_type(column);
    hid_t dataset = store->datasets[column] = H5Dopen2(store->file.id, name, H5P_DEFAULT);
    if (dataset < 0) {
        return fail_column(store, column);
    }
    hid_t space = H5Dget_space(dataset);
    bool shaped = space >= 0 && H5Sget_simple_extent_ndims(space) == rank &&
                  H5Sget_simple_extent_dims(space, extent, NULL) == rank &&
                  (column != ATTUNE_COLUMN_DESCRIPTORS || extent[1] == ATTUNE_DESCRIPTORS);
    close_space(space);
    if (!shaped || !has_type(dataset, column) || store->types[column] < 0) {
        return attune_fail(ATTUNE_EDATA,
                           "%s: its dataset /%s has another type or rank than attune writes; "
                           "make the file again",
                           store->path, name);
    }
    if (column == ATTUNE_COLUMN_EMBEDDING) {
        if (extent[1] < 1 || extent[1] > ATTUNE_EMBEDDING_MAX) {
            return attune_fail(ATTUNE_EDATA, "%s: embeddings of %llu numbers; 1 to %d are possible",
                               store->path, (unsigned long long)extent[1], ATTUNE_EMBEDDING_MAX);
        }
        store->count = extent[0];
        store->attributes.embedding = (int)extent[1];
    } else if (extent[0] != store->count) {
        return attune_fail(ATTUNE_EDATA, "%s: /%s has %llu rows and /embedding %llu; %s",
                           store->path, name, (unsigned long long)extent[0],
                           (unsigned long long)store->count, advice);
    }
    return ATTUNE_OK;
}

static attune_status open_strings(attune_store *store, attune_string_column *strings,
                                  attune_column column)
{
    const char *problem = NULL;
    if (!attune_string_column_open(strings, store->datasets[column], &problem)) {
        return attune_fail(ATTUNE_EDATA, "%s: its dataset /%s %s", store->path,
                           attune_column_name(column), problem);
    }
    return ATTUNE_OK;
}

/* Labels are read where all columns of them are there: one alone may be a user's own. */
static attune_status find_labels(attune_store *store)
{
    bool all = true;
    for (int i = 0; all && i < ATTUNE_COLUMN_COUNT; i++) {
        const attune_column column = (attune_column)i;
        if (attune_column_is_label(column)) {
            const htri_t there = H5Lexists(store->file.id, attune_column_name(column), H5P_DEFAULT);
            if (there < 0) {
                return fail_column(store, column);
            }
            all = there > 0;
        }
    }
    store->attributes.labels = all;
    return ATTUNE_OK;
}

/* Descriptors are those that say what they are: others may be a user's own. */
static attune_status find_descriptors(attune_store *store)
{
    const char *name = attune_column_name(ATTUNE_COLUMN_DESCRIPTORS);
    htri_t there = H5Lexists(store->file.id, name, H5P_DEFAULT);
    if (there > 0) {
        there = H5Aexists_by_name(store->file.id, name, ATTUNE_DESCRIPTORS_COLUMNS, H5P_DEFAULT);
    }
    store->attributes.descriptors = there > 0;
    return there < 0 ? fail_column(store, ATTUNE_COLUMN_DESCRIPTORS) : ATTUNE_OK;
}

attune_status attune_store_open(attune_store **out, const char *path)
{
    *out = NULL;
    attune_store *store = calloc(1, sizeof(*store));
    if (!store) {
        return attune_fail_memory("a file being read", sizeof(*store));
    }
    attune_h5_printing printing = attune_h5_quiet();
    attune_status status = ATTUNE_OK;
    store->file = ATTUNE_H5_FILE_CLOSED;
    for (int i = 0; i < ATTUNE_COLUMN_COUNT; i++) {
        store->datasets[i] = store->types[i] = -1;
    }
    store->path = strdup(path);
    if (!store->path) {
        status = attune_fail_memory("a path", strlen(path));
    }
    if (status == ATTUNE_OK && (status = open_file(store)) == ATTUNE_OK) {
        status = read_attributes(store);
    }
    if (status == ATTUNE_OK) {
        status = find_labels(store);
    }
    if (status == ATTUNE_OK) {
        status = find_descriptors(store);
    }
    store->checked = status == ATTUNE_OK && H5Lexists(store->file.id, "checksum", H5P_DEFAULT) != 0;
    for (int i = 0; status == ATTUNE_OK && i < ATTUNE_COLUMN_COUNT; i++) {
        if (i == ATTUNE_COLUMN_CHECKSUM                ? store->checked
            : i == ATTUNE_COLUMN_DESCRIPTORS           ? store->attributes.descriptors
            : attune_column_is_label((attune_column)i) ? store->attributes.labels
                                                       : true) {
            status = open_column(store, (attune_column)i);
        }
    }
    if (status == ATTUNE_OK) {
        status = open_strings(store, &store->paths, ATTUNE_COLUMN_PATH);
    }
    if (status == ATTUNE_OK) {
        status = open_strings(store, &store->errors, ATTUNE_COLUMN_ERROR);
    }
    if (status != ATTUNE_OK) {
        attune_store_close(store);
        store = NULL;
    }
    attune_h5_restore(printing, status);
    *out = store;
    return status;
}

void attune_store_close(attune_store *store)
{
    if (!store) {
        return;
    }
    attune_h5_printing printing = attune_h5_quiet();
    for (int i = 0; i < ATTUNE_COLUMN_COUNT; i++) {
        if (store->datasets[i] >= 0) {
            H5Dclose(store->datasets[i]);
        }
        if (store->types[i] >= 0) {
            H5Tclose(store->types[i]);
        }
    }
    attune_h5_close(&store->file);
    attune_h5_restore(printing, ATTUNE_OK);
    if (store->file.fd >= 0) {
        close(store->file.fd);
    }
    for (int i = 0; i < ATTUNE_ATTRIBUTE_COUNT; i++) {
        if (attune_attributes[i].kind == ATTUNE_ATTRIBUTE_STRING) {
            free(*(char **)((char *)&store->attributes + attune_attributes[i].offset));
        }
    }
    attune_string_column_close(&store->paths);
    attune_string_column_close(&store->errors);
    attune_heaps_free(&store->heaps);
    free(store->path);
    free(store);
}

uint64_t attune_store_count(const attune_store *store)
{
    return store->count;
}

const attune_store_attributes *attune_store_attributes_of(const attune_store *store)
{
    return &store->attributes;
}

static attune_status check_range(const attune_store *store, uint64_t first, uint64_t count)
{
    if (first > store->count || count > store->count - first) {
        return attune_fail(ATTUNE_EINVAL, "%s: has no rows %llu to %llu, only %llu", store->path,
                           (unsigned long long)first, (unsigned long long)(first + count),
                           (unsigned long long)store->count);
    }
    return ATTUNE_OK;
}

/* Reads rows [first, first + count), in range, of one column of numbers. */
static attune_status read_column(attune_store *store, attune_column column, uint64_t first,
                                 uint64_t count, void *out)
{
    if (count == 0) {
        return ATTUNE_OK;
    }
    const int rank = attune_column_rank(column);
    const hsize_t start[2] = {first, 0};
    const hsize_t extent[2] = {count,
                               (hsize_t)attune_column_width(column, store->attributes.embedding)};
    hid_t dataset = store->datasets[column];
    hid_t file_space = H5Dget_space(dataset), memory_space = H5Screate_simple(rank, extent, NULL);
    store->file.error = 0;
    store->file.reason[0] = '\0';
    bool read =
        file_space >= 0 && memory_space >= 0 &&
        H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, extent, NULL) >= 0 &&
        H5Dread(dataset, store->types[column], memory_space, file_space, H5P_DEFAULT, out) >= 0;
    if (!read) {
        attune_h5_note(&store->file);
    }
    close_space(file_space);
    close_space(memory_space);
    return read ? ATTUNE_OK : attune_h5_fail(ATTUNE_EDATA, &store->file, store->path, advice);
}

attune_status attune_store_read_embeddings(attune_store *store, uint64_t first, uint64_t count,
                                           float *embeddings)
{
    attune_status status = check_range(store, first, count);
    if (status == ATTUNE_OK) {
        attune_h5_printing printing = attune_h5_quiet();
        status = read_column(store, ATTUNE_COLUMN_EMBEDDING, first, count, embeddings);
        attune_h5_restore(printing, status);
    }
    return status;
}

attune_status attune_store_read_statuses(attune_store *store, uint64_t first, uint64_t count,
                                         uint8_t *statuses)
{
    attune_status status = check_range(store, first, count);
    if (status != ATTUNE_OK) {
        return status;
    }
    attune_h5_printing printing = attune_h5_quiet();
    status = read_column(store, ATTUNE_COLUMN_STATUS, first, count, statuses);
    attune_h5_restore(printing, status);
    for (uint64_t i = 0; status == ATTUNE_OK && i < count; i++) {
        if (statuses[i] >= ATTUNE_TRACK_STATUS_COUNT) {
            status = attune_fail(ATTUNE_EDATA, "%s: row %llu has the unknown status %d; %s",
                                 store->path, (unsigned long long)(first + i), statuses[i], advice);
        }
    }
    return status;
}

static attune_status fail_text(const attune_store *store, attune_column column, uint64_t row,
                               const char *problem)
{
    if (store->file.error) {
        return attune_fail(ATTUNE_EIO, "%s: cannot read: %s", store->path,
                           strerror(store->file.error));
    }
    return attune_fail(ATTUNE_EDATA, "%s: /%s of row %llu: %s", store->path,
                       attune_column_name(column), (unsigned long long)row, problem);
}

/* Row `i` of the block; false if a value is none that may stand there. */
static bool read_labels(attune_labels *out, const attune_store *store, const attune_block *block,
                        size_t i)
{
    *out = ATTUNE_NO_LABELS;
    if (!store->attributes.labels) {
        return true;
    }
    out->track_id = block->track_id[i];
    out->artist_id = block->artist_id[i];
    out->album_id = block->album_id[i];
    out->split = (attune_fma_split)block->split[i];
    memcpy(out->genre_top, block->genre_top[i], ATTUNE_GENRE_SIZE);
    return block->split[i] < ATTUNE_FMA_SPLIT_COUNT &&
           memchr(out->genre_top, '\0', ATTUNE_GENRE_SIZE);
}

/* Appends `count` rows, at most a block, whose numbers are in `block` and `embeddings`. */
static attune_status append_block(attune_store *store, attune_rows *rows, const attune_block *block,
                                  const float *embeddings, uint64_t first, size_t count)
{
    attune_status status = ATTUNE_OK;
    for (size_t i = 0; status == ATTUNE_OK && i < count; i++) {
        attune_labels labels;
        if (!read_labels(&labels, store, block, i)) {
            return attune_fail(ATTUNE_EDATA, "%s: row %llu has labels that cannot be; %s",
                               store->path, (unsigned long long)(first + i), advice);
        }
        const attune_row row = {
            .status = (attune_track_status)block->status[i],
            .duration = block->duration[i],
            .frames = block->frames[i],
            .size = block->size[i],
            .mtime_ns = block->mtime_ns[i],
            .embedding = embeddings + i * (size_t)store->attributes.embedding,
            .descriptors = store->attributes.descriptors ? block->descriptors[i] : NULL,
            .labels = &labels,
        };
        const char *problem = NULL;
        attune_text path, error;
        if (!attune_string_column_get(&path, &store->paths, &store->heaps, &store->file, first + i,
                                      &problem)) {
            return fail_text(store, ATTUNE_COLUMN_PATH, first + i, problem);
        }
        if (!attune_string_column_get(&error, &store->errors, &store->heaps, &store->file,
                                      first + i, &problem)) {
            return fail_text(store, ATTUNE_COLUMN_ERROR, first + i, problem);
        }
        status = attune_rows_append_text(rows, &row, path, error);
        if (status == ATTUNE_OK && store->checked) {
            const attune_row whole = attune_rows_get(rows, rows->count - 1);
            if (attune_row_checksum(&whole, rows->embedding) != block->checksum[i]) {
                return attune_fail(ATTUNE_EDATA, "%s: row %llu is not what was written; %s",
                                   store->path, (unsigned long long)(first + i), advice);
            }
        }
    }
    return status;
}

/* Reads rows [first, first + count), in range and at most a block, by way of `block` and
 * `embeddings`. */
static attune_status read_block(attune_store *store, attune_rows *rows, attune_block *block,
                                float *embeddings, uint64_t first, size_t count)
{
    attune_status status = attune_store_read_statuses(store, first, count, block->status);
    const bool labels = store->attributes.labels;
    void *const numbers[ATTUNE_COLUMN_COUNT] = {
        [ATTUNE_COLUMN_EMBEDDING] = embeddings,
        [ATTUNE_COLUMN_DURATION] = block->duration,
        [ATTUNE_COLUMN_FRAMES] = block->frames,
        [ATTUNE_COLUMN_SIZE] = block->size,
        [ATTUNE_COLUMN_MTIME] = block->mtime_ns,
        [ATTUNE_COLUMN_CHECKSUM] = store->checked ? block->checksum : NULL,
        [ATTUNE_COLUMN_TRACK_ID] = labels ? block->track_id : NULL,
        [ATTUNE_COLUMN_GENRE_TOP] = labels ? block->genre_top : NULL,
        [ATTUNE_COLUMN_ARTIST_ID] = labels ? block->artist_id : NULL,
        [ATTUNE_COLUMN_ALBUM_ID] = labels ? block->album_id : NULL,
        [ATTUNE_COLUMN_SPLIT] = labels ? block->split : NULL,
        [ATTUNE_COLUMN_DESCRIPTORS] = store->attributes.descriptors ? block->descriptors : NULL,
    };
    for (int i = 0; status == ATTUNE_OK && i < ATTUNE_COLUMN_COUNT; i++) {
        if (numbers[i]) {
            status = read_column(store, (attune_column)i, first, count, numbers[i]);
        }
    }
    return status == ATTUNE_OK ? append_block(store, rows, block, embeddings, first, count)
                               : status;
}

attune_status attune_store_read(attune_store *store, uint64_t first, uint64_t count,
                                attune_rows *rows)
{
    attune_status status = check_range(store, first, count);
    if (status != ATTUNE_OK) {
        return status;
    }
    const int width = store->attributes.embedding;
    if (rows->embedding != width) {
        return attune_fail(ATTUNE_EINVAL, "%s: embeddings of %d numbers, wanted as rows of %d",
                           store->path, width, rows->embedding);
    }
    attune_h5_printing printing = attune_h5_quiet();
    const size_t count_before = rows->count, text_before = rows->text_length;
    const size_t block_rows = count < ATTUNE_BLOCK_ROWS ? count : ATTUNE_BLOCK_ROWS;
    attune_block *block = malloc(sizeof(*block));
    float *embeddings = malloc((block_rows + 1) * (size_t)width * sizeof(*embeddings));
    if (!block || !embeddings) {
        status = attune_fail_memory("a block of rows", sizeof(*block));
    }
    for (uint64_t done = 0; status == ATTUNE_OK && done < count;) {
        uint64_t rest = count - done;
        size_t step = rest < block_rows ? rest : block_rows;
        status = read_block(store, rows, block, embeddings, first + done, step);
        done += step;
    }
    if (status != ATTUNE_OK) {
        attune_rows_truncate(rows, count_before, text_before);
    }
    free(embeddings);
    free(block);
    attune_h5_restore(printing, status);
    return status;
}
