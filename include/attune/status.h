/* status.h - status codes and error text.
 *
 * Every function that can fail returns an attune_status. When it is not ATTUNE_OK,
 * attune_last_error() gives one line, for this thread, that says which file, what is wrong and what
 * to do. Bad input and a bad environment are statuses; a broken invariant of our own is an assert.
 */
#ifndef ATTUNE_STATUS_H
#define ATTUNE_STATUS_H

#if defined(__GNUC__)
#define ATTUNE_API __attribute__((visibility("default")))
#define ATTUNE_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define ATTUNE_API
#define ATTUNE_PRINTF(text, first)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, value, text) */
#define ATTUNE_STATUSES(X)                                                                         \
    X(ATTUNE_OK, 0, "ok")                                                                          \
    X(ATTUNE_EINVAL, -1, "invalid argument")                                                       \
    X(ATTUNE_ENOMEM, -2, "out of memory")                                                          \
    X(ATTUNE_ENOINPUT, -3, "no input")                                                             \
    X(ATTUNE_EDATA, -4, "bad data")                                                                \
    X(ATTUNE_ECREATE, -5, "cannot create")                                                         \
    X(ATTUNE_EIO, -6, "input or output error")                                                     \
    X(ATTUNE_ECONFIG, -7, "configuration")                                                         \
    X(ATTUNE_ENODEVICE, -8, "no such device")                                                      \
    X(ATTUNE_ESTOPPED, -9, "stopped early")                                                        \
    X(ATTUNE_EINTERNAL, -10, "internal error")

typedef enum attune_status {
#define ATTUNE_X(name, value, text) name = value,
    ATTUNE_STATUSES(ATTUNE_X)
#undef ATTUNE_X
} attune_status;

/* The status in words ("bad data"); never NULL. */
ATTUNE_API const char *attune_status_text(attune_status status);

/* The message of the last failure in this thread, "" if there was none. Valid until the thread's
 * next failure. Never NULL. */
ATTUNE_API const char *attune_last_error(void);

/* The library's version, "0.1.0". */
ATTUNE_API const char *attune_version(void);

#ifdef __cplusplus
}
#endif
#endif
