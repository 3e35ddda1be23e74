/* clip_format.c - a clip file's datasets and attributes, written once and read. */
#include "store/clip_format.h"

#include "status/error.h"
#include "store/h5_attribute.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FORMAT_NAME "attune-clips"
#define FORMAT_VERSION 1

/* Samples and records are read and written as they lie in memory, so their types are this
 * machine's. */
static hid_t sample_type(attune_clip_format format)
{
    return H5Tcopy(format == ATTUNE_CLIP_INT16 ? H5T_NATIVE_INT16 : H5T_NATIVE_FLOAT);
}

size_t attune_clip_sample_size(attune_clip_format format)
{
    return format == ATTUNE_CLIP_INT16 ? sizeof(int16_t) : sizeof(float);
}

static hid_t record_type(void)
{
    const hsize_t two = 2;
    hid_t type = H5Tcreate(H5T_COMPOUND, sizeof(attune_clip_record));
    hid_t pair = H5Tarray_create2(H5T_NATIVE_UINT64, 1, &two), text = H5Tcopy(H5T_C_S1);
    const bool made =
        type >= 0 && pair >= 0 && text >= 0 &&
        H5Tset_size(text, sizeof(((attune_clip_record *)NULL)->path)) >= 0 &&
        H5Tinsert(type, "record_checksum", offsetof(attune_clip_record, record_checksum),
                  H5T_NATIVE_UINT64) >= 0 &&
        H5Tinsert(type, "path_hash", offsetof(attune_clip_record, path_hash), pair) >= 0 &&
        H5Tinsert(type, "size", offsetof(attune_clip_record, size), H5T_NATIVE_UINT64) >= 0 &&
        H5Tinsert(type, "mtime_ns", offsetof(attune_clip_record, mtime_ns), H5T_NATIVE_INT64) >=
            0 &&
        H5Tinsert(type, "checksum", offsetof(attune_clip_record, checksum), H5T_NATIVE_UINT64) >=
            0 &&
        H5Tinsert(type, "samples", offsetof(attune_clip_record, samples), H5T_NATIVE_UINT32) >= 0 &&
        H5Tinsert(type, "status", offsetof(attune_clip_record, status), H5T_NATIVE_UINT8) >= 0 &&
        H5Tinsert(type, "path", offsetof(attune_clip_record, path), text) >= 0;
    if (pair >= 0) {
        H5Tclose(pair);
    }
    if (text >= 0) {
        H5Tclose(text);
    }
    if (!made && type >= 0) {
        H5Tclose(type);
    }
    return made ? type : -1;
}

/* ---- making ---- */

/* Makes a contiguous dataset whose room is given out and not written. Takes `type`. */
static bool create_dataset(attune_h5_file *file, uint64_t *at, const char *name, hid_t type,
                           int rank, const hsize_t *extent)
{
    hid_t space = H5Screate_simple(rank, extent, NULL), list = H5Pcreate(H5P_DATASET_CREATE);
    hid_t dataset = -1;
    haddr_t address = HADDR_UNDEF;
    if (type >= 0 && space >= 0 && list >= 0 && H5Pset_layout(list, H5D_CONTIGUOUS) >= 0 &&
        H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY) >= 0 &&
        H5Pset_fill_time(list, H5D_FILL_TIME_NEVER) >= 0 &&
        H5Pset_obj_track_times(list, false) >= 0) {
        dataset = H5Dcreate2(file->id, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    }
    if (dataset >= 0) {
        address = H5Dget_offset(dataset);
    }
    if (address == HADDR_UNDEF) {
        attune_h5_note(file);
    }
    if (dataset >= 0) {
        H5Dclose(dataset);
    }
    if (list >= 0) {
        H5Pclose(list);
    }
    if (space >= 0) {
        H5Sclose(space);
    }
    if (type >= 0) {
        H5Tclose(type);
    }
    *at = address;
    return address != HADDR_UNDEF;
}

attune_status attune_clip_format_create(attune_clip_extent *out, int fd, const char *path,
                                        const attune_clip_layout *layout, uint64_t slots)
{
    const int version = FORMAT_VERSION;
    const hsize_t extent[2] = {slots, layout->samples};
    attune_h5_file file = ATTUNE_H5_FILE_CLOSED;
    attune_h5_printing printing = attune_h5_quiet();
    file.fd = fd;
    out->slots = slots;
    bool made =
        attune_h5_create(&file) && attune_h5_write_text(&file, file.id, "format", FORMAT_NAME) &&
        attune_h5_write_number(&file, file.id, "format_version", H5T_STD_I32LE, H5T_NATIVE_INT,
                               &version) &&
        attune_h5_write_number(&file, file.id, "sample_rate", H5T_STD_I32LE, H5T_NATIVE_INT,
                               &layout->sample_rate) &&
        attune_h5_write_number(&file, file.id, "clip_start", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE,
                               &layout->clip_start) &&
        attune_h5_write_number(&file, file.id, "clip_seconds", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE,
                               &layout->clip_seconds) &&
        create_dataset(&file, &out->records_at, "tracks", record_type(), 1, extent) &&
        create_dataset(&file, &out->samples_at, "samples", sample_type(layout->format), 2, extent);
    made = attune_h5_close(&file) && made && !file.error;
    const attune_status status =
        made ? ATTUNE_OK : attune_h5_fail(ATTUNE_EIO, &file, path, "cannot write");
    attune_h5_restore(printing, status);
    return status;
}

/* ---- reading ---- */

/* True if a dataset lies in the file as a whole, of elements as `type` has them. */
static bool find_dataset(attune_h5_file *file, uint64_t *at, hsize_t *extent, const char *name,
                         int rank, hid_t type)
{
    struct stat info;
    hid_t dataset = H5Dopen2(file->id, name, H5P_DEFAULT), space = -1, list = -1, stored = -1;
    const bool found =
        dataset >= 0 && (space = H5Dget_space(dataset)) >= 0 &&
        (stored = H5Dget_type(dataset)) >= 0 && (list = H5Dget_create_plist(dataset)) >= 0 &&
        H5Sget_simple_extent_ndims(space) == rank &&
        H5Sget_simple_extent_dims(space, extent, NULL) == rank && H5Tequal(stored, type) > 0 &&
        H5Pget_layout(list) == H5D_CONTIGUOUS && H5Pget_external_count(list) == 0;
    *at = found ? H5Dget_offset(dataset) : HADDR_UNDEF;
    bool whole = *at != HADDR_UNDEF && fstat(file->fd, &info) == 0;
    if (whole) {
        uint64_t room = (uint64_t)info.st_size / H5Tget_size(type); /* in elements, then in rows */
        room = rank == 2 && extent[1] > 0 ? room / extent[1] : room;
        whole = extent[0] <= room &&
                *at <= (uint64_t)info.st_size -
                           extent[0] * (rank == 2 ? extent[1] : 1) * H5Tget_size(type);
    }
    if (list >= 0) {
        H5Pclose(list);
    }
    if (stored >= 0) {
        H5Tclose(stored);
    }
    if (space >= 0) {
        H5Sclose(space);
    }
    if (dataset >= 0) {
        H5Dclose(dataset);
    }
    return whole;
}

static bool find_samples(attune_h5_file *file, attune_clip_extent *out, attune_clip_layout *layout,
                         hsize_t extent[2])
{
    for (int format = 0; format < 2; format++) {
        hid_t type = sample_type((attune_clip_format)format);
        const bool found =
            type >= 0 && find_dataset(file, &out->samples_at, extent, "samples", 2, type);
        if (type >= 0) {
            H5Tclose(type);
        }
        if (found) {
            layout->format = (attune_clip_format)format;
            return true;
        }
    }
    return false;
}

static bool has_format(attune_h5_file *file)
{
    char *format = NULL;
    int version = 0;
    const bool ours = attune_h5_read_text(file, file->id, "format", &format) &&
                      strcmp(format, FORMAT_NAME) == 0 &&
                      attune_h5_read_number(file, file->id, "format_version", H5T_INTEGER,
                                            H5T_NATIVE_INT, &version) &&
                      version == FORMAT_VERSION;
    free(format);
    return ours;
}

attune_status attune_clip_format_open(attune_clip_extent *out, attune_clip_layout *layout, int fd,
                                      const char *path)
{
    hsize_t samples[2] = {0}, records[1] = {0};
    attune_h5_file file = ATTUNE_H5_FILE_CLOSED;
    attune_h5_printing printing = attune_h5_quiet();
    hid_t type = record_type();
    file.fd = fd;
    const bool ours = attune_h5_open(&file) && has_format(&file);
    const bool good = ours &&
                      attune_h5_read_number(&file, file.id, "sample_rate", H5T_INTEGER,
                                            H5T_NATIVE_INT, &layout->sample_rate) &&
                      attune_h5_read_number(&file, file.id, "clip_start", H5T_FLOAT,
                                            H5T_NATIVE_DOUBLE, &layout->clip_start) &&
                      attune_h5_read_number(&file, file.id, "clip_seconds", H5T_FLOAT,
                                            H5T_NATIVE_DOUBLE, &layout->clip_seconds) &&
                      type >= 0 &&
                      find_dataset(&file, &out->records_at, records, "tracks", 1, type) &&
                      find_samples(&file, out, layout, samples) && samples[0] == records[0];
    if (type >= 0) {
        H5Tclose(type);
    }
    attune_h5_close(&file);
    attune_h5_restore(printing, good ? ATTUNE_OK : ATTUNE_EDATA);
    out->slots = records[0];
    layout->samples = samples[1];
    if (file.error) {
        return attune_h5_fail(ATTUNE_EIO, &file, path, "cannot read");
    }
    return good   ? ATTUNE_OK
           : ours ? attune_fail(ATTUNE_ECREATE,
                                "%s: a cache of clips that is damaged, or of another kind of "
                                "machine; remove it, and it is made again",
                                path)
                  : attune_fail(ATTUNE_ECREATE,
                                "%s: exists and is no cache of clips; choose another name or "
                                "remove it",
                                path);
}
