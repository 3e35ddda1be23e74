/* known.h - which files of a scan an archive has rows of, and whether they are still as they were.
 *
 * Eight bytes a file: a hash of the size and time that its row gives, and the row's status. So ten
 * million files take 80 MB, nothing is sorted, and whoever takes a file from the scan compares it
 * with what is on the disk then: starting a job asks the disk nothing. */
#ifndef ATTUNE_SRC_ENGINE_KNOWN_H
#define ATTUNE_SRC_ENGINE_KNOWN_H

#include "attune/job.h"
#include "attune/store.h"

typedef struct attune_known attune_known;

attune_status attune_known_create(attune_known **out, const attune_scan *scan);
void attune_known_free(attune_known *known); /* NULL-safe */

/* The folder that relative paths of rows are below; must be set before the first row. */
attune_status attune_known_set_root(attune_known *known, const char *root);

/* Notes a row; of several of the same path the last counts. A row of no file in the scan is passed
 * over. Quick when rows come in the order of the scan. */
void attune_known_take(attune_known *known, const attune_row *row);

/* Whether the scan has the file of a row's path. */
bool attune_known_has(attune_known *known, const char *path);

/* Looks at file `index` of the scan. For ATTUNE_JOB_KEPT *status is its row's. May be called by
 * several threads at a time. */
attune_job_reason attune_known_judge(const attune_known *known, size_t index, bool retry_failed,
                                     attune_track_status *status);

#endif
