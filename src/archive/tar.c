/* tar.c - tar archives: ustar, GNU and pax.
 *
 * An entry is a header of 512 bytes and its content, padded to a multiple of 512. A long name, and
 * in pax a size or time that does not fit, comes in an entry of its own before it; an entry's
 * position is that of the first of these. */
#include "archive/reader.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512, EXTENSION_MAX = 1 << 20 };

typedef struct header {
    char name[100], mode[8], user[8], group[8], size[12], mtime[12], checksum[8];
    char type;
    char link[100], magic[8], names[80], prefix[155], padding[12];
} header;

_Static_assert(sizeof(header) == BLOCK, "a tar header is one block");

/* What the extensions before an entry said. */
typedef struct extensions {
    char *name; /* for free() */
    size_t name_length;
    uint64_t size;
    int64_t mtime_ns;
    bool has_size, has_mtime, is_pax, is_sparse;
} extensions;

/* Octal digits between spaces, or with the first bit set a binary number. False if it is neither.
 */
static bool read_number(int64_t *out, const char *text, size_t length)
{
    const unsigned char *bytes = (const unsigned char *)text;
    uint64_t value = 0;
    size_t i = 0;
    if (bytes[0] & 0x80) {
        const bool negative = bytes[0] & 0x40;
        value = negative ? UINT64_MAX : 0;
        for (i = 0; i < length; i++) {
            const uint64_t byte = i > 0 ? bytes[i] : negative ? bytes[0] : bytes[0] & 0x3f;
            const uint64_t above =
                value >> 55; /* what the shift would push into or past the sign */
            if (above != 0 && above != UINT64_MAX >> 55) {
                return false;
            }
            value = value << 8 | byte;
        }
        *out = (int64_t)value;
        return (*out < 0) == negative;
    }
    while (i < length && text[i] == ' ') {
        i++;
    }
    for (; i < length && text[i] >= '0' && text[i] <= '7'; i++) {
        value = value << 3 | (uint64_t)(text[i] - '0');
    }
    *out = (int64_t)value; /* 12 digits at most */
    return i == length || text[i] == ' ' || text[i] == '\0';
}

static bool is_zero(const header *h)
{
    const char *bytes = (const char *)h;
    return bytes[0] == '\0' && memcmp(bytes, bytes + 1, BLOCK - 1) == 0;
}

/* The sum of the header's bytes, its own digits taken as spaces; old writers took them as signed.
 */
static bool checksum_fits(const header *h)
{
    const unsigned char *bytes = (const unsigned char *)h;
    int64_t expected = 0, sum = 0, signed_sum = 0;
    for (size_t i = 0; i < BLOCK; i++) {
        const bool own = i >= offsetof(header, checksum) && i < offsetof(header, type);
        sum += own ? ' ' : bytes[i];
        signed_sum += own ? ' ' : (signed char)bytes[i];
    }
    return read_number(&expected, h->checksum, sizeof(h->checksum)) &&
           (expected == sum || expected == signed_sum);
}

/* "1700000000.123456789" as ns. */
static int64_t parse_time(const char *text)
{
    char *end = NULL;
    const long long seconds = strtoll(text, &end, 10);
    int64_t fraction = 0, unit = 100000000;
    if (seconds < -9000000000 || seconds > 9000000000) {
        return 0;
    }
    if (*end == '.') {
        for (end++; *end >= '0' && *end <= '9' && unit > 0; end++, unit /= 10) {
            fraction += (*end - '0') * unit;
        }
    }
    return seconds * 1000000000 + (text[0] == '-' ? -fraction : fraction);
}

static bool keep_name(extensions *e, const char *name, size_t length)
{
    free(e->name);
    e->name = malloc(length + 1);
    if (e->name) {
        memcpy(e->name, name, length);
        e->name[length] = '\0';
        e->name_length = length;
    }
    return e->name != NULL;
}

static bool take_pax_record(extensions *e, const char *key, const char *value, size_t length)
{
    if (strcmp(key, "path") == 0) {
        return keep_name(e, value, length);
    }
    if (strcmp(key, "size") == 0) {
        e->has_size = true;
        e->size = strtoull(value, NULL, 10);
    } else if (strcmp(key, "mtime") == 0) {
        e->has_mtime = true;
        e->mtime_ns = parse_time(value);
    } else if (strncmp(key, "GNU.sparse.", 11) == 0) {
        e->is_sparse = true;
    }
    return true;
}

/* Records "<length> <key>=<value>\n", the length being that of the whole record. `text` ends with a
 * NUL and may be written to. */
static bool parse_pax(attune_archive_walk *walk, extensions *e, char *text, size_t size)
{
    size_t at = 0;
    while (at < size && text[at] != '\0') {
        char *key = NULL;
        const unsigned long long length = strtoull(text + at, &key, 10);
        const size_t digits = (size_t)(key - (text + at));
        if (digits == 0 || *key != ' ' || length > size - at || length < digits + 4 ||
            text[at + length - 1] != '\n') {
            return attune_archive_fail(walk, "is damaged: a pax header makes no sense");
        }
        char *end = text + at + length - 1;
        key++;
        char *equals = memchr(key, '=', (size_t)(end - key));
        *end = '\0';
        if (equals) {
            *equals = '\0';
            if (!take_pax_record(e, key, equals + 1, (size_t)(end - equals - 1))) {
                return attune_archive_fail(walk, "holds a name that does not fit in memory");
            }
        }
        at += length;
    }
    return true;
}

/* The content of an entry that extends the next one. */
static bool read_extension(attune_archive_walk *walk, extensions *e, char type, uint64_t offset,
                           uint64_t size)
{
    if (size > EXTENSION_MAX) {
        return attune_archive_fail(walk, "is damaged: a header of %llu bytes",
                                   (unsigned long long)size);
    }
    char *text = malloc(size + 1);
    if (!text) {
        return attune_archive_fail(walk, "holds a name that does not fit in memory");
    }
    bool good = attune_archive_read(walk, text, offset, size);
    text[size] = '\0';
    if (good && type == 'L') {
        good = keep_name(e, text, strlen(text)) ||
               attune_archive_fail(walk, "holds a name that does not fit in memory");
    } else if (good) {
        e->is_pax = true;
        good = parse_pax(walk, e, text, size);
    }
    free(text);
    return good;
}

static bool set_name(attune_archive_walk *walk, const header *h, const extensions *e)
{
    char name[sizeof(h->prefix) + 1 + sizeof(h->name)];
    size_t length = 0;
    if (e->name) {
        return attune_archive_set_name(walk, e->name, e->name_length);
    }
    if (memcmp(h->magic, "ustar\0", 6) == 0 && h->prefix[0]) { /* GNU has other things there */
        length = strnlen(h->prefix, sizeof(h->prefix));
        memcpy(name, h->prefix, length);
        name[length++] = '/';
    }
    const size_t rest = strnlen(h->name, sizeof(h->name));
    memcpy(name + length, h->name, rest);
    return attune_archive_set_name(walk, name, length + rest);
}

/* Reads the header at walk->next and steps over it and over `*size` bytes of content. */
static bool read_header(attune_archive_walk *walk, header *h, int64_t *size)
{
    if (!attune_archive_read(walk, h, walk->next, BLOCK)) {
        return false;
    }
    if (is_zero(h)) {
        return true;
    }
    if (!checksum_fits(h)) {
        return attune_archive_fail(walk, "%s",
                                   walk->next == 0 ? "is no tar archive"
                                                   : "is damaged: a header's checksum is wrong");
    }
    if (!read_number(size, h->size, sizeof(h->size)) || *size < 0 || *size > INT64_MAX / 2) {
        return attune_archive_fail(walk, "is damaged: an entry's size makes no sense");
    }
    return true;
}

static uint64_t padded(uint64_t size)
{
    return (size + BLOCK - 1) / BLOCK * BLOCK;
}

/* The entry that `h` and what came before it describe. */
static bool take_entry(attune_archive_walk *walk, const header *h, const extensions *e,
                       uint64_t size)
{
    attune_archive_entry *entry = &walk->entry;
    int64_t seconds = 0;
    const bool link = h->type == '1';
    if (h->type >= '2' && h->type <= '6') { /* links, devices, folders: no content */
        size = 0;
    } else if (link && !e->is_pax) {
        size = 0;
    } else if (e->has_size) {
        size = e->size;
    }
    if (size > INT64_MAX / 2 || !set_name(walk, h, e)) {
        return walk->reason[0]
                   ? false
                   : attune_archive_fail(walk, "is damaged: an entry's size makes no sense");
    }
    const size_t length = strlen(entry->name);
    const bool folder = length == 0 || entry->name[length - 1] == '/';
    entry->is_file =
        !folder && (h->type == '0' || h->type == '\0' || h->type == '7' || h->type == 'S' || link);
    entry->failure = link ? "is a link to another entry of its archive, which is not followed"
                     : e->is_sparse || h->type == 'S' ? "is stored as a sparse file; unpack it"
                                                      : NULL;
    entry->size = size;
    entry->offset = walk->next;
    if (e->has_mtime) {
        entry->mtime_ns = e->mtime_ns;
    } else if (read_number(&seconds, h->mtime, sizeof(h->mtime)) && seconds > -9000000000 &&
               seconds < 9000000000) {
        entry->mtime_ns = seconds * 1000000000;
    }
    walk->next += padded(size);
    return true;
}

bool attune_tar_next(attune_archive_walk *walk)
{
    extensions e = {0};
    header h;
    int64_t size = 0;
    bool found = false, good = true;
    while (good && !found && walk->next != walk->size) {
        good = read_header(walk, &h, &size);
        if (!good || is_zero(&h)) {
            break;
        }
        walk->next += BLOCK;
        if (h.type == 'L' || h.type == 'x') {
            good = read_extension(walk, &e, h.type, walk->next, (uint64_t)size);
            walk->next += padded((uint64_t)size);
        } else if (h.type == 'K' || h.type == 'g' || h.type == 'V') {
            walk->next += padded((uint64_t)size); /* a link's name, global records, a label */
        } else {
            found = good = take_entry(walk, &h, &e, (uint64_t)size);
        }
    }
    free(e.name);
    return found;
}

bool attune_tar_open(attune_archive_walk *walk)
{
    header h;
    int64_t size = 0;
    return walk->size > 0 ? read_header(walk, &h, &size)
                          : attune_archive_fail(walk, "is no tar archive: zero bytes");
}
