"""check_nearest.py COMMAND - compares what `attune nearest` prints of ./out.h5 with what numpy makes of its vectors:
rankings, limits, a way, and with odd names playlists and pages."""
import html.parser
import json
import os
import subprocess
import sys
import urllib.parse

import h5py
import numpy as np

command = sys.argv[1]
f = h5py.File("out.h5")
vectors = f["embedding"][:].astype("f8")
paths = [p.encode("utf8", "surrogateescape") for p in f["path"].asstr(errors="surrogateescape")[:]]
artists, durations = f["artist_id"][:], f["duration"][:]
root = bytes(f.attrs["root"])
present = ~np.isnan(vectors[:, 0])
f.close()


def check(what, got, expected):
    if got != expected:
        sys.exit(f"nearest: {what}:\n{got}\nnot\n{expected}")


def run(*arguments, out="out.h5"):
    return subprocess.run([command, "nearest", out, *arguments], check=True, stdout=subprocess.PIPE).stdout


def found(*arguments):
    answer = json.loads(run("--json", *arguments))
    return answer, [t["row"] for t in answer["nearest"]], np.array([t["cosine"] for t in answer["nearest"]])


def order(score, *left_out):
    score = np.where(present, score, -np.inf)
    score[list(left_out)] = -np.inf
    return [int(i) for i in np.argsort(-score, kind="stable") if score[i] > -np.inf]


def choose(ranked, queries, k, per_artist=10**9, per_folder=10**9, apart=0.0):
    taken = []
    for row in ranked:
        others = [vectors[t] for t in taken] + [vectors[q] for q in queries]
        folder = os.path.dirname(paths[row])
        if (artists[row] < 0 or sum(artists[t] == artists[row] for t in taken) < per_artist) \
                and sum(os.path.dirname(paths[t]) == folder for t in taken) < per_folder \
                and (apart == 0 or all(1 - vectors[row] @ o >= apart for o in others)) and len(taken) < k:
            taken.append(row)
    return taken


def compare(what, arguments, expected, score):
    _, rows, cosines = found(*arguments)
    check(what, rows, expected)
    if not np.allclose(cosines, np.asarray(score)[expected], rtol=0, atol=1e-12):
        sys.exit(f"nearest: {what}: other cosines")


ends = [int(i) for i in np.flatnonzero(present)[[0, 7, -1]]]
names = [paths[i] for i in ends]
one, mean = vectors @ vectors[ends[0]], vectors @ vectors[ends].mean(0)
most = (vectors @ vectors[ends].T).max(1)
compare("one query", [names[0], "-k", "20"], order(one, ends[0])[:20], one)
compare("by the mean", [*names, "-k", "50"], order(mean, *ends)[:50], mean)
compare("by any", [*names, "-k", "50", "--by", "any"], order(most, *ends)[:50], most)
compare("all there are", [names[0], "-k", "1000000"], order(one, ends[0]), one)
check("the query", found(names[0])[0]["query"].encode("utf8"), names[0])
check("the queries", [q.encode() for q in found(*names)[0]["queries"]], names)

# limits, some of which need many pages of the ranking; -k of more than there are
for limits in ({"per_artist": 1}, {"per_folder": 2}, {"apart": 0.05}, {"apart": 0.6},
               {"per_artist": 3, "per_folder": 1, "apart": 0.02}):
    for k in 5, 60, 100000:
        options = [x for name, value in limits.items()
                   for x in ("--" + name.replace("_", "-").replace("apart", "diversity"), str(value))]
        compare(f"limits {limits}, {k}", [*names, "-k", str(k), *options], choose(order(mean, *ends), ends, k, **limits), mean)

# a way: points evenly on the great circle, each with the nearest row that is not taken
for k in 2, 3, 12, 200:
    a, b = vectors[ends[0]], vectors[ends[2]]
    angle = np.arccos(a @ b)
    taken, cosines = [], []
    for p in range(k):
        part = p / (k - 1)
        point = (np.sin((1 - part) * angle) * a + np.sin(part * angle) * b) / np.sin(angle)
        score = vectors @ point
        row = ends[0] if p == 0 else ends[2] if p == k - 1 else order(score, ends[0], ends[2], *taken)[0]
        taken.append(row)
        cosines.append(score[row])
    answer, rows, got = found("--path", names[0], names[2], "-k", str(k))
    check(f"a way of {k}", rows, taken)
    check(f"cosines of a way of {k}", bool(np.allclose(got, cosines, atol=1e-6)), True)
    check("the ends", [answer["from"].encode(), answer["to"].encode()], [names[0], names[2]])

# a playlist: two lines a track, each of UTF-8, that lead to the track's bytes
ranked = order(one, ends[0])
lines = run(names[0], "--m3u", "-k", "100000").decode("utf8").split("\n")
check("first and last line", [lines[0], lines[-1], len(lines)], ["#EXTM3U", "", 2 * len(ranked) + 2])
odd = 0
for row, info, place in zip(ranked, lines[1::2], lines[2::2]):
    check("seconds", info.split(",")[0], f"#EXTINF:{durations[row]:.0f}")
    if place.startswith("file://"):
        odd += 1
        place = urllib.parse.unquote_to_bytes(place[len("file://"):])
    else:
        place = place.encode()
    check("a location", place, paths[row] if paths[row].startswith(b"/") else root + b"/" + paths[row])
check("locations that had to be URLs", odd >= 3, True)

# a page: every text and URL in it is what a browser makes of it
page = run(names[0], "-k", "100000", "--html", "page.html")
check("lines beside the page", page.count(b"\n"), len(ranked))


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.sources, self.labels, self.tags, self.text = [], [], set(), ""

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag == "audio":
            self.sources.append(dict(attributes)["src"])
            self.labels.append(dict(attributes)["aria-label"])

    def handle_data(self, data):
        self.text += data


parser = Page()
parser.feed(open("page.html", encoding="utf8").read())
check("tags", parser.tags, set("html head meta title style body main h1 ol li strong div audio".split()))
for row, source in zip(ranked, parser.sources):
    place = paths[row] if paths[row].startswith(b"/") else root + b"/" + paths[row]
    check("a source", urllib.parse.unquote_to_bytes(source), b"file://" + place)
check("sources", len(parser.sources), len(ranked))
check("a name with HTML in it", '<b>&"amp;' in parser.labels and '<b>&"amp;' in parser.text, True)
