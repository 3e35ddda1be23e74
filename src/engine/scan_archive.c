/* scan_archive.c - the audio in an archive, by the rules for folders: names, and where these say
 * nothing, content. Folders, symbolic links and devices in an archive are no files. */
#include "engine/scan_archive.h"

#include "archive/archive.h"
#include "engine/audio_name.h"
#include "status/error.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* True if a part of an entry's name begins with a dot. */
static bool is_hidden(const char *name)
{
    return name[0] == '.' || strstr(name, "/.");
}

typedef enum verdict { PASSED_OVER, TAKEN, PROBED, FAILED } verdict;

/* What is to become of an entry; *failure says why it fails. */
static verdict judge(const attune_archive_entry *entry, const char **failure)
{
    const char *base = strrchr(entry->name, '/');
    base = base ? base + 1 : entry->name;
    const attune_audio_name kind = attune_audio_name_kind(base);
    const bool nested = attune_archive_kind_of(base, strlen(base)) != ATTUNE_ARCHIVE_NONE;
    *failure = NULL;
    if (entry->is_outside && (nested || kind != ATTUNE_AUDIO_NAME_NO)) {
        *failure = "has a name that leads out of its archive, or is none";
    } else if (is_hidden(entry->name)) {
        return PASSED_OVER;
    } else if (nested) {
        *failure = "is an archive within an archive, which is not looked into; unpack it";
    }
    return *failure                            ? FAILED
           : kind == ATTUNE_AUDIO_NAME_YES     ? TAKEN
           : kind == ATTUNE_AUDIO_NAME_UNKNOWN ? PROBED
                                               : PASSED_OVER;
}

/* One place after another, their paths in one buffer. */
typedef struct places {
    attune_scan_take take;
    void *user;
    attune_decoder *decoder;
    size_t *ignored;
    char *path; /* "<archive>/<entry>" */
    size_t capacity, archive_length;
} places;

static attune_status take_entry(places *p, const attune_archive_entry *entry)
{
    attune_audio_place place = {.archive_length = p->archive_length, .position = entry->position};
    const verdict v = judge(entry, &place.failure);
    const size_t size = p->archive_length + strlen(entry->name) + 2;
    if (v == PASSED_OVER) {
        ++*p->ignored;
        return ATTUNE_OK;
    }
    if (size > p->capacity) {
        char *path = realloc(p->path, size * 2);
        if (!path) {
            return attune_fail_memory("file names", size * 2);
        }
        p->path = path;
        p->capacity = size * 2;
    }
    p->path[p->archive_length] = '/';
    strcpy(p->path + p->archive_length + 1, entry->name);
    place.path = p->path;
    bool audio = true;
    const attune_status status =
        v == PROBED ? attune_decoder_probe(p->decoder, &audio, &place) : ATTUNE_OK;
    *p->ignored += status == ATTUNE_OK && !audio;
    return status == ATTUNE_OK && audio ? p->take(p->user, &place) : status;
}

attune_status attune_scan_archive(const char *archive, attune_scan_take take, void *user,
                                  attune_decoder *decoder, size_t *ignored)
{
    const size_t length = strlen(archive);
    places p = {.take = take,
                .user = user,
                .decoder = decoder,
                .ignored = ignored,
                .path = strdup(archive),
                .capacity = length + 1,
                .archive_length = length};
    const int descriptor = open(archive, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    attune_archive_walk walk = {0};
    attune_audio_place itself = {.path = archive};
    struct stat info;
    attune_status status = p.path ? ATTUNE_OK : attune_fail_memory("file names", length + 1);
    if (status == ATTUNE_OK &&
        (descriptor < 0 || fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode))) {
        status = take(user, &itself); /* opening it again will say why not */
    } else if (status == ATTUNE_OK) {
        bool more = attune_archive_open(&walk, attune_archive_kind_of(archive, length), descriptor);
        while (status == ATTUNE_OK && more && attune_archive_next(&walk)) {
            if (walk.entry.is_file) {
                status = take_entry(&p, &walk.entry);
            }
        }
        itself.failure = walk.reason;
        if (status == ATTUNE_OK && walk.reason[0]) {
            status = take(user, &itself);
        }
    }
    attune_archive_close(&walk);
    if (descriptor >= 0) {
        close(descriptor);
    }
    free(p.path);
    return status;
}
