/* session.c - the order of things: check, write, then change. What is promised is in session.h. */
#include "judge/session.h"

#include "judge/journal.h"
#include "status/error.h"
#include "status/machine.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOST_SECONDS 3.0 /* between attempts to play what was given up; longer than of a clip */

struct attune_session {
    attune_session_options options;
    pthread_mutex_t mutex; /* of all below */
    attune_panel panel;
    attune_journal *journal;
    bool changed; /* since the file of what was judged was written */
    bool *lost;   /* (rows): given up, because a clip could not be cut */
    uint32_t lost_count;
    uint32_t tried_row, swept_row; /* looked at last, by choose_lost and sweep */
    double tried;                  /* when one of them was tried again, in attune_seconds */
    attune_session_news news;
    bool unsaved[ATTUNE_LISTENERS_MAX + 1]; /* what came last of one could not be written */
};

/* ---- beginning and end ---- */

void attune_session_ask(attune_panel *panel, const attune_sources *sources, bool again)
{
    const attune_threes *threes = panel->threes;
    for (uint32_t r = 0; r < threes->count; r++) {
        panel->asked[r] = again || threes->rows[r].given.anchor < 0;
        for (int i = 0; sources && i < 3; i++) {
            panel->asked[r] &= attune_sources_place(sources, threes->rows[r].song[i]).path != NULL;
        }
    }
}

void attune_session_choices(attune_choice *out, const attune_panel *panel)
{
    for (uint32_t r = 0; r < panel->threes->count; r++) {
        out[r] = attune_panel_votes(panel, r) > 0 ? attune_panel_majority(panel, r)
                                                  : panel->threes->rows[r].given;
    }
}

static void note_trouble(attune_session *s)
{
    snprintf(s->news.trouble, sizeof(s->news.trouble), "%s", attune_last_error());
}

/* Writes a line of a listener, 0: of nobody, and frees it; NULL is want of memory. */
static attune_status append(attune_session *s, uint32_t listener, char *line)
{
    const attune_status status =
        line ? attune_journal_append(s->journal, line) : attune_fail_memory("a judgement", 0);
    s->unsaved[listener] = status != ATTUNE_OK;
    if (status != ATTUNE_OK) {
        note_trouble(s);
    }
    free(line);
    return status;
}

static attune_status open_journal(attune_session *s, attune_session_found *found)
{
    attune_replay replay;
    attune_status status = attune_replay_start(&replay, &s->panel, s->options.journal);
    if (status == ATTUNE_OK) {
        status = attune_journal_open(&s->journal, s->options.journal, replay.head,
                                     attune_replay_line, &replay, &found->torn);
    }
    if (status == ATTUNE_OK && attune_journal_is_empty(s->journal)) {
        status = append(s, 0, attune_record_head());
    }
    found->answers = s->panel.answers;
    found->foreign = replay.foreign_count;
    found->listeners = s->panel.listener_count;
    attune_replay_end(&replay);
    return status;
}

attune_status attune_session_open(attune_session **out, attune_session_found *found,
                                  const attune_session_options *options)
{
    attune_session *s = *out = calloc(1, sizeof(*s));
    *found = (attune_session_found){0};
    if (!s) {
        return attune_fail_memory("a session", sizeof(*s));
    }
    s->options = *options;
    s->changed = true;
    pthread_mutex_init(&s->mutex, NULL);
    s->lost = calloc(options->threes->count, sizeof(*s->lost));
    attune_status status = s->lost
                               ? attune_panel_create(&s->panel, options->threes, &options->panel)
                               : attune_fail_memory("a session", options->threes->count);
    if (status == ATTUNE_OK) {
        attune_session_ask(&s->panel, options->sources, options->again);
        for (uint32_t r = 0; r < options->threes->count; r++) {
            found->asked += s->panel.asked[r];
        }
        status = found->asked > 0 ? open_journal(s, found) : ATTUNE_OK; /* else nobody is asked */
    }
    if (status != ATTUNE_OK) {
        attune_session_discard(s);
        *out = NULL;
    }
    return status;
}

void attune_session_close(attune_session *session)
{
    if (session) {
        attune_journal_close(session->journal);
        attune_panel_free(&session->panel);
        free(session->lost);
        pthread_mutex_destroy(&session->mutex);
        free(session);
    }
}

void attune_session_discard(attune_session *session)
{
    if (session) {
        attune_journal_discard(session->journal);
        session->journal = NULL;
        attune_session_close(session);
    }
}

/* ---- tasks ---- */

static bool is_listener(const attune_session *s, uint32_t listener)
{
    return listener >= 1 && listener <= s->panel.listener_count;
}

static uint32_t number_of(const attune_session *s, attune_task task)
{
    return task.row + 1 + (task.repeat ? s->panel.threes->count : 0);
}

static uint32_t row_of(const attune_session *s, uint32_t number)
{
    return (number - 1) % s->panel.threes->count;
}

/* False for the number of no task. */
static bool task_of(attune_task *out, const attune_session *s, uint32_t number)
{
    const uint32_t rows = s->panel.threes->count;
    if (number < 1 || number > 2 * rows) {
        return false;
    }
    *out = (attune_task){row_of(s, number), number > rows};
    return true;
}

/* The songs of a task in the order to show; its number. */
static uint32_t show(const attune_session *s, uint32_t song[3], uint32_t listener, attune_task task)
{
    uint8_t order[3];
    attune_panel_order(order, &s->panel, listener, task);
    for (int i = 0; i < 3; i++) {
        song[i] = s->panel.threes->rows[task.row].song[order[i]];
    }
    return number_of(s, task);
}

/* What is next, but for the lengths of its clips. */
static void offer(attune_session *s, attune_offer *out, uint32_t listener)
{
    const attune_listener *l = &s->panel.listeners[listener - 1];
    const float *value =
        s->options.active ? attune_active_values(s->options.active, &s->panel) : NULL;
    *out = (attune_offer){.gain = NAN};
    out->finished = !attune_panel_next(&s->panel, listener, value, attune_seconds());
    out->lost = s->lost_count;
    out->done = l->answered;
    out->left = attune_panel_left(&s->panel, listener);
    if (s->options.active) {
        out->gain = attune_active_gain(s->options.active, &s->panel);
    }
    if (l->before_count > 0) {
        out->task = show(s, out->song, listener, l->before[0]);
    }
    if (l->before_count > 1) {
        out->then = show(s, out->then_song, listener, l->before[1]);
    }
}

/* Cuts the clips of three songs. ATTUNE_EDATA when one cannot be cut. */
static attune_status cut(attune_session *s, double seconds[3], const uint32_t song[3])
{
    attune_status status = ATTUNE_OK;
    for (int i = 0; status == ATTUNE_OK && i < 3; i++) {
        const attune_clip_wav *clip = NULL;
        status = attune_clips_hold(&clip, s->options.clips, song[i]);
        if (clip) {
            seconds[i] = clip->seconds;
            attune_clips_release(clip);
        }
    }
    return status;
}

/* Gives up a row that cannot be played. */
static void give_up(attune_session *s, uint32_t row)
{
    if (s->panel.asked[row]) {
        s->news.lost++;
        note_trouble(s);
        s->panel.asked[row] = false;
        s->lost[row] = true;
        s->lost_count++;
        s->tried = attune_seconds();
    }
}

/* Gives up what cannot be played of the rows that are wanted, from where it stopped last on to one
 * that can: when a folder has gone, looking for what is next after each would take rows^2. */
static void sweep(attune_session *s)
{
    const uint32_t rows = s->panel.threes->count;
    attune_status status = ATTUNE_EDATA;
    double seconds[3];
    for (uint32_t i = 0; status == ATTUNE_EDATA && i < rows; i++) {
        pthread_mutex_lock(&s->mutex);
        const uint32_t row = s->swept_row = (s->swept_row + 1) % rows;
        const bool wanted = attune_panel_is_wanted(&s->panel, row);
        pthread_mutex_unlock(&s->mutex);
        status = wanted ? cut(s, seconds, s->panel.threes->rows[row].song) : status;
        if (wanted && status == ATTUNE_EDATA) {
            pthread_mutex_lock(&s->mutex);
            give_up(s, row);
            pthread_mutex_unlock(&s->mutex);
        }
    }
}

/* Chooses a row that was given up, another each time, to be tried again; false if there is none, or
 * one was tried just now. */
static bool choose_lost(uint32_t *row, attune_session *s)
{
    if (s->lost_count == 0 || attune_seconds() - s->tried < LOST_SECONDS) {
        return false;
    }
    do {
        s->tried_row = (s->tried_row + 1) % s->panel.threes->count;
    } while (!s->lost[s->tried_row]);
    s->tried = attune_seconds();
    *row = s->tried_row;
    return true;
}

/* Asks all rows that were given up; those that still cannot be played are given up again. */
static void ask_lost(attune_session *s)
{
    for (uint32_t r = 0; r < s->panel.threes->count; r++) {
        s->panel.asked[r] |= s->lost[r];
        s->lost[r] = false;
    }
    s->lost_count = 0;
}

/* One look at what is next. ATTUNE_EDATA: that has changed, and another look is needed. */
static attune_status look_ahead(attune_session *s, attune_offer *out, uint32_t listener)
{
    double seconds[3];
    uint32_t row = 0;
    pthread_mutex_lock(&s->mutex);
    offer(s, out, listener);
    const bool again = out->finished && choose_lost(&row, s);
    pthread_mutex_unlock(&s->mutex);
    if (out->finished && !again) {
        return ATTUNE_OK;
    }
    const attune_status status =
        again ? cut(s, seconds, s->panel.threes->rows[row].song) : cut(s, out->seconds, out->song);
    if (again && status != ATTUNE_OK) {
        return ATTUNE_OK; /* as it was */
    }
    pthread_mutex_lock(&s->mutex);
    if (again) {
        ask_lost(s);
    } else if (status == ATTUNE_EDATA) {
        give_up(s, row_of(s, out->task));
    }
    pthread_mutex_unlock(&s->mutex);
    return again ? ATTUNE_EDATA : status;
}

attune_judged attune_session_next(attune_session *session, attune_offer *out, uint32_t listener)
{
    attune_status status = ATTUNE_OK;
    pthread_mutex_lock(&session->mutex);
    const bool known = is_listener(session, listener);
    pthread_mutex_unlock(&session->mutex);
    if (!known) {
        return ATTUNE_JUDGED_NOBODY;
    }
    while ((status = look_ahead(session, out, listener)) == ATTUNE_EDATA) {
        sweep(session);
    }
    return status == ATTUNE_OK ? ATTUNE_JUDGED : ATTUNE_JUDGED_NOT_KEPT;
}

/* ---- changes; the caller holds the mutex ---- */

static attune_judged add_listener(attune_session *s, uint32_t *number, const char *name)
{
    *number = attune_panel_find(&s->panel, name);
    if (*number > 0) {
        return ATTUNE_JUDGED;
    }
    if (s->panel.listener_count == ATTUNE_LISTENERS_MAX) {
        return ATTUNE_JUDGED_TOO_MANY;
    }
    const uint32_t added = s->panel.listener_count + 1;
    if (attune_panel_add(&s->panel, name) != ATTUNE_OK) {
        return ATTUNE_JUDGED_NOT_KEPT;
    }
    if (append(s, added, attune_record_listener(added, name, (int64_t)time(NULL))) != ATTUNE_OK) {
        attune_panel_drop(&s->panel);
        return ATTUNE_JUDGED_NOT_KEPT;
    }
    *number = added;
    return ATTUNE_JUDGED;
}

/* The position of a song in a row; -1 if it is not there. */
static int8_t position_of(const attune_three *three, uint32_t song)
{
    for (int8_t i = 0; i < 3; i++) {
        if (three->song[i] == song) {
            return i;
        }
    }
    return -1;
}

static bool same(const attune_answer *a, const attune_answer *b)
{
    return a->skipped == b->skipped && (a->skipped || (a->choice.anchor == b->choice.anchor &&
                                                       a->choice.positive == b->choice.positive));
}

static attune_judged take(attune_session *s, const attune_reply *reply)
{
    attune_task task;
    if (!is_listener(s, reply->listener)) {
        return ATTUNE_JUDGED_NOBODY;
    }
    if (!task_of(&task, s, reply->task)) {
        return ATTUNE_JUDGED_NOTHING;
    }
    const attune_three *three = &s->panel.threes->rows[task.row];
    const attune_answer answer = {
        .row = task.row,
        .repeat = task.repeat,
        .skipped = reply->skip,
        .choice = {position_of(three, reply->anchor), position_of(three, reply->positive)},
        .seconds = reply->seconds,
        .time = (int64_t)time(NULL)};
    if (!reply->skip && (answer.choice.anchor < 0 || answer.choice.positive < 0 ||
                         reply->anchor == reply->positive)) {
        return ATTUNE_JUDGED_NOTHING;
    }
    const attune_answer *before = attune_panel_answer_of(&s->panel, reply->listener, task);
    if (before) {
        return same(before, &answer) ? ATTUNE_JUDGED : ATTUNE_JUDGED_OTHERWISE;
    }
    if (!attune_panel_is_open(&s->panel, reply->listener, task)) {
        return ATTUNE_JUDGED_NOTHING;
    }
    attune_told told = {.replays = {reply->replays[0], reply->replays[1], reply->replays[2]}};
    attune_panel_order(told.shown, &s->panel, reply->listener, task);
    if (attune_panel_reserve(&s->panel, reply->listener) != ATTUNE_OK ||
        append(s, reply->listener,
               attune_record_answer(s->panel.threes, reply->listener, &answer, &told)) !=
            ATTUNE_OK) {
        return ATTUNE_JUDGED_NOT_KEPT;
    }
    attune_panel_take(&s->panel, reply->listener, &answer);
    s->changed = true;
    return ATTUNE_JUDGED;
}

static attune_judged take_back(attune_session *s, uint32_t listener, uint32_t number)
{
    if (!is_listener(s, listener)) {
        return ATTUNE_JUDGED_NOBODY;
    }
    const attune_listener *l = &s->panel.listeners[listener - 1];
    const attune_answer *last = l->count > 0 ? &l->answers[l->count - 1] : NULL;
    if (!last || (number > 0 && number != number_of(s, (attune_task){last->row, last->repeat}))) {
        return ATTUNE_JUDGED_OTHERWISE;
    }
    if (append(s, listener,
               attune_record_undo(s->panel.threes, listener, last, (int64_t)time(NULL))) !=
        ATTUNE_OK) {
        return ATTUNE_JUDGED_NOT_KEPT;
    }
    attune_panel_undo(&s->panel, listener, attune_seconds());
    s->changed = true;
    return ATTUNE_JUDGED;
}

/* ---- the same for everybody ---- */

attune_judged attune_session_listener(attune_session *session, uint32_t *number, const char *name)
{
    pthread_mutex_lock(&session->mutex);
    const attune_judged judged = add_listener(session, number, name);
    pthread_mutex_unlock(&session->mutex);
    return judged;
}

attune_judged attune_session_answer(attune_session *session, uint32_t *done, uint32_t *left,
                                    const attune_reply *reply)
{
    pthread_mutex_lock(&session->mutex);
    const attune_judged judged = take(session, reply);
    if (judged == ATTUNE_JUDGED) {
        *done = session->panel.listeners[reply->listener - 1].answered;
        *left = attune_panel_left(&session->panel, reply->listener);
    }
    pthread_mutex_unlock(&session->mutex);
    return judged;
}

attune_judged attune_session_undo(attune_session *session, attune_offer *out, uint32_t listener,
                                  uint32_t task)
{
    pthread_mutex_lock(&session->mutex);
    const attune_judged judged = take_back(session, listener, task);
    pthread_mutex_unlock(&session->mutex);
    return judged == ATTUNE_JUDGED ? attune_session_next(session, out, listener) : judged;
}

attune_status attune_session_save(attune_session *session)
{
    attune_session *s = session;
    attune_choice *choices = malloc(s->panel.threes->count * sizeof(*choices));
    if (!choices) {
        return attune_fail_memory("choices", s->panel.threes->count * sizeof(*choices));
    }
    pthread_mutex_lock(&s->mutex);
    const bool changed = s->changed;
    attune_session_choices(choices, &s->panel);
    s->changed = false;
    pthread_mutex_unlock(&s->mutex);
    const attune_status status =
        changed ? attune_threes_write(s->options.output, s->panel.threes, choices) : ATTUNE_OK;
    if (status != ATTUNE_OK) {
        pthread_mutex_lock(&s->mutex);
        s->changed = true;
        pthread_mutex_unlock(&s->mutex);
    }
    free(choices);
    return status;
}

attune_status attune_session_end(attune_session *session)
{
    const attune_status status = attune_session_save(session);
    return status == ATTUNE_OK && memchr(session->unsaved, true, sizeof(session->unsaved))
               ? attune_fail(ATTUNE_EIO,
                             "%s: what came last could not be saved; see to the disk and start "
                             "again",
                             session->options.journal)
               : status;
}

void attune_session_look(attune_session *session,
                         void (*look)(void *user, const attune_panel *panel, attune_active *active),
                         void *user)
{
    pthread_mutex_lock(&session->mutex);
    look(user, &session->panel, session->options.active);
    pthread_mutex_unlock(&session->mutex);
}

uint32_t attune_session_unplayed(attune_session *session)
{
    const attune_panel *panel = &session->panel;
    uint32_t count = 0;
    pthread_mutex_lock(&session->mutex);
    for (uint32_t r = 0; r < panel->threes->count; r++) {
        count += session->lost[r] && attune_panel_votes(panel, r) < panel->options.votes;
    }
    pthread_mutex_unlock(&session->mutex);
    return count;
}

void attune_session_hear(attune_session *session, attune_session_news *out)
{
    pthread_mutex_lock(&session->mutex);
    *out = session->news;
    session->news = (attune_session_news){0};
    pthread_mutex_unlock(&session->mutex);
}
