/* metrics.c - a job's state in Prometheus' text format. When it is written is in metrics.h. */
#include "cli/metrics.h"

#include "cli/cli.h"
#include "status/error.h"
#include "status/json.h"
#include "status/path.h"
#include "store/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PERIOD = 5 /* seconds */, RUNNING = -1 /* instead of an exit code */ };

static const char first_line[] = "# HELP attune_files ";

/* A label's value: UTF-8, with \\, \" and \n. */
static void write_value(FILE *file, const char *text)
{
    json_t *clean = attune_json_text(text);
    for (const char *c = clean ? json_string_value(clean) : ""; *c; c++) {
        if (*c == '\n') {
            fputs("\\n", file);
        } else {
            fprintf(file, *c == '\\' || *c == '"' ? "\\%c" : "%c", *c);
        }
    }
    json_decref(clean);
}

/* One number of a family; `label` may be NULL. */
static void write_sample(FILE *file, const cli_metrics *m, const char *name, const char *label,
                         const char *value, double number)
{
    fprintf(file, "%s{output=\"", name);
    write_value(file, m->output);
    fputc('"', file);
    if (label) {
        fprintf(file, ",%s=\"%s\"", label, value);
    }
    fprintf(file, "} %.15g\n", number);
}

static void write_family(FILE *file, const char *name, const char *help)
{
    fprintf(file, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
}

/* A family of one number. */
static void write_single(FILE *file, const cli_metrics *m, const char *name, const char *help,
                         double number)
{
    write_family(file, name, help);
    write_sample(file, m, name, NULL, NULL, number);
}

static void write_metrics(FILE *file, const cli_metrics *m, const attune_job_progress *p, int code)
{
    write_family(file, "attune_files", "Files of the job that have a row, by its status.");
    for (int s = 0; s < ATTUNE_TRACK_STATUS_COUNT; s++) {
        write_sample(file, m, "attune_files", "status",
                     attune_track_status_name((attune_track_status)s), (double)p->by_status[s]);
    }
    write_single(file, m, "attune_files_expected", "Files of the job.", (double)p->files);
    write_single(file, m, "attune_files_kept", "Files whose row an earlier run made.",
                 (double)p->by_reason[ATTUNE_JOB_KEPT]);
    write_single(file, m, "attune_audio_hours", "Hours of audio decoded and embedded in this run.",
                 p->audio_seconds / 3600);
    write_single(file, m, "attune_run_seconds", "Time since this run began.", p->wall_seconds);
    write_family(file, "attune_worker_seconds",
                 "Time spent, summed over workers (computing on GPUs: over GPUs).");
    write_sample(file, m, "attune_worker_seconds", "in", "decoding", p->decoding_seconds);
    write_sample(file, m, "attune_worker_seconds", "in", "waiting", p->waiting_seconds);
    write_sample(file, m, "attune_worker_seconds", "in", "computing", p->computing_seconds);
    write_family(file, "attune_queue",
                 "Tracks on their way through GPUs, and rows that are not on the disk yet.");
    write_sample(file, m, "attune_queue", "of", "devices", (double)p->on_devices);
    write_sample(file, m, "attune_queue", "of", "rows", (double)p->uncommitted);
    write_single(file, m, "attune_running", "Whether this run is going on.", code == RUNNING);
    if (code != RUNNING) {
        write_single(file, m, "attune_exit_code",
                     "How this run ended: 0, or 3 if some files failed, is a success.", code);
    }
    write_single(file, m, "attune_last_success_timestamp_seconds",
                 "When a run over this output last succeeded; 0: never.", (double)m->last_success);
    write_single(file, m, "attune_written_timestamp_seconds", "When this was written.",
                 (double)time(NULL));
}

static attune_status check_target(const cli_metrics *m)
{
    attune_new_file file;
    const attune_status status = attune_new_file_open_other(&file, m->path, true);
    attune_new_file_close(&file);
    return status;
}

static attune_status replace(cli_metrics *m, const attune_job_progress *progress, int code)
{
    char *text = NULL;
    size_t size = 0;
    attune_new_file file = ATTUNE_NEW_FILE_CLOSED;
    FILE *stream = open_memstream(&text, &size);
    if (stream) {
        write_metrics(stream, m, progress, code);
    }
    const bool done = stream && !ferror(stream);
    attune_status status = (!stream || fclose(stream) == 0) && done
                               ? attune_new_file_fill(&file, m->path, text, size, true)
                               : attune_fail_memory("metrics", size);
    if (status == ATTUNE_OK) {
        status = attune_new_file_publish(&file);
    }
    attune_new_file_close(&file);
    free(text);
    clock_gettime(CLOCK_MONOTONIC, &m->written);
    return status;
}

/* What the file that is there says of the last success. It must be one of ours, or none. */
static attune_status read_last(cli_metrics *m)
{
    static const char name[] = "attune_last_success_timestamp_seconds{";
    char line[8192];
    struct stat info;
    int fd = open(m->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* no pipe makes it wait */
    if (fd < 0 && errno == ENOENT) {
        return ATTUNE_OK;
    }
    FILE *file = fd >= 0 && fstat(fd, &info) == 0 ? fdopen(fd, "r") : NULL;
    if (!file) {
        attune_status status = attune_fail(ATTUNE_ECREATE, "%s: %s", m->path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return status;
    }
    const bool regular = S_ISREG(info.st_mode), empty = regular && info.st_size == 0;
    bool ours = regular && fgets(line, sizeof(line), file) &&
                strncmp(line, first_line, sizeof(first_line) - 1) == 0;
    while (ours && fgets(line, sizeof(line), file)) {
        const char *number = strrchr(line, ' ');
        if (strncmp(line, name, sizeof(name) - 1) == 0 && number) {
            m->last_success = (time_t)strtod(number, NULL);
        }
    }
    fclose(file);
    return ours || empty ? ATTUNE_OK
                         : attune_fail(ATTUNE_ECREATE,
                                       "%s: exists and holds no metrics of attune; choose "
                                       "another name or remove it",
                                       m->path);
}

/* Neither the output's name nor that of the folder of its parts, in any spelling. */
static attune_status check_name(const char *path, const char *output)
{
    char parts[PATH_MAX];
    const int length = snprintf(parts, sizeof(parts), "%s.parts", output);
    if (attune_same_file(path, output) ||
        (length < (int)sizeof(parts) && attune_same_file(path, parts))) {
        return attune_fail(ATTUNE_EINVAL, "%s: is the output; name another file for --metrics",
                           path);
    }
    return ATTUNE_OK;
}

attune_status metrics_open(cli_metrics *metrics, const char *path, const char *output)
{
    *metrics = (cli_metrics){.path = path, .output = output};
    if (!path) {
        return ATTUNE_OK;
    }
    attune_status status = check_name(path, output);
    if (status == ATTUNE_OK) {
        status = read_last(metrics);
    }
    if (status == ATTUNE_OK) {
        status = check_target(metrics);
    }
    if (status != ATTUNE_OK) {
        metrics->path = NULL;
    }
    return status;
}

/* Says once that the file cannot be written. */
static void write_or_say(cli_metrics *m, const attune_job_progress *progress, int code)
{
    if (replace(m, progress, code) != ATTUNE_OK && !m->failed) {
        m->failed = true;
        message("%s", attune_last_error());
    }
}

void metrics_update(cli_metrics *metrics, const attune_job_progress *progress)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (metrics->path && (!metrics->begun || now.tv_sec - metrics->written.tv_sec >= PERIOD)) {
        metrics->begun = true;
        write_or_say(metrics, progress, RUNNING);
    }
}

void metrics_close(cli_metrics *metrics, const attune_job_progress *progress, int code)
{
    if (!metrics->path || (code == EXIT_STOPPED && !metrics->begun)) {
        return; /* another job has the output, and the file */
    }
    if (code == EXIT_OK || code == EXIT_SOME_FAILED) {
        metrics->last_success = time(NULL);
    }
    write_or_say(metrics, progress, code);
}
