/* audio_name.h - what a file's extension says about it: the cheap look before its content. */
#ifndef ATTUNE_SRC_ENGINE_AUDIO_NAME_H
#define ATTUNE_SRC_ENGINE_AUDIO_NAME_H

typedef enum attune_audio_name {
    ATTUNE_AUDIO_NAME_UNKNOWN, /* look at the content */
    ATTUNE_AUDIO_NAME_YES,
    ATTUNE_AUDIO_NAME_NO,
} attune_audio_name;

/* `name` is a file name without folders; case does not matter. */
attune_audio_name attune_audio_name_kind(const char *name);

#endif
