/* probe.h - a linear probe: how well labels can be read off an embedding by multinomial logistic
 * regression.
 *
 * Components are standardised by the training rows. What is minimised is the sum of the log losses
 * and half the squared weights, biases free, as scikit-learn's StandardScaler and
 * LogisticRegression(C=1) do; the minimum is one. Found by L-BFGS, in double. */
#ifndef ATTUNE_SRC_EVAL_PROBE_H
#define ATTUNE_SRC_EVAL_PROBE_H

#include "attune/status.h"
#include "kernels/cpu/team.h"

#include <stdint.h>

typedef struct attune_probe {
    uint32_t E, classes;
    double *mean, *scale; /* (E) */
    double *weights;      /* (E + 1, classes): the last row is the bias */
    double loss;          /* mean log loss of the training rows */
    int iterations;
} attune_probe;

/* rows (count) of vectors (n, E) with labels (n) from 0 to classes - 1, of which there are at least
 * two. ATTUNE_EINTERNAL if it does not converge. On failure there is nothing to free. */
attune_status attune_probe_fit(attune_probe *out, const float *vectors, uint32_t E,
                               const int32_t *labels, uint32_t classes, const uint32_t *rows,
                               uint32_t count, attune_team *team);
void attune_probe_free(attune_probe *probe); /* NULL-safe; also of {0} */

/* The likeliest label of one vector (E). */
int32_t attune_probe_label(const attune_probe *probe, const float *vector);

#endif
