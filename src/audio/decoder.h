/* decoder.h - decoding in a process of its own.
 *
 * A crash inside a decoder then costs one file, a hang is ended from outside, and memory has a
 * limit of its own. The process runs the same code as attune_audio, so the samples are the same
 * bits. It is started by posix_spawn and so inherits neither threads, locks nor open files, stays
 * for many files, and is replaced after one that it did not survive.
 *
 * A decoder belongs to one thread, the one that uses it first: its process ends with that thread.
 * As with attune_audio, a fault of a file is in its result and the functions return ATTUNE_OK. */
#ifndef ATTUNE_SRC_AUDIO_DECODER_H
#define ATTUNE_SRC_AUDIO_DECODER_H

#include "attune/audio.h"
#include "audio/place.h"

typedef struct attune_decoder attune_decoder;

/* Bytes that a decoding process may map beyond what it maps at its start. */
#define ATTUNE_DECODER_MEMORY ((uint64_t)2 << 30)

/* `program` is the attune command; it is started when it is first needed. The string must outlive
 * *out. */
attune_status attune_decoder_create(attune_decoder **out, const char *program);

/* Begins a file, like attune_audio_open_at; *more is false when there is nothing to read.
 * ATTUNE_ECONFIG when the program cannot be started. `result` must outlive the reading. */
attune_status attune_decoder_begin(attune_decoder *decoder, bool *more,
                                   const attune_audio_place *place,
                                   const attune_audio_options *options,
                                   attune_audio_result *result);

/* Like attune_audio_read, but may give fewer samples than there are; `result` is set at the end. */
attune_status attune_decoder_read(attune_decoder *decoder, float *samples, size_t capacity,
                                  size_t *count);

/* Like attune_audio_probe_at, which it is when `decoder` is NULL; also true when the probe crashes,
 * so that the file is not passed over in silence. */
attune_status attune_decoder_probe(attune_decoder *decoder, bool *found,
                                   const attune_audio_place *place);

/* Ends the process. NULL-safe. */
void attune_decoder_close(attune_decoder *decoder);

/* The process itself: answers on the socket that is its standard input, until that is closed.
 * Returns its exit code. */
int attune_decoder_serve(void);

#endif
