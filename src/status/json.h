/* json.h - JSON of what it has no word for: names of files that are not UTF-8, numbers that are not
 * finite. */
#ifndef ATTUNE_SRC_STATUS_JSON_H
#define ATTUNE_SRC_STATUS_JSON_H

#include <jansson.h>

/* With U+FFFD for every byte that is not UTF-8; NULL without memory. */
json_t *attune_json_text(const char *bytes);

/* null where it is not finite; NULL without memory. */
json_t *attune_json_number(double value);

#endif
