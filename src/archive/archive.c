/* archive.c - what zip and tar have in common: names, reading, finding an entry. */
#include "archive/archive.h"

#include "archive/reader.h"
#include "status/path.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_MOST = 65535 }; /* bytes: what a zip file can say */

attune_archive_kind attune_archive_kind_of(const char *name, size_t length)
{
    if (length < 5 || name[length - 5] == '/') { /* ".zip" alone is a hidden file */
        return ATTUNE_ARCHIVE_NONE;
    }
    const char *extension = name + length - 4;
    return strncasecmp(extension, ".zip", 4) == 0   ? ATTUNE_ARCHIVE_ZIP
           : strncasecmp(extension, ".tar", 4) == 0 ? ATTUNE_ARCHIVE_TAR
                                                    : ATTUNE_ARCHIVE_NONE;
}

bool attune_archive_fail(attune_archive_walk *walk, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(walk->reason, sizeof(walk->reason), format, arguments);
    va_end(arguments);
    return false;
}

bool attune_archive_read(attune_archive_walk *walk, void *out, uint64_t offset, size_t size)
{
    size_t got = 0;
    if (offset > walk->size || size > walk->size - offset) {
        return attune_archive_fail(walk, "is cut short or damaged");
    }
    while (got < size) {
        const ssize_t n =
            pread(walk->descriptor, (char *)out + got, size - got, (off_t)(offset + got));
        if (n < 0 && errno != EINTR) {
            return attune_archive_fail(walk, "cannot be read: %s", strerror(errno));
        }
        if (n == 0) {
            return attune_archive_fail(walk, "became shorter while it was read");
        }
        got += n > 0 ? (size_t)n : 0;
    }
    return true;
}

bool attune_archive_set_name(attune_archive_walk *walk, const char *name, size_t length)
{
    attune_archive_entry *entry = &walk->entry;
    /* As unpacking does: an absolute name is one below the folder, "./a" is "a". */
    while (length > 0 && (name[0] == '/' || (name[0] == '.' && length > 1 && name[1] == '/'))) {
        const size_t skipped = name[0] == '/' ? 1 : 2;
        name += skipped;
        length -= skipped;
    }
    if (length > NAME_MOST) {
        return attune_archive_fail(walk, "holds an entry whose name has %zu bytes", length);
    }
    if (length + 1 > entry->name_capacity) {
        char *larger = realloc(entry->name, length + 256);
        if (!larger) {
            return attune_archive_fail(walk, "holds a name that does not fit in memory");
        }
        entry->name = larger;
        entry->name_capacity = length + 256;
    }
    memcpy(entry->name, name, length);
    entry->name[length] = '\0';
    entry->is_outside = memchr(name, '\0', length) || attune_path_leads_outside(entry->name);
    return true;
}

bool attune_archive_open(attune_archive_walk *walk, attune_archive_kind kind, int descriptor)
{
    struct stat status;
    *walk = (attune_archive_walk){.kind = kind, .descriptor = descriptor};
    if (fstat(descriptor, &status) != 0) {
        return attune_archive_fail(walk, "cannot be read: %s", strerror(errno));
    }
    walk->size = (uint64_t)status.st_size;
    return kind == ATTUNE_ARCHIVE_ZIP ? attune_zip_open(walk) : attune_tar_open(walk);
}

bool attune_archive_next(attune_archive_walk *walk)
{
    attune_archive_entry *entry = &walk->entry;
    *entry = (attune_archive_entry){.name = entry->name, .name_capacity = entry->name_capacity};
    entry->position = walk->next;
    walk->reason[0] = '\0';
    return walk->kind == ATTUNE_ARCHIVE_ZIP ? attune_zip_next(walk) : attune_tar_next(walk);
}

bool attune_archive_seek(attune_archive_walk *walk, uint64_t position)
{
    walk->next = position;
    return attune_archive_next(walk) ||
           (walk->reason[0] ? false : attune_archive_fail(walk, "changed since it was listed"));
}

bool attune_archive_find(attune_archive_walk *walk, const char *name)
{
    uint64_t found = UINT64_MAX;
    while (attune_archive_next(walk)) {
        if (walk->entry.is_file && !walk->entry.is_outside && strcmp(walk->entry.name, name) == 0) {
            found = walk->entry.position;
        }
    }
    return found != UINT64_MAX && attune_archive_seek(walk, found);
}

void attune_archive_close(attune_archive_walk *walk)
{
    free(walk->entry.name);
    free(walk->window);
    walk->entry.name = NULL;
    walk->window = NULL;
}

bool attune_archive_locate(attune_archive_walk *walk, attune_archive_content *content,
                           bool (*is_late)(void *user), void *user)
{
    const attune_archive_entry *entry = &walk->entry;
    *content = (attune_archive_content){.offset = entry->offset, .size = entry->size};
    if (entry->failure) {
        return attune_archive_fail(walk, "%s", entry->failure);
    }
    if (walk->kind == ATTUNE_ARCHIVE_ZIP && !attune_zip_locate(walk, content, is_late, user)) {
        return false;
    }
    if (!content->bytes &&
        (content->offset > walk->size || content->size > walk->size - content->offset)) {
        return attune_archive_fail(walk, "reaches beyond the end of its archive");
    }
    return true;
}
