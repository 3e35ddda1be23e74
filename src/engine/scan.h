/* scan.h - how names of files become paths of rows. */
#ifndef ATTUNE_SRC_ENGINE_SCAN_H
#define ATTUNE_SRC_ENGINE_SCAN_H

/* What of `path` is below the folder `root`; `path` itself if it is elsewhere. */
const char *attune_path_below(const char *root, const char *path);

#endif
