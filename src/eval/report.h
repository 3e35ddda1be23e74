/* report.h - figures of several embeddings side by side: as a table, JSON and CSV. */
#ifndef ATTUNE_SRC_EVAL_REPORT_H
#define ATTUNE_SRC_EVAL_REPORT_H

#include "eval/statistics.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>

/* A row of the table; texts belong to it. */
typedef struct attune_figure {
    char *section, *name;
    double *values;             /* by space; NaN: there is none */
    attune_interval *intervals; /* by space */
} attune_figure;

/* How the second of two embeddings differs from the first on the same things. */
typedef struct attune_comparison {
    char *section, *name;
    uint32_t first, second;            /* spaces */
    double difference;                 /* second less first */
    attune_interval interval;          /* of the difference, by paired bootstrap */
    double only_first, only_second, p; /* McNemar's; NaN where scores are not right or wrong */
} attune_comparison;

typedef struct attune_report {
    const char *const *titles; /* (spaces), borrowed */
    uint32_t spaces;
    attune_figure *figures;
    attune_comparison *comparisons;
    char **notes;
    uint32_t figure_count, comparison_count, note_count;
} attune_report;

void attune_report_free(attune_report *report); /* NULL-safe; also of {0} */

/* Puts a value into the row of that section and name, which is added if it is new. */
attune_status attune_report_put(attune_report *report, uint32_t space, const char *section,
                                const char *name, double value, attune_interval interval);

/* Copies the comparison and its texts. */
attune_status attune_report_compare(attune_report *report, const attune_comparison *comparison);

attune_status attune_report_note(attune_report *report, const char *format, ...)
    ATTUNE_PRINTF(2, 3);

/* At most 100 columns. */
void attune_report_text(const attune_report *report, FILE *out);
/* section, figure, embedding, value, low, high. */
void attune_report_csv(const attune_report *report, FILE *out);
/* NULL without memory. */
json_t *attune_report_json(const attune_report *report);

#endif
