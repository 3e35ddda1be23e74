/* judge.c - `attune judge`: a page on which people say which two of three clips are most alike. */
#include "cli/cli.h"
#include "cli/stop.h"
#include "judge/api.h"
#include "judge/journal.h"
#include "judge/report.h"
#include "judge/vectors.h"
#include "status/error.h"
#include "status/hash.h"
#include "status/path.h"
#include "web/listen.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static const char help[] =
    "Usage: attune judge TRIPLETS.csv --audio DIR|EMB.h5 [OPTION...]\n"
    "       attune judge --report TRIPLETS.csv [-o OUT.csv] [--json]\n"
    "\n"
    "Serves a web page that plays three clips and asks which two sound most alike, for any\n"
    "number of listeners. TRIPLETS.csv has the columns song1, song2, song3, anchor, positive\n"
    "(attune triplets --candidates makes one): ids or paths of songs below DIR, or of rows of\n"
    "EMB.h5. Rows that it has judged already are not asked. Each answer is on the disk, in\n"
    "OUT.jsonl, before it is acknowledged; OUT.csv has what the most votes say, row for row,\n"
    "for attune train and attune eval. The same command goes on where it was left.\n"
    "--report prints who has judged what, and how far they agree.\n"
    "\n"
    "      --audio DIR|EMB.h5   where the songs are\n"
    "      --manifest FILE.csv  ids of the files below DIR (columns id and path)\n"
    "      --skip-missing       leave out what has no file\n"
    "  -o, --output OUT.csv     file to write (default: TRIPLETS-judged.csv)\n"
    "  -f, --force              replace an OUT.csv that no attune judge wrote\n"
    "      --votes N            listeners to ask of each three (default: 1); with --report, which\n"
    "                           does not know it, how many were asked\n"
    "      --repeat PERCENT     of the threes, asked a second time later (default: 5)\n"
    "      --again              ask also what TRIPLETS.csv says already\n"
    "      --active MODEL.onnx|EMB.h5  ask first where these embeddings are least sure\n"
    "      --seconds S          of a clip (default: 15)\n"
    "      --offset S           where it begins (default: the middle of the song)\n"
    "      --seed N             for orders (default: 42)\n"
    "      --cache SIZE         of clips in memory (default: 256M)\n"
    "      --port N             default: 8080; 0: any that is free\n"
    "      --listen ADDRESS     default: 127.0.0.1, this machine alone\n"
    "      --token T            let in who opens the page with ?token=T; at least 8 of\n"
    "                           A-Z a-z 0-9 - . _ ~; or in ATTUNE_JUDGE_TOKEN. Needed\n"
    "                           where others can connect\n"
    "      --rate N             requests a second of one address (default: 50; 0: any)\n"
    "      --report             print the figures of what was judged\n"
    "      --json               the report as a JSON object, with every label\n"
    "  -q, --quiet              say nothing unless the command cannot go on\n"
    "  -h, --help               this text\n"
    "\n"
    "SIGINT or SIGTERM ends it. Exit: 0 ok, 3 some threes could not be played, 64 usage, 65 bad\n"
    "triplets or judgements, 66 not there, 73 cannot create, or the port is in use, 74 I/O\n"
    "error, 75 another attune judge writes OUT.\n";

enum {
    OPTION_AUDIO = 256,
    OPTION_MANIFEST,
    OPTION_SKIP_MISSING,
    OPTION_VOTES,
    OPTION_REPEAT,
    OPTION_AGAIN,
    OPTION_ACTIVE,
    OPTION_SECONDS,
    OPTION_OFFSET,
    OPTION_SEED,
    OPTION_CACHE,
    OPTION_PORT,
    OPTION_LISTEN,
    OPTION_TOKEN,
    OPTION_RATE,
    OPTION_REPORT,
    OPTION_JSON
};

static const struct option options[] = {
    {"audio", required_argument, NULL, OPTION_AUDIO},
    {"manifest", required_argument, NULL, OPTION_MANIFEST},
    {"skip-missing", no_argument, NULL, OPTION_SKIP_MISSING},
    {"output", required_argument, NULL, 'o'},
    {"force", no_argument, NULL, 'f'},
    {"votes", required_argument, NULL, OPTION_VOTES},
    {"repeat", required_argument, NULL, OPTION_REPEAT},
    {"again", no_argument, NULL, OPTION_AGAIN},
    {"active", required_argument, NULL, OPTION_ACTIVE},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"offset", required_argument, NULL, OPTION_OFFSET},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"cache", required_argument, NULL, OPTION_CACHE},
    {"port", required_argument, NULL, OPTION_PORT},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"token", required_argument, NULL, OPTION_TOKEN},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"report", no_argument, NULL, OPTION_REPORT},
    {"json", no_argument, NULL, OPTION_JSON},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

typedef struct judge_arguments {
    attune_sources_options sources;
    attune_clips_options clips;
    attune_panel_options panel;
    attune_web_options web;
    const char *triplets, *active;
    char *output, *journal; /* malloc'ed */
    bool again, force, report, json, quiet, help;
} judge_arguments;

/* ---- arguments ---- */

static int take_number(long *out, const char *name, long low, long high)
{
    return parse_integer(optarg, low, high, out)
               ? EXIT_OK
               : usage_error("judge", "--%s %s: not a number from %ld to %ld", name, optarg, low,
                             high);
}

static int take_numeric(judge_arguments *a, int option)
{
    long number = 0;
    double real = 0;
    int code = EXIT_OK;
    switch (option) {
    case OPTION_VOTES:
        code = take_number(&number, "votes", 1, ATTUNE_LISTENERS_MAX);
        a->panel.votes = (uint32_t)number;
        break;
    case OPTION_REPEAT:
        code = take_number(&number, "repeat", 0, 100);
        a->panel.repeat = (uint32_t)number;
        break;
    case OPTION_SEED:
        code = take_number(&number, "seed", 0, UINT32_MAX);
        a->panel.seed = (uint64_t)number;
        break;
    case OPTION_PORT:
        code = take_number(&number, "port", 0, 65535);
        a->web.port = (int)number;
        break;
    case OPTION_RATE:
        code = take_number(&number, "rate", 0, 1000000);
        a->web.rate = (double)number;
        break;
    case OPTION_SECONDS:
        code = parse_real(optarg, 0.5, 600, &a->clips.seconds)
                   ? EXIT_OK
                   : usage_error("judge", "--seconds %s: not a number from 0.5 to 600", optarg);
        break;
    default:
        code = parse_real(optarg, 0, 1e6, &real)
                   ? EXIT_OK
                   : usage_error("judge", "--offset %s: not a number of seconds", optarg);
        a->clips.start = real;
        break;
    }
    return code;
}

static int take_option(judge_arguments *a, int option)
{
    switch (option) {
    case OPTION_AUDIO:
        a->sources.audio = optarg;
        break;
    case OPTION_MANIFEST:
        a->sources.manifest = optarg;
        break;
    case OPTION_SKIP_MISSING:
        a->sources.skip_missing = true;
        break;
    case 'o':
        free(a->output);
        a->output = strdup(optarg);
        break;
    case OPTION_ACTIVE:
        a->active = optarg;
        break;
    case OPTION_LISTEN:
        a->web.address = optarg;
        break;
    case OPTION_TOKEN:
        a->web.token = optarg;
        break;
    case OPTION_CACHE:
        return parse_size(optarg, &a->clips.bytes)
                   ? EXIT_OK
                   : usage_error("judge", "--cache %s: not a size such as 256M", optarg);
    case OPTION_AGAIN:
        a->again = true;
        break;
    case 'f':
        a->force = true;
        break;
    case OPTION_REPORT:
        a->report = true;
        break;
    case OPTION_JSON:
        a->json = true;
        break;
    case 'q':
        a->quiet = true;
        break;
    case 'h':
        a->help = true;
        break;
    default:
        return take_numeric(a, option);
    }
    return EXIT_OK;
}

/* A token can stand in an address as it is. */
static int check_listening(const judge_arguments *a)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    const char *token = a->web.token;
    if (token && (strlen(token) < 8 || strlen(token) > 128 || token[strspn(token, letters)])) {
        return usage_error("judge", "a token has 8 to 128 letters, digits or - . _ ~");
    }
    if (!attune_web_is_address(a->web.address)) {
        return usage_error("judge", "--listen %s: not an address in numbers, such as 0.0.0.0",
                           a->web.address);
    }
    if (!token && !attune_web_is_loopback(a->web.address)) {
        return usage_error("judge",
                           "--listen %s lets others connect: give a --token, which they "
                           "need to know",
                           a->web.address);
    }
    return EXIT_OK;
}

static int check_arguments(judge_arguments *a, int argc, char **argv)
{
    if (argc - optind != 1) {
        return usage_error("judge", "one file of triplets is needed, such as attune triplets "
                                    "--candidates makes");
    }
    a->triplets = argv[optind];
    if (a->report) {
        return EXIT_OK;
    }
    a->panel.votes = a->panel.votes > 0 ? a->panel.votes : 1;
    if (!a->sources.audio) {
        return usage_error("judge", "--audio is needed, where the songs are");
    }
    if (a->json) {
        return usage_error("judge", "--json is for --report");
    }
    return check_listening(a);
}

/* PATH without the ending of its name, and `ending` behind it; malloc'ed. */
static char *with_ending(const char *path, const char *ending)
{
    char *out = NULL;
    return asprintf(&out, "%.*s%s", (int)attune_stem_length(path), path, ending) < 0 ? NULL : out;
}

static attune_status name_files(judge_arguments *a)
{
    struct stat info;
    if (!a->output) {
        a->output = with_ending(a->triplets, "-judged.csv");
    }
    a->journal = a->output ? with_ending(a->output, ".jsonl") : NULL;
    if (!a->journal) {
        return attune_fail_memory("a path", strlen(a->triplets));
    }
    if (strcmp(a->output, a->journal) == 0 || strcmp(a->output, "-") == 0) {
        return attune_fail(ATTUNE_EINVAL, "-o %s: not the name of a CSV file", a->output);
    }
    if (a->report || stat(a->output, &info) != 0) {
        return ATTUNE_OK;
    }
    if (attune_same_file(a->triplets, a->output)) {
        return attune_fail(ATTUNE_EINVAL, "%s: is the file of triplets; name another with -o",
                           a->output);
    }
    return a->force || (stat(a->journal, &info) == 0 && info.st_size > 0)
               ? ATTUNE_OK
               : attune_fail(ATTUNE_ECREATE,
                             "%s: is there, and no judgements are in %s; name another with -o, or "
                             "--force",
                             a->output, a->journal);
}

static int parse_arguments(judge_arguments *a, int argc, char **argv)
{
    int option = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, ":o:fqh", options, NULL)) != -1) {
        const int code = option == '?' || option == ':'
                             ? option_error("judge", argc, argv, options, option)
                         : optarg && !*optarg ? empty_error("judge", options, option)
                                              : take_option(a, option);
        if (code != EXIT_OK) {
            return code;
        }
    }
    return a->help ? EXIT_OK : check_arguments(a, argc, argv);
}

/* ---- serving ---- */

/* All that serving needs; closed in the order below, whatever of it is there. */
typedef struct service {
    attune_threes threes;
    attune_sources *sources;
    attune_clips *clips;
    attune_active *active;
    attune_session *session;
    attune_web *web;
    attune_judge_api api;
} service;

static void close_service(service *s)
{
    attune_web_stop(s->web);
    attune_session_close(s->session);
    attune_active_free(s->active);
    attune_clips_free(s->clips);
    attune_sources_close(s->sources);
    attune_threes_free(&s->threes);
}

static bool is_stopped(void)
{
    return stop_signal() != 0;
}

static attune_status open_active(service *s, const judge_arguments *a)
{
    attune_model *model = NULL;
    float *vectors = NULL;
    uint32_t E = 0, missing = 0;
    attune_status status = ATTUNE_OK;
    if (attune_ends_in(a->active, ".onnx")) {
        status = attune_model_open(&model, a->active);
        if (status == ATTUNE_OK && !a->quiet) {
            message("embedding %u songs", s->threes.songs.count);
        }
        if (status == ATTUNE_OK) {
            status = attune_vectors_embed(&vectors, &E, &missing, s->threes.songs.count, s->sources,
                                          model, is_stopped);
        }
    } else {
        status = attune_vectors_read(&vectors, &E, &missing, &s->threes.songs, a->active);
    }
    if (status == ATTUNE_OK && missing > 0) {
        message("%u of %u songs have no vector in %s; their threes are asked last", missing,
                s->threes.songs.count, a->active);
    }
    if (status == ATTUNE_OK) {
        status =
            attune_active_create(&s->active, attune_file_name(a->active), &s->threes, vectors, E);
    }
    free(vectors);
    attune_model_close(model);
    return status;
}

static attune_status open_session(service *s, const judge_arguments *a)
{
    attune_session_found found;
    const attune_session_options session = {.threes = &s->threes,
                                            .sources = s->sources,
                                            .clips = s->clips,
                                            .active = s->active,
                                            .journal = a->journal,
                                            .output = a->output,
                                            .again = a->again,
                                            .panel = a->panel};
    const attune_status status = attune_session_open(&s->session, &found, &session);
    if (status != ATTUNE_OK) {
        return status;
    }
    if (found.torn > 0) {
        message("%s: cut off %zu bytes of a torn last line", a->journal, found.torn);
    }
    if (found.foreign > 0) {
        message("%s: %llu judgements are of threes that %s does not have", a->journal,
                (unsigned long long)found.foreign, a->triplets);
    }
    if (found.asked == 0) {
        return attune_fail(
            ATTUNE_ENOINPUT, "%s: nothing is left to ask%s", a->triplets,
            s->threes.judged > 0 && !a->again ? "; what it has judged is asked with --again" : "");
    }
    if (!a->quiet) {
        message("%u of %u three%s to ask, %llu answer%s by %u listener%s so far -> %s", found.asked,
                s->threes.count, s->threes.count == 1 ? "" : "s", (unsigned long long)found.answers,
                found.answers == 1 ? "" : "s", found.listeners, found.listeners == 1 ? "" : "s",
                a->output);
    }
    return ATTUNE_OK;
}

/* Browsers keep answers that could not be sent; these are for these triplets and this output. */
static void name_study(char out[17], const attune_threes *threes, const char *output)
{
    uint64_t hash = attune_hash(ATTUNE_HASH_BEGIN, output, strlen(output));
    for (uint32_t r = 0; r < threes->count; r++) {
        const uint64_t key = attune_threes_key(threes, r);
        hash = attune_hash(hash, &key, sizeof(key));
    }
    snprintf(out, 17, "%016" PRIx64, hash);
}

static attune_status open_service(service *s, const judge_arguments *a)
{
    attune_status status = attune_threes_read(&s->threes, a->triplets);
    if (status == ATTUNE_OK) {
        status = attune_sources_open(&s->sources, &s->threes.songs, &a->sources);
    }
    if (status == ATTUNE_OK) {
        status = attune_sources_check(s->sources, &s->threes, a->triplets);
    }
    if (status == ATTUNE_OK && attune_sources_missing(s->sources) > 0) {
        message("%u of %u songs have no file, and their threes are left out",
                attune_sources_missing(s->sources), s->threes.songs.count);
    }
    if (status == ATTUNE_OK) {
        status = attune_clips_create(&s->clips, s->sources, s->threes.songs.count, &a->clips);
    }
    if (status == ATTUNE_OK) { /* before the work, and before anything is written */
        status = attune_web_start(&s->web, &a->web);
    }
    if (status == ATTUNE_OK && a->active) {
        status = open_active(s, a);
    }
    if (status == ATTUNE_OK) {
        status = open_session(s, a);
    }
    if (status == ATTUNE_OK) { /* before anybody is told of the page */
        status = attune_session_save(s->session);
    }
    if (status != ATTUNE_OK) {
        attune_session_discard(s->session);
        s->session = NULL;
    } else {
        s->api = (attune_judge_api){
            .session = s->session, .clips = s->clips, .songs = s->threes.songs.count};
        name_study(s->api.study, &s->threes, a->output);
        attune_web_serve(s->web, attune_judge_handle, &s->api);
    }
    return status;
}

/* Writes OUT.csv if there is anything new; says once when that begins to fail, for nothing is lost
 * and the disk may have room again. */
static attune_status save(service *s, bool *failing, const char *journal)
{
    const attune_status status = attune_session_save(s->session);
    if (status != ATTUNE_OK && !*failing) {
        message("%s; %s has every answer, and this is tried again", attune_last_error(), journal);
    }
    *failing = status != ATTUNE_OK;
    return status;
}

static void tell_news(attune_session *session)
{
    attune_session_news news;
    attune_session_hear(session, &news);
    if (news.trouble[0]) {
        message("%s", news.trouble);
    }
    if (news.lost > 0) {
        message("%u %s cannot be played, and %s tried again when nothing else is left", news.lost,
                news.lost == 1 ? "three" : "threes", news.lost == 1 ? "is" : "are");
    }
}

/* Until a signal comes: looks at connections every second, writes what is new every two. */
static attune_status watch(service *s, const char *journal)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    bool failing = false;
    for (unsigned tenths = 1; !is_stopped(); tenths++) {
        nanosleep(&pause, NULL);
        if (tenths % 10 == 0) {
            attune_web_tick(s->web);
            tell_news(s->session);
        }
        if (tenths % 20 == 0) {
            save(s, &failing, journal);
        }
    }
    attune_web_stop(s->web); /* no answer comes after this */
    s->web = NULL;
    tell_news(s->session);
    return attune_session_end(s->session);
}

/* Says how many threes nobody could judge, once it is over. */
static int tell_unplayed(attune_session *session)
{
    const uint32_t count = attune_session_unplayed(session);
    if (count > 0) {
        message("%u three%s could not be played; the same command asks %s again", count,
                count == 1 ? "" : "s", count == 1 ? "it" : "them");
    }
    return count > 0 ? EXIT_SOME_FAILED : EXIT_OK;
}

static int serve(const judge_arguments *a)
{
    service s = {0};
    stop_on_signals();
    attune_status status = open_service(&s, a);
    if (status == ATTUNE_OK && !a->quiet) {
        message("%s%s%s", attune_web_url(s.web), a->web.token ? "?token=" : "",
                a->web.token ? a->web.token : "");
    }
    if (status == ATTUNE_OK) {
        status = watch(&s, a->journal);
    }
    const int code = status == ATTUNE_OK ? tell_unplayed(s.session) : fail(status);
    close_service(&s);
    return code;
}

/* ---- the report ---- */

static attune_status report(const judge_arguments *a)
{
    attune_threes threes = {0};
    attune_panel panel = {0};
    attune_replay replay = {0};
    attune_status status = attune_threes_read(&threes, a->triplets);
    if (status == ATTUNE_OK) {
        status = attune_panel_create(&panel, &threes, &a->panel);
    }
    if (status == ATTUNE_OK) {
        status = attune_replay_start(&replay, &panel, a->journal);
    }
    if (status == ATTUNE_OK) {
        status = attune_journal_read(a->journal, replay.head, attune_replay_line, &replay);
    }
    if (status == ATTUNE_OK && replay.foreign_count > 0) {
        message("%s: %llu judgements are of threes that %s does not have", a->journal,
                (unsigned long long)replay.foreign_count, a->triplets);
    }
    if (status == ATTUNE_OK && a->json) {
        char *text = attune_judge_report_json(&panel, NULL, true);
        status = text ? ATTUNE_OK : attune_fail_memory("a report", 0);
        puts(text ? text : "");
        free(text);
    } else if (status == ATTUNE_OK) {
        status = attune_judge_report_print(stdout, &panel);
    }
    attune_replay_end(&replay);
    attune_panel_free(&panel);
    attune_threes_free(&threes);
    return status;
}

int command_judge(int argc, char **argv)
{
    judge_arguments a = {
        .clips = {.start = -1, .seconds = 15, .bytes = (size_t)256 << 20},
        .panel = {.repeat = 5, .seed = 42},
    };
    attune_web_options_default(&a.web);
    a.web.port = 8080;
    const char *token = getenv("ATTUNE_JUDGE_TOKEN");
    a.web.token = token && *token ? token : NULL;
    int code = parse_arguments(&a, argc, argv);
    if (code == EXIT_OK && a.help) {
        fputs(help, stdout);
    } else if (code == EXIT_OK) {
        attune_status status = name_files(&a);
        if (status == ATTUNE_OK && a.report) {
            status = report(&a);
        }
        code = status != ATTUNE_OK ? fail(status) : a.report ? EXIT_OK : serve(&a);
    }
    free(a.output);
    free(a.journal);
    return code;
}
