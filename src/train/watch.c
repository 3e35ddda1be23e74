/* watch.c - a run's logs: one row, three files. */
#include "train/watch.h"

#include "status/error.h"
#include "status/json.h"
#include "status/machine.h"
#include "status/path.h"
#include "store/new_file.h"
#include "train/log_file.h"
#include "train/plot.h"
#include "train/tensorboard.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { NAME_MAX_LENGTH = 40, FLUSH_SECONDS = 5, FIRST_COLUMNS = 4, DIGITS = 9 };

typedef enum kind { STEP, EPOCH, KINDS } kind;
static const double STEP_MOST = 0x1p53;
static const char *const kind_names[KINDS] = {"step", "epoch"};

/* The numbers of one kind of row. */
typedef struct row_names {
    char *names[ATTUNE_WATCH_NAMES_MAX]; /* tags, "step/loss", of which NAME is the end */
    int column[ATTUNE_WATCH_NAMES_MAX];  /* in log.csv, counted from 0 */
    int count;
} row_names;

struct attune_watch {
    char *folder;
    attune_watch_options options; /* its names are not kept */
    row_names rows[KINDS];
    char *header; /* of log.csv, without the line's end */
    int columns;
    attune_log_file csv, json, events;

    int64_t last; /* row's place */
    double started, written;
    double before;        /* seconds of the runs that this one goes on from */
    attune_status failed; /* of the first write that did */
    bool warned;          /* about the curves */
    attune_plot plot;     /* what they show */
};

/* Where a row stands among the others: a step's, then that of the epoch that ends with it. */
static int64_t place_of(kind k, int64_t step)
{
    return step * KINDS + k;
}

/* The last row that a run goes on behind is of this kind. */
static kind last_kind(const attune_watch_options *o)
{
    return o->resume_within ? STEP : EPOCH;
}

static int64_t last_place(const attune_watch_options *o)
{
    return o->resume_step < 0 ? -1 : place_of(last_kind(o), o->resume_step);
}

/* The name in its tag. */
static const char *name_of(const row_names *row, int i)
{
    return strchr(row->names[i], '/') + 1;
}

/* Seconds since 1970. */
static double wall_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void warn(const attune_watch *w, const char *message)
{
    if (w->options.warn) {
        w->options.warn(w->options.user, message);
    }
}

void attune_watch_options_default(attune_watch_options *options)
{
    *options = (attune_watch_options){.resume_step = -1, .plots = true, .best = "val_loss"};
}

/* ---- names and columns ---- */

static bool is_name(const char *name)
{
    const size_t length = strlen(name);
    return length > 0 && length <= NAME_MAX_LENGTH &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == length;
}

/* The column of `name` among those there are, or -1. */
static int find_column(void *user, const char *name)
{
    const attune_watch *w = user;
    for (int k = 0; k < KINDS; k++) {
        for (int i = 0; i < w->rows[k].count; i++) {
            if (strcmp(name_of(&w->rows[k], i), name) == 0) {
                return w->rows[k].column[i];
            }
        }
    }
    return -1;
}

static attune_status add_names(attune_watch *w, kind k, const char *const *names)
{
    row_names *row = &w->rows[k];
    for (; names && *names; names++) {
        if (row->count == ATTUNE_WATCH_NAMES_MAX || !is_name(*names)) {
            return attune_fail(ATTUNE_EINVAL, "\"%s\" is no name for a number in a log", *names);
        }
        const int column = find_column(w, *names); /* a step's and an epoch's may share one */
        char *tag = NULL, *header = NULL;
        if (asprintf(&tag, "%s/%s", kind_names[k], *names) < 0) {
            return attune_fail_memory("a name", strlen(*names));
        }
        row->names[row->count] = tag;
        row->column[row->count++] = column >= 0 ? column : w->columns;
        if (column >= 0) {
            continue;
        }
        w->columns++;
        if (asprintf(&header, "%s,%s", w->header, *names) < 0) {
            return attune_fail_memory("a header", strlen(w->header));
        }
        free(w->header);
        w->header = header;
    }
    return ATTUNE_OK;
}

static attune_status name_columns(attune_watch *w, const attune_watch_options *options)
{
    w->header = strdup("kind,step,epoch,seconds");
    w->columns = FIRST_COLUMNS;
    attune_status status =
        w->header ? add_names(w, STEP, options->step_names) : attune_fail_memory("a header", 64);
    if (status == ATTUNE_OK) {
        status = add_names(w, EPOCH, options->epoch_names);
    }
    if (status == ATTUNE_OK) {
        attune_plot_open(&w->plot, options->best, options->best_is_highest, find_column, w);
    }
    return status;
}

/* ---- what is there already ---- */

/* The kind that is called so; KINDS: none. */
static kind kind_of(const char *name)
{
    kind k = STEP;
    while (k < KINDS && strcmp(name, kind_names[k]) != 0) {
        k++;
    }
    return k;
}

/* A whole line of log.csv as numbers; columns that are empty are NaN. False: it is no row. */
static bool read_cells(const attune_watch *w, char *line, kind *k, double *cells)
{
    char *rest = line;
    for (int c = 0; c < w->columns; c++) {
        char *cell = strsep(&rest, ","), *end = cell;
        if (!cell) {
            return false;
        }
        if (c == 0) {
            *k = kind_of(cell);
            if (*k == KINDS) {
                return false;
            }
            continue;
        }
        cells[c] = *cell ? strtod(cell, &end) : NAN;
        if (*end || (c < FIRST_COLUMNS && !isfinite(cells[c]))) {
            return false;
        }
    }
    return !rest;
}

static bool read_csv_row(attune_watch *w, char *line, int64_t *place)
{
    double cells[FIRST_COLUMNS + 2 * ATTUNE_WATCH_NAMES_MAX] = {0};
    kind k = STEP;
    if (!read_cells(w, line, &k, cells) || fabs(cells[1]) > STEP_MOST || fabs(cells[2]) > INT_MAX) {
        return false;
    }
    *place = place_of(k, (int64_t)cells[1]);
    if (*place <= last_place(&w->options)) {
        w->before = cells[3];
        attune_plot_row(&w->plot, k == EPOCH, (int64_t)cells[1], (int)cells[2], cells);
    }
    return true;
}

static bool read_json_row(attune_watch *w, char *line, int64_t *place)
{
    (void)w;
    json_t *row = json_loads(line, 0, NULL), *number = json_object_get(row, "step");
    const char *name = json_string_value(json_object_get(row, "kind"));
    const kind k = name ? kind_of(name) : KINDS;
    const bool is_row = k < KINDS && json_is_integer(number) &&
                        fabs((double)json_integer_value(number)) <= STEP_MOST;
    if (is_row) {
        *place = place_of(k, json_integer_value(number));
    }
    json_decref(row);
    return is_row;
}

static attune_status check_header(const attune_watch *w, const char *line, const char *path)
{
    return strcmp(line, w->header) == 0
               ? ATTUNE_OK
               : attune_fail(
                     ATTUNE_ECONFIG,
                     "%s: has other columns than this version writes; move it away to go on "
                     "without it",
                     path);
}

/* The lines up to the last row that stays, which was durable before the checkpoint. What follows it
 * may be what a killed process or a power cut left. A file that was begun behind it, where another
 * was moved away, has no row of before; nor has a run that goes on before its first step. */
static attune_status measure_lines(attune_watch *w, FILE *file, const char *path, bool has_header,
                                   bool (*read_row)(attune_watch *, char *, int64_t *), off_t *end)
{
    attune_status status = ATTUNE_OK;
    const bool has_rows = w->options.resume_step > 0;
    const int64_t last = last_place(&w->options);
    char *line = NULL;
    size_t capacity = 0, number = 0;
    int64_t place = -1; /* of the last row that stays */
    *end = 0;
    for (ssize_t length; place < last && (length = getline(&line, &capacity, file)) > 0;
         *end += length) {
        if (line[length - 1] != '\n') {
            break;
        }
        line[length - 1] = '\0';
        if (number++ == 0 && has_header) {
            if ((status = check_header(w, line, path))) {
                break;
            }
            continue;
        }
        int64_t next = place;
        if (!read_row(w, line, &next)) {
            if (has_rows) {
                status = attune_fail(
                    ATTUNE_EDATA, "%s: line %zu is damaged; move the file away to go on without it",
                    path, number);
            }
            break;
        }
        if (next > last) {
            break;
        }
        place = next;
    }
    if (ferror(file)) {
        status = attune_fail(ATTUNE_EIO, "%s: cannot read: %s", path, strerror(errno));
    } else if (!status && has_rows && place >= 0 && place < last) {
        status = attune_fail(ATTUNE_EDATA,
                             "%s: the %s row of step %lld is lost; move the file away to go on "
                             "without it",
                             path, kind_names[last_kind(&w->options)],
                             (long long)w->options.resume_step);
    }
    free(line);
    return status;
}

static attune_status measure_csv(void *user, FILE *file, const char *path, off_t *end)
{
    return measure_lines(user, file, path, true, read_csv_row, end);
}

static attune_status measure_json(void *user, FILE *file, const char *path, off_t *end)
{
    return measure_lines(user, file, path, false, read_json_row, end);
}

static attune_status measure_events(void *user, FILE *file, const char *path, off_t *end)
{
    const attune_watch *w = user;
    char tag[NAME_MAX_LENGTH];
    snprintf(tag, sizeof(tag), "%s/", kind_names[last_kind(&w->options)]);
    return attune_events_measure(file, path, w->options.resume_step, tag, end);
}

/* ---- opening ---- */

/* One process at a time, for whoever opens the log first holds it. */
static attune_status lock(const attune_watch *w)
{
    if (flock(fileno(w->csv.file), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        return attune_fail(ATTUNE_ESTOPPED, "%s: another process is training there", w->folder);
    }
    return ATTUNE_OK;
}

/* log.csv: locked before it is read, for the process that holds it may be writing. */
static attune_status measure_locked_csv(void *user, FILE *file, const char *path, off_t *end)
{
    attune_watch *w = user;
    const attune_status status = lock(w);
    return status == ATTUNE_OK ? measure_csv(user, file, path, end) : status;
}

static attune_status open_log(attune_watch *w, attune_log_file *log, const char *name,
                              attune_log_measure *measure, bool *empty)
{
    char *path = NULL;
    const bool resume = w->options.resume_step >= 0;
    attune_status status = attune_path_join(&path, w->folder, name);
    if (status == ATTUNE_OK) {
        status = attune_log_open(log, path, resume ? measure : NULL, w, empty);
    }
    if (status == ATTUNE_OK && resume && *empty) {
        char *message = NULL;
        if (asprintf(&message, "%s: has no row of before; it begins here", path) >= 0) {
            warn(w, message);
            free(message);
        }
    }
    free(path);
    return status;
}

static attune_status open_logs(attune_watch *w)
{
    char events[ATTUNE_EVENTS_NAME];
    bool empty[3];
    attune_status status = open_log(w, &w->csv, "log.csv", measure_locked_csv, &empty[0]);
    if (status == ATTUNE_OK && w->options.resume_step < 0) {
        status = lock(w);
    }
    if (status == ATTUNE_OK) {
        status = open_log(w, &w->json, "log.jsonl", measure_json, &empty[1]);
    }
    if (status == ATTUNE_OK) {
        attune_events_name(events, w->folder);
        status = open_log(w, &w->events, events, measure_events, &empty[2]);
    }
    if (status == ATTUNE_OK && empty[0] && fprintf(w->csv.file, "%s\n", w->header) < 0) {
        status = attune_log_failed(&w->csv);
    }
    if (status == ATTUNE_OK && empty[2] && !attune_events_begin(w->events.file, wall_seconds())) {
        status = attune_log_failed(&w->events);
    }
    return status == ATTUNE_OK ? attune_folder_sync(w->csv.path) : status;
}

static void destroy(attune_watch *w, bool undo)
{
    attune_log_close(&w->events, undo);
    attune_log_close(&w->json, undo);
    attune_log_close(&w->csv, undo); /* last: it holds the lock */
    for (int k = 0; k < KINDS; k++) {
        for (int i = 0; i < w->rows[k].count; i++) {
            free(w->rows[k].names[i]);
        }
    }
    free(w->header);
    free(w->folder);
    free(w);
}

attune_status attune_watch_open(attune_watch **out, const char *folder,
                                const attune_watch_options *options)
{
    *out = NULL;
    attune_watch *w = calloc(1, sizeof(*w));
    if (!w || !(w->folder = strdup(folder))) {
        free(w);
        return attune_fail_memory("a log", sizeof(*w));
    }
    w->options = *options;
    w->last = last_place(options);
    attune_status status = name_columns(w, options);
    status = status ? status : attune_make_folder(folder);
    if (status == ATTUNE_OK) {
        status = open_logs(w);
    }
    if (status == ATTUNE_OK) {
        status = attune_watch_flush(w);
    }
    if (status != ATTUNE_OK) {
        destroy(w, true);
        return status;
    }
    w->started = w->written = attune_seconds();
    *out = w;
    return ATTUNE_OK;
}

/* ---- rows ---- */

static bool write_csv(const attune_watch *w, kind k, int64_t step, int epoch, double seconds,
                      const double *cells, const bool *there)
{
    fprintf(w->csv.file, "%s,%lld,%d,%.3f", kind_names[k], (long long)step, epoch, seconds);
    for (int c = FIRST_COLUMNS; c < w->columns; c++) {
        if (there[c] && !isnan(cells[c])) {
            fprintf(w->csv.file, ",%.*g", DIGITS, cells[c]);
        } else {
            fputs(there[c] ? ",nan" : ",", w->csv.file);
        }
    }
    return fputc('\n', w->csv.file) != EOF && !ferror(w->csv.file);
}

static bool write_json(const attune_watch *w, kind k, int64_t step, int epoch, double seconds,
                       const double *values)
{
    json_t *row = json_object();
    int bad = json_object_set_new(row, "kind", json_string(kind_names[k])) |
              json_object_set_new(row, "step", json_integer(step)) |
              json_object_set_new(row, "epoch", json_integer(epoch)) |
              json_object_set_new(row, "seconds", json_real(round(1e3 * seconds) / 1e3));
    for (int i = 0; i < w->rows[k].count; i++) {
        bad |= json_object_set_new(row, name_of(&w->rows[k], i), attune_json_number(values[i]));
    }
    errno = ENOMEM; /* where it is not writing that fails */
    bad |= json_dumpf(row, w->json.file, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS));
    json_decref(row);
    return !bad && fputc('\n', w->json.file) != EOF;
}

/* After a failure nothing more is written: what is half there stays the end, and can be cut. */
static attune_status flush(attune_watch *w, bool durable)
{
    attune_log_file *const logs[] = {&w->csv, &w->json, &w->events};
    for (size_t i = 0; i < sizeof(logs) / sizeof(*logs) && !w->failed; i++) {
        w->failed = attune_log_flush(logs[i], durable);
    }
    w->written = attune_seconds();
    return w->failed;
}

static attune_status write_row(attune_watch *w, kind k, int64_t step, int epoch,
                               const double *values)
{
    const row_names *row = &w->rows[k];
    const double now = attune_seconds(), seconds = w->before + now - w->started;
    double cells[FIRST_COLUMNS + 2 * ATTUNE_WATCH_NAMES_MAX];
    bool there[FIRST_COLUMNS + 2 * ATTUNE_WATCH_NAMES_MAX] = {false};
    if (w->failed) {
        return w->failed;
    }
    if (place_of(k, step) <= w->last) {
        return attune_fail(ATTUNE_EINVAL, "%s: a row of step %lld behind one of step %lld",
                           w->folder, (long long)step, (long long)(w->last / KINDS));
    }
    for (int i = 0; i < row->count; i++) {
        cells[row->column[i]] = values[i];
        there[row->column[i]] = true;
    }
    if (!write_csv(w, k, step, epoch, seconds, cells, there)) {
        w->failed = attune_log_failed(&w->csv);
    } else if (!write_json(w, k, step, epoch, seconds, values)) {
        w->failed = attune_log_failed(&w->json);
    } else if (!attune_events_write(w->events.file, wall_seconds(), step,
                                    (const char *const *)row->names, values, row->count)) {
        w->failed = attune_log_failed(&w->events);
    }
    if (w->failed) {
        return w->failed;
    }
    attune_plot_row(&w->plot, k == EPOCH, step, epoch, cells);
    w->last = place_of(k, step);
    return now - w->written < FLUSH_SECONDS ? ATTUNE_OK : flush(w, false);
}

attune_status attune_watch_step(attune_watch *watch, int64_t step, int epoch, const double *values)
{
    return write_row(watch, STEP, step, epoch, values);
}

static attune_status draw(attune_watch *watch)
{
    const attune_status status = flush(watch, false);
    if (status == ATTUNE_OK && !watch->warned &&
        attune_plot_draw(&watch->plot, watch->folder) != ATTUNE_OK) {
        watch->warned = true;
        warn(watch, attune_last_error());
    }
    return status;
}

attune_status attune_watch_epoch(attune_watch *watch, int64_t step, int epoch, const double *values)
{
    attune_status status = write_row(watch, EPOCH, step, epoch, values);
    if (status == ATTUNE_OK) {
        status = flush(watch, true);
    }
    return status == ATTUNE_OK && watch->options.plots ? draw(watch) : status;
}

attune_status attune_watch_flush(attune_watch *watch)
{
    return flush(watch, true);
}

attune_status attune_watch_close(attune_watch *watch)
{
    attune_status status = ATTUNE_OK;
    if (watch) {
        status = flush(watch, true);
        destroy(watch, false);
    }
    return status;
}
