/* failing_fsync.c - a library for LD_PRELOAD: the fsync number $ATTUNE_FAIL_FSYNC and all later
 * ones fail, as on a disk that breaks. */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

int fsync(int fd)
{
    static atomic_long calls;
    const char *first = getenv("ATTUNE_FAIL_FSYNC");
    int (*real)(int);
    *(void **)&real = dlsym(RTLD_NEXT, "fsync");
    if (first && atomic_fetch_add(&calls, 1) + 1 >= atol(first)) {
        errno = EIO;
        return -1;
    }
    return real(fd);
}
