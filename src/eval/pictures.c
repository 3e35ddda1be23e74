/* pictures.c - distances of triplets, confusions of genres, and recall, as pictures. */
#include "eval/evaluate.h"
#include "eval/vector.h"
#include "plot/gnuplot.h"
#include "status/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { BINS = 60, NAME = 64, MOST_LOOKED_AT = 1000 };

typedef struct album {
    const attune_evaluation *evaluation;
    FILE *script;
    char (*names)[NAME]; /* (count) */
    int count;
} album;

/* A new picture's name; NULL without memory. */
static const char *add_picture(album *a, const char *what, uint32_t first, uint32_t second)
{
    char(*names)[NAME] = realloc(a->names, ((size_t)a->count + 1) * sizeof(*names));
    if (!names) {
        return NULL;
    }
    a->names = names;
    char *name = names[a->count++];
    if (second > 0) {
        snprintf(name, NAME, "%s-%u-%u", what, first, second);
    } else if (first > 0) {
        snprintf(name, NAME, "%s-%u", what, first);
    } else {
        snprintf(name, NAME, "%s", what);
    }
    return name;
}

/* ---- distances ---- */

static double distance(const attune_space *s, uint32_t a, uint32_t b)
{
    return attune_vector_distance(s->vectors + (size_t)a * s->E, s->vectors + (size_t)b * s->E,
                                  s->E, 0);
}

/* Shares of the triplets whose positive and negative lie in each bin, as a table. */
static attune_status draw_distances(album *a, uint32_t space, uint32_t file)
{
    const attune_triplet_file *f = &a->evaluation->files[file];
    const attune_space *s = &a->evaluation->spaces[space];
    const char *name = add_picture(a, "distances", space + 1, file + 1);
    double counts[2][BINS] = {0}, most = 0;
    double *distances = malloc(((size_t)f->count * 2 + 1) * sizeof(*distances));
    if (!name || !distances) {
        free(distances);
        return attune_fail_memory("a picture", f->count * sizeof(*distances));
    }
    for (uint32_t i = 0; i < f->count; i++) {
        const attune_triplet_rows *t = &f->triplets[i];
        distances[2 * i] = distance(s, t->anchor, t->positive);
        distances[2 * i + 1] = distance(s, t->anchor, t->negative);
        most = fmax(most, fmax(distances[2 * i], distances[2 * i + 1]));
    }
    const double width = most > 0 ? most / BINS : 1;
    for (uint32_t i = 0; i < 2 * f->count; i++) {
        const int bin = (int)(distances[i] / width);
        counts[i % 2][bin < BINS ? bin : BINS - 1] += 1.0 / f->count;
    }
    free(distances);
    fprintf(a->script, "$d%d << EOD\n", a->count);
    for (int i = 0; i < BINS; i++) {
        fprintf(a->script, "%g %g %g\n", (i + 0.5) * width, counts[0][i], counts[1][i]);
    }
    fputs(
        "EOD\nset xlabel 'Euclidean distance'\nset ylabel 'share of the triplets'\nunset logscale\n"
        "set xrange [0:*]\nset yrange [0:*]\nset offsets 0, 0, graph 0.08, 0\nset key top right\n"
        "set style fill solid 1 noborder\n"
        "set title ",
        a->script);
    char title[400];
    snprintf(title, sizeof(title), "%s: %s", s->title, f->section);
    attune_gnuplot_text(a->script, title, ATTUNE_GNUPLOT_TEXT);
    fputs(" noenhanced\n", a->script);
    for (int k = 0; k < ATTUNE_PICTURE_KINDS; k++) {
        attune_gnuplot_output(a->script, name, k, 800, 500);
        fprintf(a->script,
                "plot $d%d using 1:2:(%g) with boxes lc rgb '#a9bdd4' title 'to the positive', "
                "'' using 1:3 with histeps lw 2 lc rgb '#d1500f' title 'to the negative'\n",
                a->count, width);
    }
    return ATTUNE_OK;
}

/* ---- confusion ---- */

static attune_status draw_confusion(album *a, uint32_t space)
{
    const attune_evaluation *e = a->evaluation;
    const int classes = e->label_count[ATTUNE_LABEL_GENRE];
    const uint32_t *counts = e->confusion[space];
    const char *name = add_picture(a, "confusion", space + 1, 0);
    if (!name) {
        return attune_fail_memory("a picture", NAME);
    }
    fprintf(a->script, "$d%d << EOD\n", a->count);
    for (int g = 0; g < classes; g++) {
        double all = 0;
        for (int p = 0; p < classes; p++) {
            all += counts[g * classes + p];
        }
        for (int p = 0; p < classes; p++) {
            fprintf(a->script, "%d %d %g\n", p, g, all > 0 ? counts[g * classes + p] / all : 0);
        }
        fputc('\n', a->script);
    }
    fputs("EOD\nset xtics rotate by 40 right (", a->script);
    for (int axis = 0; axis < 2; axis++) {
        for (int g = 0; g < classes; g++) {
            fputs(g > 0 ? ", " : "", a->script);
            attune_gnuplot_text(a->script, e->genres[g], ATTUNE_GNUPLOT_TEXT);
            fprintf(a->script, " %d", g);
        }
        fputs(axis == 0 ? ") noenhanced\nset ytics (" : ") noenhanced\n", a->script);
    }
    fprintf(a->script,
            "unset logscale\nset offsets 0, 0, 0, 0\nset style fill solid 1\nset xlabel "
            "'predicted'\nset ylabel "
            "'genre'\nset xrange [-0.5:%g]\n"
            "set yrange [%g:-0.5]\nset cbrange [0:1]\nunset key\nunset grid\n"
            "set palette defined (0 'white', 1 '#1f5fa8')\nset title ",
            classes - 0.5, classes - 0.5);
    char title[300];
    snprintf(title, sizeof(title), "%s: genre by the 10 nearest, share of each row",
             e->titles[space]);
    attune_gnuplot_text(a->script, title, ATTUNE_GNUPLOT_TEXT);
    fputs(" noenhanced\n", a->script);
    for (int k = 0; k < ATTUNE_PICTURE_KINDS; k++) {
        attune_gnuplot_output(a->script, name, k, 300 + 45 * classes + (classes < 8 ? 200 : 0),
                              250 + 36 * classes + (classes < 8 ? 80 : 0));
        fprintf(a->script, "plot $d%d using 1:2:3 with image pixels", a->count);
        if (classes <= 24) {
            fprintf(a->script,
                    ", '' using 1:2:(sprintf('%%.2f', $3)):($3 > 0.6 ? 0xffffff : 0x222222) "
                    "with labels font ',9' tc rgb variable");
        }
        fputc('\n', a->script);
    }
    fputs("set xtics norotate autojustify autofreq\nset ytics autofreq\n", a->script);
    attune_gnuplot_style(a->script);
    fputs("set key\n", a->script);
    return ATTUNE_OK;
}

/* ---- recall ---- */

static attune_status draw_recall(album *a, attune_label label, const char *what)
{
    const attune_evaluation *e = a->evaluation;
    static const char *const colours[] = {"#1f5fa8", "#d1500f", "#2d8a4e", "#7a4ea3", "#b08a00"};
    char file[32];
    snprintf(file, sizeof(file), "recall-%s", what);
    const char *name = add_picture(a, file, 0, 0);
    if (!name) {
        return attune_fail_memory("a picture", NAME);
    }
    fprintf(a->script, "$d%d << EOD\n", a->count);
    const uint32_t others = e->n - 1, most = others < MOST_LOOKED_AT ? others : MOST_LOOKED_AT;
    for (int k = 0; k < ATTUNE_RECALL_COUNT && attune_recalls[k] < others; k++) {
        fprintf(a->script, "%u", attune_recalls[k]);
        for (uint32_t s = 0; s < e->space_count; s++) {
            fprintf(a->script, " %g", e->retrievals[s][label].all.recall[k]);
        }
        fputc('\n', a->script);
    }
    if (most == others) { /* among all others there is all that can be found */
        fprintf(a->script, "%u", others);
        for (uint32_t s = 0; s < e->space_count; s++) {
            fputs(" 1", a->script);
        }
        fputc('\n', a->script);
    }
    fprintf(
        a->script,
        "EOD\nset xlabel 'nearest tracks looked at'\nset ylabel 'share of the %s''s others found'\n"
        "set logscale x\nset offsets 0, 0, 0, 0\nset xrange [1:%u]\nset yrange [0:1]\nset key top "
        "left\n"
        "set title 'recall by %s'\n",
        what, most > 2 ? most : 2, what);
    for (int k = 0; k < ATTUNE_PICTURE_KINDS; k++) {
        attune_gnuplot_output(a->script, name, k, 800, 500);
        for (uint32_t s = 0; s < e->space_count; s++) {
            const bool control = s + 1 == e->space_count;
            fprintf(a->script,
                    "%s $d%d using 1:%u with linespoints lw 2 pt 7 ps 0.6 %s lc rgb '%s' title ",
                    s == 0 ? "plot" : ",", a->count, s + 2, control ? "dt 2" : "",
                    control ? "#888888" : colours[s % 5]);
            attune_gnuplot_text(a->script, e->titles[s], ATTUNE_GNUPLOT_TEXT);
            fputs(" noenhanced", a->script);
        }
        fputc('\n', a->script);
    }
    return ATTUNE_OK;
}

static attune_status draw_all(album *a)
{
    static const struct {
        attune_label label;
        const char *name;
    } kinds[] = {{ATTUNE_LABEL_ARTIST, "artist"},
                 {ATTUNE_LABEL_ALBUM, "album"},
                 {ATTUNE_LABEL_GROUP, "group"}};
    const attune_evaluation *e = a->evaluation;
    attune_status status = ATTUNE_OK;
    for (uint32_t s = 0; s + 1 < e->space_count; s++) {
        for (uint32_t i = 0; !status && i < e->options.triplet_count; i++) {
            status = e->files[i].count > 0 ? draw_distances(a, s, i) : ATTUNE_OK;
        }
        if (!status && e->confusion[s]) {
            status = draw_confusion(a, s);
        }
    }
    for (size_t i = 0; !status && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (e->retrievals[0][kinds[i].label].all.anchors > 0) {
            status = draw_recall(a, kinds[i].label, kinds[i].name);
        }
    }
    return status;
}

attune_status attune_pictures_folder(bool *made, const char *folder)
{
    struct stat info;
    *made = mkdir(folder, 0777) == 0;
    if (*made) {
        return ATTUNE_OK;
    }
    const int error = errno; /* stat would say that it is not there */
    if (stat(folder, &info) == 0 && S_ISDIR(info.st_mode)) {
        return ATTUNE_OK;
    }
    return attune_fail(ATTUNE_ECREATE, "%s: %s", folder,
                       error == EEXIST ? "is a file and not a folder; name another for the pictures"
                       : error == ENOENT
                           ? "the folder that it is to be in is not there; make it first"
                           : strerror(error));
}

attune_status attune_evaluation_draw(int *count, const attune_evaluation *evaluation,
                                     const char *folder)
{
    char *text = NULL;
    size_t size = 0;
    album a = {.evaluation = evaluation, .script = open_memstream(&text, &size)};
    attune_status status = a.script ? ATTUNE_OK : attune_fail_memory("a script", 4096);
    if (!status) {
        attune_gnuplot_style(a.script);
        status = draw_all(&a);
        fputs("set output\n", a.script);
        if (fclose(a.script) != 0) {
            status = status ? status : attune_fail_memory("a script", size);
        }
    }
    const char **names = calloc((size_t)a.count + 1, sizeof(*names));
    if (!status && !names) {
        status = attune_fail_memory("pictures", (unsigned long long)a.count);
    }
    for (int i = 0; !status && i < a.count; i++) {
        names[i] = a.names[i];
    }
    if (!status && a.count > 0) {
        status = attune_gnuplot_draw(folder, text, size, names, a.count);
    }
    *count = a.count;
    free(names);
    free(a.names);
    free(text);
    return status;
}
