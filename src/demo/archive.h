/* archive.h - a small archive to try attune with: 24 tracks of 10 s as WAV files, six in each of
 * four styles, three by each of two artists. */
#ifndef ATTUNE_SRC_DEMO_ARCHIVE_H
#define ATTUNE_SRC_DEMO_ARCHIVE_H

#include "attune/status.h"

#include <stdbool.h>

enum {
    ATTUNE_DEMO_TRACKS = 24,
    ATTUNE_DEMO_OF_STYLE = 6, /* tracks; those of a style follow one another */
    ATTUNE_DEMO_SECONDS = 10,
    ATTUNE_DEMO_RATE = 22050, /* Hz; what the network hears */
    ATTUNE_DEMO_NAME_SIZE = 32
};

/* "folk-1.wav", of track 0 <= index < ATTUNE_DEMO_TRACKS; names are in the order of strcmp. */
void attune_demo_file_name(char name[ATTUNE_DEMO_NAME_SIZE], int index);

/* The track of that name, -1 if none has it. */
int attune_demo_find(const char *name);

/* Writes track `index` below `folder`, 16 bits, mono. A file that is there stays when it is the
 * same; when it is another, ATTUNE_ECREATE. */
attune_status attune_demo_write(const char *folder, int index);

#endif
