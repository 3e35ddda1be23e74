/* team.h - a few threads that share out numbered pieces of work.
 *
 * Which thread takes which piece depends on the day; so a piece writes only what is its own, and
 * sums over pieces are made afterwards, in order. Nothing here changes a bit of a result. */
#ifndef ATTUNE_KERNELS_CPU_TEAM_H
#define ATTUNE_KERNELS_CPU_TEAM_H

#include "attune/status.h"

typedef struct attune_team attune_team;

/* `thread` is 0 to threads - 1, for scratch memory. */
typedef void attune_team_work(void *data, int piece, int thread);

/* threads at least 1, the caller's own among them. On failure *out is NULL. */
attune_status attune_team_open(attune_team **out, int threads);
void attune_team_close(attune_team *team); /* NULL-safe */

/* work(data, i, thread) for every i < pieces, lowest first; returns when all have ended. One run at
 * a time. */
void attune_team_run(attune_team *team, attune_team_work *work, void *data, int pieces);

int attune_team_threads(const attune_team *team);

#endif
