/* fma.c - `attune fma check`: is this copy of FMA whole? */
#include "cli/cli.h"
#include "cli/print_json.h"
#include "fma/check.h"
#include "status/error.h"
#include "status/json.h"
#include "status/path.h"
#include "train/names.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char help[] =
    "Usage: attune fma check DIR... [--fma-metadata DIR] [OPTION...]\n"
    "\n"
    "Says what is missing or damaged in a copy of FMA, a line each: what, file, why. DIR is\n"
    "fma_small, fma_medium, fma_large or fma_full, or the folder that holds some of them.\n"
    "\n"
    "  missing     a track's file is not there\n"
    "  empty       it has zero bytes\n"
    "  damaged     its SHA-1 is not what the list `checksums` says, which each archive has;\n"
    "              or that of fma_small.zip and the like beside DIR, or of fma_metadata.zip,\n"
    "              is not the published one; or a line of that list is no sum and name, or\n"
    "              it does not name every track\n"
    "  bad_clip    one of six clips that are short or without audio in every copy\n"
    "  unknown     a file that belongs to no track of the subset\n"
    "\n"
    "      --fma-metadata DIR     the folder with tracks.csv (default: fma_metadata in DIR,\n"
    "                             or beside it)\n"
    "      --subset NAME          what DIR holds: small, medium, large or full (default: by\n"
    "                             its name)\n"
    "      --quick                look at names and sizes, do not read the files\n"
    "      --json                 one JSON object in place of lines\n"
    "  -q, --quiet                no summary\n"
    "  -h, --help                 this text\n"
    "\n"
    "Exit: 0 whole, 3 something is missing, empty or damaged, 64 usage, 65 bad metadata, 66\n"
    "not there, 74 I/O error.\n";

enum { OPTION_METADATA = 256, OPTION_SUBSET, OPTION_QUICK, OPTION_JSON };

static const struct option options[] = {
    {"fma-metadata", required_argument, NULL, OPTION_METADATA},
    {"subset", required_argument, NULL, OPTION_SUBSET},
    {"quick", no_argument, NULL, OPTION_QUICK},
    {"json", no_argument, NULL, OPTION_JSON},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

typedef struct fma_arguments {
    const char *metadata;
    attune_fma_subset subset; /* ATTUNE_FMA_SUBSET_COUNT: by the folder's name */
    bool quick, json, quiet, help;
} fma_arguments;

static int parse_arguments(fma_arguments *a, int argc, char **argv)
{
    int option = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, ":qh", options, NULL)) != -1) {
        switch (option) {
        case OPTION_METADATA:
            a->metadata = optarg;
            break;
        case OPTION_SUBSET:
            if (!attune_fma_subset_parse(&a->subset, optarg)) {
                return usage_error("fma", "--subset %s: not small, medium, large or full", optarg);
            }
            break;
        case OPTION_QUICK:
            a->quick = true;
            break;
        case OPTION_JSON:
            a->json = true;
            break;
        case 'q':
            a->quiet = true;
            break;
        case 'h':
            a->help = true;
            return EXIT_OK;
        default:
            return option_error("fma", argc, argv, options, option);
        }
    }
    return optind < argc - 1 && strcmp(argv[optind], "check") == 0
               ? EXIT_OK
               : usage_error("fma", "what to do is needed, and where: fma check DIR");
}

/* ---- paths ---- */

static attune_status make_path(char **out, const char *format, const char *first,
                               const char *second)
{
    if (asprintf(out, format, first, second) < 0) {
        *out = NULL;
        return attune_fail_memory("a path", strlen(first));
    }
    return ATTUNE_OK;
}

/* The path without slashes at its end, links followed; malloc'ed. */
static attune_status real_folder(char **out, const char *path)
{
    struct stat info;
    *out = realpath(path, NULL);
    if (!*out) {
        return attune_fail(ATTUNE_ENOINPUT, "%s: is not there", *path ? path : "\"\"");
    }
    return stat(*out, &info) == 0 && !S_ISDIR(info.st_mode)
               ? attune_fail(ATTUNE_ENOINPUT,
                             "%s: is a file; name the folder of the dataset, or the one that its "
                             "archives are in",
                             path)
               : ATTUNE_OK;
}

/* Whether `folder` has tracks.csv. */
static bool has_tables(const char *folder)
{
    char *path = NULL;
    const bool there =
        attune_path_join(&path, folder, "tracks.csv") == ATTUNE_OK && access(path, F_OK) == 0;
    free(path);
    return there;
}

/* Where the metadata are, if that is not said; malloc'ed. */
static attune_status find_metadata(char **out, const fma_arguments *a, const char *folder)
{
    static const char *const places[] = {"%s/fma_metadata", "%s/../fma_metadata", "%s"};
    attune_status status = ATTUNE_OK;
    *out = NULL;
    if (a->metadata) {
        return make_path(out, "%s", a->metadata, NULL);
    }
    for (size_t i = 0; status == ATTUNE_OK && i < sizeof(places) / sizeof(places[0]); i++) {
        status = make_path(out, places[i], folder, NULL);
        if (status == ATTUNE_OK && has_tables(*out)) {
            return ATTUNE_OK;
        }
        free(*out);
        *out = NULL;
    }
    return status == ATTUNE_OK
               ? attune_fail(ATTUNE_ENOINPUT,
                             "%s: there is no fma_metadata in it or beside it; name the folder "
                             "with tracks.csv with --fma-metadata",
                             folder)
               : status;
}

/* The subset that a folder is called after. */
static bool subset_of(attune_fma_subset *out, const char *folder)
{
    const char *name = attune_file_name(folder);
    return strncmp(name, "fma_", 4) == 0 && attune_fma_subset_parse(out, name + 4);
}

/* ---- findings ---- */

static void print_finding(void *user, attune_fma_finding finding, const char *path, const char *why)
{
    char line[4096];
    (void)user;
    attune_one_line(line, sizeof(line), path);
    printf("%s\t%s\t%s\n", attune_fma_finding_name(finding), line, why);
}

static void list_finding(void *user, attune_fma_finding finding, const char *path, const char *why)
{
    json_t *item = json_object();
    json_object_set_new(item, "what", json_string(attune_fma_finding_name(finding)));
    json_object_set_new(item, "path", attune_json_text(path));
    json_object_set_new(item, "why", attune_json_text(why));
    json_array_append_new(user, item);
}

static json_t *check_json(const attune_fma_check *check, json_t *findings)
{
    json_t *object = json_object();
    json_object_set_new(object, "tracks", json_integer((json_int_t)check->tracks));
    json_object_set_new(object, "summed", json_integer((json_int_t)check->summed));
    for (int f = 0; f < ATTUNE_FMA_FINDING_COUNT; f++) {
        json_object_set_new(object, attune_fma_finding_name((attune_fma_finding)f),
                            json_integer((json_int_t)check->found[f]));
    }
    json_object_set(object, "findings", findings);
    return object;
}

static void summarise(const attune_fma_check *check)
{
    const uint64_t *found = check->found;
    message("%llu tracks, %llu missing, %llu empty, %llu damaged (%llu files compared with their "
            "sums), %llu known bad clips, %llu files of no track",
            (unsigned long long)check->tracks, (unsigned long long)found[ATTUNE_FMA_MISSING],
            (unsigned long long)found[ATTUNE_FMA_EMPTY],
            (unsigned long long)found[ATTUNE_FMA_DAMAGED], (unsigned long long)check->summed,
            (unsigned long long)found[ATTUNE_FMA_BAD_CLIP],
            (unsigned long long)found[ATTUNE_FMA_UNKNOWN]);
}

/* ---- checking ---- */

typedef struct checking {
    attune_fma_check check;
    attune_names seen; /* trees and archives: what is named twice is looked at once */
} checking;

/* *fresh: what a path leads to has not been looked at as `what`. */
static attune_status enter(bool *fresh, checking *c, const char *path, const char *what)
{
    char *real = realpath(path, NULL), *name = NULL;
    uint32_t number = 0;
    const uint32_t before = c->seen.count;
    attune_status status = make_path(&name, "%s %s", what, real ? real : path);
    if (status == ATTUNE_OK) {
        status = attune_names_add(&number, &c->seen, name);
    }
    *fresh = c->seen.count > before;
    free(name);
    free(real);
    return status;
}

static attune_status check_archive(checking *c, const char *path)
{
    bool fresh = false;
    const attune_status status = enter(&fresh, c, path, "archive");
    return status == ATTUNE_OK && fresh ? attune_fma_check_archive(&c->check, path) : status;
}

/* A tree, and the archive beside it. */
static attune_status check_tree(checking *c, const char *folder, attune_fma_subset subset)
{
    char *archive = NULL;
    bool fresh = false;
    attune_status status = make_path(&archive, "%s.zip", folder, NULL);
    if (status == ATTUNE_OK) {
        status = enter(&fresh, c, folder, attune_fma_subset_name(subset));
    }
    if (status == ATTUNE_OK && fresh) {
        status = attune_fma_check_tree(&c->check, folder, subset);
    }
    if (status == ATTUNE_OK) {
        status = check_archive(c, archive);
    }
    free(archive);
    return status;
}

/* What a folder holds of fma_small to fma_full, unpacked or not; *any says whether something. */
static attune_status check_held(checking *c, const char *folder, bool *any)
{
    attune_status status = ATTUNE_OK;
    *any = false;
    for (int s = 0; status == ATTUNE_OK && s < ATTUNE_FMA_SUBSET_COUNT; s++) {
        char *tree = NULL, *archive = NULL;
        status =
            make_path(&tree, "%s/fma_%s", folder, attune_fma_subset_name((attune_fma_subset)s));
        if (status == ATTUNE_OK) {
            status = make_path(&archive, "%s.zip", tree, NULL);
        }
        if (status == ATTUNE_OK && access(tree, F_OK) == 0) {
            *any = true;
            status = check_tree(c, tree, (attune_fma_subset)s);
        } else if (status == ATTUNE_OK && access(archive, F_OK) == 0) {
            *any = true;
            status = check_archive(c, archive);
        }
        free(tree);
        free(archive);
    }
    return status;
}

static attune_status check_folder(checking *c, const fma_arguments *a, const char *folder)
{
    attune_fma_subset subset = a->subset;
    bool any = false;
    if (subset != ATTUNE_FMA_SUBSET_COUNT || subset_of(&subset, folder)) {
        return check_tree(c, folder, subset);
    }
    const attune_status status = check_held(c, folder, &any);
    return status == ATTUNE_OK && !any
               ? attune_fail(ATTUNE_ENOINPUT,
                             "%s: is not called fma_small or the like and holds none of them; say "
                             "what it is with --subset",
                             folder)
               : status;
}

/* The tables: their own list of sums, and the archive beside them. */
static attune_status check_metadata(checking *c, const char *folder)
{
    char *archive = NULL;
    attune_status status = make_path(&archive, "%s.zip", folder, NULL);
    if (status == ATTUNE_OK) {
        status = attune_fma_check_sums(&c->check, folder);
    }
    if (status == ATTUNE_OK) {
        status = check_archive(c, archive);
    }
    free(archive);
    return status;
}

static attune_status run(checking *c, const fma_arguments *a, char **folders, int count)
{
    char *metadata = NULL, *folder = NULL;
    attune_fma *fma = NULL;
    attune_status status = real_folder(&folder, folders[0]);
    if (status == ATTUNE_OK) {
        status = find_metadata(&metadata, a, folder);
    }
    if (status == ATTUNE_OK) {
        status = attune_fma_open(&fma, metadata);
    }
    c->check.fma = fma;
    if (status == ATTUNE_OK) {
        status = check_metadata(c, metadata);
    }
    for (int i = 0; status == ATTUNE_OK && i < count; i++) {
        free(folder);
        status = real_folder(&folder, folders[i]);
        if (status == ATTUNE_OK) {
            status = check_folder(c, a, folder);
        }
    }
    free(folder);
    free(metadata);
    attune_names_free(&c->seen);
    attune_fma_close(fma);
    return status;
}

int command_fma(int argc, char **argv)
{
    fma_arguments a = {.subset = ATTUNE_FMA_SUBSET_COUNT};
    const int code = parse_arguments(&a, argc, argv);
    if (code == EXIT_OK && a.help) {
        fputs(help, stdout);
        return EXIT_OK;
    }
    if (code != EXIT_OK) {
        return code;
    }
    json_t *findings = a.json ? json_array() : NULL;
    checking c = {.check = {.quick = a.quick,
                            .on_finding = a.json ? list_finding : print_finding,
                            .user = findings}};
    const attune_fma_check *check = &c.check;
    attune_status status = run(&c, &a, argv + optind + 1, argc - optind - 1);
    if (status == ATTUNE_OK && a.json) {
        status = print_json(check_json(check, findings));
    }
    json_decref(findings);
    if (status != ATTUNE_OK) {
        return fail(status);
    }
    if (!a.quiet) {
        summarise(check);
    }
    return check->found[ATTUNE_FMA_MISSING] + check->found[ATTUNE_FMA_EMPTY] +
                       check->found[ATTUNE_FMA_DAMAGED] >
                   0
               ? EXIT_SOME_FAILED
               : EXIT_OK;
}
