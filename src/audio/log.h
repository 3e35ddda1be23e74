/* log.h - what libav says about a file, caught instead of printed.
 *
 * libav has one log callback for the whole process. Ours keeps, for each thread, the most severe
 * message since the last clear (the first one among equals) in the log that the thread has entered.
 * Threads that have entered none, such as those of a program that uses libav itself, keep libav's
 * usual output. */
#ifndef ATTUNE_SRC_AUDIO_LOG_H
#define ATTUNE_SRC_AUDIO_LOG_H

#include <stddef.h>
#include <stdint.h>

typedef struct attune_audio_log {
    int level;      /* of the message, AV_LOG_*; nothing but warnings and worse is kept */
    char text[256]; /* "mp3float: Header missing", one line; "" when there is none */
    /* Errors that a demuxer has logged. It goes on behind the fault, and what it passed over is
     * told by nothing else, so that these stay when the message is forgotten. */
    uint64_t demuxer_errors;
    char demuxer_text[256]; /* the first one's */
} attune_audio_log;

/* Bytes that libav may allocate at once, for a packet, a frame, a table: damaged files ask for
 * more, and 100 hours of MP4 for 400 MB. Set, for the whole process, with the callback. */
#define ATTUNE_AUDIO_ALLOCATION_MAX ((size_t)512 << 20)

/* This thread's messages go to `log` until leave. Not nested. */
void attune_audio_log_enter(attune_audio_log *log);
void attune_audio_log_leave(void);

/* Forgets the message. */
void attune_audio_log_clear(attune_audio_log *log);

/* Forgets the demuxer's errors. */
void attune_audio_log_clear_demuxer(attune_audio_log *log);

#endif
