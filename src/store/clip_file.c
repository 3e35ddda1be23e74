/* clip_file.c - clips in place: locks, slots, samples and records. The idea is in clip_file.h. */
#include "store/clip_file.h"

#include "status/error.h"
#include "status/io.h"
#include "store/clip_format.h"
#include "store/new_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <xxhash.h>

enum { BLOCK = 1 << 15 }; /* bytes converted, checked or copied at a time */

typedef struct slot_state {
    attune_clip clip;
    XXH128_hash_t path;
    bool taken; /* since the file was opened */
} slot_state;

typedef struct pending {
    size_t slot;
    attune_clip_record record;
} pending;

struct attune_clip_file {
    char *path;
    attune_clip_layout layout;
    attune_clip_extent extent;
    size_t row_size;        /* bytes of S samples */
    int fd, lock;           /* -1: none */
    bool shared;            /* others read it now */
    bool exclusive;         /* it may be written */
    bool dropped;           /* records were emptied */
    slot_state *slots;      /* (extent.slots) */
    atomic_uchar *verified; /* (extent.slots) */
    size_t *table;          /* (table_size): slot + 1 by hash of the path, or 0 */
    size_t table_size;      /* a power of two */
    size_t next;            /* where to look for an empty slot */
    pending *noted;
    size_t noted_count, noted_capacity;
};

/* ---- bytes ---- */

static attune_status fail_io(const attune_clip_file *file, const char *what)
{
    return attune_fail(ATTUNE_EIO, "%s: cannot %s: %s", file->path, what,
                       errno ? strerror(errno) : "it ends too early");
}

static bool read_at(int fd, void *out, size_t size, uint64_t at)
{
    return attune_read_at(fd, out, size, at) == (ssize_t)size;
}

static uint64_t samples_at(const attune_clip_file *file, size_t slot)
{
    return file->extent.samples_at + (uint64_t)slot * file->row_size;
}

static uint64_t record_at(const attune_clip_extent *extent, size_t slot)
{
    return extent->records_at + (uint64_t)slot * sizeof(attune_clip_record);
}

static uint64_t record_checksum(const attune_clip_record *record)
{
    const size_t skipped = sizeof(record->record_checksum);
    return XXH3_64bits((const char *)record + skipped, sizeof(*record) - skipped);
}

/* ---- opening ---- */

/* Takes the lock. Where no lock can be made, as on a disk that is only read, nothing is written. */
static attune_status take_lock(attune_clip_file *file)
{
    char *name = NULL;
    if (asprintf(&name, "%s.lock", file->path) < 0) {
        return attune_fail_memory("a path", strlen(file->path));
    }
    file->lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    const int error = errno;
    const bool readable = access(file->path, R_OK) == 0;
    free(name);
    if (file->lock < 0) {
        return readable ? ATTUNE_OK
                        : attune_fail(ATTUNE_ECREATE, "%s: cannot create a file beside it: %s",
                                      file->path, strerror(error));
    }
    file->exclusive = flock(file->lock, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    file->shared = !file->exclusive;
    if (file->shared && flock(file->lock, LOCK_SH | LOCK_NB) != 0) {
        return attune_fail(ATTUNE_ESTOPPED, "%s: another process is writing it; run again later",
                           file->path);
    }
    return ATTUNE_OK;
}

static attune_status check_layout(const attune_clip_file *file, const attune_clip_layout *other)
{
    static const char *const names[] = {"16-bit numbers", "floats"};
    const attune_clip_layout *l = &file->layout;
    if (other->format == l->format && other->sample_rate == l->sample_rate &&
        other->clip_start == l->clip_start && other->clip_seconds == l->clip_seconds &&
        other->samples == l->samples) {
        return ATTUNE_OK;
    }
    return attune_fail(ATTUNE_ECONFIG,
                       "%s: has clips of %g s from %g s on at %d Hz in %s, and not of %g s from %g "
                       "s on at %d Hz in %s; remove it or name another cache",
                       file->path, other->clip_seconds, other->clip_start, other->sample_rate,
                       names[other->format], l->clip_seconds, l->clip_start, l->sample_rate,
                       names[l->format]);
}

static attune_status allocate(attune_clip_file *file)
{
    const size_t slots = file->extent.slots;
    file->table_size = 64;
    while (file->table_size < 2 * slots) {
        file->table_size *= 2;
    }
    file->slots = calloc(slots + 1, sizeof(*file->slots));
    file->verified = calloc(slots + 1, sizeof(*file->verified));
    file->table = calloc(file->table_size, sizeof(*file->table));
    return file->slots && file->verified && file->table
               ? ATTUNE_OK
               : attune_fail_memory("clips", slots * sizeof(*file->slots));
}

/* Takes over a record, if it is one. */
static void enter(attune_clip_file *file, size_t slot, const attune_clip_record *record)
{
    if (record->record_checksum != record_checksum(record) || record->samples < 1 ||
        record->samples > file->layout.samples || record->status >= ATTUNE_TRACK_STATUS_COUNT) {
        return;
    }
    file->slots[slot] = (slot_state){
        .clip = {.size = record->size,
                 .mtime_ns = record->mtime_ns,
                 .checksum = record->checksum,
                 .samples = record->samples,
                 .status = (attune_track_status)record->status},
        .path = {record->path_hash[0], record->path_hash[1]},
    };
    size_t place = (size_t)record->path_hash[0] & (file->table_size - 1);
    while (file->table[place]) {
        place = (place + 1) & (file->table_size - 1);
    }
    file->table[place] = slot + 1;
}

static attune_status read_records(attune_clip_file *file)
{
    enum { AT_A_TIME = BLOCK / sizeof(attune_clip_record) };
    attune_clip_record records[AT_A_TIME];
    attune_status status = allocate(file);
    for (size_t slot = 0; status == ATTUNE_OK && slot < file->extent.slots; slot += AT_A_TIME) {
        const size_t left = file->extent.slots - slot, count = left < AT_A_TIME ? left : AT_A_TIME;
        if (!read_at(file->fd, records, count * sizeof(*records), record_at(&file->extent, slot))) {
            return fail_io(file, "read");
        }
        for (size_t i = 0; i < count; i++) {
            enter(file, slot + i, &records[i]);
        }
    }
    return status;
}

/* Opens what stands under the file's name, if anything does. */
static attune_status load(attune_clip_file *file)
{
    attune_clip_layout layout = {0};
    file->fd = open(file->path, (file->exclusive ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
    if (file->fd < 0 && file->exclusive && (errno == EACCES || errno == EROFS)) {
        file->exclusive = false;
        file->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    }
    if (file->fd < 0) {
        return errno == ENOENT ? allocate(file)
                               : attune_fail(ATTUNE_ECREATE, "%s: cannot open: %s", file->path,
                                             strerror(errno));
    }
    attune_status status = attune_clip_format_open(&file->extent, &layout, file->fd, file->path);
    if (status == ATTUNE_OK) {
        status = check_layout(file, &layout);
    }
    return status == ATTUNE_OK ? read_records(file) : status;
}

attune_status attune_clip_file_open(attune_clip_file **out, const char *path,
                                    const attune_clip_layout *layout)
{
    attune_clip_file *file = *out = calloc(1, sizeof(*file));
    if (!file) {
        return attune_fail_memory("a cache", sizeof(*file));
    }
    file->fd = file->lock = -1;
    file->layout = *layout;
    file->row_size = layout->samples * attune_clip_sample_size(layout->format);
    char *real = realpath(path, NULL); /* of two names of a file, both have one lock */
    file->path = real ? real : strdup(path);
    attune_status status =
        file->path ? take_lock(file) : attune_fail_memory("a path", strlen(path));
    if (status == ATTUNE_OK) {
        status = load(file);
    }
    if (status != ATTUNE_OK) {
        attune_clip_file_close(file);
        *out = NULL;
    }
    return status;
}

/* Lets go of what load took. */
static void unload(attune_clip_file *file)
{
    if (file->fd >= 0) {
        close(file->fd);
    }
    free(file->slots);
    free(file->verified);
    free(file->table);
    file->fd = -1;
    file->slots = NULL;
    file->verified = NULL;
    file->table = NULL;
    file->extent = (attune_clip_extent){0};
    file->next = 0;
}

void attune_clip_file_close(attune_clip_file *file)
{
    if (file) {
        unload(file);
        if (file->lock >= 0) {
            close(file->lock);
        }
        free(file->noted);
        free(file->path);
        free(file);
    }
}

/* ---- slots ---- */

size_t attune_clip_file_find(const attune_clip_file *file, const char *path)
{
    const XXH128_hash_t hash = XXH3_128bits(path, strlen(path));
    size_t place = (size_t)hash.low64 & (file->table_size - 1);
    for (; file->table[place]; place = (place + 1) & (file->table_size - 1)) {
        if (XXH128_isEqual(file->slots[file->table[place] - 1].path, hash)) {
            return file->table[place] - 1;
        }
    }
    return ATTUNE_NO_SLOT;
}

attune_clip attune_clip_file_get(const attune_clip_file *file, size_t slot)
{
    return file->slots[slot].clip;
}

static bool is_empty(const slot_state *slot)
{
    return slot->clip.samples == 0 && !slot->taken;
}

size_t attune_clip_file_take(attune_clip_file *file)
{
    while (!is_empty(&file->slots[file->next])) {
        file->next++;
        assert(file->next < file->extent.slots);
    }
    file->slots[file->next].taken = true;
    return file->next;
}

/* Empties slots, durably: what is written there next must not be taken for what stood there. */
static attune_status drop(attune_clip_file *file, const size_t *dropped, size_t count)
{
    static const attune_clip_record empty;
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        const size_t slot = dropped[i];
        if (slot != ATTUNE_NO_SLOT) {
            any = true;
            file->slots[slot].clip.samples = 0;
            if (!attune_write_at(file->fd, &empty, sizeof(empty), record_at(&file->extent, slot))) {
                return fail_io(file, "write");
            }
        }
    }
    return any && fdatasync(file->fd) != 0 ? fail_io(file, "write") : ATTUNE_OK;
}

/* Copies what is in use to another file, slot by slot. */
static attune_status copy_slots(const attune_clip_file *file, int to,
                                const attune_clip_extent *extent)
{
    char bytes[BLOCK];
    for (size_t slot = 0; slot < file->extent.slots; slot++) {
        attune_clip_record record;
        const size_t size =
            file->slots[slot].clip.samples * attune_clip_sample_size(file->layout.format);
        if (size == 0) {
            continue;
        }
        if (!read_at(file->fd, &record, sizeof(record), record_at(&file->extent, slot))) {
            return fail_io(file, "read");
        }
        for (size_t at = 0; at < size; at += BLOCK) {
            const size_t part = size - at < BLOCK ? size - at : BLOCK;
            if (!read_at(file->fd, bytes, part, samples_at(file, slot) + at)) {
                return fail_io(file, "read");
            }
            if (!attune_write_at(to, bytes, part,
                                 extent->samples_at + (uint64_t)slot * file->row_size + at)) {
                return fail_io(file, "write");
            }
        }
        if (!attune_write_at(to, &record, sizeof(record), record_at(extent, slot))) {
            return fail_io(file, "write");
        }
    }
    return ATTUNE_OK;
}

/* Puts a file of that many slots under the name, with all that there is. */
static attune_status grow(attune_clip_file *file, size_t slots)
{
    attune_new_file new = ATTUNE_NEW_FILE_CLOSED;
    attune_clip_extent extent = {0};
    attune_new_file_sweep(file->path);
    attune_status status = attune_new_file_open_other(&new, file->path, file->fd >= 0);
    if (status == ATTUNE_OK) {
        status = attune_clip_format_create(&extent, new.fd, file->path, &file->layout, slots);
    }
    if (status == ATTUNE_OK) {
        status = copy_slots(file, new.fd, &extent);
    }
    if (status == ATTUNE_OK) {
        status = attune_new_file_publish(&new);
    }
    attune_new_file_close(&new);
    if (status == ATTUNE_OK) {
        unload(file);
        status = load(file);
    }
    return status;
}

attune_status attune_clip_file_reserve(attune_clip_file *file, const size_t *dropped, size_t count)
{
    if (file->shared) {
        return attune_fail(ATTUNE_ESTOPPED,
                           "%s: %zu clips are to be added, and other processes read it; wait for "
                           "them or name another cache",
                           file->path, count);
    }
    if (!file->exclusive) {
        return attune_fail(ATTUNE_ECREATE,
                           "%s: %zu clips are to be added, and it may not be written", file->path,
                           count);
    }
    const size_t slots = file->extent.slots;
    size_t empty = 0;
    attune_status status = drop(file, dropped, count);
    for (size_t i = 0; i < slots; i++) {
        empty += is_empty(&file->slots[i]);
    }
    if (status == ATTUNE_OK && empty < count) {
        /* Half as many again at least, so that little is copied by growing often. */
        const size_t needed = slots + count - empty, half = slots + slots / 2;
        status = grow(file, needed > half ? needed : half);
    }
    return status;
}

/* ---- samples ---- */

/* Q14 in place: number i goes where the first half of sample i was, or before. */
static void to_int16(float *samples, size_t count)
{
    char *bytes = (char *)samples;
    for (size_t i = 0; i < count; i++) {
        float x;
        memcpy(&x, bytes + i * sizeof(x), sizeof(x));
        x = fminf(fmaxf(x * 16384.0f, -32767.0f), 32767.0f);
        const int16_t q = (int16_t)lrintf(x);
        memcpy(bytes + i * sizeof(q), &q, sizeof(q));
    }
}

attune_status attune_clip_file_write(attune_clip_file *file, uint64_t *checksum, float *samples,
                                     size_t slot, size_t count)
{
    const size_t size = count * attune_clip_sample_size(file->layout.format);
    assert(count <= file->layout.samples && slot < file->extent.slots);
    if (file->layout.format == ATTUNE_CLIP_INT16) {
        to_int16(samples, count);
    }
    *checksum = XXH3_64bits(samples, size);
    return attune_write_at(file->fd, samples, size, samples_at(file, slot))
               ? ATTUNE_OK
               : fail_io(file, "write");
}

attune_status attune_clip_file_note(attune_clip_file *file, size_t slot, const char *path,
                                    const attune_clip *clip)
{
    if (file->noted_count == file->noted_capacity) {
        const size_t capacity = file->noted_capacity * 2 + 64;
        pending *noted = realloc(file->noted, capacity * sizeof(*noted));
        if (!noted) {
            return attune_fail_memory("clips", capacity * sizeof(*noted));
        }
        file->noted = noted;
        file->noted_capacity = capacity;
    }
    pending *p = &file->noted[file->noted_count++];
    attune_clip_record *record = &p->record;
    const size_t length = strlen(path), room = sizeof(record->path) - 1;
    const XXH128_hash_t hash = XXH3_128bits(path, length);
    p->slot = slot;
    *record = (attune_clip_record){
        .path_hash = {hash.low64, hash.high64},
        .size = clip->size,
        .mtime_ns = clip->mtime_ns,
        .checksum = clip->checksum,
        .samples = clip->samples,
        .status = (uint8_t)clip->status,
    };
    snprintf(record->path, sizeof(record->path), "%s", path + (length > room ? length - room : 0));
    record->record_checksum = record_checksum(record);
    file->slots[slot].clip = *clip;
    file->slots[slot].path = hash;
    return ATTUNE_OK;
}

attune_status attune_clip_file_commit(attune_clip_file *file)
{
    if (file->noted_count == 0) {
        return ATTUNE_OK;
    }
    if (fdatasync(file->fd) != 0) {
        return fail_io(file, "write");
    }
    for (size_t i = 0; i < file->noted_count; i++) {
        const pending *p = &file->noted[i];
        if (!attune_write_at(file->fd, &p->record, sizeof(p->record),
                             record_at(&file->extent, p->slot))) {
            return fail_io(file, "write");
        }
    }
    file->noted_count = 0;
    return fdatasync(file->fd) == 0 ? ATTUNE_OK : fail_io(file, "write");
}

void attune_clip_file_share(attune_clip_file *file)
{
    if (file->lock >= 0 && file->exclusive) {
        flock(file->lock, LOCK_SH);
    }
    file->exclusive = false;
}

/* Compares a slot with its checksum, once. */
static attune_status verify(attune_clip_file *file, size_t slot)
{
    char bytes[BLOCK];
    const attune_clip *clip = &file->slots[slot].clip;
    const size_t size = clip->samples * attune_clip_sample_size(file->layout.format);
    if (atomic_load_explicit(&file->verified[slot], memory_order_relaxed)) {
        return ATTUNE_OK;
    }
    XXH3_state_t *state = XXH3_createState();
    bool whole = state && XXH3_64bits_reset(state) == XXH_OK;
    for (size_t at = 0; whole && at < size; at += BLOCK) {
        const size_t part = size - at < BLOCK ? size - at : BLOCK;
        if (!read_at(file->fd, bytes, part, samples_at(file, slot) + at)) {
            XXH3_freeState(state);
            return fail_io(file, "read");
        }
        whole = XXH3_64bits_update(state, bytes, part) == XXH_OK;
    }
    const uint64_t checksum = whole ? XXH3_64bits_digest(state) : 0;
    XXH3_freeState(state);
    if (!whole) {
        return attune_fail_memory("a checksum", BLOCK);
    }
    if (checksum != clip->checksum) {
        return attune_fail(ATTUNE_EDATA,
                           "%s: clip %zu is damaged; remove the file, and it is made "
                           "again",
                           file->path, slot);
    }
    atomic_store_explicit(&file->verified[slot], 1, memory_order_relaxed);
    return ATTUNE_OK;
}

/* Reads samples that are there. */
static attune_status read_samples(attune_clip_file *file, float *out, size_t slot, size_t start,
                                  size_t count)
{
    if (file->layout.format == ATTUNE_CLIP_FLOAT32) {
        const uint64_t at = samples_at(file, slot) + start * sizeof(float);
        return read_at(file->fd, out, count * sizeof(float), at) ? ATTUNE_OK
                                                                 : fail_io(file, "read");
    }
    int16_t numbers[BLOCK / sizeof(int16_t)];
    const size_t room = sizeof(numbers) / sizeof(*numbers);
    for (size_t done = 0; done < count; done += room) {
        const size_t part = count - done < room ? count - done : room;
        const uint64_t at = samples_at(file, slot) + (start + done) * sizeof(*numbers);
        if (!read_at(file->fd, numbers, part * sizeof(*numbers), at)) {
            return fail_io(file, "read");
        }
        for (size_t i = 0; i < part; i++) {
            out[done + i] = (float)numbers[i] * 0x1p-14f;
        }
    }
    return ATTUNE_OK;
}

attune_status attune_clip_file_read(attune_clip_file *file, float *out, size_t slot, size_t start,
                                    size_t count)
{
    assert(slot < file->extent.slots);
    const size_t samples = file->slots[slot].clip.samples;
    const size_t left = start < samples ? samples - start : 0, there = count < left ? count : left;
    attune_status status = verify(file, slot);
    if (status == ATTUNE_OK) {
        status = read_samples(file, out, slot, start, there);
    }
    for (size_t i = there; status == ATTUNE_OK && i < count; i++) {
        out[i] = 0;
    }
    return status;
}
