/* scan.c - from names that a user typed to the sorted list of files to embed.
 *
 * Names live end to end in one arena, eight bytes each beside their text, so ten million of them
 * fit in memory. Behind a file's name stands a byte that says what it is: a file of its own, an
 * entry of an archive (its place follows), or one that cannot be opened (why not follows). Every
 * name is its folder's real path and the file's own name, so the same file named in two ways is
 * found to be the same. Folders are walked at the end, all real ones before any link to one: which
 * name a file gets does not depend on the order of the inputs or of readdir.
 */
#include "engine/scan.h"

#include "archive/archive.h"
#include "engine/audio_name.h"
#include "engine/scan_archive.h"
#include "status/error.h"
#include "status/hash.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Strings one behind the other. */
typedef struct names {
    char *text;
    size_t length, capacity;
    size_t *at; /* offsets into text */
    size_t count, at_capacity;
} names;

/* Folders seen, by device and inode: open addressing, a power of two slots, at most half full. */
typedef struct folder_set {
    struct folder_key {
        dev_t device;
        ino_t inode;
        bool used;
    } * slots;
    size_t capacity, count;
} folder_set;

struct attune_scan {
    names files;    /* with their marks */
    names archives; /* to walk when all are known */
    names folders;  /* to walk */
    names links;    /* links to folders, to walk after every real folder */
    folder_set seen;
    size_t ignored;
    attune_decoder *decoder; /* that probes; NULL: here */
    char root[PATH_MAX]; /* the deepest folder that holds every input so far; "" before the first */
    char parent[PATH_MAX], real_parent[PATH_MAX]; /* the folder resolved last */
};

static attune_status names_reserve(names *n, size_t size)
{
    if (n->length + size > n->capacity) {
        const size_t capacity = (n->capacity + size) * 2;
        char *text = realloc(n->text, capacity);
        if (!text) {
            return attune_fail_memory("file names", capacity);
        }
        n->text = text;
        n->capacity = capacity;
    }
    return ATTUNE_OK;
}

static attune_status names_add(names *n, const char *folder, const char *name)
{
    const size_t folder_length = strlen(folder), name_length = strlen(name);
    const attune_status status = names_reserve(n, folder_length + name_length + 2);
    if (status != ATTUNE_OK) {
        return status;
    }
    if (n->count == n->at_capacity) {
        const size_t capacity = n->at_capacity ? n->at_capacity * 2 : 1024;
        size_t *at = realloc(n->at, capacity * sizeof(*at));
        if (!at) {
            return attune_fail_memory("file names", capacity * sizeof(*at));
        }
        n->at = at;
        n->at_capacity = capacity;
    }
    char *to = n->text + n->length;
    n->at[n->count++] = n->length;
    memcpy(to, folder, folder_length);
    to += folder_length;
    if (*name && folder_length > 0 && to[-1] != '/') {
        *to++ = '/';
    }
    memcpy(to, name, name_length + 1);
    n->length = (size_t)(to + name_length + 1 - n->text);
    return ATTUNE_OK;
}

/* Appends bytes behind the name added last. */
static attune_status names_append(names *n, const void *bytes, size_t size)
{
    const attune_status status = names_reserve(n, size);
    if (status == ATTUNE_OK) {
        memcpy(n->text + n->length, bytes, size);
        n->length += size;
    }
    return status;
}

static const char *names_get(const names *n, size_t index)
{
    return n->text + n->at[index];
}

/* Of the same name, the one added last comes first. */
static int compare_names(const void *a, const void *b, void *text)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    const int order = strcmp((const char *)text + x, (const char *)text + y);
    return order ? order : (x < y) - (x > y);
}

/* Sorts, and drops all but the last of repeated names. */
static void names_sort(names *n)
{
    if (n->count == 0) {
        return;
    }
    qsort_r(n->at, n->count, sizeof(*n->at), compare_names, n->text);
    size_t kept = 1;
    for (size_t i = 1; i < n->count; i++) {
        if (strcmp(names_get(n, i), n->text + n->at[kept - 1]) != 0) {
            n->at[kept++] = n->at[i];
        }
    }
    n->count = kept;
}

static void names_free(names *n)
{
    free(n->text);
    free(n->at);
    *n = (names){0};
}

static void folder_set_insert(folder_set *set, dev_t device, ino_t inode, bool *was_there)
{
    size_t slot = (size_t)(inode * 0x9e3779b97f4a7c15u ^ device) & (set->capacity - 1);
    while (set->slots[slot].used &&
           (set->slots[slot].inode != inode || set->slots[slot].device != device)) {
        slot = (slot + 1) & (set->capacity - 1);
    }
    *was_there = set->slots[slot].used;
    if (!*was_there) {
        set->slots[slot] = (struct folder_key){.device = device, .inode = inode, .used = true};
        set->count++;
    }
}

/* Notes a folder; *was_there says that it had been noted before. */
static attune_status folder_set_add(folder_set *set, dev_t device, ino_t inode, bool *was_there)
{
    if (2 * (set->count + 1) > set->capacity) {
        folder_set larger = {.capacity = set->capacity ? set->capacity * 2 : 256};
        larger.slots = calloc(larger.capacity, sizeof(*larger.slots));
        if (!larger.slots) {
            return attune_fail_memory("folders", larger.capacity * sizeof(*larger.slots));
        }
        for (size_t i = 0; i < set->capacity; i++) {
            if (set->slots[i].used) {
                bool ignored = false;
                folder_set_insert(&larger, set->slots[i].device, set->slots[i].inode, &ignored);
            }
        }
        free(set->slots);
        *set = larger;
    }
    folder_set_insert(set, device, inode, was_there);
    return ATTUNE_OK;
}

attune_status attune_scan_create(attune_scan **out)
{
    *out = calloc(1, sizeof(**out));
    return *out ? ATTUNE_OK : attune_fail_memory("a list of files", sizeof(**out));
}

void attune_scan_free(attune_scan *scan)
{
    if (scan) {
        names_free(&scan->files);
        names_free(&scan->archives);
        names_free(&scan->folders);
        names_free(&scan->links);
        free(scan->seen.slots);
        attune_decoder_close(scan->decoder);
        free(scan);
    }
}

/* Makes the root a folder that holds `folder` too. */
static void widen_root(attune_scan *scan, const char *folder)
{
    char *root = scan->root;
    const size_t length = strlen(root);
    size_t same = 0;
    if (length == 0) {
        strcpy(root, folder);
        return;
    }
    while (same < length && folder[same] == root[same]) {
        same++;
    }
    const bool whole = same == length && (folder[same] == '/' || folder[same] == '\0');
    const bool above = folder[same] == '\0' && root[same] == '/';
    while (!whole && !above && same > 1 && root[same - 1] != '/') {
        same--;
    }
    root[same] = '\0';
}

enum { MARK_FILE, MARK_ENTRY, MARK_FAILURE };

static attune_status add_row(attune_scan *scan, const char *folder, const char *name)
{
    static const char mark = MARK_FILE;
    const attune_status status = names_add(&scan->files, folder, name);
    return status == ATTUNE_OK ? names_append(&scan->files, &mark, 1) : status;
}

/* What was found in an archive. */
static attune_status add_place(void *user, const attune_audio_place *place)
{
    attune_scan *scan = user;
    const uint32_t archive_length = (uint32_t)place->archive_length;
    char mark[1 + sizeof(place->position) + sizeof(archive_length)] = {MARK_ENTRY};
    memcpy(mark + 1, &place->position, sizeof(place->position));
    memcpy(mark + 1 + sizeof(place->position), &archive_length, sizeof(archive_length));
    if (archive_length == 0 && !place->failure) {
        return add_row(scan, place->path, "");
    }
    attune_status status = names_add(&scan->files, place->path, "");
    if (status == ATTUNE_OK && place->failure) {
        mark[0] = MARK_FAILURE;
        status = names_append(&scan->files, mark, 1);
    }
    return status != ATTUNE_OK ? status
           : place->failure ? names_append(&scan->files, place->failure, strlen(place->failure) + 1)
                            : names_append(&scan->files, mark, sizeof(mark));
}

attune_status attune_scan_isolate(attune_scan *scan, const char *program)
{
    attune_decoder_close(scan->decoder);
    scan->decoder = NULL;
    return attune_decoder_create(&scan->decoder, program);
}

/* The real path of the folder that holds `path`, in scan->real_parent, and the name behind it. A
 * folder that is not there keeps the name it was given, made absolute. */
static attune_status resolve_parent(attune_scan *scan, const char *path, const char **name)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const size_t length = slash ? (size_t)(slash - path) + 1 : 2;
    *name = slash ? slash + 1 : path;
    if (length >= sizeof(parent)) {
        return attune_fail(ATTUNE_EINVAL, "%.60s...: name too long", path);
    }
    memcpy(parent, slash ? path : "./", length);
    parent[length] = '\0';
    if (scan->parent[0] && strcmp(parent, scan->parent) == 0) {
        return ATTUNE_OK;
    }
    if (!realpath(parent, scan->real_parent)) {
        char here[PATH_MAX];
        const char *base = parent[0] == '/' || !getcwd(here, sizeof(here)) ? "" : here;
        const size_t base_length = strlen(base);
        if (base_length + length + 1 >= sizeof(scan->real_parent)) {
            return attune_fail(ATTUNE_EINVAL, "%.60s...: name too long", path);
        }
        memcpy(scan->real_parent, base, base_length);
        scan->real_parent[base_length] = '/';
        memcpy(scan->real_parent + base_length + (parent[0] != '/'), parent, length + 1);
    }
    memcpy(scan->parent, parent, length + 1);
    widen_root(scan, scan->real_parent);
    return ATTUNE_OK;
}

static attune_status add_file(attune_scan *scan, const char *path)
{
    const char *name = NULL;
    attune_status status = resolve_parent(scan, path, &name);
    if (status != ATTUNE_OK || attune_archive_kind_of(name, strlen(name))) {
        return status == ATTUNE_OK ? names_add(&scan->archives, scan->real_parent, name) : status;
    }
    return add_row(scan, scan->real_parent, name);
}

attune_status attune_scan_add(attune_scan *scan, const char *path)
{
    char real[PATH_MAX];
    struct stat info;
    if (!*path) {
        return attune_fail(ATTUNE_ENOINPUT, "an input's name is empty");
    }
    if (stat(path, &info) != 0 && lstat(path, &info) != 0) {
        return attune_fail(ATTUNE_ENOINPUT, "%s: %s", path, strerror(errno));
    }
    if (!S_ISDIR(info.st_mode)) {
        return add_file(scan, path);
    }
    if (!realpath(path, real)) {
        return attune_fail(ATTUNE_ENOINPUT, "%s: %s", path, strerror(errno));
    }
    widen_root(scan, real);
    return names_add(&scan->folders, real, "");
}

/* Reads one name of a list into `line` (PATH_MAX bytes) without its end; *more is false behind the
 * last. */
static attune_status read_name(char *line, bool *more, FILE *list, char delimiter, const char *name)
{
    size_t length = 0;
    int c = 0;
    while ((c = getc_unlocked(list)) != EOF && c != (unsigned char)delimiter) {
        if (c == '\0') {
            return attune_fail(ATTUNE_EDATA,
                               "%s: a name holds a NUL byte; use -0 if NUL ends names", name);
        }
        if (length == PATH_MAX - 1) {
            return attune_fail(ATTUNE_EDATA, "%s: a name is longer than %d bytes; is it a list?",
                               name, PATH_MAX - 1);
        }
        line[length++] = (char)c;
    }
    if (delimiter == '\n' && length > 0 && line[length - 1] == '\r') {
        length--;
    }
    line[length] = '\0';
    *more = c != EOF;
    return c == EOF && ferror(list) ? attune_fail(ATTUNE_EIO, "%s: %s", name, strerror(errno))
                                    : ATTUNE_OK;
}

attune_status attune_scan_add_list(attune_scan *scan, FILE *list, char delimiter, const char *name)
{
    static const char mark[] = "\xef\xbb\xbf"; /* some editors begin a file with it */
    char line[PATH_MAX];
    bool more = true, first = true;
    attune_status status = ATTUNE_OK;
    while (status == ATTUNE_OK && more) {
        status = read_name(line, &more, list, delimiter, name);
        const bool marked = first && strncmp(line, mark, sizeof(mark) - 1) == 0;
        const char *path = marked ? line + sizeof(mark) - 1 : line;
        if (status == ATTUNE_OK && *path) {
            status = add_file(scan, path);
        }
        first = false;
    }
    return status;
}

/* One entry below a folder. `type` is readdir's, DT_UNKNOWN where the file system does not say. */
static attune_status take_entry(attune_scan *scan, const char *folder, const char *name,
                                unsigned char type)
{
    char path[PATH_MAX];
    const size_t length = strlen(folder);
    if (length + strlen(name) + 2 > sizeof(path)) {
        return add_row(scan, folder, name); /* too long to open: a failed row, not silence */
    }
    char *to = mempcpy(path, folder, length);
    if (to[-1] != '/') {
        *to++ = '/';
    }
    strcpy(to, name);
    struct stat info;
    if (type == DT_UNKNOWN) {
        type = lstat(path, &info) == 0 ? (unsigned char)IFTODT(info.st_mode) : DT_REG;
    }
    const bool link = type == DT_LNK;
    if (link) { /* one to nowhere gets a failed row, if it is called audio */
        type = stat(path, &info) == 0 ? (unsigned char)IFTODT(info.st_mode) : DT_REG;
    }
    if (type == DT_DIR) {
        return names_add(link ? &scan->links : &scan->folders, path, "");
    }
    if (type == DT_REG && attune_archive_kind_of(name, strlen(name))) {
        return names_add(&scan->archives, path, "");
    }
    bool audio = false;
    attune_status status = ATTUNE_OK;
    if (type == DT_REG) {
        const attune_audio_place place = {.path = path};
        const attune_audio_name kind = attune_audio_name_kind(name);
        audio = kind == ATTUNE_AUDIO_NAME_YES;
        if (kind == ATTUNE_AUDIO_NAME_UNKNOWN) {
            status = attune_decoder_probe(scan->decoder, &audio, &place);
        }
    }
    scan->ignored += status == ATTUNE_OK && !audio;
    return audio && status == ATTUNE_OK ? add_row(scan, path, "") : status;
}

static attune_status walk_folder(attune_scan *scan, const char *folder)
{
    DIR *directory = opendir(folder);
    if (!directory) {
        return add_row(scan, folder, "");
    }
    attune_status status = ATTUNE_OK;
    struct stat info;
    bool seen = false;
    if (fstat(dirfd(directory), &info) == 0) {
        status = folder_set_add(&scan->seen, info.st_dev, info.st_ino, &seen);
    }
    while (status == ATTUNE_OK && !seen) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (!entry) {
            if (errno != 0) {
                char reason[192];
                snprintf(reason, sizeof(reason), "cannot be read: %s", strerror(errno));
                status = add_place(scan, &(attune_audio_place){.path = folder, .failure = reason});
            }
            break;
        }
        if (entry->d_name[0] != '.') {
            status = take_entry(scan, folder, entry->d_name, entry->d_type);
        } else if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            scan->ignored++;
        }
    }
    closedir(directory);
    return status;
}

/* Walks every folder found so far and below it, then the links among them in order of their names.
 */
static attune_status walk(attune_scan *scan)
{
    attune_status status = ATTUNE_OK;
    names round = {0};
    do {
        while (status == ATTUNE_OK && scan->folders.count > 0) {
            round = scan->folders;
            scan->folders = (names){0};
            for (size_t i = 0; status == ATTUNE_OK && i < round.count; i++) {
                status = walk_folder(scan, names_get(&round, i));
            }
            names_free(&round);
        }
        names_sort(&scan->links);
        round = scan->links;
        scan->links = (names){0};
        for (size_t i = 0; status == ATTUNE_OK && i < round.count; i++) {
            status = names_add(&scan->folders, names_get(&round, i), "");
        }
        names_free(&round);
    } while (status == ATTUNE_OK && scan->folders.count > 0);
    return status;
}

/* When all are known, so that each is walked once. */
static attune_status walk_archives(attune_scan *scan)
{
    attune_status status = ATTUNE_OK;
    names_sort(&scan->archives);
    for (size_t i = 0; status == ATTUNE_OK && i < scan->archives.count; i++) {
        status = attune_scan_archive(names_get(&scan->archives, i), add_place, scan, scan->decoder,
                                     &scan->ignored);
    }
    return status;
}

attune_status attune_scan_finish(attune_scan *scan)
{
    attune_status status = walk(scan);
    if (status == ATTUNE_OK) {
        status = walk_archives(scan);
    }
    attune_decoder_close(scan->decoder);
    scan->decoder = NULL;
    if (status == ATTUNE_OK && scan->files.count == 0 && !*scan->root) {
        status = attune_fail(ATTUNE_ENOINPUT, "no input names a file");
    } else if (status == ATTUNE_OK && scan->files.count == 0) {
        status =
            attune_fail(ATTUNE_ENOINPUT,
                        "%.300s: no audio found (%zu other files passed over); name a file or a "
                        "folder that holds some",
                        scan->root, scan->ignored);
    }
    size_t length = strlen(scan->root);
    while (length > 1 && scan->root[length - 1] == '/') {
        scan->root[--length] = '\0';
    }
    if (status == ATTUNE_OK) {
        names_sort(&scan->files);
    }
    return status;
}

static uint32_t hash_path(const char *path)
{
    return (uint32_t)(attune_hash(ATTUNE_HASH_BEGIN, path, strlen(path)) >> 32);
}

void attune_scan_filter(attune_scan *scan, bool (*keep)(void *user, const char *path), void *user)
{
    names *files = &scan->files;
    size_t kept = 0;
    for (size_t i = 0; i < files->count; i++) {
        if (keep(user, names_get(files, i))) {
            files->at[kept++] = files->at[i];
        }
    }
    files->count = kept;
}

typedef struct shard {
    uint32_t index, count;
} shard;

static bool is_in_shard(void *user, const char *path)
{
    const shard *s = user;
    return hash_path(path) % s->count == s->index;
}

void attune_scan_shard(attune_scan *scan, int index, int count)
{
    attune_scan_filter(scan, is_in_shard, &(shard){(uint32_t)index, (uint32_t)count});
}

size_t attune_scan_count(const attune_scan *scan)
{
    return scan->files.count;
}

size_t attune_scan_ignored(const attune_scan *scan)
{
    return scan->ignored;
}

const char *attune_scan_root(const attune_scan *scan)
{
    return scan->root;
}

const char *attune_scan_path(const attune_scan *scan, size_t index)
{
    return names_get(&scan->files, index);
}

const char *attune_path_below(const char *root, const char *path)
{
    const size_t length = strlen(root);
    if (strncmp(path, root, length) != 0) {
        return path;
    }
    const char *rest = path + length;
    if (length > 0 && root[length - 1] != '/') {
        if (*rest != '/') {
            return path;
        }
        rest++;
    }
    return *rest ? rest : path;
}

const char *attune_scan_name(const attune_scan *scan, size_t index)
{
    return attune_path_below(scan->root, names_get(&scan->files, index));
}

attune_audio_place attune_scan_place(const attune_scan *scan, size_t index)
{
    attune_audio_place place = {.path = names_get(&scan->files, index)};
    const char *mark = place.path + strlen(place.path) + 1;
    uint32_t archive_length = 0;
    if (*mark == MARK_ENTRY) {
        memcpy(&place.position, mark + 1, sizeof(place.position));
        memcpy(&archive_length, mark + 1 + sizeof(place.position), sizeof(archive_length));
        place.archive_length = archive_length;
    } else if (*mark == MARK_FAILURE) {
        place.failure = mark + 1;
    }
    return place;
}
