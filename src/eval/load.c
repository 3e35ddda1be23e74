/* load.c - reads embeddings and labels, and keeps the rows that all embeddings have. */
#include "eval/evaluate.h"
#include "fma/metadata.h"
#include "status/error.h"
#include "status/path.h"

#include <stdlib.h>
#include <string.h>

/* ---- rows that all have ---- */

static attune_status read_spaces(attune_evaluation *e)
{
    attune_status status = ATTUNE_OK;
    uint32_t npy = 0;
    const uint32_t kinds = e->options.kind_count;
    for (uint32_t i = 0; status == ATTUNE_OK && i + 1 < e->space_count; i++) {
        const char *path = e->options.files[i / kinds], *ids = NULL;
        if (attune_ends_in(path, ".npy")) {
            ids = npy < e->options.id_count ? e->options.ids[npy] : NULL;
            npy += i % kinds == kinds - 1;
        }
        const attune_space_kind kind = e->options.kinds[i % kinds];
        status = attune_space_read(&e->spaces[i], path, ids, kind);
        if (status == ATTUNE_OK) {
            status = attune_space_retitle(
                &e->spaces[i],
                attune_file_title(e->options.files, e->options.file_count, i / kinds), kind);
        }
        if (status == ATTUNE_OK && e->spaces[i].left_out > 0) {
            status = attune_report_note(&e->report, "%s: %u rows have no vector and are left out",
                                        e->spaces[i].title, e->spaces[i].left_out);
        }
        if (status == ATTUNE_OK && e->options.cosine) {
            attune_space_normalise(&e->spaces[i]);
        }
    }
    if (status == ATTUNE_OK && npy < e->options.id_count) {
        status = attune_fail(ATTUNE_EINVAL, "--ids %s: there is no .npy file for it",
                             e->options.ids[npy]);
    }
    return status;
}

/* row_of (n of the first): the row of space s that is the same track; ATTUNE_NO_ROW: none. */
static attune_status match(uint32_t *row_of, attune_tracks *tracks, const attune_space *first,
                           const attune_space *other)
{
    attune_status status = ATTUNE_OK;
    memset(row_of, 0xff, first->n * sizeof(*row_of));
    for (uint32_t i = 0; status == ATTUNE_OK && i < other->n; i++) {
        uint32_t track = ATTUNE_NO_TRACK;
        status = attune_tracks_find(&track, tracks, other->names[i]);
        if (status == ATTUNE_OK && track != ATTUNE_NO_TRACK) {
            if (row_of[track] != ATTUNE_NO_ROW) {
                return attune_fail(ATTUNE_EDATA, "%s: rows %u and %u are one track, %s",
                                   other->title, other->rows[row_of[track]], other->rows[i],
                                   first->names[track]);
            }
            row_of[track] = i;
        }
    }
    return status;
}

/* Opens the rows of the first file; what is wrong with them is said with its name. */
static attune_status open_rows(attune_tracks **out, const attune_space *space)
{
    const attune_status status = attune_tracks_open_rows(out, space->names, space->rows, space->n);
    return status == ATTUNE_EDATA ? attune_fail(status, "%s: %s", space->title, attune_last_error())
                                  : status;
}

/* Keeps the rows that every space has, in the first one's order. */
static attune_status bring_together(attune_evaluation *e)
{
    const uint32_t n = e->spaces[0].n, files = e->space_count - 1;
    attune_tracks *tracks = NULL;
    uint32_t *rows = malloc(((size_t)n + 1) * files * sizeof(*rows)), kept = 0, most = n;
    attune_status status = rows ? open_rows(&tracks, &e->spaces[0])
                                : attune_fail_memory("rows", (unsigned long long)n * files * 4);
    for (uint32_t i = 0; status == ATTUNE_OK && i < n; i++) {
        rows[i] = i;
    }
    for (uint32_t s = 1; status == ATTUNE_OK && s < files; s++) {
        status = match(rows + (size_t)s * n, tracks, &e->spaces[0], &e->spaces[s]);
        most = e->spaces[s].n > most ? e->spaces[s].n : most;
    }
    attune_tracks_close(tracks);
    for (uint32_t i = 0; status == ATTUNE_OK && i < n; i++) {
        bool all = true;
        for (uint32_t s = 1; s < files; s++) {
            all &= rows[(size_t)s * n + i] != ATTUNE_NO_ROW;
        }
        for (uint32_t s = 0; s < files && all; s++) {
            rows[(size_t)s * n + kept] = rows[(size_t)s * n + i];
        }
        kept += all;
    }
    for (uint32_t s = 0; status == ATTUNE_OK && s < files && files > 1; s++) {
        status = attune_space_select(&e->spaces[s], rows + (size_t)s * n, kept);
    }
    free(rows);
    e->n = kept;
    if (status == ATTUNE_OK && kept == 0) {
        status = attune_fail(ATTUNE_EDATA, "%s and %s have no track in common", e->spaces[0].title,
                             e->spaces[1].title);
    }
    return status == ATTUNE_OK && kept < most
               ? attune_report_note(&e->report, "evaluated on the %u tracks that all files have",
                                    kept)
               : status;
}

/* ---- labels ---- */

static attune_status set_number(attune_evaluation *e, uint32_t row, attune_label label, int32_t id)
{
    char text[16];
    snprintf(text, sizeof(text), "%d", id);
    return id < 0 ? ATTUNE_OK : attune_tracks_set_label(e->tracks, row, label, text);
}

static attune_status set_fma_labels(attune_evaluation *e, uint32_t row, int32_t artist,
                                    int32_t album, const char *genre, attune_fma_split split)
{
    attune_status status = set_number(e, row, ATTUNE_LABEL_ARTIST, artist);
    status = status ? status : set_number(e, row, ATTUNE_LABEL_ALBUM, album);
    if (!status && *genre) {
        status = attune_tracks_set_label(e->tracks, row, ATTUNE_LABEL_GENRE, genre);
    }
    if (!status && split != ATTUNE_FMA_NO_SPLIT) {
        status = attune_tracks_set_label(e->tracks, row, ATTUNE_LABEL_SPLIT,
                                         attune_fma_split_name(split));
    }
    return status;
}

/* Labels that the first file itself has. */
static attune_status take_own_labels(attune_evaluation *e)
{
    attune_status status = ATTUNE_OK;
    for (uint32_t i = 0; status == ATTUNE_OK && i < e->n; i++) {
        const attune_labels *l = &e->spaces[0].labels[i];
        if (l->track_id >= 0) {
            status = set_fma_labels(e, i, l->artist_id, l->album_id, l->genre_top, l->split);
        }
    }
    return status;
}

static attune_status read_fma_labels(attune_evaluation *e)
{
    attune_fma *fma = NULL;
    uint32_t unknown = 0;
    attune_status status = attune_fma_open(&fma, e->options.fma_metadata);
    for (uint32_t i = 0; status == ATTUNE_OK && i < e->n; i++) {
        const attune_fma_track *t = attune_fma_find_file(fma, e->spaces[0].names[i]);
        unknown += !t;
        if (t) {
            const char *genre = t->genre_top == ATTUNE_FMA_NONE
                                    ? ""
                                    : attune_fma_genres_of(fma)[t->genre_top].title;
            status = set_fma_labels(e, i, t->artist_id, t->album_id, genre, t->split);
        }
    }
    attune_fma_close(fma);
    return status == ATTUNE_OK && unknown > 0
               ? attune_report_note(&e->report, "%u of %u rows are no track of %s", unknown, e->n,
                                    e->options.fma_metadata)
               : status;
}

/* Renumbers labels so that only those of rows count, in the order of `order` (count). */
static attune_status renumber(attune_evaluation *e, int label, const int32_t *order, int32_t count)
{
    int32_t *labels = e->labels[label], *number = calloc((size_t)count + 1, sizeof(*number)),
            next = 0;
    if (!number) {
        return attune_fail_memory("labels", (unsigned long long)count * sizeof(*number));
    }
    for (uint32_t i = 0; i < e->n; i++) {
        if (labels[i] >= 0) {
            number[labels[i]] = 1;
        }
    }
    for (int32_t k = 0; k < count; k++) {
        if (number[order[k]]) {
            if (label == ATTUNE_LABEL_GENRE) {
                e->genres[next] = attune_tracks_label_name(e->tracks, ATTUNE_LABEL_GENRE, order[k]);
            }
            number[order[k]] = next++;
        }
    }
    for (uint32_t i = 0; i < e->n; i++) {
        labels[i] = labels[i] < 0 ? -1 : number[labels[i]];
    }
    e->label_count[label] = next;
    free(number);
    return ATTUNE_OK;
}

typedef struct named {
    const char *name;
    int32_t number;
} named;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const named *)a)->name, ((const named *)b)->name);
}

/* Numbers in the order of names, as scikit-learn gives them. */
static attune_status sort_labels(attune_evaluation *e, int label)
{
    const int32_t count = attune_tracks_label_count(e->tracks, (attune_label)label);
    named *names = malloc(((size_t)count + 1) * sizeof(*names));
    int32_t *order = malloc(((size_t)count + 1) * sizeof(*order));
    attune_status status = ATTUNE_OK;
    if (label == ATTUNE_LABEL_GENRE) {
        e->genres = calloc((size_t)count + 1, sizeof(*e->genres));
    }
    if (!names || !order || (label == ATTUNE_LABEL_GENRE && !e->genres)) {
        status = attune_fail_memory("labels", (unsigned long long)count * sizeof(*names));
    } else {
        for (int32_t k = 0; k < count; k++) {
            names[k] = (named){attune_tracks_label_name(e->tracks, (attune_label)label, k), k};
        }
        qsort(names, (size_t)count, sizeof(*names), by_name);
        for (int32_t k = 0; k < count; k++) {
            order[k] = names[k].number;
        }
        status = renumber(e, label, order, count);
    }
    free(order);
    free(names);
    return status;
}

static attune_part part_called(const char *name)
{
    static const struct {
        const char *name;
        attune_part part;
    } names[] = {{"training", ATTUNE_PART_TRAIN},        {"train", ATTUNE_PART_TRAIN},
                 {"validation", ATTUNE_PART_VALIDATION}, {"valid", ATTUNE_PART_VALIDATION},
                 {"val", ATTUNE_PART_VALIDATION},        {"test", ATTUNE_PART_TEST}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i].name) == 0) {
            return names[i].part;
        }
    }
    return ATTUNE_PART_COUNT;
}

/* Which part each row is in; a split that is called otherwise is said. */
static attune_status read_parts(attune_evaluation *e)
{
    const char *other = NULL;
    uint32_t others = 0;
    for (uint32_t i = 0; i < e->n; i++) {
        const int32_t split = e->labels[ATTUNE_LABEL_SPLIT][i];
        const char *name =
            split < 0 ? NULL : attune_tracks_label_name(e->tracks, ATTUNE_LABEL_SPLIT, split);
        e->parts[i] = name ? part_called(name) : ATTUNE_PART_COUNT;
        if (name && e->parts[i] == ATTUNE_PART_COUNT) {
            other = name;
            others++;
        }
    }
    return others == 0 ? ATTUNE_OK
                       : attune_report_note(&e->report,
                                            "%u tracks are of no split: \"%.80s\" is not training, "
                                            "validation or test",
                                            others, other);
}

static attune_status copy_labels(attune_evaluation *e)
{
    const attune_tracks_entry *entries = attune_tracks_entries(e->tracks);
    e->parts = malloc(((size_t)e->n + 1) * sizeof(*e->parts));
    if (!e->parts) {
        return attune_fail_memory("labels", e->n * sizeof(*e->parts));
    }
    for (int l = 0; l < ATTUNE_LABEL_COUNT; l++) {
        e->labels[l] = malloc(((size_t)e->n + 1) * sizeof(*e->labels[l]));
        if (!e->labels[l]) {
            return attune_fail_memory("labels", e->n * sizeof(*e->labels[l]));
        }
        for (uint32_t i = 0; i < e->n; i++) {
            e->labels[l][i] = entries[i].label[l];
        }
    }
    attune_status status = read_parts(e);
    for (int l = 0; status == ATTUNE_OK && l < ATTUNE_LABEL_COUNT; l++) {
        status = sort_labels(e, l);
    }
    return status;
}

static attune_status load_labels(attune_evaluation *e)
{
    attune_status status = attune_tracks_open_rows(&e->tracks, e->spaces[0].names, NULL, e->n);
    status = status ? status : take_own_labels(e);
    if (!status && e->options.fma_metadata) {
        status = read_fma_labels(e);
    }
    if (!status && e->options.labels) {
        status = attune_tracks_add_manifest(e->tracks, e->options.labels);
        const uint32_t missing = attune_tracks_missing(e->tracks);
        if (!status && missing > 0) {
            status = attune_report_note(&e->report, "%u tracks of %s are not among the rows",
                                        missing, e->options.labels);
        }
    }
    return status ? status : copy_labels(e);
}

/* Which rows are asked for their genre, and which may vote. */
static attune_status choose_queries(attune_evaluation *e)
{
    const int32_t *genre = e->labels[ATTUNE_LABEL_GENRE];
    uint32_t counts[ATTUNE_PART_COUNT + 1] = {0};
    e->queries = malloc(((size_t)e->n + 1) * sizeof(*e->queries));
    e->training = malloc(((size_t)e->n + 1) * sizeof(*e->training));
    e->among = calloc((size_t)e->n + 1, sizeof(*e->among));
    if (!e->queries || !e->training || !e->among) {
        return attune_fail_memory("labels", (unsigned long long)e->n * 9);
    }
    for (uint32_t i = 0; i < e->n; i++) {
        counts[e->parts[i]] += genre[i] >= 0;
    }
    e->official = counts[ATTUNE_PART_TRAIN] > 0 && counts[ATTUNE_PART_TEST] > 0;
    for (uint32_t i = 0; i < e->n; i++) {
        if (genre[i] < 0) {
            continue;
        }
        e->among[i] = !e->official || e->parts[i] == ATTUNE_PART_TRAIN;
        if (e->among[i]) {
            e->training[e->training_count++] = i;
        }
        if (!e->official || e->parts[i] == ATTUNE_PART_TEST) {
            e->queries[e->query_count++] = i;
        }
    }
    return ATTUNE_OK;
}

attune_status attune_evaluation_load(attune_evaluation *evaluation)
{
    attune_evaluation *e = evaluation;
    e->space_count = e->options.file_count * e->options.kind_count + 1;
    e->spaces = calloc(e->space_count, sizeof(*e->spaces));
    e->titles = calloc(e->space_count, sizeof(*e->titles));
    e->confusion = calloc(e->space_count, sizeof(*e->confusion));
    e->retrievals = calloc(e->space_count, sizeof(*e->retrievals));
    attune_status status = e->spaces && e->titles && e->confusion && e->retrievals
                               ? read_spaces(e)
                               : attune_fail_memory("embeddings", sizeof(*e->spaces));
    status = status ? status : bring_together(e);
    if (!status) {
        status = attune_space_random(&e->spaces[e->space_count - 1], e->n, e->spaces[0].E);
    }
    for (uint32_t s = 0; !status && s < e->space_count; s++) {
        e->titles[s] = e->spaces[s].title;
    }
    e->report.titles = e->titles;
    e->report.spaces = e->space_count;
    status = status ? status : load_labels(e);
    return status ? status : choose_queries(e);
}
