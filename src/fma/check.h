/* check.h - whether a copy of FMA is whole: a tree of tracks, and the archives it came in. */
#ifndef ATTUNE_SRC_FMA_CHECK_H
#define ATTUNE_SRC_FMA_CHECK_H

#include "fma/metadata.h"

/* X(name, text): what is wrong with a file. The last two are so in every copy, or harmless. */
#define ATTUNE_FMA_FINDINGS(X)                                                                     \
    X(ATTUNE_FMA_MISSING, "missing")                                                               \
    X(ATTUNE_FMA_EMPTY, "empty")                                                                   \
    X(ATTUNE_FMA_DAMAGED, "damaged")                                                               \
    X(ATTUNE_FMA_BAD_CLIP, "bad_clip")                                                             \
    X(ATTUNE_FMA_UNKNOWN, "unknown")

typedef enum attune_fma_finding {
#define ATTUNE_X(name, text) name,
    ATTUNE_FMA_FINDINGS(ATTUNE_X)
#undef ATTUNE_X
        ATTUNE_FMA_FINDING_COUNT
} attune_fma_finding;

const char *attune_fma_finding_name(attune_fma_finding finding);

typedef struct attune_fma_check {
    const attune_fma *fma;
    bool
        quick; /* looks at names and sizes alone; else at all bytes, where a sum of them is known */
    /* Called for each finding; `why` is one line. */
    void (*on_finding)(void *user, attune_fma_finding finding, const char *path, const char *why);
    void *user;
    uint64_t tracks; /* looked for, by all calls */
    uint64_t summed; /* files whose sum was compared */
    uint64_t found[ATTUNE_FMA_FINDING_COUNT];
} attune_fma_check;

/* Looks at the tree of a subset's tracks in `folder`, and, unless quick, compares the files with
 * the list `checksums` in it, if there is one: it is damaged if it does not name all tracks that
 * are there. ATTUNE_ENOINPUT if the folder is not there. */
attune_status attune_fma_check_tree(attune_fma_check *check, const char *folder,
                                    attune_fma_subset subset);

/* Compares the files of a folder that its list `checksums` names, if it is there. Of no effect when
 * quick. A line of the list that is no SHA-1 sum and the name of something below the folder is
 * damage. */
attune_status attune_fma_check_sums(attune_fma_check *check, const char *folder);

/* Compares an archive, called as it was published, with the sum that was published with it. Of no
 * effect when it is not there, is called otherwise, or when quick. */
attune_status attune_fma_check_archive(attune_fma_check *check, const char *path);

#endif
