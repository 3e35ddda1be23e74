/* h5_attribute.c - scalar attributes of a file's root and groups. */
#include "store/h5_attribute.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_SIZE_MAX (64u << 20) /* bytes; a command line is at most a few MB */

bool attune_h5_write_number(attune_h5_file *file, hid_t where, const char *name, hid_t file_type,
                            hid_t memory_type, const void *value)
{
    hid_t attribute = -1, space = H5Screate(H5S_SCALAR);
    bool written =
        space >= 0 &&
        (attribute = H5Acreate2(where, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT)) >= 0 &&
        H5Awrite(attribute, memory_type, value) >= 0;
    if (!written) {
        attune_h5_note(file);
    }
    if (attribute >= 0) {
        H5Aclose(attribute);
    }
    if (space >= 0) {
        H5Sclose(space);
    }
    return written;
}

bool attune_h5_write_text(attune_h5_file *file, hid_t where, const char *name, const char *value)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    bool written = type >= 0 && H5Tset_size(type, strlen(value) + 1) >= 0 &&
                   H5Tset_cset(type, H5T_CSET_UTF8) >= 0 &&
                   attune_h5_write_number(file, where, name, type, type, value);
    if (type >= 0) {
        H5Tclose(type);
    }
    return written;
}

/* Reads a number into `number`, of type `memory_type`, or a text into a new buffer *text. */
static bool read_attribute(attune_h5_file *file, hid_t where, const char *name, H5T_class_t class,
                           hid_t memory_type, void *number, char **text)
{
    bool read = false;
    hid_t type = -1, space = -1, attribute = H5Aopen(where, name, H5P_DEFAULT);
    if (attribute < 0 || (type = H5Aget_type(attribute)) < 0 ||
        (space = H5Aget_space(attribute)) < 0 || H5Tget_class(type) != class ||
        H5Sget_simple_extent_npoints(space) != 1) {
        goto done;
    }
    if (class != H5T_STRING) {
        read = H5Aread(attribute, memory_type, number) >= 0;
        goto done;
    }
    size_t size = H5Tget_size(type);
    if (H5Tis_variable_str(type) != 0 || size == 0 || size > TEXT_SIZE_MAX) {
        goto done;
    }
    *text = calloc(1, size + 1);
    read = *text && H5Aread(attribute, type, *text) >= 0;
done:
    if (!read) {
        attune_h5_note(file);
    }
    if (space >= 0) {
        H5Sclose(space);
    }
    if (type >= 0) {
        H5Tclose(type);
    }
    if (attribute >= 0) {
        H5Aclose(attribute);
    }
    return read;
}

bool attune_h5_read_number(attune_h5_file *file, hid_t where, const char *name, H5T_class_t class,
                           hid_t memory_type, void *value)
{
    return read_attribute(file, where, name, class, memory_type, value, NULL);
}

bool attune_h5_read_text(attune_h5_file *file, hid_t where, const char *name, char **value)
{
    *value = NULL;
    if (!read_attribute(file, where, name, H5T_STRING, -1, NULL, value)) {
        free(*value);
        *value = NULL;
    }
    return *value != NULL;
}
