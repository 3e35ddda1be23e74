/* io.h - all bytes at an offset of a file, however many calls that takes. */
#ifndef ATTUNE_SRC_STATUS_IO_H
#define ATTUNE_SRC_STATUS_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* How many bytes were read: fewer than `size`, with errno = 0, where the file ends; -1 with errno
 * where it cannot be read. */
ssize_t attune_read_at(int fd, void *out, size_t size, uint64_t offset);

/* False with errno where not all could be written. */
bool attune_write_at(int fd, const void *bytes, size_t size, uint64_t offset);

#endif
