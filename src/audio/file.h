/* file.h - a regular file, or an entry of an archive, as libav's input.
 *
 * libav gets the bytes from a descriptor of ours and never opens anything by name: what was checked
 * is what is read, a FIFO cannot block, and a name such as "concat:a|b" or "http://x" is only a
 * name. */
#ifndef ATTUNE_SRC_AUDIO_FILE_H
#define ATTUNE_SRC_AUDIO_FILE_H

#include "audio/clock.h"
#include "audio/place.h"

#include <libavformat/avio.h>
#include <stdint.h>

typedef struct attune_audio_file {
    AVIOContext *io;
    attune_audio_clock *clock; /* a read after its end fails with AVERROR_EXIT */
    uint64_t size;             /* bytes, when opened */
    int64_t mtime_ns;          /* since 1970, when opened */
    int descriptor;            /* of the file or its archive; -1 when closed */
    uint64_t base, end;        /* the part of it that is the file: [base, end) */
    uint64_t position;         /* of the next read, within the part */
    uint8_t *bytes;            /* (size,) of a compressed entry; else NULL */
} attune_audio_file;

/* Opens what is at `place`. NULL on success, otherwise why not ("is a folder"), in `reason` (192
 * bytes) or a constant; *file can be closed either way. `file` must not move while it is open. */
const char *attune_audio_file_open(attune_audio_file *file, const attune_audio_place *place,
                                   attune_audio_clock *clock, char reason[192]);

/* Makes file->io. False when memory ran out. */
bool attune_audio_file_start(attune_audio_file *file);

void attune_audio_file_close(attune_audio_file *file);

#endif
