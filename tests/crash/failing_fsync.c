/* failing_fsync.c - a library for LD_PRELOAD: fsync fails, as on a disk that breaks. From call
 * number $ATTUNE_FAIL_FSYNC on, or, if that is no number, for files whose path holds it. */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_to_fail(int fd, const char *which)
{
    static atomic_long calls;
    char link[64], path[4096] = "";
    const long first = atol(which);
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    return first > 0 ? atomic_fetch_add(&calls, 1) + 1 >= first
                     : readlink(link, path, sizeof(path) - 1) > 0 && strstr(path, which);
}

int fsync(int fd)
{
    const char *which = getenv("ATTUNE_FAIL_FSYNC");
    int (*real)(int);
    *(void **)&real = dlsym(RTLD_NEXT, "fsync");
    if (which && is_to_fail(fd, which)) {
        errno = EIO;
        return -1;
    }
    return real(fd);
}
