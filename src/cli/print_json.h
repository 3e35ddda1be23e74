/* print_json.h - JSON on standard output. */
#ifndef ATTUNE_SRC_CLI_PRINT_JSON_H
#define ATTUNE_SRC_CLI_PRINT_JSON_H

#include "attune/status.h"

#include <jansson.h>

/* Prints an object, indented, and takes it; NULL, as its makers return without memory, is
 * ATTUNE_ENOMEM. Whether standard output took it, main.c asks at the end. */
attune_status print_json(json_t *object);

#endif
