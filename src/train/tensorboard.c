/* tensorboard.c - event files. The format is in tensorboard.h. */
#include "train/tensorboard.h"

#include "status/error.h"
#include "tensorboard.pb-c.h"
#include "train/watch.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* An event of ours has at most 32 scalars; what is longer in a file is not ours. */
enum { EVENT_MAX = 1 << 16, HEAD = 12, TAIL = 4 };

/* CRC-32C (Castagnoli): reflected, polynomial 0x1edc6f41. */
static uint32_t crc32c(const uint8_t *bytes, size_t size)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
        }
    }
    return ~crc;
}

static uint32_t checksum(const uint8_t *bytes, size_t size)
{
    const uint32_t crc = crc32c(bytes, size);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void put(uint8_t *out, uint64_t value, int size)
{
    for (int i = 0; i < size; i++) {
        out[i] = (uint8_t)(value >> 8 * i);
    }
}

static uint64_t get(const uint8_t *bytes, int size)
{
    uint64_t value = 0;
    for (int i = size - 1; i >= 0; i--) {
        value = value << 8 | bytes[i];
    }
    return value;
}

void attune_events_name(char out[ATTUNE_EVENTS_NAME], const char *folder)
{
    DIR *directory = opendir(folder);
    const struct dirent *entry;
    char host[65] = "";
    *out = '\0';
    while (directory && (entry = readdir(directory))) {
        if (fnmatch("events.out.tfevents.*.attune", entry->d_name, 0) == 0 &&
            strcmp(entry->d_name, out) > 0) {
            snprintf(out, ATTUNE_EVENTS_NAME, "%s", entry->d_name);
        }
    }
    if (directory) {
        closedir(directory);
    }
    if (!*out) {
        gethostname(host, sizeof(host) - 1);
        snprintf(out, ATTUNE_EVENTS_NAME, "events.out.tfevents.%010lld.%s.attune",
                 (long long)time(NULL), *host && !strchr(host, '/') ? host : "localhost");
    }
}

static bool write_event(FILE *file, const Attune__Event *event)
{
    const size_t size = attune__event__get_packed_size(event);
    uint8_t *record = malloc(HEAD + size + TAIL);
    if (!record) {
        errno = ENOMEM;
        return false;
    }
    put(record, size, 8);
    put(record + 8, checksum(record, 8), 4);
    attune__event__pack(event, record + HEAD);
    put(record + HEAD + size, checksum(record + HEAD, size), 4);
    const bool written = fwrite(record, HEAD + size + TAIL, 1, file) == 1;
    free(record);
    return written;
}

bool attune_events_begin(FILE *file, double wall_time)
{
    Attune__Event event = ATTUNE__EVENT__INIT;
    event.wall_time = wall_time;
    event.what_case = ATTUNE__EVENT__WHAT_FILE_VERSION;
    event.file_version = (char[]){"brain.Event:2"};
    return write_event(file, &event);
}

bool attune_events_write(FILE *file, double wall_time, int64_t step, const char *const *tags,
                         const double *values, int count)
{
    Attune__SummaryValue scalars[ATTUNE_WATCH_NAMES_MAX], *list[ATTUNE_WATCH_NAMES_MAX];
    Attune__Summary summary = ATTUNE__SUMMARY__INIT;
    Attune__Event event = ATTUNE__EVENT__INIT;
    for (int i = 0; i < count; i++) {
        attune__summary_value__init(&scalars[i]);
        scalars[i].tag = (char *)tags[i]; /* packing does not write to it */
        scalars[i].value_case = ATTUNE__SUMMARY_VALUE__VALUE_SIMPLE_VALUE;
        scalars[i].simple_value = (float)values[i];
        list[i] = &scalars[i];
    }
    summary.n_value = (size_t)count;
    summary.value = list;
    event.wall_time = wall_time;
    event.step = step;
    event.what_case = ATTUNE__EVENT__WHAT_SUMMARY;
    event.summary = &summary;
    return write_event(file, &event);
}

typedef enum reading { READ, ENDED, DAMAGED } reading;

static bool has_tag(const Attune__Event *event, const char *prefix)
{
    return event->what_case == ATTUNE__EVENT__WHAT_SUMMARY && event->summary->n_value > 0 &&
           strncmp(event->summary->value[0]->tag, prefix, strlen(prefix)) == 0;
}

/* The next record's step, and whether it has such a tag. `record` has room for one. */
static reading read_event(FILE *file, uint8_t *record, const char *prefix, int64_t *step,
                          bool *tagged)
{
    if (fread(record, 1, HEAD, file) < HEAD) {
        return ENDED;
    }
    const uint64_t size = get(record, 8);
    if (size == 0) {
        return ENDED; /* zeros, which a power cut leaves where data had not arrived */
    }
    if (get(record + 8, 4) != checksum(record, 8) || size > EVENT_MAX) {
        return DAMAGED;
    }
    if (fread(record + HEAD, 1, (size_t)size + TAIL, file) < size + TAIL) {
        return ENDED;
    }
    if (get(record + HEAD + size, 4) != checksum(record + HEAD, (size_t)size)) {
        return DAMAGED;
    }
    Attune__Event *event = attune__event__unpack(NULL, (size_t)size, record + HEAD);
    if (!event) {
        return DAMAGED;
    }
    *step = event->step;
    *tagged = has_tag(event, prefix);
    attune__event__free_unpacked(event, NULL);
    return READ;
}

attune_status attune_events_measure(FILE *file, const char *path, int64_t last_step,
                                    const char *last_tag, off_t *end)
{
    uint8_t *record = malloc(HEAD + EVENT_MAX + TAIL);
    int64_t step = 0, before = 0;
    bool tagged = false;
    reading result = READ;
    if (!record) {
        return attune_fail_memory("an event", EVENT_MAX);
    }
    do {
        before = step;
        *end = ftello(file);
        result = read_event(file, record, last_tag, &step, &tagged);
    } while (result == READ && (step < last_step || (step == last_step && !tagged)));
    free(record);
    if (ferror(file)) {
        return attune_fail(ATTUNE_EIO, "%s: cannot read: %s", path, strerror(errno));
    }
    if (result == READ && step == last_step) {
        *end = ftello(file);
        return ATTUNE_OK;
    }
    if (result == DAMAGED && last_step > 0) {
        return attune_fail(ATTUNE_EDATA,
                           "%s: damaged at byte %lld; move it away to go on without it", path,
                           (long long)*end);
    }
    /* An event was read, of a step, and the last is not among them. */
    return before > 0
               ? attune_fail(
                     ATTUNE_EDATA,
                     "%s: the events of step %lld are lost; move it away to go on without it", path,
                     (long long)last_step)
               : ATTUNE_OK;
}
