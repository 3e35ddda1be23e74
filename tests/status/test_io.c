/* test_io.c - all bytes come, though pread and pwrite, wrapped here, are interrupted and give few
 * at a time. */
#include "status/io.h"

#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ssize_t __real_pread(int fd, void *out, size_t size, off_t offset);
ssize_t __wrap_pread(int fd, void *out, size_t size, off_t offset);
ssize_t __real_pwrite(int fd, const void *bytes, size_t size, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t offset);

static int calls, fails_at; /* the call that fails for good; 0: none */

/* Every other call is interrupted. */
static bool is_stopped(void)
{
    calls++;
    errno = calls == fails_at ? EIO : EINTR;
    return calls % 2 == 1 || calls == fails_at;
}

ssize_t __wrap_pread(int fd, void *out, size_t size, off_t offset)
{
    return is_stopped() ? -1 : __real_pread(fd, out, size < 3 ? size : 3, offset);
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    return is_stopped() ? -1 : __real_pwrite(fd, bytes, size < 3 ? size : 3, offset);
}

static int open_file(void)
{
    char *path = temporary_path("file");
    const int fd = open(path, O_RDWR | O_CREAT, 0666);
    cr_assert_geq(fd, 0);
    free(path);
    return fd;
}

Test(io, all_bytes_in_spite_of_signals)
{
    char bytes[16] = "";
    const int fd = open_file();
    cr_assert(attune_write_at(fd, "0123456789", 10, 2));
    cr_assert_eq(attune_read_at(fd, bytes, 10, 2), 10);
    cr_assert_str_eq(bytes, "0123456789");
    cr_assert_eq(calls, 16);
    close(fd);
}

Test(io, the_end_of_a_file)
{
    char bytes[16] = "";
    const int fd = open_file();
    cr_assert(attune_write_at(fd, "01234", 5, 0));
    cr_assert_eq(attune_read_at(fd, bytes, 10, 1), 4);
    cr_assert_eq(errno, 0);
    cr_assert_str_eq(bytes, "1234");
    cr_assert_eq(attune_read_at(fd, bytes, 1, 5), 0);
    cr_assert_eq(errno, 0);
    cr_assert_eq(attune_read_at(fd, bytes, 0, 0), 0);
    close(fd);
}

Test(io, what_fails_says_why)
{
    char bytes[16] = "";
    const int fd = open_file();
    fails_at = 4;
    cr_assert_not(attune_write_at(fd, "01234", 5, 0));
    cr_assert_eq(errno, EIO);
    calls = 0;
    cr_assert_eq(attune_read_at(fd, bytes, 6, 0), -1);
    cr_assert_eq(errno, EIO);
    close(fd);
}
