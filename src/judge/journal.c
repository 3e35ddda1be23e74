/* journal.c - append, fsync. What is promised is in journal.h. */
#include "judge/journal.h"

#include "status/error.h"
#include "store/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct attune_journal {
    const char *path;
    int fd;
    off_t size;  /* of its whole lines */
    bool made;   /* by opening it */
    bool broken; /* what the disk holds is not known */
};

static attune_status fail_at(attune_status status, const char *path, const char *what)
{
    return attune_fail(status, "%s: %s: %s", path, what, strerror(errno));
}

/* The whole file, with a NUL behind it. */
static attune_status read_all(char **out, size_t *size, int fd, const char *path)
{
    struct stat info;
    *out = NULL;
    *size = 0;
    if (fstat(fd, &info) != 0) {
        return fail_at(ATTUNE_EIO, path, "cannot be read");
    }
    if (!S_ISREG(info.st_mode)) {
        return attune_fail(ATTUNE_ECREATE, "%s: is not a file that judgements can be kept in",
                           path);
    }
    char *text = *out = malloc((size_t)info.st_size + 1);
    if (!text) {
        return attune_fail_memory("judgements", (size_t)info.st_size);
    }
    while (*size < (size_t)info.st_size) {
        const ssize_t got = pread(fd, text + *size, (size_t)info.st_size - *size, (off_t)*size);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return fail_at(ATTUNE_EIO, path, "cannot be read");
        }
        if (got == 0) {
            break;
        }
        *size += (size_t)got;
    }
    text[*size] = '\0';
    return ATTUNE_OK;
}

/* Hands over whole lines; *whole is their bytes. A file torn in its first line holds a part of the
 * head and nothing else: any other is not ours. */
static attune_status each_line(size_t *whole, char *text, size_t size, const char *path,
                               const char *head, attune_journal_line line, void *user)
{
    attune_status status = ATTUNE_OK;
    size_t number = 0;
    char *end = NULL;
    *whole = 0;
    while (status == ATTUNE_OK && *whole < size &&
           (end = memchr(text + *whole, '\n', size - *whole))) {
        char *begin = text + *whole;
        *end = '\0';
        *whole = (size_t)(end + 1 - text);
        status = line(user, begin, (size_t)(end - begin), ++number);
    }
    if (number == 0 && (size > strlen(head) || memcmp(text, head, size) != 0)) {
        status = attune_fail(ATTUNE_EDATA,
                             "%s: is no file of judgements, and is left as it is; name another "
                             "output with -o",
                             path);
    }
    return status;
}

static attune_status replay(attune_journal *journal, const char *head, attune_journal_line line,
                            void *user, size_t *torn)
{
    char *text = NULL;
    size_t size = 0, whole = 0;
    attune_status status = read_all(&text, &size, journal->fd, journal->path);
    if (status == ATTUNE_OK) {
        status = each_line(&whole, text, size, journal->path, head, line, user);
    }
    free(text);
    journal->size = (off_t)whole;
    *torn = size - whole;
    if (status == ATTUNE_OK && *torn > 0 &&
        (ftruncate(journal->fd, journal->size) != 0 || fsync(journal->fd) != 0)) {
        status = fail_at(ATTUNE_EIO, journal->path, "its torn last line cannot be cut off");
    }
    return status;
}

attune_status attune_journal_open(attune_journal **out, const char *path, const char *head,
                                  attune_journal_line line, void *user, size_t *torn)
{
    attune_journal *journal = *out = calloc(1, sizeof(*journal));
    attune_status status = ATTUNE_OK;
    *torn = 0;
    if (!journal) {
        return attune_fail_memory("a journal", sizeof(*journal));
    }
    journal->path = path;
    /* O_NONBLOCK: a FIFO must not wait. On files it does nothing. */
    const int flags = O_RDWR | O_APPEND | O_CLOEXEC | O_NONBLOCK;
    journal->fd = open(path, flags);
    const bool missing = journal->fd < 0 && errno == ENOENT;
    if (missing) {
        journal->fd = open(path, flags | O_CREAT, 0666);
    }
    if (journal->fd < 0) {
        status = fail_at(ATTUNE_ECREATE, path, "cannot be opened to write");
    } else if (flock(journal->fd, LOCK_EX | LOCK_NB) != 0) {
        status = errno == EWOULDBLOCK
                     ? attune_fail(ATTUNE_ESTOPPED,
                                   "%s: another attune judge is writing it; end that, or name "
                                   "another output with -o",
                                   path)
                     : fail_at(ATTUNE_EIO, path, "cannot be locked");
    }
    journal->made = missing && status == ATTUNE_OK; /* without the lock it may be another's */
    if (status == ATTUNE_OK) {
        status = attune_folder_sync(path);
    }
    if (status == ATTUNE_OK) {
        status = replay(journal, head, line, user, torn);
    }
    if (status != ATTUNE_OK) {
        attune_journal_discard(journal);
        *out = NULL;
    }
    return status;
}

attune_status attune_journal_read(const char *path, const char *head, attune_journal_line line,
                                  void *user)
{
    char *text = NULL;
    size_t size = 0, whole = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return fail_at(ATTUNE_ENOINPUT, path, "cannot be opened");
    }
    attune_status status = read_all(&text, &size, fd, path);
    if (status == ATTUNE_OK) {
        status = each_line(&whole, text, size, path, head, line, user);
    }
    free(text);
    close(fd);
    return status;
}

/* Writes all or cuts the file back. */
static attune_status write_line(attune_journal *journal, const char *line, size_t size)
{
    for (size_t written = 0; written < size;) {
        const ssize_t got = write(journal->fd, line + written, size - written);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            const attune_status status = fail_at(ATTUNE_EIO, journal->path, "cannot be written");
            journal->broken = ftruncate(journal->fd, journal->size) != 0;
            return status;
        }
        written += (size_t)got;
    }
    return ATTUNE_OK;
}

attune_status attune_journal_append(attune_journal *journal, const char *line)
{
    const size_t length = strlen(line);
    if (journal->broken) {
        return attune_fail(ATTUNE_EIO,
                           "%s: an earlier write failed, and nothing more is taken; see to the "
                           "disk and start again",
                           journal->path);
    }
    struct stat info;
    if (fstat(journal->fd, &info) != 0 || info.st_nlink == 0) {
        return attune_fail(ATTUNE_EIO, "%s: was removed; start again", journal->path);
    }
    char *text = malloc(length + 1);
    if (!text) {
        return attune_fail_memory("a judgement", length);
    }
    memcpy(text, line, length);
    text[length] = '\n';
    attune_status status = write_line(journal, text, length + 1);
    free(text);
    if (status == ATTUNE_OK && fdatasync(journal->fd) != 0) {
        status = fail_at(ATTUNE_EIO, journal->path, "cannot be made durable");
        journal->broken = true;
        /* Not acknowledged, so it should not be there after a restart either; if this fails too, a
         * restart finds one answer more than was acknowledged. */
        (void)!ftruncate(journal->fd, journal->size);
    }
    if (status == ATTUNE_OK) {
        journal->size += (off_t)(length + 1);
    }
    return status;
}

bool attune_journal_is_empty(const attune_journal *journal)
{
    return journal->size == 0;
}

void attune_journal_close(attune_journal *journal)
{
    if (journal) {
        if (journal->fd >= 0) {
            close(journal->fd);
        }
        free(journal);
    }
}

void attune_journal_discard(attune_journal *journal)
{
    if (journal && journal->made) {
        unlink(journal->path);
    }
    attune_journal_close(journal);
}
