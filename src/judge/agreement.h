/* agreement.h - how far judges agree, corrected for chance. */
#ifndef ATTUNE_SRC_JUDGE_AGREEMENT_H
#define ATTUNE_SRC_JUDGE_AGREEMENT_H

#include <stddef.h>
#include <stdint.h>

/* Fleiss' kappa of subjects that raters put into categories: votes (subjects, categories), each
 * subject's raters any, as many as there are votes; subjects with fewer than two are left out. With
 * as many for each it is that of Fleiss (1971); otherwise the mean of the subjects' agreements
 * counts each subject once, and chance is that of all votes. NaN where there is no such subject, or
 * all votes are of one category. *used is the number of subjects that counted; may be NULL. */
double attune_fleiss_kappa(size_t *used, const uint32_t *votes, size_t subjects, size_t categories);

#endif
