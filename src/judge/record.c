/* record.c - events to lines, and lines to a panel. The format is in record.h. */
#include "judge/record.h"

#include "status/error.h"
#include "status/json.h"
#include "status/machine.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char head[] = "attune judgements";

/* ---- to lines ---- */

static json_t *stamp_of(int64_t seconds)
{
    char text[ATTUNE_STAMP_SIZE];
    attune_stamp(text, (time_t)seconds);
    return json_string(text);
}

/* The line of `object`, which may be NULL and is given up. */
static char *line_of(json_t *object)
{
    char *line = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return line;
}

char *attune_record_head(void)
{
    return line_of(json_pack("{s:s, s:i}", "record", head, "version", 1));
}

char *attune_record_listener(uint32_t listener, const char *name, int64_t time)
{
    return line_of(json_pack("{s:s, s:i, s:s, s:o}", "record", "listener", "listener",
                             (int)listener, "name", name, "time", stamp_of(time)));
}

static json_t *about_row(const attune_threes *threes, const char *record, uint32_t listener,
                         const attune_answer *a, int64_t time)
{
    char key[17];
    const uint32_t *song = threes->rows[a->row].song;
    snprintf(key, sizeof(key), "%016" PRIx64, attune_threes_key(threes, a->row));
    return json_pack("{s:s, s:i, s:i, s:s, s:[o, o, o], s:b, s:o}", "record", record, "listener",
                     (int)listener, "row", (int)a->row + 1, "key", key, "songs",
                     attune_json_text(threes->songs.texts[song[0]]),
                     attune_json_text(threes->songs.texts[song[1]]),
                     attune_json_text(threes->songs.texts[song[2]]), "repeat", a->repeat, "time",
                     stamp_of(time));
}

char *attune_record_answer(const attune_threes *threes, uint32_t listener,
                           const attune_answer *answer, const attune_told *told)
{
    const attune_answer *a = answer;
    const uint8_t *s = told->shown;
    const uint32_t *r = told->replays;
    json_t *object = about_row(threes, a->skipped ? "skip" : "answer", listener, a, a->time);
    json_t *rest = json_pack("{s:[i, i, i]}", "shown", s[0] + 1, s[1] + 1, s[2] + 1);
    if (!a->skipped) {
        json_t *choice =
            json_pack("{s:i, s:i, s:f, s:[i, i, i]}", "anchor", a->choice.anchor + 1, "positive",
                      a->choice.positive + 1, "seconds", round((double)a->seconds * 1000) / 1000,
                      "replays", (int)r[0], (int)r[1], (int)r[2]);
        if (json_object_update(rest, choice) != 0) {
            json_decref(rest);
            rest = NULL;
        }
        json_decref(choice);
    }
    if (json_object_update(object, rest) != 0) {
        json_decref(object);
        object = NULL;
    }
    json_decref(rest);
    return line_of(object);
}

char *attune_record_undo(const attune_threes *threes, uint32_t listener,
                         const attune_answer *answer, int64_t time)
{
    return line_of(about_row(threes, "undo", listener, answer, time));
}

/* ---- to a panel ---- */

attune_status attune_replay_start(attune_replay *out, attune_panel *panel, const char *path)
{
    const uint32_t rows = panel->threes->count;
    *out = (attune_replay){.panel = panel, .path = path};
    out->head = attune_record_head();
    out->keys = malloc((size_t)rows * sizeof(*out->keys));
    if (!out->head || !out->keys) {
        return attune_fail_memory("judgements", (size_t)rows * sizeof(*out->keys));
    }
    for (uint32_t r = 0; r < rows; r++) {
        out->keys[r] = attune_threes_key(panel->threes, r);
    }
    return ATTUNE_OK;
}

void attune_replay_end(attune_replay *replay)
{
    free(replay->head);
    free(replay->keys);
    free(replay->foreign);
    replay->head = NULL;
    replay->keys = NULL;
    replay->foreign = NULL;
}

static attune_status refuse(const attune_replay *replay, size_t number, const char *what)
{
    return attune_fail(ATTUNE_EDATA, "%s, line %zu: %s", replay->path, number, what);
}

/* Whether a row has the three of an event, and its listener can still answer it. */
static bool can_take(const attune_replay *replay, const attune_event *event, uint32_t row)
{
    const uint8_t seen = replay->panel->listeners[event->listener - 1].seen[row];
    return replay->keys[row] == event->key &&
           (event->repeat ? seen == ATTUNE_SEEN_ANSWERED : seen == 0);
}

/* The row that an answer is to; UINT32_MAX if the file has it no more. Where the rows have moved
 * since, it is the first that can take it: a three may be there more than once. */
static uint32_t row_of(const attune_replay *replay, const attune_event *event)
{
    const uint32_t rows = replay->panel->threes->count;
    if (event->row >= 1 && event->row <= rows &&
        can_take(replay, event, (uint32_t)event->row - 1)) {
        return (uint32_t)event->row - 1;
    }
    for (uint32_t r = 0; r < rows; r++) {
        if (can_take(replay, event, r)) {
            return r;
        }
    }
    return UINT32_MAX;
}

/* The place of the latest answer to a three that is not asked again since; UINT32_MAX if there is
 * none. It need not be the last: a file that had lost a three, and with it an answer, can have it
 * again. */
static uint32_t place_of(const attune_replay *replay, const attune_event *undo)
{
    const attune_listener *l = &replay->panel->listeners[undo->listener - 1];
    for (uint32_t i = l->count; i-- > 0;) {
        const attune_answer *a = &l->answers[i];
        if (replay->keys[a->row] == undo->key && a->repeat == undo->repeat &&
            (undo->repeat || !(l->seen[a->row] & ATTUNE_SEEN_AGAIN))) {
            return i;
        }
    }
    return UINT32_MAX;
}

/* The same of those that have no row; SIZE_MAX if there is none. */
static size_t foreign_place_of(const attune_replay *replay, const attune_event *undo)
{
    for (size_t i = replay->foreign_count; i-- > 0;) {
        const attune_event *f = &replay->foreign[i];
        if (f->listener == undo->listener && f->key == undo->key && f->repeat == undo->repeat) {
            return i;
        }
    }
    return SIZE_MAX;
}

static int64_t time_of(const char *text)
{
    struct tm utc = {0};
    return strptime(text, "%Y-%m-%dT%H:%M:%SZ", &utc) ? (int64_t)timegm(&utc) : 0;
}

static attune_status apply_listener(attune_replay *replay, json_t *object, size_t number)
{
    attune_panel *panel = replay->panel;
    json_int_t listener = 0;
    const char *name = NULL;
    if (json_unpack(object, "{s:I, s:s}", "listener", &listener, "name", &name) != 0 ||
        listener != (json_int_t)panel->listener_count + 1 || listener > ATTUNE_LISTENERS_MAX ||
        attune_panel_find(panel, name) != 0) {
        return refuse(replay, number, "is no listener of attune judge");
    }
    return attune_panel_add(panel, name);
}

static attune_status keep_foreign(attune_replay *replay, const attune_event *event)
{
    if (replay->foreign_count == replay->foreign_capacity) {
        const size_t capacity = replay->foreign_capacity ? 2 * replay->foreign_capacity : 64;
        attune_event *foreign = realloc(replay->foreign, capacity * sizeof(*foreign));
        if (!foreign) {
            return attune_fail_memory("answers", capacity * sizeof(*foreign));
        }
        replay->foreign = foreign;
        replay->foreign_capacity = capacity;
    }
    replay->foreign[replay->foreign_count++] = *event;
    return ATTUNE_OK;
}

static void undo_foreign(attune_replay *replay, size_t place)
{
    attune_event *at = &replay->foreign[place];
    memmove(at, at + 1, (--replay->foreign_count - place) * sizeof(*at));
}

static void undo_answer(attune_panel *panel, uint32_t listener, uint32_t place)
{
    attune_listener *l = &panel->listeners[listener - 1];
    const attune_answer undone = l->answers[place];
    memmove(&l->answers[place], &l->answers[place + 1], (l->count - place - 1) * sizeof(undone));
    l->answers[l->count - 1] = undone;
    attune_panel_undo(panel, listener, 0);
    attune_panel_forget(panel, listener);
}

/* A three may stand in the file twice and have lost a row since: then one of its answers has none,
 * and the undo means that of its own row, else the one that came last. */
static attune_status apply_undo(attune_replay *replay, const attune_event *undo, size_t number)
{
    const attune_listener *l = &replay->panel->listeners[undo->listener - 1];
    const uint32_t place = place_of(replay, undo);
    const size_t foreign_place = foreign_place_of(replay, undo);
    bool is_foreign = foreign_place != SIZE_MAX;
    if (place == UINT32_MAX && !is_foreign) {
        return refuse(replay, number, "takes back what this listener has not answered");
    }
    if (place != UINT32_MAX && is_foreign) {
        const attune_answer *a = &l->answers[place];
        const attune_event *f = &replay->foreign[foreign_place];
        const bool of_row = f->row == undo->row;
        is_foreign = of_row == (a->row + 1 == undo->row) ? f->time >= a->time : of_row;
    }
    if (is_foreign) {
        undo_foreign(replay, foreign_place);
    } else {
        undo_answer(replay->panel, undo->listener, place);
    }
    return ATTUNE_OK;
}

/* An answer, a skip, or an undo. */
static attune_status apply_event(attune_replay *replay, json_t *object, const char *record,
                                 size_t number)
{
    json_int_t listener = 0, row = 0, anchor = 0, positive = 0;
    const char *key = NULL, *time = NULL;
    int repeat = 0;
    double seconds = 0;
    if (json_unpack(object, "{s:I, s:I, s:s, s:b, s:s, s?I, s?I, s?F}", "listener", &listener,
                    "row", &row, "key", &key, "repeat", &repeat, "time", &time, "anchor", &anchor,
                    "positive", &positive, "seconds", &seconds) != 0 ||
        listener < 1 || listener > (json_int_t)replay->panel->listener_count) {
        return refuse(replay, number, "is no judgement of attune judge");
    }
    const bool undo = strcmp(record, "undo") == 0, skip = strcmp(record, "skip") == 0;
    if (!undo && !skip &&
        (anchor < 1 || anchor > 3 || positive < 1 || positive > 3 || anchor == positive)) {
        return refuse(replay, number, "anchor and positive are not two of the positions 1, 2, 3");
    }
    const attune_event event = {.key = strtoull(key, NULL, 16),
                                .row = row,
                                .time = time_of(time),
                                .listener = (uint32_t)listener,
                                .repeat = repeat};
    if (undo) {
        return apply_undo(replay, &event, number);
    }
    const attune_answer answer = {.row = row_of(replay, &event),
                                  .repeat = repeat,
                                  .skipped = skip,
                                  .choice = {(int8_t)(anchor - 1), (int8_t)(positive - 1)},
                                  .seconds = (float)seconds,
                                  .time = event.time};
    if (answer.row == UINT32_MAX) {
        return keep_foreign(replay, &event);
    }
    const attune_status status = attune_panel_reserve(replay->panel, event.listener);
    if (status == ATTUNE_OK) {
        attune_panel_take(replay->panel, event.listener, &answer);
    }
    return status;
}

attune_status attune_replay_line(void *replay, const char *line, size_t size, size_t number)
{
    attune_replay *r = replay;
    json_error_t error;
    attune_status status = ATTUNE_OK;
    json_t *object = json_loadb(line, size, JSON_REJECT_DUPLICATES, &error);
    const char *record = json_string_value(json_object_get(object, "record"));
    if (!record) {
        status = refuse(r, number, object ? "is no record of attune judge" : "is no JSON object");
    } else if (number == 1) {
        const bool good = strcmp(record, head) == 0 &&
                          json_integer_value(json_object_get(object, "version")) == 1;
        status = good ? ATTUNE_OK
                      : refuse(r, number, "does not begin judgements of this version of attune");
    } else if (strcmp(record, "listener") == 0) {
        status = apply_listener(r, object, number);
    } else if (strcmp(record, "answer") == 0 || strcmp(record, "skip") == 0 ||
               strcmp(record, "undo") == 0) {
        status = apply_event(r, object, record, number);
    } else {
        status = refuse(r, number, "is no record of attune judge");
    }
    json_decref(object);
    return status;
}
