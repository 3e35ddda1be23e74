/* log.h - what `attune embed` says while it works: text, a progress line, or one JSON object a
 * line.
 *
 * JSON events, all with "event" and "time" (ISO 8601 UTC):
 *   start    files, ignored, root, output, model
 *   shard    shard, shards, files (of the shard), all (of the archive): only with shards
 *   track    path, status, frames, seconds, error (only if there is one)
 *   done     files, by_status {name: count}, by_reason {new, changed, retried, kept}, pruned,
 *            audio_seconds, wall_seconds, output; on GPUs gpu_busy (0 to 1); with --verify
 *            verified, verify_largest
 *   planned  by_reason, output (in a dry run, instead of done)
 *   stopping (a signal was caught)
 *   error    message
 * With --quiet only `error` is left.
 * Names that are not UTF-8 have U+FFFD for every byte that is not. */
#ifndef ATTUNE_SRC_CLI_LOG_H
#define ATTUNE_SRC_CLI_LOG_H

#include "attune/attune.h"
#include "cli/shard.h"

typedef struct cli_log {
    bool json;
    bool quiet;
    bool progress; /* the progress line is wanted: stderr is a terminal */
    bool shown;    /* it stands on the terminal now */
    bool stopping; /* log_stopping was called */
} cli_log;

void log_open(cli_log *log, bool json, bool quiet);
void log_start(cli_log *log, const attune_scan *scan, const char *output, const char *model);
/* Before log_start: that of `all` files only the tracks of one of FMA's subsets are embedded. */
void log_subset(cli_log *log, const char *name, size_t files, size_t all);
/* Before log_start: that of `all` files some get no labels, as FMA's metadata do not have them. */
void log_unlabelled(cli_log *log, size_t files, size_t all);
/* After log_track: that the file is one of FMA's bad clips. */
void log_bad_clip(cli_log *log, const char *name);
/* Before log_start: that of `all` files only a shard's are embedded. */
void log_shard(cli_log *log, cli_shard shard, size_t files, size_t all);
void log_track(cli_log *log, const char *name, const attune_track *track);
void log_progress(cli_log *log, const attune_job_progress *progress);
/* Once: that a signal was caught and files under way are being finished. */
void log_stopping(cli_log *log);
void log_done(cli_log *log, const attune_job_progress *progress, const attune_scan *scan,
              const char *output);
/* In a dry run: a file that would be embedded, as a line on stdout; and the sum of them. */
void log_plan(const char *path, attune_job_reason reason);
void log_planned(cli_log *log, const attune_job_progress *progress, const char *output);
/* Whatever ended the command, from attune_last_error. */
void log_error(cli_log *log);

#endif
