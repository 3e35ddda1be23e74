/* h5_file.c - the file driver and the error texts. The why is in h5_file.h. */
#include "store/h5_file.h"

#include "attune/store.h"
#include "status/error.h"
#include "status/io.h"

#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What HDF5 holds of an open file; HDF5's part comes first. */
typedef struct attune_h5_handle {
    H5FD_t base;
    attune_h5_file *file;
    haddr_t end_allocated; /* bytes that HDF5 has given out */
    haddr_t end_of_file;   /* bytes that are there */
} attune_h5_handle;

/* The driver's part of a file access property list. */
typedef struct attune_h5_access {
    attune_h5_file *file;
} attune_h5_access;

static void note_error(attune_h5_file *file, int error)
{
    if (file->error == 0) {
        file->error = error;
    }
}

static H5FD_t *driver_open(const char *name, unsigned flags, hid_t access_list, haddr_t max_address)
{
    (void)name;
    (void)flags;
    (void)max_address;
    const attune_h5_access *access = H5Pget_driver_info(access_list);
    struct stat information;
    if (!access || fstat(access->file->fd, &information) != 0) {
        return NULL;
    }
    attune_h5_handle *handle = calloc(1, sizeof(*handle));
    if (!handle) {
        return NULL;
    }
    handle->file = access->file;
    handle->end_of_file = (haddr_t)information.st_size;
    return &handle->base;
}

static herr_t driver_close(H5FD_t *base)
{
    free(base);
    return 0;
}

/* Each handle is a file of its own: HDF5 shares nothing between two of them. */
static int driver_compare(const H5FD_t *left, const H5FD_t *right)
{
    return ((uintptr_t)left > (uintptr_t)right) - ((uintptr_t)left < (uintptr_t)right);
}

static herr_t driver_query(const H5FD_t *base, unsigned long *flags)
{
    (void)base;
    if (flags) {
        *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA |
                 H5FD_FEAT_DATA_SIEVE | H5FD_FEAT_AGGREGATE_SMALLDATA;
#ifdef H5FD_FEAT_DEFAULT_VFD_COMPATIBLE
        *flags |= H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
#endif
    }
    return 0;
}

static haddr_t driver_get_allocated(const H5FD_t *base, H5FD_mem_t type)
{
    (void)type;
    return ((const attune_h5_handle *)base)->end_allocated;
}

static herr_t driver_set_allocated(H5FD_t *base, H5FD_mem_t type, haddr_t address)
{
    (void)type;
    ((attune_h5_handle *)base)->end_allocated = address;
    return 0;
}

static haddr_t driver_get_end(const H5FD_t *base, H5FD_mem_t type)
{
    (void)type;
    return ((const attune_h5_handle *)base)->end_of_file;
}

/* Bytes behind the end of the file read as zeros, as in HDF5's own drivers. */
static herr_t driver_read(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address,
                          size_t size, void *buffer)
{
    (void)type;
    (void)transfer;
    attune_h5_handle *handle = (attune_h5_handle *)base;
    const ssize_t got = attune_read_at(handle->file->fd, buffer, size, address);
    if (got < 0) {
        note_error(handle->file, errno);
        return -1;
    }
    memset((char *)buffer + got, 0, size - (size_t)got);
    return 0;
}

/* Never fails as HDF5 sees it: see the head of h5_file.h. */
static herr_t driver_write(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address,
                           size_t size, const void *buffer)
{
    (void)type;
    (void)transfer;
    attune_h5_handle *handle = (attune_h5_handle *)base;
    const haddr_t end = address + size;
    if (!attune_write_at(handle->file->fd, buffer, size, address)) {
        note_error(handle->file, errno);
    }
    if (end > handle->end_of_file) {
        handle->end_of_file = end;
    }
    return 0;
}

/* Brings the file to the length that HDF5 has given out. */
static herr_t driver_truncate(H5FD_t *base, hid_t transfer, hbool_t closing)
{
    (void)transfer;
    (void)closing;
    attune_h5_handle *handle = (attune_h5_handle *)base;
    if (handle->end_allocated != handle->end_of_file) {
        if (ftruncate(handle->file->fd, (off_t)handle->end_allocated) != 0) {
            note_error(handle->file, errno);
        }
        handle->end_of_file = handle->end_allocated;
    }
    return 0;
}

static const H5FD_class_t driver_class = {
#ifdef H5FD_CLASS_VERSION
    .version = H5FD_CLASS_VERSION,
    .value = (H5FD_class_value_t)600, /* of those free for use without registration */
#endif
    .name = "attune",
    .maxaddr = INT64_MAX,
    .fc_degree = H5F_CLOSE_WEAK,
    .fapl_size = sizeof(attune_h5_access),
    .open = driver_open,
    .close = driver_close,
    .cmp = driver_compare,
    .query = driver_query,
    .get_eoa = driver_get_allocated,
    .set_eoa = driver_set_allocated,
    .get_eof = driver_get_end,
    .read = driver_read,
    .write = driver_write,
    .truncate = driver_truncate,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

/* The driver is registered anew for each file, so that nothing global is left behind; it must
 * outlive the file, since HDF5 lets go of a driver before it calls its close. */
static hid_t access_list(attune_h5_file *file)
{
    attune_h5_access access = {file};
    hid_t list = -1;
    file->driver = H5FDregister(&driver_class);
    if (file->driver < 0) {
        return -1;
    }
    list = H5Pcreate(H5P_FILE_ACCESS);
    /* One fixed version of the format, whatever version HDF5 is: the same rows give the same bytes.
     * That of 1.10 has checksums on all metadata, so that damage there is found and not believed.
     */
    if (list >= 0 && (H5Pset_driver(list, file->driver, &access) < 0 ||
                      H5Pset_libver_bounds(list, H5F_LIBVER_V110, H5F_LIBVER_V110) < 0)) {
        H5Pclose(list);
        list = -1;
    }
    return list;
}

attune_status attune_h5_open_path(int *out, const char *path, const char *wanted)
{
    static const char signature[] = "\x89HDF\r\n\x1a\n";
    char start[sizeof(signature) - 1] = "";
    struct stat information;
    /* O_NONBLOCK: a named pipe must not hang us; it means nothing for a regular file. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *out = -1;
    if (fd < 0) {
        bool missing = errno == ENOENT || errno == ENOTDIR;
        return attune_fail(missing ? ATTUNE_ENOINPUT : ATTUNE_EIO, "%s: cannot open: %s",
                           *path ? path : "\"\"", strerror(errno));
    }
    attune_status status = ATTUNE_OK;
    if (fstat(fd, &information) != 0 || !S_ISREG(information.st_mode)) {
        status =
            attune_fail(ATTUNE_EDATA, "%s: is a folder or a device; %s is a file", path, wanted);
        goto done;
    }
    const ssize_t got = attune_read_at(fd, start, sizeof(start), 0);
    if (got < 0) {
        status = attune_fail(ATTUNE_EIO, "%s: cannot read: %s", path, strerror(errno));
    } else if (got != (ssize_t)sizeof(start) || memcmp(start, signature, sizeof(start)) != 0) {
        status = attune_fail(ATTUNE_EDATA, "%s: not an HDF5 file; give %s", path, wanted);
    }
done:
    if (status != ATTUNE_OK) {
        close(fd);
        return status;
    }
    *out = fd;
    return ATTUNE_OK;
}

bool attune_h5_create(attune_h5_file *file)
{
    hid_t access = access_list(file), creation = H5Pcreate(H5P_FILE_CREATE);
    if (access >= 0 && creation >= 0 && H5Pset_obj_track_times(creation, false) >= 0) {
        /* H5F_ACC_TRUNC is for HDF5's eyes only: the file behind the descriptor is new and empty.
         */
        file->id = H5Fcreate("attune", H5F_ACC_TRUNC, creation, access);
    }
    if (file->id < 0) {
        attune_h5_note(file);
    }
    if (creation >= 0) {
        H5Pclose(creation);
    }
    if (access >= 0) {
        H5Pclose(access);
    }
    return file->id >= 0;
}

static bool open_file(attune_h5_file *file, unsigned flags)
{
    hid_t access = access_list(file);
    if (access >= 0) {
        file->id = H5Fopen("attune", flags, access);
    }
    if (file->id < 0) {
        attune_h5_note(file);
    }
    if (access >= 0) {
        H5Pclose(access);
    }
    return file->id >= 0;
}

bool attune_h5_open(attune_h5_file *file)
{
    return open_file(file, H5F_ACC_RDONLY);
}

bool attune_h5_open_to_change(attune_h5_file *file)
{
    return open_file(file, H5F_ACC_RDWR);
}

bool attune_h5_close(attune_h5_file *file)
{
    bool closed = file->id < 0 || H5Fclose(file->id) >= 0;
    if (!closed) {
        attune_h5_note(file);
    }
    file->id = -1;
    if (file->driver >= 0) {
        H5FDunregister(file->driver);
        file->driver = -1;
    }
    return closed;
}

attune_h5_printing attune_h5_quiet(void)
{
    attune_h5_printing printing = {NULL, NULL};
    H5Eget_auto2(H5E_DEFAULT, &printing.function, &printing.data);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return printing;
}

void attune_h5_restore(attune_h5_printing printing, attune_status status)
{
    if (status == ATTUNE_OK) {
        H5Eset_auto2(H5E_DEFAULT, printing.function, printing.data);
    }
}

/* Called innermost first; the first text is the reason, what follows says who was calling. */
static herr_t keep_reason(unsigned depth, const H5E_error2_t *error, void *data)
{
    attune_h5_file *file = data;
    (void)depth;
    if (!file->reason[0] && error->desc) {
        attune_one_line(file->reason, sizeof(file->reason), error->desc);
    }
    return 0;
}

void attune_h5_note(attune_h5_file *file)
{
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_reason, file);
}

attune_status attune_h5_fail(attune_status status, const attune_h5_file *file, const char *path,
                             const char *what)
{
    if (file->error) {
        return attune_fail(ATTUNE_EIO, "%s: %s: %s", path, what, strerror(file->error));
    }
    return attune_fail(status, "%s: %s: %s", path, what,
                       file->reason[0] ? file->reason : "HDF5 gives no reason");
}

/* HDF5 sees to it at its start that the library is the one of the header. */
#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
const char *attune_store_versions(void)
{
    return "HDF5 " TEXT(H5_VERS_MAJOR) "." TEXT(H5_VERS_MINOR) "." TEXT(H5_VERS_RELEASE);
}
