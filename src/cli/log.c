/* log.c - messages of `attune embed`. */
#include "cli/log.h"

#include "cli/cli.h"
#include "status/error.h"
#include "status/json.h"
#include "status/machine.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void log_event(json_t *event)
{
    char stamp[ATTUNE_STAMP_SIZE];
    attune_stamp(stamp, time(NULL));
    json_object_set_new(event, "time", json_string(stamp));
    char *line = json_dumps(event, JSON_COMPACT);
    fprintf(stderr, "%s\n", line ? line : "{\"event\":\"error\",\"message\":\"out of memory\"}");
    free(line);
    json_decref(event);
}

void log_open(cli_log *log, bool json, bool quiet)
{
    *log = (cli_log){
        .json = json, .quiet = quiet, .progress = !json && !quiet && isatty(STDERR_FILENO)};
}

static void clear_line(cli_log *log)
{
    if (log->shown) {
        fprintf(stderr, "\r\033[K");
        log->shown = false;
    }
}

void log_start(cli_log *log, const attune_scan *scan, const char *output, const char *model)
{
    if (log->json && !log->quiet) {
        json_t *event = json_object();
        json_object_set_new(event, "event", json_string("start"));
        json_object_set_new(event, "files", json_integer((json_int_t)attune_scan_count(scan)));
        json_object_set_new(event, "ignored", json_integer((json_int_t)attune_scan_ignored(scan)));
        json_object_set_new(event, "root", attune_json_text(attune_scan_root(scan)));
        json_object_set_new(event, "output", attune_json_text(output));
        json_object_set_new(event, "model", attune_json_text(model));
        log_event(event);
    }
}

void log_shard(cli_log *log, cli_shard shard, size_t files, size_t all)
{
    if (log->quiet) {
        return;
    }
    if (log->json) {
        json_t *event = json_object();
        json_object_set_new(event, "event", json_string("shard"));
        json_object_set_new(event, "shard", json_integer(shard.index));
        json_object_set_new(event, "shards", json_integer(shard.count));
        json_object_set_new(event, "files", json_integer((json_int_t)files));
        json_object_set_new(event, "all", json_integer((json_int_t)all));
        log_event(event);
    } else {
        message("shard %d of %d: %zu of %zu file%s", shard.index, shard.count, files, all,
                all == 1 ? "" : "s");
    }
}

void log_subset(cli_log *log, const char *name, size_t files, size_t all)
{
    if (log->quiet) {
        return;
    }
    if (log->json) {
        json_t *event = json_object();
        json_object_set_new(event, "event", json_string("subset"));
        json_object_set_new(event, "subset", json_string(name));
        json_object_set_new(event, "files", json_integer((json_int_t)files));
        json_object_set_new(event, "all", json_integer((json_int_t)all));
        log_event(event);
    } else {
        message("subset %s: %zu of %zu file%s", name, files, all, all == 1 ? "" : "s");
    }
}

void log_unlabelled(cli_log *log, size_t files, size_t all)
{
    if (log->quiet) {
        return;
    }
    if (log->json) {
        json_t *event = json_object();
        json_object_set_new(event, "event", json_string("unlabelled"));
        json_object_set_new(event, "files", json_integer((json_int_t)files));
        json_object_set_new(event, "all", json_integer((json_int_t)all));
        log_event(event);
    } else {
        message("%zu of %zu file%s %s no track of tracks.csv, and no labels", files, all,
                all == 1 ? "" : "s", files == 1 ? "has" : "have");
    }
}

void log_bad_clip(cli_log *log, const char *name)
{
    if (log->quiet) {
        return;
    }
    if (log->json) {
        json_t *event = json_object();
        json_object_set_new(event, "event", json_string("bad_clip"));
        json_object_set_new(event, "path", attune_json_text(name));
        log_event(event);
    } else {
        clear_line(log);
        message("%s: one of the six clips of fma_small that are known to be short or empty", name);
    }
}

void log_track(cli_log *log, const char *name, const attune_track *track)
{
    const char *status = attune_track_status_name(track->status);
    if (log->quiet) {
        return;
    }
    if (log->json) {
        json_t *event = json_object();
        json_object_set_new(event, "event", json_string("track"));
        json_object_set_new(event, "path", attune_json_text(name));
        json_object_set_new(event, "status", json_string(status));
        json_object_set_new(event, "frames", json_integer(track->frames));
        json_object_set_new(event, "seconds", json_real(track->duration));
        if (*track->error) {
            json_object_set_new(event, "error", attune_json_text(track->error));
        }
        log_event(event);
    } else if (*track->error || !attune_track_has_embedding(track->status)) {
        clear_line(log);
        message("%s: %s%s%s", name, status, *track->error ? ": " : "", track->error);
    }
}

void log_progress(cli_log *log, const attune_job_progress *progress)
{
    if (!log->progress || progress->done == progress->files) {
        return;
    }
    const double wall = progress->wall_seconds > 0 ? progress->wall_seconds : 1e-9;
    char eta[32] = "-";
    const uint64_t made = progress->done - progress->by_reason[ATTUNE_JOB_KEPT];
    if (made > 0) {
        const double left = wall / (double)made * (double)(progress->files - progress->done);
        const unsigned long seconds = (unsigned long)left;
        snprintf(eta, sizeof(eta), "%lu:%02lu:%02lu", seconds / 3600, seconds / 60 % 60,
                 seconds % 60);
    }
    char busy[32] = "";
    if (progress->busy >= 0) {
        snprintf(busy, sizeof(busy), ", GPU %.0f %% busy", 100 * progress->busy);
    }
    clear_line(log);
    fprintf(stderr, "%llu/%llu files, %.3f hours of audio per second%s, ETA %s, %llu failed",
            (unsigned long long)progress->done, (unsigned long long)progress->files,
            progress->audio_seconds / 3600 / wall, busy, eta,
            (unsigned long long)failed_files(progress));
    fflush(stderr);
    log->shown = true;
}

static const char *const reasons[ATTUNE_JOB_REASON_COUNT] = {"new", "changed", "retried", "kept"};

static json_t *reasons_json(const attune_job_progress *progress)
{
    json_t *counts = json_object();
    for (int r = 0; r < ATTUNE_JOB_REASON_COUNT; r++) {
        json_object_set_new(counts, reasons[r], json_integer((json_int_t)progress->by_reason[r]));
    }
    return counts;
}

void log_plan(const char *path, attune_job_reason reason)
{
    const size_t capacity = strlen(path) + 1;
    char *line = malloc(capacity);
    if (line) {
        attune_one_line(line, capacity, path);
    }
    printf("%s\t%s\n", reasons[reason], line ? line : "a name for which there is no memory");
    free(line);
}

void log_planned(cli_log *log, const attune_job_progress *progress, const char *output)
{
    const uint64_t *counts = progress->by_reason;
    if (log->quiet) {
        return;
    }
    if (log->json) {
        json_t *event = json_object();
        json_object_set_new(event, "event", json_string("planned"));
        json_object_set_new(event, "by_reason", reasons_json(progress));
        json_object_set_new(event, "output", attune_json_text(output));
        log_event(event);
        return;
    }
    message("would embed %llu new, %llu changed and %llu failed files, and keep %llu -> %s",
            (unsigned long long)counts[ATTUNE_JOB_NEW],
            (unsigned long long)counts[ATTUNE_JOB_CHANGED],
            (unsigned long long)counts[ATTUNE_JOB_RETRIED],
            (unsigned long long)counts[ATTUNE_JOB_KEPT], output);
}

static void done_json(const attune_job_progress *progress, const char *output)
{
    json_t *event = json_object(), *counts = json_object();
    for (int s = 0; s < ATTUNE_TRACK_STATUS_COUNT; s++) {
        if (progress->by_status[s]) {
            json_object_set_new(counts, attune_track_status_name((attune_track_status)s),
                                json_integer((json_int_t)progress->by_status[s]));
        }
    }
    json_object_set_new(event, "event", json_string("done"));
    json_object_set_new(event, "files", json_integer((json_int_t)progress->done));
    json_object_set_new(event, "by_status", counts);
    json_object_set_new(event, "by_reason", reasons_json(progress));
    json_object_set_new(event, "pruned", json_integer((json_int_t)progress->pruned));
    json_object_set_new(event, "audio_seconds", json_real(progress->audio_seconds));
    json_object_set_new(event, "wall_seconds", json_real(progress->wall_seconds));
    if (progress->busy >= 0) {
        json_object_set_new(event, "gpu_busy", json_real(progress->busy));
    }
    if (progress->verified > 0) {
        json_object_set_new(event, "verified", json_integer((json_int_t)progress->verified));
        json_object_set_new(event, "verify_largest", json_real(progress->verify_largest));
    }
    json_object_set_new(event, "output", attune_json_text(output));
    log_event(event);
}

void log_stopping(cli_log *log)
{
    if (log->stopping || log->quiet) {
        return;
    }
    log->stopping = true;
    clear_line(log);
    if (log->json) {
        json_t *event = json_object();
        json_object_set_new(event, "event", json_string("stopping"));
        log_event(event);
    } else {
        message("finishing the files under way; once more to stop at once and lose those");
    }
}

void log_done(cli_log *log, const attune_job_progress *progress, const attune_scan *scan,
              const char *output)
{
    clear_line(log);
    if (log->quiet) {
        return;
    }
    if (log->json) {
        done_json(progress, output);
    } else {
        char counts[256] = "", by_status[264] = "", passed[64] = "", kept[64] = "";
        const uint64_t kept_count = progress->by_reason[ATTUNE_JOB_KEPT];
        const size_t ignored = attune_scan_ignored(scan);
        if (ignored > 0) {
            snprintf(passed, sizeof(passed), ", %zu other file%s passed over", ignored,
                     ignored == 1 ? "" : "s");
        }
        if (kept_count > 0) {
            snprintf(kept, sizeof(kept), ", %llu of them from before",
                     (unsigned long long)kept_count);
        }
        size_t length = 0;
        for (int s = 0; s < ATTUNE_TRACK_STATUS_COUNT; s++) {
            if (progress->by_status[s] && length < sizeof(counts)) {
                length +=
                    (size_t)snprintf(counts + length, sizeof(counts) - length, "%s%llu %s",
                                     length ? ", " : "", (unsigned long long)progress->by_status[s],
                                     attune_track_status_name((attune_track_status)s));
            }
        }
        if (length > 0) {
            snprintf(by_status, sizeof(by_status), " (%s)", counts);
        }
        message("%llu file%s%s%s%s, %.2f hours of audio in %.1f s -> %s",
                (unsigned long long)progress->done, progress->done == 1 ? "" : "s", by_status, kept,
                passed, progress->audio_seconds / 3600, progress->wall_seconds, output);
        if (progress->pruned > 0) {
            message("%llu row%s dropped, of files that are gone",
                    (unsigned long long)progress->pruned, progress->pruned == 1 ? "" : "s");
        }
        if (progress->verified > 0) {
            message("%llu of them embedded again on the CPU: largest difference %.2g",
                    (unsigned long long)progress->verified, progress->verify_largest);
        }
    }
}

void log_error(cli_log *log)
{
    clear_line(log);
    if (log->json) {
        json_t *event = json_object();
        json_object_set_new(event, "event", json_string("error"));
        json_object_set_new(event, "message", attune_json_text(attune_last_error()));
        log_event(event);
    } else {
        message("%s", attune_last_error());
    }
}
