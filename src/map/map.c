/* map.c - the steps of a map in their order. */
#include "map/map.h"

#include "eval/nearest.h"
#include "map/drawing.h"
#include "status/error.h"
#include "status/machine.h"
#include "status/path.h"
#include "store/cluster_column.h"
#include "store/new_file.h"
#include "store/parts.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WIDEST = 512, /* embeddings: their covariances' axes take time that grows with its cube */
    MOST_ON_A_PAGE = 1 << 24, /* tracks: neighbours have three bytes there */
};

typedef struct making {
    const attune_map_options *options;
    attune_map_counts *counts;
    attune_new_file file; /* the page or picture */
    attune_parts *lock;   /* of the input, where it is to be changed */
    attune_map_tracks tracks;
    attune_team *team;
    attune_pairs pairs;
    uint32_t K;
    uint32_t *neighbours; /* (n, K) */
    float *positions;     /* (n, 2) */
    attune_clusters clusters;
    attune_drawing drawing;
} making;

static const char *const endings[] = {".html", ".htm", ".png", ".svg"};

static int ending_of(const char *output)
{
    const size_t length = strlen(output);
    for (int i = 0; i < 4; i++) {
        const size_t own = strlen(endings[i]);
        if (length > own && strcasecmp(output + length - own, endings[i]) == 0) {
            return i;
        }
    }
    return -1;
}

bool attune_map_can_write(const char *output)
{
    return ending_of(output) >= 0;
}

/* ---- steps ---- */

/* Takes what only one may have, so that nothing is computed in vain. */
static attune_status claim(making *m)
{
    const attune_map_options *o = m->options;
    attune_status status = ATTUNE_OK;
    if (o->output) {
        attune_new_file_sweep(o->output);
        status = attune_new_file_open_other(&m->file, o->output, o->replace);
    }
    if (status == ATTUNE_OK && o->write_clusters && access(o->input, F_OK) == 0) {
        status = attune_parts_open(&m->lock, o->input);
        if (status == ATTUNE_OK && !attune_parts_empty(m->lock)) {
            status = attune_fail(ATTUNE_ESTOPPED,
                                 "%s: a job that writes it has not come to its end; let embed end "
                                 "it first",
                                 o->input);
        }
    }
    return status;
}

static attune_status read_tracks(making *m)
{
    const attune_map_options *o = m->options;
    attune_status status = attune_map_tracks_open(&m->tracks, o->input);
    if (status != ATTUNE_OK) {
        return status;
    }
    m->counts->tracks = m->tracks.n;
    m->counts->left_out = m->tracks.rows - m->tracks.n;
    if (m->tracks.E > WIDEST) {
        return attune_fail(ATTUNE_EDATA, "%s: embeddings of %u numbers; a map takes up to %d",
                           o->input, m->tracks.E, WIDEST);
    }
    if (m->tracks.n > MOST_ON_A_PAGE && o->output) {
        return attune_fail(ATTUNE_EDATA, "%s: %u tracks; a map takes up to %d", o->input,
                           m->tracks.n, MOST_ON_A_PAGE);
    }
    return attune_team_open(&m->team, o->threads ? o->threads : attune_processors());
}

static attune_status find_clusters(making *m)
{
    if (!m->options->cluster) {
        return ATTUNE_OK;
    }
    const attune_status status = attune_clusters_open(&m->clusters, m->tracks.vectors, m->tracks.n,
                                                      m->tracks.E, &m->options->clusters, m->team);
    m->counts->clusters = m->clusters.K;
    return status;
}

static attune_status write_clusters(const making *m)
{
    const attune_map_tracks *t = &m->tracks;
    if (!m->options->write_clusters) {
        return ATTUNE_OK;
    }
    int32_t *clusters = malloc((size_t)t->rows * sizeof(*clusters));
    if (!clusters) {
        return attune_fail_memory("clusters", t->rows * sizeof(*clusters));
    }
    memset(clusters, -1, (size_t)t->rows * sizeof(*clusters));
    for (uint32_t i = 0; i < t->n; i++) {
        clusters[t->row[i]] = m->clusters.cluster[i];
    }
    const attune_status status =
        attune_clusters_write(m->options->input, clusters, t->rows, m->clusters.method);
    free(clusters);
    return status;
}

/* Colourings, and the one to begin with. */
static attune_status find_colourings(making *m)
{
    static const attune_map_by likely[] = {ATTUNE_MAP_CLUSTER, ATTUNE_MAP_GENRE, ATTUNE_MAP_FOLDER};
    attune_drawing *d = &m->drawing;
    attune_status status = ATTUNE_OK;
    for (int by = 0; by < ATTUNE_MAP_BY_COUNT && status == ATTUNE_OK; by++) {
        status = attune_map_colouring_open(&d->colourings[by], &d->there[by], (attune_map_by)by,
                                           &m->tracks, m->clusters.cluster);
    }
    if (status != ATTUNE_OK) {
        return status;
    }
    if (m->options->by >= 0 && !d->there[m->options->by]) {
        return attune_fail(ATTUNE_ECONFIG, "%s: no track has %s %s; %s", m->options->input,
                           m->options->by == ATTUNE_MAP_CLUSTER ? "a" : "a known",
                           attune_map_by_name((attune_map_by)m->options->by),
                           m->options->by == ATTUNE_MAP_CLUSTER
                               ? "give --clusters"
                               : "embed --fma-metadata adds labels");
    }
    d->by = ATTUNE_MAP_STATUS;
    for (int i = 2; i >= 0; i--) {
        d->by = d->there[likely[i]] && d->colourings[likely[i]].count > 1 ? likely[i] : d->by;
    }
    d->by = m->options->by >= 0 ? (attune_map_by)m->options->by : d->by;
    return ATTUNE_OK;
}

static attune_status lay_out(making *m)
{
    const attune_map_tracks *t = &m->tracks;
    const uint32_t wanted = attune_layout_neighbours(t->n, &m->options->layout), others = t->n - 1,
                   shown = others < ATTUNE_MAP_NEIGHBOURS ? others : ATTUNE_MAP_NEIGHBOURS;
    m->K = wanted > shown ? wanted : shown;
    m->neighbours = malloc(((size_t)t->n * m->K + 1) * sizeof(*m->neighbours));
    m->positions = malloc(2 * (size_t)t->n * sizeof(*m->positions));
    if (!m->neighbours || !m->positions) {
        return attune_fail_memory("neighbours", (size_t)t->n * m->K * sizeof(*m->neighbours));
    }
    attune_status status = attune_pairs_open(&m->pairs, t->vectors, t->n, t->E, m->team);
    if (status == ATTUNE_OK && m->K > 0) {
        status = attune_nearest_find(m->neighbours, &m->pairs, m->K);
    }
    return status == ATTUNE_OK ? attune_layout_find(m->positions, &m->counts->divergence, &m->pairs,
                                                    m->neighbours, m->K, &m->options->layout)
                               : status;
}

/* The absolute path of the folder of `path`; malloc'ed, NULL if there is none. */
static char *folder_of(const char *path)
{
    char *part = attune_path_folder(path), *folder = part ? realpath(part, NULL) : NULL;
    free(part);
    return folder;
}

static attune_status draw(making *m)
{
    const attune_map_options *o = m->options;
    const int ending = ending_of(o->output);
    char layout[120];
    attune_drawing *d = &m->drawing;
    if (o->layout.iterations) {
        snprintf(layout, sizeof(layout), "t-SNE, perplexity %.3g, %u steps",
                 attune_layout_perplexity(m->tracks.n, &o->layout), o->layout.iterations);
    } else {
        snprintf(layout, sizeof(layout), "The two principal axes");
    }
    d->title = attune_file_name(o->input);
    d->layout = layout;
    d->tracks = &m->tracks;
    d->positions = m->positions;
    d->neighbours = m->neighbours;
    d->K = m->K;
    d->folder = folder_of(o->output);
    const int fd = dup(m->file.fd); /* the file keeps its own, to be synced */
    FILE *stream = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (!stream || !d->folder) {
        const int error = errno;
        if (stream) {
            fclose(stream);
        } else if (fd >= 0) {
            close(fd);
        }
        return attune_fail(ATTUNE_EIO, "%s: cannot write: %s", o->output, strerror(error));
    }
    attune_status status = ending < 2 ? attune_page_write(stream, d, o->output)
                                      : attune_picture_write(stream, d, ending - 2, o->output);
    if (fclose(stream) != 0 && status == ATTUNE_OK) {
        status = attune_fail(ATTUNE_EIO, "%s: cannot write: %s", o->output, strerror(errno));
    }
    return status == ATTUNE_OK ? attune_new_file_publish(&m->file) : status;
}

attune_status attune_map_make(attune_map_counts *counts, const attune_map_options *options)
{
    making m = {.options = options, .counts = counts, .file = ATTUNE_NEW_FILE_CLOSED};
    *counts = (attune_map_counts){0};
    attune_status status = claim(&m);
    if (status == ATTUNE_OK) {
        status = read_tracks(&m);
    }
    if (status == ATTUNE_OK) {
        status = find_clusters(&m);
    }
    if (status == ATTUNE_OK && options->output) {
        status = find_colourings(&m);
    }
    if (status == ATTUNE_OK && options->output) {
        status = lay_out(&m);
    }
    if (status == ATTUNE_OK && options->output) {
        status = draw(&m);
    }
    if (status == ATTUNE_OK) {
        status = write_clusters(&m);
    }
    for (int by = 0; by < ATTUNE_MAP_BY_COUNT; by++) {
        attune_map_colouring_close(&m.drawing.colourings[by]);
    }
    free(m.drawing.folder);
    free(m.positions);
    free(m.neighbours);
    attune_clusters_close(&m.clusters);
    attune_pairs_close(&m.pairs);
    attune_team_close(m.team);
    attune_map_tracks_close(&m.tracks);
    attune_new_file_close(&m.file);
    attune_parts_close(m.lock);
    return status;
}
