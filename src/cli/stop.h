/* stop.h - signals that ask `attune embed` to stop.
 *
 * SIGINT, SIGTERM, SIGHUP: what is under way is finished and committed, and the command exits with
 * 128 plus the signal's number; a second one ends it at once. SIGUSR1 is what job schedulers send
 * some time before they kill: the same, as often as it comes, and the exit code says "run again".
 */
#ifndef ATTUNE_SRC_CLI_STOP_H
#define ATTUNE_SRC_CLI_STOP_H

/* Before the inputs are looked at: SIGUSR1 is noted from now on. Others still end the command,
 * which has done nothing yet. */
void stop_on_usr1(void);

/* Before the job: the others are noted too. Ignores SIGPIPE, so that a reader of our messages who
 * goes away does not end the job. */
void stop_on_signals(void);

/* The signal that asked to stop; 0: none has. */
int stop_signal(void);

/* The exit code of a job that it stopped. */
int stop_exit_code(void);

#endif
