/* cluster_column.c - a copy of the output with one dataset more. */
#include "store/cluster_column.h"

#include "status/error.h"
#include "status/io.h"
#include "store/h5_attribute.h"
#include "store/new_file.h"
#include "store/store_format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char name[] = "cluster", mark[] = "method";

static attune_status copy_bytes(int to, const char *path)
{
    enum { SIZE = 1 << 20 };
    const int from = open(path, O_RDONLY | O_CLOEXEC);
    char *bytes = malloc(SIZE);
    attune_status status = bytes ? ATTUNE_OK : attune_fail_memory("a copy", SIZE);
    if (!status && from < 0) {
        status = attune_fail(ATTUNE_EIO, "%s: cannot open: %s", path, strerror(errno));
    }
    ssize_t got = SIZE;
    for (uint64_t at = 0; status == ATTUNE_OK && got == SIZE; at += SIZE) {
        got = attune_read_at(from, bytes, SIZE, at);
        if (got < 0) {
            status = attune_fail(ATTUNE_EIO, "%s: cannot read: %s", path, strerror(errno));
        } else if (!attune_write_at(to, bytes, (size_t)got, at)) {
            status = attune_fail(ATTUNE_EIO, "%s: cannot write: %s", path, strerror(errno));
        }
    }
    if (from >= 0) {
        close(from);
    }
    free(bytes);
    return status;
}

/* Rows of a dataset of one or two dimensions; UINT64_MAX if it is none. */
static uint64_t rows_of(hid_t dataset)
{
    hsize_t extent[2] = {0, 0};
    const hid_t space = dataset >= 0 ? H5Dget_space(dataset) : -1;
    const int rank = space >= 0 ? H5Sget_simple_extent_ndims(space) : -1;
    const bool shaped =
        rank >= 1 && rank <= 2 && H5Sget_simple_extent_dims(space, extent, NULL) > 0;
    if (space >= 0) {
        H5Sclose(space);
    }
    return shaped ? extent[0] : UINT64_MAX;
}

static bool has_rows(attune_h5_file *file, uint64_t count)
{
    const hid_t dataset =
        H5Dopen2(file->id, attune_column_name(ATTUNE_COLUMN_EMBEDDING), H5P_DEFAULT);
    const uint64_t rows = rows_of(dataset);
    if (dataset >= 0) {
        H5Dclose(dataset);
    }
    return rows == count;
}

/* The dataset of an earlier run, open, or -1; *ours is false where another program's stands there.
 */
static hid_t open_old(attune_h5_file *file, uint64_t count, bool *ours)
{
    *ours = true;
    if (H5Lexists(file->id, name, H5P_DEFAULT) <= 0) {
        return -1;
    }
    hid_t dataset = H5Dopen2(file->id, name, H5P_DEFAULT);
    const hid_t type = dataset >= 0 ? H5Dget_type(dataset) : -1;
    *ours = type >= 0 && H5Tequal(type, H5T_STD_I32LE) > 0 && rows_of(dataset) == count &&
            H5Aexists(dataset, mark) > 0;
    if (type >= 0) {
        H5Tclose(type);
    }
    if (!*ours && dataset >= 0) {
        H5Dclose(dataset);
        dataset = -1;
    }
    return dataset;
}

static hid_t create(attune_h5_file *file, uint64_t count)
{
    const hsize_t extent = count, chunk = count < ATTUNE_BLOCK_ROWS ? count : ATTUNE_BLOCK_ROWS;
    const hid_t space = H5Screate_simple(1, &extent, NULL), list = H5Pcreate(H5P_DATASET_CREATE);
    hid_t dataset = -1;
    if (space >= 0 && list >= 0 && H5Pset_chunk(list, 1, &chunk) >= 0 &&
        H5Pset_fletcher32(list) >= 0 && H5Pset_obj_track_times(list, false) >= 0) {
        dataset = H5Dcreate2(file->id, name, H5T_STD_I32LE, space, H5P_DEFAULT, list, H5P_DEFAULT);
    }
    if (dataset < 0) {
        attune_h5_note(file);
    }
    if (list >= 0) {
        H5Pclose(list);
    }
    if (space >= 0) {
        H5Sclose(space);
    }
    return dataset;
}

static bool fill(attune_h5_file *file, hid_t dataset, const int32_t *clusters, const char *method)
{
    bool written =
        H5Dwrite(dataset, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, clusters) >= 0 &&
        (H5Aexists(dataset, mark) <= 0 || H5Adelete(dataset, mark) >= 0);
    if (!written) {
        attune_h5_note(file);
    }
    written = written && attune_h5_write_text(file, dataset, mark, method);
    if (H5Dclose(dataset) < 0 && written) {
        attune_h5_note(file);
        written = false;
    }
    return written;
}

static attune_status change(attune_h5_file *file, const char *path, const int32_t *clusters,
                            uint64_t count, const char *method)
{
    bool ours = false, written = false;
    if (!attune_h5_open_to_change(file)) {
        return attune_h5_fail(ATTUNE_EDATA, file, path, "cannot be changed");
    }
    attune_status status = ATTUNE_OK;
    if (!has_rows(file, count)) {
        status = attune_fail(ATTUNE_EDATA, "%s: has changed meanwhile; run again", path);
        goto done;
    }
    hid_t dataset = open_old(file, count, &ours);
    if (!ours) {
        status = attune_fail(ATTUNE_EDATA,
                             "%s: has a dataset /%s that attune did not write; rename it first",
                             path, name);
        goto done;
    }
    dataset = dataset >= 0 ? dataset : create(file, count);
    written = dataset >= 0 && fill(file, dataset, clusters, method);
done:
    written = attune_h5_close(file) && written;
    return status == ATTUNE_OK && (!written || file->error)
               ? attune_h5_fail(ATTUNE_EIO, file, path, "cannot write")
               : status;
}

attune_status attune_clusters_write(const char *path, const int32_t *clusters, uint64_t count,
                                    const char *method)
{
    attune_new_file target;
    attune_new_file_sweep(path);
    attune_status status = attune_new_file_open(&target, path);
    if (status != ATTUNE_OK) {
        return status;
    }
    attune_h5_printing printing = attune_h5_quiet();
    attune_h5_file file = ATTUNE_H5_FILE_CLOSED;
    file.fd = target.fd;
    status = copy_bytes(target.fd, path);
    if (status == ATTUNE_OK) {
        status = change(&file, path, clusters, count, method);
    }
    if (status == ATTUNE_OK) {
        status = attune_new_file_publish(&target);
    }
    attune_new_file_close(&target);
    attune_h5_restore(printing, status);
    return status;
}
