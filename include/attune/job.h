/* job.h - embed many files into one output: inputs -> scan -> workers -> rows -> parts -> OUT.h5.
 *
 * One file never stops a job: it gets a row with a status and an error text, and the rest go on.
 * The same inputs give byte-identical datasets whatever the number of workers.
 *
 * A job killed at any instant keeps the rows that it has committed: they are in OUT.h5.parts, and
 * the next job on the same output goes on from them. An OUT.h5 that is there is added to: files
 * that have a row and are as they were are passed over, and rows of files that are no input stay.
 * The root of such an output stays what it is; files outside it have absolute paths. */
#ifndef ATTUNE_JOB_H
#define ATTUNE_JOB_H

#include "attune/audio.h"
#include "attune/engine.h"
#include "attune/model.h"
#include "attune/status.h"
#include "attune/store.h"
#include "attune/track.h"

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The files of a job: absolute names, sorted, each once. */
typedef struct attune_scan attune_scan;

ATTUNE_API attune_status attune_scan_create(attune_scan **out);
ATTUNE_API void attune_scan_free(attune_scan *scan); /* NULL-safe */

/* From here on, files whose names do not say whether they are audio are looked into by a process of
 * the program `program`: see attune_job_options.decoder. The string must outlive the scan. */
ATTUNE_API attune_status attune_scan_isolate(attune_scan *scan, const char *program);

/* Adds a file, or all audio below a folder. A file named here is taken whatever its name and
 * content are. Below a folder, audio is recognised by its extension, and where that says nothing by
 * its content; names that begin with a dot are passed over; links are followed, but never into a
 * folder that is being walked. Two names of one file, by hard or symbolic links, are two entries.
 * A folder that cannot be read becomes an entry, and so a failed row. Not there: ATTUNE_ENOINPUT.
 *
 * An archive, a file called *.zip or *.tar, stands for the audio in it, recognised as below a
 * folder and called "<archive>/<name in it>". Of several with one name the last counts, as when
 * unpacked. What is wrong with the archive itself, or with an entry, is an entry with its name, and
 * so a failed row. */
ATTUNE_API attune_status attune_scan_add(attune_scan *scan, const char *path);

/* Adds every name in a list, one a line, or ended by `delimiter`. A name that is not there becomes
 * an entry, and so a failed row. `name` is the list's, for messages. */
ATTUNE_API attune_status attune_scan_add_list(attune_scan *scan, FILE *list, char delimiter,
                                              const char *name);

/* Sorts and drops repetitions; finds the root, the deepest folder that holds every input.
 * ATTUNE_ENOINPUT if there is no file at all. To be called once, after the last addition. */
ATTUNE_API attune_status attune_scan_finish(attune_scan *scan);

/* Leaves the files of shard `index` (0 <= index < count) of `count`, perhaps none. The root, and so
 * every file's name, stays. Which shard a file is in depends on its absolute path and on `count`
 * alone: it stays there while other files come and go, on every machine and in every version. To be
 * called after attune_scan_finish. */
ATTUNE_API void attune_scan_shard(attune_scan *scan, int index, int count);

/* Leaves the files that `keep` is true of, given their absolute names. The root stays. To be called
 * after attune_scan_finish. */
ATTUNE_API void attune_scan_filter(attune_scan *scan, bool (*keep)(void *user, const char *path),
                                   void *user);

ATTUNE_API size_t attune_scan_count(const attune_scan *scan);
ATTUNE_API size_t
attune_scan_ignored(const attune_scan *scan); /* files below folders that are no audio */
ATTUNE_API const char *attune_scan_root(const attune_scan *scan);
/* Absolute name of entry `index` < count, and its name below the root. */
ATTUNE_API const char *attune_scan_path(const attune_scan *scan, size_t index);
ATTUNE_API const char *attune_scan_name(const attune_scan *scan, size_t index);

/* Why a file is embedded, or is not. */
typedef enum attune_job_reason {
    ATTUNE_JOB_NEW,     /* the output has no row of it */
    ATTUNE_JOB_CHANGED, /* it has another size or time than its row */
    ATTUNE_JOB_RETRIED, /* its row says that it failed */
    ATTUNE_JOB_KEPT,    /* its row stays */
    ATTUNE_JOB_REASON_COUNT
} attune_job_reason;

/* How far a job is. */
typedef struct attune_job_progress {
    uint64_t files;                                /* in the job */
    uint64_t done;                                 /* have a row, kept or made */
    uint64_t by_status[ATTUNE_TRACK_STATUS_COUNT]; /* of those */
    uint64_t by_reason[ATTUNE_JOB_REASON_COUNT];   /* of the files looked at so far */
    uint64_t pruned;                               /* rows dropped because their file is gone */
    double audio_seconds; /* decoded so far, of finished and unfinished tracks */
    double wall_seconds;
    double decoding_seconds;  /* of all workers, reading included */
    double waiting_seconds;   /* of all workers, for a GPU or for the disk that rows go to */
    double computing_seconds; /* of all workers, on GPUs of all devices */
    uint64_t uncommitted;     /* rows that are not in a part yet */
    uint64_t on_devices;      /* tracks that are decoding to a GPU, or whose row it has to give */
    double busy;       /* share of the time that GPUs were computing, 0 to 1; below 0 without GPU */
    uint64_t verified; /* tracks embedded again on the CPU */
    double verify_largest; /* largest difference of a component among them */
} attune_job_progress;

typedef struct attune_job_options {
    const attune_model *model;
    attune_engine_options engine;
    attune_audio_options audio;
    const attune_scan *scan;
    const char *output;  /* path of the HDF5 file */
    const char *command; /* for the output's `command` attribute */
    int workers;         /* files at a time; 0: one per processor this process may use */
    /* The attune command, of this library's version; each worker then decodes in a process of it,
     * and a crash or hang inside FFmpeg costs one file and not the job: cannot_decode, or timeout.
     * NULL: decodes in this process. A command that cannot be started is ATTUNE_ECONFIG. */
    const char *decoder;
    /* Rows also get the 23 descriptors of attune/store.h. Without aubio in this build, or with a
     * model at another rate than theirs, 22,050 Hz, ATTUNE_ECONFIG. An output has them or has not,
     * as it has a model: rows with and without are not mixed. */
    bool descriptors;
    size_t gpu_memory;     /* bytes of device memory at most, each; 0: 80 % of what is free */
    uint64_t verify;       /* tracks, chosen at random, to embed again on the CPU and compare */
    int shard;             /* which shard the scan is, from 0, for the parts' names */
    bool retry_failed;     /* embed again what has a row that says it failed */
    bool force;            /* start over: what the output and its parts hold is replaced */
    bool prune;            /* drop rows of files that are gone */
    bool dry_run;          /* only say what would be done, through on_plan; write nothing */
    double commit_seconds; /* commit a part at least this often, 10, and at 4,096 rows */
    /* Says what is known of the file of this name, here or in the output. The output then has
     * columns of labels, and all its rows, kept ones too, those that they get here. NULL: rows keep
     * the labels that they have, and new ones have none. */
    void (*label)(void *label_user, attune_labels *labels, const char *path);
    void *label_user;
    /* Called from one thread at a time, for each file as it is done; may be NULL. */
    void (*on_track)(void *user, const char *name, const attune_track *track);
    /* Called in a dry run, in the caller's thread, for each file that would be embedded, with its
     * absolute name; may be NULL. */
    void (*on_plan)(void *user, const char *path, attune_job_reason reason);
    /* Called in the caller's thread at least five times a second, and once when all is done; may be
     * NULL. True asks to stop: files under way are finished, and the rows so far are committed. */
    bool (*on_progress)(void *user, const attune_job_progress *progress);
    void *user;
} attune_job_options;

/* Everything at its default; model, scan and output are still to be set. */
ATTUNE_API void attune_job_options_default(attune_job_options *options);

/* Runs a job. That the output can be created is looked into first, before any work; it takes its
 * name last, and an output that stands there already is replaced only then. When every file is kept
 * as it is, so is the output.
 * ATTUNE_OK also when files failed: see progress->by_status. ATTUNE_ESTOPPED when on_progress asked
 * for it, when a GPU failed, or when another job is writing the output; ATTUNE_ECONFIG when the
 * output was made with another model, precision or clip, as attune_last_error() says, and force is
 * not set. After any failure in mid-run the rows done so far are in "<output>.parts", but for those
 * that could not be written there. ATTUNE_EINTERNAL, and no output, when a verified track differs
 * by more than the precision allows; the parts stay, and are not used unless force starts over. */
ATTUNE_API attune_status attune_job_run(const attune_job_options *options,
                                        attune_job_progress *progress);

#ifdef __cplusplus
}
#endif
#endif
