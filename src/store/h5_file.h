/* h5_file.h - an HDF5 file on a file descriptor of ours, whose failures cannot hurt HDF5.
 *
 * HDF5 up to 1.14 does not survive a failed write (disk full, quota, a network disk gone): closing
 * the file then fails halfway, its identifier stays behind with freed memory, and the process
 * crashes at exit. So our files go through a driver that remembers the first failed write and tells
 * HDF5 that all is well. HDF5 closes cleanly, and we ask `error` after every step: nothing is
 * committed unless it is still 0. The driver also gives the errno itself, makes no lock that a
 * network disk could refuse, and lets us fsync the very descriptor that was written. */
#ifndef ATTUNE_SRC_STORE_H5_FILE_H
#define ATTUNE_SRC_STORE_H5_FILE_H

#include "attune/status.h"

#include <hdf5.h>
#include <stdbool.h>

typedef struct attune_h5_file {
    hid_t id;         /* of the HDF5 file; -1: closed */
    hid_t driver;     /* -1: none */
    int fd;           /* borrowed: the caller closes it */
    int error;        /* errno of the first read or write that failed; 0: none did */
    char reason[200]; /* HDF5's text for what failed; "": nothing noted */
} attune_h5_file;

#define ATTUNE_H5_FILE_CLOSED ((attune_h5_file){.id = -1, .driver = -1, .fd = -1})

/* Opens the regular file at `path` for reading, if it has HDF5's signature: HDF5 is not asked about
 * others. ATTUNE_ENOINPUT or ATTUNE_EIO, or ATTUNE_EDATA that says to give `wanted`. */
attune_status attune_h5_open_path(int *fd, const char *path, const char *wanted);

/* Creates, or opens for reading or for changing, the HDF5 file behind `file->fd`. `file` must stay
 * where it is until it is closed. False on failure, with the reason noted. */
bool attune_h5_create(attune_h5_file *file);
bool attune_h5_open(attune_h5_file *file);
bool attune_h5_open_to_change(attune_h5_file *file);

/* Closes what HDF5 holds; fd stays open. Every object in the file must be closed before. */
bool attune_h5_close(attune_h5_file *file);

/* HDF5's printing of errors, as the thread had it. */
typedef struct attune_h5_printing {
    H5E_auto2_t function;
    void *data;
} attune_h5_printing;

/* Turns HDF5's printing off for this thread, and back to what it was: it is the caller's, who may
 * use HDF5 too. After a failure it stays off: HDF5 1.10 loses memory when it finds damaged
 * metadata, and would print "infinite loop closing library" about that when the process exits. */
attune_h5_printing attune_h5_quiet(void);
void attune_h5_restore(attune_h5_printing printing, attune_status status);

/* Notes HDF5's innermost error text, unless one is noted already. Any other HDF5 function clears
 * the text, so this comes right behind the one that failed, before anything is closed. */
void attune_h5_note(attune_h5_file *file);

/* Formats the last error as "<path>: <what>: <reason>". The reason is the system's if a read or
 * write failed (then the status is ATTUNE_EIO, else `status`), and otherwise what was noted. */
attune_status attune_h5_fail(attune_status status, const attune_h5_file *file, const char *path,
                             const char *what);

#endif
