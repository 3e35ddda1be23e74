#!/usr/bin/env python3
"""check_fma.py METADATA OUTPUT.h5 TRIPLETS.csv EVAL.json PART - asserts that what attune eval said of an output are the
figures that numpy finds from the vectors, the triplets and the columns of tracks.csv, read here with Python's csv; and
that the output holds those columns. PART is all or test: which of the triplets were asked for."""
import csv
import json
import math
import sys

import h5py
import numpy as np

metadata, output, triplet_file, report, part = sys.argv[1:]

# ---- what there is ----
with open(f"{metadata}/tracks.csv", newline="", encoding="utf-8") as f:
    groups, names, third, *rows = csv.reader(f)
assert third[0] == "track_id" and not any(third[1:])
column = {pair: i for i, pair in enumerate(zip(groups, names))}
wanted = [("artist", "id"), ("album", "id"), ("set", "split"), ("track", "genre_top")]
tracks = {int(r[0]): [r[column[c]] for c in wanted] for r in rows}
with h5py.File(output) as f:
    x, ids = f["embedding"][:], f["track_id"][:]
    paths, genre = f["path"].asstr()[:], f["genre_top"].asstr()[:]
    artist, album, split = f["artist_id"][:], f["album_id"][:], f["split"][:]
    splits = {v: k for k, v in h5py.check_enum_dtype(f["split"].dtype).items()}
n = len(ids)
for i, t in enumerate(ids):
    assert paths[i] == f"{t // 1000:03d}/{t:06d}.mp3", paths[i]
    assert [str(artist[i]), str(album[i]), splits[split[i]], genre[i]] == tracks[t], (t, tracks[t])
part_of = np.array([splits[s] for s in split])
assert set(part_of) == {"training", "validation", "test"} and "" not in genre
with open(triplet_file, newline="") as f:
    first, second, *rows = csv.reader(f)
at = [k for k, name in enumerate(second) if name == "track_id"]
assert [first[k] for k in at] == ["anchor", "positive", "negative"]
row_of = {t: i for i, t in enumerate(ids)}
triplets = np.array([[row_of[int(r[k])] for k in at] for r in rows])

# ---- what was said ----
with open(report) as f:
    figures = json.load(f)["figures"]
said = {(f["section"], f["figure"]): (f["value"], f.get("low"), f.get("high"))
        for f in figures if f["embedding"] != "random"}
section = "triplets of triplets.csv" + ("" if part == "all" else ", test")
assert len(said) * 2 == len(figures)


def expect(where, figure, value, interval=None):
    got = said.pop((where, figure))
    assert abs(got[0] - value) < 1e-6, (where, figure, got[0], value)
    if interval:
        assert np.allclose(got[1:], interval, atol=1e-6), (where, figure, got, interval)


def wilson(right, count):
    z, p = 1.959963984540054, right / count
    half = z * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    return (p + z * z / (2 * count) - half) / (1 + z * z / count), (p + z * z / (2 * count) + half) / (1 + z * z / count)


# ---- triplets ----
x = x.astype(np.float64)
D = np.sqrt(((x[:, None] - x[None]) ** 2).sum(-1))
if part == "test":
    # As scikit-learn divides them: 30 % are held out, and of these 33 % are for validation.
    held = np.random.RandomState(42).permutation(len(triplets))[:math.ceil(0.3 * len(triplets))]
    order = np.random.RandomState(42).permutation(len(held))
    triplets = triplets[held[order[math.ceil(0.33 * len(held)):]]]
a, p, q = (x[triplets[:, k]] for k in range(3))
near, far = np.sqrt(((a - p + 1e-6) ** 2).sum(1)), np.sqrt(((a - q + 1e-6) ** 2).sum(1))
right = np.where(near < far, 1.0, np.where(near == far, 0.5, 0.0))
expect(section, "triplets", len(right))
expect(section, "right, ties half", right.sum())
expect(section, "accuracy (Wilson)", right.mean(), wilson(right.sum(), len(right)))
expect(section, "mean of batches of 12", np.mean([right[i:i + 12].mean() for i in range(0, len(right), 12)]))
expect(section, "distance to positives", near.mean())
expect(section, "distance to negatives", far.mean())
expect(section, "margin loss", np.maximum(0, 0.2 + near - far).mean())
assert abs(said.pop((section, "accuracy (by anchor)"))[0] - right.mean()) < 1e-6

# ---- genres ----
where = "genre, the split's test tracks"
train, test = np.where(part_of == "training")[0], np.where(part_of == "test")[0]
titles = sorted(set(genre))
for k in (1, 5, 10):
    hits = 0
    for i in test:
        votes = genre[train[np.argsort(D[i, train], kind="stable")[:k]]]
        hits += max(titles, key=lambda g: (np.sum(votes == g), -titles.index(g))) == genre[i]
    expect(where, f"{k} nearest", hits / len(test), wilson(hits, len(test)))
said.pop((where, "200 nearest"), None)
probe = said.pop((where, "linear probe"))  # scikit-learn's is in tests/eval
assert 0 <= probe[0] <= 1 and abs(probe[0] * len(test) - round(probe[0] * len(test))) < 1e-9


# ---- artists and albums ----
def retrieval(name, labels, keep):
    rows = []
    for i in range(n):
        order = np.argsort(D[i], kind="stable")
        order = order[(order != i) & keep(i)[order]]
        hits = labels[order] == labels[i]
        R = hits.sum()
        if R > 0:
            rank = np.where(hits)[0]
            best = sum(1 / math.log2(r + 2) for r in range(min(R, 10)))
            rows.append([hits[0], hits[:R].mean(), np.mean(np.arange(1, R + 1) / (rank + 1)),
                         sum(1 / math.log2(r + 2) for r in rank if r < 10) / best]
                        + [hits[:k].sum() / R for k in (1, 10, 100)])
    rows = np.array(rows, float)
    expect(name, "anchors", len(rows))
    for k, figure in enumerate(["P@1", "R-precision", "MAP", "nDCG@10", "recall@1", "recall@10", "recall@100"]):
        expect(name, figure, rows[:, k].mean(), wilson(rows[:, 0].sum(), len(rows)) if k == 0 else None)


def drawn(name, labels):
    chances = []
    for c in set(labels):
        own, chance = np.where(labels == c)[0], []
        for i in own if len(own) > 1 else []:
            for j in own[own != i]:
                chance.append(np.mean([np.mean((D[i, labels == o] > D[i, j]) + 0.5 * (D[i, labels == o] == D[i, j]))
                                       for o in set(labels) - {c}]))
        if chance:
            chances.append(np.mean(chance))
    expect(name, "triplets drawn by it", np.mean(chances))


retrieval("artist", artist, lambda i: np.ones(n, bool))
drawn("artist", artist)
retrieval("artist, other albums only", artist, lambda i: album != album[i])
retrieval("album", album, lambda i: np.ones(n, bool))
drawn("album", album)
retrieval("album, among other artists", album, lambda i: (artist != artist[i]) | (album == album[i]))

# ---- the space ----
upper = np.triu_indices(n, 1)
unit = x / np.linalg.norm(x, axis=1, keepdims=True)
expect("space", "rows", n)
expect("space", "components", x.shape[1])
expect("space", "median cosine", np.median((unit @ unit.T)[upper]))
expect("space", "mean distance", D[upper].mean())


def hubs(suffix, score):
    lists = np.array([[j for j in np.argsort(score[i], kind="stable") if j != i][:10] for i in range(n)])
    counts = np.bincount(lists.ravel(), minlength=n)
    expect("hubs", "skew of 10-occurrence" + suffix, ((counts - counts.mean()) ** 3).mean() / counts.std() ** 3)
    expect("hubs", "orphans" + suffix, (counts == 0).mean())
    expect("hubs", "genre of the nearest" + suffix, (genre[lists[:, 0]] == genre).mean())


others = ~np.eye(n, dtype=bool)
mean, deviation = D.mean(1, where=others), D.std(1, where=others)
beyond = np.vectorize(math.erfc)((D - mean[:, None]) / deviation[:, None] / math.sqrt(2)) / 2
hubs("", D)
hubs(", mutual", -beyond * beyond.T)
assert not said, f"not looked at: {sorted(said)}"
