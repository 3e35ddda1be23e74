/* evaluate.h - `attune eval`: embeddings in, figures out.
 *
 * All embeddings are evaluated on the rows that every one of them has, so that they can be compared
 * row by row, and random vectors beside them. */
#ifndef ATTUNE_SRC_EVAL_EVALUATE_H
#define ATTUNE_SRC_EVAL_EVALUATE_H

#include "eval/nearest.h"
#include "eval/report.h"
#include "eval/retrieval.h"
#include "eval/space.h"
#include "eval/triplet_score.h"
#include "train/triplets.h"

typedef struct attune_evaluation_options {
    const char *const *files; /* (file_count), one or more */
    uint32_t file_count;
    attune_space_kind kinds[ATTUNE_SPACE_KINDS]; /* (kind_count): of each file, in this order */
    uint32_t kind_count;
    const char *const *ids; /* (id_count): of the first .npy files, in their order */
    uint32_t id_count;
    const char *labels;       /* a manifest, or NULL */
    const char *fma_metadata; /* a folder, or NULL */
    const char *const *triplets;
    uint32_t triplet_count;
    int part;       /* attune_part of the published split, -1: all triplets */
    bool leak_free; /* beside it, without triplets whose tracks occur in training */
    bool cosine;    /* vectors are divided by their lengths */
    double margin;
    int threads; /* 0: as many as processors */
} attune_evaluation_options;

/* Things that every embedding was scored on, for comparing them. */
typedef struct attune_paired {
    char *section, *name;
    double **scores;    /* by space: (count), NaN: none */
    uint32_t *clusters; /* (count), or NULL */
    uint32_t count;
    bool is_right; /* scores are right or wrong, or a tie between */
} attune_paired;

enum { ATTUNE_KNN_COUNT = 4, ATTUNE_KNN_MOST = 200, ATTUNE_HUB_NEIGHBOURS = 10 };

/* A triplet file, as it is evaluated. */
typedef struct attune_triplet_file {
    char *section;
    attune_triplet_kind kind;
    attune_triplet_rows *triplets; /* (count) */
    bool *clean;                   /* (count): none of its tracks occurs in training */
    uint32_t count;
    uint32_t left_out; /* of all parts: a track of theirs has no vector */
    uint32_t batch;
} attune_triplet_file;

typedef struct attune_evaluation {
    attune_evaluation_options options;
    attune_space *spaces; /* (space_count); the last is random */
    const char **titles;
    uint32_t space_count, n;
    attune_tracks *tracks;               /* track i is row i */
    int32_t *labels[ATTUNE_LABEL_COUNT]; /* (n) each, -1: not known; genres in the order of names */
    int32_t label_count[ATTUNE_LABEL_COUNT];
    const char **genres; /* (label_count of genres) */
    attune_part *parts;  /* (n): of the official split; ATTUNE_PART_COUNT: none */
    attune_triplet_file *files;
    uint32_t *queries, *training; /* of genres */
    uint32_t query_count, training_count;
    bool *among;   /* (n): rows that may vote */
    bool official; /* queries are the split's test rows; else every row is asked of all others */
    attune_paired *paired;
    uint32_t paired_count;
    uint32_t **confusion; /* by space: (classes, classes), or NULL */
    attune_retrieval_result (*retrievals)[ATTUNE_LABEL_COUNT]; /* by space */
    attune_team *team;
    attune_report report;
} attune_evaluation;

/* Evaluates; the figures are in out->report. Without labels to evaluate by, triplets of which none
 * is left are ATTUNE_EDATA. On failure there is nothing to free. */
attune_status attune_evaluate(attune_evaluation *out, const attune_evaluation_options *options);

/* ATTUNE_EDATA if triplets were to be evaluated and none is left. */
attune_status attune_evaluation_check_triplets(const attune_evaluation *evaluation);
void attune_evaluation_free(attune_evaluation *evaluation); /* NULL-safe; also of {0} */

/* The parts of it. */
attune_status attune_evaluation_load(attune_evaluation *evaluation);          /* load.c */
attune_status attune_evaluation_load_triplets(attune_evaluation *evaluation); /* with_triplets.c */
attune_status attune_evaluate_triplets(attune_evaluation *evaluation, uint32_t space);
/* Those of labels, in two halves: what has to see every pair, and, after the visit, the figures.
 * with_labels.c */
typedef struct attune_label_search {
    attune_nearest genres; /* of queries; {0}: there is nothing to ask */
    attune_retrieval_search *retrieval;
    size_t kinds[ATTUNE_RELATIONS]; /* of labels that rows have */
    uint32_t relation_count;
} attune_label_search;
attune_status attune_labels_open(attune_label_search *out, attune_evaluation *evaluation,
                                 uint32_t space, const attune_pairs *pairs);
enum { ATTUNE_LABEL_VISITORS = 2 };
uint32_t attune_labels_visitors(attune_pairs_visitor *out, attune_label_search *search);
attune_status attune_evaluate_labels(attune_evaluation *evaluation, uint32_t space,
                                     attune_label_search *search);
void attune_labels_close(attune_label_search *search); /* NULL-safe; also of {0} */

/* Reports a figure without an interval. */
attune_status attune_evaluation_put(attune_evaluation *evaluation, uint32_t space,
                                    const char *section, const char *name, double value);

/* Where the scores (count) of a space go; `clusters` is copied. NULL without memory. */
double *attune_evaluation_pair(attune_evaluation *evaluation, uint32_t space, const char *section,
                               const char *name, const uint32_t *clusters, uint32_t count,
                               bool is_right);

/* Draws the pictures, *count of them, into a folder, which is there: see attune_pictures_folder.
 * pictures.c */
attune_status attune_evaluation_draw(int *count, const attune_evaluation *evaluation,
                                     const char *folder);

/* Makes the folder if it is not there, and *made says so. ATTUNE_ECREATE where that cannot be. */
attune_status attune_pictures_folder(bool *made, const char *folder);

#endif
