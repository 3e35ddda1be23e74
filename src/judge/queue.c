/* queue.c - what a listener is asked next. The rules are in panel.h.
 *
 * First what is due to be asked again; then the row with the most votes that is still short of
 * some, so that rows are completed rather than begun; among those the most worth asking, or any; at
 * the end what is to be asked again and was not due yet. */
#include "judge/panel.h"

#include "model/random.h"
#include "status/hash.h"

#include <assert.h>

/* A row comes again after so many others, when nobody remembers the answer. */
enum { APART = 10 };

/* Seconds for which what is before a listener counts as a vote. */
static const double lease_seconds = 600;

enum { SALT_ORDER = 1, SALT_REPEAT, SALT_QUEUE };

static uint32_t draw(const attune_panel *panel, int salt, uint32_t listener, uint32_t row,
                     bool repeat)
{
    const uint64_t what[] = {panel->options.seed, (uint64_t)salt, listener, row, repeat};
    return (uint32_t)(attune_random_mix(attune_hash(ATTUNE_HASH_BEGIN, what, sizeof(what))) >> 32);
}

void attune_panel_order(uint8_t out[3], const attune_panel *panel, uint32_t listener,
                        attune_task task)
{
    static const uint8_t orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                         {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    const uint32_t drawn = draw(panel, SALT_ORDER, listener, task.row, task.repeat);
    for (int i = 0; i < 3; i++) {
        out[i] = orders[drawn % 6][i];
    }
}

static bool comes_again(const attune_panel *panel, uint32_t listener, uint32_t row)
{
    return draw(panel, SALT_REPEAT, listener, row, false) % 100 < panel->options.repeat;
}

bool attune_panel_is_wanted(const attune_panel *panel, uint32_t row)
{
    return panel->asked[row] && attune_panel_votes(panel, row) < panel->options.votes;
}

/* The first answered row that comes again and has not; of those answered `apart` answers ago. */
static bool find_again(attune_task *out, const attune_panel *panel, uint32_t listener,
                       uint32_t apart)
{
    const attune_listener *l = &panel->listeners[listener - 1];
    for (uint32_t i = 0; i + apart < l->count; i++) {
        const attune_task task = {l->answers[i].row, true};
        const bool current = l->has_current && l->current.repeat && l->current.row == task.row;
        if (!current && !l->answers[i].repeat && comes_again(panel, listener, task.row) &&
            attune_panel_is_open(panel, listener, task)) {
            *out = task;
            return true;
        }
    }
    return false;
}

/* The best new row; with `leases`, none that others have before them and that is enough. */
static bool find_new(attune_task *out, const attune_panel *panel, uint32_t listener,
                     const float *value, bool leases)
{
    const attune_listener *l = &panel->listeners[listener - 1];
    uint32_t best_votes = 0, best_drawn = 0;
    bool found = false;
    for (uint32_t r = 0; r < panel->threes->count; r++) {
        const bool current = l->has_current && !l->current.repeat && l->current.row == r;
        if (current || l->seen[r] || !attune_panel_is_wanted(panel, r)) {
            continue;
        }
        const uint32_t votes = attune_panel_votes(panel, r);
        if (leases && votes + panel->leases[r] >= panel->options.votes) {
            continue;
        }
        const uint32_t drawn = draw(panel, SALT_QUEUE, listener, r, false);
        const float worth = value ? value[r] : 0, best_worth = value && found ? value[out->row] : 0;
        if (!found || votes > best_votes ||
            (votes == best_votes &&
             (worth > best_worth || (worth == best_worth && drawn < best_drawn)))) {
            found = true;
            *out = (attune_task){r, false};
            best_votes = votes;
            best_drawn = drawn;
        }
    }
    return found;
}

/* Gives back what has been before listeners for too long. */
static void end_leases(attune_panel *panel, double now)
{
    for (uint32_t i = 0; i < panel->listener_count; i++) {
        const attune_listener *l = &panel->listeners[i];
        if (l->has_current && now - l->offered > lease_seconds) {
            attune_panel_forget(panel, i + 1);
        }
    }
}

bool attune_panel_then(attune_task *out, const attune_panel *panel, uint32_t listener,
                       const float *value)
{
    return find_again(out, panel, listener, APART) || find_new(out, panel, listener, value, true) ||
           find_new(out, panel, listener, value, false) || find_again(out, panel, listener, 0);
}

bool attune_panel_next(attune_task *out, attune_panel *panel, uint32_t listener, const float *value,
                       double now)
{
    attune_listener *l = &panel->listeners[listener - 1];
    if (l->has_current && attune_panel_is_open(panel, listener, l->current)) {
        l->offered = now;
        *out = l->current;
        return true;
    }
    end_leases(panel, now);
    attune_panel_forget(panel, listener); /* it cannot be played any more */
    if (!attune_panel_then(out, panel, listener, value)) {
        return false;
    }
    l->has_current = true;
    l->current = *out;
    l->offered = now;
    panel->leases[out->row] += !out->repeat;
    return true;
}

uint32_t attune_panel_left(const attune_panel *panel, uint32_t listener)
{
    const attune_listener *l = &panel->listeners[listener - 1];
    uint32_t left = 0;
    for (uint32_t r = 0; r < panel->threes->count; r++) {
        const bool current = l->has_current && !l->current.repeat && l->current.row == r;
        const bool open =
            !l->seen[r] && (attune_panel_is_wanted(panel, r) || (current && panel->asked[r]));
        const bool again = open || attune_panel_is_open(panel, listener, (attune_task){r, true});
        left += open;
        left += again && comes_again(panel, listener, r);
    }
    return left;
}
