/* shard.c - the shards of an archive. The why is in shard.h. */
#include "cli/shard.h"

#include "cli/cli.h"
#include "status/error.h"
#include "status/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHARDS_MAX = 100000 };

bool shard_parse(cli_shard *shard, const char *text)
{
    char index[16];
    const char *slash = strchr(text, '/');
    long i = 0, n = 0;
    if (!slash || (size_t)(slash - text) >= sizeof(index)) {
        return false;
    }
    *(char *)mempcpy(index, text, (size_t)(slash - text)) = '\0';
    if (!parse_integer(slash + 1, 1, SHARDS_MAX, &n) || !parse_integer(index, 1, n, &i)) {
        return false;
    }
    *shard = (cli_shard){.index = (int)i, .count = (int)n};
    return true;
}

/* A variable of the environment; false unless it is a number. */
static bool variable(const char *name, long *out)
{
    const char *text = getenv(name);
    return text && parse_integer(text, 0, INT32_MAX, out);
}

attune_status shard_from_slurm(cli_shard *shard)
{
    long id = 0, count = 0, low = 0, high = 0;
    *shard = (cli_shard){0};
    if (!getenv("SLURM_ARRAY_TASK_ID")) {
        return ATTUNE_OK;
    }
    if (!variable("SLURM_ARRAY_TASK_ID", &id) || !variable("SLURM_ARRAY_TASK_COUNT", &count) ||
        !variable("SLURM_ARRAY_TASK_MIN", &low) || !variable("SLURM_ARRAY_TASK_MAX", &high)) {
        return attune_fail(ATTUNE_ECONFIG, "this is a task of a Slurm array, but its number or the "
                                           "array's size is not in the environment; give "
                                           "--shard I/N");
    }
    /* Some tasks of an array that are run again form a smaller array, and would take its shards. */
    if (low > 1 || high - low + 1 != count || id < low || id > high || count > SHARDS_MAX) {
        return attune_fail(ATTUNE_ECONFIG,
                           "this is task %ld of a Slurm array of %ld tasks from %ld to %ld, which "
                           "does not say how many shards there are; give --shard I/N, or submit "
                           "with --array=1-N",
                           id, count, low, high);
    }
    *shard = (cli_shard){.index = (int)(id - low + 1), .count = (int)count};
    return ATTUNE_OK;
}

attune_status shard_output(char **out, const char *output, cli_shard shard)
{
    const size_t stem = attune_stem_length(output);
    if (asprintf(out, "%.*s-%d-of-%d%s", (int)stem, output, shard.index, shard.count,
                 output + stem) < 0) {
        *out = NULL;
        return attune_fail_memory("a path", strlen(output));
    }
    return ATTUNE_OK;
}

/* A name of the form STEM-I-of-N.h5. */
typedef struct shard_name {
    const char *name;
    char *folder; /* the real one, however the name spells it; malloc'ed */
    const char *base;
    size_t stem; /* length of the name's, and of the base's */
    size_t base_stem;
    cli_shard shard;
} shard_name;

/* Takes a number off the end of the name's first *length bytes, and `before`, which must be there.
 */
static bool take_number(const char *name, size_t *length, const char *before, int *out)
{
    char number[16];
    long value = 0;
    size_t digits = 0;
    const size_t prefix = strlen(before);
    while (digits < *length && digits + 1 < sizeof(number) &&
           strchr("0123456789", name[*length - digits - 1])) {
        digits++;
    }
    if (digits == 0 || *length < digits + prefix ||
        strncmp(name + *length - digits - prefix, before, prefix) != 0) {
        return false;
    }
    *(char *)mempcpy(number, name + *length - digits, digits) = '\0';
    *length -= digits + prefix;
    const bool valid = parse_integer(number, 1, SHARDS_MAX, &value);
    *out = (int)value;
    return valid;
}

static bool parse_name(shard_name *out, const char *name)
{
    *out = (shard_name){.name = name, .stem = attune_stem_length(name)};
    return take_number(name, &out->stem, "-of-", &out->shard.count) &&
           take_number(name, &out->stem, "-", &out->shard.index) &&
           out->shard.index <= out->shard.count;
}

/* Notes the folder of a name of that form. */
static attune_status find_folder(shard_name *out)
{
    const char *slash = strrchr(out->name, '/');
    char *folder = slash ? strndup(out->name, (size_t)(slash - out->name) + 1) : strdup(".");
    out->base = slash ? slash + 1 : out->name;
    out->base_stem = out->stem - (size_t)(out->base - out->name);
    out->folder = folder ? realpath(folder, NULL) : NULL;
    if (folder && !out->folder) { /* the name as it is: that it leads nowhere is said later */
        out->folder = folder;
        return ATTUNE_OK;
    }
    free(folder);
    return out->folder ? ATTUNE_OK : attune_fail_memory("a path", strlen(out->name));
}

static int compare_names(const void *left, const void *right)
{
    const shard_name *a = left, *b = right;
    const size_t shorter = a->base_stem < b->base_stem ? a->base_stem : b->base_stem;
    int order = strcmp(a->folder, b->folder);
    order = order ? order : strncmp(a->base, b->base, shorter);
    if (order || a->base_stem != b->base_stem) {
        return order ? order : a->base_stem < b->base_stem ? -1 : 1;
    }
    return a->shard.count != b->shard.count ? a->shard.count - b->shard.count
                                            : a->shard.index - b->shard.index;
}

static bool same_archive(const shard_name *a, const shard_name *b)
{
    return a->shard.count == b->shard.count && a->base_stem == b->base_stem &&
           strcmp(a->folder, b->folder) == 0 && strncmp(a->base, b->base, a->base_stem) == 0;
}

/* Looks through the names of one archive's shards, sorted. */
static attune_status check_archive(const shard_name *names, int count)
{
    int next = 1;
    for (int i = 0; i < count && names[i].shard.index <= next; i++) {
        next = names[i].shard.index + 1;
    }
    if (next <= names->shard.count) {
        char *missing = NULL;
        const size_t stem = attune_stem_length(names->name);
        if (asprintf(&missing, "%.*s-%d-of-%d%s", (int)names->stem, names->name, next,
                     names->shard.count, names->name + stem) < 0) {
            return attune_fail_memory("a path", stem);
        }
        attune_status status = attune_fail(
            ATTUNE_ENOINPUT,
            "%s is missing: embed this shard, or give --incomplete to merge without", missing);
        free(missing);
        return status;
    }
    return ATTUNE_OK;
}

attune_status shard_check_complete(const char *const *names, int count)
{
    shard_name *shards = calloc((size_t)count + 1, sizeof(*shards));
    attune_status status = ATTUNE_OK;
    int found = 0;
    if (!shards) {
        return attune_fail_memory("names", (size_t)count * sizeof(*shards));
    }
    for (int i = 0; status == ATTUNE_OK && i < count; i++) {
        if (parse_name(&shards[found], names[i])) {
            status = find_folder(&shards[found++]);
        }
    }
    if (status == ATTUNE_OK) {
        qsort(shards, (size_t)found, sizeof(*shards), compare_names);
    }
    for (int first = 0, end = 0; status == ATTUNE_OK && first < found; first = end) {
        for (end = first + 1; end < found && same_archive(&shards[first], &shards[end]);) {
            end++;
        }
        status = check_archive(shards + first, end - first);
    }
    for (int i = 0; i < found; i++) {
        free(shards[i].folder);
    }
    free(shards);
    return status;
}
