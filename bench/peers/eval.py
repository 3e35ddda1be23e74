#!/usr/bin/env python3
"""eval.py ATTUNE [ROWS] - `attune eval` beside scikit-learn on the same random vectors, in one run: seconds and memory.

attune does all it does: retrieval by artist and album with and without their filters, genres by 1, 5, 10 and 200
neighbours and by a linear probe, hubs, Mutual Proximity and the median cosine, for the vectors and for its random
control. scikit-learn does the part that it has, once: the 10 nearest of all rows, the genres, and the probe."""
import csv
import os
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np

PEER = """
import sys, numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.preprocessing import StandardScaler
x, y, part = (np.load(f"{sys.argv[1]}/{n}.npy") for n in ("x", "y", "part"))
NearestNeighbors(n_neighbors=11, algorithm="brute", n_jobs=-1).fit(x).kneighbors(x)
a, b = part == 0, part == 1
for k in (1, 5, 10, 200):
    print(k, KNeighborsClassifier(k, algorithm="brute", n_jobs=-1).fit(x[a], y[a]).score(x[b], y[b]))
s = StandardScaler().fit(x[a])
print("probe", LogisticRegression(C=1, tol=1e-8, max_iter=2000).fit(s.transform(x[a]), y[a]).score(s.transform(x[b]), y[b]))
"""


def measure(name, command):
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{name} failed")
    print(f"{name}: {time.monotonic() - start:.1f} s, {usage.ru_utime + usage.ru_stime:.1f} s of processors, "
          f"{usage.ru_maxrss / 1024:.0f} MB", flush=True)
    return text


def main():
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 106574
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, 32)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    artist = rng.integers(0, rows // 7 + 1, rows)
    genre, part = rng.integers(0, 16, rows), rng.choice(3, rows, p=[0.8, 0.1, 0.1])
    with tempfile.TemporaryDirectory() as folder:
        for name, values in (("x", x), ("y", genre), ("part", part)):
            np.save(f"{folder}/{name}.npy", values)
        with open(f"{folder}/x.txt", "w") as f:
            f.write("".join(f"{i}\n" for i in range(rows)))
        with open(f"{folder}/labels.csv", "w", newline="") as f:
            w = csv.writer(f)
            w.writerow(["id", "artist", "album", "genre", "split"])
            w.writerows([i, artist[i], artist[i] * 2 + i % 2, f"g{genre[i]}", ("training", "test", "validation")[part[i]]]
                        for i in range(rows))
        print(f"{rows} x 32 random vectors, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}", flush=True)
        text = measure("attune eval", [sys.argv[1], "eval", f"{folder}/x.npy", "--labels", f"{folder}/labels.csv"])
        peer = measure("scikit-learn", [sys.executable, "-c", PEER, folder])
        print(text, peer, sep="\n")


main()
