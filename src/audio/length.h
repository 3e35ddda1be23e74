/* length.h - whether uncompressed audio is as long as its header says.
 *
 * To libav's demuxers a file that was cut short just ends: what is left of it decodes without a
 * word. Looked at are WAV (RF64 too), Wave64, AIFF, AU and CAF. */
#ifndef ATTUNE_SRC_AUDIO_LENGTH_H
#define ATTUNE_SRC_AUDIO_LENGTH_H

#include "audio/source.h"

/* The bytes of samples that the header of a WAV or Wave64 file declares; 0 when it does not, and
 * for other formats. `format` was just opened; what it reads next stays the same. */
int64_t attune_audio_declared_bytes(AVFormatContext *format);

/* The seconds that a file, read to its end, lacks of what its header declares; 0 when nothing is
 * missing, or nothing is declared. */
double attune_audio_missing_seconds(const attune_audio_source *source);

#endif
