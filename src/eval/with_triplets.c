/* with_triplets.c - triplet files as they were published, split as they were, and what they leak.
 */
#include "eval/evaluate.h"
#include "fma/leaks.h"
#include "status/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const part_names[ATTUNE_PART_COUNT] = {"training", "validation", "test"};

/* The published split of a kind of file; what is neither synthetic nor human has none. */
static attune_split_options split_of(attune_triplet_kind kind)
{
    return kind == ATTUNE_TRIPLETS_SYNTHETIC ? ATTUNE_SPLIT_SYNTHETIC
           : kind == ATTUNE_TRIPLETS_HUMAN   ? ATTUNE_SPLIT_HUMAN
                                             : (attune_split_options){.held_out = 0};
}

/* Marks the tracks of the training part, also of triplets that have a missing track. */
static attune_status mark_seen(bool *seen, const attune_triplets *t)
{
    const attune_split_options split = split_of(t->kind);
    uint32_t start[ATTUNE_PART_COUNT + 1];
    uint32_t *rows = malloc(((size_t)t->count + 1) * sizeof(*rows));
    attune_status status = rows ? attune_split_rows(rows, start, t->count, &split)
                                : attune_fail_memory("a split", t->count * sizeof(*rows));
    for (uint32_t i = 0; status == ATTUNE_OK && i < start[1]; i++) {
        attune_leaks_mark(seen, &t->triplets[rows[i]]);
    }
    free(rows);
    return status;
}

/* Says how many tracks and triplets (count) of the part training has seen. */
static attune_status note_leak(attune_evaluation *e, const char *section, const bool *seen,
                               const attune_triplet *triplets, uint32_t count)
{
    const int p = e->options.part;
    attune_leaks leaks;
    const attune_status status = attune_leaks_count(&leaks, p, seen, e->n, triplets, count);
    return status ? status
                  : attune_report_note(&e->report,
                                       "%s: %u of its %u tracks occur in training triplets; %u of "
                                       "%u triplets have no such track",
                                       section, leaks.seen[p], leaks.tracks[p],
                                       leaks.without_seen[p], leaks.triplets[p]);
}

static attune_status keep_part(attune_evaluation *e, attune_triplet_file *f,
                               const attune_triplets *t, const bool *seen)
{
    const int part = t->kind == ATTUNE_TRIPLETS_PLAIN ? -1 : e->options.part;
    const uint32_t first = part < 0 ? 0 : t->start[part],
                   end = part < 0 ? t->count : t->start[part + 1];
    f->triplets = malloc(((size_t)(end - first) + 1) * sizeof(*f->triplets));
    f->clean = malloc(((size_t)(end - first) + 1) * sizeof(*f->clean));
    if (!f->triplets || !f->clean) {
        return attune_fail_memory("triplets", (end - first) * sizeof(*f->triplets));
    }
    for (uint32_t i = first; i < end; i++) {
        const attune_triplet *from = &t->triplets[i];
        f->clean[f->count] = !attune_leaks_has_seen(seen, from);
        f->triplets[f->count++] =
            (attune_triplet_rows){from->anchor, from->positive, from->negative};
    }
    return part > ATTUNE_PART_TRAIN && f->count > 0
               ? note_leak(e, f->section, seen, t->triplets + first, f->count)
               : ATTUNE_OK;
}

static int by_row(const void *a, const void *b)
{
    const attune_triplet *x = a, *y = b;
    return x->row < y->row ? -1 : x->row > y->row;
}

static attune_status load_file(attune_evaluation *e, uint32_t file, bool *seen)
{
    attune_triplet_file *f = &e->files[file];
    attune_triplets t = {0};
    const char *path = e->options.triplets[file];
    attune_status status = attune_triplets_read(&t, e->tracks, path);
    if (status != ATTUNE_OK) {
        return status;
    }
    const bool split = e->options.part >= 0 && t.kind != ATTUNE_TRIPLETS_PLAIN;
    const attune_split_options shares = split_of(t.kind);
    *f = (attune_triplet_file){.kind = t.kind, .batch = t.kind == ATTUNE_TRIPLETS_HUMAN ? 4 : 12};
    if (asprintf(&f->section, "triplets of %s%s%s",
                 attune_file_title(e->options.triplets, e->options.triplet_count, file),
                 split ? ", " : "", split ? part_names[e->options.part] : "") < 0) {
        f->section = NULL;
        status = attune_fail_memory("a name", strlen(path));
    }
    if (!status && t.kind != ATTUNE_TRIPLETS_PLAIN) {
        status = mark_seen(seen, &t);
    }
    if (!status) { /* without a split the file's own order stays */
        status = attune_triplets_split(
            &t, split ? &shares : &(attune_split_options){.held_out = 0, .seed = shares.seed});
    }
    if (!status && !split) {
        qsort(t.triplets, t.count, sizeof(*t.triplets), by_row);
    }
    status = status ? status : keep_part(e, f, &t, seen);
    f->left_out = t.skipped;
    if (!status && t.skipped > 0) {
        status = attune_report_note(&e->report,
                                    "%s: %u of all triplets are left out: a track of theirs "
                                    "has no vector",
                                    f->section, t.skipped);
    }
    if (!status && t.kind == ATTUNE_TRIPLETS_PLAIN && e->options.part >= 0) {
        status = attune_report_note(&e->report, "%s: has no published split, and counts whole",
                                    f->section);
    }
    attune_triplets_free(&t);
    return status;
}

attune_status attune_evaluation_load_triplets(attune_evaluation *evaluation)
{
    attune_evaluation *e = evaluation;
    bool *seen = calloc((size_t)e->n + 1, sizeof(*seen));
    e->files = calloc((size_t)e->options.triplet_count + 1, sizeof(*e->files));
    attune_status status =
        seen && e->files ? ATTUNE_OK : attune_fail_memory("triplets", sizeof(*e->files));
    for (uint32_t i = 0; status == ATTUNE_OK && i < e->options.triplet_count; i++) {
        status = load_file(e, i, seen);
    }
    free(seen);
    return status;
}

attune_status attune_evaluation_check_triplets(const attune_evaluation *evaluation)
{
    const attune_evaluation_options *o = &evaluation->options;
    unsigned long long left_out = 0;
    char why[80] = "";
    for (uint32_t i = 0; i < o->triplet_count; i++) {
        if (evaluation->files[i].count > 0) {
            return ATTUNE_OK;
        }
        left_out += evaluation->files[i].left_out;
    }
    if (left_out > 0) {
        snprintf(why, sizeof(why), "; %llu %s left out, as a track of theirs has no vector",
                 left_out, left_out == 1 ? "is" : "are");
    }
    return o->triplet_count == 0
               ? ATTUNE_OK
               : attune_fail(ATTUNE_EDATA, "%s%s: no triplet%s%s can be evaluated%s",
                             o->triplets[0], o->triplet_count > 1 ? " and the others" : "",
                             o->part < 0 ? "" : " of the part ",
                             o->part < 0 ? "" : part_names[o->part], why);
}

/* ---- figures ---- */

static attune_status put(attune_evaluation *e, uint32_t space, const attune_triplet_file *f,
                         const char *name, double value, attune_interval interval)
{
    return attune_report_put(&e->report, space, f->section, name, value, interval);
}

/* The triplets that training has not seen. */
static attune_status measure_clean(attune_evaluation *e, uint32_t space,
                                   const attune_triplet_file *f, const double *right)
{
    double correct = 0, count = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        correct += f->clean[i] ? right[i] : 0;
        count += f->clean[i];
    }
    attune_status status = put(e, space, f, "leak-free: triplets", count, ATTUNE_NO_INTERVAL);
    return status ? status
                  : put(e, space, f, "leak-free: accuracy", correct / count,
                        attune_wilson(correct, count));
}

static attune_status measure_file(attune_evaluation *e, uint32_t space,
                                  const attune_triplet_file *f)
{
    attune_triplet_score s;
    attune_interval bootstrap = ATTUNE_NO_INTERVAL;
    uint32_t *anchors = malloc(((size_t)f->count + 1) * sizeof(*anchors));
    for (uint32_t i = 0; anchors && i < f->count; i++) {
        anchors[i] = f->triplets[i].anchor;
    }
    double *right =
        anchors ? attune_evaluation_pair(e, space, f->section, "accuracy", anchors, f->count, true)
                : NULL;
    attune_status status =
        right ? ATTUNE_OK : attune_fail_memory("triplets", f->count * sizeof(*right));
    if (!status) {
        attune_triplet_measure(&s, right, NULL, e->spaces[space].vectors, e->spaces[space].E,
                               f->triplets, f->count, e->options.margin, f->batch);
        status = attune_bootstrap(&bootstrap, right, anchors, f->count);
    }
    free(anchors);
    const double count = f->count;
    const attune_interval none = ATTUNE_NO_INTERVAL;
    status = status ? status : put(e, space, f, "triplets", count, none);
    status = status ? status : put(e, space, f, "right, ties half", s.correct, none);
    status = status ? status
                    : put(e, space, f, "accuracy (Wilson)", s.correct / count,
                          attune_wilson(s.correct, count));
    status =
        status ? status : put(e, space, f, "accuracy (by anchor)", s.correct / count, bootstrap);
    status =
        status ? status
               : put(e, space, f, f->batch == 4 ? "mean of batches of 4" : "mean of batches of 12",
                     s.batch_accuracy, none);
    if (!status && f->kind == ATTUNE_TRIPLETS_HUMAN) {
        status =
            put(e, space, f, "odd one out of three", s.odd, attune_wilson(s.odd * count, count));
    }
    status = status ? status : put(e, space, f, "distance to positives", s.positive, none);
    status = status ? status : put(e, space, f, "distance to negatives", s.negative, none);
    status = status ? status : put(e, space, f, "margin loss", s.loss, none);
    if (!status && e->options.leak_free && f->kind != ATTUNE_TRIPLETS_PLAIN) {
        status = measure_clean(e, space, f, right);
    }
    return status;
}

attune_status attune_evaluate_triplets(attune_evaluation *evaluation, uint32_t space)
{
    attune_status status = ATTUNE_OK;
    for (uint32_t i = 0; !status && i < evaluation->options.triplet_count; i++) {
        status = measure_file(evaluation, space, &evaluation->files[i]);
    }
    return status;
}
