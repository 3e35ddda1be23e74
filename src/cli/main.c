/* main.c - `attune COMMAND`. The only place that exits. */
#include "cli/cli.h"

#include "audio/decoder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char help[] =
    "Usage: attune COMMAND [ARGUMENT...]\n"
    "\n"
    "Embeds music archives: one vector per track, so that tracks that feel alike lie close\n"
    "together.\n"
    "\n"
    "  demo       what attune does, on a machine without any music\n"
    "  embed      audio files and folders to one HDF5 file of embeddings\n"
    "  eval       embeddings, ours and others': triplets, genres, artists, hubs\n"
    "  export     the vectors of an output as .npy, .csv or for ann-benchmarks; the network\n"
    "             of a checkpoint as ONNX\n"
    "  fma        whether a copy of the Free Music Archive's dataset is whole\n"
    "  info       what a model, a checkpoint or an output holds\n"
    "  judge      a web page on which listeners judge triplets; how far they agree\n"
    "  map        every track as a point to look at and listen to; groups of tracks\n"
    "  merge      several outputs to one\n"
    "  nearest    the tracks nearest to others, or on the way from one to another\n"
    "  train      a network, from triplets or from audio alone\n"
    "  triplets   of tracks, from FMA's metadata; what the parts of a split share\n"
    "\n"
    "  attune COMMAND --help    says more\n"
    "  attune --version         the version of this program and its libraries\n";

static int command_decoder(int argc, char **argv)
{
    int type = 0;
    socklen_t length = sizeof(type);
    (void)argv;
    if (argc != 1 || getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &length) != 0) {
        message("decoder: is started by attune embed --isolate");
        return EXIT_BAD_USAGE;
    }
    return attune_decoder_serve();
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"demo", command_demo},       {"embed", command_embed}, {"eval", command_eval},
    {"export", command_export},   {"fma", command_fma},     {"info", command_info},
    {"judge", command_judge},     {"map", command_map},     {"merge", command_merge},
    {"nearest", command_nearest}, {"train", command_train}, {"triplets", command_triplets},
    {"decoder", command_decoder}, /* what --isolate starts */
};

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        fputs(help, stderr);
        return EXIT_BAD_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        fputs(help, stdout);
        return EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("attune %s\n%s\n", attune_version(), attune_audio_versions());
        return EXIT_OK;
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    message("unknown command %s; attune --help lists them", argv[1]);
    return EXIT_BAD_USAGE;
}

/* Without these three, the first files that are opened would take their places, and the messages.
 * They stay as good as closed: what is written to them fails. */
static bool open_standard_files(void)
{
    for (int file = STDIN_FILENO; file <= STDERR_FILENO; file++) {
        const int way = file == STDIN_FILENO ? O_WRONLY : O_RDONLY;
        if (fcntl(file, F_GETFD) < 0 && open("/dev/null", way) != file) {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    if (!open_standard_files()) {
        message("/dev/null: cannot open: %s", strerror(errno));
        return EXIT_IO;
    }
    signal(SIGXFSZ, SIG_IGN); /* a limit on file size is a full disk, with its message */
    int code = dispatch(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        message("standard output: %s", strerror(errno));
        code = EXIT_IO;
    }
    return code;
}
