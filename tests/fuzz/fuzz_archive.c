/* fuzz_archive.c - libFuzzer on the readers of zip and tar.
 *
 *   fuzz_archive -max_len=65536 WORK_FOLDER tests/fuzz/corpus/archive
 * The seeds are of tests/archive/make_archives.py, small.
 *
 * Whatever the bytes, a walk must end, each entry must be found again by its position, and content
 * must lie within the archive or in memory that is as large as it says. Tar headers have checksums,
 * which a mutation would hardly ever get right: they are corrected in most. */
#include "archive/archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t capacity, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t capacity);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* Late after 16 calls: an input of 64 KB may claim, and inflate to, 64 MB. */
static bool is_late(void *calls)
{
    return ++*(int *)calls > 16;
}

static void check_content(attune_archive_walk *walk)
{
    attune_archive_content content = {0};
    int calls = 0;
    if (walk->entry.size > (1 << 24) && walk->entry.method != 0) {
        return; /* would only take long */
    }
    if (attune_archive_locate(walk, &content, is_late, &calls)) {
        require(content.size == walk->entry.size);
        require(content.bytes ||
                (content.offset <= walk->size && content.size <= walk->size - content.offset));
        if (content.bytes && content.size > 0) { /* as large as it says, for AddressSanitizer */
            volatile uint8_t last = content.bytes[content.size - 1];
            (void)last;
        }
        free(content.bytes);
    } else {
        require(walk->reason[0] && !content.bytes);
    }
}

static void check(attune_archive_kind kind, int descriptor)
{
    attune_archive_walk walk, again;
    if (!attune_archive_open(&walk, kind, descriptor)) {
        require(walk.reason[0]);
        attune_archive_close(&walk);
        return;
    }
    require(attune_archive_open(&again, kind, descriptor));
    for (int i = 0; i < 1000 && attune_archive_next(&walk); i++) {
        const char *name = walk.entry.name;
        require(walk.next > walk.entry.position && name[0] != '/');
        require(walk.entry.is_outside ||
                (strcmp(name, "..") != 0 && strncmp(name, "../", 3) != 0 && !strstr(name, "/../")));
        require(attune_archive_seek(&again, walk.entry.position));
        require(strcmp(again.entry.name, name) == 0 && again.entry.size == walk.entry.size);
        check_content(&again);
    }
    require(!strpbrk(walk.reason, "\n\r\033"));
    attune_archive_close(&walk);
    attune_archive_close(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const int descriptor = memfd_create("archive", MFD_CLOEXEC);
    require(descriptor >= 0 && write(descriptor, bytes, size) == (ssize_t)size);
    check(ATTUNE_ARCHIVE_ZIP, descriptor);
    check(ATTUNE_ARCHIVE_TAR, descriptor);
    close(descriptor);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t capacity, unsigned seed)
{
    enum { BLOCK = 512, CHECKSUM = 148, DIGITS = 8, MAGIC = 257 };
    size = LLVMFuzzerMutate(bytes, size, capacity);
    for (size_t at = 0; seed % 8 != 0 && at + BLOCK <= size; at += BLOCK) {
        uint8_t *header = bytes + at;
        unsigned sum = 0;
        if (memcmp(header + MAGIC, "ustar", 5) != 0) {
            continue;
        }
        memset(header + CHECKSUM, ' ', DIGITS);
        for (int i = 0; i < BLOCK; i++) {
            sum += header[i];
        }
        snprintf((char *)header + CHECKSUM, DIGITS, "%06o", sum);
    }
    return size;
}
