/* evaluation.c - measures each embedding, and compares them. */
#include "eval/evaluate.h"

#include "eval/nearest.h"
#include "eval/spread.h"
#include "status/error.h"
#include "status/machine.h"

#include <stdlib.h>
#include <string.h>

void attune_evaluation_free(attune_evaluation *evaluation)
{
    attune_evaluation *e = evaluation;
    if (!e) {
        return;
    }
    for (uint32_t i = 0; i < e->paired_count; i++) {
        for (uint32_t s = 0; e->paired[i].scores && s < e->space_count; s++) {
            free(e->paired[i].scores[s]);
        }
        free(e->paired[i].scores);
        free(e->paired[i].section);
        free(e->paired[i].name);
        free(e->paired[i].clusters);
    }
    for (uint32_t s = 0; s < e->space_count; s++) {
        if (e->spaces) {
            attune_space_free(&e->spaces[s]);
        }
        if (e->confusion) {
            free(e->confusion[s]);
        }
    }
    for (uint32_t i = 0; e->files && i < e->options.triplet_count; i++) {
        free(e->files[i].section);
        free(e->files[i].triplets);
        free(e->files[i].clean);
    }
    for (int i = 0; i < ATTUNE_LABEL_COUNT; i++) {
        free(e->labels[i]);
    }
    free(e->paired);
    free(e->spaces);
    free(e->confusion);
    free(e->retrievals);
    free(e->files);
    free(e->titles);
    free(e->genres);
    free(e->parts);
    free(e->queries);
    free(e->training);
    free(e->among);
    attune_tracks_close(e->tracks);
    attune_team_close(e->team);
    attune_report_free(&e->report);
    *e = (attune_evaluation){0};
}

/* ---- scores of the same things ---- */

double *attune_evaluation_pair(attune_evaluation *evaluation, uint32_t space, const char *section,
                               const char *name, const uint32_t *clusters, uint32_t count,
                               bool is_right)
{
    attune_paired *p = NULL;
    for (uint32_t i = 0; i < evaluation->paired_count && !p; i++) {
        attune_paired *other = &evaluation->paired[i];
        p = strcmp(other->section, section) == 0 && strcmp(other->name, name) == 0 ? other : NULL;
    }
    if (!p) {
        attune_paired *all =
            realloc(evaluation->paired, (evaluation->paired_count + 1) * sizeof(*all));
        if (!all) {
            return NULL;
        }
        evaluation->paired = all;
        p = &all[evaluation->paired_count++];
        *p = (attune_paired){.section = strdup(section),
                             .name = strdup(name),
                             .scores = calloc(evaluation->space_count, sizeof(*p->scores)),
                             .clusters =
                                 clusters ? malloc(((size_t)count + 1) * sizeof(*clusters)) : NULL,
                             .count = count,
                             .is_right = is_right};
        if (!p->section || !p->name || !p->scores || (clusters && !p->clusters)) {
            return NULL;
        }
        if (clusters) {
            memcpy(p->clusters, clusters, count * sizeof(*clusters));
        }
    }
    free(p->scores[space]); /* of a file that is given twice */
    p->scores[space] = malloc(((size_t)count + 1) * sizeof(double));
    return p->scores[space];
}

static attune_status compare(attune_evaluation *e, const attune_paired *p, uint32_t second)
{
    const double *a = p->scores[0], *b = p->scores[second];
    attune_comparison c = {.section = p->section, .name = p->name, .second = second, .p = NAN};
    double *differences = malloc(((size_t)p->count + 1) * sizeof(*differences)), counted = 0;
    if (!differences) {
        return attune_fail_memory("a comparison", p->count * sizeof(*differences));
    }
    for (uint32_t i = 0; i < p->count; i++) {
        differences[i] = b[i] - a[i];
        if (!isnan(differences[i])) {
            c.difference += differences[i];
            c.only_first += a[i] == 1 && b[i] != 1; /* a tie is not right */
            c.only_second += b[i] == 1 && a[i] != 1;
            counted++;
        }
    }
    c.difference /= counted;
    if (p->is_right) {
        c.p = attune_mcnemar((uint64_t)c.only_first, (uint64_t)c.only_second);
    }
    attune_status status = attune_bootstrap(&c.interval, differences, p->clusters, p->count);
    free(differences);
    if (status == ATTUNE_OK && counted > 0) {
        status = attune_report_compare(&e->report, &c);
    }
    return status;
}

static attune_status compare_all(attune_evaluation *e)
{
    attune_status status = ATTUNE_OK;
    for (uint32_t s = 1; s + 1 < e->space_count; s++) {
        for (uint32_t i = 0; status == ATTUNE_OK && i < e->paired_count; i++) {
            if (e->paired[i].scores[0] && e->paired[i].scores[s]) {
                status = compare(e, &e->paired[i], s);
            }
        }
    }
    return status;
}

/* ---- one embedding ---- */

attune_status attune_evaluation_put(attune_evaluation *e, uint32_t space, const char *section,
                                    const char *name, double value)
{
    return attune_report_put(&e->report, space, section, name, value, ATTUNE_NO_INTERVAL);
}

static double mean_of(const double *values, uint32_t n)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        sum += values[i];
    }
    return sum / n;
}

/* Share of the rows with a label whose nearest row has it too. */
static double first_agrees(const uint32_t *lists, uint32_t K, const int32_t *labels, uint32_t n)
{
    double agree = 0, all = 0;
    for (size_t i = 0; i < n; i++) {
        if (labels[i] >= 0 && lists[i * K] != ATTUNE_NO_ROW) {
            all++;
            agree += labels[lists[i * K]] == labels[i];
        }
    }
    return agree / all;
}

/* Hubs, before and after Mutual Proximity. */
static attune_status measure_hubs(attune_evaluation *e, uint32_t space, const uint32_t *lists,
                                  const char *suffix)
{
    enum { K = ATTUNE_HUB_NEIGHBOURS };
    attune_hubness hubs;
    char name[64];
    attune_status status = attune_hubness_measure(&hubs, lists, e->n, K);
    snprintf(name, sizeof(name), "skew of 10-occurrence%s", suffix);
    status = status ? status : attune_evaluation_put(e, space, "hubs", name, hubs.skew);
    snprintf(name, sizeof(name), "orphans%s", suffix);
    status = status ? status : attune_evaluation_put(e, space, "hubs", name, hubs.orphans);
    snprintf(name, sizeof(name), "genre of the nearest%s", suffix);
    if (!status && e->label_count[ATTUNE_LABEL_GENRE] > 1) {
        status = attune_evaluation_put(e, space, "hubs", name,
                                       first_agrees(lists, K, e->labels[ATTUNE_LABEL_GENRE], e->n));
    }
    return status;
}

static attune_status put_space(attune_evaluation *e, uint32_t space, const attune_nearest *nearest,
                               attune_spread *spread)
{
    enum { K = ATTUNE_HUB_NEIGHBOURS };
    double cosine = NAN;
    attune_status status = attune_spread_finish(&cosine, spread);
    status = status ? status : attune_evaluation_put(e, space, "space", "rows", e->n);
    status = status ? status
                    : attune_evaluation_put(e, space, "space", "components", e->spaces[space].E);
    status = status ? status : attune_evaluation_put(e, space, "space", "median cosine", cosine);
    status = status ? status
                    : attune_evaluation_put(e, space, "space", "mean distance",
                                            mean_of(nearest->means, e->n));
    if (status || e->n <= K) {
        return status ? status
                      : attune_report_note(&e->report, "hubs want more than %d rows; there are %u",
                                           K, e->n);
    }
    uint32_t *mutual = malloc((size_t)e->n * K * sizeof(*mutual));
    status = mutual ? measure_hubs(e, space, nearest->lists, "")
                    : attune_fail_memory("neighbours", (size_t)e->n * K * sizeof(*mutual));
    status = status ? status : attune_mutual_proximity(mutual, nearest);
    status = status ? status : measure_hubs(e, space, mutual, ", mutual");
    free(mutual);
    return status;
}

/* All that looks at every pair of rows looks at it at once: only Mutual Proximity comes after it,
 * for it wants to know all distances before. */
static attune_status measure_pairs(attune_evaluation *e, uint32_t space, const attune_pairs *pairs)
{
    attune_pairs_visitor visitors[ATTUNE_LABEL_VISITORS + 2];
    attune_label_search labels = {0};
    attune_nearest nearest = {0};
    attune_spread spread = {0};
    attune_status status = attune_labels_open(&labels, e, space, pairs);
    status = status ? status
                    : attune_nearest_open(&nearest, pairs, NULL, e->n, ATTUNE_HUB_NEIGHBOURS, NULL,
                                          true);
    status = status ? status : attune_spread_open(&spread, pairs);
    if (!status) {
        uint32_t count = attune_labels_visitors(visitors, &labels);
        visitors[count++] = attune_nearest_visitor(&nearest);
        if (spread.visits) {
            visitors[count++] = attune_spread_visitor(&spread);
        }
        status = attune_pairs_visit(pairs, visitors, count);
    }
    status = status ? status : attune_evaluate_labels(e, space, &labels);
    attune_labels_close(&labels);
    status = status ? status : put_space(e, space, &nearest, &spread);
    attune_spread_close(&spread);
    attune_nearest_close(&nearest);
    return status;
}

static attune_status evaluate_space(attune_evaluation *e, uint32_t space)
{
    attune_pairs pairs = {0};
    attune_status status =
        attune_pairs_open(&pairs, e->spaces[space].vectors, e->n, e->spaces[space].E, e->team);
    status = status ? status : attune_evaluate_triplets(e, space);
    status = status ? status : measure_pairs(e, space, &pairs);
    attune_pairs_close(&pairs);
    return status;
}

attune_status attune_evaluate(attune_evaluation *out, const attune_evaluation_options *options)
{
    *out = (attune_evaluation){.options = *options};
    attune_status status =
        attune_team_open(&out->team, options->threads > 0 ? options->threads : attune_processors());
    status = status ? status : attune_evaluation_load(out);
    status = status ? status : attune_evaluation_load_triplets(out);
    if (!status && !options->labels && !options->fma_metadata) { /* nothing else is asked for */
        status = attune_evaluation_check_triplets(out);
    }
    for (uint32_t s = 0; !status && s < out->space_count; s++) {
        status = evaluate_space(out, s);
    }
    status = status ? status : compare_all(out);
    if (status) {
        attune_evaluation_free(out);
    }
    return status;
}
