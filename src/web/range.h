/* range.h - which part of something a Range header asks for (RFC 9110, 14.2). */
#ifndef ATTUNE_SRC_WEB_RANGE_H
#define ATTUNE_SRC_WEB_RANGE_H

#include <stddef.h>

typedef enum attune_web_part {
    ATTUNE_WEB_WHOLE,   /* all of it: no header, one that is not understood, or several ranges */
    ATTUNE_WEB_PART,    /* *count bytes from *first on, at least one */
    ATTUNE_WEB_NOTHING, /* the range lies behind the end */
} attune_web_part;

/* Of something of `size` bytes. `header` may be NULL. */
attune_web_part attune_web_range(size_t *first, size_t *count, const char *header, size_t size);

#endif
