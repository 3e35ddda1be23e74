/* nearest_page.h - tracks as one page of HTML with a player each. It needs no script and nothing
 * from elsewhere, and follows the reader's choice of light or dark. */
#ifndef ATTUNE_SRC_CLI_NEAREST_PAGE_H
#define ATTUNE_SRC_CLI_NEAREST_PAGE_H

#include "cli/nearest.h"

#include <stdio.h>

/* False without memory. */
bool nearest_page_begin(FILE *stream, const nearest_arguments *a);
bool nearest_page_track(FILE *stream, const char *root, const char *path, double cosine);
void nearest_page_end(FILE *stream);

#endif
