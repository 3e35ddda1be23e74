/* panel.h - who has judged what: the state that the journal's records add up to, in memory.
 *
 * Every listener has a queue of their own. A task is a row of the file, or the same row asked again
 * later to see whether the listener says the same; task numbers are row + 1, and rows + row + 1 for
 * those asked again. Songs are shown in an order that seed, listener and task decide. A row is
 * offered until it has as many votes of different listeners as are wanted; one that is before a
 * listener, now or next, counts as a vote for some minutes, so that two are not both given the
 * last. Whatever listeners answer, wanted or not, is a vote.
 *
 * Not thread-safe; the functions that can fail do so only for want of memory. */
#ifndef ATTUNE_SRC_JUDGE_PANEL_H
#define ATTUNE_SRC_JUDGE_PANEL_H

#include "judge/threes.h"

#define ATTUNE_LISTENERS_MAX 1000
#define ATTUNE_LISTENER_NAME_MAX 64 /* characters */

/* What a listener has done with a task. */
typedef struct attune_answer {
    uint32_t row;
    bool repeat, skipped;
    attune_choice choice; /* not of one skipped */
    float seconds;        /* that it took; 0: not known */
    int64_t time;         /* seconds since 1970 */
} attune_answer;

typedef struct attune_task {
    uint32_t row;
    bool repeat;
} attune_task;

typedef struct attune_listener {
    char *name;
    attune_answer *answers; /* (count), the latest last, none that was taken back */
    uint32_t count, capacity;
    uint32_t answered, skipped; /* of `count` */
    uint8_t *seen;              /* (rows) of ATTUNE_SEEN_* */
    attune_task before[2];      /* (before_count): what they hear, and what they will hear then */
    uint32_t before_count;
    double offered; /* when, in attune_seconds */
} attune_listener;

enum { ATTUNE_SEEN_ANSWERED = 1, ATTUNE_SEEN_SKIPPED = 2, ATTUNE_SEEN_AGAIN = 4 };

typedef struct attune_panel_options {
    uint32_t votes;  /* wanted of a row; 1. 0, of a report: not known */
    uint32_t repeat; /* of 100 rows, asked again; 5 */
    uint64_t seed;
} attune_panel_options;

typedef struct attune_panel {
    attune_panel_options options;
    const attune_threes *threes; /* borrowed */
    bool *asked;                 /* (rows): it is for listeners; to be set by the caller */
    uint16_t (*votes)[6];        /* (rows): for each anchor and positive; attune_choice_index */
    uint32_t *leases;            /* (rows): listeners who have it before them */
    attune_listener *listeners;  /* (listener_count); numbers begin with 1 */
    uint32_t listener_count;
    uint64_t answers; /* of all, repeats included */
} attune_panel;

/* Rows are not asked until the caller sets so. `threes` must outlive it. */
attune_status attune_panel_create(attune_panel *out, const attune_threes *threes,
                                  const attune_panel_options *options);
void attune_panel_free(attune_panel *panel); /* NULL-safe; also of {0} */

/* 0 to 5, of which index / 2 is the pair: songs 1 and 2, 1 and 3, 2 and 3. */
int attune_choice_index(attune_choice choice);
attune_choice attune_choice_of(int index);

/* Votes of a row, repeats not counted. */
uint32_t attune_panel_votes(const attune_panel *panel, uint32_t row);

/* What most say of a row, or -1 and -1: nobody, or no pair has more votes than each other. Of the
 * pair, the one that more named first is the anchor. */
attune_choice attune_panel_majority(const attune_panel *panel, uint32_t row);

/* The number of the listener of that name, 0 if there is none. */
uint32_t attune_panel_find(const attune_panel *panel, const char *name);

/* Adds a listener; the number is listener_count then. */
attune_status attune_panel_add(attune_panel *panel, const char *name);

/* Takes the last listener away, who must not have answered. */
void attune_panel_drop(attune_panel *panel);

/* The answer that a listener gave to a task; NULL if none. `listener` is 1 to listener_count. */
const attune_answer *attune_panel_answer_of(const attune_panel *panel, uint32_t listener,
                                            attune_task task);

/* Whether a listener may answer or skip a task: it is asked, and not done yet; one that is asked
 * again must have been answered. */
bool attune_panel_is_open(const attune_panel *panel, uint32_t listener, attune_task task);

/* Adds an answer to an open task. Room is made first, by a call that changes nothing else, so that
 * what is durable can always be taken. */
attune_status attune_panel_reserve(attune_panel *panel, uint32_t listener);
void attune_panel_take(attune_panel *panel, uint32_t listener, const attune_answer *answer);

/* Takes the last answer back, which must be there; the task is then before the listener. */
void attune_panel_undo(attune_panel *panel, uint32_t listener, double now);

/* Nothing is before the listener any more. */
void attune_panel_forget(attune_panel *panel, uint32_t listener);

/* Puts a task before the listener, `at` 0 as the first, at 1 as the next. The last of three goes.
 */
void attune_panel_put(attune_panel *panel, uint32_t listener, attune_task task, uint32_t at);

/* Whether a task is before the listener. */
bool attune_panel_is_before(const attune_panel *panel, uint32_t listener, attune_task task);

/* ---- queue.c ---- */

/* What to ask next: the task before the listener, else another; and puts one more before them,
 * which will follow, unless only such are left as others have before them. `value` (rows) is what
 * is worth asking first, or NULL. False when nothing is left. */
bool attune_panel_next(attune_panel *panel, uint32_t listener, const float *value, double now);

/* Tasks left for a listener. */
uint32_t attune_panel_left(const attune_panel *panel, uint32_t listener);

/* Whether a row is left for anybody: asked, and short of votes. */
bool attune_panel_is_wanted(const attune_panel *panel, uint32_t row);

/* The order to show a task's songs in: positions of the row. */
void attune_panel_order(uint8_t out[3], const attune_panel *panel, uint32_t listener,
                        attune_task task);

#endif
