/* panel.c - listeners, answers, votes. */
#include "judge/panel.h"

#include "status/error.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

attune_status attune_panel_create(attune_panel *out, const attune_threes *threes,
                                  const attune_panel_options *options)
{
    const size_t rows = threes->count;
    *out = (attune_panel){.options = *options, .threes = threes};
    out->asked = calloc(rows, sizeof(*out->asked));
    out->votes = calloc(rows, sizeof(*out->votes));
    out->leases = calloc(rows, sizeof(*out->leases));
    out->listeners = calloc(ATTUNE_LISTENERS_MAX, sizeof(*out->listeners));
    if (!out->asked || !out->votes || !out->leases || !out->listeners) {
        attune_panel_free(out);
        return attune_fail_memory("judgements", rows * sizeof(*out->votes));
    }
    return ATTUNE_OK;
}

void attune_panel_free(attune_panel *panel)
{
    if (panel) {
        for (uint32_t i = 0; i < panel->listener_count; i++) {
            free(panel->listeners[i].name);
            free(panel->listeners[i].answers);
            free(panel->listeners[i].seen);
        }
        free(panel->listeners);
        free(panel->asked);
        free(panel->votes);
        free(panel->leases);
        *panel = (attune_panel){0};
    }
}

int attune_choice_index(attune_choice choice)
{
    const bool swapped = choice.anchor > choice.positive;
    const int low = swapped ? choice.positive : choice.anchor;
    const int high = swapped ? choice.anchor : choice.positive;
    return 2 * (low + high - 1) + swapped;
}

attune_choice attune_choice_of(int index)
{
    static const attune_choice choices[] = {{0, 1}, {1, 0}, {0, 2}, {2, 0}, {1, 2}, {2, 1}};
    return choices[index];
}

uint32_t attune_panel_votes(const attune_panel *panel, uint32_t row)
{
    uint32_t sum = 0;
    for (int i = 0; i < 6; i++) {
        sum += panel->votes[row][i];
    }
    return sum;
}

attune_choice attune_panel_majority(const attune_panel *panel, uint32_t row)
{
    const uint16_t *votes = panel->votes[row];
    int best = 0, most = 0;
    bool tie = true;
    for (int pair = 0; pair < 3; pair++) {
        const int count = votes[2 * pair] + votes[2 * pair + 1];
        tie = count == most || (tie && count < most);
        if (count > most) {
            most = count;
            best = pair;
        }
    }
    return tie ? ATTUNE_NO_CHOICE
               : attune_choice_of(2 * best + (votes[2 * best + 1] > votes[2 * best]));
}

uint32_t attune_panel_find(const attune_panel *panel, const char *name)
{
    for (uint32_t i = 0; i < panel->listener_count; i++) {
        if (strcmp(panel->listeners[i].name, name) == 0) {
            return i + 1;
        }
    }
    return 0;
}

attune_status attune_panel_add(attune_panel *panel, const char *name)
{
    attune_listener *l = &panel->listeners[panel->listener_count];
    assert(panel->listener_count < ATTUNE_LISTENERS_MAX);
    *l = (attune_listener){.name = strdup(name),
                           .seen = calloc(panel->threes->count, sizeof(*l->seen))};
    if (!l->name || !l->seen) {
        free(l->name);
        free(l->seen);
        return attune_fail_memory("a listener", panel->threes->count);
    }
    panel->listener_count++;
    return ATTUNE_OK;
}

void attune_panel_drop(attune_panel *panel)
{
    attune_listener *l = &panel->listeners[--panel->listener_count];
    free(l->name);
    free(l->answers);
    free(l->seen);
    *l = (attune_listener){0};
}

static attune_listener *listener_of(const attune_panel *panel, uint32_t listener)
{
    assert(listener >= 1 && listener <= panel->listener_count);
    return &panel->listeners[listener - 1];
}

const attune_answer *attune_panel_answer_of(const attune_panel *panel, uint32_t listener,
                                            attune_task task)
{
    const attune_listener *l = listener_of(panel, listener);
    for (uint32_t i = l->count; i-- > 0;) {
        if (l->answers[i].row == task.row && l->answers[i].repeat == task.repeat) {
            return &l->answers[i];
        }
    }
    return NULL;
}

bool attune_panel_is_open(const attune_panel *panel, uint32_t listener, attune_task task)
{
    const uint8_t seen = listener_of(panel, listener)->seen[task.row];
    return panel->asked[task.row] && (task.repeat ? seen == ATTUNE_SEEN_ANSWERED : seen == 0);
}

attune_status attune_panel_reserve(attune_panel *panel, uint32_t listener)
{
    attune_listener *l = listener_of(panel, listener);
    if (l->count < l->capacity) {
        return ATTUNE_OK;
    }
    const uint32_t capacity = l->capacity ? 2 * l->capacity : 64;
    attune_answer *answers = realloc(l->answers, capacity * sizeof(*answers));
    if (!answers) {
        return attune_fail_memory("answers", capacity * sizeof(*answers));
    }
    l->answers = answers;
    l->capacity = capacity;
    return ATTUNE_OK;
}

void attune_panel_forget(attune_panel *panel, uint32_t listener)
{
    attune_listener *l = listener_of(panel, listener);
    if (l->has_current && !l->current.repeat) {
        panel->leases[l->current.row]--;
    }
    l->has_current = false;
}

static uint8_t mark_of(const attune_answer *a)
{
    return a->repeat ? ATTUNE_SEEN_AGAIN : a->skipped ? ATTUNE_SEEN_SKIPPED : ATTUNE_SEEN_ANSWERED;
}

/* Counts an answer, or with -1 does so no more. */
static void tally(attune_panel *panel, attune_listener *l, const attune_answer *a, int by)
{
    l->answered += a->skipped ? 0 : by;
    l->skipped += a->skipped ? by : 0;
    panel->answers += a->skipped ? 0 : by;
    if (!a->skipped && !a->repeat) {
        uint16_t *votes = &panel->votes[a->row][attune_choice_index(a->choice)];
        *votes = (uint16_t)(*votes + by);
    }
}

void attune_panel_take(attune_panel *panel, uint32_t listener, const attune_answer *answer)
{
    attune_listener *l = listener_of(panel, listener);
    assert(l->count < l->capacity);
    l->answers[l->count++] = *answer;
    l->seen[answer->row] |= mark_of(answer);
    tally(panel, l, answer, 1);
    if (l->has_current && l->current.row == answer->row && l->current.repeat == answer->repeat) {
        attune_panel_forget(panel, listener);
    }
}

void attune_panel_undo(attune_panel *panel, uint32_t listener, double now)
{
    attune_listener *l = listener_of(panel, listener);
    assert(l->count > 0);
    const attune_answer *a = &l->answers[--l->count];
    l->seen[a->row] = (uint8_t)(l->seen[a->row] & ~mark_of(a));
    tally(panel, l, a, -1);
    attune_panel_forget(panel, listener);
    l->has_current = true;
    l->current = (attune_task){a->row, a->repeat};
    l->offered = now;
    panel->leases[a->row] += !a->repeat;
}
