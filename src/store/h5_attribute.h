/* h5_attribute.h - scalar attributes: numbers, and texts of fixed length.
 *
 * HDF5 keeps texts of fixed length in checksummed metadata; variable ones lie in its global heap,
 * which it reads without checks. Each function is false on failure, with the reason noted. */
#ifndef ATTUNE_SRC_STORE_H5_ATTRIBUTE_H
#define ATTUNE_SRC_STORE_H5_ATTRIBUTE_H

#include "store/h5_file.h"

/* To or from `where`, a group of `file` or its root, file->id. */
bool attune_h5_write_number(attune_h5_file *file, hid_t where, const char *name, hid_t file_type,
                            hid_t memory_type, const void *value);
bool attune_h5_write_text(attune_h5_file *file, hid_t where, const char *name, const char *value);

/* Of the class H5T_INTEGER or H5T_FLOAT. */
bool attune_h5_read_number(attune_h5_file *file, hid_t where, const char *name, H5T_class_t class,
                           hid_t memory_type, void *value);
/* *value is malloc'ed; NULL on failure. */
bool attune_h5_read_text(attune_h5_file *file, hid_t where, const char *name, char **value);

#endif
