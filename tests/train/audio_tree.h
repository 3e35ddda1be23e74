/* audio_tree.h - folders of files that are audio by their names, and CSV files beside them. */
#ifndef ATTUNE_TESTS_TRAIN_AUDIO_TREE_H
#define ATTUNE_TESTS_TRAIN_AUDIO_TREE_H

#include "train/tracks.h"

/* Makes empty files, and the folders above them, below "<temporary folder>/<name>"; `files` are
 * separated by blanks. Returns the folder, malloc'ed. */
char *make_tree(const char *name, const char *files);

/* Makes an empty file with its folders. */
void make_file(const char *folder, const char *name);

/* Writes text to "<temporary folder>/<name>"; returns its path, malloc'ed. */
char *make_text(const char *name, const char *text);

/* Opens a tree; asserts that it can be. */
attune_tracks *open_tracks(const char *folder);

/* Asserts a status and that the last error holds `text`. */
void assert_refused(attune_status status, attune_status expected, const char *text);

#endif
