/* zip.c - zip archives, with zip64: the directory at the end, and entries stored or deflated.
 *
 * An entry's position is that of its record in the directory; its content comes behind a local
 * header, of which only the length counts: the directory knows everything else, and better. */
#include "archive/reader.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    RECORD = 46, /* bytes of a directory record without name, extra fields and comment */
    LOCAL = 30,  /* bytes of a local header likewise */
    END = 22,    /* bytes of the end record without comment */
    END64 = 56,
    LOCATOR64 = 20,
    COMMENT_MAX = 65535,
    CHUNK = 64 * 1024,
    WINDOW_MIN = 512, /* bytes of the directory: a record or a few */
};

static uint64_t get(const uint8_t *bytes, int count)
{
    uint64_t value = 0;
    for (int i = count - 1; i >= 0; i--) {
        value = value << 8 | bytes[i];
    }
    return value;
}

static bool is_signature(const uint8_t *bytes, const char *second)
{
    return memcmp(bytes, "PK", 2) == 0 && memcmp(bytes + 2, second, 2) == 0;
}

/* Where the directory is, from the end record at `at`. False when that record makes no sense. */
static bool read_end(attune_archive_walk *walk, const uint8_t *end, uint64_t at)
{
    uint8_t locator[LOCATOR64], end64[END64];
    uint64_t parts = get(end + 4, 2) | get(end + 6, 2);
    uint64_t count = get(end + 10, 2), size = get(end + 12, 4), offset = get(end + 16, 4);
    walk->left_mask = 0xffff; /* some writers let the number of entries overflow */
    if (at >= LOCATOR64 && attune_archive_read(walk, locator, at - LOCATOR64, LOCATOR64) &&
        is_signature(locator, "\6\7")) {
        const uint64_t at64 = get(locator + 8, 8);
        if (!attune_archive_read(walk, end64, at64, END64)) {
            return false;
        }
        if (!is_signature(end64, "\6\6")) {
            return attune_archive_fail(walk, "is damaged: its zip64 end record is not there");
        }
        parts = get(end64 + 16, 4) | get(end64 + 20, 4);
        count = get(end64 + 32, 8);
        size = get(end64 + 40, 8);
        offset = get(end64 + 48, 8);
        walk->left_mask = UINT64_MAX;
        at = at64;
    }
    if (parts != 0) {
        return attune_archive_fail(walk, "is one part of a split archive; join the parts");
    }
    if (size > at || offset > at - size) {
        return attune_archive_fail(walk, "is damaged: its directory is not where it should be");
    }
    walk->base = at - size - offset;
    walk->next = at - size;
    walk->end = at;
    walk->left = count;
    return true;
}

/* Looks for the end record in the last `size` bytes, and reads it; false also without a reason,
 * when it is not there. */
static bool find_end(attune_archive_walk *walk, size_t size, bool *found)
{
    uint8_t *tail = malloc(size + 1);
    bool good = false;
    if (!tail) {
        return attune_archive_fail(walk, "does not fit in memory");
    }
    if (attune_archive_read(walk, tail, walk->size - size, size)) {
        for (size_t i = size < END ? 0 : size - END + 1; i > 0 && !*found; i--) {
            const uint8_t *end = tail + i - 1;
            *found = is_signature(end, "\5\6") && get(end + 20, 2) <= size - END - (i - 1);
            good = *found && read_end(walk, end, walk->size - size + i - 1);
        }
    }
    free(tail);
    return good;
}

bool attune_zip_open(attune_archive_walk *walk)
{
    const size_t most = walk->size < END + COMMENT_MAX ? (size_t)walk->size : END + COMMENT_MAX;
    bool found = false;
    bool good = walk->size >= END && find_end(walk, END, &found); /* mostly there is no comment */
    if (!found && !walk->reason[0]) {
        good = find_end(walk, most, &found);
    }
    return found || walk->reason[0]
               ? good
               : attune_archive_fail(walk, "is no zip archive, or cut short: it has no directory");
}

/* A date and time as DOS counts them, taken as UTC. */
static int64_t from_dos(uint64_t date, uint64_t time)
{
    int64_t year = 1980 + (int64_t)(date >> 9), month = (int64_t)(date >> 5 & 15);
    const int64_t day = (int64_t)(date & 31);
    const int64_t second =
        (int64_t)(time >> 11) * 3600 + (int64_t)(time >> 5 & 63) * 60 + (int64_t)(time & 31) * 2;
    /* Days since 1970 of a date, years beginning in March. */
    year -= month <= 2;
    month += month <= 2 ? 9 : -3;
    const int64_t days =
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719469;
    return (days * 86400 + second) * 1000000000;
}

/* What the extra fields add: 64-bit sizes where the record has none, and a time in UTC. False when
 * a size is missing. */
static bool read_extra(attune_archive_entry *entry, const uint8_t *extra, size_t size)
{
    uint64_t *const wide[] = {&entry->size, &entry->packed, &entry->offset};
    bool missing = false;
    for (int i = 0; i < 3; i++) {
        missing |= *wide[i] == UINT32_MAX;
    }
    for (size_t length = 0; size >= 4; extra += length + 4, size -= length + 4) {
        const uint64_t tag = get(extra, 2);
        const uint8_t *field = extra + 4;
        length = get(extra + 2, 2);
        if (length > size - 4) {
            break;
        }
        if (tag == 0x0001 && missing) {
            size_t at = 0;
            missing = false;
            for (int i = 0; i < 3; i++) {
                if (*wide[i] == UINT32_MAX && at + 8 <= length) {
                    *wide[i] = get(field + at, 8);
                    at += 8;
                } else if (*wide[i] == UINT32_MAX) {
                    missing = true;
                }
            }
        } else if (tag == 0x5455 && length >= 5 && field[0] & 1) { /* seconds since 1970 */
            entry->mtime_ns = (int64_t)(int32_t)get(field + 1, 4) * 1000000000;
        }
    }
    return !missing;
}

static const char *judge(const attune_archive_entry *entry, uint64_t flags)
{
    return flags & (1 | 1 << 6 | 1 << 13) ? "is encrypted; unpack it"
           : entry->method != 0 && entry->method != 8
               ? "is compressed in a way that is not read in place; unpack it"
           : entry->method == 0 && entry->packed != entry->size
               ? "is damaged: its sizes contradict each other"
           : entry->method == 8 && entry->size > ATTUNE_ARCHIVE_INFLATED_MAX
               ? "is compressed and larger than 512 MiB; unpack it"
               : NULL;
}

/* `size` bytes of the directory from `at` on, for there is a window on it: two reads an entry would
 * take longer than all the rest. It begins small, for an entry that is sought by its position is
 * all that is looked at, and doubles while a walk goes on. NULL, and walk->reason, where the
 * directory ends before. */
static const uint8_t *look(attune_archive_walk *walk, uint64_t at, size_t size)
{
    if (at > walk->end || size > walk->end - at) {
        attune_archive_fail(walk, "is damaged: a record of its directory is cut short");
        return NULL;
    }
    if (at < walk->window_at || at - walk->window_at > walk->window_size ||
        size > walk->window_size - (at - walk->window_at)) {
        const size_t twice = 2 * walk->window_size;
        const size_t window = twice < WINDOW_MIN ? WINDOW_MIN : twice < CHUNK ? twice : CHUNK;
        const size_t wanted = size > window ? size : window;
        const size_t read = wanted < walk->end - at ? wanted : (size_t)(walk->end - at);
        if (read > walk->window_capacity) {
            free(walk->window);
            walk->window = malloc(read);
            walk->window_capacity = walk->window ? read : 0;
        }
        walk->window_size = 0;
        if (!walk->window) {
            attune_archive_fail(walk, "does not fit in memory");
            return NULL;
        }
        if (!attune_archive_read(walk, walk->window, at, read)) {
            return NULL;
        }
        walk->window_at = at;
        walk->window_size = read;
    }
    return walk->window + (at - walk->window_at);
}

bool attune_zip_next(attune_archive_walk *walk)
{
    attune_archive_entry *entry = &walk->entry;
    if (walk->next == walk->end) {
        return (walk->left & walk->left_mask) == 0
                   ? false
                   : attune_archive_fail(walk, "is damaged: its directory lacks entries");
    }
    const uint8_t *record = look(walk, walk->next, RECORD);
    if (!record) {
        return false;
    }
    if (!is_signature(record, "\1\2")) {
        return attune_archive_fail(walk, "is damaged: a record of its directory makes no sense");
    }
    const size_t name = get(record + 28, 2), extra = get(record + 30, 2);
    const size_t length = RECORD + name + extra + get(record + 32, 2);
    record = look(walk, walk->next, length);
    if (!record) {
        return false;
    }
    entry->method = (uint16_t)get(record + 10, 2);
    entry->mtime_ns = from_dos(get(record + 14, 2), get(record + 12, 2));
    entry->checksum = (uint32_t)get(record + 16, 4);
    entry->packed = get(record + 20, 4);
    entry->size = get(record + 24, 4);
    entry->offset = get(record + 42, 4);
    entry->failure = read_extra(entry, record + RECORD + name, extra)
                         ? judge(entry, get(record + 8, 2))
                         : "is damaged: its zip64 sizes are not there";
    if (!attune_archive_set_name(walk, (const char *)record + RECORD, name)) {
        return false;
    }
    const size_t kept = strlen(entry->name);
    const bool unix_link = record[5] == 3 && (get(record + 38, 4) >> 28) == 0xa;
    entry->is_file = kept > 0 && entry->name[kept - 1] != '/' && !unix_link;
    walk->next += length;
    walk->left--;
    return true;
}

/* Inflates `packed` bytes at `offset` into content->bytes. */
static bool inflate_into(attune_archive_walk *walk, attune_archive_content *content,
                         z_stream *stream, uint8_t *chunk, uint64_t offset,
                         bool (*is_late)(void *user), void *user)
{
    uint64_t left = walk->entry.packed;
    uint8_t beyond; /* takes the byte that would be one too many */
    int code = Z_OK;
    stream->next_out = content->bytes;
    stream->avail_out = (uInt)content->size;
    while (code == Z_OK) {
        if (stream->avail_in == 0 && left > 0) {
            const size_t size = left < CHUNK ? (size_t)left : CHUNK;
            if (is_late(user)) {
                return attune_archive_fail(walk, "is late");
            }
            if (!attune_archive_read(walk, chunk, offset, size)) {
                return false;
            }
            stream->next_in = chunk;
            stream->avail_in = (uInt)size;
            offset += size;
            left -= size;
        }
        if (stream->avail_out == 0) {
            stream->next_out = &beyond;
            stream->avail_out = 1;
        }
        code = inflate(stream, Z_NO_FLUSH);
        if (stream->total_out > content->size) {
            return attune_archive_fail(walk, "is damaged: it holds more than its directory says");
        }
    }
    if (code != Z_STREAM_END || stream->total_out != content->size) {
        return attune_archive_fail(walk, "is damaged: %s",
                                   stream->msg ? stream->msg : "it does not inflate to its end");
    }
    if (crc32_z(0, content->bytes, content->size) != walk->entry.checksum) {
        return attune_archive_fail(walk, "is damaged: its checksum is wrong");
    }
    return true;
}

static bool inflate_entry(attune_archive_walk *walk, attune_archive_content *content,
                          bool (*is_late)(void *user), void *user)
{
    z_stream stream = {0};
    uint8_t *chunk = malloc(CHUNK);
    content->bytes = malloc(content->size + 1);
    bool good = false;
    if (!chunk || !content->bytes || inflateInit2(&stream, -MAX_WBITS) != Z_OK) {
        attune_archive_fail(walk, "does not fit in memory");
    } else {
        good = inflate_into(walk, content, &stream, chunk, content->offset, is_late, user);
        inflateEnd(&stream);
    }
    free(chunk);
    if (!good) {
        free(content->bytes);
        content->bytes = NULL;
    }
    return good;
}

bool attune_zip_locate(attune_archive_walk *walk, attune_archive_content *content,
                       bool (*is_late)(void *user), void *user)
{
    uint8_t local[LOCAL];
    const uint64_t at = walk->entry.offset + walk->base;
    if (at < walk->base || !attune_archive_read(walk, local, at, LOCAL) ||
        !is_signature(local, "\3\4")) {
        return attune_archive_fail(walk, "is damaged: it is not where the directory says");
    }
    content->offset = at + LOCAL + get(local + 26, 2) + get(local + 28, 2);
    return walk->entry.method == 0 || inflate_entry(walk, content, is_late, user);
}
