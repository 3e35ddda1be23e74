/* output.h - a job's output: what it holds before, the parts it gets meanwhile, the file at the
 * end. */
#ifndef ATTUNE_SRC_ENGINE_OUTPUT_H
#define ATTUNE_SRC_ENGINE_OUTPUT_H

#include "attune/job.h"
#include "attune/store.h"
#include "engine/gone.h"
#include "engine/known.h"
#include "status/machine.h"
#include "store/parts.h"

#include <sys/stat.h>

typedef struct attune_output {
    const attune_job_options *options; /* borrowed, and so must stay */
    attune_parts *parts;
    attune_known *known;
    struct stat found;                  /* OUT.h5 as it was at first; all zero: was not there */
    bool fresh;                         /* starts over, as an earlier run that was stopped */
    bool extends;                       /* an OUT.h5 is there whose rows stay */
    bool relabels;                      /* rows of it get other labels than they have */
    attune_store_attributes attributes; /* of all that is written; root is malloc'ed */
    char network[512], created[ATTUNE_STAMP_SIZE];
    char *devices;    /* of all rows: one name, or several with line breaks between; malloc'ed */
    attune_gone gone; /* what --prune has seen */
    uint64_t pruned;
} attune_output;

/* Takes the lock, unless options->dry_run, looks at the output and its parts, and notes what they
 * know. ATTUNE_ECONFIG when they were made otherwise than `options` says and !options->force,
 * ATTUNE_ENOINPUT when options->prune would drop every row. */
attune_status attune_output_open(attune_output *output, const attune_job_options *options);
void attune_output_close(attune_output *output); /* all zero is fine */

/* The device's name, for the attributes; to be set before the first commit, and to stay. */
attune_status attune_output_set_device(attune_output *output, const char *device);

/* Makes rows durable as a part. They are put in order. */
attune_status attune_output_commit(attune_output *output, attune_rows *rows);

/* Absolute name of a row's file; malloc'ed. */
attune_status attune_output_path(char **out, const attune_output *output, const char *name);

/* Merges what was there and the parts into the output, and removes the parts. ATTUNE_ESTOPPED when
 * the output that is there is no longer the one that was there at first. */
attune_status attune_output_finish(attune_output *output);

#endif
