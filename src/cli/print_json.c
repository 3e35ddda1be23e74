/* print_json.c - JSON on standard output. */
#include "cli/print_json.h"

#include "status/error.h"

#include <stdio.h>
#include <stdlib.h>

attune_status print_json(json_t *object)
{
    char *text = json_dumps(object, JSON_INDENT(2));
    json_decref(object);
    if (!text) {
        return attune_fail_memory("JSON", 0);
    }
    puts(text);
    free(text);
    return ATTUNE_OK;
}
