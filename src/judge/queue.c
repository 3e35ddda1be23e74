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
        if (!l->answers[i].repeat && !attune_panel_is_before(panel, listener, task) &&
            comes_again(panel, listener, task.row) && attune_panel_is_open(panel, listener, task)) {
            *out = task;
            return true;
        }
    }
    return false;
}

/* A row as it is compared: the least taken, with the most votes, worth the most, by chance. */
typedef struct candidate {
    uint32_t row, taken, votes, drawn;
    float worth;
} candidate;

static bool is_better(const candidate *a, const candidate *b)
{
    if (a->taken != b->taken) {
        return a->taken < b->taken;
    }
    if (a->votes != b->votes) {
        return a->votes > b->votes;
    }
    return a->worth != b->worth ? a->worth > b->worth : a->drawn < b->drawn;
}

/* The best new row of those of which votes are left when all who have them before them have voted;
 * with `taken`, if there is none, the one that is taken least. */
static bool find_new(attune_task *out, const attune_panel *panel, uint32_t listener,
                     const float *value, bool taken)
{
    const attune_listener *l = &panel->listeners[listener - 1];
    candidate best = {.row = UINT32_MAX, .taken = UINT32_MAX};
    for (uint32_t r = 0; r < panel->threes->count; r++) {
        if (l->seen[r] || !attune_panel_is_wanted(panel, r) ||
            attune_panel_is_before(panel, listener, (attune_task){r, false})) {
            continue;
        }
        const uint32_t votes = attune_panel_votes(panel, r), sum = votes + panel->leases[r];
        const candidate c = {
            .row = r,
            .taken = sum < panel->options.votes ? 0 : sum,
            .votes = votes,
            .drawn = draw(panel, SALT_QUEUE, listener, r, false),
            .worth = value ? value[r] : 0,
        };
        if ((taken || c.taken == 0) && is_better(&c, &best)) {
            best = c;
        }
    }
    *out = (attune_task){best.row, false};
    return best.row != UINT32_MAX;
}

/* Gives back what has been before listeners for too long. */
static void end_leases(attune_panel *panel, double now)
{
    for (uint32_t i = 0; i < panel->listener_count; i++) {
        const attune_listener *l = &panel->listeners[i];
        if (l->before_count > 0 && now - l->offered > lease_seconds) {
            attune_panel_forget(panel, i + 1);
        }
    }
}

/* Drops what was given up meanwhile. */
static void drop_closed(attune_panel *panel, uint32_t listener)
{
    const attune_listener *l = &panel->listeners[listener - 1];
    attune_task kept[2];
    uint32_t count = 0;
    for (uint32_t i = 0; i < l->before_count; i++) {
        if (attune_panel_is_open(panel, listener, l->before[i])) {
            kept[count++] = l->before[i];
        }
    }
    attune_panel_forget(panel, listener);
    for (uint32_t i = 0; i < count; i++) {
        attune_panel_put(panel, listener, kept[i], i);
    }
}

bool attune_panel_next(attune_panel *panel, uint32_t listener, const float *value, double now)
{
    attune_listener *l = &panel->listeners[listener - 1];
    attune_task task;
    l->offered = now;
    end_leases(panel, now);
    drop_closed(panel, listener);
    if (l->before_count == 0 &&
        (find_again(&task, panel, listener, APART) ||
         find_new(&task, panel, listener, value, true) || find_again(&task, panel, listener, 0))) {
        attune_panel_put(panel, listener, task, 0);
    }
    if (l->before_count == 1 && (find_again(&task, panel, listener, APART) ||
                                 find_new(&task, panel, listener, value, false))) {
        attune_panel_put(panel, listener, task, 1);
    }
    return l->before_count > 0;
}

uint32_t attune_panel_left(const attune_panel *panel, uint32_t listener)
{
    const attune_listener *l = &panel->listeners[listener - 1];
    uint32_t left = 0;
    for (uint32_t r = 0; r < panel->threes->count; r++) {
        const attune_task task = {r, false};
        const bool open =
            panel->asked[r] && !l->seen[r] &&
            (attune_panel_is_wanted(panel, r) || attune_panel_is_before(panel, listener, task));
        const bool again = open || attune_panel_is_open(panel, listener, (attune_task){r, true});
        left += open;
        left += again && comes_again(panel, listener, r);
    }
    return left;
}
