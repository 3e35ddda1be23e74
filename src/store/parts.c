/* parts.c - the folder of committed parts and its lock. The layout is in parts.h. */
#include "store/parts.h"

#include "status/error.h"
#include "status/path.h"
#include "store/new_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the list ---- */

/* "<shard>-<number>.h5"; false for any other name. */
static bool parse_name(const char *name, unsigned long *shard, uint64_t *number)
{
    char again[64];
    return sscanf(name, "%lu-%" SCNu64 ".h5", shard, number) == 2 &&
           snprintf(again, sizeof(again), "%lu-%" PRIu64 ".h5", *shard, *number) > 0 &&
           strcmp(again, name) == 0 && *number < UINT64_MAX;
}

static int compare_parts(const void *left, const void *right)
{
    unsigned long shards[2];
    uint64_t numbers[2];
    parse_name(strrchr(*(char *const *)left, '/') + 1, &shards[0], &numbers[0]);
    parse_name(strrchr(*(char *const *)right, '/') + 1, &shards[1], &numbers[1]);
    if (numbers[0] != numbers[1]) {
        return numbers[0] < numbers[1] ? -1 : 1;
    }
    return (shards[0] > shards[1]) - (shards[0] < shards[1]);
}

/* Takes `path` over, whatever happens. */
static attune_status add_path(attune_parts *parts, char *path)
{
    if ((parts->count & (parts->count + 1)) == 0) { /* full at 2^n - 1 */
        char **paths = realloc(parts->paths, (2 * parts->count + 1) * sizeof(*paths));
        if (!paths) {
            free(path);
            return attune_fail_memory("parts", parts->count * sizeof(*paths));
        }
        parts->paths = paths;
    }
    parts->paths[parts->count++] = path;
    return ATTUNE_OK;
}

static attune_status list_parts(attune_parts *parts)
{
    DIR *directory = opendir(parts->folder);
    if (!directory && errno == ENOENT) {
        return ATTUNE_OK;
    }
    if (!directory) {
        return attune_fail(ATTUNE_EIO, "%s: cannot read: %s", parts->folder, strerror(errno));
    }
    attune_status status = ATTUNE_OK;
    while (status == ATTUNE_OK) {
        unsigned long shard;
        uint64_t number;
        char *path = NULL;
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (!entry) {
            if (errno != 0) {
                status =
                    attune_fail(ATTUNE_EIO, "%s: cannot read: %s", parts->folder, strerror(errno));
            }
            break;
        }
        if (parse_name(entry->d_name, &shard, &number)) {
            status = attune_path_join(&path, parts->folder, entry->d_name);
            status = status == ATTUNE_OK ? add_path(parts, path) : status;
            parts->next = number >= parts->next ? number + 1 : parts->next;
        }
    }
    closedir(directory);
    if (status == ATTUNE_OK && parts->count > 0) {
        qsort(parts->paths, parts->count, sizeof(*parts->paths), compare_parts);
    }
    return status;
}

/* ---- opening ---- */

static attune_status fail_create(const attune_parts *parts)
{
    return attune_fail(ATTUNE_ECREATE, "%s: cannot create: %s", parts->folder, strerror(errno));
}

static attune_status create_parts(attune_parts **out, const char *output)
{
    *out = calloc(1, sizeof(**out));
    if (!*out) {
        return attune_fail_memory("parts", sizeof(**out));
    }
    (*out)->lock = -1;
    char *real = realpath(output, NULL);
    (*out)->output = real ? real : strdup(output);
    if (!(*out)->output || asprintf(&(*out)->folder, "%s.parts", (*out)->output) < 0) {
        (*out)->folder = NULL;
        return attune_fail_memory("a path", strlen(output));
    }
    return ATTUNE_OK;
}

/* Makes the folder, durably. */
static attune_status make_folder(const attune_parts *parts)
{
    if (mkdir(parts->folder, 0777) == 0) {
        return attune_folder_sync(parts->output);
    }
    return errno == EEXIST ? ATTUNE_OK : fail_create(parts);
}

/* Opens and locks the file `lock`. A job that ends removes it with its folder, maybe between our
 * open and our flock: *stale then says that what we have locked is not what others will find. */
static attune_status try_lock(attune_parts *parts, const char *path, bool *stale)
{
    struct stat ours, there;
    attune_status status = make_folder(parts);
    *stale = false;
    if (status != ATTUNE_OK) {
        return status;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 && errno == ENOENT) {
        *stale = true;
        return ATTUNE_OK;
    }
    if (fd < 0) {
        return fail_create(parts);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        status = errno == EWOULDBLOCK
                     ? attune_fail(ATTUNE_ESTOPPED,
                                   "%s: another job is writing it; run again when that has ended",
                                   parts->output)
                     : attune_fail(ATTUNE_EIO, "%s: cannot lock: %s", path, strerror(errno));
        close(fd);
        return status;
    }
    *stale = fstat(fd, &ours) != 0 || stat(path, &there) != 0 || ours.st_ino != there.st_ino ||
             ours.st_dev != there.st_dev;
    if (*stale) {
        close(fd);
    } else {
        parts->lock = fd;
    }
    return ATTUNE_OK;
}

static bool leads_nowhere(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0 && S_ISLNK(info.st_mode) && stat(path, &info) != 0;
}

/* Why the lock cannot be had however often one tries. */
static attune_status fail_stale(const attune_parts *parts, const char *path)
{
    const char *link = leads_nowhere(parts->folder) ? parts->folder
                       : leads_nowhere(path)        ? path
                                                    : NULL;
    return link ? attune_fail(ATTUNE_ECREATE, "%s: is a link that leads nowhere; remove it", link)
                : attune_fail(ATTUNE_ESTOPPED, "%s: other jobs on it start and end; run again",
                              parts->output);
}

static attune_status take_lock(attune_parts *parts)
{
    char *path = NULL;
    bool stale = true;
    attune_status status = attune_path_join(&path, parts->folder, "lock");
    for (int attempt = 0; status == ATTUNE_OK && stale && attempt < 100; attempt++) {
        status = try_lock(parts, path, &stale);
    }
    if (status == ATTUNE_OK && stale) {
        status = fail_stale(parts, path);
    }
    free(path);
    return status;
}

attune_status attune_parts_open(attune_parts **out, const char *output)
{
    attune_new_file probe;
    *out = NULL;
    /* That the output can be created is better known before hours of work than after. */
    attune_status status = attune_new_file_open(&probe, output);
    if (status != ATTUNE_OK) {
        return status;
    }
    attune_new_file_close(&probe);
    if ((status = create_parts(out, output)) == ATTUNE_OK &&
        (status = take_lock(*out)) == ATTUNE_OK) {
        attune_new_file_sweep((*out)->output);
        attune_new_file_sweep_folder((*out)->folder);
        status = list_parts(*out);
    }
    if (status != ATTUNE_OK) {
        attune_parts_close(*out);
        *out = NULL;
    }
    return status;
}

attune_status attune_parts_look(attune_parts **out, const char *output)
{
    attune_status status = create_parts(out, output);
    if (status == ATTUNE_OK) {
        status = list_parts(*out);
    }
    if (status != ATTUNE_OK) {
        attune_parts_close(*out);
        *out = NULL;
    }
    return status;
}

/* ---- what a job does ---- */

attune_status attune_parts_commit(attune_parts *parts, int shard,
                                  const attune_store_attributes *attributes,
                                  const attune_rows *rows)
{
    char name[64], *path = NULL;
    attune_store_writer *writer = NULL;
    snprintf(name, sizeof(name), "%d-%" PRIu64 ".h5", shard, parts->next);
    attune_status status = attune_path_join(&path, parts->folder, name);
    if (status == ATTUNE_OK) {
        status = attune_store_create(&writer, path, attributes);
    }
    if (status == ATTUNE_OK) {
        status = attune_store_append(writer, rows);
    }
    if (status == ATTUNE_OK) {
        status = attune_store_commit(writer);
    }
    attune_store_writer_close(writer);
    if (status != ATTUNE_OK) {
        free(path);
        return status;
    }
    parts->next++;
    return add_path(parts, path);
}

attune_status attune_parts_mark(attune_parts *parts, const char *mark)
{
    char *path = NULL;
    attune_status status = attune_path_join(&path, parts->folder, mark);
    int fd = status == ATTUNE_OK ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666) : -1;
    if (status == ATTUNE_OK && (fd < 0 || fsync(fd) != 0)) {
        status = attune_fail(ATTUNE_EIO, "%s: cannot write: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    if (status == ATTUNE_OK) {
        status = attune_folder_sync(path);
    }
    free(path);
    return status;
}

bool attune_parts_marked(const attune_parts *parts, const char *mark)
{
    char *path = NULL;
    const bool marked =
        attune_path_join(&path, parts->folder, mark) == ATTUNE_OK && access(path, F_OK) == 0;
    free(path);
    return marked;
}

bool attune_parts_empty(const attune_parts *parts)
{
    return parts->count == 0 && !attune_parts_marked(parts, ATTUNE_MARK_FRESH) &&
           !attune_parts_marked(parts, ATTUNE_MARK_DOUBTED);
}

static attune_status remove_file(const char *path)
{
    if (unlink(path) != 0 && errno != ENOENT) {
        return attune_fail(ATTUNE_EIO, "%s: cannot remove: %s", path, strerror(errno));
    }
    return ATTUNE_OK;
}

/* Removes a mark, if it is there, with all that was removed before durably so. */
static attune_status remove_mark(const attune_parts *parts, const char *mark)
{
    char *path = NULL;
    attune_status status = ATTUNE_OK;
    if (attune_parts_marked(parts, mark) &&
        (status = attune_path_join(&path, parts->folder, mark)) == ATTUNE_OK &&
        (status = attune_folder_sync(path)) == ATTUNE_OK &&
        (status = remove_file(path)) == ATTUNE_OK) {
        status = attune_folder_sync(path);
    }
    free(path);
    return status;
}

attune_status attune_parts_clear(attune_parts *parts)
{
    attune_status status = remove_mark(parts, ATTUNE_MARK_FRESH);
    for (size_t i = 0; status == ATTUNE_OK && i < parts->count; i++) {
        status = remove_file(parts->paths[i]);
    }
    if (status == ATTUNE_OK) {
        status = remove_mark(parts, ATTUNE_MARK_DOUBTED);
    }
    if (status == ATTUNE_OK) {
        for (size_t i = 0; i < parts->count; i++) {
            free(parts->paths[i]);
        }
        parts->count = 0;
    }
    return status;
}

void attune_parts_close(attune_parts *parts)
{
    char *lock = NULL;
    if (!parts) {
        return;
    }
    if (parts->lock >= 0) {
        /* Whatever fails here leaves what the next run takes up. A folder in which another job has
         * just made its lock stays. */
        const bool empty = attune_parts_empty(parts);
        if (empty && attune_path_join(&lock, parts->folder, "lock") == ATTUNE_OK) {
            unlink(lock);
        }
        close(parts->lock); /* before the folder goes: NFS keeps a name for what is open */
        if (empty) {
            rmdir(parts->folder);
        }
        free(lock);
    }
    for (size_t i = 0; i < parts->count; i++) {
        free(parts->paths[i]);
    }
    free(parts->paths);
    free(parts->folder);
    free(parts->output);
    free(parts);
}
