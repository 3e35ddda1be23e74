/* command.h - running `attune` as a user does, in the temporary folder. */
#ifndef ATTUNE_TESTS_COMMAND_H
#define ATTUNE_TESTS_COMMAND_H

/* The command, as text for a shell; the temporary folder becomes the working one. Skips the test
 * where ATTUNE_COMMAND names none. */
const char *prepare_command(void);

/* The same with the published model in ATTUNE_MODEL; *audio is the shared folder of audio,
 * absolute and malloc'ed. Skips the test without them. */
const char *prepare_published(char **audio);

/* Runs a shell command with its output in the file "out" and its messages in "err", unless it sends
 * them elsewhere: its exit code must be `code`, and "err" hold `text`. */
void check_command(int code, const char *text, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
