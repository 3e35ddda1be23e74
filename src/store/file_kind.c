/* file_kind.c - the attribute `format` of a file that may be ours. */
#include "store/file_kind.h"

#include "status/error.h"
#include "store/checkpoint.h"
#include "store/h5_attribute.h"
#include "store/store_format.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static attune_file_kind read_kind(attune_h5_file *file)
{
    attune_file_kind kind = ATTUNE_FILE_OTHER;
    char *format = NULL;
    if (attune_h5_read_text(file, file->id, "format", &format)) {
        kind = strcmp(format, ATTUNE_FORMAT_NAME) == 0              ? ATTUNE_FILE_OUTPUT
               : strcmp(format, ATTUNE_CHECKPOINT_FORMAT_NAME) == 0 ? ATTUNE_FILE_CHECKPOINT
                                                                    : ATTUNE_FILE_OTHER;
    }
    free(format);
    return kind;
}

attune_status attune_file_kind_of(attune_file_kind *kind, const char *path)
{
    attune_h5_file file = ATTUNE_H5_FILE_CLOSED;
    attune_status status = attune_h5_open_path(&file.fd, path, "a file of attune");
    *kind = ATTUNE_FILE_OTHER;
    if (status != ATTUNE_OK) {
        return status == ATTUNE_EDATA ? ATTUNE_OK : status; /* no HDF5 */
    }
    attune_h5_printing printing = attune_h5_quiet();
    const htri_t has = attune_h5_open(&file) ? H5Aexists(file.id, "format") : -1;
    if (has < 0) {
        attune_h5_note(&file);
    }
    *kind = has > 0 ? read_kind(&file) : ATTUNE_FILE_OTHER;
    if (has < 0 || file.error) {
        status = attune_h5_fail(ATTUNE_EDATA, &file, path,
                                "an HDF5 file that is damaged or cut short; remove it or restore a "
                                "copy");
    }
    attune_h5_close(&file);
    attune_h5_restore(printing, *kind == ATTUNE_FILE_OTHER ? ATTUNE_EDATA : ATTUNE_OK);
    close(file.fd);
    return status;
}
