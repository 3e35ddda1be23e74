/* path.c - paths, put together and taken apart. */
#include "status/path.h"

#include "status/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

attune_status attune_path_join(char **out, const char *folder, const char *name)
{
    const size_t length = strlen(folder);
    const bool ended = length > 0 && folder[length - 1] == '/';
    if (asprintf(out, "%s%s%s", folder, ended ? "" : "/", name) < 0) {
        *out = NULL;
        return attune_fail_memory("a path", length);
    }
    return ATTUNE_OK;
}

char *attune_path_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    return !slash          ? strdup(".")
           : slash == path ? strdup("/")
                           : strndup(path, (size_t)(slash - path));
}

attune_status attune_make_folder(const char *path)
{
    struct stat information;
    if (mkdir(path, 0777) == 0) {
        return ATTUNE_OK;
    }
    if (errno != EEXIST) {
        return attune_fail(ATTUNE_ECREATE, "%s: cannot create: %s", path, strerror(errno));
    }
    if (stat(path, &information) != 0 || !S_ISDIR(information.st_mode)) {
        return attune_fail(ATTUNE_ECREATE, "%s: is no folder", path);
    }
    return access(path, W_OK | X_OK) == 0
               ? ATTUNE_OK
               : attune_fail(ATTUNE_ECREATE, "%s: cannot write there: %s", path, strerror(errno));
}

const char *attune_file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool are_same(const char *a, const char *b)
{
    struct stat left, right;
    return stat(a, &left) == 0 && stat(b, &right) == 0 && left.st_dev == right.st_dev &&
           left.st_ino == right.st_ino;
}

bool attune_same_file(const char *a, const char *b)
{
    char *left = attune_path_folder(a), *right = attune_path_folder(b);
    const bool same_name = left && right && are_same(left, right) &&
                           strcmp(attune_file_name(a), attune_file_name(b)) == 0;
    free(left);
    free(right);
    return same_name || are_same(a, b);
}

size_t attune_stem_length(const char *path)
{
    const char *name = attune_file_name(path), *dot = strrchr(name, '.');
    return dot && dot != name ? (size_t)(dot - path) : strlen(path);
}

bool attune_path_leads_outside(const char *path)
{
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0')) {
            return true;
        }
    }
    return false;
}

bool attune_ends_in(const char *path, const char *ending)
{
    const size_t length = strlen(path), wanted = strlen(ending);
    return length > wanted && strcmp(path + length - wanted, ending) == 0;
}
