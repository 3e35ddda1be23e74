#!/usr/bin/env python3
"""make_tables.py - writes tables/: a tracks.csv and genres.csv with awkward rows, as pandas writes those of
fma_metadata, and expected.txt, what Python's csv and ast read in them: id artist album split subset top|genres|all."""
import ast
import csv
import os

folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tables")
COLUMNS = {
    "album": "comments date_created date_released engineer favorites id information listens producer tags title"
             " tracks type",
    "artist": "active_year_begin active_year_end associated_labels bio comments date_created favorites id latitude"
              " location longitude members name related_projects tags website wikipedia_page",
    "set": "split subset",
    "track": "bit_rate comments composer date_created date_recorded duration favorites genre_top genres genres_all"
             " information interest language_code license listens lyricist number publisher tags title",
}
columns = [(group, name) for group, names in COLUMNS.items() for name in names.split()]
GENRES = [(21, 3, 0, "Hip-Hop", 21), (100, 1, 21, "Alternative Hip-Hop", 21), (12, 4, 0, "Rock", 12),
          (25, 2, 12, "Punk", 12), (89, 1, 25, "Post-Punk", 12), (8, 1, 0, "Old-Time / Historic", 8),
          (1235, 1, 0, "Instrumental, \"quiet\"", 1235)]
BIO = '<p>He said "so", and left.\nA comma, a line break,\r\nan empty one:\n\nüñîçødé 🎵</p>'
# id, artist, album, split, subset, top, genres, all, title
TRACKS = [
    (2, 1, 1, "training", "small", "Hip-Hop", [21], [21], "Food"),
    (3, 1, 1, "training", "medium", "Hip-Hop", [100, 21], [100, 21], 'The "quoted" one'),
    (5, 6, -1, "validation", "small", "Rock", [89], [89, 25, 12], "a, comma"),
    (10, 6, 6, "test", "large", "", [21, 12], [21, 12], "two\nlines"),
    (134, 6, 6, "test", "large", "", [], [], ""),
    (20, 4, 4, "training", "large", "Old-Time / Historic", [8], [8], '"'),
    (155320, 24357, 22940, "training", "small", "Instrumental, \"quiet\"", [1235], [1235], "日本語"),
]


def write():
    with open(os.path.join(folder, "genres.csv"), "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["genre_id", "#tracks", "parent", "title", "top_level"])
        writer.writerows(GENRES)
    with open(os.path.join(folder, "tracks.csv"), "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([""] + [group for group, _ in columns])
        writer.writerow([""] + [name for _, name in columns])
        writer.writerow(["track_id"] + [""] * len(columns))
        for i, (id, artist, album, split, subset, top, genres, genres_all, title) in enumerate(TRACKS):
            row = dict.fromkeys(columns, "")
            row |= {("artist", "id"): artist, ("album", "id"): album, ("set", "split"): split,
                    ("set", "subset"): subset, ("track", "genre_top"): top, ("track", "genres"): genres,
                    ("track", "genres_all"): genres_all, ("track", "title"): title, ("track", "tags"): [],
                    ("artist", "tags"): ["a, b", 'c"d'], ("artist", "bio"): BIO if i % 2 else "",
                    ("album", "information"): BIO * i}
            writer.writerow([id] + [row[column] for column in columns])


def read():
    with open(os.path.join(folder, "tracks.csv"), newline="") as file:
        groups, names, _, *rows = csv.reader(file)
    place = {column: i for i, column in enumerate(zip(groups, names))}
    lines = []
    for row in rows:
        field = lambda group, name: row[place[group, name]]
        lists = [" ".join(map(str, ast.literal_eval(field("track", name)))) for name in ("genres", "genres_all")]
        lines.append((int(row[0]), "|".join([row[0], field("artist", "id"), field("album", "id"),
                                             field("set", "split"), field("set", "subset"),
                                             field("track", "genre_top"), *lists])))
    return "".join(line + "\n" for _, line in sorted(lines))


write()
with open(os.path.join(folder, "expected.txt"), "w") as file:
    file.write(read())
