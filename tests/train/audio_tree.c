/* audio_tree.c - folders of files that are audio by their names, and CSV files beside them. */
#include "tests/train/audio_tree.h"

#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void make_file(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    for (char *c = path + strlen(folder); *c; c++) {
        if (*c == '/') {
            *c = '\0';
            mkdir(path, 0777);
            *c = '/';
        }
    }
    write_file(path, "", 0);
}

char *make_tree(const char *name, const char *files)
{
    char *folder = temporary_path(name), *list = strdup(files), *rest = NULL;
    cr_assert_not_null(list);
    mkdir(folder, 0777);
    for (char *file = strtok_r(list, " ", &rest); file; file = strtok_r(NULL, " ", &rest)) {
        make_file(folder, file);
    }
    free(list);
    return folder;
}

char *make_text(const char *name, const char *text)
{
    char *path = temporary_path(name);
    write_file(path, text, strlen(text));
    return path;
}

attune_tracks *open_tracks(const char *folder)
{
    attune_tracks *tracks = NULL;
    assert_ok(attune_tracks_open(&tracks, folder));
    return tracks;
}

void assert_refused(attune_status status, attune_status expected, const char *text)
{
    cr_assert_eq(status, expected, "status %d, not %d: %s", (int)status, (int)expected,
                 attune_last_error());
    cr_assert(strstr(attune_last_error(), text), "\"%s\" does not say \"%s\"", attune_last_error(),
              text);
}
