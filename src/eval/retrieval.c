/* retrieval.c - ranks of an anchor's positives, without sorting all rows.
 *
 * The positives' exact distances are sorted. A row's place is how many positives are nearer than
 * it; a positive's rank is then the number of positives before it and of rows with a place up to
 * its own. Nearness is cut into bins, and most bins hold no positive: their rows are only counted.
 * The few that lie in a bin with a positive, or within the margin of one, are looked at exactly. */
#include "eval/retrieval.h"

#include "eval/groups.h"
#include "status/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ATTUNE_X(k) k,
const uint32_t attune_recalls[ATTUNE_RECALL_COUNT] = {ATTUNE_RECALLS(ATTUNE_X)};
#undef ATTUNE_X

typedef struct positive {
    double squared;
    float nearness;
    uint32_t row;
} positive;

/* An anchor under way. */
typedef struct slot {
    positive *positives; /* (capacity), nearest first */
    uint32_t *counts;  /* (capacity + 1): rows by place, positives and the anchor not among them */
    uint32_t *removed; /* (capacity + 1): of those, rows that are left out */
    uint32_t count, capacity;
    double weighted; /* sum over rows of their weight times their place, ties half */
    attune_search_bins bins;
} slot;

/* What an anchor gives; sums over anchors are made in order afterwards. */
typedef struct scores {
    double values[4 + ATTUNE_RECALL_COUNT]; /* average precision, P@1, R-precision, nDCG, recalls */
    bool counted;
} scores;

typedef struct measure {
    const attune_pairs *pairs;
    const attune_relation *relation;
    attune_groups own, others;
    double *weight; /* (n): of a row as a negative in triplets; NULL: there are no triplets */
    slot *slots;
    uint32_t *close;        /* by slot: a block's rows that are looked at */
    scores *all, *filtered; /* (n) */
    double *accuracy;       /* (n): of triplets, summed over the anchor's positives */
} measure;

static int by_distance(const void *a, const void *b)
{
    const positive *x = a, *y = b;
    if (x->squared != y->squared) {
        return x->squared < y->squared ? -1 : 1;
    }
    return x->row < y->row ? -1 : x->row > y->row;
}

static attune_status reserve(slot *s, uint32_t count)
{
    if (count <= s->capacity && s->positives) {
        return ATTUNE_OK;
    }
    free(s->positives);
    free(s->counts);
    free(s->removed);
    s->positives = malloc(((size_t)count + 1) * sizeof(*s->positives));
    s->counts = malloc(((size_t)count + 1) * ATTUNE_SEARCH_COPIES * sizeof(*s->counts));
    s->removed = malloc(((size_t)count + 1) * sizeof(*s->removed));
    s->capacity = count;
    return s->positives && s->counts && s->removed
               ? ATTUNE_OK
               : attune_fail_memory("ranks", (unsigned long long)count * sizeof(*s->positives));
}

static int32_t bin_of(const attune_search_bins *bins, float value)
{
    float x = (value - bins->lowest) * bins->scale;
    x = x > 0 ? x : 0;
    x = x < ATTUNE_SEARCH_PLACES - 1 ? x : ATTUNE_SEARCH_PLACES - 1;
    return (int32_t)x;
}

/* Places of the bins, from the farthest to the nearest. */
static void fill_bins(slot *s, float margin)
{
    const float lowest = s->positives[s->count - 1].nearness - 2 * margin,
                highest = s->positives[0].nearness + 2 * margin;
    s->bins.lowest = lowest;
    s->bins.scale = (ATTUNE_SEARCH_PLACES - 1) / (highest - lowest);
    int32_t bin = 0;
    for (uint32_t i = s->count; i-- > 0;) {
        const int32_t from = bin_of(&s->bins, s->positives[i].nearness - margin),
                      to = bin_of(&s->bins, s->positives[i].nearness + margin);
        for (; bin < from; bin++) {
            s->bins.place[bin] = i + 1;
        }
        for (; bin <= to; bin++) {
            s->bins.place[bin] = ATTUNE_SEARCH_CLOSE;
        }
    }
    for (; bin < ATTUNE_SEARCH_PLACES; bin++) {
        s->bins.place[bin] = 0;
    }
}

static attune_status begin(void *data, uint32_t anchor, uint32_t slot_number)
{
    measure *m = data;
    slot *s = &m->slots[slot_number];
    const int32_t label = m->relation->labels[anchor];
    const attune_status status = reserve(s, attune_groups_size(&m->own, label) - 1);
    if (status != ATTUNE_OK) {
        return status;
    }
    s->count = 0;
    s->weighted = 0;
    for (uint32_t i = m->own.start[label]; i < m->own.start[label + 1]; i++) {
        const uint32_t row = m->own.rows[i];
        if (row != anchor) {
            const double squared = attune_pairs_squared(m->pairs, anchor, row);
            s->positives[s->count++] =
                (positive){.squared = squared,
                           .nearness = (float)attune_pairs_nearness(m->pairs, anchor, squared),
                           .row = row};
        }
    }
    qsort(s->positives, s->count, sizeof(*s->positives), by_distance);
    memset(s->counts, 0, ((size_t)s->count + 1) * ATTUNE_SEARCH_COPIES * sizeof(*s->counts));
    fill_bins(s, (float)m->pairs->margin);
    return ATTUNE_OK;
}

/* How many positives come before a row: nearer, or as near and of a lower number. *ties are the
 * positives at its very distance, *nearer those that are nearer. */
static uint32_t exact_place(const slot *s, const positive *row, uint32_t *nearer, uint32_t *ties)
{
    uint32_t low = 0, high = s->count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (s->positives[middle].squared < row->squared) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    uint32_t place = low, end = low;
    for (; end < s->count && s->positives[end].squared == row->squared; end++) {
        place += s->positives[end].row < row->row;
    }
    *nearer = low;
    *ties = end - low;
    return place;
}

/* The place of a row whose nearness is not within the margin of any positive's; UINT32_MAX for
 * another. */
static uint32_t quick_place(const slot *s, float value, float margin)
{
    uint32_t low = 0, high = s->count;
    while (low < high) { /* positives that are nearer beyond doubt */
        const uint32_t middle = (low + high) / 2;
        if (s->positives[middle].nearness > value + margin) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < s->count && s->positives[low].nearness >= value - margin ? UINT32_MAX : low;
}

/* Counts a row of a close bin. */
static void look(measure *m, slot *s, uint32_t anchor, uint32_t row, float value)
{
    uint32_t place = quick_place(s, value, (float)m->pairs->margin), nearer = place, ties = 0;
    if (row == anchor || m->relation->labels[row] == m->relation->labels[anchor]) {
        return;
    }
    if (place == UINT32_MAX) {
        const positive exact = {.squared = attune_pairs_squared(m->pairs, anchor, row), .row = row};
        place = exact_place(s, &exact, &nearer, &ties);
    }
    s->counts[place]++;
    if (m->weight) {
        s->weighted += m->weight[row] * (nearer + 0.5 * ties);
    }
}

static void take(void *data, uint32_t anchor, uint32_t slot_number, const float *values,
                 uint32_t first, uint32_t count)
{
    measure *m = data;
    slot *s = &m->slots[slot_number];
    const uint32_t padded = attune_pairs_padded(count);
    uint32_t *close = m->close + (size_t)slot_number / ATTUNE_PAIRS_SLOTS * ATTUNE_PAIRS_BLOCK;
    const uint32_t found =
        m->pairs->search->place(s->counts, s->count + 1, close, &s->bins, values, padded);
    for (uint32_t i = 0; i < found; i++) {
        if (close[i] < count) {
            look(m, s, anchor, first + close[i], values[close[i]]);
        }
    }
    for (uint32_t i = 0; m->weight && i < count; i++) {
        const uint32_t place = s->bins.place[bin_of(&s->bins, values[i])];
        if (place != ATTUNE_SEARCH_CLOSE) {
            s->weighted += m->weight[first + i] * place;
        }
    }
    if (first + count == m->pairs->n) { /* what fills up the last block lies farthest */
        const uint32_t place = s->bins.place[0];
        if (place != ATTUNE_SEARCH_CLOSE) {
            s->counts[place] -= padded - count;
        }
    }
    if (anchor >= first && anchor < first + count) {
        const uint32_t place = s->bins.place[bin_of(&s->bins, values[anchor - first])];
        if (place != ATTUNE_SEARCH_CLOSE) {
            s->counts[place]--;
        }
    }
}

/* Scores from the positives' ranks, counted from 0 and rising. */
static void add_rank(scores *out, uint32_t index, uint32_t rank, uint32_t positives)
{
    out->counted = true;
    out->values[0] += (double)(index + 1) / (rank + 1) / positives;
    out->values[1] += rank == 0;
    out->values[2] += rank < positives ? 1.0 / positives : 0;
    out->values[3] += rank < 10 ? 1 / log2(rank + 2.0) : 0;
    for (int k = 0; k < ATTUNE_RECALL_COUNT; k++) {
        out->values[4 + k] += rank < attune_recalls[k] ? 1.0 / positives : 0;
    }
}

static void finish_gain(scores *out, uint32_t positives)
{
    double best = 0;
    for (uint32_t i = 0; i < positives && i < 10; i++) {
        best += 1 / log2(i + 2.0);
    }
    out->values[3] /= best;
}

static bool is_left_out(const measure *m, uint32_t anchor, uint32_t row)
{
    const int32_t *left_out = m->relation->left_out;
    return left_out[row] >= 0 && left_out[row] == left_out[anchor];
}

/* The same ranks without the rows that are left out. */
static void score_filtered(measure *m, slot *s, uint32_t anchor)
{
    const attune_relation *r = m->relation;
    const int32_t group = r->left_out[anchor];
    scores *out = &m->filtered[anchor];
    uint32_t kept = 0, index = 0, before = 0;
    memset(s->removed, 0, ((size_t)s->count + 1) * sizeof(*s->removed));
    for (uint32_t i = 0; i < attune_groups_size(&m->others, group); i++) {
        const uint32_t row = m->others.rows[m->others.start[group] + i];
        const positive exact = {.squared = attune_pairs_squared(m->pairs, anchor, row), .row = row};
        uint32_t nearer = 0, ties = 0;
        if (row != anchor && r->labels[row] != r->labels[anchor]) {
            s->removed[exact_place(s, &exact, &nearer, &ties)]++;
        }
    }
    for (uint32_t i = 0; i < s->count; i++) {
        kept += r->keep_positives || !is_left_out(m, anchor, s->positives[i].row);
    }
    for (uint32_t i = 0; i < s->count; i++) {
        before += s->counts[i] - s->removed[i];
        if (r->keep_positives || !is_left_out(m, anchor, s->positives[i].row)) {
            add_rank(out, index, before + index, kept);
            index++;
        }
    }
    if (kept > 0) {
        finish_gain(out, kept);
    }
}

static void end(void *data, uint32_t anchor, uint32_t slot_number)
{
    measure *m = data;
    slot *s = &m->slots[slot_number];
    uint32_t before = 0;
    for (uint32_t i = s->count + 1; i < (s->count + 1) * ATTUNE_SEARCH_COPIES; i++) {
        s->counts[i % (s->count + 1)] += s->counts[i];
    }
    for (uint32_t i = 0; i < s->count; i++) {
        before += s->counts[i];
        add_rank(&m->all[anchor], i, before + i, s->count);
    }
    finish_gain(&m->all[anchor], s->count);
    m->accuracy[anchor] = s->weighted;
    if (m->relation->left_out) {
        score_filtered(m, s, anchor);
    }
}

static void summarise(attune_retrieval *out, const scores *all, uint32_t n)
{
    double sums[4 + ATTUNE_RECALL_COUNT] = {0};
    *out = (attune_retrieval){0};
    for (uint32_t i = 0; i < n; i++) {
        out->anchors += all[i].counted;
        for (int k = 0; k < 4 + ATTUNE_RECALL_COUNT && all[i].counted; k++) {
            sums[k] += all[i].values[k];
        }
    }
    out->map = sums[0] / out->anchors;
    out->precision_1 = sums[1] / out->anchors;
    out->r_precision = sums[2] / out->anchors;
    out->ndcg_10 = sums[3] / out->anchors;
    for (int k = 0; k < ATTUNE_RECALL_COUNT; k++) {
        out->recall[k] = sums[4 + k] / out->anchors;
    }
}

/* The mean over labels of the chance within each. */
static double triplet_accuracy(const measure *m)
{
    double sum = 0;
    uint32_t labels = 0;
    for (uint32_t l = 0; l < m->pairs->n && m->weight; l++) {
        const double size = attune_groups_size(&m->own, (int32_t)l);
        double label = 0;
        for (uint32_t i = m->own.start[l]; i < m->own.start[l + 1]; i++) {
            label += m->accuracy[m->own.rows[i]];
        }
        if (size > 1) {
            sum += label / (size * (size - 1));
            labels++;
        }
    }
    return labels > 0 ? sum / labels : NAN;
}

static attune_status allocate(measure *m)
{
    const size_t n = m->pairs->n, slots = attune_pairs_slots(m->pairs);
    m->slots = calloc(slots, sizeof(*m->slots));
    m->close = malloc(slots / ATTUNE_PAIRS_SLOTS * ATTUNE_PAIRS_BLOCK * sizeof(*m->close));
    m->all = calloc(n + 1, sizeof(*m->all));
    m->filtered = calloc(m->relation->left_out ? n + 1 : 1, sizeof(*m->filtered));
    m->accuracy = calloc(n + 1, sizeof(*m->accuracy));
    if (!m->slots || !m->close || !m->all || !m->filtered || !m->accuracy) {
        return attune_fail_memory("an evaluation", n * (2 * sizeof(*m->all) + 8));
    }
    if (m->own.labels > 1 && m->relation->triplets) {
        m->weight = calloc(n + 1, sizeof(*m->weight));
        for (size_t i = 0; m->weight && i < n; i++) {
            const int32_t label = m->relation->labels[i];
            m->weight[i] =
                label < 0 ? 0 : 1.0 / attune_groups_size(&m->own, label) / (m->own.labels - 1);
        }
        return m->weight ? ATTUNE_OK : attune_fail_memory("an evaluation", n * 8);
    }
    return ATTUNE_OK;
}

static void release(measure *m)
{
    for (uint32_t i = 0; m->slots && i < attune_pairs_slots(m->pairs); i++) {
        free(m->slots[i].positives);
        free(m->slots[i].counts);
        free(m->slots[i].removed);
    }
    free(m->slots);
    free(m->close);
    free(m->all);
    free(m->filtered);
    free(m->accuracy);
    free(m->weight);
    attune_groups_free(&m->own);
    attune_groups_free(&m->others);
}

attune_status attune_retrieval_measure(attune_retrieval_result *out, double *average_precision,
                                       const attune_pairs *pairs, const attune_relation *relation)
{
    const uint32_t n = pairs->n;
    measure m = {.pairs = pairs, .relation = relation};
    const attune_pairs_visitor visitor = {.data = &m, .begin = begin, .take = take, .end = end};
    uint32_t *anchors = malloc(((size_t)n + 1) * sizeof(*anchors)), count = 0;
    attune_status status = anchors ? attune_groups_make(&m.own, relation->labels, n)
                                   : attune_fail_memory("anchors", (unsigned long long)n * 4);
    *out = (attune_retrieval_result){0};
    if (status == ATTUNE_OK && relation->left_out) {
        status = attune_groups_make(&m.others, relation->left_out, n);
    }
    if (status == ATTUNE_OK) {
        status = allocate(&m);
    }
    for (uint32_t i = 0; status == ATTUNE_OK && i < n; i++) {
        if (attune_groups_size(&m.own, relation->labels[i]) > 1) {
            anchors[count++] = i;
        }
    }
    if (status == ATTUNE_OK) {
        status = attune_pairs_visit(pairs, anchors, count, &visitor);
    }
    if (status == ATTUNE_OK) {
        summarise(&out->all, m.all, n);
        summarise(&out->filtered, m.filtered, relation->left_out ? n : 0);
        out->triplet_accuracy = triplet_accuracy(&m);
        for (uint32_t i = 0; average_precision && i < n; i++) {
            average_precision[i] = m.all[i].counted ? m.all[i].values[0] : NAN;
        }
    }
    release(&m);
    free(anchors);
    return status;
}
