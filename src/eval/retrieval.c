/* retrieval.c - figures of ranks. Rows that share a label of any kind with the anchor are ranked
 * together: its positives and what is left out are among them, so that the ranks that are left
 * follow from counting. */
#include "eval/retrieval.h"

#include "eval/ranks.h"
#include "status/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ATTUNE_X(k) k,
const uint32_t attune_recalls[ATTUNE_RECALL_COUNT] = {ATTUNE_RECALLS(ATTUNE_X)};
#undef ATTUNE_X

enum { FIGURES = 4 + ATTUNE_RECALL_COUNT };

/* Average precision, P@1, R-precision, nDCG, recalls: of an anchor, or summed over anchors. */
typedef struct scores {
    double values[FIGURES];
    uint32_t anchors;
} scores;

/* Of one relation. */
typedef struct measure {
    attune_relation relation;
    uint32_t column;        /* of its labels in kinship */
    double *average;        /* (n) or NULL */
    scores *all, *filtered; /* by piece: so the order of sums does not depend on threads */
    double *weight;   /* (n): of a row as a negative in triplets; NULL: there are no triplets */
    double *accuracy; /* (n): of triplets, summed over the anchor's positives */
} measure;

/* An anchor under way. */
typedef struct slot {
    attune_ranks ranks;
    uint32_t *positives; /* (relations, capacity + 1): how many of the first relatives are */
    uint32_t capacity;
    double weighted[ATTUNE_RELATIONS]; /* sum over rows of their weight times the positives before,
                                          ties half */
} slot;

struct attune_retrieval_search {
    const attune_pairs *pairs;
    attune_kinship kinship;
    const int32_t *labels[2 * ATTUNE_RELATIONS];
    attune_groups groups[2 * ATTUNE_RELATIONS];
    measure measures[ATTUNE_RELATIONS];
    uint32_t count;
    bool triplets; /* of any relation */
    slot *slots;
    uint32_t *close; /* by thread: a block's rows that are looked at */
};

static bool is_positive(const measure *m, uint32_t anchor, uint32_t row)
{
    const int32_t *labels = m->relation.labels;
    return labels[anchor] >= 0 && labels[row] == labels[anchor];
}

static bool is_left_out(const measure *m, uint32_t anchor, uint32_t row)
{
    const int32_t *left_out = m->relation.left_out;
    return left_out && left_out[row] >= 0 && left_out[row] == left_out[anchor] &&
           !(m->relation.keep_positives && is_positive(m, anchor, row));
}

/* ---- triplets ---- */

/* Counts positives along the relatives. */
static attune_status begin_triplets(attune_retrieval_search *s, slot *to, uint32_t anchor)
{
    const uint32_t count = to->ranks.count;
    if (count >= to->capacity) {
        free(to->positives);
        to->capacity = count + 1;
        to->positives = malloc((size_t)s->count * to->capacity * sizeof(*to->positives));
        if (!to->positives) {
            return attune_fail_memory("ranks", (unsigned long long)count * sizeof(uint32_t));
        }
    }
    for (uint32_t r = 0; r < s->count; r++) {
        uint32_t *at = to->positives + (size_t)r * to->capacity, found = 0;
        to->weighted[r] = 0;
        for (uint32_t i = 0; i < count; i++) {
            at[i] = found;
            found += is_positive(&s->measures[r], anchor, to->ranks.relatives[i].row);
        }
        at[count] = found;
    }
    return ATTUNE_OK;
}

static void weigh(const attune_retrieval_search *s, slot *to, uint32_t row, uint32_t nearer,
                  uint32_t ties)
{
    for (uint32_t r = 0; r < s->count; r++) {
        const uint32_t *at = to->positives + (size_t)r * to->capacity;
        if (s->measures[r].weight) {
            to->weighted[r] +=
                s->measures[r].weight[row] * (at[nearer] + 0.5 * (at[nearer + ties] - at[nearer]));
        }
    }
}

static void take_triplets(const attune_retrieval_search *s, slot *to, uint32_t anchor,
                          const float *values, uint32_t first, uint32_t count)
{
    attune_standing standing;
    for (uint32_t i = 0; i < count; i++) {
        if (attune_ranks_stand(&standing, &to->ranks, &s->kinship, anchor, first + i, values[i])) {
            weigh(s, to, first + i, standing.nearer, standing.ties);
        }
    }
}

/* Relatives that are no positives are negatives, too. */
static void end_triplets(attune_retrieval_search *s, slot *to, uint32_t anchor)
{
    const attune_relative *relatives = to->ranks.relatives;
    const uint32_t count = to->ranks.count;
    for (uint32_t first = 0, end = 0; first < count; first = end) {
        for (end = first; end < count && relatives[end].squared == relatives[first].squared;) {
            end++;
        }
        for (uint32_t r = 0; r < s->count; r++) {
            const uint32_t *at = to->positives + (size_t)r * to->capacity;
            for (uint32_t i = first; i < end && s->measures[r].weight; i++) {
                to->weighted[r] += is_positive(&s->measures[r], anchor, relatives[i].row)
                                       ? 0
                                       : s->measures[r].weight[relatives[i].row] *
                                             (at[first] + 0.5 * (at[end] - at[first]));
            }
        }
    }
    for (uint32_t r = 0; r < s->count; r++) {
        if (s->measures[r].weight) {
            s->measures[r].accuracy[anchor] = to->weighted[r];
        }
    }
}

/* The mean over labels of the chance within each. */
static double triplet_accuracy(const attune_groups *groups, const measure *m, uint32_t n)
{
    double sum = 0;
    uint32_t labels = 0;
    for (uint32_t l = 0; l < n && m->weight; l++) {
        const double size = attune_groups_size(groups, (int32_t)l);
        double label = 0;
        for (uint32_t i = groups->start[l]; i < groups->start[l + 1] && size > 1; i++) {
            label += m->accuracy[groups->rows[i]];
        }
        if (size > 1) {
            sum += label / (size * (size - 1));
            labels++;
        }
    }
    return labels > 0 ? sum / labels : NAN;
}

/* ---- ranks ---- */

/* Scores from the positives' ranks, counted from 0 and rising. */
static void add_rank(scores *out, uint32_t index, uint32_t rank, uint32_t positives)
{
    const double share = 1.0 / positives;
    out->values[0] += (double)(index + 1) / (rank + 1) / positives;
    out->values[1] += rank == 0;
    out->values[2] += rank < positives ? share : 0;
    out->values[3] += rank < 10 ? 1 / log2(rank + 2.0) : 0;
    for (int k = 0; k < ATTUNE_RECALL_COUNT; k++) {
        out->values[4 + k] += rank < attune_recalls[k] ? share : 0;
    }
}

static void finish_anchor(scores *sum, scores *anchor, uint32_t positives)
{
    double best = 0;
    for (uint32_t i = 0; i < positives && i < 10; i++) {
        best += 1 / log2(i + 2.0);
    }
    anchor->values[3] /= best;
    for (int k = 0; k < FIGURES; k++) {
        sum->values[k] += anchor->values[k];
    }
    sum->anchors++;
}

/* The ranks of the anchor's positives among rows that are not left out, or among all. */
static void score(measure *m, const attune_ranks *ranks, uint32_t anchor, bool filtered)
{
    const attune_relative *relatives = ranks->relatives;
    scores own = {0};
    uint32_t positives = 0, index = 0, gone = 0;
    for (uint32_t i = 0; i < ranks->count; i++) {
        positives += is_positive(m, anchor, relatives[i].row) &&
                     !(filtered && is_left_out(m, anchor, relatives[i].row));
    }
    for (uint32_t i = 0; i < ranks->count && index < positives; i++) {
        if (filtered && is_left_out(m, anchor, relatives[i].row)) {
            gone++;
        } else if (is_positive(m, anchor, relatives[i].row)) {
            add_rank(&own, index++, relatives[i].rank - gone, positives);
        }
    }
    const uint32_t piece = anchor / ATTUNE_PAIRS_SLOTS;
    if (positives > 0) {
        finish_anchor(filtered ? &m->filtered[piece] : &m->all[piece], &own, positives);
    }
    if (m->average && !filtered) {
        m->average[anchor] = positives > 0 ? own.values[0] : NAN;
    }
}

static attune_status begin(void *data, uint32_t anchor, uint32_t slot_number)
{
    attune_retrieval_search *s = data;
    slot *to = &s->slots[slot_number];
    const attune_status status = attune_ranks_begin(&to->ranks, &s->kinship, anchor);
    return status || !s->triplets ? status : begin_triplets(s, to, anchor);
}

static void take(void *data, uint32_t anchor, uint32_t slot_number, const float *values,
                 uint32_t first, uint32_t count)
{
    attune_retrieval_search *s = data;
    slot *to = &s->slots[slot_number];
    if (to->ranks.count > 0) {
        attune_ranks_take(&to->ranks,
                          s->close + (size_t)slot_number / ATTUNE_PAIRS_SLOTS * ATTUNE_PAIRS_BLOCK,
                          &s->kinship, anchor, values, first, count);
        if (s->triplets) {
            take_triplets(s, to, anchor, values, first, count);
        }
    }
}

static void end(void *data, uint32_t anchor, uint32_t slot_number)
{
    attune_retrieval_search *s = data;
    slot *to = &s->slots[slot_number];
    attune_ranks_end(&to->ranks);
    for (uint32_t r = 0; r < s->count; r++) {
        score(&s->measures[r], &to->ranks, anchor, false);
        if (s->measures[r].relation.left_out) {
            score(&s->measures[r], &to->ranks, anchor, true);
        }
    }
    if (s->triplets) {
        end_triplets(s, to, anchor);
    }
}

/* ---- all of it ---- */

/* The column of labels, which is new unless another relation has them. */
static attune_status add_column(uint32_t *out, attune_retrieval_search *s, const int32_t *labels)
{
    attune_kinship *k = &s->kinship;
    for (*out = 0; *out < k->columns; ++*out) {
        if (s->labels[*out] == labels) {
            return ATTUNE_OK;
        }
    }
    const attune_status status = attune_groups_make(&s->groups[*out], labels, s->pairs->n);
    s->labels[*out] = labels;
    k->columns += status == ATTUNE_OK;
    return status;
}

static attune_status weigh_rows(measure *m, const attune_groups *groups, uint32_t n)
{
    m->weight = calloc((size_t)n + 1, sizeof(*m->weight));
    m->accuracy = calloc((size_t)n + 1, sizeof(*m->accuracy));
    if (!m->weight || !m->accuracy) {
        return attune_fail_memory("an evaluation", (unsigned long long)n * 16);
    }
    for (uint32_t i = 0; i < n; i++) {
        const int32_t label = m->relation.labels[i];
        m->weight[i] =
            label < 0 ? 0 : 1.0 / attune_groups_size(groups, label) / (groups->labels - 1);
    }
    return ATTUNE_OK;
}

static attune_status add_relation(attune_retrieval_search *s, const attune_relation *relation,
                                  double *average)
{
    const size_t pieces = s->pairs->n / ATTUNE_PAIRS_SLOTS + 1;
    measure *m = &s->measures[s->count++];
    uint32_t other = 0;
    *m = (measure){.relation = *relation, .average = average};
    m->all = calloc(pieces, sizeof(*m->all));
    m->filtered = calloc(pieces, sizeof(*m->filtered));
    attune_status status = m->all && m->filtered
                               ? add_column(&m->column, s, relation->labels)
                               : attune_fail_memory("an evaluation", pieces * sizeof(*m->all));
    if (!status && relation->left_out) {
        status = add_column(&other, s, relation->left_out);
    }
    if (!status && relation->triplets && s->groups[m->column].labels > 1) {
        s->triplets = true;
        status = weigh_rows(m, &s->groups[m->column], s->pairs->n);
    }
    return status;
}

attune_status attune_retrieval_open(attune_retrieval_search **out, const attune_pairs *pairs,
                                    const attune_relation *relations, uint32_t count,
                                    double *const *average_precision)
{
    const size_t slots = attune_pairs_slots(pairs);
    attune_retrieval_search *s = *out = calloc(1, sizeof(*s));
    if (!s) {
        return attune_fail_memory("an evaluation", sizeof(*s));
    }
    s->pairs = pairs;
    s->kinship = (attune_kinship){.pairs = pairs, .labels = s->labels, .groups = s->groups};
    s->slots = calloc(slots, sizeof(*s->slots));
    s->close = malloc(slots / ATTUNE_PAIRS_SLOTS * ATTUNE_PAIRS_BLOCK * sizeof(*s->close));
    attune_status status = s->slots && s->close
                               ? ATTUNE_OK
                               : attune_fail_memory("an evaluation", slots * sizeof(*s->slots));
    for (uint32_t r = 0; r < count && status == ATTUNE_OK; r++) {
        status = add_relation(s, &relations[r], average_precision ? average_precision[r] : NULL);
    }
    if (status != ATTUNE_OK) {
        attune_retrieval_close(s);
        *out = NULL;
    }
    return status;
}

void attune_retrieval_close(attune_retrieval_search *search)
{
    attune_retrieval_search *s = search;
    if (!s) {
        return;
    }
    for (uint32_t i = 0; s->slots && i < attune_pairs_slots(s->pairs); i++) {
        attune_ranks_free(&s->slots[i].ranks);
        free(s->slots[i].positives);
    }
    for (uint32_t r = 0; r < s->count; r++) {
        free(s->measures[r].all);
        free(s->measures[r].filtered);
        free(s->measures[r].weight);
        free(s->measures[r].accuracy);
    }
    for (uint32_t c = 0; c < s->kinship.columns; c++) {
        attune_groups_free(&s->groups[c]);
    }
    free(s->slots);
    free(s->close);
    free(s);
}

attune_pairs_visitor attune_retrieval_visitor(attune_retrieval_search *search)
{
    return (attune_pairs_visitor){.data = search, .begin = begin, .take = take, .end = end};
}

static attune_retrieval summarise(const scores *pieces, uint32_t n)
{
    scores all = {0};
    for (size_t i = 0; i < (size_t)n / ATTUNE_PAIRS_SLOTS + 1; i++) {
        all.anchors += pieces[i].anchors;
        for (int k = 0; k < FIGURES; k++) {
            all.values[k] += pieces[i].values[k];
        }
    }
    attune_retrieval out = {.map = all.values[0] / all.anchors,
                            .precision_1 = all.values[1] / all.anchors,
                            .r_precision = all.values[2] / all.anchors,
                            .ndcg_10 = all.values[3] / all.anchors,
                            .anchors = all.anchors};
    for (int k = 0; k < ATTUNE_RECALL_COUNT; k++) {
        out.recall[k] = all.values[4 + k] / all.anchors;
    }
    return out;
}

void attune_retrieval_finish(attune_retrieval_result *results, attune_retrieval_search *search)
{
    const uint32_t n = search->pairs->n;
    for (uint32_t r = 0; r < search->count; r++) {
        const measure *m = &search->measures[r];
        results[r] = (attune_retrieval_result){
            .all = summarise(m->all, n),
            .filtered = summarise(m->filtered, n),
            .triplet_accuracy = triplet_accuracy(&search->groups[m->column], m, n)};
    }
}

attune_status attune_retrieval_measure(attune_retrieval_result *out, double *average_precision,
                                       const attune_pairs *pairs, const attune_relation *relation)
{
    attune_retrieval_search *search = NULL;
    *out = (attune_retrieval_result){0};
    attune_status status = attune_retrieval_open(&search, pairs, relation, 1, &average_precision);
    if (status == ATTUNE_OK) {
        const attune_pairs_visitor visitor = attune_retrieval_visitor(search);
        status = attune_pairs_visit(pairs, &visitor, 1);
    }
    if (status == ATTUNE_OK) {
        attune_retrieval_finish(out, search);
    }
    attune_retrieval_close(search);
    return status;
}
