/* lookup.h - which rows of an output have these paths. */
#ifndef ATTUNE_SRC_STORE_LOOKUP_H
#define ATTUNE_SRC_STORE_LOOKUP_H

#include "attune/store.h"

#define ATTUNE_LOOKUP_NONE UINT64_MAX

/* rows (count): of each name the first row with that path, ATTUNE_LOOKUP_NONE if there is none. A
 * name may be NULL: it has no row. */
attune_status attune_lookup(uint64_t *rows, attune_store *store, const char *const *names,
                            size_t count);

#endif
