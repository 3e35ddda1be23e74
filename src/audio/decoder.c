/* decoder.c - decoding in a process of its own: the side that asks. */
#include "audio/decoder.h"

#include "audio/decode.h"
#include "audio/decoder_wire.h"
#include "status/error.h"
#include "status/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Seconds. The process keeps the time limit by itself, and says what it had decoded; only one that
 * hangs is still silent so much later. */
static const double GRACE = 2, START_MAX = 60;

struct attune_decoder {
    const char *program;
    pid_t process; /* 0: none */
    int socket;
    attune_audio_result *result; /* the caller's, while a file is under way */
    attune_audio_place place;
    double timeout_seconds, decoded_seconds, waited_seconds;
    size_t samples; /* that the current answer has still to give */
};

attune_status attune_decoder_create(attune_decoder **out, const char *program)
{
    *out = calloc(1, sizeof(**out));
    if (!*out) {
        return attune_fail_memory("a decoder", sizeof(**out));
    }
    (*out)->program = program;
    (*out)->socket = -1;
    return ATTUNE_OK;
}

/* Waits for the process to end by itself, for GRACE seconds, and then ends it. */
static pid_t reap(pid_t process, int *state)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    pid_t got = 0;
    for (int i = 0; got == 0 && i * 5 < GRACE * 1000; i++) {
        got = waitpid(process, state, WNOHANG);
        if (got == 0) {
            nanosleep(&pause, NULL);
        }
    }
    if (got == 0) {
        kill(process, SIGKILL);
    }
    while (got == 0 || (got < 0 && errno == EINTR)) {
        got = waitpid(process, state, 0);
    }
    return got;
}

/* Ends the process. With `how`, it is the process that hung up, and `how` becomes "decoder crashed:
 * SIGSEGV". */
static void end_process(attune_decoder *d, char *how, size_t capacity)
{
    int state = 0;
    if (d->socket >= 0) {
        close(d->socket);
        d->socket = -1;
    }
    if (d->process == 0) {
        return;
    }
    if (!how) { /* it may hang, and has nothing to lose */
        kill(d->process, SIGKILL);
    }
    const pid_t got = reap(d->process, &state);
    d->process = 0;
    if (how && got > 0 && WIFSIGNALED(state)) {
        const char *name = sigabbrev_np(WTERMSIG(state));
        snprintf(how, capacity, "decoder crashed: SIG%s", name ? name : "?");
    } else if (how && got > 0) {
        snprintf(how, capacity, "decoder ended with exit code %d", WEXITSTATUS(state));
    } else if (how) { /* the program that we are part of does not let us know */
        snprintf(how, capacity, "decoder crashed");
    }
}

void attune_decoder_close(attune_decoder *decoder)
{
    if (decoder) {
        end_process(decoder, NULL, 0);
        free(decoder);
    }
}

typedef enum outcome { HEARD, LATE, GONE } outcome;

/* Receives all of `size` bytes. Late when *waited, to which the time spent here is added, has
 * become more than `most`; 0 is no limit. */
static outcome hear(const attune_decoder *d, void *bytes, size_t size, double *waited, double most)
{
    while (size > 0) {
        const ssize_t got = recv(d->socket, bytes, size, MSG_DONTWAIT);
        if (got > 0) {
            bytes = (char *)bytes + got;
            size -= (size_t)got;
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            return GONE;
        } else {
            struct pollfd wait = {.fd = d->socket, .events = POLLIN};
            const double start = attune_seconds();
            poll(&wait, 1, 200);
            *waited += attune_seconds() - start;
            if (most > 0 && *waited > most) {
                return LATE;
            }
        }
    }
    return HEARD;
}

bool attune_decoder_say(int socket, const void *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t sent = send(socket, bytes, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR) {
            return false;
        }
        bytes = (const char *)bytes + (sent > 0 ? sent : 0);
        size -= sent > 0 ? (size_t)sent : 0;
    }
    return true;
}

/* Starts d->program with `child` as its standard input and no other file of ours. Signals that are
 * meant for the job, and reach the whole group of processes, do not end a file under way. Returns
 * an errno. */
static int spawn(attune_decoder *d, int child)
{
    char command[] = "attune", role[] = "decoder";
    char *const arguments[] = {command, role, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
    sigset_t blocked;
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        sigaddset(&blocked, signals[i]);
    }
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &blocked);
    int code = posix_spawn_file_actions_init(&actions);
    if (code == 0) {
        code = posix_spawn_file_actions_adddup2(&actions, child, STDIN_FILENO);
    }
    if (code == 0) {
        code = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    }
    if (code == 0) {
        code = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    }
    if (code == 0) {
        code = posix_spawn(&d->process, d->program, &actions, &attributes, arguments, environ);
    }
    if (code != 0) {
        d->process = 0;
    }
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return code;
}

static attune_status start(attune_decoder *d)
{
    int sockets[2];
    attune_decoder_greeting greeting;
    char how[128] = "it does not answer";
    double waited = 0;
    if (d->process != 0) {
        return ATTUNE_OK;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
        return attune_fail(ATTUNE_ECONFIG, "cannot start a decoder: %s", strerror(errno));
    }
    d->socket = sockets[0];
    const int code = spawn(d, sockets[1]);
    close(sockets[1]);
    if (code != 0) {
        end_process(d, NULL, 0);
        return attune_fail(ATTUNE_ECONFIG, "cannot start %s as a decoder: %s", d->program,
                           strerror(code));
    }
    const outcome heard = hear(d, &greeting, sizeof(greeting), &waited, START_MAX);
    if (heard == HEARD && greeting.sizes == ATTUNE_DECODER_SIZES &&
        strncmp(greeting.version, attune_version(), sizeof(greeting.version)) == 0) {
        return ATTUNE_OK;
    }
    if (heard == HEARD) {
        snprintf(how, sizeof(how), "it is another version of attune");
    }
    end_process(d, heard == GONE ? how : NULL, sizeof(how));
    return attune_fail(ATTUNE_ECONFIG, "cannot start %s as a decoder: %s", d->program, how);
}

/* The file ends here: the process did not survive it, or had to be ended. */
static void give_up(attune_decoder *d, attune_track_status status, const char *text)
{
    attune_audio_result *result = d->result;
    result->status = status;
    snprintf(result->error, sizeof(result->error), "%s", text);
    attune_audio_place_look(&d->place, &result->size, &result->mtime_ns); /* or they stay 0 */
    d->result = NULL;
}

/* What to make of an answer that did not come. */
static void lose(attune_decoder *d, outcome heard)
{
    char text[160];
    if (heard == LATE) {
        end_process(d, NULL, 0);
        snprintf(text, sizeof(text),
                 "decoding hung: ended after %g s more than what was decoded, %.3f s",
                 d->timeout_seconds, d->decoded_seconds);
        give_up(d, ATTUNE_TRACK_TIMEOUT, text);
    } else {
        end_process(d, text, sizeof(text));
        give_up(d, ATTUNE_TRACK_CANNOT_DECODE, text);
    }
}

static outcome hear_in_time(attune_decoder *d, void *bytes, size_t size)
{
    const double most =
        d->timeout_seconds > 0 ? d->timeout_seconds + d->decoded_seconds + GRACE : 0;
    return hear(d, bytes, size, &d->waited_seconds, most);
}

static outcome hear_ending(attune_decoder *d)
{
    attune_decoder_ending ending;
    const outcome heard = hear_in_time(d, &ending, sizeof(ending));
    if (heard != HEARD) {
        return heard;
    }
    if ((unsigned)ending.result.status >= ATTUNE_TRACK_STATUS_COUNT) { /* its memory is damaged */
        end_process(d, NULL, 0);
        give_up(d, ATTUNE_TRACK_CANNOT_DECODE, "decoder answered with what makes no sense");
        return HEARD;
    }
    ending.result.error[sizeof(ending.result.error) - 1] = '\0';
    *d->result = ending.result;
    if (ending.status != ATTUNE_OK) { /* memory, of which the process has its own limit */
        ending.failure[sizeof(ending.failure) - 1] = '\0';
        d->result->status = ATTUNE_TRACK_CANNOT_DECODE;
        snprintf(d->result->error, sizeof(d->result->error), "the decoder gave up: %.400s",
                 ending.failure);
    }
    d->result = NULL;
    return HEARD;
}

static attune_status ask(attune_decoder *d, const attune_audio_place *place,
                         const attune_audio_options *options, bool probe)
{
    const attune_decoder_request request = {
        .path_length = (uint32_t)strlen(place->path),
        .archive_length = (uint32_t)place->archive_length,
        .position = place->position,
        .options = *options,
        .probe = probe,
    };
    if (d->result) { /* the last file was not read to its end */
        end_process(d, NULL, 0);
        d->result = NULL;
    }
    d->place = *place;
    d->timeout_seconds = options->timeout_seconds;
    d->decoded_seconds = d->waited_seconds = 0;
    d->samples = 0;
    const attune_status status = start(d);
    /* What cannot be sent is found out by reading. */
    if (status == ATTUNE_OK && attune_decoder_say(d->socket, &request, sizeof(request))) {
        attune_decoder_say(d->socket, place->path, request.path_length);
    }
    return status;
}

attune_status attune_decoder_begin(attune_decoder *decoder, bool *more,
                                   const attune_audio_place *place,
                                   const attune_audio_options *options, attune_audio_result *result)
{
    *result = (attune_audio_result){0};
    *more = false;
    if (place->failure) {
        result->status = ATTUNE_TRACK_CANNOT_OPEN;
        attune_one_line(result->error, sizeof(result->error), place->failure);
        return ATTUNE_OK;
    }
    const attune_status status = ask(decoder, place, options, false);
    if (status == ATTUNE_OK) {
        decoder->result = result;
        *more = true;
    }
    return status;
}

attune_status attune_decoder_read(attune_decoder *d, float *samples, size_t capacity, size_t *count)
{
    attune_decoder_answer answer = {.kind = ATTUNE_DECODER_SAMPLES};
    outcome heard = HEARD;
    *count = 0;
    while (d->result && d->samples == 0 && heard == HEARD) {
        heard = hear_in_time(d, &answer, sizeof(answer));
        if (heard == HEARD && answer.kind == ATTUNE_DECODER_END) {
            heard = hear_ending(d);
        } else if (heard == HEARD) {
            d->samples = answer.count;
            d->decoded_seconds = answer.decoded_seconds;
        }
    }
    if (d->result && heard == HEARD) {
        const size_t wanted = d->samples < capacity ? d->samples : capacity;
        heard = hear_in_time(d, samples, wanted * sizeof(*samples));
        *count = heard == HEARD ? wanted : 0;
        d->samples -= *count;
    }
    if (heard != HEARD) {
        lose(d, heard);
    }
    return ATTUNE_OK;
}

attune_status attune_decoder_probe(attune_decoder *decoder, bool *found,
                                   const attune_audio_place *place)
{
    attune_audio_options options;
    attune_audio_result result;
    attune_decoder_answer answer;
    if (!decoder) {
        *found = attune_audio_probe_at(place);
        return ATTUNE_OK;
    }
    attune_audio_options_default(&options);
    *found = true;
    const attune_status status = ask(decoder, place, &options, true);
    if (status == ATTUNE_OK) {
        decoder->result = &result;
        const outcome heard = hear_in_time(decoder, &answer, sizeof(answer));
        if (heard == HEARD) {
            decoder->result = NULL;
            *found = answer.count != 0;
        } else {
            lose(decoder, heard);
        }
    }
    return status;
}
