/* describe.c - RUN/run.json. */
#include "attune/audio.h"
#include "attune/store.h"
#include "status/error.h"
#include "status/json.h"
#include "status/machine.h"
#include "store/new_file.h"
#include "train/watch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

/* A number as an integer where it is one, so that 32 is not read as 32.0. */
static json_t *number_json(double number)
{
    return !isfinite(number)                                  ? json_null()
           : number == floor(number) && fabs(number) < 0x1p53 ? json_integer((json_int_t)number)
                                                              : json_real(number);
}

static json_t *facts_json(const attune_watch_fact *facts)
{
    json_t *object = json_object();
    for (; facts && facts->name; facts++) {
        json_object_set_new(object, facts->name,
                            facts->text ? attune_json_text(facts->text)
                                        : number_json(facts->number));
    }
    return object;
}

/* What is true of this process. */
static json_t *start_json(const attune_watch_description *d)
{
    json_t *start = json_object(), *command = json_array();
    struct utsname host = {0};
    char stamp[ATTUNE_STAMP_SIZE];
    uname(&host);
    attune_stamp(stamp, time(NULL));
    for (int i = 0; i < d->argument_count; i++) {
        json_array_append_new(command, attune_json_text(d->arguments[i]));
    }
    json_object_set_new(start, "time", json_string(stamp));
    json_object_set_new(start, "behind_step",
                        d->resume_step < 0 ? json_null() : json_integer(d->resume_step));
    json_object_set_new(start, "command", command);
    json_object_set_new(start, "host", attune_json_text(host.nodename));
    json_object_set_new(start, "machine", json_string(host.machine));
    json_object_set_new(start, "device", attune_json_text(d->device));
    json_object_set_new(start, "kernels", attune_json_text(d->detail));
    json_object_set_new(start, "attune", json_string(attune_version()));
    json_object_set_new(start, "ffmpeg", json_string(attune_audio_versions()));
    json_object_set_new(start, "hdf5", json_string(attune_store_versions()));
    json_object_set_new(start, "compiler", json_string(COMPILER));
    return start;
}

/* The starts that the file tells of; an empty list for a new run, or when there is no such file. */
static attune_status read_starts(json_t **out, const char *path, bool resume)
{
    json_error_t error;
    json_t *before = resume ? json_load_file(path, 0, &error) : NULL;
    if (resume && !before && json_error_code(&error) != json_error_cannot_open_file) {
        return attune_fail(ATTUNE_EDATA, "%s: line %d: %s; move the file away to go on without it",
                           path, error.line, error.text);
    }
    json_t *starts = json_object_get(before, "starts");
    *out = json_is_array(starts) ? json_incref(starts) : json_array();
    json_decref(before);
    return *out ? ATTUNE_OK : attune_fail_memory("a description", 64);
}

attune_status attune_watch_describe(const char *folder, const attune_watch_description *description)
{
    json_t *run = NULL, *starts = NULL;
    char *path = NULL, *text = NULL;
    attune_status status = ATTUNE_OK;
    if (asprintf(&path, "%s/run.json", folder) < 0) {
        return attune_fail_memory("a path", strlen(folder));
    }
    if ((status = read_starts(&starts, path, description->resume_step >= 0)) != ATTUNE_OK) {
        goto done;
    }
    const uint64_t seed = description->seed;
    char digits[32];
    snprintf(digits, sizeof(digits), "%llu", (unsigned long long)seed);
    run = json_object();
    json_object_set_new(run, "seed",
                        seed <= INT64_MAX ? json_integer((json_int_t)seed) : json_string(digits));
    json_object_set_new(run, "configuration", facts_json(description->configuration));
    json_object_set_new(run, "data", facts_json(description->data));
    json_array_append_new(starts, start_json(description));
    json_object_set(run, "starts", starts);
    text = json_dumps(run, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    status = text ? attune_new_file_write(path, text, strlen(text), true)
                  : attune_fail_memory("a description", 4096);
done:
    json_decref(starts);
    json_decref(run);
    free(text);
    free(path);
    return status;
}
