#!/usr/bin/env python3
"""check_demo.py FOLDER TABLE - asserts that TABLE, attune demo's output, says what FOLDER/demo.h5 holds: for each track
the three nearest by numpy, their cosines, and for how many the nearest is of the same style. Prints that number."""
import re
import sys

import h5py
import numpy as np

with h5py.File(f"{sys.argv[1]}/demo.h5") as f:
    vectors, paths = f["embedding"][:].astype(np.float64), f["path"].asstr()[:]
names = [re.sub(r"\.wav$", "", p) for p in paths]
assert len(names) == 24 and sorted(names) == names, names
cosines = vectors @ vectors.T
np.fill_diagonal(cosines, -2)
with open(sys.argv[2]) as f:
    lines = f.read().split("\n")
same = 0
for i, line in enumerate(lines[1:25]):
    fields = line.split()
    nearest = np.argsort(-cosines[i], kind="stable")[:3]
    assert [fields[0]] + fields[1::2] == [names[i]] + [names[j] for j in nearest], (line, nearest)
    assert np.allclose([float(x) for x in fields[2::2]], cosines[i, nearest], atol=6e-5), line
    same += names[nearest[0]][:-2] == names[i][:-2]
assert lines[25] == "" and f"same style for {same} of 24 tracks; by chance it would be for 5." in lines[26], lines[26]
print(same)
