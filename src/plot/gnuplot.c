/* gnuplot.c - gnuplot as a child process.
 *
 * The script is a file without a name that is complete before gnuplot starts, so that a gnuplot
 * which ends early cannot stop us with a SIGPIPE. It runs in the folder, so that no name has to be
 * quoted. */
#include "plot/gnuplot.h"

#include "status/error.h"
#include "status/json.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const kinds[ATTUNE_PICTURE_KINDS] = {"png", "svg"};

void attune_gnuplot_temporary(char temporary[300], const char *name, int kind)
{
    snprintf(temporary, 300, ".%.255s.%s.tmp", name, kinds[kind]);
}

void attune_gnuplot_output(FILE *script, const char *name, int kind, int width, int height)
{
    char temporary[300];
    fprintf(script, "set terminal %s size %d,%d background rgb 'white' font 'sans,12'\n",
            kind == 0 ? "pngcairo" : "svg", width, height);
    attune_gnuplot_temporary(temporary, name, kind);
    fprintf(script, "set output '%s'\n", temporary);
}

void attune_gnuplot_line(char *line, size_t size, const char *text)
{
    json_t *clean = attune_json_text(text);
    const char *utf8 = clean ? json_string_value(clean) : "";
    size_t length = strnlen(utf8, size - 1);
    while (length > 0 && (utf8[length] & 0xc0) == 0x80) { /* within a character */
        length--;
    }
    attune_one_line(line, length + 1, utf8);
    for (char *c = line; (c = strstr(c, "\xef\xbf")); c += 3) { /* U+FFFE, U+FFFF: not in XML */
        c[2] = (unsigned char)c[2] > 0xbd ? '\xbd' : c[2];
    }
    json_decref(clean);
}

/* Between double quotes gnuplot would run what stands in backquotes. In SVG it leaves "&#x1;" and
 * "]]>" as they are, which are not XML: a space without width parts them. */
void attune_gnuplot_text(FILE *script, const char *text, size_t size)
{
    char line[ATTUNE_GNUPLOT_TEXT];
    assert(size <= sizeof(line));
    attune_gnuplot_line(line, size, text);
    fputc('\'', script);
    for (const char *c = line; *c; c++) {
        const bool parted = strncmp(c, "&#", 2) == 0 || strncmp(c, "]>", 2) == 0;
        fputs(*c == '\'' ? "''" : (char[]){*c, '\0'}, script);
        fputs(parted ? "\xe2\x80\x8b" : "", script);
    }
    fputc('\'', script);
}

void attune_gnuplot_style(FILE *script)
{
    fputs("set encoding utf8\n"
          "set grid lc rgb '#dddddd' lt 1 lw 1\n"
          "set border lc rgb '#444444'\n"
          "set tics textcolor rgb '#222222'\n"
          "set key opaque box lc rgb '#bbbbbb' width 1 height 0.4 samplen 2\n",
          script);
}

/* The script as a file to be read from its start; -1: see errno. */
static int fill_file(const char *script, size_t size)
{
    const int fd = memfd_create("gnuplot", MFD_CLOEXEC);
    if (fd >= 0 && (write(fd, script, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) != 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Starts gnuplot in `folder` on the script; an errno. Its words go nowhere: they are of a script
 * that nobody wrote. */
static int start(pid_t *process, const char *folder, int script)
{
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error) {
        return error;
    }
    if (!(error = posix_spawn_file_actions_adddup2(&actions, script, STDIN_FILENO)) &&
        !(error = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY,
                                                   0)) &&
        !(error = posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)) &&
        !(error = posix_spawn_file_actions_addchdir_np(&actions, folder))) {
        char *const arguments[] = {"gnuplot", "--default-settings", "-", NULL};
        error = posix_spawnp(process, "gnuplot", &actions, NULL, arguments, environ);
    }
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

bool attune_gnuplot_is_whole(int directory, const char *name, int kind)
{
    static const char *const ends[ATTUNE_PICTURE_KINDS] = {"IEND\xae\x42\x60\x82", "</svg>"};
    char tail[16];
    struct stat info;
    const int file = openat(directory, name, O_RDONLY | O_CLOEXEC);
    ssize_t length = -1;
    if (file >= 0 && fstat(file, &info) == 0 && info.st_size >= (off_t)sizeof(tail)) {
        length = pread(file, tail, sizeof(tail), info.st_size - (off_t)sizeof(tail));
    }
    if (file >= 0) {
        close(file);
    }
    return length == (ssize_t)sizeof(tail) &&
           memmem(tail, sizeof(tail), ends[kind], strlen(ends[kind]));
}

/* The names of a picture: what gnuplot writes, and what it is to be called. */
static void picture_names(char from[300], char to[280], const char *const *pictures, int i)
{
    snprintf(to, 280, "%.255s.%s", pictures[i / ATTUNE_PICTURE_KINDS],
             kinds[i % ATTUNE_PICTURE_KINDS]);
    attune_gnuplot_temporary(from, pictures[i / ATTUNE_PICTURE_KINDS], i % ATTUNE_PICTURE_KINDS);
}

/* Gives the pictures their names once all are whole, or removes what there is of them. */
static attune_status name_pictures(const char *folder, const char *const *pictures, int count,
                                   attune_status status)
{
    char from[300], to[280];
    const int all = ATTUNE_PICTURE_KINDS * count;
    const int directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
        return status
                   ? status
                   : attune_fail(ATTUNE_EIO, "%s: nothing is drawn: %s", folder, strerror(errno));
    }
    for (int i = 0; status == ATTUNE_OK && i < all; i++) {
        picture_names(from, to, pictures, i);
        if (!attune_gnuplot_is_whole(directory, from, i % ATTUNE_PICTURE_KINDS)) {
            status = attune_fail(
                ATTUNE_EIO, "%s: nothing is drawn: %s is cut short; is the disk full?", folder, to);
        }
    }
    for (int i = 0; i < all; i++) {
        picture_names(from, to, pictures, i);
        if (status != ATTUNE_OK) {
            unlinkat(directory, from, 0);
        } else if (renameat(directory, from, directory, to) != 0) {
            status =
                attune_fail(ATTUNE_EIO, "%s/%s: cannot write: %s", folder, to, strerror(errno));
        }
    }
    close(directory);
    return status;
}

attune_status attune_gnuplot_run(const char *folder, const char *name, const char *script,
                                 size_t size)
{
    pid_t process = 0;
    int how = 0;
    const int file = fill_file(script, size);
    if (file < 0) {
        return attune_fail(ATTUNE_EIO, "%s: nothing is drawn: %s", name, strerror(errno));
    }
    const int error = start(&process, folder, file);
    close(file);
    if (error == ENOENT) {
        return attune_fail(ATTUNE_ECONFIG,
                           "%s: nothing is drawn: gnuplot is not installed (package gnuplot-nox)",
                           name);
    }
    if (error) {
        return attune_fail(ATTUNE_EIO, "%s: nothing is drawn: cannot start gnuplot: %s", name,
                           strerror(error));
    }
    while (waitpid(process, &how, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(how) && WEXITSTATUS(how) == 0
               ? ATTUNE_OK
               : attune_fail(ATTUNE_EIO, "%s: nothing is drawn: gnuplot failed (%s %d)", name,
                             WIFSIGNALED(how) ? "signal" : "exit",
                             WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
}

attune_status attune_gnuplot_draw(const char *folder, const char *script, size_t size,
                                  const char *const *pictures, int count)
{
    const attune_status status = attune_gnuplot_run(folder, folder, script, size);
    return name_pictures(folder, pictures, count, status);
}
