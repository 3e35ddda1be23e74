#!/usr/bin/env python3
"""make_eval_goldens.py FOLDER - embeddings, labels and triplets for tests/eval, and what `attune eval` must say of them,
computed by numpy and scikit-learn from the definitions. Writes one.csv, two.npy with two.txt, labels.csv, plain.csv,
human.csv, and expected.csv (section, figure, embedding, value)."""
import csv
import math
import os
import sys

import numpy as np
from scipy.special import erfc
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

N, ARTISTS, GENRES = 240, 40, ["Rock", "Electronic", "Hip-Hop", "Früher, \"alt\""]
RECALLS = [1, 10, 100]
MASK = (1 << 64) - 1


class Random:
    """SplitMix64, as src/model/random.h."""

    def __init__(self, state):
        self.state = state

    def bits(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        x = self.state
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
        x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
        return x ^ x >> 31

    def below(self, n):
        return (self.bits() >> 32) * n >> 32


def make(folder):
    rng = np.random.default_rng(5)
    artist = np.concatenate([np.arange(ARTISTS), rng.integers(0, ARTISTS, N - ARTISTS)])
    album = artist * 3 + rng.integers(0, 3, N)
    genre = rng.integers(0, len(GENRES), ARTISTS)[artist]
    part = rng.choice(["training", "validation", "test"], N, p=[0.6, 0.1, 0.3])
    centre = rng.normal(size=(ARTISTS, 8)) + 1.5 * rng.normal(size=(len(GENRES), 8))[rng.integers(0, 4, ARTISTS)]
    one = (centre[artist] + 1.2 * rng.normal(size=(N, 8))).astype(np.float32)
    one[17] = one[3]  # a tie
    two = (0.2 * centre[artist] @ rng.normal(size=(8, 5)) + rng.normal(size=(N, 5))).astype(np.float32)
    ids = rng.permutation(1000)[:N]
    names = [f"{i // 100:03d}/{i:06d}.mp3" for i in ids]
    path = lambda name: os.path.join(folder, name)
    with open(path("one.csv"), "w", newline="") as f:
        w = csv.writer(f)
        w.writerow(["file", "samples", "frames"] + [f"e{k}" for k in range(8)])
        for name, v in zip(names, one):
            w.writerow([name, 1, 2] + [repr(float(x)) for x in v])
        w.writerow(["failed.mp3", 1, 2] + ["nan"] * 8)
    order = rng.permutation(N)
    np.save(path("two.npy"), two[order])
    with open(path("two.txt"), "w") as f:
        f.write("".join(f"{ids[i]}\n" for i in order))
    with open(path("labels.csv"), "w", newline="") as f:
        w = csv.writer(f)
        w.writerow(["track_id", "artist_id", "album_id", "genre_top", "split"])
        for i in range(N):
            w.writerow([ids[i], f"a{artist[i]}", f"b{album[i]}" if i % 9 else "", GENRES[genre[i]] if i % 11 else "",
                        part[i]])
    triplets = [rng.choice(N, 3, replace=False) for _ in range(300)]
    triplets[:150] = [(t[0] % 40, t[1], t[2]) for t in triplets[:150] if len({t[0] % 40, t[1], t[2]}) == 3]
    with open(path("plain.csv"), "w") as f:
        f.write("anchor,positive,negative\n")
        f.write("".join(f"{ids[a]},{names[p]},{ids[n]}\n" for a, p, n in triplets))
    human = [rng.choice(N, 3, replace=False) for _ in range(60)]
    with open(path("human.csv"), "w") as f:
        f.write("song1,song2,song3,anchor,positive\n")
        f.write("".join(f"{ids[n]},{ids[a]},{ids[p]},2,3\n" for a, p, n in human))
    albums = np.array([album[i] if i % 9 else -1 for i in range(N)])
    genres = np.array([genre[i] if i % 11 else -1 for i in range(N)])
    return {"one.csv": one, "two.npy": two}, artist, albums, genres, part, triplets, human


def squared(x):
    x = x.astype(np.float64)
    return ((x[:, None] - x[None]) ** 2).sum(-1)


def wilson(correct, n):
    z, p = 1.959963984540054, correct / n
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return ((p + z * z / (2 * n) - half) / (1 + z * z / n), (p + z * z / (2 * n) + half) / (1 + z * z / n))


def bootstrap(scores, clusters):
    names = sorted(set(clusters))
    sums = np.array([sum(s for s, c in zip(scores, clusters) if c == k) for k in names])
    counts = np.array([sum(c == k for c in clusters) for k in names], float)
    random, n = Random(1), len(names)
    means = []
    for _ in range(2000):
        rows = [random.below(n) for _ in range(n)]
        means.append(sums[rows].sum() / counts[rows].sum())
    return np.percentile(means, 2.5), np.percentile(means, 97.5)


def score_triplets(x, triplets, batch):
    x = x.astype(np.float64)
    a, p, n = (x[[t[k] for t in triplets]] for k in range(3))
    near, far = np.sqrt(((a - p + 1e-6) ** 2).sum(1)), np.sqrt(((a - n + 1e-6) ** 2).sum(1))
    right = np.where(near < far, 1.0, np.where(near == far, 0.5, 0.0))
    d = [np.sqrt(((u - v) ** 2).sum(1)) for u, v in ((a, p), (a, n), (p, n))]
    odd = np.array([(x0 <= min(x1, x2)) / (1 + (x0 == x1) + (x0 == x2)) for x0, x1, x2 in zip(*d)])
    batches = np.mean([right[i:i + batch].mean() for i in range(0, len(right), batch)])
    return right, dict(count=len(right), batches=batches, odd=odd.mean(), near=near.mean(), far=far.mean(),
                       loss=np.maximum(0, 0.2 + near - far).mean())


def put_triplets(put, space, section, x, triplets, batch, human):
    right, s = score_triplets(x, triplets, batch)
    n = s["count"]
    put(section, "triplets", space, n)
    put(section, "right, ties half", space, right.sum())
    put(section, "accuracy (Wilson)", space, right.mean(), *wilson(right.sum(), n))
    put(section, "accuracy (by anchor)", space, right.mean(), *bootstrap(right, [int(t[0]) for t in triplets]))
    put(section, f"mean of batches of {batch}", space, s["batches"])
    if human:
        put(section, "odd one out of three", space, s["odd"], *wilson(s["odd"] * n, n))
    put(section, "distance to positives", space, s["near"])
    put(section, "distance to negatives", space, s["far"])
    put(section, "margin loss", space, s["loss"])
    return right


def put_retrieval(put, space, section, D, labels, keep):
    """keep(i): which rows are ranked for anchor i."""
    rows = []
    for i in range(N):
        order = np.lexsort((np.arange(N), D[i]))
        order = order[(order != i) & keep(i)[order]]
        hits = (labels[order] == labels[i]) & (labels[i] >= 0)
        R = hits.sum()
        if R == 0:
            continue
        rank = np.where(hits)[0]
        gain = sum(1 / math.log2(r + 2) for r in rank if r < 10) / sum(1 / math.log2(r + 2) for r in range(min(R, 10)))
        rows.append([hits[0], hits[:R].mean(), (np.arange(1, R + 1) / (rank + 1)).mean(), gain]
                    + [hits[:k].sum() / R for k in RECALLS])
    rows = np.array(rows, float)
    put(section, "anchors", space, len(rows))
    for k, name in enumerate(["P@1", "R-precision", "MAP", "nDCG@10"] + [f"recall@{k}" for k in RECALLS]):
        put(section, name, space, rows[:, k].mean(), *(wilson(rows[:, 0].sum(), len(rows)) if k == 0 else ()))


def drawn(D, labels):
    """The chance that a positive is nearer than a negative, all drawn evenly by label."""
    names = sorted(set(labels[labels >= 0]))
    chances = []
    for c in names:
        own = np.where(labels == c)[0]
        if len(own) < 2:
            continue
        chance = []
        for a in own:
            for p in own[own != a]:
                chance.append(np.mean([np.mean((D[a, labels == o] > D[a, p]) + 0.5 * (D[a, labels == o] == D[a, p]))
                                       for o in names if o != c]))
        chances.append(np.mean(chance))
    return np.mean(chances)


def put_hubs(put, space, lists, genre, suffix):
    counts = np.bincount(lists.ravel(), minlength=N)
    put("hubs", "skew of 10-occurrence" + suffix, space, ((counts - counts.mean()) ** 3).mean() / counts.std() ** 3)
    put("hubs", "orphans" + suffix, space, (counts == 0).mean())
    known = genre >= 0
    put("hubs", "genre of the nearest" + suffix, space, (genre[lists[:, 0]] == genre)[known].mean())


def put_space(put, space, x, genre):
    D = np.sqrt(squared(x))
    unit = x / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)
    put("space", "rows", space, N)
    put("space", "components", space, x.shape[1])
    put("space", "median cosine", space, np.median((unit @ unit.T)[np.triu_indices(N, 1)]))
    put("space", "mean distance", space, D[np.triu_indices(N, 1)].mean())
    lists = np.array([[j for j in np.lexsort((np.arange(N), D[i])) if j != i][:10] for i in range(N)])
    put_hubs(put, space, lists, genre, "")
    others = ~np.eye(N, dtype=bool)
    mean, deviation = D.mean(1, where=others), D.std(1, where=others)
    beyond = erfc((D - mean[:, None]) / deviation[:, None] / math.sqrt(2)) / 2
    mutual = beyond * beyond.T
    lists = np.array([[j for j in np.lexsort((np.arange(N), -mutual[i])) if j != i][:10] for i in range(N)])
    put_hubs(put, space, lists, genre, ", mutual")


def put_genres(put, space, x, genre, part):
    section = "genre, the split's test tracks"
    names = sorted(GENRES, key=lambda g: g.encode())
    number = np.array([names.index(g) for g in GENRES])
    y = np.where(genre >= 0, number[genre], -1)
    train, test = (part == "training") & (y >= 0), (part == "test") & (y >= 0)
    x = x.astype(np.float64)
    right = {}
    for k in (1, 5, 10):
        right[f"{k} nearest"] = KNeighborsClassifier(k, algorithm="brute").fit(x[train], y[train]).predict(x[test]) == y[test]
    put(section, "200 nearest", space, math.nan)
    scaler = StandardScaler().fit(x[train])
    model = LogisticRegression(C=1, tol=1e-12, max_iter=100000).fit(scaler.transform(x[train]), y[train])
    right["linear probe"] = model.predict(scaler.transform(x[test])) == y[test]
    for name, r in right.items():
        put(section, name, space, r.mean(), *wilson(r.sum(), len(r)))
    return right


def main():
    folder = sys.argv[1]
    spaces, artist, album, genre, part, triplets, human = make(folder)
    out, scores = [], {}

    def put(section, name, space, *values):
        out.append([section, name, space] + [repr(float(v)) for v in values])

    everything = lambda i: np.ones(N, bool)
    for space, x in spaces.items():
        D = squared(x)
        s = scores.setdefault(space, {})
        s["triplets"] = put_triplets(put, space, "triplets of plain.csv", x, triplets, 12, False)
        put_triplets(put, space, "triplets of human.csv", x, human, 4, True)
        s.update(put_genres(put, space, x, genre, part))
        put_retrieval(put, space, "artist", D, artist, everything)
        put("artist", "triplets drawn by it", space, drawn(D, artist))
        put_retrieval(put, space, "artist, other albums only", D, artist,
                      lambda i: (album != album[i]) | (album[i] < 0))
        put_retrieval(put, space, "album", D, album, everything)
        put("album", "triplets drawn by it", space, drawn(D, album))
        put_retrieval(put, space, "album, among other artists", D, album,
                      lambda i: (artist != artist[i]) | ((album == album[i]) & (album[i] >= 0)))
        put_space(put, space, x, genre)
    genre_section = "genre, the split's test tracks"
    for section, name, clusters in (("triplets of plain.csv", "accuracy", [int(t[0]) for t in triplets]),
                                    (genre_section, "10 nearest", None), (genre_section, "linear probe", None)):
        a, b = (np.array(scores[k]["triplets" if clusters else name], float) for k in spaces)
        only = int(((a == 1) & (b != 1)).sum()), int(((b == 1) & (a != 1)).sum())
        out.append(["comparison", f"{section}: {name}", "two.npy"] + [repr(float(v)) for v in (
            (b - a).mean(), *bootstrap(b - a, clusters or list(range(len(a)))), only[0], only[1],
            binomtest(min(only), sum(only)).pvalue)])
    with open(os.path.join(folder, "expected.csv"), "w", newline="") as f:
        w = csv.writer(f)
        w.writerow(["section", "figure", "embedding", "values"])
        w.writerows(out)


main()
