/* active.h - which rows are worth asking: those whose answer a network is least sure of.
 *
 * Vectors of the songs give three distances a row. The nearer two songs are, the likelier they are
 * chosen: pair k with a probability in proportion to exp(-d_k / T). T is fitted to the answers so
 * far, again as they come in, so that a network that listeners agree with is believed more and one
 * that they contradict less. What an answer is expected to tell is the entropy of these
 * probabilities, in bits: most where the nearest pair has the smallest lead.
 *
 * Asking by entropy alone would keep to one corner of an archive. Songs belong to one of some
 * regions, each around a song that is far from the others', and a row of regions that had more than
 * their share of the questions counts for less. */
#ifndef ATTUNE_SRC_JUDGE_ACTIVE_H
#define ATTUNE_SRC_JUDGE_ACTIVE_H

#include "judge/panel.h"

enum { ATTUNE_GAIN_TASKS = 50 };

typedef struct attune_active attune_active;

/* vectors (songs, E); a row of NaN is a song without one, and its threes are asked last. `name` is
 * for reports. Borrows `threes`. */
attune_status attune_active_create(attune_active **out, const char *name,
                                   const attune_threes *threes, const float *vectors, uint32_t E);
void attune_active_free(attune_active *active); /* NULL-safe */

/* What each row is worth (rows), by the answers so far; valid until the next call. */
const float *attune_active_values(attune_active *active, const attune_panel *panel);

/* Bits that the answers to the next ATTUNE_GAIN_TASKS rows are expected to tell. */
double attune_active_gain(attune_active *active, const attune_panel *panel);

/* Probabilities of the pairs 1 and 2, 1 and 3, 2 and 3 of a row, by the T fitted last. False, and
 * thirds, for a row with a song that has no vector. */
bool attune_active_predict(double out[3], const attune_active *active, uint32_t row);

double attune_active_temperature(const attune_active *active);
const char *attune_active_name(const attune_active *active);

#endif
