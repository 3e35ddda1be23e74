/* session.h - judging, for many threads: a panel behind a lock, whose every change is in the
 * journal before it is made, clips to listen to, and the file of what was judged.
 *
 * Nothing that was acknowledged is lost and nothing is there twice: an answer is acknowledged when
 * its line is on the disk; the same answer again is acknowledged and not written. */
#ifndef ATTUNE_SRC_JUDGE_SESSION_H
#define ATTUNE_SRC_JUDGE_SESSION_H

#include "judge/active.h"
#include "judge/clips.h"
#include "judge/panel.h"
#include "judge/record.h"

typedef struct attune_session attune_session;

typedef struct attune_session_options {
    const attune_threes *threes;   /* these must outlive the session */
    const attune_sources *sources; /* songs without a file are not asked */
    attune_clips *clips;
    attune_active *active; /* what to ask first; NULL: by chance */
    const char *journal;   /* OUT.jsonl */
    const char *output;    /* OUT.csv */
    bool again;            /* rows that the file has judged are asked too */
    attune_panel_options panel;
} attune_session_options;

/* What was found when it began. */
typedef struct attune_session_found {
    uint64_t answers, foreign; /* of the journal; of them to rows that the file does not have */
    uint32_t listeners, asked; /* rows that are asked */
    size_t torn;               /* bytes of a torn last line that were cut off */
} attune_session_found;

/* Adds up the journal, unless no row is asked: then it is not looked for, nor made. On failure *out
 * is NULL. */
attune_status attune_session_open(attune_session **out, attune_session_found *found,
                                  const attune_session_options *options);
void attune_session_close(attune_session *session); /* NULL-safe; saves nothing */

/* Closes it, and removes the journal if opening made it: for a start that failed. NULL-safe. */
void attune_session_discard(attune_session *session);

/* Sets which rows are asked: those of which the file says nothing, or all, if their songs have
 * files. `sources` may be NULL: all have. */
void attune_session_ask(attune_panel *panel, const attune_sources *sources, bool again);

/* What is known of each row (rows): a majority's choice, or where nobody has voted the file's. */
void attune_session_choices(attune_choice *out, const attune_panel *panel);

typedef enum attune_judged {
    ATTUNE_JUDGED,           /* done, or done before */
    ATTUNE_JUDGED_NOBODY,    /* no such listener */
    ATTUNE_JUDGED_NOTHING,   /* no such task, or no such songs in it */
    ATTUNE_JUDGED_OTHERWISE, /* the task is done, with another answer; or there is none to undo */
    ATTUNE_JUDGED_TOO_MANY,  /* listeners */
    ATTUNE_JUDGED_NOT_KEPT,  /* not written: attune_last_error() says why */
} attune_judged;

typedef struct attune_offer {
    bool finished;     /* nothing is left; the rest but the numbers is empty */
    uint32_t task;     /* its number */
    uint32_t song[3];  /* in the order to show */
    double seconds[3]; /* of their clips */
    uint32_t then;     /* the task that will probably follow; 0: none */
    uint32_t then_song[3];
    uint32_t done, left;
    uint32_t lost; /* rows that cannot be played now, and are not among those left */
    double gain;   /* bits that the next answers are expected to tell; NaN: not known */
} attune_offer;

/* A name of 1 to 64 characters, valid UTF-8 without control characters: the listener who has it,
 * or a new one. */
attune_judged attune_session_listener(attune_session *session, uint32_t *number, const char *name);

/* The task before a listener. Rows whose clips cannot be cut are not asked; when nothing else is
 * left they are tried again now and then, for a disk that was away may be back. */
attune_judged attune_session_next(attune_session *session, attune_offer *out, uint32_t listener);

typedef struct attune_reply {
    uint32_t listener, task;
    uint32_t anchor, positive; /* songs; not of a skip */
    bool skip;
    float seconds;
    uint32_t replays[3];
} attune_reply;

attune_judged attune_session_answer(attune_session *session, uint32_t *done, uint32_t *left,
                                    const attune_reply *reply);

/* Takes back the last answer or skip, if it is that of `task`; 0: of any. Offers it again. */
attune_judged attune_session_undo(attune_session *session, attune_offer *out, uint32_t listener,
                                  uint32_t task);

/* Writes the file of what was judged, if that has changed since. For one thread. */
attune_status attune_session_save(attune_session *session);

/* The same when no request comes any more. ATTUNE_EIO also if what came last of a listener could
 * not be written to the journal. */
attune_status attune_session_end(attune_session *session);

/* Calls `look` with the panel, which does not change meanwhile. */
void attune_session_look(attune_session *session,
                         void (*look)(void *user, const attune_panel *panel, attune_active *active),
                         void *user);

/* Rows short of votes that are given up, because a clip cannot be cut. */
uint32_t attune_session_unplayed(attune_session *session);

/* What the one who runs it should know. */
typedef struct attune_session_news {
    uint32_t lost;     /* rows given up because a clip could not be cut */
    char trouble[512]; /* why a clip could not be cut, or an answer not be kept; "" */
} attune_session_news;

/* What has happened since this was asked last; of several troubles the last. */
void attune_session_hear(attune_session *session, attune_session_news *out);

#endif
