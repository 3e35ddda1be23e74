/* cli.c - messages and option values. */
#include "cli/cli.h"

#include "status/error.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int exit_code(attune_status status)
{
    switch (status) {
    case ATTUNE_OK:
        return EXIT_OK;
    case ATTUNE_EINVAL:
        return EXIT_BAD_USAGE;
    case ATTUNE_EDATA:
        return EXIT_BAD_DATA;
    case ATTUNE_ENOINPUT:
        return EXIT_NO_INPUT;
    case ATTUNE_ECREATE:
        return EXIT_CANNOT_CREATE;
    case ATTUNE_EIO:
        return EXIT_IO;
    case ATTUNE_ESTOPPED:
        return EXIT_STOPPED;
    case ATTUNE_ECONFIG:
    case ATTUNE_ENODEVICE:
        return EXIT_CONFIGURATION;
    case ATTUNE_ENOMEM:
    case ATTUNE_EINTERNAL:
        break;
    }
    return EXIT_INTERNAL;
}

uint64_t failed_files(const attune_job_progress *progress)
{
    uint64_t count = 0;
    for (int s = 0; s < ATTUNE_TRACK_STATUS_COUNT; s++) {
        count += attune_track_has_embedding((attune_track_status)s) ? 0 : progress->by_status[s];
    }
    return count;
}

void message(const char *format, ...)
{
    char text[2048], line[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    attune_one_line(line, sizeof(line), text);
    fprintf(stderr, "attune: %s\n", line);
}

int fail(attune_status status)
{
    message("%s", *attune_last_error() ? attune_last_error() : attune_status_text(status));
    return exit_code(status);
}

int usage_error(const char *command, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    message("%s: %s; see attune %s --help", command, text, command);
    return EXIT_BAD_USAGE;
}

int option_error(const char *command, int argc, char **argv, const struct option *options,
                 int result)
{
    char letter[3] = {'-', (char)optopt, '\0'};
    const char *name = optind > 0 && optind <= argc ? argv[optind - 1] : "";
    for (; options->name; options++) {
        if (optopt == options->val && strncmp(name, "--", 2) == 0) {
            name = options->name;
            return usage_error(
                command, result == ':' ? "option --%s needs a value" : "option --%s takes no value",
                name);
        }
    }
    if (result == ':') {
        return usage_error(command, "option %s needs a value", letter);
    }
    return usage_error(command, "unknown option %s", optopt ? letter : name);
}

int empty_error(const char *command, const struct option *options, int option)
{
    while (options->val != option) {
        options++;
    }
    return usage_error(command, "option --%s needs a value", options->name);
}

bool parse_integer(const char *text, long low, long high, long *out)
{
    char *end = NULL;
    errno = 0;
    const long value = strtol(text, &end, 10);
    *out = value;
    return *text && !*end && errno == 0 && value >= low && value <= high;
}

bool parse_real(const char *text, double low, double high, double *out)
{
    char *end = NULL;
    errno = 0;
    const double value = strtod(text, &end);
    *out = value;
    return *text && !*end && errno == 0 && isfinite(value) && value >= low && value <= high;
}

int option_integer(long *out, const char *command, const char *option, const char *text, long low,
                   long high)
{
    return parse_integer(text, low, high, out)
               ? EXIT_OK
               : usage_error(command, "%s %s: not a number from %ld to %ld", option, text, low,
                             high);
}

int option_word(int *out, const char *command, const char *option, const char *text,
                const char *const *words)
{
    char list[256] = "";
    int count = 0;
    for (; words[count]; count++) {
        if (strcmp(words[count], text) == 0) {
            *out = count;
            return EXIT_OK;
        }
        const size_t used = strlen(list);
        snprintf(list + used, sizeof(list) - used, "%s%s", count > 0 ? ", " : "", words[count]);
    }
    return count == 2
               ? usage_error(command, "%s %s: neither %s nor %s", option, text, words[0], words[1])
               : usage_error(command, "%s %s: not one of %s", option, text, list);
}

bool parse_size(const char *text, size_t *out)
{
    static const char units[] = "KMGT";
    char number[32];
    const size_t length = strspn(text, "0123456789.");
    const char *unit = text[length] ? strchr(units, text[length]) : NULL;
    double value = 0;
    if (length == 0 || length >= sizeof(number) || (text[length] && (!unit || text[length + 1]))) {
        return false;
    }
    memcpy(number, text, length);
    number[length] = '\0';
    if (!parse_real(number, 0, 1e15, &value)) {
        return false;
    }
    value *= unit ? pow(1024, (double)(unit - units + 1)) : 1;
    *out = (size_t)value;
    return value >= 1 && value < 1e18;
}

bool parse_clip(const char *text, double *start, double *length)
{
    char first[64];
    const char *colon = strchr(text, ':');
    const size_t count = colon ? (size_t)(colon - text) : strlen(text);
    if (count >= sizeof(first)) {
        return false;
    }
    memcpy(first, text, count);
    first[count] = '\0';
    *length = 0;
    const bool whole = !colon || !colon[1];
    return parse_real(first, 0, 1e9, start) &&
           (whole || (parse_real(colon + 1, 0, 1e9, length) && *length > 0));
}

/* Appends a word, in quotes where a shell would not take it as it is. */
static char *append_word(char *to, const char *word)
{
    if (*word && strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "0123456789_-./:,=+@%") == strlen(word)) {
        return stpcpy(to, word);
    }
    *to++ = '\'';
    for (; *word; word++) {
        to = *word == '\'' ? stpcpy(to, "'\\''") : (*to = *word, to + 1);
    }
    *to++ = '\'';
    *to = '\0';
    return to;
}

char *shell_word(const char *text)
{
    char *word = malloc(4 * strlen(text) + 3);
    if (word) {
        append_word(word, text);
    }
    return word;
}

char *command_line(int argc, char **argv)
{
    size_t size = sizeof("attune");
    for (int i = 0; i < argc; i++) {
        size += 4 * strlen(argv[i]) + 3;
    }
    char *line = malloc(size), *to = line;
    if (line) {
        to = stpcpy(to, "attune");
        for (int i = 0; i < argc; i++) {
            *to++ = ' ';
            to = append_word(to, argv[i]);
        }
    }
    return line;
}

attune_status open_model(attune_model **out, const char **name, const char *option)
{
    const char *path = option ? option : getenv("ATTUNE_MODEL");
    *out = NULL;
    *name = path;
    if (path && *path) {
        return attune_model_open(out, path);
    }
    if (attune_model_has_default()) {
        const attune_status status = attune_model_open_default(out);
        *name = status == ATTUNE_OK ? attune_model_name(*out) : "";
        return status;
    }
    return attune_fail(ATTUNE_ECONFIG,
                       "no model: name an ONNX file with --model FILE or in the environment as "
                       "ATTUNE_MODEL (tools/fetch-model fetches the one that MECOMP publishes)");
}
