/* reader.h - what the readers of zip and tar share. Functions that return bool write walk->reason
 * when it is false. */
#ifndef ATTUNE_SRC_ARCHIVE_READER_H
#define ATTUNE_SRC_ARCHIVE_READER_H

#include "archive/archive.h"
#include "attune/status.h"

/* Returns false with a reason. */
bool attune_archive_fail(attune_archive_walk *walk, const char *format, ...) ATTUNE_PRINTF(2, 3);

/* Reads all of [offset, offset + size), which is to lie within the archive. */
bool attune_archive_read(attune_archive_walk *walk, void *out, uint64_t offset, size_t size);

/* Sets the entry's name, without what is no part of a path below a folder; judges it. */
bool attune_archive_set_name(attune_archive_walk *walk, const char *name, size_t length);

bool attune_zip_open(attune_archive_walk *walk);
bool attune_zip_next(attune_archive_walk *walk);
bool attune_zip_locate(attune_archive_walk *walk, attune_archive_content *content,
                       bool (*is_late)(void *user), void *user);

bool attune_tar_open(attune_archive_walk *walk);
bool attune_tar_next(attune_archive_walk *walk);

#endif
