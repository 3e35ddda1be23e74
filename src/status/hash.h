/* hash.h - FNV-1a in 64 bits: a hash that is the same on every machine and in every version, for
 * tables and for telling things apart. Its high half is the better mixed one. */
#ifndef ATTUNE_SRC_STATUS_HASH_H
#define ATTUNE_SRC_STATUS_HASH_H

#include <stddef.h>
#include <stdint.h>

#define ATTUNE_HASH_BEGIN UINT64_C(0xcbf29ce484222325)

/* The hash of what `hash` is of, with `bytes` behind it. */
static inline uint64_t attune_hash(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

#endif
