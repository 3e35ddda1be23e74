/* picture.c - the map as gnuplot draws it, in a folder of its own, with the page's colours. */
#include "map/drawing.h"

#include "plot/gnuplot.h"
#include "status/error.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COLOURS = 12, TITLE = 80 };

#define PICTURE "map" /* in its own folder */

static const char *const palette[COLOURS] = {"#4e79a7", "#f28e2b", "#59a14f", "#e15759",
                                             "#b07aa1", "#2fa7a0", "#d4b02a", "#ff8fa3",
                                             "#9c755f", "#6f8fe0", "#c2508f", "#8cd17d"};
static const char grey[] = "#8d949c";

/* Colour numbers of the colouring's first titles; -1 is grey. Groups behind the last share it. */
static uint32_t choose_colours(int *colours, const attune_map_colouring *c)
{
    uint32_t groups = 0;
    for (int colour = 0; groups < c->count && colour < COLOURS; groups++) {
        const char *title = c->titles[groups];
        const bool known = strcmp(title, "not known") != 0 && strcmp(title, "no folder") != 0;
        colours[groups] = known ? colour++ : -1;
    }
    return groups;
}

static void write_points(FILE *script, const attune_drawing *d, uint32_t groups)
{
    const attune_map_colouring *c = &d->colourings[d->by];
    for (uint32_t g = 0; g <= groups; g++) {
        fprintf(script, "$d%u << EOD\n", g);
        for (uint32_t i = 0; i < d->tracks->n; i++) {
            const uint32_t own = c->number[i] < groups ? c->number[i] : groups;
            if (own == g) {
                fprintf(script, "%g %g\n", (double)d->positions[2 * (size_t)i],
                        (double)d->positions[2 * (size_t)i + 1]);
            }
        }
        fputs("EOD\n", script);
    }
}

static void write_script(FILE *script, const attune_drawing *d, int kind)
{
    const attune_map_colouring *c = &d->colourings[d->by];
    int colours[COLOURS + 2];
    const uint32_t groups = choose_colours(colours, c), n = d->tracks->n;
    const double size = fmin(0.9, fmax(0.12, 16 / sqrt(n)));
    write_points(script, d, groups);
    attune_gnuplot_style(script);
    attune_gnuplot_output(script, PICTURE, kind, 1100, 800);
    fputs("unset grid\nunset border\nunset tics\nset size ratio -1\nset offsets graph 0.02, 0.02, "
          "0.02, 0.02\n"
          "set key outside right top nobox Left reverse spacing 1.1 samplen 1 width -2 textcolor "
          "rgb '#222222'\nset title ",
          script);
    attune_gnuplot_text(script, d->title, TITLE);
    fputs(" noenhanced\n", script);
    uint32_t others = 0;
    for (uint32_t g = groups; g < c->count; g++) {
        others += c->sizes[g];
    }
    const char *sep = "plot";
    for (uint32_t g = 0; g < groups + (others > 0); g++) {
        char name[61], title[120];
        if (g < groups) {
            attune_gnuplot_line(name, sizeof(name), c->titles[g]);
            snprintf(title, sizeof(title), "%s (%u)", name, c->sizes[g]);
        } else {
            snprintf(title, sizeof(title), "%u others (%u)", c->count - groups, others);
        }
        fprintf(script,
                "%s $d%u using 1:2 with points pt 7 ps %g lc rgb '%s' notitle, NaN with "
                "points pt 7 ps 1.2 lc rgb '%s' title ",
                sep, g, size, g < groups && colours[g] >= 0 ? palette[colours[g]] : grey,
                g < groups && colours[g] >= 0 ? palette[colours[g]] : grey);
        attune_gnuplot_text(script, title, TITLE);
        fputs(" noenhanced", script);
        sep = ",";
    }
    fputs("\nset output\n", script);
}

/* Copies a file that gnuplot has made to `out`, which is to be `name`, and removes it. */
static attune_status take(FILE *out, const char *path, const char *name)
{
    char bytes[65536];
    FILE *in = fopen(path, "rb");
    size_t got = 0;
    bool fine = in;
    while (fine && (got = fread(bytes, 1, sizeof(bytes), in)) > 0) {
        fine = fwrite(bytes, 1, got, out) == got;
    }
    fine = fine && !ferror(in);
    const int error = errno;
    if (in) {
        fclose(in);
    }
    unlink(path);
    return fine ? ATTUNE_OK
                : attune_fail(ATTUNE_EIO, "%s: cannot copy the picture: %s", name, strerror(error));
}

attune_status attune_picture_write(FILE *out, const attune_drawing *drawing, int kind,
                                   const char *name)
{
    const char *temporary = getenv("TMPDIR");
    char folder[200], picture[300], path[512];
    char *text = NULL;
    size_t size = 0;
    snprintf(folder, sizeof(folder), "%.150s/attune-map-XXXXXX",
             temporary && *temporary ? temporary : "/tmp");
    FILE *script = open_memstream(&text, &size);
    if (!script) {
        return attune_fail_memory("a script", 4096);
    }
    write_script(script, drawing, kind);
    if (fclose(script) != 0) {
        free(text);
        return attune_fail_memory("a script", size);
    }
    attune_status status = mkdtemp(folder) ? ATTUNE_OK
                                           : attune_fail(ATTUNE_ECREATE, "%s: cannot create: %s",
                                                         folder, strerror(errno));
    if (status == ATTUNE_OK) {
        status = attune_gnuplot_run(folder, name, text, size);
        attune_gnuplot_temporary(picture, PICTURE, kind);
        snprintf(path, sizeof(path), "%s/%s", folder, picture);
        if (status == ATTUNE_OK && !attune_gnuplot_is_whole(AT_FDCWD, path, kind)) {
            status = attune_fail(ATTUNE_EIO,
                                 "%s: nothing is drawn: the picture is cut short; is "
                                 "the disk of %s full?",
                                 name, folder);
        }
        status = status == ATTUNE_OK ? take(out, path, name) : status;
        unlink(path);
        rmdir(folder);
    }
    free(text);
    return status;
}
