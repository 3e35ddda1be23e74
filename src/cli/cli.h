/* cli.h - what the commands share: exit codes, messages, option values.
 *
 * stdout is data, stderr is messages. A command returns its exit code; only main.c exits. */
#ifndef ATTUNE_SRC_CLI_CLI_H
#define ATTUNE_SRC_CLI_CLI_H

#include "attune/attune.h"

#include <getopt.h>

enum {
    EXIT_OK = 0,
    EXIT_SOME_FAILED = 3, /* finished, but some files failed */
    EXIT_BAD_USAGE = 64,  /* the command line is wrong */
    EXIT_BAD_DATA = 65,   /* an input file is not what it should be */
    EXIT_NO_INPUT = 66,   /* an input is not there */
    EXIT_INTERNAL = 70,   /* our fault */
    EXIT_CANNOT_CREATE = 73,
    EXIT_IO = 74,
    EXIT_STOPPED = 75, /* stopped early; run again */
    EXIT_CONFIGURATION = 78,
    EXIT_SIGNAL = 128, /* plus the signal's number */
};

int exit_code(attune_status status);

/* Files of a job whose row has no embedding. */
uint64_t failed_files(const attune_job_progress *progress);

/* "attune: <text>" as one line on stderr. */
void message(const char *format, ...) ATTUNE_PRINTF(1, 2);

/* message(attune_last_error()); returns the status' exit code. */
int fail(attune_status status);

/* "attune <command>: <text>; see attune <command> --help" on stderr; returns EXIT_BAD_USAGE. */
int usage_error(const char *command, const char *format, ...) ATTUNE_PRINTF(2, 3);

/* What getopt_long's '?' or ':' was about. `options` ends with zeros. */
int option_error(const char *command, int argc, char **argv, const struct option *options,
                 int result);

/* The same for an option with the value "", which getopt_long takes for one. */
int empty_error(const char *command, const struct option *options, int option);

/* Numbers, whole; false unless all of `text` is one in [low, high]. */
bool parse_integer(const char *text, long low, long high, long *out);
bool parse_real(const char *text, double low, double high, double *out);

/* The value `text` of an option, named as the user writes it: a whole number in [low, high], or
 * which of `words`, which end with NULL. Otherwise a usage error, whose exit code is returned. */
int option_integer(long *out, const char *command, const char *option, const char *text, long low,
                   long high);
int option_word(int *out, const char *command, const char *option, const char *text,
                const char *const *words);

/* Bytes, with K, M, G or T for powers of 1024. */
bool parse_size(const char *text, size_t *out);

/* "START:LENGTH" in seconds; LENGTH may be left out: to the end. */
bool parse_clip(const char *text, double *start, double *length);

/* The model of --model's value, or of $ATTUNE_MODEL, or the one built in; ATTUNE_ECONFIG when there
 * is none of them. *name is its path, or the name of the one built in. */
attune_status open_model(attune_model **out, const char **name, const char *option);

/* Text as a shell takes it, in quotes where it needs them, and a whole command, beginning with
 * "attune", for the record. malloc'ed; NULL without memory. */
char *shell_word(const char *text);
char *command_line(int argc, char **argv);

/* argv[0] is the command's name. */
int command_demo(int argc, char **argv);
int command_embed(int argc, char **argv);
int command_eval(int argc, char **argv);
int command_export(int argc, char **argv);
int command_fma(int argc, char **argv);
int command_info(int argc, char **argv);
int command_judge(int argc, char **argv);
int command_map(int argc, char **argv);
int command_merge(int argc, char **argv);
int command_nearest(int argc, char **argv);
int command_train(int argc, char **argv);
int command_triplets(int argc, char **argv);

#endif
