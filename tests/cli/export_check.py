"""export_check.py FOLDER QUERIES NEAREST - compares what `attune export` wrote of FOLDER/out.h5 with what numpy, h5py
and Python's csv make of it. Files: vectors.npy, all.npy, vectors.csv, all.csv, ann.hdf5."""
import csv
import os
import sys

import h5py
import numpy

folder, queries, nearest = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
os.chdir(folder)
columns = "path status error duration frames size mtime_ns".split()


def check(what, true):
    if not true:
        sys.exit(f"export: {what}")


def bits(numbers):
    return numpy.ascontiguousarray(numbers, dtype="<f4").view("<u4")


out = h5py.File("out.h5")
vectors = out["embedding"][:]
names = {value: name for name, value in h5py.check_enum_dtype(out["status"].dtype).items()}
status = [names[value] for value in out["status"][:]]
present = numpy.isin(status, ["ok", "partial", "silent", "too_short"])

for name, expected in ("vectors.npy", vectors[present]), ("all.npy", vectors):
    got = numpy.load(name)
    check(f"{name} has another type or shape", got.dtype == "<f4" and got.shape == expected.shape)
    check(f"{name} has other numbers", (bits(got) == bits(expected)).all())

text = {name: out[name].asstr(errors="surrogateescape")[:] for name in ("path", "error")}
for name, kept in ("vectors.csv", present), ("all.csv", numpy.ones(len(status), bool)):
    with open(name, encoding="utf8", errors="surrogateescape", newline="") as file:
        header, *rows = csv.reader(file, strict=True)
    check(f"{name}: first line {header}", header == columns + [f"embedding_{i}" for i in range(vectors.shape[1])])
    check(f"{name} has {len(rows)} rows", len(rows) == kept.sum())
    for row, i in zip(rows, numpy.flatnonzero(kept)):
        expected = [text["path"][i], status[i], text["error"][i]]
        check(f"{name}, row {i}: {row[:3]}, not {expected}", row[:3] == expected)
        expected = [out[c][i] for c in columns[3:]]
        check(f"{name}, row {i}: {row[3:7]}, not {expected}", [type(e)(r) for r, e in zip(row[3:7], expected)] == expected)
        got = numpy.array(row[7:], dtype="f4")
        check(f"{name}, row {i}: other numbers", numpy.array_equal(got, vectors[i], equal_nan=True))

ann = h5py.File("ann.hdf5")
check(f"attributes {dict(ann.attrs)}", dict(ann.attrs) == {"distance": "angular", "point_type": "float"})
check(f"datasets {list(ann)}", sorted(ann) == ["distances", "neighbors", "test", "train"])
train, test = ann["train"][:], ann["test"][:]
count = len(vectors[present])
check("types", (train.dtype, test.dtype, ann["neighbors"].dtype, ann["distances"].dtype) == ("<f4", "<f4", "<i4", "<f4"))
check("shapes", (len(train), len(test)) == (count - queries, queries) and ann["neighbors"].shape == (queries, nearest))
where = {row.tobytes(): i for i, row in enumerate(vectors[present])}
for name, part in ("train", train), ("test", test):
    order = [where[row.tobytes()] for row in part]
    check(f"{name} is in another order", order == sorted(order))
check("train and test do not divide the rows", sorted(map(bytes, [*train, *test])) == sorted(where))
a, b = test.astype("f8"), train.astype("f8")
distances = 1 - (a @ b.T) / numpy.linalg.norm(a, axis=1)[:, None] / numpy.linalg.norm(b, axis=1)
order = numpy.argsort(distances, axis=1, kind="stable")[:, :nearest]
check("other neighbors", (order == ann["neighbors"][:]).all())
check("other distances", numpy.abs(numpy.take_along_axis(distances, order, 1) - ann["distances"][:]).max() < 1e-6)
