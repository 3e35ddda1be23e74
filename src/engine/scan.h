/* scan.h - where the files of a scan are, and how their names become paths of rows. */
#ifndef ATTUNE_SRC_ENGINE_SCAN_H
#define ATTUNE_SRC_ENGINE_SCAN_H

#include "attune/job.h"
#include "audio/place.h"

/* The place of entry `index`; valid as long as the scan. */
attune_audio_place attune_scan_place(const attune_scan *scan, size_t index);

/* What of `path` is below the folder `root`; `path` itself if it is elsewhere. */
const char *attune_path_below(const char *root, const char *path);

#endif
