/* train.c - `attune train`: triplets, or only audio, in; a network out. */
#include "cli/cli.h"
#include "cli/stop.h"
#include "status/error.h"
#include "status/machine.h"
#include "status/path.h"
#include "store/checkpoint.h"
#include "train/start.h"
#include "train/trainer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help_head[] =
    "Usage: attune train [CONFIG.toml] --audio DIR --triplets FILE... -o RUN [OPTION...]\n"
    "       attune train [CONFIG.toml] --unlabelled DIR -o RUN [OPTION...]\n"
    "\n"
    "Trains a network, from triplets (the anchor is more like the positive than like the\n"
    "negative) or, --unlabelled, from any audio: parts of a track are more like one another\n"
    "than like other tracks'. RUN/best.h5 is the network that did best on what was held out;\n"
    "attune export RUN/best.h5 -o model.onnx makes a model of it.\n"
    "\n"
    "  -o, --output RUN           folder to write: checkpoints, logs, curves\n"
    "      --unlabelled DIR       learn from the audio alone\n"
    "      --stage STAGE          synthetic, human, or both, the second from the best of the\n"
    "                             first (default: what the triplet files are)\n"
    "      --resume               go on with the run in RUN, if there is one: to the same end\n"
    "                             bit for bit\n"
    "  -q, --quiet                say nothing unless the command cannot go on\n"
    "  -h, --help                 this text\n"
    "\n"
    "CONFIG.toml has lines `name = value` for all that follows, and sections [synthetic],\n"
    "[human] and [unlabelled] for a stage's own; options come before it. A default that\n"
    "depends on the stage stands as synthetic/human/unlabelled.\n";

static const char help_foot[] =
    "\n"
    "SIGINT, SIGTERM and SIGUSR1 finish the step and write a checkpoint.\n"
    "\n"
    "Exit: 0 trained, 64 usage, 65 bad data, 66 no input, 73 cannot create, 74 I/O error, 75\n"
    "run again with --resume (SIGUSR1, another run in RUN), 78 no such device, or RUN has\n"
    "other settings, 130 SIGINT, 143 SIGTERM.\n";

/* Stages as bits. */
enum { SYNTHETIC = 1 << ATTUNE_STAGE_SYNTHETIC, HUMAN = 1 << ATTUNE_STAGE_HUMAN };

enum { OPTION_UNLABELLED = 1000, OPTION_STAGE, OPTION_RESUME, OPTION_SETTING };

typedef struct train_arguments {
    attune_settings stages[ATTUNE_STAGE_COUNT];
    const char *run, *unlabelled;
    unsigned wanted; /* stages as bits; 0: by the triplet files */
    char *file;      /* texts of CONFIG.toml */
    bool resume, quiet, help;
    int argc;
    char **argv;
} train_arguments;

/* ---- help ---- */

/* `text` in lines that end before column 88, the first from column `from`, others from 29. */
static void print_wrapped(const char *text, int from)
{
    const int indent = 29, width = 88;
    int column = from;
    if (column >= indent) {
        printf("\n");
        column = 0;
    }
    printf("%*s", indent - column, "");
    column = indent;
    for (const char *word = text; *word; word += strspn(word, " ")) {
        const int length = (int)strcspn(word, " ");
        if (word > text && column + 1 + length > width) {
            printf("\n%*s", indent, "");
            column = indent;
        } else if (word > text) {
            printf(" ");
            column++;
        }
        printf("%.*s", length, word);
        column += length;
        word += length;
    }
    printf("\n");
}

static void print_setting(const attune_setting *setting)
{
    char text[600];
    const char *const *d = setting->defaults;
    const char *value = setting->choices ? setting->choices : setting->value;
    const bool is_switch = setting->kind == ATTUNE_SETTING_SWITCH;
    const bool many = d[1] || d[2];
    const int column =
        printf("      --%s%s%s", setting->name, value ? " " : "", value ? value : "");
    if (d[0]) {
        snprintf(text, sizeof(text), "%s (default: %s%s%s%s%s)", setting->help, d[0],
                 many ? "/" : "", many ? (d[1] ? d[1] : d[0]) : "", many ? "/" : "",
                 many ? (d[2] ? d[2] : d[0]) : "");
    } else {
        snprintf(text, sizeof(text), "%s", setting->help);
    }
    if (is_switch) {
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "; --%s=no: not", setting->name);
    }
    print_wrapped(text, column);
}

static int print_help(void)
{
    fputs(help_head, stdout);
    for (int i = 0; i < attune_settings_count; i++) {
        const attune_setting *setting = &attune_settings_table[i];
        if (setting->name) {
            print_setting(setting);
        } else {
            printf("\n%s:\n", setting->help + 2);
        }
    }
    fputs(help_foot, stdout);
    return EXIT_OK;
}

/* ---- arguments ---- */

/* The settings as options, behind the command's own; ends with zeros. */
static void list_options(struct option out[ATTUNE_SETTINGS_MAX + 8])
{
    static const struct option own[] = {
        {"output", required_argument, NULL, 'o'},
        {"unlabelled", required_argument, NULL, OPTION_UNLABELLED},
        {"stage", required_argument, NULL, OPTION_STAGE},
        {"resume", no_argument, NULL, OPTION_RESUME},
        {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
    };
    int count = sizeof(own) / sizeof(own[0]);
    memcpy(out, own, sizeof(own));
    for (int i = 0; i < attune_settings_count; i++) {
        const attune_setting *setting = &attune_settings_table[i];
        if (setting->name) {
            out[count++] = (struct option){
                setting->name,
                setting->kind == ATTUNE_SETTING_SWITCH ? optional_argument : required_argument,
                NULL, OPTION_SETTING + i};
        }
    }
    out[count] = (struct option){0};
}

static int take_setting(train_arguments *a, const char *name, const char *text)
{
    for (int stage = 0; stage < ATTUNE_STAGE_COUNT; stage++) {
        if (attune_settings_set(&a->stages[stage], name, text ? text : "yes")) {
            return usage_error("train", "--%s", attune_last_error());
        }
    }
    return EXIT_OK;
}

static int take_option(train_arguments *a, int option)
{
    static const char *const stages[] = {"synthetic", "human", "both", NULL};
    static const unsigned bits[] = {SYNTHETIC, HUMAN, SYNTHETIC | HUMAN};
    int word = 0, code = EXIT_OK;
    switch (option) {
    case 'o':
        a->run = optarg;
        return EXIT_OK;
    case OPTION_UNLABELLED:
        a->unlabelled = optarg;
        return EXIT_OK;
    case OPTION_STAGE:
        code = option_word(&word, "train", "--stage", optarg, stages);
        a->wanted = bits[word];
        return code;
    case OPTION_RESUME:
        a->resume = true;
        return EXIT_OK;
    case 'q':
        a->quiet = true;
        return EXIT_OK;
    case 'h':
        a->help = true;
        return EXIT_OK;
    default:
        return take_setting(a, attune_settings_table[option - OPTION_SETTING].name, optarg);
    }
}

/* --unlabelled is the audio of its stage. Asked before a configuration, whose audio it replaces. */
static int take_unlabelled(train_arguments *a)
{
    if (!a->unlabelled) {
        return EXIT_OK;
    }
    return a->stages[ATTUNE_STAGE_UNLABELLED].audio
               ? usage_error("train", "--unlabelled names the audio; --audio is for triplets")
               : take_setting(a, "audio", a->unlabelled);
}

static int check_arguments(const train_arguments *a)
{
    const attune_settings *first = &a->stages[ATTUNE_STAGE_SYNTHETIC],
                          *second = &a->stages[ATTUNE_STAGE_HUMAN];
    const bool triplets = first->triplets.count + second->triplets.count > 0;
    if (!a->run) {
        return usage_error("train", "no output: name a folder with -o RUN");
    }
    if (!first->audio && !second->audio && !a->unlabelled) {
        return usage_error("train", "no audio: name a folder with --audio or --unlabelled");
    }
    if ((a->unlabelled != NULL) == triplets) {
        return usage_error("train", a->unlabelled ? "--unlabelled takes no triplets"
                                                  : "no triplets: name a file with --triplets, or "
                                                    "learn without any by --unlabelled");
    }
    if (a->unlabelled && a->wanted) {
        return usage_error("train", "--stage is for triplets; --unlabelled is a stage of its own");
    }
    return EXIT_OK;
}

static int parse_arguments(train_arguments *a, int argc, char **argv)
{
    struct option options[ATTUNE_SETTINGS_MAX + 8];
    int option = 0, code = EXIT_OK;
    list_options(options);
    optind = 1;
    while (code == EXIT_OK && (option = getopt_long(argc, argv, ":o:qh", options, NULL)) != -1) {
        code = option == '?' || option == ':' ? option_error("train", argc, argv, options, option)
               : optarg && !*optarg           ? empty_error("train", options, option)
                                              : take_option(a, option);
    }
    if (code != EXIT_OK || a->help) {
        return code;
    }
    code = take_unlabelled(a);
    if (code == EXIT_OK && optind + 1 < argc) {
        return usage_error("train", "one configuration file is enough: %s", argv[optind + 1]);
    }
    if (code == EXIT_OK && optind < argc) {
        attune_status status = attune_settings_read(a->stages, &a->file, argv[optind]);
        code = status ? fail(status) : EXIT_OK;
    }
    return code == EXIT_OK ? check_arguments(a) : code;
}

/* ---- the run ---- */

/* Who is told of the training. */
typedef struct listener {
    bool quiet, progress, shown, waiting;
    double last; /* second of the last progress line */
} listener;

static void clear_line(listener *l)
{
    if (l->shown) {
        fprintf(stderr, "\r\033[K");
        l->shown = false;
    }
}

static void on_message(void *user, const char *line)
{
    listener *l = user;
    if (!l->quiet) {
        clear_line(l);
        message("%s", line);
    }
}

/* True a few times a second, on a terminal. */
static bool is_due(listener *l)
{
    const double seconds = attune_seconds();
    if (!l->progress || seconds - l->last < 0.2) {
        return false;
    }
    l->last = seconds;
    l->shown = true;
    return true;
}

static void on_decode(void *user, const attune_clip_cache_progress *progress)
{
    listener *l = user;
    if (progress->waiting && !l->waiting) {
        on_message(l, "another process is decoding into the cache: waiting for it");
    }
    l->waiting = progress->waiting;
    if (is_due(user)) {
        fprintf(stderr, "\r\033[Kdecoding %zu of %zu, %zu failed", progress->decoded,
                progress->tracks, progress->failed);
    }
}

static void on_step(void *user, const attune_train_progress *p)
{
    if (is_due(user)) {
        fprintf(stderr,
                "\r\033[K%s epoch %lld of %lld, step %lld of %lld, loss %.4f, accuracy %.3f, rate "
                "%.2g, %.0f clips/s",
                attune_stage_name(p->stage), (long long)p->epoch, (long long)p->epochs,
                (long long)p->step, (long long)p->steps, p->loss, p->accuracy, p->rate,
                p->clips_per_second);
    }
}

static bool should_stop(void *user)
{
    (void)user;
    return stop_signal() != 0;
}

static void say_result(listener *l, attune_stage stage, const attune_train_result *result,
                       const char *folder)
{
    char line[600];
    snprintf(line, sizeof(line), "%s: best epoch %lld of %lld, %.4f; %s/best.h5",
             attune_stage_name(stage), (long long)result->best_epoch, (long long)result->epochs,
             result->best_score, folder);
    on_message(l, line);
    if (result->tested) {
        const attune_triplet_score *test = &result->test.triplets;
        snprintf(line, sizeof(line),
                 "test: %g of %u triplets, %.4f (mean of batches %.4f), loss %.4f", test->correct,
                 test->count, result->test.score, test->batch_accuracy, test->loss);
        on_message(l, line);
    }
}

static attune_status train_stage(train_arguments *a, attune_stage stage, const char *folder,
                                 const char *from, listener *l)
{
    attune_settings *settings = &a->stages[stage];
    const attune_train_options run = {
        .folder = folder, .resume = a->resume, .argument_count = a->argc, .arguments = a->argv};
    const attune_train_events events = {.on_message = on_message,
                                        .on_decode = on_decode,
                                        .on_step = on_step,
                                        .should_stop = should_stop,
                                        .user = l};
    attune_train_result result;
    attune_settings_complete(settings, stage);
    settings->from = from ? from : settings->from;
    attune_status status = attune_train(&result, settings, stage, &run, &events);
    clear_line(l);
    if (!status) {
        say_result(l, stage, &result, folder);
    }
    return status;
}

/* What would come to light only when the first stage, in `first`, is over. */
static attune_status check_both(const train_arguments *a, const char *first, const char *from)
{
    char last[4200];
    attune_settings kept[2] = {a->stages[ATTUNE_STAGE_SYNTHETIC], a->stages[ATTUNE_STAGE_HUMAN]};
    attune_settings_complete(&kept[0], ATTUNE_STAGE_SYNTHETIC);
    attune_settings_complete(&kept[1], ATTUNE_STAGE_HUMAN);
    if (kept[0].cache && kept[1].cache && strcmp(kept[0].cache, kept[1].cache) == 0 &&
        kept[0].keep_seconds != kept[1].keep_seconds) {
        return attune_fail(
            ATTUNE_EINVAL,
            "cache: the stages keep %g and %g seconds of a track; set keep-seconds, or "
            "let each have its own",
            kept[0].keep_seconds, kept[1].keep_seconds);
    }
    kept[1].from = from;
    attune_status status = attune_settings_check(&kept[0], ATTUNE_STAGE_SYNTHETIC);
    status = status ? status : attune_stage_data_check(&kept[1], ATTUNE_STAGE_HUMAN);
    /* A first stage that goes on has its network already, and what it began with may be gone. */
    snprintf(last, sizeof(last), "%s/last.h5", first);
    attune_settings has_network = kept[0];
    if (a->resume && access(last, F_OK) == 0) {
        has_network = kept[1];
        has_network.from = last;
    }
    return status ? status : attune_start_check(&kept[1], &has_network);
}

/* Both stages, each in its folder; RUN/best.h5 is the second's. */
static attune_status train_both(train_arguments *a, listener *l)
{
    char first[4096], second[4096], from[4200], best[4096], last[4096];
    attune_checkpoint *checkpoint = NULL;
    snprintf(first, sizeof(first), "%.4000s/synthetic", a->run);
    snprintf(second, sizeof(second), "%.4000s/human", a->run);
    snprintf(best, sizeof(best), "%.4000s/best.h5", a->run);
    snprintf(from, sizeof(from), "%s/best.h5", first);
    snprintf(last, sizeof(last), "%.4000s/last.h5", a->run);
    if (access(last, F_OK) == 0) {
        return attune_fail(ATTUNE_ECREATE, "%s: a run of one stage is in it; name another folder",
                           a->run);
    }
    attune_status status = check_both(a, first, from);
    status = status ? status : attune_make_folder(a->run);
    status = status ? status : train_stage(a, ATTUNE_STAGE_SYNTHETIC, first, NULL, l);
    status = status ? status : train_stage(a, ATTUNE_STAGE_HUMAN, second, from, l);
    snprintf(from, sizeof(from), "%s/best.h5", second);
    status = status ? status : attune_checkpoint_read(&checkpoint, from);
    status = status ? status : attune_checkpoint_write(best, checkpoint);
    attune_checkpoint_close(checkpoint);
    return status;
}

/* Which of the stages, as bits, the triplet files are for, those of a stage's own section too. */
static attune_status find_stages(const train_arguments *a, unsigned *stages)
{
    *stages = 0;
    for (int stage = 0; stage <= ATTUNE_STAGE_HUMAN; stage++) {
        const attune_list *files = &a->stages[stage].triplets;
        for (int i = 0; i < files->count; i++) {
            bool human = false;
            attune_status status = attune_triplets_is_human(&human, files->items[i]);
            if (status) {
                return status;
            }
            *stages |= human ? HUMAN : SYNTHETIC;
        }
    }
    return ATTUNE_OK;
}

/* What a section of the configuration may have left to another. */
static attune_status check_stages(const train_arguments *a, unsigned stages)
{
    for (int stage = 0; stage <= ATTUNE_STAGE_HUMAN; stage++) {
        const attune_settings *settings = &a->stages[stage];
        if (stages >> stage & 1 && (!settings->audio || settings->triplets.count == 0)) {
            return attune_fail(ATTUNE_EINVAL, "stage %s has no %s", attune_stage_name(stage),
                               settings->audio ? "triplets" : "audio");
        }
    }
    return ATTUNE_OK;
}

static attune_status train(train_arguments *a, listener *l)
{
    unsigned stages = a->wanted;
    attune_status status = ATTUNE_OK;
    if (a->unlabelled) {
        return train_stage(a, ATTUNE_STAGE_UNLABELLED, a->run, NULL, l);
    }
    if (!stages) {
        status = find_stages(a, &stages);
    }
    status = status ? status : check_stages(a, stages);
    if (status) {
        return status;
    }
    return stages == (SYNTHETIC | HUMAN) ? train_both(a, l)
           : stages == HUMAN             ? train_stage(a, ATTUNE_STAGE_HUMAN, a->run, NULL, l)
                                         : train_stage(a, ATTUNE_STAGE_SYNTHETIC, a->run, NULL, l);
}

int command_train(int argc, char **argv)
{
    train_arguments a = {.argc = argc, .argv = argv};
    int code = parse_arguments(&a, argc, argv);
    if (a.help && code == EXIT_OK) {
        return print_help();
    }
    if (code == EXIT_OK) {
        listener l = {.quiet = a.quiet, .progress = !a.quiet && isatty(STDERR_FILENO)};
        stop_on_usr1();
        stop_on_signals();
        attune_status status = train(&a, &l);
        if (status == ATTUNE_ESTOPPED && stop_signal()) {
            on_message(&l, attune_last_error());
            code = stop_exit_code();
        } else if (status) {
            clear_line(&l);
            code = fail(status);
        }
    }
    free(a.file);
    return code;
}
