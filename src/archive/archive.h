/* archive.h - the entries of zip and tar archives, read in place.
 *
 * An archive is walked from entry to entry without a look at their content: a zip by the directory
 * at its end, a tar from header to header. An entry is known by one number, its position (of its
 * directory record, or of its first header), with which any thread finds it again without a walk.
 * So ten million entries cost their names and a few bytes each, and nothing is shared by threads.
 *
 * Names are bytes, as the archive holds them. Nothing is ever opened or written by such a name.
 *
 * The readers are our own because this is what libarchive and libzip do not give: they keep the
 * directory in memory for every open archive, read every local header, and turn names into the
 * locale's characters. */
#ifndef ATTUNE_SRC_ARCHIVE_ARCHIVE_H
#define ATTUNE_SRC_ARCHIVE_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Compressed entries are inflated into memory, and larger ones refused. */
#define ATTUNE_ARCHIVE_INFLATED_MAX ((uint64_t)512 << 20)

enum { ATTUNE_ARCHIVE_REASON = 128 }; /* bytes of a text that says what is wrong */

typedef enum attune_archive_kind {
    ATTUNE_ARCHIVE_NONE,
    ATTUNE_ARCHIVE_ZIP,
    ATTUNE_ARCHIVE_TAR,
} attune_archive_kind;

/* By the extension, whatever its case; `length` bytes of `name` count. */
attune_archive_kind attune_archive_kind_of(const char *name, size_t length);

typedef struct attune_archive_entry {
    char *name; /* NUL-ended, without leading "/" and "./"; valid until the next entry */
    size_t name_capacity;
    const char *failure; /* why it cannot be read ("is encrypted"); NULL if nothing is known */
    uint64_t position;   /* for attune_archive_locate */
    uint64_t size;       /* bytes, unpacked */
    int64_t mtime_ns;  /* since 1970; a zip's local time, where it holds no other, counts as UTC */
    bool is_file;      /* and no folder, symbolic link or device */
    bool is_outside;   /* the name leads out of the archive ("../x") or holds a NUL */
    uint64_t offset;   /* tar: of the content; zip: of the local header */
    uint64_t packed;   /* zip: bytes of the content as archived */
    uint32_t checksum; /* zip: CRC-32 of the content */
    uint16_t method;   /* zip: 0 stored, 8 deflated */
} attune_archive_entry;

/* A walk over an archive. */
typedef struct attune_archive_walk {
    attune_archive_kind kind;
    int descriptor; /* the caller's, read with pread */
    uint64_t size;  /* bytes of the archive */
    uint64_t next;  /* position of the next entry */
    uint64_t end;   /* zip: of the directory */
    uint64_t base;  /* zip: what all offsets lack, for what stands before the archive */
    uint64_t left;  /* zip: entries that are still to come, modulo 2^16 or 2^64 */
    uint64_t left_mask;
    uint8_t *window; /* zip: (window_capacity,) of the directory from window_at on */
    uint64_t window_at;
    size_t window_size, window_capacity;
    attune_archive_entry entry;
    char reason[ATTUNE_ARCHIVE_REASON];
} attune_archive_walk;

/* Begins a walk over the file `descriptor`. False when it is no such archive: see walk->reason.
 * `walk` is to be closed either way. */
bool attune_archive_open(attune_archive_walk *walk, attune_archive_kind kind, int descriptor);

/* Steps to the next entry, walk->entry. False at the end, and where the archive is damaged:
 * walk->reason then says how, and is "" otherwise. */
bool attune_archive_next(attune_archive_walk *walk);

/* The entry at `position` again, in walk->entry, after attune_archive_open. False when it is not
 * there any more: see walk->reason. */
bool attune_archive_seek(attune_archive_walk *walk, uint64_t position);

/* Steps on to the last entry called `name`, the one that unpacking leaves; false if there is none.
 */
bool attune_archive_find(attune_archive_walk *walk, const char *name);

void attune_archive_close(attune_archive_walk *walk);

/* Where an entry's content is. */
typedef struct attune_archive_content {
    uint64_t offset; /* in the archive, when `bytes` is NULL */
    uint64_t size;
    uint8_t *bytes; /* (size,) inflated; for free() */
} attune_archive_content;

/* Finds the content of walk->entry; inflates it if it is compressed. `is_late` is asked now and
 * then and ends the work with "is late". False, and walk->reason, when the entry cannot be had. */
bool attune_archive_locate(attune_archive_walk *walk, attune_archive_content *content,
                           bool (*is_late)(void *user), void *user);

#endif
