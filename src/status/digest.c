/* digest.c - by libcrypto. */
#include "status/digest.h"

#include "status/error.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static attune_status fail_library(void)
{
    return attune_fail(ATTUNE_EINTERNAL, "libcrypto has no SHA-1 or SHA-256");
}

/* The digest of what went into `context`, as text. */
static attune_status finish(char out[ATTUNE_DIGEST_SIZE], EVP_MD_CTX *context)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (EVP_DigestFinal_ex(context, digest, &length) != 1 || 2 * length >= ATTUNE_DIGEST_SIZE) {
        return fail_library();
    }
    for (unsigned i = 0; i < length; i++) {
        snprintf(out + (size_t)2 * i, 3, "%02x", digest[i]);
    }
    return ATTUNE_OK;
}

static bool begin(EVP_MD_CTX *context, attune_digest_kind kind)
{
    return context &&
           EVP_DigestInit_ex(context, kind == ATTUNE_SHA1 ? EVP_sha1() : EVP_sha256(), NULL) == 1;
}

attune_status attune_digest_bytes(char out[ATTUNE_DIGEST_SIZE], attune_digest_kind kind,
                                  const void *bytes, size_t size)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const attune_status status = begin(context, kind) && EVP_DigestUpdate(context, bytes, size) == 1
                                     ? finish(out, context)
                                     : fail_library();
    EVP_MD_CTX_free(context);
    return status;
}

attune_status attune_digest_file(char out[ATTUNE_DIGEST_SIZE], attune_digest_kind kind,
                                 const char *path)
{
    enum { PIECE = 1 << 18 };
    char *piece = malloc(PIECE);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    FILE *file = fopen(path, "rb");
    attune_status status = !piece  ? attune_fail_memory("a file's digest", PIECE)
                           : !file ? attune_fail(ATTUNE_ENOINPUT, "%s: %s", path, strerror(errno))
                           : begin(context, kind) ? ATTUNE_OK
                                                  : fail_library();
    size_t length = PIECE;
    while (status == ATTUNE_OK && length == PIECE) {
        length = fread(piece, 1, PIECE, file);
        if (ferror(file)) {
            status = attune_fail(ATTUNE_EIO, "%s: cannot read: %s", path, strerror(errno));
        } else if (EVP_DigestUpdate(context, piece, length) != 1) {
            status = fail_library();
        }
    }
    if (status == ATTUNE_OK) {
        status = finish(out, context);
    }
    if (file) {
        fclose(file);
    }
    EVP_MD_CTX_free(context);
    free(piece);
    return status;
}
