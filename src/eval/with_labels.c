/* with_labels.c - genres by neighbours and by a linear probe; artists, albums and groups found
 * again.
 *
 * Rows of one album sound alike because they were recorded together, and so do those of one artist.
 * So each label is measured twice: among all rows, and without those that this makes easy. */
#include "eval/evaluate.h"
#include "eval/probe.h"
#include "eval/vote.h"
#include "status/error.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_FOR_TRIPLETS = 20000 }; /* rows of which triplets are drawn by label, all of them */

static const uint32_t neighbours[ATTUNE_KNN_COUNT] = {1, 5, 10, ATTUNE_KNN_MOST};

/* ---- genres ---- */

static const char *genre_section(const attune_evaluation *e)
{
    return e->official ? "genre, the split's test tracks" : "genre, each track of all others";
}

/* Notes which predictions are right, and their share. */
static attune_status put_accuracy(attune_evaluation *e, uint32_t space, const char *name,
                                  const int32_t *predicted)
{
    const int32_t *genre = e->labels[ATTUNE_LABEL_GENRE];
    double *right =
               attune_evaluation_pair(e, space, genre_section(e), name, NULL, e->query_count, true),
           correct = 0;
    if (!right) {
        return attune_fail_memory("predictions", e->query_count * sizeof(*right));
    }
    for (uint32_t i = 0; i < e->query_count; i++) {
        right[i] = predicted[i] == genre[e->queries[i]];
        correct += right[i];
    }
    return attune_report_put(&e->report, space, genre_section(e), name, correct / e->query_count,
                             attune_wilson(correct, e->query_count));
}

static attune_status keep_confusion(attune_evaluation *e, uint32_t space, const int32_t *predicted)
{
    const size_t classes = (size_t)e->label_count[ATTUNE_LABEL_GENRE];
    uint32_t *counts = e->confusion[space] = calloc(classes * classes, sizeof(*counts));
    for (uint32_t i = 0; counts && i < e->query_count; i++) {
        if (predicted[i] >= 0) {
            counts[(size_t)e->labels[ATTUNE_LABEL_GENRE][e->queries[i]] * classes +
                   (size_t)predicted[i]]++;
        }
    }
    return counts ? ATTUNE_OK : attune_fail_memory("a confusion matrix", classes * classes * 4);
}

static attune_status vote(attune_evaluation *e, uint32_t space, const uint32_t *lists,
                          int32_t *predicted)
{
    const int32_t classes = e->label_count[ATTUNE_LABEL_GENRE];
    const uint32_t most = e->training_count - !e->official; /* a track has no vote of its own */
    attune_status status = ATTUNE_OK;
    for (int i = 0; !status && i < ATTUNE_KNN_COUNT; i++) {
        char name[32];
        snprintf(name, sizeof(name), "%u nearest", neighbours[i]);
        if (neighbours[i] > most) {
            status = attune_evaluation_put(e, space, genre_section(e), name, NAN);
            status = status ? status
                            : attune_report_note(&e->report, "%s: %s: there are only %u to vote",
                                                 genre_section(e), name, most);
            continue;
        }
        status = attune_vote(predicted, lists, e->query_count, ATTUNE_KNN_MOST, neighbours[i],
                             e->labels[ATTUNE_LABEL_GENRE], classes);
        status = status ? status : put_accuracy(e, space, name, predicted);
        if (!status && neighbours[i] == 10) {
            status = keep_confusion(e, space, predicted);
        }
    }
    return status;
}

/* How many genres the training rows have. */
static uint32_t trained_genres(const attune_evaluation *e, bool *has)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < e->training_count; i++) {
        bool *at = &has[e->labels[ATTUNE_LABEL_GENRE][e->training[i]]];
        count += !*at;
        *at = true;
    }
    return count;
}

/* Only genres that training rows have may be predicted: others have no weights of their own. */
static attune_status probe(attune_evaluation *e, uint32_t space, int32_t *predicted)
{
    const attune_space *s = &e->spaces[space];
    const uint32_t classes = (uint32_t)e->label_count[ATTUNE_LABEL_GENRE];
    attune_probe fitted = {0};
    bool *has = calloc((size_t)classes + 1, sizeof(*has));
    const uint32_t trained = has ? trained_genres(e, has) : 0;
    free(has);
    if (!e->official || trained < classes) {
        attune_status status =
            attune_evaluation_put(e, space, genre_section(e), "linear probe", NAN);
        return status ? status
                      : attune_report_note(
                            &e->report, e->official
                                            ? "linear probe: some genres of the test tracks have "
                                              "no training track"
                                            : "linear probe: wants training and test tracks, in a "
                                              "column `split`");
    }
    attune_status status =
        attune_probe_fit(&fitted, s->vectors, s->E, e->labels[ATTUNE_LABEL_GENRE], classes,
                         e->training, e->training_count, e->team);
    for (uint32_t i = 0; !status && i < e->query_count; i++) {
        predicted[i] = attune_probe_label(&fitted, s->vectors + (size_t)e->queries[i] * s->E);
    }
    attune_probe_free(&fitted);
    return status ? status : put_accuracy(e, space, "linear probe", predicted);
}

static bool has_genres(const attune_evaluation *e)
{
    return e->label_count[ATTUNE_LABEL_GENRE] > 1 && e->query_count > 1;
}

static attune_status put_genres(attune_evaluation *e, uint32_t space, const uint32_t *lists)
{
    const int32_t classes = e->label_count[ATTUNE_LABEL_GENRE];
    if (classes == 0) {
        return ATTUNE_OK;
    }
    if (!has_genres(e)) {
        return attune_report_note(&e->report, "genres: %u tracks of %d; nothing can be told apart",
                                  e->query_count, classes);
    }
    int32_t *predicted = malloc((size_t)e->query_count * sizeof(*predicted));
    attune_status status =
        predicted ? vote(e, space, lists, predicted)
                  : attune_fail_memory("predictions", e->query_count * sizeof(*predicted));
    status = status ? status : probe(e, space, predicted);
    free(predicted);
    return status;
}

/* ---- retrieval ---- */

/* What is measured for a label, and what is left out the second time. */
static const struct {
    attune_label label, left_out;
    bool keep_positives;
    const char *section, *filtered;
} kinds[] = {
    {ATTUNE_LABEL_ARTIST, ATTUNE_LABEL_ALBUM, false, "artist", "artist, other albums only"},
    {ATTUNE_LABEL_ALBUM, ATTUNE_LABEL_ARTIST, true, "album", "album, among other artists"},
    {ATTUNE_LABEL_GROUP, ATTUNE_LABEL_ARTIST, false, "group", "group, other artists only"},
};

static attune_status put_retrieval(attune_evaluation *e, uint32_t space, const char *section,
                                   const attune_retrieval *r)
{
    const double n = r->anchors;
    attune_status status = attune_evaluation_put(e, space, section, "anchors", n);
    status = status ? status
                    : attune_report_put(&e->report, space, section, "P@1", r->precision_1,
                                        attune_wilson(r->precision_1 * n, n));
    status =
        status ? status : attune_evaluation_put(e, space, section, "R-precision", r->r_precision);
    status = status ? status : attune_evaluation_put(e, space, section, "MAP", r->map);
    status = status ? status : attune_evaluation_put(e, space, section, "nDCG@10", r->ndcg_10);
    for (int k = 0; !status && k < ATTUNE_RECALL_COUNT; k++) {
        if (attune_recalls[k] == 1 || attune_recalls[k] == 10 || attune_recalls[k] == 100) {
            char name[32];
            snprintf(name, sizeof(name), "recall@%u", attune_recalls[k]);
            status = attune_evaluation_put(e, space, section, name, r->recall[k]);
        }
    }
    return status;
}

static bool has_labels(const int32_t *labels, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (labels[i] >= 0) {
            return true;
        }
    }
    return false;
}

/* Notes the relation of a kind, and where its average precisions go, if rows have such labels. */
static attune_status add_kind(attune_evaluation *e, uint32_t space, attune_label_search *search,
                              attune_relation *relations, double **average, size_t kind)
{
    const int32_t *labels = e->labels[kinds[kind].label], *others = e->labels[kinds[kind].left_out];
    if (!has_labels(labels, e->n)) {
        return ATTUNE_OK;
    }
    const uint32_t at = search->relation_count++;
    search->kinds[at] = kind;
    relations[at] = (attune_relation){.labels = labels,
                                      .left_out = has_labels(others, e->n) ? others : NULL,
                                      .keep_positives = kinds[kind].keep_positives,
                                      .triplets = e->n <= MOST_FOR_TRIPLETS};
    average[at] = attune_evaluation_pair(e, space, kinds[kind].section, "MAP", NULL, e->n, false);
    return average[at] ? ATTUNE_OK : attune_fail_memory("ranks", e->n * sizeof(**average));
}

attune_status attune_labels_open(attune_label_search *out, attune_evaluation *evaluation,
                                 uint32_t space, const attune_pairs *pairs)
{
    attune_evaluation *e = evaluation;
    attune_relation relations[ATTUNE_RELATIONS];
    double *average[ATTUNE_RELATIONS];
    attune_status status = ATTUNE_OK;
    *out = (attune_label_search){0};
    for (size_t i = 0; !status && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        status = add_kind(e, space, out, relations, average, i);
    }
    if (!status && out->relation_count > 0) {
        status =
            attune_retrieval_open(&out->retrieval, pairs, relations, out->relation_count, average);
    }
    if (!status && has_genres(e)) {
        status = attune_nearest_open(&out->genres, pairs, e->queries, e->query_count,
                                     ATTUNE_KNN_MOST, e->among, false);
    }
    if (status) {
        attune_labels_close(out);
    }
    return status;
}

void attune_labels_close(attune_label_search *search)
{
    if (search) {
        attune_nearest_close(&search->genres);
        attune_retrieval_close(search->retrieval);
        *search = (attune_label_search){0};
    }
}

uint32_t attune_labels_visitors(attune_pairs_visitor *out, attune_label_search *search)
{
    uint32_t count = 0;
    if (search->retrieval) {
        out[count++] = attune_retrieval_visitor(search->retrieval);
    }
    if (search->genres.count > 0) {
        out[count++] = attune_nearest_visitor(&search->genres);
    }
    return count;
}

static attune_status put_kind(attune_evaluation *e, uint32_t space, size_t kind,
                              const attune_retrieval_result *result)
{
    const char *section = kinds[kind].section;
    if (result->all.anchors == 0) {
        return attune_report_note(&e->report, "%s: no two tracks share one", section);
    }
    attune_status status = put_retrieval(e, space, section, &result->all);
    if (!status && e->n <= MOST_FOR_TRIPLETS) {
        status = attune_evaluation_put(e, space, section, "triplets drawn by it",
                                       result->triplet_accuracy);
    }
    if (!status && result->filtered.anchors > 0) {
        status = put_retrieval(e, space, kinds[kind].filtered, &result->filtered);
    }
    return status;
}

attune_status attune_evaluate_labels(attune_evaluation *evaluation, uint32_t space,
                                     attune_label_search *search)
{
    attune_evaluation *e = evaluation;
    attune_retrieval_result results[ATTUNE_RELATIONS];
    attune_status status = put_genres(e, space, search->genres.lists);
    if (search->retrieval) {
        attune_retrieval_finish(results, search->retrieval);
    }
    for (uint32_t i = 0; !status && i < search->relation_count; i++) {
        e->retrievals[space][kinds[search->kinds[i]].label] = results[i];
        status = put_kind(e, space, search->kinds[i], &results[i]);
    }
    return status || search->relation_count > 0 || e->label_count[ATTUNE_LABEL_GENRE] > 0
               ? status
               : attune_report_note(&e->report, "no labels: --labels FILE or --fma-metadata "
                                                "DIR names genres, artists and albums");
}
