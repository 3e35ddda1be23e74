/* file.c - a regular file as libav's input: 1 MiB at a time, with sequential read-ahead.
 *
 * A read of 1 MiB is one request to a disk; with reads of 256 KiB, the kernel's read-ahead makes
 * requests of that size, and several workers make the disk seek between them. On a device limited
 * to 100 requests a second sixteen files of 10 MB take 2.0 s instead of 6.6 s. Dropped: advising
 * WILLNEED a few MiB ahead, twice as many requests of half the size and up to 1.6 times slower; the
 * same for the next file's two ends, twice as many requests and no faster. */
#include "audio/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libavutil/error.h>
#include <libavutil/mem.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_BYTES = 1024 * 1024 };

static int read_bytes(void *opaque, uint8_t *buffer, int size)
{
    attune_audio_file *file = opaque;
    ssize_t got;
    if (attune_audio_clock_check(file->clock)) {
        return AVERROR_EXIT;
    }
    do {
        got = read(file->descriptor, buffer, (size_t)size);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return AVERROR(errno);
    }
    return got == 0 ? AVERROR_EOF : (int)got;
}

static int64_t seek(void *opaque, int64_t offset, int whence)
{
    const attune_audio_file *file = opaque;
    if (whence & AVSEEK_SIZE) {
        return (int64_t)file->size;
    }
    off_t position = lseek(file->descriptor, offset, whence & ~AVSEEK_FORCE);
    return position < 0 ? AVERROR(errno) : position;
}

static const char *kind_of(mode_t mode)
{
    return S_ISDIR(mode)    ? "is a folder"
           : S_ISFIFO(mode) ? "is a FIFO, not a file"
           : S_ISSOCK(mode) ? "is a socket, not a file"
                            : "is a device, not a file";
}

const char *attune_audio_file_open(attune_audio_file *file, const char *path,
                                   attune_audio_clock *clock, char reason[128])
{
    struct stat status;
    *file = (attune_audio_file){.clock = clock, .descriptor = -1};
    /* O_NONBLOCK: opening a FIFO that nobody writes to must not wait. On regular files it does
     * nothing. */
    const struct timespec pause = {.tv_nsec = 10000000};
    for (int tries = 0; tries < 1000; tries++) {
        file->descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        if (file->descriptor >= 0 || (errno != EMFILE && errno != ENFILE)) {
            break;
        }
        nanosleep(&pause, NULL); /* no fault of the file: other threads will close theirs */
    }
    if (file->descriptor < 0 || fstat(file->descriptor, &status) != 0) {
        int code = errno;
        if (stat(path, &status) == 0 && S_ISSOCK(status.st_mode)) {
            return kind_of(status.st_mode);
        }
        snprintf(reason, 128, "cannot be opened: %s", strerror(code));
        return reason;
    }
    if (!S_ISREG(status.st_mode)) {
        return kind_of(status.st_mode);
    }
    file->size = (uint64_t)status.st_size;
    file->mtime_ns = (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
    return NULL;
}

bool attune_audio_file_start(attune_audio_file *file)
{
    posix_fadvise(file->descriptor, 0, 0, POSIX_FADV_SEQUENTIAL); /* only a hint */
    unsigned char *buffer = av_malloc(BUFFER_BYTES);
    if (buffer) {
        file->io = avio_alloc_context(buffer, BUFFER_BYTES, 0, file, read_bytes, NULL, seek);
    }
    if (!file->io) {
        av_free(buffer);
    }
    return file->io != NULL;
}

void attune_audio_file_close(attune_audio_file *file)
{
    if (file->io) {
        av_freep(&file->io->buffer); /* not always the one given: probing replaces it */
        avio_context_free(&file->io);
    }
    if (file->descriptor >= 0) {
        close(file->descriptor);
        file->descriptor = -1;
    }
}
