/* archive.c - which tracks the archive has, and their files. */
#include "demo/archive.h"

#include "demo/synthesiser.h"
#include "status/error.h"
#include "status/path.h"
#include "store/new_file.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    SAMPLES = ATTUNE_DEMO_SECONDS * ATTUNE_DEMO_RATE,
    HEADER = 44, /* bytes */
    FILE_SIZE = HEADER + 2 * SAMPLES
};

enum { OF_ARTIST = 3 /* tracks of an artist: two play in each style */ };

/* Of the synthesiser's eight: electronic, folk, hip-hop, rock. */
static const int styles[ATTUNE_DEMO_TRACKS / ATTUNE_DEMO_OF_STYLE] = {0, 2, 3, 7};

static int style_of(int index)
{
    return styles[index / ATTUNE_DEMO_OF_STYLE];
}

void attune_demo_file_name(char name[ATTUNE_DEMO_NAME_SIZE], int index)
{
    snprintf(name, ATTUNE_DEMO_NAME_SIZE, "%s-%d.wav", attune_demo_style_name(style_of(index)),
             index % ATTUNE_DEMO_OF_STYLE + 1);
    for (char *c = name; *c; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
}

int attune_demo_find(const char *name)
{
    for (int i = 0; i < ATTUNE_DEMO_TRACKS; i++) {
        char other[ATTUNE_DEMO_NAME_SIZE];
        attune_demo_file_name(other, i);
        if (strcmp(name, other) == 0) {
            return i;
        }
    }
    return -1;
}

static unsigned char *put(unsigned char *to, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        *to++ = (unsigned char)(value >> 8 * i);
    }
    return to;
}

/* A WAV file of 16-bit samples. */
static void encode(unsigned char file[FILE_SIZE], const float *samples)
{
    unsigned char *to = mempcpy(file, "RIFF", 4);
    to = mempcpy(put(to, FILE_SIZE - 8, 4), "WAVEfmt ", 8);
    to = put(put(put(to, 16, 4), 1, 2), 1, 2); /* bytes that follow; PCM; channels */
    to = put(put(to, ATTUNE_DEMO_RATE, 4), 2 * ATTUNE_DEMO_RATE, 4); /* Hz, bytes a second */
    to = mempcpy(put(put(to, 2, 2), 16, 2), "data", 4);              /* bytes, bits of a sample */
    to = put(to, 2 * SAMPLES, 4);
    for (int i = 0; i < SAMPLES; i++) {
        to = put(to, (uint32_t)lrintf(samples[i] * 32767), 2);
    }
}

/* Whether the file at `path` holds these bytes; *there, whether there is one. */
static attune_status compare(bool *there, const char *path, const unsigned char *bytes)
{
    struct stat info = {0};
    *there = stat(path, &info) == 0 || errno != ENOENT;
    if (!*there) {
        return ATTUNE_OK;
    }
    FILE *file = S_ISREG(info.st_mode) ? fopen(path, "rbe") : NULL; /* a pipe would wait */
    unsigned char *other = malloc(FILE_SIZE + 1);
    attune_status status = other ? ATTUNE_OK : attune_fail_memory("a track", FILE_SIZE);
    if (other && (!file || fread(other, 1, FILE_SIZE + 1, file) != FILE_SIZE ||
                  memcmp(other, bytes, FILE_SIZE) != 0)) {
        status = attune_fail(ATTUNE_ECREATE,
                             "%s: is there and is not the demo's; remove it, or choose another "
                             "folder with -o",
                             path);
    }
    free(other);
    if (file) {
        fclose(file);
    }
    return status;
}

static attune_status make(unsigned char *file, int index)
{
    const int number = index % ATTUNE_DEMO_OF_STYLE;
    const attune_demo_track track = {.seed = 1,
                                     .style = style_of(index),
                                     .artist = (uint32_t)(number / OF_ARTIST),
                                     .number = (uint32_t)number};
    float *samples = malloc(SAMPLES * sizeof(*samples));
    const attune_status status =
        samples ? attune_demo_synthesise(samples, SAMPLES, ATTUNE_DEMO_RATE, &track)
                : attune_fail_memory("a track", SAMPLES * sizeof(*samples));
    if (status == ATTUNE_OK) {
        encode(file, samples);
    }
    free(samples);
    return status;
}

attune_status attune_demo_write(const char *folder, int index)
{
    char name[ATTUNE_DEMO_NAME_SIZE], *path = NULL;
    unsigned char *file = malloc(FILE_SIZE);
    bool there = false;
    attune_status status = file ? make(file, index) : attune_fail_memory("a track", FILE_SIZE);
    attune_demo_file_name(name, index);
    if (status == ATTUNE_OK) {
        status = attune_path_join(&path, folder, name);
    }
    if (status == ATTUNE_OK) {
        status = compare(&there, path, file);
    }
    if (status == ATTUNE_OK && !there) {
        status = attune_new_file_write(path, file, FILE_SIZE, false);
    }
    free(path);
    free(file);
    return status;
}
