/* crash.c - an LD_PRELOAD library: libav functions that fail in the ways a hostile file could bring
 * about, for files of certain names. */
#include <dlfcn.h>
#include <errno.h>
#include <libavformat/avformat.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int av_read_frame(AVFormatContext *format, AVPacket *packet)
{
    static int calls;
    int (*real)(AVFormatContext *, AVPacket *) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "av_read_frame");
    const char *name = strrchr(format->url, '/');
    name = name ? name + 1 : format->url;
    calls++;
    if (strncmp(name, "crash", 5) == 0 && calls % 3 == 0) { /* in mid-file */
        raise(SIGSEGV);
    }
    if (strncmp(name, "abort", 5) == 0) {
        raise(SIGABRT);
    }
    if (strncmp(name, "exit", 4) == 0) {
        _exit(9);
    }
    while (strncmp(name, "hang", 4) == 0) {
        sleep(1);
    }
    if (strncmp(name, "greedy", 6) == 0) {
        void *volatile much = malloc((size_t)3 << 30);
        if (!much) {
            return AVERROR(ENOMEM);
        }
        free(much);
    }
    return real(format, packet);
}

int av_probe_input_buffer2(AVIOContext *io, const AVInputFormat **format, const char *url,
                           void *logger, unsigned offset, unsigned most)
{
    int (*real)(AVIOContext *, const AVInputFormat **, const char *, void *, unsigned, unsigned) =
        NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "av_probe_input_buffer2");
    if (strstr(url, "probe-crash")) {
        raise(SIGFPE);
    }
    return real(io, format, url, logger, offset, most);
}
