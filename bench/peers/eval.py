#!/usr/bin/env python3
"""eval.py ATTUNE [ROWS [TURNS]] - `attune eval` beside scikit-learn on the same embeddings and labels (eval_data.py), by
turns in one run: seconds, seconds of processors, memory.

attune does all it does, for the vectors and for its random control: retrieval by artist and album with and without
their filters, genres by 1, 5, 10 and 200 neighbours and by a linear probe, triplets, hubs, Mutual Proximity and the
median cosine. scikit-learn does the part that it has, for the vectors only: the 10 nearest of all rows, the genres by
neighbours, and the probe."""
import os
import subprocess
import sys
import tempfile
import time

import eval_data

PEER = """
import sys, numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.preprocessing import StandardScaler
x, y, part = (np.load(f"{sys.argv[1]}/{n}.npy") for n in ("x", "genre", "part"))
NearestNeighbors(n_neighbors=11, algorithm="brute", n_jobs=-1).fit(x).kneighbors(x)
a, b = (part == 0) & (y >= 0), (part == 2) & (y >= 0)
for k in (1, 5, 10, 200):
    print(f"{k} nearest", KNeighborsClassifier(k, algorithm="brute", n_jobs=-1).fit(x[a], y[a]).score(x[b], y[b]))
s = StandardScaler().fit(x[a])
print("linear probe", LogisticRegression(C=1, tol=1e-8, max_iter=2000).fit(s.transform(x[a]), y[a])
      .score(s.transform(x[b]), y[b]))
"""


def measure(name, command):
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{name} failed")
    print(f"{name}: {time.monotonic() - start:.1f} s, {usage.ru_utime + usage.ru_stime:.1f} s of processors, "
          f"{usage.ru_maxrss / 1024:.0f} MB, load {os.getloadavg()[0]:.1f}", flush=True)
    return text


def main():
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else eval_data.FMA
    turns = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    with tempfile.TemporaryDirectory() as folder:
        eval_data.write(folder, rows)
        ours = [sys.argv[1], "eval", f"{folder}/x.npy", "--labels", f"{folder}/labels.csv"]
        for name in ("plain", "synthetic", "human"):
            ours += ["--triplets", f"{folder}/{name}.csv"]
        print(f"{rows} x 32, {os.cpu_count()} processors", flush=True)
        for _ in range(turns):
            text = measure("attune eval", ours)
            peer = measure("scikit-learn", [sys.executable, "-c", PEER, folder])
        print(text, peer, sep="\n")


main()
