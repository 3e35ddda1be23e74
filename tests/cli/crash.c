/* crash.c - an LD_PRELOAD library: libav functions that fail in the ways a hostile file could bring
 * about, for files of certain names. */
#include "audio/decoder_wire.h"

#include <dlfcn.h>
#include <errno.h>
#include <libavformat/avformat.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

static const char *current = ""; /* how the next ending is to be spoilt */

/* What a decoder whose memory is damaged could answer. */
ssize_t send(int socket, const void *bytes, size_t size, int flags)
{
    ssize_t (*real)(int, const void *, size_t, int) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "send");
    attune_decoder_ending ending;
    if (size != sizeof(ending) || current[0] == '\0') {
        return real(socket, bytes, size, flags);
    }
    memcpy(&ending, bytes, sizeof(ending));
    if (strcmp(current, "corrupt") == 0) {
        const int status = -70000;
        memcpy(&ending.result.status, &status, sizeof(status));
    } else {
        ending.result.status = ATTUNE_TRACK_CANNOT_DECODE;
        memset(ending.result.error, 'x', sizeof(ending.result.error));
    }
    current = "";
    return real(socket, &ending, sizeof(ending), flags);
}

/* Only decoders are to inflate entries of archives (with negative bits: without zlib's header). */
int inflateInit2_(z_stream *stream, int bits, const char *version, int size)
{
    int (*real)(z_stream *, int, const char *, int) = NULL;
    char name[16] = "";
    *(void **)&real = dlsym(RTLD_NEXT, "inflateInit2_");
    prctl(PR_GET_NAME, name);
    if (bits < 0 && strcmp(name, "attune decoder") != 0) {
        abort();
    }
    return real(stream, bits, version, size);
}

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
    if (strncmp(name, "corrupt", 7) == 0) {
        current = "corrupt";
    }
    if (strncmp(name, "endless", 7) == 0) {
        current = "endless";
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
