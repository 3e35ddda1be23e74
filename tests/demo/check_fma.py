#!/usr/bin/python3
"""check_fma.py FOLDER TRACKS SECONDS - a folder of tools/make-fma as those see it who know FMA: Python's csv alone reads
the tables, ffprobe the music."""
import ast
import csv
import os
import subprocess
import sys

folder, count, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
metadata = os.path.join(folder, "fma_metadata")
with open(os.path.join(metadata, "tracks.csv"), encoding="utf-8", newline="") as file:
    raw = file.read()
with open(os.path.join(metadata, "tracks.csv"), encoding="utf-8", newline="") as file:
    groups, names, index, *rows = csv.reader(file)
assert len(groups) == len(names) == 53 and index == ["track_id"] + 52 * [""]
assert all(len(row) == 53 for row in rows)
columns = list(zip(groups[1:], names[1:]))
assert columns == sorted(columns) and len(set(columns)) == 52
assert [groups.count(g) for g in ("album", "artist", "set", "track")] == [13, 17, 2, 20]
tracks = [dict(zip(columns, row[1:])) for row in rows]
ids = [int(row[0]) for row in rows]
assert ids == sorted(set(ids)) and 0 < ids[0] and ids[-1] < 1000000

with open(os.path.join(metadata, "genres.csv"), encoding="utf-8", newline="") as file:
    table = list(csv.DictReader(file))
assert list(table[0]) == ["genre_id", "#tracks", "parent", "title", "top_level"]
genres = {int(g["genre_id"]): g for g in table}
assert len(genres) == len(table) and list(genres) == sorted(genres)
for g in genres.values():
    parent = genres.get(int(g["parent"]))
    assert g["parent"] == "0" and g["top_level"] == g["genre_id"] or parent["top_level"] == g["top_level"]

tops, split_of, used = {}, {}, dict.fromkeys(genres, 0)
small = {i: t for i, t in zip(ids, tracks) if t["set", "subset"] == "small"}
for number, track in zip(ids, tracks):
    listed, every = (ast.literal_eval(track["track", c]) for c in ("genres", "genres_all"))
    assert set(listed) <= set(every) and all(g in genres for g in every)
    for g in every:
        used[g] += 1
    assert set(every) == {x for g in listed for x in (g, int(genres[g]["top_level"]))}
    assert isinstance(ast.literal_eval(track["artist", "tags"]), list)
    assert split_of.setdefault(track["artist", "id"], track["set", "split"]) == track["set", "split"]
    if number in small:
        (top,) = {genres[g]["title"] for g in every if genres[g]["parent"] == "0"}
        assert track["track", "genre_top"] == top
        tops[top] = tops.get(top, 0) + 1
        assert float(track["track", "duration"]) == seconds
    else:
        assert track["track", "genre_top"] == "" and len({genres[g]["top_level"] for g in every}) != 1
assert all(int(genres[g]["#tracks"]) == used[g] for g in genres), used
assert sorted(tops) == ["Electronic", "Experimental", "Folk", "Hip-Hop", "Instrumental", "International", "Pop", "Rock"]
assert max(tops.values()) - min(tops.values()) <= 1 and len(small) == count < len(tracks)
assert set(split_of.values()) == {"training", "validation", "test"}
assert all(any(t["set", "subset"] == s for t in tracks) for s in ("small", "medium", "large"))

# What makes reading hard is there, at some row that counts.
texts = [text for track in tracks for text in track.values()]
for hard in (",", '"', "\n", "\r\n", "é", "電", "", "NaN", "  spaces  ", "N/A"):
    assert hard in texts if hard in ("", "NaN", "  spaces  ", "N/A") else any(hard in text for text in texts), hard
assert any(t["track", "title"] == "" for t in tracks) and raw.count("\n") > len(rows) + 3

found = []
for base, _, files in os.walk(os.path.join(folder, "fma_small")):
    for name in files:
        found.append(int(name[:-4]))
        assert name == f"{found[-1]:06d}.mp3" and os.path.basename(base) == name[:3]
assert sorted(found) == sorted(small), (found, list(small))
for number in found[:3]:
    path = os.path.join(folder, "fma_small", f"{number // 1000:03d}", f"{number:06d}.mp3")
    entries = "stream=codec_name,sample_rate,channels:format=duration"
    probe = ["ffprobe", "-v", "error", "-show_entries", entries, "-of", "csv=p=0", path]
    said = subprocess.run(probe, capture_output=True, check=True, text=True).stdout.split()
    assert said[0] == "mp3,44100,1" and abs(float(said[1]) - seconds) < 0.1, said
