/* json.h - JSON strings of what need not be UTF-8, as names of files. */
#ifndef ATTUNE_SRC_STATUS_JSON_H
#define ATTUNE_SRC_STATUS_JSON_H

#include <jansson.h>

/* With U+FFFD for every byte that is not UTF-8; NULL without memory. */
json_t *attune_json_text(const char *bytes);

#endif
