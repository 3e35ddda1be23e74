/* page.h - the page's files, which the program contains: all of src/judge/page. */
#ifndef ATTUNE_SRC_JUDGE_PAGE_H
#define ATTUNE_SRC_JUDGE_PAGE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct attune_page_file {
    const char *type; /* "text/javascript; charset=utf-8" */
    const char *bytes;
    size_t size;
} attune_page_file;

/* "/judge.js"; index.html is "/", and NAME.html is "/NAME". False when there is no such file. */
bool attune_page_find(attune_page_file *out, const char *path);

#endif
