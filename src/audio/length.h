/* length.h - whether audio is as long as its header says.
 *
 * To libav's demuxers uncompressed audio that was cut short just ends: what is left of it decodes
 * without a word. Looked at are WAV (RF64 too), Wave64, AIFF, AU and CAF. And FLAC behind which a
 * tag of another format stands looks damaged, though nothing of it is lost. */
#ifndef ATTUNE_SRC_AUDIO_LENGTH_H
#define ATTUNE_SRC_AUDIO_LENGTH_H

#include "audio/source.h"

/* The bytes of samples that the header of a WAV or Wave64 file declares; 0 when it does not, and
 * for other formats. `format` was just opened; what it reads next stays the same. */
int64_t attune_audio_declared_bytes(AVFormatContext *format);

/* The seconds that a file, read to its end, lacks of what its header declares; 0 when nothing is
 * missing, or nothing is declared. */
double attune_audio_missing_seconds(const attune_audio_source *source);

/* Whether all samples that the header of a FLAC file declares were decoded. */
bool attune_audio_is_whole(const attune_audio_source *source);

#endif
