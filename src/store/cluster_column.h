/* cluster_column.h - /cluster, a dataset that `attune map` adds to an output: the number of each
 * row's cluster.
 *
 * It is about the rows as they are. So a run of embed or merge that writes the output anew leaves
 * it out. */
#ifndef ATTUNE_SRC_STORE_CLUSTER_COLUMN_H
#define ATTUNE_SRC_STORE_CLUSTER_COLUMN_H

#include "attune/status.h"

#include <stdint.h>

/* Writes clusters (count) to the output at `path`, which has as many rows; -1: in none. `method`
 * goes into the dataset's attribute of that name. The output is copied, the copy changed and put in
 * its place, so that it is always whole. A dataset of that name that is not ours, or another number
 * of rows: ATTUNE_EDATA. The caller holds the output's lock (parts.h). */
attune_status attune_clusters_write(const char *path, const int32_t *clusters, uint64_t count,
                                    const char *method);

#endif
