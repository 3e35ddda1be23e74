/* embed.c - `attune embed`: audio files and folders in, one HDF5 file out. */
#include "cli/cli.h"
#include "cli/log.h"
#include "cli/metrics.h"
#include "cli/shard.h"
#include "cli/stop.h"
#include "fma/metadata.h"
#include "status/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char help[] =
    "Usage: attune embed INPUT... -o OUT.h5 [--model MODEL.onnx] [OPTION...]\n"
    "\n"
    "Embeds audio: every file becomes a row of OUT.h5, its vector or why there is none.\n"
    "INPUT is a file, a folder (searched with all folders below it for audio; names that\n"
    "begin with a dot are passed over), an archive (.zip or .tar, read in place), or - for a\n"
    "list of files on standard input.\n"
    "\n"
    "  -o, --output OUT.h5        file to write, only when all is done. One that is there\n"
    "                             is added to: files that are new or have another size or\n"
    "                             time are embedded, all other rows stay\n"
    "  -m, --model MODEL.onnx     network to run (default: $ATTUNE_MODEL, or\n"
    "                             the one built in)\n"
    "      --files-from LIST      also embed the files named in LIST, one a line; - is\n"
    "                             standard input\n"
    "  -0, --null                 names in lists end with NUL instead of a line break\n"
    "      --clip START:LENGTH    embed only these seconds of every file; without LENGTH\n"
    "                             from START to the end\n"
    "      --timeout SECONDS      give a file up when decoding has taken this long more\n"
    "                             than the audio decoded so far would play (default: 60;\n"
    "                             0: never)\n"
    "      --isolate              decode in processes of their own, so that a crash or a hang\n"
    "                             of a decoder costs one file and not the run\n"
    "      --device DEVICE        where to run the network: cpu, cuda (every GPU), cuda:N,\n"
    "                             cuda:N,cuda:M or auto, which is every GPU, or the CPU\n"
    "                             where there is none (default: auto)\n"
    "      --gpu-memory SIZE      memory to use on each GPU at most, such as 8G or 500M\n"
    "                             (default: 80 % of what is free)\n"
    "      --precision exact|fast exact is within 1e-5 of ONNX Runtime in every component,\n"
    "                             fast within 5e-4, and takes half the time on GPUs and on\n"
    "                             processors with AVX-512, a tenth less on others\n"
    "                             (default: exact)\n"
    "      --descriptors          also write the 23 descriptors of bliss, /descriptors (needs\n"
    "                             aubio in the build)\n"
    "      --verify N             embed N tracks, chosen at random, again on the CPU, and\n"
    "                             fail if one differs by more than the precision allows\n"
    "      --fma-metadata DIR     also write what fma_metadata in DIR says of each track: the\n"
    "                             columns track_id, genre_top, artist_id, album_id, split\n"
    "      --subset NAME          embed only the tracks of FMA's small, medium (which holds\n"
    "                             small), large or full; needs --fma-metadata\n"
    "      --shard I/N            embed only the files of shard I of N (1 to N) and write\n"
    "                             OUT-I-of-N.h5, for attune merge to join; a file's shard\n"
    "                             depends only on its absolute path and N (default: in a\n"
    "                             task of a Slurm array 1-N or 0-(N-1), its place in it)\n"
    "      --retry-failed         also embed again what failed in an earlier run\n"
    "      --prune                drop rows whose file is gone\n"
    "      --force                start over: replace OUT.h5, drop what is done of it\n"
    "      --dry-run              print each file that would be embedded, and why: new,\n"
    "                             changed or retried; write nothing\n"
    "      --commit SECONDS       make what is done durable at least this often (default:\n"
    "                             10; every 4,096 files in any case)\n"
    "  -j, --jobs N               files at a time (default: one per processor)\n"
    "  -q, --quiet                say nothing unless the command cannot go on\n"
    "      --log-json             messages as one JSON object a line on standard error\n"
    "      --metrics FILE.prom    keep FILE.prom up to date for Prometheus\n"
    "  -h, --help                 this text\n";

static const char help_ends[] = /* C99's longest string is not long enough for both */
    "\n"
    "A run that ends early, however it ends, leaves OUT.h5 as it was and what is done in\n"
    "OUT.h5.parts; the same command goes on from there. SIGINT, SIGTERM and SIGUSR1 finish\n"
    "the files under way; a second SIGINT or SIGTERM stops at once.\n"
    "\n"
    "Exit: 0 all embedded, 3 finished but some files failed, 64 usage, 65 bad model, OUT.h5\n"
    "or part, 66 no input, 70 verification failed, 73 cannot create OUT.h5, 74 I/O error, 75\n"
    "run again (SIGUSR1, a GPU failed, another job is writing OUT.h5), 78 no such device, no\n"
    "aubio for --descriptors, or OUT.h5 has another model, precision, clip or has descriptors\n"
    "or none otherwise than asked for, 130 SIGINT, 143 SIGTERM.\n";

enum {
    OPTION_FILES_FROM = 256,
    OPTION_CLIP,
    OPTION_TIMEOUT,
    OPTION_ISOLATE,
    OPTION_DEVICE,
    OPTION_GPU_MEMORY,
    OPTION_PRECISION,
    OPTION_DESCRIPTORS,
    OPTION_VERIFY,
    OPTION_FMA_METADATA,
    OPTION_SUBSET,
    OPTION_SHARD,
    OPTION_RETRY_FAILED,
    OPTION_PRUNE,
    OPTION_FORCE,
    OPTION_DRY_RUN,
    OPTION_COMMIT,
    OPTION_LOG_JSON,
    OPTION_METRICS
};

static const struct option options[] = {
    {"output", required_argument, NULL, 'o'},
    {"model", required_argument, NULL, 'm'},
    {"files-from", required_argument, NULL, OPTION_FILES_FROM},
    {"null", no_argument, NULL, '0'},
    {"clip", required_argument, NULL, OPTION_CLIP},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"isolate", no_argument, NULL, OPTION_ISOLATE},
    {"device", required_argument, NULL, OPTION_DEVICE},
    {"gpu-memory", required_argument, NULL, OPTION_GPU_MEMORY},
    {"precision", required_argument, NULL, OPTION_PRECISION},
    {"descriptors", no_argument, NULL, OPTION_DESCRIPTORS},
    {"verify", required_argument, NULL, OPTION_VERIFY},
    {"fma-metadata", required_argument, NULL, OPTION_FMA_METADATA},
    {"subset", required_argument, NULL, OPTION_SUBSET},
    {"shard", required_argument, NULL, OPTION_SHARD},
    {"retry-failed", no_argument, NULL, OPTION_RETRY_FAILED},
    {"prune", no_argument, NULL, OPTION_PRUNE},
    {"force", no_argument, NULL, OPTION_FORCE},
    {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
    {"commit", required_argument, NULL, OPTION_COMMIT},
    {"jobs", required_argument, NULL, 'j'},
    {"quiet", no_argument, NULL, 'q'},
    {"log-json", no_argument, NULL, OPTION_LOG_JSON},
    {"metrics", required_argument, NULL, OPTION_METRICS},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

typedef struct embed_arguments {
    attune_job_options job;
    const char *model, *metrics, *metadata;
    attune_fma_subset subset; /* ATTUNE_FMA_SUBSET_COUNT: every file */
    cli_shard shard;
    char *shard_output;
    const char **lists; /* as many as argc at most */
    int list_count;
    bool null_delimited, quiet, log_json, help;
} embed_arguments;

/* Sets one option; an exit code other than EXIT_OK ends the command. */
static int take_option(embed_arguments *a, int option)
{
    long number = 0;
    int code = EXIT_OK;
    switch (option) {
    case 'o':
        if (a->job.output) {
            return usage_error("embed", "-o is given twice");
        }
        a->job.output = optarg;
        break;
    case 'm':
        a->model = optarg;
        break;
    case OPTION_FILES_FROM:
        a->lists[a->list_count++] = optarg;
        break;
    case '0':
        a->null_delimited = true;
        break;
    case OPTION_CLIP:
        if (!parse_clip(optarg, &a->job.audio.clip_start, &a->job.audio.clip_seconds)) {
            return usage_error("embed", "--clip %s: not START:LENGTH in seconds", optarg);
        }
        break;
    case OPTION_TIMEOUT:
        if (!parse_real(optarg, 0, 1e9, &a->job.audio.timeout_seconds)) {
            return usage_error("embed", "--timeout %s: not a number of seconds", optarg);
        }
        break;
    case OPTION_ISOLATE:
        a->job.decoder = "/proc/self/exe"; /* still this program when its file is replaced */
        break;
    case OPTION_DEVICE:
        a->job.engine.device = optarg;
        break;
    case OPTION_GPU_MEMORY:
        if (!parse_size(optarg, &a->job.gpu_memory)) {
            return usage_error("embed", "--gpu-memory %s: not a size such as 8G or 500M", optarg);
        }
        break;
    case OPTION_DESCRIPTORS:
        a->job.descriptors = true;
        break;
    case OPTION_VERIFY:
        code = option_integer(&number, "embed", "--verify", optarg, 0, 1000000000);
        a->job.verify = (uint64_t)number;
        return code;
    case OPTION_FMA_METADATA:
        a->metadata = optarg;
        break;
    case OPTION_SUBSET:
        if (!attune_fma_subset_parse(&a->subset, optarg)) {
            return usage_error("embed", "--subset %s: not small, medium, large or full", optarg);
        }
        break;
    case OPTION_SHARD:
        if (!shard_parse(&a->shard, optarg)) {
            return usage_error("embed", "--shard %s: not I/N with I from 1 to N", optarg);
        }
        break;
    case OPTION_RETRY_FAILED:
        a->job.retry_failed = true;
        break;
    case OPTION_PRUNE:
        a->job.prune = true;
        break;
    case OPTION_FORCE:
        a->job.force = true;
        break;
    case OPTION_DRY_RUN:
        a->job.dry_run = true;
        break;
    case OPTION_COMMIT:
        if (!parse_real(optarg, 0, 1e9, &a->job.commit_seconds)) {
            return usage_error("embed", "--commit %s: not a number of seconds", optarg);
        }
        break;
    case OPTION_PRECISION:
        a->job.engine.precision = optarg;
        break;
    case 'j':
        code = option_integer(&number, "embed", "--jobs", optarg, 1, 4096);
        a->job.workers = (int)number;
        return code;
    case 'q':
        a->quiet = true;
        break;
    case OPTION_LOG_JSON:
        a->log_json = true;
        break;
    case OPTION_METRICS:
        a->metrics = optarg;
        break;
    default:
        a->help = true;
        break;
    }
    return EXIT_OK;
}

static int parse_arguments(embed_arguments *a, int argc, char **argv)
{
    int option = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, ":o:m:0j:qh", options, NULL)) != -1) {
        int code = option == '?' || option == ':'
                       ? option_error("embed", argc, argv, options, option)
                       : take_option(a, option);
        if (code != EXIT_OK) {
            return code;
        }
    }
    if (a->help) {
        return EXIT_OK;
    }
    for (int i = optind; i < argc; i++) {
        if (strcmp(argv[i], "-") == 0) {
            a->lists[a->list_count++] = argv[i];
        }
    }
    if (optind == argc && a->list_count == 0) {
        return usage_error("embed", "no input");
    }
    if (!a->job.output || !*a->job.output) {
        return usage_error("embed", "no output: name one with -o OUT.h5");
    }
    if (a->subset != ATTUNE_FMA_SUBSET_COUNT && !a->metadata) {
        return usage_error("embed", "--subset needs --fma-metadata, which says what is in it");
    }
    return EXIT_OK;
}

/* What the shard is, if it was not given, and its output. */
static attune_status settle_shard(embed_arguments *a)
{
    attune_status status = a->shard.count > 0 ? ATTUNE_OK : shard_from_slurm(&a->shard);
    if (status == ATTUNE_OK && a->shard.count > 0) {
        status = shard_output(&a->shard_output, a->job.output, a->shard);
        a->job.output = a->shard_output;
        a->job.shard = a->shard.index - 1;
    }
    return status;
}

static attune_status add_list(attune_scan *scan, const char *name, char delimiter)
{
    const bool standard = strcmp(name, "-") == 0;
    FILE *file = standard ? stdin : fopen(name, "r");
    struct stat info;
    if (!file) {
        return attune_fail(ATTUNE_ENOINPUT, "%s: %s", name, strerror(errno));
    }
    if (!standard && fstat(fileno(file), &info) == 0 && S_ISDIR(info.st_mode)) {
        fclose(file);
        return attune_fail(ATTUNE_ENOINPUT, "%s: is a folder, not a list", name);
    }
    attune_status status =
        attune_scan_add_list(scan, file, delimiter, standard ? "standard input" : name);
    if (!standard) {
        fclose(file);
    }
    return status;
}

static attune_status scan_inputs(attune_scan **scan, const embed_arguments *a, int argc,
                                 char **argv)
{
    attune_status status = attune_scan_create(scan);
    if (status == ATTUNE_OK && a->job.decoder) {
        status = attune_scan_isolate(*scan, a->job.decoder);
    }
    for (int i = optind; status == ATTUNE_OK && i < argc; i++) {
        if (strcmp(argv[i], "-") != 0) {
            status = attune_scan_add(*scan, argv[i]);
        }
    }
    for (int i = 0; status == ATTUNE_OK && i < a->list_count; i++) {
        status = add_list(*scan, a->lists[i], a->null_delimited ? '\0' : '\n');
    }
    return status == ATTUNE_OK ? attune_scan_finish(*scan) : status;
}

/* Which files stay of a scan. */
typedef struct subset_filter {
    const attune_fma *fma;
    attune_fma_subset subset;
} subset_filter;

static bool is_in_subset(void *user, const char *path)
{
    const subset_filter *filter = user;
    const attune_fma_track *track = attune_fma_find_file(filter->fma, path);
    return track && track->subset <= filter->subset;
}

static attune_status take_subset(cli_log *log, attune_scan *scan, const attune_fma *fma,
                                 attune_fma_subset subset)
{
    const size_t all = attune_scan_count(scan);
    if (subset == ATTUNE_FMA_SUBSET_COUNT) {
        return ATTUNE_OK;
    }
    attune_scan_filter(scan, is_in_subset, &(subset_filter){fma, subset});
    if (attune_scan_count(scan) == 0) {
        return attune_fail(ATTUNE_ENOINPUT,
                           "%s: none of its %zu files is named as a track of fma_%s is, such as "
                           "000/000002.mp3",
                           attune_scan_root(scan), all, attune_fma_subset_name(subset));
    }
    log_subset(log, attune_fma_subset_name(subset), attune_scan_count(scan), all);
    return ATTUNE_OK;
}

/* Says how many files get no labels, which otherwise shows in no message. */
static void count_strangers(cli_log *log, const attune_scan *scan, const attune_fma *fma)
{
    const size_t all = attune_scan_count(scan);
    size_t strangers = 0;
    for (size_t i = 0; i < all; i++) {
        strangers += !attune_fma_find_file(fma, attune_scan_path(scan, i));
    }
    if (strangers > 0) {
        log_unlabelled(log, strangers, all);
    }
}

static void take_shard(cli_log *log, attune_scan *scan, cli_shard shard)
{
    const size_t all = attune_scan_count(scan);
    if (shard.count > 0) {
        attune_scan_shard(scan, shard.index - 1, shard.count);
        log_shard(log, shard, attune_scan_count(scan), all);
    }
}

/* Who is told of the job. */
typedef struct listener {
    cli_log log;
    cli_metrics metrics;
    attune_fma *fma; /* NULL: the files are not FMA's, as far as we know */
} listener;

static void on_track(void *user, const char *name, const attune_track *track)
{
    listener *l = user;
    log_track(&l->log, name, track);
    if (l->fma && attune_fma_is_bad_clip(attune_fma_id_of(name))) {
        log_bad_clip(&l->log, name);
    }
}

static bool on_progress(void *user, const attune_job_progress *progress)
{
    listener *l = user;
    metrics_update(&l->metrics, progress);
    if (stop_signal()) {
        log_stopping(&l->log);
        return true;
    }
    log_progress(&l->log, progress);
    return false;
}

static void on_plan(void *user, const char *path, attune_job_reason reason)
{
    (void)user;
    log_plan(path, reason);
}

static int finish(cli_log *log, attune_status status, const attune_job_progress *progress,
                  const embed_arguments *a)
{
    if (status != ATTUNE_OK) {
        log_error(log);
        return status == ATTUNE_ESTOPPED && stop_signal() ? stop_exit_code() : exit_code(status);
    }
    if (a->job.dry_run) {
        log_planned(log, progress, a->job.output);
        return EXIT_OK;
    }
    log_done(log, progress, a->job.scan, a->job.output);
    return failed_files(progress) > 0 ? EXIT_SOME_FAILED : EXIT_OK;
}

static int run(embed_arguments *a, int argc, char **argv)
{
    attune_model *model = NULL;
    attune_scan *scan = NULL;
    attune_job_progress progress = {0};
    listener l = {0};
    const char *name = NULL;
    log_open(&l.log, a->log_json, a->quiet);
    stop_on_usr1();
    attune_status status = settle_shard(a);
    if (status == ATTUNE_OK && !a->job.dry_run) {
        status = metrics_open(&l.metrics, a->metrics, a->job.output);
    }
    if (status == ATTUNE_OK) {
        status = open_model(&model, &name, a->model);
    }
    if (status == ATTUNE_OK && a->metadata) {
        status = attune_fma_open(&l.fma, a->metadata);
    }
    if (status == ATTUNE_OK) {
        status = scan_inputs(&scan, a, argc, argv);
    }
    if (status == ATTUNE_OK) {
        status = take_subset(&l.log, scan, l.fma, a->subset);
    }
    if (status == ATTUNE_OK) {
        a->job.label = l.fma ? attune_fma_label : NULL;
        a->job.label_user = l.fma;
        a->job.model = model;
        a->job.scan = scan;
        a->job.on_track = on_track;
        a->job.on_plan = on_plan;
        a->job.on_progress = on_progress;
        a->job.user = &l;
        stop_on_signals();
        take_shard(&l.log, scan, a->shard);
        if (l.fma) {
            count_strangers(&l.log, scan, l.fma);
        }
        log_start(&l.log, scan, a->job.output, name);
        status = attune_job_run(&a->job, &progress);
    }
    const int code = finish(&l.log, status, &progress, a);
    metrics_close(&l.metrics, &progress, code);
    attune_scan_free(scan);
    attune_model_close(model);
    attune_fma_close(l.fma);
    return code;
}

int command_embed(int argc, char **argv)
{
    embed_arguments a = {.lists = calloc((size_t)argc + 1, sizeof(char *)),
                         .subset = ATTUNE_FMA_SUBSET_COUNT};
    if (!a.lists) {
        return fail(ATTUNE_ENOMEM);
    }
    attune_job_options_default(&a.job);
    char *command = command_line(argc, argv); /* before getopt puts the options first */
    a.job.command = command;
    int code = parse_arguments(&a, argc, argv);
    if (code == EXIT_OK && a.help) {
        fputs(help, stdout);
        fputs(help_ends, stdout);
    } else if (code == EXIT_OK) {
        code = run(&a, argc, argv);
    }
    free(a.shard_output);
    free(a.lists);
    free(command);
    return code;
}
