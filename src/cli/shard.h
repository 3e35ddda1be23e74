/* shard.h - the shards of an archive: which one a process embeds, and what its output is called.
 *
 * Shard I of N embeds the files whose absolute path falls to it by a hash, so that a file stays
 * with its shard while others come and go. Its output is not OUT.h5 but OUT-I-of-N.h5 beside it: no
 * two shards can write the same file, and `attune merge` sees from the names whether one is
 * missing. */
#ifndef ATTUNE_SRC_CLI_SHARD_H
#define ATTUNE_SRC_CLI_SHARD_H

#include "attune/status.h"

#include <stdbool.h>

typedef struct cli_shard {
    int index; /* 1 to count */
    int count; /* 0: the archive is not divided */
} cli_shard;

/* "I/N"; false unless 1 <= I <= N <= 100000. */
bool shard_parse(cli_shard *shard, const char *text);

/* The shard that a task of a Slurm array is: the array must be 0-(N-1) or 1-N, else ATTUNE_ECONFIG.
 * Outside Slurm arrays shard->count is 0. */
attune_status shard_from_slurm(cli_shard *shard);

/* The shard's own name of `output`, malloc'ed: "OUT-3-of-8.h5" for "OUT.h5". */
attune_status shard_output(char **out, const char *output, cli_shard shard);

/* ATTUNE_ENOINPUT, naming one, if a name among `names` is a shard's and another of its shards is
 * not among them. */
attune_status shard_check_complete(const char *const *names, int count);

#endif
