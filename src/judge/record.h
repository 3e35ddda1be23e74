/* record.h - the lines of OUT.jsonl: a JSON object for everything that happened.
 *
 *   {"record": "attune judgements", "version": 1}                      the first line
 *   {"record": "listener", "listener": 3, "name": "Ann", "time": ...}
 *   {"record": "answer", "listener": 3, "row": 17, "key": ..., "songs": [...], "repeat": false,
 *    "shown": [2, 3, 1], "anchor": 1, "positive": 2, "seconds": 9.2, "replays": [1, 2, 1], ...}
 *   {"record": "skip", ...}   without anchor and positive
 *   {"record": "undo", ...}   the listener's last answer or skip was taken back
 *
 * Rows count from 1 and are TRIPLETS' rows; positions, 1 to 3, are among song1, song2 and song3,
 * and `replays` are in the order of `shown`. `key` is of the names of the three, so that rows are
 * found in a file to which others were added; names that are not UTF-8 are shown with U+FFFD. */
#ifndef ATTUNE_SRC_JUDGE_RECORD_H
#define ATTUNE_SRC_JUDGE_RECORD_H

#include "judge/panel.h"

enum { ATTUNE_REPLAYS_MAX = 10000 };

typedef struct attune_told {
    uint8_t shown[3];    /* positions in the order in which they were shown */
    uint32_t replays[3]; /* how often each was played, in that order */
} attune_told;

/* Lines without an end; NULL when there is no memory. To be freed. */
char *attune_record_head(void);
char *attune_record_listener(uint32_t listener, const char *name, int64_t time);
char *attune_record_answer(const attune_threes *threes, uint32_t listener,
                           const attune_answer *answer, const attune_told *told);
char *attune_record_undo(const attune_threes *threes, uint32_t listener,
                         const attune_answer *answer, int64_t time);

/* Whose task an answer, a skip or an undo is of. */
typedef struct attune_event {
    uint64_t key;
    int64_t row, time; /* as the line has them */
    uint32_t listener;
    bool repeat;
} attune_event;

/* Adds up the lines of a file. */
typedef struct attune_replay {
    attune_panel *panel;
    const char *path;      /* for messages */
    char *head;            /* the first line */
    uint64_t *keys;        /* (rows) of the threes */
    attune_event *foreign; /* (foreign_count) of rows that TRIPLETS does not have, none undone */
    size_t foreign_count, foreign_capacity;
} attune_replay;

attune_status attune_replay_start(attune_replay *out, attune_panel *panel, const char *path);
/* An attune_journal_line. ATTUNE_EDATA, with the line, for what no attune judge wrote. */
attune_status attune_replay_line(void *replay, const char *line, size_t size, size_t number);
void attune_replay_end(attune_replay *replay);

#endif
