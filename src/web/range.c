/* range.c - "bytes=FIRST-LAST", "bytes=FIRST-" and "bytes=-COUNT". */
#include "web/range.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Reads digits; numbers beyond size_t stay at its end, which is behind everything. */
static bool take_number(size_t *out, const char **text)
{
    const char *at = *text;
    size_t value = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        const size_t digit = (size_t)(*at - '0');
        value = value > (SIZE_MAX - digit) / 10 ? SIZE_MAX : value * 10 + digit;
    }
    const bool found = at != *text;
    *text = at;
    *out = value;
    return found;
}

attune_web_part attune_web_range(size_t *first, size_t *count, const char *header, size_t size)
{
    static const char unit[] = "bytes=";
    size_t from = 0, to = SIZE_MAX;
    *first = 0;
    *count = size;
    if (!header || strncmp(header, unit, sizeof(unit) - 1) != 0) {
        return ATTUNE_WEB_WHOLE;
    }
    const char *at = header + sizeof(unit) - 1;
    const bool has_first = take_number(&from, &at);
    if (*at++ != '-') {
        return ATTUNE_WEB_WHOLE;
    }
    const bool has_last = take_number(&to, &at);
    if (*at || (!has_first && !has_last) || (has_first && has_last && to < from)) {
        return ATTUNE_WEB_WHOLE;
    }
    if (!has_first) { /* the last `to` bytes */
        from = to < size ? size - to : 0;
        from = to == 0 ? size : from;
        to = SIZE_MAX;
    } else if (!has_last) {
        to = SIZE_MAX;
    }
    if (from >= size) {
        return ATTUNE_WEB_NOTHING;
    }
    *first = from;
    *count = (to < size ? to + 1 : size) - from;
    return ATTUNE_WEB_PART;
}
