/* length.h - whether uncompressed audio is as long as its header says.
 *
 * To libav's demuxers a file that was cut short just ends: what is left of it decodes without a
 * word. */
#ifndef ATTUNE_SRC_AUDIO_LENGTH_H
#define ATTUNE_SRC_AUDIO_LENGTH_H

#include "audio/source.h"

/* The seconds that a WAV, AIFF, AU or CAF file, read to its end, lacks of what its header declares;
 * 0 when nothing is missing, or nothing is declared. Seeks in the file: nothing can be read from
 * the container afterwards. */
double attune_audio_missing_seconds(const attune_audio_source *source);

#endif
