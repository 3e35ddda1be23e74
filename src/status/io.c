/* io.c - pread and pwrite until all is done; signals interrupt them. */
#include "status/io.h"

#include <errno.h>
#include <unistd.h>

ssize_t attune_read_at(int fd, void *out, size_t size, uint64_t offset)
{
    size_t done = 0;
    while (done < size) {
        const ssize_t got = pread(fd, (char *)out + done, size - done, (off_t)(offset + done));
        if (got == 0) {
            errno = 0;
            break;
        }
        if (got < 0 && errno != EINTR) {
            return -1;
        }
        done += got > 0 ? (size_t)got : 0;
    }
    return (ssize_t)done;
}

bool attune_write_at(int fd, const void *bytes, size_t size, uint64_t offset)
{
    size_t done = 0;
    while (done < size) {
        const ssize_t put =
            pwrite(fd, (const char *)bytes + done, size - done, (off_t)(offset + done));
        if (put == 0) {
            errno = ENOSPC;
            return false;
        }
        if (put < 0 && errno != EINTR) {
            return false;
        }
        done += put > 0 ? (size_t)put : 0;
    }
    return true;
}
