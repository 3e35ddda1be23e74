/* journal.h - a file that only grows: a line for everything that happened, on the disk before
 * anybody is told of it.
 *
 * One process at a time has it. A line that a crash tore is the last one and has no end; it was
 * never acknowledged, and opening cuts it off. After a failed write the file is cut back to its
 * last whole line, and the next append may succeed, once there is room; after a failed fsync nobody
 * knows what the disk holds, and every further append fails. */
#ifndef ATTUNE_SRC_JUDGE_JOURNAL_H
#define ATTUNE_SRC_JUDGE_JOURNAL_H

#include "attune/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct attune_journal attune_journal;

/* Called with each line, without its end and with a NUL behind it, and its number from 1. */
typedef attune_status (*attune_journal_line)(void *user, const char *line, size_t size,
                                             size_t number);

/* Opens the file, makes it where there is none, and hands over its lines. *torn is the bytes that
 * were cut off. `head` is the line that is to be the first: ATTUNE_EDATA for a file that has no
 * whole line and is no part of that, and is left as it is; `line` has to refuse another first line.
 * ATTUNE_ESTOPPED while another process has it. `path` is borrowed. */
attune_status attune_journal_open(attune_journal **out, const char *path, const char *head,
                                  attune_journal_line line, void *user, size_t *torn);

/* Hands over the lines of a file that another process may be writing; a torn line is none. */
attune_status attune_journal_read(const char *path, const char *head, attune_journal_line line,
                                  void *user);

/* Adds a line, without its end, and returns when it is on the disk. One thread at a time. */
attune_status attune_journal_append(attune_journal *journal, const char *line);

/* Whether it has no line yet. */
bool attune_journal_is_empty(const attune_journal *journal);

void attune_journal_close(attune_journal *journal); /* NULL-safe */

/* Closes it, and removes the file if opening made it: for a start that failed. NULL-safe. */
void attune_journal_discard(attune_journal *journal);

#endif
