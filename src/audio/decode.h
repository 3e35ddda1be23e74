/* decode.h - the state of one file, and its next step from packet to samples. */
#ifndef ATTUNE_SRC_AUDIO_DECODE_H
#define ATTUNE_SRC_AUDIO_DECODE_H

#include "attune/audio.h"
#include "audio/place.h"
#include "audio/resample.h"
#include "audio/source.h"

/* What to do next. */
typedef enum attune_audio_phase {
    ATTUNE_AUDIO_SEND,    /* read a packet, give it to the decoder */
    ATTUNE_AUDIO_RECEIVE, /* get frames from the decoder, until it wants a packet */
    ATTUNE_AUDIO_CONVERT, /* resample the frame that is waiting */
    ATTUNE_AUDIO_FLUSH,   /* get the resampler's last samples */
    ATTUNE_AUDIO_END,
} attune_audio_phase;

struct attune_audio {
    attune_audio_source source;
    attune_resampler resampler;
    attune_audio_result *result; /* the caller's */
    AVPacket *packet;
    AVFrame *frame;
    attune_audio_phase phase;
    bool draining; /* the decoder has been told that no packet follows */
    int drain_failures;
    int sample_rate;     /* Hz of the output */
    uint64_t position;   /* output samples so far, clipped or not */
    uint64_t clip_start; /* the part [clip_start, clip_end) of them is delivered */
    uint64_t clip_end;
    float *pending; /* (pending_count,) delivered from pending_read on */
    size_t pending_capacity, pending_read, pending_count;
    uint64_t skipped;   /* packets that could not be decoded */
    uint64_t kept;      /* packets with a wrong checksum */
    char damage[384];   /* the first skipped packet's reason */
    char mismatch[256]; /* the first kept packet's */
    uint64_t passed;    /* places of the container that the demuxer passed over */
    char stop[448];     /* why reading ended before the file did; "" when it did not */
};

/* ATTUNE_EINVAL for options that no file can be opened with. */
attune_status attune_audio_check_options(const attune_audio_options *options);

/* attune_audio_open and attune_audio_probe, also of an archive's entry. */
attune_status attune_audio_open_at(attune_audio **out, const attune_audio_place *place,
                                   const attune_audio_options *options,
                                   attune_audio_result *result);
bool attune_audio_probe_at(const attune_audio_place *place);

/* Reads what one step gives, perhaps nothing; *ended when nothing will follow. */
attune_status attune_audio_step(attune_audio *audio, float *samples, size_t *count, size_t room,
                                bool *ended);

/* One step on: *count samples, at most `room`, were written to `samples`; others may be pending.
 * Not at the end, and only when nothing is pending. The file's own faults end up in audio->result.
 */
attune_status attune_audio_advance(attune_audio *audio, float *samples, size_t *count, size_t room);

#endif
