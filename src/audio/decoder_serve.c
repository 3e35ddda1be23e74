/* decoder_serve.c - the process of a decoder: one file after another, as the socket asks. */
#include "attune/status.h"
#include "audio/decode.h"
#include "audio/decoder.h"
#include "audio/decoder_wire.h"
#include "status/machine.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOCKET = STDIN_FILENO, SAMPLES = 16384 };

/* Seconds between answers at most, also while nothing is to be delivered, as before a clip. */
static const double PULSE = 0.25;

static bool say(const void *bytes, size_t size)
{
    return attune_decoder_say(SOCKET, bytes, size);
}

static bool hear(void *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t got = recv(SOCKET, bytes, size, 0);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return false;
        }
        bytes = (char *)bytes + (got > 0 ? got : 0);
        size -= got > 0 ? (size_t)got : 0;
    }
    return true;
}

static bool say_answer(uint32_t kind, uint32_t count, double decoded_seconds)
{
    const attune_decoder_answer answer = {kind, count, decoded_seconds};
    return say(&answer, sizeof(answer));
}

/* Decodes and delivers all samples. False when nobody listens any more. */
static bool deliver(attune_audio *audio, attune_status *status)
{
    static float samples[SAMPLES];
    size_t filled = 0;
    double last = attune_seconds();
    bool ended = false;
    while (*status == ATTUNE_OK && !ended) {
        size_t count = 0;
        *status = attune_audio_step(audio, samples + filled, &count, SAMPLES - filled, &ended);
        filled += count;
        const double time = attune_seconds();
        if (filled == SAMPLES || ended || time - last >= PULSE) {
            if (!say_answer(ATTUNE_DECODER_SAMPLES, (uint32_t)filled,
                            audio->source.clock.decoded_seconds) ||
                !say(samples, filled * sizeof(*samples))) {
                return false;
            }
            filled = 0;
            last = time;
        }
    }
    return true;
}

static bool serve_file(const attune_audio_place *place, const attune_audio_options *options)
{
    attune_decoder_ending ending = {0};
    attune_audio *audio = NULL;
    ending.status = attune_audio_open_at(&audio, place, options, &ending.result);
    const bool heard = !audio || deliver(audio, &ending.status);
    attune_audio_close(audio);
    snprintf(ending.failure, sizeof(ending.failure), "%s",
             ending.status == ATTUNE_OK ? "" : attune_last_error());
    return heard && say_answer(ATTUNE_DECODER_END, 0, 0) && say(&ending, sizeof(ending));
}

/* Bytes of address space in use; the sanitizers use terabytes. */
static uint64_t mapped_bytes(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file || fscanf(file, "%llu", &pages) != 1) {
        pages = 0;
    }
    if (file) {
        fclose(file);
    }
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* What a decoder has no use for. A limit that cannot be set leaves a process that is no worse off
 * than decoding in attune's own. */
static void limit(void)
{
    const struct rlimit none = {0, 0}, files = {16, 16};
    const rlim_t memory = mapped_bytes() + ATTUNE_DECODER_MEMORY;
    const struct rlimit space = {memory, memory};
    prctl(PR_SET_NAME, "attune decoder");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    setrlimit(RLIMIT_CORE, &none);
    setrlimit(RLIMIT_NOFILE, &files);
    setrlimit(RLIMIT_AS, &space);
}

int attune_decoder_serve(void)
{
    attune_decoder_greeting greeting = {.sizes = ATTUNE_DECODER_SIZES};
    attune_decoder_request request;
    char *path = NULL;
    bool more = true;
    limit();
    snprintf(greeting.version, sizeof(greeting.version), "%s", attune_version());
    if (!say(&greeting, sizeof(greeting))) {
        return 1;
    }
    while (more && hear(&request, sizeof(request))) {
        char *larger = realloc(path, (size_t)request.path_length + 1);
        if (!larger) {
            break;
        }
        path = larger;
        path[request.path_length] = '\0';
        const attune_audio_place place = {
            .path = path, .archive_length = request.archive_length, .position = request.position};
        more = hear(path, request.path_length) &&
               (request.probe ? say_answer(ATTUNE_DECODER_PROBED, attune_audio_probe_at(&place), 0)
                              : serve_file(&place, &request.options));
    }
    free(path);
    return 0;
}
