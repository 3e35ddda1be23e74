/* nearest.h - what the files of `attune nearest` share: what was asked for, the queries, and the
 * tracks found. */
#ifndef ATTUNE_SRC_CLI_NEAREST_H
#define ATTUNE_SRC_CLI_NEAREST_H

#include "attune/attune.h"
#include "store/choice.h"

typedef enum nearest_format {
    NEAREST_LINES,
    NEAREST_JSON,
    NEAREST_M3U,
} nearest_format;

typedef struct nearest_arguments {
    const char *output, *model;
    const char *file; /* -o; "-" is standard output */
    const char *page; /* --html; NULL: none */
    char *const *queries;
    size_t query_count;
    long k;
    attune_limits limits;
    attune_ranking_by by;
    nearest_format format;
    bool path, limited, replace, help;
} nearest_arguments;

/* The queries as vectors. */
typedef struct nearest_queries {
    float *vectors; /* (query_count, E) */
    uint64_t *rows; /* (query_count): each one's own row; ATTUNE_LOOKUP_NONE for a file */
} nearest_queries;

/* What was found, in the order to print. */
typedef struct nearest_tracks {
    const attune_near *near; /* (count): distance is minus the cosine */
    uint32_t count;
    const attune_rows *rows; /* in the order of the file */
    const uint32_t *places;  /* (count): where in `rows` each is */
    const attune_store_attributes *attributes;
} nearest_tracks;

/* Looks the queries up among the rows and embeds those that are files. Returns an exit code, after
 * a message; `q` is to be closed either way. */
int nearest_queries_open(nearest_queries *q, attune_store *store, const nearest_arguments *a);
void nearest_queries_close(nearest_queries *q);

/* Writes what was found as `a` asks. */
attune_status nearest_print(const nearest_tracks *tracks, const nearest_arguments *a);

#endif
