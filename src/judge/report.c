/* report.c - figures of a panel. They are named in report.h. */
#include "judge/report.h"

#include "judge/agreement.h"
#include "status/error.h"
#include "status/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* Longer pauses do not count as time spent on an answer. */
static const int64_t pause_seconds = 120;

typedef struct listener_figures {
    double median_seconds, per_hour, with_majority;
    uint32_t repeats, same;
} listener_figures;

typedef struct figures {
    uint32_t voted, complete, decided, unanimous;
    uint32_t repeats, same;
    uint64_t votes;  /* on rows with two or more */
    size_t compared; /* such rows */
    double kappa;
} figures;

static double rate(double part, double whole)
{
    return whole > 0 ? part / whole : NAN;
}

static uint32_t pair_votes(const attune_panel *panel, uint32_t row, int pair)
{
    return (uint32_t)panel->votes[row][2 * pair] + panel->votes[row][2 * pair + 1];
}

static int pair_of(attune_choice choice)
{
    return attune_choice_index(choice) / 2;
}

/* ---- figures ---- */

static attune_status find_figures(figures *out, const attune_panel *panel)
{
    const uint32_t rows = panel->threes->count;
    uint32_t(*votes)[3] = malloc((size_t)rows * sizeof(*votes));
    *out = (figures){0};
    if (!votes) {
        return attune_fail_memory("votes", (size_t)rows * sizeof(*votes));
    }
    for (uint32_t r = 0; r < rows; r++) {
        const uint32_t sum = attune_panel_votes(panel, r);
        bool unanimous = false;
        for (int k = 0; k < 3; k++) {
            votes[r][k] = pair_votes(panel, r, k);
            unanimous |= votes[r][k] == sum;
        }
        out->voted += sum > 0;
        out->complete += sum >= panel->options.votes;
        out->decided += attune_panel_majority(panel, r).anchor >= 0;
        out->votes += sum >= 2 ? sum : 0;
        out->unanimous += sum >= 2 && unanimous;
    }
    out->kappa = attune_fleiss_kappa(&out->compared, votes[0], rows, 3);
    free(votes);
    return ATTUNE_OK;
}

static int compare_seconds(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Median of the times that are known, and answers an hour of time spent. */
static void find_pace(listener_figures *out, const attune_listener *l)
{
    float *seconds = malloc((l->count + 1) * sizeof(*seconds));
    uint32_t known = 0, gaps = 0;
    int64_t spent = 0;
    for (uint32_t i = 0; i < l->count; i++) {
        const attune_answer *a = &l->answers[i];
        if (seconds && !a->skipped && a->seconds > 0) {
            seconds[known++] = a->seconds;
        }
        const int64_t gap = i > 0 ? a->time - a[-1].time : pause_seconds + 1;
        if (gap >= 0 && gap <= pause_seconds) {
            spent += gap;
            gaps++;
        }
    }
    if (known > 0) {
        qsort(seconds, known, sizeof(*seconds), compare_seconds);
    }
    out->median_seconds =
        known > 0 ? ((double)seconds[(known - 1) / 2] + seconds[known / 2]) / 2 : NAN;
    out->per_hour = rate(3600.0 * gaps, (double)spent);
    free(seconds);
}

static void find_listener(listener_figures *out, const attune_panel *panel, uint32_t listener)
{
    const attune_listener *l = &panel->listeners[listener - 1];
    uint32_t compared = 0, with = 0;
    *out = (listener_figures){0};
    find_pace(out, l);
    for (uint32_t i = 0; i < l->count; i++) {
        const attune_answer *a = &l->answers[i];
        if (a->skipped) {
            continue;
        }
        if (a->repeat) {
            const attune_answer *first =
                attune_panel_answer_of(panel, listener, (attune_task){a->row, false});
            out->repeats++;
            out->same += first && pair_of(first->choice) == pair_of(a->choice);
        } else if (attune_panel_votes(panel, a->row) >= 2) {
            const attune_choice most = attune_panel_majority(panel, a->row);
            compared += most.anchor >= 0;
            with += most.anchor >= 0 && pair_of(most) == pair_of(a->choice);
        }
    }
    out->with_majority = rate(with, compared);
}

static attune_status find_all(figures *out, listener_figures **each, const attune_panel *panel)
{
    attune_status status = find_figures(out, panel);
    *each = status == ATTUNE_OK ? calloc(panel->listener_count + 1, sizeof(**each)) : NULL;
    if (status == ATTUNE_OK && !*each) {
        status = attune_fail_memory("a report", panel->listener_count * sizeof(**each));
    }
    for (uint32_t i = 0; status == ATTUNE_OK && i < panel->listener_count; i++) {
        find_listener(&(*each)[i], panel, i + 1);
        out->repeats += (*each)[i].repeats;
        out->same += (*each)[i].same;
    }
    return status;
}

/* ---- JSON ---- */

static json_t *listeners_json(const attune_panel *panel, const listener_figures *each)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < panel->listener_count; i++) {
        const attune_listener *l = &panel->listeners[i];
        const listener_figures *f = &each[i];
        char id[16];
        snprintf(id, sizeof(id), "%" PRIu32, i + 1);
        json_array_append_new(
            list,
            json_pack("{s:s, s:s, s:i, s:i, s:o, s:o, s:i, s:i, s:o}", "listener", id, "name",
                      l->name, "answers", (int)l->answered, "skipped", (int)l->skipped,
                      "median_seconds", attune_json_number(f->median_seconds), "answers_per_hour",
                      attune_json_number(f->per_hour), "repeats", (int)f->repeats, "repeats_same",
                      (int)f->same, "with_majority", attune_json_number(f->with_majority)));
    }
    return list;
}

static json_t *model_json(const attune_panel *panel, attune_active *active)
{
    uint32_t compared = 0, same = 0;
    if (!active) {
        return json_null();
    }
    attune_active_values(active, panel);
    const double gain = attune_active_gain(active, panel);
    for (uint32_t r = 0; r < panel->threes->count; r++) {
        const attune_choice most = attune_panel_majority(panel, r);
        double p[3];
        if (most.anchor >= 0 && attune_active_predict(p, active, r)) {
            const int nearest = p[0] >= p[1] && p[0] >= p[2] ? 0 : p[1] >= p[2] ? 1 : 2;
            compared++;
            same += nearest == pair_of(most);
        }
    }
    return json_pack("{s:o, s:f, s:f, s:o, s:i}", "name",
                     attune_json_text(attune_active_name(active)), "temperature",
                     attune_active_temperature(active), "expected_gain", gain, "agreement",
                     attune_json_number(rate(same, compared)), "compared", (int)compared);
}

static json_t *position(int8_t value)
{
    return value < 0 ? json_null() : json_integer(value + 1);
}

static json_t *labels_json(const attune_panel *panel, bool songs)
{
    json_t *list = json_array();
    for (uint32_t r = 0; r < panel->threes->count; r++) {
        if (attune_panel_votes(panel, r) == 0) {
            continue;
        }
        const attune_choice most = attune_panel_majority(panel, r);
        json_t *label =
            json_pack("{s:i, s:{s:i, s:i, s:i}, s:o, s:o}", "row", (int)r + 1, "votes", "1,2",
                      (int)pair_votes(panel, r, 0), "1,3", (int)pair_votes(panel, r, 1), "2,3",
                      (int)pair_votes(panel, r, 2), "anchor", position(most.anchor), "positive",
                      position(most.positive));
        if (songs) {
            json_t *names = json_array();
            for (int i = 0; i < 3; i++) {
                const uint32_t song = panel->threes->rows[r].song[i];
                json_array_append_new(names, attune_json_text(panel->threes->songs.texts[song]));
            }
            json_object_set_new(label, "songs", names);
        }
        json_array_append_new(list, label);
    }
    return list;
}

char *attune_judge_report_json(const attune_panel *panel, attune_active *active, bool songs)
{
    figures f;
    listener_figures *each = NULL;
    char *text = NULL;
    if (find_all(&f, &each, panel) == ATTUNE_OK) {
        const json_int_t wanted = panel->options.votes;
        json_t *object = json_pack(
            "{s:{s:i, s:i, s:o, s:i, s:o}, s:I, s:o, s:{s:o, s:i, s:I, s:i}, s:{s:i, s:i, s:o}, "
            "s:o, s:o}",
            "triplets", "total", (int)panel->threes->count, "voted", (int)f.voted, "complete",
            wanted ? json_integer(f.complete) : json_null(), "decided", (int)f.decided, "votes",
            wanted ? json_integer(wanted) : json_null(), "answers", (json_int_t)panel->answers,
            "listeners", listeners_json(panel, each), "agreement", "fleiss_kappa",
            attune_json_number(f.kappa), "triplets", (int)f.compared, "votes", (json_int_t)f.votes,
            "unanimous", (int)f.unanimous, "self_agreement", "repeats", (int)f.repeats, "same",
            (int)f.same, "rate", attune_json_number(rate(f.same, f.repeats)), "model",
            model_json(panel, active), "labels", labels_json(panel, songs));
        text = object ? json_dumps(object, JSON_INDENT(2)) : NULL;
        json_decref(object);
    }
    free(each);
    return text;
}

/* ---- text ---- */

/* "81 %", or "-". */
static const char *percent(char out[16], double value)
{
    if (isfinite(value)) {
        snprintf(out, 16, "%.0f %%", 100 * value);
    } else {
        snprintf(out, 16, "-");
    }
    return out;
}

static const char *decimal(char out[16], double value)
{
    if (isfinite(value)) {
        snprintf(out, 16, "%.1f", value);
    } else {
        snprintf(out, 16, "-");
    }
    return out;
}

static void print_listeners(FILE *stream, const attune_panel *panel, const listener_figures *each)
{
    char seconds[16], hour[16], with[16], same[16];
    fprintf(stream, "\n%7s %7s %8s %8s %10s %9s  %s\n", "answers", "skipped", "seconds", "per hour",
            "same again", "with most", "listener");
    for (uint32_t i = 0; i < panel->listener_count; i++) {
        const attune_listener *l = &panel->listeners[i];
        const listener_figures *f = &each[i];
        fprintf(stream, "%7u %7u %8s %8s %10s %9s  %s\n", l->answered, l->skipped,
                decimal(seconds, f->median_seconds), decimal(hour, f->per_hour),
                percent(same, rate(f->same, f->repeats)), percent(with, f->with_majority), l->name);
    }
}

attune_status attune_judge_report_print(FILE *stream, const attune_panel *panel)
{
    figures f;
    listener_figures *each = NULL;
    char same[16];
    const attune_status status = find_all(&f, &each, panel);
    if (status == ATTUNE_OK) {
        fprintf(stream, "triplets        %u, %u with a vote, %u with a majority\n",
                panel->threes->count, f.voted, f.decided);
        fprintf(stream, "answers         %" PRIu64 "\nlisteners       %u\n", panel->answers,
                panel->listener_count);
        if (isfinite(f.kappa)) {
            fprintf(stream,
                    "agreement       Fleiss' kappa %.3f over %zu triplets with %" PRIu64
                    " votes; %u unanimous\n",
                    f.kappa, f.compared, f.votes, f.unanimous);
        } else {
            fputs(f.compared > 0 ? "agreement       all votes are for one pair of positions\n"
                                 : "agreement       no triplet has two votes\n",
                  stream);
        }
        fprintf(stream, "asked again     %u, the same answer to %u (%s; by chance 33 %%)\n",
                f.repeats, f.same, percent(same, rate(f.same, f.repeats)));
        print_listeners(stream, panel, each);
    }
    free(each);
    return status;
}
