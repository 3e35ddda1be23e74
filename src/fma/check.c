/* check.c - the tree against the metadata, both ways, and bytes against published sums. */
#include "fma/check.h"

#include "status/digest.h"
#include "status/error.h"
#include "status/path.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *attune_fma_finding_name(attune_fma_finding finding)
{
    static const char *const names[ATTUNE_FMA_FINDING_COUNT] = {
#define ATTUNE_X(name, text) text,
        ATTUNE_FMA_FINDINGS(ATTUNE_X)
#undef ATTUNE_X
    };
    return names[finding];
}

static void report(attune_fma_check *check, attune_fma_finding finding, const char *path,
                   const char *why)
{
    check->found[finding]++;
    check->on_finding(check->user, finding, path, why);
}

/* ---- metadata to files ---- */

/* Whether there is something to compare with a sum. */
static bool check_track(attune_fma_check *check, const attune_fma_track *track, const char *path,
                        attune_fma_subset subset)
{
    struct stat info;
    check->tracks++;
    if (stat(path, &info) != 0) {
        report(check, errno == ENOENT || errno == ENOTDIR ? ATTUNE_FMA_MISSING : ATTUNE_FMA_DAMAGED,
               path, strerror(errno));
        return false;
    }
    if (!S_ISREG(info.st_mode)) {
        report(check, ATTUNE_FMA_DAMAGED, path, "is no file");
        return false;
    }
    if (info.st_size == 0) {
        report(check, ATTUNE_FMA_EMPTY, path, "zero bytes");
        return false;
    }
    if (subset != ATTUNE_FMA_FULL && attune_fma_is_bad_clip(track->id)) {
        report(check, ATTUNE_FMA_BAD_CLIP, path,
               "known to be short or without audio, as it was published");
    }
    return true;
}

/* present (tracks of the metadata): which have a file. */
static attune_status check_tracks(attune_fma_check *check, bool *present, const char *folder,
                                  attune_fma_subset subset)
{
    attune_status status = ATTUNE_OK;
    for (int32_t i = 0; status == ATTUNE_OK && i < attune_fma_count(check->fma); i++) {
        const attune_fma_track *track = &attune_fma_tracks(check->fma)[i];
        char name[ATTUNE_FMA_PATH_SIZE], *path = NULL;
        if (track->subset <= subset) {
            attune_fma_path_of(name, track->id);
            status = attune_path_join(&path, folder, name);
            if (status == ATTUNE_OK) {
                present[i] = check_track(check, track, path, subset);
            }
            free(path);
        }
    }
    return status;
}

/* ---- files to metadata ---- */

/* Why a file, by its name below the folder, belongs to no track of the subset; NULL if it does. */
static const char *why_unknown(const attune_fma *fma, const char *name, attune_fma_subset subset)
{
    char expected[ATTUNE_FMA_PATH_SIZE];
    const attune_fma_track *track = attune_fma_find_file(fma, name);
    if (strcmp(name, "checksums") == 0 || strcmp(name, "README.txt") == 0) {
        return NULL;
    }
    if (!track) {
        return "belongs to no track of tracks.csv";
    }
    attune_fma_path_of(expected, track->id);
    return strcmp(name, expected) != 0 ? "is not where its track should be"
           : track->subset > subset    ? "its track is not in this subset"
                                       : NULL;
}

static attune_status check_files(attune_fma_check *check, const char *folder,
                                 attune_fma_subset subset)
{
    char *const roots[] = {(char *)folder, NULL}; /* fts does not change it */
    const size_t length = strlen(folder) + (folder[strlen(folder) - 1] != '/');
    attune_status status = ATTUNE_OK;
    FTS *walk = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, NULL);
    const FTSENT *entry = NULL;
    if (!walk) {
        return attune_fail(ATTUNE_EIO, "%s: cannot read: %s", folder, strerror(errno));
    }
    while (status == ATTUNE_OK && (errno = 0, entry = fts_read(walk)) != NULL) {
        if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR) {
            status = attune_fail(ATTUNE_EIO, "%s: cannot read: %s", entry->fts_path,
                                 strerror(entry->fts_errno));
        } else if (entry->fts_info == FTS_F || entry->fts_info == FTS_DEFAULT ||
                   entry->fts_info == FTS_SLNONE) {
            const char *why = why_unknown(check->fma, entry->fts_path + length, subset);
            if (why) {
                report(check, ATTUNE_FMA_UNKNOWN, entry->fts_path, why);
            }
        }
    }
    if (status == ATTUNE_OK && errno != 0) {
        status = attune_fail(ATTUNE_EIO, "%s: cannot read: %s", folder, strerror(errno));
    }
    fts_close(walk);
    return status;
}

/* ---- sums ---- */

enum { SHA1_TEXT = 40, LINE = 1024 };

/* Compares a file that is there. */
static attune_status compare(attune_fma_check *check, const char *path, const char *expected)
{
    char sum[ATTUNE_DIGEST_SIZE], why[200];
    const attune_status status = attune_digest_file(sum, ATTUNE_SHA1, path);
    if (status == ATTUNE_EIO || status == ATTUNE_ENOINPUT) {
        report(check, ATTUNE_FMA_DAMAGED, path, "cannot be read");
        return ATTUNE_OK;
    }
    check->summed += status == ATTUNE_OK;
    if (status == ATTUNE_OK && strcmp(sum, expected) != 0) {
        snprintf(why, sizeof(why), "its SHA-1 is %s, and was published as %s", sum, expected);
        report(check, ATTUNE_FMA_DAMAGED, path, why);
    }
    return status;
}

/* The next line, without its end; one that is too long is cut to nothing. False behind the last. */
static bool next_line(char line[LINE], FILE *stream)
{
    size_t length = 0;
    int c = 0;
    while ((c = getc(stream)) != EOF && c != '\n') {
        if (length < LINE) {
            line[length++] = (char)c;
        }
    }
    line[length < LINE ? length : 0] = '\0';
    return c != EOF || length > 0;
}

/* A line as sha1sum writes it: the sum, two spaces, the name of a file below. */
static bool split_line(char *line, const char **name)
{
    line[strcspn(line, "\r")] = '\0';
    if (strspn(line, "0123456789abcdef") != SHA1_TEXT || line[SHA1_TEXT] != ' ' ||
        !strchr(" *", line[SHA1_TEXT + 1]) || !line[SHA1_TEXT + 1] || !line[SHA1_TEXT + 2]) {
        return false;
    }
    line[SHA1_TEXT] = '\0';
    *name = line + SHA1_TEXT + 2;
    return **name != '/' && !attune_path_leads_outside(*name);
}

/* Takes the track that a list names, as "000/000002.mp3", off those present. */
static void take_off(const attune_fma *fma, bool *present, const char *name)
{
    char own[ATTUNE_FMA_PATH_SIZE];
    const attune_fma_track *track = present ? attune_fma_find_file(fma, name) : NULL;
    if (track) {
        attune_fma_path_of(own, track->id);
        if (strcmp(own, name + (strncmp(name, "./", 2) == 0 ? 2 : 0)) == 0) {
            present[track - attune_fma_tracks(fma)] = false;
        }
    }
}

/* Compares what a list names, but what is not there, empty or no file: that is known already. */
static attune_status compare_listed(attune_fma_check *check, bool *present, const char *folder,
                                    const char *list, FILE *stream)
{
    char line[LINE], why[100];
    attune_status status = ATTUNE_OK;
    for (size_t number = 1; status == ATTUNE_OK && next_line(line, stream); number++) {
        const char *name = NULL;
        char *path = NULL;
        struct stat info;
        if (!split_line(line, &name)) {
            snprintf(why, sizeof(why),
                     "line %zu is no SHA-1 sum and name of a file below, as sha1sum writes them",
                     number);
            report(check, ATTUNE_FMA_DAMAGED, list, why);
            continue;
        }
        status = attune_path_join(&path, folder, name);
        if (status == ATTUNE_OK && stat(path, &info) == 0 && S_ISREG(info.st_mode) &&
            info.st_size > 0) {
            status = compare(check, path, line);
            take_off(check->fma, present, name);
        }
        free(path);
    }
    return status == ATTUNE_OK && ferror(stream)
               ? attune_fail(ATTUNE_EIO, "%s: cannot read: %s", list, strerror(errno))
               : status;
}

static size_t count_present(const attune_fma *fma, const bool *present)
{
    size_t count = 0;
    for (int32_t i = 0; present && i < attune_fma_count(fma); i++) {
        count += present[i];
    }
    return count;
}

/* present (tracks of the metadata): the files that the list is to name; NULL where it is of none.
 */
static attune_status check_sums(attune_fma_check *check, bool *present, const char *folder)
{
    char *list = NULL, why[60];
    attune_status status = check->quick ? ATTUNE_OK : attune_path_join(&list, folder, "checksums");
    struct stat information;
    const bool is_there = list && stat(list, &information) == 0;
    if (is_there && !S_ISREG(information.st_mode)) {
        status = attune_fail(ATTUNE_EDATA, "%s: is no regular file", list);
    }
    FILE *stream = list && !status ? fopen(list, "r") : NULL;
    if (list && !status && !stream && errno != ENOENT) {
        status = attune_fail(ATTUNE_EIO, "%s: cannot read: %s", list, strerror(errno));
    }
    if (stream) {
        const size_t tracks = count_present(check->fma, present);
        status = compare_listed(check, present, folder, list, stream);
        fclose(stream);
        const size_t unnamed = count_present(check->fma, present);
        if (status == ATTUNE_OK && unnamed > 0) {
            snprintf(why, sizeof(why), "names %zu of %zu tracks", tracks - unnamed, tracks);
            report(check, ATTUNE_FMA_DAMAGED, list, why);
        }
    }
    free(list);
    return status;
}

attune_status attune_fma_check_sums(attune_fma_check *check, const char *folder)
{
    return check_sums(check, NULL, folder);
}

attune_status attune_fma_check_tree(attune_fma_check *check, const char *folder,
                                    attune_fma_subset subset)
{
    struct stat info;
    if (stat(folder, &info) != 0) {
        return attune_fail(ATTUNE_ENOINPUT, "%s: %s", folder, strerror(errno));
    }
    if (!S_ISDIR(info.st_mode)) {
        return attune_fail(ATTUNE_ENOINPUT, "%s: is no folder of tracks", folder);
    }
    const size_t count = (size_t)attune_fma_count(check->fma);
    bool *present = calloc(count + 1, sizeof(*present));
    attune_status status = present ? check_tracks(check, present, folder, subset)
                                   : attune_fail_memory("tracks", count);
    if (status == ATTUNE_OK) {
        status = check_files(check, folder, subset);
    }
    if (status == ATTUNE_OK) {
        status = check_sums(check, present, folder);
    }
    free(present);
    return status;
}

attune_status attune_fma_check_archive(attune_fma_check *check, const char *path)
{
    static const char *const published[][2] = {
        {"fma_metadata.zip", "f0df49ffe5f2a6008d7dc83c6915b31835dfe733"},
        {"fma_small.zip", "ade154f733639d52e35e32f5593efe5be76c6d70"},
        {"fma_medium.zip", "c67b69ea232021025fca9231fc1c7c1a063ab50b"},
        {"fma_large.zip", "497109f4dd721066b5ce5e5f250ec604dc78939e"},
        {"fma_full.zip", "0f0ace23fbe9ba30ecb7e95f763e435ea802b8ab"},
    };
    const char *name = attune_file_name(path);
    for (size_t i = 0; i < sizeof(published) / sizeof(published[0]); i++) {
        if (!check->quick && strcmp(name, published[i][0]) == 0 && access(path, F_OK) == 0) {
            return compare(check, path, published[i][1]);
        }
    }
    return ATTUNE_OK;
}
