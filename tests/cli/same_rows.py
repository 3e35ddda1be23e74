#!/usr/bin/python3
"""same_rows.py ONE.h5 OTHER.h5... - that outputs hold the same rows, byte for byte; of paths in an archive, what
stands behind the archive's name counts, and of times the seconds, for archives keep no more."""
import re
import sys

import h5py
import numpy


def rows(name):
    with h5py.File(name) as f:
        columns = {key: f[key][:] for key in ("path", "status", "error", "duration", "frames", "size", "mtime_ns")}
        columns["path"] = numpy.array([re.sub(rb"^[a-z]*\.(zip|tar)/", b"", path) for path in columns["path"]])
        columns["mtime_ns"] //= 10**9
        return {**columns, "embedding": f["embedding"][:].view("u4")}


one = rows(sys.argv[1])
for name in sys.argv[2:]:
    other = rows(name)
    for key in one:
        if not numpy.array_equal(one[key], other[key]):
            sys.exit(f"{name}: another {key}: {one[key]} {other[key]}")
