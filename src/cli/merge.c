/* merge.c - `attune merge`: outputs of one model into one, the shards of an array job say.
 *
 * The same files give the same bytes: nothing in the result is of the moment or of how the command
 * was typed. It is as old as the newest input, and a text that differs among inputs (device,
 * command, ...) becomes all of them, sorted, one a line. */
#include "cli/cli.h"
#include "cli/shard.h"
#include "status/error.h"
#include "store/parts.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "Usage: attune merge -o ALL.h5 FILE.h5... [OPTION...]\n"
    "\n"
    "Joins outputs into one, sorted by path: the shards of an archive, say. They must have\n"
    "the same model, network, precision, clip and root, and all of them descriptors or none.\n"
    "ALL.h5 is written whole and only then takes its name; it may be one of the inputs.\n"
    "\n"
    "  -o, --output ALL.h5    file to write; an attune output there is replaced\n"
    "      --last-wins        of tracks in several inputs take the row of the last one in\n"
    "                         the list; otherwise they are an error\n"
    "      --incomplete       merge shards (OUT-I-of-N.h5) though some of the N are missing, and\n"
    "                         inputs whose job is unfinished, without what is in their .parts\n"
    "  -q, --quiet            say nothing unless the command cannot go on\n"
    "  -h, --help             this text\n"
    "\n"
    "Exit: 0 ok, 64 usage, 65 a file that is no output, is damaged or does not fit the\n"
    "others, 66 a file or shard is missing or unfinished, 73 cannot create ALL.h5, 74 I/O\n"
    "error, 75 run again (a job is writing ALL.h5).\n";

enum { OPTION_LAST_WINS = 256, OPTION_INCOMPLETE };

static const struct option options[] = {
    {"output", required_argument, NULL, 'o'},
    {"last-wins", no_argument, NULL, OPTION_LAST_WINS},
    {"incomplete", no_argument, NULL, OPTION_INCOMPLETE},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

typedef struct merge_arguments {
    const char *output;
    const char *const *inputs;
    int count;
    bool last_wins, incomplete, quiet, help;
} merge_arguments;

/* What must be the same in all inputs. */
static const struct {
    const char *name;
    size_t offset;
} fixed_texts[] =
    {
        {"model_sha256", offsetof(attune_store_attributes, model_sha256)},
        {"network", offsetof(attune_store_attributes, network)},
        {"precision", offsetof(attune_store_attributes, precision)},
        {"root", offsetof(attune_store_attributes, root)},
},
  fixed_numbers[] = {
      {"clip_start", offsetof(attune_store_attributes, clip_start)},
      {"clip_seconds", offsetof(attune_store_attributes, clip_seconds)},
};

/* What may differ, and is listed. */
static const size_t listed_texts[] = {
    offsetof(attune_store_attributes, model_name),     offsetof(attune_store_attributes, device),
    offsetof(attune_store_attributes, command),        offsetof(attune_store_attributes, libav),
    offsetof(attune_store_attributes, attune_version),
};

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

/* The attributes of the result while the inputs are looked through. */
typedef struct merged {
    attune_store *first;
    attune_store_attributes attributes;
    char *created;
    struct merged_list {
        char **texts;
        size_t count;
        char *joined;
    } lists[COUNT_OF(listed_texts)];
} merged;

static int parse_arguments(merge_arguments *a, int argc, char **argv)
{
    int option = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, ":o:qh", options, NULL)) != -1) {
        switch (option) {
        case 'o':
            if (a->output) {
                return usage_error("merge", "-o is given twice");
            }
            a->output = optarg;
            break;
        case OPTION_LAST_WINS:
            a->last_wins = true;
            break;
        case OPTION_INCOMPLETE:
            a->incomplete = true;
            break;
        case 'q':
            a->quiet = true;
            break;
        case 'h':
            a->help = true;
            return EXIT_OK;
        default:
            return option_error("merge", argc, argv, options, option);
        }
    }
    a->inputs = (const char *const *)argv + optind;
    a->count = argc - optind;
    if (a->count == 0) {
        return usage_error("merge", "no input");
    }
    if (!a->output || !*a->output) {
        return usage_error("merge", "no output: name one with -o ALL.h5");
    }
    return EXIT_OK;
}

static const char *text_at(const attune_store_attributes *attributes, size_t offset)
{
    return *(const char *const *)((const char *)attributes + offset);
}

static double number_at(const attune_store_attributes *attributes, size_t offset)
{
    return *(const double *)((const char *)attributes + offset);
}

/* Refuses an input that does not fit the first. */
static attune_status check_fit(const attune_store_attributes *one, const char *name,
                               const attune_store_attributes *first, const char *first_name)
{
    for (size_t i = 0; i < COUNT_OF(fixed_texts); i++) {
        const size_t offset = fixed_texts[i].offset;
        if (strcmp(text_at(one, offset), text_at(first, offset)) != 0) {
            return attune_fail(ATTUNE_EDATA,
                               "%s: its %s is %.150s, and that of %s is %.150s; "
                               "only outputs that agree in it can be merged",
                               name, fixed_texts[i].name, text_at(one, offset), first_name,
                               text_at(first, offset));
        }
    }
    for (size_t i = 0; i < COUNT_OF(fixed_numbers); i++) {
        const size_t offset = fixed_numbers[i].offset;
        if (number_at(one, offset) != number_at(first, offset)) {
            return attune_fail(ATTUNE_EDATA,
                               "%s: its %s is %g, and that of %s is %g; only "
                               "outputs that agree in it can be merged",
                               name, fixed_numbers[i].name, number_at(one, offset), first_name,
                               number_at(first, offset));
        }
    }
    if (one->descriptors != first->descriptors) {
        return attune_fail(
            ATTUNE_EDATA,
            "%s has %s descriptors, and %s has %s; only outputs that agree in it can "
            "be merged",
            name, one->descriptors ? "the" : "no", first_name,
            first->descriptors ? "them" : "none");
    }
    return ATTUNE_OK;
}

/* Notes one line, unless it is the one noted last: most are the same in all inputs. */
static attune_status note_line(struct merged_list *list, const char *line, size_t length)
{
    const char *last = list->count > 0 ? list->texts[list->count - 1] : NULL;
    if (last && strncmp(last, line, length) == 0 && !last[length]) {
        return ATTUNE_OK;
    }
    char **texts = realloc(list->texts, (list->count + 1) * sizeof(*texts));
    if (!texts) {
        return attune_fail_memory("attributes", (list->count + 1) * sizeof(*texts));
    }
    list->texts = texts;
    texts[list->count] = strndup(line, length);
    return texts[list->count] && ++list->count ? ATTUNE_OK
                                               : attune_fail_memory("an attribute", length);
}

/* Notes a text's lines: that of a merged file has several. */
static attune_status note_text(struct merged_list *list, const char *text)
{
    attune_status status = ATTUNE_OK;
    for (const char *end = text; status == ATTUNE_OK && end; text = end ? end + 1 : text) {
        end = strchr(text, '\n');
        status = note_line(list, text, end ? (size_t)(end - text) : strlen(text));
    }
    return status;
}

static attune_status note_input(merged *m, const char *name, const char *first_name)
{
    attune_store *store = NULL;
    attune_status status = attune_store_open(&store, name);
    if (status != ATTUNE_OK) {
        return status;
    }
    const attune_store_attributes *one = attune_store_attributes_of(store);
    if (m->first) {
        status = check_fit(one, name, &m->attributes, first_name);
        m->attributes.labels |= one->labels;
    } else {
        m->attributes = *one;
    }
    for (size_t i = 0; status == ATTUNE_OK && i < COUNT_OF(listed_texts); i++) {
        status = note_text(&m->lists[i], text_at(one, listed_texts[i]));
    }
    if (status == ATTUNE_OK && (!m->created || strcmp(m->created, one->created) < 0)) {
        free(m->created);
        m->created = strdup(one->created);
        status = m->created ? ATTUNE_OK : attune_fail_memory("a date", strlen(one->created));
    }
    if (m->first) {
        attune_store_close(store);
    } else {
        m->first = store;
    }
    return status;
}

static int compare_texts(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* The list's texts, sorted, each once, one a line. */
static attune_status join_texts(struct merged_list *list)
{
    size_t size = 1;
    for (size_t i = 0; i < list->count; i++) {
        size += strlen(list->texts[i]) + 1;
    }
    char *to = list->joined = malloc(size);
    if (!to) {
        return attune_fail_memory("attributes", size);
    }
    *to = '\0';
    qsort(list->texts, list->count, sizeof(*list->texts), compare_texts);
    for (size_t i = 0; i < list->count; i++) {
        if (i == 0 || strcmp(list->texts[i], list->texts[i - 1]) != 0) {
            to = stpcpy(stpcpy(to, i == 0 ? "" : "\n"), list->texts[i]);
        }
    }
    return ATTUNE_OK;
}

static attune_status merge_attributes(merged *m, const merge_arguments *a)
{
    attune_status status = ATTUNE_OK;
    for (int i = 0; status == ATTUNE_OK && i < a->count; i++) {
        status = note_input(m, a->inputs[i], a->inputs[0]);
    }
    for (size_t i = 0; status == ATTUNE_OK && i < COUNT_OF(listed_texts); i++) {
        status = join_texts(&m->lists[i]);
        *(const char **)((char *)&m->attributes + listed_texts[i]) = m->lists[i].joined;
    }
    m->attributes.created = m->created;
    return status;
}

static void free_merged(merged *m)
{
    for (size_t i = 0; i < COUNT_OF(listed_texts); i++) {
        for (size_t k = 0; k < m->lists[i].count; k++) {
            free(m->lists[i].texts[k]);
        }
        free(m->lists[i].texts);
        free(m->lists[i].joined);
    }
    free(m->created);
    attune_store_close(m->first);
}

/* Counts the rows that are written: none is left out. */
static bool count_row(void *user, const attune_row *row)
{
    uint64_t *counts = user; /* with an embedding, without */
    counts[attune_track_has_embedding(row->status) ? 0 : 1]++;
    return true;
}

/* Refuses a file whose job has not come to its end: rows of it are not in it yet. */
static attune_status check_finished(const char *name, const attune_parts *parts)
{
    return attune_parts_empty(parts)
               ? ATTUNE_OK
               : attune_fail(ATTUNE_ENOINPUT,
                             "%s has an unfinished job in %s; run it to its end, or give "
                             "--incomplete to leave that out",
                             name, parts->folder);
}

static attune_status check_complete(const merge_arguments *a, const attune_parts *output)
{
    attune_status status = shard_check_complete(a->inputs, a->count);
    for (int i = 0; status == ATTUNE_OK && i < a->count; i++) {
        attune_parts *parts = NULL;
        status = attune_parts_look(&parts, a->inputs[i]);
        if (status == ATTUNE_OK) {
            status = check_finished(a->inputs[i], parts);
        }
        attune_parts_close(parts);
    }
    return status == ATTUNE_OK ? check_finished(a->output, output) : status;
}

static attune_status run(const merge_arguments *a)
{
    merged m = {0};
    attune_parts *parts = NULL; /* for the lock: no job may work on the output meanwhile */
    attune_store_writer *writer = NULL;
    uint64_t counts[2] = {0, 0};
    attune_status status = attune_parts_open(&parts, a->output);
    if (status == ATTUNE_OK && !a->incomplete) {
        status = check_complete(a, parts);
    }
    if (status == ATTUNE_OK) {
        status = merge_attributes(&m, a);
    }
    if (status == ATTUNE_OK) {
        status = attune_store_create(&writer, a->output, &m.attributes);
    }
    if (status == ATTUNE_OK) {
        status = attune_store_merge(writer, a->inputs, (size_t)a->count,
                                    a->last_wins ? ATTUNE_MERGE_LAST : ATTUNE_MERGE_REFUSE,
                                    count_row, counts);
    }
    if (status == ATTUNE_OK) {
        status = attune_store_commit(writer);
    }
    attune_store_writer_close(writer);
    attune_parts_close(parts);
    free_merged(&m);
    if (status == ATTUNE_OK && !a->quiet) {
        const unsigned long long rows = counts[0] + counts[1];
        message("%d file%s, %llu row%s (%llu with an embedding, %llu without) -> %s", a->count,
                a->count == 1 ? "" : "s", rows, rows == 1 ? "" : "s", (unsigned long long)counts[0],
                (unsigned long long)counts[1], a->output);
    }
    return status;
}

int command_merge(int argc, char **argv)
{
    merge_arguments a = {0};
    int code = parse_arguments(&a, argc, argv);
    if (code == EXIT_OK && a.help) {
        fputs(help, stdout);
        return EXIT_OK;
    }
    if (code != EXIT_OK) {
        return code;
    }
    attune_status status = run(&a);
    return status == ATTUNE_OK ? EXIT_OK : fail(status);
}
