#!/usr/bin/env python3
"""eval_data.py FOLDER [ROWS] - made-up embeddings and labels of FMA's shape, for measuring `attune eval`.

Of 106,574 tracks, as of FMA's: 16,341 artists of very different sizes, 14,854 albums, some of them compilations of many
artists, 16 genres that 49,598 of the tracks have, and a split of 80, 10 and 10 % of the tracks by artist. Vectors are
genre, artist, album and track, one added to the other, in 32 components that weigh less and less; of length 1. Other
ROWS keep the proportions. The same every time.

Writes x.npy, x.txt, labels.csv and triplets of the three kinds, and for others genre.npy, artist.npy and part.npy."""
import csv
import sys

import numpy as np

FMA = 106574


def sizes(rng, count, total, spread):
    """`count` whole numbers of at least 1 that sum to `total`, few of them large."""
    share = rng.lognormal(0, spread, count)
    share = np.maximum(1, share * total / share.sum())
    out = np.maximum(1, np.floor(share * (total - count) / share.sum()).astype(int) + 1)
    while out.sum() != total:
        at = rng.integers(count)
        step = 1 if out.sum() < total else -1
        out[at] += step if out[at] + step >= 1 else 0
    return out


def albums(rng, artist, count):
    """Artists of one or two tracks on compilations of 15, the others' tracks on albums of their own."""
    size = np.bincount(artist)
    out = np.zeros(len(artist), int)
    small = np.flatnonzero(size[artist] <= 2)
    compilations = len(small) // 15 + 1
    out[rng.permutation(small)] = np.arange(len(small)) // 15
    rest = np.flatnonzero(size[artist] > 2)  # together, artist by artist
    first = np.flatnonzero(np.diff(artist[rest], prepend=-1))
    cuts = np.zeros(len(rest), bool)
    cuts[first] = True
    others = np.flatnonzero(~cuts)
    more = max(0, min(len(others), count - compilations - len(first)))
    cuts[rng.choice(others, more, replace=False)] = True
    out[rest] = compilations + np.cumsum(cuts) - 1
    return out


def make(rows):
    rng = np.random.default_rng(1)
    share = rows / FMA
    artists = max(2, round(16341 * share))
    artist = np.repeat(np.arange(artists), sizes(rng, artists, rows, 1.2))
    album = albums(rng, artist, round(14854 * share))
    genre_of = rng.choice(16, artists, p=(p := 1 / np.arange(1, 17)) / p.sum())
    known = rng.random(rows) < 49598 / FMA
    genre = np.where(known, genre_of[artist], -1)
    part = rng.choice(3, artists, p=[0.8, 0.1, 0.1])[artist]  # training, validation, test
    weight = np.exp(-np.arange(32) / 12)
    x = sum(scale * rng.normal(size=(labels.max() + 1, 32))[labels]
            for scale, labels in ((0.5, genre_of[artist]), (0.5, artist), (0.4, album), (0.6, np.arange(rows))))
    x *= weight
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    order = rng.permutation(rows)
    return x.astype(np.float32)[order], artist[order], album[order], genre[order], part[order], rng


def write(folder, rows):
    x, artist, album, genre, part, rng = make(rows)
    for name, values in (("x", x), ("genre", genre), ("artist", artist), ("part", part)):
        np.save(f"{folder}/{name}.npy", values)
    with open(f"{folder}/x.txt", "w") as f:
        f.write("".join(f"{i}\n" for i in range(rows)))
    with open(f"{folder}/labels.csv", "w", newline="") as f:
        w = csv.writer(f)
        w.writerow(["id", "artist", "album", "genre", "split"])
        w.writerows([i, artist[i], album[i], f"g{genre[i]:02}" if genre[i] >= 0 else "",
                     ("training", "validation", "test")[part[i]]] for i in range(rows))
    for name, count, heads in (("plain", 5000, [["anchor", "positive", "negative"]]),
                               ("synthetic", 8000, [["anchor", "positive", "negative"] * 2, ["track_id"] * 3 + ["artist_id"] * 3]),
                               ("human", 2000, [["song1", "song2", "song3", "anchor", "positive"]])):
        with open(f"{folder}/{name}.csv", "w", newline="") as f:
            w = csv.writer(f)
            w.writerows(heads)
            for i in range(count):
                three = list(rng.choice(rows, 3, replace=False))
                w.writerow(three + {"plain": [], "synthetic": [artist[t] for t in three],
                                    "human": [1, 2] if i < 60 else ["", ""]}[name])


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else FMA)
