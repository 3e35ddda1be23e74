/* loss.h - what training makes small, and its gradient by the embeddings.
 *
 * Embeddings are (n, E), row by row. Every function adds `weight` times its gradient to `gradients`
 * (n, E), so that losses can be mixed; sums are in double. `value` is written, not added to. */
#ifndef ATTUNE_SRC_TRAIN_LOSS_H
#define ATTUNE_SRC_TRAIN_LOSS_H

#include "attune/status.h"

#include <stdint.h>

typedef struct attune_loss_value {
    double loss;     /* without the weight */
    double correct;  /* of `counted`: positives nearer than negatives; a tie counts half */
    int counted;     /* triplets, or anchors that have a positive and a negative */
    double positive; /* mean Euclidean distance to positives */
    double negative; /* and to negatives */
} attune_loss_value;

/* The paper's: mean of max(0, margin + d(a, p) - d(a, n)) over B triplets; n = 3B rows: anchors,
 * positives, negatives. d is PyTorch's pairwise_distance: Euclidean, with 1e-6 added to every
 * difference. */
void attune_loss_triplet(attune_loss_value *value, float *gradients, const float *embeddings, int B,
                         int E, double margin, double weight);

/* Which triplets a batch with labels (n) gives: rows of one label are positives of one another; a
 * row of label -1 is nobody's positive and everybody's negative.
 *   hard      for each anchor its farthest positive and its nearest negative (Hermans, Beyer and
 *             Leibe 2017, "batch hard")
 *   semihard  for each anchor and positive the nearest negative that is farther than the positive,
 *             or the farthest of all where none is (Schroff, Kalenichenko and Philbin 2015) */
typedef enum attune_mining { ATTUNE_MINING_HARD, ATTUNE_MINING_SEMIHARD } attune_mining;

/* Mean of max(0, margin + d(a, p) - d(a, n)) over the triplets mined. A batch that gives none has
 * loss 0. ATTUNE_ENOMEM is the only failure. */
attune_status attune_loss_mined(attune_loss_value *value, float *gradients, const float *embeddings,
                                const int32_t *labels, int n, int E, attune_mining mining,
                                double margin, double weight);

/* InfoNCE over positives by label: for each anchor i, the mean over its positives p of
 * -log(exp(s_ip / τ) / Σ_{k≠i} exp(s_ik / τ)), s the dot product; the mean over the anchors that
 * have a positive. With two views of each track it is NT-Xent (Chen et al. 2020), with more the
 * "outside" form of supervised contrast (Khosla et al. 2020). Where `families` is not NULL, a row
 * of the anchor's family and another label (another track of its artist, say) is left out of its
 * sum: it is not pushed away. */
attune_status attune_loss_contrast(attune_loss_value *value, float *gradients,
                                   const float *embeddings, const int32_t *labels,
                                   const int32_t *families, int n, int E, double temperature,
                                   double weight);

/* Distillation of a teacher's geometry: mean over pairs i < k of (s_ik - t_ik)², s and t the dot
 * products of the embeddings and of the teacher's rows (n, D), which have length 1 (after Park et
 * al. 2019, "Relational Knowledge Distillation"). Only pairs of which both rows have a teacher's
 * (any component not 0) count. */
attune_status attune_loss_distil(attune_loss_value *value, float *gradients,
                                 const float *embeddings, const float *teacher, int n, int E, int D,
                                 double weight);

/* Regression onto the teacher's rows (n, E) themselves, of length 1: mean of |e - t|² / 2, over the
 * rows that have a teacher's; for embeddings of length 1 that is 1 - e·t. "Positive" is a row's
 * own, "negative" every other row's. */
void attune_loss_regress(attune_loss_value *value, float *gradients, const float *embeddings,
                         const float *teacher, int n, int E, double weight);

#endif
