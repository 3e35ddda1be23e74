/* error.c - the thread's last error. */
#include "status/error.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char last_error[1024];

const char *attune_last_error(void)
{
    return last_error;
}

const char *attune_version(void)
{
    return ATTUNE_VERSION;
}

const char *attune_status_text(attune_status status)
{
    switch (status) {
#define ATTUNE_X(name, value, text)                                                                \
    case name:                                                                                     \
        return text;
        ATTUNE_STATUSES(ATTUNE_X)
#undef ATTUNE_X
    }
    return "unknown status";
}

void attune_one_line(char *out, unsigned long capacity, const char *text)
{
    unsigned long length = 0;
    if (capacity == 0) {
        return;
    }
    for (; *text && length + 1 < capacity; text++) {
        unsigned char c = (unsigned char)*text;
        out[length++] = (c == '\n' || c == '\r' || c == '\t') ? ' '
                        : (c < 32 || c == 127)                ? '?'
                                                              : *text;
    }
    while (length > 0 && out[length - 1] == ' ') {
        length--;
    }
    out[length] = '\0';
}

attune_status attune_fail(attune_status status, const char *format, ...)
{
    char text[sizeof(last_error)];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    attune_one_line(last_error, sizeof(last_error), text);
    return status;
}

attune_status attune_fail_memory(const char *what, unsigned long long bytes)
{
    return attune_fail(ATTUNE_ENOMEM, "out of memory: %llu bytes for %s", bytes, what);
}
