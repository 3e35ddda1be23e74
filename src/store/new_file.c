/* new_file.c - a file that stands under its name whole or not at all. */
#include "store/new_file.h"

#include "status/error.h"
#include "status/io.h"
#include "status/path.h"
#include "store/file_kind.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* What may be replaced is only what the caller says. */
static attune_status check_target(const char *path, attune_new_file_over over)
{
    static const char *const names[] = {[ATTUNE_FILE_OUTPUT] = "an attune output",
                                        [ATTUNE_FILE_CHECKPOINT] = "a checkpoint of attune"};
    struct stat information;
    if (stat(path, &information) != 0) {
        /* ENOENT is the usual case; what else is wrong, opening the folder says better. */
        return ATTUNE_OK;
    }
    if (S_ISDIR(information.st_mode)) {
        return attune_fail(ATTUNE_ECREATE, "%s: is a folder; give the name of a file in it", path);
    }
    attune_file_kind kind = ATTUNE_FILE_OTHER;
    attune_status status = ATTUNE_OK;
    if (S_ISREG(information.st_mode)) {
        status = attune_file_kind_of(&kind, path);
    }
    const bool ours = over == ATTUNE_OVER_OUTPUT || over == ATTUNE_OVER_CHECKPOINT;
    if (status == ATTUNE_EIO || (status != ATTUNE_OK && ours)) {
        return status;
    }
    if (ours) {
        const attune_file_kind wanted =
            over == ATTUNE_OVER_OUTPUT ? ATTUNE_FILE_OUTPUT : ATTUNE_FILE_CHECKPOINT;
        return kind == wanted ? ATTUNE_OK
                              : attune_fail(ATTUNE_ECREATE,
                                            "%s: exists and is not %s; choose another name or "
                                            "remove it",
                                            path, names[wanted]);
    }
    if (kind != ATTUNE_FILE_OTHER || !S_ISREG(information.st_mode)) {
        return attune_fail(ATTUNE_ECREATE, "%s: is %s; choose another name", path,
                           kind != ATTUNE_FILE_OTHER ? names[kind] : "no file");
    }
    return over == ATTUNE_OVER_OTHER
               ? ATTUNE_OK
               : attune_fail(ATTUNE_ECREATE, "%s: exists; --force replaces it", path);
}

/* The path behind a link, or a copy of `path`; malloc'ed. */
static attune_status follow_link(char **out, const char *path)
{
    struct stat information;
    bool is_link = lstat(path, &information) == 0 && S_ISLNK(information.st_mode);
    *out = is_link ? realpath(path, NULL) : strdup(path);
    if (!*out && is_link) {
        return attune_fail(ATTUNE_ECREATE, "%s: is a link that leads nowhere: %s", path,
                           strerror(errno));
    }
    return *out ? ATTUNE_OK : attune_fail_memory("a path", strlen(path));
}

/* Splits `path` and opens its folder. */
static attune_status open_folder(attune_new_file *file, char *path)
{
    char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (!*name) {
        return attune_fail(ATTUNE_ECREATE, "%s: names no file; give the name of a file",
                           *file->path ? file->path : "\"\"");
    }
    file->name = strdup(name);
    if (!file->name) {
        return attune_fail_memory("a path", strlen(name));
    }
    const char *folder = ".";
    if (slash) {
        slash[slash == path ? 1 : 0] = '\0'; /* the folder of "/name" is "/" */
        folder = path;
    }
    file->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->folder < 0 && errno == ENOENT) {
        return attune_fail(ATTUNE_ECREATE, "%s: there is no folder %s; make it first", file->path,
                           folder);
    }
    if (file->folder < 0) {
        return attune_fail(ATTUNE_ECREATE, "%s: cannot open the folder %s: %s", file->path, folder,
                           strerror(errno));
    }
    return ATTUNE_OK;
}

/* What is replaced keeps its permissions and, where this process may, its group and owner. */
static void take_over(int fd, const struct stat *old)
{
    const bool owned =
        fchown(fd, old->st_uid, old->st_gid) == 0 || fchown(fd, (uid_t)-1, old->st_gid) == 0;
    const mode_t mode = old->st_mode & 0777;
    /* another group may do what others may, and no more */
    (void)fchmod(fd, owned ? mode : (mode & ~(mode_t)070) | (mode & 07) << 3);
}

static attune_status open_temporary(attune_new_file *file)
{
    struct stat info;
    const bool replaces = fstatat(file->folder, file->name, &info, 0) == 0;
    if (!replaces && errno == ENAMETOOLONG) {
        return attune_fail(ATTUNE_ECREATE, "%s: %s", file->path, strerror(errno));
    }
    for (int attempt = 0; attempt < 16; attempt++) {
        unsigned long long random = 0;
        if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
            random = (unsigned long long)attempt; /* O_EXCL still makes the name ours */
        }
        char *name = NULL;
        /* 200 bytes of the name leave room for the rest in the 255 that a name may have. */
        if (asprintf(&name, ".%.200s.%ld-%016llx.tmp", file->name, (long)getpid(), random) < 0) {
            return attune_fail_memory("a path", strlen(file->name));
        }
        file->fd = openat(file->folder, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
                          replaces ? 0600 : 0666);
        if (file->fd >= 0) {
            if (replaces) {
                take_over(file->fd, &info);
            }
            flock(file->fd, LOCK_SH | LOCK_NB); /* where that cannot be, nothing is swept */
            file->temporary = name;
            return ATTUNE_OK;
        }
        free(name);
        if (errno != EEXIST) {
            break;
        }
    }
    return attune_fail(ATTUNE_ECREATE, "%s: cannot create a file in its folder: %s", file->path,
                       strerror(errno));
}

static attune_status open_over(attune_new_file *file, const char *path, attune_new_file_over over)
{
    *file = ATTUNE_NEW_FILE_CLOSED;
    file->over = over;
    char *target = NULL;
    attune_status status = ATTUNE_OK;
    file->path = strdup(path);
    if (!file->path) {
        return attune_fail_memory("a path", strlen(path));
    }
    if ((status = check_target(path, over)) != ATTUNE_OK ||
        (status = follow_link(&target, path)) != ATTUNE_OK ||
        (status = open_folder(file, target)) != ATTUNE_OK) {
        goto done;
    }
    status = open_temporary(file);
done:
    free(target);
    if (status != ATTUNE_OK) {
        attune_new_file_close(file);
    }
    return status;
}

attune_status attune_new_file_open(attune_new_file *file, const char *path)
{
    return open_over(file, path, ATTUNE_OVER_OUTPUT);
}

attune_status attune_new_file_open_checkpoint(attune_new_file *file, const char *path)
{
    return open_over(file, path, ATTUNE_OVER_CHECKPOINT);
}

attune_status attune_new_file_open_other(attune_new_file *file, const char *path, bool replace)
{
    return open_over(file, path, replace ? ATTUNE_OVER_OTHER : ATTUNE_OVER_NOTHING);
}

static attune_status sync_folder(int folder, const char *path)
{
    /* Some network disks know no fsync of a folder; there is nothing more to be done on them. */
    if (fsync(folder) != 0 && errno != EINVAL && errno != ENOTSUP) {
        return attune_fail(ATTUNE_EIO, "%s: cannot make its name durable: %s", path,
                           strerror(errno));
    }
    return ATTUNE_OK;
}

attune_status attune_new_file_publish(attune_new_file *file)
{
    /* Hours may have passed since the file was opened: another program may have put its file there.
     */
    attune_status status = check_target(file->path, file->over);
    if (status != ATTUNE_OK) {
        return status;
    }
    if (fsync(file->fd) != 0) {
        return attune_fail(ATTUNE_EIO, "%s: cannot write: %s", file->path, strerror(errno));
    }
    int fd = file->fd;
    file->fd = -1;
    if (close(fd) != 0 && errno != EINTR) {
        return attune_fail(ATTUNE_EIO, "%s: cannot write: %s", file->path, strerror(errno));
    }
    if (renameat(file->folder, file->temporary, file->folder, file->name) != 0) {
        return attune_fail(ATTUNE_EIO, "%s: cannot rename the finished file to it: %s", file->path,
                           strerror(errno));
    }
    free(file->temporary);
    file->temporary = NULL;
    return sync_folder(file->folder, file->path);
}

void attune_new_file_close(attune_new_file *file)
{
    if (file->fd >= 0) {
        close(file->fd);
    }
    if (file->temporary) {
        unlinkat(file->folder, file->temporary, 0);
    }
    if (file->folder >= 0) {
        close(file->folder);
    }
    free(file->temporary);
    free(file->name);
    free(file->path);
    *file = ATTUNE_NEW_FILE_CLOSED;
}

static attune_status write_standard(const void *bytes, size_t size)
{
    return fwrite(bytes, 1, size, stdout) == size && fflush(stdout) == 0
               ? ATTUNE_OK
               : attune_fail(ATTUNE_EIO, "standard output: cannot write: %s", strerror(errno));
}

attune_status attune_new_file_fill(attune_new_file *file, const char *path, const void *bytes,
                                   size_t size, bool replace)
{
    attune_new_file_sweep(path);
    attune_status status = attune_new_file_open_other(file, path, replace);
    if (status == ATTUNE_OK &&
        (!attune_write_at(file->fd, bytes, size, 0) || fsync(file->fd) != 0)) {
        status = attune_fail(ATTUNE_EIO, "%s: cannot write: %s", path, strerror(errno));
    }
    return status;
}

attune_status attune_new_file_write(const char *path, const void *bytes, size_t size, bool replace)
{
    if (strcmp(path, "-") == 0) {
        return write_standard(bytes, size);
    }
    attune_new_file file = ATTUNE_NEW_FILE_CLOSED;
    attune_status status = attune_new_file_fill(&file, path, bytes, size, replace);
    if (status == ATTUNE_OK) {
        status = attune_new_file_publish(&file);
    }
    attune_new_file_close(&file);
    return status;
}

attune_status attune_folder_sync(const char *path)
{
    char *folder = attune_path_folder(path);
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    attune_status status = folder ? ATTUNE_OK : attune_fail_memory("a path", strlen(path));
    if (folder && fd < 0) {
        status = attune_fail(ATTUNE_EIO, "%s: cannot open: %s", folder, strerror(errno));
    }
    if (fd >= 0) {
        status = sync_folder(fd, path);
        close(fd);
    }
    free(folder);
    return status;
}

/* Whether open_temporary could have made `name`: of the file `target`, or of any if that is NULL.
 */
static bool is_temporary(const char *name, const char *target)
{
    const size_t length = strlen(name), tail = sizeof("-0123456789abcdef.tmp") - 1;
    if (name[0] != '.' || length < tail + 3 || strcmp(name + length - 4, ".tmp") != 0) {
        return false;
    }
    const char *end = name + length - tail, *process = end;
    while (process > name && process[-1] >= '0' && process[-1] <= '9') {
        process--;
    }
    if (*end != '-' || strspn(end + 1, "0123456789abcdef") != 16 || process == end ||
        process - name < 2 || process[-1] != '.') {
        return false;
    }
    const size_t stem = (size_t)(process - 1 - (name + 1));
    return !target || (stem == strnlen(target, 200) && strncmp(name + 1, target, stem) == 0);
}

static void sweep(const char *folder, const char *target)
{
    DIR *directory = opendir(folder);
    const struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        if (!is_temporary(entry->d_name, target)) {
            continue;
        }
        int fd =
            openat(dirfd(directory), entry->d_name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0) {
            if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
                unlinkat(dirfd(directory), entry->d_name, 0);
            }
            close(fd);
        }
    }
    if (directory) {
        closedir(directory);
    }
}

void attune_new_file_sweep(const char *path)
{
    char *folder = attune_path_folder(path);
    if (folder) {
        sweep(folder, attune_file_name(path));
    }
    free(folder);
}

void attune_new_file_sweep_folder(const char *folder)
{
    sweep(folder, NULL);
}
