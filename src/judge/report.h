/* report.h - what was judged, by whom, and how far they agree: as JSON, and as text. */
#ifndef ATTUNE_SRC_JUDGE_REPORT_H
#define ATTUNE_SRC_JUDGE_REPORT_H

#include "judge/active.h"
#include "judge/panel.h"

#include <stdio.h>

/* The figures of judgements:
 *
 *   triplets        {total, voted, complete (all votes that are wanted), decided (a majority),
 *                   votes (wanted)}; complete and votes are null where options.votes is 0
 *   answers         of all listeners, those asked again included
 *   listeners       [{listener, name, answers, skipped, median_seconds, answers_per_hour, repeats,
 *                   repeats_same, with_majority}]; answers_per_hour leaves pauses of more than two
 *                   minutes out; with_majority is of their votes on rows with two or more
 *   agreement       {fleiss_kappa, triplets (with two votes or more), votes (on those), unanimous}
 *   self_agreement  {repeats, same, rate}
 *   model           null, or {name, temperature, expected_gain, agreement, compared}: how often a
 *                   majority's pair is the one nearest in its space
 *   labels          [{row, votes: {"1,2", "1,3", "2,3"}, anchor, positive}] of the rows with votes;
 *                   with `songs`, also their names
 *
 * What cannot be computed is null. NULL without memory; to be freed. `active` may be NULL. */
char *attune_judge_report_json(const attune_panel *panel, attune_active *active, bool songs);

/* The same for people, without the labels. */
attune_status attune_judge_report_print(FILE *stream, const attune_panel *panel);

#endif
