/* gnuplot.h - pictures drawn by gnuplot, each as PNG and as SVG. */
#ifndef ATTUNE_SRC_PLOT_GNUPLOT_H
#define ATTUNE_SRC_PLOT_GNUPLOT_H

#include "attune/status.h"

#include <stdbool.h>
#include <stdio.h>

enum {
    ATTUNE_PICTURE_KINDS = 2, /* png, svg */
    ATTUNE_GNUPLOT_TEXT = 200
};

/* Script lines that send what follows to picture `name` of a kind, in pixels. */
void attune_gnuplot_output(FILE *script, const char *name, int kind, int width, int height);

/* What gnuplot writes of picture `name` until it is whole, in the folder in which it runs. */
void attune_gnuplot_temporary(char temporary[300], const char *name, int kind);

/* `text` made one line of UTF-8 that XML can hold, with U+FFFD for what is neither, and cut at a
 * character to at most size - 1 bytes. */
void attune_gnuplot_line(char *line, size_t size, const char *text);

/* Such a line (size <= ATTUNE_GNUPLOT_TEXT) in the quotes in which gnuplot executes nothing. What
 * its enhanced text takes for orders is to be off. */
void attune_gnuplot_text(FILE *script, const char *text, size_t size);

/* Lines that make all our pictures look alike. */
void attune_gnuplot_style(FILE *script);

/* Runs a script (size bytes) in `folder`, and waits. Pictures (count) are the names given to
 * attune_gnuplot_output; each replaces an old one only when all are whole. Without gnuplot
 * ATTUNE_ECONFIG; what else goes wrong is ATTUNE_EIO. */
attune_status attune_gnuplot_draw(const char *folder, const char *script, size_t size,
                                  const char *const *pictures, int count);

/* Whether the picture `name`, below a folder that is open, ends as its kind does: on a full disk
 * gnuplot cuts it short, and says nothing. */
bool attune_gnuplot_is_whole(int directory, const char *name, int kind);

/* Runs a script in `folder`, and waits; what it draws is the caller's. The same statuses, of which
 * messages say that they are about `name`. */
attune_status attune_gnuplot_run(const char *folder, const char *name, const char *script,
                                 size_t size);

#endif
