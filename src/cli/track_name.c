/* track_name.c - names for players. */
#include "cli/track_name.h"

#include "audio/place.h"
#include "status/error.h"
#include "status/json.h"
#include "status/path.h"

#include <stdlib.h>
#include <string.h>

char *track_location(const char *root, const char *path)
{
    const size_t length = strlen(root);
    char *location = malloc(length + strlen(path) + 2);
    if (location) {
        const bool below = *path != '/' && length > 0;
        char *to = below ? stpcpy(location, root) : location;
        to = below && root[length - 1] != '/' ? stpcpy(to, "/") : to;
        strcpy(to, path);
    }
    return location;
}

char *track_text(const char *path)
{
    const size_t capacity = strlen(path) + 1;
    char *line = malloc(capacity), *text = NULL;
    json_t *clean = NULL;
    if (line) {
        attune_one_line(line, capacity, path);
        clean = attune_json_text(line);
        text = clean ? strdup(json_string_value(clean)) : NULL;
    }
    json_decref(clean);
    free(line);
    return text;
}

char *track_title(const char *path)
{
    char *title = track_text(attune_file_name(path));
    char *dot = title ? strrchr(title, '.') : NULL;
    if (dot && dot != title) {
        *dot = '\0';
    }
    return title;
}

void write_url(FILE *stream, const char *location)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789-._~/";
    fputs(*location == '/' ? "file://" : "", stream);
    for (; *location; location++) {
        if (strchr(plain, *location)) {
            fputc(*location, stream);
        } else {
            fprintf(stream, "%%%02X", (unsigned)(unsigned char)*location);
        }
    }
}

bool fits_playlist(const char *location)
{
    const size_t length = strlen(location);
    for (const char *at = location; *at; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f) {
            return false;
        }
    }
    json_t *text = json_string(location); /* refuses what is not UTF-8 */
    const bool utf8 = text != NULL;
    json_decref(text);
    /* players drop spaces at the end and take a first '#' for a comment */
    return utf8 && *location == '/' && location[length - 1] != ' ';
}

bool is_in_archive(const char *location)
{
    return attune_audio_place_of(location).archive_length > 0;
}
