/* file.c - a regular file, or an entry of an archive, as libav's input: 1 MiB at a time, with
 * sequential read-ahead. A stored entry is a part of the archive's file, read in place; a
 * compressed one has been inflated into memory.
 *
 * A read of 1 MiB is one request to a disk; with reads of 256 KiB, the kernel's read-ahead makes
 * requests of that size, and several workers make the disk seek between them. On a device limited
 * to 100 requests a second sixteen files of 10 MB take 2.0 s instead of 6.6 s. Dropped: advising
 * WILLNEED a few MiB ahead, twice as many requests of half the size and up to 1.6 times slower; the
 * same for the next file's two ends, twice as many requests and no faster. */
#include "audio/file.h"

#include "archive/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <libavutil/error.h>
#include <libavutil/mem.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_BYTES = 1024 * 1024 };

static int read_bytes(void *opaque, uint8_t *buffer, int size)
{
    attune_audio_file *file = opaque;
    const uint64_t left = file->position < file->end ? file->end - file->position : 0;
    const size_t wanted = left < (uint64_t)size ? (size_t)left : (size_t)size;
    ssize_t got = 0;
    if (attune_audio_clock_check(file->clock)) {
        return AVERROR_EXIT;
    }
    if (file->bytes && wanted > 0) {
        memcpy(buffer, file->bytes + file->position, wanted);
        got = (ssize_t)wanted;
    } else if (wanted > 0) {
        do {
            got = pread(file->descriptor, buffer, wanted, (off_t)(file->base + file->position));
        } while (got < 0 && errno == EINTR);
    }
    if (got < 0) {
        return AVERROR(errno);
    }
    file->position += (uint64_t)got;
    return got == 0 ? AVERROR_EOF : (int)got;
}

static int64_t seek(void *opaque, int64_t offset, int whence)
{
    attune_audio_file *file = opaque;
    if (whence & AVSEEK_SIZE) {
        return (int64_t)file->size;
    }
    whence &= ~AVSEEK_FORCE;
    const uint64_t from = whence == SEEK_CUR ? file->position : whence == SEEK_END ? file->size : 0;
    if (offset < 0 ? (uint64_t) - (offset + 1) >= from : (uint64_t)offset > INT64_MAX - from) {
        return AVERROR(EINVAL);
    }
    file->position = from + (uint64_t)offset;
    return (int64_t)file->position;
}

static const char *kind_of(mode_t mode)
{
    return S_ISDIR(mode)    ? "is a folder"
           : S_ISFIFO(mode) ? "is a FIFO, not a file"
           : S_ISSOCK(mode) ? "is a socket, not a file"
                            : "is a device, not a file";
}

attune_audio_place attune_audio_place_of(const char *path)
{
    attune_audio_place place = {.path = path, .position = ATTUNE_AUDIO_NOWHERE};
    struct stat status;
    if (stat(path, &status) == 0 || errno != ENOTDIR) {
        return place;
    }
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        const size_t length = (size_t)(slash - path);
        char archive[PATH_MAX];
        if (length < sizeof(archive) && attune_archive_kind_of(path, length)) {
            memcpy(archive, path, length);
            archive[length] = '\0';
            if (stat(archive, &status) == 0 && S_ISREG(status.st_mode)) {
                place.archive_length = length;
                break;
            }
        }
    }
    return place;
}

/* Since 1970; unsigned, so that times after 2262 wrap. */
static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)((uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec);
}

static const char *open_regular(attune_audio_file *file, const char *path, char reason[192])
{
    struct stat status;
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
        snprintf(reason, 192, "cannot be opened: %s", strerror(code));
        return reason;
    }
    if (!S_ISREG(status.st_mode)) {
        return kind_of(status.st_mode);
    }
    file->size = (uint64_t)status.st_size;
    file->mtime_ns = nanoseconds(status.st_mtim);
    file->end = INT64_MAX; /* it may grow while it is read */
    return NULL;
}

static bool is_late(void *clock)
{
    return attune_audio_clock_check(clock);
}

/* Finds the entry that a place is, in walk->entry; false, and walk->reason, if it is not there. The
 * walk is to be closed either way. */
static bool find_entry(attune_archive_walk *walk, const attune_audio_place *place, int descriptor)
{
    const char *name = place->path + place->archive_length + 1;
    const attune_archive_kind kind = attune_archive_kind_of(place->path, place->archive_length);
    bool good = attune_archive_open(walk, kind, descriptor);
    if (good && place->position == ATTUNE_AUDIO_NOWHERE) {
        good = attune_archive_find(walk, name);
        if (!good && !walk->reason[0]) {
            snprintf(walk->reason, sizeof(walk->reason), "has no such entry");
        }
    } else if (good) {
        good = attune_archive_seek(walk, place->position);
        if (good && (!walk->entry.is_file || strcmp(walk->entry.name, name) != 0)) {
            good = false;
            snprintf(walk->reason, sizeof(walk->reason), "changed since it was listed");
        }
    }
    return good;
}

static bool archive_name(char archive[PATH_MAX], const attune_audio_place *place)
{
    if (place->archive_length >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(archive, place->path, place->archive_length);
    archive[place->archive_length] = '\0';
    return true;
}

bool attune_audio_place_look(const attune_audio_place *place, uint64_t *size, int64_t *mtime_ns)
{
    struct stat status;
    char archive[PATH_MAX];
    if (place->archive_length == 0) {
        if (stat(place->path, &status) != 0) {
            return false;
        }
        *size = (uint64_t)status.st_size;
        *mtime_ns = nanoseconds(status.st_mtim);
        return true;
    }
    if (!archive_name(archive, place)) {
        return false;
    }
    const int descriptor = open(archive, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (descriptor < 0) {
        return false;
    }
    attune_archive_walk walk;
    const bool found = find_entry(&walk, place, descriptor);
    *size = found ? walk.entry.size : 0;
    *mtime_ns = found ? walk.entry.mtime_ns : 0;
    attune_archive_close(&walk);
    close(descriptor);
    return found;
}

/* Makes the file an entry of the archive that it is. */
static const char *enter_archive(attune_audio_file *file, const attune_audio_place *place,
                                 char reason[192])
{
    attune_archive_walk walk;
    attune_archive_content content = {0};
    bool good = find_entry(&walk, place, file->descriptor);
    const char *subject = "its archive ";
    file->size = 0;
    file->mtime_ns = 0;
    if (good) {
        subject = "";
        file->size = walk.entry.size;
        file->mtime_ns = walk.entry.mtime_ns;
        good = attune_archive_locate(&walk, &content, is_late, file->clock);
        file->base = content.offset;
        file->end = content.size;
        file->bytes = content.bytes;
    }
    if (!good) {
        snprintf(reason, 192, "%s%s", subject, walk.reason);
    }
    attune_archive_close(&walk);
    return good ? NULL : reason;
}

const char *attune_audio_file_open(attune_audio_file *file, const attune_audio_place *place,
                                   attune_audio_clock *clock, char reason[192])
{
    char archive[PATH_MAX];
    *file = (attune_audio_file){.clock = clock, .descriptor = -1};
    if (place->failure) {
        return place->failure;
    }
    if (place->archive_length == 0) {
        return open_regular(file, place->path, reason);
    }
    if (!archive_name(archive, place)) {
        return "cannot be opened: its archive's name is too long";
    }
    const char *why = open_regular(file, archive, reason);
    return why ? why : enter_archive(file, place, reason);
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
    free(file->bytes);
    file->bytes = NULL;
    if (file->descriptor >= 0) {
        close(file->descriptor);
        file->descriptor = -1;
    }
}
