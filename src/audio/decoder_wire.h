/* decoder_wire.h - what is said between a decoder and its process: structures as they lie in
 * memory, for both are the same program of the same version, which the greeting makes sure of.
 *
 *   process: greeting
 *   decoder: request, path          process: answer, samples ... answer (SAMPLES_END), ending
 *                                   process: answer (PROBED) */
#ifndef ATTUNE_SRC_AUDIO_DECODER_WIRE_H
#define ATTUNE_SRC_AUDIO_DECODER_WIRE_H

#include "attune/audio.h"

typedef struct attune_decoder_greeting {
    char version[24];
    uint32_t sizes; /* of the structures below */
} attune_decoder_greeting;

typedef struct attune_decoder_request {
    uint32_t path_length, archive_length; /* see place.h */
    uint64_t position;
    attune_audio_options options;
    bool probe;
} attune_decoder_request;

enum { ATTUNE_DECODER_SAMPLES, ATTUNE_DECODER_END, ATTUNE_DECODER_PROBED };

typedef struct attune_decoder_answer {
    uint32_t kind;
    uint32_t count;         /* of samples that follow; of PROBED, whether it is audio */
    double decoded_seconds; /* of audio so far, that before the clip included */
} attune_decoder_answer;

typedef struct attune_decoder_ending {
    attune_status status;
    char failure[512]; /* when the status is not ATTUNE_OK */
    attune_audio_result result;
} attune_decoder_ending;

enum {
    ATTUNE_DECODER_SIZES = sizeof(attune_decoder_request) + sizeof(attune_decoder_answer) * 1000 +
                           sizeof(attune_decoder_ending) * 100000
};

/* Sends all of it; false when the other side is gone. */
bool attune_decoder_say(int socket, const void *bytes, size_t size);

#endif
