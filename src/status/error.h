/* error.h - how a failing line says what failed.
 *
 * The line that fails formats the message, once; callers pass the code up. */
#ifndef ATTUNE_SRC_STATUS_ERROR_H
#define ATTUNE_SRC_STATUS_ERROR_H

#include "attune/status.h"

/* Formats this thread's last error and returns `status`:
 *     return attune_fail(ATTUNE_EDATA, "%s: not an ONNX file", path); */
attune_status attune_fail(attune_status status, const char *format, ...) ATTUNE_PRINTF(2, 3);

/* attune_fail(ATTUNE_ENOMEM, ...) for `bytes` wanted for `what`. */
attune_status attune_fail_memory(const char *what, unsigned long long bytes);

/* Copies `text` to `out` (capacity bytes, always terminated) with control characters replaced by
 * '?' and line breaks by spaces, so that a message stays one line. Bytes above 127 pass: names need
 * not be UTF-8. */
void attune_one_line(char *out, unsigned long capacity, const char *text);

#endif
