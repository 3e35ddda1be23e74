/* gone.c - what is not there, in a folder or among the names in one archive. */
#include "engine/gone.h"

#include "archive/archive.h"
#include "audio/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void attune_gone_clear(attune_gone *gone)
{
    for (size_t i = 0; i < gone->count; i++) {
        free(gone->names[i]);
    }
    free(gone->names);
    free(gone->archive);
    free(gone->folder);
    *gone = (attune_gone){0};
}

/* Another archive than the one whose names are held. */
static void begin_archive(attune_gone *gone, const char *path, size_t length)
{
    for (size_t i = 0; i < gone->count; i++) {
        free(gone->names[i]);
    }
    free(gone->archive);
    gone->archive = strndup(path, length);
    gone->count = 0;
    gone->complete = false;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool add(attune_gone *gone, const char *name)
{
    if (gone->count == gone->capacity) {
        const size_t capacity = gone->capacity * 2 + 64;
        char **names = realloc(gone->names, capacity * sizeof(*names));
        if (!names) {
            return false;
        }
        gone->names = names;
        gone->capacity = capacity;
    }
    gone->names[gone->count] = strdup(name);
    return gone->names[gone->count] && ++gone->count;
}

/* Reads the names in gone->archive. */
static void read_names(attune_gone *gone)
{
    attune_archive_walk walk;
    const int descriptor = open(gone->archive, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (descriptor < 0) {
        return;
    }
    const attune_archive_kind kind = attune_archive_kind_of(gone->archive, strlen(gone->archive));
    bool good = attune_archive_open(&walk, kind, descriptor);
    while (good && attune_archive_next(&walk)) {
        if (walk.entry.is_file && !walk.entry.is_outside) {
            good = add(gone, walk.entry.name);
        }
    }
    gone->complete = good && !walk.reason[0];
    attune_archive_close(&walk);
    close(descriptor);
    if (gone->count > 0) {
        qsort(gone->names, gone->count, sizeof(*gone->names), compare);
    }
}

/* Whether there is nothing in a folder; true also where that cannot be known. */
static bool is_empty(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry = NULL;
    int entries = 0;
    if (!folder) {
        return true;
    }
    while (entries <= 2 && (entry = readdir(folder))) {
        entries += 1; /* "." and ".." are two */
    }
    closedir(folder);
    return entries <= 2;
}

/* Whether the deepest folder that there still is of a file that is not there is empty: as a mount
 * point is with nothing mounted. */
static bool may_be_unmounted(attune_gone *gone, const char *path)
{
    char folder[PATH_MAX];
    struct stat info;
    snprintf(folder, sizeof(folder), "%s", path);
    do {
        char *slash = strrchr(folder, '/');
        if (!slash || slash == folder) {
            return false;
        }
        *slash = '\0';
    } while (stat(folder, &info) != 0);
    if (!gone->folder || strcmp(gone->folder, folder) != 0) {
        free(gone->folder);
        gone->folder = strdup(folder);
        gone->folder_is_empty = is_empty(folder);
    }
    return gone->folder_is_empty;
}

/* Reads the names in the archive at `path` (length bytes), unless they are those at hand. */
static bool know_names(attune_gone *gone, const char *path, size_t length)
{
    if (!gone->archive || strncmp(gone->archive, path, length) != 0 || gone->archive[length]) {
        begin_archive(gone, path, length);
        if (gone->archive) {
            read_names(gone);
        }
    }
    return gone->complete;
}

static bool folder_is_readable(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder) {
        return false;
    }
    errno = 0;
    while (readdir(folder)) {
    }
    const bool readable = errno == 0;
    closedir(folder);
    return readable;
}

/* Whether a folder or an archive is there that can be read, and so has no row of its own. */
static bool is_readable_whole(attune_gone *gone, const char *path)
{
    const size_t length = strlen(path);
    struct stat info;
    if (stat(path, &info) != 0) {
        return false;
    }
    return S_ISDIR(info.st_mode) ? folder_is_readable(path)
                                 : S_ISREG(info.st_mode) && attune_archive_kind_of(path, length) &&
                                       know_names(gone, path, length);
}

bool attune_gone_is(attune_gone *gone, const char *path, bool listed)
{
    struct stat info;
    if (lstat(path, &info) == 0) {
        return !listed && is_readable_whole(gone, path);
    }
    if (errno != ENOTDIR) {
        return errno == ENOENT && !may_be_unmounted(gone, path);
    }
    const size_t length = attune_audio_place_of(path).archive_length;
    if (length == 0) { /* below what is a file now, and no archive */
        return true;
    }
    if (listed || !know_names(gone, path, length)) {
        return false;
    }
    const char *name = path + length + 1;
    return gone->count == 0 ||
           !bsearch(&name, gone->names, gone->count, sizeof(*gone->names), compare);
}
