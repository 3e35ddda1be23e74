/* export.h - what the formats of an export share. */
#ifndef ATTUNE_SRC_STORE_EXPORT_H
#define ATTUNE_SRC_STORE_EXPORT_H

#include "attune/export.h"

/* ann-benchmarks' file at `path`; counts->rows and left_out are set. */
attune_status attune_export_ann(const char *path, attune_store *store,
                                const attune_export_options *options, attune_export_counts *counts);

#endif
