/* log_file.c - files that are appended to. */
#include "train/log_file.h"

#include "status/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static attune_status fail_open(const attune_log_file *log)
{
    return errno == EEXIST
               ? attune_fail(ATTUNE_ECREATE,
                             "%s: exists; go on with that run or train into another folder",
                             log->path)
               : attune_fail(ATTUNE_ECREATE, "%s: cannot create: %s", log->path, strerror(errno));
}

static attune_status cut(attune_log_file *log, attune_log_measure *measure, void *user, bool *empty)
{
    off_t end = 0;
    const attune_status status = measure(user, log->file, log->path, &end);
    if (status != ATTUNE_OK) {
        return status;
    }
    *empty = end == 0;
    if (fseeko(log->file, end, SEEK_SET) != 0 || ftruncate(fileno(log->file), end) != 0) {
        return attune_fail(ATTUNE_EIO, "%s: cannot cut: %s", log->path, strerror(errno));
    }
    return ATTUNE_OK;
}

attune_status attune_log_open(attune_log_file *log, const char *path, attune_log_measure *measure,
                              void *user, bool *empty)
{
    struct stat info;
    *log = (attune_log_file){.path = strdup(path)};
    *empty = true;
    if (!log->path) {
        return attune_fail_memory("a path", strlen(path));
    }
    log->created = stat(path, &info) != 0;
    if (!log->created && !S_ISREG(info.st_mode)) {
        return attune_fail(ATTUNE_ECREATE, "%s: is no file", path); /* opening a pipe would wait */
    }
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (measure ? 0 : O_EXCL), 0666);
    if (fd < 0 || !(log->file = fdopen(fd, "r+"))) {
        const attune_status status = fail_open(log);
        if (fd >= 0) {
            close(fd);
        }
        log->created = log->created && fd >= 0;
        return status;
    }
    return measure ? cut(log, measure, user, empty) : ATTUNE_OK;
}

attune_status attune_log_failed(const attune_log_file *log)
{
    return attune_fail(ATTUNE_EIO, "%s: cannot write: %s", log->path, strerror(errno));
}

attune_status attune_log_flush(attune_log_file *log, bool durable)
{
    if (fflush(log->file) != 0 || (durable && fdatasync(fileno(log->file)) != 0)) {
        return attune_log_failed(log);
    }
    return ATTUNE_OK;
}

void attune_log_close(attune_log_file *log, bool undo)
{
    if (log->file) {
        fclose(log->file);
    }
    if (undo && log->created) {
        unlink(log->path);
    }
    free(log->path);
    *log = (attune_log_file){0};
}
