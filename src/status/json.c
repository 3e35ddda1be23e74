/* json.c - texts that need not be UTF-8, numbers that need not be finite. */
#include "status/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Length of the UTF-8 sequence at `s`, 0 if there is none. jansson judges the finer points
 * (overlong forms, surrogates); this only finds where a sequence would end. */
static size_t sequence_length(const unsigned char *s)
{
    const size_t length = s[0] < 0x80   ? 1
                          : s[0] < 0xc2 ? 0
                          : s[0] < 0xe0 ? 2
                          : s[0] < 0xf0 ? 3
                          : s[0] < 0xf5 ? 4
                                        : 0;
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return length;
}

json_t *attune_json_text(const char *bytes)
{
    json_t *text = json_string(bytes);
    if (text) {
        return text;
    }
    char *clean = malloc(3 * strlen(bytes) + 1), *to = clean;
    if (!clean) {
        return NULL;
    }
    for (const unsigned char *s = (const unsigned char *)bytes; *s;) {
        const size_t length = sequence_length(s);
        json_t *piece = length ? json_stringn((const char *)s, length) : NULL;
        to = piece ? mempcpy(to, s, length) : mempcpy(to, "\xef\xbf\xbd", 3);
        s += piece ? length : 1;
        json_decref(piece);
    }
    *to = '\0';
    text = json_string(clean);
    free(clean);
    return text;
}

json_t *attune_json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}
