/* page.c - the list of the page's files, made by CMake. The assembler reads them, as it does the
 * model (src/model/default.c). */
#include "judge/page.h"

#include <string.h>

/* ATTUNE_X(symbol, path in the tree, path of the request, type) for each file */
#include "judge_page_files.h"

#define ATTUNE_X(symbol, file, path, type)                                                         \
    __asm__(".pushsection .rodata,\"a\",%progbits\n"                                               \
            ".hidden attune_page_" #symbol "\n"                                                    \
            ".global attune_page_" #symbol "\n"                                                    \
            ".hidden attune_page_" #symbol "_end\n"                                                \
            ".global attune_page_" #symbol "_end\n"                                                \
            "attune_page_" #symbol ":\n"                                                           \
            ".incbin \"" file "\"\n"                                                               \
            "attune_page_" #symbol "_end:\n"                                                       \
            ".byte 0\n"                                                                            \
            ".popsection\n");                                                                      \
    extern const char attune_page_##symbol[] __attribute__((visibility("hidden")));                \
    extern const char attune_page_##symbol##_end[] __attribute__((visibility("hidden")));
ATTUNE_PAGE_FILES(ATTUNE_X)
#undef ATTUNE_X

bool attune_page_find(attune_page_file *out, const char *path)
{
    static const struct {
        const char *path, *type, *bytes, *end;
    } files[] = {
#define ATTUNE_X(symbol, file, place, type)                                                        \
    {place, type, attune_page_##symbol, attune_page_##symbol##_end},
        ATTUNE_PAGE_FILES(ATTUNE_X)
#undef ATTUNE_X
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (strcmp(path, files[i].path) == 0) {
            *out = (attune_page_file){.type = files[i].type,
                                      .bytes = files[i].bytes,
                                      .size = (size_t)(files[i].end - files[i].bytes)};
            return true;
        }
    }
    return false;
}
