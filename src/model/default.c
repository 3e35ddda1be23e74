/* default.c - the model that the library contains, where the build was given one: the bytes of
 * src/model/default/model.onnx as they are. Its name is the one in its metadata. */
#include "status/error.h"

#include "attune/model.h"

#ifdef ATTUNE_DEFAULT_MODEL

/* The assembler reads the file; a C array of as many numbers would take the compiler seconds. */
__asm__(".pushsection .rodata,\"a\",%progbits\n"
        ".hidden attune_default_model\n"
        ".global attune_default_model\n"
        ".hidden attune_default_model_end\n"
        ".global attune_default_model_end\n"
        ".balign 16\n"
        "attune_default_model:\n"
        ".incbin \"" ATTUNE_DEFAULT_MODEL "\"\n"
        "attune_default_model_end:\n"
        ".byte 0\n"
        ".popsection\n");

extern const unsigned char attune_default_model[] __attribute__((visibility("hidden")));
extern const unsigned char attune_default_model_end[] __attribute__((visibility("hidden")));

bool attune_model_has_default(void)
{
    return true;
}

attune_status attune_model_open_default(attune_model **out)
{
    return attune_model_parse(out, attune_default_model,
                              (size_t)(attune_default_model_end - attune_default_model), NULL);
}

#else

bool attune_model_has_default(void)
{
    return false;
}

attune_status attune_model_open_default(attune_model **out)
{
    *out = NULL;
    return attune_fail(ATTUNE_ECONFIG, "this build of attune contains no model; open an ONNX file");
}

#endif
